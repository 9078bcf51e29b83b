// Real HTTP clients against a running server: curl, wrk, undici and Python's http.client; and one port for HTTP, MQTT and
// lines.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Agent, request } from 'undici';
import { Portico } from '../../src/portico.ts';
import { missing, Program, run, until } from '../clients.ts';

let portico: Portico;
let url = '';
let ports = { http: '', mqtt: '', lines: '', shared: '' };

before(async () => {
  portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    shared: [{ port: 0, protocols: ['http1', 'mqtt', 'lines'] }],
  });
  url = portico.urls.http!;
  const of = (name: string) => new URL(portico.urls[name]!.replace(/^\w+:/, 'http:')).port;
  ports = { http: of('http'), mqtt: of('mqtt'), lines: of('lines'), shared: of('shared') };
});
after(() => portico.close());

const curl = (...args: string[]) => run('curl', '-sS', '--max-time', '10', ...args);

test('curl publishes, and mosquitto_sub and nc hear', {
  skip: missing('curl') || missing('mosquitto_sub', '--help'),
}, async () => {
  const mqtt = new Program('mosquitto_sub', ['-p', ports.mqtt, '-t', 'from/#', '-v', '-C', '2']);
  const lines = new Program('nc', ['127.0.0.1', ports.lines], undefined);
  const nc = new Program('sh', ['-c', `(echo 'SUB from/#'; sleep 3) | nc 127.0.0.1 ${ports.lines}`]);
  lines.kill();
  await until(() => portico.topics.matching('from/curl') === 2, 'the subscribing');
  const { out } = await curl('-i', `${url}/topics/from/curl`, '-d', '21.5');
  assert.match(out, /^HTTP\/1\.1 201 Created\r\n/);
  assert.match(out, /^Cursor: \d+\r$/m);
  assert.match((await curl('-i', '-X', 'PUT', `${url}/topics/from/curl`, '-d', '22')).out, /^HTTP\/1\.1 20[01] /);
  assert.equal((await mqtt.done).out, 'from/curl 21.5\nfrom/curl 22\n');
  await until(() => nc.out.includes('22'), 'nc hearing');
  assert.match(nc.out, /from\/curl 21\.5/);
  nc.kill();
  await lines.done;
});

test('mosquitto_pub and nc publish, and curl reads', {
  skip: missing('curl') || missing('mosquitto_pub', '--help'),
}, async () => {
  await run('mosquitto_pub', '-p', ports.mqtt, '-t', 'to/curl', '-m', 'by mqtt', '-r', '-q', '1');
  assert.equal((await curl(`${url}/topics/to/curl`)).out, 'by mqtt');
  const waiting = new Program('curl', [
    '-sS',
    '--max-time',
    '10',
    `${url}/topics/to/%23?after=${await cursor('to/curl')}&wait=5`,
  ]);
  await run('sh', '-c', `printf 'PUB! to/curl by nc\\n' | nc -q1 127.0.0.1 ${ports.lines}`);
  assert.equal((JSON.parse((await waiting.done).out) as { payload: string }).payload, 'by nc');
});

async function cursor(topic: string): Promise<string> {
  return (await request(`${url}/topics/${topic}`)).headers.cursor as string;
}

test('curl: HEAD, conditions, an upload in chunks, 100-continue, HTTP/1.0, several requests on one connection', {
  skip: missing('curl'),
}, async () => {
  await curl('-X', 'PUT', `${url}/topics/c/a`, '-H', 'Content-Type: text/csv', '-d', '1,2');
  const { out } = await curl('-I', `${url}/topics/c/a`);
  assert.match(out, /\r\nContent-Type: text\/csv\r\n/);
  assert.match(out, /\r\nContent-Length: 3\r\n/);
  const tag = /ETag: (\S+)/.exec(out)![1]!;
  const [status, reused] = ['%{http_code}', '%{num_connects}'];
  const again = await curl('-o', '/dev/null', '-w', status, '-H', `If-None-Match: ${tag}`, `${url}/topics/c/a`);
  assert.equal(again.out, '304');
  const large = 'x'.repeat(900_000);
  const upload = new Program(
    'curl',
    [
      '-sS',
      '-X',
      'PUT',
      '-H',
      'Transfer-Encoding: chunked',
      '-H',
      'Expect: 100-continue',
      '-w',
      status,
      '--data-binary',
      '@-',
      `${url}/topics/c/b`,
    ],
    large,
  );
  assert.equal((await upload.done).out, '201');
  assert.equal((await curl(`${url}/topics/c/b`)).out, large);
  assert.equal((await curl('-0', `${url}/topics/c/a`)).out, '1,2');
  const both = await curl('-o', '/dev/null', '-o', '/dev/null', '-w', reused, `${url}/healthz`, `${url}/topics/c/a`);
  assert.equal(both.out, '10');
});

test('undici: pipelining, keep-alive, streams', async () => {
  const dispatcher = new Agent({ connections: 1, pipelining: 20 });
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const { statusCode, body } = await request(`${url}/topics/u/${index % 7}`, {
        method: 'PUT',
        body: `${index}`,
        dispatcher,
      });
      await body.dump();
      return statusCode;
    }),
  );
  assert.ok(
    answers.every((status) => status === 201 || status === 200 || status === 204),
    `${answers}`,
  );
  const { body } = await request(`${url}/topics?filter=u/%23`, { dispatcher });
  assert.equal((await body.text()).trim().split('\n').length, 7);
  await dispatcher.close();
});

test('Python’s http.client: requests on one connection, a body that is iterated, trailers let pass', {
  skip: missing('python3'),
}, async () => {
  const script = `
import http.client
c = http.client.HTTPConnection('127.0.0.1', ${ports.http}, timeout=10)
for i in range(3):
    c.request('POST', '/topics/py/a', body='%d' % i, headers={'Content-Type': 'text/plain'})
    r = c.getresponse(); r.read(); print(r.status, r.getheader('Cursor') is not None)
c.request('PUT', '/topics/py/a', body=iter([b'one', b'two']), encode_chunked=True, headers={'Transfer-Encoding': 'chunked'})
r = c.getresponse(); r.read(); print(r.status)
c.request('GET', '/topics/py/a'); r = c.getresponse(); print(r.status, r.read().decode())
c.request('GET', '/nothing'); r = c.getresponse(); print(r.status, r.getheader('Content-Type'), len(r.read()) > 0)
`;
  const { out, error } = await run('python3', '-c', script);
  assert.equal(error, '');
  assert.equal(out, '201 True\n201 True\n201 True\n201\n200 onetwo\n404 application/problem+json True\n');
});

test('wrk: no error under load', { skip: missing('wrk', '-v'), timeout: 20_000 }, async () => {
  await curl('-X', 'PUT', `${url}/topics/w/a`, '-d', 'x');
  const { out } = await run('wrk', '-t1', '-c50', '-d1s', `${url}/topics/w/a`);
  assert.match(out, /\d+ requests in/);
  assert.doesNotMatch(out, /Socket errors|Non-2xx/);
});

test('one port serves HTTP, MQTT and lines by their first bytes', {
  skip: missing('curl') || missing('mosquitto_sub', '--help'),
}, async () => {
  const heard = new Program('mosquitto_sub', ['-p', ports.shared, '-t', 'one/port', '-C', '2']);
  await until(() => portico.topics.matching('one/port') === 1, 'the subscribing');
  await curl('-X', 'PUT', `http://127.0.0.1:${ports.shared}/topics/one/port`, '-d', 'http');
  const lines = await run(
    'sh',
    '-c',
    `printf 'PUT one/port lines\\nLAST one/port\\n' | nc -q1 127.0.0.1 ${ports.shared}`,
  );
  assert.match(lines.out, /lines/);
  assert.equal((await heard.done).out, 'http\nlines\n');
});
