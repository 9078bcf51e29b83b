// Mail that leaves, between who keeps it and who carries it: one attempt at a time for the recipients of one destination. Nothing
// here knows SMTP or DNS.
import type { Outcome } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';

/** What a sender wishes to be told of (RFC 3461); words as they were said. */
export interface Wishes {
  /** `NEVER`, or `SUCCESS`, `FAILURE`, `DELAY` by commas; absent: of failures and delays. */
  readonly notify?: string | undefined;
  readonly orcpt?: string | undefined;
}

/** Why a mail is in the queue: by who has an account, by an alias of somebody here, or as a report of this server's. */
export type Origin = 'submitted' | 'forwarded' | 'report';

export type RecipientState = 'waiting' | 'sent' | 'failed' | 'removed';

export interface QueuedRecipient extends Wishes {
  readonly address: string;
  readonly state: RecipientState;
  readonly tries: number;
  /** When it is tried next, in milliseconds since 1970. */
  readonly next: number;
  /** What was said to it last, when, and by whom. */
  readonly said: string;
  readonly at: number;
  readonly server: string;
  /** The sender was told that it takes long. */
  readonly warned: boolean;
}

/** A mail in the queue. */
export interface QueuedMail {
  readonly id: number;
  /** The reverse path; `''` for none. */
  readonly from: string;
  readonly origin: Origin;
  /** Bytes that go out. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly expires: number;
  readonly ret?: 'FULL' | 'HDRS' | undefined;
  readonly envid?: string | undefined;
  /** Its header or its envelope has more than ASCII (RFC 6531). */
  readonly isUtf8: boolean;
  readonly held: boolean;
  readonly recipients: readonly QueuedRecipient[];
}

/** What became of one recipient in an attempt. */
export interface Result {
  /** `transient`: it is tried again later; `permanent`: it is not. */
  readonly state: 'sent' | 'transient' | 'permanent';
  /** For a person: `550 5.1.1 There is no such user.` */
  readonly text: string;
  /** Who said it; `''` where nobody was reached. */
  readonly server: string;
  /** It may have been taken all the same. */
  readonly isDoubtful?: boolean | undefined;
  /** Whoever took it tells the sender of its delivery. */
  readonly tells?: boolean | undefined;
}

/** One attempt for recipients of one mail. */
export interface Carriage {
  readonly mail: QueuedMail;
  readonly recipients: readonly (Wishes & { readonly address: string })[];
  /** Gives `[start..end)` of the message to a sink. */
  read(start: number, end: number, sink: Sink): Reading;
  /**
   * Once: one result for each recipient, in order. `isDown`: it is the destination that could not be reached or took nothing,
   * whatever the mail.
   */
  done(results: readonly Result[], isDown: boolean): void;
}

export interface Carrier {
  /** Where mail for a domain is brought: recipients with the same answer go together. */
  destinationOf(domain: string): string;
  /** Never calls `done` within. */
  carry(destination: string, carriage: Carriage): void;
}

export interface QueueSettings {
  readonly expireMs: number;
  /** After so long the sender is told that it takes long; 0: never. */
  readonly warnMs: number;
  /** The wait behind the first attempt; each is three times the one before. */
  readonly retryMs: number;
  readonly retryMostMs: number;
  /** Attempts at once, of all destinations and of one. */
  readonly attemptsMax: number;
  readonly perDestinationMax: number;
  readonly mailsMax: number;
}

export const QUEUE_SETTINGS: QueueSettings = {
  expireMs: 5 * 86_400_000,
  warnMs: 4 * 3_600_000,
  retryMs: 60_000,
  retryMostMs: 4 * 3_600_000,
  attemptsMax: 50,
  perDestinationMax: 4,
  mailsMax: 20_000,
};

/** Recipients of one attempt: what a server takes at least (RFC 5321 §4.5.3.1.8). */
export const RECIPIENTS_AT_ONCE = 100;

/** What happened in the queue, as topics tell it. */
export interface QueueEvent {
  readonly event: 'queued' | 'sent' | 'deferred' | 'failed' | 'removed';
  readonly id: number;
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  readonly server: string;
}

export interface QueueFigures {
  readonly mails: number;
  readonly underWay: number;
  readonly attempts: number;
  /** By recipient. */
  readonly sent: number;
  readonly deferred: number;
  readonly failed: number;
  readonly reports: number;
}

/** The queue, for who runs the server. */
export interface MailQueue {
  readonly figures: QueueFigures;
  /** By number, those behind `after`. */
  list(after: number, most: number): readonly QueuedMail[];
  find(id: number): QueuedMail | null;
  /** All of a mail; null when it is not there. Rejects when the store cannot be read. */
  bytesOf(id: number): Promise<Buffer | null>;
  // Of one mail, or of all; MISSING, or BUSY where it could not be written.
  /** Tries it now. */
  retry(id: number | null): Promise<Outcome>;
  hold(id: number | null): Promise<Outcome>;
  release(id: number | null): Promise<Outcome>;
  /** Takes out what is not being sent at this moment; `tells`: the sender is told. */
  remove(id: number | null, tells: boolean): Promise<Outcome>;
}
