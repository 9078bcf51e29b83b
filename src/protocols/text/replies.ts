// Writes replies with three digits, of one line and of several, as FTP (RFC 959 §4.2) and SMTP (RFC 5321 §4.2) have them.
import type { ByteWriter } from '../../bytes/writer.ts';

const CR = 0x0d;
const LF = 0x0a;

/** `226 Done` */
export function writeReply(out: ByteWriter, code: number, text: string): void {
  writeLine(out, code, ' ', text);
}

/** Each line begins with the code, the last with the code and a space. */
export function writeReplyLines(out: ByteWriter, code: number, lines: readonly string[]): void {
  for (let index = 0; index < lines.length; index++)
    writeLine(out, code, index === lines.length - 1 ? ' ' : '-', lines[index]!);
}

/** `211-first`, lines that begin with a space, `211 last`. */
export function writeReplyBlock(
  out: ByteWriter,
  code: number,
  first: string,
  lines: readonly string[],
  last: string,
): void {
  writeLine(out, code, '-', first);
  for (const line of lines) writeInner(out, line);
  writeLine(out, code, ' ', last);
}

/** The first line of a reply whose others follow one by one. */
export function beginReply(out: ByteWriter, code: number, text: string): void {
  writeLine(out, code, '-', text);
}

/** A line within: it begins with a space, so that nobody takes it for the last. */
export function writeInner(out: ByteWriter, line: string): void {
  out.u8(0x20);
  out.utf8(plain(line));
  out.u8(CR);
  out.u8(LF);
}

function writeLine(out: ByteWriter, code: number, sign: string, text: string): void {
  out.ascii(`${code}${sign}`);
  out.utf8(plain(text));
  out.u8(CR);
  out.u8(LF);
}

/** What a peer gave may be repeated to it, but no line of ours is ended by it. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return /[\0-\x1f\x7f]/.test(text) ? text.replace(/[\0-\x1f\x7f]/g, '?') : text;
}
