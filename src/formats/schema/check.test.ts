import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkOf, DEPTH_MAX, VIOLATIONS_MAX } from './check.ts';
import type { EnumType, Field, MessageType, Schema, Violation } from './types.ts';

const COLOUR: EnumType = {
  kind: 'enum',
  name: 't.Colour',
  values: [
    { name: 'NONE', number: 0 },
    { name: 'RED', number: 5 },
  ],
};

function field(name: string, given: Partial<Field> = {}): Field {
  return {
    name,
    protoName: name,
    number: 1,
    type: { kind: 'scalar', name: 'string' },
    many: 'one',
    optional: false,
    required: false,
    ...given,
  };
}

function checked(fields: readonly Field[], value: unknown, colour: EnumType = COLOUR) {
  const type: MessageType = { kind: 'message', name: 't.T', fields };
  const schema: Schema = {
    types: new Map<string, MessageType | EnumType>([
      ['t.T', type],
      ['t.Colour', colour],
    ]),
  };
  const violations: Violation[] = [];
  const taken = checkOf(schema, type)(value, violations);
  return { taken, wrong: violations.map(({ path, text }) => `${path}: ${text}`) };
}

const scalar = (name: string) => ({ type: { kind: 'scalar', name } }) as Partial<Field>;

test('an absent field has its preset, its default, or stays absent', () => {
  const fields = [
    field('preset', { preset: 'x', optional: true }),
    field('list', { many: 'list' }),
    field('map', { many: 'map' }),
    field('zero', scalar('int64')),
    field('first', { type: { kind: 'named', name: 't.Colour' } }),
    field('maybe', { optional: true }),
  ];
  const given = Object.freeze({});
  const { taken, wrong } = checked(fields, given);
  assert.deepEqual(taken, { preset: 'x', list: [], map: {}, zero: 0n, first: 'NONE' });
  assert.deepEqual(wrong, []);
  assert.deepEqual(given, {});
});

test('a value to which nothing has to be added is itself', () => {
  const value = { text: 'a', items: ['b'] };
  const { taken } = checked([field('text'), field('items', { many: 'list' })], value);
  assert.equal(taken, value);
});

test('presets of lists are the value’s own', () => {
  const fields = [field('all', { many: 'list', preset: ['a'] })];
  const one = checked(fields, {}).taken as { all: string[] };
  one.all.push('b');
  assert.deepEqual(checked(fields, {}).taken, { all: ['a'] });
});

test('what is wrong is told with its place', () => {
  const inner = field('inner', { type: { kind: 'named', name: 't.T' }, optional: true });
  const rows: [readonly Field[], unknown, string[]][] = [
    [[field('a', { required: true })], {}, ['a: is required']],
    [[field('a')], { a: 5 }, ['a: is not a string']],
    [[field('a')], { a: null }, ['a: is not a string']],
    [[field('a')], [], [': is not an object']],
    [[field('a', { many: 'list' })], { a: ['x', 1] }, ['a[1]: is not a string']],
    [[field('a', { many: 'map' })], { a: { 'x y': 1 } }, ['a["x y"]: is not a string']],
    [[inner, field('a', { required: true })], { a: '', inner: { a: '', inner: {} } }, ['inner.inner.a: is required']],
    [
      [field('a', { many: 'map', mapKey: 'int32' })],
      { a: { '01': 'x' } },
      ['a["01"]: is not under a key of type int32'],
    ],
    [[field('a', { constraints: { maxLength: 2 } })], { a: 'abc' }, ['a: has more than 2 characters']],
    [[field('a', { constraints: { maxLength: 2 } })], { a: '😀😀' }, []],
    [[field('a', { constraints: { minLength: 2 } })], { a: '😀' }, ['a: has fewer than 2 characters']],
    [[field('a', { constraints: { pattern: '^b' } })], { a: 'ab' }, ['a: does not match ^b']],
    [[field('a', { constraints: { format: 'ipv6' } })], { a: '::g' }, ['a: is not an IPv6 address']],
    [[field('a', { many: 'list', constraints: { minLength: 1 } })], { a: [] }, []],
    [[field('a', { many: 'list', required: true, constraints: { minLength: 1 } })], { a: [] }, ['a: is empty']],
    [
      [field('a', { ...scalar('int32'), constraints: { max: 5, maxExclusive: true } })],
      { a: 5 },
      ['a: is not less than 5'],
    ],
    [[field('a', { ...scalar('double'), constraints: { multipleOf: 0.1 } })], { a: 0.3 }, []],
    [
      [field('a', { ...scalar('double'), constraints: { multipleOf: 0.1 } })],
      { a: 0.35 },
      ['a: is not a multiple of 0.1'],
    ],
    [[field('a', { ...scalar('double'), constraints: { min: 0 } })], { a: Number.NaN }, ['a: is less than 0']],
    [[field('a', scalar('double'))], { a: Number.NaN }, []],
    [[field('a', scalar('any'))], { a: [1, { b: undefined }] }, []],
    [[field('a', scalar('any'))], { a: [1n] }, [`a: is not JSON, or is nested deeper than ${DEPTH_MAX}`]],
    [
      [field('a', scalar('timestamp'))],
      { a: new Date(Number.NaN) },
      ['a: is not a point in time of the years 1 to 9999'],
    ],
    [
      [field('a', { oneof: 'o', optional: true }), field('b', { oneof: 'o', optional: true })],
      { a: '', b: '' },
      ['b: cannot be given together with a'],
    ],
  ];
  for (const [fields, value, wrong] of rows) assert.deepEqual(checked(fields, value).wrong, wrong);
});

test('integers have their bounds', () => {
  const rows: [string, unknown[], unknown[]][] = [
    ['int32', [-2147483648, 2147483647, 0], [2147483648, -2147483649, 0.5, '1', 1n]],
    ['uint32', [0, 4294967295], [-1, 4294967296, 0.5]],
    ['int64', [-(2n ** 63n), 2n ** 63n - 1n], [2n ** 63n, 5]],
    ['uint64', [0n, 2n ** 64n - 1n], [-1n, 2n ** 64n]],
  ];
  for (const [name, right, wrong] of rows) {
    for (const a of right) assert.deepEqual(checked([field('a', scalar(name))], { a }).wrong, [], `${name} ${a}`);
    for (const a of wrong) assert.equal(checked([field('a', scalar(name))], { a }).wrong.length, 1, `${name} ${a}`);
  }
});

test('an enum takes names, and numbers that have none where it is open', () => {
  const fields = [field('a', { type: { kind: 'named', name: 't.Colour' } })];
  assert.deepEqual(checked(fields, { a: 'RED' }).taken, { a: 'RED' });
  assert.deepEqual(checked(fields, { a: 5 }).taken, { a: 'RED' });
  assert.deepEqual(checked(fields, { a: 77 }).wrong, []);
  assert.deepEqual(checked(fields, { a: 77 }, { ...COLOUR, closed: true }).wrong, ['a: is not one of NONE, RED']);
  assert.deepEqual(checked(fields, { a: 'BLUE' }).wrong, ['a: is not one of NONE, RED']);
});

test('what contains itself, and what is wrong a million times, is told in short', () => {
  const fields = [field('a', { type: { kind: 'named', name: 't.T' }, many: 'list' }), field('b', scalar('int32'))];
  const loop: { a: unknown[] } = { a: [] };
  loop.a.push(loop, loop);
  const { wrong } = checked(fields, loop);
  assert.ok(wrong.length > 0 && wrong.length <= VIOLATIONS_MAX);
  const many = checked([field('a', { many: 'list' })], { a: new Array(1_000_000).fill(1) });
  assert.equal(many.wrong.length, VIOLATIONS_MAX);
});

test('keys that objects have anyway are keys like others', () => {
  const value = JSON.parse('{"a":{"__proto__":{},"constructor":{}}}');
  const fields = [field('a', { many: 'map', type: { kind: 'named', name: 't.T' } })];
  const taken = checked(fields, value).taken as { a: object };
  assert.deepEqual(Object.keys(taken.a), ['__proto__', 'constructor']);
  assert.deepEqual(checked([field('constructor', { required: true })], {}).wrong, ['constructor: is required']);
});

test('no value makes the check throw, and none is changed', () => {
  const fields = [
    field('text', { constraints: { minLength: 1, format: 'email' } }),
    field('self', { type: { kind: 'named', name: 't.T' }, many: 'list' }),
    field('map', { type: { kind: 'named', name: 't.Colour' }, many: 'map', mapKey: 'int64' }),
    field('any', scalar('any')),
    field('large', scalar('uint64')),
  ];
  const anything = fc.anything({ withBigInt: true, withDate: true, withTypedArray: true, withNullPrototype: true });
  const shaped = fc.record(
    {
      text: anything,
      self: fc.array(anything),
      map: fc.dictionary(fc.string(), anything),
      any: anything,
      large: anything,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(anything, shaped), (value) => {
      const before = fc.stringify(value);
      const { wrong } = checked(fields, value);
      assert.ok(wrong.length <= VIOLATIONS_MAX);
      assert.equal(fc.stringify(value), before);
    }),
  );
});
