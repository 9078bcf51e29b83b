// `portico/sse`: server-sent events as an async iterable that comes back by itself and goes on behind what it had.
import { AGAIN, EventStream, type ServerEvent, STREAM } from '../protocols/sse/client.ts';
import { HttpClient, type HttpClientOptions } from './http.ts';
import { ConnectionError } from './loop.ts';
import { RefusedError } from './topics.ts';

export type { ServerEvent } from '../protocols/sse/client.ts';
export { ConnectionError, type TlsOptions } from './loop.ts';
export { RefusedError } from './topics.ts';

export interface EventOptions {
  /** Where to go on: the id of the last event that was seen. */
  readonly lastEventId?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The longest event that is taken, in bytes; 16 MiB unless said. */
  readonly eventBytesMax?: number;
  /** How long to wait before coming back, in milliseconds, until the server says otherwise; 2,000. */
  readonly retryMs?: number;
  /** After so long without a byte the connection is taken for lost, in milliseconds; 60,000. Servers send heartbeats. */
  readonly silenceMs?: number;
  readonly signal?: AbortSignal;
  readonly tls?: HttpClientOptions['tls'];
  /** Told before each wait; what it says is for a log. */
  readonly onWait?: (ms: number, why: string) => void;
}

/**
 * Asks for a stream of events; resolves when it stands. Iterating gives the events in order, holds the server back while
 * nobody asks, and ends when the server says that there is no more (204) or `close` is called.
 *
 * Errors: TypeError for what is no `http:` or `https:` URL; ConnectionError when nobody answers the first time, or an event
 * is too long; RefusedError, with the status, when the answer is no stream. What is lost later is asked for again, with
 * Last-Event-ID, after what the server asked to wait, longer each time.
 *
 * Source: WHATWG HTML §9.2.
 */
export async function connect(url: string | URL, options: EventOptions = {}): Promise<EventConnection> {
  const connection = new EventConnection(new URL(url), options);
  await connection.begin();
  return connection;
}

export class EventConnection implements AsyncIterable<ServerEvent> {
  private readonly url: URL;
  private readonly options: EventOptions;
  private readonly stream: EventStream;
  private readonly http: HttpClient;
  private readonly abort = new AbortController();
  private body: ReadableStream<Uint8Array> | null = null;

  constructor(url: URL, options: EventOptions) {
    this.url = url;
    this.options = options;
    this.stream = new EventStream(options);
    this.http = new HttpClient(options.tls === undefined ? {} : { tls: options.tls });
    const { signal } = options;
    if (signal?.aborted === true) this.abort.abort(signal.reason);
    else signal?.addEventListener('abort', () => this.abort.abort(signal.reason), { once: true });
  }

  /** The id to go on behind. */
  get lastEventId(): string {
    return this.stream.lastEventId;
  }

  /** The first answer decides whether there is a stream at all. */
  async begin(): Promise<void> {
    while (!(await this.ask())) await this.wait('the server has too much to do');
  }

  /** Ends it; the iteration ends as well. */
  close(): void {
    this.abort.abort(null);
    this.http.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ServerEvent> {
    try {
      for (;;) {
        let why = 'the stream ended';
        try {
          yield* this.events();
        } catch (error) {
          if (this.abort.signal.aborted || !(error instanceof ConnectionError) || error.fault === 'sse.eventTooLong')
            throw error;
          why = error.message;
        }
        do await this.wait(why);
        while (!(await this.again()));
        if (this.body === null) return;
      }
    } catch (error) {
      // `close` ends the iteration; somebody else's signal says why.
      if (!this.abort.signal.aborted || this.abort.signal.reason !== null) throw error;
    } finally {
      this.close();
    }
  }

  private async *events(): AsyncGenerator<ServerEvent> {
    const ready: ServerEvent[] = [];
    for await (const piece of this.body!) {
      const fault = this.stream.receive(piece, 0, piece.length, (event) => ready.push(event));
      yield* ready.splice(0);
      if (fault !== null) throw new ConnectionError(fault.text, fault.id);
    }
  }

  /** True when there is a stream; false to ask again later. */
  private async ask(): Promise<boolean> {
    const { lastEventId } = this.stream;
    const response = await this.http.fetch(this.url, {
      headers: {
        ...this.options.headers,
        accept: 'text/event-stream',
        'cache-control': 'no-store',
        ...(lastEventId === '' ? {} : { 'last-event-id': Buffer.from(lastEventId).toString('latin1') }),
      },
      signal: this.abort.signal,
      silenceMs: this.options.silenceMs ?? 60_000,
    });
    const { status, headers } = response;
    const next = this.stream.answered(status, headers.get('content-type'), headers.get('retry-after'));
    if (next === STREAM) {
      this.body = response.body;
      return true;
    }
    const text = await response.text();
    if (next === AGAIN) return false;
    this.body = null;
    if (status === 204) return true;
    throw new RefusedError(`${this.url.host} answered with the status ${status}${detailOf(text)}`, '', status);
  }

  /** As `ask`, when there has been a stream before: that nobody answers is no reason to give up. */
  private async again(): Promise<boolean> {
    try {
      return await this.ask();
    } catch (error) {
      if (this.abort.signal.aborted || !(error instanceof ConnectionError)) throw error;
      return false;
    }
  }

  private wait(why: string): Promise<void> {
    const ms = this.stream.waitMs();
    this.options.onWait?.(ms, why);
    const { signal } = this.abort;
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const stop = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', stop);
        resolve();
      }, ms);
      signal.addEventListener('abort', stop, { once: true });
    });
  }
}

/** What a problem says (RFC 9457). */
function detailOf(text: string): string {
  try {
    const { detail, title } = JSON.parse(text) as { detail?: string; title?: string };
    const said = detail ?? title;
    return said === undefined ? '' : `: ${said}`;
  } catch {
    return '';
  }
}
