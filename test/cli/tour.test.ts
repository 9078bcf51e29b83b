// `portico tour` as a process of its own: what every step says, upon a server of its own and upon one that runs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EXIT } from '../../src/cli/output.ts';
import type { PublishedStep, TourStep } from '../../src/cli/tour-steps.ts';
import { runCommand, startServer } from '../server-process.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const ALL = ['http', 'sse', 'ws', 'ws-bare', 'mqtt', 'lines', 'udp', 'grpc', 'graphql'];
/** Those that publish: server-sent events only tell, SOAP and mail are only told. */
const PUBLISHERS = [...ALL.filter((name) => name !== 'sse'), 'soap', 'smtp'];

/** What a message looks like where it comes in, and where it goes out: the frames that the server's dissectors must show. */
const COMES_IN: Readonly<Record<string, readonly RegExp[]>> = {
  http: [/^POST {2}\/topics\/tour-[\da-f]{8}\/http HTTP\/1\.1$/, /said by http$/],
  ws: [/^GET {2}\/ws HTTP\/1\.1$/, /"publish":"tour-[\da-f]{8}\/ws"/, /^close {2}1000/],
  'ws-bare': [/^GET {2}\/topics\/tour-[\da-f]{8}\/ws-bare\?echo=false HTTP\/1\.1$/, /^text {2}said by ws-bare$/],
  mqtt: [/^CONNECT/, /^PUBLISH {2}topic name tour-[\da-f]{8}\/mqtt .*payload said by mqtt$/, /^DISCONNECT/],
  lines: [/^PUBB! {2}topic tour-[\da-f]{8}\/lines/, /said by lines/, /^QUIT/],
  grpc: [
    /^HEADERS {2}stream 1 POST \/portico\.v1\.Topics\/Publish/,
    /^DATA {2}stream 1 message of \d+ bytes: 1: "tour-[\da-f]{8}\/grpc" 2: "said by grpc"/,
  ],
  graphql: [/^POST {2}\/graphql HTTP\/1\.1$/, /^body .*"query":/],
  smtp: [/^EHLO/, /^RCPT {2}.*topics\+tour-[\da-f]{8}\.smtp@localhost/, /said by smtp|bytes/],
  soap: [/^POST {2}\/soap\/portico\.v1\.Topics/, /Envelope/],
};
const ANSWERED: Readonly<Record<string, RegExp>> = {
  http: /^201 {2}Created/,
  ws: /"ack":1/,
  'ws-bare': /^101 {2}Switching Protocols/,
  mqtt: /^PUBACK/,
  lines: /^\+OK/,
  grpc: /^HEADERS {2}stream 1 200/,
  graphql: /^200 {2}OK/,
  soap: /^200 {2}OK/,
  smtp: /^250/,
};
const GOES_OUT: Readonly<Record<string, RegExp>> = {
  http: /^200 {2}OK/,
  sse: /^chunk [\s\S]*data: /,
  ws: /^text .*"topic":"tour-/,
  'ws-bare': /^text {2}said by/,
  mqtt: /^PUBLISH .*payload said by/,
  lines: /^MSGB {2}tour-/,
  grpc: /^DATA {2}stream 1 message of \d+ bytes: 1: \{1: "tour-/,
  graphql: /^chunk .*event: next/,
};

function stepsOf(output: string): TourStep[] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as TourStep);
}

function publishedOf(steps: readonly TourStep[]): PublishedStep[] {
  return steps.filter((step) => step.step === 'published');
}

function checkMessage(step: PublishedStep): void {
  const { by } = step;
  assert.equal(step.payload, `said by ${by}`);
  assert.deepEqual(
    step.arrivals.map((arrival) => arrival.by),
    ALL,
  );
  for (const { by: to, ms } of step.arrivals) assert.ok(ms !== null && ms > 0, `${by} reached ${to}`);
  assert.equal(step.acknowledgedMs === null, by === 'ws-bare');
  assert.ok(step.subscribers.filter(({ reason }) => reason === 'delivered').length >= ALL.length, by);
  assert.equal(step.lost, 0);
  if (by === 'udp') {
    assert.equal(step.connection, null);
    assert.match(step.datagrams[0]!.summary, /^PUBB! .*said by udp$/);
    assert.equal(step.datagrams[0]!.direction, 'in');
    assert.match(step.datagrams[1]!.summary, /^\+OK/);
  } else {
    const { frames, cause, carrier, faults } = step.connection!;
    const came = frames.filter(({ direction }) => direction === 'in').map(({ summary }) => summary);
    for (const [index, pattern] of COMES_IN[by]!.entries())
      assert.ok(
        came.some((summary) => pattern.test(summary)),
        `${index} of ${by}: ${pattern} in ${came.join('\n')}`,
      );
    assert.ok(
      frames.some(({ direction, summary }) => direction === 'out' && ANSWERED[by]!.test(summary)),
      by,
    );
    assert.deepEqual([cause, carrier, faults], ['ended', 'tcp', []]);
  }
  assert.deepEqual(
    step.reached.map(({ of }) => of),
    ALL.filter((name) => name !== 'udp'),
  );
  for (const { of, frames } of step.reached) {
    const out = frames.filter(({ direction }) => direction === 'out').map(({ summary }) => summary);
    assert.ok(
      out.some((summary) => GOES_OUT[of]!.test(summary)),
      `${by} to ${of}: ${out.join('\n')}`,
    );
  }
}

test('a tour of its own shows every protocol, and leaves nothing behind', { timeout: 60_000 }, async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith('portico-tour-'));
  const { code, output, errors } = await runCommand(['tour', '--json']);
  assert.equal(code, EXIT.ok, errors);
  const steps = stepsOf(output);
  const [first] = steps;
  assert.ok(first?.step === 'server' && first.own);
  const subscribed = steps.filter((step) => step.step === 'subscribed');
  assert.deepEqual(
    subscribed.map(({ by }) => by),
    ALL,
  );
  for (const { by, connection } of subscribed) {
    assert.equal(connection === null, by === 'udp');
    const spoken =
      { ws: 'websocket', 'ws-bare': 'websocket', mqtt: 'mqtt', lines: 'lines', grpc: 'http2' }[by] ?? 'http1';
    if (connection !== null) assert.equal(connection.layers.at(-1), spoken);
  }
  // No two subscribers are shown with the same connection.
  assert.equal(new Set(subscribed.map(({ connection }) => connection?.connection)).size, ALL.length);
  const published = publishedOf(steps);
  assert.deepEqual(
    published.map(({ by }) => by),
    PUBLISHERS,
  );
  for (const step of published) checkMessage(step);
  // What the kernel says is there where it can be asked, and nowhere else.
  for (const { connection } of published)
    if (connection !== null) assert.equal(connection.kernel !== null, first.native === 'on');
  assert.deepEqual(steps.at(-1), { step: 'end', published: PUBLISHERS.length, missing: 0, refused: 0 });
  const after = readdirSync(tmpdir()).filter((name) => name.startsWith('portico-tour-'));
  assert.deepEqual(after, before);
});

test('for people it is plain text where colours are not wanted, a screen a message', { timeout: 60_000 }, async () => {
  const environment = { NO_COLOR: '1' };
  const { code, output, errors } = await runCommand(['tour', '--no-wait', '--from', 'mqtt', 'udp'], '', {
    environment,
  });
  assert.equal(code, EXIT.ok, errors);
  assert.ok(!output.includes('\u001b'));
  const [, first = '', second = ''] = output.split(/^\d of 2 {2}/m);
  assert.match(first, /^MQTT 5\.0, QoS 1\n/);
  assert.match(first, /“said by mqtt” to tour-[\da-f]{8}\/mqtt; acknowledged after/);
  assert.match(first, /→ +\d+ B mqtt PUBLISH/);
  assert.match(first, /← +\d+ B mqtt PUBACK/);
  assert.match(first, /(9|10) of \d+ subscribers matched/);
  assert.match(second, /datagrams: no connection/);
  for (const screen of [first, second]) assert.ok(screen.split('\n').length < 48, screen);
  assert.match(output, /2 messages; all of them arrived everywhere/);
});

test('it tours a server that runs, and leaves out what does not listen there', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-toured-'));
  try {
    const environment = { PORTICO_PROTOCOLS_MQTT_ENABLED: 'false', PORTICO_PORTS: 'ephemeral' };
    await using server = await startServer(['--data', join(folder, 'data')], environment);
    const { code, output, errors } = await runCommand([
      'tour',
      '--json',
      '--from',
      'lines',
      'mqtt',
      '--data',
      join(folder, 'data'),
    ]);
    assert.equal(code, EXIT.ok, errors);
    const steps = stepsOf(output);
    assert.ok(steps[0]?.step === 'server' && !steps[0].own);
    assert.deepEqual(
      steps.filter((step) => step.step === 'skipped').map(({ by, why }) => [by, why]),
      [['mqtt', 'no listener of mqtt over tcp']],
    );
    const [one, ...more] = publishedOf(steps);
    assert.deepEqual([one?.by, more.length], ['lines', 0]);
    assert.ok(one?.connection?.frames.some(({ summary }) => /^PUBB!/.test(summary)));
    assert.equal(await server.stop(), 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('where there are accounts it signs in, and says who is refused', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-toured-'));
  const place = ['--data', join(folder, 'data')];
  try {
    const made = await runCommand(['account', 'add', 'ann', '--password-stdin', ...place], 'a long password\n');
    assert.equal(made.code, EXIT.ok, made.errors);
    await using server = await startServer(place, { PORTICO_PORTS: 'ephemeral' });
    const nobody = await runCommand(['tour', '--json', '--from', 'mqtt', ...place]);
    assert.equal(nobody.code, EXIT.failed, nobody.errors);
    const refused = stepsOf(nobody.output).filter((step) => step.step === 'refused');
    assert.deepEqual(
      refused.map(({ by, what }) => [by, what]),
      [...ALL.map((by) => [by, 'subscribe']), ['mqtt', 'publish']],
    );
    for (const { why } of refused) assert.notEqual(why, '');
    const args = [
      'tour',
      '--json',
      '--from',
      'http',
      'ws',
      'mqtt',
      'lines',
      '--user',
      'ann',
      '--password-stdin',
      ...place,
    ];
    const ann = await runCommand(args, 'a long password\n');
    const steps = stepsOf(ann.output);
    assert.deepEqual(
      publishedOf(steps).map(({ by }) => by),
      ['http', 'ws', 'mqtt', 'lines'],
      ann.output,
    );
    for (const { by, arrivals } of publishedOf(steps))
      assert.deepEqual(
        arrivals.filter(({ ms }) => ms === null),
        [],
        by,
      );
    for (const text of [ann.output, ann.errors]) assert.ok(!text.includes('a long password'));
    assert.equal(await server.stop(), 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what is wrong ends it with its own code', { timeout: 60_000 }, async () => {
  const unknown = await runCommand(['tour', '--from', 'gopher']);
  assert.deepEqual([unknown.code, /gopher is not known; there are http, ws/.test(unknown.errors)], [EXIT.usage, true]);
  const nowhere = await runCommand(['tour', '--data', join(tmpdir(), 'portico-nowhere')]);
  assert.deepEqual([nowhere.code, /no server runs here/.test(nowhere.errors)], [EXIT.unavailable, true]);
});

test('a signal ends it and the server that it started', { timeout: 60_000 }, async () => {
  const child = spawn(process.execPath, [MAIN, 'tour', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  assert.deepEqual([code, signal], [EXIT.ok, null]);
});
