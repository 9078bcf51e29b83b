// GraphQL over SSE: a stream of events for one operation, and streams that are reserved first and carry many.
import type { Exchange, ExchangeEvents } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { REVOKED, type Why } from '../../core/pipe.ts';
import type { Clock } from '../../core/time.ts';
import { answerNothing } from '../http/answers.ts';
import { answerErrors, answerFault, JSON_TYPE } from './answers.ts';
import { refusalText } from './codes.ts';
import { type Engine, isRefused, type Readied } from './engine.ts';
import { completeEvent, nextEvent, SILENCE } from './events.ts';
import type { Asked, Asker, Doing, Output } from './execution.ts';
import { faults } from './faults.ts';
import type { GraphqlHost } from './server-topics.ts';

/** CANCEL (RFC 9113 §7). */
const CANCEL = 8;

/** Of a stream that is reserved but not open so much may wait. */
const WAITING_CHARACTERS_MAX = 1_048_576;

const STREAM_FIELDS = Fields.of({
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // What some proxies would gather would not be heard in time.
  'x-accel-buffering': 'no',
  vary: 'Accept',
}).fix();

function open(exchange: Exchange, now: number, keepAliveMs: number): void {
  exchange.respond(200, STREAM_FIELDS);
  exchange.out.ascii(SILENCE);
  exchange.deadline = now + keepAliveMs;
  exchange.flush();
}

function write(exchange: Exchange, text: string): void {
  const bytes = Buffer.from(text);
  exchange.share(bytes, 0, bytes.length);
  exchange.flush();
}

/** One operation, whose stream ends with it. */
class DistinctStream implements Output, ExchangeEvents {
  private readonly exchange: Exchange;
  private readonly streams: EventStreams;
  private doing: Doing | null = null;
  private over = false;

  constructor(exchange: Exchange, streams: EventStreams) {
    this.exchange = exchange;
    this.streams = streams;
    exchange.on = this;
  }

  begin(engine: Engine, readied: Readied, asker: Asker): void {
    const { host } = this.streams;
    open(this.exchange, host.clock.now, host.limits.keepAliveMs);
    if (isRefused(readied)) {
      // A browser's EventSource is told nothing of an answer that is no stream.
      this.next(refusalText(readied));
      this.end();
      return;
    }
    const doing = engine.start(readied, asker, this);
    if (this.over) doing.cancel();
    else this.doing = doing;
  }

  get room(): number {
    return this.over ? 0 : this.exchange.room;
  }

  next(text: string): void {
    if (!this.over) write(this.exchange, nextEvent(null, text));
  }

  end(): void {
    if (this.over) return;
    this.finish();
    write(this.exchange, completeEvent(null));
    this.exchange.end();
    this.exchange.flush();
  }

  writable(): void {
    this.doing?.more();
  }

  tick(clock: Clock): void {
    const { exchange } = this;
    exchange.deadline = clock.now + this.streams.host.limits.keepAliveMs;
    if (exchange.room > 0) exchange.out.ascii(SILENCE);
    exchange.flush();
  }

  leave(why: Why): void {
    if (this.over) return;
    this.cancel();
    // One that hears no `complete` comes back.
    if (why === REVOKED) this.exchange.reset(CANCEL);
    else {
      this.exchange.end();
      this.exchange.flush();
    }
  }

  lost(): void {
    this.cancel();
  }

  private cancel(): void {
    if (this.over) return;
    const { doing } = this;
    this.finish();
    doing?.cancel();
  }

  private finish(): void {
    this.over = true;
    this.doing = null;
    this.streams.distinct--;
  }
}

/** An operation within a stream. */
class StreamOperation implements Output {
  readonly id: string;
  private readonly stream: SingleStream;
  doing: Doing | null = null;
  over = false;

  constructor(id: string, stream: SingleStream) {
    this.id = id;
    this.stream = stream;
  }

  get room(): number {
    return this.over ? 0 : this.stream.room;
  }

  next(text: string): void {
    if (!this.over) this.stream.write(nextEvent(this.id, text));
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.stream.ended(this);
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.doing?.cancel();
  }
}

/** A stream that was reserved, whose operations are asked for beside it. */
class SingleStream implements ExchangeEvents {
  readonly account: string;
  /** Not opened by then, it is gone. */
  readonly reservedUntil: number;
  exchange: Exchange | null = null;
  private readonly token: string;
  private readonly streams: EventStreams;
  private readonly operations = new Map<string, StreamOperation>();
  private waiting = '';
  private over = false;

  constructor(token: string, account: string, streams: EventStreams) {
    const { host } = streams;
    this.token = token;
    this.account = account;
    this.streams = streams;
    this.reservedUntil = host.clock.now + host.limits.reservedMs;
  }

  open(exchange: Exchange): void {
    const { host } = this.streams;
    this.exchange = exchange;
    exchange.on = this;
    open(exchange, host.clock.now, host.limits.keepAliveMs);
    if (this.waiting !== '') write(exchange, this.waiting);
    this.waiting = '';
    this.writable();
  }

  get size(): number {
    return this.operations.size;
  }

  has(id: string): boolean {
    return this.operations.has(id);
  }

  begin(id: string, engine: Engine, asked: Asked, asker: Asker): void {
    const operation = new StreamOperation(id, this);
    this.operations.set(id, operation);
    const doing = engine.start(asked, asker, operation);
    if (operation.over) return;
    operation.doing = doing;
  }

  /** The client wants no more of it. */
  complete(id: string): void {
    const operation = this.operations.get(id);
    if (operation === undefined) return;
    operation.cancel();
    this.ended(operation);
  }

  ended(operation: StreamOperation): void {
    this.operations.delete(operation.id);
    this.write(completeEvent(operation.id));
  }

  get room(): number {
    if (this.over) return 0;
    return this.exchange === null ? WAITING_CHARACTERS_MAX - this.waiting.length : this.exchange.room;
  }

  write(text: string): void {
    if (this.over) return;
    if (this.exchange === null) this.waiting += text;
    else write(this.exchange, text);
  }

  writable(): void {
    for (const { doing } of [...this.operations.values()]) doing?.more();
  }

  tick(clock: Clock): void {
    const exchange = this.exchange!;
    exchange.deadline = clock.now + this.streams.host.limits.keepAliveMs;
    if (exchange.room > 0) exchange.out.ascii(SILENCE);
    exchange.flush();
  }

  leave(why: Why): void {
    const exchange = this.exchange!;
    this.close();
    if (why === REVOKED) exchange.reset(CANCEL);
    else {
      exchange.end();
      exchange.flush();
    }
  }

  lost(): void {
    this.close();
  }

  close(): void {
    if (this.over) return;
    this.over = true;
    this.streams.forget(this.token);
    for (const operation of this.operations.values()) operation.cancel();
    this.operations.clear();
    this.waiting = '';
  }
}

/** All streams of a server. */
export class EventStreams {
  readonly host: GraphqlHost;
  /** Those of one operation that are open. */
  distinct = 0;
  private readonly engine: Engine;
  private readonly reserved = new Map<string, SingleStream>();

  constructor(host: GraphqlHost, engine: Engine) {
    this.host = host;
    this.engine = engine;
  }

  forget(token: string): void {
    this.reserved.delete(token);
  }

  /** A stream for one operation. */
  serve(exchange: Exchange, readied: Readied, asker: Asker): void {
    if (this.isFull()) {
      answerFault(exchange, JSON_TYPE, faults.streamsTooMany);
      return;
    }
    this.distinct++;
    new DistinctStream(exchange, this).begin(this.engine, readied, asker);
  }

  private isFull(): boolean {
    const { streamsMax } = this.host.limits;
    if (this.distinct + this.reserved.size < streamsMax) return false;
    // Those that nobody came for make room.
    const { now } = this.host.clock;
    for (const stream of [...this.reserved.values()])
      if (stream.exchange === null && stream.reservedUntil <= now) stream.close();
    return this.distinct + this.reserved.size >= streamsMax;
  }

  /** PUT: the token by which a stream is opened and operations are asked for. */
  reserve(exchange: Exchange): void {
    if (this.isFull()) {
      answerFault(exchange, JSON_TYPE, faults.streamsTooMany);
      return;
    }
    const random = Buffer.alloc(16);
    this.host.entropy.fill(random);
    const token = random.toString('hex');
    this.reserved.set(token, new SingleStream(token, exchange.caller.account, this));
    const body = Buffer.from(token);
    const fields = Fields.of({ 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
    exchange.respond(201, fields, body.length);
    exchange.share(body, 0, body.length);
    exchange.end();
    exchange.flush();
  }

  /** The caller's own stream by its token; answers when there is none. */
  private find(exchange: Exchange, token: string): SingleStream | null {
    const stream = this.reserved.get(token);
    const isGone = stream?.exchange === null && stream.reservedUntil <= this.host.clock.now;
    if (isGone) stream.close();
    if (stream !== undefined && !isGone && stream.account === exchange.caller.account) return stream;
    answerFault(exchange, JSON_TYPE, faults.streamUnknown);
    return null;
  }

  /** GET, or POST without a body: the stream itself. */
  open(exchange: Exchange, token: string): void {
    const stream = this.find(exchange, token);
    if (stream === null) return;
    if (stream.exchange !== null) answerFault(exchange, JSON_TYPE, faults.streamTaken);
    else stream.open(exchange);
  }

  /** POST with a token: an operation whose answers come in the stream. */
  ask(exchange: Exchange, token: string, id: unknown, readied: Readied, asker: Asker): void {
    const stream = this.find(exchange, token);
    if (stream === null) return;
    const { socketOperationsMax, idCharactersMax } = this.host.limits;
    if (typeof id !== 'string' || id === '' || id.length > idCharactersMax)
      answerFault(exchange, JSON_TYPE, faults.badParameters, 'extensions.operationId is missing, or too long.');
    else if (stream.has(id)) answerFault(exchange, JSON_TYPE, faults.operationTaken);
    // What nobody reads does not grow.
    else if (stream.size >= socketOperationsMax || stream.room <= 0)
      answerFault(exchange, JSON_TYPE, faults.operationsTooMany);
    else if (isRefused(readied)) answerErrors(exchange, JSON_TYPE, readied, 400);
    else {
      answerNothing(exchange, 202);
      stream.begin(id, this.engine, readied, asker);
    }
  }

  /** DELETE: ends one of its operations. */
  complete(exchange: Exchange, token: string, id: string | null): void {
    const stream = this.find(exchange, token);
    if (stream === null) return;
    if (id === null || id === '') {
      answerFault(exchange, JSON_TYPE, faults.badParameters, 'operationId is missing.');
      return;
    }
    answerNothing(exchange, 200);
    stream.complete(id);
  }
}
