// Writes the pieces of responses: strings in the form that fits them, flags, dates.
import type { ByteWriter } from '../../bytes/writer.ts';

const QUOTED_MAX = 1_000;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const SYSTEM = ['\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft'];
/** Bits of the five system flags as text. */
const SYSTEM_TEXTS: readonly string[] = Array.from({ length: 32 }, (_, bits) =>
  SYSTEM.filter((_name, at) => (bits & (1 << at)) !== 0).join(' '),
);

/** A string: quoted where it can be, else a literal. `utf8`: quoted strings may hold it. */
export function writeString(out: ByteWriter, text: string, utf8: boolean): void {
  if (text.length <= QUOTED_MAX && (/^[\x20-\x7e]*$/.test(text) || (utf8 && !/[\0\r\n]/.test(text)))) {
    out.u8(0x22);
    out.utf8(/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text);
    out.u8(0x22);
    return;
  }
  const plain = text.includes('\0') ? text.replaceAll('\0', '?') : text;
  out.ascii(`{${Buffer.byteLength(plain)}}\r\n`);
  out.utf8(plain);
}

/** A string, or NIL for null. */
export function writeNstring(out: ByteWriter, text: string | null, utf8: boolean): void {
  if (text === null) out.ascii('NIL');
  else writeString(out, text, utf8);
}

/** A name as an atom where it is one. */
export function writeName(out: ByteWriter, name: string, utf8: boolean): void {
  if (/^[\w.\-/&,+~@]+$/.test(name) && !/^nil$/i.test(name)) out.ascii(name);
  else writeString(out, name, utf8);
}

/** `\Seen \Flagged word` */
export function flagsText(bits: number, keywords: readonly string[], isRecent: boolean): string {
  let text = SYSTEM_TEXTS[bits & 31]!;
  if (isRecent) text = text === '' ? '\\Recent' : `\\Recent ${text}`;
  const words = bits >>> 5;
  if (words === 0) return text;
  for (let at = 0; at < keywords.length; at++)
    if ((words & (1 << at)) !== 0) text = text === '' ? keywords[at]! : `${text} ${keywords[at]!}`;
  return text;
}

function two(number: number): string {
  return number < 10 ? `0${number}` : String(number);
}

/** `17-Jul-1996 02:44:25 +0000` */
export function dateTimeText(ms: number): string {
  const date = new Date(ms);
  const day = date.getUTCDate();
  const time = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  const year = String(date.getUTCFullYear()).padStart(4, '0');
  return `${day < 10 ? ' ' : ''}${day}-${MONTHS[date.getUTCMonth()]!}-${year} ${time} +0000`;
}
