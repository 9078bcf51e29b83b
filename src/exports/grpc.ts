// `portico/grpc`: a client of gRPC and Connect. Its methods are typed by a definition, or come from what the server says of
// itself.
import { Fields } from '../core/fields.ts';
import { bindLimits } from '../core/limits.ts';
import type { Reach } from '../core/reach.ts';
import type { Turn } from '../core/turn.ts';
import { type ReadService, readDescriptors } from '../formats/schema/descriptor-read.ts';
import { messageOf } from '../formats/schema/protobuf-google.ts';
import { GrpcClient } from '../protocols/grpc/client.ts';
import { reflectionSchema } from '../protocols/grpc/server-reflection.ts';
import { clientLimits } from '../protocols/http1/client-limits.ts';
import { HttpPool, type MakeConnection } from '../protocols/http1/pool.ts';
import { Http2Client } from '../protocols/http2/client.ts';
import { type CallSettings, type Carrier, type ClientOf, callOver, clientOver } from '../resources/services/client.ts';
import type { Method, Service } from '../resources/services/contract.ts';
import { describe, isDefinition, type ServiceDefinition } from '../resources/services/define.ts';
import { ServiceError } from '../resources/services/status.ts';
import { dialWith, placeOf, policyFor, type TlsOptions, turn } from './loop.ts';

export type { CallSettings, ClientOf } from '../resources/services/client.ts';
export { ServiceError } from '../resources/services/status.ts';
export type { TlsOptions } from './loop.ts';

export interface GrpcOptions {
  /** gRPC unless said; Connect passes through what knows only HTTP/1.1. */
  readonly speaks?: 'grpc' | 'connect';
  /** Of Connect's messages: protobuf unless said. */
  readonly form?: 'proto' | 'json';
  /** Connect's calls of methods that change nothing are GETs. */
  readonly get?: boolean;
  /** HTTP/2 also without TLS; yes for gRPC, which needs it, and no for Connect unless said. */
  readonly http2?: boolean;
  /** The services that can be called: definitions, or descriptions. */
  readonly services?: readonly (ServiceDefinition | Service)[];
  /** Of every request: authorization. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Messages of 1 KiB and more are compressed. */
  readonly compress?: boolean;
  /** The longest message that is taken, in bytes; 4 MiB unless said. */
  readonly messageBytesMax?: number;
  readonly tls?: TlsOptions;
}

/**
 * A client of the services at a URL. Nothing is connected before the first call.
 *
 * Errors: TypeError for what is no `http:` or `https:` URL. Calls end with `ServiceError`, whose code is UNAVAILABLE when nobody
 * answers.
 *
 * Sources: gRPC over HTTP/2 (PROTOCOL-HTTP2.md), the Connect Protocol, grpc.reflection.v1.
 *
 * @param url `http://[user[:password]@]host[:port][/prefix]`, or `https:`; the ports are 80 and 443 unless said
 */
export function connect(url: string, options: GrpcOptions = {}): GrpcConnection {
  return new GrpcConnection(url, options);
}

const REFLECTION = 'grpc.reflection.v1.ServerReflection';

export class GrpcConnection {
  private readonly pool: HttpPool;
  private readonly known = new Map<string, Service>();
  /** For whoever feeds calls by hand. */
  readonly carrier: Carrier;

  /** @param way who dials, and whose turn it is; a program's own when absent */
  constructor(text: string, options: GrpcOptions, way?: { readonly dial: Reach['dial']; readonly turn: Turn }) {
    const { url, host, port, user, password } = placeOf(text, { 'http:': 80, 'https:': 443 });
    const { speaks = 'grpc', form = 'proto', get = false, compress = false } = options;
    const http2 = options.http2 ?? speaks === 'grpc';
    const alpn = speaks === 'grpc' ? ['h2'] : ['h2', 'http/1.1'];
    const tls = url.protocol === 'https:' ? { ...policyFor(host, options.tls), alpn } : null;
    const bound = bindLimits(clientLimits);
    const inputMax = bound.requestLineBytesMax + bound.headBytesMax + 65_536;
    const make: MakeConnection = (pipe, clocked, limits, events) => new Http2Client(pipe, clocked, limits, events);
    this.pool = new HttpPool(way?.dial ?? dialWith(inputMax), way?.turn ?? turn, bound, {
      speaks: http2 ? { h2: make, '': make } : { h2: make },
    });
    const fields = new Fields();
    for (const [name, value] of Object.entries(options.headers ?? {})) fields.append(name, value);
    if (user !== '' && !fields.has('authorization'))
      fields.append('authorization', `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`);
    for (const service of options.services ?? []) this.add(isDefinition(service) ? describe(service).service : service);
    const origin = { host, port, tls };
    this.carrier = new GrpcClient({
      ask: (request, events) => this.pool.request(origin, request, events),
      turn: way?.turn ?? turn,
      authority: url.host,
      prefix: url.pathname.replace(/\/$/, ''),
      speaks,
      form,
      get,
      coding: compress ? 'gzip' : null,
      messageBytesMax: options.messageBytesMax ?? 4_194_304,
      fields,
      method: (service, method) => this.known.get(service)?.methods.get(method) ?? null,
    });
  }

  private add(service: Service): void {
    this.known.set(service.name, service);
  }

  /** The services that can be called. */
  get services(): readonly Service[] {
    return [...this.known.values()].filter(({ name }) => name !== REFLECTION);
  }

  /** A client with a method for each of the service's: of a definition with its types, of a name without. */
  client<Definition extends ServiceDefinition>(service: Definition | string): ClientOf<Definition> {
    if (typeof service !== 'string' && !this.known.has(service.name)) this.add(describe(service).service);
    return clientOver(this.carrier, typeof service === 'string' ? service : service.name);
  }

  /** One call: a promise of one output, or an iterable of many; it is given one input, or an iterable of them. */
  call(service: string, method: string, input: unknown, settings: CallSettings = {}) {
    return callOver(this.carrier, service, method, input, settings);
  }

  /**
   * Asks the server what it has, by reflection, so that it can be called without a description of ours. Throws `ServiceError`
   * where the server does not answer that, or not all that it names.
   */
  async reflect(): Promise<readonly Service[]> {
    this.add(reflectionService());
    const listed = await this.asked([{ listServices: '' }]);
    const { listServicesResponse } = listed[0] as { listServicesResponse?: { service: { name: string }[] } };
    const names = listServicesResponse?.service.map(({ name }) => name) ?? [];
    const files = new Map<string, Uint8Array>();
    let wanted: readonly Record<string, string>[] = names.map((name) => ({ fileContainingSymbol: name }));
    for (let round = 0; wanted.length > 0; round++) {
      if (round > 20) throw new ServiceError('INTERNAL', 'the server names files that need others without end');
      for (const bytes of filesOf(await this.asked(wanted))) files.set(Buffer.from(bytes).toString('latin1'), bytes);
      const { missing } = readDescriptors(files.values());
      wanted = missing.map((name) => ({ fileByFilename: name }));
    }
    for (const service of readDescriptors(files.values()).services) this.add(serviceOf(service));
    return this.services;
  }

  private async asked(requests: readonly Record<string, string>[]): Promise<Record<string, unknown>[]> {
    const answers: Record<string, unknown>[] = [];
    const call = callOver(this.carrier, REFLECTION, 'ServerReflectionInfo', requests);
    for await (const answer of call as AsyncIterable<Record<string, unknown>>) answers.push(answer);
    if (answers.length !== requests.length)
      throw new ServiceError('INTERNAL', 'the server does not answer what it is asked');
    return answers;
  }

  /** Ends idle connections, and all others once their calls have ended. Later calls are UNAVAILABLE. */
  close(): void {
    this.pool.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function filesOf(answers: readonly Record<string, unknown>[]): Uint8Array[] {
  return answers.flatMap((answer) => {
    const { fileDescriptorResponse, errorResponse } = answer as {
      fileDescriptorResponse?: { fileDescriptorProto: Uint8Array[] };
      errorResponse?: { errorMessage: string };
    };
    if (fileDescriptorResponse === undefined)
      throw new ServiceError('NOT_FOUND', errorResponse?.errorMessage ?? 'the server does not describe what it has');
    return fileDescriptorResponse.fileDescriptorProto;
  });
}

/** What was read as a service that others have. */
function serviceOf({ name, schema, methods: read }: ReadService): Service {
  const methods = new Map<string, Method>();
  const service: Service = { name, schema, methods, description: '', origin: 'upstream' };
  for (const [key, method] of read)
    methods.set(key, { ...method, http: method.http as Method['http'], service, deadlineMs: Number.POSITIVE_INFINITY });
  return service;
}

function reflectionService(): Service {
  const schema = reflectionSchema('v1');
  return serviceOf({
    name: REFLECTION,
    schema,
    methods: new Map([
      [
        'ServerReflectionInfo',
        {
          name: 'ServerReflectionInfo',
          kind: 'both',
          input: messageOf(schema, 'grpc.reflection.v1.ServerReflectionRequest'),
          output: messageOf(schema, 'grpc.reflection.v1.ServerReflectionResponse'),
          idempotency: 'safe',
          http: [],
          description: '',
          deprecated: false,
        },
      ],
    ]),
  });
}
