// What takes long to do to a server, from outside: slow heads and bodies by the thousand, readers that never read, and the
// end of the process while it acknowledges.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { besiege, sleep } from '../hostile/siege.ts';
import { startServer } from '../server-process.ts';

const HOST = 'Host: localhost\r\n';
const PORTS = ['http1', 'mqtt', 'lines'].flatMap((name) => ['--port', `${name}=0`]);

test('two thousand slow heads and five hundred slow bodies end with 408', async () => {
  await using siege = await besiege();
  for (const [count, begins, seconds] of [
    [2_000, 'GET /', 17],
    [500, `POST /topics/a HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\n`, 33],
  ] as const)
    await siege.attack(async () => {
      const crowd = await siege.crowd(count, begins);
      for (let second = 0; second < seconds; second++) {
        await sleep(1_000);
        for (const client of crowd) client.says('x');
      }
      for (const client of crowd) assert.match(await client.hears((text) => text !== ''), /^HTTP\/1.1 408 /);
    });
});

test('a hundred megabytes for a thousand readers of events that never read', async () => {
  await using siege = await besiege();
  const body = 'x'.repeat(100_000);
  const post = `POST /topics/flood HTTP/1.1\r\n${HOST}Content-Length: ${body.length}\r\n\r\n${body}`;
  const answers = (text: string) => text.split('201 Created').length - 1;
  await siege.attack(
    async () => {
      await siege.crowd(1_000, `GET /topics/flood HTTP/1.1\r\n${HOST}Accept: text/event-stream\r\n\r\n`, {
        deaf: true,
      });
      const publisher = await siege.open();
      for (let count = 0; count < 1_000; count += 100) {
        publisher.says(post.repeat(100));
        await publisher.hears((text) => answers(text) === count + 100, 30_000);
      }
      assert.equal(answers(publisher.text), 1_000);
    },
    { growthBytesMost: 384 * 1_048_576 },
  );
});

test('every POST and PUT that was acknowledged before kill -9 is there after it', async () => {
  const data = mkdtempSync(join(tmpdir(), 'portico-killed-'));
  for (let round = 0; round < 10; round++) {
    await using server = await startServer(['--data', data, ...PORTS]);
    const acknowledged: string[][] = [];
    const publishers = Array.from({ length: 8 }, async (_, number) => {
      const mine: string[] = [];
      acknowledged.push(mine);
      for (let count = 0; count < 800; count++) {
        const body = `${round}-${number}-${count}`;
        const method = count % 2 === 0 ? 'POST' : 'PUT';
        const response = await fetch(`${server.urls.http}/topics/kept/${round}/${number}`, { method, body }).catch(
          () => null,
        );
        if (response === null) return;
        assert.ok(response.ok, String(response.status));
        mine.push(`${body} ${response.headers.get('cursor')}`);
      }
    });
    await sleep(300 + round * 50);
    await server.kill();
    await Promise.all(publishers);
    await using again = await startServer(['--data', data, ...PORTS]);
    for (const mine of acknowledged) {
      assert.ok(mine.length > 0);
      const number = mine[0]!.split('-')[1];
      const page = await fetch(`${again.urls.http}/topics/kept/${round}/${number}?after=0&limit=1000`);
      const there = new Set<string>();
      for (const line of (await page.text()).split('\n').filter((text) => text !== '')) {
        const { payload, cursor } = JSON.parse(line) as { payload: string; cursor: string };
        there.add(`${payload} ${cursor}`);
      }
      for (const one of mine) assert.ok(there.has(one), one);
    }
    await again.stop();
  }
  rmSync(data, { recursive: true });
});
