// The page of HTTP lists the limits as they are.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { limits } from './limits.ts';

test('docs/http.md lists each limit with its default', () => {
  const page = readFileSync(new URL('../../../docs/http.md', import.meta.url), 'utf8');
  const listed = [...page.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, name, value]) => [name, Number(value)]);
  assert.deepEqual(
    listed,
    Object.entries(limits).map(([name, row]) => [name, row.default]),
  );
});
