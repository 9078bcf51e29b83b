// A few accounts that are told at once, or when a test says so: for tests of protocols.
import { ANYONE, type Caller, callerOf } from '../../../core/caller.ts';
import type { Peer } from '../../../core/peer.ts';
import { ALL, type Permissions } from '../../../core/permissions.ts';
import type { Accounts, Credentials, ScramCredentials, SignInRefusal, SignInWaiter } from '../contract.ts';
import { decoyScram } from '../scram.ts';

export const EVERYTHING: Permissions = { epoch: 7, may: () => true, covers: () => ALL };

const SECRET = new Uint8Array(32);

export class FewAccounts implements Accounts {
  readonly open = false;
  permissions: Permissions = EVERYTHING;
  /** What each account is opened by: its password, or a token. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly scrams: Record<string, ScramCredentials> = {};
  /** Whoever gives no credentials is let in. */
  anonymous = false;
  /** Answers wait until `tell` is called. */
  isSlow = false;
  /** What everybody is refused with, if anything. */
  refusal: SignInRefusal | null = null;
  /** What was given, in order. */
  readonly asked: Credentials[] = [];
  readonly revoked = new Set<string>();
  private readonly waiting: (() => void)[] = [];
  private readonly listeners = new Set<() => void>();

  constructor(secrets: Readonly<Record<string, string>> = {}) {
    this.secrets = secrets;
  }

  signIn(credentials: Credentials, peer: Peer, _protocol: string, waiter: SignInWaiter, token: number) {
    this.asked.push(credentials);
    const answer = this.answerTo(credentials, peer);
    if (!this.isSlow) return answer;
    this.waiting.push(() => waiter.signedIn(token, answer));
    return null;
  }

  tell(): void {
    for (const step of this.waiting.splice(0)) step();
  }

  nobody(peer: Peer): Caller | null {
    return this.anonymous ? callerOf(peer, '', this.permissions.epoch) : null;
  }

  scramOf(account: string): ScramCredentials {
    return this.scrams[account] ?? decoyScram(SECRET, account);
  }

  stands(caller: Caller): boolean {
    if (caller.by === ANYONE) return true;
    return caller.account === '' ? this.anonymous : !this.revoked.has(caller.account);
  }

  onRevoked(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  revoke(account: string): void {
    this.revoked.add(account);
    for (const listener of this.listeners) listener();
  }

  private answerTo(credentials: Credentials, peer: Peer): Caller | SignInRefusal {
    const account = this.nameOf(credentials);
    if (this.refusal !== null) return this.refusal;
    if (account === null || this.revoked.has(account)) return { refused: 'wrong', retryMs: 0 };
    return { ...callerOf(peer, account, this.permissions.epoch), by: credentials.kind, id: `id of ${account}` };
  }

  private nameOf(credentials: Credentials): string | null {
    const { secrets } = this;
    switch (credentials.kind) {
      case 'password':
        return secrets[credentials.account] === credentials.password ? credentials.account : null;
      case 'token':
        return Object.keys(secrets).find((name) => secrets[name] === credentials.token) ?? null;
      case 'certificate': {
        const name = Buffer.from(credentials.certificate).toString();
        return name in secrets && (credentials.account ?? name) === name ? name : null;
      }
      case 'key':
        return null;
      case 'scram':
        return credentials.proven && credentials.account in this.scrams ? credentials.account : null;
    }
  }
}
