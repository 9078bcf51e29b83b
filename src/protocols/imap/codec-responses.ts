// Reads what a server says (RFC 9051 §7): one whole response with its literals, as a tree of values.
import { latin1 } from '../../bytes/reader.ts';
import { CommandReader } from './codec.ts';

/** NIL is null; a literal its bytes; atoms, numbers, flags and quoted strings are texts. */
export type Value = string | Buffer | null | readonly Value[];

/** What comes without being the end of a command. */
export interface Untagged {
  /** In capitals: `EXISTS`, `FETCH`, `OK`. */
  readonly name: string;
  /** Of EXISTS, EXPUNGE, FETCH; else 0. */
  readonly number: number;
  /** Behind the name; of OK, NO, BAD, BYE and PREAUTH none. */
  readonly values: readonly Value[];
  /** Of those: the response code without brackets, and what is said to a person. */
  readonly code: string;
  readonly text: string;
}

/** How a command ended. */
export interface Ending {
  readonly status: 'OK' | 'NO' | 'BAD';
  readonly code: string;
  readonly text: string;
}

const SP = 0x20;
const QUOTE = 0x22;
const OPEN = 0x28;
const CLOSE = 0x29;
const BRACE = 0x7b;
const BRACKET = 0x5b;
const END_BRACKET = 0x5d;
const TILDE = 0x7e;
const DEPTH_MAX = 100;
const STATES: ReadonlySet<string> = new Set(['OK', 'NO', 'BAD', 'BYE', 'PREAUTH']);

/** `[CODE with more] words` */
function stateOf(text: string): { readonly code: string; readonly text: string } {
  const [, code = '', said = ''] = /^(?:\[([^\]]*)\] ?)?([\s\S]*)$/.exec(text)!;
  return { code, text: said };
}

/** `A1 OK [CODE] words` without the tag; null for what is none. */
export function endingOf(text: string): Ending | null {
  const parts = /^(OK|NO|BAD)(?: ([\s\S]*))?$/i.exec(text);
  if (parts === null) return null;
  return { status: parts[1]!.toUpperCase() as Ending['status'], ...stateOf(parts[2] ?? '') };
}

export class ResponseReader {
  private readonly said = new CommandReader();

  /** Reads what is behind `* `; null for what is no response. */
  untagged(bytes: Uint8Array, start: number, stop: number): Untagged | null {
    const { said } = this;
    said.begin(bytes, start, stop);
    let name = said.word();
    let number = 0;
    if (/^\d+$/.test(name)) {
      number = Number(name);
      said.space();
      name = said.word();
    }
    if (!said.ok) return null;
    if (STATES.has(name)) {
      const text = latin1(bytes, Math.min(stop, said.at + 1), stop);
      return { name, number, values: [], ...stateOf(text) };
    }
    const values: Value[] = [];
    while (said.ok && said.takes(SP)) {
      // Some servers end a list with a space.
      if (said.at < stop) values.push(this.value(0));
    }
    return said.done() ? { name, number, values, code: '', text: '' } : null;
  }

  private value(depth: number): Value {
    const { said } = this;
    const byte = said.peek();
    if (byte === OPEN) return this.list(depth);
    if (byte === QUOTE) return said.string();
    if (byte === BRACE || byte === TILDE) return this.literal();
    const word = this.word();
    return word === 'NIL' || word === 'nil' ? null : word;
  }

  private list(depth: number): readonly Value[] {
    const { said } = this;
    const values: Value[] = [];
    said.at++;
    if (depth === DEPTH_MAX) said.bad('It is nested too deep.');
    while (said.ok && !said.closes()) {
      // Bodies of a multipart stand side by side (RFC 9051 §9).
      if (!said.takes(SP) || said.peek() !== CLOSE) values.push(this.value(depth + 1));
    }
    return values;
  }

  private literal(): Buffer {
    const { said } = this;
    said.takes(TILDE);
    said.needs(BRACE);
    const size = said.large();
    said.needs(0x7d);
    const from = said.at + 2;
    if (!said.ok || from + size > said.end) {
      said.bad('That is no literal.');
      return Buffer.alloc(0);
    }
    said.at = from + size;
    return Buffer.from(said.bytes.subarray(from, said.at));
  }

  /** An atom, with what stands in brackets: `BODY[HEADER.FIELDS (SUBJECT)]<0>`, `\Seen`. */
  private word(): string {
    const { said } = this;
    const { bytes, end, at: start } = said;
    let at = start;
    let isWithin = false;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === BRACKET) isWithin = true;
      else if (byte === END_BRACKET) isWithin = false;
      else if (!isWithin && (byte === SP || byte === OPEN || byte === CLOSE || byte === QUOTE)) break;
    }
    if (at === start) said.bad('There is no word where one belongs.');
    said.at = Math.max(at, said.ok ? at : said.end);
    return latin1(bytes, start, at);
  }
}

/** The value behind a name in a list of pairs, as FETCH has them; undefined where it is not. */
export function pairOf(list: Value | undefined, name: string): Value | undefined {
  if (!Array.isArray(list)) return undefined;
  for (let at = 0; at + 1 < list.length; at += 2) {
    const key: Value = list[at];
    if (typeof key === 'string' && key.toUpperCase() === name) return list[at + 1];
  }
  return undefined;
}

/** A text as it stands in a command: quoted; null where only a literal can say it. */
export function quotedText(text: string): string | null {
  return /^[\x20-\x7e]*$/.test(text) && text.length < 1_000 ? `"${text.replace(/["\\]/g, '\\$&')}"` : null;
}
