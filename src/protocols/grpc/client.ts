// The client half: calls over any connection of HTTP, in gRPC or in Connect, seen as those of a server's own services are. Who
// dials, and keeps connections, is handed in; it knows no resource.
import { ByteWriter } from '../../bytes/writer.ts';
import type { Fault } from '../../core/fault.ts';
import type { Fields } from '../../core/fields.ts';
import type { Cause } from '../../core/pipe.ts';
import type { Turn } from '../../core/turn.ts';
import { PROTOBUF_BOUNDS } from '../../formats/schema/protobuf.ts';
import type { Call, CallKind, CallReceiver, Metadata, Method } from '../../resources/services/contract.ts';
import type { AnswerEvents, ClientRequest, SentRequest } from '../http/client.ts';
import type { ClientCall } from './client-call.ts';
import { ConnectStream, ConnectUnary } from './client-connect.ts';
import { GrpcClientCall } from './client-grpc.ts';
import type { Coding } from './coding.ts';
import { type BodyCodec, type Form, jsonCodec, protoCodec } from './server-codecs.ts';

/** What is told of a request; `started` each time that it is given a connection. */
export interface AskEvents extends Omit<AnswerEvents, 'over'> {
  started?(exchange: SentRequest): void;
  over(cause: Cause | null, fault: Fault | null, why: string): void;
}

export interface ClientOptions {
  /** Sends a request on some connection: gRPC's must be HTTP/2. */
  readonly ask: (request: ClientRequest, events: AskEvents) => { cancel(): void };
  readonly turn: Turn;
  /** Host, and the port where it is not the scheme's own. */
  readonly authority: string;
  /** What stands before `/shop.v1.Orders/GetOrder`; '' most often. */
  readonly prefix: string;
  readonly speaks: 'grpc' | 'connect';
  /** gRPC's messages are always protobuf. */
  readonly form: Form;
  /** Connect's unary calls of methods that change nothing are GETs, which can be kept on the way. */
  readonly get: boolean;
  /** How messages that are long enough are compressed. */
  readonly coding: Coding | null;
  /** A message of the server, also once it is decompressed. */
  readonly messageBytesMax: number;
  /** Of every request: Authorization. */
  readonly fields: Fields;
  /** The description of a method; null for one that there is not. */
  readonly method: (service: string, method: string) => Method | null;
}

export interface BeginOptions {
  readonly metadata: Metadata;
  readonly timeoutMs: number;
}

/** A method with its codecs. */
export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly input: BodyCodec;
  readonly output: BodyCodec;
}

export class GrpcClient {
  readonly options: ClientOptions;
  private readonly routes = new WeakMap<Method, Route>();

  constructor(options: ClientOptions) {
    this.options = options;
  }

  /** Null when there is no such method. */
  kindOf(service: string, method: string): CallKind | null {
    return this.options.method(service, method)?.kind ?? null;
  }

  /** Throws a RangeError for a method that `kindOf` does not know. */
  begin(service: string, name: string, options: BeginOptions, receiver: CallReceiver): Call {
    const method = this.options.method(service, name);
    if (method === null) throw new RangeError(`there is no ${service}.${name}`);
    const call = this.callOf(this.routeOf(method), options, receiver);
    call.start();
    return call;
  }

  private callOf(route: Route, options: BeginOptions, receiver: CallReceiver): ClientCall {
    if (this.options.speaks === 'grpc') return new GrpcClientCall(this, route, options, receiver);
    if (route.method.kind === 'unary') return new ConnectUnary(this, route, options, receiver);
    return new ConnectStream(this, route, options, receiver);
  }

  private routeOf(method: Method): Route {
    let route = this.routes.get(method);
    if (route === undefined) {
      const { schema, name } = method.service;
      const { speaks, form, prefix } = this.options;
      const codec = (type: Method['input']) =>
        speaks === 'connect' && form === 'json' ? jsonCodec(schema, type) : protoCodec(schema, type, PROTOBUF_BOUNDS);
      route = {
        method,
        path: `${prefix}/${name}/${method.name}`,
        input: codec(method.input),
        output: codec(method.output),
      };
      this.routes.set(method, route);
    }
    return route;
  }
}

/** A message as bytes of its own, `before` bytes left free. */
export function encoded(codec: BodyCodec, value: unknown, before: number): Buffer {
  const out = new ByteWriter(0x3fff_ffff);
  out.ensure(before);
  out.length = before;
  codec.write(out, value);
  return out.take().bytes;
}
