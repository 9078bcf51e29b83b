// Every codec with ten million random and mutated inputs (or SOAK_RUNS of them): none may throw or hang, and cutting the
// input may change nothing. A failure prints the seed.
import { test } from 'node:test';
import { fuzzLines } from '../../src/protocols/lines/fuzz.ts';
import { fuzzMessages } from '../../src/protocols/messages/fuzz.ts';
import { fuzz as fuzzMqtt } from '../../src/protocols/mqtt/fuzz.ts';
import { fuzzWebSocket } from '../../src/protocols/websocket/fuzz.ts';
import { seedOf } from '../../src/sim/random.ts';

/** One line a codec: from a seed, this many runs; throws with the seed and the input when something is wrong. */
const CODECS: readonly (readonly [name: string, fuzz: (seed: number, runs: number) => void])[] = [
  ['mqtt', fuzzMqtt],
  ['lines', (seed, runs) => fuzzLines(runs, seed)],
  ['messages', (seed, runs) => fuzzMessages(runs, seed)],
  // Whole conversations in a simulated world, each twice: one for ten.
  ['websocket', (seed, runs) => fuzzWebSocket(Math.ceil(runs / 10), seed)],
];

const RUNS = Number(process.env.SOAK_RUNS ?? 10_000_000);

for (const [name, fuzz] of CODECS) {
  const seed = seedOf(process.env.PORTICO_SEED);
  test(`${name}: ${RUNS} inputs, PORTICO_SEED=${seed}`, { timeout: 3_600_000 }, () => {
    // In slices, each with a seed and a corpus of its own.
    const slice = 500_000;
    for (let done = 0; done < RUNS; done += slice) fuzz((seed + done / slice) >>> 0, Math.min(slice, RUNS - done));
  });
}
