import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Piece } from '../../core/tap.ts';
import { shownNews, shownPacket } from './codec/shown.ts';
import { APPLICATION } from './crypto.ts';
import { quicDissector } from './dissect.ts';

/** Tells what came on which stream, and how late. */
const streamsOf = () => (stream: number, late: boolean) => ({
  push: (bytes: Uint8Array, start: number, end: number): Piece[] => [
    { label: late ? 'late' : 'said', value: `${stream} ${Buffer.from(bytes.subarray(start, end))}`, start, end },
  ],
});

/** A STREAM frame with offset and length (RFC 9000 §19.8). */
const frame = (id: number, offset: number, text: string, fin = false) =>
  Buffer.concat([Buffer.from([fin ? 0x0f : 0x0e, id, offset, text.length]), Buffer.from(text)]);
const packet = (number: number, frames: Buffer) =>
  shownPacket(APPLICATION, number, frames.length + 30, 'any', frames, 0, frames.length);
const shown = (pieces: readonly Piece[]) => pieces.map(({ label, value }) => `${label} ${value}`);

test('what is said on a stream is shown in order and once, behind the packet that completed it', () => {
  const dissector = quicDissector('in', false, streamsOf);
  const push = (bytes: Buffer) => shown(dissector.push(bytes, 0, bytes.length));
  assert.deepEqual(push(packet(0, frame(0, 2, 'cd'))), ['1-RTT 0: STREAM 0: 2 bytes at 2']);
  assert.deepEqual(push(packet(1, frame(0, 0, 'ab'))), ['1-RTT 1: STREAM 0: 2 bytes at 0', 'said 0 ab', 'said 0 cd']);
  assert.deepEqual(push(packet(2, frame(0, 1, 'bcde', true))), ['1-RTT 2: STREAM 0: 4 bytes at 1, end', 'said 0 e']);
  assert.deepEqual(push(packet(3, frame(0, 0, 'ab'))), ['1-RTT 3: STREAM 0: 2 bytes at 0']);
});

test('who joins late says so of streams whose beginning was not seen', () => {
  const bytes = packet(9, Buffer.concat([frame(0, 5, 'ab'), frame(4, 0, 'ab')]));
  const found = shown(quicDissector('in', true, streamsOf).push(bytes, 0, bytes.length));
  assert.deepEqual(found.slice(1), ['late 0 ab', 'said 4 ab']);
});

test('the window is shown when it has changed', () => {
  const dissector = quicDissector('out', false);
  const push = (value: string) => {
    const bytes = shownNews(['recovery', value, [['congestion window', value]]]);
    return shown(dissector.push(bytes, 0, bytes.length));
  };
  assert.deepEqual([push('1'), push('1'), push('2')], [['recovery 1'], [], ['recovery 2']]);
});

test('however the bytes are cut, the same is shown; any bytes neither throw nor hang', () => {
  const whole = Buffer.concat([
    packet(0, frame(0, 0, 'ab')),
    shownNews(['lost', '1-RTT 0', []]),
    packet(1, frame(4, 0, '')),
  ]);
  const read = (cuts: readonly number[]) => {
    const dissector = quicDissector('in', false, streamsOf);
    const found: Piece[] = [];
    let at = 0;
    for (const cut of [...cuts, whole.length]) {
      const to = Math.min(whole.length, at + cut);
      found.push(...dissector.push(whole, at, to));
      at = to;
    }
    return found;
  };
  const expected = read([]);
  assert.equal(expected.length, 4);
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 30 })), (cuts) => assert.deepEqual(read(cuts), expected)));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4 }), fc.uint8Array({ maxLength: 200 }), (kind, rest) => {
      const bytes = packet(1, Buffer.from(rest));
      bytes[0] = kind;
      quicDissector('in', false, streamsOf).push(bytes, 0, bytes.length);
      quicDissector('in', false, streamsOf).push(rest, 0, rest.length);
    }),
  );
});
