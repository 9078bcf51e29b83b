// Who is let in: how many connections there may be at once, from one address, how fast they may come, and who broke a
// protocol too often. It decides before a pipe is made and does not know what is spoken.
import { type Address, isLoopback } from '../core/peer.ts';
import type { Instant } from '../core/time.ts';

export interface DoorkeeperBounds {
  /** Connections at once. */
  readonly connectionsMax: number;
  /** Connections at once from one address. */
  readonly connectionsPerAddressMax: number;
  /** New connections a second from one address, on average; bursts are four seconds' worth. */
  readonly connectionsPerSecondMax: number;
  /** Faults a minute from one address, past which it is refused for a minute. Loopback is one address for all: exempt. */
  readonly faultsPerMinuteMax: number;
}

export const DOORKEEPER_BOUNDS: DoorkeeperBounds = {
  connectionsMax: 20_000,
  connectionsPerAddressMax: 10_000,
  connectionsPerSecondMax: 2_000,
  faultsPerMinuteMax: 60,
};

/** Why somebody is not let in. */
export const TOO_MANY = 'too many connections';
export const TOO_MANY_HERE = 'too many connections from this address';
export const TOO_FAST = 'connections come too fast from this address';
export const LOCKED_OUT = 'too many faults from this address';
export const SHEDDING = 'the server is short of memory';
export type Refusal = typeof TOO_MANY | typeof TOO_MANY_HERE | typeof TOO_FAST | typeof LOCKED_OUT | typeof SHEDDING;

interface Visitor {
  open: number;
  /** What is left of the burst, as of `at`. */
  tokens: number;
  at: Instant;
  failures: number;
  failuresSince: Instant;
  lockedUntil: Instant;
}

const BURST_SECONDS = 4;
const MINUTE = 60_000;
/** Addresses that are remembered without a connection. */
const REMEMBERED = 65_536;

export class Doorkeeper {
  open = 0;
  /** Set while memory is short: nobody new comes in. */
  closed = false;
  private readonly bounds: DoorkeeperBounds;
  private readonly visitors = new Map<string, Visitor>();

  constructor(bounds: DoorkeeperBounds) {
    this.bounds = bounds;
  }

  /** Null lets the connection in, which `left` must be told the end of. Unix sockets have no address. */
  admit(remote: Address | null, now: Instant): Refusal | null {
    if (this.closed) return SHEDDING;
    if (this.open >= this.bounds.connectionsMax) return TOO_MANY;
    const visitor = this.visitor(remote, now);
    if (visitor.lockedUntil > now) return LOCKED_OUT;
    if (remote !== null) {
      if (visitor.open >= this.bounds.connectionsPerAddressMax) return TOO_MANY_HERE;
      this.refill(visitor, now);
      if (visitor.tokens < 1) return TOO_FAST;
      visitor.tokens--;
    }
    visitor.open++;
    this.open++;
    return null;
  }

  left(remote: Address | null): void {
    this.open--;
    const visitor = this.visitors.get(keyOf(remote));
    if (visitor !== undefined) visitor.open--;
  }

  /** One that was let in turns out to be another's. When that one is not let in, it stays counted as it was. */
  moved(from: Address | null, to: Address | null, now: Instant): Refusal | null {
    this.left(from);
    const refusal = this.admit(to, now);
    if (refusal === null) return null;
    this.open++;
    this.visitor(from, now).open++;
    return refusal;
  }

  /** A connection from there broke its protocol. */
  failed(remote: Address | null, now: Instant): void {
    if (remote === null || isLoopback(remote.host)) return;
    const visitor = this.visitor(remote, now);
    if (now - visitor.failuresSince >= MINUTE) {
      visitor.failures = 0;
      visitor.failuresSince = now;
    }
    if (++visitor.failures >= this.bounds.faultsPerMinuteMax) visitor.lockedUntil = now + MINUTE;
  }

  private visitor(remote: Address | null, now: Instant): Visitor {
    const key = keyOf(remote);
    let visitor = this.visitors.get(key);
    if (visitor === undefined) {
      if (this.visitors.size >= REMEMBERED) this.forget(now);
      const tokens = this.bounds.connectionsPerSecondMax * BURST_SECONDS;
      visitor = { open: 0, tokens, at: now, failures: 0, failuresSince: now, lockedUntil: 0 };
      this.visitors.set(key, visitor);
    }
    return visitor;
  }

  private refill(visitor: Visitor, now: Instant): void {
    const rate = this.bounds.connectionsPerSecondMax;
    visitor.tokens = Math.min(rate * BURST_SECONDS, visitor.tokens + ((now - visitor.at) / 1_000) * rate);
    visitor.at = now;
  }

  /** Makes room: those who are not here and not locked out first, else whoever has not been seen for longest. */
  private forget(now: Instant): void {
    for (const [key, visitor] of this.visitors)
      if (visitor.open === 0 && visitor.lockedUntil <= now && now - visitor.at >= BURST_SECONDS * 1_000)
        this.visitors.delete(key);
    for (const [key, visitor] of this.visitors) {
      // Many at once: looking through all of them is not to be repeated for each newcomer.
      if (this.visitors.size < REMEMBERED * 0.75) return;
      if (visitor.open === 0) this.visitors.delete(key);
    }
  }
}

/** One IPv6 customer has a /64 to choose addresses from. */
function keyOf(remote: Address | null): string {
  if (remote === null) return '';
  const { host } = remote;
  if (!host.includes(':') || isLoopback(host)) return host;
  if (/^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(host)) return host.slice(7);
  const [head = '', tail] = host.split('%')[0]!.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  if (tail !== undefined) while (groups.length + after.length < 8) groups.push('0');
  return `${[...groups, ...after].slice(0, 4).join(':')}::/64`;
}
