// The recorder over simulated pipes, with the dissectors of real protocols handed in: what is told, in what order, and what
// is passed over when there is too much.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Pipe, Session } from '../core/pipe.ts';
import { Recorder as Recording } from '../core/pipe-suite.ts';
import { MASKED } from '../core/tap.ts';
import { http1Dissector } from '../protocols/http1/dissect.ts';
import { linesDissector } from '../protocols/lines/dissect.ts';
import { mqttDissector } from '../protocols/mqtt/dissect.ts';
import { webSocketDissector } from '../protocols/websocket/dissect.ts';
import { RecognisingSession } from '../server/recognise.ts';
import { linkPipes, type SimulatedPipe } from '../sim/pipes.ts';
import { World } from '../sim/world.ts';
import { type Dissectors, Veiled } from './lane.ts';
import { Recorder, type RecorderBounds } from './recorder.ts';
import type { FrameSeen, Seen } from './seen.ts';

const DISSECTORS: Readonly<Record<string, typeof mqttDissector>> = {
  http1: http1Dissector,
  lines: linesDissector,
  mqtt: mqttDissector,
  websocket: webSocketDissector,
  'websocket/mqtt': (direction, late) => new Veiled(webSocketDissector(direction, late)),
};

const dissectors: Dissectors = (protocol, direction, late) => {
  if (protocol !== 'broken') return DISSECTORS[protocol]?.(direction, late) ?? null;
  if (direction === 'out') return linesDissector(direction, late);
  return {
    push() {
      throw new Error('a bug');
    },
  };
};

function house(bounds: Partial<RecorderBounds> = {}) {
  const world = new World(1);
  const seen: Seen[] = [];
  const bugs: unknown[] = [];
  const lost = { events: 0 };
  let spent = 0;
  const recorder = new Recorder({
    dissectors,
    clock: () => world.turn.clock,
    later: (step) => void world.after(8, step),
    // Each reading takes a while: a step does only so much.
    elapsed: () => (spent += 0.2),
    seen: (one) => seen.push(one),
    lost: (events) => (lost.events += events),
    bug: (error) => bugs.push(error),
    wantsBytes: () => true,
    bounds,
  });
  return { world, seen, recorder, bugs, lost };
}

/** A connection whose server is watched from its beginning, or later. */
function connect(
  { world, recorder }: ReturnType<typeof house>,
  protocol: string,
  { late = false, cut = 0, serve }: { late?: boolean; cut?: number; serve?: (pipe: Pipe) => Session } = {},
) {
  let client!: Recording;
  let server!: Recording;
  let pipe!: SimulatedPipe;
  const watch = () => {
    pipe.tap = recorder;
    recorder.opened(pipe.id, pipe.peer, protocol, world.turn.clock.now, pipe.receivedBytes, pipe.sentBytes);
  };
  linkPipes(
    world,
    (made) => (client = new Recording(made)),
    (made) => {
      pipe = made as SimulatedPipe;
      if (!late) watch();
      return serve?.(made) ?? (server = new Recording(made));
    },
    { cut },
  );
  return { client, server: () => server, watch, pipe };
}

function send(pipe: Pipe, said: string | Buffer): void {
  const bytes = Buffer.from(said as string);
  pipe.out.copy(bytes, 0, bytes.length);
  pipe.flush();
}

const frames = (seen: readonly Seen[]) => seen.filter((one): one is FrameSeen => one.event === 'frame');
const short = (seen: readonly Seen[]) =>
  seen.map((one) => (one.event === 'frame' ? `${one.direction} ${one.protocol} ${one.label}` : one.event));

test('a connection is told: opened, its frames both ways, its fault, closed', () => {
  const all = house();
  const { client, server } = connect(all, 'lines');
  client.say('PUB a 1\n');
  all.world.pass(20);
  server().say('+OK\n');
  all.world.pass(20);
  server().pipe.fail({ id: 'lines.test', wire: 0, spec: '§0', text: 'It is a test.', scope: 'connection' });
  client.pipe.end();
  all.world.pass(5_000);
  assert.deepEqual(short(all.seen), ['opened', 'in lines PUB', 'out lines +OK', 'fault', 'closed']);
  const [frame] = frames(all.seen);
  assert.equal(frame!.size, 8);
  assert.deepEqual(
    frame!.pieces.map(({ label, value }) => `${label} ${value}`),
    ['topic a', 'rest 1'],
  );
  assert.equal(frame!.bytes, Buffer.from('PUB a 1\n').toString('hex'));
  assert.ok(all.seen.every(({ at, connection }) => at >= 1_800_000_000_000 && connection === frame!.connection));
});

test('nothing is dissected within the turn in which it came', () => {
  const all = house();
  const { client, server } = connect(all, 'lines');
  client.say('PUB a 1\n');
  all.world.pass(4);
  assert.equal(server().text, 'PUB a 1\n');
  assert.deepEqual(all.seen, []);
  all.world.pass(20);
  assert.equal(all.seen.length, 2);
});

test('on a shared port the protocol is known to the inspector once it is recognised, with its first byte', () => {
  for (const cut of [0, 1, 5]) {
    const all = house();
    const { client } = connect(all, 'shared', {
      cut,
      serve: (pipe) =>
        new RecognisingSession(
          pipe,
          all.world.turn.clock,
          [
            {
              name: 'lines',
              recognises: (bytes, start, end) => (end - start < 4 ? null : bytes[start] === 0x50),
              make: (made) => new Recording(made),
            },
          ],
          null,
        ),
    });
    client.say('PUB a 1\nPUB b 2\n');
    all.world.pass(200);
    assert.deepEqual(short(all.seen), ['opened', 'layer', 'in lines PUB', 'in lines PUB'], `cut at ${cut}`);
  }
});

test('what is never recognised is told by its size alone', () => {
  const all = house();
  const { client } = connect(all, 'shared', {
    serve: (pipe) => new RecognisingSession(pipe, all.world.turn.clock, [], null),
  });
  client.say('secret');
  all.world.pass(500);
  const [frame] = frames(all.seen);
  assert.equal(frame!.value, '6 bytes');
  assert.doesNotMatch(JSON.stringify(all.seen), /secret|736563726574/);
});

test('after an upgrade the next protocol is read from its first byte, in both directions', () => {
  const all = house();
  const { client, server } = connect(all, 'http1');
  const head = 'GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n';
  const masked = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
  // The first frame follows at once, within the same bytes.
  send(client.pipe, Buffer.concat([Buffer.from(head), masked]));
  server().take = (available) => Math.min(available, head.length);
  all.world.pass(1);
  const { pipe } = server();
  send(pipe, 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n');
  pipe.speaks('websocket');
  const next = new Recording(pipe);
  send(pipe, Buffer.from([0x81, 0x02, 0x79, 0x6f]));
  pipe.become(next);
  pipe.flush();
  all.world.pass(100);
  assert.deepEqual(short(all.seen), [
    'opened',
    'in http1 GET',
    'layer',
    'in websocket text',
    'out http1 101',
    'out websocket text',
  ]);
  assert.deepEqual(
    frames(all.seen).map(({ value }) => value),
    ['/ws HTTP/1.1', 'hi', 'Switching Protocols HTTP/1.1', 'yo'],
  );
});

test('the payload of a carried stream is shown as its own connection and not a second time', () => {
  const all = house();
  const { client } = connect(all, 'websocket/mqtt');
  const secret = Buffer.from('hunter2hunter2');
  send(client.pipe, Buffer.concat([Buffer.from([0x82, 0x80 | secret.length, 0, 0, 0, 0]), secret]));
  all.world.pass(100);
  const [frame] = frames(all.seen);
  assert.equal(frame!.value, '14 bytes');
  assert.equal(frame!.pieces.find(({ label }) => label === 'payload')!.value, MASKED);
  assert.doesNotMatch(JSON.stringify(all.seen), /hunter2|68756e746572/);
});

test('secrets are masked in the tree and in the bytes', () => {
  const cases: readonly [protocol: string, said: string | Buffer][] = [
    ['lines', 'NAME ann hunter2\n'],
    ['lines', 'NAEM ann hunter2\n'],
    ['http1', 'GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer hunter2\r\nCookie: s=hunter2\r\n\r\n'],
    ['http1', 'GET /x?access_token=hunter2&a=b HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['http1', '\x16\x03\x01 no HTTP hunter2\r\n\r\nhunter2'],
    ['mqtt', Buffer.from('\x10\x18\0\x04MQTT\x04\xc2\0\x3c\0\0\0\x01u\0\x07hunter2', 'latin1')],
    ['nobody-knows', 'hunter2'],
  ];
  for (const [protocol, said] of cases) {
    const all = house();
    const { client } = connect(all, protocol);
    send(client.pipe, said);
    all.world.pass(200);
    assert.ok(frames(all.seen).length > 0, String(said));
    assert.doesNotMatch(JSON.stringify(all.seen), /hunter2|68756e74657232/, String(said));
  }
});

test('who joins late says so, and reads on where the bytes are', () => {
  const all = house();
  const { client, watch } = connect(all, 'lines', { late: true });
  client.say('PUB a 1\n');
  all.world.pass(20);
  watch();
  client.say('PUB b 2\n');
  all.world.pass(20);
  assert.deepEqual(
    all.seen.map((one) => (one.event === 'opened' ? one.late : one.event === 'frame' && one.value)),
    [true, ''],
  );
  assert.equal(all.recorder.standing().length, 1);
});

test('what the ring has no room for is counted and told', () => {
  const all = house({ ringBytes: 4_096, sliceBytes: 512 });
  const { client } = connect(all, 'lines');
  const line = 'PUB a 0123456789\n';
  for (let round = 0; round < 20; round++) client.say(line.repeat(100));
  all.world.pass(10_000);
  const skipped = all.seen.filter((one) => one.event === 'skipped');
  assert.ok(skipped.length > 0);
  const lost = skipped.reduce((sum, { bytes }) => sum + bytes, 0);
  assert.ok(lost < 20 * 100 * line.length);
  assert.ok(frames(all.seen).length > 50);
  assert.deepEqual(all.world.bugs, []);
});

test('the entries that wait are bounded too', () => {
  const all = house({ entriesMax: 10 });
  const { client } = connect(all, 'lines', { cut: 1 });
  client.say('PUB a 1\n'.repeat(20));
  all.world.pass(1_000);
  assert.ok(all.seen.some(({ event }) => event === 'skipped'));
  assert.deepEqual(all.world.bugs, []);
});

test('however the bytes are cut, the same frames are told', () => {
  const said = 'PUB a 1\nSUB b/#\nPUB! 5 c\nPING\n';
  const told = (cut: number, sliceBytes: number) => {
    const all = house({ sliceBytes });
    const { client } = connect(all, 'lines', { cut });
    client.say(said);
    all.world.pass(2_000);
    return frames(all.seen).map(({ label, value, size, bytes }) => [label, value, size, bytes]);
  };
  const whole = told(0, 4_096);
  assert.ok(whole.length >= 3);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 40 }), (cut, slice) =>
      assert.deepEqual(told(cut, slice), whole),
    ),
    { numRuns: 40 },
  );
});

test('a dissector that throws is a bug, and costs its own direction only', () => {
  const all = house();
  const { client, server } = connect(all, 'broken');
  client.say('PUB a 1\n');
  all.world.pass(20);
  client.say('more');
  server().say('+OK\n');
  all.world.pass(20);
  assert.equal(all.bugs.length, 1);
  assert.deepEqual(
    frames(all.seen).map(({ direction, value, label }) => [direction, label, value]),
    [
      ['out', '+OK', ''],
      ['in', 'bytes', '4 bytes'],
    ],
  );
});

test('events that wait are bounded, and those that are not taken are counted', () => {
  const all = house({ entriesMax: 10 });
  for (let round = 0; round < 50; round++) connect(all, 'lines');
  all.world.pass(100);
  assert.equal(all.seen.length, 20);
  assert.equal(all.lost.events, 30);
});

test('the end tells all that waits', () => {
  const all = house();
  const { client } = connect(all, 'lines');
  client.say('PUB a 1\n');
  all.world.pass(2);
  all.recorder.drain();
  assert.deepEqual(short(all.seen), ['opened', 'in lines PUB']);
});
