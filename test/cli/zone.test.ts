// `portico zone` on a server that runs, and where none does.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { EXIT } from '../../src/cli/output.ts';
import { runCommand, startServer } from '../server-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-zone-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Key {
  readonly role: string;
  readonly tag: number;
  readonly state: string;
}

test('list, show, add, remove, export, import, keys, roll, seen, sign; what was changed stays', {
  timeout: 90_000,
}, async () => {
  const config = join(folder, 'portico.config.json');
  const primary = [{ name: 'theirs.test', primaries: ['127.0.0.1:9'] }];
  writeFileSync(
    config,
    JSON.stringify({
      dns: { zone: 'own.test', zones: [{ name: 'made.test', dnssec: true }, { name: 'plain.test' }, ...primary] },
    }),
  );
  const place = ['--data', join(folder, 'data'), '--config', config];
  const run = async (...args: string[]) => runCommand(['zone', ...args, ...place]);
  const fine = async (...args: string[]) => {
    const { code, output, errors } = await run(...args);
    assert.equal(code, EXIT.ok, errors);
    return output;
  };
  assert.equal((await run('list')).code, EXIT.unavailable);
  const exported = join(folder, 'exported.zone');
  {
    await using server = await startServer(place);
    assert.ok(server.port('dns') > 0);
    const zones = JSON.parse(await fine('list', '--json')) as { zone: string; kind: string; signed: boolean }[];
    assert.deepEqual(
      zones.map(({ zone, kind, signed }) => [zone, kind, signed]),
      [
        ['made.test', 'kept', true],
        ['plain.test', 'kept', false],
        ['theirs.test', 'secondary', false],
        ['own.test', 'own', false],
      ],
    );
    await fine('add', 'made.test', 'www', 'A', '192.0.2.1', '--ttl', '60');
    await fine('add', 'made.test', '@', 'TXT', 'two words');
    await fine('add', 'made.test', '@', 'MX', '10', 'mail');
    assert.match(await fine('show', 'made.test', 'www'), /^www\.made\.test\.\t60\tIN\tA\t192\.0\.2\.1$/m);
    const text = await fine('export', 'made.test');
    assert.match(text, /^\$ORIGIN made\.test\.\nmade\.test\.\t\d+\tIN\tSOA\t[^\n]+\n/);
    assert.match(text, /\tTXT\t"two words"\n/);
    assert.match(text, /\tRRSIG\tA 13 3 60 /);
    writeFileSync(exported, text);
    await fine('remove', 'made.test', '@', 'MX', '10', 'mail');
    assert.equal((await run('remove', 'made.test', '@', 'MX')).code, EXIT.usage);
    assert.equal((await run('show', 'none.test')).code, EXIT.failed);
    assert.match((await run('add', 'theirs.test', 'www', 'A', '192.0.2.1')).errors, /comes from its primary/);
    const keys = async (...args: string[]) =>
      (JSON.parse(await fine(...args, '--json')) as { keys: Key[] }).keys
        .map(({ role, state }) => `${role} ${state}`)
        .sort();
    assert.deepEqual(await keys('keys', 'made.test'), ['ksk active', 'zsk active']);
    assert.match(
      await fine('keys', 'made.test'),
      /ksk \d+ .*not seen above\n {2}made\.test\. IN DS \d+ 13 2 [\dA-F]{64}\n/,
    );
    assert.deepEqual(await keys('roll', 'made.test', 'ksk'), ['ksk active', 'ksk announced', 'zsk active']);
    assert.match(await fine('seen', 'made.test'), /above since/);
    assert.match(await fine('sign', 'made.test'), /signed/);
    assert.equal((await run('keys', 'plain.test')).code, EXIT.usage);
  }
  await using server = await startServer(place);
  assert.ok(server.port('dns') > 0);
  assert.match(await fine('show', 'made.test', 'www'), /192\.0\.2\.1/);
  assert.match(await fine('keys', 'made.test'), /announced since .*above since/);
  // A file of a signed zone goes into another of its name without what signed it.
  assert.match(await fine('import', 'made.test', exported), /1 added/);
  assert.match(await fine('show', 'made.test', '@'), /\tMX\t10 mail\.made\.test\./);
  const plain = readFileSync(exported, 'utf8').replaceAll('made.test', 'plain.test').split('\n');
  writeFileSync(exported, plain.filter((line) => !/\t(?:RRSIG|NSEC|DNSKEY|CDS|CDNSKEY)\t/.test(line)).join('\n'));
  assert.match(await fine('import', 'plain.test', exported), /3 added/);
});
