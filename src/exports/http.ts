// `portico/http`: a client of HTTP/1.1, 2 and 3 with the shapes of `fetch`. It is built on the same code that the server's tests
// hold against the RFCs; the connections, the pool and their bounds are the caller's to choose.
import type { BodyReader } from '../core/exchange.ts';
import type { Fault } from '../core/fault.ts';
import { Fields } from '../core/fields.ts';
import { type Bound, bindLimits } from '../core/limits.ts';
import type { Cause } from '../core/pipe.ts';
import { NEVER } from '../core/time.ts';
import type { TlsPolicy } from '../core/tls.ts';
import { type ClientRequest, type SentRequest, UNKNOWN } from '../protocols/http/client.ts';
import { clientLimits } from '../protocols/http1/client-limits.ts';
import {
  HttpPool,
  type MakeConnection,
  type OpenConnection,
  type Origin,
  type PoolEvents,
  type PooledRequest,
} from '../protocols/http1/pool.ts';
import { Http2Client } from '../protocols/http2/client.ts';
import { Alternatives, EitherRequest, toAlternative } from './alternatives.ts';
import { ConnectionError, dialWith, placeOf, policyFor, type TlsOptions, turn } from './loop.ts';

export type { Bound } from '../core/limits.ts';
export { ConnectionError, type TlsOptions } from './loop.ts';

/** Standard ports by scheme (RFC 9110 §4.2). */
const PORTS = { 'http:': 80, 'https:': 443 } as const;

const ONLY_HTTP3: readonly string[] = ['h3'];
const REDIRECTS_MAX = 10;

/** How much of an answer's body is held before the server is made to wait. */
const HELD_BYTES = 65_536;

export type Limits = Partial<Bound<typeof clientLimits>>;

/** What is spoken beside HTTP/1.1, by ALPN. */
const SPEAKS: Readonly<Record<string, MakeConnection>> = {
  h2: (pipe, clocked, limits, events) => new Http2Client(pipe, clocked, limits, events),
};

/** QUIC is loaded when it is asked for: most programs do not need it. */
const openHttp3: OpenConnection = (origin, limits, made, refused) => {
  import('./http3-dial.ts').then(
    ({ openHttp3 }) => openHttp3(origin, limits, made, refused),
    (error: Error) => refused(error.message),
  );
};

export interface HttpClientOptions {
  /** Bounds other than the defaults: see `portico/http` in docs/library.md. */
  readonly limits?: Limits;
  readonly tls?: TlsOptions;
  /** False: HTTP/1.1 alone; else servers that are reached over TLS choose (RFC 7301). */
  readonly http2?: boolean;
  /**
   * True: HTTP/3 alone, and `https:` URLs alone. 'auto': where a server's answers over TLS say that it speaks HTTP/3 (RFC 7838), it
   * is asked so from then on, and over TCP where that does not stand within a quarter of a second.
   */
  readonly http3?: boolean | 'auto';
}

/** What a body may be: whole, or in pieces, which are sent as fast as the server takes them. */
export type Body =
  | string
  | Uint8Array
  | ArrayBuffer
  | URLSearchParams
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>;

export interface FetchOptions {
  readonly method?: string;
  readonly headers?: Headers | Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  readonly body?: Body | null;
  readonly signal?: AbortSignal | null;
  /** 301, 302, 303, 307 and 308 are followed, up to ten times, unless it says otherwise. */
  readonly redirect?: 'follow' | 'manual' | 'error';
  /** Lets the server refuse before the body is sent (RFC 9110 §10.1.1). */
  readonly expectContinue?: boolean;
  /** How long nothing may move in either direction, in milliseconds; Infinity for streams and long polls. */
  readonly silenceMs?: number;
}

/**
 * A client with connections of its own, used again while they last.
 *
 * Errors: TypeError for a URL or request that cannot be sent; ConnectionError when there is no answer; the signal's reason
 * when it is aborted. An answer with a status of 4xx or 5xx is no error. Idle connections keep a program alive until
 * `idleMs` has passed, or `close` is called.
 *
 * Sources: RFC 9110, RFC 9112; the shapes are those of the Fetch standard, without its cache, cookies, coding and CORS.
 */
export class HttpClient {
  private readonly pool: HttpPool;
  private readonly tls: TlsOptions;
  private readonly alpn: readonly string[];
  private readonly alternatives: Alternatives | null;
  /** Policies by host: the pool tells connections apart by them. */
  private readonly policies = new Map<string, TlsPolicy>();

  constructor({ limits = {}, tls = {}, http2 = true, http3 = false }: HttpClientOptions = {}) {
    this.alternatives = http3 === 'auto' ? new Alternatives() : null;
    this.alpn = http3 === true ? ['h3'] : http2 ? ['h2', 'http/1.1'] : ['http/1.1'];
    const bound = bindLimits(clientLimits, limits as Record<string, number>);
    this.tls = tls;
    const inputMax = bound.requestLineBytesMax + bound.headBytesMax + 65_536;
    this.pool = new HttpPool(dialWith(inputMax), turn, bound, { speaks: SPEAKS, opens: { h3: openHttp3 } });
  }

  /** Connections that stand, and requests that wait for one. */
  get figures(): { readonly connections: number; readonly waiting: number } {
    return this.pool.figures;
  }

  /** Sends a request; resolves with the head of its answer. Its body comes as fast as it is read. */
  async fetch(url: string | URL, options: FetchOptions = {}): Promise<Response> {
    let at = new URL(url);
    let asked: FetchOptions = { ...options, headers: new Headers(options.headers as Record<string, string>) };
    for (let hops = 0; ; hops++) {
      const response = await this.once(at, asked);
      const to = options.redirect === 'manual' ? null : redirectOf(response, at);
      if (to === null) return response;
      await dropBody(response);
      if (options.redirect === 'error') throw new ConnectionError(`${at} redirects to ${to}`);
      if (hops === REDIRECTS_MAX) throw new ConnectionError(`${url} redirects more than ${REDIRECTS_MAX} times`);
      asked = redirected(asked, response.status, to.origin === at.origin);
      at = to;
    }
  }

  /** Ends idle connections, and all others once their answers are whole. Later requests are refused. */
  close(): void {
    this.pool.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private once(url: URL, options: FetchOptions): Promise<Response> {
    const { host, port, user, password } = placeOf(url.href, PORTS);
    const tls = url.protocol === 'https:' ? this.policy(host) : null;
    if (tls === null && this.alpn[0] === 'h3')
      throw new TypeError(`${url.origin} is not https: HTTP/3 is never in the clear`);
    const fields = fieldsOf(options.headers, user, password);
    const request = requestOf(url, options, fields);
    const origin = { host, port, tls };
    const { pool, alternatives } = this;
    if (alternatives === null || tls === null)
      return this.send(url, options, request, (events) => pool.request(origin, request, events));
    return this.either(url, options, request, origin, alternatives);
  }

  private send(url: URL, options: FetchOptions, request: ClientRequest, ask: Ask): Promise<Response> {
    return new Promise((resolve, reject) => {
      options.signal?.throwIfAborted();
      new Fetch(url, options, request, resolve, reject).begin(ask);
    });
  }

  /** Over the version that the server is known to speak, or whichever stands first. */
  private async either(
    url: URL,
    options: FetchOptions,
    request: ClientRequest,
    second: Origin,
    alternatives: Alternatives,
  ): Promise<Response> {
    const { pool } = this;
    const found = alternatives.find(url.origin, Date.now());
    const direct: Ask = (events) => pool.request(second, request, events);
    let ask = direct;
    if (found !== null) {
      const { port } = found;
      const host = found.host === '' ? second.host : found.host;
      const first = { host, port, tls: this.policy(second.host, ONLY_HTTP3) };
      const told = (worked: boolean) =>
        worked ? alternatives.worked(url.origin) : alternatives.failed(url.origin, Date.now());
      const firstRequest = toAlternative(request, host, port);
      ask = (events) => new EitherRequest({ pool, first, firstRequest, second, request, told }, events);
    }
    const response = await this.send(url, options, request, ask);
    // Who is not who was meant is not asked again, and a body that went in pieces is gone (RFC 7838 §6).
    if (found !== null && response.status === 421) {
      alternatives.forget(url.origin);
      if (request.length !== undefined) return response;
      await dropBody(response);
      return this.send(url, options, request, direct);
    }
    alternatives.learn(url.origin, response.headers.get('alt-svc'), Date.now());
    return response;
  }

  private policy(host: string, alpn: readonly string[] = this.alpn): TlsPolicy {
    const key = `${alpn[0]} ${host}`;
    const known = this.policies.get(key);
    if (known !== undefined) return known;
    // What is forgotten costs a new connection, and no more.
    if (this.policies.size >= 1_024) this.policies.clear();
    const policy = { ...policyFor(host, this.tls), alpn };
    this.policies.set(key, policy);
    return policy;
  }
}

function fieldsOf(headers: FetchOptions['headers'], user: string, password: string): Fields {
  const fields = new Fields();
  for (const [name, value] of new Headers(headers as Record<string, string>)) fields.append(name, value);
  if (!fields.has('accept')) fields.append('accept', '*/*');
  if (!fields.has('user-agent')) fields.append('user-agent', 'portico');
  if ((user !== '' || password !== '') && !fields.has('authorization'))
    fields.append('authorization', `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`);
  return fields;
}

function requestOf(url: URL, options: FetchOptions, fields: Fields): ClientRequest {
  const whole = wholeOf(options.body ?? null, fields);
  const length = fields.get('content-length');
  return {
    method: options.method ?? 'GET',
    target: `${url.pathname}${url.search}`,
    authority: url.host,
    fields,
    ...(whole === undefined ? { length: length === null ? UNKNOWN : Number(length) } : { body: whole }),
    ...(options.expectContinue === undefined ? {} : { expectContinue: options.expectContinue }),
    ...(options.silenceMs === undefined
      ? {}
      : { silenceMs: Number.isFinite(options.silenceMs) ? options.silenceMs : NEVER }),
  };
}

/** The body as bytes; undefined when it comes in pieces. Its type is what it says of itself. */
function wholeOf(body: Body | null, fields: Fields): Uint8Array | null | undefined {
  const typed = (type: string) => {
    if (!fields.has('content-type')) fields.append('content-type', type);
  };
  if (body === null) return null;
  if (typeof body === 'string') typed('text/plain;charset=UTF-8');
  else if (body instanceof URLSearchParams) typed('application/x-www-form-urlencoded;charset=UTF-8');
  else if (body instanceof ArrayBuffer) return new Uint8Array(body.slice(0));
  else if (body instanceof Uint8Array) return Uint8Array.from(body);
  else return undefined;
  return Buffer.from(String(body));
}

/** Reads what is short, so that the connection can go on. */
async function dropBody(response: Response): Promise<void> {
  if (Number(response.headers.get('content-length') ?? Number.NaN) <= HELD_BYTES) await response.arrayBuffer();
  else await response.body?.cancel();
}

/** Where an answer sends its reader, or null. */
function redirectOf({ status, headers }: Response, from: URL): URL | null {
  if (![301, 302, 303, 307, 308].includes(status)) return null;
  const location = headers.get('location');
  if (location === null || !URL.canParse(location, from)) return null;
  const to = new URL(location, from);
  return to.protocol in PORTS ? to : null;
}

/** The request as it is sent to where it was sent on (RFC 9110 §15.4). */
function redirected(options: FetchOptions, status: number, sameOrigin: boolean): FetchOptions {
  const { method = 'GET', body = null } = options;
  const headers = new Headers(options.headers as Headers);
  // What was meant for one server is nobody else's business.
  if (!sameOrigin) for (const name of ['authorization', 'cookie', 'proxy-authorization']) headers.delete(name);
  const toGet = (status === 303 && method !== 'HEAD') || (status < 303 && method === 'POST');
  if (toGet) {
    for (const name of [...headers.keys()]) if (name.startsWith('content-')) headers.delete(name);
    return { ...options, method: 'GET', body: null, headers };
  }
  if (body !== null && wholeOf(body, new Fields()) === undefined)
    throw new ConnectionError(`${status} asks for a body again that was sent in pieces`);
  return { ...options, headers };
}

/** Gives a request to whoever sends it. */
type Ask = (events: PoolEvents) => PooledRequest;

/** One request on its way. */
class Fetch implements PoolEvents, BodyReader {
  private readonly url: URL;
  private readonly options: FetchOptions;
  private readonly request: ClientRequest;
  private readonly resolve: (response: Response) => void;
  private readonly reject: (error: unknown) => void;
  private pooled: PooledRequest | null = null;
  private exchange: SentRequest | null = null;
  private controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  private roomy: (() => void)[] = [];
  private isOver = false;
  private problem: unknown = null;
  private readonly aborted = () => this.abort(this.options.signal?.reason);

  constructor(
    url: URL,
    options: FetchOptions,
    request: ClientRequest,
    resolve: (response: Response) => void,
    reject: (error: unknown) => void,
  ) {
    this.url = url;
    this.options = options;
    this.request = request;
    this.resolve = resolve;
    this.reject = reject;
  }

  begin(ask: Ask): void {
    try {
      this.pooled = ask(this);
    } catch (error) {
      this.reject(error instanceof RangeError ? new TypeError(error.message) : error);
      return;
    }
    if (!this.isOver) this.options.signal?.addEventListener('abort', this.aborted, { once: true });
  }

  private abort(reason: unknown): void {
    this.problem ??= reason;
    if (this.exchange !== null) this.exchange.cancel();
    else this.pooled?.cancel();
  }

  // ---- the request -------------------------------------------------------------------------------------------------

  started(exchange: SentRequest): void {
    this.exchange = exchange;
  }

  begun(): void {
    if (this.request.length === undefined) return;
    void this.upload(this.exchange!, this.options.body as AsyncIterable<Uint8Array>).catch((error: unknown) =>
      this.abort(error),
    );
  }

  private async upload(exchange: SentRequest, body: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const piece of body) {
      while (exchange.room === 0 && !this.isOver) await new Promise<void>((resolve) => this.roomy.push(resolve));
      if (this.isOver) return;
      exchange.write(piece);
    }
    exchange.end();
  }

  writable(): void {
    for (const go of this.roomy.splice(0)) go();
  }

  // ---- the answer --------------------------------------------------------------------------------------------------

  answered(status: number, reason: string, fields: Fields): BodyReader | null {
    const headers = new Headers();
    for (const [name, value] of fields) headers.append(name, byteString(value));
    if (status > 599) {
      this.abort(new ConnectionError(`the server answered with the status ${status}`));
      return null;
    }
    const bodiless = status === 204 || status === 205 || status === 304 || this.request.method === 'HEAD';
    const response = new Response(bodiless ? null : this.stream(), { status, statusText: byteString(reason), headers });
    Object.defineProperty(response, 'url', { value: shownUrl(this.url) });
    this.resolve(response);
    return bodiless ? null : this;
  }

  private stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.controller = controller;
        },
        pull: () => this.exchange!.resume(),
        cancel: () => {
          this.controller = null;
          this.abort(new ConnectionError('the body was not wanted'));
        },
      },
      { highWaterMark: HELD_BYTES, size: (piece) => piece.length },
    );
  }

  receive(input: Uint8Array, start: number, end: number): number {
    const { controller } = this;
    if (controller === null) return end;
    // A Buffer's own `slice` would share what is only lent.
    controller.enqueue(Uint8Array.prototype.slice.call(input, start, end));
    if ((controller.desiredSize ?? 0) <= 0) this.exchange!.pause();
    return end;
  }

  trailers(): void {
    // The Fetch standard has nowhere to put them.
  }

  finish(): void {
    const { controller } = this;
    this.controller = null;
    controller?.close();
  }

  lost(): void {
    // `over` follows, and knows why.
  }

  over(_cause: Cause | null, fault: Fault | null, why: string): void {
    this.isOver = true;
    this.options.signal?.removeEventListener('abort', this.aborted);
    this.writable();
    const { controller } = this;
    this.controller = null;
    const error = this.problem ?? new ConnectionError(`${this.url.host}: ${why}`, fault?.id);
    controller?.error(error);
    // After the answer's head this does nothing.
    this.reject(error);
  }
}

/** The URL without who asked. */
function shownUrl(url: URL): string {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return shown.href;
}

/** Text as `Headers` and `Response` take it: bytes above 0x7F, one a character. */
function byteString(text: string): string {
  return /[^\0-\xff]/.test(text) ? Buffer.from(text).toString('latin1') : text;
}

/** A client of its own; short for `new HttpClient(options)`. */
export function connect(options?: HttpClientOptions): HttpClient {
  return new HttpClient(options);
}
