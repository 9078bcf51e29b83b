// IMAP over the server's accounts and mail. One server half belongs to one connection.
import { BUSY, FAILED, MISSING, OK, type Outcome, UNKNOWN } from '../../core/outcome.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host } from '../../core/protocol.ts';
import type { SignInRefusal } from '../../resources/accounts/contract.ts';
import type {
  AppendedMail,
  AppendWish,
  FlagChange,
  Folder,
  Mail,
  Mailbox,
  SpecialUse,
} from '../../resources/mail/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import { MailAccess, mailSessionOptions } from '../text/server-access.ts';
import type { limits } from './limits.ts';
import { ImapSession } from './session.ts';
import type { Appending, Pairs, Store, Upper } from './upper.ts';

export type ImapHost = Host<Resources, typeof limits>;

const REFUSED: Readonly<Record<SignInRefusal['refused'], readonly [Outcome, string]>> = {
  wrong: [UNKNOWN, 'NO [AUTHENTICATIONFAILED] This name and password are not known.'],
  locked: [BUSY, 'NO [UNAVAILABLE] Too many sign-ins failed: try again later.'],
  plaintext: [UNKNOWN, 'NO [PRIVACYREQUIRED] A password in the clear over a network was not looked at: use TLS.'],
  busy: [BUSY, 'NO [UNAVAILABLE] Too many sign-ins are being checked: try again.'],
};

export class ImapServer extends MailAccess implements Upper {
  protected readonly protocol = 'imap';
  protected readonly refusals = REFUSED;

  open(then: (outcome: Outcome, store: Store | null) => void): void {
    const { mail, caller } = this;
    if (mail === null || caller === null) {
      then(MISSING, null);
      return;
    }
    this.ask(mail.open(caller, mail.own(caller)), FAILED, (mailbox) => {
      if (typeof mailbox === 'number') then(mailbox, null);
      else then(OK, new MailboxStore(this, mailbox, mail.messageBytesMax));
    });
  }
}

class MailboxStore implements Store {
  readonly mailbox: Mailbox;
  readonly appendLimit: number;
  private readonly server: ImapServer;

  constructor(server: ImapServer, mailbox: Mailbox, appendLimit: number) {
    this.server = server;
    this.mailbox = mailbox;
    this.appendLimit = appendLimit;
  }

  open(name: string, then: (outcome: Outcome, folder: Folder | null) => void): void {
    const { server } = this;
    const opening = this.mailbox.open(name).then((folder) => {
      if (typeof folder !== 'number' && server.isOver) this.mailbox.close(folder);
      return folder;
    });
    server.ask(opening, FAILED, (folder) => {
      if (typeof folder === 'number') then(folder, null);
      else then(OK, folder);
    });
  }

  close(folder: Folder): void {
    this.mailbox.close(folder);
  }

  make(name: string, use: SpecialUse, then: (outcome: Outcome) => void): void {
    this.server.ask(this.mailbox.make(name, use), FAILED, then);
  }

  remove(name: string, then: (outcome: Outcome) => void): void {
    this.server.ask(this.mailbox.remove(name), FAILED, then);
  }

  rename(from: string, to: string, then: (outcome: Outcome) => void): void {
    this.server.ask(this.mailbox.rename(from, to), FAILED, then);
  }

  subscribe(name: string, subscribed: boolean, then: (outcome: Outcome) => void): void {
    this.server.ask(this.mailbox.subscribe(name, subscribed), FAILED, then);
  }

  append(name: string, size: number, wish: AppendWish, then: (outcome: Outcome, mail: Appending | null) => void): void {
    const beginning = this.beginAppend(name, size, wish).then((made) => {
      if (typeof made !== 'number' && this.server.isOver) made.abort();
      return made;
    });
    this.server.ask(beginning, FAILED, (made) => {
      if (typeof made === 'number') then(made, null);
      else then(OK, made);
    });
  }

  /** The folder is held open for its UIDVALIDITY. */
  private async beginAppend(name: string, size: number, wish: AppendWish): Promise<AppendingTo | Outcome> {
    const folder = await this.mailbox.open(name);
    if (typeof folder === 'number') return folder;
    const { uidValidity } = folder;
    const mail = await this.mailbox.append(name, size, wish);
    this.mailbox.close(folder);
    return typeof mail === 'number' ? mail : new AppendingTo(this.server, mail, uidValidity);
  }

  flag(
    folder: Folder,
    uids: readonly number[],
    change: FlagChange,
    then: (outcome: Outcome, modified: readonly number[]) => void,
  ): void {
    this.server.ask(this.mailbox.flag(folder, uids, change), FAILED, (answer) => {
      if (typeof answer === 'number') then(answer, []);
      else then(OK, answer.modified);
    });
  }

  expunge(folder: Folder, uids: readonly number[], then: (outcome: Outcome) => void): void {
    this.server.ask(this.mailbox.expunge(folder, uids), FAILED, then);
  }

  copy(
    folder: Folder,
    uids: readonly number[],
    to: string,
    move: boolean,
    then: (outcome: Outcome, pairs: Pairs | null) => void,
  ): void {
    this.server.ask(this.mailbox.copy(folder, uids, to, move), FAILED, (answer) => {
      if (typeof answer === 'number') then(answer, null);
      else then(OK, answer);
    });
  }

  expungedSince(folder: Folder, modseq: number, then: (uids: readonly number[] | null) => void): void {
    this.server.ask(folder.expungedSince(modseq), null, (uids) => then(typeof uids === 'number' ? null : uids));
  }
}

class AppendingTo implements Appending {
  private readonly server: ImapServer;
  private readonly mail: AppendedMail;
  private readonly uidValidity: number;

  constructor(server: ImapServer, mail: AppendedMail, uidValidity: number) {
    this.server = server;
    this.mail = mail;
    this.uidValidity = uidValidity;
  }

  write(input: Uint8Array, start: number, end: number): number {
    return this.mail.write(input, start, end);
  }

  get onRoom(): (() => void) | null {
    return this.mail.onRoom;
  }

  set onRoom(room: (() => void) | null) {
    this.mail.onRoom = room;
  }

  commit(then: (outcome: Outcome, uid: number, uidValidity: number) => void): void {
    this.server.ask(this.mail.commit(), FAILED, (answer) => {
      if (typeof answer === 'number') then(answer, 0, 0);
      else then(OK, answer.uid, this.uidValidity);
    });
  }

  abort(): void {
    this.mail.abort();
  }
}

export function serveImap(pipe: Pipe, host: ImapHost, mail: Mail | null): Session {
  return new ImapSession(pipe, mailSessionOptions(host), () => new ImapServer(pipe, host, mail));
}
