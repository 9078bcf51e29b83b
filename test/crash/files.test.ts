// Files over a crash at any moment and on a full disk: a file is old or new and whole, an upload goes on or is not there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { Portico } from '../../src/portico.ts';
import { startServer } from '../server-process.ts';

const SIZE = 6_000_000;
const PIECE = 500_000;
const TUS = { 'tus-resumable': '1.0.0' };

async function ask(url: string, method: string, headers: Record<string, string> = {}, body: Buffer | null = null) {
  const answer = await request(url, { method: method as 'GET', headers, body });
  const bytes = Buffer.from(await answer.body.arrayBuffer());
  return { status: answer.statusCode, headers: answer.headers as Record<string, string>, bytes };
}

/** Sends what is missing of an upload; answers whether it got to its end. */
async function upload(url: string, at: string, bytes: Buffer): Promise<void> {
  const { status, headers } = await ask(url + at, 'HEAD', TUS);
  if (status === 404) return;
  for (let offset = Number(headers['upload-offset']); offset < bytes.length; offset += PIECE) {
    const fields = { ...TUS, 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset) };
    assert.equal((await ask(url + at, 'PATCH', fields, bytes.subarray(offset, offset + PIECE))).status, 204);
  }
}

test('kill -9 at any moment: an upload goes on, a replaced file is old or new', { timeout: 90_000 }, async () => {
  const data = mkdtempSync(join(tmpdir(), 'portico-files-crash-'));
  const visible = join(data, 'files', 'shared');
  let server = await startServer(['--data', data]);
  try {
    for (let round = 0; round < 6; round++) {
      const bytes = Buffer.alloc(SIZE, `round ${round} `);
      const former = Buffer.alloc(SIZE, `former ${round} `);
      const url = server.urls.http!;
      assert.equal((await ask(`${url}/files/shared/replaced`, 'PUT', {}, former)).status, round === 0 ? 201 : 204);
      const metadata = `filename ${Buffer.from(`up${round}`).toString('base64')}`;
      const made = await ask(`${url}/files/shared/`, 'POST', {
        ...TUS,
        'upload-length': String(SIZE),
        'upload-metadata': metadata,
      });
      assert.equal(made.status, 201);
      const at = made.headers.location!;
      const running = [upload(url, at, bytes), ask(`${url}/files/shared/replaced`, 'PUT', {}, bytes)].map((each) =>
        each.catch(() => {}),
      );
      await sleep(5 + round * 12);
      await server.kill();
      await Promise.all(running);
      // Before anybody could mend anything.
      const left = readFileSync(join(visible, 'replaced'));
      assert.ok(left.equals(former) || left.equals(bytes), `round ${round}: a mix`);
      if (readdirSync(visible).includes(`up${round}`))
        assert.ok(readFileSync(join(visible, `up${round}`)).equals(bytes));
      server = await startServer(['--data', data]);
      await upload(server.urls.http!, at, bytes);
      assert.ok(
        (await ask(`${server.urls.http!}/files/shared/up${round}`, 'GET')).bytes.equals(bytes),
        `round ${round}: not whole`,
      );
    }
  } finally {
    await server.kill();
    rmSync(data, { recursive: true });
  }
});

test('a full disk: 507, nothing half visible, and room again', { timeout: 60_000 }, async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'portico-files-full-'));
  const folder = mkdtempSync(join(tmpdir(), 'portico-small-'));
  const { status, stderr, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', folder]);
  if (status !== 0) {
    rmdirSync(folder);
    rmSync(base, { recursive: true });
    t.skip(`no small disk can be mounted: ${error?.message ?? String(stderr).trim()}`);
    return;
  }
  const running = await Portico.start({ data: base, ports: 'ephemeral', control: false, files: { folder } });
  try {
    const url = `${running.urls.http!}/files/shared`;
    assert.equal((await ask(`${url}/there`, 'PUT', {}, Buffer.alloc(1_000_000, 'a'))).status, 201);
    assert.equal((await ask(`${url}/there`, 'PUT', {}, Buffer.alloc(8_000_000, 'b'))).status, 507);
    assert.ok((await ask(`${url}/there`, 'GET')).bytes.equals(Buffer.alloc(1_000_000, 'a')));
    assert.equal((await ask(`${url}/new`, 'PUT', {}, Buffer.alloc(8_000_000, 'b'))).status, 507);
    assert.deepEqual(readdirSync(join(folder, 'shared')), ['there']);
    assert.equal((await ask(`${url}/new`, 'PUT', {}, Buffer.alloc(2_000_000, 'c'))).status, 201);
  } finally {
    await running.close();
    spawnSync('umount', [folder]);
    rmdirSync(folder);
    rmSync(base, { recursive: true });
  }
});
