// The client's half of an HTTP/2 connection: requests out as they come, each on a stream, their answers in whatever order.
// The caller dials; it knows no socket and no resource.
import type { Fault } from '../../core/fault.ts';
import { type Bound, bindLimits } from '../../core/limits.ts';
import { type Cause, ENDED, type Pipe, type Why } from '../../core/pipe.ts';
import type { Clock, Instant } from '../../core/time.ts';
import { checkFields } from '../http/answer-head.ts';
import { isToken } from '../http/chars.ts';
import {
  type AnswerEvents,
  type ClientConnection,
  type ClientRequest,
  type ConnectionEvents,
  type SentRequest,
  UNKNOWN,
} from '../http/client.ts';
import { ClientStream } from './client-stream.ts';
import {
  ENABLE_PUSH,
  HEADER_TABLE_SIZE,
  INITIAL_WINDOW_SIZE,
  INTERNAL_ERROR,
  MAX_HEADER_LIST_SIZE,
  NO_ERROR,
  NO_RFC7540_PRIORITIES,
  PREFACE,
  WINDOW_MAX,
  writeSettings,
} from './codec.ts';
import { Connection } from './connection.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import type { Stream } from './stream.ts';

/** What of a client's bounds this half keeps. */
export interface ClientBounds {
  /** Requests of one connection that are not answered. */
  readonly queueMax: number;
  readonly idleMs: number;
  readonly silenceMs: number;
  readonly continueMs: number;
  readonly interimsMax: number;
}

/** Answers are larger than requests. */
const OWN: Bound<typeof limits> = bindLimits(limits, {
  streamWindowBytes: 1_048_576,
  connectionWindowBytes: 8_388_608,
});

/** What a request must not say itself: it is said by pseudo-header fields, or means nothing here (RFC 9113 §8.2.2). */
const NOT_SENT = new Set([
  ...[
    'host',
    'connection',
    'proxy-connection',
    'keep-alive',
    'transfer-encoding',
    'upgrade',
    'expect',
    'content-length',
  ],
  'te',
]);

export class Http2Client extends Connection implements ClientConnection {
  readonly isParallel = true;
  /** Answers so far. */
  served = 0;
  private readonly bounds: ClientBounds;
  private readonly events: ConnectionEvents;
  private readonly own: { readonly clock: Clock };
  private readonly scheme: 'http' | 'https';
  private nextStream = 1;
  private closing = false;
  private isClosed = false;
  private quietAt: Instant;

  /** @param turn whose clock is read when a request is sent */
  constructor(pipe: Pipe, turn: { readonly clock: Clock }, bounds: ClientBounds, events: ConnectionEvents) {
    super(pipe, OWN, turn.clock);
    this.own = turn;
    this.bounds = bounds;
    this.events = events;
    this.begun = true;
    this.scheme = pipe.peer.tls === null ? 'http' : 'https';
    this.quietAt = turn.clock.now + bounds.idleMs;
    pipe.out.copy(PREFACE, 0, PREFACE.length);
    writeSettings(pipe.out, [
      ...[HEADER_TABLE_SIZE, OWN.tableBytesMax],
      ...[ENABLE_PUSH, 0],
      ...[INITIAL_WINDOW_SIZE, OWN.streamWindowBytes],
      ...[MAX_HEADER_LIST_SIZE, OWN.headBytesMax],
      ...[NO_RFC7540_PRIORITIES, 1],
    ]);
    this.openWindow();
    this.awaitSettings(turn.clock);
    this.wrote(turn.clock);
  }

  get clock(): Clock {
    return this.own.clock;
  }

  override get deadline(): Instant {
    return this.streams.size === 0 && !this.over ? Math.min(super.deadline, this.quietAt) : super.deadline;
  }

  override tick(clock: Clock): void {
    if (this.streams.size === 0 && clock.now >= this.quietAt) this.close();
    else super.tick(clock);
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  get open(): number {
    return this.streams.size;
  }

  get isIdle(): boolean {
    return this.isOpen && this.streams.size === 0;
  }

  private get isOpen(): boolean {
    return !this.over && !this.closing && this.nextStream < WINDOW_MAX;
  }

  get hasRoom(): boolean {
    return this.isOpen && this.streams.size < Math.min(this.bounds.queueMax, this.streamsAllowed);
  }

  /** Throws a RangeError when it is no request that can be sent. */
  send(request: ClientRequest, events: AnswerEvents, made?: (sent: SentRequest) => void): SentRequest | null {
    checkSendable(request);
    if (!this.hasRoom) return null;
    const stream = new ClientStream(this, this.nextStream, request, events, request.silenceMs ?? this.bounds.silenceMs);
    this.nextStream += 2;
    this.began(stream);
    made?.(stream);
    const hasBody = hasBodyOf(request);
    this.writeHead(stream.id, request, !hasBody);
    stream.begin(this.bounds.continueMs, hasBody);
    this.wrote(this.clock);
    return stream;
  }

  private writeHead(id: number, request: ClientRequest, ends: boolean): void {
    const { method, target, authority, fields, body, length } = request;
    const { sender } = this;
    const { out } = this.pipe;
    const { headers } = sender;
    const at = sender.beginHead();
    headers.field(out, ':method', method);
    if (method !== 'CONNECT') {
      headers.field(out, ':scheme', this.scheme);
      headers.field(out, ':path', target);
    }
    headers.field(out, ':authority', authority);
    // TE says that trailers are taken, or nothing (§8.2.2).
    for (const [name, value] of fields)
      if (!NOT_SENT.has(name) || (name === 'te' && value === 'trailers')) headers.field(out, name, value);
    const size = length ?? body?.length ?? (/^(?:POST|PUT|PATCH)$/.test(method) ? 0 : UNKNOWN);
    if (size !== UNKNOWN) headers.field(out, 'content-length', String(size));
    if (request.expectContinue === true && !ends) headers.field(out, 'expect', '100-continue');
    sender.endHead(at, id, ends);
  }

  /** No more requests; ends once all are answered. */
  close(): void {
    this.closing = true;
    if (this.streams.size === 0) this.endQuietly();
    this.leaving = true;
    this.tellClosed(ENDED, null);
    this.pipe.flush();
  }

  // ---- what comes --------------------------------------------------------------------------------------------------

  protected readPreface(_input: Uint8Array, at: number): number {
    return at;
  }

  /** Streams of even numbers would be pushed, which nobody may. */
  protected neverOpened(id: number): boolean {
    return id % 2 === 0 || id >= this.nextStream;
  }

  protected head(id: number, ends: boolean, input: Uint8Array, start: number, end: number, clock: Clock): void {
    const { headers } = this;
    if (headers.read(input, start, end) < 0) {
      this.fail(headers.fault);
      return;
    }
    const stream = this.streams.get(id) as ClientStream | undefined;
    if (stream === undefined) {
      if (this.neverOpened(id)) this.fail(faults.streamIdle);
      return;
    }
    const { list, broken, tooLarge } = headers;
    let fault: Fault | null = null;
    if (stream.remoteEnded) fault = faults.streamHalfClosed;
    else if (broken) fault = faults.field;
    else if (tooLarge) fault = faults.trailersTooLong;
    else {
      try {
        fault = stream.head(list, ends, clock, this.bounds.interimsMax);
      } catch (error) {
        this.bug(stream, error);
      }
    }
    if (fault !== null && !stream.closed) this.refuse(id, fault, clock);
  }

  protected override refuse(id: number, fault: Fault, clock: Clock): void {
    (this.streams.get(id) as ClientStream | undefined)?.failed(fault);
    super.refuse(id, fault, clock);
  }

  protected prioritised(): Fault | null {
    return null;
  }

  /** Requests above `last` were not looked at, and never will be (RFC 9113 §6.8). */
  protected wentAway(last: number, _code: number, clock: Clock): void {
    this.closing = true;
    this.leaving = true;
    for (const stream of this.streams.values() as ClientStream[]) {
      if (stream.id <= last) continue;
      stream.isUntouched = true;
      this.forget(stream);
      this.guard(stream, () => stream.lost(ENDED, NO_ERROR, clock));
    }
    this.tellClosed(ENDED, null);
    this.pipe.flush();
  }

  protected override settled(): void {
    if (this.hasRoom) this.events.idle();
  }

  protected override streamGone(): void {
    this.quietAt = this.clock.now + this.bounds.idleMs;
    if (this.hasRoom) this.events.idle();
  }

  /** A caller's own code threw: it surfaces as it would out of any event handler, and its request is over. */
  protected bug(stream: Stream, error: unknown): void {
    this.reset(stream, INTERNAL_ERROR, ENDED);
    throw new RangeError('what is told of an answer threw', { cause: error });
  }

  // ---- ends --------------------------------------------------------------------------------------------------------

  leave(_why: Why): void {
    this.close();
  }

  protected override fail(fault: Fault, at = 0): number {
    this.tellClosed(ENDED, fault);
    return super.fail(fault, at);
  }

  override lost(cause: Cause, wire: number, clock: Clock): void {
    this.tellClosed(cause, null);
    super.lost(cause, wire, clock);
  }

  private tellClosed(cause: Cause, fault: Fault | null): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.events.closed(cause, fault);
  }
}

function hasBodyOf({ body, length }: ClientRequest): boolean {
  return length === undefined ? body != null && body.length > 0 : length !== 0;
}

/** A caller's bug, or an injection. */
function checkSendable({ method, target, authority, fields, upgrade = '' }: ClientRequest): void {
  if (!isToken(method)) throw new RangeError(`${JSON.stringify(method)} is no method`);
  if (!/^[!"$-~]+$/.test(target)) throw new RangeError(`${JSON.stringify(target)} is no target of a request`);
  if (!/^[!-~]*$/.test(authority)) throw new RangeError(`${JSON.stringify(authority)} is no host`);
  if (upgrade !== '') throw new RangeError('HTTP/2 has no Upgrade');
  checkFields(fields);
}
