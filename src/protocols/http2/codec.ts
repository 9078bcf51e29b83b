// Frames of HTTP/2 (RFC 9113 §4, §6): their numbers and how they are written. What may come when is the session's.
import type { ByteWriter } from '../../bytes/writer.ts';

// Types of frames (§11.2 of RFC 9113 and RFC 7540; RFC 9218 §7.1).
export const DATA = 0x0;
export const HEADERS = 0x1;
export const PRIORITY = 0x2;
export const RST_STREAM = 0x3;
export const SETTINGS = 0x4;
export const PUSH_PROMISE = 0x5;
export const PING = 0x6;
export const GOAWAY = 0x7;
export const WINDOW_UPDATE = 0x8;
export const CONTINUATION = 0x9;
export const PRIORITY_UPDATE = 0x10;

export const FRAME_NAMES: Readonly<Record<number, string>> = {
  [DATA]: 'DATA',
  [HEADERS]: 'HEADERS',
  [PRIORITY]: 'PRIORITY',
  [RST_STREAM]: 'RST_STREAM',
  [SETTINGS]: 'SETTINGS',
  [PUSH_PROMISE]: 'PUSH_PROMISE',
  [PING]: 'PING',
  [GOAWAY]: 'GOAWAY',
  [WINDOW_UPDATE]: 'WINDOW_UPDATE',
  [CONTINUATION]: 'CONTINUATION',
  [PRIORITY_UPDATE]: 'PRIORITY_UPDATE',
};

// Flags.
export const ACK = 0x1;
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;
export const HAS_PRIORITY = 0x20;

// Settings (§6.5.2; RFC 8441 §3; RFC 9218 §2.1).
export const HEADER_TABLE_SIZE = 0x1;
export const ENABLE_PUSH = 0x2;
export const MAX_CONCURRENT_STREAMS = 0x3;
export const INITIAL_WINDOW_SIZE = 0x4;
export const MAX_FRAME_SIZE = 0x5;
export const MAX_HEADER_LIST_SIZE = 0x6;
export const ENABLE_CONNECT_PROTOCOL = 0x8;
export const NO_RFC7540_PRIORITIES = 0x9;

export const SETTING_NAMES: Readonly<Record<number, string>> = {
  [HEADER_TABLE_SIZE]: 'HEADER_TABLE_SIZE',
  [ENABLE_PUSH]: 'ENABLE_PUSH',
  [MAX_CONCURRENT_STREAMS]: 'MAX_CONCURRENT_STREAMS',
  [INITIAL_WINDOW_SIZE]: 'INITIAL_WINDOW_SIZE',
  [MAX_FRAME_SIZE]: 'MAX_FRAME_SIZE',
  [MAX_HEADER_LIST_SIZE]: 'MAX_HEADER_LIST_SIZE',
  [ENABLE_CONNECT_PROTOCOL]: 'ENABLE_CONNECT_PROTOCOL',
  [NO_RFC7540_PRIORITIES]: 'NO_RFC7540_PRIORITIES',
};

// Error codes (§7).
export const NO_ERROR = 0x0;
export const PROTOCOL_ERROR = 0x1;
export const INTERNAL_ERROR = 0x2;
export const FLOW_CONTROL_ERROR = 0x3;
export const SETTINGS_TIMEOUT = 0x4;
export const STREAM_CLOSED = 0x5;
export const FRAME_SIZE_ERROR = 0x6;
export const REFUSED_STREAM = 0x7;
export const CANCEL = 0x8;
export const COMPRESSION_ERROR = 0x9;
export const CONNECT_ERROR = 0xa;
export const ENHANCE_YOUR_CALM = 0xb;
export const INADEQUATE_SECURITY = 0xc;
export const HTTP_1_1_REQUIRED = 0xd;

export const ERROR_NAMES: readonly string[] = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

/** What a client begins with (§3.4). */
export const PREFACE: Uint8Array = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const HEAD_BYTES = 9;
/** The largest frame that we take, and that we send: what everybody takes (§6.5.2). */
export const FRAME_BYTES_MAX = 16_384;
/** Windows before anybody said otherwise (§6.9.2), and the largest there are (§6.9.1). */
export const WINDOW_BYTES = 65_535;
export const WINDOW_MAX = 0x7fff_ffff;

/** Whether a connection begins with the preface; null while it may. */
export function isPreface(bytes: Uint8Array, start: number, end: number): boolean | null {
  const shown = Math.min(end - start, PREFACE.length);
  for (let at = 0; at < shown; at++) if (bytes[start + at] !== PREFACE[at]) return false;
  return shown === PREFACE.length ? true : null;
}

export function writeFrameHead(out: ByteWriter, length: number, type: number, flags: number, stream: number): void {
  out.ensure(HEAD_BYTES);
  setFrameHead(out.bytes, out.length, length, type, flags, stream);
  out.length += HEAD_BYTES;
}

export function setFrameHead(
  bytes: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  bytes[at] = length >>> 16;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes[at + 5] = stream >>> 24;
  bytes[at + 6] = stream >>> 16;
  bytes[at + 7] = stream >>> 8;
  bytes[at + 8] = stream;
}

/** RST_STREAM and WINDOW_UPDATE: a number for a stream. */
export function writeNumber(
  out: ByteWriter,
  type: typeof RST_STREAM | typeof WINDOW_UPDATE,
  stream: number,
  n: number,
) {
  writeFrameHead(out, 4, type, 0, stream);
  out.u32(n);
}

/** @param pairs identifier, value, identifier, value */
export function writeSettings(out: ByteWriter, pairs: readonly number[]): void {
  writeFrameHead(out, pairs.length * 3, SETTINGS, 0, 0);
  for (let at = 0; at < pairs.length; at += 2) {
    out.u16(pairs[at]!);
    out.u32(pairs[at + 1]!);
  }
}

export function writePing(out: ByteWriter, ack: boolean, bytes: Uint8Array, start: number): void {
  writeFrameHead(out, 8, PING, ack ? ACK : 0, 0);
  out.copy(bytes, start, start + 8);
}

export function writeGoaway(out: ByteWriter, last: number, code: number, debug: string): void {
  writeFrameHead(out, 8 + debug.length, GOAWAY, 0, 0);
  out.u32(last);
  out.u32(code);
  out.ascii(debug);
}
