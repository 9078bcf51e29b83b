// Headers of the PROXY protocol over real sockets: those of a proxy that is trusted name the client, and never make a local
// program of it; those of anybody else are nothing that any port knows.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type Heard, SECRET, SECRET_TOPIC, say, startVictim, type Victim } from './victim.ts';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

function binary(command: number, family: number, addresses: readonly number[]): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, 0, addresses.length, ...addresses])]);
}

/** Everything that would make a local program of a stranger. */
const FORGED: readonly (readonly [what: string, header: Buffer])[] = [
  ['a line of 127.0.0.1', Buffer.from('PROXY TCP4 127.0.0.1 127.0.0.1 40000 8080\r\n')],
  ['a line of ::1', Buffer.from('PROXY TCP6 ::1 ::1 40000 8080\r\n')],
  ['a line of ::ffff:127.0.0.1', Buffer.from('PROXY TCP6 ::ffff:127.0.0.1 ::1 40000 8080\r\n')],
  ['a line of nobody', Buffer.from('PROXY UNKNOWN\r\n')],
  ['a binary header of 127.0.0.1', binary(0x21, 0x11, [127, 0, 0, 1, 127, 0, 0, 1, 0x9c, 0x40, 0x1f, 0x90])],
  ['a binary header of the proxy itself', binary(0x20, 0x00, [])],
  ['a binary header of a Unix socket', binary(0x21, 0x31, new Array(216).fill(0))],
];

const get = (path: string, fields = '') =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}Connection: close\r\n\r\n`;

/** CONNECT of 3.1.1, without name or password, and SUBSCRIBE to all. */
const MQTT = Buffer.concat([
  Buffer.from('101000044d51545404020000000468616d6d', 'hex'),
  Buffer.from('8206000100012300', 'hex'),
]);

const ASKED: readonly (readonly [protocol: string, bytes: Buffer])[] = [
  ['http', Buffer.from(get(`/topics/${SECRET_TOPIC}`))],
  ['http', Buffer.from(`POST /topics/stolen/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx`)],
  ['lines', Buffer.from(`PUT stolen/b 1\nLAST ${SECRET_TOPIC}\nSUB #\n`)],
  ['mqtt', MQTT],
];

const TRUSTING = { proxyProtocol: ['127.0.0.0/8', 'unix'] };
const folder = mkdtempSync(join(tmpdir(), 'portico-proxied-'));
const path = join(folder, 'mqtt');

let plain: Victim;
let trusting: Victim;

before(async () => {
  plain = await startVictim({ shared: [{ port: 0, protocols: ['http1', 'mqtt', 'lines'], tls: true }] });
  trusting = await startVictim({
    protocols: { http1: TRUSTING, lines: TRUSTING, mqtt: { ...TRUSTING, path } },
    shared: [{ port: 0, protocols: ['http1', 'mqtt', 'lines'], tls: true, ...TRUSTING }],
  });
});
after(async () => {
  await plain.portico.close();
  await trusting.portico.close();
  rmSync(folder, { recursive: true, force: true });
});

async function nothingSaid({ text, ended }: Heard, victim: Victim): Promise<void> {
  assert.ok(!text.includes(SECRET), text);
  assert.ok(!/^CONN|^HTTP\/1\.1 2/.test(text), text);
  assert.ok(ended, `the connection stays open after ${JSON.stringify(text)}`);
  await victim.untouched();
}

for (const [what, header] of FORGED) {
  test(`${what}: refused by every port that trusts no proxy`, async () => {
    for (const [protocol, bytes] of ASKED)
      for (const port of [plain.port(protocol), plain.port('shared')])
        await nothingSaid(await say(port, Buffer.concat([header, bytes])), plain);
  });

  test(`${what}: from a trusted proxy it is read, and its client is a stranger`, async () => {
    for (const [protocol, bytes] of ASKED)
      for (const port of [trusting.port(protocol), trusting.port('shared')]) {
        const { text } = await say(port, Buffer.concat([header, bytes]));
        assert.ok(!text.includes(SECRET), text);
        if (protocol === 'http') assert.match(text, /^HTTP\/1\.1 401 /);
        else if (protocol === 'lines') assert.match(text, /^-ERR UNKNOWN /);
        // Not authorized (MQTT 3.1.1 §3.2.2.3), then the end.
        else assert.equal(Buffer.from(text, 'latin1').toString('hex'), '20020005');
      }
    await trusting.untouched();
  });
}

test('a trusted proxy that sends no header is not served', async () => {
  for (const [protocol, bytes] of ASKED)
    for (const port of [trusting.port(protocol), trusting.port('shared')]) {
      const heard = await say(port, bytes);
      assert.equal(heard.text, '');
      await nothingSaid(heard, trusting);
    }
});

test('two headers are one too many', async () => {
  const line = FORGED[0]![1];
  for (const [protocol, bytes] of ASKED)
    await nothingSaid(await say(trusting.port(protocol), Buffer.concat([line, line, bytes])), trusting);
});

test('a header between two requests is no header', async () => {
  const line = FORGED[0]![1];
  const first = Buffer.from('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const { text } = await say(trusting.port('http'), Buffer.concat([line, first, line, ASKED[0]![1]]));
  assert.match(text, /^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 400 /);
  assert.ok(!text.includes(SECRET));
});

test('over a Unix socket as well', async () => {
  const ask = (bytes: Uint8Array) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(path);
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString('hex');
      });
      socket.on('error', reject);
      socket.on('end', () => socket.end(() => resolve(text)));
      socket.write(bytes);
    });
  assert.equal(await ask(MQTT), '');
  assert.equal(await ask(Buffer.concat([FORGED[0]![1], MQTT])), '20020005');
});

test('the connections that stand are those of the clients, counted as theirs', async () => {
  const socket = connect(trusting.port('http'), '127.0.0.1');
  socket.write(`PROXY TCP4 203.0.113.7 198.51.100.1 40123 80\r\n${get('/healthz').replace('close', 'keep-alive')}`);
  await new Promise((resolve) => socket.once('data', resolve));
  const found = trusting.portico.connections().find(({ remote }) => remote.startsWith('203.0.113.7'));
  assert.deepEqual([found?.remote, found?.protocol], ['203.0.113.7:40123', 'http1']);
  socket.destroy();
});

/** Shakes hands behind a header, or without one, and asks; '' when nothing comes. */
function secured(port: number, header: string | Uint8Array, said: string): Promise<string> {
  return new Promise((resolve) => {
    const plain = connect(port, '127.0.0.1');
    let text = '';
    const done = () => {
      plain.destroy();
      resolve(text);
    };
    plain.on('error', done);
    plain.on('close', done);
    if (header.length > 0) plain.write(header);
    const tls = connectTls({ socket: plain, servername: 'localhost', rejectUnauthorized: false }, () =>
      tls.write(said),
    );
    tls.on('data', (chunk) => {
      text += String(chunk);
    });
    tls.on('error', done);
    tls.on('end', done);
  });
}

test('with TLS the header comes before the handshake, and the client is a stranger all the same', async () => {
  const ports = [trusting.port('https'), trusting.port('shared')];
  for (const port of ports) {
    for (const [what, header] of FORGED) {
      assert.match(await secured(port, header, get(`/topics/${SECRET_TOPIC}`)), /^HTTP\/1\.1 401 /, what);
      assert.match(await secured(port, header, get('/healthz')), /^HTTP\/1\.1 200 /, what);
    }
    assert.equal(await secured(port, '', get('/healthz')), '');
    // Within TLS it is not looked for.
    assert.match(await secured(port, FORGED[0]![1], FORGED[0]![1] + get('/healthz')), /^(?:HTTP\/1\.1 400 |$)/);
  }
  for (const port of [plain.port('https'), plain.port('shared')])
    assert.equal(await secured(port, FORGED[0]![1], get('/healthz')), '');
});
