// Variable-length integers (RFC 9000 §16): the two highest bits of the first byte tell the size. Values above 2^53 lose
// their lowest bits; nothing that we allow is as large.
import { MORE, u16, u32 } from '../../../bytes/reader.ts';

/** The largest that can be written (RFC 9000 §16). */
export const VARINT_MAX = 2 ** 62 - 1;

/** Where the integer at `at` ends, or MORE. */
export function varintEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return MORE;
  const next = at + (1 << (bytes[at]! >>> 6));
  return next > end ? MORE : next;
}

/** Its value; all of it is there. */
export function varintAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x40) return first;
  if (first < 0x80) return u16(bytes, at) & 0x3fff;
  if (first < 0xc0) return u32(bytes, at) & 0x3fff_ffff;
  return (u32(bytes, at) & 0x3fff_ffff) * 0x1_0000_0000 + u32(bytes, at + 4);
}

/** Whether a number of streams is more than there can be, exactly: 2^60 (RFC 9000 §4.6), beyond which the lowest bits are lost. */
export function isBeyondStreams(bytes: Uint8Array, at: number): boolean {
  if (bytes[at]! < 0xd0) return false;
  return bytes[at]! > 0xd0 || ((u32(bytes, at) & 0x0fff_ffff) | u32(bytes, at + 4)) !== 0;
}

export function varintBytes(value: number): number {
  if (value < 0x40) return 1;
  if (value < 0x4000) return 2;
  return value < 0x4000_0000 ? 4 : 8;
}

/** Writes the shortest form and answers where it ends. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  if (value < 0x40) {
    bytes[at] = value;
    return at + 1;
  }
  if (value < 0x4000) {
    bytes[at] = 0x40 | (value >>> 8);
    bytes[at + 1] = value;
    return at + 2;
  }
  if (value < 0x4000_0000) {
    bytes[at] = 0x80 | (value >>> 24);
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
    return at + 4;
  }
  const high = Math.floor(value / 0x1_0000_0000);
  const low = value >>> 0;
  bytes[at] = 0xc0 | (high >>> 24);
  bytes[at + 1] = high >>> 16;
  bytes[at + 2] = high >>> 8;
  bytes[at + 3] = high;
  bytes[at + 4] = low >>> 24;
  bytes[at + 5] = low >>> 16;
  bytes[at + 6] = low >>> 8;
  bytes[at + 7] = low;
  return at + 8;
}

/** Writes it in two bytes: a length that is filled in later. */
export function writeVarint2(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = 0x40 | (value >>> 8);
  bytes[at + 1] = value;
  return at + 2;
}
