// docs/mapping.md, cell by cell: what comes in by one protocol is there by all the others. Real sockets, and MQTT.js for
// MQTT; each test is named as the page names it.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import mqtt, { type IPublishPacket, type MqttClient } from 'mqtt';
import { Portico } from '../src/portico.ts';

let portico: Portico;
const clients: { close(): void }[] = [];

before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
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

const connected = (client: MqttClient): Promise<void> =>
  new Promise((resolve) => client.once('connect', () => resolve()));

/** A subscriber of any protocol: what it got, as `topic payload`. */
interface Listener {
  readonly got: string[];
  /** Of MQTT only. */
  readonly packets?: readonly IPublishPacket[];
}

const portOf = (name: string) => Number(new URL(portico.urls[name]!.replace(/^[a-z]+:/, 'http:')).port);

async function mqttClient(version: 4 | 5): Promise<MqttClient & { packets: IPublishPacket[]; got: string[] }> {
  const client = mqtt.connect(portico.urls.mqtt!, { protocolVersion: version });
  const packets: IPublishPacket[] = [];
  const got: string[] = [];
  client.on('message', (topic, payload, packet) => {
    packets.push(packet);
    got.push(`${topic} ${payload.toString()}`);
  });
  clients.push({ close: () => client.end(true) });
  await connected(client);
  return Object.assign(client, { packets, got });
}

async function linesClient(): Promise<Listener & { say(line: string): void; told: string[] }> {
  const socket = connect(portOf('lines'), '127.0.0.1');
  clients.push({ close: () => socket.destroy() });
  await once(socket, 'connect');
  const got: string[] = [];
  const told: string[] = [];
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
    const lines = text.split('\n');
    text = lines.pop()!;
    for (const line of lines) (/^[+-]/.test(line) ? told : got).push(line);
  });
  return { got, told, say: (line) => void socket.write(`${line}\n`) };
}

async function udpClient(): Promise<Listener & { say(line: string): void; told: string[] }> {
  const socket = createSocket('udp4');
  clients.push({ close: () => socket.close() });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const got: string[] = [];
  const told: string[] = [];
  socket.on('message', (datagram) => {
    const line = String(datagram).trimEnd();
    (/^[+-]/.test(line) ? told : got).push(line);
  });
  return { got, told, say: (line) => void socket.send(line, portOf('udp'), '127.0.0.1') };
}

/** Everybody who can subscribe, subscribed to a filter. */
async function everybody(filter: string): Promise<Record<string, Listener>> {
  const four = await mqttClient(4);
  const five = await mqttClient(5);
  const lines = await linesClient();
  const udp = await udpClient();
  await four.subscribeAsync(filter, { qos: 1 });
  await five.subscribeAsync(filter, { qos: 2 });
  lines.say(`SUB! ${filter}`);
  udp.say(`SUB! ${filter}`);
  await until(() => lines.told.length > 0 && udp.told.length > 0, 'subscribing');
  return { 'MQTT 3.1.1': four, 'MQTT 5': five, 'lines over TCP': lines, UDP: udp };
}

test('publish and subscribe: from each protocol to each', async () => {
  const listeners = await everybody('map/+');
  const four = await mqttClient(4);
  const five = await mqttClient(5);
  const lines = await linesClient();
  const udp = await udpClient();
  const publishers: Record<string, (topic: string, text: string) => unknown> = {
    'MQTT 3.1.1': (topic, text) => four.publishAsync(topic, text, { qos: 2 }),
    'MQTT 5': (topic, text) => five.publishAsync(topic, text, { qos: 1 }),
    'lines over TCP': (topic, text) => lines.say(`PUB ${topic} ${text}`),
    UDP: (topic, text) => udp.say(`PUB ${topic} ${text}`),
  };
  for (const [from, publish] of Object.entries(publishers)) {
    const expected = `map/a from ${from}`;
    await publish('map/a', `from ${from}`);
    for (const [to, { got }] of Object.entries(listeners))
      await until(() => got.includes(expected), `${from} to ${to}`);
  }
  for (const { got } of Object.values(listeners)) assert.equal(got.length, 4);
});

test('retained first: set by each protocol, given by each', async () => {
  const five = await mqttClient(5);
  const lines = await linesClient();
  const udp = await udpClient();
  await five.publishAsync('kept/mqtt', '1', { qos: 1, retain: true });
  lines.say('PUT! kept/lines 2');
  await until(() => lines.told.length > 0, 'the answer');
  udp.say('PUT kept/udp 3');
  await until(() => typeof portico.topics.retained(ANN, 'kept/udp') === 'object', 'the datagram');
  await pause(50);
  const listeners = await everybody('kept/#');
  for (const [to, { got }] of Object.entries(listeners)) {
    await until(() => got.length >= 3, `retained values to ${to}`);
    assert.deepEqual([...got].sort(), ['kept/lines 2', 'kept/mqtt 1', 'kept/udp 3'], to);
  }
  lines.say('LAST kept/mqtt');
  await until(() => lines.got.includes('kept/mqtt 1'), 'LAST');
  const flags = listeners['MQTT 5']!.packets!.map(({ retain }) => retain);
  assert.deepEqual(flags, [true, true, true]);
});

const ANN = { account: 'ann', scopes: null, origin: 'local' as const, epoch: 0 };

test('resume after a cursor: the same cursor by MQTT 5 and lines', async () => {
  const lines = await linesClient();
  for (const text of ['1', '2', '3']) lines.say(`PUB! past/x ${text}`);
  await until(() => lines.told.length === 3, 'three answers');
  const second = Number(lines.told[1]!.split(' ')[1]);
  const reader = await linesClient();
  reader.say(`SUB past/x after=${second}`);
  await until(() => reader.got.length === 1, 'the history by lines');
  assert.deepEqual(reader.got, ['past/x 3']);
  const five = await mqttClient(5);
  await five.subscribeAsync('past/#', { qos: 0, properties: { userProperties: { after: String(second) } } });
  await until(() => five.got.length === 1, 'the history by MQTT 5');
  assert.deepEqual(five.got, ['past/x 3']);
  const { cursor } = five.packets[0]!.properties!.userProperties as Record<string, string>;
  assert.equal(Number(cursor), Number(lines.told[2]!.split(' ')[1]));
});

test('resume by a session: MQTT 3.1.1 and MQTT 5', async () => {
  for (const version of [4, 5] as const) {
    const options = {
      protocolVersion: version,
      clientId: `session-${version}`,
      clean: false,
      ...(version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}),
    };
    const first = mqtt.connect(portico.urls.mqtt!, options);
    await connected(first);
    await first.subscribeAsync('session/x', { qos: 1 });
    await first.endAsync();
    const lines = await linesClient();
    const publisher = await mqttClient(5);
    await publisher.publishAsync('session/x', `while ${version} was away`, { qos: 1 });
    lines.say('PING');
    const got: string[] = [];
    const second = mqtt.connect(portico.urls.mqtt!, options);
    clients.push({ close: () => second.end(true) });
    second.on('message', (_topic, payload) => void got.push(payload.toString()));
    await until(() => got.length === 1, 'the kept message');
    assert.deepEqual(got, [`while ${version} was away`]);
  }
});

test('a gap is the first thing said: MQTT 5 and lines', async () => {
  const five = await mqttClient(5);
  const reader = await linesClient();
  reader.say('SUB gap/x after=1000000');
  await until(() => reader.got.length === 1, 'the gap by lines');
  assert.match(reader.got[0]!, /^GAP gap\/x 1000000 0$/);
  const answered = new Promise<string>((resolve) => {
    five.on('packetreceive', (packet) => {
      if (packet.cmd === 'suback') resolve(packet.properties?.reasonString ?? '');
    });
  });
  five.subscribe('gap/y', { qos: 0, properties: { userProperties: { after: '1000000' } } });
  assert.match(await answered, /history/);
});

test('acknowledgement after commit: PUBACK, PUBCOMP, +OK with its cursor; none over UDP', async () => {
  const lines = await linesClient();
  lines.say('PUB ack/x silent');
  lines.say('PUB! ack/x said');
  await until(() => lines.told.length === 1, 'one answer');
  const cursor = Number(/^\+OK (\d+)$/.exec(lines.told[0]!)![1]);
  const page = await portico.topics.history(ANN, 'ack/x', 0, 10);
  assert.ok(typeof page === 'object');
  assert.equal(page.messages.at(-1)!.cursor, cursor);
  for (const version of [4, 5] as const) {
    const client = await mqttClient(version);
    for (const qos of [1, 2] as const) await client.publishAsync('ack/y', 'x', { qos });
  }
  const udp = await udpClient();
  udp.say('PUB ack/z x');
  await pause(100);
  assert.deepEqual(udp.got, []);
});

test('content type and properties: whole by MQTT 5 and lines as JSON, kept but not shown by MQTT 3.1.1', async () => {
  const five = await mqttClient(5);
  const four = await mqttClient(4);
  const lines = await linesClient();
  await five.subscribeAsync('typed/x');
  await four.subscribeAsync('typed/x');
  lines.say('JSON');
  lines.say('SUB! typed/x');
  await until(() => lines.told.length + lines.got.length >= 1, 'subscribing');
  lines.got.length = 0;
  await five.publishAsync('typed/x', '{}', {
    qos: 1,
    properties: { contentType: 'application/json', userProperties: { a: '1' }, responseTopic: 'r' },
  });
  await until(() => five.packets.length === 1 && four.packets.length === 1 && lines.got.length === 1, 'the message');
  const { contentType, userProperties, responseTopic } = five.packets[0]!.properties!;
  assert.deepEqual([contentType, { ...userProperties }, responseTopic], ['application/json', { a: '1' }, 'r']);
  assert.equal(four.packets[0]!.properties, undefined);
  const shown = JSON.parse(lines.got[0]!) as Record<string, unknown>;
  assert.equal(shown.payload, '{}');
});

test('not text: as it is by MQTT, base64 by lines and UDP where a line cannot hold it', async () => {
  const listeners = await everybody('bytes/x');
  const bytes = Buffer.from([0, 10, 13, 255, 200]);
  const lines = await linesClient();
  const five = await mqttClient(5);
  await five.publishAsync('bytes/x', bytes, { qos: 1 });
  for (const version of ['MQTT 3.1.1', 'MQTT 5']) {
    const { packets } = listeners[version]!;
    await until(() => packets!.length === 1, version);
    assert.ok(bytes.equals(packets![0]!.payload as Buffer));
  }
  const line = listeners['lines over TCP']!;
  await until(() => line.got.length === 1, 'lines');
  assert.deepEqual(line.got, [`B64 bytes/x ${bytes.toString('base64')}`]);
  lines.say('PUBB! bytes/x 5');
  assert.equal(lines.told.length, 0);
});

test('each cell of the page names a test of this file, or of one beside it', () => {
  const page = readFileSync(new URL('../docs/mapping.md', import.meta.url), 'utf8');
  const files = readdirSync(new URL('.', import.meta.url)).filter((name) => /^mapping.*\.test\.ts$/.test(name));
  const source = files.map((name) => readFileSync(new URL(name, import.meta.url), 'utf8')).join('\n');
  const named = [...page.matchAll(/^- `([^`]+)`/gm)].map(([, name]) => name!);
  assert.ok(named.length >= 8, `${named.length} tests are named`);
  for (const name of named) assert.ok(source.includes(`test('${name}'`), name);
});
