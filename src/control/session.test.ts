// The control socket's session over simulated pipes: any bytes, however they are cut.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Recorder } from '../core/pipe-suite.ts';
import { linkPipes } from '../sim/pipes.ts';
import { World } from '../sim/world.ts';
import { type ControlHost, ControlSession } from './session.ts';

const HOST: ControlHost = {
  version: '0',
  why: () => [],
  status: () => ({
    portico: '0',
    node: 'v0',
    pid: 1,
    forMs: 0,
    native: 'on',
    protocols: {},
    topics: {
      published: 0,
      delivered: 0,
      dropped: 0,
      expired: 0,
      retained: 0,
      subscriptions: 0,
      attached: 0,
      durables: 0,
    },
    memory: 1,
    data: null,
    connections: 0,
    watching: 0,
    listening: [],
  }),
  order: (_order, answered) => answered({ ok: true, done: 1 }),
  isFilter: () => true,
  matches: () => false,
  watch() {},
  leave() {},
};

function join(cut: number) {
  const world = new World(1);
  let client!: Recorder;
  let session!: ControlSession;
  linkPipes(
    world,
    (pipe) => (client = new Recorder(pipe)),
    (pipe) => (session = new ControlSession(pipe, HOST)),
    { cut },
  );
  return { world, client, session: () => session };
}

const line = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.json({ maxDepth: 2 }),
  fc
    .record({
      control: fc.constantFrom(1, 2),
      ask: fc.constantFrom('watch', 'why', 'status', 'order', 'x'),
      topic: fc.anything(),
    })
    .map((value) => JSON.stringify(value) ?? ''),
);

test('whatever is asked, each answer is a line of JSON, and the session does not throw', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), fc.integer({ min: 0, max: 9 }), (asks, cut) => {
      const { world, client } = join(cut);
      client.say(asks.join('\n').concat('\n'));
      world.pass(100);
      for (const text of client.received.toString('utf8').split('\n').slice(0, -1)) JSON.parse(text);
      assert.deepEqual(world.bugs, []);
    }),
  );
});

test('a watcher asks once', () => {
  const { world, client } = join(0);
  client.say('{"control":1,"ask":"watch"}\n{"control":1,"ask":"status"}\n');
  world.pass(100);
  assert.match(client.text, /"answer":"watching".*\n.*this connection watches/);
  assert.ok(client.heardEnd);
});

test('what was lost is told at once where there is room, and before the end', () => {
  const { world, client, session } = join(0);
  client.say('{"control":1,"ask":"watch"}\n');
  world.pass(100);
  session().lose(3);
  world.pass(100);
  assert.match(client.text, /\{"event":"lost","events":3\}\n$/);
  session().leave('shutdown');
  world.pass(100);
  assert.match(client.text, /\{"event":"end","why":"shutdown"\}\n$/);
});
