// What an IMAP session wants of what is above it: who somebody is, and a mailbox whose slow verbs answer by a call.
import type { Outcome } from '../../core/outcome.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import type { Credentials } from '../../resources/accounts/contract.ts';
import type {
  AppendedMail,
  AppendWish,
  FlagChange,
  Folder,
  Mailbox,
  SpecialUse,
} from '../../resources/mail/contract.ts';

/** Told how a sign-in ended; `text` is for who was refused, with its response code. */
export type SignedIn = (outcome: Outcome, text: string) => void;

type Told = (outcome: Outcome) => void;

export interface Pairs {
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly uidValidity: number;
}

/** A mailbox of the server: what IMAP calls mailboxes are its folders. Nothing is told once the session is gone. */
export interface Store {
  /** What can be asked at once. */
  readonly mailbox: Pick<Mailbox, 'name' | 'writable' | 'removable' | 'folders' | 'subscriptions' | 'used' | 'quota'>;
  readonly appendLimit: number;
  open(name: string, then: (outcome: Outcome, folder: Folder | null) => void): void;
  close(folder: Folder): void;
  make(name: string, use: SpecialUse, then: Told): void;
  remove(name: string, then: Told): void;
  rename(from: string, to: string, then: Told): void;
  subscribe(name: string, subscribed: boolean, then: Told): void;
  append(
    folder: string,
    size: number,
    wish: AppendWish,
    then: (outcome: Outcome, mail: Appending | null) => void,
  ): void;
  flag(
    folder: Folder,
    uids: readonly number[],
    change: FlagChange,
    then: (outcome: Outcome, modified: readonly number[]) => void,
  ): void;
  expunge(folder: Folder, uids: readonly number[], then: Told): void;
  copy(
    folder: Folder,
    uids: readonly number[],
    to: string,
    move: boolean,
    then: (outcome: Outcome, pairs: Pairs | null) => void,
  ): void;
  expungedSince(folder: Folder, modseq: number, then: (uids: readonly number[] | null) => void): void;
}

/** A message that is being appended. */
export interface Appending extends Pick<AppendedMail, 'write' | 'onRoom' | 'abort'> {
  onRoom: (() => void) | null;
  commit(then: (outcome: Outcome, uid: number, uidValidity: number) => void): void;
}

export interface Upper {
  /** On which terms STARTTLS turns to TLS; null where it cannot. */
  readonly tls: TlsPolicy | null;
  /** What is said can be read on the way: no password is taken. */
  readonly isExposed: boolean;
  signIn(credentials: Credentials, then: SignedIn): void;
  /** Opens the mailbox of who signed in. */
  open(then: (outcome: Outcome, store: Store | null) => void): void;
  gone(): void;
}
