// The wire of FTP's control connection: command lines, Telnet's signs in them, addresses, times, paths in quotes and ranges.
// It knows no session.
import { isUtf8, utf8 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Address } from '../../core/peer.ts';

const SPACE = 0x20;

// Telnet (RFC 854): IAC and what may follow it.
const IAC = 0xff;
const SE = 0xf0;
const WILL = 0xfb;
const WONT = 0xfc;
const DO = 0xfd;
const DONT = 0xfe;

/** The most letters of a verb (RFC 959 §5.3: three or four). */
const VERB_MAX = 4;

/** One command. */
export class CommandLine {
  /** In capitals; '' for what cannot be one. */
  verb = '';
  /** What stands behind the verb and one space. */
  argument = '';
  /** The argument is not UTF-8 (RFC 2640 §2.1); or it has control characters, which no name has. */
  isText = true;

  /** Reads `input[start..stop)`. Options that Telnet would agree on are refused into `out` (RFC 1123 §4.1.2.12). */
  read(input: Uint8Array, start: number, stop: number, out: ByteWriter | null): void {
    let line = input;
    let from = start;
    let to = stop;
    for (let at = start; at < stop; at++) {
      if (input[at] !== IAC) continue;
      line = withoutTelnet(input, start, stop, out);
      from = 0;
      to = line.length;
      break;
    }
    let at = from;
    while (at < to && isLetter(line[at]!) && at - from <= VERB_MAX) at++;
    const size = at - from;
    const isVerb = size > 0 && size <= VERB_MAX && (at === to || line[at] === SPACE);
    this.verb = isVerb ? utf8(line, from, at).toUpperCase() : '';
    const behind = isVerb ? Math.min(to, at + 1) : to;
    this.isText = isUtf8(line, behind, to) && !hasControls(line, behind, to);
    this.argument = this.isText ? utf8(line, behind, to) : '';
  }
}

function isLetter(byte: number): boolean {
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x7a;
}

function hasControls(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! < 0x20 || bytes[at] === 0x7f) return true;
  return false;
}

/**
 * A line without Telnet's signs. ABOR comes as IAC IP IAC DM, of which the last may have travelled as urgent data and be
 * gone (RFC 959 §4.1.3), so that an IAC stands alone.
 */
function withoutTelnet(input: Uint8Array, start: number, stop: number, out: ByteWriter | null): Uint8Array {
  const line = new Uint8Array(stop - start);
  let size = 0;
  for (let at = start; at < stop; at++) {
    if (input[at] !== IAC) {
      line[size++] = input[at]!;
      continue;
    }
    const sign = at + 1 < stop ? input[at + 1]! : 0;
    if (sign === IAC) line[size++] = IAC;
    if (sign >= WILL && sign <= DONT && at + 2 < stop) {
      refuseOption(out, sign, input[at + 2]!);
      at += 2;
    } else if (sign >= SE) at++;
  }
  return line.subarray(0, size);
}

function refuseOption(out: ByteWriter | null, sign: number, option: number): void {
  if (out === null || sign === WONT || sign === DONT) return;
  out.u8(IAC);
  out.u8(sign === DO ? WONT : DONT);
  out.u8(option);
}

// ---- addresses -----------------------------------------------------------------------------------------------------

/** `h1,h2,h3,h4,p1,p2` (RFC 959 §5.3.2); null for what is none. */
export function readHostPort(text: string): Address | null {
  const match = /^\s*(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})\s*$/.exec(text);
  if (match === null) return null;
  const numbers = match.slice(1).map(Number);
  if (numbers.some((number) => number > 255)) return null;
  return { host: numbers.slice(0, 4).join('.'), port: numbers[4]! * 256 + numbers[5]! };
}

export function hostPortText({ host, port }: Address): string {
  return `${host.replaceAll('.', ',')},${port >>> 8},${port & 255}`;
}

/** `|1|132.235.1.2|6275|` (RFC 2428 §2): null for what is none, 0 for a family that is unknown. */
export function readExtendedPort(text: string): Address | 0 | null {
  const sign = text.charAt(0);
  const code = text.charCodeAt(0);
  if (!(code >= 33 && code <= 126)) return null;
  const parts = text.split(sign);
  if (parts.length !== 5 || parts[0] !== '' || parts[4] !== '') return null;
  const [, family = '', host = '', port = ''] = parts;
  if (!/^\d{1,5}$/.test(family) || !/^\d{1,5}$/.test(port) || Number(port) > 65_535) return null;
  if (family !== '1' && family !== '2') return 0;
  const isIpv6 = host.includes(':');
  const shape = isIpv6 ? /^[0-9a-f.:]{2,45}$/i : /^\d{1,3}(?:\.\d{1,3}){3}$/;
  if (isIpv6 !== (family === '2') || !shape.test(host)) return null;
  return { host, port: Number(port) };
}

/** The form in which addresses are compared: an IPv4 address that was mapped into IPv6 is that, letters are small. */
export function plainHost(host: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host);
  if (mapped !== null) return mapped[1]!;
  if (!host.includes(':')) return host;
  try {
    return new URL(`http://[${host}]`).hostname.slice(1, -1);
  } catch {
    return host.toLowerCase();
  }
}

// ---- paths ---------------------------------------------------------------------------------------------------------

/** In double quotes, with those within doubled (RFC 959 appendix II). */
export function quoted(path: string): string {
  return `"${path.replaceAll('"', '""')}"`;
}

/** What stands in quotes at the head of a 257; null when nothing does. */
export function unquoted(text: string): string | null {
  const match = /^"((?:[^"]|"")*)"/.exec(text);
  return match === null ? null : match[1]!.replaceAll('""', '"');
}

/** The path that a name means where one stands, from the root and without it; `..` never leads above it. */
export function resolvePath(here: string, name: string): string {
  const levels = name.startsWith('/') || here === '' ? [] : here.split('/');
  for (const level of name.split('/')) {
    if (level === '' || level === '.') continue;
    if (level === '..') levels.pop();
    else levels.push(level);
  }
  return levels.join('/');
}

// ---- times ---------------------------------------------------------------------------------------------------------

/** `YYYYMMDDHHMMSS` in UTC (RFC 3659 §2.3). */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14);
}

/** Milliseconds since 1970, or null. */
export function readTime(text: string): number | null {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const fraction = match[7] === undefined ? 0 : Math.floor(Number(`0.${match[7]}`) * 1_000);
  const time = Date.UTC(year, month - 1, day, hour, minute, second, fraction);
  // What rolls over was no date. A leap second is the next one.
  const back = timeText(time);
  const wanted = second === 60 ? back : text.slice(0, 14);
  return year >= 1_970 && second <= 60 && back === wanted ? time : null;
}

/** A whole number of at most 15 digits, or -1. */
export function readNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : -1;
}
