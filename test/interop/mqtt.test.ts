// Real MQTT clients against a running server: mosquitto_pub and mosquitto_sub, MQTT.js, and paho for Python.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import mqttjs, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { Portico } from '../../src/portico.ts';
import { missing, Program, run, until } from '../clients.ts';

let portico: Portico;
let port = '';

before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
  port = new URL(portico.urls.mqtt!).port;
});
after(() => portico.close());

const pub = (...args: string[]) => run('mosquitto_pub', '-p', port, ...args);

async function published(...args: string[]): Promise<void> {
  const { code, error } = await pub(...args);
  assert.equal(code, 0, error);
}

/** A subscriber that has subscribed. What it prints is buffered, so the server is asked. */
async function sub(...args: string[]): Promise<Program> {
  const before = portico.topics.figures.subscriptions;
  const running = new Program('mosquitto_sub', ['-p', port, '-W', '10', ...args]);
  await until(() => portico.topics.figures.subscriptions > before, 'the subscription');
  return running;
}

const lines = (text: string) => text.split('\n').filter((line) => line !== '');

const mosquitto = missing('mosquitto_pub', '--help');

for (const version of ['31', '311', '5']) {
  test(`mosquitto: QoS 0 to 2, version ${version}`, { skip: mosquitto }, async () => {
    for (const qos of ['0', '1', '2']) {
      const topic = `m/${version}/${qos}`;
      const ears = await sub('-V', version, '-q', qos, '-t', `m/${version}/+`, '-C', '2', '-F', '%t %q %r %p');
      await published('-V', version, '-q', qos, '-t', topic, '-m', 'hello');
      await published('-V', version, '-q', '2', '-t', topic, '-m', 'again');
      const { code, out } = await ears.done;
      assert.equal(code, 0);
      assert.deepEqual(lines(out), [`${topic} ${qos} 0 hello`, `${topic} ${qos} 0 again`]);
    }
  });

  test(`mosquitto: retained messages, version ${version}`, { skip: mosquitto }, async () => {
    const topic = `r/${version}`;
    await published('-V', version, '-q', '1', '-r', '-t', topic, '-m', 'kept');
    const ask = ['-p', port, '-V', version, '-q', '1', '-t', topic];
    const { out } = await run('mosquitto_sub', ...ask, '-C', '1', '-W', '10', '-F', '%r %p');
    assert.deepEqual(lines(out), ['1 kept']);
    await published('-V', version, '-r', '-n', '-t', topic);
    const none = await run('mosquitto_sub', '-p', port, '-V', version, '-t', topic, '-W', '1');
    assert.equal(none.out, '');
  });

  test(`mosquitto: a will, version ${version}`, { skip: mosquitto }, async () => {
    const topic = `w/${version}`;
    const ears = await sub('-V', version, '-t', topic, '-C', '1', '-F', '%p');
    const will = ['--will-topic', topic, '--will-payload', 'gone', '--will-qos', '1'];
    const dying = await sub('-V', version, '-t', 'elsewhere', ...will);
    dying.kill();
    assert.deepEqual(lines((await ears.done).out), ['gone']);
  });

  test(`mosquitto: a session that lasts, version ${version}`, { skip: mosquitto }, async () => {
    const lasting = ['-V', version, '-c', '-i', `lasting${version}`, '-q', '2', '-t', `l/${version}`];
    const first = await sub(...lasting);
    first.kill('SIGTERM');
    await first.done;
    for (const qos of ['1', '2']) await published('-q', qos, '-t', `l/${version}`, '-m', `while away ${qos}`);
    const second = await run('mosquitto_sub', '-p', port, ...lasting, '-C', '2', '-W', '10');
    assert.deepEqual(lines(second.out), ['while away 1', 'while away 2']);
  });
}

test('mosquitto: properties of version 5', { skip: mosquitto }, async () => {
  const format = '%t|%p|%C|%D|%R|%P|%E';
  const ears = await sub('-V', '5', '-q', '1', '-t', 'props/#', '-C', '1', '-F', format);
  const properties = [
    ['content-type', 'text/plain'],
    ['correlation-data', '0123'],
    ['response-topic', 'answers'],
    ['message-expiry-interval', '60'],
    ['payload-format-indicator', '1'],
  ].flatMap(([name, value]) => ['-D', 'publish', name!, value!]);
  await published(
    '-V',
    '5',
    '-q',
    '1',
    '-t',
    'props/a',
    '-m',
    'x',
    ...properties,
    '-D',
    'publish',
    'user-property',
    'a',
    'b',
  );
  const [line] = lines((await ears.done).out);
  assert.match(line!, /^props\/a\|x\|text\/plain\|0123\|answers\|a:b\|(?:59|60)$/);
});

test('mosquitto: a shared subscription', { skip: mosquitto }, async () => {
  const ears = await Promise.all([1, 2].map(() => sub('-V', '5', '-q', '1', '-t', '$share/g/s', '-F', '%p')));
  for (let index = 0; index < 10; index++) await published('-q', '1', '-t', 's', '-m', `${index}`);
  const got = () => ears.flatMap(({ out }) => lines(out));
  await until(() => got().length >= 10, 'ten messages');
  assert.deepEqual(got().toSorted(), [...'0123456789']);
  assert.ok(ears.every(({ out }) => lines(out).length > 0));
  for (const running of ears) running.kill();
});

test('mosquitto: reason codes that 5.0 has and a client prints', { skip: mosquitto }, async () => {
  const reserved = await pub('-V', '5', '-d', '-q', '1', '-t', '$SYS/x', '-m', 'x');
  assert.match(reserved.out + reserved.error, /RC:135|[Nn]ot authorized/);
  const sys = await run('mosquitto_sub', '-p', port, '-t', '$SYS/#', '-C', '1', '-W', '5');
  assert.equal(sys.code, 0, sys.error);
});

test('mosquitto: a megabyte through and through', { skip: mosquitto }, async () => {
  const ears = await sub('-q', '1', '-t', 'big', '-C', '1', '-F', '%l');
  const writer = run('sh', '-c', `head -c 1000000 /dev/zero | mosquitto_pub -p ${port} -q 1 -t big -s`);
  assert.equal((await writer).code, 0);
  assert.deepEqual(lines((await ears.done).out), ['1000000']);
});

// ---- MQTT.js -------------------------------------------------------------------------------------------------------

async function join(options: IClientOptions): Promise<MqttClient> {
  return mqttjs.connectAsync(portico.urls.mqtt!, { reconnectPeriod: 0, ...options });
}

const text = (packet: IPublishPacket) => packet.payload.toString();

for (const protocolVersion of [4, 5] as const) {
  test(`MQTT.js: QoS 0 to 2, version ${protocolVersion}`, async () => {
    const client = await join({ protocolVersion });
    const got: string[] = [];
    client.on('message', (topic, payload, { qos }) => void got.push(`${topic} ${qos} ${payload}`));
    const granted = await client.subscribeAsync({ [`js/${protocolVersion}/#`]: { qos: 2 } });
    assert.equal(granted[0]?.qos, 2);
    for (const qos of [0, 1, 2] as const) await client.publishAsync(`js/${protocolVersion}/x`, 'hello', { qos });
    await until(() => got.length === 3, 'three messages');
    assert.deepEqual(
      got,
      [0, 1, 2].map((qos) => `js/${protocolVersion}/x ${qos} hello`),
    );
    await client.endAsync();
  });

  test(`MQTT.js: a thousand of each QoS, version ${protocolVersion}`, async () => {
    const client = await join({ protocolVersion });
    const publisher = await join({ protocolVersion });
    const got: string[] = [];
    client.on('message', (_topic, payload) => void got.push(payload.toString()));
    await client.subscribeAsync('many/+', { qos: 2 });
    for (const qos of [0, 1, 2] as const) {
      got.length = 0;
      const all = Array.from({ length: 1_000 }, (_, index) => `${index}`);
      await Promise.all(all.map((payload) => publisher.publishAsync(`many/${qos}`, payload, { qos })));
      await until(() => got.length === 1_000, 'a thousand messages');
      assert.deepEqual(got, all);
    }
    await Promise.all([client.endAsync(), publisher.endAsync()]);
  });
}

test('MQTT.js: aliases, identifiers, a session that lasts, and properties', async () => {
  const lasting: IClientOptions = {
    protocolVersion: 5,
    clientId: 'js-lasting',
    clean: false,
    properties: { sessionExpiryInterval: 100, topicAliasMaximum: 10, receiveMaximum: 2 },
  };
  const first = await join(lasting);
  const packets: IPublishPacket[] = [];
  first.on('message', (_topic, _payload, packet) => void packets.push(packet));
  await first.subscribeAsync('lasting/#', { qos: 1, properties: { subscriptionIdentifier: 77 } });
  const publisher = await join({ protocolVersion: 5, autoAssignTopicAlias: true });
  const properties = { userProperties: { a: ['1', '2'], b: '3' }, contentType: 'text/plain' };
  for (let index = 0; index < 5; index++)
    await publisher.publishAsync('lasting/a/long/name', `${index}`, { qos: 1, properties });
  await until(() => packets.length === 5, 'five messages');
  assert.deepEqual(packets.map(text), [...'01234']);
  assert.equal(packets[0]?.properties?.subscriptionIdentifier, 77);
  assert.deepEqual({ ...packets[4]?.properties?.userProperties }, properties.userProperties);
  await first.endAsync();
  await publisher.publishAsync('lasting/later', 'while away', { qos: 1 });
  const second = mqttjs.connect(portico.urls.mqtt!, { ...lasting, reconnectPeriod: 0 });
  const away: string[] = [];
  let present: boolean | undefined;
  second.on('connect', (connack) => void (present = connack.sessionPresent));
  second.on('message', (_topic, payload) => void away.push(payload.toString()));
  await until(() => away.length === 1, 'the message');
  assert.equal(present, true);
  assert.deepEqual(away, ['while away']);
  await Promise.all([second.endAsync(), publisher.endAsync()]);
});

test('MQTT.js: history behind a cursor', async () => {
  const publisher = await join({ protocolVersion: 5 });
  for (let index = 0; index < 5; index++) await publisher.publishAsync('past/a', `${index}`, { qos: 1 });
  const client = await join({ protocolVersion: 5 });
  const got: IPublishPacket[] = [];
  client.on('message', (_topic, _payload, packet) => void got.push(packet));
  await client.subscribeAsync('past/#', { qos: 1, properties: { userProperties: { after: '0' } } });
  await until(() => got.length === 5, 'the history');
  assert.deepEqual(got.map(text), [...'01234']);
  const third = got[2]?.properties?.userProperties?.cursor as string;
  const resumed = await join({ protocolVersion: 5 });
  const rest: string[] = [];
  resumed.on('message', (_topic, payload) => void rest.push(payload.toString()));
  await resumed.subscribeAsync('past/#', { qos: 1, properties: { userProperties: { after: third } } });
  await until(() => rest.length === 2, 'what follows');
  await publisher.publishAsync('past/a', 'live', { qos: 1 });
  await until(() => rest.length === 3, 'what is live');
  assert.deepEqual(rest, ['3', '4', 'live']);
  await Promise.all([publisher, client, resumed].map((it) => it.endAsync()));
});

// ---- paho ----------------------------------------------------------------------------------------------------------

const PYTHON = '/usr/bin/python3';
const paho =
  spawnSync(PYTHON, ['-c', 'import paho.mqtt.client']).status === 0 || process.env.CI === 'true'
    ? false
    : 'paho-mqtt for Python is not installed';

const PAHO = `
import sys, time
import paho.mqtt.client as mqtt
port, version = int(sys.argv[1]), {"31": mqtt.MQTTv31, "311": mqtt.MQTTv311, "5": mqtt.MQTTv5}[sys.argv[2]]
got = []
topic = "paho/" + sys.argv[2]
client = mqtt.Client(client_id="paho" + sys.argv[2], protocol=version)
client.on_message = lambda c, u, m: got.append("%s %d %s" % (m.topic, m.qos, m.payload.decode()))
granted = []
client.on_subscribe = lambda c, u, mid, codes, properties=None: granted.append([int(getattr(x, "value", x)) for x in codes])
client.will_set(topic + "/will", "gone", qos=1)
client.connect("127.0.0.1", port, keepalive=30)
client.loop_start()
client.subscribe([(topic, mqtt.SubscribeOptions(qos=2))] if version == mqtt.MQTTv5 else [(topic, 2)])
deadline = time.time() + 10
while not granted and time.time() < deadline: time.sleep(0.01)
for qos in (0, 1, 2):
    client.publish(topic, "hello", qos=qos).wait_for_publish()
while len(got) < 3 and time.time() < deadline: time.sleep(0.01)
client.disconnect()
client.loop_stop()
print(granted, got)
`;

for (const version of ['31', '311', '5']) {
  test(`paho: QoS 0 to 2, version ${version}`, { skip: paho }, async () => {
    const script =
      version === '5'
        ? PAHO.replace(
            'mqtt.SubscribeOptions',
            '__import__("paho.mqtt.subscribeoptions", fromlist=["x"]).SubscribeOptions',
          )
        : PAHO;
    const { code, out, error } = await run(PYTHON, '-c', script, port, version);
    assert.equal(code, 0, error);
    const all = [0, 1, 2].map((qos) => `'paho/${version} ${qos} hello'`).join(', ');
    assert.equal(out.trim(), `[[2]] [${all}]`);
  });
}
