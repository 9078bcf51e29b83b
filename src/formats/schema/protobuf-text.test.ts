import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { protobufText } from './protobuf-text.ts';

function text(hex: string): string | null {
  const bytes = Buffer.from(hex, 'hex');
  return protobufText(bytes, 0, bytes.length);
}

// The examples of the encoding guide of Protocol Buffers.
test('fields by number, each wire type', () => {
  assert.equal(text('089601'), '1: 150');
  assert.equal(text('120774657374696e67'), '2: "testing"');
  assert.equal(text('1a03089601'), '3: {1: 150}');
  assert.equal(text('220568656c6c6f280128022803'), '4: "hello" 5: 1 5: 2 5: 3');
  assert.equal(text('09000000000000f83f'), '1: 1.5');
  assert.equal(text('0d0000c03f'), '1: 1.5');
  assert.equal(text('0a00'), '1: ""');
  assert.equal(text('0a02ff00'), '1: ff00');
  assert.equal(text(''), '');
});

test('what is no message is not taken for one', () => {
  for (const hex of ['00', '0a05', '0880', '0b', '0f', '09000000', `08${'80'.repeat(10)}01`])
    assert.equal(text(hex), null, hex);
});

test('any bytes neither throw nor hang', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const said = protobufText(bytes, 0, bytes.length);
      assert.ok(said === null || typeof said === 'string');
    }),
  );
});
