// Master files (RFC 1035 §5, RFC 2308 §4, RFC 3597 §5): text into records one by one, and records into text. It keeps nothing
// and opens no files: what $INCLUDE names is asked for.
import { ByteWriter } from '../../bytes/writer.ts';
import { nameFrom, nameText, within } from '../../formats/dns/name.ts';
import {
  CLASS,
  classFrom,
  isMetaType,
  rdataText,
  readRdata,
  secondsFrom,
  TYPE,
  typeFrom,
  typeName,
  Words,
} from '../../formats/dns/records.ts';
import { APEX, type ZoneContents } from './contents.ts';

/** Files within files. */
const INCLUDES_MAX = 8;
const TTL_MAX = 0x7fff_ffff;

export interface MasterOptions {
  readonly origin: Uint8Array;
  /** The text of an included file, one character an octet, or why there is none. */
  readonly include?: (path: string) => { readonly text: string } | string;
  /** One record. A sentence when it cannot be taken. The bytes are borrowed. */
  readonly record: (owner: Uint8Array, type: number, ttl: number, data: Uint8Array, end: number) => string | null;
}

/** Where and why a file cannot be read. */
export interface MasterError {
  readonly line: number;
  readonly file: string;
  readonly text: string;
}

/** Reads a whole file; null when all of it was taken. `text` has one character an octet. */
export function readMaster(text: string, options: MasterOptions): MasterError | null {
  return new MasterReader(options).read(text, '');
}

class MasterReader {
  private readonly options: MasterOptions;
  private readonly words = new Words();
  private readonly data = new ByteWriter(70_000);
  private origin: Uint8Array;
  private owner: Uint8Array | null = null;
  private ownerText = '';
  private ttl = -1;
  private lastTtl = -1;
  private depth = 0;
  private readonly types = new Map<string, number>();

  constructor(options: MasterOptions) {
    this.options = options;
    this.origin = options.origin;
  }

  read(text: string, file: string): MasterError | null {
    let at = 0;
    let line = 1;
    while (at < text.length) {
      const entryLine = line;
      const blank = isBlank(text.charCodeAt(at));
      const end = this.entry(text, at);
      if (end < 0)
        return { line: entryLine, file, text: end === OPEN_QUOTE ? 'a quotation has no end' : 'a ( has no )' };
      for (let index = at; index < end; index++) if (text.charCodeAt(index) === 0x0a) line++;
      at = end;
      if (this.words.count === 0) continue;
      const wrong = this.take(blank, file);
      if (wrong === null) continue;
      return typeof wrong === 'string' ? { line: entryLine, file, text: wrong } : wrong;
    }
    return null;
  }

  /** Cuts the entry that begins at `at` into words; answers the index behind its line feed, or why there is none. */
  private entry(text: string, at: number): number {
    const { words } = this;
    words.count = 0;
    words.at = 0;
    let depth = 0;
    while (at < text.length) {
      const code = text.charCodeAt(at);
      if (code === 0x0a) {
        at++;
        if (depth === 0) return at;
      } else if (isBlank(code)) at++;
      else if (code === 0x3b) {
        while (at < text.length && text.charCodeAt(at) !== 0x0a) at++;
      } else if (code === 0x28) {
        depth++;
        at++;
      } else if (code === 0x29) {
        depth = Math.max(0, depth - 1);
        at++;
      } else {
        at = takeWord(words, text, at);
        if (at < 0) return OPEN_QUOTE;
      }
    }
    return depth > 0 ? OPEN_BRACKET : at;
  }

  private take(blank: boolean, file: string): string | MasterError | null {
    const { words } = this;
    const first = words.texts[0]!;
    if (!blank && first.charCodeAt(0) === 0x24) return this.directive(first.toUpperCase(), file);
    if (!blank) {
      words.at = 1;
      if (first !== this.ownerText || this.owner === null) {
        this.owner = nameFrom(first, this.origin);
        this.ownerText = first;
        if (this.owner === null) return `${first} is not a name`;
      }
    }
    if (this.owner === null) return 'the first record has no name';
    return this.record(this.owner);
  }

  private record(owner: Uint8Array): string | null {
    const { words, data } = this;
    let ttl = -1;
    let type = -1;
    // TTL and class come in either order (RFC 1035 §5.1).
    for (let index = 0; index < 3 && words.left > 0; index++) {
      const word = words.next();
      type = this.typeOf(word);
      if (type >= 0) break;
      const seconds = ttl < 0 && isDigit(word.charCodeAt(0)) ? secondsFrom(word) : -1;
      const rclass = seconds < 0 ? classFrom(word) : CLASS.IN;
      if (rclass < 0) return `${word} is neither a TTL, a class nor a type`;
      if (rclass !== CLASS.IN) return `the class ${word} is not kept here`;
      if (seconds >= 0) ttl = seconds > TTL_MAX ? 0 : seconds;
    }
    if (type < 0) return 'the record has no type';
    if (isMetaType(type)) return `${typeName(type)} is not a type of records`;
    data.cut(0);
    const wrong = readRdata(type, words, data, this.origin);
    if (wrong !== null) return `${typeName(type)}: ${wrong}`;
    if (ttl >= 0) this.lastTtl = ttl;
    else if (this.ttl >= 0) ttl = this.ttl;
    else if (this.lastTtl >= 0) ttl = this.lastTtl;
    else if (type === TYPE.SOA) ttl = data.bytes.readUInt32BE(data.length - 4);
    else return 'the record has no TTL, and there is no $TTL';
    if (this.lastTtl < 0) this.lastTtl = ttl;
    return this.options.record(owner, type, ttl, data.bytes, data.length);
  }

  private typeOf(word: string): number {
    let type = this.types.get(word);
    if (type === undefined) {
      type = isDigit(word.charCodeAt(0)) ? -1 : typeFrom(word);
      // Words that are no types are few in what is a master file.
      if (this.types.size < 1_000) this.types.set(word, type);
    }
    return type;
  }

  private directive(name: string, file: string): string | MasterError | null {
    const { words } = this;
    words.at = 1;
    const word = words.next();
    switch (name) {
      case '$ORIGIN': {
        const origin = nameFrom(word, this.origin);
        if (origin === null) return `$ORIGIN is followed by a name, not ${word}`;
        this.origin = origin;
        this.ownerText = '';
        return null;
      }
      case '$TTL': {
        const seconds = secondsFrom(word);
        if (seconds < 0) return `$TTL is followed by seconds, not ${word}`;
        this.ttl = seconds > TTL_MAX ? 0 : seconds;
        return null;
      }
      case '$INCLUDE':
        return this.include(word, words.next(), file);
      default:
        return `${name} is not known; there are $ORIGIN, $TTL and $INCLUDE`;
    }
  }

  private include(path: string, originText: string, file: string): string | MasterError | null {
    const found = this.options.include?.(path) ?? 'files are not included here';
    if (typeof found === 'string') return `$INCLUDE ${path}: ${found}`;
    if (this.depth >= INCLUDES_MAX) return `$INCLUDE ${path}: files include one another ${INCLUDES_MAX} deep`;
    const origin = originText === '' ? this.origin : nameFrom(originText, this.origin);
    if (origin === null) return `$INCLUDE ${path}: ${originText} is not a name`;
    const { origin: before, owner } = this;
    this.origin = origin;
    this.ownerText = '';
    this.depth++;
    const wrong = this.read(found.text, file === '' ? path : `${file}: ${path}`);
    this.depth--;
    // What the file set ends with it (RFC 1035 §5.1).
    this.origin = before;
    this.owner = owner;
    this.ownerText = '';
    return wrong;
  }
}

const OPEN_QUOTE = -1;
const OPEN_BRACKET = -2;

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d;
}

/** Takes the word at `at`; answers the index behind it, -1 where a quotation has no end. */
function takeWord(words: Words, text: string, at: number): number {
  const from = at;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // The end of a plain word, or something in it that needs a closer look.
    if (code <= 0x20 || code === 0x3b || code === 0x28 || code === 0x29) break;
    if (code === 0x22 || code === 0x5c) return takeQuoted(words, text, from);
  }
  words.texts[words.count++] = text.slice(from, at);
  return at;
}

function takeQuoted(words: Words, text: string, at: number): number {
  let word = '';
  let from = at;
  let within = false;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at++;
    else if (code === 0x22) {
      word += text.slice(from, at);
      from = at + 1;
      within = !within;
    } else if (within) {
      if (code === 0x0a) return -1;
    } else if (code <= 0x20 || code === 0x3b || code === 0x28 || code === 0x29) break;
  }
  if (within) return -1;
  words.texts[words.count++] = word + text.slice(from, Math.min(at, text.length));
  return Math.min(at, text.length);
}

/** One record as a line without its end. Names are absolute. */
export function recordLine(
  name: Uint8Array,
  nameAt: number,
  type: number,
  ttl: number,
  data: Uint8Array,
  at: number,
  end: number,
): string {
  return `${nameText(name, nameAt)}\t${ttl}\tIN\t${typeName(type)}\t${rdataText(type, data, at, end)}`;
}

/** A zone as a master file, in canonical order, SOA first; some lines at a time. */
export function* writeMaster(contents: ZoneContents): Generator<string> {
  yield `$ORIGIN ${nameText(contents.origin)}\n`;
  const line = (name: number, type: number, ttl: number, data: number, end: number) =>
    `${recordLine(contents.arena, name, type, ttl, contents.arena, data, end)}\n`;
  for (const first of [true, false]) {
    let text = '';
    contents.eachAt(APEX, (name, type, ttl, data, end) => {
      if ((type === TYPE.SOA) === first) text += line(name, type, ttl, data, end);
    });
    yield text;
  }
  let text = '';
  for (const node of contents.order()) {
    if (node === APEX) continue;
    contents.eachAt(node, (name, type, ttl, data, end) => {
      text += line(name, type, ttl, data, end);
    });
    if (text.length < 32_768) continue;
    yield text;
    text = '';
  }
  yield text;
}

/** Reads a zone: its contents, or where and why it is none. */
export function zoneFromMaster(
  text: string,
  origin: Uint8Array,
  fresh: ZoneContents,
  include?: MasterOptions['include'],
): MasterError | null {
  const record: MasterOptions['record'] = (owner, type, ttl, data, end) => {
    if (within(owner, 0, origin) < 0) return `${nameText(owner)} is not in the zone ${nameText(origin)}`;
    fresh.add(owner, 0, type, ttl, data, 0, end);
    return null;
  };
  const options: MasterOptions = { origin, record };
  return readMaster(text, include === undefined ? options : { ...options, include }) ?? zoneProblem(fresh);
}

/** What keeps contents from being a zone (RFC 1034 §4.2.1, RFC 1035 §5.2); null for nothing. */
export function zoneProblem(contents: ZoneContents): MasterError | null {
  const wrong = (text: string): MasterError => ({ line: 0, file: '', text });
  const soa = contents.setOf(APEX, TYPE.SOA);
  if (soa === 0) return wrong('the zone has no SOA');
  if (contents.countOf(soa) !== 1) return wrong('the zone has more than one SOA');
  if (contents.setOf(APEX, TYPE.NS) === 0) return wrong('the zone has no NS');
  for (let node = 1; node < contents.nodesEnd; node++) {
    const problem = nodeProblem(contents, node);
    if (problem !== null) return wrong(`${nameText(contents.arena, contents.name(node))} ${problem}`);
  }
  return null;
}

/** What of a name cannot be; null for nothing. */
export function nodeProblem(contents: ZoneContents, node: number): string | null {
  const alias = contents.setOf(node, TYPE.CNAME);
  if (node !== APEX && contents.setOf(node, TYPE.SOA) !== 0) return 'has an SOA, but is not the zone';
  if (contents.countOf(contents.setOf(node, TYPE.DNAME) || EMPTY_SET) > 1)
    return 'has more than one DNAME (RFC 6672 §2.4)';
  if (alias === 0) return null;
  if (contents.countOf(alias) > 1) return 'has more than one CNAME (RFC 2181 §10.1)';
  for (let set = contents.firstSet(node); set !== 0; set = contents.nextSet(set))
    if (!BESIDE_ALIAS.has(contents.typeOf(set)))
      return `has a CNAME and ${typeName(contents.typeOf(set))} (RFC 1034 §3.6.2)`;
  return null;
}

/** Offset 0 of an arena: a set without records. */
const EMPTY_SET = 0;

const BESIDE_ALIAS: ReadonlySet<number> = new Set([TYPE.CNAME, TYPE.RRSIG, TYPE.NSEC, TYPE.KEY]);
