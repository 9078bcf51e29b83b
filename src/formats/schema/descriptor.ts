// A .proto file as a FileDescriptorProto: what reflection answers, and what clients build their types from.

import {
  ANNOTATIONS,
  type FileMethod,
  type FileService,
  type FileType,
  hasOwnPresence,
  type ProtoFile,
  SCALAR_MESSAGES,
} from './proto-files.ts';
import { jsonName } from './proto-text.ts';
import { protobufOf } from './protobuf.ts';
import { messageOf, writtenSchema } from './protobuf-google.ts';
import type { EnumType, Field, MessageType, ScalarType, Schema } from './types.ts';

/** What of google/protobuf/descriptor.proto is written; the rule of google.api.http as the field that its extension is. */
export const DESCRIPTORS: Schema = writtenSchema({
  'google.protobuf.FileDescriptorSet': { file: '1 list google.protobuf.FileDescriptorProto' },
  'google.protobuf.FileDescriptorProto': {
    name: '1 string',
    package: '2 string',
    dependency: '3 list string',
    message_type: '4 list google.protobuf.DescriptorProto',
    enum_type: '5 list google.protobuf.EnumDescriptorProto',
    service: '6 list google.protobuf.ServiceDescriptorProto',
    extension: '7 list google.protobuf.FieldDescriptorProto',
    syntax: '12 string',
  },
  'google.protobuf.DescriptorProto': {
    name: '1 string',
    field: '2 list google.protobuf.FieldDescriptorProto',
    nested_type: '3 list google.protobuf.DescriptorProto',
    enum_type: '4 list google.protobuf.EnumDescriptorProto',
    options: '7 google.protobuf.MessageOptions',
    oneof_decl: '8 list google.protobuf.OneofDescriptorProto',
  },
  'google.protobuf.MessageOptions': { map_entry: '7 optional bool' },
  'google.protobuf.FieldDescriptorProto': {
    name: '1 optional string',
    extendee: '2 optional string',
    number: '3 optional int32',
    label: '4 optional int32',
    type: '5 optional int32',
    type_name: '6 optional string',
    options: '8 google.protobuf.FieldOptions',
    oneof_index: '9 optional int32',
    json_name: '10 optional string',
    proto3_optional: '17 optional bool',
  },
  'google.protobuf.FieldOptions': { packed: '2 optional bool', deprecated: '3 optional bool' },
  'google.protobuf.OneofDescriptorProto': { name: '1 string' },
  'google.protobuf.EnumDescriptorProto': {
    name: '1 string',
    value: '2 list google.protobuf.EnumValueDescriptorProto',
    options: '3 google.protobuf.EnumOptions',
  },
  'google.protobuf.EnumOptions': { allow_alias: '2 optional bool' },
  'google.protobuf.EnumValueDescriptorProto': { name: '1 optional string', number: '2 optional int32' },
  'google.protobuf.ServiceDescriptorProto': {
    name: '1 string',
    method: '2 list google.protobuf.MethodDescriptorProto',
  },
  'google.protobuf.MethodDescriptorProto': {
    name: '1 string',
    input_type: '2 string',
    output_type: '3 string',
    options: '4 google.protobuf.MethodOptions',
    client_streaming: '5 bool',
    server_streaming: '6 bool',
  },
  'google.protobuf.MethodOptions': {
    deprecated: '33 optional bool',
    idempotency_level: '34 optional int32',
    http: '72295728 google.api.HttpRule',
  },
  'google.api.HttpRule': {
    get: '2 string in pattern',
    put: '3 string in pattern',
    post: '4 string in pattern',
    delete: '5 string in pattern',
    patch: '6 string in pattern',
    body: '7 string',
    additional_bindings: '11 list google.api.HttpRule',
    response_body: '12 string',
  },
});

const fileCodec = protobufOf(DESCRIPTORS, messageOf(DESCRIPTORS, 'google.protobuf.FileDescriptorProto'));
const setCodec = protobufOf(DESCRIPTORS, messageOf(DESCRIPTORS, 'google.protobuf.FileDescriptorSet'));

const MESSAGE = 11;
const ENUM = 14;
const TYPES: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  'uint64 fixed': 6,
  'uint32 fixed': 7,
  'int32 fixed': 15,
  'int64 fixed': 16,
  'int32 zigzag': 17,
  'int64 zigzag': 18,
};

const OPTIONAL = 1;
const REPEATED = 3;

type Plain = Record<string, unknown>;

export function descriptorBytes(file: ProtoFile): Buffer {
  return fileCodec.bytesOf(descriptorOf(file));
}

/** What `protoc --descriptor_set_out` writes, and grpcurl takes as `-protoset`. */
export function descriptorSetBytes(files: readonly ProtoFile[]): Buffer {
  return setCodec.bytesOf({ file: files.map(descriptorOf) });
}

function descriptorOf(file: ProtoFile): Plain {
  const enums = file.types.filter(({ type }) => type.kind === 'enum');
  const messages = file.types.filter(({ type }) => type.kind === 'message');
  return {
    name: file.name,
    package: file.package,
    dependency: file.imports,
    messageType: messages.map((tree) => messageProto(tree, file)),
    enumType: enums.map(enumProto),
    service: file.services.map(serviceProto),
    extension: file.name === ANNOTATIONS ? [HTTP_EXTENSION] : [],
    syntax: 'proto3',
  };
}

const HTTP_EXTENSION: Plain = {
  name: 'http',
  extendee: '.google.protobuf.MethodOptions',
  number: 72_295_728,
  label: OPTIONAL,
  type: MESSAGE,
  typeName: '.google.api.HttpRule',
  jsonName: 'http',
};

function messageProto({ name, type, inner }: FileType, file: ProtoFile): Plain {
  const { fields } = type as MessageType;
  const oneofs = [...new Set(fields.flatMap(({ oneof }) => (oneof === undefined ? [] : [oneof])))];
  // Presence of a plain field is a oneof of its own, behind all others (field_presence.md).
  const alone = fields.filter((field) => hasOwnPresence(field, file)).map(({ protoName }) => `_${protoName}`);
  const declared = [...oneofs, ...alone];
  const entries = fields.filter(({ many }) => many === 'map');
  return {
    name,
    field: fields.map((field) => fieldProto(field, (type as MessageType).name, declared, file)),
    nestedType: [
      ...inner.filter((one) => one.type.kind === 'message').map((one) => messageProto(one, file)),
      ...entries.map((field) => entryProto(field, file)),
    ],
    enumType: inner.filter((one) => one.type.kind === 'enum').map(enumProto),
    oneofDecl: declared.map((oneof) => ({ name: oneof })),
  };
}

function entryName({ protoName }: Field): string {
  const name = jsonName(protoName);
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}Entry`;
}

function entryProto(field: Field, file: ProtoFile): Plain {
  const key: ScalarType = { kind: 'scalar', name: field.mapKey ?? 'string' };
  return {
    name: entryName(field),
    field: [
      { name: 'key', number: 1, label: OPTIONAL, jsonName: 'key', ...typeProto({ type: key }, file) },
      { name: 'value', number: 2, label: OPTIONAL, jsonName: 'value', ...typeProto(field, file) },
    ],
    options: { mapEntry: true },
  };
}

function typeProto({ type }: Pick<Field, 'type'>, file: ProtoFile): Plain {
  if (type.kind === 'named') {
    const isEnum = file.enums.has(type.name);
    return { type: isEnum ? ENUM : MESSAGE, typeName: `.${type.name}` };
  }
  const message = SCALAR_MESSAGES[type.name];
  if (message !== undefined) return { type: MESSAGE, typeName: `.${message}` };
  const form = type.wire === undefined || type.wire === 'varint' ? '' : ` ${type.wire}`;
  return { type: TYPES[type.name + form] };
}

function fieldProto(field: Field, message: string, oneofs: readonly string[], file: ProtoFile): Plain {
  const { protoName, name, number, many, oneof, unpacked, deprecated } = field;
  const made: Plain = { name: protoName, number, label: many === 'one' ? OPTIONAL : REPEATED, jsonName: name };
  if (many === 'map') Object.assign(made, { type: MESSAGE, typeName: `.${message}.${entryName(field)}` });
  else Object.assign(made, typeProto(field, file));
  if (oneof !== undefined) made.oneofIndex = oneofs.indexOf(oneof);
  else if (hasOwnPresence(field, file)) {
    made.oneofIndex = oneofs.indexOf(`_${protoName}`);
    made.proto3Optional = true;
  }
  if (unpacked === true || deprecated === true)
    made.options = { ...(unpacked ? { packed: false } : {}), ...(deprecated ? { deprecated: true } : {}) };
  return made;
}

function enumProto({ name, type }: FileType): Plain {
  const { values } = type as EnumType;
  const isAliased = new Set(values.map(({ number }) => number)).size < values.length;
  return {
    name,
    value: values.map((value) => ({ name: value.name, number: value.number })),
    ...(isAliased ? { options: { allowAlias: true } } : {}),
  };
}

function serviceProto({ name, methods }: FileService): Plain {
  return { name: name.slice(name.lastIndexOf('.') + 1), method: [...methods.values()].map(methodProto) };
}

const LEVELS = { none: undefined, safe: 1, idempotent: 2 } as const;

function methodProto({ name, kind, input, output, idempotency, deprecated, http }: FileMethod): Plain {
  const options: Plain = {};
  if (deprecated) options.deprecated = true;
  if (idempotency !== 'none') options.idempotencyLevel = LEVELS[idempotency];
  const [first, ...more] = http.map(ruleProto);
  if (first !== undefined) options.http = { ...first, additionalBindings: more };
  return {
    name,
    inputType: `.${input.name}`,
    outputType: `.${output.name}`,
    ...(Object.keys(options).length > 0 ? { options } : {}),
    clientStreaming: kind === 'client' || kind === 'both',
    serverStreaming: kind === 'server' || kind === 'both',
  };
}

function ruleProto({ method, path, body, responseBody }: FileMethod['http'][number]): Plain {
  return { [method.toLowerCase()]: path, body, responseBody };
}
