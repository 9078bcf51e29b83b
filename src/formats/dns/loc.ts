// The data of LOC (RFC 1876): where something is, in degrees or on the wire in thousandths of an arc second.
import { BAD, u32 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Field } from './fields.ts';
import type { Words } from './words.ts';

const EQUATOR = 2 ** 31;
const ALTITUDE_BASE = 10_000_000;

/** Centimetres as a digit and a power of ten (RFC 1876 §2); -1 for what is none. */
function sizeFrom(word: string): number {
  const metres = /^(\d{1,8})(?:\.(\d{1,2}))?m?$/i.exec(word);
  if (metres === null) return -1;
  let centimetres = Number(metres[1]) * 100 + Number((metres[2] ?? '').padEnd(2, '0'));
  let power = 0;
  while (centimetres >= 10) {
    centimetres = Math.floor(centimetres / 10);
    power++;
  }
  return power > 9 ? -1 : (centimetres << 4) | power;
}

function sizeText(octet: number): string {
  const centimetres = (octet >>> 4) * 10 ** (octet & 15);
  return `${centimetres % 100 === 0 ? centimetres / 100 : (centimetres / 100).toFixed(2)}m`;
}

/** Degrees, minutes, seconds and a letter; the angle from the equator or meridian, or NaN. */
function angleFrom(words: Words, positive: string, negative: string, most: number): number {
  const parts: number[] = [];
  while (words.left > 0 && parts.length < 4) {
    const word = words.next();
    const letter = word.toUpperCase();
    if (letter === positive || letter === negative) {
      const [degrees = Number.NaN, minutes = 0, seconds = 0] = parts;
      if (minutes >= 60 || seconds >= 60) return Number.NaN;
      const angle = Math.round(((degrees * 60 + minutes) * 60 + seconds) * 1_000);
      if (!(angle <= most * 3_600_000)) return Number.NaN;
      return letter === positive ? angle : -angle;
    }
    const pattern = parts.length === 2 ? /^\d{1,2}(?:\.\d{1,3})?$/ : /^\d{1,3}$/;
    if (!pattern.test(word)) return Number.NaN;
    parts.push(Number(word));
  }
  return Number.NaN;
}

function angleText(angle: number, positive: string, negative: string): string {
  const size = Math.abs(angle);
  const seconds = (size % 60_000) / 1_000;
  const minutes = Math.floor(size / 60_000);
  return `${Math.floor(minutes / 60)} ${minutes % 60} ${seconds.toFixed(3)} ${angle < 0 ? negative : positive}`;
}

function altitudeFrom(word: string): number {
  const metres = /^(-?)(\d{1,8})(?:\.(\d{1,2}))?m?$/i.exec(word);
  if (metres === null) return -1;
  const size = Number(metres[2]) * 100 + Number((metres[3] ?? '').padEnd(2, '0'));
  return ALTITUDE_BASE + (metres[1] === '-' ? -size : size);
}

function write(words: Words, out: ByteWriter): boolean {
  const latitude = angleFrom(words, 'N', 'S', 90);
  const longitude = angleFrom(words, 'E', 'W', 180);
  const altitude = altitudeFrom(words.next());
  if (Number.isNaN(latitude) || Number.isNaN(longitude) || altitude < 0 || altitude > 0xffff_ffff) return false;
  // A metre, ten kilometres and ten metres, unless said (RFC 1876 §3).
  const sizes = ['1m', '10000m', '10m'].map((usual) => sizeFrom(words.left > 0 ? words.next() : usual));
  if (sizes.some((size) => size < 0)) return false;
  out.u8(0);
  for (const size of sizes) out.u8(size);
  out.u32(EQUATOR + latitude);
  out.u32(EQUATOR + longitude);
  out.u32(altitude);
  return true;
}

function text(bytes: Uint8Array, at: number, end: number): string {
  if (bytes[at] !== 0 || end - at !== 16) return '';
  const sane = (octet: number) => sizeFrom(sizeText(octet)) === octet;
  if (![1, 2, 3].every((index) => sane(bytes[at + index]!))) return '';
  if (Math.abs(u32(bytes, at + 4) - EQUATOR) > 324_000_000 || Math.abs(u32(bytes, at + 8) - EQUATOR) > 648_000_000)
    return '';
  const latitude = angleText(u32(bytes, at + 4) - EQUATOR, 'N', 'S');
  const longitude = angleText(u32(bytes, at + 8) - EQUATOR, 'E', 'W');
  const altitude = ((u32(bytes, at + 12) - ALTITUDE_BASE) / 100).toFixed(2);
  const sizes = [1, 2, 3].map((index) => sizeText(bytes[at + index]!));
  return `${latitude} ${longitude} ${altitude}m ${sizes.join(' ')}`;
}

export const loc: Field = {
  // Another version may be of another length (RFC 1876 §2), which is then not ours to read.
  size: (bytes, at, end) => (at < end && (bytes[at] !== 0 || end - at === 16) ? end : BAD),
  write,
  text,
};
