// One request and its answer on a stream (RFC 9114 §4.1). What the handler writes is framed where it stands, and leaves with
// its stream's turn.
import { BAD, MORE } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import type { Caller } from '../../core/caller.ts';
import type { BodyReader, Exchange, ExchangeEvents } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { type Fields, NO_FIELDS } from '../../core/fields.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import type { Peer } from '../../core/peer.ts';
import { type Cause, ENDED, type Pipe, type Session, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { trailersOf } from '../http/answer-head.ts';
import { RequestHead } from '../http/request-head.ts';
import { writePlainHead, writeTrailers } from './answer-heads.ts';
import {
  DATA,
  H3_CONNECT_ERROR,
  H3_INTERNAL_ERROR,
  H3_NO_ERROR,
  H3_REQUEST_CANCELLED,
  H3_VERSION_FALLBACK,
  writeFrameHead,
} from './codec.ts';
import { faults } from './faults.ts';
import { MessageStream } from './message-stream.ts';
import type { Http3Session } from './session.ts';
import { isTransport, Transport } from './transport.ts';
import { StreamTunnel } from './tunnel.ts';

/** The most that one exchange may write in place before it is sent; a handler that writes more without room has a bug. */
const WRITTEN_MAX = 8_388_608;
/** What is written in place up to here is copied behind its frame's head. */
const COPIED_MAX = 16_384;
/** How long the rest of a body that nobody wants is read, behind the end of the answer. */
const DISCARD_MS = 10_000;
/** What a tunnel has to say goodbye. */
const LEAVE_MS = 5_000;

const NO_EVENTS: ExchangeEvents = { writable() {}, tick() {}, leave() {}, lost() {} };
const NO_HEAD = new RequestHead();

export class Http3Exchange extends MessageStream implements Exchange {
  declare readonly line: Http3Session;
  beside: Fields = NO_FIELDS;
  on: ExchangeEvents = NO_EVENTS;
  /** Of the answer; 0 until its head is written. */
  status = 0;
  early = false;
  private came = 0;
  private framed = 0;
  private began: Instant = 0;
  private request: RequestHead = NO_HEAD;
  private who: Caller;
  private reader: BodyReader | null = null;
  private expectsContinue = false;
  private bodyless = false;
  private ending = false;
  /** The answer's length when it is known. */
  private length = -1;
  private discarded = 0;
  private discardAt: Instant = NEVER;
  private bodyAt: Instant = NEVER;
  private headAt: Instant;
  private wanted: Instant = NEVER;
  private tunnel: StreamTunnel | null = null;
  private transport: Transport | null = null;
  private writer: ByteWriter | null = null;

  constructor(line: Http3Session, pipe: Pipe) {
    super(line, pipe);
    this.who = line.nobody;
    this.headAt = line.clock.now + line.limits.headMs;
  }

  get connection(): number {
    return this.line.mux.id;
  }

  get method(): string {
    return this.request.method;
  }

  get target(): string {
    return this.request.target;
  }

  get authority(): string {
    return this.request.authority;
  }

  get upgrade(): string {
    return this.request.protocol;
  }

  get fields(): Fields {
    return this.request.fields;
  }

  get peer(): Peer {
    return this.line.mux.peer;
  }

  get caller(): Caller {
    return this.who;
  }

  set caller(caller: Caller) {
    if (this.who === caller) return;
    this.who = caller;
    this.line.mux.signedIn(caller);
  }

  // ---- the request -------------------------------------------------------------------------------------------------

  protected head(input: Uint8Array, start: number, end: number, clock: Clock): Fault | typeof MORE | typeof BAD | null {
    const { line } = this;
    const { heads } = line;
    const head = heads.read(input, start, end);
    this.required = heads.required;
    if (head === MORE || head === BAD) return head;
    line.acknowledge(this.id, heads.required);
    this.headAt = NEVER;
    const refused = line.refusal(this) ?? head.fault ?? (isTransport(head.protocol) ? line.refusalOfTransport() : null);
    if (refused !== null) return refused;
    this.headed();
    this.request = head;
    line.prioritiseNew(this, head);
    this.expected = head.length;
    this.expectsContinue = head.expectsContinue;
    if (line.access !== null) this.began = line.access.now();
    this.bodyAt = clock.now + line.limits.bodyMs;
    line.route(this, head.tooLarge);
    return null;
  }

  protected tooLong(): void {
    this.refuse(faults.sectionTooLong);
  }

  override refuse(fault: Fault): void {
    this.line.refused();
    super.refuse(fault);
  }

  body(reader: BodyReader): void {
    this.reader = reader;
    if (!this.expectsContinue || this.status !== 0) return;
    this.expectsContinue = false;
    this.inform(100, NO_FIELDS);
  }

  protected read(input: Uint8Array, start: number, end: number, clock: Clock): number {
    if (this.tunnel !== null || this.transport !== null) {
      this.tunnel?.came(input, start, end);
      this.transport?.came(input, start, end);
      return end;
    }
    if (this.reader !== null) {
      const next = this.reader.receive(input, start, end, clock);
      this.came += next - start;
      return next;
    }
    // What follows a CONNECT is for whoever takes it.
    if (this.request.method === 'CONNECT' && this.status === 0) return start;
    this.discarded += end - start;
    this.came += end - start;
    if (this.discarded > this.line.limits.discardBytesMax) this.stopInput(H3_NO_ERROR);
    return end;
  }

  protected readEnd(trailers: Fields | null, clock: Clock): void {
    this.bodyAt = NEVER;
    this.discardAt = NEVER;
    if (this.tunnel !== null || this.transport !== null) {
      this.tunnel?.cameEnd();
      this.transport?.cameEnd();
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
    if (this.status !== 0 || this.isOver) return;
    writePlainHead(this.pipe, this.id, this.line.writer, status, fields);
    this.wrote();
  }

  respond(status: number, fields: Fields, length?: number): void {
    if (this.status !== 0) throw new RangeError('answered twice');
    if (status < 200 || status > 999) throw new RangeError(`${status} is no final status`);
    const noContent = status === 204 || status === 304;
    this.bodyless = this.request.method === 'HEAD' || noContent || status === 205;
    let known = length ?? -1;
    if (noContent) known = -1;
    else if (status === 205) known = 0;
    if (!this.isOver) {
      const { line } = this;
      line.answers.write(this.pipe, this.id, status, fields, this.beside, known, line.clock.wall);
      this.wrote();
    }
    this.status = status;
    this.length = known;
  }

  private wrote(): void {
    this.line.sendInstructions();
    this.pipe.flush();
  }

  get out(): ByteWriter {
    this.writer ??= new ByteWriter(WRITTEN_MAX);
    return this.writer;
  }

  get room(): number {
    if (this.isOver || this.ending) return 0;
    const { writer, pipe } = this;
    if (writer === null || writer.length === 0) return pipe.room;
    if (writer.length > COPIED_MAX && this.status !== 0) this.settle();
    return Math.max(0, pipe.room - writer.length);
  }

  share(bytes: Uint8Array, start: number, end: number, storage?: Buffer): void {
    if (start === end) return;
    if (this.status === 0) throw new RangeError('a body before its head');
    if (this.bodyless || this.ending || this.isOver) return;
    this.settle();
    this.writeData(bytes, start, end, storage);
  }

  private writeData(bytes: Uint8Array, start: number, end: number, storage?: Buffer): void {
    writeFrameHead(this.pipe.out, DATA, end - start);
    this.pipe.share(bytes, start, end, storage);
    this.framed += end - start;
  }

  /** What was written in place becomes a frame. */
  private settle(): void {
    const { writer } = this;
    if (writer === null || writer.length === 0) return;
    if (this.bodyless || this.isOver) {
      writer.clear();
      return;
    }
    if (this.status === 0) throw new RangeError('a body before its head');
    const { out } = this.pipe;
    if (writer.length <= COPIED_MAX) {
      writeFrameHead(out, DATA, writer.length);
      out.copy(writer.bytes, 0, writer.length);
      this.framed += writer.length;
      writer.clear();
    } else {
      const { bytes } = writer.take();
      this.writeData(bytes, 0, bytes.length);
    }
  }

  flush(): void {
    if (!this.isOver) this.pipe.flush();
  }

  end(trailers?: Fields): void {
    if (this.ending || this.isOver) return;
    if (this.status === 0) throw new RangeError('an end before a head');
    const last = trailers === undefined || this.bodyless ? null : trailersOf(trailers);
    this.settle();
    this.ending = true;
    if (this.length >= 0 && !this.bodyless && this.framed !== this.length) {
      this.reset(H3_INTERNAL_ERROR);
      return;
    }
    if (last !== null) {
      writeTrailers(this.pipe, this.id, this.line.writer, last);
      this.line.sendInstructions();
    }
    this.pipe.end();
    this.pipe.flush();
    if (this.inputDone || this.reader !== null) return;
    // What is left of the request is let pass, for a time.
    if (this.expected > this.line.limits.discardBytesMax) this.stopInput(H3_NO_ERROR);
    else this.discardAt = this.line.clock.now + DISCARD_MS;
  }

  reset(wire: number): void {
    this.writer?.clear();
    this.pipe.reset(codeOf(wire));
  }

  // ---- tunnels -----------------------------------------------------------------------------------------------------

  take(status: number, fields: Fields, session: (pipe: Pipe) => Session): void {
    if (this.status !== 0) throw new RangeError('answered twice');
    const { line } = this;
    // There is no switching of protocols here: the stream is given to another (RFC 9220 §3).
    this.status = status === 101 ? 200 : status;
    const { on } = this;
    this.on = NO_EVENTS;
    if (!this.isOver) {
      writePlainHead(this.pipe, this.id, line.writer, this.status, fields);
      const tunnel = new StreamTunnel(this, line);
      // What is spoken on it has no end that others could wait for.
      this.pipe.prioritise?.(this.request.urgency, true);
      this.tunnel = tunnel;
      this.bodyAt = NEVER;
      tunnel.begin(session(tunnel));
      this.paused = true;
      this.resume();
      this.wrote();
    }
    this.told(ENDED);
    on.lost(ENDED, 0, line.clock);
  }

  get takeMux(): Exchange['takeMux'] {
    return isTransport(this.request.protocol) ? this.takeTransport : undefined;
  }

  private takeTransport(status: number, fields: Fields, session: (mux: Mux) => MuxSession): void {
    if (this.status !== 0) throw new RangeError('answered twice');
    const { line, on } = this;
    this.status = status;
    this.on = NO_EVENTS;
    if (!this.isOver) {
      writePlainHead(this.pipe, this.id, line.writer, status, fields);
      this.wrote();
      this.bodyAt = NEVER;
      const transport = new Transport(this);
      this.transport = transport;
      transport.begin(session(transport));
      line.transportBegan(this.id, transport);
      this.paused = true;
      this.resume();
    }
    this.told(ENDED);
    on.lost(ENDED, 0, line.clock);
  }

  // ---- the stream tells --------------------------------------------------------------------------------------------

  set deadline(at: Instant) {
    this.wanted = at;
    this.pipe.flush();
  }

  get deadline(): Instant {
    if (this.tunnel !== null) return this.tunnel.innerDue;
    if (this.transport !== null) return this.transport.deadline;
    return Math.min(this.wanted, this.discardAt, this.bodyAt, this.headAt);
  }

  tick(clock: Clock): void {
    if (this.tunnel !== null) this.tunnel.due <= clock.now && this.tunnel.tick(clock);
    else if (this.transport !== null) this.transport.tick(clock);
    else if (clock.now >= this.headAt) this.refuse(faults.slowHead);
    else if (clock.now >= this.discardAt) this.stopInputLate();
    else if (clock.now >= this.bodyAt) this.bodyDue(clock);
    else {
      this.wanted = NEVER;
      this.on.tick(clock);
    }
  }

  private stopInputLate(): void {
    this.discardAt = NEVER;
    this.stopInput(H3_NO_ERROR);
  }

  private bodyDue(clock: Clock): void {
    const { bodyBytesMin, bodyMs } = this.line.limits;
    const slow = this.reader !== null && !this.paused && this.brought < bodyBytesMin && !this.inputDone;
    this.brought = 0;
    this.bodyAt = this.inputDone || this.deaf ? NEVER : clock.now + bodyMs;
    if (slow) this.refuse(faults.slowBody);
  }

  gather(clock: Clock): void {
    if (this.tunnel !== null) {
      this.tunnel.run(clock);
      return;
    }
    if (this.transport !== null) return;
    if (this.status === 0) {
      if (this.writer !== null && this.writer.length > 0) throw new RangeError('a body before its head');
      return;
    }
    if (!this.ending) this.on.gather?.(clock);
    this.settle();
  }

  writable(clock: Clock): void {
    if (this.tunnel !== null) this.tunnel.drained();
    else if (this.transport === null) this.on.writable(clock);
  }

  leave(why: Why, clock: Clock): void {
    if (this.tunnel !== null) this.tunnel.leave(why, LEAVE_MS);
    else if (this.transport !== null) this.transport.leave(why, clock);
    else if (!this.ending) this.on.leave(why, clock);
  }

  protected gone(cause: Cause, wire: number, clock: Clock): void {
    this.writer?.clear();
    if (this.request === NO_HEAD) {
      // It opened a stream and asked for nothing.
      if (cause !== ENDED) this.line.refused();
      return;
    }
    if (this.tunnel !== null || this.transport !== null) {
      this.tunnel?.gone(cause, wire);
      this.transport?.gone(cause);
      return;
    }
    if (!this.ending) this.line.refused();
    const { reader } = this;
    this.reader = null;
    if (!this.inputDone && reader !== null) reader.lost(cause, clock);
    this.told(cause);
    const { on } = this;
    this.on = NO_EVENTS;
    on.lost(cause, wire, clock);
  }

  /** Whoever logs requests is told of this one. */
  private told(cause: Cause): void {
    const { access } = this.line;
    if (access !== null) access.exchanged(this, this.status, this.came, this.framed, this.began, cause);
  }
}

/** Codes of HTTP/2, which handlers know, as those of HTTP/3. */
function codeOf(wire: number): number {
  if (wire >= H3_NO_ERROR && wire <= H3_VERSION_FALLBACK) return wire;
  if (wire === 0x8) return H3_REQUEST_CANCELLED;
  return wire === 0xa ? H3_CONNECT_ERROR : H3_INTERNAL_ERROR;
}
