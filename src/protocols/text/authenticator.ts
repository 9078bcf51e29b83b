// Authentication by steps, as a server plugs it in: a method has a name and begins exchanges, an exchange answers the client's data
// step by step. For MQTT's enhanced authentication (MQTT 5.0 §4.12) and SASL (RFC 4422). It knows no wire and no accounts.
import type { Outcome } from '../../core/outcome.ts';

/** What an exchange makes of the client's data. */
export type AuthStep =
  /** More is needed: `data` goes to the client. */
  | { readonly step: 'continue'; readonly data: Uint8Array }
  /** It is `account`; `data` goes to the client with the answer. */
  | { readonly step: 'done'; readonly account: string; readonly data: Uint8Array | null }
  /** UNKNOWN for wrong credentials, of `account`; INVALID for data that is not of the method, BUSY, FAILED. */
  | { readonly step: 'refused'; readonly outcome: Exclude<Outcome, 0>; readonly account?: string };

/** One authentication on its way. */
export interface AuthExchange {
  /** Answers once, at once or later. `data` is borrowed for the call; empty when the client sent none. */
  step(data: Uint8Array, answer: (step: AuthStep) => void): void;
}

/** An authentication method, for all connections. */
export interface Authenticator {
  /** As clients name it: `SCRAM-SHA-256`. */
  readonly method: string;
  begin(): AuthExchange;
}
