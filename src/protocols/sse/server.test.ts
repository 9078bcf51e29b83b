// Streams of events over the topics.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SHUTDOWN } from '../../core/pipe.ts';
import { CALLER } from '../../resources/topics/testing/house.ts';
import { Bench, type Source } from './testing/bench.ts';

test('a stream begins at once, and messages come as events with their cursors', async () => {
  const bench = await Bench.open();
  const source = await bench.connect('/topics/a/%23');
  const { client } = source;
  assert.equal(client.status, 200);
  assert.equal(client.fields.get('content-type'), 'text/event-stream; charset=utf-8');
  assert.equal(client.fields.get('cache-control'), 'no-store');
  assert.equal(client.fields.get('x-accel-buffering'), 'no');
  assert.match(client.body.toString(), /^retry: 2000\n\n/);
  const [, cursor] = await bench.house.publish('a/b', 'hello');
  await bench.house.publish('other', 'no');
  await bench.house.pass();
  assert.deepEqual(source.read().events, [{ type: 'message', data: 'hello', id: String(cursor) }]);
});

test('several events of one turn leave together', async () => {
  const bench = await Bench.open({ history: false });
  const source = await bench.connect('/topics/a');
  const before = source.client.body.length;
  for (let index = 0; index < 100; index++) void bench.house.publish('a', String(index), { assurance: 0 });
  // Whatever the link gives in one step was one write.
  for (let step = 0; step < 1_000 && source.client.body.length === before; step++) bench.house.world.pass(0.01);
  assert.equal(source.data.length, 100);
});

test('retained values come first, without an id, then the position', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a/1', 'one', { retain: true });
  await bench.house.publish('a/2', 'two', { retain: true });
  const [, head] = await bench.house.publish('a/3', 'gone by');
  const source = await bench.connect('/topics/a/+');
  assert.deepEqual(
    source.events.map(({ type, data, id }) => [type, data, id]),
    [
      ['message', 'one', ''],
      ['message', 'two', ''],
    ],
  );
  assert.equal(source.id, String(head));
  assert.deepEqual((await bench.connect('/topics/a/+?retained=event')).types, ['retained', 'retained']);
  assert.deepEqual((await bench.connect('/topics/a/+?retained=no')).types, []);
});

test('Last-Event-ID, after and lastEventId go on behind a cursor', async () => {
  const bench = await Bench.open();
  const cursors: number[] = [];
  for (const text of ['1', '2', '3']) cursors.push((await bench.house.publish('a', text, { retain: true }))[1]!);
  for (const target of [`/topics/a?after=${cursors[0]}`, `/topics/a?lastEventId=${cursors[0]}`])
    assert.deepEqual((await bench.connect(target)).data, ['2', '3']);
  // The field is newer than the URL.
  const source = await bench.connect(`/topics/a?after=${cursors[0]}`, String(cursors[1]));
  assert.deepEqual(source.data, ['3']);
  await bench.house.publish('a', '4');
  await bench.house.pass();
  assert.deepEqual(source.data, ['3', '4']);
  assert.deepEqual((await bench.connect('/topics/a?after=0')).data, ['1', '2', '3', '4']);
});

test('a gap is the first event where the history does not reach', async () => {
  const bench = await Bench.open();
  // More than memory holds: of those the store keeps the last thousand.
  for (let index = 0; index < 9_000; index++) {
    const payload = Buffer.from(String(index));
    bench.house.topics.publish(CALLER, { topic: 'a', payload, assurance: 1 }, { settled() {} }, 0);
  }
  await bench.house.pass(500);
  const source = await bench.connect('/topics/a?after=0');
  await bench.house.pass(100);
  const [gap, first] = source.read().events;
  assert.equal(gap!.type, 'gap');
  assert.deepEqual(JSON.parse(gap!.data), { gap: { filter: 'a', after: '0', from: first!.id } });
  assert.equal(first!.data, '8000');
  assert.equal(source.data.length, 1_001);
});

test('a gap of which nothing follows says where to go on, and is not told again', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a', '1');
  for (const target of ['/topics/a', '/topics/a?filter=b']) {
    const source = await bench.connect(target, '1000000');
    assert.equal(source.types[0], 'gap');
    const again = await bench.connect(target, source.id);
    assert.deepEqual(again.types, []);
  }
});

test('a topic without history: a gap, then what comes', async () => {
  const bench = await Bench.open({ history: false });
  const source = await bench.connect('/topics/a', '5');
  assert.deepEqual(source.types, ['gap']);
  await bench.house.publish('a', '1');
  await bench.house.pass();
  assert.deepEqual(source.types, ['gap', 'message']);
});

test('several filters: each message once', async () => {
  const bench = await Bench.open();
  const source = await bench.connect('/topics/a/b?filter=a/%2B&filter=c&filter=c');
  for (const topic of ['a/b', 'c', 'd', 'a/x']) await bench.house.publish(topic, topic);
  await bench.house.pass();
  assert.deepEqual(source.data, ['a/b', 'c', 'a/x']);
  const list = await bench.connect('/topics?filter=c&filter=d&after=0');
  assert.deepEqual(list.data, ['c', 'd']);
  assert.deepEqual((await bench.connect('/topics?after=0')).data, ['a/b', 'c', 'd', 'a/x']);
});

test('several filters behind a cursor come in one order, so that a cut loses nothing', async () => {
  const bench = await Bench.open();
  for (let index = 0; index < 300; index++) void bench.house.publish(`t/${index % 3}`, String(index));
  await bench.house.pass(200);
  const source = await bench.connect('/topics/t/0?filter=t/1&filter=t/2&after=0');
  await bench.house.pass(200);
  assert.deepEqual(
    source.data,
    Array.from({ length: 300 }, (_, index) => String(index)),
  );
  const ids = source.events.map(({ id }) => Number(id));
  assert.deepEqual(
    ids,
    ids.toSorted((a, b) => a - b),
  );
});

test('the envelope, base64, and both', async () => {
  const bench = await Bench.open();
  const json = await bench.connect('/topics/%23?envelope=json');
  const base64 = await bench.connect('/topics/%23?encoding=base64');
  const both = await bench.connect('/topics/%23?envelope=json&encoding=base64');
  await bench.house.publish('a', 'x', { contentType: 'text/plain', properties: ['k', 'v'] });
  await bench.house.pass();
  const envelope = JSON.parse(json.data[0]!) as Record<string, unknown>;
  assert.deepEqual([envelope.topic, envelope.payload, envelope.properties], ['a', 'x', [['k', 'v']]]);
  assert.deepEqual(base64.data, ['eA==']);
  assert.equal((JSON.parse(both.data[0]!) as Record<string, unknown>).base64, 'eA==');
});

test('what is not text is refused where it is known before, and named where it comes later', async () => {
  const bench = await Bench.open();
  const bytes = Buffer.of(255, 13, 10);
  await bench.house.publish('a', '', { payload: bytes, retain: true });
  const refused = await bench.connect('/topics/a');
  assert.equal(refused.client.status, 406);
  assert.match(refused.client.body.toString(), /encoding=base64/);
  for (const query of ['encoding=base64', 'envelope=json', 'retained=no'])
    assert.equal((await bench.connect(`/topics/a?${query}`)).client.status, 200, query);
  const source = await bench.connect('/topics/+?retained=event');
  await bench.house.publish('b', 'one\r\ntwo');
  await bench.house.pass();
  assert.deepEqual(
    source.read().events.map(({ type, data }) => [type, Buffer.from(data, 'base64').toString('latin1')]),
    [
      ['retained-binary', bytes.toString('latin1')],
      ['binary', 'one\r\ntwo'],
    ],
  );
});

test('a heartbeat, and the position goes on though nothing came', async () => {
  const bench = await Bench.open();
  const source = await bench.connect('/topics/a');
  assert.deepEqual(source.comments, []);
  await bench.house.pass(16_000);
  assert.equal(source.read().comments.length, 1);
  const [, cursor] = await bench.house.publish('other', '1');
  await bench.house.pass(16_000);
  assert.equal(source.read().id, String(cursor));
  assert.deepEqual(source.events, []);
});

test('wrong requests', async () => {
  const bench = await Bench.open({ limits: { filtersMax: 2 } });
  for (const target of [
    '/topics/',
    '/topics/a%23',
    '/topics/%ff',
    '/topics/a?filter=b%23',
    '/topics/a?filter=b&filter=c',
    '/topics/a?after=x',
    '/topics/a?retained=maybe',
    '/topics/a?envelope=xml',
    '/topics/a?encoding=gzip',
    '/topics/a?slow=never',
    '/topics/a?after=%2',
  ])
    assert.equal((await bench.connect(target)).client.status, 400, target);
  const head = bench.request('/topics/a', {}, 'HEAD');
  const post = bench.request('/topics/a', {}, 'POST');
  await bench.house.pass();
  assert.equal(head.status, 200);
  assert.equal(head.fields.get('content-type'), 'text/event-stream; charset=utf-8');
  assert.ok(head.ended);
  assert.equal(head.length, undefined);
  assert.equal(post.status, 405);
  assert.equal(post.fields.get('allow'), 'GET, HEAD');
});

test('the server goes: the stream ends, whole', async () => {
  const bench = await Bench.open();
  const source = await bench.connect('/topics/a');
  source.client.link.far.leave(SHUTDOWN, 1_000);
  await bench.house.pass();
  assert.ok(source.client.ended);
  assert.equal(bench.house.topics.figures.attached, 0);
});

test('a client that goes away leaves nothing behind, and its place is free', async () => {
  const bench = await Bench.open({ limits: { streamsMax: 1 } });
  const source = await bench.connect('/topics/a');
  assert.equal((await bench.connect('/topics/a')).client.status, 503);
  source.client.abort(1);
  await bench.house.pass();
  assert.equal(bench.house.topics.figures.attached, 0);
  assert.equal((await bench.connect('/topics/a')).client.status, 200);
});

test('a slow client: disconnected, and behind its last id it misses nothing', async () => {
  const bench = await Bench.open({ limits: { queueMessagesMax: 10 } });
  const source = await bench.connect('/topics/a');
  source.client.pipe.pause();
  const text = 'x'.repeat(50_000);
  let sent = 0;
  for (let round = 0; round < 60; round++) {
    for (let index = 0; index < 2; index++) void bench.house.publish('a', `${++sent} ${text}`);
    await bench.house.pass(5);
  }
  assert.equal(bench.house.topics.figures.attached, 0);
  source.client.pipe.resume();
  await bench.house.pass(1_000);
  const first = source.data.length;
  assert.ok(source.client.ended && first > 0 && first < sent, `${first} of ${sent}`);
  assert.deepEqual(source.comments.at(-1), 'messages were not taken fast enough');
  const next = await bench.connect('/topics/a', source.id);
  await bench.house.pass(1_000);
  const numbers = [...source.data, ...next.data].map((data) => Number(data.split(' ')[0]));
  assert.deepEqual(
    numbers,
    Array.from({ length: sent }, (_, index) => index + 1),
  );
});

test('a slow client that asked for it gets the latest of each topic', async () => {
  const bench = await Bench.open({ limits: { queueMessagesMax: 10 } });
  const source = await bench.connect('/topics/a?slow=keep-latest');
  source.client.pipe.pause();
  const text = 'x'.repeat(50_000);
  for (let index = 1; index <= 120; index++) {
    void bench.house.publish('a', `${index} ${text}`);
    await bench.house.pass(2);
  }
  source.client.pipe.resume();
  await bench.house.pass(1_000);
  assert.ok(source.data.length < 120);
  assert.match(source.data.at(-1)!, /^120 /);
});

test('however often a client is cut off and comes back, it misses nothing and gets nothing twice', async () => {
  const step = fc.record({
    publish: fc.integer({ min: 0, max: 40 }),
    pass: fc.integer({ min: 0, max: 20 }),
    cut: fc.boolean(),
  });
  const target = fc.constantFrom('/topics/%2B?after=0', '/topics/t0?filter=t1&filter=t2&after=0', '/topics?after=0');
  await fc.assert(
    fc.asyncProperty(target, fc.array(step, { maxLength: 12 }), async (path, steps) => {
      const bench = await Bench.open();
      const seen: string[] = [];
      let sent = 0;
      let source: Source = await bench.connect(path);
      const comeBack = async () => {
        seen.push(...source.data);
        const { id } = source;
        source.client.abort(1);
        source = await bench.connect(path, id);
      };
      for (const { publish, pass, cut } of steps) {
        for (let index = 0; index < publish; index++) {
          const payload = Buffer.from(String(++sent));
          const topic = `t${sent % 3}`;
          bench.house.topics.publish(CALLER, { topic, payload, assurance: 1 }, { settled() {} }, 0);
        }
        await bench.house.pass(pass / 10);
        if (cut) await comeBack();
      }
      for (let round = 0; round < 20 && seen.length + source.data.length < sent; round++) await bench.house.pass(10);
      seen.push(...source.data);
      assert.deepEqual(
        seen,
        Array.from({ length: sent }, (_, index) => String(index + 1)),
      );
      assert.deepEqual(bench.house.world.bugs, []);
    }),
    { numRuns: 60 },
  );
});

test('streams that share bytes get each its own messages, whole and in order, whoever is slow', async () => {
  const asked = ['t0', 't1', '%2B', 't0?filter=t2', '%2B?envelope=json', 't1?encoding=base64', '%23'];
  const covers: RegExp[] = [/^t0/, /^t1/, /./, /^t[02]/, /./, /^t1/, /./];
  const step = fc.record({
    messages: fc.array(
      fc.record({ topic: fc.integer({ min: 0, max: 2 }), size: fc.constantFrom(0, 10, 300, 9_000, 70_000) }),
      { maxLength: 40 },
    ),
    toggle: fc.integer({ min: 0, max: 20 }),
    pass: fc.integer({ min: 0, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 10 }), async (steps) => {
      const bench = await Bench.open({ history: false });
      const sources: Source[] = [];
      for (const target of asked) sources.push(await bench.connect(`/topics/${target}`));
      const paused = asked.map(() => false);
      const sent: string[] = [];
      for (const { messages, toggle, pass } of steps) {
        for (const { topic, size } of messages) {
          const text = `t${topic} ${sent.length} ${'x'.repeat(size)}`;
          sent.push(text);
          void bench.house.publish(`t${topic}`, text, { assurance: 0 });
        }
        await bench.house.pass(pass);
        const source = sources[toggle];
        if (source === undefined) continue;
        if (paused[toggle]) source.client.pipe.resume();
        else source.client.pipe.pause();
        paused[toggle] = !paused[toggle];
      }
      for (const { client } of sources) client.pipe.resume();
      await bench.house.pass(500);
      for (const [at, source] of sources.entries()) {
        const got = source.data.map((data) => {
          if (asked[at]!.includes('json')) return (JSON.parse(data) as { payload: string }).payload;
          return asked[at]!.includes('base64') ? Buffer.from(data, 'base64').toString() : data;
        });
        // Not one by one: a difference of megabytes is not for reading.
        const expected = sent.filter((text) => covers[at]!.test(text));
        assert.ok(got.length === expected.length, `${asked[at]}: ${got.length} of ${expected.length}`);
        assert.ok(got.every((text, index) => text === expected[index]));
      }
      assert.deepEqual(bench.house.world.bugs, []);
    }),
    { numRuns: 25 },
  );
});

test('a client for which too many bytes wait is disconnected', async () => {
  const bench = await Bench.open({ limits: { queueBytesMax: 100_000 } });
  const source = await bench.connect('/topics/a');
  source.client.pipe.pause();
  const text = 'x'.repeat(60_000);
  for (let index = 0; index < 40; index++) {
    void bench.house.publish('a', text);
    await bench.house.pass(2);
  }
  assert.equal(bench.house.topics.figures.attached, 0);
});
