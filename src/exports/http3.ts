// `portico/http3`: HTTP/3 for programs (docs/http3.md): a server of `Request` and `Response`, a client with `fetch`, and the two
// halves of a connection without a socket, for whoever carries the streams in another way.
import { bindLimits } from '../core/limits.ts';
import { SILENT } from '../core/log.ts';
import type { Mux } from '../core/mux.ts';
import { SHUTDOWN } from '../core/pipe.ts';
import { type FetchHandler, fetchHandler } from '../protocols/http/fetch.ts';
import { limits as http3Limits } from '../protocols/http3/limits.ts';
import { type Http3Host, Http3Session } from '../protocols/http3/session.ts';
import { HttpClient, type HttpClientOptions } from './http.ts';
import { ENTROPY, turn } from './loop.ts';
import { bug, type ListenOptions, listenQuic } from './quic-listen.ts';

export type { FetchHandler } from '../protocols/http/fetch.ts';
export { Http3Client } from '../protocols/http3/client.ts';
export { type Http3Host, Http3Session } from '../protocols/http3/session.ts';
export { type FetchOptions, HttpClient } from './http.ts';
export { ConnectionError, type TlsOptions } from './loop.ts';
export type { ListenOptions } from './quic-listen.ts';

/** The bounds of HTTP/3, by their names in docs/configuration.md. Throws a RangeError for one that is none. */
export function http3Bounds(given?: Readonly<Record<string, number>>): Http3Host['limits'] {
  return bindLimits(http3Limits, given);
}

/** How long requests under way may take once the server closes. */
const LEAVE_MS = 5_000;

export interface Http3ListenOptions extends ListenOptions {
  /** Bounds of HTTP/3 that differ from the defaults, by their names in docs/configuration.md. */
  readonly http3Limits?: Readonly<Record<string, number>>;
}

/** A connection that tells when it is gone. */
class Served extends Http3Session {
  private readonly gone: () => void;

  constructor(mux: Mux, host: Http3Host, gone: () => void) {
    super(mux, host);
    this.gone = gone;
  }

  protected override over(): void {
    this.gone();
  }
}

export interface Http3Server {
  readonly port: number;
  /** Takes nothing new; resolves once what was asked is answered, or after five seconds. */
  close(): Promise<void>;
}

/**
 * Serves HTTP/3. What the handler throws is answered with 500, and surfaces as an uncaught exception.
 *
 * Errors: an Error with the system's code when the port cannot be had; a RangeError for bounds that are none.
 *
 * Sources: RFC 9114, RFC 9204, RFC 9220.
 */
export async function listen(options: Http3ListenOptions, handler: FetchHandler): Promise<Http3Server> {
  const host: Http3Host = {
    limits: http3Bounds(options.http3Limits),
    entropy: ENTROPY,
    log: SILENT,
    get clock() {
      return turn.clock;
    },
    routes: fetchHandler(handler, bug),
    bug,
  };
  const sessions = new Set<Http3Session>();
  let ended = () => {};
  const listening = await listenQuic(options, [
    {
      name: 'http3',
      alpn: 'h3',
      make(mux) {
        const session = new Served(mux, host, () => {
          sessions.delete(session);
          if (sessions.size === 0) ended();
        });
        sessions.add(session);
        return session;
      },
    },
  ]);
  return {
    port: listening.port,
    async close() {
      for (const session of sessions) session.leave(SHUTDOWN, turn.clock);
      if (sessions.size > 0) {
        const late = setTimeout(() => ended(), LEAVE_MS);
        await new Promise<void>((resolve) => (ended = resolve));
        clearTimeout(late);
      }
      listening.close();
    },
  };
}

/** A client that speaks HTTP/3 alone; short for `new HttpClient({ ...options, http3: true })`. */
export function connect(options: Omit<HttpClientOptions, 'http2' | 'http3'> = {}): HttpClient {
  return new HttpClient({ ...options, http3: true });
}
