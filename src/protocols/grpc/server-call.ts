// One call on an exchange, whichever of gRPC, gRPC-Web and Connect it is spoken in: its messages in, its answers out, its
// deadline and its end. What these look like on the wire is for those that are made of it.
import { ByteWriter } from '../../bytes/writer.ts';
import type { BodyReader, Exchange, ExchangeEvents } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { type Cause, IDLE, REVOKED, type Why } from '../../core/pipe.ts';
import { reportBug } from '../../core/protocol.ts';
import { type Clock, NEVER } from '../../core/time.ts';
import type { Call, CallOptions, CallReceiver, Metadata } from '../../resources/services/contract.ts';
import type { Status } from '../../resources/services/status.ts';
import { COMPRESSED, EnvelopeReader, type EnvelopeSink, metadataOf, PREFIX, writePrefix } from './codec.ts';
import { type Coding, compress, expand } from './coding.ts';
import { faults } from './faults.ts';
import type { BodyCodec } from './server-codecs.ts';
import type { Codecs, Entry, GrpcHost } from './server-directory.ts';
import { scratch, statusOf } from './server-ending.ts';

/** CANCEL of HTTP/2 (RFC 9113 §7). */
const CANCEL = 8;
/** Longer messages are handed over, shorter ones copied. */
const COPIED_MAX = 16_384;
/** What `room` says while there is some. */
const ROOM = 64;

export interface CallTerms {
  readonly codecs: Codecs;
  /** How the caller's messages are compressed. */
  readonly inCoding: Coding | null;
  /** How the answer's are, those that are long enough. */
  readonly outCoding: Coding | null;
  /** In ms from now; NaN for what is none. */
  readonly timeoutMs: number;
}

/** Messages longer than this do not gather. */
const STRIP_MOST = 16_384;
const STRIP_FIRST = 4_096;
/** Larger ones cost more: memory from outside the heap makes its collector run. Measured: 16 KiB 850k messages a second, 128 KiB 600k. */
const STRIP_BYTES = 16_384;

/** Bytes that are written once and then shared: what is from `from` to `to` was not handed over yet. */
class Strip {
  bytes: Buffer = NOTHING;
  from = 0;
  to = 0;
  private next = STRIP_FIRST;

  /** False where there is no room: it is handed over and renewed. */
  add(bytes: Buffer, start: number, end: number): boolean {
    const to = this.to + end - start;
    if (to > this.bytes.length) return false;
    bytes.copy(this.bytes, this.to, start, end);
    this.to = to;
    return true;
  }

  /** Grows with what a call sends, so that a slow one holds little. */
  renew(size: number): void {
    while (this.next < size) this.next *= 2;
    this.bytes = Buffer.allocUnsafeSlow(this.next);
    this.next = Math.min(this.next * 2, STRIP_BYTES);
    this.from = this.to = 0;
  }
}

const NOTHING = Buffer.alloc(0);

export abstract class ServerCall implements CallReceiver, BodyReader, ExchangeEvents, EnvelopeSink {
  protected readonly exchange: Exchange;
  protected readonly host: GrpcHost;
  protected readonly entry: Entry;
  protected readonly terms: CallTerms;
  /** The head of the answer is written. */
  protected begun = false;
  /** Metadata that the answer's head is to have. */
  protected metadata: Metadata = NONE;
  /** How the last message was compressed. */
  protected compressed: Coding | null = null;
  /** Where the messages of an answer of many gather in one turn. */
  private readonly strip: Strip | null;
  /** There is room for so much at least, in this turn. */
  private budget = 0;
  /** The exchange knows that there is something at the end of the turn. */
  private noted = false;
  private call: Call | null = null;
  private readonly since: number;
  private readonly single: boolean;
  private first: unknown;
  /** All of the request came. */
  protected finished = false;
  private over = false;
  private paused = false;
  private discarded = 0;
  private readonly envelopes: EnvelopeReader;

  constructor(exchange: Exchange, host: GrpcHost, entry: Entry, terms: CallTerms) {
    this.exchange = exchange;
    this.host = host;
    this.entry = entry;
    this.terms = terms;
    this.since = host.clock.now;
    const { kind } = entry.method;
    this.single = kind === 'unary' || kind === 'server';
    this.strip = kind === 'server' || kind === 'both' ? new Strip() : null;
    this.envelopes = new EnvelopeReader(host.limits.messageBytesMax);
    exchange.on = this;
  }

  // ---- for those that are made of it -----------------------------------------------------------------------------------

  /** Writes the answer's head with `this.metadata`. */
  protected abstract head(): void;
  /** Writes a message that stands in `bytes[start..end)`, its prefix among them. */
  protected abstract put(bytes: Buffer, start: number, end: number): void;
  /** Ends the answer, whose head may not be written yet. */
  protected abstract ending(status: Status, trailers: Metadata): void;
  /** What stands before each message. */
  protected get prefix(): number {
    return PREFIX;
  }

  /** Begins; the exchange's body is read from now on. */
  start(): void {
    const { exchange, terms } = this;
    if (Number.isNaN(terms.timeoutMs)) {
      this.fail(faults.timeout);
      return;
    }
    exchange.body(this);
    if (!this.single) this.begin();
    else if (terms.timeoutMs !== Number.POSITIVE_INFINITY) exchange.deadline = this.since + terms.timeoutMs;
  }

  private begin(): Call {
    const { exchange, host, terms, since } = this;
    const options: CallOptions = {
      caller: exchange.caller,
      connection: exchange.connection,
      metadata: metadataOf(exchange.fields),
      timeoutMs: Math.max(0, terms.timeoutMs - (host.clock.now - since)),
    };
    const call = this.entry.begin(options, this);
    this.call = call;
    // What it said while it began was said before anybody could end it.
    if (this.over) call.cancel();
    return call;
  }

  // ---- the request -----------------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, _clock: Clock): number {
    if (this.over) return this.discard(start, end);
    const at = this.take(input, start, end);
    if (at < 0) {
      this.fail(this.envelopes.fault);
      return end;
    }
    if (this.over) return end;
    if (at < end) this.hold();
    return at;
  }

  protected take(input: Uint8Array, start: number, end: number): number {
    return this.envelopes.receive(input, start, end, this);
  }

  private discard(start: number, end: number): number {
    this.discarded += end - start;
    if (this.discarded > this.host.limits.discardBytesMax) this.exchange.reset(CANCEL);
    return end;
  }

  get takes(): boolean {
    if (this.over) return false;
    return this.single || this.call === null || this.call.room > 0;
  }

  private hold(): void {
    if (this.paused) return;
    this.paused = true;
    this.exchange.pause();
  }

  writable(clock?: Clock): void {
    // The exchange has room again, when a clock is given; else the call has.
    if (clock !== undefined) this.call?.more();
    else if (this.paused) {
      this.paused = false;
      this.exchange.resume();
    }
  }

  envelope(flags: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.over) return;
    if (flags === 0) this.input(bytes, start, end);
    else if (flags !== COMPRESSED) this.fail(faults.badFlags);
    else if (this.terms.inCoding === null) this.fail(faults.uncoded);
    else this.expanded(this.terms.inCoding, bytes, start, end);
  }

  protected expanded(coding: Coding, bytes: Uint8Array, start: number, end: number): void {
    // An empty message needs no compression, whatever its flag says.
    if (start === end) {
      this.input(bytes, start, end);
      return;
    }
    const max = this.host.limits.messageBytesMax;
    const out = new ByteWriter(max);
    const fault = expand(coding, bytes, start, end, out, max);
    if (fault === null) this.input(out.bytes, 0, out.length);
    else this.fail(fault);
    out.clear();
  }

  /** A message came. */
  protected input(bytes: Uint8Array, start: number, end: number): void {
    const { input } = this.terms.codecs;
    const value = input.read(bytes, start, end);
    if (value === undefined) this.stop(input.wrong());
    else if (!this.single) this.call?.send(value);
    else if (this.first !== undefined) this.fail(faults.twoMessages);
    else this.first = value;
  }

  trailers(): void {}

  finish(): void {
    this.finished = true;
    if (this.over) {
      this.exchange.deadline = NEVER;
      return;
    }
    if (!this.envelopes.isBetween) this.fail(faults.cut);
    else this.finishInput();
  }

  protected finishInput(): void {
    if (!this.single) {
      this.call?.finish();
      return;
    }
    const { first } = this;
    if (first === undefined) {
      this.fail(faults.noMessage);
      return;
    }
    this.first = undefined;
    const call = this.begin();
    if (this.over) return;
    call.send(first);
    call.finish();
  }

  // ---- the answer ------------------------------------------------------------------------------------------------------

  get isOver(): boolean {
    return this.over;
  }

  headers(metadata: Metadata): void {
    if (this.over || this.begun) return;
    this.metadata = metadata;
    const { kind } = this.entry.method;
    if (kind === 'unary' || kind === 'client') return;
    this.open();
    this.exchange.flush();
  }

  protected open(): void {
    if (this.begun) return;
    this.begun = true;
    this.head();
  }

  get room(): number {
    if (this.over) return 0;
    return this.budget > 0 ? ROOM : this.roomLeft();
  }

  private roomLeft(): number {
    // Who is told that there is none is told again only when it was the exchange that had none.
    this.emit();
    if (this.noted) this.exchange.flush();
    this.budget = this.exchange.room;
    return this.budget > 0 ? ROOM : 0;
  }

  message(value: unknown): void {
    if (this.over) return;
    const { output } = this.terms.codecs;
    const { prefix } = this;
    const out = scratch();
    out.ensure(prefix);
    out.length = prefix;
    if (!this.encode(output, value, out)) return;
    const size = out.length - prefix;
    const { answerBytesMax, compressBytesLeast } = this.host.limits;
    if (size > answerBytesMax) {
      this.fail(faults.answerTooLong);
      return;
    }
    const { outCoding } = this.terms;
    this.open();
    if (outCoding !== null && size >= compressBytesLeast) this.putCompressed(outCoding, out.bytes, prefix, out.length);
    else {
      if (prefix > 0) writePrefix(out.bytes, 0, 0, size);
      this.put(out.bytes, 0, out.length);
    }
    if (this.strip === null || this.noted) return;
    this.noted = true;
    this.exchange.flush();
  }

  private encode(output: BodyCodec, value: unknown, out: ByteWriter): boolean {
    try {
      output.write(out, value);
      return true;
    } catch (error) {
      this.bug(error, 'the answer of a handler');
      return false;
    }
  }

  private putCompressed(coding: Coding, bytes: Buffer, start: number, end: number): void {
    // What cannot be made smaller grows by some bytes in each 16 KiB.
    const out = new ByteWriter(end - start + 65_536);
    const { prefix } = this;
    this.compressed = coding;
    out.ensure(prefix);
    out.length = prefix;
    compress(coding, bytes, start, end, out);
    if (prefix > 0) writePrefix(out.bytes, 0, COMPRESSED, out.length - prefix);
    this.put(out.bytes, 0, out.length);
    out.clear();
  }

  /** Writes bytes that are borrowed. */
  protected write(bytes: Buffer, start: number, end: number): void {
    const { exchange, strip } = this;
    const size = end - start;
    this.budget -= size;
    if (strip !== null && size <= STRIP_MOST) {
      if (strip.add(bytes, start, end)) return;
      this.emit();
      strip.renew(size);
      strip.add(bytes, start, end);
    } else if (size <= COPIED_MAX && strip === null) exchange.out.copy(bytes, start, end);
    else {
      this.emit();
      const copy = Buffer.from(bytes.subarray(start, end));
      exchange.share(copy, 0, copy.length);
    }
  }

  /** Hands over the messages that gathered. */
  protected emit(): void {
    const { strip } = this;
    if (strip === null || strip.from === strip.to) return;
    const { bytes, from, to } = strip;
    strip.from = to;
    this.exchange.share(bytes, from, to);
  }

  gather(): void {
    this.noted = false;
    this.budget = 0;
    this.emit();
  }

  end(status: Status, trailers: Metadata): void {
    if (this.over) return;
    this.close();
    try {
      this.emit();
      this.ending(status, trailers);
    } catch (error) {
      this.bug(error, 'the end of a call');
    }
  }

  /** The caller broke a rule: its call is over with the fault's code. */
  protected fail(fault: Fault, detail = ''): void {
    this.stop(statusOf(fault, detail));
  }

  private stop(status: Status): void {
    if (this.over) return;
    this.close();
    this.call?.cancel();
    this.emit();
    this.ending(status, NONE);
  }

  private bug(error: unknown, where: string): void {
    const { connection } = this.exchange;
    reportBug(this.host, error, where, { connection, method: this.entry.method.name });
    if (this.over) this.exchange.reset(CANCEL);
    else this.stop(statusOf(faults.bug));
  }

  private close(): void {
    this.over = true;
    this.first = undefined;
    this.envelopes.clear();
    if (this.paused) {
      this.paused = false;
      this.exchange.resume();
    }
    if (!this.finished) this.exchange.deadline = this.host.clock.now + this.host.limits.discardMs;
  }

  // ---- the exchange ----------------------------------------------------------------------------------------------------

  tick(clock: Clock): void {
    if (this.over) this.exchange.reset(CANCEL);
    // A unary call that was begun ends by its own deadline.
    else if (this.call === null && clock.now >= this.since + this.terms.timeoutMs) this.fail(faults.late);
  }

  leave(why: Why): void {
    if (why === REVOKED) this.fail(faults.revoked);
    else if (why !== IDLE && (this.call === null || this.entry.method.kind !== 'unary')) this.fail(faults.leaving);
  }

  /** Of the body, and of the exchange: the call is not wanted any more. */
  lost(_cause: Cause): void {
    if (this.over) return;
    this.over = true;
    this.first = undefined;
    this.envelopes.clear();
    this.call?.cancel();
  }

  /** Tells of metadata that could not be sent. */
  protected leftOut(names: readonly string[]): void {
    if (names.length === 0) return;
    const { name, service } = this.entry.method;
    this.host.log.warn('metadata of a handler cannot be sent', {
      method: `${service.name}/${name}`,
      names: names.join(),
    });
  }
}

export const NONE: Metadata = [];
