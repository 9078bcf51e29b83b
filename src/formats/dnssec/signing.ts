// RRSIGs made and checked over record sets (RFC 4034 §3, RFC 4035 §5.3). The time is handed in; nothing here looks up keys.
import { sign as signBytes, verify as verifyBytes } from 'node:crypto';
import { type RecordSet, readSignature, type Signature, signaturePrefix, signedBytes } from './canonical.ts';
import { ALGORITHMS, type Key, REVOKE_FLAG, type SigningKey, ZONE_FLAG } from './keys.ts';
import { isWithin, sameName, signedLabels } from './names.ts';

/** Seconds since 1970. */
export interface Validity {
  readonly begins: number;
  readonly expires: number;
}

/** The data of an RRSIG by `key` of the zone `signer` over the set, as its owner stands. */
export function signSet(set: RecordSet, signer: Buffer, key: SigningKey, validity: Validity): Buffer {
  const fields = {
    covered: set.type,
    algorithm: key.algorithm,
    labels: signedLabels(set.name),
    ttl: set.ttl,
    expires: validity.expires >>> 0,
    begins: validity.begins >>> 0,
    tag: key.tag,
    signer,
  };
  const digest = ALGORITHMS[key.algorithm]!.digest;
  // ECDSA's signature is r and s, not DER (RFC 6605 §4).
  const bytes = signBytes(digest, signedBytes(set, fields)!, { key: key.private, dsaEncoding: 'ieee-p1363' });
  return Buffer.concat([signaturePrefix(fields), bytes]);
}

/** Why a signature does not make a set valid. */
export type Refusal =
  | 'malformed'
  | 'expired'
  | 'not-yet'
  | 'other-type'
  | 'other-zone'
  | 'labels'
  | 'other-key'
  | 'algorithm'
  | 'revoked'
  | 'wrong';

/** What can be told before the arithmetic (RFC 4035 §5.3.1); null when nothing speaks against it. */
export function refusalOf(set: RecordSet, signature: Signature, zone: Buffer, now: number): Refusal | null {
  if (signature.covered !== set.type) return 'other-type';
  if (!sameName(signature.signer, zone) || !isWithin(set.name, zone)) return 'other-zone';
  if (signature.labels > signedLabels(set.name)) return 'labels';
  // Times wrap round (RFC 4034 §3.1.5, RFC 1982).
  if (((signature.expires - now) | 0) < 0) return 'expired';
  if (((now - signature.begins) | 0) < 0) return 'not-yet';
  return null;
}

/** Whether a key can have made a signature, by what is written on both (RFC 4035 §5.3.1). */
export function isKeyOf(key: Key, signature: Signature): boolean {
  return key.tag === signature.tag && key.algorithm === signature.algorithm && (key.flags & ZONE_FLAG) !== 0;
}

/** Checks one signature by one key; null when it holds. This is what costs, and what callers count. */
export function verifySet(set: RecordSet, data: Buffer, key: Key, zone: Buffer, now: number): Refusal | null {
  const signature = readSignature(data);
  if (signature === null) return 'malformed';
  const refusal = refusalOf(set, signature, zone, now);
  if (refusal !== null) return refusal;
  if (!isKeyOf(key, signature)) return 'other-key';
  // A revoked key signs nothing but the set of keys itself, to say so (RFC 5011 §2.1).
  if ((key.flags & REVOKE_FLAG) !== 0) return 'revoked';
  return verifyArithmetic(set, signature, key);
}

/** The arithmetic alone; the caller has asked `refusalOf` and `isKeyOf`. */
export function verifyArithmetic(set: RecordSet, signature: Signature, key: Key): Refusal | null {
  const algorithm = ALGORITHMS[key.algorithm];
  if (algorithm === undefined || key.public === null) return 'algorithm';
  const bytes = signedBytes(set, signature);
  if (bytes === null) return 'labels';
  try {
    const options = { key: key.public, dsaEncoding: 'ieee-p1363' as const };
    return verifyBytes(algorithm.digest, bytes, options, signature.bytes) ? null : 'wrong';
  } catch {
    // A platform without SHA-1 signatures, or a signature that OpenSSL will not even read.
    return 'wrong';
  }
}

/** Whether the set was made from a wildcard, by a signature over fewer labels than it has (RFC 4035 §5.3.4). */
export function isFromWildcard(set: RecordSet, signature: Signature): boolean {
  return signature.labels < signedLabels(set.name);
}

/** The TTL with which a valid set may be kept (RFC 4035 §5.3.3). */
export function trustedTtl(ttl: number, signature: Signature, now: number): number {
  return Math.max(0, Math.min(ttl, signature.ttl, (signature.expires - now) | 0));
}
