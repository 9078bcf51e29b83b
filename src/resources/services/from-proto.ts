// Reads .proto files (proto2, proto3 and editions) into the neutral description, with google.api.http and the types that
// Google gives with protobuf. The parsing is protobufjs'; handlers are put to methods by name.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import protobuf from 'protobufjs';
import type { EnumType, Field, MessageType, ScalarName, Schema, Type, WireForm } from '../../formats/schema/types.ts';
import type { CallKind, HttpBinding, Idempotency, Method, Service } from './contract.ts';
import type { Described, Handled } from './define.ts';
import { DefinitionError } from './from-zod.ts';
import type { ProtoDefinition } from './proto-service.ts';
import { ServiceError } from './status.ts';

/** The services that have handlers. Throws a `DefinitionError`. */
export function describeProto({ path, handlers, include }: ProtoDefinition): {
  readonly services: Described[];
  readonly files: readonly string[];
} {
  const { services, files } = readProto(path, include);
  const described: Described[] = [];
  for (const [name, given] of Object.entries(handlers)) {
    const service = services.find((each) => each.name === name);
    if (service === undefined)
      throw new DefinitionError(
        path,
        `has no service ${name}; it has ${services.map((each) => each.name).join(', ') || 'none'}`,
      );
    for (const method of Object.keys(given))
      if (!service.methods.has(method))
        throw new DefinitionError(
          path,
          `${name} has no method ${method}; it has ${[...service.methods.keys()].join(', ')}`,
        );
    const handled = new Map<string, Handled>();
    for (const method of service.methods.keys())
      handled.set(method, { handler: given[method] ?? unimplemented, refineInput: null, refineOutput: null });
    described.push({ service, handlers: handled });
  }
  return { services: described, files };
}

function unimplemented(): never {
  throw new ServiceError('UNIMPLEMENTED', 'this server does not implement the method');
}

/** All services of a .proto, and the files that it was read from. */
export function readProto(
  given: string,
  include: readonly string[] = [],
): { readonly services: readonly Service[]; readonly files: readonly string[] } {
  const path = resolve(given);
  if (!existsSync(path)) throw new DefinitionError(given, 'there is no such file');
  const { root, files } = loaded(path, given, include);
  const reader = new ProtoReader(given);
  const schema: Schema = { types: reader.types };
  const services: Service[] = [];
  for (const each of nestedOf(root)) {
    if (each instanceof protobuf.Service) services.push(serviceOf(each, schema, reader));
    else if (each instanceof protobuf.Type && !nameOf(each).startsWith('google.protobuf.')) reader.message(each);
  }
  return { services, files };
}

/** Options of other tools, whose files need not be there. */
const OPTIONS_ONLY =
  /^(?:google\/api\/|google\/protobuf\/(?:descriptor|compiler\/)|buf\/validate\/|validate\/|protoc-gen-)/;

function loaded(path: string, given: string, include: readonly string[]) {
  const root = new protobuf.Root();
  const files: string[] = [];
  root.resolvePath = (origin, target) => {
    if (origin === '') return target;
    if (OPTIONS_ONLY.test(target)) return null;
    const places = [dirname(origin), ...include.map((each) => resolve(each)), ...above(dirname(path))];
    const found = places.map((place) => join(place, target)).find(existsSync);
    if (found === undefined)
      throw new DefinitionError(
        given,
        `imports ${target}, which is not beside it, above it, or in the folders of \`include\``,
      );
    files.push(found);
    return found;
  };
  try {
    files.push(path);
    root.loadSync(path, { keepCase: true, alternateCommentMode: true, preferTrailingComment: false });
    root.resolveAll();
  } catch (error) {
    if (error instanceof DefinitionError) throw error;
    throw new DefinitionError(given, (error as Error).message);
  }
  return { root, files };
}

/** A folder and those above it: where imports begin is nowhere written. */
function above(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...above(parent)];
}

function nestedOf(space: protobuf.NamespaceBase): protobuf.ReflectionObject[] {
  return space.nestedArray.flatMap((each) =>
    each instanceof protobuf.Namespace && !(each instanceof protobuf.Service) ? [each, ...nestedOf(each)] : [each],
  );
}

function nameOf({ fullName }: protobuf.ReflectionObject): string {
  return fullName.replace(/^\./, '');
}

interface Features {
  readonly enum_type?: string;
}

const SCALARS: Readonly<Record<string, readonly [name: ScalarName, wire?: WireForm]>> = {
  bool: ['bool'],
  int32: ['int32'],
  sint32: ['int32', 'zigzag'],
  sfixed32: ['int32', 'fixed'],
  uint32: ['uint32'],
  fixed32: ['uint32', 'fixed'],
  int64: ['int64'],
  sint64: ['int64', 'zigzag'],
  sfixed64: ['int64', 'fixed'],
  uint64: ['uint64'],
  fixed64: ['uint64', 'fixed'],
  float: ['float'],
  double: ['double'],
  string: ['string'],
  bytes: ['bytes'],
  'google.protobuf.Timestamp': ['timestamp'],
  'google.protobuf.Duration': ['duration'],
  'google.protobuf.Value': ['any'],
};

class ProtoReader {
  readonly types = new Map<string, MessageType | EnumType>();
  private readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  message(type: protobuf.Type): MessageType {
    const name = nameOf(type);
    const known = this.types.get(name);
    if (known !== undefined) return known as MessageType;
    const fields: Field[] = [];
    const message: MessageType = { kind: 'message', name, fields, ...described(type.comment) };
    this.types.set(name, message);
    for (const field of type.fieldsArray) if (field.declaringField === null) fields.push(this.field(field, type));
    fields.sort((one, two) => one.number - two.number);
    const twice = fields.find((field, index) => fields.findIndex((other) => other.name === field.name) !== index);
    if (twice !== undefined)
      throw new DefinitionError(this.path, `${name} has two fields that are ${twice.name} in JSON`);
    return message;
  }

  private field(field: protobuf.Field, owner: protobuf.Type): Field {
    const place = `${nameOf(owner)}.${field.name}`;
    if (field.delimited && field.resolvedType instanceof protobuf.Type)
      throw new DefinitionError(this.path, `${place} is a group, which only protobuf has: make it a message`);
    const type = this.typeOf(field, place);
    const many = field.map ? 'map' : field.repeated ? 'list' : 'one';
    const partOf = field.partOf;
    const oneof = partOf === null || partOf.isProto3Optional ? undefined : partOf.name;
    const isMessage = field.resolvedType instanceof protobuf.Type;
    const options = field.options ?? {};
    const isPackable = many === 'list' && !isMessage && !['string', 'bytes'].includes(field.type);
    const preset = presetOf(field);
    return {
      name: jsonNameOf(field),
      protoName: field.name,
      number: field.id,
      type,
      many,
      ...(field instanceof protobuf.MapField ? { mapKey: keyOf(field.keyType) } : {}),
      optional: many === 'one' && (isMessage || partOf !== null || (field.hasPresence === true && !field.required)),
      required: field.required,
      ...(oneof === undefined ? {} : { oneof }),
      ...(preset === undefined ? {} : { preset }),
      ...(isPackable && !field.packed ? { unpacked: true } : {}),
      ...described(field.comment),
      ...(options.deprecated === true ? { deprecated: true } : {}),
    };
  }

  private typeOf(field: protobuf.Field, place: string): Type {
    const { resolvedType } = field;
    const scalar = SCALARS[resolvedType === null ? field.type : nameOf(resolvedType)];
    if (scalar !== undefined) {
      const [name, wire] = scalar;
      return { kind: 'scalar', name, ...(wire === undefined ? {} : { wire }) };
    }
    if (resolvedType instanceof protobuf.Enum) return this.enum(resolvedType);
    if (resolvedType instanceof protobuf.Type) return { kind: 'named', name: this.message(resolvedType).name };
    throw new DefinitionError(this.path, `${place} is of type ${field.type}, which is not there`);
  }

  private enum(type: protobuf.Enum): Type {
    const name = nameOf(type);
    if (!this.types.has(name)) {
      const comments = type.comments as Readonly<Record<string, string | null>> | undefined;
      const values = Object.entries(type.values).map(([each, number]) => ({
        name: each,
        number,
        ...described(comments?.[each]),
      }));
      const isClosed = (type as unknown as { readonly _features: Features })._features.enum_type === 'CLOSED';
      this.types.set(name, {
        kind: 'enum',
        name,
        values,
        ...(isClosed ? { closed: true } : {}),
        ...described(type.comment),
      });
    }
    return { kind: 'named', name };
  }
}

function described(comment: string | null | undefined): { readonly description?: string } {
  return typeof comment === 'string' && comment !== '' ? { description: comment } : {};
}

function keyOf(type: string): NonNullable<Field['mapKey']> {
  return (SCALARS[type]?.[0] ?? 'string') as NonNullable<Field['mapKey']>;
}

/** As protoc makes it: each `_` goes, and the letter after it is a capital. */
function jsonNameOf(field: protobuf.Field): string {
  const given: unknown = field.options?.json_name;
  if (typeof given === 'string' && /^[A-Za-z_$][\w$]*$/.test(given)) return given;
  return field.name.replace(/_+([A-Za-z0-9])?/g, (_all, letter: string | undefined) => letter?.toUpperCase() ?? '');
}

/** proto2's `default`, in the form of values. */
function presetOf(field: protobuf.Field): unknown {
  const given: unknown = field.options?.default;
  if (given === undefined) return undefined;
  if (field.resolvedType instanceof protobuf.Enum) return given;
  if (field.type === 'bytes') return new Uint8Array(field.defaultValue as Uint8Array);
  const scalar = SCALARS[field.type]?.[0];
  return scalar === 'int64' || scalar === 'uint64' ? BigInt(String(field.defaultValue)) : given;
}

const ONE_ANSWER_MS = 60_000;

function serviceOf(given: protobuf.Service, schema: Schema, reader: ProtoReader): Service {
  const methods = new Map<string, Method>();
  const description = given.comment ?? '';
  const service: Service = { name: nameOf(given), methods, schema, description, origin: 'program' };
  for (const method of given.methodsArray) {
    method.resolve();
    const { requestStream, responseStream } = method;
    const kind: CallKind = requestStream ? (responseStream ? 'both' : 'client') : responseStream ? 'server' : 'unary';
    const options = optionsOf(method);
    methods.set(method.name, {
      name: method.name,
      service,
      kind,
      input: reader.message(method.resolvedRequestType!),
      output: reader.message(method.resolvedResponseType!),
      idempotency: LEVELS[String(options.idempotency_level)] ?? 'none',
      http: bindingsOf(options['(google.api.http)'] as HttpOption | undefined),
      description: method.comment ?? '',
      deprecated: options.deprecated === true,
      deadlineMs: kind === 'unary' ? ONE_ANSWER_MS : Number.POSITIVE_INFINITY,
    });
  }
  return service;
}

const LEVELS: Readonly<Record<string, Idempotency>> = { NO_SIDE_EFFECTS: 'safe', IDEMPOTENT: 'idempotent' };

function optionsOf(method: protobuf.Method): Record<string, unknown> {
  return Object.assign({}, ...((method.parsedOptions ?? []) as object[])) as Record<string, unknown>;
}

/** google.api.HttpRule as protobufjs reads it. */
interface HttpOption {
  readonly get?: string;
  readonly put?: string;
  readonly post?: string;
  readonly delete?: string;
  readonly patch?: string;
  readonly body?: string;
  readonly response_body?: string;
  readonly additional_bindings?: HttpOption | readonly HttpOption[];
}

const HTTP_VERBS = ['get', 'put', 'post', 'delete', 'patch'] as const;

function bindingsOf(option: HttpOption | undefined): HttpBinding[] {
  if (option === undefined) return [];
  const bindings: HttpBinding[] = [];
  const { body = '', response_body: responseBody = '', additional_bindings: more = [] } = option;
  for (const verb of HTTP_VERBS) {
    const path = option[verb];
    if (path !== undefined)
      bindings.push({ method: verb.toUpperCase() as HttpBinding['method'], path, body, responseBody });
  }
  for (const each of Array.isArray(more) ? (more as HttpOption[]) : [more as HttpOption])
    bindings.push(...bindingsOf(each));
  return bindings;
}
