// `portico watch` and `portico why` against a running server, with mosquitto's clients, netcat and curl: what is shown, what
// never is, and that a watcher who is slow or dies costs nobody anything.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { EXIT } from '../../src/cli/output.ts';
import { missing, Program, run, until } from '../clients.ts';
import { type Running, runCommand, startServer } from '../server-process.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const noMosquitto = missing('mosquitto_pub', '--help');
const noNetcat = missing('nc', '-h');
const noCurl = missing('curl');

interface Event {
  readonly event: string;
  readonly connection: number;
  readonly protocol: string;
  readonly from: string;
  readonly label?: string;
  readonly value?: string;
  readonly summary?: string;
  readonly direction?: string;
  readonly events?: number;
}

const folder = mkdtempSync(join(tmpdir(), 'portico-watch-'));
const data = join(folder, 'data');
let server: Running;
const started: ChildProcess[] = [];

before(async () => {
  const config = join(folder, 'portico.config.json');
  writeFileSync(config, JSON.stringify({ ports: 'ephemeral', shared: [{ port: 0, protocols: ['mqtt', 'lines'] }] }));
  server = await startServer(['--data', data, '--config', config, '--log-level', 'info']);
});

after(async () => {
  for (const child of started) child.kill('SIGKILL');
  await server.kill();
  rmSync(folder, { recursive: true });
});

/** A running `portico watch`; resolves once it watches. */
async function watch(...args: string[]) {
  const before = await watching();
  const child = spawn(process.execPath, [MAIN, 'watch', '--data', data, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  let out = '';
  let errors = '';
  child.stdout.on('data', (bytes) => (out += bytes));
  child.stderr.on('data', (bytes) => (errors += bytes));
  const closed = once(child, 'close') as Promise<[number | null]>;
  while ((await watching()) === before) {
    assert.equal(child.exitCode, null, errors);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    child,
    closed,
    text: () => out,
    events: () =>
      out
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Event),
    shows: (pattern: RegExp) => until(() => pattern.test(out), `${pattern} in ${out}${errors}`),
    async end() {
      child.kill('SIGTERM');
      const [code] = await closed;
      return code;
    },
  };
}

/** How many connections watch. */
async function watching(): Promise<number> {
  const [, answer] = await lines({ control: 1, ask: 'status' });
  return (answer as { watching: number }).watching;
}

/** Asks the control socket and answers its first lines. */
async function lines(ask: unknown, most = 2): Promise<unknown[]> {
  const socket = connect(join(data, 'control.sock'));
  let text = '';
  socket.on('data', (bytes) => (text += bytes));
  socket.on('error', () => {});
  socket.write(typeof ask === 'string' ? ask : `${JSON.stringify(ask)}\n`);
  const heard = () => text.split('\n').slice(0, -1);
  await until(() => heard().length >= most || socket.closed, `an answer to ${JSON.stringify(ask)}`);
  socket.destroy();
  return heard().map((line) => JSON.parse(line) as unknown);
}

const mqtt = (...args: string[]) => ['-h', '127.0.0.1', '-p', String(server.port('mqtt')), ...args];

test('frames of mosquitto’s clients and netcat, both ways, and no secret', {
  skip: noMosquitto || noNetcat,
  timeout: 60_000,
}, async () => {
  const text = await watch('--verbose', '--bytes');
  const json = await watch('--json', '--bytes');
  const subscriber = new Program(
    'mosquitto_sub',
    mqtt('-t', 'w/#', '-C', '1', '-V', '5', '-u', 'ann', '-P', 'hunter2', '-i', 'reader'),
  );
  await text.shows(/SUBACK/);
  await run(
    'mosquitto_pub',
    ...mqtt('-t', 'w/a', '-m', '21.5', '-q', '1', '-u', 'bob', '-P', 'hunter2', '-i', 'writer'),
  );
  await subscriber.done;
  await new Program(
    'nc',
    ['-q1', '127.0.0.1', String(server.port('lines'))],
    'NAME ann hunter2\nNAEM ann hunter2\nQUIT\n',
  ).done;
  await text.shows(/lines\s+closed/);
  await json.shows(/"protocol":"lines".*"event":"closed"|"event":"closed".*"protocol":"lines"/);
  assert.match(text.text(), /#\d+ +mqtt +opened +from 127\.0\.0\.1:\d+ over tcp/);
  assert.match(text.text(), /→ +\d+ B CONNECT {2}client identifier reader {2}user name ann/);
  assert.match(text.text(), /← +\d+ B PUBLISH {2}topic name w\/a {2}payload 21\.5/);
  assert.match(text.text(), /password: •••/);
  for (const shown of [text.text(), json.text()]) {
    assert.doesNotMatch(shown, /hunter2/);
    assert.doesNotMatch(shown.replace(/\s/g, ''), /68756e74657232/);
    // No terminal: no colour.
    assert.ok(!shown.includes('\u001b'));
  }
  const labels = json
    .events()
    .filter(({ protocol }) => protocol === 'mqtt')
    .map(({ label }) => label);
  for (const label of ['CONNECT', 'CONNACK', 'SUBSCRIBE', 'SUBACK', 'PUBLISH', 'PUBACK', 'DISCONNECT'])
    assert.ok(labels.includes(label), label);
  assert.equal(await text.end(), 0);
  assert.equal(await json.end(), 0);
});

test('Authorization, cookies and tokens over HTTP are not shown', { skip: noCurl, timeout: 60_000 }, async () => {
  const watcher = await watch('--json', '--bytes', '--protocol', 'http');
  const basic = Buffer.from('ann:hunter2').toString('base64');
  await run('curl', '-s', '-u', 'ann:hunter2', '-b', 's=hunter2', `${server.urls.http}/topics/w/a?token=hunter2`);
  await watcher.shows(/"event":"closed"/);
  assert.match(watcher.text(), /"label":"GET"/);
  assert.match(watcher.text(), /authorization/);
  const hex = (text: string) => Buffer.from(text).toString('hex');
  for (const secret of ['hunter2', basic, hex('hunter2'), hex(basic)])
    assert.ok(!watcher.text().includes(secret), secret);
  assert.equal(await watcher.end(), 0);
});

test('MQTT over a WebSocket is a connection of its own, and its password is shown by neither', {
  timeout: 60_000,
}, async () => {
  const watcher = await watch('--json', '--bytes');
  const socket = new WebSocket(server.urls['mqtt-ws']!, 'mqtt');
  socket.binaryType = 'arraybuffer';
  await once(socket, 'open');
  socket.send(Buffer.from('\x10\x18\0\x04MQTT\x04\xc2\0\x3c\0\0\0\x01u\0\x07hunter2', 'latin1'));
  await once(socket, 'message');
  socket.close();
  await watcher.shows(/"event":"closed".*\n.*"event":"closed"/s);
  const events = watcher.events();
  assert.ok(events.some(({ event, protocol }) => event === 'layer' && protocol === 'websocket/mqtt'));
  const connecting = events.find(({ label }) => label === 'CONNECT');
  assert.equal(connecting?.protocol, 'mqtt');
  assert.doesNotMatch(watcher.text(), /hunter2|68756e74657232/);
  assert.equal(await watcher.end(), 0);
});

test('compressed WebSocket messages are read, by who joins late where they can be', { timeout: 60_000 }, async () => {
  const early = await watch('--json', '--protocol', 'websocket');
  const options = { perMessageDeflate: { threshold: 0 }, headers: {} };
  const socket = new WebSocket(`${server.urls.ws}/ws`, 'portico.json', options);
  await once(socket, 'open');
  assert.match(socket.extensions, /^permessage-deflate/);
  const publish = (text: string) => socket.send(JSON.stringify({ publish: 'packed', payload: text.repeat(50), id: 1 }));
  publish('first ');
  await early.shows(/"label":"text".*\{\\"publish\\":\\"packed\\",\\"payload\\":\\"first first/);
  // Who watches beside another sees what that one sees.
  assert.equal(await early.end(), EXIT.ok);
  for (let round = 0; (await watching()) > 0; round++) assert.ok(round < 500);
  const late = await watch('--json', '--protocol', 'websocket');
  publish('first ');
  await late.shows(/compressed: builds on what was said before and was not read/);
  // What refers to nothing before it can be read.
  const other = new WebSocket(`${server.urls.ws}/ws`, 'portico.json', options);
  await once(other, 'open');
  other.send(JSON.stringify({ publish: 'packed', payload: 'second '.repeat(50), id: 1 }));
  await late.shows(/payload\\":\\"second second/);
  for (const one of [socket, other]) {
    one.close();
    await once(one, 'close');
  }
  assert.equal(await late.end(), EXIT.ok);
});

test('on a shared port the protocol is shown once it is known', { skip: noNetcat, timeout: 60_000 }, async () => {
  const watcher = await watch('--json');
  await new Program('nc', ['-q1', '127.0.0.1', String(server.port('shared'))], 'PUB w/s 1\nQUIT\n').done;
  await watcher.shows(/"event":"closed"/);
  const told = watcher.events().map(({ event, protocol, label }) => [event, protocol, label]);
  assert.deepEqual(told.slice(0, 3), [
    ['opened', 'shared', undefined],
    ['layer', 'lines', undefined],
    ['frame', 'lines', 'PUB'],
  ]);
  assert.equal(await watcher.end(), 0);
});

const hasKernel = `${process.platform}-${process.arch}` === 'linux-x64' && process.versions.node === '26.10.0';

test('what the kernel says, each second and at the end', { skip: !hasKernel, timeout: 60_000 }, async () => {
  const plain = await watch('--json', '--protocol', 'lines');
  const asked = await watch('--json', '--kernel', '--protocol', 'lines');
  const text = await watch('--kernel', '--protocol', 'lines');
  const socket = connect(server.port('lines'), '127.0.0.1');
  socket.write('PUB w/k 1\n');
  await asked.shows(/"event":"kernel".*\n.*"event":"kernel"/s);
  socket.end('QUIT\n');
  await once(socket.resume(), 'close');
  for (const watcher of [plain, asked]) await watcher.shows(/"event":"closed"/);
  await text.shows(/ closed {2}ended {2}round trip \d+\.\d+ ms/);
  assert.match(text.text(), / kernel {2}round trip [\d.]+ ms ± [\d.]+ ms, sent again 0, window \d+ × \d+ B/);
  const told = (events: readonly Event[], event: string) =>
    events.filter((one) => one.event === event) as (Event & { kernel: Record<string, number | string> })[];
  assert.deepEqual(told(plain.events(), 'kernel'), []);
  const [standing] = told(asked.events(), 'kernel');
  assert.equal(standing!.kernel.state, 'established');
  assert.equal(standing!.kernel.bytesReceived, 10);
  for (const { kernel } of [...told(plain.events(), 'closed'), ...told(asked.events(), 'closed')]) {
    assert.ok(Number(kernel.roundTripUs) > 0);
    assert.ok(Number(kernel.bytesReceived) >= 15);
  }
  for (const watcher of [plain, asked, text]) assert.equal(await watcher.end(), 0);
});

test('without the system calls all is shown but the kernel’s figures, and --kernel says why', {
  timeout: 60_000,
}, async () => {
  const own = join(folder, 'plain');
  await using off = await startServer(['--data', own], { PORTICO_NATIVE: 'off', PORTICO_PORTS: 'ephemeral' });
  const refused = await runCommand(['watch', '--data', own, '--kernel']);
  assert.equal(refused.code, EXIT.usage);
  assert.match(refused.errors, /the kernel cannot be asked here: it is turned off/);
  let isOver = false;
  const shown = runCommand(['watch', '--data', own, '--json', '--for', '2s']).finally(() => (isOver = true));
  // Until it has looked, however long it takes to begin.
  while (!isOver) {
    const socket = connect(off.port('lines'), '127.0.0.1');
    socket.end('PUB w/k 1\nQUIT\n');
    await once(socket.resume(), 'close');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { output } = await shown;
  assert.match(output, /"event":"closed"/);
  assert.doesNotMatch(output, /"kernel"/);
  assert.ok(off.complaints.every((line) => !/Experimental/.test(line)));
});

test('filters: protocol, topic, connection, address', { skip: noMosquitto || noNetcat, timeout: 60_000 }, async () => {
  const watchers = {
    lines: await watch('--json', '--protocol', 'lines'),
    topic: await watch('--json', '--topic', 'f/+/x'),
    nobody: await watch('--json', '--from', '192.0.2.1'),
    home: await watch('--json', '--from', '127.0.0.1'),
    none: await watch('--json', '--connection', '999999'),
  };
  await run('mosquitto_pub', ...mqtt('-t', 'f/a/x', '-m', '1'));
  const reader = connect(server.port('lines'), '127.0.0.1');
  reader.write('SUB f/b/x\n');
  await watchers.topic.shows(/"label":"SUB"/);
  await new Program('nc', ['-q1', '127.0.0.1', String(server.port('lines'))], 'PUB f/b/x 2\nPUB f/b/y 3\nQUIT\n').done;
  await watchers.home.shows(/"protocol":"lines"[^\n]*BYE/);
  await watchers.lines.shows(/BYE/);
  await watchers.topic.shows(/"label":"message"/);
  reader.destroy();
  assert.deepEqual(new Set(watchers.lines.events().map(({ protocol }) => protocol)), new Set(['lines']));
  assert.deepEqual(
    watchers.topic.events().map(({ event, protocol, label }) => [event, protocol, label]),
    [
      ['frame', 'mqtt', 'PUBLISH'],
      ['frame', 'lines', 'SUB'],
      ['frame', 'lines', 'PUB'],
      ['frame', 'lines', 'message'],
    ],
  );
  assert.equal(watchers.nobody.text(), '');
  assert.equal(watchers.none.text(), '');
  for (const watcher of Object.values(watchers)) assert.equal(await watcher.end(), 0);
  const wrong = await runCommand(['watch', '--data', data, '--topic', 'a/#/b']);
  assert.equal(wrong.code, 64);
  assert.match(wrong.errors, /no filter of topics/);
  const unknown = await runCommand(['watch', '--data', data, '--protocol', 'mqt']);
  assert.equal(unknown.code, 64);
  assert.match(unknown.errors, /there are http1, http2, http3, mqtt, lines, .*websocket/);
});

test('--for ends it, and the socket is for this user alone', { timeout: 60_000 }, async () => {
  const { code, errors } = await runCommand(['watch', '--data', data, '--for', '300ms']);
  assert.deepEqual([code, errors], [0, '']);
  assert.equal(statSync(join(data, 'control.sock')).mode & 0o777, 0o600);
  assert.equal(statSync(data).mode & 0o777, 0o700);
  assert.equal((await runCommand(['watch', '--data', data, '--for', 'ever'])).code, 64);
});

test('a watcher that is killed is forgotten, and nothing is tapped any more', { timeout: 60_000 }, async () => {
  const watcher = await watch('--json');
  watcher.child.kill('SIGKILL');
  await watcher.closed;
  for (let round = 0; (await watching()) > 0; round++) assert.ok(round < 500);
});

test('a watcher that reads nothing loses events, is told how many, and holds up nobody', {
  timeout: 90_000,
}, async () => {
  const slow = connect(join(data, 'control.sock'));
  slow.write(`${JSON.stringify({ control: 1, ask: 'watch', pieces: true, bytes: true })}\n`);
  slow.pause();
  while ((await watching()) === 0);
  const publisher = connect(server.port('lines'), '127.0.0.1');
  publisher.resume();
  const line = `PUB slow/a ${'x'.repeat(900)}\n`;
  for (let round = 0; round < 60; round++) {
    if (!publisher.write(line.repeat(200))) await once(publisher, 'drain');
    // The dissectors work a fifth of the time: what comes faster is passed over before it gets to the watcher.
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  const asked = performance.now();
  await lines({ control: 1, ask: 'status' });
  assert.ok(performance.now() - asked < 2_000);
  const events = await drained(slow, ({ event }) => event === 'lost');
  const lost = events.find(({ event }) => event === 'lost');
  assert.ok((lost?.events ?? 0) > 0);
  slow.destroy();
  publisher.destroy();
});

/** Reads a feed until an event comes. */
async function drained(socket: Socket, wanted: (event: Event) => boolean): Promise<Event[]> {
  let rest = '';
  const events: Event[] = [];
  socket.on('data', (bytes) => {
    rest += bytes;
    const whole = rest.split('\n');
    rest = whole.pop()!;
    for (const text of whole) events.push(JSON.parse(text) as Event);
  });
  socket.resume();
  await until(() => events.some(wanted), 'the event');
  return events;
}

test('what is not of the protocol is answered, and ends the connection', { timeout: 60_000 }, async () => {
  const wrong: readonly [unknown, RegExp][] = [
    ['GET / HTTP/1.1\r\n\r\n', /not a line of JSON/],
    [{ control: 2, ask: 'watch' }, /speaks control 1/],
    [{ control: 1, ask: 'sing' }, /watch, why, status and order/],
    [{ control: 1, ask: 'watch', connection: 'x' }, /whole number/],
    [{ control: 1, ask: 'why' }, /needs a topic/],
    [`"${'x'.repeat(70_000)}`, /longer than/],
  ];
  for (const [ask, error] of wrong) {
    const [greeting, answer] = (await lines(ask)) as [{ control: number }, { error: string }];
    assert.equal(greeting.control, 1);
    assert.match(answer.error, error);
  }
});

test('why: each subscriber with the reason, and what to do', { skip: noMosquitto, timeout: 60_000 }, async () => {
  const other = new Program('mosquitto_sub', mqtt('-t', 'other/#', '-i', 'elsewhere'));
  const reader = new Program('mosquitto_sub', mqtt('-t', 'y/#', '-i', 'here', '-v'));
  const asleep = await run('mosquitto_sub', ...mqtt('-t', 'y/#', '-q', '1', '-i', 'asleep', '-c', '-E'));
  assert.equal(asleep.code, 0);
  await until(() => server.process.exitCode === null && other.error === '', 'subscribing');
  for (let round = 0; !reader.out.includes('y/a'); round++) {
    assert.ok(round < 100);
    await run('mosquitto_pub', ...mqtt('-t', 'y/a', '-m', '1', '-q', '1'));
  }
  const { code, output } = await runCommand(['why', 'y/a', '--data', data, '--json']);
  assert.equal(code, 0);
  const answers = output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { subscriber: string; reason: string });
  const reasons = Object.fromEntries(answers.map(({ subscriber, reason }) => [subscriber, reason]));
  assert.deepEqual(
    [reasons.here, reasons.asleep, reasons.elsewhere],
    ['delivered', 'not connected', 'no filter matches'],
  );
  const { output: words } = await runCommand(['why', 'y/a', '--data', data]);
  assert.match(words, /The last message on y\/a:/);
  assert.match(words, /elsewhere {2}none of its filters matches \(other\/#\)\n {6}subscribe it to a filter that does/);
  const wrong = await runCommand(['why', 'y/#', '--data', data]);
  assert.equal(wrong.code, 64);
  other.kill();
  reader.kill();
  await Promise.all([other.done, reader.done]);
});

test('a bridge’s own connection is read as MQTT, and its password is not shown', { timeout: 60_000 }, async () => {
  // Takes nobody: the bridge comes again and again.
  const broker = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => setTimeout(() => socket.destroy(), 20));
  }).listen(0, '127.0.0.1');
  await once(broker, 'listening');
  const { port } = broker.address() as AddressInfo;
  const config = join(folder, 'bridge.json');
  const bridge = { name: 'b', url: `mqtt://ann:hunter2@127.0.0.1:${port}`, out: [{ filter: 'up/#' }] };
  const other = join(folder, 'bridge');
  const allowed = { outbound: { allow: ['127.0.0.1'] } };
  writeFileSync(config, JSON.stringify({ ports: 'ephemeral', data: other, mqtt: { bridges: [bridge] }, ...allowed }));
  await using bridging = await startServer(['--config', config]);
  const { output } = await runCommand(['watch', '--data', other, '--json', '--bytes', '--for', '6s']);
  broker.close();
  assert.match(output, /"event":"layer".*"protocol":"reach\/mqtt"|"protocol":"reach\/mqtt".*"event":"layer"/);
  assert.match(output, /"protocol":"reach\/mqtt"[^\n]*"direction":"out"[^\n]*"label":"CONNECT"/);
  assert.doesNotMatch(output, /hunter2|68756e74657232/);
  assert.equal(await bridging.stop(), 0);
});

test('the socket that a killed server left is taken over by the next', { timeout: 60_000 }, async () => {
  const other = join(folder, 'killed');
  const args = ['--data', other, '--port', 'mqtt=0', 'lines=0', 'http1=0'];
  const first = await startServer(args);
  await first.kill();
  const nobody = await runCommand(['watch', '--data', other]);
  assert.equal(nobody.code, 69);
  assert.match(nobody.errors, /nobody listens on .*control\.sock any more/);
  await using second = await startServer(args);
  assert.equal((await runCommand(['watch', '--data', other, '--for', '200ms'])).code, 0);
  assert.equal(await second.stop(), 0);
});

test('without a server, or without a data folder, it says what to do', { timeout: 60_000 }, async () => {
  const nobody = await runCommand(['watch', '--data', join(folder, 'empty')]);
  assert.equal(nobody.code, 69);
  assert.match(nobody.errors, /no server runs here: .*control\.sock is not there; start one with portico up/);
  const memory = await runCommand(['watch'], '', { folder, environment: { PORTICO_STORAGE: 'memory' } });
  assert.equal(memory.code, 69);
  assert.match(memory.errors, /--control <path>/);
});

test('in memory the socket is where it is named', { timeout: 60_000 }, async () => {
  const path = join(folder, 'memory.sock');
  await using inMemory = await startServer([
    '--storage',
    'memory',
    '--port',
    'mqtt=0',
    'lines=0',
    'http1=0',
    '--control',
    path,
  ]);
  assert.equal((inMemory.ready as unknown as { control: string }).control, path);
  assert.equal((await runCommand(['watch', '--control', path, '--for', '200ms'])).code, 0);
  assert.equal(await inMemory.stop(), 0);
});

test('when the server ends, the watcher sees everybody leave, and ends with 0', {
  skip: noMosquitto,
  timeout: 60_000,
}, async () => {
  const watcher = await watch();
  const reader = new Program('mosquitto_sub', mqtt('-t', 'z/#', '-V', '5'));
  await watcher.shows(/SUBACK/);
  assert.equal(await server.stop(), 0);
  const [code] = await watcher.closed;
  assert.equal(code, 0);
  assert.match(watcher.text(), /← +\d+ B DISCONNECT {2}reason code 0x8b/);
  assert.match(watcher.text(), /closed[\s\S]*the server ended \(shutdown\)\n$/);
  reader.kill();
  await reader.done;
});
