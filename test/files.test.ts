// The files over HTTP, on a running server: whole files, listings, forms, archives, conditions, hostile paths.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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
  base = mkdtempSync(join(tmpdir(), 'portico-files-test-'));
  root = join(base, 'data', 'files');
  running = await Portico.start({
    data: join(base, 'data'),
    ports: 'ephemeral',
    control: false,
    files: { quotas: [{ path: 'small', bytes: 1_000_000 }], folders: ['shared', 'small'] },
  });
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
  const bytes = Buffer.from(await answer.body.arrayBuffer());
  return {
    status: answer.statusCode,
    headers: answer.headers as Record<string, string>,
    bytes,
    text: bytes.toString(),
  };
}

const LARGE = Buffer.alloc(5_000_000, 'portico-files ');

test('a file is put, read, read in part, replaced and deleted', TIMEOUT, async () => {
  const put = await ask('PUT', '/files/shared/a.txt', {}, 'hello');
  assert.equal(put.status, 201);
  assert.equal(readFileSync(join(root, 'shared', 'a.txt'), 'utf8'), 'hello');
  const got = await ask('GET', '/files/shared/a.txt');
  assert.equal(got.text, 'hello');
  assert.equal(got.headers.etag, put.headers.etag);
  assert.equal(got.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal((await ask('GET', '/files/shared/a.txt', { 'if-none-match': put.headers.etag! })).status, 304);
  const part = await ask('GET', '/files/shared/a.txt', { range: 'bytes=1-2' });
  assert.deepEqual([part.status, part.text, part.headers['content-range']], [206, 'el', 'bytes 1-2/5']);
  assert.equal((await ask('PUT', '/files/shared/a.txt', { 'if-match': '"other"' }, 'no')).status, 412);
  assert.equal((await ask('PUT', '/files/shared/a.txt', { 'if-none-match': '*' }, 'no')).status, 412);
  assert.equal((await ask('PUT', '/files/shared/a.txt', { 'if-match': put.headers.etag! }, LARGE)).status, 204);
  const large = await ask('GET', '/files/shared/a.txt', { range: 'bytes=4000000-' });
  assert.ok(large.bytes.equals(LARGE.subarray(4_000_000)));
  assert.equal((await ask('DELETE', '/files/shared/a.txt')).status, 204);
  assert.equal((await ask('GET', '/files/shared/a.txt')).status, 404);
  assert.equal((await ask('PUT', '/files/none/a.txt', {}, 'x')).status, 409);
  assert.equal((await ask('PUT', '/files/shared/x/y/a.txt?folders', {}, 'x')).status, 201);
});

test('folders: made, listed as JSON and as a page, moved, copied, deleted', TIMEOUT, async () => {
  assert.equal((await ask('MKCOL', '/files/shared/f')).status, 201);
  assert.equal((await ask('PUT', '/files/shared/f/1%20%C3%BC.txt', {}, 'one')).status, 201);
  assert.equal((await ask('PUT', '/files/shared/f/%3Cb%3E', {}, 'two')).status, 201);
  const json = JSON.parse((await ask('GET', '/files/shared/f/')).text);
  assert.deepEqual(
    json.entries.map(({ name, size }: { name: string; size: number }) => [name, size]),
    [
      ['1 ü.txt', 3],
      ['<b>', 3],
    ],
  );
  const page = await ask('GET', '/files/shared/f/', { accept: 'text/html' });
  assert.match(page.text, /&#60;b&#62;/);
  assert.doesNotMatch(page.text, /<b>/);
  assert.equal((await ask('GET', '/files/shared/f')).status, 301);
  const first = JSON.parse((await ask('GET', '/files/shared/f/?limit=1')).text);
  assert.equal(first.next, '1 ü.txt');
  const found = JSON.parse((await ask('GET', '/files/?search=%C3%9C.TXT')).text);
  assert.deepEqual(
    found.entries.map(({ path }: { path: string }) => path),
    ['shared/f/1 ü.txt'],
  );
  assert.equal((await ask('COPY', '/files/shared/f', { destination: '/files/shared/g' })).status, 201);
  assert.equal(
    (await ask('MOVE', '/files/shared/g/%3Cb%3E', { destination: `${url}/files/shared/moved` })).status,
    201,
  );
  assert.equal((await ask('GET', '/files/shared/moved')).text, 'two');
  const taken = { destination: '/files/shared/moved', overwrite: 'F' };
  assert.equal((await ask('COPY', '/files/shared/f/%3Cb%3E', taken)).status, 412);
  assert.equal((await ask('MOVE', '/files/shared/f', { destination: '/files/shared/f/g' })).status, 403);
  assert.equal((await ask('MOVE', '/files/shared/f', { destination: 'http://elsewhere.example/files/x' })).status, 502);
  assert.equal((await ask('DELETE', '/files/shared/f')).status, 409);
  assert.equal((await ask('DELETE', '/files/shared/f?deep')).status, 204);
  assert.ok(!existsSync(join(root, 'shared', 'f')));
});

test('names that lead out are refused, and so are links', TIMEOUT, async () => {
  writeFileSync(join(base, 'secret'), 'secret');
  symlinkSync(join(base, 'secret'), join(root, 'shared', 'out'));
  for (const path of [
    '..%2f..%2fsecret',
    'shared/%2e%2e/%2e%2e/secret',
    '.portico/pending',
    'a%00b',
    'shared%2f..%2f..',
    'shared/a%0ab',
  ])
    assert.ok([400, 404].includes((await ask('GET', `/files/${path}`)).status), path);
  assert.equal((await ask('GET', '/files/shared/out')).status, 404);
  assert.equal((await ask('PUT', '/files/.portico/x', {}, 'x')).status, 400);
  assert.equal((await ask('GET', '/files/%ff')).status, 400);
});

test('a form uploads several files', TIMEOUT, async () => {
  const form = new FormData();
  form.append('note', 'not a file');
  form.append('file', new Blob([LARGE]), 'large.bin');
  form.append('file', new Blob(['']), 'empty');
  form.append('file', new Blob(['x']), '../../up.txt');
  const answer = await fetch(`${url}/files/shared/`, { method: 'POST', body: form });
  assert.equal(answer.status, 201);
  const { written } = (await answer.json()) as { written: { path: string; size: number }[] };
  assert.deepEqual(
    written.map(({ path, size }) => [path, size]),
    [
      ['shared/large.bin', LARGE.length],
      ['shared/empty', 0],
      ['shared/up.txt', 1],
    ],
  );
  assert.ok(readFileSync(join(root, 'shared', 'large.bin')).equals(LARGE));
  const broken = await ask(
    'POST',
    '/files/shared/',
    { 'content-type': 'multipart/form-data; boundary=b' },
    '--b\r\nnothing',
  );
  assert.equal(broken.status, 400);
});

test('an archive holds what the folder holds', TIMEOUT, async () => {
  await ask('PUT', `/files/shared/arch/${'long'.repeat(40)}/%C3%BC.bin?folders`, {}, LARGE);
  await ask('PUT', '/files/shared/arch/empty', {}, '');
  for (const kind of ['tar', 'tar.gz', 'zip']) {
    const got = await ask('GET', `/files/shared/arch?archive=${kind}`);
    assert.equal(got.status, 200);
    const folder = mkdtempSync(join(base, 'unpacked-'));
    writeFileSync(join(folder, 'archive'), got.bytes);
    if (kind === 'zip') execFileSync('python3', ['-m', 'zipfile', '-e', 'archive', '.'], { cwd: folder });
    else execFileSync('tar', ['xf', 'archive'], { cwd: folder });
    assert.ok(readFileSync(join(folder, 'arch', 'long'.repeat(40), 'ü.bin')).equals(LARGE), kind);
    assert.equal(readFileSync(join(folder, 'arch', 'empty')).length, 0);
  }
});

test('a quota refuses what does not fit, said beforehand or not', TIMEOUT, async () => {
  assert.equal((await ask('PUT', '/files/small/a', {}, Buffer.alloc(600_000))).status, 201);
  assert.equal((await ask('PUT', '/files/small/b', {}, Buffer.alloc(600_000))).status, 507);
  const chunked = await request(`${url}/files/small/c`, {
    method: 'PUT',
    body: (async function* () {
      for (let piece = 0; piece < 10; piece++) yield Buffer.alloc(60_000);
    })() as never,
  });
  assert.equal(chunked.statusCode, 507);
  assert.deepEqual(readdirSync(join(root, 'small')), ['a']);
  assert.equal((await ask('DELETE', '/files/small/a')).status, 204);
  assert.equal((await ask('PUT', '/files/small/b', {}, Buffer.alloc(600_000))).status, 201);
});

test('PUT goes on where it was cut, by Content-Range', TIMEOUT, async () => {
  const first = await ask('PUT', '/files/shared/parts', { 'content-range': 'bytes 0-2/6' }, 'abc');
  assert.equal(first.status, 202);
  assert.equal((await ask('GET', '/files/shared/parts')).status, 404);
  assert.equal((await ask('PUT', '/files/shared/parts', { 'content-range': 'bytes 3-5/6' }, 'def')).status, 201);
  assert.equal((await ask('GET', '/files/shared/parts')).text, 'abcdef');
});

test('readers see the old or the new whole while writers replace it', TIMEOUT, async () => {
  const size = 300_000;
  await ask('PUT', '/files/shared/busy', {}, Buffer.alloc(size, 'a'));
  const writers = ['b', 'c', 'd'].map(async (letter) => {
    for (let round = 0; round < 10; round++) await ask('PUT', '/files/shared/busy', {}, Buffer.alloc(size, letter));
  });
  let reads = 0;
  const readers = Array.from({ length: 3 }, async () => {
    for (let round = 0; round < 15; round++) {
      const { bytes, status } = await ask('GET', '/files/shared/busy');
      assert.equal(status, 200, bytes.toString());
      assert.ok(bytes.equals(Buffer.alloc(size, bytes.subarray(0, 1))));
      reads++;
    }
  });
  await Promise.all([...writers, ...readers]);
  assert.equal(reads, 45);
});

test('whatever is complete or gone is told of on a topic', TIMEOUT, async () => {
  await ask('PUT', '/files/shared/told.txt', {}, 'x');
  const told = await ask('GET', '/topics/files/shared/told.txt?after=0&wait=10');
  assert.match(told.text, /complete/);
});
