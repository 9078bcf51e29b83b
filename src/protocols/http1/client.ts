// The client's half of an HTTP/1.1 connection: requests out, one after the other or pipelined, and their answers in by the
// rules for recipients (RFC 9112 §6.3, §9). The caller dials; it knows no socket and no resource.
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Fields } from '../../core/fields.ts';
import type { Bound } from '../../core/limits.ts';
import { type Cause, ENDED, FAULT, type Pipe, RESET, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { eachMember } from '../http/chars.ts';
import type { ClientConnection, ConnectionEvents } from '../http/client.ts';
import {
  type AnswerEvents,
  BEGUN,
  ClientExchange,
  type ClientRequest,
  type Line,
  type Progress,
  UNANSWERED,
  UNSENT,
} from './client-exchange.ts';
import { clientFaults } from './client-faults.ts';
import { AnswerFraming } from './client-framing.ts';
import type { clientLimits } from './client-limits.ts';
import { ChunkReader, COMPLETE, DATA, HeadReader } from './codec.ts';
import { faults } from './faults.ts';
import { CHUNKED, LENGTH, NO_BODY, UNTIL_END } from './framing.ts';

export type { ConnectionEvents } from '../http/client.ts';

/** Before the server's own deadline, so that a request does not meet the closing connection on its way. */
const BEFORE_CLOSING_MS = 1_000;

/** A request of which no more than this is on its way is out; of a larger one the server may still be taking. */
const UPLOAD_LEAST = 65_536;

export class Http1Client implements ClientConnection, Line {
  readonly isParallel = false;
  readonly pipe: Pipe;
  private readonly limits: Bound<typeof clientLimits>;
  private readonly events: ConnectionEvents;
  private readonly turn: { readonly clock: Clock };
  private readonly head: HeadReader;
  private readonly framing = new AnswerFraming();
  private readonly chunks: ChunkReader;
  /** Sent, or being sent, in the order of the answers. */
  private readonly flying: ClientExchange[] = [];
  private readonly waiting: ClientExchange[] = [];
  /** The body of the answer that is being read. */
  private left = 0;
  /** Answers so far. */
  private served = 0;
  private keepAlive = true;
  private closing = false;
  private over = false;
  /** The pipe is another session's. */
  private gone = false;
  private deliveredBefore = 0;
  /** When nothing has moved for too long. */
  private silentAt: Instant = NEVER;
  private idleAt: Instant;

  /** @param turn whose clock is read when a request is sent */
  constructor(
    pipe: Pipe,
    turn: { readonly clock: Clock },
    limits: Bound<typeof clientLimits>,
    events: ConnectionEvents,
  ) {
    this.pipe = pipe;
    this.turn = turn;
    this.limits = limits;
    this.events = events;
    this.head = new HeadReader('response', limits);
    this.chunks = new ChunkReader(limits);
    this.idleAt = turn.clock.now + limits.idleMs;
  }

  get clock(): Clock {
    return this.turn.clock;
  }

  get deadline(): Instant {
    if (this.over) return NEVER;
    const first = this.flying[0];
    if (first === undefined) return this.idleAt;
    return first.paused ? first.continueAt : Math.min(this.silentAt, first.continueAt);
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  get isOpen(): boolean {
    return !this.over && this.keepAlive && !this.closing;
  }

  get isIdle(): boolean {
    return this.isOpen && this.isDrained;
  }

  /** Requests that are not answered. */
  get open(): number {
    return this.flying.length + this.waiting.length;
  }

  /** Whether one more request would be taken. */
  get hasRoom(): boolean {
    return this.isOpen && this.open < this.limits.queueMax;
  }

  /**
   * Sends a request when its turn has come. Null when the connection takes no more. Throws a RangeError when it is no
   * request that can be sent.
   *
   * @param made told the exchange before anything else is told of it
   */
  send(request: ClientRequest, events: AnswerEvents, made?: (exchange: ClientExchange) => void): ClientExchange | null {
    if (!this.hasRoom) return null;
    const exchange = new ClientExchange(this, request, events);
    made?.(exchange);
    this.waiting.push(exchange);
    this.pump(this.clock);
    return exchange;
  }

  /** Ends the connection once what was asked is answered. */
  close(): void {
    if (this.over) return;
    this.closing = true;
    if (this.isDrained) this.shut(ENDED, null);
  }

  private get isDrained(): boolean {
    return this.open === 0;
  }

  private pump(clock: Clock): void {
    while (this.waiting.length > 0 && !this.over) {
      const next = this.waiting[0]!;
      const last = this.flying.at(-1);
      if (last !== undefined) {
        // Behind what must not be sent twice, or may take the connection, nothing is pipelined (RFC 9112 §9.3.2).
        if (this.flying.length >= this.limits.pipelineMax || !last.isSent) return;
        if (this.pipe.room === 0 || !next.mayFollow || !this.flying.every((exchange) => exchange.mayFollow)) return;
      }
      this.waiting.shift();
      this.flying.push(next);
      if (this.flying.length === 1) this.listen(clock);
      next.begin(clock, this.limits.continueMs);
    }
  }

  /** Something moved. */
  private listen(clock: Clock): void {
    this.silentAt = clock.now + (this.flying[0]?.request.silenceMs ?? this.limits.silenceMs);
    this.deliveredBefore = this.pipe.delivered + Math.min(this.pipe.queued, UPLOAD_LEAST);
  }

  sent(exchange: ClientExchange): void {
    const { clock } = this;
    this.listen(clock);
    if (exchange === this.flying[0] && exchange.isWhole) this.done(clock);
    else this.pump(clock);
  }

  cancel(exchange: ClientExchange): void {
    const at = this.waiting.indexOf(exchange);
    if (at >= 0) {
      this.waiting.splice(at, 1);
      exchange.finish(RESET, null, UNSENT);
      return;
    }
    exchange.finish(RESET, null, BEGUN);
    this.closed(RESET, null);
    this.pipe.reset(0);
  }

  // ---- answers -----------------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    while (at < end && !this.over) {
      const exchange = this.flying[0];
      if (exchange === undefined || exchange.isWhole) {
        // Taking it for the answer to a later request would let one answer poison another (RFC 9112 §9.2).
        this.break(clientFaults.unsolicited);
        return end;
      }
      this.listen(clock);
      exchange.heard = true;
      if (exchange.paused) return at;
      const next = exchange.isAnswered
        ? this.readBody(exchange, input, at, end, clock)
        : this.readHead(exchange, input, at, end, clock);
      if (next < 0) return end;
      if (next === at) return at;
      at = next;
      if (this.gone) return at;
    }
    return this.over && !this.gone ? end : at;
  }

  private readHead(exchange: ClientExchange, input: Uint8Array, at: number, end: number, clock: Clock): number {
    const { head } = this;
    const next = head.read(input, at, end);
    if (next === MORE) return at;
    if (next === BAD) return this.break(head.fault);
    const { status, fields } = head;
    if (status < 200 && status !== 101) {
      if (++exchange.interims > this.limits.interimsMax) return this.break(clientFaults.interimsTooMany);
      if (status === 100 && exchange.isHeld) exchange.proceed(clock);
      exchange.events.inform?.(status, fields);
      return next;
    }
    const { method, upgrade = '' } = exchange.request;
    if (status === 101 && !isSwitchTo(fields, upgrade)) return this.break(clientFaults.notSwitching);
    if (status === 101 || (method === 'CONNECT' && status < 300)) return this.handOver(exchange, next);
    const fault = this.framing.read(head, method);
    if (fault !== null) return this.break(fault);
    this.answer(exchange, clock);
    return next;
  }

  private answer(exchange: ClientExchange, clock: Clock): void {
    const { head, framing, chunks } = this;
    if (!framing.keepAlive) this.keepAlive = false;
    // Who refuses does not want the rest; with a part of the body outstanding the connection cannot go on (§9.3).
    if (!exchange.isSent && (head.status >= 300 || exchange.isHeld)) {
      exchange.stop();
      this.keepAlive = false;
    }
    this.left = framing.body === LENGTH ? framing.length : 0;
    if (framing.body === CHUNKED) chunks.begin();
    exchange.isAnswered = true;
    const reader = exchange.events.answered(head.status, head.reason, head.fields);
    if (exchange.isOver) return;
    exchange.reader = reader ?? DISCARD;
    if (framing.body === NO_BODY) this.bodyDone(exchange, clock);
  }

  /** Answers the next index, or -1 after a fault. */
  private readBody(exchange: ClientExchange, input: Uint8Array, at: number, end: number, clock: Clock): number {
    const reader = exchange.reader!;
    const { framing, chunks } = this;
    if (framing.body === UNTIL_END) return reader.receive(input, at, end, clock);
    if (framing.body === LENGTH) {
      const took = reader.receive(input, at, Math.min(end, at + this.left), clock);
      this.left -= took - at;
      if (this.left === 0 && !exchange.isOver) this.bodyDone(exchange, clock);
      return took;
    }
    const next = chunks.read(input, at, end);
    if (next === BAD) return this.break(chunks.fault);
    if (chunks.found === DATA) {
      const took = reader.receive(input, chunks.dataStart, next, clock);
      if (took < next) chunks.gaveBack(next - took);
      return took;
    }
    if (chunks.found === COMPLETE) {
      if (chunks.trailers.list.length > 0) reader.trailers(chunks.trailers);
      if (!exchange.isOver) this.bodyDone(exchange, clock);
    }
    return next;
  }

  private bodyDone(exchange: ClientExchange, clock: Clock): void {
    const { reader } = exchange;
    exchange.reader = null;
    exchange.isWhole = true;
    reader?.finish(clock);
    if (exchange.isOver) return;
    if (!exchange.isSent && this.keepAlive) return;
    this.done(clock);
  }

  /** Request and answer are both whole, or the rest of the request will not be sent. */
  private done(clock: Clock): void {
    const exchange = this.flying.shift()!;
    this.served++;
    this.idleAt = clock.now + Math.min(this.limits.idleMs, Math.max(0, this.framing.keptMs - BEFORE_CLOSING_MS));
    if (!this.keepAlive || (this.closing && this.isDrained)) this.shut(ENDED, null);
    else {
      this.listen(clock);
      this.pump(clock);
    }
    exchange.finish(ENDED, null, BEGUN);
    if (this.isIdle) this.events.idle();
    this.pipe.flush();
  }

  private handOver(exchange: ClientExchange, next: number): number {
    const { status, fields } = this.head;
    if (exchange.events.upgraded === undefined) return this.break(clientFaults.notSwitching);
    this.gone = true;
    this.flying.shift();
    const session = exchange.events.upgraded(this.pipe, status, fields);
    exchange.finish(ENDED, null, BEGUN);
    this.closed(ENDED, null);
    this.pipe.become(session);
    return next;
  }

  // ---- the end -----------------------------------------------------------------------------------------------------

  private break(fault: Fault): -1 {
    if (this.over) return -1;
    this.closed(FAULT, fault);
    this.pipe.fail(fault);
    return -1;
  }

  private shut(cause: Cause, fault: Fault | null): void {
    this.closed(cause, fault);
    this.pipe.stopReading(0);
    this.pipe.end();
    this.pipe.flush();
  }

  /** Tells everybody who still waits. */
  private closed(cause: Cause, fault: Fault | null): void {
    if (this.over) return;
    this.over = true;
    const flying = this.flying.splice(0);
    const waiting = this.waiting.splice(0);
    this.events.closed(cause, fault);
    // An orderly end is none for those who still wait for an answer.
    const why = fault ?? (cause === ENDED ? clientFaults.unanswered : null);
    for (const exchange of flying) exchange.finish(cause, why, this.progressOf(exchange));
    for (const exchange of waiting) exchange.finish(cause, why, UNSENT);
  }

  private progressOf({ heard }: ClientExchange): Progress {
    return !heard && this.served > 0 ? UNANSWERED : BEGUN;
  }

  overlong(): void {
    this.break(faults.headTooLong);
  }

  writable(clock: Clock): void {
    const last = this.flying.at(-1);
    this.listen(clock);
    if (last !== undefined && last.room > 0) last.events.writable?.(clock);
    this.pump(clock);
  }

  tick(clock: Clock): void {
    const first = this.flying[0];
    if (first === undefined) {
      if (clock.now >= this.idleAt) this.shut(ENDED, null);
    } else if (clock.now >= first.continueAt) {
      this.listen(clock);
      first.proceed(clock);
    } else if (!first.paused && clock.now >= this.silentAt) this.late(clock);
  }

  /** Silence; but an upload that is still being taken is none. */
  private late(clock: Clock): void {
    if (this.pipe.delivered > this.deliveredBefore) {
      this.listen(clock);
      return;
    }
    this.closed(FAULT, clientFaults.silent);
    this.pipe.fail(clientFaults.silent);
  }

  finish(clock: Clock): void {
    if (this.over) return;
    const exchange = this.flying[0];
    if (exchange?.isAnswered === true && this.framing.body === UNTIL_END && exchange.reader !== null) {
      exchange.stop();
      this.bodyDone(exchange, clock);
      return;
    }
    this.closed(ENDED, exchange?.heard === true ? faults.incomplete : null);
    this.pipe.end();
  }

  leave(_why: Why): void {
    this.close();
  }

  lost(cause: Cause): void {
    if (cause === ENDED && this.flying[0]?.heard === true) this.closed(cause, faults.incomplete);
    else this.closed(cause, null);
  }
}

/** Whether a 101 names what was asked for (RFC 9110 §7.8). */
function isSwitchTo(fields: Fields, upgrade: string): boolean {
  let is = false;
  eachMember(fields.joined('upgrade') ?? '', (token) => {
    if (upgrade !== '' && token.toLowerCase() === upgrade.toLowerCase()) is = true;
  });
  return is;
}

/** For answers that nobody reads. */
const DISCARD = {
  receive: (_input: Uint8Array, _start: number, end: number) => end,
  trailers() {},
  finish() {},
  lost() {},
};
