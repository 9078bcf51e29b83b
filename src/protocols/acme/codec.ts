// The wire of ACME: requests as JSON Web Signatures (RFC 7515, flattened, RFC 8555 §6.2), keys as JSON Web Keys (RFC 7517)
// and their thumbprints (RFC 7638). It checks signatures and knows no account.
import { constants, createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Fault } from '../../core/fault.ts';
import { faults } from './faults.ts';

export const JOSE_TYPE = 'application/jose+json';

export const ALGORITHMS = ['ES256', 'ES384', 'RS256', 'EdDSA'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export interface Jwk {
  readonly kty: string;
  readonly [member: string]: unknown;
}

/** A request that was read; whose it is and whether they signed it is checked afterwards. */
export interface Signed {
  readonly algorithm: Algorithm;
  readonly nonce: string | null;
  readonly url: string;
  /** Exactly one of the two is there. */
  readonly jwk: Jwk | null;
  readonly kid: string | null;
  readonly payload: Uint8Array;
  /** What was signed, and by what. */
  readonly input: Uint8Array;
  readonly signature: Uint8Array;
}

/** What a request is refused for, with what to say of it. */
export interface Refused {
  readonly fault: Fault;
  readonly detail?: string;
}

export function isRefused(value: object | null): value is Refused {
  return value !== null && 'fault' in value;
}

/** Reads a request. */
export function readSigned(body: Uint8Array): Signed | Refused {
  const whole = jsonObject(body);
  if (whole === null) return refused('it is no JSON object');
  const { protected: head, payload, signature } = whole;
  if ('signatures' in whole || 'header' in whole) return refused('it has one signature, and no unprotected header');
  if (typeof head !== 'string' || typeof payload !== 'string' || typeof signature !== 'string')
    return refused('protected, payload and signature are text');
  const parts = [head, payload, signature].map(base64url);
  const [headBytes, payloadBytes, signatureBytes] = parts;
  if (!headBytes || !payloadBytes || !signatureBytes) return refused('its parts are base64url without padding');
  const fields = jsonObject(headBytes);
  if (fields === null) return refused('the protected header is no JSON object');
  const { alg, nonce, url, jwk, kid, crit, b64 } = fields;
  if (crit !== undefined || b64 !== undefined) return refused('no critical extensions are known');
  if (typeof alg !== 'string' || !ALGORITHMS.includes(alg as Algorithm)) return { fault: faults.badSignatureAlgorithm };
  if (typeof url !== 'string') return refused('the protected header has no url');
  if (nonce !== undefined && typeof nonce !== 'string') return refused('the nonce is text');
  const isKey = typeof jwk === 'object' && jwk !== null && typeof (jwk as Jwk).kty === 'string';
  if (isKey === (typeof kid === 'string')) return refused('the protected header has a jwk or a kid, and not both');
  return {
    algorithm: alg as Algorithm,
    nonce: nonce ?? null,
    url,
    jwk: isKey ? (jwk as Jwk) : null,
    kid: typeof kid === 'string' ? kid : null,
    payload: payloadBytes,
    input: Buffer.from(`${head}.${payload}`),
    signature: signatureBytes,
  };
}

function refused(detail: string): Refused {
  return { fault: faults.malformed, detail };
}

/** A JSON object; null when it is none. */
export function jsonObject(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** base64url without padding (RFC 7515 §2); null when it is not. */
export function base64url(text: string): Buffer | null {
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1) return null;
  const bytes = Buffer.from(text, 'base64url');
  // Bits behind the last octet are zero: one value has one text.
  return bytes.toString('base64url') === text ? bytes : null;
}

/** The members of a public key, in the order of RFC 7638 §3.2. */
const MEMBERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['EC', ['crv', 'kty', 'x', 'y']],
  ['OKP', ['crv', 'kty', 'x']],
  ['RSA', ['e', 'kty', 'n']],
]);

const RSA_BITS_LEAST = 2_048;
const RSA_BITS_MOST = 8_192;

/** The public half of a key, with nothing but its members; or why it is not taken. */
export function readKey(jwk: Jwk): { key: KeyObject; jwk: Jwk } | Refused {
  const members = MEMBERS.get(jwk.kty);
  const bad = (detail: string): Refused => ({ fault: faults.badPublicKey, detail });
  if (members === undefined) return bad('keys are of type EC, OKP or RSA');
  const own: Record<string, unknown> = {};
  for (const name of members) {
    if (typeof jwk[name] !== 'string') return bad(`the key has no ${name}`);
    own[name] = jwk[name];
  }
  // A private key that was sent is not kept, and is nobody's secret any more.
  if ('d' in jwk) return bad('that is a private key');
  try {
    const key = createPublicKey({ key: own as never, format: 'jwk' });
    const { modulusLength = RSA_BITS_LEAST, namedCurve } = key.asymmetricKeyDetails ?? {};
    if (modulusLength < RSA_BITS_LEAST || modulusLength > RSA_BITS_MOST)
      return bad(`an RSA key has ${RSA_BITS_LEAST} to ${RSA_BITS_MOST} bits`);
    if (jwk.kty === 'EC' && namedCurve !== 'prime256v1' && namedCurve !== 'secp384r1')
      return bad('the curves are P-256 and P-384');
    if (jwk.kty === 'OKP' && key.asymmetricKeyType !== 'ed25519') return bad('the curve is Ed25519');
    return { key, jwk: own as Jwk };
  } catch {
    return bad('the key cannot be read');
  }
}

/** SHA-256 over the members of a key, as base64url (RFC 7638). */
export function thumbprint(jwk: Jwk): string {
  const members = MEMBERS.get(jwk.kty)!.map((name) => `${JSON.stringify(name)}:${JSON.stringify(jwk[name])}`);
  return createHash('sha256')
    .update(`{${members.join(',')}}`)
    .digest('base64url');
}

/** Whether the key signed it, by the algorithm that belongs to the key. */
export function isSignedBy({ algorithm, input, signature }: Signed, key: KeyObject): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  try {
    if (algorithm === 'RS256')
      return type === 'rsa' && verify('sha256', input, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
    if (algorithm === 'EdDSA') return type === 'ed25519' && verify(null, input, key, signature);
    const [digest, curve] = algorithm === 'ES256' ? ['sha256', 'prime256v1'] : ['sha384', 'secp384r1'];
    const isOfKey = type === 'ec' && details?.namedCurve === curve;
    return isOfKey && verify(digest, input, { key, dsaEncoding: 'ieee-p1363' }, signature);
  } catch {
    return false;
  }
}
