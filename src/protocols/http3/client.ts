// The client's half of an HTTP/3 connection: requests out as they come, each on a stream, their answers in whatever order.
// The caller dials; it knows no socket and no resource.
import type { Fault } from '../../core/fault.ts';
import { bindLimits } from '../../core/limits.ts';
import type { Mux } from '../../core/mux.ts';
import { type Cause, ENDED, type Pipe, type Session, type Why } from '../../core/pipe.ts';
import { type Clock, type Entropy, type Instant, NEVER } from '../../core/time.ts';
import { checkFields } from '../http/answer-head.ts';
import { isToken } from '../http/chars.ts';
import {
  type AnswerEvents,
  type ClientRequest,
  type ConnectionEvents,
  type SentRequest,
  UNKNOWN,
} from '../http/client.ts';
import { writeSection } from './answer-heads.ts';
import { ClientStream } from './client-stream.ts';
import { MAX_FIELD_SECTION_SIZE } from './codec.ts';
import { Connection } from './connection.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import type { MessageStream } from './message-stream.ts';

/** What of a client's bounds this half keeps. */
export interface ClientBounds {
  /** Requests of one connection that are not answered. */
  readonly queueMax: number;
  readonly idleMs: number;
  readonly silenceMs: number;
  readonly continueMs: number;
  readonly interimsMax: number;
}

const OWN = bindLimits(limits);

/** What a request must not say itself: it is said by pseudo-header fields, or means nothing here (RFC 9114 §4.2). */
const NOT_SENT = new Set([
  ...['host', 'connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'expect'],
  ...['content-length', 'te'],
]);

export class Http3Client extends Connection {
  readonly isParallel = true;
  readonly bounds: ClientBounds;
  readonly pushFault = faults.id;
  /** Answers so far. */
  served = 0;
  protected readonly isServer = false;
  private readonly events: ConnectionEvents;
  private readonly own: { readonly clock: Clock };
  private readonly entropy: Entropy;
  private closing = false;
  private isClosed = false;
  /** The carrier lets us open no stream for now. */
  private isHeld = false;
  private quietAt: Instant;

  /** @param turn whose clock is read when a request is sent */
  constructor(
    mux: Mux,
    turn: { readonly clock: Clock },
    entropy: Entropy,
    bounds: ClientBounds,
    events: ConnectionEvents,
  ) {
    super(mux, OWN);
    this.own = turn;
    this.entropy = entropy;
    this.bounds = bounds;
    this.events = events;
    this.quietAt = turn.clock.now + bounds.idleMs;
  }

  get clock(): Clock {
    return this.own.clock;
  }

  protected settings(): readonly number[] {
    return [MAX_FIELD_SECTION_SIZE, this.limits.headBytesMax];
  }

  protected chance(): number {
    const bytes = new Uint8Array(4);
    this.entropy.fill(bytes);
    return (bytes[0]! << 20) | (bytes[1]! << 12) | (bytes[2]! << 4) | (bytes[3]! >>> 4);
  }

  /** Servers name requests (RFC 9114 §5.2). */
  protected mayName(id: number): boolean {
    return id % 4 === 0;
  }

  /** Nobody may open a two-way stream to a client (RFC 9114 §6.1). */
  /** It opens no WebTransport sessions. */
  transportStream(): null {
    return null;
  }

  protected datagramOf(): void {}

  protected prioritised(): void {}

  protected accept(_pipe: Pipe): Session {
    this.fail(faults.serverStream);
    return NOBODY;
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  /** Requests that are not answered. */
  get open(): number {
    return this.streams.size;
  }

  get isIdle(): boolean {
    return this.isOpen && this.streams.size === 0;
  }

  private get isOpen(): boolean {
    return !this.isOver && !this.closing;
  }

  get hasRoom(): boolean {
    return this.isOpen && !this.isHeld && this.streams.size < this.bounds.queueMax;
  }

  /** Null when it takes no more for now. Throws a RangeError when it is no request that can be sent. */
  send(request: ClientRequest, events: AnswerEvents, made?: (sent: SentRequest) => void): SentRequest | null {
    checkSendable(request);
    if (!this.hasRoom) return null;
    this.openOurs();
    const silenceMs = request.silenceMs ?? this.bounds.silenceMs;
    let stream!: ClientStream;
    const pipe = this.mux.open(false, (pipe) => (stream = new ClientStream(this, pipe, request, events, silenceMs)));
    if (pipe === null) {
      this.isHeld = true;
      return null;
    }
    this.streams.add(stream);
    made?.(stream);
    const hasBody = hasBodyOf(request);
    this.writeHead(stream, request, hasBody);
    stream.begin(this.bounds.continueMs, hasBody);
    return stream;
  }

  private writeHead(stream: ClientStream, request: ClientRequest, hasBody: boolean): void {
    const { method, target, authority, fields, body, length } = request;
    const { writer } = this;
    const lines = writer.begin();
    writer.field(lines, ':method', method);
    if (method !== 'CONNECT') {
      writer.field(lines, ':scheme', 'https');
      writer.field(lines, ':path', target);
    }
    writer.field(lines, ':authority', authority);
    // TE says that trailers are taken, or nothing (§4.2).
    for (const [name, value] of fields)
      if (!NOT_SENT.has(name) || (name === 'te' && value === 'trailers')) writer.field(lines, name, value);
    const size = length ?? body?.length ?? (/^(?:POST|PUT|PATCH)$/.test(method) ? 0 : UNKNOWN);
    if (size !== UNKNOWN) writer.field(lines, 'content-length', String(size));
    if (request.expectContinue === true && hasBody) writer.field(lines, 'expect', '100-continue');
    writeSection(stream.pipe, stream.id, writer);
    this.sendInstructions();
  }

  override mayOpen(clock: Clock): void {
    super.mayOpen(clock);
    this.isHeld = false;
    if (this.hasRoom) this.events.idle();
  }

  override closed(stream: MessageStream): void {
    super.closed(stream);
    this.quietAt = this.clock.now + this.bounds.idleMs;
    if (this.streams.size === 0 && this.closing) this.fail(faults.ended);
    else if (this.hasRoom) this.events.idle();
  }

  /** Requests from `id` on were not looked at, and never will be (RFC 9114 §5.2). */
  protected wentAway(id: number): void {
    this.closing = true;
    for (const stream of this.streams as ReadonlySet<MessageStream> as ReadonlySet<ClientStream>) {
      if (stream.id < id) continue;
      stream.isUntouched = true;
      stream.cancel();
    }
    this.tellClosed(ENDED, null);
    if (this.streams.size === 0) this.fail(faults.ended);
  }

  // ---- ends --------------------------------------------------------------------------------------------------------

  override get deadline(): Instant {
    const quietAt = this.streams.size === 0 && !this.isOver ? this.quietAt : NEVER;
    return Math.min(super.deadline, quietAt);
  }

  protected due(clock: Clock): void {
    if (this.streams.size === 0 && clock.now >= this.quietAt) this.close();
  }

  /** No more requests; ends once all are answered. */
  close(): void {
    this.closing = true;
    this.tellClosed(ENDED, null);
    if (this.streams.size === 0) this.fail(faults.ended);
  }

  leave(_why: Why): void {
    this.close();
  }

  override fail(fault: Fault): void {
    this.tellClosed(ENDED, fault === faults.ended ? null : fault);
    super.fail(fault);
  }

  protected over(cause: Cause): void {
    this.tellClosed(cause, null);
  }

  private tellClosed(cause: Cause, fault: Fault | null): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.events.closed(cause, fault);
  }
}

/** On a stream that must not be. */
const NOBODY: Session = {
  deadline: NEVER,
  receive: (_input, _start, end) => end,
  overlong() {},
  writable() {},
  tick() {},
  finish() {},
  leave() {},
  lost() {},
};

function hasBodyOf({ body, length }: ClientRequest): boolean {
  return length === undefined ? body != null && body.length > 0 : length !== 0;
}

/** A caller's bug, or an injection. */
function checkSendable({ method, target, authority, fields, upgrade = '' }: ClientRequest): void {
  if (!isToken(method)) throw new RangeError(`${JSON.stringify(method)} is no method`);
  if (!/^[!"$-~]+$/.test(target)) throw new RangeError(`${JSON.stringify(target)} is no target of a request`);
  if (!/^[!-~]*$/.test(authority)) throw new RangeError(`${JSON.stringify(authority)} is no host`);
  if (upgrade !== '') throw new RangeError('HTTP/3 has no Upgrade');
  checkFields(fields);
}
