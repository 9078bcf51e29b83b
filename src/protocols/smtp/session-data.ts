// The bytes of messages: DATA with its dots (RFC 5321 §4.5.2), and BDAT's chunks (RFC 3030). A line that ends with half of a line
// end is refused, so that no two servers can see two different messages in the same bytes (SMTP smuggling).
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

/** What receives a message, told how it went. */
export interface DataSink {
  /** No more is to be read until `resumed`. */
  full(): void;
  resumed(): void;
  /** All of it, or of the chunk, has come and been written. */
  complete(): void;
  /** A line ended with a line feed or a carriage return alone. */
  bare(): void;
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
  private readonly outlet: Outlet;
  private readonly sink: DataSink;
  private state: typeof WITHIN | typeof AFTER_CR | typeof BEGIN | typeof AFTER_DOT | typeof AFTER_DOT_CR = BEGIN;

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
      const byte = input[at]!;
      if (state === WITHIN) {
        // Most bytes are within a line, and none of these two.
        if (byte === CR) state = AFTER_CR;
        else if (byte === LF) return this.bare(end);
      } else if (state === AFTER_CR) {
        if (byte !== LF) return this.bare(end);
        state = BEGIN;
      } else if (state === BEGIN) {
        if (byte === DOT) {
          outlet.write(input, from, at);
          from = at + 1;
          state = AFTER_DOT;
        } else if (byte === LF) return this.bare(end);
        else state = byte === CR ? AFTER_CR : WITHIN;
      } else if (state === AFTER_DOT) {
        // The dot was put there on the way, unless it stands alone.
        if (byte === LF) return this.bare(end);
        if (byte === CR) from = at + 1;
        state = byte === CR ? AFTER_DOT_CR : WITHIN;
      } else {
        if (byte !== LF) return this.bare(end);
        this.state = BEGIN;
        outlet.finish();
        return at + 1;
      }
    }
    outlet.write(input, from, end);
    this.state = state;
    return end;
  }

  private bare(end: number): number {
    this.sink.bare();
    return end;
  }
}

/** What BDAT brings: so many bytes, in which nothing means anything but that lines end as lines do. */
export class Chunk implements RawBytes {
  private readonly outlet: Outlet;
  private readonly sink: DataSink;
  private left = 0;
  private afterCr = false;

  constructor(into: IncomingMessage, sink: DataSink, bytesMax: number) {
    this.outlet = new Outlet(into, sink, bytesMax);
    this.sink = sink;
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
      if ((byte === LF) !== this.afterCr) {
        this.sink.bare();
        return end;
      }
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
