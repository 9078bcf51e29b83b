// Reads an XML document by offsets: elements one after another, with their namespaces, attributes and text, so that what
// is made of it is made at once and no tree stands between. It reads no DTD and fetches nothing. Nothing here throws for what
// is in a document: once `stopped`, every step answers BAD.
import { BAD, utf8 } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import { BLANK, DECLARATION, ENDS_NAME, IN_TEXT, isCharacter, isSpace, NONE, PLAIN, referenced } from './chars.ts';
import { XML_FAULTS, type XmlFault } from './faults.ts';
import { internedName } from './names.ts';

/** An element begins: `local`, `uri` (its namespace) and the attributes are its own. */
export const START = 1;
/** The element that was begun last, and not ended, ends. */
export const END = 2;
/** Text was read, and the element that it was in has ended. */
export const TEXT = 3;
/** The document is whole. */
export const DONE = 4;

export type Step = typeof START | typeof END | typeof TEXT | typeof DONE | typeof BAD;

export interface XmlBounds {
  readonly depthMax: number;
  readonly attributesMax: number;
  /** Declared in an element and all that it is in. */
  readonly namespacesMax: number;
  readonly nameBytesMax: number;
  /** Processing instructions are passed over instead of refused. */
  readonly instructions: boolean;
}

export const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace';
const XMLNS_NAMESPACE = 'http://www.w3.org/2000/xmlns/';
const NOTHING = Buffer.alloc(0);
/** The most that a document, and so text with its references replaced, may have. */
const TEXT_BYTES_MAX = 0x4000_0000;

const LT = 0x3c;
const GT = 0x3e;
const SLASH = 0x2f;
const AMP = 0x26;

export class XmlReader {
  private readonly bounds: XmlBounds;
  private bytes: Buffer = NOTHING;
  private at = 0;
  private end = 0;
  private rooted = false;
  /** `<a/>`: it has begun and has not been told to end. */
  private closing = false;
  depth = 0;

  /** Why it stopped: the document is wrong; or `problem`: what it says is. */
  fault: XmlFault | null = null;
  problem = '';
  /** Where in the value the problem is; made by who reads values. */
  path = '';
  stopped = false;

  local = '';
  uri = '';
  /** Where the element's start tag begins. */
  startsAt = 0;

  /** Text that `content` has read: `text[textFrom..textTo)`, valid until the next step. */
  text: Buffer = NOTHING;
  textFrom = 0;
  textTo = 0;

  attributes = 0;
  /** An attribute that is read as text. */
  private opened: Buffer | null = null;
  private readonly attributeLocals: string[] = [];
  private readonly attributePrefixes: string[] = [];
  private readonly attributeSpaces: string[] = [];
  private readonly attributeFrom: number[] = [];
  private readonly attributeTo: number[] = [];

  /** Of the element at each depth: where its name stands, and how many declarations there were before it. */
  private readonly nameFrom: Int32Array;
  private readonly nameTo: Int32Array;
  private readonly declaredBefore: Int32Array;
  private readonly prefixes: string[] = [];
  private readonly uris: string[] = [];
  private declared = 0;
  private readonly scratch = new ByteWriter(TEXT_BYTES_MAX);
  /** The parts of the name read last. */
  private prefix = '';
  private name = '';

  constructor(bounds: XmlBounds) {
    this.bounds = bounds;
    this.nameFrom = new Int32Array(bounds.depthMax + 1);
    this.nameTo = new Int32Array(bounds.depthMax + 1);
    this.declaredBefore = new Int32Array(bounds.depthMax + 1);
  }

  /** Begins a document, which is well-formed UTF-8 without a byte order mark; `utf8Document` makes it so. */
  begin(bytes: Buffer, start = 0, end: number = bytes.length): void {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.rooted = this.closing = this.stopped = false;
    this.depth = this.declared = this.attributes = 0;
    this.fault = this.opened = null;
    this.problem = this.path = this.local = this.uri = '';
    this.text = NOTHING;
    this.textFrom = this.textTo = 0;
    if (this.isAt('<?xml') && isSpace(bytes[start + 5])) this.declaration();
  }

  /** Forgets the document and gives back what it holds. */
  release(): void {
    this.bytes = this.text = NOTHING;
    this.at = this.end = 0;
    this.stopped = true;
    this.scratch.clear();
  }

  /** Where the next step begins. */
  get position(): number {
    return this.at;
  }

  /** What is said is wrong: everything stops. */
  wrong(problem: string): typeof BAD {
    if (!this.stopped) this.problem = problem;
    this.stopped = true;
    return BAD;
  }

  private fail(fault: XmlFault): typeof BAD {
    if (!this.stopped) this.fault = fault;
    this.stopped = true;
    return BAD;
  }

  // ---- steps -------------------------------------------------------------------------------------------------------

  /** The next child of the element that is open, or its end; DONE behind the root. Text between is refused. */
  child(): Step {
    if (this.stopped) return BAD;
    if (this.closing) return this.close();
    const { bytes, end } = this;
    for (;;) {
      let at = this.at;
      while (at < end && isSpace(bytes[at])) at++;
      this.at = at;
      if (at >= end) return this.depth > 0 || !this.rooted ? this.fail(XML_FAULTS.cut) : DONE;
      if (bytes[at] !== LT) {
        if (this.depth === 0) return this.fail(XML_FAULTS.outside);
        return this.fail(bytes[at] === AMP ? XML_FAULTS.entity : XML_FAULTS.mixed);
      }
      const next = bytes[at + 1];
      if (next === SLASH) return this.endTag();
      if (next !== 0x21 && next !== 0x3f) return this.startTag();
      if (this.isAt('<![CDATA[')) return this.fail(this.depth === 0 ? XML_FAULTS.outside : XML_FAULTS.mixed);
      if (!this.aside()) return BAD;
    }
  }

  /**
   * The text of the element that has just begun, up to its end: TEXT. START when there is a child before any text: then that
   * has begun.
   */
  content(): Step {
    if (this.stopped) return BAD;
    if (this.opened !== null) return this.openedText(this.opened);
    if (this.closing) {
      this.textFrom = this.textTo = 0;
      return this.close() === END ? TEXT : BAD;
    }
    const { bytes, end } = this;
    const from = this.at;
    let at = from;
    while (at < end) {
      const kind = IN_TEXT[bytes[at]!]!;
      if (kind === PLAIN || kind === BLANK) {
        at++;
        continue;
      }
      if (bytes[at] === LT && bytes[at + 1] === SLASH) {
        this.at = at;
        if (this.endTag() === BAD) return BAD;
        this.text = bytes;
        this.textFrom = from;
        this.textTo = at;
        return TEXT;
      }
      break;
    }
    return this.piecewise(from);
  }

  private openedText(text: Buffer): Step {
    this.opened = null;
    this.text = text;
    this.textFrom = 0;
    this.textTo = text.length;
    return TEXT;
  }

  /** As `content`, of text that is not one piece. */
  private piecewise(from: number): Step {
    const { bytes, end, scratch } = this;
    scratch.cut(0);
    this.at = from;
    let blank = true;
    for (;;) {
      const at = this.plainText();
      if (at < 0) return BAD;
      if (at >= end) return this.fail(XML_FAULTS.cut);
      const next = bytes[at + 1];
      if (next === SLASH) {
        if (this.endTag() === BAD) return BAD;
        this.text = scratch.bytes;
        this.textFrom = 0;
        this.textTo = scratch.length;
        return TEXT;
      }
      if (next !== 0x21 && next !== 0x3f) {
        for (let index = 0; blank && index < scratch.length; index++) blank = isSpace(scratch.bytes[index]);
        return blank ? this.startTag() : this.fail(XML_FAULTS.children);
      }
      if (this.isAt('<![CDATA[')) {
        blank = false;
        if (!this.characterData()) return BAD;
      } else if (!this.aside()) return BAD;
    }
  }

  /** The next piece of mixed content: TEXT for a run of text alone, which is valid until the next step; START, END. */
  node(): Step {
    if (this.stopped || this.closing) return this.stopped ? BAD : this.close();
    const { bytes, end, scratch } = this;
    scratch.cut(0);
    for (;;) {
      const at = this.plainText();
      if (at < 0 || at >= end) return at < 0 ? BAD : this.fail(XML_FAULTS.cut);
      const next = bytes[at + 1];
      if (next === 0x21 || next === 0x3f) {
        if (!(this.isAt('<![CDATA[') ? this.characterData() : this.aside())) return BAD;
        continue;
      }
      if (scratch.length === 0) return next === SLASH ? this.endTag() : this.startTag();
      this.text = scratch.bytes;
      [this.textFrom, this.textTo] = [0, scratch.length];
      return TEXT;
    }
  }

  /** Passes over the rest of the element that is open, to its end: true, or false when that is wrong. */
  skip(): boolean {
    const depth = this.depth - 1;
    while (!this.stopped && this.depth > depth) this.node();
    return !this.stopped;
  }

  /** Nothing may follow but what is beside the root: true when the document is whole. */
  finish(): boolean {
    return this.child() === DONE;
  }

  // ---- attributes --------------------------------------------------------------------------------------------------

  /** An attribute of the element that has just begun, or null. '' for those without a namespace. */
  attribute(namespace: string, local: string): string | null {
    for (let index = 0; index < this.attributes; index++)
      if (this.attributeLocals[index] === local && this.attributeSpaces[index] === namespace)
        return this.attributeText(index);
    return null;
  }

  /** Has the next `content` read an attribute of the element that has just begun instead; false when it is not there. */
  openAttribute(namespace: string, local: string): boolean {
    const text = this.attribute(namespace, local);
    this.opened = text === null ? null : Buffer.from(text);
    return text !== null;
  }

  /** The next `content` reads the element's own. */
  closeAttributes(): void {
    this.opened = null;
  }

  /** A name with a prefix, as values have it, in the namespaces of the element: `{uri}local`, or null. */
  qualified(name: string): string | null {
    const colon = name.indexOf(':');
    const uri = this.uriOf(colon < 0 ? '' : name.slice(0, colon));
    return uri === null ? null : `{${uri}}${name.slice(colon + 1)}`;
  }

  /** The local name of an attribute, by its number. */
  attributeName(index: number): string {
    return this.attributeLocals[index]!;
  }

  attributeNamespace(index: number): string {
    return this.attributeSpaces[index]!;
  }

  attributeText(index: number): string {
    const { bytes } = this;
    const from = this.attributeFrom[index]!;
    const to = this.attributeTo[index]!;
    for (let at = from; at < to; at++) {
      if (bytes[at] === AMP || bytes[at]! < 0x20) return this.normalised(from, to);
    }
    return utf8(bytes, from, to);
  }

  /** References replaced, white space as spaces (XML 1.0 §3.3.3). They were checked when the tag was read. */
  private normalised(from: number, to: number): string {
    const { bytes } = this;
    const writer = new ByteWriter(TEXT_BYTES_MAX);
    for (let at = from; at < to; ) {
      if (bytes[at] === AMP) {
        at = this.reference(at, writer);
      } else if (bytes[at]! < 0x20) {
        writer.u8(0x20);
        at += bytes[at] === 0x0d && bytes[at + 1] === 0x0a ? 2 : 1;
      } else writer.u8(bytes[at++]!);
    }
    const text = utf8(writer.bytes, 0, writer.length);
    writer.clear();
    return text;
  }

  // ---- tags --------------------------------------------------------------------------------------------------------

  private startTag(): Step {
    const { bytes, bounds } = this;
    if (this.depth === 0 && this.rooted) return this.fail(XML_FAULTS.outside);
    if (this.depth >= bounds.depthMax) return this.fail(XML_FAULTS.depth);
    this.startsAt = this.at;
    const from = this.at + 1;
    let at = this.readName(from);
    if (at < 0) return BAD;
    this.rooted = true;
    const depth = ++this.depth;
    this.nameFrom[depth] = from;
    this.nameTo[depth] = at;
    this.declaredBefore[depth] = this.declared;
    this.attributes = 0;
    this.local = this.name;
    const elementPrefix = this.prefix;
    if (bytes[at] === GT) this.at = at + 1;
    else {
      at = this.readAttributes(at);
      if (at < 0) return BAD;
      if (bytes[at] === SLASH) {
        if (bytes[at + 1] !== GT) return this.fail(at + 1 >= this.end ? XML_FAULTS.cut : XML_FAULTS.tag);
        this.closing = true;
        at++;
      }
      this.at = at + 1;
      if (this.attributes > 0 && !this.resolveAttributes()) return BAD;
    }
    if (this.at > this.end) return this.fail(XML_FAULTS.cut);
    const uri = this.uriOf(elementPrefix);
    if (uri === null || elementPrefix === 'xmlns') return this.fail(XML_FAULTS.prefix);
    this.uri = uri;
    return START;
  }

  private endTag(): Step {
    const { bytes, end, depth } = this;
    if (depth === 0) return this.fail(XML_FAULTS.outside);
    const from = this.nameFrom[depth]!;
    const size = this.nameTo[depth]! - from;
    let at = this.at + 2;
    if (at + size >= end) return this.fail(XML_FAULTS.cut);
    for (let index = 0; index < size; index++)
      if (bytes[from + index] !== bytes[at + index]) return this.fail(XML_FAULTS.mismatch);
    at += size;
    while (at < end && isSpace(bytes[at])) at++;
    if (at >= end) return this.fail(XML_FAULTS.cut);
    if (bytes[at] !== GT) return this.fail(ENDS_NAME[bytes[at]!] === 1 ? XML_FAULTS.tag : XML_FAULTS.mismatch);
    this.at = at + 1;
    this.declared = this.declaredBefore[depth]!;
    this.depth = depth - 1;
    return END;
  }

  private close(): Step {
    this.closing = false;
    this.declared = this.declaredBefore[this.depth]!;
    this.depth--;
    return END;
  }

  /** Reads `prefix:local` or `local` at `at`; answers where it ends. */
  private readName(at: number): number {
    const { bytes, end } = this;
    const most = at + this.bounds.nameBytesMax;
    let from = at;
    let hash = 0;
    this.prefix = '';
    for (;;) {
      if (at >= end) return this.fail(XML_FAULTS.cut);
      const byte = bytes[at]!;
      if (byte === 0x3a) {
        if (this.prefix !== '') return this.fail(XML_FAULTS.name);
        const prefix = internedName(bytes, from, at, hash);
        if (prefix === null) return this.fail(XML_FAULTS.name);
        this.prefix = prefix;
        from = ++at;
        hash = 0;
        continue;
      }
      if (ENDS_NAME[byte] === 1) break;
      if (at >= most) return this.fail(XML_FAULTS.nameLength);
      hash = (Math.imul(hash, 31) + byte) | 0;
      at++;
    }
    const name = internedName(bytes, from, at, hash);
    if (name === null) return this.fail(XML_FAULTS.name);
    this.name = name;
    return at;
  }

  /** Reads attributes up to `>` or `/`; answers where that stands. */
  private readAttributes(at: number): number {
    const { bytes, end } = this;
    for (;;) {
      const before = at;
      while (at < end && isSpace(bytes[at])) at++;
      if (at >= end) return this.fail(XML_FAULTS.cut);
      if (bytes[at] === GT || bytes[at] === SLASH) return at;
      if (at === before) return this.fail(XML_FAULTS.tag);
      at = this.readName(at);
      if (at < 0) return BAD;
      while (at < end && isSpace(bytes[at])) at++;
      if (at < end && bytes[at] !== 0x3d) return this.fail(XML_FAULTS.tag);
      at++;
      while (at < end && isSpace(bytes[at])) at++;
      if (at >= end) return this.fail(XML_FAULTS.cut);
      const quote = bytes[at];
      if (quote !== 0x22 && quote !== 0x27) return this.fail(XML_FAULTS.tag);
      const from = ++at;
      at = this.attributeValue(at, quote);
      if (at < 0) return BAD;
      if (!this.keepAttribute(from, at)) return BAD;
      at++;
    }
  }

  /** Checks a value; answers where its quote stands. */
  private attributeValue(at: number, quote: number): number {
    const { bytes, end } = this;
    while (at < end) {
      const byte = bytes[at]!;
      if (byte === quote) return at;
      const kind = IN_TEXT[byte]!;
      if (kind === PLAIN || kind === BLANK || byte === 0x5d || byte === 0x0d) at++;
      else if (kind === NONE) return this.fail(XML_FAULTS.character);
      else if (byte === LT) return this.fail(XML_FAULTS.tag);
      else if (byte === AMP) {
        at = this.reference(at, null);
        if (at < 0) return BAD;
      } else if (this.isNoCharacter(at)) return this.fail(XML_FAULTS.character);
      else at++;
    }
    return this.fail(XML_FAULTS.cut);
  }

  private keepAttribute(from: number, to: number): boolean {
    const { prefix, name } = this;
    const index = this.attributes;
    if (index >= this.bounds.attributesMax) return this.fail(XML_FAULTS.attributes) !== BAD;
    this.attributePrefixes[index] = prefix;
    this.attributeLocals[index] = name;
    this.attributeFrom[index] = from;
    this.attributeTo[index] = to;
    this.attributes = index + 1;
    const isDefault = prefix === '' && name === 'xmlns';
    return isDefault || prefix === 'xmlns' ? this.declareNamespace(isDefault ? '' : name, index) : true;
  }

  /** `xmlns="uri"`, `xmlns:prefix="uri"` (Namespaces in XML 1.0 §3). */
  private declareNamespace(prefix: string, index: number): boolean {
    const uri = this.attributeText(index);
    const isXml = prefix === 'xml';
    if (
      isXml !== (uri === XML_NAMESPACE) ||
      prefix === 'xmlns' ||
      uri === XMLNS_NAMESPACE ||
      (prefix !== '' && uri === '')
    )
      return this.fail(XML_FAULTS.prefix) !== BAD;
    if (this.declared >= this.bounds.namespacesMax) return this.fail(XML_FAULTS.namespaces) !== BAD;
    this.prefixes[this.declared] = prefix;
    this.uris[this.declared] = uri;
    this.declared++;
    return true;
  }

  private resolveAttributes(): boolean {
    const { attributes, attributeLocals, attributeSpaces, attributePrefixes } = this;
    for (let index = 0; index < attributes; index++) {
      const prefix = attributePrefixes[index]!;
      // A default namespace is not for attributes (Namespaces in XML 1.0 §6.2).
      const uri = prefix === '' ? '' : this.uriOf(prefix);
      if (uri === null) return this.fail(XML_FAULTS.prefix) !== BAD;
      attributeSpaces[index] = uri;
      for (let other = 0; other < index; other++)
        if (attributeLocals[other] === attributeLocals[index] && attributeSpaces[other] === uri)
          return this.fail(XML_FAULTS.twice) !== BAD;
    }
    return true;
  }

  /** The namespace that a prefix stands for; '' as a prefix for the default one. */
  private uriOf(prefix: string): string | null {
    const { prefixes, uris } = this;
    for (let at = this.declared - 1; at >= 0; at--) if (prefixes[at] === prefix) return uris[at]!;
    if (prefix === '') return '';
    return prefix === 'xml' ? XML_NAMESPACE : prefix === 'xmlns' ? XMLNS_NAMESPACE : null;
  }

  // ---- text --------------------------------------------------------------------------------------------------------

  /** Reads text into the scratch up to the next `<`, where `at` then stands; answers that. */
  private plainText(): number {
    const { bytes, end, scratch } = this;
    let at = this.at;
    let from = at;
    for (; at < end; ) {
      const byte = bytes[at]!;
      const kind = IN_TEXT[byte]!;
      if (kind === PLAIN || kind === BLANK) {
        at++;
        continue;
      }
      if (kind === NONE) return this.fail(XML_FAULTS.character);
      if (byte === LT) break;
      if (byte === AMP) {
        scratch.copy(bytes, from, at);
        at = this.reference(at, scratch);
        if (at < 0) return BAD;
        from = at;
      } else if (byte === 0x0d) {
        // As one line feed (XML 1.0 §2.11).
        scratch.copy(bytes, from, at);
        scratch.u8(0x0a);
        at += bytes[at + 1] === 0x0a ? 2 : 1;
        from = at;
      } else if (byte === 0x5d ? bytes[at + 1] === 0x5d && bytes[at + 2] === GT : this.isNoCharacter(at)) {
        return this.fail(byte === 0x5d ? XML_FAULTS.tag : XML_FAULTS.character);
      } else at++;
    }
    scratch.copy(bytes, from, at);
    this.at = at;
    return at;
  }

  /** `&name;` or `&#number;` at `at`; answers where it ends. */
  private reference(at: number, into: ByteWriter | null): number {
    const { bytes, end } = this;
    const from = at + 1;
    let to = from;
    // The longest are &#x10FFFF; and &quot; but zeros may stand before a number.
    while (to < end && bytes[to] !== 0x3b && to - from < 16) to++;
    if (to >= end) return this.fail(XML_FAULTS.cut);
    if (bytes[to] !== 0x3b) return this.fail(XML_FAULTS.entity);
    const name = utf8(bytes, from, to);
    const point = referenced(name);
    if (point === undefined) return this.fail(XML_FAULTS.entity);
    if (!isCharacter(point)) return this.fail(XML_FAULTS.character);
    if (into !== null) {
      if (point < 0x80) into.u8(point);
      else into.utf8(String.fromCodePoint(point));
    }
    return to + 1;
  }

  /** U+FFFE and U+FFFF. */
  private isNoCharacter(at: number): boolean {
    const { bytes } = this;
    return bytes[at] === 0xef && bytes[at + 1] === 0xbf && (bytes[at + 2] === 0xbe || bytes[at + 2] === 0xbf);
  }

  /** `<![CDATA[` … `]]>` into the scratch. */
  private characterData(): boolean {
    const { bytes, end, scratch } = this;
    const from = this.at + 9;
    const to = bytes.indexOf(']]>', from, 'latin1');
    if (to < 0 || to + 3 > end) return this.fail(XML_FAULTS.cut) !== BAD;
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!;
      if (IN_TEXT[byte] === NONE || this.isNoCharacter(at)) return this.fail(XML_FAULTS.character) !== BAD;
      if (byte !== 0x0d) scratch.u8(byte);
      else if (bytes[at + 1] !== 0x0a) scratch.u8(0x0a);
    }
    this.at = to + 3;
    return true;
  }

  // ---- beside the elements -----------------------------------------------------------------------------------------

  /** A comment or a processing instruction at `at`, which is passed over; everything else with `<!` or `<?` is refused. */
  private aside(): boolean {
    const { bytes, end, at } = this;
    if (this.isAt('<!--')) {
      const to = bytes.indexOf('--', at + 4, 'latin1');
      if (to < 0 || to + 2 >= end) return this.fail(XML_FAULTS.cut) !== BAD;
      if (bytes[to + 2] !== GT) return this.fail(XML_FAULTS.comment) !== BAD;
      return this.passOver(at + 4, to, to + 3);
    }
    if (bytes[at + 1] === 0x3f) {
      if (!this.bounds.instructions) return this.fail(XML_FAULTS.instruction) !== BAD;
      const after = this.readName(at + 2);
      if (after < 0) return false;
      if (this.prefix !== '' || this.name.toLowerCase() === 'xml') return this.fail(XML_FAULTS.instruction) !== BAD;
      const to = bytes.indexOf('?>', after, 'latin1');
      if (to < 0 || to + 2 > end) return this.fail(XML_FAULTS.cut) !== BAD;
      if (to > after && !isSpace(bytes[after])) return this.fail(XML_FAULTS.instruction) !== BAD;
      return this.passOver(after, to, to + 2);
    }
    if (this.isAt('<!DOCTYPE')) return this.fail(XML_FAULTS.dtd) !== BAD;
    return this.fail(end - at < 9 ? XML_FAULTS.cut : XML_FAULTS.tag) !== BAD;
  }

  private passOver(from: number, to: number, next: number): boolean {
    const { bytes } = this;
    for (let at = from; at < to; at++)
      if (IN_TEXT[bytes[at]!] === NONE || this.isNoCharacter(at)) return this.fail(XML_FAULTS.character) !== BAD;
    this.at = next;
    return true;
  }

  /** `<?xml version="1.0" encoding="…" standalone="…"?>` (XML 1.0 §2.8). The encoding was seen to by who decoded it. */
  private declaration(): void {
    const { bytes, at, end } = this;
    const to = bytes.indexOf('?>', at, 'latin1');
    if (to < 0 || to + 2 > end || to - at > 256) {
      this.fail(to < 0 ? XML_FAULTS.cut : XML_FAULTS.version);
      return;
    }
    if (DECLARATION.test(utf8(bytes, at, to + 2))) this.at = to + 2;
    else this.fail(XML_FAULTS.version);
  }

  private isAt(text: string): boolean {
    const { bytes, at, end } = this;
    if (at + text.length > end) return false;
    for (let index = 0; index < text.length; index++) if (bytes[at + index] !== text.charCodeAt(index)) return false;
    return true;
  }
}
