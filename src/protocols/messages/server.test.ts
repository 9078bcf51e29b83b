import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OK, type Outcome } from '../../core/outcome.ts';
import { SHUTDOWN } from '../../core/pipe.ts';
import { Bench, Talker } from './testing/bench.ts';

for (const cut of [0, 1, 7]) {
  test(`publish, subscribe, get and unsubscribe, cut ${cut}`, async () => {
    const bench = await Bench.open({ policies: 'durable', cut });
    const ann = bench.talk();
    const bob = bench.talk();
    ann.says({ subscribe: 'a/#', id: 'first' });
    await bench.pass();
    assert.deepEqual(ann.heard(), [{ ack: 'first' }, { live: 'a/#', cursor: '0' }]);
    bob.says({ publish: 'a/b', payload: 'hällo', contentType: 'text/plain', properties: [['n', 'v']], id: 1 });
    bob.says({ publish: 'a/c', base64: '/wA=', retain: true, id: 2 });
    bob.says('{"publish":"a/d","json": {"n" : 1.0, "big": 12345678901234567890 } ,"id":3}');
    bob.says({ publish: 'a/e', payload: '' });
    await bench.pass();
    assert.deepEqual(
      bob.heard(),
      [
        { ack: 1, cursor: '1' },
        { ack: 2, cursor: '2' },
        { ack: 3, cursor: '4' },
      ].map((ack, index) => ({ ...ack, cursor: String(CURSORS[index]) })),
    );
    const heard = ann.heard();
    for (const message of heard) {
      assert.equal(typeof message.time, 'number');
      delete message.time;
    }
    assert.deepEqual(
      heard.map(({ cursor: _cursor, ...rest }) => rest),
      [
        { topic: 'a/b', payload: 'hällo', contentType: 'text/plain', properties: [['n', 'v']] },
        { topic: 'a/c', base64: '/wA=', retain: true },
        { topic: 'a/d', payload: '{"n" : 1.0, "big": 12345678901234567890 }', contentType: 'application/json' },
        { topic: 'a/e', payload: '' },
      ],
    );
    bob.says({ get: 'a/c', id: 4 });
    bob.says({ get: 'a/none', id: 5 });
    bob.says({ get: 'a/c' });
    await bench.pass();
    const [found, none, nameless] = bob.heard() as [{ ack: number; message: object }, object, object];
    assert.equal(found.ack, 4);
    assert.partialDeepStrictEqual(found.message, { topic: 'a/c', base64: '/wA=', retain: true, retained: true });
    assert.deepEqual(none, { error: { outcome: 'MISSING', detail: 'nothing is retained' }, id: 5 });
    assert.deepEqual(nameless, { error: { outcome: 'INVALID', detail: 'get needs an id' } });
    ann.says({ unsubscribe: 'a/#' });
    ann.says({ unsubscribe: 'a/#', id: 0 });
    bob.says({ publish: 'a/b', payload: 'again', id: 6 });
    await bench.pass();
    assert.partialDeepStrictEqual(ann.heard(), [{ error: { outcome: 'MISSING' }, id: 0 }]);
    assert.equal(bob.heard().length, 1);
    assert.deepEqual(bench.world.bugs, []);
  });
}

/** Cursors grow by more than one where more than the message is stored. */
const CURSORS = [1, 2, 4];

test('the answer comes first, then retained values, then what is live', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a/1', 'kept', { retain: true });
  const ann = bench.talk();
  ann.says({ subscribe: '+/1', id: 1, encoding: 'base64' });
  await bench.pass();
  await bench.house.publish('a/1', 'live', { retain: true });
  await bench.pass();
  const [ack, live, kept, now] = ann.heard();
  assert.deepEqual(ack, { ack: 1 });
  assert.deepEqual(Object.keys(live!), ['live', 'cursor']);
  assert.partialDeepStrictEqual(kept, { base64: Buffer.from('kept').toString('base64'), retained: true });
  assert.equal(now!.base64, Buffer.from('live').toString('base64'));
  assert.equal(now!.retained, undefined);
  const bob = bench.talk();
  bob.says({ subscribe: '+/1', id: 1, retained: 'never' });
  await bench.pass();
  assert.equal(bob.heard().length, 2);
});

test('a gap is said before what follows it', async () => {
  const bench = await Bench.open({ policies: 'durable' });
  const ann = bench.talk();
  ann.says({ subscribe: 'a/#', id: 1, after: '1000' });
  await bench.pass();
  assert.deepEqual(ann.heard(), [
    { ack: 1 },
    { gap: { filter: 'a/#', after: '1000', from: '0' } },
    { live: 'a/#', cursor: '0' },
  ]);
  const none = await Bench.open();
  const bob = none.talk();
  bob.says({ subscribe: 'a/#', after: '0' });
  await none.pass();
  assert.deepEqual(bob.heard()[0], { gap: { filter: 'a/#', after: '0', from: '0' } });
});

test('history says whose it is, is behind the cursor, and comes once though filters overlap', async () => {
  const bench = await Bench.open({ policies: 'durable' });
  const cursors: number[] = [];
  for (const topic of ['a/x', 'b/x', 'a/y', 'b/y']) {
    const [outcome, cursor] = await bench.house.publish(topic, topic);
    assert.equal(outcome, OK);
    cursors.push(cursor!);
  }
  const ann = bench.talk();
  const after = String(cursors[0]);
  ann.says({ subscribe: 'a/#', after });
  ann.says({ subscribe: '+/y', after });
  ann.says({ subscribe: 'b/x', after });
  await bench.pass();
  const shown = ann.heard().map(({ topic, history, live, cursor }) => [topic ?? live, history ?? '', Number(cursor)]);
  assert.deepEqual(shown, [
    ['a/y', 'a/#', cursors[2]],
    ['a/#', '', cursors[3]],
    ['b/y', '+/y', cursors[3]],
    ['+/y', '', cursors[3]],
    ['b/x', 'b/x', cursors[1]],
    ['b/x', '', cursors[3]],
  ]);
  await bench.house.publish('a/y', 'new');
  await bench.pass();
  const live = ann.heard();
  assert.equal(live.length, 1);
  assert.equal(live[0]!.history, undefined);
});

test('without echo a socket is not told what it published itself', async () => {
  const bench = await Bench.open();
  const ann = bench.talk();
  ann.says({ subscribe: 'own', echo: false });
  ann.says({ subscribe: 'back' });
  ann.says({ publish: 'own', payload: '1' });
  ann.says({ publish: 'back', payload: '2' });
  await bench.pass();
  assert.deepEqual(
    ann.heard().flatMap(({ topic }) => topic ?? []),
    ['back'],
  );
});

test('what is refused is said, with the id where there is one', async () => {
  const bench = await Bench.open({ limits: { subscriptionsMax: 2 } });
  const ann = bench.talk();
  const asked: [object, string][] = [
    [{ publish: '$SYS/x', payload: '' }, 'DENIED'],
    [{ publish: 'a/+', payload: '' }, 'INVALID'],
    [{ publish: 'a', payload: '', expiry: 1 }, 'INVALID'],
    [{ publish: 'a', payload: '', responseTopic: '#' }, 'INVALID'],
    [{ subscribe: 'a/#/b' }, 'INVALID'],
    [{ subscribe: '' }, 'INVALID'],
    [{ unsubscribe: 'a' }, 'MISSING'],
    [{ get: 'a' }, 'MISSING'],
    [{ call: 'x', with: {} }, 'INVALID'],
  ];
  asked.forEach(([request], id) => {
    ann.says({ ...request, id });
  });
  await bench.pass();
  const said = ann.heard() as { error: { outcome: string }; id: number }[];
  assert.deepEqual(
    said.map(({ error, id }) => [error.outcome, id]).sort((a, b) => Number(a[1]) - Number(b[1])),
    asked.map(([, outcome], id) => [outcome, id]),
  );
  ann.says({ publish: '$SYS/x', payload: '' });
  for (const filter of ['a', 'b', 'c']) ann.says({ subscribe: filter, slow: 'keep-latest', id: filter });
  ann.says({ subscribe: 'a', slow: 'disconnect', id: 'slow' });
  await bench.pass();
  assert.deepEqual(
    ann.heard().map((said) => said.ack ?? said.live ?? [said.id, (said.error as { outcome: string }).outcome]),
    [[undefined, 'DENIED'], 'a', 'a', 'b', 'b', ['c', 'FULL'], ['slow', 'STALE']],
  );
  assert.equal(ann.closed, '');
});

test('what is not JSON is said and closes with 1007, bytes with 1003, what is too long with 1009', async () => {
  const bench = await Bench.open({ limits: { messageBytesMax: 100 } });
  for (const [message, code, said] of [
    ['{"publish":', 1007, 1],
    ['', 1007, 1],
    ['\ufeff{}', 1007, 1],
    [Buffer.from('{}'), 1003, 0],
    [`"${'x'.repeat(100)}"`, 1009, 0],
  ] as const) {
    const ann = bench.talk();
    ann.says(message);
    ann.says({ get: 'a', id: 1 });
    await bench.pass();
    assert.equal(ann.closed, `ended ${code}`);
    const heard = ann.heard();
    assert.equal(heard.length, said);
    if (said === 1) assert.deepEqual(heard, [{ error: { outcome: 'INVALID', detail: 'this is not JSON' } }]);
  }
  assert.deepEqual(bench.world.bugs, []);
});

test('a socket is not read while too much of what it asked has not ended', async () => {
  const bench = await Bench.open({ policies: 'durable', limits: { unansweredMax: 4 } });
  const { topics } = bench.house;
  const publish = topics.publish.bind(topics);
  let under = 0;
  let most = 0;
  topics.publish = (caller, publication, waiter, token) => {
    most = Math.max(most, ++under);
    const settled = (token: number, outcome: Outcome, value: number) => {
      under--;
      waiter.settled(token, outcome, value);
    };
    publish(caller, publication, { settled }, token);
  };
  const ann = bench.talk();
  for (let id = 1; id <= 50; id++) ann.says({ publish: 'a', payload: String(id), id });
  await bench.pass(200);
  assert.equal(most, 4);
  assert.deepEqual(
    ann.heard().map(({ ack }) => ack),
    Array.from({ length: 50 }, (_, index) => index + 1),
  );
});

test('a message is encoded once for all sockets', async () => {
  const bench = await Bench.open();
  const all = Array.from({ length: 20 }, () => bench.talk());
  for (const talker of all) talker.says({ subscribe: 'a' });
  await bench.pass();
  for (const talker of all) talker.take();
  const listener = bench.house.attach();
  await bench.house.subscribe(listener, 'a');
  await bench.house.publish('a', 'once');
  await bench.pass();
  for (const talker of all) assert.equal(talker.take().length, 1);
  assert.equal(listener.messages[0]!.frames.filter((frame) => frame !== undefined).length, 1);
});

test('one that does not keep up is closed with 1013, or has the latest, as it chose', async () => {
  const bench = await Bench.open({ limits: { queueMessagesMax: 10 } });
  const slow = bench.talk();
  const latest = bench.talk();
  slow.says({ subscribe: 'a/#' });
  latest.says({ subscribe: 'a/#', slow: 'keep-latest' });
  await bench.pass();
  slow.messages.pause();
  latest.messages.pause();
  for (let round = 0; round < 60; round++) {
    const topic = `a/${round % 2}`;
    await bench.house.publish(topic, `${round}${'x'.repeat(60_000)}`);
  }
  slow.messages.resume();
  latest.messages.resume();
  await bench.pass(500);
  assert.equal(slow.closed, 'ended 1013');
  const got = latest.heard();
  assert.ok(got.length < 60, String(got.length));
  assert.match(String(got.at(-1)!.payload), /^59x/);
  assert.match(String(got.at(-2)!.payload), /^58x/);
});

test('leaving waits for what is being committed, and says why', async () => {
  const bench = await Bench.open({ policies: 'durable' });
  const { peer, server, reason } = bench.join((messages) => new Talker(messages));
  peer.says({ publish: 'a', payload: '1', id: 1 });
  bench.world.pass(1.2);
  server.leave(SHUTDOWN, 1_000);
  await bench.pass(100);
  assert.equal(peer.heard()[0]!.ack, 1);
  assert.equal(peer.closed, 'ended 1001');
  assert.equal(reason(), 'GONE: the server is shutting down');
  assert.equal(bench.house.topics.figures.attached, 0);
});

test('expiry is as it was published, and what has expired is not given', async () => {
  const bench = await Bench.open({ policies: 'durable' });
  const ann = bench.talk();
  const wall = bench.world.wall();
  ann.says({ publish: 'a', payload: '1', expiry: wall + 1_000 });
  ann.says({ publish: 'a', payload: '2', expiresIn: 60_000 });
  await bench.pass();
  ann.says({ subscribe: 'a', after: '0' });
  await bench.pass();
  const [one, two] = ann.heard();
  assert.equal(one!.expiry, wall + 1_000);
  assert.ok(Number(two!.expiry) >= wall + 60_000 && Number(two!.expiry) < wall + 60_100);
  await bench.pass(2_000);
  ann.says({ subscribe: 'a', after: '0' });
  await bench.pass();
  assert.deepEqual(
    ann.heard().flatMap(({ payload }) => payload ?? []),
    ['2'],
  );
});
