// Signatures of the handshake: which scheme goes with which key, and what is signed (RFC 8446 §4.2.3, §4.4.3).
import { constants, type KeyObject, sign, verify } from 'node:crypto';

export interface Scheme {
  readonly code: number;
  readonly name: string;
  readonly key: 'ec' | 'ed25519' | 'rsa';
  /** Of keys on curves. */
  readonly curve: string;
  readonly digest: string | null;
}

/** By preference. */
export const SCHEMES: readonly Scheme[] = [
  { code: 0x0403, name: 'ecdsa_secp256r1_sha256', key: 'ec', curve: 'prime256v1', digest: 'sha256' },
  { code: 0x0807, name: 'ed25519', key: 'ed25519', curve: '', digest: null },
  { code: 0x0503, name: 'ecdsa_secp384r1_sha384', key: 'ec', curve: 'secp384r1', digest: 'sha384' },
  { code: 0x0804, name: 'rsa_pss_rsae_sha256', key: 'rsa', curve: '', digest: 'sha256' },
  { code: 0x0805, name: 'rsa_pss_rsae_sha384', key: 'rsa', curve: '', digest: 'sha384' },
  { code: 0x0806, name: 'rsa_pss_rsae_sha512', key: 'rsa', curve: '', digest: 'sha512' },
  { code: 0x0603, name: 'ecdsa_secp521r1_sha512', key: 'ec', curve: 'secp521r1', digest: 'sha512' },
];

/** What we say that we check: behind them RSA of old, which counts for signatures of certificates alone (§4.2.3). */
export const OFFERED_SCHEMES: readonly number[] = [...SCHEMES.map(({ code }) => code), 0x0401, 0x0501, 0x0601];

function fits(scheme: Scheme, key: KeyObject): boolean {
  if (key.asymmetricKeyType !== scheme.key) return false;
  return scheme.key !== 'ec' || key.asymmetricKeyDetails?.namedCurve === scheme.curve;
}

/** Whether any scheme goes with the key. */
export function isUsable(key: KeyObject): boolean {
  return SCHEMES.some((scheme) => fits(scheme, key));
}

/** Ours for this key among what the peer takes; null for none. */
export function schemeFor(key: KeyObject, offered: readonly number[]): Scheme | null {
  return SCHEMES.find((scheme) => offered.includes(scheme.code) && fits(scheme, key)) ?? null;
}

/** Null when it was not offered by us. */
export function schemeOf(code: number): Scheme | null {
  return SCHEMES.find((scheme) => scheme.code === code) ?? null;
}

const SPACES = ' '.repeat(64);

/** What is signed: 64 spaces, who signs, and the transcript's digest (RFC 8446 §4.4.3). */
function content(side: 'client' | 'server', transcript: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${SPACES}TLS 1.3, ${side} CertificateVerify\0`, 'latin1'), transcript]);
}

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };

export function signTranscript(
  scheme: Scheme,
  key: KeyObject,
  side: 'client' | 'server',
  transcript: Uint8Array,
): Buffer {
  return sign(scheme.digest, content(side, transcript), scheme.key === 'rsa' ? { key, ...PSS } : key);
}

export function verifyTranscript(
  scheme: Scheme,
  key: KeyObject,
  side: 'client' | 'server',
  transcript: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!fits(scheme, key)) return false;
  try {
    return verify(scheme.digest, content(side, transcript), scheme.key === 'rsa' ? { key, ...PSS } : key, signature);
  } catch {
    return false;
  }
}
