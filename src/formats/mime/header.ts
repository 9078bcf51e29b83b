// Reads the header of a message or of one of its parts by offset, field by field (RFC 5322 §2.2). What is no field is passed
// over: mail is read as it came.
import { isUtf8, latin1, utf8 } from '../../bytes/reader.ts';

const CR = 0x0d;
const LF = 0x0a;
const SP = 0x20;
const TAB = 0x09;
const COLON = 0x3a;

/** Walks the fields of one header. Its positions are in the bytes that were given. */
export class HeaderReader {
  /** Of the field's name. */
  start = 0;
  nameEnd = 0;
  /** Of the value, behind the colon and without the line end that closes it; it may be folded. */
  valueStart = 0;
  valueEnd = 0;
  /** Behind the field. */
  end = 0;
  private readonly bytes: Uint8Array;
  private at: number;
  private readonly stop: number;

  /** @param start of the first field @param stop where nothing more is read */
  constructor(bytes: Uint8Array, start: number, stop: number) {
    this.bytes = bytes;
    this.at = start;
    this.stop = stop;
  }

  /** Where the body begins, once `next` has answered false: behind the empty line. */
  get body(): number {
    return this.at;
  }

  /** Whether the header was closed by an empty line. */
  isClosed = false;

  /** Goes to the next field. False at the end of the header. */
  next(): boolean {
    const { bytes, stop } = this;
    while (this.at < stop) {
      const from = this.at;
      let line = lineEnd(bytes, from, stop);
      const bare = textEnd(bytes, from, line);
      if (bare === from) {
        this.at = line;
        this.isClosed = true;
        return false;
      }
      const colon = nameEndOf(bytes, from, bare);
      let last = bare;
      while (line < stop && (bytes[line] === SP || bytes[line] === TAB)) {
        const next = lineEnd(bytes, line, stop);
        last = textEnd(bytes, line, next);
        line = next;
      }
      this.at = line;
      if (colon < 0) continue;
      this.start = from;
      this.nameEnd = trimmedEnd(bytes, from, colon);
      this.valueStart = colon + 1;
      this.valueEnd = Math.max(last, colon + 1);
      this.end = line;
      return true;
    }
    return false;
  }

  /** Whether the field has this name, given in lower case. */
  is(name: string): boolean {
    const { bytes, start } = this;
    if (this.nameEnd - start !== name.length) return false;
    for (let index = 0; index < name.length; index++) {
      const byte = bytes[start + index]!;
      if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== name.charCodeAt(index)) return false;
    }
    return true;
  }

  /** The name in lower case. */
  get name(): string {
    return latin1(this.bytes, this.start, this.nameEnd).toLowerCase();
  }

  /** The value on one line, without blanks at its ends (RFC 5322 §2.2.3). */
  get value(): string {
    return unfolded(this.bytes, this.valueStart, this.valueEnd);
  }
}

/** Behind the line feed of the line that begins at `at`, or `stop`. */
export function lineEnd(bytes: Uint8Array, at: number, stop: number): number {
  const found = bytes.indexOf(LF, at);
  return found < 0 || found >= stop ? stop : found + 1;
}

/** Where the text of a line ends that runs up to `end`. */
function textEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  if (at > start && bytes[at - 1] === LF) at--;
  if (at > start && bytes[at - 1] === CR) at--;
  return at;
}

/** The colon behind a name, or -1: names are printable ASCII (RFC 5322 §3.6.8), blanks before the colon obsolete (§4.5). */
function nameEndOf(bytes: Uint8Array, start: number, stop: number): number {
  for (let at = start; at < stop; at++) {
    const byte = bytes[at]!;
    if (byte === COLON) return at === start ? -1 : at;
    if (byte === SP || byte === TAB) {
      while (at < stop && (bytes[at] === SP || bytes[at] === TAB)) at++;
      return at < stop && at > start && bytes[at] === COLON && bytes[start] !== SP && bytes[start] !== TAB ? at : -1;
    }
    if (byte < 0x21 || byte > 0x7e) return -1;
  }
  return -1;
}

function trimmedEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && (bytes[at - 1] === SP || bytes[at - 1] === TAB)) at--;
  return at;
}

/** Text without its folds: UTF-8 where it is that (RFC 6532 §3.2), else one character a byte. */
export function unfolded(bytes: Uint8Array, start: number, end: number): string {
  const text = isUtf8(bytes, start, end) ? utf8(bytes, start, end) : latin1(bytes, start, end);
  return (/[\r\n\0]/.test(text) ? text.replace(/[\r\n\0]/g, '') : text).replace(/^[ \t]+|[ \t]+$/g, '');
}

/** Behind the empty line that ends a header; all of it where there is none. */
export function headerEnd(bytes: Uint8Array): number {
  const reader = new HeaderReader(bytes, 0, bytes.length);
  while (reader.next());
  return reader.body;
}

/** The value of the first field of this name (in lower case), or null. */
export function fieldOf(bytes: Uint8Array, start: number, stop: number, name: string): string | null {
  const reader = new HeaderReader(bytes, start, stop);
  while (reader.next()) if (reader.is(name)) return reader.value;
  return null;
}
