// What may come when on SMTP's connection, and what is answered (RFC 5321): greetings, one mail transaction after another,
// signing in and TLS. The bytes of messages are in session-data.ts; who takes them is the upper half's.
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import { OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import { type Cause, IDLE, OVERLOADED, type Pipe, REVOKED, SHUTDOWN, type Why } from '../../core/pipe.ts';
import type { Clock } from '../../core/time.ts';
import { writeReply, writeReplyLines } from '../text/replies.ts';
import { DONE, type Step, TextSession, UNHEARD, WAIT } from '../text/session.ts';
import { isGreetingName, readCommand, readPath, wrongReport } from './codec.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { MESSAGE, RECIPIENT } from './outcomes.ts';
import { Access } from './session-access.ts';
import { Chunk, type DataSink, DotText, Skipped } from './session-data.ts';
import { type IncomingMessage, type MailWishes, NEW, type Upper } from './upper.ts';

export type SmtpLimits = Bound<typeof limits>;

export interface SmtpOptions {
  readonly limits: SmtpLimits;
  readonly software: string;
  /** How this server calls itself to clients. */
  readonly name: string;
  readonly maxBytes: number;
  clock(): Clock;
}

const GOODBYES: Readonly<Record<Why, string>> = {
  [SHUTDOWN]: '4.3.2 The server is shutting down.',
  [REVOKED]: '4.7.0 This account may no longer be used.',
  [IDLE]: '4.4.2 Nothing was said for too long.',
  [OVERLOADED]: '4.3.2 The server has too much to do.',
};

const HALF = 'A line ended with a line feed or a carriage return alone: lines of mail end with both.';

/** What RFC 5321 has and is not done here. */
const NOT_DONE: ReadonlySet<string> = new Set(['EXPN', 'SEND', 'SOML', 'SAML', 'TURN', 'ETRN', 'ATRN']);

/** RFC 6531 §3.5. */
const NEEDS_UTF8 = [553, '5.6.7 An address that is not ASCII needs SMTPUTF8 behind MAIL.'] as const;

const isPlain = (address: string): boolean => /^[\x20-\x7e]*$/.test(address);

export class SmtpSession extends TextSession implements DataSink, Waiter {
  readonly upper: Upper;
  readonly bounds: SmtpLimits;
  private readonly options: SmtpOptions;
  private readonly access: Access;
  /** What HELO or EHLO said; `''` before. */
  private helo = '';
  private extended = false;
  /** The reverse path of the transaction; null for none. */
  private from: string | null = null;
  private wishes: MailWishes = { isUtf8: false };
  private recipients = 0;
  private refused = 0;
  private id = '';
  private message: IncomingMessage | null = null;
  private body: DotText | Chunk | null = null;
  /** BDAT's chunk that is read is the last. */
  private isLast = true;
  /** A chunk of this transaction was refused: so are those behind it (RFC 3030 §2). */
  private broken = false;
  private transactions = 0;

  constructor(pipe: Pipe, options: SmtpOptions, upper: Upper) {
    const { lineBytesMax, unknownMax, idleMs } = options.limits;
    super(pipe, { lineBytesMax, unknownMax, idleMs, faults }, options.clock());
    this.options = options;
    this.bounds = options.limits;
    this.upper = upper;
    this.access = new Access(this);
    this.reply(220, `${options.name} ESMTP ${options.software}`);
  }

  get clock(): Clock {
    return this.options.clock();
  }

  reply(code: number, text: string): void {
    if (this.over) return;
    writeReply(this.pipe.out, code, text);
    this.pipe.flush();
  }

  say(code: number, text: string): Step {
    this.reply(code, text);
    return DONE;
  }

  /** A command that had to wait has been answered. */
  answered(): void {
    this.proceed(this.clock);
  }

  breakOff(fault: Fault): void {
    this.fail(fault);
  }

  get isSecured(): boolean {
    return this.pipe.peer.tls !== null;
  }

  // ---- commands ----------------------------------------------------------------------------------------------------

  protected command(input: Uint8Array, start: number, stop: number): Step {
    if (this.access.isAsking) return this.access.continue(input, start, stop);
    const command = readCommand(input, start, stop);
    if (command === null) {
      this.acquaint();
      return this.say(500, '5.5.2 That is not UTF-8, or has control characters.');
    }
    const { verb, argument } = command;
    const step = this.run(verb, argument);
    if (step !== null) {
      // Whoever knows a command of SMTP is no browser.
      this.acquaint();
      return step;
    }
    this.reply(500, '5.5.1 There is no such command.');
    return UNHEARD;
  }

  private acquaint(): void {
    this.acquainted = true;
  }

  private run(verb: string, argument: string): Step | null {
    switch (verb) {
      case 'EHLO':
      case 'HELO':
        return this.greeted(verb === 'EHLO', argument);
      case 'MAIL':
        return this.mail(argument);
      case 'RCPT':
        return this.rcpt(argument);
      case 'DATA':
        return this.data(argument);
      case 'BDAT':
        return this.bdat(argument);
      case 'RSET':
        if (argument !== '') return this.say(501, '5.5.4 RSET has nothing behind it.');
        this.reset();
        return this.say(250, '2.0.0 OK.');
      case 'NOOP':
        return this.say(250, '2.0.0 OK.');
      case 'QUIT':
        this.reply(221, '2.0.0 Goodbye.');
        this.drop();
        this.end();
        return DONE;
      case 'VRFY':
        // Whether there is such a mailbox is for those to know who send to it (RFC 5321 §7.3).
        return argument === ''
          ? this.say(501, '5.5.4 VRFY needs an address.')
          : this.say(252, '2.1.5 Send something, and see.');
      case 'HELP':
        return this.say(214, '2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY AUTH STARTTLS: RFC 5321.');
      case 'STARTTLS':
        return this.startSecure(argument);
      case 'AUTH':
        if (!this.extended) return this.say(503, '5.5.1 Say EHLO first.');
        if (this.from !== null) return this.say(503, '5.5.1 Not within a transaction.');
        return this.access.begin(argument);
      default:
        return NOT_DONE.has(verb) ? this.say(502, `5.5.1 ${verb} is not done here.`) : null;
    }
  }

  private greeted(extended: boolean, name: string): Step {
    if (!isGreetingName(name)) return this.say(501, '5.5.4 Say who is there: a domain, or an address in brackets.');
    this.reset();
    this.helo = name;
    this.extended = extended;
    const { name: own } = this.options;
    if (!extended) return this.say(250, own);
    const lines = [
      `${own} greets ${name}`,
      'PIPELINING',
      `SIZE ${this.options.maxBytes}`,
      '8BITMIME',
      'SMTPUTF8',
      'CHUNKING',
      'ENHANCEDSTATUSCODES',
    ];
    const { mechanisms, reports } = this.upper;
    if (reports) lines.push('DSN');
    if (mechanisms.length > 0 && !this.access.isSignedIn) lines.push(`AUTH ${mechanisms.join(' ')}`);
    if (this.upper.tls !== null && !this.isSecured) lines.push('STARTTLS');
    lines.push('HELP');
    writeReplyLines(this.pipe.out, 250, lines);
    this.pipe.flush();
    return DONE;
  }

  private startSecure(argument: string): Step {
    const { tls } = this.upper;
    if (tls === null) return this.say(502, '5.5.1 There is no TLS here.');
    if (argument !== '') return this.say(501, '5.5.4 STARTTLS has nothing behind it.');
    if (this.isSecured) return this.say(503, '5.5.1 This is within TLS already.');
    this.reply(220, '2.0.0 Begin with TLS.');
    // What was said before counts for nothing (RFC 3207 §4.2).
    this.reset();
    this.helo = '';
    this.extended = false;
    this.access.forget();
    return this.startTls(tls);
  }

  // ---- a transaction -----------------------------------------------------------------------------------------------

  private mail(argument: string): Step {
    if (this.helo === '') return this.say(503, '5.5.1 Say EHLO first.');
    if (this.from !== null) return this.say(503, '5.5.1 There is a transaction: end it with DATA, BDAT or RSET.');
    if (this.upper.mustSignIn && !this.access.isSignedIn) return this.say(530, '5.7.0 Sign in first.');
    const path = readPath(argument, 'FROM');
    if (path === null) return this.say(501, '5.5.4 It is MAIL FROM:<address>, and parameters.');
    for (const [name, value] of path.parameters) {
      const wrong = this.parameter(name, value);
      if (wrong !== null) return this.say(...wrong);
    }
    if (!isPlain(path.address) && !path.parameters.has('SMTPUTF8')) return this.say(...NEEDS_UTF8);
    if (path.address !== '' && !/^.{1,320}$/.test(path.address)) return this.say(553, '5.1.7 That is no address.');
    this.from = path.address;
    this.wishes = {
      ret: path.parameters.get('RET')?.toUpperCase() as 'FULL' | 'HDRS' | undefined,
      envid: path.parameters.get('ENVID'),
      isUtf8: path.parameters.has('SMTPUTF8'),
    };
    this.id = this.upper.nextId();
    return this.say(250, '2.1.0 From there.');
  }

  /** What is wrong with a parameter of MAIL; null for nothing. */
  private parameter(name: string, value: string): readonly [number, string] | null {
    if (this.upper.reports && (name === 'RET' || name === 'ENVID')) return wrongReport(name, value);
    switch (name) {
      case 'SIZE':
        if (!/^\d{1,20}$/.test(value)) return [501, '5.5.4 SIZE is a number of bytes.'];
        return Number(value) > this.options.maxBytes
          ? [552, `5.3.4 A message has at most ${this.options.maxBytes} bytes here.`]
          : null;
      case 'BODY':
        return /^(?:7BIT|8BITMIME)$/i.test(value) ? null : [501, '5.5.4 BODY is 7BIT or 8BITMIME.'];
      case 'SMTPUTF8':
        return value === '' ? null : [501, '5.5.4 SMTPUTF8 has no value.'];
      case 'AUTH':
        // Whose it was before is not believed, and may be said (RFC 4954 §5).
        return value === '' ? [501, '5.5.4 AUTH needs a value.'] : null;
      default:
        return [555, `5.5.4 The parameter ${name} is not known.`];
    }
  }

  private rcpt(argument: string): Step {
    if (this.from === null) return this.say(503, '5.5.1 Say MAIL first.');
    if (this.message !== null) return this.say(503, '5.5.1 The message has begun.');
    const path = readPath(argument, 'TO');
    if (path === null || path.address === '') return this.say(501, '5.5.4 It is RCPT TO:<address>.');
    for (const [name, value] of path.parameters) {
      const isKnown = this.upper.reports && (name === 'NOTIFY' || name === 'ORCPT');
      const wrong = isKnown ? wrongReport(name, value) : ([555, `5.5.4 The parameter ${name} is not known.`] as const);
      if (wrong !== null) return this.say(...wrong);
    }
    if (!isPlain(path.address) && !this.wishes.isUtf8) return this.say(...NEEDS_UTF8);
    if (this.recipients >= this.bounds.recipientsMax) return this.say(452, '4.5.3 There are too many recipients.');
    const notify = path.parameters.get('NOTIFY')?.toUpperCase();
    const outcome = this.upper.addRecipient(path.address, { notify, orcpt: path.parameters.get('ORCPT') });
    if (outcome === NEW) return this.say(451, '4.7.1 You are new here: try again in a while.');
    this.reply(...RECIPIENT[outcome]);
    if (outcome === OK) this.recipients++;
    else if (++this.refused > this.bounds.refusedMax) this.fail(faults.refusedTooMany);
    return DONE;
  }

  /** Why no message may come now; null for none. */
  private notYet(): readonly [number, string] | null {
    if (this.from === null) return [503, '5.5.1 Say MAIL first.'];
    return this.recipients === 0 ? [503, '5.5.1 There are no recipients.'] : null;
  }

  private data(argument: string): Step {
    const wrong = this.notYet();
    if (wrong !== null) return this.say(...wrong);
    if (argument !== '') return this.say(501, '5.5.4 DATA has nothing behind it.');
    if (this.message !== null) return this.say(503, '5.5.1 The message has begun with BDAT.');
    const body = new DotText(this.begin(), this, this.options.maxBytes);
    this.body = body;
    this.isLast = true;
    this.reply(354, 'The message, please; a dot on a line of its own ends it.');
    this.beginRaw(body);
    return DONE;
  }

  private bdat(argument: string): Step {
    const parts = /^(\d{1,15})(?:\s+(LAST))?$/i.exec(argument);
    if (parts === null) {
      // How much follows is not known: nothing behind it could be understood.
      this.reply(501, '5.5.4 It is BDAT and a number of bytes.');
      this.drop();
      this.end();
      return DONE;
    }
    const size = Number(parts[1]);
    const wrong = this.broken ? ([503, '5.5.1 A chunk before was refused: say RSET.'] as const) : this.notYet();
    if (wrong !== null || this.body instanceof DotText) {
      this.skip(size, wrong ?? [503, '5.5.1 The message has begun with DATA.']);
      return DONE;
    }
    this.isLast = parts[2] !== undefined;
    const chunk = (this.body as Chunk | null) ?? new Chunk(this.begin(), this, this.options.maxBytes);
    this.body = chunk;
    this.beginRaw(chunk);
    chunk.begin(size);
    return this.isBusyWithBody ? WAIT : DONE;
  }

  /** An empty chunk was complete at once, and its message is being committed. */
  private isBusyWithBody = false;

  /** A chunk that is refused is read all the same. */
  private skip(size: number, answer: readonly [number, string]): void {
    this.broken = this.from !== null;
    const done = () => {
      this.endRaw();
      this.reply(...answer);
    };
    if (size === 0) done();
    else this.beginRaw(new Skipped(size, done));
  }

  private begin(): IncomingMessage {
    const how = `${this.extended ? 'ESMTP' : 'SMTP'}${this.isSecured ? 'S' : ''}${this.access.isSignedIn ? 'A' : ''}`;
    this.message = this.upper.begin(this.from!, this.helo, how, this.id, this.wishes);
    return this.message;
  }

  // ---- the message's bytes -----------------------------------------------------------------------------------------

  full(): void {
    this.hold();
  }

  resumed(): void {
    this.release();
  }

  doubtful(): void {
    this.fail(faults.doubtful);
  }

  complete(): void {
    this.endRaw();
    if (this.over) return;
    if (this.body?.isHalf === true) this.discard(faults.half.wire, `5.6.0 ${HALF}`);
    else if (this.body?.isTooLong === true) this.discard(552, '5.3.4 The message is too long.');
    else if (!this.isLast) this.reply(250, '2.0.0 The chunk was taken.');
    else if (this.message!.hops() > this.bounds.hopsMax)
      this.discard(554, '5.4.6 The message has been through too many servers: it is in a loop.');
    else {
      this.wait();
      this.isBusyWithBody = true;
      this.message!.commit(this, ++this.transactions);
      return;
    }
    this.release();
  }

  private discard(code: number, text: string): void {
    this.broken = !this.isLast;
    this.message?.abort();
    this.message = null;
    this.body = null;
    if (this.isLast) this.reset();
    this.reply(code, text);
  }

  /** The message is on the disk, or not. */
  settled(token: number, outcome: Outcome): void {
    if (token !== this.transactions || this.over) return;
    const [code, text] = MESSAGE[outcome];
    this.message = null;
    this.isBusyWithBody = false;
    this.reply(code, outcome === OK ? `${text.slice(0, -1)} as ${this.id}.` : text);
    this.reset();
    this.answered();
  }

  /** Ends the transaction. */
  private reset(): void {
    this.message?.abort();
    this.message = null;
    this.body = null;
    this.from = null;
    this.recipients = 0;
    this.broken = false;
    this.upper.reset();
  }

  // ---- endings -----------------------------------------------------------------------------------------------------

  protected tooLong(): void {
    this.reply(500, '5.5.2 The line is too long.');
  }

  protected refuse(fault: Fault): void {
    this.drop();
    const first = Math.floor(fault.wire / 100);
    this.reply(fault.wire, `${first}.5.0 ${fault.text[0]!.toUpperCase()}${fault.text.slice(1)}.`);
  }

  protected goodbye(why: Why): void {
    this.drop();
    this.reply(421, GOODBYES[why]);
  }

  protected gone(_cause: Cause): void {
    this.drop();
    this.upper.gone();
  }

  /** What is being committed may be on the disk already: nobody is told, and the peer sends it again. */
  private drop(): void {
    if (!this.isBusyWithBody) this.message?.abort();
    this.message = null;
  }
}
