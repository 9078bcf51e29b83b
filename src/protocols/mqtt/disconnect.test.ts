import assert from 'node:assert/strict';
import { writePingreq } from './encode.ts';
import { V5, V31, V311 } from './packets.ts';
import { play, writePublish } from './playbook.ts';

const VERSIONS = [V31, V311, V5] as const;

play('ping: each PINGREQ is answered', (stage) => {
  for (const version of VERSIONS) {
    const client = stage.joined(version);
    client.says((out) => {
      for (let index = 0; index < 50; index++) writePingreq(out);
    });
    for (let index = 0; index < 50; index++) client.gets('PINGRESP');
    client.nothing();
    client.disconnect();
  }
});

play('disconnect: the server closes, and takes nothing that comes behind', (stage) => {
  for (const version of VERSIONS) {
    const client = stage.joined(version);
    const before = stage.topics.published.length;
    client.says((out) => {
      out.u16(0xe000);
      writePublish(out, version, 'late', 'x');
      writePingreq(out);
    });
    client.closed();
    assert.equal(stage.topics.published.length, before);
    stage.pass(3_000);
    assert.equal(client.cause, 'ended');
  }
});

play('disconnect: nothing is sent behind a DISCONNECT of the server’s', (stage) => {
  const client = stage.joined();
  client.subscribe(1, [{ filter: '#' }]);
  client.gets('SUBACK');
  stage.topics.holding = true;
  client.publish('a', 'x', { qos: 1, packetId: 1 });
  client.gets('PUBLISH');
  client.raw(0x00, 0x00);
  client.gets('DISCONNECT', { reasonCode: 0x81 });
  stage.topics.letGo();
  stage.topics.say({ topic: 'a', payload: Buffer.from('y'), assurance: 0 });
  client.closed();
});

play('disconnect: the session expiry can be changed, but not raised from zero', (stage) => {
  const come = (sessionExpiry: number, present: boolean) => {
    const client = stage.client();
    client.connect({ clientId: 'd', cleanStart: false, properties: { sessionExpiry } });
    client.gets('CONNACK', { sessionPresent: present });
    return client;
  };
  const shortened = come(1_000, false);
  shortened.disconnect(0, { sessionExpiry: 0 });
  shortened.closed();
  const raised = come(0, false);
  raised.disconnect(0, { sessionExpiry: 10 });
  raised.gets('DISCONNECT', { reasonCode: 0x82 });
  raised.closed();
  const longer = come(1, false);
  longer.disconnect(0, { sessionExpiry: 1_000 });
  longer.closed();
  stage.pass(100_000);
  come(0, true).disconnect();
});

play('disconnect: a packet that is too large, whatever it is', (stage) => {
  const client = stage.joined();
  client.raw(0x82, 0xff, 0xff, 0xff, 0x7f);
  client.gets('DISCONNECT', { reasonCode: 0x95 });
  client.closed();
  const stranger = stage.client();
  stranger.raw(0x10, 0xff, 0xff, 0x7f);
  stranger.closed();
});

play(
  'disconnect: the maximum packet size at its bound and past it',
  (stage) => {
    for (const version of [V311, V5] as const) {
      const client = stage.joined(version);
      const head = version === V5 ? 8 : 7;
      client.publish('a', 'x'.repeat(200 - head), { qos: 1, packetId: 1 });
      client.gets('PUBACK', { packetId: 1 });
      client.publish('a', 'x'.repeat(200 - head + 3), { qos: 1, packetId: 1 });
      if (version === V5) client.gets('DISCONNECT', { reasonCode: 0x95 });
      client.closed();
      assert.equal(stage.faults.at(-1)?.id, 'mqtt.packetTooLarge');
    }
  },
  { limits: { packetBytesMax: 201 } },
);
