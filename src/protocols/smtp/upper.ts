// What the session of SMTP needs of the server above it: who is there, who takes mail, and where a message goes.
import type { Outcome, Waiter } from '../../core/outcome.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import type { Credentials, SignInRefusal } from '../../resources/accounts/contract.ts';
import type { SaslExchange } from '../text/sasl.ts';

/** A message that comes. */
export interface IncomingMessage {
  write(input: Uint8Array, start: number, end: number): number;
  onRoom: (() => void) | null;
  /** `value` of the waiter is nothing. */
  commit(waiter: Waiter, token: number): void;
  /** How many servers it has been through, as its header says. */
  hops(): number;
  abort(): void;
}

/** What MAIL said beside the sender. */
export interface MailWishes {
  /** RFC 3461 §4.3, §4.4. */
  readonly ret?: 'FULL' | 'HDRS' | undefined;
  readonly envid?: string | undefined;
  /** RFC 6531 §3.4. */
  readonly isUtf8: boolean;
}

/** What RCPT said beside the recipient (RFC 3461 §4.1, §4.2). */
export interface RecipientWishes {
  readonly notify?: string | undefined;
  readonly orcpt?: string | undefined;
}

/** Who sends is not known here yet: he may come again (RFC 6647). */
export const NEW = 'new';

export interface Upper {
  readonly tls: TlsPolicy | null;
  /** Who is not signed in may send to nobody: a port of submission, where there are accounts. */
  readonly mustSignIn: boolean;
  /** What may be signed in with now; none where a password could be read on the way. */
  readonly mechanisms: readonly string[];
  /** Senders may say what they wish to be told of (RFC 3461). */
  readonly reports: boolean;
  /** How the message is named in the log, in the reply and in its Received field: another for each. */
  nextId(): string;
  beginSasl(mechanism: string): SaslExchange | null;
  signIn(credentials: Credentials, then: (refused: SignInRefusal | null) => void): void;
  /** OK; why not: INVALID, MISSING, DENIED, UNKNOWN, FULL; NEW. */
  addRecipient(address: string, wishes: RecipientWishes): Outcome | typeof NEW;
  /** Forgets the recipients. */
  reset(): void;
  /** Begins the message that goes to all recipients that were taken. `helo` and `how` are for its Received field. */
  begin(from: string, helo: string, how: string, id: string, wishes: MailWishes): IncomingMessage;
  gone(): void;
}
