// What was found out about names: sets, aliases, and that something is not there, until it is too old; bounded in bytes, what was
// not asked for again goes first (RFC 1034 §7, RFC 2308, RFC 8767). It asks nobody and believes what it is given.
import type { Instant } from '../../core/time.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { parentKey } from '../../formats/dnssec/names.ts';
import type { SignedSet } from './resolver-reply.ts';

/** Whether a finding is proved by signatures (RFC 4035 §4.3). */
export const SECURE = 3;
/** There is a proof that none is to be expected. */
export const INSECURE = 2;
/** It is not known: nothing is anchored here. */
export const INDETERMINATE = 1;
/** It should be signed, and is not, or wrongly. */
export const BOGUS = 0;
export type Security = typeof SECURE | typeof INSECURE | typeof INDETERMINATE | typeof BOGUS;

export type FindingKind = 'data' | 'alias' | 'nodata' | 'nxdomain' | 'failed';

/** What is known of one name and type. */
export interface Finding {
  readonly kind: FindingKind;
  readonly name: Buffer;
  readonly key: string;
  readonly type: number;
  /** The zone whose servers said it. */
  readonly zone: Buffer;
  readonly security: Security;
  /** The set asked for, or the alias. */
  readonly set: SignedSet | null;
  /** A DNAME out of which an alias was made, signed in its stead. */
  readonly from: SignedSet | null;
  /** SOA of a denial, and what proves it or a wildcard. */
  readonly soa: SignedSet | null;
  readonly proofs: readonly SignedSet[];
  /** Seconds that it lives from `since` on. */
  readonly ttl: number;
  readonly since: Instant;
  /** Extended error that explains it, or -1 (RFC 8914). */
  readonly ede: number;
}

interface Held {
  readonly finding: Finding;
  readonly bytes: number;
  used: boolean;
  /** It is being asked for anew already. */
  refreshing: boolean;
}

/** What a finding costs beside its octets: objects, maps, headers of buffers; measured, rounded up. */
const FINDING_BYTES = 420;
const SET_BYTES = 200;
const DATA_BYTES = 110;

export class Cache {
  readonly bytesMax: number;
  /** How long, in milliseconds, an expired finding is kept in case nothing better can be had. */
  readonly staleMs: number;
  bytes = 0;
  hits = 0;
  misses = 0;
  evicted = 0;
  private readonly held = new Map<string, Held>();

  constructor(bytesMax: number, staleMs: number) {
    this.bytesMax = bytesMax;
    this.staleMs = staleMs;
  }

  get size(): number {
    return this.held.size;
  }

  /** What is known of a name and type and still lives; an alias, or that the name is not there, counts for every type. */
  find(key: string, type: number, now: Instant): Finding | null {
    const found = this.live(key, type, now) ?? this.alias(key, type, now) ?? this.absent(key, now);
    if (found === null) this.misses++;
    else this.hits++;
    return found;
  }

  private alias(key: string, type: number, now: Instant): Finding | null {
    if (type === TYPE.CNAME || type === TYPE.DS) return null;
    const found = this.live(key, TYPE.CNAME, now);
    return found?.kind === 'alias' ? found : null;
  }

  /** That the name, or surely one above it, is not there (RFC 8020 §2). */
  private absent(key: string, now: Instant): Finding | null {
    const own = this.live(key, 0, now);
    if (own !== null) return own;
    for (let above = parentKey(key); above !== ''; above = parentKey(above)) {
      const found = this.live(above, 0, now);
      if (found !== null && found.security === SECURE) return found;
    }
    return null;
  }

  private live(key: string, type: number, now: Instant): Finding | null {
    const held = this.held.get(placeOf(key, type));
    if (held === undefined || now >= endOf(held.finding)) return null;
    held.used = true;
    return held.finding;
  }

  /** What was known once, and may be said again while nothing better can be had (RFC 8767 §5). */
  stale(key: string, type: number, now: Instant): Finding | null {
    for (const place of [placeOf(key, type), placeOf(key, TYPE.CNAME), placeOf(key, 0)]) {
      const held = this.held.get(place);
      if (held === undefined || held.finding.kind === 'failed') continue;
      if (place === placeOf(key, TYPE.CNAME) && held.finding.kind !== 'alias') continue;
      if (now < endOf(held.finding) + this.staleMs) return held.finding;
    }
    return null;
  }

  /** Whether it is time to ask anew, a tenth of its life before its end; says so once. */
  wantsRefresh(finding: Finding, now: Instant): boolean {
    const held = this.held.get(placeOfFinding(finding));
    if (held?.finding !== finding || held.refreshing || finding.kind === 'failed') return false;
    if (finding.ttl < 10 || now < endOf(finding) - finding.ttl * 100) return false;
    held.refreshing = true;
    return true;
  }

  put(finding: Finding): void {
    const place = placeOfFinding(finding);
    const before = this.held.get(place);
    // A failure must not drive out what can still be said when it is stale.
    if (finding.kind === 'failed' && before !== undefined && before.finding.kind !== 'failed') return;
    if (before !== undefined) this.drop(place, before);
    const bytes = bytesOf(finding, place);
    if (bytes > this.bytesMax / 16) return;
    this.held.set(place, { finding, bytes, used: false, refreshing: false });
    this.bytes += bytes;
    if (this.bytes > this.bytesMax) this.evict();
  }

  /** Forgets a name and what lies below it; all for `''`. Answers how many findings. */
  flush(key: string): number {
    let count = 0;
    for (const [place, held] of [...this.held])
      if (held.finding.key.startsWith(key)) {
        this.drop(place, held);
        count++;
      }
    return count;
  }

  private drop(place: string, held: Held): void {
    this.held.delete(place);
    this.bytes -= held.bytes;
  }

  /** The oldest go, but what was asked for since gets another round. */
  private evict(): void {
    for (const [place, held] of this.held) {
      if (this.bytes <= this.bytesMax) return;
      if (held.used) {
        held.used = false;
        this.held.delete(place);
        this.held.set(place, held);
        continue;
      }
      this.drop(place, held);
      this.evicted++;
    }
  }
}

/** When a finding ends. */
export function endOf(finding: Finding): Instant {
  return finding.since + finding.ttl * 1_000;
}

function placeOf(key: string, type: number): string {
  return `${type} ${key}`;
}

function placeOfFinding({ kind, key, type }: Finding): string {
  if (kind === 'nxdomain') return placeOf(key, 0);
  return placeOf(key, kind === 'alias' ? TYPE.CNAME : type);
}

function bytesOf({ set, from, soa, proofs, name }: Finding, place: string): number {
  let bytes = FINDING_BYTES + name.length + place.length * 2;
  for (const one of [set, from, soa, ...proofs]) {
    if (one === null) continue;
    bytes += SET_BYTES + one.key.length * 2 + one.name.length;
    for (const data of one.data) bytes += DATA_BYTES + data.length;
    for (const data of one.signatures) bytes += DATA_BYTES + data.length;
  }
  return bytes;
}
