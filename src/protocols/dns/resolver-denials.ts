// Proved denials kept by zone, so that what lies within their spans is denied without asking anybody (RFC 8198). Opt-out spans prove
// nothing and are not kept. It checks no signature.
import type { Instant } from '../../core/time.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { Denial } from '../../formats/dnssec/denial.ts';
import { keyOf, labelCount, lastLabels, parentKey, sharedLabels, wildcardUnder } from '../../formats/dnssec/names.ts';
import { hashName, type Nsec3, readNsec, readNsec3 } from '../../formats/dnssec/nsec.ts';
import { type Finding, SECURE } from './cache.ts';
import type { SignedSet } from './resolver-reply.ts';

interface Span {
  readonly place: string;
  readonly set: SignedSet;
  readonly until: Instant;
}

interface ZoneSpans {
  readonly zone: Buffer;
  readonly soa: SignedSet;
  readonly soaUntil: Instant;
  /** How the zone hashes; null where it does not. */
  readonly nsec3: Nsec3 | null;
  /** By place, ascending. */
  readonly spans: Span[];
}

export class Denials {
  private readonly most: number;
  private count = 0;
  private readonly zones = new Map<string, ZoneSpans>();
  /** How many questions were answered from here. */
  answered = 0;

  constructor(most: number) {
    this.most = most;
  }

  /** Takes the denial records of a finding that is proved. */
  learn(zone: Buffer, soa: SignedSet, proofs: readonly SignedSet[], ttl: number, now: Instant): void {
    if (this.most === 0 || ttl === 0) return;
    const key = keyOf(zone);
    for (const set of proofs) {
      const nsec3 = set.type === TYPE.NSEC3 ? readNsec3(set.name, set.data[0]!) : null;
      if (set.type === TYPE.NSEC3 && (nsec3 === null || nsec3.optOut)) continue;
      // Iterations beside none make each question dear that is answered from here.
      if (nsec3 !== null && nsec3.iterations > 0) continue;
      const until = now + Math.min(ttl, set.ttl) * 1_000;
      this.put(this.spansOf(key, zone, soa, nsec3, until), { place: nsec3?.hash ?? set.key, set, until });
    }
    while (this.count > this.most) this.forgetOldest();
  }

  private spansOf(key: string, zone: Buffer, soa: SignedSet, nsec3: Nsec3 | null, until: Instant): ZoneSpans {
    const before = this.zones.get(key);
    const sameKind =
      before !== undefined &&
      (before.nsec3 === null) === (nsec3 === null) &&
      (nsec3 === null || (before.nsec3!.salt.equals(nsec3.salt) && before.nsec3!.iterations === nsec3.iterations));
    if (before !== undefined && !sameKind) this.drop(key, before);
    const spans = { zone, soa, soaUntil: until, nsec3, spans: sameKind ? before!.spans : [] };
    this.zones.delete(key);
    this.zones.set(key, spans);
    return spans;
  }

  private put({ spans }: ZoneSpans, span: Span): void {
    const at = rank(spans, span.place);
    if (spans[at]?.place === span.place) spans[at] = span;
    else {
      spans.splice(at, 0, span);
      this.count++;
    }
  }

  private drop(key: string, zone: ZoneSpans): void {
    this.count -= zone.spans.length;
    this.zones.delete(key);
  }

  private forgetOldest(): void {
    for (const [key, zone] of this.zones) {
      this.drop(key, zone);
      return;
    }
    this.count = 0;
  }

  flush(): void {
    this.zones.clear();
    this.count = 0;
  }

  /** A denial of a name or type that follows from what is kept; null when nothing does. */
  find(name: Buffer, key: string, type: number, now: Instant): Finding | null {
    // The parent answers for DS; names of the zone above are looked at.
    for (let at = type === TYPE.DS ? parentKey(key) : key; ; at = parentKey(at)) {
      const zone = this.zones.get(at);
      if (zone !== undefined) return now < zone.soaUntil ? this.findIn(zone, name, key, type, now) : null;
      if (at === '') return null;
    }
  }

  private findIn(zone: ZoneSpans, name: Buffer, key: string, type: number, now: Instant): Finding | null {
    const spans = zone.nsec3 === null ? this.plain(zone, name, key) : this.hashed(zone, name);
    const live = spans.filter((span) => now < span.until);
    if (live.length === 0) return null;
    const sets = live.map(({ set }) => set);
    const denial = new Denial(zone.zone, sets, { hashes: 24 });
    const kind =
      denial.noName(name) === 'proved' ? 'nxdomain' : denial.noType(name, type) === 'proved' ? 'nodata' : null;
    if (kind === null) return null;
    this.answered++;
    const until = Math.min(zone.soaUntil, ...live.map((span) => span.until));
    const ttl = Math.floor((until - now) / 1_000);
    return {
      ...{
        kind,
        name,
        key,
        type,
        zone: zone.zone,
        security: SECURE,
        set: null,
        from: null,
        soa: zone.soa,
        proofs: sets,
      },
      ...{ ttl, since: now, ede: -1 },
    };
  }

  private plain({ spans }: ZoneSpans, name: Buffer, key: string): Span[] {
    const own = spanAt(spans, key);
    if (own === null) return [];
    const next = readNsec(own.set.name, own.set.data[0]!)?.next ?? own.set.name;
    const shared = Math.max(sharedLabels(name, own.set.name), sharedLabels(name, next));
    const wildcard = wildcardUnder(lastLabels(name, shared));
    const star = wildcard === null ? null : spanAt(spans, keyOf(wildcard));
    return star === null || star === own ? [own] : [own, star];
  }

  private hashed({ spans, nsec3, zone }: ZoneSpans, name: Buffer): Span[] {
    const found = new Set<Span>();
    const at = (owner: Buffer) => {
      const hash = hashName(owner, nsec3!);
      const span = spanAt(spans, hash);
      if (span !== null) found.add(span);
      return span?.place === hash;
    };
    for (let labels = labelCount(name); labels >= labelCount(zone); labels--) {
      const encloser = lastLabels(name, labels);
      if (!at(encloser)) continue;
      const wildcard = wildcardUnder(encloser);
      if (wildcard !== null) at(wildcard);
      break;
    }
    return [...found];
  }
}

function rank(spans: readonly Span[], place: string): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (spans[middle]!.place < place) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The span that begins at a place, or the last before it, which may cover it; going round. */
function spanAt(spans: readonly Span[], place: string): Span | null {
  const at = rank(spans, place);
  return spans[at]?.place === place ? spans[at]! : (spans.at(at - 1) ?? null);
}
