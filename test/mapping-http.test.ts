// docs/mapping.md, the rows of HTTP and of server-sent events, cell by cell: real sockets, `fetch`, and MQTT.js for the other
// side.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import mqtt, { type IPublishPacket, type MqttClient } from 'mqtt';
import { Portico } from '../src/portico.ts';
import { EventReader } from '../src/protocols/sse/codec.ts';

let portico: Portico;
let url = '';
let five: MqttClient;
const packets: IPublishPacket[] = [];
const streams: AbortController[] = [];

before(async () => {
  portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    topics: {
      history: [
        { filter: 'brief/#', history: 'none' },
        { filter: '#', history: 'durable' },
      ],
    },
  });
  url = `${portico.urls.http!}/topics`;
  five = await mqtt.connectAsync(portico.urls.mqtt!, { protocolVersion: 5 });
  five.on('message', (_topic, _payload, packet) => void packets.push(packet));
});

after(async () => {
  for (const stream of streams) stream.abort();
  await five.endAsync(true);
  await portico.close();
});

async function until(done: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !done(); waited += 5) {
    assert.ok(waited < 5_000, `${what} did not happen`);
    await pause(5);
  }
}

const publish = (topic: string, payload: string | Buffer, options: mqtt.IClientPublishOptions = {}) =>
  five.publishAsync(topic, payload, { qos: 1, ...options });

const post = (topic: string, body: string, fields: Record<string, string> = {}) =>
  fetch(`${url}/${topic}`, { method: 'POST', body, headers: fields });

interface Line {
  readonly topic?: string;
  readonly payload?: string;
  readonly base64?: string;
  readonly cursor?: string;
  readonly gap?: unknown;
  readonly properties?: string[][];
  readonly contentType?: string;
}

async function lines(path: string): Promise<{ lines: Line[]; cursor: string }> {
  const response = await fetch(`${url}/${path}`);
  const text = await response.text();
  const found = text === '' ? [] : text.trimEnd().split('\n');
  return { lines: found.map((line) => JSON.parse(line) as Line), cursor: response.headers.get('cursor')! };
}

interface Source {
  readonly events: { type: string; data: string; id: string }[];
  readonly status: number;
}

/** Subscribes as an EventSource does. */
async function events(path: string, id = ''): Promise<Source> {
  const abort = new AbortController();
  streams.push(abort);
  const headers = { accept: 'text/event-stream', ...(id === '' ? {} : { 'last-event-id': id }) };
  const response = await fetch(`${url}/${path}`, { headers, signal: abort.signal });
  const found: Source['events'] = [];
  const reader = new EventReader(1_000_000);
  let kept = Buffer.alloc(0);
  const read = async () => {
    for await (const chunk of response.body!) {
      kept = Buffer.concat([kept, chunk]);
      for (let next = reader.read(kept, 0, kept.length); next >= 0; next = reader.read(kept, 0, kept.length)) {
        kept = kept.subarray(next);
        if (reader.isEvent) found.push({ type: reader.type, data: reader.data, id: reader.id });
      }
    }
  };
  // It ends by being aborted.
  if (response.status === 200) read().catch(() => {});
  return { events: found, status: response.status };
}

test('HTTP and SSE, publish and subscribe: POST and PUT to all, the long poll and events hear all', async () => {
  await five.subscribeAsync('web/#', { qos: 1 });
  const source = await events('web/%23');
  const poll = lines('web/%23?wait=5');
  await until(() => portico.topics.matching('web/a') === 3, 'subscribing');
  assert.equal((await post('web/a', 'by POST')).status, 201);
  const { lines: heard, cursor } = await poll;
  assert.deepEqual([heard[0]!.topic, heard[0]!.payload], ['web/a', 'by POST']);
  const put = await fetch(`${url}/web/b`, { method: 'PUT', body: 'by PUT' });
  assert.equal(put.status, 201);
  await publish('web/c', 'by MQTT');
  const expected = ['by POST', 'by PUT', 'by MQTT'];
  await until(() => source.events.length === 3 && packets.length === 3, 'all messages');
  assert.deepEqual(
    source.events.map(({ data }) => data),
    expected,
  );
  assert.deepEqual(
    packets.map(({ payload }) => String(payload)),
    expected,
  );
  const rest = await lines(`web/%23?after=${cursor}&wait=5`);
  assert.deepEqual(
    rest.lines.map(({ payload }) => payload),
    expected.slice(1),
  );
});

test('HTTP and SSE, retained first: GET with Last-Modified and ETag, events named when asked', async () => {
  await publish('held/a', 'by MQTT', { retain: true });
  const got = await fetch(`${url}/held/a`);
  assert.equal(await got.text(), 'by MQTT');
  assert.equal(got.headers.get('etag'), `"${got.headers.get('cursor')}"`);
  assert.ok(Math.abs(Date.parse(got.headers.get('last-modified')!) - Date.now()) < 60_000);
  const again = await fetch(`${url}/held/a`, { headers: { 'if-none-match': got.headers.get('etag')! } });
  assert.equal(again.status, 304);
  await fetch(`${url}/held/b`, { method: 'PUT', body: 'by PUT' });
  for (const [query, type] of [
    ['', 'message'],
    ['?retained=event', 'retained'],
  ] as const) {
    const source = await events(`held/+${query}`);
    await until(() => source.events.length === 2, 'both values');
    assert.deepEqual(source.events.map(({ data }) => data).sort(), ['by MQTT', 'by PUT']);
    assert.ok(source.events.every((event) => event.type === type));
  }
});

test('HTTP and SSE, resume: after, Last-Event-ID, and the cursor that MQTT has too', async () => {
  await post('resume/a', '1');
  const cursor = (await post('resume/a', '2')).headers.get('cursor')!;
  await post('resume/a', '3');
  assert.deepEqual(
    (await lines(`resume/a?after=${cursor}`)).lines.map(({ payload }) => payload),
    ['3'],
  );
  for (const source of [await events('resume/a', cursor), await events(`resume/a?after=${cursor}`)]) {
    await until(() => source.events.length === 1, 'the history');
    assert.equal(source.events[0]!.data, '3');
  }
  packets.length = 0;
  await five.subscribeAsync('resume/a', { qos: 0, properties: { userProperties: { after: cursor } } });
  await until(() => packets.length === 1, 'the history by MQTT');
  assert.equal(String(packets[0]!.payload), '3');
});

test('HTTP and SSE, a gap: the first line, the first event; also where a topic keeps no history', async () => {
  for (const topic of ['nothing/x', 'brief/x']) {
    const [first] = (await lines(`${topic}?after=1000000`)).lines;
    assert.deepEqual(first!.gap, { filter: topic, after: '1000000', from: '0' });
    const source = await events(topic, '1000000');
    await until(() => source.events.length === 1, 'the gap');
    assert.equal(source.events[0]!.type, 'gap');
    assert.deepEqual(JSON.parse(source.events[0]!.data), { gap: first!.gap });
  }
  assert.equal((await post('brief/x', '1')).headers.get('cursor'), null);
});

test('HTTP, acknowledgement: 201 with its cursor after the commit, 202 without waiting', async () => {
  const response = await post('sure/a', '1');
  const page = await portico.topics.history(ANN, 'sure/a', 0, 10);
  assert.ok(typeof page === 'object');
  assert.equal(String(page.messages[0]!.cursor), response.headers.get('cursor'));
  const quick = await post('sure/a', '2', { prefer: 'respond-async' });
  assert.equal(quick.status, 202);
  assert.equal(quick.headers.get('preference-applied'), 'respond-async');
  assert.equal(quick.headers.get('cursor'), null);
  assert.equal((await post('files/a', '1')).status, 403);
});

const ANN = { account: 'ann', scopes: null, origin: 'local' as const, epoch: 0 };

test('HTTP and SSE, content type and properties: as fields, and in the envelope', async () => {
  const plain = await events('kind/a');
  const envelope = await events('kind/a?envelope=json');
  packets.length = 0;
  await five.subscribeAsync('kind/a');
  await fetch(`${url}/kind/a`, {
    method: 'PUT',
    body: '{}',
    headers: { 'content-type': 'application/json', 'x-property-unit': 'C', 'x-expiry': '60' },
  });
  await until(() => plain.events.length + envelope.events.length + packets.length === 3, 'the message');
  const { contentType, userProperties, messageExpiryInterval } = packets[0]!.properties!;
  assert.deepEqual([contentType, { ...userProperties }], ['application/json', { unit: 'C' }]);
  assert.ok(messageExpiryInterval! > 50);
  assert.equal(plain.events[0]!.data, '{}');
  const shown = JSON.parse(envelope.events[0]!.data) as Line;
  assert.deepEqual([shown.contentType, shown.properties], ['application/json', [['unit', 'C']]]);
  const got = await fetch(`${url}/kind/a`);
  assert.equal(got.headers.get('content-type'), 'application/json');
  assert.equal(got.headers.get('x-property-unit'), 'C');
});

test('HTTP and SSE, not text: as it is, base64 in NDJSON, refused or named by events', async () => {
  const bytes = Buffer.from([0, 10, 13, 255, 200]);
  const live = await events('raw/%23');
  await publish('raw/a', bytes, { retain: true });
  assert.deepEqual(Buffer.from(await (await fetch(`${url}/raw/a`)).arrayBuffer()), bytes);
  assert.equal((await lines('raw/a?after=0')).lines[0]!.base64, bytes.toString('base64'));
  assert.equal((await events('raw/a')).status, 406);
  const asked = await events('raw/a?encoding=base64');
  await until(() => asked.events.length + live.events.length === 2, 'both events');
  assert.deepEqual([asked.events[0]!.type, asked.events[0]!.data], ['message', bytes.toString('base64')]);
  assert.deepEqual([live.events[0]!.type, live.events[0]!.data], ['binary', bytes.toString('base64')]);
});
