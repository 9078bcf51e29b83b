// FTP in a simulated world, with a peer that writes down what it is told and makes data connections: for tests.
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import type { Address } from '../../../core/peer.ts';
import { type Pipe, type Session, UNREACHABLE } from '../../../core/pipe.ts';
import { Recorder } from '../../../core/pipe-suite.ts';
import type { Reach } from '../../../core/reach.ts';
import { NO_EVENTS } from '../../../core/stream-pipe.ts';
import type { TlsPolicy } from '../../../core/tls.ts';
import type { Accounts } from '../../../resources/accounts/contract.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import { linkPipes, type SimulatedPipe } from '../../../sim/pipes.ts';
import { World } from '../../../sim/world.ts';
import { limits } from '../limits.ts';
import { type FtpHost, serveFtp } from '../server.ts';
import { FTP_DEFAULTS, type FtpSettings } from '../settings.ts';
import { FakeFiles } from './fake-files.ts';

export interface StageOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly accounts?: Accounts;
  readonly settings?: Partial<FtpSettings>;
  readonly cut?: number;
  readonly tls?: boolean;
  readonly implicit?: boolean;
  /** The account whose certificate TLS has verified, from the first byte on. */
  readonly certificate?: string;
  /** Files answer within the call. */
  readonly atOnce?: boolean;
  readonly seed?: number;
}

interface Door {
  readonly port: number;
  readonly from: Address;
  readonly connected: (pipe: Pipe) => Session;
  open: boolean;
}

const SERVER_TLS: TlsPolicy = { role: 'server' };
export const CLIENT_TLS: TlsPolicy = { role: 'client' };

export class Stage implements Reach {
  readonly world: World;
  readonly files: FakeFiles;
  readonly host: FtpHost;
  readonly faulted: string[] = [];
  readonly dialled: Address[] = [];
  /** Nobody answers where we dial. */
  deaf = false;
  private readonly options: StageOptions;
  private readonly doors: Door[] = [];
  private ports = 50_000;
  /** Those that were dialled. */
  readonly answering: Recorder[] = [];

  constructor(options: StageOptions = {}) {
    this.options = options;
    const world = new World(options.seed ?? 1);
    this.world = world;
    this.files = new FakeFiles(options.atOnce === true ? (step) => step() : (step) => void world.after(1, step));
    this.host = {
      resources: { accounts: options.accounts ?? OPEN_ACCOUNTS, topics: null as never },
      limits: bindLimits(limits, options.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: this,
      log: SILENT,
      software: 'Portico/test',
      routes: () => {},
      startTls: options.tls === true || options.implicit === true ? SERVER_TLS : null,
    };
  }

  connect(): Talk {
    const { options, host, world } = this;
    const settings = { ...FTP_DEFAULTS, ...options.settings };
    let peer!: Recorder;
    const link = linkPipes(
      world,
      (pipe) => (peer = new Recorder(pipe)),
      (pipe) => {
        const { certificate } = options;
        const facts = { version: 'simulated', cipher: 'none', alpn: null, serverName: null };
        const tls = certificate === undefined ? null : { ...facts, certificate: Buffer.from(certificate) };
        const peer = pipe as SimulatedPipe;
        peer.peer = { ...peer.peer, tls };
        return serveFtp(pipe, host, settings, options.implicit === true, () => this.files);
      },
      {
        cut: options.cut ?? 0,
        events: { ...NO_EVENTS, faulted: (_pipe, fault) => void this.faulted.push(fault.id) },
      },
    );
    if (options.implicit === true) peer.pipe.secure(CLIENT_TLS, peer);
    return new Talk(this, peer, link.far);
  }

  /** Signs in and forgets what was said. */
  signedIn(): Talk {
    const talk = this.connect();
    talk.says('USER ann\r\nPASS x\r\nTYPE I\r\n');
    talk.hears();
    return talk;
  }

  /** Connects to a port that was told. */
  data(port: number, cut = this.options.cut ?? 0): Recorder {
    let peer!: Recorder;
    this.meet(port, (pipe) => (peer = new Recorder(pipe)), cut);
    return peer;
  }

  /** The same, with a session of the test's own. */
  meet(port: number, session: (pipe: Pipe) => Session, cut = this.options.cut ?? 0): void {
    const door = this.doors.find((each) => each.port === port && each.open);
    if (door === undefined) throw new Error(`nobody listens on ${port}`);
    door.open = false;
    linkPipes(this.world, session, door.connected, { cut });
  }

  get openPorts(): number {
    return this.doors.filter(({ open }) => open).length;
  }

  dial(
    target: Address,
    _tls: TlsPolicy | null,
    connected: (pipe: Pipe) => Session,
    refused: Parameters<Reach['dial']>[3],
  ): () => void {
    this.dialled.push({ host: target.host, port: target.port });
    let over = false;
    this.world.after(1, () => {
      if (over) return;
      if (this.deaf) {
        refused(UNREACHABLE, 'nobody is there');
        return;
      }
      linkPipes(
        this.world,
        (pipe) => {
          const peer = new Recorder(pipe);
          this.answering.push(peer);
          return peer;
        },
        connected,
        { cut: this.options.cut ?? 0 },
      );
    });
    return () => {
      over = true;
    };
  }

  async listenOnce(
    _ports: readonly [number, number],
    from: Address,
    deadline: number,
    connected: (pipe: Pipe) => Session,
    expired: () => void,
  ): Promise<number | null> {
    const door = { port: this.ports++, from, connected, open: true };
    this.doors.push(door);
    this.world.at(deadline, () => {
      if (!door.open) return;
      door.open = false;
      expired();
    });
    return door.port;
  }

  datagrams(): Promise<null> {
    return Promise.resolve(null);
  }
}

export class Talk {
  readonly peer: Recorder;
  readonly server: SimulatedPipe;
  private readonly stage: Stage;
  private heard = 0;

  constructor(stage: Stage, peer: Recorder, server: SimulatedPipe) {
    this.stage = stage;
    this.peer = peer;
    this.server = server;
  }

  says(text: string | Uint8Array): void {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    this.peer.pipe.out.copy(bytes, 0, bytes.length);
    this.peer.pipe.flush();
  }

  /** What came since the last call, after time has passed. */
  hears(ms = 100): string {
    this.stage.world.pass(ms);
    const text = this.peer.received.toString('utf8');
    const fresh = text.slice(this.heard);
    this.heard = text.length;
    return fresh;
  }

  /** The same, where promises have to settle in between. */
  async settles(ms = 100): Promise<string> {
    let text = '';
    for (let round = 0; round < 4; round++) {
      text += this.hears(ms / 4);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return text + this.hears(1);
  }

  /** Says EPSV and connects. */
  async passive(): Promise<Recorder> {
    this.says('EPSV\r\n');
    const told = await this.settles();
    const port = /\(\|\|\|(\d+)\|\)/.exec(told)?.[1];
    if (port === undefined) throw new Error(`no port in ${told}`);
    return this.stage.data(Number(port));
  }
}
