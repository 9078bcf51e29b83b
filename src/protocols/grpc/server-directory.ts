// Which method a path is, with its codecs: made from the descriptions when it is first called, anew when they changed.

import { isUtf8, utf8 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Host } from '../../core/protocol.ts';
import { type JsonRead, type JsonWrite, jsonRead, jsonWrite } from '../../formats/schema/json.ts';
import { type Protobuf, type ProtobufBounds, protobufOf } from '../../formats/schema/protobuf.ts';
import type { MessageType, Schema, Violation } from '../../formats/schema/types.ts';
import type { Resources } from '../../resources/resources.ts';
import type { Call, CallOptions, CallReceiver, Method, Service } from '../../resources/services/contract.ts';
import { invalidStatus, type Status } from '../../resources/services/status.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { statusOf } from './server-status.ts';

export type GrpcHost = Host<Resources, typeof limits>;

/** How a message of one type is read and written in one form. */
export interface BodyCodec {
  /** What was wrong when the last `read` answered undefined. */
  wrong(): Status;
  read(bytes: Uint8Array, start: number, end: number): unknown;
  /** Throws a TypeError for a value that is not of the type. */
  write(out: ByteWriter, value: unknown): void;
}

/** Both directions of a method in one form. */
export interface Codecs {
  readonly input: BodyCodec;
  readonly output: BodyCodec;
}

export type Form = 'proto' | 'json';

export interface Entry {
  readonly method: Method;
  readonly proto: Codecs;
  /** Made when it is first asked for. */
  json: Codecs | null;
  readonly begin: (options: CallOptions, receiver: CallReceiver) => Call;
}

/** A service of the protocol's own, which is not among the resources: health, reflection. */
export interface OwnService {
  readonly service: Service;
  begin(method: Method, options: CallOptions, receiver: CallReceiver): Call;
}

class BoundedProtobuf implements BodyCodec {
  private readonly codec: Protobuf;
  private readonly bounds: ProtobufBounds;

  constructor(schema: Schema, type: MessageType, bounds: ProtobufBounds) {
    this.codec = protobufOf(schema, type);
    this.bounds = bounds;
  }

  wrong(): Status {
    return statusOf(faults.badMessage, this.codec.fault);
  }

  read(bytes: Uint8Array, start: number, end: number): unknown {
    return this.codec.read(bytes, start, end, this.bounds);
  }

  write(out: ByteWriter, value: unknown): void {
    this.codec.write(out, value);
  }
}

class Json implements BodyCodec {
  private readonly fromJson: JsonRead;
  private readonly toJson: JsonWrite;
  private violations: Violation[] = [];

  constructor(schema: Schema, type: MessageType) {
    // Clients that are newer than the server say what it does not know yet.
    this.fromJson = jsonRead(schema, type, { unknown: 'ignore' });
    this.toJson = jsonWrite(schema, type);
  }

  wrong(): Status {
    return invalidStatus(this.violations);
  }

  read(bytes: Uint8Array, start: number, end: number): unknown {
    this.violations = [];
    const value = this.parse(bytes, start, end);
    return this.violations.length === 0 ? value : undefined;
  }

  private parse(bytes: Uint8Array, start: number, end: number): unknown {
    if (!isUtf8(bytes, start, end)) {
      this.violations.push({ path: '', text: 'it is not UTF-8' });
      return undefined;
    }
    // No body is what some clients make of a message with nothing in it.
    if (start === end) return this.fromJson({}, this.violations);
    try {
      return this.fromJson(JSON.parse(utf8(bytes, start, end)), this.violations);
    } catch (error) {
      this.violations.push({ path: '', text: `it is no JSON: ${(error as Error).message}` });
      return undefined;
    }
  }

  write(out: ByteWriter, value: unknown): void {
    out.utf8(this.toJson(value));
  }
}

/** The codecs of a method in one form. */
export function codecsOf(entry: Entry, form: Form): Codecs {
  if (form === 'proto') return entry.proto;
  const { input, output, service } = entry.method;
  entry.json ??= { input: new Json(service.schema, input), output: new Json(service.schema, output) };
  return entry.json;
}

export class Directory {
  private readonly host: GrpcHost;
  private readonly own: readonly OwnService[];
  /** By path; only methods that there are. */
  private readonly found = new Map<string, Entry>();
  private epoch = -1;

  constructor(host: GrpcHost, own: readonly OwnService[]) {
    this.host = host;
    this.own = own;
  }

  /** The method at `/shop.v1.Orders/GetOrder`, or null. */
  at(path: string): Entry | null {
    const { services } = this.host.resources;
    if (services !== undefined && services.epoch !== this.epoch) {
      this.found.clear();
      this.epoch = services.epoch;
    }
    const known = this.found.get(path);
    if (known !== undefined) return known;
    const slash = path.indexOf('/', 1);
    if (slash < 0) return null;
    const entry = this.make(path.slice(1, slash), path.slice(slash + 1));
    if (entry !== null) this.found.set(path, entry);
    return entry;
  }

  /** Whether there is a service at `/shop.v1.Orders/…`, whatever the method is. */
  hasService(path: string): boolean {
    const name = path.slice(1, path.indexOf('/', 1));
    return this.ownService(name) !== undefined || this.host.resources.services?.all.has(name) === true;
  }

  private ownService(name: string): OwnService | undefined {
    return this.own.find(({ service }) => service.name === name);
  }

  private make(service: string, name: string): Entry | null {
    const { services } = this.host.resources;
    const own = this.ownService(service);
    const method = own === undefined ? services?.method(service, name) : own.service.methods.get(name);
    if (method === undefined || method === null) return null;
    const { depthMax, valuesMax } = this.host.limits;
    const bounds = { depthMax, valuesMax };
    const { schema } = method.service;
    return {
      method,
      proto: {
        input: new BoundedProtobuf(schema, method.input, bounds),
        output: new BoundedProtobuf(schema, method.output, bounds),
      },
      json: null,
      begin:
        own === undefined
          ? (options, receiver) => services!.begin(method, options, receiver)
          : (options, receiver) => own.begin(method, options, receiver),
    };
  }
}
