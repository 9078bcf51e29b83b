// A certificate that `portico cert client` made opens its account over TLS, on HTTP, MQTT and lines; revoking it ends what it
// had opened.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';
import mqtt from 'mqtt';
import { runCommand, startServer } from './server-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-client-certificate-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const data = join(folder, 'data');

async function run(...args: string[]): Promise<Readonly<Record<string, string>>> {
  const { code, output, errors } = await runCommand([...args, '--data', data, '--json'], 'correct horse\n');
  assert.equal(code, 0, errors);
  return JSON.parse(output) as Readonly<Record<string, string>>;
}

test('a client certificate, from portico cert client to portico cert revoke', { timeout: 120_000 }, async () => {
  await run('account', 'add', 'ann', '--password-stdin');
  await run('account', 'add', 'device-7', '--no-password', '--group', 'admins');
  const made = await run('cert', 'client', 'device-7', '--out', join(folder, 'device'));
  assert.equal((await runCommand(['cert', 'client', 'nobody-known', '--data', data])).code, 1);
  const ca = (await runCommand(['cert', 'root', '--data', data])).output;
  const names = ['http1', 'mqtt', 'lines'];
  const environment = Object.fromEntries(
    names.flatMap((name) => [[`PORTICO_PROTOCOLS_${name.toUpperCase()}_PORT`, '0']]),
  );
  await using server = await startServer(['--data', data], { ...environment, PORTICO_PORTS: 'ephemeral' });
  const secured = (name: string) => new URL(server.urls[name]!.replace(/^[a-z]+:/, 'http:'));
  const cert = readFileSync(join(folder, 'device.crt'));
  const key = readFileSync(join(folder, 'device.key'));
  const ask = (path: string, own: object, headers = {}): Promise<number> =>
    new Promise((resolve, reject) => {
      const { port } = secured('https');
      get({ host: '127.0.0.1', port, path, ca, headers, agent: false, ...own }, (answer) => {
        answer.resume();
        resolve(answer.statusCode!);
      }).on('error', reject);
    });
  assert.equal(await ask('/topics', {}), 401);
  assert.equal(await ask('/topics', { cert, key }), 200);
  assert.equal(await ask('/topics', { cert, key }, { via: '1.1 proxy' }), 401);

  const { port } = secured('mqtts');
  const options = { host: '127.0.0.1', port: Number(port), protocol: 'mqtts', ca, reconnectPeriod: 0 } as const;
  const client = await mqtt.connectAsync({ ...options, cert, key, protocolVersion: 5 });
  client.on('error', () => {});
  const closed = new Promise<void>((resolve) => client.once('close', resolve));
  await assert.rejects(mqtt.connectAsync({ ...options, protocolVersion: 5 }));
  await assert.rejects(mqtt.connectAsync({ ...options, cert, key, username: 'ann', protocolVersion: 5 }));

  const line = connect({
    host: '127.0.0.1',
    port: Number(secured('tls').port),
    ca,
    cert,
    key,
    servername: 'localhost',
  });
  line.write('PUB! a 1\nSUB! a\n');
  const [heard] = (await once(line, 'data')) as [Buffer];
  assert.match(String(heard), /^\+OK/);
  const lineClosed = once(line, 'close');
  line.resume();

  await run('cert', 'revoke', made.serial!);
  const over = Promise.all([closed, lineClosed]).then(() => 'over');
  assert.equal(await Promise.race([over, pause(5_000, 'still open')]), 'over');
  assert.notEqual(await ask('/topics', { cert, key }).catch(() => 'refused'), 200);
});
