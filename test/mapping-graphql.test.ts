// docs/mapping.md, the row of GraphQL, cell by cell: mutations by fetch, subscriptions with graphql-ws and graphql-sse, and MQTT.js
// for the other side.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createClient as createEvents } from 'graphql-sse';
import { createClient } from 'graphql-ws';
import mqtt, { type IPublishPacket, type MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import { Portico } from '../src/portico.ts';
import { until } from './clients.ts';
import { ask } from './interop/graphql-house.ts';

interface Shown {
  readonly topic: string;
  readonly payload: string | null;
  readonly base64: string;
  readonly cursor: string | null;
  readonly retained: boolean;
  readonly contentType: string | null;
  readonly responseTopic: string | null;
  readonly correlation: string | null;
  readonly expiry: string | null;
  readonly properties: readonly { readonly name: string; readonly value: string }[];
  readonly gap: { readonly after: string; readonly from: string | null } | null;
}

const FIELDS =
  'topic payload base64 cursor retained contentType responseTopic correlation expiry properties { name value } gap { after from }';
const SUBSCRIBE = `subscription($filter: String!, $after: Int64) { topic(filter: $filter, after: $after) { ${FIELDS} } }`;

let portico: Portico;
let url = '';
let five: MqttClient;
const packets: IPublishPacket[] = [];
const stops: (() => void)[] = [];

before(async () => {
  const history = [
    { filter: 'brief/#', history: 'none' as const },
    { filter: '#', history: 'durable' as const },
  ];
  portico = await Portico.start({ ports: 'ephemeral', storage: 'memory', topics: { history } });
  url = `${portico.urls.http}/graphql`;
  five = await mqtt.connectAsync(portico.urls.mqtt!, { protocolVersion: 5 });
  five.on('message', (_topic, _payload, packet) => packets.push(packet));
});
after(async () => {
  for (const stop of stops) stop();
  await five.endAsync();
  await portico.close();
});

/** Subscribes; which of the carriers is of no matter to what comes. */
function hear(carrier: 'ws' | 'sse', filter: string, after: string | null = null): Shown[] {
  const heard: Shown[] = [];
  const client =
    carrier === 'ws'
      ? createClient({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket, retryAttempts: 0 })
      : createEvents({ url, retryAttempts: 0 });
  const sink = {
    next: ({ data }: { data?: unknown }) => void heard.push((data as { topic: Shown }).topic),
    error: () => {},
    complete: () => {},
  };
  const stop = client.subscribe({ query: SUBSCRIBE, variables: { filter, after } }, sink as never);
  stops.push(() => {
    stop();
    void client.dispose();
  });
  return heard;
}

async function publish(topic: string, payload: string, more = ''): Promise<string | null> {
  const query = `mutation($topic: String!, $payload: String) { publish(topic: $topic, payload: $payload ${more}) { cursor } }`;
  const { data, errors } = await ask(url, query, { topic, payload });
  assert.equal(errors, undefined);
  return (data!.publish as { cursor: string | null }).cursor;
}

test('GraphQL, publish and subscribe: a mutation to MQTT, MQTT to subscriptions over both carriers', async () => {
  await five.subscribeAsync('gq/#', { qos: 1 });
  const all = [hear('ws', 'gq/#'), hear('sse', 'gq/#')];
  await until(() => portico.topics.matching('gq/a') === 3, 'subscribing');
  await publish('gq/a', 'by GraphQL');
  await five.publishAsync('gq/b', 'by MQTT', { qos: 1 });
  await until(() => packets.length === 2 && all.every(({ length }) => length === 2), 'all messages');
  assert.deepEqual(
    packets.map(({ payload }) => String(payload)),
    ['by GraphQL', 'by MQTT'],
  );
  for (const heard of all)
    assert.deepEqual(
      heard.map(({ topic, payload, retained }) => [topic, payload, retained]),
      [
        ['gq/a', 'by GraphQL', false],
        ['gq/b', 'by MQTT', false],
      ],
    );
});

test('GraphQL, retained first: set by a mutation, given by the field and first by a subscription', async () => {
  await publish('held/a', 'kept', 'retain: true');
  const { data } = await ask(url, '{ retained(topic: "held/a") { payload retained } }');
  assert.deepEqual(data, { retained: { payload: 'kept', retained: true } });
  for (const carrier of ['ws', 'sse'] as const) {
    const heard = hear(carrier, 'held/#');
    await until(() => heard.length === 1, 'what is retained');
    assert.deepEqual([heard[0]!.payload, heard[0]!.retained], ['kept', true]);
  }
});

test('GraphQL, resume after a cursor: the same cursor as HTTP has', async () => {
  const posted = await fetch(`${portico.urls.http}/topics/seq/a`, { method: 'POST', body: 'one' });
  const cursor = posted.headers.get('cursor')!;
  const second = await publish('seq/a', 'two');
  for (const carrier of ['ws', 'sse'] as const) {
    const heard = hear(carrier, 'seq/#', cursor);
    await until(() => heard.length === 1, 'what was missed');
    assert.deepEqual([heard[0]!.payload, heard[0]!.cursor], ['two', second]);
  }
});

test('GraphQL, a gap: said first, where the topic keeps no history too', async () => {
  for (const topic of ['nothing/x', 'brief/x'])
    for (const carrier of ['ws', 'sse'] as const) {
      const heard = hear(carrier, topic, '1000000');
      await until(() => heard.length === 1, 'the gap');
      assert.deepEqual(
        [heard[0]!.topic, heard[0]!.payload, heard[0]!.gap],
        [topic, null, { after: '1000000', from: null }],
      );
      assert.equal(await publish('brief/x', 'live'), null);
      if (topic !== 'brief/x') continue;
      await until(() => heard.length === 2, 'what is live');
      assert.deepEqual([heard[1]!.payload, heard[1]!.cursor], ['live', null]);
    }
});

test('GraphQL, acknowledgement: the result with its cursor after the commit', async () => {
  const cursor = await publish('kept/a', 'one');
  const { data } = await ask(url, '{ history(filter: "kept/#") { messages { payload cursor } } }');
  assert.deepEqual(data, { history: { messages: [{ payload: 'one', cursor }] } });
});

test('GraphQL, content type and properties: whole to MQTT 5 and from it', async () => {
  packets.length = 0;
  await five.subscribeAsync('whole/#', { qos: 1 });
  const heard = hear('ws', 'whole/#');
  await until(() => portico.topics.matching('whole/a') === 2, 'subscribing');
  const more = `contentType: "text/plain" properties: [{ name: "room", value: "hall" }, { name: "room", value: "attic" }]
    responseTopic: "answers/1" correlation: "AAE=" expiresIn: 60`;
  await publish('whole/a', 'x', more);
  await until(() => packets.length === 1 && heard.length === 1, 'both');
  const { properties } = packets[0]!;
  assert.deepEqual({ ...properties?.userProperties }, { room: ['hall', 'attic'] });
  assert.deepEqual([properties?.contentType, properties?.responseTopic], ['text/plain', 'answers/1']);
  assert.deepEqual([...properties!.correlationData!], [0, 1]);
  assert.ok(properties!.messageExpiryInterval! <= 60);
  const told = { contentType: 'text/plain', responseTopic: 'answers/1', correlation: 'AAE=' };
  const list = [
    { name: 'room', value: 'hall' },
    { name: 'room', value: 'attic' },
  ];
  const seen = ({ contentType, responseTopic, correlation, properties: given }: Shown) => [
    { contentType, responseTopic, correlation },
    given,
  ];
  assert.deepEqual(seen(heard[0]!), [told, list]);
  assert.ok(Date.parse(heard[0]!.expiry!) > Date.now());
  await five.publishAsync('whole/b', 'y', {
    qos: 1,
    properties: {
      contentType: 'text/plain',
      responseTopic: 'answers/1',
      correlationData: Buffer.from([0, 1]),
      userProperties: { room: ['hall', 'attic'] },
    },
  });
  await until(() => heard.length === 2, 'the one by MQTT');
  assert.deepEqual(seen(heard[1]!), [told, list]);
});

test('GraphQL, not text: base64, and payload is null', async () => {
  const heard = hear('sse', 'raw/#');
  await until(() => portico.topics.matching('raw/a') === 1, 'subscribing');
  await five.publishAsync('raw/a', Buffer.from([0xff, 0]), { qos: 1 });
  await ask(url, 'mutation { publish(topic: "raw/b", base64: "/wA=") { cursor } }');
  await until(() => heard.length === 2, 'both');
  for (const { payload, base64 } of heard) assert.deepEqual([payload, base64], [null, '/wA=']);
});
