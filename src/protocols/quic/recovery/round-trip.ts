// The estimate of the round trip (RFC 9002 §5). Milliseconds.
import type { Instant } from '../../../core/time.ts';

/** Before there is a sample (RFC 9002 §6.2.2). */
export const FIRST_MS = 333;
/** What timers are worth (RFC 9002 §6.1.2). */
export const GRANULARITY_MS = 1;

export class RoundTrip {
  latest = 0;
  smoothed = FIRST_MS;
  variance = FIRST_MS / 2;
  least = 0;
  /** When the first sample was taken; NaN before. */
  firstAt: Instant = Number.NaN;

  /** @param delay what the peer says that it waited, as far as it may be believed */
  sample(latest: number, delay: number, now: Instant): void {
    this.latest = latest;
    if (Number.isNaN(this.firstAt)) {
      this.firstAt = now;
      this.least = this.smoothed = latest;
      this.variance = latest / 2;
      return;
    }
    this.least = Math.min(this.least, latest);
    const adjusted = latest >= this.least + delay ? latest - delay : latest;
    this.variance = (3 * this.variance + Math.abs(this.smoothed - adjusted)) / 4;
    this.smoothed = (7 * this.smoothed + adjusted) / 8;
  }

  /** The probe timeout without the peer's delay and without backoff (RFC 9002 §6.2.1). */
  get probeMs(): number {
    return this.smoothed + Math.max(4 * this.variance, GRANULARITY_MS);
  }
}
