// DNS over a stream (RFC 7766, RFC 7858): messages behind their length, answered as soon as each is known, in any order;
// transfers as fast as their reader takes them. What is answered is the responder's.
import { u16 } from '../../bytes/reader.ts';
import type { Caller } from '../../core/caller.ts';
import { isLoopback } from '../../core/peer.ts';
import { type Cause, type Pipe, type Session, SHUTDOWN, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { addressOctets } from './addresses.ts';
import { faults } from './faults.ts';
import { type AnswerStream, type Asker, LATER, NOTHING, type Responder } from './responder.ts';

export class DnsSession implements Session, Asker {
  readonly carrier: 'tcp' | 'tls';
  readonly host: string;
  readonly address: Uint8Array;
  readonly caller: Caller | null;
  readonly isLocal: boolean;
  private readonly pipe: Pipe;
  private readonly responder: Responder;
  /** Tokens of queries whose answer is to come. */
  private readonly open = new Set<number>();
  private readonly streams: { readonly token: number; readonly stream: AnswerStream }[] = [];
  private tokens = 0;
  private paused = false;
  private finished = false;
  private over = false;
  private leaving = false;
  private idleAt: Instant;
  /** When the query that has begun must be whole. */
  private wholeAt: Instant = NEVER;

  constructor(pipe: Pipe, responder: Responder, caller: Caller | null, clock: Clock) {
    const { peer } = pipe;
    this.pipe = pipe;
    this.responder = responder;
    this.caller = caller;
    this.carrier = peer.tls === null ? 'tcp' : 'tls';
    this.host = peer.remote?.host ?? '127.0.0.1';
    this.address = addressOctets(this.host);
    this.isLocal = peer.forwarded !== true && isLoopback(this.host);
    this.idleAt = clock.now + responder.limits.idleMs;
  }

  get deadline(): Instant {
    if (this.over) return NEVER;
    return Math.min(this.wholeAt, this.open.size > 0 || this.streams.length > 0 ? NEVER : this.idleAt);
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    const { limits } = this.responder;
    while (!this.over && !this.leaving) {
      if (this.open.size >= limits.unansweredMax || this.pipe.room === 0 || this.streams.length > 0) {
        this.hold();
        break;
      }
      const size = end - at < 2 ? 0 : u16(input, at);
      if (end - at >= 2 && size > limits.queryBytesMax) {
        this.fail(faults.tooLong);
        return end;
      }
      if (end - at < 2 || end - at < 2 + size) {
        if (end === at) this.wholeAt = NEVER;
        else if (this.wholeAt === NEVER || at > start) this.wholeAt = clock.now + limits.queryMs;
        break;
      }
      this.take(input, at + 2, at + 2 + size);
      at += 2 + size;
      this.wholeAt = NEVER;
      this.idleAt = clock.now + limits.idleMs;
    }
    return this.over || this.leaving ? end : at;
  }

  private hold(): void {
    this.paused = true;
    // What has come of the next query waits for us, not we for it.
    this.wholeAt = NEVER;
    this.pipe.pause();
  }

  private take(input: Uint8Array, start: number, end: number): void {
    const token = ++this.tokens;
    this.open.add(token);
    const length = this.responder.answer(input, start, end, this, token);
    if (length === LATER) return;
    this.open.delete(token);
    if (length !== NOTHING) this.write(this.responder.bytes, 0, length);
    // What is no DNS at all is not talked to any longer.
    else if (end - start < 12) this.fail(faults.short);
  }

  private write(bytes: Uint8Array, start: number, end: number): void {
    const { out } = this.pipe;
    out.u16(end - start);
    out.copy(bytes, start, end);
    this.pipe.flush();
  }

  answered(token: number, bytes: Uint8Array, start: number, end: number): void {
    if (!this.open.delete(token) || this.over) return;
    if (end > start) this.write(bytes, start, end);
    this.goOn();
  }

  stream(token: number, stream: AnswerStream): void {
    if (this.over) stream.close();
    else this.streams.push({ token, stream });
    this.pump();
  }

  /** Writes of the transfers what there is room for. */
  private pump(): void {
    while (!this.over && this.pipe.room > 0) {
      const first = this.streams[0];
      if (first === undefined) break;
      const length = first.stream.next(this.responder);
      if (length > 0) {
        this.write(this.responder.bytes, 0, length);
        continue;
      }
      first.stream.close();
      this.streams.shift();
      this.open.delete(first.token);
    }
    this.goOn();
  }

  private goOn(): void {
    if (this.over) return;
    if (this.open.size === 0 && this.streams.length === 0) {
      this.idleAt = this.responder.clock.now + this.responder.limits.idleMs;
      if (this.finished || this.leaving) {
        this.end();
        return;
      }
    }
    const { unansweredMax } = this.responder.limits;
    if (!this.paused || this.open.size > unansweredMax / 2 || this.pipe.room === 0 || this.streams.length > 0) return;
    this.paused = false;
    this.pipe.resume();
  }

  private fail(fault: (typeof faults)[keyof typeof faults]): void {
    this.over = true;
    this.closeStreams();
    this.pipe.fail(fault);
  }

  private end(): void {
    this.over = true;
    this.pipe.flush();
    this.pipe.end();
    this.pipe.stopReading(0);
  }

  overlong(): void {
    this.fail(faults.tooLong);
  }

  writable(): void {
    this.pump();
  }

  tick(clock: Clock): void {
    if (this.over || clock.now < this.deadline) return;
    // An idle connection is closed without a word: there is none (RFC 7766 §6.2.3).
    if (clock.now >= this.wholeAt) this.fail(faults.queryTooSlow);
    else this.end();
  }

  finish(): void {
    this.finished = true;
    this.goOn();
  }

  leave(why: Why): void {
    this.leaving = true;
    if (why === SHUTDOWN && (this.open.size > 0 || this.streams.length > 0)) return;
    this.closeStreams();
    if (!this.over) this.end();
  }

  lost(_cause: Cause): void {
    this.over = true;
    this.closeStreams();
    this.open.clear();
  }

  private closeStreams(): void {
    for (const { stream } of this.streams.splice(0)) stream.close();
  }
}
