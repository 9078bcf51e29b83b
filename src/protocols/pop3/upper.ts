// What a POP3 session wants of what is above it: who somebody is, and a maildrop.

import type { Outcome } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import type { Credentials } from '../../resources/accounts/contract.ts';

/** Told how a sign-in ended; `text` is for who was refused, with its response code. */
export type SignedIn = (outcome: Outcome, text: string) => void;

/** A maildrop as it was when it was locked (RFC 1939 §4): messages at `[0..count)`. */
export interface Drop {
  readonly count: number;
  sizeAt(at: number): number;
  /** What UIDL tells: the same in every session, never that of another message (RFC 1939 §7). */
  idAt(at: number): string;
  read(at: number, sink: Sink): Reading;
  /** Removes messages for good. */
  remove(places: readonly number[], then: (outcome: Outcome) => void): void;
  close(): void;
}

export interface Upper {
  /** On which terms STLS turns to TLS; null where it cannot. */
  readonly tls: TlsPolicy | null;
  /** What is said can be read on the way: no password is taken. */
  readonly isExposed: boolean;
  signIn(credentials: Credentials, then: SignedIn): void;
  /** Locks the maildrop of who signed in. EXISTS: it is locked by another session. */
  open(then: (outcome: Outcome, drop: Drop | null) => void): void;
  gone(): void;
}
