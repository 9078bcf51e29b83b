// The kinds of fields that record data is made of, each with its wire form and its form in master files. A field knows
// neither its record nor its message: names in it are without pointers.
import { BAD, u16, u32 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import { checkName, nameFrom, nameText } from './name.ts';
import { escaped, quoted, type Words, writeOctets } from './words.ts';

export interface Field {
  /** The index behind the field, which begins at `at` of a record's data that ends at `end`; BAD when it cannot be right. */
  readonly size: (bytes: Uint8Array, at: number, end: number) => number;
  /** Reads words into wire form; false when they do not say such a field. */
  readonly write: (words: Words, out: ByteWriter, origin: Uint8Array | null) => boolean;
  /** The field as words. */
  readonly text: (bytes: Uint8Array, at: number, end: number) => string;
  /**
   * For names: whether they may be compressed when sent, and whether they are lower-cased in the canonical form
   * (RFC 3597 §4, RFC 4034 §6.2, RFC 6840 §5.1).
   */
  readonly name?: { readonly compressed: boolean; readonly lowered: boolean };
}

function fixed(size: number): Field['size'] {
  return (_bytes, at, end) => (at + size <= end ? at + size : BAD);
}

/** A length octet and as many octets. */
function counted(bytes: Uint8Array, at: number, end: number): number {
  return at < end && at + 1 + bytes[at]! <= end ? at + 1 + bytes[at]! : BAD;
}

function toEnd(_bytes: Uint8Array, _at: number, end: number): number {
  return end;
}

function writeInteger(out: ByteWriter, text: string, octets: 1 | 2 | 4): boolean {
  if (!/^\d{1,10}$/.test(text)) return false;
  return putInteger(out, Number(text), octets);
}

function putInteger(out: ByteWriter, value: number, octets: 1 | 2 | 4): boolean {
  if (value > (octets === 1 ? 0xff : octets === 2 ? 0xffff : 0xffff_ffff)) return false;
  if (octets === 1) out.u8(value);
  else if (octets === 2) out.u16(value);
  else out.u32(value);
  return true;
}

function integer(octets: 1 | 2 | 4): Field {
  return {
    size: fixed(octets),
    write: (words, out) => writeInteger(out, words.next(), octets),
    text: (bytes, at) => String(octets === 1 ? bytes[at]! : octets === 2 ? u16(bytes, at) : u32(bytes, at)),
  };
}

/** A number that also has names. */
export function named(octets: 1 | 2, names: ReadonlyMap<string, number>, shown: boolean): Field {
  const byNumber = new Map([...names].map(([name, number]) => [number, name]));
  const plain = integer(octets);
  return {
    size: plain.size,
    write: (words, out) => {
      const word = words.next();
      const number = names.get(word.toUpperCase());
      return number === undefined ? writeInteger(out, word, octets) : putInteger(out, number, octets);
    },
    text: (bytes, at, end) => {
      const name = shown ? byNumber.get(octets === 1 ? bytes[at]! : u16(bytes, at)) : undefined;
      return name ?? plain.text(bytes, at, end);
    },
  };
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** Seconds: a number, or `1h30m`; -1 for what is not. */
export function secondsFrom(text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text) <= 0xffff_ffff ? Number(text) : -1;
  if (!/^(?:\d{1,10}[smhdw])+$/i.test(text)) return -1;
  let seconds = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([a-z])/gi)) seconds += Number(count) * UNITS[unit!.toLowerCase()]!;
  return seconds <= 0xffff_ffff ? seconds : -1;
}

const seconds: Field = {
  ...integer(4),
  write: (words, out) => {
    const value = secondsFrom(words.next());
    if (value < 0) return false;
    out.u32(value);
    return true;
  },
};

function nameField(compressed: boolean, lowered: boolean): Field {
  return {
    size: checkName,
    write: (words, out, origin) => {
      const name = nameFrom(words.next(), origin);
      if (name === null) return false;
      out.copy(name, 0, name.length);
      return true;
    },
    text: (bytes, at) => nameText(bytes, at),
    name: { compressed, lowered },
  };
}

const ipv4: Field = {
  size: fixed(4),
  write: (words, out) => {
    const parts = words.next().split('.');
    if (parts.length !== 4) return false;
    for (const part of parts) {
      if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return false;
      out.u8(Number(part));
    }
    return true;
  },
  text: (bytes, at) => `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`,
};

/** The sixteen octets of an IPv6 address, or null. */
export function ipv6From(text: string): Uint8Array | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half) => (half === '' ? [] : groupsOf(half)));
  if (head === null || tail === null || head === undefined) return null;
  const count = head.length + (tail?.length ?? 0);
  if (tail === undefined ? count !== 8 : count > 7) return null;
  const groups = [...head, ...new Array<number>(8 - count).fill(0), ...(tail ?? [])];
  return Uint8Array.from(groups.flatMap((group) => [group >>> 8, group & 0xff]));
}

function groupsOf(text: string): number[] | null {
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const octets = part.split('.').map(Number);
      const sane = /^\d{1,3}(?:\.\d{1,3}){3}$/.test(part) && octets.every((octet) => octet <= 255);
      if (!sane || index !== parts.length - 1) return null;
      groups.push(octets[0]! * 256 + octets[1]!, octets[2]! * 256 + octets[3]!);
    } else if (/^[\da-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}

/** An IPv6 address as RFC 5952 writes it. */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => u16(bytes, at + index * 2));
  let [best, size] = [-1, 1];
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && groups[to] === 0) to++;
    if (to - from > size) [best, size] = [from, to - from];
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
  return best < 0 ? hex(groups) : `${hex(groups.slice(0, best))}::${hex(groups.slice(best + size))}`;
}

const ipv6: Field = {
  size: fixed(16),
  write: (words, out) => {
    const address = ipv6From(words.next());
    if (address === null) return false;
    out.copy(address, 0, 16);
    return true;
  },
  text: ipv6Text,
};

/** Writes a length octet and what the word stands for. */
function writeCounted(out: ByteWriter, word: string): boolean {
  const at = out.length;
  out.u8(0);
  if (!writeOctets(out, word)) return false;
  const size = out.length - at - 1;
  if (size > 255) return false;
  out.bytes[at] = size;
  return true;
}

const string: Field = {
  size: counted,
  write: (words, out) => words.left > 0 && writeCounted(out, words.next()),
  text: (bytes, at) => quoted(bytes, at + 1, at + 1 + bytes[at]!),
};

/** One or more character-strings, to the end. */
const strings: Field = {
  size: (bytes, at, end) => {
    if (at >= end) return BAD;
    while (at < end) {
      at = counted(bytes, at, end);
      if (at < 0) return BAD;
    }
    return at;
  },
  write: (words, out) => {
    if (words.left === 0) return false;
    while (words.left > 0) if (!writeCounted(out, words.next())) return false;
    return true;
  },
  text: (bytes, at, end) => {
    const parts: string[] = [];
    for (; at < end; at += 1 + bytes[at]!) parts.push(quoted(bytes, at + 1, at + 1 + bytes[at]!));
    return parts.join(' ');
  },
};

/** Octets to the end, within quotation marks: the target of URI, the value of CAA. */
const longString: Field = {
  size: toEnd,
  write: (words, out) => words.left > 0 && writeOctets(out, words.next()),
  text: quoted,
};

/** The property of CAA (RFC 8659 §4.1): letters and digits. */
const tag: Field = {
  size: (bytes, at, end) => (at < end && bytes[at]! > 0 ? counted(bytes, at, end) : BAD),
  write: (words, out) => {
    const word = words.next();
    return /^[a-z\d]{1,255}$/i.test(word) && writeCounted(out, word);
  },
  // Another's with other characters is shown as octets only.
  text: (bytes, at) => {
    const text = escaped(bytes, at + 1, at + 1 + bytes[at]!);
    return /^[a-z\d]+$/i.test(text) ? text : '';
  },
};

function hexText(bytes: Uint8Array, at: number, end: number): string {
  return Buffer.from(bytes.subarray(at, end)).toString('hex').toUpperCase();
}

export function writeHex(out: ByteWriter, text: string): boolean {
  if (text.length % 2 !== 0 || !/^[\da-f]*$/i.test(text)) return false;
  const bytes = Buffer.from(text, 'hex');
  out.copy(bytes, 0, bytes.length);
  return true;
}

const hex: Field = {
  size: toEnd,
  write: (words, out) => writeHex(out, words.rest()),
  text: hexText,
};

const BASE64 = /^[a-z\d+/]*={0,2}$/i;

function writeBase64(out: ByteWriter, text: string): boolean {
  if (text.length % 4 !== 0 || !BASE64.test(text)) return false;
  const bytes = Buffer.from(text, 'base64');
  out.copy(bytes, 0, bytes.length);
  return true;
}

const base64: Field = {
  size: toEnd,
  write: (words, out) => writeBase64(out, words.rest()),
  text: (bytes, at, end) => Buffer.from(bytes.subarray(at, end)).toString('base64'),
};

/** A length of two octets and as many, in base64; with `unpadded` in hexadecimal. For TSIG and TKEY, which are only shown. */
const blob: Field = {
  size: (bytes, at, end) => (at + 2 <= end && at + 2 + u16(bytes, at) <= end ? at + 2 + u16(bytes, at) : BAD),
  write: (words, out) => {
    const size = Number(words.next());
    out.u16(size);
    const at = out.length;
    return size === 0 || (writeBase64(out, words.next()) && out.length - at === size);
  },
  text: (bytes, at, end) => {
    const size = u16(bytes, at);
    return size === 0 ? '0' : `${size} ${base64.text(bytes, at + 2, Math.min(end, at + 2 + size))}`;
  },
};

/** The salt of NSEC3: a length, and hexadecimal or `-` (RFC 5155 §3.3). */
const salt: Field = {
  size: counted,
  write: (words, out) => {
    const word = words.next();
    const at = out.length;
    out.u8(0);
    if (word !== '-' && (word === '' || !writeHex(out, word))) return false;
    out.bytes[at] = out.length - at - 1;
    return out.length - at - 1 <= 255;
  },
  text: (bytes, at) => (bytes[at] === 0 ? '-' : hexText(bytes, at + 1, at + 1 + bytes[at]!)),
};

const BASE32 = '0123456789ABCDEFGHIJKLMNOPQRSTUV';

/** Base32 with the extended hexadecimal alphabet, without padding (RFC 4648 §7, RFC 5155 §3.3). */
export function base32Text(bytes: Uint8Array, at: number, end: number): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (; at < end; at++) {
    held = (held << 8) | bytes[at]!;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32[(held >>> bits) & 31]!;
    }
    held &= (1 << bits) - 1;
  }
  return bits > 0 ? text + BASE32[(held << (5 - bits)) & 31]! : text;
}

export function base32From(text: string): Uint8Array | null {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  let size = 0;
  let bits = 0;
  let held = 0;
  for (const character of text.toUpperCase()) {
    const value = BASE32.indexOf(character);
    if (value < 0) return null;
    held = (held << 5) | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[size++] = held >>> bits;
    held &= (1 << bits) - 1;
  }
  return bytes;
}

const hash32: Field = {
  size: (bytes, at, end) => (at < end && bytes[at]! > 0 ? counted(bytes, at, end) : BAD),
  write: (words, out) => {
    const hash = base32From(words.next());
    if (hash === null || hash.length === 0 || hash.length > 255) return false;
    out.u8(hash.length);
    out.copy(hash, 0, hash.length);
    return true;
  },
  text: (bytes, at) => base32Text(bytes, at + 1, at + 1 + bytes[at]!),
};

/** Seconds since 1970, modulo 2^32, as YYYYMMDDHHmmSS (RFC 4034 §3.2). */
const time: Field = {
  size: fixed(4),
  write: (words, out) => {
    const word = words.next();
    const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(word);
    if (parts === null) return writeInteger(out, word, 4);
    const [year, month, day, hour, minute, second] = parts.slice(1).map(Number);
    const ms = Date.UTC(year!, month! - 1, day!, hour!, minute!, second!);
    out.u32(Math.floor(ms / 1_000) % 0x1_0000_0000);
    return true;
  },
  text: (bytes, at) => new Date(u32(bytes, at) * 1_000).toISOString().replace(/\.\d+Z|[-:T]/g, ''),
};

/** 48 bits: the time of TSIG. */
const u48: Field = {
  size: fixed(6),
  write: (words, out) => {
    const value = Number(words.next());
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** 48) return false;
    out.u16(Math.floor(value / 2 ** 32));
    out.u32(value % 2 ** 32);
    return true;
  },
  text: (bytes, at) => String(u16(bytes, at) * 2 ** 32 + u32(bytes, at + 2)),
};

/** EUI-48 and EUI-64: pairs of hexadecimal digits with hyphens (RFC 7043 §3.2, §4.2). */
function eui(octets: 6 | 8): Field {
  return {
    size: fixed(octets),
    write: (words, out) => {
      const pairs = words.next().split('-');
      return pairs.length === octets && pairs.every((pair) => pair.length === 2 && writeHex(out, pair));
    },
    text: (bytes, at) =>
      hexText(bytes, at, at + octets)
        .toLowerCase()
        .replace(/..(?=.)/g, '$&-'),
  };
}

/** Anything, as RFC 3597 §5 writes it without the `\#`: never read as words of its own. */
const opaque: Field = { size: toEnd, write: () => false, text: hexText };

export const FIELDS = {
  u8: integer(1),
  u16: integer(2),
  u32: integer(4),
  u48,
  seconds,
  time,
  ipv4,
  ipv6,
  string,
  strings,
  longString,
  tag,
  hex,
  base64,
  blob,
  salt,
  hash32,
  eui48: eui(6),
  eui64: eui(8),
  opaque,
  /** Names of RFC 1035's own records. */
  compressed: nameField(true, true),
  /** Names of later records that others may still have compressed. */
  name: nameField(false, true),
  /** Names of records since RFC 3597, and of NSEC. */
  plain: nameField(false, false),
} satisfies Record<string, Field>;
