// The clients of the library against a server: what one publishes the others are given.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { HttpClient } from '../src/exports/http.ts';
import * as lines from '../src/exports/lines.ts';
import * as mqtt from '../src/exports/mqtt.ts';
import * as sse from '../src/exports/sse.ts';
import * as websocket from '../src/exports/websocket.ts';
import { Portico } from '../src/portico.ts';

const TIMEOUT = { timeout: 20_000 };

let portico: Portico;
before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
});
after(() => portico.close());

const url = (name: string) => portico.urls[name]!;

async function take<Item>(from: AsyncIterable<Item>, count: number): Promise<Item[]> {
  const iterator = from[Symbol.asyncIterator]();
  const items: Item[] = [];
  while (items.length < count) {
    const { value, done } = await iterator.next();
    assert.equal(done, false, `ended after ${items.length} of ${count}`);
    items.push(value as Item);
  }
  return items;
}

test('mqtt, lines and websocket publish and subscribe; http reads; sse goes on behind a cursor', TIMEOUT, async () => {
  await using m = await mqtt.connect(url('mqtt'));
  await using l = await lines.connect(url('lines'));
  await using w = await websocket.connectTopics(url('ws'));
  using e = await sse.connect(`${url('http')}/topics/lib/%23?envelope=json`);
  for (const one of [m, l, w]) await one.subscribe('lib/#');
  await m.publish('lib/mqtt', 'one', { retain: true, contentType: 'text/plain', properties: [['a', 'b']] });
  const second = await l.publish('lib/lines', 'two');
  const third = await w.publish('lib/ws', 'three', { contentType: 'text/x' });
  assert.ok(second !== null && third !== null && third > second);
  const expected = ['lib/mqtt one', 'lib/lines two', 'lib/ws three'];
  for (const one of [m, l, w])
    assert.deepEqual(
      (await take(one, 3)).map(({ topic, payload }) => `${topic} ${payload}`),
      expected,
    );
  const events = (await take(e, 3)).map(({ data }) => JSON.parse(data) as { topic: string; payload: string });
  assert.deepEqual(
    events.map(({ topic, payload }) => `${topic} ${payload}`),
    expected,
  );
  assert.equal(e.lastEventId, String(third));

  const kept = await w.get('lib/mqtt');
  assert.deepEqual(
    [kept?.payload.toString(), kept?.contentType, kept?.properties],
    ['one', 'text/plain', [['a', 'b']]],
  );
  assert.equal((await l.last('lib/mqtt'))?.payload.toString(), 'one');
  assert.deepEqual([await w.get('lib/none'), await l.last('lib/none')], [null, null]);
  using http = new HttpClient();
  const value = await http.fetch(`${url('http')}/topics/lib/mqtt`);
  assert.deepEqual([await value.text(), value.headers.get('content-type')], ['one', 'text/plain']);

  await using again = await lines.connect(url('lines'));
  await again.subscribe('lib/#', { after: second });
  assert.deepEqual(
    (await take(again, 1)).map(({ payload, cursor }) => [payload.toString(), cursor]),
    [['three', third]],
  );
  await using old = await mqtt.connect(url('mqtt'), { version: 4, clientId: 'old' });
  await old.subscribe('lib/mqtt');
  assert.equal((await take(old, 1))[0]!.retained, true);
});

test('what is refused is a RefusedError, and nobody there a ConnectionError', TIMEOUT, async () => {
  await using m = await mqtt.connect(url('mqtt'));
  await assert.rejects(m.publish('$SYS/x', ''), { name: 'RefusedError', code: 0x87 });
  await using l = await lines.connect(url('lines'));
  await assert.rejects(l.publish('$SYS/x', ''), { name: 'RefusedError', outcome: 'DENIED' });
  const refused = new Promise<lines.RefusedError>((resolve) => {
    l.onRefused = resolve;
  });
  await l.send('$SYS/x', '');
  assert.equal((await refused).outcome, 'DENIED');
  await using w = await websocket.connectTopics(url('ws'));
  await assert.rejects(w.publish('$SYS/x', ''), { name: 'RefusedError', outcome: 'DENIED' });
  await assert.rejects(sse.connect(`${url('http')}/topics/a%2F%23%2Fb`), { name: 'RefusedError', code: 400 });
  await assert.rejects(sse.connect(`${url('http')}/healthz`), { name: 'RefusedError' });
  await assert.rejects(websocket.connect(`${url('ws')}/none`), {
    name: 'RefusedError',
    code: 404,
  });
  for (const connect of [
    () => mqtt.connect('mqtt://127.0.0.1:1'),
    () => lines.connect('tcp://127.0.0.1:1'),
    () => websocket.connect('ws://127.0.0.1:1'),
    () => sse.connect('http://127.0.0.1:1'),
  ])
    await assert.rejects(connect(), { name: 'ConnectionError' });
  assert.throws(() => mqtt.connect('tcp://127.0.0.1:1'), TypeError);
});

test('a WebSocket of the ws package: both ways, compressed, held back, closed with a code', TIMEOUT, async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: { threshold: 0 } });
  await once(server, 'listening');
  server.on('connection', (socket) => {
    socket.on('message', (data, binary) => {
      if (!binary && String(data) === 'flood') for (let at = 0; at < 5_000; at++) socket.send(`${at}`);
      else socket.send(data, { binary });
    });
  });
  const socket = await websocket.connect(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/x?y`);
  await socket.send('text ä');
  await socket.send(Buffer.from([0, 255]));
  const long = 'x'.repeat(1_000_000);
  await socket.send(long);
  assert.deepEqual(await take(socket, 3), ['text ä', Buffer.from([0, 255]), long]);
  await socket.send('flood');
  assert.deepEqual(
    await take(socket, 5_000),
    Array.from({ length: 5_000 }, (_, at) => `${at}`),
  );
  assert.deepEqual(await socket.close(3_001, 'enough'), { code: 3_001 });
  await assert.rejects(socket.send('x'), { name: 'ConnectionError' });
  server.close();
});

test('a stream of events that is cut off is asked for again behind its last id, until 204', TIMEOUT, async () => {
  const asked: (string | undefined)[] = [];
  const answers: ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(503, { 'retry-after': '0' }).end(),
    (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('retry: 5\nid: 1\ndata: a\n\nid: 2\n\nid: 3\ndata: not who');
      setTimeout(() => response.destroy(), 20);
    },
    (response) => response.destroy(),
    (response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: b\n\n'),
    (response) => response.writeHead(204).end(),
  ];
  const server = createServer((request, response) => {
    asked.push(request.headers['last-event-id'] as string | undefined);
    answers.shift()!(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const got: string[] = [];
  const events = await sse.connect(at, { retryMs: 1 });
  for await (const { data, id } of events) got.push(`${data} ${id}`);
  assert.deepEqual(got, ['a 1', 'b 2']);
  assert.deepEqual(asked, [undefined, undefined, '2', '2', '2']);
  server.closeAllConnections();
  server.close();
});

test('who leaves a stream of events ends it', TIMEOUT, async () => {
  let ended = 0;
  const server = createServer((_request, response) => {
    response.on('close', () => ended++);
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: a\n\n');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  for await (const { data } of await sse.connect(at)) {
    assert.equal(data, 'a');
    break;
  }
  const closing = await sse.connect(at);
  const all = (async () => {
    for await (const _event of closing) closing.close();
  })();
  await all;
  const cancelled = new AbortController();
  const waiting = await sse.connect(at, { signal: cancelled.signal });
  const iterator = waiting[Symbol.asyncIterator]();
  await iterator.next();
  cancelled.abort(new Error('enough'));
  await assert.rejects(iterator.next(), /enough/);
  for (let round = 0; ended < 3; round++) {
    assert.ok(round < 200, `${ended} of 3 streams were ended`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  server.close();
});
