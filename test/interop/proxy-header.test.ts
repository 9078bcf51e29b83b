// Real senders of the PROXY protocol: HAProxy with both versions, its checks of health and TLS that ends at it; curl.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect as dial, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as dialTls } from 'node:tls';
import { Portico } from '../../src/portico.ts';
import { missing, Program, run, until } from '../clients.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-proxies-'));
const path = join(folder, 'mqtt.sock');
const noHaproxy = missing('haproxy', '-v');
let portico: Portico;
let http = 0;
let haproxy: Program | null = null;
let bound: number[] = [];

/** One that nobody listens on now. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

before(async () => {
  portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    protocols: {
      http1: { proxyProtocol: ['127.0.0.1'] },
      mqtt: { path, proxyProtocol: ['unix'] },
    },
  });
  http = Number(new URL(portico.urls.http!).port);
  if (noHaproxy !== false) return;
  const key = join(folder, 'key.pem');
  const certificate = join(folder, 'certificate.pem');
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key];
  await run('openssl', 'req', '-x509', ...newKey, '-out', certificate, '-days', '2', ...subject);
  writeFileSync(join(folder, 'both.pem'), readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'));
  bound = [await freePort(), await freePort(), await freePort(), await freePort()];
  const options = 'send-proxy-v2-ssl proxy-v2-options ssl,ssl-cipher,authority,crc32c,unique-id';
  const listens = [
    ['one', '', `127.0.0.1:${http} send-proxy`],
    ['two', '', `127.0.0.1:${http} send-proxy-v2`],
    ['tls', `ssl crt ${join(folder, 'both.pem')} alpn http/1.1`, `127.0.0.1:${http} ${options}`],
    ['unix', '', `unix@${path} send-proxy-v2`],
  ].map(([name, bind, server], at) =>
    [
      `listen ${name}`,
      `  bind 127.0.0.1:${bound[at]} ${bind}`,
      '  unique-id-format %[uuid()]',
      ...(name === 'two' ? ['  option httpchk GET /healthz', '  http-check expect status 200'] : []),
      `  server portico ${server} ${name === 'two' ? 'check check-send-proxy inter 50 fall 1 rise 1' : ''}`,
    ].join('\n'),
  );
  const timeouts = 'defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s';
  writeFileSync(join(folder, 'haproxy.cfg'), `${[timeouts, ...listens].join('\n')}\n`);
  haproxy = new Program('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]);
  for (const port of bound) await reached(port);
});
after(async () => {
  haproxy?.kill();
  await haproxy?.done;
  await portico.close();
  rmSync(folder, { recursive: true, force: true });
});

async function reached(port: number): Promise<void> {
  let up = false;
  for (let round = 0; !up; round++) {
    assert.ok(round < 200, `haproxy does not listen: ${haproxy?.error}`);
    up = await new Promise((resolve) => {
      const socket = dial(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => setTimeout(resolve, 25, false));
    });
  }
}

/** Asks on a connection that stays, and answers what came and as whom the server sees it. */
async function ask(socket: Socket, said: string | Uint8Array): Promise<{ text: string; remotes: string[] }> {
  const heard = new Promise<Buffer>((resolve, reject) => {
    socket.once('data', resolve);
    socket.once('error', reject);
    socket.once('end', () => reject(new Error('ended without an answer')));
  });
  socket.write(said);
  const text = (await heard).toString('latin1');
  const remotes = portico.connections().map(({ remote }) => remote);
  socket.destroy();
  return { text, remotes };
}

const opened = (port: number) =>
  new Promise<Socket>((resolve, reject) => {
    const socket = dial(port, '127.0.0.1', () => resolve(socket));
    socket.on('error', reject);
  });

const HEALTH = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
const SECRETS = 'GET /topics HTTP/1.1\r\nHost: localhost\r\n\r\n';

for (const [at, version] of ['1', '2'].entries())
  test(`HAProxy, version ${version}: the connection is the client’s, who is a stranger`, {
    skip: noHaproxy,
  }, async () => {
    const socket = await opened(bound[at]!);
    const own = `127.0.0.1:${socket.localPort}`;
    const { text, remotes } = await ask(socket, HEALTH);
    assert.match(text, /^HTTP\/1\.1 200 /);
    assert.ok(remotes.includes(own), `${own} is none of ${remotes}`);
    assert.match((await ask(await opened(bound[at]!), SECRETS)).text, /^HTTP\/1\.1 401 /);
  });

test('HAProxy, TLS that ended there: with extensions and a checksum', { skip: noHaproxy }, async () => {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const made = dialTls(
      { port: bound[2]!, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false },
      () => resolve(made),
    );
    made.on('error', reject);
  });
  const own = `127.0.0.1:${socket.localPort}`;
  const { text, remotes } = await ask(socket, HEALTH);
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.ok(remotes.includes(own));
});

test('HAProxy to a Unix socket', { skip: noHaproxy }, async () => {
  // PINGREQ is no CONNECT: what is heard is that MQTT has it, behind the header.
  const socket = await opened(bound[3]!);
  const own = `127.0.0.1:${socket.localPort}`;
  socket.write(Buffer.from('1016', 'hex'));
  await until(() => portico.connections().some(({ remote }) => remote === own), 'the connection');
  assert.equal(portico.connections().find(({ remote }) => remote === own)?.protocol, 'mqtt');
  socket.destroy();
});

test('HAProxy’s own checks of health find the server well', { skip: noHaproxy }, async () => {
  const before = portico.figures.opened;
  await until(() => portico.figures.opened > before + 5, 'a check');
  assert.doesNotMatch(haproxy!.error + haproxy!.out, /DOWN|Layer[467]/);
});

test('curl --haproxy-protocol', { skip: missing('curl') }, async () => {
  const curl = (...more: string[]) =>
    run('curl', '-sS', '--max-time', '10', ...more, `http://localhost:${http}/healthz`, '-4');
  assert.equal((await curl('--haproxy-protocol')).code, 0);
  // Without it the proxy’s own address gets nothing: curl's 52 is an empty answer, 56 a reset.
  assert.ok([52, 56].includes((await curl()).code ?? 0));
});
