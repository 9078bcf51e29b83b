// A document as a tree, for what is read once and looked at from many sides, such as schemas: elements with their attributes,
// and the names in their values with the namespaces that stood around them. What is read often is read without one.
import { utf8 } from '../../bytes/reader.ts';
import { utf8Document } from './decode.ts';
import { DONE, END, START, TEXT, type XmlBounds, XmlReader } from './reader.ts';

export interface XmlElement {
  readonly uri: string;
  readonly local: string;
  /** Those without a namespace, by their names; others as `{uri}local`. */
  readonly attributes: ReadonlyMap<string, string>;
  /** What `names` was asked for, where it is an attribute: each word of it as `{uri}local`. */
  readonly names: ReadonlyMap<string, readonly string[]>;
  readonly children: readonly XmlElement[];
  /** All text that is directly in it. */
  readonly text: string;
}

export interface TreeOptions {
  readonly elementsMax: number;
  /** Attributes whose values are names with prefixes. */
  readonly names: ReadonlySet<string>;
}

/** The document is not one, or not one that is read. */
export class TreeError extends Error {}

const BOUNDS: XmlBounds = {
  depthMax: 200,
  attributesMax: 256,
  namespacesMax: 256,
  nameBytesMax: 1_024,
  instructions: true,
};

interface Growing extends XmlElement {
  readonly children: XmlElement[];
  text: string;
}

/** Throws a `TreeError`. @param charset what the carrier says, in lower case; '' for nothing */
export function xmlTree(bytes: Buffer, charset: string, { elementsMax, names }: TreeOptions): XmlElement {
  const document = utf8Document(bytes, charset);
  if (!Buffer.isBuffer(document)) throw new TreeError(document.text);
  const reader = new XmlReader(BOUNDS);
  reader.begin(document);
  let count = 0;
  let root: Growing | null = null;
  const open: Growing[] = [];
  for (;;) {
    const top = open.at(-1);
    const step = top === undefined ? reader.child() : reader.node();
    if (step === START) {
      if (++count > elementsMax) throw new TreeError(`the document has more than ${elementsMax} elements`);
      const element = begun(reader, names);
      if (top === undefined) root = element;
      else top.children.push(element);
      open.push(element);
    } else if (step === TEXT) top!.text += utf8(reader.text, reader.textFrom, reader.textTo);
    else if (step === END) open.pop();
    else if (step === DONE) return root!;
    else throw new TreeError(`${reader.fault?.text ?? reader.problem} (byte ${reader.position})`);
  }
}

function begun(reader: XmlReader, names: ReadonlySet<string>): Growing {
  const attributes = new Map<string, string>();
  const found = new Map<string, readonly string[]>();
  for (let index = 0; index < reader.attributes; index++) {
    const local = reader.attributeName(index);
    const uri = reader.attributeNamespace(index);
    const text = reader.attributeText(index);
    attributes.set(uri === '' ? local : `{${uri}}${local}`, text);
    if (uri !== '' || !names.has(local)) continue;
    const words = text.split(/[ \t\r\n]+/).filter(Boolean);
    found.set(
      local,
      words.map((word) => reader.qualified(word) ?? `{}${word}`),
    );
  }
  return { uri: reader.uri, local: reader.local, attributes, names: found, children: [], text: '' };
}
