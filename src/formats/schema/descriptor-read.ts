// Types and services out of FileDescriptorProtos: what reflection answers and `protoc` writes, as the neutral description.
import { DESCRIPTORS } from './descriptor.ts';
import type { FileMethod } from './proto-files.ts';
import { protobufOf } from './protobuf.ts';
import { messageOf } from './protobuf-google.ts';
import type { EnumType, Field, MessageType, ScalarName, ScalarType, Schema, Type, WireForm } from './types.ts';

interface FieldProto {
  readonly name: string;
  readonly number: number;
  readonly label?: number;
  readonly type?: number;
  readonly typeName?: string;
  readonly options?: { readonly packed?: boolean; readonly deprecated?: boolean };
  readonly oneofIndex?: number;
  readonly jsonName?: string;
  readonly proto3Optional?: boolean;
}
interface EnumProto {
  readonly name: string;
  readonly value: readonly { readonly name?: string; readonly number?: number }[];
}
interface MessageProto {
  readonly name: string;
  readonly field: readonly FieldProto[];
  readonly nestedType: readonly MessageProto[];
  readonly enumType: readonly EnumProto[];
  readonly options?: { readonly mapEntry?: boolean };
  readonly oneofDecl: readonly { readonly name: string }[];
}
interface RuleProto {
  readonly get?: string;
  readonly put?: string;
  readonly post?: string;
  readonly delete?: string;
  readonly patch?: string;
  readonly body: string;
  readonly responseBody: string;
  readonly additionalBindings: readonly RuleProto[];
}
interface MethodProto {
  readonly name: string;
  readonly inputType: string;
  readonly outputType: string;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  readonly options?: { readonly deprecated?: boolean; readonly idempotencyLevel?: number; readonly http?: RuleProto };
}
interface FileProto {
  readonly name: string;
  readonly package: string;
  readonly dependency: readonly string[];
  readonly messageType: readonly MessageProto[];
  readonly enumType: readonly EnumProto[];
  readonly service: readonly { readonly name: string; readonly method: readonly MethodProto[] }[];
  readonly syntax: string;
}

/** A service that was read; its methods as any service's. */
export interface ReadService {
  readonly name: string;
  readonly schema: Schema;
  readonly methods: ReadonlyMap<string, FileMethod>;
}

export interface ReadFiles {
  readonly schema: Schema;
  readonly services: readonly ReadService[];
  /** Files that are named, and were not given. */
  readonly missing: readonly string[];
}

const codec = protobufOf(DESCRIPTORS, messageOf(DESCRIPTORS, 'google.protobuf.FileDescriptorProto'));

const GROUP = 10;
const MESSAGE = 11;
const ENUM = 14;
const REPEATED = 3;
const REQUIRED = 2;

const SCALARS: Readonly<Record<number, readonly [ScalarName, WireForm?]>> = {
  1: ['double'],
  2: ['float'],
  3: ['int64'],
  4: ['uint64'],
  5: ['int32'],
  6: ['uint64', 'fixed'],
  7: ['uint32', 'fixed'],
  8: ['bool'],
  9: ['string'],
  12: ['bytes'],
  13: ['uint32'],
  15: ['int32', 'fixed'],
  16: ['int64', 'fixed'],
  17: ['int32', 'zigzag'],
  18: ['int64', 'zigzag'],
};

/** Messages of Google's that are scalars here. */
const AS_SCALARS: Readonly<Record<string, ScalarName>> = {
  'google.protobuf.Timestamp': 'timestamp',
  'google.protobuf.Duration': 'duration',
  'google.protobuf.Value': 'any',
};

/** Reads files, in any order. Throws a RangeError for bytes that are none, or that name types which they do not have. */
export function readDescriptors(files: Iterable<Uint8Array>): ReadFiles {
  const protos = new Map<string, FileProto>();
  for (const bytes of files) {
    const file = codec.read(bytes, 0, bytes.length) as unknown as FileProto | undefined;
    if (file === undefined) throw new RangeError(`this is no FileDescriptorProto: ${codec.fault}`);
    protos.set(file.name, file);
  }
  const missing = new Set([...protos.values()].flatMap(({ dependency }) => dependency));
  for (const name of protos.keys()) missing.delete(name);
  const entries = new Map<string, MessageProto>();
  for (const file of protos.values()) for (const message of file.messageType) entriesOf(message, file.package, entries);
  const types = new Map<string, MessageType | EnumType>();
  for (const file of protos.values()) {
    for (const message of file.messageType) addMessage(message, file, file.package, entries, types);
    for (const type of file.enumType) addEnum(type, file.package, types);
  }
  const schema: Schema = { types };
  const services = [...protos.values()].flatMap((file) =>
    file.service.map(({ name, method }) => ({
      name: join(file.package, name),
      schema,
      methods: new Map(method.map((one) => [one.name, readMethod(one, types)])),
    })),
  );
  return { schema, services, missing: [...missing] };
}

function join(outer: string, name: string): string {
  return outer === '' ? name : `${outer}.${name}`;
}

/** Entries of maps, which are messages in a descriptor and nothing of their own here. */
function entriesOf(message: MessageProto, outer: string, into: Map<string, MessageProto>): void {
  const name = join(outer, message.name);
  if (message.options?.mapEntry === true) into.set(name, message);
  for (const inner of message.nestedType) entriesOf(inner, name, into);
}

function addEnum({ name, value }: EnumProto, outer: string, types: Map<string, MessageType | EnumType>): void {
  const values = value.map((one) => ({ name: one.name ?? '', number: one.number ?? 0 }));
  types.set(join(outer, name), { kind: 'enum', name: join(outer, name), values });
}

function addMessage(
  message: MessageProto,
  file: FileProto,
  outer: string,
  entries: ReadonlyMap<string, MessageProto>,
  types: Map<string, MessageType | EnumType>,
): void {
  const name = join(outer, message.name);
  if (!entries.has(name)) {
    const fields = message.field
      .filter(({ type }) => type !== GROUP)
      .map((field) => readField(field, message, file, entries))
      .sort((one, other) => one.number - other.number);
    types.set(name, { kind: 'message', name, fields });
  }
  for (const inner of message.nestedType) addMessage(inner, file, name, entries, types);
  for (const type of message.enumType) addEnum(type, name, types);
}

function readType({ type = 0, typeName = '' }: FieldProto): Type {
  const named = typeName.replace(/^\./, '');
  if (type === MESSAGE || type === ENUM) {
    const scalar = AS_SCALARS[named];
    return scalar === undefined ? { kind: 'named', name: named } : { kind: 'scalar', name: scalar };
  }
  const known = SCALARS[type];
  if (known === undefined) throw new RangeError(`there is no type with the number ${type}`);
  const [name, wire] = known;
  return { kind: 'scalar', name, ...(wire === undefined ? {} : { wire }) } satisfies ScalarType;
}

function readField(
  field: FieldProto,
  message: MessageProto,
  { syntax }: FileProto,
  entries: ReadonlyMap<string, MessageProto>,
): Field {
  const { name, number, label, type, typeName = '', options, oneofIndex, jsonName, proto3Optional } = field;
  const entry = type === MESSAGE ? entries.get(typeName.replace(/^\./, '')) : undefined;
  const common = {
    name: jsonName === undefined || jsonName === '' ? name : jsonName,
    protoName: name,
    number,
    required: label === REQUIRED,
    ...(options?.deprecated === true ? { deprecated: true } : {}),
  };
  if (entry !== undefined) {
    const key = readType(entry.field.find((one) => one.number === 1)!) as ScalarType;
    const value = entry.field.find((one) => one.number === 2)!;
    return { ...common, type: readType(value), many: 'map', mapKey: key.name as 'string', optional: false };
  }
  const isList = label === REPEATED;
  const isProto3 = syntax === 'proto3';
  const oneof = oneofIndex !== undefined && proto3Optional !== true ? message.oneofDecl[oneofIndex]?.name : undefined;
  const packed = options?.packed ?? isProto3;
  return {
    ...common,
    type: readType(field),
    many: isList ? 'list' : 'one',
    // Before proto3 every field says whether it is there.
    optional: !isList && (type === MESSAGE || oneof !== undefined || proto3Optional === true || !isProto3),
    ...(oneof === undefined ? {} : { oneof }),
    ...(isList && !packed ? { unpacked: true } : {}),
  };
}

function readMethod(method: MethodProto, types: ReadonlyMap<string, MessageType | EnumType>): FileMethod {
  const message = (name: string): MessageType => {
    const type = types.get(name.replace(/^\./, ''));
    if (type?.kind !== 'message') throw new RangeError(`${method.name} needs ${name}, which is in no file`);
    return type;
  };
  const { clientStreaming, serverStreaming, options } = method;
  const level = options?.idempotencyLevel ?? 0;
  return {
    name: method.name,
    kind: clientStreaming ? (serverStreaming ? 'both' : 'client') : serverStreaming ? 'server' : 'unary',
    input: message(method.inputType),
    output: message(method.outputType),
    idempotency: level === 1 ? 'safe' : level === 2 ? 'idempotent' : 'none',
    http: options?.http === undefined ? [] : [options.http, ...options.http.additionalBindings].flatMap(readRule),
    description: '',
    deprecated: options?.deprecated === true,
  };
}

function readRule(rule: RuleProto): FileMethod['http'] {
  const { body, responseBody } = rule;
  for (const method of ['get', 'put', 'post', 'delete', 'patch'] as const) {
    const path = rule[method];
    if (path !== undefined) return [{ method: method.toUpperCase(), path, body, responseBody }];
  }
  return [];
}
