import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from '../../bytes/writer.ts';
import { huffmanDecode, huffmanLength, huffmanWrite } from './huffman.ts';

function coded(text: string): Buffer {
  const out = new ByteWriter(1_000_000);
  const length = huffmanLength(text);
  huffmanWrite(out, text, length);
  assert.equal(out.length, length);
  return Buffer.from(out.bytes.subarray(0, out.length));
}

function decoded(bytes: Uint8Array): string | null {
  const into = Buffer.alloc(bytes.length * 2 + 8);
  const length = huffmanDecode(bytes, 0, bytes.length, into);
  return length < 0 ? null : into.toString('latin1', 0, length);
}

test('strings of the standard (RFC 7541 §C.4, §C.6)', () => {
  const vectors: [string, string][] = [
    ['www.example.com', 'f1e3c2e5f23a6ba0ab90f4ff'],
    ['no-cache', 'a8eb10649cbf'],
    ['custom-key', '25a849e95ba97d7f'],
    ['custom-value', '25a849e95bb8e8b4bf'],
    ['302', '6402'],
    ['private', 'aec3771a4b'],
    ['Mon, 21 Oct 2013 20:13:21 GMT', 'd07abe941054d444a8200595040b8166e082a62d1bff'],
    ['https://www.example.com', '9d29ad171863c78f0b97c8e9ae82ae43d3'],
    ['307', '640eff'],
    ['gzip', '9bd9ab'],
    [
      'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
      '94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    ],
  ];
  for (const [text, hex] of vectors) {
    assert.equal(coded(text).toString('hex'), hex);
    assert.equal(decoded(Buffer.from(hex, 'hex')), text);
  }
});

test('every byte goes there and back', () => {
  const all = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
  for (const one of all) assert.equal(decoded(coded(one)), one);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      assert.equal(decoded(coded(text)), text);
    }),
  );
});

test('padding of more than 7 bits, of other bits than EOS begins with, and EOS itself are refused (RFC 7541 §5.2)', () => {
  const refused = ['f1e3c2e5f23a6ba0ab90f4ffff', 'ff', 'ffffffff', '1e', '00', 'fffffffc', '20'];
  for (const hex of refused) assert.equal(decoded(Buffer.from(hex, 'hex')), null, hex);
  // `0` in 5 bits and 3 of padding.
  assert.equal(decoded(Buffer.from('07', 'hex')), '0');
  assert.equal(decoded(Buffer.alloc(0)), '');
});

test('any bytes decode or are refused, within the room that was promised', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const into = Buffer.alloc(Math.ceil((bytes.length * 8) / 5));
      assert.ok(huffmanDecode(bytes, 0, bytes.length, into) <= into.length);
    }),
    { numRuns: 2_000 },
  );
});
