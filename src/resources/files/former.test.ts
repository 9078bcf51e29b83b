// What was deleted and overwritten: kept where rules say so, given back under the rights of its path, counted by quotas, and
// gone when its time is over.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Caller } from '../../core/caller.ts';
import { DENIED, EXISTS, FULL, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import { DiskTree } from '../../storage/disk/tree.ts';
import { MemoryEngine } from '../../storage/memory/engine.ts';
import { Rules } from '../accounts/rules/rules.ts';
import type { FileFacts, Files, OpenFile, WriteWish } from './contract.ts';
import type { TreeFiles } from './files.ts';
import type { KeepRule } from './former-records.ts';
import { openFiles } from './open.ts';
import type { QuotaRule } from './quotas.ts';

const DAY = 86_400_000;
const who = (account: string): Caller => ({
  account,
  scopes: null,
  origin: 'local',
  epoch: 1,
  by: 'password',
  id: account,
});
const ANN = who('ann');
const BOB = who('bob');

interface Stage {
  readonly files: Files;
  readonly root: string;
  readonly events: string[];
  /** Time passes, and the sweep comes. */
  later(ms: number): Promise<void>;
  put(who: Caller, path: string, text: string, wish?: Partial<WriteWish>): Promise<Outcome>;
  text(path: string): string;
  aside(): string[];
}

async function on(keep: readonly KeepRule[], run: (stage: Stage) => Promise<void>, quotas: QuotaRule[] = []) {
  const root = mkdtempSync(join(tmpdir(), 'portico-former-'));
  const engine = new MemoryEngine();
  const permissions = new Rules([]);
  permissions.replace([], { groupsOf: (account) => (account === '' ? null : []) });
  let passed = 0;
  const events: string[] = [];
  const files = await openFiles({
    engine,
    tree: new DiskTree(root),
    permissions,
    folders: ['shared'],
    keep,
    quotas,
    told: ({ event, path }) => events.push(`${event} ${path}`),
    wall: () => Date.now() + passed,
  });
  const put = async (caller: Caller, path: string, text: string, wish: Partial<WriteWish> = {}) => {
    const file = await files.write(caller, path, { begin: 'new', ...wish });
    if (typeof file === 'number') return file;
    file.write(Buffer.from(text), 0, Buffer.byteLength(text));
    const facts = await file.commit();
    return typeof facts === 'number' ? facts : OK;
  };
  try {
    await run({
      files,
      root,
      events,
      put,
      later: async (ms) => {
        passed += ms;
        await (files as unknown as TreeFiles).sweep();
      },
      text: (path) => readFileSync(join(root, path), 'utf8'),
      aside: () => readdirSync(join(root, '.portico', 'aside')),
    });
  } finally {
    await files.close();
    await engine.close();
    rmSync(root, { recursive: true });
  }
}

function object<T extends object>(answer: T | Outcome): T {
  assert.ok(typeof answer === 'object', `the outcome was ${String(answer)}`);
  return answer;
}

async function read(file: OpenFile | Outcome): Promise<string> {
  const open = object(file);
  const parts: Buffer[] = [];
  await new Promise<Outcome>((resolve) => {
    const bytes = (data: Uint8Array, start: number, end: number) =>
      void parts.push(Buffer.from(data.subarray(start, end)));
    open.read(0, open.size, { room: Number.POSITIVE_INFINITY, bytes, end: resolve });
  });
  open.close();
  return Buffer.concat(parts).toString();
}

const TRASH: KeepRule[] = [{ path: '', trash: { days: 30 } }];
const VERSIONS: KeepRule[] = [{ path: 'shared', versions: { count: 2, days: 10 } }];

test('what is deleted lies in the trash, and comes back where it was, with what protocols kept with it', () =>
  on(TRASH, async ({ files, put, text, events }) => {
    await put(ANN, 'shared/f/a', 'one', { folders: true });
    await files.setProperties(ANN, 'shared/f/a', { '{u}n': 'v' });
    assert.equal(await files.remove(ANN, 'shared/f'), EXISTS, 'a folder with something in it still takes `deep`');
    assert.equal(await files.remove(ANN, 'shared/f', { deep: true }), OK);
    assert.equal(await files.stat(ANN, 'shared/f'), MISSING);
    const { entries, next } = object(await files.former.trash(ANN, '', 0, 10));
    assert.deepEqual(
      entries.map(({ path, folder, size, by }) => [path, folder, size, by]),
      [['shared/f', true, 3, 'ann']],
    );
    assert.equal(next, null);
    assert.equal((object(await files.former.restore(ANN, entries[0]!.id)) as FileFacts).path, 'shared/f');
    assert.equal(text('shared/f/a'), 'one');
    assert.deepEqual(await files.properties(ANN, 'shared/f/a'), { '{u}n': 'v' });
    assert.deepEqual(object(await files.former.trash(ANN, '', 0, 10)).entries, []);
    assert.equal(await files.former.restore(ANN, entries[0]!.id), MISSING);
    assert.deepEqual(events.slice(-2), ['gone shared/f', 'folder shared/f']);
  }));

test('nothing that is there is replaced by what comes back; it can have another place, and folders on the way are made', () =>
  on(TRASH, async ({ files, put, text }) => {
    await put(ANN, 'shared/d/a', 'old', { folders: true });
    await files.remove(ANN, 'shared/d/a');
    const [entry] = object(await files.former.trash(ANN, 'shared', 0, 10)).entries;
    await put(ANN, 'shared/d/a', 'new');
    assert.equal(await files.former.restore(ANN, entry!.id), EXISTS);
    assert.equal(text('shared/d/a'), 'new');
    await files.remove(ANN, 'shared/d', { deep: true, forever: true });
    assert.equal(object(await files.former.restore(ANN, entry!.id, 'shared/x/y/a')).path, 'shared/x/y/a');
    assert.equal(text('shared/x/y/a'), 'old');
    assert.deepEqual(object(await files.former.trash(ANN, '', 0, 10)).entries, [], 'forever is not into the trash');
  }));

test('nobody sees, restores or purges what was in another’s home', () =>
  on(TRASH, async ({ files, put, aside }) => {
    await put(ANN, 'home/ann/a', 'mine');
    await files.remove(ANN, 'home/ann/a');
    const [entry] = object(await files.former.trash(ANN, 'home/ann', 0, 10)).entries;
    assert.equal(await files.former.trash(BOB, 'home/ann', 0, 10), DENIED);
    assert.deepEqual(object(await files.former.trash(BOB, 'shared', 0, 10)).entries, []);
    assert.equal(await files.former.restore(BOB, entry!.id), MISSING);
    assert.equal(await files.former.restore(BOB, entry!.id, 'home/bob/a'), MISSING);
    assert.equal(await files.former.purge(BOB, entry!.id), MISSING);
    assert.equal(await files.former.restore(ANN, '../../shared'), MISSING);
    assert.equal(await files.former.restore(ANN, entry!.id, 'home/bob/a'), DENIED);
    assert.equal(await files.former.purge(ANN, entry!.id), OK);
    assert.deepEqual(aside(), []);
  }));

test('pages of the trash have each thing once', () =>
  on(TRASH, async ({ files, put }) => {
    for (const name of 'abcde') {
      await put(ANN, `shared/${name}`, name);
      await files.remove(ANN, `shared/${name}`);
    }
    const seen: string[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const page: { entries: readonly { path: string }[]; next: number | null } = object(
        await files.former.trash(ANN, 'shared', after, 2),
      );
      seen.push(...page.entries.map(({ path }) => path));
      after = page.next;
    }
    assert.deepEqual(seen, ['shared/a', 'shared/b', 'shared/c', 'shared/d', 'shared/e']);
  }));

test('the trash is emptied when its days are over, and what has no record goes after an hour', () =>
  on([{ path: 'shared', trash: { days: 2 } }], async ({ files, put, later, aside, root }) => {
    await put(ANN, 'shared/a', 'x');
    await put(ANN, 'home/ann/b', 'x');
    await files.remove(ANN, 'shared/a');
    await files.remove(ANN, 'home/ann/b');
    assert.equal(aside().length, 1, 'there is no rule for homes');
    writeFileSync(join(root, '.portico', 'aside', 'orphan'), 'left by a crash');
    await later(DAY);
    assert.equal(aside().length, 1);
    assert.equal(object(await files.former.trash(ANN, 'shared', 0, 10)).entries.length, 1);
    await later(DAY + 1);
    assert.deepEqual(aside(), []);
    assert.deepEqual(object(await files.former.trash(ANN, 'shared', 0, 10)).entries, []);
  }));

test('what is overwritten is a version, by whatever overwrites it; the oldest go', () =>
  on(VERSIONS, async ({ files, put, text, aside }) => {
    await put(ANN, 'shared/a', 'one');
    assert.deepEqual(await files.former.versions(ANN, 'shared/a'), []);
    await put(BOB, 'shared/a', 'two!');
    await put(ANN, 'shared/other', 'three');
    assert.equal(await files.move(ANN, 'shared/other', 'shared/a', { replace: true }), OK);
    const found = object(await files.former.versions(ANN, 'shared/a'));
    assert.deepEqual(
      found.map(({ size, by }) => [size, by]),
      [
        [3, 'bob'],
        [4, 'ann'],
      ],
    );
    assert.equal(await read(await files.former.openVersion(ANN, 'shared/a', found[0]!.id)), 'one');
    await put(ANN, 'shared/four', 'four');
    assert.equal(await files.copy(ANN, 'shared/four', 'shared/a', { replace: true }), OK);
    const left = object(await files.former.versions(ANN, 'shared/a'));
    assert.deepEqual(
      await Promise.all(left.map(async ({ id }) => read(await files.former.openVersion(ANN, 'shared/a', id)))),
      ['two!', 'three'],
    );
    assert.equal(await files.former.openVersion(ANN, 'shared/a', found[0]!.id), MISSING);
    assert.equal(object(await files.former.restoreVersion(ANN, 'shared/a', left[0]!.id)).size, 4);
    assert.equal(text('shared/a'), 'two!');
    const after = object(await files.former.versions(ANN, 'shared/a'));
    assert.deepEqual(
      await Promise.all(after.map(async ({ id }) => read(await files.former.openVersion(ANN, 'shared/a', id)))),
      ['three', 'four'],
    );
    assert.equal(await files.former.purgeVersion(ANN, 'shared/a', after[0]!.id), OK);
    assert.equal(aside().length, 1);
  }));

test('versions go with their file, and with it for good', () =>
  on(VERSIONS, async ({ files, put, later, aside }) => {
    await put(ANN, 'shared/d/a', 'one', { folders: true });
    await put(ANN, 'shared/d/a', 'two');
    assert.equal(await files.move(ANN, 'shared/d', 'shared/e'), OK);
    assert.equal(object(await files.former.versions(ANN, 'shared/e/a')).length, 1);
    assert.deepEqual(await files.former.versions(ANN, 'shared/d/a'), MISSING);
    assert.equal(await files.former.versions(who(''), 'shared/e/a'), 2);
    await put(ANN, 'shared/e/b', 'one');
    await put(ANN, 'shared/e/b', 'two');
    assert.equal(aside().length, 2);
    assert.equal(await files.remove(ANN, 'shared/e/a'), OK);
    assert.equal(aside().length, 1);
    await later(10 * DAY + 1);
    assert.deepEqual(aside(), []);
    assert.deepEqual(await files.former.versions(ANN, 'shared/e/b'), []);
  }));

test('a write that does not come about keeps nothing', () =>
  on(VERSIONS, async ({ files, put, aside }) => {
    await put(ANN, 'shared/a', 'one');
    const file = object(await files.write(ANN, 'shared/a', { begin: 'new' }));
    file.write(Buffer.from('x'), 0, 1);
    file.abort();
    assert.equal(await put(ANN, 'shared/a', 'x', { ifVersion: 'other' }), 6);
    assert.equal(await put(ANN, 'shared/a', 'x', { begin: 'fresh' }), EXISTS);
    assert.deepEqual(aside(), []);
  }));

test('a quota counts what is kept', () =>
  on(
    [{ path: 'home/*', trash: { days: 1 }, versions: { count: 5, days: 1 } }],
    async ({ files, put }) => {
      const used = async () => object(await files.space(ANN, 'home/ann')).used;
      await put(ANN, 'home/ann/a', '12345');
      await put(ANN, 'home/ann/a', '1234');
      assert.equal(await used(), 9);
      assert.equal(await put(ANN, 'home/ann/b', '12'), FULL);
      await files.remove(ANN, 'home/ann/a');
      assert.equal(await used(), 9, 'the trash is in it too');
      const [entry] = object(await files.former.trash(ANN, 'home/ann', 0, 10)).entries;
      assert.equal(await files.former.purge(ANN, entry!.id), OK);
      assert.equal(await used(), 5);
      assert.equal(await put(ANN, 'home/ann/b', '12'), OK);
    },
    [{ path: 'home/*', bytes: 10 }],
  ));

test('nothing comes back into a quota that has no room for it, and its own always does', () =>
  on(
    TRASH,
    async ({ files, put }) => {
      await put(ANN, 'shared/a', 'x'.repeat(11));
      await put(ANN, 'home/ann/b', 'x'.repeat(10));
      await files.remove(ANN, 'shared/a');
      await files.remove(ANN, 'home/ann/b');
      const idOf = async (path: string) => object(await files.former.trash(ANN, path, 0, 10)).entries[0]!.id;
      assert.equal(await files.former.restore(ANN, await idOf('shared'), 'home/ann/a'), FULL);
      assert.equal(object(await files.former.restore(ANN, await idOf('home/ann'))).size, 10);
    },
    [{ path: 'home/*', bytes: 10 }],
  ));
