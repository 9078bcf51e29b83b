// SMTP over the server's accounts and mail. One server half belongs to one connection.
import { type Caller, isExposed, isLocal } from '../../core/caller.ts';
import { OK, type Outcome, UNSUPPORTED } from '../../core/outcome.ts';
import { addressText } from '../../core/peer.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host } from '../../core/protocol.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import { dateText } from '../../formats/mime/compose.ts';
import { HeaderReader } from '../../formats/mime/header.ts';
import {
  type Credentials,
  isSignInRefusal,
  type SignInRefusal,
  type SignInWaiter,
} from '../../resources/accounts/contract.ts';
import type { Recipient } from '../../resources/mail/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import { beginSasl, mechanisms, type SaslExchange } from '../text/sasl.ts';
import type { limits } from './limits.ts';
import { SmtpSession } from './session.ts';
import { type IncomingMessage, type MailWishes, NEW, type RecipientWishes, type Upper } from './upper.ts';

export type SmtpHost = Host<Resources, typeof limits>;

const ID_BYTES = 9;

export class SmtpServer implements Upper, SignInWaiter {
  readonly tls: TlsPolicy | null;
  private readonly pipe: Pipe;
  private readonly host: SmtpHost;
  private readonly submits: boolean;
  private caller: Caller;
  private recipients: Recipient[] = [];
  private signing: ((refused: SignInRefusal | null) => void) | null = null;
  private signIns = 0;
  private isSignedIn = false;
  private over = false;

  constructor(pipe: Pipe, host: SmtpHost, submits: boolean) {
    this.pipe = pipe;
    this.host = host;
    this.submits = submits;
    this.tls = host.startTls ?? null;
    this.caller = host.resources.accounts.nobody(pipe.peer) ?? STRANGER;
  }

  // ---- who asks ----------------------------------------------------------------------------------------------------

  get mustSignIn(): boolean {
    return this.submits && !this.host.resources.accounts.open;
  }

  get mechanisms(): readonly string[] {
    // Nothing is offered that would be refused (RFC 4954 §4).
    if (isExposed(this.pipe.peer) && this.tls !== null) return [];
    return mechanisms(this.host.resources.accounts);
  }

  beginSasl(mechanism: string): SaslExchange | null {
    const { accounts } = this.host.resources;
    const { entropy } = this.host;
    return beginSasl(mechanism, { scramOf: (name) => accounts.scramOf(name), entropy, open: accounts.open });
  }

  signIn(credentials: Credentials, then: (refused: SignInRefusal | null) => void): void {
    const number = ++this.signIns;
    this.signing = then;
    const answer = this.host.resources.accounts.signIn(credentials, this.pipe.peer, 'smtp', this, number);
    if (answer !== null) this.signedIn(number, answer);
  }

  signedIn(number: number, answer: Caller | SignInRefusal): void {
    const then = this.signing;
    if (number !== this.signIns || this.over || then === null) return;
    this.signing = null;
    if (isSignInRefusal(answer)) {
      then(answer);
      return;
    }
    this.caller = answer;
    this.isSignedIn = true;
    this.pipe.signedIn(answer);
    then(null);
  }

  // ---- mail --------------------------------------------------------------------------------------------------------

  nextId(): string {
    const bytes = Buffer.alloc(ID_BYTES);
    this.host.entropy.fill(bytes);
    return bytes.toString('base64url');
  }

  get reports(): boolean {
    return (this.host.resources.mail?.queue ?? null) !== null;
  }

  addRecipient(address: string, wishes: RecipientWishes): Outcome | typeof NEW {
    const { mail } = this.host.resources;
    if (mail === undefined) return UNSUPPORTED;
    const route = mail.route(address, this.caller);
    if (route.kind === 'refused') return route.outcome;
    const { remote } = this.pipe.peer;
    if (remote !== null && this.isStranger && mail.isNew(remote.host, address)) return NEW;
    this.recipients.push({ address, route, ...wishes });
    return OK;
  }

  /** Who belongs here is known by his name; while there are no accounts, all programs of this machine belong here. */
  private get isStranger(): boolean {
    return !this.submits && !this.isSignedIn && !(this.host.resources.accounts.open && isLocal(this.pipe.peer));
  }

  reset(): void {
    this.recipients = [];
  }

  begin(from: string, helo: string, how: string, id: string, wishes: MailWishes): IncomingMessage {
    const { host, pipe } = this;
    const mail = host.resources.mail!;
    const { remote } = pipe.peer;
    const there = remote === null ? 'a local socket' : addressText(remote);
    const by = mail.domains[0] ?? 'localhost';
    const trace = `Return-Path: <${from}>\r\nReceived: from ${helo} (${there})\r\n\tby ${by} with ${how} id ${id};\r\n\t${dateText(host.clock.wall)}\r\n`;
    const check =
      remote !== null && this.isStranger
        ? { ip: remote.host, helo: helo.replace(/^\[(?:IPv6:)?|\]$/gi, '') }
        : undefined;
    const incoming = mail.incoming({ from, caller: this.caller, recipients: this.recipients, trace, ...wishes, check });
    return new Counted(incoming);
  }

  gone(): void {
    this.over = true;
    this.signing = null;
  }
}

/** A message with the count of its hops. */
class Counted implements IncomingMessage {
  private readonly incoming: ReturnType<NonNullable<Resources['mail']>['incoming']>;

  constructor(incoming: ReturnType<NonNullable<Resources['mail']>['incoming']>) {
    this.incoming = incoming;
  }

  get onRoom(): (() => void) | null {
    return this.incoming.onRoom;
  }

  set onRoom(room: (() => void) | null) {
    this.incoming.onRoom = room;
  }

  write(input: Uint8Array, start: number, end: number): number {
    return this.incoming.write(input, start, end);
  }

  commit(...given: Parameters<IncomingMessage['commit']>): void {
    this.incoming.commit(...given);
  }

  hops(): number {
    const { head } = this.incoming;
    const reader = new HeaderReader(head, 0, head.length);
    let hops = 0;
    while (reader.next()) if (reader.is('received')) hops++;
    return hops;
  }

  abort(): void {
    this.incoming.abort();
  }
}

/** Who is not let in without a name may still send mail to those who are here. */
const STRANGER: Caller = { account: '', scopes: null, origin: 'remote', epoch: 0 };

/** SMTP on a connection; `submits`: it is for those who belong here. */
export function serveSmtp(pipe: Pipe, host: SmtpHost, submits: boolean): Session {
  const { limits, software } = host;
  const { mail } = host.resources;
  const options = {
    limits,
    software,
    name: mail?.domains[0] ?? 'localhost',
    maxBytes: Math.min(limits.messageBytesMax, mail?.messageBytesMax ?? limits.messageBytesMax),
    clock: () => host.clock,
  };
  return new SmtpSession(pipe, options, new SmtpServer(pipe, host, submits));
}
