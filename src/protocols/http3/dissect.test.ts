import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Piece } from '../../core/tap.ts';
import { http3Dissector, http3StreamDissectors } from './dissect.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const shown = (pieces: readonly Piece[]) => pieces.map(({ label, value }) => `${label}: ${value}`);
/** RFC 9204 appendix B.2: capacity 220, `:authority: www.example.com`, `:path: /sample/path`; and fields that name both. */
const FILLS = hex('02 3fbd01 c00f7777772e6578616d706c652e636f6d c10c2f73616d706c652f70617468');
const FIELDS = hex('01 04 03811011');

test('fields wait for the entries of the table that they name (RFC 9204 §2.1.2)', () => {
  const streams = http3StreamDissectors('in', new Map());
  const request = streams(0, false);
  assert.deepEqual(request.push(FIELDS, 0, FIELDS.length), []);
  const found = streams(2, false).push(FILLS, 0, FILLS.length);
  assert.deepEqual(shown(found), [
    'stream type: stream 2 QPACK encoder stream',
    'QPACK: stream 2 2 inserted, 2 in all, capacity 220',
    'HEADERS: stream 0 /sample/path',
  ]);
  assert.deepEqual(shown(found[1]!.pieces!), [':authority: www.example.com', ':path: /sample/path']);
});

test('the table is as large as the other direction’s SETTINGS say (RFC 9204 §4.5.1.1)', () => {
  const told = new Map<string, number>();
  const settings = hex('00 04 03 01 4100');
  const [, piece] = http3StreamDissectors('out', told)(3, false).push(settings, 0, settings.length);
  assert.equal(piece!.value, 'stream 3 QPACK_MAX_TABLE_CAPACITY=256');
  // Of eight entries at most: seventeen were inserted, and a section that needs all says 1 + 17 modulo 16.
  const streams = http3StreamDissectors('in', told);
  const insert = '41 61 01 61';
  const fills = hex(`02 3fe101 ${insert.repeat(17)}`);
  streams(2, false).push(fills, 0, fills.length);
  const section = hex('01 03 02 00 80');
  assert.deepEqual(shown(streams(0, false).push(section, 0, section.length)[0]!.pieces ?? []), ['a: a']);
});

test('credentials and cookies are not shown, nor a token in a target', () => {
  // Literal fields with literal names (RFC 9204 §4.5.6).
  const field = (name: string, value: string) =>
    Buffer.concat([
      Buffer.from([0x27, name.length - 7]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ]);
  const fields = Buffer.concat([hex('0000'), field('authorization', 'hunter2'), field('set-cookie', 'hunter2')]);
  const bytes = Buffer.concat([Buffer.from([1, fields.length]), fields]);
  const [piece] = http3Dissector('in', false).push(bytes, 0, bytes.length);
  assert.deepEqual(shown(piece!.pieces!), ['authorization: •••', 'set-cookie: •••']);
});

test('however the bytes are cut, the same frames are shown; any bytes neither throw nor hang', () => {
  const whole = hex('00 04 03 01 4100 07 01 04 21 02 6869');
  const read = (bytes: Uint8Array, cuts: readonly number[]) => {
    const dissector = http3StreamDissectors('in', new Map())(2, false);
    const found: Piece[] = [];
    let at = 0;
    for (const cut of [...cuts, bytes.length]) {
      const to = Math.min(bytes.length, at + cut);
      found.push(...dissector.push(bytes, at, to));
      at = to;
    }
    return found;
  };
  const expected = read(whole, []);
  assert.deepEqual(shown(expected).slice(0, 3), [
    'stream type: stream 2 control stream',
    'SETTINGS: stream 2 QPACK_MAX_TABLE_CAPACITY=256',
    'GOAWAY: stream 2 4',
  ]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 5 })), (cuts) => assert.deepEqual(read(whole, cuts), expected)),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(3), (bytes, stream) => {
      http3StreamDissectors('in', new Map())(stream, false).push(bytes, 0, bytes.length);
    }),
  );
});
