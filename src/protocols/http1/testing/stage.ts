// HTTP/1.1 in a simulated world: a server whose routes a test gives, and a client that writes bytes and reads them.
import type { ExchangeHandler } from '../../../core/exchange.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import { Recorder } from '../../../core/pipe-suite.ts';
import { NO_EVENTS, type PipeBounds } from '../../../core/stream-pipe.ts';
import { linkPipes, type SimulatedPipe } from '../../../sim/pipes.ts';
import { World } from '../../../sim/world.ts';
import { limits } from '../limits.ts';
import { type Http1Host, Http1Session } from '../session.ts';

export interface StageOptions {
  readonly limits?: Readonly<Record<string, number>>;
  /** The most bytes of one delivery. */
  readonly cut?: number;
  readonly bounds?: Partial<PipeBounds>;
}

export class Stage {
  readonly world = new World(1);
  readonly faults: string[] = [];
  readonly logged: string[] = [];
  private readonly routes: ExchangeHandler;
  private readonly options: StageOptions;

  constructor(routes: ExchangeHandler, options: StageOptions = {}) {
    this.routes = routes;
    this.options = options;
  }

  get host(): Http1Host {
    const { world, logged } = this;
    return {
      resources: {},
      limits: bindLimits(limits, this.options.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: { ...SILENT, error: (text) => void logged.push(text) },
      software: 'Portico/test',
      routes: this.routes,
    };
  }

  connect(): {
    peer: Recorder;
    server: SimulatedPipe;
    says(text: string | Uint8Array): void;
    hears(ms?: number): string;
  } {
    let peer!: Recorder;
    const { far } = linkPipes(
      this.world,
      (pipe) => (peer = new Recorder(pipe)),
      (pipe) => new Http1Session(pipe, this.host),
      {
        ...(this.options.cut === undefined ? {} : { cut: this.options.cut }),
        ...(this.options.bounds === undefined ? {} : { bounds: this.options.bounds }),
        events: { ...NO_EVENTS, faulted: (_pipe, fault) => void this.faults.push(fault.id) },
      },
    );
    let heard = 0;
    return {
      peer,
      server: far,
      says: (text) => {
        const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
        peer.pipe.share(bytes, 0, bytes.length);
        peer.pipe.flush();
      },
      hears: (ms = 50) => {
        this.world.pass(ms);
        const text = peer.text.slice(heard);
        heard = peer.text.length;
        return text;
      },
    };
  }
}
