// WebDAV with clients that others wrote: litmus, cadaver, rclone; and curl for the files over HTTP.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { missing, Program } from '../clients.ts';

const TIMEOUT = { timeout: 90_000 };

async function withServer(work: (url: string, base: string) => Promise<void>): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'portico-dav-'));
  const running = await Portico.start({ data: join(base, 'data'), ports: 'ephemeral', control: false });
  try {
    await work(running.urls.http!, base);
  } finally {
    await running.close();
    rmSync(base, { recursive: true });
  }
}

async function run(command: string, args: readonly string[], input?: string): Promise<{ code: number; text: string }> {
  const { code, out, error } = await new Program(command, args, input).done;
  return { code: code ?? -1, text: out + error };
}

test('litmus: all of RFC 4918 that it knows', { ...TIMEOUT, skip: missing('litmus') }, () =>
  withServer(async (url) => {
    const { code, text } = await run('litmus', ['-k', `${url}/dav/shared/`]);
    assert.doesNotMatch(text, /FAIL|WARNING/);
    assert.equal(code, 0, text);
  }),
);

test('cadaver: put, list, lock, move, get', { ...TIMEOUT, skip: missing('cadaver') }, () =>
  withServer(async (url, base) => {
    writeFileSync(join(base, 'a.txt'), 'by cadaver');
    const orders = [
      'mkcol d',
      'cd d',
      `put ${join(base, 'a.txt')} a.txt`,
      'ls',
      'lock a.txt',
      'unlock a.txt',
      'move a.txt b.txt',
      `get b.txt ${join(base, 'b.txt')}`,
      'quit',
    ];
    const { text } = await run('cadaver', [`${url}/dav/shared/`], `${orders.join('\n')}\n`);
    assert.doesNotMatch(text, /failed/);
    assert.equal(readFileSync(join(base, 'b.txt'), 'utf8'), 'by cadaver');
  }),
);

test('rclone: a tree up, checked and down', { ...TIMEOUT, skip: missing('rclone') }, () =>
  withServer(async (url, base) => {
    const from = join(base, 'from');
    for (let folder = 0; folder < 10; folder++) {
      mkdirSync(join(from, `f ${folder}`), { recursive: true });
      for (let file = 0; file < 20; file++)
        writeFileSync(join(from, `f ${folder}`, `ü${file}.bin`), Buffer.alloc(file * 997, `${folder}${file}`));
    }
    writeFileSync(join(from, 'large'), Buffer.alloc(20_000_000, 'large'));
    const there = `:webdav,url='${url}/dav/shared':tree`;
    for (const args of [
      ['copy', from, there],
      ['check', '--download', from, there],
      ['copy', there, join(base, 'to')],
      ['check', from, join(base, 'to')],
      ['purge', there],
    ]) {
      const { code, text } = await run('rclone', ['--config', '', ...args]);
      assert.equal(code, 0, `${args[0]}: ${text}`);
    }
  }),
);

test('curl: up, on from where it was, down in part', { ...TIMEOUT, skip: missing('curl') }, () =>
  withServer(async (url, base) => {
    const file = join(base, 'file');
    const bytes = Buffer.alloc(3_000_000, 'curl goes on ');
    writeFileSync(file, bytes.subarray(0, 1_000_000));
    assert.equal((await run('curl', ['-sSf', '-T', file, `${url}/files/shared/c`])).code, 0);
    writeFileSync(file, bytes);
    assert.equal((await run('curl', ['-sSf', '-C', '1000000', '-T', file, `${url}/files/shared/c`])).code, 0);
    const back = join(base, 'back');
    assert.equal((await run('curl', ['-sSf', '-r', '500000-', '-o', back, `${url}/files/shared/c`])).code, 0);
    assert.ok(readFileSync(back).equals(bytes.subarray(500_000)));
    const form = await run('curl', ['-sSf', '-F', `file=@${file};filename=form`, `${url}/files/shared/`]);
    assert.match(form.text, /"path":"shared\/form","size":3000000/);
  }),
);
