// Commands of SMTP: verbs, paths and parameters (RFC 5321 §4.1.2), read leniently where clients are.
import { isUtf8, latin1, utf8 } from '../../bytes/reader.ts';

/** A verb in capitals and what is behind it. */
export interface Command {
  readonly verb: string;
  readonly argument: string;
}

/** Null for a line that is no text. */
export function readCommand(input: Uint8Array, start: number, stop: number): Command | null {
  if (!isUtf8(input, start, stop)) return null;
  const text = utf8(input, start, stop);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(text)) return null;
  const blank = text.search(/[ \t]/);
  if (blank < 0) return { verb: text.toUpperCase(), argument: '' };
  return { verb: text.slice(0, blank).toUpperCase(), argument: text.slice(blank + 1).trim() };
}

export interface Path {
  /** Without its brackets and its route; `''` for `<>`. */
  readonly address: string;
  /** Names in capitals. */
  readonly parameters: ReadonlyMap<string, string>;
}

const PARAMETERS_MAX = 20;

/** `FROM:<ann@example.org> SIZE=5`, behind MAIL; null for what is none. */
export function readPath(argument: string, keyword: 'FROM' | 'TO'): Path | null {
  const begin = /^(\w+)\s*:\s*/.exec(argument);
  if (begin === null || begin[1]!.toUpperCase() !== keyword) return null;
  const rest = argument.slice(begin[0].length);
  const end = rest.startsWith('<') ? endOfPath(rest) : endOfBare(rest);
  if (end < 0) return null;
  const isBracketed = rest.startsWith('<');
  const inner = isBracketed ? rest.slice(1, end - 1) : rest.slice(0, end);
  // A route of the old days is passed over (RFC 5321 §3.3, appendix C).
  const address = inner.replace(/^@[^:"<>]*:/, '').trim();
  if (/[<>]/.test(address.replace(/"(?:[^"\\]|\\.)*"/g, '')) || (!isBracketed && address === '')) return null;
  const parameters = readParameters(rest.slice(end));
  return parameters === null ? null : { address, parameters };
}

/** Behind the closing bracket, which may stand within quotes as well. */
function endOfPath(text: string): number {
  let quoted = false;
  for (let at = 1; at < text.length; at++) {
    const char = text[at];
    if (char === '\\' && quoted) at++;
    else if (char === '"') quoted = !quoted;
    else if (char === '>' && !quoted) return at + 1;
  }
  return -1;
}

/** Some devices leave the brackets out. */
function endOfBare(text: string): number {
  const blank = text.indexOf(' ');
  return blank < 0 ? text.length : blank;
}

function readParameters(text: string): ReadonlyMap<string, string> | null {
  const found = new Map<string, string>();
  if (text === '') return found;
  if (!/^\s/.test(text)) return null;
  for (const word of text.trim().split(/\s+/)) {
    if (word === '') continue;
    const parts = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^=]+))?$/.exec(word);
    if (parts === null || found.size >= PARAMETERS_MAX) return null;
    const name = parts[1]!.toUpperCase();
    if (found.has(name)) return null;
    found.set(name, parts[2] ?? '');
  }
  return found;
}

const XTEXT = /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/;

/** What is wrong with a parameter that wishes for reports (RFC 3461 §4); null for nothing. */
export function wrongReport(name: string, value: string): readonly [number, string] | null {
  switch (name) {
    case 'RET':
      return /^(?:FULL|HDRS)$/i.test(value) ? null : [501, '5.5.4 RET is FULL or HDRS.'];
    case 'ENVID':
      return value !== '' && value.length <= 100 && XTEXT.test(value) ? null : [501, '5.5.4 ENVID is not xtext.'];
    case 'NOTIFY':
      return /^(?:NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2})$/i.test(value)
        ? null
        : [501, '5.5.4 NOTIFY is NEVER, or some of SUCCESS, FAILURE and DELAY.'];
    default: {
      const parts = /^[\w.-]{1,40};(.*)$/.exec(value);
      // Addresses beyond ASCII may stand as they are (RFC 6533 §3).
      const isRight = parts !== null && value.length <= 500 && (XTEXT.test(parts[1]!) || /^utf-8;/i.test(value));
      return isRight ? null : [501, '5.5.4 ORCPT is a type, a semicolon and an address as xtext.'];
    }
  }
}

/** What EHLO and HELO say of who is there: a domain or an address literal; clients say all kinds of things. */
export function isGreetingName(name: string): boolean {
  return /^[\p{L}\p{N}_.:[\]-]{1,255}$/u.test(name);
}

/** Whether a line shows a secret: AUTH with an initial response. */
export function isSecret(input: Uint8Array, start: number, stop: number): boolean {
  return /^AUTH\s+\S+\s+\S/i.test(latin1(input, start, Math.min(stop, start + 64)));
}
