// Which method a path is, with its codecs: made from the descriptions when it is first called, anew when they changed.

import type { Host } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import type { Call, CallOptions, CallReceiver, Method, Service } from '../../resources/services/contract.ts';
import type { limits } from './limits.ts';
import { type BodyCodec, type Form, jsonCodec, protoCodec } from './server-codecs.ts';

export type GrpcHost = Host<Resources, typeof limits>;

/** Both directions of a method in one form. */
export interface Codecs {
  readonly input: BodyCodec;
  readonly output: BodyCodec;
}

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

/** The codecs of a method in one form. */
export function codecsOf(entry: Entry, form: Form): Codecs {
  if (form === 'proto') return entry.proto;
  const { input, output, service } = entry.method;
  entry.json ??= { input: jsonCodec(service.schema, input), output: jsonCodec(service.schema, output) };
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
        input: protoCodec(schema, method.input, bounds),
        output: protoCodec(schema, method.output, bounds),
      },
      json: null,
      begin:
        own === undefined
          ? (options, receiver) => services!.begin(method, options, receiver)
          : (options, receiver) => own.begin(method, options, receiver),
    };
  }
}
