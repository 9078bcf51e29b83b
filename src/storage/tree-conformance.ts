// What every tree must do, in memory or on disk. It is imported by tests only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXISTS, INVALID, MISSING, OK, STALE } from '../core/outcome.ts';
import { committed, patterned, readAll, type Settlement, writeAll } from './conformance.ts';
import type { Tree } from './engine.ts';

/** Runs the suite for trees against what `open` opens. */
export function treeSuite(name: string, open: () => Promise<{ tree: Tree; dispose(): Promise<void> }>): void {
  const on = (what: string, run: (tree: Tree) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      const { tree, dispose } = await open();
      try {
        await run(tree);
      } finally {
        await dispose();
      }
    });

  on('a file appears whole on commit, and its version changes with it', async (tree) => {
    const writer = await writerOf(tree, 'a.txt');
    await writeAll(writer, patterned(200_000));
    assert.equal(await tree.stat('a.txt'), null);
    assert.deepEqual(await committed(writer), { outcome: OK, value: 200_000 });
    const first = (await tree.stat('a.txt'))!;
    assert.equal(first.size, 200_000);
    await writeFile(tree, 'a.txt', patterned(5));
    const second = (await tree.stat('a.txt'))!;
    assert.notEqual(second.version, first.version);
    assert.deepEqual(await readAll((sink) => tree.read('a.txt', 0, Infinity, sink)), {
      outcome: OK,
      bytes: patterned(5),
    });
    assert.deepEqual(await readAll((sink) => tree.read('a.txt', 2, 4, sink)), {
      outcome: OK,
      bytes: patterned(5).subarray(2, 4),
    });
  });

  on('conditions: a new file, a known version', async (tree) => {
    await writeFile(tree, 'a', patterned(1), { owner: 'o', ifVersion: '' });
    assert.equal((await writeFile(tree, 'a', patterned(2), { owner: 'o', ifVersion: '' })).outcome, STALE);
    const { version } = (await tree.stat('a'))!;
    assert.equal((await writeFile(tree, 'a', patterned(3), { owner: 'o', ifVersion: version })).outcome, OK);
    assert.equal(await tree.remove('a', version), STALE);
    assert.equal(await tree.remove('a'), OK);
    assert.equal(await tree.remove('a'), MISSING);
  });

  on('a suspended upload is continued at its size, by its owner only', async (tree) => {
    const bytes = patterned(100_000);
    const begun = await writerOf(tree, 'big');
    await writeAll(begun, bytes.subarray(0, 40_000));
    begun.suspend();
    assert.equal(await tree.pending('big', 'o'), 40_000);
    assert.equal(await tree.pending('big', 'other'), null);
    assert.equal(await tree.write('big', { owner: 'o', offset: 39_999 }), STALE);
    const goesOn = await writerOf(tree, 'big', { owner: 'o', offset: 40_000 });
    await writeAll(goesOn, bytes.subarray(40_000));
    assert.deepEqual(await committed(goesOn), { outcome: OK, value: 100_000 });
    assert.deepEqual(await readAll((sink) => tree.read('big', 0, Infinity, sink)), { outcome: OK, bytes });
    assert.equal(await tree.pending('big', 'o'), null);
  });

  on('folders: making, listing in slices, removing, renaming', async (tree) => {
    assert.equal(await tree.makeFolder('f/g'), MISSING);
    assert.equal(await tree.makeFolder('f'), OK);
    assert.equal(await tree.makeFolder('f'), EXISTS);
    assert.equal(await tree.makeFolder('f/g'), OK);
    for (const name of ['b', 'a', 'ü', 'c']) await writeFile(tree, `f/${name}`, patterned(1));
    const names = (stats: readonly { path: string }[] | null) => stats?.map(({ path }) => path);
    assert.deepEqual(names(await tree.list('f', '', 3)), ['f/a', 'f/b', 'f/c']);
    assert.deepEqual(names(await tree.list('f', 'c', 3)), ['f/g', 'f/ü']);
    assert.equal(await tree.list('f/a', '', 1), null);
    assert.equal(await tree.remove('f'), EXISTS);
    assert.equal(await tree.rename('f', 'f/g/h', false), INVALID);
    assert.equal(await tree.rename('f', 'e', false), OK);
    assert.deepEqual(names(await tree.list('e', 'f', 9)), ['e/g', 'e/ü']);
    assert.equal(await tree.rename('e/a', 'e/b', false), EXISTS);
    assert.equal(await tree.rename('e/a', 'e/b', true), OK);
    assert.equal(await tree.stat('e/a'), null);
    assert.equal(await tree.rename('none', 'x', false), MISSING);
  });

  on('hostile names are INVALID', async (tree) => {
    for (const path of ['..', 'a/..', '../a', '.', 'a//b', '/a', 'a/', 'a\0', 'a\n', '\x7f', 'x'.repeat(256)]) {
      assert.equal(await tree.makeFolder(path), INVALID, JSON.stringify(path));
      assert.equal(await tree.write(path, { owner: 'o' }), INVALID, JSON.stringify(path));
      assert.equal(await tree.stat(path), null);
    }
    await tree.makeFolder('d');
    assert.equal(await tree.write('d', { owner: 'o' }), EXISTS);
    assert.equal(await tree.write('no/x', { owner: 'o' }), MISSING);
  });
}

async function writerOf(tree: Tree, path: string, options = { owner: 'o' } as { owner: string; offset?: number }) {
  const writer = await tree.write(path, options);
  assert.ok(typeof writer === 'object', `no writer: ${String(writer)}`);
  return writer;
}

async function writeFile(
  tree: Tree,
  path: string,
  bytes: Buffer,
  options: { owner: string; ifVersion?: string } = { owner: 'o' },
): Promise<Settlement> {
  const writer = await writerOf(tree, path, options);
  await writeAll(writer, bytes);
  return committed(writer);
}
