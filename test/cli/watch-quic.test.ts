// `portico watch` on HTTP/3 and on DNS over QUIC: packets and their frames, the handshake, what is lost and why, the window, and
// above them frames, fields and messages, as clients of others make them over real sockets.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HttpClient } from '../../src/exports/http.ts';
import { missing, until } from '../clients.ts';
import { type Running, runCommand, startServer } from '../server-process.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const noClient = missing('gtlsclient');
const noKdig = missing('kdig', '--version');

interface Piece {
  readonly label: string;
  readonly value: string;
  readonly pieces?: readonly Piece[];
}

interface Event {
  readonly event: string;
  readonly connection: number;
  readonly protocol: string;
  readonly direction?: string;
  readonly size?: number;
  readonly label?: string;
  readonly value?: string;
  readonly alpn?: string;
  readonly pieces?: readonly Piece[];
  readonly bytes?: string;
}

const folder = mkdtempSync(join(tmpdir(), 'portico-watch-quic-'));
const data = join(folder, 'data');
const BODY = Buffer.alloc(300_000, 'portico over http/3 ');
let server: Running;
const started: ChildProcess[] = [];

before(async () => {
  server = await startServer(['--data', data, '--log-level', 'warn']);
});

after(async () => {
  for (const child of started) child.kill('SIGKILL');
  await server.kill();
  rmSync(folder, { recursive: true });
});

/** How many connections watch. */
async function watching(): Promise<number> {
  const socket = connect(join(data, 'control.sock'));
  let said = '';
  socket.on('data', (bytes) => (said += bytes));
  await once(socket, 'connect');
  socket.write(`${JSON.stringify({ control: 1, ask: 'status' })}\n`);
  await until(() => said.split('\n').length > 2, 'the status');
  socket.destroy();
  return (JSON.parse(said.split('\n')[1]!) as { watching: number }).watching;
}

async function watch(...args: string[]) {
  const before = await watching();
  const child = spawn(process.execPath, [MAIN, 'watch', '--data', data, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(child);
  let out = '';
  child.stdout!.on('data', (bytes) => (out += bytes));
  while ((await watching()) === before) {
    assert.equal(child.exitCode, null);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    text: () => out,
    events: () =>
      out
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Event),
    shows: (pattern: RegExp) => until(() => pattern.test(out), `${pattern} in ${out.slice(-20_000)}`),
    async end() {
      child.kill('SIGTERM');
      await once(child, 'close');
    },
  };
}

/** Runs ngtcp2's client to its end. */
async function ask(port: number, urls: readonly string[], more: readonly string[] = []): Promise<void> {
  const options = ['--quiet', '--no-quic-dump', '--no-http-dump', '--exit-on-all-streams-close', ...more];
  const child = spawn('gtlsclient', [...options, '127.0.0.1', String(port), ...urls], { stdio: 'ignore' });
  started.push(child);
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
}

const found = (events: readonly Event[], label: string, value: RegExp, direction?: string) =>
  events.find(
    (event) =>
      event.label === label &&
      value.test(event.value ?? '') &&
      (direction === undefined || event.direction === direction),
  );

test('our own client: packets, frames, handshake, window, settings, fields; nothing secret', async () => {
  const port = server.port('http3');
  const json = await watch('--json', '--bytes');
  const plain = await watch();
  const root = await runCommand(['cert', 'root', '--data', data]);
  assert.equal(root.code, 0);
  const client = new HttpClient({ tls: { authorities: root.output }, http3: true });
  const got = await client.fetch(`https://localhost:${port}/healthz?token=hunter2`, {
    headers: { authorization: 'Bearer hunter2' },
  });
  assert.match(await got.text(), /"ok"/);
  await client.close();
  await json.shows(/"label":"recovery"/);
  await json.shows(/"label":"DATA"/);
  await plain.shows(/DATA {2}stream 0 \d+ bytes: \{"status":"ok"/);
  const events = json.events();
  const text = plain.text();
  await json.end();
  await plain.end();
  const quic = events.filter(({ protocol }) => protocol === 'quic');
  assert.equal(quic[0]?.event, 'opened');
  // The handshake is watched from its first packet on.
  const first = quic[1]!;
  assert.deepEqual([first.direction, first.label, first.size], ['in', 'Initial', 1200]);
  assert.match(first.value!, /^0: CRYPTO \d+ bytes at 0/);
  assert.ok(found(quic, 'Initial', /ACK 0-/, 'out'));
  assert.ok(found(quic, 'Handshake', /CRYPTO/, 'out'));
  assert.ok(found(quic, '1-RTT', /HANDSHAKE_DONE/, 'out'));
  const handshake = found(quic, 'handshake', /^QUIC 1 TLS_AES_128_GCM_SHA256 for localhost, ALPN h3$/)!;
  const fields = Object.fromEntries(handshake.pieces!.map(({ label, value }) => [label, value]));
  assert.equal(fields['server name'], 'localhost');
  assert.equal(fields.resumed, 'false');
  assert.match(fields.max_idle_timeout!, /^\d+ ms$/);
  assert.equal(quic.find(({ event }) => event === 'secured')?.alpn, 'h3');
  assert.ok(found(quic, 'recovery', /^congestion window \d+, in flight \d+, round trip [\d.]+ ms$/));
  const http3 = events.filter(({ protocol }) => protocol === 'http3');
  assert.ok(found(http3, 'SETTINGS', /QPACK_MAX_TABLE_CAPACITY=4096/, 'in'));
  assert.ok(found(http3, 'SETTINGS', /ENABLE_CONNECT_PROTOCOL=1/, 'out'));
  const request = found(http3, 'HEADERS', /^stream 0 GET \/healthz\?token=•••$/, 'in')!;
  assert.ok(request.pieces!.some(({ label, value }) => label === 'authorization' && value === '•••'));
  // The fields of the answer stand in the table that its QPACK encoder filled.
  assert.ok(found(http3, 'QPACK', /inserted, \d+ in all, capacity 4096$/, 'out'));
  const answer = found(http3, 'HEADERS', /^stream 0 200$/, 'out')!;
  assert.ok(answer.pieces!.some(({ label, value }) => label === 'content-type' && /json/.test(value)));
  assert.ok(found(http3, 'DATA', /"status":"ok"/, 'out'));
  for (const secret of ['hunter2', Buffer.from('hunter2').toString('hex')]) {
    assert.ok(!JSON.stringify(events).includes(secret));
    assert.ok(!text.includes(secret));
  }
  // Contents of streams are not among the bytes of packets.
  assert.match(found(quic, '1-RTT', /STREAM 0: /, 'in')!.bytes!, /··/);
});

test('ngtcp2’s client comes back: resumed, with 0-RTT, and it says goodbye', { skip: noClient }, async () => {
  const port = server.port('http3');
  const json = await watch('--json', '--protocol', 'quic');
  const kept = [`--session-file=${join(folder, 'session')}`, `--tp-file=${join(folder, 'parameters')}`];
  await ask(port, ['https://localhost/healthz'], kept);
  await ask(port, ['https://localhost/healthz', 'https://localhost/nothing'], kept);
  await json.shows(/, resumed, 0-RTT"/);
  await until(() => json.events().filter(({ event }) => event === 'closed').length === 2, 'two ends');
  const events = json.events();
  await json.end();
  assert.ok(found(events, 'handshake', /ALPN h3, resumed, 0-RTT$/));
  assert.ok(found(events, '0-RTT', /STREAM 0: /, 'in'));
  assert.ok(found(events, '1-RTT', /CONNECTION_CLOSE /, 'in'));
});

test('what is lost, and by which rule', { skip: noClient }, async () => {
  const put = await fetch(`http://127.0.0.1:${server.port('http')}/topics/big`, { method: 'PUT', body: BODY });
  assert.ok(put.ok, String(put.status));
  const relay = await lossy(server.port('http3'));
  const json = await watch('--json', '--protocol', 'quic');
  await ask(relay.port, ['https://localhost/topics/big']);
  await json.shows(/packet threshold/);
  await until(() => json.events().some(({ event }) => event === 'closed'), 'the end');
  const events = json.events();
  await json.end();
  relay.close();
  const lost = events.filter(({ label }) => label === 'lost');
  // What is told of a loss is told of a packet that went out.
  for (const { pieces } of lost) {
    const number = pieces!.find(({ label }) => label === 'packet number')!.value;
    const type = pieces!.find(({ label }) => label === 'packet type')!.value;
    assert.ok(found(events, type, new RegExp(`^${number}:`), 'out'), `${type} ${number}`);
    assert.match(pieces!.find(({ label }) => label === 'reason')!.value, /^(packet|time) threshold$/);
  }
  const windows = events
    .filter(({ label }) => label === 'recovery')
    .map(({ value }) => Number(/window (\d+)/.exec(value!)![1]));
  assert.ok(
    windows.some((window, at) => at > 0 && window < windows[at - 1]!),
    `${windows}`,
  );
});

test('DNS over QUIC: the messages on the streams', { skip: noKdig }, async () => {
  const json = await watch('--json');
  const child = spawn('kdig', ['+quic', '-p', String(server.port('doq')), '@127.0.0.1', 'localhost', 'A'], {
    stdio: 'ignore',
  });
  started.push(child);
  await once(child, 'exit');
  await json.shows(/"protocol":"dns"[^\n]*"label":"answer"/);
  const events = json.events();
  await json.end();
  assert.ok(found(events, 'handshake', /ALPN doq/));
  const question = events.find(({ protocol, direction }) => protocol === 'dns' && direction === 'in')!;
  assert.ok(question.pieces!.some(({ label, value }) => label === 'question' && /^localhost\.? IN A$/.test(value)));
});

/** A way to a server on which each tenth of its datagrams is lost, once many have gone by. */
async function lossy(to: number): Promise<{ port: number; close(): void }> {
  const front = createSocket('udp4');
  const back = createSocket('udp4');
  let client = 0;
  let count = 0;
  front.on('message', (bytes, { port }) => {
    client = port;
    back.send(bytes, to, '127.0.0.1');
  });
  back.on('message', (bytes) => {
    if (++count < 20 || count % 10 !== 0) front.send(bytes, client, '127.0.0.1');
  });
  front.unref();
  back.unref();
  front.bind(0, '127.0.0.1');
  back.bind(0, '127.0.0.1');
  await Promise.all([once(front, 'listening'), once(back, 'listening')]);
  return {
    port: (front.address() as AddressInfo).port,
    close() {
      front.close();
      back.close();
    },
  };
}
