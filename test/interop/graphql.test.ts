// GraphQL over HTTP: the audit of graphql-http, and calls of the shop as GraphQL has them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { auditServer } from 'graphql-http';
import { ask, type GraphqlHouse, openGraphql } from './graphql-house.ts';

let house: GraphqlHouse;

before(async () => {
  house = await openGraphql();
});
after(async () => {
  await house.close();
  assert.deepEqual(house.bugs, []);
});

const NEW_ORDER = `mutation Place($customer: String!, $items: [LineItemInput!]!) {
  ordersPlaceOrder(customer: $customer, items: $items, labels: [{ key: "a", value: "1" }], voucher: "half") {
    id customer items { sku quantity unitPrice colour } labels { key value } placed express voucher onAccount
  }
}`;

const ITEMS = [{ sku: 'pen', quantity: 2, unitPrice: 1.5, colour: 'RED' }];

test('the audit of graphql-http passes whole', async () => {
  const results = await auditServer({ url: house.url, fetchFn: fetch });
  const failed = results.filter(({ status }) => status !== 'ok');
  assert.deepEqual(
    failed.map((each) => `${each.id} ${each.name}: ${'reason' in each ? each.reason : ''}`),
    [],
  );
  assert.ok(results.length > 50);
});

test('an order is placed and found, with all its types', async () => {
  const placed = await ask(house.url, NEW_ORDER, { customer: 'ann', items: ITEMS });
  const order = placed.data?.ordersPlaceOrder as Record<string, unknown>;
  assert.deepEqual(placed, {
    data: {
      ordersPlaceOrder: {
        id: order.id,
        customer: 'ann',
        items: ITEMS,
        labels: [{ key: 'a', value: '1' }],
        placed: order.placed,
        express: false,
        voucher: 'half',
        onAccount: null,
      },
    },
  });
  const found = await ask(
    house.url,
    'query($id: String!) { one: ordersGetOrder(id: $id) { id customer __typename } }',
    {
      id: order.id,
    },
  );
  assert.deepEqual(found, { data: { one: { id: order.id, customer: 'ann', __typename: 'Order' } } });
});

const EVERYTHING = `query All($raw: Base64!, $large: Int64!) {
  all: ordersEchoEverything(
    flag: true small: -5 natural: 4294967295 large: $large largeNatural: "18446744073709551615" single: 0.5 real: 1e300
    text: "ä\\u0000\\"" raw: $raw moment: "2026-01-31T12:00:00.123Z" span: "1.5s" whatever: { a: [1, null, "x"] } colour: RED
    nothing: {} item: { sku: "a", quantity: 1, unitPrice: 0 } maybeLarge: 7 flags: [true, false] smalls: [] larges: ["1", 2]
    reals: [0] texts: ["", "\\u2028"] raws: [$raw] moments: [] colours: [BLUE, COLOUR_NONE] items: []
    textByName: [{ key: "", value: "b" }, { key: "__proto__", value: "c" }] largeByName: [{ key: "n", value: "-9223372036854775808" }]
    itemByName: [{ key: "i", value: { sku: "z", quantity: 3, unitPrice: 2 } }] chosenItem: { sku: "c", quantity: 9, unitPrice: 1 }
  ) {
    flag small natural large largeNatural single real text raw moment span whatever colour nothing item { sku } maybeFlag
    maybeLarge presetText presetSmall flags smalls larges reals texts raws moments colours items { sku }
    textByName { key value } largeByName { key value } itemByName { key value { sku quantity } } chosenText chosenItem { sku }
  }
}`;

test('every type comes back as it was given, by literals and by variables', async () => {
  assert.deepEqual(await ask(house.url, EVERYTHING, { raw: 'AAEC/w==', large: '-9007199254740993' }), {
    data: {
      all: {
        flag: true,
        small: -5,
        natural: 4_294_967_295,
        large: '-9007199254740993',
        largeNatural: '18446744073709551615',
        single: 0.5,
        real: 1e300,
        text: 'ä\u0000"',
        raw: 'AAEC/w==',
        moment: '2026-01-31T12:00:00.123Z',
        span: '1.500s',
        whatever: { a: [1, null, 'x'] },
        colour: 'RED',
        nothing: {},
        item: { sku: 'a' },
        maybeFlag: null,
        maybeLarge: '7',
        presetText: 'preset',
        presetSmall: 7,
        flags: [true, false],
        smalls: [],
        larges: ['1', '2'],
        reals: [0],
        texts: ['', '\u2028'],
        raws: ['AAEC/w=='],
        moments: [],
        colours: ['BLUE', 'COLOUR_NONE'],
        items: [],
        textByName: [
          { key: '', value: 'b' },
          { key: '__proto__', value: 'c' },
        ],
        largeByName: [{ key: 'n', value: '-9223372036854775808' }],
        itemByName: [{ key: 'i', value: { sku: 'z', quantity: 3 } }],
        chosenText: null,
        chosenItem: { sku: 'c' },
      },
    },
  });
});

test('each way in which a call ends has its code, and spoils no neighbour', async () => {
  const codes: Record<string, string> = {
    NOT_FOUND: 'NOT_FOUND',
    ALREADY_EXISTS: 'CONFLICT',
    INVALID_ARGUMENT: 'BAD_USER_INPUT',
    PERMISSION_DENIED: 'FORBIDDEN',
    UNAUTHENTICATED: 'UNAUTHENTICATED',
    RESOURCE_EXHAUSTED: 'FULL',
    FAILED_PRECONDITION: 'FAILED_PRECONDITION',
    ABORTED: 'STALE',
    OUT_OF_RANGE: 'OUT_OF_RANGE',
    UNIMPLEMENTED: 'UNSUPPORTED',
    INTERNAL: 'INTERNAL',
    UNAVAILABLE: 'BUSY',
    DATA_LOSS: 'DATA_LOSS',
    DEADLINE_EXCEEDED: 'TIMEOUT',
    CANCELLED: 'CANCELLED',
    UNKNOWN: 'UNKNOWN',
  };
  const fields = Object.keys(codes).map((how) => `f${how}: ordersFail(how: "${how}", message: "so ${how}") { ok }`);
  const { data, errors = [] } = await ask(
    house.url,
    `mutation { ${fields.join(' ')} last: ordersFail(how: "OK") { ok } }`,
  );
  assert.deepEqual(data?.last, { ok: true });
  assert.equal(data?.fNOT_FOUND, null);
  assert.deepEqual(
    errors.map(({ message, path, extensions }) => [message, path, extensions.code, extensions.status]),
    Object.entries(codes).map(([how, code]) => [`so ${how}`, [`f${how}`], code, how]),
  );
});

test('a bug tells nothing of itself', async () => {
  const { data, errors = [] } = await ask(house.url, 'mutation { ordersFail(how: "THROW", message: "secret") { ok } }');
  assert.deepEqual(data, { ordersFail: null });
  assert.equal(errors[0]!.extensions.code, 'INTERNAL');
  assert.ok(!JSON.stringify(errors).includes('secret'));
});

test('what the check finds is told with its places, and a detail of the service as it is', async () => {
  const bad = await ask(house.url, NEW_ORDER, { customer: '', items: [{ sku: 'x', quantity: 0, unitPrice: 1 }] });
  assert.deepEqual(bad.data, { ordersPlaceOrder: null });
  assert.equal(bad.errors![0]!.extensions.code, 'BAD_USER_INPUT');
  assert.deepEqual(
    (bad.errors![0]!.extensions.violations as { path: string }[]).map(({ path }) => path),
    ['customer', 'items[0].quantity'],
  );
  const items = [{ sku: 'sold-out', quantity: 1, unitPrice: 1 }];
  const out = await ask(house.url, NEW_ORDER, { customer: 'ann', items });
  assert.deepEqual(out.errors![0]!.extensions, {
    code: 'FAILED_PRECONDITION',
    status: 'FAILED_PRECONDITION',
    details: [{ type: 'shop.v1.OutOfStock', value: { sku: 'sold-out', left: 2 } }],
  });
});

test('many inputs are one list', async () => {
  const inputs = [1, 2, 3].map(() => ({ customer: 'bob', items: ITEMS, labels: [] }));
  const { data } = await ask(
    house.url,
    'mutation($inputs: [NewOrderInput!]!) { ordersPlaceOrders(inputs: $inputs) { placed ids } }',
    { inputs },
  );
  const { placed, ids } = data!.ordersPlaceOrders as { placed: number; ids: string[] };
  assert.deepEqual([placed, ids.length], [3, 3]);
});

test('a message is published, retained, found and taken away', async () => {
  const { data } = await ask(
    house.url,
    'mutation { publish(topic: "a/b", json: { n: 1 }, retain: true, properties: [{ name: "x", value: "y" }]) { cursor } }',
  );
  const { cursor } = data!.publish as { cursor: string };
  assert.match(cursor, /^\d+$/);
  assert.deepEqual(
    await ask(
      house.url,
      '{ retained(topic: "a/b") { payload json contentType cursor properties { name value } gap { after } } }',
    ),
    {
      data: {
        retained: {
          payload: '{"n":1}',
          json: { n: 1 },
          contentType: 'application/json',
          cursor,
          properties: [{ name: 'x', value: 'y' }],
          gap: null,
        },
      },
    },
  );
  const page = await ask(
    house.url,
    '{ history(filter: "a/#", first: 1) { messages { topic base64 } cursor gap { after } } }',
  );
  assert.deepEqual(page.data, {
    history: { messages: [{ topic: 'a/b', base64: 'eyJuIjoxfQ==' }], cursor, gap: null },
  });
  await ask(house.url, 'mutation { unretain(topic: "a/b") { cursor } }');
  assert.deepEqual(await ask(house.url, '{ retained(topic: "a/b") { payload } }'), { data: { retained: null } });
  const wrong = await ask(house.url, 'mutation { publish(topic: "a/+", payload: "x") { cursor } }');
  assert.equal(wrong.errors![0]!.extensions.code, 'BAD_USER_INPUT');
});

test('a file comes by the multipart request, as browsers send it', async () => {
  const bytes = Buffer.from([0, 255, 13, 10, 45, 45]);
  const form = new FormData();
  const query = 'mutation($file: Base64!) { publish(topic: "upload/1", base64: $file) { cursor } }';
  form.set('operations', JSON.stringify({ query, variables: { file: null } }));
  form.set('map', JSON.stringify({ one: ['variables.file'] }));
  form.set('one', new Blob([bytes]), 'note.bin');
  const answer = (await (await fetch(house.url, { method: 'POST', body: form })).json()) as { errors?: unknown };
  assert.equal(answer.errors, undefined);
  const { data } = await ask(house.url, '{ history(filter: "upload/1") { messages { base64 } } }');
  assert.deepEqual(data, { history: { messages: [{ base64: bytes.toString('base64') }] } });
});

test('fields of the request go with the calls, and what they say is in the answer’s', async () => {
  const query = '{ one: ordersWhoAmI { metadata } two: ordersWhoAmI { account } }';
  const headers = { 'content-type': 'application/json', 'x-trace': 'abc', 'x-graphql-event-stream-token': 'secret' };
  const secret = await fetch(house.url, { method: 'POST', headers, body: JSON.stringify({ query }) });
  assert.equal(secret.status, 404);
  const { 'x-graphql-event-stream-token': _token, ...plain } = headers;
  const response = await fetch(house.url, { method: 'POST', headers: plain, body: JSON.stringify({ query }) });
  const { data } = (await response.json()) as { data: { one: { metadata: string[] } } };
  assert.equal(data.one.metadata[data.one.metadata.indexOf('x-trace') + 1], 'abc');
  assert.deepEqual([response.headers.get('x-shop'), response.headers.get('x-till')], ['open, open', '7, 7']);
});
