import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CODE_NAMES } from '../../resources/services/status.ts';
import { QUIET } from '../../resources/services/testing/calls.ts';
import { CODE_STATUS } from './codes.ts';
import { ORDER, RestHouse } from './testing/house.ts';

const LINES = { 'content-type': 'application/x-ndjson' };

test('a method is called at its own path, and by the rules of google.api.http', async () => {
  for (const cut of [0, 1]) {
    const house = new RestHouse({ cut });
    const placed = await house.call('PlaceOrder', ORDER);
    assert.equal(placed.status, 200, placed.text);
    assert.equal(placed.type, 'application/json');
    assert.equal(placed.client.fields.get('x-orders'), '1');
    const order = placed.json();
    assert.deepEqual(order, {
      ...ORDER,
      id: 'order-1',
      express: false,
      placed: new Date(1_700_000_000_001).toISOString(),
      items: [{ sku: 'tea', quantity: 2, unitPrice: 1.5 }],
    });
    for (const target of [
      '/v1/orders/order-1',
      '/v1/orders/order%2D1',
      '/services/shop.v1.Orders/GetOrder?id=order-1',
    ]) {
      const got = await house.ask('GET', target);
      assert.deepEqual([got.status, got.json()], [200, order], target);
    }
    assert.deepEqual((await house.call('GetOrder', { id: 'order-1' })).json(), order);
    const second = await house.ask('POST', '/v1/orders', JSON.stringify(ORDER), { 'content-type': 'application/json' });
    assert.equal(second.json().id, 'order-2');
    assert.deepEqual((await house.ask('DELETE', '/v1/orders/order-2')).json(), {});
    const gone = await house.ask('GET', '/v1/orders/order-2');
    assert.deepEqual([gone.status, gone.type, gone.json().code], [404, 'application/problem+json', 'NOT_FOUND']);
    assert.deepEqual(house.house.figures, QUIET);
  }
});

test('each code has its status, and what a bug says stays inside', async () => {
  const house = new RestHouse();
  for (const code of CODE_NAMES) {
    if (code === 'OK') continue;
    const answer = await house.call('Fail', { how: code, message: `it is ${code}` });
    assert.equal(answer.status, CODE_STATUS[code], code);
    assert.equal(answer.json().code, code);
    assert.equal(answer.json().detail, `it is ${code}`);
  }
  const bug = await house.call('Fail', { how: 'THROW', message: 'hidden' });
  assert.equal(bug.status, 500);
  assert.ok(!bug.text.includes('hidden'));
  const wrong = await house.call('Fail', { how: 'WRONG' });
  assert.equal(wrong.status, 500);
  const late = house.call('Fail', { how: 'HANG' }, { prefer: 'wait=0.2' });
  assert.equal((await late).json().code, 'DEADLINE_EXCEEDED');
  const details = (
    await house.call('PlaceOrder', { ...ORDER, items: [{ sku: 'sold-out', quantity: 1, unitPrice: 1 }] })
  ).json();
  assert.deepEqual(details.details, [{ '@type': 'type.googleapis.com/shop.v1.OutOfStock', sku: 'sold-out', left: 2 }]);
  assert.deepEqual(house.house.figures, QUIET);
});

test('what is wrong with an input is told field by field', async () => {
  const house = new RestHouse();
  const answer = await house.call('PlaceOrder', {
    ...ORDER,
    customer: '',
    items: [{ sku: 'x', quantity: 0 }],
    nothing: 1,
  });
  assert.equal(answer.status, 400);
  const { code, violations } = answer.json();
  assert.equal(code, 'INVALID_ARGUMENT');
  assert.deepEqual(
    (violations as { field: string }[]).map(({ field }) => field),
    ['nothing'],
  );
  const next = await house.call('PlaceOrder', { ...ORDER, customer: '', items: [{ sku: 'x', quantity: 0 }] });
  const fields = (next.json().violations as { field: string }[]).map(({ field }) => field);
  assert.deepEqual(fields.sort(), ['customer', 'items[0].quantity', 'items[0].unitPrice']);
  for (const [body, status] of [
    ['{"id":', 400],
    ['[]', 400],
    ['"text"', 400],
    ['', 400],
  ] as const)
    assert.equal((await house.ask('POST', '/services/shop.v1.Orders/GetOrder', body)).status, status, body);
  const query = await house.ask('GET', '/services/shop.v1.Orders/GetOrder?id=%ff');
  assert.equal(query.status, 400);
  assert.equal((await house.ask('GET', '/services/shop.v1.Orders/GetOrder?id=a&no=1')).status, 400);
  const type = await house.ask('POST', '/services/shop.v1.Orders/GetOrder', '<a/>', { 'content-type': 'text/xml' });
  assert.equal(type.status, 415);
  const small = new RestHouse({ limits: { bodyBytesMax: 10 } });
  assert.equal((await small.call('GetOrder', { id: 'x'.repeat(20) })).status, 413);
});

test('which verbs a path has, and what is not there', async () => {
  const house = new RestHouse();
  const put = await house.ask('PUT', '/services/shop.v1.Orders/PlaceOrder');
  assert.deepEqual([put.status, put.client.fields.get('allow')], [405, 'POST, OPTIONS']);
  assert.equal((await house.ask('GET', '/services/shop.v1.Orders/PlaceOrder')).status, 405);
  const rule = await house.ask('PATCH', '/v1/orders/1');
  assert.deepEqual([rule.status, rule.client.fields.get('allow')], [405, 'GET, DELETE, HEAD, OPTIONS']);
  assert.equal((await house.ask('OPTIONS', '/v1/orders/1')).status, 204);
  for (const target of [
    '/services/shop.v1.Orders/Nothing',
    '/services/no.Such/GetOrder',
    '/services/a/b/c',
    '/services/no.Such',
  ])
    assert.equal((await house.ask('GET', target)).status, 404, target);
  assert.equal((await house.ask('GET', '/v2/orders')).status, 404);
  const listed = (await house.ask('GET', '/services')).json().services as { name: string; methods: string[] }[];
  assert.deepEqual(
    listed.map(({ name }) => name),
    ['shop.v1.Orders'],
  );
  assert.ok(listed[0]!.methods.includes('GetOrder'));
  assert.equal((await house.ask('GET', '/services/shop.v1.Orders')).json().name, 'shop.v1.Orders');
  const page = await house.ask('GET', '/services/', '', { accept: 'text/html' });
  assert.match(page.type, /^text\/html/);
  assert.match((await house.ask('GET', '/services/try.js')).type, /javascript/);
});

test('a stream is lines, or events, and says how it ended', async () => {
  const house = new RestHouse();
  const lines = await house.call('Count', { count: 3 });
  assert.deepEqual([lines.status, lines.type], [200, 'application/x-ndjson']);
  assert.deepEqual(lines.text, '{"index":0,"filler":""}\n{"index":1,"filler":""}\n{"index":2,"filler":""}\n');
  const events = await house.ask('GET', '/services/shop.v1.Orders/Count?count=2', '', { accept: 'text/event-stream' });
  assert.equal(events.type, 'text/event-stream');
  assert.equal(
    events.text,
    'data: {"index":0,"filler":""}\n\ndata: {"index":1,"filler":""}\n\nevent: end\ndata: {}\n\n',
  );
  assert.equal((await house.call('Count', { count: 3 }, { accept: 'image/png' })).status, 406);
  assert.equal((await house.call('Count', { count: -1 })).status, 400);
  const many = await house.call('Count', { count: 2_000, size: 1_000 });
  assert.equal(many.text.split('\n').length, 2_001);
  const followed = house.begin('GET', '/v1/orders:watch?follow=true');
  followed.end();
  await house.until(() => followed.status === 200 || house.house.figures.running === 1);
  assert.equal(house.house.figures.running, 1);
  followed.pipe.reset(0);
  await house.until(() => house.house.figures.callers === 0);
  assert.deepEqual(house.house.figures, QUIET);
});

test('many inputs are lines, one by one', async () => {
  for (const cut of [0, 1]) {
    const house = new RestHouse({ cut });
    const line = JSON.stringify(ORDER);
    const placed = await house.ask(
      'POST',
      '/services/shop.v1.Orders/PlaceOrders',
      `${line}\r\n\n${line}\n${line}`,
      LINES,
    );
    assert.deepEqual(placed.json(), { placed: 3, ids: ['order-1', 'order-2', 'order-3'] });
    const chat = await house.ask('POST', '/services/shop.v1.Orders/Chat', '{"text":"a"}\n{"text":"b"}\n', LINES);
    assert.equal(chat.text, '{"text":"you said a","index":0}\n{"text":"you said b","index":1}\n');
    const broken = await house.ask('POST', '/services/shop.v1.Orders/PlaceOrders', `${line}\n{`, LINES);
    assert.equal(broken.status, 400);
    const wrong = await house.ask('POST', '/services/shop.v1.Orders/PlaceOrders', `${line}\n{"customer":""}\n`, LINES);
    assert.equal(wrong.json().code, 'INVALID_ARGUMENT');
    assert.deepEqual(house.house.figures, QUIET);
  }
  const small = new RestHouse({ limits: { lineBytesMax: 20 } });
  assert.equal(
    (await small.ask('POST', '/services/shop.v1.Orders/Chat', `{"text":"${'x'.repeat(30)}"}\n`, LINES)).status,
    413,
  );
  assert.deepEqual(small.house.figures, QUIET);
});

test('every type of the model goes there and back', async () => {
  const house = new RestHouse();
  const input = {
    ...{ flag: true, small: -7, natural: 7, large: '-9007199254740993', largeNatural: '18446744073709551615' },
    ...{ single: 1.5, real: 0.1, text: 'ä"\n', raw: 'AAEC', moment: '2024-02-29T12:00:00.000Z', span: '1.500s' },
    ...{ whatever: { a: [1, null] }, colour: 'RED', nothing: {}, maybeText: '', flags: [true], larges: ['1'] },
    ...{ textByName: { a: 'b' }, largeByName: { x: '5' }, chosenLarge: '12', items: [] },
    ...{ smalls: [1], reals: [], texts: ['x'], raws: [''], moments: [], colours: ['BLUE'], itemByName: {} },
  };
  const answer = await house.call('EchoEverything', input);
  assert.equal(answer.status, 200, answer.text);
  const output = answer.json();
  for (const [name, value] of Object.entries(input)) assert.deepEqual(output[name], value, name);
  assert.equal(output.presetText, 'preset');
  const tree = { root: { name: 'a', children: [{ name: 'b', children: [] }] } };
  assert.deepEqual((await house.call('EchoTree', tree)).json(), tree);
});

test('the OpenAPI document has every method, and its references lead somewhere', async () => {
  const document = (await new RestHouse().ask('GET', '/openapi.json')).json();
  assert.equal(document.openapi, '3.1.0');
  const paths = Object.keys(document.paths as object);
  for (const path of ['/services/shop.v1.Orders/Chat', '/v1/orders', '/v1/orders/{id}', '/v1/orders:watch'])
    assert.ok(paths.includes(path), path);
  const { schemas } = document.components as { schemas: Record<string, unknown> };
  const references = JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g);
  for (const [, name = ''] of references) assert.ok(name in schemas, name);
  const ids = [...JSON.stringify(document).matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length);
});
