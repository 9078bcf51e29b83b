// Reads numbers and text out of borrowed bytes by offset. Codecs answer the next index, MORE or BAD, so that "need more"
// and "malformed" never share a channel; nothing here throws for what a peer sent.

/** A codec needs more bytes than were offered. */
export const MORE = -1;

/** The bytes cannot be right; the codec has set its `fault`. */
export const BAD = -2;

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** A 64-bit number as a JavaScript number; exact up to 2^53. */
export function u64(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) * 0x1_0000_0000 + u32(bytes, at + 4);
}

/** A view of `bytes[start..end)` as a Buffer, without copying. */
export function view(bytes: Uint8Array, start: number, end: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
}

/** A copy of `bytes[start..end)` that may be kept. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}

/** Text of `bytes[start..end)`; the caller has checked that it is UTF-8 where that matters. */
export function utf8(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= 24) {
    // Short ASCII text, which is most topic names and keywords: cheaper than a call into the engine.
    let text = '';
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!;
      if (byte > 0x7f) return bufferText(bytes, start, end);
      text += String.fromCharCode(byte);
    }
    return text;
  }
  return bufferText(bytes, start, end);
}

/** Text of `bytes[start..end)`, one character a byte. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return bytes instanceof Buffer ? bytes.toString('latin1', start, end) : view(bytes, start, end).toString('latin1');
}

function bufferText(bytes: Uint8Array, start: number, end: number): string {
  return bytes instanceof Buffer ? bytes.toString('utf8', start, end) : view(bytes, start, end).toString('utf8');
}

/**
 * Whether `bytes[start..end)` is well-formed UTF-8: no overlong form, no surrogate, nothing above U+10FFFF
 * (RFC 3629 §4).
 */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const first = bytes[at]!;
    if (first < 0x80) {
      at++;
      continue;
    }
    if (first < 0xc2 || first > 0xf4) return false;
    const size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (at + size > end) return false;
    const second = bytes[at + 1]!;
    // The second byte alone tells overlong forms, surrogates and the far end (the table of RFC 3629 §4).
    const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > most) return false;
    for (let index = 2; index < size; index++) if ((bytes[at + index]! & 0xc0) !== 0x80) return false;
    at += size;
  }
  return true;
}
