import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Piece } from '../../core/tap.ts';
import { ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, SETTINGS, WINDOW_UPDATE } from './codec.ts';
import { http2Dissector } from './dissect.ts';
import { frame, number32, Stage, settings } from './testing/stage.ts';

const block = (fields: Record<string, string>) => new Stage(() => {}).connect().block(fields);

/** What a client says: a request with secrets, the same again from the table, a tunnel. */
function conversation(): Buffer {
  const client = new Stage(() => {}).connect();
  const request = {
    ':method': 'POST',
    ':scheme': 'http',
    ':authority': 'a',
    ':path': '/x?token=hunter2&a=b',
    authorization: 'Bearer hunter2',
    cookie: 'hunter2',
  };
  const tunnel = {
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'http',
    ':authority': 'a',
    ':path': '/ws',
  };
  return Buffer.concat([
    PREFACE,
    settings(3, 100, 4, 65_535),
    frame(SETTINGS, ACK, 0),
    frame(HEADERS, END_HEADERS, 1, client.block(request)),
    frame(DATA, END_STREAM, 1, 'hello'),
    frame(HEADERS, END_HEADERS | END_STREAM, 3, client.block(request)),
    frame(HEADERS, END_HEADERS, 5, client.block(tunnel)),
    frame(DATA, 0, 5, 'hunter2'),
    frame(WINDOW_UPDATE, 0, 0, number32(1_000)),
    frame(GOAWAY, 0, 0, Buffer.concat([number32(5), number32(0xb), Buffer.from('calm')])),
  ]);
}

function dissected(bytes: Buffer, cuts: readonly number[] = []): Piece[] {
  const dissector = http2Dissector('in', false);
  const found: Piece[] = [];
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    const to = Math.min(bytes.length, at + cut);
    found.push(...dissector.push(bytes, at, to));
    at = to;
  }
  return found;
}

test('frames are shown with their fields, and secrets are not', () => {
  const found = dissected(conversation());
  assert.deepEqual(
    found.map(({ label, value }) => `${label}: ${value}`),
    [
      'preface: HTTP/2',
      'SETTINGS: MAX_CONCURRENT_STREAMS=100 INITIAL_WINDOW_SIZE=65535',
      'SETTINGS: ACK',
      'HEADERS: stream 1 POST /x?token=•••&a=b END_HEADERS',
      'DATA: stream 1 5 bytes: hello END_STREAM',
      'HEADERS: stream 3 POST /x?token=•••&a=b END_STREAM END_HEADERS',
      'HEADERS: stream 5 CONNECT /ws END_HEADERS',
      'DATA: stream 5 7 bytes',
      'WINDOW_UPDATE: 1000',
      'GOAWAY: 5 ENHANCE_YOUR_CALM 4 bytes: calm',
    ],
  );
  assert.doesNotMatch(JSON.stringify(found), /hunter2/);
  const again = found[5]!.pieces!.find(({ label }) => label === 'authorization');
  assert.equal(again?.value, '•••');
  assert.equal(found.at(-1)!.end, conversation().length);
});

test('however the bytes are cut, the frames are the same', () => {
  const whole = dissected(conversation());
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 })), (cuts) => {
      assert.deepEqual(dissected(conversation(), cuts), whole);
    }),
  );
});

test('any bytes are shown or hidden, and nothing throws', () => {
  const begin = Buffer.concat([PREFACE, settings()]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      dissected(Buffer.concat([begin, bytes]));
      dissected(Buffer.from(bytes));
      http2Dissector('out', false).push(bytes, 0, bytes.length);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      dissected(
        Buffer.concat([
          begin,
          frame(HEADERS, END_HEADERS, 1, bytes),
          frame(HEADERS, END_HEADERS, 3, block({ a: 'b' })),
        ]),
      );
    }),
  );
});

test('who joins late is told that there are bytes', () => {
  const found = http2Dissector('in', true).push(conversation(), 30, 200);
  assert.deepEqual(
    found.map(({ label, hidden }) => [label, hidden]),
    [['bytes', true]],
  );
});

test('messages of gRPC are shown by their fields', () => {
  const client = new Stage(() => {}).connect();
  const grpc = { ':method': 'POST', ':scheme': 'http', ':authority': 'a', ':path': '/a.B/C' };
  const call = { ...grpc, 'content-type': 'application/grpc+proto' };
  const message = Buffer.from('0000000009120774657374696e67', 'hex');
  const values = dissected(
    Buffer.concat([
      PREFACE,
      frame(HEADERS, END_HEADERS, 1, client.block(call)),
      frame(DATA, 0, 1, message),
      // Half a message, one that is compressed, one that is none.
      frame(DATA, 0, 1, message.subarray(0, 8)),
      frame(DATA, 0, 1, Buffer.concat([Buffer.from([1]), message.subarray(1)])),
      frame(DATA, END_STREAM, 1, Buffer.from('000000000100', 'hex')),
      frame(HEADERS, END_HEADERS, 3, client.block(grpc)),
      frame(DATA, END_STREAM, 3, message),
    ]),
  )
    .filter(({ label }) => label === 'DATA')
    .map(({ value }) => value);
  assert.deepEqual(values, [
    'stream 1 message of 9 bytes: 2: "testing"',
    'stream 1 8 bytes: 0000000009120774',
    'stream 1 14 bytes: 0100000009120774657374696e67',
    'stream 1 6 bytes: 000000000100 END_STREAM',
    'stream 3 14 bytes: 0000000009120774657374696e67 END_STREAM',
  ]);
});
