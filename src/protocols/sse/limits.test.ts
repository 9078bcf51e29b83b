// The page says what the limits are, and has the sections that faults and limits name.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { faults } from './faults.ts';
import { limits } from './limits.ts';

test('docs/sse.md says what the limits are, and has the sections that faults name', () => {
  const page = readFileSync(new URL('../../../docs/sse.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, name, value]) => [name!, Number(value)]);
  assert.deepEqual(
    rows,
    Object.entries(limits).map(([name, row]) => [name, row.default]),
  );
  for (const { spec } of [...Object.values(faults), ...Object.values(limits)]) {
    const [file, section] = spec.split(' §');
    if (file === 'docs/sse.md') assert.match(page, new RegExp(`^#+ ${section}$`, 'm'), spec);
  }
});
