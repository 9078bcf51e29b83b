// The connections that stand: how many there are, from where, what they hold, and how all of them are asked to leave.

import type { Fault } from '../core/fault.ts';
import type { Log } from '../core/log.ts';
import { type Address, addressText } from '../core/peer.ts';
import { type Cause, OVERLOADED, SHUTDOWN, type Why } from '../core/pipe.ts';
import type { PipeEvents, StreamPipe } from '../core/stream-pipe.ts';
import { type Clock, type Instant, NEVER } from '../core/time.ts';
import { type Turn, Turned } from '../core/turn.ts';

export interface RegistryLimits {
  /** Connections at once, and of one address. */
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** Faults of one address in a minute, after which new connections from it are refused until the minute is over. */
  readonly faultsPerMinuteMax: number;
  /** Bytes that all connections together may have waiting to be sent. */
  readonly queuedBytesMax: number;
  /** How long a connection may take to leave. */
  readonly leaveMs: number;
}

export const REGISTRY_LIMITS: RegistryLimits = {
  connectionsMax: 20_000,
  connectionsPerAddressMax: 10_000,
  faultsPerMinuteMax: 600,
  queuedBytesMax: 536_870_912,
  leaveMs: 5_000,
};

/** How often the budget is looked at. */
const LOOK_MS = 250;

/** Addresses whose faults are counted; beyond it the oldest are forgotten. */
const ADDRESSES_MAX = 10_000;

/** One kind of fault is logged this often in a minute; what follows is counted and told when the minute is over. */
const LOGGED_PER_MINUTE = 10;

export interface ConnectionFigures {
  opened: number;
  refused: number;
  faults: number;
  bugs: number;
  shed: number;
}

interface Known {
  readonly pipe: StreamPipe;
  readonly protocol: string;
  readonly openedAt: Instant;
}

/** What is known of a connection, for those who look. */
export interface ConnectionInfo {
  readonly id: number;
  readonly protocol: string;
  readonly remote: string;
  readonly queued: number;
  readonly forMs: number;
}

export class Registry extends Turned implements PipeEvents {
  readonly figures: ConnectionFigures = { opened: 0, refused: 0, faults: 0, bugs: 0, shed: 0 };
  private readonly turn: Turn;
  private readonly log: Log;
  private readonly limits: RegistryLimits;
  private readonly pipes = new Map<number, Known>();
  private readonly perHost = new Map<string, number>();
  private readonly faultsOf = new Map<string, number>();
  private readonly logged = new Map<string, number>();
  private minuteAt: Instant;
  private lookAt: Instant;
  private emptied: (() => void)[] = [];
  private overBudget = false;

  constructor(turn: Turn, log: Log, limits: RegistryLimits) {
    super();
    this.turn = turn;
    this.log = log;
    this.limits = limits;
    const { now } = turn.clock;
    this.minuteAt = now + 60_000;
    this.lookAt = now + LOOK_MS;
    turn.touch(this);
  }

  get size(): number {
    return this.pipes.size;
  }

  /** Whether one more connection from an address may come in. */
  admit(remote: Address | null): boolean {
    const host = remote?.host ?? '';
    const { connectionsMax, connectionsPerAddressMax, faultsPerMinuteMax } = this.limits;
    const may =
      !this.overBudget &&
      this.pipes.size < connectionsMax &&
      (this.perHost.get(host) ?? 0) < connectionsPerAddressMax &&
      (this.faultsOf.get(host) ?? 0) < faultsPerMinuteMax;
    if (may) return true;
    this.figures.refused++;
    this.logOften('a connection was refused: too many', { from: addressText(remote) });
    return false;
  }

  opened(pipe: StreamPipe, protocol: string): void {
    this.figures.opened++;
    this.pipes.set(pipe.id, { pipe, protocol, openedAt: this.turn.clock.now });
    const host = pipe.peer.remote?.host ?? '';
    this.perHost.set(host, (this.perHost.get(host) ?? 0) + 1);
  }

  faulted(pipe: StreamPipe, fault: Fault): void {
    this.figures.faults++;
    const host = pipe.peer.remote?.host ?? '';
    if (this.faultsOf.size >= ADDRESSES_MAX && !this.faultsOf.has(host))
      this.faultsOf.delete(this.faultsOf.keys().next().value!);
    this.faultsOf.set(host, (this.faultsOf.get(host) ?? 0) + 1);
    this.logOften(fault.text, {
      fault: fault.id,
      spec: fault.spec,
      connection: pipe.id,
      from: addressText(pipe.peer.remote),
    });
  }

  closed(pipe: StreamPipe, cause: Cause, _wire: number): void {
    const known = this.pipes.get(pipe.id);
    if (known === undefined) return;
    this.pipes.delete(pipe.id);
    const host = pipe.peer.remote?.host ?? '';
    const left = this.perHost.get(host)! - 1;
    if (left === 0) this.perHost.delete(host);
    else this.perHost.set(host, left);
    this.log.debug('a connection ended', { connection: pipe.id, protocol: known.protocol, cause });
    if (this.pipes.size === 0) for (const then of this.emptied.splice(0)) then();
  }

  *list(): Generator<ConnectionInfo> {
    const { now } = this.turn.clock;
    for (const { pipe, protocol, openedAt } of this.pipes.values())
      yield {
        id: pipe.id,
        protocol,
        remote: addressText(pipe.peer.remote),
        queued: pipe.queued,
        forMs: now - openedAt,
      };
  }

  /** Asks all to leave; resolves when they have, or were cut. */
  leaveAll(why: Why = SHUTDOWN): Promise<void> {
    if (this.pipes.size === 0) return Promise.resolve();
    const empty = new Promise<void>((resolve) => this.emptied.push(resolve));
    for (const { pipe } of [...this.pipes.values()]) pipe.leave(why, this.limits.leaveMs);
    return empty;
  }

  stop(): void {
    this.lookAt = NEVER;
    this.turn.forget(this);
  }

  // ---- Turned ------------------------------------------------------------------------------------------------------

  get due(): Instant {
    return this.lookAt;
  }

  work(): void {}

  tick(clock: Clock): void {
    this.lookAt = clock.now + LOOK_MS;
    this.shed();
    if (clock.now < this.minuteAt) return;
    this.minuteAt = clock.now + 60_000;
    this.faultsOf.clear();
    for (const [text, count] of this.logged)
      if (count > LOGGED_PER_MINUTE) this.log.warn(`${text} (${count - LOGGED_PER_MINUTE} more in the last minute)`);
    this.logged.clear();
  }

  /** Over the budget, first nobody new comes in, then those go for whom most waits. */
  private shed(): void {
    let total = 0;
    for (const { pipe } of this.pipes.values()) total += pipe.queued;
    this.overBudget = total > this.limits.queuedBytesMax * 0.9;
    if (total <= this.limits.queuedBytesMax) return;
    const slowest = [...this.pipes.values()].sort((one, other) => other.pipe.queued - one.pipe.queued);
    for (const { pipe } of slowest) {
      if (total <= this.limits.queuedBytesMax * 0.8) return;
      total -= pipe.queued;
      this.figures.shed++;
      this.log.warn('a slow connection was ended to stay within the memory budget', {
        connection: pipe.id,
        queued: pipe.queued,
      });
      pipe.leave(OVERLOADED, 1_000);
    }
  }

  private logOften(text: string, fields: Readonly<Record<string, string | number>>): void {
    const count = (this.logged.get(text) ?? 0) + 1;
    this.logged.set(text, count);
    if (count <= LOGGED_PER_MINUTE) this.log.info(text, fields);
  }
}
