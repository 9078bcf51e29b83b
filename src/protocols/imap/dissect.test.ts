// What the inspector is shown of IMAP and POP3: commands and responses by name, literals by size, and no secret.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Direction, Piece } from '../../core/tap.ts';
import { pop3Dissector } from '../pop3/dissect.ts';
import { imapDissector } from './dissect.ts';

type Make = typeof imapDissector;

function pieces(make: Make, direction: Direction, text: string, cut = 0): Piece[] {
  const dissector = make(direction);
  const bytes = Buffer.from(text);
  const found: Piece[] = [];
  const step = cut === 0 ? bytes.length : cut;
  for (let at = 0; at < bytes.length; at += step)
    found.push(...dissector.push(bytes, at, Math.min(bytes.length, at + step)));
  return found;
}

const shown = (all: readonly Piece[]) => all.map(({ label, value }) => `${label}|${value}`);

const SAID = [
  'a LOGIN ann secret-1',
  'b login {3+}',
  'ann {8}',
  'secret-2',
  'c AUTHENTICATE PLAIN c2VjcmV0LTM=',
  'd AUTHENTICATE PLAIN',
  'c2VjcmV0LTQ=',
  'e UID FETCH 1:* (FLAGS)',
  'f APPEND INBOX {7+}',
  'a\r\nb\r\nc',
  'g IDLE',
  'DONE',
  'x secret-5',
  '',
].join('\r\n');

test('commands by name, secrets masked, literals by size', () => {
  assert.deepEqual(shown(pieces(imapDissector, 'in', SAID)), [
    'LOGIN|•••',
    'LOGIN|•••',
    'literal|3 bytes',
    '…|•••',
    'literal|8 bytes',
    '…|•••',
    'AUTHENTICATE|PLAIN •••',
    'AUTHENTICATE|PLAIN',
    'response|•••',
    'UID FETCH|1:* (FLAGS)',
    'APPEND|INBOX {7+}',
    'literal|7 bytes',
    '…|',
    'IDLE|',
    'DONE|',
    'response|•••',
  ]);
});

test('responses by name', () => {
  const told =
    '* OK [CAPABILITY IMAP4rev2] Hello.\r\n+ cj1hYmM=\r\n+ Go on.\r\n* 1 FETCH (BODY[] {4}\r\na\r\nb FLAGS ())\r\na OK Done.\r\n';
  assert.deepEqual(shown(pieces(imapDissector, 'out', told)), [
    'OK|[CAPABILITY IMAP4rev2] Hello.',
    '+|•••',
    '+|Go on.',
    '1|FETCH (BODY[] {4}',
    'literal|4 bytes',
    '…| FLAGS ())',
    'a OK|Done.',
  ]);
});

test('however it is cut, it is the same, without a secret, and every byte is accounted for', () => {
  const whole = pieces(imapDissector, 'in', SAID);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), (cut) =>
      assert.deepEqual(pieces(imapDissector, 'in', SAID, cut), whole),
    ),
  );
  assert.doesNotMatch(JSON.stringify(whole), /secret|c2Vj/);
  let at = 0;
  for (const { start, end } of whole) {
    assert.equal(start, at);
    at = end;
  }
  assert.equal(at, Buffer.byteLength(SAID));
});

test('POP3: commands and replies, secrets masked', () => {
  const said = 'USER ann\r\nPASS secret\r\nAUTH PLAIN c2VjcmV0\r\nAUTH PLAIN\r\nc2VjcmV0\r\nSTAT\r\n';
  assert.deepEqual(shown(pieces(pop3Dissector, 'in', said)), [
    'USER|ann',
    'PASS|•••',
    'AUTH|PLAIN •••',
    'AUTH|PLAIN',
    'response|•••',
    'STAT|',
  ]);
  assert.deepEqual(
    shown(pieces(pop3Dissector, 'out', '+OK Hello.\r\n-ERR [AUTH] No.\r\n+ cj1h\r\nSubject: x\r\n.\r\n')),
    ['+OK|Hello.', '-ERR|[AUTH] No.', '+|•••', 'line|Subject: x', 'line|.'],
  );
});

test('any bytes neither throw nor hang', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom<Direction>('in', 'out'), (bytes, direction) => {
      for (const make of [imapDissector, pop3Dissector]) make(direction).push(bytes, 0, bytes.length);
    }),
  );
});
