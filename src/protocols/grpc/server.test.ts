// Calls however their bytes are cut, and from peers that break every rule: the right status, the handler ended, nothing left.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { defineService, describe } from '../../resources/services/define.ts';
import { QUIET } from '../../resources/services/testing/calls.ts';
import { empty } from '../../resources/services/zod-types.ts';
import { timeoutMs, timeoutText } from './codec.ts';
import { codeOf, framed, Stage, type StageOptions } from './testing/stage.ts';

const GRPC = 'application/grpc';
const TYPES = ['application/grpc', 'application/grpc-web', 'application/connect+proto'];

let stages: Stage[] = [];
function open(options?: StageOptions): Stage {
  const stage = new Stage(options);
  stages.push(stage);
  return stage;
}
afterEach(async () => {
  for (const { house } of stages) {
    await house.pass(60_000);
    await house.pass();
    assert.deepEqual(house.world.bugs, []);
    assert.deepEqual(house.figures, QUIET);
  }
  stages = [];
});

const CHAT = ['one', 'two', 'three'];

function chatBody(stage: Stage): Buffer {
  return Buffer.concat(CHAT.map((text) => framed(stage.bytes('Chat', 'input', { text }))));
}

test('however the bytes are cut, the conversation is the same', async () => {
  for (const type of TYPES) {
    const whole = open();
    const expected = (await whole.ask('Chat', type, chatBody(whole))).body.toString('hex');
    assert.ok(expected.length > 60);
    for (const cut of [1, 2, 3, 4, 5, 6, 7, 11, 20]) {
      const stage = open({ cut });
      const client = await stage.ask('Chat', type, chatBody(stage));
      assert.equal(client.body.toString('hex'), expected, `${type}, ${cut} at a time`);
    }
  }
});

test('a unary call is cut anywhere: it is INTERNAL, and no handler runs', async () => {
  const sample = open();
  const body = framed(sample.bytes('EchoTree', 'input', { root: { name: 'oak', children: [{ name: 'leaf' }] } }));
  for (let size = 1; size < body.length; size++) {
    const stage = open();
    assert.equal(codeOf(await stage.ask('EchoTree', GRPC, body.subarray(0, size))), '13', `${size} bytes`);
  }
  assert.equal(codeOf(await sample.ask('EchoTree', GRPC, body)), '0');
});

test('a client is gone anywhere in its message', async () => {
  const sample = open();
  const body = chatBody(sample);
  for (let size = 0; size < body.length; size += 3) {
    const stage = open();
    const client = stage.begin('Chat', GRPC);
    if (size > 0) client.send(body.subarray(0, size));
    await stage.house.pass(1);
    client.abort(8);
    await stage.house.pass(1);
    assert.deepEqual(stage.house.figures.running, 0);
  }
});

test('a client that goes while the handler works has it cancelled', async () => {
  const stage = open();
  const client = stage.begin('Fail', GRPC);
  client.send(framed(stage.bytes('Fail', 'input', { how: 'HANG' })));
  client.end();
  await stage.house.pass(1);
  assert.equal(stage.house.figures.running, 1);
  client.abort(8);
  await stage.house.pass(1);
  assert.equal(stage.house.figures.running, 0);
});

test('none and two messages where one is wanted (statuscodes.md)', async () => {
  const stage = open();
  const one = framed(stage.bytes('GetOrder', 'input', { id: 'x' }));
  assert.equal(codeOf(await stage.ask('GetOrder', GRPC, '')), '12');
  assert.equal(codeOf(await stage.ask('GetOrder', GRPC, Buffer.concat([one, one]))), '12');
});

test('flags, lengths and compression that cannot be', async () => {
  const stage = open({ limits: { messageBytesMax: 1_024 } });
  const message = stage.bytes('GetOrder', 'input', { id: 'x' });
  const ask = async (body: Buffer, fields = {}) => codeOf(await stage.ask('GetOrder', GRPC, body, fields));
  assert.equal(await ask(framed(message, 2)), '13');
  assert.equal(await ask(framed(message, 0x80)), '13');
  assert.equal(await ask(framed(message, 1)), '13', 'compressed, and nobody said how');
  assert.equal(await ask(framed(message, 1), { 'grpc-encoding': 'gzip' }), '13', 'not gzip at all');
  assert.equal(await ask(framed(message), { 'grpc-encoding': 'snappy' }), '12');
  assert.equal(await ask(framed(message, 0, 0xffff_ffff)), '8');
  assert.equal(await ask(framed(Buffer.alloc(1_025))), '8');
  const gzip = { 'grpc-encoding': 'gzip' };
  assert.equal(await ask(framed(gzipSync(message), 1), gzip), '5', 'there is no such order');
  assert.equal(await ask(framed(deflateSync(message), 1), { 'grpc-encoding': 'deflate' }), '5');
  assert.equal(await ask(framed(gzipSync(message).subarray(0, 12), 1), gzip), '13', 'gzip that is cut');
  assert.equal(await ask(framed(Buffer.concat([gzipSync(message), Buffer.from('more')]), 1), gzip), '13');
  const bomb = gzipSync(Buffer.alloc(1_000_000));
  assert.ok(bomb.length < 1_024);
  assert.equal(await ask(framed(bomb, 1), gzip), '8', 'a bomb');
  assert.equal(await ask(framed(gzipSync(message), 1), gzip), '5', 'and after it all is as before');
});

test('a message of exactly the bound is taken, one byte more is not', async () => {
  const stage = open({ limits: { messageBytesMax: 1_024 } });
  const of = (bytes: number) => stage.bytes('EchoTree', 'input', { root: { name: 'x'.repeat(bytes - 6) } });
  assert.equal(of(1_024).length, 1_024);
  for (const type of ['application/grpc', 'application/grpc-web', 'application/proto']) {
    const body = (bytes: number) => (type === 'application/proto' ? of(bytes) : framed(of(bytes)));
    assert.match(codeOf(await stage.ask('EchoTree', type, body(1_024))), /^(?:0|ok)$/, type);
    assert.match(codeOf(await stage.ask('EchoTree', type, body(1_025))), /^(?:8|resource_exhausted)$/, type);
  }
});

test('an answer that is too long is RESOURCE_EXHAUSTED, not sent', async () => {
  const stage = open({ limits: { answerBytesMax: 1_024 } });
  const input = stage.bytes('EchoTree', 'input', { root: { name: 'x'.repeat(2_000) } });
  const client = await stage.ask('EchoTree', GRPC, framed(input));
  assert.deepEqual([codeOf(client), client.body.length], ['8', 0]);
});

test('what is no message is INVALID_ARGUMENT, and so is what is not valid, with its fields', async () => {
  const stage = open();
  for (const hex of ['0a', '0aff', '0000', '0a02c328', '0b0a', 'a406'])
    assert.equal(codeOf(await stage.ask('GetOrder', GRPC, framed(Buffer.from(hex, 'hex')))), '3', hex);
  const client = await stage.ask('GetOrder', GRPC, framed(Buffer.alloc(0)));
  assert.equal(codeOf(client), '3');
  const details = Buffer.from(client.fields.get('grpc-status-details-bin')!, 'base64').toString('latin1');
  assert.match(details, /google\.rpc\.BadRequest/);
  const json = await stage.ask('GetOrder', 'application/json', '{"id":7}');
  assert.deepEqual([json.status, codeOf(json)], [400, 'invalid_argument']);
});

test('any bytes are answered with a status', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom('EchoEverything', 'Chat', 'Count', 'PlaceOrders'),
      fc.constantFrom(
        ...TYPES,
        'application/grpc-web-text',
        'application/proto',
        'application/json',
        'application/connect+json',
      ),
      async (bytes, method, type) => {
        const stage = open();
        const client = await stage.ask(method, type, Buffer.from(bytes));
        assert.equal(client.failed, null);
        assert.ok(client.ended);
        assert.match(codeOf(client), /^(?:\d+|[a-z_]+)$/);
      },
    ),
    { numRuns: 150 },
  );
});

test('a deadline that is none, one that has passed while the message comes, one that passes in the handler', async () => {
  const stage = open();
  const body = framed(stage.bytes('Fail', 'input', { how: 'HANG' }));
  for (const text of ['', '1', 'S', '123456789S', '-1S', '1x', '1.5S'])
    assert.equal(codeOf(await stage.ask('Fail', GRPC, body, { 'grpc-timeout': text })), '3', text);
  const slow = stage.begin('Fail', GRPC, { 'grpc-timeout': '50m' });
  slow.send(body.subarray(0, 7));
  for (let round = 0; round < 60 && !slow.ended; round++) await stage.house.pass(2);
  assert.equal(codeOf(slow), '4');
  slow.end();
  const hanging = stage.begin('Fail', GRPC, { 'grpc-timeout': '50m' });
  hanging.send(body);
  hanging.end();
  for (let round = 0; round < 60 && !hanging.ended; round++) await stage.house.pass(2);
  assert.equal(codeOf(hanging), '4');
});

test('timeouts as they are written (PROTOCOL-HTTP2.md)', () => {
  assert.deepEqual(
    ['1H', '2M', '3S', '4m', '5000u', '6000000n', '99999999H'].map(timeoutMs),
    [3_600_000, 120_000, 3_000, 4, 5, 6, 359_999_996_400_000],
  );
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (ms) => {
      const text = timeoutText(ms);
      assert.match(text, /^\d{1,8}[HSm]$/);
      assert.ok(timeoutMs(text) >= ms);
    }),
  );
});

test('a stream waits for a client that does not read, and ends when it is gone', async () => {
  const stage = open();
  const client = stage.begin('Count', GRPC);
  client.send(framed(stage.bytes('Count', 'input', { count: 100_000, size: 1_000 })));
  client.end();
  client.pipe.pause();
  for (let round = 0; round < 20; round++) await stage.house.pass(1);
  const { queued } = client.link.far;
  assert.ok(queued > 0 && queued < 4_000_000, `${queued} bytes wait`);
  client.abort(8);
  await stage.house.pass(1);
});

test('a caller that goes on sending when its call is over is cut', async () => {
  const stage = open({ limits: { discardBytesMax: 1_000 } });
  const client = stage.begin('Chat', GRPC);
  client.send(framed(Buffer.from('ff', 'hex')));
  for (let round = 0; round < 10; round++) await stage.house.pass(1);
  assert.equal(codeOf(client), '3');
  for (let round = 0; round < 10; round++) {
    client.send(Buffer.alloc(500));
    await stage.house.pass(1);
  }
  assert.equal(client.failed === null && !client.ended, false);
});

test('methods and services that there are not; types that are not spoken', async () => {
  const stage = open();
  assert.equal(codeOf(await stage.ask('Nothing', GRPC, framed(Buffer.alloc(0)))), '12');
  assert.equal(codeOf(await stage.ask('/no.Such/Thing', 'application/grpc-web', framed(Buffer.alloc(0)))), '12');
  assert.equal(codeOf(await stage.ask('/x', 'application/connect+json', '')), 'unimplemented');
  assert.equal((await stage.ask('GetOrder', 'application/grpc+thrift', '')).status, 415);
  assert.equal((await stage.ask('Chat', 'application/proto', '')).status, 415);
});

test('a server that leaves says so', async () => {
  for (const type of TYPES) {
    const stage = open();
    const client = stage.begin('Chat', type);
    client.send(framed(stage.bytes('Chat', 'input', { text: 'a' })));
    await stage.house.pass(1);
    stage.house.services.leave(0);
    await stage.settle(client);
    assert.match(codeOf(client), /^(?:14|unavailable)$/, type);
    client.end();
  }
});

test('health: of the server, of a service, of none; as it changes', async () => {
  const stage = open();
  const check = async (body: string) => {
    const client = await stage.ask('/grpc.health.v1.Health/Check', 'application/json', body);
    return [client.status, JSON.parse(client.body.toString())];
  };
  assert.deepEqual(await check('{}'), [200, { status: 'SERVING' }]);
  assert.deepEqual(await check('{"service":"shop.v1.Orders"}'), [200, { status: 'SERVING' }]);
  assert.deepEqual(await check('{"service":"x"}'), [404, { code: 'not_found', message: 'there is no service x' }]);
  const watch = stage.begin('/grpc.health.v1.Health/Watch', 'application/connect+json');
  watch.send(framed(Buffer.from('{"service":"late.v1.Comer"}')));
  watch.end();
  await stage.house.pass(1);
  const late = defineService({
    name: 'late.v1.Comer',
    methods: { Come: { input: empty, output: empty, handler: () => ({}) } },
  });
  stage.house.services.put('late', [describe(late as never)]);
  await stage.house.pass(1);
  stage.house.services.drop('late');
  await stage.house.pass(1);
  assert.deepEqual(watch.body.toString('latin1').match(/[A-Z_]{7,}/g), [
    'SERVICE_UNKNOWN',
    'SERVING',
    'SERVICE_UNKNOWN',
  ]);
  watch.abort(8);
  await stage.house.pass(1);
});

test('as many watch as may, and no more; who goes makes room', async () => {
  const stage = open({ limits: { watchesMax: 2 } });
  const watch = async () => {
    const client = stage.begin('/grpc.health.v1.Health/Watch', 'application/grpc');
    client.send(framed(Buffer.alloc(0)));
    client.end();
    await stage.house.pass(1);
    return client;
  };
  const first = await watch();
  const second = await watch();
  assert.deepEqual([first.ended, second.ended], [false, false]);
  assert.equal(codeOf(await watch()), '8');
  first.abort(8);
  await stage.house.pass(1);
  const third = await watch();
  assert.equal(third.ended, false);
  for (const client of [second, third]) client.abort(8);
  await stage.house.pass(1);
});

test('a GET whose timeout is none, whose message is none, whose method changes something', async () => {
  const stage = open();
  const get = async (query: string, method = 'EchoTree', fields = {}) => {
    const client = stage.get(`/shop.v1.Orders/${method}?${query}`, fields);
    await stage.settle(client);
    return [client.status, codeOf(client)];
  };
  const message = `message=${encodeURIComponent('{"root":{"name":"oak"}}')}`;
  assert.deepEqual(await get(`encoding=json&${message}`), [200, 'ok']);
  assert.deepEqual(await get(`connect=v1&encoding=json&${message}`), [200, 'ok']);
  assert.deepEqual(await get(`connect=v2&encoding=json&${message}`), [400, 'invalid_argument']);
  assert.deepEqual(await get(message), [400, 'invalid_argument']);
  assert.deepEqual(await get('encoding=json'), [400, 'invalid_argument']);
  assert.deepEqual(await get('encoding=json&message=%zz'), [400, 'invalid_argument']);
  assert.deepEqual(await get('encoding=proto&base64=1&message=*'), [400, 'invalid_argument']);
  assert.deepEqual(await get('encoding=proto&base64=1&message=CgUKA29haw'), [200, 'ok']);
  assert.deepEqual(await get(`encoding=json&compression=snappy&${message}`), [501, 'unimplemented']);
  assert.deepEqual(await get(`encoding=json&${message}`, 'PlaceOrder'), [405, 'unimplemented']);
  assert.deepEqual(await get(`encoding=json&${message}`, 'EchoTree', { 'connect-timeout-ms': 'x' }), [
    400,
    'invalid_argument',
  ]);
  assert.deepEqual(await get(`encoding=json&${message}`, 'EchoTree', { 'connect-timeout-ms': '0' }), [
    504,
    'deadline_exceeded',
  ]);
});
