import assert from 'node:assert/strict';
import { V5, V31, V311, type WillFields } from './packets.ts';
import { type Client, play, type Stage } from './playbook.ts';

const will = (fields: Partial<WillFields> = {}): WillFields => ({
  topic: 'will/t',
  payload: Buffer.from('gone'),
  qos: 0,
  retain: false,
  properties: {},
  ...fields,
});

function listener(stage: Stage): Client {
  const client = stage.joined(V5, { clientId: 'listener' });
  client.subscribe(1, [{ filter: 'will/#', qos: 2, retainAsPublished: true }]);
  client.gets('SUBACK');
  return client;
}

play('will: published when the connection is lost, in each version', (stage) => {
  const ears = listener(stage);
  for (const version of [V31, V311, V5] as const) {
    const cut = stage.joined(version, { clientId: 'w', will: will() });
    cut.cut();
    ears.gets('PUBLISH', { topic: 'will/t', payload: 'gone', qos: 0, retain: false });
    const hung = stage.joined(version, { clientId: 'w', will: will() });
    hung.hangUp();
    ears.gets('PUBLISH', { payload: 'gone' });
    const silent = stage.joined(version, { clientId: 'w', keepAlive: 1, will: will() });
    stage.pass(1_600);
    ears.gets('PUBLISH', { payload: 'gone' });
    silent.all();
    const wrong = stage.joined(version, { clientId: 'w', will: will() });
    wrong.raw(0x00, 0x00);
    ears.gets('PUBLISH', { payload: 'gone' });
    ears.nothing();
    wrong.all();
  }
});

play('will: not published after a normal DISCONNECT, nor without one in CONNECT', (stage) => {
  const ears = listener(stage);
  for (const version of [V31, V311, V5] as const) {
    const client = stage.joined(version, { clientId: 'w', will: will() });
    client.disconnect();
    client.closed();
    stage.joined(version, { clientId: 'w' }).cut();
    ears.nothing();
  }
});

play('will: published after DISCONNECT 0x04 and after an error of the client’s', (stage) => {
  const ears = listener(stage);
  for (const reason of [0x04, 0x80, 0x93]) {
    const client = stage.joined(V5, { clientId: 'w', will: will() });
    client.disconnect(reason);
    client.closed();
    ears.gets('PUBLISH', { payload: 'gone' });
  }
});

play('will: with its QoS, retained or not, and all its properties in order', (stage) => {
  const ears = listener(stage);
  const properties = {
    payloadFormat: 1,
    messageExpiry: 60,
    contentType: 'text/plain',
    responseTopic: 'answers',
    correlation: Buffer.from('42'),
    user: ['b', '1', 'a', '2', 'b', '3'],
  };
  for (const qos of [0, 1, 2] as const) {
    const client = stage.joined(V5, { clientId: 'w', will: will({ qos, retain: qos === 1, properties }) });
    client.cut();
    ears.gets('PUBLISH', {
      qos,
      retain: qos === 1,
      payloadFormat: 1,
      messageExpiry: 60,
      contentType: 'text/plain',
      responseTopic: 'answers',
      correlation: '42',
      user: properties.user,
    });
  }
  assert.equal(stage.topics.retainedValues.get('will/t')?.payload.toString(), 'gone');
});

play('will: waits for its delay, and is not published when the client is back by then', (stage) => {
  const ears = listener(stage);
  const fields = {
    clientId: 'w',
    cleanStart: false,
    will: will({ properties: { willDelay: 5 } }),
    properties: { sessionExpiry: 60 },
  };
  stage.joined(V5, fields).cut();
  ears.nothing(4_000);
  stage.joined(V5, { ...fields, will: null });
  ears.nothing(4_000);
  stage.joined(V5, { ...fields, clientId: 'v' }).cut();
  stage.pass(4_700);
  ears.nothing(1);
  ears.gets('PUBLISH', { payload: 'gone' });
  // The end of the session does not wait for the delay.
  stage.joined(V5, { ...fields, clientId: 'u', properties: { sessionExpiry: 0 } }).cut();
  ears.gets('PUBLISH', { payload: 'gone' });
});

play('will: one that cannot be published is refused', (stage) => {
  const cases: [WillFields, number | null][] = [
    [will({ payload: Buffer.from([0xff]), properties: { payloadFormat: 1 } }), 0x99],
    [will({ topic: 'a/+/b' }), 0x90],
    [will({ topic: '' }), 0x82],
    [will({ properties: { responseTopic: 'a/#' } }), 0x82],
  ];
  for (const [fields, reason] of cases) {
    const client = stage.client(V5);
    client.connect({ will: fields });
    client.gets('CONNACK', { reason, sessionPresent: false });
    client.closed();
  }
  const old = stage.client(V311);
  old.connect({ will: will({ topic: 'a/+/b' }) });
  old.closed();
});
