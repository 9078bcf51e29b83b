import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fields } from '../../core/fields.ts';
import { evaluate, isRangeCurrent, isSameStrongly, isSameWeakly, parseEtags, type Validators } from './conditions.ts';

const NOW = Date.UTC(2026, 10, 22);
const THEN = Date.UTC(1994, 10, 6, 8, 49, 37);
const AT = 'Sun, 06 Nov 1994 08:49:37 GMT';
const BEFORE = 'Sun, 06 Nov 1994 08:49:36 GMT';
const AFTER = 'Sun, 06 Nov 1994 08:49:38 GMT';
const CURRENT: Validators = { etag: '"a"', lastModified: THEN + 500 };
const WEAK: Validators = { etag: 'W/"a"', lastModified: THEN };

const on = (method: string, fields: Record<string, string>, current: Validators | null = CURRENT) =>
  evaluate(method, Fields.of(fields), current, NOW);

test('the table of comparisons (RFC 9110 §8.8.3.2)', () => {
  for (const [a, b, strong, weak] of [
    ['W/"1"', 'W/"1"', false, true],
    ['W/"1"', 'W/"2"', false, false],
    ['W/"1"', '"1"', false, true],
    ['"1"', '"1"', true, true],
  ] as const) {
    assert.equal(isSameStrongly(a, b), strong);
    assert.equal(isSameWeakly(a, b), weak);
  }
});

test('lists of entity tags (RFC 9110 §8.8.3, §13.1.1)', () => {
  assert.deepEqual(parseEtags('"xyzzy"'), ['"xyzzy"']);
  assert.deepEqual(parseEtags('"xyzzy", "r2d2xxxx", "c3piozzzz"'), ['"xyzzy"', '"r2d2xxxx"', '"c3piozzzz"']);
  assert.deepEqual(parseEtags('W/"a,b" ,, "" \t,'), ['W/"a,b"', '""']);
  assert.deepEqual(parseEtags(', "a"  '), ['"a"']);
  for (const wrong of ['a', '"a', '"a" "b"', 'w/"a"', '"a"b', '*', '"a", *'])
    assert.equal(parseEtags(wrong), null, wrong);
});

test('If-Match (RFC 9110 §13.1.1)', () => {
  assert.equal(on('PUT', { 'if-match': '"a"' }), 0);
  assert.equal(on('PUT', { 'if-match': '"b", "a"' }), 0);
  assert.equal(on('PUT', { 'if-match': '"b"' }), 412);
  assert.equal(on('GET', { 'if-match': '"b"' }), 412);
  assert.equal(on('PUT', { 'if-match': '*' }), 0);
  assert.equal(on('PUT', { 'if-match': '*' }, null), 412);
  assert.equal(on('PUT', { 'if-match': '"a"' }, null), 412);
  // Strong comparison.
  assert.equal(on('PUT', { 'if-match': 'W/"a"' }), 412);
  assert.equal(on('PUT', { 'if-match': 'W/"a"' }, WEAK), 412);
  assert.equal(on('PUT', { 'if-match': 'rubbish' }), 412);
  // The tag of the coded representation names the same state to who changes it.
  assert.equal(on('PUT', { 'if-match': '"a-gzip"' }), 0);
  assert.equal(on('PUT', { 'if-match': '"x-br", "b"' }), 412);
  assert.equal(on('PUT', { 'if-match': '"a-br"' }, { etag: '"a-br"', lastModified: null }), 0);
  assert.equal(on('GET', { 'if-match': '"a-gzip"' }), 412);
});

test('If-None-Match (RFC 9110 §13.1.2)', () => {
  assert.equal(on('GET', { 'if-none-match': '"a"' }), 304);
  assert.equal(on('HEAD', { 'if-none-match': '"b", W/"a"' }), 304);
  assert.equal(on('GET', { 'if-none-match': '"b"' }), 0);
  assert.equal(on('PUT', { 'if-none-match': '"a"' }), 412);
  assert.equal(on('PUT', { 'if-none-match': '*' }), 412);
  assert.equal(on('PUT', { 'if-none-match': '*' }, null), 0);
  assert.equal(on('GET', { 'if-none-match': '*' }), 304);
  assert.equal(on('GET', { 'if-none-match': '"a"' }, WEAK), 304);
  assert.equal(on('GET', { 'if-none-match': 'a' }), 0);
});

test('If-Modified-Since (RFC 9110 §13.1.3)', () => {
  assert.equal(on('GET', { 'if-modified-since': AT }), 304);
  assert.equal(on('HEAD', { 'if-modified-since': AFTER }), 304);
  assert.equal(on('GET', { 'if-modified-since': BEFORE }), 0);
  assert.equal(on('POST', { 'if-modified-since': AT }), 0);
  assert.equal(on('GET', { 'if-modified-since': 'yesterday' }), 0);
  assert.equal(on('GET', { 'if-modified-since': AT }, { etag: '"a"', lastModified: null }), 0);
  // Left out where If-None-Match stands.
  assert.equal(on('GET', { 'if-modified-since': AT, 'if-none-match': '"b"' }), 0);
});

test('If-Unmodified-Since (RFC 9110 §13.1.4)', () => {
  assert.equal(on('PUT', { 'if-unmodified-since': AT }), 0);
  assert.equal(on('PUT', { 'if-unmodified-since': BEFORE }), 412);
  assert.equal(on('GET', { 'if-unmodified-since': BEFORE }), 412);
  assert.equal(on('PUT', { 'if-unmodified-since': 'rubbish' }), 0);
  // Left out where If-Match stands.
  assert.equal(on('PUT', { 'if-unmodified-since': BEFORE, 'if-match': '"a"' }), 0);
});

test('the order of conditions (RFC 9110 §13.2.2)', () => {
  assert.equal(on('GET', { 'if-match': '"b"', 'if-none-match': '"a"' }), 412);
  assert.equal(on('GET', { 'if-match': '"a"', 'if-none-match': '"a"' }), 304);
  assert.equal(on('GET', { 'if-unmodified-since': BEFORE, 'if-none-match': '"a"' }), 412);
  assert.equal(on('GET', { 'if-unmodified-since': AT, 'if-modified-since': AT }), 304);
});

test('methods without conditions (RFC 9110 §13.2.1)', () => {
  for (const method of ['OPTIONS', 'CONNECT', 'TRACE']) assert.equal(on(method, { 'if-match': '"b"' }), 0);
});

test('If-Range (RFC 9110 §13.1.5)', () => {
  const of = (value: string, current = CURRENT, wall = NOW) =>
    isRangeCurrent(Fields.of({ 'if-range': value }), current, wall);
  assert.equal(isRangeCurrent(new Fields(), CURRENT, NOW), true);
  assert.equal(of('"a"'), true);
  assert.equal(of('"b"'), false);
  assert.equal(of('W/"a"', WEAK), false);
  assert.equal(of(AT), true);
  assert.equal(of(AFTER), false);
  assert.equal(of(BEFORE), false);
  assert.equal(of('rubbish'), false);
  assert.equal(of(AT, { etag: null, lastModified: null }), false);
  // A change of the last minute may not have been the last of its second (§8.8.2.2).
  assert.equal(of(AT, CURRENT, THEN + 30_000), false);
});

test('whatever the fields hold, it does not throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'W/"ab,* \té') }), (text) => {
      for (const name of ['if-match', 'if-none-match', 'if-modified-since', 'if-range']) {
        on('GET', { [name]: text });
        isRangeCurrent(Fields.of({ [name]: text }), CURRENT, NOW);
      }
    }),
  );
});
