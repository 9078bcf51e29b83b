// One request and its answer as the client sees them: the head as it is sent, the body as it is written, and what the caller
// is told. The order of exchanges on a connection is the session's.
import type { BodyReader } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import type { Fields } from '../../core/fields.ts';
import { type Cause, ENDED, type Pipe } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { isToken } from '../http/chars.ts';
import {
  type AnswerEvents,
  type ClientRequest,
  isIdempotent,
  type Progress,
  type SentRequest,
  UNKNOWN,
} from '../http/client.ts';
import { shownName } from './field-names.ts';

export {
  type AnswerEvents,
  BEGUN,
  type ClientRequest,
  isIdempotent,
  type Progress,
  UNANSWERED,
  UNKNOWN,
  UNSENT,
} from '../http/client.ts';

/** What an exchange needs of its connection. */
export interface Line {
  readonly pipe: Pipe;
  readonly clock: Clock;
  /** The request is out: it is the next one's turn, or the answer's. */
  sent(exchange: ClientExchange): void;
  cancel(exchange: ClientExchange): void;
}

const QUEUED = 0;
/** The head is out; 100 (Continue) is awaited. */
const HELD = 1;
const SENDING = 2;
const SENT = 3;
/** The server has answered before the body was whole, and does not want the rest. */
const STOPPED = 4;

/** What the client writes itself. */
const OWN = new Set(['host', 'connection', 'upgrade', 'expect', 'content-length', 'transfer-encoding', 'keep-alive']);
// biome-ignore lint/suspicious/noControlCharactersInRegex: these would end a line, or the message
const BROKEN = /[\u0000-\u0008\u000a-\u001f\u007f]/;

/** The head of a request as text. Throws a RangeError for what cannot stand in one: a caller's bug, or an injection. */
function headOf(request: ClientRequest): string {
  const { method, target, authority, fields, body, length, upgrade = '' } = request;
  if (!isToken(method)) throw new RangeError(`${JSON.stringify(method)} is no method`);
  if (!/^[!"$-~]+$/.test(target)) throw new RangeError(`${JSON.stringify(target)} is no target of a request`);
  if (!/^[!-~]*$/.test(authority)) throw new RangeError(`${JSON.stringify(authority)} is no host`);
  if (upgrade !== '' && !isToken(upgrade)) throw new RangeError(`${JSON.stringify(upgrade)} is no protocol`);
  let head = `${method} ${target} HTTP/1.1\r\nHost: ${authority}\r\n`;
  for (const [name, value] of fields) {
    if (OWN.has(name)) continue;
    if (!isToken(name) || BROKEN.test(value)) throw new RangeError(`the field ${JSON.stringify(name)} cannot be sent`);
    head += `${shownName(name)}${value}\r\n`;
  }
  if (upgrade !== '') head += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`;
  if (length === UNKNOWN) head += 'Transfer-Encoding: chunked\r\n';
  else if (length !== undefined) head += `Content-Length: ${length}\r\n`;
  else if (body != null) head += `Content-Length: ${body.length}\r\n`;
  // Servers may wait for a body with these unless they are told that there is none (RFC 9110 §8.6).
  else if (method === 'POST' || method === 'PUT' || method === 'PATCH') head += 'Content-Length: 0\r\n';
  if (request.expectContinue === true && hasBody(request)) head += 'Expect: 100-continue\r\n';
  return `${head}\r\n`;
}

function hasBody({ body, length }: ClientRequest): boolean {
  return length === undefined ? body != null && body.length > 0 : length !== 0;
}

/** Throws a RangeError when a request cannot be sent to anybody. */
export function checkRequest(request: ClientRequest): void {
  headOf(request);
}

export class ClientExchange implements SentRequest {
  readonly request: ClientRequest;
  readonly events: AnswerEvents;
  /** A byte of an answer to it has come. */
  heard = false;
  interims = 0;
  /** Who reads the answer's body, once its head is there. */
  reader: BodyReader | null = null;
  /** The head of the final answer was read. */
  isAnswered = false;
  /** All of the answer was read. */
  isWhole = false;
  /** We gave up. */
  isCancelled = false;
  paused = false;
  /** When the body is sent without 100 (Continue). */
  continueAt: Instant = NEVER;
  private readonly line: Line;
  private readonly head: string;
  private state: typeof QUEUED | typeof HELD | typeof SENDING | typeof SENT | typeof STOPPED = QUEUED;
  private left = 0;
  private over = false;

  /** Throws a RangeError when the request cannot be sent at all. */
  constructor(line: Line, request: ClientRequest, events: AnswerEvents) {
    this.line = line;
    this.request = request;
    this.events = events;
    this.head = headOf(request);
  }

  /** It may go out while answers to those before it are awaited (RFC 9112 §9.3.2). */
  get mayFollow(): boolean {
    const { method, length, expectContinue, upgrade = '' } = this.request;
    return isIdempotent(method) && length === undefined && expectContinue !== true && upgrade === '';
  }

  get isQueued(): boolean {
    return this.state === QUEUED;
  }

  get isSent(): boolean {
    return this.state === SENT;
  }

  get isHeld(): boolean {
    return this.state === HELD;
  }

  get isOver(): boolean {
    return this.over;
  }

  // ---- the request -------------------------------------------------------------------------------------------------

  /** Its turn has come: writes the head, and the body where it is here and not to be waited for. */
  begin(clock: Clock, continueMs: number): void {
    const { pipe } = this.line;
    pipe.out.utf8(this.head);
    pipe.flush();
    this.state = SENDING;
    this.left = this.request.length ?? 0;
    if (this.request.expectContinue === true && hasBody(this.request)) {
      this.state = HELD;
      this.continueAt = clock.now + continueMs;
    } else this.proceed(clock);
  }

  /** 100 (Continue) came, or was waited for long enough. */
  proceed(clock: Clock): void {
    this.continueAt = NEVER;
    this.state = SENDING;
    const { body, length } = this.request;
    if (length === undefined) {
      if (body != null && body.length > 0) this.line.pipe.share(body, 0, body.length);
      this.whole();
    } else if (length === 0) this.whole();
    this.events.begun?.(clock);
  }

  /** How many bytes of the body may be written now; 0: wait for `begun` or `writable`. */
  get room(): number {
    return this.state === SENDING && !this.over ? this.line.pipe.room : 0;
  }

  /** Writes a piece of the body; it must not change any more. Throws a RangeError for more than `length` said. */
  write(bytes: Uint8Array, start = 0, end = bytes.length): void {
    if (this.over || this.state === STOPPED || start === end) return;
    if (this.state !== SENDING) throw new RangeError('a body is written after `begun` and before `end`');
    const { pipe } = this.line;
    if (this.request.length === UNKNOWN) {
      pipe.out.ascii(`${(end - start).toString(16)}\r\n`);
      pipe.share(bytes, start, end);
      pipe.out.u16(0x0d0a);
    } else {
      if (end - start > this.left) throw new RangeError(`the body is longer than ${this.request.length} bytes`);
      this.left -= end - start;
      pipe.share(bytes, start, end);
      if (this.left === 0) this.whole();
    }
    pipe.flush();
  }

  /** The body is whole. Trailers are sent with chunks only. A body that is shorter than its length said is cut off. */
  end(trailers?: Fields): void {
    if (this.over || this.state === STOPPED || this.state === SENT) return;
    if (this.state !== SENDING) throw new RangeError('a body is written after `begun` and before `end`');
    if (this.request.length !== UNKNOWN) {
      if (this.left > 0) this.cancel();
      return;
    }
    const { pipe } = this.line;
    pipe.out.ascii('0\r\n');
    for (const [name, value] of trailers ?? []) {
      if (!isToken(name) || BROKEN.test(value) || OWN.has(name))
        throw new RangeError(`the trailer ${JSON.stringify(name)} cannot be sent`);
      pipe.out.utf8(`${shownName(name)}${value}\r\n`);
    }
    pipe.out.u16(0x0d0a);
    pipe.flush();
    this.whole();
  }

  private whole(): void {
    this.state = SENT;
    this.line.sent(this);
  }

  /** The answer is there and the rest of the body is not wanted. */
  stop(): void {
    if (this.state === SENT) return;
    this.state = STOPPED;
    this.continueAt = NEVER;
  }

  // ---- the answer --------------------------------------------------------------------------------------------------

  /** Takes no more of the answer's body until `resume`. */
  pause(): void {
    if (this.paused || this.over || !this.isAnswered) return;
    this.paused = true;
    this.line.pipe.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.line.pipe.resume();
  }

  /** Gives up: the connection is cut where the request is already out. */
  cancel(): void {
    if (this.over) return;
    this.isCancelled = true;
    this.line.cancel(this);
  }

  /** The end, told once. */
  finish(cause: Cause, fault: Fault | null, progress: Progress): void {
    if (this.over) return;
    this.over = true;
    if (this.paused) this.line.pipe.resume();
    this.paused = false;
    if (cause !== ENDED || fault !== null) this.reader?.lost(cause, this.line.clock);
    this.reader = null;
    this.events.over(cause, fault, progress);
  }
}
