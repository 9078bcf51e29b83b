// The accounts of a running server: open mode while there are none, who is let in, who still stands. How a sign-in is
// checked is in sign-in.ts, what callers may do in rules/.
import { ANYONE, type Caller, callerOf, isLocal, OPERATOR } from '../../core/caller.ts';
import type { Log } from '../../core/log.ts';
import type { Peer } from '../../core/peer.ts';
import {
  type Coverage,
  type Kind,
  NONE,
  OPEN_PERMISSIONS,
  type Permissions,
  type Verb,
} from '../../core/permissions.ts';
import { type Clock, type Entropy, type Instant, NEVER } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import type { Engine } from '../../storage/engine.ts';
import { Audit } from './audit.ts';
import type { Accounts, Credentials, ScramCredentials, SignInRefusal, SignInWaiter } from './contract.ts';
import { Lockout, type LockoutBounds } from './lockout.ts';
import { preparedName } from './names.ts';
import { Hashing } from './passwords.ts';
import type { StoredScram } from './records.ts';
import { decoyScram } from './scram.ts';
import { type ForeignTokens, mayEnter, offersScram, SignIns, WRONG } from './sign-in.ts';
import { AccountStore, SYSTEM_ENTROPY } from './store.ts';

/** The rules, as accounts use them. */
export interface RuleBook extends Permissions {
  /** Whether some rule grants something to `anonymous`. */
  readonly grantsAnonymous: boolean;
  /** All rules as they are stored, in the order of their keys, and who is in which group. */
  replace(rules: readonly unknown[], groups: Groups): void;
}

export interface Groups {
  /** The groups of an account; null when there is none of that name, or it is disabled. */
  groupsOf(account: string): readonly string[] | null;
}

export interface AccountsOptions {
  readonly engine: Engine;
  readonly turn: Turn;
  readonly log: Log;
  readonly rules: RuleBook;
  /** Whether a listener can be reached from beyond this machine. */
  readonly exposed: boolean;
  /** Passwords and tokens may be sent in the clear over a network. */
  readonly plaintext?: boolean;
  readonly foreign?: ForeignTokens | null;
  readonly entropy?: Entropy;
  readonly hashing?: Hashing;
  readonly lockout?: LockoutBounds;
}

/** Opens the accounts of a store. Rejects when they cannot be read or a newer version wrote them. */
export async function openAccounts(options: AccountsOptions): Promise<StoredAccounts> {
  const entropy = options.entropy ?? SYSTEM_ENTROPY;
  const store = await AccountStore.open(options.engine, options.turn, entropy);
  return new StoredAccounts(options, store, entropy);
}

/** Ends of callers are looked at together when they are so near. */
const NEAR_MS = 5_000;
const FAR_MS = 3_600_000;
const ENDS_MAX = 50_000;

export class StoredAccounts extends Turned implements Accounts {
  due: Instant = NEVER;
  readonly permissions: Permissions;
  readonly store: AccountStore;
  readonly hashing: Hashing;
  readonly audit: Audit;
  readonly rules: RuleBook;
  readonly entropy: Entropy;
  readonly turn: Turn;
  private readonly signIns: SignIns;
  private readonly listeners = new Set<() => void>();
  /** When callers end by themselves, in steps of a few seconds. */
  private readonly ends = new Set<number>();
  private exposed: boolean;
  private isRevoking = false;

  constructor(options: AccountsOptions, store: AccountStore, entropy: Entropy) {
    super();
    const { turn, log, rules } = options;
    this.turn = turn;
    this.store = store;
    this.rules = rules;
    this.entropy = entropy;
    this.exposed = options.exposed;
    this.hashing = options.hashing ?? new Hashing();
    this.audit = new Audit(store.space, turn, log);
    this.permissions = new StandingPermissions(this);
    this.signIns = new SignIns({
      store,
      entropy,
      hashing: this.hashing,
      lockout: new Lockout(entropy, options.lockout),
      audit: this.audit,
      plaintext: options.plaintext ?? false,
      until: (wall) => this.endsAt(wall),
      foreign: options.foreign ?? null,
    });
    this.replaceRules();
    store.onChange = () => this.changed();
  }

  get open(): boolean {
    return !this.store.ever && !this.exposed;
  }

  /** A listener beyond loopback is about to be opened, or there is none any more. */
  expose(exposed: boolean): void {
    if (this.exposed === exposed) return;
    this.exposed = exposed;
    this.store.epoch++;
    this.changed();
  }

  signIn(
    credentials: Credentials,
    peer: Peer,
    protocol: string,
    waiter: SignInWaiter,
    token: number,
  ): Caller | SignInRefusal | null {
    if (!this.open) return this.signIns.signIn(credentials, peer, protocol, waiter, token);
    const isName = credentials.kind === 'password' || credentials.kind === 'key';
    return isName && isLocal(peer) ? callerOf(peer, credentials.account, this.store.epoch) : WRONG;
  }

  nobody(peer: Peer): Caller | null {
    const isLetIn = this.open ? isLocal(peer) : this.rules.grantsAnonymous;
    return isLetIn ? callerOf(peer, '', this.store.epoch) : null;
  }

  scramOf(given: string): ScramCredentials {
    const name = preparedName(given) ?? given;
    const account = this.store.byName.get(name);
    if (account === undefined || !offersScram(account, this.store.wall)) return decoyScram(this.store.secret, name);
    return readScram(account.record.scram!);
  }

  stands(caller: Caller): boolean {
    const { by, id } = caller;
    if (by === ANYONE || caller === OPERATOR) return true;
    if (by === undefined || by === '')
      return this.open ? caller.origin === 'local' : caller.account === '' && this.rules.grantsAnonymous;
    const { wall } = this.turn.clock;
    const account = this.store.byId.get(id ?? '');
    if (account === undefined || !mayEnter(account.record, wall)) return false;
    if (caller.until !== undefined && caller.until <= wall) return false;
    if (by === 'password' || by === 'scram') return caller.epoch >= account.passwordEpoch;
    const at = by.indexOf(':');
    const of = by.slice(at + 1);
    switch (by.slice(0, at)) {
      case 'token':
        return caller.epoch >= (account.tokens.get(of)?.epoch ?? Number.POSITIVE_INFINITY);
      case 'key':
        return account.record.keys.some(({ fingerprint }) => fingerprint === of);
      case 'certificate':
        return account.record.certificates.includes(of);
      default:
        return true;
    }
  }

  onRevoked(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Commits what is on its way. Nobody may sign in any more. */
  async close(): Promise<void> {
    this.store.onChange = () => {};
    await this.audit.close();
    this.store.close();
    this.turn.forget(this);
  }

  // ---- Turned ------------------------------------------------------------------------------------------------------

  work(_clock: Clock): void {
    if (!this.isRevoking) return;
    this.isRevoking = false;
    for (const listener of this.listeners) {
      try {
        listener();
      } catch (error) {
        this.turn.bug(error, 'ending what was revoked');
      }
    }
  }

  tick({ now, wall }: Clock): void {
    let next = Number.POSITIVE_INFINITY;
    for (const end of this.ends) {
      if (end <= wall) this.ends.delete(end);
      else next = Math.min(next, end);
    }
    this.due = now + next - wall;
    this.isRevoking = true;
  }

  private endsAt(wall: number): void {
    const step = this.ends.size < ENDS_MAX ? NEAR_MS : FAR_MS;
    const end = Math.ceil(wall / step) * step;
    if (this.ends.has(end)) return;
    this.ends.add(end);
    const { clock } = this.turn;
    this.due = Math.min(this.due, clock.now + Math.max(0, end - clock.wall));
    this.turn.touch(this);
  }

  private changed(): void {
    this.replaceRules();
    this.isRevoking = true;
    this.turn.touch(this);
  }

  private replaceRules(): void {
    const { store } = this;
    const rules = [...store.rules].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, rule]) => rule);
    this.rules.replace(rules, {
      groupsOf(name) {
        const record = store.byName.get(name)?.record;
        return record === undefined || record.disabled ? null : record.groups;
      },
    });
  }
}

/** What callers may do: what open mode lets them, then what the rules say. */
class StandingPermissions implements Permissions {
  private readonly accounts: StoredAccounts;

  constructor(accounts: StoredAccounts) {
    this.accounts = accounts;
  }

  get epoch(): number {
    return this.accounts.store.epoch;
  }

  may(caller: Caller, verb: Verb, kind: Kind, name: string): boolean {
    if (this.accounts.open) return OPEN_PERMISSIONS.may(caller, verb, kind, name);
    return !isLeftover(caller) && this.accounts.rules.may(caller, verb, kind, name);
  }

  covers(caller: Caller, verb: Verb, kind: Kind, filter: string): Coverage {
    if (this.accounts.open) return OPEN_PERMISSIONS.covers(caller, verb, kind, filter);
    return isLeftover(caller) ? NONE : this.accounts.rules.covers(caller, verb, kind, filter);
  }
}

/** A name that was only said, in open mode, is nobody's afterwards. */
function isLeftover({ account, by }: Caller): boolean {
  return account !== '' && (by === undefined || by === '');
}

function readScram({ salt, iterations, storedKey, serverKey }: StoredScram): ScramCredentials {
  const bytes = (text: string) => Buffer.from(text, 'base64');
  return { salt: bytes(salt), iterations, storedKey: bytes(storedKey), serverKey: bytes(serverKey) };
}
