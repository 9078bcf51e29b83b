// DER, as certificates, requests, revocation lists and OCSP are written in it (X.690 §10): what is written, and a bounded
// reader of what others wrote. It knows no certificate.

// Tags (X.690 §8).
export const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const NULL = 0x05;
export const OID = 0x06;
export const ENUMERATED = 0x0a;
export const UTF8_STRING = 0x0c;
export const UTC_TIME = 0x17;
export const GENERALIZED_TIME = 0x18;
export const SEQUENCE = 0x30;
export const SET = 0x31;

/** `[n]` around something primitive, or in its place. */
export const context = (number: number): number => 0x80 | number;
/** `[n]` around something constructed. */
export const contextOf = (number: number): number => 0xa0 | number;

// ---- writing -------------------------------------------------------------------------------------------------------

/** One value: tag, length, content. */
export function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of content) length += part.length;
  const head = [tag];
  if (length < 0x80) head.push(length);
  else {
    const octets: number[] = [];
    for (let left = length; left > 0; left = Math.floor(left / 256)) octets.unshift(left % 256);
    head.push(0x80 | octets.length, ...octets);
  }
  return Buffer.concat([Buffer.from(head), ...content]);
}

export const sequence = (...content: readonly Uint8Array[]): Buffer => der(SEQUENCE, ...content);
/** A SET OF: in the order of the encodings (X.690 §11.6). */
export const setOf = (...content: readonly Uint8Array[]): Buffer => der(SET, ...[...content].sort(Buffer.compare));
export const octets = (...content: readonly Uint8Array[]): Buffer => der(OCTET_STRING, ...content);
export const bits = (content: Uint8Array, unused = 0): Buffer => der(BIT_STRING, Buffer.from([unused]), content);
export const boolean = (value: boolean): Buffer => der(BOOLEAN, Buffer.from([value ? 0xff : 0]));
export const nothing = (): Buffer => der(NULL);
export const utf8 = (text: string): Buffer => der(UTF8_STRING, Buffer.from(text));
/** Text in place of an implicitly tagged IA5String. */
export const ascii = (tag: number, text: string): Buffer => der(tag, Buffer.from(text, 'latin1'));

/** A number, or the magnitude of one that is not negative. */
export function integer(value: number | Uint8Array): Buffer {
  let from = typeof value === 'number' ? Buffer.from(hexOf(value), 'hex') : Buffer.from(value);
  while (from.length > 1 && from[0] === 0) from = from.subarray(1);
  return der(INTEGER, from.length === 0 || from[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), from]) : from);
}

function hexOf(value: number): string {
  const hex = value.toString(16);
  return hex.length % 2 === 0 ? hex : `0${hex}`;
}

export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const content: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const septets = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      septets.unshift(0x80 | (left % 128));
    content.push(...septets);
  }
  return der(OID, Buffer.from(content));
}

/** UTCTime through 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
export function time(wall: number): Buffer {
  return new Date(wall).getUTCFullYear() < 2050
    ? ascii(UTC_TIME, digitsOf(wall).slice(2))
    : ascii(GENERALIZED_TIME, digitsOf(wall));
}

export const generalizedTime = (wall: number): Buffer => ascii(GENERALIZED_TIME, digitsOf(wall));

function digitsOf(wall: number): string {
  return `${new Date(wall).toISOString().slice(0, 19).replace(/[-T:]/g, '')}Z`;
}

/** Bits by their numbers, as KeyUsage has them: without trailing zeros (X.690 §11.2.2). */
export function namedBits(numbers: readonly number[]): Buffer {
  const last = Math.max(...numbers);
  const content = Buffer.alloc((last >> 3) + 1);
  for (const number of numbers) content[number >> 3]! |= 0x80 >> (number & 7);
  return bits(content, 7 - (last & 7));
}

// ---- reading -------------------------------------------------------------------------------------------------------

/** What is read is at most so long, so deep, and has so many values. */
const BYTES_MAX = 1_048_576;
const DEPTH_MAX = 24;
const VALUES_MAX = 65_536;

/** One value that was read. */
export class Der {
  readonly tag: number;
  /** Tag, length and content. */
  readonly whole: Uint8Array;
  readonly content: Uint8Array;
  /** The values inside where it is constructed. */
  readonly parts: readonly Der[];

  constructor(tag: number, whole: Uint8Array, content: Uint8Array, parts: readonly Der[]) {
    this.tag = tag;
    this.whole = whole;
    this.content = content;
    this.parts = parts;
  }

  /** The value at a path of places; null when there is none. */
  at(...path: readonly number[]): Der | null {
    let here: Der | undefined = this;
    for (const place of path) here = here?.parts[place];
    return here ?? null;
  }

  /** The first of the values inside that has this tag. */
  tagged(tag: number): Der | null {
    return this.parts.find((part) => part.tag === tag) ?? null;
  }

  /** An OID in dots; '' when it is none. */
  get oid(): string {
    if (this.tag !== OID || this.content.length === 0) return '';
    const arcs: number[] = [];
    let arc = 0;
    for (const octet of this.content) {
      arc = arc * 128 + (octet & 0x7f);
      if (octet < 0x80) {
        arcs.push(arc);
        arc = 0;
      }
    }
    const head = arcs[0] ?? 0;
    const first = Math.min(2, Math.floor(head / 40));
    return [first, head - first * 40, ...arcs.slice(1)].join('.');
  }

  /** A small INTEGER; NaN when it is none. */
  get number(): number {
    if ((this.tag !== INTEGER && this.tag !== ENUMERATED) || this.content.length > 6) return Number.NaN;
    return this.content.reduce((sum, octet) => sum * 256 + octet, 0);
  }

  get text(): string {
    return Buffer.from(this.content).toString(this.tag === UTF8_STRING ? 'utf8' : 'latin1');
  }

  /** The content of a BIT STRING of whole octets. */
  get bits(): Uint8Array {
    return this.content.subarray(1);
  }

  /** Milliseconds since 1970; NaN when it is no time. */
  get wall(): number {
    const match = /^(\d{2,4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(this.text);
    if (match === null || (this.tag !== UTC_TIME && this.tag !== GENERALIZED_TIME)) return Number.NaN;
    const [, given, month, day, hour, minute, second] = match.map(Number);
    // Two digits are 1950 to 2049 (RFC 5280 §4.1.2.5.1).
    const year = this.tag === GENERALIZED_TIME ? given! : given! < 50 ? 2000 + given! : 1900 + given!;
    return Date.UTC(year, month! - 1, day, hour, minute, second);
  }

  /** What an OCTET STRING or a BIT STRING carries, when that is DER again. */
  get inner(): Der | null {
    return readDer(this.tag === BIT_STRING ? this.bits : this.content);
  }
}

/** Reads one value that fills the bytes; null when they are no DER or more than is read. */
export function readDer(bytes: Uint8Array): Der | null {
  if (bytes.length > BYTES_MAX) return null;
  const budget = { values: VALUES_MAX };
  const found = readOne(bytes, 0, bytes.length, 0, budget);
  return found !== null && found.whole.length === bytes.length ? found : null;
}

function readOne(bytes: Uint8Array, start: number, end: number, depth: number, budget: { values: number }): Der | null {
  if (end - start < 2 || depth > DEPTH_MAX || --budget.values < 0) return null;
  const tag = bytes[start]!;
  if ((tag & 0x1f) === 0x1f) return null;
  let at = start + 2;
  let length = bytes[start + 1]!;
  if (length >= 0x80) {
    const count = length & 0x7f;
    if (count === 0 || count > 4 || at + count > end) return null;
    length = 0;
    for (let index = 0; index < count; index++) length = length * 256 + bytes[at + index]!;
    // The shortest form alone (X.690 §10.1).
    if (length < 0x80 || bytes[at] === 0) return null;
    at += count;
  }
  const stop = at + length;
  if (stop > end) return null;
  const parts: Der[] = [];
  if ((tag & 0x20) !== 0) {
    for (let inner = at; inner < stop; ) {
      const part = readOne(bytes, inner, stop, depth + 1, budget);
      if (part === null) return null;
      parts.push(part);
      inner += part.whole.length;
    }
  }
  return new Der(tag, bytes.subarray(start, stop), bytes.subarray(at, stop), parts);
}
