import assert from 'node:assert/strict';
import { SHUTDOWN } from '../../core/pipe.ts';
import { writeConnect, writePingreq, writeSubscribe } from './encode.ts';
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
    alice.ack(4, got['packetId'] as number);
    alice.unsubscribe(2, 'a/+');
    alice.gets('UNSUBACK', { packetId: 2 });
    alice.disconnect();
    alice.closed();
    bob.disconnect();
    bob.closed();
  }
});
