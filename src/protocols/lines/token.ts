// Topics and filters as one word of a line: what would end the word, or be taken for a line break, is written `%XX`.
import { copyOf, isUtf8, utf8 } from '../../bytes/reader.ts';
import { isReservedWord } from './words.ts';

const PERCENT = 0x25;

/** The value of a hexadecimal digit, or -1. */
function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const small = byte | 0x20;
  return small >= 0x61 && small <= 0x66 ? small - 0x57 : -1;
}

/** The word in `input[start..end)`, which is UTF-8; null when an escape is not one, or leads to what is no UTF-8. */
export function readToken(input: Uint8Array, start: number, end: number): string | null {
  for (let at = start; at < end; at++) if (input[at] === PERCENT) return readEscaped(input, start, end);
  return utf8(input, start, end);
}

function readEscaped(input: Uint8Array, start: number, end: number): string | null {
  const plain = Buffer.allocUnsafe(end - start);
  let size = 0;
  for (let at = start; at < end; at++) {
    const byte = input[at]!;
    if (byte !== PERCENT) {
      plain[size++] = byte;
      continue;
    }
    if (at + 2 >= end) return null;
    const high = hexValue(input[at + 1]!);
    const low = hexValue(input[at + 2]!);
    if (high < 0 || low < 0) return null;
    plain[size++] = high * 16 + low;
    at += 2;
  }
  return isUtf8(plain, 0, size) ? utf8(plain, 0, size) : null;
}

/** Whether a UTF-16 unit ends a word or a line somewhere, steers a terminal, or is the escape itself. */
function mustEscape(code: number): boolean {
  if (code <= 0x20 || code === PERCENT) return true;
  if (code < 0x7f) return false;
  return code <= 0xa0 || SPACES.includes(code) || (code >= 0x2000 && code <= 0x200a);
}

/** White space of Unicode beyond Latin-1 and the row from U+2000. */
const SPACES = [0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff];

function escaped(text: string): string {
  let word = '';
  for (const byte of Buffer.from(text)) word += `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`;
  return word;
}

/** Text as one word. */
export function word(text: string): string {
  for (let at = 0; at < text.length; at++) {
    if (!mustEscape(text.charCodeAt(at))) continue;
    let done = text.slice(0, at);
    for (const character of text.slice(at)) {
      // Beyond the first 65,536 characters there is none to escape.
      done += character.length === 1 && mustEscape(character.charCodeAt(0)) ? escaped(character) : character;
    }
    return done;
  }
  return text;
}

/** A topic as the first word of a message's line: never one that the server or a command begins with. */
export function topicWord(topic: string): string {
  if (isReservedWord(topic)) return escaped(topic.slice(0, 1)) + word(topic.slice(1));
  return word(topic);
}

/** Names that are known: the same few come again and again. */
const KNOWN = 256;

/** Longer ones are read anew each time. */
const KNOWN_BYTES_MAX = 128;

/** Topics by the bytes of their word, so that a publisher that repeats itself costs no new strings. */
export class KnownWords {
  private readonly bytes: (Uint8Array | undefined)[] = [];
  private readonly texts: string[] = [];

  /** As {@link readToken}. */
  read(input: Uint8Array, start: number, end: number): string | null {
    const size = end - start;
    if (size > KNOWN_BYTES_MAX) return readToken(input, start, end);
    let hash = size;
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + input[at]!) | 0;
    const place = (hash ^ (hash >>> 13)) & (KNOWN - 1);
    const known = this.bytes[place];
    if (known !== undefined && known.length === size) {
      let index = 0;
      while (index < size && known[index] === input[start + index]) index++;
      if (index === size) return this.texts[place]!;
    }
    const text = readToken(input, start, end);
    if (text === null) return null;
    this.bytes[place] = copyOf(input, start, end);
    this.texts[place] = text;
    return text;
  }
}
