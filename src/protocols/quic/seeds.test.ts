// Hundreds of connections over paths with faults; thousands in test/soak/quic.soak.ts.
import { test } from 'node:test';
import { runSeed } from './testing/seeds.ts';

test('200 seeds of loss, reordering, duplicates, corruption, rates, sizes, marks, moves and key updates', () => {
  for (let seed = 1; seed <= 200; seed++) runSeed(seed);
});
