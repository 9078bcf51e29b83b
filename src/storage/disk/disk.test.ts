import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXISTS, INVALID, MISSING, OK, STALE } from '../../core/outcome.ts';
import { committed, patterned, readAll, writeAll } from '../conformance.ts';
import type { BeginOptions, FileWriter } from '../engine.ts';
import { treeSuite } from '../tree-conformance.ts';
import { DiskTree, PENDING_FOLDER } from './tree.ts';

const OPTIONS = { sync: true, wall: () => Date.now() };

async function opened() {
  const folder = mkdtempSync(join(tmpdir(), 'portico-tree-'));
  const tree = await DiskTree.open(folder, OPTIONS);
  return {
    folder,
    tree,
    async dispose() {
      await tree.close();
      rmSync(folder, { recursive: true });
    },
  };
}

treeSuite('disk', opened);

const on = (what: string, run: (given: Awaited<ReturnType<typeof opened>>) => Promise<void>) =>
  test(`disk: ${what}`, async () => {
    const given = await opened();
    try {
      await run(given);
    } finally {
      await given.dispose();
    }
  });

async function begin(tree: DiskTree, path: string, options: Partial<BeginOptions> = {}): Promise<FileWriter> {
  const writer = await tree.begin(path, { how: 'new', owner: 'o', ...options });
  assert.ok(typeof writer === 'object', `no writer: ${String(writer)}`);
  return writer;
}

async function put(tree: DiskTree, path: string, bytes: Buffer, options: Partial<BeginOptions> = {}) {
  const writer = await begin(tree, path, options);
  await writeAll(writer, bytes);
  return committed(writer);
}

const bytesOf = async (tree: DiskTree, path: string) =>
  (await readAll((sink) => tree.read(path, 0, Number.POSITIVE_INFINITY, sink))).bytes;

on('what is served is what lies in the folder, and what others put there is served', async ({ tree, folder }) => {
  await tree.makeFolder('a');
  await put(tree, 'a/ü.txt', Buffer.from('one'));
  assert.equal(readFileSync(join(folder, 'a/ü.txt'), 'utf8'), 'one');
  assert.deepEqual(readdirSync(folder).sort(), [PENDING_FOLDER, 'a']);
  writeFileSync(join(folder, 'a/other'), 'two');
  assert.deepEqual(
    (await tree.list('a', '', 9))!.map(({ path, size }) => [path, size]),
    [
      ['a/other', 3],
      ['a/ü.txt', 3],
    ],
  );
  assert.deepEqual(
    (await tree.list('', '', 9))!.map(({ path }) => path),
    ['a'],
  );
  assert.equal(await tree.stat(PENDING_FOLDER), null);
});

on('links that leave the tree lead nowhere; those within it are followed', async ({ tree, folder }) => {
  const outside = mkdtempSync(join(tmpdir(), 'portico-outside-'));
  try {
    writeFileSync(join(outside, 'secret'), 'secret');
    mkdirSync(join(folder, 'd'));
    writeFileSync(join(folder, 'd/in'), 'in');
    symlinkSync(outside, join(folder, 'out'));
    symlinkSync(join(outside, 'secret'), join(folder, 'leaf'));
    symlinkSync('/etc/passwd', join(folder, 'd/passwd'));
    symlinkSync('d', join(folder, 'within'));
    symlinkSync(join(folder, PENDING_FOLDER), join(folder, 'pending'));
    for (const path of ['out', 'out/secret', 'leaf', 'd/passwd', 'pending', 'within/passwd']) {
      assert.equal(await tree.stat(path), null, path);
      assert.equal(await tree.open(path), INVALID, path);
      assert.equal(typeof (await tree.begin(`${path}/x`, { how: 'new', owner: 'o' })), 'number', path);
      assert.notEqual(await tree.makeFolder(`${path}/x`), OK);
      assert.notEqual(await tree.copy(path, 'copied', false), OK);
    }
    assert.equal(typeof (await tree.begin('leaf', { how: 'new', owner: 'o' })), 'number');
    assert.equal(String(await bytesOf(tree, 'within/in')), 'in');
    assert.deepEqual(
      (await tree.list('d', '', 9))!.map(({ path }) => path),
      ['d/in'],
    );
    assert.equal(await tree.copy('d', 'e', false), OK);
    assert.deepEqual(readdirSync(join(folder, 'e')), ['in']);
    assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'secret');
  } finally {
    rmSync(outside, { recursive: true });
  }
});

on('a file that is changed is the old one or the new one, for who has it open too', async ({ tree }) => {
  const old = patterned(500_000);
  await put(tree, 'f', old);
  const file = await tree.open('f');
  assert.ok(typeof file === 'object');
  const writer = await begin(tree, 'f', { how: 'change' });
  assert.equal(writer.begun, 500_000);
  writer.writeAt(499_999, Buffer.from('xy'), 0, 2);
  writer.writeAt(0, Buffer.from('ab'), 0, 2);
  writer.truncate(600_000);
  assert.deepEqual(await bytesOf(tree, 'f'), old);
  assert.deepEqual(await committed(writer), { outcome: OK, value: 600_000 });
  const expected = Buffer.alloc(600_000);
  old.copy(expected);
  expected.write('ab', 0);
  expected.write('xy', 499_999);
  assert.deepEqual(await bytesOf(tree, 'f'), expected);
  assert.deepEqual((await readAll((sink) => file.read(0, file.stat.size, sink))).bytes, old);
  file.close();
});

on('two who write one file do not tear it, and only one of two makes it anew', async ({ tree }) => {
  const one = await begin(tree, 'f');
  const other = await begin(tree, 'f');
  await writeAll(one, Buffer.alloc(300_000, 1));
  await writeAll(other, Buffer.alloc(200_000, 2));
  assert.deepEqual(
    (await Promise.all([committed(one), committed(other)])).map(({ outcome }) => outcome),
    [OK, OK],
  );
  const bytes = (await bytesOf(tree, 'f'))!;
  assert.ok(bytes.every((byte) => byte === bytes[0]));
  assert.equal(bytes.length, bytes[0] === 1 ? 300_000 : 200_000);
  const [first, second] = [await begin(tree, 'g', { how: 'fresh' }), await begin(tree, 'g', { how: 'fresh' })];
  await writeAll(first, Buffer.from('1'));
  await writeAll(second, Buffer.from('2'));
  assert.deepEqual([(await committed(first)).outcome, (await committed(second)).outcome], [OK, EXISTS]);
  assert.equal(await tree.begin('g', { how: 'fresh', owner: 'o' }), EXISTS);
});

on('what a crash left of an upload goes on, and nothing of it is to be seen', async ({ tree, folder }) => {
  const bytes = patterned(400_000);
  const writer = await begin(tree, 'big');
  await writeAll(writer, bytes.subarray(0, 300_000));
  while (existsSync(join(folder, 'big')) || !readdirSync(join(folder, PENDING_FOLDER)).length)
    await new Promise(setImmediate);
  await new Promise((resolve) => setTimeout(resolve, 50));
  // Another process opens the folder: the first was killed.
  const next = await DiskTree.open(folder, OPTIONS);
  assert.equal(await next.stat('big'), null);
  const size = await next.pending('big', 'o');
  assert.equal(size, 300_000);
  assert.equal(await next.pending('big', 'another'), null);
  const goesOn = await begin(next, 'big', { how: 'resume', offset: 300_000 });
  await writeAll(goesOn, bytes.subarray(300_000));
  assert.equal((await committed(goesOn)).outcome, OK);
  assert.deepEqual(await bytesOf(next, 'big'), bytes);
  assert.deepEqual(readdirSync(join(folder, PENDING_FOLDER)), []);
  await next.close();
});

on('going on with a file that is there, behind its end only', async ({ tree }) => {
  await put(tree, 'log', Buffer.from('one'));
  assert.equal(await tree.begin('log', { how: 'resume', owner: 'o', offset: 2 }), STALE);
  assert.equal((await put(tree, 'log', Buffer.from('two'), { how: 'resume', offset: 3 })).outcome, OK);
  assert.equal(String(await bytesOf(tree, 'log')), 'onetwo');
});

on('folders are removed with all in them, copied, and scanned however large', async ({ tree, folder }) => {
  mkdirSync(join(folder, 'many'));
  for (let index = 0; index < 1_000; index++) writeFileSync(join(folder, `many/${index}`), '');
  const seen = new Set<string>();
  for await (const some of tree.scan('many')) for (const { path } of some) seen.add(path);
  assert.equal(seen.size, 1_000);
  const paged: string[] = [];
  for (let after = ''; ; ) {
    const page = (await tree.list('many', after, 300))!;
    paged.push(...page.map(({ path }) => path));
    if (page.length < 300) break;
    after = page.at(-1)!.path.slice('many/'.length);
  }
  assert.deepEqual(paged, [...seen].sort());
  assert.equal(await tree.copy('many', 'more', false), OK);
  assert.equal(await tree.copy('many', 'more', false), EXISTS);
  assert.equal(await tree.removeAll('many'), OK);
  assert.equal(await tree.removeAll('many'), MISSING);
  assert.equal((await tree.list('more', '', 2_000))!.length, 1_000);
});

on('times are set', async ({ tree }) => {
  await put(tree, 'f', Buffer.from('x'), { modified: 1_000_000_000_000 });
  assert.equal((await tree.stat('f'))!.modified, 1_000_000_000_000);
  assert.equal(await tree.touch('f', 1_100_000_000_000), OK);
  assert.equal((await tree.stat('f'))!.modified, 1_100_000_000_000);
  assert.equal(await tree.touch('nothing', 0), MISSING);
});
