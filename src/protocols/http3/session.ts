// The server's half of an HTTP/3 connection: which heads become requests, and how it all ends (RFC 9114 §4.1, §5.2). What a
// request means is the routes' business.
import { u32 } from '../../bytes/reader.ts';
import type { AccessLog } from '../../core/access.ts';
import { type Caller, callerOf } from '../../core/caller.ts';
import type { Fault } from '../../core/fault.ts';
import type { Mux } from '../../core/mux.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Host, reportBug } from '../../core/protocol.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { answerProblem } from '../http/answers.ts';
import { type RequestHead, readPriority } from '../http/request-head.ts';
import { AnswerHeads } from './answer-heads.ts';
import {
  ENABLE_CONNECT_PROTOCOL,
  ENABLE_WEBTRANSPORT,
  H3_DATAGRAM,
  H3_INTERNAL_ERROR,
  MAX_FIELD_SECTION_SIZE,
  STREAM_MAX,
  WEBTRANSPORT_MAX_SESSIONS,
  writeGoaway,
} from './codec.ts';
import { Connection } from './connection.ts';
import { Http3Exchange } from './exchange.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import type { MessageStream } from './message-stream.ts';
import { RequestHeads } from './request-heads.ts';
import type { Transport } from './transport.ts';
import { Transports } from './transports.ts';

/** What of a server's host is asked for. */
export type Http3Host = Pick<
  Host<unknown, typeof limits>,
  'limits' | 'clock' | 'entropy' | 'log' | 'bug' | 'access' | 'routes'
>;

/** How long a client has to hear that we go before its requests are refused, and the last word before we are gone. */
const ANNOUNCED_MS = 500;
const LAST_MS = 50;

/** Priorities of requests that have not come: so many are kept. */
const PRIORITIES_MAX = 128;

function prioritise({ pipe }: MessageStream, text: string): void {
  const said = { urgency: 3, incremental: false };
  readPriority(text, said);
  pipe.prioritise?.(said.urgency, said.incremental);
}

/** What may be done twice, so that early data may ask for it (RFC 8470 §3). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

export class Http3Session extends Connection {
  readonly heads: RequestHeads;
  readonly answers: AnswerHeads;
  /** Who asks until the guard has looked. */
  readonly nobody: Caller;
  readonly access: AccessLog | null;
  readonly pushFault = faults.pushStream;
  protected readonly isServer = true;
  private readonly host: Http3Host;
  /** The stream after the last that was taken, and the first that will not be. */
  private nextStream = 0;
  private firstRefused = Number.POSITIVE_INFINITY;
  private leaving = false;
  private finalAt: Instant = NEVER;
  private endAt: Instant = NEVER;
  private idleAt: Instant;
  private readonly transports: Transports;
  /** Of requests that have not come. */
  private readonly priorities = new Map<number, string>();

  constructor(mux: Mux, host: Http3Host) {
    super(mux, host.limits);
    this.host = host;
    this.access = host.access ?? null;
    this.heads = new RequestHeads(this.reader);
    this.answers = new AnswerHeads(this.writer);
    this.nobody = callerOf(mux.peer, '', 0);
    this.idleAt = host.clock.now + host.limits.idleMs;
    this.transports = new Transports(this);
  }

  get clock(): Clock {
    return this.host.clock;
  }

  protected settings(): readonly number[] {
    const { headBytesMax, transportsMax } = this.limits;
    const settings = [MAX_FIELD_SECTION_SIZE, headBytesMax, ENABLE_CONNECT_PROTOCOL, 1];
    if (transportsMax === 0) return settings;
    return [...settings, H3_DATAGRAM, 1, ENABLE_WEBTRANSPORT, 1, WEBTRANSPORT_MAX_SESSIONS, transportsMax];
  }

  protected chance(): number {
    const bytes = new Uint8Array(4);
    this.host.entropy.fill(bytes);
    return u32(bytes, 0) & 0x0fff_ffff;
  }

  /** Clients name pushes, of which there are none: any number will do (§7.2.6). */
  protected mayName(): boolean {
    return true;
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  protected accept(pipe: Pipe): Session {
    const exchange = new Http3Exchange(this, pipe);
    this.streams.add(exchange);
    return exchange;
  }

  transportStream(pipe: Pipe, session: number, oneWay: boolean): Session | null {
    return this.transports.opened(pipe, session, oneWay);
  }

  protected datagramOf(id: number, bytes: Uint8Array, start: number, end: number, clock: Clock): void {
    this.transports.datagram(id, bytes, start, end, clock);
  }

  transportBegan(id: number, transport: Transport): void {
    this.transports.began(id, transport);
  }

  override mayOpen(clock: Clock): void {
    super.mayOpen(clock);
    this.transports.mayOpen(clock);
  }

  protected prioritised(id: number, text: string): void {
    for (const stream of this.streams)
      if (stream.id === id) {
        prioritise(stream, text);
        return;
      }
    if (id < this.nextStream || (this.priorities.size >= PRIORITIES_MAX && !this.priorities.has(id))) return;
    this.priorities.set(id, text);
  }

  /** What its head says, or what was said of it before it came (RFC 9218 §7). */
  prioritiseNew(exchange: Http3Exchange, head: RequestHead): void {
    const text = this.priorities.get(exchange.id);
    if (text === undefined) exchange.pipe.prioritise?.(head.urgency, head.incremental);
    else {
      this.priorities.delete(exchange.id);
      prioritise(exchange, text);
    }
  }

  /** Why a request is not taken, whatever it is. */
  refusal({ id }: Http3Exchange): Fault | null {
    if (id >= this.firstRefused) return faults.goingAway;
    if (id >= this.nextStream) this.nextStream = id + 4;
    return this.streams.size > this.limits.streamsMax ? faults.streamsTooMany : null;
  }

  refusalOfTransport(): Fault | null {
    return this.transports.size < this.limits.transportsMax ? null : faults.transportsTooMany;
  }

  /** One was refused, or reset before it was answered. */
  refused(): void {
    if (!this.isOver && !this.resets.take(this.clock.now)) this.fail(faults.resets);
  }

  route(exchange: Http3Exchange, tooLarge: boolean): void {
    const { limits: bounds } = this;
    this.earn();
    exchange.early = this.mux.early === true;
    try {
      if (tooLarge) {
        const detail = `The fields take more than ${bounds.headBytesMax} bytes, or are more than ${bounds.fieldsMax}.`;
        answerProblem(exchange, 431, detail);
      } else if (exchange.early && !SAFE.has(exchange.method))
        answerProblem(exchange, 425, 'This came before the handshake was over and may be a replay: ask again.');
      else this.host.routes(exchange);
    } catch (error) {
      this.bug(exchange, error);
    }
  }

  /** A handler threw: a bug that ends its exchange only. */
  private bug(exchange: Http3Exchange, error: unknown): void {
    this.report(`${exchange.method} ${exchange.target}`, error);
    if (exchange.isOver) return;
    if (exchange.status !== 0) exchange.reset(H3_INTERNAL_ERROR);
    else answerProblem(exchange, 500, 'The server failed to answer this request; its log says why.');
  }

  report(request: string, error: unknown): void {
    reportBug(this.host, error, 'what answers a request', { connection: this.mux.id, request });
  }

  // ---- ends --------------------------------------------------------------------------------------------------------

  override get deadline(): Instant {
    if (this.isOver) return NEVER;
    const idleAt = this.streams.size === 0 && !this.leaving ? this.idleAt : NEVER;
    return Math.min(super.deadline, idleAt, this.finalAt, this.endAt);
  }

  protected due(clock: Clock): void {
    if (clock.now >= this.endAt && this.streams.size > 0) this.endAt = NEVER;
    else if (clock.now >= this.endAt) this.fail(faults.ended);
    else if (clock.now >= this.finalAt) this.sayLast(clock);
    else if (this.streams.size === 0 && clock.now >= this.idleAt && !this.leaving) {
      this.leaving = true;
      this.sayLast(clock);
    }
  }

  override closed(stream: MessageStream): void {
    super.closed(stream);
    this.transports.closed(stream.id);
    if (this.streams.size > 0) return;
    const { clock } = this;
    this.idleAt = clock.now + this.limits.idleMs;
    if (this.firstRefused !== Number.POSITIVE_INFINITY) this.endAt = clock.now + LAST_MS;
  }

  /** Says that it goes, answers what was asked until the client can have heard, and ends (§5.2). */
  leave(why: Why, clock: Clock): void {
    if (this.isOver) return;
    for (const stream of this.streams) stream.leave(why, clock);
    if (this.leaving) return;
    this.leaving = true;
    this.openOurs();
    if (this.streams.size === 0) {
      this.sayLast(clock);
      return;
    }
    this.sayGoaway(STREAM_MAX);
    this.finalAt = clock.now + ANNOUNCED_MS;
  }

  private sayLast(clock: Clock): void {
    this.finalAt = NEVER;
    this.firstRefused = this.nextStream;
    this.sayGoaway(this.nextStream);
    if (this.streams.size === 0) this.endAt = clock.now + LAST_MS;
  }

  private sayGoaway(id: number): void {
    if (this.ours === null) return;
    writeGoaway(this.ours.out, id);
    this.ours.flush();
  }

  /** A client that goes away takes no pushes, of which there are none; what it asked is answered. */
  protected wentAway(_id: number, clock: Clock): void {
    this.leaving = true;
    if (this.streams.size === 0) this.endAt = clock.now + LAST_MS;
    this.firstRefused = Math.min(this.firstRefused, Number.MAX_SAFE_INTEGER);
  }

  protected over(_cause: Cause, _wire: number): void {}
}
