// What is held of headers changes no answer: the same commands read nothing from the store the second time, and say the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from './testing/stage.ts';

const COMMANDS = [
  'FETCH 1:* ENVELOPE',
  'FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT FROM references)])',
  'UID SEARCH SUBJECT "re: number 1"',
  'SEARCH OR TO nobody NOT CC ann',
  'SEARCH SENTSINCE 3-Jan-2020',
  'SEARCH HEADER SUBJECT ""',
  'SORT (SUBJECT REVERSE DATE) UTF-8 ALL',
  'SORT (FROM TO CC) UTF-8 ALL',
  'THREAD REFERENCES UTF-8 ALL',
  'THREAD ORDEREDSUBJECT UTF-8 ALL',
];

function letter(at: number): string {
  const to = at % 3 === 0 ? 'To: ann@example.org\r\nto: =?utf-8?q?J=C3=BCrgen?= <j@x.test>\r\n' : '';
  const cc = at % 4 === 0 ? 'Cc: ann@x.test\r\n' : '';
  const subject = at % 2 === 0 ? `Number ${at}` : `Re:\r\n\tNumber ${at - 1}`;
  return `Received: by x\r\nFrom: p${9 - (at % 10)}@x.test\r\n${to}${cc}Date: ${at + 1} Jan 2020 10:00:00 +0000\r\nSubject: ${subject}\r\nMessage-ID: <${at}@x>\r\nReferences: <${at - 1}@x>\r\nX-More: ${at}\r\n\r\nThe body of ${at}.\r\n`;
}

test('answers are the same, and what is held is not read again', async () => {
  const stage = await Stage.open();
  for (let at = 0; at < 25; at++) await stage.deliver(letter(at));
  await stage.deliver('no header at all\r\n\r\nSubject: not this\r\n');
  const { space } = stage.mail.store;
  let reads = 0;
  const last = space.last.bind(space);
  space.last = (key) => {
    if (key.startsWith('b/')) reads++;
    return last(key);
  };
  for (const command of COMMANDS) {
    const cold = await Stage.open();
    for (let at = 0; at < 25; at++) await cold.deliver(letter(at));
    await cold.deliver('no header at all\r\n\r\nSubject: not this\r\n');
    const first = await (await cold.selected()).does(command);
    const talk = await stage.selected();
    await talk.does('FETCH 1:* ENVELOPE');
    reads = 0;
    assert.equal(await talk.does(command), first, command);
    assert.equal(reads, 0, command);
  }
  const talk = await stage.selected();
  assert.match(await talk.does('SEARCH HEADER X-More 24'), /^\* SEARCH 25\r\n/);
  assert.ok(reads > 0);
  assert.match(await talk.does('FETCH 2 BODY.PEEK[HEADER]'), /X-More: 1\r\n\r\n/);
});

test('mail that comes, goes and moves meanwhile has its own fields', async () => {
  const stage = await Stage.open();
  for (let at = 0; at < 6; at++) await stage.deliver(letter(at));
  const talk = await stage.selected();
  await talk.does('FETCH 1:* ENVELOPE');
  await talk.does('STORE 2,4 +FLAGS.SILENT (\\Deleted)');
  await talk.does('EXPUNGE');
  await stage.deliver(letter(8));
  await talk.does('NOOP');
  const subjects = (await talk.does('FETCH 1:* BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]')).match(/<\d+@x>/g);
  assert.deepEqual(subjects, ['<0@x>', '<2@x>', '<4@x>', '<5@x>', '<8@x>']);
});

const BODIES = [
  'FETCH 1:* (FLAGS BODYSTRUCTURE)',
  'FETCH 1:* (UID BODY ENVELOPE)',
  'FETCH 1:* BODY.PEEK[HEADER]',
  'FETCH 1:* (BODY.PEEK[HEADER.FIELDS.NOT (FROM)] BODYSTRUCTURE)',
  'FETCH 1:* BODY.PEEK[]',
  'FETCH 1:* (BODY.PEEK[TEXT]<3.5> ENVELOPE)',
];

test('answers that were made and bytes that were read are given again without the store', async () => {
  const stage = await Stage.open();
  for (let at = 0; at < 200; at++) await stage.deliver(letter(at));
  const { space } = stage.mail.store;
  let reads = 0;
  const last = space.last.bind(space);
  space.last = (key) => {
    if (key.startsWith('b/')) reads++;
    return last(key);
  };
  const talk = await stage.selected();
  for (const command of BODIES) {
    const first = await talk.does(command);
    reads = 0;
    assert.equal(await talk.does(command), first, command);
    assert.equal(reads, 0, command);
  }
  const before = await talk.does('FETCH 7:9 (UID ENVELOPE BODYSTRUCTURE BODY.PEEK[])');
  await talk.does('STORE 1:6 +FLAGS.SILENT (\\Deleted)');
  await talk.does('EXPUNGE');
  const renumbered = before.replace(/^\* (\d)/gm, (_, number) => `* ${number - 6}`);
  assert.equal(await talk.does('FETCH 1:3 (UID ENVELOPE BODYSTRUCTURE BODY.PEEK[])'), renumbered);
});

test('what was made for ASCII is not given to who takes UTF-8', async () => {
  const stage = await Stage.open();
  await stage.deliver('Subject: J\u00fcrgen\r\nFrom: a@b\r\n\r\nx\r\n');
  const talk = await stage.selected();
  const plain = await talk.does('FETCH 1 ENVELOPE');
  assert.equal(await talk.does('FETCH 1 ENVELOPE'), plain);
  await talk.does('ENABLE UTF8=ACCEPT');
  const utf8 = await talk.does('FETCH 1 ENVELOPE');
  assert.match(utf8, /J\u00c3\u00bcrgen/);
  assert.notEqual(utf8, plain);
});
