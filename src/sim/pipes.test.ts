import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pipeSuite, Recorder, SUITE_BOUNDS } from '../core/pipe-suite.ts';
import { linkPipes } from './pipes.ts';
import { World } from './world.ts';

for (const cut of [0, 1, 7]) {
  pipeSuite(`simulated pipe, cut ${cut}`, async () => {
    const world = new World(cut + 1);
    return {
      join: async (near, far) => linkPipes(world, near, far, { cut, bounds: SUITE_BOUNDS }),
      async until(done) {
        world.pass(1);
        for (let ms = 0; !done(); ms++) {
          assert.ok(ms < 60_000, 'nothing more happens');
          world.pass(1);
        }
      },
      bugs: world.bugs,
      tls: { server: { role: 'server' as const }, client: { role: 'client' as const } },
      resets: true,
      dispose: async () => {},
    };
  });
}

test('a stalled link delivers nothing until it goes on, and a cut one ends both sides', () => {
  const world = new World(1);
  let a!: Recorder;
  let b!: Recorder;
  const link = linkPipes(
    world,
    (pipe) => (a = new Recorder(pipe)),
    (pipe) => (b = new Recorder(pipe)),
  );
  link.stall(true);
  a.say('x');
  world.pass(1_000);
  assert.equal(b.text, '');
  link.stall(false);
  world.pass(10);
  assert.equal(b.text, 'x');
  link.cut();
  world.pass(10);
  assert.deepEqual([a.told, b.told], [['lost reset'], ['lost reset']]);
});

test('the same seed gives the same cuts', () => {
  const run = (seed: number) => {
    const world = new World(seed);
    const sizes: number[] = [];
    let a!: Recorder;
    linkPipes(
      world,
      (pipe) => (a = new Recorder(pipe)),
      (pipe) => {
        const b = new Recorder(pipe);
        b.onReceive = (_input, start, end) => void sizes.push(end - start);
        return b;
      },
      { cut: 100 },
    );
    a.say('x'.repeat(5_000));
    world.pass(100);
    return sizes;
  };
  assert.deepEqual(run(5), run(5));
  assert.notDeepEqual(run(5), run(6));
});
