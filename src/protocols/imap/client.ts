// The client half of IMAP (RFC 9051): greeting, TLS, signing in, and one command after another with what is told meanwhile. The
// caller dials and says what is wanted; it knows no socket, no file and no promise.
import { latin1, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { isLoopback } from '../../core/peer.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Entropy, type Instant, NEVER } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import { LINE, LineReader } from '../text/line-reader.ts';
import { beginSaslClient, type PasswordCredentials, type SaslClientExchange } from '../text/sasl-client.ts';
import { type Announced, readAnnounced } from './codec.ts';
import { type Ending, endingOf, quotedText, ResponseReader, type Untagged } from './codec-responses.ts';
import { replyFaults } from './faults.ts';

const LINE_MAX = 1_048_576;
/** One response with its literals: a mail of the largest that servers take, and more. */
const RESPONSE_MAX = 268_435_456;
const FIRST = 4_096;
/** Without a word from the server, while something is asked of it. */
const SILENCE_MS = 60_000;
const CRLF = Buffer.from('\r\n');

export interface ImapClientTerms {
  readonly credentials: PasswordCredentials;
  readonly entropy: Entropy;
  /** On which terms STARTTLS turns to TLS; null where it is not asked for. */
  readonly tls: TlsPolicy | null;
  /** Nothing is signed in without. */
  readonly tlsRequired: boolean;
}

export interface ImapClientEvents {
  /** Somebody has signed in: commands may be said. */
  ready(): void;
  /** Nobody is let in; the connection ends. */
  unready(text: string): void;
  /** What the server tells unasked, or beside an answer. */
  told(untagged: Untagged): void;
  closed(cause: Cause, fault: Fault | null): void;
}

/** A command's pieces: texts as they are, and bytes that go as literals. */
export type Command = readonly (string | Buffer)[];

interface Asked {
  readonly tag: string;
  readonly command: Command;
  /** Pieces that were written. */
  written: number;
  readonly each: ((untagged: Untagged) => void) | null;
  /** Answers a `+` that is not for a literal. */
  readonly goesOn: ((text: string) => void) | null;
  readonly done: (ending: Ending) => void;
}

/** A string as a piece of a command. */
export function stringPiece(text: string): string | Buffer {
  return quotedText(text) ?? Buffer.from(text);
}

export class ImapClient implements Session {
  /** What the server said that it can, in capitals. */
  capabilities: ReadonlySet<string> = new Set();
  private readonly pipe: Pipe;
  private readonly terms: ImapClientTerms;
  private readonly events: ImapClientEvents;
  private readonly lines = new LineReader(LINE_MAX);
  private readonly responses = new ResponseReader();
  private readonly announced: Announced = { size: -1, isEager: false, isBinary: false, start: 0 };
  private readonly queue: Asked[] = [];
  private collected: Buffer = Buffer.alloc(0);
  private collectedSize = 0;
  private literalLeft = 0;
  private tags = 0;
  private isGreeted = false;
  private isReady = false;
  private isIdling = false;
  private securing = false;
  private over = false;
  private fault: Fault | null = null;
  private exchange: SaslClientExchange | null = null;
  private heardAt: Instant;

  constructor(pipe: Pipe, terms: ImapClientTerms, events: ImapClientEvents, clock: Clock) {
    this.pipe = pipe;
    this.terms = terms;
    this.events = events;
    this.heardAt = clock.now;
  }

  // ---- commands ----------------------------------------------------------------------------------------------------

  /** Says a command behind those that are not answered yet. `each` hears what comes before its end. */
  say(command: Command, each: ((untagged: Untagged) => void) | null, done: (ending: Ending) => void): void {
    this.ask(command, each, null, done);
  }

  /** Waits to be told (RFC 2177), until `wake`. */
  idle(done: (ending: Ending) => void): void {
    this.ask(['IDLE'], null, () => void (this.isIdling = true), done);
  }

  wake(): void {
    if (!this.isIdling || this.over) return;
    this.isIdling = false;
    this.write('DONE\r\n');
  }

  quit(): void {
    if (this.over) return;
    this.wake();
    this.ask(['LOGOUT'], null, null, () => this.end());
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.pipe.end();
  }

  private ask(command: Command, each: Asked['each'], goesOn: Asked['goesOn'], done: Asked['done']): void {
    for (const piece of command)
      if (typeof piece === 'string' && /[\r\n\0]/.test(piece)) throw new RangeError('a command is one line');
    if (this.over) return;
    this.queue.push({ tag: `p${++this.tags}`, command, written: 0, each, goesOn, done });
    if (this.queue.length === 1) this.go();
  }

  private write(text: string): void {
    this.pipe.out.utf8(text);
    this.pipe.flush();
  }

  /** Writes the first command, as far as nothing has to be waited for. */
  private go(): void {
    const asked = this.queue[0];
    if (asked === undefined) return;
    const { command } = asked;
    if (asked.written === 0) this.pipe.out.ascii(`${asked.tag} `);
    while (asked.written < command.length) {
      const piece = command[asked.written++]!;
      if (typeof piece === 'string') this.pipe.out.utf8(piece);
      else {
        const isEager = this.capabilities.has('LITERAL+');
        this.pipe.out.ascii(`{${piece.length}${isEager ? '+' : ''}}\r\n`);
        if (!isEager) {
          this.awaited = piece;
          this.pipe.flush();
          return;
        }
        this.pipe.share(piece, 0, piece.length);
      }
    }
    this.write('\r\n');
  }

  /** A literal that the server has to ask for. */
  private awaited: Buffer | null = null;

  // ---- what comes --------------------------------------------------------------------------------------------------

  get deadline(): Instant {
    if (this.over || this.isIdling || (this.queue.length === 0 && this.isReady)) return NEVER;
    return this.heardAt + SILENCE_MS;
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    this.heardAt = clock.now;
    this.shaken();
    while (at < end && !this.over && !this.securing) {
      if (this.literalLeft > 0) {
        const stop = Math.min(end, at + this.literalLeft);
        this.collect(input, at, stop);
        this.literalLeft -= stop - at;
        at = stop;
        continue;
      }
      const next = this.lines.read(input, at, end);
      if (next === MORE) return at;
      at = next;
      if (this.lines.kind !== LINE) this.break(replyFaults.tooLong);
      else this.line(input);
    }
    return this.over ? end : at;
  }

  private line(input: Uint8Array): void {
    const { start, stop } = this.lines;
    const { announced } = this;
    readAnnounced(input, start, stop, announced);
    this.collect(input, start, stop);
    if (announced.size < 0) {
      const size = this.collectedSize;
      this.collectedSize = 0;
      if (!this.respond(this.collected, size)) this.break(replyFaults.badReply);
      if (this.collected.length > LINE_MAX) this.collected = Buffer.alloc(0);
    } else if (this.collectedSize + announced.size > RESPONSE_MAX) this.break(replyFaults.tooLong);
    else {
      this.collect(CRLF, 0, 2);
      this.literalLeft = announced.size;
    }
  }

  private collect(input: Uint8Array, start: number, stop: number): void {
    const need = this.collectedSize + stop - start;
    if (this.collected.length < need) {
      const grown = Buffer.allocUnsafeSlow(Math.max(need + this.literalLeft, FIRST, this.collected.length * 2));
      this.collected.copy(grown, 0, 0, this.collectedSize);
      this.collected = grown;
    }
    this.collected.set(input.subarray(start, stop), this.collectedSize);
    this.collectedSize = need;
  }

  /** False for what is no response. */
  private respond(bytes: Buffer, size: number): boolean {
    if (bytes[0] === 0x2b) return this.goOn(latin1(bytes, 2, Math.max(2, size)));
    if (bytes[0] === 0x2a && bytes[1] === 0x20) {
      const untagged = this.responses.untagged(bytes, 2, size);
      if (untagged === null) return false;
      if (this.isGreeted) this.untold(untagged);
      else this.greeted(untagged);
      return true;
    }
    const [asked] = this.queue;
    const text = latin1(bytes, 0, size);
    if (asked === undefined || !text.startsWith(`${asked.tag} `)) return false;
    const ending = endingOf(text.slice(asked.tag.length + 1));
    if (ending === null) return false;
    this.queue.shift();
    this.isIdling = false;
    this.awaited = null;
    this.learn(ending.code);
    asked.done(ending);
    if (!this.over) this.go();
    return true;
  }

  private goOn(text: string): boolean {
    const [asked] = this.queue;
    if (asked === undefined) return false;
    const { awaited } = this;
    if (awaited !== null) {
      this.awaited = null;
      this.pipe.share(awaited, 0, awaited.length);
      this.go();
      return true;
    }
    asked.goesOn?.(text);
    return asked.goesOn !== null;
  }

  private untold(untagged: Untagged): void {
    if (untagged.name === 'CAPABILITY') this.learn(`CAPABILITY ${untagged.values.join(' ')}`);
    this.learn(untagged.code);
    this.queue[0]?.each?.(untagged);
    if (!this.over) this.events.told(untagged);
  }

  private learn(code: string): void {
    if (/^CAPABILITY /i.test(code)) this.capabilities = new Set(code.toUpperCase().split(' ').slice(1));
  }

  // ---- entering ----------------------------------------------------------------------------------------------------

  private greeted({ name, code, text }: Untagged): void {
    this.isGreeted = true;
    this.learn(code);
    if (name === 'PREAUTH') this.enter();
    else if (name !== 'OK') this.refused(text);
    else if (this.capabilities.size > 0) this.settleIn();
    else this.say(['CAPABILITY'], null, () => this.settleIn());
  }

  private settleIn(): void {
    const { tls, tlsRequired } = this.terms;
    const isSecured = this.pipe.peer.tls !== null;
    if (!isSecured && tls !== null && this.capabilities.has('STARTTLS'))
      this.say(['STARTTLS'], null, (ending) => this.mayShake(ending));
    else if (!isSecured && tlsRequired) this.refused('It offers no TLS, and without that nobody signs in.');
    else this.signIn();
  }

  private mayShake({ status, text }: Ending): void {
    if (status === 'OK') {
      this.securing = true;
      // What was said before counts for nothing (RFC 9051 §6.2.1).
      this.capabilities = new Set();
      this.pipe.secure(this.terms.tls!, this);
    } else if (this.terms.tlsRequired) this.refused(text);
    else this.signIn();
  }

  private shaken(): void {
    if (!this.securing || this.pipe.peer.tls === null || this.over) return;
    this.securing = false;
    this.say(['CAPABILITY'], null, () => this.signIn());
  }

  private signIn(): void {
    const { remote, tls } = this.pipe.peer;
    const { credentials, entropy } = this.terms;
    const isPrivate = tls !== null || remote === null || isLoopback(remote.host);
    const offered = [...this.capabilities].flatMap((name) => (name.startsWith('AUTH=') ? [name.slice(5)] : []));
    const usable = isPrivate ? offered : offered.filter((name) => name.startsWith('SCRAM-'));
    this.exchange = beginSaslClient(usable, credentials, entropy);
    const done = (ending: Ending) => this.signed(ending);
    if (this.exchange !== null) this.authenticate(this.exchange, done);
    else if (!isPrivate || this.capabilities.has('LOGINDISABLED')) this.refused('A password is not said in the clear.');
    else {
      const [name, secret] = [stringPiece(credentials.account), stringPiece(credentials.password)];
      this.ask(['LOGIN ', name, ' ', secret], null, null, done);
    }
  }

  private authenticate(exchange: SaslClientExchange, done: (ending: Ending) => void): void {
    const isEarly = exchange.initial !== null && this.capabilities.has('SASL-IR');
    let initial = isEarly ? null : exchange.initial;
    const goesOn = (text: string) => {
      if (initial !== null) {
        this.write(`${initial.toString('base64')}\r\n`);
        initial = null;
        return;
      }
      exchange.answer(Buffer.from(text, 'base64'), (response) => {
        if (!this.over) this.write(`${response === null ? '*' : response.toString('base64')}\r\n`);
      });
    };
    const early = isEarly ? ` ${exchange.initial!.toString('base64') || '='}` : '';
    this.ask([`AUTHENTICATE ${exchange.mechanism}${early}`], null, goesOn, done);
  }

  private signed({ status, code, text }: Ending): void {
    if (status !== 'OK') this.refused(text);
    else if (this.exchange?.isProven === false) this.refused('It did not show that it knows the password.');
    else if (/^CAPABILITY /i.test(code)) this.enter();
    else this.say(['CAPABILITY'], null, () => this.enter());
  }

  private enter(): void {
    this.isReady = true;
    this.events.ready();
  }

  private refused(text: string): void {
    if (this.over) return;
    this.events.unready(text);
    this.end();
  }

  // ---- endings -----------------------------------------------------------------------------------------------------

  private break(fault: Fault): void {
    if (this.over) return;
    this.fault = fault;
    this.over = true;
    this.pipe.fail(fault);
  }

  gather(): void {
    this.shaken();
  }

  overlong(): void {
    this.break(replyFaults.tooLong);
  }

  writable(): void {}

  tick(clock: Clock): void {
    if (clock.now >= this.deadline) this.break(replyFaults.silent);
  }

  finish(): void {
    this.over = true;
    this.pipe.end();
  }

  leave(_why: Why): void {
    this.end();
  }

  lost(cause: Cause): void {
    this.over = true;
    this.queue.length = 0;
    this.events.closed(cause, this.fault);
  }
}
