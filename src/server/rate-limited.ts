// Lets the first lines of a kind through and counts the rest, so that a peer cannot fill a disk with the log.
import type { Instant } from '../core/time.ts';

/** How many lines of one kind are written a minute. */
const A_MINUTE = 10;
const WINDOW_MS = 60_000;
/** Kinds that are told apart; past it the one that began first is forgotten. */
const KINDS_MAX = 1_024;

export class RateLimited {
  private readonly kinds = new Map<string, { since: Instant; count: number }>();

  /** How many lines of this kind were left out before this one, or -1 when this one is left out too. */
  pass(kind: string, now: Instant): number {
    const seen = this.kinds.get(kind);
    if (seen !== undefined && now - seen.since < WINDOW_MS) {
      seen.count++;
      return seen.count > A_MINUTE ? -1 : 0;
    }
    this.kinds.delete(kind);
    const [oldest] = this.kinds.keys();
    if (this.kinds.size >= KINDS_MAX && oldest !== undefined) this.kinds.delete(oldest);
    this.kinds.set(kind, { since: now, count: 1 });
    return seen === undefined ? 0 : Math.max(0, seen.count - A_MINUTE);
  }
}
