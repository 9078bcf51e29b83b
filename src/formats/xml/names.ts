// Names out of documents as strings that are made once: most documents use the same few. What is kept is bounded; a name
// that nobody uses again makes room for the next.
import { copyOf, utf8 } from '../../bytes/reader.ts';

const SLOTS = 2_048;

interface Kept {
  readonly hash: number;
  readonly bytes: Uint8Array;
  readonly text: string;
}

const kept: (Kept | undefined)[] = new Array<Kept | undefined>(SLOTS).fill(undefined);

/** NCName (Namespaces in XML 1.0 §3) by the characters of XML 1.0 §2.3. */
const START_CHARS =
  'A-Z_a-z\\u{C0}-\\u{D6}\\u{D8}-\\u{F6}\\u{F8}-\\u{2FF}\\u{370}-\\u{37D}\\u{37F}-\\u{1FFF}\\u{200C}-\\u{200D}' +
  '\\u{2070}-\\u{218F}\\u{2C00}-\\u{2FEF}\\u{3001}-\\u{D7FF}\\u{F900}-\\u{FDCF}\\u{FDF0}-\\u{FFFD}\\u{10000}-\\u{EFFFF}';
const NCNAME = new RegExp(`^[${START_CHARS}][${START_CHARS}\\-.0-9\\u{B7}\\u{300}-\\u{36F}\\u{203F}-\\u{2040}]*$`, 'u');

export function isName(text: string): boolean {
  return NCNAME.test(text);
}

/** The name that `bytes[start..end)` is, whose `hash` was made of its bytes by `hash * 31 + byte | 0`; null for none. */
export function internedName(bytes: Uint8Array, start: number, end: number, hash: number): string | null {
  const slot = (hash ^ (hash >>> 13)) & (SLOTS - 1);
  const found = kept[slot];
  if (found !== undefined && found.hash === hash && isSame(found.bytes, bytes, start, end)) return found.text;
  const text = utf8(bytes, start, end);
  if (!isName(text)) return null;
  kept[slot] = { hash, bytes: copyOf(bytes, start, end), text };
  return text;
}

function isSame(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let at = 0; at < name.length; at++) if (name[at] !== bytes[start + at]) return false;
  return true;
}
