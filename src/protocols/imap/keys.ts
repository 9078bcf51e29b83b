// What SEARCH looks for (RFC 9051 §6.4.4, RFC 5032, RFC 7162 §3.1.5): read from a command into a tree, with how results are
// wanted (RFC 4731, RFC 9394).
import { type CommandReader, FLAG_BITS } from './codec.ts';
import type { SequenceSet } from './sets.ts';

const SP = 0x20;

export type SearchKey =
  | { readonly key: 'all' }
  | { readonly key: 'and'; readonly of: readonly SearchKey[] }
  | { readonly key: 'or'; readonly one: SearchKey; readonly other: SearchKey }
  | { readonly key: 'not'; readonly of: SearchKey }
  | { readonly key: 'flag'; readonly bit: number }
  | { readonly key: 'keyword'; readonly word: string }
  | { readonly key: 'recent' }
  | { readonly key: 'numbers'; readonly set: SequenceSet }
  | { readonly key: 'uids'; readonly set: SequenceSet }
  | { readonly key: 'saved' }
  | { readonly key: 'larger' | 'smaller' | 'modseq' | 'older' | 'younger'; readonly than: number }
  /** Days since 1970: of arrival, or of the Date field. */
  | { readonly key: 'before' | 'on' | 'since'; readonly day: number; readonly sent: boolean }
  | { readonly key: 'header'; readonly field: string; readonly text: string }
  | { readonly key: 'body' | 'text'; readonly text: string };

export interface Returns {
  min: boolean;
  max: boolean;
  all: boolean;
  count: boolean;
  save: boolean;
  /** First and last, both negative when counted from the end. */
  partial: readonly [number, number] | null;
}

/** Keys of one search that look into bodies. */
const TEXTS_MAX = 32;

const ADDRESSES: ReadonlySet<string> = new Set(['BCC', 'CC', 'FROM', 'SUBJECT', 'TO']);

/** `RETURN (MIN MAX)`, if it comes; null for the answer of old. */
export function readReturns(reader: CommandReader): Returns | null {
  const { at } = reader;
  if (reader.peek() === 0x28 || reader.word() !== 'RETURN') {
    if (reader.ok) reader.at = at;
    return null;
  }
  const returns: Returns = { min: false, max: false, all: false, count: false, save: false, partial: null };
  reader.space();
  reader.needs(0x28);
  while (reader.ok && !reader.closes()) {
    readReturn(reader, returns);
    if (reader.peek() !== 0x29) reader.space();
  }
  reader.space();
  const { min, max, count, save, partial } = returns;
  // RFC 4731 §3.1, RFC 9394 §3.1.
  if (!min && !max && !count && !save && partial === null) returns.all = true;
  if (partial !== null && returns.all) reader.bad('ALL and PARTIAL do not stand together.');
  return returns;
}

function readReturn(reader: CommandReader, returns: Returns): void {
  switch (reader.word()) {
    case 'MIN':
      returns.min = true;
      break;
    case 'MAX':
      returns.max = true;
      break;
    case 'ALL':
      returns.all = true;
      break;
    case 'COUNT':
      returns.count = true;
      break;
    case 'SAVE':
      returns.save = true;
      break;
    case 'PARTIAL':
      reader.space();
      returns.partial = readPartialRange(reader);
      break;
    default:
      reader.bad('SEARCH does not know how to return that.');
  }
}

/** `1:100`, `-1:-100` (RFC 9394 §3.1): the lower first, as counted from its side. */
export function readPartialRange(reader: CommandReader): readonly [number, number] {
  const one = (reader.takes(0x2d) ? -1 : 1) * reader.positive();
  reader.needs(0x3a);
  const other = (reader.takes(0x2d) ? -1 : 1) * reader.positive();
  if (one < 0 !== other < 0) reader.bad('Both ends are counted from the same side.');
  return Math.abs(one) <= Math.abs(other) ? [one, other] : [other, one];
}

/** `CHARSET UTF-8`, if it comes; the charset in capitals. */
export function readCharset(reader: CommandReader): string {
  const { at } = reader;
  if (!isLetter(reader.peek()) || reader.word() !== 'CHARSET') {
    if (reader.ok) reader.at = at;
    return 'UTF-8';
  }
  reader.space();
  const charset = reader.astring().toUpperCase();
  reader.space();
  return charset;
}

export class KeyReader {
  /** The mod-sequence is looked for: from then on it is told (RFC 7162 §3.1.5). */
  hasModseq = false;
  /** How many keys were read, and how many of them look into bodies. */
  count = 0;
  private texts = 0;
  private readonly reader: CommandReader;
  private readonly deepest: number;
  private readonly most: number;

  constructor(reader: CommandReader, deepest: number, most: number) {
    this.reader = reader;
    this.deepest = deepest;
    this.most = most;
  }

  /** Keys to the end of the command, all of which are to match. */
  all(): SearchKey {
    return this.keys(0, false);
  }

  private keys(depth: number, isNested: boolean): SearchKey {
    const { reader } = this;
    const of: SearchKey[] = [];
    do of.push(this.one(depth));
    while (reader.ok && reader.takes(SP));
    if (isNested) reader.needs(0x29);
    return of.length === 1 ? of[0]! : { key: 'and', of };
  }

  private one(depth: number): SearchKey {
    const { reader } = this;
    if (depth > this.deepest) reader.bad('It is nested too deep.');
    if (++this.count > this.most) reader.bad('Too much is looked for at once.');
    if (!reader.ok) return { key: 'all' };
    if (reader.opens()) return this.keys(depth + 1, true);
    if (reader.dollar()) return { key: 'saved' };
    const byte = reader.peek();
    if ((byte >= 0x30 && byte <= 0x39) || byte === 0x2a) return { key: 'numbers', set: reader.set() };
    return this.named(reader.word(), depth);
  }

  private named(name: string, depth: number): SearchKey {
    const { reader } = this;
    const negative = name.startsWith('UN') && name !== 'UNKEYWORD';
    const bit = FLAG_BITS.get(`\\${(negative ? name.slice(2) : name).toLowerCase()}`);
    if (bit !== undefined) {
      const flag: SearchKey = { key: 'flag', bit };
      return negative ? { key: 'not', of: flag } : flag;
    }
    if (ADDRESSES.has(name)) return { key: 'header', field: name.toLowerCase(), text: this.text() };
    switch (name) {
      case 'ALL':
        return { key: 'all' };
      case 'RECENT':
        return { key: 'recent' };
      case 'OLD':
        return { key: 'not', of: { key: 'recent' } };
      case 'NEW':
        return { key: 'and', of: [{ key: 'recent' }, { key: 'not', of: { key: 'flag', bit: 1 } }] };
      case 'NOT':
        reader.space();
        return { key: 'not', of: this.one(depth + 1) };
      case 'OR': {
        reader.space();
        const one = this.one(depth + 1);
        reader.space();
        return { key: 'or', one, other: this.one(depth + 1) };
      }
      case 'KEYWORD':
      case 'UNKEYWORD': {
        reader.space();
        const keyword: SearchKey = { key: 'keyword', word: reader.atom().toLowerCase() };
        return name === 'KEYWORD' ? keyword : { key: 'not', of: keyword };
      }
      case 'UID':
        reader.space();
        return reader.dollar() ? { key: 'saved' } : { key: 'uids', set: reader.set() };
      default:
        return this.valued(name);
    }
  }

  private valued(name: string): SearchKey {
    const { reader } = this;
    reader.space();
    switch (name) {
      case 'LARGER':
      case 'SMALLER':
        return { key: name === 'LARGER' ? 'larger' : 'smaller', than: reader.large() };
      case 'OLDER':
      case 'YOUNGER':
        return { key: name === 'OLDER' ? 'older' : 'younger', than: reader.positive() };
      case 'BEFORE':
      case 'ON':
      case 'SINCE':
        return { key: name.toLowerCase() as 'on', day: reader.date(), sent: false };
      case 'SENTBEFORE':
      case 'SENTON':
      case 'SENTSINCE':
        return { key: name.slice(4).toLowerCase() as 'on', day: reader.date(), sent: true };
      case 'HEADER': {
        const field = reader.astring().toLowerCase();
        return { key: 'header', field, text: this.text() };
      }
      case 'BODY':
      case 'TEXT':
        if (++this.texts > TEXTS_MAX) reader.bad('Too much is looked for at once.');
        return { key: name === 'BODY' ? 'body' : 'text', text: reader.astring().toLowerCase() };
      case 'MODSEQ':
        return this.modseq();
      default:
        reader.bad('SEARCH does not know this key.');
        return { key: 'all' };
    }
  }

  private text(): string {
    this.reader.space();
    return this.reader.astring().toLowerCase();
  }

  /** `MODSEQ "/flags/\\draft" all 620162338`: one number stands for all of a message here. */
  private modseq(): SearchKey {
    const { reader } = this;
    this.hasModseq = true;
    if (reader.peek() === 0x22) {
      reader.string();
      reader.space();
      if (!['PRIV', 'SHARED', 'ALL'].includes(reader.word())) reader.bad('That is no kind of entry.');
      reader.space();
    }
    return { key: 'modseq', than: reader.large() };
  }
}

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}
