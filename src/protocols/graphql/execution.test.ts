import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { execute, parse } from 'graphql';
import { Shelf, Written } from './testing/shelf.ts';

const { POSITIVE_INFINITY: INFINITY } = Number;

test('fields of a query are called beside each other, those of a mutation one after the other (§6.2.2)', () => {
  const shelf = new Shelf();
  const { calls } = shelf.services;
  const query = shelf.start('{ a: ordersGetOrder(id: "1") { id } b: ordersGetOrder(id: "2") { id } }');
  assert.deepEqual(
    calls.map(({ inputs, finished }) => [inputs, finished]),
    [
      [[{ id: '1' }], true],
      [[{ id: '2' }], true],
    ],
  );
  calls[1]!.end('NOT_FOUND', 'no 2');
  assert.equal(query.output.ended, 0);
  calls[0]!.answer({ id: 'x' });
  assert.deepEqual(query.output.last, {
    errors: [
      {
        message: 'no 2',
        locations: [{ line: 1, column: 37 }],
        path: ['b'],
        extensions: { code: 'NOT_FOUND', status: 'NOT_FOUND' },
      },
    ],
    data: { a: { id: 'x' }, b: null },
  });
  const mutation = shelf.start(
    'mutation { a: ordersFail(how: "a") { ok } b: ordersFail(how: "b") { ok } __typename c: ordersFail(how: "c") { ok } }',
  );
  for (const how of ['a', 'b', 'c']) {
    assert.deepEqual(calls.at(-1)!.inputs, [{ how }]);
    if (how === 'b') calls.at(-1)!.end('ABORTED', 'again');
    else calls.at(-1)!.answer({ ok: true });
  }
  assert.equal(calls.length, 5);
  assert.deepEqual(mutation.output.last.data, { a: { ok: true }, b: null, __typename: 'Mutation', c: { ok: true } });
  assert.equal(mutation.output.ended, 1);
});

test('whoever goes away cancels what runs, and nothing is begun or said any more', () => {
  const shelf = new Shelf();
  const { calls } = shelf.services;
  const query = shelf.start('{ a: ordersGetOrder(id: "1") { id } b: ordersGetOrder(id: "2") { id } }');
  query.doing.cancel();
  assert.deepEqual(
    calls.map(({ cancelled }) => cancelled),
    [true, true],
  );
  const mutation = shelf.start('mutation { a: ordersFail(how: "a") { ok } b: ordersFail(how: "b") { ok } }');
  calls[2]!.answer({ ok: true });
  mutation.doing.cancel();
  assert.equal(calls[3]!.cancelled, true);
  const stream = shelf.start('subscription { ordersCount(count: 3) { index } }');
  stream.doing.cancel();
  assert.equal(calls[4]!.cancelled, true);
  assert.deepEqual(
    [query, mutation, stream].map(({ output }) => output.texts.length + output.ended),
    [0, 0, 0],
  );
});

test('many inputs are sent as there is room for them', () => {
  const shelf = new Shelf();
  shelf.services.room = 2;
  const inputs = ['a', 'b', 'c', 'd', 'e'].map((text) => ({ text }));
  shelf.start('subscription($inputs: [ChatRequestInput!]!) { ordersChat(inputs: $inputs) { text } }', { inputs });
  const [call] = shelf.services.calls;
  assert.deepEqual([call!.inputs.length, call!.finished], [2, false]);
  call!.room = 2;
  call!.receiver.writable();
  assert.deepEqual([call!.inputs.length, call!.finished], [4, false]);
  call!.room = 1;
  call!.receiver.writable();
  assert.deepEqual(call!.inputs, inputs);
  assert.equal(call!.finished, true);
  // None at all is an end at once.
  shelf.start('subscription { ordersChat(inputs: []) { text } }');
  assert.deepEqual([shelf.services.calls[1]!.inputs, shelf.services.calls[1]!.finished], [[], true]);
});

test('a stream waits for room, and its end with an error is told without data', () => {
  const shelf = new Shelf();
  const { doing, output } = shelf.start('subscription { tick: ordersCount(count: 3) { index } }');
  const [call] = shelf.services.calls;
  output.room = 0;
  assert.equal(call!.receiver.room, 0);
  output.room = 5;
  doing.more();
  assert.equal(call!.mores, 1);
  call!.receiver.message({ index: 1, filler: '' });
  call!.end('UNAVAILABLE', 'gone');
  assert.deepEqual(
    output.texts.map((text) => JSON.parse(text) as unknown),
    [
      { data: { tick: { index: 1 } } },
      { errors: [{ message: 'gone', extensions: { code: 'BUSY', status: 'UNAVAILABLE' }, path: ['tick'] }] },
    ],
  );
  assert.equal(output.ended, 1);
});

test('a value that a handler gives again, changed, is read again', () => {
  const shelf = new Shelf();
  const { output } = shelf.start('subscription { ordersCount(count: 3) { index } }');
  const tick = { index: 0, filler: '' };
  for (; tick.index < 3; tick.index++) shelf.services.calls[0]!.receiver.message(tick);
  assert.deepEqual(
    output.texts.map((text) => JSON.parse(text) as unknown),
    [0, 1, 2].map((index) => ({ data: { ordersCount: { index } } })),
  );
});

test('what variables make wrong of an argument is told where it stands (§6.4.1)', () => {
  const shelf = new Shelf();
  const nullable = 'query($id: String = "x") { a: ordersGetOrder(id: $id) { id } __typename }';
  const { output } = shelf.start(nullable, { id: null });
  assert.deepEqual(shelf.services.calls, []);
  const { data, errors } = output.last as { data: unknown; errors: { path: unknown; extensions: unknown }[] };
  assert.deepEqual(data, { a: null, __typename: 'Query' });
  assert.deepEqual([errors[0]!.path, errors[0]!.extensions], [['a'], { code: 'BAD_USER_INPUT' }]);
});

test('what is null is not given, and defaults of variables are', () => {
  const shelf = new Shelf();
  shelf.start('query($id: String = "seven") { ordersGetOrder(id: $id) { id } }');
  assert.deepEqual(shelf.services.calls[0]!.inputs, [{ id: 'seven' }]);
  shelf.start('mutation($m: String) { ordersFail(how: "x", message: $m) { ok } }', { m: null });
  assert.deepEqual(shelf.services.calls[1]!.inputs, [{ how: 'x' }]);
});

test('directives leave out and put in, by each value of their variables', () => {
  const shelf = new Shelf();
  const query = `query($a: Boolean!, $b: Boolean = false) {
    ordersGetOrder(id: "1") { id @skip(if: $a) ...F @include(if: $b) ... @include(if: $a) { express } }
    other: ordersGetOrder(id: "2") @include(if: $b) { id }
  } fragment F on Order { customer note @skip(if: true) }`;
  const order = { id: 'i', customer: 'c', express: true, note: 'n' };
  const asked = (variables: Record<string, unknown>) => {
    const before = shelf.services.calls.length;
    const { output } = shelf.start(query, variables);
    for (const call of shelf.services.calls.slice(before)) call.answer(order);
    return output.last.data;
  };
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(asked({ a: true }), { ordersGetOrder: { express: true } });
    assert.deepEqual(asked({ a: false }), { ordersGetOrder: { id: 'i' } });
    assert.deepEqual(asked({ a: true, b: true }), {
      ordersGetOrder: { customer: 'c', express: true },
      other: { id: 'i' },
    });
  }
});

test('introspection and calls in one document', () => {
  const shelf = new Shelf();
  const { output } = shelf.start(
    '{ __schema { queryType { name } } ordersGetOrder(id: "1") { id } __type(name: "Card") { name } }',
  );
  shelf.services.calls[0]!.answer({ id: 'x' });
  assert.deepEqual(output.last, {
    data: { __schema: { queryType: { name: 'Query' } }, ordersGetOrder: { id: 'x' }, __type: { name: 'Card' } },
  });
});

// ---- the compiled plan writes what graphql-js would -----------------------------------------------------------------

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('"', '\\', '\u2028', '\ud800', 'x'.repeat(300)));
/** Now and then what the schema does not allow. */
const odd = fc.constantFrom(
  null,
  undefined,
  Number.NaN,
  INFINITY,
  -0,
  'x',
  5,
  1.5,
  {},
  [],
  true,
  7n,
  new Date(Number.NaN),
);
const mostly = <Value>(value: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 12, arbitrary: value as fc.Arbitrary<unknown> }, odd);

const item = fc.record({
  sku: mostly(text),
  quantity: mostly(fc.integer()),
  unitPrice: mostly(fc.double()),
  colour: mostly(fc.constantFrom('RED', 'GREEN', 'MAUVE')),
});

const everything = fc.record(
  {
    flag: mostly(fc.boolean()),
    small: mostly(fc.integer({ min: -(2 ** 32), max: 2 ** 32 })),
    natural: mostly(fc.integer({ min: -1, max: 2 ** 33 })),
    large: mostly(fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n })),
    largeNatural: mostly(fc.bigInt({ min: -1n, max: 2n ** 65n })),
    real: mostly(fc.double()),
    text: mostly(text),
    raw: mostly(fc.uint8Array()),
    moment: mostly(fc.date()),
    span: mostly(fc.double({ min: -1e9, max: 1e9 })),
    whatever: mostly(fc.jsonValue()),
    colour: mostly(fc.constantFrom('RED', 'COLOUR_NONE')),
    nothing: mostly(fc.constant({})),
    item: mostly(item),
    maybeLarge: mostly(fc.bigInt({ min: 0n, max: 9n })),
    texts: mostly(fc.array(mostly(text))),
    items: mostly(fc.array(mostly(item))),
    textByName: mostly(fc.dictionary(fc.string(), mostly(text), { noNullPrototype: true })),
    itemByName: mostly(fc.dictionary(fc.string(), mostly(item), { noNullPrototype: true })),
  },
  { requiredKeys: [] },
);

const ITEM = '{ sku a: quantity unitPrice colour __typename }';
const LEAVES = `flag small natural large largeNatural real text raw moment span whatever colour nothing maybeLarge texts
  presetSmall textByName { key value }`;
const DOCUMENTS = [
  LEAVES,
  `item ${ITEM} items ${ITEM} itemByName { key value ${ITEM} }`,
  'text',
  'item { sku }',
  'texts items { sku }',
];

test('property: the plan writes what graphql-js would, with all errors and all that null spoils (§6.4.4)', () => {
  const shelf = new Shelf();
  const given = `flag: true small: 1 natural: 1 large: 1 largeNatural: 1 single: 1 real: 1 text: "" raw: "" span: "1s" colour: RED
    moment: "2026-01-01T00:00:00Z" flags: [] smalls: [] larges: [] reals: [] texts: [] raws: [] moments: [] colours: [] items: []
    textByName: [] largeByName: [] itemByName: []`;
  fc.assert(
    fc.property(fc.constantFrom(...DOCUMENTS), mostly(everything), mostly(everything), (fields, one, two) => {
      const query = `{ one: ordersEchoEverything(${given}) { ${fields} } two: ordersEchoEverything(${given}) { ${fields} } }`;
      const before = shelf.services.calls.length;
      const { output } = shelf.start(query);
      for (const [index, call] of shelf.services.calls.slice(before).entries()) call.answer(index === 0 ? one : two);
      const expected = execute({
        schema: shelf.engine.api.schema,
        document: parse(query),
        rootValue: { one: () => one, two: () => two },
      }) as { data?: unknown; errors?: readonly { message: string; path?: unknown }[] };
      const { data, errors = [] } = output.last as { data: unknown; errors?: { message: string; path: unknown }[] };
      assert.deepEqual(data, JSON.parse(JSON.stringify(expected.data)));
      assert.deepEqual(
        errors.map(({ message, path }) => [message, path]),
        (expected.errors ?? []).map(({ message, path }) => [message, path]),
      );
      assert.ok(output instanceof Written && output.ended === 1);
    }),
    { numRuns: 400 },
  );
});
