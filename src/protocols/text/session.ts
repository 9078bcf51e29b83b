// Commands and replies over a stream, as FTP, SMTP, IMAP and POP3 have them: one command at a time, what is pipelined behind it
// held meanwhile, raw bytes where a command has them, TLS in the middle, and goodbyes. What the commands are, and the words of
// every answer, are the protocol's that extends it.
import { MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import { looksLikeHttp, looksLikeTls } from './guard.ts';
import { LINE, LineReader, LONG } from './line-reader.ts';

/** The command was answered: the next may come. */
export const DONE = 0;
/** It is under way: `proceed` is called once it has been answered. */
export const WAIT = 1;
/** It was answered that there is no such command. */
export const UNHEARD = 2;
export type Step = typeof DONE | typeof WAIT | typeof UNHEARD;

/** Lines that were too long and may wait for their answer. */
const LONG_MAX = 16;

/** What ends a conversation of any text protocol. */
export interface TextFaults {
  readonly http: Fault;
  readonly tls: Fault;
  /** The first command is none. */
  readonly firstUnknown: Fault;
  readonly unknownTooMany: Fault;
  /** Nothing was said for too long. */
  readonly idle: Fault;
  /** Where a line must not end with a line feed alone; absent where it may. */
  readonly bareLf?: Fault;
}

export interface TextTerms {
  /** A command line without its end. */
  readonly lineBytesMax: number;
  /** Unknown commands that a connection may send and stay. */
  readonly unknownMax: number;
  /** How long a peer may say nothing while no command is under way. */
  readonly idleMs: number;
  readonly faults: TextFaults;
}

/** Takes bytes that are no lines: a literal, a message. */
export interface RawBytes {
  /** Answers the index of the first byte that it did not take: at once behind its last, or where it has to wait. */
  take(input: Uint8Array, start: number, end: number, clock: Clock): number;
}

export abstract class TextSession implements Session {
  /** Another within it, where a protocol has one. */
  pipe: Pipe;
  /** The peer has shown that it speaks this protocol: from then on an unknown command is only counted. */
  protected acquainted = false;
  /** Nothing more is read or written. */
  protected over = false;
  protected readonly terms: TextTerms;
  private readonly reader: LineReader;
  private busy = false;
  private held = false;
  private raw: RawBytes | null = null;
  private isFirst = true;
  private securing = false;
  private unknown = 0;
  /** Lines that were too long and came while a command was under way: answered after it. */
  private unansweredLong = 0;
  private finished = false;
  /** Why we leave, once the command that is under way has been answered. */
  private leaving: Why | null = null;
  private idleAt: Instant;

  constructor(pipe: Pipe, terms: TextTerms, clock: Clock) {
    this.pipe = pipe;
    this.terms = terms;
    this.reader = new LineReader(terms.lineBytesMax);
    this.idleAt = clock.now + terms.idleMs;
  }

  // ---- what a protocol provides ------------------------------------------------------------------------------------

  /** One command line, `input[start..stop)` without its end. */
  protected abstract command(input: Uint8Array, start: number, stop: number, clock: Clock): Step;
  /** Answers a line that was too long. */
  protected abstract tooLong(): void;
  /** Says why the connection ends: the peer broke the protocol. */
  protected abstract refuse(fault: Fault): void;
  /** Says goodbye. */
  protected abstract goodbye(why: Why): void;
  /** The connection is gone. */
  protected abstract gone(cause: Cause, clock: Clock): void;

  /** A line that came while a command is under way: true when it was done at once; otherwise it waits. */
  protected interrupt(_input: Uint8Array, _start: number, _stop: number, _clock: Clock): boolean {
    return false;
  }

  /** The peer will say no more, and a command is under way: true when that is to be ended at once. */
  protected abandon(_clock: Clock): boolean {
    return false;
  }

  /** When `timeout` is wanted. */
  protected get timeoutAt(): Instant {
    return NEVER;
  }

  protected timeout(_clock: Clock): void {}

  /** TLS was put on the connection. */
  protected secured(): void {}

  // ---- what a protocol calls ---------------------------------------------------------------------------------------

  /** A command that had to wait has been answered. */
  protected proceed(clock: Clock): void {
    if (this.over) return;
    this.busy = false;
    this.idleAt = clock.now + this.terms.idleMs;
    for (; this.unansweredLong > 0; this.unansweredLong--) this.tooLong();
    this.pipe.flush();
    if (this.leaving !== null) this.depart(this.leaving);
    else if (this.finished) this.end();
    else this.release();
  }

  /** Reads on, also while a command is under way: `interrupt` may answer now what it could not before. */
  protected release(): void {
    if (!this.held || this.over) return;
    this.held = false;
    this.pipe.resume();
  }

  protected get isBusy(): boolean {
    return this.busy;
  }

  /** What comes next is no line, until `endRaw`. */
  protected beginRaw(raw: RawBytes): void {
    this.raw = raw;
  }

  protected endRaw(): void {
    this.raw = null;
  }

  /** What the raw bytes were for is under way: `proceed` is called once it has been answered. */
  protected wait(): void {
    this.busy = true;
  }

  /** Reads no more for now: raw bytes have no room. `release` goes on. */
  protected hold(): void {
    this.held = true;
    this.pipe.pause();
  }

  /** Shakes hands; what came behind the command is refused (RFC 3207 §6). Answers as a command does. */
  protected startTls(policy: TlsPolicy): Step {
    this.securing = true;
    this.pipe.flush();
    this.pipe.secure(policy, this);
    return DONE;
  }

  /** The peer broke the protocol. */
  protected fail(fault: Fault): void {
    if (this.over) return;
    this.refuse(fault);
    this.over = true;
    this.pipe.flush();
    this.pipe.fail(fault);
  }

  /** Ends behind what was written. */
  protected end(): void {
    if (this.over) return;
    this.over = true;
    this.pipe.flush();
    this.pipe.end();
    this.pipe.stopReading(0);
  }

  // ---- Session -----------------------------------------------------------------------------------------------------

  get deadline(): Instant {
    if (this.over) return NEVER;
    return Math.min(this.timeoutAt, this.busy ? NEVER : this.idleAt);
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    this.shaken();
    while (at < end && !this.over && !this.held && !this.securing) {
      if (this.raw !== null) {
        const next = this.raw.take(input, at, end, clock);
        this.idleAt = clock.now + this.terms.idleMs;
        if (next === at && this.raw !== null) break;
        at = next;
        continue;
      }
      if (this.isFirst && looksLikeTls(input, at, end)) {
        this.fail(this.terms.faults.tls);
        break;
      }
      if (this.pipe.room === 0) {
        this.hold();
        break;
      }
      const next = this.reader.read(input, at, end);
      if (next === MORE) break;
      if (!this.line(input, clock)) {
        this.reader.again();
        this.hold();
        break;
      }
      at = next;
    }
    return this.over ? end : at;
  }

  /** Does what a line says; false when it has to wait. */
  private line(input: Uint8Array, clock: Clock): boolean {
    const { reader } = this;
    const { faults } = this.terms;
    if (reader.kind !== LINE) {
      if (reader.kind === LONG) this.long();
      return true;
    }
    if (this.busy) return this.interrupted(input, clock);
    this.idleAt = clock.now + this.terms.idleMs;
    const { start, stop, isBare } = reader;
    if (isBare && faults.bareLf !== undefined) this.fail(faults.bareLf);
    else if (!this.acquainted && looksLikeHttp(input, start, stop)) this.fail(faults.http);
    else {
      // A command that waits may have been answered before it returns.
      this.busy = true;
      this.done(this.command(input, start, stop, clock));
    }
    this.isFirst = false;
    return true;
  }

  private long(): void {
    const { faults } = this.terms;
    if (this.isFirst) this.fail(faults.firstUnknown);
    else if (++this.unansweredLong > LONG_MAX) this.fail(faults.unknownTooMany);
    else if (!this.busy) {
      this.unansweredLong--;
      this.tooLong();
      this.pipe.flush();
    }
  }

  private interrupted(input: Uint8Array, clock: Clock): boolean {
    const { start, stop } = this.reader;
    if (!this.interrupt(input, start, stop, clock)) return false;
    this.pipe.flush();
    return true;
  }

  private done(step: Step): void {
    if (step !== WAIT) this.busy = false;
    if (this.over) return;
    this.pipe.flush();
    if (step === UNHEARD) {
      if (!this.acquainted) this.fail(this.terms.faults.firstUnknown);
      else if (++this.unknown > this.terms.unknownMax) this.fail(this.terms.faults.unknownTooMany);
    }
  }

  /** Whether the handshake that was begun is done; told once. */
  private shaken(): void {
    if (!this.securing || this.pipe.peer.tls === null) return;
    this.securing = false;
    this.secured();
  }

  gather(_clock: Clock): void {
    this.shaken();
  }

  overlong(_clock: Clock): void {
    // Lines are skipped before that: it is only a handshake that a peer can fill it with.
    this.fail(this.terms.faults.firstUnknown);
  }

  writable(_clock: Clock): void {
    if (!this.busy) this.release();
  }

  tick(clock: Clock): void {
    if (this.over) return;
    if (clock.now >= this.timeoutAt) this.timeout(clock);
    if (!this.busy && !this.over && clock.now >= this.idleAt) this.fail(this.terms.faults.idle);
  }

  finish(clock: Clock): void {
    if (this.over) return;
    this.finished = true;
    if (!this.busy || this.abandon(clock)) this.end();
  }

  leave(why: Why, _clock: Clock): void {
    if (this.over) return;
    if (this.busy && this.waits(why)) this.leaving = why;
    else this.depart(why);
  }

  /** Whether a command that is under way is still answered before we leave. */
  protected waits(why: Why): boolean {
    return why === 'shutdown';
  }

  private depart(why: Why): void {
    this.goodbye(why);
    this.end();
  }

  lost(cause: Cause, _wire: number, clock: Clock): void {
    this.over = true;
    this.gone(cause, clock);
  }
}
