// docs/library.md says what the clients of the library have.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { clientLimits } from '../src/protocols/http1/client-limits.ts';

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');

test('docs/library.md lists the exports of the package, and the limits of HTTP with their defaults', () => {
  const page = read('docs/library.md');
  const exported = Object.keys((JSON.parse(read('package.json')) as { exports: Record<string, unknown> }).exports);
  const listed = [...page.matchAll(/^\| `portico\/([a-z\d]+)`/gm)].map(([, name]) => `./${name}`);
  assert.deepEqual(listed.sort(), exported.filter((name) => !['.', './package.json'].includes(name)).sort());
  const rows = page.split('## Server-sent events')[0]!.matchAll(/^\| (`\w+`(?:, `\w+`)*) \| ([\d, ]+) \|/gm);
  const told: Record<string, number> = {};
  for (const [, names, values] of rows) {
    const numbers = values!.split(', ');
    names!.split(', ').forEach((name, at) => {
      told[name.replaceAll('`', '')] = Number(numbers[at]!.replaceAll(',', ''));
    });
  }
  const limits = Object.entries(clientLimits).map(([name, row]) => [name, row.default]);
  assert.deepEqual(told, Object.fromEntries(limits));
});
