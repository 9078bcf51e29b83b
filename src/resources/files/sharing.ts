// Share links: made, listed and ended by whoever may read a thing, and kept as a property of it, which a reader may not
// write. It knows no protocol; what a link's path looks like is in `shares.ts`.
import { type Caller, OPERATOR } from '../../core/caller.ts';
import { DENIED, MISSING, OK, type Outcome, UNKNOWN } from '../../core/outcome.ts';
import type { Entropy } from '../../core/time.ts';
import type { Files } from './contract.ts';
import { hashPassword, linkTo, NAMESPACE, propertyOf, readShare, type Share, writeShare } from './shares.ts';

export const SHARE_SECONDS = 604_800;
export const SHARE_SECONDS_MAX = 31_536_000;

export interface ShareWish {
  readonly seconds: number;
  /** `''` for none. */
  readonly password: string;
}

/** A link that was just made: its secret is told this once. */
export interface MadeShare {
  readonly url: string;
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly until: number;
}

export interface StandingShare {
  readonly id: string;
  readonly until: number;
  readonly hasPassword: boolean;
}

export interface SharingParts {
  readonly entropy: Entropy;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

/** The real path of what a caller may read. */
async function readable(files: Files, caller: Caller, path: string): Promise<string | Outcome> {
  const there = await files.stat(caller, path);
  if (typeof there === 'number') return there;
  if (!files.may(caller, 'read', path)) return caller.account === '' ? UNKNOWN : DENIED;
  return files.realPath(caller, path);
}

export async function makeShare(
  files: Files,
  caller: Caller,
  path: string,
  { seconds, password }: ShareWish,
  { entropy, wall }: SharingParts,
): Promise<MadeShare | Outcome> {
  const base = await readable(files, caller, path);
  if (typeof base === 'number') return base;
  const random = Buffer.alloc(40);
  entropy.fill(random);
  const secret = random.subarray(0, 24).toString('base64url');
  const hash = password === '' ? '' : await hashPassword(password, random.subarray(24));
  const until = wall() + seconds * 1_000;
  const share: Share = { account: caller.account, id: caller.id ?? '', until, password: hash };
  const property = propertyOf(secret);
  const outcome = await files.setProperties(OPERATOR, base, { [property]: writeShare(share) });
  if (outcome !== OK) return outcome;
  const facts = await files.stat(OPERATOR, base);
  const slash = typeof facts === 'object' && facts.folder ? '/' : '';
  const encoded = base.split('/').map(encodeURIComponent).join('/');
  return { url: `/shared/${linkTo(secret, base)}/${encoded}${slash}`, id: property.slice(NAMESPACE.length), until };
}

/** Those that the caller's account made, and that have not ended. */
export async function sharesOf(
  files: Files,
  caller: Caller,
  path: string,
  wall: number,
): Promise<StandingShare[] | Outcome> {
  const base = await readable(files, caller, path);
  if (typeof base === 'number') return base;
  const kept = await files.properties(OPERATOR, base);
  if (typeof kept === 'number') return kept;
  const found: StandingShare[] = [];
  for (const [name, value] of Object.entries(kept)) {
    const share = name.startsWith(NAMESPACE) ? readShare(value) : null;
    if (share === null || share.until <= wall || !isOwn(share, caller)) continue;
    found.push({ id: name.slice(NAMESPACE.length), until: share.until, hasPassword: share.password !== '' });
  }
  return found;
}

/** MISSING where the caller's account has no such link on it. */
export async function endShare(files: Files, caller: Caller, path: string, id: string): Promise<Outcome> {
  const base = await readable(files, caller, path);
  if (typeof base === 'number') return base;
  const kept = await files.properties(OPERATOR, base);
  if (typeof kept === 'number') return kept;
  const name = NAMESPACE + id;
  const share = Object.hasOwn(kept, name) ? readShare(kept[name]) : null;
  if (share === null || !isOwn(share, caller)) return MISSING;
  return files.setProperties(OPERATOR, base, { [name]: null });
}

function isOwn({ account, id }: Share, caller: Caller): boolean {
  return account === caller.account && id === (caller.id ?? '');
}
