// The accounts in memory, as their space says: it is followed, so that what is committed here or elsewhere is known the
// same way. Looks up by name, id, token, key and certificate. It decides nothing about who gets in.
import { randomFillSync } from 'node:crypto';
import type { Caller } from '../../core/caller.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import type { Entropy } from '../../core/time.ts';
import type { Turn } from '../../core/turn.ts';
import { Batch } from '../../storage/batch.ts';
import type { Engine, Entry, Space } from '../../storage/engine.ts';
import { AUDIT_KEEPS } from './audit.ts';
import { Strikes } from './lockout.ts';
import { type ParsedHash, parseHash } from './passwords.ts';
import {
  type AccountRecord,
  accountKey,
  decoded,
  encoded,
  RECORDS_VERSION,
  type TokenRecord,
  tokenKey,
  usedKey,
} from './records.ts';

/** Chance of the system's own, for secrets. */
export const SYSTEM_ENTROPY: Entropy = { fill: (into) => void randomFillSync(into) };

/** An account with what is kept of it beside its record. */
export class Account {
  record: AccountRecord;
  /** The password, parsed; null for none. */
  hash: ParsedHash | null;
  /** Under an epoch below this its password, a key or a certificate was another. */
  passwordEpoch = 0;
  /** The sequence of its record: a change of it holds only if nobody else changed it meanwhile. */
  sequence = 0;
  /** A code of the second step is being used up. */
  spending = false;
  readonly tokens = new Map<string, Token>();
  readonly strikes = new Strikes();

  constructor(record: AccountRecord) {
    this.record = record;
    this.hash = parseHash(record.password);
  }
}

export class Token {
  readonly record: TokenRecord;
  readonly digest: Buffer;
  /** How it is named in callers and in the audit. */
  readonly by: string;
  /** A caller of an earlier epoch signed in with an earlier token of that label. */
  readonly epoch: number;
  /** To the hour; 0 for never. */
  used = 0;
  /** Who it lets in, from this machine and from elsewhere. */
  readonly callers: [local: Caller | undefined, remote: Caller | undefined] = [undefined, undefined];

  constructor(record: TokenRecord, epoch: number) {
    this.record = record;
    this.digest = Buffer.from(record.digest, 'base64');
    this.by = `token:${record.label}`;
    this.epoch = epoch;
  }
}

export class AccountStore {
  readonly byName = new Map<string, Account>();
  readonly byId = new Map<string, Account>();
  readonly tokens = new Map<string, Token>();
  /** By what a client certificate is known by. */
  readonly certificates = new Map<string, Account>();
  /** Rules as they are stored, in the order of their keys. */
  readonly rules = new Map<string, unknown>();
  /** There was an account once. */
  ever = false;
  /** From which decoys are made. */
  secret: Uint8Array = new Uint8Array(32);
  /** Grows with each change. */
  epoch = 1;
  /** Told after each change, with what it was about: an account's name, or `''` for rules. */
  onChange: (account: string) => void = () => {};
  readonly space: Space;
  private readonly turn: Turn;
  private stop: () => void = () => {};
  /** Tokens whose account was not read yet: at a start its last record may stand behind theirs. */
  private readonly orphans = new Map<string, Token[]>();

  private constructor(space: Space, turn: Turn) {
    this.space = space;
    this.turn = turn;
  }

  /** Opens the space and reads it. Rejects when it cannot be read, or when a newer version wrote it. */
  static async open(engine: Engine, turn: Turn, entropy: Entropy): Promise<AccountStore> {
    const space = await engine.space('accounts', AUDIT_KEEPS);
    const store = new AccountStore(space, turn);
    await store.begin(entropy);
    await store.follow();
    await space.scan('u/', 0, ({ key, bytes }) => {
      const token = store.tokens.get(key.slice(2));
      if (token !== undefined) token.used = Number(decoded(bytes));
      return true;
    });
    return store;
  }

  close(): void {
    this.stop();
  }

  get wall(): number {
    return this.turn.clock.wall;
  }

  /** Writes a change; answers once it is durable and known here. */
  commit(write: (batch: Batch) => void): Promise<Outcome> {
    const batch = new Batch(this.wall);
    write(batch);
    return new Promise((resolve) => {
      this.space.commit(batch, { settled: (_token, outcome) => resolve(outcome) }, 0);
    });
  }

  /** The batch is STALE when the account was changed meanwhile; a new one (`former` null), when there is one of that name. */
  putAccount(batch: Batch, record: AccountRecord, former: Account | null): void {
    const bytes = encoded(record);
    batch.put(accountKey(record.name), bytes, 0, bytes.length, former?.sequence ?? 0);
    if (former === null) batch.put('k/ever', EVER, 0, EVER.length);
  }

  /** Removes an account and all its tokens. */
  removeAccount(batch: Batch, account: Account): void {
    batch.remove(accountKey(account.record.name), account.sequence);
    for (const { record } of account.tokens.values()) {
      batch.remove(tokenKey(record.id));
      batch.remove(usedKey(record.id));
    }
  }

  putToken(batch: Batch, record: TokenRecord): void {
    const bytes = encoded(record);
    batch.put(tokenKey(record.id), bytes, 0, bytes.length, 0);
  }

  /** The group that administers, and who is in it and can sign in. */
  administrators(): Account[] {
    return [...this.byName.values()].filter(({ record }) => record.groups.includes('admins') && !record.disabled);
  }

  // ---- reading -----------------------------------------------------------------------------------------------------

  /** A new store gets its version and its secret; an old one is brought up. */
  private async begin(entropy: Entropy): Promise<void> {
    const version = await this.space.last('k/version');
    if (version !== null) {
      const found = Number(decoded(version.bytes));
      if (found > RECORDS_VERSION)
        throw new Error(`the accounts were written by a newer Portico (version ${found} of their records); use that`);
      return;
    }
    const secret = new Uint8Array(32);
    entropy.fill(secret);
    const outcome = await this.commit((batch) => {
      const bytes = encoded(RECORDS_VERSION);
      batch.put('k/version', bytes, 0, bytes.length);
      batch.put('k/secret', secret, 0, secret.length);
    });
    if (outcome !== OK) throw new Error(`the accounts could not be made (outcome ${outcome})`);
  }

  private follow(): Promise<void> {
    return new Promise((resolve, reject) => {
      const following = this.space.follow('k/', 0, {
        entry: (entry) => this.apply(entry),
        live: () => resolve(),
        failed: (outcome) => reject(new Error(`the accounts cannot be read (outcome ${outcome})`)),
      });
      this.stop = () => following.stop();
    });
  }

  private apply(entry: Entry): void {
    const { key, removed, bytes } = entry;
    const rest = key.slice(4);
    if (key.startsWith('k/a/'))
      this.applyAccount(rest, removed ? null : (decoded(bytes) as AccountRecord), entry.sequence);
    else if (key.startsWith('k/t/')) this.applyToken(rest, removed ? null : (decoded(bytes) as TokenRecord));
    else if (key.startsWith('k/r/')) this.applyRule(rest, removed ? null : decoded(bytes), removed);
    else if (key === 'k/secret') this.secret = Uint8Array.from(bytes);
    else if (key === 'k/ever') this.ever = true;
  }

  private applyAccount(name: string, record: AccountRecord | null, sequence: number): void {
    this.epoch++;
    const former = this.byName.get(name);
    if (former !== undefined) for (const named of former.record.certificates) this.certificates.delete(named);
    if (former !== undefined && record?.id !== former.record.id) {
      this.byName.delete(name);
      this.byId.delete(former.record.id);
    }
    if (record !== null) {
      let account = this.byId.get(record.id);
      if (account === undefined) {
        account = new Account(record);
        account.passwordEpoch = this.epoch;
        this.byName.set(name, account);
        this.byId.set(record.id, account);
        for (const token of this.orphans.get(record.id) ?? []) account.tokens.set(token.record.label, token);
        this.orphans.delete(record.id);
      } else this.replace(account, record);
      account.sequence = sequence;
      for (const named of record.certificates) this.certificates.set(named, account);
    }
    this.onChange(name);
  }

  private replace(account: Account, record: AccountRecord): void {
    // What was wrong before may be right now: a disabled account is enabled.
    account.strikes.last = '';
    // A hash that was only made anew, with today's cost, is of the same password.
    if (account.record.passwordSet !== record.passwordSet) {
      account.passwordEpoch = this.epoch;
      // Who is given a new password need not wait for what was guessed of the old one.
      account.strikes.failures = 0;
      account.strikes.until = 0;
    }
    account.record = record;
    account.hash = parseHash(record.password);
  }

  private applyToken(id: string, record: TokenRecord | null): void {
    this.epoch++;
    const former = this.tokens.get(id);
    if (former !== undefined) {
      this.tokens.delete(id);
      this.byId.get(former.record.accountId)?.tokens.delete(former.record.label);
    }
    if (record !== null) {
      const token = new Token(record, this.epoch);
      this.tokens.set(id, token);
      const account = this.byId.get(record.accountId);
      if (account !== undefined) account.tokens.set(record.label, token);
      else this.orphans.set(record.accountId, [...(this.orphans.get(record.accountId) ?? []), token]);
    }
    this.onChange(record?.account ?? former?.record.account ?? '');
  }

  private applyRule(id: string, rule: unknown, removed: boolean): void {
    this.epoch++;
    if (removed) this.rules.delete(id);
    else this.rules.set(id, rule);
    this.onChange('');
  }
}

const EVER = encoded(true);
