import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkOf } from './check.ts';
import { jsonRead, jsonWrite } from './json.ts';
import type { EnumType, Field, MessageType, ScalarName, Schema, Violation } from './types.ts';

const COLOUR: EnumType = {
  kind: 'enum',
  name: 't.Colour',
  values: [
    { name: 'NONE', number: 0 },
    { name: 'RED', number: 5 },
  ],
};

const field = (name: string, type: Field['type'], more: Partial<Field> = {}): Field => ({
  name,
  protoName: name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  number: 1,
  type,
  many: 'one',
  optional: false,
  required: false,
  ...more,
});
const scalar = (name: ScalarName): Field['type'] => ({ kind: 'scalar', name });
const named = (name: string): Field['type'] => ({ kind: 'named', name });

const T: MessageType = {
  kind: 'message',
  name: 't.T',
  fields: [
    field('flag', scalar('bool')),
    field('small', scalar('int32')),
    field('bigOne', scalar('int64')),
    field('single', scalar('float')),
    field('real', scalar('double')),
    field('text', scalar('string')),
    field('raw', scalar('bytes')),
    field('moment', scalar('timestamp'), { optional: true }),
    field('span', scalar('duration'), { optional: true }),
    field('anything', scalar('any'), { optional: true }),
    field('colour', named('t.Colour')),
    field('child', named('t.T'), { optional: true }),
    field('numbers', scalar('int64'), { many: 'list' }),
    field('byName', scalar('int64'), { many: 'map', mapKey: 'string' }),
    field('maybe', scalar('string'), { optional: true }),
  ],
};
const SCHEMA: Schema = {
  types: new Map<string, MessageType | EnumType>([
    ['t.T', T],
    ['t.Colour', COLOUR],
  ]),
};
const write = jsonWrite(SCHEMA, T);

/** What a text says, as the value or all that is wrong. */
function read(text: string, unknown: 'refuse' | 'ignore' = 'refuse'): unknown {
  const violations: Violation[] = [];
  const value = checkOf(SCHEMA, T)(jsonRead(SCHEMA, T, { unknown })(JSON.parse(text), violations), violations);
  return violations.length === 0 ? value : violations.map(({ path, text: what }) => `${path}: ${what}`);
}
const one = (name: string, json: string) => {
  const value = read(`{"${name}":${json}}`);
  return Array.isArray(value) ? value[0] : (value as Record<string, unknown>)[name];
};

test('each scalar is read in the forms that ProtoJSON has for it', () => {
  assert.equal(one('bigOne', '"9223372036854775807"'), 9223372036854775807n);
  assert.equal(one('bigOne', '-5'), -5n);
  assert.equal(one('bigOne', '"1e3"'), 1000n);
  assert.equal(one('small', '"12"'), 12);
  assert.equal(one('small', '1.0'), 1);
  assert.equal(one('real', '"NaN"'), Number.NaN);
  assert.equal(one('single', '"-Infinity"'), Number.NEGATIVE_INFINITY);
  assert.deepEqual(one('raw', '"-_8="'), new Uint8Array([251, 255]));
  assert.deepEqual(one('raw', '"+/8"'), new Uint8Array([251, 255]));
  assert.deepEqual(one('moment', '"2024-02-29T23:59:59.123456789+01:00"'), new Date('2024-02-29T22:59:59.123Z'));
  assert.equal(one('span', '"-1.5s"'), -1500);
  assert.equal(one('span', '"0.000001s"'), 0.001);
  assert.equal(one('colour', '5'), 'RED');
  assert.deepEqual(one('anything', '{"a":[null,1]}'), { a: [null, 1] });
  assert.equal(one('anything', 'null'), null);
  assert.equal(one('maybe', 'null'), undefined);
  assert.deepEqual(read('{"big_one":"7","by_name":{"__proto__":"1"}}'), read('{"bigOne":7,"byName":{"__proto__":1}}'));
});

test('what is wrong is told with its place, and nothing else is taken', () => {
  for (const [text, ...wrong] of [
    ['{"bigOne":"9223372036854775808"}', 'bigOne: is not a whole number of 64 bits'],
    ['{"bigOne":1.5}', 'bigOne: is not a whole number of 64 bits'],
    ['{"small":"x"}', 'small: is not a whole number of 32 bits'],
    ['{"raw":"a"}', 'raw: is not base64'],
    ['{"raw":"****"}', 'raw: is not base64'],
    ['{"moment":"2023-02-29T00:00:00Z"}', 'moment: is not a point in time of the years 1 to 9999'],
    ['{"moment":"yesterday"}', 'moment: is not a point in time of the years 1 to 9999'],
    ['{"child":{"child":{"raw":"a"}}}', 'child.child.raw: is not base64'],
    ['{"byName":{"a":"x"}}', 'byName["a"]: is not a whole number of 64 bits'],
    ['{"numbers":["1","x"]}', 'numbers[1]: is not a whole number of 64 bits'],
    ['{"colour":"BLUE"}', 'colour: is not one of NONE, RED'],
    ['{"nothing":1}', 'nothing: is not a field'],
    ['{"bigOne":1,"big_one":2}', 'bigOne: is given twice'],
    ['{"__proto__":{"flag":true}}', '__proto__: is not a field'],
    ['[]', ': is not an object'],
  ] as const)
    assert.deepEqual(read(text), wrong, text);
  assert.deepEqual(read('{"nothing":1,"__proto__":{"flag":true},"flag":false}', 'ignore'), read('{}'));
});

test('all that cannot be absent is written, the rest where it is', () => {
  assert.equal(
    write({}),
    '{"flag":false,"small":0,"bigOne":"0","single":0,"real":0,"text":"","raw":"","colour":"NONE","numbers":[],"byName":{}}',
  );
  const value = {
    ...{ single: Math.fround(0.1), real: -0, text: 'a"b\u2028', raw: new Uint8Array([1, 2]) },
    ...{ moment: new Date(0), span: 1.5, anything: [null], child: { flag: true }, maybe: '' },
  };
  const text = write(value);
  assert.match(text, /"single":0.1,"real":-0,"text":"a\\"b/);
  assert.match(text, /"moment":"1970-01-01T00:00:00.000Z","span":"0.001500s","anything":\[null\]/);
  assert.match(text, /"child":{"flag":true,.*},.*"maybe":""}$/);
  JSON.parse(text);
});

test('a value that is written and read again is the same', () => {
  const finite = fc.double({ noDefaultInfinity: false });
  const values = fc.letrec((tie) => ({
    value: fc.record({
      flag: fc.boolean(),
      small: fc.integer(),
      bigOne: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      single: fc.float(),
      real: finite,
      text: fc.string({ unit: 'grapheme' }),
      raw: fc.uint8Array(),
      moment: fc.date({
        min: new Date('0001-01-01T00:00:00Z'),
        max: new Date('9999-12-31T23:59:59Z'),
        noInvalidDate: true,
      }),
      span: fc.integer(),
      anything: fc.jsonValue({ maxDepth: 3 }).map((json) => JSON.parse(JSON.stringify(json))),
      colour: fc.constantFrom('NONE', 'RED'),
      child: fc.option(tie('value'), { nil: undefined, depthSize: 'small' }),
      numbers: fc.array(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })),
      byName: fc.dictionary(fc.string(), fc.bigInt({ min: 0n, max: 9n }), { noNullPrototype: true }),
      maybe: fc.option(fc.string(), { nil: undefined }),
    }),
  })).value;
  const bare = (value: unknown): unknown =>
    Object.fromEntries(
      Object.entries(value as object).flatMap(([name, each]) =>
        each === undefined ? [] : [[name, name === 'child' ? bare(each) : each]],
      ),
    );
  fc.assert(
    fc.property(values, (value) => {
      assert.deepEqual(bare(read(write(value))), bare(value));
    }),
  );
});

test('no JSON throws', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...T.fields.map(({ name }) => name)), (json, name) => {
      read(JSON.stringify({ [name]: json }));
      read(JSON.stringify(json), 'ignore');
    }),
  );
  let deep = '{}';
  for (let level = 0; level < 5_000; level++) deep = `{"child":${deep}}`;
  assert.match(String(read(deep)), /nested deeper than 100/);
});
