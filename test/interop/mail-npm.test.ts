// Mail with the clients that Node programs use: nodemailer sends it, imapflow reads it; in the clear, with STARTTLS, within TLS,
// compressed, and over a session that was away.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ImapFlow, type ImapFlowOptions } from 'imapflow';
import { Portico } from '../../src/portico.ts';
import { until } from '../clients.ts';

/** What of nodemailer is used: it brings no types. */
interface Transport {
  sendMail(
    mail: Readonly<Record<string, unknown>>,
  ): Promise<{ accepted: string[]; rejected: string[]; response: string }>;
  verify(): Promise<true>;
  close(): void;
}
const nodemailer = createRequire(import.meta.url)('nodemailer') as {
  createTransport(options: Readonly<Record<string, unknown>>): Transport;
};

const folder = mkdtempSync(join(tmpdir(), 'portico-mail-npm-'));
after(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;

async function house(config: Parameters<typeof Portico.start>[0] = {}) {
  const data = join(folder, `data-${++count}`);
  const portico = await Portico.start({ data, ports: 'ephemeral', control: false, ...config });
  const port = (name: string) => Number(portico.urls[name]!.split(':').at(-1)!);
  const ca = readFileSync(join(data, 'certificates', 'root.pem'));
  const transport = (name: string, options: Readonly<Record<string, unknown>> = {}) =>
    nodemailer.createTransport({
      host: 'localhost',
      port: port(name),
      secure: name === 'smtps',
      tls: { ca },
      ...options,
    });
  const reader = (user: string, options: Partial<ImapFlowOptions> = {}) =>
    new ImapFlow({
      host: 'localhost',
      port: port(options.secure === true ? 'imaps' : 'imap'),
      secure: false,
      auth: { user, pass: 'any' },
      tls: { ca },
      logger: false,
      ...options,
    });
  return { portico, transport, reader };
}

const ANN = 'ann@example.org';

test('nodemailer sends with STARTTLS, a sign-in and attachments; imapflow downloads them', async () => {
  const it = await house();
  await using _ = it.portico;
  const bytes = Buffer.alloc(
    700_000,
    Uint8Array.from({ length: 251 }, (_each, at) => at),
  );
  for (const [name, options] of [
    ['submission', { requireTLS: true, auth: { user: 'bob', pass: 'any' } }],
    ['smtps', { auth: { user: 'bob', pass: 'any', method: 'LOGIN' } }],
    ['smtp', { ignoreTLS: true }],
  ] as const) {
    const transport = it.transport(name, options);
    assert.equal(await transport.verify(), true);
    const sent = await transport.sendMail({
      from: 'Bob <bob@example.net>',
      to: [ANN],
      subject: `Größe über ${name} 🎉`,
      text: 'A dot:\n.\n..two\nend',
      html: '<b>Hello</b>',
      attachments: [{ filename: 'größe.bin', content: bytes }],
    });
    assert.deepEqual(sent.accepted, [ANN]);
    assert.match(sent.response, /^250 /);
    transport.close();
  }
  const client = it.reader(ANN, { secure: true });
  await client.connect();
  const lock = await client.getMailboxLock('INBOX');
  try {
    assert.ok(client.mailbox !== false && client.mailbox.exists === 3);
    for await (const message of client.fetch('1:*', { envelope: true, bodyStructure: true, size: true })) {
      assert.match(message.envelope!.subject!, /^Größe über (submission|smtps|smtp) 🎉$/);
      assert.equal(message.envelope!.from![0]!.address, 'bob@example.net');
      const parts = message.bodyStructure!.childNodes!;
      assert.equal(parts[1]!.dispositionParameters!.filename, 'größe.bin');
    }
    for (const uid of ['1', '2', '3']) {
      const { content } = await client.download(uid, '2', { uid: true });
      const pieces: Buffer[] = [];
      for await (const piece of content!) pieces.push(piece as Buffer);
      assert.ok(Buffer.concat(pieces).equals(bytes));
      const text = await client.download(uid, '1.1', { uid: true });
      let said = '';
      for await (const piece of text.content!) said += piece;
      assert.match(said, /^A dot:\r?\n\.\r?\n\.\.two\r?\nend/);
    }
  } finally {
    lock.release();
  }
  await client.logout();
});

test('nodemailer with a pool of pipelined connections: every mail is there, once', async () => {
  const it = await house();
  await using _ = it.portico;
  const transport = it.transport('smtp', { pool: true, maxConnections: 5, maxMessages: 20, ignoreTLS: true });
  await Promise.all(
    Array.from({ length: 120 }, (_each, at) =>
      transport.sendMail({ from: 'bob@example.net', to: [ANN, 'eve@example.org'], subject: `mail ${at}`, text: 'x' }),
    ),
  );
  transport.close();
  for (const user of [ANN, 'eve@example.org']) {
    const client = it.reader(user);
    await client.connect();
    await client.mailboxOpen('INBOX');
    const subjects = new Set<string>();
    for await (const { envelope } of client.fetch('1:*', { envelope: true })) subjects.add(envelope!.subject!);
    assert.equal(subjects.size, 120);
    assert.equal(client.mailbox !== false && client.mailbox.exists, 120);
    await client.logout();
  }
});

test('who may not send is told so: nodemailer sees the reply', async () => {
  const it = await house({ mail: { mode: 'deliver', domains: ['example.org'] } });
  await using _ = it.portico;
  const transport = it.transport('smtp', { ignoreTLS: true });
  await assert.rejects(
    transport.sendMail({ from: 'bob@example.net', to: 'who@elsewhere.test', text: 'x' }),
    (error: { responseCode?: number }) => error.responseCode === 550,
  );
  transport.close();
});

test('nodemailer asks for reports: of delivery, of failure, of neither (RFC 3461)', async () => {
  const it = await house({
    mail: { mode: 'deliver', domains: ['here.test'], relay: { smartHost: 'smtp://127.0.0.1:1', name: 'mx.here.test' } },
    outbound: { allow: ['127.0.0.1'] },
  });
  await using _ = it.portico;
  for (const name of ['ann', 'bob']) await it.portico.order({ do: 'account.add', name, password: 'long enough it is' });
  const pass = 'long enough it is';
  const transport = it.transport('submission', { requireTLS: true, auth: { user: 'ann', pass } });
  const send = (subject: string, to: string, dsn: Readonly<Record<string, unknown>>) =>
    transport.sendMail({ from: 'ann@here.test', to, subject, text: 'The text.', dsn });
  const success = { id: 'id with space+', return: 'headers', notify: ['success'], recipient: 'ann@here.test' };
  await send('one', 'bob@here.test', success);
  await send('two', 'bob@here.test', {
    id: 'two',
    return: 'full',
    notify: ['failure', 'delay'],
    recipient: 'x@y.test',
  });
  await send('three', 'bob@here.test', { id: 'three', return: 'full', notify: 'never', recipient: 'ann@here.test' });
  // Whoever is refused at once is told so, and nobody is mailed.
  await assert.rejects(send('four', 'who@here.test', success), /550/);
  await send('five', 'bob@here.test', { ...success, id: 'five', return: 'full' });
  transport.close();
  const client = it.reader('ann', { auth: { user: 'ann', pass } });
  await client.connect();
  await client.mailboxOpen('INBOX');
  for (let round = 0; (client.mailbox !== false ? client.mailbox.exists : 0) < 2; round++) {
    assert.ok(round < 500, 'the reports do not come');
    await client.noop();
  }
  const reports: string[] = [];
  for await (const { source } of client.fetch('1:*', { source: true })) reports.push(source!.toString());
  await client.logout();
  assert.equal(reports.length, 2);
  assert.match(reports[0]!, /Original-Envelope-Id: id with space\+\r\n/i);
  assert.match(reports[0]!, /Original-Recipient: rfc822; ?ann@here\.test\r\n/i);
  assert.match(reports[0]!, /Action: delivered\r\nStatus: 2\.\d+\.\d+/i);
  assert.match(reports[0]!, /Subject: one\r\n/);
  assert.doesNotMatch(reports[0]!, /The text\./);
  assert.match(reports[1]!, /Original-Envelope-Id: five\r\n/i);
  // All of a mail is returned with a failure only (RFC 3461 §4.3).
  assert.match(reports[1]!, /Content-Type: text\/rfc822-headers\r\n/);
});

test('imapflow: folders, search, append, flags, copy, move and delete', async () => {
  const it = await house();
  await using _ = it.portico;
  const client = it.reader(ANN);
  await client.connect();
  for (const name of ['COMPRESS=DEFLATE', 'MOVE', 'QRESYNC', 'UIDPLUS', 'IDLE'])
    assert.ok(client.capabilities.has(name), name);
  assert.deepEqual(
    (await client.list())
      .flatMap(({ path, specialUse }) => (specialUse === undefined ? [] : [`${path} ${specialUse}`]))
      .sort(),
    ['Archive \\Archive', 'Drafts \\Drafts', 'INBOX \\Inbox', 'Junk \\Junk', 'Sent \\Sent', 'Trash \\Trash'],
  );
  await client.mailboxCreate('Größe/Unten');
  const lock = await client.getMailboxLock('INBOX');
  for (let at = 1; at <= 10; at++) {
    const made = await client.append(
      'INBOX',
      `From: p${at % 3}@x.test\r\nTo: ann@example.org\r\nSubject: number ${at}\r\nDate: ${at} Jan 2024 10:00:00 +0000\r\n\r\nBody ${at}\r\n`,
      at % 2 === 0 ? ['\\Seen', 'word'] : [],
      new Date(Date.UTC(2024, 0, at)),
    );
    assert.ok(made !== false && made.uid === at);
  }
  await client.noop();
  assert.deepEqual(await client.search({ from: 'p1@' }, { uid: true }), [1, 4, 7, 10]);
  assert.deepEqual(await client.search({ seen: false, since: new Date(Date.UTC(2024, 0, 6)) }), [7, 9]);
  assert.deepEqual(await client.search({ body: 'body 3' }), [3]);
  assert.deepEqual(await client.search({ keyword: 'word', or: [{ subject: '2' }, { subject: '4' }] }), [2, 4]);
  assert.equal(await client.messageFlagsAdd('1:3', ['\\Flagged']), true);
  assert.deepEqual(await client.search({ flagged: true }), [1, 2, 3]);
  const copied = await client.messageCopy('2', 'Größe/Unten');
  assert.ok(copied !== false);
  assert.deepEqual([...copied.uidMap!], [[2, 1]]);
  const moved = await client.messageMove('9,10', 'Archive', { uid: true });
  assert.ok(moved !== false);
  assert.deepEqual(
    [...moved.uidMap!],
    [
      [9, 1],
      [10, 2],
    ],
  );
  assert.equal(await client.messageDelete('1', { uid: true }), true);
  const status = await client.status('Größe/Unten', { messages: true, unseen: true, uidNext: true });
  assert.ok(status !== false);
  assert.deepEqual([status.messages, status.unseen, status.uidNext], [1, 0, 2]);
  assert.deepEqual(await client.search({ all: true }, { uid: true }), [2, 3, 4, 5, 6, 7, 8]);
  lock.release();
  await client.logout();
});

test('two sessions of imapflow see one another at once: what comes, what is flagged, what goes (RFC 2177)', async () => {
  const it = await house();
  await using _ = it.portico;
  const transport = it.transport('smtp', { ignoreTLS: true });
  await transport.sendMail({ from: 'bob@example.net', to: ANN, subject: 'first', text: 'x' });
  const watching = it.reader(ANN);
  const acting = it.reader(ANN);
  await watching.connect();
  await acting.connect();
  await watching.mailboxOpen('INBOX');
  await acting.mailboxOpen('INBOX');
  const told: string[] = [];
  watching.on('exists', ({ count: now }) => told.push(`exists ${now}`));
  watching.on('flags', ({ seq, flags }) => told.push(`flags ${seq} ${[...flags!].sort().join(' ')}`));
  watching.on('expunge', ({ seq }) => told.push(`expunge ${seq}`));
  void watching.idle();
  await transport.sendMail({ from: 'bob@example.net', to: ANN, subject: 'second', text: 'x' });
  await until(() => told.includes('exists 2'), `the second mail, after ${told}`);
  await acting.noop();
  await acting.messageFlagsAdd('2', ['\\Answered']);
  await until(
    () => told.some((line) => line.startsWith('flags 2') && line.includes('\\Answered')),
    `flags, after ${told}`,
  );
  await acting.messageDelete('1');
  await until(() => told.includes('expunge 1'), `the expunge, after ${told}`);
  transport.close();
  await acting.logout();
  await watching.logout();
});

test('imapflow comes back with CONDSTORE and QRESYNC and hears only what changed (RFC 7162)', async () => {
  const it = await house();
  await using _ = it.portico;
  const acting = it.reader(ANN, { qresync: true });
  await acting.connect();
  for (let at = 1; at <= 20; at++) await acting.append('INBOX', `Subject: ${at}\r\n\r\nx\r\n`);
  const before = await acting.mailboxOpen('INBOX');
  const known = before.highestModseq!;
  assert.ok(known > 0n);
  await acting.messageFlagsAdd('3,5', ['\\Flagged'], { uid: true });
  await acting.messageDelete('7,8', { uid: true });
  await acting.append('INBOX', 'Subject: 21\r\n\r\nx\r\n');
  await acting.noop();
  const changed: number[] = [];
  for await (const { uid } of acting.fetch('1:*', { uid: true, flags: true }, { changedSince: known }))
    changed.push(uid);
  assert.deepEqual(
    changed.sort((one, other) => one - other),
    [3, 5, 21],
  );
  const back = it.reader(ANN, { qresync: true });
  await back.connect();
  const gone: number[] = [];
  back.on('expunge', ({ uid, vanished }) => {
    if (vanished === true) gone.push(uid!);
  });
  await back.mailboxOpen('INBOX', { changedSince: known, uidValidity: before.uidValidity } as never);
  await until(() => gone.length === 2, `two that vanished, after ${gone}`);
  assert.deepEqual(gone.sort(), [7, 8]);
  await back.logout();
  await acting.logout();
});
