// Chromium over HTTP/3, forced to it and with the server's key pinned, since it takes no private authority for QUIC: pages,
// server-sent events and WebTransport; its own log says what was used.
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { Browser, Page } from 'playwright-core';
import { connect as connectLines, type LinesConnection } from '../../src/exports/lines.ts';
import { Portico } from '../../src/portico.ts';
import { launch, skip } from './chromium.ts';

const TIMEOUT = { skip, timeout: 120_000 };
const folder = mkdtempSync(join(tmpdir(), 'portico-browser-h3-'));
const netLog = join(folder, 'net.json');
let portico: Portico;
let browser: Browser;
let page: Page;
let lines: LinesConnection;

before(async () => {
  if (skip !== false) return;
  const html = { headers: { 'content-type': 'text/html' } };
  portico = await Portico.start({
    data: join(folder, 'data'),
    ports: 'ephemeral',
    http: { routes: { '/page': () => new Response('<!doctype html><title>over h3</title>', html) } },
  });
  const { port } = new URL(portico.urls.http3!);
  browser = await launch(
    `--origin-to-force-quic-on=localhost:${port}`,
    `--ignore-certificate-errors-spki-list=${await keyOfServer()}`,
    `--log-net-log=${netLog}`,
    '--net-log-capture-mode=Everything',
  );
  page = await browser.newPage();
  await page.goto(`https://localhost:${port}/page`);
  lines = await connectLines(portico.urls.lines!);
});

after(async () => {
  if (skip !== false) return;
  await browser.close();
  lines.close();
  await portico.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What pins the key: a digest of the public one. */
async function keyOfServer(): Promise<string> {
  const { hostname, port } = new URL(portico.urls.https!);
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      host: hostname,
      port: Number(port),
      servername: 'localhost',
      rejectUnauthorized: false,
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const { raw } = socket.getPeerCertificate(true);
      const key = new X509Certificate(raw).publicKey.export({ type: 'spki', format: 'der' });
      socket.destroy();
      resolve(createHash('sha256').update(key).digest('base64'));
    });
  });
}

/** Runs a script in the page: the body of an asynchronous function. */
function inPage<Result>(script: string): Promise<Result> {
  return page.evaluate(`(async () => { ${script} })()`);
}

/** What the scripts have in common. */
const SESSION = `
  const bytes = (text) => new TextEncoder().encode(text);
  const text = (got) => new TextDecoder().decode(got);
  const open = async (path) => {
    const session = new WebTransport(location.origin + path);
    await session.ready;
    return session;
  };
`;

test('a page, and what it fetches, comes over h3', TIMEOUT, async () => {
  assert.equal(await page.title(), 'over h3');
  const protocols = await inPage<string[]>(`
    await (await fetch('/healthz')).text();
    return performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol);
  `);
  assert.ok(protocols.includes('h3'), protocols.join());
});

test('a topic by server-sent events', TIMEOUT, async () => {
  const ready = await listen('h3/ready', 1);
  const heard = inPage<string>(`
    return new Promise((resolve) => {
      const source = new EventSource('/topics/h3/events');
      source.onopen = () => fetch('/topics/h3/ready', { method: 'PUT', body: 'yes' });
      source.onmessage = ({ data }) => {
        source.close();
        resolve(data);
      };
    });
  `);
  await ready.payloads;
  await lines.publish('h3/events', 'by lines');
  assert.equal(await heard, 'by lines');
});

/** Subscribes, and collects so many payloads. */
async function listen(topic: string, count: number): Promise<{ readonly payloads: Promise<string[]> }> {
  const own = await connectLines(portico.urls.lines!);
  await own.subscribe(topic);
  const collect = async () => {
    const payloads: string[] = [];
    for await (const { payload } of own) {
      payloads.push(payload.toString());
      if (payloads.length === count) break;
    }
    own.close();
    return payloads.sort();
  };
  return { payloads: collect() };
}

test('a topic by WebTransport: streams and datagrams both ways, and the end', TIMEOUT, async () => {
  const published = await listen('h3/wt', 2);
  const heard = inPage<string[]>(`
    ${SESSION}
    const session = await open('/topics/h3/wt?echo=false');
    const writer = (await session.createUnidirectionalStream()).getWriter();
    await writer.write(bytes('by a stream'));
    await writer.close();
    await session.datagrams.writable.getWriter().write(bytes('by a datagram'));
    const got = [];
    const incoming = session.incomingUnidirectionalStreams.getReader();
    while (got.length < 2) {
      const { value } = await incoming.read();
      got.push(await new Response(value).text());
    }
    session.close({ closeCode: 5, reason: 'enough' });
    await session.closed;
    return got;
  `);
  assert.deepEqual(await published.payloads, ['by a datagram', 'by a stream']);
  await lines.publish('h3/wt', 'one');
  await lines.publish('h3/wt', 'two');
  assert.deepEqual((await heard).sort(), ['one', 'two']);
});

test('messages as datagrams, where the address asks for it', TIMEOUT, async () => {
  const heard = await inPage<string>(`
    ${SESSION}
    const session = await open('/topics/h3/dg?by=datagrams');
    await session.datagrams.writable.getWriter().write(bytes('there and back'));
    const { value } = await session.datagrams.readable.getReader().read();
    session.close();
    return text(value);
  `);
  assert.equal(heard, 'there and back');
});

test('portico.json on a two-way stream', TIMEOUT, async () => {
  const answers = await inPage<Record<string, unknown>[]>(`
    ${SESSION}
    const session = await open('/ws');
    const stream = await session.createBidirectionalStream();
    const writer = stream.writable.getWriter();
    const reader = stream.readable.pipeThrough(new TextDecoderStream()).getReader();
    const say = (message) => writer.write(bytes(JSON.stringify(message) + '\\n'));
    let left = '';
    const hear = async () => {
      while (!left.includes('\\n')) left += (await reader.read()).value ?? '';
      const at = left.indexOf('\\n');
      const message = JSON.parse(left.slice(0, at));
      left = left.slice(at + 1);
      return message;
    };
    await say({ subscribe: 'h3/json/#', id: 1 });
    const all = [await hear()];
    await say({ publish: 'h3/json/a', payload: 'x', id: 2 });
    while (!('topic' in all.at(-1))) all.push(await hear());
    session.close();
    return all;
  `);
  assert.ok(
    answers.some(({ ack, id }) => ack === 1 || id === 1),
    JSON.stringify(answers),
  );
  assert.ok(
    answers.some(({ topic, payload }) => topic === 'h3/json/a' && payload === 'x'),
    JSON.stringify(answers),
  );
});

test('MQTT on a two-way stream, by its name', TIMEOUT, async () => {
  const [protocol, answer] = await inPage<[string, number[]]>(`
    ${SESSION}
    const session = new WebTransport(location.origin + '/mqtt', { protocols: ['mqtt'] });
    await session.ready;
    const stream = await session.createBidirectionalStream();
    // CONNECT of MQTT 3.1.1 with a clean session and no name.
    const connect = [0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 0];
    await stream.writable.getWriter().write(new Uint8Array(connect));
    const { value } = await stream.readable.getReader().read();
    session.close();
    return [session.protocol, [...value]];
  `);
  assert.equal(protocol, 'mqtt');
  assert.deepEqual(answer, [0x20, 2, 0, 0]);
});

test('a page of another origin gets no session', TIMEOUT, async () => {
  const foreign = await browser.newPage();
  await foreign.goto(new URL('/page', portico.urls.https!.replace('localhost', '127.0.0.1')).href);
  const origins = await foreign.evaluate('location.origin');
  assert.match(String(origins), /127\.0\.0\.1/);
  const outcome = await foreign.evaluate(`(async () => {
    const session = new WebTransport('${new URL('/topics/h3/secret', page.url()).href}');
    session.closed.catch(() => {});
    return session.ready.then(() => 'opened', (error) => error.name);
  })()`);
  assert.equal(outcome, 'WebTransportError');
  await foreign.close();
});

test('a path where there is none is refused', TIMEOUT, async () => {
  const outcome = await inPage<string>(`
    const session = new WebTransport(location.origin + '/nowhere');
    session.closed.catch(() => {});
    return session.ready.then(() => 'opened', (error) => error.name);
  `);
  assert.equal(outcome, 'WebTransportError');
});

test('the log of the browser says that it was QUIC, and which version of HTTP', TIMEOUT, async () => {
  await browser.close();
  assert.ok(existsSync(netLog));
  const log = readFileSync(netLog, 'utf8');
  assert.match(log, /"HTTP3_/);
  assert.match(log, /QUIC_SESSION/);
  const types = (JSON.parse(log) as { constants: { logEventTypes: Record<string, number> } }).constants.logEventTypes;
  const { events } = JSON.parse(log) as { events: { type: number; params?: { peer_address?: string } }[] };
  const sessions = events.filter(({ type }) => type === types.QUIC_SESSION);
  assert.ok(sessions.length > 0, 'no session over QUIC');
});
