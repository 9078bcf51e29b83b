// Server-sent events in a simulated world over the real topics, and a client that reads them as the standard says: for
// tests.

import type { ExchangeHandler } from '../../../core/exchange.ts';
import { Fields } from '../../../core/fields.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import { CALLER, House, NO_HISTORY } from '../../../resources/topics/testing/house.ts';
import { type SimulatedClient, simulateRequest } from '../../../sim/exchange.ts';
import { EventReader } from '../codec.ts';
import { limits } from '../limits.ts';
import { type SseHost, serveEvents } from '../server.ts';

export interface BenchOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly history?: boolean;
}

export interface Event {
  readonly type: string;
  readonly data: string;
  readonly id: string;
}

/** All events of a stream so far, as an EventSource has them. */
export class Source {
  readonly client: SimulatedClient;
  readonly events: Event[] = [];
  /** With this it would come back. */
  id = '';
  readonly comments: string[] = [];
  private readonly reader = new EventReader(10_000_000);
  private at = 0;

  constructor(client: SimulatedClient, id: string) {
    this.client = client;
    this.reader.id = id;
    this.id = id;
  }

  /** Reads what came since. */
  read(): this {
    const { reader, client } = this;
    const { body } = client;
    for (;;) {
      const next = reader.read(body, this.at, body.length);
      if (next < 0) return this;
      this.at = next;
      this.id = reader.id;
      this.comments.push(...reader.comments);
      if (reader.isEvent) this.events.push({ type: reader.type, data: reader.data, id: reader.id });
    }
  }

  get data(): string[] {
    return this.read().events.map(({ data }) => data);
  }

  get types(): string[] {
    return this.read().events.map(({ type }) => type);
  }
}

export class Bench {
  readonly house: House;
  readonly host: SseHost;
  readonly handler: ExchangeHandler;

  private constructor(house: House, options: BenchOptions) {
    this.house = house;
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
      software: 'Portico/test',
      routes: () => {},
    };
    this.handler = serveEvents(this.host);
  }

  static async open(options: BenchOptions = {}): Promise<Bench> {
    return new Bench(await House.open(options.history === false ? NO_HISTORY : undefined), options);
  }

  request(target: string, fields: Readonly<Record<string, string>> = {}, method = 'GET'): SimulatedClient {
    const given = Fields.of({ accept: 'text/event-stream', ...fields });
    return simulateRequest(this.house.world, this.handler, { method, target, fields: given, caller: CALLER });
  }

  /** Opens a stream; `id` is that of a client that comes back. */
  async connect(target: string, id = ''): Promise<Source> {
    const source = new Source(this.request(target, id === '' ? {} : { 'last-event-id': id }), id);
    await this.house.pass();
    return source.read();
  }
}
