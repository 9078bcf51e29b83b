// The files under rules: homes, links, locks, quotas, mounts, properties and events.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Caller } from '../../core/caller.ts';
import { BUSY, DENIED, EXISTS, FULL, INVALID, MISSING, OK, type Outcome, STALE, UNKNOWN } from '../../core/outcome.ts';
import { DiskTree } from '../../storage/disk/tree.ts';
import { MemoryEngine } from '../../storage/memory/engine.ts';
import { Rules } from '../accounts/rules/rules.ts';
import type { FileEvent, Files, WriteWish } from './contract.ts';
import { type FilesOptions, openFiles } from './open.ts';

const caller = (account: string): Caller => ({
  account,
  scopes: null,
  origin: 'local',
  epoch: 1,
  by: 'password',
  id: account,
});
const ANN = caller('ann');
const BOB = caller('bob');
const NOBODY: Caller = { account: '', scopes: null, origin: 'remote', epoch: 1 };

interface Stage {
  readonly files: Files;
  readonly root: string;
  readonly events: FileEvent[];
  put(who: Caller, path: string, text: string, wish?: Partial<WriteWish>): Promise<Outcome>;
}

async function on(
  rules: readonly string[],
  more: Partial<FilesOptions>,
  run: (stage: Stage) => Promise<void>,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'portico-files-'));
  const engine = new MemoryEngine();
  const permissions = new Rules(rules);
  permissions.replace([], { groupsOf: (account) => (account === '' ? null : []) });
  const events: FileEvent[] = [];
  const files = await openFiles({
    engine,
    tree: new DiskTree(root),
    permissions,
    folders: ['shared'],
    told: (event) => events.push(event),
    wall: () => Date.now(),
    ...more,
  });
  const put = async (who: Caller, path: string, text: string, wish: Partial<WriteWish> = {}) => {
    const file = await files.write(who, path, { begin: 'new', ...wish });
    if (typeof file === 'number') return file;
    file.write(Buffer.from(text), 0, Buffer.byteLength(text));
    const facts = await file.commit();
    return typeof facts === 'number' ? facts : OK;
  };
  try {
    await run({ files, root, events, put });
  } finally {
    await files.close();
    await engine.close();
    rmSync(root, { recursive: true });
  }
}

test('a home is its account’s alone, and is made when it is first used', () =>
  on([], {}, async ({ files, put }) => {
    assert.equal(await put(ANN, 'home/ann/a', 'mine'), OK);
    for (const path of ['home/ann/a', 'home/ann', 'home/ann/none']) {
      assert.equal(await files.stat(BOB, path), DENIED, path);
      assert.equal(await files.open(BOB, path), DENIED, path);
      assert.equal(await files.stat(NOBODY, path), UNKNOWN, path);
    }
    assert.equal(await put(BOB, 'home/ann/b', 'x'), DENIED);
    assert.equal(await files.remove(BOB, 'home/ann/a'), DENIED);
    assert.equal(await files.move(BOB, 'home/ann/a', 'home/bob/a'), DENIED);
    assert.equal(await files.copy(BOB, 'home/ann/a', 'home/bob/a'), DENIED);
    const homes = await files.list(BOB, 'home', '', 10);
    assert.ok(typeof homes === 'object');
    assert.deepEqual(
      homes.entries.map(({ path }) => path),
      ['home/bob'],
    );
    const root = await files.list(ANN, '', '', 10);
    assert.ok(typeof root === 'object');
    assert.deepEqual(
      root.entries.map(({ path }) => path),
      ['home', 'shared'],
    );
    assert.equal(await files.list(NOBODY, '', '', 10), UNKNOWN);
  }));

test('a link gives nobody more than the rules do', () =>
  on([], {}, async ({ files, put, root }) => {
    await put(BOB, 'home/bob/secret', 'of bob');
    await put(ANN, 'home/ann/a', 'of ann');
    assert.equal(await files.link(ANN, 'home/ann/way', '../bob'), OK);
    symlinkSync('../bob/secret', join(root, 'home', 'ann', 'one'));
    for (const path of ['home/ann/way/secret', 'home/ann/one', 'home/ann/way']) {
      assert.equal(await files.stat(ANN, path), MISSING, path);
      assert.equal(await files.open(ANN, path), MISSING, path);
      assert.equal(await files.hash(ANN, path, 'md5'), MISSING, path);
      assert.equal(await files.list(ANN, path, '', 10), MISSING, path);
      assert.equal(await files.openFolder(ANN, path), MISSING, path);
      assert.equal(await put(ANN, path, 'overwritten'), MISSING, path);
      assert.equal(await files.copy(ANN, path, 'home/ann/stolen', { deep: true }), MISSING, path);
      assert.equal(await files.setAttributes(ANN, path, { modified: 1 }), MISSING, path);
    }
    assert.equal(await put(ANN, 'home/ann/way/new', 'x'), MISSING);
    assert.equal(await files.makeFolder(ANN, 'home/ann/way/new'), MISSING);
    assert.equal(await files.remove(ANN, 'home/ann/way/secret'), MISSING);
    assert.equal(await files.move(ANN, 'home/ann/way/secret', 'home/ann/stolen'), MISSING);
    assert.equal(await files.move(ANN, 'home/ann/a', 'home/ann/way/a'), MISSING);
    assert.equal(readFileSync(join(root, 'home', 'bob', 'secret'), 'utf8'), 'of bob');
    assert.equal(await files.remove(ANN, 'home/ann/way'), OK, 'the link itself is hers');
  }));

test('a folder is taken away only by who may take all that is in it', () =>
  on(
    ['allow everyone read,write,delete,list files/shared/#', 'deny bob delete files/shared/f/kept'],
    {},
    async ({ files, put }) => {
      await put(ANN, 'shared/f/kept', 'x', { folders: true });
      assert.equal(await files.remove(BOB, 'shared/f', { deep: true }), DENIED);
      assert.equal(await files.move(BOB, 'shared/f', 'shared/g'), DENIED);
      assert.equal(await files.remove(ANN, 'shared/f'), EXISTS);
      assert.equal(await files.remove(ANN, 'shared/f', { deep: true }), OK);
    },
  ));

test('locks hold for all, but for who shows the token', () =>
  on([], {}, async ({ files, put }) => {
    await put(ANN, 'shared/f/a', 'x', { folders: true });
    const wish = { isShared: false, isDeep: true, owner: '', timeoutMs: 60_000 };
    const lock = files.locks.take(ANN, 'shared/f', wish);
    assert.ok(typeof lock === 'object');
    assert.equal(files.locks.take(BOB, 'shared/f/a', wish), BUSY);
    assert.equal(await put(BOB, 'shared/f/a', 'y'), BUSY);
    assert.equal(await files.remove(ANN, 'shared/f/a'), BUSY);
    assert.equal(await files.move(ANN, 'shared/f', 'shared/g'), BUSY);
    assert.equal(await put(ANN, 'shared/f/a', 'y', { locks: [lock.token] }), OK);
    assert.equal(files.locks.release(BOB, 'shared/f', lock.token), DENIED);
    assert.equal(files.locks.release(ANN, 'shared/f', lock.token), OK);
    assert.equal(await put(BOB, 'shared/f/a', 'z'), OK);
  }));

test('a lock that comes while a file is on its way keeps it from appearing', () =>
  on([], {}, async ({ files }) => {
    const file = await files.write(BOB, 'shared/a', { begin: 'new' });
    assert.ok(typeof file === 'object');
    files.locks.take(ANN, 'shared/a', { isShared: false, isDeep: false, owner: '', timeoutMs: 60_000 });
    assert.equal(await file.commit(), BUSY);
    assert.equal(await files.stat(ANN, 'shared/a'), MISSING);
  }));

test('a quota holds for what is there and what is on its way', () =>
  on([], { quotas: [{ path: 'home/*', bytes: 10 }] }, async ({ files, put }) => {
    assert.equal(await put(ANN, 'home/ann/a', '12345'), OK);
    const one = await files.write(ANN, 'home/ann/b', { begin: 'new' });
    assert.ok(typeof one === 'object');
    one.write(Buffer.from('1234'), 0, 4);
    assert.equal(await put(ANN, 'home/ann/c', '12'), FULL);
    one.abort();
    assert.equal(await put(ANN, 'home/ann/c', '12345'), OK);
    assert.equal(await files.write(ANN, 'home/ann/d', { begin: 'new', length: 1 }), FULL);
    assert.equal(await put(BOB, 'home/bob/a', '1234567890'), OK);
    const space = await files.space(ANN, 'home/ann');
    assert.ok(typeof space === 'object');
    assert.deepEqual([space.used, space.free, space.hasQuota], [10, 0, true]);
    await files.remove(ANN, 'home/ann/a');
    assert.equal(await put(ANN, 'home/ann/d', '12345'), OK);
  }));

test('how a file is begun: fresh, appended to, gone on with, edited', () =>
  on([], {}, async ({ files, put, root }) => {
    const text = () => readFileSync(join(root, 'shared', 'f'), 'utf8');
    assert.equal(await put(ANN, 'shared/f', 'abc', { begin: 'fresh' }), OK);
    assert.equal(await put(ANN, 'shared/f', 'x', { begin: 'fresh' }), EXISTS);
    assert.equal(await put(ANN, 'shared/f', 'def', { begin: 'append' }), OK);
    assert.equal(text(), 'abcdef');
    assert.equal(await put(ANN, 'shared/f', 'XY', { begin: 'edit' }), OK);
    assert.equal(text(), 'XYcdef');
    assert.equal(await put(ANN, 'shared/f', '!', { begin: 'resume', offset: 2 }), OK);
    assert.equal(text(), 'XY!');
    assert.equal(await put(ANN, 'shared/f', '!', { begin: 'resume', offset: 9 }), STALE);
    assert.equal(await put(ANN, 'shared/none', '!', { begin: 'edit' }), MISSING);
    assert.equal(await put(ANN, 'shared/f', '!', { ifVersion: 'other' }), STALE);
    const cut = await files.write(ANN, 'shared/f', { begin: 'new' });
    assert.ok(typeof cut === 'object');
    cut.write(Buffer.from('half'), 0, 4);
    cut.suspend();
    assert.equal((await files.pending(ANN, 'shared/f'))?.size, 4);
    assert.equal(await files.pending(BOB, 'shared/f'), null);
    assert.equal(text(), 'XY!');
    assert.equal(await put(ANN, 'shared/f', ' whole', { begin: 'resume', offset: 4 }), OK);
    assert.equal(text(), 'half whole');
    const sum = await files.hash(ANN, 'shared/f', 'crc32', 0, 4);
    assert.deepEqual(sum, { hex: 'fb5a4121', end: 4 });
  }));

test('mounts: read, copied from, not written when they are read-only', async () => {
  const media = mkdtempSync(join(tmpdir(), 'portico-media-'));
  mkdirSync(join(media, 'd'));
  writeFileSync(join(media, 'd', 'a'), 'by another program');
  const mounts = new Map([['media', { tree: new DiskTree(media, true), readOnly: true }]]);
  await on(['allow everyone read,write,delete,list files/#'], { mounts }, async ({ files, put, root }) => {
    const all = await files.list(ANN, '', '', 10);
    assert.ok(typeof all === 'object');
    assert.deepEqual(
      all.entries.map(({ name }) => name),
      ['media', 'shared'],
    );
    assert.equal(await put(ANN, 'media/x', 'x'), DENIED);
    assert.equal(await files.remove(ANN, 'media/d', { deep: true }), DENIED);
    assert.equal(await files.move(ANN, 'media/d', 'shared/d'), DENIED);
    assert.equal(await files.copy(ANN, 'media/d', 'shared/d', { deep: true }), OK);
    assert.equal(readFileSync(join(root, 'shared', 'd', 'a'), 'utf8'), 'by another program');
  });
  rmSync(media, { recursive: true });
});

test('properties go with a file, and events tell of it', () =>
  on([], {}, async ({ files, put, events }) => {
    await put(ANN, 'shared/a', 'x');
    assert.equal(await files.setProperties(ANN, 'shared/a', { '{u}n': 'v' }), OK);
    assert.equal(await files.setProperties(ANN, 'shared/a', { '{u}large': 'x'.repeat(70_000) }), FULL);
    assert.equal(await files.copy(ANN, 'shared/a', 'shared/b'), OK);
    assert.equal(await files.move(ANN, 'shared/a', 'shared/c'), OK);
    for (const path of ['shared/b', 'shared/c']) assert.deepEqual(await files.properties(ANN, path), { '{u}n': 'v' });
    assert.equal(await files.remove(ANN, 'shared/c'), OK);
    assert.deepEqual(await files.properties(ANN, 'shared/c'), {});
    assert.deepEqual(
      events.map(({ event, path }) => `${event} ${path}`),
      ['folder shared', 'complete shared/a', 'complete shared/b', 'moved shared/c', 'gone shared/c'],
    );
    assert.equal(await files.copy(ANN, 'shared', 'shared/below', { deep: true }), INVALID);
  }));
