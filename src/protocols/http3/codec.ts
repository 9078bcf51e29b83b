// The numbers of HTTP/3 and how its frames begin (RFC 9114 §7): variable-length integers, types of frames and streams,
// settings, error codes. It holds no state.
import { MORE } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';

// Frames (§7.2).
export const DATA = 0x0;
export const HEADERS = 0x1;
export const CANCEL_PUSH = 0x3;
export const SETTINGS = 0x4;
export const PUSH_PROMISE = 0x5;
export const GOAWAY = 0x7;
export const MAX_PUSH_ID = 0xd;
/** RFC 9218 §7.2. */
export const PRIORITY_UPDATE = 0xf0700;
export const PRIORITY_UPDATE_PUSH = 0xf0701;
/** Begins a two-way stream of a WebTransport session: a type, and no frame (draft-ietf-webtrans-http3 §4.3). */
export const WEBTRANSPORT_STREAM = 0x41;

export const FRAME_NAMES: Readonly<Record<number, string>> = {
  [DATA]: 'DATA',
  [HEADERS]: 'HEADERS',
  [CANCEL_PUSH]: 'CANCEL_PUSH',
  [SETTINGS]: 'SETTINGS',
  [PUSH_PROMISE]: 'PUSH_PROMISE',
  [GOAWAY]: 'GOAWAY',
  [MAX_PUSH_ID]: 'MAX_PUSH_ID',
  [PRIORITY_UPDATE]: 'PRIORITY_UPDATE',
  [PRIORITY_UPDATE_PUSH]: 'PRIORITY_UPDATE',
  [WEBTRANSPORT_STREAM]: 'WEBTRANSPORT_STREAM',
};

/** Frames of HTTP/2 that have no place here (§7.2.8): PRIORITY, PING, WINDOW_UPDATE, CONTINUATION. */
export function isReserved(type: number): boolean {
  return type === 0x2 || type === 0x6 || type === 0x8 || type === 0x9;
}

// One-way streams (§6.2, RFC 9204 §4.2).
export const CONTROL_STREAM = 0x0;
export const PUSH_STREAM = 0x1;
export const ENCODER_STREAM = 0x2;
export const DECODER_STREAM = 0x3;

/** One of a WebTransport session (draft-ietf-webtrans-http3 §4.2). */
export const TRANSPORT_STREAM = 0x54;

export const STREAM_NAMES: Readonly<Record<number, string>> = {
  [CONTROL_STREAM]: 'control stream',
  [PUSH_STREAM]: 'push stream',
  [ENCODER_STREAM]: 'QPACK encoder stream',
  [DECODER_STREAM]: 'QPACK decoder stream',
  [TRANSPORT_STREAM]: 'WebTransport stream',
};

// Settings (§7.2.4.1, RFC 9204 §5, RFC 9220 §3, RFC 9297 §2.1.1).
export const QPACK_MAX_TABLE_CAPACITY = 0x1;
export const MAX_FIELD_SECTION_SIZE = 0x6;
export const QPACK_BLOCKED_STREAMS = 0x7;
export const ENABLE_CONNECT_PROTOCOL = 0x8;
export const H3_DATAGRAM = 0x33;
/** Of draft-ietf-webtrans-http3-02, which browsers speak, and -07: how many sessions. */
export const ENABLE_WEBTRANSPORT = 0x2b603742;
export const WEBTRANSPORT_MAX_SESSIONS = 0xc671706a;

export const SETTING_NAMES: Readonly<Record<number, string>> = {
  [QPACK_MAX_TABLE_CAPACITY]: 'QPACK_MAX_TABLE_CAPACITY',
  [MAX_FIELD_SECTION_SIZE]: 'MAX_FIELD_SECTION_SIZE',
  [QPACK_BLOCKED_STREAMS]: 'QPACK_BLOCKED_STREAMS',
  [ENABLE_CONNECT_PROTOCOL]: 'ENABLE_CONNECT_PROTOCOL',
  [H3_DATAGRAM]: 'H3_DATAGRAM',
  [ENABLE_WEBTRANSPORT]: 'ENABLE_WEBTRANSPORT',
  [WEBTRANSPORT_MAX_SESSIONS]: 'WEBTRANSPORT_MAX_SESSIONS',
};

/** Settings of HTTP/2 that have no place here (§7.2.4.1). */
export function isReservedSetting(id: number): boolean {
  return id >= 0x2 && id <= 0x5;
}

// Errors (§8.1, RFC 9204 §6).
export const H3_DATAGRAM_ERROR = 0x33;
export const H3_NO_ERROR = 0x100;
export const H3_GENERAL_PROTOCOL_ERROR = 0x101;
export const H3_INTERNAL_ERROR = 0x102;
export const H3_STREAM_CREATION_ERROR = 0x103;
export const H3_CLOSED_CRITICAL_STREAM = 0x104;
export const H3_FRAME_UNEXPECTED = 0x105;
export const H3_FRAME_ERROR = 0x106;
export const H3_EXCESSIVE_LOAD = 0x107;
export const H3_ID_ERROR = 0x108;
export const H3_SETTINGS_ERROR = 0x109;
export const H3_MISSING_SETTINGS = 0x10a;
export const H3_REQUEST_REJECTED = 0x10b;
export const H3_REQUEST_CANCELLED = 0x10c;
export const H3_REQUEST_INCOMPLETE = 0x10d;
export const H3_MESSAGE_ERROR = 0x10e;
export const H3_CONNECT_ERROR = 0x10f;
export const H3_VERSION_FALLBACK = 0x110;
export const QPACK_DECOMPRESSION_FAILED = 0x200;
export const QPACK_ENCODER_STREAM_ERROR = 0x201;
export const QPACK_DECODER_STREAM_ERROR = 0x202;
/** draft-ietf-webtrans-http3 §9.5. */
export const WT_SESSION_GONE = 0x170d7b68;
export const WT_BUFFERED_STREAM_REJECTED = 0x3994bd84;
const WT_APPLICATION_ERROR_FIRST = 0x52e4a40fa8db;
const WT_APPLICATION_ERROR_LAST = 0x52e5ac983162;

/** An application's error as the wire has it: those of grease are left out (draft-ietf-webtrans-http3 §4.4). */
export function wireOfTransport(code: number): number {
  return WT_APPLICATION_ERROR_FIRST + code + Math.floor(code / 0x1e);
}

/** The application's error that the wire's stands for; 0 for all others. */
export function transportOfWire(wire: number): number {
  if (wire < WT_APPLICATION_ERROR_FIRST || wire > WT_APPLICATION_ERROR_LAST || (wire - 0x21) % 0x1f === 0) return 0;
  const shifted = wire - WT_APPLICATION_ERROR_FIRST;
  return shifted - Math.floor(shifted / 0x1f);
}

/** A request's stream that nobody gets to (§5.2): the largest that a number here holds. */
export const STREAM_MAX = 2 ** 62 - 512;

// ---- variable-length integers (RFC 9000 §16) -----------------------------------------------------------------------------

/** What `readVarint` read. Beyond 2^53 the last digits are lost: nothing here counts so far. */
export let varint = 0;

/** Reads one into `varint`; answers the index behind it, or MORE. */
export function readVarint(input: Uint8Array, at: number, end: number): number {
  if (at >= end) return MORE;
  const first = input[at]!;
  const size = 1 << (first >>> 6);
  if (at + size > end) return MORE;
  let value = first & 0x3f;
  for (let next = at + 1; next < at + size; next++) value = value * 256 + input[next]!;
  varint = value;
  return at + size;
}

export function varintSize(value: number): number {
  if (value < 0x40) return 1;
  if (value < 0x4000) return 2;
  return value < 0x4000_0000 ? 4 : 8;
}

export function writeVarint(out: ByteWriter, value: number): void {
  if (value < 0x40) out.u8(value);
  else if (value < 0x4000) out.u16(0x4000 | value);
  else if (value < 0x4000_0000) out.u32(0x8000_0000 + value);
  else {
    out.u32(0xc000_0000 + Math.floor(value / 0x1_0000_0000));
    out.u32(value % 0x1_0000_0000);
  }
}

/** The head of a frame; so many bytes follow. */
export function writeFrameHead(out: ByteWriter, type: number, length: number): void {
  writeVarint(out, type);
  writeVarint(out, length);
}

export function writeSettings(out: ByteWriter, pairs: readonly number[]): void {
  let length = 0;
  for (const value of pairs) length += varintSize(value);
  writeFrameHead(out, SETTINGS, length);
  for (const value of pairs) writeVarint(out, value);
}

export function writeGoaway(out: ByteWriter, id: number): void {
  writeFrameHead(out, GOAWAY, varintSize(id));
  writeVarint(out, id);
}

/** A type, identifier or setting that means nothing (§7.2.8), so that nobody comes to depend on there being none. */
export function greaseOf(chance: number): number {
  return 0x21 + 0x1f * (chance % 0x1000_0000);
}
