// What SQLite storage acknowledged is there after the process was killed, and the folder can be opened at once.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seedOf } from '../../src/sim/random.ts';
import { kill } from './runs.ts';

test('after kill -9 nothing acknowledged is missing, five times over', { timeout: 60_000 }, async (context) => {
  const seed = seedOf(process.env.PORTICO_SEED);
  const folder = mkdtempSync(join(tmpdir(), 'portico-kill-'));
  try {
    const { wrong, acknowledged } = await kill(folder, seed, 5);
    context.diagnostic(`seed ${seed}: ${acknowledged} acknowledgements`);
    assert.deepEqual(wrong, [], `PORTICO_SEED=${seed}`);
    assert.ok(acknowledged > 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
