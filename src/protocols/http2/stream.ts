// One stream of a connection (RFC 9113 §5): its windows, what waits to be sent on it, what was received and not read. What
// it carries, a request, an answer or a tunnel, is for those that are made of it.
import { KeptBytes } from '../../bytes/kept.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import { Fields } from '../../core/fields.ts';
import type { Cause, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import type { Connection } from './connection.ts';

export abstract class Stream {
  readonly id: number;
  readonly line: Connection;
  /** No frame of it is sent any more, and none that comes is taken. */
  closed = false;

  /** What we may send, and what the peer may. */
  sendWindow: number;
  receiveWindow: number;
  /** The peer sends no more. */
  remoteEnded = false;
  /** All that came was read, or never will be. */
  inputDone = false;
  /** What is still to come by Content-Length, or -1. */
  expected = -1;
  paused = false;
  /** Bytes whose reader took what came and may get more window for it. */
  private owed = 0;
  private kept: KeptBytes | null = null;
  private feeding = false;
  private inputTrailers: Fields | null = null;
  /** The end of the window in which its body must bring its least, and what it brought. */
  bodyAt: Instant = NEVER;
  brought = 0;

  /** Nothing more will be written: the end follows what is queued. */
  ending = false;
  /** The end was sent. */
  localEnded = false;
  trailers: Fields | null = null;
  /** Bytes of it that are in frames. */
  framed = 0;
  /** Bytes that wait to be sent, but for those in `writer`. */
  queued = 0;
  writer: ByteWriter | null = null;
  private pieces: Uint8Array[] = NO_PIECES;
  private piecesAt = 0;
  /** How far the first piece was sent. */
  private firstAt = 0;
  /** When it fails because its window stays closed. */
  stuckAt: Instant = NEVER;
  /** It waits for the end of the turn. */
  flushed = false;
  /** Its `room` was 0. */
  full = false;

  /** Its place among those that wait to send (RFC 9218 §4). */
  urgency = 3;
  incremental = false;
  linked = false;
  next: Stream | null = null;
  previous: Stream | null = null;

  constructor(line: Connection, id: number) {
    this.line = line;
    this.id = id;
    this.sendWindow = line.sender.initialWindow;
    this.receiveWindow = line.limits.streamWindowBytes;
  }

  /** As `Session.receive`, for what came on it. */
  protected abstract read(input: Uint8Array, start: number, end: number, clock: Clock): number;
  /** All was read: trailers, and the end. */
  protected abstract readEnd(trailers: Fields | null, clock: Clock): void;
  /** There is room again. */
  abstract writable(clock: Clock): void;
  /** The turn in which something was written ends. */
  abstract gather(clock: Clock): void;
  abstract tick(clock: Clock): void;
  abstract leave(why: Why, clock: Clock): void;
  /** It is closed, and not by both ends. The last call. */
  abstract lost(cause: Cause, wire: number, clock: Clock): void;
  /** The end was sent, behind all that was queued. */
  abstract sentEnd(clock: Clock): void;
  /** So many bytes that were queued are in a frame. */
  sent(_bytes: number): void {}
  /** When `tick` is wanted. */
  abstract readonly due: Instant;

  // ---- input -------------------------------------------------------------------------------------------------------

  /** Bytes of its body came; the windows were looked after. */
  receive(input: Uint8Array, start: number, end: number, clock: Clock): void {
    const { kept } = this;
    if (this.paused || this.feeding || (kept !== null && kept.length > 0)) {
      this.keep(input, start, end);
      if (!this.paused && !this.feeding) this.feedKept(clock);
      return;
    }
    this.feeding = true;
    const at = this.read(input, start, end, clock);
    this.feeding = false;
    this.took(at - start);
    if (at < end && !this.closed) this.keep(input, at, end);
  }

  private keep(input: Uint8Array, start: number, end: number): void {
    this.kept ??= new KeptBytes();
    this.kept.append(input, start, end);
    this.line.kept(end - start);
  }

  private feedKept(clock: Clock): void {
    const { kept } = this;
    if (kept === null || kept.length === 0) return;
    const from = kept.start;
    this.feeding = true;
    const at = this.read(kept.bytes, from, kept.end, clock);
    this.feeding = false;
    // Who closed the stream meanwhile has dropped what was kept.
    if (this.closed) return;
    kept.consume(at);
    this.line.kept(from - at);
    this.took(at - from);
  }

  /** So much was read: the peer may send as much again. */
  private took(bytes: number): void {
    this.brought += bytes;
    if (this.closed || this.remoteEnded) return;
    this.owed += bytes;
    if (this.owed * 2 >= this.line.limits.streamWindowBytes && this.mayHaveMore()) {
      this.line.credit(this, this.owed);
      this.owed = 0;
    }
  }

  /** Whether more of its body is wanted at all. */
  protected mayHaveMore(): boolean {
    return true;
  }

  takeTrailers(list: readonly string[]): void {
    if (list.length === 0) return;
    this.inputTrailers = new Fields();
    this.inputTrailers.list.push(...list);
  }

  /** The peer has sent all of it. */
  receiveEnd(clock: Clock): void {
    this.remoteEnded = true;
    this.bodyAt = NEVER;
    if (!this.paused && !this.feeding) this.finishInput(clock);
  }

  /** Goes on after `resume()`, in a step of the connection's. */
  goOn(clock: Clock): void {
    if (this.closed || this.paused) return;
    this.feedKept(clock);
    if (this.remoteEnded && !this.paused) this.finishInput(clock);
  }

  private finishInput(clock: Clock): void {
    if (this.inputDone || this.closed) return;
    this.inputDone = true;
    this.dropKept();
    this.readEnd(this.inputTrailers, clock);
    this.line.settle(this);
  }

  pause(): void {
    if (this.inputDone) return;
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.line.goOnLater(this);
  }

  private dropKept(): void {
    const { kept } = this;
    if (kept === null) return;
    this.line.kept(-kept.length);
    kept.clear();
  }

  // ---- output ------------------------------------------------------------------------------------------------------

  /** Bytes that wait to be sent. */
  get waiting(): number {
    return this.queued + (this.writer === null ? 0 : this.writer.length);
  }

  /** How much more may be written; not above 0 for nothing. */
  get space(): number {
    const { limits, sender } = this.line;
    if (this.closed || this.ending) return 0;
    return Math.min(limits.streamQueueBytes - this.waiting, limits.connectionQueueBytes - sender.queued);
  }

  /** The same; who is told 0 is told when that changes. */
  get roomLeft(): number {
    const { space } = this;
    if (space > 0) return space;
    if (!this.full && !this.closed) {
      this.full = true;
      this.line.sender.fullOnes.push(this);
    }
    return 0;
  }

  /** Queues bytes that nobody changes any more. */
  enqueue(bytes: Uint8Array, start: number, end: number): void {
    if (this.closed) return;
    this.sealWriter();
    this.push(bytes, start, end);
  }

  /** The same, before what is in `writer`. */
  protected push(bytes: Uint8Array, start: number, end: number): void {
    if (this.closed) return;
    const piece = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
    if (this.pieces === NO_PIECES) this.pieces = [];
    this.pieces.push(piece);
    this.queued += piece.length;
    this.line.sender.queued += piece.length;
  }

  /** What was written in place takes its place behind what was queued. */
  private sealWriter(): void {
    const { writer } = this;
    if (writer === null || writer.length === 0) return;
    const { bytes } = writer.take();
    this.push(bytes, 0, bytes.length);
  }

  /** Writes the next `size` bytes of what waits into the frame that was begun. */
  writeNext(size: number): void {
    const { pipe } = this.line;
    const { writer } = this;
    if (this.queued === 0 && writer !== null && writer.length === size && size < SHARE_LEAST) {
      pipe.out.copy(writer.bytes, 0, size);
      writer.clear();
      return;
    }
    if (this.queued < size) this.sealWriter();
    let left = size;
    while (left > 0) {
      const piece = this.pieces[this.piecesAt]!;
      const from = this.firstAt;
      const to = Math.min(piece.length, from + left);
      pipe.share(piece, from, to);
      left -= to - from;
      if (to < piece.length) {
        this.firstAt = to;
        break;
      }
      this.firstAt = 0;
      this.piecesAt++;
    }
    if (this.piecesAt === this.pieces.length) {
      this.pieces = NO_PIECES;
      this.piecesAt = 0;
    }
    this.queued -= size;
    this.line.sender.queued -= size;
  }

  /** Lets go of all that it holds. */
  drop(): void {
    this.closed = true;
    this.dropKept();
    this.line.sender.queued -= this.queued;
    this.queued = 0;
    this.pieces = NO_PIECES;
    this.piecesAt = 0;
    this.writer?.clear();
    this.line.sender.unlink(this);
  }
}

/** Of all streams on which nothing waits; nothing is put there. */
const NO_PIECES: Uint8Array[] = [];

/** Pieces from here on are shared rather than copied. */
export const SHARE_LEAST = 2_048;
