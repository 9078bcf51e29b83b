// POP3 over the server's accounts and mail. One server half belongs to one connection; maildrops are locked for all of them.
import type { Caller } from '../../core/caller.ts';
import { BUSY, EXISTS, FAILED, MISSING, OK, type Outcome, UNKNOWN } from '../../core/outcome.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host } from '../../core/protocol.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { SignInRefusal } from '../../resources/accounts/contract.ts';
import type { Folder, Mail, Mailbox } from '../../resources/mail/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import { MailAccess, mailSessionOptions } from '../text/server-access.ts';
import type { limits } from './limits.ts';
import { Pop3Session } from './session.ts';
import type { Drop, Upper } from './upper.ts';

export type Pop3Host = Host<Resources, typeof limits>;

const REFUSED: Readonly<Record<SignInRefusal['refused'], readonly [Outcome, string]>> = {
  wrong: [UNKNOWN, '[AUTH] This name and password are not known.'],
  locked: [BUSY, '[LOGIN-DELAY] Too many sign-ins failed: try again later.'],
  plaintext: [UNKNOWN, '[AUTH] A password in the clear over a network was not looked at: say STLS first.'],
  busy: [BUSY, '[SYS/TEMP] Too many sign-ins are being checked: try again.'],
};

/** Mailboxes that a session has locked. */
const locks = new WeakMap<Mail, Set<string>>();

function locksOf(mail: Mail): Set<string> {
  let held = locks.get(mail);
  if (held === undefined) {
    held = new Set();
    locks.set(mail, held);
  }
  return held;
}

export class Pop3Server extends MailAccess implements Upper {
  protected readonly protocol = 'pop3';
  protected readonly refusals = REFUSED;

  open(then: (outcome: Outcome, drop: Drop | null) => void): void {
    const { mail, caller } = this;
    if (mail === null || caller === null) {
      then(MISSING, null);
      return;
    }
    const name = mail.own(caller);
    const held = locksOf(mail);
    if (held.has(name)) {
      then(EXISTS, null);
      return;
    }
    held.add(name);
    this.opened(mail, caller, name).then(
      (drop) => {
        if (typeof drop === 'number' || this.isOver) held.delete(name);
        if (typeof drop !== 'number' && this.isOver) drop.close();
        else if (!this.isOver) then(typeof drop === 'number' ? drop : OK, typeof drop === 'number' ? null : drop);
      },
      (error: unknown) => {
        held.delete(name);
        this.bug(error);
        if (!this.isOver) then(FAILED, null);
      },
    );
  }

  private async opened(mail: Mail, caller: Caller, name: string): Promise<Drop | Outcome> {
    const mailbox = await mail.open(caller, name);
    if (typeof mailbox === 'number') return mailbox;
    const folder = await mailbox.open('INBOX');
    if (typeof folder === 'number') return folder;
    return new InboxDrop(mailbox, folder, {
      bug: (error) => this.bug(error),
      unlock: () => void locksOf(mail).delete(name),
    });
  }
}

interface DropTerms {
  bug(error: unknown): void;
  unlock(): void;
}

/** INBOX as it was when it was locked. Others may take messages out of it meanwhile: those are then missing. */
class InboxDrop implements Drop {
  readonly count: number;
  private readonly uids: Uint32Array;
  private readonly sizes: Uint32Array;
  private readonly mailbox: Mailbox;
  private readonly folder: Folder;
  private readonly terms: DropTerms;
  private closed = false;
  /** QUIT is deleting: the lock is held until that is done. */
  private removing = false;

  constructor(mailbox: Mailbox, folder: Folder, terms: DropTerms) {
    this.mailbox = mailbox;
    this.folder = folder;
    this.terms = terms;
    this.count = folder.count;
    // Those that are there now never change.
    this.uids = folder.uids;
    this.sizes = new Uint32Array(this.count);
    for (let at = 0; at < this.count; at++) this.sizes[at] = folder.sizeAt(at);
  }

  sizeAt(at: number): number {
    return this.sizes[at]!;
  }

  idAt(at: number): string {
    return `${this.folder.uidValidity}.${this.uids[at]!}`;
  }

  read(at: number, sink: Sink): Reading {
    return this.folder.read(this.uids[at]!, 0, this.sizes[at]!, sink);
  }

  remove(places: readonly number[], then: (outcome: Outcome) => void): void {
    this.removing = true;
    const uids = places.map((at) => this.uids[at]!);
    this.mailbox.expunge(this.folder, uids, true).then(
      (outcome) => {
        this.removed();
        then(outcome);
      },
      (error: unknown) => {
        this.terms.bug(error);
        this.removed();
        then(FAILED);
      },
    );
  }

  private removed(): void {
    this.removing = false;
    if (this.closed) this.release();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (!this.removing) this.release();
  }

  private release(): void {
    this.mailbox.close(this.folder);
    this.terms.unlock();
  }
}

export function servePop3(pipe: Pipe, host: Pop3Host, mail: Mail | null): Session {
  return new Pop3Session(pipe, mailSessionOptions(host), () => new Pop3Server(pipe, host, mail));
}
