// The way out for one session: dials, listens once, opens datagram ports, all within the outbound rules and within bounds,
// and ends what was opened when the session is lost.
import { randomInt } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import type { DatagramPort, DatagramSession } from '../core/datagram.ts';
import { type Address, addressText } from '../core/peer.ts';
import { type Cause, ENDED, type Pipe, type Session, SHUTDOWN, UNREACHABLE } from '../core/pipe.ts';
import type { Reach, Target } from '../core/reach.ts';
import type { StreamPipe } from '../core/stream-pipe.ts';
import type { Instant } from '../core/time.ts';
import type { TlsPolicy } from '../core/tls.ts';
import type { AddressPolicy } from '../transports/addresses.ts';
import { dial, type PipeMaking } from '../transports/socket-pipe.ts';
import { type Listening, listenStream } from '../transports/tcp.ts';
import { openUdp } from '../transports/udp.ts';

export interface ReachOptions extends PipeMaking {
  readonly policy: AddressPolicy;
  /** The address that the session's own listener is bound to: where `listenOnce` listens. */
  readonly local: Address | null;
  /** Who is at the other end of the session's own connection; absent for what has none. */
  readonly remote?: Address | null;
  readonly openMax: number;
  /** Told of every pipe that is opened, so that it is counted and asked to leave as any other. */
  readonly opened: (pipe: StreamPipe) => void;
}

/** Connections, listeners and ports that the session of one connection may have open or under way at once. */
export const OPEN_MAX = 16;
/** The same for a datagram port, whose session serves many addresses: a port for each when it forwards them. */
export const OPEN_MAX_OF_PORTS = 65_536;
/** How many ports of a range are tried before it is given up. */
const PORTS_TRIED = 64;
/** Ports of a peer below that are of its services: nobody has us talk to one. */
const BACK_PORT_LEAST = 1_024;
/** How long what a session opened may take to end after it. */
const LEAVE_MS = 2_000;

export class SessionReach implements Reach {
  private readonly options: ReachOptions;
  private readonly underWay = new Set<() => void>();
  private readonly pipes = new Set<StreamPipe>();
  private readonly ports = new Set<DatagramPort>();
  private over = false;

  constructor(options: ReachOptions) {
    this.options = options;
  }

  get open(): number {
    let count = this.underWay.size + this.ports.size;
    for (const pipe of this.pipes) {
      if (pipe.isAlive) count++;
      else this.pipes.delete(pipe);
    }
    return count;
  }

  dial(
    target: Target,
    tls: TlsPolicy | null,
    connected: (pipe: Pipe) => Session,
    refused: (cause: Cause, why: string) => void,
  ): () => void {
    let giveUp: (() => void) | null = null;
    let over = false;
    const settle = () => {
      over = true;
      this.underWay.delete(stop);
    };
    const refuse = (cause: Cause, why: string) => {
      if (over) return;
      settle();
      refused(cause, why);
    };
    const stop = () => {
      settle();
      giveUp?.();
    };
    if (this.over || this.open >= this.options.openMax) {
      setImmediate(() => refuse(UNREACHABLE, `more than ${this.options.openMax} connections of one session`));
      return stop;
    }
    this.underWay.add(stop);
    this.addressOf(target).then(
      (address) => {
        if (over) return;
        const took = (pipe: Pipe) => {
          settle();
          this.took(pipe as StreamPipe);
          return connected(pipe);
        };
        giveUp = dial(address, tls, this.options, took, refuse);
      },
      (error: unknown) => refuse(UNREACHABLE, error instanceof Error ? error.message : String(error)),
    );
    return stop;
  }

  async listenOnce(
    ports: readonly [number, number],
    from: Address,
    deadline: Instant,
    connected: (pipe: Pipe) => Session,
    expired: () => void,
  ): Promise<number | null> {
    if (this.over || this.open >= this.options.openMax) return null;
    let listening: Listening | null = null;
    let over = false;
    const stop = () => {
      if (over) return false;
      over = true;
      clearTimeout(timer);
      this.underWay.delete(end);
      void listening?.close();
      return true;
    };
    const end = () => void stop();
    const { turn } = this.options;
    const timer = setTimeout(() => stop() && expired(), Math.max(0, deadline - turn.clock.now));
    this.underWay.add(end);
    listening = await this.listenWithin(ports, {
      // Only from whom it is for: a data connection is not taken from a stranger who was faster.
      admit: (remote) => !over && remote?.host === from.host,
      accept: (pipe) => connected(pipe),
      opened: (pipe) => {
        stop();
        this.took(pipe);
      },
    });
    if (over) void listening?.close();
    if (listening === null) end();
    return over ? null : (listening?.address?.port ?? null);
  }

  async datagrams(family: 4 | 6, session: (port: DatagramPort) => DatagramSession): Promise<DatagramPort | null> {
    if (this.over || this.open >= this.options.openMax) return null;
    try {
      const port = await openUdp({
        turn: this.options.turn,
        host: family === 4 ? '0.0.0.0' : '::',
        port: 0,
        session: (plain) => {
          const ruled = new RuledPort(plain, (host) => this.mayTalkTo(host));
          this.ports.add(ruled);
          return new RuledSession(session(ruled), ruled, () => this.ports.delete(ruled));
        },
      });
      if (this.over) port.close();
      return this.over ? null : port;
    } catch {
      return null;
    }
  }

  /** The session is gone: what it opened goes too. After an orderly end what is still queued may leave. */
  lost(cause: Cause): void {
    this.over = true;
    for (const stop of [...this.underWay]) stop();
    for (const pipe of this.pipes) {
      if (!pipe.isAlive) continue;
      if (cause === ENDED) pipe.leave(SHUTDOWN, LEAVE_MS);
      else pipe.reset(0);
    }
    for (const port of [...this.ports]) port.close();
  }

  private took(pipe: StreamPipe): void {
    this.pipes.add(pipe);
    this.options.opened(pipe);
  }

  private mayTalkTo(host: string): boolean {
    return this.options.policy.allows(host);
  }

  /** What to connect to: the very address that was checked, since a name may answer differently the next time. */
  private async addressOf(target: Target): Promise<Target> {
    const { policy, remote } = this.options;
    if (target.back === true) {
      if (target.host === remote?.host && target.port >= BACK_PORT_LEAST) return target;
      throw new Error(`${addressText(target)} is not where the session's peer is`);
    }
    if (target.path !== undefined) {
      if (policy.allowsName(target.path)) return target;
      throw new Error(`${target.path} is not in the list of allowed targets (outbound.allow)`);
    }
    const found = await lookup(target.host, { all: true });
    const allowed = policy.allowsName(target.host) ? found[0] : found.find(({ address }) => policy.allows(address));
    if (allowed === undefined)
      throw new Error(`${addressText(target)} is private and not in the list of allowed targets (outbound.allow)`);
    return { host: allowed.address, port: target.port };
  }

  private async listenWithin(
    [first, last]: readonly [number, number],
    how: Pick<Parameters<typeof listenStream>[0], 'admit' | 'accept' | 'opened'>,
  ): Promise<Listening | null> {
    const host = this.options.local?.host ?? '127.0.0.1';
    const count = last - first + 1;
    // From a place that cannot be foretold: a port that is known beforehand can be raced for.
    const start = randomInt(count);
    for (let tried = 0; tried < Math.min(count, PORTS_TRIED); tried++) {
      const port = first + ((start + tried) % count);
      try {
        const { turn, bounds, events, kernel, handles, sendFile } = this.options;
        return await listenStream({ turn, bounds, events, kernel, handles, sendFile, host, port, ...how });
      } catch {
        // Taken; the next one.
      }
    }
    return null;
  }
}

/** A port that sends only where the rules allow. */
class RuledPort implements DatagramPort {
  private readonly port: DatagramPort;
  readonly allows: (host: string) => boolean;

  constructor(port: DatagramPort, allows: (host: string) => boolean) {
    this.port = port;
    this.allows = allows;
  }

  get local(): Address {
    return this.port.local;
  }

  get room(): number {
    return this.port.room;
  }

  get ecn(): boolean {
    return this.port.ecn;
  }

  send(to: Address, local: Address | null, bytes: Uint8Array, start: number, end: number, segment: number): boolean {
    return this.allows(to.host) && this.port.send(to, local, bytes, start, end, segment);
  }

  touch(): void {
    this.port.touch();
  }

  close(): void {
    this.port.close();
  }
}

/** A session that hears only from where its port may send. */
class RuledSession implements DatagramSession {
  private readonly session: DatagramSession;
  private readonly port: RuledPort;
  private readonly ended: () => void;

  constructor(session: DatagramSession, port: RuledPort, ended: () => void) {
    this.session = session;
    this.port = port;
    this.ended = ended;
  }

  get deadline(): Instant {
    return this.session.deadline;
  }

  receive(...args: Parameters<DatagramSession['receive']>): void {
    if (this.port.allows(args[3].host)) this.session.receive(...args);
  }

  tick(...args: Parameters<DatagramSession['tick']>): void {
    this.session.tick(...args);
  }

  leave(...args: Parameters<DatagramSession['leave']>): void {
    this.session.leave(...args);
  }

  lost(...args: Parameters<DatagramSession['lost']>): void {
    this.ended();
    this.session.lost(...args);
  }
}
