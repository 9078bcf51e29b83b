// The typed client over each protocol that it speaks: values, streams both ways, errors with details, deadlines, cancelling.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient, type ServiceClient, ServiceError } from '../../src/exports/client.ts';
import { defineService, Portico, z } from '../../src/portico.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';

const TIMEOUT = { timeout: 60_000 };
const ITEM = { sku: 'a', quantity: 2, unitPrice: 1.5 };
const ORDER = { customer: 'ann', items: [ITEM], labels: {}, voucher: 'x' };

type Shop = ServiceClient<ReturnType<typeof shopService>>;

async function codeOf(call: Promise<unknown>): Promise<ServiceError> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ServiceError, String(error));
    return error;
  }
  assert.fail('it was answered');
}

async function drain<Item>(from: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of from) items.push(item);
  return items;
}

async function conversation(client: Shop): Promise<void> {
  const order = await client.PlaceOrder(ORDER);
  assert.equal(order.id, 'order-1');
  assert.ok(order.placed instanceof Date);
  const missing = await codeOf(client.GetOrder({ id: 'none' }));
  assert.deepEqual([missing.code, missing.message], ['NOT_FOUND', 'there is no order none']);
  const soldOut = await codeOf(client.PlaceOrder({ ...ORDER, items: [{ ...ITEM, sku: 'sold-out' }] }));
  assert.deepEqual(soldOut.details, [{ type: 'shop.v1.OutOfStock', value: { sku: 'sold-out', left: 1 } }]);
  const invalid = await codeOf(client.GetOrder({ id: '' }));
  assert.equal(invalid.code, 'INVALID_ARGUMENT');
  const ticks = await drain(client.Count({ count: 300, size: 10 }));
  assert.deepEqual([ticks.length, ticks[299]?.index], [300, 299]);
  const many = await client.PlaceOrders(Array.from({ length: 50 }, () => ORDER));
  assert.equal(many.placed, 50);
  const inputs = async function* () {
    for (const text of ['a', 'b', 'c']) yield { text };
  };
  assert.deepEqual(
    (await drain(client.Chat(inputs()))).map(({ text }) => text),
    ['you said a', 'you said b', 'you said c'],
  );
  const late = await codeOf(client.Fail({ how: 'HANG' }, { timeoutMs: 100 }));
  assert.equal(late.code, 'DEADLINE_EXCEEDED');
  const abort = new AbortController();
  const hanging = codeOf(client.Fail({ how: 'HANG' }, { signal: abort.signal }));
  abort.abort();
  assert.equal((await hanging).code, 'CANCELLED');
  // Leaving a stream cancels it.
  for await (const { index } of client.Count({ count: 100_000 })) if (index === 5) break;
  let headers: readonly string[] = [];
  const who = await client.WhoAmI({}, { metadata: ['x-trace', 'abc'], onHeaders: (given) => (headers = given) });
  assert.equal(who.metadata[who.metadata.indexOf('x-trace') + 1], 'abc');
  assert.equal(headers[headers.indexOf('x-shop') + 1], 'open');
}

for (const protocol of ['http', 'ws', 'mqtt', 'grpc', 'graphql'])
  test(`the typed client over ${protocol}`, TIMEOUT, async () => {
    const shop = shopService();
    const portico = await Portico.start({
      ports: 'ephemeral',
      storage: 'memory',
      services: [shop],
      log: { level: 'silent' },
    });
    try {
      const client = await createClient(shop, portico.urls[protocol] ?? portico.urls.http!.replace(/^http/, protocol));
      await conversation(client);
      await client.close();
    } finally {
      await portico.close();
    }
  });

test('over gRPC the numbers are those of the server, which a lock made others', TIMEOUT, async () => {
  const make = (fields: 'one' | 'other') => {
    const first = { customer: z.string(), note: z.string() };
    const other = { note: z.string(), customer: z.string() };
    const order = z.object(fields === 'one' ? first : other);
    return defineService({
      name: 'locked.v1.Orders',
      types: { Order: order },
      methods: { Echo: { input: order, output: order, handler: (given) => given } },
    });
  };
  const portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    services: [make('one')],
    log: { level: 'silent' },
  });
  try {
    for (const scheme of ['grpc', 'connect']) {
      await using client = await createClient(make('other'), portico.urls.http!.replace(/^http/, scheme));
      assert.deepEqual(await client.Echo({ customer: 'ann', note: 'so' }), { customer: 'ann', note: 'so' }, scheme);
    }
  } finally {
    await portico.close();
  }
});

test('/asyncapi.json has the methods as MQTT calls them, and leads nowhere else', TIMEOUT, async () => {
  const portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    services: [shopService()],
    log: { level: 'silent' },
  });
  try {
    const answer = await fetch(`${portico.urls.http}/asyncapi.json`);
    assert.equal(answer.status, 200);
    const document = (await answer.json()) as { asyncapi: string; channels: Record<string, { address: string }> };
    assert.equal(document.asyncapi, '3.0.0');
    assert.equal(document.channels['shop.v1.Orders.Chat']?.address, 'services/shop.v1.Orders/Chat');
    assert.equal((await fetch(`${portico.urls.http}/asyncapi.json`, { method: 'POST' })).status, 405);
  } finally {
    await portico.close();
  }
});
