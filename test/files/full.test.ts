// A full disk, in the words of each protocol: nothing is half visible, what was there stays, and there is room again.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { addAccount, BASIC, openWays } from './ways.ts';

/** How each says that there is no room: RFC 4918 §11.5, RFC 959 §4.2.1, draft-ietf-secsh-filexfer-02 §7 (SSH_FX_FAILURE). */
const WORDS: Readonly<Record<string, RegExp>> = {
  'HTTP, fetch': /: 507 /,
  'WebDAV, fetch': /: 507 /,
  'FTP, basic-ftp': /^FTPError: (?:452|552) /,
  'SFTP, ssh2': /^Error: .*(?:full|Failure|space)/i,
};

test('a full disk by HTTP, WebDAV, FTP, SFTP and the service', { timeout: 60_000 }, async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'portico-full-'));
  const folder = mkdtempSync(join(tmpdir(), 'portico-small-'));
  const { status, stderr, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', folder]);
  if (status !== 0) {
    rmdirSync(folder);
    rmSync(base, { recursive: true });
    t.skip(`no small disk can be mounted: ${error?.message ?? String(stderr).trim()}`);
    return;
  }
  const portico = await Portico.start({ data: base, ports: 'ephemeral', control: false, files: { folder } });
  try {
    await addAccount(portico);
    for (const rule of ['allow ann call services/#', 'allow ann read,write,delete,list files/shared/#'])
      assert.ok((await portico.order({ do: 'rule.add', rule })).ok);
    const there = Buffer.alloc(500_000, 'there');
    const large = Buffer.alloc(9_000_000, 'large');
    const ways = await openWays(portico);
    await ways[0]!.put('shared/there', there);
    for (const way of ways) {
      for (const path of ['shared/there', 'shared/new']) await assert.rejects(way.put(path, large), WORDS[way.name]!);
      assert.ok((await way.get('shared/there')).equals(there), way.name);
      assert.deepEqual(readdirSync(join(folder, 'shared')), ['there'], way.name);
      await way.put('shared/fits', Buffer.alloc(1_500_000, 'f'));
      await way.remove('shared/fits');
    }
    const begin = JSON.stringify({ begin: { path: 'shared/service' } });
    const data = JSON.stringify({ data: Buffer.alloc(1_000_000).toString('base64') });
    const response = await fetch(`${portico.urls.http}/services/portico.v1.Files/Write`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', authorization: BASIC },
      body: [begin, ...Array.from({ length: 9 }, () => data)].join('\n'),
    });
    assert.deepEqual(
      [response.status, ((await response.json()) as { code: string }).code],
      [429, 'RESOURCE_EXHAUSTED'],
    );
    assert.deepEqual(readdirSync(join(folder, 'shared')), ['there']);
    for (const way of ways) way.close();
  } finally {
    await portico.close();
    spawnSync('umount', [folder]);
    rmdirSync(folder);
    rmSync(base, { recursive: true });
  }
});
