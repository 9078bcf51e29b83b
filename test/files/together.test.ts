// One file by several protocols at once: who reads sees the old or the new, whole, whoever writes and renames meanwhile.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { addAccount, type FileWay, openWays } from './ways.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-together-'));
const SIZES = [700_000, 1_300_001, 64, 400_000];
let portico: Portico;
const open: FileWay[] = [];

before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', data: join(folder, 'data'), control: false });
  await addAccount(portico);
});
after(async () => {
  for (const way of open) way.close();
  await portico.close();
  rmSync(folder, { recursive: true });
});

/** Contents that say which they are in every byte, and how long they are. */
function content(round: number): Buffer {
  return Buffer.alloc(SIZES[round % SIZES.length]!, round & 0xff);
}

function assertWhole(bytes: Buffer, name: string): void {
  const stamp = bytes[0] ?? -1;
  assert.ok(bytes.equals(Buffer.alloc(bytes.length, stamp)), `${name} read a mix`);
  assert.equal(bytes.length, SIZES[stamp % SIZES.length], `${name} read a part of ${stamp}`);
}

test('written by FTP while it is read by HTTP, WebDAV and SFTP, and renamed by SFTP', { timeout: 60_000 }, async () => {
  const [http, dav, ftp, sftp] = await openWays(portico);
  const [, , , mover] = await openWays(portico);
  open.push(http!, dav!, ftp!, sftp!, mover!);
  await ftp!.put('shared/one', content(0));
  let isOver = false;
  let moves = 0;
  const seen = new Map<string, number>();
  const reads = [http!, dav!, sftp!].map(async (way) => {
    while (!isOver) {
      for (const path of ['shared/one', 'shared/two']) {
        // It may be under its other name just now.
        const bytes = await way.get(path).catch(() => null);
        if (bytes === null) continue;
        assertWhole(bytes, way.name);
        seen.set(way.name, (seen.get(way.name) ?? 0) + 1);
      }
    }
  });
  const moving = (async () => {
    while (!isOver) {
      await mover!.rename('shared/one', 'shared/two').catch(() => {});
      await mover!.rename('shared/two', 'shared/one').catch(() => {});
      moves++;
    }
  })();
  const writing = (async () => {
    try {
      for (let round = 1; round <= 40 || [...seen.values()].some((count) => count < 20); round++)
        await ftp!.put('shared/one', content(round % 200));
    } finally {
      isOver = true;
    }
  })();
  await Promise.all([...reads, moving, writing]);
  assert.equal(seen.size, 3);
  assert.ok(moves > 0);
});

test('written by all protocols at once: the last that is complete stands, whole', { timeout: 60_000 }, async () => {
  const ways = await openWays(portico);
  open.push(...ways);
  for (let round = 0; round < 8; round++) {
    await Promise.all(ways.map((way, index) => way.put('shared/all', content(round * 4 + index))));
    for (const way of ways) assertWhole(await way.get('shared/all'), way.name);
  }
});
