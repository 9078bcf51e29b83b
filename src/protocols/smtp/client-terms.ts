// What SMTP's client half is told and tells: terms of a connection, messages, and what became of each recipient.
import type { Fault } from '../../core/fault.ts';
import type { Cause } from '../../core/pipe.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { Entropy } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import type { PasswordCredentials } from '../text/sasl-client.ts';
import { codeClass } from './codec-replies.ts';

export interface SmtpReply {
  readonly code: number;
  /** `5.1.1` (RFC 3463); `''` for none. */
  readonly enhanced: string;
  /** All lines, by line feeds, without the codes. */
  readonly text: string;
}

/** What the server offers (RFC 5321 §4.1.1.1), by name in capitals, with what stands behind it. */
export type Extensions = ReadonlyMap<string, string>;

export interface SmtpClientTerms {
  /** How this side calls itself. */
  readonly name: string;
  /** What STARTTLS shakes hands by; null: it is not said. */
  readonly tls: TlsPolicy | null;
  /** Without TLS nothing is sent. */
  readonly tlsRequired: boolean;
  /** What is signed in with; null for nobody. A password is said in the clear to this machine only. */
  readonly credentials: PasswordCredentials | null;
  readonly entropy: Entropy;
  /** How long each answer may take; what is absent is as RFC 5321 §4.5.3.2 has it. */
  readonly waits?: Partial<Waits>;
}

export interface Waits {
  readonly greeting: number;
  /** To EHLO, STARTTLS, AUTH and RSET. */
  readonly hello: number;
  readonly mail: number;
  readonly recipient: number;
  readonly data: number;
  /** For the network to take some of the message. */
  readonly block: number;
  /** Behind the end of the message. */
  readonly end: number;
  readonly quit: number;
}

export const WAITS: Waits = {
  greeting: 300_000,
  hello: 300_000,
  mail: 300_000,
  recipient: 300_000,
  data: 120_000,
  block: 180_000,
  end: 600_000,
  quit: 5_000,
};

export interface OutgoingRecipient {
  readonly address: string;
  /** `NEVER`, or `SUCCESS`, `FAILURE`, `DELAY` by commas (RFC 3461 §4.1); absent for nothing said. */
  readonly notify?: string | undefined;
  /** As RFC 3461 §4.2 has it: `rfc822;ann@example.org`. */
  readonly orcpt?: string | undefined;
}

export interface OutgoingMessage {
  /** `''` for the null reverse path. */
  readonly from: string;
  readonly recipients: readonly OutgoingRecipient[];
  readonly size: number;
  /** It has bytes above 0x7f. */
  readonly isEightBit: boolean;
  /** Its header has, or an address of its envelope. */
  readonly isUtf8: boolean;
  readonly ret?: 'FULL' | 'HDRS' | undefined;
  readonly envid?: string | undefined;
  /** Gives all of it, `size` bytes of whole lines, to a sink. */
  read(sink: Sink): Reading;
}

/** What became of one recipient. */
export interface RecipientOutcome {
  /** `transient`: it may be tried again; `permanent`: it may not. */
  readonly state: 'sent' | 'transient' | 'permanent';
  /** The server's word; null where it said none. */
  readonly reply: SmtpReply | null;
  /** Why, for a person. */
  readonly text: string;
  /** The end of the message was sent and nothing came back: it may have been taken (RFC 1047). */
  readonly isDoubtful?: boolean;
  /** The server knows the recipient's wishes (RFC 3461): it tells of a success. */
  readonly tells?: boolean;
}

/** Why a connection came to nothing. */
export interface Trouble {
  readonly stage: 'greeting' | 'hello' | 'tls' | 'sign-in' | 'connection';
  /** Another server, or the same one later, would do no better. */
  readonly isPermanent: boolean;
  readonly reply: SmtpReply | null;
  readonly text: string;
}

export interface SmtpClientEvents {
  /** It greeted, TLS is on where that was wanted, and it was signed in to: `send` may be called. */
  ready(extensions: Extensions): void;
  /** It is of no use; `closed` follows. */
  unready(trouble: Trouble): void;
  /** One for each recipient of the message, in its order: `send` may be called again, unless `closed` follows. */
  sent(outcomes: readonly RecipientOutcome[]): void;
  /** The connection is gone; `fault` when it was the server's. */
  closed(cause: Cause, fault: Fault | null): void;
}

/** `550 5.1.1 There is no such mailbox.` */
export function replyText({ code, enhanced, text }: SmtpReply): string {
  return `${code} ${enhanced === '' ? '' : `${enhanced} `}${text.replaceAll('\n', ' ')}`.trim();
}

export function outcomeOf(reply: SmtpReply): RecipientOutcome {
  const state = codeClass(reply.code) === 5 ? 'permanent' : 'transient';
  return { state, reply, text: replyText(reply) };
}
