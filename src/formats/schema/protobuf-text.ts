// A message of protobuf whose type is not known, as text: its fields by number. What a length-delimited field is, text, a message or
// bytes, is guessed from what it holds.
import { isUtf8 } from 'node:buffer';

/** Messages within each other that are looked into. */
const DEPTH_MOST = 4;
/** Bytes of a field that are shown in hexadecimal. */
const HEX_MOST = 24;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** `1: "a" 2: 7 3: {1: true}`, or null when these bytes are no message. */
export function protobufText(bytes: Uint8Array, start: number, end: number): string | null {
  return new Text(bytes).message(start, end, DEPTH_MOST);
}

class Text {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  message(start: number, end: number, depth: number): string | null {
    const fields: string[] = [];
    for (this.at = start; this.at < end; ) {
      const tag = this.varint(end);
      const number = tag === null ? 0n : tag >> 3n;
      if (tag === null || number < 1n || number > 0x1fff_ffffn) return null;
      const value = this.value(Number(tag & 7n), end, depth);
      if (value === null) return null;
      fields.push(`${number}: ${value}`);
    }
    return fields.join(' ');
  }

  private value(type: number, end: number, depth: number): string | null {
    switch (type) {
      case VARINT:
        return this.varint(end)?.toString() ?? null;
      case FIXED64:
        return this.fixed(8, end, (at) => this.view.getFloat64(at, true));
      case FIXED32:
        return this.fixed(4, end, (at) => this.view.getFloat32(at, true));
      case BYTES:
        return this.delimited(end, depth);
      default:
        return null;
    }
  }

  private varint(end: number): bigint | null {
    let value = 0n;
    for (let shift = 0n; shift < 70n && this.at < end; shift += 7n) {
      const byte = this.bytes[this.at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return null;
  }

  private fixed(size: number, end: number, read: (at: number) => number): string | null {
    const { at } = this;
    if (at + size > end) return null;
    this.at += size;
    return String(read(at));
  }

  private delimited(end: number, depth: number): string | null {
    const length = this.varint(end);
    if (length === null || length > BigInt(end - this.at)) return null;
    const from = this.at;
    const to = from + Number(length);
    const own = this.bytes.subarray(from, to);
    const text = isUtf8(own) ? Buffer.from(own).toString() : null;
    let shown: string | null = text !== null && isPrintable(text) ? JSON.stringify(text) : null;
    if (shown === null && depth > 0) {
      const inner = this.message(from, to, depth - 1);
      if (inner !== null) shown = `{${inner}}`;
    }
    this.at = to;
    return shown ?? Buffer.from(own.subarray(0, HEX_MOST)).toString('hex') + (own.length > HEX_MOST ? '…' : '');
  }
}

function isPrintable(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 0x20 && code !== 9 && code !== 10 && code !== 13) || (code >= 0x7f && code < 0xa0)) return false;
  }
  return true;
}
