// The server's half of an HTTP/2 connection: which heads become requests, and how it all ends (RFC 9113 §6.8, §8). What a
// request means is the routes' business.
import type { AccessLog } from '../../core/access.ts';
import { type Caller, callerOf } from '../../core/caller.ts';
import type { Fault } from '../../core/fault.ts';
import { InnerTurn } from '../../core/inner-turn.ts';
import { type Cause, type Pipe, SHUTDOWN, type Why } from '../../core/pipe.ts';
import { type Host, reportBug } from '../../core/protocol.ts';
import type { Clock, Instant } from '../../core/time.ts';
import { answerProblem } from '../http/answers.ts';
import { type RequestHead, readPriority } from '../http/request-head.ts';
import { AnswerHeads } from './answer-heads.ts';
import {
  ENABLE_CONNECT_PROTOCOL,
  ENHANCE_YOUR_CALM,
  HEADER_TABLE_SIZE,
  INITIAL_WINDOW_SIZE,
  INTERNAL_ERROR,
  isPreface,
  MAX_CONCURRENT_STREAMS,
  MAX_HEADER_LIST_SIZE,
  NO_ERROR,
  NO_RFC7540_PRIORITIES,
  PREFACE,
  WINDOW_MAX,
  writeSettings,
} from './codec.ts';
import { Connection } from './connection.ts';
import { Http2Exchange } from './exchange.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { RequestHeads } from './request-heads.ts';
import type { Stream } from './stream.ts';

export type Http2Host = Host<unknown, typeof limits>;

/** Priorities of streams that are not open yet; those beyond are not kept (RFC 9218 §7.1). */
const PRIORITIES_MAX = 64;

export class Http2Session extends Connection {
  readonly heads: AnswerHeads;
  readonly turn: InnerTurn;
  /** Who asks until the guard has looked. */
  readonly nobody: Caller;
  readonly access: AccessLog | null;
  private readonly host: Http2Host;
  private readonly requestHeads: RequestHeads;
  private readonly priorities = new Map<number, string>();
  private requests = 0;
  /** A final GOAWAY follows when the ping that went with the first is answered. */
  private announced = false;

  constructor(pipe: Pipe, host: Http2Host) {
    super(pipe, host.limits, host.clock);
    this.host = host;
    this.access = host.access ?? null;
    this.heads = new AnswerHeads(this.sender);
    this.requestHeads = new RequestHeads(this.headers);
    this.nobody = callerOf(pipe.peer, '', 0);
    const outer = { clock: host.clock, flush: () => pipe.flush(), wake: (due: Instant) => this.wake(due) };
    this.turn = new InnerTurn(outer, (error, where) => this.report(where, error));
    const { streamsMax, streamWindowBytes, headBytesMax, tableBytesMax } = host.limits;
    writeSettings(pipe.out, [
      ...[HEADER_TABLE_SIZE, tableBytesMax],
      ...[MAX_CONCURRENT_STREAMS, streamsMax],
      ...[INITIAL_WINDOW_SIZE, streamWindowBytes],
      ...[MAX_HEADER_LIST_SIZE, headBytesMax],
      ...[ENABLE_CONNECT_PROTOCOL, 1],
      ...[NO_RFC7540_PRIORITIES, 1],
    ]);
    this.openWindow();
    this.wrote(host.clock);
  }

  get clock(): Clock {
    return this.host.clock;
  }

  protected readPreface(input: Uint8Array, at: number, end: number): number {
    const is = isPreface(input, at, end);
    if (is === false) return -1;
    if (is === null) return at;
    this.begun = true;
    this.awaitSettings(this.clock);
    return at + PREFACE.length;
  }

  protected neverOpened(id: number): boolean {
    return id > this.lastStream || id % 2 === 0;
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  protected head(id: number, ends: boolean, input: Uint8Array, start: number, end: number, clock: Clock): void {
    if (id % 2 === 0) {
      this.fail(faults.streamNumber);
      return;
    }
    const isNew = id > this.lastStream;
    const stream = isNew ? undefined : this.streams.get(id);
    if (stream !== undefined) {
      this.readTrailers(stream, ends, input, start, end, clock);
      return;
    }
    const fault = isNew ? null : this.closedFault(id);
    if (fault !== null && fault.scope === 'connection') {
      this.fail(fault);
      return;
    }
    // Whatever becomes of the request, the table must follow (RFC 9113 §4.3).
    const head = this.requestHeads.read(input, start, end);
    if (head === null) {
      this.fail(this.headers.fault);
      return;
    }
    if (!isNew) {
      if (fault !== null) this.refuse(id, fault, clock);
      return;
    }
    this.lastStream = id;
    const refused = this.refusal(id, head);
    if (refused !== null) this.refuse(id, refused, clock);
    else this.begin(id, head, ends, clock);
  }

  private refusal(id: number, head: RequestHead): Fault | null {
    if (id > this.lastTaken) return faults.goingAway;
    if (this.streams.size >= this.limits.streamsMax) return faults.streamsTooMany;
    return head.fault;
  }

  /** Routes a request whose head is read. */
  private begin(id: number, head: RequestHead, ends: boolean, clock: Clock): void {
    const { host } = this;
    if (ends && head.length > 0) {
      this.refuse(id, faults.contentLength, clock);
      return;
    }
    this.busy();
    const exchange = new Http2Exchange(this, id, head, ends);
    if (this.priorities.size > 0) this.applyPriority(exchange);
    try {
      if (head.tooLarge) {
        const detail = `The fields take more than ${host.limits.headBytesMax} bytes, or are more than ${host.limits.fieldsMax}.`;
        answerProblem(exchange, 431, detail);
      } else host.routes(exchange);
      if (ends) exchange.receiveEnd(clock);
    } catch (error) {
      this.bug(exchange, error);
    }
    if (!exchange.closed) {
      this.began(exchange);
      if (!ends) {
        exchange.bodyAt = clock.now + host.limits.bodyMs;
        this.wake(exchange.bodyAt);
      }
    }
    if (++this.requests >= host.limits.requestsMax && !this.leaving) this.leave(SHUTDOWN, clock);
  }

  private readTrailers(
    stream: Stream,
    ends: boolean,
    input: Uint8Array,
    start: number,
    end: number,
    clock: Clock,
  ): void {
    const { headers } = this;
    if (headers.read(input, start, end) < 0) {
      this.fail(headers.fault);
      return;
    }
    const { list, broken, tooLarge } = headers;
    const fault = stream.remoteEnded
      ? faults.streamHalfClosed
      : broken
        ? faults.field
        : tooLarge
          ? faults.trailersTooLong
          : this.trailersFault(stream, ends, list);
    if (fault !== null) {
      this.refuse(stream.id, fault, clock);
      return;
    }
    stream.takeTrailers(list);
    this.guard(stream, () => stream.receiveEnd(clock));
  }

  private trailersFault(stream: Stream, ends: boolean, list: readonly string[]): Fault | null {
    if (!ends) return faults.trailers;
    for (let at = 0; at < list.length; at += 2) if (list[at]!.charCodeAt(0) === 0x3a) return faults.pseudo;
    return stream.expected > 0 ? faults.contentLength : null;
  }

  /** A handler threw: a bug that ends its exchange only. */
  protected bug(stream: Stream, error: unknown): void {
    const exchange = stream as Http2Exchange;
    this.report(`${exchange.method} ${exchange.target}`, error);
    if (exchange.closed) return;
    exchange.writer?.clear();
    if (exchange.status !== 0) {
      if (!exchange.ending) exchange.reset(INTERNAL_ERROR);
      return;
    }
    answerProblem(exchange, 500, 'The server failed to answer this request; its log says why.');
  }

  private report(request: string, error: unknown): void {
    reportBug(this.host, error, 'what answers a request', { connection: this.pipe.id, request });
  }

  // ---- priorities (RFC 9218) ---------------------------------------------------------------------------------------

  protected prioritised(id: number, text: string): Fault | null {
    if (id % 2 === 0) return faults.priorityUpdate;
    const stream = this.streams.get(id);
    if (stream !== undefined) this.prioritise(stream, text);
    else if (id > this.lastStream && (this.priorities.size < PRIORITIES_MAX || this.priorities.has(id)))
      this.priorities.set(id, text);
    return null;
  }

  private prioritise(stream: Stream, text: string): void {
    const said = { urgency: 3, incremental: false };
    readPriority(text, said);
    this.sender.prioritise(stream, said.urgency, said.incremental);
  }

  private applyPriority(stream: Stream): void {
    const text = this.priorities.get(stream.id);
    if (text !== undefined) this.prioritise(stream, text);
    // Those that were skipped are closed (RFC 9113 §5.1.1).
    for (const id of this.priorities.keys()) if (id <= stream.id) this.priorities.delete(id);
  }

  // ---- ends --------------------------------------------------------------------------------------------------------

  protected override gatherMore(clock: Clock): void {
    this.turn.run(clock);
  }

  /** Says that it goes, answers what was asked until the client can have heard, and ends (RFC 9113 §6.8). */
  leave(why: Why, clock: Clock): void {
    if (this.over) return;
    for (const stream of this.streams.values()) this.guard(stream, () => stream.leave(why, clock));
    if (this.leaving) return;
    this.leaving = true;
    if (this.streams.size === 0) {
      this.endQuietly();
      return;
    }
    this.sayGoaway(WINDOW_MAX, why === 'overloaded' ? ENHANCE_YOUR_CALM : NO_ERROR);
    this.announced = true;
    this.sayPing();
  }

  protected override pinged(): void {
    if (!this.announced) return;
    this.announced = false;
    this.lastTaken = this.lastStream;
    this.sayGoaway(this.lastStream, NO_ERROR);
  }

  /** A client that goes away: what it asked before is answered, and it is told that nothing later was (RFC 9113 §6.8). */
  protected wentAway(): void {
    if (this.lastTaken === WINDOW_MAX) {
      this.lastTaken = this.lastStream;
      this.sayGoaway(this.lastStream, NO_ERROR);
    }
    this.announced = false;
    this.leaving = true;
    this.pipe.flush();
  }

  override lost(cause: Cause, wire: number, clock: Clock): void {
    super.lost(cause, wire, clock);
    this.priorities.clear();
  }
}
