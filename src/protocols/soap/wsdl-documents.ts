// A WSDL and all that it imports and includes, read into trees: relative to where each document stands, bounded, and never out of
// the place that it came from into files.

import { XSD_NAMESPACE } from '../../formats/schema/xsd.ts';
import { XSD_NAMES } from '../../formats/schema/xsd-import.ts';
import { TreeError, type XmlElement, xmlTree } from '../../formats/xml/tree.ts';
import { WSDL } from './names.ts';

export interface LoadedDocument {
  readonly bytes: Buffer;
  /** As its carrier says it, in lower case; '' for nothing. */
  readonly charset: string;
}

/** Fetches a document by its URL. Rejects when it is not there. */
export type LoadDocument = (url: string) => Promise<LoadedDocument>;

export interface WsdlDocuments {
  /** The definitions, each with its targetNamespace among its attributes; the one that was asked for comes first. */
  readonly definitions: readonly XmlElement[];
  /** The schemas, and the namespace that each takes where it has none. */
  readonly schemas: readonly { readonly node: XmlElement; readonly namespace: string }[];
}

/** The description cannot be read, or not be used; the message says why. */
export class WsdlError extends Error {}

const DOCUMENTS_MAX = 128;
const BYTES_MAX = 33_554_432;
const ELEMENTS_MAX = 200_000;
const NAMES = new Set([...XSD_NAMES, 'element', 'message', 'binding']);

/** Namespaces that are known here, or not needed. */
const KNOWN = new Set([
  XSD_NAMESPACE,
  'http://www.w3.org/XML/1998/namespace',
  'http://schemas.xmlsoap.org/soap/encoding/',
  'http://schemas.xmlsoap.org/soap/envelope/',
  'http://schemas.xmlsoap.org/wsdl/',
  'http://www.w3.org/2005/05/xmlmime',
  'http://www.w3.org/2004/08/xop/include',
  'http://www.w3.org/2005/08/addressing',
]);

/** Rejects with a `WsdlError`, or with what `load` rejects with. */
export async function loadWsdl(url: string, load: LoadDocument): Promise<WsdlDocuments> {
  const reading = new Reading(load);
  await reading.definitionsAt(url);
  return reading;
}

class Reading implements WsdlDocuments {
  readonly definitions: XmlElement[] = [];
  readonly schemas: { readonly node: XmlElement; readonly namespace: string }[] = [];
  private readonly load: LoadDocument;
  private readonly seen = new Set<string>();
  private readonly trees = new Map<string, XmlElement>();
  private bytes = 0;

  constructor(load: LoadDocument) {
    this.load = load;
  }

  async definitionsAt(url: string): Promise<void> {
    if (this.seen.has(url)) return;
    this.seen.add(url);
    const root = await this.tree(url);
    if (root.uri === XSD_NAMESPACE && root.local === 'schema' && this.definitions.length > 0)
      return this.schema(root, url, '');
    if (root.uri !== WSDL || root.local !== 'definitions')
      throw new WsdlError(
        root.local === 'description' ? `${url} is WSDL 2.0, which is not read: ask for WSDL 1.1` : `${url} is no WSDL`,
      );
    this.definitions.push(root);
    for (const child of root.children) {
      if (child.uri !== WSDL) continue;
      const location = child.attributes.get('location');
      if (child.local === 'import' && location !== undefined) await this.definitionsAt(beside(location, url));
      if (child.local !== 'types') continue;
      for (const schema of child.children)
        if (schema.uri === XSD_NAMESPACE && schema.local === 'schema') await this.schema(schema, url, '');
    }
  }

  private async schema(node: XmlElement, url: string, namespace: string): Promise<void> {
    this.schemas.push({ node, namespace });
    const own = node.attributes.get('targetNamespace') ?? namespace;
    for (const child of node.children) {
      if (child.uri !== XSD_NAMESPACE) continue;
      const location = child.attributes.get('schemaLocation');
      if (location === undefined) continue;
      if (child.local === 'import') {
        if (!KNOWN.has(child.attributes.get('namespace') ?? '')) await this.schemaAt(beside(location, url), '');
      } else if (child.local === 'include' || child.local === 'redefine')
        await this.schemaAt(beside(location, url), own);
    }
  }

  private async schemaAt(url: string, namespace: string): Promise<void> {
    const key = `${namespace} ${url}`;
    if (this.seen.has(key)) return;
    this.seen.add(key);
    const root = await this.tree(url);
    if (root.uri === XSD_NAMESPACE && root.local === 'schema') return this.schema(root, url, namespace);
    // One that stands in another description (`?wsdl=1`).
    if (root.uri === WSDL && root.local === 'definitions') return this.definitionsAt(url);
    throw new WsdlError(`${url} is no XML Schema`);
  }

  private async tree(url: string): Promise<XmlElement> {
    const known = this.trees.get(url);
    if (known !== undefined) return known;
    if (this.trees.size >= DOCUMENTS_MAX) throw new WsdlError(`there are more than ${DOCUMENTS_MAX} documents`);
    const { bytes, charset } = await this.load(url);
    this.bytes += bytes.length;
    if (this.bytes > BYTES_MAX) throw new WsdlError(`the documents have more than ${BYTES_MAX} bytes`);
    try {
      const made = xmlTree(bytes, charset, { elementsMax: ELEMENTS_MAX, names: NAMES });
      this.trees.set(url, made);
      return made;
    } catch (error) {
      if (error instanceof TreeError) throw new WsdlError(`${url} cannot be read: ${error.message}`);
      throw error;
    }
  }
}

/** Where a document is that another names: over HTTP from HTTP, in files from files. */
function beside(location: string, url: string): string {
  const at = URL.canParse(location, url) ? new URL(location, url) : null;
  const isFile = url.startsWith('file:');
  if (at === null || (isFile ? at.protocol !== 'file:' || /^[a-z]+:/i.test(location) : !/^https?:$/.test(at.protocol)))
    throw new WsdlError(`${url} names ${location}, which is not fetched from there`);
  at.hash = '';
  return at.href;
}
