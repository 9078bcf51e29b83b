// The data of records in its three forms: wire form without pointers, as it is kept; as it stands in a message; and words, as
// in master files. It knows no zones and no messages beyond their bytes.
import { copyOf, u16 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import { writeHex } from './fields.ts';
import { LOWER, NameBuffer, nameEnd } from './name.ts';
import { formOf, holdsNames } from './record-types.ts';
import type { Words } from './words.ts';

export { base32From, base32Text, ipv6From, ipv6Text, secondsFrom } from './fields.ts';
export {
  CLASS,
  classFrom,
  className,
  formOf,
  holdsNames,
  isCompressed,
  isMetaType,
  TYPE,
  typeFrom,
  typeName,
  typesMap,
  typesOf,
} from './record-types.ts';
export { Words } from './words.ts';

/** The most octets of a record's data. */
export const RDATA_BYTES_MAX = 0xffff;

/** Whether `bytes[at..end)`, without pointers, is data of that type. */
export function checkRdata(type: number, bytes: Uint8Array, at: number, end: number): boolean {
  const form = formOf(type);
  if (form === null) return true;
  for (const field of form) {
    at = field.size(bytes, at, end);
    if (at < 0 || at > end) return false;
  }
  return at === end;
}

const NAME = new NameBuffer();

/**
 * Appends the data that stands at `at..end` of a message that begins at `start`, its names without pointers. False when it is
 * not data of that type; what was written then is to be cut..
 */
export function expandRdata(
  type: number,
  message: Uint8Array,
  start: number,
  at: number,
  end: number,
  out: ByteWriter,
): boolean {
  if (!holdsNames(type)) {
    if (!checkRdata(type, message, at, end)) return false;
    out.copy(message, at, end);
    return true;
  }
  for (const field of formOf(type)!) {
    if (field.name === undefined) {
      const next = field.size(message, at, end);
      if (next < 0 || next > end) return false;
      out.copy(message, at, next);
      at = next;
      continue;
    }
    at = NAME.read(message, start, at, end);
    if (at < 0) return false;
    out.copy(NAME.bytes, 0, NAME.length);
  }
  return at === end;
}

/** Brings the names in kept data, in place, to lower case where the canonical form asks for it (RFC 4034 §6.2). */
export function lowerRdata(type: number, bytes: Uint8Array, at: number, end: number): void {
  if (!holdsNames(type)) return;
  for (const field of formOf(type)!) {
    const next = field.size(bytes, at, end);
    if (next < 0) return;
    if (field.name?.lowered) for (let index = at; index < next; index++) bytes[index] = LOWER[bytes[index]!]!;
    at = next;
  }
}

/** As {@link lowerRdata}, all names, into a copy: for comparing data without regard to case (RFC 2136 §1.1.1 and RFC 4343). */
export function foldedRdata(type: number, bytes: Uint8Array, at: number, end: number): Uint8Array {
  const copy = copyOf(bytes, at, end);
  if (!holdsNames(type)) return copy;
  let index = 0;
  for (const field of formOf(type)!) {
    const next = field.size(copy, index, copy.length);
    if (next < 0) return copy;
    if (field.name !== undefined) for (let each = index; each < next; each++) copy[each] = LOWER[copy[each]!]!;
    index = next;
  }
  return copy;
}

/** Kept data as words: those of its type, or `\# 3 010203` (RFC 3597 §5). */
export function rdataText(type: number, bytes: Uint8Array, at: number, end: number): string {
  const form = formOf(type);
  if (form === null || !checkRdata(type, bytes, at, end)) return genericText(bytes, at, end);
  const parts: string[] = [];
  const from = at;
  for (const field of form) {
    const next = field.size(bytes, at, end);
    const part = field.text(bytes, at, next);
    // A field that may be empty at the end, such as parameters or a digest.
    if (part !== '') parts.push(part);
    at = next;
  }
  // What has a version that is not ours to read, or nothing to show.
  return parts.length === 0 || (parts.length < form.length && !mayBeEmpty(type))
    ? genericText(bytes, from, end)
    : parts.join(' ');
}

/** Types whose last field may say nothing: SVCB without parameters, bit maps without types. */
function mayBeEmpty(type: number): boolean {
  const last = formOf(type)!.at(-1)!;
  return last.size(EMPTY, 0, 0) === 0 && last.text(EMPTY, 0, 0) === '' && !isNeeded(type);
}

const EMPTY = new Uint8Array(0);

/** Types whose last field is read from one word at least. */
function isNeeded(type: number): boolean {
  return formOf(type)!.length === 1;
}

function genericText(bytes: Uint8Array, at: number, end: number): string {
  const data = Buffer.from(bytes.subarray(at, end)).toString('hex').toUpperCase();
  return data === '' ? '\\# 0' : `\\# ${end - at} ${data}`;
}

/**
 * Appends the data that words say. Null when it is done; otherwise a sentence that says what is wrong, and what was written
 * is to be cut.
 */
export function readRdata(type: number, words: Words, out: ByteWriter, origin: Uint8Array | null): string | null {
  const from = out.length;
  if (words.left > 0 && words.texts[words.at] === '\\#') return readGeneric(type, words, out);
  const form = formOf(type);
  if (form === null) return 'data of this type is written as \\# <length> <hexadecimal> (RFC 3597 §5)';
  for (const [index, field] of form.entries()) {
    const word = words.left > 0 ? words.texts[words.at]! : '';
    if (!field.write(words, out, origin))
      return word === ''
        ? `field ${index + 1} of the data is missing`
        : `field ${index + 1} of the data is not ${word}`;
  }
  if (words.left > 0) return `there is more behind the data: ${words.next()}`;
  if (out.length - from > RDATA_BYTES_MAX) return 'the data is over 65,535 octets';
  return checkRdata(type, out.bytes, from, out.length) ? null : 'the data cannot be of this type';
}

function readGeneric(type: number, words: Words, out: ByteWriter): string | null {
  const from = out.length;
  words.next();
  const size = words.next();
  if (!/^\d{1,5}$/.test(size) || !writeHex(out, words.rest())) return '\\# is followed by a length and hexadecimal';
  if (out.length - from !== Number(size)) return `\\# announces ${size} octets, but ${out.length - from} follow`;
  return checkRdata(type, out.bytes, from, out.length) ? null : 'the data cannot be of this type';
}

/** Where the names in kept data begin that lead to addresses: targets for the additional section (RFC 1035 §3.3, RFC 2782). */
export function targetAt(type: number, at: number): number {
  switch (type) {
    case 2: // NS
      return at;
    case 15: // MX
    case 18: // AFSDB
    case 36: // KX
    case 64: // SVCB
    case 65: // HTTPS
      return at + 2;
    case 33: // SRV
      return at + 6;
    default:
      return -1;
  }
}

/** The serial of kept SOA data (RFC 1035 §3.3.13). */
export function serialAt(rdata: Uint8Array, at: number): number {
  return nameEnd(rdata, nameEnd(rdata, at));
}

/** The type that kept RRSIG data covers. */
export function coveredType(rdata: Uint8Array, at: number): number {
  return u16(rdata, at);
}

/** Serial number arithmetic (RFC 1982 §3.2): negative when `a` comes before `b`. */
export function compareSerials(a: number, b: number): number {
  return a === b ? 0 : (a - b) | 0;
}
