// The tree on disk: what every tree must do, and what a disk can be made to do.
import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DENIED, EXISTS, INVALID, MISSING, OK } from '../../core/outcome.ts';
import { committed, patterned, readAll, writeAll } from '../conformance.ts';
import { treeSuite } from '../tree-conformance.ts';
import { DiskTree } from './tree.ts';

function fresh() {
  const root = mkdtempSync(join(tmpdir(), 'portico-tree-'));
  const tree = new DiskTree(root);
  const dispose = async () => {
    await tree.close();
    rmSync(root, { recursive: true });
  };
  return { root, tree, dispose };
}

treeSuite('a tree on disk', async () => fresh());

async function on(run: (tree: DiskTree, root: string) => Promise<void>): Promise<void> {
  const { root, tree, dispose } = fresh();
  try {
    await run(tree, root);
  } finally {
    await dispose();
  }
}

async function put(tree: DiskTree, path: string, bytes: Buffer): Promise<void> {
  const writer = await tree.write(path, { owner: 'o' });
  assert.ok(typeof writer === 'object');
  await writeAll(writer, bytes);
  assert.equal((await committed(writer)).outcome, OK);
}

test('what is on the disk is what is served', () =>
  on(async (tree, root) => {
    await put(tree, 'a.txt', Buffer.from('hello'));
    assert.equal(readFileSync(join(root, 'a.txt'), 'utf8'), 'hello');
    writeFileSync(join(root, 'b.txt'), 'by another program');
    assert.equal((await tree.stat('b.txt'))?.size, 18);
    assert.deepEqual(
      (await tree.list('', '', 10))?.map(({ path }) => path),
      ['a.txt', 'b.txt'],
    );
    assert.deepEqual(readdirSync(root).sort(), ['.portico', 'a.txt', 'b.txt']);
    assert.equal(await tree.stat('.portico'), null);
    assert.equal(await tree.write('.portico/x', { owner: 'o' }), INVALID);
  }));

test('links are followed within the tree, and lead nowhere out of it', () =>
  on(async (tree, root) => {
    mkdirSync(join(root, 'in'));
    writeFileSync(join(root, 'in', 'a'), 'inside');
    symlinkSync('in/a', join(root, 'good'));
    symlinkSync('/etc/passwd', join(root, 'bad'));
    symlinkSync('/etc', join(root, 'etc'));
    symlinkSync('../../..', join(root, 'in', 'up'));
    symlinkSync('.portico', join(root, 'hidden'));
    assert.equal((await tree.stat('good'))?.size, 6);
    assert.equal((await tree.stat('good', false))?.link, 'in/a');
    for (const path of ['bad', 'etc/passwd', 'etc', 'in/up/etc/passwd', 'hidden', 'hidden/pending']) {
      assert.equal(await tree.stat(path), null, path);
      assert.equal(await tree.open(path), MISSING, path);
      assert.equal((await readAll((sink) => tree.read(path, 0, 1, sink))).outcome, MISSING, path);
      assert.equal(await tree.list(path, '', 1), null, path);
    }
    assert.equal(await tree.write('etc/portico-was-here', { owner: 'o' }), MISSING);
    assert.equal(await tree.makeFolder('etc/portico-was-here'), MISSING);
    assert.equal(await tree.remove('etc/passwd'), MISSING);
    assert.equal(await tree.rename('good', 'etc/portico-was-here', true), MISSING);
    assert.equal(await tree.copy('bad', 'mine', false), MISSING);
    assert.equal(await tree.remove('bad'), OK, 'the link itself goes');
    assert.equal(await tree.link('new', '../..'), DENIED);
    assert.equal(await tree.link('in/new', '../good'), OK);
    assert.equal((await tree.stat('in/new'))?.size, 6);
  }));

test('a folder that becomes a link out of the tree meanwhile keeps the writer in', () =>
  on(async (tree, root) => {
    mkdirSync(join(root, 'd'));
    const outside = mkdtempSync(join(tmpdir(), 'portico-out-'));
    const writer = await tree.write('d/x', { owner: 'o' });
    assert.ok(typeof writer === 'object');
    await writeAll(writer, patterned(10));
    renameSync(join(root, 'd'), join(root, 'was'));
    symlinkSync(outside, join(root, 'd'));
    assert.equal((await committed(writer)).outcome, MISSING);
    assert.deepEqual(readdirSync(outside), []);
    rmSync(outside, { recursive: true });
  }));

test('a writer goes anywhere in its copy, and what was there is whole until it commits', () =>
  on(async (tree) => {
    await put(tree, 'f', Buffer.from('0123456789'));
    const writer = await tree.write('f', { owner: 'o', edit: true });
    assert.ok(typeof writer === 'object');
    assert.equal(writer.size, 10);
    writer.seek(4);
    writer.write(Buffer.from('xy'), 0, 2);
    writer.seek(12);
    writer.write(Buffer.from('z'), 0, 1);
    const seen = await readAll((sink) => writer.read(0, 100, sink));
    assert.equal(seen.bytes.toString('latin1'), '0123xy6789\0\0z');
    assert.equal((await readAll((sink) => tree.read('f', 0, 100, sink))).bytes.toString(), '0123456789');
    writer.truncate(5);
    assert.deepEqual(await committed(writer), { outcome: OK, value: 5 });
    assert.equal((await readAll((sink) => tree.read('f', 0, 100, sink))).bytes.toString(), '0123x');
  }));

test('two writers of one path do not meet', () =>
  on(async (tree) => {
    const one = await tree.write('f', { owner: 'o' });
    const other = await tree.write('f', { owner: 'o' });
    assert.ok(typeof one === 'object' && typeof other === 'object');
    await Promise.all([writeAll(one, Buffer.alloc(500_000, 'a')), writeAll(other, Buffer.alloc(700_000, 'b'))]);
    assert.equal((await committed(one)).outcome, OK);
    const { bytes } = await readAll((sink) => tree.read('f', 0, Infinity, sink));
    assert.ok(bytes.equals(Buffer.alloc(500_000, 'a')));
    assert.equal((await committed(other)).outcome, OK);
    const now = await readAll((sink) => tree.read('f', 0, Infinity, sink));
    assert.ok(now.bytes.equals(Buffer.alloc(700_000, 'b')));
  }));

test('what was left is found by another tree of the same folder, and swept when it is old', () =>
  on(async (tree, root) => {
    const writer = await tree.write('big', { owner: 'o' });
    assert.ok(typeof writer === 'object');
    await writeAll(writer, patterned(300_000));
    await writer.sync();
    // The process is gone: nobody suspends.
    const later = new DiskTree(root);
    assert.equal(await later.pending('big', 'o'), 300_000);
    const goesOn = await later.write('big', { owner: 'o', offset: 300_000 });
    assert.ok(typeof goesOn === 'object');
    goesOn.suspend();
    assert.equal(await later.sweepPending(0), 0);
    assert.equal(await later.pending('big', 'o'), 300_000);
    assert.equal(await later.sweepPending(Date.now() + 60_000), 1);
    assert.equal(await later.pending('big', 'o'), null);
    writer.abort();
  }));

test('a folder in pages: all names once, in the order of the disk and by name', () =>
  on(async (tree, root) => {
    const names = Array.from({ length: 3_000 }, (_, index) => `n${index}`);
    for (const name of names) writeFileSync(join(root, name), '');
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe])]), 'not UTF-8');
    writeFileSync(join(root, 'bad\nname'), '');
    const folder = await tree.openFolder('');
    assert.ok(typeof folder === 'object');
    const seen: string[] = [];
    for (;;) {
      const page = await folder.next(250);
      if (page.length === 0) break;
      assert.ok(page.length <= 250);
      seen.push(...page.map(({ path }) => path));
    }
    folder.close();
    assert.deepEqual(seen.sort(), [...names].sort());
    const sorted: string[] = [];
    for (let after = ''; ; after = sorted.at(-1)!) {
      const page = (await tree.list('', after, 700))!;
      if (page.length === 0) break;
      sorted.push(...page.map(({ path }) => path));
    }
    assert.deepEqual(sorted, [...names].sort());
  }));

test('copies, times and modes', () =>
  on(async (tree, root) => {
    await put(tree, 'a', patterned(100_000));
    assert.equal(await tree.set('a', { modified: 1_600_000_000_000, mode: 0o600 }), OK);
    assert.equal((await tree.stat('a'))?.modified, 1_600_000_000_000);
    assert.equal(await tree.copy('a', 'b', false), OK);
    assert.equal(await tree.copy('a', 'b', false), EXISTS);
    assert.equal((await tree.stat('b'))?.modified, 1_600_000_000_000);
    assert.ok(readFileSync(join(root, 'b')).equals(patterned(100_000)));
    await put(tree, 'a', patterned(5));
    assert.equal((await tree.stat('a'))?.mode, 0o600, 'who may read it stays as it was');
    assert.deepEqual(readdirSync(join(root, '.portico', 'pending')), []);
  }));
