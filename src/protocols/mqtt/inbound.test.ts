import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodePublish } from './encode.ts';
import { Copies, TopicNames } from './inbound.ts';
import { V5, V311 } from './packets.ts';

const NOTHING_ELSE = {
  contentType: '',
  text: false,
  properties: [],
  responseTopic: '',
  correlation: null,
  expiry: Number.POSITIVE_INFINITY,
};

test('a frame out of what came is the one that would be encoded, and nothing overwrites it', () => {
  const copies = new Copies();
  const made: { frame: Uint8Array; expected: Uint8Array }[] = [];
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' }),
      fc.uint8Array({ maxLength: 1_100 }),
      fc.boolean(),
      fc.nat(20),
      (topic, payload, five, before) => {
        const name = Buffer.from(topic);
        const input = Buffer.concat([Buffer.alloc(before, 0xaa), name, Buffer.from([1, 2]), payload, Buffer.alloc(3)]);
        const payloadAt = before + name.length + 2;
        const end = payloadAt + payload.length;
        const frame = copies.frame(input, before, before + name.length, payloadAt, end, five);
        const expected = encodePublish({ ...NOTHING_ELSE, topic, payload }, five ? V5 : V311, false, -1);
        const size = 2 + name.length + (five ? 1 : 0) + payload.length;
        assert.equal(frame === null, size > 1_024);
        input.fill(0xa5);
        if (frame !== null) made.push({ frame, expected });
      },
    ),
    { numRuns: 500 },
  );
  assert.ok(made.length > 100);
  for (const { frame, expected } of made) assert.deepEqual(Buffer.from(frame), Buffer.from(expected));
});

test('a name that is known stays what it was when its bytes are overwritten by others', () => {
  const names = new TopicNames(() => true);
  const input = Buffer.alloc(16);
  // Many more names than places: each place is met by several, all of them at one position of one buffer.
  for (let round = 0; round < 2; round++)
    for (let number = 0; number < 60_000; number++) {
      const name = `t/${String(number).padStart(6, '0')}`;
      input.write(name, 4);
      assert.equal(names.read(input, 4, 4 + name.length), name);
    }
});
