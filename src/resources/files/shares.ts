// Share links as text: what a link says, what is kept of it with the file, and whether a password or a cookie fits.
import { createHash, scrypt, timingSafeEqual } from 'node:crypto';

/** What is kept of a link, as a property of what it shares. */
export interface Share {
  /** Whose rights it gives, and no more than those. */
  readonly account: string;
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly until: number;
  /** `salt:hash`; '' for none. */
  readonly password: string;
}

export const NAMESPACE = '{urn:portico:share}';

/** The property that a link's secret is kept by: who reads it does not have the link. */
export function propertyOf(secret: string): string {
  return `${NAMESPACE}${createHash('sha256').update(secret).digest('hex').slice(0, 40)}`;
}

export function writeShare(share: Share): string {
  return JSON.stringify(share);
}

export function readShare(text: string | undefined): Share | null {
  if (text === undefined) return null;
  try {
    const { account, id, until, password } = JSON.parse(text) as Partial<Share>;
    if (typeof account !== 'string' || typeof id !== 'string' || typeof until !== 'number') return null;
    return { account, id, until, password: typeof password === 'string' ? password : '' };
  } catch {
    return null;
  }
}

/** `<secret>.<levels>/<path>`: the first levels of the path are what is shared; null for what is no link. */
export function readLink(
  text: string,
): { readonly secret: string; readonly base: string; readonly path: string } | null {
  const found = /^([\w-]{32})\.(\d{1,3})\/?(.*)$/.exec(text);
  if (found === null) return null;
  const path = found[3]!.replace(/\/$/, '');
  const levels = path === '' ? [] : path.split('/');
  const depth = Number(found[2]);
  return levels.length < depth ? null : { secret: found[1]!, base: levels.slice(0, depth).join('/'), path };
}

export function linkTo(secret: string, base: string): string {
  return `${secret}.${base === '' ? 0 : base.split('/').length}`;
}

const HASH_BYTES = 32;

export function hashPassword(password: string, salt: Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, (error, hash) => {
      if (error === null) resolve(`${Buffer.from(salt).toString('base64url')}:${hash.toString('base64url')}`);
      else reject(error);
    });
  });
}

export async function fitsPassword(password: string, kept: string): Promise<boolean> {
  const salt = Buffer.from(kept.split(':', 1)[0]!, 'base64url');
  return isSame(await hashPassword(password, salt), kept);
}

/** What a browser shows in place of the password once it gave that. */
export function cookieOf(secret: string, kept: string): string {
  return createHash('sha256').update(`${secret}\0${kept}`).digest('base64url');
}

export function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
