import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MASKED, type Piece } from '../../core/tap.ts';
import { http1Dissector } from './dissect.ts';

function dissect(text: string, direction: 'in' | 'out' = 'in', late = false): readonly Piece[] {
  const bytes = Buffer.from(text, 'latin1');
  return http1Dissector(direction, late).push(bytes, 0, bytes.length);
}

const short = (pieces: readonly Piece[]): string[] =>
  pieces.flatMap(({ label, value, start, end, pieces: inner = [] }) => [
    `${start}-${end} ${label}: ${value}`,
    ...short(inner).map((line) => `  ${line}`),
  ]);

test('a head has its fields, each with its line; credentials and cookies are masked', () => {
  const text = 'GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YTpi\r\nCookie: s=1\r\nAccept: */*\r\n\r\n';
  assert.deepEqual(short(dissect(text)), [
    `0-${text.length} GET: /a HTTP/1.1`,
    '  17-26 host: h',
    `  26-53 authorization: ${MASKED}`,
    `  53-66 cookie: ${MASKED}`,
    '  66-79 accept: */*',
  ]);
  assert.match(short(dissect('HTTP/1.1 200 OK\r\nSet-Cookie: s=1\r\n\r\n', 'out')).join(), /set-cookie: •••/);
});

test('what clients put into a target though it is secret is masked, and the rest is not', () => {
  for (const [target, shown] of [
    ['/a?access_token=x&b=1', `/a?access_token=${MASKED}&b=1`],
    ['/a?b=1&password=x', `/a?b=1&password=${MASKED}`],
    ['/a?tokens=1', '/a?tokens=1'],
  ]) {
    const [head] = dissect(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
    assert.equal(head!.value, `${shown} HTTP/1.1`);
    const line = head!.pieces!.find(({ label }) => label === 'target');
    // So that its bytes are not shown either.
    if (target === shown) assert.equal(line, undefined);
    else assert.deepEqual([line!.value, line!.start, line!.end], [MASKED, 0, `GET ${target} HTTP/1.1\r\n`.length]);
  }
});

test('secrets of trailers are masked', () => {
  const text =
    'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nAuthorization: secret\r\n\r\n';
  const found = short(dissect(text));
  assert.ok(found.some((line) => line.endsWith(`authorization: ${MASKED}`)));
  assert.doesNotMatch(found.join(), /secret/);
});

test('of what is no HTTP, or was met in its middle, only the size is told, also of all that follows', () => {
  for (const direction of ['in', 'out'] as const) {
    const dissector = http1Dissector(direction, true);
    for (const text of ['zation: Basic secret\r\n\r\n', 'secret']) {
      const bytes = Buffer.from(text);
      const pieces = dissector.push(bytes, 0, bytes.length);
      assert.ok(pieces.length > 0 && pieces.every(({ hidden }) => hidden === true));
      assert.doesNotMatch(JSON.stringify(pieces), /secret|736563726574/);
    }
  }
});
