// Values as XML elements, both ways, by their description: compiled once into closures. Elements are named as the fields
// (camelCase), in one namespace; lists repeat their element, maps repeat one of `key` and `value`. It knows no envelope.
import { BAD } from '../../bytes/reader.ts';
import { escapeText, isWritable } from '../xml/chars.ts';
import { DONE, END, START, TEXT, type XmlReader } from '../xml/reader.ts';
import type { EnumType, Field, MessageType, ScalarName, Schema, Type } from './types.ts';
import { SCALAR_READERS, SCALAR_TEXTS } from './xml-scalars.ts';

export const XSI_NAMESPACE = 'http://www.w3.org/2001/XMLSchema-instance';
export const XOP_NAMESPACE = 'http://www.w3.org/2004/08/xop/include';

/** Bytes that came beside the document, by the id that an xop:Include names. */
export type XmlParts = ReadonlyMap<string, Uint8Array>;

/** What is being written: bytes that go beside the document, and what could not be written. */
export interface XmlWriting {
  /** Bytes of at least this many go beside the document; Infinity for none. */
  readonly attachAt: number;
  /** Their ids are their places here, by `idOf`. */
  readonly attached: Uint8Array[];
  readonly idOf: (index: number) => string;
  /** Where there is a character that no document can have: `items[2].name`; null when there is none. */
  unwritable: string | null;
}

export interface XmlMessage {
  /** Reads the content of the element that has just begun, up to its end. Whether it went well says `reader.stopped`. */
  read(reader: XmlReader, parts: XmlParts | null): Record<string, unknown>;
  /** The content, without the element around it. */
  write(value: unknown, writing: XmlWriting): string;
  /** What stands in the tag of the element around it, with a space before each; '' for nothing. */
  writeAttributes(value: unknown, writing: XmlWriting): string;
}

export interface XmlTypesOptions {
  /** Of all elements. Those without a namespace are read too. */
  readonly namespace: string;
  /**
   * Elements that the description does not have are passed over, as of a service that has grown; those in another namespace than it
   * says are taken; a number, a time or a word that is empty is absent. Else all of these are refused.
   */
  readonly lenient?: boolean;
  /** Where a field stands, as a schema of somebody else has it; absent for an element of its name in the one namespace. */
  readonly bindingOf?: (field: Field) => XmlBinding;
}

/** Where a field stands. */
export interface XmlBinding {
  /** `kind`: the element of the message itself is what the field has, and its xsi:type says so by `uri` and `local`. */
  readonly as: 'element' | 'attribute' | 'text' | 'kind';
  readonly uri: string;
  readonly local: string;
  /** Its name as it is written, with a prefix that is declared around. */
  readonly tag: string;
  /** How its values look, where that is not their type's own way. */
  readonly form?: XmlForm;
  /** A list is one value for `form`, and does not repeat its element. */
  readonly isOne?: boolean;
  /** The kind of an element that has no xsi:type. */
  readonly isDefault?: boolean;
  /** It is not left out: absent, it is there with xsi:nil, by a prefix `xsi` that is declared around. */
  readonly isNil?: boolean;
}

/** How a value looks between its tags or in an attribute. */
export interface XmlForm {
  /** Begins with `reader.content()`, of the element that has just begun. */
  readonly read: (reader: XmlReader) => unknown;
  readonly write: (value: unknown, writing: XmlWriting) => string;
}

type Read = (reader: XmlReader, parts: XmlParts | null) => unknown;
type Write = (value: unknown, writing: XmlWriting) => string;

/** What stands between the tags, and the attributes of the first, for types that have some. */
interface Written {
  readonly content: Write;
  readonly attributes: Write | null;
}

/** What a message itself may be. */
interface Kind {
  readonly binding: XmlBinding;
  readonly name: string;
  readonly read: Read;
  readonly written: Written;
}

interface ReadField {
  readonly field: Field;
  /** As it stands in a document. */
  readonly many: Field['many'];
  /** Its own. */
  readonly name: string;
  /** What its element is called. */
  readonly element: string;
  readonly uri: string;
  readonly isAny: boolean;
  readonly index: number;
  readonly read: Read;
  /** Of a map: the entry's key as a property's name. */
  readonly readKey: Read | null;
  /** The others of its oneof. */
  readonly rivals: readonly string[];
}

/** The types of one schema in one namespace, compiled as they are asked for. */
export class XmlTypes {
  private readonly schema: Schema;
  private readonly options: XmlTypesOptions;
  private readonly messages = new Map<MessageType, CompiledMessage>();

  constructor(schema: Schema, options: XmlTypesOptions) {
    this.schema = schema;
    this.options = options;
  }

  message(type: MessageType): XmlMessage {
    return this.compile(type);
  }

  private compile(type: MessageType): CompiledMessage {
    let found = this.messages.get(type);
    if (found === undefined) {
      found = new CompiledMessage(type, this.options);
      // Before its fields: they may contain it.
      this.messages.set(type, found);
      found.compile(
        (each) => this.readerOf(each),
        (each) => this.writerOf(each),
        (each) => this.presetOf(each),
      );
    }
    return found;
  }

  private named(name: string): MessageType | EnumType {
    const found = this.schema.types.get(name);
    if (found === undefined) throw new RangeError(`the schema has no type ${name}`);
    return found;
  }

  private readerOf(type: Type): Read {
    if (type.kind === 'scalar') {
      const read = SCALAR_READERS[type.name];
      if (type.name === 'bytes') return (reader, parts) => readBinary(reader, parts, read);
      if (this.options.lenient === true && type.name !== 'string') return blankless(read);
      return (reader) => (reader.content() === TEXT ? read(reader) : refuseChild(reader));
    }
    const named = this.named(type.name);
    if (named.kind === 'enum') return enumReader(named, this.options.lenient === true);
    const message = this.compile(named);
    return (reader, parts) => message.read(reader, parts);
  }

  private writerOf(type: Type): Written {
    if (type.kind === 'scalar') return { content: scalarWriter(type.name), attributes: null };
    const named = this.named(type.name);
    if (named.kind === 'enum') return { content: String, attributes: null };
    const message = this.compile(named);
    const attributes: Write = (value, writing) => message.writeAttributes(value, writing);
    return {
      content: (value, writing) => message.write(value, writing),
      attributes: this.hasAttributes(named) ? attributes : null,
    };
  }

  private hasAttributes({ fields }: MessageType): boolean {
    const { bindingOf } = this.options;
    return bindingOf !== undefined && fields.some((field) => /^(?:attribute|kind)$/.test(bindingOf(field).as));
  }

  /** What a field without presence is when it is absent. */
  private presetOf({ many, type, optional, oneof }: Field): (() => unknown) | null {
    if (many === 'list') return () => [];
    if (many === 'map') return () => ({});
    if (optional || oneof !== undefined) return null;
    if (type.kind === 'named') {
      const named = this.named(type.name);
      return named.kind === 'enum' ? constant(named.values[0]?.name ?? 0) : null;
    }
    switch (type.name) {
      case 'bool':
        return constant(false);
      case 'string':
        return constant('');
      case 'int64':
      case 'uint64':
        return constant(0n);
      case 'bytes':
        return () => Buffer.alloc(0);
      case 'timestamp':
      case 'any':
        return null;
      default:
        return constant(0);
    }
  }
}

function scalarWriter(name: ScalarName): Write {
  switch (name) {
    case 'bytes':
      return writeBinary;
    case 'string':
      return writeText;
    case 'any':
      return (value, writing) => writeText(JSON.stringify(value), writing);
    default:
      return SCALAR_TEXTS[name];
  }
}

/**
 * The fields in the order in which their elements stand: by number, but those of a oneof where the first of them is, since a choice
 * has one place in a sequence.
 */
export function inOrder({ fields }: MessageType): readonly Field[] {
  const order: Field[] = [];
  for (const field of fields) {
    const first = field.oneof === undefined ? field : fields.find((other) => other.oneof === field.oneof);
    if (first !== field) continue;
    order.push(...(field.oneof === undefined ? [field] : fields.filter((other) => other.oneof === field.oneof)));
  }
  return order;
}

function constant(value: unknown): () => unknown {
  return () => value;
}

// ---- messages ------------------------------------------------------------------------------------------------------

class CompiledMessage implements XmlMessage {
  private readonly type: MessageType;
  private readonly options: XmlTypesOptions;
  private readonly fields: ReadField[] = [];
  private readonly byName = new Map<string, ReadField>();
  private readonly presets: { readonly name: string; readonly make: () => unknown }[] = [];
  private readonly writers: Write[] = [];
  /** What is written for each field that is absent. */
  private readonly nils: string[] = [];
  private readonly attributes: {
    readonly binding: XmlBinding;
    readonly field: Field;
    readonly read: Read;
    readonly write: Write;
  }[] = [];
  /** What the message itself may be, as its xsi:type says. */
  private readonly kinds: Kind[] = [];
  /** What is between the tags is one value, and no elements. */
  private text: { readonly name: string; readonly read: Read; readonly write: Write } | null = null;

  constructor(type: MessageType, options: XmlTypesOptions) {
    this.type = type;
    this.options = options;
  }

  compile(
    readerOf: (type: Type) => Read,
    writerOf: (type: Type) => Written,
    presetOf: (field: Field) => (() => unknown) | null,
  ): void {
    const { namespace, bindingOf } = this.options;
    for (const field of inOrder(this.type)) {
      const { name, type } = field;
      const make = presetOf(field);
      if (make !== null) this.presets.push({ name, make });
      const binding = bindingOf?.(field) ?? { as: 'element', uri: namespace, local: name, tag: name };
      const { form } = binding;
      const read = form?.read ?? readerOf(type);
      const written = form === undefined ? writerOf(type) : { content: form.write, attributes: null };
      if (binding.as === 'attribute') this.attributes.push({ binding, field, read, write: written.content });
      else if (binding.as === 'kind') this.kinds.push({ binding, name, read, written });
      else if (binding.as === 'text') this.text = { name, read, write: written.content };
      else this.addElement(field, binding, read, written);
    }
  }

  private addElement(field: Field, binding: XmlBinding, read: Read, written: Written): void {
    const { name, type, oneof } = field;
    const readKey = field.many === 'map' ? keyReader(field) : null;
    const rivals = this.type.fields
      .filter((other) => other !== field && oneof !== undefined && other.oneof === oneof)
      .map((other) => other.name);
    const isAny = type.kind === 'scalar' && type.name === 'any';
    const { uri, local: element, tag, isOne = false, isNil = false } = binding;
    const many = isOne ? 'one' : field.many;
    const made = { field, many, name, element, uri, isAny, index: this.fields.length, read, readKey, rivals };
    this.fields.push(made);
    this.byName.set(element, made);
    this.writers.push(fieldWriter(name, many, tag, written));
    this.nils.push(isNil && many === 'one' && oneof === undefined ? `<${tag} xsi:nil="true"/>` : '');
  }

  read(reader: XmlReader, parts: XmlParts | null): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    const { fields } = this;
    if (this.kinds.length > 0) {
      this.readKind(value, reader, parts);
      return value;
    }
    if (this.attributes.length > 0) this.readAttributes(value, reader);
    if (this.text !== null) {
      value[this.text.name] = this.text.read(reader, parts);
      this.complete(value);
      return value;
    }
    let expected = 0;
    for (;;) {
      const step = reader.child();
      if (step !== START) {
        if (step === END) this.complete(value);
        else if (step === DONE) reader.wrong('ends too early');
        return value;
      }
      let found = fields[expected];
      if (found === undefined || found.element !== reader.local) found = fields[++expected];
      if (found === undefined || found.element !== reader.local) found = this.byName.get(reader.local);
      const isLenient = this.options.lenient === true;
      if (found === undefined || (reader.uri !== found.uri && reader.uri !== '' && !isLenient)) {
        if (isLenient && reader.skip()) continue;
        reader.wrong(`has no element ${shown(reader)}`);
        return value;
      }
      expected = found.index;
      if (!this.readField(found, value, reader, parts)) return value;
    }
  }

  private readKind(value: Record<string, unknown>, reader: XmlReader, parts: XmlParts | null): void {
    const type = reader.attribute(XSI_NAMESPACE, 'type')?.trim() ?? null;
    const name = type === null ? null : reader.qualified(type);
    const kind =
      this.kinds.find(({ binding }) => name === `{${binding.uri}}${binding.local}`) ??
      this.kinds.find(({ binding }) => binding.isDefault === true);
    if (kind === undefined) {
      reader.skip();
      return;
    }
    value[kind.name] = kind.read(reader, parts);
    if (reader.stopped) reader.path = pathOf(kind.name, reader.path);
  }

  private kindOf(value: unknown): Kind | undefined {
    return this.kinds.find(({ name }) => (value as Record<string, unknown>)[name] !== undefined);
  }

  private readAttributes(value: Record<string, unknown>, reader: XmlReader): void {
    for (const { binding, field, read } of this.attributes) {
      if (!reader.openAttribute(binding.uri, binding.local)) continue;
      value[field.name] = read(reader, null);
      if (reader.stopped) {
        reader.path = field.name;
        return;
      }
    }
    reader.closeAttributes();
  }

  /** Reads one element into the value; false when all stops. */
  private readField(
    found: ReadField,
    value: Record<string, unknown>,
    reader: XmlReader,
    parts: XmlParts | null,
  ): boolean {
    const { name, many } = found;
    if (reader.attributes > 0 && isNil(reader)) {
      if (!reader.skip()) return false;
      if (many !== 'list' || this.options.lenient === true) return true;
      return this.refuse(reader, name, 'is nil, which an entry of a list cannot be');
    }
    const before = value[name];
    if (many === 'one') {
      if (before !== undefined) return this.refuse(reader, name, 'is there twice');
      for (const rival of found.rivals)
        if (value[rival] !== undefined) return this.refuse(reader, name, `cannot stand beside ${rival}`);
      value[name] = found.read(reader, parts);
      if (!reader.stopped) return true;
      reader.path = pathOf(name, reader.path);
      return false;
    }
    if (many === 'list') {
      const list = (before ?? (value[name] = [])) as unknown[];
      const item = found.read(reader, parts);
      if (item !== undefined) list.push(item);
      if (!reader.stopped) return true;
      reader.path = pathOf(`${name}[${item === undefined ? list.length : list.length - 1}]`, reader.path);
      return false;
    }
    const map = (before ?? (value[name] = {})) as Record<string, unknown>;
    this.readEntry(found, map, reader, parts);
    if (!reader.stopped) return true;
    reader.path = pathOf(name, reader.path);
    return false;
  }

  private readEntry(found: ReadField, map: Record<string, unknown>, reader: XmlReader, parts: XmlParts | null): void {
    let key: string | null = null;
    let entry: unknown;
    for (let step = reader.child(); step !== END; step = reader.child()) {
      if (step === BAD) return;
      if (reader.local === 'key' && key === null) key = String(found.readKey!(reader, null));
      else if (reader.local === 'value' && entry === undefined) entry = found.read(reader, parts);
      else reader.wrong(`has no element ${shown(reader)} here: an entry is a key and a value`);
      if (reader.stopped) return;
    }
    if (key === null || entry === undefined) reader.wrong('has an entry without a key or a value');
    else if (Object.hasOwn(map, key)) reader.wrong(`has the key ${key} twice`);
    else if (key === '__proto__')
      Object.defineProperty(map, key, { value: entry, enumerable: true, writable: true, configurable: true });
    else map[key] = entry;
  }

  private refuse(reader: XmlReader, name: string, problem: string): false {
    reader.wrong(problem);
    reader.path = name;
    return false;
  }

  private complete(value: Record<string, unknown>): void {
    const { presets } = this;
    for (let at = 0; at < presets.length; at++) {
      const { name, make } = presets[at]!;
      if (value[name] === undefined) value[name] = make();
    }
  }

  writeAttributes(value: unknown, writing: XmlWriting): string {
    let text = '';
    const kind = this.kindOf(value);
    if (kind !== undefined) {
      const { binding, name, written } = kind;
      if (binding.isDefault !== true) text = ` xsi:type="${binding.tag}"`;
      return text + (written.attributes?.((value as Record<string, unknown>)[name], writing) ?? '');
    }
    for (const { binding, field, write } of this.attributes) {
      const each = (value as Record<string, unknown>)[field.name];
      // What is escaped as text is escaped for an attribute, but for what ends it.
      if (each !== undefined && each !== null)
        text += ` ${binding.tag}="${write(each, writing).replace(/["\n\t]/g, (char) => `&#${char.charCodeAt(0)};`)}"`;
    }
    return text;
  }

  write(value: unknown, writing: XmlWriting): string {
    const { fields, writers } = this;
    const kind = this.kinds.length === 0 ? undefined : this.kindOf(value);
    if (kind !== undefined) return kind.written.content((value as Record<string, unknown>)[kind.name], writing);
    if (this.text !== null) {
      const only = (value as Record<string, unknown>)[this.text.name];
      return only === undefined || only === null ? '' : this.text.write(only, writing);
    }
    let text = '';
    for (let at = 0; at < writers.length; at++) {
      const { name, isAny } = fields[at]!;
      const each = (value as Record<string, unknown>)[name];
      // Of JSON, null is a value.
      if (each !== undefined && (each !== null || isAny)) text += writers[at]!(each, writing);
      else text += this.nils[at]!;
    }
    return text;
  }
}

function fieldWriter(name: string, many: Field['many'], element: string, { content, attributes }: Written): Write {
  const open = attributes === null ? `<${element}>` : `<${element}`;
  const close = `</${element}>`;
  /** What could not be written is told with its place. */
  const placed = (value: unknown, writing: XmlWriting, place: string): string => {
    const before = writing.unwritable;
    const text =
      attributes === null ? content(value, writing) : `${attributes(value, writing)}>${content(value, writing)}`;
    if (before === null && writing.unwritable !== null) writing.unwritable = pathOf(place, writing.unwritable);
    return text;
  };
  if (many === 'one') return (value, writing) => open + placed(value, writing, name) + close;
  if (many === 'list')
    return (value, writing) => {
      const list = value as readonly unknown[];
      let text = '';
      for (let at = 0; at < list.length; at++) text += open + placed(list[at], writing, `${name}[${at}]`) + close;
      return text;
    };
  return (value, writing) => {
    let text = '';
    for (const [key, each] of Object.entries(value as Record<string, unknown>)) {
      const entry = `<key>${writeText(key, writing)}</key><value>${placed(each, writing, `${name}.${key}`)}</value>`;
      text += open + entry + close;
    }
    return text;
  };
}

// ---- values --------------------------------------------------------------------------------------------------------

export function writeText(value: unknown, writing: XmlWriting): string {
  const text = value as string;
  if (!isWritable(text)) writing.unwritable ??= '';
  return escapeText(text);
}

function writeBinary(value: unknown, writing: XmlWriting): string {
  const bytes = value as Uint8Array;
  if (bytes.length < writing.attachAt)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
  const id = writing.idOf(writing.attached.push(bytes) - 1);
  return `<xop:Include xmlns:xop="${XOP_NAMESPACE}" href="cid:${id}"/>`;
}

/** base64Binary, or an xop:Include of a part that came beside the document (XOP §2.1). */
function readBinary(reader: XmlReader, parts: XmlParts | null, read: (reader: XmlReader) => unknown): unknown {
  const step = reader.content();
  if (step === TEXT) return read(reader);
  if (step !== START) return null;
  if (reader.local !== 'Include' || reader.uri !== XOP_NAMESPACE) return refuseChild(reader);
  const href = reader.attribute('', 'href') ?? '';
  const bytes = href.startsWith('cid:') ? parts?.get(decoded(href.slice(4))) : undefined;
  if (bytes === undefined) reader.wrong('includes a part that is not there');
  else if (reader.skip() && reader.child() !== END) refuseChild(reader);
  return bytes;
}

function decoded(href: string): string {
  try {
    return decodeURIComponent(href);
  } catch {
    return href;
  }
}

/** Undefined for what has no text at all. */
function blankless(read: (reader: XmlReader) => unknown): Read {
  return (reader) => {
    if (reader.content() !== TEXT) return refuseChild(reader);
    return isBlank(reader) ? undefined : read(reader);
  };
}

export function isBlank({ text, textFrom, textTo }: XmlReader): boolean {
  for (let at = textFrom; at < textTo; at++) if (text[at]! > 0x20) return false;
  return true;
}

function enumReader({ values }: EnumType, isLenient: boolean): Read {
  const names = new Set(values.map(({ name }) => name));
  return (reader) => {
    if (reader.content() !== TEXT) return refuseChild(reader);
    if (isLenient && isBlank(reader)) return undefined;
    const text = SCALAR_READERS.string(reader) as string;
    const name = names.has(text) ? text : text.trim();
    if (names.has(name)) return name;
    // One that is not known here yet goes as its number.
    if (/^-?\d{1,10}$/.test(name) && Number(name) === (Number(name) | 0)) {
      const known = values.find(({ number }) => number === Number(name));
      return known?.name ?? Number(name);
    }
    reader.wrong(`is none of ${[...names].slice(0, 20).join(', ')}`);
    return '';
  };
}

function keyReader({ mapKey = 'string' }: Field): Read {
  const read = SCALAR_READERS[mapKey];
  return (reader) => (reader.content() === TEXT ? read(reader) : refuseChild(reader));
}

function refuseChild(reader: XmlReader): unknown {
  if (!reader.stopped) reader.wrong(`has an element ${shown(reader)} where only text may be`);
  return null;
}

function isNil(reader: XmlReader): boolean {
  const nil = reader.attribute(XSI_NAMESPACE, 'nil');
  return nil === 'true' || nil === '1';
}

function shown({ uri, local }: XmlReader): string {
  return uri === '' ? local : `{${uri}}${local}`;
}

function pathOf(name: string, rest: string): string {
  return rest === '' ? name : rest.startsWith('[') ? name + rest : `${name}.${rest}`;
}
