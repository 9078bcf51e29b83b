// Peers of WebSocket that mean harm, over real sockets: others are answered meanwhile, and the memory comes back.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { besiege, frame, opening, type Siege, sleep } from './siege.ts';

const OPTIONS = { skip: process.platform !== 'linux' && 'the memory of a process is read from /proc' };
const DEFLATE = 'Sec-WebSocket-Extensions: permessage-deflate\r\n';
const JSON_TOPICS = 'Sec-WebSocket-Protocol: portico.json\r\n';
const isOpen = (text: string) => text.startsWith('HTTP/1.1 101 ') && text.includes('\r\n\r\n');
const MEBIBYTE = 1_048_576;

let siege: Siege;
before(async () => {
  if (OPTIONS.skip === false) siege = await besiege();
});
after(() => siege?.[Symbol.asyncDispose]());

async function sockets(count: number, path: string, fields = '') {
  const crowd = await siege.crowd(count, opening(path, fields));
  for (const socket of crowd) assert.ok(isOpen(await socket.hears(isOpen)));
  return crowd;
}

/** The code of the close frame at the end of what was said. */
function closeCode(text: string): number {
  const at = text.lastIndexOf('\x88');
  return at < 0 ? 0 : (text.charCodeAt(at + 2) << 8) | text.charCodeAt(at + 3);
}

test('frames that are announced and never sent take no memory', OPTIONS, async () => {
  const announced = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0xf0, 0, 0, 0, 0, 0, 0]);
  await siege.attack(
    async () => {
      for (const socket of await sockets(300, '/topics/huge')) socket.says(announced);
      await sleep(100);
    },
    { growthBytesMost: 64 * MEBIBYTE },
  );
});

test('pings whose answers are not taken are not read for ever', OPTIONS, async () => {
  const pings = Buffer.concat(Array.from({ length: 1_000 }, () => frame(0x89, 'p'.repeat(125))));
  await siege.attack(async () => {
    const crowd = await siege.crowd(5, opening('/topics/ping'), { deaf: true });
    for (let count = 0; count < 150; count++) for (const socket of crowd) socket.says(pings);
    await sleep(500);
  });
});

test(
  'a subscriber that reads nothing costs the publisher nothing, and no more memory than its queue',
  OPTIONS,
  async () => {
    const events = 'GET /topics/flood HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n';
    const body = 'x'.repeat(100_000);
    const post = `POST /topics/flood HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    await siege.attack(
      async () => {
        await siege.crowd(50, opening('/topics/flood'), { deaf: true });
        await siege.crowd(50, events, { deaf: true });
        const publisher = await siege.open(post.repeat(200));
        const answers = (text: string) => text.split('201 Created').length - 1;
        await publisher.hears((text) => answers(text) === 200, 10_000);
        assert.equal(answers(publisher.text), 200);
      },
      { growthBytesMost: 256 * MEBIBYTE },
    );
  },
);

test('compressed messages that are too long inflated are refused with 1009', OPTIONS, async () => {
  const bomb = frame(0xc2, deflateRawSync(Buffer.alloc(30 * MEBIBYTE)));
  await siege.attack(
    async () => {
      const crowd = await sockets(10, '/topics/bomb', DEFLATE);
      for (const socket of crowd) socket.says(bomb);
      for (const socket of crowd) assert.equal(closeCode(await socket.hears((text) => closeCode(text) > 0)), 1009);
    },
    { growthBytesMost: 384 * MEBIBYTE },
  );
});

test(
  'portico.json: what is nested, long or too much is answered with INVALID, and the socket goes on',
  OPTIONS,
  async () => {
    await siege.attack(async () => {
      for (const attack of [
        `{"publish":"a","id":1,"json":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
        `{"publish":"a","json":1,"id":"${'x'.repeat(100_000)}"}`,
        `{"publish":"a","id":1,"properties":[${'["a","b"],'.repeat(10_000)}["a","b"]],"payload":""}`,
        `{"publish":"${'a/'.repeat(50_000)}","id":1,"payload":""}`,
      ]) {
        const [socket] = await sockets(1, '/ws', JSON_TOPICS);
        socket!.says(frame(0x81, attack));
        assert.match(await socket!.hears((text) => text.includes('INVALID')), /"outcome":"INVALID"/);
        socket!.says(frame(0x81, '{"publish":"a","payload":"","id":"still here"}'));
        assert.match(await socket!.hears((text) => text.includes('still')), /"ack":"still here"/);
      }
    });
  },
);

test('RFC 6455 §5.5.1: what came before a close frame is done before that is answered', OPTIONS, async () => {
  const close = frame(0x88, Buffer.from([0x0f, 0xa1]));
  const publish = frame(0x81, '{"publish":"last","payload":"","id":7}');
  const data = mkdtempSync(join(tmpdir(), 'portico-close-'));
  // On a disk: in memory nothing takes time.
  await using lasting = await besiege(['--storage', 'sqlite', '--data', data]);
  for (const [path, fields, asked, told] of [
    ['/topics/last', '', frame(0x81, 'words'), 'words'],
    ['/ws', JSON_TOPICS, publish, '{"ack":7,"cursor":"N"}'],
  ] as const) {
    const socket = await lasting.open(opening(path, fields));
    await socket.hears(isOpen);
    socket.says(Buffer.concat([asked, close, frame(0x81, 'nothing more')]));
    const text = await socket.hears();
    // What the server itself announces of its connections may take a cursor in between.
    const plain = text.replace(/"cursor":"\d+"/, '"cursor":"N"');
    assert.ok(plain.endsWith(`${told}\x88\x02\x0f\xa1`), JSON.stringify(text));
    assert.ok(socket.over, 'the server closes the connection');
  }
  await lasting.server.stop();
  rmSync(data, { recursive: true });
});

for (const [how, path, fields, bomb] of [
  ['bare topics', '/topics/large?echo=false', DEFLATE, Buffer.alloc(15 * MEBIBYTE)],
  [
    'portico.json',
    '/ws',
    DEFLATE + JSON_TOPICS,
    Buffer.from(`{"publish":"a","payload":"${' '.repeat(4 * MEBIBYTE)}"}`),
  ],
] as const)
  test(`large messages wait for those before them, however small they come: ${how}`, OPTIONS, async () => {
    const first = how === 'portico.json' ? 0xc1 : 0xc2;
    const message = frame(first, deflateRawSync(bomb));
    await siege.attack(
      async () => {
        const crowd = await sockets(2, path, fields);
        const many = Buffer.concat(Array.from({ length: 100 }, () => message));
        for (const socket of crowd) socket.says(many);
        await sleep(500);
      },
      { growthBytesMost: 768 * MEBIBYTE },
    );
  });
