// Topics over HTTP and server-sent events as their pages say it, with curl and mosquitto, against a server that is killed.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { EventSource, request } from 'undici';
import { Portico } from '../../src/portico.ts';
import { EventReader } from '../../src/protocols/sse/codec.ts';
import { missing, Program, run, until } from '../clients.ts';
import { type Running, startServer } from '../server-process.ts';

let portico: Portico;
let url = '';
let mqttPort = '';

before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
  url = portico.urls.http!;
  mqttPort = new URL(portico.urls.mqtt!.replace('mqtt:', 'http:')).port;
});
after(() => portico.close());

const needs = { skip: missing('curl') || missing('mosquitto_pub', '--help') };
const curl = (...args: string[]) => run('curl', '-sS', '--max-time', '10', ...args);
const EVENTS = ['-sSN', '-H', 'Accept: text/event-stream'];

/** Data of the events in what curl has printed so far. */
function eventsOf(printed: string): { type: string; data: string; id: string }[] {
  const reader = new EventReader(1_000_000);
  const bytes = Buffer.from(printed);
  const found: { type: string; data: string; id: string }[] = [];
  for (let at = 0, next = 0; next >= 0; at = next) {
    next = reader.read(bytes, at, bytes.length);
    if (next >= 0 && reader.isEvent) found.push({ type: reader.type, data: reader.data, id: reader.id });
  }
  return found;
}

test('curl -N shows each event while mosquitto_pub publishes', needs, async () => {
  await run('mosquitto_pub', '-p', mqttPort, '-t', 'events/kept', '-m', 'before', '-r', '-q', '1');
  const stream = new Program('curl', [...EVENTS, `${url}/topics/events/%23`]);
  await until(() => eventsOf(stream.out).length === 1, 'the retained value');
  for (const text of ['one', 'two']) {
    const sent = performance.now();
    await run('mosquitto_pub', '-p', mqttPort, '-t', 'events/a', '-m', text, '-q', '1');
    await until(() => eventsOf(stream.out).at(-1)?.data === text, text);
    // At once, not when some buffer is full or the connection ends.
    assert.ok(performance.now() - sent < 2_000);
  }
  stream.kill();
  assert.deepEqual(
    eventsOf((await stream.done).out).map(({ data }) => data),
    ['before', 'one', 'two'],
  );
});

test('mosquitto_sub hears what curl puts, with its type and properties', {
  skip: needs.skip || missing('mosquitto_sub', '--help'),
}, async () => {
  const listener = new Program('mosquitto_sub', [
    '-V',
    '5',
    '-p',
    mqttPort,
    '-t',
    'put/a',
    '-F',
    '%C|%P|%p',
    '-C',
    '1',
  ]);
  await until(() => portico.topics.matching('put/a') === 1, 'the subscribing');
  const fields = [
    '-H',
    'Content-Type: application/json',
    '-H',
    'X-Property-room: kitchen',
    '-H',
    "X-Property-place*: UTF-8''K%C3%BCche",
  ];
  const put = await curl('-i', '-X', 'PUT', '-d', '{}', ...fields, `${url}/topics/put/a`);
  assert.match(put.out, /^HTTP\/1\.1 201 /);
  assert.equal((await listener.done).out.trim(), 'application/json|room:kitchen place:Küche|{}');
  const got = await curl('-i', `${url}/topics/put/a`);
  assert.match(got.out, /^X-Property-room: kitchen\r$/im);
  const tag = /^ETag: (.*)\r$/im.exec(got.out)![1]!;
  assert.match((await curl('-i', '-H', `If-None-Match: ${tag}`, `${url}/topics/put/a`)).out, /^HTTP\/1\.1 304 /);
});

test('errors are problems, and the connection goes on', needs, async () => {
  const { out } = await curl('-w', '%{http_code} %{num_connects}\n', `${url}/topics/nothing`, `${url}/healthz`);
  const [problem, first, health, second] = out.trim().split('\n');
  assert.equal((JSON.parse(problem!) as { status: number }).status, 404);
  assert.deepEqual([first, second], ['404 1', '200 0']);
  assert.equal((JSON.parse(health!) as { status: string }).status, 'ok');
});

/** A server that is killed and started again on the same ports over the same data. */
class Mortal {
  readonly folder = mkdtempSync(join(tmpdir(), 'portico-http-'));
  private running: Running | null = null;
  private port = 0;

  async start(): Promise<void> {
    const ports = [`http1=${this.port}`, 'mqtt=0', 'lines=0'];
    this.running = await startServer(['--data', this.folder, '--port', ...ports]);
    this.port = this.running.port('http');
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async kill(): Promise<void> {
    await this.running?.kill();
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true });
  }
}

/** Publishes numbers until it is told to stop; answers those that were acknowledged. */
class Publisher {
  readonly acknowledged: string[] = [];
  private stopped = false;
  private readonly mortal: Mortal;
  private readonly done: Promise<void>;

  constructor(mortal: Mortal) {
    this.mortal = mortal;
    this.done = this.run();
  }

  private async run(): Promise<void> {
    for (let number = 1; !this.stopped; number++) {
      const target = `${this.mortal.url}/topics/kill/${number % 3}`;
      try {
        const { statusCode, body } = await request(target, { method: 'POST', body: String(number) });
        await body.dump();
        if (statusCode === 201) this.acknowledged.push(String(number));
      } catch {
        // The server is dead for now: this number may have arrived or not, and is not sent again.
        await pause(20);
      }
    }
  }

  async stop(): Promise<string[]> {
    this.stopped = true;
    await this.done;
    return this.acknowledged;
  }
}

/** All that was acknowledged was received, nothing twice, in the order of sending. */
function judge(acknowledged: readonly string[], received: readonly string[]): void {
  assert.ok(acknowledged.length > 50, `${acknowledged.length} were acknowledged`);
  const have = new Set(received);
  assert.deepEqual(
    acknowledged.filter((number) => !have.has(number)),
    [],
    'acknowledged and lost',
  );
  assert.equal(have.size, received.length, 'repeated');
  assert.deepEqual(
    received.map(Number),
    received.map(Number).toSorted((a, b) => a - b),
    'out of order',
  );
}

test('the server is killed: an SSE client with Last-Event-ID misses nothing and gets nothing twice', {
  ...needs,
  timeout: 60_000,
}, async () => {
  const mortal = new Mortal();
  try {
    await mortal.start();
    const publisher = new Publisher(mortal);
    const received: string[] = [];
    let id = '0';
    let last = '';
    let stopping = false;
    const follow = async () => {
      while (!stopping || received.at(-1) !== last) {
        const target = `${mortal.url}/topics/kill/0?filter=kill/1&filter=kill/2`;
        const stream = new Program('curl', [...EVENTS, '-H', `Last-Event-ID: ${id}`, target]);
        const killed = stream.done;
        let over = false;
        void killed.then(() => {
          over = true;
        });
        while (!over && !(stopping && eventsOf(stream.out).at(-1)?.data === last)) await pause(10);
        stream.kill();
        for (const event of eventsOf((await killed).out)) {
          assert.equal(event.type, 'message', event.data);
          received.push(event.data);
          ({ id } = event);
        }
        await pause(20);
      }
    };
    const following = follow();
    for (let round = 0; round < 5; round++) {
      await pause(300);
      await mortal.kill();
      await mortal.start();
    }
    await pause(300);
    const acknowledged = await publisher.stop();
    last = acknowledged.at(-1)!;
    stopping = true;
    await following;
    judge(acknowledged, received);
  } finally {
    await mortal.end();
  }
});

test('the server is killed: an EventSource comes back by itself, misses nothing and gets nothing twice', {
  timeout: 60_000,
}, async () => {
  const mortal = new Mortal();
  try {
    await mortal.start();
    const events = new EventSource(`${mortal.url}/topics/kill/%23?after=0`);
    const received: string[] = [];
    let opened = 0;
    events.onopen = () => void opened++;
    events.onmessage = ({ data }: { data: string }) => void received.push(data);
    events.addEventListener('gap', () => assert.fail('a gap'));
    const publisher = new Publisher(mortal);
    for (let round = 1; round <= 2; round++) {
      await until(() => opened === round, 'the connection');
      await pause(300);
      await mortal.kill();
      await mortal.start();
    }
    await until(() => opened === 3, 'the connection');
    const acknowledged = await publisher.stop();
    await until(() => received.at(-1) === acknowledged.at(-1), 'the last message');
    events.close();
    judge(acknowledged, received);
  } finally {
    await mortal.end();
  }
});

test('an EventSource gets any text as it was published, and names for what is not', async () => {
  const events = new EventSource(`${url}/topics/text/a`);
  const received: [string, string][] = [];
  let opened = false;
  events.onopen = () => {
    opened = true;
  };
  for (const type of ['message', 'binary'])
    events.addEventListener(
      type,
      (event: Event) => void received.push([type, (event as unknown as { data: string }).data]),
    );
  await until(() => opened, 'the connection');
  const texts = [
    '',
    ' ',
    'one',
    'two\nlines',
    '\n',
    'ends\n',
    '\n\n: id: 1',
    'data: x',
    'K\u00fcche \u{1f41f}',
    '\ufeffmark',
    'a\u0000b',
  ];
  for (const text of [...texts, 'one\r\ntwo']) {
    const { body } = await request(`${url}/topics/text/a`, { method: 'POST', body: text });
    await body.dump();
  }
  await until(() => received.length === texts.length + 1, 'all of them');
  events.close();
  assert.deepEqual(
    received.slice(0, -1),
    texts.map((text) => ['message', text]),
  );
  assert.deepEqual(received.at(-1), ['binary', Buffer.from('one\r\ntwo').toString('base64')]);
});

/** Follows events, cut off every few hundred milliseconds, until it has so many. */
async function followCut(target: string, total: number): Promise<number[]> {
  const received: number[] = [];
  for (let id = '0'; received.length < total; ) {
    const abort = new AbortController();
    const cut = setTimeout(() => abort.abort(), 20 + Math.random() * 200);
    const reader = new EventReader(1_000_000);
    reader.id = id;
    let kept = Buffer.alloc(0);
    try {
      const headers = { accept: 'text/event-stream', 'last-event-id': id };
      const { body } = await fetch(target, { headers, signal: abort.signal });
      for await (const chunk of body!) {
        kept = Buffer.concat([kept, chunk]);
        for (let next = reader.read(kept, 0, kept.length); next >= 0; next = reader.read(kept, 0, kept.length)) {
          kept = kept.subarray(next);
          ({ id } = reader);
          if (reader.isEvent) received.push(reader.type === 'message' ? Number(reader.data) : -1);
        }
        if (received.length >= total) break;
      }
    } catch {
      // Cut off.
    }
    clearTimeout(cut);
    abort.abort();
  }
  return received;
}

test('clients that are cut off again and again under load miss nothing and get nothing twice', {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-events-'));
  const house = await Portico.start({
    ports: 'ephemeral',
    data: folder,
    topics: { history: [{ filter: '#', history: 'durable', last: 100_000 }] },
  });
  try {
    const total = 10_000;
    const topics = `${house.urls.http!}/topics`;
    const publishing = (async () => {
      const caller = { account: '', scopes: null, origin: 'local' as const, epoch: 0 };
      for (let sent = 0; sent < total; ) {
        for (let index = 0; index < 50; index++) {
          const payload = Buffer.from(String(++sent));
          house.topics.publish(caller, { topic: `cut/${sent % 3}`, payload, assurance: 1 }, { settled() {} }, 0);
        }
        await pause(5);
      }
    })();
    const targets = ['/cut/%2B', '/cut/0?filter=cut/1&filter=cut/2', '?filter=cut/%23&filter=cut/1'];
    const all = await Promise.all(targets.map((target) => followCut(`${topics}${target}`, total)));
    await publishing;
    const expected = Array.from({ length: total }, (_, index) => index + 1);
    for (const [at, received] of all.entries()) assert.deepEqual(received, expected, targets[at]!);
  } finally {
    await house.close();
    rmSync(folder, { recursive: true });
  }
});

test('the server is killed: the loop of the page misses nothing and gets nothing twice', {
  ...needs,
  timeout: 60_000,
}, async () => {
  const page = readFileSync(new URL('../../docs/topics-over-http.md', import.meta.url), 'utf8');
  const script = /```sh\n(after=0\n[\s\S]*?)```/.exec(page)![1]!.replaceAll('sensors', 'kill');
  const mortal = new Mortal();
  try {
    await mortal.start();
    const folder = mkdtempSync(join(mortal.folder, 'loop-'));
    const loop = new Program('sh', ['-c', `cd ${folder}; url=${mortal.url}\n${script}`]);
    const publisher = new Publisher(mortal);
    for (let round = 0; round < 3; round++) {
      await pause(400);
      await mortal.kill();
      await mortal.start();
    }
    await pause(300);
    const acknowledged = await publisher.stop();
    const numbers = () => {
      const lines = loop.out.split('\n').slice(0, -1);
      return lines.map((line) => (JSON.parse(line) as { payload: string }).payload);
    };
    await until(() => numbers().at(-1) === acknowledged.at(-1), 'the last message');
    judge(acknowledged, numbers());
    loop.kill();
    // The curl that it left waits until the server goes.
    await mortal.kill();
    await loop.done;
  } finally {
    await mortal.end();
  }
});
