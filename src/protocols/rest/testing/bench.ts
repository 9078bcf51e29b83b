// The topics over HTTP in a simulated world over the real topics, without a wire: for tests.

import type { ExchangeHandler } from '../../../core/exchange.ts';
import { Fields } from '../../../core/fields.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import { CALLER, House, NO_HISTORY } from '../../../resources/topics/testing/house.ts';
import { type SimulatedClient, simulateRequest } from '../../../sim/exchange.ts';
import { limits } from '../limits.ts';
import { serveHealth, serveTopicList, serveTopics } from '../server.ts';
import type { RestHost } from '../server-write.ts';

export interface BenchOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly history?: boolean;
  readonly cut?: number;
}

export type FieldsGiven = Readonly<Record<string, string>> | Fields;

export class Bench {
  readonly house: House;
  readonly host: RestHost;
  private readonly topics: ExchangeHandler;
  private readonly list: ExchangeHandler;
  private readonly health: ExchangeHandler;
  private readonly cut: number;

  private constructor(house: House, options: BenchOptions) {
    this.house = house;
    this.cut = options.cut ?? 0;
    const { world, topics } = house;
    this.host = {
      resources: { accounts: OPEN_ACCOUNTS, topics },
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
    this.topics = serveTopics(this.host);
    this.list = serveTopicList(this.host);
    this.health = serveHealth(this.host);
  }

  static async open(options: BenchOptions = {}): Promise<Bench> {
    return new Bench(await House.open(options.history === false ? NO_HISTORY : undefined), options);
  }

  /** Begins a request with its whole body. */
  begin(method: string, target: string, fields: FieldsGiven = {}, body: string | Buffer = ''): SimulatedClient {
    const path = target.split('?')[0]!;
    const handler = path === '/topics' ? this.list : path === '/healthz' ? this.health : this.topics;
    const given = fields instanceof Fields ? fields : Fields.of(fields);
    const request = { method, target, fields: given, caller: CALLER };
    const client = simulateRequest(this.house.world, handler, request, { cut: this.cut });
    if (body.length > 0) client.send(body);
    // One that has ended its side and hears nothing is cut after a while: not what a client that waits does.
    if (method === 'POST' || method === 'PUT') client.end();
    return client;
  }

  /** A request and its answer. */
  async ask(
    method: string,
    target: string,
    fields: FieldsGiven = {},
    body: string | Buffer = '',
  ): Promise<SimulatedClient> {
    const client = this.begin(method, target, fields, body);
    for (let round = 0; round < 50 && !client.ended && client.failed === null; round++) await this.house.pass();
    return client;
  }
}

/** The lines of an NDJSON body. */
export function linesOf(client: SimulatedClient): Record<string, unknown>[] {
  const text = client.body.toString();
  return text === ''
    ? []
    : text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
}

export const cursorOf = (client: SimulatedClient): number => Number(client.fields.get('cursor'));
