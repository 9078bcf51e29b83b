import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('docs/mqtt-conformance.md', root), 'utf8');

/** A row of one of the tables: the statement, what it asks for, where it is tested. */
const rows = [...page.matchAll(/^\| (\[MQTT-\d+\.\d+\.\d+-\d+\]) \| ([^|]+) \| ([^|]+) \|$/gm)].map((match) => ({
  statement: match[1]!,
  test: match[3]!.trim(),
}));

function sources(folder: string): string {
  const url = new URL(folder, root);
  const files = readdirSync(url).filter((name) => name.endsWith('.test.ts'));
  return files.map((name) => readFileSync(new URL(name, url), 'utf8')).join('\n');
}

test('conformance: each statement names a test that exists', () => {
  assert.ok(rows.length > 250, `${rows.length} rows`);
  const all = `${sources('src/protocols/mqtt/')}\n${sources('src/resources/topics/')}\n${sources('test/interop/')}`;
  const unknown = new Set<string>();
  for (const { statement, test: named } of rows) {
    if (named.startsWith('–')) continue;
    for (const name of named.split(' · '))
      if (!all.includes(`'${name.replaceAll('`', '')}'`)) unknown.add(`${statement}: ${name}`);
  }
  assert.deepEqual([...unknown], []);
});

test('conformance: no statement is there twice', () => {
  for (const part of page.split(/^## /m)) {
    const seen = [...part.matchAll(/^\| (\[MQTT-\d+\.\d+\.\d+-\d+\]) /gm)].map((match) => match[1]!);
    assert.deepEqual(
      seen.filter((statement, at) => seen.indexOf(statement) !== at),
      [],
    );
  }
});
