// The HTTP client against servers that others wrote, and against one that says what no server should.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createRawServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError, HttpClient } from '../../src/exports/http.ts';
import { missing, Program, until } from '../clients.ts';

const TIMEOUT = { timeout: 30_000 };

/** A server of Node's own until the work is done. */
async function withNode(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
  work: (url: string, server: ReturnType<typeof createServer>) => Promise<void>,
): Promise<void> {
  const server = createServer(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** A server that answers each connection's first bytes with what a test says. */
async function withRaw(answer: (socket: Socket, count: number) => void, work: (url: string) => Promise<void>) {
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createRawServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    const mine = ++count;
    socket.on('data', () => answer(socket, mine));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

function echo(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('x-method', request.method!);
  response.setHeader('x-length', request.headers['content-length'] ?? request.headers['transfer-encoding'] ?? '');
  request.pipe(response);
}

test('node:http: bodies of every kind come back, on one connection', TIMEOUT, async () => {
  let connections = 0;
  await withNode(echo, async (url, server) => {
    server.on('connection', () => connections++);
    using client = new HttpClient();
    const bytes = randomBytes(300_000);
    async function* pieces() {
      for (let at = 0; at < bytes.length; at += 7_000) yield bytes.subarray(at, at + 7_000);
    }
    for (const [body, length] of [
      ['text ä', '7'],
      [bytes, '300000'],
      [pieces(), 'chunked'],
      [ReadableStream.from(pieces()) as ReadableStream<Uint8Array>, 'chunked'],
      [new URLSearchParams({ a: 'b c' }), '5'],
    ] as const) {
      const response = await client.fetch(url, { method: 'PUT', body });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('x-length'), length);
      const back = Buffer.from(await response.arrayBuffer());
      const expected = length === '7' ? Buffer.from('text ä') : length === '5' ? Buffer.from('a=b+c') : bytes;
      assert.ok(back.equals(expected));
    }
    const known = await client.fetch(url, { method: 'POST', body: pieces(), headers: { 'content-length': '300000' } });
    assert.equal(known.headers.get('x-length'), '300000');
    assert.equal((await known.arrayBuffer()).byteLength, 300_000);
    const head = await client.fetch(url, { method: 'HEAD' });
    assert.equal(head.body, null);
    assert.equal(head.headers.get('x-method'), 'HEAD');
    assert.equal(connections, 1);
  });
});

test('node:http: a hundred requests at once share the connections of the pool', TIMEOUT, async () => {
  let connections = 0;
  await withNode(
    (request, response) => void setTimeout(() => response.end(request.url), 5),
    async (url, server) => {
      server.on('connection', () => connections++);
      using client = new HttpClient({ limits: { originConnectionsMax: 4 } });
      const all = Array.from({ length: 100 }, async (_, at) => (await client.fetch(`${url}/${at}`)).text());
      assert.deepEqual(
        await Promise.all(all),
        Array.from({ length: 100 }, (_, at) => `/${at}`),
      );
      assert.equal(connections, 4);
      using narrow = new HttpClient({ limits: { originConnectionsMax: 1, waitingMax: 2 } });
      const asked = await Promise.allSettled([1, 2, 3].map((at) => narrow.fetch(`${url}/${at}`)));
      assert.deepEqual(
        asked.map(({ status }) => status),
        ['fulfilled', 'fulfilled', 'rejected'],
      );
      const reason = (asked[2] as PromiseRejectedResult).reason as Error;
      assert.match(reason.message, /2 requests wait already/);
    },
  );
});

test('node:http: 100-continue, redirects, credentials, trailers, an upload that is refused', TIMEOUT, async () => {
  const seen: string[] = [];
  const handler = (request: IncomingMessage, response: ServerResponse) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization ?? ''}`.trim());
    if (request.url === '/303') response.writeHead(303, { location: '/there' }).end();
    else if (request.url === '/307') response.writeHead(307, { location: '/echo' }).end();
    else if (request.url === '/loop') response.writeHead(302, { location: '/loop' }).end();
    else if (request.url === '/413') response.writeHead(413).end('too much');
    else if (request.url === '/trailers') {
      response.writeHead(200, { trailer: 'x-sum' });
      response.write('body');
      response.addTrailers({ 'x-sum': '1' });
      response.end();
    } else echo(request, response);
  };
  await withNode(handler, async (url, server) => {
    using client = new HttpClient();
    let continued = 0;
    server.on('checkContinue', (request, response) => {
      continued++;
      response.writeContinue();
      echo(request, response);
    });
    const asked = await client.fetch(url, { method: 'PUT', body: 'wait', expectContinue: true });
    assert.equal(await asked.text(), 'wait');
    assert.equal(continued, 1);
    const there = await client.fetch(`${url.replace('//', '//ann:pw@')}/303`, { method: 'POST', body: 'x' });
    assert.equal(there.url, `${url}/there`);
    assert.equal(seen.at(-1), `GET /there Basic ${btoa('ann:pw')}`);
    assert.equal(await (await client.fetch(`${url}/307`, { method: 'PUT', body: 'again' })).text(), 'again');
    assert.equal((await client.fetch(`${url}/303`, { redirect: 'manual' })).status, 303);
    await assert.rejects(client.fetch(`${url}/loop`), /more than 10 times/);
    await assert.rejects(client.fetch(`${url}/303`, { redirect: 'error' }), /redirects to/);
    assert.equal(await (await client.fetch(`${url}/trailers`)).text(), 'body');
    async function* endless() {
      for (;;) yield Buffer.alloc(10_000);
    }
    const refused = await client.fetch(`${url}/413`, { method: 'POST', body: endless() });
    assert.deepEqual([refused.status, await refused.text()], [413, 'too much']);
  });
  assert.equal(
    seen.find((line) => line.startsWith('POST /303')),
    `POST /303 Basic ${btoa('ann:pw')}`,
  );
});

test('node:http: a slow reader holds the server back, and who gives up cuts it off', TIMEOUT, async () => {
  let written = 0;
  let ended = 0;
  const handler = (_request: IncomingMessage, response: ServerResponse) => {
    let closed = false;
    response.on('close', () => {
      closed = true;
      ended++;
    });
    const more = () => {
      while (!closed && response.write(Buffer.alloc(65_536))) written += 65_536;
    };
    response.on('drain', more);
    more();
  };
  await withNode(handler, async (url) => {
    using client = new HttpClient();
    const response = await client.fetch(url);
    const reader = response.body!.getReader();
    await reader.read();
    let before = -1;
    for (let round = 0; before !== written && round < 40; round++) {
      before = written;
      await sleep(200);
    }
    assert.equal(before, written, 'the server goes on writing to one who does not read');
    assert.ok(written < 50_000_000, `${written} bytes are held on the way`);
    await reader.cancel();
    await until(() => ended === 1, 'the end of the connection');
    const abort = new AbortController();
    const asked = await client.fetch(url, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await assert.rejects(asked.arrayBuffer(), /enough/);
    await assert.rejects(client.fetch(url, { signal: AbortSignal.abort(new Error('never')) }), /never/);
    await until(() => client.figures.connections === 0, 'the end of all connections');
  });
});

test('node:https: the certificate is checked, by name and by address', TIMEOUT, async () => {
  const fixture = (name: string) => readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8');
  const certificate = fixture('localhost.pem');
  const server = createSecureServer({ cert: certificate, key: fixture('localhost.key') }, echo).listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  {
    using trusting = new HttpClient({ tls: { authorities: certificate } });
    const response = await trusting.fetch(`https://localhost:${port}`, { method: 'PUT', body: 'secret' });
    assert.equal(await response.text(), 'secret');
    const byAddress = await trusting.fetch(`https://127.0.0.1:${port}`, { method: 'POST', body: 'x' });
    assert.equal(await byAddress.text(), 'x');
    // The certificate is for localhost and 127.0.0.1, and for no other address that leads here.
    await assert.rejects(trusting.fetch(`https://127.0.0.2:${port}`), ConnectionError);
    using client = new HttpClient();
    await assert.rejects(client.fetch(`https://localhost:${port}`), ConnectionError);
  }
  server.closeAllConnections();
  server.close();
});

test(
  'a connection that was closed while idle: what may be sent twice is, once (RFC 9110 §9.2.2)',
  TIMEOUT,
  async () => {
    const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    const asked: number[] = [];
    const answer = (socket: Socket, connection: number) => {
      asked.push(connection);
      // The second request of a connection is met by its end.
      if (asked.filter((one) => one === connection).length === 2) socket.resetAndDestroy();
      else socket.write(whole);
    };
    await withRaw(answer, async (url) => {
      using client = new HttpClient();
      for (let round = 0; round < 3; round++) assert.equal(await (await client.fetch(url)).text(), 'ok');
      assert.deepEqual(asked, [1, 1, 2, 2, 3]);
      await assert.rejects(client.fetch(url, { method: 'POST', body: 'x' }), /the connection is gone/);
    });
  },
);

test('answers that no server should give: each is refused, and its connection not used again', TIMEOUT, async () => {
  const ok = 'HTTP/1.1 200 OK\r\n';
  for (const [answer, fault] of [
    ['SSH-2.0-OpenSSH_9.2\r\n', 'http1.statusLine'],
    ['220 ftp ready\r\n', 'http1.statusLine'],
    [`${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 'http1.bothLengths'],
    [`${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, 'http1-client.lengths'],
    [`${ok}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 'http1.chunkSize'],
    [`${ok}X: ${'y'.repeat(100_000)}\r\n\r\n`, 'http1.headTooLong'],
    ['HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n', 'http1-client.notSwitching'],
  ] as const) {
    await withRaw(
      (socket) => void socket.write(answer),
      async (url) => {
        using client = new HttpClient();
        const failure = await client
          .fetch(url)
          .then((response) => response.text())
          .then(
            () => null,
            (error: ConnectionError) => error,
          );
        assert.equal(failure?.fault, fault, answer.slice(0, 60));
        await until(() => client.figures.connections === 0, 'the end of the connection');
      },
    );
  }
});

test('nobody there, no such name, no URL', TIMEOUT, async () => {
  using client = new HttpClient();
  await assert.rejects(client.fetch('http://127.0.0.1:1/'), /127\.0\.0\.1:1: .*ECONNREFUSED/);
  await assert.rejects(client.fetch('http://nobody.invalid/'), ConnectionError);
  await assert.rejects(client.fetch('gopher://127.0.0.1/'), TypeError);
  await assert.rejects(client.fetch('http://127.0.0.1:1/', { method: 'a b' }), TypeError);
});

test("python's http.server: files, and HTTP/1.0 that ends with the connection", {
  ...TIMEOUT,
  skip: missing('python3'),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-python-'));
  const bytes = randomBytes(200_000);
  writeFileSync(join(folder, 'file.bin'), bytes);
  const script =
    'import http.server, functools, sys\n' +
    'h = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])\n' +
    's = http.server.ThreadingHTTPServer(("127.0.0.1", 0), h)\n' +
    'print(s.server_port, flush=True)\ns.serve_forever()';
  const python = new Program('python3', ['-c', script, folder]);
  try {
    await until(() => python.out.includes('\n'), 'python’s port');
    const url = `http://127.0.0.1:${python.out.trim()}`;
    using client = new HttpClient();
    for (let round = 0; round < 3; round++) {
      const response = await client.fetch(`${url}/file.bin`);
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(bytes));
    }
    assert.equal((await client.fetch(`${url}/none`)).status, 404);
    const head = await client.fetch(`${url}/file.bin`, { method: 'HEAD' });
    assert.equal(head.headers.get('content-length'), '200000');
    assert.equal((await client.fetch(url, { method: 'POST', body: 'x' })).status, 501);
  } finally {
    python.kill();
    await python.done;
    rmSync(folder, { recursive: true });
  }
});

const NGINX = (folder: string, port: number) => `
daemon off; master_process off; worker_processes 1;
pid ${folder}/pid; error_log stderr;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
  uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
  keepalive_requests 3;
  server {
    listen 127.0.0.1:${port};
    root ${folder}/www;
    location /gone { return 204; }
    location /moved { return 302 /file.bin; }
    location /small { client_max_body_size 10; proxy_pass http://127.0.0.1:1; }
  }
}`;

test('nginx: keep-alive that it ends after three requests, ranges, 204, redirects, refusals', {
  ...TIMEOUT,
  skip: missing('nginx', '-v'),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-nginx-'));
  mkdirSync(join(folder, 'www'));
  const bytes = randomBytes(1_000_000);
  writeFileSync(join(folder, 'www/file.bin'), bytes);
  const free = createRawServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as AddressInfo;
  free.close();
  writeFileSync(join(folder, 'nginx.conf'), NGINX(folder, port));
  const nginx = new Program('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']);
  const url = `http://127.0.0.1:${port}`;
  try {
    using client = new HttpClient();
    for (let round = 0; ; round++) {
      const up = await client.fetch(`${url}/gone`).then(
        () => true,
        () => false,
      );
      if (up) break;
      assert.ok(round < 200, nginx.error);
      await sleep(20);
    }
    const sum = createHash('sha256').update(bytes).digest('hex');
    const all = Array.from({ length: 20 }, async () => {
      const response = await client.fetch(`${url}/file.bin`);
      return createHash('sha256')
        .update(Buffer.from(await response.arrayBuffer()))
        .digest('hex');
    });
    for (const one of await Promise.all(all)) assert.equal(one, sum);
    const range = await client.fetch(`${url}/file.bin`, { headers: { range: 'bytes=10-19' } });
    assert.equal(range.status, 206);
    assert.ok(Buffer.from(await range.arrayBuffer()).equals(bytes.subarray(10, 20)));
    const gone = await client.fetch(`${url}/gone`);
    assert.deepEqual([gone.status, gone.body], [204, null]);
    assert.equal((await (await client.fetch(`${url}/moved`)).arrayBuffer()).byteLength, 1_000_000);
    const refused = await client.fetch(`${url}/small`, { method: 'POST', body: Buffer.alloc(5_000_000) });
    assert.equal(refused.status, 413);
    assert.equal((await client.fetch(`${url}/gone`, { method: 'BREW' })).status < 600, true);
  } finally {
    nginx.kill();
    await nginx.done;
    rmSync(folder, { recursive: true });
  }
});
