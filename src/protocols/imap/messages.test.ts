// What is said of messages: the RFCs' own examples of ENVELOPE, BODYSTRUCTURE, sections and partial fetch, every key of SEARCH,
// SORT and THREAD, CONDSTORE and QRESYNC.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CommandReader } from './codec.ts';
import { matches } from './listing.ts';
import { bytesOf, cutPartial, cutTop } from './sections.ts';
import { joined, setText, within } from './sets.ts';
import { baseSubject } from './sort.ts';
import { Stage, type Talk } from './testing/stage.ts';
import { type Threaded, threads } from './thread.ts';
import { decodeUtf7, encodeUtf7 } from './utf7.ts';

async function holding(...messages: readonly (string | Buffer)[]): Promise<Talk> {
  const stage = await Stage.open();
  for (const message of messages) await stage.deliver(message);
  return stage.selected();
}

// RFC 3501 §8, with its body of 92 lines and 3028 octets.
const BODY = `${`${'x'.repeat(31)}\r\n`.repeat(91)}${'y'.repeat(3_028 - 91 * 33 - 2)}\r\n`;
const CORRIDOR = [
  'Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)',
  'From: Terry Gray <gray@cac.washington.edu>',
  'Subject: IMAP4rev1 WG mtg summary and minutes',
  'To: imap@cac.washington.edu',
  'cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>',
  'Message-Id: <B27397-0100000@cac.washington.edu>',
  'MIME-Version: 1.0',
  'Content-Type: TEXT/PLAIN; CHARSET=US-ASCII',
  '',
  BODY,
].join('\r\n');

test('the example of RFC 3501 §8: ENVELOPE and BODY', async () => {
  const talk = await holding(CORRIDOR);
  assert.equal(
    await talk.does('FETCH 1 (ENVELOPE BODY)'),
    '* 1 FETCH (ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" ' +
      '(("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) ' +
      '(("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) ' +
      '((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL ' +
      '"<B27397-0100000@cac.washington.edu>") BODY ("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 3028 92))\r\n',
  );
});

test('ENVELOPE of groups, strange strings and missing fields (RFC 9051 §7.5.2)', async () => {
  const talk = await holding(
    'From: "A \\"B\\" C" <a@x.test>\r\nSender: s@x.test\r\nTo: Team: one@x.test, "Two, B." <two@x.test>;, last@x.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nx',
    Buffer.from('Subject: Grüße\r\nTo: undisclosed-recipients:;\r\n\r\nx'),
    'X: y\r\n\r\n',
  );
  const told = await talk.does('FETCH 1:3 ENVELOPE');
  assert.ok(
    told.includes(
      '(NIL "=?utf-8?q?Gr=C3=BC=C3=9Fe?=" (("A \\"B\\" C" NIL "a" "x.test")) ((NIL NIL "s" "x.test")) (("A \\"B\\" C" NIL "a" "x.test")) ' +
        '((NIL NIL "Team" NIL)(NIL NIL "one" "x.test")("Two, B." NIL "two" "x.test")(NIL NIL NIL NIL)(NIL NIL "last" "x.test")) NIL NIL NIL NIL)',
    ),
    told,
  );
  assert.ok(
    told.includes(
      `(NIL {8}\r\n${Buffer.from('Grüße').toString('latin1')} NIL NIL NIL ((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)`,
    ) || told.includes('{7}'),
    told,
  );
  assert.ok(told.includes('* 3 FETCH (ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL))'), told);
  await talk.does('ENABLE UTF8=ACCEPT');
  assert.ok((await talk.does('FETCH 2 ENVELOPE')).includes(`(NIL "${Buffer.from('Grüße').toString('latin1')}" NIL`));
});

// The message whose parts RFC 3501 §6.4.5 numbers.
const PARTS = [
  'Content-Type: multipart/mixed; boundary=a',
  '',
  'preamble',
  '--a',
  '',
  'one',
  '--a',
  'Content-Type: application/octet-stream; name="x y.bin"',
  'Content-Transfer-Encoding: base64',
  'Content-Disposition: attachment; filename="x y.bin"',
  '',
  'AAEC',
  '--a',
  'Content-Type: message/rfc822',
  '',
  'Subject: inner',
  'Content-Type: text/plain; charset=utf-8',
  '',
  'three',
  '--a',
  'Content-Type: message/rfc822',
  '',
  'Subject: deep',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  '',
  'four one',
  '--b',
  'Content-Type: multipart/alternative; boundary=c',
  'Content-Language: en, de',
  '',
  '--c',
  'Content-Type: text/plain',
  '',
  'four two one',
  '--c',
  'Content-Type: text/html',
  'Content-ID: <id@x>',
  '',
  '<p>',
  '--c--',
  '--b--',
  '--a--',
  '',
].join('\r\n');

test('sections by number (RFC 9051 §6.4.5.1)', async () => {
  const talk = await holding(PARTS);
  const of = async (section: string) => {
    const told = await talk.does(`FETCH 1 BODY.PEEK[${section}]`);
    const literal = /\{(\d+)\}\r\n/.exec(told);
    if (literal === null) return /\] (.*)\)\r\n$/.exec(told)![1];
    const start = literal.index + literal[0].length;
    return told.slice(start, start + Number(literal[1]));
  };
  for (const [section, text] of [
    ['1', 'one'],
    ['2', 'AAEC'],
    ['3', 'Subject: inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nthree'],
    ['3.HEADER', 'Subject: inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'],
    ['3.TEXT', 'three'],
    ['3.1', 'three'],
    ['3.MIME', 'Content-Type: message/rfc822\r\n\r\n'],
    ['4.1', 'four one'],
    ['4.2.1', 'four two one'],
    ['4.2.2', '<p>'],
    ['4.2.2.MIME', 'Content-Type: text/html\r\nContent-ID: <id@x>\r\n\r\n'],
    ['4.HEADER.FIELDS (SUBJECT)', 'Subject: deep\r\n\r\n'],
    ['HEADER.FIELDS.NOT (CONTENT-TYPE)', '\r\n'],
    ['HEADER.FIELDS (X-None)', '\r\n'],
    ['9', 'NIL'],
    ['1.HEADER', 'NIL'],
    ['', PARTS],
    ['TEXT', PARTS.slice(PARTS.indexOf('preamble'))],
  ])
    assert.equal(await of(section as string), text, section as string);
});

test('BODYSTRUCTURE with all that extends it (RFC 9051 §7.5.2)', async () => {
  const talk = await holding(PARTS);
  const told = await talk.does('FETCH 1 BODYSTRUCTURE');
  for (const piece of [
    '("text" "plain" NIL NIL NIL "7bit" 3 0 NIL NIL NIL NIL)',
    '("application" "octet-stream" ("name" "x y.bin") NIL NIL "base64" 4 NIL ("attachment" ("filename" "x y.bin")) NIL NIL)',
    '("message" "rfc822" NIL NIL NIL "7bit" 64 (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 5 0 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)',
    '("text" "html" NIL "<id@x>" NIL "7bit" 3 0 NIL NIL NIL NIL) "alternative" ("boundary" "c") NIL ("en" "de") NIL)',
    ' "mixed" ("boundary" "a") NIL NIL NIL))',
  ])
    assert.ok(told.includes(piece), `${piece} in ${told}`);
});

test('partial fetch (RFC 9051 §6.4.5)', async () => {
  const talk = await holding(CORRIDOR);
  assert.match(await talk.does('FETCH 1 BODY.PEEK[TEXT]<0.4>'), /BODY\[TEXT\]<0> \{4\}\r\nxxxx\)/);
  assert.match(await talk.does('FETCH 1 BODY.PEEK[TEXT]<3026.100>'), /BODY\[TEXT\]<3026> \{2\}\r\n\r\n\)/);
  assert.match(await talk.does('FETCH 1 BODY.PEEK[TEXT]<9999.4>'), /BODY\[TEXT\]<9999> ""\)/);
  assert.match(await talk.does('FETCH 1 BODY.PEEK[HEADER.FIELDS (TO SUBJECT)]<9.9>'), /<9> \{9\}\r\nIMAP4rev1\)/);
});

test('a part of any cut is that part of its bytes', () => {
  const message = Buffer.from(CORRIDOR);
  const section = { numbers: [], what: 'FIELDS' as const, fields: new Set(['to', 'date', 'subject']) };
  const cut = cutTop(message, section)!;
  const whole = bytesOf(message, cut);
  assert.equal(whole.length, cut.size);
  fc.assert(
    fc.property(fc.nat(300), fc.integer({ min: 1, max: 300 }), (offset, count) => {
      const part = cutPartial(cut, [offset, count]);
      if (part.size >= 0)
        assert.equal(bytesOf(message, part).toString(), whole.subarray(offset, offset + count).toString());
    }),
  );
});

test('BINARY: parts without their transfer encoding (RFC 3516 §4.2)', async () => {
  const talk = await holding(PARTS);
  assert.equal(
    await talk.does('FETCH 1 (BINARY.PEEK[2] BINARY.SIZE[2])'),
    '* 1 FETCH (BINARY[2] ~{3}\r\n\0\x01\x02 BINARY.SIZE[2] 3)\r\n',
  );
  const odd = await holding('Content-Transfer-Encoding: odd\r\n\r\nx');
  assert.match(await odd.hears('a FETCH 1 BINARY.PEEK[1]\r\n'), /a NO \[UNKNOWN-CTE\]/);
});

test('every key of SEARCH (RFC 9051 §6.4.4)', async () => {
  const stage = await Stage.open();
  await stage.deliver(
    'From: Ann <ann@x.test>\r\nTo: bob@x.test\r\nCc: carl@x.test\r\nBcc: dan@x.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Tue, 1 Feb 1994 21:52:25 -0800\r\nX-Odd: value\r\n\r\nfirst body\r\n',
  );
  await stage.deliver(
    `From: eve@x.test\r\nSubject: second\r\nDate: Wed, 2 Feb 1994 21:52:25 -0800\r\nContent-Transfer-Encoding: base64\r\n\r\n${Buffer.from('Hidden in base64').toString('base64')}\r\n`,
  );
  const talk = await stage.selected();
  const mail =
    'Subject: third\r\n\r\nlonger body text here, so that it is the largest one of the three that are here now\r\n'.repeat(
      5,
    );
  await talk.hears(`a APPEND INBOX (\\Answered \\Draft) "17-Jul-1996 02:44:25 -0700" {${mail.length}+}\r\n${mail}\r\n`);
  await talk.does('STORE 1 FLAGS (\\Seen \\Flagged word)');
  await talk.does('STORE 2 FLAGS (\\Deleted)');
  for (const [key, numbers] of [
    ['ALL', '1 2 3'],
    ['ANSWERED', '3'],
    ['BCC dan', '1'],
    ['BEFORE 1-Jan-1990', '1 2'],
    ['BODY "first"', '1'],
    ['BODY hidden', '2'],
    ['CC CARL', '1'],
    ['DELETED', '2'],
    ['DRAFT', '3'],
    ['FLAGGED', '1'],
    ['FROM ann', '1'],
    ['HEADER X-Odd ""', '1'],
    ['HEADER X-Odd val', '1'],
    ['HEADER X-Even ""', ''],
    ['KEYWORD word', '1'],
    ['LARGER 400', '3'],
    ['NEW', '2 3'],
    ['NOT SEEN', '2 3'],
    ['OLD', ''],
    ['ON 17-Jul-1996', '3'],
    ['OR SEEN DELETED', '1 2'],
    ['RECENT', '1 2 3'],
    ['SEEN', '1'],
    ['SENTBEFORE 2-Feb-1994', '1'],
    ['SENTON 2-Feb-1994', '2'],
    ['SENTSINCE 1-Feb-1994', '1 2'],
    ['SINCE 1-Jan-1995', '3'],
    ['SMALLER 400', '1 2'],
    ['CHARSET UTF-8 SUBJECT {7+}\r\ngrüße', '1'],
    ['TEXT value', '1'],
    ['TO bob', '1'],
    ['UID 2:3', '2 3'],
    ['UNANSWERED', '1 2'],
    ['UNDELETED', '1 3'],
    ['UNDRAFT', '1 2'],
    ['UNFLAGGED', '2 3'],
    ['UNKEYWORD word', '2 3'],
    ['UNSEEN', '2 3'],
    ['2:*', '2 3'],
    ['(1,3) (SEEN)', '1'],
    ['NOT (OR SEEN (DELETED 2))', '3'],
    ['MODSEQ 1', '1 2 3'],
    ['OLDER 60', '1 2 3'],
    ['YOUNGER 60', ''],
  ]) {
    const told = await talk.does(`SEARCH ${key}`);
    assert.equal(
      told.replace(/ \(MODSEQ \d+\)/, ''),
      `* SEARCH${numbers === '' ? '' : ` ${numbers}`}\r\n`,
      key as string,
    );
  }
  assert.match(await talk.hears('a SEARCH CHARSET KOI8-R ALL\r\n'), /^a NO \[BADCHARSET/);
  assert.match(await talk.hears(`a SEARCH ${'NOT '.repeat(60)}ALL\r\n`), /^a BAD It is nested too deep/);
});

test('results as they are asked for (RFC 4731, 5182, 9394, 9051 §7.3.4)', async () => {
  const talk = await holding(
    'Subject: a\r\n\r\n1',
    'Subject: b\r\n\r\n2',
    'Subject: a\r\n\r\n3',
    'Subject: a\r\n\r\n4',
  );
  assert.equal(await talk.does('SEARCH RETURN () SUBJECT a'), '* ESEARCH (TAG "t") ALL 1,3:4\r\n');
  assert.equal(
    await talk.does('UID SEARCH RETURN (MIN MAX COUNT) SUBJECT a'),
    '* ESEARCH (TAG "t") UID MIN 1 MAX 4 COUNT 3\r\n',
  );
  assert.equal(await talk.does('SEARCH RETURN (COUNT) SUBJECT z'), '* ESEARCH (TAG "t") COUNT 0\r\n');
  assert.equal(
    await talk.does('SEARCH RETURN (PARTIAL -1:-2) SUBJECT a'),
    '* ESEARCH (TAG "t") PARTIAL (-1:-2 3:4)\r\n',
  );
  assert.equal(await talk.does('SEARCH RETURN (SAVE) SUBJECT b'), '');
  assert.equal(await talk.does('FETCH $ (UID)'), '* 2 FETCH (UID 2)\r\n');
  assert.equal(await talk.does('SEARCH OR $ 4'), '* SEARCH 2 4\r\n');
  assert.equal(await talk.does('UID FETCH 1:* (UID) (PARTIAL 2:3)'), '* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\n');
  await talk.does('ENABLE IMAP4rev2');
  assert.equal(await talk.does('SEARCH SUBJECT a'), '* ESEARCH (TAG "t") ALL 1,3:4\r\n');
  const selected = await talk.does('SELECT INBOX');
  assert.doesNotMatch(selected, /RECENT|UNSEEN/);
  assert.match(selected, /\* LIST \(\) "\/" INBOX\r\n/);
});

test('SORT by each criterion (RFC 5256 §3)', async () => {
  const talk = await holding(
    'From: b@x\r\nTo: z@x\r\nSubject: Re: beta\r\nDate: Tue, 1 Feb 1994 10:00:00 +0000\r\n\r\nlong long long',
    'From: A <a@x>\r\nTo: y@x\r\nCc: c@x\r\nSubject: alpha\r\nDate: Tue, 1 Feb 1994 12:00:00 +0000\r\n\r\n',
    'From: c@x\r\nTo: y@x\r\nSubject: [list] beta (fwd)\r\nDate: Tue, 1 Feb 1994 11:00:00 +0000\r\n\r\nx',
  );
  for (const [criteria, order] of [
    ['ARRIVAL', '1 2 3'],
    ['CC', '1 3 2'],
    ['DATE', '1 3 2'],
    ['REVERSE DATE', '2 3 1'],
    ['FROM', '2 1 3'],
    ['SIZE', '2 3 1'],
    ['SUBJECT', '2 1 3'],
    ['SUBJECT REVERSE DATE', '2 3 1'],
    ['TO FROM', '2 3 1'],
  ])
    assert.equal(await talk.does(`SORT (${criteria}) UTF-8 ALL`), `* SORT ${order}\r\n`, criteria as string);
  assert.equal(
    await talk.does('UID SORT RETURN (COUNT ALL) (SUBJECT) UTF-8 2:3'),
    '* ESEARCH (TAG "t") UID ALL 2:3 COUNT 2\r\n',
  );
});

test('base subjects (RFC 5256 §2.1)', () => {
  for (const [subject, base] of [
    ['Re: hello', 'hello'],
    ['RE[2]: Fwd: hello (fwd) ', 'hello'],
    ['[list] hello', 'hello'],
    ['[list]', '[list]'],
    ['[fwd: hello]', 'hello'],
    ['fw : x', 'x'],
    ['Re:', ''],
    ['=?utf-8?q?Re=3A_Gr=C3=BC=C3=9Fe?=', 'grüße'],
    ['  a   b  ', 'a b'],
  ])
    assert.equal(baseSubject(subject!).base, base as string, subject as string);
});

test('THREAD by references and by subject (RFC 5256 §3)', () => {
  const message = (place: number, id: string, references: string[], subject: string, isReply = false): Threaded => ({
    place,
    date: place,
    id,
    references,
    subject,
    isReply,
  });
  const all = [
    message(0, '<a>', [], 's'),
    message(1, '<b>', ['<a>'], 's', true),
    message(2, '<c>', ['<a>', '<b>'], 's', true),
    message(3, '<d>', ['<a>'], 's', true),
    message(4, '<e>', ['<gone>'], 'other', true),
    message(5, '<f>', ['<gone>'], 'other', true),
    message(6, '<g>', [], 's', true),
    message(7, '<h>', [], ''),
  ];
  const number = (place: number) => place + 1;
  assert.equal(threads(all, true, number), '(1 (2 3)(4)(7))((5)(6))(8)');
  assert.equal(threads(all, false, number), '(1 (2)(3)(4)(7))(5 6)(8)');
  // Loops of references, and one that refers to itself.
  const loop = [message(0, '<a>', ['<b>'], 'x'), message(1, '<b>', ['<a>'], 'y'), message(2, '<c>', ['<c>'], 'z')];
  assert.deepEqual([...threads(loop, true, number).matchAll(/\d/g)].map(([one]) => one).sort(), ['1', '2', '3']);
  const deep = Array.from({ length: 5_000 }, (_, at) =>
    message(at, `<${at}>`, at === 0 ? [] : [`<${at - 1}>`], `s${at}`),
  );
  assert.equal(threads(deep, true, number).match(/\d+/g)!.length, 5_000);
});

test('any references give each message once', () => {
  const id = fc.constantFrom('<a>', '<b>', '<c>', '<d>', '<e>', '');
  const one = fc.record({
    id,
    references: fc.array(fc.constantFrom('<a>', '<b>', '<c>', '<d>', '<e>', '<f>'), { maxLength: 4 }),
    subject: fc.constantFrom('', 'x', 'y'),
    isReply: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 12 }), (many) => {
      const all = many.map((each, place) => ({ ...each, place, date: place % 3 }));
      for (const byReferences of [true, false]) {
        const told = (threads(all, byReferences, (place) => place + 1).match(/\d+/g) ?? []).map(Number);
        assert.deepEqual(
          told.sort((a, b) => a - b),
          all.map(({ place }) => place + 1),
        );
      }
    }),
    { numRuns: 500 },
  );
});

test('CONDSTORE: mod-sequences, UNCHANGEDSINCE, CHANGEDSINCE (RFC 7162 §3.1)', async () => {
  const stage = await Stage.open();
  for (const subject of ['a', 'b', 'c']) await stage.deliver(`Subject: ${subject}\r\n\r\nx`);
  const talk = await stage.selected();
  const [, first] = /MODSEQ \((\d+)\)/.exec(await talk.does('FETCH 1 (MODSEQ)'))!;
  assert.match(await talk.does('STORE 1 +FLAGS.SILENT (\\Seen)'), /^\* 1 FETCH \(UID 1 MODSEQ \(\d+\)\)\r\n$/);
  const highest = /HIGHESTMODSEQ (\d+)/.exec(await talk.does('STATUS INBOX (HIGHESTMODSEQ)'))![1];
  const refused = await talk.hears(`a STORE 1:2 (UNCHANGEDSINCE ${first}) +FLAGS (\\Flagged)\r\n`);
  assert.match(refused, /\* 1 FETCH \(UID 1 FLAGS \(\\Recent \\Seen\) MODSEQ/);
  assert.match(refused, /a OK \[MODIFIED 1(?:,2|:2)?\]/);
  await talk.does('STORE 3 +FLAGS.SILENT (\\Answered)');
  const changed = await talk.does(`UID FETCH 1:* (FLAGS) (CHANGEDSINCE ${highest})`);
  assert.match(changed, /UID 3 FLAGS \(\\Recent \\Answered\)|\(MODSEQ \(\d+\) UID 3 FLAGS/);
  assert.doesNotMatch(changed, /UID 1 /);
});

test('QRESYNC: what went and what changed meanwhile (RFC 7162 §3.2)', async () => {
  const stage = await Stage.open();
  for (let at = 0; at < 6; at++) await stage.deliver(`Subject: ${at}\r\n\r\nx`);
  const talk = await stage.selected();
  const before = await talk.does('STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ)');
  const [, validity, modseq] = /UIDVALIDITY (\d+) HIGHESTMODSEQ (\d+)/.exec(before)!;
  await talk.does('STORE 2,4:5 +FLAGS.SILENT (\\Deleted)');
  await talk.does('EXPUNGE');
  await talk.does('UID STORE 3 +FLAGS.SILENT (\\Flagged)');
  const again = await stage.signedIn();
  assert.match(await again.hears(`a SELECT INBOX (QRESYNC (${validity} ${modseq}))\r\n`), /^a BAD/);
  await again.does('ENABLE QRESYNC');
  const told = await again.does(`SELECT INBOX (QRESYNC (${validity} ${modseq} 1:6 (1:3 1:3)))`);
  assert.match(told, /\* VANISHED \(EARLIER\) 2,4:5\r\n/);
  assert.match(told, /\* 2 FETCH \(UID 3 FLAGS \(\\Flagged\) MODSEQ \(\d+\)\)\r\n/);
  assert.doesNotMatch(told, /FETCH \(UID 1 /);
  assert.match(await again.does(`SELECT INBOX (QRESYNC (1 1))`), /\[CLOSED\]/);
  await again.does('STORE 1 +FLAGS.SILENT (\\Deleted)');
  // What is known with it is told, where something went (§3.2.7).
  const expunged = await again.hears('e EXPUNGE\r\n');
  const [, highest] = /^\* VANISHED 1\r\ne OK \[HIGHESTMODSEQ (\d+)\] /.exec(expunged)!;
  assert.match(await again.does('STATUS INBOX (HIGHESTMODSEQ)'), new RegExp(`HIGHESTMODSEQ ${highest}\\)`));
  assert.match(await again.hears('f EXPUNGE\r\n'), /^f OK Done/);
  assert.match(await again.hears('g MOVE 1 Trash\r\n'), /\* VANISHED 3\r\ng OK \[HIGHESTMODSEQ \d+\] /);
  assert.equal(
    await again.does(`UID FETCH 1:* (FLAGS) (CHANGEDSINCE ${modseq} VANISHED)`).then((text) => text.split('\r\n')[0]),
    '* VANISHED (EARLIER) 1:5',
  );
});

test('modified UTF-7 both ways (RFC 3501 §5.1.3)', () => {
  assert.equal(decodeUtf7('~peter/mail/&U,BTFw-/&ZeVnLIqe-'), '~peter/mail/台北/日本語');
  assert.equal(encodeUtf7('~peter/mail/台北/日本語'), '~peter/mail/&U,BTFw-/&ZeVnLIqe-');
  assert.equal(decodeUtf7('&Jjo'), null);
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => assert.equal(decodeUtf7(encodeUtf7(text)), text)));
});

test('wildcards (RFC 9051 §6.3.9)', () => {
  for (const [pattern, name, is] of [
    ['*', 'a/b', true],
    ['%', 'a/b', false],
    ['%/%', 'a/b', true],
    ['a*b', 'a/x/b', true],
    ['a%b', 'a/b', false],
    ['', '', true],
    ['**%*', 'x', true],
    ['a', 'ab', false],
  ] as const)
    assert.equal(matches(pattern, name), is, `${pattern} ${name}`);
  assert.equal(matches(`${'*a'.repeat(400)}`, 'a'.repeat(399)), false);
});

test('sets: joined, met, written', () => {
  assert.deepEqual(joined([5, 7, 0, 2, 2, 3, 6, 9]), [0, 3, 5, 9]);
  assert.deepEqual(within([0, 5, 8, 10], [3, 9]), [3, 5, 8, 9]);
  assert.equal(setText([1, 2, 3, 7, 6, 9]), '1:3,7,6,9');
});

test('dates, numbers and strings of the grammar (RFC 9051 §9)', () => {
  const read = <Value>(text: string, of: (reader: CommandReader) => Value): Value | null => {
    const reader = new CommandReader();
    const bytes = Buffer.from(text);
    reader.begin(bytes, 0, bytes.length);
    const value = of(reader);
    return reader.done() ? value : null;
  };
  const dateTime = (text: string) => read(text, (reader) => reader.dateTime());
  assert.equal(dateTime('"17-Jul-1996 02:44:25 -0700"'), Date.UTC(1996, 6, 17, 9, 44, 25));
  assert.equal(dateTime('" 1-Jul-1996 02:44:25 +0130"'), Date.UTC(1996, 6, 1, 1, 14, 25));
  for (const wrong of ['"31-Feb-1996 02:44:25 -0700"', '"17-Jul-1996"', '"17-Jul-1996 25:44:25 -0700"', '17-Jul-1996'])
    assert.equal(dateTime(wrong), null, wrong);
  const astring = (text: string) => read(text, (reader) => reader.astring());
  assert.equal(astring('"a \\"b\\" \\\\c"'), 'a "b" \\c');
  assert.equal(astring('{3}\r\na"b'), 'a"b');
  assert.equal(astring('a]b'), 'a]b');
  for (const wrong of ['', '"abc', 'a b', '{9}\r\nabc', '(', '"a\\"']) assert.equal(astring(wrong), null, wrong);
  assert.deepEqual(
    read('1:3,*,7:*', (reader) => reader.set()),
    [1, 3, 2 ** 32, 2 ** 32, 7, 2 ** 32],
  );
  for (const wrong of ['0', '1:', ',1', '4294967296'])
    assert.equal(
      read(wrong, (reader) => reader.set()),
      null,
      wrong,
    );
});

test('what a mail says of itself is bounded in what is told of it', async () => {
  const huge = `Subject: ${'x'.repeat(900_000)}\r\nTo: ${'a,'.repeat(400_000)}a\r\n`;
  const nested = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${`--b\r\nContent-Type: message/rfc822\r\nContent-Description: ${'d'.repeat(2_000)}\r\n\r\nTo: ${'a,'.repeat(2_000)}a\r\n\r\nx\r\n`.repeat(1_500)}--b--\r\n`;
  const stage = await Stage.open();
  await stage.deliver(`${huge}\r\nx`);
  await stage.deliver(nested);
  await stage.deliver(`${'A: 1\r\nB: 2\r\n'.repeat(200_000)}\r\nx`);
  const talk = await stage.selected();
  for (const items of ['ENVELOPE', '(BODY BODYSTRUCTURE ENVELOPE BODYSTRUCTURE)', 'BODY.PEEK[HEADER.FIELDS (A)]']) {
    const told = await talk.hears(`a FETCH 1:3 ${items}\r\n`);
    assert.match(told.slice(-200), /\r\na OK Done\.\r\n$/);
  }
  assert.deepEqual(stage.world.bugs, []);
});

test('no more of one message is decoded at once than may be', async () => {
  const encoded = Buffer.alloc(6_000_000).toString('base64').replace(/.{76}/g, '$&\r\n');
  const talk = await holding(`Content-Transfer-Encoding: base64\r\n\r\n${encoded}`);
  const items = Array.from({ length: 20 }, (_, at) => `BINARY.PEEK[1]<${at}.1>`).join(' ');
  const told = await talk.hears(`a FETCH 1 (${items})\r\n`);
  assert.match(told, /BINARY\[1\]<0> ~\{1\}\r\n\0 .*BINARY\[1\]<19> NIL\)\r\na NO \[LIMIT\]/s);
});

test('a client that reads slowly gets all that it asked for, in bounded memory', async () => {
  const stage = await Stage.open({ highMark: 4_096 });
  for (let at = 0; at < 60; at++) await stage.deliver(`Subject: ${at}\r\n\r\n${'line\r\n'.repeat(200)}`);
  const talk = await stage.selected();
  let most = 0;
  talk.peer.onReceive = () => {
    most = Math.max(most, talk.server.queued);
  };
  for (let at = 0; at < 300; at++) await talk.does(`CREATE "folder ${at}"`);
  assert.equal((await talk.does('LIST "" folder*')).match(/\r\n/g)!.length, 300);
  assert.equal((await talk.does('LIST "" folder* RETURN (STATUS (MESSAGES))')).match(/STATUS/g)!.length, 300);
  assert.equal((await talk.does('FETCH 1:* BODY.PEEK[]')).match(/BODY\[\] \{/g)!.length, 60);
  assert.equal((await talk.does('FETCH 1:* (FLAGS ENVELOPE)')).match(/ENVELOPE/g)!.length, 60);
  assert.ok(most < 16_384, `${most} bytes were queued`);
  assert.deepEqual(stage.world.bugs, []);
});

test('more changes than are held one by one are all told', async () => {
  const stage = await Stage.open();
  const talk = await stage.selected();
  const mailbox = await stage.mail.open({ account: 'ann', scopes: null, origin: 'local', epoch: 1 }, 'ann@example.org');
  assert.ok(typeof mailbox !== 'number');
  const bytes = Buffer.from('x: y\r\n\r\n');
  const count = 21_000;
  for (let at = 0; at < count; at += 1_000)
    await Promise.all(
      Array.from({ length: 1_000 }, async () => {
        const mail = await mailbox.append('INBOX', bytes.length, { flags: 0, keywords: [] });
        assert.ok(typeof mail !== 'number');
        mail.write(bytes, 0, bytes.length);
        await mail.commit();
      }),
    );
  await talk.does('NOOP');
  assert.equal(await talk.does('SEARCH RETURN (COUNT) ALL'), `* ESEARCH (TAG "t") COUNT ${count}\r\n`);
  assert.equal(
    await talk.does(`SEARCH RETURN (ALL) NOT 2:20999 ${'UNSEEN '.repeat(900)}ALL`),
    '* ESEARCH (TAG "t") ALL 1,21000\r\n',
  );
  assert.match(await talk.hears(`a SEARCH ${'SEEN '.repeat(1_000)}ALL\r\n`), /^a BAD/);
  const folder = await mailbox.open('INBOX');
  assert.ok(typeof folder !== 'number');
  await mailbox.flag(folder, [...folder.uids.subarray(0, folder.count)], { how: 'add', flags: 1, keywords: [] });
  let told = 0;
  for (let round = 0; round < 10 && told < count; round++)
    told += ((await talk.does('NOOP')).match(/ FETCH \(UID/g) ?? []).length;
  assert.equal(told, count);
  assert.equal(await talk.does('NOOP'), '');
  await mailbox.expunge(folder, [...folder.uids.subarray(0, folder.count)], true);
  assert.equal((await talk.does('NOOP')).match(/ EXPUNGE/g)!.length, count);
  assert.deepEqual(stage.world.bugs, []);
});
