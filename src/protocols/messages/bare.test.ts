import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INVALID } from '../../core/outcome.ts';
import { SHUTDOWN } from '../../core/pipe.ts';
import { readOpening } from './server-bare.ts';
import { Bench, Talker } from './testing/bench.ts';
import { reasonOf } from './words.ts';

test('a message in is published, text as text and bytes as bytes; a message comes out as a frame of its kind', async () => {
  const bench = await Bench.open({ policies: 'durable' });
  const listener = bench.house.attach();
  await bench.house.subscribe(listener, 'chat/a b');
  const ann = bench.talk('/topics/chat/a%20b');
  const bob = bench.talk('/topics/chat/a%20b?echo=false');
  ann.says('hällo');
  ann.says(Buffer.from([0xff, 0]));
  bob.says('from bob');
  await bench.pass();
  await bench.house.publish('chat/a b', 'from elsewhere');
  await bench.pass();
  const expected = ['t:hällo', 'b:\xff\0', 't:from bob', 't:from elsewhere'];
  assert.deepEqual(ann.take(), expected);
  assert.deepEqual(
    bob.take(),
    expected.filter((text) => text !== 't:from bob'),
  );
  assert.deepEqual(
    listener.messages.slice(0, 2).map(({ text }) => text),
    [true, false],
  );
  assert.deepEqual(bench.world.bugs, []);
});

test('a binary frame comes out as one, also where its bytes are text', async () => {
  const bench = await Bench.open();
  const ann = bench.talk('/topics/echo');
  ann.says(Buffer.from('plain'));
  ann.says('plain');
  ann.says(Buffer.alloc(0));
  await bench.pass();
  assert.deepEqual(ann.take(), ['b:plain', 't:plain', 'b:']);
});

test('the retained value comes first, and ?retain=true makes one', async () => {
  const bench = await Bench.open();
  const ann = bench.talk('/topics/kept?retain=true');
  ann.says('1');
  ann.says('2');
  await bench.pass();
  const bob = bench.talk('/topics/kept');
  bob.says('not kept');
  await bench.pass();
  assert.deepEqual(bob.take(), ['t:2', 't:not kept']);
  ann.says('');
  await bench.pass();
  assert.deepEqual(bench.talk('/topics/kept').take(), []);
});

test('after a cursor there is the history, and a gap closes unless it is waived', async () => {
  const bench = await Bench.open({ policies: [{ filter: '#', history: 'durable', last: 2 }] });
  const cursors: number[] = [];
  for (const text of ['1', '2', '3']) cursors.push((await bench.house.publish('past', text, { retain: true }))[1]!);
  const resumed = bench.talk(`/topics/past?after=${cursors[1]}`);
  await bench.pass();
  assert.deepEqual(resumed.take(), ['t:3']);
  const { peer, reason } = bench.join((messages) => new Talker(messages), `/topics/past?after=${cursors[2]! + 1_000}`);
  await bench.pass();
  assert.deepEqual(peer.take(), []);
  assert.equal(peer.closed, 'ended 4000');
  assert.equal(reason(), `gap: after=${cursors[2]! + 1_000} from=0`);
  const waived = bench.talk(`/topics/past?after=${cursors[2]! + 1_000}&gap=skip`);
  const all = bench.talk('/topics/past?after=0');
  await bench.pass();
  await bench.house.publish('past', '4');
  await bench.pass();
  assert.deepEqual(waived.take(), ['t:4']);
  assert.deepEqual(all.take().at(-1), 't:4');
  assert.equal(bench.house.topics.figures.attached, 3);
});

test('a filter gives all that it matches, and nothing can be published to it', async () => {
  const bench = await Bench.open();
  const { peer, reason } = bench.join((messages) => new Talker(messages), '/topics/a/%23');
  const plus = bench.talk('/topics/+/x');
  await bench.pass();
  await bench.house.publish('a/x', '1');
  await bench.pass();
  assert.deepEqual([peer.take(), plus.take()], [['t:1'], ['t:1']]);
  peer.says('x');
  await bench.pass();
  assert.equal(peer.closed, 'ended 1008');
  assert.match(reason(), /^DENIED: /);
});

test('what is refused closes with the code of its outcome', async () => {
  const bench = await Bench.open({ limits: { messageBytesMax: 64 } });
  for (const [target, message, code, why] of [
    ['/topics/', '', 1007, 'INVALID: the path is not a topic or filter'],
    ['/topics/a%ff', '', 1007, 'INVALID: the path is not a topic or filter'],
    ['/topics/a/%23/b', '', 1007, 'INVALID: the path is not a topic or filter'],
    ['/topics/a?afer=1', '', 1007, 'INVALID: there is no parameter afer'],
    ['/topics/a?after=-1', '', 1007, 'INVALID: after has no such value'],
    ['/topics/a?echo=true&echo=true', '', 1007, 'INVALID: echo is given twice'],
    ['/topics/$SYS/x', 'x', 1008, 'DENIED: this is not allowed'],
    ['/topics/a', 'x'.repeat(65), 1009, 'the message is too long'],
  ] as const) {
    const { peer, reason } = bench.join((messages) => new Talker(messages), target);
    peer.says(message);
    await bench.pass();
    assert.equal(peer.closed, `ended ${code}`, target);
    assert.equal(reason(), why);
  }
  assert.equal(bench.house.topics.figures.attached, 0);
  assert.deepEqual(bench.world.bugs, []);
});

test('a long reason is cut to what a close frame holds, between characters', () => {
  const name = 'ä'.repeat(100);
  assert.equal(readOpening(`/topics/a?${name}=1`), `there is no parameter ${'ä'.repeat(40)}`);
  const reason = reasonOf(INVALID, name);
  assert.equal(reason, `INVALID: ${'ä'.repeat(55)}…`);
  assert.equal(Buffer.byteLength(reason), 122);
  assert.equal(reasonOf(INVALID, 'x'.repeat(114)), `INVALID: ${'x'.repeat(114)}`);
});

test('leaving waits for what is being committed', async () => {
  const bench = await Bench.open({ policies: 'durable' });
  const { peer, server, reason } = bench.join((messages) => new Talker(messages), '/topics/a');
  peer.says('last words');
  bench.world.pass(1.2);
  server.leave(SHUTDOWN, 1_000);
  await bench.pass(100);
  assert.equal(peer.closed, 'ended 1001');
  assert.equal(reason(), 'GONE: the server is shutting down');
  assert.deepEqual(peer.take(), ['t:last words']);
});

test('one that does not keep up is closed with 1013', async () => {
  const bench = await Bench.open({ limits: { queueMessagesMax: 10 } });
  const slow = bench.talk('/topics/a');
  const latest = bench.talk('/topics/a?slow=drop-oldest');
  await bench.pass();
  slow.messages.pause();
  latest.messages.pause();
  for (let round = 0; round < 60; round++) await bench.house.publish('a', `${round}${'x'.repeat(60_000)}`);
  slow.messages.resume();
  latest.messages.resume();
  await bench.pass(500);
  assert.equal(slow.closed, 'ended 1013');
  assert.equal(latest.closed, '');
  assert.match(latest.take().at(-1)!, /^t:59x/);
});
