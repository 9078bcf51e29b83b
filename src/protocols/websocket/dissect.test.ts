import assert from 'node:assert/strict';
import { test } from 'node:test';
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

test('frames of a server; what is compressed says so; what is no frame is shown once', () => {
  const bytes = Buffer.concat([
    frame(1, Buffer.from('f248cdc9c90700', 'hex'), { masked: false, rsv: 4 }),
    frame(8, '', { masked: false }),
    Buffer.from('HTTP/1.1 400\r\n'),
  ]);
  assert.deepEqual(short(dissect('out', bytes)), [
    '0-9 text f248cdc9c90700 [0-1 fin yes, 0-1 opcode text, 0-1 rsv1 compressed, 1-2 length 7, 2-9 payload f248cdc9c90700]',
    '9-11 close [9-10 fin yes, 9-10 opcode close, 10-11 length 0]',
    '11-25 not a frame a reserved bit is set that no extension gives a meaning',
  ]);
  const euro = dissect('out', frame(1, '\u20ac'.repeat(100), { masked: false }))[0]!;
  assert.equal(euro.value, `${'\u20ac'.repeat(21)}…`);
});
