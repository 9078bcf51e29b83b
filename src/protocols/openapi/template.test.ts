import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { templateOf } from './template.ts';

test('templates of google.api.http match and capture', () => {
  for (const [template, path, expected] of [
    ['/v1/shelves', '/v1/shelves', []],
    ['/v1/shelves', '/v1/shelves/', null],
    ['/v1/{name}', '/v1/a%20b', ['a b']],
    ['/v1/{name}', '/v1/a/b', null],
    ['/v1/{name=shelves/*}/books/{book}', '/v1/shelves/1/books/2', ['shelves/1', '2']],
    ['/v1/{path=**}', '/v1/a/b%2Fc', ['a/b/c']],
    ['/v1/{a.b_c}:publish', '/v1/x:publish', ['x']],
    ['/v1/{a}:publish', '/v1/x', null],
    ['/v1/*/x', '/v1/any/x', []],
    ['/v1/a.b', '/v1/aXb', null],
    ['/v1/{a}', '/v1/%ff', null],
  ] as const)
    assert.deepEqual(templateOf(template).match(path), expected, `${template} ${path}`);
  assert.deepEqual(templateOf('/v1/{name=shelves/*}/books/{book.id}').fields, ['name', 'book.id']);
  for (const wrong of ['v1', '/v1/{a', '/v1/{a}b', '/v1/{1a}', '/v1/}'])
    assert.throws(() => templateOf(wrong), RangeError, wrong);
});

test('no path takes long, or throws', () => {
  const templates = ['/a/{b=**}/c/{d=**}', '/{a}/{b}:v', '/a/*/{c=x/*/y}'].map(templateOf);
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'/ab%:c'), maxLength: 200 }), (path) => {
      for (const template of templates) template.match(`/${path}`);
    }),
  );
});

test('what is literal ranks before what is not', () => {
  const ranked = ['/v1/{a=**}', '/v1/{a}', '/v1/x'].map((text) => templateOf(text).rank);
  assert.deepEqual(
    ranked.toSorted((one, other) => one - other),
    ranked,
  );
});
