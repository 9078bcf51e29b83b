// What gRPC, gRPC-Web and Connect have in common on the wire: messages with a flag and a length before them, timeouts, words
// of a status, metadata. It knows no call and no types.
import { KeptBytes } from '../../bytes/kept.ts';
import { BAD, u32 } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Fields } from '../../core/fields.ts';
import { faults } from './faults.ts';

// ---- envelopes ---------------------------------------------------------------------------------------------------------

/** flags u8, length u32, message (PROTOCOL-HTTP2.md §Requests: Length-Prefixed-Message) */
export const PREFIX = 5;
export const COMPRESSED = 0x01;
/** The last envelope of a Connect stream: its end as JSON (Connect Protocol §Streaming Response). */
export const CONNECT_END = 0x02;
/** The last of gRPC-Web: trailers as text (PROTOCOL-WEB.md). */
export const WEB_TRAILERS = 0x80;

export interface EnvelopeSink {
  /** Whether another may be taken now. */
  readonly takes: boolean;
  /** One, whole; its bytes are borrowed. */
  envelope(flags: number, bytes: Uint8Array, start: number, end: number): void;
}

/** Takes envelopes out of a stream of bytes, however it is cut; only what is not whole is kept. */
export class EnvelopeReader {
  fault: Fault = faults.tooLong;
  private readonly kept = new KeptBytes();
  private readonly bytesMax: number;
  private readonly tooLong: Fault;

  constructor(bytesMax: number, tooLong: Fault = faults.tooLong) {
    this.bytesMax = bytesMax;
    this.tooLong = tooLong;
  }

  /** Whether what came so far is whole. */
  get isBetween(): boolean {
    return this.kept.length === 0;
  }

  /** Answers the first index not consumed, which is before `end` where the sink takes no more; or BAD. */
  receive(input: Uint8Array, start: number, end: number, sink: EnvelopeSink): number {
    const { kept } = this;
    let at = start;
    while (at < end && sink.takes) {
      if (kept.length > 0) {
        at = this.complete(input, at, end, sink);
        if (at < 0) return at;
        continue;
      }
      if (end - at < PREFIX) {
        kept.append(input, at, end);
        return end;
      }
      const size = u32(input, at + 1);
      if (size > this.bytesMax) return this.bad();
      const next = at + PREFIX + size;
      if (next > end) {
        kept.append(input, at, end);
        return end;
      }
      sink.envelope(input[at]!, input, at + PREFIX, next);
      at = next;
    }
    return at;
  }

  /** Adds to what is kept what belongs to it. */
  private complete(input: Uint8Array, at: number, end: number, sink: EnvelopeSink): number {
    const { kept } = this;
    if (kept.length < PREFIX) {
      const more = Math.min(end - at, PREFIX - kept.length);
      kept.append(input, at, at + more);
      at += more;
      if (kept.length < PREFIX) return at;
      if (u32(kept.bytes, kept.start + 1) > this.bytesMax) return this.bad();
    }
    const whole = PREFIX + u32(kept.bytes, kept.start + 1);
    const more = Math.min(end - at, whole - kept.length);
    if (more > 0) kept.append(input, at, at + more);
    if (kept.length === whole) {
      const { bytes, start } = kept;
      sink.envelope(bytes[start]!, bytes, start + PREFIX, start + whole);
      kept.clear();
    }
    return at + more;
  }

  private bad(): typeof BAD {
    this.fault = this.tooLong;
    this.clear();
    return BAD;
  }

  clear(): void {
    this.kept.clear();
  }
}

export function writePrefix(bytes: Uint8Array, at: number, flags: number, size: number): void {
  bytes[at] = flags;
  bytes[at + 1] = size >>> 24;
  bytes[at + 2] = size >>> 16;
  bytes[at + 3] = size >>> 8;
  bytes[at + 4] = size;
}

// ---- timeouts ----------------------------------------------------------------------------------------------------------

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 };

/** `grpc-timeout` in ms: at most eight digits and a unit (PROTOCOL-HTTP2.md §Requests: Timeout); NaN for anything else. */
export function timeoutMs(text: string): number {
  const unit = UNIT_MS[text.at(-1) ?? ''];
  if (unit === undefined || !/^\d{1,8}.$/.test(text)) return Number.NaN;
  return Number(text.slice(0, -1)) * unit;
}

/** The same, written: as exactly as eight digits allow. */
export function timeoutText(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  if (whole < 100_000_000) return `${whole}m`;
  const seconds = Math.ceil(whole / 1_000);
  return seconds < 100_000_000 ? `${seconds}S` : `${Math.min(99_999_999, Math.ceil(seconds / 3_600))}H`;
}

/** `connect-timeout-ms`: at most ten digits (Connect Protocol §Unary Request); NaN for anything else. */
export function connectTimeoutMs(text: string): number {
  return /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
}

// ---- words -------------------------------------------------------------------------------------------------------------

/** `grpc-message`: percent-encoded where it is not printable ASCII (PROTOCOL-HTTP2.md §Responses: Status-Message). */
export function encodeWords(text: string): string {
  if (/^[ -$&-~]*$/.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text))
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return encoded;
}

/** What is no escape is taken as it is: words of an error must not be lost (PROTOCOL-HTTP2.md §Responses). */
export function decodeWords(text: string): string {
  if (!text.includes('%')) return text;
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const hex = text[at] === '%' ? text.slice(at + 1, at + 3) : '';
    if (/^[\da-fA-F]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      at += 2;
    } else bytes.push(text.charCodeAt(at) & 0xff);
  }
  return Buffer.from(bytes).toString('utf8');
}

// ---- metadata ----------------------------------------------------------------------------------------------------------

/** Fields that are the protocols' own or the connection's, and secrets, which are not the handler's. */
const OWN = new Set([
  ...['content-type', 'content-length', 'content-encoding', 'accept-encoding', 'accept', 'te', 'trailer', 'host'],
  ...['connection', 'transfer-encoding', 'date', 'server', 'authorization', 'cookie', 'expect', 'upgrade'],
  ...['proxy-authorization', 'connect-protocol-version', 'connect-timeout-ms', 'connect-content-encoding'],
  ...['connect-accept-encoding', 'x-grpc-web', 'alt-svc', 'vary', 'set-cookie'],
]);

function isOwn(name: string): boolean {
  return OWN.has(name) || name.startsWith('grpc-') || name.startsWith('access-control-') || name.startsWith('sec-');
}

/** What of a message's fields is metadata; values of `-bin` one by one (PROTOCOL-HTTP2.md §Requests: Custom-Metadata). */
export function metadataOf({ list }: Fields, prefix = ''): string[] {
  const found: string[] = [];
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at]!;
    if (!name.startsWith(prefix)) continue;
    const bare = prefix === '' ? name : name.slice(prefix.length);
    if (isOwn(bare)) continue;
    const value = list[at + 1]!;
    if (bare.endsWith('-bin') && value.includes(',')) for (const one of value.split(',')) found.push(bare, one.trim());
    else found.push(bare, value);
  }
  return found;
}

/** Adds metadata as fields; what cannot be sent, or is not a handler's to say, is left out and answered by its name. */
export function addMetadata(fields: Fields, metadata: readonly string[], prefix = ''): string[] {
  const left: string[] = [];
  for (let at = 0; at + 1 < metadata.length; at += 2) {
    const name = metadata[at]!.toLowerCase();
    const value = metadata[at + 1]!;
    if (!/^[\da-z_.-]+$/.test(name) || isOwn(name) || !/^[ -~]*$/.test(value)) left.push(name);
    else fields.append(prefix + name, name.endsWith('-bin') ? value.replace(/=+$/, '') : value);
  }
  return left;
}

/** Bytes of base64 with or without its padding; null when it is none. */
export function fromBase64(text: string): Buffer | null {
  if (!/^[\w+/-]*={0,2}$/.test(text)) return null;
  return Buffer.from(text, 'base64');
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64').replace(/=+$/, '');
}
