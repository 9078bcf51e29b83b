// Handlers as users write them: a standard `Request` in, a standard `Response` out. The only place of HTTP where promises
// are awaited: all of it is cut off when the exchange is lost. It knows no version of HTTP and no resource.
import type { Caller } from '../../core/caller.ts';
import type { BodyReader, Exchange, ExchangeEvents, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Peer } from '../../core/peer.ts';
import { type Cause, ENDED, REVOKED, type Why } from '../../core/pipe.ts';
import { answerProblem } from './answers.ts';
import { splitTarget } from './target.ts';

/** What a handler may want to know and a `Request` does not say. */
export interface FetchInfo {
  readonly caller: Caller;
  readonly peer: Peer;
  /** It arrived as TLS 1.3 early data and may be a replay. */
  readonly early: boolean;
}

export type FetchHandler = (request: Request, info: FetchInfo) => Response | Promise<Response>;

/** Bytes of a request's body that wait for the handler; with what one read of the connection brings on top. */
const HELD = 65_536;
/** One piece of an answer, between looks at the room. */
const PIECE = 65_536;

/** INTERNAL_ERROR and CANCEL (RFC 9113 §7), where the version has a code for a stream that fails. */
const INTERNAL_ERROR = 2;
const CANCEL = 8;

/** Fields that are the exchange's own to write (RFC 9110 §7.6.1, RFC 9113 §8.2.2). */
const OWN = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'content-length']);

/** Told what a handler, or the body that it gave, threw. */
export type HandlerFailed = (error: unknown, exchange: Exchange) => void;

/** A route of a user's. What it throws is answered with 500 and told. */
export function fetchHandler(handler: FetchHandler, failed: HandlerFailed): ExchangeHandler {
  return (exchange) => {
    const fetching = new Fetching(exchange, handler, failed);
    exchange.on = fetching;
    fetching.begin();
  };
}

type Source = ReadableStreamDefaultReader<Uint8Array>;

/** One request that a user's handler answers. */
class Fetching implements ExchangeEvents {
  private readonly exchange: Exchange;
  private readonly handler: FetchHandler;
  private readonly tell: HandlerFailed;
  /** Made when the handler asks for its signal, or there is a reason to abort. */
  private aborter: AbortController | null = null;
  private body: RequestBody | null = null;
  private source: Source | null = null;
  private written = 0;
  private gaveUp: DOMException | null = null;
  private responded = false;
  private gone = false;
  /** Wakes the answer when there is room again, or never will be. */
  private wake: (() => void) | null = null;

  constructor(exchange: Exchange, handler: FetchHandler, tell: HandlerFailed) {
    this.exchange = exchange;
    this.handler = handler;
    this.tell = tell;
  }

  begin(): void {
    const { exchange } = this;
    const request = this.makeRequest();
    if (request === null) {
      answerProblem(exchange, 400, 'The target, the method or a field of this request cannot be told to its handler.');
      return;
    }
    const { caller, peer, early } = exchange;
    let answer: Response | Promise<Response>;
    try {
      answer = this.handler(request, { caller, peer, early });
    } catch (error) {
      this.failed(error);
      return;
    }
    if (answer instanceof Response) {
      // What is neither read nor sent back stays unread, within the bounds of the connection.
      if (answer.body !== null || this.body?.stream.locked === true) this.body?.attach();
      this.respond(answer);
      return;
    }
    this.body?.attach();
    Promise.resolve(answer).then(
      (response) => this.respond(response),
      (error: unknown) => this.failed(error),
    );
  }

  /** Null when it cannot be one. */
  private makeRequest(): Request | null {
    const { exchange } = this;
    const { method, fields } = exchange;
    const { path, query } = splitTarget(exchange.target);
    const scheme = exchange.peer.tls === null ? 'http' : 'https';
    const authority = exchange.authority === '' ? 'localhost' : exchange.authority;
    const headers: [string, string][] = [];
    for (const [name, value] of fields) headers.push([name, isomorphic(value)]);
    const init: RequestInit & { duplex: 'half' } = { method, headers, duplex: 'half' };
    if (method !== 'GET' && method !== 'HEAD' && fields.get('content-length') !== '0') {
      this.body = new RequestBody(exchange);
      init.body = this.body.stream;
    }
    try {
      const url = `${scheme}://${authority}${path === '*' ? '/*' : path}${query === '' ? '' : `?${query}`}`;
      return new ServedRequest(url, init, this);
    } catch {
      this.body = null;
      return null;
    }
  }

  private respond(response: Response): void {
    const { exchange } = this;
    if (this.gone) {
      if (response instanceof Response && !response.bodyUsed) response.body?.cancel().catch(ignore);
      return;
    }
    try {
      const { status, body } = checked(response);
      const fields = fieldsOf(response);
      const length = lengthOf(response);
      if (body !== null && exchange.method !== 'HEAD') {
        this.source = body.getReader();
        this.stream(this.source, status, fields, length).catch((error: unknown) => this.failed(error));
        return;
      }
      // For HEAD without a length none is told: the body's is not known (RFC 9110 §8.6).
      this.head(status, fields, length ?? (body === null ? 0 : null));
      body?.cancel().catch(ignore);
      this.end();
    } catch (error) {
      this.failed(error);
    }
  }

  /** Aborted when the exchange is lost. */
  get signal(): AbortSignal {
    if (this.aborter === null) {
      this.aborter = new AbortController();
      if (this.gaveUp !== null) this.aborter.abort(this.gaveUp);
    }
    return this.aborter.signal;
  }

  private head(status: number, fields: Fields, length: number | null): void {
    this.exchange.respond(status, fields, length ?? undefined);
    this.responded = true;
  }

  /** Passes the answer's body on as there is room for it. */
  private async stream(source: Source, status: number, fields: Fields, length: number | null): Promise<void> {
    const { exchange } = this;
    let next = source.read();
    if (length === null) {
      // A body that is whole already, as of `new Response('text')`, gets its length.
      const first = await soon(next);
      const second = first?.done === false ? source.read() : null;
      const last = second === null ? first : await soon(second);
      if (this.gone) return;
      if (last?.done === true) length = first!.value?.length ?? 0;
      this.head(status, fields, length);
      if (second !== null) {
        await this.write(first!.value, length);
        next = second;
      }
    } else this.head(status, fields, length);
    exchange.flush();
    for (;;) {
      const { done, value } = await next;
      if (this.gone) return;
      if (done) break;
      await this.write(value, length);
      if (this.gone) return;
      next = source.read();
    }
    if (length !== null && this.written < length)
      throw new RangeError('the Response is shorter than its Content-Length');
    this.end();
  }

  private async write(value: Uint8Array | undefined, length: number | null): Promise<void> {
    const { exchange } = this;
    if (!(value instanceof Uint8Array)) throw new TypeError('a chunk of the Response is no Uint8Array');
    this.written += value.length;
    if (length !== null && this.written > length)
      throw new RangeError('the Response is longer than its Content-Length');
    for (let at = 0; at < value.length; at += PIECE) {
      if (exchange.room <= 0) await this.room();
      if (this.gone) return;
      exchange.share(value, at, Math.min(value.length, at + PIECE));
      exchange.flush();
    }
  }

  private room(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  private end(): void {
    this.source = null;
    this.exchange.end();
    this.exchange.flush();
    this.body?.answered();
  }

  /** The handler, or the body that it gave, failed. */
  private failed(error: unknown): void {
    const { exchange } = this;
    // After its signal, a handler that gives up does what it should.
    if (this.gone) return;
    this.tell(error, exchange);
    this.source?.cancel(error).catch(ignore);
    this.source = null;
    if (this.responded) exchange.reset(INTERNAL_ERROR);
    else {
      this.responded = true;
      answerProblem(exchange, 500, 'The handler of this request failed. The log of the server says why.');
    }
    this.body?.answered();
  }

  // Events

  writable(): void {
    const { wake } = this;
    this.wake = null;
    wake?.();
  }

  tick(): void {}

  leave(why: Why): void {
    // Those who may no longer see it get no more of it; what else is under way may come to its end.
    if (why === REVOKED) this.exchange.reset(CANCEL);
  }

  lost(cause: Cause): void {
    this.gone = true;
    if (cause !== ENDED || this.source !== null) {
      const reason = new DOMException('The client went away.', 'AbortError');
      this.gaveUp = reason;
      this.aborter?.abort(reason);
      this.source?.cancel(reason).catch(ignore);
    }
    this.body?.lost();
    this.writable();
  }
}

/** A request with a signal that is made when somebody asks for it: few do, and it costs more than all the rest. */
class ServedRequest extends Request {
  readonly #fetching: Fetching;

  constructor(url: string, init: RequestInit, fetching: Fetching) {
    super(url, init);
    this.#fetching = fetching;
  }

  static {
    // The types have it as a property, which could not be overridden.
    Object.defineProperty(ServedRequest.prototype, 'signal', {
      get(this: ServedRequest): AbortSignal {
        return this.#fetching.signal;
      },
    });
  }

  override clone(): Request {
    const { signal } = this;
    return Object.defineProperty(super.clone(), 'signal', { value: signal });
  }
}

/** The body of a request as a stream that holds the sender back while nobody reads it. */
class RequestBody implements BodyReader {
  readonly stream: ReadableStream<Uint8Array>;
  private readonly exchange: Exchange;
  private controller!: ReadableByteStreamController;
  private attached = false;
  private paused = false;
  /** Nobody wants it any more, or it is whole. */
  private over = false;
  private lostOrWhole = false;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
    this.stream = new ReadableStream(
      {
        type: 'bytes',
        start: (controller) => {
          this.controller = controller;
        },
        pull: () => this.pull(),
        cancel: () => this.discard(),
      },
      { highWaterMark: 0 },
    );
  }

  /** Asks for the body: at the first read, or when the handler has returned and may read it later. */
  attach(): void {
    if (this.attached) return;
    this.attached = true;
    this.exchange.body(this);
  }

  private pull(): void {
    this.attach();
    if (!this.paused) return;
    this.paused = false;
    this.exchange.resume();
  }

  /** Who reads it may go on; if nobody does, nobody will. */
  answered(): void {
    if (this.over || this.stream.locked) return;
    this.controller.error(new TypeError('the request was answered before its body was read'));
    this.discard();
  }

  private discard(): void {
    this.over = true;
    if (this.paused && !this.lostOrWhole) {
      this.paused = false;
      this.exchange.resume();
    }
  }

  receive(input: Uint8Array, start: number, end: number): number {
    if (this.over) return end;
    this.controller.enqueue(Uint8Array.prototype.slice.call(input, start, end));
    if (-(this.controller.desiredSize ?? 0) >= HELD) {
      this.paused = true;
      this.exchange.pause();
    }
    return end;
  }

  trailers(): void {}

  finish(): void {
    this.lostOrWhole = true;
    if (this.over) return;
    this.over = true;
    this.controller.close();
    // A read into the reader's own buffer that waits is told the end so (Streams §4.7.4).
    this.controller.byobRequest?.respond(0);
  }

  lost(): void {
    this.lostOrWhole = true;
    if (this.over) return;
    this.over = true;
    this.controller.error(new DOMException('The client went away.', 'AbortError'));
  }
}

function checked(response: Response): { status: number; body: ReadableStream<Uint8Array> | null } {
  if (!(response instanceof Response)) throw new TypeError('the handler answered no Response');
  const { status, body } = response;
  if (status < 200) throw new RangeError('the handler answered Response.error()');
  if (response.bodyUsed || body?.locked === true) throw new TypeError('the body of the Response was read already');
  return { status, body };
}

/** Steps of the microtask queue in which a body that is whole already says so. */
const SOON = 4;

/** What a promise has come to within a few steps, without a turn; undefined when it has not. */
async function soon<Value>(promise: Promise<Value>): Promise<Value | undefined> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  for (let step = 0; step < SOON && !settled; step++) await null;
  return settled ? promise : undefined;
}

/** The fields of the answer; each Set-Cookie stays a field of its own (RFC 6265 §3). */
function fieldsOf({ headers }: Response): Fields {
  const fields = new Fields();
  for (const [name, value] of headers) if (!OWN.has(name)) fields.append(name, unicode(value));
  return fields;
}

function lengthOf({ headers }: Response): number | null {
  const text = headers.get('content-length');
  if (text === null) return null;
  if (!/^\d{1,15}$/.test(text)) throw new RangeError(`${JSON.stringify(text)} is no Content-Length`);
  return Number(text);
}

/** `Headers` has one character for each byte; `Fields` has text. */
function isomorphic(value: string): string {
  return isAscii(value) ? value : Buffer.from(value).toString('latin1');
}

function unicode(value: string): string {
  return isAscii(value) ? value : Buffer.from(value, 'latin1').toString();
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

/** A stream that fails while it is given up: there is nobody left to tell. */
function ignore(): void {}
