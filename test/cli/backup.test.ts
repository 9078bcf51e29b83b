// A copy of the data folder, made while the server takes messages, is a data folder with all that was acknowledged before.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { request } from 'undici';
import { EXIT } from '../../src/cli/output.ts';
import { runCommand, startServer } from '../server-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-backup-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);

test('backup under load, restore, and the messages are there', { timeout: 60_000 }, async () => {
  const ports = ['--port', 'http1=0', 'mqtt=0', 'lines=0'];
  const first = await startServer(['--data', at('data'), ...ports]);
  const acknowledged: number[] = [];
  let stop = false;
  const publishing = (async () => {
    for (let number = 0; !stop; number++) {
      const { statusCode, body } = await request(`${first.urls.http}/topics/b/${number}`, {
        method: 'PUT',
        body: `${number}`,
      });
      await body.dump();
      if (statusCode === 201) acknowledged.push(number);
    }
  })();
  while (acknowledged.length < 100) await new Promise((resolve) => setTimeout(resolve, 10));
  const before = acknowledged.length;
  const copied = await runCommand(['backup', at('copy'), '--data', at('data'), '--json']);
  assert.equal(copied.code, EXIT.ok, copied.errors);
  const { records } = JSON.parse(copied.output) as { records: number };
  assert.ok(records >= before, `${records} of ${before}`);
  const during = acknowledged.length;
  while (acknowledged.length < during + 20) await new Promise((resolve) => setTimeout(resolve, 10));
  stop = true;
  await publishing;
  await first.kill();
  assert.deepEqual(
    readdirSync(at('copy')).filter((name) => name !== 'blobs'),
    ['certificates', 'portico.db', 'ssh'],
  );
  assert.equal(statSync(join(at('copy'), 'ssh')).mode & 0o777, 0o700);
  assert.equal(statSync(join(at('copy'), 'certificates')).mode & 0o777, 0o700);
  assert.equal(statSync(join(at('copy'), 'certificates', 'root.pem')).mode & 0o777, 0o600);
  assert.equal(statSync(at('copy')).mode & 0o777, 0o700);
  assert.equal(statSync(join(at('copy'), 'portico.db')).mode & 0o777, 0o600);

  assert.equal((await runCommand(['restore', at('copy'), '--data', at('again')])).code, EXIT.ok);
  const rootOf = (data: string) => readFileSync(join(at(data), 'certificates', 'root.pem'), 'utf8');
  assert.equal(rootOf('again'), rootOf('data'));
  await using second = await startServer(['--data', at('again'), ...ports]);
  for (const number of acknowledged.slice(0, before)) {
    const { statusCode, body } = await request(`${second.urls.http}/topics/b/${number}`);
    assert.equal(statusCode, 200);
    assert.equal(await body.text(), `${number}`);
  }
});

test('nothing is written over, and what is no data folder is not copied', async () => {
  const over = await runCommand(['backup', at('copy'), '--data', at('data')]);
  assert.equal(over.code, EXIT.io);
  assert.match(over.errors, /is there already and not empty/);
  const none = await runCommand(['backup', at('none'), '--data', folder]);
  assert.match(none.errors, /is no data folder/);
  assert.ok(!existsSync(at('none')));
  writeFileSync(join(folder, 'portico.db'), 'x'.repeat(10_000));
  const damaged = await runCommand(['restore', folder, '--data', at('other')]);
  assert.equal(damaged.code, EXIT.io);
  assert.ok(!existsSync(at('other')));
});
