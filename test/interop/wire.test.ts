// The wire listeners of a running server, with real netcat (netcat-openbsd): echo, discard, record, and both proxies.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { ConfigError, Portico } from '../../src/portico.ts';

const present = spawnSync('nc', ['-h']).stderr?.toString().includes('OpenBSD netcat') ?? false;
const skip = present || process.env.CI === 'true' ? false : 'nc (netcat-openbsd) is not installed';

const where = (url: string): [host: string, port: string] => {
  const { hostname, port } = new URL(url.replace(/^\w+:/, 'http:'));
  return [hostname, port];
};

let inner: Portico;
let outer: Portico;

before(async () => {
  inner = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    hosts: ['127.0.0.1'],
    wire: [
      { kind: 'echo', port: 0 },
      { kind: 'discard', port: 0 },
      { kind: 'record', port: 0, name: 'tests' },
    ],
  });
  outer = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    hosts: ['127.0.0.1'],
    outbound: { allow: ['127.0.0.1'] },
    wire: [
      { kind: 'proxy', port: 0, target: inner.urls.lines! },
      { kind: 'proxy', port: 0, target: inner.urls['wire-echo-udp']! },
    ],
  });
});

after(async () => {
  await outer.close();
  await inner.close();
});

function nc(input: string | Buffer, ...parameters: string[]): Promise<Buffer> {
  const child = spawn('nc', parameters);
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => void pieces.push(piece));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise((resolve) => child.on('close', () => resolve(Buffer.concat(pieces))));
}

const on = (what: string, run: () => Promise<void>) => test(`wire: ${what}`, { skip, timeout: 30_000 }, run);

on('echo over TCP, with more than fits anywhere at once', async () => {
  const bytes = Buffer.alloc(5_000_000, 'echo and ');
  const back = await nc(bytes, '-N', ...where(inner.urls['wire-echo']!));
  assert.ok(back.equals(bytes));
});

on('echo over UDP, also through a proxy', async () => {
  assert.equal(String(await nc('ping\n', '-u', '-w1', ...where(inner.urls['wire-echo-udp']!))), 'ping\n');
  assert.equal(String(await nc('ping\n', '-u', '-w1', ...where(outer.urls['wire-proxy-udp']!))), 'ping\n');
});

on('discard says nothing', async () => {
  assert.equal((await nc('x'.repeat(1_000_000), '-N', ...where(inner.urls['wire-discard']!))).length, 0);
});

on('record tells what came', async () => {
  await nc('what was said', '-N', ...where(inner.urls['wire-record']!));
  const said = await nc('LAST! record/tests\n', '-N', ...where(inner.urls.lines!));
  const [line] = String(said).split('\n');
  const { bytes, tail, carrier } = JSON.parse(line!.slice('record/tests '.length));
  assert.deepEqual([bytes, Buffer.from(tail, 'base64').toString(), carrier], [13, 'what was said', 'tcp']);
});

on('Lines through a proxy, half-closed', async () => {
  const said = String(await nc('PUT! proxied 1\nLAST proxied\n', '-N', ...where(outer.urls['wire-proxy']!)));
  assert.match(said, /^\+OK \d+\nproxied 1\n$/);
});

test('wire: a proxy reaches nothing private that is not allowed, and a wrong target is refused at start', async () => {
  const target = inner.urls.lines!;
  const config = { ports: 'ephemeral' as const, storage: 'memory' as const, hosts: ['127.0.0.1'] };
  const proxied = await Portico.start({ ...config, wire: [{ kind: 'proxy', port: 0, target }] });
  try {
    if (skip === false) assert.equal((await nc('PING\n', '-N', ...where(proxied.urls['wire-proxy']!))).length, 0);
  } finally {
    await proxied.close();
  }
  await assert.rejects(
    Portico.start({ ...config, wire: [{ kind: 'proxy', port: 0, target: 'udp://localhost:53' }] }),
    (error) => error instanceof ConfigError && /wire.*localhost is a name/s.test(error.message),
  );
  const none = await Portico.start(config);
  assert.deepEqual(
    none.listening.filter(({ protocol }) => protocol.startsWith('wire')),
    [],
  );
  await none.close();
});
