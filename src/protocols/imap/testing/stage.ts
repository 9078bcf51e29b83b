// A mailbox and conversations about it over simulated links, for IMAP's tests.

import type { Caller } from '../../../core/caller.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import { OK } from '../../../core/outcome.ts';
import { Recorder } from '../../../core/pipe-suite.ts';
import { NO_EVENTS } from '../../../core/stream-pipe.ts';
import type { Clock } from '../../../core/time.ts';
import type { Accounts } from '../../../resources/accounts/contract.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import { Rules } from '../../../resources/accounts/rules/rules.ts';
import { StoredMail } from '../../../resources/mail/mail.ts';
import { linkPipes, type SimulatedPipe } from '../../../sim/pipes.ts';
import { World } from '../../../sim/world.ts';
import { MemoryEngine } from '../../../storage/memory/engine.ts';
import { limits } from '../limits.ts';
import { type ImapHost, serveImap } from '../server.ts';

export interface StageOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly accounts?: Accounts;
  readonly cut?: number;
  readonly tls?: boolean;
  /** The client is on another machine. */
  readonly remote?: boolean;
  readonly highMark?: number;
}

/** Keeps all that it hears, however much. */
class Listener extends Recorder {
  readonly pieces: Buffer[] = [];

  override receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    this.pieces.push(Buffer.from(input.subarray(start, end)));
    return super.receive(input, start, end, clock);
  }
}

export class Stage {
  readonly world = new World(1);
  readonly host: ImapHost;
  readonly mail: StoredMail;
  readonly faulted: string[] = [];
  private readonly options: StageOptions;

  private constructor(mail: StoredMail, options: StageOptions) {
    this.mail = mail;
    this.options = options;
    const { world } = this;
    this.host = {
      resources: { accounts: options.accounts ?? OPEN_ACCOUNTS, topics: null as never, mail },
      limits: bindLimits(limits, options.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: SILENT,
      software: 'Portico/test',
      routes: () => {},
      startTls: options.tls === true ? { role: 'server' } : null,
    };
  }

  static async open(options: StageOptions = {}): Promise<Stage> {
    const permissions = new Rules([]);
    permissions.replace([], { groupsOf: (account) => (account === '' ? null : []) });
    let wall = 1_000_000_000;
    const mail = await StoredMail.open({
      engine: new MemoryEngine(),
      permissions,
      domains: ['example.org'],
      catching: false,
      aliases: {},
      catchAll: {},
      isAccount: () => true,
      told: () => {},
      publish: async () => OK,
      wall: () => ++wall,
    });
    return new Stage(mail, options);
  }

  /** Puts a message into somebody's INBOX. */
  async deliver(message: string | Buffer, to = 'ann@example.org'): Promise<void> {
    const caller: Caller = { account: '', scopes: null, origin: 'local', epoch: 1 };
    const route = this.mail.route(to, caller);
    const incoming = this.mail.incoming({ caller, from: 'x@y.test', recipients: [{ address: to, route }], trace: '' });
    const bytes = Buffer.from(message);
    for (let at = 0; at < bytes.length; ) {
      const taken = incoming.write(bytes, at, bytes.length);
      at += taken;
      if (taken === 0) await new Promise<void>((resolve) => (incoming.onRoom = resolve));
    }
    const outcome = await new Promise((resolve) => incoming.commit({ settled: (_token, how) => resolve(how) }, 0));
    if (outcome !== OK) throw new Error(`not delivered: ${outcome}`);
  }

  connect(): Talk {
    const { options, host, world } = this;
    let peer!: Listener;
    const link = linkPipes(
      world,
      (pipe) => (peer = new Listener(pipe)),
      (pipe) => {
        if (options.remote === true) {
          const simulated = pipe as SimulatedPipe;
          simulated.peer = { ...simulated.peer, remote: { host: '192.0.2.1', port: 4_000 } };
        }
        return serveImap(pipe, host, this.mail);
      },
      {
        cut: options.cut ?? 0,
        ...(options.highMark === undefined
          ? {}
          : { bounds: { highMark: options.highMark, lowMark: options.highMark / 2 } }),
        events: { ...NO_EVENTS, faulted: (_pipe, fault) => void this.faulted.push(fault.id) },
      },
    );
    return new Talk(this, peer, link.far);
  }

  /** Signed in with INBOX selected. */
  async selected(folder = 'INBOX', enable = ''): Promise<Talk> {
    const talk = await this.signedIn();
    await talk.hears(`${enable === '' ? '' : `x ENABLE ${enable}\r\n`}x SELECT ${folder}\r\n`);
    return talk;
  }

  async signedIn(): Promise<Talk> {
    const talk = this.connect();
    await talk.hears();
    await talk.hears('x LOGIN ann x\r\n');
    return talk;
  }
}

export class Talk {
  readonly peer: Listener;
  readonly server: SimulatedPipe;
  private readonly stage: Stage;

  constructor(stage: Stage, peer: Listener, server: SimulatedPipe) {
    this.stage = stage;
    this.peer = peer;
    this.server = server;
  }

  says(text: string | Uint8Array): void {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    this.peer.pipe.out.copy(bytes, 0, bytes.length);
    this.peer.pipe.flush();
  }

  /** Says something; answers what came back once nothing more happens. */
  async hears(text: string | Uint8Array = ''): Promise<string> {
    if (text.length > 0) this.says(text);
    for (let quiet = 0; quiet < 6; quiet++) {
      const before = this.peer.total;
      this.stage.world.pass(50);
      await new Promise((resolve) => setImmediate(resolve));
      if (this.peer.total !== before) quiet = 0;
    }
    const fresh = Buffer.concat(this.peer.pieces).toString('latin1');
    this.peer.pieces.length = 0;
    return fresh;
  }

  /** Says a command, and answers what came back without its tagged line, which must be OK. */
  async does(command: string): Promise<string> {
    const heard = await this.hears(`t ${command}\r\n`);
    const ending = /(?:^|\n)t (OK[^\r]*)\r\n$/.exec(heard);
    if (ending === null) throw new Error(`${command} was answered with ${heard}`);
    return heard.slice(0, ending.index === 0 ? 0 : ending.index + 1);
  }
}
