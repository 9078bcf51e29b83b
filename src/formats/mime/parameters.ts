// Values with parameters, `text/plain; charset=utf-8`: tokens, quoted strings and comments (RFC 2045 §5.1), parameters in
// pieces and in other character sets (RFC 2231). What is broken is left out, as long as the rest can be understood.
import { decodeText } from './charsets.ts';

export interface Parameters {
  /** What stands before the first semicolon, as it came and without comments. */
  readonly value: string;
  /** Names in lower case, in their order, each once. Values are decoded, pieces joined. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** A value has so many at most; the rest is not read. */
const PARAMETERS_MAX = 100;

const TOKEN = /[^\s()<>@,;:\\"/[\]?=]/;

class Scanner {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get isDone(): boolean {
    return this.at >= this.text.length;
  }

  /** Blanks and comments, which nest (RFC 5322 §3.2.2). */
  skip(): void {
    const { text } = this;
    let depth = 0;
    for (; this.at < text.length; this.at++) {
      const char = text[this.at]!;
      if (char === '(') depth++;
      else if (char === ')' && depth > 0) depth--;
      else if (char === '\\' && depth > 0) this.at++;
      else if (depth === 0 && char !== ' ' && char !== '\t') return;
    }
  }

  quoted(): string {
    const { text } = this;
    let value = '';
    let from = ++this.at;
    for (; this.at < text.length; this.at++) {
      const char = text[this.at]!;
      if (char === '"') {
        value += text.slice(from, this.at++);
        return value;
      }
      if (char === '\\' && this.at + 1 < text.length) {
        value += text.slice(from, this.at);
        from = ++this.at;
      }
    }
    return value + text.slice(from, this.at);
  }

  /** Up to a character of `ends`, a blank or a comment. */
  word(ends: string): string {
    const { text } = this;
    const from = this.at;
    while (this.at < text.length && !ends.includes(text[this.at]!) && !' \t('.includes(text[this.at]!)) this.at++;
    return text.slice(from, this.at);
  }
}

export function readParameters(text: string): Parameters {
  const scanner = new Scanner(text);
  scanner.skip();
  let value = '';
  while (!scanner.isDone && text[scanner.at] !== ';') {
    value += scanner.word(';');
    scanner.skip();
  }
  const found: [name: string, value: string][] = [];
  while (!scanner.isDone && found.length < PARAMETERS_MAX) {
    scanner.at++;
    scanner.skip();
    const name = scanner.word(';=').toLowerCase();
    scanner.skip();
    if (text[scanner.at] !== '=') {
      while (!scanner.isDone && text[scanner.at] !== ';') scanner.at++;
      continue;
    }
    scanner.at++;
    scanner.skip();
    const given = text[scanner.at] === '"' ? scanner.quoted() : bare(scanner);
    if (name !== '') found.push([name, given]);
    while (!scanner.isDone && text[scanner.at] !== ';') scanner.at++;
  }
  return { value, parameters: joined(found) };
}

/** A value without quotes: also one with blanks or specials in it, which many mailers send. */
function bare(scanner: Scanner): string {
  const from = scanner.at;
  const { text } = scanner;
  while (!scanner.isDone && text[scanner.at] !== ';') scanner.at++;
  const given = text.slice(from, scanner.at).trim();
  // A comment behind a token is none of it.
  const comment = given.indexOf(' (');
  return comment > 0 && [...given.slice(0, comment)].every((char) => TOKEN.test(char))
    ? given.slice(0, comment)
    : given;
}

interface Pieces {
  readonly texts: (string | undefined)[];
  readonly encoded: boolean[];
}

/** Joins `name*0*`, `name*1` and so on, and decodes (RFC 2231 §3, §4). */
function joined(found: readonly (readonly [string, string])[]): (readonly [string, string])[] {
  const plain = new Map<string, string>();
  const pieces = new Map<string, Pieces>();
  for (const [name, value] of found) {
    const parts = /^([^*]+)\*(?:(\d{1,3})(\*)?)?$/.exec(name);
    if (parts === null) {
      if (!plain.has(name)) plain.set(name, value);
      continue;
    }
    const base = parts[1]!;
    const at = parts[2] === undefined ? 0 : Number(parts[2]);
    if (at >= PARAMETERS_MAX) continue;
    const of = pieces.get(base) ?? { texts: [], encoded: [] };
    pieces.set(base, of);
    of.texts[at] ??= value;
    of.encoded[at] = parts[2] === undefined || parts[3] !== undefined;
  }
  // The extended form is the better one where both are given (RFC 6266 §4.3, and as mailers do).
  for (const [name, of] of pieces) {
    const text = decoded(of);
    if (text !== null) plain.set(name, text);
  }
  return [...plain];
}

function decoded({ texts, encoded }: Pieces): string | null {
  if (texts[0] === undefined) return null;
  const bytes: Buffer[] = [];
  let charset = 'us-ascii';
  for (let at = 0; at < texts.length; at++) {
    let text = texts[at];
    if (text === undefined) break;
    if (encoded[at]) {
      const named = at === 0 ? /^([^']*)'[^']*'/.exec(text) : null;
      if (named !== null) {
        charset = named[1]! || charset;
        text = text.slice(named[0].length);
      }
      bytes.push(percentDecoded(text));
    } else bytes.push(Buffer.from(text, 'utf8'));
  }
  const all = Buffer.concat(bytes);
  return decodeText(all, charset === 'us-ascii' ? 'utf-8' : charset);
}

function percentDecoded(text: string): Buffer {
  const raw = Buffer.from(text, 'utf8');
  const out = Buffer.alloc(raw.length);
  let length = 0;
  for (let at = 0; at < raw.length; at++) {
    const pair = raw[at] === 0x25 ? raw.toString('latin1', at + 1, at + 3) : '';
    if (/^[0-9a-f]{2}$/i.test(pair)) {
      out[length++] = Number.parseInt(pair, 16);
      at += 2;
    } else out[length++] = raw[at]!;
  }
  return out.subarray(0, length);
}
