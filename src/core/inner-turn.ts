// A turn within another: streams that one connection carries are worked when that connection is, before its bytes go out.
import type { Clock, Instant } from './time.ts';
import type { Turn, Turned } from './turn.ts';

/** The connection that carries them. */
export interface Outer {
  readonly clock: Clock;
  /** Has `run` called before what was written goes out. */
  flush(): void;
  /** Has its deadline be no later than this. */
  wake(due: Instant): void;
}

export class InnerTurn implements Turn {
  private readonly outer: Outer;
  private readonly onBug: (error: unknown, where: string) => void;
  private dirty: Turned[] = [];

  constructor(outer: Outer, onBug: (error: unknown, where: string) => void) {
    this.outer = outer;
    this.onBug = onBug;
  }

  get clock(): Clock {
    return this.outer.clock;
  }

  touch(item: Turned): void {
    if (item.touched) return;
    item.touched = true;
    this.dirty.push(item);
    this.outer.flush();
  }

  forget(): void {}

  bug(error: unknown, where: string): void {
    this.onBug(error, where);
  }

  run(clock: Clock): void {
    if (this.dirty.length === 0) return;
    const { dirty } = this;
    this.dirty = [];
    for (const item of dirty) {
      item.touched = false;
      try {
        item.work(clock);
      } catch (error) {
        this.bug(error, 'work of a stream');
      }
      this.outer.wake(item.due);
    }
  }
}
