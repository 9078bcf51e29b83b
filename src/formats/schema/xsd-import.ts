// Somebody else's XML Schema as types, each with where its values stand in a document. It is given the schemas, and fetches none.
import type { XmlElement } from '../xml/tree.ts';
import { fieldName, freeName, protoName, typeName } from './own-names.ts';
import type { EnumType, Field, MessageType, Schema, Type } from './types.ts';
import type { XmlBinding } from './xml.ts';
import { XSD_NAMESPACE } from './xsd.ts';
import { type Component, type Space, XsdComponents } from './xsd-components.ts';
import { documentation, type Held, inPackage, OPAQUE, SimpleTypes, XsdError } from './xsd-simple.ts';

export { XsdError } from './xsd-simple.ts';

/** Attributes of schemas whose values are names with prefixes. */
export const XSD_NAMES: ReadonlySet<string> = new Set([
  ...['type', 'ref', 'base', 'itemType', 'memberTypes', 'substitutionGroup'],
]);

/** What all types of one import may cost: groups that contain groups grow without end. */
const STEPS_MAX = 500_000;
const NESTED_MAX = 64;
const FIELDS_MAX = 2_000;
const KINDS_MAX = 200;
/** Types in types, each of which is read and written by a function within that of the other. */
const WITHIN_MAX = 500;
const SOAP_ARRAY = '{http://schemas.xmlsoap.org/soap/encoding/}Array';

type Draft = { -readonly [Key in keyof Field]: Field[Key] };

interface MessageDraft {
  readonly kind: 'message';
  readonly name: string;
  readonly fields: Draft[];
  description?: string;
}

/** How the particles around an element say that it may stand there. */
interface Around {
  readonly isOptional: boolean;
  readonly repeats: boolean;
  readonly depth: number;
}

/** A field to be, wherever it comes from. */
export interface FieldGiven {
  readonly local: string;
  readonly uri: string;
  readonly as: XmlBinding['as'];
  readonly held: Held;
  readonly isRequired: boolean;
  readonly repeats: boolean;
  readonly isNillable: boolean;
  readonly description: string;
}

/** A global element: what its value is as a message. */
export interface ElementMessage {
  readonly uri: string;
  readonly local: string;
  readonly message: MessageType;
}

export class XsdImport {
  readonly types = new Map<string, MessageType | EnumType>();
  readonly schema: Schema = { types: this.types };
  readonly scope: string;
  /** What of the schemas has no form here and was left out, for whoever imports. */
  readonly notes = new Set<string>();
  private readonly components = new XsdComponents(() => this.step());
  private readonly bindings = new Map<Field, XmlBinding>();
  private readonly prefixes = new Map<string, string>();
  private readonly simple: SimpleTypes;
  private readonly made = new Map<XmlElement, string>();
  private readonly sources = new Map<string, Component>();
  /** For types that others extend, the message of all that may stand there. */
  private readonly kinds = new Map<XmlElement, string>();
  /** Types of which nothing but the name is made yet. */
  private readonly waiting: { readonly draft: MessageDraft; readonly component: Component }[] = [];
  private readonly broken = new Map<string, XsdError>();
  /** Maps by the types of their entries. */
  private readonly entries = new Map<string, Entry>();
  private steps = 0;

  /** @param scope the package of the types: `partner.v1` */
  constructor(scope: string) {
    this.scope = scope;
    this.simple = new SimpleTypes({
      types: this.types,
      scope,
      simpleType: (name) => {
        const found = this.components.find('type', name, null);
        return found?.node.local === 'simpleType' ? found.node : null;
      },
      isOurs: (node) => this.components.isOurs(node),
      step: () => this.step(),
    });
  }

  /** Adds an xsd:schema. @param namespace that it takes when it has none, since one that has includes it */
  add(schema: XmlElement, namespace: string): void {
    this.components.add(schema, namespace);
  }

  readonly bindingOf = (field: Field): XmlBinding => {
    const found = this.bindings.get(field);
    if (found === undefined) throw new RangeError(`the field ${field.name} stands nowhere`);
    return found;
  };

  /** A name with its prefix; that without a namespace has none. */
  tag(uri: string, local: string): string {
    if (uri === '') return local;
    let prefix = this.prefixes.get(uri);
    if (prefix === undefined) {
      prefix = `n${this.prefixes.size + 1}`;
      this.prefixes.set(uri, prefix);
    }
    return `${prefix}:${local}`;
  }

  /** Declarations of the prefixes that a message and all within it has. @param uri that of the element around it */
  prefixesOf(message: MessageType, uri: string): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    const add = (each: string) => {
      if (each !== '') found.set(this.tag(each, '').slice(0, -1), each);
    };
    add(uri);
    this.walk([message], ({ fields }) => {
      for (const field of fields) add(this.bindings.get(field)?.uri ?? '');
    });
    return found;
  }

  /** A global element, by its `{uri}local`, as a message. Throws an `XsdError`. @param place what it is called without a name */
  element(name: string, place: string): ElementMessage {
    const found = this.components.find('element', name, null);
    if (found === null) throw new XsdError(`there is no element ${name}`);
    const local = found.node.attributes.get('name')!;
    const { namespace: uri } = found.space;
    const held = this.heldOf(found.node, found.space, place);
    const named = held.type.kind === 'named' ? this.types.get(held.type.name) : undefined;
    if (named?.kind === 'message') return { uri, local, message: named };
    // A value alone is the one field of a message.
    const given: FieldGiven = { ...PLAIN, local: 'value', uri: '', as: 'text', held };
    return { uri, local, message: this.message(place, [given]) };
  }

  /** What a type is, by its `{uri}local`. Throws an `XsdError`. */
  type(name: string, place: string): Held {
    return this.named(name, null, place);
  }

  /** A message of parts that no type has together. */
  message(place: string, parts: readonly FieldGiven[]): MessageType {
    const draft = this.draft(place);
    for (const part of parts) this.put(draft, part);
    return draft;
  }

  /** Makes what was asked for whole; what cannot be is found by `problemOf`. */
  settle(): void {
    for (let next = this.waiting.pop(); next !== undefined; next = this.waiting.pop()) {
      const { draft, component } = next;
      try {
        this.content(draft, component, NONE_AROUND);
        const said = documentation(component.node);
        if (said !== '') draft.description = said;
      } catch (error) {
        if (!(error instanceof XsdError)) throw error;
        this.broken.set(draft.name, error);
      }
    }
  }

  /** Why a message, or what is within it, cannot be used; '' when it can. */
  problemOf(message: MessageType): string {
    let problem = '';
    this.walk([message], ({ name }, depth) => {
      if (problem === '') problem = this.broken.get(name)?.message ?? '';
      if (problem === '' && depth >= WITHIN_MAX) problem = `${name} is nested too deeply in others`;
    });
    return problem;
  }

  /** Forgets the types that are in none of these. */
  keep(messages: readonly MessageType[]): void {
    const kept = new Set<string>();
    this.walk(messages, ({ name, fields }) => {
      kept.add(name);
      for (const { type } of fields) if (type.kind === 'named') kept.add(type.name);
    });
    for (const name of [...this.types.keys()]) if (!kept.has(name)) this.types.delete(name);
  }

  /**
   * What a caller must give is told to him, but answers are taken as they come: what their messages have is neither required nor
   * bounded.
   */
  relax(outputs: readonly MessageType[]): void {
    this.walk(outputs, ({ fields }) => {
      for (const field of fields as Draft[]) {
        field.required = false;
        delete field.constraints;
      }
    });
  }

  /** Visits messages and all that are within them, each once, no deeper than `WITHIN_MAX`. */
  private walk(messages: readonly MessageType[], visit: (message: MessageType, depth: number) => void): void {
    const seen = new Set<string>();
    const enter = (message: MessageType, depth: number) => {
      if (seen.has(message.name)) return;
      seen.add(message.name);
      visit(message, depth);
      if (depth >= WITHIN_MAX) return;
      for (const { type } of message.fields) {
        const named = type.kind === 'named' ? this.types.get(type.name) : undefined;
        if (named?.kind === 'message') enter(named, depth + 1);
      }
    };
    for (const message of messages) enter(message, 0);
  }

  private step(): void {
    if (++this.steps > STEPS_MAX) throw new XsdError('the schemas are too large');
  }

  // ---- types -------------------------------------------------------------------------------------------------------

  /** What the type of an element or attribute is, whether by its name or in itself. */
  private heldOf(node: XmlElement, space: Space, place: string): Held {
    const [name] = node.names.get('type') ?? [];
    if (name !== undefined) return this.named(name, space, place);
    const inner = node.children.find(({ local }) => local === 'complexType' || local === 'simpleType');
    if (inner === undefined) return OPAQUE;
    return inner.local === 'simpleType' ? this.simple.held(inner, place) : this.complex({ node: inner, space }, place);
  }

  private named(name: string, space: Space | null, place: string): Held {
    const found = this.components.find('type', name, space);
    const cut = name.indexOf('}');
    const local = name.slice(cut + 1);
    if (found !== null) {
      const own = found.node.local === 'simpleType' ? local : typeName(local);
      return found.node.local === 'simpleType' ? this.simple.held(found.node, own) : this.complex(found, own);
    }
    const uri = name.slice(1, cut);
    const isBuiltIn = uri === XSD_NAMESPACE || uri === 'http://schemas.xmlsoap.org/soap/encoding/';
    const held = isBuiltIn && name !== SOAP_ARRAY ? this.simple.builtIn(local) : null;
    if (held === null) throw new XsdError(`there is no type ${name}, of ${place}`);
    return held;
  }

  private complex(component: Component, place: string): Held {
    const { node } = component;
    this.step();
    const known = this.made.get(node);
    if (known !== undefined) return heldMessage(known);
    if (isMixed(node)) return OPAQUE;
    const draft = this.draft(place);
    this.made.set(node, draft.name);
    this.sources.set(draft.name, component);
    // How deep types lead into others is no matter of ours; that of a map is asked for at once.
    if (this.components.isOurs(node) && node.attributes.get('name')?.endsWith('.entry') === true) {
      this.content(draft, component, NONE_AROUND);
      this.takeEntry(draft);
    } else this.waiting.push({ draft, component });
    return heldMessage(draft.name);
  }

  private draft(place: string): MessageDraft {
    const name = freeName(inPackage(this.scope, typeName(place)), this.types);
    const draft: MessageDraft = { kind: 'message', name, fields: [] };
    this.types.set(name, draft);
    return draft;
  }

  /** What a complex type has: its base's first, then its own. */
  private content(into: MessageDraft, { node, space }: Component, around: Around): void {
    this.step();
    if (around.depth > NESTED_MAX) throw new XsdError(`${into.name} is made of too many others`);
    for (const child of node.children) {
      if (child.local === 'simpleContent' || child.local === 'complexContent') this.derived(into, child, space, around);
      else this.particle(into, child, space, around);
    }
    this.attributes(into, node, space);
  }

  private derived(into: MessageDraft, content: XmlElement, space: Space, around: Around): void {
    const node = content.children.find(({ local }) => local === 'extension' || local === 'restriction');
    const [base] = node?.names.get('base') ?? [];
    if (node === undefined || base === undefined) throw new XsdError(`${into.name} is derived of nothing`);
    if (base === SOAP_ARRAY) throw new XsdError(`${into.name} is an array of SOAP encoding, which is not spoken`);
    const inner: Around = { ...around, depth: around.depth + 1 };
    const found = this.components.find('type', base, space);
    const isExtension = node.local === 'extension';
    if (found?.node.local === 'complexType') {
      // A restriction says again what it keeps of the elements, but not of the attributes.
      if (isExtension || content.local === 'simpleContent') this.content(into, found, inner);
      else this.attributes(into, found.node, found.space);
    } else if (content.local === 'simpleContent') {
      const held = found === null ? this.named(base, space, into.name) : this.simple.held(found.node, into.name);
      this.put(into, { ...PLAIN, local: 'value', uri: '', as: 'text', held });
    } else if (!base.endsWith('}anyType')) throw new XsdError(`there is no type ${base}, which ${into.name} extends`);
    if (content.local === 'complexContent')
      for (const child of node.children) this.particle(into, child, space, around);
    this.attributes(into, node, space);
  }

  private attributes(into: MessageDraft, node: XmlElement, space: Space, depth = 0): void {
    for (const child of node.children) {
      this.step();
      if (child.local === 'attributeGroup') {
        const [name] = child.names.get('ref') ?? [];
        const found = name === undefined ? null : this.components.find('attributeGroup', name, space);
        if (found !== null && depth < NESTED_MAX) this.attributes(into, found.node, found.space, depth + 1);
      } else if (child.local === 'attribute') this.attribute(into, child, space);
    }
  }

  private attribute(into: MessageDraft, node: XmlElement, space: Space): void {
    const use = node.attributes.get('use');
    const [ref] = node.names.get('ref') ?? [];
    const found = ref === undefined ? null : this.components.find('attribute', ref, space);
    // Those of XML itself (xml:lang), or of a description (wsdl:arrayType).
    if (use === 'prohibited' || (ref !== undefined && found === null)) return;
    const { node: said, space: its } = found ?? { node, space };
    const local = said.attributes.get('name') ?? '';
    const form = node.attributes.get('form') ?? (its.areAttributesQualified ? 'qualified' : 'unqualified');
    const uri = found !== null || form === 'qualified' ? its.namespace : '';
    const typed = said.names.has('type') || said.children.some((child) => child.local === 'simpleType');
    const held = typed ? this.heldOf(said, its, `${shortOf(into)}${typeName(local)}`) : this.simple.builtIn('string')!;
    const description = documentation(said);
    this.put(into, { ...PLAIN, local, uri, as: 'attribute', held, isRequired: use === 'required', description });
  }

  // ---- particles ---------------------------------------------------------------------------------------------------

  private particle(into: MessageDraft, node: XmlElement, space: Space, around: Around): void {
    this.step();
    if (around.depth > NESTED_MAX) throw new XsdError(`${into.name} is nested too deeply`);
    switch (node.local) {
      case 'element':
        this.elementIn(into, node, space, around);
        return;
      case 'all':
      case 'sequence':
      case 'choice':
        this.group(into, node, space, within(node, around));
        return;
      case 'group': {
        const [ref] = node.names.get('ref') ?? [];
        const found = ref === undefined ? null : this.components.find('group', ref, space);
        if (found === null) throw new XsdError(`there is no group ${ref ?? ''}, of ${into.name}`);
        const inner = within(node, around);
        for (const child of found.node.children) this.particle(into, child, found.space, inner);
        return;
      }
      case 'any':
        this.notes.add(`${into.name} may have any elements beside its own: they are passed over`);
        return;
    }
  }

  private group(into: MessageDraft, node: XmlElement, space: Space, around: Around): void {
    const parts = node.children.filter(({ local }) => local !== 'annotation');
    if (node.local !== 'choice') {
      if (around.repeats && parts.length > 1)
        throw new XsdError(`${into.name} has a sequence that repeats, whose elements belong together`);
      for (const part of parts) this.particle(into, part, space, around);
      return;
    }
    const isOneOf = !around.repeats && parts.length > 1 && parts.every((part) => isOneElement(part));
    const before = into.fields.length;
    for (const part of parts) this.particle(into, part, space, { ...around, isOptional: true });
    const added = into.fields.slice(before);
    if (isOneOf && added.length === parts.length && added.every(({ oneof }) => oneof === undefined))
      this.oneOf(into, added);
  }

  private elementIn(into: MessageDraft, node: XmlElement, space: Space, around: Around): void {
    const { isOptional, repeats } = within(node, around);
    if (node.attributes.get('maxOccurs') === '0') return;
    const [ref] = node.names.get('ref') ?? [];
    const found = ref === undefined ? null : this.components.find('element', ref, space);
    const others = found === null ? [] : this.components.substitutesOf(found);
    if (others.length > 0) {
      this.substituted(into, [found!, ...others], repeats);
      return;
    }
    if (ref !== undefined && found === null) throw new XsdError(`there is no element ${ref}, of ${into.name}`);
    const { node: said, space: its } = found ?? { node, space };
    const local = said.attributes.get('name') ?? '';
    const form = node.attributes.get('form') ?? (its.areElementsQualified ? 'qualified' : 'unqualified');
    const uri = found !== null || form === 'qualified' ? its.namespace : '';
    const held = this.anyOf(this.heldOf(said, its, `${shortOf(into)}${typeName(local)}`));
    this.put(into, {
      ...{ local, uri, as: 'element', held, repeats },
      isRequired: !isOptional,
      isNillable: said.attributes.get('nillable') === 'true',
      description: documentation(node) || documentation(said),
    });
  }

  /** A global element that others may stand for, as a choice of all of them (XML Schema Part 1 §3.3.6.4). */
  private substituted(into: MessageDraft, all: readonly Component[], repeats: boolean): void {
    const before = into.fields.length;
    for (const { node, space } of all) {
      if (node.attributes.get('abstract') === 'true') continue;
      const local = node.attributes.get('name')!;
      const held = this.anyOf(this.heldOf(node, space, typeName(local)));
      const description = documentation(node);
      this.put(into, { ...PLAIN, local, uri: space.namespace, as: 'element', held, repeats, description });
    }
    this.oneOf(into, into.fields.slice(before));
  }

  /** At most one of these stands there. */
  private oneOf(into: MessageDraft, fields: readonly Draft[]): void {
    if (fields.length < 2 || fields.some(({ many }) => many !== 'one')) return;
    const oneof = freeName('choice', new Set(into.fields.flatMap((field) => [field.oneof ?? '', field.name])));
    for (const field of fields) field.oneof = oneof;
  }

  /** A type that others extend: the value is of one of them, as xsi:type says. */
  private anyOf(held: Held): Held {
    const { type } = held;
    const base = type.kind === 'named' ? this.sources.get(type.name) : undefined;
    const derived = base === undefined ? [] : this.components.derivedOf(base);
    if (base === undefined || type.kind !== 'named' || derived.length === 0) return held;
    const known = this.kinds.get(base.node);
    if (known !== undefined) return heldMessage(known);
    const all = [base, ...derived].filter((each) => each.node.attributes.get('abstract') !== 'true');
    if (all.length > KINDS_MAX) {
      this.notes.add(
        `${type.name} has more than ${KINDS_MAX} extensions: what is theirs is passed over, and never sent`,
      );
      return held;
    }
    const draft = this.draft(`Any${shortOf({ name: type.name })}`);
    this.kinds.set(base.node, draft.name);
    for (const component of all) this.kind(draft, component, component === base);
    return heldMessage(draft.name);
  }

  private kind(into: MessageDraft, component: Component, isDefault: boolean): void {
    this.step();
    const local = component.node.attributes.get('name') ?? '';
    const uri = component.space.namespace;
    const { type, form } = this.complex(component, typeName(local));
    if (form !== null) return;
    const name = freeName(fieldName(local), new Set(into.fields.map((field) => field.name)));
    const number = into.fields.length + 1;
    const field: Draft = {
      ...{
        name,
        protoName: protoName(name),
        number,
        type,
        many: 'one',
        optional: true,
        required: false,
        oneof: 'kind',
      },
    };
    into.fields.push(field);
    this.bindings.set(field, { as: 'kind', uri, local, tag: this.tag(uri, local), isDefault });
  }

  private put(into: MessageDraft, given: FieldGiven): void {
    const { local, uri, as, held, isNillable, description } = given;
    this.step();
    if (into.fields.length >= FIELDS_MAX) throw new XsdError(`${into.name} has more than ${FIELDS_MAX} parts`);
    const twin = into.fields.find((field) => {
      const known = this.bindings.get(field)!;
      return known.local === local && known.as === as;
    });
    if (twin !== undefined) {
      this.again(into, twin, given);
      return;
    }
    const { isList, form, type, constraints } = held;
    const entry = type.kind === 'named' ? (this.entries.get(type.name) ?? null) : null;
    const repeats = given.repeats && !isList;
    if (given.repeats && isList) throw new XsdError(`${into.name} has lists in a list: ${local}`);
    const name = freeName(fieldName(local), new Set(into.fields.map((each) => each.name)));
    const many = entry !== null ? 'map' : repeats || isList ? 'list' : 'one';
    const isRequired = given.isRequired && many === 'one';
    const field: Draft = {
      ...{ name, protoName: protoName(name), number: into.fields.length + 1, type: entry?.type ?? type, many },
      ...(entry === null ? {} : { mapKey: entry.key }),
      optional: many === 'one',
      required: isRequired && !isNillable,
      ...(description === '' ? {} : { description }),
      ...(constraints === null || many !== 'one' ? {} : { constraints }),
    };
    into.fields.push(field);
    this.bindings.set(field, {
      ...{ as, uri, local, tag: this.tag(uri, local) },
      ...(form === null || entry !== null ? {} : { form }),
      ...(isList ? { isOne: true } : {}),
      ...(isRequired && isNillable ? { isNil: true } : {}),
    });
  }

  /** An element that stands at two places of one type: in branches of a choice, or one behind another. */
  private again(into: MessageDraft, field: Draft, { held, local, as, isRequired }: FieldGiven): void {
    const { type, isList } = held;
    const isSame = JSON.stringify(type) === JSON.stringify(field.type) && field.many !== 'map' && !isList;
    // What an extension restricts further.
    if (as !== 'element' || !isSame) {
      if (as === 'attribute') return;
      throw new XsdError(`${into.name} has ${local} twice, with two types`);
    }
    if (isRequired) {
      field.many = 'list';
      field.optional = false;
      delete field.constraints;
    }
    field.required = false;
    delete field.oneof;
  }

  /** A map as `xsd.ts` writes it. */
  private takeEntry({ name, fields }: MessageDraft): void {
    const [key, value] = fields;
    if (key?.type.kind !== 'scalar' || key.name !== 'key' || value?.name !== 'value') return;
    this.entries.set(name, { key: key.type.name as NonNullable<Field['mapKey']>, type: value.type });
    this.types.delete(name);
  }
}

interface Entry {
  readonly key: NonNullable<Field['mapKey']>;
  readonly type: Type;
}

const NONE_AROUND: Around = { isOptional: false, repeats: false, depth: 0 };

/** A field of which nothing more is said. */
export const PLAIN = { isRequired: false, repeats: false, isNillable: false, description: '' } as const;

function heldMessage(name: string): Held {
  return { type: { kind: 'named', name }, form: null, isList: false, constraints: null };
}

function shortOf({ name }: { readonly name: string }): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

function isMixed(node: XmlElement): boolean {
  const said = [node, ...node.children].some(({ attributes }) => /^(?:true|1)$/.test(attributes.get('mixed') ?? ''));
  return said;
}

function isRepeated({ attributes }: XmlElement): boolean {
  const most = attributes.get('maxOccurs') ?? '1';
  return most === 'unbounded' || Number(most) > 1;
}

function isOneElement(part: XmlElement): boolean {
  return part.local === 'element' && !isRepeated(part);
}

function within(node: XmlElement, { isOptional, repeats, depth }: Around): Around {
  return {
    isOptional: isOptional || node.attributes.get('minOccurs') === '0',
    repeats: repeats || isRepeated(node),
    depth: depth + 1,
  };
}
