import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatagramRecorder, datagramSuite } from '../core/datagram-suite.ts';
import { DatagramNetwork } from './datagrams.ts';
import { World } from './world.ts';

datagramSuite('simulated datagrams', async () => {
  const world = new World(1);
  const network = new DatagramNetwork(world);
  let port = 1;
  return {
    open: async (session) => network.open({ host: '10.0.0.1', port: port++ }, session),
    async until(done) {
      world.pass(1);
      for (let ms = 0; !done(); ms++) {
        assert.ok(ms < 60_000, 'nothing more happens');
        world.pass(1);
      }
    },
    bugs: world.bugs,
    dispose: async () => {},
  };
});

test('loss, duplication and reordering come from the seed', () => {
  const run = (seed: number) => {
    const world = new World(seed);
    const network = new DatagramNetwork(world, { loss: 0.2, duplicate: 0.2, reorder: 0.2, mtu: 100 });
    const a = network.open({ host: 'a', port: 1 }, (port) => new DatagramRecorder(port));
    let b!: DatagramRecorder;
    network.open({ host: 'b', port: 1 }, (port) => (b = new DatagramRecorder(port)));
    for (let index = 0; index < 100; index++)
      a.send({ host: 'b', port: 1 }, null, Buffer.from([65 + (index % 26)]), 0, 1, 0);
    a.send({ host: 'b', port: 1 }, null, Buffer.alloc(101), 0, 101, 0);
    world.pass(100);
    return b.received;
  };
  assert.deepEqual(run(3), run(3));
  assert.notDeepEqual(run(3), run(4));
  const got = run(3);
  assert.ok(got.length > 60 && got.length < 140 && got.every((text) => text.length === 1));
});
