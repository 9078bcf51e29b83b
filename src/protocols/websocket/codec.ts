// Frames (RFC 6455 §5): their heads out of bytes and into bytes, and the mask over payloads. It does not know which frame
// may follow which; that is the session's.
import { BAD, MORE, u16, u32 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Fault } from '../../core/fault.ts';
import { faults } from './faults.ts';

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

const FIN = 0x80;
/** The first reserved bit: this message is compressed (RFC 7692 §6). */
const RSV1 = 0x40;
const RSV23 = 0x30;
const MASK = 0x80;

/** The most that a control frame carries (§5.5). */
export const CONTROL_MAX = 125;

/** The longest head: two bytes, a length of eight, a key of four. */
export const HEAD_MAX = 14;

export function isControl(opcode: number): boolean {
  return opcode >= CLOSE;
}

/** Reads the head of one frame. */
export class FrameReader {
  fin = false;
  compressed = false;
  opcode = 0;
  /** The four bytes of the key, the first one highest; 0 where the frame is not masked. */
  key = 0;
  length = 0;
  fault: Fault | null = null;
  private readonly masked: boolean;
  private readonly deflate: boolean;

  /** @param masked whether frames come from a client @param deflate whether permessage-deflate was agreed on */
  constructor(masked: boolean, deflate: boolean) {
    this.masked = masked;
    this.deflate = deflate;
  }

  /** The index of the payload, MORE or BAD. What two bytes can tell is told by two bytes. */
  read(input: Uint8Array, start: number, end: number): number {
    if (end - start < 2) return MORE;
    const first = input[start]!;
    const second = input[start + 1]!;
    const opcode = first & 0x0f;
    let length = second & 0x7f;
    if ((first & (RSV1 | RSV23)) !== 0 || opcode > BINARY || second >= MASK !== this.masked) {
      const fault = this.check(first, second);
      if (fault !== null) return this.bad(fault);
    }
    let at = start + 2;
    if (length === 126) {
      if (end - at < 2) return MORE;
      length = u16(input, at);
      if (length < 126) return this.bad(faults.lengthNotMinimal);
      at += 2;
    } else if (length === 127) {
      if (end - at < 8) return MORE;
      if (input[at]! >= 0x80) return this.bad(faults.lengthTooLarge);
      // Above 2^53 it is not exact, and above every bound.
      length = u32(input, at) * 0x1_0000_0000 + u32(input, at + 4);
      if (length < 65_536) return this.bad(faults.lengthNotMinimal);
      at += 8;
    }
    if (this.masked) {
      if (end - at < 4) return MORE;
      this.key = (input[at]! << 24) | (input[at + 1]! << 16) | (input[at + 2]! << 8) | input[at + 3]!;
      at += 4;
    }
    this.fin = first >= FIN;
    this.compressed = (first & RSV1) !== 0;
    this.opcode = opcode;
    this.length = length;
    return at;
  }

  /** What the first two bytes break, or null. */
  private check(first: number, second: number): Fault | null {
    const opcode = first & 0x0f;
    if ((first & RSV23) !== 0) return faults.reservedBits;
    // On the first frame of a message only (RFC 7692 §6.1).
    if ((first & RSV1) !== 0 && (!this.deflate || (opcode !== TEXT && opcode !== BINARY))) return faults.reservedBits;
    if ((opcode > BINARY && opcode < CLOSE) || opcode > PONG) return faults.reservedOpcode;
    if (second >= MASK !== this.masked) return this.masked ? faults.notMasked : faults.masked;
    if (opcode < CLOSE) return null;
    if (first < FIN) return faults.controlFragmented;
    return (second & 0x7f) > CONTROL_MAX ? faults.controlTooLong : null;
  }

  private bad(fault: Fault): number {
    this.fault = fault;
    return BAD;
  }
}

/** The key as it stands after `count` more bytes of the payload. */
export function turnKey(key: number, count: number): number {
  const bits = (count & 3) << 3;
  return bits === 0 ? key : (key << bits) | (key >>> (32 - bits));
}

/** Below this a loop over bytes beats the making of a view of words. */
const WORDS_LEAST = 128;

const keyBytes = new Uint8Array(4);
const keyWord = new Int32Array(keyBytes.buffer);

/** Transports read into the same storage again and again: its words are kept. */
let words = new Int32Array(0);

/** Masks or unmasks `bytes[start..end)` in place (§5.3). */
export function applyKey(bytes: Uint8Array, start: number, end: number, key: number): void {
  let at = start;
  if (end - start >= WORDS_LEAST) {
    const aligned = start + (-(bytes.byteOffset + start) & 3);
    applyBytes(bytes, start, aligned, key);
    key = turnKey(key, aligned - start);
    const count = (end - aligned) >> 2;
    applyWords(bytes, aligned, count, key);
    at = aligned + count * 4;
  }
  applyBytes(bytes, at, end, key);
}

function applyBytes(bytes: Uint8Array, start: number, end: number, key: number): void {
  const k0 = key >>> 24;
  const k1 = (key >>> 16) & 0xff;
  const k2 = (key >>> 8) & 0xff;
  const k3 = key & 0xff;
  let at = start;
  for (; at + 3 < end; at += 4) {
    bytes[at]! ^= k0;
    bytes[at + 1]! ^= k1;
    bytes[at + 2]! ^= k2;
    bytes[at + 3]! ^= k3;
  }
  if (at < end) bytes[at]! ^= k0;
  if (at + 1 < end) bytes[at + 1]! ^= k1;
  if (at + 2 < end) bytes[at + 2]! ^= k2;
}

function applyWords(bytes: Uint8Array, start: number, count: number, key: number): void {
  const { buffer } = bytes;
  if (words.buffer !== buffer) words = new Int32Array(buffer as ArrayBuffer, 0, buffer.byteLength >> 2);
  keyBytes[0] = key >>> 24;
  keyBytes[1] = key >>> 16;
  keyBytes[2] = key >>> 8;
  keyBytes[3] = key;
  const word = keyWord[0]!;
  const held = words;
  const from = (bytes.byteOffset + start) >> 2;
  const to = from + count;
  for (let at = from; at < to; at++) held[at]! ^= word;
}

/** Writes the head of a whole message in one frame. The key, if any, is the caller's to write behind it. */
export function writeHead(out: ByteWriter, opcode: number, compressed: boolean, length: number, masked: boolean): void {
  out.ensure(HEAD_MAX);
  const { bytes } = out;
  const mask = masked ? MASK : 0;
  let at = out.length;
  bytes[at++] = FIN | (compressed ? RSV1 : 0) | opcode;
  if (length <= CONTROL_MAX) {
    bytes[at++] = mask | length;
  } else if (length < 65_536) {
    bytes[at++] = mask | 126;
    bytes[at++] = length >>> 8;
    bytes[at++] = length;
  } else {
    bytes[at++] = mask | 127;
    for (let shift = 56; shift >= 32; shift -= 8) bytes[at++] = Math.floor(length / 2 ** shift);
    for (let shift = 24; shift >= 0; shift -= 8) bytes[at++] = length >>> shift;
  }
  out.length = at;
}
