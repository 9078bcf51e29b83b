// Reads the pieces of a command by offset (RFC 9051 §9): atoms, strings, literals, lists, dates, sets. What is wrong is kept in
// `fault` and nothing is read from then on, so that a command is judged once, at its end.
import { isUtf8, latin1, utf8 } from '../../bytes/reader.ts';
import { GREATEST, type SequenceSet } from './sets.ts';
import { decodeUtf7 } from './utf7.ts';

const SP = 0x20;
const QUOTE = 0x22;
const OPEN = 0x28;
const CLOSE = 0x29;
const STAR = 0x2a;
const BACKSLASH = 0x5c;
const BRACE = 0x7b;
const END_BRACE = 0x7d;
const TILDE = 0x7e;
const DOLLAR = 0x24;

/** What kinds of bytes there are, as bits. */
const ATOM = 1;
const ASTRING = 2;
const LIST = 4;
const TAG = 8;
const KINDS = kinds();

function kinds(): Uint8Array {
  const table = new Uint8Array(256);
  for (let byte = 0x21; byte < 0x7f; byte++) {
    const char = String.fromCharCode(byte);
    if (!'(){%*"\\]'.includes(char)) table[byte] = ATOM | ASTRING | LIST | TAG;
    else if (char === ']') table[byte] = ASTRING | LIST | TAG;
    else if (char === '%' || char === '*') table[byte] = LIST;
  }
  table['+'.charCodeAt(0)]! &= ~TAG;
  // UTF-8 in a bare name is no one's grammar, and what some clients send.
  for (let byte = 0x80; byte < 0x100; byte++) table[byte] = ASTRING | LIST;
  return table;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const NONE = new Uint8Array(0);

/** A flag of a system by its name in lower case: its bit. */
export const FLAG_BITS: ReadonlyMap<string, number> = new Map([
  ['\\seen', 1],
  ['\\answered', 2],
  ['\\flagged', 4],
  ['\\deleted', 8],
  ['\\draft', 16],
]);

export interface Flags {
  bits: number;
  readonly keywords: string[];
}

/** What a literal's announcement at the end of a line says. */
export interface Announced {
  /** -1: there is none; -2: it is malformed. */
  size: number;
  /** It comes without being waited for (RFC 7888). */
  isEager: boolean;
  /** `~{`: it may hold any byte (RFC 3516). */
  isBinary: boolean;
  /** Where the announcement begins. */
  start: number;
}

/** Reads the announcement at the end of a line, `{12}`, `{12+}`, `~{12}`. */
export function readAnnounced(bytes: Uint8Array, start: number, stop: number, into: Announced): void {
  into.size = -1;
  if (stop - start < 3 || bytes[stop - 1] !== END_BRACE) return;
  let at = stop - 2;
  into.isEager = bytes[at] === 0x2b;
  if (into.isEager) at--;
  const digits = at;
  while (at >= start && bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at--;
  if (at < start || bytes[at] !== BRACE || at === digits) return;
  into.size = digits - at > 15 ? -2 : Number(latin1(bytes, at + 1, digits + 1));
  into.isBinary = at > start && bytes[at - 1] === TILDE;
  into.start = into.isBinary ? at - 1 : at;
}

export class CommandReader {
  bytes: Uint8Array = NONE;
  at = 0;
  end = 0;
  /** What is wrong, for a person; '' while nothing is. */
  fault = '';
  /** Names of mailboxes are UTF-8 (RFC 6855 §3, RFC 9051 §5.1). */
  isUtf8 = false;

  begin(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.fault = '';
  }

  get ok(): boolean {
    return this.fault === '';
  }

  /** Nothing is left, and nothing was wrong. */
  done(): boolean {
    if (this.ok && this.at !== this.end) this.bad('There is more than belongs there.');
    return this.ok;
  }

  bad(fault: string): void {
    if (this.ok) this.fault = fault;
    this.at = this.end;
  }

  peek(): number {
    return this.at < this.end ? this.bytes[this.at]! : -1;
  }

  /** Takes a byte if it is this one. */
  takes(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.at++;
    return true;
  }

  needs(byte: number): void {
    if (!this.takes(byte))
      this.bad(`There is no ${byte === SP ? 'space' : String.fromCharCode(byte)} where one belongs.`);
  }

  space(): void {
    this.needs(SP);
  }

  opens(): boolean {
    return this.takes(OPEN);
  }

  closes(): boolean {
    return this.takes(CLOSE);
  }

  private run(kind: number): number {
    const { bytes, end } = this;
    let at = this.at;
    while (at < end && (KINDS[bytes[at]!]! & kind) !== 0) at++;
    return at;
  }

  private text(start: number, stop: number): string {
    return isUtf8(this.bytes, start, stop) ? utf8(this.bytes, start, stop) : latin1(this.bytes, start, stop);
  }

  tag(): string {
    const stop = this.run(TAG);
    if (stop === this.at || stop - this.at > 256) {
      this.bad('There is no tag.');
      return '';
    }
    const tag = latin1(this.bytes, this.at, stop);
    this.at = stop;
    return tag;
  }

  atom(): string {
    const stop = this.run(ATOM);
    if (stop === this.at) {
      this.bad('There is no word where one belongs.');
      return '';
    }
    const atom = latin1(this.bytes, this.at, stop);
    this.at = stop;
    return atom;
  }

  /** An atom in capitals. */
  word(): string {
    return this.atom().toUpperCase();
  }

  /** Letters, digits, dots and dashes, in capitals: what stands before a bracket. */
  name(): string {
    const { bytes, end, at: start } = this;
    let at = start;
    while (at < end && /[A-Za-z0-9.-]/.test(String.fromCharCode(bytes[at]!))) at++;
    if (at === start) this.bad('There is no word where one belongs.');
    this.at = at;
    return latin1(bytes, start, at).toUpperCase();
  }

  private digits(most: number): number {
    const { bytes, end, at: start } = this;
    let at = start;
    while (at < end && bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at++;
    const number = at - start > 16 ? Number.POSITIVE_INFINITY : Number(latin1(bytes, start, at));
    if (at === start || number > most) {
      this.bad('There is no number where one belongs, or it is too large.');
      return 0;
    }
    this.at = at;
    return number;
  }

  number(): number {
    return this.digits(0xffff_ffff);
  }

  positive(): number {
    const number = this.digits(0xffff_ffff);
    if (number === 0) this.bad('Zero is no number here.');
    return number;
  }

  /** A number of 63 bits, as far as it is exact. */
  large(): number {
    return this.digits(Number.MAX_SAFE_INTEGER);
  }

  // ---- strings -------------------------------------------------------------------------------------------------------

  /** An atom with `]`, or a string. */
  astring(): string {
    const byte = this.peek();
    if (byte === QUOTE || byte === BRACE) return this.string();
    const stop = this.run(ASTRING);
    if (stop === this.at) {
      this.bad('There is no string where one belongs.');
      return '';
    }
    const text = this.text(this.at, stop);
    this.at = stop;
    return text;
  }

  string(): string {
    const byte = this.peek();
    if (byte === QUOTE) return this.quoted();
    if (byte === BRACE) return this.literal();
    this.bad(byte === TILDE ? 'A literal with any byte cannot stand here.' : 'There is no string where one belongs.');
    return '';
  }

  /** A string, or null for NIL. */
  nstring(): string | null {
    const byte = this.peek();
    if (byte === QUOTE || byte === BRACE) return this.string();
    if (this.word() !== 'NIL') this.bad('There is no string where one belongs.');
    return null;
  }

  private quoted(): string {
    const { bytes, end } = this;
    let at = this.at + 1;
    let escapes = false;
    while (at < end && bytes[at] !== QUOTE) {
      if (bytes[at] === BACKSLASH) {
        escapes = true;
        at++;
      }
      at++;
    }
    if (at >= end) {
      this.bad('A quoted string is not closed.');
      return '';
    }
    const text = this.text(this.at + 1, at);
    this.at = at + 1;
    return escapes ? text.replace(/\\(.)/gs, '$1') : text;
  }

  private literal(): string {
    this.at++;
    const size = this.number();
    this.takes(0x2b);
    this.needs(END_BRACE);
    if (this.ok && (this.bytes[this.at] !== 0x0d || this.bytes[this.at + 1] !== 0x0a)) this.bad('That is no literal.');
    const start = this.at + 2;
    if (!this.ok || start + size > this.end) {
      this.bad('That is no literal.');
      return '';
    }
    this.at = start + size;
    const text = this.text(start, this.at);
    if (text.includes('\0')) this.bad('A string has no NUL.');
    return text;
  }

  // ---- mailboxes -----------------------------------------------------------------------------------------------------

  /** A mailbox's name, as text. */
  mailbox(): string {
    const name = this.decoded(this.astring());
    return /^inbox$/i.test(name) ? 'INBOX' : name;
  }

  /** The same where it may be empty, and INBOX is nothing special. */
  mailboxOrNone(): string {
    return this.decoded(this.astring());
  }

  private decoded(name: string): string {
    if (this.isUtf8) return name;
    const text = decodeUtf7(name);
    if (text === null) this.bad('A name of a mailbox is not modified UTF-7.');
    return text ?? '';
  }

  /** A name with wildcards. */
  pattern(): string {
    const byte = this.peek();
    if (byte === QUOTE || byte === BRACE) return this.decoded(this.string());
    const stop = this.run(LIST);
    if (stop === this.at) this.bad('There is no name where one belongs.');
    const text = this.text(this.at, stop);
    this.at = stop;
    return this.decoded(text);
  }

  // ---- flags ---------------------------------------------------------------------------------------------------------

  private flag(into: Flags): void {
    const isSystem = this.takes(BACKSLASH);
    const name = this.atom();
    if (!isSystem) {
      if (!into.keywords.some((known) => known.toLowerCase() === name.toLowerCase())) into.keywords.push(name);
      return;
    }
    const bit = FLAG_BITS.get(`\\${name.toLowerCase()}`);
    // Nobody can set \Recent; whoever copies a message with it means no harm.
    if (bit === undefined && name.toLowerCase() !== 'recent') this.bad('There is no such flag.');
    into.bits |= bit ?? 0;
  }

  /** `(\Seen word)` */
  flagList(): Flags {
    const flags: Flags = { bits: 0, keywords: [] };
    this.needs(OPEN);
    while (this.ok && !this.closes()) {
      this.flag(flags);
      if (this.peek() !== CLOSE) this.space();
    }
    return flags;
  }

  /** The same, or flags without parentheses to the end. */
  flagsToEnd(): Flags {
    if (this.peek() === OPEN) return this.flagList();
    const flags: Flags = { bits: 0, keywords: [] };
    do this.flag(flags);
    while (this.ok && this.takes(SP));
    return flags;
  }

  // ---- sets ----------------------------------------------------------------------------------------------------------

  /** Whether what comes is `$`, the result of a search that was saved (RFC 5182). */
  dollar(): boolean {
    const next = this.at + 1 < this.end ? this.bytes[this.at + 1]! : SP;
    if (this.peek() !== DOLLAR || (next !== SP && next !== CLOSE)) return false;
    this.at++;
    return true;
  }

  set(): SequenceSet {
    const pairs: number[] = [];
    do {
      const first = this.setNumber();
      const last = this.takes(0x3a) ? this.setNumber() : first;
      pairs.push(first, last);
    } while (this.ok && this.takes(0x2c));
    return pairs;
  }

  private setNumber(): number {
    return this.takes(STAR) ? GREATEST : this.positive();
  }

  // ---- dates ---------------------------------------------------------------------------------------------------------

  /** `1-Feb-1994`, quoted or not, as days since 1970. */
  date(): number {
    const isQuoted = this.takes(QUOTE);
    const stop = this.run(ATOM);
    const parts = /^(\d{1,2})-([A-Za-z]{3})-(\d{4})$/.exec(latin1(this.bytes, this.at, stop));
    this.at = stop;
    if (isQuoted) this.needs(QUOTE);
    const ms = parts === null ? Number.NaN : dayOf(parts[1]!, parts[2]!, parts[3]!);
    if (Number.isNaN(ms)) {
      this.bad('There is no date where one belongs.');
      return 0;
    }
    return ms / 86_400_000;
  }

  /** `"17-Jul-1996 02:44:25 -0700"`, as milliseconds since 1970. */
  dateTime(): number {
    const text = this.quoted();
    const parts = /^([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$/.exec(text);
    if (parts === null) {
      this.bad('There is no date and time where one belongs.');
      return 0;
    }
    const [hours, minutes, seconds, zoneHours, zoneMinutes] = [4, 5, 6, 8, 9].map((at) => Number(parts[at])) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const day = dayOf(parts[1]!.trim(), parts[2]!, parts[3]!);
    if (Number.isNaN(day) || hours > 23 || minutes > 59 || seconds > 60 || zoneMinutes > 59) {
      this.bad('There is no such date and time.');
      return 0;
    }
    const zone = (zoneHours * 60 + zoneMinutes) * (parts[7] === '-' ? -60_000 : 60_000);
    return day + ((hours * 60 + minutes) * 60 + seconds) * 1_000 - zone;
  }
}

/** The first millisecond of a day; NaN for one that is none. */
export function dayOf(day: string, month: string, year: string): number {
  const index = MONTHS.indexOf(month.toLowerCase());
  const ms = Date.UTC(Number(year), index, Number(day));
  return index < 0 || new Date(ms).getUTCDate() !== Number(day) ? Number.NaN : ms;
}
