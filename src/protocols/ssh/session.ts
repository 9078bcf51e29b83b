// An SSH connection: ssh2 does the transport, the keys and the channels over our pipe (RFC 4251 to 4254); who may come in,
// what is opened and for how long is decided here. It opens subsystems and nothing else: no shell, no command, no forwarding.
import ssh2, { type AuthContext, type Connection, type PublicKeyAuthContext } from 'ssh2';
import type { Caller } from '../../core/caller.ts';
import type { Ciphers } from '../../core/ciphers.ts';
import { InnerTurn } from '../../core/inner-turn.ts';
import type { Bound } from '../../core/limits.ts';
import { type Cause, type Pipe, type Session, SHUTDOWN, type Why } from '../../core/pipe.ts';
import type { Alternative } from '../../core/protocol.ts';
import { NO_EVENTS, PIPE_BOUNDS } from '../../core/stream-pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { type Channel, ChannelPipe } from './channel-pipe.ts';
import { PipeDuplex } from './duplex.ts';
import { faults } from './faults.ts';
import type { SshLibrary } from './library.ts';
import type { limits } from './limits.ts';
import { sealNatively } from './sealing.ts';

/** How long a channel may take to leave. */
const LEAVE_MS = 5_000;

/** What somebody shows to be let in. */
export type Shown =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly password: string }
  /** Its owner has signed. */
  | { readonly kind: 'key'; readonly key: Uint8Array };

/** The half that knows the accounts. */
export interface Door {
  /** Who came in. */
  readonly caller: Caller | null;
  /** Asked once an attempt; answers by `decided`, at once or later. */
  admits(account: string, shown: Shown, decided: (admitted: boolean) => void): void;
}

export interface SshOptions {
  readonly limits: Bound<typeof limits>;
  readonly clock: Clock;
  readonly library: SshLibrary;
  readonly subsystems: readonly Alternative[];
  readonly door: Door;
  /** Who protects packets faster than node:crypto, where somebody does. */
  readonly ciphers?: Ciphers | undefined;
  readonly bug: (error: unknown, where: string) => void;
}

export class SshSession implements Session {
  private readonly pipe: Pipe;
  private readonly options: SshOptions;
  private readonly duplex: PipeDuplex;
  private readonly turn: InnerTurn;
  private readonly channels = new Set<ChannelPipe>();
  private connection: Connection | null = null;
  private attempts = 0;
  private admitted = false;
  private over = false;
  private leaving = false;
  private heardAt: Instant;
  private readonly beganAt: Instant;
  private wakeAt: Instant = NEVER;

  constructor(pipe: Pipe, options: SshOptions) {
    this.pipe = pipe;
    this.options = options;
    this.beganAt = options.clock.now;
    this.heardAt = this.beganAt;
    this.duplex = new PipeDuplex(pipe);
    this.duplex.on('error', () => {});
    const outer = {
      clock: options.clock,
      flush: () => pipe.flush(),
      wake: (due: Instant) => {
        if (due < this.wakeAt) this.wakeAt = due;
      },
    };
    this.turn = new InnerTurn(outer, options.bug);
    options.library.serve(this.duplex, (connection) => this.begin(connection));
  }

  // ---- Session -----------------------------------------------------------------------------------------------------

  get deadline(): Instant {
    if (this.over) return NEVER;
    const { signInMs, idleMs } = this.options.limits;
    const own = this.admitted ? this.heardAt + idleMs : this.beganAt + signInMs;
    return Math.min(own, this.wakeAt);
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    this.heardAt = clock.now;
    if (!this.over) this.duplex.came(input, start, end);
    return end;
  }

  overlong(_clock: Clock): void {
    this.pipe.fail(faults.broken);
  }

  gather(clock: Clock): void {
    this.turn.run(clock);
  }

  writable(_clock: Clock): void {
    this.duplex.roomy();
  }

  tick(clock: Clock): void {
    if (this.over) return;
    const { signInMs, idleMs } = this.options.limits;
    if (!this.admitted && clock.now >= this.beganAt + signInMs) {
      this.fail(faults.tooSlow);
      return;
    }
    if (this.admitted && clock.now >= this.heardAt + idleMs) {
      this.fail(faults.idle);
      return;
    }
    this.wakeAt = NEVER;
    for (const channel of this.channels) {
      if (channel.due <= clock.now) channel.tick(clock);
      this.wakeAt = Math.min(this.wakeAt, channel.due);
    }
  }

  finish(_clock: Clock): void {
    this.duplex.push(null);
  }

  leave(why: Why, _clock: Clock): void {
    if (this.over) return;
    this.leaving = true;
    for (const channel of this.channels) channel.leave(why, LEAVE_MS);
    // At shutdown, transfers that are under way are given their time.
    if (why !== SHUTDOWN || this.channels.size === 0) this.end();
  }

  lost(cause: Cause, _wire: number, _clock: Clock): void {
    this.over = true;
    for (const channel of [...this.channels]) channel.cut(cause);
    this.channels.clear();
    this.duplex.destroy();
  }

  private end(): void {
    this.connection?.end();
    this.pipe.end();
  }

  private fail(fault: (typeof faults)[keyof typeof faults]): void {
    if (this.over) return;
    this.over = true;
    this.connection?.end();
    this.pipe.fail(fault);
  }

  // ---- the connection ----------------------------------------------------------------------------------------------

  private begin(connection: Connection): void {
    this.connection = connection;
    const { ciphers } = this.options;
    if (ciphers !== undefined) sealNatively(connection, ciphers, () => this.duplex.copied());
    connection.on('error', () => this.fail(faults.broken));
    connection.on('close', () => this.duplex.destroy());
    connection.on('authentication', (context) => this.authenticate(context));
    connection.on('ready', () => {
      this.admitted = true;
      this.pipe.flush();
    });
    connection.on('request', (_accept, reject) => reject?.());
    connection.on('session', (accept, reject) => {
      if (this.channels.size >= this.options.limits.channelsMax) {
        reject();
        return;
      }
      const session = accept();
      session.on('subsystem', (open, refuse, { name }) => {
        const subsystem = this.options.subsystems.find((each) => each.name === name);
        if (subsystem === undefined) refuse?.();
        else this.open(subsystem, open() as unknown as Channel);
      });
      for (const what of ['pty', 'env', 'window-change', 'signal', 'auth-agent', 'x11'] as const)
        session.on(what as 'pty', (_accept, refuse) => void refuse?.());
      session.on('exec', (open) => this.explain(open()));
      session.on('shell', (open) => this.explain(open()));
    });
  }

  /** What a person sees who comes with a terminal. */
  private explain(channel: ssh2.ServerChannel): void {
    channel.stderr.write('There is no shell here and no command is run: use sftp, or scp without -O.\r\n');
    channel.exit(1);
    channel.end();
    channel.close();
  }

  private open(subsystem: Alternative, channel: Channel): void {
    const events = { ...NO_EVENTS, closed: (pipe: unknown) => this.closed(pipe as ChannelPipe) };
    const { inputMax = PIPE_BOUNDS.inputMax } = subsystem;
    const pipe = new ChannelPipe(channel, this.pipe.peer, this.turn, events, { inputMax });
    this.channels.add(pipe);
    const { caller } = this.options.door;
    if (caller !== null) pipe.signedIn(caller);
    pipe.begin(subsystem.make(pipe));
  }

  private closed(channel: ChannelPipe): void {
    this.channels.delete(channel);
    if (this.leaving && this.channels.size === 0 && !this.over) this.end();
  }

  private authenticate(context: AuthContext): void {
    if (++this.attempts > this.options.limits.attemptsMax) {
      this.fail(faults.tooMany);
      return;
    }
    const methods = ['publickey', 'password'] as const;
    const decided = (admitted: boolean) => {
      if (this.over) return;
      if (admitted) context.accept();
      else context.reject([...methods]);
      this.pipe.flush();
    };
    if (context.method === 'none') this.options.door.admits(context.username, { kind: 'none' }, decided);
    else if (context.method === 'password')
      this.options.door.admits(context.username, { kind: 'password', password: context.password }, decided);
    else if (context.method === 'publickey') this.byKey(context, decided);
    else decided(false);
  }

  private byKey(context: PublicKeyAuthContext, decided: (admitted: boolean) => void): void {
    // Who only asks whether a key would do is told to show it: whose key is known is nobody's business.
    if (context.signature === undefined || context.blob === undefined) {
      context.accept();
      return;
    }
    const key = ssh2.utils.parseKey(context.key.data);
    if (key instanceof Error) {
      decided(false);
      return;
    }
    const verified = (Array.isArray(key) ? key[0]! : key).verify(
      context.blob,
      context.signature,
      (context as { hashAlgo?: string }).hashAlgo as never,
    );
    if (verified !== true) decided(false);
    else this.options.door.admits(context.username, { kind: 'key', key: context.key.data }, decided);
  }
}
