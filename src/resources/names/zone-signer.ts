// Signs a zone and keeps it signed: whole, and after each change only what the change touches. What signs, and when, is
// handed in; the records that it makes are handed back for the zone to hold.
import {
  type RecordSet,
  TYPE_CDNSKEY,
  TYPE_CDS,
  TYPE_DNAME,
  TYPE_DNSKEY,
  TYPE_DS,
  TYPE_NS,
  TYPE_NSEC,
  TYPE_NSEC3,
  TYPE_NSEC3PARAM,
  TYPE_RRSIG,
  TYPE_SOA,
} from '../../formats/dnssec/canonical.ts';
import type { SigningKey } from '../../formats/dnssec/keys.ts';
import { keyOf, labelCount, lastLabels, nameOfKey, parentKey } from '../../formats/dnssec/names.ts';
import { makeNsec3Parameters } from '../../formats/dnssec/nsec.ts';
import { signSet } from '../../formats/dnssec/signing.ts';
import { type ChainPolicy, DenialChain } from './denial-chain.ts';

/** What is to be signed, as it stands after a change; what the signer itself made in it is passed over. */
export interface ZoneSource {
  readonly apex: Buffer;
  setsAt(name: Buffer): Iterable<RecordSet>;
  /** Every name, at and below this one, that owns records, in any order. */
  namesWithin(name: Buffer): Iterable<Buffer>;
}

export interface SigningPolicy extends ChainPolicy {
  /** How long a signature holds, in seconds. */
  readonly validFor: number;
  /** How long before its end a signature is made anew. */
  readonly refreshBefore: number;
  /** How far apart the ends of signatures that were made together may lie, so that they are not all due at once. */
  readonly jitter: number;
  /** How far back it begins, for validators whose clocks are late. */
  readonly skew: number;
}

export const SIGNING_POLICY: SigningPolicy = {
  nsec3: null,
  optOut: false,
  validFor: 14 * 86_400,
  refreshBefore: 7 * 86_400,
  jitter: 86_400,
  skew: 3_600,
};

/** The keys of a zone at one time, as a roll-over has them. */
export interface ZoneKeys {
  /** Sign the set of keys. */
  readonly keySigning: readonly SigningKey[];
  /** Sign everything else; the same as `keySigning` where one key does both. */
  readonly zoneSigning: readonly SigningKey[];
  /** Data of the DNSKEY, CDS and CDNSKEY sets. */
  readonly published: readonly Buffer[];
  readonly cds: readonly Buffer[];
  readonly cdnskey: readonly Buffer[];
  /** Their TTL. */
  readonly ttl: number;
}

/** Records that came and went: RRSIG in sets by what they cover, NSEC or NSEC3, and at the apex the signer's own. */
export interface SignedChange {
  readonly added: RecordSet[];
  readonly removed: RecordSet[];
}

/** One changed set of a zone. */
export interface Touched {
  readonly name: Buffer;
  readonly type: number;
}

/** Types that the signer makes, and a source may therefore hold without being asked. */
const OWN = new Set([TYPE_RRSIG, TYPE_NSEC, TYPE_NSEC3]);
const OWN_AT_APEX = new Set([TYPE_DNSKEY, TYPE_NSEC3PARAM, TYPE_CDS, TYPE_CDNSKEY]);

interface Signed {
  readonly set: RecordSet;
  readonly expires: number;
}

/** Between two yields of the generators: some milliseconds of work. */
const SLICE = 64;

export class ZoneSigner {
  readonly apex: Buffer;
  readonly policy: SigningPolicy;
  readonly chain: DenialChain;
  private readonly apexKey: string;
  private keys: ZoneKeys;
  /** RRSIG sets by owner and covered type. */
  private readonly signatures = new Map<string, Map<number, Signed>>();
  /** Owners by the hour in which a signature of theirs ends. */
  private readonly hours = new Map<number, Set<string>>();
  /** Names below which nothing is ours to sign. */
  private readonly cuts = new Set<string>();
  /** Names with a place of their own in the chain. */
  private readonly worthy = new Set<string>();
  /** How many names of the chain lie below each name; what has such and none of its own is an empty non-terminal. */
  private readonly below = new Map<string, number>();
  private apexSets: RecordSet[] = [];
  private denialTtl = -1;
  private change: SignedChange = { added: [], removed: [] };

  /** Throws a RangeError for a policy whose new signatures would be due at once. */
  constructor(apex: Buffer, keys: ZoneKeys, policy: SigningPolicy = SIGNING_POLICY) {
    if (policy.validFor - policy.jitter <= policy.refreshBefore + 3_600)
      throw new RangeError('signatures must hold longer than they are made anew before their end');
    this.apex = apex;
    this.apexKey = keyOf(apex);
    this.keys = keys;
    this.policy = policy;
    this.chain = new DenialChain(apex, policy);
  }

  /** Signs the whole zone, in slices; `now` in seconds. What was signed before is forgotten. */
  *sign(source: ZoneSource, now: number): Generator<void, SignedChange> {
    this.change = { added: [], removed: [] };
    this.chain.fill();
    this.settleApex(source);
    const names = [...source.namesWithin(this.apex)];
    for (const name of names) if (this.isCut(source, name)) this.cuts.add(keyOf(name));
    let count = 0;
    for (const name of names) {
      this.settle(source, name, null, now);
      if (++count % SLICE === 0) yield;
    }
    const { added } = this.chain.changes(this.denialTtl);
    for (const set of added) {
      this.change.added.push(set);
      this.signOne(set, now);
      if (++count % SLICE === 0) yield;
    }
    return this.taken();
  }

  /** Signs what a change of the source touches; without SOA among it the caller has not raised the serial. */
  update(source: ZoneSource, touched: readonly Touched[], now: number): SignedChange {
    const byName = new Map<string, Set<number>>();
    for (const { name, type } of touched) {
      const key = keyOf(name);
      let types = byName.get(key);
      if (types === undefined) byName.set(key, (types = new Set()));
      types.add(type);
    }
    this.settleApex(source);
    for (const key of [...byName.keys()]) {
      const name = nameOfKey(key);
      const cut = this.isCut(source, name);
      if (cut === this.cuts.has(key)) continue;
      if (cut) this.cuts.add(key);
      else this.cuts.delete(key);
      for (const other of source.namesWithin(name)) if (!byName.has(keyOf(other))) byName.set(keyOf(other), new Set());
    }
    for (const [key, types] of byName) this.settle(source, nameOfKey(key), types, now);
    this.settleChain(now);
    return this.taken();
  }

  /** Other keys: what they sign is signed anew, in slices. */
  *rekey(source: ZoneSource, keys: ZoneKeys, now: number): Generator<void, SignedChange> {
    const others = !sameKeys(keys.zoneSigning, this.keys.zoneSigning);
    this.keys = keys;
    for (const set of this.apexSets) this.unsign(this.apexKey, set.type);
    this.settleApex(source);
    let count = 0;
    if (others)
      for (const key of [...this.signatures.keys()]) {
        for (const type of [...(this.signatures.get(key)?.keys() ?? [])]) this.resign(source, key, type, now);
        if (++count % SLICE === 0) yield;
      }
    this.settle(source, this.apex, new Set(OWN_AT_APEX), now);
    this.settleChain(now);
    return this.taken();
  }

  /** When `refresh` has something to do, in seconds; Infinity when nothing is signed. */
  get due(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const hour of this.hours.keys()) first = Math.min(first, hour);
    return first * 3_600 - this.policy.refreshBefore;
  }

  /** Makes anew, at most `most` at a time, the signatures whose end is near. */
  refresh(source: ZoneSource, now: number, most = 1_000): SignedChange {
    const limit = now + this.policy.refreshBefore;
    let left = most;
    for (const [hour, owners] of [...this.hours]) {
      if (hour * 3_600 > limit) continue;
      for (const key of [...owners]) {
        if (left <= 0) return this.taken();
        owners.delete(key);
        for (const [type, { expires }] of [...(this.signatures.get(key) ?? [])])
          if (Math.floor(expires / 3_600) === hour && this.resign(source, key, type, now)) left--;
      }
      if (owners.size === 0) this.hours.delete(hour);
    }
    return this.taken();
  }

  /** The RRSIG set over one set, or null. */
  signatureOf(name: Buffer, type: number): RecordSet | null {
    return this.signatures.get(keyOf(name))?.get(type)?.set ?? null;
  }

  /** All that the signer made: its sets at the apex, the chain, and every RRSIG set. */
  *all(): Generator<RecordSet> {
    yield* this.apexSets;
    yield* this.chain.all();
    for (const types of this.signatures.values()) for (const { set } of types.values()) yield set;
  }

  private taken(): SignedChange {
    const { added, removed } = this.change;
    this.change = { added: [], removed: [] };
    // What came and went within one change was never there.
    const came = new Set(added);
    const gone = new Set(removed);
    return { added: added.filter((set) => !gone.has(set)), removed: removed.filter((set) => !came.has(set)) };
  }

  /** The sets that the signer itself puts at the apex, and the TTL of denials (RFC 9077 §3). */
  private settleApex(source: ZoneSource): void {
    const { published, cds, cdnskey, ttl } = this.keys;
    const { nsec3 } = this.policy;
    const apexSet = (type: number, data: readonly Buffer[]): RecordSet => ({ name: this.apex, type, ttl, data });
    const next = [
      apexSet(TYPE_DNSKEY, published),
      apexSet(TYPE_CDS, cds),
      apexSet(TYPE_CDNSKEY, cdnskey),
      // A TTL of 0, as signers have it: it is for authorities alone (RFC 5155 §4).
      { name: this.apex, type: TYPE_NSEC3PARAM, ttl: 0, data: nsec3 === null ? [] : [makeNsec3Parameters(nsec3)] },
    ].filter(({ data }) => data.length > 0);
    for (const set of this.apexSets) if (!next.some((one) => sameSet(one, set))) this.change.removed.push(set);
    for (const set of next) if (!this.apexSets.some((one) => sameSet(one, set))) this.change.added.push(set);
    this.apexSets = next;
    for (const set of source.setsAt(this.apex)) {
      if (set.type !== TYPE_SOA) continue;
      const minimum = set.data[0]!.readUInt32BE(set.data[0]!.length - 4);
      const denialTtl = Math.min(minimum, set.ttl);
      if (denialTtl !== this.denialTtl && this.denialTtl >= 0) this.chain.touch();
      this.denialTtl = denialTtl;
    }
  }

  /** The sets at a name that count for signing. */
  private *setsAt(source: ZoneSource, name: Buffer, key: string): Generator<RecordSet> {
    const atApex = key === this.apexKey;
    for (const set of source.setsAt(name)) if (!OWN.has(set.type) && !(atApex && OWN_AT_APEX.has(set.type))) yield set;
    if (atApex) yield* this.apexSets;
  }

  private isCut(source: ZoneSource, name: Buffer): boolean {
    if (name.length === this.apex.length) {
      for (const { type } of source.setsAt(name)) if (type === TYPE_DNAME) return true;
      return false;
    }
    for (const { type } of source.setsAt(name)) if (type === TYPE_NS || type === TYPE_DNAME) return true;
    return false;
  }

  private isOccluded(name: Buffer): boolean {
    const least = labelCount(this.apex);
    for (let labels = labelCount(name) - 1; labels >= least; labels--)
      if (this.cuts.has(keyOf(lastLabels(name, labels)))) return true;
    return false;
  }

  /** Brings one name into order: its signatures, and its place in the chain. `changed` null signs everything anew. */
  private settle(source: ZoneSource, name: Buffer, changed: ReadonlySet<number> | null, now: number): void {
    const key = keyOf(name);
    const types: number[] = [];
    const signs = new Map<number, RecordSet>();
    if (!this.isOccluded(name)) {
      for (const set of this.setsAt(source, name, key)) {
        types.push(set.type);
        signs.set(set.type, set);
      }
      // At a delegation only the DS is ours to say (RFC 4035 §2.2).
      if (key !== this.apexKey && signs.has(TYPE_NS))
        for (const type of [...signs.keys()]) if (type !== TYPE_DS) signs.delete(type);
    }
    const signed = this.signatures.get(key);
    if (signed !== undefined)
      for (const type of [...signed.keys()])
        if (type !== TYPE_NSEC && type !== TYPE_NSEC3 && !signs.has(type)) this.unsign(key, type);
    for (const [type, set] of signs)
      if (changed === null || changed.has(type) || signed?.has(type) !== true) this.signOne(set, now);
    this.place(name, key, types, signs.size > 0);
  }

  private place(name: Buffer, key: string, types: readonly number[], signed: boolean): void {
    const hashed = this.policy.nsec3 !== null;
    // At a cut only NS and DS are told of; glue is not the zone's own word (RFC 4035 §2.3).
    const cut = key !== this.apexKey && types.includes(TYPE_NS);
    const told = cut ? types.filter((type) => type === TYPE_NS || type === TYPE_DS) : types;
    const skipped = hashed && this.policy.optOut && cut && !signed;
    const worthy = told.length > 0 && !skipped;
    if (worthy !== this.worthy.has(key)) {
      if (worthy) this.worthy.add(key);
      else this.worthy.delete(key);
      if (hashed) this.count(key, worthy ? 1 : -1);
    }
    if (worthy) this.chain.put(name, hashed && signed ? [...told, TYPE_RRSIG] : told);
    else this.chain.put(name, (this.below.get(key) ?? 0) > 0 ? [] : null);
  }

  /** Counts a name for all above it, and puts or takes the empty non-terminals among them (RFC 5155 §7.1). */
  private count(key: string, by: number): void {
    for (let at = key; at.length > this.apexKey.length; ) {
      at = parentKey(at);
      const before = this.below.get(at) ?? 0;
      if (before + by === 0) this.below.delete(at);
      else this.below.set(at, before + by);
      if (at === this.apexKey || this.worthy.has(at) || (before > 0 && before + by > 0)) continue;
      this.chain.put(nameOfKey(at), before + by > 0 ? [] : null);
    }
  }

  private settleChain(now: number): void {
    const { added, removed } = this.chain.changes(this.denialTtl);
    for (const set of removed) {
      this.change.removed.push(set);
      this.unsign(keyOf(set.name), set.type);
    }
    for (const set of added) {
      this.change.added.push(set);
      this.signOne(set, now);
    }
  }

  private resign(source: ZoneSource, key: string, type: number, now: number): boolean {
    const name = nameOfKey(key);
    const sets = type === TYPE_NSEC || type === TYPE_NSEC3 ? this.chain.at(name) : this.setsAt(source, name, key);
    for (const set of sets)
      if (set.type === type) {
        this.signOne(set, now);
        return true;
      }
    return false;
  }

  private signOne(set: RecordSet, now: number): void {
    const { policy } = this;
    const key = keyOf(set.name);
    this.unsign(key, set.type);
    const byKeys = key === this.apexKey && [TYPE_DNSKEY, TYPE_CDS, TYPE_CDNSKEY].includes(set.type);
    const expires = now + policy.validFor - jitterOf(key, set.type, policy.jitter);
    const validity = { begins: now - policy.skew, expires };
    const keys = byKeys ? this.keys.keySigning : this.keys.zoneSigning;
    const data = keys.map((one) => signSet(set, this.apex, one, validity));
    const signature = { name: set.name, type: TYPE_RRSIG, ttl: set.ttl, data };
    let types = this.signatures.get(key);
    if (types === undefined) this.signatures.set(key, (types = new Map()));
    types.set(set.type, { set: signature, expires });
    const hour = Math.floor(expires / 3_600);
    let owners = this.hours.get(hour);
    if (owners === undefined) this.hours.set(hour, (owners = new Set()));
    owners.add(key);
    this.change.added.push(signature);
  }

  private unsign(key: string, type: number): void {
    const types = this.signatures.get(key);
    const had = types?.get(type);
    if (types === undefined || had === undefined) return;
    types.delete(type);
    if (types.size === 0) this.signatures.delete(key);
    this.change.removed.push(had.set);
  }
}

function sameKeys(a: readonly SigningKey[], b: readonly SigningKey[]): boolean {
  return a.length === b.length && a.every(({ data }, index) => data.equals(b[index]!.data));
}

function sameSet(a: RecordSet, b: RecordSet): boolean {
  return (
    a.type === b.type &&
    a.ttl === b.ttl &&
    a.data.length === b.data.length &&
    a.data.every((one, at) => one.equals(b.data[at]!))
  );
}

/** Spreads ends by name, not by chance, so that one zone is signed alike everywhere. */
function jitterOf(key: string, type: number, most: number): number {
  let sum = 0x811c9dc5 ^ type;
  for (let at = 0; at < key.length; at++) sum = Math.imul(sum ^ key.charCodeAt(at), 0x0100_0193);
  return (sum >>> 0) % (most + 1);
}
