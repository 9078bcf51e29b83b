// The servers behind one site: which of them is well, and whose turn it is. Asked at intervals where a path to ask is
// given, and watched by how requests fare in any case. It does no I/O: how to ask is handed in.
import type { Clock, Instant } from '../core/time.ts';
import { NEVER } from '../core/time.ts';
import type { Origin } from '../protocols/http1/pool.ts';

export interface Health {
  /** Asked with GET; 2xx and 3xx are well. */
  readonly path: string;
  readonly everyMs: number;
  /** An answer that takes longer is none. */
  readonly withinMs: number;
}

export interface Upstream {
  /** As it was configured, for people. */
  readonly url: string;
  readonly origin: Origin;
  /** Host, and the port where it is not the scheme's own. */
  readonly authority: string;
  /** Before the path of a request; '' for none. */
  readonly base: string;
  /** Requests under way. */
  open: number;
  /** The last answer to a health request, or none was asked yet. */
  isWell: boolean;
  /** Until then it is not tried after it failed. */
  downUntil: Instant;
  /** Failures one after the other. */
  failures: number;
  served: number;
  failed: number;
}

/** After a failure it is left alone for so long, twice as long each time, up to the most. */
const DOWN_MS = 1_000;
const DOWN_MOST_MS = 30_000;

export class Upstreams {
  readonly all: readonly Upstream[];
  readonly health: Health | null;
  /** Told when one goes down or comes back. */
  private readonly changed: (upstream: Upstream, isUp: boolean, why: string) => void;
  private turn = 0;

  constructor(
    all: readonly Upstream[],
    health: Health | null,
    changed: (upstream: Upstream, isUp: boolean, why: string) => void,
  ) {
    this.all = all;
    this.health = health;
    this.changed = changed;
  }

  /**
   * The one with the fewest requests under way of those that are well, in turn where they are equal. Null when none is
   * well that was not tried yet.
   */
  choose({ now }: Clock, tried: ReadonlySet<Upstream>): Upstream | null {
    const { all } = this;
    let best: Upstream | null = null;
    for (let step = 0; step < all.length; step++) {
      const each = all[(this.turn + step) % all.length]!;
      if (tried.has(each) || !each.isWell || now < each.downUntil) continue;
      if (best === null || each.open < best.open) best = each;
    }
    this.turn = (this.turn + 1) % all.length;
    // The only one there is is tried whatever it did before: there is nothing better to do with the request.
    if (best === null && all.length === 1 && !tried.has(all[0]!)) return all[0]!.isWell ? all[0]! : null;
    return best;
  }

  /** It answered, whatever the answer. */
  succeeded(upstream: Upstream): void {
    upstream.served++;
    if (upstream.failures > 0 && upstream.isWell) this.changed(upstream, true, 'it answers again');
    upstream.failures = 0;
    upstream.downUntil = 0;
  }

  /** It could not be reached, or broke off before it answered. */
  didFail(upstream: Upstream, { now }: Clock, why: string): void {
    upstream.failed++;
    upstream.failures++;
    upstream.downUntil = now + Math.min(DOWN_MOST_MS, DOWN_MS * 2 ** Math.min(upstream.failures - 1, 10));
    if (upstream.failures === 1 && upstream.isWell) this.changed(upstream, false, why);
  }

  /** What a health request found. */
  checked(upstream: Upstream, isWell: boolean, why: string): void {
    if (upstream.isWell === isWell) return;
    upstream.isWell = isWell;
    if (isWell) {
      upstream.failures = 0;
      upstream.downUntil = 0;
    }
    this.changed(upstream, isWell, why);
  }

  /** When one that is down may be tried again, for Retry-After; NEVER when only a health request will tell. */
  nextTry(): Instant {
    let next = NEVER;
    for (const { isWell, downUntil } of this.all) if (isWell) next = Math.min(next, downUntil);
    return next;
  }
}
