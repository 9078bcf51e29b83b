// Keys of DKIM: records in DNS, the keys in them, and signatures made and verified with either algorithm (RFC 6376 §3.6, RFC 8301,
// RFC 8463).
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import type { DnsFind } from './lookup.ts';
import { bytesOfTag, listOfTag, readTags } from './tags.ts';

export type Algorithm = 'rsa-sha256' | 'ed25519-sha256';

/** Why there is no pass (RFC 8601 §2.7.1). */
export interface Trouble {
  readonly result: 'fail' | 'neutral' | 'permerror' | 'temperror' | 'policy';
  readonly why: string;
}

export interface FoundKey {
  readonly key: KeyObject;
  /** The tag `t`: `s` holds identities to the very domain, `y` is a test. */
  readonly flags: readonly string[];
  readonly bits: number;
}

/** Shorter ones prove nothing (RFC 8301 §3.2). */
const RSA_BITS_MIN = 1_024;
const ED25519_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

export async function findKey(
  find: DnsFind,
  domain: string,
  selector: string,
  algorithm: Algorithm,
): Promise<FoundKey | Trouble> {
  const { kind, values } = await find(`${selector}._domainkey.${domain}`, 'TXT');
  if (kind === 'failed') return { result: 'temperror', why: 'the key cannot be had now' };
  if (values.length === 0) return { result: 'permerror', why: 'there is no key' };
  let trouble: Trouble | null = null;
  // Several records are undefined (RFC 6376 §3.6.2.2): any that fits will do.
  for (const value of values.slice(0, 5)) {
    const found = keyOf(value, algorithm);
    if ('key' in found) return found;
    trouble ??= found;
  }
  return trouble!;
}

export function keyOf(record: string, algorithm: Algorithm): FoundKey | Trouble {
  const broken = (why: string): Trouble => ({ result: 'permerror', why });
  const tags = readTags(record);
  if (tags === null || (tags.get('v') ?? 'DKIM1') !== 'DKIM1') return broken('the key’s record is not one');
  const type = tags.get('k') ?? 'rsa';
  if (type !== algorithm.split('-')[0]) return broken(`the key is of ${type}`);
  if (!listOfTag(tags.get('h') ?? 'sha256').includes('sha256')) return broken('the key is not for SHA-256');
  const services = listOfTag(tags.get('s') ?? '*');
  if (!services.includes('*') && !services.includes('email')) return broken('the key is not for mail');
  const bytes = bytesOfTag(tags.get('p') ?? '');
  if (bytes === null) return broken('the key is not base64');
  if (bytes.length === 0) return broken('the key was revoked');
  const key = publicKeyOf(bytes, type);
  if (key === null) return broken('the key cannot be read');
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 256;
  if (type === 'rsa' && bits < RSA_BITS_MIN) return { result: 'policy', why: `a key of ${bits} bits proves nothing` };
  return { key, bits, flags: listOfTag(tags.get('t') ?? '') };
}

function publicKeyOf(bytes: Buffer, type: string): KeyObject | null {
  try {
    if (type === 'ed25519')
      return bytes.length === 32
        ? createPublicKey({ key: Buffer.concat([ED25519_PREFIX, bytes]), format: 'der', type: 'spki' })
        : null;
    return readRsa(bytes);
  } catch {
    return null;
  }
}

function readRsa(bytes: Buffer): KeyObject {
  try {
    const key = createPublicKey({ key: bytes, format: 'der', type: 'spki' });
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch {
    // RFC 6376 §3.6.1 says RSAPublicKey, and means what nearly all have: that within a SubjectPublicKeyInfo.
  }
  return createPublicKey({ key: bytes, format: 'der', type: 'pkcs1' });
}

/** What a record in DNS says of a key. */
export function recordOf(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return publicKey.asymmetricKeyType === 'ed25519'
    ? `v=DKIM1; k=ed25519; p=${der.subarray(ED25519_PREFIX.length).toString('base64')}`
    : `v=DKIM1; k=rsa; p=${der.toString('base64')}`;
}

export function algorithmOf(key: KeyObject): Algorithm {
  return key.asymmetricKeyType === 'ed25519' ? 'ed25519-sha256' : 'rsa-sha256';
}

/** @param data one character an octet */
export function signData(data: string, key: KeyObject): Buffer {
  const bytes = Buffer.from(data, 'latin1');
  // RFC 8463 §3: it is the hash that is signed.
  return key.asymmetricKeyType === 'ed25519'
    ? sign(null, createHash('sha256').update(bytes).digest(), key)
    : sign('sha256', bytes, key);
}

export function isSignedBy(data: string, { key }: FoundKey, signature: Buffer): boolean {
  const bytes = Buffer.from(data, 'latin1');
  try {
    return key.asymmetricKeyType === 'ed25519'
      ? verify(null, createHash('sha256').update(bytes).digest(), key, signature)
      : verify('sha256', bytes, key, signature);
  } catch {
    return false;
  }
}
