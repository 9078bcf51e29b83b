// Thousands of QUIC connections over simulated paths with faults (or SOAK_SEEDS of them). A failure prints the seed.
import { test } from 'node:test';
import { runSeed } from '../../src/protocols/quic/testing/seeds.ts';
import { seedOf } from '../../src/sim/random.ts';

const SEEDS = Number(process.env.SOAK_SEEDS ?? 10_000);
const FIRST = seedOf(process.env.PORTICO_SEED);

test(`${SEEDS} connections, PORTICO_SEED=${FIRST}`, { timeout: 3_600_000 }, () => {
  for (let seed = 0; seed < SEEDS; seed++) runSeed((FIRST + seed) >>> 0);
});
