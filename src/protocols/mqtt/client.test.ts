import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Cause, Pipe, Session } from '../../core/pipe.ts';
import { NEVER } from '../../core/time.ts';
import { type Link, linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { CUT_OFF, MqttClient } from './client.ts';
import { type Accepted, ClientMemory, type ClientOptions, type Closed, type Received } from './client-memory.ts';
import { clientFaults, codecFaults } from './faults.ts';
import type { Version } from './packets.ts';
import { bytesOf, samples } from './samples.ts';

/** The other end: notes the bytes that come and says what the test tells it to. */
class Wire implements Session {
  readonly deadline = NEVER;
  readonly pipe: Pipe;
  heard = '';
  cause: Cause | null = null;

  constructor(pipe: Pipe) {
    this.pipe = pipe;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    this.heard += Buffer.from(input.subarray(start, end)).toString('hex');
    return end;
  }

  overlong(): void {}
  writable(): void {}
  tick(): void {}
  leave(): void {}

  finish(): void {
    this.pipe.end();
  }

  lost(cause: Cause): void {
    this.cause = cause;
  }

  says(hex: string): void {
    const bytes = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
    this.pipe.out.copy(bytes, 0, bytes.length);
    this.pipe.flush();
  }
}

class Play {
  readonly world = new World(1);
  readonly messages: Received[] = [];
  readonly accepted: Accepted[] = [];
  readonly closed: Closed[] = [];
  rooms = 0;
  client!: MqttClient;
  wire!: Wire;
  link!: Link;

  constructor(options: ClientOptions) {
    this.dial(options);
  }

  /** A connection, also another one after the first. */
  dial(options: ClientOptions): void {
    this.link = linkPipes(
      this.world,
      (pipe) => {
        this.client = new MqttClient(pipe, this.world.turn.clock, options, {
          connected: (accepted) => void this.accepted.push(accepted),
          message: (message) => void this.messages.push(message),
          room: () => void this.rooms++,
          closed: (closed) => void this.closed.push(closed),
        });
        return this.client;
      },
      (pipe) => (this.wire = new Wire(pipe)),
      { cut: 3 },
    );
    this.world.pass(10);
  }

  /** The server says these bytes, and hears those. */
  says(hex: string): void {
    this.wire.says(hex);
    this.world.pass(50);
  }

  hears(hex: string): void {
    this.world.pass(50);
    assert.equal(this.wire.heard, hex.replaceAll(/\s/g, ''));
    this.wire.heard = '';
  }

  /** A connection that stands, with what was said for it forgotten. */
  static connected(options: ClientOptions, connack?: string): Play {
    const play = new Play({ keepAliveSeconds: 0, ...options });
    play.wire.heard = '';
    play.says(connack ?? (options.version === 4 || options.version === 3 ? '20 02 00 00' : '20 03 00 00 00'));
    assert.equal(play.client.isConnected, true);
    return play;
  }

  [Symbol.dispose](): void {
    assert.deepEqual(this.world.bugs, []);
  }
}

const text = (message: Received) => `${message.topic}=${Buffer.from(message.payload).toString()}`;
const payload = Buffer.from('x');

test('CONNECT says what the options say, at each level', () => {
  const options = {
    clientId: 'c',
    keepAliveSeconds: 10,
    username: 'u',
    password: Buffer.from('p'),
    will: { topic: 'w', payload, qos: 1 as const, retain: false, properties: { willDelay: 5 } },
  };
  using five = new Play({ ...options, version: 5, sessionExpirySeconds: 10, receiveMaximum: 20, packetBytesMax: 4096 });
  five.hears(`10 2d 0004 4d515454 05 ce 000a 0d 11 0000000a 21 0014 27 00001000
    0001 63 05 18 00000005 0001 77 0001 78 0001 75 0001 70`);
  using four = new Play({ ...options, version: 4 });
  four.hears('10 19 0004 4d515454 04 ce 000a 0001 63 0001 77 0001 78 0001 75 0001 70');
  using three = new Play({ ...options, version: 3, will: null });
  three.hears('10 15 0006 4d5149736470 03 c2 000a 0001 63 0001 75 0001 70');
});

test('CONNACK connects, and its properties are told', () => {
  using play = new Play({});
  play.says('20 0a 00 00 07 12 0001 7a 21 0005');
  assert.equal(play.accepted[0]?.properties.receiveMaximum, 5);
  assert.equal(play.client.clientId, 'z');
});

test('a refusal is told with its reason, and the connection ends', () => {
  using play = new Play({});
  play.says('20 08 00 87 05 1f 0002 6e6f');
  assert.deepEqual(play.closed, [{ why: 'refused', reason: 0x87, text: 'no', reference: '' }]);
  using old = new Play({ version: 4 });
  old.says('20 02 00 05');
  assert.deepEqual(old.closed, [{ why: 'refused', reason: 5, text: '', reference: '' }]);
});

for (const version of [3, 4, 5] as const) {
  const none = version === 5 ? '00' : '';
  const length = (bytes: number) => (bytes + none.length / 2).toString(16).padStart(2, '0');

  test(`publishes with QoS 0, 1 and 2 are acknowledged, level ${version}`, () => {
    using play = Play.connected({ version });
    const done: string[] = [];
    for (const qos of [0, 1, 2] as const) {
      const taken = play.client.publish({ topic: 'a', payload, qos }, (reason) => void done.push(`${qos}: ${reason}`));
      assert.equal(taken, 'taken');
    }
    play.hears(`30 ${length(4)} 0001 61 ${none} 78  32 ${length(6)} 0001 61 0001 ${none} 78
      34 ${length(6)} 0001 61 0002 ${none} 78`);
    assert.equal(play.client.pending, 2);
    play.says('40 02 0001');
    play.says('50 02 0002');
    play.hears('62 02 0002');
    play.says('70 02 0002');
    assert.deepEqual(done, ['0: 0', '1: 0', '2: 0']);
    assert.equal(play.client.pending, 0);
  });

  test(`messages with QoS 0, 1 and 2 are acknowledged, level ${version}`, () => {
    using play = Play.connected({ version });
    play.says(`31 ${length(4)} 0001 61 ${none} 30`);
    play.says(`32 ${length(6)} 0001 61 0007 ${none} 31`);
    play.hears('40 02 0007');
    play.says(`34 ${length(6)} 0001 61 0008 ${none} 32`);
    play.hears('50 02 0008');
    // Once more: acknowledged, and not told again.
    play.says(`3c ${length(6)} 0001 61 0008 ${none} 32`);
    play.hears('50 02 0008');
    play.says('62 02 0008');
    play.hears('70 02 0008');
    play.says('62 02 0008');
    play.hears(version === 5 ? '70 03 0008 92' : '70 02 0008');
    assert.deepEqual(play.messages.map(text), ['a=0', 'a=1', 'a=2']);
    assert.deepEqual(
      play.messages.map((message) => message.retain),
      [true, false, false],
    );
  });

  test(`subscribing and unsubscribing, level ${version}`, () => {
    using play = Play.connected({ version });
    const told: (readonly number[])[] = [];
    play.client.subscribe([{ filter: 'a', qos: 1 }, { filter: '#' }], (reasons) => void told.push(reasons));
    play.hears(`82 ${length(10)} 0001 ${none} 0001 61 01 0001 23 00`);
    play.says(`90 ${length(4)} 0001 ${none} 01 80`);
    play.client.unsubscribe(['a', '#'], (reasons) => void told.push(reasons));
    play.hears(`a2 ${length(8)} 0002 ${none} 0001 61 0001 23`);
    play.says(version === 5 ? 'b0 05 0002 00 00 11' : 'b0 02 0002');
    assert.deepEqual(told, [
      [1, 0x80],
      [0, version === 5 ? 0x11 : 0],
    ]);
  });

  test(`DISCONNECT ends, level ${version}`, () => {
    using play = Play.connected({ version });
    play.client.disconnect(4);
    play.hears(version === 5 ? 'e0 01 04' : 'e0 00');
    assert.equal(play.closed[0]?.why, 'done');
    assert.equal(play.client.publish({ topic: 'a', payload }), 'closed');
    assert.equal(play.client.subscribe([{ filter: 'a' }]), 'closed');
  });
}

test('no more is unacknowledged than the server allows', () => {
  using play = Play.connected({}, '20 06 00 00 03 21 0002');
  const done: number[] = [];
  for (let index = 0; index < 4; index++)
    play.client.publish({ topic: 'a', payload, qos: 2 }, (reason) => void done.push(reason));
  play.hears('34 07 0001 61 0001 00 78 34 07 0001 61 0002 00 78');
  // A PUBREC frees no place, unless it refuses (MQTT 5.0 §4.9).
  play.says('50 02 0001');
  play.hears('62 02 0001');
  play.says('50 03 0002 97');
  play.hears('34 07 0001 61 0003 00 78');
  play.says('70 02 0001');
  play.hears('34 07 0001 61 0004 00 78');
  assert.deepEqual(done, [0x97, 0]);
});

test('the queue is bounded, and room is told', () => {
  using play = Play.connected({ queueMessagesMax: 2, version: 4 });
  const publish = () => play.client.publish({ topic: 'a', payload, qos: 1 });
  assert.deepEqual([publish(), publish(), publish()], ['taken', 'taken', 'full']);
  assert.equal(play.rooms, 0);
  play.world.pass(50);
  play.says('40 02 0001');
  assert.equal(play.rooms, 1);
  assert.equal(publish(), 'taken');
});

test('what the server cannot do is not asked of it', () => {
  // Maximum QoS 1, no retain, 20 bytes, no wildcards, no shared, no identifiers.
  using play = Play.connected({}, '20 12 00 00 0f 24 01 25 00 27 00000014 28 00 29 00 2a 00');
  const { client } = play;
  assert.equal(client.publish({ topic: 'a', payload, qos: 2 }), 'unsupported');
  assert.equal(client.publish({ topic: 'a', payload, retain: true }), 'unsupported');
  assert.equal(client.publish({ topic: 'a', payload: Buffer.alloc(20) }), 'too-large');
  assert.equal(client.subscribe([{ filter: 'a/+' }]), 'unsupported');
  assert.equal(client.subscribe([{ filter: '$share/g/a' }]), 'unsupported');
  assert.equal(client.subscribe([{ filter: 'a' }], undefined, 7), 'unsupported');
  assert.equal(client.subscribe([{ filter: 'a'.repeat(30) }]), 'too-large');
  play.hears('');
});

test('topic aliases both ways', () => {
  using play = Play.connected({ topicAliasMax: 1, topicAliases: true }, '20 06 00 00 03 22 0001');
  for (const topic of ['a', 'b', 'a']) play.client.publish({ topic, payload });
  play.hears('30 08 0001 61 03 23 0001 78 30 05 0001 62 00 78 30 07 0000 03 23 0001 78');
  play.says('30 08 0001 7a 03 23 0001 31 30 07 0000 03 23 0001 32');
  assert.deepEqual(play.messages.map(text), ['z=1', 'z=2']);
});

test('properties of a message may be kept', () => {
  using play = Play.connected({});
  play.says('30 0e 0001 61 09 26 0001 6b 0001 76 01 01 31 30 06 0001 61 00 32 33');
  assert.deepEqual(play.messages[0]?.properties.user, ['k', 'v']);
  assert.equal(play.messages[0]?.properties.payloadFormat, 1);
  assert.deepEqual(play.messages[1]?.properties, {});
});

test('with manual acknowledgement the caller says when', () => {
  using play = Play.connected({ manual: true });
  play.says('32 06 0001 61 0007 00 34 06 0001 61 0008 00');
  play.hears('');
  play.client.acknowledge(8);
  play.client.acknowledge(7, 0x97);
  play.client.acknowledge(7);
  play.hears('50 02 0008 40 03 0007 97');
});

test('a session is taken up again on another connection', () => {
  const memory = new ClientMemory();
  const options = { memory, version: 4 as Version, clientId: 'c', keepAliveSeconds: 0 };
  using play = Play.connected(options);
  const done: string[] = [];
  for (const [index, qos] of ([1, 2, 2] as const).entries())
    play.client.publish({ topic: 'a', payload, qos }, (reason) => void done.push(`${index}: ${reason}`));
  play.says('50 02 0002');
  play.says('34 06 0001 61 0009 31');
  play.wire.heard = '';
  play.link.cut();
  play.world.pass(10);
  assert.deepEqual(play.closed, [{ why: 'lost', reason: 0, text: 'reset', reference: '' }]);
  assert.deepEqual(done, []);
  play.dial(options);
  play.wire.heard = '';
  play.says('20 02 01 00');
  // The first and third again as duplicates, the second from its release on ([MQTT-4.4.0-1]).
  play.hears('3a 06 0001 61 0001 78 62 02 0002 3c 06 0001 61 0003 78');
  play.says('40 02 0001 70 02 0002 50 02 0003 3c 06 0001 61 0009 31');
  play.hears('62 02 0003 50 02 0009');
  play.says('70 02 0003');
  assert.deepEqual(done, ['0: 0', '1: 0', '2: 0']);
  assert.equal(play.messages.length, 1);
});

test('when the server has forgotten the session, what was under way is cut off', () => {
  const memory = new ClientMemory();
  using play = Play.connected({ memory });
  const done: number[] = [];
  play.client.publish({ topic: 'a', payload, qos: 1 }, (reason) => void done.push(reason));
  play.link.cut();
  play.dial({ memory });
  play.says('20 03 00 00 00');
  assert.deepEqual(done, [CUT_OFF]);
});

test('without a memory the end cuts off what is under way', () => {
  using play = Play.connected({});
  const done: unknown[] = [];
  play.client.publish({ topic: 'a', payload, qos: 1 }, (reason) => void done.push(reason));
  play.client.subscribe([{ filter: 'a' }], (reasons) => void done.push(reasons));
  play.link.cut();
  play.world.pass(10);
  assert.deepEqual(done, [[], CUT_OFF]);
});

test('the connection is kept alive, as the server wishes', () => {
  using play = Play.connected({ keepAliveSeconds: 60 }, '20 06 00 00 03 13 000a');
  play.world.pass(4_900);
  play.hears('');
  play.world.pass(5_200);
  play.hears('c0 00');
  play.says('d0 00');
  play.client.publish({ topic: 'a', payload });
  play.hears('30 05 0001 61 00 78');
  play.world.pass(5_000);
  play.hears('');
  play.world.pass(5_000);
  play.hears('c0 00');
});

test('enhanced authentication, at the start and again', () => {
  const auth = {
    method: 'M',
    first: Buffer.from('1'),
    answer: (data: Uint8Array | null) => Buffer.from(`<${Buffer.from(data ?? []).toString()}>`),
  };
  using play = new Play({ auth, keepAliveSeconds: 0 });
  play.wire.heard = '';
  play.says('f0 0a 18 08 15 0001 4d 16 0001 32');
  play.hears('f0 0c 18 0a 15 0001 4d 16 0003 3c323e');
  play.says('20 07 00 00 04 15 0001 4d');
  assert.equal(play.accepted.length, 1);
  assert.equal(play.client.reauthenticate(Buffer.from('3')), 'taken');
  play.hears('f0 0a 19 08 15 0001 4d 16 0001 33');
  play.says('f0 06 00 04 15 0001 4d');
  assert.equal(play.client.isConnected, true);
});

test('the server ends with a reason and another server', () => {
  using play = Play.connected({});
  play.says('e0 0b 9d 09 1f 0001 78 1c 0002 793a');
  assert.deepEqual(play.closed, [{ why: 'disconnected', reason: 0x9d, text: 'x', reference: 'y:' }]);
});

// ---- what a server can do wrong

type Wrong = readonly [name: keyof typeof clientFaults, bytes: string, options?: ClientOptions, said?: string];

const WRONG: readonly Wrong[] = [
  ['connackTwice', '20 03 00 00 00'],
  ['ackUnasked', '40 02 0009'],
  ['ackUnasked', '70 02 0009'],
  ['ackUnasked', '90 04 0009 00 00'],
  ['serverTopicAlias', '30 07 0001 61 03 23 0001'],
  ['serverTopicAlias', '30 06 0000 03 23 0001', { topicAliasMax: 5 }],
  ['serverReceiveMaximum', '32 06 0001 61 0001 00 32 06 0001 61 0002 00', { receiveMaximum: 1, manual: true }],
  ['serverReceiveMaximum', '34 06 0001 61 0001 00 34 06 0001 61 0002 00', { receiveMaximum: 1 }, '50 02 0001'],
  ['authNotOffered', 'f0 06 18 04 15 0001 4d'],
];

for (const [name, bytes, options, said] of WRONG) {
  test(`${name}: ${bytes}`, () => {
    using play = Play.connected(options ?? {});
    play.says(bytes);
    const fault = clientFaults[name];
    play.hears(`${said ?? ''} e0 01 ${fault.wire.toString(16)}`);
    assert.deepEqual([play.closed[0]?.why, play.closed[0]?.reason], ['fault', fault.wire]);
    assert.ok(play.closed[0]?.text.includes(fault.text));
  });
}

const TESTED_BELOW = ['connackLate', 'pingrespLate', 'connackMissing', 'sessionUnasked', 'reasonsCount'];

test('every fault of the client has a test', () => {
  const tested = [...WRONG.map(([name]) => name), ...TESTED_BELOW].sort();
  assert.deepEqual([...new Set(tested)], Object.keys(clientFaults).sort());
});

test('connackLate, connackMissing, sessionUnasked: nothing is said before a CONNACK', () => {
  using late = new Play({ answerMs: 1_000 });
  late.wire.heard = '';
  late.world.pass(1_100);
  late.hears('');
  assert.ok(late.closed[0]?.text.startsWith(clientFaults.connackLate.text));
  using missing = new Play({});
  missing.says('d0 00');
  assert.ok(missing.closed[0]?.text.startsWith(clientFaults.connackMissing.text));
  using unasked = new Play({});
  unasked.says('20 03 01 00 00');
  assert.ok(unasked.closed[0]?.text.startsWith(clientFaults.sessionUnasked.text));
});

test('pingrespLate', () => {
  using play = Play.connected({ answerMs: 1_000 });
  play.client.ping(play.world.turn.clock);
  play.world.pass(1_100);
  play.hears('c0 00 e0 01 80');
  assert.ok(play.closed[0]?.text.startsWith(clientFaults.pingrespLate.text));
});

test('reasonsCount', () => {
  using play = Play.connected({});
  play.client.subscribe([{ filter: 'a' }]);
  play.world.pass(10);
  play.says('90 05 0001 00 00 00');
  assert.ok(play.closed[0]?.text.startsWith(clientFaults.reasonsCount.text));
});

test("a fault of the codec's ends the connection with its reason", () => {
  using play = Play.connected({});
  play.wire.heard = '';
  play.says('30 06 0003 612f23 00');
  play.hears('e0 01 90');
  assert.ok(play.closed[0]?.text.startsWith(codecFaults.topicWildcard.text));
});

test('nothing more comes while the caller holds', () => {
  using play = Play.connected({ version: 4 });
  play.client.pause();
  play.says('30 04 0001 61 31');
  assert.equal(play.messages.length, 0);
  play.client.resume();
  play.world.pass(10);
  assert.equal(play.messages.length, 1);
});

test('a publish is as large as the server takes, and no larger', () => {
  for (const qos of [0, 1] as const) {
    for (const topicAliases of [false, true]) {
      // 140 bytes, five aliases.
      using play = Play.connected({ topicAliases }, '20 0b 00 00 08 27 0000008c 22 0005');
      let length = 140;
      while (play.client.publish({ topic: 'a', payload: Buffer.alloc(length), qos }) === 'too-large') length--;
      play.world.pass(50);
      const bytes = play.wire.heard.length / 2;
      // The remaining length takes one or two bytes: some sizes cannot be.
      assert.ok(bytes <= 140 && bytes >= 139, `${bytes}`);
    }
  }
});

test('whatever a server says, the client neither throws nor hangs', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<Version>(3, 4, 5),
      fc.array(fc.oneof(samples(5, 'server'), samples(4, 'server')), { maxLength: 10 }),
      fc.boolean(),
      fc.option(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))),
      (version, said, connected, damage) => {
        using play = connected
          ? Play.connected({ version, topicAliasMax: 5, keepAliveSeconds: 60 })
          : new Play({ version });
        if (connected) {
          play.client.publish({ topic: 'a', payload, qos: 1 });
          play.client.publish({ topic: 'a', payload, qos: 2 });
          play.client.subscribe([{ filter: 'a' }]);
        }
        const bytes = Buffer.concat(said.map((sample) => bytesOf(sample, version)));
        if (damage !== null && bytes.length > 0) bytes[damage[0] % bytes.length] = damage[1];
        play.says(bytes.toString('hex'));
        play.world.pass(200_000);
        assert.equal(play.closed.length, 1);
      },
    ),
    { numRuns: 300 },
  );
});
