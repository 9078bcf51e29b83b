// One request and its answer on an HTTP/1.1 connection: the framing of both bodies (RFC 9112 §6, §7). The connection has
// at most one at a time; its answer is written straight to the pipe.
import type { ByteWriter } from '../../bytes/writer.ts';
import type { AccessLog } from '../../core/access.ts';
import { type Caller, callerOf } from '../../core/caller.ts';
import type { BodyReader, Exchange, ExchangeEvents } from '../../core/exchange.ts';
import { type Fields, NO_FIELDS } from '../../core/fields.ts';
import type { Peer } from '../../core/peer.ts';
import type { Cause, Pipe, Session } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import type { HeadReader } from './codec.ts';
import { CHUNKED, type Framing, LENGTH } from './framing.ts';
import { startText, statusText, writeBeside, writeField, writeFields } from './head-writer.ts';

/** The connection as its exchange sees it. */
export interface Line {
  readonly pipe: Pipe;
  readonly clock: Clock;
  /** Who is told of exchanges that are over; usually nobody. */
  readonly access: AccessLog | null;
  /** Gathers what the handler writes until it is framed. */
  readonly gathered: ByteWriter;
  readonly discardBytesMax: number;
  /** The connection ends after this exchange. */
  keepAlive: boolean;
  /** Something was written: on the turn's list, and watched for being taken. */
  wrote(): void;
  /** The answer is complete. */
  answered(): void;
  taken(make: (pipe: Pipe) => Session): void;
  /** Its body was over before it was resumed. */
  finishes(exchange: Http1Exchange): void;
}

/** Pieces from here on are not copied into what is gathered. */
const SHARE_LEAST = 2_048;
/** Gathered bytes from here on are framed at once rather than at the end of the turn. */
const GATHER_MOST = 65_536;

const NO_EVENTS: ExchangeEvents = { writable() {}, tick() {}, leave() {}, lost() {} };
const NOBODY: BodyReader = { receive: (_input, _start, end) => end, trailers() {}, finish() {}, lost() {} };

export class Http1Exchange implements Exchange {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly upgrade: string;
  readonly fields: Fields;
  readonly peer: Peer;
  readonly early = false;
  private who: Caller;
  beside: Fields = NO_FIELDS;
  deadline: Instant = NEVER;
  on: ExchangeEvents = NO_EVENTS;
  /** Of the answer; 0 until its head is written. */
  status = 0;
  isEnded = false;
  /** The request's body: bytes of a known length that are still to come. */
  left: number;
  readonly bodyKind: Framing['body'];
  bodyDone: boolean;
  paused = false;
  /** The connection reads nothing since it was paused. */
  holdsPipe = false;
  /** The end of its body has not been told: it was paused. */
  owesFinish = false;
  reader: BodyReader | null = null;
  /** Bytes of the request's body that were taken. */
  came = 0;

  private readonly line: Line;
  private readonly version: number;
  private readonly isHead: boolean;
  private expectsContinue: boolean;
  private chunked = false;
  private bodyless = false;
  /** The answer's length when it is known, and what was written of it. */
  private length = -1;
  private count = 0;
  private readonly began: Instant;

  constructor(line: Line, head: HeadReader, framing: Framing) {
    this.line = line;
    this.began = line.access === null ? 0 : line.access.now();
    this.method = head.method;
    this.target = head.target;
    this.version = head.version;
    this.fields = head.fields;
    this.authority = framing.authority;
    this.upgrade = framing.upgrade;
    this.bodyKind = framing.body;
    this.left = framing.body === LENGTH ? framing.length : 0;
    this.bodyDone = framing.body !== LENGTH && framing.body !== CHUNKED;
    this.expectsContinue = framing.expectsContinue && !this.bodyDone;
    this.isHead = head.method === 'HEAD';
    this.peer = line.pipe.peer;
    this.who = callerOf(this.peer, '', 0);
  }

  get caller(): Caller {
    return this.who;
  }

  set caller(caller: Caller) {
    this.who = caller;
    this.line.pipe.signedIn(caller);
  }

  get connection(): number {
    return this.line.pipe.id;
  }

  // ---- the request's body ------------------------------------------------------------------------------------------

  body(reader: BodyReader): void {
    this.reader = reader;
    if (!this.expectsContinue || this.status !== 0) return;
    this.expectsContinue = false;
    this.line.pipe.out.ascii(CONTINUE);
    this.line.wrote();
  }

  /** Who gets the body: the handler's reader, or nobody. */
  get receiver(): BodyReader {
    return this.reader ?? NOBODY;
  }

  pause(): void {
    this.paused = true;
    if (this.bodyDone) return;
    this.holdsPipe = true;
    this.line.pipe.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    if (this.holdsPipe) this.line.pipe.resume();
    this.holdsPipe = false;
    if (this.owesFinish) this.line.finishes(this);
  }

  // ---- the answer --------------------------------------------------------------------------------------------------

  inform(status: number, fields: Fields): void {
    if (status < 100 || status > 199 || status === 101) throw new RangeError(`${status} is no interim status`);
    // HTTP/1.0 has no interim answers (RFC 9110 §15.2).
    if (this.version === 10 || this.status !== 0) return;
    const { out } = this.line.pipe;
    out.ascii(statusText(status));
    writeFields(out, fields);
    out.u16(CRLF);
    this.line.wrote();
  }

  respond(status: number, fields: Fields, length?: number): void {
    if (this.status !== 0) throw new RangeError('answered twice');
    if (status < 200 || status > 999) throw new RangeError(`${status} is no final status`);
    const { line } = this;
    const { out } = line.pipe;
    const before = out.length;
    this.mindRequest();
    const noContent = status === 204 || status === 304;
    this.bodyless = this.isHead || noContent || status === 205;
    try {
      out.ascii(startText(status, line.clock.wall));
      writeFields(out, fields);
      if (this.beside !== NO_FIELDS) writeBeside(out, this.beside, fields);
      const upgrade = status === 426 ? fields.get('upgrade') : null;
      if (upgrade !== null) {
        // What to ask for instead (RFC 9110 §15.5.22).
        out.ascii('Connection: Upgrade\r\n');
        writeField(out, 'upgrade', upgrade);
      }
    } catch (error) {
      // Nothing of it may be sent: the caller can still answer something else.
      out.cut(before);
      throw error;
    }
    this.status = status;
    if (status === 205) length = 0;
    if (length !== undefined && !noContent) {
      this.length = length;
      out.ascii(`Content-Length: ${length}\r\n`);
    } else if (!this.bodyless) this.openEnded(out);
    if (!line.keepAlive) out.ascii('Connection: close\r\n');
    else if (this.version === 10) out.ascii('Connection: keep-alive\r\n');
    out.u16(CRLF);
    line.wrote();
  }

  /** A body whose length is not known before: chunked, or as long as the connection (§6.3). */
  private openEnded(out: ByteWriter): void {
    if (this.version === 10) this.line.keepAlive = false;
    else {
      this.chunked = true;
      out.ascii('Transfer-Encoding: chunked\r\n');
    }
  }

  /** A body that nobody reads, and that is long or may not come at all, ends the connection behind the answer. */
  private mindRequest(): void {
    if (this.bodyDone || this.reader !== null) return;
    if (this.expectsContinue || this.left > this.line.discardBytesMax) this.line.keepAlive = false;
  }

  get out(): ByteWriter {
    return this.line.gathered;
  }

  get room(): number {
    if (this.line.gathered.length >= GATHER_MOST) this.frame();
    return this.line.pipe.room;
  }

  share(bytes: Uint8Array, start: number, end: number, storage?: Buffer): void {
    const size = end - start;
    if (size === 0) return;
    const { gathered } = this.line;
    if (size < SHARE_LEAST && (this.chunked || gathered.length > 0)) {
      gathered.copy(bytes, start, end);
      if (gathered.length >= GATHER_MOST) this.frame();
      return;
    }
    this.frame();
    this.piece(bytes, start, end, true, storage);
  }

  flush(): void {
    if (!this.chunked || this.line.gathered.length >= GATHER_MOST) this.frame();
    this.line.wrote();
  }

  /** What was gathered becomes one piece of the body. */
  frame(): void {
    const { gathered } = this.line;
    const { length } = gathered;
    if (length === 0) return;
    if (this.status === 0) throw new RangeError('a body before its head');
    if (length < SHARE_LEAST) {
      this.piece(gathered.bytes, 0, length, false);
      gathered.cut(0);
    } else {
      const { bytes } = gathered.take();
      this.piece(bytes, 0, length, true);
    }
  }

  private piece(bytes: Uint8Array, start: number, end: number, lasting: boolean, storage?: Buffer): void {
    if (this.bodyless || this.isEnded) return;
    const { pipe } = this.line;
    this.count += end - start;
    if (this.chunked) pipe.out.ascii(`${(end - start).toString(16)}\r\n`);
    if (lasting) pipe.share(bytes, start, end, storage);
    else pipe.out.copy(bytes, start, end);
    if (this.chunked) pipe.out.u16(CRLF);
  }

  sendFile(fd: number, start: number, end: number): number {
    const { pipe } = this.line;
    // Chunks have their length before them, which is not known before; what is ahead in the queue goes first.
    if (this.isEnded || this.bodyless || this.chunked || pipe.sendFile === undefined) return 0;
    this.frame();
    const sent = pipe.sendFile(fd, start, end);
    this.count += sent;
    return sent;
  }

  end(trailers?: Fields): void {
    if (this.isEnded) return;
    if (this.status === 0) throw new RangeError('an end before a head');
    this.frame();
    this.isEnded = true;
    const { out } = this.line.pipe;
    if (this.chunked) {
      out.ascii('0\r\n');
      if (trailers !== undefined) writeFields(out, trailers, true);
      out.u16(CRLF);
    } else if (!this.bodyless && this.length >= 0 && this.count !== this.length) {
      // The client must not take the next answer for the rest of this one, or the other way round.
      this.line.pipe.reset(0);
      return;
    }
    this.line.answered();
  }

  reset(wire: number): void {
    this.line.pipe.reset(wire);
  }

  /** The last call of all. */
  over(cause: Cause, wire: number, clock: Clock): void {
    const { access } = this.line;
    if (access !== null) access.exchanged(this, this.status, this.came, this.count, this.began, cause);
    this.on.lost(cause, wire, clock);
  }

  take(status: number, fields: Fields, session: (pipe: Pipe) => Session): void {
    if (this.status !== 0) throw new RangeError('answered twice');
    const { out } = this.line.pipe;
    out.ascii(statusText(status));
    if (status === 101) {
      out.ascii('Connection: Upgrade\r\n');
      writeField(out, 'upgrade', this.upgrade);
    }
    writeFields(out, fields);
    out.u16(CRLF);
    this.status = status;
    this.isEnded = true;
    this.line.taken(session);
  }
}

const CRLF = 0x0d0a;
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
