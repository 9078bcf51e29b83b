// What other programs change in the tree is told as an event, once it is quiet and once; what the server does itself is told
// by the server alone.
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Caller } from '../../core/caller.ts';
import { OK } from '../../core/outcome.ts';
import { DiskTree } from '../../storage/disk/tree.ts';
import { MemoryEngine } from '../../storage/memory/engine.ts';
import { Rules } from '../accounts/rules/rules.ts';
import type { FileEvent, Files } from './contract.ts';
import { openFiles } from './open.ts';
import type { NoticeOptions } from './outside.ts';

const ANN: Caller = { account: 'ann', scopes: null, origin: 'local', epoch: 1, by: 'password', id: 'ann' };
const NOTICE: NoticeOptions = { quietMs: 50, rescanMs: 3_600_000, foldersMax: 1_000, namesMax: 10_000 };

interface Stage {
  readonly files: Files;
  readonly shared: string;
  readonly events: FileEvent[];
  /** What is told, in the order of paths, once all of these are. */
  told(...wanted: string[]): Promise<void>;
}

async function on(notice: Partial<NoticeOptions>, run: (stage: Stage) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'portico-outside-'));
  mkdirSync(join(root, 'shared', 'before'), { recursive: true });
  writeFileSync(join(root, 'shared', 'before', 'old'), 'was there');
  const engine = new MemoryEngine();
  const permissions = new Rules([]);
  permissions.replace([], { groupsOf: (account) => (account === '' ? null : []) });
  const events: FileEvent[] = [];
  const files = await openFiles({
    engine,
    tree: new DiskTree(root),
    permissions,
    notice: { ...NOTICE, ...notice },
    told: (event) => events.push(event),
    wall: () => Date.now(),
  });
  await files.noticing;
  const lines = () => events.map(({ event, path, by }) => `${event} ${path}${by === undefined ? '' : ` by ${by}`}`);
  const told = async (...wanted: string[]) => {
    for (let round = 0; !wanted.every((each) => lines().includes(each)); round++) {
      assert.ok(round < 2_000, `${wanted.join(', ')} wanted, told ${lines().join(', ')}`);
      await pause(5);
    }
    assert.deepEqual([...lines()].sort(), [...wanted].sort());
  };
  try {
    await run({ files, shared: join(root, 'shared'), events, told });
  } finally {
    await files.close();
    await engine.close();
    rmSync(root, { recursive: true });
  }
}

test('a file that is dropped into a folder, changed, renamed and taken away', () =>
  on({}, async ({ shared, events, told }) => {
    writeFileSync(join(shared, 'a'), 'one');
    await told('complete shared/a');
    assert.equal(events[0]!.size, 3);
    events.length = 0;
    appendFileSync(join(shared, 'a'), ' more');
    appendFileSync(join(shared, 'before', 'old'), '!');
    await told('complete shared/a', 'complete shared/before/old');
    events.length = 0;
    renameSync(join(shared, 'a'), join(shared, 'b'));
    await told('complete shared/b', 'gone shared/a');
    events.length = 0;
    rmSync(join(shared, 'before'), { recursive: true });
    // What is in it may be told of before, when it went long before its folder.
    while (!events.some(({ event, path }) => event === 'gone' && path === 'shared/before')) await pause(5);
    assert.ok(events.every(({ event, path }) => event === 'gone' && path.startsWith('shared/before')));
  }));

test('a folder that comes with all that is in it, and what is made in it later', () =>
  on({}, async ({ shared, events, told }) => {
    mkdirSync(join(shared, 'd', 'e'), { recursive: true });
    writeFileSync(join(shared, 'd', 'e', 'f'), 'x');
    symlinkSync('/etc', join(shared, 'd', 'out'));
    await told('folder shared/d', 'folder shared/d/e', 'complete shared/d/e/f', 'complete shared/d/out');
    events.length = 0;
    writeFileSync(join(shared, 'd', 'e', 'g'), 'x');
    await told('complete shared/d/e/g');
  }));

test('what the server does is told once, with who did it', () =>
  on({}, async ({ files, shared, events, told }) => {
    const file = await files.write(ANN, 'shared/d/a', { begin: 'new', folders: true });
    assert.ok(typeof file === 'object');
    file.write(Buffer.from('x'), 0, 1);
    await file.commit();
    assert.equal(await files.copy(ANN, 'shared/d', 'shared/e', { deep: true }), OK);
    assert.equal(await files.move(ANN, 'shared/e', 'shared/g'), OK);
    assert.equal(await files.remove(ANN, 'shared/d', { deep: true }), OK);
    // Something of another's, so that all that was heard of before has been looked at.
    writeFileSync(join(shared, 'g', 'last'), 'x');
    await told(
      'folder shared/d by ann',
      'complete shared/d/a by ann',
      'folder shared/e by ann',
      'moved shared/g by ann',
      'gone shared/d by ann',
      'complete shared/g/last',
    );
    assert.equal(events.at(-1)!.path, 'shared/g/last');
  }));

test('folders beyond those that are watched are looked through from time to time', () =>
  on({ foldersMax: 0, rescanMs: 100 }, async ({ shared, told }) => {
    mkdirSync(join(shared, 'd'));
    writeFileSync(join(shared, 'd', 'a'), 'x');
    rmSync(join(shared, 'before', 'old'));
    await told('folder shared/d', 'complete shared/d/a', 'gone shared/before/old');
  }));

test('names beyond those that are known are not told of, and cost nothing more', () =>
  on({ namesMax: 5, rescanMs: 100 }, async ({ shared, events }) => {
    for (let index = 0; index < 50; index++) writeFileSync(join(shared, `n${index}`), 'x');
    while (events.length < 2) await pause(5);
    await pause(400);
    // shared, shared/before and what is in it were known.
    assert.equal(events.length, 2);
  }));
