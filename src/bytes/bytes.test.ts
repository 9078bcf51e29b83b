import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KeptBytes } from './kept.ts';
import { giveBack, lend } from './pool.ts';
import { isUtf8, latin1, u16, u32, u64, utf8 } from './reader.ts';
import { ByteWriter } from './writer.ts';

test('numbers and text are read as they were written', () => {
  fc.assert(
    fc.property(
      fc.nat(0xff),
      fc.nat(0xffff),
      fc.nat(0xffff_ffff),
      fc.maxSafeNat(),
      fc.string({ unit: 'grapheme' }),
      (byte, short, long, huge, text) => {
        const writer = new ByteWriter(1_000_000);
        writer.u8(byte);
        writer.u16(short);
        writer.u32(long);
        writer.u64(huge);
        const size = writer.utf8(text);
        writer.ascii('end');
        const { bytes } = writer;
        assert.deepEqual([bytes[0], u16(bytes, 1), u32(bytes, 3), u64(bytes, 7)], [byte, short, long, huge]);
        assert.equal(size, Buffer.byteLength(text));
        assert.equal(utf8(bytes, 15, 15 + size), Buffer.from(text).toString());
        assert.equal(latin1(bytes, 15 + size, writer.length), 'end');
      },
    ),
  );
});

test('an arena grows to its cap and not beyond, keeps positions, and lends its storage', () => {
  const writer = new ByteWriter(10_000);
  for (let index = 0; index < 10_000; index++) writer.u8(index);
  assert.throws(() => writer.u8(0), RangeError);
  assert.deepEqual([writer.length, writer.bytes[9_999]], [10_000, 9_999 & 0xff]);
  const taken = writer.take();
  assert.deepEqual([taken.bytes.length, writer.length], [10_000, 0]);
  writer.copy(Buffer.from('abcdef'), 1, 4);
  assert.equal(utf8(writer.bytes, 0, 3), 'bcd');
  writer.cut(1);
  writer.copy(Buffer.alloc(100, 'x'), 0, 100);
  assert.equal(utf8(writer.bytes, 0, 3), 'bxx');
  writer.clear();
  assert.equal(writer.length, 0);
});

test('the pool lends what was given back, and takes nothing that is not its own', () => {
  const one = lend(3_000);
  assert.equal(one.length, 4_096);
  giveBack(one);
  assert.equal(lend(4_000), one);
  const odd = Buffer.alloc(4_095);
  giveBack(odd);
  giveBack(one.subarray(0, 512));
  assert.notEqual(lend(512).buffer, one.buffer);
});

test('kept bytes are a queue', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.uint8Array({ maxLength: 2_000 }), fc.nat(3_000))), (steps) => {
      const kept = new KeptBytes();
      let model = Buffer.alloc(0);
      for (const [input, take] of steps) {
        kept.append(input, 0, input.length);
        model = Buffer.concat([model, input]);
        const size = Math.min(take, model.length);
        kept.consume(kept.start + size);
        model = model.subarray(size);
        assert.deepEqual(Buffer.from(kept.bytes.subarray(kept.start, kept.end)), model);
      }
      kept.clear();
      assert.equal(kept.length, 0);
    }),
  );
});

test('UTF-8 is told from what only looks like it (RFC 3629 §4)', () => {
  const good = ['', 'plain', 'ä', '€', '😀', '\u{10ffff}', '\ud7ff', '\ue000'];
  for (const text of good) {
    const bytes = Buffer.from(text);
    assert.ok(isUtf8(bytes, 0, bytes.length), JSON.stringify(text));
  }
  const bad = [
    [0x80],
    [0xc0, 0x80],
    [0xc1, 0xbf],
    [0xe0, 0x9f, 0xbf],
    [0xed, 0xa0, 0x80],
    [0xed, 0xbf, 0xbf],
    [0xf0, 0x8f, 0xbf, 0xbf],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xc3],
    [0xe2, 0x82],
    [0xf0, 0x9f, 0x98],
    [0xff],
  ];
  for (const bytes of bad) assert.ok(!isUtf8(Uint8Array.from(bytes), 0, bytes.length), bytes.join());
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      let valid = true;
      try {
        new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {
        valid = false;
      }
      assert.equal(isUtf8(bytes, 0, bytes.length), valid);
    }),
    { numRuns: 20_000 },
  );
});
