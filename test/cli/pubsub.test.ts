// `portico pub` and `portico sub` against a server, over each protocol that they speak, with other people's clients
// between them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import mqtt from 'mqtt';
import { type Running, runCommand, startServer } from '../server-process.ts';

const TIMEOUT = { timeout: 30_000 };
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

let server: Running;
before(async () => {
  server = await startServer(['--storage', 'memory'], { PORTICO_PORTS: 'ephemeral' });
});
after(() => server.kill());

/** Begins `portico sub`, waits until it is subscribed, and answers how to hear the rest. */
async function subscribed(url: string, ...args: string[]): Promise<{ all: Promise<string> }> {
  const child = spawn(process.execPath, [MAIN, 'sub', url, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  const done = once(child, 'close').then(() => output);
  // A retained value below its filter is the sign that it is there.
  await once(child.stdout, 'data');
  return { all: done };
}

for (const from of ['mqtt', 'lines', 'udp']) {
  for (const to of ['mqtt', 'lines', 'udp']) {
    test(`from ${from} to ${to}`, TIMEOUT, async () => {
      const topic = `round/${from}/${to}`;
      const ready = await runCommand(['pub', `${server.urls.mqtt}/${topic}/ready`, '1', '--retain']);
      assert.equal(ready.code, 0, ready.errors);
      const heard = await subscribed(`${server.urls[to]}/${topic}/#`, '--count', '2');
      const { code, errors } = await runCommand(['pub', `${server.urls[from]}/${topic}/a b`, 'payload ä']);
      assert.equal(code, 0, errors);
      assert.equal(await heard.all, `${topic}/ready 1\n${topic}/a b payload ä\n`);
    });
  }
}

test('a payload from a file, from standard input, a line each, and bytes that are not text', TIMEOUT, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-pub-'));
  const file = join(folder, 'bytes');
  writeFileSync(file, Buffer.from([0xff, 0xfe, 0x00]));
  const url = `${server.urls.mqtt}/payloads`;
  assert.equal((await runCommand(['pub', url, '--file', file])).code, 0);
  assert.equal((await runCommand(['pub', url], 'whole\ninput')).code, 0);
  assert.equal((await runCommand(['pub', `${server.urls.lines}/payloads`, '--lines'], 'one\ntwo\n')).code, 0);
  assert.equal((await runCommand(['pub', url, 'again', '--count', '2', '--qos', '2'])).code, 0);
  const { output } = await runCommand(['sub', url, '--after', '0', '--json', '--count', '6']);
  const messages = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    messages.map(({ payload, base64 }) => payload ?? base64),
    ['//4A', 'whole\ninput', 'one', 'two', 'again', 'again'],
  );
  const missing = await runCommand(['pub', url, '--file', join(folder, 'none')]);
  assert.equal(missing.code, 74);
  rmSync(folder, { recursive: true });
});

test('a cursor that one protocol gave resumes on another', TIMEOUT, async () => {
  const acknowledged: (number | null)[] = [];
  for (const payload of ['1', '2', '3']) {
    const { output } = await runCommand(['pub', `${server.urls.lines}/resume`, payload, '--json']);
    acknowledged.push((JSON.parse(output) as { cursor: number }).cursor);
  }
  const args = ['--after', String(acknowledged[0]), '--count', '2'];
  for (const protocol of ['mqtt', 'lines']) {
    const { output } = await runCommand(['sub', `${server.urls[protocol]}/resume`, ...args]);
    assert.equal(output, 'resume 2\nresume 3\n', protocol);
  }
});

test('only what is retained', TIMEOUT, async () => {
  for (const name of ['a', 'b']) await runCommand(['pub', `${server.urls.udp}/kept/${name}`, name, '--retain']);
  const { code, output } = await runCommand(['sub', `${server.urls.mqtt}/kept/#`, '--retained-only', '--json']);
  assert.equal(code, 0);
  const messages = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    messages.map(({ topic, payload, retained }) => [topic, payload, retained]),
    [
      ['kept/a', 'a', true],
      ['kept/b', 'b', true],
    ],
  );
  assert.equal((await runCommand(['sub', `${server.urls.lines}/kept/#`, '--retained-only'])).code, 64);
});

test('properties of MQTT 5 reach it whoever published', TIMEOUT, async () => {
  const client = await mqtt.connectAsync(server.urls.mqtt!, { protocolVersion: 5 });
  const got = once(client as never, 'message') as Promise<[string, Buffer, { properties?: { contentType?: string } }]>;
  await client.subscribeAsync('typed');
  await runCommand(['pub', `${server.urls.mqtt}/typed`, '{}', '--content-type', 'application/json']);
  const [, , packet] = await got;
  assert.equal(packet.properties?.contentType, 'application/json');
  await client.endAsync();
});

test('what cannot be done is said with what to do, and by the exit code', TIMEOUT, async () => {
  const cases: [string[], number, RegExp][] = [
    [['pub', 'nonsense', 'x'], 64, /is not a URL; it is like mqtt:/],
    [['pub', 'http://127.0.0.1/x', 'x'], 64, /there are mqtt, tcp, udp/],
    [['pub', 'mqtt://127.0.0.1', 'x'], 64, /names no topic/],
    [['pub', `${server.urls.mqtt}/x`, 'x', '--qos', '3'], 64, /it is 0, 1 or 2/],
    [['pub', `${server.urls.mqtt}/x`, 'x', '--lines'], 64, /one of them/],
    [['sub', `${server.urls.mqtt}/x`, '--count', 'x'], 64, /a whole number/],
    [['pub', 'mqtt://127.0.0.1:1/x', 'x'], 69, /does not answer: .*is Portico up\?/],
    [['pub', 'udp://127.0.0.1:1/x', 'x'], 69, /does not answer .*is Portico up\?/],
    [['sub', `${server.urls.udp}/x`, '--after', '1'], 69, /--after needs mqtt: or tcp:/],
    [['pub', `${server.urls.mqtt}/$SYS/x`, 'x'], 77, /refused with 0x87/],
    [['pub', `${server.urls.lines}/$SYS/x`, 'x'], 77, /DENIED/],
    [['pub', `${server.urls.udp}/$SYS/x`, 'x'], 77, /DENIED/],
    [['sub', `${server.urls.mqtt}/a/#/b`], 77, /was refused with 0x8f/],
    [['sub', `${server.urls.lines}/a/#/b`], 77, /INVALID/],
  ];
  await Promise.all(
    cases.map(async ([args, expected, says]) => {
      const { code, errors } = await runCommand(args);
      assert.match(errors, says, args.join(' '));
      assert.equal(code, expected, `${args.join(' ')}: ${errors}`);
    }),
  );
});

test('a reader that goes away is no failure', TIMEOUT, async () => {
  await runCommand(['pub', `${server.urls.mqtt}/pipe/a`, 'x', '--retain']);
  const child = spawn(
    'sh',
    ['-c', '"$0" "$1" sub "$2" | head -n 1', process.execPath, MAIN, `${server.urls.mqtt}/pipe/#`],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const closed = once(child, 'close');
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += String(chunk);
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  assert.equal(line.toString(), 'pipe/a x\n');
  await runCommand(['pub', `${server.urls.mqtt}/pipe/b`, 'y']);
  await closed;
  assert.equal(errors, '');
});
