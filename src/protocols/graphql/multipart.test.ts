// Bodies of the GraphQL multipart request, well formed and not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readUpload } from './multipart.ts';

const BOUNDARY = '----x.1';

function bodyOf(parts: readonly [name: string, content: string | Buffer][], end = `\r\n--${BOUNDARY}--\r\n`): Buffer {
  const pieces = parts.map(([name, content], at) =>
    Buffer.concat([
      Buffer.from(
        `${at === 0 ? '' : '\r\n'}--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"; filename="f"\r\n\r\n`,
      ),
      Buffer.from(content as string),
    ]),
  );
  return Buffer.concat([...pieces, Buffer.from(end)]);
}

const operations = (variables: unknown) => JSON.stringify({ query: '{ a }', variables });
const faultOf = (body: Buffer, boundary = BOUNDARY, filesMax = 4) => {
  const read = readUpload(body, boundary, filesMax);
  return 'fault' in read ? read.fault.id : '';
};

test('files stand where the map says, and may stand at several places', () => {
  const file = Buffer.from([0, 13, 10, 45, 45, 255]);
  const body = bodyOf([
    ['operations', operations({ one: null, list: [null, null], deep: { at: null } })],
    ['map', '{"a":["variables.one","variables.list.1"],"b":["variables.deep.at"]}'],
    ['a', file],
    ['b', ''],
  ]);
  const read = readUpload(body, BOUNDARY, 4) as { operations: { variables: Record<string, unknown> } };
  const { one, list, deep } = read.operations.variables as { one: Buffer; list: unknown[]; deep: { at: Buffer } };
  assert.deepEqual([one, list, deep.at.length], [file, [null, file], 0]);
});

test('what is no such request is refused', () => {
  const good: [string, string][] = [
    ['operations', operations({ f: null })],
    ['map', '{"0":["variables.f"]}'],
    ['0', 'x'],
  ];
  assert.equal(faultOf(bodyOf(good)), '');
  const bad = 'graphql.badMultipart';
  assert.equal(faultOf(bodyOf(good), ''), bad);
  assert.equal(faultOf(bodyOf(good), 'other'), bad);
  assert.equal(faultOf(bodyOf(good, '')), bad);
  assert.equal(faultOf(bodyOf([good[1]!, good[0]!, good[2]!])), bad);
  assert.equal(faultOf(bodyOf(good.slice(0, 2))), bad);
  assert.equal(faultOf(bodyOf([['operations', '['], ...good.slice(1)])), bad);
  assert.equal(faultOf(bodyOf([['operations', '[]'], ...good.slice(1)])), bad);
  for (const place of [
    'variables',
    'query',
    'variables.g',
    'variables.f.x',
    'variables.__proto__.x',
    'variables.constructor',
    'x.f',
    '',
  ])
    assert.equal(faultOf(bodyOf([good[0]!, ['map', JSON.stringify({ 0: [place] })], good[2]!])), bad, place);
  assert.equal(faultOf(bodyOf([['operations', operations({ f: 1 })], ...good.slice(1)])), bad);
  assert.equal(faultOf(bodyOf(good), BOUNDARY, 0), 'graphql.filesTooMany');
  assert.equal(faultOf(bodyOf([...good, ['1', ''], ['2', ''], ['3', '']]), BOUNDARY, 2), bad);
});

test('property: no body throws, wherever it is cut or broken', () => {
  const whole = bodyOf([
    ['operations', operations({ f: null })],
    ['map', '{"0":["variables.f"]}'],
    ['0', 'content'],
  ]);
  fc.assert(
    fc.property(fc.nat(whole.length), fc.nat(whole.length), fc.uint8Array({ maxLength: 8 }), (from, to, bytes) => {
      const body = Buffer.concat([whole.subarray(0, from), bytes, whole.subarray(to)]);
      assert.equal(typeof faultOf(body), 'string');
    }),
    { numRuns: 2_000 },
  );
});
