// XML bodies of WebDAV as elements and back (RFC 4918 §14): with all that is in them, since the values of properties are kept
// as they came (§4.4). Nothing outside the document is ever read.
import { BAD } from '../../bytes/reader.ts';
import { escapeAttribute, escapeText, isWritable } from '../../formats/xml/chars.ts';
import { utf8Document } from '../../formats/xml/decode.ts';
import { END, START, TEXT, XmlReader } from '../../formats/xml/reader.ts';

export const DAV = 'DAV:';
const XMLNS = 'http://www.w3.org/2000/xmlns/';

export interface Element {
  readonly uri: string;
  readonly local: string;
  /** Namespace, name, value, one after another. */
  readonly attributes: readonly string[];
  readonly children: readonly (Element | string)[];
}

const BOUNDS = { depthMax: 32, attributesMax: 32, namespacesMax: 64, nameBytesMax: 256, instructions: true };

/** Null for what is no XML that can be read. */
export function readXml(bytes: Buffer, charset = ''): Element | null {
  const document = utf8Document(bytes, charset);
  if (!Buffer.isBuffer(document)) return null;
  const reader = new XmlReader(BOUNDS);
  reader.begin(document);
  if (reader.child() !== START) return null;
  const root = readElement(reader);
  return root !== null && reader.finish() ? root : null;
}

function readElement(reader: XmlReader): Element | null {
  const { uri, local } = reader;
  const attributes: string[] = [];
  for (let index = 0; index < reader.attributes; index++) {
    const space = reader.attributeNamespace(index);
    const name = reader.attributeName(index);
    // Declarations are made anew where they are written.
    if (space !== XMLNS && name !== 'xmlns') attributes.push(space, name, reader.attributeText(index));
  }
  const children: (Element | string)[] = [];
  for (;;) {
    const step = reader.node();
    if (step === END) return { uri, local, attributes, children };
    if (step === TEXT) children.push(reader.text.toString('utf8', reader.textFrom, reader.textTo));
    else if (step === START) {
      const child = readElement(reader);
      if (child === null) return null;
      children.push(child);
    } else if (step === BAD) return null;
    else return null;
  }
}

/** By itself: each element declares the namespaces that it has. `D:` is known to be DAV: where it stands. */
export function writeElement({ uri, local, attributes, children }: Element): string {
  const prefix = uri === DAV ? 'D:' : uri === '' ? '' : 'x:';
  const own = uri === DAV ? '' : uri === '' ? ' xmlns=""' : ` xmlns:x="${escapeAttribute(uri)}"`;
  let given = '';
  for (let at = 0; at < attributes.length; at += 3) {
    const [space, name, value] = attributes.slice(at, at + 3) as [string, string, string];
    const xml = space === 'http://www.w3.org/XML/1998/namespace';
    given +=
      space === ''
        ? ` ${name}="${escapeAttribute(value)}"`
        : xml
          ? ` xml:${name}="${escapeAttribute(value)}"`
          : ` xmlns:a${at}="${escapeAttribute(space)}" a${at}:${name}="${escapeAttribute(value)}"`;
  }
  const inner = children.map((child) => (typeof child === 'string' ? escapeText(child) : writeElement(child))).join('');
  const tag = `${prefix}${local}${own}${given}`;
  return inner === '' ? `<${tag}/>` : `<${tag}>${inner}</${prefix}${local}>`;
}

export function elementsOf({ children }: Element): Element[] {
  return children.filter((child) => typeof child !== 'string');
}

export function childOf(element: Element, local: string): Element | null {
  return elementsOf(element).find((child) => child.uri === DAV && child.local === local) ?? null;
}

/** `{namespace}name`, as properties are kept. */
export function nameOf({ uri, local }: Element): string {
  return `{${uri}}${local}`;
}

/** An element without content, of a name. */
export function emptyElement(name: string): string {
  const close = name.indexOf('}');
  return writeElement({ uri: name.slice(1, close), local: name.slice(close + 1), attributes: [], children: [] });
}

/** Text that a document can have: what it cannot is shown as U+FFFD. */
export function safeText(text: string): string {
  return escapeText(
    isWritable(text) ? text : text.toWellFormed().replace(/[^\t\n\r\x20-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd'),
  );
}

/** One condition of an If field (RFC 4918 §10.4.2). */
export interface Condition {
  readonly not: boolean;
  readonly token: string | null;
  readonly etag: string | null;
}

/** A list of conditions, all of which must hold, about a resource; '' for that of the request. */
export interface ConditionList {
  readonly resource: string;
  readonly conditions: readonly Condition[];
}

const IF_MAX = 64;

/** Null when it is malformed. */
export function readIf(text: string): ConditionList[] | null {
  const lists: ConditionList[] = [];
  let resource = '';
  let rest = text.trim();
  while (rest !== '') {
    const tag = /^<([^>]*)>\s*/.exec(rest);
    if (tag !== null) {
      resource = tag[1]!;
      rest = rest.slice(tag[0].length);
    }
    const list = /^\(((?:\s*(?:Not\s+|Not(?=[<[]))?(?:<[^>]*>|\[(?:W\/)?"[^"]*"\]))+)\s*\)\s*/i.exec(rest);
    if (list === null || lists.length >= IF_MAX) return null;
    rest = rest.slice(list[0].length);
    const conditions = [...list[1]!.matchAll(/(Not\s*)?(?:<([^>]*)>|\[((?:W\/)?"[^"]*")\])/gi)].map(
      ([, not, token, etag]) => ({ not: not !== undefined, token: token ?? null, etag: etag ?? null }),
    );
    lists.push({ resource, conditions });
  }
  return lists.length === 0 ? null : lists;
}
