// IMAP over a simulated link and mail in memory: states, literals, mailboxes, messages, and what two sessions see of one another.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { Stage, type StageOptions, type Talk } from './testing/stage.ts';

const letter = (subject: string, more = '') =>
  `From: Ann <ann@example.org>\r\nSubject: ${subject}\r\n${more}\r\nHello, ${subject}.\r\n`;

async function filled(
  options: StageOptions = {},
  subjects: readonly string[] = ['one', 'two', 'three'],
): Promise<Stage> {
  const stage = await Stage.open(options);
  for (const subject of subjects) await stage.deliver(letter(subject));
  return stage;
}

const subjects = async (talk: Talk) =>
  [...(await talk.does('FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]')).matchAll(/Subject: (\w+)/g)].map(
    ([, word]) => word,
  );

test('a mailbox from LOGIN to LOGOUT (RFC 9051 §6)', async () => {
  const stage = await filled();
  const talk = stage.connect();
  assert.match(
    await talk.hears(),
    /^\* OK \[CAPABILITY IMAP4rev2 IMAP4rev1 [^\]]*AUTH=PLAIN[^\]]*\] Portico\/test IMAP\.\r\n$/,
  );
  assert.match(await talk.hears('a LOGIN ann x\r\n'), /^a OK \[CAPABILITY IMAP4rev2 .*QRESYNC/);
  const selected = await talk.does('SELECT inbox');
  for (const line of [
    '* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)',
    '* 3 EXISTS',
    '* 3 RECENT',
    '* OK [UNSEEN 1] The first that is unseen.',
    '* OK [UIDNEXT 4] The next UID.',
  ])
    assert.ok(selected.includes(`${line}\r\n`), line);
  assert.equal(
    await talk.does('FETCH 2 (FLAGS RFC822.SIZE)'),
    `* 2 FETCH (FLAGS (\\Recent) RFC822.SIZE ${letter('two').length})\r\n`,
  );
  assert.equal(
    await talk.does('FETCH 1 BODY[]'),
    `* 1 FETCH (BODY[] {${letter('one').length}}\r\n${letter('one')} FLAGS (\\Recent \\Seen))\r\n`,
  );
  assert.equal(
    await talk.does('STORE 1 +FLAGS (\\Flagged)'),
    '* 1 FETCH (UID 1 FLAGS (\\Recent \\Seen \\Flagged))\r\n',
  );
  assert.equal(await talk.does('UID STORE 2 +FLAGS.SILENT (\\Deleted)'), '');
  assert.equal(await talk.does('NOOP'), '');
  assert.equal(await talk.does('SEARCH DELETED'), '* SEARCH 2\r\n');
  assert.equal(await talk.does('UID SEARCH SUBJECT THREE'), '* SEARCH 3\r\n');
  assert.equal(await talk.does('EXPUNGE'), '* 2 EXPUNGE\r\n');
  assert.deepEqual(await subjects(talk), ['one', 'three']);
  assert.equal(await talk.hears('b LOGOUT\r\n'), '* BYE Goodbye.\r\nb OK Goodbye.\r\n');
  assert.ok(talk.peer.heardEnd);
  assert.deepEqual(stage.world.bugs, []);
});

test('commands in states where they may not come, and those that are none', async () => {
  const stage = await filled();
  const talk = stage.connect();
  await talk.hears();
  assert.match(await talk.hears('a SELECT INBOX\r\n'), /^a BAD Sign in first/);
  await talk.does('LOGIN ann x');
  assert.match(await talk.hears('a LOGIN ann x\r\n'), /^a BAD/);
  assert.match(await talk.hears('a FETCH 1 FLAGS\r\n'), /^a BAD Select/);
  await talk.does('EXAMINE INBOX');
  assert.match(await talk.hears('a STORE 1 FLAGS (\\Seen)\r\n'), /^a NO \[READ-ONLY\]/);
  assert.match(await talk.hears('a EXPUNGE\r\n'), /^a NO \[READ-ONLY\]/);
  for (const wrong of [
    'FETCH',
    'FETCH 0 FLAGS',
    'FETCH 9 FLAGS',
    'FETCH 1 NOTHING',
    'FETCH 1 (FLAGS',
    'STORE 1 FLAGS (\\Nope)',
    'SEARCH',
    'SEARCH (ALL',
    'NOOP x',
    'FETCH 1:2:3 FLAGS',
    'FETCH 99999999999 FLAGS',
    'SEARCH ON 31-Feb-2020',
    'LIST "',
    'STATUS INBOX (NONE)',
    'ENABLE',
    'UID NOOP',
  ])
    assert.match(await talk.hears(`a ${wrong}\r\n`), /^a BAD /, wrong);
  assert.match(await talk.hears('\r\n'), /^\* BAD/);
  assert.deepEqual(stage.world.bugs, []);
});

test('literals, waited for and not (RFC 9051 §4.3, RFC 7888)', async () => {
  const stage = await filled();
  const talk = stage.connect();
  await talk.hears();
  assert.equal(await talk.hears('a LOGIN {3}\r\n'), '+ Go on.\r\n');
  assert.equal(await talk.hears('ann {1}\r\n'), '+ Go on.\r\n');
  assert.match(await talk.hears('x\r\n'), /^a OK/);
  assert.match(await talk.hears('b SELECT {5+}\r\nINBOX\r\n'), /b OK/);
  assert.equal(await talk.hears('c SEARCH SUBJECT {3+}\r\ntwo SUBJECT {0+}\r\n\r\n'), '* SEARCH 2\r\nc OK Done.\r\n');
  assert.match(await talk.hears('d SEARCH SUBJECT {999999}\r\n'), /^d BAD \[TOOBIG\]/);
  assert.match(
    await talk.hears(`e SEARCH SUBJECT {300000+}\r\n${'x'.repeat(300_000)}\r\nf NOOP\r\n`),
    /^e BAD \[TOOBIG\].*\r\nf OK/,
  );
  assert.match(await talk.hears('g SEARCH SUBJECT ~{3+}\r\nabc\r\n'), /^g BAD/);
  assert.match(await talk.hears('h SEARCH SUBJECT {99999999999999999999}\r\n'), /^h BAD/);
  assert.match(await talk.hears('i SEARCH SUBJECT {999999999999+}\r\n'), /^\* BYE/);
  assert.deepEqual(stage.faulted, ['imap.literalTooLong']);
});

test('APPEND, waited for and not, with flags and date; what is refused (RFC 9051 §6.3.12)', async () => {
  const stage = await filled();
  const talk = await stage.selected();
  const mail = letter('new');
  assert.equal(
    await talk.hears(`a APPEND INBOX (\\Seen word) "17-Jul-1996 02:44:25 -0700" {${mail.length}}\r\n`),
    '+ Go on.\r\n',
  );
  const done = await talk.hears(`${mail}\r\n`);
  assert.match(done, /^\* 4 EXISTS\r\n\* 4 RECENT\r\na OK \[APPENDUID \d+ 4\] Done\.\r\n$/);
  assert.match(
    await talk.does('FETCH 4 (FLAGS INTERNALDATE RFC822.SIZE)'),
    /FLAGS \(\\Recent \\Seen word\) INTERNALDATE "17-Jul-1996 09:44:25 \+0000" RFC822.SIZE/,
  );
  assert.match(
    await talk.hears(`b APPEND Sent {${mail.length}+}\r\n${mail}\r\nc NOOP\r\n`),
    /^b OK \[APPENDUID \d+ 1\] Done\.\r\nc OK/,
  );
  assert.match(await talk.hears('d APPEND Nowhere {10}\r\n'), /^d NO \[TRYCREATE\]/);
  assert.match(
    await talk.hears(`e APPEND Nowhere {${mail.length}+}\r\n${mail}\r\nf NOOP\r\n`),
    /^e NO \[TRYCREATE\].*\r\nf OK/,
  );
  assert.match(await talk.hears('g APPEND INBOX {99999999999}\r\n'), /^g NO \[TOOBIG\]/);
  assert.match(await talk.hears('h APPEND INBOX {0}\r\n'), /^h NO/);
  assert.match(await talk.hears(`i APPEND INBOX UTF8 (~{${mail.length}+}\r\n${mail})\r\n`), /i OK \[APPENDUID/);
  assert.match(
    await talk.hears(`j APPEND {4+}\r\nSent (\\Draft) {${mail.length}+}\r\n${mail}\r\n`),
    /j OK \[APPENDUID \d+ 2\]/,
  );
  assert.match(await talk.hears(`k APPEND Sent {${mail.length}+}\r\n${mail} more\r\n`), /^k BAD/);
  assert.match(await talk.does('STATUS Sent (MESSAGES)'), /MESSAGES 2/);
  assert.match(await talk.hears('l APPEND INBOX\r\n'), /^l BAD/);
  assert.deepEqual(stage.world.bugs, []);
});

test('a long message is appended in pieces, and read back by them', async () => {
  const stage = await filled({ highMark: 8_192 });
  const talk = await stage.selected();
  const mail = `Subject: long\r\n\r\n${'0123456789abcdef'.repeat(40_000)}\r\n`;
  assert.match(await talk.hears(`a APPEND INBOX {${mail.length}+}\r\n${mail}\r\n`), /a OK \[APPENDUID/);
  const part = await talk.does('FETCH 4 BODY.PEEK[TEXT]<16.8>');
  assert.match(part, /BODY\[TEXT\]<16> \{8\}\r\n01234567\)/);
  await talk.hears('b FETCH 4 BODY.PEEK[]\r\n');
  assert.deepEqual(stage.world.bugs, []);
});

test('of an APPEND that breaks off nothing stays', async () => {
  const stage = await filled();
  const mail = letter('half');
  for (const how of ['reset', 'end', 'revoked'] as const) {
    const talk = await stage.selected();
    await talk.hears(`a APPEND INBOX {${mail.length}+}\r\n${mail.slice(0, 20)}`);
    if (how === 'reset') talk.peer.pipe.reset(0);
    else if (how === 'end') talk.peer.pipe.end();
    else talk.server.leave('revoked', 1_000);
    await talk.hears();
  }
  const later = await stage.selected();
  assert.deepEqual(await subjects(later), ['one', 'two', 'three']);
  assert.deepEqual(stage.world.bugs, []);
});

test('a server that leaves says so, to who waits in IDLE as well', async () => {
  const stage = await filled();
  const talk = await stage.selected();
  await talk.hears('a IDLE\r\n');
  talk.server.leave('shutdown', 1_000);
  assert.match(await talk.hears(), /^\* BYE \[UNAVAILABLE\]/);
  assert.ok(talk.peer.heardEnd);
});

test('IDLE tells at once of what another session does (RFC 2177)', async () => {
  const stage = await filled();
  const one = await stage.selected();
  const other = await stage.selected();
  assert.equal(await one.hears('a IDLE\r\n'), '+ Idling.\r\n');
  await stage.deliver(letter('four'));
  assert.match(await one.hears(), /^\* 4 EXISTS\r\n\* \d RECENT\r\n$/);
  await other.does('STORE 1 +FLAGS (\\Deleted word)');
  const flagged = await one.hears();
  assert.match(
    flagged,
    /^\* FLAGS \([^)]* word\)\r\n\* OK \[PERMANENTFLAGS .*\r\n\* 1 FETCH \(UID 1 FLAGS \([^)]*\\Deleted word\)\)\r\n$/,
  );
  await other.does('EXPUNGE');
  assert.equal(await one.hears(), '* 1 EXPUNGE\r\n');
  assert.equal(await one.hears('DONE\r\n'), 'a OK Done.\r\n');
  assert.match(await one.hears('b IDLE\r\nNOOP\r\n'), /^\+ Idling\.\r\nb BAD/);
  assert.deepEqual(stage.world.bugs, []);
});

test('numbers are the session’s own: no expunge is told during FETCH, STORE and SEARCH (RFC 9051 §7.5.1)', async () => {
  const stage = await filled();
  const one = await stage.selected();
  const other = await stage.selected();
  await other.does('STORE 1 +FLAGS.SILENT (\\Deleted)');
  assert.equal(await other.does('EXPUNGE'), '* 1 EXPUNGE\r\n');
  assert.match(
    await one.hears('a FETCH 1:3 (UID)\r\n'),
    /^\* 2 FETCH \(UID 2\)\r\n\* 3 FETCH \(UID 3\)\r\na NO \[EXPUNGEISSUED\]/,
  );
  assert.equal(await one.does('STORE 3 +FLAGS (\\Seen)'), '* 3 FETCH (UID 3 FLAGS (\\Recent \\Seen))\r\n');
  assert.equal(await one.does('SEARCH SEEN'), '* SEARCH 3\r\n');
  await stage.deliver(letter('four'));
  assert.equal(await one.does('SEARCH SUBJECT four'), '* SEARCH\r\n');
  assert.match(await one.does('NOOP'), /^\* 1 EXPUNGE\r\n\* 3 EXISTS\r\n/);
  assert.deepEqual(await subjects(one), ['two', 'three', 'four']);
});

test('COPY, MOVE, UID EXPUNGE and their UIDs (RFC 4315, RFC 6851)', async () => {
  const stage = await filled();
  const talk = await stage.selected();
  assert.match(await talk.hears('a COPY 1:2 Archive\r\n'), /^a OK \[COPYUID \d+ 1:2 1:2\]/);
  assert.match(await talk.hears('b MOVE 2 Archive\r\n'), /^\* OK \[COPYUID \d+ 2 3\] Moved\.\r\n\* 2 EXPUNGE\r\nb OK/);
  assert.match(await talk.hears('c COPY 1 Nowhere\r\n'), /^c NO \[TRYCREATE\]/);
  assert.match(await talk.hears('d UID COPY 77 Archive\r\n'), /^d OK/);
  await talk.does('STORE 1:2 +FLAGS.SILENT (\\Deleted)');
  assert.equal(await talk.does('UID EXPUNGE 3'), '* 2 EXPUNGE\r\n');
  assert.equal(await talk.does('CLOSE'), '');
  assert.match(await talk.does('STATUS INBOX (MESSAGES)'), /MESSAGES 0/);
});

test('mailboxes: CREATE, RENAME, DELETE, SUBSCRIBE, and LIST in all its forms (RFC 9051 §6.3, RFC 5258, RFC 6154)', async () => {
  const stage = await filled();
  const talk = await stage.signedIn();
  await talk.does('CREATE a/b/c/');
  await talk.does('CREATE Plans (USE (\\Drafts))');
  assert.match(await talk.hears('x CREATE more (USE (\\All))\r\n'), /^x NO \[USEATTR\]/);
  assert.match(await talk.hears('x CREATE a\r\n'), /^x NO \[ALREADYEXISTS\]/);
  assert.match(await talk.hears('x DELETE nowhere\r\n'), /^x NO \[NONEXISTENT\]/);
  assert.match(await talk.hears('x DELETE INBOX\r\n'), /^x NO \[NOPERM\]/);
  assert.equal(
    await talk.does('LIST "" a*'),
    '* LIST (\\HasChildren) "/" a\r\n* LIST (\\HasChildren) "/" a/b\r\n* LIST (\\HasNoChildren) "/" a/b/c\r\n',
  );
  assert.equal(await talk.does('LIST "a/" %'), '* LIST (\\HasChildren) "/" a/b\r\n');
  assert.match(await talk.does('LIST "" (Pla% inbox)'), /Drafts\) "\/" Plans\r\n/);
  await talk.does('RENAME a/b x');
  assert.equal(
    await talk.does('LIST "" (a* x*)'),
    '* LIST (\\HasNoChildren) "/" a\r\n* LIST (\\HasChildren) "/" x\r\n* LIST (\\HasNoChildren) "/" x/c\r\n',
  );
  await talk.does('SUBSCRIBE x/c');
  assert.equal(await talk.does('LIST (SUBSCRIBED) "" x*'), '* LIST (\\Subscribed \\HasNoChildren) "/" x/c\r\n');
  assert.equal(
    await talk.does('LIST (SUBSCRIBED RECURSIVEMATCH) "" x'),
    '* LIST (\\HasChildren) "/" x ("CHILDINFO" ("SUBSCRIBED"))\r\n',
  );
  assert.equal(await talk.does('LSUB "" x%'), '* LSUB (\\Noselect) "/" x\r\n');
  await talk.does('DELETE x/c');
  assert.equal(
    await talk.does('LIST (SUBSCRIBED) "" x/*'),
    '* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "/" x/c\r\n',
  );
  await talk.does('UNSUBSCRIBE x/c');
  assert.equal(await talk.does('LSUB "" x*'), '');
  assert.equal(
    await talk.does('LIST "" x RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UIDNEXT))'),
    '* LIST (\\HasNoChildren) "/" x\r\n* STATUS x (MESSAGES 0 UIDNEXT 1)\r\n',
  );
  assert.match(await talk.does('LIST (SPECIAL-USE) "" *'), /\\Sent\) "\/" Sent/);
  assert.equal(await talk.does('LIST "" ""'), '* LIST (\\Noselect) "/" ""\r\n');
  assert.equal(await talk.does('NAMESPACE'), '* NAMESPACE (("" "/")) NIL NIL\r\n');
  assert.equal(await talk.does('GETQUOTAROOT INBOX'), '* QUOTAROOT INBOX ""\r\n* QUOTA "" ()\r\n');
});

test('names in modified UTF-7, and in UTF-8 once that is enabled (RFC 3501 §5.1.3, RFC 6855)', async () => {
  const stage = await filled();
  const talk = await stage.signedIn();
  await talk.does('CREATE "Gr&APwA3w-e &- so"');
  assert.equal(await talk.does('LIST "" Gr*'), '* LIST (\\HasNoChildren) "/" "Gr&APwA3w-e &- so"\r\n');
  assert.match(await talk.hears('x CREATE &broken\r\n'), /^x BAD/);
  assert.equal(await talk.does('ENABLE UTF8=ACCEPT NONSENSE'), '* ENABLED UTF8=ACCEPT\r\n');
  assert.equal(
    await talk.does('LIST "" Gr*'),
    `* LIST (\\HasNoChildren) "/" "${Buffer.from('Grüße & so').toString('latin1')}"\r\n`,
  );
  await talk.does(`SELECT "Grüße & so"`);
});

test('a mailbox that another session removes is closed', async () => {
  const stage = await filled();
  const one = await stage.signedIn();
  await one.does('CREATE soon');
  await one.does('SELECT soon');
  const other = await stage.signedIn();
  await other.does('DELETE soon');
  assert.match(await one.does('NOOP'), /^\* OK \[CLOSED\]/);
  assert.match(await one.hears('a CHECK\r\n'), /^a BAD/);
  assert.deepEqual(stage.world.bugs, []);
});

test('a password in the clear over a network is not taken (RFC 9051 §6.2.3)', async () => {
  const stage = await filled({ remote: true, tls: true, accounts: new FewAccounts({ ann: 'secret' }) });
  const talk = stage.connect();
  const greeting = await talk.hears();
  assert.match(greeting, /STARTTLS LOGINDISABLED AUTH=SCRAM-SHA-256\]/);
  assert.match(await talk.hears('a LOGIN ann secret\r\n'), /^a NO \[PRIVACYREQUIRED\]/);
  assert.match(await talk.hears('b AUTHENTICATE PLAIN\r\n'), /^b NO \[PRIVACYREQUIRED\]/);
  assert.match(await talk.hears('c STARTTLS\r\n'), /^c OK/);
  talk.peer.pipe.secure({ role: 'client' }, talk.peer);
  await talk.hears();
  assert.doesNotMatch(await talk.does('CAPABILITY'), /STARTTLS|LOGINDISABLED/);
  assert.match(await talk.hears('d LOGIN ann secret\r\n'), /^d OK/);
});

test('AUTHENTICATE PLAIN, with its response and without (RFC 9051 §6.2.2, RFC 4959)', async () => {
  const stage = await filled({ accounts: new FewAccounts({ ann: 'secret' }), limits: { signInsMax: 3 } });
  const talk = stage.connect();
  await talk.hears();
  const wrong = Buffer.from('\0ann\0wrong').toString('base64');
  const right = Buffer.from('\0ann\0secret').toString('base64');
  assert.equal(await talk.hears('a AUTHENTICATE PLAIN\r\n'), '+ \r\n');
  assert.match(await talk.hears('*\r\n'), /^a BAD/);
  assert.match(await talk.hears(`b AUTHENTICATE PLAIN ${wrong}\r\n`), /^b NO \[AUTHENTICATIONFAILED\]/);
  assert.match(await talk.hears('c AUTHENTICATE NTLM\r\n'), /^c NO/);
  assert.equal(await talk.hears('d AUTHENTICATE PLAIN\r\n'), '+ \r\n');
  assert.match(await talk.hears(`${right}\r\n`), /^d OK/);
  const other = stage.connect();
  await other.hears();
  await other.hears('a LOGIN ann 1\r\nb LOGIN ann 2\r\nc LOGIN ann 3\r\nd LOGIN ann secret\r\n');
  assert.ok(other.peer.heardEnd);
  assert.deepEqual(stage.faulted, ['imap.signInTooMany']);
});

test('first lines that end a conversation, silence, and too much that cannot be understood', async () => {
  for (const [text, fault] of [
    ['GET / HTTP/1.1\r\n\r\n', 'imap.http'],
    ['\x16\x03\x01', 'imap.tls'],
    ['EHLO me\r\n', 'imap.firstUnknown'],
  ] as const) {
    const stage = await filled();
    await stage.connect().hears(text);
    assert.deepEqual(stage.faulted, [fault]);
  }
  const stage = await filled({ limits: { badMax: 3 } });
  const talk = await stage.selected();
  assert.match(await talk.hears('a FETCH\r\n'.repeat(5)), /(?:a BAD.*\r\n){4}\* BYE/);
  const quiet = await filled();
  const silent = quiet.connect();
  quiet.world.pass(61_000);
  assert.match(await silent.hears(), /\* BYE/);
  const idle = await filled();
  const idling = await idle.selected();
  await idling.hears('a IDLE\r\n');
  idle.world.pass(1_700_000);
  assert.equal(await idling.hears(), '');
  idle.world.pass(200_000);
  assert.match(await idling.hears(), /\* BYE/);
});

test('however a conversation is cut, it is the same', async () => {
  const mail = letter('new');
  const said = [
    ...['a LOGIN {3+}', 'ann x', 'b SELECT INBOX', `c APPEND INBOX (\\Seen) {${mail.length}+}`, `${mail}`],
    ...[
      'd FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[]<3.20>)',
      'e SEARCH SUBJECT {3+}',
      'two BODY Hello',
      'f STORE 1:2 +FLAGS (x)',
    ],
    ...['g WHAT', 'h IDLE', 'DONE', `i APPEND Nowhere {${mail.length}+}`, mail, 'j LOGOUT', ''],
  ].join('\r\n');
  const of = async (cut: number) => {
    const stage = await filled({ cut });
    const talk = stage.connect();
    const heard = await talk.hears(said);
    assert.deepEqual(stage.world.bugs, []);
    return heard;
  };
  const whole = await of(0);
  assert.match(whole, /j OK Goodbye\.\r\n$/);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 9 }), async (cut) => assert.equal(await of(cut), whole)),
    { numRuns: 15 },
  );
});

test('whatever comes, nothing is thrown and every command is answered', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'a FETCH ',
      'a UID SEARCH ',
      'a STORE 1 ',
      'a LIST ',
      'a SELECT ',
      'a STATUS INBOX ',
      '(',
      ')',
      '{3+}\r\n',
      '"',
      '\\',
      '1:*',
      'BODY[',
      'HEADER.FIELDS (',
      ']',
      '<0.5>',
      'OR ',
      'NOT ',
      'ALL',
      ' ',
      '\r\n',
      'a APPEND INBOX {5+}\r\nhello\r\n',
      'a SORT (DATE) UTF-8 ',
      'RETURN (',
      '$',
      '*',
    ),
    fc.string({ maxLength: 6 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), async (pieces) => {
      const stage = await filled({ limits: { unknownMax: 100_000, badMax: 100_000 } });
      const talk = await stage.selected();
      await talk.hears(`${pieces.join('')}\r\n\r\n`);
      assert.match(await talk.hears(`\r\nxyz\r\nzz NOOP\r\n`), /zz OK|\* BYE|zz BAD/);
      assert.deepEqual(stage.world.bugs, []);
    }),
    { numRuns: 100 },
  );
});
