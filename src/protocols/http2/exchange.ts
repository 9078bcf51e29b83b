// One request and its answer on a stream (RFC 9113 §8.1). What the handler writes waits on the stream for its turn; an
// answer that is there whole goes out at once.
import { ByteWriter } from '../../bytes/writer.ts';
import type { Caller } from '../../core/caller.ts';
import type { BodyReader, Exchange, ExchangeEvents } from '../../core/exchange.ts';
import { type Fields, NO_FIELDS } from '../../core/fields.ts';
import type { Peer } from '../../core/peer.ts';
import { type Cause, ENDED, type Pipe, RESET, type Session, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { trailersOf } from '../http/answer-head.ts';
import type { RequestHead } from '../http/request-head.ts';
import { writePlainHead } from './answer-heads.ts';
import { HTTP_1_1_REQUIRED, INTERNAL_ERROR } from './codec.ts';
import type { Http2Session } from './session.ts';
import { Stream } from './stream.ts';
import { StreamTunnel } from './tunnel.ts';

/** The most that one exchange may write in place before it is sent; a handler that writes more without room has a bug. */
const WRITTEN_MAX = 8_388_608;
/** How long the rest of a body that nobody wants is read, behind the end of the answer. */
const DISCARD_MS = 10_000;
/** What a tunnel has to say goodbye. */
const LEAVE_MS = 5_000;

const NO_EVENTS: ExchangeEvents = { writable() {}, tick() {}, leave() {}, lost() {} };

export class Http2Exchange extends Stream implements Exchange {
  declare readonly line: Http2Session;
  readonly early = false;
  beside: Fields = NO_FIELDS;
  on: ExchangeEvents = NO_EVENTS;
  /** Of the answer; 0 until its head is written. */
  status = 0;
  private came = 0;
  private readonly began: Instant;
  private readonly head: RequestHead;
  private who: Caller;
  private reader: BodyReader | null = null;
  private expectsContinue: boolean;
  private bodyless = false;
  /** The answer's length when it is known. */
  private length = -1;
  private discarded = 0;
  private discardAt: Instant = NEVER;
  private wanted: Instant = NEVER;
  private tunnel: StreamTunnel | null = null;
  /** What was written first, which may be all. */
  private sole: Uint8Array | null = null;
  private soleStart = 0;
  private soleEnd = 0;

  constructor(line: Http2Session, id: number, head: RequestHead, ends: boolean) {
    super(line, id);
    this.head = head;
    this.began = line.access === null ? 0 : line.access.now();
    this.who = line.nobody;
    this.remoteEnded = ends;
    this.expected = ends ? -1 : head.length;
    this.expectsContinue = head.expectsContinue && !ends;
    this.urgency = head.urgency;
    this.incremental = head.incremental;
  }

  get connection(): number {
    return this.line.pipe.id;
  }

  get method(): string {
    return this.head.method;
  }

  get target(): string {
    return this.head.target;
  }

  get authority(): string {
    return this.head.authority;
  }

  get upgrade(): string {
    return this.head.protocol;
  }

  get fields(): Fields {
    return this.head.fields;
  }

  get peer(): Peer {
    return this.line.pipe.peer;
  }

  get caller(): Caller {
    return this.who;
  }

  set caller(caller: Caller) {
    if (this.who === caller) return;
    this.who = caller;
    this.line.pipe.signedIn(caller);
  }

  // ---- the request's body ------------------------------------------------------------------------------------------

  body(reader: BodyReader): void {
    this.reader = reader;
    if (!this.expectsContinue || this.status !== 0) return;
    this.expectsContinue = false;
    this.inform(100, NO_FIELDS);
  }

  protected read(input: Uint8Array, start: number, end: number, clock: Clock): number {
    if (this.tunnel !== null) {
      this.tunnel.came(input, start, end);
      return end;
    }
    if (this.reader !== null) {
      const next = this.reader.receive(input, start, end, clock);
      this.came += next - start;
      return next;
    }
    // What follows a CONNECT is for whoever takes it.
    if (this.head.method === 'CONNECT' && this.status === 0) return start;
    this.discarded += end - start;
    this.came += end - start;
    if (this.localEnded && !this.mayHaveMore()) this.line.stopInput(this);
    return end;
  }

  protected override mayHaveMore(): boolean {
    if (this.reader !== null || this.tunnel !== null) return true;
    return this.discarded + Math.max(this.expected, 0) <= this.line.limits.discardBytesMax;
  }

  protected readEnd(trailers: Fields | null, clock: Clock): void {
    if (this.tunnel !== null) {
      this.tunnel.cameEnd();
      return;
    }
    const { reader } = this;
    if (reader === null) return;
    if (trailers !== null) reader.trailers(trailers);
    reader.finish(clock);
  }

  // ---- the answer --------------------------------------------------------------------------------------------------

  inform(status: number, fields: Fields): void {
    if (status < 100 || status > 199 || status === 101) throw new RangeError(`${status} is no interim status`);
    if (this.status !== 0 || this.closed) return;
    writePlainHead(this.line.sender, this.id, status, fields);
    this.line.wrote(this.line.clock);
  }

  respond(status: number, fields: Fields, length?: number): void {
    if (this.status !== 0) throw new RangeError('answered twice');
    if (status < 200 || status > 999) throw new RangeError(`${status} is no final status`);
    const noContent = status === 204 || status === 304;
    this.bodyless = this.head.method === 'HEAD' || noContent || status === 205;
    let known = length ?? -1;
    if (noContent) known = -1;
    else if (status === 205) known = 0;
    if (!this.closed) {
      const ends = this.bodyless || known === 0;
      const { line } = this;
      line.heads.write(this.id, status, fields, this.beside, known, line.clock.wall, ends);
      this.localEnded = ends;
      line.wrote(line.clock);
    }
    this.status = status;
    this.length = known;
  }

  get out(): ByteWriter {
    this.settleSole();
    this.writer ??= new ByteWriter(WRITTEN_MAX);
    return this.writer;
  }

  get room(): number {
    this.settleSole();
    return this.roomLeft;
  }

  share(bytes: Uint8Array, start: number, end: number): void {
    if (start === end) return;
    if (this.status === 0) throw new RangeError('a body before its head');
    if (this.bodyless || this.ending || this.closed) return;
    if (this.sole === null && this.framed === 0 && this.waiting === 0) {
      this.sole = bytes;
      this.soleStart = start;
      this.soleEnd = end;
      return;
    }
    this.settleSole();
    this.enqueue(bytes, start, end);
  }

  /** What might have been all was not. */
  private settleSole(): void {
    const { sole } = this;
    if (sole === null) return;
    this.sole = null;
    // What is in the writer was written behind it.
    this.push(sole, this.soleStart, this.soleEnd);
  }

  /** Whether the answer is as long as it was said to be; its client must not take another for the rest of it. */
  private isWhole(): boolean {
    const sole = this.sole === null ? 0 : this.soleEnd - this.soleStart;
    return this.length < 0 || this.framed + this.waiting + sole === this.length;
  }

  flush(): void {
    if (this.closed) return;
    this.settleSole();
    this.line.flush(this);
  }

  end(trailers?: Fields): void {
    if (this.ending || this.closed) return;
    if (this.status === 0) throw new RangeError('an end before a head');
    const last = trailers === undefined || this.bodyless ? null : trailersOf(trailers);
    this.ending = true;
    const { sole, line } = this;
    if (this.localEnded) {
      this.writer?.clear();
      this.sentEnd(line.clock);
    } else if (!this.isWhole()) this.reset(INTERNAL_ERROR);
    else if (sole !== null && last === null && line.sender.sendWhole(this, sole, this.soleStart, this.soleEnd)) {
      this.sole = null;
      line.wrote(line.clock);
      this.sentEnd(line.clock);
    } else {
      this.settleSole();
      this.trailers = last;
      line.flush(this);
    }
  }

  reset(wire: number): void {
    this.line.reset(this, wire > 0 && wire <= HTTP_1_1_REQUIRED ? wire : INTERNAL_ERROR, RESET);
  }

  sentEnd(clock: Clock): void {
    if (this.inputDone) this.line.settle(this);
    else if (this.remoteEnded || this.tunnel !== null || this.reader !== null) return;
    else if (!this.mayHaveMore()) this.line.stopInput(this);
    else {
      // What is left of the request is let pass, for a time.
      this.discardAt = clock.now + DISCARD_MS;
      this.line.wake(this.discardAt);
    }
  }

  // ---- tunnels -----------------------------------------------------------------------------------------------------

  take(status: number, fields: Fields, session: (pipe: Pipe) => Session): void {
    if (this.status !== 0) throw new RangeError('answered twice');
    const { line } = this;
    // There is no switching of protocols here: the stream is given to another (RFC 8441 §4).
    this.status = status === 101 ? 200 : status;
    const { on } = this;
    this.on = NO_EVENTS;
    if (!this.closed) {
      writePlainHead(line.sender, this.id, this.status, fields);
      const tunnel = new StreamTunnel(this, line.turn);
      this.tunnel = tunnel;
      tunnel.begin(session(tunnel));
      line.goOnLater(this);
      line.wrote(line.clock);
    }
    this.told(ENDED);
    on.lost(ENDED, 0, line.clock);
  }

  override sent(bytes: number): void {
    this.tunnel?.framed(bytes);
  }

  // ---- the line tells ----------------------------------------------------------------------------------------------

  get deadline(): Instant {
    return this.wanted;
  }

  set deadline(at: Instant) {
    this.wanted = at;
    this.line.wake(at);
  }

  get due(): Instant {
    return Math.min(this.wanted, this.discardAt, this.tunnel === null ? NEVER : this.tunnel.due);
  }

  tick(clock: Clock): void {
    if (this.tunnel !== null) {
      this.tunnel.tick(clock);
      return;
    }
    if (clock.now >= this.discardAt) {
      this.line.stopInput(this);
      return;
    }
    this.wanted = NEVER;
    this.on.tick(clock);
  }

  gather(clock: Clock): void {
    if (!this.ending && this.tunnel === null) this.on.gather?.(clock);
    this.settleSole();
    if (this.localEnded) this.writer?.clear();
    else if (this.status === 0 && this.waiting > 0) throw new RangeError('a body before its head');
  }

  writable(clock: Clock): void {
    this.on.writable(clock);
  }

  leave(why: Why, clock: Clock): void {
    if (this.tunnel !== null) this.tunnel.leave(why, LEAVE_MS);
    else if (!this.ending) this.on.leave(why, clock);
  }

  lost(cause: Cause, wire: number, clock: Clock): void {
    if (this.tunnel !== null) {
      this.tunnel.gone(cause, wire);
      return;
    }
    const { reader } = this;
    this.reader = null;
    this.sole = null;
    if (!this.inputDone && reader !== null) reader.lost(cause, clock);
    this.told(cause);
    const { on } = this;
    // What is over may be kept alive a while by who knew it (the tables of a Map do): it keeps nobody alive itself.
    this.on = NO_EVENTS;
    on.lost(cause, wire, clock);
  }

  /** Whoever logs requests is told of this one. */
  private told(cause: Cause): void {
    const { access } = this.line;
    if (access !== null) access.exchanged(this, this.status, this.came, this.framed, this.began, cause);
  }
}
