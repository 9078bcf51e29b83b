// Reads DER (X.690) by offset, as much of it as certificates need. It trusts nothing and throws for nothing.

export const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const OID = 0x06;
export const UTC_TIME = 0x17;
export const GENERALIZED_TIME = 0x18;
export const SEQUENCE = 0x30;

/** One value: its tag, where it begins, and its content. */
export interface Der {
  readonly bytes: Uint8Array;
  readonly tag: number;
  /** Of the tag. */
  readonly at: number;
  readonly start: number;
  readonly end: number;
}

/** The value at `at`; null where there is none that ends by `end`. */
export function readDer(bytes: Uint8Array, at: number, end: number): Der | null {
  if (at + 2 > end) return null;
  const tag = bytes[at]!;
  // Tags of more than one byte are not in certificates.
  if ((tag & 0x1f) === 0x1f) return null;
  let size = bytes[at + 1]!;
  let start = at + 2;
  if (size >= 0x80) {
    const sizeBytes = size & 0x7f;
    if (sizeBytes === 0 || sizeBytes > 3 || start + sizeBytes > end) return null;
    size = 0;
    for (let index = 0; index < sizeBytes; index++) size = size * 256 + bytes[start + index]!;
    // In as few bytes as it takes (X.690 §10.1).
    if (size < 0x80 || size < 256 ** (sizeBytes - 1)) return null;
    start += sizeBytes;
  }
  return start + size > end ? null : { bytes, tag, at, start, end: start + size };
}

/** What a constructed value is made of; null when that is not whole values. */
export function partsOf({ bytes, start, end }: Der): Der[] | null {
  const parts: Der[] = [];
  for (let at = start; at < end; ) {
    const part = readDer(bytes, at, end);
    if (part === null) return null;
    parts.push(part);
    at = part.end;
  }
  return parts;
}

/** The value that is the whole content of another. */
export function insideOf({ bytes, start, end }: Der): Der | null {
  const inside = readDer(bytes, start, end);
  return inside?.end === end ? inside : null;
}

export function contentOf({ bytes, start, end }: Der): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
}

/** A value with tag and length. */
export function wholeOf({ bytes, at, end }: Der): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at);
}

/** Milliseconds since 1970; not a number when it is no time (RFC 5280 §4.1.2.5). */
export function timeOf(value: Der): number {
  const text = contentOf(value).toString('latin1');
  const short = value.tag === UTC_TIME;
  const digits = (short ? /^(\d{12})Z$/ : /^(\d{14})Z$/).exec(text)?.[1];
  if (digits === undefined || (!short && value.tag !== GENERALIZED_TIME)) return Number.NaN;
  const century = short ? (Number(digits.slice(0, 2)) >= 50 ? '19' : '20') : '';
  const [year, month, day, hour, minute, second] = (century + digits)
    .match(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/)!
    .slice(1)
    .map(Number) as [number, number, number, number, number, number];
  return month < 1 || month > 12 || day < 1 || day > 31
    ? Number.NaN
    : Date.UTC(year, month - 1, day, hour, minute, second);
}
