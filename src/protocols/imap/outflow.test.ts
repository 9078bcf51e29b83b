// Long messages: written as they are read, in whole, in part and by their parts, at the pace of the client, and what becomes of
// the connection when one goes meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MISSING } from '../../core/outcome.ts';
import { Stage } from './testing/stage.ts';

const LINE = `${'x'.repeat(70)}\r\n`;
const HEADER = 'From: a@x.test\r\nSubject: long\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n';
const FIRST = LINE.repeat(8_000);
const SECOND = LINE.toUpperCase().repeat(6_000);
const LONG = `${HEADER}--q\r\nContent-Type: text/plain\r\n\r\n${FIRST}\r\n--q\r\nContent-ID: <2@x>\r\n\r\n${SECOND}\r\n--q--\r\n`;

test('the answer is that of a message that is held', async () => {
  const stage = await Stage.open();
  await stage.deliver(LONG);
  await stage.deliver('Subject: short\r\n\r\nshort\r\n');
  const talk = await stage.selected();
  assert.equal(
    await talk.does('FETCH 1:2 (UID BODY[] RFC822.SIZE)'),
    `* 1 FETCH (UID 1 RFC822.SIZE ${LONG.length} FLAGS (\\Recent \\Seen) BODY[] {${LONG.length}}\r\n${LONG})\r\n` +
      '* 2 FETCH (UID 2 BODY[] {25}\r\nSubject: short\r\n\r\nshort\r\n RFC822.SIZE 25 FLAGS (\\Recent \\Seen))\r\n',
  );
  assert.equal(
    await talk.does('FETCH 1 (BODY.PEEK[]<10.20> BODY.PEEK[]<9999999.5>)'),
    `* 1 FETCH (BODY[]<10> {20}\r\n${LONG.slice(10, 30)} BODY[]<9999999> "")\r\n`,
  );
});

test('parts are read where they stand once the structure is known (RFC 9051 §6.4.5.1)', async () => {
  const stage = await Stage.open();
  await stage.deliver(LONG);
  const talk = await stage.selected();
  const asked: [number, number][] = [];
  const folder = stage.mail.store.mailboxes.get('ann@example.org')!.folders.get('INBOX')!.open!;
  const read = folder.read.bind(folder);
  folder.read = (uid, start, end, sink) => {
    asked.push([start, end]);
    return read(uid, start, end, sink);
  };
  assert.match(await talk.does('FETCH 1 BODYSTRUCTURE'), /"mixed"/);
  assert.deepEqual(asked.splice(0), [[0, LONG.length]]);
  const answers = [
    ['BODY.PEEK[1]', FIRST],
    ['BODY.PEEK[2]', SECOND],
    ['BODY.PEEK[2]<7.100>', SECOND.slice(7, 107)],
    ['BODY.PEEK[2.MIME]', 'Content-ID: <2@x>\r\n\r\n'],
    ['BODY.PEEK[TEXT]<0.3>', '--q'],
  ] as const;
  for (const [item, text] of answers) {
    const label = item.replace('.PEEK', '').replace(/<(\d+)\.\d+>/, '<$1>');
    assert.equal(await talk.does(`FETCH 1 ${item}`), `* 1 FETCH (${label} {${text.length}}\r\n${text})\r\n`);
  }
  assert.deepEqual(
    asked.splice(0).map(([start, end]) => LONG.slice(start, end)),
    answers.map(([, text]) => text),
  );
  assert.equal(await talk.does('FETCH 1 BODY.PEEK[3]'), '* 1 FETCH (BODY[3] NIL)\r\n');
  // What is not bytes as they stand is made from all of it.
  assert.match(await talk.does('FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]'), /Subject: long\r\n\r\n\)/);
  assert.equal(asked.length, 1);
});

test('a client that reads slowly: little of the message waits for it', async () => {
  const stage = await Stage.open({ highMark: 16_384 });
  await stage.deliver(LONG);
  const talk = await stage.selected();
  let most = 0;
  const { server } = talk;
  const share = server.share.bind(server);
  server.share = (bytes, start, end) => {
    share(bytes, start, end);
    most = Math.max(most, server.queued);
  };
  const answer = await talk.does('FETCH 1 BODY.PEEK[]');
  assert.ok(answer.includes(LONG));
  assert.ok(most <= 33_000, `${most} bytes were queued`);
  assert.deepEqual(stage.world.bugs, []);
});

test('a message that goes while it is written ends the connection, since its literal cannot be ended', async () => {
  const stage = await Stage.open();
  await stage.deliver(LONG);
  const talk = await stage.selected();
  const folder = stage.mail.store.mailboxes.get('ann@example.org')!.folders.get('INBOX')!.open!;
  folder.read = (_uid, _start, _end, sink) => {
    sink.bytes(Buffer.from('some'), 0, 4);
    sink.end(MISSING);
    return { more: () => {}, stop: () => {} };
  };
  await talk.hears('a FETCH 1 BODY.PEEK[]\r\n');
  assert.ok(
    talk.peer.told.some((line) => line.startsWith('lost reset')),
    talk.peer.told.join(),
  );
  assert.deepEqual(stage.world.bugs, []);
});
