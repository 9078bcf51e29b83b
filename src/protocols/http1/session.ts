// The server's half of an HTTP/1.1 connection: which bytes are heads and which bodies, one exchange after the other, and
// how it all ends (RFC 9112 §9). What a request means is the routes' business.
import { BAD, MORE } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import type { AccessLog } from '../../core/access.ts';
import type { Fault } from '../../core/fault.ts';
import { type Cause, ENDED, FAULT, type Pipe, type Session, type Why } from '../../core/pipe.ts';
import { type Alternative, type Host, reportBug } from '../../core/protocol.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { PROBLEM_TYPE, problemJson } from '../../formats/problem.ts';
import { answerProblem } from '../http/answers.ts';
import { PHRASES } from '../http/status.ts';
import { ChunkReader, COMPLETE, DATA, HeadReader } from './codec.ts';
import { Http1Exchange, type Line } from './exchange.ts';
import { faults } from './faults.ts';
import { CHUNKED, Framing } from './framing.ts';
import { startText } from './head-writer.ts';
import type { limits } from './limits.ts';

export type Http1Host = Host<unknown, typeof limits>;

/** The most that one exchange may gather before it is framed; a handler that writes more without `flush` has a bug. */
const GATHERED_MAX = 8_388_608;

/** How long the rest of a body that nobody wants is read, behind the end of the answer. */
const DISCARD_MS = 10_000;

/** How HTTP/2 begins, and POST and PUT do. */
const P = 0x50;
const NO_OTHERS: readonly Alternative[] = [];

export class Http1Session implements Session, Line {
  readonly pipe: Pipe;
  readonly gathered = new ByteWriter(GATHERED_MAX);
  readonly discardBytesMax: number;
  keepAlive = true;

  private readonly host: Http1Host;
  private readonly head: HeadReader;
  private readonly framing = new Framing();
  private chunks: ChunkReader | null = null;
  private exchange: Http1Exchange | null = null;
  private requests = 0;
  /** Nothing more is read or begun. */
  private over = false;
  /** The pipe is another session's. */
  private gone = false;
  /** The next request waits, unread, for the answer to this one. */
  private held = false;
  /** Bytes of a body that nobody reads. */
  private discarded = 0;
  /** When the head, or the silence, has lasted too long. */
  private headAt: Instant;
  private withinHead = false;
  /** The end of the window in which the body must bring its least, and what it brought. */
  private bodyAt: Instant = NEVER;
  private brought = 0;
  /** When it is looked at whether the answer is being taken, and what had been at the last look. */
  private sendAt: Instant = NEVER;
  private deliveredBefore = 0;

  constructor(pipe: Pipe, host: Http1Host) {
    this.pipe = pipe;
    this.host = host;
    this.discardBytesMax = host.limits.discardBytesMax;
    this.head = new HeadReader('request', host.limits);
    this.headAt = host.clock.now + host.limits.headMs;
  }

  get clock(): Clock {
    return this.host.clock;
  }

  get access(): AccessLog | null {
    return this.host.access ?? null;
  }

  get deadline(): Instant {
    const { exchange } = this;
    if (exchange === null) return Math.min(this.headAt, this.sendAt);
    return Math.min(exchange.deadline, this.bodyAt, this.sendAt);
  }

  // ---- input -------------------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    while (at < end && !this.gone) {
      if (this.over) return end;
      const { exchange } = this;
      if (exchange === null) {
        if (this.pipe.room === 0) {
          this.holdUntilTaken(clock);
          return at;
        }
        const next = this.readHead(input, at, end, clock);
        if (next === at) return at;
        at = next;
      } else if (exchange.bodyDone) {
        this.held = true;
        this.pipe.pause();
        return at;
      } else if (exchange.paused) return at;
      else {
        const next = this.step(exchange, input, at, end, clock);
        if (next === at) return at;
        at = next;
      }
    }
    return at;
  }

  /** Who pipelines takes the answers before the next request is begun: they are held by nothing else. */
  private holdUntilTaken(clock: Clock): void {
    this.held = true;
    this.headAt = NEVER;
    this.sendAt = clock.now + this.host.limits.sendMs;
    this.deliveredBefore = this.pipe.delivered;
    this.pipe.pause();
  }

  private readHead(input: Uint8Array, at: number, end: number, clock: Clock): number {
    const { head } = this;
    if (this.requests === 0 && input[at] === P) {
      const other = this.readOther(input, at, end);
      if (other !== null) return other;
    }
    const next = head.read(input, at, end);
    if (next === MORE) {
      if (!this.withinHead) {
        this.withinHead = true;
        this.headAt = clock.now + this.host.limits.headMs;
      }
      return at;
    }
    const fault = next === BAD ? head.fault : this.framing.read(head);
    if (fault !== null) {
      this.refuse(fault, next !== BAD && head.method === 'HEAD');
      return end;
    }
    this.begin(clock);
    return next;
  }

  /** Whether another protocol begins so, such as HTTP/2 (RFC 9113 §3.3): where its bytes begin; null for none. */
  private readOther(input: Uint8Array, at: number, end: number): number | null {
    for (const { name, recognises, make } of this.host.alternatives ?? NO_OTHERS) {
      const is = recognises(input, at, end);
      // No method begins as far as that (RFC 9110 §16.1.1).
      if (is === null && end - at > 3) return at;
      if (is !== true) continue;
      this.gone = true;
      this.headAt = NEVER;
      this.pipe.speaks(name);
      this.pipe.become(make(this.pipe));
      return at;
    }
    return null;
  }

  /** Routes a request whose head is read. */
  private begin(clock: Clock): void {
    const { framing, host } = this;
    this.withinHead = false;
    this.requests++;
    this.keepAlive = framing.keepAlive && this.requests < host.limits.requestsMax;
    const exchange = new Http1Exchange(this, this.head, framing);
    this.exchange = exchange;
    if (!exchange.bodyDone) {
      if (exchange.bodyKind === CHUNKED) {
        this.chunks ??= new ChunkReader(host.limits);
        this.chunks.begin();
      }
      this.discarded = 0;
      this.brought = 0;
      this.bodyAt = clock.now + host.limits.bodyMs;
    }
    try {
      host.routes(exchange);
      if (exchange.bodyDone) this.tellEnd(exchange, clock);
    } catch (error) {
      this.failed(exchange, error);
    }
  }

  private tellEnd(exchange: Http1Exchange, clock: Clock): void {
    exchange.owesFinish = exchange.paused;
    if (!exchange.paused) exchange.receiver.finish(clock);
  }

  finishes(exchange: Http1Exchange): void {
    exchange.owesFinish = false;
    if (this.exchange !== exchange) return;
    try {
      exchange.receiver.finish(this.clock);
    } catch (error) {
      this.failed(exchange, error);
    }
  }

  /** A handler threw: a bug that ends its exchange only. */
  private failed(exchange: Http1Exchange, error: unknown): void {
    const fields = { connection: this.pipe.id, request: `${exchange.method} ${exchange.target}` };
    reportBug(this.host, error, 'what answers a request', fields);
    if (exchange.status === 0) {
      this.gathered.cut(0);
      answerProblem(exchange, 500, 'The server failed to answer this request; its log says why.');
    } else if (!exchange.isEnded) this.pipe.reset(0);
  }

  private step(exchange: Http1Exchange, input: Uint8Array, at: number, end: number, clock: Clock): number {
    try {
      return this.readBody(exchange, input, at, end, clock);
    } catch (error) {
      // What is left of the body is nobody's.
      exchange.reader = null;
      this.failed(exchange, error);
      return end;
    }
  }

  private readBody(exchange: Http1Exchange, input: Uint8Array, at: number, end: number, clock: Clock): number {
    if (exchange.bodyKind === CHUNKED) return this.readChunk(exchange, input, at, end, clock);
    const next = this.pass(exchange, input, at, Math.min(end, at + exchange.left), clock);
    exchange.left -= next - at;
    if (exchange.left === 0) this.bodyIsDone(exchange, clock);
    return next;
  }

  private readChunk(exchange: Http1Exchange, input: Uint8Array, at: number, end: number, clock: Clock): number {
    const chunks = this.chunks!;
    const next = chunks.read(input, at, end);
    if (next === BAD) {
      this.refuse(chunks.fault);
      return end;
    }
    if (chunks.found === DATA) {
      const taken = this.pass(exchange, input, chunks.dataStart, next, clock);
      if (taken < next) chunks.gaveBack(next - taken);
      return taken;
    }
    if (chunks.found === COMPLETE) {
      if (chunks.trailers.list.length > 0) exchange.receiver.trailers(chunks.trailers);
      this.bodyIsDone(exchange, clock);
    }
    return next;
  }

  /** Hands bytes of the body to who reads it. */
  private pass(exchange: Http1Exchange, input: Uint8Array, at: number, end: number, clock: Clock): number {
    if (exchange.reader === null) this.discarded += end - at;
    const next = exchange.receiver.receive(input, at, end, clock);
    this.brought += next - at;
    exchange.came += next - at;
    if (this.discarded > this.discardBytesMax) this.keepAlive = false;
    if (exchange.isEnded && !this.keepAlive && exchange.reader === null) this.done(exchange, clock);
    return next;
  }

  private bodyIsDone(exchange: Http1Exchange, clock: Clock): void {
    // It may have been ended meanwhile, by what was handed over last.
    if (this.exchange !== exchange || exchange.bodyDone) return;
    exchange.bodyDone = true;
    this.bodyAt = NEVER;
    exchange.receiver.finish(clock);
    if (exchange.isEnded) this.done(exchange, clock);
  }

  // ---- the exchange tells ------------------------------------------------------------------------------------------

  wrote(): void {
    if (this.sendAt === NEVER) {
      this.sendAt = this.clock.now + this.host.limits.sendMs;
      this.deliveredBefore = this.pipe.delivered;
    }
    this.pipe.flush();
  }

  answered(): void {
    const exchange = this.exchange!;
    // What nobody reads, and what is not worth waiting for, ends here with the connection.
    if (exchange.bodyDone || (exchange.reader === null && !this.keepAlive)) this.done(exchange, this.clock);
    this.pipe.flush();
  }

  taken(make: (pipe: Pipe) => Session): void {
    const exchange = this.exchange!;
    this.exchange = null;
    this.gone = true;
    this.headAt = NEVER;
    const { pipe } = this;
    pipe.become(make(pipe));
    if (this.held) pipe.resume();
    pipe.flush();
    exchange.over(ENDED, 0, this.clock);
  }

  /** Request and answer are complete, or as complete as they will be. */
  private done(exchange: Http1Exchange, clock: Clock): void {
    if (this.exchange !== exchange) return;
    this.exchange = null;
    this.bodyAt = NEVER;
    this.sendAt = NEVER;
    this.gathered.clear();
    if (this.keepAlive) this.headAt = clock.now + this.host.limits.idleMs;
    else {
      this.end();
      // What is still coming is let pass for a time, so that the answer is not lost with a reset (RFC 9112 §9.6).
      if (!exchange.bodyDone) this.headAt = clock.now + DISCARD_MS;
    }
    if (this.held || exchange.holdsPipe) {
      exchange.holdsPipe = false;
      this.held = false;
      this.pipe.resume();
    }
    exchange.over(ENDED, 0, clock);
  }

  private end(): void {
    this.over = true;
    this.headAt = NEVER;
    this.pipe.end();
  }

  // ---- faults ------------------------------------------------------------------------------------------------------

  /** Answers in HTTP's words where an answer can still be given, and closes (RFC 9112 §9.6). */
  private refuse(fault: Fault, isHead = this.exchange?.method === 'HEAD'): void {
    const { exchange, pipe } = this;
    this.over = true;
    this.headAt = NEVER;
    this.exchange = null;
    const mute = fault.wire === 0 || (exchange !== null && exchange.status !== 0);
    if (!mute) {
      this.writeRefusal(fault, isHead);
      if (exchange !== null) exchange.status = fault.wire;
    }
    this.gathered.clear();
    pipe.fail(fault);
    if (mute && exchange?.isEnded === false) pipe.reset(0);
    if (exchange === null) return;
    if (!exchange.bodyDone) exchange.receiver.lost(FAULT, this.clock);
    exchange.over(FAULT, fault.wire, this.clock);
  }

  private writeRefusal(fault: Fault, isHead: boolean): void {
    const { out } = this.pipe;
    const title = PHRASES[fault.wire] ?? 'Error';
    const body = problemJson({ status: fault.wire, title, detail: fault.text, extensions: { clause: fault.spec } });
    out.ascii(startText(fault.wire, this.clock.wall));
    out.ascii(
      `Content-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`,
    );
    if (!isHead) out.utf8(body);
    this.pipe.flush();
  }

  overlong(): void {
    if (this.exchange === null) this.refuse(faults.headTooLong);
    else this.pipe.reset(0);
  }

  // ---- time and ends -----------------------------------------------------------------------------------------------

  /** The turn ends: what was gathered becomes one piece. */
  gather(clock: Clock): void {
    const { exchange } = this;
    if (exchange !== null && !exchange.isEnded) exchange.on.gather?.(clock);
    if (this.gathered.length > 0) this.exchange?.frame();
  }

  writable(clock: Clock): void {
    const { exchange } = this;
    if (exchange !== null) exchange.on.writable(clock);
    else if (this.held && !this.over) {
      this.held = false;
      this.sendAt = NEVER;
      this.headAt = clock.now + this.host.limits.idleMs;
      this.pipe.resume();
    }
  }

  tick(clock: Clock): void {
    const { exchange } = this;
    if (exchange === null) {
      if (clock.now >= this.sendAt) this.checkSending(clock);
      if (clock.now < this.headAt) return;
      if (this.over) this.pipe.reset(0);
      else if (this.withinHead) this.refuse(faults.slowHead);
      else this.end();
      return;
    }
    if (clock.now >= exchange.deadline) {
      exchange.deadline = NEVER;
      exchange.on.tick(clock);
    }
    if (clock.now >= this.bodyAt && this.exchange === exchange) this.checkBody(exchange, clock);
    if (clock.now >= this.sendAt && this.exchange === exchange) this.checkSending(clock);
  }

  private checkBody(exchange: Http1Exchange, clock: Clock): void {
    const { bodyMs, bodyBytesMin } = this.host.limits;
    const slow = this.brought < bodyBytesMin && !exchange.paused;
    this.brought = 0;
    this.bodyAt = clock.now + bodyMs;
    if (slow) this.refuse(faults.slowBody);
  }

  /** An answer that waits for its client must go on being taken. */
  private checkSending(clock: Clock): void {
    const { queued, delivered } = this.pipe;
    this.sendAt = queued === 0 ? NEVER : clock.now + this.host.limits.sendMs;
    const stuck = queued > 0 && delivered === this.deliveredBefore;
    this.deliveredBefore = delivered;
    if (stuck) this.refuse(faults.slowReader);
  }

  finish(clock: Clock): void {
    const { exchange } = this;
    if (exchange === null) {
      if (this.over) return;
      if (this.withinHead) this.refuse(faults.incomplete);
      else this.end();
      return;
    }
    this.keepAlive = false;
    if (exchange.bodyDone) return;
    if (exchange.isEnded) this.done(exchange, clock);
    else this.refuse(faults.incomplete);
  }

  leave(why: Why, clock: Clock): void {
    const { exchange } = this;
    this.keepAlive = false;
    if (exchange === null) {
      if (!this.over) this.end();
    } else exchange.on.leave(why, clock);
  }

  lost(cause: Cause, wire: number, clock: Clock): void {
    const { exchange } = this;
    this.exchange = null;
    this.over = true;
    this.gathered.clear();
    if (exchange === null) return;
    if (!exchange.bodyDone) exchange.receiver.lost(cause, clock);
    exchange.over(cause, wire, clock);
  }
}
