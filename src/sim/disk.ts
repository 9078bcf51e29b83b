// A simulated disk, as a store in memory meets it: steps take time from the world's seed, in order; it can stall, fill up
// and fail. Give `later` and `injected` to the memory engine.
import type { Outcome } from '../core/outcome.ts';
import type { World } from './world.ts';

export interface DiskOptions {
  /** What one step takes, at least and at most. */
  readonly leastMs?: number;
  readonly mostMs?: number;
}

export class SimulatedDisk {
  /** What commits are answered with instead of being done; null for none. */
  readonly injected: { refuse: Outcome | null; hold: boolean } = { refuse: null, hold: false };
  private readonly world: World;
  private readonly leastMs: number;
  private readonly mostMs: number;
  private doneAt = 0;
  private stalled: (() => void)[] | null = null;

  constructor(world: World, options: DiskOptions = {}) {
    this.world = world;
    this.leastMs = options.leastMs ?? 0.05;
    this.mostMs = options.mostMs ?? 5;
  }

  /** Runs a step when the disk has done all before it and this one. */
  readonly later = (step: () => void): void => {
    if (this.stalled !== null) {
      this.stalled.push(step);
      return;
    }
    const { random } = this.world;
    const takes = this.leastMs + (random.below(1_000) / 1_000) * (this.mostMs - this.leastMs);
    this.doneAt = Math.max(this.doneAt, this.world.now()) + takes;
    this.world.at(this.doneAt, step);
  };

  /** Nothing is done until it is called with false. */
  stall(on: boolean): void {
    if (on) {
      this.stalled ??= [];
      return;
    }
    const waiting = this.stalled ?? [];
    this.stalled = null;
    for (const step of waiting) this.later(step);
  }

  /** Answers every commit with an outcome, FULL or FAILED, until it is called with null. */
  refuse(outcome: Outcome | null): void {
    this.injected.refuse = outcome;
  }
}
