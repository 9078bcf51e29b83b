// GraphQL and those who mean no good, or may not: each gets the right error, and nothing of theirs is left behind.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import type { Permissions } from '../../src/core/permissions.ts';
import { ALL, NONE } from '../../src/core/permissions.ts';
import { until } from '../clients.ts';
import { type Answer, ask, type GraphqlHouse, openGraphql } from './graphql-house.ts';

let house: GraphqlHouse;

before(async () => {
  house = await openGraphql();
});
after(async () => {
  await house.close();
  assert.deepEqual(house.bugs, []);
});

async function post(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
  url = house.url,
): Promise<[number, Answer]> {
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
  const text = await response.text();
  return [response.status, text === '' ? {} : (JSON.parse(text) as Answer)];
}

const faultOf = ({ errors }: Answer) => errors?.[0]?.extensions.fault ?? errors?.[0]?.extensions.code;

test('bodies that are no requests', async () => {
  const cases: [string | Uint8Array<ArrayBuffer>, Record<string, string>, number, unknown][] = [
    ['{', {}, 400, 'graphql.notJson'],
    ['', {}, 400, 'graphql.notJson'],
    [new Uint8Array([0x22, 0xff, 0x22]), {}, 400, 'graphql.notJson'],
    ['[]', {}, 400, 'graphql.badParameters'],
    ['[{"query":"{ __typename }"}]', {}, 400, 'graphql.badParameters'],
    ['{"query":7}', {}, 400, 'graphql.badParameters'],
    ['{"query":"{ __typename }","variables":[]}', {}, 400, 'graphql.badParameters'],
    ['{"query":"{ __typename }","operationName":{}}', {}, 400, 'graphql.badParameters'],
    ['{"query":"{ __typename }"}', { 'content-type': 'text/plain' }, 415, 'graphql.mediaTypeUnknown'],
    [
      '{"query":"{ __typename }"}',
      { 'content-type': 'application/json; charset=utf-16' },
      415,
      'graphql.mediaTypeUnknown',
    ],
    ['{"query":"{ __typename }"}', { accept: 'image/png' }, 406, 'graphql.notAcceptable'],
    ['--x--', { 'content-type': 'multipart/form-data; boundary=x' }, 400, 'graphql.badMultipart'],
    ['{"query":"subscription { topic(filter: \\"a\\") { topic } }"}', {}, 200, 'graphql.subscriptionPlain'],
  ];
  for (const [body, headers, status, fault] of cases) {
    const [got, answer] = await post(body, headers);
    assert.deepEqual([got, faultOf(answer)], [status, fault], String(body));
  }
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  assert.equal((await post(`{"query":"{ __typename }","variables":{"a":${deep}}}`))[0], 200);
  assert.equal((await post(`{"query":${JSON.stringify(`{ ordersEchoTree(root: ${'['.repeat(50_000)}`)}}`))[0], 200);
});

test('methods and sizes that are not for it', async () => {
  assert.equal((await fetch(house.url, { method: 'PATCH' })).status, 405);
  const get = await fetch(`${house.url}?query=${encodeURIComponent('mutation { unretain(topic: "a") { cursor } }')}`);
  assert.deepEqual([get.status, get.headers.get('allow')], [405, 'POST']);
  const small = await openGraphql({ limits: { requestBytesMax: 64 } });
  const long = (length: number) => post(`{"query":"{ __typename }"${' '.repeat(length - 26)}}`, {}, small.url);
  assert.equal((await long(64))[0], 200);
  assert.equal((await long(65))[0], 413);
  await small.close();
});

test('documents that ask for too much, by every way in', async () => {
  const aliases = `{ ${Array.from({ length: 60 }, (_, at) => `a${at}: __typename`).join(' ')} }`;
  const calls = `mutation { ${Array.from({ length: 40 }, (_, at) => `a${at}: ordersFail(how: "OK") { ok }`).join(' ')} }`;
  let deep = '{ name }';
  for (let level = 0; level < 30; level++) deep = `{ children ${deep} }`;
  const documents: Record<string, string> = {
    'graphql.aliasesTooMany': aliases,
    'graphql.rootsTooMany': calls,
    'graphql.tooDeep': `{ ordersEchoTree(root: { name: "" }) { root ${deep} } }`,
    'graphql.fragmentCycle':
      '{ ordersWhoAmI { ...A } } fragment A on WhoAmIResponse { ...B } fragment B on WhoAmIResponse { ...A }',
    'graphql.tokensTooMany': `{ ${'a '.repeat(5_000)} }`,
  };
  for (const [fault, query] of Object.entries(documents)) {
    const [status, answer] = await post(JSON.stringify({ query }), { accept: 'application/graphql-response+json' });
    assert.deepEqual([status, faultOf(answer)], [400, fault]);
    const events = await fetch(house.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query }),
    });
    assert.ok((await events.text()).includes(fault));
    const socket = new WebSocket(house.socketUrl, 'graphql-transport-ws');
    socket.on('open', () => socket.send('{"type":"connection_init"}'));
    const heard = await new Promise<string>((resolve) =>
      socket.on('message', (data) => {
        if (!String(data).includes('connection_ack')) resolve(String(data));
        else socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
      }),
    );
    assert.ok(heard.includes('"type":"error"') && heard.includes(fault));
    socket.terminate();
  }
});

test('a client that goes while it is answered ends the handler', async () => {
  for (const accept of ['application/json', 'text/event-stream']) {
    const body = '{"query":"mutation { a: ordersFail(how: \\"HANG\\") { ok } b: ordersFail(how: \\"OK\\") { ok } }"}';
    const socket = connect(house.port, '127.0.0.1');
    socket.on('error', () => {});
    const head = `POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: ${accept}\r\n`;
    socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
    await until(() => house.services.figures.running === 1, 'a call');
    socket.resetAndDestroy();
    await until(() => house.services.figures.running === 0, 'its end');
  }
});

test('frames that are cut anywhere, and a socket that is torn, leave nothing', async () => {
  for (const cut of [1, 5, 9, 40, 90]) {
    const socket = connect(house.port, '127.0.0.1');
    socket.write(
      'GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
    );
    await new Promise((resolve) => socket.once('data', resolve));
    const frame = (text: string) =>
      Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
    const query =
      '{"id":"1","type":"subscribe","payload":{"query":"subscription{ordersWatchOrders(follow:true){id}}"}}';
    const said = Buffer.concat([frame('{"type":"connection_init"}'), frame(query), frame('{"type":"ping"}')]);
    socket.write(said.subarray(0, said.length - cut));
    await until(() => house.services.figures.open === 1 || cut > 21, 'a call');
    socket.destroy();
    await until(() => house.services.figures.open === 0, 'its end');
  }
  await until(() => house.sockets() < 20, 'the end of the sockets');
});

test('streams of events: so many and no more; another account’s is not found', async () => {
  const small = await openGraphql({ limits: { streamsMax: 2, socketOperationsMax: 1 } });
  const reserve = (name: string) =>
    fetch(small.url, {
      method: 'PUT',
      headers: { authorization: `Basic ${Buffer.from(`${name}:x`).toString('base64')}` },
    });
  const ann = await reserve('ann');
  assert.equal(ann.status, 201);
  const token = await ann.text();
  assert.equal((await reserve('ann')).status, 201);
  assert.equal((await reserve('ann')).status, 503);
  const begin = (name: string, id?: string) =>
    post(
      JSON.stringify({
        query: 'subscription { ordersWatchOrders(follow: true) { id } }',
        extensions: { operationId: id },
      }),
      { 'x-graphql-event-stream-token': token, authorization: `Basic ${Buffer.from(`${name}:x`).toString('base64')}` },
      small.url,
    );
  assert.equal((await begin('bob', '1'))[0], 404);
  assert.equal((await begin('ann'))[0], 400);
  assert.equal((await begin('ann', '1'))[0], 202);
  assert.equal((await begin('ann', '1'))[0], 409);
  assert.equal((await begin('ann', '2'))[0], 429);
  assert.equal(small.services.figures.open, 1);
  await small.close();
});

test('a stream that is reserved and not opened does not grow without end', async () => {
  const token = await (await fetch(house.url, { method: 'PUT' })).text();
  const variables = { root: { name: 'x'.repeat(200_000) } };
  const query = 'query($root: TreeInput!) { ordersEchoTree(root: $root) { root { name } } }';
  const statuses: number[] = [];
  for (let id = 0; id < 12; id++) {
    const body = JSON.stringify({ query, variables, extensions: { operationId: String(id) } });
    statuses.push((await post(body, { 'x-graphql-event-stream-token': token }))[0]);
  }
  assert.deepEqual([statuses[0], statuses.at(-1)], [202, 429]);
  const opened = await fetch(house.url, {
    headers: { accept: 'text/event-stream', 'x-graphql-event-stream-token': token },
  });
  assert.equal(opened.status, 200);
  await opened.body!.cancel();
});

/** May call what reads, and nothing else. */
const READER: Permissions = {
  epoch: 1,
  may: (_caller, verb, kind, name) => verb === 'call' && kind === 'services' && /GetOrder|WhoAmI/.test(name),
  covers: (_caller, verb) => (verb === 'administer' ? NONE : ALL),
};

test('what a caller may not call is FORBIDDEN where it stands, and not told by introspection', async () => {
  const strict = await openGraphql({ permissions: READER });
  const query = '{ ordersWhoAmI { account } tree: ordersEchoTree(root: { name: "x" }) { root { name } } }';
  for (const [account, code] of [
    ['', 'UNAUTHENTICATED'],
    ['ann', 'FORBIDDEN'],
  ] as const) {
    const authorization = `Basic ${Buffer.from(`${account}:x`).toString('base64')}`;
    const said: Record<string, string> = account === '' ? {} : { authorization };
    const [, { data, errors }] = await post(JSON.stringify({ query }), said, strict.url);
    assert.deepEqual(data, { ordersWhoAmI: { account }, tree: null });
    assert.deepEqual(
      errors?.map(({ path, extensions }) => [path, extensions.code]),
      [[['tree'], code]],
    );
  }
  const written = await ask(strict.url, 'mutation { publish(topic: "a", payload: "b") { cursor } }');
  assert.equal(written.errors?.[0]?.extensions.code, 'UNAUTHENTICATED');
  const told = await ask(
    strict.url,
    '{ __schema { queryType { fields { name } } mutationType { fields { name } } } ordersWhoAmI { account } __type(name: "Tree") { name } }',
  );
  const schema = told.data!.__schema as Record<string, { fields: { name: string }[] }>;
  assert.deepEqual(
    schema.queryType!.fields.map(({ name }) => name),
    ['retained', 'history', 'ordersGetOrder', 'ordersWhoAmI'],
  );
  assert.deepEqual(
    schema.mutationType!.fields.map(({ name }) => name),
    ['publish', 'unretain'],
  );
  assert.deepEqual([told.data!.ordersWhoAmI, told.data!.__type], [{ account: '' }, null]);
  await strict.close();
});

/** A WebSocket that opens a subscription and then reads nothing. */
async function deaf(port: number, query: string): Promise<ReturnType<typeof connect>> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    'GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
  );
  await new Promise((resolve) => socket.once('data', resolve));
  socket.pause();
  for (const text of [
    '{"type":"connection_init"}',
    JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }),
  ]) {
    const length = text.length < 126 ? [0x80 | text.length] : [0xfe, text.length >> 8, text.length & 0xff];
    socket.write(Buffer.concat([Buffer.from([0x81, ...length, 0, 0, 0, 0]), Buffer.from(text)]));
  }
  return socket;
}

test('whoever does not read is not waited for: topics end with BUSY, services wait', async () => {
  const small = await openGraphql({ limits: { queueMessagesMax: 10 } });
  const topic = await deaf(small.port, 'subscription { topic(filter: "flood") { payload } }');
  await until(() => small.topics.figures.attached === 1, 'a subscriber');
  const caller = { account: '', scopes: null, origin: 'local' as const, epoch: 0 };
  const payload = Buffer.alloc(100_000, 'x');
  for (let sent = 0; sent < 2_000 && small.topics.figures.attached === 1; sent++)
    await new Promise<void>((resolve) =>
      small.topics.publish(
        caller,
        { topic: 'flood', payload, text: true, assurance: 0 },
        { settled: () => resolve() },
        0,
      ),
    );
  assert.equal(small.topics.figures.attached, 0);
  let heard = '';
  topic.on('data', (data) => (heard = `${heard.slice(-1_000)}${data.toString('latin1')}`));
  topic.resume();
  await until(() => heard.includes('"type":"complete"'), 'its end');
  assert.match(heard, /"code":"BUSY","fault":"graphql.tooSlow"/);
  topic.destroy();
  const stream = await deaf(small.port, 'subscription { ordersCount(count: 10000, size: 10000) { index filler } }');
  await until(() => small.services.figures.running === 1, 'a call');
  let count = 0;
  stream.on('data', (data) => (count += data.toString('latin1').split('"index":').length - 1));
  stream.resume();
  await until(() => small.services.figures.running === 0, 'its end');
  await until(() => count > 9_900, 'all of it');
  stream.destroy();
  assert.deepEqual(small.bugs, []);
  await small.close();
});

test('limits of uploads, reservations and history', async () => {
  const small = await openGraphql({ limits: { uploadBytesMax: 500, reservedMs: 100, historyMax: 2 } });
  const upload = (files: number, bytes: number) => {
    const form = new FormData();
    const names = Array.from({ length: files }, (_, at) => `f${at}`);
    const query = `mutation(${names.map((name) => `$${name}: Base64`).join(' ')}) { a: publish(topic: "u", base64: $f0) { cursor } }`;
    form.set('operations', JSON.stringify({ query, variables: Object.fromEntries(names.map((name) => [name, null])) }));
    form.set('map', JSON.stringify(Object.fromEntries(names.map((name) => [name, [`variables.${name}`]]))));
    for (const name of names) form.set(name, new Blob(['x'.repeat(bytes)]));
    return fetch(small.url, { method: 'POST', body: form });
  };
  assert.equal((await upload(1, 600)).status, 413);
  const token = await (await fetch(small.url, { method: 'PUT' })).text();
  const open = () =>
    fetch(small.url, { headers: { accept: 'text/event-stream', 'x-graphql-event-stream-token': token } });
  const reserved = performance.now();
  await until(() => performance.now() - reserved > 150, 'the end of the reservation');
  assert.equal((await open()).status, 404);
  for (const payload of ['1', '2', '3'])
    await ask(small.url, `mutation { publish(topic: "h", payload: "${payload}") { cursor } }`);
  const { data } = await ask(small.url, '{ history(filter: "h", first: 100) { messages { payload } } }');
  assert.equal((data!.history as { messages: unknown[] }).messages.length, 2);
  await small.close();
});
