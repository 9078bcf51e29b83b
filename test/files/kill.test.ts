// kill -9 at many moments of uploads by each protocol: what was there is whole and as it was, or as it was to become; what
// was not there is absent or whole; and what came of it is gone on with, by whichever protocol.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand, startServer } from '../server-process.ts';
import { ACCOUNT, BASIC, openWays, PASSWORD } from './ways.ts';

const SIZE = 8_000_000;
const ROUNDS = 5;
const TIMEOUT = { timeout: 120_000 };
const NAMES = ['http', 'dav', 'ftp', 'sftp'];

/** Goes on with what the account left of a path; answers how many bytes there were. */
async function goOn(url: string, path: string, bytes: Buffer): Promise<number> {
  const patch = async (offset: number, body: Buffer) => {
    const headers = {
      authorization: BASIC,
      'content-type': 'application/partial-upload',
      'upload-offset': String(offset),
      'upload-complete': '?1',
    };
    const response = await fetch(`${url}/files/${path}`, { method: 'PATCH', headers, body });
    return {
      status: response.status,
      json: (await response.json().catch(() => ({}))) as { 'expected-offset'?: number },
    };
  };
  const { json } = await patch(SIZE + 1, Buffer.from('x'));
  const offset = json['expected-offset']!;
  const { status } = await patch(offset, bytes.subarray(offset));
  assert.equal(status, 201, path);
  return offset;
}

test('kill -9 in the middle of uploads by HTTP, WebDAV, FTP and SFTP', TIMEOUT, async () => {
  const data = mkdtempSync(join(tmpdir(), 'portico-kill-'));
  const visible = join(data, 'files', 'shared');
  const added = await runCommand(['account', 'add', ACCOUNT, '--password-stdin', '--data', data], `${PASSWORD}\n`);
  assert.equal(added.code, 0, added.errors);
  let server = await startServer(['--data', data]);
  let resumed = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const former = Buffer.alloc(1_000_000, `former ${round} `);
      const bytes = Buffer.alloc(SIZE, `round ${round} `);
      const ways = await openWays(server);
      for (const [index, way] of ways.entries()) await way.put(`shared/old-${NAMES[index]}`, former);
      const running = ways.flatMap((way, index) => [
        // One after the other on one connection, where a protocol has no other way.
        way
          .put(`shared/old-${NAMES[index]}`, bytes)
          .then(() => way.put(`shared/new-${round}-${NAMES[index]}`, bytes))
          .catch(() => {}),
      ]);
      await sleep(10 + round * 55);
      await server.kill();
      for (const way of ways) way.close();
      // Not every client tells those who wait that its connection is gone.
      await Promise.race([Promise.all(running), sleep(1_000)]);
      // Before anybody could mend anything.
      for (const name of NAMES) {
        const left = readFileSync(join(visible, `old-${name}`));
        assert.ok(left.equals(former) || left.equals(bytes), `round ${round}: ${name} left a mix`);
        const fresh = join(visible, `new-${round}-${name}`);
        if (existsSync(fresh)) assert.ok(readFileSync(fresh).equals(bytes), `round ${round}: ${name} left a part`);
      }
      for (const name of readdirSync(visible)) assert.match(name, /^(?:old|new-\d+)-(?:http|dav|ftp|sftp)$/);
      server = await startServer(['--data', data]);
      for (const name of NAMES) {
        const path = `shared/old-${name}`;
        if (readFileSync(join(visible, `old-${name}`)).equals(bytes)) continue;
        if ((await goOn(server.urls.http!, path, bytes)) > 0) resumed++;
        assert.ok(readFileSync(join(visible, `old-${name}`)).equals(bytes), `round ${round}: ${name} went on wrongly`);
      }
    }
    assert.ok(resumed > 0, 'none of the moments was in the middle');
  } finally {
    await server.kill();
    rmSync(data, { recursive: true });
  }
});
