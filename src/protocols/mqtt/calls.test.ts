// Request and response (MQTT 5.0 §4.10) over the real services and topics, in a simulated world.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bindLimits } from '../../core/limits.ts';
import { SILENT } from '../../core/log.ts';
import { OPEN_PERMISSIONS, type Permissions } from '../../core/permissions.ts';
import { OPEN_ACCOUNTS } from '../../resources/accounts/open-accounts.ts';
import { describe } from '../../resources/services/define.ts';
import { OpenServices } from '../../resources/services/registry.ts';
import { rest } from '../../resources/services/testing/calls.ts';
import { shopService } from '../../resources/services/testing/shop.ts';
import { House, NO_HISTORY } from '../../resources/topics/testing/house.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { MqttClient } from './client.ts';
import { limits as rows } from './limits.ts';
import type { Qos, Version } from './packets.ts';
import { type MqttHost, serveMqtt } from './server.ts';

interface Said {
  readonly qos?: Qos;
  readonly payload?: object | string | Buffer;
  readonly properties?: readonly string[];
  readonly responseTopic?: string;
  readonly correlation?: string;
  readonly expiry?: number;
}

interface Heard {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly properties: readonly string[];
  readonly correlation: string;
  readonly contentType: string | null;
}

class Client {
  readonly got: Heard[] = [];
  readonly reasons: number[] = [];
  readonly mqtt: MqttClient;
  readonly cut: () => void;
  closed = false;
  private readonly shop: Shop;

  constructor(shop: Shop, version: Version) {
    this.shop = shop;
    const { world } = shop.house;
    let mqtt!: MqttClient;
    const link = linkPipes(
      world,
      (pipe) => {
        mqtt = new MqttClient(
          pipe,
          world.turn.clock,
          { version, clientId: `c${shop.clients++}`, keepAliveSeconds: 30 },
          {
            connected() {},
            message: ({ topic, payload, qos, properties: { user, correlation, contentType } }) =>
              void this.got.push({
                topic,
                payload: Buffer.from(payload),
                qos,
                properties: [...(user ?? [])],
                correlation: Buffer.from(correlation ?? []).toString(),
                contentType: contentType ?? null,
              }),
            room() {},
            closed: () => {
              this.closed = true;
            },
          },
        );
        return mqtt;
      },
      (pipe) => serveMqtt(pipe, shop.host),
      { cut: 11, latencyMs: 1 },
    );
    this.mqtt = mqtt;
    this.cut = () => link.cut();
  }

  static async open(shop: Shop, version: Version = 5): Promise<Client> {
    const client = new Client(shop, version);
    await shop.pass();
    client.mqtt.subscribe([{ filter: 'replies/#', qos: 1 }]);
    await shop.pass();
    return client;
  }

  say(method: string, { payload = '', properties = [], correlation = '7', ...rest }: Said = {}): void {
    const bytes = Buffer.isBuffer(payload)
      ? payload
      : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
    const publish = {
      topic: `services/shop.v1.Orders/${method}`,
      payload: bytes,
      qos: 1 as Qos,
      properties,
      responseTopic: 'replies/a',
      correlation: Buffer.from(correlation),
      ...rest,
    };
    assert.equal(
      this.mqtt.publish(publish, (reason) => void this.reasons.push(reason)),
      'taken',
    );
  }

  /** What came since: payload as JSON, and the user properties. */
  heard(): [unknown, string][] {
    return this.got
      .splice(0)
      .map(({ payload, properties }) => [
        payload.length === 0 ? null : JSON.parse(Buffer.from(payload).toString()),
        properties.join(' '),
      ]);
  }

  async ask(method: string, said: Said = {}): Promise<[unknown, string][]> {
    this.say(method, said);
    await this.shop.pass();
    return this.heard();
  }
}

class Shop {
  readonly house: House;
  readonly host: MqttHost;
  readonly services: OpenServices;
  clients = 0;

  private constructor(house: House, limits: Record<string, number>, permissions: Permissions) {
    this.house = house;
    const { world } = house;
    this.services = new OpenServices({ turn: world.turn, log: SILENT, permissions });
    this.services.put('test', [describe(shopService())]);
    this.host = {
      resources: { accounts: OPEN_ACCOUNTS, topics: house.topics, services: this.services },
      limits: bindLimits(rows, limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: SILENT,
      software: 'Portico/test',
      routes: () => {},
    };
  }

  static async open(limits: Record<string, number> = {}, permissions: Permissions = OPEN_PERMISSIONS): Promise<Shop> {
    return new Shop(await House.open(NO_HISTORY), limits, permissions);
  }

  async pass(ms = 40): Promise<void> {
    for (let round = 0; round < 4; round++) {
      await rest();
      await this.house.pass(ms / 4);
    }
    await rest();
  }
}

const QUIET = { running: 0, open: 0, callers: 0 };
const ORDER = {
  customer: 'ann',
  items: [{ sku: 'a', quantity: 2, unitPrice: 1.5, colour: 'RED' }],
  labels: {},
  voucher: 'x',
};

for (const qos of [0, 1, 2] as const)
  test(`a call is answered on its response topic with its correlation data, QoS ${qos}`, async () => {
    const shop = await Shop.open();
    const client = await Client.open(shop);
    client.say('PlaceOrder', { payload: ORDER, qos, correlation: 'seven' });
    await shop.pass(80);
    const [answer] = client.got;
    assert.equal(answer?.topic, 'replies/a');
    assert.equal(answer?.correlation, 'seven');
    assert.equal(answer?.contentType, 'application/json');
    assert.equal(answer?.qos, Math.min(qos, 1));
    const [[value, properties] = []] = client.heard();
    assert.equal((value as { id: string }).id, 'order-1');
    assert.equal(properties, 'status OK trailer.x-orders 1');
    assert.deepEqual(client.reasons, qos === 0 ? client.reasons : [0]);
    // The packet identifier of QoS 2 is free again.
    if (qos === 2)
      assert.equal((await client.ask('GetOrder', { payload: { id: 'order-1' }, qos }))[0]?.[1], 'status OK');
    assert.deepEqual(shop.services.figures.running, 0);
  });

test('metadata, deadlines by property and by message expiry, headers and trailers', async () => {
  const shop = await Shop.open();
  const client = await Client.open(shop);
  assert.deepEqual(await client.ask('WhoAmI', { properties: ['X-Trace', 'abc', 'timeout-ms', '5000'] }), [
    [
      { account: '', metadata: ['x-trace', 'abc'], hasDeadline: true, cancelled: 0 },
      'status OK header.x-shop open trailer.x-till 7 trailer.x-seal-bin AAEC',
    ],
  ]);
  client.say('Fail', { payload: { how: 'HANG' }, properties: ['timeout-ms', '500'] });
  client.say('Fail', { payload: { how: 'HANG' }, expiry: 1, correlation: 'b' });
  await shop.pass(1_500);
  assert.deepEqual(
    client.heard().map(([, properties]) => properties),
    ['status DEADLINE_EXCEEDED', 'status DEADLINE_EXCEEDED'],
  );
});

test('errors have their code as a property and are told as JSON', async () => {
  const shop = await Shop.open();
  const client = await Client.open(shop);
  const soldOut = { ...ORDER, items: [{ sku: 'sold-out', quantity: 1, unitPrice: 1 }] };
  const [[sold] = []] = await client.ask('PlaceOrder', { payload: soldOut });
  assert.deepEqual(sold, {
    code: 'FAILED_PRECONDITION',
    message: 'sold-out is sold out',
    details: [{ type: 'shop.v1.OutOfStock', value: { sku: 'sold-out', left: 2 } }],
  });
  assert.deepEqual(await client.ask('GetOrder', { payload: { id: 'none' } }), [
    [{ code: 'NOT_FOUND', message: 'there is no order none' }, 'status NOT_FOUND'],
  ]);
  assert.deepEqual(await client.ask('Nothing'), [
    [{ code: 'UNIMPLEMENTED', message: 'there is no shop.v1.Orders.Nothing' }, 'status UNIMPLEMENTED'],
  ]);
  for (const payload of ['{', '[]', '{"unheard":1}', '{"id":7}', Buffer.from([0xff, 0xfe])])
    assert.equal((await client.ask('GetOrder', { payload }))[0]?.[1], 'status INVALID_ARGUMENT', String(payload));
});

test('many answers, the last of them with the status', async () => {
  const shop = await Shop.open();
  const client = await Client.open(shop);
  assert.deepEqual(await client.ask('Count', { payload: { count: 2, size: 1 } }), [
    [{ index: 0, filler: 'x' }, 'more true'],
    [{ index: 1, filler: 'x' }, 'more true'],
    [null, 'status OK'],
  ]);
  client.say('Count', { payload: { count: 500 } });
  await shop.pass(4_000);
  const got = client.heard();
  assert.equal(got.length, 501);
  assert.deepEqual(got[499], [{ index: 499, filler: '' }, 'more true']);
});

test('many inputs, which are held back by their acknowledgements', async () => {
  const shop = await Shop.open();
  const client = await Client.open(shop);
  for (let index = 0; index < 100; index++) client.say('PlaceOrders', { payload: ORDER, properties: ['more', 'true'] });
  client.say('PlaceOrders', { payload: ORDER });
  await shop.pass(1_000);
  const [[value, properties] = []] = client.heard();
  assert.equal((value as { placed: number }).placed, 101);
  assert.equal(properties, 'status OK');
  assert.equal(client.reasons.length, 101);
  assert.ok(client.reasons.every((reason) => reason === 0));
});

test('two ways at once, told apart by correlation data; the end without an input; cancelled', async () => {
  const shop = await Shop.open();
  const client = await Client.open(shop);
  const more = { properties: ['more', 'true'] };
  assert.deepEqual(await client.ask('Chat', { ...more, payload: { text: '1' }, correlation: 'a' }), [
    [{ text: 'you said 1', index: 0 }, 'more true'],
  ]);
  assert.deepEqual(await client.ask('Chat', { ...more, payload: { text: '2' }, correlation: 'b' }), [
    [{ text: 'you said 2', index: 0 }, 'more true'],
  ]);
  assert.deepEqual(await client.ask('Chat', { correlation: 'a' }), [[null, 'status OK']]);
  assert.deepEqual(await client.ask('Chat', { correlation: 'b', properties: ['cancel', 'true'] }), [
    [{ code: 'CANCELLED', message: 'cancelled' }, 'status CANCELLED'],
  ]);
  await shop.pass();
  assert.deepEqual(shop.services.figures, QUIET);
});

test('without a response topic nothing is called; before 5.0 the topic is one as any other', async () => {
  const shop = await Shop.open();
  const client = await Client.open(shop);
  client.mqtt.publish({ topic: 'services/shop.v1.Orders/PlaceOrder', payload: Buffer.from('{}'), qos: 1 }, (reason) =>
    client.reasons.push(reason),
  );
  await shop.pass();
  assert.deepEqual(client.reasons, [0x83]);
  const old = await Client.open(shop, 4);
  old.mqtt.subscribe([{ filter: 'services/#', qos: 0 }]);
  await shop.pass();
  old.mqtt.publish({ topic: 'services/shop.v1.Orders/PlaceOrder', payload: Buffer.from('{}'), qos: 1 });
  await shop.pass();
  assert.deepEqual(
    old.got.map(({ topic }) => topic),
    ['services/shop.v1.Orders/PlaceOrder'],
  );
  assert.deepEqual(shop.services.figures, QUIET);
});

test('whose connection is lost has its streams cancelled; a single answer still comes', async () => {
  const shop = await Shop.open();
  const client = await Client.open(shop);
  const other = await Client.open(shop);
  client.say('Chat', { properties: ['more', 'true'], payload: { text: '1' } });
  client.say('Fail', { payload: { how: 'HANG' }, properties: ['timeout-ms', '1000'], correlation: 'x' });
  await shop.pass();
  other.got.length = 0;
  assert.equal(shop.services.figures.running, 2);
  client.cut();
  await shop.pass(400);
  assert.equal(shop.services.figures.running, 1);
  await shop.pass(1_200);
  assert.deepEqual(
    other.heard().map(([, properties]) => properties),
    ['status DEADLINE_EXCEEDED'],
  );
});

test('who may not publish to the response topic gets no answer, and who may not call is told', async () => {
  const may: Permissions['may'] = (_caller, verb, _kind, name) => verb !== 'call' || name.endsWith('/Count');
  const shop = await Shop.open({ callsMax: 1 }, { ...OPEN_PERMISSIONS, may });
  const client = await Client.open(shop);
  assert.match(
    (await client.ask('GetOrder', { payload: '{"unheard":1}' }))[0]![1],
    /PERMISSION_DENIED|UNAUTHENTICATED/,
  );
  // A topic of the server's own: nobody publishes there.
  client.say('Count', { payload: { count: 100_000 }, responseTopic: '$SYS/x' });
  await shop.pass(400);
  assert.deepEqual(client.heard(), []);
  assert.deepEqual(shop.services.figures, QUIET, 'the stream has ended');
});

test('as many calls of a connection as may be', async () => {
  const shop = await Shop.open({ callsMax: 1 });
  const client = await Client.open(shop);
  const more = { properties: ['more', 'true'], payload: { text: '1' } };
  await client.ask('Chat', { ...more, correlation: 'a' });
  assert.equal((await client.ask('Chat', { ...more, correlation: 'b' }))[0]?.[1], 'status RESOURCE_EXHAUSTED');
});

test('whatever is asked in whatever order, nothing is left behind', async () => {
  const request = fc.record({
    method: fc.constantFrom('Chat', 'PlaceOrders', 'Count', 'GetOrder', 'Fail', 'WatchOrders', 'Nothing', ''),
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    payload: fc.constantFrom<object | string>('', '{', { text: 'x' }, { count: 40 }, { how: 'HANG' }, ORDER, []),
    properties: fc.constantFrom([], ['more', 'true'], ['cancel', 'true'], ['timeout-ms', '50'], ['x', 'y']),
    correlation: fc.constantFrom('a', 'b'),
  });
  const property = fc.asyncProperty(fc.array(request, { maxLength: 30 }), fc.boolean(), async (requests, cut) => {
    const shop = await Shop.open({ callsMax: 4 });
    const client = await Client.open(shop);
    for (const { method, ...said } of requests) client.say(method, said);
    await shop.pass(200);
    // Each packet of QoS 1 and 2 is acknowledged, but for inputs that wait.
    assert.ok(client.reasons.every((reason) => reason === 0));
    assert.equal(client.closed, false);
    if (cut) client.cut();
    else client.mqtt.disconnect();
    for (let round = 0; round < 4 && shop.services.figures.running > 0; round++) await shop.pass(20_000);
    await shop.pass();
    assert.deepEqual(shop.services.figures, QUIET);
    assert.deepEqual(shop.house.world.bugs, []);
  });
  await fc.assert(property, { numRuns: 60 });
});

test('each of many calls at once is answered, also where few may wait', async () => {
  const shop = await Shop.open({ callsMax: 1, receiveMaximum: 4 });
  const client = await Client.open(shop);
  for (let index = 0; index < 500; index++) {
    client.say('Nothing', { qos: 0, correlation: String(index) });
    if (index % 50 === 0) await shop.pass();
  }
  await shop.pass(2_000);
  assert.equal(client.got.length, 500);
});
