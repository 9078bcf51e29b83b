import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { namesOf } from './folder-path.ts';

test('paths become names, in any script', () => {
  assert.deepEqual(namesOf('a/b.txt'), ['a', 'b.txt']);
  assert.deepEqual(namesOf(''), ['']);
  assert.deepEqual(namesOf('a/'), ['a', '']);
  assert.deepEqual(namesOf('%E2%98%83/%D1%8F%20b'), ['☃', 'я b']);
  assert.deepEqual(namesOf('.well-known/security.txt'), ['.well-known', 'security.txt']);
  assert.deepEqual(namesOf('100%25'), ['100%']);
});

test('what must not be a file is none', () => {
  const hostile = [
    ...['..', '../x', 'a/../b', '%2e%2e/x', '.%2e', '%2E%2E%2Fetc', 'a%2fb', 'a%5cb', 'a\\b', '..\\x', '..%5cx'],
    ...['.git/config', '.env', 'a/.htpasswd', '%2egit', './a', 'a/./b', '//etc/passwd', 'a//b', '/a'],
    ...['a%00b', 'a%0ab', '%7f', '%1f', '%', '%zz', '%c0%ae', '%ff', 'x'.repeat(256), 'ab/'.repeat(2_000)],
  ];
  for (const path of hostile) assert.equal(namesOf(path), null, path);
});

test('whatever is asked, the names stay below the folder', () => {
  const piece = fc.constantFrom('..', '.', '/', '\\', '%2e', '%2f', '%5c', '%00', 'a', '%', '25', '//', ':', ' ');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const names = namesOf(pieces.join(''));
      for (const [index, name] of names?.entries() ?? []) {
        assert.ok(name !== '..' && name !== '.' && !/[/\\\0]/.test(name));
        assert.ok(name !== '' || index === names!.length - 1);
      }
    }),
    { numRuns: 5_000 },
  );
});
