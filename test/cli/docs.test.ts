// The pages of the command and of the configuration say what there is.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { EXIT } from '../../src/cli/output.ts';
import { schema } from '../../src/config.ts';
import { REGISTRY_LIMITS } from '../../src/server/registry.ts';
import { runCommand } from '../server-process.ts';

const page = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

test('docs/cli.md lists the flags of each verb, and each exit code', { timeout: 60_000 }, async () => {
  const text = page('cli.md');
  const verbs = [
    'up',
    'pub',
    'sub',
    'get',
    'put',
    'ls',
    'rm',
    'mv',
    'mirror',
    'send',
    'inbox',
    'call',
    'dig',
    'watch',
    'why',
    'doctor',
    'backup',
    'restore',
    'status',
    'lab',
    'tour',
  ];
  const helps = await Promise.all(verbs.map((verb) => runCommand([verb, '--help'])));
  for (const [index, verb] of verbs.entries()) {
    const section = text.split(`## portico ${verb}\n`)[1]!.split('\n## ')[0]!;
    const { output } = helps[index]!;
    const flags = [...output.matchAll(/^ {2}(?:-[a-gi-z], )?(--[a-z-]+)/gm)].map(([, flag]) => flag!);
    assert.ok(flags.length >= 2);
    for (const flag of flags) assert.ok(section.includes(`\`${flag}`), `${verb} ${flag}`);
    for (const [, flag] of section.matchAll(/^\| `(--[a-z-]+)/gm))
      assert.ok(flags.includes(flag!), `${verb} has no ${flag}`);
  }
  const { output: all } = await runCommand(['--help']);
  for (const [, verb] of all.matchAll(/^ {2}([a-z]+) /gm))
    assert.ok(verb === 'help' || text.includes(`portico ${verb}`), `${verb} is not in docs/cli.md`);
  const codes = [...text.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
  assert.deepEqual(
    codes,
    Object.values(EXIT).sort((one, other) => one - other),
  );
});

test('docs/configuration.md lists the keys, and the bounds with their defaults', () => {
  const text = page('configuration.md');
  for (const key of Object.keys(schema.shape)) assert.match(text, new RegExp(`^\\| \`${key}[.\`]`, 'm'), key);
  const rows = text.split('### limits\n')[1]!.split('\n## ')[0]!;
  const defaults = new Map(
    [...rows.matchAll(/^\| `(\w+)` \| ([\d,]+)? ?/gm)].map(([, name, value]) => [name!, value?.replaceAll(',', '')]),
  );
  assert.deepEqual(new Set(defaults.keys()), new Set(Object.keys(REGISTRY_LIMITS)));
  for (const [name, value] of defaults) {
    if (value !== undefined) assert.equal(Number(value), REGISTRY_LIMITS[name as keyof typeof REGISTRY_LIMITS], name);
  }
});
