// Calls over gRPC and Connect with values as JSON: what the server has is learnt from its reflection.
import { jsonRead, jsonWrite } from '../formats/schema/json.ts';
import type { Schema, Violation } from '../formats/schema/types.ts';
import type { Carrier } from '../resources/services/client.ts';
import type { Call, CallReceiver, Metadata, Method, Service } from '../resources/services/contract.ts';
import { type Detail, invalidStatus, type Status } from '../resources/services/status.ts';
import { type CarrierOptions, failure, type JsonCarrier } from './call-carrier.ts';
import { connect, type GrpcConnection } from './grpc.ts';

const SCHEME = /^(grpc|connect)(s?):/i;

export function isGrpc(url: string): boolean {
  return SCHEME.test(url);
}

/** @param url `grpc://host[:port]`, `connect:`, or with TLS `grpcs:`, `connects:` */
export function grpcConnection(
  url: string,
  { user, password = '', token, tls }: CarrierOptions,
  services: readonly Service[],
): GrpcConnection {
  const [, speaks = 'grpc', secure] = SCHEME.exec(url.toLowerCase()) ?? [];
  const authorization =
    token !== undefined
      ? `Bearer ${token}`
      : user === undefined
        ? null
        : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return connect(url.replace(SCHEME, secure === 's' ? 'https:' : 'http:'), {
    speaks: speaks as 'grpc' | 'connect',
    services,
    ...(authorization === null ? {} : { headers: { authorization } }),
    ...(tls === undefined ? {} : { tls }),
  });
}

/** What the server says that it has; a ServiceError where it does not tell. */
export async function reflected(url: string, options: CarrierOptions): Promise<readonly Service[]> {
  // Reflection is a stream both ways, which Connect needs HTTP/2 for: it is asked by gRPC.
  const asking = grpcConnection(url.replace(/^connect/i, 'grpc'), options, []);
  try {
    return await asking.reflect();
  } finally {
    asking.close();
  }
}

/** A carrier of JSON. Rejects with a ServiceError where the server does not tell what it has. */
export async function grpcCarrier(url: string, options: CarrierOptions = {}): Promise<JsonCarrier> {
  const services = await reflected(url, options);
  const connection = grpcConnection(url, options, services);
  const byName = new Map(services.map((service) => [service.name, service]));
  return {
    begin(service, name, terms, receiver) {
      const method = byName.get(service)?.methods.get(name);
      if (method !== undefined) return new JsonCall(connection.carrier, method, terms, receiver);
      queueMicrotask(() => receiver.end(failure('UNIMPLEMENTED', `there is no ${service}.${name}`), []));
      return { send() {}, finish() {}, room: 1, more() {}, cancel() {} };
    },
    close: async () => connection.close(),
  };
}

type Terms = { readonly metadata: Metadata; readonly timeoutMs: number };

/** A call whose inputs come as JSON, and whose outputs go as JSON. */
class JsonCall implements Call {
  private readonly call: Call;
  private readonly answers: JsonAnswers;
  private readonly read: ReturnType<typeof jsonRead>;

  constructor(carrier: Carrier, method: Method, terms: Terms, receiver: CallReceiver) {
    this.answers = new JsonAnswers(method, receiver);
    this.read = jsonRead(method.service.schema, method.input);
    this.call = carrier.begin(method.service.name, method.name, terms, this.answers);
  }

  send(json: unknown): void {
    if (this.answers.isOver) return;
    const violations: Violation[] = [];
    const value = this.read(json, violations);
    if (violations.length === 0) this.call.send(value);
    else {
      this.call.cancel();
      this.answers.stop(invalidStatus(violations));
    }
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

class JsonAnswers implements CallReceiver {
  isOver = false;
  private readonly schema: Schema;
  private readonly receiver: CallReceiver;
  private readonly write: ReturnType<typeof jsonWrite>;

  constructor({ service, output }: Method, receiver: CallReceiver) {
    this.schema = service.schema;
    this.receiver = receiver;
    this.write = jsonWrite(service.schema, output);
  }

  get room(): number {
    return this.receiver.room;
  }

  headers(metadata: Metadata): void {
    if (!this.isOver) this.receiver.headers(metadata);
  }

  message(value: unknown): void {
    if (!this.isOver) this.receiver.message(JSON.parse(this.write(value)));
  }

  end(status: Status, trailers: Metadata): void {
    if (this.isOver) return;
    this.isOver = true;
    this.receiver.end({ ...status, details: status.details.map((detail) => this.detail(detail)) }, trailers);
  }

  writable(): void {
    if (!this.isOver) this.receiver.writable();
  }

  private detail({ type, value }: Detail): Detail {
    const found = this.schema.types.get(type);
    if (found?.kind !== 'message' || value instanceof Uint8Array) return { type, value };
    return { type, value: JSON.parse(jsonWrite(this.schema, found)(value)) as unknown };
  }

  /** Ends it from this side, once whoever sends has sent. */
  stop(status: Status): void {
    this.isOver = true;
    queueMicrotask(() => this.receiver.end(status, []));
  }
}
