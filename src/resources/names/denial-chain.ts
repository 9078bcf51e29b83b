// The chain of NSEC or NSEC3 records of one zone, and the proofs that an authority takes from it (RFC 4035 §3.1.3,
// RFC 5155 §7.2). It is told which names are in it, or filled with the records of a zone that somebody else signed.
import { type RecordSet, TYPE_NSEC, TYPE_NSEC3, TYPE_RRSIG } from '../../formats/dnssec/canonical.ts';
import { keyOf, labelCount, lastLabels, nameOfKey, sharedLabels, wildcardUnder } from '../../formats/dnssec/names.ts';
import {
  hashName,
  makeNsec,
  makeNsec3,
  type Nsec3Parameters,
  OPT_OUT,
  readNsec,
  readNsec3,
} from '../../formats/dnssec/nsec.ts';

export interface ChainPolicy {
  /** Null for NSEC. */
  readonly nsec3: Nsec3Parameters | null;
  /** Delegations without DS are left out of an NSEC3 chain (RFC 5155 §6). */
  readonly optOut: boolean;
}

export class DenialChain {
  readonly zone: Buffer;
  readonly policy: ChainPolicy;
  /** Places in the chain, ascending: keys of names, or hashes. */
  private order: string[] = [];
  /** Types at each place. */
  private readonly types = new Map<string, readonly number[]>();
  private readonly sets = new Map<string, RecordSet>();
  /** Places whose record must be made anew. */
  private readonly changed = new Set<string>();
  private sorted = true;

  constructor(zone: Buffer, policy: ChainPolicy) {
    this.zone = zone;
    this.policy = policy;
  }

  /** The chain of a zone that came signed; null when it has none, or hashes in a way that is not known. */
  static of(zone: Buffer, sets: Iterable<RecordSet>): DenialChain | null {
    let chain: DenialChain | null = null;
    for (const set of sets) {
      const data = set.data[0]!;
      const place = set.type === TYPE_NSEC ? keyOf(set.name) : null;
      if (place !== null && readNsec(set.name, data) === null) continue;
      const nsec3 = set.type === TYPE_NSEC3 ? readNsec3(set.name, data) : null;
      if (place === null && nsec3 === null) continue;
      chain ??= new DenialChain(zone, { nsec3, optOut: nsec3?.optOut === true });
      if ((chain.policy.nsec3 === null) !== (nsec3 === null)) continue;
      const at = place ?? nsec3!.hash;
      chain.order.push(at);
      chain.sets.set(at, set);
    }
    chain?.order.sort();
    return chain;
  }

  get size(): number {
    return this.order.length;
  }

  /** Where a name stands in the chain. */
  placeOf(name: Buffer): string {
    const { nsec3 } = this.policy;
    return nsec3 === null ? keyOf(name) : hashName(name, nsec3);
  }

  /** Says which types a name of the chain has, without NSEC and RRSIG of the chain's own; null takes it out. */
  put(name: Buffer, types: readonly number[] | null): void {
    const place = this.placeOf(name);
    const had = this.types.get(place);
    if (types === null) {
      if (had === undefined) return;
      this.types.delete(place);
      this.remove(place);
    } else {
      this.types.set(place, types);
      if (had === undefined) this.insert(place);
    }
    this.changed.add(place);
  }

  /** Names are put in bulk: the order is made once, by `changes`. */
  fill(): void {
    this.sorted = false;
  }

  private insert(place: string): void {
    if (!this.sorted) {
      this.order.push(place);
      return;
    }
    const at = this.rank(place);
    this.order.splice(at, 0, place);
    if (this.order.length > 1) this.changed.add(this.order.at(at - 1)!);
  }

  private remove(place: string): void {
    const at = this.rank(place);
    this.order.splice(at, 1);
    if (this.order.length > 0) this.changed.add(this.order.at(at - 1)!);
  }

  /** Makes the records of what changed: those that are new, and those that no longer hold. */
  changes(ttl: number): { readonly added: RecordSet[]; readonly removed: RecordSet[] } {
    if (!this.sorted) this.order.sort();
    this.sorted = true;
    const added: RecordSet[] = [];
    const removed: RecordSet[] = [];
    for (const place of this.changed) {
      const before = this.sets.get(place);
      const types = this.types.get(place);
      const after = types === undefined ? undefined : this.record(place, types, ttl);
      if (before !== undefined && after !== undefined && before.ttl === ttl && before.data[0]!.equals(after.data[0]!))
        continue;
      if (before !== undefined) removed.push(before);
      if (after === undefined) this.sets.delete(place);
      else {
        added.push(after);
        this.sets.set(place, after);
      }
    }
    this.changed.clear();
    return { added, removed };
  }

  /** Every record is made anew: the TTL changed. */
  touch(): void {
    for (const place of this.order) this.changed.add(place);
  }

  private record(place: string, types: readonly number[], ttl: number): RecordSet {
    const next = this.order[this.rank(place) + 1] ?? this.order[0]!;
    const { nsec3, optOut } = this.policy;
    if (nsec3 === null)
      return {
        name: nameOfKey(place),
        type: TYPE_NSEC,
        ttl,
        data: [makeNsec(nameOfKey(next), [...types, TYPE_NSEC, TYPE_RRSIG])],
      };
    const label = Buffer.concat([Buffer.from([32]), Buffer.from(place, 'latin1')]);
    return {
      name: Buffer.concat([label, this.zone]),
      type: TYPE_NSEC3,
      ttl,
      data: [makeNsec3(nsec3, optOut ? OPT_OUT : 0, next, types)],
    };
  }

  /** All records of the chain, in its order. */
  *all(): Generator<RecordSet> {
    for (const place of this.order) {
      const set = this.sets.get(place);
      if (set !== undefined) yield set;
    }
  }

  /** How many places come before this one. */
  private rank(place: string): number {
    let low = 0;
    let high = this.order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.order[middle]! < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The record that an owner has: of its own name for NSEC, of its first label for NSEC3. */
  at(owner: Buffer): RecordSet[] {
    const place = this.policy.nsec3 === null ? keyOf(owner) : owner.toString('latin1', 1, 33);
    const set = this.sets.get(place);
    return set === undefined ? [] : [set];
  }

  private match(name: Buffer): RecordSet | null {
    return this.sets.get(this.placeOf(name)) ?? null;
  }

  /** The record at the last place before the name's, going round. */
  private cover(name: Buffer): RecordSet | null {
    const before = this.order.at(this.rank(this.placeOf(name)) - 1);
    return before === undefined ? null : (this.sets.get(before) ?? null);
  }

  /** The nearest name above `name` that the chain shows to be there, by a match of its own or by a neighbour below it. */
  private encloser(name: Buffer): Buffer {
    const least = labelCount(this.zone);
    if (this.policy.nsec3 !== null) {
      for (let labels = labelCount(name) - 1; labels > least; labels--)
        if (this.match(lastLabels(name, labels)) !== null) return lastLabels(name, labels);
      return this.zone;
    }
    const at = this.rank(keyOf(name));
    let shared = least;
    for (const place of [this.order.at(at - 1), this.order[at]])
      if (place !== undefined) shared = Math.max(shared, sharedLabels(name, nameOfKey(place)));
    return lastLabels(name, shared);
  }

  /** Nothing has this name (RFC 4035 §3.1.3.2, RFC 5155 §7.2.2). */
  noName(name: Buffer): RecordSet[] {
    const encloser = this.encloser(name);
    const wildcard = wildcardUnder(encloser);
    const star = wildcard === null ? null : this.cover(wildcard);
    if (this.policy.nsec3 === null) return unique([this.cover(name), star]);
    return unique([this.match(encloser), this.nextCloser(name, encloser), star]);
  }

  /** The name is there and lacks the type (RFC 4035 §3.1.3.1, RFC 5155 §7.2.3, §7.2.4). */
  noType(name: Buffer): RecordSet[] {
    const match = this.match(name);
    if (match !== null) return [match];
    if (this.policy.nsec3 === null) return unique([this.cover(name)]);
    const encloser = this.encloser(name);
    return unique([this.match(encloser), this.nextCloser(name, encloser)]);
  }

  /** A wildcard stands for the name and lacks the type (RFC 4035 §3.1.3.4, RFC 5155 §7.2.5). */
  noTypeOfWildcard(name: Buffer, wildcard: Buffer): RecordSet[] {
    if (this.policy.nsec3 === null) return unique([this.match(wildcard) ?? this.cover(wildcard), this.cover(name)]);
    const encloser = lastLabels(wildcard, labelCount(wildcard) - 1);
    return unique([this.match(encloser), this.nextCloser(name, encloser), this.match(wildcard)]);
  }

  /** The name is not there itself, so that the wildcard answers (RFC 4035 §3.1.3.3, RFC 5155 §7.2.6). */
  expanded(name: Buffer, wildcard: Buffer): RecordSet[] {
    if (this.policy.nsec3 === null) return unique([this.cover(name)]);
    return unique([this.nextCloser(name, lastLabels(wildcard, labelCount(wildcard) - 1))]);
  }

  /** A delegation has no DS (RFC 4035 §3.1.4.1, RFC 5155 §7.2.7). */
  unsignedDelegation(name: Buffer): RecordSet[] {
    return this.noType(name);
  }

  private nextCloser(name: Buffer, encloser: Buffer): RecordSet | null {
    return this.cover(lastLabels(name, labelCount(encloser) + 1));
  }
}

function unique(sets: readonly (RecordSet | null)[]): RecordSet[] {
  return [...new Set(sets)].filter((set) => set !== null);
}
