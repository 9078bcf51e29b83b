import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isUtf8 } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import { applyKey, FrameReader, turnKey, writeHead } from './codec.ts';
import { mayBeSent } from './codes.ts';
import { fuzzWebSocket } from './fuzz.ts';
import { Utf8Check } from './utf8.ts';

test('§5.3: the mask, wherever the bytes lie and however they are cut', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 1_000 }),
      fc.integer(),
      fc.nat(9),
      fc.nat(1_000),
      (payload, key, offset, cut) => {
        const bytes = new Uint8Array(offset + payload.length + 5);
        bytes.set(payload, offset);
        const end = offset + payload.length;
        const at = offset + Math.min(cut, payload.length);
        applyKey(bytes, offset, at, key);
        applyKey(bytes, at, end, turnKey(key, at - offset));
        const keys = [key >>> 24, (key >>> 16) & 255, (key >>> 8) & 255, key & 255];
        for (let index = 0; index < payload.length; index++)
          assert.equal(bytes[offset + index], payload[index]! ^ keys[index % 4]!);
        assert.ok(bytes.subarray(0, offset).every((byte) => byte === 0));
        assert.ok(bytes.subarray(end).every((byte) => byte === 0));
      },
    ),
  );
});

test('§5.2: heads are read as they are written', () => {
  const sizes = fc.oneof(fc.nat(70_000), fc.constantFrom(0, 125, 126, 65_535, 65_536, 2 ** 31, 2 ** 32 + 1, 2 ** 52));
  fc.assert(
    fc.property(sizes, fc.constantFrom(1, 2), fc.boolean(), fc.boolean(), (size, opcode, compressed, masked) => {
      const out = new ByteWriter(100);
      writeHead(out, opcode, compressed, size, masked);
      assert.equal(out.length, size < 126 ? 2 : size < 65_536 ? 4 : 10);
      if (masked) out.u32(0x12345678);
      const reader = new FrameReader(masked, true);
      for (let end = 0; end < out.length; end++) assert.equal(reader.read(out.bytes, 0, end), -1);
      assert.equal(reader.read(out.bytes, 0, out.length), out.length);
      assert.deepEqual(
        [reader.fin, reader.opcode, reader.compressed, reader.length, reader.key],
        [true, opcode, compressed, size, masked ? 0x12345678 : 0],
      );
    }),
  );
});

test('§8.1: UTF-8 in pieces is what it is whole, and told as early as can be', () => {
  const characters = fc.string({ unit: 'binary', maxLength: 200 }).map((text) => Buffer.from(text));
  const damaged = fc.tuple(characters, fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => {
    if (bytes.length > 0) bytes[at % bytes.length] = byte;
    return bytes;
  });
  fc.assert(
    fc.property(
      fc.oneof(characters, damaged, fc.uint8Array({ maxLength: 20 }).map(Buffer.from)),
      fc.array(fc.nat(300), { maxLength: 4 }),
      (bytes, cuts) => {
        const check = new Utf8Check();
        let at = 0;
        let right = true;
        for (const cut of [...cuts.filter((cut) => cut <= bytes.length).sort((a, b) => a - b), bytes.length]) {
          right &&= check.push(bytes, at, cut);
          at = cut;
          // What came so far can become UTF-8 exactly if it is, but for a last character that some bytes complete.
          assert.equal(right, canBecomeUtf8(bytes.subarray(0, at)), bytes.toString('hex'));
        }
        assert.equal(right && check.isWhole, isUtf8(bytes, 0, bytes.length));
      },
    ),
    { numRuns: 500 },
  );
});

test('§8.1: long text, cut within its last character', () => {
  for (const last of ['\u00e9', '\u20ac', '\u{1f600}']) {
    const bytes = Buffer.from('x'.repeat(150) + last + 'y'.repeat(150));
    for (let cut = 148; cut < 158; cut++) {
      const check = new Utf8Check();
      assert.ok(check.push(bytes, 0, cut) && check.push(bytes, cut, bytes.length) && check.isWhole, `${last} ${cut}`);
    }
  }
});

/** The long way: tries what may follow. */
function canBecomeUtf8(bytes: Uint8Array): boolean {
  for (const tail of [
    [],
    [0x80],
    [0xbf],
    [0x80, 0x80],
    [0xbf, 0x80],
    [0x80, 0x80, 0x80],
    [0xbf, 0x80, 0x80],
    [0x90, 0x80],
    [0xa0, 0x80],
    [0x90, 0x80, 0x80],
  ])
    if (isUtf8(Buffer.concat([bytes, Buffer.from(tail)]), 0, bytes.length + tail.length)) return true;
  return false;
}

test('§7.4: which codes may be sent', () => {
  const may = new Array(66_000).fill(0).flatMap((_, code) => (mayBeSent(code) ? [code] : []));
  assert.equal(may.length, 2_000 + 12);
  for (const code of [999, 1004, 1005, 1006, 1015, 1016, 2999, 5000]) assert.ok(!may.includes(code));
});

test('any frames, whole or in pieces', () => {
  fuzzWebSocket(300, 20_261_122);
});
