// Header compression: the examples of RFC 7541 Appendix C, whole, and what must be refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BAD } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import { HeaderReader } from './header-reader.ts';
import { HeaderWriter } from './header-writer.ts';
import { STATIC_LENGTH } from './static-table.ts';

const BOUNDS = { tableBytesMax: 4_096, headBytesMax: 100_000, fieldsMax: 1_000 };

function read(reader: HeaderReader, hex: string): string[] | null {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return reader.read(bytes, 0, bytes.length) === BAD ? null : reader.list;
}

function tableOf({ table }: HeaderReader): string[] {
  return Array.from({ length: table.length }, (_, at) => {
    const n = table.added - 1 - at;
    return `${table.nameOf(n)}: ${table.valueOf(n)}`;
  });
}

test('single fields (RFC 7541 §C.2)', () => {
  const one = (hex: string) => {
    const reader = new HeaderReader(BOUNDS);
    return [read(reader, hex), tableOf(reader), reader.table.size];
  };
  assert.deepEqual(one('400a637573746f6d2d6b65790d637573746f6d2d686561646572'), [
    ['custom-key', 'custom-header'],
    ['custom-key: custom-header'],
    55,
  ]);
  assert.deepEqual(one('040c2f73616d706c652f70617468'), [[':path', '/sample/path'], [], 0]);
  assert.deepEqual(one('100870617373776f726406736563726574'), [['password', 'secret'], [], 0]);
  assert.deepEqual(one('82'), [[':method', 'GET'], [], 0]);
});

const REQUESTS: [fields: string[], table: string[], size: number][] = [
  [
    [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
    [':authority: www.example.com'],
    57,
  ],
  [
    [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com', 'cache-control', 'no-cache'],
    ['cache-control: no-cache', ':authority: www.example.com'],
    110,
  ],
  [
    [
      ...[':method', 'GET', ':scheme', 'https', ':path', '/index.html', ':authority', 'www.example.com'],
      ...['custom-key', 'custom-value'],
    ],
    ['custom-key: custom-value', 'cache-control: no-cache', ':authority: www.example.com'],
    164,
  ],
];

for (const [clause, blocks] of Object.entries({
  'C.3': [
    '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
    '8286 84be 5808 6e6f 2d63 6163 6865',
    '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
  ],
  'C.4': [
    '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
    '8286 84be 5886 a8eb 1064 9cbf',
    '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
  ],
})) {
  test(`requests on one connection (RFC 7541 §${clause})`, () => {
    const reader = new HeaderReader(BOUNDS);
    for (const [at, [fields, table, size]] of REQUESTS.entries()) {
      assert.deepEqual(read(reader, blocks[at]!), fields);
      assert.deepEqual(tableOf(reader), table);
      assert.equal(reader.table.size, size);
    }
  });
}

const DATE = 'Mon, 21 Oct 2013 20:13:21 GMT';
const LATER = 'Mon, 21 Oct 2013 20:13:22 GMT';
const SITE = 'https://www.example.com';
const COOKIE = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
const RESPONSES: [fields: string[], table: string[], size: number][] = [
  [
    [':status', '302', 'cache-control', 'private', 'date', DATE, 'location', SITE],
    [`location: ${SITE}`, `date: ${DATE}`, 'cache-control: private', ':status: 302'],
    222,
  ],
  [
    [':status', '307', 'cache-control', 'private', 'date', DATE, 'location', SITE],
    [':status: 307', `location: ${SITE}`, `date: ${DATE}`, 'cache-control: private'],
    222,
  ],
  [
    [
      ...[':status', '200', 'cache-control', 'private', 'date', LATER, 'location', SITE],
      ...['content-encoding', 'gzip', 'set-cookie', COOKIE],
    ],
    [`set-cookie: ${COOKIE}`, 'content-encoding: gzip', `date: ${LATER}`],
    215,
  ],
];

for (const [clause, blocks] of Object.entries({
  'C.5': [
    '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
    '4803 3330 37c1 c0bf',
    '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
  ],
  'C.6': [
    '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
    '4883 640e ffc1 c0bf',
    '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
  ],
})) {
  test(`answers on one connection, with eviction from 256 bytes (RFC 7541 §${clause})`, () => {
    const reader = new HeaderReader(BOUNDS);
    reader.table.resize(256);
    for (const [at, [fields, table, size]] of RESPONSES.entries()) {
      assert.deepEqual(read(reader, blocks[at]!), fields);
      assert.deepEqual(tableOf(reader), table);
      assert.equal(reader.table.size, size);
    }
  });
}

test('integers (RFC 7541 §C.1, §5.1)', () => {
  // 10 and 1337 in a 5-bit prefix, as sizes of the table; 42 in 8 bits is a length.
  const reader = new HeaderReader(BOUNDS);
  assert.deepEqual(read(reader, '2a'), []);
  assert.equal(reader.table.sizeMax, 10);
  assert.deepEqual(read(reader, '3f9a0a'), []);
  assert.equal(reader.table.sizeMax, 1_337);
  // As long as it likes, but not beyond what anything here is.
  for (const hex of ['3fffffffffff01', '3fffffffff7f', 'ffffffffffffffffff7f', '7fffffffffff7f', '3f8080808080808001'])
    assert.equal(read(new HeaderReader(BOUNDS), hex), null, hex);
});

test('what makes the table untrue is refused', () => {
  const refused: Record<string, string> = {
    'index 0 (§6.1)': '80',
    'an index beyond both tables (§2.3.3)': 'be',
    'the same for a name': '7f00',
    'the same, far beyond': 'ffff7f',
    'a string beyond the block (§5.2)': '400a6375',
    'a value that is not there': '82400163',
    'an integer that is not ended': 'ff',
    'EOS in a string (§5.2)': '4001788 4ffffffff'.replaceAll(' ', ''),
    'padding of 8 bits (§5.2)': '40017882f8ff'.replace('82f8ff', '83f8ffff'),
    'padding of zeros (§5.2)': '4001788100',
    'a table larger than was allowed (§6.3)': '3fe21f',
    'a change of its size behind a field (§4.2)': '8220',
  };
  for (const [what, hex] of Object.entries(refused)) assert.equal(read(new HeaderReader(BOUNDS), hex), null, what);
  assert.deepEqual(read(new HeaderReader(BOUNDS), '3fe11f'), []);
});

test('an entry larger than the table empties it (RFC 7541 §4.4)', () => {
  const reader = new HeaderReader(BOUNDS);
  read(reader, '400a637573746f6d2d6b65790d637573746f6d2d686561646572');
  read(reader, `25400178${'0a'}${'61'.repeat(10)}`);
  assert.equal(reader.table.length, 0);
  assert.equal(reader.table.size, 0);
});

test('an entry may be added by the name of the one that it pushes out (RFC 7541 §4.4)', () => {
  const reader = new HeaderReader({ ...BOUNDS, tableBytesMax: 64 });
  read(reader, `40056e616d6531${'0178'}`);
  assert.deepEqual(read(reader, `7e${'1a'}${'79'.repeat(26)}`), ['name1', 'y'.repeat(26)]);
  assert.deepEqual(tableOf(reader), [`name1: ${'y'.repeat(26)}`]);
});

test('fields beyond the bound are read and not kept', () => {
  const reader = new HeaderReader({ ...BOUNDS, headBytesMax: 200, fieldsMax: 3 });
  assert.equal(read(reader, '82868441018240 0178 0179'.replaceAll(' ', ''))?.length, 6);
  assert.equal(reader.tooLarge, true);
  assert.equal(tableOf(reader)[0], 'x: y');
  read(reader, '82');
  assert.equal(reader.tooLarge, false);
});

test('a name or value that cannot be one is found wherever it is referred to (RFC 9113 §8.2.1)', () => {
  const broken: Record<string, string> = {
    'an upper-case name': '40015801 79',
    'an empty name': '400001 79',
    'a space in a name': '4002782001 79',
    'a colon within a name': '4003783a7901 79',
    'a name of a colon alone': '40013a0179',
    'NUL in a value': '4001780100',
    'CR in a value': '40017803610d62',
    'LF in a value': '40017803610a62',
    'a space before a value': '400178022061',
    'a tab behind a value': '400178026109',
  };
  for (const [what, hex] of Object.entries(broken)) {
    const reader = new HeaderReader(BOUNDS);
    assert.notEqual(read(reader, hex), null, what);
    assert.equal(reader.broken, true, what);
    read(reader, '82');
    assert.equal(reader.broken, false, what);
    read(reader, 'be');
    assert.equal(reader.broken, true, `${what}, from the table`);
  }
});

test('values are UTF-8 where they are', () => {
  assert.deepEqual(read(new HeaderReader(BOUNDS), '40017802c3a4'), ['x', 'ä']);
  assert.deepEqual(read(new HeaderReader(BOUNDS), '40017801e4'), ['x', 'ä']);
});

// ---- what we write -------------------------------------------------------------------------------------------------

function written(writer: HeaderWriter, list: readonly string[]): Buffer {
  const out = new ByteWriter(1_000_000);
  writer.begin(out);
  for (let at = 0; at < list.length; at += 2) writer.field(out, list[at]!, list[at + 1]!);
  return Buffer.from(out.bytes.subarray(0, out.length));
}

test('what comes again takes a byte, and what is secret is never put into the table (RFC 7541 §7.1.3)', () => {
  const writer = new HeaderWriter();
  const fields = [':status', '200', 'content-type', 'text/plain', 'etag', '"1"', 'server', 'Portico'];
  written(writer, fields);
  written(writer, fields);
  assert.equal(written(writer, fields).length, 4);
  for (let round = 0; round < 3; round++)
    assert.equal(written(writer, ['set-cookie', 'a=b'])[0], 0x1f, 'a literal that is never indexed');
  assert.ok(!Array.from({ length: writer.table.length }, (_, n) => writer.table.nameOf(n)).includes('set-cookie'));
});

test('a smaller table is told before the next block, and its least size with it (RFC 7541 §4.2)', () => {
  const writer = new HeaderWriter();
  const reader = new HeaderReader(BOUNDS);
  const fields = ['content-type', 'text/plain', 'server', 'Portico'];
  const through = (list: readonly string[]) => read(reader, written(writer, list).toString('hex'));
  assert.deepEqual(through(fields), fields);
  writer.allow(0);
  writer.allow(100);
  assert.equal(written(writer, []).toString('hex'), '203f45');
  writer.allow(0);
  assert.deepEqual(through(fields), fields);
  assert.equal(reader.table.sizeMax, 0);
  writer.allow(1_000_000);
  assert.deepEqual(through(fields), fields);
  assert.equal(reader.table.sizeMax, 4_096);
});

test('whatever is written is read again, block after block, while tables fill, empty and change', () => {
  const name = fc.constantFrom(':path', 'etag', 'cookie', 'content-type', 'x-a', 'x-b', 'vary', 'x-long');
  const value = fc.oneof(
    fc.constantFrom('', 'a', 'text/html', 'ä€', '0'.repeat(600), 'gzip'),
    fc.string({ unit: fc.constantFrom('a', 'B', '7', '-', '~'), maxLength: 40 }),
  );
  const block = fc.array(fc.tuple(name, value), { maxLength: 12 });
  fc.assert(
    fc.property(fc.array(fc.tuple(block, fc.option(fc.nat(5_000))), { maxLength: 30 }), (blocks) => {
      const writer = new HeaderWriter();
      const reader = new HeaderReader(BOUNDS);
      for (const [fields, allowed] of blocks) {
        if (allowed !== null) writer.allow(allowed);
        const list = fields.flat();
        const bytes = written(writer, list);
        assert.equal(reader.read(bytes, 0, bytes.length), bytes.length);
        assert.deepEqual(reader.list, list);
        assert.equal(reader.table.size, writer.table.size);
        assert.equal(reader.table.length, writer.table.length);
      }
    }),
    { numRuns: 300 },
  );
});

test('any bytes are read or refused, within the bounds', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (blocks) => {
      const reader = new HeaderReader({ ...BOUNDS, headBytesMax: 500, fieldsMax: 20 });
      for (const bytes of blocks) {
        if (reader.read(bytes, 0, bytes.length) === BAD) return;
        assert.ok(reader.table.size <= 4_096);
        assert.ok(reader.list.length <= 40);
      }
    }),
    { numRuns: 2_000 },
  );
  assert.equal(STATIC_LENGTH, 61);
});
