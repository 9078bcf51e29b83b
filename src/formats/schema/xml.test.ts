// Values through XML and back, for every type of the model.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isWritable } from '../xml/chars.ts';
import { START, XmlReader } from '../xml/reader.ts';
import type { Field, MessageType, ScalarName, Schema, Type } from './types.ts';
import { XmlTypes, type XmlTypesOptions, type XmlWriting } from './xml.ts';

const BOUNDS = { depthMax: 64, attributesMax: 16, namespacesMax: 16, nameBytesMax: 256, instructions: false };
const SCALARS: readonly ScalarName[] = [
  ...(['bool', 'int32', 'uint32', 'int64', 'uint64', 'float', 'double', 'string', 'bytes'] as const),
  ...(['timestamp', 'duration', 'any'] as const),
];

let number = 0;
function field(name: string, type: Type, more: Partial<Field> = {}): Field {
  return { name, protoName: name, number: ++number, type, many: 'one', optional: false, required: false, ...more };
}

const scalar = (name: ScalarName): Type => ({ kind: 'scalar', name });
const COLOUR = {
  kind: 'enum',
  name: 't.Colour',
  values: [
    { name: 'NONE', number: 0 },
    { name: 'RED', number: 1 },
  ],
} as const;
const NODE: MessageType = {
  kind: 'message',
  name: 't.Node',
  fields: [
    ...SCALARS.map((name) => field(name, scalar(name), { optional: name === 'any' || name === 'timestamp' })),
    ...SCALARS.map((name) => field(`${name}Maybe`, scalar(name), { optional: true })),
    ...SCALARS.map((name) => field(`${name}List`, scalar(name), { many: 'list' })),
    field('colour', { kind: 'named', name: 't.Colour' }),
    field('node', { kind: 'named', name: 't.Node' }, { optional: true }),
    field('nodes', { kind: 'named', name: 't.Node' }, { many: 'list' }),
    field('byText', scalar('string'), { many: 'map', mapKey: 'string' }),
    field('byLong', { kind: 'named', name: 't.Node' }, { many: 'map', mapKey: 'int64' }),
    field('left', scalar('string'), { optional: true, oneof: 'side' }),
    field('right', { kind: 'named', name: 't.Node' }, { optional: true, oneof: 'side' }),
  ],
};
const SCHEMA: Schema = {
  types: new Map<string, MessageType | typeof COLOUR>([
    [NODE.name, NODE],
    [COLOUR.name, COLOUR],
  ]),
};

const writing = (): XmlWriting => ({
  attachAt: Number.POSITIVE_INFINITY,
  attached: [],
  idOf: String,
  unwritable: null,
});

function written(value: unknown): string {
  const into = writing();
  const text = new XmlTypes(SCHEMA, { namespace: 'urn:t' }).message(NODE).write(value, into);
  assert.equal(into.unwritable, null);
  return `<r xmlns="urn:t">${text}</r>`;
}

function read(document: string, options: Partial<XmlTypesOptions> = {}): unknown {
  const reader = new XmlReader(BOUNDS);
  reader.begin(Buffer.from(document));
  assert.equal(reader.child(), START);
  const value = new XmlTypes(SCHEMA, { namespace: 'urn:t', ...options }).message(NODE).read(reader, null);
  if (reader.stopped) return `${reader.path}: ${reader.fault?.name ?? reader.problem}`;
  assert.ok(reader.finish());
  return value;
}

const ofText = fc.string({ unit: 'grapheme' }).filter(isWritable);
const JSON_VALUE = fc.jsonValue().filter((value) => isWritable(JSON.stringify(value)));
const OF: Readonly<Record<ScalarName, fc.Arbitrary<unknown>>> = {
  bool: fc.boolean(),
  int32: fc.integer(),
  uint32: fc.nat(0xffff_ffff),
  int64: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  uint64: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  float: fc.float().map((value) => (Object.is(value, -0) ? 0 : value)),
  double: fc.double().map((value) => (Object.is(value, -0) ? 0 : value)),
  string: ofText,
  bytes: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  timestamp: fc.date({
    min: new Date('0001-01-01T00:00:00Z'),
    max: new Date('+012000-01-01T00:00:00Z'),
    noInvalidDate: true,
  }),
  duration: fc.oneof(
    fc.integer(),
    fc.double({ min: -1e14, max: 1e14, noNaN: true }).map((value) => Math.round(value * 1e3) / 1e3 || 0),
  ),
  any: JSON_VALUE.map((value) => JSON.parse(JSON.stringify(value)) as unknown),
};

function valuesTo(depth: number): fc.Arbitrary<Record<string, unknown>> {
  const shape: Record<string, fc.Arbitrary<unknown>> = { colour: fc.constantFrom('NONE', 'RED', 7) };
  const optional: string[] = ['node', 'side', 'any', 'timestamp'];
  for (const name of SCALARS) {
    shape[name] = OF[name];
    shape[`${name}Maybe`] = OF[name];
    optional.push(`${name}Maybe`);
    shape[`${name}List`] = fc.array(OF[name], { maxLength: 3 });
  }
  const child = depth === 0 ? fc.constant(read('<r/>')) : valuesTo(depth - 1);
  shape.node = child;
  shape.nodes = fc.array(child, { maxLength: 2 });
  shape.byText = fc.dictionary(ofText, ofText, { noNullPrototype: true });
  shape.byLong = fc.dictionary(fc.bigInt({ min: -(1n << 63n), max: 0n }).map(String), child, {
    maxKeys: 2,
    noNullPrototype: true,
  });
  shape.side = fc.oneof(
    ofText.map((left) => ({ left })),
    child.map((right) => ({ right })),
  );
  const requiredKeys = Object.keys(shape).filter((name) => !optional.includes(name));
  return fc.record(shape, { requiredKeys }).map(({ side, ...rest }) => ({ ...rest, ...(side as object | undefined) }));
}

test('any value comes back as it was', () => {
  fc.assert(
    fc.property(valuesTo(1), (value) => {
      assert.deepEqual(read(written(value)), value);
    }),
    { numRuns: 200 },
  );
});

test('what is absent is its default, where it has no presence', () => {
  const value = read('<r/>') as Record<string, unknown>;
  assert.deepEqual(
    [value.bool, value.int32, value.int64, value.string, value.bytes, value.colour, value.stringList, value.byText],
    [false, 0, 0n, '', Buffer.alloc(0), 'NONE', [], {}],
  );
  assert.ok(!('stringMaybe' in value) && !('node' in value) && !('left' in value));
  assert.deepEqual(
    read('<r xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><string i:nil="true"/><node i:nil="1"/></r>'),
    value,
  );
});

test('the forms of XML Schema Part 2', () => {
  const one = (name: string, text: string) => {
    const value = read(`<r><${name}>${text}</${name}></r>`);
    return typeof value === 'string' ? value : (value as Record<string, unknown>)[name];
  };
  for (const [name, text, value] of [
    ['bool', ' 1\n', true],
    ['int32', '+0007', 7],
    ['int32', ' -12 ', -12],
    ['int32', '<![CDATA[5]]>', 5],
    ['int32', '2147483648', 'int32: is no whole number of 32 bits'],
    ['int32', '1.0', 'int32: is no whole number of 32 bits'],
    ['int32', '', 'int32: is no whole number of 32 bits'],
    ['int32', '-', 'int32: is no whole number of 32 bits'],
    ['int32', '9'.repeat(1_000), 'int32: is too long'],
    ['uint32', '-1', 'uint32: is no whole number from 0 up of 32 bits'],
    ['int64', '-9223372036854775808', -(1n << 63n)],
    ['int64', '9223372036854775808', 'int64: is no whole number of 64 bits'],
    ['double', '-INF', Number.NEGATIVE_INFINITY],
    ['double', 'NaN', Number.NaN],
    ['double', '.5e-3', 0.0005],
    ['double', '0x10', 'double: is no number'],
    ['double', 'Infinity', 'double: is no number'],
    ['string', ' a ', ' a '],
    ['bytes', 'AA EC\n', Buffer.of(0, 1, 2)],
    ['bytes', 'AAE=', Buffer.of(0, 1)],
    ['bytes', 'AAE', 'bytes: is no base64'],
    ['bytes', 'A=AA', 'bytes: is no base64'],
    ['bytes', '_-AA', 'bytes: is no base64'],
    ['timestamp', '2026-01-02T03:04:05.678901+02:00', new Date('2026-01-02T01:04:05.678Z')],
    ['timestamp', '2026-01-02T24:00:00', new Date('2026-01-03T00:00:00Z')],
    ['timestamp', '2026-02-30T00:00:00Z', 'timestamp: is no date and time'],
    ['timestamp', '2026-01-02', 'timestamp: is no date and time'],
    ['duration', 'P1DT2H3M4.5S', 93_784_500],
    ['duration', '-PT1S', -1_000],
    ['duration', 'P1M', 'duration: is no duration in days, hours, minutes and seconds'],
    ['duration', 'P', 'duration: is no duration in days, hours, minutes and seconds'],
    ['any', '{"a":[1,null]}', { a: [1, null] }],
    ['any', '{a}', 'any: is no JSON'],
    ['colour', ' RED ', 'RED'],
    ['colour', '1', 'RED'],
    ['colour', 'BLUE', 'colour: is none of NONE, RED'],
  ] as const)
    assert.deepEqual(one(name, text), value, `${name} ${text}`);
});

test('what an element cannot have is told with its place', () => {
  assert.equal(
    read('<r><nodes/><nodes><node><int32>x</int32></node></nodes></r>'),
    'nodes[1].node.int32: is no whole number of 32 bits',
  );
  assert.equal(read('<r><string>a</string><string>b</string></r>'), 'string: is there twice');
  assert.equal(read('<r><left>a</left><right/></r>'), 'right: cannot stand beside left');
  assert.equal(read('<r><shoe/></r>'), ': has no element shoe');
  assert.equal(read('<r><string xmlns="urn:else">a</string></r>'), ': has no element {urn:else}string');
  assert.equal(read('<r><byText><key>a</key></byText></r>'), 'byText: has an entry without a key or a value');
  assert.equal(
    read('<r><byText><key>a</key><value>1</value></byText><byText><key>a</key><value>2</value></byText></r>'),
    'byText: has the key a twice',
  );
  assert.equal(read('<r><string><b/></string></r>'), 'string: has an element b where only text may be');
  assert.equal(read('<r>text</r>'), ': mixed');
});

test('a key that JavaScript would take for something else is a key', () => {
  const value = read('<r><byText><key>__proto__</key><value>x</value></byText></r>') as { byText: object };
  assert.deepEqual(Object.entries(value.byText), [['__proto__', 'x']]);
});

test('of a service that has grown, what is new is passed over', () => {
  const value = read('<r><new><er/></new><string>a</string></r>', { lenient: true }) as { string: string };
  assert.equal(value.string, 'a');
});

test('what XML cannot have is told with its place', () => {
  const into = writing();
  new XmlTypes(SCHEMA, { namespace: '' }).message(NODE).write({ nodes: [{}, { byText: { a: '\0' } }] }, into);
  assert.equal(into.unwritable, 'nodes[1].byText.a');
});
