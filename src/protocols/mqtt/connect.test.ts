import assert from 'node:assert/strict';
import { OVERLOADED, REVOKED, SHUTDOWN } from '../../core/pipe.ts';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { writeConnect, writePingreq, writeSubscribe } from './encode.ts';
import { sessionFaults } from './faults.ts';
import { V5, V31, V311 } from './packets.ts';
import { bytesOf, connectOf, play, requestOf } from './playbook.ts';

const VERSIONS = [V31, V311, V5] as const;

play('connect: accepted in each version, with one CONNACK before all else', (stage) => {
  for (const version of VERSIONS) {
    const client = stage.client(version);
    client.connect({ clientId: `c${version}` });
    client.gets('CONNACK', { sessionPresent: false, reason: 0 });
    client.ping();
    client.gets('PINGRESP');
    client.nothing();
    client.stays();
  }
});

play('connect: basic publish and subscribe', (stage) => {
  for (const version of VERSIONS) {
    const alice = stage.joined(version, { clientId: 'alice' });
    const bob = stage.joined(version, { clientId: 'bob' });
    alice.subscribe(1, [{ filter: 'a/+', qos: 1 }]);
    alice.gets('SUBACK', { packetId: 1, reasons: [1] });
    bob.publish('a/b', 'hello');
    alice.gets('PUBLISH', { topic: 'a/b', payload: 'hello', qos: 0, retain: false, dup: false });
    bob.publish('a/b', 'surely', { qos: 1, packetId: 7 });
    bob.gets('PUBACK', { packetId: 7, reason: 0 });
    const got = alice.gets('PUBLISH', { topic: 'a/b', payload: 'surely', qos: 1, dup: false });
    alice.ack(4, got.packetId as number);
    alice.unsubscribe(2, 'a/+');
    alice.gets('UNSUBACK', { packetId: 2 });
    alice.disconnect();
    alice.closed();
    bob.disconnect();
    bob.closed();
  }
});

play('connect: CONNECT comes first, and once', (stage) => {
  const early = stage.client();
  early.ping();
  early.closed();
  assert.equal(stage.faults.at(-1)?.id, 'mqtt.firstNotConnect');
  const browser = stage.client();
  browser.raw(...Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  browser.closed();
  for (const version of VERSIONS) {
    const twice = stage.joined(version);
    twice.connect();
    if (version === V5) twice.gets('DISCONNECT', { reasonCode: 0x82 });
    twice.closed();
    assert.equal(stage.faults.at(-1)?.id, 'mqtt.secondConnect');
  }
});

play('connect: a version or a name that is not spoken', (stage) => {
  const levels: [number, number[]][] = [
    [2, [0x20, 2, 0, 1]],
    [3, [0x20, 2, 0, 1]],
    [6, [0x20, 3, 0, 0x84, 0]],
  ];
  for (const [level, answer] of levels) {
    const client = stage.client(level === 6 ? V5 : V311);
    const bytes = bytesOf((out) => writeConnect(out, connectOf(V311)));
    bytes[8] = level;
    client.raw(...bytes);
    client.gets('CONNACK', { reason: answer[3], sessionPresent: false });
    client.closed();
  }
  const other = stage.client();
  other.raw(0x10, 0x0d, 0, 4, 0x4d, 0x51, 0x54, 0x58, 5, 2, 0, 0, 0, 0, 0);
  other.closed();
});

play('connect: a malformed CONNECT is refused in its version', (stage) => {
  const change = (version: typeof V311 | typeof V5, edit: (bytes: number[]) => void) => {
    const bytes = bytesOf((out) => writeConnect(out, connectOf(version)));
    edit(bytes);
    return bytes;
  };
  const cases: [string, (bytes: number[]) => void][] = [
    ['mqtt.connectReserved', (bytes) => void (bytes[9]! |= 0x01)],
    ['mqtt.willFlags', (bytes) => void (bytes[9]! |= 0x20)],
    ['mqtt.willFlags', (bytes) => void (bytes[9]! |= 0x08)],
    ['mqtt.willQos', (bytes) => void (bytes[9]! |= 0x1c)],
    ['mqtt.truncated', (bytes) => void (bytes[9]! |= 0x80)],
    ['mqtt.headerFlags', (bytes) => void (bytes[0] = 0x11)],
    ['mqtt.trailingBytes', (bytes) => void (bytes[1] = bytes.push(0) - 2)],
    ['mqtt.notUtf8', (bytes) => void (bytes[bytes.length - 1] = 0xff)],
    ['mqtt.nulInText', (bytes) => void (bytes[bytes.length - 1] = 0)],
  ];
  for (const [fault, edit] of cases) {
    // 3.1.1 closes without a word ([MQTT-3.1.4-1]); 5.0 may say why.
    const old = stage.client(V311);
    old.raw(...change(V311, edit));
    old.closed();
    assert.equal(stage.faults.at(-1)?.id, fault);
    const client = stage.client(V5);
    client.raw(...change(V5, edit));
    if (fault !== 'mqtt.headerFlags') client.gets('CONNACK', { reason: 0x81, sessionPresent: false });
    client.closed();
  }
  const withoutName = stage.client(V311);
  withoutName.connect({ password: Buffer.from('x') });
  withoutName.closed();
  const password = stage.client(V5);
  password.connect({ password: Buffer.from('x') });
  password.gets('CONNACK', { reason: 0 });
});

play('connect: clean start forgets the session, otherwise it is resumed and said to be present', (stage) => {
  for (const version of [V311, V5] as const) {
    const properties = { sessionExpiry: 100 };
    const keep = { clientId: `k${version}`, cleanStart: false, properties };
    const first = stage.joined(version, keep);
    first.subscribe(1, [{ filter: 'kept', qos: 1 }]);
    first.gets('SUBACK');
    first.disconnect();
    first.closed();
    stage.topics.say({ topic: 'kept', payload: Buffer.from('while away'), assurance: 1 });
    const second = stage.client(version);
    second.connect(keep);
    second.gets('CONNACK', { sessionPresent: true, reason: 0 });
    second.gets('PUBLISH', { payload: 'while away', qos: 1 });
    second.disconnect();
    second.closed();
    const fresh = stage.client(version);
    fresh.connect({ ...keep, cleanStart: true });
    fresh.gets('CONNACK', { sessionPresent: false, reason: 0 });
    stage.topics.say({ topic: 'kept', payload: Buffer.from('nobody listens'), assurance: 1 });
    fresh.nothing();
    fresh.disconnect();
    fresh.closed();
  }
});

play('connect: a session lasts as long as its expiry', (stage) => {
  const come = (sessionExpiry: number, present: boolean) => {
    const client = stage.client();
    client.connect({ clientId: 'e', cleanStart: false, properties: { sessionExpiry } });
    client.gets('CONNACK', { sessionPresent: present });
    client.disconnect();
    client.closed();
  };
  come(0, false);
  come(2, false);
  come(2, true);
  stage.pass(3_000);
  come(0, false);
  // 3.1.1: a clean session lasts as long as its connection.
  const clean = stage.joined(V311, { clientId: 'v3' });
  clean.disconnect();
  clean.closed();
  const again = stage.client(V311);
  again.connect({ clientId: 'v3', cleanStart: false });
  again.gets('CONNACK', { sessionPresent: false });
});

play('connect: what is longer than the limit is told', (stage) => {
  const client = stage.client();
  client.connect({ properties: { sessionExpiry: 0xffff_ffff } });
  client.gets('CONNACK', { sessionExpiry: 604_800 });
  const short = stage.client();
  short.connect({ clientId: 'd', properties: { sessionExpiry: 604_800 } });
  short.gets('CONNACK', { sessionExpiry: undefined });
});

play('connect: an empty client identifier is given one', (stage) => {
  const names = [1, 2].map(() => {
    const client = stage.client(V5);
    client.connect({ clientId: '', properties: { sessionExpiry: 10 } });
    return client.gets('CONNACK', { reason: 0 }).assignedClientId as string;
  });
  assert.match(names[0]!, /^[0-9a-zA-Z]{1,23}$/);
  assert.notEqual(names[0], names[1]);
  const back = stage.client(V5);
  back.connect({ clientId: names[0]!, cleanStart: false });
  back.gets('CONNACK', { sessionPresent: true, assignedClientId: undefined });
  const clean = stage.client(V311);
  clean.connect({ clientId: '' });
  clean.gets('CONNACK', { reason: 0, sessionPresent: false });
  const lasting = stage.client(V311);
  lasting.connect({ clientId: '', cleanStart: false });
  lasting.gets('CONNACK', { reason: 2, sessionPresent: false });
  lasting.closed();
  const older = stage.client(V31);
  older.connect({ clientId: '' });
  older.gets('CONNACK', { reason: 2 });
  older.closed();
});

play('connect: client identifiers of 1 to 23 characters, and up to the bound', (stage) => {
  const fits = ['a', '0123456789abcdefghijklm', 'ABCDEFGHIJKLMNOPQRSTUVW', 'Zürich-日本', 'x'.repeat(256)];
  for (const version of VERSIONS) for (const clientId of fits) stage.joined(version, { clientId }).stays();
  const long = stage.client(V5);
  long.connect({ clientId: 'x'.repeat(257) });
  long.gets('CONNACK', { reason: 0x85, sessionPresent: false });
  long.closed();
  const old = stage.client(V311);
  old.connect({ clientId: 'x'.repeat(257) });
  old.gets('CONNACK', { reason: 2 });
  old.closed();
});

play('connect: the newest connection takes the session over', (stage) => {
  for (const version of VERSIONS) {
    const first = stage.joined(version, {
      clientId: 't',
      cleanStart: version === V31,
      properties: { sessionExpiry: 9 },
    });
    const second = stage.client(version);
    second.connect({ clientId: 't', cleanStart: version === V31, properties: { sessionExpiry: 9 } });
    if (version === V5) first.gets('DISCONNECT', { reasonCode: 0x8e });
    first.closed();
    second.gets('CONNACK', { reason: 0, sessionPresent: version !== V31 });
    second.stays();
    second.disconnect();
    second.closed();
    // Two CONNECTs with names of their own do not meet.
    const other = stage.joined(version, { clientId: 'other' });
    stage.joined(version, { clientId: 'third' }).stays();
    other.stays();
  }
});

play('connect: another account’s client identifier is refused', (stage) => {
  stage.joined(V5, { clientId: 's', username: 'ann', properties: { sessionExpiry: 9 } });
  for (const [version, reason] of [
    [V5, 0x87],
    [V311, 5],
  ] as const) {
    const thief = stage.client(version);
    thief.connect({ clientId: 's', username: 'eve' });
    thief.gets('CONNACK', { reason, sessionPresent: false });
    thief.closed();
  }
});

play('connect: an open server lets any name in', (stage) => {
  for (const version of VERSIONS) {
    stage.joined(version, { clientId: 'u', username: 'ann', password: Buffer.from('x') }).disconnect();
    stage.joined(version, { clientId: 'n' });
  }
});

play(
  'connect: a server that is not open lets nobody in without an account',
  (stage) => {
    const expected = [
      [V5, null, 0x87],
      [V5, 'ann', 0x86],
      [V311, null, 5],
      [V311, 'ann', 4],
    ] as const;
    for (const [version, username, reason] of expected) {
      const client = stage.client(version);
      client.connect({ username });
      client.gets('CONNACK', { reason, sessionPresent: false });
      client.closed();
    }
  },
  { accounts: new FewAccounts() },
);

play('connect: nothing is processed behind a refused CONNECT', (stage) => {
  for (const version of [V311, V5] as const) {
    const client = stage.client(version);
    client.says((out) => {
      writeConnect(out, connectOf(version, { clientId: 'x'.repeat(300) }));
      writeSubscribe(out, version, 1, [requestOf({ filter: '#' })], null);
      writePingreq(out);
    });
    client.gets('CONNACK', { reason: version === V5 ? 0x85 : 2 });
    client.closed();
  }
  assert.equal(stage.topics.figures.subscriptions, 0);
});

play('connect: packets behind the CONNECT wait for the CONNACK', (stage) => {
  stage.topics.holding = true;
  const client = stage.client();
  client.says((out) => {
    writeConnect(out, connectOf(V5));
    writePingreq(out);
    writeSubscribe(out, V5, 1, [requestOf({ filter: 'a' })], null);
  });
  client.nothing();
  stage.topics.letGo();
  client.gets('CONNACK', { reason: 0 });
  client.gets('PINGRESP');
  client.gets('SUBACK', { packetId: 1 });
});

play('connect: a CONNECT must come in time', (stage) => {
  const silent = stage.client();
  const slow = stage.client();
  const bytes = bytesOf((out) => writeConnect(out, connectOf(V5)));
  stage.pass(9_000);
  slow.raw(...bytes.slice(0, 5));
  silent.stays();
  stage.pass(700);
  silent.closed();
  slow.closed();
  assert.equal(stage.faults.at(-1), sessionFaults.connectLate);
});

play('connect: keep alive, one and a half times', (stage) => {
  for (const version of VERSIONS) {
    const client = stage.joined(version, { clientId: `a${version}`, keepAlive: 2 });
    for (let round = 0; round < 3; round++) {
      stage.pass(2_500);
      client.ping();
      client.gets('PINGRESP');
    }
    // Half a packet is none.
    stage.pass(2_000);
    client.raw(0xc0);
    stage.pass(400);
    client.stays();
    stage.pass(300);
    if (version === V5) client.gets('DISCONNECT', { reasonCode: 0x8d });
    client.closed();
    assert.equal(stage.faults.at(-1), sessionFaults.keepAlive);
  }
  const none = stage.joined(V5, { keepAlive: 0 });
  stage.pass(1_000_000);
  none.stays();
});

play(
  'connect: the server’s own keep alive',
  (stage) => {
    for (const keepAlive of [0, 11, 65_535]) {
      const client = stage.client();
      client.connect({ keepAlive });
      client.gets('CONNACK', { serverKeepAlive: 10 });
      stage.pass(14_000);
      client.stays();
      stage.pass(1_000);
      client.gets('DISCONNECT', { reasonCode: 0x8d });
      client.closed();
    }
    const shorter = stage.client();
    shorter.connect({ keepAlive: 10 });
    shorter.gets('CONNACK', { serverKeepAlive: undefined });
  },
  { limits: { keepAliveMaxSeconds: 10 } },
);

play('connect: what CONNACK tells of the server', (stage) => {
  const client = stage.client();
  client.connect({ properties: { requestResponse: 0 } });
  const connack = client.gets('CONNACK', {
    reason: 0,
    receiveMaximum: 1_024,
    maximumPacketSize: 1_048_576,
    topicAliasMaximum: 64,
  });
  // QoS 2, retained messages, wildcards, identifiers and shared subscriptions are there: nothing says otherwise.
  for (const name of ['maximumQos', 'retainAvailable', 'wildcardAvailable', 'sharedAvailable', 'responseInformation'])
    assert.equal(connack[name], undefined);
  for (const name of ['authMethod', 'authData', 'assignedClientId', 'serverKeepAlive', 'sessionExpiry'])
    assert.equal(connack[name], undefined);
});

play('connect: a CONNACK is no larger than the client takes', (stage) => {
  const roomy = stage.client();
  roomy.connect({ clientId: 'x'.repeat(257), properties: { maximumPacketSize: 100 } });
  assert.ok(roomy.gets('CONNACK', { reason: 0x85 }).why);
  const tight = stage.client();
  tight.connect({ clientId: 'x'.repeat(257), properties: { maximumPacketSize: 20 } });
  tight.gets('CONNACK', { reason: 0x85, why: undefined });
  tight.closed();
  const hopeless = stage.client();
  hopeless.connect({ properties: { maximumPacketSize: 4 } });
  hopeless.closed();
});

play('connect: the server leaves', (stage) => {
  const leaving = (why: typeof SHUTDOWN | typeof REVOKED | typeof OVERLOADED, code: number) => {
    for (const version of VERSIONS) {
      const client = stage.joined(version, { clientId: `l${version}` });
      client.link.far.leave(why, 1_000);
      if (version === V5) client.gets('DISCONNECT', { reasonCode: code, sessionExpiry: undefined });
      client.closed();
    }
  };
  leaving(SHUTDOWN, 0x8b);
  leaving(REVOKED, 0x98);
  leaving(OVERLOADED, 0x89);
  const waiting = stage.client();
  waiting.link.far.leave(SHUTDOWN, 1_000);
  waiting.closed();
  stage.topics.holding = true;
  for (const [version, reason] of [
    [V5, 0x88],
    [V311, 3],
  ] as const) {
    const connecting = stage.client(version);
    connecting.connect();
    connecting.nothing();
    connecting.link.far.leave(SHUTDOWN, 1_000);
    connecting.gets('CONNACK', { reason, sessionPresent: false });
    connecting.closed();
  }
});

// ---- signing in -------------------------------------------------------------------------------------------------------

const few = () => new FewAccounts({ ann: 'secret', bob: 'token-of-bob' });

for (const version of [V311, V5] as const)
  play(
    `connect: who is let in with version ${version}, and who is not`,
    (stage) => {
      const rows: readonly [username: string | null, password: string | null, reason: number][] = [
        ['ann', 'secret', 0],
        ['ann', 'wrong', version === V5 ? 0x86 : 4],
        ['zoe', 'secret', version === V5 ? 0x86 : 4],
        ['ann', null, version === V5 ? 0x86 : 4],
        [null, null, version === V5 ? 0x87 : 5],
      ];
      for (const [username, password, reason] of rows) {
        const client = stage.client(version);
        client.connect({ username, password: password === null ? null : Buffer.from(password) });
        client.gets('CONNACK', { reason });
        if (reason === 0) client.stays();
        else client.closed();
      }
    },
    { accounts: few() },
  );

play(
  'connect: a password that is no UTF-8 is a wrong one',
  (stage) => {
    const client = stage.client();
    client.connect({ username: 'ann', password: Uint8Array.of(0xff, 0xfe) });
    client.gets('CONNACK', { reason: 0x86 });
    client.closed();
  },
  { accounts: few() },
);

const anonymous = few();
anonymous.anonymous = true;

play(
  'connect: who gives no name is nobody, where nobody is let in',
  (stage) => {
    const client = stage.client();
    client.connect({ username: null });
    client.gets('CONNACK', { reason: 0 });
    client.stays();
  },
  { accounts: anonymous },
);

for (const [refused, five, earlier] of [
  ['locked', 0x97, 3],
  ['plaintext', 0x87, 5],
  ['busy', 0x89, 3],
] as const) {
  const accounts = few();
  accounts.refusal = { refused, retryMs: 1_000 };
  play(
    `connect: refused as ${refused}`,
    (stage) => {
      for (const [version, reason] of [
        [V5, five],
        [V311, earlier],
      ] as const) {
        const client = stage.client(version);
        client.connect({ username: 'ann', password: Buffer.from('secret') });
        client.gets('CONNACK', { reason });
        client.closed();
      }
    },
    { accounts },
  );
}

const slow = few();
slow.isSlow = true;

play(
  'connect: packets behind the CONNECT wait until it is known who it is, and are nobody’s when it is not',
  (stage) => {
    for (const [password, reason] of [
      ['secret', 0],
      ['wrong', 0x86],
    ] as const) {
      const client = stage.client();
      client.says((out) => {
        writeConnect(out, connectOf(V5, { username: 'ann', password: Buffer.from(password) }));
        writeSubscribe(out, V5, 1, [requestOf({ filter: 'a' })], null);
        writePingreq(out);
      });
      client.nothing();
      slow.tell();
      client.gets('CONNACK', { reason });
      if (reason === 0) {
        client.gets('PINGRESP');
        client.gets('SUBACK', { packetId: 1 });
      } else client.closed();
    }
  },
  { accounts: slow },
);
