// What is stored of accounts, and how it is read back. All keys begin with `k/` but those of the audit and of when a token
// was last used, which nobody follows.
//
// k/version       the version of all this
// k/secret        32 bytes from which decoys are made
// k/ever          there was an account: open mode is over, for good
// k/a/<name>      an account
// k/t/<id>        a personal token
// k/r/<id>        a rule; what is in it is the rules' own
// u/<id>          when a token was last used, to the hour
// log/…           the audit, appended
import { parseHash } from './passwords.ts';
import type { AuthorizedKey } from './ssh-keys.ts';

/** Grows when what is stored changes its shape. */
export const RECORDS_VERSION = 1;

export interface StoredScram {
  readonly salt: string;
  readonly iterations: number;
  readonly storedKey: string;
  readonly serverKey: string;
}

export interface StoredTotp {
  /** Base 64. */
  readonly secret: string;
  /** The last step that was used: it and those before it are refused. */
  readonly step: number;
  /** SHA-256 of each recovery code that is left, base 64. */
  readonly recovery: readonly string[];
}

/** What opens an account, beside its password. Times are milliseconds since 1970. */
export interface AccountRecord {
  /** Never given again: an account that is deleted and made anew is another. */
  readonly id: string;
  readonly name: string;
  readonly groups: readonly string[];
  readonly disabled: boolean;
  /** When it ends; 0 for never. */
  readonly expires: number;
  readonly created: number;
  /** A PHC string; `''` for none. */
  readonly password: string;
  /** When it was set. */
  readonly passwordSet: number;
  readonly scram: StoredScram | null;
  readonly keys: readonly AuthorizedKey[];
  /** `sha256:<hex>`, `email:…`, `dns:…`, `uri:…` or `cn:…` of client certificates. */
  readonly certificates: readonly string[];
  readonly totp: StoredTotp | null;
  readonly note: string;
}

export interface TokenRecord {
  readonly id: string;
  /** The account's name, and its id: a token never passes to a later account of that name. */
  readonly account: string;
  readonly accountId: string;
  /** What it is called: once in an account. */
  readonly label: string;
  /** SHA-256 of the token, base 64. */
  readonly digest: string;
  /** What it is narrowed to; null for all that the account may. */
  readonly scopes: readonly string[] | null;
  readonly created: number;
  /** 0 for never. */
  readonly expires: number;
}

export const accountKey = (name: string) => `k/a/${name}`;
export const tokenKey = (id: string) => `k/t/${id}`;
export const ruleKey = (id: string) => `k/r/${id}`;
export const usedKey = (id: string) => `u/${id}`;

export const encoded = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

export function decoded(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
}

/** A new account of which nothing opens it yet. */
export function newAccount(id: string, name: string, created: number): AccountRecord {
  return {
    id,
    name,
    groups: [],
    disabled: false,
    expires: 0,
    created,
    password: '',
    passwordSet: 0,
    scram: null,
    keys: [],
    certificates: [],
    totp: null,
    note: '',
  };
}

/** What a command shows of an account: nothing that is secret. */
export function shownAccount(account: AccountRecord): Readonly<Record<string, unknown>> {
  const { password, scram, totp, keys, ...rest } = account;
  return {
    ...rest,
    password: password === '' ? null : (parseHash(password)?.algorithm ?? 'unknown'),
    scram: scram !== null,
    totp: totp === null ? null : { recoveryCodes: totp.recovery.length },
    keys: keys.map(({ type, fingerprint, comment }) => ({ type, fingerprint, comment })),
  };
}
