// The shop over REST in a simulated world, without a wire: for tests.
import { Fields } from '../../../core/fields.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import type { Permissions } from '../../../core/permissions.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import type { Resources } from '../../../resources/resources.ts';
import { House, rest } from '../../../resources/services/testing/calls.ts';
import { shopService } from '../../../resources/services/testing/shop.ts';
import { type SimulatedClient, simulateRequest } from '../../../sim/exchange.ts';
import { prefers } from '../../http/negotiate.ts';
import { Router } from '../../http/router.ts';
import { openapi } from '../index.ts';
import { limits } from '../limits.ts';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly client: SimulatedClient;
  json(): Record<string, unknown>;
}

export class RestHouse {
  readonly house: House;
  readonly router: Router;
  private readonly cut: number;

  constructor(options: { permissions?: Permissions; limits?: Record<string, number>; cut?: number } = {}) {
    this.house = new House(
      shopService(),
      options.permissions === undefined ? {} : { permissions: options.permissions },
    );
    this.cut = options.cut ?? 0;
    const { world, services } = this.house;
    const resources = { accounts: OPEN_ACCOUNTS, services } as unknown as Resources;
    const host = {
      resources,
      limits: bindLimits(limits, options.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: SILENT,
      software: 'Portico/1.2.3',
      routes: () => {},
    };
    this.router = new Router({ prefers, admit: () => true });
    for (const listens of openapi.listens) {
      if (listens.on !== 'http') continue;
      const handler = listens.exchange(host);
      const { path, claims } = listens;
      this.router.add(claims === undefined ? { path, handler } : { path, claims: claims(host), handler });
    }
  }

  begin(method: string, target: string, body = '', fields: Readonly<Record<string, string>> = {}): SimulatedClient {
    const request = { method, target, fields: Fields.of(fields) };
    const client = simulateRequest(this.house.world, this.router.handle, request, { cut: this.cut });
    if (body.length > 0) client.send(body);
    return client;
  }

  async until(done: () => boolean): Promise<void> {
    for (let round = 0; round < 500 && !done(); round++) {
      this.house.world.pass(1);
      await rest();
    }
  }

  async ask(method: string, target: string, body = '', fields: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const client = this.begin(method, target, body, fields);
    client.end();
    await this.until(() => client.ended || client.failed !== null);
    const text = client.body.toString();
    return {
      status: client.status,
      type: client.fields.get('content-type') ?? '',
      text,
      client,
      json: () => JSON.parse(text) as Record<string, unknown>,
    };
  }

  call(method: string, input: unknown, fields: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const json = { 'content-type': 'application/json', ...fields };
    return this.ask('POST', `/services/shop.v1.Orders/${method}`, JSON.stringify(input), json);
  }
}

export const ORDER = {
  customer: 'ann',
  items: [{ sku: 'tea', quantity: 2, unitPrice: 1.5 }],
  labels: { a: 'b' },
};
