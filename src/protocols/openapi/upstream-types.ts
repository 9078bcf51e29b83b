// JSON Schema of somebody else's OpenAPI document as types, each with how its values become that server's JSON and back: names
// that are no names here, integers that travel as numbers. What cannot be said as a type is any JSON.
import type { EnumType, Field, MessageType, ScalarName, Type } from '../../formats/schema/types.ts';

type Plain = Readonly<Record<string, unknown>>;
export type Convert = (value: unknown) => unknown;

/** A type with both ways of its values. */
export interface Carried {
  readonly type: Type;
  readonly many: Field['many'];
  /** From a value to the server's JSON; null where they are the same. */
  readonly out: Convert | null;
  /** Back. */
  readonly back: Convert | null;
  readonly constraints?: Field['constraints'];
}

const same: Convert = (value) => value;
const REFERENCES_MAX = 32;

/** Text as a name of a type or method: `get-order` is `GetOrder`. */
export function pascal(text: string): string {
  const name = text
    .split(/[^A-Za-z0-9]+/)
    .filter(Boolean)
    .map((part) => part[0]!.toUpperCase() + part.slice(1))
    .join('');
  return /^[A-Z]/.test(name) ? name : `X${name}`;
}

/** Text as a name of a field: `order_id` and `order-id` are `orderId`. */
export function camel(text: string): string {
  const name = pascal(text);
  return name[0]!.toLowerCase() + name.slice(1);
}

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replace(/^_/, '');

/** A name that is not among those taken; `value`, then `value2`. */
export function free(name: string, taken: { has(name: string): boolean }): string {
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(`${name}${number}`)) number++;
  return `${name}${number}`;
}

export class UpstreamTypes {
  readonly types = new Map<string, MessageType | EnumType>();
  private readonly document: Plain;
  private readonly scope: string;
  /** Messages by the schema that they are of; `out` and `back` are there once it is whole. */
  private readonly made = new Map<unknown, { readonly name: string; out: Convert; back: Convert }>();

  /** @param scope the package of the types: `partner.v1` */
  constructor(document: Plain, scope: string) {
    this.document = document;
    this.scope = scope;
  }

  /** What a reference leads to, through others; null for what leads nowhere. */
  resolve(schema: unknown): Plain | null {
    let at = schema;
    for (let count = 0; count < REFERENCES_MAX; count++) {
      if (typeof at !== 'object' || at === null || Array.isArray(at)) return null;
      const { $ref } = at as Plain;
      if ($ref === undefined) return at as Plain;
      if (typeof $ref !== 'string' || !$ref.startsWith('#/')) return null;
      at = $ref
        .slice(2)
        .split('/')
        .reduce<unknown>((node, step) => {
          const key = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
          return typeof node === 'object' && node !== null && Object.hasOwn(node, key)
            ? (node as Plain)[key]
            : undefined;
        }, this.document);
    }
    return null;
  }

  /** The type of a schema that stands at a place of this name. */
  typeOf(schema: unknown, place: string): Carried {
    const found = this.merged(this.resolve(schema));
    if (found === null) return ANY;
    const name = referenceName(schema) ?? place;
    if (found.oneOf !== undefined || found.anyOf !== undefined) return ANY;
    const [type] = kindsOf(found);
    if (Array.isArray(found.enum)) return this.enumOf(found, name);
    switch (type) {
      case 'string':
        return scalar(stringOf(found));
      case 'boolean':
        return scalar('bool');
      case 'integer':
        return scalar(found.format === 'int32' ? 'int32' : 'int64');
      case 'number':
        return scalar(found.format === 'float' ? 'float' : 'double');
      case 'array':
        return this.listOf(found, place);
      default:
        return type === 'object' || found.properties !== undefined ? this.objectOf(found, name) : ANY;
    }
  }

  private listOf(schema: Plain, place: string): Carried {
    const item = this.typeOf(schema.items, place);
    if (item.many !== 'one') return ANY;
    const each = (convert: Convert | null): Convert | null =>
      convert === null ? null : (value) => (Array.isArray(value) ? value.map(convert) : value);
    return { type: item.type, many: 'list', out: each(item.out), back: each(item.back) };
  }

  private objectOf(schema: Plain, name: string): Carried {
    const { properties, additionalProperties } = schema;
    if (typeof properties === 'object' && properties !== null && Object.keys(properties).length > 0) {
      const message = this.messageOf(schema, name);
      const type: Type = { kind: 'named', name: message.name };
      return { type, many: 'one', out: (value) => message.out(value), back: (value) => message.back(value) };
    }
    if (typeof additionalProperties !== 'object' || additionalProperties === null) return ANY;
    const value = this.typeOf(additionalProperties, `${name}Value`);
    if (value.many !== 'one') return ANY;
    const each = (convert: Convert | null): Convert | null =>
      convert === null
        ? null
        : (map) => Object.fromEntries(Object.entries(map as Plain).map(([key, one]) => [key, convert(one)]));
    return { type: value.type, many: 'map', out: each(value.out), back: each(value.back) };
  }

  private messageOf(schema: Plain, place: string): { readonly name: string; out: Convert; back: Convert } {
    const known = this.made.get(schema);
    if (known !== undefined) return known;
    const name = this.take(place);
    const made = { name, out: same, back: same };
    this.made.set(schema, made);
    const required = new Set(Array.isArray(schema.required) ? (schema.required as unknown[]) : []);
    const parts: Part[] = Object.entries(schema.properties as Plain).map(([wire, each]) => ({
      wire,
      schema: each,
      required: required.has(wire),
    }));
    const { message, out, back } = this.message(name, parts, textOf(schema.description));
    this.types.set(name, message);
    made.out = out;
    made.back = back;
    return made;
  }

  /** A free name, taken. */
  take(place: string): string {
    const name = free(`${this.scope}.${pascal(place)}`, this.types);
    // Nobody else gets it while its own is being made.
    this.types.set(name, { kind: 'message', name, fields: [] });
    return name;
  }

  /** A message of parts, with both ways of its values. */
  message(
    name: string,
    parts: readonly Part[],
    description: string,
  ): { readonly message: MessageType; readonly out: Convert; readonly back: Convert } {
    const names = new Set<string>();
    const fields: Field[] = [];
    const ways: { readonly own: string; readonly wire: string; readonly carried: Carried }[] = [];
    for (const { wire, schema, required } of parts) {
      const own = free(camel(wire), names);
      names.add(own);
      const carried = this.typeOf(schema, `${name.slice(name.lastIndexOf('.') + 1)}${pascal(wire)}`);
      ways.push({ own, wire, carried });
      const said = textOf(this.resolve(schema)?.description);
      fields.push({
        name: own,
        protoName: snake(own),
        number: fields.length + 1,
        type: carried.type,
        many: carried.many,
        ...(carried.many === 'map' ? { mapKey: 'string' as const } : {}),
        optional: carried.many === 'one',
        required: required && carried.many !== 'map',
        ...(said === '' ? {} : { description: said }),
      });
    }
    const message: MessageType = { kind: 'message', name, fields, ...(description === '' ? {} : { description }) };
    return {
      message,
      out: (value) => {
        const json: Record<string, unknown> = {};
        for (const { own, wire, carried } of ways) {
          const given = (value as Plain)[own];
          if (given !== undefined) json[wire] = carried.out === null ? given : carried.out(given);
        }
        return json;
      },
      back: (json) => {
        if (typeof json !== 'object' || json === null) return json;
        const value: Record<string, unknown> = {};
        for (const { own, wire, carried } of ways) {
          const given = Object.hasOwn(json, wire) ? (json as Plain)[wire] : undefined;
          if (given !== undefined && (given !== null || carried === ANY))
            value[own] = carried.back === null ? given : carried.back(given);
        }
        return value;
      },
    };
  }

  private enumOf(schema: Plain, place: string): Carried {
    const values = (schema.enum as unknown[]).filter((value) => value !== null);
    // Names of GraphQL and protobuf: what is none is text.
    if (!values.every((value) => typeof value === 'string' && /^[A-Za-z_]\w*$/.test(value)) || values.length === 0)
      return values.every((value) => typeof value === 'string') ? scalar('string') : ANY;
    let known = this.made.get(schema);
    if (known === undefined) {
      const name = this.take(place);
      const names = (values as string[]).map((value, number) => ({ name: value, number }));
      this.types.set(name, { kind: 'enum', name, values: names });
      known = { name, out: same, back: same };
      this.made.set(schema, known);
    }
    return { type: { kind: 'named', name: known.name }, many: 'one', out: null, back: null };
  }

  /** With what `allOf` adds. */
  private merged(schema: Plain | null): Plain | null {
    if (schema === null || !Array.isArray(schema.allOf)) return schema;
    const known = this.merges.get(schema);
    if (known !== undefined) return known;
    let whole: Plain = { ...schema, allOf: undefined };
    this.merges.set(schema, whole);
    for (const each of schema.allOf) {
      const part = this.merged(this.resolve(each)) ?? {};
      whole = {
        ...part,
        ...whole,
        properties: { ...(part.properties as Plain), ...(whole.properties as Plain) },
        required: [...((part.required as string[]) ?? []), ...((whole.required as string[]) ?? [])],
      };
    }
    this.merges.set(schema, whole);
    return whole;
  }

  private readonly merges = new Map<Plain, Plain>();
}

/** One property, or one parameter. */
export interface Part {
  readonly wire: string;
  readonly schema: unknown;
  readonly required: boolean;
}

function referenceName(schema: unknown): string | null {
  const reference = (schema as Plain | null)?.$ref;
  return typeof reference === 'string' ? (reference.split('/').at(-1) ?? null) : null;
}

function kindsOf({ type }: Plain): string[] {
  const kinds = Array.isArray(type) ? type : [type];
  return kinds.filter((kind): kind is string => typeof kind === 'string' && kind !== 'null');
}

function stringOf({ format, contentEncoding }: Plain): ScalarName {
  if (format === 'date-time') return 'timestamp';
  return format === 'byte' || contentEncoding === 'base64' ? 'bytes' : 'string';
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

const WAYS: Readonly<Partial<Record<ScalarName, readonly [Convert, Convert]>>> = {
  int64: [
    (value) => Number(value),
    (json) =>
      typeof json === 'number' && Number.isInteger(json)
        ? BigInt(json)
        : typeof json === 'string' && /^-?\d+$/.test(json)
          ? BigInt(json)
          : json,
  ],
  bytes: [
    (value) => Buffer.from(value as Uint8Array).toString('base64'),
    (json) => (typeof json === 'string' ? new Uint8Array(Buffer.from(json, 'base64')) : json),
  ],
  timestamp: [(value) => (value as Date).toISOString(), (json) => (typeof json === 'string' ? new Date(json) : json)],
};

function scalar(name: ScalarName): Carried {
  const [out, back] = WAYS[name] ?? [null, null];
  return { type: { kind: 'scalar', name }, many: 'one', out, back };
}

const ANY: Carried = { type: { kind: 'scalar', name: 'any' }, many: 'one', out: null, back: null };
