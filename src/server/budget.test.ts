// The order of shedding, on simulated pipes and with a memory that the test says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Log, SILENT } from '../core/log.ts';
import { Recorder } from '../core/pipe-suite.ts';
import { linkPipes } from '../sim/pipes.ts';
import { World } from '../sim/world.ts';
import { CALM, CUTTING, PAUSING, REFUSING } from './budget.ts';
import { REGISTRY_LIMITS, Registry } from './registry.ts';

function house() {
  const world = new World(1);
  const lines: string[] = [];
  const log: Log = { ...SILENT, warn: (text) => void lines.push(text), info: (text) => void lines.push(text) };
  /** `garbage` is what a collection gives back. */
  const memory = { part: 0, garbage: 0, collections: 0 };
  const registry = new Registry(
    world.turn,
    log,
    { ...REGISTRY_LIMITS, memoryBytesMax: 1_000 },
    {
      inUse: () => (memory.part + memory.garbage) * 1_000,
      collect() {
        memory.garbage = 0;
        memory.collections++;
        return 1;
      },
    },
  );
  const join = () => {
    let server!: Recorder;
    let client!: Recorder;
    const link = linkPipes(
      world,
      (pipe) => (client = new Recorder(pipe)),
      (pipe) => (server = new Recorder(pipe)),
      { events: registry },
    );
    registry.opened(link.far, 'test');
    return { link, server, client };
  };
  return { world, lines, memory, registry, join };
}

test('memory that runs short sheds load in order, and takes it back in order', () => {
  const { world, memory, registry, lines } = house();
  const { budget } = registry;
  world.pass(1_000);
  assert.equal(budget.shedding, CALM);
  const steps: [number, number, boolean][] = [
    [0.79, CALM, true],
    [0.81, REFUSING, false],
    [0.91, PAUSING, false],
    [1, CUTTING, false],
    [0.96, CUTTING, false],
    [0.94, PAUSING, false],
    [0.86, PAUSING, false],
    [0.84, REFUSING, false],
    [0.76, REFUSING, false],
    [0.74, CALM, true],
  ];
  for (const [part, shedding, admits] of steps) {
    memory.part = part;
    world.pass(600);
    assert.equal(budget.shedding, shedding, `at ${part}`);
    assert.equal(registry.admit(null), admits, `at ${part}`);
    if (admits) registry.doorkeeper.left(null);
  }
  assert.equal(lines.filter((line) => line.startsWith('memory')).length, 6);
});

test('one measurement alone raises no alarm: it may be garbage', () => {
  const { world, memory, registry } = house();
  memory.part = 2;
  world.pass(260);
  memory.part = 0.1;
  world.pass(1_000);
  assert.equal(registry.budget.shedding, CALM);
});

test('garbage raises no alarm and holds none up, though a quiet process collects none by itself', () => {
  const { world, memory, registry } = house();
  memory.garbage = 2;
  world.pass(600);
  assert.deepEqual([registry.budget.shedding, memory.collections], [CALM, 1]);
  memory.part = 0.5;
  world.pass(2_000);
  assert.equal(memory.collections, 1, 'calm: nothing is collected');
  memory.part = 2;
  world.pass(600);
  assert.equal(registry.budget.shedding, CUTTING);
  memory.garbage = 1.9;
  memory.part = 0.1;
  world.pass(2_300);
  assert.equal(registry.budget.shedding, CALM);
  assert.ok(registry.admit(null));
});

test('those that publish are not read from while memory is short, those that acknowledge are', () => {
  const { world, memory, registry, join } = house();
  const publisher = join();
  const subscriber = join();
  memory.part = 0.95;
  world.pass(600);
  const talk = () => {
    publisher.client.say('x'.repeat(20_000));
    subscriber.server.say('y'.repeat(20_000));
    subscriber.client.say('ack');
  };
  for (let round = 0; round < 8; round++) {
    talk();
    world.pass(250);
  }
  const before = publisher.server.total;
  talk();
  world.pass(250);
  assert.equal(publisher.server.total, before, 'the publisher is held');
  assert.equal(subscriber.server.total, 27, 'the subscriber is heard');
  memory.part = 0;
  world.pass(1_000);
  assert.equal(registry.budget.shedding, CALM);
  assert.equal(publisher.server.total, 9 * 20_000);
  assert.deepEqual(world.bugs, []);
});

test('when memory has run out the slowest goes first, in its protocol’s own words', () => {
  const { world, memory, registry, join } = house();
  const slow = join();
  const slower = join();
  const quick = join();
  slow.link.stall(true);
  slower.link.stall(true);
  slow.server.say('a'.repeat(200_000));
  slower.server.say('b'.repeat(400_000));
  quick.server.say('c'.repeat(400_000));
  world.pass(1_000);
  memory.part = 1.2;
  world.pass(510);
  assert.deepEqual(slower.server.told, ['leave overloaded']);
  assert.deepEqual(slow.server.told, []);
  memory.part = 0;
  world.pass(2_000);
  assert.ok(slower.server.isLost);
  assert.deepEqual(quick.server.told, []);
  assert.equal(registry.figures.shed, 1);
  assert.equal(registry.size, 2);
});
