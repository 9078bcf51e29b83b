// Mail as protocols see it: addresses and who takes them, messages on their way in, and mailboxes with their folders. Nothing
// here, and nothing behind it, knows SMTP, IMAP or POP3.
import type { Caller } from '../../core/caller.ts';
import type { Outcome, Waiter } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { MailQueue, Wishes } from './queue-contract.ts';

// A mailbox's name is an address in lower case, `ann@example.org`. An account's own is that of its name: `ann@` and the first
// domain, or the name itself where it is an address.
//
// Who may do what: rules `read|write|delete mail/<mailbox>`. Beyond the rules an account may do everything with its own.
// Reading is `read`; adding, flagging and making folders `write`; removing `delete`.
//
// A folder's name is levels joined by `/`; `INBOX` in any case is the one that mail comes to. A level is any text of at most
// 255 bytes of UTF-8 without control characters, and not empty: else INVALID.

// Flags of RFC 3501 §2.3.2, as bits.
export const SEEN = 1;
export const ANSWERED = 2;
export const FLAGGED = 4;
export const DELETED = 8;
export const DRAFT = 16;
/** Bits of the system's flags; above them stand the folder's keywords, the first of them bit 5. */
export const SYSTEM_FLAGS = 31;
export const SYSTEM_FLAG_COUNT = 5;
/** How many keywords a folder's messages may have between them. */
export const KEYWORDS_MAX = 27;

/** What a folder is for (RFC 6154). */
export type SpecialUse = 'inbox' | 'drafts' | 'sent' | 'junk' | 'trash' | 'archive' | '';

/** What becomes of a recipient. */
export type Route =
  /** It is taken here: kept in these mailboxes, published to these topics, and sent on to these addresses. */
  | {
      readonly kind: 'here';
      readonly mailboxes: readonly string[];
      readonly topics: readonly string[];
      readonly onward: readonly string[];
      /** The folder that plus-addressing names, where it is there; else `''`. */
      readonly detail: string;
    }
  /** It is of another domain, and leaves: for those who may. */
  | { readonly kind: 'elsewhere'; readonly address: string }
  /** MISSING: no such mailbox; INVALID: no such address; DENIED: no relaying; FULL: over its quota. */
  | { readonly kind: 'refused'; readonly outcome: Outcome };

/** A recipient that was taken. */
export interface Recipient extends Wishes {
  /** As it was given. */
  readonly address: string;
  readonly route: Route;
}

export interface Envelope {
  /** The reverse path; `''` for none. */
  readonly from: string;
  /** Who sends it: what it is mailed to a topic for is published by him. */
  readonly caller: Caller;
  readonly recipients: readonly Recipient[];
  /** Fields that are put before the message: `Return-Path`, `Received`, each with its line end. */
  readonly trace: string;
  /** What is returned with a report, and by what name the sender knows the mail (RFC 3461 §4.3, §4.4). */
  readonly ret?: 'FULL' | 'HDRS' | undefined;
  readonly envid?: string | undefined;
  /** Its header has more than ASCII (RFC 6531 §3.4). */
  readonly isUtf8?: boolean;
  /** A stranger's: it is checked who he is before it is taken. */
  readonly check?: { readonly ip: string; readonly helo: string } | undefined;
}

/** A message on its way in. Nobody sees anything of it before it is committed. */
export interface IncomingMail {
  /** Bytes so far, without those that were put before it. */
  readonly size: number;
  /** Copies what fits and answers how much that was; fewer than offered means full: wait for `onRoom`. */
  write(input: Uint8Array, start: number, end: number): number;
  onRoom: (() => void) | null;
  /** Its header with what was put before it, as far as it came: of one of more than 64 KiB, so much of it. */
  readonly head: Buffer;
  /**
   * Makes it durable in all mailboxes at once, then tells. OK; FULL: no mailbox has room for it, or the disk has none;
   * BUSY, FAILED, GONE.
   */
  commit(waiter: Waiter, token: number): void;
  abort(): void;
}

export interface AppendWish {
  /** Bits of `Flags`, of the system's only. */
  readonly flags: number;
  readonly keywords: readonly string[];
  /** Milliseconds since 1970; when it is committed, where absent. */
  readonly date?: number;
}

/** As {@link IncomingMail}, into one folder. */
export interface AppendedMail {
  readonly size: number;
  write(input: Uint8Array, start: number, end: number): number;
  onRoom: (() => void) | null;
  /** Answers its UID, or FULL, GONE (the folder went), BUSY, FAILED. */
  commit(): Promise<{ readonly uid: number } | Outcome>;
  abort(): void;
}

export interface FolderFacts {
  readonly name: string;
  readonly use: SpecialUse;
  readonly subscribed: boolean;
  /** The folder's own id, kept when it is renamed, never given again. */
  readonly id: number;
}

/** Told of changes of a folder after they are durable, in their order. UIDs are told, not numbers. */
export interface FolderListener {
  added(uid: number): void;
  /** Its flags changed. */
  flagged(uid: number): void;
  expunged(uids: readonly number[]): void;
  /** It is no more. */
  removed(): void;
}

/** UIDs in ascending order: those at `[0..count)` never change. Later arrivals may be added behind them in place. */
export interface Uids {
  readonly uids: Uint32Array;
  readonly count: number;
}

/** What is held of messages that somebody looked at lately: answers of IMAP as they were written, and bytes. */
export type HeldKind = 'envelope' | 'body' | 'structure' | 'header' | 'message';

/** An open folder, shared by all who have it open. Positions are those in `uids` now. */
export interface Folder extends Uids {
  readonly facts: FolderFacts;
  readonly uidValidity: number;
  readonly uidNext: number;
  /** Of the last change, expunges among them. */
  readonly modseq: number;
  /** Without gaps, so that a bit of `flags` is a place here plus five. */
  readonly keywords: readonly string[];
  readonly unseen: number;
  readonly bytes: number;
  /** Where a UID stands; -1 when it is not there. */
  find(uid: number): number;
  flagsAt(at: number): number;
  sizeAt(at: number): number;
  /** Milliseconds since 1970. */
  dateAt(at: number): number;
  modseqAt(at: number): number;
  /** Of the header with its empty line: 0 where that is not known. */
  headerSizeAt(at: number): number;
  /** Whether `listedAt` has this field, given in lower case. */
  lists(field: string): boolean;
  /** The fields of a header that listings ask for, as they stand there, without an empty line; null where it has to be read. */
  listedAt(at: number): Buffer | null;
  /** Holds them for the next who asks, from a header that was read. */
  keepListed(uid: number, header: Uint8Array): void;
  /** What is held of a message; null where it is not, or not any more. It never changes. */
  heldAt(kind: HeldKind, at: number): Buffer | null;
  /** Holds it for the next who asks, unless it is long. */
  hold(kind: HeldKind, uid: number, bytes: Uint8Array, start: number, end: number): void;
  /** Gives `[start..end)` of a message to a sink; MISSING for one that went. */
  read(uid: number, start: number, end: number, sink: Sink): Reading;
  /** All of a message; null for one that went. Rejects when the store cannot be read. */
  whole(uid: number): Promise<Buffer | null>;
  listen(listener: FolderListener): () => void;
  /** UIDs that were expunged after a `modseq`, ascending, as far as that is remembered; null when it is not. */
  expungedSince(modseq: number): Promise<number[] | null>;
  /** As `takeRecent`, without telling them. */
  readonly recentFrom: number;
  /** UIDs from this one on were never told to anybody as recent (RFC 3501 §2.3.2); tells them to this one. */
  takeRecent(): number;
}

export interface FlagChange {
  readonly how: 'set' | 'add' | 'remove';
  readonly flags: number;
  readonly keywords: readonly string[];
  /** Only messages that were not changed after this modseq (RFC 7162 §3.1.3). */
  readonly unchangedSince?: number;
}

/** A mailbox as one caller has it. */
export interface Mailbox {
  readonly name: string;
  /** Whether the caller may change things in it. */
  readonly writable: boolean;
  readonly removable: boolean;
  /** By name, `INBOX` first. */
  folders(): readonly FolderFacts[];
  /** Names that are subscribed; also of folders that are not there any more. */
  subscriptions(): readonly string[];
  /** Bytes in it and the most there may be; Infinity for no bound. */
  readonly used: number;
  readonly quota: number;
  /** MISSING, INVALID. Held open until it is let go. */
  open(name: string): Promise<Folder | Outcome>;
  close(folder: Folder): void;
  /** EXISTS, INVALID, DENIED. The levels above it are made as well. */
  make(name: string, use?: SpecialUse): Promise<Outcome>;
  /** MISSING; DENIED also for INBOX. What is below it stays. */
  remove(name: string): Promise<Outcome>;
  /** With all that is below it. Renaming INBOX moves its messages (RFC 3501 §6.3.5). */
  rename(from: string, to: string): Promise<Outcome>;
  subscribe(name: string, subscribed: boolean): Promise<Outcome>;
  /** A writer, or MISSING, DENIED, FULL, INVALID (too many keywords). */
  append(folder: string, size: number, wish: AppendWish): Promise<AppendedMail | Outcome>;
  /** Changes flags. Answers which of the UIDs were changed meanwhile (`unchangedSince`) and so were not. */
  flag(folder: Folder, uids: readonly number[], change: FlagChange): Promise<{ readonly modified: number[] } | Outcome>;
  /** Removes for good those of the UIDs that are marked as deleted; all of them with `any`. */
  expunge(folder: Folder, uids: readonly number[], any?: boolean): Promise<Outcome>;
  /** Copies or moves; all or nothing. Answers the UIDs in pairs, those that were there. */
  copy(
    folder: Folder,
    uids: readonly number[],
    to: string,
    move: boolean,
  ): Promise<{ readonly from: number[]; readonly to: number[]; readonly uidValidity: number } | Outcome>;
}

/** A new mail, as topics tell it. */
export interface MailEvent {
  readonly mailbox: string;
  readonly folder: string;
  readonly uid: number;
  readonly size: number;
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly messageId: string;
}

export interface Mail {
  /** Domains of which mail is taken here; the first is that of accounts' own mailboxes. */
  readonly domains: readonly string[];
  /** Every recipient of any domain is caught in a mailbox of its own, and nothing leaves. */
  readonly catching: boolean;
  readonly messageBytesMax: number;
  /** What becomes of a recipient. `caller` may relay, or not. */
  route(address: string, caller: Caller): Route;
  /** At least one of the recipients is taken `here` or leaves. */
  incoming(envelope: Envelope): IncomingMail;
  /** The name of the caller's own mailbox; `''` for who has none. */
  own(caller: Caller): string;
  /** Makes the caller's own when it is not there, and any while mail is caught. MISSING, DENIED, UNKNOWN. */
  open(caller: Caller, name: string): Promise<Mailbox | Outcome>;
  /** Mail that leaves; null where none does. */
  readonly queue: MailQueue | null;
  /** Whether a stranger is to come again with a mail for a recipient; never where that is not wanted. */
  isNew(ip: string, recipient: string): boolean;
  /** Those that the caller may read, by name, those behind `after`. */
  list(caller: Caller, after: string, most: number): readonly string[];
  close(): Promise<void>;
}
