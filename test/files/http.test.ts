// The files over HTTP, beyond verbs: uploads that go on at the file's own path, lengths that are told later, digests, files
// that are coded beforehand, and large ones to clients that read slowly, on a running server.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { request } from 'undici';
import { Portico } from '../../src/portico.ts';
import { until } from '../clients.ts';

const TIMEOUT = { timeout: 60_000 };
const base = mkdtempSync(join(tmpdir(), 'portico-files-http-'));
const shared = join(base, 'data', 'files', 'shared');
let running: Portico;
let url: string;

before(async () => {
  running = await Portico.start({
    data: join(base, 'data'),
    ports: 'ephemeral',
    control: false,
    files: { precompressed: true },
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

const PART = { 'content-type': 'application/partial-upload' };
const sha256 = (bytes: string | Buffer) => `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`;

test(
  'PATCH of the file’s own path: begun, gone on with, complete; a wrong offset says the right one',
  TIMEOUT,
  async () => {
    const patch = (offset: number, complete: boolean, body: string) =>
      ask(
        'PATCH',
        '/files/shared/own',
        { ...PART, 'upload-offset': String(offset), 'upload-complete': complete ? '?1' : '?0' },
        body,
      );
    const begun = await patch(0, false, 'one ');
    assert.deepEqual([begun.status, begun.headers['upload-offset'], begun.headers.location], [204, '4', undefined]);
    assert.ok(!existsSync(join(shared, 'own')));
    const wrong = await patch(9, false, 'x');
    assert.deepEqual([wrong.status, JSON.parse(wrong.text)['expected-offset']], [409, 4]);
    assert.equal((await patch(4, false, 'two ')).status, 204);
    const done = await patch(8, true, 'three');
    assert.deepEqual([done.status, done.headers['upload-complete']], [201, '?1']);
    assert.equal(readFileSync(join(shared, 'own'), 'utf8'), 'one two three');
    const again = await patch(13, true, '!');
    assert.deepEqual(
      [again.status, JSON.parse(again.text)['expected-offset']],
      [409, 0],
      'nothing is pending any more',
    );
    const type = await ask('PATCH', '/files/shared/own', { 'upload-offset': '0', 'upload-complete': '?1' }, 'x');
    assert.deepEqual([type.status, type.headers['accept-patch']], [415, 'application/partial-upload']);
  },
);

test('PATCH goes on with a PUT that broke off', TIMEOUT, async () => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write('PUT /files/shared/broken HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\nhello ');
  const offset = async () => {
    const probe = { ...PART, 'upload-offset': '999', 'upload-complete': '?1' };
    return JSON.parse((await ask('PATCH', '/files/shared/broken', probe, 'x')).text)['expected-offset'] as number;
  };
  while ((await offset()) !== 6);
  socket.destroy();
  // While the server still waits for the rest of that PUT, its bytes are not given away.
  for (;;) {
    const rest = await ask(
      'PATCH',
      '/files/shared/broken',
      { ...PART, 'upload-offset': '6', 'upload-complete': '?1' },
      'world',
    );
    if (rest.status === 201) break;
    assert.equal(rest.status, 412);
  }
  assert.equal(readFileSync(join(shared, 'broken'), 'utf8'), 'hello world');
});

test('tus: a length that is told later, once (tus 1.0.0 §Upload-Defer-Length)', TIMEOUT, async () => {
  const tus = { 'tus-resumable': '1.0.0' };
  const piece = { ...tus, 'content-type': 'application/offset+octet-stream' };
  const named = `filename ${Buffer.from('deferred').toString('base64')}`;
  const create = (fields: Record<string, string>) =>
    ask('POST', '/files/shared/', { ...tus, 'upload-metadata': named, ...fields });
  assert.equal((await create({})).status, 400);
  assert.equal((await create({ 'upload-defer-length': '2' })).status, 400);
  assert.equal((await create({ 'upload-defer-length': '1', 'upload-length': '3' })).status, 400);
  const begun = await create({ 'upload-defer-length': '1' });
  assert.deepEqual([begun.status, begun.headers['upload-defer-length']], [201, '1']);
  const at = begun.headers.location!;
  assert.equal((await ask('PATCH', at, { ...piece, 'upload-offset': '0' }, 'abc')).status, 204);
  const told = await ask('HEAD', at, tus);
  assert.deepEqual(
    [told.headers['upload-offset'], told.headers['upload-defer-length'], told.headers['upload-length']],
    ['3', '1', undefined],
  );
  assert.equal((await ask('PATCH', at, { ...piece, 'upload-offset': '3', 'upload-length': '2' }, 'd')).status, 400);
  assert.equal((await ask('PATCH', at, { ...piece, 'upload-offset': '3', 'upload-length': '6' }, 'd')).status, 204);
  const known = await ask('HEAD', at, tus);
  assert.deepEqual([known.headers['upload-length'], known.headers['upload-defer-length']], ['6', undefined]);
  assert.equal((await ask('PATCH', at, { ...piece, 'upload-offset': '4', 'upload-length': '7' }, 'ef')).status, 400);
  assert.ok(!existsSync(join(shared, 'deferred')));
  assert.equal((await ask('PATCH', at, { ...piece, 'upload-offset': '4' }, 'ef')).status, 204);
  assert.equal(readFileSync(join(shared, 'deferred'), 'utf8'), 'abcdef');
  const options = await ask('OPTIONS', '/files/shared/', {});
  assert.match(options.headers['tus-extension']!, /creation-defer-length/);
});

test('Want-Repr-Digest is answered, of the whole also for a part (RFC 9530 §3, §4)', TIMEOUT, async () => {
  const text = 'digest me '.repeat(500);
  await ask('PUT', '/files/shared/digest.txt', {}, text);
  const plain = await ask('GET', '/files/shared/digest.txt', { 'accept-encoding': 'gzip' });
  assert.equal(plain.headers['repr-digest'], undefined);
  const want = { 'want-repr-digest': 'sha-256=5, md5=10', 'accept-encoding': 'gzip' };
  const whole = await ask('GET', '/files/shared/digest.txt', want);
  assert.deepEqual(
    [whole.headers['repr-digest'], whole.headers['content-encoding'], whole.text],
    [sha256(text), undefined, text],
  );
  const part = await ask('GET', '/files/shared/digest.txt', { ...want, range: 'bytes=0-5' });
  assert.deepEqual([part.status, part.headers['repr-digest'], part.text], [206, sha256(text), 'digest']);
  assert.equal((await ask('HEAD', '/files/shared/digest.txt', want)).headers['repr-digest'], sha256(text));
});

test('what has another digest than it says does not appear (RFC 9530 §2)', TIMEOUT, async () => {
  for (const name of ['repr-digest', 'content-digest']) {
    const bad = await ask('PUT', '/files/shared/checked', { [name]: sha256('other') }, 'this');
    assert.equal(bad.status, 400, name);
    assert.ok(!existsSync(join(shared, 'checked')), name);
    assert.equal((await ask('PUT', '/files/shared/checked', { [name]: 'sha-256=no' }, 'this')).status, 400);
    assert.equal((await ask('PUT', '/files/shared/checked', { [name]: sha256('this') }, 'this')).status, 201);
    assert.equal((await ask('DELETE', '/files/shared/checked')).status, 204);
  }
});

test(
  'a file beside it that is it coded is sent in its place, unless it is older or not asked for',
  TIMEOUT,
  async () => {
    const text = 'as it is '.repeat(300);
    // Otherwise than the server would do it.
    const coded = gzipSync(text, { level: 1 });
    writeFileSync(join(shared, 'page.txt'), text);
    writeFileSync(join(shared, 'page.txt.gz'), coded);
    const gzip = { 'accept-encoding': 'gzip' };
    const sent = await ask('GET', '/files/shared/page.txt', gzip);
    assert.deepEqual([sent.headers['content-encoding'], sent.headers.vary], ['gzip', 'Accept-Encoding']);
    assert.ok(sent.bytes.equals(coded), 'these bytes, and no others');
    assert.equal((await ask('GET', '/files/shared/page.txt')).text, text);
    const link = JSON.parse((await ask('POST', '/files/shared/page.txt?share', {}, '{}')).text).url as string;
    assert.ok(!(await ask('GET', link, gzip)).bytes.equals(coded), 'what is beside it was not shared');
    utimesSync(join(shared, 'page.txt.gz'), 1, 1);
    const older = await ask('GET', '/files/shared/page.txt', gzip);
    assert.ok(!older.bytes.equals(coded));
    assert.equal(gunzipSync(older.bytes).toString(), text);
  },
);

test('a large file to a client that reads slowly, and the answer behind it', TIMEOUT, async () => {
  const bytes = randomBytes(24_000_000);
  writeFileSync(join(shared, 'large'), bytes);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const parts: Buffer[] = [];
  let came = 0;
  socket.on('data', (data: Buffer) => {
    parts.push(data);
    came += data.length;
    // Now and then it does not read for a while.
    if (parts.length % 64 !== 0) return;
    socket.pause();
    setTimeout(() => socket.resume(), 5);
  });
  const end = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const get = (path: string, more = '') => `GET /files/shared/${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
  socket.write(get('large') + get('large', 'Range: bytes=1000-9001000\r\n') + get('own', 'Connection: close\r\n'));
  await end;
  const all = Buffer.concat(parts, came);
  const first = all.indexOf('\r\n\r\n') + 4;
  assert.ok(all.subarray(first, first + bytes.length).equals(bytes));
  const second = all.indexOf('\r\n\r\n', first + bytes.length) + 4;
  assert.match(all.subarray(first + bytes.length, second).toString(), /^HTTP\/1\.1 206 /);
  assert.ok(all.subarray(second, second + 9_000_001).equals(bytes.subarray(1_000, 9_001_001)));
  const last = all.subarray(second + 9_000_001).toString();
  assert.match(last, /^HTTP\/1\.1 200 /);
  assert.ok(last.endsWith('one two three'));
});

test('a file that is sent stays as it was, though another takes its name meanwhile', TIMEOUT, async () => {
  const old = randomBytes(12_000_000);
  writeFileSync(join(shared, 'replaced'), old);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.pause();
  let began = false;
  const parts: Buffer[] = [];
  socket.on('readable', () => {
    began = true;
  });
  const end = new Promise<void>((resolve) => socket.on('end', () => resolve()));
  socket.write('GET /files/shared/replaced HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  await until(() => began, 'the answer');
  assert.equal((await ask('PUT', '/files/shared/replaced', {}, 'new')).status, 204);
  socket.removeAllListeners('readable');
  socket.on('data', (data: Buffer) => void parts.push(data));
  socket.resume();
  await end;
  const all = Buffer.concat(parts);
  assert.ok(all.subarray(all.indexOf('\r\n\r\n') + 4).equals(old));
});

test('files that were sent are closed', { ...TIMEOUT, skip: process.platform !== 'linux' }, async () => {
  for (const [name, size] of [
    ['small', 10],
    ['middle', 300_000],
    ['big', 9_000_000],
  ] as const)
    writeFileSync(join(shared, name), Buffer.alloc(size));
  const openHere = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${shared}/`);
      } catch {
        return false;
      }
    }).length;
  for (let round = 0; round < 5; round++)
    for (const name of ['small', 'middle', 'big', 'page.txt']) {
      await ask('GET', `/files/shared/${name}`, { 'accept-encoding': 'gzip' });
      await ask('HEAD', `/files/shared/${name}`);
      const { headers } = await ask('GET', `/files/shared/${name}`, { range: 'bytes=0-4,6-8' });
      await ask('GET', `/files/shared/${name}`, { 'if-none-match': headers.etag! });
      await ask('GET', `/files/shared/${name}`, { 'want-repr-digest': 'sha-512=1', range: 'bytes=99999999-' });
    }
  await until(() => openHere() === 0, 'closing');
});
