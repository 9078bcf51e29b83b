// DNS over QUIC (RFC 9250): a query on each stream that the client opens, its answers on the same, an end behind each. What is
// answered is the responder's; it knows no packets.
import { u16 } from '../../bytes/reader.ts';
import type { Caller } from '../../core/caller.ts';
import type { Fault } from '../../core/fault.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import { isLoopback } from '../../core/peer.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { addressOctets } from './addresses.ts';
import { faults } from './faults.ts';
import { type AnswerStream, type Asker, LATER, NOTHING, type Responder } from './responder.ts';
import { OPCODE, RCODE } from './wire.ts';

/** Error codes (RFC 9250 §8.4). */
const DOQ_NO_ERROR = 0;
const DOQ_REQUEST_CANCELLED = 3;

export class DoqSession implements MuxSession {
  readonly deadline: Instant = NEVER;
  readonly responder: Responder;
  readonly host: string;
  readonly address: Uint8Array;
  readonly caller: Caller | null;
  readonly isLocal: boolean;
  private readonly mux: Mux;

  constructor(mux: Mux, responder: Responder, caller: Caller | null) {
    const { peer } = mux;
    this.mux = mux;
    this.responder = responder;
    this.caller = caller;
    this.host = peer.remote?.host ?? '127.0.0.1';
    this.address = addressOctets(this.host);
    this.isLocal = peer.forwarded !== true && isLoopback(this.host);
  }

  opened(pipe: Pipe, oneWay: boolean): Session {
    // Only its client asks, and where it is answered (RFC 9250 §4.2).
    if (oneWay) this.fail(faults.oneWay);
    return new DoqStream(pipe, this);
  }

  get isEarly(): boolean {
    return this.mux.early === true;
  }

  fail(fault: Fault): void {
    this.mux.close(fault);
  }

  mayOpen(): void {}

  datagram(): void {}

  tick(): void {}

  /** Each stream is asked by itself, and what was asked on it is answered. */
  leave(_why: Why): void {}

  lost(): void {}
}

class DoqStream implements Session, Asker {
  deadline: Instant;
  readonly carrier = 'quic';
  private readonly pipe: Pipe;
  private readonly session: DoqSession;
  /** Where what was asked stands; none before it was asked. */
  private asked = false;
  private finished = false;
  private answers: AnswerStream | null = null;
  private over = false;

  constructor(pipe: Pipe, session: DoqSession) {
    this.pipe = pipe;
    this.session = session;
    this.deadline = session.responder.clock.now + session.responder.limits.queryMs;
  }

  get host(): string {
    return this.session.host;
  }

  get address(): Uint8Array {
    return this.session.address;
  }

  get caller(): Caller | null {
    return this.session.caller;
  }

  get isLocal(): boolean {
    return this.session.isLocal;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    const { limits } = this.session.responder;
    if (this.over) return end;
    // One query a stream, and nothing behind it (RFC 9250 §4.2).
    if (this.asked) return this.broken(faults.moreThanQuery, end);
    if (end - start < 2) return start;
    const size = u16(input, start);
    if (size > limits.queryBytesMax) return this.broken(faults.queryTooLong, end);
    if (end - start < 2 + size) return start;
    if (end - start > 2 + size) return this.broken(faults.moreThanQuery, end);
    this.asked = true;
    this.deadline = NEVER;
    this.take(input, start + 2, end);
    return end;
  }

  private take(input: Uint8Array, start: number, end: number): void {
    const { responder } = this.session;
    // The stream says which query it is: the id says nothing, and so is nothing (RFC 9250 §4.2.1).
    if (end - start < 12) {
      this.broken(faults.notWhole, end);
      return;
    }
    if (u16(input, start) !== 0) {
      this.broken(faults.idNotZero, end);
      return;
    }
    const opcode = (input[start + 2]! >> 3) & 15;
    if (this.session.isEarly && opcode !== OPCODE.QUERY && opcode !== OPCODE.NOTIFY) {
      // It may be a replay, and does more than ask (RFC 9250 §4.5).
      const refused = Buffer.alloc(12);
      refused[2] = 0x80 | (opcode << 3);
      refused[3] = RCODE.REFUSED;
      this.write(refused, 0, refused.length);
      this.end();
      return;
    }
    const length = responder.answer(input, start, end, this, 1);
    if (length === NOTHING) this.reset();
    else if (responder.options.keepalive) this.broken(faults.keepalive, end);
    else if (length !== LATER) {
      this.write(responder.bytes, 0, length);
      this.end();
    }
  }

  private write(bytes: Uint8Array, start: number, end: number): void {
    const { out } = this.pipe;
    out.u16(end - start);
    out.copy(bytes, start, end);
    this.pipe.flush();
  }

  answered(_token: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.over) return;
    if (end === start) {
      this.reset();
      return;
    }
    this.write(bytes, start, end);
    this.end();
  }

  stream(_token: number, stream: AnswerStream): void {
    if (this.over) {
      stream.close();
      return;
    }
    this.answers = stream;
    this.pump();
  }

  /** Writes of a transfer what there is room for. */
  private pump(): void {
    const { responder } = this.session;
    while (!this.over && this.answers !== null && this.pipe.room > 0) {
      const length = this.answers.next(responder);
      if (length > 0) this.write(responder.bytes, 0, length);
      else this.end();
    }
  }

  private end(): void {
    this.over = true;
    this.deadline = NEVER;
    this.closeAnswers();
    this.pipe.flush();
    this.pipe.end();
    if (!this.finished) this.pipe.stopReading(DOQ_NO_ERROR);
  }

  private reset(): void {
    this.over = true;
    this.closeAnswers();
    this.pipe.reset(DOQ_REQUEST_CANCELLED);
  }

  /** Whoever breaks it on one stream is not believed on the others (RFC 9250 §4.3.3). */
  private broken(fault: Fault, end: number): number {
    this.over = true;
    this.closeAnswers();
    this.session.fail(fault);
    return end;
  }

  private closeAnswers(): void {
    this.answers?.close();
    this.answers = null;
  }

  overlong(): void {
    this.broken(faults.moreThanQuery, 0);
  }

  writable(): void {
    this.pump();
  }

  tick(clock: Clock): void {
    if (this.over || clock.now < this.deadline) return;
    this.deadline = NEVER;
    this.reset();
  }

  finish(): void {
    this.finished = true;
    // It ended before its query was whole (RFC 9250 §4.3.3).
    if (!this.asked && !this.over) this.broken(faults.notWhole, 0);
  }

  leave(_why: Why): void {
    if (!this.asked && !this.over) this.reset();
  }

  lost(_cause: Cause): void {
    this.over = true;
    this.closeAnswers();
  }
}
