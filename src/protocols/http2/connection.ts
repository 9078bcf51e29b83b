// What both ends of a connection do alike (RFC 9113): frames in, settings, windows, pings, GOAWAY, and whose turn it is. It
// knows streams, not what they carry. Longer than most files: the frames and the states that they may come in are one table
// in the standard, and read best in one place.

import { u16, u32 } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import { type Cause, ENDED, FAULT, type Pipe, RESET, type Session, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { Allowance } from '../http/allowance.ts';
import {
  ACK,
  CONTINUATION,
  DATA,
  ENABLE_CONNECT_PROTOCOL,
  ENABLE_PUSH,
  END_HEADERS,
  END_STREAM,
  FRAME_BYTES_MAX,
  GOAWAY,
  HAS_PRIORITY,
  HEAD_BYTES,
  HEADER_TABLE_SIZE,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  MAX_FRAME_SIZE,
  NO_ERROR,
  NO_RFC7540_PRIORITIES,
  PADDED,
  PING,
  PRIORITY,
  PRIORITY_UPDATE,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_BYTES,
  WINDOW_MAX,
  WINDOW_UPDATE,
  writeFrameHead,
  writeGoaway,
  writeNumber,
  writePing,
} from './codec.ts';
import { faults } from './faults.ts';
import { HeaderReader } from './header-reader.ts';
import type { limits } from './limits.ts';
import { Sender } from './sender.ts';
import type { Stream } from './stream.ts';
import { StreamTable } from './stream-table.ts';

// How a stream that is gone was closed.
const BY_ENDS = 0;
const BY_US = 1;
const BY_PEER = 2;
const UNKNOWN = 3;
type Closed = typeof BY_ENDS | typeof BY_US | typeof BY_PEER | typeof UNKNOWN;

/** How many streams that are gone are remembered. */
const REMEMBERED = 256;

/** Rounds of one turn in which what was told that there is room may write again. */
const ROUNDS_MAX = 8;

const ZEROS = Buffer.alloc(8);

export abstract class Connection implements Session {
  readonly pipe: Pipe;
  readonly limits: Bound<typeof limits>;
  readonly sender: Sender;
  readonly streams = new StreamTable();
  /** The highest stream that the peer opened. */
  lastStream = 0;
  /** Streams of ours that the peer allows at once. */
  streamsAllowed = Number.POSITIVE_INFINITY;
  /** The peer takes extended CONNECT (RFC 8441 §3). */
  connectAllowed = false;

  protected readonly headers: HeaderReader;
  /** Nothing more is read or begun. */
  protected over = false;
  /** No new streams of the peer's above this. */
  protected lastTaken = WINDOW_MAX;
  protected leaving = false;
  protected begun = false;
  protected settingsSeen = false;

  private receiveWindow: number;
  private owed = 0;
  private keptBytes = 0;
  /** Within a DATA frame: what of it is body, then padding, and whose; null once nobody's. */
  private dataLeft = 0;
  private padLeft = 0;
  private dataStream: Stream | null = null;
  private dataEnds = false;
  /** A header block that goes on: its stream, or 0. */
  private blockStream = 0;
  private blockEnds = false;
  private block = Buffer.alloc(0);
  private blockLength = 0;
  private continuations = 0;
  private headAt: Instant;
  private settingsAt: Instant = NEVER;
  private idleAt: Instant = NEVER;
  /** When it is looked at whether what is sent is taken, and what had been at the last look. */
  private sendAt: Instant = NEVER;
  private deliveredBefore = 0;
  /** The earliest time that any stream wants. */
  private earliest: Instant = NEVER;
  private held = false;
  private readonly closedIds = new Int32Array(REMEMBERED);
  private readonly closedKinds = new Uint8Array(REMEMBERED);
  private flushed: Stream[] = [];
  private resumed: Stream[] = [];
  private lostOnes: { stream: Stream; cause: Cause; wire: number }[] = [];
  private readonly resets: Allowance;
  private readonly pings: Allowance;
  private readonly empties: Allowance;
  private readonly updates: Allowance;

  constructor(pipe: Pipe, bound: Bound<typeof limits>, clock: Clock) {
    this.pipe = pipe;
    this.limits = bound;
    this.sender = new Sender(pipe);
    this.headers = new HeaderReader(bound);
    this.resets = new Allowance(bound.resetsAtOnce, bound.resetsPerSecond);
    this.pings = new Allowance(bound.pingsAtOnce, bound.pingsPerSecond);
    this.empties = new Allowance(bound.emptyFramesAtOnce, bound.emptyFramesPerSecond);
    this.updates = new Allowance(bound.windowUpdatesAtOnce, bound.windowUpdatesPerSecond);
    this.receiveWindow = WINDOW_BYTES;
    this.headAt = clock.now + bound.headMs;
  }

  /** What the peer begins with, before its frames, and sets `begun` behind it; -1 when it is something else. */
  protected abstract readPreface(input: Uint8Array, at: number, end: number): number;
  /** A header block is whole. */
  protected abstract head(id: number, ends: boolean, input: Uint8Array, start: number, end: number, clock: Clock): void;
  /** Whether the stream could have been opened by now, by either end. */
  protected abstract neverOpened(id: number): boolean;
  protected abstract prioritised(id: number, text: string): Fault | null;
  protected abstract wentAway(last: number, code: number, clock: Clock): void;
  /** The peer answered our ping. */
  protected pinged(_clock: Clock): void {}
  protected settled(_clock: Clock): void {}
  /** What the turn holds beside the streams. */
  protected gatherMore(_clock: Clock): void {}
  abstract get clock(): Clock;

  /** It has ended, and all its streams with it. */
  get isOver(): boolean {
    return this.over;
  }

  // ---- input -------------------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    if (!this.begun) {
      const next = this.readPreface(input, at, end);
      if (next < 0) return this.fail(faults.preface, end);
      if (!this.begun) return at;
      at = next;
    }
    while (at < end) {
      if (this.over) return end;
      if (this.dataLeft > 0 || this.padLeft > 0) {
        at = this.readData(input, at, end, clock);
        continue;
      }
      if (end - at < HEAD_BYTES) break;
      if (this.pipe.room === 0) {
        this.hold(clock);
        break;
      }
      const next = this.readFrame(input, at, end, clock);
      if (next === at) break;
      at = next;
    }
    return at;
  }

  /** Who does not take what is sent gets nothing more done meanwhile. */
  private hold(clock: Clock): void {
    this.held = true;
    this.wrote(clock);
    this.pipe.pause();
  }

  private readFrame(input: Uint8Array, at: number, end: number, clock: Clock): number {
    const length = (input[at]! << 16) | (input[at + 1]! << 8) | input[at + 2]!;
    const type = input[at + 3]!;
    const flags = input[at + 4]!;
    const id = u32(input, at + 5) & WINDOW_MAX;
    if (!this.settingsSeen && (type !== SETTINGS || (flags & ACK) !== 0)) return this.fail(faults.preface, end);
    if (length > FRAME_BYTES_MAX) return this.fail(faults.frameSize, end);
    if (this.blockStream !== 0 && (type !== CONTINUATION || id !== this.blockStream))
      return this.fail(faults.interleaved, end);
    const from = at + HEAD_BYTES;
    if (type === DATA) return this.beginData(input, from, end, length, flags, id, clock);
    if (end - from < length) return at;
    const to = from + length;
    const fault = this.dispatch(type, flags, id, input, from, to, clock);
    if (fault === null) return to;
    if (fault.scope === 'connection') return this.fail(fault, end);
    this.refuse(id, fault, clock);
    return this.over ? end : to;
  }

  private dispatch(
    type: number,
    flags: number,
    id: number,
    input: Uint8Array,
    from: number,
    to: number,
    clock: Clock,
  ): Fault | null {
    switch (type) {
      case HEADERS:
        return this.readHeaders(flags, id, input, from, to, clock);
      case CONTINUATION:
        return this.readContinuation(flags, id, input, from, to, clock);
      case WINDOW_UPDATE:
        return this.readWindowUpdate(id, input, from, to, clock);
      case RST_STREAM:
        return this.readReset(id, input, from, to, clock);
      case SETTINGS:
        return this.readSettings(flags, id, input, from, to, clock);
      case PING:
        return this.readPing(flags, id, input, from, to, clock);
      case GOAWAY:
        if (id !== 0) return faults.streamNotZero;
        if (to - from < 8) return faults.frameSize;
        this.wentAway(u32(input, from) & WINDOW_MAX, u32(input, from + 4), clock);
        return null;
      case PRIORITY:
        if (id === 0) return faults.streamZero;
        if (to - from !== 5) return faults.streamFrameSize;
        if (!this.pings.take(clock.now)) return faults.pings;
        return (u32(input, from) & WINDOW_MAX) === id ? faults.selfDependency : null;
      case PRIORITY_UPDATE:
        if (id !== 0) return faults.streamNotZero;
        if (to - from < 4) return faults.frameSize;
        if (!this.pings.take(clock.now)) return faults.pings;
        return this.readPriorityUpdate(input, from, to);
      case PUSH_PROMISE:
        return faults.push;
      default:
        // Unknown types are ignored (§4.1), which is not for nothing either.
        return this.pings.take(clock.now) ? null : faults.pings;
    }
  }

  // ---- DATA --------------------------------------------------------------------------------------------------------

  private beginData(
    input: Uint8Array,
    from: number,
    end: number,
    length: number,
    flags: number,
    id: number,
    clock: Clock,
  ): number {
    if (id === 0) return this.fail(faults.streamZero, end);
    let pad = 0;
    let at = from;
    if ((flags & PADDED) !== 0) {
      if (length === 0) return this.fail(faults.frameSize, end);
      if (from === end) return from - HEAD_BYTES;
      pad = input[from]!;
      at++;
      if (pad >= length) return this.fail(faults.padding, end);
    }
    const ends = (flags & END_STREAM) !== 0;
    // The whole frame counts, with its padding (§6.9.1).
    this.receiveWindow -= length;
    if (this.receiveWindow < 0) return this.fail(faults.connectionWindow, end);
    const stream = this.streams.get(id) ?? null;
    const body = length - pad - (at - from);
    const fault = stream === null ? this.dataForNobody(id) : this.dataFault(stream, length, body, ends);
    if (fault !== null && fault.scope === 'connection') return this.fail(fault, end);
    if (body === 0 && !ends && !this.empties.take(clock.now)) return this.fail(faults.emptyFrames, end);
    if (fault !== null) this.refuse(id, fault, clock);
    this.dataStream = fault === null ? stream : null;
    this.dataEnds = ends;
    this.dataLeft = body;
    this.padLeft = pad;
    const overhead = length - body;
    if (overhead > 0) {
      this.owe(overhead);
      if (this.dataStream !== null) this.credit(this.dataStream, overhead);
    }
    if (body === 0) this.dataDone(clock);
    return this.over ? end : at;
  }

  private dataForNobody(id: number): Fault | null {
    if (this.neverOpened(id)) return faults.streamIdle;
    const kind = this.closedAs(id);
    return kind === BY_US ? null : kind === BY_PEER ? faults.streamHalfClosed : faults.streamEnded;
  }

  private dataFault(stream: Stream, length: number, body: number, ends: boolean): Fault | null {
    if (stream.remoteEnded) return faults.streamHalfClosed;
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) return faults.streamWindow;
    if (stream.expected >= 0) {
      stream.expected -= body;
      if (stream.expected < 0 || (ends && stream.expected > 0)) return faults.contentLength;
    }
    return null;
  }

  private readData(input: Uint8Array, at: number, end: number, clock: Clock): number {
    if (this.dataLeft > 0) {
      const to = Math.min(end, at + this.dataLeft);
      this.dataLeft -= to - at;
      this.owe(to - at);
      const stream = this.dataStream;
      if (stream !== null && !stream.closed) {
        try {
          stream.receive(input, at, to, clock);
        } catch (error) {
          this.bug(stream, error);
        }
      }
      at = to;
      if (this.dataLeft === 0) this.dataDone(clock);
    }
    const padded = Math.min(end - at, this.padLeft);
    this.padLeft -= padded;
    return this.over ? end : at + padded;
  }

  private dataDone(clock: Clock): void {
    const stream = this.dataStream;
    this.dataStream = null;
    if (stream !== null && this.dataEnds && !stream.closed) this.guard(stream, () => stream.receiveEnd(clock));
  }

  /** So much came on the connection: its window is opened again, unless too much is kept that nobody reads. */
  private owe(bytes: number): void {
    this.owed += bytes;
    this.payBack();
  }

  private payBack(): void {
    const most = this.limits.connectionWindowBytes;
    if (this.owed * 4 < most || this.keptBytes * 2 > most || this.over) return;
    this.receiveWindow += this.owed;
    writeNumber(this.pipe.out, WINDOW_UPDATE, 0, this.owed);
    this.owed = 0;
    this.pipe.flush();
  }

  /** Opens the connection's window from what everybody has to what it may be. */
  protected openWindow(): void {
    const more = this.limits.connectionWindowBytes - WINDOW_BYTES;
    if (more <= 0) return;
    this.receiveWindow += more;
    writeNumber(this.pipe.out, WINDOW_UPDATE, 0, more);
  }

  /** More or less is kept on the streams. */
  kept(bytes: number): void {
    this.keptBytes += bytes;
    if (bytes < 0) this.payBack();
  }

  /** The peer may send so much more on a stream. */
  credit(stream: Stream, bytes: number): void {
    if (this.over || stream.closed || stream.remoteEnded) return;
    stream.receiveWindow += bytes;
    writeNumber(this.pipe.out, WINDOW_UPDATE, stream.id, bytes);
    this.pipe.flush();
  }

  // ---- HEADERS -----------------------------------------------------------------------------------------------------

  private readHeaders(flags: number, id: number, input: Uint8Array, from: number, to: number, clock: Clock) {
    if (id === 0) return faults.streamZero;
    let at = from;
    let end = to;
    if ((flags & PADDED) !== 0) {
      if (at === end) return faults.frameSize;
      end -= input[at++]!;
    }
    let itself = false;
    if ((flags & HAS_PRIORITY) !== 0) {
      if (to - at < 5) return faults.frameSize;
      itself = (u32(input, at) & WINDOW_MAX) === id;
      at += 5;
    }
    if (at > end) return faults.padding;
    const ends = (flags & END_STREAM) !== 0;
    if ((flags & END_HEADERS) === 0) {
      this.blockStream = id;
      this.blockEnds = ends;
      this.blockLength = 0;
      this.continuations = 0;
      this.headAt = clock.now + this.limits.headMs;
      return this.addToBlock(input, at, end);
    }
    this.head(id, ends, input, at, end, clock);
    return itself && !this.over ? faults.selfDependency : null;
  }

  private readContinuation(flags: number, id: number, input: Uint8Array, from: number, to: number, clock: Clock) {
    if (this.blockStream === 0) return faults.continuation;
    if (++this.continuations > this.limits.continuationsMax) return faults.continuations;
    const fault = this.addToBlock(input, from, to);
    if (fault !== null || (flags & END_HEADERS) === 0) return fault;
    this.blockStream = 0;
    this.headAt = NEVER;
    const { block, blockLength } = this;
    this.block = Buffer.alloc(0);
    this.head(id, this.blockEnds, block, 0, blockLength, clock);
    return null;
  }

  private addToBlock(input: Uint8Array, from: number, to: number): Fault | null {
    const length = this.blockLength + to - from;
    if (length > this.limits.blockBytesMax) return faults.headerBlockTooLong;
    if (length > this.block.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, this.block.length * 2, 4_096));
      this.block.copy(grown, 0, 0, this.blockLength);
      this.block = grown;
    }
    this.block.set(input.subarray(from, to), this.blockLength);
    this.blockLength = length;
    return null;
  }

  // ---- the other frames --------------------------------------------------------------------------------------------

  private readWindowUpdate(id: number, input: Uint8Array, from: number, to: number, clock: Clock): Fault | null {
    if (to - from !== 4) return faults.frameSize;
    const more = u32(input, from) & WINDOW_MAX;
    const { sender } = this;
    if (sender.frames > 0) {
      this.updates.earn(sender.frames * 4);
      sender.frames = 0;
    }
    if (!this.updates.take(clock.now)) return faults.windowUpdates;
    if (id === 0) {
      if (more === 0) return faults.windowZero;
      if (sender.window + more > WINDOW_MAX) return faults.windowOverflow;
      sender.window += more;
      this.pipe.flush();
      return null;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) return this.neverOpened(id) ? faults.streamIdle : null;
    if (more === 0) return faults.streamWindowZero;
    if (stream.sendWindow + more > WINDOW_MAX) return faults.streamWindowOverflow;
    this.widen(stream, more);
    return null;
  }

  private widen(stream: Stream, more: number): void {
    stream.sendWindow += more;
    if (stream.waiting === 0) return;
    if (stream.sendWindow > 0) stream.stuckAt = NEVER;
    this.sender.link(stream);
    this.pipe.flush();
  }

  private readReset(id: number, input: Uint8Array, from: number, to: number, clock: Clock): Fault | null {
    if (id === 0) return faults.streamZero;
    if (to - from !== 4) return faults.frameSize;
    if (this.neverOpened(id)) return faults.streamIdle;
    // A reset of what is over already costs as much as one of what is not.
    if (!this.resets.take(clock.now)) return faults.resets;
    const stream = this.streams.get(id);
    if (stream === undefined) return null;
    this.closeStream(stream, BY_PEER);
    const wire = u32(input, from);
    this.guard(stream, () => stream.lost(RESET, wire, clock));
    return null;
  }

  private readPing(flags: number, id: number, input: Uint8Array, from: number, to: number, clock: Clock) {
    if (id !== 0) return faults.streamNotZero;
    if (to - from !== 8) return faults.frameSize;
    if (!this.pings.take(clock.now)) return faults.pings;
    if ((flags & ACK) !== 0) this.pinged(clock);
    else {
      writePing(this.pipe.out, true, input, from);
      this.wrote(clock);
    }
    return null;
  }

  private readPriorityUpdate(input: Uint8Array, from: number, to: number): Fault | null {
    const id = u32(input, from) & WINDOW_MAX;
    if (id === 0) return faults.priorityUpdate;
    return this.prioritised(id, Buffer.from(input.subarray(from + 4, Math.min(to, from + 68))).toString('latin1'));
  }

  private readSettings(flags: number, id: number, input: Uint8Array, from: number, to: number, clock: Clock) {
    if (id !== 0) return faults.streamNotZero;
    if ((to - from) % 6 !== 0) return faults.frameSize;
    if ((flags & ACK) !== 0) {
      if (to > from) return faults.frameSize;
      this.settingsAt = NEVER;
      return null;
    }
    if (!this.pings.take(clock.now)) return faults.pings;
    for (let at = from; at < to; at += 6) {
      const fault = this.setting(u16(input, at), u32(input, at + 2));
      if (fault !== null) return fault;
    }
    if (!this.settingsSeen) {
      this.settingsSeen = true;
      this.headAt = NEVER;
      this.idleAt = clock.now + this.limits.idleMs;
    }
    writeFrameHead(this.pipe.out, 0, SETTINGS, ACK, 0);
    this.wrote(clock);
    this.settled(clock);
    return null;
  }

  /** One parameter (§6.5.2). Those that nobody knows are ignored. */
  private setting(name: number, value: number): Fault | null {
    switch (name) {
      case HEADER_TABLE_SIZE:
        this.sender.headers.allow(value);
        return null;
      case ENABLE_PUSH:
      case NO_RFC7540_PRIORITIES:
        return value > 1 ? faults.setting : null;
      case ENABLE_CONNECT_PROTOCOL:
        // Who has allowed it does not take that back (RFC 8441 §3).
        if (value > 1 || (value === 0 && this.connectAllowed)) return faults.setting;
        this.connectAllowed = value === 1;
        return null;
      case MAX_CONCURRENT_STREAMS:
        this.streamsAllowed = value;
        return null;
      case INITIAL_WINDOW_SIZE:
        return value > WINDOW_MAX ? faults.windowSetting : this.resizeWindows(value);
      case MAX_FRAME_SIZE:
        return value < FRAME_BYTES_MAX || value > 0xff_ffff ? faults.setting : null;
      default:
        return null;
    }
  }

  /** All windows change by the difference, also below zero (§6.9.2). */
  private resizeWindows(size: number): Fault | null {
    const more = size - this.sender.initialWindow;
    this.sender.initialWindow = size;
    for (const stream of this.streams.values()) {
      if (stream.sendWindow + more > WINDOW_MAX) return faults.windowOverflow;
      this.widen(stream, more);
    }
    return null;
  }

  // ---- streams -----------------------------------------------------------------------------------------------------

  protected closedAs(id: number): Closed {
    const at = (id >>> 1) % REMEMBERED;
    return this.closedIds[at] === id ? (this.closedKinds[at] as Closed) : UNKNOWN;
  }

  /** What a HEADERS frame means for a stream that is gone (§5.1); null when it is let pass. */
  protected closedFault(id: number): Fault | null {
    const kind = this.closedAs(id);
    if (kind === BY_US) return null;
    if (kind === BY_PEER) return faults.streamHalfClosed;
    return kind === BY_ENDS ? faults.streamEnded : faults.streamNumber;
  }

  protected remember(id: number, kind: Closed): void {
    const at = (id >>> 1) % REMEMBERED;
    this.closedIds[at] = id;
    this.closedKinds[at] = kind;
  }

  protected closeStream(stream: Stream, kind: Closed): void {
    stream.drop();
    this.remember(stream.id, kind);
    this.streams.delete(stream.id);
    if (this.streams.size === 0) {
      this.idleAt = this.clock.now + this.limits.idleMs;
      if (this.leaving) this.pipe.flush();
    }
    this.streamGone();
  }

  /** Closes a stream of which the other end will hear nothing. */
  protected forget(stream: Stream): void {
    this.closeStream(stream, BY_US);
  }

  /** There may be room for another stream. */
  protected streamGone(): void {}

  /** Both ends of a stream may be over. */
  settle(stream: Stream): void {
    if (stream.closed || !stream.localEnded || !stream.inputDone) return;
    this.closeStream(stream, BY_ENDS);
    stream.lost(ENDED, 0, this.clock);
  }

  /** Fails a stream of ours; those that it belongs to hear of it when the turn ends. */
  reset(stream: Stream, wire: number, cause: Cause): void {
    if (stream.closed) return;
    writeNumber(this.pipe.out, RST_STREAM, stream.id, wire);
    this.closeStream(stream, BY_US);
    this.lostOnes.push({ stream, cause, wire });
    this.wrote(this.clock);
  }

  /** The answer is whole, and the rest of the request is not wanted (§8.1). */
  stopInput(stream: Stream): void {
    if (stream.closed) return;
    writeNumber(this.pipe.out, RST_STREAM, stream.id, NO_ERROR);
    this.closeStream(stream, BY_US);
    this.wrote(this.clock);
    stream.lost(ENDED, 0, this.clock);
  }

  /** The peer broke a rule on one stream. */
  protected refuse(id: number, fault: Fault, clock: Clock): void {
    if (!this.resets.take(clock.now)) {
      this.fail(faults.resets);
      return;
    }
    writeNumber(this.pipe.out, RST_STREAM, id, fault.wire);
    this.wrote(clock);
    const stream = this.streams.get(id);
    if (stream === undefined) {
      this.remember(id, BY_US);
      return;
    }
    this.closeStream(stream, BY_US);
    this.guard(stream, () => stream.lost(FAULT, fault.wire, clock));
  }

  /** A stream's handler threw. */
  protected abstract bug(stream: Stream, error: unknown): void;

  guard(stream: Stream, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.bug(stream, error);
    }
  }

  /** A request has begun: there is no silence, and some more may be asked. */
  protected began(stream: Stream): void {
    this.streams.add(stream);
    this.busy();
  }

  protected busy(): void {
    this.idleAt = NEVER;
    this.pings.earn(2);
  }

  // ---- the turn ----------------------------------------------------------------------------------------------------

  /** Something was written on the stream; it goes out when the turn ends. */
  flush(stream: Stream): void {
    if (!stream.flushed) {
      stream.flushed = true;
      this.flushed.push(stream);
    }
    this.pipe.flush();
  }

  goOnLater(stream: Stream): void {
    this.resumed.push(stream);
    this.pipe.flush();
  }

  /** Something was written: on the turn's list, and watched for being taken. */
  wrote(clock: Clock): void {
    if (this.sendAt === NEVER) {
      this.sendAt = clock.now + this.limits.sendMs;
      this.deliveredBefore = this.pipe.delivered;
    }
    this.pipe.flush();
  }

  /** A stream wants its `tick`. */
  wake(at: Instant): void {
    if (at < this.earliest) this.earliest = at;
  }

  gather(clock: Clock): void {
    if (this.resumed.length > 0) {
      const { resumed } = this;
      this.resumed = [];
      for (const stream of resumed) this.guard(stream, () => stream.goOn(clock));
    }
    for (let round = 0; round < ROUNDS_MAX; round++) {
      this.gatherFlushed(clock);
      this.gatherMore(clock);
      if (!this.sender.isIdle) this.sender.pump(clock, this.limits.sendMs);
      this.tellLost(clock);
      if (this.sender.fullOnes.length === 0) break;
      const told = this.sender.tellRoom(clock, this.limits.streamQueueBytes / 4);
      if (told === 0) break;
    }
    if (this.pipe.queued > 0 && this.sendAt === NEVER && !this.over) this.wrote(clock);
    if (this.leaving && this.streams.size === 0 && !this.over) this.end();
  }

  private gatherFlushed(clock: Clock): void {
    const { flushed } = this;
    if (flushed.length === 0) return;
    this.flushed = [];
    for (const stream of flushed) {
      stream.flushed = false;
      if (stream.closed) continue;
      this.guard(stream, () => stream.gather(clock));
      if (stream.waiting > 0 || stream.ending) this.sender.link(stream);
    }
  }

  private tellLost(clock: Clock): void {
    const { lostOnes } = this;
    if (lostOnes.length === 0) return;
    this.lostOnes = [];
    for (const { stream, cause, wire } of lostOnes) this.guard(stream, () => stream.lost(cause, wire, clock));
  }

  writable(): void {
    if (this.held) {
      this.held = false;
      this.pipe.resume();
    }
    this.pipe.flush();
  }

  get deadline(): Instant {
    return Math.min(this.earliest, this.headAt, this.settingsAt, this.idleAt, this.sendAt);
  }

  tick(clock: Clock): void {
    const { now } = clock;
    if (now >= this.headAt || now >= this.settingsAt) {
      this.fail(now >= this.headAt ? faults.slowHead : faults.settingsUnanswered);
      return;
    }
    if (now >= this.sendAt) this.checkSending(clock);
    if (now >= this.idleAt) {
      this.idleAt = NEVER;
      this.endQuietly();
    }
    if (now < this.earliest || this.over) return;
    this.earliest = NEVER;
    for (const stream of this.streams.values()) {
      if (stream.closed) continue;
      if (now >= stream.stuckAt) {
        this.refuse(stream.id, faults.slowStream, clock);
        continue;
      }
      if (now >= stream.bodyAt) this.checkBody(stream, clock);
      if (!stream.closed && now >= stream.due) this.guard(stream, () => stream.tick(clock));
      if (!stream.closed) this.wake(Math.min(stream.due, stream.bodyAt, stream.stuckAt));
    }
    this.pipe.flush();
  }

  private checkBody(stream: Stream, clock: Clock): void {
    const { bodyMs, bodyBytesMin } = this.limits;
    const slow = stream.brought < bodyBytesMin && !stream.paused;
    stream.brought = 0;
    stream.bodyAt = clock.now + bodyMs;
    if (slow) this.refuse(stream.id, faults.slowBody, clock);
  }

  private checkSending(clock: Clock): void {
    const { queued, delivered } = this.pipe;
    this.sendAt = queued === 0 ? NEVER : clock.now + this.limits.sendMs;
    const stuck = queued > 0 && delivered === this.deliveredBefore;
    this.deliveredBefore = delivered;
    if (!stuck) return;
    this.fail(faults.slowReader);
    this.pipe.reset(0);
  }

  // ---- ends --------------------------------------------------------------------------------------------------------

  /** Our SETTINGS are written: their answer is waited for. */
  protected awaitSettings(clock: Clock): void {
    this.settingsAt = clock.now + this.limits.headMs;
  }

  protected sayGoaway(last: number, code: number, debug = ''): void {
    writeGoaway(this.pipe.out, last, code, debug);
    this.wrote(this.clock);
  }

  protected sayPing(): void {
    writePing(this.pipe.out, false, ZEROS, 0);
    this.wrote(this.clock);
  }

  protected endQuietly(): void {
    if (this.over) return;
    this.sayGoaway(this.lastStream, NO_ERROR);
    this.end();
  }

  protected end(): void {
    this.over = true;
    this.earliest = this.headAt = this.settingsAt = this.idleAt = this.sendAt = NEVER;
    this.pipe.end();
  }

  /** The peer broke the connection (§5.4.1). */
  protected fail(fault: Fault, at = 0): number {
    if (this.over) return at;
    this.sayGoaway(Math.min(this.lastStream, this.lastTaken), fault.wire, fault.text);
    this.over = true;
    this.earliest = this.headAt = this.settingsAt = this.idleAt = this.sendAt = NEVER;
    this.pipe.fail(fault);
    this.loseAll(FAULT, fault.wire, this.clock);
    return at;
  }

  finish(clock: Clock): void {
    if (this.over) return;
    const within = this.blockStream !== 0 || this.dataLeft > 0;
    const waits = this.streams.values().some((stream) => !stream.remoteEnded);
    if (within || waits) this.fail(faults.incomplete);
    else if (this.streams.size === 0) this.end();
    else {
      this.leaving = true;
      this.wrote(clock);
    }
  }

  overlong(): void {
    this.fail(faults.frameSize);
  }

  abstract leave(why: Why, clock: Clock): void;

  protected loseAll(cause: Cause, wire: number, clock: Clock): void {
    const all = this.streams.values();
    this.streams.clear();
    for (const stream of all) {
      stream.drop();
      this.guard(stream, () => stream.lost(cause, wire, clock));
    }
    this.tellLost(clock);
  }

  lost(cause: Cause, wire: number, clock: Clock): void {
    this.over = true;
    this.loseAll(cause, wire, clock);
  }
}
