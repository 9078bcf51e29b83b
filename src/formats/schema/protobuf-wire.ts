// Protobuf's wire, read by offset: tags, varints, fixed numbers, text and what is skipped. It knows no types. What is wrong is
// kept as `fault`, and everything after it reads nothing.
// (protobuf.dev/programming-guides/encoding)
import { isUtf8, utf8 } from '../../bytes/reader.ts';

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const GROUP = 3;
export const GROUP_END = 4;
export const FIXED32 = 5;

/** Behind every end there can be: loops that go on to an end stop. */
const NOWHERE = 0x3fff_ffff;

const TWO_32 = 0x1_0000_0000;
const REPLACED = '\ufffd';

/** What is read, where, and what was wrong with it. One is used again for each message. */
export class Wire {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  /** What is wrong, or null. */
  fault: string | null = null;
  /** How many messages may still begin within the one that is read. */
  depth = 0;
  /** How many list items, map entries and messages may still come: each costs more in memory than on the wire. */
  left = 0;
  /** The upper half of the varint that was read last. */
  high = 0;

  begin(bytes: Uint8Array, start: number, depth: number, values: number): void {
    this.bytes = bytes;
    this.at = start;
    this.fault = null;
    this.depth = depth;
    this.left = values;
  }

  fail(text: string): 0 {
    this.fault ??= text;
    this.at = NOWHERE;
    return 0;
  }

  /** The lower 32 bits of a varint, as an unsigned number; `high` has the others. */
  varint(end: number): number {
    const { bytes } = this;
    let { at } = this;
    this.high = 0;
    if (at >= end) return this.fail(CUT);
    let byte = bytes[at++]!;
    if (byte < 0x80) {
      this.at = at;
      return byte;
    }
    let low = byte & 0x7f;
    for (let shift = 7; shift < 28; shift += 7) {
      if (at >= end) return this.fail(CUT);
      byte = bytes[at++]!;
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.at = at;
        return low;
      }
    }
    if (at >= end) return this.fail(CUT);
    byte = bytes[at++]!;
    low = (low | ((byte & 0x0f) << 28)) >>> 0;
    let high = (byte >> 4) & 0x07;
    for (let shift = 3; byte >= 0x80; shift += 7) {
      if (shift > 31) return this.fail('a number has more than ten bytes');
      if (at >= end) return this.fail(CUT);
      byte = bytes[at++]!;
      high |= (byte & 0x7f) << shift;
    }
    this.at = at;
    this.high = high >>> 0;
    return low;
  }

  /** A field's number and wire type. */
  tag(end: number): number {
    const tag = this.varint(end);
    if (this.high !== 0 || (tag < 8 && this.fault === null))
      return this.fail('a field has a number that none can have');
    return tag;
  }

  /** The end of what comes with its length; it is within `end`. */
  lengthEnd(end: number): number {
    const size = this.varint(end);
    const to = this.at + size;
    if (this.high !== 0 || to > end) {
      this.fail('a length goes beyond its message');
      return 0;
    }
    return to;
  }

  fixed32(end: number): number {
    const { bytes, at } = this;
    if (at + 4 > end) return this.fail(CUT);
    this.at = at + 4;
    return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
  }

  text(end: number): string {
    const to = this.lengthEnd(end);
    if (this.fault !== null) return '';
    const text = utf8(this.bytes, this.at, to);
    // What is not UTF-8 becomes a replacement character, which may also be what was sent.
    if (text.includes(REPLACED) && !isUtf8(this.bytes, this.at, to)) this.fail('a text is not UTF-8');
    else this.at = to;
    return text;
  }

  blob(end: number): Uint8Array {
    const to = this.lengthEnd(end);
    const { bytes, at } = this;
    if (this.fault !== null) return NO_BYTES;
    const copy = new Uint8Array(to - at);
    copy.set(bytes.subarray(at, to));
    this.at = to;
    return copy;
  }

  /** Passes over a field that nobody knows. */
  skip(tag: number, end: number): void {
    switch (tag & 7) {
      case VARINT:
        this.varint(end);
        break;
      case FIXED64:
        this.pass(8, end);
        break;
      case BYTES: {
        const to = this.lengthEnd(end);
        if (this.fault === null) this.at = to;
        break;
      }
      case GROUP:
        this.skipGroup(tag, end);
        break;
      case FIXED32:
        this.pass(4, end);
        break;
      default:
        this.fail((tag & 7) === GROUP_END ? 'a group ends that did not begin' : 'a field has an unknown wire type');
    }
  }

  private pass(size: number, end: number): void {
    if (this.at + size > end) this.fail(CUT);
    else this.at += size;
  }

  private skipGroup(tag: number, end: number): void {
    if (--this.depth < 0) {
      this.fail(TOO_DEEP);
      return;
    }
    const last = tag + 1;
    for (;;) {
      const next = this.tag(end);
      if (this.fault !== null) return;
      if (next === last) break;
      this.skip(next, end);
    }
    this.depth++;
  }
}

export function signed64(low: number, high: number): bigint {
  const value = unsigned64(low, high);
  return high >= 0x8000_0000 ? BigInt.asIntN(64, value) : value;
}

export function unsigned64(low: number, high: number): bigint {
  if (high < 0x20_0000) return BigInt(high * TWO_32 + low);
  return (BigInt(high) << 32n) | BigInt(low);
}

/** A signed 64-bit number as a JavaScript number; exact up to 2^53. */
export function signed64Number(low: number, high: number): number {
  return (high | 0) * TWO_32 + low;
}

export const CUT = 'it ends in the middle of a field';
export const TOO_DEEP = 'messages are nested too deeply';
export const TOO_MANY = 'it has too many values';
const NO_BYTES = new Uint8Array(0);
