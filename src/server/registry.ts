// The connections that stand: who they are, what they broke, how all of them are asked to leave. Who is let in and what
// goes when memory runs out is decided beside it.
import type { Caller } from '../core/caller.ts';
import type { Connection, Connections } from '../core/connection.ts';
import type { Fault } from '../core/fault.ts';
import type { Log, LogFields } from '../core/log.ts';
import { type Address, addressText, type Peer } from '../core/peer.ts';
import { type Cause, type Pipe, REVOKED, SHUTDOWN, type Why } from '../core/pipe.ts';
import type { KernelFigures, Tap } from '../core/tap.ts';
import type { Instant } from '../core/time.ts';
import type { Turn } from '../core/turn.ts';
import { defaultMemoryBytes, type Memory, MemoryBudget, PROCESS_MEMORY } from './budget.ts';
import { DOORKEEPER_BOUNDS, Doorkeeper, type DoorkeeperBounds } from './doorkeeper.ts';
import { RateLimited } from './rate-limited.ts';

export interface RegistryLimits extends DoorkeeperBounds {
  /** Bytes that the process may use before load is shed. */
  readonly memoryBytesMax: number;
  /** How long the server goes on after it was told to stop, while it tells those who ask that it is leaving. */
  readonly noticeMs: number;
  /** How long a connection may take to leave. */
  readonly leaveMs: number;
}

export const REGISTRY_LIMITS: RegistryLimits = {
  ...DOORKEEPER_BOUNDS,
  memoryBytesMax: defaultMemoryBytes(),
  noticeMs: 0,
  leaveMs: 5_000,
};

/** How long somebody who may no longer be here may take to say goodbye. */
const REVOKED_MS = 1_000;

export interface ConnectionFigures {
  opened: number;
  refused: number;
  faults: number;
  bugs: number;
  shed: number;
}

/** A connection that stands. */
export interface Known {
  readonly pipe: Connection;
  readonly protocol: string;
  readonly openedAt: Instant;
  /** The doorkeeper let it in and counts it; false for what a session of ours opened. */
  readonly admitted: boolean;
  /** As whose it was let in; null for nobody's in particular. */
  from: Address | null;
  /** Ends what its session opened. */
  readonly ended: (cause: Cause) => void;
  /** `receivedBytes` and `sentBytes` of the pipe when memory was last measured. */
  received: number;
  sent: number;
}

/** What is known of a connection, for those who look. */
export interface ConnectionInfo {
  readonly id: number;
  readonly protocol: string;
  readonly remote: string;
  readonly queued: number;
  readonly forMs: number;
}

/** Told of connections that open and end. */
export interface ConnectionLog {
  opened(pipe: Connection, protocol: string): void;
  ended(pipe: Connection, cause: Cause, ms: number): void;
}

export class Registry implements Connections {
  readonly figures: ConnectionFigures = { opened: 0, refused: 0, faults: 0, bugs: 0, shed: 0 };
  readonly doorkeeper: Doorkeeper;
  readonly budget: MemoryBudget;
  private readonly turn: Turn;
  private readonly log: Log;
  private readonly limits: RegistryLimits;
  private readonly pipes = new Map<number, Known>();
  private readonly rated = new RateLimited();
  /** The server was told to stop. */
  leaving = false;
  /** Nobody is let in any more. */
  private shut = false;
  /** Usually nobody. */
  connectionLog: ConnectionLog | null = null;
  connectionEvents: ConnectionLog | null = null;
  private emptied: (() => void)[] = [];
  /** Streams within connections that are counted already, such as those over WebSockets. */
  private readonly within = new Map<number, Known>();
  private tap: Tap | null = null;

  /** @param memory that of the process when absent */
  constructor(turn: Turn, log: Log, limits: RegistryLimits, memory: Memory = PROCESS_MEMORY) {
    this.turn = turn;
    this.log = log;
    this.limits = limits;
    this.doorkeeper = new Doorkeeper(limits);
    this.budget = new MemoryBudget({
      turn,
      log,
      bytesMax: limits.memoryBytesMax,
      memory,
      connections: () => this.pipes.values(),
      refuse: (on) => {
        this.doorkeeper.closed = on;
      },
      figures: this.figures,
    });
  }

  get memoryBytesMax(): number {
    return this.limits.memoryBytesMax;
  }

  get size(): number {
    return this.pipes.size;
  }

  /** Whether one more connection from an address may come in. */
  admit(remote: Address | null): boolean {
    const why = this.shut ? 'the server is shutting down' : this.doorkeeper.admit(remote, this.turn.clock.now);
    return why === null || this.refused(why, remote);
  }

  private refused(why: string, remote: Address | null): false {
    this.figures.refused++;
    this.logRated('info', `refused ${why}`, 'a connection was refused', { why, from: addressText(remote) });
    return false;
  }

  /** A connection that was admitted stands. */
  opened(
    pipe: Connection,
    protocol: string,
    ended: (cause: Cause) => void = () => {},
    from: Address | null = pipe.peer.remote,
  ): void {
    this.figures.opened++;
    this.add(pipe, protocol, true, ended, from);
    this.connectionLog?.opened(pipe, protocol);
    this.connectionEvents?.opened(pipe, protocol);
  }

  /** A proxy has said for whom its connection is: false when that one is not let in. */
  comesFrom(pipe: Pipe, peer: Peer): boolean {
    const known = this.pipes.get(pipe.id);
    if (known === undefined) return false;
    known.pipe.peer = peer;
    const why = this.doorkeeper.moved(known.from, peer.remote, this.turn.clock.now);
    if (why !== null) return this.refused(why, peer.remote);
    known.from = peer.remote;
    return true;
  }

  /** A connection that a session of ours opened. */
  reached(pipe: Connection): void {
    this.add(pipe, 'reach', false, () => {});
  }

  /** A stream within a connection. */
  carried(pipe: Connection, protocol: string): void {
    if (pipe.isAlive)
      this.within.set(
        pipe.id,
        this.know(pipe, protocol, false, () => {}),
      );
  }

  /** Shows all connections, those that stand and those to come, to a tap; null shows them to nobody. */
  show(tap: Tap | null): void {
    this.tap = tap;
    for (const known of [...this.pipes.values(), ...this.within.values()]) tapPipe(known, tap);
  }

  watch(pipe: Connection): void {
    pipe.tap = this.tap;
    this.tap?.opened(pipe.id, pipe.peer, pipe.shownAs ?? pipe.protocol, this.turn.clock.now, 0, 0);
  }

  /** What the kernel says of each connection, asked as it is read. */
  *kernel(): Generator<readonly [pipe: number, figures: KernelFigures | null], undefined> {
    for (const { pipe } of this.pipes.values()) yield [pipe.id, pipe.kernel()];
  }

  private add(
    pipe: Connection,
    protocol: string,
    admitted: boolean,
    ended: (cause: Cause) => void,
    from = pipe.peer.remote,
  ): void {
    const known = this.know(pipe, protocol, admitted, ended);
    known.from = from;
    this.pipes.set(pipe.id, known);
  }

  private know(pipe: Connection, protocol: string, admitted: boolean, ended: (cause: Cause) => void): Known {
    const openedAt = this.turn.clock.now;
    const known: Known = { pipe, protocol, openedAt, admitted, ended, from: null, received: 0, sent: 0 };
    if (pipe.protocol === '') pipe.protocol = protocol;
    if (pipe.tap !== this.tap) tapPipe(known, this.tap);
    return known;
  }

  faulted(pipe: Connection, fault: Fault): void {
    this.figures.faults++;
    this.doorkeeper.failed(pipe.peer.remote, this.turn.clock.now);
    this.logRated('info', fault.id, fault.text, {
      fault: fault.id,
      spec: fault.spec,
      connection: pipe.id,
      from: addressText(pipe.peer.remote),
    });
  }

  closed(pipe: Connection, cause: Cause, _wire: number): void {
    this.within.delete(pipe.id);
    const known = this.pipes.get(pipe.id);
    if (known === undefined) return;
    this.pipes.delete(pipe.id);
    if (known.admitted) this.doorkeeper.left(known.from);
    if (known.admitted) {
      const ms = this.turn.clock.now - known.openedAt;
      this.connectionLog?.ended(pipe, cause, ms);
      this.connectionEvents?.ended(pipe, cause, ms);
    }
    known.ended(cause);
    if (this.pipes.size === 0) for (const then of this.emptied.splice(0)) then();
  }

  /** Our own code threw; whatever it threw in has been ended. */
  bug(error: unknown, where: string, fields: LogFields = {}): void {
    this.figures.bugs++;
    const stack = stackOf(error);
    // The same throw in another pipe is the same bug.
    const kind = `${where.replace(/\d+/g, '')} ${stack.slice(0, 400)}`;
    this.logRated('error', kind, 'a bug of Portico’s own; please report it', { where, ...fields, stack });
  }

  /** A handler of the user's threw. One handler is one kind, whatever it threw with. */
  handlerFailed(error: unknown, route: string, fields: LogFields): void {
    this.figures.bugs++;
    this.logRated('error', `handler ${route}`, 'a handler failed', { route, ...fields, stack: stackOf(error) });
  }

  *list(): Generator<ConnectionInfo> {
    const { now } = this.turn.clock;
    for (const { pipe, protocol: listener, openedAt } of this.pipes.values()) {
      // On a port of several it is known since it was chosen.
      const protocol = (listener === 'tls' || listener === 'shared') && pipe.protocol !== '' ? pipe.protocol : listener;
      yield {
        id: pipe.id,
        protocol,
        remote: addressText(pipe.peer.remote),
        queued: pipe.queued,
        forMs: now - openedAt,
      };
    }
  }

  /** Says that the server leaves to those who ask, and goes on for as long as the limit has it. */
  async giveNotice(): Promise<void> {
    this.leaving = true;
    const { noticeMs } = this.limits;
    if (noticeMs > 0) await new Promise((resolve) => setTimeout(resolve, noticeMs));
  }

  /** Lets nobody in any more and asks all to leave; resolves when they have, or were cut. */
  leaveAll(why: Why = SHUTDOWN): Promise<void> {
    this.leaving = true;
    this.shut = true;
    if (this.pipes.size === 0) return Promise.resolve();
    const empty = new Promise<void>((resolve) => this.emptied.push(resolve));
    for (const { pipe } of [...this.pipes.values()]) pipe.leave(why, this.limits.leaveMs);
    return empty;
  }

  /** Asks those to leave that are open on behalf of somebody who no longer stands; cuts who does not. */
  revoke(stands: (caller: Caller) => boolean): void {
    for (const { pipe } of [...this.within.values(), ...this.pipes.values()])
      if (!pipe.callers.every(stands)) pipe.leave(REVOKED, REVOKED_MS);
  }

  stop(): void {
    this.budget.stop();
  }

  private logRated(level: 'info' | 'error', kind: string, text: string, fields: LogFields): void {
    const before = this.rated.pass(kind, this.turn.clock.now);
    if (before < 0) return;
    this.log[level](text, before === 0 ? fields : { ...fields, alsoNotLogged: before });
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function tapPipe({ pipe, openedAt }: Known, tap: Tap | null): void {
  pipe.tap = tap;
  tap?.opened(pipe.id, pipe.peer, pipe.shownAs ?? pipe.protocol, openedAt, pipe.receivedBytes, pipe.sentBytes);
}
