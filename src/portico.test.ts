// The public API: a server inside a test.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import mqtt from 'mqtt';
import { ConfigError, ListenError, Portico, RefusedError } from './portico.ts';

const CALLER = { account: '', scopes: null, origin: 'local', epoch: 0 } as const;
const FREE = { storage: 'memory', ports: 'ephemeral' } as const;

const PLAIN = [
  'dns',
  'dns-udp',
  'ftp',
  'http',
  'imap',
  'lines',
  'mqtt',
  'mqtt-ws',
  'pop3',
  'sftp',
  'smtp',
  'sse',
  'submission',
  'udp',
  'ws',
];
const SECURED = [
  'doq',
  'dot',
  'ftps',
  'http3',
  'https',
  'imaps',
  'mqtt-wss',
  'mqtts',
  'pop3s',
  'smtps',
  'sses',
  'tls',
  'wss',
];

test('it is up at once, has a URL for each protocol, and is gone at the end of its block', async () => {
  let url = '';
  {
    const began = performance.now();
    await using portico = await Portico.start(FREE);
    const took = performance.now() - began;
    assert.ok(took < 10_000, `${took} ms`);
    assert.deepEqual(Object.keys(portico.urls).sort(), [...PLAIN, ...SECURED].sort());
    assert.match(portico.urls.mqtt!, /^mqtt:\/\/127\.0\.0\.1:\d+$/);
    assert.match(portico.urls.http!, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.match(portico.urls['mqtt-ws']!, /^ws:\/\/127\.0\.0\.1:\d+\/mqtt$/);
    assert.match(portico.urls.lines!, /^tcp:\/\/127\.0\.0\.1:\d+$/);
    assert.match(portico.urls.udp!, /^udp:\/\/127\.0\.0\.1:\d+$/);
    url = portico.urls.mqtt!;
    const client = await mqtt.connectAsync(url, { reconnectPeriod: 0 });
    await client.publishAsync('a', 'b', { qos: 1, retain: true });
    const kept = portico.topics.retained(CALLER, 'a');
    assert.ok(typeof kept === 'object' && kept !== null);
    assert.equal(Buffer.from(kept.payload).toString(), 'b');
    assert.equal(portico.figures.connections, 1);
    assert.equal(portico.connections()[0]?.protocol, 'mqtt');
  }
  await assert.rejects(mqtt.connectAsync(url, { reconnectPeriod: 0, connectTimeout: 1_000 }));
});

test('two stand side by side, with nothing in common', async () => {
  await using one = await Portico.start(FREE);
  await using two = await Portico.start(FREE);
  assert.notEqual(one.urls.mqtt, two.urls.mqtt);
  const client = await mqtt.connectAsync(one.urls.mqtt!);
  await client.publishAsync('a', 'b', { qos: 1, retain: true });
  await client.endAsync();
  assert.equal(two.topics.retained(CALLER, 'a'), null);
});

test('what cannot be is refused, and nothing is left running', async () => {
  await assert.rejects(Portico.start({ ...FREE, hosts: ['0.0.0.0'] }), RefusedError);
  await assert.rejects(
    Portico.start({ ...FREE, shared: [{ port: 0, hosts: ['::'], protocols: ['mqtt'] }] }),
    RefusedError,
  );
  await assert.rejects(Portico.start({ ...FREE, protocols: { mqtt: { hosts: ['10.0.0.1'] } } }), RefusedError);
  await assert.rejects(Portico.start({ ...FREE, limits: { leaveMs: -1 } }), ConfigError);
  const routes = { '/healthz': () => new Response('mine') };
  await assert.rejects(Portico.start({ ...FREE, http: { routes } }), /http\.routes has \/healthz/);
  await using portico = await Portico.start(FREE);
  const port = Number(portico.urls.lines!.split(':').at(-1));
  await assert.rejects(Portico.start({ ...FREE, protocols: { lines: { port } } }), ListenError);
});

test('a listener that is not wanted is not there', async () => {
  await using portico = await Portico.start({ ...FREE, protocols: { mqtt: { enabled: false } } });
  assert.deepEqual(
    Object.keys(portico.urls).sort(),
    [...PLAIN, ...SECURED].filter((name) => !name.startsWith('mqtt')).sort(),
  );
});

test('a route of one’s own: a Request in, a Response out', async () => {
  const routes = {
    '/hello': () => new Response('hello'),
    '/echo/': async (request: Request) => Response.json({ url: request.url, body: await request.text() }),
  };
  await using portico = await Portico.start({ ...FREE, http: { routes } });
  const url = portico.urls.http!;
  assert.equal(await (await fetch(`${url}/hello`)).text(), 'hello');
  const echoed = await fetch(`${url}/echo/a?b=c`, { method: 'POST', body: 'x'.repeat(100_000) });
  const { url: told, body } = (await echoed.json()) as { url: string; body: string };
  assert.equal(told, `${url}/echo/a?b=c`);
  assert.equal(body.length, 100_000);
});

test('with a folder it goes on where it was', async () => {
  const data = mkdtempSync(join(tmpdir(), 'portico-api-'));
  const options = { data, ports: 'ephemeral', protocols: { lines: { enabled: false } } } as const;
  try {
    for (const round of [0, 1]) {
      await using portico = await Portico.start(options);
      assert.equal(portico.topics.retained(CALLER, 'a') !== null, round === 1);
      const client = await mqtt.connectAsync(portico.urls.mqtt!);
      await client.publishAsync('a', 'b', { qos: 2, retain: true });
      await client.endAsync();
    }
  } finally {
    rmSync(data, { recursive: true });
  }
});
