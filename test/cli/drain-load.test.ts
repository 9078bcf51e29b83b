// SIGTERM while every protocol is at work: requests, an upload, a long poll, HTTP/2, events, sockets, MQTT and lines each get
// their goodbye, nobody new is let in, and all that was acknowledged is there after a restart.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http, { type IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import mqtt from 'mqtt';
import { WebSocket } from 'ws';
import { type Running, startServer } from '../server-process.ts';

/** What each publisher was told is taken. */
type Taken = Set<string>;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const bytes of answer) text += String(bytes);
  return text;
}

/** A request by node:http; rejects when its answer is not whole. */
async function ask(
  url: string,
  options: http.RequestOptions,
  body = '',
): Promise<{ status: number; text: string; headers: http.IncomingHttpHeaders }> {
  const request = http.request(url, options);
  request.end(body);
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  const text = await textOf(answer);
  assert.ok(answer.complete);
  return { status: answer.statusCode!, text, headers: answer.headers };
}

/** Posts one after the other on one connection, until the server is gone. */
async function post(server: Running, name: string, taken: Taken): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let count = 0; ; count++) {
    const text = `${name}-${count}`;
    try {
      const options = { method: 'POST', agent };
      const { status } = await ask(`${server.urls.http}/topics/load/${name}`, options, text);
      assert.equal(status, 201);
      taken.add(text);
    } catch (error) {
      assert.ok(!(error instanceof assert.AssertionError), error as Error);
      agent.destroy();
      return;
    }
  }
}

/** Publishes with QoS 1, so many at a time; answers the reason of the server's DISCONNECT. */
async function publish(server: Running, taken: Taken): Promise<number> {
  const client = await mqtt.connectAsync(server.urls.mqtt!, { protocolVersion: 5, reconnectPeriod: 0 });
  client.on('error', () => {});
  const goodbye = new Promise<number>((resolve) => {
    client.once('disconnect', ({ reasonCode = -1 }) => resolve(reasonCode));
  });
  let isOver = false;
  const closed = new Promise<void>((resolve) => {
    client.once('close', () => {
      isOver = true;
      resolve();
    });
  });
  for (let count = 0; !isOver; count += 32) {
    const batch = Array.from({ length: 32 }, (_, index) => `mqtt-${count + index}`);
    const sent = batch.map(
      (text) =>
        new Promise<void>((resolve) => {
          client.publish('load/mqtt', text, { qos: 1 }, (error) => {
            if (error == null) taken.add(text);
            resolve();
          });
        }),
    );
    await Promise.race([Promise.all(sent), closed]);
  }
  return goodbye;
}

/** Publishes over portico.json, without waiting for the answers; answers the code that it was closed with. */
async function say(server: Running, taken: Taken): Promise<number> {
  const socket = new WebSocket(`${server.urls.ws}/ws`, 'portico.json');
  await once(socket, 'open');
  socket.on('message', (bytes) => {
    const { ack } = JSON.parse(String(bytes)) as { ack?: number };
    if (ack !== undefined) taken.add(`json-${ack}`);
  });
  socket.on('error', () => {});
  const closed = once(socket, 'close') as Promise<[number]>;
  let isOpen = true;
  socket.once('close', () => {
    isOpen = false;
  });
  for (let id = 1; isOpen; id++) {
    if (socket.readyState === WebSocket.OPEN)
      socket.send(JSON.stringify({ publish: 'load/json', payload: `json-${id}`, id }));
    if (id % 16 === 0) await pause(1);
  }
  return (await closed)[0];
}

/** Publishes in lines, many under way; answers the last line of the server's. */
async function type(server: Running, taken: Taken): Promise<string> {
  const socket = connect(server.port('lines'), '127.0.0.1');
  let text = '';
  socket.on('data', (bytes) => (text += String(bytes)));
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  let sent = 0;
  while (!socket.closed && !socket.readableEnded) {
    if (socket.writable) for (let count = 0; count < 16; count++) socket.write(`PUB! load/lines lines-${sent++}\n`);
    await pause(1);
  }
  await closed;
  const lines = text.split('\n').filter((line) => line !== '');
  // They are answered in order.
  for (const [index] of lines.filter((line) => line.startsWith('+OK')).entries()) taken.add(`lines-${index}`);
  return lines.at(-1)!;
}

/** A body of which the rest comes once the server is leaving; answers the status of its answer. */
async function upload(server: Running, leaving: Promise<unknown>): Promise<[number, string | undefined]> {
  const request = http.request(`${server.urls.http}/topics/load/upload`, { method: 'POST' });
  for (let count = 0; count < 10; count++) {
    request.write('0123456789'.repeat(100));
    if (count === 2) await leaving;
    await pause(30);
  }
  request.end();
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  await textOf(answer);
  return [answer.statusCode!, answer.headers.connection];
}

/** All that is in the history of a topic. */
async function history(server: Running, filter: string): Promise<string[]> {
  const found: string[] = [];
  for (let after = '0'; ; ) {
    const { text, headers, status } = await ask(`${server.urls.http}/topics/${filter}?after=${after}&wait=0`, {
      agent: new http.Agent(),
    });
    assert.equal(status, 200);
    const lines = text.split('\n').filter((line) => line !== '');
    if (lines.length === 0) return found;
    found.push(...lines.map((line) => (JSON.parse(line) as { payload: string }).payload));
    after = String(headers.cursor);
  }
}

test('SIGTERM under load: every protocol its goodbye, and nothing that was acknowledged is lost', {
  timeout: 60_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'portico-load-'));
  const start = () => startServer(['--data', folder, '--port', 'http1=0', 'mqtt=0', 'lines=0']);
  try {
    await using server = await start();
    const taken: Taken = new Set();
    let leave!: () => void;
    const leaving = new Promise<void>((resolve) => {
      leave = resolve;
    });
    const posts = Promise.all([post(server, 'one', taken), post(server, 'two', taken)]);
    const mqttEnd = publish(server, taken);
    const jsonEnd = say(server, taken);
    const linesEnd = type(server, taken);
    const uploaded = upload(server, leaving);
    const polled = ask(`${server.urls.http}/topics/quiet?wait=60`, { agent: new http.Agent() });
    const events = await fetch(`${server.urls.http}/topics/load/%23`, { headers: { accept: 'text/event-stream' } });
    const read = events.text();
    const session = http2.connect(server.urls.http!);
    const goaway = once(session, 'goaway') as Promise<[number]>;
    const sessionClosed = once(session, 'close');
    const slow = session.request({ ':path': '/topics/load/h2', ':method': 'POST' });
    const slowAnswer = once(slow, 'response') as Promise<[http2.IncomingHttpHeaders]>;
    slow.write('first half, ');
    const names = ['one-', 'two-', 'mqtt-', 'json-'];
    const took = (name: string) => [...taken].filter((text) => text.startsWith(name)).length;
    while (names.some((name) => took(name) <= 10)) await pause(20);
    const since = performance.now();
    const stopped = server.stop();
    // Nobody new, while those are still at work.
    await pause(100);
    for (const name of ['http', 'mqtt', 'lines']) {
      const socket = connect(server.port(name), '127.0.0.1');
      const [error] = (await Promise.race([once(socket, 'error'), once(socket, 'connect')])) as [{ code?: string }?];
      assert.equal(error?.code, 'ECONNREFUSED', name);
    }
    leave();
    slow.end('second half');
    slow.resume();
    assert.equal((await slowAnswer)[0][':status'], 201);
    assert.deepEqual(await uploaded, [201, 'close']);
    assert.equal((await goaway)[0], 0);
    await sessionClosed;
    assert.equal(await mqttEnd, 0x8b);
    assert.equal(await jsonEnd, 1001);
    assert.match(await linesEnd, /^-ERR GONE/);
    const poll = await polled;
    assert.deepEqual([poll.status, poll.text], [200, '']);
    // The stream is whole: its last chunk came.
    assert.match(await read, /^id: \d+$/m);
    await posts;
    assert.equal(await stopped, 0);
    assert.ok(performance.now() - since < 10_000);

    await using again = await start();
    const kept = new Set(await history(again, 'load/%23'));
    const lost = [...taken].filter((text) => !kept.has(text));
    assert.deepEqual(lost, [], `of ${taken.size}`);
    assert.ok(took('lines-') > 10);
    assert.ok(kept.has('first half, second half'));
    assert.ok(kept.has('0123456789'.repeat(1_000)));
    assert.equal(await again.stop(), 0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('with notice, /healthz says 503 and all else goes on', { timeout: 30_000 }, async () => {
  const environment = { PORTICO_LIMITS_NOTICEMS: '3000', PORTICO_PORTS: 'ephemeral' };
  await using server = await startServer(['--storage', 'memory'], environment);
  const health = () => ask(`${server.urls.http}/healthz`, { agent: new http.Agent() });
  assert.deepEqual((await health()).status, 200);
  const stopped = server.stop();
  let answer = await health();
  for (let tries = 0; answer.status === 200 && tries < 100; tries++) answer = await health();
  assert.deepEqual([answer.status, (JSON.parse(answer.text) as { status: string }).status], [503, 'leaving']);
  const { status } = await ask(`${server.urls.http}/topics/a`, { method: 'PUT', agent: new http.Agent() }, 'x');
  assert.equal(status, 201);
  assert.equal(await stopped, 0);
});
