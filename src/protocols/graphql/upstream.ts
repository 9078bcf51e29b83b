// Another server's GraphQL as neutral services: its types as messages, a method for each field of its root types, and the
// document that calls it, which selects scalars to a bounded depth. It knows no connection and calls nothing.
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  type GraphQLType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  isUnionType,
} from 'graphql';
import type { EnumType, Field, MessageType, ScalarName, Schema, Type } from '../../formats/schema/types.ts';
import type { Method, Service } from '../../resources/services/contract.ts';
import { capital, distinct } from './names.ts';
import { MOMENT_SCALAR, SPAN_SCALAR, spanText } from './scalars.ts';
import type { Plain } from './types.ts';

export interface UpstreamOptions {
  /** With its package: `partner.v1.Shop`. */
  readonly name: string;
  /** How many objects below each other are selected. */
  readonly depthMax?: number;
  /** Fields that one document selects at most. */
  readonly fieldsMax?: number;
}

export type Convert = (value: unknown) => unknown;

/** What calls one method. */
export interface UpstreamMethod {
  readonly method: Method;
  readonly document: string;
  /** The input as variables. */
  readonly variables: (input: Plain) => Plain;
  /** `data` as the output. */
  readonly output: (data: Plain) => Plain;
}

export interface Upstream {
  readonly service: Service;
  readonly methods: ReadonlyMap<string, UpstreamMethod>;
}

const DEPTH = 3;
const FIELDS = 400;
const ONE_ANSWER_MS = 60_000;

/** Scalars that are known by their name; all others are any JSON. */
const SCALARS: Readonly<Record<string, ScalarName>> = {
  String: 'string',
  ID: 'string',
  Int: 'int32',
  Float: 'double',
  Boolean: 'bool',
  Int64: 'int64',
  UInt64: 'uint64',
  UInt32: 'uint32',
  Base64: 'bytes',
  DateTime: 'timestamp',
  Duration: 'duration',
};

const same: Convert = (value) => value;

const TO_JSON: Readonly<Partial<Record<ScalarName, Convert>>> = {
  int64: String,
  uint64: String,
  bytes: (value) => Buffer.from(value as Uint8Array).toString('base64'),
  timestamp: (value) => (value as Date).toISOString(),
  duration: (value) => spanText(value as number),
};

/** These throw for what is not of that form, which ends the call. */
const FROM_JSON: Readonly<Partial<Record<ScalarName, Convert>>> = {
  string: String,
  int64: (value) => BigInt(value as string),
  uint64: (value) => BigInt(value as string),
  bytes: (value) => Buffer.from(String(value), 'base64'),
  timestamp: (value) => MOMENT_SCALAR.parseValue(value),
  duration: (value) => SPAN_SCALAR.parseValue(value),
};

/** `first_name` is `firstName`, `ID` is `id`. */
function camel(name: string): string {
  const words = name.replace(/^_+/, '').replace(/_+([A-Za-z0-9])/g, (_all, letter: string) => letter.toUpperCase());
  if (/^[A-Z0-9]+$/.test(words)) return words.toLowerCase();
  return words.slice(0, 1).toLowerCase() + words.slice(1);
}

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** What stands on GraphQL's side of a field, and how its values are turned. */
interface Mapped {
  readonly field: Field;
  readonly from: string;
  readonly toJson: Convert;
  readonly fromJson: Convert;
}

interface Turned {
  readonly type: Type;
  readonly many: 'one' | 'list';
  readonly toJson: Convert;
  readonly fromJson: Convert;
}

class Mapper {
  readonly types = new Map<string, MessageType | EnumType>();
  private readonly prefix: string;
  private readonly mapped = new Map<string, Mapped[]>();

  constructor(name: string) {
    const dot = name.lastIndexOf('.');
    this.prefix = dot < 0 ? '' : `${name.slice(0, dot)}.`;
  }

  full(name: string): string {
    return `${this.prefix}${name}`;
  }

  // ---- types -------------------------------------------------------------------------------------------------------

  private turn(type: GraphQLType): Turned {
    const bare = isNonNullType(type) ? type.ofType : type;
    if (!isListType(bare)) return { many: 'one', ...this.turnNamed(bare as GraphQLNamedType) };
    const item = isNonNullType(bare.ofType) ? bare.ofType.ofType : bare.ofType;
    if (isListType(item)) return { type: ANY, many: 'one', toJson: same, fromJson: same };
    const { type: of, toJson, fromJson } = this.turnNamed(item as GraphQLNamedType);
    return {
      type: of,
      many: 'list',
      toJson: (value) => (value as unknown[]).map(toJson),
      // A list of ours has no empty places.
      fromJson: (value) => (value as unknown[]).filter((each) => each !== null).map(fromJson),
    };
  }

  private turnNamed(type: GraphQLNamedType): Omit<Turned, 'many'> {
    if (isEnumType(type)) {
      this.addEnum(type.name, type.description ?? '', type.getValues());
      return { type: { kind: 'named', name: this.full(type.name) }, toJson: same, fromJson: same };
    }
    if (isLeafType(type)) {
      const name = SCALARS[type.name] ?? 'any';
      return {
        type: { kind: 'scalar', name },
        toJson: TO_JSON[name] ?? same,
        fromJson: FROM_JSON[name] ?? same,
      };
    }
    const name = this.full(type.name);
    this.addMessage(type);
    return {
      type: { kind: 'named', name },
      toJson: (value) => toJson(this.mapped.get(name)!, value as Plain),
      fromJson: (value) => fromJson(this.mapped.get(name)!, value as Plain),
    };
  }

  private addEnum(name: string, description: string, values: readonly { readonly name: string }[]): void {
    const full = this.full(name);
    if (this.types.has(full)) return;
    const numbered = values.map((value, number) => ({ name: value.name, number }));
    this.types.set(full, {
      kind: 'enum',
      name: full,
      values: numbered,
      ...(description === '' ? {} : { description }),
    });
  }

  private addMessage(type: GraphQLNamedType): void {
    const full = this.full(type.name);
    if (this.types.has(full)) return;
    // It may contain itself: the name is taken before its fields are looked at.
    const fields: Field[] = [];
    const { description } = type;
    this.types.set(full, { kind: 'message', name: full, fields, ...(description ? { description } : {}) });
    const mapped: Mapped[] = [];
    this.mapped.set(full, mapped);
    if (isInputObjectType(type))
      mapped.push(...this.fields(Object.values(type.getFields()), (field) => isRequiredInputField(field), false));
    else mapped.push(...this.fields(selectable(type), () => false, true));
    for (const { field } of mapped) fields.push(field);
  }

  fields(
    given: readonly (GraphQLArgument | GraphQLInputField | GraphQLField<unknown, unknown>)[],
    isRequired: (field: GraphQLArgument) => boolean,
    isOutput: boolean,
  ): Mapped[] {
    const taken = new Set<string>();
    return given.map((each, index) => {
      const name = distinct(camel(each.name) || `field${index + 1}`, taken);
      taken.add(name);
      const { type, many, toJson, fromJson } = this.turn(each.type);
      const isMessage = type.kind === 'named' && this.types.get(type.name)?.kind === 'message';
      const isAbsent =
        isMessage || !isOutput || !isNonNullType(each.type) || (type.kind === 'scalar' && type.name === 'any');
      const field: Field = {
        name,
        protoName: snake(name),
        number: index + 1,
        type,
        many,
        optional: many === 'one' && isAbsent,
        required: isRequired(each as GraphQLArgument),
        ...(each.description ? { description: each.description } : {}),
        ...(each.deprecationReason ? { deprecated: true } : {}),
      };
      return { field, from: each.name, toJson, fromJson };
    });
  }

  /** A message of one method. */
  message(name: string, mapped: readonly Mapped[]): MessageType {
    let full = this.full(name);
    while (this.types.has(full)) full += '_';
    const message: MessageType = { kind: 'message', name: full, fields: mapped.map(({ field }) => field) };
    this.types.set(full, message);
    return message;
  }
}

const ANY: Type = { kind: 'scalar', name: 'any' };

function toJson(mapped: readonly Mapped[], value: Plain): Plain {
  const made: Plain = {};
  for (const { field, from, toJson: convert } of mapped) {
    const given = value[field.name];
    if (given !== undefined) made[from] = convert(given);
  }
  return made;
}

function fromJson(mapped: readonly Mapped[], value: Plain): Plain {
  const made: Plain = {};
  for (const { field, from, fromJson: convert } of mapped) {
    const given = value[from];
    if (given !== undefined && given !== null) made[field.name] = convert(given);
    else if (field.many === 'list') made[field.name] = [];
  }
  return made;
}

/** Fields that can be asked for without arguments; of a union, nothing but which of its types it is. */
function selectable(type: GraphQLNamedType): GraphQLField<unknown, unknown>[] {
  if (!isObjectType(type) && !isInterfaceType(type)) return [];
  return Object.values(type.getFields()).filter(({ args }) => !args.some(isRequiredArgument));
}

// ---- documents -----------------------------------------------------------------------------------------------------

/** What of a type is selected: all scalars, and what is in its objects as deep as that. */
class Selecting {
  private left: number;

  constructor(fieldsMax: number) {
    this.left = fieldsMax;
  }

  of(type: GraphQLNamedType, depth: number): string {
    if (isLeafType(type)) return '';
    const names: string[] = [];
    for (const field of selectable(type)) {
      const inner = namedOf(field.type);
      if (this.left <= 0 || (!isLeafType(inner) && depth <= 1)) continue;
      this.left--;
      names.push(`${field.name}${this.of(inner, depth - 1)}`);
    }
    return ` { ${names.length === 0 || isUnionType(type) ? '__typename' : names.join(' ')} }`;
  }
}

function namedOf(type: GraphQLType): GraphQLNamedType {
  let of = type;
  while (isNonNullType(of) || isListType(of)) of = of.ofType as GraphQLType;
  return of as GraphQLNamedType;
}

/** The services of another server's schema: one, with a method for each field of its root types. */
export function describeUpstream(schema: GraphQLSchema, options: UpstreamOptions): Upstream {
  const { name, depthMax = DEPTH, fieldsMax = FIELDS } = options;
  const mapper = new Mapper(name);
  const methods = new Map<string, Method>();
  const upstreams = new Map<string, UpstreamMethod>();
  const described: Schema = { types: mapper.types };
  const service: Service = {
    name,
    methods,
    schema: described,
    description: schema.description ?? '',
    origin: 'upstream',
  };
  const roots = [
    ['query', schema.getQueryType()],
    ['mutation', schema.getMutationType()],
    ['subscription', schema.getSubscriptionType()],
  ] as const;
  for (const [kind, root] of roots) {
    for (const field of Object.values((root as GraphQLObjectType | null | undefined)?.getFields() ?? {})) {
      const methodName = distinct(capital(camel(field.name)) || 'Call', methods);
      const given = mapper.fields(field.args, isRequiredArgument, false);
      const [answered] = mapper.fields([field], () => false, true);
      const method: Method = {
        name: methodName,
        service,
        kind: kind === 'subscription' ? 'server' : 'unary',
        input: mapper.message(`${methodName}Request`, given),
        output: mapper.message(`${methodName}Response`, [answered!]),
        idempotency: kind === 'mutation' ? 'none' : 'safe',
        http: [],
        description: field.description ?? '',
        deprecated: field.deprecationReason !== undefined && field.deprecationReason !== null,
        deadlineMs: kind === 'subscription' ? Number.POSITIVE_INFINITY : ONE_ANSWER_MS,
      };
      methods.set(methodName, method);
      upstreams.set(methodName, {
        method,
        document: documentOf(kind, methodName, field, new Selecting(fieldsMax).of(namedOf(field.type), depthMax)),
        variables: (input) => toJson(given, input),
        output: (data) => fromJson([answered!], data),
      });
    }
  }
  return { service, methods: upstreams };
}

function documentOf(kind: string, name: string, field: GraphQLField<unknown, unknown>, selection: string): string {
  const variables = field.args.map((each) => `$${each.name}: ${String(each.type)}`).join(', ');
  const given = field.args.map((each) => `${each.name}: $${each.name}`).join(', ');
  const open = (text: string) => (text === '' ? '' : `(${text})`);
  return `${kind} ${name}${open(variables)} { ${field.name}${open(given)}${selection} }`;
}
