// The benchmarks run and say what they promise to. How fast anything is, no test says.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadNative } from '../src/native/native.ts';
import { missing } from './clients.ts';

const RUN = fileURLToPath(new URL('../bench/run.ts', import.meta.url));

function bench(...args: string[]) {
  return spawnSync(process.execPath, [RUN, ...args], { encoding: 'utf8', timeout: 90_000 });
}

const skip =
  process.platform === 'linux' ? missing('cc') || missing('taskset') : 'the load generators are for Linux (epoll)';

test('a quick run prints one object a line', { skip }, () => {
  const { stdout, stderr, status } = bench(
    'mqtt',
    '--quick',
    '--run',
    '300',
    '--policy',
    'none',
    '--only',
    '1→100, 64 B, one',
    '--json',
  );
  assert.equal(status, 0, stderr);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(lines.length, 1);
  for (const line of lines) {
    assert.deepEqual(Object.keys(line), [
      'bench',
      'workload',
      'unit',
      'portico',
      'peer',
      'peerValue',
      'ratio',
      'native',
      'policy',
    ]);
    assert.equal(line.bench, 'mqtt');
    assert.equal(line.unit, 'msg/s');
    assert.equal(line.peer, 'mosquitto');
    assert.equal(line.native, loadNative('auto') !== null);
    assert.equal(line.policy, 'none');
    assert.equal(typeof line.portico, 'number');
    // On a busy machine whoever had no processor in so short a window has 0, and a ratio to that is none.
    assert.ok(line.ratio === null || (line.peerValue as number) > 0, stderr);
    if (line.peerValue === null)
      assert.match(stderr, /mosquitto is missing: it comes with mosquitto \(Debian: mosquitto\)/);
  }
});

test('what is not understood is refused with how to say it', () => {
  for (const args of [[], ['chess'], ['mqtt', 'http'], ['mqtt', '--rounds', '0'], ['mqtt', '--policy', 'all']]) {
    const { status, stderr, stdout } = bench(...args);
    assert.equal(status, 64, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, /usage: npm run bench|--rounds is a whole number/);
  }
});
