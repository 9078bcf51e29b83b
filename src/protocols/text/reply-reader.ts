// Reads replies with three digits, of one line and of several: for clients and for the inspector.
import { BAD, MORE, utf8 } from '../../bytes/reader.ts';
import { LINE, LineReader } from './line-reader.ts';

export class ReplyReader {
  code = 0;
  /** Of all lines; of lines within, without the code if they have it. */
  readonly lines: string[] = [];
  private readonly reader: LineReader;
  private readonly bytesMax: number;
  private bytes = 0;
  private isWithin = false;

  /** @param bytesMax of all lines of a reply together */
  constructor(lineBytesMax: number, bytesMax: number) {
    this.reader = new LineReader(lineBytesMax);
    this.bytesMax = bytesMax;
  }

  /** The text of a reply of one line; of several, that of the last. */
  get text(): string {
    return this.lines.at(-1) ?? '';
  }

  /**
   * Reads one line; answers the index behind it, MORE, or BAD for what is no reply. `isWhole` tells whether the reply is
   * complete with it.
   */
  read(input: Uint8Array, start: number, end: number): number {
    const next = this.reader.read(input, start, end);
    if (next === MORE) return MORE;
    if (this.reader.kind !== LINE) return BAD;
    const { start: from, stop } = this.reader;
    this.bytes = (this.isWithin ? this.bytes : 0) + stop - from;
    if (this.bytes > this.bytesMax) return BAD;
    return this.take(input, from, stop) ? next : BAD;
  }

  get isWhole(): boolean {
    return !this.isWithin;
  }

  private take(input: Uint8Array, start: number, stop: number): boolean {
    const code = codeAt(input, start, stop);
    const sign = stop > start + 3 ? input[start + 3] : 0x20;
    if (!this.isWithin) {
      this.lines.length = 0;
      if (code < 0 || (sign !== 0x20 && sign !== 0x2d)) return false;
      this.code = code;
      this.isWithin = sign === 0x2d;
    } else if (code !== this.code || (sign !== 0x20 && sign !== 0x2d)) {
      this.lines.push(utf8(input, start, stop));
      return true;
    } else if (sign === 0x20) this.isWithin = false;
    this.lines.push(utf8(input, Math.min(stop, start + 4), stop));
    return true;
  }
}

/** Three digits, the first of them 1 to 5; else -1. */
function codeAt(input: Uint8Array, start: number, stop: number): number {
  if (stop - start < 3) return -1;
  let code = 0;
  for (let at = start; at < start + 3; at++) {
    const digit = input[at]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    code = code * 10 + digit;
  }
  return code >= 100 && code < 600 ? code : -1;
}
