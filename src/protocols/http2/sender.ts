// What goes out on a connection: heads as they come, bodies by urgency and turn (RFC 9218 §10) as far as the windows and
// the pipe allow. It knows no requests.
import type { Fields } from '../../core/fields.ts';
import type { Pipe } from '../../core/pipe.ts';
import { type Clock, NEVER } from '../../core/time.ts';
import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_BYTES_MAX,
  HEAD_BYTES,
  HEADERS,
  setFrameHead,
  WINDOW_BYTES,
  writeFrameHead,
} from './codec.ts';
import { HeaderWriter } from './header-writer.ts';
import { SHARE_LEAST, type Stream } from './stream.ts';

const URGENCIES = 8;

export class Sender {
  readonly pipe: Pipe;
  readonly headers = new HeaderWriter();
  /** The window of the connection, and what streams begin with. */
  window = WINDOW_BYTES;
  initialWindow = WINDOW_BYTES;
  /** Bytes that wait on all streams. */
  queued = 0;
  /** Those that were told that there is no room. */
  fullOnes: Stream[] = [];
  /** DATA frames since somebody asked. */
  frames = 0;
  private readonly firsts: (Stream | null)[] = new Array(URGENCIES).fill(null);
  /** A bit for each urgency of which somebody waits. */
  private mask = 0;

  constructor(pipe: Pipe) {
    this.pipe = pipe;
  }

  /** Nobody waits. */
  get isIdle(): boolean {
    return this.mask === 0;
  }

  // ---- heads -------------------------------------------------------------------------------------------------------

  /** Begins a header block in place; `endHead` finishes it. Answers where its frame begins. */
  beginHead(): number {
    const { out } = this.pipe;
    const at = out.length;
    out.ensure(HEAD_BYTES);
    out.length += HEAD_BYTES;
    this.headers.begin(out);
    return at;
  }

  /** @param at where the frame begins; @param ends whether it ends the stream */
  endHead(at: number, stream: number, ends: boolean): void {
    const { out } = this.pipe;
    const size = out.length - at - HEAD_BYTES;
    const flags = ends ? END_STREAM : 0;
    if (size <= FRAME_BYTES_MAX) {
      setFrameHead(out.bytes, at, size, HEADERS, flags | END_HEADERS, stream);
      return;
    }
    const block = Buffer.from(out.bytes.subarray(at + HEAD_BYTES, out.length));
    out.cut(at);
    for (let from = 0; from < size; from += FRAME_BYTES_MAX) {
      const to = Math.min(size, from + FRAME_BYTES_MAX);
      const last = to === size ? END_HEADERS : 0;
      writeFrameHead(out, to - from, from === 0 ? HEADERS : CONTINUATION, from === 0 ? flags | last : last, stream);
      out.copy(block, from, to);
    }
  }

  private writeTrailers(stream: Stream, trailers: Fields): void {
    const at = this.beginHead();
    const { list } = trailers;
    for (let index = 0; index < list.length; index += 2)
      this.headers.field(this.pipe.out, list[index]!, list[index + 1]!);
    this.endHead(at, stream.id, true);
  }

  // ---- bodies ------------------------------------------------------------------------------------------------------

  /** A short body that nothing stands in the way of goes out at once, with its end. */
  sendWhole(stream: Stream, bytes: Uint8Array, start: number, end: number): boolean {
    const size = end - start;
    if (size > FRAME_BYTES_MAX || size > this.window || size > stream.sendWindow || this.mask !== 0) return false;
    const { pipe } = this;
    if (stream.waiting > 0 || pipe.room === 0) return false;
    this.window -= size;
    stream.sendWindow -= size;
    stream.framed += size;
    this.frames++;
    writeFrameHead(pipe.out, size, DATA, END_STREAM, stream.id);
    if (size < SHARE_LEAST) pipe.out.copy(bytes, start, end);
    else pipe.share(bytes, start, end);
    stream.localEnded = true;
    return true;
  }

  /** Something waits on the stream: bytes, or its end. */
  link(stream: Stream): void {
    if (stream.linked || stream.closed) return;
    stream.linked = true;
    const first = this.firsts[stream.urgency]!;
    if (first === null) {
      this.firsts[stream.urgency] = stream;
      this.mask |= 1 << stream.urgency;
      stream.next = stream;
      stream.previous = stream;
      return;
    }
    const last = first.previous!;
    last.next = stream;
    stream.previous = last;
    stream.next = first;
    first.previous = stream;
  }

  unlink(stream: Stream): void {
    if (!stream.linked) return;
    stream.linked = false;
    const { next, previous, urgency } = stream;
    if (next === stream) {
      this.firsts[urgency] = null;
      this.mask &= ~(1 << urgency);
    } else {
      next!.previous = previous;
      previous!.next = next;
      if (this.firsts[urgency] === stream) this.firsts[urgency] = next;
    }
    stream.next = null;
    stream.previous = null;
  }

  /** Its client changed its mind about what is urgent. */
  prioritise(stream: Stream, urgency: number, incremental: boolean): void {
    const { linked } = stream;
    if (linked) this.unlink(stream);
    stream.urgency = urgency;
    stream.incremental = incremental;
    if (linked) this.link(stream);
  }

  /** Sends what may be sent. @param sendMs how long a stream may wait for its window */
  pump(clock: Clock, sendMs: number): void {
    const { pipe, firsts } = this;
    while (this.mask !== 0) {
      const urgency = 31 - Math.clz32(this.mask & -this.mask);
      const stream = firsts[urgency]!;
      const { waiting } = stream;
      if (waiting > 0) {
        if (pipe.room === 0) return;
        const size = Math.min(waiting, FRAME_BYTES_MAX, stream.sendWindow, this.window);
        if (size <= 0) {
          if (stream.stuckAt === NEVER) {
            stream.stuckAt = clock.now + sendMs;
            stream.line.wake(stream.stuckAt);
          }
          if (this.window <= 0) return;
          // Its own window is closed: it comes back when that is opened.
          this.unlink(stream);
          continue;
        }
        stream.stuckAt = NEVER;
        this.sendData(stream, size, waiting, clock);
      } else {
        this.unlink(stream);
        if (stream.ending) this.sendEnd(stream, clock);
      }
    }
  }

  private sendData(stream: Stream, size: number, waiting: number, clock: Clock): void {
    const { out } = this.pipe;
    const ends = stream.ending && size === waiting && stream.trailers === null;
    writeFrameHead(out, size, DATA, ends ? END_STREAM : 0, stream.id);
    stream.writeNext(size);
    this.window -= size;
    stream.sendWindow -= size;
    stream.framed += size;
    this.frames++;
    if (size === waiting) this.unlink(stream);
    else if (stream.incremental) this.firsts[stream.urgency] = stream.next;
    stream.sent(size);
    if (ends) {
      stream.localEnded = true;
      stream.sentEnd(clock);
    } else if (stream.ending && size === waiting) this.sendEnd(stream, clock);
  }

  private sendEnd(stream: Stream, clock: Clock): void {
    if (stream.localEnded || stream.closed) return;
    if (stream.trailers !== null) this.writeTrailers(stream, stream.trailers);
    else writeFrameHead(this.pipe.out, 0, DATA, END_STREAM, stream.id);
    stream.localEnded = true;
    stream.sentEnd(clock);
  }

  /** Tells those that were told that there is no room that there is again; answers how many. */
  tellRoom(clock: Clock, low: number): number {
    const { fullOnes } = this;
    let told = 0;
    this.fullOnes = [];
    for (const stream of fullOnes) {
      if (stream.closed) continue;
      if (stream.waiting >= low || stream.space <= 0) this.fullOnes.push(stream);
      else {
        stream.full = false;
        told++;
        stream.line.guard(stream, () => stream.writable(clock));
      }
    }
    return told;
  }
}
