// Protobuf's wire against its documents, and against protobufjs and @bufbuild/protobuf reading and writing the same types.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFileRegistry, type DescMessage, fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import { type FileDescriptorSet, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import protobufjs from 'protobufjs';
import { ByteWriter } from '../../bytes/writer.ts';
import { describe } from '../../resources/services/define.ts';
import { shopService } from '../../resources/services/testing/shop.ts';
import { descriptorBytes, descriptorSetBytes } from './descriptor.ts';
import { googleFile, type ProtoFile, protoFiles } from './proto-files.ts';
import { protoText } from './proto-text.ts';
import { protobufOf } from './protobuf.ts';
import { messageOf, writtenSchema } from './protobuf-google.ts';
import type { Field, MessageType, Schema } from './types.ts';

const { service } = describe(shopService() as never);
const EVERYTHING = messageOf(service.schema, 'shop.v1.Everything');
const codec = protobufOf(service.schema, EVERYTHING);

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

const SMALL = writtenSchema({
  'test.Colour': { NONE: 0, RED: 1, MINUS: -1 },
  'test.Small': {
    a: '1 int32',
    b: '2 string',
    c: '3 test.Small',
    d: '4 list int32',
    e: '5 list string',
    f: '6 map string int32',
    g: '7 string in one',
    h: '8 test.Small in one',
    i: '9 optional int32',
    j: '10 sint32',
    k: '11 sint64',
    l: '12 fixed32',
    m: '13 fixed64',
    n: '14 sfixed32',
    o: '15 sfixed64',
    p: '16 float',
    q: '17 double',
    r: '18 bool',
    s: '19 bytes',
    t: '20 int64',
    u: '21 uint64',
    v: '22 test.Colour',
    w: '23 google.protobuf.Value',
    x: '24 google.protobuf.Timestamp',
    y: '25 google.protobuf.Duration',
    z: '26 list sfixed64',
  },
});
const SMALL_TYPE = messageOf(SMALL, 'test.Small');
const small = protobufOf(SMALL, SMALL_TYPE);

function read(bytes: Buffer): Record<string, unknown> {
  const value = small.read(bytes, 0, bytes.length);
  assert.ok(value !== undefined, small.fault);
  return value;
}

function refused(bytes: Buffer): string {
  assert.equal(small.read(bytes, 0, bytes.length), undefined);
  return small.fault;
}

test('the examples of the encoding page', () => {
  assert.equal(read(hex('08 96 01')).a, 150);
  assert.equal(read(hex('12 07 74 65 73 74 69 6e 67')).b, 'testing');
  assert.deepEqual((read(hex('1a 03 08 96 01')).c as { a: number }).a, 150);
  assert.deepEqual(read(hex('22 06 03 8e 02 9e a7 05')).d, [3, 270, 86942]);
  assert.deepEqual(small.bytesOf({ d: [3, 270, 86942] }), hex('22 06 03 8e 02 9e a7 05'));
  assert.deepEqual(small.bytesOf({ a: -2 }), hex('08 fe ff ff ff ff ff ff ff ff 01'));
});

test('lists are read packed and not, also in pieces (Encoding, Packed Repeated Fields)', () => {
  assert.deepEqual(read(hex('20 01 22 02 02 03 20 04')).d, [1, 2, 3, 4]);
});

test('the last value stands, messages are merged, the last of a oneof stands (Encoding, Last One Wins)', () => {
  assert.equal(read(hex('08 01 08 02')).a, 2);
  const { c } = read(hex('1a 02 08 05 1a 03 12 01 78'));
  assert.deepEqual([(c as { a: number }).a, (c as { b: string }).b], [5, 'x']);
  const one = read(hex('3a 01 78 42 02 08 01'));
  assert.equal('g' in one, false);
  assert.equal((one.h as { a: number }).a, 1);
  assert.equal('h' in read(hex('42 02 08 01 3a 01 78')), false);
});

test('unknown fields, groups and other wire types are passed over', () => {
  // Fields 100 and up as each wire type, a group within a group, and field 1 as text.
  const bytes = hex(
    'a0 06 01 a1 06 0000000000000000 a2 06 01 41 a3 06 a8 06 01 b3 06 b4 06 a4 06 a5 06 00000000 0a 01 41',
  );
  assert.equal(read(bytes).a, 0);
});

test('what cannot be is refused, with words', () => {
  assert.match(refused(hex('08')), /ends in the middle/);
  assert.match(refused(hex('12 05 41')), /beyond its message/);
  assert.match(refused(hex('12 ff ff ff ff ff ff ff ff ff 01')), /beyond its message/);
  assert.match(refused(hex('08 ff ff ff ff ff ff ff ff ff ff 01')), /ten bytes/);
  assert.match(refused(hex('00 01')), /number that none can have/);
  assert.match(refused(hex('a4 06')), /group ends/);
  assert.match(refused(hex('a3 06 ac 06')), /group ends/);
  assert.match(refused(hex('a3 06')), /ends in the middle/);
  assert.match(refused(hex('0e')), /unknown wire type/);
  assert.match(refused(hex('12 02 c3 28')), /not UTF-8/);
  assert.match(refused(hex('12 03 ed a0 80')), /not UTF-8/);
  assert.equal(read(hex('12 03 ef bf bd')).b, '\ufffd');
  assert.match(refused(hex('65 00')), /ends in the middle/);
  assert.match(refused(hex('c2 01 08 08 ff ff ff ff ff ff 7f')), /years 1 and 9999/);
});

test('messages are nested as deeply as the bound says, and no deeper', () => {
  const nested = (levels: number) => {
    let bytes = Buffer.alloc(0);
    for (let level = 0; level < levels; level++) {
      const size = bytes.length;
      const length = size < 128 ? [size] : [(size & 0x7f) | 0x80, size >> 7];
      bytes = Buffer.concat([Buffer.from([0x1a, ...length]), bytes]);
    }
    return bytes;
  };
  const bounds = { depthMax: 50, valuesMax: 1_000 };
  const at = (levels: number) => small.read(nested(levels), 0, nested(levels).length, bounds);
  assert.ok(at(50) !== undefined);
  assert.equal(at(51), undefined);
  assert.match(small.fault, /too deeply/);
  const groups = Buffer.concat([Buffer.alloc(2 * 51, hex('a3 06')), Buffer.alloc(2 * 51, hex('a4 06'))]);
  assert.equal(small.read(groups, 0, groups.length, bounds), undefined);
  assert.match(small.fault, /too deeply/);
});

test('there are as many values as the bound says, and no more', () => {
  const bounds = { depthMax: 100, valuesMax: 10 };
  const of = (count: number) => Buffer.alloc(2 * count, hex('2a 00'));
  assert.ok(small.read(of(10), 0, 20, bounds) !== undefined);
  assert.equal(small.read(of(11), 0, 22, bounds), undefined);
  assert.match(small.fault, /too many/);
});

test('text of any length and any letters, with room and without', () => {
  const out = new ByteWriter(1_000_000);
  for (const size of [0, 1, 42, 43, 63, 64, 65, 100, 127, 128, 129, 1_000, 4_999, 5_000, 5_001, 20_000])
    for (const letter of ['a', 'ü', '☺'])
      for (const room of [0, 16, 100_000]) {
        const text = 'x'.repeat(size >> 1) + letter.repeat(size - (size >> 1));
        out.clear();
        out.ensure(room);
        small.write(out, { b: text });
        assert.deepEqual(
          Buffer.from(out.bytes.subarray(0, out.length)),
          size === 0
            ? Buffer.alloc(0)
            : Buffer.concat([hex('12'), lengthOf(Buffer.byteLength(text)), Buffer.from(text)]),
          `${size} ${letter} ${room}`,
        );
      }
});

function lengthOf(size: number): Buffer {
  const bytes: number[] = [];
  for (; size > 0x7f; size >>>= 7) bytes.push((size & 0x7f) | 0x80);
  return Buffer.from([...bytes, size]);
}

test('a key of a map that is __proto__ is a key', () => {
  const map = read(Buffer.concat([hex('32 0d 0a 09'), Buffer.from('__proto__'), hex('10 07')])).f as object;
  assert.deepEqual(Object.entries(map), [['__proto__', 7]]);
  assert.equal(Object.getPrototypeOf(map), Object.prototype);
});

test('values that do not fit are told with the field', () => {
  assert.throws(() => small.bytesOf({ a: 1.5 }), /^TypeError: a: 1.5 is no number of 32 bits/);
  assert.throws(() => small.bytesOf({ c: { b: 7 } }), /^TypeError: c: b: 7 is no text/);
  assert.throws(() => small.bytesOf({ t: 2n ** 63n }), /64 bits/);
  assert.throws(() => small.bytesOf({ u: -1n }), /64 bits/);
  assert.throws(() => small.bytesOf({ v: 'GREEN' }), /is no test.Colour/);
  assert.throws(() => small.bytesOf({ d: 'x' }), /d is a list/);
  const loop: Record<string, unknown> = {};
  loop.c = loop;
  assert.throws(() => small.bytesOf(loop), /too deeply/);
  assert.deepEqual(small.bytesOf({ a: 1 }), hex('08 01'));
});

// ---- other implementations -------------------------------------------------------------------------------------------

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const date = fc.date({ min: new Date(-62_135_596_800_000), max: new Date(253_402_300_799_999), noInvalidDate: true });

function fieldValue(schema: Schema, { type }: Field, depth: number): fc.Arbitrary<unknown> {
  if (type.kind === 'named') {
    const named = schema.types.get(type.name)!;
    if (named.kind === 'enum') return fc.constantFrom(...named.values.map(({ name }) => name));
    return messageValue(schema, named, depth - 1);
  }
  switch (type.name) {
    case 'bool':
      return fc.boolean();
    case 'int32':
      return fc.integer();
    case 'uint32':
      return fc.nat(0xffff_ffff);
    case 'int64':
      return int64;
    case 'uint64':
      return uint64;
    case 'float':
      return fc.float({ noNaN: true, noDefaultInfinity: true });
    case 'double':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'string':
      return fc.string({ unit: 'binary', maxLength: 200 }).filter((text) => text.isWellFormed());
    case 'bytes':
      return fc.uint8Array({ maxLength: 200 });
    case 'timestamp':
      return date;
    case 'duration':
      return fc.integer({ min: -1_000_000_000, max: 1_000_000_000 });
    case 'any':
      return fc.jsonValue({ maxDepth: 2 });
  }
}

function messageValue(schema: Schema, type: MessageType, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const shape: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fields) {
    const one = depth > 0 || field.type.kind === 'scalar' ? fieldValue(schema, field, depth) : null;
    if (one === null) continue;
    if (field.many === 'list') shape[field.name] = fc.array(one, { maxLength: 5 });
    else if (field.many === 'map')
      shape[field.name] = fc.dictionary(fc.string({ maxLength: 5 }), one, { maxKeys: 3, noNullPrototype: true });
    else shape[field.name] = field.optional ? fc.option(one, { nil: undefined }) : one;
  }
  return fc.record(shape).map((value) => {
    const taken = new Set<string>();
    for (const { name, oneof } of type.fields)
      if (oneof !== undefined && value[name] !== undefined) {
        if (taken.has(oneof)) delete value[name];
        taken.add(oneof);
      }
    return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
  });
}

const files = protoFiles([service]);
const texts = files.map((file) => [file.name, protoText(file)] as const);

test('what is written is read as it was', () => {
  fc.assert(
    fc.property(messageValue(service.schema, EVERYTHING, 2), (value) => {
      const bytes = codec.bytesOf(value);
      const again = codec.read(bytes, 0, bytes.length);
      assert.ok(again !== undefined, codec.fault);
      assert.deepEqual(codec.bytesOf(again), bytes);
      for (const [name, one] of Object.entries(value)) assert.deepEqual(again[name], one, name);
    }),
    { numRuns: 200 },
  );
});

test('any bytes are read or refused, and neither throws nor takes long', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const value = codec.read(bytes, 0, bytes.length);
      if (value === undefined) assert.notEqual(codec.fault, '');
      small.read(bytes, 0, bytes.length);
    }),
    { numRuns: 2_000 },
  );
});

test('a message that is cut or changed anywhere is read or refused', () => {
  fc.assert(
    fc.property(messageValue(service.schema, EVERYTHING, 2), fc.nat(), fc.nat(255), (value, place, byte) => {
      const bytes = codec.bytesOf(value);
      if (bytes.length === 0) return;
      codec.read(bytes, 0, place % bytes.length);
      bytes[place % bytes.length] = byte;
      codec.read(bytes, 0, bytes.length);
    }),
    { numRuns: 500 },
  );
});

function googleFiles(): ProtoFile[] {
  return ['timestamp', 'duration', 'struct', 'empty', 'any'].map(
    (name) => googleFile(`google/protobuf/${name}.proto`)!,
  );
}

test('protobufjs reads the .proto text, and its messages are the same bytes both ways', () => {
  const root = new protobufjs.Root();
  for (const [, text] of texts) protobufjs.parse(text, root);
  root.addJSON((protobufjs.common.get('google/protobuf/timestamp.proto') as { nested: never }).nested);
  root.addJSON((protobufjs.common.get('google/protobuf/duration.proto') as { nested: never }).nested);
  root.addJSON((protobufjs.common.get('google/protobuf/struct.proto') as { nested: never }).nested);
  root.addJSON((protobufjs.common.get('google/protobuf/empty.proto') as { nested: never }).nested);
  root.resolveAll();
  const theirs = root.lookupType('shop.v1.Everything');
  fc.assert(
    fc.property(messageValue(service.schema, EVERYTHING, 2), (value) => {
      const bytes = codec.bytesOf(value);
      const rewritten = Buffer.from(theirs.encode(theirs.decode(bytes)).finish());
      assert.deepEqual(codec.read(rewritten, 0, rewritten.length), codec.read(bytes, 0, bytes.length));
    }),
    { numRuns: 150 },
  );
});

/** Every file as @bufbuild/protobuf reads descriptors. */
function registry(): ReturnType<typeof createFileRegistry> {
  const http = [googleFile('google/api/http.proto')!, googleFile('google/api/annotations.proto')!];
  const set = fromBinary(FileDescriptorSetSchema, descriptorSetBytes([...googleFiles(), ...files, ...http]));
  set.file = set.file.filter(({ name }) => name !== 'google/api/annotations.proto');
  for (const file of set.file) file.dependency = file.dependency.filter((name) => !name.includes('annotations'));
  return createFileRegistry(inOrder(set));
}

function inOrder(set: FileDescriptorSet): FileDescriptorSet {
  set.file.sort((a, b) => Number(a.dependency.includes(b.name)) - Number(b.dependency.includes(a.name)));
  return set;
}

test('@bufbuild/protobuf takes the descriptors, and its messages are the same both ways', () => {
  const theirs = registry().getMessage('shop.v1.Everything') as DescMessage;
  assert.equal(theirs.fields.length, EVERYTHING.fields.length);
  for (const field of theirs.fields)
    assert.equal(field.jsonName, EVERYTHING.fields.find(({ number }) => number === field.number)!.name);
  fc.assert(
    fc.property(messageValue(service.schema, EVERYTHING, 2), (value) => {
      const bytes = codec.bytesOf(value);
      const rewritten = Buffer.from(toBinary(theirs, fromBinary(theirs, bytes)));
      assert.deepEqual(codec.read(rewritten, 0, rewritten.length), codec.read(bytes, 0, bytes.length));
      const json = toJson(theirs, fromBinary(theirs, bytes));
      const back = Buffer.from(toBinary(theirs, fromJson(theirs, json)));
      assert.deepEqual(codec.read(back, 0, back.length), codec.read(bytes, 0, bytes.length));
    }),
    { numRuns: 150 },
  );
});

test('the services of descriptors are those that were described', () => {
  const theirs = registry().getService('shop.v1.Orders')!;
  const kinds = { unary: 'unary', server_streaming: 'server', client_streaming: 'client', bidi_streaming: 'both' };
  assert.deepEqual(
    theirs.methods.map(({ name, methodKind, input }) => [name, kinds[methodKind], input.typeName]),
    [...service.methods.values()].map(({ name, kind, input }) => [name, kind, input.name]),
  );
  assert.ok(descriptorBytes(files[0]!).length > 1_000);
});
