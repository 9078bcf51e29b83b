import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pipe } from '../core/pipe.ts';
import { Recorder } from '../core/pipe-suite.ts';
import { linkPipes } from '../sim/pipes.ts';
import { World } from '../sim/world.ts';
import { RecognisingSession } from './recognise.ts';

/** Recognises those that begin with a word. */
const begins = (word: string) => (bytes: Uint8Array, start: number, end: number) => {
  const shown = Buffer.from(bytes.subarray(start, end)).toString('latin1');
  assert.ok(shown.length <= 24, 'no more than 24 bytes are shown');
  if (shown.length >= word.length) return shown.startsWith(word);
  return word.startsWith(shown) ? null : false;
};

function join(options: { fallback: boolean; cut?: number }) {
  const world = new World(1);
  const made: Record<string, Recorder> = {};
  const maker = (name: string) => (pipe: Pipe) => (made[name] = new Recorder(pipe));
  const choices = ['HELLO', 'HELP', '0123456789012345678901234567890'].map((word) => ({
    name: word,
    recognises: begins(word),
    make: maker(word),
  }));
  let client!: Recorder;
  linkPipes(
    world,
    (pipe) => (client = new Recorder(pipe)),
    (pipe) =>
      new RecognisingSession(
        pipe,
        world.turn.clock,
        choices,
        options.fallback ? { name: 'fallback', make: maker('fallback') } : null,
      ),
    { cut: options.cut ?? 0 },
  );
  return { world, made, client };
}

test('the first bytes choose, however they are cut, and none of them is lost', () => {
  for (const cut of [0, 1, 3]) {
    const { world, made, client } = join({ fallback: false, cut });
    client.say('HELP me\n');
    world.pass(1_000);
    assert.equal(made.HELP?.text, 'HELP me\n');
    assert.deepEqual(Object.keys(made), ['HELP']);
    made.HELP.say('yes');
    world.pass(100);
    assert.equal(client.text, 'yes');
    assert.deepEqual(world.bugs, []);
  }
});

test('silence for 300 ms is the fallback’s', () => {
  const { world, made, client } = join({ fallback: true });
  world.pass(290);
  assert.deepEqual(Object.keys(made), []);
  world.pass(20);
  client.say('HELLO');
  world.pass(100);
  assert.equal(made.fallback?.text, 'HELLO');
});

test('what nobody recognises is the fallback’s, and reset without one; so is whoever begins and stops', () => {
  for (const text of ['GET / HTTP/1.1\r\n', '012345678901234567890123', 'HEL']) {
    const there = join({ fallback: true });
    there.client.say(text);
    there.world.pass(400);
    assert.equal(there.made.fallback?.text, text);
    const gone = join({ fallback: false });
    gone.client.say(text);
    gone.world.pass(400);
    assert.deepEqual(gone.made, {});
    assert.ok(gone.client.isLost);
    assert.deepEqual(gone.world.bugs, []);
  }
});

test('a client that ends before it said enough is ended', () => {
  const { world, made, client } = join({ fallback: false });
  client.say('HEL');
  client.pipe.end();
  world.pass(5_000);
  assert.deepEqual(made, {});
  assert.ok(client.isLost);
});
