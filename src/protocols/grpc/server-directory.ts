// Which method a path is, with its codecs: made from the descriptions when it is first called, anew when they changed.
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Host } from '../../core/protocol.ts';
import { type Protobuf, type ProtobufBounds, protobufOf } from '../../formats/schema/protobuf.ts';
import type { MessageType, Schema } from '../../formats/schema/types.ts';
import type { Resources } from '../../resources/resources.ts';
import type { Call, CallOptions, CallReceiver, Method, Service } from '../../resources/services/contract.ts';
import type { limits } from './limits.ts';

export type GrpcHost = Host<Resources, typeof limits>;

/** How a message of one type is read and written in one form. */
export interface BodyCodec {
  /** Why the last `read` answered undefined. */
  readonly fault: string;
  read(bytes: Uint8Array, start: number, end: number): unknown;
  /** Throws a TypeError for a value that is not of the type. */
  write(out: ByteWriter, value: unknown): void;
}

/** Both directions of a method in one form. */
export interface Codecs {
  readonly input: BodyCodec;
  readonly output: BodyCodec;
}

export interface Entry {
  readonly method: Method;
  readonly proto: Codecs;
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

  get fault(): string {
    return this.codec.fault;
  }

  read(bytes: Uint8Array, start: number, end: number): unknown {
    return this.codec.read(bytes, start, end, this.bounds);
  }

  write(out: ByteWriter, value: unknown): void {
    this.codec.write(out, value);
  }
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
      begin:
        own === undefined
          ? (options, receiver) => services!.begin(method, options, receiver)
          : (options, receiver) => own.begin(method, options, receiver),
    };
  }
}
