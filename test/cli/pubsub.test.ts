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

/** Where topics are, by the name of a protocol. */
const at = (name: string) => `${server.urls[name]}${name === 'http' ? '/topics' : ''}`;

for (const from of ['mqtt', 'lines', 'udp', 'http', 'ws']) {
  for (const to of ['mqtt', 'lines', 'udp', 'http', 'sse', 'ws']) {
    // Those over HTTP one way each: a command is a process, and test/mapping.test.ts has all the cells.
    if (['http', 'ws'].includes(from) ? to !== 'mqtt' : ['http', 'sse', 'ws'].includes(to) && from !== 'lines')
      continue;
    test(`from ${from} to ${to}`, TIMEOUT, async () => {
      const topic = `round/${from}/${to}`;
      const ready = await runCommand(['pub', `${server.urls.mqtt}/${topic}/ready`, '1', '--retain']);
      assert.equal(ready.code, 0, ready.errors);
      const heard = await subscribed(`${at(to)}/${topic}/#`, '--count', '2');
      const { code, errors } = await runCommand(['pub', `${at(from)}/${topic}/a b`, 'payload ä']);
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
  for (const protocol of ['mqtt', 'lines', 'http', 'sse', 'ws']) {
    const { output } = await runCommand(['sub', `${at(protocol)}/resume`, ...args]);
    assert.equal(output, 'resume 2\nresume 3\n', protocol);
  }
});

test('only what is retained', TIMEOUT, async () => {
  for (const name of ['a', 'b']) await runCommand(['pub', `${server.urls.udp}/kept/${name}`, name, '--retain']);
  for (const protocol of ['mqtt', 'http', 'sse', 'ws']) {
    const { code, output } = await runCommand(['sub', `${at(protocol)}/kept/#`, '--retained-only', '--json']);
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
      protocol,
    );
  }
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

test('what cannot be done is said with what to do, and by the exit code', { timeout: 90_000 }, async () => {
  const cases: [string[], number, RegExp][] = [
    [['pub', 'nonsense', 'x'], 64, /is not a URL; it is like mqtt:/],
    [['pub', 'gopher://127.0.0.1/x', 'x'], 64, /there are mqtt, mqtts, tcp, tls, udp, http/],
    [['pub', 'http://127.0.0.1/x', 'x'], 64, /http:\/\/127\.0\.0\.1\/topics\/x/],
    [['pub', `${server.urls.sse}/x`, 'x'], 64, /publish with http:/],
    [['pub', 'http://127.0.0.1:1/topics/x', 'x'], 69, /does not answer: .*is Portico up\?/],
    [['sub', 'sse://127.0.0.1:1/x'], 69, /does not answer: .*is Portico up\?/],
    [['sub', 'ws://127.0.0.1:1/x'], 69, /does not answer: .*is Portico up\?/],
    [['pub', `${at('http')}/$SYS/x`, 'x'], 77, /answered 403/],
    [['pub', `${server.urls.ws}/$SYS/x`, 'x'], 77, /DENIED/],
    [['sub', `${at('http')}/a/#/b`], 77, /answered 400/],
    [['sub', `${server.urls.sse}/a/#/b`], 77, /the status 400/],
    [['sub', `${server.urls.ws}/a/#/b`], 77, /INVALID/],
    [['get', `${server.urls.mqtt}/a/#`], 64, /is a filter/],
    [['get', `${server.urls.udp}/a`], 64, /use http:, mqtt:, tcp: or ws:/],
    [['get', `${server.urls.mqtt}/a`, '--head'], 64, /--head needs http:/],
    [['get', `${server.urls.http}/nowhere`], 1, /answered 404 Not Found: There is nothing at/],
    [['get', 'http://127.0.0.1:1/'], 69, /does not answer/],
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

test('get: what is retained, exactly its bytes, over each protocol that can ask', TIMEOUT, async () => {
  await runCommand(['pub', `${at('http')}/got/a`, 'kept\nvalue', '--retain', '--content-type', 'text/plain']);
  for (const protocol of ['http', 'mqtt', 'lines', 'ws']) {
    const found = await runCommand(['get', `${at(protocol)}/got/a`]);
    assert.deepEqual([found.code, found.output, found.errors], [0, 'kept\nvalue', ''], protocol);
    const json = await runCommand(['get', `${at(protocol)}/got/a`, '--json']);
    assert.equal((JSON.parse(json.output) as { payload: string }).payload, 'kept\nvalue', protocol);
    const none = await runCommand(['get', `${at(protocol)}/got/none`]);
    assert.deepEqual([none.code, none.output], [1, ''], protocol);
    assert.match(none.errors, /^portico: nothing is retained at got\/none\n$/);
  }
  await runCommand(['pub', `${at('http')}/got/a`, '', '--retain']);
  assert.equal((await runCommand(['get', `${server.urls.mqtt}/got/a`])).code, 1);
});

test('get: any resource of an HTTP server, its head, and both as JSON', TIMEOUT, async () => {
  const url = `${server.urls.http}/healthz`;
  const body = await runCommand(['get', url]);
  assert.equal((JSON.parse(body.output) as { status: string }).status, 'ok');
  const head = await runCommand(['get', url, '--head']);
  assert.match(head.output, /^200 OK\n(?:[a-z-]+: .*\n)+$/);
  const json = JSON.parse((await runCommand(['get', url, '--json'])).output) as { status: number; body: string };
  assert.deepEqual([json.status, json.body], [200, body.output]);
});

test('what is retained and what comes while `sub http:` begins is told once each', TIMEOUT, async () => {
  const topic = `once/${process.pid}`;
  await runCommand(['pub', `${server.urls.mqtt}/${topic}/ready`, '1', '--retain']);
  const heard = await subscribed(`${at('http')}/${topic}/#`, '--count', '4');
  for (const payload of ['a', 'b', 'c'])
    await runCommand(['pub', `${server.urls.lines}/${topic}/x`, payload, '--retain']);
  assert.equal(await heard.all, `${topic}/ready 1\n${topic}/x a\n${topic}/x b\n${topic}/x c\n`);
});

for (const scheme of ['sse', 'http']) {
  test(`\`sub ${scheme}:\` goes on where it was when the server comes back`, { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'portico-back-'));
    const first = await startServer(['--data', folder], { PORTICO_PORTS: 'ephemeral' });
    const ports = ['http1', 'mqtt'].map((name) => `${name}=${first.port(name === 'http1' ? 'http' : name)}`);
    await runCommand(['pub', `${first.urls.mqtt}/back/ready`, '1', '--retain']);
    const child = spawn(
      process.execPath,
      [MAIN, 'sub', `${first.urls[scheme]}${scheme === 'http' ? '/topics' : ''}/back/#`, '--count', '3'],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += String(chunk);
    });
    const done = once(child, 'close');
    await once(child.stdout, 'data');
    await runCommand(['pub', `${first.urls.mqtt}/back/a`, '2']);
    while (!output.includes('back/a 2')) await once(child.stdout, 'data');
    await first.stop();
    await using second = await startServer(['--data', folder, '--port', ...ports], { PORTICO_PORTS: 'ephemeral' });
    assert.equal((await runCommand(['pub', `${second.urls.mqtt}/back/a`, '3'])).code, 0);
    await done;
    assert.equal(output, 'back/ready 1\nback/a 2\nback/a 3\n');
    rmSync(folder, { recursive: true });
  });
}
