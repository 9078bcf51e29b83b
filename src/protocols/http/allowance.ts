// How often a peer may do what costs us more than it: so many at once, and so many a second from then on.
import type { Instant } from '../../core/time.ts';

export class Allowance {
  private readonly most: number;
  private readonly perSecond: number;
  private level: number;
  private at: Instant = 0;

  constructor(most: number, perSecond: number) {
    this.most = most;
    this.perSecond = perSecond;
    this.level = most;
  }

  /** Uses one up; false when there is none left. */
  take(now: Instant): boolean {
    if (this.level < this.most) {
      this.level = Math.min(this.most, this.level + ((now - this.at) * this.perSecond) / 1_000);
    }
    this.at = now;
    if (this.level < 1) return false;
    this.level--;
    return true;
  }

  /** Something useful was done, which allows so many more. */
  earn(more: number): void {
    if (this.level < this.most) this.level = Math.min(this.most, this.level + more);
  }
}
