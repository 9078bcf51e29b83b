// How somebody is let in: by password, token, certificate, key or SCRAM. Secrets that can be guessed are held back by the
// lockout, cost the same for names that do not exist, and are refused where they can be read on the way.
import { hash as digestOf, timingSafeEqual, X509Certificate } from 'node:crypto';
import { type Caller, isExposed, isLocal } from '../../core/caller.ts';
import { OK } from '../../core/outcome.ts';
import type { Peer } from '../../core/peer.ts';
import type { Entropy } from '../../core/time.ts';
import type { Audit } from './audit.ts';
import type { Credentials, RefusalReason, SignInRefusal, SignInWaiter } from './contract.ts';
import { keysOf, type Lockout, type Strikes } from './lockout.ts';
import { preparedName, preparedPassword } from './names.ts';
import { type Hashing, isOutdated, PASSWORD_SALT_BYTES, type ParsedHash } from './passwords.ts';
import { TOKEN_PREFIX, tokenDigest, tokenId } from './personal-tokens.ts';
import { RecentPasswords } from './recent.ts';
import { type AccountRecord, encoded, usedKey } from './records.ts';
import type { Account, AccountStore, Token } from './store.ts';
import { checkCode, recoveryDigest } from './totp.ts';

/** Too many wait: try again then. */
const BUSY_MS = 2_000;
const HOUR_MS = 3_600_000;
const CERTIFICATES_MAX = 1_024;

export const WRONG: SignInRefusal = { refused: 'wrong', retryMs: 0 };
const PLAINTEXT: SignInRefusal = { refused: 'plaintext', retryMs: 0 };
const BUSY: SignInRefusal = { refused: 'busy', retryMs: BUSY_MS };
const NO_GROUPS: readonly string[] = [];

export interface SignInParts {
  readonly store: AccountStore;
  readonly hashing: Hashing;
  readonly lockout: Lockout;
  readonly audit: Audit;
  readonly entropy: Entropy;
  /** Secrets may be sent in the clear over a network: the configuration says so. */
  readonly plaintext: boolean;
  /** Told of each caller that ends by itself. */
  readonly until: (wall: number) => void;
  /** For tokens of others: a JWT. Null when there are no issuers. */
  readonly foreign: ForeignTokens | null;
}

/** Who is asked about a token that is not ours. */
export interface ForeignTokens {
  /** Whether it looks like one that it can read. */
  knows(token: string): boolean;
  /** Who it is of: at once, null for nobody; or `busy`; or, after undefined, by `done`. The account may be unknown here. */
  check(
    token: string,
    wall: number,
    done: (found: ForeignToken | null) => void,
  ): ForeignToken | null | undefined | 'busy';
}

export interface ForeignToken {
  readonly account: string;
  readonly groups: readonly string[];
  readonly by: string;
  readonly until: number;
}

/** One attempt, while it waits. */
interface Attempt {
  readonly name: string;
  readonly peer: Peer;
  readonly protocol: string;
  readonly waiter: SignInWaiter;
  readonly token: number;
}

interface PasswordAttempt extends Attempt {
  readonly account: Account | null;
  readonly strikes: Strikes;
  readonly secret: string;
  readonly digest: string;
  readonly password: string;
  readonly code: string;
}

export class SignIns {
  private readonly parts: SignInParts;
  private readonly recent: RecentPasswords;
  private readonly decoy: ParsedHash;
  /** What a certificate names, by the digest of its DER. */
  private readonly certificates = new Map<string, { readonly names: readonly string[]; readonly until: number }>();

  constructor(parts: SignInParts) {
    this.parts = parts;
    this.recent = new RecentPasswords(parts.entropy);
    const salt = new Uint8Array(PASSWORD_SALT_BYTES);
    const hash = new Uint8Array(32);
    parts.entropy.fill(salt);
    parts.entropy.fill(hash);
    this.decoy = {
      algorithm: 'argon2id',
      cost: parts.hashing.cost,
      salt: Buffer.from(salt),
      hash: Buffer.from(hash),
    };
  }

  signIn(
    credentials: Credentials,
    peer: Peer,
    protocol: string,
    waiter: SignInWaiter,
    token: number,
  ): Caller | SignInRefusal | null {
    const name = 'account' in credentials ? (credentials.account ?? '') : '';
    const attempt = { name, peer, protocol, waiter, token };
    switch (credentials.kind) {
      case 'password':
        if (this.isToken(credentials.password)) return this.byToken(attempt, credentials.password);
        return this.byPassword(attempt, credentials.password, credentials.code ?? '');
      case 'token':
        return this.byToken(attempt, credentials.token);
      case 'certificate':
        return this.byCertificate(attempt, credentials.certificate);
      case 'key':
        return this.byKey(attempt, credentials.key);
      case 'scram':
        return this.byScram(attempt, credentials.proven);
    }
  }

  /** What stands in place of a password. */
  private isToken(password: string): boolean {
    return password.startsWith(TOKEN_PREFIX) || this.parts.foreign?.knows(password) === true;
  }

  // ---- passwords ---------------------------------------------------------------------------------------------------

  private byPassword(attempt: Attempt, given: string, code: string): Caller | SignInRefusal | null {
    const { store, lockout, hashing } = this.parts;
    const { peer } = attempt;
    if (!this.parts.plaintext && isExposed(peer)) return this.refuse(attempt, 'password', PLAINTEXT);
    const { wall } = store;
    const waitOfAddress = lockout.waitOfAddress(peer.remote, wall);
    if (waitOfAddress > 0) return this.refuse(attempt, 'password', locked(waitOfAddress));
    const name = preparedName(attempt.name) ?? attempt.name;
    const account = store.byName.get(name) ?? null;
    const strikes = account?.strikes ?? lockout.namelessOf(name);
    const asker = keysOf(peer.remote)[0]?.key ?? '';
    const wait = lockout.waitOf(strikes, wall);
    // What an address gave rightly a while ago is believed there, also while others guess: nobody locks out a fleet. On
    // this machine all come from one address, so that the lock goes first.
    if (wait > 0 && asker === '') return this.refuse(attempt, 'password', locked(wait));
    const password = preparedPassword(given) ?? '';
    const digest = this.recent.digest(name, asker, password);
    const known = this.believed(digest, account, peer);
    if (known !== null) return known;
    if (wait > 0) return this.refuse(attempt, 'password', locked(wait));
    const secret = lockout.digest(`${name}\0${password}\0${code}`);
    // The same wrong one again: no guess, and not worth a hash.
    if (password === '' || strikes.last === secret) {
      lockout.failed(strikes, peer.remote, secret, wall);
      return this.refuse(attempt, 'password', WRONG);
    }
    const check: PasswordAttempt = { ...attempt, name, account, strikes, secret, digest, password, code };
    const hash = account !== null && mayEnter(account.record, wall) ? (account.hash ?? this.decoy) : this.decoy;
    const isTaken = hashing.verify(password, hash, asker, (isRight) => this.checked(check, hash, isRight));
    return isTaken ? null : this.refuse(attempt, 'password', BUSY);
  }

  /** Who gave this password rightly a short while ago, if all is still as it was. */
  private believed(digest: string, account: Account | null, peer: Peer): Caller | null {
    const { store } = this.parts;
    const { wall, epoch } = store;
    const caller = this.recent.of(digest, wall);
    if (caller === null) return null;
    const fits = account !== null && account.record.id === caller.id && caller.epoch >= account.passwordEpoch;
    if (!fits || !mayEnter(account.record, wall) || account.record.totp !== null) {
      this.recent.forget(digest);
      return null;
    }
    if (caller.epoch === epoch && (caller.origin === 'local') === isLocal(peer)) return caller;
    const renewed = this.callerOf(account, peer, 'password', null);
    this.recent.keep(digest, renewed, wall);
    return renewed;
  }

  private checked(check: PasswordAttempt, hash: ParsedHash, isRight: boolean | null): void {
    const { store, lockout } = this.parts;
    const { account, strikes, peer, secret, code } = check;
    const { wall } = store;
    if (isRight === null) {
      this.tell(check, this.refuse(check, 'password', BUSY));
      return;
    }
    // Those that were hashed at the same time learn no more than if they had come one by one.
    const wait = Math.max(lockout.waitOf(strikes, wall), lockout.waitOfAddress(peer.remote, wall));
    if (wait > 0) {
      this.tell(check, this.refuse(check, 'password', locked(wait)));
      return;
    }
    const stands =
      isRight && account !== null && account.hash === hash && store.byId.get(account.record.id) === account;
    if (!stands || !mayEnter(account.record, wall)) {
      this.failed(check, secret);
      return;
    }
    if (account.record.totp === null) this.passed(check, account, hash);
    else this.secondStep(check, account, hash, code);
  }

  /** The code is used up before anybody is let in by it. */
  private secondStep(check: PasswordAttempt, account: Account, hash: ParsedHash, code: string): void {
    const { store } = this.parts;
    const used = account.spending ? null : usedCode(account.record, code, store.wall);
    if (used === null) {
      this.failed(check, check.secret);
      return;
    }
    account.spending = true;
    void store
      .commit((batch) => store.putAccount(batch, used, account))
      .then((outcome) => {
        account.spending = false;
        if (outcome === OK && mayEnter(account.record, store.wall)) this.passed(check, account, hash);
        else this.tell(check, this.refuse(check, 'password', BUSY));
      });
  }

  private passed(check: PasswordAttempt, account: Account, hash: ParsedHash): void {
    const { store, lockout, audit } = this.parts;
    const { peer, protocol, digest } = check;
    lockout.passed(account.strikes);
    const caller = this.callerOf(account, peer, 'password', null);
    if (account.record.totp === null) this.recent.keep(digest, caller, store.wall);
    audit.noteSignIn(account.record.name, 'password', fromOf(peer), protocol, 'ok');
    this.tell(check, caller);
    if (isOutdated(hash, this.parts.hashing.cost)) this.renew(account, hash, check.password);
  }

  /** An old hash becomes one of today's. When that fails, the old one stays. */
  private renew(account: Account, hash: ParsedHash, password: string): void {
    const { store, hashing, entropy } = this.parts;
    const salt = new Uint8Array(PASSWORD_SALT_BYTES);
    entropy.fill(salt);
    hashing.make(password, salt).then(
      (made) => {
        if (account.hash !== hash || store.byId.get(account.record.id) !== account) return;
        void store.commit((batch) => store.putAccount(batch, { ...account.record, password: made }, account));
      },
      () => {},
    );
  }

  private failed(check: PasswordAttempt, secret: string): void {
    const { store, lockout } = this.parts;
    lockout.failed(check.strikes, check.peer.remote, secret, store.wall);
    this.tell(check, this.refuse(check, 'password', WRONG));
  }

  // ---- tokens ------------------------------------------------------------------------------------------------------

  /** A token has too much chance in it to be guessed: no lock holds a right one back. */
  private byToken(attempt: Attempt, text: string): Caller | SignInRefusal | null {
    const { store, audit, foreign } = this.parts;
    const { peer, protocol, name } = attempt;
    if (!this.parts.plaintext && isExposed(peer)) return this.refuse(attempt, 'token', PLAINTEXT);
    if (foreign?.knows(text) === true) return this.byForeign(attempt, text, foreign);
    const id = tokenId(text);
    const token = id === null ? undefined : store.tokens.get(id);
    if (token === undefined || !timingSafeEqual(token.digest, tokenDigest(text))) return this.wrong(attempt, 'token');
    const account = store.byId.get(token.record.accountId);
    const { wall } = store;
    if (account === undefined || !mayEnter(account.record, wall) || !isNow(token.record.expires, wall))
      return this.wrong(attempt, token.by);
    if (name !== '' && preparedName(name) !== account.record.name) return this.wrong(attempt, token.by);
    audit.noteSignIn(account.record.name, token.by, fromOf(peer), protocol, 'ok');
    this.used(token, wall);
    return this.tokenCaller(account, token, peer);
  }

  private tokenCaller(account: Account, token: Token, peer: Peer): Caller {
    const at = isLocal(peer) ? 0 : 1;
    const known = token.callers[at];
    if (known !== undefined && known.epoch === this.parts.store.epoch) return known;
    const { scopes, expires } = token.record;
    const caller = this.callerOf(account, peer, token.by, scopes, expires);
    token.callers[at] = caller;
    return caller;
  }

  private used(token: Token, wall: number): void {
    const hour = wall - (wall % HOUR_MS);
    if (token.used === hour) return;
    token.used = hour;
    const bytes = encoded(hour);
    void this.parts.store.commit((batch) => batch.put(usedKey(token.record.id), bytes, 0, bytes.length));
  }

  private byForeign(attempt: Attempt, text: string, foreign: ForeignTokens): Caller | SignInRefusal | null {
    const found = foreign.check(text, this.parts.store.wall, (later) =>
      this.tell(attempt, this.foreignCaller(attempt, later)),
    );
    if (found === 'busy') return this.refuse(attempt, 'jwt', BUSY);
    return found === undefined ? null : this.foreignCaller(attempt, found);
  }

  private foreignCaller(attempt: Attempt, found: ForeignToken | null): Caller | SignInRefusal {
    const { store, audit } = this.parts;
    if (found === null) return this.wrong(attempt, 'jwt');
    const name = preparedName(found.account);
    const account = name === null ? undefined : store.byName.get(name);
    const { wall } = store;
    if (account === undefined || !mayEnter(account.record, wall) || found.until <= wall)
      return this.wrong(attempt, found.by);
    if (attempt.name !== '' && preparedName(attempt.name) !== name) return this.wrong(attempt, found.by);
    audit.noteSignIn(account.record.name, found.by, fromOf(attempt.peer), attempt.protocol, 'ok');
    return this.callerOf(account, attempt.peer, found.by, null, found.until, found.groups);
  }

  // ---- certificates, keys, SCRAM -----------------------------------------------------------------------------------

  private byCertificate(attempt: Attempt, der: Uint8Array): Caller | SignInRefusal {
    const { store, audit } = this.parts;
    const { names, until } = this.namesOf(der);
    const { wall } = store;
    for (const named of names) {
      const account = store.certificates.get(named);
      if (account === undefined || !mayEnter(account.record, wall) || until <= wall) continue;
      if (attempt.name !== '' && preparedName(attempt.name) !== account.record.name) continue;
      const by = `certificate:${named}`;
      audit.noteSignIn(account.record.name, by, fromOf(attempt.peer), attempt.protocol, 'ok');
      return this.callerOf(account, attempt.peer, by, null, until);
    }
    return this.wrong(attempt, `certificate:${names[0] ?? 'unreadable'}`);
  }

  private namesOf(der: Uint8Array): { readonly names: readonly string[]; readonly until: number } {
    const fingerprint = digestOf('sha256', der, 'hex');
    const known = this.certificates.get(fingerprint);
    if (known !== undefined) return known;
    const read = certificateNames(der, fingerprint);
    if (this.certificates.size >= CERTIFICATES_MAX) this.certificates.delete(this.certificates.keys().next().value!);
    this.certificates.set(fingerprint, read);
    return read;
  }

  private byKey(attempt: Attempt, key: Uint8Array): Caller | SignInRefusal {
    const { store, audit } = this.parts;
    const account = store.byName.get(preparedName(attempt.name) ?? '');
    const blob = Buffer.from(key).toString('base64');
    const found = account?.record.keys.find((known) => known.blob === blob);
    if (account === undefined || found === undefined || !mayEnter(account.record, store.wall))
      // Nobody guesses a key, and clients offer all that they have: it is no strike.
      return this.refuse(attempt, 'key', WRONG);
    const by = `key:${found.fingerprint}`;
    audit.noteSignIn(account.record.name, by, fromOf(attempt.peer), attempt.protocol, 'ok');
    return this.callerOf(account, attempt.peer, by, null);
  }

  private byScram(attempt: Attempt, proven: boolean): Caller | SignInRefusal {
    const { store, lockout, audit } = this.parts;
    const { peer } = attempt;
    const { wall } = store;
    const name = preparedName(attempt.name) ?? attempt.name;
    const account = store.byName.get(name) ?? null;
    const strikes = account?.strikes ?? lockout.namelessOf(name);
    const wait = Math.max(lockout.waitOf(strikes, wall), lockout.waitOfAddress(peer.remote, wall));
    if (wait > 0) return this.refuse(attempt, 'scram', locked(wait));
    if (!proven || account === null || !offersScram(account, wall)) {
      lockout.failed(strikes, peer.remote, '', wall);
      return this.refuse(attempt, 'scram', WRONG);
    }
    lockout.passed(strikes);
    audit.noteSignIn(account.record.name, 'scram', fromOf(peer), attempt.protocol, 'ok');
    return this.callerOf(account, peer, 'scram', null);
  }

  // ---- answers -----------------------------------------------------------------------------------------------------

  private callerOf(
    account: Account,
    peer: Peer,
    by: string,
    scopes: readonly string[] | null,
    ends = 0,
    groups = NO_GROUPS,
  ): Caller {
    const { record } = account;
    const until = Math.min(ends || Number.POSITIVE_INFINITY, record.expires || Number.POSITIVE_INFINITY);
    if (until !== Number.POSITIVE_INFINITY) this.parts.until(until);
    const origin = isLocal(peer) ? 'local' : 'remote';
    return { account: record.name, scopes, origin, epoch: this.parts.store.epoch, by, id: record.id, groups, until };
  }

  /** What cannot be guessed counts against its address alone. */
  private wrong(attempt: Attempt, by: string): SignInRefusal {
    const { store, lockout } = this.parts;
    lockout.failed(null, attempt.peer.remote, '', store.wall);
    return this.refuse(attempt, by, WRONG);
  }

  private refuse({ name, peer, protocol }: Attempt, by: string, refusal: SignInRefusal): SignInRefusal {
    this.parts.audit.noteSignIn(name, by, fromOf(peer), protocol, refusal.refused);
    return refusal;
  }

  private tell({ waiter, token }: Attempt, answer: Caller | SignInRefusal): void {
    waiter.signedIn(token, answer);
  }
}

function locked(retryMs: number): SignInRefusal {
  const refused: RefusalReason = 'locked';
  return { refused, retryMs };
}

function fromOf(peer: Peer): string {
  return peer.remote?.host ?? '';
}

const isNow = (expires: number, wall: number) => expires === 0 || wall < expires;

/** Whether anything at all opens an account now. */
export function mayEnter({ disabled, expires }: AccountRecord, wall: number): boolean {
  return !disabled && isNow(expires, wall);
}

/** SCRAM knows no second step: an account that has one is not offered it. */
export function offersScram({ record }: Account, wall: number): boolean {
  return record.scram !== null && record.totp === null && mayEnter(record, wall);
}

/** The record with its code used up; null when the code is wrong. */
export function usedCode(record: AccountRecord, code: string, wall: number): AccountRecord | null {
  const { totp } = record;
  if (totp === null || code === '') return null;
  const step = checkCode(Buffer.from(totp.secret, 'base64'), code, wall, totp.step);
  if (step >= 0) return { ...record, totp: { ...totp, step } };
  const digest = recoveryDigest(code);
  if (!totp.recovery.includes(digest)) return null;
  return { ...record, totp: { ...totp, recovery: totp.recovery.filter((other) => other !== digest) } };
}

/** What a certificate may be known by: its fingerprint, the names in it, its common name last. */
export function certificateNames(
  der: Uint8Array,
  fingerprint: string,
): { readonly names: readonly string[]; readonly until: number } {
  const names = [`sha256:${fingerprint}`];
  try {
    const certificate = new X509Certificate(der);
    const alternatives = certificate.subjectAltName ?? '';
    for (const [, kind, text] of alternatives.matchAll(/(\w+(?: \w+)?):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)) {
      const value = text!.startsWith('"') ? String(JSON.parse(text!)) : text!;
      if (kind === 'email' || kind === 'DNS' || kind === 'URI') names.push(`${kind.toLowerCase()}:${value}`);
    }
    const common: unknown = certificate.toLegacyObject().subject.CN;
    if (typeof common === 'string') names.push(`cn:${common}`);
    return { names, until: certificate.validToDate.getTime() };
  } catch {
    return { names: [], until: 0 };
  }
}
