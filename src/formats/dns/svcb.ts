// The parameters of SVCB and HTTPS (RFC 9460 §2.1, §2.2, §7, with RFC 9461 and RFC 9540): `alpn=h2,h3 port=8443` and the wire
// form, keys in ascending order.
import { BAD, u16 } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import { FIELDS, type Field, ipv6From, ipv6Text } from './fields.ts';
import { escapeAt } from './name.ts';
import { escaped, Words } from './words.ts';

const KEYS = 'mandatory alpn no-default-alpn port ipv4hint ech ipv6hint dohpath ohttp'.split(' ');
const MANDATORY = 0;
const ALPN = 1;
const NO_DEFAULT_ALPN = 2;
const PORT = 3;
const IPV4HINT = 4;
const ECH = 5;
const IPV6HINT = 6;
const OHTTP = 8;

function keyFrom(text: string): number {
  const known = KEYS.indexOf(text.toLowerCase());
  if (known >= 0) return known;
  const number = /^key(0|[1-9]\d{0,4})$/i.exec(text);
  // 65535 is reserved as invalid (RFC 9460 §14.3.2).
  return number !== null && Number(number[1]) < 0xffff ? Number(number[1]) : -1;
}

function keyText(key: number): string {
  return KEYS[key] ?? `key${key}`;
}

/** The items of a list: commas part them, and `\,` is none (RFC 9460 appendix A.1, after the escapes of the word). */
function items(word: string): Uint8Array[] | null {
  const octets = octetsOf(word);
  if (octets === null) return null;
  const found: Uint8Array[] = [];
  let item: number[] = [];
  for (let at = 0; at <= octets.length; at++) {
    let byte = octets[at];
    if (byte === undefined || byte === 0x2c) {
      if (item.length === 0) return null;
      found.push(Uint8Array.from(item));
      item = [];
      continue;
    }
    if (byte === 0x5c && at + 1 < octets.length) byte = octets[++at]!;
    item.push(byte);
  }
  return found;
}

function octetsOf(word: string): number[] | null {
  const octets: number[] = [];
  for (let at = 0; at < word.length; at++) {
    let byte = word.charCodeAt(at);
    if (byte === 0x5c) {
      byte = escapeAt(word, at);
      if (byte < 0) return null;
      at += /\d/.test(word[at + 1]!) ? 3 : 1;
    }
    if (byte > 0xff) return null;
    octets.push(byte);
  }
  return octets;
}

/** The wire form of one value; null when it is none. */
function valueFrom(key: number, word: string | null): Uint8Array | null {
  if (key === NO_DEFAULT_ALPN || key === OHTTP) return word === null || word === '' ? new Uint8Array(0) : null;
  if (word === null) return key > OHTTP ? new Uint8Array(0) : null;
  switch (key) {
    case MANDATORY: {
      const keys = word.split(',').map(keyFrom);
      const sorted = [...new Set(keys)].sort((a, b) => a - b);
      if (sorted.length !== keys.length || sorted.some((each) => each < 1)) return null;
      return Uint8Array.from(sorted.flatMap((each) => [each >>> 8, each & 0xff]));
    }
    case ALPN: {
      const names = items(word);
      if (names?.every((name) => name.length <= 255) !== true) return null;
      return Uint8Array.from(names.flatMap((name) => [name.length, ...name]));
    }
    case PORT:
      return /^\d{1,5}$/.test(word) && Number(word) <= 0xffff ? Uint8Array.of(Number(word) >>> 8, Number(word)) : null;
    case IPV4HINT:
      return joined(word.split(',').map(ipv4From));
    case IPV6HINT:
      return joined(word.split(',').map(ipv6From));
    case ECH:
      return word.length % 4 === 0 && /^[a-z\d+/]+={0,2}$/i.test(word) ? Buffer.from(word, 'base64') : null;
    default: {
      const octets = octetsOf(word);
      return octets === null ? null : Uint8Array.from(octets);
    }
  }
}

function ipv4From(text: string): Uint8Array | null {
  const out = new ByteWriter(16);
  const words = Words.of(text);
  const sane = words !== null && FIELDS.ipv4.write(words, out, null);
  const bytes = sane ? Uint8Array.from(out.bytes.subarray(0, 4)) : null;
  out.clear();
  return bytes;
}

function joined(parts: readonly (Uint8Array | null)[]): Uint8Array | null {
  return parts.every((part) => part !== null) ? Uint8Array.from(parts.flatMap((part) => [...part])) : null;
}

function write(words: Words, out: ByteWriter): boolean {
  const values = new Map<number, Uint8Array>();
  while (words.left > 0) {
    const word = words.next();
    const equals = word.indexOf('=');
    const key = keyFrom(equals < 0 ? word : word.slice(0, equals));
    const value = key < 0 ? null : valueFrom(key, equals < 0 ? null : word.slice(equals + 1));
    if (value === null || values.has(key)) return false;
    values.set(key, value);
  }
  const mandatory = values.get(MANDATORY);
  for (let at = 0; mandatory !== undefined && at < mandatory.length; at += 2)
    if (!values.has(u16(mandatory, at))) return false;
  if (values.has(NO_DEFAULT_ALPN) && !values.has(ALPN)) return false;
  for (const [key, value] of [...values].sort(([a], [b]) => a - b)) {
    out.u16(key);
    out.u16(value.length);
    out.copy(value, 0, value.length);
  }
  return true;
}

function size(bytes: Uint8Array, at: number, end: number): number {
  let before = -1;
  while (at < end) {
    if (at + 4 > end) return BAD;
    const key = u16(bytes, at);
    // Strictly ascending (RFC 9460 §2.2).
    if (key <= before) return BAD;
    before = key;
    const from = at + 4;
    at = from + u16(bytes, at + 2);
    if (at > end || !isValue(key, bytes, from, at)) return BAD;
  }
  return at;
}

function isValue(key: number, bytes: Uint8Array, at: number, end: number): boolean {
  const length = end - at;
  switch (key) {
    case MANDATORY:
      return length > 0 && length % 2 === 0;
    case ALPN: {
      if (length === 0) return false;
      while (at < end) {
        if (bytes[at] === 0) return false;
        at += 1 + bytes[at]!;
      }
      return at === end;
    }
    case NO_DEFAULT_ALPN:
    case OHTTP:
      return length === 0;
    case PORT:
      return length === 2;
    case IPV4HINT:
      return length > 0 && length % 4 === 0;
    case IPV6HINT:
      return length > 0 && length % 16 === 0;
    default:
      return true;
  }
}

function valueText(key: number, bytes: Uint8Array, at: number, end: number): string {
  const parts: string[] = [];
  switch (key) {
    case MANDATORY:
      for (; at < end; at += 2) parts.push(keyText(u16(bytes, at)));
      return parts.join(',');
    case ALPN:
      for (; at < end; at += 1 + bytes[at]!) {
        // Once for the list, and once more for the word.
        const name = Buffer.from(bytes.subarray(at + 1, at + 1 + bytes[at]!))
          .toString('latin1')
          .replace(/[\\,]/g, '\\$&');
        parts.push(escaped(Buffer.from(name, 'latin1'), 0, name.length));
      }
      return `"${parts.join(',')}"`;
    case PORT:
      return String(u16(bytes, at));
    case IPV4HINT:
      for (; at < end; at += 4) parts.push(FIELDS.ipv4.text(bytes, at, end));
      return parts.join(',');
    case IPV6HINT:
      for (; at < end; at += 16) parts.push(ipv6Text(bytes, at));
      return parts.join(',');
    case ECH:
      return `"${Buffer.from(bytes.subarray(at, end)).toString('base64')}"`;
    default:
      return `"${escaped(bytes, at, end)}"`;
  }
}

function text(bytes: Uint8Array, at: number, end: number): string {
  const parts: string[] = [];
  while (at < end) {
    const key = u16(bytes, at);
    const from = at + 4;
    at = from + u16(bytes, at + 2);
    parts.push(from === at ? keyText(key) : `${keyText(key)}=${valueText(key, bytes, from, at)}`);
  }
  return parts.join(' ');
}

export const svcParams: Field = { size, write, text };
