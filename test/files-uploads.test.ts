// Resumable uploads on a running server, by the IETF draft and by tus, and what is left of them by kill -9 and a full disk.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { request } from 'undici';
import { Portico } from '../src/portico.ts';

const TIMEOUT = { timeout: 60_000 };
let base: string;
let root: string;
let running: Portico;
let url: string;

before(async () => {
  base = mkdtempSync(join(tmpdir(), 'portico-uploads-'));
  root = join(base, 'data', 'files', 'shared');
  running = await Portico.start({ data: join(base, 'data'), ports: 'ephemeral', control: false });
  url = running.urls.http!;
});

after(async () => {
  await running.close();
  rmSync(base, { recursive: true });
});

async function ask(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body: string | Buffer | null = null,
) {
  const answer = await request(`${url}${path}`, { method: method as 'GET', headers, body });
  const text = await answer.body.text();
  return { status: answer.statusCode, headers: answer.headers as Record<string, string>, text };
}

const TUS = { 'tus-resumable': '1.0.0' };
const PIECE = { ...TUS, 'content-type': 'application/offset+octet-stream' };
const named = (name: string) => `filename ${Buffer.from(name).toString('base64')}`;

test('the draft: begun, asked for, gone on with, complete (§4)', TIMEOUT, async () => {
  const begun = await ask('PUT', '/files/shared/draft', { 'upload-complete': '?0', 'upload-length': '9' }, 'abc');
  assert.deepEqual([begun.status, begun.headers['upload-complete'], begun.headers['upload-offset']], [201, '?0', '3']);
  const at = begun.headers.location!;
  assert.ok(!existsSync(join(root, 'draft')));
  const told = await ask('HEAD', at);
  assert.deepEqual([told.status, told.headers['upload-offset'], told.headers['upload-complete']], [204, '3', '?0']);
  assert.equal(told.headers['cache-control'], 'no-store');
  const part = { 'content-type': 'application/partial-upload', 'upload-complete': '?0' };
  const wrong = await ask('PATCH', at, { ...part, 'upload-offset': '2' }, 'x');
  assert.equal(wrong.status, 409);
  assert.equal(JSON.parse(wrong.text)['expected-offset'], 3);
  assert.equal((await ask('PATCH', at, { ...part, 'upload-offset': '3' }, 'def')).status, 204);
  const long = await ask('PATCH', at, { ...part, 'upload-offset': '6', 'upload-complete': '?1' }, 'ghij');
  assert.equal(long.status, 400);
  const done = await ask('PATCH', at, { ...part, 'upload-offset': '6', 'upload-complete': '?1' }, 'ghi');
  assert.deepEqual([done.status, done.headers['upload-complete']], [201, '?1']);
  assert.equal(readFileSync(join(root, 'draft'), 'utf8'), 'abcdefghi');
  assert.equal((await ask('HEAD', at)).headers['upload-complete'], '?1');
  const whole = await ask('PUT', '/files/shared/at-once', { 'upload-complete': '?1' }, 'whole');
  assert.equal(whole.status, 201);
  assert.equal(readFileSync(join(root, 'at-once'), 'utf8'), 'whole');
});

test('tus: created, gone on with after a cut, checked, told, terminated', TIMEOUT, async () => {
  const options = await ask('OPTIONS', '/files/shared/');
  assert.match(options.headers['tus-extension']!, /concatenation/);
  const created = await ask('POST', '/files/shared/', {
    ...TUS,
    'upload-length': '10',
    'upload-metadata': named('t.txt'),
  });
  assert.equal(created.status, 201);
  const at = created.headers.location!;
  assert.equal((await ask('HEAD', at, TUS)).headers['upload-offset'], '0');
  assert.equal((await ask('PATCH', at, { ...PIECE, 'upload-offset': '0' }, 'hello')).headers['upload-offset'], '5');
  const sum = (text: string) => `sha1 ${createHash('sha1').update(text).digest('base64')}`;
  const bad = await ask('PATCH', at, { ...PIECE, 'upload-offset': '5', 'upload-checksum': sum('other') }, 'world');
  assert.equal(bad.status, 460);
  assert.equal((await ask('HEAD', at, TUS)).headers['upload-offset'], '5');
  assert.equal((await ask('PATCH', at, { ...PIECE, 'upload-offset': '4' }, 'x')).status, 409);
  const done = await ask('PATCH', at, { ...PIECE, 'upload-offset': '5', 'upload-checksum': sum('world') }, 'world');
  assert.deepEqual([done.status, done.headers['upload-offset']], [204, '10']);
  assert.equal(readFileSync(join(root, 't.txt'), 'utf8'), 'helloworld');
  const other = await ask('POST', '/files/shared/', { ...TUS, 'upload-length': '4', 'upload-metadata': named('gone') });
  assert.equal((await ask('DELETE', other.headers.location!, TUS)).status, 204);
  assert.equal((await ask('HEAD', other.headers.location!, TUS)).status, 404);
  assert.equal((await ask('POST', '/files/shared/', { 'tus-resumable': '0.2.2', 'upload-length': '4' })).status, 412);
});

test('tus: parts are joined', TIMEOUT, async () => {
  const parts: string[] = [];
  for (const text of ['one ', 'two ', 'three']) {
    const headers = { ...PIECE, 'upload-length': String(text.length), 'upload-concat': 'partial' };
    const part = await ask('POST', '/files/shared/', headers, text);
    assert.deepEqual([part.status, part.headers['upload-offset']], [201, String(text.length)]);
    parts.push(part.headers.location!);
  }
  const concat = { ...TUS, 'upload-concat': `final;${parts.join(' ')}`, 'upload-metadata': named('joined') };
  assert.equal((await ask('POST', '/files/shared/', concat)).status, 201);
  assert.equal(readFileSync(join(root, 'joined'), 'utf8'), 'one two three');
  assert.equal((await ask('HEAD', parts[0]!, TUS)).status, 404);
});

test('names of uploads that nobody gave lead nowhere', TIMEOUT, async () => {
  for (const name of [
    'x',
    'AAAA',
    Buffer.from('["n","../../x",3,0]').toString('base64url'),
    Buffer.from('[]').toString('base64url'),
  ])
    assert.ok((await ask('HEAD', `/uploads/${name}`)).status === 404, name);
});

test('share links: open to who has them, with a password where there is one, until they end', TIMEOUT, async () => {
  await ask('PUT', '/files/shared/s/in/a?folders', {}, 'shared');
  await ask('PUT', '/files/shared/outside', {}, 'not shared');
  const made = await ask('POST', '/files/shared/s?share', {}, '{"seconds":60}');
  assert.equal(made.status, 201, made.text);
  const { url: link } = JSON.parse(made.text) as { url: string };
  assert.equal((await ask('GET', `${link}in/a`)).text, 'shared');
  assert.match((await ask('GET', link)).text, /"name":"in"/);
  const wrong = link.replace(/^(\/shared\/).{32}/, `$1${'x'.repeat(32)}`);
  assert.equal((await ask('GET', wrong)).status, 404);
  for (const path of [
    link.replace(/s\/$/, 'outside'),
    link.replace('.2/', '.1/'),
    `${link}../outside`,
    `${link}%2e%2e/outside`,
  ])
    assert.ok([400, 404].includes((await ask('GET', path)).status), path);
  assert.equal((await ask('PUT', `${link}in/a`, {}, 'x')).status, 405);
  const secret = await ask('POST', '/files/shared/s/in/a?share', {}, '{"seconds":60,"password":"open sesame"}');
  const guarded = (JSON.parse(secret.text) as { url: string }).url;
  assert.equal((await ask('GET', guarded)).status, 401);
  assert.equal((await ask('GET', guarded, { 'x-share-password': 'wrong' })).status, 401);
  assert.equal((await ask('GET', guarded, { 'x-share-password': 'open sesame' })).text, 'shared');
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const opened = await ask('POST', guarded, form, 'password=open+sesame');
  assert.equal(opened.status, 303);
  assert.equal((await ask('GET', guarded, { cookie: opened.headers['set-cookie']!.split(';', 1)[0]! })).text, 'shared');
  const ended = JSON.parse((await ask('POST', '/files/shared/s?share', {}, '{"seconds":1}')).text) as { url: string };
  for (let round = 0; (await ask('GET', ended.url)).status !== 404; round++) {
    assert.ok(round < 200);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal((await ask('POST', '/files/shared/s?share', {}, '{"seconds":"x"}')).status, 400);
});
