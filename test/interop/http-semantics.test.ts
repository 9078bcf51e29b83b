// What HTTP means, as real clients use it: conditions, ranges, codings both ways, and users' own routes. curl and undici.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as zlib from 'node:zlib';
import { fetch } from 'undici';
import { Portico } from '../../src/portico.ts';
import { missing, run } from '../clients.ts';

const TEXT = Array.from({ length: 2_000 }, (_, index) => `line ${index}\n`).join('');
const folder = mkdtempSync(join(tmpdir(), 'portico-http-'));
let portico: Portico;
let url = '';

before(async () => {
  portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    http: {
      routes: {
        '/echo': (request) => new Response(request.body, { headers: { 'x-method': request.method } }),
        '/form': async (request) => {
          const form = await request.formData();
          const file = form.get('file') as File;
          return Response.json({
            name: form.get('name'),
            file: file.name,
            size: (await file.arrayBuffer()).byteLength,
          });
        },
        '/cookies': () => {
          const headers = new Headers();
          headers.append('set-cookie', 'a=1');
          headers.append('set-cookie', 'b=2');
          return new Response(null, { status: 204, headers });
        },
        '/broken': () => {
          throw new Error('a secret of the server');
        },
      },
    },
  });
  url = portico.urls.http!;
  await fetch(`${url}/topics/text`, { method: 'PUT', body: TEXT, headers: { 'content-type': 'text/plain' } });
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await portico.close();
});

const curl = (...args: string[]) => run('curl', '-sS', '--max-time', '10', ...args);
const NO_CURL = missing('curl');

test('curl: a download that was interrupted goes on', { skip: NO_CURL }, async () => {
  const file = join(folder, 'part');
  writeFileSync(file, TEXT.slice(0, 5_000));
  const { out } = await curl('-C', '-', '-o', file, '-w', '%{http_code}', `${url}/topics/text`);
  assert.equal(out, '206');
  assert.equal(readFileSync(file, 'utf8'), TEXT);
  const rest = await curl('-r', '5000-', `${url}/topics/text`);
  assert.equal(rest.out, TEXT.slice(5_000));
  assert.equal((await curl('-r', '-10', `${url}/topics/text`)).out, TEXT.slice(-10));
  const parts = await curl('-i', '-r', '0-4,10000-10004', `${url}/topics/text`);
  assert.match(parts.out, /multipart\/byteranges/i);
  assert.match(parts.out, new RegExp(`Content-Range: bytes 10000-10004/${TEXT.length}`));
});

test('curl: by tag and by date, nothing is sent twice', { skip: NO_CURL }, async () => {
  const tags = join(folder, 'tags');
  const status = ['-o', '/dev/null', '-w', '%{http_code}'];
  assert.equal((await curl(...status, '--etag-save', tags, `${url}/topics/text`)).out, '200');
  assert.equal((await curl(...status, '--etag-compare', tags, `${url}/topics/text`)).out, '304');
  const tomorrow = new Date(Date.now() + 86_400_000).toUTCString();
  assert.equal((await curl(...status, '-z', tomorrow, `${url}/topics/text`)).out, '304');
  assert.equal((await curl(...status, '-H', 'If-Match: "other"', `${url}/topics/text`)).out, '412');
});

test('curl and undici: answers in each coding that they take', { skip: NO_CURL }, async () => {
  for (const [coding, decode] of [
    ['gzip', zlib.gunzipSync],
    ['br', zlib.brotliDecompressSync],
    ['zstd', zlib.zstdDecompressSync],
  ] as const) {
    const file = join(folder, coding);
    const { out } = await curl('-H', `Accept-Encoding: ${coding}`, '-D', '-', '-o', file, `${url}/topics/text`);
    assert.match(out, new RegExp(`^Content-Encoding: ${coding}\\r$`, 'im'));
    assert.equal(decode(readFileSync(file)).toString(), TEXT);
  }
  assert.equal((await curl('--compressed', `${url}/topics/text`)).out, TEXT);
  const history = await curl('--compressed', '-i', `${url}/topics/text?after=0`);
  assert.match(history.out, /^Content-Encoding: /im);
  assert.ok(history.out.includes('line 1999'));
  const answer = await fetch(`${url}/topics/text`);
  assert.notEqual(answer.headers.get('content-encoding'), null);
  assert.equal(await answer.text(), TEXT);
});

test('curl: a request’s body in a coding; a bomb is refused', { skip: NO_CURL }, async () => {
  const file = join(folder, 'body.gz');
  const put = (...args: string[]) =>
    curl(
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-X',
      'PUT',
      '--data-binary',
      `@${file}`,
      ...args,
      `${url}/topics/coded`,
    );
  writeFileSync(file, zlib.gzipSync('coded on its way'));
  assert.match((await put('-H', 'Content-Encoding: gzip')).out, /^20\d$/);
  assert.equal((await curl(`${url}/topics/coded`)).out, 'coded on its way');
  writeFileSync(file, zlib.gzipSync(Buffer.alloc(100_000_000)));
  assert.equal((await put('-H', 'Content-Encoding: gzip')).out, '413');
  writeFileSync(file, 'no gzip');
  assert.equal((await put('-H', 'Content-Encoding: gzip')).out, '400');
  assert.equal((await put('-H', 'Content-Encoding: lzma')).out, '415');
  assert.equal((await curl(`${url}/topics/coded`)).out, 'coded on its way');
});

test('users’ routes: echo, forms, cookies, HEAD, and a failure that tells nothing', { skip: NO_CURL }, async () => {
  const echo = await curl('-i', '--data-binary', 'there and back', `${url}/echo`);
  assert.match(echo.out, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(echo.out, /X-Method: POST\r\n/i);
  assert.ok(echo.out.endsWith('there and back'));
  const file = join(folder, 'upload');
  writeFileSync(file, Buffer.alloc(100_000));
  const form = await curl('-F', 'name=Grüße', '-F', `file=@${file}`, `${url}/form`);
  assert.deepEqual(JSON.parse(form.out), { name: 'Grüße', file: 'upload', size: 100_000 });
  const cookies = await curl('-i', `${url}/cookies`);
  assert.equal(cookies.out.match(/^set-cookie: [ab]=\d\r$/gim)?.length, 2);
  assert.match((await curl('-I', `${url}/echo`)).out, /X-Method: HEAD/i);
  const broken = await curl('-i', `${url}/broken`);
  assert.match(broken.out, /^HTTP\/1\.1 500 /);
  assert.doesNotMatch(broken.out, /secret/);
});

test('undici: a body that is echoed while it is sent', async () => {
  const pieces = Array.from({ length: 50 }, (_, index) => Buffer.from(`${index} `.repeat(1_000)));
  const body = new ReadableStream({
    async start(controller) {
      for (const piece of pieces) {
        controller.enqueue(piece);
        await new Promise(setImmediate);
      }
      controller.close();
    },
  });
  const answer = await fetch(`${url}/echo`, { method: 'POST', body, duplex: 'half' });
  assert.ok(Buffer.from(await answer.arrayBuffer()).equals(Buffer.concat(pieces)));
});
