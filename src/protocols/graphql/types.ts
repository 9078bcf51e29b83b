// GraphQL's types for the neutral description of values: object, input and enum types for messages and enums, each by a name
// that no other has. It knows no service; what a field's value is made of stands with the field.
import {
  GraphQLBoolean,
  GraphQLEnumType,
  type GraphQLFieldConfig,
  GraphQLFloat,
  type GraphQLInputFieldConfig,
  GraphQLInputObjectType,
  type GraphQLInputType,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLScalarType,
  GraphQLString,
} from 'graphql';
import type { EnumType, Field, MessageType, ScalarName, Schema, Type } from '../../formats/schema/types.ts';
import { ContestedNames, capital, distinct, longName, shortName, validName } from './names.ts';
import {
  BASE64_SCALAR,
  EMPTY_SCALAR,
  INT64_SCALAR,
  JSON_SCALAR,
  MOMENT_SCALAR,
  SPAN_SCALAR,
  UINT32_SCALAR,
  UINT64_SCALAR,
} from './scalars.ts';

export type Plain = Record<string, unknown>;

/** How a field's value is found in the object that it belongs to. */
export type ReadField = (source: Plain) => unknown;

/** What handlers are given, of what a client gave once GraphQL has read it. */
export type ReadInput = (given: Plain) => Plain;

const SCALARS: Readonly<Record<ScalarName, GraphQLScalarType>> = {
  bool: GraphQLBoolean,
  int32: GraphQLInt,
  uint32: UINT32_SCALAR,
  int64: INT64_SCALAR,
  uint64: UINT64_SCALAR,
  float: GraphQLFloat,
  double: GraphQLFloat,
  string: GraphQLString,
  bytes: BASE64_SCALAR,
  timestamp: MOMENT_SCALAR,
  duration: SPAN_SCALAR,
  any: JSON_SCALAR,
};

const DEFAULTS: Readonly<Record<ScalarName, unknown>> = {
  bool: false,
  int32: 0,
  uint32: 0,
  int64: 0n,
  uint64: 0n,
  float: 0,
  double: 0,
  string: '',
  bytes: Buffer.alloc(0),
  timestamp: new Date(0),
  duration: 0,
  any: null,
};

const MAP_KEYS = {
  string: GraphQLString,
  int32: GraphQLInt,
  uint32: UINT32_SCALAR,
  int64: INT64_SCALAR,
  uint64: UINT64_SCALAR,
  bool: GraphQLBoolean,
} as const;

/** A message or enum of one schema, with what was made of it. */
interface Entry {
  readonly schema: Schema;
  readonly type: MessageType | EnumType;
  /** Of two of the same full name that are not the same, the second has a number here. */
  readonly mark: string;
  output: GraphQLOutputType | null;
  input: GraphQLInputType | null;
  read: ReadInput | null;
}

/** The name of a field, or an argument, in GraphQL, for each field of a message. */
function fieldNames({ fields }: MessageType): string[] {
  const taken = new Set<string>();
  return fields.map(({ name }) => {
    const made = distinct(validName(name), taken);
    taken.add(made);
    return made;
  });
}

/** Finds the entry of each type, gathers who wants which name, and makes the types. */
export class TypeMaker {
  private readonly schemas = new Map<Schema, Map<string, Entry>>();
  private readonly byName = new Map<string, { entry: Entry; print: string }[]>();
  private readonly names: ContestedNames;
  private readonly wantedOutputs = new Set<Entry>();
  private readonly wantedInputs = new Set<Entry>();
  private readonly taken = new Set<string>();
  private readonly pairs = new Map<Field, GraphQLObjectType<Plain>>();
  private readonly inputPairs = new Map<Field, GraphQLInputObjectType>();

  constructor(reserved: Iterable<string>) {
    this.names = new ContestedNames(reserved);
  }

  // ---- which types there are ---------------------------------------------------------------------------------------

  private entryOf(schema: Schema, type: MessageType | EnumType): Entry {
    let entries = this.schemas.get(schema);
    if (entries === undefined) {
      entries = new Map();
      this.schemas.set(schema, entries);
    }
    const known = entries.get(type.name);
    if (known !== undefined) return known;
    const print = fingerprint(schema, type);
    const namesakes = this.byName.get(type.name) ?? [];
    let entry = namesakes.find((other) => other.print === print)?.entry;
    if (entry === undefined) {
      const mark = namesakes.length === 0 ? '' : `_${namesakes.length + 1}`;
      entry = { schema, type, mark, output: null, input: null, read: null };
      namesakes.push({ entry, print });
      this.byName.set(type.name, namesakes);
    }
    entries.set(type.name, entry);
    return entry;
  }

  private named(schema: Schema, name: string): Entry {
    const type = schema.types.get(name);
    if (type === undefined) throw new RangeError(`the schema has no type ${name}`);
    return this.entryOf(schema, type);
  }

  /** A type that is answered, and all within it. Before any is made. */
  wantOutput(schema: Schema, type: MessageType): void {
    this.want(this.entryOf(schema, type), this.wantedOutputs, '');
  }

  /** A type that is given, and all within it; not itself when its fields are arguments. */
  wantInput(schema: Schema, type: MessageType, itself: boolean): void {
    if (itself) this.want(this.entryOf(schema, type), this.wantedInputs, 'Input');
    else this.wantFields(this.entryOf(schema, type), this.wantedInputs, 'Input');
  }

  private want(entry: Entry, wanted: Set<Entry>, suffix: string): void {
    if (wanted.has(entry)) return;
    wanted.add(entry);
    const { type } = entry;
    if (type.kind === 'message' && type.fields.length === 0) return;
    this.names.want(...this.namesOf(entry, type.kind === 'enum' ? '' : suffix));
    if (type.kind === 'message') this.wantFields(entry, wanted, suffix);
  }

  private wantFields(entry: Entry, wanted: Set<Entry>, suffix: string): void {
    for (const field of (entry.type as MessageType).fields) {
      if (field.type.kind === 'named') this.want(this.named(entry.schema, field.type.name), wanted, suffix);
      if (field.many === 'map') this.names.want(...this.entryNames(entry, field, suffix));
    }
  }

  private namesOf({ type, mark }: Entry, suffix: string): [short: string, long: string] {
    return [`${shortName(type.name)}${suffix}`, `${longName(type.name)}${mark}${suffix}`];
  }

  private entryNames({ type, mark }: Entry, field: Field, suffix: string): [short: string, long: string] {
    const rest = `${capital(validName(field.name))}Entry${suffix}`;
    return [`${shortName(type.name)}${rest}`, `${longName(type.name)}${mark}_${rest}`];
  }

  private take([short, long]: [short: string, long: string]): string {
    const name = distinct(this.names.nameOf(short, long), this.taken);
    this.taken.add(name);
    return name;
  }

  // ---- what is answered --------------------------------------------------------------------------------------------

  output(schema: Schema, type: MessageType): GraphQLOutputType {
    return this.outputOf(this.entryOf(schema, type));
  }

  private outputOf(entry: Entry): GraphQLOutputType {
    if (entry.output !== null) return entry.output;
    const { type } = entry;
    if (type.kind === 'enum') entry.output = this.enumOf(entry, type) as GraphQLOutputType;
    else if (type.fields.length === 0) entry.output = EMPTY_SCALAR;
    else
      entry.output = new GraphQLObjectType<Plain>({
        name: this.take(this.namesOf(entry, '')),
        description: type.description ?? null,
        fields: () => this.outputFields(entry, type),
      });
    return entry.output;
  }

  private enumOf(entry: Entry, type: EnumType): GraphQLEnumType {
    const found = entry.output ?? entry.input;
    if (found !== null) return found as GraphQLEnumType;
    const values: Record<string, { value: string; description: string | null }> = {};
    const taken = new Set(['true', 'false', 'null']);
    for (const { name, description } of type.values) {
      const made = distinct(validName(name), taken);
      taken.add(made);
      values[made] = { value: name, description: description ?? null };
    }
    return new GraphQLEnumType({
      name: this.take(this.namesOf(entry, '')),
      description: type.description ?? null,
      values,
    });
  }

  private outputFields(entry: Entry, type: MessageType): Record<string, GraphQLFieldConfig<Plain, unknown>> {
    const fields: Record<string, GraphQLFieldConfig<Plain, unknown>> = {};
    const names = fieldNames(type);
    for (const [index, field] of type.fields.entries()) {
      const one = this.outputType(entry.schema, field.type);
      const read = this.fieldReader(entry.schema, field);
      fields[names[index]!] = {
        type: this.outputMany(entry, field, one),
        description: field.description ?? null,
        deprecationReason: field.deprecated === true ? 'deprecated' : null,
        resolve: read,
        extensions: { read },
      };
    }
    return fields;
  }

  private outputType(schema: Schema, type: Type): GraphQLOutputType {
    return type.kind === 'scalar' ? SCALARS[type.name] : this.outputOf(this.named(schema, type.name));
  }

  private outputMany(entry: Entry, field: Field, one: GraphQLOutputType): GraphQLOutputType {
    // Any JSON may be null.
    const item = isAny(field.type) ? one : new GraphQLNonNull(one);
    if (field.many === 'one') return isPresent(field) && !isAny(field.type) ? item : one;
    if (field.many === 'list') return new GraphQLNonNull(new GraphQLList(item));
    const key = MAP_KEYS[field.mapKey ?? 'string'];
    let pair = this.pairs.get(field);
    if (pair === undefined) {
      pair = new GraphQLObjectType<Plain>({
        name: this.take(this.entryNames(entry, field, '')),
        description: `One of ${field.name}.`,
        fields: { key: { type: new GraphQLNonNull(key) }, value: { type: item } },
      });
      this.pairs.set(field, pair);
    }
    return new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(pair)));
  }

  private fieldReader(schema: Schema, field: Field): ReadField {
    const { name } = field;
    if (field.many === 'map') {
      const keyOf = keyReader(field.mapKey ?? 'string');
      return (source) =>
        Object.entries((source[name] ?? {}) as Plain).map(([key, value]) => ({ key: keyOf(key), value }));
    }
    if (field.many === 'list') return (source) => source[name] ?? [];
    if (!isPresent(field) || isAny(field.type)) return (source) => source[name];
    const preset = this.defaultOf(schema, field.type);
    return (source) => source[name] ?? preset;
  }

  private defaultOf(schema: Schema, type: Type): unknown {
    if (type.kind === 'scalar') return DEFAULTS[type.name];
    const found = schema.types.get(type.name);
    return found?.kind === 'enum' ? found.values[0]?.name : undefined;
  }

  // ---- what is given -----------------------------------------------------------------------------------------------

  input(schema: Schema, type: MessageType): GraphQLInputType {
    return this.inputOf(this.entryOf(schema, type));
  }

  /** The fields of a message as arguments, or as fields of its input type. */
  inputFields(schema: Schema, type: MessageType): Record<string, GraphQLInputFieldConfig> {
    const entry = this.entryOf(schema, type);
    const fields: Record<string, GraphQLInputFieldConfig> = {};
    const names = fieldNames(type);
    for (const [index, field] of type.fields.entries()) {
      const many = this.inputMany(entry, field, this.inputType(entry.schema, field.type));
      fields[names[index]!] = {
        type: field.required ? new GraphQLNonNull(many) : many,
        description: field.description ?? null,
        // What must be given cannot be deprecated (§3.13.3).
        deprecationReason: field.deprecated === true && !field.required ? 'deprecated' : null,
      };
    }
    return fields;
  }

  private inputOf(entry: Entry): GraphQLInputType {
    if (entry.input !== null) return entry.input;
    const { type, schema } = entry;
    if (type.kind === 'enum') entry.input = this.enumOf(entry, type);
    else if (type.fields.length === 0) entry.input = EMPTY_SCALAR;
    else
      entry.input = new GraphQLInputObjectType({
        name: this.take(this.namesOf(entry, 'Input')),
        description: type.description ?? null,
        fields: () => this.inputFields(schema, type),
      });
    return entry.input;
  }

  private inputType(schema: Schema, type: Type): GraphQLInputType {
    return type.kind === 'scalar' ? SCALARS[type.name] : this.inputOf(this.named(schema, type.name));
  }

  private inputMany(entry: Entry, field: Field, one: GraphQLInputType): GraphQLInputType {
    if (field.many === 'one') return one;
    const item = isAny(field.type) ? one : new GraphQLNonNull(one);
    if (field.many === 'list') return new GraphQLList(item);
    const key = MAP_KEYS[field.mapKey ?? 'string'];
    let pair = this.inputPairs.get(field);
    if (pair === undefined) {
      pair = new GraphQLInputObjectType({
        name: this.take(this.entryNames(entry, field, 'Input')),
        description: `One of ${field.name}.`,
        fields: { key: { type: new GraphQLNonNull(key) }, value: { type: item } },
      });
      this.inputPairs.set(field, pair);
    }
    return new GraphQLList(new GraphQLNonNull(pair));
  }

  /** Makes what handlers are given of what GraphQL has read: without what is null, and with maps as objects. */
  reader(schema: Schema, type: MessageType): ReadInput {
    const entry = this.entryOf(schema, type);
    if (entry.read !== null) return entry.read;
    const names = fieldNames(type);
    let steps: { from: string; name: string; convert: ((value: unknown) => unknown) | null; nulls: boolean }[] = [];
    entry.read = (given) => {
      const made: Plain = {};
      for (const { from, name, convert, nulls } of steps) {
        const value = given[from];
        if (value === undefined || (value === null && !nulls)) continue;
        made[name] = convert === null || value === null ? value : convert(value);
      }
      return made;
    };
    steps = type.fields.map((field, index) => ({
      from: names[index]!,
      name: field.name,
      convert: this.converter(entry.schema, field),
      nulls: field.many === 'one' && isAny(field.type),
    }));
    return entry.read;
  }

  private converter(schema: Schema, field: Field): ((value: unknown) => unknown) | null {
    const found = field.type.kind === 'named' ? schema.types.get(field.type.name) : undefined;
    const one = found?.kind === 'message' ? this.reader(schema, found) : null;
    if (field.many === 'one') return one as ((value: unknown) => unknown) | null;
    if (field.many === 'list') return one === null ? null : (value) => (value as Plain[]).map(one);
    return (value) => {
      const made: Plain = {};
      for (const { key, value: item } of value as { key: unknown; value: unknown }[])
        Object.defineProperty(made, String(key), {
          value: one === null ? item : one(item as Plain),
          enumerable: true,
          configurable: true,
          writable: true,
        });
      return made;
    };
  }
}

function isAny(type: Type): boolean {
  return type.kind === 'scalar' && type.name === 'any';
}

/** Whether a field of an answer always has a value. */
function isPresent({ optional, required, oneof }: Field): boolean {
  return oneof === undefined && (required || !optional);
}

function keyReader(kind: NonNullable<Field['mapKey']>): (key: string) => unknown {
  if (kind === 'string') return (key) => key;
  if (kind === 'bool') return (key) => key === 'true';
  return kind === 'int64' || kind === 'uint64' ? BigInt : Number;
}

/** All that a type is made of, as text: types of the same name from two schemas are one when it is the same. */
function fingerprint(schema: Schema, type: MessageType | EnumType): string {
  const seen = new Map<string, MessageType | EnumType>([[type.name, type]]);
  for (const each of seen.values()) {
    if (each.kind === 'enum') continue;
    for (const { type: inner } of each.fields) {
      const found = inner.kind === 'named' ? schema.types.get(inner.name) : undefined;
      if (found !== undefined) seen.set(found.name, found);
    }
  }
  return JSON.stringify([...seen.values()], (_name, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
}
