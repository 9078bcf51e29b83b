// The client half of SMTP (RFC 5321 §3, §4): greetings, TLS, signing in, and one mail after another with what became of each
// recipient. The caller dials and says what is to be sent; it knows no socket, no queue and no DNS.
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import { isLoopback } from '../../core/peer.ts';
import { type Cause, HANDSHAKE, type Pipe, type Session, SHUTDOWN, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { ReplyReader } from '../text/reply-reader.ts';
import { beginSaslClient, type SaslClientExchange } from '../text/sasl-client.ts';
import { OutgoingBody } from './client-body.ts';
import {
  type Extensions,
  type OutgoingMessage,
  outcomeOf,
  type RecipientOutcome,
  replyText,
  type SmtpClientEvents,
  type SmtpClientTerms,
  type SmtpReply,
  type Trouble,
  WAITS,
  type Waits,
} from './client-terms.ts';
import { codeClass, extensionsOf, isPath, replyOf } from './codec-replies.ts';
import { replyFaults } from './faults.ts';

const LINE_MAX = 8_192;
const REPLY_MAX = 65_536;

/** What a reply that is awaited answers. */
type Asked = 'greeting' | 'ehlo' | 'helo' | 'starttls' | 'auth' | 'mail' | 'rcpt' | 'data' | 'end' | 'rset' | 'quit';

const WAIT_OF: Readonly<Record<Asked, keyof Waits>> = {
  greeting: 'greeting',
  ehlo: 'hello',
  helo: 'hello',
  starttls: 'hello',
  auth: 'hello',
  mail: 'mail',
  rcpt: 'recipient',
  data: 'data',
  end: 'end',
  rset: 'hello',
  quit: 'quit',
};

const NO_EXTENSIONS: Extensions = new Map();

/** One mail on its way. */
interface Transaction {
  readonly message: OutgoingMessage;
  /** By recipient; undefined while it is not known. */
  readonly outcomes: (RecipientOutcome | undefined)[];
  /** Recipients that were said, in order, and how many of them were answered. */
  readonly said: number[];
  answered: number;
  /** What MAIL was refused with. */
  refused: RecipientOutcome | null;
  body: OutgoingBody | null;
  /** All of the message was written, and its end. */
  isWhole: boolean;
}

export class SmtpClient implements Session {
  readonly pipe: Pipe;
  private readonly terms: SmtpClientTerms;
  private readonly events: SmtpClientEvents;
  private readonly waits: Waits;
  private readonly reader = new ReplyReader(LINE_MAX, REPLY_MAX);
  private readonly asked: Asked[] = ['greeting'];
  /** When the reply that is awaited first is too late. */
  private until: Instant;
  private extensions: Extensions = NO_EXTENSIONS;
  private exchange: SaslClientExchange | null = null;
  private transaction: Transaction | null = null;
  private isReady = false;
  /** `unready` was told. */
  private isHopeless = false;
  private securing = false;
  private fault: Fault | null = null;
  private over = false;
  private lastClock: Clock;

  constructor(pipe: Pipe, terms: SmtpClientTerms, events: SmtpClientEvents, clock: Clock) {
    this.pipe = pipe;
    this.terms = terms;
    this.events = events;
    this.waits = { ...WAITS, ...terms.waits };
    this.lastClock = clock;
    this.until = clock.now + this.waits.greeting;
  }

  /** Nothing is under way, and `send` may be called. */
  get isIdle(): boolean {
    return this.isReady && !this.over && this.transaction === null && this.asked.length === 0;
  }

  /** How many bytes the server says that it takes; Infinity where it does not say (RFC 1870 §4). */
  get sizeMax(): number {
    const size = Number(this.extensions.get('SIZE') ?? 0);
    return Number.isFinite(size) && size > 0 ? size : Number.POSITIVE_INFINITY;
  }

  // ---- commands ----------------------------------------------------------------------------------------------------

  /** Sends a message to all its recipients; only when idle. `sent` tells how it went, also at once. */
  send(message: OutgoingMessage): void {
    if (!this.isIdle) throw new RangeError('one message at a time');
    const { recipients } = message;
    const said = recipients.map((_, index) => index).filter((index) => isPath(recipients[index]!.address));
    const outcomes = recipients.map(({ address }) =>
      isPath(address) ? undefined : this.own('5.1.3', 'That is no address.'),
    );
    const transaction: Transaction = {
      ...{ message, outcomes, said, answered: 0, refused: null, body: null, isWhole: false },
    };
    this.transaction = transaction;
    transaction.refused = this.unfit(message);
    if (transaction.refused !== null || said.length === 0) {
      this.complete(transaction);
      return;
    }
    this.say('mail', `MAIL FROM:<${message.from}>${this.mailParameters(message)}`);
    // One at a time where the server has to be waited for (RFC 2920 §3.1).
    if (this.extensions.has('PIPELINING')) for (const index of said) this.sayRecipient(message, index);
  }

  /** Says goodbye; what is under way is given up. */
  quit(): void {
    if (this.over) return;
    if (this.asked.length > 0 || this.transaction !== null || !this.isReady) this.pipe.reset(0);
    else this.say('quit', 'QUIT');
  }

  private sayRecipient({ recipients }: OutgoingMessage, index: number): void {
    const { address, notify, orcpt } = recipients[index]!;
    const hasDsn = this.extensions.has('DSN');
    const wishes = `${hasDsn && notify ? ` NOTIFY=${notify}` : ''}${hasDsn && orcpt ? ` ORCPT=${orcpt}` : ''}`;
    this.say('rcpt', `RCPT TO:<${address}>${wishes}`);
  }

  private mailParameters({ size, isEightBit, isUtf8, ret, envid }: OutgoingMessage): string {
    const { extensions } = this;
    const parameters: string[] = [];
    if (extensions.has('SIZE')) parameters.push(`SIZE=${size}`);
    if (isEightBit && extensions.has('8BITMIME')) parameters.push('BODY=8BITMIME');
    if (isUtf8) parameters.push('SMTPUTF8');
    if (extensions.has('DSN')) {
      if (ret !== undefined) parameters.push(`RET=${ret}`);
      if (envid !== undefined && envid !== '') parameters.push(`ENVID=${envid}`);
    }
    return parameters.map((each) => ` ${each}`).join('');
  }

  /** Why this server cannot be given the message, as things stand; null for nothing. */
  private unfit(message: OutgoingMessage): RecipientOutcome | null {
    const { extensions } = this;
    if (message.from !== '' && !isPath(message.from)) return this.own('5.1.7', 'The sender is no address.');
    if (message.size > this.sizeMax)
      return this.own('5.3.4', `The message is longer than ${this.sizeMax} bytes, which is what its server takes.`);
    if (message.isUtf8 && !extensions.has('SMTPUTF8'))
      return this.own('5.6.7', 'Its server does not take addresses and headers beyond ASCII.');
    return message.isEightBit && !extensions.has('8BITMIME')
      ? this.own('5.6.3', 'Its server does not take messages beyond ASCII.')
      : null;
  }

  private own(enhanced: string, text: string): RecipientOutcome {
    return { state: 'permanent', reply: null, text: `${enhanced} ${text}` };
  }

  private say(asked: Asked, line: string): void {
    if (this.asked.length === 0) this.wait(asked);
    this.asked.push(asked);
    this.pipe.out.utf8(`${line}\r\n`);
    this.pipe.flush();
  }

  private wait(asked: Asked): void {
    this.until = this.lastClock.now + this.waits[WAIT_OF[asked]];
  }

  // ---- replies -----------------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    this.lastClock = clock;
    this.shaken();
    let at = start;
    while (at < end && !this.over && !this.securing) {
      const next = this.reader.read(input, at, end);
      if (next === MORE) return at;
      if (next === BAD) {
        this.break(replyFaults.badReply);
        return end;
      }
      at = next;
      if (this.reader.isWhole) this.take(replyOf(this.reader.code, this.reader.lines));
    }
    return this.over ? end : at;
  }

  private take(reply: SmtpReply): void {
    const asked = this.asked.shift();
    if (asked === undefined) {
      // A server may say that it goes away (RFC 5321 §3.8).
      if (reply.code !== 421) this.break(replyFaults.unasked);
      return;
    }
    if (this.asked[0] !== undefined) this.wait(this.asked[0]);
    if (reply.code < 200) {
      this.break(replyFaults.badReply);
      return;
    }
    switch (asked) {
      case 'greeting':
        if (reply.code === 220) this.say('ehlo', `EHLO ${this.terms.name}`);
        else this.unready('greeting', reply);
        return;
      case 'ehlo':
        this.greeted(reply);
        return;
      case 'helo':
        if (codeClass(reply.code) === 2) this.settleIn();
        else this.unready('hello', reply);
        return;
      case 'starttls':
        this.mayShake(reply);
        return;
      case 'auth':
        this.signing(reply);
        return;
      case 'rset':
        if (codeClass(reply.code) !== 2) this.break(replyFaults.badReply);
        else this.tell();
        return;
      case 'quit':
        this.over = true;
        this.pipe.end();
        return;
      default:
        this.transacted(asked, reply);
    }
  }

  private greeted(reply: SmtpReply): void {
    if (codeClass(reply.code) === 2) {
      this.extensions = extensionsOf(reply.text.split('\n'));
      this.settleIn();
      // A server of before 1993 does not know EHLO (RFC 5321 §3.2).
    } else if (codeClass(reply.code) === 5) this.say('helo', `HELO ${this.terms.name}`);
    else this.unready('hello', reply);
  }

  /** Greeted: TLS, then signing in, then mail. */
  private settleIn(): void {
    const { tls, tlsRequired, credentials } = this.terms;
    const isSecured = this.pipe.peer.tls !== null;
    if (!isSecured && tls !== null && this.extensions.has('STARTTLS')) this.say('starttls', 'STARTTLS');
    else if (!isSecured && tlsRequired)
      this.unready('tls', null, 'It offers no TLS, and without that nothing is sent.');
    else if (credentials !== null && this.exchange === null) this.signIn();
    else {
      this.isReady = true;
      this.events.ready(this.extensions);
    }
  }

  private mayShake(reply: SmtpReply): void {
    if (reply.code === 220) {
      this.securing = true;
      this.extensions = NO_EXTENSIONS;
      this.until = this.lastClock.now + this.waits.hello;
      this.pipe.secure(this.terms.tls!, this);
    } else if (this.terms.tlsRequired) this.unready('tls', reply);
    else {
      // It offered what it does not do: as if it had not.
      this.extensions = new Map([...this.extensions].filter(([name]) => name !== 'STARTTLS'));
      this.settleIn();
    }
  }

  private shaken(): void {
    if (!this.securing || this.pipe.peer.tls === null || this.over) return;
    this.securing = false;
    // What was said before counts for nothing (RFC 3207 §4.2).
    this.say('ehlo', `EHLO ${this.terms.name}`);
  }

  // ---- signing in (RFC 4954) ---------------------------------------------------------------------------------------

  private signIn(): void {
    const { remote, tls } = this.pipe.peer;
    const isPrivate = tls !== null || remote === null || isLoopback(remote.host);
    const offered = (this.extensions.get('AUTH') ?? '').toUpperCase().split(/\s+/);
    const usable = isPrivate ? offered : offered.filter((name) => name.startsWith('SCRAM-'));
    this.exchange = beginSaslClient(usable, this.terms.credentials!, this.terms.entropy);
    if (this.exchange === null) {
      const text = isPrivate
        ? 'It offers no way to sign in that is known here.'
        : 'A password is not said in the clear.';
      this.unready('sign-in', null, text);
      return;
    }
    const { mechanism, initial } = this.exchange;
    this.say('auth', `AUTH ${mechanism}${initial === null ? '' : ` ${base64(initial)}`}`);
  }

  private signing(reply: SmtpReply): void {
    const exchange = this.exchange!;
    if (reply.code === 334) {
      exchange.answer(Buffer.from(reply.text, 'base64'), (response) => {
        if (!this.over) this.say('auth', response === null ? '*' : response.toString('base64'));
      });
      // It may be under way now, and has a deadline all the same.
      if (this.asked.length === 0) this.wait('auth');
    } else if (reply.code !== 235) this.unready('sign-in', reply);
    else if (!exchange.isProven) this.unready('sign-in', null, 'It did not show that it knows the password.');
    else this.settleIn();
  }

  // ---- a mail ------------------------------------------------------------------------------------------------------

  private transacted(asked: Asked, reply: SmtpReply): void {
    const transaction = this.transaction!;
    if (reply.code === 421 && asked !== 'end') {
      // Nothing said behind it is answered.
      this.fail(transaction, outcomeOf(reply));
      this.break(null);
      return;
    }
    if (asked === 'mail') this.mailed(transaction, reply);
    else if (asked === 'rcpt') this.recipient(transaction, reply);
    else if (asked === 'data') this.mayBegin(transaction, reply);
    else this.ended(transaction, reply);
  }

  private mailed(transaction: Transaction, reply: SmtpReply): void {
    if (codeClass(reply.code) !== 2) transaction.refused = outcomeOf(reply);
    if (this.extensions.has('PIPELINING')) return;
    if (transaction.refused === null) this.sayRecipient(transaction.message, transaction.said[0]!);
    else this.complete(transaction);
  }

  private recipient(transaction: Transaction, reply: SmtpReply): void {
    const { said, outcomes, message } = transaction;
    const index = said[transaction.answered++]!;
    // What is said behind a MAIL that was refused is about that.
    if (codeClass(reply.code) !== 2 && transaction.refused === null) outcomes[index] = outcomeOf(reply);
    if (transaction.answered < said.length) {
      if (!this.extensions.has('PIPELINING')) this.sayRecipient(message, said[transaction.answered]!);
      return;
    }
    const isWanted = transaction.refused === null && outcomes.includes(undefined);
    if (!isWanted) this.say('rset', 'RSET');
    else if (this.extensions.has('CHUNKING')) {
      this.pipe.out.ascii(`BDAT ${message.size} LAST\r\n`);
      this.begin(transaction, false);
    } else this.say('data', 'DATA');
  }

  private mayBegin(transaction: Transaction, reply: SmtpReply): void {
    if (reply.code === 354) this.begin(transaction, true);
    else {
      this.fail(transaction, outcomeOf(reply));
      this.say('rset', 'RSET');
    }
  }

  private begin(transaction: Transaction, dots: boolean): void {
    const body = new OutgoingBody(this.pipe, transaction.message, dots, (outcome) =>
      this.written(transaction, outcome),
    );
    transaction.body = body;
    body.seen = this.pipe.delivered;
    // A chunk may be refused before all of it was sent.
    this.asked.push('end');
    this.until = this.lastClock.now + this.waits.block;
    body.begin();
  }

  private written(transaction: Transaction, outcome: Outcome): void {
    if (outcome === OK) {
      transaction.isWhole = true;
      this.wait('end');
      return;
    }
    // Without its end it is no message: the server throws it away with the connection.
    this.fail(transaction, { state: 'transient', reply: null, text: '4.3.0 The message could not be read.' });
    this.over = true;
    this.pipe.reset(0);
  }

  private ended(transaction: Transaction, reply: SmtpReply): void {
    if (!transaction.isWhole) {
      // Its answer came before its end: where it is in the message is not known to it, nor to us.
      transaction.body?.stop();
      this.fail(
        transaction,
        codeClass(reply.code) === 2 ? lostOutcome('The server answered too early.') : outcomeOf(reply),
      );
      this.break(codeClass(reply.code) === 2 ? replyFaults.unasked : null);
      return;
    }
    const isTaken = codeClass(reply.code) === 2;
    const tells = this.extensions.has('DSN');
    this.fail(transaction, isTaken ? { state: 'sent', reply, text: replyText(reply), tells } : outcomeOf(reply));
    if (reply.code === 421) this.break(null);
    else this.tell();
  }

  /** What is not known of a recipient yet is this. */
  private fail({ outcomes }: Transaction, outcome: RecipientOutcome): void {
    for (let index = 0; index < outcomes.length; index++) outcomes[index] ??= outcome;
  }

  /** It was over before anything was said that has to be taken back. */
  private complete(transaction: Transaction): void {
    if (transaction.refused !== null) this.fail(transaction, transaction.refused);
    this.tell();
  }

  private tell(): void {
    const { transaction } = this;
    if (transaction === null) return;
    this.transaction = null;
    transaction.body?.stop();
    const otherwise = transaction.refused ?? lostOutcome('Nothing was heard of it.');
    this.events.sent(transaction.outcomes.map((outcome) => outcome ?? otherwise));
  }

  // ---- endings -----------------------------------------------------------------------------------------------------

  private unready(stage: Trouble['stage'], reply: SmtpReply | null, text = ''): void {
    if (this.over) return;
    this.over = true;
    this.isHopeless = true;
    const isPermanent = reply === null ? stage === 'sign-in' : codeClass(reply.code) === 5;
    this.events.unready({ stage, reply, isPermanent, text: reply === null ? text : replyText(reply) });
    this.pipe.out.ascii('QUIT\r\n');
    this.pipe.flush();
    this.pipe.end();
  }

  /** Nothing more is to be said on it. */
  private break(fault: Fault | null): void {
    this.over = true;
    this.fault = fault;
    if (fault !== null) {
      this.pipe.fail(fault);
      return;
    }
    this.tell();
    this.pipe.end();
    this.pipe.stopReading(0);
  }

  get deadline(): Instant {
    return this.over || (this.asked.length === 0 && this.exchange?.isProven !== false && !this.securing)
      ? NEVER
      : this.until;
  }

  gather(clock: Clock): void {
    this.lastClock = clock;
    this.shaken();
  }

  writable(clock: Clock): void {
    this.lastClock = clock;
    this.transaction?.body?.more();
  }

  tick(clock: Clock): void {
    if (clock.now < this.deadline) return;
    this.lastClock = clock;
    const body = this.transaction?.body ?? null;
    if (body !== null && !this.transaction!.isWhole && this.pipe.delivered > body.seen) {
      body.seen = this.pipe.delivered;
      this.until = clock.now + this.waits.block;
      return;
    }
    this.break(replyFaults.late);
  }

  overlong(): void {
    this.break(replyFaults.badReply);
  }

  finish(): void {
    if (this.over) return;
    this.over = true;
    this.pipe.end();
  }

  leave(why: Why): void {
    if (this.over) return;
    // What was sent whole is waited for: otherwise it would be sent twice.
    if (why === SHUTDOWN && this.transaction?.isWhole === true) return;
    this.quit();
  }

  lost(cause: Cause): void {
    this.over = true;
    const { transaction } = this;
    if (transaction !== null) {
      const text = this.fault?.text ?? 'the connection was lost';
      const isDoubtful = transaction.isWhole;
      this.fail(transaction, { ...lostOutcome(`${text[0]!.toUpperCase()}${text.slice(1)}.`), isDoubtful });
      this.tell();
    } else if (!this.isReady && !this.isHopeless) {
      const stage = this.securing || cause === HANDSHAKE ? 'tls' : 'connection';
      this.events.unready({
        ...{ stage, isPermanent: false, reply: null },
        text: this.fault?.text ?? (stage === 'tls' ? 'the handshake failed' : `the connection was lost (${cause})`),
      });
    }
    this.events.closed(cause, this.fault);
  }
}

function lostOutcome(text: string): RecipientOutcome {
  return { state: 'transient', reply: null, text: `4.4.2 ${text}` };
}

function base64(bytes: Buffer): string {
  return bytes.length === 0 ? '=' : bytes.toString('base64');
}
