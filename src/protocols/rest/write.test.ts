// Publishing, retaining and clearing over HTTP.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Fields } from '../../core/fields.ts';
import { Bench } from './testing/bench.ts';

test('POST publishes: 201 with cursor and a place where the message is', async () => {
  const bench = await Bench.open();
  const listener = bench.house.attach();
  await bench.house.subscribe(listener, 'a/#');
  const client = await bench.ask('POST', '/topics/a/b%20c', {}, 'hello');
  assert.equal(client.status, 201);
  assert.deepEqual(listener.got, ['a/b c=hello']);
  const cursor = Number(client.fields.get('cursor'));
  assert.equal(cursor, listener.messages[0]!.cursor);
  assert.equal(client.fields.get('location'), `/topics/a/b%20c?after=${cursor - 1}&limit=1`);
  const message = await bench.ask('GET', client.fields.get('location')!);
  assert.equal(JSON.parse(message.body.toString()).payload, 'hello');
});

test('a topic without history: 201 without a cursor, without a place', async () => {
  const bench = await Bench.open({ history: false });
  const client = await bench.ask('POST', '/topics/a', {}, 'hello');
  assert.equal(client.status, 201);
  assert.equal(client.fields.get('cursor'), null);
  assert.equal(client.fields.get('location'), null);
});

test('an empty POST is an empty message', async () => {
  const bench = await Bench.open();
  const listener = bench.house.attach();
  await bench.house.subscribe(listener, 'a');
  assert.equal((await bench.ask('POST', '/topics/a')).status, 201);
  assert.deepEqual(listener.got, ['a=']);
});

test('type, properties in order and expiry go with the message', async () => {
  const bench = await Bench.open();
  const listener = bench.house.attach();
  await bench.house.subscribe(listener, 'a');
  const fields = new Fields()
    .append('Content-Type', 'application/json')
    .append('X-Property-unit', 'C')
    .append('X-Property-Place', 'Küche')
    .append('X-Property-unit', 'F')
    .append('X-Property-%41%2a*', "UTF-8''a%0Ab")
    .append('X-Expiry', '60');
  await bench.ask('POST', '/topics/a', fields, '{}');
  const [message] = listener.messages;
  assert.equal(message!.contentType, 'application/json');
  assert.equal(message!.text, true);
  assert.deepEqual(message!.properties, ['unit', 'C', 'place', 'Küche', 'unit', 'F', 'A*', 'a\nb']);
  assert.equal(message!.expiry - message!.time, 60_000);
  assert.equal(message!.publisher, 'ann');
});

test('what curl says of a body by itself is no type', async () => {
  const bench = await Bench.open();
  await bench.ask('PUT', '/topics/a', { 'content-type': 'application/x-www-form-urlencoded' }, '21.5');
  const client = await bench.ask('GET', '/topics/a');
  assert.equal(client.fields.get('content-type'), 'text/plain; charset=utf-8');
});

test('PUT retains: 201 when it made the value, 204 when it replaced it (RFC 9110 §9.3.4)', async () => {
  const bench = await Bench.open();
  const first = await bench.ask('PUT', '/topics/a', {}, '1');
  assert.equal(first.status, 201);
  assert.equal(first.fields.get('etag'), `"${first.fields.get('cursor')}"`);
  assert.equal(first.fields.get('location'), '/topics/a');
  const second = await bench.ask('PUT', '/topics/a', {}, '2');
  assert.equal(second.status, 204);
  const read = await bench.ask('GET', '/topics/a');
  assert.equal(read.body.toString(), '2');
  assert.equal(read.fields.get('etag'), second.fields.get('etag'));
});

test('PUT of nothing is refused, since it would clear', async () => {
  const bench = await Bench.open();
  const client = await bench.ask('PUT', '/topics/a');
  assert.equal(client.status, 422);
  assert.match(JSON.parse(client.body.toString()).detail, /DELETE/);
});

test('DELETE clears: 204, and 404 when there is nothing', async () => {
  const bench = await Bench.open();
  await bench.ask('PUT', '/topics/a', {}, '1');
  assert.equal((await bench.ask('DELETE', '/topics/a')).status, 204);
  assert.equal((await bench.ask('GET', '/topics/a')).status, 404);
  assert.equal((await bench.ask('DELETE', '/topics/a')).status, 404);
});

test('If-Match and If-None-Match on PUT and DELETE (RFC 9110 §13.1)', async () => {
  const bench = await Bench.open();
  assert.equal((await bench.ask('PUT', '/topics/a', { 'if-match': '*' }, '1')).status, 412);
  const made = await bench.ask('PUT', '/topics/a', { 'if-none-match': '*' }, '1');
  assert.equal(made.status, 201);
  const again = await bench.ask('PUT', '/topics/a', { 'if-none-match': '*' }, '1');
  assert.equal(again.status, 412);
  const tag = made.fields.get('etag')!;
  assert.equal(again.fields.get('etag'), tag);
  assert.equal((await bench.ask('PUT', '/topics/a', { 'if-match': '"0"' }, '2')).status, 412);
  assert.equal((await bench.ask('PUT', '/topics/a', { 'if-match': `"0", ${tag}` }, '2')).status, 204);
  assert.equal((await bench.ask('DELETE', '/topics/a', { 'if-match': tag })).status, 412);
  assert.equal((await bench.ask('DELETE', '/topics/a', { 'if-match': '*' })).status, 204);
});

test('the tag of any representation names the state', async () => {
  const bench = await Bench.open();
  const text = 'text '.repeat(1_000);
  const read: Record<string, string>[] = [{ accept: 'application/json' }, { 'accept-encoding': 'gzip' }, {}];
  const tags = new Set<string>();
  for (const fields of read) {
    await bench.ask('PUT', '/topics/a', {}, text);
    const tag = (await bench.ask('GET', '/topics/a', fields)).fields.get('etag')!;
    tags.add(tag.replace(/\d+/, ''));
    assert.equal((await bench.ask('PUT', '/topics/a', { 'if-none-match': tag }, text)).status, 412, tag);
    assert.equal((await bench.ask('PUT', '/topics/a', { 'if-match': tag }, text)).status, 204, tag);
    assert.equal((await bench.ask('PUT', '/topics/a', { 'if-match': tag }, text)).status, 412, tag);
  }
  assert.equal(tags.size, 3);
});

test('of many that replace the same value at once, one does', async () => {
  const bench = await Bench.open();
  const made = await bench.ask('PUT', '/topics/a', {}, '0');
  const tag = made.fields.get('etag')!;
  const clients = Array.from({ length: 200 }, (_, index) =>
    bench.begin('PUT', '/topics/a', { 'if-match': tag }, `by ${index}`),
  );
  await bench.house.pass(100);
  assert.deepEqual(clients.map(({ status }) => status).sort(), [204, ...Array.from({ length: 199 }, () => 412)]);
  const winner = clients.findIndex(({ status }) => status === 204);
  assert.equal((await bench.ask('GET', '/topics/a')).body.toString(), `by ${winner}`);
});

test('respond-async: 202 before the commit (RFC 7240 §4.1)', async () => {
  const bench = await Bench.open();
  const listener = bench.house.attach();
  await bench.house.subscribe(listener, 'a');
  const client = bench.begin('POST', '/topics/a', { prefer: 'wait=5, Respond-Async; x=1' }, '1');
  let statusWhenHeard = 0;
  for (let round = 0; listener.got.length === 0 && round < 1_000; round++) {
    statusWhenHeard = client.status;
    await bench.house.pass(0.02);
  }
  assert.equal(statusWhenHeard, 202);
  assert.equal(client.fields.get('preference-applied'), 'respond-async');
  assert.deepEqual(listener.got, ['a=1']);
  // What is known at once is told all the same.
  assert.equal((await bench.ask('POST', '/topics/$SYS/a', { prefer: 'respond-async' }, '1')).status, 403);
});

test('a body in a content coding is decoded, and one that is not known is 415 (RFC 9110 §8.4, §15.5.16)', async () => {
  const bench = await Bench.open();
  const refused = await bench.ask('POST', '/topics/a', { 'content-encoding': 'compress' }, '1');
  assert.equal(refused.status, 415);
  assert.equal(refused.fields.get('accept-encoding'), 'gzip, deflate, br, zstd');
  assert.equal((await bench.ask('POST', '/topics/a', { 'content-encoding': 'identity' }, '1')).status, 201);
  assert.equal((await bench.ask('POST', '/topics/a', { 'content-encoding': 'gzip' }, '1')).status, 400);
});

test('Content-Range on PUT is refused (RFC 9110 §14.5)', async () => {
  const bench = await Bench.open();
  assert.equal((await bench.ask('PUT', '/topics/a', { 'content-range': 'bytes 0-0/2' }, '1')).status, 400);
});

test('the longest body is taken, one byte more is 413', async () => {
  const bench = await Bench.open({ limits: { bodyBytesMax: 10 } });
  assert.equal((await bench.ask('POST', '/topics/a', {}, 'x'.repeat(10))).status, 201);
  assert.equal((await bench.ask('POST', '/topics/a', {}, 'x'.repeat(11))).status, 413);
  assert.equal((await bench.ask('POST', '/topics/a', { 'content-length': '11' }, 'x'.repeat(11))).status, 413);
});

test('a body in a content coding is published without it, within the bound, or not at all', async () => {
  const bench = await Bench.open({ limits: { bodyBytesMax: 1_000 } });
  const gzip = { 'content-encoding': 'gzip' };
  assert.equal((await bench.ask('PUT', '/topics/a', gzip, gzipSync('text'))).status, 201);
  assert.equal((await bench.ask('PUT', '/topics/a', gzip, gzipSync(Buffer.alloc(1_001)))).status, 413);
  assert.equal((await bench.ask('PUT', '/topics/a', gzip, 'no gzip')).status, 400);
  assert.equal((await bench.ask('PUT', '/topics/a', gzip, gzipSync('half').subarray(0, 20))).status, 400);
  assert.equal((await bench.ask('GET', '/topics/a')).body.toString(), 'text');
});

test('names: empty and invalid 400, wildcards 400, the server’s own 403', async () => {
  const bench = await Bench.open();
  for (const [target, status] of [
    ['/topics/', 400],
    ['/topics/a%00b', 400],
    ['/topics/a%2', 400],
    ['/topics/%ff', 400],
    ['/topics/a/%23', 400],
    ['/topics/+/a', 400],
    ['/topics/a%23', 400],
    ['/topics/$SYS/x', 403],
    ['/topics/files/x', 403],
  ] as const) {
    const client = await bench.ask('POST', target, {}, '1');
    assert.equal(client.status, status, target);
    assert.equal(client.fields.get('content-type'), 'application/problem+json', target);
  }
});

test('fields that cannot be read: 400', async () => {
  const bench = await Bench.open();
  const wrong: Record<string, string>[] = [
    { 'x-expiry': '0' },
    { 'x-expiry': '-1' },
    { 'x-expiry': '4294967296' },
    { 'x-expiry': 'soon' },
    { 'x-property-a%2': '1' },
    { 'x-property-': '1' },
    { 'x-property-a*': 'x' },
    { 'x-property-a*': "UTF-8''%ff" },
  ];
  for (const fields of wrong)
    assert.equal((await bench.ask('POST', '/topics/a', fields, '1')).status, 400, JSON.stringify(fields));
});

test('OPTIONS and methods that are not there', async () => {
  const bench = await Bench.open();
  const all = 'GET, HEAD, POST, PUT, DELETE, OPTIONS';
  for (const [method, target, status, allow] of [
    ['OPTIONS', '/topics/a', 204, all],
    ['OPTIONS', '/topics/%23', 204, 'GET, HEAD, OPTIONS'],
    ['PATCH', '/topics/a', 405, all],
    ['OPTIONS', '/topics', 204, 'GET, HEAD, OPTIONS'],
    ['POST', '/topics', 405, 'GET, HEAD, OPTIONS'],
    ['POST', '/healthz', 405, 'GET, HEAD, OPTIONS'],
  ] as const) {
    const client = await bench.ask(method, target);
    assert.equal(client.status, status, `${method} ${target}`);
    assert.equal(client.fields.get('allow'), allow, `${method} ${target}`);
  }
});

test('a client that goes away while it is being committed harms nobody', async () => {
  const bench = await Bench.open();
  const client = bench.begin('PUT', '/topics/a', { 'if-none-match': '*' }, '1');
  bench.house.world.pass(0.2);
  client.abort(1);
  await bench.house.pass();
  assert.equal((await bench.ask('PUT', '/topics/a', { 'if-match': '*' }, '2')).status, 204);
  assert.deepEqual(bench.house.world.bugs, []);
});
