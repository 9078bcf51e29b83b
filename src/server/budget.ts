// The one memory budget of the process, and the order in which load is shed when it runs out: first nobody new is let in,
// then those that publish are not read from, then the slowest subscribers are disconnected.
import { totalmem } from 'node:os';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Connection } from '../core/connection.ts';
import type { Log } from '../core/log.ts';
import { OVERLOADED } from '../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../core/time.ts';
import { type Turn, Turned } from '../core/turn.ts';

export const CALM = 0;
/** New connections are refused. */
export const REFUSING = 1;
/** And publishers are not read from. */
export const PAUSING = 2;
/** And the slowest subscribers are disconnected. */
export const CUTTING = 3;
export type Shedding = typeof CALM | typeof REFUSING | typeof PAUSING | typeof CUTTING;

/** At which part of the budget each begins; it ends a twentieth below. */
const BEGINS = [0, 0.8, 0.9, 1] as const;
const HYSTERESIS = 0.05;

const SAYS = [
  'memory is well within the budget again',
  'memory runs short: new connections are refused',
  'memory runs short: publishers are not read from',
  'memory has run out: the slowest subscribers are disconnected',
] as const;

const EVERY_MS = 250;
/** Garbage that was not collected yet counts as memory in use: only the second measurement in a row raises the alarm. */
const CONFIRMED = 2;
/**
 * A process that lets nobody in allocates nothing and so collects nothing: it is made to, this often at most, and for at
 * most one part in so many of its time.
 */
const COLLECT_MS = 2_000;
const COLLECT_ONE_IN = 20;
/** More than this in one measuring, and more than it was sent, makes a publisher. */
const PUBLISHES_BYTES = 16_384;
/** Fewer queued bytes than this free nothing worth a connection. */
const SLOW_BYTES = 65_536;
/** At each measuring at most one in so many connections is cut, and at least one. */
const CUT_ONE_IN = 20;
const CUT_GRACE_MS = 1_000;

/** What the budget needs of a connection. */
export interface Measured {
  readonly pipe: Connection;
  readonly protocol: string;
  /** `receivedBytes` and `sentBytes` of the pipe when memory was last measured. */
  received: number;
  sent: number;
}

/** The memory that is measured. */
export interface Memory {
  /** Bytes in use now, garbage included. */
  inUse(): number;
  /** Gives garbage back; answers how many milliseconds that took. */
  collect(): number;
}

export interface BudgetOptions {
  readonly turn: Turn;
  readonly log: Log;
  readonly bytesMax: number;
  readonly memory: Memory;
  readonly connections: () => Iterable<Measured>;
  /** Lets nobody new in, or lets them in again. */
  readonly refuse: (on: boolean) => void;
  /** Where it is counted who was cut. */
  readonly figures: { shed: number };
}

export class MemoryBudget extends Turned {
  shedding: Shedding = CALM;
  private readonly options: BudgetOptions;
  private at: Instant;
  private above = 0;
  private collectAt: Instant = 0;

  constructor(options: BudgetOptions) {
    super();
    this.options = options;
    this.at = options.turn.clock.now + EVERY_MS;
    options.turn.touch(this);
  }

  stop(): void {
    this.at = NEVER;
    this.options.turn.forget(this);
  }

  get due(): Instant {
    return this.at;
  }

  work(): void {}

  tick(clock: Clock): void {
    this.at = clock.now + EVERY_MS;
    const { memory, bytesMax } = this.options;
    let part = memory.inUse() / bytesMax;
    const alarming = part >= BEGINS[REFUSING] && this.above > 0;
    if ((alarming || this.shedding > CALM) && clock.now >= this.collectAt) {
      this.collectAt = clock.now + Math.max(COLLECT_MS, memory.collect() * COLLECT_ONE_IN);
      part = memory.inUse() / bytesMax;
    }
    const next = this.levelFor(part);
    if (next !== this.shedding) this.change(next, part);
    if (this.shedding >= PAUSING) this.pausePublishers();
    if (this.shedding === CUTTING) this.cutSlowest();
  }

  private levelFor(part: number): Shedding {
    let level: Shedding = CALM;
    for (const candidate of [REFUSING, PAUSING, CUTTING] as const) {
      const begins = BEGINS[candidate] - (candidate <= this.shedding ? HYSTERESIS : 0);
      if (part >= begins) level = candidate;
    }
    if (level <= this.shedding) {
      this.above = 0;
      return level;
    }
    if (++this.above < CONFIRMED) return this.shedding;
    this.above = 0;
    return level;
  }

  private change(next: Shedding, part: number): void {
    const { log, refuse, connections, bytesMax } = this.options;
    if (next >= PAUSING && this.shedding < PAUSING) this.remember();
    if (next < PAUSING && this.shedding >= PAUSING) for (const { pipe } of connections()) pipe.throttle(false);
    refuse(next >= REFUSING);
    const fields = { percent: Math.round(part * 100), budget: bytesMax };
    if (next > this.shedding) log.warn(SAYS[next], fields);
    else log.info(SAYS[next], fields);
    this.shedding = next;
  }

  private remember(): void {
    for (const connection of this.options.connections()) mark(connection);
  }

  /** Those that sent much, and more than they were sent: acknowledgements of subscribers must be read, they free memory. */
  private pausePublishers(): void {
    for (const connection of this.options.connections()) {
      const { pipe } = connection;
      const came = pipe.receivedBytes - connection.received;
      if (came > PUBLISHES_BYTES && came > pipe.sentBytes - connection.sent) pipe.throttle(true);
      mark(connection);
    }
  }

  private cutSlowest(): void {
    const { connections, figures, log } = this.options;
    const all = [...connections()];
    const slow = all.filter(({ pipe }) => pipe.heldBytes >= SLOW_BYTES);
    slow.sort((one, other) => other.pipe.heldBytes - one.pipe.heldBytes);
    for (const { pipe, protocol } of slow.slice(0, Math.max(1, Math.floor(all.length / CUT_ONE_IN)))) {
      figures.shed++;
      const fields = { protocol, connection: pipe.id, held: pipe.heldBytes };
      log.warn('a slow connection was ended to stay within the memory budget', fields);
      pipe.leave(OVERLOADED, CUT_GRACE_MS);
    }
  }
}

function mark(connection: Measured): void {
  connection.received = connection.pipe.receivedBytes;
  connection.sent = connection.pipe.sentBytes;
}

/** Half of what this process may have, of V8's heap as well, and at most 2 GiB. */
export function defaultMemoryBytes(): number {
  const constrained = process.constrainedMemory();
  const machine = constrained > 0 && constrained < totalmem() ? constrained : totalmem();
  return Math.floor(Math.min(machine, getHeapStatistics().heap_size_limit, 4_294_967_296) / 2);
}

let collectGarbage: (() => void) | null = null;

/** This process's: the heap, and buffers beside it. */
export const PROCESS_MEMORY: Memory = {
  inUse() {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  },
  collect() {
    const began = performance.now();
    if (collectGarbage === null) {
      setFlagsFromString('--expose-gc');
      collectGarbage = runInNewContext('gc') as () => void;
      setFlagsFromString('--no-expose-gc');
    }
    collectGarbage();
    return performance.now() - began;
  },
};
