// Tokens of others: JSON Web Tokens (RFC 7519) of issuers that the configuration trusts, verified against their published
// keys (RFC 7517). How those are fetched is handed in. It does not know which accounts there are.
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import type { Log } from '../../core/log.ts';
import type { Entropy } from '../../core/time.ts';
import { preparedName } from './names.ts';
import { RecentTokens } from './recent-tokens.ts';
import type { ForeignToken, ForeignTokens } from './sign-in.ts';

/** Signatures that are taken: asymmetric ones, none of which a published key can forge. */
export const ALGORITHMS = [
  'EdDSA',
  'Ed25519',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
];

export interface IssuerPlan {
  /** `iss`, exactly. */
  readonly issuer: string;
  /** One of these must be in `aud`: what was meant for others is not taken (RFC 8725 §3.9). */
  readonly audience: readonly string[];
  /** The keys themselves, or where they are published. */
  readonly jwks?: unknown;
  readonly jwksUrl?: string;
  /** The claim that names the account. */
  readonly account: string;
  /** The claim that names groups, if any. */
  readonly groups?: string | undefined;
  readonly algorithms: readonly string[];
  /** Whether `admins` among the groups counts. */
  readonly administers: boolean;
}

/** Fetches a key set. Rejects with an Error that says why there is none. */
export type FetchKeys = (url: string) => Promise<unknown>;

export const TOKEN_LENGTH_MAX = 8_192;

/** Keys are asked for again after this; and for a key that is not known, no oftener than this. */
const KEYS_MS = 600_000;
const AGAIN_MS = 30_000;
const KEYS_MAX = 100;
const GROUPS_MAX = 64;

/** A clock may be so far off. */
const TOLERANCE_SECONDS = 10;

/** Tokens that are being verified. */
const VERIFYING_MAX = 64;

type Resolver = ReturnType<typeof createLocalJWKSet>;

/** One issuer, with its keys as they were last seen. */
class Issuer {
  readonly plan: IssuerPlan;
  private readonly fetchKeys: FetchKeys;
  private readonly log: Log;
  private resolver: Resolver | null = null;
  private fetchedAt = Number.NEGATIVE_INFINITY;
  private fetching: Promise<void> | null = null;

  constructor(plan: IssuerPlan, fetchKeys: FetchKeys, log: Log) {
    this.plan = plan;
    this.fetchKeys = fetchKeys;
    this.log = log;
    if (plan.jwks !== undefined) this.resolver = createLocalJWKSet(checkedKeys(plan.jwks));
  }

  /** The claims of a token that is good now; null for one that is not, or while there are no keys. */
  async verify(token: string, wall: number): Promise<JWTPayload | null> {
    if (this.plan.jwksUrl !== undefined && wall - this.fetchedAt >= KEYS_MS) await this.refresh(wall);
    const first = await this.tryKeys(token, wall);
    if (first !== 'unknown key') return first;
    // The issuer may have a new key; whoever invents key ids must not make us ask for each.
    if (this.plan.jwksUrl === undefined || wall - this.fetchedAt < AGAIN_MS) return null;
    await this.refresh(wall);
    const second = await this.tryKeys(token, wall);
    return second === 'unknown key' ? null : second;
  }

  private async tryKeys(token: string, wall: number): Promise<JWTPayload | null | 'unknown key'> {
    const { issuer, audience, algorithms } = this.plan;
    if (this.resolver === null) return null;
    try {
      const { payload } = await jwtVerify(token, this.resolver, {
        issuer,
        audience: [...audience],
        algorithms: [...algorithms],
        requiredClaims: ['exp'],
        clockTolerance: TOLERANCE_SECONDS,
        currentDate: new Date(wall),
      });
      return payload;
    } catch (error) {
      return error instanceof errors.JWKSNoMatchingKey ? 'unknown key' : null;
    }
  }

  private refresh(wall: number): Promise<void> {
    this.fetching ??= this.fetch(wall).finally(() => {
      this.fetching = null;
    });
    return this.fetching;
  }

  /** Without an answer the keys that there are stay good. */
  private async fetch(wall: number): Promise<void> {
    const { issuer, jwksUrl } = this.plan;
    // Also a failure is not repeated at once.
    this.fetchedAt = this.resolver === null ? wall - KEYS_MS + AGAIN_MS : wall;
    try {
      this.resolver = createLocalJWKSet(checkedKeys(await this.fetchKeys(jwksUrl!)));
      this.fetchedAt = wall;
    } catch (error) {
      this.log.warn('the keys of an issuer could not be fetched', { issuer, why: messageOf(error) });
    }
  }
}

export class Issuers implements ForeignTokens {
  private readonly issuers = new Map<string, Issuer>();
  private readonly recent: RecentTokens<ForeignToken>;
  private verifying = 0;

  /** Throws an Error for a key set of the configuration that is none. */
  constructor(plans: readonly IssuerPlan[], fetchKeys: FetchKeys, entropy: Entropy, log: Log) {
    for (const plan of plans) this.issuers.set(plan.issuer, new Issuer(plan, fetchKeys, log));
    this.recent = new RecentTokens(entropy);
  }

  knows(token: string): boolean {
    return token.startsWith('ey') && token.split('.', 4).length === 3;
  }

  check(
    token: string,
    wall: number,
    done: (found: ForeignToken | null) => void,
  ): ForeignToken | null | undefined | 'busy' {
    if (token.length > TOKEN_LENGTH_MAX) return null;
    const known = this.recent.of(token, wall);
    if (known !== null) return known;
    // Not verified yet: it only says whose keys to try.
    const issuer = this.issuers.get(issuerOf(token) ?? '');
    if (issuer === undefined) return null;
    if (this.verifying >= VERIFYING_MAX) return 'busy';
    this.verifying++;
    issuer
      .verify(token, wall)
      .then((payload) => (payload === null ? null : foundIn(payload, issuer.plan)))
      .catch(() => null)
      .then((found) => {
        this.verifying--;
        if (found !== null) this.recent.keep(token, found, found.until);
        done(found);
      });
    return undefined;
  }
}

/** `iss` of a token's claims; null for what is no token. */
function issuerOf(token: string): string | null {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.', 3)[1]!, 'base64url').toString());
    const issuer = typeof claims === 'object' && claims !== null ? (claims as JWTPayload).iss : undefined;
    return typeof issuer === 'string' ? issuer : null;
  } catch {
    return null;
  }
}

function foundIn(payload: JWTPayload, { issuer, account, groups, administers }: IssuerPlan): ForeignToken | null {
  const named = payload[account];
  if (typeof named !== 'string' || payload.exp === undefined) return null;
  const given = groups === undefined ? [] : payload[groups];
  const list = typeof given === 'string' ? given.split(/[ ,]+/) : Array.isArray(given) ? given : [];
  const names = list
    .slice(0, GROUPS_MAX)
    .map((name: unknown) => (typeof name === 'string' ? preparedName(name) : null))
    .filter((name): name is string => name !== null && (administers || name !== 'admins'));
  return { account: named, groups: names, by: `jwt:${issuer}`, until: payload.exp * 1_000 };
}

/** A key set (RFC 7517 §5). Throws an Error for anything else. */
export function checkedKeys(given: unknown): JSONWebKeySet {
  const keys = typeof given === 'object' && given !== null ? (given as { keys?: unknown }).keys : undefined;
  if (!Array.isArray(keys)) throw new Error('that is no key set: it has no list of keys');
  if (keys.length > KEYS_MAX) throw new Error(`the key set has more than ${KEYS_MAX} keys`);
  return { keys: keys.filter((key) => typeof key === 'object' && key !== null && key.kty !== 'oct') };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
