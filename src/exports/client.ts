// `portico/client`: a typed client of a service, made from the definition that runs it, over any protocol that carries calls.
import { checkOf } from '../formats/schema/check.ts';
import { jsonRead, jsonWrite } from '../formats/schema/json.ts';
import type { Schema, Violation } from '../formats/schema/types.ts';
import { type Carrier, type ClientOf, clientOver } from '../resources/services/client.ts';
import type { Call, CallReceiver, Metadata, Method, Service } from '../resources/services/contract.ts';
import { describe, type ServiceDefinition } from '../resources/services/define.ts';
import { type Detail, invalidStatus, ServiceError, type Status } from '../resources/services/status.ts';
import type { CarrierOptions, JsonCarrier } from './call-carrier.ts';
import { graphqlCarrier } from './call-graphql.ts';
import { grpcCarrier, grpcConnection, isGrpc, reflected } from './call-grpc.ts';
import { httpCarrier } from './call-http.ts';
import { type MqttCarrierOptions, mqttCarrier } from './call-mqtt.ts';
import { isSoap, type SoapCarrierOptions, soapCarrier } from './call-soap.ts';
import { webSocketCarrier } from './call-websocket.ts';

export type { CallSettings, ClientOf } from '../resources/services/client.ts';
export { ServiceError } from '../resources/services/status.ts';
export { ConnectionError, type TlsOptions } from './loop.ts';
export { RefusedError } from './topics.ts';

export type ClientOptions = CarrierOptions & MqttCarrierOptions & SoapCarrierOptions;

/** A client whose connection can be ended. */
export type ServiceClient<Definition> = ClientOf<Definition> & AsyncDisposable & { close(): Promise<void> };

/**
 * A client with a method for each of the service's: `await client.GetOrder({ id })`; streams are async iterables, both ways.
 *
 * Errors: a call rejects with a ServiceError, whose code and details are those of the service, whatever it went over; inputs
 * that are not valid are refused before they are sent. Connecting rejects with a ConnectionError or RefusedError.
 *
 * @param definition what `defineService` made
 * @param url `http:`, `ws:`, `mqtt:`, `grpc:`, `connect:`, `graphql:` or `soap:`, or with TLS `https:`, `wss:`, `mqtts:`, `grpcs:`,
 * `connects:`, `graphqls:` or `soaps:`, with the server's host and port
 */
export async function createClient<Definition extends ServiceDefinition>(
  definition: Definition,
  url: string,
  options: ClientOptions = {},
): Promise<ServiceClient<Definition>> {
  const { service } = describe(definition);
  const { carrier, close } = await connected(service, url, options);
  const calls = clientOver<Record<string, unknown>>(carrier, service.name);
  return new Proxy({} as ServiceClient<Definition>, {
    get: (_target, name) =>
      name === 'close' || name === Symbol.asyncDispose ? close : Reflect.get(calls, name as string),
  });
}

async function connected(
  service: Service,
  url: string,
  options: ClientOptions,
): Promise<{ readonly carrier: Carrier; close(): Promise<void> }> {
  if (isGrpc(url)) {
    const connection = grpcConnection(url, options, [await numbered(service, url, options)]);
    return { carrier: connection.carrier, close: async () => connection.close() };
  }
  const carrier = isSoap(url) ? soapCarrier(url, options, service) : await carrierFor(url, options);
  return { carrier: new TypedCarrier(service, carrier), close: () => carrier.close() };
}

/**
 * A service with the field numbers that the server has, which a lock may have made others than those of the definition. Where
 * the server does not tell, the definition's own have to do.
 */
async function numbered(service: Service, url: string, options: ClientOptions): Promise<Service> {
  try {
    return (await reflected(url, options)).find(({ name }) => name === service.name) ?? service;
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'UNIMPLEMENTED') return service;
    throw error;
  }
}

const CARRIERS: Readonly<Record<string, (url: string, options: ClientOptions) => JsonCarrier | Promise<JsonCarrier>>> =
  {
    'graphql:': graphqlCarrier,
    'graphqls:': graphqlCarrier,
    'http:': httpCarrier,
    'https:': httpCarrier,
    'ws:': webSocketCarrier,
    'wss:': webSocketCarrier,
    'mqtt:': mqttCarrier,
    'mqtts:': mqttCarrier,
    'grpc:': grpcCarrier,
    'grpcs:': grpcCarrier,
    'connect:': grpcCarrier,
    'connects:': grpcCarrier,
    'soap:': soapCarrier,
    'soaps:': soapCarrier,
  };

/** What carries calls to a URL. Throws a TypeError for a scheme that carries none. */
export async function carrierFor(url: string, options: ClientOptions): Promise<JsonCarrier> {
  const { protocol } = new URL(url);
  const made = CARRIERS[protocol];
  if (made === undefined)
    throw new TypeError(`${protocol} carries no calls; there are ${Object.keys(CARRIERS).join(' ')}`);
  return made(url, options);
}

/** How the values of one method go. */
interface Codec {
  readonly method: Method;
  readonly check: (value: unknown, violations: Violation[]) => unknown;
  readonly write: (value: unknown) => string;
  readonly read: (json: unknown, violations: Violation[]) => unknown;
}

class TypedCarrier implements Carrier {
  private readonly service: Service;
  private readonly carrier: JsonCarrier;
  private readonly codecs = new Map<string, Codec>();

  constructor(service: Service, carrier: JsonCarrier) {
    this.service = service;
    this.carrier = carrier;
  }

  kindOf(_service: string, method: string) {
    return this.service.methods.get(method)?.kind ?? null;
  }

  begin(
    service: string,
    method: string,
    options: { readonly metadata: Metadata; readonly timeoutMs: number },
    receiver: CallReceiver,
  ): Call {
    const codec = this.codecOf(method);
    const { kind } = codec.method;
    const call = new TypedCall(codec, this.service.schema, receiver);
    call.call = this.carrier.begin(service, method, { ...options, kind }, call.answers);
    return call;
  }

  private codecOf(name: string): Codec {
    const known = this.codecs.get(name);
    if (known !== undefined) return known;
    const { schema, methods } = this.service;
    const method = methods.get(name)!;
    const { input, output } = method;
    const made = {
      method,
      check: checkOf(schema, input),
      write: jsonWrite(schema, input),
      // A newer server may say more than this definition knows.
      read: jsonRead(schema, output, { unknown: 'ignore' }),
    };
    this.codecs.set(name, made);
    return made;
  }
}

/** A call whose values are turned to JSON, and whose answers are turned back. */
class TypedCall implements Call {
  readonly answers: TypedAnswers;
  call!: Call;
  private readonly codec: Codec;

  constructor(codec: Codec, schema: Schema, receiver: CallReceiver) {
    this.codec = codec;
    this.answers = new TypedAnswers(codec, schema, receiver, () => this.call.cancel());
  }

  send(value: unknown): void {
    if (this.answers.isOver) return;
    const violations: Violation[] = [];
    const checked = this.codec.check(value, violations);
    if (violations.length > 0) this.answers.stop(invalidStatus(violations));
    else this.call.send(JSON.parse(this.codec.write(checked)));
  }

  finish(): void {
    if (!this.answers.isOver) this.call.finish();
  }

  get room(): number {
    return this.call.room;
  }

  more(): void {
    this.call.more();
  }

  cancel(): void {
    this.answers.isOver = true;
    this.call.cancel();
  }
}

class TypedAnswers implements CallReceiver {
  isOver = false;
  private readonly codec: Codec;
  private readonly schema: Schema;
  private readonly receiver: CallReceiver;
  private readonly cancel: () => void;

  constructor(codec: Codec, schema: Schema, receiver: CallReceiver, cancel: () => void) {
    this.codec = codec;
    this.schema = schema;
    this.receiver = receiver;
    this.cancel = cancel;
  }

  get room(): number {
    return this.receiver.room;
  }

  headers(metadata: Metadata): void {
    if (!this.isOver) this.receiver.headers(metadata);
  }

  message(json: unknown): void {
    if (this.isOver) return;
    const violations: Violation[] = [];
    const value = this.codec.read(json, violations);
    if (violations.length === 0) this.receiver.message(value);
    else this.stop({ code: 'INTERNAL', message: `an answer is not of its type: ${violations[0]!.text}`, details: [] });
  }

  end(status: Status, trailers: Metadata): void {
    if (this.isOver) return;
    this.isOver = true;
    const details = status.details.map((detail) => this.detail(detail));
    this.receiver.end({ ...status, details }, trailers);
  }

  writable(): void {
    if (!this.isOver) this.receiver.writable();
  }

  private detail({ type, value }: Detail): Detail {
    const found = this.schema.types.get(type);
    if (found?.kind !== 'message') return { type, value };
    return { type, value: jsonRead(this.schema, found, { unknown: 'ignore' })(value, []) };
  }

  /** Ends it from this side. */
  stop(status: Status): void {
    if (this.isOver) return;
    this.isOver = true;
    this.cancel();
    // Whoever sends is told once it has sent.
    queueMicrotask(() => this.receiver.end(status, []));
  }
}
