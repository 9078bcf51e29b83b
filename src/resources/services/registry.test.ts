import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { type Caller, OPERATOR } from '../../core/caller.ts';
import { OPEN_PERMISSIONS, type Permissions } from '../../core/permissions.ts';
import { type ClientOf, callOver, clientOver } from './client.ts';
import { defineService, describe } from './define.ts';
import { ServiceClash } from './registry.ts';
import { ServiceError } from './status.ts';
import { ANN, House, QUIET, rest, Written } from './testing/calls.ts';
import { shopService } from './testing/shop.ts';

const ORDER = {
  customer: 'ann',
  items: [{ sku: 'pen', quantity: 2, unitPrice: 1.5 }],
  labels: {},
};

function shop(options: ConstructorParameters<typeof House>[1] = {}): House {
  return new House(shopService(), options);
}

test('a handler that answers at once has answered when finish returns', () => {
  const house = shop();
  const { got } = house.call('WhoAmI', {}, { metadata: ['x-a', '1'] });
  assert.equal(got.code, 'OK');
  assert.deepEqual(got.head, ['x-shop', 'open']);
  assert.deepEqual(got.trailers, ['x-till', '7', 'x-seal-bin', 'AAEC']);
  assert.deepEqual(got.got, [{ account: 'ann', metadata: ['x-a', '1'], hasDeadline: true, cancelled: 0 }]);
  house.world.pass(1);
  assert.deepEqual(house.figures, QUIET);
});

test('presets are filled in before the handler, and what is wrong is told with its place', async () => {
  const house = shop();
  const placed = house.call('PlaceOrder', ORDER);
  await house.pass();
  assert.equal(placed.got.code, 'OK');
  assert.deepEqual(placed.got.trailers, ['x-orders', '1']);
  assert.equal((placed.got.got[0] as { express: boolean }).express, false);
  const wrong = house.call('PlaceOrder', { ...ORDER, items: [{ sku: '', quantity: 0, unitPrice: 1 }] });
  assert.deepEqual(wrong.got.status, {
    code: 'INVALID_ARGUMENT',
    message: 'items[0].sku: is empty',
    details: [
      {
        type: 'google.rpc.BadRequest',
        value: {
          fieldViolations: [
            { field: 'items[0].sku', description: 'is empty' },
            { field: 'items[0].quantity', description: 'is less than 1' },
          ],
        },
      },
    ],
  });
  await house.pass();
  assert.deepEqual(house.figures, QUIET);
});

test('each code that a handler throws ends the call with it; details are checked', async () => {
  const house = shop();
  for (const how of ['CANCELLED', 'UNKNOWN', 'NOT_FOUND', 'DATA_LOSS', 'UNAUTHENTICATED']) {
    const { got } = house.call('Fail', { how });
    await house.pass();
    assert.deepEqual(got.status, { code: how, message: 'as asked for', details: [] });
  }
  const sold = house.call('PlaceOrder', { ...ORDER, items: [{ sku: 'sold-out', quantity: 2, unitPrice: 1 }] });
  await house.pass();
  assert.deepEqual(sold.got.status?.details, [{ type: 'shop.v1.OutOfStock', value: { sku: 'sold-out', left: 1 } }]);
});

test('a bug of a handler is INTERNAL without a word of it, and whole in the log, once', async () => {
  const house = shop();
  for (const how of ['THROW', 'THROW', 'WRONG', 'OK_BUT_UNKNOWN']) {
    const { got } = house.call('Fail', { how, message: 'secret' });
    await house.pass();
    assert.equal(got.code, 'INTERNAL');
    assert.doesNotMatch(JSON.stringify(got.status), /secret|ok/);
  }
  const texts = house.logged.map(({ fields }) => String(fields.stack));
  assert.match(texts[0]!, /^TypeError: a bug with a secret: secret\n.*shop\.ts/s);
  assert.match(texts[1]!, /ok: is not true or false/);
  assert.equal(texts.length, 3);
  assert.deepEqual(house.figures, QUIET);
});

test('a deadline ends the call and aborts the handler; the shortest counts', async () => {
  const house = shop();
  const { got } = house.call('Fail', { how: 'HANG' }, { timeoutMs: 500 });
  await house.pass(400);
  assert.equal(got.code, 'NONE');
  await house.pass(200);
  assert.equal(got.code, 'DEADLINE_EXCEEDED');
  assert.equal((house.call('WhoAmI', {}).got.got[0] as { cancelled: number }).cancelled, 1);
  const endless = house.call('Fail', { how: 'HANG' });
  await house.pass(61_000);
  assert.equal(endless.got.code, 'DEADLINE_EXCEEDED');
  const passed = house.call('WhoAmI', {}, { timeoutMs: 0 });
  assert.equal(passed.got.code, 'NONE');
  await house.pass();
  assert.equal(passed.got.code, 'DEADLINE_EXCEEDED');
  assert.deepEqual(house.figures, QUIET);
});

test('a deadline also ends who never sends his input', async () => {
  const house = shop();
  const { got } = house.begin('GetOrder', { timeoutMs: 100 });
  await house.pass(200);
  assert.equal(got.code, 'DEADLINE_EXCEEDED');
  assert.deepEqual(house.figures, QUIET);
});

test('who cancels hears nothing more, and the handler is aborted', async () => {
  const house = shop();
  for (const [name, input] of [
    ['Fail', { how: 'HANG' }],
    ['WatchOrders', { follow: true }],
    ['Count', { count: 100_000 }],
  ] as const) {
    const { call, got } = house.call(name, input, { receiver: Object.assign(new Written(), { room: 3 }) });
    await house.pass();
    const before = got.got.length;
    call.cancel();
    await house.pass(10);
    assert.equal(got.code, 'NONE');
    assert.equal(got.got.length, before);
  }
  assert.equal((house.call('WhoAmI', {}).got.got[0] as { cancelled: number }).cancelled, 1);
  await house.pass();
  assert.deepEqual(house.figures, QUIET);
});

test('a stream waits while there is no room', async () => {
  const house = shop();
  const { call, got } = house.call('Count', { count: 10 }, { receiver: Object.assign(new Written(), { room: 4 }) });
  await house.pass();
  assert.equal(got.got.length, 4);
  got.room = 2;
  call.more();
  await house.pass();
  assert.equal(got.got.length, 6);
  got.room = 100;
  call.more();
  await house.pass();
  assert.equal(got.got.length, 10);
  assert.equal(got.code, 'OK');
});

test('inputs wait for the handler, the caller is held back, and one that is not held is ended', async () => {
  let go = () => {};
  const slow = defineService({
    name: 'a.v1.Slow',
    methods: {
      Take: {
        kind: 'client',
        input: z.object({ index: z.int32() }),
        output: z.object({ sum: z.int32() }),
        handler: async (inputs) => {
          await new Promise<void>((resolve) => {
            go = resolve;
          });
          let sum = 0;
          for await (const { index } of inputs) sum += index;
          return { sum };
        },
      },
    },
  });
  const house = new House(slow, { limits: { inputsMax: 4 } });
  const { call, got } = house.begin('Take');
  await house.pass();
  for (let index = 0; index < 4; index++) {
    assert.equal(call.room, 4 - index);
    call.send({ index });
  }
  assert.equal(call.room, 0);
  assert.equal(got.writables, 0);
  go();
  await house.pass();
  assert.equal(got.writables, 1);
  call.finish();
  await house.pass();
  assert.deepEqual(got.got, [{ sum: 6 }]);
  const rude = house.begin('Take');
  for (let index = 0; index < 100; index++) rude.call.send({ index });
  assert.equal(rude.got.code, 'RESOURCE_EXHAUSTED');
  await house.pass();
  go();
  await house.pass();
  assert.deepEqual(house.figures, QUIET);
});

test('a wrong input in a stream ends the call, and the handler’s loop with it', async () => {
  const house = shop();
  const { call, got } = house.begin('Chat');
  await house.pass();
  call.send({ text: 'a' });
  await house.pass();
  assert.deepEqual(got.got, [{ text: 'you said a', index: 0 }]);
  call.send({ text: 5 });
  assert.equal(got.code, 'INVALID_ARGUMENT');
  await house.pass();
  assert.deepEqual(house.figures, QUIET);
});

test('who has too many calls at once is refused, others are not', async () => {
  const house = shop({ limits: { callsPerCallerMax: 2, callsMax: 3 } });
  const hang = (caller: Caller) => house.call('Fail', { how: 'HANG' }, { caller });
  const bob: Caller = { ...ANN, account: 'bob', id: '2' };
  const calls = [hang(ANN), hang(ANN), hang(ANN), hang(bob), hang(bob)];
  await house.pass();
  assert.deepEqual(
    calls.map(({ got }) => got.code),
    ['NONE', 'NONE', 'RESOURCE_EXHAUSTED', 'NONE', 'RESOURCE_EXHAUSTED'],
  );
  for (const { call } of calls) call.cancel();
  await house.pass();
  assert.equal(house.call('WhoAmI', {}).got.code, 'OK');
  await house.pass();
  assert.deepEqual(house.figures, QUIET);
});

test('a handler that does not heed its end keeps its place until it ends', async () => {
  let go = () => {};
  const deaf = defineService({
    name: 'a.v1.Deaf',
    methods: {
      Sit: {
        input: z.object({}),
        output: z.object({}),
        handler: async () => {
          await new Promise<void>((resolve) => {
            go = resolve;
          });
          return {};
        },
      },
    },
  });
  const house = new House(deaf);
  const { call } = house.call('Sit', {});
  await house.pass();
  call.cancel();
  await house.pass();
  assert.deepEqual(house.figures, { running: 1, open: 0, callers: 1 });
  go();
  await house.pass();
  assert.deepEqual(house.figures, QUIET);
});

class Rules implements Permissions {
  epoch = 1;
  readonly denied = new Set<string>();
  may(_caller: Caller, _verb: unknown, kind: string, name: string): boolean {
    return !this.denied.has(`${kind}/${name}`);
  }
  covers() {
    return 0 as const;
  }
}

test('rules are asked by the method’s name, and again when they change', async () => {
  const permissions = new Rules();
  permissions.denied.add('services/shop.v1.Orders/GetOrder');
  const house = shop({ permissions });
  const get = house.services.method('shop.v1.Orders', 'GetOrder')!;
  assert.equal(house.services.may(ANN, get), false);
  const refused = house.call('GetOrder', { id: 'x' });
  const nobody = house.call('GetOrder', { id: 'x' }, { caller: { ...ANN, account: '', id: '' } });
  await house.pass();
  assert.equal(refused.got.code, 'PERMISSION_DENIED');
  assert.equal(nobody.got.code, 'UNAUTHENTICATED');
  const { call, got } = house.begin('Chat');
  const idle = house.call('WatchOrders', { follow: true });
  await house.pass();
  permissions.denied.add('services/shop.v1.Orders/Chat');
  permissions.epoch++;
  call.send({ text: 'a' });
  await house.pass();
  assert.equal(got.code, 'PERMISSION_DENIED');
  assert.deepEqual(got.got, []);
  permissions.denied.add('services/shop.v1.Orders/WatchOrders');
  house.services.recheck(() => true);
  assert.equal(idle.got.code, 'PERMISSION_DENIED');
  const gone = house.begin('Count');
  await house.pass();
  house.services.recheck(() => false);
  assert.equal(gone.got.code, 'UNAUTHENTICATED');
  await house.pass();
  assert.deepEqual(house.figures, QUIET);
});

test('a server that goes away ends endless streams at once, and all else in its time', async () => {
  const house = shop();
  const stream = house.call('WatchOrders', { follow: true });
  const hung = house.call('Fail', { how: 'HANG' });
  const { call, got } = house.call(
    'Count',
    { count: 3 },
    { timeoutMs: 60_000, receiver: Object.assign(new Written(), { room: 1 }) },
  );
  await house.pass();
  house.services.leave(1_000);
  assert.equal(stream.got.code, 'UNAVAILABLE');
  const late = house.call('WhoAmI', {});
  await house.pass();
  assert.equal(late.got.code, 'UNAVAILABLE');
  got.room = 5;
  call.more();
  await house.pass(500);
  assert.equal(got.code, 'OK');
  assert.equal(hung.got.code, 'NONE');
  await house.pass(1_000);
  assert.equal(hung.got.code, 'UNAVAILABLE');
  house.services.close();
  await house.pass();
  assert.deepEqual(house.figures, QUIET);
});

test('services are replaced whole; calls that run end with what they began with', async () => {
  const house = shop();
  const { services } = house;
  let told = 0;
  const stop = services.changed(() => told++);
  const { call, got } = house.begin('Chat');
  await house.pass();
  const before = services.epoch;
  const other = defineService({
    name: 'shop.v1.Orders',
    methods: { Chat: { input: z.object({}), output: z.object({}), handler: () => ({}) } },
  });
  services.put('test', [describe(other)]);
  assert.equal(services.epoch, before + 1);
  assert.equal(told, 1);
  assert.equal(services.method('shop.v1.Orders', 'GetOrder'), null);
  call.send({ text: 'still' });
  call.finish();
  await house.pass();
  assert.deepEqual(got.got, [{ text: 'you said still', index: 0 }]);
  assert.equal(got.code, 'OK');
  assert.throws(() => services.put('second', [describe(other)]), ServiceClash);
  assert.equal(told, 1);
  stop();
  services.drop('test');
  assert.equal(services.all.size, 0);
  assert.equal(told, 1);
});

test('zod looks at what the description does not say: refinements, also slow ones, and transforms of inputs', async () => {
  const even = z.object({
    number: z.int32().refine((number) => number % 2 === 0, 'is odd'),
    text: z
      .string()
      .trim()
      .toUpperCase()
      .default(() => `at ${Date.now()}`),
    length: z.string().transform((text) => text.length),
    slow: z.string().refine(async (text) => text !== 'no', 'is no'),
  });
  const definition = defineService({
    name: 'a.v1.Exact',
    methods: {
      One: {
        input: even,
        output: z.object({ text: z.string(), length: z.int32().refine((length) => length < 5) }),
        handler: ({ text, length }) => ({ text, length }),
      },
      Many: {
        kind: 'both',
        input: even,
        output: z.object({ text: z.string().trim() }),
        handler: async function* (inputs) {
          for await (const { text } of inputs) yield { text: ` ${text} ` };
        },
      },
    },
  });
  const house = new House(definition);
  const right = { number: 2, text: ' a ', length: 'abc', slow: 'yes' };
  const rows: [object, string, unknown][] = [
    [right, 'OK', [{ text: 'A', length: 3 }]],
    [{ ...right, number: 3 }, 'INVALID_ARGUMENT', 'number: is odd'],
    [{ ...right, slow: 'no' }, 'INVALID_ARGUMENT', 'slow: is no'],
    [{ ...right, number: '2' }, 'INVALID_ARGUMENT', 'number: is not a whole number of 32 bits'],
    [{ ...right, length: 'abcdef' }, 'INTERNAL', 'the service failed; the log of its server says more'],
  ];
  for (const [input, code, answer] of rows) {
    const { got } = house.call('One', input);
    await house.pass();
    assert.equal(got.code, code);
    assert.deepEqual(code === 'OK' ? got.got : got.status?.message, answer);
  }
  const { call, got } = house.begin('Many');
  await house.pass();
  for (const text of ['a', 'b', 'c']) call.send({ ...right, text });
  call.finish();
  await house.pass();
  assert.deepEqual(got.got, [{ text: 'A' }, { text: 'B' }, { text: 'C' }]);
  const wrong = house.begin('Many');
  await house.pass();
  wrong.call.send({ ...right, slow: 'no' });
  await house.pass();
  assert.equal(wrong.got.code, 'INVALID_ARGUMENT');
  await house.pass();
  assert.deepEqual(house.figures, QUIET);
});

test('a program calls by name, or by a client whose types follow from the definition', async () => {
  const definition = shopService();
  const house = new House(definition);
  const carrier = house.services.carrier(OPERATOR);
  const client = clientOver<ClientOf<typeof definition>>(carrier, 'shop.v1.Orders');
  const placed = await client.PlaceOrder(ORDER);
  const express: boolean = placed.express;
  assert.equal(express, false);
  assert.deepEqual(await callOver(carrier, 'shop.v1.Orders', 'GetOrder', { id: placed.id }), placed);
  const ticks: number[] = [];
  for await (const { index } of client.Count({ count: 100 })) ticks.push(index);
  assert.deepEqual(ticks, [...new Array(100).keys()]);
  const { ids } = await client.PlaceOrders([ORDER, ORDER, ORDER]);
  assert.equal(ids.length, 3);
  const said: string[] = [];
  for await (const { text } of client.Chat(words(50))) said.push(text);
  assert.equal(said.length, 50);
  assert.equal(said[49], 'you said 49');
  await assert.rejects(client.GetOrder({ id: 'none' }), (error: ServiceError) => error.code === 'NOT_FOUND');
  await assert.rejects(callOver(carrier, 'a.B', 'C', {}) as Promise<unknown>, /there is no a\.B\.C/);
  const stop = new AbortController();
  const hung = client.Fail({ how: 'HANG' }, { signal: stop.signal });
  await rest();
  stop.abort();
  await assert.rejects(hung, (error: ServiceError) => error.code === 'CANCELLED');
  for await (const { index } of client.Count({ count: 1_000 })) if (index === 3) break;
  await house.pass();
  assert.deepEqual(house.figures, QUIET);
});

async function* words(count: number) {
  for (let index = 0; index < count; index++) yield { text: String(index) };
}

test('10,000 calls of every kind and end leave nothing behind', async () => {
  const house = shop();
  const before = house.services.figures;
  for (let round = 0; round < 1_000; round++) {
    const calls = [
      house.call('GetOrder', { id: 'none' }),
      house.call('PlaceOrder', { ...ORDER, customer: '' }),
      house.call('Count', { count: 3 }),
      house.call('WatchOrders', { follow: true }),
      house.call('Fail', { how: 'HANG' }),
      house.call('Fail', { how: 'THROW' }),
      house.begin('Chat'),
      house.begin('PlaceOrders'),
      house.begin('GetOrder'),
      house.call('WhoAmI', {}),
    ];
    if (round % 3 === 0) house.world.pass(1);
    for (const { call } of calls) call.cancel();
  }
  await house.pass(10);
  assert.deepEqual(before, QUIET);
  assert.deepEqual(house.figures, QUIET);
  assert.deepEqual(house.world.bugs, []);
});

test('whatever a caller does in whatever order, a call ends at most once and nothing is left', async () => {
  const step = fc.oneof(
    fc.constantFrom('finish', 'more', 'cancel', 'pass', 'recheck'),
    fc.record({ text: fc.oneof(fc.string(), fc.integer()) }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('Chat', 'PlaceOrders', 'Count', 'GetOrder', 'Fail', 'WatchOrders'),
      fc.array(step, { maxLength: 12 }),
      fc.integer({ min: 0, max: 3 }),
      async (name, steps, room) => {
        const house = shop();
        const { call, got } = house.begin(name, { timeoutMs: 1_000, receiver: Object.assign(new Written(), { room }) });
        for (const each of steps) {
          if (typeof each === 'object') call.send(name === 'Fail' ? { how: 'HANG' } : { ...each, id: 'x', count: 3 });
          else if (each === 'pass') await house.pass(10);
          else if (each === 'recheck') house.services.recheck(() => true);
          else call[each]();
          got.room++;
        }
        await house.pass(2_000);
        await house.pass();
        assert.deepEqual(house.figures, QUIET);
        assert.deepEqual(house.world.bugs, []);
        assert.ok(got.code !== 'NONE' || steps.includes('cancel'));
      },
    ),
    { numRuns: 60 },
  );
});

test('open mode lets programs of this machine call', () => {
  assert.equal(OPEN_PERMISSIONS.may(ANN, 'call', 'services', 'shop.v1.Orders/GetOrder'), true);
  assert.equal(new ServiceError('ABORTED', 'x').name, 'ServiceError');
});
