// MIME against the examples of its RFCs, against hostile input, and against itself: what is composed is read back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressText, readAddresses } from './addresses.ts';
import { compose } from './compose.ts';
import { fieldOf, HeaderReader } from './header.ts';
import { readParameters } from './parameters.ts';
import { parseMessage } from './parsed.ts';
import { linesOf, type Part, partAt, readStructure } from './structure.ts';
import { base64Lines, decodeTransfer, quotedPrintableText } from './transfer.ts';
import { decodeWords, encodeWords } from './words.ts';

function bytesOf(...lines: string[]): Buffer {
  return Buffer.from(lines.join('\r\n'));
}

function structureOf(...lines: string[]): Part {
  const bytes = bytesOf(...lines);
  return readStructure(bytes, 0, bytes.length);
}

function outline({ type, subtype, parts, message }: Part): unknown {
  if (message !== null) return [`${type}/${subtype}`, outline(message)];
  return parts.length > 0 ? [`${type}/${subtype}`, ...parts.map(outline)] : `${type}/${subtype}`;
}

test('RFC 2047 §8: encoded words', () => {
  for (const [encoded, decoded] of [
    ['=?US-ASCII?Q?Keith_Moore?=', 'Keith Moore'],
    ['=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=', 'Keld Jørn Simonsen'],
    ['=?ISO-8859-1?Q?Andr=E9?= Pirard', 'André Pirard'],
    [
      '=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=',
      'If you can read this you understand the example.',
    ],
    ['(=?ISO-8859-1?Q?a?=)', '(a)'],
    ['(=?ISO-8859-1?Q?a?= b)', '(a b)'],
    ['(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)', '(ab)'],
    ['(=?ISO-8859-1?Q?a?=  \r\n  =?ISO-8859-1?Q?b?=)', '(ab)'],
    ['(=?ISO-8859-1?Q?a_b?=)', '(a b)'],
    ['(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)', '(a b)'],
    // A character that is split over two words (RFC 2047 §5 forbids it; mailers do it).
    ['=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=', 'café'],
    ['=?utf-8*en?q?caf=C3=A9?=', 'café'],
    ['=?x-unknown?q?caf=E9?=', 'café'],
    ['=?no words', '=?no words'],
  ] as const)
    assert.equal(decodeWords(encoded), decoded);
});

test('RFC 2231 §3, §4: parameters in pieces and in other character sets', () => {
  const of = (text: string) => readParameters(text);
  assert.deepEqual(
    of('message/external-body; access-type=URL; URL*0="ftp://"; URL*1="cs.utk.edu/pub/moore/bulk-mailer.tar"'),
    {
      value: 'message/external-body',
      parameters: [
        ['access-type', 'URL'],
        ['url', 'ftp://cs.utk.edu/pub/moore/bulk-mailer.tar'],
      ],
    },
  );
  assert.deepEqual(of("application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A").parameters, [
    ['title', 'This is ***fun***'],
  ]);
  assert.deepEqual(
    of(
      "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
    ).parameters,
    [['title', "This is even more ***fun*** isn't it!"]],
  );
  assert.deepEqual(of('text/plain; charset=us-ascii (Plain text)').parameters, [['charset', 'us-ascii']]);
  assert.deepEqual(of('text/plain; charset="a\\"b"; name=with blanks.txt').parameters, [
    ['charset', 'a"b'],
    ['name', 'with blanks.txt'],
  ]);
  assert.deepEqual(of(';;=;a;b=;=c').parameters, [['b', '']]);
});

test('RFC 5322 appendix A: addresses', () => {
  const one = (text: string) => readAddresses(text);
  assert.deepEqual(one('"Joe Q. Public" <john.q.public@example.com>'), [
    { name: 'Joe Q. Public', local: 'john.q.public', domain: 'example.com' },
  ]);
  assert.deepEqual(one('Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>'), [
    { name: 'Mary Smith', local: 'mary', domain: 'x.test' },
    { name: '', local: 'jdoe', domain: 'example.org' },
    { name: 'Who?', local: 'one', domain: 'y.test' },
  ]);
  assert.deepEqual(one('<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>'), [
    { name: '', local: 'boss', domain: 'nil.test' },
    { name: 'Giant; "Big" Box', local: 'sysservices', domain: 'example.net' },
  ]);
  assert.deepEqual(one('A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;, ann@a.test'), [
    {
      group: 'A Group',
      members: [
        { name: 'Ed Jones', local: 'c', domain: 'a.test' },
        { name: '', local: 'joe', domain: 'where.test' },
        { name: 'John', local: 'jdoe', domain: 'one.test' },
      ],
    },
    { name: '', local: 'ann', domain: 'a.test' },
  ]);
  assert.deepEqual(one('Undisclosed recipients:;'), [{ group: 'Undisclosed recipients', members: [] }]);
  // A.5, A.6: comments, blanks, routes.
  assert.deepEqual(one('Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>'), [
    { name: 'Pete', local: 'pete', domain: 'silly.test' },
  ]);
  assert.deepEqual(one('Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example'), [
    { name: 'Mary Smith', local: 'mary', domain: 'example.net' },
    { name: '', local: 'jdoe', domain: 'test.example' },
  ]);
  assert.deepEqual(one('ann@example.org (Ann Example)'), [
    { name: 'Ann Example', local: 'ann', domain: 'example.org' },
  ]);
  assert.deepEqual(one('"quoted local"@[192.0.2.1]'), [{ name: '', local: 'quoted local', domain: '[192.0.2.1]' }]);
  assert.equal(addressText({ name: '', local: 'quoted local', domain: 'a' }), '"quoted local"@a');
});

test('RFC 5322 §2.2: fields, folded, in odd cases, and what is none', () => {
  const bytes = bytesOf('Subject: a', '\tb', 'no field', 'X-Odd :  c ', 'SUBJECT: second', '', 'Subject: body');
  const reader = new HeaderReader(bytes, 0, bytes.length);
  const found: string[] = [];
  while (reader.next()) found.push(`${reader.name}=${reader.value}`);
  assert.deepEqual(found, ['subject=a\tb', 'x-odd=c', 'subject=second']);
  assert.equal(bytes.toString('latin1', reader.body), 'Subject: body');
  assert.equal(fieldOf(bytes, 0, bytes.length, 'subject'), 'a\tb');
  assert.equal(fieldOf(Buffer.from('Subject: ä\n\n'), 0, 13, 'subject'), 'ä');
});

test('RFC 2046 §5.1.1: a multipart with preamble, an implicit and an explicit part, and epilogue', () => {
  const lines = [
    'MIME-Version: 1.0',
    'Content-type: multipart/mixed; boundary="simple boundary"',
    '',
    'This is the preamble.  It is to be ignored.',
    '',
    '--simple boundary',
    '',
    'This is implicitly typed plain US-ASCII text.',
    'It does NOT end with a linebreak.',
    '--simple boundary',
    'Content-type: text/plain; charset=us-ascii',
    '',
    'This is explicitly typed plain US-ASCII text.',
    'It DOES end with a linebreak.',
    '',
    '--simple boundary--',
    '',
    'This is the epilogue.  It is also to be ignored.',
  ];
  const bytes = bytesOf(...lines);
  const root = structureOf(...lines);
  assert.deepEqual(outline(root), ['multipart/mixed', 'text/plain', 'text/plain']);
  const [first, second] = root.parts as [Part, Part];
  assert.equal(
    bytes.toString('latin1', first.body, first.end),
    'This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak.',
  );
  assert.ok(bytes.toString('latin1', second.body, second.end).endsWith('linebreak.\r\n'));
  assert.equal(linesOf(bytes, second.body, second.end), 2);
});

test('RFC 3501 §6.4.5: the numbers of parts', () => {
  const inner = (type: string, ...lines: string[]) => [`Content-Type: ${type}`, '', ...lines];
  const root = structureOf(
    ...inner('multipart/mixed; boundary=a', '--a'),
    ...inner('text/plain', '1', '--a'),
    ...inner('application/octet-stream', '2', '--a'),
    ...inner('message/rfc822', ...inner('multipart/mixed; boundary=c', '--c')),
    ...inner('text/plain', '3.1', '--c'),
    ...inner('application/octet-stream', '3.2', '--c--', '--a'),
    ...inner('multipart/mixed; boundary=d', '--d'),
    ...inner('image/gif', '4.1', '--d'),
    ...inner('message/rfc822', ...inner('multipart/mixed; boundary=e', '--e')),
    ...inner('text/plain', '4.2.1', '--e'),
    ...inner('multipart/alternative; boundary=f', '--f'),
    ...inner('text/plain', '4.2.2.1', '--f'),
    ...inner('text/richtext', '4.2.2.2', '--f--', '--e--', '--d--', '--a--'),
  );
  const type = (...numbers: number[]) => {
    const part = partAt(root, numbers);
    return part === null ? null : `${part.type}/${part.subtype}`;
  };
  assert.equal(type(), 'multipart/mixed');
  assert.equal(type(1), 'text/plain');
  assert.equal(type(1, 1), null);
  assert.equal(type(3), 'message/rfc822');
  assert.equal(type(3, 1), 'text/plain');
  assert.equal(type(3, 2), 'application/octet-stream');
  assert.equal(type(4, 1), 'image/gif');
  assert.equal(type(4, 2, 2, 2), 'text/richtext');
  assert.equal(type(4, 2, 2, 3), null);
  assert.equal(type(5), null);
  const plain = structureOf(...inner('text/plain', 'body'));
  assert.equal(partAt(plain, [1]), plain);
  assert.equal(partAt(plain, [1, 1]), null);
  const carried = structureOf(...inner('message/rfc822', ...inner('text/html', 'body')));
  assert.equal(partAt(carried, [1]), carried);
  assert.equal(partAt(carried, [1, 1]), carried.message);
});

test('multiparts that are broken: no boundary, no part, no end, cut off by the one around them', () => {
  assert.deepEqual(outline(structureOf('Content-Type: multipart/mixed', '', 'text')), 'text/plain');
  assert.deepEqual(outline(structureOf('Content-Type: multipart/mixed; boundary=a', '', 'text')), 'text/plain');
  assert.deepEqual(outline(structureOf('Content-Type: multipart/mixed; boundary=a', '', '--a', '', 'text')), [
    'multipart/mixed',
    'text/plain',
  ]);
  assert.deepEqual(
    outline(
      structureOf(
        'Content-Type: multipart/mixed; boundary=a',
        '',
        '--a',
        'Content-Type: multipart/alternative; boundary=b',
        '',
        '--b',
        'Content-Type: text/html',
        '--a',
        'Content-Type: image/png',
        '',
        '--b',
        '--a--',
        '--a',
      ),
    ),
    ['multipart/mixed', ['multipart/alternative', 'text/html'], 'image/png'],
  );
  assert.deepEqual(
    outline(structureOf('Content-Type: multipart/digest; boundary=a', '', '--a', '', 'Subject: x', '')),
    ['multipart/digest', ['message/rfc822', 'text/plain']],
  );
  // A boundary that begins as another does.
  assert.deepEqual(
    outline(structureOf('Content-Type: multipart/mixed; boundary=a', '', '--ab', '', '--a', '', 'x', '--a-', '--a--')),
    ['multipart/mixed', 'text/plain'],
  );
});

test('hostile structures are read in bounded time and depth', () => {
  const deep = Array.from({ length: 5_000 }, (_, at) => [
    `Content-Type: multipart/mixed; boundary=b${at}`,
    '',
    `--b${at}`,
  ]).flat();
  let depth = 0;
  for (let part: Part | undefined = structureOf(...deep); part !== undefined; part = part.parts[0]) depth++;
  assert.equal(depth, 50);
  const rings = Array.from({ length: 5_000 }, () => ['Content-Type: message/rfc822', '']).flat();
  depth = 0;
  for (let part: Part | null = structureOf(...rings); part !== null; part = part.message) depth++;
  assert.equal(depth, 50);
  const wide = structureOf(
    'Content-Type: multipart/mixed; boundary=a',
    '',
    ...Array.from({ length: 20_000 }, () => ['--a', '', 'x']).flat(),
  );
  assert.equal(wide.parts.length, 1_999);
  const dashes = Buffer.from(`Content-Type: multipart/mixed; boundary=a\r\n\r\n${'--\n'.repeat(3_000_000)}`);
  assert.equal(readStructure(dashes, 0, dashes.length).type, 'text');
  assert.equal(readAddresses('a@b,'.repeat(50_000)).length, 10_000);
  assert.equal(readAddresses('('.repeat(100_000)).length, 0);
});

test('any bytes are read without a throw, and all positions lie within', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '\r\n',
      '\n',
      '--a',
      '--a--',
      '\r\n\r\n',
      'Content-Type: multipart/mixed; boundary=a\r\n',
      'Content-Type: message/rfc822\r\n',
      "Content-Disposition: attachment; filename*0*=utf-8''%41; filename*1=b\r\n",
      'Content-Transfer-Encoding: base64\r\n',
      'To: a b <c@d>, e:f@g;',
      '=?utf-8?b?',
      '"',
      '(',
    ),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const bytes = Buffer.from(pieces.join(''));
      const within = (part: Part, start: number, end: number): void => {
        assert.ok(part.start >= start && part.body >= part.start && part.end >= part.body && part.end <= end);
        for (const child of part.parts) within(child, part.body, part.end);
        if (part.message !== null) within(part.message, part.body, part.end);
      };
      within(readStructure(bytes, 0, bytes.length), 0, bytes.length);
      parseMessage(bytes);
    }),
    { numRuns: 2_000 },
  );
});

test('RFC 2045 §6.7, §6.8: transfer encodings there and back', () => {
  const decoded = (transfer: 'base64' | 'quoted-printable', text: string) => {
    const bytes = Buffer.from(text, 'latin1');
    return decodeTransfer(transfer, bytes, 0, bytes.length).toString('latin1');
  };
  assert.equal(
    decoded('quoted-printable', "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country."),
    "Now's the time for all folk to come to the aid of their country.",
  );
  assert.equal(decoded('quoted-printable', 'a =3D b =  \r\nc  \r\n=zz=4'), 'a = b c\r\n=zz=4');
  assert.equal(decoded('base64', 'YQ==\r\nYg==\r\n'), 'ab');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const bytes = Buffer.from(quotedPrintableText(text));
      assert.ok(!/[^\r\n]{77}/.test(bytes.toString()));
      assert.equal(
        decodeTransfer('quoted-printable', bytes, 0, bytes.length).toString(),
        text.replace(/\r\n|\r|\n/g, '\r\n'),
      );
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is left out
      assert.equal(decodeWords(encodeWords(text)), text.replace(/[\0-\x1f\x7f]+/g, ' '));
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array(), (data) => {
      const bytes = Buffer.from(base64Lines(data));
      assert.deepEqual(decodeTransfer('base64', bytes, 0, bytes.length), Buffer.from(data));
    }),
  );
});

test('what is composed is read back', () => {
  let count = 0;
  const bytes = compose({
    from: { name: 'Ann "A" Example', local: 'ann', domain: 'example.org' },
    to: [
      { name: 'Jürgen', local: 'j', domain: 'example.net' },
      { name: '', local: 'x y', domain: 'example.net' },
    ],
    subject: 'Grüße: a subject that is long enough to be folded, and that is folded where it may be',
    date: Date.UTC(2026, 10, 23, 8, 42, 44),
    messageId: '<1@example.org>',
    headers: [['X-Note', 'one\r\nBcc: injected@example.org']],
    text: 'Hello.\n.\nFrom here: ü',
    html: '<p>Hello</p>',
    attachments: [
      { name: 'ä.png', type: 'image/png', bytes: Buffer.from([1, 2, 3]) },
      { name: 'b "c".txt', type: 'text/plain', bytes: Buffer.from('text') },
    ],
    boundary: () => `=_${++count}`,
  });
  assert.ok(
    bytes
      .toString('latin1')
      .split('\r\n')
      .every((line) => line.length <= 78),
  );
  const parsed = parseMessage(bytes);
  assert.equal(parsed.subject, 'Grüße: a subject that is long enough to be folded, and that is folded where it may be');
  assert.deepEqual(parsed.from, [{ name: 'Ann "A" Example', address: 'ann@example.org' }]);
  assert.deepEqual(parsed.to, [
    { name: 'Jürgen', address: 'j@example.net' },
    { name: '', address: 'x y@example.net' },
  ]);
  assert.deepEqual(parsed.bcc, []);
  assert.equal(parsed.sent, Date.UTC(2026, 10, 23, 8, 42, 44));
  assert.equal(parsed.text, 'Hello.\r\n.\r\nFrom here: ü');
  assert.equal(parsed.html, '<p>Hello</p>');
  assert.deepEqual(
    parsed.attachments.map(({ section, name, type, size }) => [section, name, type, size]),
    [
      ['2', 'ä.png', 'image/png', 3],
      ['3', 'b "c".txt', 'text/plain', 4],
    ],
  );
});
