// Types of Google's that protobuf and gRPC are spoken with, and a short way to write such types down. They are facts of their
// .proto files; what a field is for stands there.
import type { EnumType, Field, MessageType, ScalarName, Schema, Type, WireForm } from './types.ts';

/** `<number> [optional|list|map <key>] <type> [in <oneof>]`; an enum is its names and numbers. */
export type Written = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

const SCALARS: Readonly<Record<string, readonly [ScalarName, WireForm?]>> = {
  bool: ['bool'],
  int32: ['int32'],
  uint32: ['uint32'],
  int64: ['int64'],
  uint64: ['uint64'],
  sint32: ['int32', 'zigzag'],
  sint64: ['int64', 'zigzag'],
  fixed32: ['uint32', 'fixed'],
  fixed64: ['uint64', 'fixed'],
  sfixed32: ['int32', 'fixed'],
  sfixed64: ['int64', 'fixed'],
  float: ['float'],
  double: ['double'],
  string: ['string'],
  bytes: ['bytes'],
  'google.protobuf.Timestamp': ['timestamp'],
  'google.protobuf.Duration': ['duration'],
  'google.protobuf.Value': ['any'],
};

/** A schema of types that are written down in short. Throws a RangeError for a slip of the pen. */
export function writtenSchema(written: Written): Schema {
  const types = new Map<string, MessageType | EnumType>();
  for (const [name, lines] of Object.entries(written)) {
    const entries = Object.entries(lines);
    if (isEnum(lines)) {
      const values = entries.map(([value, number]) => ({ name: value, number: Number(number) }));
      types.set(name, { kind: 'enum', name, values });
    } else {
      const fields = entries.map(([key, line]) => writtenField(key, String(line), written));
      types.set(name, { kind: 'message', name, fields: fields.sort((a, b) => a.number - b.number) });
    }
  }
  return { types };
}

const LINE = /^(\d+) (?:(optional|list|map (\w+)) )?([\w.]+)(?: in (\w+))?$/;

function writtenField(protoName: string, line: string, written: Written): Field {
  const parts = LINE.exec(line);
  if (parts === null) throw new RangeError(`${protoName} is written ${JSON.stringify(line)}`);
  const [, number, how = '', mapKey, typeName = '', oneof] = parts;
  const scalar = SCALARS[typeName];
  if (scalar === undefined && written[typeName] === undefined) throw new RangeError(`there is no type ${typeName}`);
  const type: Type =
    scalar === undefined
      ? { kind: 'named', name: typeName }
      : { kind: 'scalar', name: scalar[0], ...(scalar[1] === undefined ? {} : { wire: scalar[1] }) };
  const many = how === 'list' ? 'list' : mapKey === undefined ? 'one' : 'map';
  const isMessage = scalar === undefined ? !isEnum(written[typeName]!) : typeName.includes('.');
  return {
    name: protoName.replace(/_([a-z\d])/g, (_, letter: string) => letter.toUpperCase()),
    protoName,
    number: Number(number),
    type,
    many,
    ...(mapKey === undefined ? {} : { mapKey: mapKey as NonNullable<Field['mapKey']> }),
    optional: many === 'one' && (how === 'optional' || oneof !== undefined || isMessage),
    required: false,
    ...(oneof === undefined ? {} : { oneof }),
  };
}

function isEnum(lines: Written[string]): boolean {
  const all = Object.values(lines);
  return all.length > 0 && all.every((line) => typeof line === 'number');
}

/** A message of a schema that surely has it. */
export function messageOf(schema: Schema, name: string): MessageType {
  const type = schema.types.get(name);
  if (type?.kind !== 'message') throw new RangeError(`there is no message ${name}`);
  return type;
}

/** google/rpc/status.proto and error_details.proto: what an error says beside its code. */
export const RPC: Schema = writtenSchema({
  'google.protobuf.Any': { type_url: '1 string', value: '2 bytes' },
  'google.rpc.Status': { code: '1 int32', message: '2 string', details: '3 list google.protobuf.Any' },
  'google.rpc.ErrorInfo': { reason: '1 string', domain: '2 string', metadata: '3 map string string' },
  'google.rpc.RetryInfo': { retry_delay: '1 google.protobuf.Duration' },
  'google.rpc.DebugInfo': { stack_entries: '1 list string', detail: '2 string' },
  'google.rpc.QuotaFailure': { violations: '1 list google.rpc.QuotaFailure.Violation' },
  'google.rpc.QuotaFailure.Violation': { subject: '1 string', description: '2 string' },
  'google.rpc.PreconditionFailure': { violations: '1 list google.rpc.PreconditionFailure.Violation' },
  'google.rpc.PreconditionFailure.Violation': { type: '1 string', subject: '2 string', description: '3 string' },
  'google.rpc.BadRequest': { field_violations: '1 list google.rpc.BadRequest.FieldViolation' },
  'google.rpc.BadRequest.FieldViolation': {
    field: '1 string',
    description: '2 string',
    reason: '3 string',
    localized_message: '4 google.rpc.LocalizedMessage',
  },
  'google.rpc.RequestInfo': { request_id: '1 string', serving_data: '2 string' },
  'google.rpc.ResourceInfo': {
    resource_type: '1 string',
    resource_name: '2 string',
    owner: '3 string',
    description: '4 string',
  },
  'google.rpc.Help': { links: '1 list google.rpc.Help.Link' },
  'google.rpc.Help.Link': { description: '1 string', url: '2 string' },
  'google.rpc.LocalizedMessage': { locale: '1 string', message: '2 string' },
});
