// The MQTT client against mosquitto, over TCP, at each version.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cause } from '../../src/core/pipe.ts';
import { NO_EVENTS, PIPE_BOUNDS, type StreamPipe } from '../../src/core/stream-pipe.ts';
import { MqttClient } from '../../src/protocols/mqtt/client.ts';
import {
  type Accepted,
  ClientMemory,
  type ClientOptions,
  type Closed,
  type Received,
} from '../../src/protocols/mqtt/client-memory.ts';
import { REASON, type Version } from '../../src/protocols/mqtt/packets.ts';
import { NODE_LOOP, TurnLoop } from '../../src/server/turn.ts';
import { dial } from '../../src/transports/socket-pipe.ts';

const BROKER = ['/usr/sbin/mosquitto', 'mosquitto'].find((path) => spawnSync(path, ['-h']).error === undefined);
const skip = BROKER === undefined && process.env.CI !== 'true' ? 'mosquitto is not installed' : false;

const bugs: unknown[] = [];
const turn = new TurnLoop(NODE_LOOP, (error) => void bugs.push(error));
let broker: ChildProcess | null = null;
let folder = '';
let port = 0;

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function answers(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

async function until(done: () => boolean, what: string): Promise<void> {
  for (let round = 0; !done(); round++) {
    assert.ok(round < 5_000, `${what} does not happen`);
    await sleep(1);
  }
}

/** A client of the broker, and all that it was told. */
class Peer {
  readonly messages: Received[] = [];
  client!: MqttClient;
  pipe!: StreamPipe;
  accepted: Accepted | null = null;
  closed: Closed | null = null;
  cause: Cause | null = null;

  static async open(options: ClientOptions): Promise<Peer> {
    const peer = new Peer();
    dial(
      { host: '127.0.0.1', port },
      null,
      { turn, bounds: PIPE_BOUNDS, events: NO_EVENTS },
      (pipe) => {
        peer.pipe = pipe as StreamPipe;
        peer.client = new MqttClient(pipe, turn.clock, options, {
          connected: (accepted) => {
            peer.accepted = accepted;
          },
          message: (message) => void peer.messages.push(message),
          room() {},
          closed: (closed) => {
            peer.closed = closed;
          },
        });
        return peer.client;
      },
      (cause) => {
        peer.cause = cause;
      },
    );
    await until(() => peer.accepted !== null || peer.closed !== null || peer.cause !== null, 'the connection');
    return peer;
  }

  async subscribe(filter: string, qos: 0 | 1 | 2, identifier = 0): Promise<readonly number[]> {
    let told: readonly number[] | null = null;
    assert.equal(
      this.client.subscribe(
        [{ filter, qos }],
        (reasons) => {
          told = reasons;
        },
        identifier,
      ),
      'taken',
    );
    await until(() => told !== null, 'SUBACK');
    return told!;
  }

  async end(): Promise<void> {
    this.client.disconnect();
    await until(() => this.closed !== null, 'the end');
    assert.equal(this.closed?.why, 'done');
  }
}

before(async () => {
  if (skip !== false) return;
  assert.ok(BROKER !== undefined, 'mosquitto is not installed');
  folder = mkdtempSync(join(tmpdir(), 'portico-mosquitto-'));
  port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  // Debian's 2.0.11 stalls, or sends more than the receive maximum, once it has to queue messages of QoS 2.
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'max_topic_alias 10',
    'set_tcp_nodelay true',
    'max_inflight_messages 0',
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  broker = spawn(BROKER, ['-c', config], { stdio: 'ignore' });
  for (let tries = 0; !(await answers()); tries++) {
    assert.ok(tries < 100, 'mosquitto does not answer');
    await sleep(50);
  }
});

after(async () => {
  turn.stop();
  if (broker !== null) {
    const gone = new Promise((resolve) => broker!.once('exit', resolve));
    broker.kill();
    await gone;
  }
  if (folder !== '') rmSync(folder, { recursive: true });
  assert.deepEqual(bugs, []);
});

for (const version of [3, 4, 5] as const satisfies readonly Version[]) {
  for (const qos of [0, 1, 2] as const) {
    test(`1,000 messages with QoS ${qos} at level ${version}`, { skip }, async () => {
      const sub = await Peer.open({ version, clientId: `s${version}${qos}` });
      const pub = await Peer.open({ version, clientId: `p${version}${qos}` });
      assert.deepEqual(await sub.subscribe(`t/${version}/${qos}/+`, qos), [qos]);
      let done = 0;
      for (let index = 0; index < 1_000; index++) {
        const payload = Buffer.from(`${index} ${'x'.repeat(index)}`);
        const taken = pub.client.publish({ topic: `t/${version}/${qos}/a`, payload, qos }, (reason) => {
          assert.equal(reason, 0);
          done++;
        });
        assert.equal(taken, 'taken');
        // Mosquitto drops messages of QoS 0 for a subscriber whose socket is full.
        if (index % 100 === 99) await until(() => sub.messages.length === index + 1, `message ${index}`);
      }
      await until(() => done === 1_000 && sub.messages.length === 1_000, 'all');
      sub.messages.forEach((message, index) => {
        assert.equal(Buffer.from(message.payload).toString(), `${index} ${'x'.repeat(index)}`);
        assert.equal(message.qos, qos);
      });
      assert.equal(pub.client.pending, 0);
      await sub.end();
      await pub.end();
    });
  }

  test(`a large message, a retained one and a will at level ${version}`, { skip }, async () => {
    const base = `w/${version}`;
    const will = {
      topic: `${base}/will`,
      payload: Buffer.from('gone'),
      qos: 1 as const,
      retain: false,
      properties: {},
    };
    const pub = await Peer.open({ version, clientId: `will${version}`, will });
    const large = Buffer.alloc(1_000_000, 'abc');
    pub.client.publish({ topic: `${base}/kept`, payload: Buffer.from('kept'), retain: true, qos: 1 });
    await until(() => pub.client.pending === 0, 'PUBACK');
    const sub = await Peer.open({ version, clientId: `sub${version}` });
    assert.deepEqual(await sub.subscribe(`${base}/#`, 1), [1]);
    await until(() => sub.messages.length === 1, 'the retained message');
    assert.equal(sub.messages[0]?.retain, true);
    pub.client.publish({ topic: `${base}/large`, payload: large, qos: 1 });
    await until(() => sub.messages.length === 2, 'the large message');
    assert.equal(Buffer.compare(sub.messages[1]!.payload as Buffer, large), 0);
    pub.pipe.reset(0);
    await until(() => sub.messages.length === 3, 'the will');
    assert.equal(sub.messages[2]?.topic, `${base}/will`);
    await sub.end();
  });
}

test('properties, identifiers and aliases of 5.0 arrive', { skip }, async () => {
  const sub = await Peer.open({ topicAliasMax: 5 });
  const pub = await Peer.open({ topicAliases: true });
  assert.ok(sub.client.clientId !== '', 'the server assigns a client identifier');
  assert.deepEqual(await sub.subscribe('five/#', 2, 77), [2]);
  for (let index = 0; index < 3; index++) {
    pub.client.publish({
      topic: 'five/a',
      payload: Buffer.from('é'),
      contentType: 'text/plain',
      text: true,
      properties: ['k', 'v', 'k', 'w'],
      responseTopic: 'five/answer',
      correlation: Buffer.from([1, 2]),
      expiry: 100,
      qos: 1,
    });
  }
  await until(() => sub.messages.length === 3, 'all');
  const { properties, topic } = sub.messages[2]!;
  assert.equal(topic, 'five/a');
  assert.deepEqual(
    [properties.contentType, properties.payloadFormat, properties.user, properties.responseTopic],
    ['text/plain', 1, ['k', 'v', 'k', 'w'], 'five/answer'],
  );
  assert.deepEqual([...(properties.correlation ?? [])], [1, 2]);
  assert.deepEqual(properties.subscriptionIds, [77]);
  assert.ok(properties.messageExpiry! <= 100);
  await sub.end();
  await pub.end();
});

test('a session is taken up again, with what was not acknowledged', { skip }, async () => {
  const memory = new ClientMemory();
  const options = { clientId: 'again', memory, sessionExpirySeconds: 60, manual: true };
  const first = await Peer.open(options);
  await first.subscribe('again', 1);
  const pub = await Peer.open({});
  pub.client.publish({ topic: 'again', payload: Buffer.from('1'), qos: 1 });
  await until(() => first.messages.length === 1, 'the message');
  first.pipe.reset(0);
  await until(() => first.closed !== null, 'the reset');
  const second = await Peer.open(options);
  assert.equal(second.accepted?.sessionPresent, true);
  await until(() => second.messages.length === 1, 'the message again');
  assert.equal(second.messages[0]?.dup, true);
  second.client.acknowledge(second.messages[0]!.packetId);
  await second.end();
  await pub.end();
});

test('unsubscribing, pinging and being taken over', { skip }, async () => {
  const peer = await Peer.open({ clientId: 'same' });
  await peer.subscribe('u', 0);
  let told: readonly number[] = [];
  peer.client.unsubscribe(['u', 'never'], (reasons) => {
    told = reasons;
  });
  await until(() => told.length === 2, 'UNSUBACK');
  assert.deepEqual(told, [0, REASON.noSubscriptionExisted]);
  peer.client.ping(turn.clock);
  await sleep(50);
  assert.equal(peer.closed, null);
  const other = await Peer.open({ clientId: 'same' });
  // 2.0.11 ends the older connection without a word.
  await until(() => peer.closed !== null, 'the takeover');
  await other.end();
});
