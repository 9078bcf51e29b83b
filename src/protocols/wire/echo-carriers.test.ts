// The echo over what is carried by something else: a stream of a multiplexed connection, the pipe that an HTTP exchange
// hands over, and whole messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fields } from '../../core/fields.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import type { MuxSession } from '../../core/mux.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import { type PipesUnderTest, SUITE_BOUNDS } from '../../core/pipe-suite.ts';
import type { StreamPipe } from '../../core/stream-pipe.ts';
import { NEVER } from '../../core/time.ts';
import { simulateRequest } from '../../sim/exchange.ts';
import { linkMessages } from '../../sim/messages.ts';
import { linkMux } from '../../sim/mux.ts';
import { World } from '../../sim/world.ts';
import { echoing, echoSuite } from './testing/echo-suite.ts';

const OPTIONS = { cut: 400, bounds: SUITE_BOUNDS };

function runner(world: World) {
  return async (done: () => boolean): Promise<void> => {
    world.pass(1);
    for (let ms = 0; !done(); ms++) {
      assert.ok(ms < 60_000, 'nothing more happens');
      world.pass(1);
    }
  };
}

const quiet = (opened: (pipe: Pipe) => Session): MuxSession => ({
  deadline: NEVER,
  opened,
  mayOpen() {},
  datagram() {},
  tick() {},
  leave() {},
  lost() {},
});

echoSuite('a stream of a mux', async (): Promise<PipesUnderTest> => {
  const world = new World(1);
  return {
    async join(near, far) {
      let there!: Pipe;
      const muxes = linkMux(
        world,
        () => quiet(echoing),
        () =>
          quiet((pipe) => {
            there = pipe;
            return far(pipe);
          }),
        OPTIONS,
      );
      const here = muxes.near.open(false, near);
      return { near: here as StreamPipe, far: there as StreamPipe };
    },
    until: runner(world),
    bugs: world.bugs,
    tls: null,
    resets: true,
    dispose: async () => {},
  };
});

test('echo over an HTTP exchange that hands its pipe over', async () => {
  const world = new World(1);
  const until = runner(world);
  const client = simulateRequest(world, (exchange) => exchange.take(101, new Fields(), echoing), {}, OPTIONS);
  await until(() => client.status === 101);
  client.send('hello');
  await until(() => client.body.toString() === 'hello');
  client.end();
  await until(() => client.ended);
  assert.deepEqual(world.bugs, []);
});

test('echo over messages, text and binary', async () => {
  const world = new World(1);
  const until = runner(world);
  const got: string[] = [];
  const session = (receive: MessageSession['receive']): MessageSession => ({
    deadline: NEVER,
    receive,
    writable() {},
    tick() {},
    leave() {},
    lost() {},
  });
  let near!: Messages;
  linkMessages(
    world,
    (messages) => {
      near = messages;
      return session((input, start, end, text) => {
        got.push(`${text ? 't' : 'b'}${Buffer.from(input.subarray(start, end)).toString('latin1')}`);
      });
    },
    (messages) =>
      session((input, start, end, text) => {
        messages.send(Buffer.from(input.subarray(start, end)), 0, end - start, text);
      }),
    OPTIONS,
  );
  for (const [text, isText] of [
    ['one', true],
    ['', true],
    ['\x00\xff', false],
  ] as const) {
    const bytes = Buffer.from(text, 'latin1');
    near.send(bytes, 0, bytes.length, isText);
  }
  await until(() => got.length === 3);
  assert.deepEqual(got, ['tone', 't', 'b\x00\xff']);
  assert.deepEqual(world.bugs, []);
});
