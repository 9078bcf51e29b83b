// One HTTP request and its answer, the same on HTTP/1.1, 2 and 3. The framing of bodies is the exchange's own: nobody
// writes to the connection below it.
import type { ByteWriter } from '../bytes/writer.ts';
import type { Caller } from './caller.ts';
import type { Fields } from './fields.ts';
import type { Mux, MuxSession } from './mux.ts';
import type { Peer } from './peer.ts';
import type { Cause, Pipe, Session, Why } from './pipe.ts';
import type { Clock, Instant } from './time.ts';

export interface Exchange {
  /** The number of the connection that it came on, as the log and the inspector have it. */
  readonly connection: number;
  readonly method: string;
  /** As it was sent: a path with its query, `*`, or an absolute form. */
  readonly target: string;
  readonly authority: string;
  /** What the client asks to speak instead, in lower case: Upgrade's token, `:protocol` of extended CONNECT; '' for none. */
  readonly upgrade: string;
  readonly fields: Fields;
  readonly peer: Peer;
  /** Who asks; set by the guard before the request is routed. */
  caller: Caller;
  /** Fields that its answer has beside what it is given, whatever it is; set by the guard. */
  beside: Fields;
  /** The request arrived as TLS 1.3 early data and may be a replay. */
  readonly early: boolean;
  /** Who reads the request's body. Set before the handler returns, or the body is discarded. */
  body(reader: BodyReader): void;
  /** An interim answer (1xx). */
  inform(status: number, fields: Fields): void;
  /** The head of the answer, once. `length` is the body's when it is known. */
  respond(status: number, fields: Fields, length?: number): void;
  /** The answer's body is written here. */
  readonly out: ByteWriter;
  readonly room: number;
  share(bytes: Uint8Array, start: number, end: number, storage?: Buffer): void;
  /** As a pipe's: answers how much of the body was sent so; 0 where the body is framed, or the connection cannot. */
  sendFile?(fd: number, start: number, end: number): number;
  flush(): void;
  /** The request's body: no more until `resume()`. */
  pause(): void;
  resume(): void;
  /** The answer is complete. */
  end(trailers?: Fields): void;
  /** The answer fails; the peer sees that it is not complete. `lost` follows. */
  reset(wire: number): void;
  /**
   * Upgrade or extended CONNECT: answers with `status` (101; 200 where the method is CONNECT) and hands over the
   * connection's pipe, or the stream's. Connection and Upgrade are the exchange's own. On HTTP/1.1 the session is made
   * once earlier pipelined answers are out.
   */
  take(status: number, fields: Fields, session: (pipe: Pipe) => Session): void;
  /**
   * As `take`, for many streams and datagrams (WebTransport); absent where the request asks for none, or what carries it has
   * none.
   */
  readonly takeMux?: ((status: number, fields: Fields, session: (mux: Mux) => MuxSession) => void) | undefined;
  deadline: Instant;
  on: ExchangeEvents;
}

/** Reads the body of a request or of an answer. */
export interface BodyReader {
  /** As `Session.receive`: answers the first index not consumed. */
  receive(input: Uint8Array, start: number, end: number, clock: Clock): number;
  /** Before `finish`, when there are any. */
  trailers(fields: Fields): void;
  finish(clock: Clock): void;
  /** The body will not be complete. */
  lost(cause: Cause, clock: Clock): void;
}

export interface ExchangeEvents {
  /** Once, when there is room again after `room` was 0. */
  writable(clock: Clock): void;
  /**
   * At the end of a turn in which `flush` was called, before what was written goes out: what was put off until then is
   * written now, without another `flush`.
   */
  gather?(clock: Clock): void;
  tick(clock: Clock): void;
  leave(why: Why, clock: Clock): void;
  /** Exactly once, the last call ever: with `ENDED` when request and answer were both complete. */
  lost(cause: Cause, wire: number, clock: Clock): void;
}

/** What a route of the HTTP ports is: called once a request, never waits, never throws. */
export type ExchangeHandler = (exchange: Exchange) => void;
