// What every storage engine must do: one suite for spaces, one for blobs, one for trees, joined by each implementation.
// It is imported by tests only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUSY, FULL, GONE, MISSING, OK, type Outcome, STALE } from '../core/outcome.ts';
import { Batch } from './batch.ts';
import type { BlobWriter, Engine, Entry, Keep, Sink, Space, TreeWriter } from './engine.ts';

/** Opens a store. A durable one is opened again over the same data by `reopen`, after `close` or after a crash. */
export interface StoreUnderTest {
  engine: Engine;
  /** Null when nothing outlives the engine. */
  reopen: (() => Promise<Engine>) | null;
  dispose(): Promise<void>;
  /** Commits settle with `outcome` until it is called with null; null when it cannot be injected. */
  refuse: ((outcome: Outcome | null) => void) | null;
  /** Commits wait until the answered function is called. */
  hold: (() => () => void) | null;
}

export interface Settlement {
  outcome: Outcome;
  value: number;
}

/** Commits and waits. */
export function commit(space: Space, batch: Batch): Promise<Settlement> {
  return new Promise((resolve) => {
    space.commit(batch, { settled: (_token, outcome, value) => resolve({ outcome, value }) }, 1);
  });
}

/** A batch made by `fill`, whose time is `time`. */
export function batchOf(fill: (batch: Batch) => void, time = 1_000): Batch {
  const batch = new Batch(time);
  fill(batch);
  return batch;
}

const bytesOf = (text: string) => Buffer.from(text);

export function put(batch: Batch, key: string, text: string, ifHead?: number): void {
  const bytes = bytesOf(text);
  batch.put(key, bytes, 0, bytes.length, ifHead);
}

export function append(batch: Batch, key: string, text: string): void {
  const bytes = bytesOf(text);
  batch.append(key, bytes, 0, bytes.length);
}

async function entriesOf(space: Space, prefix: string, after = 0): Promise<Entry[]> {
  const entries: Entry[] = [];
  await space.scan(prefix, after, (entry) => entries.push(entry) > 0);
  return entries;
}

const shown = (entries: readonly Entry[]) => entries.map(({ key, bytes }) => `${key}=${Buffer.from(bytes)}`);

const FOREVER: Keep = { prefix: '', last: Infinity, ageMs: Infinity, bytes: Infinity };

/** Runs the suites for spaces and blobs against what `open` opens. */
export function engineSuite(name: string, open: () => Promise<StoreUnderTest>): void {
  const on = (what: string, run: (store: StoreUnderTest) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      const store = await open();
      try {
        await run(store);
      } finally {
        await store.engine.close();
        await store.dispose();
      }
    });
  spaceBasics(on);
  spaceFollowing(on);
  spaceKeeping(on);
  spaceRefusals(on);
  spaceLasting(on);
  blobSuite(on);
}

type On = (what: string, run: (store: StoreUnderTest) => Promise<void>) => void;

function spaceBasics(on: On): void {
  on('a commit answers the sequence of its last record, and sequences are consecutive', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    assert.equal(space.head, 0);
    const first = await commit(
      space,
      batchOf((batch) => {
        for (const key of ['a', 'b', 'c']) append(batch, key, key);
      }),
    );
    assert.deepEqual(first, { outcome: OK, value: 3 });
    assert.equal(space.head, 3);
    const entries = await entriesOf(space, '');
    assert.deepEqual(
      entries.map(({ key, sequence, time, removed }) => [key, sequence, time, removed]),
      [
        ['a', 1, 1_000, false],
        ['b', 2, 1_000, false],
        ['c', 3, 1_000, false],
      ],
    );
  });

  on('a key that is put has one record, the last; a removed key has none', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    await commit(
      space,
      batchOf((batch) => put(batch, 'k', '1')),
    );
    await commit(
      space,
      batchOf((batch) => put(batch, 'k', '2')),
    );
    assert.deepEqual(shown(await entriesOf(space, '')), ['k=2']);
    assert.equal((await space.last('k'))?.sequence, 2);
    await commit(
      space,
      batchOf((batch) => batch.remove('k')),
    );
    assert.equal(await space.last('k'), null);
    assert.deepEqual(await entriesOf(space, ''), []);
    assert.equal(space.head, 3);
  });

  on('put, remove and append of one batch are done in their order', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    await commit(
      space,
      batchOf((batch) => {
        put(batch, 'k', '1');
        batch.remove('k');
        put(batch, 'k', '2');
        append(batch, 'l', 'x');
        append(batch, 'l', 'y');
      }),
    );
    assert.deepEqual(shown(await entriesOf(space, '')), ['k=2', 'l=x', 'l=y']);
    assert.equal(space.head, 5);
  });

  on('a condition that does not hold stops the whole batch', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    const first = await commit(
      space,
      batchOf((batch) => put(batch, 'k', '1', 0)),
    );
    assert.deepEqual(first, { outcome: OK, value: 1 });
    const again = await commit(
      space,
      batchOf((batch) => {
        append(batch, 'l', 'x');
        put(batch, 'k', '2', 0);
      }),
    );
    assert.equal(again.outcome, STALE);
    assert.deepEqual(shown(await entriesOf(space, '')), ['k=1']);
    assert.equal(
      (
        await commit(
          space,
          batchOf((batch) => put(batch, 'k', '2', 1)),
        )
      ).outcome,
      OK,
    );
    assert.equal(
      (
        await commit(
          space,
          batchOf((batch) => batch.remove('k', 1)),
        )
      ).outcome,
      STALE,
    );
    assert.equal(
      (
        await commit(
          space,
          batchOf((batch) => batch.remove('k', space.head)),
        )
      ).outcome,
      OK,
    );
    assert.equal(
      (
        await commit(
          space,
          batchOf((batch) => put(batch, 'k', '3', 0)),
        )
      ).outcome,
      OK,
    );
  });

  on('of two racing commits with one condition, one wins', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    const both = await Promise.all(
      ['1', '2'].map((text) =>
        commit(
          space,
          batchOf((batch) => put(batch, 'k', text, 0)),
        ),
      ),
    );
    assert.deepEqual(
      both.map(({ outcome }) => outcome),
      [OK, STALE],
    );
  });

  on('scan goes by prefix and sequence, and stops when told', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    await commit(
      space,
      batchOf((batch) => {
        for (const key of ['h/a', 'h/b', 'r/a', 'h/a', 'h', 'h/ä/😀']) append(batch, key, key);
      }),
    );
    assert.deepEqual(shown(await entriesOf(space, 'h/')), ['h/a=h/a', 'h/b=h/b', 'h/a=h/a', 'h/ä/😀=h/ä/😀']);
    assert.deepEqual(
      (await entriesOf(space, 'h/', 2)).map(({ sequence }) => sequence),
      [4, 6],
    );
    const some: number[] = [];
    assert.equal(await space.scan('h', 0, ({ sequence }) => some.push(sequence) < 2), 2);
    assert.deepEqual(some, [1, 2]);
    const ofKey: number[] = [];
    assert.equal(await space.scanKey('h/a', 1, ({ sequence }) => ofKey.push(sequence) > 0), 4);
    assert.deepEqual(ofKey, [4]);
    assert.equal(await space.scan('none', 7, () => true), 7);
  });

  on('keys may hold anything that a topic may, and values any bytes', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    const keys = ['', '/', '//', ' ', '%', '_', '*', '>', 'a.b', "it's", '"', '\u{10ffff}', 'x'.repeat(65_535)];
    const value = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    await commit(
      space,
      batchOf((batch) => {
        for (const key of keys) batch.put(key, value, 0, 256);
      }),
    );
    for (const key of keys) assert.deepEqual(Buffer.from((await space.last(key))!.bytes), value, JSON.stringify(key));
    assert.equal((await entriesOf(space, '%')).length, 1);
    assert.equal((await entriesOf(space, '_')).length, 1);
  });

  on('trim drops appended records up to a sequence, and leaves what was put', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    await commit(
      space,
      batchOf((batch) => {
        for (const text of ['1', '2', '3']) append(batch, 'q/a', text);
        append(batch, 'q/b', '4');
        put(batch, 'q/p', '5');
      }),
    );
    const { outcome, value } = await commit(
      space,
      batchOf((batch) => batch.trim('q/', 4)),
    );
    assert.deepEqual([outcome, value], [OK, 5]);
    assert.deepEqual([await space.droppedOf('q/a'), await space.dropped('q/'), await space.dropped('x')], [3, 4, 0]);
    assert.deepEqual(shown(await entriesOf(space, '')), ['q/p=5']);
  });

  on('ten thousand commits at once settle in order', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    const values: number[] = [];
    await new Promise<void>((resolve) => {
      const waiter = {
        settled(_token: number, outcome: Outcome, value: number) {
          assert.equal(outcome, OK);
          if (values.push(value) === 10_000) resolve();
        },
      };
      for (let index = 0; index < 10_000; index++)
        space.commit(
          batchOf((batch) => append(batch, `t/${index % 7}`, String(index))),
          waiter,
          index,
        );
    });
    assert.deepEqual(
      values,
      Array.from({ length: 10_000 }, (_, index) => index + 1),
    );
    assert.equal((await entriesOf(space, 't/')).length, 10_000);
  });

  on('two spaces do not see one another', async ({ engine }) => {
    const one = await engine.space('one', [FOREVER]);
    const two = await engine.space('two', [FOREVER]);
    await commit(
      one,
      batchOf((batch) => put(batch, 'k', '1')),
    );
    assert.equal(await two.last('k'), null);
    assert.equal(two.head, 0);
  });
}

function spaceFollowing(on: On): void {
  on('following joins what is stored and what is committed without gap or repeat', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    for (let index = 0; index < 50; index++)
      await commit(
        space,
        batchOf((batch) => append(batch, 'f/a', String(index))),
      );
    const seen: string[] = [];
    let live = -1;
    const following = space.follow('f/', 10, {
      entry: (entry) => void seen.push(String(Buffer.from(entry.bytes))),
      live: () => {
        live = seen.length;
      },
      failed: (outcome) => assert.fail(`failed ${outcome}`),
    });
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        commit(
          space,
          batchOf((batch) => {
            append(batch, 'f/a', String(50 + index));
            append(batch, 'g', 'not ours');
          }),
        ),
      ),
    );
    while (seen.length < 240) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(
      seen,
      Array.from({ length: 240 }, (_, index) => String(index + 10)),
    );
    assert.ok(live >= 40, `live after ${live}`);
    following.stop();
    await commit(
      space,
      batchOf((batch) => append(batch, 'f/a', 'late')),
    );
    assert.equal(seen.length, 240);
  });

  on('a follower sees a record before its commit settles, and removals too', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      space.follow('', 0, {
        entry: (entry) => void seen.push(`${entry.key}${entry.removed ? '-' : '+'}`),
        live: () => resolve(),
        failed: () => assert.fail(),
      });
    });
    await commit(
      space,
      batchOf((batch) => put(batch, 'k', '1')),
    );
    assert.deepEqual(seen, ['k+']);
    await commit(
      space,
      batchOf((batch) => batch.remove('k')),
    );
    assert.deepEqual(seen, ['k+', 'k-']);
    const refused = await commit(
      space,
      batchOf((batch) => put(batch, 'k', '2', 99)),
    );
    assert.equal(refused.outcome, STALE);
    assert.deepEqual(seen, ['k+', 'k-']);
  });
}

function spaceKeeping(on: On): void {
  on('what is kept: the last n of a key, by age and by bytes', async ({ engine }) => {
    const space = await engine.space('s', [
      { prefix: 'n/', last: 3, ageMs: Infinity, bytes: Infinity },
      { prefix: 'a/', last: Infinity, ageMs: 1_000, bytes: Infinity },
      { prefix: 'b/', last: Infinity, ageMs: Infinity, bytes: 30 },
      FOREVER,
    ]);
    for (let index = 0; index < 10; index++) {
      await commit(
        space,
        batchOf((batch) => {
          append(batch, 'n/x', String(index));
          append(batch, 'n/y', String(index));
          append(batch, 'a/x', String(index));
          append(batch, 'b/x', '0123456789');
          append(batch, 'z', String(index));
          put(batch, 'a/put', 'stays');
        }, index * 500),
      );
      // Never fewer than what is to be kept, at any time.
      assert.ok((await entriesOf(space, 'n/x')).length >= Math.min(3, index + 1));
    }
    assert.equal(await space.droppedOf('z'), 0);
    await space.sweep(4_500);
    // Six records a round: the last of `n/x` that went is that of round 6, of `a/x` too.
    assert.equal(await space.droppedOf('n/x'), 6 * 6 + 1);
    assert.equal(await space.dropped('n/'), 6 * 6 + 2);
    assert.equal(await space.dropped('a/'), 6 * 6 + 3);
    assert.equal(await space.dropped('z'), 0);
    assert.deepEqual(shown(await entriesOf(space, 'n/')), ['n/x=7', 'n/y=7', 'n/x=8', 'n/y=8', 'n/x=9', 'n/y=9']);
    assert.deepEqual(shown(await entriesOf(space, 'a/')), ['a/x=7', 'a/x=8', 'a/x=9', 'a/put=stays']);
    assert.equal((await entriesOf(space, 'b/')).length, 3);
    assert.equal((await entriesOf(space, 'z')).length, 10);
  });
}

function spaceRefusals(on: On): void {
  on('a full disk is FULL, changes nothing, and passes', async ({ engine, refuse }) => {
    if (refuse === null) return;
    const space = await engine.space('s', [FOREVER]);
    await commit(
      space,
      batchOf((batch) => put(batch, 'k', '1')),
    );
    refuse(FULL);
    assert.equal(
      (
        await commit(
          space,
          batchOf((batch) => put(batch, 'k', '2')),
        )
      ).outcome,
      FULL,
    );
    refuse(null);
    assert.deepEqual(shown(await entriesOf(space, '')), ['k=1']);
    assert.deepEqual(
      await commit(
        space,
        batchOf((batch) => put(batch, 'k', '3')),
      ),
      { outcome: OK, value: 2 },
    );
  });

  on('bytes that wait are bounded: past the bound the answer is BUSY', async ({ engine, hold }) => {
    if (hold === null) return;
    const space = await engine.space('s', [FOREVER]);
    const release = hold();
    const text = 'x'.repeat(1_000_000);
    const all = Array.from({ length: 400 }, () =>
      commit(
        space,
        batchOf((batch) => append(batch, 'k', text)),
      ),
    );
    release();
    const outcomes = (await Promise.all(all)).map(({ outcome }) => outcome);
    const done = outcomes.filter((outcome) => outcome === OK).length;
    assert.ok(done > 0 && done < 400, `${done} were taken`);
    assert.equal(outcomes.filter((outcome) => outcome === BUSY).length, 400 - done);
    assert.equal(space.head, done);
  });

  on('after closing, commits that were accepted have settled and later ones are GONE', async ({ engine }) => {
    const space = await engine.space('s', [FOREVER]);
    const before = commit(
      space,
      batchOf((batch) => put(batch, 'k', '1')),
    );
    await engine.close();
    assert.equal((await before).outcome, OK);
    assert.equal(
      (
        await commit(
          space,
          batchOf((batch) => put(batch, 'k', '2')),
        )
      ).outcome,
      GONE,
    );
  });
}

function spaceLasting(on: On): void {
  on('what was committed is there after opening again, and sequences go on', async (store) => {
    if (store.reopen === null) return;
    let space = await store.engine.space('s', [FOREVER]);
    await commit(
      space,
      batchOf((batch) => {
        append(batch, 'l', '1');
        put(batch, 'k', '1');
        append(batch, 'l', '2');
      }),
    );
    await commit(
      space,
      batchOf((batch) => batch.remove('k')),
    );
    await store.engine.close();
    store.engine = await store.reopen();
    space = await store.engine.space('s', [FOREVER]);
    // The removal was the last record: its sequence is not given again.
    assert.equal(space.head, 4);
    assert.deepEqual(shown(await entriesOf(space, '')), ['l=1', 'l=2']);
    assert.equal(await space.last('k'), null);
    assert.deepEqual(
      await commit(
        space,
        batchOf((batch) => put(batch, 'k', '2', 0)),
      ),
      { outcome: OK, value: 5 },
    );
  });
}

function blobSuite(on: On): void {
  const sizes = [0, 1, 65_535, 65_536, 65_537, 1_000_000];
  on('a blob is read back as it was written, whole and in part', async ({ engine }) => {
    for (const size of sizes) {
      const bytes = patterned(size);
      const id = await writeBlob(engine, bytes);
      assert.deepEqual(await readAll((sink) => engine.blobs.read(id, 0, Infinity, sink)), { outcome: OK, bytes });
      assert.equal(await engine.blobs.size(id), size);
      const part = await readAll((sink) => engine.blobs.read(id, 10, 20, sink));
      assert.deepEqual(part, { outcome: OK, bytes: bytes.subarray(10, 20) });
    }
  });

  on('a removed or unknown blob is MISSING', async ({ engine }) => {
    const id = await writeBlob(engine, patterned(100_000));
    assert.equal(await engine.blobs.remove(id), OK);
    assert.equal(await engine.blobs.remove(id), MISSING);
    assert.equal(await engine.blobs.size(id), null);
    assert.equal((await readAll((sink) => engine.blobs.read(id, 0, Infinity, sink))).outcome, MISSING);
  });

  on('a sink without room is waited for, and a stopped read ends', async ({ engine }) => {
    const bytes = patterned(400_000);
    const id = await writeBlob(engine, bytes);
    assert.deepEqual(await readAll((sink) => engine.blobs.read(id, 0, Infinity, sink), 10_000), { outcome: OK, bytes });
    let given = 0;
    const reading = engine.blobs.read(id, 0, Infinity, {
      room: 1_000,
      bytes: (_data, start, end) => {
        given += end - start;
        reading.stop();
      },
      end: () => assert.fail('ended after stop'),
    });
    while (given === 0) await new Promise((resolve) => setImmediate(resolve));
    for (let step = 0; step < 20; step++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(given <= 1_000);
  });

  on('what was aborted or never committed is not there', async ({ engine }) => {
    const writer = engine.blobs.writer();
    await writeAll(writer, patterned(200_000));
    writer.abort();
    const wanted = await writeBlob(engine, patterned(3));
    const unwanted = await writeBlob(engine, patterned(70_000));
    assert.equal(await engine.blobs.sweep((id) => id === wanted), 1);
    assert.equal(await engine.blobs.size(unwanted), null);
    assert.equal(await engine.blobs.size(wanted), 3);
  });

  on('a blob outlives the engine, and ids are not given twice', async (store) => {
    if (store.reopen === null) return;
    const small = await writeBlob(store.engine, patterned(10));
    const large = await writeBlob(store.engine, patterned(300_000));
    await store.engine.close();
    store.engine = await store.reopen();
    const { blobs } = store.engine;
    for (const [id, size] of [
      [small, 10],
      [large, 300_000],
    ] as const)
      assert.deepEqual(await readAll((sink) => blobs.read(id, 0, Infinity, sink)), {
        outcome: OK,
        bytes: patterned(size),
      });
    const next = await writeBlob(store.engine, patterned(1));
    assert.ok(next !== small && next !== large);
  });
}

export function patterned(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let index = 0; index < size; index++) bytes[index] = (index * 31 + (index >> 8)) & 0xff;
  return bytes;
}

/** Writes all, waiting for room. */
export async function writeAll(writer: Pick<BlobWriter, 'write' | 'onRoom'>, bytes: Buffer): Promise<void> {
  let at = 0;
  while (at < bytes.length) {
    const taken = writer.write(bytes, at, bytes.length);
    at += taken;
    if (taken > 0) continue;
    await new Promise<void>((resolve) => {
      writer.onRoom = resolve;
    });
  }
}

export function committed(writer: BlobWriter | TreeWriter): Promise<Settlement> {
  return new Promise((resolve) => {
    writer.commit({ settled: (_token, outcome, value) => resolve({ outcome, value }) }, 1);
  });
}

async function writeBlob(engine: Engine, bytes: Buffer): Promise<number> {
  const writer = engine.blobs.writer();
  await writeAll(writer, bytes);
  const { outcome, value } = await committed(writer);
  assert.equal(outcome, OK);
  return value;
}

/** Reads to the end through a sink that takes at most `most` bytes a step. */
export function readAll(
  read: (sink: Sink) => { more(): void },
  most = Infinity,
): Promise<{ outcome: Outcome; bytes: Buffer }> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    const sink = {
      room: most,
      bytes(data: Uint8Array, start: number, end: number) {
        assert.ok(end - start <= sink.room, 'more than there was room for');
        parts.push(Buffer.from(data.subarray(start, end)));
        sink.room -= end - start;
        if (sink.room > 0) return;
        setImmediate(() => {
          sink.room = most;
          reading.more();
        });
      },
      end: (outcome: Outcome) => resolve({ outcome, bytes: Buffer.concat(parts) }),
    };
    const reading = read(sink);
  });
}
