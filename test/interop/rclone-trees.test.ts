// A tree of 2,000 files (RCLONE_FILES says another number) goes by rclone to each protocol of files, and is checked; and a hundred
// transfers at once, during which memory stays flat.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { missing, run } from '../clients.ts';
import { type Running, startServer } from '../server-process.ts';
import { commandIn } from '../transfer-house.ts';

const FILES = Number(process.env.RCLONE_FILES ?? 2_000);
const folder = mkdtempSync(join(tmpdir(), 'portico-trees-'));
const at = (...names: string[]) => join(folder, ...names);
let server: Running;
let hidden = '';

before(async () => {
  server = await startServer(['--data', at('data')], { PORTICO_PORTS: 'ephemeral' });
  for (let number = 0; number < FILES; number++) {
    const place = at('source', `folder ${number % 40}`);
    if (number < 40) mkdirSync(place, { recursive: true });
    writeFileSync(join(place, `file ${number}.txt`), `${number}\n`.repeat(number % 100));
  }
});
after(async () => {
  await server.kill();
  rmSync(folder, { recursive: true });
});

const skip = missing('rclone', 'version');
const REMOTES: Readonly<Record<string, () => string>> = {
  webdav: () => `:webdav,url="http://127.0.0.1:${server.port('http')}/dav":shared/webdav`,
  ftp: () => `:ftp,host=127.0.0.1,port=${server.port('ftp')},user=ann,pass=${hidden}:/shared/ftp`,
  sftp: () => `:sftp,host=127.0.0.1,port=${server.port('sftp')},user=ann,pass=${hidden},shell_type=none:/shared/sftp`,
};

/** rclone waits ten milliseconds before each request of WebDAV: a fifth of the tree, unless a number is given. */
const PART = process.env.RCLONE_FILES === undefined ? ['--include', '/folder [0-7]/**'] : [];

for (const [kind, remote] of Object.entries(REMOTES)) {
  const part = kind === 'webdav' ? PART : [];
  const count = part.length === 0 ? FILES : FILES / 5;
  test(`rclone copies and checks ${count} files over ${kind}`, { skip, timeout: 60_000 + FILES * 60 }, async () => {
    hidden ||= (await run('rclone', 'obscure', 'secret')).out.trim();
    const common = ['--config', '/dev/null', '--transfers', '8', '--checkers', '8', '--retries', '1', ...part];
    const copied = await run('rclone', 'copy', ...common, at('source'), remote());
    assert.equal(copied.code, 0, copied.error);
    const checked = await run('rclone', 'check', ...common, '--download', at('source'), remote());
    assert.equal(checked.code, 0, checked.error);
    assert.match(checked.error, / 0 differences found/);
    assert.match(checked.error, new RegExp(`${count} matching files`));
  });
}

/** The most that a process had in memory, in bytes. */
function peakOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1_024;
}

const LARGE = 8_000_000;

test('a hundred transfers at once hold a bounded part of what they carry', { timeout: 240_000 }, async () => {
  mkdirSync(at('large'));
  const bytes = randomBytes(LARGE);
  for (let number = 0; number < 100; number++) writeFileSync(at('large', `${number}`), bytes);
  const command = commandIn(at('home'));
  const url = `http://127.0.0.1:${server.port('http')}/files/shared/large`;
  const before = peakOf(server.process.pid!);
  const up = await command('mirror', at('large'), url, '--jobs', '100', '--json');
  assert.equal(up.code, 0, up.errors);
  const down = await command('mirror', url, at('back'), '--jobs', '100', '--json');
  assert.equal(down.code, 0, down.errors);
  assert.deepEqual([up.lines.at(-1)?.copied, down.lines.at(-1)?.copied], [100, 100]);
  for (const name of readdirSync(at('back'))) assert.ok(readFileSync(at('back', name)).equals(bytes), name);
  // 800 MB went each way.
  const grown = peakOf(server.process.pid!) - before;
  assert.ok(grown < 400_000_000, `${grown} bytes`);
});
