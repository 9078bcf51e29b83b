// Simple types of somebody else's XML Schema as scalars, enumerations and lists. What stands in them is checked by who owns the
// schema; only what a caller can be told beforehand without a doubt is kept.
import { TreeError, type XmlElement } from '../xml/tree.ts';
import { freeName, typeName, valueName } from './own-names.ts';
import type { Constraints, EnumType, MessageType, ScalarName, Type } from './types.ts';
import type { XmlForm } from './xml.ts';
import { enumText, HEX_TEXT, listForm, OPAQUE_FORM, simpleForm, type TextForm } from './xml-forms.ts';
import { SCALAR_READERS, SCALAR_TEXTS } from './xml-scalars.ts';
import { XSD_NAMESPACE } from './xsd.ts';

/** What stands between two tags, or in an attribute. */
export interface Held {
  readonly type: Type;
  /** Null for the type's own. */
  readonly form: XmlForm | null;
  /** One element has a list. */
  readonly isList: boolean;
  readonly constraints: Constraints | null;
}

/** Something of a schema that has no form here; the message says what. */
export class XsdError extends TreeError {}

const LIST_ITEMS_MAX = 100_000;
/** An enumeration of more is any text. */
const VALUES_MAX = 2_000;

interface Simple {
  readonly type: Type;
  /** Null for the type's own. */
  readonly text: TextForm | null;
  /** The words of an enumeration and their names. */
  readonly words: ReadonlyMap<string, string> | null;
  readonly isList: boolean;
  readonly constraints: Constraints | null;
}

function scalar(name: ScalarName, constraints: Constraints | null = null, text: TextForm | null = null): Simple {
  return { type: { kind: 'scalar', name }, text, words: null, isList: false, constraints };
}

const STRING = scalar('string');

const BUILT_IN: Readonly<Record<string, Simple>> = {
  boolean: scalar('bool'),
  byte: scalar('int32', { min: -128, max: 127 }),
  short: scalar('int32', { min: -32_768, max: 32_767 }),
  int: scalar('int32'),
  unsignedByte: scalar('uint32', { max: 255 }),
  unsignedShort: scalar('uint32', { max: 65_535 }),
  unsignedInt: scalar('uint32'),
  long: scalar('int64'),
  integer: scalar('int64'),
  negativeInteger: scalar('int64', { max: -1n }),
  nonPositiveInteger: scalar('int64', { max: 0n }),
  unsignedLong: scalar('uint64'),
  nonNegativeInteger: scalar('uint64'),
  positiveInteger: scalar('uint64', { min: 1n }),
  float: scalar('float'),
  double: scalar('double'),
  base64Binary: scalar('bytes'),
  hexBinary: scalar('bytes', null, HEX_TEXT),
  dateTime: scalar('timestamp'),
  dateTimeStamp: scalar('timestamp'),
  duration: scalar('duration'),
  dayTimeDuration: scalar('duration'),
  NMTOKENS: { ...STRING, isList: true },
  IDREFS: { ...STRING, isList: true },
  ENTITIES: { ...STRING, isList: true },
};

/** Types whose values are text here: a decimal keeps its digits, a date has no zone to lose. */
const TEXTUAL = new Set([
  ...['string', 'normalizedString', 'token', 'language', 'Name', 'NCName', 'NMTOKEN', 'ID', 'IDREF', 'ENTITY'],
  ...['anyURI', 'QName', 'NOTATION', 'decimal', 'date', 'time', 'gYear', 'gYearMonth', 'gMonth', 'gMonthDay', 'gDay'],
  ...['anySimpleType', 'anyAtomicType', 'yearMonthDuration'],
]);

export const OPAQUE: Held = {
  type: { kind: 'scalar', name: 'any' },
  form: OPAQUE_FORM,
  isList: false,
  constraints: null,
};
const JSON_TEXT: Held = { ...OPAQUE, form: null };

/** Where the types of a schema are, and where those that are made go. */
export interface SimpleScope {
  readonly types: Map<string, MessageType | EnumType>;
  /** The package of what is made: `partner.v1`. */
  readonly scope: string;
  /** A simple type by its `{uri}local`; null when there is none, or it is not simple. */
  simpleType(name: string): XmlElement | null;
  /** It is of a schema that this server writes (`xsd.ts`). */
  isOurs(node: XmlElement): boolean;
  /** Counts against what one schema may cost. */
  step(): void;
}

export class SimpleTypes {
  private readonly from: SimpleScope;
  private readonly made = new Map<XmlElement, Simple>();
  /** Names of values: a .proto has them beside their enumerations. */
  private readonly values = new Set<string>();

  constructor(from: SimpleScope) {
    this.from = from;
  }

  /** A built-in type by its local name; null when there is none. */
  builtIn(local: string): Held | null {
    if (local === 'anyType' || local === 'ur-type') return OPAQUE;
    const simple = builtIn(local);
    return simple === null ? null : heldOf(simple);
  }

  /** @param place what it is called where it has no name */
  held(node: XmlElement, place: string): Held {
    const held = heldOf(this.simple(node, place, 0));
    const isJson = node.attributes.get('name') === 'Json' && isPlainString(held);
    return isJson && this.from.isOurs(node) ? JSON_TEXT : held;
  }

  private named(name: string, depth: number): Simple {
    const cut = name.indexOf('}');
    const local = name.slice(cut + 1);
    const node = this.from.simpleType(name);
    if (node !== null) return this.simple(node, local, depth + 1);
    const found = name.slice(1, cut) === XSD_NAMESPACE ? builtIn(local) : null;
    if (found === null) throw new XsdError(`there is no simple type ${name}`);
    return found;
  }

  private simple(node: XmlElement, place: string, depth: number): Simple {
    this.from.step();
    const known = this.made.get(node);
    if (known !== undefined) return known;
    if (depth > 32) throw new XsdError(`the type ${place} is made of too many others`);
    const made = this.make(node, node.attributes.get('name') ?? place, depth);
    this.made.set(node, made);
    return made;
  }

  private make(node: XmlElement, place: string, depth: number): Simple {
    const derived = node.children.find(({ local }) => local === 'restriction' || local === 'list' || local === 'union');
    if (derived === undefined || derived.local === 'union') return STRING;
    const inner = derived.children.find(({ local }) => local === 'simpleType');
    const [name] = derived.names.get(derived.local === 'list' ? 'itemType' : 'base') ?? [];
    if (name === undefined && inner === undefined) return STRING;
    const base = name === undefined ? this.simple(inner!, place, depth + 1) : this.named(name, depth);
    if (derived.local === 'list') return { ...base, isList: true, constraints: null };
    return this.restricted(derived, base, place);
  }

  private restricted(node: XmlElement, base: Simple, place: string): Simple {
    const isText = isString(base) || base.words !== null;
    const words = facets(node, 'enumeration');
    if (words.length > 0 && words.length <= VALUES_MAX && isText && !base.isList)
      return this.enumeration(words, node, base, place);
    const constraints = constraintsOf(node, base);
    return constraints === null ? base : { ...base, constraints: { ...base.constraints, ...constraints } };
  }

  private enumeration(words: readonly string[], node: XmlElement, base: Simple, place: string): Simple {
    const { types, scope } = this.from;
    const own = freeName(typeName(place), { has: (name) => types.has(inPackage(scope, name)) });
    const names = new Map<string, string>();
    const taken = new Set<string>();
    for (const word of words) {
      if (names.has(word)) continue;
      let name = base.words?.get(word) ?? valueName(word);
      if (this.values.has(name)) name = `${own}_${name}`;
      name = freeName(name, taken);
      taken.add(name);
      names.set(word, name);
    }
    for (const name of taken) this.values.add(name);
    const values = [...names].map(([word, name], number) => {
      const said = documentation(
        node.children.find(({ local, attributes }) => local === 'enumeration' && attributes.get('value') === word),
      );
      const description = said === '' && word !== name ? `As ${JSON.stringify(word)}.` : said;
      return { name, number, ...(description === '' ? {} : { description }) };
    });
    const name = inPackage(scope, own);
    types.set(name, { kind: 'enum', name, values });
    const isPlain = [...names].every(([word, given]) => word === given);
    return {
      type: { kind: 'named', name },
      text: isPlain ? null : enumText(names),
      words: names,
      isList: false,
      constraints: null,
    };
  }
}

function builtIn(local: string): Simple | null {
  return Object.hasOwn(BUILT_IN, local) ? BUILT_IN[local]! : TEXTUAL.has(local) ? STRING : null;
}

function isString({ type }: { readonly type: Type }): boolean {
  return type.kind === 'scalar' && type.name === 'string';
}

function isPlainString(held: Held): boolean {
  return isString(held) && !held.isList;
}

function heldOf({ type, text, words, isList, constraints }: Simple): Held {
  if (!isList) return { type, form: text === null ? null : simpleForm(text), isList, constraints };
  const each = text ?? (words === null ? plainText(type) : enumText(words));
  return { type, form: listForm(each, LIST_ITEMS_MAX), isList, constraints: null };
}

function plainText(type: Type): TextForm {
  if (type.kind !== 'scalar') throw new XsdError('a list of this type is not read');
  const { name } = type;
  const read = SCALAR_READERS[name];
  if (name === 'bytes') return { read, write: (value) => Buffer.from(value as Uint8Array).toString('base64') };
  return { read, write: name === 'string' || name === 'any' ? String : SCALAR_TEXTS[name] };
}

function facets(node: XmlElement, facet: string): string[] {
  return node.children
    .filter(({ local }) => local === facet)
    .map(({ attributes }) => attributes.get('value'))
    .filter((value) => value !== undefined);
}

/** Lengths of text and bounds of numbers. Patterns are in a dialect of their own, and are left to who owns them. */
function constraintsOf(node: XmlElement, { type, isList }: Simple): Constraints | null {
  if (type.kind !== 'scalar' || isList) return null;
  const found: { -readonly [Key in keyof Constraints]: Constraints[Key] } = {};
  const { name } = type;
  if (name === 'string' || name === 'bytes') {
    const length = numberOf(node, 'length');
    const least = length ?? numberOf(node, 'minLength');
    const most = length ?? numberOf(node, 'maxLength');
    if (least !== null && least > 0) found.minLength = least;
    if (most !== null) found.maxLength = most;
  } else if (/^(?:u?int|double|float)/.test(name)) {
    const bound = (text: string | undefined) => {
      if (text === undefined || !/^[+-]?\d{1,15}(?:\.\d+)?$/.test(text.trim())) return null;
      return name.endsWith('64') ? (/^[+-]?\d+$/.test(text.trim()) ? BigInt(text.trim()) : null) : Number(text);
    };
    const min = bound(facets(node, 'minInclusive')[0]);
    const max = bound(facets(node, 'maxInclusive')[0]);
    if (min !== null) found.min = min;
    if (max !== null) found.max = max;
  }
  return Object.keys(found).length === 0 ? null : found;
}

function numberOf(node: XmlElement, facet: string): number | null {
  const text = facets(node, facet)[0]?.trim() ?? '';
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

/** @param scope '' for none */
export function inPackage(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}

/** What a schema says of something to people. */
export function documentation(node: XmlElement | undefined): string {
  const annotation = node?.children.find(({ local }) => local === 'annotation');
  const found = annotation?.children.find(({ local }) => local === 'documentation') ?? null;
  return found === null ? '' : found.text.replace(/\s+/g, ' ').trim().slice(0, 4_096);
}
