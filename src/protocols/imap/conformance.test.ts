// Cases of the RFCs that clients and suites try a server with, one command and its answer at a time; what was found out beside
// other servers is among them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from './testing/stage.ts';

/** A command, and what all of its answer must be like. */
type Case = readonly [command: string, answer: RegExp | string];

const MIXED = [
  ...['From: Ann <ann@x.test>', 'To: A Group:Chris <c@a.test>,joe@where.test;', 'Subject: mixed', 'MIME-Version: 1.0'],
  ...['Content-Type: multipart/mixed; boundary=q', '', '--q', '', 'one', '--q'],
  ...['Content-Type: message/rfc822', '', 'Subject: inner', '', 'two', '--q--', ''],
].join('\r\n');

async function stage() {
  const made = await Stage.open();
  await made.deliver('Subject: alpha\r\nX-Foo: bar baz\r\n\r\nhello world\r\n');
  await made.deliver('Subject: Re: alpha\r\n\r\nsecond\r\n');
  await made.deliver(MIXED);
  return made;
}

async function each(cases: readonly Case[]): Promise<void> {
  const made = await stage();
  const talk = await made.signedIn();
  for (const [command, answer] of cases) {
    const heard = await talk.hears(`a ${command}\r\n`);
    if (typeof answer === 'string') assert.ok(heard.includes(answer), `${command}: ${heard}`);
    else assert.match(heard, answer, command);
  }
  assert.deepEqual(made.world.bugs, []);
}

const SELECT: Case = ['SELECT INBOX', /\r\na OK \[READ-WRITE\]/];

test('sets of numbers (RFC 9051 §9, seq-number)', () =>
  each([
    SELECT,
    ['FETCH 0 UID', /^a BAD /],
    ['FETCH 4 UID', /^a (?:BAD|NO) /],
    ['FETCH *:1 UID', /^\* 1 FETCH \(UID 1\)\r\n\* 2 FETCH \(UID 2\)\r\n\* 3 FETCH \(UID 3\)\r\na OK /],
    ['FETCH 2,1,2 UID', /^\* 1 FETCH \(UID 1\)\r\n\* 2 FETCH \(UID 2\)\r\na OK /],
    // Beyond the last UID there is always the last (RFC 9051 §9).
    ['UID FETCH 9:* UID', /^\* 3 FETCH \(UID 3\)\r\na OK /],
    ['UID FETCH 7:9 UID', /^a OK /],
    ['UID SEARCH 9:*', /^\* SEARCH 3\r\n|^\* SEARCH\r\n/],
    ['FETCH 1: UID', /^a BAD /],
    ['FETCH 1,,2 UID', /^a BAD /],
    ['FETCH -1 UID', /^a BAD /],
    ['FETCH 4294967296 UID', /^a BAD /],
  ]));

test('FETCH: macros, sections and parts that are none (RFC 9051 §6.4.5)', () =>
  each([
    SELECT,
    ['FETCH 1 FAST', /^\* 1 FETCH \(FLAGS \(\\Recent\) INTERNALDATE "[^"]+" RFC822\.SIZE \d+\)\r\na OK /],
    ['FETCH 1 (FAST)', /^a BAD /],
    ['FETCH 1 (FLAGS FAST)', /^a BAD /],
    ['FETCH 1 ()', /^a BAD /],
    ['FETCH 1', /^a BAD /],
    ['FETCH 1 BODY[0]', /^a BAD /],
    ['FETCH 1 BODY[MIME]', /^a BAD /],
    ['FETCH 1 BODY[]<0.0>', /^a BAD /],
    ['FETCH 1 BODY[HEADER.FIELDS ()]', /^a BAD /],
    ['FETCH 1 BODY.PEEK[TEXT]<6.100>', 'BODY[TEXT]<6> {7}\r\nworld\r\n)\r\na OK '],
    ['FETCH 1 BODY.PEEK[TEXT]<1000.5>', 'BODY[TEXT]<1000> ""'],
    ['FETCH 1 BODY.PEEK[HEADER.FIELDS (x-foo)]', 'BODY[HEADER.FIELDS (x-foo)] {18}\r\nX-Foo: bar baz\r\n\r\n)'],
    ['FETCH 3 BODY.PEEK[2.HEADER]', '{18}\r\nSubject: inner\r\n\r\n)'],
    ['FETCH 3 BODY.PEEK[2.TEXT]', '{3}\r\ntwo)'],
    ['FETCH 3 BODY.PEEK[2.1]', '{3}\r\ntwo)'],
    ['FETCH 3 BODY.PEEK[1.HEADER]', 'BODY[1.HEADER] NIL'],
    ['FETCH 3 BODY.PEEK[9]', 'BODY[9] NIL'],
    [
      'FETCH 3 ENVELOPE',
      '((NIL NIL "A Group" NIL)("Chris" NIL "c" "a.test")(NIL NIL "joe" "where.test")(NIL NIL NIL NIL))',
    ],
    ['FETCH 1 FLAGS', '* 1 FETCH (FLAGS (\\Recent))'],
    ['FETCH 1 BODY[TEXT]', /FLAGS \(\\Recent \\Seen\)/],
  ]));

test('SEARCH: keys with and without what they need (RFC 9051 §6.4.4)', () =>
  each([
    SELECT,
    ['STORE 1 +FLAGS.SILENT (\\Seen key)', /^a OK /],
    ['SEARCH', /^a BAD /],
    ['SEARCH NOT', /^a BAD /],
    ['SEARCH OR SEEN', /^a BAD /],
    ['SEARCH ()', /^a BAD /],
    ['SEARCH (1 2)', /^\* SEARCH\r\n/],
    ['SEARCH NOT NOT 1', /^\* SEARCH 1\r\n/],
    ['SEARCH OR (1 SEEN) (NOT 1:2)', /^\* SEARCH 1 3\r\n/],
    ['SEARCH KEYWORD \\Seen', /^a BAD /],
    ['SEARCH KEYWORD KEY', /^\* SEARCH 1\r\n/],
    ['SEARCH UNKEYWORD never', /^\* SEARCH 1 2 3\r\n/],
    ['SEARCH HEADER X-FOO ""', /^\* SEARCH 1\r\n/],
    ['SEARCH HEADER x-none ""', /^\* SEARCH\r\n/],
    ['SEARCH SINCE 32-Jan-2020', /^a BAD /],
    ['SEARCH SINCE 1-Foo-2020', /^a BAD /],
    ['SEARCH SINCE "1-Jan-1970"', /^\* SEARCH 1 2 3\r\n/],
    ['SEARCH LARGER x', /^a BAD /],
    ['SEARCH CHARSET X-NONE SUBJECT x', /^a NO \[BADCHARSET/],
    ['SEARCH RETURN () ALL', /^\* ESEARCH \(TAG "a"\) ALL 1:3\r\n/],
    ['SEARCH RETURN (MIN COUNT) SUBJECT none', /^\* ESEARCH \(TAG "a"\) COUNT 0\r\n/],
    ['SEARCH RETURN (BOGUS) ALL', /^a BAD /],
    ['SEARCH RETURN (SAVE) 2:3', /^a OK /],
    ['FETCH $ UID', /^\* 2 FETCH \(UID 2\)\r\n\* 3 FETCH \(UID 3\)\r\na OK /],
    ['UID SEARCH UID $', /^\* SEARCH 2 3\r\n/],
    ['SORT () UTF-8 ALL', /^a BAD /],
    ['SORT (REVERSE) UTF-8 ALL', /^a BAD /],
    ['SORT (SUBJECT) X-NONE ALL', /^a NO \[BADCHARSET/],
    ['THREAD BOGUS UTF-8 ALL', /^a BAD /],
  ]));

test('mailboxes: names, and what may not be done with them (RFC 9051 §6.3)', () =>
  each([
    ['CREATE INBOX', /^a NO /],
    ['CREATE inbox', /^a NO /],
    ['CREATE ""', /^a (?:NO|BAD) /],
    ['CREATE a//b', /^a NO /],
    // A trailing separator says only that others will be made below (§6.3.4).
    ['CREATE deep/er/', /^a OK /],
    ['LIST "" deep/%', /^\* LIST \(\\HasNoChildren\) "\/" deep\/er\r\n/],
    ['CREATE deep/er', /^a NO \[ALREADYEXISTS\]/],
    ['DELETE INBOX', /^a NO /],
    ['DELETE none', /^a NO \[NONEXISTENT\]/],
    ['DELETE deep', /^a OK /],
    ['SELECT deep', /^a NO \[NONEXISTENT\]/],
    // What is above a name is told though it is none itself (§6.3.9).
    ['LIST "" %', /\* LIST \((?:\\NonExistent|\\Noselect) \\HasChildren\) "\/" deep\r\n/],
    ['RENAME none other', /^a NO \[NONEXISTENT\]/],
    ['RENAME deep/er INBOX', /^a NO \[ALREADYEXISTS\]/],
    ['RENAME deep/er deep/er/est', /^a NO /],
    ['STATUS none (MESSAGES)', /^a NO \[NONEXISTENT\]/],
    ['STATUS INBOX ()', /^a BAD /],
    ['STATUS INBOX (BOGUS)', /^a BAD /],
    ['LIST "" ""', /^\* LIST \(\\Noselect\) "\/" ""\r\n/],
    // INBOX is INBOX in any case of its letters (§5.1).
    ['LIST "" InB*', /^\* LIST \(\\HasNoChildren\) "\/" INBOX\r\n/],
    ['LIST "" inbox', /^\* LIST \(\\HasNoChildren\) "\/" INBOX\r\n/],
    ['STATUS inbox (MESSAGES)', /^\* STATUS inbox \(MESSAGES 3\)|^\* STATUS INBOX \(MESSAGES 3\)/],
    // All that was in it goes to the new name, and it stays (§6.3.6).
    ['RENAME INBOX old', /^a OK /],
    ['STATUS old (MESSAGES)', '(MESSAGES 3)'],
    ['STATUS INBOX (MESSAGES UIDNEXT)', '(MESSAGES 0 UIDNEXT 4)'],
  ]));

test('EXAMINE changes nothing, and takes what is recent from nobody (RFC 3501 §6.3.2)', () =>
  each([
    ['EXAMINE INBOX', /\[PERMANENTFLAGS \(\)\][\s\S]*\* 3 RECENT\r\n[\s\S]*a OK \[READ-ONLY\]/],
    ['FETCH 1 (FLAGS BODY[TEXT])', /FLAGS \(\\Recent\)/],
    ['FETCH 1 FLAGS', /^\* 1 FETCH \(FLAGS \(\\Recent\)\)\r\n/],
    ['STORE 1 +FLAGS (\\Deleted)', /^a NO \[READ-ONLY\]/],
    ['EXPUNGE', /^a NO \[READ-ONLY\]/],
    ['MOVE 1 Trash', /^a NO \[READ-ONLY\]/],
    ['COPY 1 Trash', /^a OK \[COPYUID /],
    ['CLOSE', /^a OK /],
    ['SELECT INBOX', /\* 3 RECENT\r\n/],
    ['EXAMINE INBOX', /\* 0 RECENT\r\n/],
  ]));

test('STORE: what is no flag, and what is none of ours to change (RFC 9051 §6.4.6)', () =>
  each([
    SELECT,
    ['STORE 1 FLAGS \\Seen \\Draft', '(UID 1 FLAGS (\\Recent \\Seen \\Draft))'],
    ['STORE 1 FLAGS', /^a BAD /],
    ['STORE 1 FLAG ()', /^a BAD /],
    ['STORE 1 +FLAGS ((a))', /^a BAD /],
    ['STORE 1 +FLAGS (\\Recent)', /^\* 1 FETCH \(UID 1 FLAGS \(\\Recent \\Seen \\Draft\)\)\r\na OK |^a (?:BAD|NO) /],
    ['STORE 1 FLAGS ()', '(UID 1 FLAGS (\\Recent))'],
    ['STORE 9 FLAGS ()', /^a (?:BAD|NO) /],
    ['UID STORE 9 FLAGS ()', /^a OK /],
    ['STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)', /a OK \[MODIFIED 1\]/],
    ['STORE 1 (UNCHANGEDSINCE x) +FLAGS (\\Seen)', /^a BAD /],
  ]));

test('many commands at once are answered in their order; one that waits holds up the others (RFC 9051 §5.5)', async () => {
  const made = await stage();
  const talk = await made.signedIn();
  const commands = ['SELECT INBOX', 'STORE 2 +FLAGS (\\Deleted)', 'EXPUNGE', 'FETCH 2 UID', 'COPY 1 Trash', 'NOOP'];
  const heard = await talk.hears(commands.map((command, at) => `t${at} ${command}\r\n`).join(''));
  assert.deepEqual(
    [...heard.matchAll(/^(t\d) (\w+)/gm)].map(([, tag, status]) => `${tag} ${status}`),
    commands.map((_, at) => `t${at} OK`),
  );
  assert.match(heard, /\* 2 EXPUNGE\r\nt2 OK [^\r]*\r\n\* 2 FETCH \(UID 3\)\r\nt3 OK /);
});
