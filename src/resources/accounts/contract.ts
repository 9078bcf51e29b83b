// Accounts as protocols see them: who somebody is. What they may do is in core/permissions.ts, asked by the resources.
import type { Caller } from '../../core/caller.ts';
import type { Peer } from '../../core/peer.ts';
import type { Permissions } from '../../core/permissions.ts';

/** What somebody shows to be let in. */
export type Credentials =
  /** A personal token may stand in place of the password: it is told by its prefix. */
  | {
      readonly kind: 'password';
      readonly account: string;
      readonly password: string;
      /** The second step, where the protocol asked for it: a code by time, or a recovery code. */
      readonly code?: string;
    }
  /** A personal token, or a JWT of a configured issuer. With `account`, it must be that account's. */
  | { readonly kind: 'token'; readonly token: string; readonly account?: string }
  /** DER of a certificate whose chain TLS has verified. */
  | { readonly kind: 'certificate'; readonly certificate: Uint8Array; readonly account?: string }
  /** An SSH public key in wire form; the protocol has checked that its owner signed. */
  | { readonly kind: 'key'; readonly account: string; readonly key: Uint8Array }
  /** The name that SCRAM has proven, by what `scramOf` gave. */
  | { readonly kind: 'scram'; readonly account: string; readonly proven: boolean };

/** Why somebody was not let in. What a peer is told must not tell an unknown account from a wrong password. */
export type RefusalReason =
  /** Unknown, wrong, expired, revoked, disabled. */
  | 'wrong'
  /** Too many failures of this account or address: not before `retryMs`. */
  | 'locked'
  /** A secret in the clear over a network: use TLS. */
  | 'plaintext'
  /** Too many are being checked at once: not before `retryMs`. */
  | 'busy';

export interface SignInRefusal {
  readonly refused: RefusalReason;
  readonly retryMs: number;
}

export function isSignInRefusal(answer: Caller | SignInRefusal): answer is SignInRefusal {
  return 'refused' in answer;
}

export interface SignInWaiter {
  /** Told once how a sign-in ended, unless `signIn` answered at once. */
  signedIn(token: number, answer: Caller | SignInRefusal): void;
}

/** What SCRAM-SHA-256 (RFC 7677) checks against; a decoy of the same shape for names that do not exist. */
export interface ScramCredentials {
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

export interface Accounts {
  /**
   * No account was made yet, and nobody but this machine can reach a listener: a local program may give any name and
   * password, or none, and is that name. Ends for good with the first account.
   */
  readonly open: boolean;
  readonly permissions: Permissions;
  /**
   * Lets somebody in, or not. In open mode, and for what was checked lately under the same rules, the answer is returned;
   * otherwise null, and `waiter.signedIn(token, …)` follows. `protocol` is for the audit. Never throws.
   */
  signIn(
    credentials: Credentials,
    peer: Peer,
    protocol: string,
    waiter: SignInWaiter,
    token: number,
  ): Caller | SignInRefusal | null;
  /**
   * Whoever gives no credentials: the caller without a name. Null when such are not let in at all: sign in first. They
   * are let in in open mode from this machine, and where a rule grants something to `anonymous`.
   */
  nobody(peer: Peer): Caller | null;
  /** For SCRAM, before `signIn` with its outcome. */
  scramOf(account: string): ScramCredentials;
  /** Whether a caller that signed in earlier still stands: not revoked, expired, disabled or deleted since. */
  stands(caller: Caller): boolean;
  /** Told whenever some callers no longer stand: end the sessions of those that `stands` denies. Answers how to stop. */
  onRevoked(listener: () => void): () => void;
}
