// A disk that fills up: commits say FULL, what was acknowledged stays, and service goes on when there is room again.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FULL, OK, type Outcome } from '../../src/core/outcome.ts';
import { Batch } from '../../src/storage/batch.ts';
import type { Engine, Space } from '../../src/storage/engine.ts';
import { SqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { readBlob } from './workload.ts';

const KEEPS = [{ prefix: '', last: Infinity, ageMs: Infinity, bytes: Infinity }];

/** Mounts a small disk in memory. A text is why there is none. */
function mount(folder: string, size: string): string | null {
  const { status, stderr, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', folder]);
  if (status === 0) return null;
  return error?.message ?? String(stderr).trim();
}

function commit(space: Space, size: number): Promise<{ outcome: Outcome; value: number }> {
  const batch = new Batch(1);
  batch.append('k', Buffer.alloc(size, 7), 0, size);
  return new Promise((resolve) => {
    space.commit(batch, { settled: (_token, outcome, value) => resolve({ outcome, value }) }, 0);
  });
}

async function blob(engine: Engine, size: number): Promise<{ outcome: Outcome; value: number }> {
  const writer = engine.blobs.writer();
  const bytes = Buffer.alloc(size, 9);
  for (let at = 0; at < size; ) {
    const taken = writer.write(bytes, at, size);
    at += taken;
    if (taken === 0)
      await new Promise<void>((resolve) => {
        writer.onRoom = resolve;
      });
  }
  return new Promise((resolve) => {
    writer.commit({ settled: (_token, outcome, value) => resolve({ outcome, value }) }, 0);
  });
}

async function countOf(space: Space): Promise<number> {
  let count = 0;
  await space.scan('', 0, ({ sequence }) => {
    assert.equal(sequence, ++count);
    return true;
  });
  return count;
}

/** Leaves no byte. */
function fill(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(join(folder, 'rest'), Buffer.alloc(bavail * bsize));
}

test('a disk that is full, and then is not', { timeout: 60_000 }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-full-'));
  const refused = mount(folder, '24m');
  if (refused !== null) {
    rmdirSync(folder);
    context.skip(`no disk could be mounted: ${refused}`);
    return;
  }
  // What somebody will delete.
  const ballast = join(folder, 'ballast');
  writeFileSync(ballast, Buffer.alloc(4 * 1_048_576));
  const open = () =>
    // The write-ahead log in proportion to this small disk.
    SqliteEngine.open(join(folder, 'data'), { checkpointPages: 256, onFatal: (error) => assert.fail(error) });
  let engine = await open();
  try {
    let space = await engine.space('s', KEEPS);
    const small = (await blob(engine, 1_000)).value;
    const large = (await blob(engine, 200_000)).value;

    // By its own growth, several in flight, until the answers are FULL.
    let done = 0;
    for (let outcomes: Outcome[] = []; !outcomes.includes(FULL); ) {
      const settled = await Promise.all([9_000, 300, 70_000, 1_000].map((size) => commit(space, size)));
      outcomes = settled.map(({ outcome }) => outcome);
      for (const outcome of outcomes) assert.ok(outcome === OK || outcome === FULL, `a commit settled with ${outcome}`);
      done += outcomes.filter((outcome) => outcome === OK).length;
    }
    assert.ok(done > 100, `${done} commits before the disk was full`);
    assert.equal(space.head, done);

    // To the last byte, for records and for blobs of both kinds; reading goes on.
    fill(folder);
    let taken = 0;
    for (let index = 0; index < 200; index++) {
      const { outcome } = await commit(space, 20_000);
      assert.ok(outcome === OK || outcome === FULL, `a commit settled with ${outcome}`);
      if (outcome === OK) taken++;
    }
    done += taken;
    assert.ok(taken < 200);
    assert.equal((await blob(engine, 60_000)).outcome, FULL);
    assert.equal((await blob(engine, 500_000)).outcome, FULL);
    assert.equal(space.head, done);
    assert.equal(await countOf(space), done);

    // Room again: the next sequence follows the last acknowledged one.
    rmSync(ballast);
    assert.deepEqual(await commit(space, 100), { outcome: OK, value: done + 1 });
    const later = await blob(engine, 80_000);
    assert.equal(later.outcome, OK);

    await engine.close();
    engine = await open();
    space = await engine.space('s', KEEPS);
    assert.equal(space.head, done + 1);
    assert.equal(await countOf(space), done + 1);
    assert.equal((await readBlob(engine, small))?.length, 1_000);
    assert.equal((await readBlob(engine, large))?.length, 200_000);
    assert.equal((await readBlob(engine, later.value))?.length, 80_000);
  } finally {
    await engine.close();
    spawnSync('umount', ['-l', folder]);
    rmdirSync(folder);
  }
});
