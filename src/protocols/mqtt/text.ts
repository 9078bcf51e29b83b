// The two fields that MQTT has of its own: variable byte integers, and strings with their length in front.
import { isUtf8, u16 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Fault } from '../../core/fault.ts';
import { codecFaults as faults } from './faults.ts';

/** The most that a variable byte integer holds. */
export const VARINT_MAX = 268_435_455;

// What the readers answer below 0, and the fault that each stands for.
export const TRUNCATED = -1;
export const TOO_LONG = -2;
export const NOT_MINIMAL = -3;
export const NOT_UTF8 = -4;
export const NUL = -5;

const FAULTS = [faults.truncated, faults.remainingLength, faults.lengthNotMinimal, faults.notUtf8, faults.nulInText];

/** The fault behind an answer below 0 of a reader in this file. */
export function fieldFault(answer: number): Fault {
  return FAULTS[-1 - answer]!;
}

/**
 * A variable byte integer: seven bits a byte, least significant first, the top bit says that more follow (MQTT 5.0 §1.5.5).
 * Answers its value, TRUNCATED, TOO_LONG or NOT_MINIMAL; it takes `varintSize(value)` bytes.
 */
export function readVarint(input: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let index = 0; index < 4; index++) {
    if (at + index >= end) return TRUNCATED;
    const byte = input[at + index]!;
    value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return byte === 0 && index > 0 ? NOT_MINIMAL : value;
  }
  return TOO_LONG;
}

export function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

export function writeVarint(out: ByteWriter, value: number): void {
  while (value > 0x7f) {
    out.u8((value & 0x7f) | 0x80);
    value >>>= 7;
  }
  out.u8(value);
}

/**
 * Checks a string and answers the index behind it; its text is `[at + 2, answer)`. TRUNCATED, NOT_UTF8 or NUL if it is none.
 *
 * - length: two bytes
 * - text: UTF-8 without U+0000 and surrogates ([MQTT-1.5.4-1], [MQTT-1.5.4-2])
 */
export function readText(input: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return TRUNCATED;
  const start = at + 2;
  const after = start + u16(input, at);
  if (after > end) return TRUNCATED;
  for (let index = start; index < after; index++) {
    const byte = input[index]!;
    if (byte === 0) return NUL;
    if (byte > 0x7f) return slowText(input, index, after);
  }
  return after;
}

function slowText(input: Uint8Array, start: number, after: number): number {
  if (!isUtf8(input, start, after)) return NOT_UTF8;
  for (let index = start; index < after; index++) if (input[index] === 0) return NUL;
  return after;
}

/** A string with its length in front. One that needs more than 65,535 bytes is a bug of the caller's and throws. */
export function writeText(out: ByteWriter, text: string): void {
  const at = out.length;
  out.u16(0);
  const size = out.utf8(text);
  if (size > 0xffff) throw new RangeError(`a string of ${size} bytes`);
  out.bytes[at] = size >>> 8;
  out.bytes[at + 1] = size;
}

/** Bytes with their length in front. */
export function writeBytes(out: ByteWriter, bytes: Uint8Array): void {
  if (bytes.length > 0xffff) throw new RangeError(`binary data of ${bytes.length} bytes`);
  out.u16(bytes.length);
  out.copy(bytes, 0, bytes.length);
}
