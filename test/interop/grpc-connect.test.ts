// @connectrpc/connect-node over every protocol that it speaks, HTTP/1.1 and 2, as bytes and as JSON: the same calls, the same
// answers, the same errors; and @connectrpc/connect-web with fetch, and plain fetch.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  compressionGzip as gzip,
} from '@connectrpc/connect-node';
import * as web from '@connectrpc/connect-web';
import type { Portico } from '../../src/portico.ts';
import { FakeServices } from '../../src/protocols/grpc/testing/fake-services.ts';
import { registryOf } from '../../src/protocols/grpc/testing/registry.ts';
import { serve } from '../../src/protocols/grpc/testing/serving.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';
import { until } from '../clients.ts';

type Value = Record<string, unknown>;
type Options = {
  headers?: Record<string, string>;
  signal?: AbortSignal;
  timeoutMs?: number;
  onHeader?(h: Headers): void;
  onTrailer?(h: Headers): void;
};
type Calls = Record<string, (input: unknown, options?: Options) => Promise<Value> & AsyncIterable<Value>>;

const services = new FakeServices(shopService() as never);
const service = services.all.get('shop.v1.Orders')!;
let portico: Portico;
let baseUrl = '';
let registry: FileRegistry;

before(async () => {
  portico = await serve(services);
  baseUrl = portico.urls.http!.replace(/\/$/, '');
  registry = registryOf([service]);
});
after(() => portico.close());

const ORDER = {
  customer: 'ann',
  items: [{ sku: 'tea', quantity: 2, unitPrice: 3.5 }],
  labels: { gift: 'yes' },
  payment: { case: 'voucher', value: 'V1' },
};

interface Way {
  readonly name: string;
  make(): Transport;
  /** Both ways at once; many and one. */
  readonly streams: boolean;
}

const WAYS: readonly Way[] = [
  ...([true, false] as const).flatMap((useBinaryFormat) =>
    (['1.1', '2'] as const).map((httpVersion) => ({
      name: `Connect, HTTP/${httpVersion}, ${useBinaryFormat ? 'bytes' : 'JSON'}`,
      make: () => createConnectTransport({ baseUrl, httpVersion, useBinaryFormat, useHttpGet: true }),
      streams: httpVersion === '2',
    })),
  ),
  {
    name: 'Connect, everything compressed',
    make: () =>
      createConnectTransport({
        baseUrl,
        httpVersion: '2',
        sendCompression: gzip,
        acceptCompression: [gzip],
        compressMinBytes: 0,
      }),
    streams: true,
  },
  { name: 'gRPC', make: () => createGrpcTransport({ baseUrl }), streams: true },
  {
    name: 'gRPC, everything compressed',
    make: () => createGrpcTransport({ baseUrl, sendCompression: gzip, acceptCompression: [gzip], compressMinBytes: 0 }),
    streams: true,
  },
  { name: 'gRPC-Web, HTTP/1.1', make: () => createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }), streams: false },
  { name: 'gRPC-Web, HTTP/2', make: () => createGrpcWebTransport({ baseUrl, httpVersion: '2' }), streams: true },
  {
    name: 'Connect by fetch, JSON',
    make: () => web.createConnectTransport({ baseUrl, useHttpGet: true }),
    streams: false,
  },
  {
    name: 'Connect by fetch, bytes',
    make: () => web.createConnectTransport({ baseUrl, useBinaryFormat: true }),
    streams: false,
  },
  { name: 'gRPC-Web by fetch', make: () => web.createGrpcWebTransport({ baseUrl }), streams: false },
];

function callsOf(way: Way): Calls {
  return createClient(registry.getService('shop.v1.Orders')!, way.make()) as unknown as Calls;
}

async function refused(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  return assert.fail('it was not refused');
}

for (const way of WAYS) {
  test(`${way.name}: one and one`, async () => {
    const calls = callsOf(way);
    const placed = await calls.placeOrder!(ORDER);
    assert.match(String(placed.id), /^order-/);
    assert.deepEqual((await calls.getOrder!({ id: placed.id })).labels, { gift: 'yes' });
    const tree = { root: { name: 'ü', children: [{ name: 'x'.repeat(5_000), children: [] }] } };
    const { root } = (await calls.echoTree!(tree)) as { root: { name: string; children: { name: string }[] } };
    assert.deepEqual([root.name, root.children[0]!.name.length], ['ü', 5_000]);
  });

  test(`${way.name}: metadata both ways`, async () => {
    let headers = new Headers();
    let trailers = new Headers();
    const { metadata, hasDeadline } = await callsOf(way).whoAmI!(
      {},
      {
        headers: { 'x-hello': 'there', 'x-raw-bin': 'AP8' },
        timeoutMs: 20_000,
        onHeader: (given) => (headers = given),
        onTrailer: (given) => (trailers = given),
      },
    );
    const list = metadata as string[];
    assert.equal(list[list.indexOf('x-hello') + 1], 'there');
    assert.equal(list[list.indexOf('x-raw-bin') + 1], 'AP8');
    assert.equal(hasDeadline, true);
    assert.equal(headers.get('x-shop'), 'open');
    assert.equal(trailers.get('x-till'), '7');
    assert.equal(trailers.get('x-seal-bin'), 'AAEC');
  });

  test(`${way.name}: errors with details`, async () => {
    const calls = callsOf(way);
    const sold = await refused(calls.placeOrder!({ ...ORDER, items: [{ sku: 'sold-out', quantity: 1 }] }));
    assert.deepEqual([sold.code, sold.rawMessage], [Code.FailedPrecondition, 'sold-out is sold out']);
    const [detail] = sold.details as { type: string; value: Uint8Array }[];
    assert.equal(detail!.type, 'shop.v1.OutOfStock');
    const value = fromBinary(registry.getMessage('shop.v1.OutOfStock')!, detail!.value) as unknown as Value;
    assert.deepEqual([value.sku, value.left], ['sold-out', 2]);
    for (const [name, code] of [
      ['ABORTED', Code.Aborted],
      ['UNAUTHENTICATED', Code.Unauthenticated],
      ['DATA_LOSS', Code.DataLoss],
    ] as const) {
      const error = await refused(calls.fail!({ how: name, message: 'ganz öde 100%' }));
      assert.deepEqual([error.code, error.rawMessage], [code, 'ganz öde 100%']);
    }
    assert.equal((await refused(calls.fail!({ how: 'THROW' }))).code, Code.Internal);
  });

  test(`${way.name}: a deadline, and who gives up`, async () => {
    const calls = callsOf(way);
    assert.equal((await refused(calls.fail!({ how: 'HANG' }, { timeoutMs: 80 }))).code, Code.DeadlineExceeded);
    const controller = new AbortController();
    const hanging = refused(calls.fail!({ how: 'HANG' }, { signal: controller.signal }));
    await until(() => services.open > 0, 'the call');
    controller.abort();
    assert.equal((await hanging).code, Code.Canceled);
    await until(() => services.open === 0, 'the end of the handler');
  });

  test(`${way.name}: one and many`, async () => {
    let count = 0;
    for await (const { index, filler } of callsOf(way).count!({ count: 2_000, size: 50 })) {
      assert.deepEqual([index, (filler as string).length], [count, 50]);
      count++;
    }
    assert.equal(count, 2_000);
  });

  test(`${way.name}: a stream that is left`, async () => {
    const calls = callsOf(way);
    const controller = new AbortController();
    const left = (async () => {
      for await (const { index } of calls.count!({ count: 100_000, size: 1_000 }, { signal: controller.signal }))
        if (index === 3) controller.abort();
    })();
    assert.equal((await refused(left)).code, Code.Canceled);
    await until(() => services.open === 0, 'the end of the handler');
  });

  if (!way.streams) continue;
  test(`${way.name}: many and one, many and many`, async () => {
    const calls = callsOf(way);
    async function* orders() {
      for (let index = 0; index < 300; index++) yield ORDER;
    }
    assert.equal((await calls.placeOrders!(orders())).placed, 300);
    async function* words() {
      for (let index = 0; index < 50; index++) yield { text: String(index) };
    }
    const got: unknown[] = [];
    for await (const { text } of calls.chat!(words())) got.push(text);
    assert.deepEqual([got.length, got[49]], [50, 'you said 49']);
  });
}

test('curl’s way: JSON by POST and GET, an error as HTTP has it', async () => {
  const post = await fetch(`${baseUrl}/shop.v1.Orders/EchoTree`, {
    method: 'POST',
    body: '{"root":{"name":"oak"}}',
    headers: { 'content-type': 'application/json' },
  });
  assert.deepEqual([post.status, await post.json()], [200, { root: { name: 'oak', children: [] } }]);
  const message = encodeURIComponent('{"root":{"name":"a+b & c"}}');
  const got = await fetch(`${baseUrl}/shop.v1.Orders/EchoTree?encoding=json&message=${message}`);
  assert.deepEqual([got.status, await got.json()], [200, { root: { name: 'a+b & c', children: [] } }]);
  const missing = await fetch(
    `${baseUrl}/shop.v1.Orders/GetOrder?connect=v1&encoding=json&message=%7B%22id%22%3A%22x%22%7D`,
  );
  assert.deepEqual(
    [missing.status, await missing.json()],
    [404, { code: 'not_found', message: 'there is no order x' }],
  );
  const unsafe = await fetch(`${baseUrl}/shop.v1.Orders/PlaceOrder?encoding=json&message=%7B%7D`);
  assert.deepEqual([unsafe.status, unsafe.headers.get('allow')], [405, 'POST']);
  const none = await fetch(`${baseUrl}/shop.v1.Orders/Nothing`, {
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(none.status, 404);
  const wrong = await fetch(`${baseUrl}/shop.v1.Orders/GetOrder`, {
    method: 'POST',
    body: '{',
    headers: { 'content-type': 'application/json' },
  });
  assert.deepEqual([wrong.status, ((await wrong.json()) as Value).code], [400, 'invalid_argument']);
  assert.equal(
    (
      await fetch(`${baseUrl}/no.Such/Thing`, {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/json' },
      })
    ).status,
    404,
  );
  const stream = await fetch(`${baseUrl}/shop.v1.Orders/Count`, {
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(stream.status, 415);
});

test('gRPC-Web as base64, in pieces that each have their padding', async () => {
  const frame = Buffer.from('00000000060a040a026f6b', 'hex');
  for (const body of [
    frame.toString('base64'),
    frame.subarray(0, 4).toString('base64') + frame.subarray(4).toString('base64'),
  ]) {
    const answer = await fetch(`${baseUrl}/shop.v1.Orders/EchoTree`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/grpc-web-text' },
    });
    assert.equal(answer.headers.get('content-type'), 'application/grpc-web-text+proto');
    const text = await answer.text();
    const bytes = Buffer.concat((text.match(/[^=]+=*/g) ?? []).map((piece) => Buffer.from(piece, 'base64')));
    assert.equal(bytes.subarray(0, frame.length).toString('hex'), frame.toString('hex'));
    assert.equal(bytes[frame.length], 0x80);
    assert.match(bytes.subarray(frame.length + 5).toString(), /^grpc-status: 0\r\n/);
  }
  const broken = await fetch(`${baseUrl}/shop.v1.Orders/EchoTree`, {
    method: 'POST',
    body: 'AAA!',
    headers: { 'content-type': 'application/grpc-web-text' },
  });
  assert.match(Buffer.from(await broken.text(), 'base64').toString(), /grpc-status: 13/);
});
