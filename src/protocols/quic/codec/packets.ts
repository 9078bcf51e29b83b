// Headers of packets (RFC 9000 §17, RFC 8999): what can be read before any key is there, and what is written before sealing.
// It does not know what is in them.
import { BAD, MORE, u32 } from '../../../bytes/reader.ts';
import { APPLICATION, EARLY, HANDSHAKE, INITIAL, type Level, VERSION_1, VERSION_2, type Version } from '../crypto.ts';
import { varintAt, varintEnd, writeVarint2 } from './varint.ts';

/** Kinds of packets: those of a level have its number. */
export const RETRY = 4;
export const NEGOTIATION = 5;
/** A long header of a version that is not spoken here. */
export const UNKNOWN_VERSION = 6;
export type Kind = Level | typeof RETRY | typeof NEGOTIATION | typeof UNKNOWN_VERSION;

export const LONG = 0x80;
export const FIXED = 0x40;
/** The longest connection id of the versions that are spoken (RFC 9000 §17.2). */
export const ID_BYTES_MAX = 20;
/** What a client's first datagram has at least (RFC 9000 §14.1). */
export const FIRST_DATAGRAM_BYTES = 1_200;

/** Kinds by their two bits of version 1 (RFC 9000 §17.2) and of version 2 (RFC 9369 §3.2). */
const KINDS_1: readonly Kind[] = [INITIAL, EARLY, HANDSHAKE, RETRY];
const KINDS_2: readonly Kind[] = [RETRY, INITIAL, EARLY, HANDSHAKE];

export function isSpoken(version: number): version is Version {
  return version === VERSION_1 || version === VERSION_2;
}

/** The header of one packet, read in place; offsets are those of the datagram. */
export class PacketHeader {
  kind: Kind = INITIAL;
  version = 0;
  /** A long header whose fixed bit is clear is no fault where both sides grease it (RFC 9287). */
  fixedBit = true;
  destinationStart = 0;
  destinationEnd = 0;
  sourceStart = 0;
  sourceEnd = 0;
  tokenStart = 0;
  tokenEnd = 0;
  /** Where the number of the packet begins. */
  numberAt = 0;
  /** Where the packet ends. */
  end = 0;

  /**
   * Reads the header of the packet at `at`; `idBytes` is the length of our own connection ids, which short headers do not
   * tell. Answers where the packet ends, or BAD when it is nothing that can be looked at.
   */
  read(bytes: Uint8Array, at: number, end: number, idBytes: number): number {
    if (at >= end) return BAD;
    const first = bytes[at]!;
    this.fixedBit = (first & FIXED) !== 0;
    this.tokenStart = this.tokenEnd = 0;
    if ((first & LONG) === 0) {
      this.kind = APPLICATION;
      this.version = 0;
      this.destinationStart = at + 1;
      this.destinationEnd = this.numberAt = at + 1 + idBytes;
      this.sourceStart = this.sourceEnd = 0;
      this.end = end;
      return this.numberAt < end ? end : BAD;
    }
    if (end - at < 7) return BAD;
    this.version = u32(bytes, at + 1);
    this.destinationStart = at + 6;
    this.destinationEnd = this.destinationStart + bytes[at + 5]!;
    if (this.destinationEnd >= end) return BAD;
    this.sourceStart = this.destinationEnd + 1;
    this.sourceEnd = this.sourceStart + bytes[this.destinationEnd]!;
    if (this.sourceEnd > end) return BAD;
    return this.readBehindIds(bytes, first, end);
  }

  private readBehindIds(bytes: Uint8Array, first: number, end: number): number {
    const { version } = this;
    this.end = end;
    if (version === 0) {
      this.kind = NEGOTIATION;
      return end;
    }
    if (!isSpoken(version)) {
      this.kind = UNKNOWN_VERSION;
      return end;
    }
    if (this.destinationEnd - this.destinationStart > ID_BYTES_MAX || this.sourceEnd - this.sourceStart > ID_BYTES_MAX)
      return BAD;
    this.kind = (version === VERSION_2 ? KINDS_2 : KINDS_1)[(first >>> 4) & 3]!;
    let at = this.sourceEnd;
    if (this.kind === RETRY) {
      this.tokenStart = at;
      this.tokenEnd = end - 16;
      return this.tokenEnd > this.tokenStart ? end : BAD;
    }
    if (this.kind === INITIAL) {
      const next = varintEnd(bytes, at, end);
      if (next === MORE) return BAD;
      this.tokenStart = next;
      this.tokenEnd = next + varintAt(bytes, at);
      if (this.tokenEnd > end) return BAD;
      at = this.tokenEnd;
    }
    const next = varintEnd(bytes, at, end);
    if (next === MORE) return BAD;
    this.numberAt = next;
    this.end = next + varintAt(bytes, at);
    return this.end > end ? BAD : this.end;
  }
}

/** How many bytes a packet's number needs, given the largest that was acknowledged or -1 (RFC 9000 §A.2). */
export function numberBytes(number: number, largestAcked: number): number {
  const unacknowledged = number - largestAcked;
  if (unacknowledged < 0x80) return 1;
  if (unacknowledged < 0x8000) return 2;
  return unacknowledged < 0x80_0000 ? 3 : 4;
}

/** The whole number of which the lowest `size` bytes came, given the largest that was taken or -1 (RFC 9000 §A.3). */
export function wholeNumber(truncated: number, size: number, largest: number): number {
  const expected = largest + 1;
  const window = 2 ** (size * 8);
  const half = window / 2;
  const candidate = expected - (expected % window) + truncated;
  if (candidate <= expected - half && candidate < 2 ** 62 - window) return candidate + window;
  return candidate > expected + half && candidate >= window ? candidate - window : candidate;
}

export function numberAt(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let index = 0; index < size; index++) value = value * 256 + bytes[at + index]!;
  return value;
}

export function writeNumber(bytes: Uint8Array, at: number, number: number, size: number): number {
  let rest = number;
  for (let index = size - 1; index >= 0; index--) {
    bytes[at + index] = rest;
    rest = Math.floor(rest / 256);
  }
  return at + size;
}

/** The first byte of a long header of this kind. */
function longByte(version: Version, kind: Kind, low: number): number {
  const kinds = version === VERSION_2 ? KINDS_2 : KINDS_1;
  return LONG | FIXED | (kinds.indexOf(kind) << 4) | low;
}

function writeIds(
  bytes: Uint8Array,
  start: number,
  version: number,
  destination: Uint8Array,
  source: Uint8Array,
): number {
  let at = start;
  bytes[at++] = version >>> 24;
  bytes[at++] = version >>> 16;
  bytes[at++] = version >>> 8;
  bytes[at++] = version;
  bytes[at++] = destination.length;
  bytes.set(destination, at);
  at += destination.length;
  bytes[at++] = source.length;
  bytes.set(source, at);
  return at + source.length;
}

/** What a packet's header says. */
export interface HeaderPlan {
  readonly version: Version;
  readonly destination: Uint8Array;
  readonly source: Uint8Array;
  readonly token: Uint8Array;
}

/**
 * Writes a long header up to the packet's number, with a length in two bytes in front of it; `fillLength` sets that. Answers
 * where the number goes.
 */
export function writeLongHeader(bytes: Uint8Array, start: number, kind: Level, size: number, plan: HeaderPlan): number {
  bytes[start] = longByte(plan.version, kind, size - 1);
  let at = writeIds(bytes, start + 1, plan.version, plan.destination, plan.source);
  if (kind === INITIAL) {
    at = writeVarint2(bytes, at, plan.token.length);
    bytes.set(plan.token, at);
    at += plan.token.length;
  }
  return at + 2;
}

/** The length of what follows it, number, payload and tag, which ends at `end` (RFC 9000 §17.2). */
export function fillLength(bytes: Uint8Array, numberAt: number, end: number): void {
  writeVarint2(bytes, numberAt - 2, end - numberAt);
}

/** Answers where the number goes. */
export function writeShortHeader(
  bytes: Uint8Array,
  start: number,
  destination: Uint8Array,
  size: number,
  phase: 0 | 1,
  spin: 0 | 1,
): number {
  bytes[start] = FIXED | (spin << 5) | (phase << 2) | (size - 1);
  bytes.set(destination, start + 1);
  return start + 1 + destination.length;
}

/** Answers its end, without the integrity tag. */
export function writeRetry(bytes: Uint8Array, start: number, plan: HeaderPlan): number {
  bytes[start] = longByte(plan.version, RETRY, 0x0f);
  const at = writeIds(bytes, start + 1, plan.version, plan.destination, plan.source);
  bytes.set(plan.token, at);
  return at + plan.token.length;
}

/** Offers versions to who asked for another (RFC 9000 §17.2.1); `chance` fills what may be anything. */
export function writeNegotiation(
  bytes: Uint8Array,
  start: number,
  destination: Uint8Array,
  source: Uint8Array,
  versions: readonly number[],
  chance: number,
): number {
  bytes[start] = LONG | FIXED | (chance & 0x3f);
  let at = writeIds(bytes, start + 1, 0, destination, source);
  for (const version of versions) {
    bytes[at++] = version >>> 24;
    bytes[at++] = version >>> 16;
    bytes[at++] = version >>> 8;
    bytes[at++] = version;
  }
  return at;
}
