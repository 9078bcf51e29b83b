// POP3 over the server's accounts and mail. One server half belongs to one connection; maildrops are locked for all of them.
import { type Caller, isExposed } from '../../core/caller.ts';
import { BUSY, EXISTS, FAILED, MISSING, OK, type Outcome, UNKNOWN } from '../../core/outcome.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import { type Host, reportBug } from '../../core/protocol.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import {
  type Credentials,
  isSignInRefusal,
  type SignInRefusal,
  type SignInWaiter,
} from '../../resources/accounts/contract.ts';
import type { Folder, Mail, Mailbox } from '../../resources/mail/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import { beginSasl, mechanisms } from '../text/sasl.ts';
import type { limits } from './limits.ts';
import { Pop3Session } from './session.ts';
import type { Drop, SignedIn, Upper } from './upper.ts';

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

export class Pop3Server implements Upper, SignInWaiter {
  readonly tls: TlsPolicy | null;
  private readonly host: Pop3Host;
  private readonly mail: Mail | null;
  private readonly pipe: Pipe;
  private caller: Caller | null = null;
  private signing: SignedIn | null = null;
  private signIns = 0;
  private over = false;

  constructor(pipe: Pipe, host: Pop3Host, mail: Mail | null) {
    this.pipe = pipe;
    this.host = host;
    this.mail = mail;
    this.tls = host.startTls ?? null;
  }

  get isExposed(): boolean {
    return isExposed(this.pipe.peer);
  }

  signIn(credentials: Credentials, then: SignedIn): void {
    const number = ++this.signIns;
    this.signing = then;
    const answer = this.host.resources.accounts.signIn(credentials, this.pipe.peer, 'pop3', this, number);
    if (answer !== null) this.signedIn(number, answer);
  }

  signedIn(number: number, answer: Caller | SignInRefusal): void {
    const { signing } = this;
    if (number !== this.signIns || this.over || signing === null) return;
    this.signing = null;
    if (isSignInRefusal(answer)) signing(...REFUSED[answer.refused]);
    else {
      this.caller = answer;
      this.pipe.signedIn(answer);
      signing(OK, '');
    }
  }

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
        if (typeof drop === 'number' || this.over) held.delete(name);
        if (typeof drop !== 'number' && this.over) drop.close();
        else if (!this.over) then(typeof drop === 'number' ? drop : OK, typeof drop === 'number' ? null : drop);
      },
      (error: unknown) => {
        held.delete(name);
        reportBug(this.host, error, 'pop3', { pipe: this.pipe.id });
        if (!this.over) then(FAILED, null);
      },
    );
  }

  private async opened(mail: Mail, caller: Caller, name: string): Promise<Drop | Outcome> {
    const mailbox = await mail.open(caller, name);
    if (typeof mailbox === 'number') return mailbox;
    const folder = await mailbox.open('INBOX');
    if (typeof folder === 'number') return folder;
    return new InboxDrop(mailbox, folder, {
      bug: (error) => reportBug(this.host, error, 'pop3', { pipe: this.pipe.id }),
      unlock: () => void locksOf(mail).delete(name),
    });
  }

  gone(): void {
    this.over = true;
    this.signing = null;
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
  const { accounts } = host.resources;
  const terms = {
    scramOf: (account: string) => accounts.scramOf(account),
    entropy: host.entropy,
    get open() {
      return accounts.open;
    },
  };
  const options = {
    limits: host.limits,
    software: host.software,
    mechanisms: mechanisms(terms),
    begin: (mechanism: string) => beginSasl(mechanism, terms),
    clock: () => host.clock,
  };
  return new Pop3Session(pipe, options, () => new Pop3Server(pipe, host, mail));
}
