// Calls of services on a socket of portico.json, over the real services.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Permissions } from '../../core/permissions.ts';
import { OPEN_PERMISSIONS } from '../../core/permissions.ts';
import { SHUTDOWN } from '../../core/pipe.ts';
import { describe } from '../../resources/services/define.ts';
import { OpenServices } from '../../resources/services/registry.ts';
import { rest } from '../../resources/services/testing/calls.ts';
import { shopService } from '../../resources/services/testing/shop.ts';
import { Bench, type BenchOptions, type Talker } from './testing/bench.ts';

class Shop {
  readonly bench: Bench;
  readonly services: OpenServices;
  readonly talker: Talker;

  private constructor(bench: Bench, permissions: Permissions) {
    this.bench = bench;
    const { turn } = bench.world;
    this.services = new OpenServices({ turn, log: bench.host.log, permissions });
    this.services.put('test', [describe(shopService())]);
    (bench.host.resources as { services?: OpenServices }).services = this.services;
    this.talker = bench.talk();
  }

  static async open(options: BenchOptions = {}, permissions: Permissions = OPEN_PERMISSIONS): Promise<Shop> {
    return new Shop(await Bench.open(options), permissions);
  }

  async pass(ms = 40): Promise<void> {
    for (let round = 0; round < 3; round++) {
      await rest();
      await this.bench.pass(ms);
    }
  }

  async says(...requests: (object | string)[]): Promise<Record<string, unknown>[]> {
    for (const request of requests) this.talker.says(request);
    await this.pass();
    return this.talker.heard();
  }

  get figures() {
    return this.services.figures;
  }
}

function errorOf(answer: Record<string, unknown> | undefined): {
  readonly code: string | number;
  readonly message: string;
} {
  assert.ok(answer?.error !== undefined, JSON.stringify(answer));
  return answer.error as { code: string; message: string };
}

const QUIET = { running: 0, open: 0, callers: 0 };
const CARD = { card: { number: '4111111111111111', holder: 'A' } };
const ORDER = {
  customer: 'ann',
  items: [{ sku: 'a', quantity: 2, unitPrice: 1.5, colour: 'RED' }],
  labels: {},
  ...CARD,
};

for (const cut of [0, 1, 7])
  test(`one input and one answer, cut ${cut}`, async () => {
    const shop = await Shop.open({ cut });
    const [placed] = await shop.says({ call: 'shop.v1.Orders.PlaceOrder', params: ORDER, id: 'p' });
    const order = {
      id: 'order-1',
      customer: 'ann',
      items: [{ sku: 'a', quantity: 2, unitPrice: 1.5, colour: 'RED' }],
      express: false,
      labels: {},
      placed: '2023-11-14T22:13:20.001Z',
      ...CARD,
    };
    assert.deepEqual(placed, { result: order, id: 'p', trailers: [['x-orders', '1']] });
    assert.deepEqual(await shop.says({ call: 'shop.v1.Orders/GetOrder', params: { id: 'order-1' }, id: 2 }), [
      { result: order, id: 2 },
    ]);
    await shop.pass(100);
    assert.deepEqual(shop.figures, QUIET);
  });

test('who calls, with which metadata and deadline; headers and trailers come with the answer', async () => {
  const shop = await Shop.open();
  const metadata = [['X-Trace', 'abc']];
  assert.deepEqual(await shop.says({ call: 'shop.v1.Orders.WhoAmI', metadata, timeoutMs: 5_000, id: 1 }), [
    {
      result: { account: '', metadata: ['x-trace', 'abc'], hasDeadline: true, cancelled: 0 },
      id: 1,
      headers: [['x-shop', 'open']],
      trailers: [
        ['x-till', '7'],
        ['x-seal-bin', 'AAEC'],
      ],
    },
  ]);
});

test('without an id success is not answered, and what is refused is', async () => {
  const shop = await Shop.open();
  assert.deepEqual(await shop.says({ call: 'shop.v1.Orders.PlaceOrder', params: ORDER }), []);
  assert.deepEqual(await shop.says({ call: 'shop.v1.Orders.GetOrder', params: { id: 'none' } }), [
    { error: { code: 'NOT_FOUND', message: 'there is no order none' } },
  ]);
});

test('one input and many answers', async () => {
  const shop = await Shop.open();
  assert.deepEqual(await shop.says({ call: 'shop.v1.Orders.Count', params: { count: 2, size: 1 }, id: 1 }), [
    { next: { index: 0, filler: 'x' }, id: 1 },
    { next: { index: 1, filler: 'x' }, id: 1 },
    { end: 'OK', id: 1 },
  ]);
});

test('many inputs and one answer, with the first in the call itself', async () => {
  const shop = await Shop.open();
  assert.deepEqual(
    await shop.says(
      { call: 'shop.v1.Orders.PlaceOrders', params: ORDER, id: 1 },
      { send: 1, params: ORDER },
      { finish: 1 },
    ),
    [{ result: { placed: 2, ids: ['order-1', 'order-2'] }, id: 1 }],
  );
});

test('two at once, each answered as it comes, and cancelled', async () => {
  const shop = await Shop.open();
  const chat = { call: 'shop.v1.Orders.Chat' };
  assert.deepEqual(await shop.says({ ...chat, id: 'a' }, { ...chat, id: 'b' }, { send: 'a', params: { text: '1' } }), [
    { next: { text: 'you said 1', index: 0 }, id: 'a' },
  ]);
  assert.deepEqual(await shop.says({ send: 'b', params: { text: '2' } }, { finish: 'b' }), [
    { next: { text: 'you said 2', index: 0 }, id: 'b' },
    { end: 'OK', id: 'b' },
  ]);
  assert.deepEqual(await shop.says({ cancel: 'a' }), [{ error: { code: 'CANCELLED', message: 'cancelled' }, id: 'a' }]);
  // It has ended: asking again changes nothing, and an input is refused.
  assert.deepEqual(await shop.says({ cancel: 'a' }, { finish: 'a' }, { send: 'a', params: {} }), [
    { error: { code: 'FAILED_PRECONDITION', message: 'no call with this id is open' }, id: 'a' },
  ]);
  await shop.pass();
  assert.deepEqual(shop.figures, QUIET);
});

test('a handler of a cancelled call is cancelled, and so is one whose socket is lost', async () => {
  const shop = await Shop.open();
  const hang = { call: 'shop.v1.Orders.Fail', params: { how: 'HANG' } };
  await shop.says({ ...hang, id: 1 });
  assert.equal(shop.figures.running, 1);
  assert.deepEqual(await shop.says({ cancel: 1 }), [{ error: { code: 'CANCELLED', message: 'cancelled' }, id: 1 }]);
  const other = shop.bench.talk();
  other.says({ ...hang, id: 1 });
  other.says({ call: 'shop.v1.Orders.Chat', id: 2 });
  await shop.pass();
  assert.equal(shop.figures.running, 2);
  other.messages.end(1001);
  other.messages.flush();
  await shop.pass();
  const [answer] = await shop.says({ call: 'shop.v1.Orders.WhoAmI', id: 9 });
  assert.deepEqual(answer?.result, { account: '', metadata: [], hasDeadline: true, cancelled: 2 });
  assert.equal(shop.figures.running, 0);
});

test('a deadline that passes', async () => {
  const shop = await Shop.open();
  shop.talker.says({ call: 'shop.v1.Orders.Fail', params: { how: 'HANG' }, timeoutMs: 500, id: 1 });
  await shop.pass(300);
  const [answer] = shop.talker.heard();
  assert.equal(errorOf(answer).code, 'DEADLINE_EXCEEDED');
});

test('what is wrong with an input is told by its place, of JSON and of the value', async () => {
  const shop = await Shop.open();
  const wrong = { ...ORDER, items: [{ sku: 'a', quantity: 0, unitPrice: 1 }], unheard: 1 };
  const [first] = await shop.says({ call: 'shop.v1.Orders.PlaceOrder', params: wrong, id: 1 });
  assert.deepEqual(first, {
    error: {
      code: 'INVALID_ARGUMENT',
      message: 'unheard: is not a field',
      details: [
        {
          type: 'google.rpc.BadRequest',
          value: { fieldViolations: [{ field: 'unheard', description: 'is not a field' }] },
        },
      ],
    },
    id: 1,
  });
  const { unheard: _, ...less } = wrong;
  const [second] = await shop.says({ call: 'shop.v1.Orders.PlaceOrder', params: less, id: 2 });
  assert.match(errorOf(second).message, /^items\[0\]\.quantity: /);
  const [third] = await shop.says({ call: 'shop.v1.Orders.PlaceOrder', params: [], id: 3 });
  assert.equal(errorOf(third).code, 'INVALID_ARGUMENT');
});

test('details of errors, bugs that tell nothing, and what there is not', async () => {
  const shop = await Shop.open();
  const soldOut = { ...ORDER, items: [{ sku: 'sold-out', quantity: 1, unitPrice: 1 }] };
  assert.deepEqual(await shop.says({ call: 'shop.v1.Orders.PlaceOrder', params: soldOut, id: 1 }), [
    {
      error: {
        code: 'FAILED_PRECONDITION',
        message: 'sold-out is sold out',
        details: [{ type: 'shop.v1.OutOfStock', value: { sku: 'sold-out', left: 2 } }],
      },
      id: 1,
      trailers: [['x-orders', '1']],
    },
  ]);
  const [bug] = await shop.says({ call: 'shop.v1.Orders.Fail', params: { how: 'THROW', message: 'key' }, id: 2 });
  assert.equal(errorOf(bug).code, 'INTERNAL');
  assert.doesNotMatch(JSON.stringify(bug), /key|secret/);
  assert.deepEqual(await shop.says({ call: 'shop.v1.Orders.Nothing', id: 3 }, { call: 'x', id: 4 }), [
    { error: { code: 'UNIMPLEMENTED', message: 'there is no shop.v1.Orders.Nothing' }, id: 3 },
    { error: { code: 'UNIMPLEMENTED', message: 'there is no x' }, id: 4 },
  ]);
});

test('every type goes there and back', async () => {
  const shop = await Shop.open();
  const everything = {
    flag: true,
    small: -5,
    natural: 4_294_967_295,
    large: '-9223372036854775808',
    largeNatural: '18446744073709551615',
    single: 1.5,
    real: 1e300,
    text: 'ö\u0000',
    raw: 'AAH/',
    moment: '2024-02-29T12:00:00.123Z',
    span: '1.500s',
    whatever: { a: [1, null] },
    colour: 'BLUE',
    nothing: {},
    flags: [false],
    smalls: [],
    larges: ['1', '-1'],
    reals: [0.5, -0.25],
    texts: [''],
    raws: ['AA=='],
    moments: ['1969-12-31T23:59:59.000Z'],
    colours: ['RED'],
    items: [{ sku: 'a', quantity: 1, unitPrice: 0 }],
    textByName: { a: 'b' },
    largeByName: { a: '5' },
    itemByName: {},
    chosenLarge: '7',
  };
  const [answer] = await shop.says({ call: 'shop.v1.Orders.EchoEverything', params: everything, id: 1 });
  assert.equal(answer?.error, undefined, JSON.stringify(answer));
  const result = answer?.result as Record<string, unknown>;
  for (const [name, value] of Object.entries(everything)) assert.deepEqual(result[name], value, name);
  assert.equal(result.presetText, 'preset');
});

test('who may not call is refused, whatever is in the call', async () => {
  const denied: Permissions = { ...OPEN_PERMISSIONS, may: () => false };
  const shop = await Shop.open({}, denied);
  const [bad, good] = await shop.says(
    { call: 'shop.v1.Orders.GetOrder', params: { unheard: 1 }, id: 1 },
    { call: 'shop.v1.Orders.GetOrder', params: { id: 'a' }, id: 2 },
  );
  for (const answer of [bad, good])
    assert.match(String(errorOf(answer).code), /^(?:UNAUTHENTICATED|PERMISSION_DENIED)$/);
});

test('bounds: calls of a socket, ids that are open, streams without an id', async () => {
  const shop = await Shop.open({ limits: { callsMax: 2 } });
  const chat = { call: 'shop.v1.Orders.Chat' };
  const codes = (answers: Record<string, unknown>[]) =>
    answers.map(({ error, id }) => [(error as { code: string } | undefined)?.code, id]);
  assert.deepEqual(codes(await shop.says({ ...chat, id: 1 }, { ...chat, id: 1 }, { ...chat })), [
    ['INVALID_ARGUMENT', undefined],
    ['INVALID_ARGUMENT', undefined],
  ]);
  assert.deepEqual(codes(await shop.says({ ...chat, id: 2 }, { ...chat, id: 3 })), [['RESOURCE_EXHAUSTED', 3]]);
  assert.deepEqual(codes(await shop.says({ cancel: 1 })), [['CANCELLED', 1]]);
  assert.deepEqual(codes(await shop.says({ ...chat, id: 3 })), []);
});

test('a server that leaves awaits single answers and ends streams', async () => {
  const shop = await Shop.open();
  const { peer, server } = shop.bench.join((messages) => {
    const talker = shop.bench.talk();
    Object.assign(talker, { messages });
    return talker;
  });
  peer.says({ call: 'shop.v1.Orders.Chat', id: 1 });
  peer.says({ call: 'shop.v1.Orders.Fail', params: { how: 'HANG' }, timeoutMs: 400, id: 2 });
  await shop.pass();
  server.leave(SHUTDOWN, 1_000);
  await shop.pass();
  assert.deepEqual(peer.heard(), [{ error: { code: 'UNAVAILABLE', message: 'the server is going away' }, id: 1 }]);
  await shop.pass(300);
  const [last] = peer.heard();
  assert.equal(errorOf(last).code, 'DEADLINE_EXCEEDED');
  assert.match(peer.closed, /1001/);
});

test('a stream waits for a socket that does not read, and ends whole', async () => {
  const shop = await Shop.open({ narrow: true });
  shop.talker.says({ call: 'shop.v1.Orders.Count', params: { count: 200, size: 50 }, id: 1 });
  let got: Record<string, unknown>[] = [];
  for (let round = 0; round < 500 && got.at(-1)?.end === undefined; round++) {
    await shop.pass();
    got = [...got, ...shop.talker.heard()];
  }
  assert.equal(got.length, 201);
  assert.deepEqual(got[199]?.next, { index: 199, filler: 'x'.repeat(50) });
});

test('inputs that are not taken hold the socket back until they are', async () => {
  const shop = await Shop.open();
  const inputs = Array.from({ length: 200 }, () => ({ send: 1, params: ORDER }));
  const got = await shop.says({ call: 'shop.v1.Orders.PlaceOrders', id: 1 }, ...inputs, { finish: 1 });
  for (let round = 0; round < 50 && got.length === 0; round++) {
    await shop.pass();
    got.push(...shop.talker.heard());
  }
  const { placed, ids } = (got[0]?.result ?? {}) as { placed?: number; ids?: string[] };
  assert.deepEqual([placed, ids?.at(-1)], [200, 'order-200']);
});

test('JSON-RPC 2.0: results, errors with their codes, notifications (§4, §5)', async () => {
  const shop = await Shop.open();
  const rpc = { jsonrpc: '2.0' };
  assert.deepEqual(
    await shop.says({ ...rpc, method: 'shop.v1.Orders.EchoTree', params: { root: { name: 'a' } }, id: 1 }),
    [{ jsonrpc: '2.0', result: { root: { name: 'a', children: [] } }, id: 1 }],
  );
  assert.deepEqual(await shop.says({ ...rpc, method: 'shop.v1.Orders.PlaceOrder', params: ORDER }), []);
  const code = async (request: object) => {
    const [answer] = await shop.says({ ...rpc, id: 'x', ...request });
    assert.equal(answer?.jsonrpc, '2.0');
    assert.equal(answer?.id, 'x');
    return errorOf(answer).code;
  };
  assert.equal(await code({ method: 'nothing' }), -32_601);
  assert.equal(await code({ method: 'shop.v1.Orders.GetOrder', params: { id: 7 } }), -32_602);
  assert.equal(await code({ method: 'shop.v1.Orders.Fail', params: { how: 'THROW' } }), -32_603);
  assert.equal(await code({ method: 'shop.v1.Orders.GetOrder', params: { id: 'none' } }), -32_005);
  assert.equal(await code({ method: 7 }), -32_600);
  assert.equal(await code({ method: 'shop.v1.Orders.GetOrder', params: [1] }), -32_600);
  assert.equal(await code({ method: 'shop.v1.Orders.Count', params: { count: 1 } }), -32_601);
  const [nulled] = await shop.says({ ...rpc, method: 7, id: null });
  assert.equal(nulled?.id, null);
});

test('JSON-RPC 2.0: what is asked with a null id is answered with it, and a notification never (§4, §4.1)', async () => {
  const shop = await Shop.open();
  const rpc = { jsonrpc: '2.0', method: 'shop.v1.Orders.GetOrder' };
  assert.deepEqual(await shop.says({ ...rpc, params: { id: 'none' } }, { ...rpc, method: 'nothing' }), []);
  const tree = { root: { name: 'a' } };
  const [answer] = await shop.says({ ...rpc, method: 'shop.v1.Orders.EchoTree', params: tree, id: null });
  assert.deepEqual([answer?.id, 'result' in answer!], [null, true]);
});

test('JSON-RPC 2.0: a batch is answered at once, each of its requests by itself (§6)', async () => {
  const shop = await Shop.open();
  const rpc = (method: string, params: object, more: object = {}) => ({
    ...{ jsonrpc: '2.0', method: `shop.v1.Orders.${method}`, params, ...more },
  });
  const heard = await shop.says([
    rpc('PlaceOrder', ORDER, { id: 1 }),
    rpc('GetOrder', { id: 'none' }, { id: 'two' }),
    rpc('PlaceOrder', ORDER),
    rpc('GetOrder', { id: 'none' }),
    rpc('Count', { count: 1 }, { id: 3 }),
    rpc('Nothing', {}, { id: 4 }),
    { jsonrpc: '1.0', id: 5 },
    { call: 'shop.v1.Orders.GetOrder', id: 6 },
    7,
  ]);
  assert.equal(heard.length, 1);
  const answers = heard[0] as unknown as { id: unknown; error?: { code: number }; result?: object }[];
  const told = new Map(answers.map(({ id, error, result }) => [id, error?.code ?? typeof result]));
  assert.deepEqual(
    told,
    new Map<unknown, unknown>([
      ...([
        [5, -32_600],
        [6, -32_600],
        [null, -32_600],
        [3, -32_601],
        [4, -32_601],
      ] as const),
      ...([
        [1, 'object'],
        ['two', -32_005],
      ] as const),
    ]),
  );
  assert.equal(answers.length, 7);
  // Notifications alone have no answer; what is no batch has one.
  assert.deepEqual(await shop.says([rpc('PlaceOrder', ORDER), rpc('Nothing', {})]), []);
  const [empty] = await shop.says([]);
  assert.equal(errorOf(empty).code, -32_600);
  await shop.pass(100);
  assert.deepEqual(shop.figures, QUIET);
});

test('JSON-RPC 2.0: a batch waits for its last, and is bounded', async () => {
  const shop = await Shop.open({ limits: { batchMax: 3, batchAnswerBytesMax: 1_024 } });
  const rpc = (method: string, params: object, id: number) => ({
    ...{ jsonrpc: '2.0', method: `shop.v1.Orders.${method}`, params, id },
  });
  const tree = (name: string) => ({ root: { name } });
  assert.deepEqual(await shop.says([rpc('Fail', { how: 'HANG' }, 1), rpc('EchoTree', tree('a'), 2)]), []);
  assert.equal((await shop.says({ cancel: 1 })).length, 1);
  const long = await shop.says([rpc('EchoTree', tree('x'.repeat(800)), 1), rpc('EchoTree', tree('y'.repeat(800)), 2)]);
  const codes = (long[0] as unknown as { error?: { code: number } }[]).map(({ error }) => error?.code);
  assert.deepEqual(codes, [undefined, -32_008]);
  const [many] = await shop.says([1, 2, 3, 4]);
  assert.equal(errorOf(many).message, 'a batch has at most 3 requests');
});

test('a server without services says so', async () => {
  const bench = await Bench.open();
  const talker = bench.talk();
  talker.says({ call: 'shop.v1.Orders.GetOrder', id: 1 });
  await bench.pass();
  assert.deepEqual(talker.heard(), [
    { error: { code: 'UNIMPLEMENTED', message: 'there is no shop.v1.Orders.GetOrder' }, id: 1 },
  ]);
});

test('whatever is said in whatever order, each call ends once, and nothing is left behind', async () => {
  const id = fc.constantFrom(1, 2, 'a');
  const method = fc.constantFrom('Chat', 'PlaceOrders', 'Count', 'GetOrder', 'Fail', 'WatchOrders', 'Nothing');
  const params = fc.constantFrom(
    {},
    { text: 'x' },
    { count: 40, size: 1 },
    { how: 'HANG' },
    { how: 'THROW' },
    { follow: true },
    ORDER,
    null,
    [],
    7,
  );
  const request = fc.oneof(
    fc.record({ call: method.map((name) => `shop.v1.Orders.${name}`), params, id }, { requiredKeys: ['call'] }),
    fc.record({ send: id, params }),
    fc.record({ finish: id }),
    fc.record({ cancel: id }),
    fc.array(
      fc.record({ jsonrpc: fc.constant('2.0'), method: method.map((name) => `shop.v1.Orders.${name}`), params, id }),
      { maxLength: 3 },
    ),
    fc.record({ jsonrpc: fc.constant('2.0'), method: method.map((name) => `shop.v1.Orders.${name}`), params, id }),
  );
  const property = fc.asyncProperty(
    fc.array(request, { maxLength: 30 }),
    fc.constantFrom(0, 1, 50),
    fc.boolean(),
    async (requests, cut, narrow) => {
      const shop = await Shop.open({ cut, narrow, limits: { callsMax: 4 } });
      const heard: Record<string, unknown>[] = [];
      for (const each of requests) shop.talker.says(each);
      for (let round = 0; round < 8; round++) heard.push(...(await shop.says()));
      // What follows a call that has begun ends with one of these, and never with two.
      const begun = requests.filter((each) => 'call' in each || 'jsonrpc' in each).length;
      const ends = heard.filter((each) => 'end' in each || 'result' in each || 'error' in each).length;
      assert.ok(ends <= requests.length, `${ends} ends of ${begun} calls and ${requests.length} requests`);
      shop.talker.messages.end(1000);
      shop.talker.messages.flush();
      // Those that have one answer are awaited: no longer than they may take.
      for (let round = 0; round < 4 && shop.figures.running > 0; round++) await shop.pass(20_000);
      await shop.pass();
      assert.deepEqual(shop.figures, QUIET);
      assert.deepEqual(shop.bench.world.bugs, []);
    },
  );
  await fc.assert(property, { numRuns: 60 });
});
