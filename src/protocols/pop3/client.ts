// The client half of POP3 (RFC 1939): greeting, TLS (RFC 2595), signing in, and commands with answers of one line and of many. The
// caller dials and says what is wanted; it knows no socket, no file and no promise.
import { latin1, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { isLoopback } from '../../core/peer.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Entropy, type Instant, NEVER } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import { LINE, LineReader } from '../text/line-reader.ts';
import { beginSaslClient, type PasswordCredentials, type SaslClientExchange } from '../text/sasl-client.ts';
import { replyFaults } from './faults.ts';

const LINE_MAX = 1_048_576;
/** Of all lines of one answer: a mail of the largest that servers take, and more. */
const ANSWER_MAX = 268_435_456;
const FIRST = 4_096;
const SILENCE_MS = 60_000;
const DOT = 0x2e;

export interface Pop3ClientTerms {
  readonly credentials: PasswordCredentials;
  readonly entropy: Entropy;
  /** On which terms STLS turns to TLS; null where it is not asked for. */
  readonly tls: TlsPolicy | null;
  readonly tlsRequired: boolean;
}

export interface Pop3ClientEvents {
  ready(): void;
  unready(text: string): void;
  closed(cause: Cause, fault: Fault | null): void;
}

export interface Answer {
  readonly ok: boolean;
  /** Behind `+OK` or `-ERR`. */
  readonly text: string;
  /** Of many lines: all of them with their ends, dots taken off; else empty. */
  readonly body: Buffer;
}

interface Asked {
  readonly isLong: boolean;
  readonly goesOn: ((text: string) => void) | null;
  readonly done: (answer: Answer) => void;
}

export class Pop3Client implements Session {
  private readonly pipe: Pipe;
  private readonly terms: Pop3ClientTerms;
  private readonly events: Pop3ClientEvents;
  private readonly lines = new LineReader(LINE_MAX);
  /** What was said and is not answered, in order: commands may be pipelined (RFC 2449 §6.6). */
  private readonly asked: Asked[] = [];
  /** The answer that comes in lines. */
  private within: string | null = null;
  private body: Buffer = Buffer.alloc(0);
  private bodySize = 0;
  private isGreeted = false;
  private securing = false;
  private over = false;
  private fault: Fault | null = null;
  private exchange: SaslClientExchange | null = null;
  private heardAt: Instant;

  constructor(pipe: Pipe, terms: Pop3ClientTerms, events: Pop3ClientEvents, clock: Clock) {
    this.pipe = pipe;
    this.terms = terms;
    this.events = events;
    this.heardAt = clock.now;
  }

  /** Says a command. `isLong`: its answer has many lines. */
  say(command: string, isLong: boolean, done: (answer: Answer) => void): void {
    this.ask(command, isLong, null, done);
  }

  private ask(command: string, isLong: boolean, goesOn: Asked['goesOn'], done: Asked['done']): void {
    if (/[\r\n\0]/.test(command)) throw new RangeError('a command is one line');
    if (this.over) return;
    this.asked.push({ isLong, goesOn, done });
    this.write(command);
  }

  private write(line: string): void {
    this.pipe.out.utf8(`${line}\r\n`);
    this.pipe.flush();
  }

  /** What was marked as deleted goes. */
  quit(done: (answer: Answer) => void): void {
    this.say('QUIT', false, (answer) => {
      done(answer);
      this.end();
    });
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.pipe.end();
  }

  // ---- what comes --------------------------------------------------------------------------------------------------

  get deadline(): Instant {
    return this.over || (this.isGreeted && this.asked.length === 0) ? NEVER : this.heardAt + SILENCE_MS;
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    this.heardAt = clock.now;
    this.shaken();
    while (at < end && !this.over && !this.securing) {
      const next = this.lines.read(input, at, end);
      if (next === MORE) return at;
      const { start: from, stop, kind } = this.lines;
      at = next;
      if (kind !== LINE) this.break(replyFaults.tooLong);
      else if (this.within !== null) this.more(input, from, stop, next);
      else if (!this.answered(latin1(input, from, stop))) this.break(replyFaults.badReply);
    }
    return this.over ? end : at;
  }

  /** A line of many; `.` alone ends them (RFC 1939 §3). */
  private more(input: Uint8Array, start: number, stop: number, next: number): void {
    const isDotted = input[start] === DOT && stop > start;
    if (isDotted && stop === start + 1) {
      const text = this.within!;
      this.within = null;
      const body = Buffer.from(this.body.subarray(0, this.bodySize));
      this.bodySize = 0;
      if (this.body.length > LINE_MAX) this.body = Buffer.alloc(0);
      this.asked.shift()!.done({ ok: true, text, body });
      return;
    }
    const from = isDotted ? start + 1 : start;
    const need = this.bodySize + next - from;
    if (need > ANSWER_MAX) {
      this.break(replyFaults.tooLong);
      return;
    }
    if (this.body.length < need) {
      const grown = Buffer.allocUnsafeSlow(Math.max(need, FIRST, this.body.length * 2));
      this.body.copy(grown, 0, 0, this.bodySize);
      this.body = grown;
    }
    this.body.set(input.subarray(from, next), this.bodySize);
    this.bodySize = need;
  }

  /** False for what is no response. */
  private answered(line: string): boolean {
    const [asked] = this.asked;
    if (line.startsWith('+ ') || line === '+') {
      asked?.goesOn?.(line.slice(2));
      return asked !== undefined && asked.goesOn !== null;
    }
    const parts = /^(\+OK|-ERR)(?: ([\s\S]*))?$/.exec(line);
    if (parts === null) return false;
    const ok = parts[1] === '+OK';
    const text = parts[2] ?? '';
    if (!this.isGreeted) {
      this.isGreeted = true;
      if (ok) this.say('CAPA', true, (answer) => this.settleIn(wordsOf(answer)));
      else this.refused(text);
      return true;
    }
    if (asked === undefined) return false;
    if (ok && asked.isLong) this.within = text;
    else {
      this.asked.shift();
      asked.done({ ok, text, body: Buffer.alloc(0) });
    }
    return true;
  }

  // ---- entering ----------------------------------------------------------------------------------------------------

  private settleIn(words: ReadonlyMap<string, string>): void {
    const { tls, tlsRequired } = this.terms;
    const isSecured = this.pipe.peer.tls !== null;
    if (!isSecured && tls !== null && words.has('STLS')) {
      this.say('STLS', false, ({ ok, text }) => {
        if (ok) {
          this.securing = true;
          this.pipe.secure(tls, this);
        } else if (tlsRequired) this.refused(text);
        else this.signIn(words);
      });
    } else if (!isSecured && tlsRequired) this.refused('It offers no TLS, and without that nobody signs in.');
    else this.signIn(words);
  }

  private shaken(): void {
    if (!this.securing || this.pipe.peer.tls === null || this.over) return;
    this.securing = false;
    // What was said before counts for nothing (RFC 2595 §4).
    this.say('CAPA', true, (answer) => this.signIn(wordsOf(answer)));
  }

  private signIn(words: ReadonlyMap<string, string>): void {
    const { remote, tls } = this.pipe.peer;
    const { credentials, entropy } = this.terms;
    const isPrivate = tls !== null || remote === null || isLoopback(remote.host);
    const offered = (words.get('SASL') ?? '').toUpperCase().split(' ');
    const usable = isPrivate ? offered : offered.filter((name) => name.startsWith('SCRAM-'));
    const exchange = beginSaslClient(usable, credentials, entropy);
    this.exchange = exchange;
    if (exchange !== null) {
      const initial = exchange.initial === null ? '' : ` ${exchange.initial.toString('base64')}`;
      const goesOn = (text: string) =>
        exchange.answer(Buffer.from(text, 'base64'), (response) => {
          if (!this.over) this.write(response === null ? '*' : response.toString('base64'));
        });
      this.ask(`AUTH ${exchange.mechanism}${initial}`, false, goesOn, (answer) => this.signed(answer));
    } else if (!isPrivate) this.refused('A password is not said in the clear.');
    else
      this.say(`USER ${credentials.account}`, false, (answer) => {
        if (!answer.ok) this.refused(answer.text);
        else this.say(`PASS ${credentials.password}`, false, (last) => this.signed(last));
      });
  }

  private signed({ ok, text }: Answer): void {
    if (!ok) this.refused(text.replace(/^\[[^\]]*\] ?/, ''));
    else if (this.exchange?.isProven === false) this.refused('It did not show that it knows the password.');
    else this.events.ready();
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
    this.asked.length = 0;
    this.events.closed(cause, this.fault);
  }
}

/** CAPA by word (RFC 2449 §5). */
function wordsOf({ body }: Answer): ReadonlyMap<string, string> {
  const lines = body.toString('latin1').split(/\r?\n/);
  return new Map(lines.map((line) => [line.split(' ', 1)[0]!.toUpperCase(), line.slice(line.indexOf(' ') + 1)]));
}
