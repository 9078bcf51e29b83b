import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MORE } from '../../../bytes/reader.ts';
import { ByteWriter } from '../../../bytes/writer.ts';
import { FieldReader } from './field-reader.ts';
import { FieldWriter } from './field-writer.ts';
import { STATIC_NAMES, STATIC_VALUES } from './static-table.ts';

const BOUNDS = { tableBytesMax: 220, headBytesMax: 65_536, fieldsMax: 100 };

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

function instruct(reader: FieldReader, text: string): void {
  const bytes = hex(text);
  assert.equal(reader.instructions(bytes, 0, bytes.length), bytes.length);
}

function read(reader: FieldReader, bytes: Buffer): readonly string[] | number {
  const end = reader.read(bytes, 0, bytes.length);
  return end === bytes.length ? reader.list : end;
}

function entries({ table }: FieldReader): string[] {
  return Array.from({ length: table.length }, (_, at) => {
    const number = table.added - table.length + at;
    return `${table.nameOf(number)}: ${table.valueOf(number)}`;
  });
}

test('the static table has 99 entries, of which some are known by heart (RFC 9204 Appendix A)', () => {
  assert.equal(STATIC_NAMES.length, 99);
  const rows: [number, string, string][] = [
    [0, ':authority', ''],
    [1, ':path', '/'],
    [17, ':method', 'GET'],
    [25, ':status', '200'],
    [52, 'content-type', 'text/html; charset=utf-8'],
    [63, ':status', '100'],
    [71, ':status', '500'],
    [98, 'x-frame-options', 'sameorigin'],
  ];
  for (const [at, name, value] of rows) assert.deepEqual([STATIC_NAMES[at], STATIC_VALUES[at]], [name, value]);
});

test('the conversation of the standard, section by section (RFC 9204 §B.1 to §B.5)', () => {
  const reader = new FieldReader(BOUNDS);
  // §B.1: a literal field line with a static name.
  assert.deepEqual(read(reader, hex('0000 510b 2f69 6e64 6578 2e68 746d 6c')), [':path', '/index.html']);
  assert.equal(reader.required, 0);
  // §B.2: two insertions, and a section that refers to both; it waits until they are here.
  const second = hex('0381 1011');
  assert.equal(read(reader, second), MORE);
  assert.equal(reader.required, 2);
  instruct(reader, '3fbd01 c00f 7777 772e 6578 616d 706c 652e 636f 6d c10c 2f73 616d 706c 652f 7061 7468');
  assert.equal(reader.table.sizeMax, 220);
  assert.equal(reader.table.size, 106);
  assert.deepEqual(read(reader, second), [':authority', 'www.example.com', ':path', '/sample/path']);
  // §B.3: speculative insertion.
  instruct(reader, '4a63 7573 746f 6d2d 6b65 790c 6375 7374 6f6d 2d76 616c 7565');
  assert.equal(reader.table.size, 160);
  // §B.4: duplicate, and a section that was sent before it came.
  const fourth = hex('0500 80 c1 81');
  assert.equal(read(reader, fourth), MORE);
  instruct(reader, '02');
  assert.equal(reader.table.size, 217);
  assert.deepEqual(read(reader, fourth), [':authority', 'www.example.com', ':path', '/', 'custom-key', 'custom-value']);
  // §B.5: an insertion that pushes the oldest entry out.
  instruct(reader, '810d 6375 7374 6f6d 2d76 616c 7565 32');
  assert.equal(reader.table.size, 215);
  assert.deepEqual(entries(reader), [
    ':path: /sample/path',
    'custom-key: custom-value',
    ':authority: www.example.com',
    'custom-key: custom-value2',
  ]);
});

test('instructions that cannot be followed are refused (RFC 9204 §2.2, §3.2, §4.3)', () => {
  const rows: [string, string][] = [
    ['a capacity above ours', '3fbe01'],
    ['a static name that is not there', '3fbd01 ff24 00'],
    ['a dynamic name that is not there', '3fbd01 80 00'],
    ['a duplicate of nothing', '3fbd01 00'],
    ['an entry without a table', 'c0 01 61'],
    ['an entry larger than the table', '21 c0 0f 7777 772e 6578 616d 706c 652e 636f 6d'],
    ['a string that is far too long', '3fbd01 c0 7fff ffff 7f'],
    ['an integer without an end', '3fffffffffffffffffffffff'],
    ['a string that is no Huffman code', '3fbd01 c0 81 ff'],
  ];
  for (const [what, text] of rows) {
    const reader = new FieldReader(BOUNDS);
    const bytes = hex(text);
    const at = reader.instructions(bytes, 0, bytes.length);
    assert.equal(at, -2, what);
  }
});

test('sections that cannot be read are refused (RFC 9204 §2.2.1, §4.5)', () => {
  const rows: [string, string][] = [
    ['nothing at all', ''],
    ['half a prefix', '00'],
    ['a static entry that is not there', '0000 ff24'],
    ['a dynamic entry in a section that needs none', '0000 80'],
    ['an entry at or above what it needs', '0200 10'],
    ['an entry that is not there any more', '0200 81'],
    ['a base below nothing', '0281 80'],
    ['a count beyond twice the table', '0d00 80'],
    ['a line that ends within', '0000 51'],
    ['a string that ends within', '0000 5105 61'],
  ];
  for (const [what, text] of rows) {
    const reader = new FieldReader(BOUNDS);
    instruct(reader, '3fbd01 c0 01 61 c0 01 62');
    const bytes = hex(text);
    assert.equal(reader.read(bytes, 0, bytes.length), -2, what);
  }
});

const NAMES = fc.constantFrom(':path', 'date', 'etag', 'x-a', 'x-b', 'cookie', 'content-type', 'server', 'vary');
const VALUES = fc.oneof(
  fc.constantFrom('', '/', 'a', 'b', 'text/css', 'ü', 'a longer value that is said again'),
  fc.string({ unit: fc.constantFrom(...'abc=-0'), maxLength: 60 }),
);
const LIST = fc.array(fc.tuple(NAMES, VALUES), { maxLength: 8 });

interface Sent {
  readonly stream: number;
  readonly bytes: Buffer;
  readonly list: readonly string[];
  readonly required: number;
}

/** A peer that hears instructions late and cut, sections in any order, and says what it read late, too. */
function converse(
  lists: (readonly (readonly [string, string])[])[],
  table: number,
  blocked: number,
  chance: () => number,
): void {
  const writer = new FieldWriter();
  const reader = new FieldReader({ ...BOUNDS, tableBytesMax: table });
  writer.allow(table, blocked);
  let wire: Buffer = Buffer.alloc(0);
  let told = 0;
  const open: Sent[] = [];
  const later: (() => void)[] = [];
  const fill = (most: number) => {
    const { instructions } = writer;
    wire = Buffer.concat([wire, instructions.bytes.subarray(0, instructions.length)]);
    instructions.clear();
    const at = reader.instructions(wire, 0, Math.min(most, wire.length));
    assert.ok(at >= 0, 'the decoder refuses an instruction');
    wire = wire.subarray(at);
    const more = reader.table.added - told;
    told = reader.table.added;
    if (more > 0) later.push(() => assert.ok(writer.increment(more)));
  };
  const readOne = () => {
    const at = open.findIndex((sent) => sent.required <= reader.table.added);
    if (at < 0) return;
    const [sent] = open.splice(at, 1);
    assert.deepEqual(read(reader, sent!.bytes), sent!.list);
    assert.equal(reader.required, sent!.required);
    if (sent!.required === 0) return;
    told = Math.max(told, sent!.required);
    if (chance() < 0.2) later.push(() => writer.cancelled(sent!.stream));
    else later.push(() => assert.ok(writer.acknowledged(sent!.stream)));
  };
  for (const [index, list] of lists.entries()) {
    const out = new ByteWriter(100_000);
    const lines = writer.begin();
    for (const [name, value] of list) writer.field(lines, name, value);
    writer.end();
    writer.copyTo(out);
    writer.sent(index * 4, writer.required, writer.least);
    const bytes = Buffer.from(out.bytes.subarray(0, out.length));
    open.push({ stream: index * 4, bytes, list: list.flat(), required: writer.required });
    const waits = open.filter(({ required }) => required > reader.table.added).length;
    assert.ok(waits <= blocked, `${waits} streams wait, of ${blocked}`);
    if (chance() < 0.5) fill(Math.floor(chance() * 200));
    if (chance() < 0.5) readOne();
    if (chance() < 0.5) later.shift()?.();
  }
  fill(Number.POSITIVE_INFINITY);
  while (open.length > 0) readOne();
  for (const step of later) step();
}

test('what was written is read, however late the table and what is said of it come', () => {
  fc.assert(
    fc.property(
      fc.array(LIST, { maxLength: 60 }),
      fc.constantFrom(0, 64, 220, 400, 4_096),
      fc.constantFrom(0, 1, 3, 100),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      (lists, table, blocked, numbers) => converse(lists, table, blocked, () => numbers.next().value),
    ),
    { numRuns: 300 },
  );
});

test('what comes again is one byte, once it is known to be there', () => {
  const writer = new FieldWriter();
  writer.allow(4_096, 0);
  const write = () => {
    const lines = writer.begin();
    writer.status(lines, 200);
    writer.field(lines, 'server', 'Portico');
    writer.field(lines, 'content-type', 'application/x-thing');
    return writer.end();
  };
  const first = write();
  assert.ok(first > 20);
  assert.equal(writer.table.added, 2);
  assert.equal(write(), first, 'nothing is referred to that may not have come');
  assert.ok(writer.increment(2));
  assert.equal(write(), 5);
  assert.equal(writer.increment(1), false);
  assert.equal(writer.acknowledged(4), false);
});

test('what is secret is never put into the table (RFC 9204 §7.1.3)', () => {
  const writer = new FieldWriter();
  writer.allow(4_096, 10);
  for (let round = 0; round < 3; round++) {
    const lines = writer.begin();
    writer.field(lines, 'authorization', 'Bearer abc');
    writer.field(lines, 'set-cookie', 'a=b');
    writer.end();
  }
  assert.equal(writer.table.added, 0);
});

test('any bytes neither throw nor hang', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 200 }), (one, two) => {
      const reader = new FieldReader(BOUNDS);
      instruct(reader, '3fbd01');
      const at = reader.instructions(one, 0, one.length);
      assert.ok(at >= -2 && at <= one.length);
      assert.ok(reader.table.size <= 220);
      const end = reader.read(two, 0, two.length);
      assert.ok(end < 0 || end === two.length);
    }),
    { numRuns: 5_000 },
  );
});
