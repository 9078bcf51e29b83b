// Names and values of fields as HTTP/2 and HTTP/3 have them in header compression: what cannot be one is kept as something
// that is found again.
import { isUtf8, latin1, utf8 } from '../../bytes/reader.ts';
import { FIELD_VALUE, TOKEN } from './chars.ts';

/** What texts that cannot stand in a message are kept as, so that they are found again wherever the table is referred to. */
const BROKEN = '\0';

/** Lower-case tokens; a colon before them only for what the standard knows (RFC 9113 §8.2.1, §8.3). */
export function nameOf(bytes: Uint8Array, start: number, end: number): string {
  const from = start < end && bytes[start] === 0x3a ? start + 1 : start;
  if (from === end) return BROKEN.repeat(end - start);
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!;
    if (TOKEN[byte] === 0 || (byte >= 0x41 && byte <= 0x5a)) return BROKEN.repeat(end - start);
  }
  return latin1(bytes, start, end);
}

/** No control character, and no white space at either end (RFC 9113 §8.2.1). */
export function fieldValueOf(bytes: Uint8Array, start: number, end: number): string {
  if (start === end) return '';
  const first = bytes[start]!;
  const last = bytes[end - 1]!;
  if (first === 0x20 || first === 9 || last === 0x20 || last === 9) return BROKEN;
  let wide = false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (FIELD_VALUE[byte] === 0) return BROKEN;
    if (byte > 0x7f) wide = true;
  }
  return wide && isUtf8(bytes, start, end) ? utf8(bytes, start, end) : latin1(bytes, start, end);
}

/** Whether a pair of texts, as they were kept, can stand in a message. */
export function isBroken(name: string, value: string): boolean {
  return name === '' || name.charCodeAt(0) === 0 || value.charCodeAt(0) === 0;
}
