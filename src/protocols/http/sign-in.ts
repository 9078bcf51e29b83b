// Who a request is from, once a page's request has been told from a program's: by Authorization (Basic, Bearer), by a token
// in the query where nothing else can be sent, by a client certificate, or nobody. What is right is the accounts' to say.
import { type Caller, callerOf } from '../../core/caller.ts';
import type { Peer } from '../../core/peer.ts';
import type { Accounts, Credentials, SignInRefusal, SignInWaiter } from '../../resources/accounts/contract.ts';
import { readCredentials } from './credentials.ts';
import type { Asked, Refusal } from './guard.ts';
import { Query } from './query.ts';
import { splitTarget } from './target.ts';

/** What a request says of who it is from. */
export interface Claim {
  readonly asked: Asked;
  /** The field's value; null when there is none. */
  readonly authorization: string | null;
  readonly twice: boolean;
  /** It says that it comes through a proxy. */
  readonly forwarded: boolean;
}

/** Told once, unless the answer came at once. */
export type Admitted = (answer: Caller | Refusal) => void;

const BASIC = 'Basic realm="Portico", charset="UTF-8"';
const CHALLENGES = `${BASIC}, Bearer realm="Portico"`;
const BAD_TOKEN = `Bearer realm="Portico", error="invalid_token", ${BASIC}`;

/** What a connection gave last, so that a client that says the same with each request is not read anew each time. */
interface Remembered {
  readonly authorization: string;
  readonly forwarded: boolean;
  readonly caller: Caller;
}

export class HttpSignIn implements SignInWaiter {
  private readonly accounts: Accounts;
  private readonly remembered = new WeakMap<Peer, Remembered>();
  /** Sign-ins that are being checked; the accounts bound how many. */
  private readonly waiting = new Map<number, (answer: Caller | SignInRefusal) => void>();
  private last = 0;

  constructor(accounts: Accounts) {
    this.accounts = accounts;
  }

  /** Who it is, or why it may not be known; null when `later` will be told. */
  callerOf(claim: Claim, later: Admitted): Caller | Refusal | null {
    const { asked, authorization, twice, forwarded } = claim;
    if (this.accounts.open) return this.openly(claim);
    if (authorization === null) return this.without(claim, later);
    const known = this.remembered.get(asked.peer);
    if (known !== undefined && known.authorization === authorization && known.forwarded === forwarded && !twice) {
      const { epoch } = this.accounts.permissions;
      if (known.caller.epoch === epoch && this.accounts.stands(known.caller)) return known.caller;
    }
    const credentials = twice ? null : readCredentials(authorization);
    if (credentials === null) return MALFORMED;
    const { scheme, account, password, token } = credentials;
    if (tokenInQuery(asked) !== null) return TWO_WAYS;
    if (scheme === 'basic') return this.check(claim, { kind: 'password', account, password }, later);
    if (scheme === 'bearer') return this.check(claim, { kind: 'token', token }, later);
    return OTHER_SCHEME;
  }

  signedIn(token: number, answer: Caller | SignInRefusal): void {
    const tell = this.waiting.get(token);
    this.waiting.delete(token);
    tell?.(answer);
  }

  /** While there are no accounts: the name that was given. */
  private openly({ asked, authorization, twice, forwarded }: Claim): Caller | Refusal {
    const nobody = this.accounts.nobody(peerOf(asked, forwarded));
    if (nobody === null) return forwarded ? FORWARDED_STRANGER : STRANGER;
    if (authorization === null) return nobody;
    const credentials = twice ? null : readCredentials(authorization);
    if (credentials === null) return MALFORMED;
    if (credentials.scheme === 'bearer') return NO_TOKENS;
    if (credentials.scheme !== 'basic') return OPEN_OTHER_SCHEME;
    return callerOf(asked.peer, credentials.account, this.accounts.permissions.epoch);
  }

  /** Nothing in Authorization. */
  private without(claim: Claim, later: Admitted): Caller | Refusal | null {
    const { asked, forwarded } = claim;
    const token = tokenInQuery(asked);
    if (token !== null) return this.check(claim, { kind: 'token', token }, later);
    const certificate = certificateOf(asked.peer);
    // The proxy's own certificate says who the proxy is, not who asks through it.
    if (certificate !== null && !forwarded) {
      const answer = this.accounts.signIn({ kind: 'certificate', certificate }, asked.peer, 'http', this, 0);
      if (answer !== null && !('refused' in answer)) return answer;
    }
    return this.accounts.nobody(peerOf(asked, forwarded)) ?? SIGN_IN;
  }

  private check(claim: Claim, credentials: Credentials, later: Admitted): Caller | Refusal | null {
    const { asked, forwarded } = claim;
    const token = ++this.last;
    const answer = this.accounts.signIn(credentials, peerOf(asked, forwarded), 'http', this, token);
    if (answer !== null) return this.answered(claim, credentials, answer);
    this.waiting.set(token, (checked) => later(this.answered(claim, credentials, checked)));
    return null;
  }

  private answered(claim: Claim, credentials: Credentials, answer: Caller | SignInRefusal): Caller | Refusal {
    if ('refused' in answer) return refusalOf(answer, credentials);
    const { asked, authorization, forwarded } = claim;
    if (authorization !== null) this.remembered.set(asked.peer, { authorization, forwarded, caller: answer });
    return answer;
  }
}

function peerOf({ peer }: Asked, forwarded: boolean): Peer {
  return forwarded ? { ...peer, forwarded: true } : peer;
}

/** What TLS verified, of the connection or of what carries it. */
function certificateOf(peer: Peer): Uint8Array | null {
  for (let layer: Peer | null = peer; layer !== null; layer = layer.below)
    if (layer.tls?.certificate) return layer.tls.certificate;
  return null;
}

/**
 * `access_token` of the query (RFC 6750 §2.3), only where a browser's page can send no field: upgrades and streams of events.
 * Elsewhere it would end in bookmarks and logs for nothing.
 */
function tokenInQuery({ method, target, upgrade, fields }: Asked): string | null {
  if (!target.includes('access_token=')) return null;
  const isStream = method === 'GET' && fields.get('accept')?.includes('text/event-stream') === true;
  if (upgrade === '' && !isStream) return null;
  return Query.of(splitTarget(target).query)?.get('access_token') ?? null;
}

// ---- refusals ------------------------------------------------------------------------------------------------------

function refusalOf({ refused, retryMs }: SignInRefusal, { kind }: Credentials): Refusal {
  const seconds = String(Math.max(1, Math.ceil(retryMs / 1_000)));
  switch (refused) {
    case 'wrong':
      return kind === 'token' ? WRONG_TOKEN : WRONG_PASSWORD;
    case 'locked':
      return { status: 429, detail: LOCKED, fields: { 'retry-after': seconds } };
    case 'busy':
      return { status: 503, detail: BUSY, fields: { 'retry-after': seconds } };
    case 'plaintext':
      return PLAINTEXT;
  }
}

function unauthorized(detail: string, challenge = CHALLENGES): Refusal {
  return { status: 401, detail, fields: { 'www-authenticate': challenge } };
}

const LOCKED = 'There were too many sign-ins that failed, of this account or from this address; try again later.';
const BUSY = 'Too many sign-ins are being checked; try again in a moment.';

const SIGN_IN = unauthorized('Sign in: with a name and password (Basic), with a token (Bearer) or with a certificate.');

const WRONG_PASSWORD = unauthorized('This name and password are not known.');

const WRONG_TOKEN = unauthorized('This token is not known, or is not good any more.', BAD_TOKEN);

const PLAINTEXT: Refusal = {
  status: 403,
  detail:
    'A password or token came in the clear over a network, and was not looked at: sign in over HTTPS. Whoever was on the ' +
    'way may have read it, so change it.',
};

const TWO_WAYS: Refusal = {
  status: 400,
  detail: 'There is a token in the query and an Authorization field; one of them is enough (RFC 6750 §2).',
};

const STRANGER = unauthorized(
  'There are no accounts on this server yet, so that only programs of its own machine are let in.',
  BASIC,
);

const FORWARDED_STRANGER = unauthorized(
  'There are no accounts on this server yet, so that only programs of its own machine are let in; and this request says ' +
    'that it came through a proxy (Forwarded, Via, X-Forwarded-For and the like), behind which anybody may be.',
  BASIC,
);

const OPEN_OTHER_SCHEME = unauthorized('Here one signs in with a name and password (Basic).', BASIC);

const OTHER_SCHEME = unauthorized('Here one signs in with a name and password (Basic) or with a token (Bearer).');

const NO_TOKENS = unauthorized('There are no tokens on this server.', BAD_TOKEN);

const MALFORMED: Refusal = {
  status: 400,
  detail:
    'Authorization cannot be read: it is a scheme and what belongs to it; for Basic, base64 of UTF-8 text, a name, a ' +
    'colon and a password (RFC 7617).',
};
