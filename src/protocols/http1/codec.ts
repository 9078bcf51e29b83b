// HTTP/1.1's wire: heads and chunked bodies out of borrowed bytes (RFC 9112 §2-§7). It knows no connection and no
// exchange, and is the same for requests and responses.
//
//   request  = method SP target SP "HTTP/1." digit CRLF *( name ":" OWS value OWS CRLF ) CRLF
//   response = "HTTP/1." digit SP 3digit SP [ reason ] CRLF *( field CRLF ) CRLF
//   chunk    = 1*HEXDIG [ extensions ] CRLF data CRLF; the last has size 0 and is followed by *( field CRLF ) CRLF
import { BAD, isUtf8, latin1, MORE, utf8 } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import { FIELD_VALUE, HEX, TARGET, TOKEN } from '../http/chars.ts';
import { faults } from './faults.ts';
import { NAMES } from './field-names.ts';

const HT = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;
const COLON = 0x3a;
const SEMICOLON = 0x3b;

/** How many empty lines before a request line are passed over; some old clients send one behind a body (§2.2). */
const EMPTY_LINES_MAX = 4;

export interface HeadBounds {
  readonly requestLineBytesMax: number;
  readonly headBytesMax: number;
  readonly fieldsMax: number;
}

export type HeadKind = 'request' | 'response' | 'trailers';

/** Reads one head after the other. What it read stays valid until `read` is called for the next. */
export class HeadReader {
  fault: Fault = faults.requestLine;
  method = '';
  target = '';
  /** 10 or 11. A minor version above 1 is read as 11 (RFC 9110 §2.5). */
  version = 11;
  status = 0;
  reason = '';
  fields = new Fields();

  private readonly kind: HeadKind;
  private readonly bounds: HeadBounds;
  /** Where the current line begins, and how far it was searched for its end; relative to the start of the head. */
  private line = 0;
  private searched = 0;
  private emptyLines = 0;
  private started = false;
  private startLineEnd = 0;

  constructor(kind: HeadKind, bounds: HeadBounds) {
    this.kind = kind;
    this.bounds = bounds;
  }

  /** A part of a head has been seen. */
  get isWithin(): boolean {
    return this.started || this.searched > 0;
  }

  /**
   * Reads from `input[start..end)`; answers the index behind the head's empty line, MORE, or BAD. After MORE it must be
   * offered the same bytes again with more behind them.
   */
  read(input: Uint8Array, start: number, end: number): number {
    if (this.line === 0 && this.searched === 0) this.begin();
    for (;;) {
      const from = start + this.line;
      let at = start + this.searched;
      if (at === from && at < end && this.isForeign(input[at]!)) return this.bad(faults.requestLine);
      while (at < end && input[at] !== LF) at++;
      if (at === end) {
        this.searched = at - start;
        return this.unfinished(from, end, start);
      }
      if (at === from || input[at - 1] !== CR) return this.bad(faults.lineEnd);
      const lineEnd = at - 1;
      this.line = at + 1 - start;
      this.searched = this.line;
      if (lineEnd === from) {
        if (this.started) return this.done(start);
        if (++this.emptyLines > EMPTY_LINES_MAX) return this.bad(faults.requestLine);
        continue;
      }
      const fault = this.started ? this.readField(input, from, lineEnd) : this.readStart(input, from, lineEnd);
      if (fault !== null) return this.bad(fault);
      if (this.line - this.startLineEnd > this.bounds.headBytesMax) return this.bad(this.tooLong());
    }
  }

  private begin(): void {
    this.fields = new Fields();
    this.emptyLines = 0;
    this.started = this.kind === 'trailers';
    this.startLineEnd = 0;
  }

  private done(start: number): number {
    const next = start + this.line;
    this.line = 0;
    this.searched = 0;
    this.started = false;
    return next;
  }

  private bad(fault: Fault): number {
    this.fault = fault;
    return BAD;
  }

  /** What begins like nothing that is spoken here is refused before its line is complete. */
  private isForeign(first: number): boolean {
    return this.kind === 'request' && !this.started && first !== CR && TOKEN[first] === 0;
  }

  /** The line is not there whole: whether it may still become one. */
  private unfinished(from: number, end: number, start: number): number {
    if (!this.started) {
      if (end - from > this.bounds.requestLineBytesMax) return this.bad(this.startTooLong());
    } else if (end - start - this.startLineEnd > this.bounds.headBytesMax) return this.bad(this.tooLong());
    return MORE;
  }

  private tooLong(): Fault {
    return this.kind === 'trailers' ? faults.trailersTooLong : faults.headTooLong;
  }

  private startTooLong(): Fault {
    return this.kind === 'request' ? faults.targetTooLong : faults.statusLine;
  }

  private readStart(input: Uint8Array, from: number, lineEnd: number): Fault | null {
    if (lineEnd - from > this.bounds.requestLineBytesMax) return this.startTooLong();
    const fault =
      this.kind === 'request' ? this.readRequestLine(input, from, lineEnd) : this.readStatusLine(input, from, lineEnd);
    this.started = true;
    this.startLineEnd = this.line;
    return fault;
  }

  private readRequestLine(input: Uint8Array, from: number, lineEnd: number): Fault | null {
    let at = from;
    while (at < lineEnd && TOKEN[input[at]!] === 1) at++;
    if (at === from || input[at] !== SP) return faults.requestLine;
    this.method = methodOf(input, from, at);
    const targetStart = ++at;
    let wide = false;
    while (at < lineEnd && TARGET[input[at]!] === 1) if (input[at++]! > 0x7f) wide = true;
    if (at === targetStart || input[at] !== SP) return faults.requestLine;
    if (wide && !isUtf8(input, targetStart, at)) return faults.target;
    this.target = wide ? utf8(input, targetStart, at) : latin1(input, targetStart, at);
    return this.readVersion(input, at + 1, lineEnd, faults.requestLine);
  }

  /** `HTTP/1.1` in these very letters (RFC 9112 §2.3). */
  private readVersion(input: Uint8Array, at: number, lineEnd: number, otherwise: Fault): Fault | null {
    if (lineEnd - at !== 8) return otherwise;
    for (let index = 0; index < 5; index++) if (input[at + index] !== VERSION[index]) return otherwise;
    const major = input[at + 5]! - 0x30;
    const minor = input[at + 7]! - 0x30;
    if (major < 0 || major > 9 || input[at + 6] !== 0x2e || minor < 0 || minor > 9) return otherwise;
    if (major !== 1) return faults.version;
    this.version = minor === 0 ? 10 : 11;
    return null;
  }

  private readStatusLine(input: Uint8Array, from: number, lineEnd: number): Fault | null {
    const fault = this.readVersion(input, from, Math.min(lineEnd, from + 8), faults.statusLine);
    if (fault !== null) return fault;
    const at = from + 9;
    if (input[at - 1] !== SP || lineEnd < at + 3) return faults.statusLine;
    let status = 0;
    for (let index = at; index < at + 3; index++) {
      const digit = input[index]! - 0x30;
      if (digit < 0 || digit > 9) return faults.statusLine;
      status = status * 10 + digit;
    }
    // The space before a reason that is not there is left out by some servers.
    if (status < 100 || (lineEnd > at + 3 && input[at + 3] !== SP)) return faults.statusLine;
    for (let index = at + 4; index < lineEnd; index++) if (FIELD_VALUE[input[index]!] === 0) return faults.statusLine;
    this.status = status;
    this.reason = lineEnd > at + 4 ? latin1(input, at + 4, lineEnd) : '';
    return null;
  }

  private readField(input: Uint8Array, from: number, lineEnd: number): Fault | null {
    const { list } = this.fields;
    let at = from;
    const first = input[from]!;
    if (first === SP || first === HT) return this.fold(input, from, lineEnd);
    let hash = 0;
    while (at < lineEnd) {
      const byte = input[at]!;
      if (TOKEN[byte] === 0) break;
      // Letters in lower case; nothing else of a token changes the name that is found, since it is compared.
      hash = (Math.imul(hash, 31) + (byte | 0x20)) | 0;
      at++;
    }
    if (at === from || input[at] !== COLON) return faults.fieldName;
    if (list.length >= this.bounds.fieldsMax * 2) return faults.fieldsTooMany;
    const name = NAMES.get(hash);
    list.push(name !== undefined && isName(input, from, at, name) ? name : latin1(input, from, at).toLowerCase());
    const value = this.readValue(input, at + 1, lineEnd);
    if (value === null) return faults.fieldValue;
    list.push(value);
    return null;
  }

  /** The value without the white space around it, or null when it holds what it may not. */
  private readValue(input: Uint8Array, from: number, lineEnd: number): string | null {
    let start = from;
    let end = lineEnd;
    while (start < end && (input[start] === SP || input[start] === HT)) start++;
    while (end > start && (input[end - 1] === SP || input[end - 1] === HT)) end--;
    let wide = false;
    for (let at = start; at < end; at++) {
      const byte = input[at]!;
      if (FIELD_VALUE[byte] === 0) return null;
      if (byte > 0x7f) wide = true;
    }
    // The standard gives bytes above 0x7F no meaning; today's clients mean UTF-8, yesterday's ISO 8859-1.
    return wide && isUtf8(input, start, end) ? utf8(input, start, end) : latin1(input, start, end);
  }

  /** A line that goes on: refused in a request, replaced by a space in a response (§5.2). */
  private fold(input: Uint8Array, from: number, lineEnd: number): Fault | null {
    const { list } = this.fields;
    if (list.length === 0) return faults.leadingSpace;
    if (this.kind === 'request') return faults.fold;
    const value = this.readValue(input, from, lineEnd);
    if (value === null) return faults.fieldValue;
    list[list.length - 1] = `${list.at(-1)} ${value}`.trim();
    return null;
  }
}

const VERSION = [0x48, 0x54, 0x54, 0x50, 0x2f];

/** Whether the bytes are a name, in whichever case. */
function isName(input: Uint8Array, from: number, to: number, name: string): boolean {
  if (to - from !== name.length) return false;
  for (let at = from; at < to; at++) {
    const byte = input[at]!;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== name.charCodeAt(at - from)) return false;
  }
  return true;
}

/** Methods are told apart by case (RFC 9110 §9.1). The two that are most of them without a string being made. */
function methodOf(input: Uint8Array, from: number, to: number): string {
  if (to - from === 3 && input[from] === 0x47 && input[from + 1] === 0x45 && input[from + 2] === 0x54) return 'GET';
  if (to - from === 4 && input[from] === 0x50 && input[from + 1] === 0x4f && input[from + 2] === 0x53) {
    if (input[from + 3] === 0x54) return 'POST';
  }
  return latin1(input, from, to);
}

/** What a step of a `ChunkReader` found. */
export const NOTHING = 0;
/** Body bytes: `input[dataStart..next)`. */
export const DATA = 1;
/** The last chunk and its trailer section are read. */
export const COMPLETE = 2;

const SIZE = 0;
/** White space before the semicolon of an extension. */
const SPACE = 1;
const EXTENSION = 2;
const SIZE_LF = 3;
const BODY = 4;
const BODY_CR = 5;
const BODY_LF = 6;
const TRAILERS = 7;

export interface ChunkBounds extends HeadBounds {
  readonly chunkExtensionBytesMax: number;
}

/** Reads one chunked body (§7.1). */
export class ChunkReader {
  fault: Fault = faults.chunkSize;
  found: typeof NOTHING | typeof DATA | typeof COMPLETE = NOTHING;
  dataStart = 0;
  private readonly head: HeadReader;
  private readonly extensionMax: number;
  private state = SIZE;
  private digits = 0;
  private left = 0;
  private extension = 0;

  constructor(bounds: ChunkBounds) {
    this.head = new HeadReader('trailers', bounds);
    this.extensionMax = bounds.chunkExtensionBytesMax;
  }

  /** The trailer fields, once it is complete. */
  get trailers(): Fields {
    return this.head.fields;
  }

  begin(): void {
    this.state = SIZE;
    this.digits = 0;
    this.left = 0;
  }

  /**
   * Reads up to the next piece of data, or as far as the bytes reach: answers the next index and says in `found` what
   * there was; BAD. Bytes of an unfinished trailer section are not consumed.
   */
  read(input: Uint8Array, start: number, end: number): number {
    this.found = NOTHING;
    let at = start;
    while (at < end) {
      if (this.state === BODY) return this.readData(at, end);
      if (this.state === TRAILERS) return this.readTrailers(input, at, end);
      const fault = this.readByte(input[at]!);
      if (fault !== null) {
        this.fault = fault;
        return BAD;
      }
      at++;
    }
    return at;
  }

  /** `read` gave data of which only the part before `to` was taken. */
  gaveBack(bytes: number): void {
    this.left += bytes;
    this.state = BODY;
  }

  private readData(at: number, end: number): number {
    this.found = DATA;
    this.dataStart = at;
    const next = Math.min(end, at + this.left);
    this.left -= next - at;
    if (this.left === 0) this.state = BODY_CR;
    return next;
  }

  private readTrailers(input: Uint8Array, at: number, end: number): number {
    const next = this.head.read(input, at, end);
    if (next === MORE) return at;
    if (next === BAD) {
      this.fault = this.head.fault;
      return BAD;
    }
    this.found = COMPLETE;
    this.state = SIZE;
    return next;
  }

  /** One byte of what stands around the data. */
  private readByte(byte: number): Fault | null {
    switch (this.state) {
      case SIZE:
        return this.readSize(byte);
      case SPACE:
        if (byte === SEMICOLON) this.state = EXTENSION;
        else if ((byte !== SP && byte !== HT) || ++this.extension > this.extensionMax) return faults.chunkExtension;
        return null;
      case EXTENSION:
        if (byte === CR) this.state = SIZE_LF;
        // A bare LF would end the line for some recipients and not for others.
        else if (FIELD_VALUE[byte] === 0 || ++this.extension > this.extensionMax) return faults.chunkExtension;
        return null;
      case SIZE_LF:
        if (byte !== LF) return faults.chunkSize;
        this.state = this.left === 0 ? TRAILERS : BODY;
        this.digits = 0;
        return null;
      case BODY_CR:
        if (byte !== CR) return faults.chunkEnd;
        this.state = BODY_LF;
        return null;
      default:
        if (byte !== LF) return faults.chunkEnd;
        this.state = SIZE;
        return null;
    }
  }

  private readSize(byte: number): Fault | null {
    const digit = HEX[byte]!;
    if (digit < 16) {
      // Twelve digits are 256 TiB; more would overflow somewhere on the way.
      if (++this.digits > 12) return faults.chunkSize;
      this.left = this.left * 16 + digit;
      return null;
    }
    if (this.digits === 0) return faults.chunkSize;
    this.extension = 0;
    if (byte === CR) this.state = SIZE_LF;
    else if (byte === SEMICOLON) this.state = EXTENSION;
    else if (byte === SP || byte === HT) this.state = SPACE;
    else return faults.chunkSize;
    return null;
  }
}
