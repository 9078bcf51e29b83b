// Files that are kept open: what is read is what is there, however it changed, and nothing stays open for nobody.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { OK } from '../../core/outcome.ts';
import { DiskTree } from './tree.ts';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function treeOf(files: Readonly<Record<string, string>>): { tree: DiskTree; root: string } {
  const root = mkdtempSync(join(tmpdir(), 'portico-kept-'));
  folders.push(root);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text);
  return { tree: new DiskTree(root), root };
}

async function readAll(tree: DiskTree, path: string): Promise<string> {
  const file = await tree.open(path);
  if (typeof file === 'number') return `outcome ${file}`;
  const pieces: Buffer[] = [];
  const outcome = await new Promise((resolve) => {
    file.read(0, Number.POSITIVE_INFINITY, {
      room: 1_000_000,
      bytes: (data, start, end) => void pieces.push(Buffer.from(data.subarray(start, end))),
      end: resolve,
    });
  });
  file.close();
  assert.equal(outcome, OK);
  return Buffer.concat(pieces).toString();
}

async function put(tree: DiskTree, path: string, text: string): Promise<void> {
  const writer = await tree.write(path, { owner: '' });
  if (typeof writer === 'number') throw new Error(`no writer: ${writer}`);
  const bytes = Buffer.from(text);
  writer.write(bytes, 0, bytes.length);
  const outcome = await new Promise((resolve) => writer.commit({ settled: (_token, how) => resolve(how) }, 0));
  assert.equal(outcome, OK);
}

/** Often enough that it is kept, and in memory. */
async function warm(tree: DiskTree, path: string): Promise<string> {
  await readAll(tree, path);
  await new Promise((resolve) => setTimeout(resolve, 120));
  let text = '';
  for (let round = 0; round < 10; round++) {
    text = await readAll(tree, path);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return text;
}

test('what the tree changes is seen at once: written, renamed over, removed, made again', async () => {
  const { tree } = treeOf({ a: 'one', b: 'other' });
  assert.equal(await warm(tree, 'a'), 'one');
  await put(tree, 'a', 'two, and longer');
  assert.equal(await readAll(tree, 'a'), 'two, and longer');
  await warm(tree, 'a');
  assert.equal(await tree.rename('b', 'a', true), OK);
  assert.equal(await readAll(tree, 'a'), 'other');
  await warm(tree, 'a');
  assert.equal(await tree.remove('a'), OK);
  assert.match(await readAll(tree, 'a'), /^outcome/);
  await put(tree, 'a', 'new');
  assert.equal(await readAll(tree, 'a'), 'new');
  await tree.close();
});

test('a folder that is renamed takes its files along, and a link does not show what it led to', async () => {
  const { tree, root } = treeOf({});
  assert.equal(await tree.makeFolder('d'), OK);
  await put(tree, 'd/f', 'in d');
  symlinkSync('d', join(root, 'l'));
  assert.equal(await warm(tree, 'd/f'), 'in d');
  assert.equal(await warm(tree, 'l/f'), 'in d');
  assert.equal(await tree.rename('d', 'e', false), OK);
  assert.match(await readAll(tree, 'd/f'), /^outcome/);
  assert.match(await readAll(tree, 'l/f'), /^outcome/);
  assert.equal(await readAll(tree, 'e/f'), 'in d');
  await tree.close();
});

test('readers and writers at once: each read is one whole version, and not one before what was acknowledged', async () => {
  const { tree } = treeOf({ f: '0'.repeat(5_000) });
  let written = 0;
  let over = false;
  const readers = Array.from({ length: 8 }, async () => {
    while (!over) {
      const least = written;
      const text = await readAll(tree, 'f');
      assert.equal(text.length, 5_000);
      assert.equal(new Set(text).size, 1);
      assert.ok(text.charCodeAt(0) - 0x30 >= least, `${text[0]} after ${least}`);
      // What is in memory is there at once: without this nobody else would have a turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  for (let round = 1; round <= 40; round++) {
    await put(tree, 'f', String.fromCharCode(0x30 + round).repeat(5_000));
    written = round;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  over = true;
  await Promise.all(readers);
  await tree.close();
});

test('what others change on the disk is seen at once, and nothing stays open', async () => {
  const { tree, root } = treeOf({ f: 'one', g: 'x'.repeat(500_000), h: '0' });
  assert.equal(await warm(tree, 'f'), 'one');
  assert.equal((await warm(tree, 'g')).length, 500_000);
  writeFileSync(join(root, 'f'), 'two');
  assert.equal(await readAll(tree, 'f'), 'two');
  // Within one tick of the file system's clock, with as many bytes.
  for (let round = 1; round < 200; round++) {
    writeFileSync(join(root, 'h'), String(round % 10));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await readAll(tree, 'h'), String(round % 10));
  }
  assert.equal(await warm(tree, 'f'), 'two');
  writeFileSync(join(root, 'new'), 'six');
  renameSync(join(root, 'new'), join(root, 'f'));
  assert.equal(await readAll(tree, 'f'), 'six');
  assert.equal(await warm(tree, 'f'), 'six');
  rmSync(join(root, 'f'));
  assert.match(await readAll(tree, 'f'), /^outcome/);
  const end = performance.now() + 3_000;
  const isOpen = () =>
    readdirSync('/proc/self/fd').some((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(root);
      } catch {
        return false;
      }
    });
  while (process.platform === 'linux' && isOpen()) {
    assert.ok(performance.now() < end + 5_000, 'a file stays open');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await tree.close();
});

test('what is kept is bounded', async () => {
  const files = Object.fromEntries(Array.from({ length: 400 }, (_, at) => [`f${at}`, String(at).repeat(10)]));
  const { tree, root } = treeOf(files);
  for (const [name, text] of Object.entries(files)) assert.equal(await readAll(tree, name), text);
  if (process.platform === 'linux') {
    const open = readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(root);
      } catch {
        return false;
      }
    });
    assert.ok(open.length <= 256, String(open.length));
  }
  await tree.close();
});
