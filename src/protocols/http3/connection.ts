// What both ends of an HTTP/3 connection do alike (RFC 9114 §3, §6.2, §7.2): their one-way streams, settings, the tables of
// field compression, floods. Requests are the halves' own business; packets and flow control are the carrier's.
import { BAD, MORE } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { Allowance } from '../http/allowance.ts';
import { writeInteger } from '../http/field-writing.ts';
import {
  CANCEL_PUSH,
  CONTROL_STREAM,
  DATA,
  DECODER_STREAM,
  ENABLE_CONNECT_PROTOCOL,
  ENCODER_STREAM,
  GOAWAY,
  greaseOf,
  H3_DATAGRAM,
  HEADERS,
  isReserved,
  isReservedSetting,
  MAX_PUSH_ID,
  PRIORITY_UPDATE,
  PRIORITY_UPDATE_PUSH,
  PUSH_PROMISE,
  QPACK_BLOCKED_STREAMS,
  QPACK_MAX_TABLE_CAPACITY,
  readVarint,
  SETTINGS,
  varint,
  writeFrameHead,
  writeSettings,
  writeVarint,
} from './codec.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import type { MessageStream } from './message-stream.ts';
import { OneWayStream, OwnStream } from './one-way.ts';
import { FieldReader } from './qpack/field-reader.ts';
import { FieldWriter } from './qpack/field-writer.ts';

/** What of the table's instructions may wait to be sent; while more does, the table stays as it is. */
const INSTRUCTIONS_MAX = 16_384;
const FEEDBACK_MAX = 65_536;
/** Settings of one frame. */
const SETTINGS_MAX = 64;
/** One-way streams of the peer's that are open: its three, and some that mean nothing. */
const ONE_WAY_MAX = 32;

export abstract class Connection implements MuxSession {
  readonly mux: Mux;
  readonly limits: Bound<typeof limits>;
  readonly reader: FieldReader;
  readonly writer = new FieldWriter();
  /** Requests that are not over. */
  readonly streams = new Set<MessageStream>();
  isOver = false;
  /** The peer's SETTINGS came. */
  isSettled = false;
  /** What the peer takes (RFC 9220 §3). */
  takesConnect = false;
  /** Datagrams of HTTP (RFC 9297 §2.1.1). */
  takesDatagrams = false;
  abstract readonly clock: Clock;
  abstract readonly pushFault: Fault;
  protected wantedAt: Instant = 0;
  protected readonly resets: Allowance;
  protected ours: Pipe | null = null;
  private encoder: Pipe | null = null;
  private decoder: Pipe | null = null;
  private readonly feedback = new ByteWriter(FEEDBACK_MAX * 2);
  private readonly idles: Allowance;
  private readonly waiting = new Set<MessageStream>();
  private readonly criticals = new Set<number>();
  private isOpening = false;
  private oneWays = 0;
  /** Entries that the peer was told that we have. */
  private told = 0;
  /** What is left of a control frame that means nothing. */
  private skip = 0;
  private farewell = Number.POSITIVE_INFINITY;
  private pushMax = -1;

  constructor(mux: Mux, limits_: Bound<typeof limits>) {
    this.mux = mux;
    this.limits = limits_;
    this.reader = new FieldReader(limits_);
    this.resets = new Allowance(limits_.resetsAtOnce, limits_.resetsPerSecond);
    this.idles = new Allowance(limits_.idleFramesAtOnce, limits_.idleFramesPerSecond);
  }

  /** Settings beside those of QPACK: identifier, value. */
  protected abstract settings(): readonly number[];
  /** A two-way stream of the peer's. */
  protected abstract accept(pipe: Pipe): Session;
  /** The peer says that it goes: requests, or pushes, from this number on are not answered (§5.2). */
  protected abstract wentAway(id: number, clock: Clock): void;
  /** A request goes before others, or behind them, whether it has come or not. */
  protected abstract prioritised(id: number, text: string): void;
  /** Who takes a stream of the peer's that begins as one of a WebTransport session; null where there are none. */
  abstract transportStream(pipe: Pipe, session: number, oneWay: boolean): Session | null;
  /** A datagram that belongs to a stream of a request. */
  protected abstract datagramOf(id: number, bytes: Uint8Array, start: number, end: number, clock: Clock): void;
  protected abstract over(cause: Cause, wire: number, clock: Clock): void;
  abstract leave(why: Why, clock: Clock): void;
  protected abstract due(clock: Clock): void;
  /** A number that nobody guesses, for what means nothing. */
  protected abstract chance(): number;
  /** Whether GOAWAY may name this. */
  protected abstract mayName(id: number): boolean;
  protected abstract readonly isServer: boolean;

  // ---- our own streams ---------------------------------------------------------------------------------------------

  /** Opens the control stream and both of QPACK, as soon as the peer lets us (§6.2). */
  protected openOurs(): void {
    // A stream that is opened may make the peer open its own, and us be called again.
    if (this.isOver || this.isOpening) return;
    this.isOpening = true;
    this.openNext();
    this.isOpening = false;
  }

  private openOwn(): Pipe | null {
    const pipe = this.mux.open(true, () => new OwnStream(this));
    pipe?.prioritise?.(-1, true);
    return pipe;
  }

  private openNext(): void {
    if (this.ours === null) {
      this.ours = this.openOwn();
      if (this.ours === null) return;
      writeVarint(this.ours.out, CONTROL_STREAM);
      writeSettings(this.ours.out, [
        ...[QPACK_MAX_TABLE_CAPACITY, this.limits.tableBytesMax],
        ...[QPACK_BLOCKED_STREAMS, this.limits.blockedMax],
        ...this.settings(),
        ...[greaseOf(this.chance()), this.chance() % 256],
      ]);
      // A frame that means nothing (§7.2.8).
      writeFrameHead(this.ours.out, greaseOf(this.chance()), 0);
      this.ours.flush();
    }
    if (this.decoder === null) {
      this.decoder = this.openOwn();
      if (this.decoder === null) return;
      writeVarint(this.decoder.out, DECODER_STREAM);
      this.sendFeedback();
      this.decoder.flush();
    }
    if (this.encoder === null) {
      this.encoder = this.openOwn();
      if (this.encoder === null) return;
      writeVarint(this.encoder.out, ENCODER_STREAM);
      this.sendInstructions();
      this.encoder.flush();
    }
  }

  mayOpen(_clock: Clock): void {
    this.openOurs();
  }

  /** What was put into the table goes out. */
  sendInstructions(): void {
    const { encoder, writer } = this;
    const { instructions } = writer;
    if (instructions.length === 0 || encoder === null || encoder.queued > INSTRUCTIONS_MAX) return;
    encoder.out.copy(instructions.bytes, 0, instructions.length);
    instructions.clear();
    encoder.flush();
  }

  private sendFeedback(): void {
    const { decoder, feedback } = this;
    if (feedback.length === 0) return;
    if (decoder === null || decoder.queued > FEEDBACK_MAX) {
      if (feedback.length > FEEDBACK_MAX) this.fail(faults.idleFrames);
      return;
    }
    decoder.out.copy(feedback.bytes, 0, feedback.length);
    feedback.clear();
    decoder.flush();
  }

  /** A section was read (RFC 9204 §4.4.1). */
  acknowledge(stream: number, required: number): void {
    if (required === 0) return;
    writeInteger(this.feedback, 0x80, 7, stream);
    if (required > this.told) this.told = required;
    this.sendFeedback();
  }

  // ---- the peer's streams ------------------------------------------------------------------------------------------

  opened(pipe: Pipe, oneWay: boolean): Session {
    this.openOurs();
    if (!oneWay) return this.accept(pipe);
    if (++this.oneWays > ONE_WAY_MAX) this.fail(faults.oneWayTooMany);
    return new OneWayStream(this, pipe);
  }

  oneWayClosed(): void {
    this.oneWays--;
  }

  /** One of the three that there is one of each; false when it is the second. */
  critical(type: number): boolean {
    if (this.criticals.has(type)) {
      this.fail(faults.secondStream);
      return false;
    }
    this.criticals.add(type);
    return true;
  }

  /** Bytes of the peer's encoder stream. */
  fill(input: Uint8Array, start: number, end: number): number {
    const { reader } = this;
    const at = reader.instructions(input, start, end);
    if (at === BAD) {
      this.fail(reader.fault);
      return end;
    }
    const { added } = reader.table;
    if (added > this.told) {
      writeInteger(this.feedback, 0, 6, added - this.told);
      this.told = added;
      this.sendFeedback();
      for (const stream of this.waiting) {
        if (stream.required > added) continue;
        this.waiting.delete(stream);
        if (!stream.paused) stream.pipe.resume();
      }
    }
    return at;
  }

  /** Bytes of the peer's decoder stream (RFC 9204 §4.4). */
  heard(input: Uint8Array, start: number, end: number): number {
    const { writer } = this;
    let at = start;
    while (at < end) {
      const byte = input[at]!;
      const bits = byte >= 0x80 ? 7 : 6;
      const most = (1 << bits) - 1;
      let value = byte & most;
      let next = at + 1;
      for (let scale = 1, more = value === most; more; scale *= 0x80) {
        if (next === end) return at;
        more = input[next]! >= 0x80;
        value += (input[next++]! & 0x7f) * scale;
        if (value > 2 ** 62) break;
      }
      if (value > 2 ** 62) {
        this.fail(faults.decoderStream);
        return end;
      }
      let fine = true;
      if (byte >= 0x80) fine = writer.acknowledged(value);
      else if (byte >= 0x40) writer.cancelled(value);
      else fine = writer.increment(value);
      if (!fine) {
        this.fail(faults.decoderStream);
        return end;
      }
      at = next;
    }
    return at;
  }

  /** A stream's section needs entries that have not come. */
  wait(stream: MessageStream): void {
    if (!this.waiting.has(stream) && this.waiting.size >= this.limits.blockedMax) {
      stream.deaf = true;
      this.fail(faults.blocked);
      return;
    }
    this.waiting.add(stream);
    stream.pipe.pause();
  }

  /** A stream that was taken for a request's is another's. */
  handedOn(stream: MessageStream): void {
    this.streams.delete(stream);
  }

  /** A stream is over. */
  closed(stream: MessageStream): void {
    this.waiting.delete(stream);
    this.streams.delete(stream);
    // What it may have had that we never read must not be waited for (RFC 9204 §2.2.2.2).
    if (!stream.inputDone && this.reader.table.sizeMax > 0 && !this.isOver) {
      writeInteger(this.feedback, 0x40, 6, stream.id);
      this.sendFeedback();
    }
  }

  // ---- the control stream (§7.2) -----------------------------------------------------------------------------------

  control(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    while (at < end && !this.isOver) {
      if (this.skip > 0) {
        const to = Math.min(end, at + this.skip);
        this.skip -= to - at;
        at = to;
        continue;
      }
      let from = readVarint(input, at, end);
      if (from < 0) return at;
      const type = varint;
      const fault = this.controlFault(type);
      if (fault !== null) {
        this.fail(fault);
        return end;
      }
      from = readVarint(input, from, end);
      if (from < 0) return at;
      const length = varint;
      if (!this.means(type)) {
        this.idle(clock);
        this.skip = length;
        at = from;
        continue;
      }
      if (length > this.limits.controlBytesMax) {
        this.fail(faults.controlTooLong);
        return end;
      }
      if (end - from < length) return at;
      const wrong = this.controlFrame(type, input, from, from + length, clock);
      if (wrong !== null) {
        this.fail(wrong);
        return end;
      }
      at = from + length;
    }
    return this.isOver ? end : at;
  }

  private means(type: number): boolean {
    switch (type) {
      case SETTINGS:
      case GOAWAY:
      case MAX_PUSH_ID:
      case CANCEL_PUSH:
      case PRIORITY_UPDATE:
      case PRIORITY_UPDATE_PUSH:
        return true;
      default:
        return false;
    }
  }

  private controlFault(type: number): Fault | null {
    if (!this.isSettled) return type === SETTINGS ? null : faults.missingSettings;
    if (type === SETTINGS || type === DATA || type === HEADERS || type === PUSH_PROMISE || isReserved(type))
      return faults.unexpected;
    const clientOnly = type === MAX_PUSH_ID || type === PRIORITY_UPDATE || type === PRIORITY_UPDATE_PUSH;
    return clientOnly && !this.isServer ? faults.unexpected : null;
  }

  private controlFrame(type: number, input: Uint8Array, start: number, end: number, clock: Clock): Fault | null {
    if (type === SETTINGS) return this.readSettings(input, start, end);
    const at = readVarint(input, start, end);
    if (at < 0) return faults.frame;
    const id = varint;
    const isUpdate = type === PRIORITY_UPDATE || type === PRIORITY_UPDATE_PUSH;
    if (at !== end && !isUpdate) return faults.frame;
    this.idle(clock);
    switch (type) {
      case GOAWAY:
        if (id > this.farewell || !this.mayName(id)) return faults.id;
        this.farewell = id;
        this.wentAway(id, clock);
        return null;
      case MAX_PUSH_ID:
        if (id < this.pushMax) return faults.id;
        this.pushMax = id;
        return null;
      case PRIORITY_UPDATE:
        // Of requests (RFC 9218 §7.2).
        if (id % 4 !== 0) return faults.id;
        this.prioritised(id, Buffer.from(input.subarray(at, end)).toString('latin1'));
        return null;
      default:
        // Nothing was pushed, so that nothing can be named (§7.2.3).
        return faults.id;
    }
  }

  private readSettings(input: Uint8Array, start: number, end: number): Fault | null {
    const seen = new Set<number>();
    let table = 0;
    let blocked = 0;
    let at = start;
    while (at < end) {
      at = readVarint(input, at, end);
      if (at < 0) return faults.frame;
      const id = varint;
      at = readVarint(input, at, end);
      if (at < 0) return faults.frame;
      const value = varint;
      if (seen.has(id) || isReservedSetting(id)) return faults.setting;
      if (seen.size < SETTINGS_MAX) seen.add(id);
      else return faults.controlTooLong;
      if (id === QPACK_MAX_TABLE_CAPACITY) table = value;
      else if (id === QPACK_BLOCKED_STREAMS) blocked = value;
      else if (id === ENABLE_CONNECT_PROTOCOL) {
        if (value > 1) return faults.setting;
        this.takesConnect = value === 1;
      } else if (id === H3_DATAGRAM) {
        if (value > 1) return faults.setting;
        this.takesDatagrams = value === 1;
      }
    }
    this.isSettled = true;
    this.writer.allow(table, blocked);
    this.openOurs();
    this.sendInstructions();
    return null;
  }

  /** Something came that brings nothing. */
  idle(clock: Clock): void {
    if (!this.idles.take(clock.now)) this.fail(faults.idleFrames);
  }

  /** Something useful came. */
  protected earn(): void {
    this.idles.earn(2);
  }

  // ---- datagrams, time, ends ---------------------------------------------------------------------------------------

  /** Each names a stream by a quarter of its number (RFC 9297 §2.1). */
  datagram(bytes: Uint8Array, start: number, end: number, clock: Clock): void {
    const at = readVarint(bytes, start, end);
    if (at === MORE || varint > 2 ** 60 - 1) this.fail(faults.datagram);
    else this.datagramOf(varint * 4, bytes, at, end, clock);
  }

  get deadline(): Instant {
    return this.isOver ? NEVER : this.wantedAt;
  }

  tick(clock: Clock): void {
    this.wantedAt = NEVER;
    this.openOurs();
    this.due(clock);
  }

  /** The peer broke a rule of the connection's, or it is not needed any more. */
  fail(fault: Fault): void {
    if (this.isOver) return;
    this.isOver = true;
    this.mux.close(fault);
  }

  lost(cause: Cause, wire: number, clock: Clock): void {
    this.isOver = true;
    this.waiting.clear();
    this.streams.clear();
    this.over(cause, wire, clock);
  }
}
