// The long counts of the crash tests: `npm run soak`. Seeds are printed; PORTICO_SEED repeats one.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seedOf } from '../../src/sim/random.ts';
import { kill, losePower } from '../crash/runs.ts';
import { CrashRun } from '../crash/server.ts';

const RUNS = 20;
const ROUNDS = 50;

for (let run = 0; run < RUNS; run++) {
  test(`the server is killed ${ROUNDS} times under load, ${run + 1} of ${RUNS}`, async (context) => {
    const seed = seedOf(process.env.PORTICO_SEED);
    context.diagnostic(`seed ${seed}`);
    const crash = new CrashRun(seed);
    await crash.run(ROUNDS);
    context.diagnostic(crash.summary);
  });
}

for (let run = 0; run < 10; run++) {
  test(`power is lost at 1,000 points of a run, ${run + 1} of 10`, async (context) => {
    const seed = seedOf(process.env.PORTICO_SEED);
    context.diagnostic(`seed ${seed}`);
    const folder = join(realpathSync(mkdtempSync(join(tmpdir(), 'portico-power-'))), 'run');
    mkdirSync(folder);
    try {
      const done = await losePower(folder, seed, { batches: 1_000, images: 1_000 });
      assert.ok(done !== null, 'gcc and Linux are needed');
      assert.deepEqual(done.wrong, []);
    } finally {
      rmSync(join(folder, '..'), { recursive: true });
    }
  });
}

test('the store is killed 500 times', async (context) => {
  const seed = seedOf(process.env.PORTICO_SEED);
  context.diagnostic(`seed ${seed}`);
  const folder = mkdtempSync(join(tmpdir(), 'portico-kill-'));
  try {
    assert.deepEqual((await kill(folder, seed, 500)).wrong, []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
