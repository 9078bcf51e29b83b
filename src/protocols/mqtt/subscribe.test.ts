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
import type { History } from '../../resources/topics/contract.ts';
import { PUBACK, V5, V31, V311 } from './packets.ts';
import { play, type Stage, settle } from './playbook.ts';

const VERSIONS = [V31, V311, V5] as const;

const say = (stage: Stage, topic: string, payload = 'x', assurance: 0 | 1 | 2 = 0, retain = false) =>
  stage.topics.say({ topic, payload: Buffer.from(payload), assurance, retain });

play('subscribe: one reason code a filter, in their order, under the same identifier', (stage) => {
  stage.topics.refusals.set('no', DENIED);
  for (const version of VERSIONS) {
    const client = stage.joined(version);
    stage.topics.holding = true;
    client.subscribe(4_711, [
      { filter: 'a', qos: 2 },
      { filter: 'no', qos: 1 },
      { filter: 'b', qos: 0 },
      { filter: 'a/#/b', qos: 1 },
      { filter: 'c', qos: 1 },
    ]);
    client.nothing();
    stage.topics.letGo();
    const failed = version === V5 ? [0x87, 0x8f] : [0x80, 0x80];
    client.gets('SUBACK', { packetId: 4_711, reasons: [2, failed[0], 0, failed[1], 1] });
    client.nothing();
    client.disconnect();
  }
});

const REFUSALS = [
  [DENIED, 0x87],
  [UNKNOWN, 0x87],
  [MISSING, 0x80],
  [EXISTS, 0x80],
  [INVALID, 0x8f],
  [STALE, 0x80],
  [FULL, 0x97],
  [BUSY, 0x97],
  [LATE, 0x80],
  [GONE, 0x80],
  [UNSUPPORTED, 0x83],
  [FAILED, 0x80],
] as const;

play('subscribe: each outcome is answered in the version’s words', (stage) => {
  const client = stage.joined(V5, { clientId: 'five' });
  const old = stage.joined(V311, { clientId: 'old' });
  for (const [outcome, code] of REFUSALS) {
    stage.topics.refusals.set('f', outcome);
    client.subscribe(1, [{ filter: 'f' }]);
    client.gets('SUBACK', { reasons: [code] });
    old.subscribe(1, [{ filter: 'f' }]);
    old.gets('SUBACK', { reasons: [0x80] });
  }
});

play('subscribe: filters that are none, and those that are', (stage) => {
  const client = stage.joined();
  const wrong = ['', 'a#', '#/a', 'a/#/b', 'a+', '+a/b', 'a/b+', '$share/g', '$share//a', '$share/g/', '$share/+/a'];
  client.subscribe(
    1,
    wrong.map((filter) => ({ filter })),
  );
  client.gets('SUBACK', { reasons: wrong.map(() => 0x8f) });
  const right = ['#', '+', '/', '//', 'a/+/b/#', '+/+', ' ', '$SYS/#', '$share/g/#', '$share/g//a', 'sport/tennis/#'];
  client.subscribe(
    2,
    right.map((filter) => ({ filter })),
  );
  client.gets('SUBACK', { reasons: right.map(() => 0) });
});

play('subscribe: wildcards match whole levels, and no topic that begins with $', (stage) => {
  const client = stage.joined();
  client.subscribe(1, [{ filter: 'a/#' }, { filter: '+/x' }]);
  client.gets('SUBACK');
  for (const topic of ['a', 'a/b', 'a/b/c', 'q/x', '/x']) {
    say(stage, topic);
    client.gets('PUBLISH', { topic });
  }
  for (const topic of ['b', '$SYS/x', 'q/x/y', 'aa/b']) say(stage, topic);
  client.nothing();
  const all = stage.joined(V5, { clientId: 'all' });
  all.subscribe(1, [{ filter: '#' }, { filter: '+/monitor' }]);
  all.gets('SUBACK');
  say(stage, '$SYS/monitor');
  all.nothing();
  all.subscribe(2, [{ filter: '$SYS/+' }]);
  all.gets('SUBACK');
  say(stage, '$SYS/monitor');
  all.gets('PUBLISH', { topic: '$SYS/monitor' });
});

play('subscribe: the same filter again replaces the subscription, without a gap', (stage) => {
  for (const version of VERSIONS) {
    const client = stage.joined(version);
    say(stage, 'r', 'kept', 1, true);
    client.subscribe(1, [{ filter: 'r', qos: 0 }]);
    client.gets('SUBACK', { reasons: [0] });
    client.gets('PUBLISH', { payload: 'kept', retain: true, qos: 0 });
    client.subscribe(2, [{ filter: 'r', qos: 1 }]);
    client.gets('SUBACK', { reasons: [1] });
    client.gets('PUBLISH', { payload: 'kept', retain: true, qos: 1 });
    say(stage, 'r', 'live', 1);
    client.gets('PUBLISH', { payload: 'live', retain: false, qos: 1 });
    client.nothing();
    client.disconnect();
  }
});

play('subscribe: retain handling', (stage) => {
  say(stage, 'r/1', 'one', 1, true);
  say(stage, 'r/2', 'two', 0, true);
  const client = stage.joined();
  const ask = (retainHandling: 0 | 1 | 2, given: number) => {
    client.subscribe(1, [{ filter: 'r/#', retainHandling }]);
    client.gets('SUBACK');
    const got = client.all();
    assert.equal(got.length, given);
    for (const { retain } of got) assert.equal(retain, true);
  };
  ask(2, 0);
  client.unsubscribe(2, 'r/#');
  client.gets('UNSUBACK');
  ask(1, 2);
  ask(1, 0);
  ask(0, 2);
  ask(0, 2);
  ask(2, 0);
});

play('subscribe: retain as published', (stage) => {
  const kept = stage.joined(V5, { clientId: 'kept' });
  kept.subscribe(1, [{ filter: 'r', retainAsPublished: true }]);
  kept.gets('SUBACK');
  const cleared = stage.joined(V5, { clientId: 'cleared' });
  cleared.subscribe(1, [{ filter: 'r' }]);
  cleared.gets('SUBACK');
  for (const retain of [true, false]) {
    say(stage, 'r', 'x', 0, retain);
    kept.gets('PUBLISH', { retain });
    cleared.gets('PUBLISH', { retain: false });
  }
});

play('subscribe: no local', (stage) => {
  const keep = { clientId: 'own', cleanStart: false, properties: { sessionExpiry: 100 } };
  const first = stage.joined(V5, keep);
  first.subscribe(1, [{ filter: 'n', noLocal: true }, { filter: 'm' }]);
  first.gets('SUBACK');
  const other = stage.joined(V5, { clientId: 'other' });
  const client = stage.joined(V5, keep);
  first.all();
  client.publish('n', 'mine');
  client.nothing();
  client.publish('m', 'mine');
  client.gets('PUBLISH', { topic: 'm' });
  other.publish('n', 'theirs');
  client.gets('PUBLISH', { topic: 'n', payload: 'theirs' });
  client.subscribe(2, [{ filter: '$share/g/n', noLocal: true }]);
  client.gets('DISCONNECT', { reasonCode: 0x82 });
  client.closed();
});

play('subscribe: identifiers, all that matched on one message of the highest QoS', (stage) => {
  const client = stage.joined();
  const ask = (packetId: number, filter: string, qos: 0 | 1 | 2, identifier: number) => {
    client.subscribe(packetId, [{ filter, qos }], identifier === 0 ? null : { subscriptionIds: [identifier] });
    client.gets('SUBACK', { packetId, reasons: [qos] });
  };
  ask(1, 'a/b', 1, 1);
  ask(2, 'a/+', 0, 268_435_455);
  ask(3, 'a/#', 2, 0);
  say(stage, 'a/b', 'all', 2);
  const got = client.gets('PUBLISH', { payload: 'all', qos: 2 });
  assert.deepEqual((got.subscriptionIds as number[]).toSorted(), [1, 268_435_455]);
  say(stage, 'a/c', 'one', 1);
  client.gets('PUBLISH', { payload: 'one', qos: 1, subscriptionIds: [268_435_455] });
  say(stage, 'a', 'none', 1);
  client.gets('PUBLISH', { payload: 'none', subscriptionIds: undefined });
  client.nothing();
  ask(4, 'a/+', 0, 0);
  say(stage, 'a/c');
  client.gets('PUBLISH', { subscriptionIds: undefined });
});

play('subscribe: members of a group share the messages, each at its own QoS', (stage) => {
  const members = [0, 1, 2].map((qos) => {
    const client = stage.joined(V5, { clientId: `m${qos}` });
    client.subscribe(1, [{ filter: '$share/group/s/+', qos: qos as 0 | 1 | 2 }]);
    client.gets('SUBACK', { reasons: [qos] });
    return client;
  });
  const other = stage.joined(V5, { clientId: 'other' });
  other.subscribe(1, [{ filter: '$share/another/s/+' }]);
  other.gets('SUBACK');
  const plain = stage.joined(V311, { clientId: 'plain' });
  plain.subscribe(1, [{ filter: 's/#' }]);
  plain.gets('SUBACK');
  for (let index = 0; index < 9; index++) say(stage, 's/x', `${index}`, 2);
  const got = members.map((client) => client.all());
  assert.equal(got.flat().length, 9);
  for (const [qos, packets] of got.entries()) for (const packet of packets) assert.equal(packet.qos, qos);
  assert.equal(other.all().length, 9);
  assert.equal(plain.all().length, 9);
  members[0]!.unsubscribe(2, 's/+', '$share/group/s/+', '$share/group/s/+');
  members[0]!.gets('UNSUBACK', { reasons: [0x11, 0, 0x11] });
});

play('subscribe: retained messages are not given to a shared subscription', (stage) => {
  say(stage, 's', 'kept', 0, true);
  const client = stage.joined();
  client.subscribe(1, [{ filter: '$share/g/s' }]);
  client.gets('SUBACK');
  client.nothing();
});

play('subscribe: a delivery to a member of a group is completed when it comes back, and goes to no other', (stage) => {
  const keep = { clientId: 'm1', cleanStart: false, properties: { sessionExpiry: 100 } };
  const first = stage.joined(V5, keep);
  first.subscribe(1, [{ filter: '$share/g/s', qos: 2 }]);
  first.gets('SUBACK');
  say(stage, 's', 'mine', 2);
  const sent = first.gets('PUBLISH', { payload: 'mine' });
  const other = stage.joined(V5, { clientId: 'm2' });
  other.subscribe(1, [{ filter: '$share/g/s', qos: 2 }]);
  other.gets('SUBACK');
  first.cut();
  other.nothing();
  const second = stage.joined(V5, keep);
  second.gets('PUBLISH', { payload: 'mine', dup: true, packetId: sent.packetId });
  second.ack(5, sent.packetId as number, 0x80);
  other.nothing();
  second.cut();
  stage.joined(V5, { clientId: 'm1' });
  other.nothing();
});

play('unsubscribe: exactly, one reason code a filter, and always answered', (stage) => {
  for (const version of VERSIONS) {
    const client = stage.joined(version);
    client.subscribe(1, [{ filter: 'a/+' }, { filter: 'b' }, { filter: 'c' }]);
    client.gets('SUBACK');
    client.unsubscribe(99, 'a/b', 'a/#', 'b', 'B', 'c');
    client.gets('UNSUBACK', { packetId: 99, reasons: version === V5 ? [0x11, 0x11, 0, 0x11, 0] : [] });
    for (const topic of ['a/b', 'b', 'c']) say(stage, topic);
    client.gets('PUBLISH', { topic: 'a/b' });
    client.nothing();
    client.unsubscribe(100, 'nothing');
    client.gets('UNSUBACK', { packetId: 100, reasons: version === V5 ? [0x11] : [] });
    client.disconnect();
  }
  const wrong = stage.joined(V5);
  wrong.unsubscribe(1, '$share/a');
  wrong.gets('UNSUBACK', { reasons: [0x8f] });
});

play('unsubscribe: what was begun to be delivered is completed', (stage) => {
  const keep = { clientId: 'u', cleanStart: false, properties: { sessionExpiry: 100 } };
  const client = stage.joined(V5, keep);
  client.subscribe(1, [{ filter: 'a', qos: 2 }]);
  client.gets('SUBACK');
  say(stage, 'a', 'begun', 2);
  const got = client.gets('PUBLISH', { payload: 'begun' });
  client.unsubscribe(2, 'a');
  client.gets('UNSUBACK', { reasons: [0] });
  say(stage, 'a', 'later', 2);
  client.nothing();
  client.ack(5, got.packetId as number);
  client.gets('PUBREL', { packetId: got.packetId });
  client.cut();
  const next = stage.joined(V5, keep);
  next.gets('PUBREL', { packetId: got.packetId });
});

play('subscribe: reasons for people only as the client asks', (stage) => {
  stage.topics.refusals.set('no', FULL);
  const run = (requestProblem: number, maximumPacketSize: number) => {
    const client = stage.joined(V5, { properties: { requestProblem, maximumPacketSize } });
    client.subscribe(1, [{ filter: 'no' }]);
    const suback = client.gets('SUBACK', { reasons: [0x97] });
    client.publish('no', 'x', { qos: 1, packetId: 2 });
    const puback = client.gets('PUBACK', { reason: 0x97 });
    client.publish('no', 'x', { qos: 2, packetId: 3 });
    const pubrec = client.gets('PUBREC', { reason: 0x97 });
    client.raw(0, 0);
    const disconnect = client.gets('DISCONNECT', { reasonCode: 0x81 });
    return [
      suback.why !== undefined,
      puback.said !== undefined,
      pubrec.said !== undefined,
      disconnect.why !== undefined,
    ];
  };
  assert.deepEqual(run(1, 1_000), [true, true, true, true]);
  assert.deepEqual(run(0, 1_000), [false, false, false, true]);
  // Nor where the packet would be larger than the client takes.
  assert.deepEqual(run(1, 20), [false, false, false, false]);
});

play('subscribe: behind a cursor, with the cursors of what is delivered', async (stage) => {
  stage.topics.history = async (_caller, filter, after): Promise<History> => {
    const first = stage.topics.kept[0];
    const missing = first === undefined || first.cursor > after + 1;
    const gap = missing ? { filter, after, from: first?.cursor ?? 0 } : null;
    return { messages: [], gap, cursor: 0 };
  };
  for (let index = 1; index <= 4; index++) say(stage, 'kept/a', `${index}`, 1);
  const client = stage.joined();
  client.subscribe(1, [{ filter: 'kept/#', qos: 1 }], { user: ['after', '2'] });
  client.ping();
  stage.pass(50);
  await settle();
  await settle();
  client.gets('SUBACK', { packetId: 1, reasons: [1], why: undefined, user: undefined });
  client.getsAll(
    ['PUBLISH', { payload: '3', user: ['cursor', '3'] }],
    ['PUBLISH', { payload: '4', user: ['cursor', '4'] }],
    ['PINGRESP', {}],
  );
  // What is gone is told.
  stage.topics.kept.splice(0, 2);
  client.subscribe(2, [{ filter: 'kept/+' }], { user: ['after', '1'] });
  stage.pass(50);
  await settle();
  await settle();
  const told = client.gets('SUBACK', { packetId: 2, reasons: [0], user: ['gap', '1-3'] });
  assert.ok(told.why);
  client.all();
  client.subscribe(3, [{ filter: 'kept/a' }], { user: ['after', 'yesterday'] });
  client.gets('SUBACK', { packetId: 3, reasons: [0x83] });
  const quiet = stage.joined(V5, { clientId: 'quiet', properties: { requestProblem: 0 } });
  quiet.subscribe(1, [{ filter: 'kept/#' }], { user: ['after', '1'] });
  stage.pass(50);
  await settle();
  await settle();
  quiet.gets('SUBACK', { user: undefined, why: undefined });
  quiet.gets('PUBLISH', { payload: '3', user: ['gap', '1-3', 'cursor', '3'] });
  quiet.gets('PUBLISH', { payload: '4', user: ['cursor', '4'] });
});

play('subscribe: cursors only for those that ask, and the others share one frame', (stage) => {
  const asks = stage.joined(V5, { clientId: 'asks' });
  asks.subscribe(1, [{ filter: 'kept/#' }], { user: ['cursor', '1'] });
  asks.gets('SUBACK');
  const plain = stage.joined(V5, { clientId: 'plain' });
  plain.subscribe(1, [{ filter: 'kept/#' }]);
  plain.gets('SUBACK');
  stage.topics.say({ topic: 'kept/a', payload: Buffer.from('x'), assurance: 0, properties: ['a', 'b'] });
  asks.gets('PUBLISH', { user: ['a', 'b', 'cursor', '1'] });
  plain.gets('PUBLISH', { user: ['a', 'b'] });
  stage.topics.say({ topic: 'other', payload: Buffer.from('x'), assurance: 0 });
  asks.unsubscribe(2, 'kept/#');
  asks.gets('UNSUBACK');
  asks.subscribe(3, [{ filter: 'kept/#', retainHandling: 2 }]);
  asks.gets('SUBACK');
  stage.topics.say({ topic: 'kept/a', payload: Buffer.from('y'), assurance: 0 });
  asks.gets('PUBLISH', { payload: 'y', user: undefined });
});

play(
  'subscribe: as many as the bound, and one more is refused',
  (stage) => {
    const client = stage.joined();
    client.subscribe(1, [{ filter: 'a' }, { filter: 'b' }, { filter: 'c' }]);
    client.gets('SUBACK', { reasons: [0, 0, 0x97] });
    client.subscribe(2, [{ filter: 'a', qos: 1 }]);
    client.gets('SUBACK', { reasons: [1] });
    client.unsubscribe(3, 'a');
    client.gets('UNSUBACK');
    client.subscribe(4, [{ filter: 'c' }]);
    client.gets('SUBACK', { reasons: [0] });
    say(stage, 'c', 'x', 1);
    client.ack(PUBACK, (client.gets('PUBLISH').packetId as number) ?? 1);
  },
  { limits: { subscriptionsMax: 2 } },
);
