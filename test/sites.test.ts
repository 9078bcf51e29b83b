// Sites over real sockets: a folder on the disk, redirects, and upstreams made with node:http.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import { request } from 'undici';
import { WebSocket, WebSocketServer } from 'ws';
import { Portico, type PorticoConfig } from '../src/portico.ts';

const TIMEOUT = { timeout: 30_000 };
const LARGE = Buffer.alloc(3_000_000, 'portico ');
let folder: string;
let base: string;

before(() => {
  base = mkdtempSync(join(tmpdir(), 'portico-sites-'));
  folder = join(base, 'public');
  mkdirSync(join(folder, 'docs', 'a b'), { recursive: true });
  mkdirSync(join(folder, 'empty'));
  writeFileSync(join(base, 'secret.txt'), 'secret');
  writeFileSync(join(folder, 'index.html'), '<h1>home</h1>');
  writeFileSync(join(folder, 'docs', 'index.html'), '<h1>docs</h1>');
  writeFileSync(join(folder, 'docs', 'a b', '☃.txt'), 'snow');
  writeFileSync(join(folder, 'app.js'), 'let a = 1;\n'.repeat(1_000));
  writeFileSync(join(folder, 'app.js.br'), brotliCompressSync(Buffer.from('let a = 1;\n'.repeat(1_000))));
  writeFileSync(join(folder, 'large.bin'), LARGE);
  writeFileSync(join(folder, '.env'), 'SECRET=1');
  symlinkSync(join(base, 'secret.txt'), join(folder, 'out.txt'));
  symlinkSync(join(folder, 'app.js'), join(folder, 'in.js'));
});

after(() => rmSync(base, { recursive: true }));

async function portico(sites: NonNullable<PorticoConfig['http']>['sites'], more: Partial<PorticoConfig> = {}) {
  const running = await Portico.start({
    storage: 'memory',
    ports: 'ephemeral',
    control: false,
    http: { sites },
    ...more,
  } as PorticoConfig);
  const url = running.urls.http!;
  return { running, url, [Symbol.asyncDispose]: () => running.close() };
}

async function upstream(
  listener: RequestListener,
): Promise<{ url: string; server: Server; [Symbol.asyncDispose](): Promise<void> }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${port}`, server, [Symbol.asyncDispose]: close };
}

const OUTBOUND = { outbound: { allow: ['127.0.0.1'] } };

test(
  'a folder: types, conditions, ranges, precompressed files, index, folders without their slash',
  TIMEOUT,
  async () => {
    await using site = await portico([{ path: '/', folder }]);
    const home = await request(`${site.url}/`);
    assert.equal(home.statusCode, 200);
    assert.equal(home.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(await home.body.text(), '<h1>home</h1>');
    const again = await request(`${site.url}/`, { headers: { 'if-none-match': String(home.headers.etag) } });
    assert.equal(again.statusCode, 304);
    const snow = await request(`${site.url}/docs/a%20b/%E2%98%83.txt`);
    assert.equal(await snow.body.text(), 'snow');
    const script = await request(`${site.url}/app.js`, { headers: { 'accept-encoding': 'gzip, br' } });
    assert.equal(script.headers['content-encoding'], 'br');
    assert.match(String(script.headers.vary), /accept-encoding/i);
    const coded = Buffer.from(await script.body.arrayBuffer());
    assert.equal(brotliDecompressSync(coded).toString(), 'let a = 1;\n'.repeat(1_000));
    const large = await request(`${site.url}/large.bin`);
    assert.ok(Buffer.from(await large.body.arrayBuffer()).equals(LARGE));
    const part = await request(`${site.url}/large.bin`, { headers: { range: 'bytes=2999992-' } });
    assert.equal(part.statusCode, 206);
    assert.equal(await part.body.text(), 'portico ');
    const docs = await request(`${site.url}/docs?x=1`);
    assert.equal(docs.statusCode, 301);
    assert.equal(docs.headers.location, '/docs/?x=1');
    const head = await request(`${site.url}/large.bin`, { method: 'HEAD' });
    assert.equal(head.headers['content-length'], String(LARGE.length));
    assert.equal((await request(`${site.url}/`, { method: 'DELETE' })).statusCode, 405);
  },
);

test('a precompressed file that is older than its original is not sent', TIMEOUT, async () => {
  await using site = await portico([{ path: '/', folder }]);
  utimesSync(join(folder, 'app.js.br'), new Date(0), new Date(0));
  const script = await request(`${site.url}/app.js`, { headers: { 'accept-encoding': 'br' } });
  const coded = Buffer.from(await script.body.arrayBuffer());
  assert.equal(brotliDecompressSync(coded).toString(), 'let a = 1;\n'.repeat(1_000));
  const now = new Date();
  utimesSync(join(folder, 'app.js.br'), now, now);
});

test('nothing outside the folder, hidden or listed is given away', TIMEOUT, async () => {
  await using site = await portico([{ path: '/', folder }]);
  const raw = (path: string) =>
    new Promise<string>((resolve, reject) => {
      const { hostname, port } = new URL(site.url);
      const socket = connect(Number(port), hostname, () => {
        socket.end(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      });
      let got = '';
      socket.on('data', (chunk) => (got += chunk));
      socket.on('end', () => resolve(got));
      socket.on('error', reject);
    });
  const hostile = [
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/docs/..%2f..%2fsecret.txt',
    '/..\\secret.txt',
    '/out.txt',
    '/.env',
  ];
  for (const path of [...hostile, '/%2eenv', '//etc/passwd', '/docs//index.html', '/empty/', '/app.js/', '/a%00b']) {
    const answer = await raw(path);
    assert.match(answer, /^HTTP\/1\.1 4\d\d /, path);
    assert.doesNotMatch(answer, /\r\nsecret|SECRET|root:/, path);
  }
  assert.match(await raw('/in.js'), /^HTTP\/1\.1 200 /);
});

test('what changes on the disk is seen', TIMEOUT, async () => {
  await using site = await portico([{ path: '/', folder }]);
  const file = join(folder, 'changing.txt');
  writeFileSync(file, 'before');
  const first = await request(`${site.url}/changing.txt`);
  assert.equal(await first.body.text(), 'before');
  writeFileSync(file, 'after, and longer');
  const deadline = Date.now() + 10_000;
  for (;;) {
    const next = await request(`${site.url}/changing.txt`);
    const text = await next.body.text();
    if (text === 'after, and longer') {
      assert.notEqual(next.headers.etag, first.headers.etag);
      break;
    }
    assert.equal(text, 'before');
    assert.ok(Date.now() < deadline);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  rmSync(file);
  while ((await request(`${site.url}/changing.txt`)).statusCode !== 404) assert.ok(Date.now() < deadline);
});

test('listings, the page of an application, sites by name, redirects', TIMEOUT, async () => {
  await using site = await portico([
    { path: '/list/', folder, listing: true, index: [] },
    { path: '/', folder, fallback: 'index.html' },
    { path: '/', folder: join(folder, 'docs'), hosts: ['docs.example', '*.docs.example'] },
    { path: '/old/', redirect: 'https://new.example/' },
    { path: '/gone', redirect: '/docs/', status: 302 },
  ]);
  const page = await request(`${site.url}/list/docs/`);
  assert.match(await page.body.text(), /href="\.\/a%20b\/"/);
  const json = await request(`${site.url}/list/`, { headers: { accept: 'application/json' } });
  const listed = (await json.body.json()) as { entries: { name: string }[] };
  assert.deepEqual(
    listed.entries.map(({ name }) => name),
    ['docs', 'empty', 'app.js', 'app.js.br', 'index.html', 'large.bin'],
  );
  assert.equal((await request(`${site.url}/list`)).headers.location, '/list/');
  const route = await request(`${site.url}/some/route`, { headers: { accept: 'text/html' } });
  assert.equal(await route.body.text(), '<h1>home</h1>');
  assert.equal((await request(`${site.url}/some.png`, { headers: { accept: 'image/png' } })).statusCode, 404);
  for (const host of ['docs.example', 'DOCS.example:8080', 'x.docs.example'])
    assert.equal(await (await request(`${site.url}/`, { headers: { host } })).body.text(), '<h1>docs</h1>', host);
  assert.equal((await request(`${site.url}/old/a/b?c`)).headers.location, 'https://new.example/a/b?c');
  assert.equal((await request(`${site.url}/old//evil.example`)).headers.location, 'https://new.example/evil.example');
  const gone = await request(`${site.url}/gone`);
  assert.deepEqual([gone.statusCode, gone.headers.location], [302, '/docs/']);
});

for (const native of ['auto', 'off'] as const)
  test(`files reach clients that read slowly, pipeline or leave, native ${native}`, TIMEOUT, async () => {
    const bytes = Buffer.alloc(900_000);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(at, at);
    writeFileSync(join(folder, 'numbered.bin'), bytes);
    await using site = await portico([{ path: '/', folder }], { native });
    const { hostname, port } = new URL(site.url);
    const ask = 'GET /numbered.bin HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const gone = connect(Number(port), hostname, () => {
      gone.write(ask);
      gone.once('data', () => gone.resetAndDestroy());
    });
    const socket = connect(Number(port), hostname);
    socket.write(ask.repeat(20));
    const chunks: Buffer[] = [];
    let length = 0;
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      socket.pause();
      setTimeout(() => socket.resume(), 1);
    });
    const deadline = Date.now() + 20_000;
    while (length < 20 * bytes.length) {
      assert.ok(Date.now() < deadline, `${length} bytes came`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    let all = Buffer.concat(chunks);
    for (let answer = 0; answer < 20; answer++) {
      const head = all.indexOf('\r\n\r\n') + 4;
      assert.match(all.toString('latin1', 0, head), /^HTTP\/1\.1 200 /);
      assert.ok(all.subarray(head, head + bytes.length).equals(bytes), `answer ${answer}`);
      all = all.subarray(head + bytes.length);
    }
    assert.equal(all.length, 0);
    socket.destroy();
    rmSync(join(folder, 'numbered.bin'));
  });

test('a proxy passes bodies, fields, trailers and statuses, and says who asked', TIMEOUT, async () => {
  await using behind = await upstream((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      outgoing.setHeader('x-seen', JSON.stringify(incoming.headers));
      outgoing.setHeader('x-path', incoming.url!);
      outgoing.setHeader('connection', 'x-hop');
      outgoing.setHeader('x-hop', 'must not pass');
      outgoing.writeHead(incoming.url === '/teapot' ? 418 : 200);
      outgoing.end(Buffer.concat(chunks));
    });
  });
  await using site = await portico(
    [
      { path: '/api/', upstreams: [behind.url], strip: true },
      { path: '/whole/', upstreams: [`${behind.url}/base/`], host: 'upstream' },
    ],
    OUTBOUND,
  );
  const answer = await request(`${site.url}/api/echo?x=1`, {
    method: 'POST',
    body: LARGE,
    headers: { 'x-forwarded-proto': 'https', 'x-own': 'yes' },
  });
  // What comes through a proxy is a stranger's while there are no accounts; sites that are for anyone answer all the same.
  assert.equal(answer.statusCode, 200);
  assert.ok(Buffer.from(await answer.body.arrayBuffer()).equals(LARGE));
  assert.equal(answer.headers['x-path'], '/echo?x=1');
  assert.equal(answer.headers['x-hop'], undefined);
  const seen = JSON.parse(String(answer.headers['x-seen'])) as Record<string, string>;
  assert.equal(seen['x-own'], 'yes');
  assert.equal(seen['x-forwarded-for'], '127.0.0.1');
  assert.equal(seen['x-forwarded-proto'], 'http');
  assert.equal(seen.host, new URL(site.url).host);
  assert.match(seen.via!, /^1\.1 portico-/);
  assert.equal(seen['content-length'], String(LARGE.length));
  const whole = await request(`${site.url}/whole/x`);
  assert.equal(whole.headers['x-path'], '/base/whole/x');
  assert.equal((JSON.parse(String(whole.headers['x-seen'])) as { host: string }).host, new URL(behind.url).host);
  assert.equal((await request(`${site.url}/api/teapot`)).statusCode, 418);
});

test('a proxy streams both ways: a chunk each way before either end', TIMEOUT, async () => {
  await using behind = await upstream((incoming, outgoing) => {
    outgoing.writeHead(200, { trailer: 'x-count' });
    let count = 0;
    incoming.on('data', (chunk: Buffer) => {
      count += chunk.length;
      outgoing.write(chunk);
    });
    incoming.on('end', () => {
      outgoing.addTrailers({ 'x-count': String(count) });
      outgoing.end();
    });
  });
  await using site = await portico([{ path: '/', upstreams: [behind.url] }], OUTBOUND);
  const { hostname, port } = new URL(site.url);
  const socket = connect(Number(port), hostname);
  let got = '';
  socket.on('data', (chunk) => (got += chunk));
  socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n3\r\none\r\n');
  const until = async (what: RegExp) => {
    const deadline = Date.now() + 5_000;
    while (!what.test(got)) {
      assert.ok(Date.now() < deadline, got);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await until(/one/);
  socket.write('3\r\ntwo\r\n');
  await until(/two/);
  socket.write('0\r\n\r\n');
  await until(/x-count: 6\r\n\r\n$/i);
  socket.destroy();
});

test('upstreams: in turn, past one that is down, by their health; 502, 503, 504 and 508', TIMEOUT, async () => {
  let well = true;
  const named = (name: string) =>
    upstream((incoming, outgoing) => {
      if (incoming.url === '/health') outgoing.writeHead(well ? 200 : 500).end();
      else if (incoming.url === '/silent') return;
      else if (incoming.url === '/broken') incoming.socket.destroy();
      else outgoing.end(name);
    });
  await using a = await named('a');
  await using b = await named('b');
  const down = await named('down');
  await down[Symbol.asyncDispose]();
  await using site = await portico(
    [
      { path: '/two/', upstreams: [a.url, b.url, down.url], strip: true, silenceMs: 300 },
      { path: '/down', upstreams: [down.url] },
      { path: '/health/', upstreams: [a.url], strip: true, health: { path: '/health', everyMs: 100 } },
    ],
    OUTBOUND,
  );
  const seen = new Set<string>();
  for (let step = 0; step < 9; step++) {
    const answer = await request(`${site.url}/two/`);
    assert.equal(answer.statusCode, 200);
    seen.add(await answer.body.text());
  }
  assert.deepEqual([...seen].sort(), ['a', 'b']);
  assert.equal((await request(`${site.url}/down`)).statusCode, 502);
  assert.equal((await request(`${site.url}/two/silent`)).statusCode, 504);
  const broken = await request(`${site.url}/two/broken`, { method: 'POST', body: 'x' });
  assert.equal(broken.statusCode, 502);
  assert.equal(await (await request(`${site.url}/health/`)).body.text(), 'a');
  well = false;
  const deadline = Date.now() + 10_000;
  let status = 200;
  let retry: unknown;
  while (status !== 503) {
    assert.ok(Date.now() < deadline);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const answer = await request(`${site.url}/health/`);
    status = answer.statusCode;
    retry = answer.headers['retry-after'];
    await answer.body.dump();
  }
  assert.match(String(retry), /^\d+$/);
  well = true;
  while ((await request(`${site.url}/health/`)).statusCode !== 200) {
    assert.ok(Date.now() < deadline);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

test('a site that leads back to itself ends with 508', TIMEOUT, async () => {
  const taken = await upstream(() => {});
  await taken[Symbol.asyncDispose]();
  const { port } = new URL(taken.url);
  await using site = await portico([{ path: '/', upstreams: [taken.url] }], {
    ...OUTBOUND,
    protocols: { http1: { port: Number(port) } },
  });
  assert.equal((await request(`${site.url}/x`)).statusCode, 508);
});

test('WebSockets pass through a proxy', TIMEOUT, async () => {
  await using behind = await upstream((_incoming, outgoing) => void outgoing.end());
  const sockets = new WebSocketServer({ server: behind.server });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${String(data)}`)));
  await using site = await portico([{ path: '/ws/', upstreams: [behind.url] }], OUTBOUND);
  const socket = new WebSocket(`${site.url.replace('http', 'ws')}/ws/chat`);
  await new Promise((resolve, reject) => {
    socket.on('open', resolve);
    socket.on('error', reject);
  });
  socket.send('hello');
  const said = await new Promise((resolve) => socket.on('message', (data) => resolve(String(data))));
  assert.equal(said, 'echo hello');
  socket.close();
  await new Promise((resolve) => socket.on('close', resolve));
});

test('a client that leaves ends what it asked of the upstream', TIMEOUT, async () => {
  let closed: (() => void) | null = null;
  const ended = new Promise<void>((resolve) => {
    closed = resolve;
  });
  await using behind = await upstream((_incoming, outgoing) => {
    outgoing.writeHead(200);
    // Who has sent all of a request may still read: that nobody does shows when something is sent.
    const more = setInterval(() => outgoing.write('more'), 20);
    outgoing.on('close', () => {
      clearInterval(more);
      closed!();
    });
  });
  await using site = await portico([{ path: '/', upstreams: [behind.url] }], OUTBOUND);
  const answer = await request(`${site.url}/`);
  answer.body.destroy();
  answer.body.on('error', () => {});
  await ended;
});
