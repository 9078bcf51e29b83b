// Calls in a simulated world over real services, without a wire below them: for tests.
import { Fields } from '../../../core/fields.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import { protobufOf } from '../../../formats/schema/protobuf.ts';
import { ANN, House } from '../../../resources/services/testing/calls.ts';
import { shopService } from '../../../resources/services/testing/shop.ts';
import { type SimulatedClient, simulateRequest } from '../../../sim/exchange.ts';
import { limits } from '../limits.ts';
import { type Serving, serveCalls } from '../server.ts';
import type { GrpcHost } from '../server-directory.ts';

export interface StageOptions {
  readonly limits?: Readonly<Record<string, number>>;
  /** How the bytes are cut: so many at a time, at most. */
  readonly cut?: number;
}

export class Stage {
  readonly house = new House(shopService() as never);
  readonly serving: Serving;
  readonly host: GrpcHost;
  private readonly cut: number;

  constructor({ limits: given = {}, cut = 0 }: StageOptions = {}) {
    const { world, services } = this.house;
    this.cut = cut;
    this.host = {
      resources: { services } as never,
      limits: bindLimits(limits, given),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: SILENT,
      software: 'Portico/1.2.3',
      routes: () => {},
      bug: (error) => world.bugs.push(String(error instanceof Error ? error.stack : error)),
    };
    this.serving = serveCalls(this.host);
  }

  begin(method: string, type: string, fields: Readonly<Record<string, string>> = {}): SimulatedClient {
    const request = {
      method: 'POST',
      target: method.startsWith('/') ? method : `/shop.v1.Orders/${method}`,
      fields: Fields.of({ 'content-type': type, ...fields }),
      caller: ANN,
    };
    return simulateRequest(this.house.world, this.serving.handle, request, { cut: this.cut });
  }

  get(target: string, fields: Readonly<Record<string, string>> = {}): SimulatedClient {
    const request = { method: 'GET', target, fields: Fields.of(fields), caller: ANN };
    const client = simulateRequest(this.house.world, this.serving.handle, request, { cut: this.cut });
    client.end();
    return client;
  }

  /** A whole body, and all that is answered. */
  async ask(
    method: string,
    type: string,
    body: Buffer | string,
    fields: Readonly<Record<string, string>> = {},
  ): Promise<SimulatedClient> {
    const client = this.begin(method, type, fields);
    if (body.length > 0) client.send(body);
    client.end();
    await this.settle(client);
    return client;
  }

  async settle(client: SimulatedClient): Promise<void> {
    for (let round = 0; round < 60 && !client.ended && client.failed === null; round++) await this.house.pass(1);
  }

  bytes(method: string, of: 'input' | 'output', value: unknown): Buffer {
    const [service] = this.house.services.all.values();
    return protobufOf(service!.schema, service!.methods.get(method)![of]).bytesOf(value);
  }
}

export function framed(message: Buffer, flags = 0, length = message.length): Buffer {
  const bytes = Buffer.alloc(5 + message.length, flags);
  bytes.writeUInt32BE(length, 1);
  message.copy(bytes, 5);
  return bytes;
}

/** `grpc-status`, wherever it stands: trailers, the head, or the last message of gRPC-Web; a Connect code by its name. */
export function codeOf(client: SimulatedClient): string {
  const own = client.trailers?.get('grpc-status') ?? client.fields.get('grpc-status');
  if (own !== null && own !== undefined) return own;
  const text = client.body.toString('latin1');
  return (
    /grpc-status: (\d+)/.exec(text)?.[1] ??
    /"code":"(\w+)"/.exec(text)?.[1] ??
    (client.status === 200 ? 'ok' : String(client.status))
  );
}
