// One request and its answer on a stream, as the client sees them (RFC 9113 §8.1).
import type { BodyReader } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import { type Cause, ENDED, FAULT, RESET } from '../../core/pipe.ts';
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
import type { Http2Client } from './client.ts';
import { CANCEL, NO_ERROR, REFUSED_STREAM } from './codec.ts';
import { faults } from './faults.ts';
import { Stream } from './stream.ts';

/** Answers that have no body whatever they say (RFC 9110 §6.4.1). */
function isBodyless(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304;
}

export class ClientStream extends Stream implements SentRequest {
  declare readonly line: Http2Client;
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
  private left: number;
  private silentAt: Instant;
  private continueAt: Instant = NEVER;
  private isOver = false;

  constructor(line: Http2Client, id: number, request: ClientRequest, events: AnswerEvents, silenceMs: number) {
    super(line, id);
    this.request = request;
    this.events = events;
    this.silenceMs = silenceMs;
    this.silentAt = line.clock.now + silenceMs;
    this.left = request.length ?? 0;
  }

  // ---- the request -------------------------------------------------------------------------------------------------

  /** The head is out: the body follows where it is here and not to be waited for. */
  begin(continueMs: number, hasBody: boolean): void {
    const { clock } = this.line;
    if (hasBody && this.request.expectContinue === true) this.continueAt = clock.now + continueMs;
    else this.proceed(clock, hasBody);
    this.line.wake(Math.min(this.continueAt, this.silentAt));
  }

  private proceed(clock: Clock, hasBody: boolean): void {
    this.continueAt = NEVER;
    if (this.begun) return;
    this.begun = true;
    const { body, length } = this.request;
    if (length === undefined) {
      if (hasBody) this.enqueue(body!, 0, body!.length);
      this.ending = true;
      if (hasBody) this.line.flush(this);
      else this.localEnded = true;
    } else if (length === 0) {
      this.ending = true;
      this.localEnded = true;
    }
    this.events.begun?.(clock);
  }

  get room(): number {
    return this.begun && !this.ending ? this.roomLeft : 0;
  }

  write(bytes: Uint8Array, start = 0, end = bytes.length): void {
    if (this.closed || start === end) return;
    if (!this.begun || this.ending) throw new RangeError('a body is written after `begun` and before `end`');
    if (this.request.length !== UNKNOWN) {
      if (end - start > this.left) throw new RangeError(`the body is longer than ${this.request.length} bytes`);
      this.left -= end - start;
    }
    this.enqueue(bytes, start, end);
    if (this.request.length !== UNKNOWN && this.left === 0) this.ending = true;
    this.line.flush(this);
  }

  end(trailers?: Fields): void {
    if (this.closed || this.ending) return;
    if (!this.begun) throw new RangeError('a body is written after `begun` and before `end`');
    if (this.request.length !== UNKNOWN) {
      if (this.left > 0) this.cancel();
      return;
    }
    this.trailers = trailers === undefined ? null : trailersOf(trailers);
    this.ending = true;
    this.line.flush(this);
  }

  cancel(): void {
    if (this.isOver) return;
    this.isCancelled = true;
    this.line.reset(this, CANCEL, RESET);
  }

  sentEnd(): void {
    this.line.settle(this);
  }

  // ---- the answer --------------------------------------------------------------------------------------------------

  /** A header block; answers what is wrong with it. */
  head(list: readonly string[], ends: boolean, clock: Clock, interimsMax: number): Fault | null {
    this.moved(clock);
    if (this.isAnswered) return this.readTrailers(list, ends, clock);
    const status = statusOf(list);
    if (status < 0 || status === 101) return faults.response;
    const fields = new Fields();
    for (let at = 2; at < list.length; at += 2) fields.list.push(list[at]!, list[at + 1]!);
    if (status < 200) {
      if (ends || ++this.interims > interimsMax) return faults.response;
      if (status === 100) this.proceed(clock, true);
      this.events.inform?.(status, fields);
      return null;
    }
    this.isAnswered = true;
    this.line.served++;
    const length = fields.get('content-length');
    if (length !== null && !isBodyless(this.request.method, status)) {
      if (!/^\d{1,15}$/.test(length) || (ends && Number(length) > 0)) return faults.contentLength;
      this.expected = Number(length);
    }
    this.reader = this.events.answered(status, '', fields);
    if (ends) this.receiveEnd(clock);
    return null;
  }

  private readTrailers(list: readonly string[], ends: boolean, clock: Clock): Fault | null {
    if (!ends) return faults.trailers;
    if (list.some((name, at) => at % 2 === 0 && name.startsWith(':'))) return faults.pseudo;
    if (this.expected > 0) return faults.contentLength;
    this.takeTrailers(list);
    this.receiveEnd(clock);
    return null;
  }

  private moved(clock: Clock): void {
    this.silentAt = clock.now + this.silenceMs;
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
    // An answer that came before the request was whole wants no more of it (§8.1).
    if (!this.localEnded && !this.closed) this.line.stopInput(this);
  }

  writable(clock: Clock): void {
    this.events.writable?.(clock);
  }

  override sent(): void {
    this.moved(this.line.clock);
  }

  gather(): void {}
  leave(): void {}

  get due(): Instant {
    return Math.min(this.continueAt, this.paused ? NEVER : this.silentAt);
  }

  tick(clock: Clock): void {
    if (clock.now >= this.continueAt) this.proceed(clock, true);
    else if (clock.now >= this.silentAt) {
      this.fault = faults.silence;
      this.line.reset(this, CANCEL, FAULT);
    }
  }

  /** The server broke a rule. */
  failed(fault: Fault): void {
    this.fault = fault;
  }

  lost(cause: Cause, wire: number, clock: Clock): void {
    if (this.isOver) return;
    this.isOver = true;
    const { reader } = this;
    this.reader = null;
    const whole = this.isWhole && (cause === ENDED || wire === NO_ERROR);
    if (!this.isWhole) reader?.lost(cause, clock);
    if (whole) this.events.over(ENDED, null, BEGUN);
    else this.events.over(cause === ENDED ? RESET : cause, this.fault, this.progress(wire));
  }

  private progress(wire: number): Progress {
    if (this.isUntouched || (wire === REFUSED_STREAM && !this.isAnswered)) return UNSENT;
    const unheard = !this.isAnswered && this.interims === 0 && this.line.isOver;
    return unheard && this.line.served > 0 ? UNANSWERED : BEGUN;
  }
}

/** `:status`, which stands first and alone (RFC 9113 §8.3.2); -1 when it does not. */
function statusOf(list: readonly string[]): number {
  if (list[0] !== ':status' || !/^[1-9]\d\d$/.test(list[1]!)) return -1;
  for (let at = 2; at < list.length; at += 2) if (list[at]!.startsWith(':')) return -1;
  return Number(list[1]);
}
