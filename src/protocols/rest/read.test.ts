// What is retained, read over HTTP.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fields } from '../../core/fields.ts';
import { readProperties, writeProperties } from './properties.ts';
import { Bench, linesOf } from './testing/bench.ts';

test('a value is given as it is, with all that is known about it', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a', '<b>', {
    retain: true,
    contentType: 'text/html',
    properties: ['unit', 'C', 'no te', '°'],
    expiryMs: 60_000,
  });
  const client = await bench.ask('GET', '/topics/a');
  assert.equal(client.status, 200);
  assert.equal(client.body.toString(), '<b>');
  const { fields } = client;
  assert.equal(fields.get('content-type'), 'text/html');
  assert.equal(fields.get('x-property-unit'), 'C');
  assert.equal(fields.get('x-property-no%20te*'), "UTF-8''%C2%B0");
  assert.equal(fields.get('etag'), `"${fields.get('cursor')}"`);
  assert.equal(fields.get('x-expiry'), '60');
  assert.equal(new Date(fields.get('last-modified')!).getUTCFullYear(), 2027);
  // Nobody's HTML runs here.
  assert.match(fields.get('content-security-policy')!, /^sandbox;/);
  assert.equal(fields.get('x-content-type-options'), 'nosniff');
});

test('HEAD has the same fields and no body', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a', 'value', { retain: true });
  const get = await bench.ask('GET', '/topics/a');
  const head = await bench.ask('HEAD', '/topics/a');
  assert.deepEqual(head.fields.list, get.fields.list);
  assert.equal(head.length, 5);
  assert.equal(head.body.length, 0);
});

test('a value without a type is what can be seen of it', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a', 'text', { retain: true, contentType: 'no type' });
  await bench.house.publish('b', '', { retain: true, payload: Buffer.of(255) });
  assert.equal((await bench.ask('GET', '/topics/a')).fields.get('content-type'), 'text/plain; charset=utf-8');
  const binary = await bench.ask('GET', '/topics/b');
  assert.equal(binary.fields.get('content-type'), 'application/octet-stream');
  assert.deepEqual(binary.body, Buffer.of(255));
});

test('If-None-Match and If-Modified-Since: 304 (RFC 9110 §13.1.2, §13.1.3)', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a', '1', { retain: true });
  const first = await bench.ask('GET', '/topics/a');
  const etag = first.fields.get('etag')!;
  const same = await bench.ask('GET', '/topics/a', { 'if-none-match': `W/${etag}` });
  assert.equal(same.status, 304);
  assert.equal(same.body.length, 0);
  assert.equal(same.fields.get('etag'), etag);
  const since = first.fields.get('last-modified')!;
  assert.equal((await bench.ask('GET', '/topics/a', { 'if-modified-since': since })).status, 304);
  const earlier = new Date(Date.parse(since) - 1_000).toUTCString();
  assert.equal((await bench.ask('GET', '/topics/a', { 'if-modified-since': earlier })).status, 200);
  await bench.house.publish('a', '2', { retain: true });
  assert.equal((await bench.ask('GET', '/topics/a', { 'if-none-match': etag })).status, 200);
  assert.equal((await bench.ask('GET', '/topics/a', { 'if-match': etag })).status, 412);
});

test('without history a tag is a digest: the same value, the same tag', async () => {
  const bench = await Bench.open({ history: false });
  const tags: string[] = [];
  for (const text of ['1', '2', '1']) {
    const put = await bench.ask('PUT', '/topics/a', {}, text);
    const got = await bench.ask('GET', '/topics/a');
    assert.equal(put.fields.get('etag'), got.fields.get('etag'));
    assert.equal(got.fields.get('cursor'), null);
    tags.push(got.fields.get('etag')!);
  }
  assert.equal(tags[0], tags[2]);
  assert.notEqual(tags[0], tags[1]);
});

test('nothing retained: 404, and what to do instead', async () => {
  const bench = await Bench.open();
  const client = await bench.ask('GET', '/topics/a');
  assert.equal(client.status, 404);
  assert.match(JSON.parse(client.body.toString()).detail, /after=0/);
});

test('Accept: the value, or what is known about it as JSON, or 406 (RFC 9110 §12.5.1)', async () => {
  const bench = await Bench.open();
  await bench.house.publish('a', '1', { retain: true, contentType: 'text/plain', properties: ['p', 'q'] });
  for (const [accept, type] of [
    ['*/*', 'text/plain'],
    ['text/*', 'text/plain'],
    ['application/json, text/plain, */*', 'text/plain'],
    ['application/x-ndjson', 'application/x-ndjson'],
    ['application/json', 'application/json'],
    ['text/plain;q=0, */*', 'application/x-ndjson'],
  ] as const) {
    const client = await bench.ask('GET', '/topics/a', { accept });
    assert.equal(client.fields.get('content-type'), type, accept);
    if (type === 'text/plain') continue;
    const { payload, properties, retained } = linesOf(client)[0]!;
    assert.deepEqual([payload, properties, retained], ['1', [['p', 'q']], true]);
  }
  const none = await bench.ask('GET', '/topics/a', { accept: 'image/png' });
  assert.equal(none.status, 406);
  const tags = await Promise.all(
    ['*/*', 'application/json'].map(async (accept) =>
      (await bench.ask('GET', '/topics/a', { accept })).fields.get('etag'),
    ),
  );
  assert.notEqual(tags[0], tags[1]);
});

test('retained values of a filter, page by page, as lines and as a list', async () => {
  const bench = await Bench.open();
  const topics = ['b/é', 'a/2', 'c/3', 'b/#1', 'a/1'].map((topic) => topic.replace('#', 'x '));
  for (const topic of topics) await bench.house.publish(topic, topic, { retain: true });
  const all = await bench.ask('GET', '/topics');
  assert.deepEqual(
    linesOf(all).map(({ topic }) => topic),
    [...topics].sort(),
  );
  let target: string | null = '/topics?filter=%23&limit=2';
  const seen: unknown[] = [];
  while (target !== null) {
    const page = await bench.ask('GET', target);
    assert.ok(linesOf(page).length <= 2);
    seen.push(...linesOf(page).map(({ topic }) => topic));
    target = /^<(.*)>; rel="next"$/.exec(page.fields.get('link') ?? '')?.[1] ?? null;
  }
  assert.deepEqual(seen, [...topics].sort());
  const list = await bench.ask('GET', '/topics/a/+', { accept: 'application/json' });
  assert.deepEqual(
    (JSON.parse(list.body.toString()) as { payload: string }[]).map(({ payload }) => payload),
    ['a/1', 'a/2'],
  );
  assert.equal((await bench.ask('GET', '/topics?filter=nothing')).body.toString(), '');
  assert.equal((await bench.ask('GET', '/topics?filter=a%23')).status, 400);
  assert.equal((await bench.ask('GET', '/topics?limit=0')).status, 400);
});

test('a page of values ends where it is long enough', async () => {
  const bench = await Bench.open({ limits: { pageBytesMax: 1_024 } });
  for (let index = 0; index < 5; index++) await bench.house.publish(`a/${index}`, 'x'.repeat(600), { retain: true });
  const page = await bench.ask('GET', '/topics');
  assert.equal(linesOf(page).length, 2);
  assert.match(page.fields.get('link')!, /after=a%2F1/);
});

test('properties that are too long for fields are counted, not lost', async () => {
  const bench = await Bench.open({ limits: { propertyBytesMax: 40 } });
  await bench.house.publish('a', '1', { retain: true, properties: ['a', '1', 'b', 'x'.repeat(50), 'c', '2'] });
  const client = await bench.ask('GET', '/topics/a');
  assert.equal(client.fields.get('x-property-a'), '1');
  assert.equal(client.fields.get('properties-left-out'), '2');
});

test('any properties come back from the fields that they were written to', () => {
  const text = fc.string({ unit: 'grapheme' });
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          text.filter((name) => name !== ''),
          text,
        ),
      ),
      (pairs) => {
        // Names of fields have no case.
        const properties = pairs.flatMap(([name, value]) => [name.toLowerCase(), value]);
        const fields = new Fields();
        assert.equal(writeProperties(properties, fields, 1_000_000), 0);
        for (const [name, value] of fields) assert.match(`${name}: ${value}`, /^[!-9;-~]+: [!-~]([ -~]*[!-~])?$/);
        const lower = readProperties(fields)!.map((each, at) => (at % 2 === 0 ? each.toLowerCase() : each));
        assert.deepEqual(lower, properties);
      },
    ),
  );
});

test('/healthz', async () => {
  const bench = await Bench.open();
  const client = await bench.ask('GET', '/healthz');
  assert.equal(client.status, 200);
  assert.deepEqual(JSON.parse(client.body.toString()), { status: 'ok', version: '1.2.3' });
  assert.equal((await bench.ask('HEAD', '/healthz')).body.length, 0);
});
