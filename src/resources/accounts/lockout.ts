// Holds back who guesses: after some failures of one account, or from one address, each further one doubles the wait, the
// same for all protocols. What it keeps is bounded, and cannot be emptied by inventing names or addresses.
import { hash } from 'node:crypto';
import { type Address, isLoopback } from '../../core/peer.ts';
import type { Entropy } from '../../core/time.ts';

export interface LockoutBounds {
  /** Failures that cost nothing, of one account and of one address. */
  readonly freeOfAccount: number;
  readonly freeOfAddress: number;
  /** The first wait and the longest. */
  readonly firstMs: number;
  readonly mostMs: number;
  /** After so long without a failure all is forgotten. */
  readonly forgetMs: number;
  readonly addressesMax: number;
}

export const LOCKOUT: LockoutBounds = {
  freeOfAccount: 5,
  freeOfAddress: 20,
  firstMs: 1_000,
  mostMs: 900_000,
  forgetMs: 3_600_000,
  addressesMax: 65_536,
};

/** Names without an account share so many counters: an attacker may invent as many as he likes. */
const NAMELESS = 4_096;

/** A /48 is one customer, who has 65,536 of /64. */
const WIDE_FACTOR = 16;

/** One counter of failures. */
export class Strikes {
  failures = 0;
  /** Not before; wall milliseconds. */
  until = 0;
  at = 0;
  /** What failed last, as a keyed digest: the same again is a program's old setting and no guess. */
  last = '';
}

export class Lockout {
  private readonly bounds: LockoutBounds;
  private readonly secret = new Uint8Array(32);
  private readonly addresses = new Map<string, Strikes>();
  private readonly nameless: Strikes[] = [];

  constructor(entropy: Entropy, bounds: LockoutBounds = LOCKOUT) {
    this.bounds = bounds;
    entropy.fill(this.secret);
  }

  get size(): number {
    return this.addresses.size;
  }

  /** The counter of a name that has no account. */
  namelessOf(name: string): Strikes {
    const digest = this.digest(name);
    const at = (digest.charCodeAt(0) * 256 + digest.charCodeAt(1)) % NAMELESS;
    this.nameless[at] ??= new Strikes();
    return this.nameless[at];
  }

  /** What stands for a secret here, of no use to anybody who reads it. */
  digest(text: string): string {
    return hash('sha256', Buffer.concat([this.secret, Buffer.from(text)]), 'latin1');
  }

  /** How long an account has to wait; 0 for not at all. */
  waitOf(strikes: Strikes, wall: number): number {
    return strikes.until > wall ? strikes.until - wall : 0;
  }

  /** How long an address has to wait. This machine's own never has to: there the account alone counts. */
  waitOfAddress(from: Address | null, wall: number): number {
    let wait = 0;
    for (const { key } of keysOf(from)) {
      const strikes = this.addresses.get(key);
      if (strikes !== undefined) wait = Math.max(wait, this.waitOf(strikes, wall));
    }
    return wait;
  }

  /** Counts a failure of an account (null: none was named) from an address. The same secret again does not count. */
  failed(account: Strikes | null, from: Address | null, secret: string, wall: number): void {
    if (account !== null) {
      if (secret !== '' && account.last === secret) return;
      account.last = secret;
      this.strike(account, this.bounds.freeOfAccount, wall);
    }
    for (const { key, factor } of keysOf(from))
      this.strike(this.addressOf(key, wall), this.bounds.freeOfAddress * factor, wall);
  }

  /** An account was let in: its own failures are forgotten. The address's stay, or one good account would hide guesses. */
  passed(account: Strikes): void {
    account.failures = 0;
    account.until = 0;
    account.last = '';
  }

  private strike(strikes: Strikes, free: number, wall: number): void {
    const { firstMs, mostMs, forgetMs } = this.bounds;
    if (wall - strikes.at > forgetMs) strikes.failures = 0;
    strikes.at = wall;
    strikes.failures++;
    const over = strikes.failures - free;
    if (over > 0) strikes.until = wall + Math.min(mostMs, firstMs * 2 ** Math.min(over - 1, 30));
  }

  private addressOf(key: string, wall: number): Strikes {
    let strikes = this.addresses.get(key);
    if (strikes !== undefined) return strikes;
    if (this.addresses.size >= this.bounds.addressesMax) this.evict(wall);
    strikes = new Strikes();
    this.addresses.set(key, strikes);
    return strikes;
  }

  /** Of the oldest few, the one that matters least goes; the others go to the end of the line. */
  private evict(wall: number): void {
    const { forgetMs } = this.bounds;
    const oldest: [string, Strikes][] = [];
    for (const entry of this.addresses) {
      if (wall - entry[1].at > forgetMs) {
        this.addresses.delete(entry[0]);
        return;
      }
      if (oldest.push(entry) === 16) break;
    }
    let [least] = oldest;
    for (const entry of oldest) if (entry[1].failures < least![1].failures) least = entry;
    for (const [key, strikes] of oldest) {
      this.addresses.delete(key);
      if (key !== least![0]) this.addresses.set(key, strikes);
    }
  }
}

interface AddressKey {
  readonly key: string;
  readonly factor: number;
}

const NOBODY: readonly AddressKey[] = [];

/** As what an address is counted: IPv4 as it is, IPv6 by its /64 and, with more patience, its /48. */
export function keysOf(from: Address | null): readonly AddressKey[] {
  if (from === null || isLoopback(from.host)) return NOBODY;
  const { host } = from;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host);
  if (mapped !== null) return [{ key: mapped[1]!, factor: 1 }];
  if (!host.includes(':')) return [{ key: host, factor: 1 }];
  const groups = groupsOf(host);
  return [
    { key: `${groups.slice(0, 4).join(':')}::/64`, factor: 1 },
    { key: `${groups.slice(0, 3).join(':')}::/48`, factor: WIDE_FACTOR },
  ];
}

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(host: string): string[] {
  const [bare = ''] = host.toLowerCase().split('%');
  const [head = '', tail] = bare.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return [...before, ...zeros, ...after].map((group) => group.replace(/^0+(?=.)/, ''));
}
