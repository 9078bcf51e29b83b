// The log of accesses, as a process of its own writes it: what it says of a request and of a connection, what it never says,
// and that there is none unless it is asked for. And what else the log says of connections and handlers.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '../clients.ts';
import { type Running, startServer } from '../server-process.ts';

type Line = Readonly<Record<string, string | number | null>>;

const folder = mkdtempSync(join(tmpdir(), 'portico-access-'));
const config = join(folder, 'portico.config.mjs');
// A handler that throws something else each time, and one that answers.
writeFileSync(
  config,
  `let count = 0;
  export default {
    ports: 'ephemeral', storage: 'memory',
    shared: [{ port: 0, protocols: ['http1', 'lines'] }],
    http: { routes: {
      '/throws': () => { throw new Error('for the ' + ++count + ' time'); },
      '/fails/': () => Promise.reject(new TypeError('no ' + ++count)),
      '/fine': async (request) => new Response('got ' + (await request.text()).length),
    } },
  };`,
);
after(() => rmSync(folder, { recursive: true }));

function linesOf({ complaints }: Running, text: string): Line[] {
  return complaints.map((line) => JSON.parse(line) as Line).filter((line) => line.text === text);
}

/** The first line that is like it, once it is there. */
async function line(server: Running, text: string, like: (line: Line) => boolean): Promise<Line> {
  await until(() => linesOf(server, text).some(like), `${text} in ${server.complaints.join('\n')}`);
  return linesOf(server, text).find(like)!;
}

const start = (environment: NodeJS.ProcessEnv) => startServer(['--config', config, '--json'], environment);

/** Sends bytes and resolves with what came once the server has ended it. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (bytes) => (answer += String(bytes)));
    socket.on('end', () => resolve(answer));
    socket.on('error', reject);
  });
}

test('a line a request, with all that it came to and no secret', { timeout: 30_000 }, async () => {
  await using server = await start({ PORTICO_LOG_ACCESS: 'true' });
  const authorization = `Basic ${Buffer.from('ann:hunter2').toString('base64')}`;
  const answer = await fetch(`${server.urls.http}/fine?access_token=s3cr3t#x`, {
    method: 'POST',
    body: 'x'.repeat(1_234),
    headers: { authorization },
  });
  assert.equal(await answer.text(), 'got 1234');
  const { time, level, text, connection, from, host, ms, ...rest } = await line(
    server,
    'request',
    ({ path }) => path === '/fine',
  );
  assert.deepEqual(rest, { account: 'ann', method: 'POST', path: '/fine', status: 200, in: 1_234, out: 8 });
  assert.deepEqual([typeof time, level, text, typeof connection], ['string', 'info', 'request', 'number']);
  assert.match(String(from), /^127\.0\.0\.1:\d+$/);
  assert.equal(host, new URL(server.urls.http!).host);
  assert.ok(Number(ms) > 0 && Number(ms) < 20_000);

  // The absolute form has a name and a query in its target (RFC 9112 §3.2.2).
  const port = server.port('http');
  await raw(
    port,
    `GET http://127.0.0.1:${port}/healthz?key=s3cr3t HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
  );
  assert.equal((await line(server, 'request', ({ path }) => path === '/healthz')).status, 200);
  await raw(port, `HEAD /nothing HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
  const head = await line(server, 'request', ({ method }) => method === 'HEAD');
  assert.deepEqual([head.status, head.out, head.path], [404, 0, '/nothing']);
  const chunked =
    'POST /topics/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n';
  await raw(port, `${chunked}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`);
  const posted = await line(server, 'request', ({ path }) => path === '/topics/a');
  assert.deepEqual([posted.status, posted.in], [201, 5]);
  // One that its client did not wait for.
  const aborter = new AbortController();
  const headers = { accept: 'text/event-stream' };
  const events = await fetch(`${server.urls.http}/topics/%23`, { headers, signal: aborter.signal });
  assert.equal(events.status, 200);
  aborter.abort();
  // It closed its half; that nobody reads is known once there is something to read.
  const gone = () => linesOf(server, 'request').some(({ path }) => path === '/topics/%23');
  for (let count = 0; count < 50 && !gone(); count++) {
    await (await fetch(`${server.urls.http}/topics/a`, { method: 'POST', body: 'x' })).arrayBuffer();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const left = await line(server, 'request', ({ path }) => path === '/topics/%23');
  assert.deepEqual([left.status, left.cause === undefined], [200, false]);
  // An upgrade is a request that is over when the other protocol begins.
  const socket = new WebSocket(`${server.urls.ws}/ws`, 'portico.json');
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', reject);
  });
  socket.close();
  assert.equal((await line(server, 'request', ({ status }) => status === 101)).path, '/ws');
  const all = server.complaints.join('\n');
  for (const secret of ['s3cr3t', 'hunter2', authorization]) assert.ok(!all.includes(secret), secret);
  assert.equal(await server.stop(), 0);
});

test('HTTP/2 has the same lines, and connections theirs', { timeout: 30_000 }, async () => {
  await using server = await start({ PORTICO_LOG_LEVEL: 'debug' });
  const session = http2.connect(server.urls.http!);
  const bodies = await Promise.all(
    ['one', 'three'].map(
      (body) =>
        new Promise<string>((resolve, reject) => {
          const request = session.request({ ':path': '/fine?x', ':method': 'POST' });
          let text = '';
          request.on('data', (bytes) => (text += String(bytes)));
          request.on('end', () => resolve(text));
          request.on('error', reject);
          request.end(body);
        }),
    ),
  );
  assert.deepEqual(bodies, ['got 3', 'got 5']);
  session.close();
  const ended = await line(server, 'connection ended', ({ protocol }) => protocol === 'http2');
  const requests = linesOf(server, 'request').filter(({ path }) => path === '/fine');
  assert.deepEqual(
    requests.map(({ method, status, in: came, out, connection }) => [method, status, came, out, connection]),
    [
      ['POST', 200, 3, 5, ended.connection],
      ['POST', 200, 5, 5, ended.connection],
    ],
  );
  const opened = await line(server, 'connection opened', ({ connection }) => connection === ended.connection);
  assert.deepEqual([opened.carrier, opened.from], ['tcp', ended.from]);
  assert.equal(ended.cause, 'ended');
  assert.ok(Number(ended.in) > 50 && Number(ended.out) > 50);
  // On a shared port it ends as what it turned out to be.
  await raw(server.port('shared'), 'PING\r\nQUIT\r\n');
  const shared = await line(server, 'connection opened', ({ protocol }) => protocol === 'shared');
  const after = await line(server, 'connection ended', ({ connection }) => connection === shared.connection);
  assert.equal(after.protocol, 'lines');
  assert.equal(await server.stop(), 0);
});

test('nothing of it unless it is asked for; what is logged of a connection has its number', {
  timeout: 30_000,
}, async () => {
  await using server = await start({});
  assert.equal((await fetch(`${server.urls.http}/healthz`)).status, 200);
  assert.match(await raw(server.port('http'), 'GET / HTTP/9.9\r\n\r\n'), /^HTTP\/1\.1 505/);
  assert.deepEqual([linesOf(server, 'request'), linesOf(server, 'connection opened')], [[], []]);
  assert.deepEqual([linesOf(server, 'connection ended')], [[]]);
  const faulty = () => server.complaints.find((text) => text.includes('"fault"'));
  await until(() => faulty() !== undefined, 'the fault in the log');
  assert.equal(typeof (JSON.parse(faulty()!) as Line).connection, 'number');
  assert.equal(await server.stop(), 0);
});

test('a handler that throws is counted as a bug, and logged so often and no more', { timeout: 30_000 }, async () => {
  await using server = await start({});
  const bugs = async () => {
    const text = await (await fetch(`${server.urls.http}/metrics`)).text();
    return Number(/^portico_bugs_total (\d+)$/m.exec(text)?.[1]);
  };
  assert.equal(await bugs(), 0);
  for (let count = 0; count < 25; count++) assert.equal((await fetch(`${server.urls.http}/throws?s3cr3t`)).status, 500);
  for (let count = 0; count < 3; count++) assert.equal((await fetch(`${server.urls.http}/fails/${count}`)).status, 500);
  assert.equal(await bugs(), 28);
  const logged = linesOf(server, 'a handler failed');
  assert.deepEqual(
    ['/throws', '/fails/'].map((route) => logged.filter((each) => each.route === route).length),
    [10, 3],
  );
  const { level, connection, method, stack } = logged[0]!;
  assert.deepEqual([level, typeof connection, method], ['error', 'number', 'GET']);
  assert.match(String(stack), /^Error: for the 1 time\n\s+at /);
  assert.equal(await server.stop(), 0);
});
