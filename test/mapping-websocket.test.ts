// docs/mapping.md, the rows of WebSocket, cell by cell: the WebSocket of the platform for topics and portico.json, MQTT.js
// over WebSocket and over TCP for the other side.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import mqtt, { type IPublishPacket, type MqttClient } from 'mqtt';
import { Portico } from '../src/portico.ts';

let portico: Portico;
const clients: { close(): void }[] = [];

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
});

after(async () => {
  for (const client of clients) client.close();
  await portico.close();
});

async function until(done: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !done(); waited += 5) {
    assert.ok(waited < 5_000, `${what} did not happen`);
    await pause(5);
  }
}

interface Said {
  readonly ack?: unknown;
  readonly topic?: string;
  readonly payload?: string;
  readonly base64?: string;
  readonly cursor?: string;
  readonly retained?: boolean;
  readonly history?: string;
  readonly gap?: unknown;
  readonly error?: { outcome: string };
  readonly id?: unknown;
  readonly contentType?: string;
  readonly properties?: unknown;
  readonly message?: Said;
}

interface Json {
  readonly heard: Said[];
  /** Of `heard`, the messages. */
  readonly got: () => string[];
  say(request: object): void;
  /** The answer to a request. */
  ask(request: object): Promise<Said>;
}

let ids = 0;

async function json(): Promise<Json> {
  const socket = new WebSocket(`${portico.urls.ws}/ws`, 'portico.json');
  clients.push(socket);
  const heard: Said[] = [];
  socket.addEventListener('message', ({ data }) => void heard.push(JSON.parse(data as string) as Said));
  await once(socket, 'open');
  const say = (request: object) => socket.send(JSON.stringify(request));
  return {
    heard,
    got: () => heard.flatMap(({ topic, payload }) => (topic === undefined ? [] : `${topic} ${payload}`)),
    say,
    async ask(request) {
      const id = ++ids;
      const is = (said: Said) => said.ack === id || said.id === id;
      say({ ...request, id });
      await until(() => heard.some(is), 'the answer');
      return heard.find(is)!;
    },
  };
}

interface Bare {
  readonly frames: (string | Buffer)[];
  readonly closed: () => { code: number; reason: string } | null;
  send(data: string | Uint8Array): void;
}

/** A socket of one topic, subscribed. */
async function bare(path: string): Promise<Bare> {
  const socket = new WebSocket(`${portico.urls.ws}/topics/${path}`);
  clients.push(socket);
  socket.binaryType = 'arraybuffer';
  const frames: (string | Buffer)[] = [];
  let closed: { code: number; reason: string } | null = null;
  socket.addEventListener('message', ({ data }) =>
    frames.push(typeof data === 'string' ? data : Buffer.from(data as ArrayBuffer)),
  );
  socket.addEventListener('close', ({ code, reason }) => (closed = { code, reason }));
  await once(socket, 'open');
  return { frames, closed: () => closed, send: (data) => socket.send(data) };
}

interface Mqtt {
  readonly client: MqttClient;
  readonly packets: IPublishPacket[];
  readonly got: () => string[];
}

async function overMqtt(address: string, protocolVersion: 4 | 5): Promise<Mqtt> {
  const client = await mqtt.connectAsync(portico.urls[address]!, { protocolVersion, reconnectPeriod: 0 });
  clients.push({ close: () => client.end(true) });
  const packets: IPublishPacket[] = [];
  client.on('message', (_topic, _payload, packet) => packets.push(packet));
  return { client, packets, got: () => packets.map(({ topic, payload }) => `${topic} ${payload}`) };
}

test('WebSocket, publish and subscribe: a topic, portico.json, MQTT over WebSocket and over TCP, each to each', async () => {
  const topic = await bare('each/x');
  const talker = await json();
  await talker.ask({ subscribe: 'each/+' });
  const all: Record<string, Mqtt> = {
    'MQTT 5 over WebSocket': await overMqtt('mqtt-ws', 5),
    'MQTT 3.1.1 over WebSocket': await overMqtt('mqtt-ws', 4),
    'MQTT over TCP': await overMqtt('mqtt', 5),
  };
  for (const { client } of Object.values(all)) await client.subscribeAsync('each/#', { qos: 1 });
  await until(() => portico.topics.matching('each/x') === 5, 'subscribing');
  const expected = ['by topic', 'by portico.json', ...Object.keys(all)];
  topic.send('by topic');
  await until(() => topic.frames.length === 1, 'its own');
  await talker.ask({ publish: 'each/x', payload: 'by portico.json' });
  for (const [name, { client }] of Object.entries(all)) await client.publishAsync('each/x', name, { qos: 1 });
  await until(() => topic.frames.length === expected.length, 'the topic hearing all');
  assert.deepEqual(topic.frames, expected);
  const lines = expected.map((text) => `each/x ${text}`);
  await until(() => talker.got().length === lines.length, 'portico.json hearing all');
  assert.deepEqual(talker.got(), lines);
  for (const [name, { got }] of Object.entries(all)) {
    await until(() => got().length === lines.length, `${name} hearing all`);
    assert.deepEqual(got(), lines, name);
  }
});

test('WebSocket, retained first: set and given by a topic, portico.json and MQTT over WebSocket', async () => {
  const five = await overMqtt('mqtt-ws', 5);
  const talker = await json();
  (await bare('kept/topic?retain=true')).send('1');
  await talker.ask({ publish: 'kept/json', payload: '2', retain: true });
  await five.client.publishAsync('kept/mqtt', '3', { qos: 1, retain: true });
  await until(() => typeof portico.topics.retained(ANN, 'kept/topic') === 'object', 'the frame');
  for (const [name, value] of [
    ['topic', '1'],
    ['json', '2'],
    ['mqtt', '3'],
  ] as const) {
    const reader = await bare(`kept/${name}`);
    await until(() => reader.frames.length === 1, name);
    assert.deepEqual(reader.frames, [value]);
    const found = await talker.ask({ get: `kept/${name}` });
    assert.equal(found.message?.payload, value);
  }
  await talker.ask({ subscribe: 'kept/#' });
  await until(() => talker.got().length === 3, 'retained values');
  assert.ok(talker.heard.every(({ topic, retained }) => topic === undefined || retained === true));
  await five.client.subscribeAsync('kept/#');
  await until(() => five.packets.length === 3, 'retained values by MQTT');
  assert.ok(five.packets.every(({ retain }) => retain));
});

const ANN = { account: 'ann', scopes: null, origin: 'local' as const, epoch: 0 };

test('WebSocket, resume after a cursor: the same cursor by a topic, portico.json, MQTT and HTTP', async () => {
  const talker = await json();
  const cursors: string[] = [];
  for (const payload of ['1', '2', '3']) cursors.push((await talker.ask({ publish: 'past/x', payload })).cursor!);
  const reader = await json();
  await reader.ask({ subscribe: 'past/#', after: cursors[1] });
  await until(() => reader.got().length === 1, 'the history');
  assert.partialDeepStrictEqual(
    reader.heard.filter(({ topic }) => topic !== undefined),
    [{ payload: '3', cursor: cursors[2], history: 'past/#' }],
  );
  const topic = await bare(`past/x?after=${cursors[1]}`);
  await until(() => topic.frames.length === 1, 'the history of the topic');
  assert.deepEqual(topic.frames, ['3']);
  const five = await overMqtt('mqtt-ws', 5);
  await five.client.subscribeAsync('past/x', { qos: 0, properties: { userProperties: { after: cursors[1]! } } });
  await until(() => five.packets.length === 1, 'the history by MQTT');
  assert.deepEqual(five.got(), ['past/x 3']);
  const page = await fetch(`${portico.urls.http}/topics/past/x?after=${cursors[1]}`);
  assert.equal((JSON.parse(await page.text()) as Said).cursor, cursors[2]);
});

test('WebSocket, a gap: said first by portico.json, the close of a topic; also where a topic keeps no history', async () => {
  for (const name of ['gap/x', 'brief/x']) {
    const reader = await json();
    reader.say({ subscribe: name, after: '1000000' });
    await until(() => reader.heard.length > 0, 'the gap');
    assert.deepEqual(reader.heard[0]!.gap, { filter: name, after: '1000000', from: '0' });
    const topic = await bare(`${name}?after=1000000`);
    await until(() => topic.closed() !== null, 'the close');
    assert.deepEqual(topic.closed(), { code: 4000, reason: 'gap: after=1000000 from=0' });
    assert.deepEqual(topic.frames, []);
  }
  const talker = await json();
  assert.equal((await talker.ask({ publish: 'brief/x', payload: '' })).cursor, undefined);
});

test('WebSocket, acknowledgement: ack with its cursor after the commit; a topic closes with why it refused', async () => {
  const talker = await json();
  const { cursor } = await talker.ask({ publish: 'sure/x', payload: '1' });
  const page = await portico.topics.history(ANN, 'sure/x', 0, 10);
  assert.ok(typeof page === 'object');
  assert.equal(String(page.messages[0]!.cursor), cursor);
  assert.equal((await talker.ask({ publish: 'files/x', payload: '' })).error!.outcome, 'DENIED');
  const refused = await bare('files/x');
  refused.send('x');
  await until(() => refused.closed() !== null, 'the close');
  assert.deepEqual(refused.closed(), { code: 1008, reason: 'DENIED: this is not allowed' });
});

test('WebSocket, content type and properties: whole by portico.json and MQTT 5, kept but not shown by a topic', async () => {
  const talker = await json();
  const topic = await bare('typed/x');
  const five = await overMqtt('mqtt-ws', 5);
  await talker.ask({ subscribe: 'typed/x' });
  await five.client.subscribeAsync('typed/x', { qos: 1 });
  const properties = { contentType: 'application/json', userProperties: { unit: 'C' }, responseTopic: 'r' };
  await five.client.publishAsync('typed/x', '{}', { qos: 1, properties });
  talker.say({ publish: 'typed/x', json: [1], properties: [['unit', 'K']], responseTopic: 's', expiresIn: 60_000 });
  await until(() => talker.got().length === 2 && five.packets.length === 2, 'both messages');
  const [by5, byJson] = talker.heard.filter(({ topic }) => topic !== undefined);
  assert.partialDeepStrictEqual(by5, {
    payload: '{}',
    contentType: 'application/json',
    properties: [['unit', 'C']],
    responseTopic: 'r',
  });
  assert.partialDeepStrictEqual(byJson, { payload: '[1]', properties: [['unit', 'K']], responseTopic: 's' });
  const shown = five.packets[1]!.properties!;
  assert.deepEqual([shown.contentType, shown.responseTopic], ['application/json', 's']);
  assert.equal((shown.userProperties as Record<string, string>).unit, 'K');
  assert.ok(shown.messageExpiryInterval! > 50);
  await until(() => topic.frames.length === 2, 'the payloads');
  assert.deepEqual(topic.frames, ['{}', '[1]']);
});

test('WebSocket, not text: a binary frame of a topic, base64 in portico.json', async () => {
  const bytes = Buffer.from([0, 10, 255, 200]);
  const talker = await json();
  const topic = await bare('bytes/x');
  const five = await overMqtt('mqtt-ws', 5);
  await talker.ask({ subscribe: 'bytes/x' });
  await five.client.subscribeAsync('bytes/x');
  topic.send(bytes);
  await talker.ask({ publish: 'bytes/x', base64: bytes.toString('base64') });
  await five.client.publishAsync('bytes/x', bytes, { qos: 1 });
  await until(() => talker.got().length === 3 && topic.frames.length === 3, 'three messages');
  for (const { topic: name, base64 } of talker.heard) if (name !== undefined) assert.equal(base64, 'AAr/yA==');
  for (const frame of topic.frames) assert.deepEqual(frame, bytes);
  await until(() => five.packets.length === 3, 'three messages by MQTT');
  for (const { payload } of five.packets) assert.deepEqual(Buffer.from(payload), bytes);
});
