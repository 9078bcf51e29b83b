// How much may be on its way: NewReno (RFC 9002 §7) and CUBIC (RFC 9438). Bytes and milliseconds; what is on its way is
// counted by who asks.
import type { Instant } from '../../../core/time.ts';

export type Algorithm = 'cubic' | 'newreno';

export interface Congestion {
  readonly window: number;
  readonly threshold: number;
  /** Packets that were sent before the last reduction do not reduce again. */
  readonly recoveryAt: Instant;
  acked(bytes: number, sentAt: Instant, now: Instant, roundTripMs: number): void;
  /** Loss or a mark of a packet that was sent at `sentAt`. */
  event(sentAt: Instant, now: Instant): void;
  /** Nothing came through for long (RFC 9002 §7.6). */
  collapsed(): void;
  segment(bytes: number): void;
}

/** RFC 9002 §7.2. */
export function firstWindow(segment: number): number {
  return Math.min(10 * segment, Math.max(14_720, 2 * segment));
}

export class NewReno implements Congestion {
  window: number;
  threshold = Number.POSITIVE_INFINITY;
  recoveryAt: Instant = Number.NEGATIVE_INFINITY;
  protected bytes: number;

  constructor(segment: number) {
    this.bytes = segment;
    this.window = firstWindow(segment);
  }

  protected get least(): number {
    return 2 * this.bytes;
  }

  acked(bytes: number, sentAt: Instant, _now: Instant, _roundTripMs: number): void {
    if (sentAt <= this.recoveryAt) return;
    if (this.window < this.threshold) this.window += bytes;
    else this.window += (this.bytes * bytes) / this.window;
  }

  event(sentAt: Instant, now: Instant): void {
    if (sentAt <= this.recoveryAt) return;
    this.recoveryAt = now;
    this.window = this.threshold = Math.max(this.window / 2, this.least);
  }

  collapsed(): void {
    this.window = this.least;
    this.recoveryAt = Number.NEGATIVE_INFINITY;
  }

  segment(bytes: number): void {
    this.window = Math.max(this.window, 2 * bytes);
    this.bytes = bytes;
  }
}

const BETA = 0.7;
const C = 0.4;
const ALPHA = (3 * (1 - BETA)) / (1 + BETA);

export class Cubic extends NewReno {
  private most = 0;
  private epochAt: Instant = Number.NaN;
  /** Seconds until the window is what it was. */
  private k = 0;
  /** What NewReno would have, in bytes. */
  private estimate = 0;

  override acked(bytes: number, sentAt: Instant, now: Instant, roundTripMs: number): void {
    if (sentAt <= this.recoveryAt) return;
    if (this.window < this.threshold) {
      this.window += bytes;
      return;
    }
    if (Number.isNaN(this.epochAt)) {
      this.epochAt = now;
      this.estimate = this.window;
      if (this.most <= this.window) {
        this.most = this.window;
        this.k = 0;
      } else this.k = Math.cbrt((this.most - this.window) / this.bytes / C);
    }
    const t = (now - this.epochAt) / 1_000;
    const at = (seconds: number) => C * (seconds - this.k) ** 3 * this.bytes + this.most;
    // RFC 9438 §4.3: as good as NewReno at least.
    this.estimate += ((this.estimate >= this.most ? 1 : ALPHA) * bytes * this.bytes) / this.window;
    if (at(t) < this.estimate) {
      this.window = Math.max(this.window, this.estimate);
      return;
    }
    const target = Math.min(Math.max(at(t + roundTripMs / 1_000), this.window), this.window * 1.5);
    this.window += ((target - this.window) * bytes) / this.window;
  }

  override event(sentAt: Instant, now: Instant): void {
    if (sentAt <= this.recoveryAt) return;
    this.recoveryAt = now;
    this.epochAt = Number.NaN;
    // RFC 9438 §4.7: who had less than last time leaves more to others.
    this.most = this.window < this.most ? (this.window * (1 + BETA)) / 2 : this.window;
    this.window = this.threshold = Math.max(this.window * BETA, this.least);
  }

  override collapsed(): void {
    super.collapsed();
    this.epochAt = Number.NaN;
    this.most = 0;
  }
}

export function congestionOf(algorithm: Algorithm, segment: number): Congestion {
  return algorithm === 'cubic' ? new Cubic(segment) : new NewReno(segment);
}
