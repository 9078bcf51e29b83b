// Whether text that comes in pieces is UTF-8 (RFC 3629 §4): told at the first byte that cannot be right, though the
// character is not complete.
import { isUtf8 as isWholeUtf8 } from 'node:buffer';

/** From here on the engine's own check is faster than a loop. */
const ENGINE_LEAST = 96;

export class Utf8Check {
  /** Bytes that the character still needs, and the range of the next one. */
  private needed = 0;
  private least = 0x80;
  private most = 0xbf;

  /** Whether the text may end here. */
  get isWhole(): boolean {
    return this.needed === 0;
  }

  reset(): void {
    this.needed = 0;
    this.least = 0x80;
    this.most = 0xbf;
  }

  /** Adds a piece; false when what came so far cannot be the beginning of UTF-8. */
  push(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start;
    while (this.needed > 0 && at < end) if (!this.follow(bytes[at++]!)) return false;
    if (end - at >= ENGINE_LEAST) {
      const cut = lastCharacter(bytes, end);
      if (!isWholeUtf8(bytes.subarray(at, cut))) return false;
      at = cut;
    }
    while (at < end) {
      const byte = bytes[at++]!;
      if (this.needed > 0) {
        if (!this.follow(byte)) return false;
      } else if (byte >= 0x80 && !this.lead(byte)) return false;
    }
    return true;
  }

  private lead(byte: number): boolean {
    if (byte < 0xc2 || byte > 0xf4) return false;
    this.needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    // The second byte alone tells overlong forms, surrogates and the far end (the table of RFC 3629 §4).
    this.least = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.most = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    return true;
  }

  private follow(byte: number): boolean {
    if (byte < this.least || byte > this.most) return false;
    this.least = 0x80;
    this.most = 0xbf;
    this.needed--;
    return true;
  }
}

/** Where the last character begins if it may be cut off, else `end`. */
function lastCharacter(bytes: Uint8Array, end: number): number {
  for (let at = end - 1; at >= end - 3; at--) if (bytes[at]! >= 0xc0) return at;
  return end;
}
