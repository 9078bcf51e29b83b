// Servers that the resolver asks: how quickly each answers, what it does not understand, its cookie; and the delegations that lead to
// them. It sends nothing.
import { createHash } from 'node:crypto';
import type { Address } from '../../core/peer.ts';
import type { Instant } from '../../core/time.ts';
import { parentKey } from '../../formats/dnssec/names.ts';

export type Carrier = 'udp' | 'tcp' | 'tls' | 'https' | 'quic';

/** Where to ask: an address, or an upstream that is reached otherwise. */
export interface ServerPoint extends Address {
  readonly carrier: Carrier;
  /** The name in its certificate, for TLS. */
  readonly tlsName?: string;
  /** The path, for HTTPS. */
  readonly path?: string;
}

/** Until something else is known, a server is thought to answer within this (RFC 6298 §2 has a second; DNS is nearer). */
const FIRST_TIMEOUT = 376;
const LEAST_TIMEOUT = 60;
/** How long habits are believed. */
const HABIT_MS = 3_600_000;
const COOKIE_BYTES_MAX = 32;

/** What is known of one server. */
export class Server {
  readonly point: ServerPoint;
  readonly key: string;
  /** Smoothed round trip and its variation, in milliseconds (RFC 6298 §2); -1 when nothing came yet. */
  private smoothed = -1;
  private variation = 0;
  /** Timeouts in a row. */
  private missed = 0;
  private lastMissed: Instant = Number.NEGATIVE_INFINITY;
  private lastAnswered: Instant = Number.NEGATIVE_INFINITY;
  private noEdnsUntil: Instant = 0;
  private noCaseUntil: Instant = 0;
  /** The server's half of the cookie (RFC 7873 §5.3). */
  cookie: Buffer | null = null;
  /** Queries that wait for it. */
  waiting = 0;

  constructor(point: ServerPoint, key: string) {
    this.point = point;
    this.key = key;
  }

  /** How long to wait for it. */
  get timeout(): number {
    const first = this.smoothed < 0 ? FIRST_TIMEOUT : Math.max(LEAST_TIMEOUT, this.smoothed + 4 * this.variation);
    return first * 2 ** Math.min(this.missed, 4);
  }

  /** What it is expected to cost; servers that do not answer are tried again after a while. */
  cost(now: Instant): number {
    const base = this.smoothed < 0 ? 20 : this.smoothed;
    if (this.missed === 0) return base;
    return now - this.lastMissed > 60_000 ? base + 300 : base + 400 * 2 ** Math.min(this.missed, 6);
  }

  answered(ms: number, now: Instant): void {
    this.missed = 0;
    this.lastAnswered = now;
    if (this.smoothed < 0) {
      this.smoothed = ms;
      this.variation = ms / 2;
      return;
    }
    this.variation += (Math.abs(ms - this.smoothed) - this.variation) / 4;
    this.smoothed += (ms - this.smoothed) / 8;
  }

  timedOut(now: Instant, sentAt: Instant): void {
    // One packet of many was lost, or all of one burst: that says little of the server.
    if (sentAt <= this.lastAnswered || sentAt < this.lastMissed) return;
    this.missed++;
    this.lastMissed = now;
  }

  /** It answers queries with EDNS as if they were broken (RFC 6891 §6.2.2). */
  refusesEdns(now: Instant): void {
    this.noEdnsUntil = now + HABIT_MS;
  }

  takesEdns(now: Instant): boolean {
    return now >= this.noEdnsUntil;
  }

  /** It was seen, over a stream that nobody else can write into, to change the case of names. */
  changesCase(now: Instant): void {
    this.noCaseUntil = now + HABIT_MS;
  }

  keepsCase(now: Instant): boolean {
    return now >= this.noCaseUntil;
  }

  keepCookie(cookie: Buffer): void {
    if (cookie.length >= 8 && cookie.length <= COOKIE_BYTES_MAX) this.cookie = cookie;
  }
}

export class Servers {
  private readonly most: number;
  private readonly secret: Uint8Array;
  private readonly known = new Map<string, Server>();

  constructor(most: number, secret: Uint8Array) {
    this.most = most;
    this.secret = secret;
  }

  of(point: ServerPoint): Server {
    const key = `${point.carrier === 'tcp' ? 'udp' : point.carrier} ${point.host} ${point.port}`;
    let server = this.known.get(key);
    if (server === undefined) {
      server = new Server(point, key);
      if (this.known.size >= this.most) this.forgetOne();
      this.known.set(key, server);
    }
    return server;
  }

  private forgetOne(): void {
    for (const [key, server] of this.known)
      if (server.waiting === 0) {
        this.known.delete(key);
        return;
      }
  }

  /** Our half of the cookie for a server: another for each, so that none can follow us (RFC 7873 §4.1). */
  clientCookie(server: Server): Buffer {
    return createHash('sha256').update(this.secret).update(server.key).digest().subarray(0, 8);
  }
}

/** One server name of a delegation, with the addresses that came along. */
export interface NamedServer {
  readonly name: Buffer;
  readonly addresses: readonly string[];
}

/** Who answers for a zone, as its parent says. */
export interface Delegation {
  readonly zone: Buffer;
  readonly key: string;
  readonly servers: readonly NamedServer[];
  readonly until: Instant;
  /** Recursive servers that are asked in place of the zone's own. */
  readonly forward: readonly ServerPoint[] | null;
}

/** Delegations by zone. What is learned is bounded and expires; what is configured stays. */
export class Delegations {
  private readonly most: number;
  private readonly learned = new Map<string, Delegation>();
  private readonly fixed = new Map<string, Delegation>();

  constructor(most: number) {
    this.most = most;
  }

  fix(delegation: Delegation): void {
    this.fixed.set(delegation.key, delegation);
  }

  learn(delegation: Delegation): void {
    if (this.fixed.get(delegation.key)?.forward != null) return;
    this.learned.delete(delegation.key);
    this.learned.set(delegation.key, delegation);
    if (this.learned.size > this.most) for (const key of this.learned.keys()) return void this.learned.delete(key);
  }

  forget(key: string): void {
    this.learned.delete(key);
  }

  /** The deepest known at or above a name; the root is always known. */
  nearest(key: string, now: Instant): Delegation {
    for (let at = key; ; at = parentKey(at)) {
      const fixed = this.fixed.get(at);
      if (fixed?.forward != null) return fixed;
      const learned = this.learned.get(at);
      if (learned !== undefined && now < learned.until) return learned;
      if (fixed !== undefined) return fixed;
      if (at === '') throw new RangeError('a resolver has a delegation of the root');
    }
  }
}
