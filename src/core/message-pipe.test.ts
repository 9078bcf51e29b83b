import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { linkMessages } from '../sim/messages.ts';
import { World } from '../sim/world.ts';
import { callerOf } from './caller.ts';
import { carryPipe, messagePipe, messagePipeFaults } from './message-pipe.ts';
import type { MessageSession, Messages } from './messages.ts';
import { ENDED, type Pipe, RESET, SHUTDOWN } from './pipe.ts';
import { pipeSuite, Recorder, SUITE_BOUNDS } from './pipe-suite.ts';
import { NO_EVENTS, PIPE_BOUNDS, type StreamPipe } from './stream-pipe.ts';
import { type Clock, NEVER } from './time.ts';

for (const cut of [0, 7]) {
  pipeSuite(`messages as a stream, cut ${cut}`, async () => {
    const world = new World(cut + 1);
    return {
      async join(near, far) {
        let a!: StreamPipe;
        let b!: StreamPipe;
        const carry = (make: typeof near, made: (pipe: StreamPipe) => void) => (messages: Messages) => {
          const { session, pipe } = carryPipe(world.turn, messages, SUITE_BOUNDS, NO_EVENTS, make);
          made(pipe);
          return session;
        };
        linkMessages(
          world,
          carry(near, (pipe) => (a = pipe)),
          carry(far, (pipe) => (b = pipe)),
          { cut, bounds: { ...SUITE_BOUNDS, inputMax: 200_000 } },
        );
        return { near: a, far: b };
      },
      async until(done) {
        world.pass(1);
        for (let ms = 0; !done(); ms++) {
          assert.ok(ms < 60_000, 'nothing more happens');
          world.pass(1);
        }
      },
      bugs: world.bugs,
      tls: null,
      resets: true,
      halfCloses: false,
      dispose: async () => {},
    };
  });
}

/** The other end of a stream: messages as they are. */
class Far implements MessageSession {
  readonly messages: Messages;
  deadline = NEVER;
  readonly got: string[] = [];
  readonly sizes: number[] = [];
  code = 0;

  constructor(messages: Messages) {
    this.messages = messages;
  }

  receive(input: Uint8Array, start: number, end: number, text: boolean): void {
    this.sizes.push(end - start);
    if (end - start < 1_000) this.got.push(`${text ? 't' : 'b'}:${Buffer.from(input.subarray(start, end))}`);
  }

  writable(): void {}
  tick(_clock: Clock): void {}
  leave(): void {}

  lost(_cause: unknown, wire: number): void {
    this.code = wire;
  }

  say(bytes: Uint8Array | string, text = false): void {
    const copy = Buffer.from(bytes as Uint8Array);
    this.messages.send(copy, 0, copy.length, text);
    this.messages.flush();
  }
}

function against(bounds = PIPE_BOUNDS): {
  world: World;
  near: Recorder;
  far: Far;
  faulted: string[];
  leave(): void;
  cut(): void;
} {
  const world = new World(3);
  const faulted: string[] = [];
  let near!: Recorder;
  let far!: Far;
  const events = { ...NO_EVENTS, faulted: (_pipe: unknown, { id }: { id: string }) => void faulted.push(id) };
  const link = linkMessages(
    world,
    (messages) => messagePipe(world.turn, messages, bounds, events, (pipe: Pipe) => (near = new Recorder(pipe))),
    (messages) => (far = new Far(messages)),
    { bounds: { inputMax: 1_000_000 } },
  );
  world.pass(5);
  return {
    world,
    near,
    far,
    faulted,
    leave: () => link.near.leave(SHUTDOWN, 1_000),
    cut: () => {
      link.near.lose();
      link.far.lose();
    },
  };
}

test('text is refused with 1003, and what was written before goes out ([MQTT-6.0.0-1])', () => {
  const { world, near, far, faulted } = against();
  near.say('before');
  far.say('text', true);
  world.pass(10);
  assert.deepEqual(far.got, ['b:before']);
  assert.equal(far.code, 1003);
  assert.equal(near.total, 0);
  assert.deepEqual(faulted, [messagePipeFaults.notBinary.id]);
  assert.deepEqual(near.told, ['lost fault']);
  assert.deepEqual(world.bugs, []);
});

test('wherever the messages are cut, the stream is the same ([MQTT-6.0.0-2])', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (pieces) => {
      const { world, near, far } = against();
      for (const piece of pieces) far.say(piece);
      world.pass(20);
      assert.deepEqual(near.received, Buffer.concat(pieces));
      assert.deepEqual(world.bugs, []);
    }),
    { numRuns: 50 },
  );
});

test('one message a turn, and none larger than 64 KiB', () => {
  const { world, near, far } = against();
  for (const text of ['one', 'two', 'three']) near.say(text);
  world.pass(10);
  assert.deepEqual(far.got, ['b:onetwothree']);
  far.sizes.length = 0;
  const large = Buffer.alloc(200_000, 'L');
  near.pipe.out.ascii('head');
  near.pipe.share(large, 0, large.length);
  near.pipe.out.ascii('tail');
  near.pipe.flush();
  world.pass(50);
  assert.deepEqual(far.sizes, [4, 65_536, 65_536, 65_536, 3_392, 4]);
});

test('an end closes with 1000, a reset of ours with 1002, a bug with 1011', () => {
  for (const [how, code] of [
    [(near: Recorder) => near.pipe.end(), 1000],
    [(near: Recorder) => near.pipe.reset(7), 1002],
    [
      (near: Recorder) => {
        near.deadline = 0;
        near.tick = () => {
          throw new Error('a bug of ours');
        };
        near.pipe.flush();
      },
      1011,
    ],
  ] as const) {
    const { world, near, far } = against();
    how(near);
    world.pass(50);
    assert.equal(far.code, code);
    assert.equal(near.told.filter((line) => line.startsWith('lost')).length, 1);
  }
});

test('what the peer sent before it closed is consumed, though the session had paused', () => {
  const { world, near, far } = against();
  near.take = () => 2;
  near.onReceive = () => near.pipe.pause();
  far.say('abcdef');
  far.messages.end(1000);
  for (const expected of ['ab', 'abcd', 'abcdef']) {
    world.pass(10);
    assert.equal(near.text, expected);
    assert.deepEqual(near.told, []);
    near.pipe.resume();
  }
  world.pass(10);
  assert.deepEqual(near.told, ['finish', `lost ${ENDED}`]);
  assert.deepEqual(world.bugs, []);
});

test('so it is where the messages are gone already, and what is answered does no harm', () => {
  const world = new World(1);
  const said: string[] = [];
  let near!: Recorder;
  let opened!: Messages;
  const far = linkMessages(
    world,
    (messages) => new Far((opened = messages)),
    (messages) => new Far(messages),
  );
  world.pass(5);
  const messages: Messages = Object.assign(Object.create(opened) as Messages, {
    send: () => void said.push('send'),
    end: (code: number) => void said.push(`end ${code}`),
  });
  const session = messagePipe(world.turn, messages, PIPE_BOUNDS, NO_EVENTS, (pipe) => (near = new Recorder(pipe)));
  near.take = () => 3;
  near.onReceive = () => near.pipe.pause();
  session.receive(Buffer.from('abcdef'), 0, 6, false, world.turn.clock);
  session.lost(ENDED, 1000, world.turn.clock);
  world.pass(5_000);
  assert.equal(near.text, 'abc');
  assert.deepEqual(near.told, []);
  near.say('answer');
  near.onReceive = null;
  near.pipe.resume();
  world.pass(10);
  assert.equal(near.text, 'abcdef');
  assert.deepEqual(near.told, ['finish', `lost ${ENDED}`]);
  assert.deepEqual(said, []);
  assert.deepEqual(world.bugs, []);
  assert.ok(far.near.isAlive);
});

test('a close that says something went wrong, and a lost connection, are resets', () => {
  const { world, near, far } = against();
  far.messages.end(1002, 'no');
  world.pass(10);
  assert.deepEqual(near.told, [`lost ${RESET} 1002`]);
  const other = against();
  other.cut();
  other.world.pass(10);
  assert.deepEqual(other.near.told, [`lost ${RESET} 1006`]);
});

test('leave is told to the session, whose goodbye goes out', () => {
  const { world, near, far, leave } = against();
  leave();
  world.pass(50);
  assert.deepEqual(far.got, ['b:goodbye']);
  assert.equal(far.code, 1000);
  assert.deepEqual(near.told, ['leave shutdown', 'finish', `lost ${ENDED}`]);
});

test('what the messages have no room for waits, and the session feels it', () => {
  const { world, near, far } = against({ ...PIPE_BOUNDS, highMark: 100_000, lowMark: 20_000 });
  far.messages.pause();
  const piece = Buffer.alloc(50_000, 'p');
  let sent = 0;
  for (let round = 0; round < 200 && near.pipe.room > 0; round++) {
    near.pipe.share(piece, 0, piece.length);
    near.pipe.flush();
    sent += piece.length;
    world.pass(1);
  }
  assert.equal(near.pipe.room, 0);
  assert.ok(sent < 3_000_000, `${sent} bytes`);
  far.messages.resume();
  world.pass(1_000);
  assert.equal(
    far.sizes.reduce((sum, size) => sum + size, 0),
    sent,
  );
  assert.deepEqual(near.told, ['writable']);
});

test('who comes for somebody else is no local program, and what carries the messages lies below', () => {
  for (const origin of ['local', 'remote'] as const) {
    const world = new World(1);
    let pipe!: StreamPipe;
    let below!: Messages;
    linkMessages(
      world,
      (messages) => {
        below = messages;
        const carried = carryPipe(world.turn, messages, PIPE_BOUNDS, NO_EVENTS, (made) => new Recorder(made));
        pipe = carried.pipe;
        return carried.session;
      },
      (messages) => new Far(messages),
      { caller: { account: '', scopes: null, origin, epoch: 0 } },
    );
    assert.equal(pipe.peer.carrier, 'websocket');
    assert.equal(pipe.peer.below, below.peer);
    assert.equal(callerOf(pipe.peer, '', 0).origin, origin);
  }
});
