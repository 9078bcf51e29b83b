// Proofs that a name or a type is not there, checked from NSEC and NSEC3 records whose signatures hold (RFC 4035 §5.4,
// RFC 5155 §8, RFC 6840 §4). It verifies no signature and asks nobody.
import {
  type RecordSet,
  TYPE_CNAME,
  TYPE_DNAME,
  TYPE_DS,
  TYPE_NS,
  TYPE_NSEC,
  TYPE_NSEC3,
  TYPE_SOA,
} from './canonical.ts';
import { isWithin, keyOf, labelCount, lastLabels, sameName, sharedLabels, wildcardUnder } from './names.ts';
import { hashName, hasType, type Nsec, type Nsec3, readNsec, readNsec3 } from './nsec.ts';

/** More iterations than this are treated as no signature at all (RFC 9276 §3.2). */
export const NSEC3_ITERATIONS_MAX = 50;

/**
 * `proved`: it is not there. `insecure`: the span is opt-out, or the hash too dear: what is there need not be signed.
 * `unproved`: these records do not say so.
 */
export type Proof = 'proved' | 'insecure' | 'unproved';

/** What a set of denials may cost: names hashed for one answer. */
export interface HashBudget {
  hashes: number;
}

export class Denial {
  readonly zone: Buffer;
  readonly nsec: readonly Nsec[];
  readonly nsec3: readonly Nsec3[];
  private readonly budget: HashBudget;
  private readonly hashes = new Map<string, string>();
  private readonly costly: boolean;

  /** @param sets NSEC and NSEC3 sets of the zone, with signatures that hold, none made from a wildcard */
  constructor(zone: Buffer, sets: readonly RecordSet[], budget: HashBudget = { hashes: 128 }) {
    this.zone = zone;
    this.budget = budget;
    const plain: Nsec[] = [];
    const hashed: Nsec3[] = [];
    for (const { name, type, data } of sets) {
      if (!isWithin(name, zone)) continue;
      for (const one of data) {
        const nsec = type === TYPE_NSEC ? readNsec(name, one) : null;
        if (nsec !== null && isWithin(nsec.next, zone)) plain.push(nsec);
        const nsec3 = type === TYPE_NSEC3 ? readNsec3(name, one) : null;
        if (nsec3 !== null && labelCount(name) === labelCount(zone) + 1) hashed.push(nsec3);
      }
    }
    this.nsec = plain;
    // One chain at a time: records of different parameters prove nothing together (RFC 5155 §8.2).
    const first = hashed[0];
    this.nsec3 = hashed.filter((one) => one.iterations === first!.iterations && one.salt.equals(first!.salt));
    this.costly = first !== undefined && first.iterations > NSEC3_ITERATIONS_MAX;
  }

  get isEmpty(): boolean {
    return this.nsec.length === 0 && this.nsec3.length === 0;
  }

  /** That nothing has this name, nor is made for it from a wildcard (RFC 4035 §5.4, RFC 5155 §8.4). */
  noName(name: Buffer): Proof {
    if (this.costly) return 'insecure';
    if (this.nsec.length > 0) {
      const cover = this.covering(name);
      if (cover === null || isWithin(cover.next, name)) return 'unproved';
      const wildcard = wildcardUnder(closestOf(cover, name));
      const star = wildcard === null ? null : this.covering(wildcard);
      return star !== null && !isWithin(star.next, wildcard!) ? 'proved' : 'unproved';
    }
    const encloser = this.encloser(name);
    if (encloser === null) return 'unproved';
    const wildcard = wildcardUnder(encloser.name);
    if (wildcard === null || this.hashCovering(wildcard) === null) return 'unproved';
    return encloser.optOut ? 'insecure' : 'proved';
  }

  /** That the name, or the wildcard that stands for it, has no record of the type (RFC 5155 §8.5 to 8.7). */
  noType(name: Buffer, type: number): Proof {
    if (this.costly) return 'insecure';
    return this.nsec.length > 0 ? this.noTypeByName(name, type) : this.noTypeByHash(name, type);
  }

  private noTypeByName(name: Buffer, type: number): Proof {
    const match = this.matching(name);
    if (match !== null) return lacks(match.types, type, name) ? 'proved' : 'unproved';
    const cover = this.covering(name);
    if (cover === null) return 'unproved';
    // An empty non-terminal has no NSEC of its own: the next name lies below it (RFC 4592 §2.2.2).
    if (isWithin(cover.next, name)) return 'proved';
    const wildcard = wildcardUnder(closestOf(cover, name));
    const star = wildcard === null ? null : this.matching(wildcard);
    if (star !== null) return lacks(star.types, type, wildcard!) ? 'proved' : 'unproved';
    // The wildcard may be an empty non-terminal itself.
    const above = wildcard === null ? null : this.covering(wildcard);
    return above !== null && isWithin(above.next, wildcard!) ? 'proved' : 'unproved';
  }

  private noTypeByHash(name: Buffer, type: number): Proof {
    const match = this.hashMatching(name);
    if (match !== null) return lacks(match.types, type, name) ? 'proved' : 'unproved';
    const encloser = this.encloser(name);
    if (encloser === null) return 'unproved';
    // A delegation without DS within an opt-out span (RFC 5155 §8.6).
    if (type === TYPE_DS && encloser.optOut) return 'insecure';
    const wildcard = wildcardUnder(encloser.name);
    const star = wildcard === null ? null : this.hashMatching(wildcard);
    if (star === null || !lacks(star.types, type, wildcard!)) return 'unproved';
    return encloser.optOut ? 'insecure' : 'proved';
  }

  /** That the name itself is not there, so that a wildcard with `labels` labels below the root may answer (RFC 5155 §8.8). */
  expanded(name: Buffer, labels: number): Proof {
    if (this.costly) return 'insecure';
    if (labelCount(name) <= labels) return 'unproved';
    if (this.nsec.length > 0) {
      const cover = this.covering(name);
      // The closest encloser must be the wildcard's own parent, or another wildcard would stand nearer.
      if (cover === null || isWithin(cover.next, name)) return 'unproved';
      return labelCount(closestOf(cover, name)) === labels ? 'proved' : 'unproved';
    }
    const cover = this.hashCovering(lastLabels(name, labels + 1));
    if (cover === null) return 'unproved';
    return cover.optOut ? 'insecure' : 'proved';
  }

  /** That a delegation to `name` is not signed: there is an NS there, and no DS (RFC 5155 §8.9). */
  unsignedDelegation(name: Buffer): Proof {
    if (this.costly) return 'insecure';
    const match = this.nsec.length > 0 ? this.matching(name) : this.hashMatching(name);
    if (match !== null)
      return hasType(match.types, TYPE_NS) && lacks(match.types, TYPE_DS, name) ? 'proved' : 'unproved';
    if (this.nsec.length > 0) return 'unproved';
    return this.encloser(name)?.optOut === true ? 'insecure' : 'unproved';
  }

  private matching(name: Buffer): Nsec | null {
    return this.nsec.find(({ owner }) => sameName(owner, name)) ?? null;
  }

  /** The NSEC within whose span the name falls, unless it speaks of what lies below a cut or a DNAME (RFC 6840 §4.1). */
  private covering(name: Buffer): Nsec | null {
    if (!isWithin(name, this.zone)) return null;
    const key = keyOf(name);
    for (const one of this.nsec) {
      const from = keyOf(one.owner);
      const to = keyOf(one.next);
      const within = from < to ? from < key && key < to : from < key || key < to;
      if (within && !(isWithin(name, one.owner) && endsHere(one.types))) return one;
    }
    return null;
  }

  private hash(name: Buffer): string | null {
    const key = keyOf(name);
    let found = this.hashes.get(key);
    if (found !== undefined) return found;
    if (this.nsec3.length === 0 || this.budget.hashes <= 0) return null;
    this.budget.hashes--;
    found = hashName(name, this.nsec3[0]!);
    this.hashes.set(key, found);
    return found;
  }

  private hashMatching(name: Buffer): Nsec3 | null {
    const hash = this.hash(name);
    return this.nsec3.find((one) => one.hash === hash) ?? null;
  }

  private hashCovering(name: Buffer): Nsec3 | null {
    const hash = this.hash(name);
    if (hash === null) return null;
    for (const one of this.nsec3)
      if (one.hash < one.next ? one.hash < hash && hash < one.next : one.hash < hash || hash < one.next) return one;
    return null;
  }

  /** The closest ancestor that is there, with the next closer name covered (RFC 5155 §8.3). */
  private encloser(name: Buffer): { readonly name: Buffer; readonly optOut: boolean } | null {
    const least = labelCount(this.zone);
    for (let labels = labelCount(name) - 1; labels >= least; labels--) {
      const candidate = lastLabels(name, labels);
      const match = this.hashMatching(candidate);
      if (match === null) continue;
      if (endsHere(match.types)) return null;
      const cover = this.hashCovering(lastLabels(name, labels + 1));
      return cover === null ? null : { name: candidate, optOut: cover.optOut };
    }
    return null;
  }
}

/** Whether nothing of this zone lies below a name of these types: a delegation, or a DNAME. */
function endsHere(types: Buffer): boolean {
  return hasType(types, TYPE_DNAME) || (hasType(types, TYPE_NS) && !hasType(types, TYPE_SOA));
}

/** Whether types say that one is not there, and are of the side of the cut that knows (RFC 6840 §4.1, §4.4). */
function lacks(types: Buffer, type: number, name: Buffer): boolean {
  if (hasType(types, type) || hasType(types, TYPE_CNAME)) return false;
  const soa = hasType(types, TYPE_SOA);
  if (type === TYPE_DS) return !soa || name.length === 1;
  return soa || !hasType(types, TYPE_NS);
}

/** The closest encloser of a name that an NSEC covers: what it shares with either end of the span, whichever is more. */
function closestOf(nsec: Nsec, name: Buffer): Buffer {
  return lastLabels(name, Math.max(sharedLabels(name, nsec.owner), sharedLabels(name, nsec.next)));
}
