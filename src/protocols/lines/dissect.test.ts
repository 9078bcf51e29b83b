import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MASKED, type Piece } from '../../core/tap.ts';
import { linesDissector } from './dissect.ts';

function dissect(direction: 'in' | 'out', text: string, late = false, size = text.length): Piece[] {
  const dissector = linesDissector(direction, late);
  const bytes = Buffer.from(text, 'latin1');
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

test('commands, with passwords masked', () => {
  const text = 'PUB! a 1\r\nNAME ann secret\nNAM ann secret\nPUBB a 3\n\0\x01\x02\nSUB a/# after=3\nPUB\n';
  assert.deepEqual(short(dissect('in', text)), [
    '0-10 PUB! [5-6 topic a, 7-8 rest 1]',
    `10-26 NAME [15-18 name ann, 19-25 password ${MASKED}]`,
    `26-41 unknown command ${MASKED}`,
    '41-50 PUBB [46-47 topic a, 48-49 rest 3]',
    '50-53 bytes 000102',
    '54-70 SUB [58-61 filter a/#, 62-69 rest after=3]',
    '70-74 PUB there is no topic',
  ]);
  assert.deepEqual(short(dissect('in', text, false, 1)).length, 9, 'raw bytes are shown as they come');
  assert.ok(!JSON.stringify(dissect('in', text)).includes('secret'));
});

test('what is not Lines is shown once; one that joined late is not', () => {
  assert.deepEqual(short(dissect('in', 'GET / HTTP/1.1\r\nHost: a\r\n')), ['0-25 not Lines 25 bytes']);
  assert.deepEqual(short(dissect('in', 'ET x\nPING\n', true)), [`0-5 unknown command ${MASKED}`, '5-10 PING']);
});

test('what the server says', () => {
  const text = '+OK 3\na/b 21 .5\nMSGB a 2 7\n\xff\xfe\n{"ok":true}\n-ERR DENIED PUB no\n';
  assert.deepEqual(short(dissect('out', text)), [
    '0-6 +OK 3',
    '6-16 message [6-9 topic a/b, 10-15 payload 21 .5]',
    '16-27 MSGB a 2 7 [21-22 topic a]',
    '27-30 bytes fffe0a',
    '30-42 JSON {"ok":true}',
    '42-61 -ERR DENIED PUB no',
  ]);
});
