import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import type { Piece } from '../../core/tap.ts';
import { webSocketDissector } from './dissect.ts';
import { closing, frame } from './testing/bench.ts';

function dissect(direction: 'in' | 'out', bytes: Buffer, size = bytes.length): Piece[] {
  const dissector = webSocketDissector(direction, false);
  const found: Piece[] = [];
  for (let at = 0; at < bytes.length; at += size)
    found.push(...dissector.push(bytes, at, Math.min(bytes.length, at + size)));
  return found;
}

function short(pieces: readonly Piece[]): string[] {
  return pieces.map(({ label, value, start, end, pieces: inner }) => {
    const inside = inner === undefined || inner.length === 0 ? '' : ` [${short(inner).join(', ')}]`;
    return `${start}-${end} ${label}${value === '' ? '' : ` ${value}`}${inside}`;
  });
}

test('frames of a client, unmasked; close codes by name', () => {
  const bytes = Buffer.concat([
    frame(1, 'Hello'),
    frame(2, Buffer.of(0, 1, 255), { fin: false }),
    frame(0, 'x'.repeat(300)),
    frame(9),
    frame(8, closing(1001, 'bye')),
  ]);
  const expected = [
    '0-11 text Hello [0-1 fin yes, 0-1 opcode text, 1-2 length 5, 2-6 key 37fa213d, 6-11 payload Hello]',
    '11-20 binary 0001ff [11-12 fin no, 11-12 opcode binary, 12-13 length 3, 13-17 key 37fa213d, 17-20 payload 0001ff]',
    `20-328 continuation ${'x'.repeat(64)}… [20-21 fin yes, 20-21 opcode continuation, 21-24 length 300, 24-28 key 37fa213d, 28-328 payload ${'x'.repeat(64)}…]`,
    '328-334 ping [328-329 fin yes, 328-329 opcode ping, 329-330 length 0, 330-334 key 37fa213d]',
    '334-345 close 1001 going away: bye [334-335 fin yes, 334-335 opcode close, 335-336 length 5, 336-340 key 37fa213d, 340-342 code 1001 going away, 342-345 reason bye]',
  ];
  assert.deepEqual(short(dissect('in', bytes)), expected);
  for (const size of [1, 2, 7, 100]) assert.deepEqual(short(dissect('in', bytes, size)), expected, String(size));
});

test('frames of a server; what is compressed is read (RFC 7692 §7.2.3.1); what is no frame is shown once', () => {
  const bytes = Buffer.concat([
    frame(1, Buffer.from('f248cdc9c90700', 'hex'), { masked: false, rsv: 4 }),
    frame(8, '', { masked: false }),
    Buffer.from('HTTP/1.1 400\r\n'),
  ]);
  assert.deepEqual(short(dissect('out', bytes)), [
    '0-9 text Hello [0-1 fin yes, 0-1 opcode text, 0-1 rsv1 compressed, 1-2 length 7, 2-9 payload Hello]',
    '9-11 close [9-10 fin yes, 9-10 opcode close, 10-11 length 0]',
    '11-25 not a frame a reserved bit is set that no extension gives a meaning',
  ]);
  const euro = dissect('out', frame(1, '\u20ac'.repeat(100), { masked: false }))[0]!;
  assert.equal(euro.value, `${'\u20ac'.repeat(21)}…`);
});

const compressed = (hex: string, fin = true, opcode = 1, rsv = 4) =>
  frame(opcode, Buffer.from(hex, 'hex'), { masked: false, fin, rsv });

/** The values of the frames, however their bytes are cut. */
function values(joinedLate: boolean, ...frames: readonly Buffer[]): string[] {
  const bytes = Buffer.concat(frames);
  const read = (size: number) => {
    const dissector = webSocketDissector('out', joinedLate);
    const found: string[] = [];
    for (let at = 0; at < bytes.length; at += size)
      found.push(...dissector.push(bytes, at, Math.min(bytes.length, at + size)).map(({ value }) => value));
    return found;
  };
  const whole = read(bytes.length);
  for (const size of [1, 3, 10]) assert.deepEqual(read(size), whole, String(size));
  return whole;
}

test('messages that build on each other, in frames, uncompressed and final blocks (RFC 7692 §7.2.3)', () => {
  // §7.2.3.2: the second is the first again, out of the window.
  const again = [compressed('f248cdc9c90700'), compressed('f200110000')];
  assert.deepEqual(values(false, ...again), ['Hello', 'Hello']);
  // Without takeover the same bytes say the same each time.
  assert.deepEqual(values(false, again[0]!, again[0]!), ['Hello', 'Hello']);
  // §7.2.3.1 in two frames, with a ping between.
  const parts = [compressed('f248cd', false), frame(9, '', { masked: false }), compressed('c9c90700', true, 0, 0)];
  assert.deepEqual(values(false, ...parts), ['3 bytes, compressed; more follows', '', 'Hello']);
  // §7.2.3.3: no compression; §7.2.3.4: BFINAL.
  assert.deepEqual(values(false, compressed('000500faff48656c6c6f00'), compressed('f348cdc9c9070000')), [
    'Hello',
    'Hello',
  ]);
  // What is not compressed between does not count.
  const between = frame(1, 'plain', { masked: false });
  assert.deepEqual(values(false, again[0]!, between, again[1]!), ['Hello', 'plain', 'Hello']);
});

test('who joined late is told what cannot be read; what is corrupt or too long too', () => {
  const late = '5 bytes, compressed: builds on what was said before and was not read';
  const again = compressed('f200110000');
  assert.deepEqual(values(true, again, compressed('f248cdc9c90700'), again), [late, 'Hello', 'Hello']);
  const corrupt = values(false, compressed('ffffffffff'), again);
  assert.deepEqual(corrupt, ['5 bytes, compressed: cannot be decompressed', late]);
  // A bomb: it is not taken, and nothing after it is guessed.
  const bomb = deflateRawSync(Buffer.alloc(4_000_000), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
  const [big, after] = values(false, frame(2, bomb, { masked: false, rsv: 4 }), again);
  assert.match(big!, /^\d+ bytes, compressed: cannot be decompressed$/);
  assert.equal(after, late);
  const noise = deflateRawSync(randomBytes(80_000), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
  const long = values(false, frame(2, noise, { masked: false, rsv: 4 }), compressed('f248cdc9c90700'));
  assert.deepEqual(long, [`${noise.length} bytes, compressed: too long to be read`, 'Hello']);
});
