// One request and its answer on a stream, as the client sees them (RFC 9114 §4.1).
import { BAD, MORE } from '../../bytes/reader.ts';
import type { BodyReader } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import { type Cause, ENDED, FAULT, type Pipe, RESET } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { trailersOf } from '../http/answer-head.ts';
import {
  type AnswerEvents,
  BEGUN,
  type ClientRequest,
  type Progress,
  type SentRequest,
  UNANSWERED,
  UNKNOWN,
  UNSENT,
} from '../http/client.ts';
import { writeTrailers } from './answer-heads.ts';
import type { Http3Client } from './client.ts';
import { DATA, H3_NO_ERROR, H3_REQUEST_CANCELLED, H3_REQUEST_REJECTED, writeFrameHead } from './codec.ts';
import { faults } from './faults.ts';
import { MessageStream } from './message-stream.ts';

/** Answers that have no body whatever they say (RFC 9110 §6.4.1). */
function isBodyless(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304;
}

export class ClientStream extends MessageStream implements SentRequest {
  declare readonly line: Http3Client;
  readonly request: ClientRequest;
  isCancelled = false;
  isWhole = false;
  /** The server says that it did not look at it: it can be sent again. */
  isUntouched = false;
  private readonly events: AnswerEvents;
  private readonly silenceMs: number;
  private reader: BodyReader | null = null;
  private isAnswered = false;
  private interims = 0;
  private fault: Fault | null = null;
  private begun = false;
  private ending = false;
  private unwritten: number;
  private silentAt: Instant;
  private continueAt: Instant = NEVER;

  constructor(line: Http3Client, pipe: Pipe, request: ClientRequest, events: AnswerEvents, silenceMs: number) {
    super(line, pipe);
    this.request = request;
    this.events = events;
    this.silenceMs = silenceMs;
    this.silentAt = line.clock.now + silenceMs;
    this.unwritten = request.length ?? 0;
  }

  // ---- the request -------------------------------------------------------------------------------------------------

  /** The head is out: the body follows where it is here and not to be waited for. */
  begin(continueMs: number, hasBody: boolean): void {
    const { clock } = this.line;
    if (hasBody && this.request.expectContinue === true) this.continueAt = clock.now + continueMs;
    else this.proceed(clock, hasBody);
    this.pipe.flush();
  }

  private proceed(clock: Clock, hasBody: boolean): void {
    this.continueAt = NEVER;
    if (this.begun) return;
    this.begun = true;
    const { body, length } = this.request;
    if (length === undefined) {
      if (hasBody) this.writeData(body!, 0, body!.length);
      this.endWriting();
    } else if (length === 0) this.endWriting();
    this.events.begun?.(clock);
  }

  private writeData(bytes: Uint8Array, start: number, end: number): void {
    writeFrameHead(this.pipe.out, DATA, end - start);
    this.pipe.share(bytes, start, end);
    this.pipe.flush();
  }

  private endWriting(): void {
    this.ending = true;
    this.pipe.end();
    this.pipe.flush();
  }

  get room(): number {
    return this.begun && !this.ending && !this.isOver ? this.pipe.room : 0;
  }

  write(bytes: Uint8Array, start = 0, end = bytes.length): void {
    if (this.isOver || start === end) return;
    if (!this.begun || this.ending) throw new RangeError('a body is written after `begun` and before `end`');
    if (this.request.length !== UNKNOWN) {
      if (end - start > this.unwritten) throw new RangeError(`the body is longer than ${this.request.length} bytes`);
      this.unwritten -= end - start;
    }
    this.writeData(bytes, start, end);
    if (this.request.length !== UNKNOWN && this.unwritten === 0) this.endWriting();
  }

  end(trailers?: Fields): void {
    if (this.isOver || this.ending) return;
    if (!this.begun) throw new RangeError('a body is written after `begun` and before `end`');
    if (this.request.length !== UNKNOWN) {
      if (this.unwritten > 0) this.cancel();
      return;
    }
    const last = trailers === undefined ? null : trailersOf(trailers);
    if (last !== null) {
      writeTrailers(this.pipe, this.id, this.line.writer, last);
      this.line.sendInstructions();
    }
    this.endWriting();
  }

  cancel(): void {
    if (this.isOver) return;
    this.isCancelled = true;
    this.deaf = true;
    this.pipe.reset(H3_REQUEST_CANCELLED);
  }

  // ---- the answer --------------------------------------------------------------------------------------------------

  protected head(input: Uint8Array, start: number, end: number, clock: Clock): Fault | typeof MORE | typeof BAD | null {
    this.moved(clock);
    const { line } = this;
    const { reader } = line;
    const read = reader.read(input, start, end);
    this.required = reader.required;
    if (read === MORE || read === BAD) return read;
    line.acknowledge(this.id, reader.required);
    const { list } = reader;
    if (reader.broken) return faults.field;
    if (reader.tooLarge) return faults.sectionTooLong;
    const status = statusOf(list);
    if (status < 0 || status === 101) return faults.response;
    const fields = new Fields();
    for (let at = 2; at < list.length; at += 2) fields.list.push(list[at]!, list[at + 1]!);
    if (status < 200) {
      if (++this.interims > line.bounds.interimsMax) return faults.response;
      if (status === 100) this.proceed(clock, true);
      this.events.inform?.(status, fields);
      return null;
    }
    this.headed();
    this.isAnswered = true;
    line.served++;
    const length = fields.get('content-length');
    if (length !== null && !isBodyless(this.request.method, status)) {
      if (!/^\d{1,15}$/.test(length)) return faults.contentLength;
      this.expected = Number(length);
    }
    this.reader = this.events.answered(status, '', fields);
    return null;
  }

  private moved(clock: Clock): void {
    this.silentAt = clock.now + this.silenceMs;
  }

  protected tooLong(): void {
    this.refuse(faults.sectionTooLong);
  }

  override refuse(fault: Fault): void {
    this.fault = fault;
    super.refuse(fault);
  }

  protected read(input: Uint8Array, start: number, end: number, clock: Clock): number {
    this.moved(clock);
    return this.reader === null ? end : this.reader.receive(input, start, end, clock);
  }

  protected readEnd(trailers: Fields | null, clock: Clock): void {
    this.isWhole = true;
    const { reader } = this;
    this.reader = null;
    if (trailers !== null) reader?.trailers(trailers);
    reader?.finish(clock);
    // An answer that came before the request was whole wants no more of it (§4.1).
    if (!this.ending && !this.isOver) this.pipe.reset(H3_NO_ERROR);
  }

  writable(clock: Clock): void {
    this.moved(clock);
    if (!this.ending) this.events.writable?.(clock);
  }

  gather(): void {}
  leave(): void {}

  get deadline(): Instant {
    return Math.min(this.continueAt, this.paused || this.isWhole ? NEVER : this.silentAt);
  }

  tick(clock: Clock): void {
    if (clock.now >= this.continueAt) this.proceed(clock, true);
    else if (clock.now >= this.silentAt) this.refuse(faults.silence);
  }

  protected gone(cause: Cause, wire: number, clock: Clock): void {
    const { reader } = this;
    this.reader = null;
    if (this.isWhole) {
      this.events.over(ENDED, null, BEGUN);
      return;
    }
    reader?.lost(cause, clock);
    const told = this.fault !== null ? FAULT : cause === ENDED ? RESET : cause;
    this.events.over(told, this.fault, this.progress(wire));
  }

  private progress(wire: number): Progress {
    if (this.isUntouched || (wire === H3_REQUEST_REJECTED && !this.isAnswered)) return UNSENT;
    const unheard = !this.isAnswered && this.interims === 0 && this.line.isOver;
    return unheard && this.line.served > 0 ? UNANSWERED : BEGUN;
  }
}

/** `:status`, which stands first and alone (RFC 9114 §4.3.2); -1 when it does not. */
function statusOf(list: readonly string[]): number {
  if (list[0] !== ':status' || !/^[1-9]\d\d$/.test(list[1]!)) return -1;
  for (let at = 2; at < list.length; at += 2) if (list[at]!.charCodeAt(0) === 0x3a) return -1;
  return Number(list[1]);
}
