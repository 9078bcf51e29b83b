// Spreads packets over the round trip (RFC 9002 §7.7): a bucket that fills at a little more than the window's rate.
import { type Instant, NEVER } from '../../../core/time.ts';

const FASTER = 1.25;
/** Packets that may leave together. */
const BURST = 10;
/** Timers come no more often: what is earned in between may leave at once. */
const TIMER_MS = 2;

export class Pacer {
  private budget = Number.POSITIVE_INFINITY;
  private at: Instant = 0;

  /** How many bytes may leave now. */
  room(window: number, roundTripMs: number, segment: number, now: Instant): number {
    const rate = (FASTER * window) / Math.max(roundTripMs, 0.05);
    const most = Math.max(BURST * segment, rate * TIMER_MS);
    this.budget = Math.min(most, this.budget + (now - this.at) * rate);
    this.at = now;
    return this.budget;
  }

  sent(bytes: number): void {
    this.budget -= bytes;
  }

  /** When a whole segment may leave, after `room` was too little for it. */
  next(window: number, roundTripMs: number, segment: number): Instant {
    if (this.budget >= segment) return NEVER;
    const rate = (FASTER * window) / Math.max(roundTripMs, 0.05);
    return this.at + Math.max(1, (segment - this.budget) / rate);
  }
}
