import assert from 'node:assert/strict';
import { exchangeSuite } from '../core/exchange-suite.ts';
import { messagesSuite } from '../core/messages-suite.ts';
import { muxSuite } from '../core/mux-suite.ts';
import { SUITE_BOUNDS } from '../core/pipe-suite.ts';
import { type SimulatedClient, simulateRequest } from './exchange.ts';
import { linkMessages } from './messages.ts';
import { linkMux } from './mux.ts';
import { World } from './world.ts';

function runner(world: World) {
  return async (done: () => boolean) => {
    world.pass(1);
    for (let ms = 0; !done(); ms++) {
      assert.ok(ms < 60_000, 'nothing more happens');
      world.pass(1);
    }
  };
}

for (const cut of [0, 500]) {
  const options = { cut, bounds: { ...SUITE_BOUNDS, inputMax: 200_000 } };
  muxSuite(`simulated mux, cut ${cut}`, () => {
    const world = new World(cut + 1);
    return {
      async join(near, far, streamsMax) {
        const joined = linkMux(world, near, far, { ...options, streamsMax });
        return { leave: (why) => joined.far.leave(why) };
      },
      until: runner(world),
      bugs: world.bugs,
    };
  });

  exchangeSuite(`simulated exchange, cut ${cut}`, () => {
    const world = new World(cut + 1);
    return {
      request: (handler, head) => simulateRequest(world, handler, head, options),
      until: runner(world),
      leave: (client, why) => (client as SimulatedClient).link.far.leave(why, 1_000),
      bugs: world.bugs,
    };
  });

  messagesSuite(`simulated messages, cut ${cut}`, () => {
    const world = new World(cut + 1);
    return {
      async join(near, far) {
        const link = linkMessages(world, near, far, options);
        return {
          leaveFar: (why) => link.far.leave(why, 1_000),
          cut: () => {
            link.near.lose();
            link.far.lose();
          },
        };
      },
      until: runner(world),
      bugs: world.bugs,
    };
  });
}
