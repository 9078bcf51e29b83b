// The Capsule Protocol (RFC 9297 §3.2): what a WebTransport session says on the stream that opened it, out of DATA frames that
// may cut it anywhere. Capsules of kinds that mean nothing are let pass without being kept.
import { KeptBytes } from '../../bytes/kept.ts';
import { u32, utf8 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import { readVarint, varint, varintSize, writeVarint } from './codec.ts';

/** RFC 9297 §3.5. */
export const DATAGRAM = 0x0;
/** draft-ietf-webtrans-http3 §6, §4.7. */
export const CLOSE_SESSION = 0x2843;
export const DRAIN_SESSION = 0x78ae;

/** The code, and at most so many bytes of reason (draft-ietf-webtrans-http3 §6). */
const CLOSE_BYTES_MAX = 4 + 1_024;
/** A longer datagram is dropped: none that long could have come by itself. */
const DATAGRAM_BYTES_MAX = 16_384;

export interface CapsuleEvents {
  capsuleDatagram(bytes: Uint8Array, start: number, end: number): void;
  capsuleClose(code: number, reason: string): void;
  capsuleDrain(): void;
}

export class CapsuleReader {
  private readonly events: CapsuleEvents;
  private readonly kept = new KeptBytes();
  /** What is left of a capsule that means nothing. */
  private skip = 0;

  constructor(events: CapsuleEvents) {
    this.events = events;
  }

  /** Takes all of it; false when a capsule is not what it says. */
  receive(input: Uint8Array, start: number, end: number): boolean {
    let at = start;
    if (this.skip > 0) {
      const passed = Math.min(this.skip, end - at);
      this.skip -= passed;
      at += passed;
    }
    if (at === end) return true;
    const { kept } = this;
    kept.append(input, at, end);
    while (kept.length > 0) {
      const next = this.capsule(kept.bytes, kept.start, kept.end);
      if (next === WRONG) return false;
      if (next === UNFINISHED) break;
      kept.consume(next);
    }
    return true;
  }

  /** Whether one is cut short. */
  get isCut(): boolean {
    return this.kept.length > 0 || this.skip > 0;
  }

  clear(): void {
    this.kept.clear();
  }

  private capsule(bytes: Uint8Array, start: number, end: number): number {
    let at = readVarint(bytes, start, end);
    if (at < 0) return UNFINISHED;
    const type = varint;
    at = readVarint(bytes, at, end);
    if (at < 0) return UNFINISHED;
    const length = varint;
    if (length > mostOf(type)) {
      if (type === CLOSE_SESSION || type === DRAIN_SESSION) return WRONG;
      const passed = Math.min(length, end - at);
      this.skip = length - passed;
      return at + passed;
    }
    if (end - at < length) return UNFINISHED;
    const to = at + length;
    if (type === DATAGRAM) this.events.capsuleDatagram(bytes, at, to);
    else if (type === DRAIN_SESSION) this.events.capsuleDrain();
    else if (length < 4) return WRONG;
    else {
      this.events.capsuleClose(u32(bytes, at), utf8(bytes, at + 4, to));
    }
    return to;
  }
}

const UNFINISHED = -1;
const WRONG = -2;

/** The longest of its kind that is read; -1 for those that mean nothing. */
function mostOf(type: number): number {
  if (type === DATAGRAM) return DATAGRAM_BYTES_MAX;
  if (type === CLOSE_SESSION) return CLOSE_BYTES_MAX;
  return type === DRAIN_SESSION ? 0 : -1;
}

/** @param reason at most 1,024 bytes in UTF-8 */
export function writeClose(out: ByteWriter, code: number, reason: string): void {
  const text = Buffer.from(reason);
  writeVarint(out, CLOSE_SESSION);
  writeVarint(out, 4 + text.length);
  out.u32(code);
  out.copy(text, 0, text.length);
}

export function closeSize(reason: string): number {
  const length = 4 + Buffer.byteLength(reason);
  return varintSize(CLOSE_SESSION) + varintSize(length) + length;
}

export const DRAIN_SIZE = varintSize(DRAIN_SESSION) + 1;

export function writeDrain(out: ByteWriter): void {
  writeVarint(out, DRAIN_SESSION);
  writeVarint(out, 0);
}
