// Domain names: the wire form without pointers, presentation form, comparison and hashing. A name is bytes that end with the
// root label, in the case in which it was given; it is compared without regard to case (RFC 4343). It knows no records.
import { BAD } from '../../bytes/reader.ts';

/** Octets of a name with all its length octets (RFC 1035 §2.3.4). */
export const NAME_BYTES_MAX = 255;
export const LABEL_BYTES_MAX = 63;

export const ROOT: Uint8Array = Uint8Array.of(0);

/** By octet: the same in lower case, for ASCII letters only (RFC 4343 §3). */
export const LOWER: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte,
);

/** The index behind the name at `at`, which is known to be whole and without pointers. */
export function nameEnd(bytes: Uint8Array, at: number): number {
  for (;;) {
    const size = bytes[at]!;
    if (size === 0) return at + 1;
    at += size + 1;
  }
}

/** As {@link nameEnd} for bytes of a peer: BAD when it passes `end`, is too long, or holds a pointer. */
export function checkName(bytes: Uint8Array, at: number, end: number): number {
  const from = at;
  for (;;) {
    if (at >= end) return BAD;
    const size = bytes[at]!;
    if (size === 0) return at + 1 - from > NAME_BYTES_MAX ? BAD : at + 1;
    if (size > LABEL_BYTES_MAX) return BAD;
    at += size + 1;
  }
}

/** A name being read out of a message: `bytes[0..length)`, without pointers. */
export class NameBuffer {
  readonly bytes = new Uint8Array(NAME_BYTES_MAX + 1);
  length = 0;

  /**
   * Reads the name at `at` of the message `message[start..end)`, and answers the index behind it, or BAD. A pointer must lead
   * to before the labels that it follows (RFC 1035 §4.1.4: "a prior occurrence"), so that a name always ends.
   */
  read(message: Uint8Array, start: number, at: number, end: number): number {
    const { bytes } = this;
    let next = -1;
    let before = at;
    let size = 0;
    for (;;) {
      if (at >= end) return BAD;
      const first = message[at]!;
      if (first === 0) {
        bytes[size++] = 0;
        this.length = size;
        return next < 0 ? at + 1 : next;
      }
      if (first <= LABEL_BYTES_MAX) {
        if (at + first >= end || size + first + 2 > NAME_BYTES_MAX) return BAD;
        for (let index = 0; index <= first; index++) bytes[size++] = message[at++]!;
        continue;
      }
      // 01 and 10 are no labels of ours (RFC 6891 §5).
      if (first < 0xc0 || at + 1 >= end) return BAD;
      const target = start + (((first & 0x3f) << 8) | message[at + 1]!);
      if (next < 0) next = at + 2;
      // The header holds no names.
      if (target >= before || target < start + 12) return BAD;
      before = target;
      at = target;
    }
  }

  /** A copy that may be kept. */
  copy(): Uint8Array {
    return new Uint8Array(this.bytes.subarray(0, this.length));
  }
}

/** The index behind a name with pointers, without reading what they lead to; BAD when it does not end within. */
export function skipName(message: Uint8Array, at: number, end: number): number {
  const from = at;
  for (;;) {
    if (at >= end) return BAD;
    const size = message[at]!;
    if (size === 0) return at + 1 - from > NAME_BYTES_MAX ? BAD : at + 1;
    if (size >= 0xc0) return at + 2 > end ? BAD : at + 2;
    if (size > LABEL_BYTES_MAX) return BAD;
    at += size + 1;
  }
}

/** Labels of the name, without the root. */
export function labelCount(name: Uint8Array, at = 0): number {
  let count = 0;
  while (name[at] !== 0) {
    at += name[at]! + 1;
    count++;
  }
  return count;
}

/** Whether two names are the same in any case. */
export function sameName(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  for (;;) {
    const size = a[aAt++]!;
    if (size !== b[bAt++]!) return false;
    if (size === 0) return true;
    for (let index = 0; index < size; index++) if (LOWER[a[aAt++]!] !== LOWER[b[bAt++]!]) return false;
  }
}

/** Whether `name` is `zone` or lies below it. Answers where the part that is the zone begins, or -1. */
export function within(name: Uint8Array, at: number, zone: Uint8Array, zoneAt = 0): number {
  let extra = labelCount(name, at) - labelCount(zone, zoneAt);
  if (extra < 0) return -1;
  while (extra-- > 0) at += name[at]! + 1;
  return sameName(name, at, zone, zoneAt) ? at : -1;
}

/** A hash that is the same for every case (FNV-1a over the lower case). */
export function hashName(name: Uint8Array, at = 0): number {
  let hash = 0x811c9dc5;
  for (;;) {
    const size = name[at++]!;
    hash = Math.imul(hash ^ size, 0x01000193);
    if (size === 0) return (hash ^ (hash >>> 15)) >>> 0;
    for (let index = 0; index < size; index++) hash = Math.imul(hash ^ LOWER[name[at++]!]!, 0x01000193);
  }
}

const LEFT = new Uint8Array(128);
const RIGHT = new Uint8Array(128);

function labelStarts(name: Uint8Array, at: number, starts: Uint8Array): number {
  const from = at;
  let count = 0;
  while (name[at] !== 0) {
    starts[count++] = at - from;
    at += name[at]! + 1;
  }
  return count;
}

/** The canonical order of names: by labels from the right, each by its octets in lower case (RFC 4034 §6.1). */
export function compareNames(a: Uint8Array, b: Uint8Array, aAt = 0, bAt = 0): number {
  let left = labelStarts(a, aAt, LEFT);
  let right = labelStarts(b, bAt, RIGHT);
  while (left > 0 && right > 0) {
    const x = aAt + LEFT[--left]!;
    const y = bAt + RIGHT[--right]!;
    const xSize = a[x]!;
    const ySize = b[y]!;
    const least = Math.min(xSize, ySize);
    for (let index = 1; index <= least; index++) {
      const difference = LOWER[a[x + index]!]! - LOWER[b[y + index]!]!;
      if (difference !== 0) return difference;
    }
    if (xSize !== ySize) return xSize - ySize;
  }
  return left - right;
}

/** A copy in lower case. */
export function lowerName(name: Uint8Array, at = 0): Uint8Array {
  const copy = name.slice(at, nameEnd(name, at));
  // Length octets are below 64 and stay as they are.
  for (let index = 0; index < copy.length; index++) copy[index] = LOWER[copy[index]!]!;
  return copy;
}

/** `prefix` without its root, then `suffix`; null when that is too long. */
export function joinNames(prefix: Uint8Array, suffix: Uint8Array): Uint8Array | null {
  const size = prefix.length - 1 + suffix.length;
  if (size > NAME_BYTES_MAX) return null;
  const joined = new Uint8Array(size);
  joined.set(prefix.subarray(0, prefix.length - 1));
  joined.set(suffix, prefix.length - 1);
  return joined;
}

/** What must be escaped in a label: the dot, and what has a meaning in master files (RFC 1035 §5.1). */
const SPECIAL = new Set([...'."();@$\\'].map((character) => character.charCodeAt(0)));

/** The name at `at` as text, absolute, with a dot at its end. */
export function nameText(name: Uint8Array, at = 0): string {
  if (name[at] === 0) return '.';
  let text = '';
  for (let size = name[at++]!; size !== 0; size = name[at++]!) {
    for (const end = at + size; at < end; at++) {
      const byte = name[at]!;
      if (byte <= 0x20 || byte >= 0x7f) text += `\\${String(byte).padStart(3, '0')}`;
      else if (SPECIAL.has(byte)) text += `\\${String.fromCharCode(byte)}`;
      else text += String.fromCharCode(byte);
    }
    text += '.';
  }
  return text;
}

const SCRATCH = new Uint8Array(NAME_BYTES_MAX + 1);

/**
 * The name that `text` says, one character an octet with `\.` and `\DDD` as escapes; one that does not end with a dot is
 * below `origin`, and `@` is the origin. Null for what is no name.
 */
export function nameFrom(text: string, origin: Uint8Array | null = ROOT): Uint8Array | null {
  if (text === '@') return origin;
  if (text === '.') return ROOT;
  if (text === '') return null;
  let size = 1;
  let label = 0;
  for (let at = 0; at < text.length; at++) {
    let byte = text.charCodeAt(at);
    if (byte === 0x2e) {
      if (size - label < 2) return null;
      SCRATCH[label] = size - label - 1;
      label = size++;
      if (size > NAME_BYTES_MAX) return null;
      continue;
    }
    if (byte === 0x5c) {
      byte = escapeAt(text, at);
      if (byte < 0) return null;
      at += isDigit(text.charCodeAt(at + 1)) ? 3 : 1;
    }
    if (byte > 0xff || size - label > LABEL_BYTES_MAX || size >= NAME_BYTES_MAX) return null;
    SCRATCH[size++] = byte;
  }
  if (size - label === 1) {
    // It ended with a dot: the place for the next length is the root's.
    SCRATCH[label] = 0;
    return SCRATCH.slice(0, size);
  }
  if (origin === null) return null;
  SCRATCH[label] = size - label - 1;
  if (size + origin.length > NAME_BYTES_MAX) return null;
  const name = new Uint8Array(size + origin.length);
  name.set(SCRATCH.subarray(0, size));
  name.set(origin, size);
  return name;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** The octet that the escape at `at` stands for, or -1. */
export function escapeAt(text: string, at: number): number {
  const code = text.charCodeAt(at + 1);
  if (Number.isNaN(code)) return -1;
  if (!isDigit(code)) return code;
  const value = Number(text.slice(at + 1, at + 4));
  return /^\d{3}$/.test(text.slice(at + 1, at + 4)) && value <= 0xff ? value : -1;
}
