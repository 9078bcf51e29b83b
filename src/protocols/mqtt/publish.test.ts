import assert from 'node:assert/strict';
import {
  BUSY,
  DENIED,
  EXISTS,
  FAILED,
  FULL,
  GONE,
  INVALID,
  LATE,
  MISSING,
  STALE,
  UNKNOWN,
  UNSUPPORTED,
} from '../../core/outcome.ts';
import { PUBREL, V5, V31, V311 } from './packets.ts';
import { type Client, play, type Stage } from './playbook.ts';

const VERSIONS = [V31, V311, V5] as const;

function listener(stage: Stage, version: typeof V311 | typeof V5 = V5, filter = '#'): Client {
  const client = stage.joined(version, { clientId: `listener${version}` });
  client.subscribe(1, [{ filter, qos: 2 }]);
  client.gets('SUBACK');
  return client;
}

play('publish: QoS 0 is forwarded as it is, and not answered', (stage) => {
  const ears = listener(stage);
  for (const version of VERSIONS) {
    const client = stage.joined(version);
    for (let index = 0; index < 300; index++) client.publish('a/b', `${index}`);
    for (let index = 0; index < 300; index++)
      ears.gets('PUBLISH', { topic: 'a/b', payload: `${index}`, qos: 0, dup: false, retain: false });
    client.nothing();
    client.disconnect();
  }
});

play('publish: QoS 1 is acknowledged once it is committed, under its own identifier, and is new each time', (stage) => {
  const ears = listener(stage);
  for (const version of VERSIONS) {
    const client = stage.joined(version);
    stage.topics.holding = true;
    client.publish('a', 'one', { qos: 1, packetId: 9 });
    client.nothing();
    stage.topics.letGo();
    client.gets('PUBACK', { packetId: 9, reason: 0 });
    const first = ears.gets('PUBLISH', { payload: 'one', qos: 1 });
    ears.ack(4, first.packetId as number);
    // The same identifier after PUBACK is a new message, whatever its DUP says ([MQTT-4.3.2-5]).
    client.publish('a', 'two', { qos: 1, packetId: 9, dup: true });
    client.gets('PUBACK', { packetId: 9 });
    ears.ack(4, ears.gets('PUBLISH', { payload: 'two', dup: false }).packetId as number);
    client.disconnect();
  }
});

play('publish: QoS 2 is forwarded once, however often it is repeated', (stage) => {
  const ears = listener(stage);
  for (const version of VERSIONS) {
    const client = stage.joined(version);
    stage.topics.holding = true;
    client.publish('a', 'once', { qos: 2, packetId: 5 });
    client.publish('a', 'once', { qos: 2, packetId: 5, dup: true });
    client.nothing();
    stage.topics.letGo();
    client.gets('PUBREC', { packetId: 5, reason: 0 });
    client.gets('PUBREC', { packetId: 5, reason: 0 });
    ears.gets('PUBLISH', { payload: 'once', qos: 2 });
    client.publish('a', 'once', { qos: 2, packetId: 5, dup: true });
    client.gets('PUBREC', { packetId: 5, reason: 0 });
    ears.nothing();
    client.ack(PUBREL, 5);
    client.gets('PUBCOMP', { packetId: 5, reason: 0 });
    client.ack(PUBREL, 5);
    client.gets('PUBCOMP', { packetId: 5, reason: version === V5 ? 0x92 : 0 });
    // After PUBCOMP the identifier is free ([MQTT-4.3.3-12]).
    client.publish('a', 'anew', { qos: 2, packetId: 5 });
    client.gets('PUBREC', { packetId: 5 });
    ears.gets('PUBLISH', { payload: 'anew', qos: 2 });
    client.ack(PUBREL, 5);
    client.gets('PUBCOMP', { packetId: 5 });
    client.disconnect();
  }
});

play('publish: QoS 2 is forwarded once, also when the client comes back in between', (stage) => {
  const ears = listener(stage);
  for (const version of [V311, V5] as const) {
    const keep = { clientId: `q${version}`, cleanStart: false, properties: { sessionExpiry: 100 } };
    const first = stage.joined(version, keep);
    first.publish('a', 'once', { qos: 2, packetId: 1 });
    first.gets('PUBREC', { packetId: 1 });
    ears.gets('PUBLISH', { payload: 'once' });
    first.cut();
    const second = stage.joined(version, keep);
    second.publish('a', 'once', { qos: 2, packetId: 1, dup: true });
    second.gets('PUBREC', { packetId: 1, reason: 0 });
    second.cut();
    const third = stage.joined(version, keep);
    third.ack(PUBREL, 1);
    third.gets('PUBCOMP', { packetId: 1, reason: 0 });
    ears.nothing();
    third.publish('a', 'another', { qos: 2, packetId: 1 });
    third.gets('PUBREC', { packetId: 1 });
    ears.gets('PUBLISH', { payload: 'another' });
  }
});

play('publish: an identifier that was refused is free', (stage) => {
  const ears = listener(stage);
  stage.topics.refusals.set('no', DENIED);
  const client = stage.joined();
  client.publish('no', 'x', { qos: 2, packetId: 3 });
  client.gets('PUBREC', { packetId: 3, reason: 0x87 });
  client.publish('yes', 'y', { qos: 2, packetId: 3 });
  client.gets('PUBREC', { packetId: 3, reason: 0 });
  ears.gets('PUBLISH', { payload: 'y' });
});

play('publish: acknowledgements come in the order of what they acknowledge', (stage) => {
  const client = stage.joined();
  stage.topics.holding = true;
  client.publish('a', '1', { qos: 1, packetId: 1 });
  client.publish('a', '2', { qos: 2, packetId: 2 });
  client.nothing();
  // What comes later settles first.
  stage.topics.holding = false;
  client.publish('a', '3', { qos: 1, packetId: 3 });
  client.publish('a', '4', { qos: 2, packetId: 4 });
  client.nothing();
  stage.topics.letGo();
  client.gets('PUBACK', { packetId: 1 });
  client.gets('PUBREC', { packetId: 2 });
  client.gets('PUBACK', { packetId: 3 });
  client.gets('PUBREC', { packetId: 4 });
});

play('publish: that nobody matches is told to 5.0', (stage) => {
  const client = stage.joined();
  client.publish('nobody', 'x', { qos: 1, packetId: 1 });
  client.gets('PUBACK', { packetId: 1, reason: 0x10 });
  client.publish('nobody', 'x', { qos: 2, packetId: 2 });
  client.gets('PUBREC', { packetId: 2, reason: 0x10 });
  // It is a success: the handshake goes on.
  client.ack(PUBREL, 2);
  client.gets('PUBCOMP', { packetId: 2, reason: 0 });
  const old = stage.joined(V311, { clientId: 'old' });
  old.publish('nobody', 'x', { qos: 1, packetId: 1 });
  old.gets('PUBACK', { packetId: 1 });
});

const REFUSALS = [
  [DENIED, 0x87],
  [UNKNOWN, 0x87],
  [MISSING, 0x10],
  [EXISTS, 0x80],
  [INVALID, 0x90],
  [STALE, 0x80],
  [FULL, 0x97],
  [BUSY, 0x97],
  [LATE, 0x80],
  [GONE, 0x80],
  [UNSUPPORTED, 0x83],
  [FAILED, 0x80],
] as const;

play('publish: each outcome is answered in the version’s words', (stage) => {
  for (const [outcome, code] of REFUSALS) {
    stage.topics.refusals.set('t', outcome);
    const client = stage.joined(V5, { clientId: 'five' });
    client.publish('t', 'x', { qos: 1, packetId: 1 });
    client.gets('PUBACK', { packetId: 1, reason: code });
    client.publish('t', 'x', { qos: 2, packetId: 2 });
    client.gets('PUBREC', { packetId: 2, reason: code });
    client.publish('t', 'x');
    client.nothing();
    client.stays();
    // 3.1.1 has no code for it: the connection closes ([MQTT-3.3.5-2], [MQTT-4.8.0-2]).
    for (const qos of [1, 2] as const) {
      const old = stage.joined(V311, { clientId: 'old' });
      old.publish('t', 'x', { qos, packetId: 1 });
      old.closed();
    }
    const quiet = stage.joined(V311, { clientId: 'quiet' });
    quiet.publish('t', 'x');
    quiet.nothing();
    quiet.stays();
  }
});

play('publish: properties are forwarded unaltered and in order', (stage) => {
  const ears = listener(stage);
  const old = listener(stage, V311);
  const client = stage.joined();
  const properties = {
    payloadFormat: 1,
    contentType: 'text/plain; charset=utf-8',
    responseTopic: 'answers/\u{1f600}',
    correlation: Buffer.from('0123'),
    user: ['z', '1', 'a', '', 'z', '2', '', 'empty'],
  };
  client.publish('p/\ufeffx', 'grüße', { qos: 1, packetId: 1, properties });
  client.gets('PUBACK');
  ears.gets('PUBLISH', {
    topic: 'p/\ufeffx',
    payload: 'grüße',
    payloadFormat: 1,
    contentType: properties.contentType,
    responseTopic: properties.responseTopic,
    correlation: '0123',
    user: properties.user,
    messageExpiry: undefined,
  });
  old.gets('PUBLISH', { topic: 'p/\ufeffx', payload: 'grüße' });
  client.publish('p/0', 'x', { properties: { payloadFormat: 0 } });
  ears.gets('PUBLISH', { user: undefined, contentType: undefined, responseTopic: undefined });
});

play('publish: a payload that is said to be text is checked', (stage) => {
  const bad = Buffer.from([0xc3, 0x28]);
  const properties = { payloadFormat: 1 };
  const client = stage.joined();
  client.publish('t', bad, { qos: 1, packetId: 1, properties });
  client.gets('PUBACK', { packetId: 1, reason: 0x99 });
  client.publish('t', bad, { qos: 2, packetId: 2, properties });
  client.gets('PUBREC', { packetId: 2, reason: 0x99 });
  client.publish('t', bad, { qos: 1, packetId: 3, properties: { payloadFormat: 0 } });
  client.gets('PUBACK', { packetId: 3, reason: 0x10 });
  client.publish('t', bad, { properties });
  client.gets('DISCONNECT', { reasonCode: 0x99 });
  client.closed();
  assert.equal(stage.topics.published.length, 1);
});

play('publish: expiry counts down, and what has expired is not delivered', (stage) => {
  const keep = { clientId: 'k', cleanStart: false, properties: { sessionExpiry: 1_000 } };
  const first = stage.joined(V5, keep);
  first.subscribe(1, [{ filter: 'e/#', qos: 1 }]);
  first.gets('SUBACK');
  const client = stage.joined(V5, { clientId: 'p' });
  client.publish('e/now', 'x', { properties: { messageExpiry: 10 } });
  first.gets('PUBLISH', { messageExpiry: 10 });
  first.disconnect();
  first.closed();
  client.publish('e/long', 'long', { qos: 1, packetId: 1, properties: { messageExpiry: 100 } });
  client.publish('e/short', 'short', { qos: 1, packetId: 2, properties: { messageExpiry: 20 } });
  client.publish('e/ever', 'ever', { qos: 1, packetId: 3 });
  client.all();
  stage.pass(40_000);
  const second = stage.joined(V5, keep);
  const long = second.gets('PUBLISH', { payload: 'long' });
  assert.ok((long.messageExpiry as number) >= 58 && (long.messageExpiry as number) <= 60, `${long.messageExpiry}`);
  second.gets('PUBLISH', { payload: 'ever', messageExpiry: undefined });
  second.nothing();
});

play('publish: topic aliases of the client, up to the maximum', (stage) => {
  const ears = listener(stage);
  const client = stage.joined(V5, { clientId: 'a' });
  client.publish('one', '1', { properties: { topicAlias: 1 } });
  client.publish('sixty-four', '2', { properties: { topicAlias: 64 } });
  client.publish('', '3', { properties: { topicAlias: 1 } });
  client.publish('', '4', { properties: { topicAlias: 64 } });
  client.publish('other', '5', { properties: { topicAlias: 1 } });
  client.publish('', '6', { properties: { topicAlias: 1 } });
  for (const [payload, topic] of Object.entries({ 1: 'one', 2: 'sixty-four', 3: 'one', 4: 'sixty-four', 5: 'other' }))
    ears.gets('PUBLISH', { payload, topic, topicAlias: undefined });
  ears.gets('PUBLISH', { payload: '6', topic: 'other' });
  client.disconnect();
  // They end with the connection ([MQTT-3.3.2-7]).
  const next = stage.joined(V5, { clientId: 'a' });
  next.publish('', 'x', { properties: { topicAlias: 1 } });
  next.gets('DISCONNECT', { reasonCode: 0x82 });
  next.closed();
  const over = stage.joined(V5, { clientId: 'b' });
  over.publish('x', 'x', { properties: { topicAlias: 65 } });
  over.gets('DISCONNECT', { reasonCode: 0x94 });
  over.closed();
  const zero = stage.joined(V5, { clientId: 'c' });
  zero.raw(0x30, 7, 0, 1, 0x61, 3, 0x23, 0, 0);
  zero.gets('DISCONNECT', { reasonCode: 0x94 });
  zero.closed();
});

play(
  'publish: no topic aliases when the server has none',
  (stage) => {
    const client = stage.client();
    client.connect();
    client.gets('CONNACK', { topicAliasMaximum: 0 });
    client.publish('x', 'x', { properties: { topicAlias: 1 } });
    client.gets('DISCONNECT', { reasonCode: 0x94 });
    client.closed();
  },
  { limits: { topicAliasMax: 0 } },
);

play('publish: topics that nothing can be published to', (stage) => {
  for (const topic of ['a/+', '#', 'a#b']) {
    for (const version of VERSIONS) {
      const client = stage.joined(version);
      client.publish(topic, 'x', { qos: 1, packetId: 1 });
      if (version === V5) client.gets('DISCONNECT', { reasonCode: 0x90 });
      client.closed();
    }
  }
  const empty = stage.joined(V5);
  empty.publish('', 'x');
  empty.gets('DISCONNECT', { reasonCode: 0x82 });
  empty.closed();
  const deep = stage.joined(V5);
  deep.publish('a/'.repeat(127), 'x', { qos: 1, packetId: 1 });
  deep.gets('PUBACK', { reason: 0x10 });
  deep.publish('a/'.repeat(128), 'x', { qos: 1, packetId: 1 });
  const [refused] = deep.all();
  assert.equal(refused?.reason ?? refused?.reasonCode, 0x90);
  const answer = stage.joined(V5);
  answer.publish('a', 'x', { properties: { responseTopic: 'a/+' } });
  answer.gets('DISCONNECT', { reasonCode: 0x82 });
  answer.closed();
});

play('publish: names are compared as they are', (stage) => {
  const client = stage.joined();
  client.subscribe(1, [{ filter: '/a/É' }, { filter: 'A/b' }, { filter: 'a//b' }]);
  client.gets('SUBACK');
  for (const topic of ['/a/E\u0301', 'a/É', '/a/é', 'a/b', 'a/b/', '/a/É/']) client.publish(topic, topic);
  client.nothing();
  for (const topic of ['/a/É', 'A/b', 'a//b']) {
    client.publish(topic, topic);
    client.gets('PUBLISH', { topic });
  }
  const longest = 'x'.repeat(65_535);
  client.subscribe(2, [{ filter: longest }]);
  client.gets('SUBACK', { reasons: [0] });
  client.publish(longest, 'long');
  client.gets('PUBLISH', { payload: 'long' });
});

play('publish: retained messages are replaced, cleared, and left alone', (stage) => {
  const first = (): string[] => {
    const client = stage.joined(V311, { clientId: 'reader' });
    client.subscribe(1, [{ filter: 'r', qos: 2 }]);
    client.gets('SUBACK');
    return client.all().map(({ payload, retain }) => `${payload} ${retain}`);
  };
  for (const version of VERSIONS) {
    const client = stage.joined(version, { clientId: 'writer' });
    assert.deepEqual(first(), []);
    client.publish('r', 'one', { retain: true });
    assert.deepEqual(first(), ['one true']);
    client.publish('r', 'two', { retain: true, qos: 1, packetId: 1 });
    client.gets('PUBACK');
    client.publish('r', 'live', { qos: 1, packetId: 2 });
    client.gets('PUBACK');
    client.publish('r', '');
    assert.deepEqual(first(), ['two true']);
    const ears = stage.joined(V5, { clientId: 'ears' });
    ears.subscribe(1, [{ filter: 'r', retainHandling: 2 }]);
    ears.gets('SUBACK');
    client.publish('r', '', { retain: true });
    // Who is subscribed already gets the empty message as any other.
    ears.gets('PUBLISH', { payload: '', retain: false });
    assert.deepEqual(first(), []);
    client.disconnect();
  }
});

play(
  'publish: the receive maximum at its bound and past it',
  (stage) => {
    const client = stage.joined();
    for (let packetId = 1; packetId <= 3; packetId++) {
      client.publish('a', 'x', { qos: 2, packetId });
      client.gets('PUBREC', { packetId });
    }
    // A repeat does not count, and a PUBCOMP gives one back.
    client.publish('a', 'x', { qos: 2, packetId: 3, dup: true });
    client.gets('PUBREC', { packetId: 3 });
    client.ack(PUBREL, 1);
    client.gets('PUBCOMP', { packetId: 1 });
    client.publish('a', 'x', { qos: 1, packetId: 9 });
    client.gets('PUBACK', { packetId: 9 });
    client.publish('a', 'x', { qos: 2, packetId: 4 });
    client.gets('PUBREC', { packetId: 4 });
    client.publish('a', 'x');
    client.ping();
    client.gets('PINGRESP');
    client.publish('a', 'x', { qos: 2, packetId: 5 });
    client.gets('DISCONNECT', { reasonCode: 0x93 });
    client.closed();
    // 3.1.1 has no such bound: what does not fit waits.
    const old = stage.joined(V311, { clientId: 'old' });
    for (let packetId = 1; packetId <= 10; packetId++) {
      old.publish('a', 'x', { qos: 2, packetId });
      old.gets('PUBREC', { packetId });
    }
  },
  { limits: { receiveMaximum: 3 } },
);

play(
  'publish: what comes faster than it settles is not read',
  (stage) => {
    const client = stage.joined(V311, { clientId: 'p', keepAlive: 1 });
    stage.topics.holding = true;
    for (let packetId = 1; packetId <= 20; packetId++) client.publish('a', `${packetId}`, { qos: 1, packetId });
    for (let index = 0; index < 20; index++) client.publish('a', 'unsure');
    client.ping();
    // That we do not read is no silence of the client's.
    client.nothing(5_000);
    assert.equal(stage.topics.published.length, 4);
    stage.topics.letGo();
    for (let packetId = 1; packetId <= 20; packetId++) client.gets('PUBACK', { packetId });
    client.gets('PINGRESP');
    assert.equal(stage.topics.published.length, 40);
  },
  { limits: { receiveMaximum: 4 } },
);

play('publish: packets that break the format close the connection', (stage) => {
  const cases: [string, number, number[]][] = [
    ['QoS 3', 0x81, [0x36, 6, 0, 1, 0x61, 0, 1, 0]],
    ['DUP with QoS 0', 0x81, [0x38, 4, 0, 1, 0x61, 0]],
    ['identifier 0', 0x82, [0x32, 6, 0, 1, 0x61, 0, 0, 0]],
    ['a reserved type', 0x81, [0x00, 0]],
    ['flags of PUBREL', 0x81, [0x60, 2, 0, 1]],
    ['flags of SUBSCRIBE', 0x81, [0x80, 7, 0, 1, 0, 0, 1, 0x61, 0]],
    ['flags of UNSUBSCRIBE', 0x81, [0xa0, 6, 0, 1, 0, 0, 1, 0x61]],
    ['flags of PINGREQ', 0x81, [0xc1, 0]],
    ['flags of DISCONNECT', 0x81, [0xe1, 0]],
    ['flags of AUTH', 0x81, [0xf1, 0]],
    ['a packet of the server’s', 0x82, [0x90, 4, 0, 1, 0, 0]],
    ['an overlong length', 0x81, [0x30, 0xff, 0xff, 0xff, 0xff]],
    ['a length longer than needed', 0x81, [0xc0, 0x80, 0x00]],
    ['text that is not UTF-8', 0x81, [0x30, 4, 0, 1, 0xff, 0]],
    ['a surrogate', 0x81, [0x30, 6, 0, 3, 0xed, 0xa0, 0x80, 0]],
    ['a null character', 0x81, [0x30, 4, 0, 1, 0x00, 0]],
    ['a subscription identifier', 0x82, [0x30, 6, 0, 1, 0x61, 2, 0x0b, 1]],
    ['a property twice', 0x82, [0x30, 8, 0, 1, 0x61, 4, 0x01, 1, 0x01, 1]],
    ['a property that is not of PUBLISH', 0x81, [0x30, 9, 0, 1, 0x61, 5, 0x11, 0, 0, 0, 1]],
    ['no filters', 0x82, [0x82, 3, 0, 1, 0]],
    ['no filters to end', 0x82, [0xa2, 3, 0, 1, 0]],
    ['reserved options', 0x81, [0x82, 7, 0, 1, 0, 0, 1, 0x61, 0x40]],
    ['retain handling 3', 0x82, [0x82, 7, 0, 1, 0, 0, 1, 0x61, 0x30]],
    ['an unknown reason', 0x82, [0xe0, 1, 0x77]],
  ];
  for (const [what, reasonCode, bytes] of cases) {
    const client = stage.joined(V5);
    client.raw(...bytes);
    assert.equal(client.gets('DISCONNECT').reasonCode, reasonCode, what);
    client.closed();
  }
  const earlier: number[][] = [
    [0x36, 5, 0, 1, 0x61, 0, 1],
    [0x60, 2, 0, 1],
    [0x80, 6, 0, 1, 0, 1, 0x61, 0],
    [0xa0, 5, 0, 1, 0, 1, 0x61],
    [0xe1, 0],
    [0xf0, 0],
    [0x82, 2, 0, 1],
    [0xa2, 2, 0, 1],
    [0x82, 6, 0, 1, 0, 1, 0x61, 3],
    [0x82, 6, 0, 1, 0, 1, 0x61, 4],
    [0x30, 3, 0, 1, 0xff],
    [0x30, 3, 0, 1, 0x00],
    [0x32, 5, 0, 1, 0x61, 0, 0],
  ];
  for (const bytes of earlier) {
    const client = stage.joined(V311);
    client.raw(...bytes);
    client.closed();
  }
});

play('publish: a large packet comes in pieces, and one that is too large is refused by its length', (stage) => {
  const ears = listener(stage);
  const client = stage.joined(V5, { clientId: 'big' });
  const size = 100_000;
  client.publish('big', 'x'.repeat(size), { qos: 1, packetId: 1 });
  stage.pass(60_000);
  client.gets('PUBACK', { reason: 0 });
  assert.equal((ears.gets('PUBLISH').payload as string).length, size);
  const over = stage.joined(V5, { clientId: 'over' });
  // 1,048,576 behind four bytes of header; the bound counts the whole packet.
  over.raw(0x30, 0x80, 0x80, 0x40);
  over.gets('DISCONNECT', { reasonCode: 0x95 });
  over.closed();
});
