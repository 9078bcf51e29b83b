// SOAP in a simulated world over the real registry with the shop in it, without a wire: for tests.
import { Fields } from '../../../core/fields.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import type { Accounts } from '../../../resources/accounts/contract.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import { describe, type ServiceDefinition } from '../../../resources/services/define.ts';
import { OpenServices } from '../../../resources/services/registry.ts';
import { shopService } from '../../../resources/services/testing/shop.ts';
import { type SimulatedClient, simulateRequest } from '../../../sim/exchange.ts';
import { World } from '../../../sim/world.ts';
import { limits } from '../limits.ts';
import { type SoapHost, serveSoap } from '../server.ts';

export const SHOP = 'urn:portico:shop.v1.Orders';

export interface BenchOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly accounts?: Accounts;
  readonly service?: ServiceDefinition;
  /** Bodies arrive in pieces of at most so many bytes. */
  readonly cut?: number;
}

export class Bench {
  readonly world = new World(1);
  readonly services: OpenServices;
  /** Calls that have begun. */
  begun = 0;
  readonly host: SoapHost;
  private readonly handler: ReturnType<typeof serveSoap>;
  private readonly cut: number;

  constructor(options: BenchOptions = {}) {
    const { world } = this;
    const permissions = options.accounts?.permissions ?? OPEN_ACCOUNTS.permissions;
    this.services = new OpenServices({ turn: world.turn, log: SILENT, permissions });
    this.services.put('test', [describe(options.service ?? shopService())]);
    const { services } = this;
    const begin = services.begin.bind(services);
    services.begin = (...given) => {
      this.begun++;
      return begin(...given);
    };
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
