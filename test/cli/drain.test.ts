// SIGTERM while events, a WebSocket, and MQTT over WebSocket are open: each is told in its own way, and what was
// acknowledged is there after a restart.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import mqtt from 'mqtt';
import { WebSocket } from 'ws';
import { startServer } from '../server-process.ts';

test('SIGTERM: events end cleanly, WebSockets get 1001, acknowledged publishes stay, exit code 0', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'portico-drain-'));
  const start = () => startServer(['--data', folder, '--port', 'http1=0', 'mqtt=0', 'lines=0']);
  try {
    await using server = await start();
    const http = server.urls.http!;
    const accept = { accept: 'text/event-stream' };
    const events = await fetch(`${http}/topics/drain/%23`, { headers: accept });
    const read = events.text();
    const socket = new WebSocket(`${server.urls.ws}/topics/drain/a`);
    await once(socket, 'open');
    const socketClosed = once(socket, 'close');
    const client = await mqtt.connectAsync(server.urls['mqtt-ws']!, { protocolVersion: 5, reconnectPeriod: 0 });
    const disconnected = new Promise<{ reasonCode?: number }>((resolve) => client.once('disconnect', resolve));
    const mqttClosed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    const put = await fetch(`${http}/topics/drain/a`, { method: 'PUT', body: 'kept' });
    assert.ok(put.ok, `PUT: ${put.status}`);
    await client.publishAsync('drain/b', 'kept too', { qos: 1, retain: true });
    const since = performance.now();
    assert.equal(await server.stop(), 0);
    // leaveMs is five seconds.
    assert.ok(performance.now() - since < 6000);
    assert.match(await read, /kept/);
    assert.equal((await socketClosed)[0], 1001);
    assert.equal((await disconnected).reasonCode, 0x8b);
    await mqttClosed;
    await using again = await start();
    for (const [topic, value] of [
      ['a', 'kept'],
      ['b', 'kept too'],
    ])
      assert.equal(await (await fetch(`${again.urls.http}/topics/drain/${topic}`)).text(), value);
    assert.equal(await again.stop(), 0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
