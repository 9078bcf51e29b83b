// DNS over HTTPS (RFC 8484) on a running server, by HTTP/1.1; HTTP/2 is asked by kdig in test/interop.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { nameFrom } from '../../formats/dns/name.ts';
import { Portico } from '../../portico.ts';
import { ZoneContents } from '../../resources/names/contents.ts';
import { zoneFromMaster } from '../../resources/names/master-file.ts';
import { serialOf } from '../../resources/names/zone.ts';
import { query, seen, update } from './testing/bench.ts';

let portico: Portico;
let url = '';

before(async () => {
  portico = await Portico.start({ storage: 'memory', ports: 'ephemeral', hosts: ['127.0.0.1'] });
  url = `${portico.urls.http}/dns-query`;
});

after(() => portico.close());

const TYPE = 'application/dns-message';

async function post(message: Uint8Array, type = TYPE) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': type },
    body: Uint8Array.from(message),
  });
  return { response, bytes: new Uint8Array(await response.arrayBuffer()) };
}

test('a message by POST and by GET is answered with one (RFC 8484 §4.1)', async () => {
  const message = query('portico.test.', 'SOA', { id: 0, udp: 1_232 });
  const posted = await post(message);
  assert.equal(posted.response.status, 200);
  assert.equal(posted.response.headers.get('content-type'), TYPE);
  // As long as its shortest record (RFC 8484 §5.1).
  assert.equal(posted.response.headers.get('cache-control'), 'max-age=60');
  const found = seen(posted.bytes);
  assert.match(found.answer[0]!, /^portico\.test\. SOA ns\.portico\.test\./);
  const got = await fetch(`${url}?dns=${message.toString('base64url')}`, { headers: { accept: TYPE } });
  assert.deepEqual(new Uint8Array(await got.arrayBuffer()), posted.bytes);
  const head = await fetch(`${url}?dns=${message.toString('base64url')}`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(posted.bytes.length)]);
});

test('an answer is not truncated, and padded where that is asked for (RFC 8467 §4.1)', async () => {
  const { bytes } = await post(query('portico.test.', 'ANY', { id: 0, options: '000c 0000' }));
  const found = seen(bytes);
  assert.ok(found.answer.length > 5 && !found.flags.includes('tc'));
  assert.equal(bytes.length % 468, 0);
});

test('a name that is not there is 200 with NXDOMAIN, for as long as its SOA says (RFC 8484 §4.2.1, §5.1)', async () => {
  const { response, bytes } = await post(query('none.portico.test.', 'A', { id: 0 }));
  assert.deepEqual(
    [response.status, seen(bytes).rcode, response.headers.get('cache-control')],
    [200, 'NXDOMAIN', 'max-age=60'],
  );
});

test('JSON for scripts: by name and type', async () => {
  const response = await fetch(`${url}?name=portico.test&type=MX`);
  assert.equal(response.headers.get('content-type'), 'application/dns-json');
  const { Status, Question, Answer } = (await response.json()) as Record<string, unknown>;
  assert.deepEqual([Status, Question], [0, [{ name: 'portico.test.', type: 15 }]]);
  assert.equal((Answer as { readonly data: string }[])[0]!.data, '10 portico.test.');
  assert.equal(((await (await fetch(`${url}?name=x.portico.test&type=257`)).json()) as { Status: number }).Status, 3);
});

test('what is no query is refused in the words of HTTP', async () => {
  const statusOf = async (given: string, init: RequestInit = {}) => (await fetch(given, init)).status;
  assert.equal(await statusOf(url), 400);
  assert.equal(await statusOf(`${url}?dns=x`), 400);
  assert.equal(await statusOf(`${url}?dns=AAAAAAAAAAAAAAA=`), 400);
  assert.equal(await statusOf(`${url}?name=a..b`), 400);
  assert.equal(await statusOf(`${url}?name=a&type=NOTATYPE`), 400);
  assert.equal(await statusOf(url, { method: 'DELETE' }), 405);
  assert.equal((await post(query('a.', 'A'), 'text/plain')).response.status, 415);
  assert.equal((await post(Buffer.from('GET /'))).response.status, 400);
  assert.equal((await post(Buffer.alloc(70_000))).response.status, 413);
});

test('no page changes or transfers a zone: it comes from this machine as well', async () => {
  const change = update('portico.test.', [], [{ name: 'x.portico.test.', type: 'A', data: '192.0.2.1', ttl: 1 }]);
  assert.equal(seen((await post(change)).bytes).rcode, 'REFUSED');
  assert.equal(seen((await post(query('portico.test.', 'AXFR'))).bytes).rcode, 'REFUSED');
});

test('a zone is read as a master file, and is the same when it is read again', async () => {
  const response = await fetch(`${portico.urls.http}/names/portico.test`);
  assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'text/dns; charset=us-ascii']);
  const text = await response.text();
  const origin = nameFrom('portico.test.')!;
  const contents = new ZoneContents(origin);
  assert.equal(zoneFromMaster(text, origin, contents), null);
  assert.equal(response.headers.get('etag'), `"${serialOf(contents)}"`);
  assert.match(text, /_http\._tcp\.portico\.test\.\t60\tIN\tSRV\t0 0 \d+ portico\.test\./);
  assert.equal((await fetch(`${portico.urls.http}/names/other.test`)).status, 404);
  assert.equal((await fetch(`${portico.urls.http}/names/portico.test`, { method: 'PUT', body: 'x' })).status, 405);
});
