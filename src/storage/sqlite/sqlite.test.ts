// The SQLite engine against the suite of all engines, and what only it promises: its folder, its lock, its versions.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { BUSY, FAILED, OK, STALE } from '../../core/outcome.ts';
import { append, batchOf, commit, engineSuite, put } from '../conformance.ts';
import type { Entry, Keep, Space } from '../engine.ts';
import { SqliteEngine, type SqliteOptions } from './engine.ts';
import { SCHEMA_VERSION } from './schema.ts';

const FOREVER: Keep = { prefix: '', last: Infinity, ageMs: Infinity, bytes: Infinity };

const makeFolder = () => mkdtemp(join(tmpdir(), 'portico-sqlite-'));

engineSuite('sqlite', async () => {
  const folder = await makeFolder();
  const open = () => SqliteEngine.open(folder);
  const engine = await open();
  return {
    engine,
    reopen: open,
    dispose: () => rm(folder, { recursive: true }),
    refuse: (outcome) => engine.inject({ refuse: outcome, hold: false }),
    hold: () => {
      engine.inject({ refuse: null, hold: true });
      return () => engine.inject({ refuse: null, hold: false });
    },
  };
});

async function folderOf(context: TestContext): Promise<string> {
  const folder = await makeFolder();
  context.after(() => rm(folder, { recursive: true }));
  return folder;
}

async function opened(context: TestContext, options: SqliteOptions = {}) {
  const folder = await makeFolder();
  const engine = await SqliteEngine.open(folder, options);
  context.after(async () => {
    await engine.close();
    await rm(folder, { recursive: true });
  });
  return { folder, engine, space: await engine.space('s', [FOREVER]) };
}

async function textsOf(space: Space, prefix: string): Promise<string[]> {
  const texts: string[] = [];
  await space.scan(prefix, 0, ({ bytes }) => texts.push(Buffer.from(bytes).toString()) > 0);
  return texts;
}

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

test('sqlite: the data folder and its files are their owner’s alone', async (context) => {
  const folder = join(await folderOf(context), 'new');
  const engine = await SqliteEngine.open(folder);
  const modeOf = (name: string) => statSync(join(folder, name)).mode & 0o777;
  assert.equal(modeOf(''), 0o700);
  assert.equal(modeOf('blobs'), 0o700);
  assert.equal(modeOf('portico.db'), 0o600);
  assert.equal(modeOf('portico.db-wal'), 0o600);
  await engine.close();
});

test('sqlite: a store of a newer version is refused and left as it is', async (context) => {
  const folder = await folderOf(context);
  await (await SqliteEngine.open(folder)).close();
  const database = new DatabaseSync(join(folder, 'portico.db'));
  assert.deepEqual({ ...database.prepare('PRAGMA user_version').get() }, { user_version: SCHEMA_VERSION });
  database.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
  database.close();
  await assert.rejects(SqliteEngine.open(folder), /newer version: its schema is 2, this program knows up to 1/);
  // The refusal let go of the lock.
  await assert.rejects(SqliteEngine.open(folder), /newer version/);
});

test('sqlite: what is no database is refused', async (context) => {
  const folder = await folderOf(context);
  writeFileSync(join(folder, 'portico.db'), 'x'.repeat(8_192));
  await assert.rejects(SqliteEngine.open(folder), /not a database/);
});

test('sqlite: a folder is one process’s, and a killed one holds nothing', async (context) => {
  const folder = await folderOf(context);
  const source = `
    import { SqliteEngine } from ${JSON.stringify(new URL('./engine.ts', import.meta.url).href)};
    await SqliteEngine.open(${JSON.stringify(folder)});
    console.log('open');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await Promise.race([once(child.stdout, 'data'), once(child, 'close').then(() => assert.fail('it ended'))]);
  await assert.rejects(SqliteEngine.open(folder), new RegExp(`is in use by process ${child.pid}$`));
  child.kill('SIGKILL');
  await once(child, 'close');
  const engine = await SqliteEngine.open(folder);
  await assert.rejects(SqliteEngine.open(folder), new RegExp(`in use by process ${process.pid}$`));
  await engine.close();
});

test('sqlite: bytes on their way are bounded, and a batch larger than the bound goes alone', async (context) => {
  const { engine, space } = await opened(context, { bytesMax: 10_000 });
  const text = (size: number) => batchOf((batch) => append(batch, 'k', 'x'.repeat(size)));
  const settlements = await Promise.all([20_000, 1].map((size) => commit(space, text(size))));
  assert.deepEqual(
    settlements.map(({ outcome }) => outcome),
    [OK, BUSY],
  );
  engine.inject({ refuse: null, hold: true });
  const both = [commit(space, text(9_000)), commit(space, text(1_000))];
  assert.equal((await both[1]!).outcome, BUSY);
  engine.inject({ refuse: null, hold: false });
  assert.equal((await both[0]!).outcome, OK);
  assert.equal((await commit(space, text(9_000))).outcome, OK);
});

test('sqlite: of one group the stale batches leave nothing and the others go on', async (context) => {
  const { engine, space } = await opened(context);
  const other = await engine.space('other', [FOREVER]);
  const settlements = await Promise.all([
    commit(
      space,
      batchOf((batch) => put(batch, 'k', 'a', 0)),
    ),
    commit(
      space,
      batchOf((batch) => {
        append(batch, 'l', 'no');
        put(batch, 'k', 'b', 7);
      }),
    ),
    commit(
      other,
      batchOf((batch) => append(batch, 'l', 'o')),
    ),
    commit(
      space,
      batchOf((batch) => {
        put(batch, 'k', 'c', 1);
        put(batch, 'k', 'd', 2);
      }),
    ),
  ]);
  assert.deepEqual(settlements, [
    { outcome: OK, value: 1 },
    { outcome: STALE, value: 0 },
    { outcome: OK, value: 1 },
    { outcome: OK, value: 3 },
  ]);
  assert.deepEqual(await textsOf(space, ''), ['d']);
});

test('sqlite: a group that failed gives its sequences to the next, and its followers saw nothing', async (context) => {
  const { engine, space } = await opened(context);
  const seen: number[] = [];
  space.follow('', 0, {
    entry: ({ sequence }) => void seen.push(sequence),
    live: () => {},
    failed: () => assert.fail(),
  });
  const one = () =>
    commit(
      space,
      batchOf((batch) => {
        append(batch, 'k', 'x');
        append(batch, 'k', 'y');
      }),
    );
  assert.equal((await one()).value, 2);
  engine.inject({ refuse: FAILED, hold: false });
  assert.deepEqual(await Promise.all([one(), one()]), Array(2).fill({ outcome: FAILED, value: 0 }));
  assert.equal(space.head, 2);
  engine.inject({ refuse: null, hold: false });
  assert.deepEqual(await one(), { outcome: OK, value: 4 });
  while (seen.length < 4) await turn();
  assert.deepEqual(seen, [1, 2, 3, 4]);
});

test('sqlite: a worker that ends is surfaced, and what waits is FAILED', async (context) => {
  const errors: Error[] = [];
  const { engine, space } = await opened(context, { onFatal: (error) => void errors.push(error) });
  engine.inject({ refuse: null, hold: true });
  const waits = commit(
    space,
    batchOf((batch) => append(batch, 'k', 'x')),
  );
  await turn();
  engine.inject({ refuse: null, hold: true, die: true });
  assert.equal((await waits).outcome, FAILED);
  assert.equal(errors.length, 1);
  assert.match(errors[0]!.message, /ended by a test/);
  const later = await commit(
    space,
    batchOf((batch) => append(batch, 'k', 'x')),
  );
  assert.equal(later.outcome, FAILED);
});

test('sqlite: a narrow and a wide prefix are scanned alike, across slices', async (context) => {
  const { space } = await opened(context);
  const count = 12_000;
  for (let at = 0; at < count; )
    await commit(
      space,
      batchOf((batch) => {
        for (let index = 0; index < 1_000; index++, at++)
          append(batch, at % 1_000 === 0 ? 'narrow/x' : `wide/${at % 7}`, `${at}${'.'.repeat(40)}`);
      }),
    );
  const numbers = (texts: string[]) => texts.map((text) => Number.parseInt(text, 10));
  const expected = Array.from({ length: count }, (_, index) => index);
  assert.deepEqual(numbers(await textsOf(space, '')), expected);
  assert.deepEqual(
    numbers(await textsOf(space, 'wide/')),
    expected.filter((at) => at % 1_000 !== 0),
  );
  assert.deepEqual(
    numbers(await textsOf(space, 'narrow/')),
    expected.filter((at) => at % 1_000 === 0),
  );
  const ofKey: number[] = [];
  await space.scanKey('wide/3', 5_000, ({ bytes }) => ofKey.push(Number.parseInt(String(bytes), 10)) > 0);
  assert.deepEqual(
    ofKey,
    expected.filter((at) => at % 7 === 3 && at % 1_000 !== 0 && at >= 5_000),
  );
});

test('sqlite: a follower that cannot hold what commits during its replay reads it instead', async (context) => {
  const { space } = await opened(context);
  const text = 'x'.repeat(100_000);
  const burst = (from: number) =>
    Promise.all(
      Array.from({ length: 150 }, (_, index) =>
        commit(
          space,
          batchOf((batch) => {
            append(batch, 'f', `${from + index} ${text}`);
            if (index === 50) batch.remove('gone');
          }),
        ),
      ),
    );
  await commit(
    space,
    batchOf((batch) => put(batch, 'gone', 'soon')),
  );
  await burst(0);
  const seen: Entry[] = [];
  let live = false;
  space.follow('', 0, {
    entry: (entry) => void seen.push(entry),
    live: () => {
      live = true;
    },
    failed: () => assert.fail(),
  });
  await burst(150);
  while (!live) await turn();
  await burst(300);
  const sequences = seen.map(({ sequence }) => sequence);
  assert.deepEqual(
    sequences,
    [...sequences].sort((one, other) => one - other),
  );
  assert.deepEqual(
    seen.filter(({ key }) => key === 'f').map(({ bytes }) => Number.parseInt(Buffer.from(bytes).toString(), 10)),
    Array.from({ length: 450 }, (_, index) => index),
  );
  assert.equal(seen.filter(({ removed }) => removed).length, 2);
});

test('sqlite: a sweep is exact over many keys and more than a slice', async (context) => {
  const { engine } = await opened(context);
  const space = await engine.space('kept', [
    { prefix: 'a/b/', last: 2, ageMs: Infinity, bytes: Infinity },
    { prefix: 'a/', last: 5, ageMs: 3_000, bytes: 100 },
    FOREVER,
  ]);
  for (let round = 0; round < 8; round++)
    await commit(
      space,
      batchOf((batch) => {
        for (let index = 0; index < 300; index++) append(batch, `a/b/${index}`, String(round));
        for (let index = 0; index < 30; index++) append(batch, 'a/one', `${round}........`);
        put(batch, 'a/put', 'stays');
        append(batch, 'c', String(round));
      }, round * 1_000),
    );
  await space.sweep(7_000);
  assert.equal((await textsOf(space, 'a/b/')).length, 600);
  assert.equal((await textsOf(space, 'a/one')).length, 5);
  assert.equal((await textsOf(space, 'a/put')).length, 1);
  assert.equal((await textsOf(space, 'c')).length, 8);
  await space.sweep(100_000);
  assert.equal((await textsOf(space, 'a/one')).length, 0);
  assert.equal((await textsOf(space, 'a/b/')).length, 600);
});

test('sqlite: blob files that no row names are removed on opening', async (context) => {
  const folder = await folderOf(context);
  await (await SqliteEngine.open(folder)).close();
  for (const name of ['7', '3.new']) writeFileSync(join(folder, 'blobs', name), 'left by a crash');
  const engine = await SqliteEngine.open(folder);
  assert.ok(!existsSync(join(folder, 'blobs', '7')) && !existsSync(join(folder, 'blobs', '3.new')));
  await engine.close();
});

test('sqlite: what is asked for in one turn is answered each for itself, across slices', async (context) => {
  const { space } = await opened(context);
  const long = 'x'.repeat(10_000);
  for (let at = 0; at < 300; at += 3)
    await commit(
      space,
      batchOf((batch) => put(batch, `k/${at}`, `${at} ${long}`)),
    );
  const asked = Array.from({ length: 300 }, (_, at) => space.last(`k/${at}`));
  for (const [at, entry] of (await Promise.all(asked)).entries()) {
    if (at % 3 !== 0) assert.equal(entry, null, String(at));
    else assert.deepEqual([entry!.key, Buffer.from(entry!.bytes).toString()], [`k/${at}`, `${at} ${long}`]);
  }
});
