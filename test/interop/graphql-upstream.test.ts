// Another server's GraphQL as services of this one: Portico's own, and one that graphql-http serves.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { buildSchema } from 'graphql';
import { createHandler } from 'graphql-http/lib/use/http';
import { OPERATOR } from '../../src/core/caller.ts';
import { dialWith, turn } from '../../src/exports/loop.ts';
import { graphqlUpstream } from '../../src/protocols/graphql/server-upstream.ts';
import { callOver } from '../../src/resources/services/client.ts';
import type { ServiceError } from '../../src/resources/services/status.ts';
import { GraphqlUpstream } from '../../src/running/services/graphql-upstream.ts';
import { until } from '../clients.ts';
import { ask, type GraphqlHouse, openGraphql } from './graphql-house.ts';

let partner: GraphqlHouse;
let house: GraphqlHouse;
let carrier: GraphqlUpstream;

const reach = (url: string) => new GraphqlUpstream(dialWith(65_536), turn, { url });
const signal = new AbortController().signal;

before(async () => {
  partner = await openGraphql({ limits: { keepAliveMs: 200 } });
  house = await openGraphql();
  carrier = reach(partner.url);
  house.services.put('partner', [await graphqlUpstream(carrier, { name: 'partner.v1.Shop' }, signal)]);
});
after(async () => {
  carrier.close();
  await house.close();
  await partner.close();
  assert.deepEqual([...house.bugs, ...partner.bugs], []);
});

const call = (method: string, input: unknown, settings = {}) =>
  callOver(house.services.carrier(OPERATOR), 'partner.v1.Shop', method, input, settings);

const ITEMS = [{ sku: 'pen', quantity: 2, unitPrice: 1.5, colour: 'RED' }];

async function statusOf(promise: unknown): Promise<string> {
  return (promise as Promise<unknown>).then(
    () => 'OK',
    (error: ServiceError) => `${error.code}: ${error.message}`,
  );
}

test('queries and mutations of the other are methods of this one', async () => {
  const placed = (await call('OrdersPlaceOrder', {
    customer: 'ann',
    items: ITEMS,
    labels: [{ key: 'a', value: 'b' }],
  })) as {
    ordersPlaceOrder: Record<string, unknown>;
  };
  const order = placed.ordersPlaceOrder;
  assert.deepEqual([order.customer, order.items, order.labels], ['ann', ITEMS, [{ key: 'a', value: 'b' }]]);
  assert.ok(order.placed instanceof Date);
  assert.equal(order.voucher, undefined);
  // And again by GraphQL, through both.
  const query = 'query($id: String!) { shopOrdersGetOrder(id: $id) { ordersGetOrder { id items { sku colour } } } }';
  assert.deepEqual(await ask(house.url, query, { id: order.id }), {
    data: { shopOrdersGetOrder: { ordersGetOrder: { id: order.id, items: [{ sku: 'pen', colour: 'RED' }] } } },
  });
});

test('errors keep their code, and what does not answer is UNAVAILABLE', async () => {
  for (const how of ['NOT_FOUND', 'ABORTED', 'OUT_OF_RANGE', 'PERMISSION_DENIED', 'DATA_LOSS'])
    assert.equal(await statusOf(call('OrdersFail', { how, message: 'no' })), `${how}: no`);
  assert.match(
    await statusOf(call('OrdersPlaceOrder', { customer: '', items: ITEMS, labels: [] })),
    /^INVALID_ARGUMENT: customer/,
  );
  assert.match(await statusOf(call('OrdersGetOrder', {})), /^INVALID_ARGUMENT: id/);
  const nobody = reach('http://127.0.0.1:1/graphql');
  await assert.rejects(graphqlUpstream(nobody, { name: 'a.v1.B' }, signal));
  nobody.close();
});

test('a subscription is a stream, and whoever stops it ends it there', async () => {
  const outputs: unknown[] = [];
  for await (const output of call('OrdersCount', { count: 300, size: 2 }) as AsyncIterable<unknown>)
    outputs.push(output);
  assert.equal(outputs.length, 300);
  assert.deepEqual(outputs[299], { ordersCount: { index: 299, filler: 'xx' } });
  const abort = new AbortController();
  const endless = call('OrdersWatchOrders', { follow: true }, { signal: abort.signal }) as AsyncIterable<unknown>;
  const reading = (async () => {
    for await (const _output of endless);
  })();
  reading.catch(() => {});
  await until(() => partner.services.figures.open === 1, 'a stream there');
  abort.abort();
  await until(() => partner.services.figures.open === 0, 'its end there');
  await until(() => house.services.figures.running === 0, 'its end here');
  await assert.rejects(
    (async () => {
      for await (const _output of call('Topic', { filter: 'a/#/b' }) as AsyncIterable<unknown>);
    })(),
    { code: 'INVALID_ARGUMENT' },
  );
});

const SCHEMA = buildSchema(`
  scalar Money
  enum Size { SMALL LARGE }
  interface Named { name: String! }
  type Cat implements Named { name: String! lives: Int! friend_list: [Named] mother: Cat size(in: String): Size }
  type Dog implements Named { name: String! owner(id: ID!): String }
  union Pet = Cat | Dog
  input Where { size: Size = LARGE names: [String!] near: Where }
  type Query { cat(where: Where, ID: ID): Cat pet: Pet grid: [[Int]] prices: [Money] count: Int! parts: [Cat] }
`);

test('a schema of somebody else: what has no form is JSON or left, and what contains itself ends', async () => {
  const cat = { name: 'Tom', lives: 9, friend_list: [{ __typename: 'Dog', name: 'Rex' }, null], size: 'SMALL' };
  const root = {
    cat: ({ where }: { where?: { size: string } }) => ({
      ...cat,
      size: where?.size ?? null,
      mother: { ...cat, mother: { ...cat, mother: cat } },
    }),
    pet: { __typename: 'Cat' },
    grid: [[1, null], null],
    prices: [1.5, null, { amount: '2' }],
    count: () => {
      throw new Error('no count');
    },
    parts: [cat, { name: 'half' }],
  };
  const server = createServer(createHandler({ schema: SCHEMA, rootValue: root }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const other = reach(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const described = await graphqlUpstream(other, { name: 'pets.v1.Pets' }, signal);
  house.services.put('pets', [described]);
  const pets = (method: string, input: unknown, settings = {}) =>
    callOver(house.services.carrier(OPERATOR), 'pets.v1.Pets', method, input, settings) as Promise<
      Record<string, unknown>
    >;
  const found = (await pets('Cat', { where: { size: 'SMALL', names: ['a'], near: {} }, id: '7' })).cat as Record<
    string,
    unknown
  >;
  assert.deepEqual([found.name, found.lives, found.size, found.friendList], ['Tom', 9, 'SMALL', [{ name: 'Rex' }]]);
  assert.deepEqual(((found.mother as typeof found).mother as typeof found).mother, undefined);
  assert.deepEqual((await pets('Cat', {})).cat && true, true);
  assert.deepEqual(await pets('Pet', {}), { pet: {} });
  assert.deepEqual(await pets('Grid', {}), { grid: [[1, null], null] });
  assert.deepEqual(await pets('Prices', {}), { prices: [1.5, { amount: '2' }] });
  assert.equal(await statusOf(pets('Count', {})), 'UNKNOWN: no count');
  let trailers: readonly string[] = [];
  const parts = await pets('Parts', {}, { onTrailers: (given: readonly string[]) => (trailers = given) });
  assert.equal((parts.parts as unknown[]).length, 1);
  assert.equal(trailers[0], 'graphql-errors');
  assert.match(trailers[1]!, /"path":\["parts",1/);
  other.close();
  server.closeAllConnections();
  server.close();
});
