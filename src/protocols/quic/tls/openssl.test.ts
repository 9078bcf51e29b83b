// What node:tls cannot be asked for: OpenSSL's server that keeps nothing and sends a cookie, and what it prints of us.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { VERSION_1 } from '../crypto.ts';
import { GROUPS } from './index.ts';
import { SERVER } from './testing/certificates.ts';
import { CLIENT_POLICY, seeded } from './testing/ends.ts';
import { Records } from './testing/records.ts';

const hasOpenssl = ((): boolean => {
  try {
    execFileSync('openssl', ['version']);
    return true;
  } catch {
    if (process.env.CI === 'true') throw new Error('openssl is not here');
    return false;
  }
})();
const withOpenssl = { skip: hasOpenssl ? false : 'openssl is not here' };

async function until(done: () => boolean, what: () => string): Promise<void> {
  for (let tries = 0; tries < 3_000; tries++) {
    if (done()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`it never came to: ${what()}`);
}

/** `openssl s_server` on a port of its own choice; it answers each line turned round. */
async function server(t: TestContext, ...options: readonly string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'portico-tls-'));
  const put = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const certificates = SERVER.certificate.split(/(?<=-----END CERTIFICATE-----\n)/);
  const files = ['-cert', put('own.pem', certificates[0]!), '-cert_chain', put('chain.pem', certificates[1]!)];
  const args = ['s_server', '-accept', '127.0.0.1:0', '-tls1_3', '-alpn', 'h3', '-rev', ...files];
  const child = spawn('openssl', [...args, '-key', put('key.pem', SERVER.key), ...options]);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  t.after(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });
  await until(
    () => /ACCEPT 127\.0\.0\.1:\d+/.test(said) || child.exitCode !== null,
    () => `listening: ${said}`,
  );
  return Number(/ACCEPT 127\.0\.0\.1:(\d+)/.exec(said)![1]);
}

async function client(t: TestContext, port: number, options: object = {}): Promise<Records> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  const all = { version: VERSION_1, entropy: seeded(port), policy: CLIENT_POLICY, ...options };
  const records = new Records(socket, 'client', all as never, Date.now());
  await until(
    () => records.handshake.complete || records.fault !== null,
    () => 'our end is done',
  );
  assert.equal(records.fault, null);
  records.write('hello\n');
  await until(
    () => records.data === 'olleh\n',
    () => `an answer, and not ${records.data}`,
  );
  return records;
}

test(
  'RFC 8446 §4.2.2: their server asks with a cookie, and for a group, and knows its session again',
  withOpenssl,
  async (t) => {
    const port = await server(t, '-stateless', '-groups', 'P-256:X25519');
    const cookieOnly = await client(t, port);
    assert.equal(cookieOnly.handshake.group, 'X25519');
    // It hears one at a time.
    cookieOnly.end();
    const both = await client(t, port, { groups: [GROUPS[3]!, GROUPS[2]!], shares: 1 });
    assert.equal(both.handshake.group, 'P-256');
    await until(
      () => both.tickets.length > 0,
      () => 'a ticket',
    );
    both.end();
    const again = await client(t, port, { ticket: both.tickets[0]! });
    assert.equal(again.handshake.resumed, true);
  },
);
