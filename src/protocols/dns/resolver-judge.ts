// Judges findings by their signatures, down from the trust anchors (RFC 4035 §5): secure, insecure with proof, or bogus. What it needs
// of other names, keys and delegations, it looks up as any other question; what that may cost is bounded.
import type { Instant } from '../../core/time.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { type RecordSet, readSignature, type Signature } from '../../formats/dnssec/canonical.ts';
import { Denial } from '../../formats/dnssec/denial.ts';
import { isUsable, type Key, matches, REVOKE_FLAG, readDelegationSigner, readKey } from '../../formats/dnssec/keys.ts';
import { isWithin, keyOf, labelCount, lastLabels, lowered, parentKey, sameName } from '../../formats/dnssec/names.ts';
import { isFromWildcard, isKeyOf, refusalOf, trustedTtl, verifyArithmetic } from '../../formats/dnssec/signing.ts';
import { BOGUS, type Finding, INDETERMINATE, INSECURE, SECURE, type Security } from './cache.ts';
import type { Job, Work } from './resolver-jobs.ts';
import type { ResolverBound } from './resolver-limits.ts';
import type { SignedSet } from './resolver-reply.ts';
import { EDE } from './wire.ts';

export interface TrustAnchor {
  readonly zone: Buffer;
  /** Data of DS records, or of DNSKEY records. */
  readonly signers: readonly Buffer[];
  readonly keys: readonly Buffer[];
}

export interface JudgeSettings {
  readonly bound: ResolverBound;
  readonly anchors: readonly TrustAnchor[];
  /** Zones below which nothing is expected to be signed. */
  readonly insecure: readonly Buffer[];
}

export interface Lookups {
  readonly now: Instant;
  /** Seconds since 1970. */
  readonly wall: number;
  lookup(name: Buffer, type: number, job: Job): Work<Finding>;
}

/** What is believed of a zone. */
interface Trust {
  readonly security: Security;
  readonly keys: readonly Key[];
  readonly ede: number;
}

export interface Verdict {
  readonly security: Security;
  readonly ede: number;
  /** Seconds that signatures allow; Infinity when none speak. */
  readonly ttl: number;
  /** The sets among the proofs whose signatures hold. */
  readonly proofs: readonly SignedSet[];
  /** The zone whose keys signed it. */
  readonly zone: Buffer | null;
}

/** Keys of one set that are looked at, and keys that share a tag: more are not in earnest (CVE-2023-50387). */
const KEYS_MAX = 16;
const SAME_TAG_MAX = 3;
const PROOFS_MAX = 8;
const KEPT_KEYS = 2_000;

const NO_PROOFS: readonly SignedSet[] = [];

export class Judge {
  private readonly settings: JudgeSettings;
  private readonly lookups: Lookups;
  private readonly anchors = new Map<string, TrustAnchor>();
  private readonly exempt = new Set<string>();
  /** Keys read from a set, by that very set: reading a key is dear. */
  private readonly read = new Map<SignedSet, readonly Key[]>();

  constructor(settings: JudgeSettings, lookups: Lookups) {
    this.settings = settings;
    this.lookups = lookups;
    for (const anchor of settings.anchors) this.anchors.set(keyOf(anchor.zone), anchor);
    for (const zone of settings.insecure) this.exempt.add(keyOf(zone));
  }

  /** Whether anything is anchored at or above a name, nearer than an exemption. */
  private standing(key: string): Security | null {
    for (let at = key; ; at = parentKey(at)) {
      if (this.exempt.has(at)) return INSECURE;
      if (this.anchors.has(at)) return null;
      if (at === '') return INDETERMINATE;
    }
  }

  /** Judges what a reply says, before it is kept. */
  *judge(finding: Finding, job: Job): Work<Verdict> {
    const standing = this.standing(finding.key);
    if (standing !== null) return plain(standing);
    if (finding.kind === 'data' && finding.type === TYPE.DNSKEY) return yield* this.judgeKeys(finding, job);
    if (finding.kind === 'data' || finding.kind === 'alias') return yield* this.judgeSet(finding, job);
    return yield* this.judgeDenial(finding, job);
  }

  private *judgeSet(finding: Finding, job: Job): Work<Verdict> {
    const set = finding.from ?? finding.set!;
    const signer = signerOf(set, finding.zone);
    if (signer === null) return yield* this.unsigned(finding, job);
    const trust = yield* this.trustOf(signer, job);
    if (trust.security !== SECURE) return plain(trust.security, trust.ede);
    const held = this.verify(set, signer, trust.keys, job);
    if (held === null) return plain(BOGUS, this.why(set, signer));
    const ttl = trustedTtl(set.ttl, held, this.lookups.wall);
    if (!isFromWildcard(setOf(set), held)) return { ...plain(SECURE), ttl, zone: signer };
    const proofs = this.verified(finding.proofs, signer, trust.keys, job);
    const denial = new Denial(signer, proofs.map(setOf), job.budget);
    const proof = denial.expanded(set.name, held.labels);
    if (proof === 'unproved') return plain(BOGUS, EDE.NSEC_MISSING);
    return { ...plain(proof === 'proved' ? SECURE : INSECURE), ttl, proofs, zone: signer };
  }

  private *judgeDenial(finding: Finding, job: Job): Work<Verdict> {
    const signer = finding.proofs.map((set) => signerOf(set, finding.zone)).find((name) => name !== null) ?? null;
    if (signer === null) return yield* this.unsigned(finding, job);
    const trust = yield* this.trustOf(signer, job);
    if (trust.security !== SECURE) return plain(trust.security, trust.ede);
    const sets = finding.soa === null ? finding.proofs : [...finding.proofs, finding.soa];
    const held = this.verified(sets, signer, trust.keys, job);
    const proofs = held.filter((set) => set !== finding.soa);
    const denial = new Denial(signer, proofs.map(setOf), job.budget);
    const { name, type, kind } = finding;
    let proof = kind === 'nxdomain' ? denial.noName(name) : denial.noType(name, type);
    if (proof === 'unproved' && type === TYPE.DS) proof = denial.unsignedDelegation(name);
    if (proof === 'unproved') return plain(BOGUS, EDE.NSEC_MISSING);
    // The SOA says how long the denial holds: it must be the zone's own word.
    if (finding.soa !== null && !held.includes(finding.soa)) return plain(BOGUS, this.why(finding.soa, signer));
    return { ...plain(proof === 'proved' ? SECURE : INSECURE), proofs, zone: signer };
  }

  /** The keys of a zone: one of them must be the parent's or an anchor's word, and sign them all (RFC 4035 §5.2). */
  private *judgeKeys(finding: Finding, job: Job): Work<Verdict> {
    const zone = finding.name;
    const set = finding.set!;
    const anchor = this.anchors.get(finding.key);
    let signers: readonly Buffer[] = anchor?.signers ?? [];
    if (anchor === undefined) {
      const above = yield* this.signersOf(zone, job);
      if (above.security !== SECURE) return plain(above.security, above.ede);
      signers = above.signers;
    }
    const keys = this.keysOf(set);
    const entries = keys.filter(
      (key) =>
        anchor?.keys.some((data) => data.equals(key.data)) === true ||
        signers.some((data) => {
          const signer = readDelegationSigner(data);
          return signer !== null && matches(signer, zone, key);
        }),
    );
    if (entries.length === 0) return plain(BOGUS, EDE.DNSKEY_MISSING);
    const held = this.verify(set, zone, entries, job);
    if (held === null) return plain(BOGUS, this.why(set, zone));
    return { ...plain(SECURE), ttl: trustedTtl(set.ttl, held, this.lookups.wall), zone };
  }

  /** What the parent says of a zone's keys. */
  private *signersOf(zone: Buffer, job: Job): Work<Trust & { readonly signers: readonly Buffer[] }> {
    const found = yield* this.lookups.lookup(zone, TYPE.DS, job);
    const answer = (security: Security, ede = found.ede, signers: readonly Buffer[] = []) => ({
      security,
      ede,
      signers,
      keys: [],
    });
    if (found.kind === 'failed') return answer(BOGUS, EDE.NO_REACHABLE_AUTHORITY);
    if (found.security !== SECURE) return answer(found.security);
    if (found.kind === 'data') {
      const usable = found.set!.data.filter((data) => {
        const signer = readDelegationSigner(data);
        return signer !== null && isUsable(signer);
      });
      // Algorithms that are not known here make the zone as good as unsigned (RFC 4035 §5.2).
      if (usable.length === 0) return answer(INSECURE, EDE.UNSUPPORTED_ALGORITHM);
      // SHA-1 counts only where there is nothing better (RFC 4509 §3).
      const better = usable.filter((data) => data[3] !== 1);
      return answer(SECURE, -1, better.length > 0 ? better : usable);
    }
    if (found.kind === 'nodata' && this.isCut(found, zone)) return answer(INSECURE, -1);
    return answer(BOGUS, EDE.DNSKEY_MISSING);
  }

  /** Whether a proof that there is no DS also says that there is a delegation. */
  private isCut(found: Finding, zone: Buffer): boolean {
    const denial = new Denial(found.zone, found.proofs.map(setOf));
    return denial.unsignedDelegation(zone) !== 'unproved';
  }

  private *trustOf(zone: Buffer, job: Job): Work<Trust> {
    const standing = this.standing(keyOf(zone));
    if (standing !== null) return { security: standing, keys: [], ede: -1 };
    if (!this.anchors.has(keyOf(zone))) {
      const above = yield* this.signersOf(zone, job);
      if (above.security !== SECURE) return above;
    }
    const found = yield* this.lookups.lookup(zone, TYPE.DNSKEY, job);
    if (found.kind === 'data') return { security: found.security, keys: this.keysOf(found.set!), ede: found.ede };
    return { security: BOGUS, keys: [], ede: EDE.DNSKEY_MISSING };
  }

  /** What came without a signature: there must be a proof that its zone has none (RFC 4035 §5.2). */
  private *unsigned(finding: Finding, job: Job): Work<Verdict> {
    const { name, zone } = finding;
    const trust = yield* this.trustOf(zone, job);
    if (trust.security !== SECURE) return plain(trust.security, trust.ede);
    // The servers of this zone may be those of one below it, of which no referral tells.
    const last = labelCount(name) - (finding.type === TYPE.DS ? 1 : 0);
    for (let labels = labelCount(zone) + 1; labels <= last; labels++) {
      const cut = lastLabels(name, labels);
      const found = yield* this.lookups.lookup(cut, TYPE.DS, job);
      if (found.security === INSECURE) return plain(INSECURE);
      if (found.kind === 'failed' || found.security !== SECURE || found.kind === 'nxdomain') break;
      if (found.kind === 'nodata' && this.isCut(found, cut)) return plain(INSECURE);
      if (found.kind !== 'data') continue;
      const below = yield* this.trustOf(cut, job);
      if (below.security !== SECURE) return plain(below.security, below.ede);
    }
    return plain(BOGUS, EDE.RRSIGS_MISSING);
  }

  private keysOf(set: SignedSet): readonly Key[] {
    const before = this.read.get(set);
    if (before !== undefined) return before;
    const keys: Key[] = [];
    for (const data of set.data.slice(0, KEYS_MAX)) {
      const key = readKey(data);
      if (key === null || (key.flags & REVOKE_FLAG) !== 0) continue;
      const same = keys.filter((one) => one.tag === key.tag && one.algorithm === key.algorithm);
      if (same.length < SAME_TAG_MAX) keys.push(key);
    }
    this.read.set(set, keys);
    if (this.read.size > KEPT_KEYS) this.read.delete(this.read.keys().next().value!);
    return keys;
  }

  /** The first signature over a set that holds. Failures cost, and their number is bounded. */
  private verify(set: SignedSet, zone: Buffer, keys: readonly Key[], job: Job): Signature | null {
    let failures = this.settings.bound.failuresPerSet;
    const plainSet = setOf(set);
    for (const data of set.signatures) {
      const signature = readSignature(data);
      if (signature === null || refusalOf(plainSet, signature, zone, this.lookups.wall) !== null) continue;
      for (const key of keys) {
        if (!isKeyOf(key, signature)) continue;
        if (job.budget.signatures-- <= 0) return null;
        if (verifyArithmetic(plainSet, signature, key) === null) return signature;
        if (--failures <= 0) return null;
      }
    }
    return null;
  }

  private verified(sets: readonly SignedSet[], zone: Buffer, keys: readonly Key[], job: Job): SignedSet[] {
    const held: SignedSet[] = [];
    for (const set of sets.slice(0, PROOFS_MAX)) {
      const signature = this.verify(set, zone, keys, job);
      // Denials are never made from wildcards (RFC 4035 §5.4).
      if (signature !== null && !isFromWildcard(setOf(set), signature)) held.push(set);
    }
    return held;
  }

  /** Why no signature over a set holds, as far as it can be said. */
  private why(set: SignedSet, zone: Buffer): number {
    if (set.signatures.length === 0) return EDE.RRSIGS_MISSING;
    for (const data of set.signatures) {
      const signature = readSignature(data);
      const refusal = signature === null ? null : refusalOf(setOf(set), signature, zone, this.lookups.wall);
      if (refusal === 'expired') return EDE.EXPIRED;
      if (refusal === 'not-yet') return EDE.NOT_YET_VALID;
    }
    return EDE.BOGUS;
  }
}

function plain(security: Security, ede = -1): Verdict {
  return { security, ede, ttl: Number.POSITIVE_INFINITY, proofs: NO_PROOFS, zone: null };
}

export function setOf(set: SignedSet): RecordSet {
  return set;
}

/** The zone that signed a set: at or above its owner, and at or below the zone whose servers gave it. */
function signerOf(set: SignedSet, zone: Buffer): Buffer | null {
  for (const data of set.signatures) {
    const signature = readSignature(data);
    if (signature === null) continue;
    const { signer } = signature;
    if (isWithin(set.name, signer) && isWithin(signer, zone) && !(set.type === TYPE.DS && sameName(signer, set.name)))
      return lowered(signer);
  }
  return null;
}
