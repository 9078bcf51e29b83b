// Lines in a simulated world over the real topics, and a peer that writes down what it is told: for tests.

import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import type { Address } from '../../../core/peer.ts';
import type { Pipe } from '../../../core/pipe.ts';
import { Recorder } from '../../../core/pipe-suite.ts';
import { NO_EVENTS, type PipeBounds } from '../../../core/stream-pipe.ts';
import type { Accounts } from '../../../resources/accounts/contract.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import type { HistoryPolicy } from '../../../resources/topics/history.ts';
import { House, NO_HISTORY } from '../../../resources/topics/testing/house.ts';
import { DatagramNetwork } from '../../../sim/datagrams.ts';
import { linkPipes, type SimulatedPipe } from '../../../sim/pipes.ts';
import type { World } from '../../../sim/world.ts';
import { LinesDatagrams } from '../datagrams.ts';
import { limits } from '../limits.ts';
import { type LinesHost, serveLines } from '../server.ts';

export interface BenchOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly accounts?: Accounts;
  /** Topics keep their history; they keep none when absent. */
  readonly policies?: HistoryPolicy[] | 'durable';
  readonly cut?: number;
  readonly bounds?: Partial<PipeBounds>;
}

export interface Talk {
  readonly peer: Recorder;
  readonly server: SimulatedPipe;
  says(text: string | Uint8Array): void;
  /** What came since the last call, after time has passed. */
  hears(ms?: number): string;
}

export class Bench {
  readonly house: House;
  readonly host: LinesHost;
  readonly network: DatagramNetwork;
  /** Ids of the faults that peers were ended for. */
  readonly faulted: string[] = [];
  private readonly options: BenchOptions;

  constructor(house: House, options: BenchOptions) {
    this.house = house;
    this.options = options;
    const { world, topics } = house;
    this.network = new DatagramNetwork(world);
    this.host = {
      resources: { accounts: options.accounts ?? OPEN_ACCOUNTS, topics },
      limits: bindLimits(limits, options.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: SILENT,
      software: 'Portico/test',
      routes: () => {},
    };
  }

  static async open(options: BenchOptions = {}): Promise<Bench> {
    const house = await House.open(options.policies === 'durable' ? undefined : (options.policies ?? NO_HISTORY));
    return new Bench(house, options);
  }

  get world(): World {
    return this.house.world;
  }

  /** Connects a peer. */
  connect(cut = this.options.cut ?? 0): Talk {
    const { world, host } = this;
    let peer!: Recorder;
    const link = linkPipes(
      world,
      (pipe: Pipe) => (peer = new Recorder(pipe)),
      (pipe) => serveLines(pipe, host),
      {
        cut,
        ...(this.options.bounds === undefined ? {} : { bounds: this.options.bounds }),
        events: { ...NO_EVENTS, faulted: (_pipe, fault) => void this.faulted.push(fault.id) },
      },
    );
    let heard = 0;
    return {
      peer,
      server: link.far,
      says(text) {
        const bytes = Buffer.from(text);
        peer.pipe.out.copy(bytes, 0, bytes.length);
        peer.pipe.flush();
      },
      hears(ms = 200) {
        world.pass(ms);
        const text = peer.received.toString('utf8');
        const fresh = text.slice(heard);
        heard = text.length;
        return fresh;
      },
    };
  }

  /** Opens the UDP side. */
  serveDatagrams(at: Address): LinesDatagrams {
    let served!: LinesDatagrams;
    this.network.open(at, (port) => (served = new LinesDatagrams(port, this.host)));
    return served;
  }
}
