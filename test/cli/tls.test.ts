// The commands over TLS, each a process of its own, against a server with its local authority.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { EXIT } from '../../src/cli/output.ts';
import { type Running, runCommand, startServer } from '../server-process.ts';

const TIMEOUT = { timeout: 60_000 };
const folder = mkdtempSync(join(tmpdir(), 'portico-cli-tls-'));
const data = join(folder, 'data');
const root = join(folder, 'root.pem');
let server: Running;

before(async () => {
  server = await startServer(['--data', data]);
  const { output } = await runCommand(['cert', 'root', '--data', data]);
  writeFileSync(root, output);
});

after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const at = (name: string, topic: string) =>
  `${server.urls[name]!.replace('127.0.0.1', 'localhost').replace(/\/mqtt$/, '')}/${topic}`;
/** Nothing of another server's folder is found here. */
const options = { folder };

test('publish, read and subscribe over each scheme with TLS', TIMEOUT, async () => {
  const schemes = [
    ['https', 'topics/a/https'],
    ['mqtts', 'a/mqtts'],
    ['tls', 'a/tls'],
    ['wss', 'a/wss'],
  ] as const;
  const done = await Promise.all(
    schemes.map(async ([name, topic]) => {
      const sent = await runCommand(['pub', at(name, topic), name, '--retain', '--cacert', root], '', options);
      assert.equal(sent.code, 0, sent.errors);
      const got = await runCommand(['get', at(name, topic), '--cacert', root], '', options);
      assert.equal(got.code, 0, got.errors);
      return got.output.trim();
    }),
  );
  assert.deepEqual(done, ['https', 'mqtts', 'tls', 'wss']);
  const events = await runCommand(
    ['sub', at('sses', 'a/%23'), '--count', '4', '--after', '0', '--cacert', root],
    '',
    options,
  );
  assert.equal(events.code, 0, events.errors);
  assert.equal(events.output.trim().split('\n').length, 4);
});

test('a call over each scheme with TLS', TIMEOUT, async () => {
  const base = at('https', '').replace(/\/$/, '');
  const urls = [
    ...['https', 'grpcs', 'connects', 'graphqls', 'soaps'].map((scheme) => base.replace('https', scheme)),
    ...[at('wss', ''), at('mqtts', ''), `soap:${base}/soap/portico.v1.Topics?wsdl`],
  ];
  const message = JSON.stringify({ topic: 'a/called', payload: 'MQ==', retain: true });
  for (const url of urls) {
    const called = await runCommand(['call', url, 'portico.v1.Topics.Publish', message, '--cacert', root], '', options);
    assert.equal(called.code, 0, `${url}: ${called.errors}`);
    const doubted = url.startsWith('soap')
      ? await runCommand(['call', url, 'portico.v1.Topics.Publish'], '', options)
      : null;
    if (doubted !== null) assert.equal(doubted.code, EXIT.unavailable, doubted.errors);
  }
});

test('who is not vouched for is not believed, and what can be done is said', TIMEOUT, async () => {
  const unknown = await runCommand(['get', at('https', 'topics/a'), '--json'], '', options);
  assert.equal(unknown.code, EXIT.unavailable);
  assert.match(unknown.errors, /portico cert root/);
  const other = await runCommand(
    ['get', at('mqtts', 'a').replace('localhost', '127.0.0.2'), '--cacert', root],
    '',
    options,
  );
  assert.equal(other.code, EXIT.unavailable);
  const insecure = await runCommand(['get', at('https', 'healthz'), '--insecure'], '', options);
  assert.equal(insecure.code, 0, insecure.errors);
  assert.match(insecure.errors, /whoever answers as localhost is believed/);
});

test('the authority of the data folder here is believed on this machine', TIMEOUT, async () => {
  const environment = { PORTICO_DATA: data };
  const got = await runCommand(['get', at('https', 'healthz')], '', { folder, environment });
  assert.equal(got.code, 0, got.errors);
  assert.match(got.output, /"status":"ok"/);
});

test('a port without TLS, and flags that belong to nothing', TIMEOUT, async () => {
  const plain = await runCommand(
    ['get', at('http', 'healthz').replace('http:', 'https:'), '--cacert', root],
    '',
    options,
  );
  assert.equal(plain.code, EXIT.unavailable);
  assert.match(plain.errors, /is it a port with TLS\?/);
  const wrong = await runCommand(['get', at('http', 'healthz'), '--cacert', root], '', options);
  assert.equal(wrong.code, EXIT.usage);
  const half = await runCommand(['get', at('https', 'healthz'), '--cert', root], '', options);
  assert.equal(half.code, EXIT.usage);
});
