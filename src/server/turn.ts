// Turns on an event loop: the dirty list, emptied once a turn, and the wheel of deadlines. Where time comes from and how a
// step is put off is handed in, so that the simulator runs the very same code.
import type { Clock } from '../core/time.ts';
import type { Turn, Turned } from '../core/turn.ts';
import { TimerWheel } from './wheel.ts';

/** The event loop as turns need it. */
export interface Loop {
  now(): number;
  wall(): number;
  /** Runs `step` after the poll phase. */
  soon(step: () => void): void;
  /** Runs `step` in `ms`; answers how to call it off. */
  after(ms: number, step: () => void): () => void;
}

/** Node's. The timer does not keep the process alive: listeners and sockets do. */
export const NODE_LOOP: Loop = {
  now: () => performance.now(),
  wall: () => Date.now(),
  soon: (step) => void setImmediate(step),
  after: (ms, step) => {
    const timer = setTimeout(step, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export class TurnLoop implements Turn {
  private readonly loop: Loop;
  private readonly onBug: (error: unknown, where: string) => void;
  private readonly wheel: TimerWheel;
  private readonly reading = { now: 0, wall: 0 };
  private fresh = false;
  private scheduled = false;
  private dirty: Turned[] = [];
  private spare: Turned[] = [];
  private armedAt = Number.POSITIVE_INFINITY;
  private disarm: (() => void) | null = null;
  private readonly empty = () => this.run();
  private readonly fire = () => this.timer();

  constructor(loop: Loop, onBug: (error: unknown, where: string) => void) {
    this.loop = loop;
    this.onBug = onBug;
    this.wheel = new TimerWheel(loop.now());
  }

  /** Read at the first use in a turn, the same until its end. */
  get clock(): Clock {
    if (!this.fresh) {
      this.reading.now = this.loop.now();
      this.reading.wall = this.loop.wall();
      this.fresh = true;
      this.schedule();
    }
    return this.reading;
  }

  touch(item: Turned): void {
    if (item.touched) return;
    item.touched = true;
    this.dirty.push(item);
    this.schedule();
  }

  forget(item: Turned): void {
    this.wheel.remove(item);
  }

  bug(error: unknown, where: string): void {
    this.onBug(error, where);
  }

  /** Calls off the timer: nothing runs any more by itself. */
  stop(): void {
    this.disarm?.();
    this.disarm = null;
    this.armedAt = Number.POSITIVE_INFINITY;
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.loop.soon(this.empty);
  }

  /** Empties the dirty list. What is touched meanwhile has its turn in the next. */
  private run(): void {
    // Still marked as scheduled, so that neither reading the clock nor a touch from within schedules a second run.
    const { clock } = this;
    const items = this.dirty;
    this.dirty = this.spare;
    for (let index = 0; index < items.length; index++) {
      const item = items[index]!;
      item.touched = false;
      try {
        item.work(clock);
      } catch (error) {
        this.bug(error, 'work');
      }
      this.wheel.schedule(item, item.due);
    }
    items.length = 0;
    this.spare = items;
    this.fresh = false;
    this.scheduled = false;
    if (this.dirty.length > 0) this.schedule();
    this.arm();
  }

  private arm(): void {
    const next = this.wheel.next();
    if (next >= this.armedAt) return;
    this.disarm?.();
    this.armedAt = next;
    // A timer may fire a fraction early by this clock; one millisecond more saves a useless wake-up.
    this.disarm = this.loop.after(Math.min(Math.max(1, Math.ceil(next - this.loop.now())), 0x7fff_ffff), this.fire);
  }

  private timer(): void {
    this.disarm = null;
    this.armedAt = Number.POSITIVE_INFINITY;
    const { clock } = this;
    this.wheel.advance(clock.now, (item) => this.due(item, clock));
    this.schedule();
  }

  private due(item: Turned, clock: Clock): void {
    const { due } = item;
    if (due > clock.now) {
      this.wheel.schedule(item, due);
      return;
    }
    try {
      item.tick(clock);
    } catch (error) {
      this.bug(error, 'tick');
    }
    this.touch(item);
  }
}
