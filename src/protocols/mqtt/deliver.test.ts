import assert from 'node:assert/strict';
import { PUBACK, PUBCOMP, PUBREC, V5, V31, V311 } from './packets.ts';
import { type Client, type Got, play, type Stage } from './playbook.ts';

const VERSIONS = [V31, V311, V5] as const;
const KEEP = { cleanStart: false, properties: { sessionExpiry: 1_000 } };

const say = (stage: Stage, payload: string, assurance: 0 | 1 | 2 = 1) =>
  stage.topics.say({ topic: 't', payload: Buffer.from(payload), assurance });

function subscriber(
  stage: Stage,
  version: typeof V31 | typeof V311 | typeof V5 = V5,
  properties: Record<string, number> = {},
): Client {
  const client = stage.joined(version, { ...KEEP, clientId: 's', properties: { ...KEEP.properties, ...properties } });
  client.subscribe(1, [{ filter: 't', qos: 2 }]);
  client.gets('SUBACK');
  return client;
}

const id = (packet: Got) => packet.packetId as number;

play('deliver: with the lesser QoS of publisher and subscriber', (stage) => {
  for (const version of VERSIONS) {
    const client = stage.joined(version);
    for (const granted of [0, 1, 2] as const) {
      client.subscribe(1, [{ filter: 't', qos: granted }]);
      client.gets('SUBACK', { reasons: [granted] });
      for (const qos of [0, 1, 2] as const) {
        say(stage, `${granted}${qos}`, qos);
        const got = client.gets('PUBLISH', { payload: `${granted}${qos}`, qos: Math.min(granted, qos), dup: false });
        if (got.qos === 1) client.ack(PUBACK, id(got));
        if (got.qos === 2) {
          client.ack(PUBREC, id(got));
          client.gets('PUBREL', { packetId: got.packetId });
          client.ack(PUBCOMP, id(got));
        }
      }
    }
    client.disconnect();
  }
});

play('deliver: QoS 1 is sent again with DUP and its identifier, to the next connection only', (stage) => {
  for (const version of VERSIONS) {
    const first = subscriber(stage, version);
    say(stage, 'one');
    say(stage, 'two');
    say(stage, 'three');
    const one = first.gets('PUBLISH', { payload: 'one', dup: false });
    const two = first.gets('PUBLISH', { payload: 'two', dup: false });
    const three = first.gets('PUBLISH', { payload: 'three', dup: false });
    assert.equal(new Set([id(one), id(two), id(three)]).size, 3);
    first.ack(PUBACK, id(two));
    first.nothing(60_000);
    first.cut();
    const second = stage.client(version);
    second.connect({ ...KEEP, clientId: 's' });
    second.gets('CONNACK', { sessionPresent: version !== V31 });
    second.gets('PUBLISH', { payload: 'one', dup: true, packetId: one.packetId });
    second.gets('PUBLISH', { payload: 'three', dup: true, packetId: three.packetId });
    second.ack(PUBACK, id(one));
    second.ack(PUBACK, id(three));
    second.nothing();
    second.cut();
    const third = stage.joined(version, { ...KEEP, clientId: 's' });
    third.nothing();
    third.disconnect();
    third.closed();
    stage.joined(version, { clientId: 's' }).disconnect();
  }
});

play('deliver: QoS 2 in all its steps, each repeated by the next connection', (stage) => {
  for (const version of VERSIONS) {
    const first = subscriber(stage, version);
    say(stage, 'exactly', 2);
    const sent = first.gets('PUBLISH', { payload: 'exactly', qos: 2, dup: false });
    first.cut();
    const second = stage.joined(version, { ...KEEP, clientId: 's' });
    second.gets('PUBLISH', { payload: 'exactly', qos: 2, dup: true, packetId: sent.packetId });
    stage.topics.holding = true;
    second.ack(PUBREC, id(sent));
    second.nothing();
    stage.topics.letGo();
    second.gets('PUBREL', { packetId: sent.packetId });
    // A repeated PUBREC is answered again, and PUBLISH is not ([MQTT-4.3.3-6]).
    second.ack(PUBREC, id(sent));
    second.gets('PUBREL', { packetId: sent.packetId, reason: 0 });
    second.cut();
    const third = stage.joined(version, { ...KEEP, clientId: 's' });
    third.gets('PUBREL', { packetId: sent.packetId });
    third.ack(PUBCOMP, id(sent));
    third.nothing();
    third.cut();
    const fourth = stage.joined(version, { ...KEEP, clientId: 's' });
    fourth.nothing();
    fourth.disconnect();
    stage.joined(version, { clientId: 's' }).disconnect();
  }
});

play('deliver: a refusal of the client’s ends the delivery', (stage) => {
  const client = subscriber(stage, V5, { receiveMaximum: 1 });
  say(stage, 'one', 1);
  say(stage, 'two', 2);
  say(stage, 'three', 1);
  client.ack(PUBACK, id(client.gets('PUBLISH', { payload: 'one' })), 0x80);
  client.ack(PUBREC, id(client.gets('PUBLISH', { payload: 'two' })), 0x83);
  client.gets('PUBLISH', { payload: 'three' });
  client.cut();
  const next = stage.joined(V5, { ...KEEP, clientId: 's' });
  next.gets('PUBLISH', { payload: 'three', dup: true });
  next.nothing();
});

play('deliver: never more than the client’s receive maximum, and all else goes on', (stage) => {
  const client = subscriber(stage, V5, { receiveMaximum: 2 });
  for (let index = 0; index < 5; index++) say(stage, `${index}`, index === 1 ? 2 : 1);
  const zero = client.gets('PUBLISH', { payload: '0' });
  const one = client.gets('PUBLISH', { payload: '1' });
  client.nothing();
  client.ping();
  client.gets('PINGRESP');
  client.subscribe(2, [{ filter: 'other' }]);
  client.gets('SUBACK');
  client.publish('elsewhere', 'own', { qos: 1, packetId: 1 });
  client.gets('PUBACK', { packetId: 1 });
  // PUBREC gives nothing back, PUBCOMP does.
  client.ack(PUBREC, id(one));
  client.gets('PUBREL');
  client.nothing();
  client.ack(PUBCOMP, id(one));
  const two = client.gets('PUBLISH', { payload: '2' });
  client.nothing();
  client.ack(PUBACK, id(zero));
  client.gets('PUBLISH', { payload: '3' });
  client.nothing();
  client.ack(PUBACK, id(two));
  client.gets('PUBLISH', { payload: '4' });
  client.cut();
  // The next connection allows less than is under way.
  const next = stage.joined(V5, { clientId: 's', ...KEEP, properties: { sessionExpiry: 1_000, receiveMaximum: 1 } });
  const three = next.gets('PUBLISH', { payload: '3', dup: true });
  next.nothing();
  next.ack(PUBACK, id(three));
  next.gets('PUBLISH', { payload: '4', dup: true });
});

play(
  'deliver: never more than the server’s own bound',
  (stage) => {
    const client = subscriber(stage, V311);
    for (let index = 0; index < 4; index++) say(stage, `${index}`);
    const first = client.gets('PUBLISH', { payload: '0' });
    client.gets('PUBLISH', { payload: '1' });
    client.gets('PUBLISH', { payload: '2' });
    client.nothing();
    client.ack(PUBACK, id(first));
    client.gets('PUBLISH', { payload: '3' });
  },
  { limits: { inflightMax: 3 } },
);

play('deliver: what is larger than the client takes is not sent, and counts as sent', (stage) => {
  const client = subscriber(stage, V5, { maximumPacketSize: 40, receiveMaximum: 1 });
  // Head of 2, topic of 3, identifier of 2, properties of 1: 32 bytes of payload fit.
  for (const assurance of [0, 1, 2] as const) {
    say(stage, 'x'.repeat(assurance === 0 ? 35 : 33), assurance);
    client.nothing();
  }
  assert.equal(stage.topics.figures.dropped, 3);
  say(stage, 'y'.repeat(34), 0);
  client.gets('PUBLISH', { payload: 'y'.repeat(34) });
  say(stage, 'y'.repeat(32), 1);
  client.gets('PUBLISH', { payload: 'y'.repeat(32) });
  client.stays();
});

play('deliver: topic aliases up to the client’s maximum, none without one', (stage) => {
  const client = stage.joined(V5, { properties: { topicAliasMaximum: 2 } });
  client.subscribe(1, [{ filter: '#', qos: 1 }]);
  client.gets('SUBACK');
  const topics = ['a/long/name/1', 'a/long/name/2', 'a/long/name/3'];
  const seen: unknown[] = [];
  for (const round of [0, 1, 2]) {
    for (const topic of topics) {
      stage.topics.say({ topic, payload: Buffer.from(`${round}`), assurance: round === 2 ? 1 : 0 });
      const got = client.gets('PUBLISH', { payload: `${round}` });
      seen.push([got.topic, got.topicAlias]);
    }
  }
  const [one, two, three] = topics;
  const again = ['', 1, '', 2, three, undefined];
  assert.deepEqual(seen.flat(), [one, 1, two, 2, three, undefined, ...again, ...again]);
  const plain = stage.joined(V5, { clientId: 'plain' });
  plain.subscribe(1, [{ filter: '#' }]);
  plain.gets('SUBACK');
  for (let round = 0; round < 2; round++) {
    stage.topics.say({ topic: one!, payload: Buffer.from('x'), assurance: 0 });
    plain.gets('PUBLISH', { topic: one, topicAlias: undefined });
  }
});

play('deliver: in the order in which they came', (stage) => {
  const client = subscriber(stage, V5, { receiveMaximum: 7 });
  const publisher = stage.joined(V5, { clientId: 'p' });
  for (let index = 1; index <= 60; index++) publisher.publish('t', `${index}`, { qos: 1, packetId: index });
  for (let index = 1; index <= 60; index++) {
    const got = client.gets('PUBLISH', { payload: `${index}` });
    client.ack(PUBACK, id(got));
  }
  for (let index = 1; index <= 20; index++) {
    publisher.publish('t', `q2 ${index}`, { qos: 2, packetId: 100 + index });
    if (index % 2 === 0) publisher.publish('t', `q0 ${index}`);
  }
  const order: Record<string, number[]> = { q0: [], q2: [] };
  for (;;) {
    const more = client.all();
    if (more.length === 0) break;
    for (const got of more) {
      if (got.name === 'PUBREL') client.ack(PUBCOMP, id(got));
      else {
        const [kind, index] = (got.payload as string).split(' ');
        order[kind!]!.push(Number(index));
        if (got.qos === 2) client.ack(PUBREC, id(got));
      }
    }
  }
  for (const list of Object.values(order))
    assert.deepEqual(
      list,
      list.toSorted((a, b) => a - b),
    );
  assert.equal(order.q2!.length, 20);
});

play('deliver: acknowledgements of what was not sent change nothing', (stage) => {
  for (const version of VERSIONS) {
    const client = subscriber(stage, version);
    client.ack(PUBACK, 77);
    client.ack(PUBCOMP, 77);
    client.nothing();
    client.ack(PUBREC, 77);
    client.gets('PUBREL', { packetId: 77, reason: version === V5 ? 0x92 : 0 });
    say(stage, 'x', 2);
    const got = client.gets('PUBLISH');
    // Of another QoS.
    client.ack(PUBACK, id(got));
    client.ack(PUBCOMP, id(got));
    client.nothing();
    client.ack(PUBREC, id(got));
    client.gets('PUBREL', { packetId: got.packetId, reason: 0 });
    client.ack(PUBCOMP, id(got));
    client.disconnect();
    stage.joined(version, { clientId: 's' }).disconnect();
  }
});

play('deliver: identifiers are never zero, and never in use', (stage) => {
  const client = subscriber(stage, V5, { receiveMaximum: 2 });
  say(stage, 'stays');
  const stays = id(client.gets('PUBLISH'));
  const ids = new Set<number>();
  for (let index = 0; index < 200; index++) {
    say(stage, `${index}`);
    const got = id(client.gets('PUBLISH'));
    assert.ok(got > 0 && got <= 65_535 && got !== stays);
    ids.add(got);
    client.ack(PUBACK, got);
  }
});

play(
  'deliver: a client that stops reading costs its bound, and no more',
  (stage) => {
    for (const version of [V311, V5] as const) {
      const client = stage.joined(version, { clientId: 'deaf' });
      client.subscribe(1, [{ filter: 't', qos: 0 }]);
      client.gets('SUBACK');
      client.link.stall(true);
      for (let index = 0; index < 300; index++) say(stage, 'x'.repeat(1_000), 0);
      stage.pass(100);
      // The high mark, one more message, and what the wire holds.
      assert.ok(client.link.far.queued <= 65_536 + 16_384 + 2_048, `${client.link.far.queued}`);
      client.link.stall(false);
      stage.pass(2_000);
      const got = client.all();
      if (version === V5) assert.equal(got.at(-1)?.reasonCode, 0x97);
      client.closed();
    }
  },
  { limits: { queueMessagesMax: 100 }, bounds: { highMark: 16_384, lowMark: 4_096 } },
);

play(
  'deliver: a client that does not read its answers is not read either',
  (stage) => {
    const client = stage.joined(V5, { keepAlive: 100 });
    client.link.far.stalled = false;
    client.link.near.stalled = true;
    for (let index = 0; index < 100_000; index++) client.ping();
    stage.pass(5_000);
    assert.ok(client.link.far.queued <= 65_536 + 4_096 + 256, `${client.link.far.queued}`);
    client.link.near.stalled = false;
    client.link.stall(false);
    stage.pass(10_000);
    assert.equal(client.all().length, 100_000);
  },
  { bounds: { highMark: 4_096, lowMark: 1_024 } },
);

play(
  'deliver: a client that keeps up gets all, whatever the queue holds',
  (stage) => {
    const client = stage.joined();
    client.subscribe(1, [{ filter: 't', qos: 0 }]);
    client.gets('SUBACK');
    for (let index = 0; index < 50; index++) say(stage, 'x'.repeat(1_000), 0);
    assert.equal(client.all().length, 50);
  },
  { limits: { queueMessagesMax: 100 }, bounds: { highMark: 4_096, lowMark: 1_024 } },
);

play('deliver: what was sent once does not expire', (stage) => {
  const first = subscriber(stage, V5);
  stage.topics.say({ topic: 't', payload: Buffer.from('x'), assurance: 2, expiryMs: 3_000 });
  const sent = first.gets('PUBLISH', { messageExpiry: 3 });
  first.cut();
  stage.pass(10_000);
  const second = stage.joined(V5, { ...KEEP, clientId: 's' });
  second.gets('PUBLISH', { packetId: sent.packetId, dup: true, messageExpiry: 1 });
  stage.pass(10_000);
  second.ack(PUBREC, id(sent));
  second.gets('PUBREL', { packetId: sent.packetId });
});

play(
  'deliver: no more topic aliases than the server wants to keep',
  (stage) => {
    const client = stage.joined(V5, { properties: { topicAliasMaximum: 100 } });
    client.subscribe(1, [{ filter: '#' }]);
    client.gets('SUBACK');
    for (const [topic, topicAlias] of [
      ['a/long/name/1', 1],
      ['a/long/name/2', undefined],
    ]) {
      stage.topics.say({ topic: topic as string, payload: Buffer.from('x'), assurance: 0 });
      client.gets('PUBLISH', { topic, topicAlias });
    }
  },
  { limits: { topicAliasOutMax: 1 } },
);
