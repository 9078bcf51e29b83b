// `portico doctor`: what it finds on a machine that is well, and on ones that are not.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkClock, checkDescriptors, checkNode, type Finding } from '../../src/cli/doctor-checks.ts';
import { checkConfig } from '../../src/config.ts';
import { runCommand, startServer } from '../server-process.ts';

const TIMEOUT = { timeout: 60_000 };
const FREE = { PORTICO_PORTS: 'ephemeral' };

function folderOf(): { folder: string; [Symbol.dispose](): void } {
  const folder = mkdtempSync(join(tmpdir(), 'portico-doctor-'));
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

async function doctor(data: string, environment: NodeJS.ProcessEnv = FREE, ...args: string[]) {
  const { code, output } = await runCommand(['doctor', '--json', '--data', data, ...args], '', { environment });
  const found = output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Finding);
  const of = (check: Finding['check']) => found.find((finding) => finding.check === check)!;
  return { code, found, of };
}

test('a machine that is well: nothing fails, nothing is made, exit code 0', TIMEOUT, async () => {
  using place = folderOf();
  const data = join(place.folder, 'data');
  const { code, found, of } = await doctor(data);
  assert.equal(code, 0);
  assert.deepEqual(
    found.filter(({ result }) => result === 'fail'),
    [],
  );
  assert.match(of('data').text, /not there yet; portico up makes it/);
  assert.match(of('server').text, /no server runs/);
  assert.equal(existsSync(data), false);
  for (const check of ['node', 'configuration', 'disk', 'clock'] as const) assert.equal(of(check).result, 'ok', check);
});

test('for people: a line a finding, and what to do below it', TIMEOUT, async () => {
  using place = folderOf();
  chmodSync(place.folder, 0o755);
  const { code, output } = await runCommand(['doctor', '--data', place.folder], '', { environment: FREE });
  assert.equal(code, 0);
  assert.match(output, /^ok {3}node {11}Node 2\d/);
  assert.match(output, /\nwarn data {11}others on this machine may look into .* \(mode 755\)\n {20}chmod 700 /);
});

test(
  'a running server: it answers, its ports are its own, and a port that it does not have is said',
  TIMEOUT,
  async () => {
    using place = folderOf();
    const data = join(place.folder, 'data');
    await using server = await startServer(['--data', data], FREE);
    const environment = { ...FREE, PORTICO_PROTOCOLS_MQTT_PORT: String(server.port('mqtt')) };
    const well = await doctor(data, environment);
    assert.equal(well.code, 0);
    assert.match(well.of('server').text, new RegExp(`answers: process ${server.process.pid} on Node`));
    assert.match(well.of('native').text, /^system calls by node:ffi are used$|^plain Node is used: it /);
    assert.equal(well.of('data').result, 'ok');
    assert.match(well.of('ports').text, new RegExp(`listened on: mqtt tcp ${server.port('mqtt')}`));
    const changed = await doctor(data, { ...FREE, PORTICO_PROTOCOLS_MQTT_PORT: '1' });
    assert.equal(changed.of('ports').result, 'warn');
    assert.match(changed.of('ports').text, /does not listen on mqtt tcp 1,/);
  },
);

test('a server that does not answer: stopped, or without a control socket', TIMEOUT, async () => {
  using place = folderOf();
  const data = join(place.folder, 'data');
  await using server = await startServer(['--data', data], FREE);
  server.process.kill('SIGSTOP');
  const stopped = await doctor(data);
  server.process.kill('SIGCONT');
  assert.equal(stopped.code, 1);
  assert.match(stopped.of('server').text, /nobody answers in 3000 ms/);
  assert.match(stopped.of('data').text, new RegExp(`process ${server.process.pid} has .*, and does not answer`));
  assert.equal(await server.stop(), 0);
  await using silent = await startServer(['--data', data], { ...FREE, PORTICO_CONTROL: 'false' });
  const unasked = await doctor(data);
  assert.equal(unasked.code, 0);
  assert.match(unasked.of('data').text, new RegExp(`process ${silent.process.pid} has`));
  const { errors } = await runCommand(['watch', '--data', data], '', {
    environment: { ...FREE, PORTICO_CONTROL: 'false' },
  });
  assert.match(errors, /leave `control: false` out/);
});

test('a port that another has is said, with who it is', TIMEOUT, async () => {
  using place = folderOf();
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const { code, found } = await doctor(place.folder, { ...FREE, PORTICO_PROTOCOLS_LINES_PORT: String(port) });
  other.close();
  assert.equal(code, 1);
  const held = found.find(({ check, result }) => check === 'ports' && result === 'fail');
  assert.match(held!.text, new RegExp(`lines cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use`));
  if (process.platform === 'linux') assert.match(held!.text, new RegExp(`by process ${process.pid} `));
  assert.match(held!.mend!, /choose another with --port lines=<port>/);
});

test('a configuration that is wrong is said by its key, and the rest is looked at all the same', TIMEOUT, async () => {
  using place = folderOf();
  const config = join(place.folder, 'portico.config.json');
  writeFileSync(config, JSON.stringify({ log: { levle: 'info' } }));
  const { code, of } = await doctor(join(place.folder, 'data'), {}, '--config', config);
  assert.equal(code, 1);
  assert.match(of('configuration').text, /log\.levle is not known; did you mean level\?/);
  assert.equal(of('disk').result, 'ok');
});

test('a data folder that is none', TIMEOUT, async () => {
  using place = folderOf();
  const file = join(place.folder, 'file');
  writeFileSync(file, '');
  const { code, of } = await doctor(file);
  assert.equal(code, 1);
  assert.match(of('data').text, /is no folder/);
});

test('an old Node, a low limit, a clock that is wrong', () => {
  assert.equal(checkNode('20.11.1').result, 'fail');
  assert.equal(checkNode('26.0.0').result, 'ok');
  const config = checkConfig({});
  assert.equal(checkDescriptors(config, 1_024)[0]!.result, 'warn');
  assert.match(checkDescriptors(config, 1_024)[0]!.mend!, /ulimit -n 20064/);
  assert.equal(checkDescriptors(config, 100_000)[0]!.result, 'ok');
  assert.equal(checkClock(config, new Date(0)).result, 'fail');
  using place = folderOf();
  const data = join(place.folder, 'data');
  mkdirSync(data);
  writeFileSync(join(data, 'portico.db'), '');
  const now = new Date('2027-01-01T00:00:00Z');
  utimesSync(join(data, 'portico.db'), now, new Date('2027-01-01T01:00:00Z'));
  const ahead = checkClock(checkConfig({ data }), now);
  assert.equal(ahead.result, 'warn');
  assert.match(ahead.text, /portico\.db .* was written at 2027-01-01T01:00:00/);
  assert.equal(checkClock(checkConfig({ data }), new Date('2027-01-01T02:00:00Z')).result, 'ok');
});
