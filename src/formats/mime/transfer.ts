// Content transfer encodings (RFC 2045 §6): read from bytes of any origin, and written.
import { view } from '../../bytes/reader.ts';

const CR = 0x0d;
const LF = 0x0a;
const EQUALS = 0x3d;

/** What an encoding's name means; null for one that nobody knows, whose bytes cannot be understood (RFC 2045 §6.4). */
export type Transfer = 'identity' | 'base64' | 'quoted-printable' | 'x-uuencode' | null;

export function transferOf(encoding: string): Transfer {
  switch (encoding.trim().toLowerCase()) {
    case '':
    case '7bit':
    case '8bit':
    case 'binary':
      return 'identity';
    case 'base64':
      return 'base64';
    case 'quoted-printable':
      return 'quoted-printable';
    case 'x-uuencode':
    case 'uuencode':
    case 'x-uue':
      return 'x-uuencode';
    default:
      return null;
  }
}

/** The decoded bytes. What is broken in them is passed over (RFC 2045 §6.7, §6.8). */
export function decodeTransfer(transfer: Transfer, bytes: Uint8Array, start: number, end: number): Buffer {
  switch (transfer) {
    case 'base64':
      return base64(bytes, start, end);
    case 'quoted-printable':
      return quotedPrintable(bytes, start, end);
    case 'x-uuencode':
      return uuencoded(bytes, start, end);
    default:
      return Buffer.from(view(bytes, start, end));
  }
}

/** Pieces that were encoded one by one and joined, padding and all, are read to their end. */
function base64(bytes: Uint8Array, start: number, end: number): Buffer {
  const text = view(bytes, start, end).toString('latin1');
  if (!/=\s*[\w+/]/.test(text)) return Buffer.from(text, 'base64');
  return Buffer.concat(text.split(/=+/).map((piece) => Buffer.from(piece, 'base64')));
}

function quotedPrintable(bytes: Uint8Array, start: number, end: number): Buffer {
  const out = Buffer.allocUnsafe(end - start);
  let length = 0;
  // Blanks before a line end were added on the way (RFC 2045 §6.7 (3)).
  let blanks = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === EQUALS) {
      const soft = softEnd(bytes, at + 1, end);
      const pair = soft > 0 ? -1 : hexPair(bytes, at + 1, end);
      blanks = 0;
      if (soft > 0) at = soft - 1;
      else if (pair < 0) out[length++] = byte;
      else {
        out[length++] = pair;
        at += 2;
      }
    } else if (byte === 0x20 || byte === 0x09) {
      out[length++] = byte;
      blanks++;
    } else {
      if (byte === LF || (byte === CR && bytes[at + 1] === LF)) length -= blanks;
      blanks = 0;
      out[length++] = byte;
    }
  }
  return out.subarray(0, length);
}

/** Behind a soft line break whose `=` stands before `at`; 0 for none. */
function softEnd(bytes: Uint8Array, at: number, end: number): number {
  let next = at;
  while (next < end && (bytes[next] === 0x20 || bytes[next] === 0x09)) next++;
  if (next >= end) return end;
  if (bytes[next] === LF) return next + 1;
  return bytes[next] === CR && bytes[next + 1] === LF ? next + 2 : 0;
}

function hexPair(bytes: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return -1;
  const high = hexDigit(bytes[at]!);
  const low = hexDigit(bytes[at + 1]!);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function uuencoded(bytes: Uint8Array, start: number, end: number): Buffer {
  const pieces: Buffer[] = [];
  for (const line of view(bytes, start, end).toString('latin1').split(/\r?\n/)) {
    if (/^begin \d{3,4} /.test(line)) continue;
    if (line === 'end') break;
    const size = line === '' ? 0 : (line.charCodeAt(0) - 32) & 63;
    if (size === 0) continue;
    const piece = Buffer.alloc(Math.ceil(size / 3) * 3);
    for (let at = 1, to = 0; to < size; at += 4, to += 3) {
      const bits = [0, 1, 2, 3].map((index) => ((line.charCodeAt(at + index) || 32) - 32) & 63) as [
        number,
        number,
        number,
        number,
      ];
      piece[to] = (bits[0] << 2) | (bits[1] >> 4);
      piece[to + 1] = ((bits[1] & 15) << 4) | (bits[2] >> 2);
      piece[to + 2] = ((bits[2] & 3) << 6) | bits[3];
    }
    pieces.push(piece.subarray(0, size));
  }
  return Buffer.concat(pieces);
}

/** Base64 in lines of 76 (RFC 2045 §6.8), each with its line end. */
export function base64Lines(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  return text === '' ? '' : `${text.replace(/.{76}(?=.)/g, '$&\r\n')}\r\n`;
}

/** Text as quoted-printable, line ends as CRLF (RFC 2045 §6.7). */
export function quotedPrintableText(text: string): string {
  return text
    .split(/\r\n|\r|\n/)
    .map(quotedLine)
    .join('\r\n');
}

function quotedLine(line: string): string {
  const bytes = Buffer.from(line);
  let out = '';
  let width = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    const isLast = at === bytes.length - 1;
    const isPlain = (byte > 0x20 && byte < 0x7f && byte !== EQUALS) || ((byte === 0x20 || byte === 0x09) && !isLast);
    // A dot at the start of a line is met by SMTP, `From ` by mailboxes in one file.
    const isRisky = width === 0 && (byte === 0x2e || byte === 0x46);
    const piece =
      isPlain && !isRisky ? String.fromCharCode(byte) : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    if (width + piece.length > 75) {
      out += '=\r\n';
      width = 0;
    }
    out += piece;
    width += piece.length;
  }
  return out;
}
