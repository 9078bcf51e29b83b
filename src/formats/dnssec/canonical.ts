// The canonical form of record sets (RFC 4034 §6): names within data in lower case, data in order, and the bytes that a
// signature covers. It works on uncompressed wire data and knows no zone.
import { checkName } from '../dns/name.ts';
import { isWildcard, lastLabels, lowered, signedLabels } from './names.ts';

/** Records of one owner, type and class IN, in uncompressed wire form. */
export interface RecordSet {
  readonly name: Buffer;
  readonly type: number;
  readonly ttl: number;
  readonly data: readonly Buffer[];
}

export const TYPE_A = 1;
export const TYPE_NS = 2;
export const TYPE_CNAME = 5;
export const TYPE_SOA = 6;
export const TYPE_DNAME = 39;
export const TYPE_DS = 43;
export const TYPE_RRSIG = 46;
export const TYPE_NSEC = 47;
export const TYPE_DNSKEY = 48;
export const TYPE_NSEC3 = 50;
export const TYPE_NSEC3PARAM = 51;
export const TYPE_CDS = 59;
export const TYPE_CDNSKEY = 60;

/**
 * Where names stand in the data of the types whose names are lower case in canonical form: octets before the first name, and
 * how many names follow (RFC 4034 §6.2, without NSEC and HINFO by RFC 6840 §5.1). NAPTR and A6 vary and are apart.
 */
const NAMES_WITHIN: Readonly<Record<number, readonly [before: number, names: number]>> = {
  2: [0, 1],
  3: [0, 1],
  4: [0, 1],
  5: [0, 1],
  6: [0, 2],
  7: [0, 1],
  8: [0, 1],
  9: [0, 1],
  12: [0, 1],
  14: [0, 2],
  15: [2, 1],
  17: [0, 2],
  18: [2, 1],
  21: [2, 1],
  24: [18, 1],
  26: [2, 2],
  30: [0, 1],
  33: [6, 1],
  36: [2, 1],
  39: [0, 1],
  46: [18, 1],
};

const TYPE_NAPTR = 35;
const TYPE_A6 = 38;

/** The data in canonical form; the same bytes when it is already so, or when it cannot be read. */
export function canonicalData(type: number, data: Buffer): Buffer {
  const within = NAMES_WITHIN[type];
  if (within !== undefined) return loweredFrom(data, within[0], within[1]);
  if (type === TYPE_NAPTR) {
    let at = 4;
    for (let text = 0; text < 3; text++) at += (data[at] ?? 0) + 1;
    return loweredFrom(data, at, 1);
  }
  // A prefix length, the part of the address that it leaves, and the name of the rest unless it is 0 (RFC 2874 §3.1).
  if (type === TYPE_A6 && data[0]! > 0 && data[0]! <= 128) return loweredFrom(data, 1 + ((135 - data[0]!) >> 3), 1);
  return data;
}

function loweredFrom(data: Buffer, at: number, names: number): Buffer {
  let copy = data;
  for (let name = 0; name < names; name++) {
    const end = checkName(data, at, data.length);
    if (end < 0) return data;
    const own = data.subarray(at, end);
    const low = lowered(own);
    if (low !== own) {
      if (copy === data) copy = Buffer.from(data);
      copy.set(low, at);
    }
    at = end;
  }
  return copy;
}

/** Data of one set in canonical order, without repetitions (RFC 4034 §6.3). */
export function canonicalOrder(type: number, data: readonly Buffer[]): Buffer[] {
  const sorted = data.map((one) => canonicalData(type, one));
  if (sorted.length === 1) return sorted;
  sorted.sort(Buffer.compare);
  return sorted.filter((one, index) => index === 0 || !one.equals(sorted[index - 1]!));
}

/** Fields of an RRSIG (RFC 4034 §3.1); times in seconds since 1970, modulo 2^32. */
export interface Signature {
  readonly covered: number;
  readonly algorithm: number;
  readonly labels: number;
  readonly ttl: number;
  readonly expires: number;
  readonly begins: number;
  readonly tag: number;
  readonly signer: Buffer;
  readonly bytes: Buffer;
}

/** An RRSIG's data, read; null when it is none. */
export function readSignature(data: Buffer): Signature | null {
  const end = data.length < 19 ? -1 : checkName(data, 18, data.length);
  if (end < 0) return null;
  return {
    covered: data.readUInt16BE(0),
    algorithm: data[2]!,
    labels: data[3]!,
    ttl: data.readUInt32BE(4),
    expires: data.readUInt32BE(8),
    begins: data.readUInt32BE(12),
    tag: data.readUInt16BE(16),
    signer: data.subarray(18, end),
    bytes: data.subarray(end),
  };
}

/** An RRSIG's data up to the signature itself: what is signed with the records (RFC 4034 §3.1.8.1). */
export function signaturePrefix(signature: Omit<Signature, 'bytes'>): Buffer {
  const { signer } = signature;
  const prefix = Buffer.allocUnsafe(18 + signer.length);
  prefix.writeUInt16BE(signature.covered, 0);
  prefix[2] = signature.algorithm;
  prefix[3] = signature.labels;
  prefix.writeUInt32BE(signature.ttl, 4);
  prefix.writeUInt32BE(signature.expires, 8);
  prefix.writeUInt32BE(signature.begins, 12);
  prefix.writeUInt16BE(signature.tag, 16);
  prefix.set(lowered(signer), 18);
  return prefix;
}

/**
 * The bytes that a signature covers: its own fields, then each record with the signature's original TTL, in canonical form
 * and order (RFC 4034 §3.1.8.1). An owner of more labels than were signed was made from a wildcard. Null when the owner has fewer.
 */
export function signedBytes(set: RecordSet, signature: Omit<Signature, 'bytes'>): Buffer | null {
  const labels = signedLabels(set.name);
  if (signature.labels > labels) return null;
  let owner = lowered(set.name);
  // What `*` answered is signed under the wildcard's own name.
  if (signature.labels < labels)
    owner = Buffer.concat([
      Buffer.from([1, 0x2a]),
      lastLabels(isWildcard(owner) ? owner.subarray(2) : owner, signature.labels),
    ]);
  const fixed = Buffer.allocUnsafe(owner.length + 8);
  fixed.set(owner, 0);
  fixed.writeUInt16BE(set.type, owner.length);
  fixed.writeUInt16BE(1, owner.length + 2);
  fixed.writeUInt32BE(signature.ttl, owner.length + 4);
  const parts = [signaturePrefix(signature)];
  for (const data of canonicalOrder(set.type, set.data)) {
    const size = Buffer.allocUnsafe(2);
    size.writeUInt16BE(data.length, 0);
    parts.push(fixed, size, data);
  }
  return Buffer.concat(parts);
}
