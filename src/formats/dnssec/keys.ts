// DNSSEC keys: algorithms, key tags, DS digests, and keys between DNSKEY data and node:crypto (RFC 4034, 5702, 6605, 8080).
// It knows no zone and no time.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { lowered } from './names.ts';

export const RSASHA1 = 5;
export const RSASHA1_NSEC3 = 7;
export const RSASHA256 = 8;
export const RSASHA512 = 10;
export const ECDSAP256 = 13;
export const ECDSAP384 = 14;
export const ED25519 = 15;
export const ED448 = 16;

interface Algorithm {
  readonly name: string;
  readonly kind: 'rsa' | 'ec' | 'okp';
  /** The digest that the signature is over; null where the algorithm has its own. */
  readonly digest: string | null;
  readonly curve?: string;
  /** Octets of the public key, where they are fixed. */
  readonly size?: number;
  /** Whether new signatures may be made with it (RFC 8624 §3.1). */
  readonly signs: boolean;
}

export const ALGORITHMS: Readonly<Record<number, Algorithm>> = {
  [RSASHA1]: { name: 'RSASHA1', kind: 'rsa', digest: 'sha1', signs: false },
  [RSASHA1_NSEC3]: { name: 'RSASHA1-NSEC3-SHA1', kind: 'rsa', digest: 'sha1', signs: false },
  [RSASHA256]: { name: 'RSASHA256', kind: 'rsa', digest: 'sha256', signs: true },
  [RSASHA512]: { name: 'RSASHA512', kind: 'rsa', digest: 'sha512', signs: true },
  [ECDSAP256]: { name: 'ECDSAP256SHA256', kind: 'ec', digest: 'sha256', curve: 'P-256', size: 64, signs: true },
  [ECDSAP384]: { name: 'ECDSAP384SHA384', kind: 'ec', digest: 'sha384', curve: 'P-384', size: 96, signs: true },
  [ED25519]: { name: 'ED25519', kind: 'okp', digest: null, curve: 'Ed25519', size: 32, signs: true },
  [ED448]: { name: 'ED448', kind: 'okp', digest: null, curve: 'Ed448', size: 57, signs: true },
};

/** The number of an algorithm by its name in any case, or null. */
export function algorithmNumber(name: string): number | null {
  for (const [number, algorithm] of Object.entries(ALGORITHMS))
    if (algorithm.name === name.toUpperCase()) return Number(number);
  return null;
}

/** The key belongs to the zone: it may sign (RFC 4034 §2.1.1). */
export const ZONE_FLAG = 0x0100;
/** Secure entry point, as key-signing keys have (RFC 4034 §2.1.1). */
export const SEP_FLAG = 0x0001;
/** Revoked (RFC 5011 §2.1). */
export const REVOKE_FLAG = 0x0080;

export interface Key {
  readonly flags: number;
  readonly algorithm: number;
  readonly tag: number;
  /** The data of its DNSKEY record. */
  readonly data: Buffer;
  /** Null when the algorithm is not known here, or the key is not well made. */
  readonly public: KeyObject | null;
}

/** A DNSKEY's data, read (RFC 4034 §2.1); null when it is none. */
export function readKey(data: Buffer): Key | null {
  if (data.length < 5 || data[2] !== 3) return null;
  return {
    flags: data.readUInt16BE(0),
    algorithm: data[3]!,
    tag: keyTag(data),
    data,
    public: publicKeyOf(data[3]!, data.subarray(4)),
  };
}

/** The sum by which RRSIG and DS refer to a key (RFC 4034 appendix B). */
export function keyTag(data: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < data.length; at++) sum += at & 1 ? data[at]! : data[at]! << 8;
  return (sum + (sum >>> 16)) & 0xffff;
}

const RSA_OCTETS_MAX = 512;

function publicKeyOf(algorithm: number, bytes: Buffer): KeyObject | null {
  const known = ALGORITHMS[algorithm];
  if (known === undefined || (known.size !== undefined && known.size !== bytes.length)) return null;
  try {
    if (known.kind === 'rsa') return rsaKey(bytes);
    if (known.kind === 'okp')
      return createPublicKey({ key: { kty: 'OKP', crv: known.curve!, x: bytes.toString('base64url') }, format: 'jwk' });
    const half = bytes.length / 2;
    const x = bytes.subarray(0, half).toString('base64url');
    const y = bytes.subarray(half).toString('base64url');
    return createPublicKey({ key: { kty: 'EC', crv: known.curve!, x, y }, format: 'jwk' });
  } catch {
    // Not a point of the curve, or not a modulus: what the owner published is no key.
    return null;
  }
}

/** An exponent after its length of one octet, or of three whose first is 0, then the modulus (RFC 3110 §2). */
function rsaKey(bytes: Buffer): KeyObject | null {
  const long = bytes[0] === 0;
  if (bytes.length < (long ? 4 : 2)) return null;
  const size = long ? bytes.readUInt16BE(1) : bytes[0]!;
  const start = long ? 3 : 1;
  const exponent = bytes.subarray(start, start + size);
  const modulus = bytes.subarray(start + size);
  // An exponent as long as the modulus makes a verification a thousand times dearer.
  if (exponent.length !== size || size === 0 || size > 8 || modulus.length < 64 || modulus.length > RSA_OCTETS_MAX)
    return null;
  const key = { kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') };
  return createPublicKey({ key, format: 'jwk' });
}

export const DIGEST_SHA1 = 1;
export const DIGEST_SHA256 = 2 as const;
export const DIGEST_SHA384 = 4 as const;

const DIGESTS: Readonly<Record<number, string>> = { 1: 'sha1', 2: 'sha256', 4: 'sha384' };

/** A DS's data, read (RFC 4034 §5.1); null when it is none. */
export interface DelegationSigner {
  readonly tag: number;
  readonly algorithm: number;
  readonly digestType: number;
  readonly digest: Buffer;
}

export function readDelegationSigner(data: Buffer): DelegationSigner | null {
  if (data.length < 5) return null;
  return { tag: data.readUInt16BE(0), algorithm: data[2]!, digestType: data[3]!, digest: data.subarray(4) };
}

/** Whether both the key's algorithm and the digest are known here (RFC 4035 §5.2: otherwise the zone is as unsigned). */
export function isUsable(signer: DelegationSigner): boolean {
  return ALGORITHMS[signer.algorithm] !== undefined && DIGESTS[signer.digestType] !== undefined;
}

/** Whether a DS of `owner` is this key's (RFC 4035 §5.2). */
export function matches(signer: DelegationSigner, owner: Buffer, key: Key): boolean {
  if (signer.tag !== key.tag || signer.algorithm !== key.algorithm || (key.flags & ZONE_FLAG) === 0) return false;
  const digest = DIGESTS[signer.digestType];
  return digest !== undefined && digestOf(digest, owner, key.data).equals(signer.digest);
}

function digestOf(digest: string, owner: Buffer, data: Buffer): Buffer {
  return createHash(digest).update(lowered(owner)).update(data).digest();
}

/** The data of a DS record for a key (RFC 4034 §5.1.4; RFC 4509, RFC 6605 §2). SHA-1 is not made (RFC 8624 §3.3). */
export function makeDelegationSigner(owner: Buffer, key: Key, digestType: 2 | 4): Buffer {
  const head = Buffer.allocUnsafe(4);
  head.writeUInt16BE(key.tag, 0);
  head[2] = key.algorithm;
  head[3] = digestType;
  return Buffer.concat([head, digestOf(DIGESTS[digestType]!, owner, key.data)]);
}

/** A key whose private half is here. */
export interface SigningKey extends Key {
  readonly private: KeyObject;
}

/** RSA's modulus in bits. */
const RSA_BITS = 2048;

/** Makes a key pair. Throws a RangeError for an algorithm that no new key should have. */
export function generateKey(algorithm: number, role: 'ksk' | 'zsk' | 'csk'): SigningKey {
  const known = ALGORITHMS[algorithm];
  if (known === undefined || !known.signs) throw new RangeError(`algorithm ${algorithm} is not one to sign with`);
  return signingKey(algorithm, role, newPair(known).privateKey);
}

function newPair(known: Algorithm) {
  if (known.kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: RSA_BITS });
  if (known.kind === 'ec') return generateKeyPairSync('ec', { namedCurve: known.curve! });
  return known.curve === 'Ed448' ? generateKeyPairSync('ed448') : generateKeyPairSync('ed25519');
}

/** A signing key from its private half, in PKCS #8 (PEM) or as node has it. */
export function signingKey(algorithm: number, role: 'ksk' | 'zsk' | 'csk', secret: KeyObject | string): SigningKey {
  const own = typeof secret === 'string' ? createPrivateKey(secret) : secret;
  const open = createPublicKey(own);
  const head = Buffer.from([0, 0, 3, algorithm]);
  head.writeUInt16BE(ZONE_FLAG | (role === 'zsk' ? 0 : SEP_FLAG), 0);
  const data = Buffer.concat([head, publicBytes(algorithm, open)]);
  return { flags: data.readUInt16BE(0), algorithm, tag: keyTag(data), data, public: open, private: own };
}

function publicBytes(algorithm: number, key: KeyObject): Buffer {
  const { kty, crv, n, e, x, y } = key.export({ format: 'jwk' });
  const known = ALGORITHMS[algorithm];
  const part = (text: string | undefined) => Buffer.from(text ?? '', 'base64url');
  if (known === undefined || (known.curve !== undefined ? known.curve !== crv : kty !== 'RSA'))
    throw new RangeError(`the key is not one of algorithm ${algorithm}`);
  if (known.kind === 'okp') return part(x);
  if (known.kind === 'ec') return Buffer.concat([part(x), part(y)]);
  const exponent = part(e);
  return Buffer.concat([Buffer.from([exponent.length]), exponent, part(n)]);
}

/** Data of a CDS or DS (`0 0 0 00`) and a CDNSKEY (`0 3 0 0`) that ask the parent to end the chain (RFC 8078 §4). */
export const DELETE_CDS: Buffer = Buffer.from([0, 0, 0, 0, 0]);
export const DELETE_CDNSKEY: Buffer = Buffer.from([0, 0, 3, 0, 0]);
