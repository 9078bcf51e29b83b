// Mail that means harm, over FETCH and SEARCH as clients ask: every answer comes, short and whole, and the next command is answered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from './testing/stage.ts';

const MANY = 20_000;
const part = (of: string) => `Content-Type: ${of}\r\n\r\n`;

function nested(depth: number): string {
  let text = '';
  for (let level = 0; level < depth; level++) text += `${part(`multipart/mixed; boundary=b${level}`)}--b${level}\r\n`;
  return `${text}${part('text/plain')}the end`;
}

const HARM: Readonly<Record<string, string | Buffer>> = {
  'multiparts within each other': nested(5_000),
  'multiparts of one boundary': `${part('multipart/mixed; boundary=b')}--b\r\n`.repeat(5_000),
  'messages within each other': `${part('message/rfc822')}`.repeat(5_000),
  'parts without end': `${part('multipart/mixed; boundary=b')}${'--b\r\n\r\n\r\n'.repeat(MANY)}`,
  'lines that are nearly delimiters': `${part('multipart/mixed; boundary=b')}${'--bb\r\n'.repeat(200_000)}`,
  'fields without end': `${'X-Field: value\r\n'.repeat(200_000)}Subject: last\r\n\r\nx`,
  'a header of one field': `Subject: ${'a'.repeat(5_000_000)}\r\n\r\nx`,
  'a field of folds': `Subject: a${'\r\n b'.repeat(MANY * 10)}\r\n\r\nx`,
  'encoded words': `Subject: ${'=?utf-8?q?=C3?= '.repeat(MANY)}=?utf-8?b?####?= =?nothing?q?x?=\r\n\r\nx`,
  'encoded words that do not end': `Subject: ${'=?utf-8?q?'.repeat(MANY)}\r\n\r\nx`,
  addresses: `To: ${'a@b.test, '.repeat(MANY * 3)}c@d.test\r\n\r\nx`,
  'groups and comments': `From: ${'a:'.repeat(MANY)}${'('.repeat(MANY)}${'<'.repeat(MANY)}\r\n\r\nx`,
  quotes: `From: ${'"\\'.repeat(MANY)}\r\n\r\nx`,
  parameters: `${part(`text/plain; ${Array.from({ length: MANY }, (_, at) => `a*${at}*=%41`).join('; ')}`)}x`,
  'an encoding that is none': `${'Content-Transfer-Encoding: base64\r\n'}${part('text/plain')}${'*=A'.repeat(100_000)}`,
  'quoted-printable that is none': `${'Content-Transfer-Encoding: quoted-printable\r\n'}${part('text/plain')}${'=='.repeat(100_000)}`,
  'a charset that is none': Buffer.concat([
    Buffer.from(part('text/plain; charset=x-none')),
    Buffer.alloc(10_000, 0xff),
  ]),
  'any bytes': Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7_919 + (at >> 3)) & 0xff || 1)),
  'a line of the body': `Subject: x\r\n\r\n${'a'.repeat(3_000_000)}`,
  nothing: '',
};

const COMMANDS = [
  'FETCH 1 (ENVELOPE BODY BODYSTRUCTURE)',
  'FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT FROM TO)]<0.1000> BODY.PEEK[TEXT]<0.1000>)',
  'FETCH 1 (BODY.PEEK[1]<0.1000> BODY.PEEK[1.1.1.1.1.1.MIME]<0.1000>)',
  'FETCH 1 (BINARY.SIZE[1] ENVELOPE)',
  'SEARCH OR SUBJECT nothing TEXT nothing',
  'SORT (SUBJECT FROM DATE) UTF-8 ALL',
  'THREAD REFERENCES UTF-8 ALL',
  'NOOP',
];

for (const [name, mail] of Object.entries(HARM))
  test(`hostile mail: ${name}`, { timeout: 60_000 }, async () => {
    const stage = await Stage.open();
    await stage.deliver(mail);
    const talk = await stage.selected();
    for (const command of COMMANDS) {
      const answer = await talk.hears(`t ${command}\r\n`);
      assert.match(answer, /(^|\n)t (OK|NO \[UNKNOWN-CTE\])[^\r]*\r\n$/, command);
      assert.ok(answer.length < 2_000_000, `${command}: ${answer.length} bytes`);
    }
    assert.deepEqual([stage.faulted, stage.world.bugs], [[], []]);
  });
