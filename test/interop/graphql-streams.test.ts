// Subscriptions: over graphql-transport-ws with the client graphql-ws, over SSE in both modes with graphql-sse, with curl.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createClient as createEvents } from 'graphql-sse';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { missing, Program, until } from '../clients.ts';
import { ask, type GraphqlHouse, openGraphql } from './graphql-house.ts';

let house: GraphqlHouse;

before(async () => {
  house = await openGraphql({ limits: { keepAliveMs: 200 } });
});
after(async () => {
  await house.close();
  assert.deepEqual(house.bugs, []);
});

/** Nothing runs any more, and no call is remembered. */
async function quiet(): Promise<void> {
  await until(() => house.services.figures.running === 0 && house.services.figures.open === 0, 'an end of all calls');
}

function overSocket(): Client {
  return createClient({ url: house.socketUrl, webSocketImpl: WebSocket, retryAttempts: 0 });
}

interface Heard {
  readonly values: unknown[];
  readonly done: Promise<void>;
  stop(): void;
}

type Subscribing = Pick<Client, 'subscribe'>;

function hear(client: Subscribing, query: string, variables: Record<string, unknown> = {}): Heard {
  const values: unknown[] = [];
  let stop = () => {};
  const done = new Promise<void>((resolve, reject) => {
    stop = client.subscribe(
      { query, variables },
      { next: (value) => values.push(value), error: reject, complete: resolve },
    );
  });
  return { values, done, stop: () => stop() };
}

const clients: Record<string, () => Subscribing & { dispose(): void | Promise<void> }> = {
  'graphql-ws': overSocket,
  'graphql-sse, a stream each': () => createEvents({ url: house.url, retryAttempts: 0 }),
  'graphql-sse, one stream': () => createEvents({ url: house.url, singleConnection: true, retryAttempts: 0 }),
};

for (const [name, make] of Object.entries(clients)) {
  test(`${name}: a query, a mutation, and an error`, async () => {
    const client = make();
    const query = hear(client, '{ ordersWhoAmI { hasDeadline } }');
    await query.done;
    assert.equal(query.values.length, 1);
    const failing = hear(client, 'mutation { ordersFail(how: "NOT_FOUND", message: "no") { ok } }');
    await failing.done;
    const [answer] = failing.values as { data: unknown; errors: { extensions: { code: string } }[] }[];
    assert.deepEqual(answer!.data, { ordersFail: null });
    assert.equal(answer!.errors[0]!.extensions.code, 'NOT_FOUND');
    await client.dispose();
  });

  test(`${name}: a stream that ends`, async () => {
    const client = make();
    const { values, done } = hear(
      client,
      'subscription($n: Int!) { ordersCount(count: $n, size: 3) { index filler } }',
      {
        n: 500,
      },
    );
    await done;
    assert.equal(values.length, 500);
    assert.deepEqual(values[499], { data: { ordersCount: { index: 499, filler: 'xxx' } } });
    await client.dispose();
    await quiet();
  });

  test(`${name}: many inputs and many answers`, async () => {
    const client = make();
    const { values, done } = hear(
      client,
      'subscription { ordersChat(inputs: [{ text: "a" }, { text: "b" }]) { text index } }',
    );
    await done;
    assert.deepEqual(values, [
      { data: { ordersChat: { text: 'you said a', index: 0 } } },
      { data: { ordersChat: { text: 'you said b', index: 1 } } },
    ]);
    await client.dispose();
  });

  test(`${name}: who stops ends the handler`, async () => {
    const client = make();
    const stream = hear(client, 'subscription { ordersWatchOrders(follow: true) { id } }');
    await until(() => house.services.figures.open === 1, 'a call');
    stream.stop();
    await quiet();
    await client.dispose();
  });

  test(`${name}: who goes away ends the handler`, async () => {
    const client = make();
    const stream = hear(client, 'subscription { ordersWatchOrders(follow: true) { id } }');
    stream.done.catch(() => {});
    await until(() => house.services.figures.open === 1, 'a call');
    await client.dispose();
    await quiet();
  });

  test(`${name}: a topic, what is retained first, and behind a cursor`, async () => {
    const client = make();
    const topic = `t/${name.length}`;
    const publish = async (payload: string, retain = false) => {
      const query =
        'mutation($topic: String!, $payload: String, $retain: Boolean) { publish(topic: $topic, payload: $payload, retain: $retain) { cursor } }';
      const { data } = await ask(house.url, query, { topic, payload, retain });
      return (data!.publish as { cursor: string }).cursor;
    };
    const first = await publish('one', true);
    const fields = '{ topic payload retained cursor gap { after } }';
    const live = hear(client, `subscription($f: String!) { topic(filter: $f) ${fields} }`, { f: `${topic}/#` });
    await until(() => live.values.length === 1, 'the retained value');
    const second = await publish('two');
    await until(() => live.values.length === 2, 'the second');
    const seen = (payload: string, cursor: string, retained: boolean) => ({
      data: { topic: { topic, payload, retained, cursor, gap: null } },
    });
    assert.deepEqual(live.values, [seen('one', first, true), seen('two', second, false)]);
    live.stop();
    const late = hear(
      client,
      `subscription($f: String!, $after: Int64) { topic(filter: $f, after: $after) ${fields} }`,
      {
        f: topic,
        after: first,
      },
    );
    await until(() => late.values.length === 1, 'what was missed');
    assert.deepEqual(late.values, [seen('two', second, false)]);
    late.stop();
    await until(() => house.topics.figures.attached === 0, 'the end of the subscriptions');
    await client.dispose();
  });
}

test('a hundred on one socket, all at once', async () => {
  const client = overSocket();
  const all = Array.from({ length: 100 }, () => hear(client, 'subscription { ordersCount(count: 50) { index } }'));
  await Promise.all(all.map(({ done }) => done));
  for (const { values } of all) assert.equal(values.length, 50);
  await client.dispose();
});

test('a document that is refused ends its operation, and no other', async () => {
  const client = overSocket();
  const refused = hear(client, '{ nothing }');
  await assert.rejects(refused.done, (errors: { message: string }[]) => /nothing/.test(errors[0]!.message));
  const next = hear(client, '{ __typename }');
  await next.done;
  assert.deepEqual(next.values, [{ data: { __typename: 'Query' } }]);
  await client.dispose();
});

/** What a bare socket hears until it is closed. */
async function talk(
  say: (socket: WebSocket, message: string) => void,
  first = true,
): Promise<{ code: number; heard: string[] }> {
  const socket = new WebSocket(house.socketUrl, 'graphql-transport-ws');
  const heard: string[] = [];
  socket.on('open', () => first && socket.send('{"type":"connection_init"}'));
  socket.on('message', (data) => {
    heard.push(String(data));
    say(socket, String(data));
  });
  if (!first) socket.on('open', () => say(socket, ''));
  const code = await new Promise<number>((resolve) => socket.on('close', resolve));
  return { code, heard };
}

const SUBSCRIBE =
  '{"id":"1","type":"subscribe","payload":{"query":"subscription { topic(filter: \\"x\\") { payload } }"}}';

test('each breach has its close code', async () => {
  const codes: [number, boolean, (socket: WebSocket, message: string) => void][] = [
    [4400, true, (socket) => socket.send('{')],
    [4400, true, (socket) => socket.send('{"type":"start"}')],
    [4400, true, (socket) => socket.send(Buffer.from('{"type":"ping"}'))],
    [4400, true, (socket) => socket.send('{"type":"subscribe","payload":{}}')],
    [4401, false, (socket) => socket.send(SUBSCRIBE)],
    [4429, true, (socket) => socket.send('{"type":"connection_init"}')],
    [4409, true, (socket) => (socket.send(SUBSCRIBE) as undefined) ?? socket.send(SUBSCRIBE)],
  ];
  for (const [code, first, say] of codes) assert.equal((await talk(say, first)).code, code);
});

test('a socket that begins with nothing is closed with 4408, one that answers no ping with 4499', async () => {
  const short = await openGraphql({ limits: { initMs: 50, keepAliveMs: 100 } });
  const codeOf = (init: boolean) => {
    const socket = new WebSocket(short.socketUrl, 'graphql-transport-ws');
    if (init) socket.on('open', () => socket.send('{"type":"connection_init"}'));
    return new Promise<number>((resolve) => socket.on('close', resolve));
  };
  assert.deepEqual(await Promise.all([codeOf(false), codeOf(true)]), [4408, 4499]);
  await short.close();
});

test('a ping is answered with its payload', async () => {
  const { heard } = await talk((socket, message) => {
    if (message.includes('connection_ack')) socket.send('{"type":"ping","payload":{"n":1}}');
    else socket.close();
  });
  assert.deepEqual(heard, ['{"type":"connection_ack"}', '{"type":"pong","payload":{"n":1}}']);
});

test('curl hears events', { skip: missing('curl') }, async () => {
  const query = encodeURIComponent('subscription { topic(filter: "curl/#") { payload } }');
  const stream = new Program('curl', [
    '-sSN',
    '--max-time',
    '20',
    '-H',
    'Accept: text/event-stream',
    `${house.url}?query=${query}`,
  ]);
  await until(() => house.topics.figures.attached === 1, 'a subscriber');
  await ask(house.url, 'mutation { publish(topic: "curl/a", payload: "hello") { cursor } }');
  await until(() => stream.out.includes('hello'), 'the event');
  assert.ok(stream.out.includes('event: next\ndata: {"data":{"topic":{"payload":"hello"}}}\n\n'));
  stream.kill();
  await stream.done;
  await until(() => house.topics.figures.attached === 0, 'an end');
});
