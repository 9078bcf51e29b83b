// History behind a cursor and the long poll over HTTP.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SHUTDOWN } from '../../core/pipe.ts';
import { Bench, cursorOf, linesOf } from './testing/bench.ts';

test('the history behind a cursor, as NDJSON and as a list', async () => {
  const bench = await Bench.open();
  const cursors: number[] = [];
  for (const text of ['1', '2', '3']) cursors.push((await bench.house.publish('a/b', text))[1]!);
  const client = await bench.ask('GET', `/topics/a/b?after=${cursors[0]}`);
  assert.equal(client.fields.get('content-type'), 'application/x-ndjson');
  assert.deepEqual(
    linesOf(client).map(({ payload, cursor }) => [payload, cursor]),
    [
      ['2', String(cursors[1])],
      ['3', String(cursors[2])],
    ],
  );
  assert.equal(cursorOf(client), cursors[2]);
  const list = await bench.ask('GET', '/topics/a/%23?after=0', { accept: 'application/json' });
  assert.equal((JSON.parse(list.body.toString()) as unknown[]).length, 3);
});

test('pages by limit follow each other through the link', async () => {
  const bench = await Bench.open();
  for (let index = 0; index < 100; index++) await bench.house.publish(`a/${index % 3}`, String(index));
  let target = '/topics/a/+?after=0&limit=40';
  const seen: unknown[] = [];
  for (const expected of [40, 40, 20, 0]) {
    const page = await bench.ask('GET', target);
    assert.equal(linesOf(page).length, expected);
    seen.push(...linesOf(page).map(({ payload }) => Number(payload)));
    target = /^<(.*)>; rel="next"$/.exec(page.fields.get('link')!)![1]!;
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, index) => index),
  );
});

test('a page ends where it is long enough, and the next goes on there', async () => {
  const bench = await Bench.open({ limits: { pageBytesMax: 1_024 } });
  for (let index = 0; index < 5; index++) await bench.house.publish('a', 'x'.repeat(600));
  const first = await bench.ask('GET', '/topics/a?after=0');
  assert.equal(linesOf(first).length, 2);
  assert.equal(linesOf(await bench.ask('GET', `/topics/a?after=${cursorOf(first)}&limit=9`)).length, 2);
});

test('what has expired is not given', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a', 'short', { expiryMs: 1_000 });
  await bench.house.publish('a', 'long');
  await bench.house.pass(1_500);
  assert.deepEqual(
    linesOf(await bench.ask('GET', '/topics/a?after=0')).map(({ payload }) => payload),
    ['long'],
  );
});

test('a gap is the first line', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a', '1');
  const gone = await bench.ask('GET', '/topics/a?after=1000000');
  assert.deepEqual(linesOf(gone), [{ gap: { filter: 'a', after: '1000000', from: '0' } }]);
  // Who goes on behind the cursor of the answer is told once.
  const next = await bench.ask('GET', `/topics/a?after=${cursorOf(gone)}`);
  assert.equal(next.body.length, 0);
});

test('a gap where the history has dropped what was asked for', async () => {
  const bench = await Bench.open();
  // More than memory holds: of those the store keeps the last thousand.
  for (let index = 0; index < 9_000; index++) bench.house.topics.publish(CALLER, publication(index, 'a'), NOBODY, 0);
  await bench.house.pass(500);
  const [first, second] = linesOf(await bench.ask('GET', '/topics/a?after=0'));
  const { gap } = first as { gap: { after: string; from: string } };
  assert.equal(gap.after, '0');
  assert.equal(gap.from, second!.cursor);
  assert.equal(second!.payload, '8000');
});

test('a long poll answers at once when there is something', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a', '1');
  const client = await bench.ask('GET', '/topics/a?after=0&wait=30');
  assert.equal(linesOf(client).length, 1);
  assert.ok(bench.house.world.now() < 1_000);
});

test('a long poll waits for the first message and answers with it', async () => {
  const bench = await Bench.open();
  const client = bench.begin('GET', '/topics/a/%23?after=0&wait=30');
  await bench.house.pass(5_000);
  assert.equal(client.status, 0);
  const [, cursor] = await bench.house.publish('a/b', '1');
  await bench.house.pass();
  assert.equal(client.status, 200);
  assert.deepEqual(
    linesOf(client).map(({ payload }) => payload),
    ['1'],
  );
  assert.equal(cursorOf(client), cursor);
  assert.equal(bench.house.topics.figures.attached, 0);
});

test('a long poll without a cursor begins now', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a', 'before');
  const client = bench.begin('GET', '/topics/a?wait=30');
  await bench.house.pass();
  assert.equal(client.status, 0);
  await bench.house.publish('a', 'after');
  await bench.house.pass();
  assert.deepEqual(
    linesOf(client).map(({ payload }) => payload),
    ['after'],
  );
});

test('a long poll in which nothing comes ends empty, with the cursor to go on from', async () => {
  const bench = await Bench.open({ limits: { waitMaxMs: 2_000 } });
  const [, cursor] = await bench.house.publish('other', '1');
  for (const wait of ['0.5', '1000']) {
    const client = bench.begin('GET', `/topics/a?after=0&wait=${wait}`);
    await bench.house.pass(2_500);
    assert.equal(client.status, 200);
    assert.equal(client.body.length, 0);
    assert.equal(cursorOf(client), cursor);
    assert.match(client.fields.get('link')!, new RegExp(`after=${cursor}&limit=100&wait=${wait}>`));
  }
  assert.equal(bench.house.topics.figures.attached, 0);
});

test('HEAD does not wait', async () => {
  const bench = await Bench.open();
  const client = await bench.ask('HEAD', '/topics/a?after=0&wait=30');
  assert.equal(client.status, 200);
  assert.ok(bench.house.world.now() < 1_000);
});

test('a topic without history: the gap comes with the first message, so that a loop does not spin', async () => {
  const bench = await Bench.open({ history: false });
  const client = bench.begin('GET', '/topics/a?after=0&wait=30');
  await bench.house.pass(1_000);
  assert.equal(client.status, 0);
  await bench.house.publish('a', '1');
  await bench.house.pass();
  const [gap, message] = linesOf(client);
  assert.ok('gap' in gap!);
  assert.equal(message!.payload, '1');
  assert.equal(message!.cursor, undefined);
});

test('the server goes: a poll is answered with what there is', async () => {
  const bench = await Bench.open();
  const client = bench.begin('GET', '/topics/a?after=0&wait=30');
  await bench.house.pass();
  client.link.far.leave(SHUTDOWN, 1_000);
  await bench.house.pass();
  assert.equal(client.status, 200);
  assert.equal(client.fields.get('cursor'), '0');
});

test('a client that goes away leaves nothing behind', async () => {
  const bench = await Bench.open({ limits: { pollsMax: 1 } });
  const client = bench.begin('GET', '/topics/a?after=0&wait=30');
  await bench.house.pass();
  assert.equal((await bench.ask('GET', '/topics/a?after=0&wait=1')).status, 503);
  client.abort(1);
  await bench.house.pass();
  assert.equal(bench.house.topics.figures.attached, 0);
  const next = bench.begin('GET', '/topics/a?after=0&wait=1');
  await bench.house.pass(1_100);
  assert.equal(next.status, 200);
});

test('parameters that cannot be read: 400', async () => {
  const bench = await Bench.open();
  for (const query of [
    'after=x',
    'after=-1',
    'after=99999999999999999',
    'after=0&limit=0',
    'after=0&limit=x',
    'wait=x',
    'wait=-1',
    'after=%2',
  ])
    assert.equal((await bench.ask('GET', `/topics/a?${query}`)).status, 400, query);
});

test('however publishing and polling interleave, nothing is lost and nothing repeated', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 5 }),
      async (steps, limit) => {
        const bench = await Bench.open();
        const seen: number[] = [];
        let sent = 0;
        let target = `/topics/+?after=0&wait=2&limit=${limit}`;
        let client = bench.begin('GET', target);
        const turn = () => {
          if (!client.ended) return;
          for (const { payload, gap } of linesOf(client)) {
            assert.equal(gap, undefined);
            seen.push(Number(payload));
          }
          target = /^<(.*)>/.exec(client.fields.get('link')!)![1]!;
          client = bench.begin('GET', target);
        };
        for (const step of steps) {
          for (let index = 0; index < step; index++) bench.house.topics.publish(CALLER, publication(++sent), NOBODY, 0);
          await bench.house.pass(step === 0 ? 3_000 : 0.4);
          turn();
        }
        for (let round = 0; round < 200 && seen.length < sent; round++) {
          await bench.house.pass(1);
          turn();
        }
        assert.deepEqual(
          seen,
          Array.from({ length: sent }, (_, index) => index + 1),
        );
        assert.deepEqual(bench.house.world.bugs, []);
      },
    ),
    { numRuns: 30 },
  );
});

const CALLER = { account: 'ann', scopes: null, origin: 'local' as const, epoch: 0 };
const NOBODY = { settled() {} };
const publication = (number: number, topic = `t${number % 3}`) => ({
  topic,
  payload: Buffer.from(String(number)),
  assurance: 1 as const,
});
