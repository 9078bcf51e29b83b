// What the neutral layer of services costs a call: checks of input and output, rights, bounds, deadline and bookkeeping, beside
// the bare handler. `node bin/with-node.js bench/services.ts`

import { z } from 'zod';
import { OPERATOR } from '../src/core/caller.ts';
import { SILENT } from '../src/core/log.ts';
import { OPEN_PERMISSIONS } from '../src/core/permissions.ts';
import type { CallReceiver } from '../src/resources/services/contract.ts';
import { defineService, describe } from '../src/resources/services/define.ts';
import { OpenServices } from '../src/resources/services/registry.ts';
import { serverTurn } from '../src/server/server.ts';

const ROUNDS = 7;
const TURNS = 1_000;
const CALLS_A_TURN = 64;

const input = z.object({ id: z.string().min(1), count: z.int32().min(0).default(3) });
const output = z.object({ id: z.string(), name: z.string(), price: z.number().min(0), tags: z.array(z.string()) });
const answer = ({ id }: { id: string }) => ({ id, name: 'a pen', price: 1.5, tags: ['blue', 'fine'] });
const definition = defineService({
  name: 'bench.v1.Shop',
  methods: {
    AtOnce: { input, output, handler: (given) => answer(given) },
    Later: { input, output, handler: async (given) => answer(given) },
    Stream: {
      kind: 'server',
      input,
      output,
      handler: async function* ({ id, count }) {
        const one = answer({ id });
        for (let index = 0; index < count; index++) yield one;
      },
    },
  },
});

const turn = serverTurn((error) => {
  throw error;
});
const services = new OpenServices({ turn, log: SILENT, permissions: OPEN_PERMISSIONS });
services.put('bench', [describe(definition)]);

let ended = () => {};
const receiver: CallReceiver = {
  headers() {},
  message() {},
  end({ code, message }) {
    if (code !== 'OK') throw new Error(message);
    ended();
  },
  room: 1_000,
  writable() {},
};
const options = { caller: OPERATOR, connection: 0, metadata: [], timeoutMs: 10_000 };

function call(name: string, value: unknown): void {
  const begun = services.begin(services.method('bench.v1.Shop', name)!, options, receiver);
  begun.send(value);
  begun.finish();
}

const soon = () => new Promise((resolve) => setImmediate(resolve));

/** Microseconds each. */
async function timed(step: () => void): Promise<number> {
  const begun = performance.now();
  for (let turns = 0; turns < TURNS; turns++) {
    for (let index = 0; index < CALLS_A_TURN; index++) step();
    await soon();
  }
  return ((performance.now() - begun) / (TURNS * CALLS_A_TURN)) * 1_000;
}

async function streamed(): Promise<number> {
  const count = TURNS * CALLS_A_TURN;
  const begun = performance.now();
  await new Promise<void>((resolve) => {
    ended = resolve;
    call('Stream', { id: '7', count });
  });
  ended = () => {};
  return ((performance.now() - begun) / count) * 1_000;
}

const given = { id: '7', count: 3 };
const rows: Record<string, () => Promise<number>> = {
  'the bare handler': () => timed(() => void answer(given)),
  'a call answered at once': () => timed(() => call('AtOnce', given)),
  'a call answered later': () => timed(() => call('Later', given)),
  'a message of a stream': streamed,
};
const figures = new Map<string, number[]>();
for (let round = 0; round < ROUNDS; round++)
  for (const [name, measure] of Object.entries(rows))
    figures.set(name, [...(figures.get(name) ?? []), await measure()]);
for (const [name, all] of figures) {
  all.sort((one, two) => one - two);
  process.stdout.write(`${name.padEnd(26)} ${all[ROUNDS >> 1]!.toFixed(3)} us\n`);
}
services.close();
turn.stop();
