// HTTP/3 as a program and a person ask for it: the client of `portico/http`, and `portico get --http3`, with a server of ours and with Caddy.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConnectionError, HttpClient } from '../src/exports/http.ts';
import { Portico } from '../src/portico.ts';
import { missing } from './clients.ts';
import { runCommand } from './server-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-h3-'));
const BODY = Buffer.alloc(3_000_000, 'portico over http/3 ');
const PATHS: string[] = [];
mkdirSync(join(folder, 'web'));
writeFileSync(join(folder, 'web', 'large'), BODY);

const portico = await Portico.start({
  data: join(folder, 'data'),
  ports: 'ephemeral',
  hosts: ['127.0.0.1'],
  http: {
    sites: [{ path: '/', folder: join(folder, 'web') }],
    routes: {
      '/echo': async (request: Request) => {
        PATHS.push(new URL(request.url).protocol);
        return new Response(await request.text(), { status: 201 });
      },
    },
  },
});
const authorities = readFileSync(join(folder, 'data', 'certificates', 'root.crt'), 'utf8');
const url = portico.urls.http3!.replace('127.0.0.1', 'localhost');
const clients: HttpClient[] = [];
const children: ChildProcess[] = [];

after(async () => {
  for (const client of clients) client.close();
  for (const child of children) {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  await portico.close();
  rmSync(folder, { recursive: true, force: true });
});

function client(tls: { authorities?: string; verify?: boolean } = { authorities }): HttpClient {
  const made = new HttpClient({ http3: true, tls });
  clients.push(made);
  return made;
}

const at = (path: string, base = url) => new URL(path, base).href;

test('requests over one connection: large answers, bodies, many at once', async () => {
  const own = client();
  const large = await own.fetch(at('/large'));
  assert.equal(large.status, 200);
  assert.ok(Buffer.from(await large.arrayBuffer()).equals(BODY));
  const posted = await own.fetch(at('/echo'), { method: 'POST', body: 'over QUIC' });
  assert.deepEqual([posted.status, await posted.text()], [201, 'over QUIC']);
  const many = await Promise.all(Array.from({ length: 90 }, () => own.fetch(at('/healthz')).then((got) => got.status)));
  assert.ok(many.every((status) => status === 200));
  assert.equal(own.figures.connections, 1);
  assert.deepEqual(PATHS, ['https:']);
});

test('who is not believed, who does not answer, and what is in the clear', async () => {
  await assert.rejects(client({}).fetch(at('/healthz')), (error: unknown) => {
    assert.ok(error instanceof ConnectionError);
    assert.match(error.message, /certificate/);
    return true;
  });
  await assert.rejects(client().fetch(at('/healthz', portico.urls.http)), TypeError);
  const silent = createSocket('udp4');
  await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve));
  const { port } = silent.address();
  silent.close();
  await once(silent, 'close');
  await assert.rejects(client().fetch(`https://127.0.0.1:${port}/`), ConnectionError);
});

test('portico get --http3: the page, its head as JSON, what is not there, and wrong use', async () => {
  const environment = { NODE_EXTRA_CA_CERTS: '' };
  const get = (...args: string[]) =>
    runCommand(['get', '--http3', '--cacert', join(folder, 'data', 'certificates', 'root.crt'), ...args], '', {
      environment,
    });
  const page = await get(at('/large'));
  assert.deepEqual([page.code, page.errors], [0, '']);
  assert.equal(page.output.length, BODY.length);
  const head = await get('--head', '--json', at('/healthz'));
  assert.equal((JSON.parse(head.output) as { status: number }).status, 200);
  assert.equal((await get(at('/nowhere'))).code, 1);
  assert.equal((await get('http://127.0.0.1:1/')).code, 64);
});

/** A server over TCP that says where HTTP/3 is. */
async function announcing(port: number): Promise<{ readonly url: string; readonly asked: string[]; close(): void }> {
  const fixture = (name: string) => readFileSync(join(import.meta.dirname, 'fixtures', name));
  const asked: string[] = [];
  const server = createServer(
    { key: fixture('localhost.key'), cert: fixture('localhost.pem') },
    (request, response) => {
      asked.push(request.url!);
      response.writeHead(200, { 'alt-svc': `h3=":${port}"; ma=60` }).end('over TCP');
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: own } = server.address() as AddressInfo;
  return { url: `https://localhost:${own}`, asked, close: () => server.close() };
}

test('auto: HTTP/3 once it is announced, TCP where it does not stand', async () => {
  const own = new HttpClient({ http3: 'auto', tls: { verify: false } });
  clients.push(own);
  const good = await announcing(Number(new URL(url).port));
  const text = async (at: string) => (await own.fetch(at)).text();
  assert.equal(await text(`${good.url}/healthz`), 'over TCP');
  const other = await own.fetch(`${good.url}/healthz`);
  assert.notEqual(await other.text(), 'over TCP');
  assert.deepEqual(good.asked, ['/healthz']);
  good.close();
  // Nobody is there.
  const probe = createSocket('udp4');
  await new Promise<void>((resolve) => probe.bind(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  const silent = await announcing(port);
  for (let round = 0; round < 4; round++) assert.equal(await text(`${silent.url}/${round}`), 'over TCP');
  assert.equal(silent.asked.length, 4);
  probe.close();
  silent.close();
});

const skip = missing('caddy', 'version');

test('Caddy answers over HTTP/3', { skip }, async () => {
  const fixture = (name: string) => join(import.meta.dirname, 'fixtures', name);
  const probe = createSocket('udp4');
  await new Promise<void>((resolve) => probe.bind(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  const config = join(folder, 'Caddyfile');
  const head = '{\n  admin off\n  auto_https off\n}\n';
  const tls = `tls ${fixture('localhost.pem')} ${fixture('localhost.key')}`;
  const site = `bind 127.0.0.1\n  ${tls}\n  root * ${join(folder, 'web')}\n  file_server`;
  writeFileSync(config, `${head}https://localhost:${port} {\n  ${site}\n}\n`);
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const child = spawn('caddy', ['run', '--config', config, '--adapter', 'caddyfile'], { stdio: 'ignore', env });
  children.push(child);
  const own = client({ verify: false });
  let answer = null as Response | null;
  const end = Date.now() + 60_000;
  while (answer === null) {
    assert.equal(child.exitCode, null, 'caddy ended');
    assert.ok(Date.now() < end, 'caddy does not answer');
    answer = await own.fetch(`https://localhost:${port}/large`).catch(() => null);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { status, headers } = answer;
  assert.equal(status, 200);
  assert.match(headers.get('server') ?? '', /Caddy/);
  assert.ok(Buffer.from(await answer.arrayBuffer()).equals(BODY));
  const many = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const got = await own.fetch(`https://localhost:${port}/large`, { headers: { range: 'bytes=5-9' } });
      return `${got.status} ${await got.text()}`;
    }),
  );
  assert.deepEqual(new Set(many), new Set(['206 co ov']));
});
