// Our client of gRPC and Connect against our own server, and against @grpc/grpc-js as a server: typed by a definition, and by
// reflection alone.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { connect, type GrpcOptions, ServiceError } from '../../src/exports/grpc.ts';
import type { Field } from '../../src/formats/schema/types.ts';
import { Portico } from '../../src/portico.ts';
import { FakeServices } from '../../src/protocols/grpc/testing/fake-services.ts';
import { serve } from '../../src/protocols/grpc/testing/serving.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';
import { until } from '../clients.ts';

const shop = shopService();
const services = new FakeServices(shop as never);
let portico: Portico;
let url = '';

before(async () => {
  portico = await serve(services);
  url = portico.urls.http!;
});
after(() => portico.close());

const WAYS: readonly [string, GrpcOptions][] = [
  ['gRPC', {}],
  ['gRPC, compressed', { compress: true }],
  ['Connect, bytes, HTTP/1.1', { speaks: 'connect' }],
  ['Connect, JSON, HTTP/2', { speaks: 'connect', form: 'json', http2: true }],
  ['Connect, JSON, GET', { speaks: 'connect', form: 'json', get: true }],
  ['Connect, bytes, GET, compressed', { speaks: 'connect', get: true, compress: true }],
];

const ORDER = {
  customer: 'ann',
  items: [{ sku: 'tea', quantity: 2, unitPrice: 3.5 }],
  labels: { gift: 'yes' },
  note: 'n'.repeat(3_000),
};

async function refused(call: Promise<unknown>): Promise<ServiceError> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ServiceError, String(error));
    return error;
  }
  return assert.fail('it was not refused');
}

for (const [name, options] of WAYS) {
  test(`${name}: all four kinds, typed by the definition`, async () => {
    using connection = connect(url, options);
    const calls = connection.client(shop);
    const placed = await calls.PlaceOrder(ORDER);
    assert.ok(placed.placed instanceof Date);
    const again = await calls.GetOrder({ id: placed.id });
    assert.deepEqual(again, placed);
    assert.equal(again.note, ORDER.note);
    let count = 0;
    for await (const { index } of calls.Count({ count: 3_000, size: 100 })) assert.equal(index, count++);
    assert.equal(count, 3_000);
    const many = await calls.PlaceOrders(Array.from({ length: 50 }, () => ORDER));
    assert.equal(many.placed, 50);
    if (options.speaks !== 'connect' || options.http2 === true) {
      const said: string[] = [];
      for await (const { text } of calls.Chat([{ text: 'a' }, { text: 'b' }])) said.push(text);
      assert.deepEqual(said, ['you said a', 'you said b']);
    }
  });

  test(`${name}: metadata, errors with details, deadlines, cancelling`, async () => {
    using connection = connect(url, { ...options, headers: { 'x-all': 'yes' } });
    const calls = connection.client(shop);
    let head: readonly string[] = [];
    let tail: readonly string[] = [];
    const { metadata, hasDeadline } = await calls.WhoAmI(
      {},
      {
        metadata: ['x-one', '1'],
        timeoutMs: 20_000,
        onHeaders: (given) => (head = given),
        onTrailers: (given) => (tail = given),
      },
    );
    assert.equal(metadata[metadata.indexOf('x-one') + 1], '1');
    assert.equal(metadata[metadata.indexOf('x-all') + 1], 'yes');
    assert.equal(hasDeadline, true);
    assert.deepEqual(head.slice(head.indexOf('x-shop'), head.indexOf('x-shop') + 2), ['x-shop', 'open']);
    assert.equal(tail[tail.indexOf('x-till') + 1], '7');
    const sold = await refused(calls.PlaceOrder({ ...ORDER, items: [{ sku: 'sold-out', quantity: 1, unitPrice: 1 }] }));
    assert.deepEqual([sold.code, sold.message], ['FAILED_PRECONDITION', 'sold-out is sold out']);
    assert.deepEqual(sold.details, [{ type: 'shop.v1.OutOfStock', value: { sku: 'sold-out', left: 2 } }]);
    assert.equal((await refused(calls.Fail({ how: 'ABORTED', message: 'öde 100%' }))).message, 'öde 100%');
    assert.equal((await refused(calls.Fail({ how: 'HANG' }, { timeoutMs: 80 }))).code, 'DEADLINE_EXCEEDED');
    const controller = new AbortController();
    const hanging = refused(calls.Fail({ how: 'HANG' }, { signal: controller.signal }));
    await until(() => services.open > 0, 'the call');
    controller.abort();
    assert.equal((await hanging).code, 'CANCELLED');
    await until(() => services.open === 0, 'the end of the handler');
    for await (const { index } of calls.Count({ count: 100_000, size: 1_000 })) if (index === 3) break;
    await until(() => services.open === 0, 'the end of the stream');
  });
}

test('what reflection answers is enough to call', async () => {
  using connection = connect(url);
  const found = (await connection.reflect()).map(({ name }) => name);
  assert.deepEqual(found.sort(), [
    'grpc.health.v1.Health',
    'grpc.reflection.v1alpha.ServerReflection',
    'shop.v1.Orders',
  ]);
  const answer = (await connection.call('grpc.health.v1.Health', 'Check', { service: 'shop.v1.Orders' })) as object;
  assert.deepEqual({ ...answer }, { status: 'SERVING' });
  const tree = { root: { name: 'oak', children: [{ name: 'leaf', children: [] }] } };
  assert.deepEqual(await connection.call('shop.v1.Orders', 'EchoTree', tree), tree);
  const ours = services.all.get('shop.v1.Orders')!;
  const theirs = connection.services.find(({ name }) => name === 'shop.v1.Orders')!;
  for (const [name, { kind, idempotency, http }] of ours.methods) {
    const read = theirs.methods.get(name)!;
    assert.deepEqual([read.kind, read.idempotency, read.http], [kind, idempotency, http], name);
  }
  const bare = (type: { fields: readonly object[] }) =>
    type.fields.map((field) => {
      const { name, number, type, many, optional, oneof } = field as Field;
      // Messages of Google's have presence on the wire, whether a definition says so or not.
      const isMessage = type.kind === 'scalar' && (type.name === 'timestamp' || type.name === 'duration');
      return { name, number, type, many, optional: many === 'one' && (optional || isMessage), oneof };
    });
  const everything = ours.methods.get('EchoEverything')!.input;
  assert.deepEqual(bare(theirs.methods.get('EchoEverything')!.input), bare(everything));
});

test('nobody answers: UNAVAILABLE, with words', async () => {
  const gone = await serve(new FakeServices());
  const old = gone.urls.http!;
  await gone.close();
  using connection = connect(old);
  const error = await refused(connection.client(shop).WhoAmI({}));
  assert.equal(error.code, 'UNAVAILABLE');
  assert.notEqual(error.message, '');
});

test('a server without such a method, and one that speaks no gRPC', async () => {
  using connection = connect(url, { services: [{ ...shop, name: 'shop.v1.Others' } as never] });
  const calls = connection.client('shop.v1.Others') as unknown as Record<string, (input: unknown) => Promise<unknown>>;
  assert.equal((await refused(calls.WhoAmI!({}))).code, 'UNIMPLEMENTED');
  using elsewhere = connect(`${url.replace(/\/$/, '')}/healthz?`, { speaks: 'connect' });
  assert.notEqual((await refused(elsewhere.client(shop).WhoAmI({}))).code, 'OK');
});

test('@grpc/grpc-js as the server', async () => {
  const server = new grpc.Server();
  const raw = (bytes: Buffer) => bytes;
  const definition = (path: string, streams: boolean) => ({
    path,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  });
  server.addService(
    {
      EchoTree: definition('/shop.v1.Orders/EchoTree', false),
      Fail: definition('/shop.v1.Orders/Fail', false),
      Chat: definition('/shop.v1.Orders/Chat', true),
    },
    {
      EchoTree: (call: { request: Buffer }, done: grpc.sendUnaryData<Buffer>) => done(null, call.request),
      Fail: (_call: unknown, done: grpc.sendUnaryData<Buffer>) =>
        done({ code: grpc.status.DATA_LOSS, details: 'ganz weg ☺' }),
      Chat: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', (bytes: Buffer) => call.write(bytes)).on('end', () => call.end());
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, at) =>
      error === null ? resolve(at) : reject(error),
    ),
  );
  {
    using connection = connect(`http://127.0.0.1:${port}`, { compress: true });
    const calls = connection.client(shop);
    const tree = { root: { name: 'x'.repeat(100_000), children: [] } };
    assert.deepEqual(await calls.EchoTree(tree), tree);
    const failed = await refused(calls.Fail({ how: 'OK' }));
    assert.deepEqual([failed.code, failed.message], ['DATA_LOSS', 'ganz weg ☺']);
    assert.equal((await refused(calls.WhoAmI({}))).code, 'UNIMPLEMENTED');
    const said: string[] = [];
    for await (const { text } of calls.Chat([{ text: 'a' }, { text: 'b' }])) said.push(text);
    assert.deepEqual(said, ['a', 'b']);
  }
  server.forceShutdown();
});

test('who is not let in is UNAUTHENTICATED, who may not is PERMISSION_DENIED and sees nothing by reflection', async () => {
  await using house = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    services: [shopService() as never],
  });
  const order = async (given: object) => {
    const answer = await house.order(given as never);
    assert.ok(answer.ok, JSON.stringify(answer));
  };
  await order({ do: 'account.add', name: 'ann', password: 'a long enough password' });
  await order({ do: 'account.add', name: 'bob', password: 'a long enough password' });
  await order({ do: 'rule.add', rule: 'allow ann call services/shop.v1.Orders/#' });
  const at = (name: string) => house.urls.http!.replace('://', `://${name}:a%20long%20enough%20password@`);
  for (const speaks of ['grpc', 'connect'] as const) {
    using nobody = connect(house.urls.http!, { speaks });
    assert.equal((await refused(nobody.client(shop).WhoAmI({}))).code, 'UNAUTHENTICATED');
    using ann = connect(at('ann'), { speaks });
    assert.equal((await ann.client(shop).WhoAmI({})).account, 'ann');
    using bob = connect(at('bob'), { speaks });
    assert.equal((await refused(bob.client(shop).WhoAmI({}))).code, 'PERMISSION_DENIED');
  }
  using ann = connect(at('ann'));
  assert.ok((await ann.reflect()).some(({ name }) => name === 'shop.v1.Orders'));
  using bob = connect(at('bob'));
  assert.ok(!(await bob.reflect()).some(({ name }) => name === 'shop.v1.Orders'));
});
