// Encoded words in headers, `=?utf-8?q?caf=C3=A9?=` (RFC 2047): read and written.
import { decodeText } from './charsets.ts';

const WORD = /=\?([^?\s*]+)(?:\*[^?\s]*)?\?([bq])\?([^?\s]*)\?=/gi;
/** A word has 75 characters at most (RFC 2047 §2); these leave room on the line for the field's name. */
const WORD_BYTES = 39;

/** Text with its encoded words decoded; blanks between two of them vanish (RFC 2047 §6.2). */
export function decodeWords(text: string): string {
  if (!text.includes('=?')) return text;
  let out = '';
  let at = 0;
  let charset = '';
  let pending: Buffer[] = [];
  const flush = () => {
    // A character may be split over words of one charset, although it should not (RFC 2047 §5).
    if (pending.length > 0) out += decodeText(Buffer.concat(pending), charset);
    pending = [];
  };
  for (const match of text.matchAll(WORD)) {
    const between = text.slice(at, match.index);
    const adjacent = at > 0 && /^[ \t\r\n]*$/.test(between);
    const name = match[1]!.toLowerCase();
    if (!adjacent || name !== charset) flush();
    if (!adjacent) out += between;
    charset = name;
    pending.push(match[2]!.toLowerCase() === 'b' ? Buffer.from(match[3]!, 'base64') : unquoted(match[3]!));
    at = match.index + match[0].length;
  }
  flush();
  return out + text.slice(at);
}

/** RFC 2047 §4.2. */
function unquoted(text: string): Buffer {
  const plain = text
    .replace(/_/g, ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(plain, 'latin1');
}

/** Text for a header: itself where it is printable ASCII, else in encoded words. */
export function encodeWords(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  const plain = text.replace(/[\0-\x1f\x7f]+/g, ' ');
  if (/^[\x20-\x7e]*$/.test(plain) && !plain.includes('=?')) return plain;
  const words: string[] = [];
  let piece = '';
  let size = 0;
  for (const char of plain) {
    const bytes = Buffer.byteLength(char);
    if (size + bytes > WORD_BYTES) {
      words.push(piece);
      piece = '';
      size = 0;
    }
    piece += char;
    size += bytes;
  }
  words.push(piece);
  return words.map((word) => `=?utf-8?b?${Buffer.from(word).toString('base64')}?=`).join(' ');
}
