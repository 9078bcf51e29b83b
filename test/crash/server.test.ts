import { test } from 'node:test';
import { seedOf } from '../../src/sim/random.ts';
import { CrashRun } from './server.ts';

const ROUNDS = 20;

test(`the server is killed ${ROUNDS} times under load: nothing acknowledged is lost, QoS 2 exactly once`, {
  timeout: 120_000,
}, async (t) => {
  const seed = seedOf(process.env.PORTICO_SEED);
  const run = new CrashRun(seed);
  try {
    await run.run(ROUNDS);
  } catch (error) {
    throw new Error(`with PORTICO_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  t.diagnostic(`seed ${seed}: ${run.summary}`);
});
