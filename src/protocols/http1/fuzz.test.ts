// Any bytes at all: nothing throws, nothing hangs, every answer is well formed; and however bytes are cut, the
// conversation is the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ENDED } from '../../core/pipe.ts';
import { answerText } from '../http/answers.ts';
import { collectBody } from '../http/collect.ts';
import { http1Dissector } from './dissect.ts';
import { Stage } from './testing/stage.ts';

const PIECES = [
  ...['GET / HTTP/1.1\r\n', 'POST /a HTTP/1.1\r\n', 'HEAD /b HTTP/1.0\r\n', 'Host: a\r\n', 'Content-Length: 3\r\n'],
  ...[
    'Transfer-Encoding: chunked\r\n',
    'Connection: close\r\n',
    'Connection: upgrade\r\nUpgrade: x\r\n',
    '\r\n',
    'abc',
  ],
  ...[
    '3\r\nabc\r\n',
    '0\r\n\r\n',
    '0\r\nX: y\r\n\r\n',
    'Expect: 100-continue\r\n',
    '\n',
    '\r',
    ' ',
    ':',
    '\0',
    '\xff',
    '5;a\r\n',
  ],
];

const conversation = fc
  .array(fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...PIECES) }, fc.string({ unit: 'binary', maxLength: 8 })), {
    maxLength: 25,
  })
  .map((pieces) => Buffer.from(pieces.join(''), 'latin1'));

function hold(bytes: Uint8Array, cut: number): { text: string; ended: boolean; faults: string[] } {
  const stage = new Stage(
    (exchange) =>
      collectBody(exchange, 1_000, (body) =>
        answerText(exchange, 200, `${exchange.method} ${exchange.target} ${body}`),
      ),
    { cut },
  );
  const { peer, says, hears } = stage.connect();
  says(bytes);
  let text = hears(2_000);
  peer.pipe.end();
  text += hears(20_000);
  assert.deepEqual(stage.world.bugs, []);
  assert.deepEqual(stage.logged, []);
  const end = peer.told.find((told) => told.startsWith('lost'));
  assert.ok(end === `lost ${ENDED}`, `${end}`);
  return { text: text.replace(/Date: [^\r]*/g, ''), ended: end !== undefined, faults: stage.faults };
}

test('any conversation, however it is cut, is the same, and ends', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(conversation, (bytes) => {
      const whole = hold(bytes, 0);
      assert.deepEqual(hold(bytes, 1), whole);
      assert.deepEqual(hold(bytes, 5), whole);
      assert.doesNotMatch(whole.text, /undefined|NaN/);
    }),
    { numRuns: 400 },
  );
});

test('any bytes can be looked at, in pieces too', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(conversation, fc.boolean(), fc.boolean(), (bytes, incoming, late) => {
      const dissector = http1Dissector(incoming ? 'in' : 'out', late);
      for (let at = 0; at < bytes.length; at += 7)
        for (const piece of dissector.push(bytes, at, Math.min(bytes.length, at + 7)))
          assert.ok(piece.start < piece.end && piece.end <= bytes.length);
    }),
    { numRuns: 1_000 },
  );
});

test('heads, bodies and chunks are shown as they are; credentials are not', () => {
  const bytes = Buffer.from(
    'POST /a HTTP/1.1\r\nHost: a\r\nAuthorization: Basic c2VjcmV0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  );
  const pieces = http1Dissector('in', false).push(bytes, 0, bytes.length);
  assert.deepEqual(
    pieces.map(({ label, value }) => `${label} ${value}`),
    ['POST /a HTTP/1.1', 'chunk 3 bytes: abc', 'last chunk '],
  );
  assert.equal(pieces[0]!.pieces!.find(({ label }) => label === 'authorization')!.value, '•••');
  assert.doesNotMatch(JSON.stringify(pieces), /c2VjcmV0/);
});
