// The scalars: what each takes, what it refuses, and how it is written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type GraphQLScalarType, Kind, parseValue } from 'graphql';
import {
  BASE64_SCALAR,
  EMPTY_SCALAR,
  INT64_SCALAR,
  JSON_SCALAR,
  MOMENT_SCALAR,
  momentText,
  SPAN_SCALAR,
  spanText,
  UINT32_SCALAR,
  UINT64_SCALAR,
} from './scalars.ts';

const refuses = (scalar: GraphQLScalarType<unknown, unknown>, ...values: readonly unknown[]) => {
  for (const value of values) assert.throws(() => scalar.parseValue(value), { name: 'GraphQLError' }, String(value));
};
const literal = (scalar: GraphQLScalarType<unknown, unknown>, text: string) => scalar.parseLiteral(parseValue(text));

test('Int64 and UInt64 take text and whole numbers, to their bounds and no further', () => {
  assert.equal(INT64_SCALAR.parseValue('-9223372036854775808'), -(2n ** 63n));
  assert.equal(INT64_SCALAR.parseValue(7), 7n);
  assert.equal(literal(INT64_SCALAR, '9007199254740993'), 9_007_199_254_740_993n);
  assert.equal(literal(UINT64_SCALAR, '"18446744073709551615"'), 2n ** 64n - 1n);
  refuses(INT64_SCALAR, '9223372036854775808', 1.5, 2 ** 53, '1.0', ' 1', '0x1', '', null, true, [1]);
  refuses(UINT64_SCALAR, '-1', '18446744073709551616');
  assert.throws(() => literal(INT64_SCALAR, '1.5'));
  assert.throws(() => INT64_SCALAR.serialize(2n ** 63n));
  assert.equal(INT64_SCALAR.serialize(-1n), '-1');
});

test('UInt32 takes whole numbers from 0 to 4294967295', () => {
  assert.equal(literal(UINT32_SCALAR, '4294967295'), 4_294_967_295);
  refuses(UINT32_SCALAR, -1, 4_294_967_296, 0.5, '1', null);
  assert.throws(() => literal(UINT32_SCALAR, '"1"'));
});

test('Base64 takes both alphabets, with and without padding, and bytes that a file brought', () => {
  for (const text of ['AAH/', 'AAH_', '']) assert.ok(BASE64_SCALAR.parseValue(text) instanceof Uint8Array);
  assert.deepEqual(BASE64_SCALAR.parseValue('/w'), Buffer.from([255]));
  const file = new Uint8Array([1]);
  assert.equal(BASE64_SCALAR.parseValue(file), file);
  refuses(BASE64_SCALAR, 'a b', '=', 7, null);
});

test('DateTime takes RFC 3339 §5.6 and nothing else', () => {
  assert.equal(Number(MOMENT_SCALAR.parseValue('2026-01-31T13:00:00.5+01:00')), Date.UTC(2026, 0, 31, 12, 0, 0, 500));
  refuses(MOMENT_SCALAR, '2026-01-31', '2026-01-31T12:00:00', '2026-13-01T00:00:00Z', 'now', 0, null);
});

test('property: a moment is written as toISOString does', () => {
  fc.assert(
    fc.property(fc.date({ noInvalidDate: true }), (moment) => assert.equal(momentText(moment), moment.toISOString())),
  );
  fc.assert(
    fc.property(fc.integer({ min: -172_800_000, max: 172_800_000 }), (time) =>
      assert.equal(momentText(new Date(time)), new Date(time).toISOString()),
    ),
  );
  assert.equal(momentText(new Date(Number.NaN)), '');
});

test('Duration is seconds, with no, three, six or nine digits', () => {
  for (const [ms, text] of [
    [0, '0s'],
    [1_500, '1.500s'],
    [-1_500.25, '-1.500250s'],
    [60_000, '60s'],
    [0.001, '0.000001s'],
  ] as const) {
    assert.equal(spanText(ms), text);
    assert.equal(SPAN_SCALAR.parseValue(text), ms);
  }
  refuses(SPAN_SCALAR, '1', 's', '1.s', '1.0000000001s', 'PT1S', 1, null);
});

test('JSON takes anything, Empty only what has nothing in it', () => {
  assert.deepEqual(literal(JSON_SCALAR, '{ a: [1, null, "x"] }'), { a: [1, null, 'x'] });
  assert.deepEqual(EMPTY_SCALAR.parseValue({}), {});
  refuses(EMPTY_SCALAR, { a: 1 }, null, 7, '');
  assert.equal(EMPTY_SCALAR.parseLiteral({ kind: Kind.OBJECT, fields: [] }) instanceof Object, true);
});
