import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fields } from '../../core/fields.ts';
import { bindLimits } from '../../core/limits.ts';
import type { Pipe } from '../../core/pipe.ts';
import { Recorder } from '../../core/pipe-suite.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { WebSocketClient, type WebSocketClientOptions } from './client.ts';
import { faults, handshakeFaults } from './faults.ts';
import { limits } from './limits.ts';
import { acceptOf } from './proof.ts';
import { closing, Echo, frame, readFrames, shown } from './testing/bench.ts';

type Answer = (key: string) => string | Buffer;

interface Client {
  readonly world: World;
  readonly server: Recorder;
  readonly head: () => string;
  readonly refused: string[];
  readonly echoes: Echo[];
  /** What came behind the request. */
  readonly frames: () => string[];
}

function open(answer: Answer | null, options: Partial<WebSocketClientOptions> = {}, cut = 0): Client {
  const world = new World(cut + 1);
  const refused: string[] = [];
  const echoes: Echo[] = [];
  let server!: Recorder;
  linkPipes(
    world,
    (pipe: Pipe) =>
      new WebSocketClient(pipe, {
        authority: 'example.org:8080',
        target: '/topics/a?after=1',
        limits: bindLimits(limits),
        entropy: world.random,
        open(messages) {
          const echo = new Echo(messages);
          echoes.push(echo);
          return echo;
        },
        refused: (fault, cause, status, fields) =>
          void refused.push(`${fault?.id ?? '-'} ${cause} ${status} ${fields.list.length}`),
        ...options,
      }),
    (pipe) => (server = new Recorder(pipe)),
    { cut },
  );
  const head = () => server.text.slice(0, server.text.indexOf('\r\n\r\n') + 4);
  let answered = false;
  server.onReceive = () => {
    const key = /Sec-WebSocket-Key: (.*)\r\n/.exec(server.text)?.[1];
    if (answered || answer === null || key === undefined || !server.text.includes('\r\n\r\n')) return;
    answered = true;
    const bytes = Buffer.from(answer(key));
    server.pipe.share(bytes, 0, bytes.length);
    server.pipe.flush();
  };
  world.pass(1_000);
  return {
    world,
    server,
    head,
    refused,
    echoes,
    frames: () => readFrames(server.received.subarray(head().length)).map(shown),
  };
}

const right = (key: string, more = ''): string =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n${more}\r\n`;

test('§4.1: the request', () => {
  const fields = Fields.of({ Authorization: 'Bearer x' });
  const { head, world } = open(null, { subprotocols: ['portico.json', 'mqtt'], fields });
  const key = /Sec-WebSocket-Key: (.*)\r\n/.exec(head())![1]!;
  assert.equal(Buffer.from(key, 'base64').length, 16);
  assert.equal(
    head().replace(key, '*'),
    [
      'GET /topics/a?after=1 HTTP/1.1',
      'Host: example.org:8080',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: *',
      'Sec-WebSocket-Protocol: portico.json, mqtt',
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
      'authorization: Bearer x',
      '\r\n',
    ].join('\r\n'),
  );
  assert.ok(!open(null, { compress: false }).head().includes('Extensions'));
  assert.deepEqual(world.bugs, []);
});

for (const cut of [0, 1, 30]) {
  test(`§4.1: the answer, with frames right behind it, cut ${cut}`, () => {
    const first = frame(1, 'hello', { masked: false });
    const { world, server, echoes, refused, frames } = open(
      (key) =>
        Buffer.concat([
          Buffer.from(
            `HTTP/1.1 103 Early Hints\r\nLink: ${'x'.repeat(600)}\r\n\r\n${right(key, 'Sec-WebSocket-Protocol: b\r\n')}`,
          ),
          first,
        ]),
      { subprotocols: ['a', 'b'] },
      cut,
    );
    assert.deepEqual(frames(), ['text hello']);
    assert.equal(echoes[0]!.messages.subprotocol, 'b');
    assert.equal(echoes[0]!.messages.target, '/topics/a?after=1');
    server.pipe.share(frame(8, closing(1000), { masked: false }), 0, 4);
    server.pipe.end();
    world.pass(1_000);
    assert.deepEqual(frames(), ['text hello', 'close 1000']);
    assert.deepEqual(echoes[0]!.told, ['text hello', 'lost ended 1000']);
    assert.deepEqual(refused, []);
    assert.deepEqual(world.bugs, []);
  });
}

test('RFC 7692: what the server chose is used both ways', () => {
  const { server, world, echoes } = open(
    (key) =>
      Buffer.concat([
        Buffer.from(right(key, 'Sec-WebSocket-Extensions: permessage-deflate\r\n')),
        frame(1, Buffer.from('f248cdc9c90700', 'hex'), { rsv: 4, masked: false }),
        frame(1, Buffer.from('f200110000', 'hex'), { rsv: 4, masked: false }),
      ]),
    { limits: bindLimits(limits, { compressBytesLeast: 0 }) },
  );
  assert.deepEqual(echoes[0]!.told, ['text Hello', 'text Hello']);
  const sent = readFrames(server.received.subarray(server.text.indexOf('\r\n\r\n') + 4));
  assert.deepEqual(
    sent.map(({ rsv }) => rsv),
    [4, 4],
  );
  assert.deepEqual(world.bugs, []);
});

test('§4.1: answers that a client fails on', () => {
  const said = (line: string, replaced: string) => (key: string) => right(key).replace(line, replaced);
  const cases: [keyof typeof handshakeFaults, Answer, status: number][] = [
    ['notHttp', () => 'SSH-2.0-x\r\n', 0],
    ['notHttp', () => 'HTTP/1.0 101 x\r\n\r\n', 0],
    ['notHttp', () => 'HTTP/1.1 1 x\r\n\r\n', 0],
    ['notHttp', () => 'HTTP/1.1 101 x\r\nno field\r\n\r\n', 101],
    ['refused', () => 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n', 401],
    ['refused', () => 'HTTP/1.1 200\r\n\r\n', 200],
    ['notUpgraded', said('Upgrade: WebSocket', 'Upgrade: h2c'), 101],
    ['notUpgraded', said('Upgrade: WebSocket\r\n', ''), 101],
    ['notUpgraded', said('keep-alive, Upgrade', 'keep-alive'), 101],
    ['wrongAccept', () => right('x'), 101],
    ['wrongAccept', (key) => right(key, `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n`), 101],
    ['wrongSubprotocol', (key) => right(key, 'Sec-WebSocket-Protocol: b\r\n'), 101],
    ['wrongSubprotocol', (key) => right(key, 'Sec-WebSocket-Protocol: A\r\n'), 101],
    ['wrongExtension', (key) => right(key, 'Sec-WebSocket-Extensions: x\r\n'), 101],
    ['wrongExtension', (key) => right(key, 'Sec-WebSocket-Extensions: permessage-deflate; x\r\n'), 101],
    ['wrongExtension', (key) => right(key, 'Sec-WebSocket-Extensions: ;\r\n'), 101],
    ['answerTooLong', () => `HTTP/1.1 101 ${'x'.repeat(20_000)}`, 0],
    ['answerTooLong', (key) => right(key, `A: ${'x'.repeat(20_000)}\r\n`), 101],
  ];
  for (const [name, answer, status] of cases)
    for (const cut of [0, 5]) {
      const { refused, echoes, world, server } = open(answer, { subprotocols: ['a'] }, cut);
      world.pass(5_000);
      assert.equal(refused.length, 1, name);
      assert.match(
        refused[0]!,
        new RegExp(`^${handshakeFaults[name].id} fault ${name === 'answerTooLong' ? '\\d+' : status} `),
      );
      assert.deepEqual(echoes, []);
      assert.ok(server.told.includes('finish'));
      assert.deepEqual(world.bugs, []);
    }
  const unasked: Answer = (key) => right(key, 'Sec-WebSocket-Extensions: permessage-deflate\r\n');
  assert.match(open(unasked, { compress: false }).refused[0]!, /wrongExtension/);
});

test('a server that says nothing, or goes', () => {
  const silent = open(null);
  silent.world.pass(limits.openMs.default + 100);
  assert.deepEqual(silent.refused, [`${handshakeFaults.late.id} fault 0 0`]);
  const gone = open(() => 'HTTP/1.1 101 ');
  gone.server.pipe.end();
  gone.world.pass(100);
  assert.deepEqual(gone.refused, ['- ended 0 0']);
});

test('an open socket has the time of its own, not that of the handshake', () => {
  const { world, echoes, frames } = open(right);
  world.pass(25_000);
  assert.deepEqual(echoes[0]!.told, []);
  world.pass(60_000);
  assert.deepEqual(frames().slice(0, 2), ['ping', `close ${faults.noPong.wire}`]);
});

test('fields that would break the request are a mistake of the caller’s', () => {
  assert.throws(() => open(null, { fields: Fields.of({ a: 'b\r\nc: d' }) }), RangeError);
  assert.throws(() => open(null, { target: '/a b' }), RangeError);
});
