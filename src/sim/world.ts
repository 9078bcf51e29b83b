// Simulated time: an event queue and the server's own turns over it, from one seed. Nothing here waits for real.
import type { Turn } from '../core/turn.ts';
import { type Loop, TurnLoop } from '../server/turn.ts';
import { Random } from './random.ts';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly step: () => void;
  off: boolean;
}

export class World implements Loop {
  readonly random: Random;
  readonly turn: Turn;
  /** Bugs that the server's guards caught. A test asserts that there are none. */
  readonly bugs: string[] = [];
  private time = 0;
  private order = 0;
  /** A binary heap by time, then by order. */
  private readonly queue: Event[] = [];

  constructor(seed: number) {
    this.random = new Random(seed);
    this.turn = new TurnLoop(this, (error, where) => {
      this.bugs.push(`${where}: ${error instanceof Error ? error.stack : String(error)}`);
    });
  }

  now(): number {
    return this.time;
  }

  /** Simulated worlds begin on the same day. */
  wall(): number {
    return 1_800_000_000_000 + Math.floor(this.time);
  }

  soon(step: () => void): void {
    this.at(this.time, step);
  }

  after(ms: number, step: () => void): () => void {
    const event = this.at(this.time + ms, step);
    return () => {
      event.off = true;
    };
  }

  /** Runs `step` at a time; steps of one time run in the order in which they were given. */
  at(at: number, step: () => void): Event {
    const event: Event = { at: Math.max(at, this.time), order: this.order++, step, off: false };
    const { queue } = this;
    let index = queue.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      if (!before(event, queue[parent]!)) break;
      queue[index] = queue[parent]!;
      index = parent;
    }
    queue[index] = event;
    return event;
  }

  /** Runs until nothing is left to do before `until`, which time then is; answers how many steps that took. */
  run(until: number, stepsMax = 10_000_000): number {
    let steps = 0;
    while (this.queue.length > 0 && this.queue[0]!.at <= until) {
      const event = this.pop();
      if (event.off) continue;
      this.time = event.at;
      event.step();
      if (++steps > stepsMax) throw new Error(`still busy after ${stepsMax} steps at ${this.time} ms`);
    }
    this.time = until;
    return steps;
  }

  /** Runs for `ms` of simulated time. */
  pass(ms: number): void {
    this.run(this.time + ms);
  }

  private pop(): Event {
    const { queue } = this;
    const first = queue[0]!;
    const last = queue.pop()!;
    if (queue.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= queue.length) break;
      if (child + 1 < queue.length && before(queue[child + 1]!, queue[child]!)) child++;
      if (!before(queue[child]!, last)) break;
      queue[index] = queue[child]!;
      index = child;
    }
    queue[index] = last;
    return first;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
