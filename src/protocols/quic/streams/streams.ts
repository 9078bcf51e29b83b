// All streams of a connection: their numbers and limits, the connection's credit both ways, who sends next, and what has to
// be told of them. Packets are not known here: frames are written where there is room.
import type { ConnectionEvents } from '../../../core/connection.ts';
import type { Fault } from '../../../core/fault.ts';
import type { Cause, Pipe, Session } from '../../../core/pipe.ts';
import { PIPE_BOUNDS, type PipeBounds } from '../../../core/stream-pipe.ts';
import { type Clock, type Instant, NEVER } from '../../../core/time.ts';
import type { Turn } from '../../../core/turn.ts';
import {
  DATA_BLOCKED,
  MAX_DATA,
  MAX_STREAM_DATA,
  MAX_STREAMS_ONE_WAY,
  MAX_STREAMS_TWO_WAY,
  RESET_STREAM,
  STOP_SENDING,
  STREAM,
  STREAM_FIN,
  STREAM_LENGTH,
  STREAM_OFFSET,
  STREAMS_BLOCKED_ONE_WAY,
  STREAMS_BLOCKED_TWO_WAY,
} from '../codec/frames.ts';
import type { Parameters } from '../codec/parameters.ts';
import { varintBytes, writeVarint, writeVarint2 } from '../codec/varint.ts';
import { transportFaults as faults } from '../faults.ts';
import type { QuicLimits } from '../limits.ts';
import { type SentFrame, sentFrame } from '../recovery/sent-frame.ts';
import { QuicStream, type StreamCarrier } from './stream.ts';

/** What is needed of the connection. */
export interface StreamsOwner extends ConnectionEvents {
  readonly turn: Turn;
  readonly isClient: boolean;
  peerOf(stream: number): QuicStream['peer'];
  /** The peer opened a stream. */
  accept(pipe: Pipe, oneWay: boolean): Session;
  mayOpen(): void;
  /** Something waits to be sent. */
  wantsToSend(): void;
}

/**
 * Streams keep what was sent until it is acknowledged: they have to be filled up long before it is. A connection's streams share
 * what may wait, so that one that opens many and reads none of them holds little more than one that opens one.
 */
const SHARED_MARK = 16_777_216;
const HIGH_MARK_MOST = 2_097_152;
const HIGH_MARK_LEAST = 65_536;

class SharedBounds implements PipeBounds {
  readonly inputMax = PIPE_BOUNDS.inputMax;
  readonly outMax = PIPE_BOUNDS.outMax;
  readonly lingerMs = NEVER;
  private readonly streams: { readonly size: number };

  constructor(streams: { readonly size: number }) {
    this.streams = streams;
  }

  get highMark(): number {
    return Math.max(HIGH_MARK_LEAST, Math.min(HIGH_MARK_MOST, SHARED_MARK / Math.max(1, this.streams.size)));
  }

  get lowMark(): number {
    return this.highMark * 0.75;
  }
}

/** Those of RFC 9218, and -1 before them. */
const URGENCIES = 9;
const FIRST_URGENCY = -1;
/** What has to be free for a frame to be worth writing. */
const STREAM_HEAD_MOST = 1 + 8 + 8 + 2;

function headBytes(stream: QuicStream, from: number): number {
  return 3 + varintBytes(stream.number) + (from > 0 ? varintBytes(from) : 0);
}

export class Streams implements StreamCarrier, ConnectionEvents {
  readonly windowBytes: number;
  readonly gapsMax: number;
  /** Streams of ours that the peer allows, and that we have opened; two-way, then one-way. */
  private readonly allowed: [number, number] = [0, 0];
  private readonly opened: [number, number] = [0, 0];
  private readonly refused: [boolean, boolean] = [false, false];
  /** Streams of the peer's that we allow, that it opened, and that are done. */
  private readonly granted: [number, number];
  private readonly accepted: [number, number] = [0, 0];
  private readonly done: [number, number] = [0, 0];
  private readonly grants: [number, number];
  private readonly tellStreams: [boolean, boolean] = [false, false];
  private readonly tellBlocked: [boolean, boolean] = [false, false];

  private sendMax = 0;
  private sendUsed = 0;
  private receiveMax: number;
  private received = 0;
  private taken = 0;
  private tellCredit = false;
  private tellDataBlocked = false;
  private blockedAt = -1;
  private peers: Parameters | null = null;

  private readonly table = new Map<number, QuicStream>();
  private readonly bounds = new SharedBounds(this.table);
  /** Two for each urgency: those that go one after the other, and those that take turns. */
  private readonly queues: QuicStream[][] = Array.from({ length: URGENCIES * 2 }, () => []);
  private flip = 0;
  private telling: QuicStream[] = [];
  private waiting = 0;
  private earliest: Instant = NEVER;
  private readonly owner: StreamsOwner;
  private readonly limits: QuicLimits;
  /** Streams that the peer reset, in the span that began then. */
  private resets = 0;
  private resetsAt: Instant = 0;
  private throttled = false;

  constructor(owner: StreamsOwner, limits: QuicLimits) {
    this.owner = owner;
    this.limits = limits;
    this.windowBytes = limits.streamWindowBytes;
    this.gapsMax = limits.gapsMax;
    this.receiveMax = limits.connectionWindowBytes;
    this.grants = [limits.streamsMax, limits.oneWayStreamsMax];
    this.granted = [...this.grants];
  }

  get count(): number {
    return this.table.size;
  }

  *all(): Iterable<QuicStream> {
    yield* this.table.values();
  }

  get heldBytes(): number {
    let total = 0;
    for (const stream of this.table.values()) total += stream.heldBytes;
    return total;
  }

  get queuedBytes(): number {
    let total = 0;
    for (const stream of this.table.values()) total += stream.queued;
    return total;
  }

  /** What the peer allows: from its transport parameters, or with 0-RTT from those of before. */
  allow(peers: Parameters): void {
    this.peers = peers;
    this.sendMax = Math.max(this.sendMax, peers.dataMax);
    this.raise(0, peers.streamsTwoWayMax);
    this.raise(1, peers.streamsOneWayMax);
    for (const stream of this.table.values()) stream.allow(this.sendMaxOf(stream.number));
  }

  private raise(way: 0 | 1, allowed: number): void {
    if (allowed <= this.allowed[way]) return;
    this.allowed[way] = allowed;
    if (!this.refused[way]) return;
    this.refused[way] = false;
    this.owner.mayOpen();
  }

  // ---- opening ----

  open(oneWay: boolean, make: (pipe: Pipe) => Session): QuicStream | null {
    const way = oneWay ? 1 : 0;
    if (this.opened[way] >= this.allowed[way]) {
      this.refused[way] = true;
      this.tellBlocked[way] = true;
      return null;
    }
    const number = this.opened[way]++ * 4 + (oneWay ? 2 : 0) + (this.owner.isClient ? 0 : 1);
    const stream = this.make(number, true, !oneWay);
    stream.begin(make(stream));
    stream.halve();
    return stream;
  }

  private make(number: number, sends: boolean, receives: boolean): QuicStream {
    const plan = { number, sends, receives, sendMax: this.sendMaxOf(number), receiveMax: this.windowBytes };
    const stream = new QuicStream(this.owner.turn, this.owner.peerOf(number), this.bounds, this, this, plan);
    this.table.set(number, stream);
    return stream;
  }

  private isOurs(number: number): boolean {
    return (number & 1) === (this.owner.isClient ? 0 : 1);
  }

  private sendMaxOf(number: number): number {
    const { peers } = this;
    if (peers === null) return 0;
    if ((number & 2) !== 0) return this.isOurs(number) ? peers.streamDataOneWayMax : 0;
    return this.isOurs(number) ? peers.streamDataRemoteMax : peers.streamDataLocalMax;
  }

  /** The stream of a frame that came; null when it is done with; a fault when it may not be named so. */
  private find(number: number, forSending: boolean): QuicStream | Fault | null {
    const way = (number & 2) !== 0 ? 1 : 0;
    const index = Math.floor(number / 4);
    if (this.isOurs(number)) {
      if (index >= this.opened[way] || (way === 1 && !forSending)) return faults.streamState;
      return this.table.get(number) ?? null;
    }
    if (way === 1 && forSending) return faults.streamState;
    if (index >= this.granted[way]) return faults.streamLimit;
    // One that is opened opens all before it (RFC 9000 §3.2).
    while (this.accepted[way] <= index) {
      const each = this.accepted[way]++ * 4 + (number & 3);
      const stream = this.make(each, way === 0, true);
      stream.begin(this.owner.accept(stream, way === 1));
      stream.halve();
    }
    return this.table.get(number) ?? null;
  }

  // ---- frames that came ----

  data(number: number, offset: number, bytes: Uint8Array, start: number, end: number, fin: boolean): Fault | null {
    const stream = this.find(number, false);
    if (stream === null || isFault(stream)) return stream;
    return stream.receiveData(offset, bytes, start, end, fin);
  }

  reset(number: number, code: number, finalSize: number, now: Instant): Fault | null {
    const stream = this.find(number, false);
    if (stream === null || isFault(stream)) return stream;
    if (now - this.resetsAt > this.limits.floodMs) {
      this.resetsAt = now;
      this.resets = 0;
    }
    if (++this.resets > this.limits.resetsMax) return faults.resetFlood;
    return stream.receiveReset(code, finalSize);
  }

  stop(number: number, code: number): Fault | null {
    const stream = this.find(number, true);
    if (stream === null || isFault(stream)) return stream;
    stream.receiveStop(code);
    return null;
  }

  allowStream(number: number, sendMax: number): Fault | null {
    const stream = this.find(number, true);
    if (stream === null || isFault(stream)) return stream;
    stream.allow(sendMax);
    return null;
  }

  blocked(number: number): Fault | null {
    const stream = this.find(number, false);
    return stream !== null && isFault(stream) ? stream : null;
  }

  allowData(sendMax: number): void {
    if (sendMax <= this.sendMax) return;
    this.sendMax = sendMax;
    if (this.waiting > 0) this.owner.wantsToSend();
  }

  allowStreams(oneWay: boolean, most: number): void {
    this.raise(oneWay ? 1 : 0, most);
  }

  // ---- StreamCarrier ----

  arrived(bytes: number): Fault | null {
    if (this.received + bytes > this.receiveMax) return faults.connectionCredit;
    this.received += bytes;
    return null;
  }

  consumed(bytes: number): void {
    this.taken += bytes;
    this.grantData();
  }

  private grantData(): void {
    const window = this.limits.connectionWindowBytes;
    if (this.throttled || this.receiveMax - this.taken > window / 2) return;
    this.receiveMax = this.taken + window;
    this.tellCredit = true;
    this.owner.wantsToSend();
  }

  /** No more credit is given, for a time of need. */
  throttle(on: boolean): void {
    this.throttled = on;
    if (!on) this.grantData();
  }

  wantsToSend(stream: QuicStream): void {
    if (!stream.isQueued && (stream.hasLost || stream.hasFresh)) {
      stream.isQueued = true;
      this.waiting++;
      this.enqueue(stream);
    }
    this.owner.wantsToSend();
  }

  moved(stream: QuicStream, urgency: number, incremental: boolean): void {
    if (!stream.isQueued) return;
    const queue = this.queueOf(urgency, incremental);
    queue.splice(queue.indexOf(stream), 1);
    this.enqueue(stream);
  }

  /** Those that go one after the other do so in the order of their numbers. */
  private enqueue(stream: QuicStream): void {
    const queue = this.queueOf(stream.urgency, stream.incremental);
    let at = queue.length;
    if (!stream.incremental) while (at > 0 && queue[at - 1]!.number > stream.number) at--;
    if (at === queue.length) queue.push(stream);
    else queue.splice(at, 0, stream);
  }

  private queueOf(urgency: number, incremental: boolean): QuicStream[] {
    return this.queues[(urgency - FIRST_URGENCY) * 2 + Number(incremental)]!;
  }

  wantsToTell(stream: QuicStream): void {
    if (!stream.isTelling) {
      stream.isTelling = true;
      this.telling.push(stream);
    }
    this.owner.wantsToSend();
  }

  settled(stream: QuicStream): void {
    if (!stream.isOver || !stream.isDead || this.table.get(stream.number) !== stream) return;
    this.table.delete(stream.number);
    if (this.isOurs(stream.number)) return;
    const way = (stream.number & 2) !== 0 ? 1 : 0;
    this.done[way]++;
    if ((this.granted[way] - this.accepted[way]) * 2 > this.grants[way]) return;
    this.granted[way] = this.done[way] + this.grants[way];
    this.tellStreams[way] = true;
    this.owner.wantsToSend();
  }

  // ---- ConnectionEvents of the pipes ----

  faulted(pipe: QuicStream, fault: Fault): void {
    this.owner.faulted(pipe, fault);
  }

  closed(pipe: QuicStream): void {
    pipe.dead();
  }

  // ---- time ----

  wake(due: Instant): void {
    this.earliest = Math.min(this.earliest, due);
  }

  get due(): Instant {
    return this.earliest;
  }

  tick(clock: Clock): void {
    if (clock.now < this.earliest) return;
    this.earliest = NEVER;
    for (const stream of [...this.table.values()]) {
      if (stream.due <= clock.now) stream.tick(clock);
      this.wake(stream.due);
    }
  }

  /** The connection is gone. */
  lose(cause: Cause, wire: number): void {
    for (const stream of [...this.table.values()]) stream.drop(cause, wire);
    this.table.clear();
    this.telling = [];
    for (const queue of this.queues) queue.length = 0;
    this.waiting = 0;
  }

  // ---- sending ----

  /** Whether there is anything to send now. */
  get hasWork(): boolean {
    if (this.telling.length > 0 || this.tellCredit || this.tellDataBlocked) return true;
    if (this.tellStreams[0] || this.tellStreams[1] || this.tellBlocked[0] || this.tellBlocked[1]) return true;
    if (this.waiting === 0) return false;
    if (this.sendUsed < this.sendMax) return true;
    return this.queues.some((queue) => queue.some((stream) => stream.hasLost || this.endsOnly(stream)));
  }

  /** All that is left is the end, which needs no credit. */
  private endsOnly(stream: QuicStream): boolean {
    return stream.hasFresh && stream.written.next === stream.written.end;
  }

  /** Writes frames to `at`, not beyond `end`, into `frames` what they were; answers where they end. */
  write(bytes: Uint8Array, at: number, end: number, frames: SentFrame[]): number {
    at = this.tell(bytes, at, end, frames);
    return this.waiting === 0 ? at : this.writeData(bytes, at, end, frames);
  }

  private tell(bytes: Uint8Array, at: number, end: number, frames: SentFrame[]): number {
    for (const way of [0, 1] as const) {
      if (this.tellStreams[way] && end - at >= 9) {
        this.tellStreams[way] = false;
        at = single(bytes, at, way === 0 ? MAX_STREAMS_TWO_WAY : MAX_STREAMS_ONE_WAY, this.granted[way], frames);
      }
      if (this.tellBlocked[way] && end - at >= 9) {
        this.tellBlocked[way] = false;
        at = single(
          bytes,
          at,
          way === 0 ? STREAMS_BLOCKED_TWO_WAY : STREAMS_BLOCKED_ONE_WAY,
          this.allowed[way],
          frames,
        );
      }
    }
    if (this.tellCredit && end - at >= 9) {
      this.tellCredit = false;
      at = single(bytes, at, MAX_DATA, this.receiveMax, frames);
    }
    if (this.tellDataBlocked && end - at >= 9) {
      this.tellDataBlocked = false;
      at = single(bytes, at, DATA_BLOCKED, this.sendMax, frames);
    }
    while (this.telling.length > 0 && end - at >= 60) {
      const stream = this.telling.pop()!;
      stream.isTelling = false;
      at = tellStream(stream, bytes, at, frames);
    }
    return at;
  }

  private writeData(bytes: Uint8Array, at: number, end: number, frames: SentFrame[]): number {
    // Of one urgency those that take turns share with those that do not, packet by packet.
    this.flip = 1 - this.flip;
    for (let index = 0; index < this.queues.length && end - at > STREAM_HEAD_MOST; index += 2) {
      at = this.writeQueue(this.queues[index + this.flip]!, bytes, at, end, frames);
      at = this.writeQueue(this.queues[index + 1 - this.flip]!, bytes, at, end, frames);
    }
    return at;
  }

  private writeQueue(queue: QuicStream[], bytes: Uint8Array, at: number, end: number, frames: SentFrame[]): number {
    let turns = queue.length;
    for (let index = 0; index < queue.length && turns > 0 && end - at > STREAM_HEAD_MOST; ) {
      const stream = queue[index]!;
      const before = at;
      if (stream.hasLost) at = this.writeLost(stream, bytes, at, end, frames);
      if (stream.hasFresh && end - at > STREAM_HEAD_MOST) at = this.writeFresh(stream, bytes, at, end, frames);
      if (!stream.hasLost && !stream.hasFresh) {
        queue.splice(index, 1);
        stream.isQueued = false;
        this.waiting--;
      } else if (stream.incremental) {
        queue.splice(index, 1);
        queue.push(stream);
        turns--;
      } else if (at === before) index++;
      // Else more of it goes out, before any other.
    }
    return at;
  }

  private writeLost(stream: QuicStream, bytes: Uint8Array, at: number, end: number, frames: SentFrame[]): number {
    const { list } = stream.written.lost;
    while (list.length > 0 && end - at > STREAM_HEAD_MOST) {
      const from = list[0]!;
      const to = Math.min(list[1]!, from + end - at - headBytes(stream, from));
      stream.written.lost.remove(from, to);
      const fin = stream.finWanted && !stream.finSent && to === stream.written.end && stream.written.next === to;
      if (fin) stream.finSent = true;
      at = frame(stream, bytes, at, from, to, fin, frames);
    }
    return at;
  }

  private writeFresh(stream: QuicStream, bytes: Uint8Array, at: number, end: number, frames: SentFrame[]): number {
    const { written } = stream;
    const from = written.next;
    const credit = Math.min(stream.sendMax - from, this.sendMax - this.sendUsed);
    const size = Math.min(written.end - from, end - at - headBytes(stream, from), Math.max(0, credit));
    const to = from + size;
    const fin = stream.finWanted && !stream.finSent && to === written.end;
    if (size <= 0 && !fin) {
      if (this.sendUsed >= this.sendMax && this.blockedAt !== this.sendMax) {
        this.blockedAt = this.sendMax;
        this.tellDataBlocked = true;
      }
      return at;
    }
    written.next = to;
    this.sendUsed += size;
    if (fin) stream.finSent = true;
    return frame(stream, bytes, at, from, to, fin, frames);
  }

  // ---- the fate of frames ----

  acked({ type, stream, start, end, fin }: SentFrame): void {
    if (type === STREAM) stream!.ackedData(start, end, fin);
    else if (type === RESET_STREAM) stream!.ackedReset();
  }

  lost({ type, stream, start, end, fin }: SentFrame): void {
    switch (type) {
      case STREAM:
        stream!.lostData(start, end, fin);
        break;
      case RESET_STREAM:
        stream!.tellReset = !stream!.resetAcked;
        this.wantsToTell(stream!);
        break;
      case STOP_SENDING:
        stream!.tellStop = !stream!.inputOver;
        this.wantsToTell(stream!);
        break;
      case MAX_STREAM_DATA:
        stream!.tellCredit = stream!.finalSize < 0;
        this.wantsToTell(stream!);
        break;
      case MAX_DATA:
        this.tellCredit = true;
        break;
      case MAX_STREAMS_TWO_WAY:
        this.tellStreams[0] = true;
        break;
      case MAX_STREAMS_ONE_WAY:
        this.tellStreams[1] = true;
        break;
      case STREAMS_BLOCKED_TWO_WAY:
        this.tellBlocked[0] = this.refused[0];
        break;
      case STREAMS_BLOCKED_ONE_WAY:
        this.tellBlocked[1] = this.refused[1];
        break;
      case DATA_BLOCKED:
        this.tellDataBlocked = this.blockedAt === this.sendMax;
        break;
    }
  }
}

function single(bytes: Uint8Array, at: number, type: number, value: number, frames: SentFrame[]): number {
  bytes[at] = type;
  frames.push(sentFrame(type, null, value));
  return writeVarint(bytes, at + 1, value);
}

function tellStream(stream: QuicStream, bytes: Uint8Array, at: number, frames: SentFrame[]): number {
  if (stream.tellReset) {
    stream.tellReset = false;
    bytes[at++] = RESET_STREAM;
    at = writeVarint(bytes, at, stream.number);
    at = writeVarint(bytes, at, stream.resetCode);
    at = writeVarint(bytes, at, stream.resetSize);
    frames.push(sentFrame(RESET_STREAM, stream));
  }
  if (stream.tellStop) {
    stream.tellStop = false;
    bytes[at++] = STOP_SENDING;
    at = writeVarint(bytes, at, stream.number);
    at = writeVarint(bytes, at, stream.stopCode);
    frames.push(sentFrame(STOP_SENDING, stream));
  }
  if (stream.tellCredit) {
    stream.tellCredit = false;
    if (stream.finalSize >= 0 || stream.stopCode >= 0) return at;
    bytes[at++] = MAX_STREAM_DATA;
    at = writeVarint(bytes, at, stream.number);
    at = writeVarint(bytes, at, stream.receiveMax);
    frames.push(sentFrame(MAX_STREAM_DATA, stream));
  }
  return at;
}

function frame(
  stream: QuicStream,
  bytes: Uint8Array,
  at: number,
  from: number,
  to: number,
  fin: boolean,
  frames: SentFrame[],
): number {
  bytes[at++] = STREAM | STREAM_LENGTH | (from > 0 ? STREAM_OFFSET : 0) | (fin ? STREAM_FIN : 0);
  at = writeVarint(bytes, at, stream.number);
  if (from > 0) at = writeVarint(bytes, at, from);
  at = writeVarint2(bytes, at, to - from);
  stream.written.read(from, bytes, at, to - from);
  frames.push(sentFrame(STREAM, stream, from, to, fin));
  return at + to - from;
}

function isFault(value: QuicStream | Fault): value is Fault {
  return !(value instanceof QuicStream);
}
