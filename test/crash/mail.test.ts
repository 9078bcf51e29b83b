// Mail over kill -9 while it is acknowledged: what was answered with 250 is there, once, and no UID is given twice.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MailStore } from '../../src/resources/mail/store.ts';
import { SqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { startServer } from '../server-process.ts';

const CLIENTS = 8;
const ROUNDS = 8;

/** Sends one mail after another until the server is gone; tells of each that was acknowledged. */
function send(port: number, name: string, acknowledged: (subject: string) => void): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1');
    let count = 0;
    let text = '';
    // Every third is longer than what stands beside its index, so that blobs are in it too.
    const mail = (subject: string) =>
      `MAIL FROM:<x@example.org>\r\nRCPT TO:<${name}@example.org>\r\nRCPT TO:<all@example.org>\r\nDATA\r\n` +
      `Subject: ${subject}\r\n\r\n${'A line of it.\r\n'.repeat(count % 3 === 2 ? 6_000 : 20)}.\r\n`;
    const next = () => socket.write(mail(`${name}-${++count}`));
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        if (line.startsWith('220 ')) socket.write('EHLO crash\r\n');
        else if (line === '250 HELP') next();
        else if (line.startsWith('250 2.0.0 It is on the disk')) {
          acknowledged(`${name}-${count}`);
          next();
        }
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });
}

/** The subjects of all mails of a mailbox, in the order of their UIDs, each of them read whole. */
async function subjectsOf(store: MailStore, mailbox: string): Promise<string[]> {
  const folder = store.mailboxes.get(mailbox)?.folders.get('INBOX');
  if (folder === undefined) return [];
  const open = await store.hold(folder);
  const subjects: string[] = [];
  for (const uid of open.uids.subarray(0, open.count)) {
    const bytes = await open.whole(uid);
    assert.ok(bytes !== null, `mail ${uid} of ${mailbox} has no bytes`);
    const text = bytes.toString('latin1');
    assert.ok(text.endsWith('A line of it.\r\n'), `mail ${uid} of ${mailbox} is not whole`);
    subjects.push(/^Subject: (\S+)\r$/m.exec(text)![1]!);
  }
  assert.equal(new Set(open.uids.subarray(0, open.count)).size, open.count);
  assert.ok(open.uidNext > (open.uids[open.count - 1] ?? 0));
  return subjects;
}

test('kill -9 while mail is acknowledged: nothing is lost, nothing is there twice', { timeout: 120_000 }, async () => {
  const data = mkdtempSync(join(tmpdir(), 'portico-mail-crash-'));
  const acknowledged = new Set<string>();
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const server = await startServer(['--data', data]);
      const clients = Array.from({ length: CLIENTS }, (_, at) =>
        send(server.port('smtp'), `r${round}c${at}`, (subject) => acknowledged.add(subject)),
      );
      await sleep(100 + round * 40);
      await server.kill();
      await Promise.all(clients);
    }
    assert.ok(acknowledged.size > ROUNDS * CLIENTS, `only ${acknowledged.size} mails were acknowledged`);
    const engine = await SqliteEngine.open(data, { onFatal: (error) => assert.fail(error) });
    const store = await MailStore.open(engine, () => Date.now());
    const all = await subjectsOf(store, 'all@example.org');
    assert.equal(new Set(all).size, all.length, 'a mail is there twice');
    for (const subject of acknowledged) assert.ok(all.includes(subject), `${subject} was acknowledged, and is lost`);
    for (const mailbox of store.mailboxes.keys()) {
      if (mailbox === 'all@example.org') continue;
      // Both recipients have it, or none.
      for (const subject of await subjectsOf(store, mailbox)) assert.ok(all.includes(subject));
    }
    store.close();
    await engine.close();
  } finally {
    rmSync(data, { recursive: true });
  }
});
