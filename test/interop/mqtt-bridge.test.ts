// Bridges to other brokers: between two Porticos, and to Debian's mosquitto. Both ways, under other names, without loops,
// and without loss when the other side restarts.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import mqttjs from 'mqtt';
import type { Log } from '../../src/core/log.ts';
import { ConfigError, Portico, type StartOptions } from '../../src/portico.ts';
import type { Qos } from '../../src/protocols/mqtt/packets.ts';
import type { Message, Subscriber } from '../../src/resources/topics/contract.ts';

const CALLER = { account: '', scopes: null, origin: 'local', epoch: 0 } as const;
const found = spawnSync('mosquitto', ['-h'], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
const skip = found.error === undefined || process.env.CI === 'true' ? false : 'mosquitto is not installed';

async function until(done: () => boolean, what: string): Promise<void> {
  for (let round = 0; !done(); round++) {
    assert.ok(round < 3_000, `${what} does not happen`);
    await sleep(5);
  }
}

class Logged implements Log {
  readonly lines: string[] = [];
  private readonly note = (text: string, fields: unknown = {}) =>
    void this.lines.push(`${text} ${JSON.stringify(fields)}`);
  debug = this.note;
  info = this.note;
  warn = this.note;
  error = this.note;

  count(text: string): number {
    return this.lines.filter((line) => line.includes(text)).length;
  }
}

/** Hears topics of a Portico, within the process. */
class Ear implements Subscriber {
  readonly heard: string[] = [];
  readonly messages: Message[] = [];

  constructor(portico: Portico, filter: string) {
    const options = { policy: 'disconnect', queueMessagesMax: 1e6, queueBytesMax: 1e9, name: 'ear' } as const;
    const attachment = portico.topics.attach(CALLER, this, options);
    attachment.subscribe({ filter, assurance: 0, retained: 'never' }, { settled() {} }, 1);
  }

  reserve(): number {
    return 1;
  }

  deliver(message: Message): void {
    this.heard.push(`${message.topic} ${Buffer.from(message.payload)}`);
    this.messages.push(message);
  }

  release(): void {}
  gap(): void {}
  overflow(): void {}
  superseded(): void {}
}

function say(portico: Portico, topic: string, text: string, assurance: Qos = 1, retain = false): Promise<number> {
  return new Promise((resolve) =>
    portico.topics.publish(
      CALLER,
      { topic, payload: Buffer.from(text), assurance, retain },
      { settled: (_token, outcome) => resolve(outcome) },
      1,
    ),
  );
}

const start = (options: StartOptions = {}) =>
  Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    hosts: ['127.0.0.1'],
    outbound: { allow: ['127.0.0.1'] },
    ...options,
  });

const connected = (logger: Logged, times = 1) =>
  until(() => logger.count('a bridge is connected') >= times, 'the bridge');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

test('bridge: both ways and under other names, in both versions', async () => {
  for (const version of [4, 5] as const) {
    await using far = await start();
    const logger = new Logged();
    const bridge = {
      name: 'far',
      url: far.urls.mqtt!,
      version,
      in: [{ filter: 'plant/+/state', strip: 'plant/', prefix: 'far/', qos: 2 as const }],
      out: [{ filter: 'orders/#', prefix: 'hq/', qos: 2 as const }],
    };
    await using near = await start({ logger, mqtt: { bridges: [bridge] } });
    await connected(logger);
    await until(() => far.topics.matching('plant/1/state') === 1, 'the subscription');
    const here = new Ear(near, '#');
    const there = new Ear(far, '#');
    for (const qos of [0, 1, 2] as const) {
      await say(near, 'orders/1', `order ${qos}`, qos, qos === 1);
      await say(far, 'plant/1/state', `state ${qos}`, qos);
    }
    await say(near, 'others', 'stays');
    await until(() => here.heard.length === 7 && there.heard.length === 6, 'all');
    await sleep(50);
    assert.deepEqual(
      here.heard.filter((line) => line.startsWith('far/')),
      ['far/1/state state 0', 'far/1/state state 1', 'far/1/state state 2'],
    );
    assert.deepEqual(
      there.heard.filter((line) => line.startsWith('hq/')),
      ['hq/orders/1 order 0', 'hq/orders/1 order 1', 'hq/orders/1 order 2'],
    );
    assert.equal(here.heard.length + there.heard.length, 13);
    const kept = far.topics.retained(CALLER, 'hq/orders/1') as Message;
    assert.equal(String(kept.payload), 'order 1');
    const marked = there.messages.some(({ properties }) => properties.includes('portico-hops'));
    assert.equal(marked, version === 5);
  }
});

test('bridge: over TLS to a broker whose authority is named, and not to one whose is not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-bridge-'));
  t.after(() => rmSync(folder, { recursive: true }));
  await using far = await start({ storage: 'sqlite', data: folder });
  const bridge = { name: 'far', url: far.urls.mqtts!, out: [{ filter: 'orders/#' }] };
  const authorities = join(folder, 'certificates', 'root.crt');
  const strange = new Logged();
  await using _stranger = await start({ logger: strange, mqtt: { bridges: [bridge] } });
  await until(() => strange.count('cannot be reached') > 0, 'the refusal');
  const logger = new Logged();
  await using near = await start({ logger, mqtt: { bridges: [{ ...bridge, authorities }] } });
  await connected(logger);
  const there = new Ear(far, '#');
  await say(near, 'orders/1', 'over TLS');
  await until(() => there.heard.length === 1, 'the message');
  assert.deepEqual(there.heard, ['orders/1 over TLS']);
  assert.equal(strange.count('a bridge is connected'), 0);
  const unread = { ...bridge, authorities: join(folder, 'nothing.pem') };
  await assert.rejects(start({ mqtt: { bridges: [unread] } }), ConfigError);
});

test('bridge: a private target that is not allowed is refused, and the log says what to allow, once', async () => {
  await using far = await start();
  const logger = new Logged();
  const bridge = { name: 'far', url: far.urls.mqtt!.replace('//', '//me:secret@'), out: [{ filter: '#' }] };
  await using _near = await start({ logger, outbound: { allow: [] }, mqtt: { bridges: [bridge] } });
  await sleep(1_500);
  assert.equal(logger.count('outbound.allow'), 1, logger.lines.join('\n'));
  assert.equal(logger.count('secret'), 0);
});

test('bridge: two Porticos that are bridged at each other, both ways and all topics, make no loop', async () => {
  const port = await freePort();
  const all = [{ filter: '#', qos: 1 as const }];
  const loggers = [new Logged(), new Logged()] as const;
  const bridgeTo = (url: string) => ({ bridges: [{ name: 'peer', url, clientId: url, in: all, out: all }] });
  await using one = await start({ logger: loggers[0], mqtt: bridgeTo(`mqtt://127.0.0.1:${port}`) });
  await using _two = await start({
    logger: loggers[1],
    protocols: { mqtt: { port } },
    mqtt: bridgeTo(one.urls.mqtt!),
  });
  for (const logger of loggers) await connected(logger);
  await until(() => one.topics.matching('a') === 2 && _two.topics.matching('a') === 2, 'the subscriptions');
  const ears = [new Ear(one, '#'), new Ear(_two, '#')] as const;
  await say(one, 'once', 'round');
  await sleep(500);
  const counts = ears.map(({ heard }) => heard.length);
  // Each of the two bridges carries it there and, what the other carried, back: once.
  assert.deepEqual(counts, [3, 2]);
});

test('bridge: what one side has is not lost while the other restarts', async () => {
  const port = await freePort();
  let far = await start({ protocols: { mqtt: { port } } });
  const logger = new Logged();
  const bridge = { name: 'far', url: `mqtt://127.0.0.1:${port}`, out: [{ filter: 'n/#', qos: 1 as const }] };
  await using near = await start({ logger, mqtt: { bridges: [bridge] } });
  await connected(logger);
  let there = new Ear(far, 'n/#');
  const got = new Set<string>();
  for (const number of numbers(0, 200)) await say(near, 'n/a', `${number}`);
  await far.close();
  for (const line of there.heard) got.add(line);
  for (const number of numbers(200, 400)) await say(near, 'n/a', `${number}`);
  far = await start({ protocols: { mqtt: { port } } });
  there = new Ear(far, 'n/#');
  await connected(logger, 2);
  await until(() => new Set([...got, ...there.heard]).size === 400, 'all 400');
  assert.equal(logger.count('a bridge is disconnected'), 1);
  assert.equal(logger.count('cannot be reached') <= 1, true);
  await far.close();
});

test('bridge: a configuration that cannot be is refused, with the key', async () => {
  const wrong = async (bridge: object, says: RegExp) =>
    assert.rejects(
      start({ mqtt: { bridges: [{ name: 'b', url: 'mqtt://host', ...bridge }] } }),
      (error) => error instanceof ConfigError && says.test(error.message),
    );
  await wrong({ url: 'http://host' }, /mqtt\.bridges\.0\.url is no broker/);
  await wrong({ out: [{ filter: 'a/#/b' }] }, /mqtt\.bridges\.0\.out\.0 a\/#\/b is not a filter/);
  await wrong({ in: [{ filter: 'a/#', strip: 'b/' }] }, /mqtt\.bridges\.0\.in\.0 strip is b\//);
  await wrong({ inn: [] }, /mqtt\.bridges\.0\.inn is not known; did you mean in\?/);
});

/** Debian's broker, with a store of its own, on a free port. */
class Mosquitto {
  readonly port: number;
  private readonly folder: string;
  private child: ChildProcess | null = null;

  constructor(port: number, folder: string) {
    this.port = port;
    this.folder = folder;
    writeFileSync(
      join(folder, 'mosquitto.conf'),
      `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location ${folder}/\n` +
        // As root it would become another user, who may not write there.
        `user ${userInfo().username}\n` +
        'max_queued_messages 0\nmax_inflight_messages 0\n',
    );
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const path = `${process.env.PATH}:/usr/sbin`;
    const child = spawn('mosquitto', ['-c', join(this.folder, 'mosquitto.conf')], {
      stdio: 'ignore',
      env: { ...process.env, PATH: path },
    });
    this.child = child;
    for (let tries = 0; tries < 200; tries++) {
      try {
        const probe = await mqttjs.connectAsync(this.url, { reconnectPeriod: 0 }, false);
        await probe.endAsync();
        return;
      } catch {
        await sleep(20);
      }
    }
    assert.fail('mosquitto does not start');
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const { child } = this;
    this.child = null;
    if (child === null || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }
}

async function withMosquitto(use: (mosquitto: Mosquitto, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'portico-bridge-'));
  const mosquitto = new Mosquitto(await freePort(), folder);
  try {
    await mosquitto.start();
    await use(mosquitto, folder);
  } finally {
    await mosquitto.stop('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

for (const version of [4, 5] as const)
  test(`bridge: mosquitto, version ${version}, both ways, over its restart`, { skip, timeout: 60_000 }, () =>
    withMosquitto(async (mosquitto) => {
      const logger = new Logged();
      const bridge = {
        name: 'mosquitto',
        url: mosquitto.url,
        version,
        in: [{ filter: 'down/#', strip: 'down/', prefix: 'from/', qos: 2 as const }],
        out: [{ filter: 'up/#', strip: 'up/', prefix: 'to/', qos: 2 as const }],
      };
      await using near = await start({ logger, mqtt: { bridges: [bridge] } });
      await connected(logger);
      const here = new Ear(near, 'from/#');
      const there: string[] = [];
      const listen = async () => {
        // Heard from the start: what waited in the session comes with the connection.
        const client = mqttjs.connect(mosquitto.url, { clean: false, clientId: 'ear', reconnectPeriod: 0 });
        client.on('error', () => {});
        client.on('message', (topic, payload) => void there.push(`${topic} ${payload}`));
        await client.subscribeAsync('to/#', { qos: 2 });
        return client;
      };
      let client = await listen();
      await sleep(200);
      for (const qos of [1, 2] as const) {
        await say(near, `up/${qos}`, 'one', qos);
        await client.publishAsync(`down/${qos}`, 'one', { qos });
      }
      await until(() => there.length === 2 && here.heard.length === 2, 'all');
      assert.deepEqual(here.heard, ['from/1 one', 'from/2 one']);
      assert.deepEqual(there, ['to/1 one', 'to/2 one']);

      // Many, and the broker goes away while they are under way.
      const publishing = numbers(0, 600).map((number) => say(near, 'up/many', `${number}`, number % 2 === 0 ? 1 : 2));
      await until(() => there.length > 20, 'the first of many');
      await mosquitto.stop();
      await Promise.all(publishing);
      for (const number of numbers(600, 800)) await say(near, 'up/many', `${number}`, number % 2 === 0 ? 1 : 2);
      client.end(true);
      await mosquitto.start();
      client = await listen();
      await connected(logger, 2);
      const all = () => new Set(there.filter((line) => line.startsWith('to/many')));
      for (let tries = 0; tries < 100 && all().size < 800; tries++) await sleep(100);
      assert.equal(all().size, 800, logger.lines.join('\n'));
      // Repeats are allowed: the ear is another client after the restart, and forgot what it had received of QoS 2.
      client.end(true);
    }),
  );

test('bridge: what waits on either side comes after Portico’s restart', { skip, timeout: 60_000 }, () =>
  withMosquitto(async (mosquitto, folder) => {
    const logger = new Logged();
    const options: StartOptions = {
      logger,
      storage: 'sqlite',
      data: join(folder, 'data'),
      mqtt: {
        bridges: [
          {
            name: 'mosquitto',
            url: mosquitto.url,
            in: [{ filter: 'down/#', qos: 1 }],
            out: [{ filter: 'up/#', qos: 1 }],
          },
        ],
      },
    };
    const first = await start(options);
    await connected(logger);
    await sleep(200);
    await mosquitto.stop();
    for (const number of numbers(0, 50)) await say(first, 'up/a', `${number}`);
    await first.close();
    await mosquitto.start();
    const client = await mqttjs.connectAsync(mosquitto.url, { reconnectPeriod: 0 });
    const there: string[] = [];
    client.on('message', (_topic, payload) => void there.push(String(payload)));
    await client.subscribeAsync('up/#', { qos: 1 });
    for (const number of numbers(0, 50)) await client.publishAsync('down/a', `${number}`, { qos: 1 });
    await using second = await start(options);
    const here = new Ear(second, 'down/#');
    for (let tries = 0; tries < 100 && (there.length < 50 || here.heard.length < 50); tries++) await sleep(100);
    assert.deepEqual(there, numbers(0, 50).map(String));
    assert.deepEqual(
      here.heard,
      numbers(0, 50).map((number) => `down/a ${number}`),
    );
    client.end(true);
  }),
);
