// MQTT over WebSocket with MQTT.js, beside mosquitto over TCP on the same server.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import mqttjs, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import { Portico } from '../../src/portico.ts';

let portico: Portico;
let port = '';
let address = '';
const open: (() => void)[] = [];

before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
  port = new URL(portico.urls.mqtt!).port;
  address = portico.urls.http!.replace('http', 'ws');
});
after(async () => {
  for (const close of open) close();
  await portico.close();
});

const hasMosquitto = spawnSync('mosquitto_sub', ['--help']).error === undefined;
/** Where everything must be, its absence is a failure. */
const skip = hasMosquitto || process.env.CI === 'true' ? false : 'mosquitto_sub is not installed';

async function until(done: () => boolean, what: string): Promise<void> {
  for (let round = 0; !done(); round++) {
    assert.ok(round < 1_000, `${what} does not happen`);
    await sleep(5);
  }
}

interface Connected {
  readonly client: MqttClient;
  readonly packets: IPublishPacket[];
}

async function connect(options: IClientOptions = {}, path = '/mqtt'): Promise<Connected> {
  const client = await mqttjs.connectAsync(`${address}${path}`, { reconnectPeriod: 0, ...options });
  const packets: IPublishPacket[] = [];
  client.on('message', (_topic, _payload, packet) => packets.push(packet));
  open.push(() => client.end(true));
  return { client, packets };
}

const texts = (packets: readonly IPublishPacket[]) => packets.map(({ payload }) => payload.toString());

for (const protocolVersion of [4, 5] as const) {
  test(`MQTT.js over WebSocket, version ${protocolVersion}: each QoS, both ways`, async () => {
    const { client, packets } = await connect({ protocolVersion });
    const filter = `ws${protocolVersion}/#`;
    await client.subscribeAsync(filter, { qos: 2 });
    for (const qos of [0, 1, 2] as const)
      await client.publishAsync(`ws${protocolVersion}/${qos}`, `qos ${qos}`, { qos });
    await until(() => packets.length === 3, 'what was published');
    assert.deepEqual(
      packets.map(({ topic, qos, payload }) => [topic, qos, payload.toString()]),
      [0, 1, 2].map((qos) => [`ws${protocolVersion}/${qos}`, qos, `qos ${qos}`]),
    );
    await client.unsubscribeAsync(filter);
    await client.endAsync();
  });

  test(`MQTT.js over WebSocket, version ${protocolVersion}: large payloads`, async () => {
    const { client, packets } = await connect({ protocolVersion });
    await client.subscribeAsync('large', { qos: 1 });
    const sizes = [0, 125, 126, 65_535, 65_536, 1_000_000];
    for (const size of sizes) await client.publishAsync('large', Buffer.alloc(size, size % 251), { qos: 1 });
    await until(() => packets.length === sizes.length, 'all sizes');
    packets.forEach(({ payload }, index) => {
      assert.ok(Buffer.alloc(sizes[index]!, sizes[index]! % 251).equals(payload as Buffer), String(sizes[index]));
    });
    await client.endAsync();
  });

  test(`MQTT.js over WebSocket, version ${protocolVersion}: retained, and with mosquitto over TCP`, {
    skip,
  }, async () => {
    const { client, packets } = await connect({ protocolVersion });
    const topic = `both/${protocolVersion}`;
    await client.publishAsync(topic, 'kept', { qos: 1, retain: true });
    const sub = spawn('mosquitto_sub', ['-p', port, '-t', topic, '-q', '2', '-C', '2', '-W', '10', '-F', '%r %q %p']);
    let out = '';
    sub.stdout.on('data', (data) => (out += data));
    const ended = once(sub, 'close');
    await until(() => portico.topics.matching(topic) === 1, 'mosquitto subscribing');
    await client.publishAsync(topic, 'live', { qos: 2 });
    await ended;
    assert.equal(out, '1 1 kept\n0 2 live\n');
    await client.subscribeAsync(topic, { qos: 1 });
    const pub = spawn('mosquitto_pub', ['-p', port, '-t', topic, '-q', '1', '-m', 'from mosquitto']);
    const [status] = await once(pub, 'close');
    assert.equal(status, 0);
    await until(() => packets.length === 2, 'what mosquitto published');
    assert.deepEqual(texts(packets), ['kept', 'from mosquitto']);
    assert.equal(packets[0]!.retain, true);
    await client.endAsync();
  });

  test(`MQTT.js over WebSocket, version ${protocolVersion}: the will of a connection that is cut, not of one that ends`, async () => {
    const listener = await connect({ protocolVersion });
    const topic = `will/${protocolVersion}`;
    await listener.client.subscribeAsync(topic, { qos: 1 });
    const will = (payload: string) => ({ topic, payload: Buffer.from(payload), qos: 1 as const, retain: false });
    const proper = await connect({ protocolVersion, will: will('ended') });
    await proper.client.endAsync();
    const cut = await connect({ protocolVersion, will: will('cut') });
    cut.client.stream.destroy();
    await until(() => listener.packets.length > 0, 'the will');
    await sleep(50);
    assert.deepEqual(texts(listener.packets), ['cut']);
  });

  test(`MQTT.js over WebSocket, version ${protocolVersion}: a session goes on by TCP and back`, async () => {
    const session: IClientOptions = {
      protocolVersion,
      clientId: `roams${protocolVersion}`,
      clean: false,
      ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}),
    };
    const topic = `roams/${protocolVersion}`;
    const first = await connect(session);
    await first.client.subscribeAsync(topic, { qos: 1 });
    await first.client.endAsync();
    const { client } = await connect({ protocolVersion });
    await client.publishAsync(topic, 'while away', { qos: 1 });
    const packets: IPublishPacket[] = [];
    const second = mqttjs.connect(portico.urls.mqtt!, { ...session, reconnectPeriod: 0 });
    open.push(() => second.end(true));
    second.on('message', (_topic, _payload, packet) => packets.push(packet));
    await until(() => packets.length === 1, 'the kept message');
    assert.deepEqual(texts(packets), ['while away']);
    await second.endAsync();
  });
}

test('MQTT 3.1 asks for mqttv3.1, and the root is as good as /mqtt', async () => {
  const { client, packets } = await connect({ protocolId: 'MQIsdp', protocolVersion: 3, clientId: 'old' }, '/');
  await client.subscribeAsync('old', { qos: 1 });
  await client.publishAsync('old', 'x', { qos: 1 });
  await until(() => packets.length === 1, 'the message');
  await client.endAsync();
});

test('many messages in flight both ways come whole and in order', async () => {
  const { client, packets } = await connect({ protocolVersion: 5 });
  await client.subscribeAsync('many', { qos: 1 });
  const sent = Array.from({ length: 2_000 }, (_none, index) => `${index} ${'x'.repeat(index % 300)}`);
  await Promise.all(sent.map((text) => client.publishAsync('many', text, { qos: 1 })));
  await until(() => packets.length === sent.length, 'all of them');
  assert.deepEqual(texts(packets), sent);
  await client.endAsync();
});

/** CONNECT of MQTT 3.1.1, clean, client id `w`. */
const CONNECT = Buffer.from('100d00044d5154540402003c000177', 'hex');
const CONNACK = '20020000';

async function socket(...protocols: string[]): Promise<WebSocket> {
  const made = new WebSocket(`${address}/mqtt`, protocols);
  open.push(() => made.terminate());
  await once(made, 'open');
  return made;
}

test('frames and packets are not aligned: cut anywhere, and together', async () => {
  const made = await socket('mqtt');
  assert.equal(made.protocol, 'mqtt');
  const got: string[] = [];
  made.on('message', (data: Buffer, isBinary) => got.push(`${isBinary} ${data.toString('hex')}`));
  for (const byte of CONNECT) made.send(Buffer.of(byte));
  await until(() => got.length === 1, 'CONNACK');
  // Two PINGREQ and a half, then the other half.
  made.send(Buffer.from('c000c000c0', 'hex'));
  made.send(Buffer.from('00', 'hex'));
  await until(() => got.join('').split('d000').length === 4, 'three PINGRESP');
  assert.equal(got[0], `true ${CONNACK}`);
});

test('a text frame closes with 1003', async () => {
  const made = await socket('mqtt');
  made.send(CONNECT);
  await once(made, 'message');
  made.send('text');
  const [code] = await once(made, 'close');
  assert.equal(code, 1003);
});

test('what is no MQTT closes, and DISCONNECT closes with 1000', async () => {
  const wrong = await socket('mqtt');
  wrong.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  const [code] = await once(wrong, 'close');
  assert.equal(code, 1002);
  const proper = await socket('mqtt');
  proper.send(CONNECT);
  await once(proper, 'message');
  proper.send(Buffer.from('e000', 'hex'));
  const [normal] = await once(proper, 'close');
  assert.equal(normal, 1000);
});

test('the subprotocol mqtt is chosen where it is offered, and without it there is no socket', async () => {
  const made = await socket('chat', 'mqtt', 'mqttv3.1');
  assert.equal(made.protocol, 'mqtt');
  // Clients that compress each of many small pieces would be ten times slower.
  assert.equal(made.extensions, '');
  for (const offered of [[], ['chat']]) {
    const none = new WebSocket(`${address}/mqtt`, offered);
    none.on('error', () => {});
    const [, response] = (await once(none, 'unexpected-response')) as [unknown, { statusCode: number }];
    assert.equal(response.statusCode, 400);
    none.terminate();
  }
});
