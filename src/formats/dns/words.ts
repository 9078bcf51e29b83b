// The words of one record in a master file, and how character-strings are written in them (RFC 1035 §5.1). It does not know
// what the words mean.
import type { ByteWriter } from '../../bytes/writer.ts';
import { escapeAt } from './name.ts';

/** Words with their escapes still in them, one character an octet, read from `at` on. */
export class Words {
  texts: string[] = [];
  count = 0;
  at = 0;

  get left(): number {
    return this.count - this.at;
  }

  /** The next word, or '' behind the last. */
  next(): string {
    return this.at < this.count ? this.texts[this.at++]! : '';
  }

  /** All that are left, without anything between them. */
  rest(): string {
    let text = '';
    while (this.at < this.count) text += this.texts[this.at++]!;
    return text;
  }

  /** Cuts text of one line; for tests, commands and configuration. Null when a quotation has no end. */
  static of(text: string): Words | null {
    const words = new Words();
    let at = 0;
    while (at < text.length) {
      if (text[at] === ' ' || text[at] === '\t') {
        at++;
        continue;
      }
      const end = words.take(text, at);
      if (end < 0) return null;
      at = end;
    }
    return words;
  }

  /** Takes the word that begins at `at`, and answers the index behind it; -1 when a quotation has no end. */
  take(text: string, at: number): number {
    let word = '';
    let from = at;
    let quoted = false;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === 0x5c) at++;
      else if (code === 0x22) {
        word += text.slice(from, at);
        from = at + 1;
        quoted = !quoted;
      } else if (!quoted && (code === 0x20 || code === 0x09)) break;
    }
    if (quoted) return -1;
    this.texts[this.count++] = word + text.slice(from, at);
    return at;
  }
}

/** Writes the octets that a word stands for; false for an escape that is none. */
export function writeOctets(out: ByteWriter, word: string): boolean {
  for (let at = 0; at < word.length; at++) {
    let byte = word.charCodeAt(at);
    if (byte === 0x5c) {
      byte = escapeAt(word, at);
      if (byte < 0) return false;
      const digit = word.charCodeAt(at + 1);
      at += digit >= 0x30 && digit <= 0x39 ? 3 : 1;
    }
    if (byte > 0xff) return false;
    out.u8(byte);
  }
  return true;
}

/** Octets within quotation marks. */
export function quoted(bytes: Uint8Array, start: number, end: number): string {
  return `"${escaped(bytes, start, end)}"`;
}

/** Octets with what is not printable, quotation marks and backslashes escaped. */
export function escaped(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte < 0x20 || byte >= 0x7f) text += `\\${String(byte).padStart(3, '0')}`;
    else if (byte === 0x22 || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
    else text += String.fromCharCode(byte);
  }
  return text;
}
