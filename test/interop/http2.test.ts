// Real clients of HTTP/2 against a running server, with prior knowledge and over TLS: curl, nghttp, h2load, Python's h2 and
// httpx, node:http2; topics, events and WebSockets over it.
import assert from 'node:assert/strict';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { after, before, test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { missing, run, until } from '../clients.ts';

let portico: Portico;
let url = '';
let session: ClientHttp2Session;

before(async () => {
  portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    http: {
      routes: {
        '/large': () => new Response('x'.repeat(3_000_000)),
        '/echo': async (request) => new Response(await request.text()),
      },
    },
  });
  url = portico.urls.http!;
  session = connect(url);
});
after(async () => {
  session.destroy();
  await portico.close();
});

interface Answer {
  readonly status: number;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly body: string;
}

function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let fields: Record<string, unknown> = {};
    let body = '';
    stream.setEncoding('utf8');
    stream.on('response', (given) => (fields = given as never));
    stream.on('data', (data) => (body += data));
    stream.on('end', () => resolve({ status: Number(fields[':status']), fields, body })).on('error', reject);
  });
}

function ask(head: Record<string, string>, body?: string): Promise<Answer> {
  const stream = session.request({ ':method': 'GET', ...head });
  stream.end(body);
  return answerOf(stream);
}

test('node:http2 publishes, reads, and has what it sent back, many at once', async () => {
  const made = await ask({ ':method': 'PUT', ':path': '/topics/h2/a', 'content-type': 'text/plain' }, '21.5');
  assert.equal(made.status, 201);
  assert.match(String(made.fields.cursor), /^\d+$/);
  const got = await ask({ ':path': '/topics/h2/a' });
  assert.deepEqual([got.status, got.body, got.fields['content-type']], [200, '21.5', 'text/plain']);
  const same = await ask({ ':path': '/topics/h2/a', 'if-none-match': String(got.fields.etag) });
  assert.deepEqual([same.status, same.body], [304, '']);
  const texts = Array.from({ length: 60 }, (_, at) => `${at}`.repeat(20_000));
  const echoed = await Promise.all(texts.map((text) => ask({ ':method': 'POST', ':path': '/echo' }, text)));
  assert.deepEqual(
    echoed.map(({ body }) => body),
    texts,
  );
  const large = await Promise.all([ask({ ':path': '/large' }), ask({ ':path': '/large' })]);
  assert.deepEqual(
    large.map(({ body }) => body.length),
    [3_000_000, 3_000_000],
  );
});

test('events come as they are published, and the stream ends when the client has enough', async () => {
  const stream = session.request({ ':path': '/topics/events/%23', accept: 'text/event-stream' });
  let text = '';
  stream.setEncoding('utf8').on('data', (data) => (text += data));
  await until(() => portico.topics.matching('events/a') === 1, 'the subscribing');
  await ask({ ':method': 'POST', ':path': '/topics/events/a' }, 'one');
  await until(() => /data: one/.test(text), 'the event');
  stream.close(constants.NGHTTP2_CANCEL);
  await until(() => portico.topics.matching('events/a') === 0, 'the end');
});

/** A masked frame of a client. */
function masked(opcode: number, text: string): Buffer {
  const body = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | body.length, 0, 0, 0, 0]), body]);
}

test('a WebSocket on a stream (RFC 8441), beside requests on the same connection', async () => {
  await until(() => session.remoteSettings.enableConnectProtocol === true, 'SETTINGS_ENABLE_CONNECT_PROTOCOL');
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'http',
    ':authority': new URL(url).host,
    ':path': '/topics/h2/socket',
    'sec-websocket-version': '13',
  });
  let got = Buffer.alloc(0);
  stream.on('data', (data: Buffer) => (got = Buffer.concat([got, data])));
  const status = await new Promise((resolve, reject) => {
    stream.on('response', (fields) => resolve(fields[':status'])).on('error', reject);
  });
  assert.equal(status, 200);
  await until(() => portico.topics.matching('h2/socket') === 1, 'the subscribing');
  stream.write(masked(1, 'hello'));
  await until(() => got.toString('latin1').endsWith('\x81\x05hello'), 'the message');
  assert.equal((await ask({ ':path': '/healthz' })).status, 200);
  await ask({ ':method': 'POST', ':path': '/topics/h2/socket' }, 'from a request');
  await until(() => got.includes('from a request'), 'the second message');
  stream.write(masked(8, ''));
  await until(() => got.includes(0x88), 'the close');
  stream.end();
  await new Promise((resolve) => stream.on('close', resolve));
  await until(() => portico.topics.matching('h2/socket') === 0, 'the end');
});

test('extended CONNECT to nothing, and plain CONNECT, are refused in words', async () => {
  const head = { ':method': 'CONNECT', ':scheme': 'http', ':authority': new URL(url).host };
  const wrong = await ask({ ...head, ':protocol': 'websocket', ':path': '/healthz', 'sec-websocket-version': '13' });
  assert.equal(wrong.status, 404);
  const tunnel = session.request({ ':method': 'CONNECT', ':authority': 'a.test:80' });
  tunnel.end();
  assert.equal((await answerOf(tunnel)).status, 501);
});

test('curl with prior knowledge', { skip: missing('curl') }, async () => {
  const curl = (...args: string[]) => run('curl', '-sS', '--http2-prior-knowledge', '--max-time', '10', ...args);
  assert.equal((await curl('-w', '%{http_version}', '-o', '/dev/null', `${url}/healthz`)).out, '2');
  const put = await curl('-X', 'PUT', '-d', 'x', '-o', '/dev/null', '-w', '%{http_code}', `${url}/topics/curl`);
  assert.equal(put.out, '201');
  assert.equal((await curl(`${url}/topics/curl`)).out, 'x');
  assert.equal((await curl('-o', '/dev/null', '-w', '%{size_download}', `${url}/large`)).out, '3000000');
  const both = await run('curl', '-sS', `${url}/topics/curl`);
  assert.equal(both.out, 'x', 'HTTP/1.1 on the same port');
});

test('nghttp and h2load', { skip: missing('nghttp') || missing('h2load') }, async () => {
  const shown = await run('nghttp', '-nv', `${url}/healthz`);
  assert.match(shown.out, /recv \(stream_id=\d+\) :status: 200/);
  const { out } = await run('h2load', '-n', '5000', '-c', '4', '-m', '50', `${url}/healthz`);
  assert.match(out, /5000 succeeded, 0 failed, 0 errored, 0 timeout/);
  const large = await run('h2load', '-n', '60', '-c', '2', '-m', '10', `${url}/large`);
  assert.match(large.out, /60 succeeded, 0 failed, 0 errored, 0 timeout/);
});

const PYTHON = `
import httpx, sys
with httpx.Client(http2=True, http1=False) as client:
    base = sys.argv[1]
    put = client.put(base + '/topics/python', content=b'21.5', headers={'content-type': 'text/plain'})
    got = client.get(base + '/topics/python')
    print(put.status_code, got.status_code, got.text, got.http_version)
    echo = client.post(base + '/echo', content=b'y' * 300000)
    print(echo.status_code, len(echo.content))
`;

test('Python’s httpx, on h2', { skip: missing('/usr/bin/python3', '-c', 'import httpx, h2') }, async () => {
  const { out, error } = await run('/usr/bin/python3', '-c', PYTHON, url);
  assert.equal(out, '201 200 21.5 HTTP/2\n200 300000\n', error);
});

test('a server that stops answers what was asked, and says that it goes', async () => {
  const own = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    http: { routes: { '/slow': () => new Promise((resolve) => setTimeout(() => resolve(new Response('done')), 300)) } },
  });
  const client = connect(own.urls.http!);
  const goaway = new Promise<number>((resolve) => client.on('goaway', resolve));
  const asked = client.request({ ':path': '/slow' });
  asked.end();
  const answer = answerOf(asked);
  await until(() => client.state.effectiveRecvDataLength !== undefined, 'the beginning');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closed = own.close();
  assert.equal(await goaway, 0);
  assert.equal((await answer).body, 'done');
  client.destroy();
  await closed;
});
