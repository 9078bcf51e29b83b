// Server reflection, v1 and v1alpha: the services that a caller may call, and the files that describe them, for clients that
// have no .proto (grpc/reflection/v1/reflection.proto).

import type { Caller } from '../../core/caller.ts';
import { descriptorBytes } from '../../formats/schema/descriptor.ts';
import {
  ANNOTATIONS,
  type FileType,
  googleFile,
  type ProtoFile,
  protoFiles,
} from '../../formats/schema/proto-files.ts';
import { messageOf, writtenSchema } from '../../formats/schema/protobuf-google.ts';
import type { Schema } from '../../formats/schema/types.ts';
import type { Call, CallOptions, CallReceiver, Method, Service } from '../../resources/services/contract.ts';
import { STATUS_OK } from '../../resources/services/status.ts';
import type { GrpcHost, OwnService } from './server-directory.ts';
import { ownService } from './server-own.ts';

const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;

/** Both versions are the same but for their package. */
export function reflectionSchema(version: string): Schema {
  const name = `grpc.reflection.${version}.`;
  return writtenSchema({
    [`${name}ServerReflectionRequest`]: {
      host: '1 string',
      file_by_filename: '3 string in message_request',
      file_containing_symbol: '4 string in message_request',
      file_containing_extension: `5 ${name}ExtensionRequest in message_request`,
      all_extension_numbers_of_type: '6 string in message_request',
      list_services: '7 string in message_request',
    },
    [`${name}ExtensionRequest`]: { containing_type: '1 string', extension_number: '2 int32' },
    [`${name}ServerReflectionResponse`]: {
      valid_host: '1 string',
      original_request: `2 ${name}ServerReflectionRequest`,
      file_descriptor_response: `4 ${name}FileDescriptorResponse in message_response`,
      all_extension_numbers_response: `5 ${name}ExtensionNumberResponse in message_response`,
      list_services_response: `6 ${name}ListServiceResponse in message_response`,
      error_response: `7 ${name}ErrorResponse in message_response`,
    },
    [`${name}FileDescriptorResponse`]: { file_descriptor_proto: '1 list bytes' },
    [`${name}ExtensionNumberResponse`]: { base_type_name: '1 string', extension_number: '2 list int32' },
    [`${name}ListServiceResponse`]: { service: `1 list ${name}ServiceResponse` },
    [`${name}ServiceResponse`]: { name: '1 string' },
    [`${name}ErrorResponse`]: { error_code: '1 int32', error_message: '2 string' },
  });
}

interface Asked {
  readonly fileByFilename?: string;
  readonly fileContainingSymbol?: string;
  readonly fileContainingExtension?: { readonly containingType: string; readonly extensionNumber: number };
  readonly allExtensionNumbersOfType?: string;
  readonly listServices?: string;
}

/** What a caller sees: it is the same for all who may call the same services. */
class View {
  readonly names: readonly string[];
  private readonly byName = new Map<string, ProtoFile>();
  private readonly bySymbol = new Map<string, ProtoFile>();
  private readonly bytes = new Map<ProtoFile, Uint8Array>();

  constructor(services: readonly Service[]) {
    this.names = services.map(({ name }) => name).sort();
    for (const whole of protoFiles(services)) {
      // Its options are read as well by those who know them, and others need no more files.
      const file = { ...whole, imports: whole.imports.filter((name) => name !== ANNOTATIONS) };
      this.byName.set(file.name, file);
      for (const type of file.types) this.addType(type, file);
      for (const { name, methods } of file.services) {
        this.bySymbol.set(name, file);
        for (const method of methods.keys()) this.bySymbol.set(`${name}.${method}`, file);
      }
    }
  }

  private addType({ type, inner }: FileType, file: ProtoFile): void {
    this.bySymbol.set(type.name, file);
    if (type.kind === 'message')
      for (const { protoName, oneof } of type.fields) {
        this.bySymbol.set(`${type.name}.${protoName}`, file);
        if (oneof !== undefined) this.bySymbol.set(`${type.name}.${oneof}`, file);
      }
    else {
      // Values of an enum stand beside it (descriptor.proto, EnumValueDescriptorProto).
      const around = type.name.slice(0, type.name.lastIndexOf('.') + 1);
      for (const { name } of type.values) this.bySymbol.set(around + name, file);
    }
    for (const one of inner) this.addType(one, file);
  }

  file(name: string): ProtoFile | null {
    return this.byName.get(name) ?? (name === ANNOTATIONS ? null : googleFile(name));
  }

  symbol(name: string): ProtoFile | null {
    const found = this.bySymbol.get(name);
    if (found !== undefined) return found;
    for (const google of GOOGLE)
      if (this.file(google)?.types.some(({ type }) => type.name === name)) return this.file(google);
    return null;
  }

  /** A file and those that it needs, those that were given before left out. */
  withImports(file: ProtoFile, given: Set<string>): Uint8Array[] {
    if (given.has(file.name)) return [];
    given.add(file.name);
    let bytes = this.bytes.get(file);
    if (bytes === undefined) {
      bytes = descriptorBytes(file);
      this.bytes.set(file, bytes);
    }
    const needed = file.imports.flatMap((name) => {
      const found = this.file(name);
      return found === null ? [] : this.withImports(found, given);
    });
    return [bytes, ...needed];
  }
}

const GOOGLE = [
  ...['timestamp', 'duration', 'struct', 'empty', 'any', 'field_mask', 'wrappers'].map(
    (name) => `google/protobuf/${name}.proto`,
  ),
  'google/api/http.proto',
];

/** Views that are kept: as many kinds of callers as there may be before they are made anew. */
const VIEWS_MAX = 32;

export class Reflection implements OwnService {
  readonly service: Service;
  private readonly host: GrpcHost;
  private readonly own: () => readonly OwnService[];
  private readonly views: Map<string, View>;

  constructor(host: GrpcHost, version: 'v1' | 'v1alpha', own: () => readonly OwnService[], views: Map<string, View>) {
    this.host = host;
    this.own = own;
    this.views = views;
    const schema = reflectionSchema(version);
    const name = `grpc.reflection.${version}`;
    this.service = ownService(`${name}.ServerReflection`, schema, 'Describes the services that can be called.', [
      {
        name: 'ServerReflectionInfo',
        kind: 'both',
        input: messageOf(schema, `${name}.ServerReflectionRequest`),
        output: messageOf(schema, `${name}.ServerReflectionResponse`),
        idempotency: 'safe',
      },
    ]);
  }

  private viewOf(caller: Caller): View {
    const { services } = this.host.resources;
    const visible = [...(services?.all.values() ?? [])].filter(({ methods }) =>
      [...methods.values()].some((method) => services!.may(caller, method)),
    );
    const all = [...visible, ...this.own().map(({ service }) => service)];
    const key = `${services?.epoch ?? 0} ${all.map(({ name }) => name).join(' ')}`;
    let view = this.views.get(key);
    if (view === undefined) {
      if (this.views.size >= VIEWS_MAX) this.views.clear();
      view = new View(all);
      this.views.set(key, view);
    }
    return view;
  }

  begin(_method: Method, { caller }: CallOptions, receiver: CallReceiver): Call {
    const given = new Set<string>();
    let isFull = false;
    return {
      get room() {
        isFull = receiver.room <= 0;
        return isFull ? 0 : 1;
      },
      send: (value) => {
        const request = value as Asked & { readonly host: string };
        receiver.message({
          validHost: request.host,
          originalRequest: request,
          ...answerOf(this.viewOf(caller), request, given),
        });
      },
      finish: () => receiver.end(STATUS_OK, []),
      more: () => {
        if (!isFull) return;
        isFull = false;
        receiver.writable();
      },
      cancel() {},
    };
  }
}

function answerOf(view: View, asked: Asked, given: Set<string>): Record<string, unknown> {
  if (asked.listServices !== undefined)
    return { listServicesResponse: { service: view.names.map((name) => ({ name })) } };
  if (asked.fileByFilename !== undefined)
    return fileAnswer(view, view.file(asked.fileByFilename), asked.fileByFilename, given);
  if (asked.fileContainingSymbol !== undefined)
    return fileAnswer(view, view.symbol(asked.fileContainingSymbol), asked.fileContainingSymbol, given);
  if (asked.allExtensionNumbersOfType !== undefined) {
    const { allExtensionNumbersOfType: name } = asked;
    if (view.symbol(name) === null) return refusal(NOT_FOUND, `there is no type ${name}`);
    return { allExtensionNumbersResponse: { baseTypeName: name, extensionNumber: [] } };
  }
  if (asked.fileContainingExtension !== undefined) return refusal(NOT_FOUND, 'there is no such extension');
  return refusal(UNIMPLEMENTED, 'this is nothing that reflection can be asked');
}

function fileAnswer(view: View, file: ProtoFile | null, name: string, given: Set<string>): Record<string, unknown> {
  if (file === null) return refusal(NOT_FOUND, `there is nothing that is called ${name}`);
  // Asked for again by name it is given again.
  given.delete(file.name);
  return { fileDescriptorResponse: { fileDescriptorProto: view.withImports(file, given) } };
}

function refusal(errorCode: number, errorMessage: string): Record<string, unknown> {
  return { errorResponse: { errorCode, errorMessage } };
}
