// Transfers between ours and ours over simulated paths.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pair } from './testing/pair.ts';

test('a handshake, a request, an answer', () => {
  const pair = new Pair();
  const line = pair.dial();
  assert.ok(
    pair.until(() => line.complete, 2_000),
    JSON.stringify([line.state, line.closeFault, pair.world.bugs]),
  );
  const stream = pair.side.ask(100_000);
  assert.ok(
    pair.until(() => stream.finished, 5_000),
    `${stream.total} ${JSON.stringify(pair.world.bugs)}`,
  );
  assert.equal(stream.total, 100_000);
  assert.deepEqual(pair.world.bugs, []);
});

test('a transfer under loss completes', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const pair = new Pair({ seed, network: { loss: 0.1, reorder: 0.05, duplicate: 0.02, latencyMs: 10 } });
    const line = pair.dial();
    assert.ok(
      pair.until(() => line.complete),
      `seed ${seed}`,
    );
    const stream = pair.side.ask(500_000);
    assert.ok(
      pair.until(() => stream.finished),
      `seed ${seed}: ${stream.total} ${JSON.stringify(pair.world.bugs)}`,
    );
    assert.equal(stream.total, 500_000);
    assert.deepEqual(pair.world.bugs, []);
  }
});
