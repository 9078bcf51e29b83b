// The client's side of the wire of ACME: requests signed with ES256 (RFC 8555 §6.2), and the binding of an account to one
// that the authority knows otherwise (§7.3.4).
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { type Jwk, thumbprint } from './codec.ts';

export interface AccountKey {
  readonly key: KeyObject;
  readonly jwk: Jwk;
  readonly thumbprint: string;
}

/** @param key a private key on P-256; made when absent */
export function accountKey(key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey): AccountKey {
  const jwk = createPublicKey(key as never).export({ format: 'jwk' }) as Jwk;
  return { key, jwk, thumbprint: thumbprint(jwk) };
}

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A request. Its payload is null for POST-as-GET; by `kid` where the account has a URL, else by its key. */
export function signRequest(
  account: AccountKey,
  { url, nonce, kid }: { readonly url: string; readonly nonce: string | null; readonly kid: string | null },
  payload: object | null,
): Buffer {
  const who = kid === null ? { jwk: account.jwk } : { kid };
  const head = base64url({ alg: 'ES256', ...(nonce === null ? {} : { nonce }), url, ...who });
  const body = payload === null ? '' : base64url(payload);
  const signature = sign('sha256', Buffer.from(`${head}.${body}`), { key: account.key, dsaEncoding: 'ieee-p1363' });
  return Buffer.from(JSON.stringify({ protected: head, payload: body, signature: signature.toString('base64url') }));
}

/** @param secret base64url, as the authority gave it with `kid` */
export function bindExternally(account: AccountKey, url: string, kid: string, secret: string): object {
  const head = base64url({ alg: 'HS256', kid, url });
  const payload = base64url(account.jwk);
  const mac = createHmac('sha256', Buffer.from(secret, 'base64url')).update(`${head}.${payload}`);
  return { protected: head, payload, signature: mac.digest('base64url') };
}
