// The XML Schema of messages and enums in one namespace: what `xml.ts` reads and writes, in the words of XML Schema. A type
// of the namespace's own package goes by its short name, others by their full one.
import { escapeAttribute, escapeText } from '../xml/chars.ts';
import type { EnumType, Field, MessageType, Schema, Type } from './types.ts';
import { inOrder } from './xml.ts';
import { XSD_NAMES } from './xml-scalars.ts';

export const XSD_NAMESPACE = 'http://www.w3.org/2001/XMLSchema';
/** The simple type of any JSON: its text. */
export const JSON_TYPE = 'Json';

export interface XsdElement {
  readonly name: string;
  readonly type: MessageType;
}

export interface XsdOptions {
  readonly schema: Schema;
  readonly namespace: string;
  /** Types of this package go by their short names. */
  readonly package: string;
  /** The elements that may stand by themselves. */
  readonly elements: readonly XsdElement[];
  /** Written behind the types as it is. */
  readonly more?: string;
}

/** An xsd:schema element. Its prefixes are `xsd` and `tns`. */
export function xsdSchema(options: XsdOptions): string {
  return new XsdText(options).text();
}

class XsdText {
  private readonly options: XsdOptions;
  /** Named types to be written, in the order in which they were found. */
  private readonly found = new Set<MessageType | EnumType>();
  private readonly entries = new Map<string, string>();
  private usesJson = false;

  constructor(options: XsdOptions) {
    this.options = options;
  }

  text(): string {
    const { namespace, elements, more = '' } = this.options;
    let text = '';
    for (const { name, type } of elements)
      text += `<xsd:element name="${name}">${documented(type.description)}<xsd:complexType>${this.sequence(type)}</xsd:complexType></xsd:element>\n`;
    // A set is walked with what is added to it meanwhile.
    for (const type of this.found) text += type.kind === 'enum' ? this.enumeration(type) : this.complexType(type);
    for (const entry of this.entries.values()) text += entry;
    if (this.usesJson) text += JSON_SIMPLE_TYPE;
    return (
      `<xsd:schema xmlns:xsd="${XSD_NAMESPACE}" xmlns:tns="${escapeAttribute(namespace)}" ` +
      `targetNamespace="${escapeAttribute(namespace)}" elementFormDefault="qualified">\n${text}${more}</xsd:schema>`
    );
  }

  private nameOf(fullName: string): string {
    const { package: own } = this.options;
    return own !== '' && fullName.startsWith(`${own}.`) ? fullName.slice(own.length + 1) : fullName;
  }

  private complexType(type: MessageType): string {
    return `<xsd:complexType name="${this.nameOf(type.name)}">${documented(type.description)}${this.sequence(type)}</xsd:complexType>\n`;
  }

  private enumeration({ name, values, description }: EnumType): string {
    const each = values.map(
      (value) =>
        `<xsd:enumeration value="${escapeAttribute(value.name)}">${documented(value.description)}</xsd:enumeration>`,
    );
    return `<xsd:simpleType name="${this.nameOf(name)}">${documented(description)}<xsd:restriction base="xsd:string">${each.join('')}</xsd:restriction></xsd:simpleType>\n`;
  }

  private sequence(type: MessageType): string {
    let text = '';
    const fields = inOrder(type);
    for (let at = 0; at < fields.length; at++) {
      const field = fields[at]!;
      const { oneof } = field;
      if (oneof === undefined) text += this.element(type, field, field.required ? '' : ' minOccurs="0"');
      else {
        if (fields[at - 1]?.oneof !== oneof) text += '<xsd:choice minOccurs="0">';
        text += this.element(type, field, '');
        if (fields[at + 1]?.oneof !== oneof) text += '</xsd:choice>';
      }
    }
    return text === '' ? '<xsd:sequence/>' : `<xsd:sequence>${text}</xsd:sequence>`;
  }

  private element(owner: MessageType, field: Field, once: string): string {
    const occurs = field.many === 'one' ? once : ' minOccurs="0" maxOccurs="unbounded"';
    const type = field.many === 'map' ? this.entryOf(owner, field) : this.typeOf(field.type);
    const note = documented(field.description);
    const head = `<xsd:element name="${field.name}" type="${type}"${occurs}`;
    return note === '' ? `${head}/>` : `${head}>${note}</xsd:element>`;
  }

  private typeOf(type: Type): string {
    if (type.kind === 'scalar') {
      if (type.name !== 'any') return `xsd:${XSD_NAMES[type.name]}`;
      this.usesJson = true;
      return `tns:${JSON_TYPE}`;
    }
    const named = this.options.schema.types.get(type.name);
    if (named === undefined) throw new RangeError(`the schema has no type ${type.name}`);
    this.found.add(named);
    return `tns:${this.nameOf(named.name)}`;
  }

  /** The type of a map's entries. */
  private entryOf(owner: MessageType, field: Field): string {
    const name = `${this.nameOf(owner.name)}.${field.name}.entry`;
    if (!this.entries.has(name)) {
      const key = XSD_NAMES[field.mapKey ?? 'string'];
      // Set before its value is asked for, which may be the owner itself.
      this.entries.set(name, '');
      const sequence = `<xsd:sequence><xsd:element name="key" type="xsd:${key}"/><xsd:element name="value" type="${this.typeOf(field.type)}"/></xsd:sequence>`;
      this.entries.set(name, `<xsd:complexType name="${name}">${sequence}</xsd:complexType>\n`);
    }
    return `tns:${name}`;
  }
}

const JSON_SIMPLE_TYPE =
  `<xsd:simpleType name="${JSON_TYPE}"><xsd:annotation><xsd:documentation>JSON (RFC 8259) as text.</xsd:documentation>` +
  '</xsd:annotation><xsd:restriction base="xsd:string"/></xsd:simpleType>\n';

function documented(description: string | undefined): string {
  if (description === undefined || description === '') return '';
  return `<xsd:annotation><xsd:documentation>${escapeText(description)}</xsd:documentation></xsd:annotation>`;
}
