// Scalars as XML Schema writes them (XML Schema Part 2), both ways: from the bytes of a document, and as text.
import { latin1, utf8 } from '../../bytes/reader.ts';
import type { XmlReader } from '../xml/reader.ts';
import type { ScalarName } from './types.ts';

/** The built-in type of each; `any` is JSON as text, of a type of our own. */
export const XSD_NAMES: Readonly<Record<ScalarName, string>> = {
  bool: 'boolean',
  int32: 'int',
  uint32: 'unsignedInt',
  int64: 'long',
  uint64: 'unsignedLong',
  float: 'float',
  double: 'double',
  string: 'string',
  bytes: 'base64Binary',
  timestamp: 'dateTime',
  duration: 'duration',
  any: 'string',
};

/** Makes a value of the text that the reader has read; says `wrong` when it is none. */
export type ScalarRead = (reader: XmlReader) => unknown;

/** A number, a date or a word is never longer than this, with the white space around it. */
const LEXICAL_MAX = 128;

/** The text without white space around it; '' once it was refused as too long. */
function lexical(reader: XmlReader): string {
  const { text } = reader;
  let from = reader.textFrom;
  let to = reader.textTo;
  while (from < to && text[from]! <= 0x20) from++;
  while (to > from && text[to - 1]! <= 0x20) to--;
  if (to - from > LEXICAL_MAX) {
    reader.wrong('is too long');
    return '';
  }
  return latin1(text, from, to);
}

/** A whole number of up to nine digits, straight from its bytes; NaN for anything else. */
function shortInteger({ text, textFrom, textTo }: XmlReader): number {
  const size = textTo - textFrom;
  const isNegative = text[textFrom] === 0x2d;
  let at = isNegative ? textFrom + 1 : textFrom;
  if (size > 9 || at >= textTo) return Number.NaN;
  let value = 0;
  for (; at < textTo; at++) {
    const digit = text[at]! - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return isNegative ? 0 - value : value;
}

function integer(least: number, most: number, name: string): ScalarRead {
  return (reader) => {
    let value = shortInteger(reader);
    if (Number.isNaN(value)) {
      const text = lexical(reader);
      value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    }
    if (value >= least && value <= most) return value;
    reader.wrong(`is no ${name}`);
    return 0;
  };
}

function long(least: bigint, most: bigint, name: string): ScalarRead {
  return (reader) => {
    const text = lexical(reader);
    if (/^[+-]?\d{1,40}$/.test(text)) {
      const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
      if (value >= least && value <= most) return value;
    }
    reader.wrong(`is no ${name}`);
    return 0n;
  };
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function readDouble(reader: XmlReader): number {
  const short = shortInteger(reader);
  if (!Number.isNaN(short)) return short;
  const text = lexical(reader);
  if (NUMBER.test(text)) return Number(text);
  if (text === 'INF' || text === '+INF') return Number.POSITIVE_INFINITY;
  if (text === '-INF') return Number.NEGATIVE_INFINITY;
  if (text !== 'NaN') reader.wrong('is no number');
  return Number.NaN;
}

function readBoolean(reader: XmlReader): boolean {
  const text = lexical(reader);
  if (text === 'true' || text === '1') return true;
  if (text !== 'false' && text !== '0') reader.wrong('is neither true nor false');
  return false;
}

function readString(reader: XmlReader): string {
  return utf8(reader.text, reader.textFrom, reader.textTo);
}

function readAny(reader: XmlReader): unknown {
  try {
    return JSON.parse(readString(reader));
  } catch {
    reader.wrong('is no JSON');
    return null;
  }
}

/** What stands for six bits of base64 (RFC 4648 §4); 1 for its digits, 2 for white space, 0 for all else. */
const BASE64 = new Uint8Array(256);
for (const byte of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')) BASE64[byte] = 1;
for (const byte of Buffer.from(' \t\n\r')) BASE64[byte] = 2;

function readBytes(reader: XmlReader): Uint8Array {
  const { text, textFrom, textTo } = reader;
  let digits = 0;
  let padding = 0;
  for (let at = textFrom; at < textTo; at++) {
    const kind = BASE64[text[at]!]!;
    if (kind === 1 && padding === 0) digits++;
    else if (text[at] === 0x3d && padding < 2) padding++;
    else if (kind !== 2) {
      digits = 1;
      break;
    }
  }
  if ((digits + padding) % 4 === 0) return Buffer.from(latin1(text, textFrom, textTo), 'base64');
  reader.wrong('is no base64');
  return Buffer.alloc(0);
}

const DATE_TIME = /^(-?(?:[1-9]\d{4,}|\d{4}))-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?$/;

/** xsd:dateTime; one without a zone is taken as of UTC. */
function readTimestamp(reader: XmlReader): Date {
  const parts = DATE_TIME.exec(lexical(reader));
  const wall = parts === null ? Number.NaN : instantOf(parts);
  if (Number.isNaN(wall)) reader.wrong('is no date and time');
  return new Date(wall);
}

function instantOf(parts: RegExpExecArray): number {
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const made = new Date(0);
  made.setUTCFullYear(year, month - 1, day);
  if (made.getUTCMonth() !== month - 1 || made.getUTCDate() !== day || minute > 59 || second > 59) return Number.NaN;
  // Midnight may be the end of a day (XML Schema Part 2 §3.2.7.1).
  if (hour > 24 || (hour === 24 && (minute > 0 || second > 0))) return Number.NaN;
  const millis = Math.floor(Number(`0.${parts[7] ?? '0'}`) * 1_000);
  return made.getTime() + hour * 3_600_000 + minute * 60_000 + second * 1_000 + millis - zoneOf(parts[8]);
}

function zoneOf(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(4, 6));
  if (minutes > 59 || hours * 60 + minutes > 14 * 60) return Number.NaN;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

const DURATION = /^(-)?P(?=.)(?:(\d{1,9})D)?(?:T(?=.)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12}(?:\.\d+)?)S)?)?$/;

/** xsd:duration in days and less: years and months have no fixed length. */
function readDuration(reader: XmlReader): number {
  const parts = DURATION.exec(lexical(reader));
  if (parts === null) {
    reader.wrong('is no duration in days, hours, minutes and seconds');
    return 0;
  }
  const [, sign, days = 0, hours = 0, minutes = 0, seconds = 0] = parts;
  const whole = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60_000 + Number(`${seconds}e3`);
  return sign === '-' ? 0 - whole : whole;
}

export const SCALAR_READERS: Readonly<Record<ScalarName, ScalarRead>> = {
  bool: readBoolean,
  int32: integer(-0x8000_0000, 0x7fff_ffff, 'whole number of 32 bits'),
  uint32: integer(0, 0xffff_ffff, 'whole number from 0 up of 32 bits'),
  int64: long(-(1n << 63n), (1n << 63n) - 1n, 'whole number of 64 bits'),
  uint64: long(0n, (1n << 64n) - 1n, 'whole number from 0 up of 64 bits'),
  float: (reader) => Math.fround(readDouble(reader)),
  double: readDouble,
  string: readString,
  bytes: readBytes,
  timestamp: readTimestamp,
  duration: readDuration,
  any: readAny,
};

// ---- as text -------------------------------------------------------------------------------------------------------

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? 'INF' : value < 0 ? '-INF' : 'NaN';
}

function floatText(value: number): string {
  const single = Math.fround(value);
  if (!Number.isFinite(single)) return numberText(single);
  // As few digits as tell it from its neighbours.
  for (let digits = 6; digits < 9; digits++) {
    const text = single.toPrecision(digits);
    if (Math.fround(Number(text)) === single) return String(Number(text));
  }
  return String(single);
}

function timestampText(value: Date): string {
  const text = value.toISOString();
  return /^[+-]/.test(text) ? text.replace(/^\+0|^\+/, '').replace(/^-00/, '-') : text;
}

/** Milliseconds as seconds by moving the point, so that no digit is lost. */
function durationText(value: number): string {
  const size = Math.abs(value);
  const text = size >= 1e21 ? String(BigInt(size)) : size < 1e-6 ? size.toFixed(20) : String(size);
  const [whole = '', rest = ''] = text.split('.');
  const digits = whole.padStart(4, '0');
  const fraction = `${digits.slice(-3)}${rest}`.replace(/0+$/, '');
  return `${value < 0 ? '-' : ''}PT${digits.slice(0, -3)}${fraction === '' ? '' : `.${fraction}`}S`;
}

export const SCALAR_TEXTS: Readonly<
  Record<Exclude<ScalarName, 'bytes' | 'string' | 'any'>, (value: unknown) => string>
> = {
  bool: (value) => (value === true ? 'true' : 'false'),
  int32: String,
  uint32: String,
  int64: String,
  uint64: String,
  float: (value) => floatText(value as number),
  double: (value) => numberText(value as number),
  timestamp: (value) => timestampText(value as Date),
  duration: (value) => durationText(value as number),
};
