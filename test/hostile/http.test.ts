// Peers of HTTP/1.1 that mean harm, over real sockets: others are answered meanwhile, and the memory comes back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { besiege, type Siege, sleep } from './siege.ts';

const HOST = 'Host: localhost\r\n';
const OPTIONS = { skip: process.platform !== 'linux' && 'the memory of a process is read from /proc' };

let siege: Siege;
before(async () => {
  if (OPTIONS.skip === false) siege = await besiege();
});
after(() => siege?.[Symbol.asyncDispose]());

test('who pipelines a hundred thousand requests and takes no answer is not answered ahead', OPTIONS, async () => {
  await fetch(`http://127.0.0.1:${siege.port}/topics/large`, { method: 'PUT', body: 'x'.repeat(100_000) });
  const requests = `GET /topics/large HTTP/1.1\r\n${HOST}\r\n`.repeat(1_000);
  await siege.attack(
    async () => {
      const crowd = await siege.crowd(4, '', { deaf: true });
      for (const { socket } of crowd) for (let count = 0; count < 100; count++) socket.write(requests);
      await sleep(700);
    },
    { growthBytesMost: 64 * 1_048_576 },
  );
});

test('who pipelines and takes the answers gets them all', OPTIONS, async () => {
  await siege.attack(async () => {
    const client = await siege.open();
    const request = `GET /healthz HTTP/1.1\r\n${HOST}\r\n`;
    client.says(request.repeat(20_000));
    client.says(`GET /nothing HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    await client.hears(undefined, 10_000);
    assert.ok(client.over);
    assert.ok(client.bytes > 20_000 * 150);
  });
});

test('heads, extensions and trailers without an end are refused at their bounds', OPTIONS, async () => {
  const post = `POST /topics/a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`;
  for (const [begins, goesOn, status] of [
    [`GET / HTTP/1.1\r\n${HOST}`, 'a: b\r\n', 431],
    [`GET / HTTP/1.1\r\n${HOST}a: `, 'x'.repeat(1_000), 431],
    ['GET /', 'x'.repeat(1_000), 414],
    [`${post}1;a=`, 'x'.repeat(1_000), 400],
    [`${post}1\r\na\r\n0\r\n`, 'a: b\r\n', 431],
    [`${post}1\r\na\r\n0\r\na: `, 'x'.repeat(1_000), 431],
    [post, '0', 400],
  ] as const)
    await siege.attack(async () => {
      const crowd = await siege.crowd(20, begins);
      const more = goesOn.repeat(20);
      for (let count = 0; count < 60; count++) {
        for (const client of crowd) client.says(more);
        await sleep(1);
      }
      for (const client of crowd)
        assert.match(await client.hears(), new RegExp(`^HTTP/1.1 ${status} `), `${begins} ${goesOn.slice(0, 10)}`);
    });
});

test('long polls by the thousand, cancelled, leave nothing behind', OPTIONS, async () => {
  await siege.attack(async () => {
    await siege.crowd(2_000, `GET /topics/nothing?wait=60 HTTP/1.1\r\n${HOST}\r\n`);
  });
});

test('a body of 5 GB that is announced and never sent is refused at once', OPTIONS, async () => {
  await siege.attack(async () => {
    const crowd = await siege.crowd(200, `PUT /topics/a HTTP/1.1\r\n${HOST}Content-Length: 5368709120\r\n\r\n`);
    for (const client of crowd) assert.match(await client.hears((text) => text !== ''), /^HTTP\/1.1 413 /);
  });
});
