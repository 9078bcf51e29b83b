// The bytes of messages: DATA with its dots (RFC 5321 §4.5.2), and BDAT's chunks (RFC 3030). A message with half a line end in it is
// refused, and what some servers take for its end and others do not ends the connection, so that no two of them can see two
// different messages in the same bytes (SMTP smuggling).
import { copyOf } from '../../bytes/reader.ts';
import type { RawBytes } from '../text/session.ts';
import type { IncomingMessage } from './upper.ts';

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;

// Where in a line the next byte is.
const WITHIN = 0;
const AFTER_CR = 1;
const BEGIN = 2;
const AFTER_DOT = 3;
const AFTER_DOT_CR = 4;
/** Behind half a line end. */
const BEGIN_HALF = 5;
const AFTER_DOT_HALF = 6;

/** What receives a message, told how it went. */
export interface DataSink {
  /** No more is to be read until `resumed`. */
  full(): void;
  resumed(): void;
  /** All of it, or of the chunk, has come and been written. */
  complete(): void;
  /** Something that only looks like the end: nobody knows where the message ends. */
  doubtful(): void;
}

/** Writes to a message what there is room for, and keeps the rest of one read. */
class Outlet {
  size = 0;
  private readonly into: IncomingMessage;
  private readonly sink: DataSink;
  private readonly bytesMax: number;
  private kept: Buffer | null = null;
  private at = 0;
  private whole = false;

  constructor(into: IncomingMessage, sink: DataSink, bytesMax: number) {
    this.into = into;
    this.sink = sink;
    this.bytesMax = bytesMax;
  }

  get isTooLong(): boolean {
    return this.size > this.bytesMax;
  }

  write(input: Uint8Array, start: number, end: number): void {
    if (start >= end) return;
    this.size += end - start;
    // It is read to its end, and nothing of it is kept.
    if (this.isTooLong) return;
    if (this.kept !== null) {
      this.kept = Buffer.concat([this.kept.subarray(this.at), input.subarray(start, end)]);
      this.at = 0;
      return;
    }
    const taken = this.into.write(input, start, end);
    if (taken === end - start) return;
    this.kept = copyOf(input, start + taken, end);
    this.at = 0;
    this.into.onRoom = () => this.more();
    this.sink.full();
  }

  /** All was given. */
  finish(): void {
    if (this.kept === null) this.sink.complete();
    else this.whole = true;
  }

  private more(): void {
    const { kept } = this;
    if (kept === null) return;
    this.at += this.into.write(kept, this.at, kept.length);
    if (this.at < kept.length) return;
    this.kept = null;
    this.into.onRoom = null;
    if (this.whole) {
      this.whole = false;
      this.sink.complete();
    } else this.sink.resumed();
  }
}

/** What DATA brings, up to a dot on a line of its own. */
export class DotText implements RawBytes {
  /** Half a line end was in it. */
  isHalf = false;
  private readonly outlet: Outlet;
  private readonly sink: DataSink;
  private state = BEGIN;

  constructor(into: IncomingMessage, sink: DataSink, bytesMax: number) {
    this.outlet = new Outlet(into, sink, bytesMax);
    this.sink = sink;
  }

  get isTooLong(): boolean {
    return this.outlet.isTooLong;
  }

  take(input: Uint8Array, start: number, end: number): number {
    const { outlet } = this;
    let { state } = this;
    let from = start;
    for (let at = start; at < end; at++) {
      let byte = input[at]!;
      if (state === WITHIN) {
        // Most bytes are within a line, and none of these two.
        while (byte !== CR && byte !== LF && ++at < end) byte = input[at]!;
        if (at === end) break;
        state = byte === CR ? AFTER_CR : this.half();
        continue;
      }
      if (state === AFTER_CR && byte === LF) {
        state = BEGIN;
        continue;
      }
      if (state === BEGIN && byte === DOT) {
        outlet.write(input, from, at);
        from = at + 1;
        state = AFTER_DOT;
        continue;
      }
      if (state === AFTER_DOT && byte === CR) {
        from = at + 1;
        state = AFTER_DOT_CR;
        continue;
      }
      if (state === AFTER_DOT_CR && byte === LF) {
        this.state = BEGIN;
        outlet.finish();
        return at + 1;
      }
      state = this.odd(state, byte);
      if (state < 0) {
        this.sink.doubtful();
        return end;
      }
    }
    outlet.write(input, from, end);
    this.state = state;
    return end;
  }

  /** What a byte begins where it is neither within a line nor as it should be; -1 where it might be an end. */
  private odd(state: number, byte: number): number {
    if (state === AFTER_DOT_CR) return -1;
    if (state === AFTER_DOT && byte === LF) return -1;
    if (state === AFTER_DOT_HALF && (byte === CR || byte === LF)) return -1;
    if (state === AFTER_CR && this.half() === BEGIN_HALF && byte === DOT) return AFTER_DOT_HALF;
    if (state === BEGIN_HALF && byte === DOT) return AFTER_DOT_HALF;
    if (byte === LF) return this.half();
    return byte === CR ? AFTER_CR : WITHIN;
  }

  private half(): typeof BEGIN_HALF {
    this.isHalf = true;
    return BEGIN_HALF;
  }
}

/** What BDAT brings: so many bytes, in which nothing means anything but that lines end as lines do. */
export class Chunk implements RawBytes {
  private readonly outlet: Outlet;
  /** Half a line end was in it. */
  isHalf = false;
  private left = 0;
  private afterCr = false;

  constructor(into: IncomingMessage, sink: DataSink, bytesMax: number) {
    this.outlet = new Outlet(into, sink, bytesMax);
  }

  get isTooLong(): boolean {
    return this.outlet.isTooLong;
  }

  /** The message's next chunk is of so many bytes. */
  begin(size: number): void {
    this.left = size;
    if (size === 0) this.outlet.finish();
  }

  take(input: Uint8Array, start: number, end: number): number {
    const stop = Math.min(end, start + this.left);
    for (let at = start; at < stop; at++) {
      const byte = input[at];
      if ((byte === LF) !== this.afterCr) this.isHalf = true;
      this.afterCr = byte === CR;
    }
    this.left -= stop - start;
    this.outlet.write(input, start, stop);
    if (this.left === 0) this.outlet.finish();
    return stop;
  }
}

/** A chunk that nobody wants: it is read to its end. */
export class Skipped implements RawBytes {
  private left: number;
  private readonly done: () => void;

  constructor(size: number, done: () => void) {
    this.left = size;
    this.done = done;
  }

  take(_input: Uint8Array, start: number, end: number): number {
    const stop = Math.min(end, start + this.left);
    this.left -= stop - start;
    if (this.left === 0) this.done();
    return stop;
  }
}
