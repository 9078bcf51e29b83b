// A folder with a hundred thousand names, listed by each protocol: all of them once, in memory that does not grow with them.
// NAMES_IN_FOLDER has it do more.
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { FileEntryWithStats } from 'ssh2';
import { type Running, runCommand, startServer } from '../server-process.ts';
import { ACCOUNT, BASIC, openSftp, PASSWORD } from './ways.ts';

const NAMES = Number(process.env.NAMES_IN_FOLDER ?? 100_000);
const TIMEOUT = { timeout: 120_000, skip: process.platform === 'linux' ? false : 'memory is read from /proc' };
/** What a listing may cost beside what the server needs anyhow; the names alone are several times that in a million. */
const GROWTH_MAX = 150_000_000;

const data = mkdtempSync(join(tmpdir(), 'portico-names-'));
let server: Running | undefined;

before(async () => {
  const many = join(data, 'files', 'shared', 'many');
  mkdirSync(many, { recursive: true });
  for (let index = 0; index < NAMES; index++) closeSync(openSync(join(many, nameOf(index)), 'w'));
  const added = await runCommand(['account', 'add', ACCOUNT, '--password-stdin', '--data', data], `${PASSWORD}\n`);
  assert.equal(added.code, 0, added.errors);
  // What is garbage is collected, and not kept because there is room.
  server = await startServer(['--data', data], {
    NODE_OPTIONS: '--max-old-space-size=192 --max-semi-space-size=4',
    // Else what is to be collected counts, and nobody is let in until it was.
    PORTICO_LIMITS_MEMORYBYTESMAX: '1000000000',
  });
});
after(async () => {
  await server?.kill();
  rmSync(data, { recursive: true });
});

function nameOf(index: number): string {
  return `${String(index).padStart(8, '0')} a name of some length, as names are.txt`;
}

/** What is in memory now, and at most since it was last asked to forget. */
function memory(what: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${server!.process.pid}/status`, 'utf8');
  return Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(status)![1]) * 1_024;
}

/** Each name once, and no more memory than is allowed. */
async function lists(name: string, list: (found: (name: string) => void) => Promise<void>): Promise<void> {
  const seen = new Uint8Array(NAMES);
  let count = 0;
  const peak = memory('VmHWM');
  const before = memory('VmRSS');
  await list((each) => {
    const index = Number(each.slice(0, 8));
    assert.equal(each, nameOf(index));
    assert.equal(seen[index], 0, `${name} has ${each} twice`);
    seen[index] = 1;
    count++;
  });
  assert.equal(count, NAMES, name);
  const after = memory('VmHWM');
  if (after > peak) assert.ok(after - before < GROWTH_MAX, `${name} grew by ${after - before}`);
}

test('HTTP, pages of JSON', TIMEOUT, () =>
  lists('HTTP', async (found) => {
    for (let next: string | null = ''; next !== null; ) {
      const target: string = `${server!.urls.http}/files/shared/many/?limit=1000&after=${encodeURIComponent(next)}`;
      const response = await fetch(target, { headers: { authorization: BASIC } });
      const page = (await response.json()) as { entries: { name: string }[]; next: string | null };
      for (const { name } of page.entries) found(name);
      next = page.next;
    }
  }),
);

test('FTP, MLSD', TIMEOUT, () =>
  lists('FTP', async (found) => {
    const control = createConnection(server!.port('ftp'), '127.0.0.1');
    const replies = linesOf(control);
    const say = async (command: string, code: RegExp) => {
      if (command !== '') control.write(`${command}\r\n`);
      for (;;) {
        const { value, done } = await replies.next();
        assert.ok(done !== true, `${command}: the connection ended`);
        if (!/^\d{3} /.test(value)) continue;
        assert.match(value, code);
        return value;
      }
    };
    await say('', /^220/);
    await say(`USER ${ACCOUNT}`, /^331/);
    await say(`PASS ${PASSWORD}`, /^230/);
    const passive = await say('EPSV', /^229/);
    const transfer = createConnection(Number(/\|(\d+)\|/.exec(passive)![1]), '127.0.0.1');
    await say('MLSD /shared/many', /^150/);
    for await (const line of linesOf(transfer)) {
      if (line.startsWith('type=file') || line.includes('type=file;')) found(line.slice(line.indexOf(' ') + 1));
    }
    await say('', /^226/);
    control.destroy();
  }),
);

async function* linesOf(socket: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest = '';
  for await (const data of socket) {
    const lines = (rest + data.toString()).split('\r\n');
    rest = lines.pop()!;
    yield* lines;
  }
}

test('SFTP, readdir', TIMEOUT, () =>
  lists('SFTP', async (found) => {
    const { sftp, end } = await openSftp(server!);
    const handle = await new Promise<Buffer>((resolve, reject) =>
      sftp.opendir('/shared/many', (error, opened) => (error ? reject(error) : resolve(opened))),
    );
    for (;;) {
      const page = await new Promise<FileEntryWithStats[] | null>((resolve, reject) =>
        sftp.readdir(handle, (error, list) => {
          if (error === undefined || error === null) resolve(Array.isArray(list) ? list : null);
          else if ((error as Error & { code?: number }).code === 1) resolve(null);
          else reject(error);
        }),
      );
      if (page === null) break;
      for (const { filename } of page) if (filename !== '.' && filename !== '..') found(filename);
    }
    end();
  }),
);
