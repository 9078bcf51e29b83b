// @grpc/grpc-js, with types that @grpc/proto-loader reads out of our own .proto text, against a running server: all four kinds
// of call, metadata, errors with details, deadlines, cancelling, compression, sizes.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { googleFile, protoFiles } from '../../src/formats/schema/proto-files.ts';
import { protoText } from '../../src/formats/schema/proto-text.ts';
import type { Portico } from '../../src/portico.ts';
import { detailsOf } from '../../src/protocols/grpc/server-ending.ts';
import { FakeServices } from '../../src/protocols/grpc/testing/fake-services.ts';
import { serve } from '../../src/protocols/grpc/testing/serving.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';
import { until } from '../clients.ts';

type Value = Record<string, unknown>;
type Unary = (
  input: Value,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, value: Value) => void,
) => grpc.ClientUnaryCall;

const services = new FakeServices(shopService() as never);
let portico: Portico;
let client: grpc.Client & Record<string, (...given: never[]) => unknown>;
let Orders: grpc.ServiceClientConstructor;
let target = '';

before(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-grpc-'));
  mkdirSync(join(folder, 'google/api'), { recursive: true });
  for (const name of ['google/api/http.proto', 'google/api/annotations.proto'])
    writeFileSync(join(folder, name), protoText(googleFile(name)!));
  for (const file of protoFiles([...services.all.values()]))
    writeFileSync(join(folder, file.name.replaceAll('/', '-')), protoText(file));
  const definition = loadSync(join(folder, 'shop-v1.proto'), {
    includeDirs: [folder],
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  rmSync(folder, { recursive: true });
  portico = await serve(services);
  target = new URL(portico.urls.http!).host;
  const loaded = grpc.loadPackageDefinition(definition) as unknown as { shop: { v1: { Orders: typeof Orders } } };
  Orders = loaded.shop.v1.Orders;
  client = new Orders(target, grpc.credentials.createInsecure()) as unknown as typeof client;
});
after(async () => {
  client.close();
  await portico.close();
});

interface Answered {
  readonly error: grpc.ServiceError | null;
  readonly value: Value;
  readonly headers: grpc.Metadata | null;
  readonly status: grpc.StatusObject;
}

function unary(
  method: string,
  input: Value,
  metadata = new grpc.Metadata(),
  options: grpc.CallOptions = {},
): Promise<Answered> {
  return new Promise((resolve) => {
    let headers: grpc.Metadata | null = null;
    let ended: [grpc.ServiceError | null, Value] | null = null;
    let status: grpc.StatusObject | null = null;
    const tell = () => {
      if (ended !== null && status !== null) resolve({ error: ended[0], value: ended[1], headers, status });
    };
    const call = (client[method] as unknown as Unary).call(client, input, metadata, options, (error, value) => {
      ended = [error, value];
      tell();
    });
    call.on('metadata', (given) => {
      headers = given;
    });
    call.on('status', (given) => {
      status = given;
      tell();
    });
  });
}

const ORDER = {
  customer: 'ann',
  items: [{ sku: 'tea', quantity: 2, unitPrice: 3.5, colour: 'RED' }],
  labels: { gift: 'yes' },
  card: { number: '4111111111111111', holder: 'Ann' },
};

test('unary: places and gets an order', async () => {
  const placed = await unary('PlaceOrder', ORDER);
  assert.equal(placed.error, null);
  assert.match(String(placed.value.id), /^order-/);
  assert.equal(placed.value.payment, 'card');
  assert.equal(placed.status.metadata.get('x-orders').length, 1);
  const got = await unary('GetOrder', { id: placed.value.id });
  assert.deepEqual(got.value, placed.value);
});

test('metadata both ways, -bin among it', async () => {
  const metadata = new grpc.Metadata();
  metadata.set('x-hello', 'there');
  metadata.add('x-raw-bin', Buffer.from([0, 255]));
  metadata.add('x-raw-bin', Buffer.from([1]));
  const { value, headers, status } = await unary('WhoAmI', {}, metadata, { deadline: Date.now() + 10_000 });
  const list = value.metadata as string[];
  assert.equal(list[list.indexOf('x-hello') + 1], 'there');
  const raw = list.flatMap((name, at) => (name === 'x-raw-bin' ? [list[at + 1]!] : []));
  assert.deepEqual(
    raw.map((text) => Buffer.from(text, 'base64').toString('hex')),
    ['00ff', '01'],
  );
  assert.equal(value.hasDeadline, true);
  assert.deepEqual(headers!.get('x-shop'), ['open']);
  assert.deepEqual(status.metadata.get('x-till'), ['7']);
  assert.deepEqual(status.metadata.get('x-seal-bin'), [Buffer.from([0, 1, 2])]);
});

test('errors: the code, the words in any letters, and the details', async () => {
  const sold = await unary('PlaceOrder', { ...ORDER, items: [{ sku: 'sold-out', quantity: 1, unitPrice: 1 }] });
  assert.equal(sold.error!.code, grpc.status.FAILED_PRECONDITION);
  assert.equal(sold.error!.details, 'sold-out is sold out');
  const [bytes] = sold.status.metadata.get('grpc-status-details-bin') as Buffer[];
  const { schema } = services.all.get('shop.v1.Orders')!;
  assert.deepEqual(detailsOf(bytes!, schema), [{ type: 'shop.v1.OutOfStock', value: { sku: 'sold-out', left: 2 } }]);
  const words = await unary('Fail', {
    how: 'ABORTED',
    message: '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n 100%',
  });
  assert.equal(words.error!.code, grpc.status.ABORTED);
  assert.equal(words.error!.details, '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n 100%');
  const unknown = await unary('GetOrder', { id: 'none' });
  assert.equal(unknown.error!.code, grpc.status.NOT_FOUND);
});

test('every code reaches the client', async () => {
  for (const [name, code] of Object.entries(grpc.status)) {
    if (typeof code !== 'number' || code === 0) continue;
    const { error } = await unary('Fail', { how: name, message: name });
    assert.deepEqual([error!.code, error!.details], [code, name]);
  }
});

test('a bug of a handler is INTERNAL and tells nothing', async () => {
  const { error } = await unary('Fail', { how: 'THROW' });
  assert.equal(error!.code, grpc.status.INTERNAL);
  assert.doesNotMatch(error!.details, /secret/);
  const wrong = await unary('Fail', { how: 'WRONG' });
  assert.equal(wrong.error!.code, grpc.status.INTERNAL);
});

test('a deadline ends the call, and the handler', async () => {
  const before = services.open;
  const { error } = await unary('Fail', { how: 'HANG' }, new grpc.Metadata(), { deadline: Date.now() + 100 });
  assert.equal(error!.code, grpc.status.DEADLINE_EXCEEDED);
  await until(() => services.open === before, 'the end of the handler');
});

test('cancelling ends the handler', async () => {
  const before = services.cancelled;
  const call = (client.Fail as unknown as Unary).call(client, { how: 'HANG' }, new grpc.Metadata(), {}, () => {});
  await until(() => services.open > 0, 'the call');
  call.cancel();
  await until(() => services.cancelled > before && services.open === 0, 'the end of the handler');
});

function collect(call: grpc.ClientReadableStream<Value>): Promise<{ values: Value[]; code: number }> {
  return new Promise((resolve) => {
    const values: Value[] = [];
    call.on('data', (value) => values.push(value));
    call.on('error', () => {});
    call.on('status', ({ code }) => resolve({ values, code }));
  });
}

test('a server stream, faster than it is read', async () => {
  const call = client.Count!({ count: 20_000, size: 100 } as never) as grpc.ClientReadableStream<Value>;
  const { values, code } = await collect(call);
  assert.equal(code, 0);
  assert.equal(values.length, 20_000);
  assert.equal(values.at(-1)!.index, 19_999);
});

test('a server stream is cancelled in its middle', async () => {
  const call = client.Count!({ count: 100_000, size: 1_000 } as never) as grpc.ClientReadableStream<Value>;
  await new Promise<void>((resolve) => {
    call.on('error', () => {});
    call.once('data', () => {
      call.cancel();
      resolve();
    });
  });
  await until(() => services.open === 0, 'the end of the handler');
});

test('a client stream', async () => {
  const value = await new Promise<Value>((resolve, reject) => {
    const place = client.PlaceOrders as unknown as (
      done: (error: Error | null, value: Value) => void,
    ) => grpc.ClientWritableStream<Value>;
    const call = place.call(client, (error, answer) => (error === null ? resolve(answer) : reject(error)));
    for (let index = 0; index < 500; index++) call.write(ORDER);
    call.end();
  });
  assert.equal(value.placed, 500);
});

test('both ways at once, one by one', async () => {
  const call = client.Chat!() as grpc.ClientDuplexStream<Value, Value>;
  const got: unknown[] = [];
  await new Promise<void>((resolve, reject) => {
    call.on('data', ({ text }) => {
      got.push(text);
      if (got.length === 50) call.end();
      else call.write({ text: String(got.length) });
    });
    call.on('end', resolve).on('error', reject);
    call.write({ text: '0' });
  });
  assert.deepEqual(got.slice(0, 2), ['you said 0', 'you said 1']);
  assert.equal(got.length, 50);
});

test('what is compressed is read, and answered so', async () => {
  const metadata = new grpc.Metadata();
  const zipped = new Orders(target, grpc.credentials.createInsecure(), {
    'grpc.default_compression_algorithm': 2,
  }) as unknown as typeof client;
  const text = 'x'.repeat(50_000);
  const { error, value } = await new Promise<{ error: unknown; value: Value }>((resolve) => {
    (zipped.EchoTree as unknown as Unary).call(zipped, { root: { name: text } }, metadata, {}, (error, value) =>
      resolve({ error, value }),
    );
  });
  zipped.close();
  assert.equal(error, null);
  assert.equal((value.root as Value).name, text);
});

test('a message that is too long is refused; one that is not is taken', async () => {
  const large = await unary('EchoTree', { root: { name: 'x'.repeat(4_000_000) } });
  assert.equal(large.error, null);
  assert.equal(((large.value.root as Value).name as string).length, 4_000_000);
  const { error } = await unary('EchoTree', { root: { name: 'x'.repeat(4_194_304) } });
  assert.equal(error!.code, grpc.status.RESOURCE_EXHAUSTED);
});

test('there is no such method, and no such service', async () => {
  for (const path of ['/shop.v1.Orders/Nothing', '/no.Such/Thing', '/nothing']) {
    const code = await new Promise((resolve) => {
      client.makeUnaryRequest(
        path,
        () => Buffer.alloc(0),
        (bytes: Buffer) => bytes,
        {},
        (error) => resolve(error?.code),
      );
    });
    assert.equal(code, grpc.status.UNIMPLEMENTED);
  }
});
