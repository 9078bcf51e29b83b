// What the ACME server keeps: accounts, which last, and orders with their authorizations, which do not (RFC 8555 §7.1).
// Identifiers here are those of paths, without the server's name before them.
import type { KeyObject } from 'node:crypto';
import type { Bound } from '../../core/limits.ts';
import type { ProofKind, ProofProblem } from '../../resources/certificates/contract.ts';
import { type Jwk, readKey, thumbprint } from './codec.ts';
import type { limits as rows } from './limits.ts';

export interface Account {
  readonly id: string;
  jwk: Jwk;
  key: KeyObject;
  thumbprint: string;
  contact: readonly string[];
  status: 'valid' | 'deactivated';
}

export interface Identifier {
  readonly type: 'dns' | 'ip';
  readonly value: string;
}

export interface Challenge {
  readonly id: string;
  readonly type: ProofKind;
  readonly token: string;
  status: 'pending' | 'processing' | 'valid' | 'invalid';
  validated: number | null;
  problem: ProofProblem | null;
}

export interface Authorization {
  readonly id: string;
  readonly identifier: Identifier;
  readonly challenges: readonly Challenge[];
  status: 'pending' | 'valid' | 'invalid' | 'deactivated';
}

export interface Order {
  readonly id: string;
  readonly account: Account;
  readonly expires: number;
  readonly identifiers: readonly Identifier[];
  readonly authorizations: readonly Authorization[];
  /** PEM, once it was issued. */
  chain: string | null;
}

/** RFC 8555 §7.1.6. */
export function statusOf(order: Order): 'pending' | 'ready' | 'valid' | 'invalid' {
  if (order.chain !== null) return 'valid';
  let isReady = true;
  for (const { status } of order.authorizations) {
    if (status === 'invalid' || status === 'deactivated') return 'invalid';
    if (status === 'pending') isReady = false;
  }
  return isReady ? 'ready' : 'pending';
}

/** What lasts of an account, a line each time it changes. */
interface AccountLine {
  readonly id: string;
  readonly jwk: Jwk;
  readonly contact: readonly string[];
  readonly status: Account['status'];
}

/** Where accounts last. */
export interface AccountLines {
  recall(name: string): readonly string[];
  remember(name: string, line: string): void;
  rewrite(name: string, lines: readonly string[]): void;
}

const LINES = 'acme-accounts';
/** So many lines, and two for each account, are kept before they are written anew. */
const LINES_LEAST = 1_000;

function lineOf({ id, jwk, contact, status }: Account): string {
  const line: AccountLine = { id, jwk, contact, status };
  return JSON.stringify(line);
}

export class Desk {
  private readonly limits: Bound<typeof rows>;
  private readonly lines: AccountLines;
  private readonly newId: () => string;
  private readonly accounts = new Map<string, Account>();
  private readonly byThumbprint = new Map<string, Account>();
  private readonly orders = new Map<string, Order>();
  private readonly authorizations = new Map<string, { authorization: Authorization; order: Order }>();
  private readonly challenges = new Map<string, { challenge: Challenge; authorization: Authorization; order: Order }>();
  private readonly nonces = new Set<string>();
  /** Lines of accounts that are kept, also those that later ones replace. */
  private written = 0;

  constructor(limits: Bound<typeof rows>, lines: AccountLines, newId: () => string) {
    this.limits = limits;
    this.lines = lines;
    this.newId = newId;
    for (const line of lines.recall(LINES)) {
      this.recall(line);
      this.written++;
    }
  }

  // ---- nonces ------------------------------------------------------------------------------------------------------

  newNonce(): string {
    const nonce = this.newId();
    if (this.nonces.size >= this.limits.noncesMax) this.nonces.delete(this.nonces.values().next().value!);
    this.nonces.add(nonce);
    return nonce;
  }

  /** Each is good once (RFC 8555 §6.5). */
  useNonce(nonce: string): boolean {
    return this.nonces.delete(nonce);
  }

  // ---- accounts ----------------------------------------------------------------------------------------------------

  account(id: string): Account | null {
    return this.accounts.get(id) ?? null;
  }

  accountOf(print: string): Account | null {
    return this.byThumbprint.get(print) ?? null;
  }

  /** Null when there are as many as may be. */
  addAccount(jwk: Jwk, key: KeyObject, contact: readonly string[]): Account | null {
    if (this.accounts.size >= this.limits.accountsMax) return null;
    const account: Account = { id: this.newId(), jwk, key, thumbprint: thumbprint(jwk), contact, status: 'valid' };
    this.put(account);
    this.keep(account);
    return account;
  }

  changeKey(account: Account, jwk: Jwk, key: KeyObject): void {
    this.byThumbprint.delete(account.thumbprint);
    Object.assign(account, { jwk, key, thumbprint: thumbprint(jwk) });
    this.put(account);
    this.keep(account);
  }

  keep(account: Account): void {
    if (this.written < LINES_LEAST + 2 * this.accounts.size) {
      this.lines.remember(LINES, lineOf(account));
      this.written++;
      return;
    }
    this.lines.rewrite(LINES, [...this.accounts.values()].map(lineOf));
    this.written = this.accounts.size;
  }

  private put(account: Account): void {
    this.accounts.set(account.id, account);
    this.byThumbprint.set(account.thumbprint, account);
  }

  private recall(line: string): void {
    try {
      const { id, jwk, contact, status } = JSON.parse(line) as AccountLine;
      const read = readKey(jwk);
      if ('fault' in read) return;
      const known = this.accounts.get(id);
      if (known !== undefined) this.byThumbprint.delete(known.thumbprint);
      this.put({ id, jwk: read.jwk, key: read.key, thumbprint: thumbprint(read.jwk), contact, status });
    } catch {
      // A line that a crash cut short was never acknowledged.
    }
  }

  // ---- orders ------------------------------------------------------------------------------------------------------

  /** Null when there are as many as may be. */
  addOrder(account: Account, identifiers: readonly Identifier[], now: number): Order | null {
    this.sweep(now);
    const own = this.ordersOf(account).filter((order) => ['pending', 'ready'].includes(statusOf(order)));
    if (own.length >= this.limits.ordersOfAccountMax || this.orders.size >= this.limits.ordersMax) return null;
    const authorizations = identifiers.map((identifier): Authorization => {
      const challenges = (['http-01', 'tls-alpn-01'] as const).map((type): Challenge => {
        // 128 bits at least (RFC 8555 §8.3).
        const token = `${this.newId()}${this.newId()}`;
        return { id: this.newId(), type, token, status: 'pending', validated: null, problem: null };
      });
      return { id: this.newId(), identifier, challenges, status: 'pending' };
    });
    const expires = now + this.limits.orderMs;
    const order: Order = { id: this.newId(), account, expires, identifiers, authorizations, chain: null };
    this.orders.set(order.id, order);
    for (const authorization of authorizations) {
      this.authorizations.set(authorization.id, { authorization, order });
      for (const challenge of authorization.challenges)
        this.challenges.set(challenge.id, { challenge, authorization, order });
    }
    return order;
  }

  order(id: string): Order | null {
    return this.orders.get(id) ?? null;
  }

  authorization(id: string): { readonly authorization: Authorization; readonly order: Order } | null {
    return this.authorizations.get(id) ?? null;
  }

  challenge(id: string) {
    return this.challenges.get(id) ?? null;
  }

  ordersOf(account: Account): Order[] {
    return [...this.orders.values()].filter((order) => order.account === account);
  }

  /** Whether this account has proven all these names lately: it may revoke what is for them (RFC 8555 §7.6). */
  hasProven(account: Account, names: readonly string[], now: number): boolean {
    const proven = new Set<string>();
    for (const { authorizations, expires } of this.ordersOf(account))
      if (expires > now)
        for (const { status, identifier } of authorizations) if (status === 'valid') proven.add(identifier.value);
    return names.every((name) => proven.has(name));
  }

  /** Forgets what is over; where there is no room, also what was issued or refused. */
  private sweep(now: number): void {
    for (const order of this.orders.values()) if (order.expires <= now) this.forget(order);
    for (const order of this.orders.values()) {
      if (this.orders.size < this.limits.ordersMax) return;
      if (['valid', 'invalid'].includes(statusOf(order))) this.forget(order);
    }
  }

  private forget({ id, authorizations }: Order): void {
    this.orders.delete(id);
    for (const authorization of authorizations) {
      this.authorizations.delete(authorization.id);
      for (const challenge of authorization.challenges) this.challenges.delete(challenge.id);
    }
  }
}
