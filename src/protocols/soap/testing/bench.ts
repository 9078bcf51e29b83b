// SOAP in a simulated world over the shop, without a wire: for tests. Calls are run by a small stand-in for the registry of
// services, which knows unary ones only.
import { Fields } from '../../../core/fields.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import type { Accounts } from '../../../resources/accounts/contract.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import type { Call, CallOptions, CallReceiver, Method, Services } from '../../../resources/services/contract.ts';
import { type Described, describe, type ServiceDefinition } from '../../../resources/services/define.ts';
import type { UnaryHandler } from '../../../resources/services/handler.ts';
import { invalidStatus, ServiceError, STATUS_OK, type Status } from '../../../resources/services/status.ts';
import { shopService } from '../../../resources/services/testing/shop.ts';
import { type SimulatedClient, simulateRequest } from '../../../sim/exchange.ts';
import { World } from '../../../sim/world.ts';
import { limits } from '../limits.ts';
import { type SoapHost, serveSoap } from '../server.ts';

export const SHOP = 'urn:portico:shop.v1.Orders';

/** Runs unary calls of what was defined. */
export class FakeServices implements Services {
  readonly epoch = 1;
  readonly all = new Map<string, Described['service']>();
  readonly calls: { readonly method: Method; readonly options: CallOptions }[] = [];
  cancelled = 0;
  private readonly described = new Map<string, Described>();

  constructor(...definitions: ServiceDefinition[]) {
    for (const definition of definitions) {
      const described = describe(definition);
      this.described.set(definition.name, described);
      this.all.set(definition.name, described.service);
    }
  }

  method(service: string, method: string): Method | null {
    return this.all.get(service)?.methods.get(method) ?? null;
  }

  may(): boolean {
    return true;
  }

  changed(): () => void {
    return () => {};
  }

  begin(method: Method, options: CallOptions, receiver: CallReceiver): Call {
    this.calls.push({ method, options });
    const { handler, refineInput } = this.described.get(method.service.name)!.handlers.get(method.name)!;
    const aborter = new AbortController();
    let trailers: readonly string[] = [];
    const run = async (input: unknown): Promise<void> => {
      let status: Status = STATUS_OK;
      try {
        const refined = (await refineInput?.(input)) ?? { value: input, violations: [] };
        if (refined.violations.length > 0) status = invalidStatus(refined.violations);
        else {
          const output = await (handler as UnaryHandler<unknown, unknown>)(refined.value, {
            caller: options.caller,
            metadata: options.metadata,
            deadline: Number.POSITIVE_INFINITY,
            signal: aborter.signal,
            sendHeaders: (metadata) => receiver.headers(metadata),
            setTrailers: (metadata) => {
              trailers = metadata;
            },
          });
          if (!aborter.signal.aborted) receiver.message(output);
        }
      } catch (error) {
        const known = error instanceof ServiceError ? error : new ServiceError('INTERNAL', 'an internal error');
        status = { code: known.code, message: known.message, details: known.details };
      }
      if (!aborter.signal.aborted) receiver.end(status, trailers);
    };
    return {
      send: (value) => void run(value),
      finish() {},
      room: 1,
      more() {},
      cancel: () => {
        this.cancelled++;
        aborter.abort();
      },
    };
  }
}

export interface BenchOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly accounts?: Accounts;
  readonly services?: FakeServices;
  /** Bodies arrive in pieces of at most so many bytes. */
  readonly cut?: number;
}

export class Bench {
  readonly world = new World(1);
  readonly services: FakeServices;
  readonly host: SoapHost;
  private readonly handler: ReturnType<typeof serveSoap>;
  private readonly cut: number;

  constructor(options: BenchOptions = {}) {
    const { world } = this;
    this.services = options.services ?? new FakeServices(shopService());
    this.cut = options.cut ?? 0;
    this.host = {
      resources: { accounts: options.accounts ?? OPEN_ACCOUNTS, services: this.services },
      limits: bindLimits(limits, options.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: SILENT,
      bug: (error, where) => void world.bugs.push(`${where}: ${String(error)}`),
      software: 'Portico/1.2.3',
      routes: () => {},
    };
    this.handler = serveSoap(this.host);
  }

  begin(
    method: string,
    target: string,
    fields: Readonly<Record<string, string>>,
    body: string | Buffer = '',
  ): SimulatedClient {
    const request = { method, target, fields: Fields.of(fields) };
    const client = simulateRequest(this.world, this.handler, request, { cut: this.cut });
    if (body.length > 0) client.send(body);
    if (method === 'POST') client.end();
    return client;
  }

  /** Lets the world and what handlers wait for go on. */
  async until(done: () => boolean): Promise<void> {
    for (let round = 0; round < 200 && !done(); round++) {
      this.world.pass(1);
      await new Promise(setImmediate);
    }
  }

  async ask(
    method: string,
    target: string,
    fields: Readonly<Record<string, string>>,
    body: string | Buffer = '',
  ): Promise<SimulatedClient> {
    const client = this.begin(method, target, fields, body);
    await this.until(() => client.ended || client.failed !== null);
    return client;
  }

  /** Posts an envelope to the shop. */
  post(document: string | Buffer, fields: Readonly<Record<string, string>> = {}): Promise<SimulatedClient> {
    return this.ask('POST', '/soap/shop.v1.Orders', { 'content-type': 'text/xml; charset=utf-8', ...fields }, document);
  }
}

export const ENVELOPES = {
  11: 'http://schemas.xmlsoap.org/soap/envelope/',
  12: 'http://www.w3.org/2003/05/soap-envelope',
} as const;

export function enveloped(body: string, version: 11 | 12 = 11, header = ''): string {
  const head = header === '' ? '' : `<s:Header>${header}</s:Header>`;
  return `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="${ENVELOPES[version]}">${head}<s:Body>${body}</s:Body></s:Envelope>`;
}
