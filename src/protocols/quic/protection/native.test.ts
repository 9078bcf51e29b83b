// The native twin of packet protection, held to the same as the plain one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadNative } from '../../../native/native.ts';
import { PLAIN as PLAIN_CALLS } from '../../../native/plain.ts';
import { type Aead, type Ciphers, PLAIN_CIPHERS } from './ciphers.ts';
import { protectionSuite } from './protection-suite.ts';
import { SUITES } from './suites.ts';

const native: Ciphers | null = loadNative('auto')?.ciphers() ?? null;

test('without native calls there is no twin', () => {
  assert.equal(PLAIN_CALLS.ciphers(), null);
});

if (native === null) test('native ciphers', { skip: 'this Node has no native calls' }, () => {});
else {
  protectionSuite('native', native);

  for (const { aead: algorithm, keyBytes } of SUITES)
    test(`${algorithm}: native and plain seal alike, and each opens the other's`, () => {
      const key = Buffer.alloc(keyBytes, 5);
      const iv = Buffer.alloc(12, 6);
      const ends = [native, PLAIN_CIPHERS].map((ciphers) => ciphers.aead(algorithm, key, iv));
      const headers = [native, PLAIN_CIPHERS].map((ciphers) => ciphers.header(algorithm, key));
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 200 }),
          fc.uint8Array({ maxLength: 2_000 }),
          fc.integer({ min: 0, max: 2 ** 53 - 1 }),
          (header, text, number) => {
            const at = 3 + header.length;
            const end = at + text.length;
            const packets = ends.map((one) => {
              const packet = Buffer.concat([Buffer.alloc(3, 9), header, text, Buffer.alloc(16), Buffer.alloc(2, 9)]);
              one.seal(packet, 3, at, end, number);
              return packet;
            });
            assert.ok(packets[0]!.equals(packets[1]!));
            const again = Buffer.from(packets[0]!);
            assert.ok(ends[0]!.open(packets[0]!, 3, at, end + 16, number));
            assert.deepEqual(packets[0]!.subarray(at, end), Buffer.from(text));
            again[end]! ^= 1;
            const before = Buffer.from(again);
            assert.equal(ends[0]!.open(again, 3, at, end + 16, number), false);
            assert.ok(again.equals(before), 'what is not genuine was changed');
          },
        ),
        { numRuns: 200 },
      );
      for (const count of [0, 1, 2, 5, 63, 64]) {
        const samples = Buffer.from(Array.from({ length: count * 16 }, (_, at) => (at * 37 + count) & 0xff));
        const [one, other] = headers.map((header) => Buffer.from(header.masks(samples, count)));
        for (let at = 0; at < count * 16; at += 16)
          assert.equal(one!.toString('hex', at, at + 5), other!.toString('hex', at, at + 5));
      }
    });

  test('what lies outside of its buffer never reaches OpenSSL, nor does a key that was freed', () => {
    const aead: Aead = native.aead('aes-128-gcm', Buffer.alloc(16), Buffer.alloc(12));
    const packet = Buffer.alloc(100);
    for (const [start, at, end] of [
      [0, 10, 85],
      [0, 10, 101],
      [-1, 10, 50],
      [10, 5, 50],
      [0, 60, 50],
      [0, 0.5, 50],
      [0, 10, Number.NaN],
      [0, 10, 2 ** 40],
    ] as const) {
      assert.throws(() => aead.seal(packet, start, at, end, 0), RangeError);
      if (end > 100 || !Number.isInteger(start + at + end) || start < 0 || at < start || end < at)
        assert.equal(aead.open(packet, start, at, end, 0), false);
    }
    assert.ok(packet.equals(Buffer.alloc(100)));
    assert.throws(() => native.aead('aes-128-gcm', Buffer.alloc(15), Buffer.alloc(12)), RangeError);
    assert.throws(() => native.aead('aes-128-gcm', Buffer.alloc(16), Buffer.alloc(11)), RangeError);
    assert.throws(() => native.header('aes-256-gcm', Buffer.alloc(16)), RangeError);
    const header = native.header('aes-128-gcm', Buffer.alloc(16));
    assert.throws(() => header.masks(Buffer.alloc(16), 2), RangeError);
    assert.throws(() => header.masks(Buffer.alloc(16 * 65), 65), RangeError);
    for (const freed of [aead, header]) {
      freed.free();
      freed.free();
    }
    assert.throws(() => aead.seal(packet, 0, 10, 50, 0), RangeError);
    assert.equal(aead.open(packet, 0, 10, 50, 0), false);
    assert.throws(() => header.masks(Buffer.alloc(16), 1), RangeError);
  });

  test('keys come and go by the thousand while the heap is collected', () => {
    const packet = Buffer.alloc(100);
    for (let round = 0; round < 20_000; round++) {
      const aead: Aead = native.aead('aes-256-gcm', Buffer.alloc(32, round), Buffer.alloc(12, round));
      aead.seal(packet, 0, 10, 84, round);
      assert.ok(aead.open(packet, 0, 10, 100, round));
      // Every other is left to the collector.
      if (round % 2 === 0) aead.free();
    }
  });
}
