// What SQLite storage acknowledged is there after a loss of power at any point, and nothing is there by halves.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seedOf } from '../../src/sim/random.ts';
import { losePower } from './runs.ts';

test('after a loss of power nothing acknowledged is missing', { timeout: 120_000 }, async (context) => {
  const seed = seedOf(process.env.PORTICO_SEED);
  const folder = join(realpathSync(mkdtempSync(join(tmpdir(), 'portico-power-'))), 'run');
  mkdirSync(folder);
  try {
    const done = await losePower(folder, seed, { batches: 300, images: 100 });
    if (done === null) {
      assert.ok(process.env.CI !== 'true', 'gcc and Linux are needed');
      context.skip('no gcc here, or not Linux');
      return;
    }
    context.diagnostic(`seed ${seed}: ${done.records} recorded changes, ${done.images} images`);
    assert.deepEqual(done.wrong, [], `PORTICO_SEED=${seed}`);
    assert.equal(done.images, 100);
  } finally {
    rmSync(join(folder, '..'), { recursive: true });
  }
});
