// `portico lab` as a process of its own: the same figures from the same seeds, in tables and as JSON.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXIT } from '../../src/cli/output.ts';
import type { Figure } from '../../src/lab/experiments.ts';
import { runCommand } from '../server-process.ts';

const QUICK = ['lab', 'http2-vs-http3', '--seeds', '1', '--loss', '2'];

test('HTTP/2 and HTTP/3 on one path', { timeout: 60_000 }, async () => {
  const [one, two] = [await runCommand([...QUICK, '--json']), await runCommand([...QUICK, '--json'])];
  assert.equal(one.code, EXIT.ok, one.errors);
  // Certificates and key shares are made anew and are not always as long: what is measured does not hang on that.
  const figures = one.output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Figure);
  assert.equal(two.output.trim().split('\n').length, figures.length);
  const value = (setting: string, contender: string) =>
    figures.find((each) => each.setting === setting && each.contender === contender)!.value;
  assert.deepEqual([value('to a new server', 'HTTP/2'), value('to a new server', 'HTTP/3')], [150, 100]);
  assert.ok(value('to a server that is known', 'HTTP/3') < 60);
  assert.deepEqual([value('connections that took', 'HTTP/2'), value('connections that took', 'HTTP/3')], [2, 1]);
  for (const { value: each } of figures) assert.ok(each > 0 && Number.isFinite(each));
});

test('tables for people, and what is wrong ends it with 64', { timeout: 60_000 }, async () => {
  const { code, output } = await runCommand(QUICK, '', { environment: { NO_COLOR: '1' } });
  assert.equal(code, EXIT.ok);
  assert.match(output, /a model of TCP and TLS 1\.3/);
  assert.match(output, /^the first byte +HTTP\/2 +HTTP\/3\n {2}to a new server +150 +100$/m);
  for (const wrong of [
    ['lab', 'http4'],
    [...QUICK, '--loss', '50'],
    [...QUICK, '--seeds', '0'],
    [...QUICK, '--latency', '0'],
  ])
    assert.equal((await runCommand(wrong)).code, EXIT.usage, wrong.join(' '));
});
