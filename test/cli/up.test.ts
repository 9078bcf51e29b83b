// `portico up` as a process: what it prints, what it refuses, how it ends.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import mqtt from 'mqtt';
import { runCommand, startServer } from '../server-process.ts';

const TIMEOUT = { timeout: 30_000 };
const LAUNCHER = fileURLToPath(new URL('../../bin/portico.js', import.meta.url));
const MEMORY = ['--storage', 'memory'];
const FREE = { PORTICO_PORTS: 'ephemeral' };

function folderOf(): { folder: string; [Symbol.dispose](): void } {
  const folder = mkdtempSync(join(tmpdir(), 'portico-cli-'));
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

test('it says what listens, on both loopback addresses, with a line to try for each', TIMEOUT, async () => {
  const child = spawn(process.execPath, [LAUNCHER, 'up', ...MEMORY], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...FREE, NO_COLOR: '1' },
  });
  let said = '';
  for await (const chunk of child.stdout) {
    said += String(chunk);
    if (said.includes('Ctrl-C')) break;
  }
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number];
  assert.equal(code, 0);
  assert.match(
    said,
    /mqtt\/tcp +mqtt:\/\/127\.0\.0\.1:(\d+) +mqtt:\/\/\[::1\]:\1\n +try: mosquitto_sub -h 127\.0\.0\.1 -p \1 /,
  );
  assert.match(said, /lines\/tcp +tcp:\/\/127\.0\.0\.1:(\d+) .*\n +try: echo 'SUB sensors\/#' \| nc 127\.0\.0\.1 \1\n/);
  assert.match(said, /lines\/udp +udp:\/\/127\.0\.0\.1:(\d+) .*\n +try: echo .* \| nc -u -w1 127\.0\.0\.1 \1\n/);
  assert.match(said, /Open mode: .*\n.*cannot be told from a local program/);
  assert.ok(!said.includes('\u001b'), 'NO_COLOR is honoured');
});

test('the data folder is for this user alone, and one process has it', TIMEOUT, async () => {
  using place = folderOf();
  const data = join(place.folder, 'data');
  await using first = await startServer(['--data', data], FREE);
  assert.equal(statSync(data).mode & 0o777, 0o700);
  const second = await runCommand(['up', '--data', data], '', { environment: FREE });
  assert.equal(second.code, 74);
  assert.match(second.errors, new RegExp(`in use by process ${first.process.pid}`));
  assert.equal(await first.stop(), 0);
  await using third = await startServer(['--data', data], FREE);
  assert.equal(await third.stop(), 0);
});

test('a folder that cannot be made is said', TIMEOUT, async () => {
  using place = folderOf();
  writeFileSync(join(place.folder, 'file'), '');
  const { code, errors } = await runCommand(['up', '--data', join(place.folder, 'file', 'data')], '', {
    environment: FREE,
  });
  assert.equal(code, 74);
  assert.match(errors, /ENOTDIR/);
});

test('it does not listen beyond loopback while there are no accounts', TIMEOUT, async () => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org']) {
    const { code, errors } = await runCommand(['up', ...MEMORY, '--host', host], '', { environment: FREE });
    assert.equal(code, 77, host);
    assert.match(errors, /there are no accounts. Make the first with portico account add/);
  }
});

test('a port in use is said with its owner', { ...TIMEOUT, skip: process.platform !== 'linux' }, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const { code, errors } = await runCommand(['up', ...MEMORY, '--port', `mqtt=${port}`], '', { environment: FREE });
  server.close();
  assert.equal(code, 69);
  assert.match(
    errors,
    new RegExp(`mqtt cannot listen on 127.0.0.1:${port}: the port is in use by process ${process.pid} `),
  );
  assert.match(errors, /--port mqtt=<port>/);
});

test('what is wrong with the configuration is said by key, with what to do', TIMEOUT, async () => {
  using place = folderOf();
  const run = (text: string, args: string[] = [], environment: NodeJS.ProcessEnv = {}) => {
    writeFileSync(join(place.folder, 'portico.config.ts'), text);
    return runCommand(['up', ...args], '', { folder: place.folder, environment });
  };
  const cases = [
    [await run('export default { prots: "default" }'), /portico\.config\.ts: prots is not known; did you mean ports\?/],
    [await run('export default {}', ['--port', 'mqtt']), /--port mqtt is not of the form <protocol>=<port>/],
    [await run('export default {}', ['--log-level', 'loud']), /the command line: log\.level is debug, info/],
    [await run('export default {}', [], { PORTICO_LOG_LEVLE: 'x' }), /PORTICO_LOG_LEVLE is not known/],
    [await run('export default {}', ['--config', 'none.ts']), /none\.ts is not there/],
  ] as const;
  for (const [{ code, errors }, expected] of cases) {
    assert.match(errors, expected);
    assert.equal(code, 78, errors);
  }
});

test('flags win over the environment, that over the file; the file is found by itself', TIMEOUT, async () => {
  using place = folderOf();
  const config = join(place.folder, 'portico.config.json');
  writeFileSync(
    config,
    JSON.stringify({ storage: 'memory', ports: 'ephemeral', hosts: ['127.0.0.1'], data: 'from-file' }),
  );
  const run = async (args: string[], environment: NodeJS.ProcessEnv) => {
    await using server = await startServer(['--config', config, ...args], environment);
    const listening = server.ready.listening.map(({ address }) => address?.host);
    await server.stop();
    return listening;
  };
  assert.deepEqual(new Set(await run([], {})), new Set(['127.0.0.1']));
  assert.deepEqual(new Set(await run([], { PORTICO_HOSTS: '::1' })), new Set(['::1']));
  assert.deepEqual(new Set(await run(['--host', '127.0.0.1'], { PORTICO_HOSTS: '::1' })), new Set(['127.0.0.1']));
  assert.equal(existsSync(join(place.folder, 'from-file')), false);
});

test('SIGTERM lets those who are connected leave: MQTT is told, what it acknowledged is kept', TIMEOUT, async () => {
  using place = folderOf();
  await using server = await startServer(['--data', place.folder], FREE);
  const client = await mqtt.connectAsync(server.urls.mqtt!, { protocolVersion: 5, reconnectPeriod: 0 });
  await client.publishAsync('kept', 'yes', { qos: 1, retain: true });
  const told = once(client as never, 'disconnect') as Promise<[{ reasonCode: number }]>;
  assert.equal(await server.stop(), 0);
  const [{ reasonCode }] = await told;
  assert.equal(reasonCode, 0x8b);
  await using again = await startServer(['--data', place.folder], FREE);
  const { output } = await runCommand(['sub', `${again.urls.mqtt}/kept`, '--count', '1']);
  assert.equal(output, 'kept yes\n');
  assert.equal(await again.stop(), 0);
});

test('a second signal ends it at once', { ...TIMEOUT, skip: process.platform === 'win32' }, async () => {
  await using server = await startServer(MEMORY, { ...FREE, PORTICO_LIMITS_LEAVEMS: '20000' });
  // Half-open on purpose: this peer never leaves by itself, and takes nothing either.
  const socket = connect({ port: server.port('lines'), host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  socket.write('SUB! #\n');
  await once(socket, 'data');
  const began = Date.now();
  server.process.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 400));
  server.process.kill('SIGINT');
  const [code] = (await once(server.process, 'exit')) as [number];
  socket.destroy();
  assert.ok(code === 1 || code === 0, `exit code ${code}`);
  assert.ok(Date.now() - began < 5_000);
});

test('a Unix socket is for this user alone, is taken over after a crash, and goes at the end', TIMEOUT, async () => {
  using place = folderOf();
  const path = join(place.folder, 's');
  const environment = { ...FREE, PORTICO_PROTOCOLS_LINES_PATH: path };
  await using first = await startServer(MEMORY, environment);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const refused = await runCommand(['up', ...MEMORY], '', { environment });
  assert.equal(refused.code, 69);
  assert.match(refused.errors, /another process listens there/);
  await first.kill();
  assert.ok(existsSync(path), 'a crash leaves it');
  await using second = await startServer(MEMORY, environment);
  const socket = connect(path);
  socket.write('PING\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /^\+PONG/);
  socket.destroy();
  assert.equal(await second.stop(), 0);
  assert.equal(existsSync(path), false);
});

test('one port takes MQTT and Lines, by their first bytes', TIMEOUT, async () => {
  using place = folderOf();
  const config = join(place.folder, 'c.json');
  writeFileSync(config, JSON.stringify({ ports: 'ephemeral', shared: [{ port: 0, protocols: ['mqtt', 'lines'] }] }));
  await using server = await startServer([...MEMORY, '--config', config]);
  const at = server.urls.shared!.replace('tcp://', '');
  const published = await runCommand(['pub', `mqtt://${at}/a`, 'one', '--retain']);
  assert.equal(published.code, 0, published.errors);
  const { output } = await runCommand(['sub', `tcp://${at}/a`, '--count', '1']);
  assert.equal(output, 'a one\n');
  assert.equal(await server.stop(), 0);
});

test('the log is JSON when machines ask, with the fault and its clause', TIMEOUT, async () => {
  await using server = await startServer(MEMORY, FREE);
  const socket = connect(server.port('mqtt'), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(Buffer.from([0xf0, 0x00]));
  await once(socket, 'close');
  await server.stop();
  const lines = server.complaints.map((line) => JSON.parse(line) as Record<string, unknown>);
  const fault = lines.find((line) => 'fault' in line);
  assert.match(String(fault?.fault), /^mqtt\./);
  assert.notEqual(fault?.spec, '');
});

test('help and version are short, a wrong word is 64', TIMEOUT, async () => {
  const help = await runCommand(['--help']);
  assert.equal(help.code, 0);
  assert.ok(help.output.split('\n').length <= 44, help.output);
  for (const verb of ['up', 'pub', 'sub']) assert.match(help.output, new RegExp(`\\n  ${verb} `));
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  assert.equal((await runCommand(['--version'])).output, `${version}\n`);
  const wrong = await runCommand(['upp']);
  assert.equal(wrong.code, 64);
  assert.match(wrong.errors, /Did you mean up\?/);
  assert.equal((await runCommand(['up', '--nope'])).code, 64);
});

test('an older Node starts the one that came along', { ...TIMEOUT, skip: !existsSync('/usr/bin/node') }, async () => {
  const child = spawn('/usr/bin/node', [LAUNCHER, '--version'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  for await (const chunk of child.stdout) said += String(chunk);
  assert.match(said, /^\d+\.\d+\.\d+\n$/);
});
