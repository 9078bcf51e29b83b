// `portico inbox` against a server with mail, over IMAP and POP3, in the clear and within TLS.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connectImap } from '../../src/exports/imap.ts';
import { connectPop3 } from '../../src/exports/pop3.ts';
import { connectSmtp } from '../../src/exports/smtp.ts';
import { Portico } from '../../src/portico.ts';
import { Program, run, until } from '../clients.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-inbox-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const ANN = ['--user', 'ann@example.org'];
process.env.PORTICO_PASSWORD = 'any';

let count = 0;

async function house() {
  const data = join(folder, `data-${++count}`);
  const portico = await Portico.start({ data, ports: 'ephemeral', control: false });
  // Its authority vouches for it.
  process.env.PORTICO_DATA = data;
  const port = (name: string) => portico.urls[name]!.split(':').at(-1)!;
  const url = (name: string) => `${name}://localhost:${port(name)}`;
  const smtp = await connectSmtp(`smtp://127.0.0.1:${port('smtp')}`, { startTls: 'never' });
  const send = async (subject: string, more = '', body = `This is ${subject}.\r\n`) => {
    const message = Buffer.from(
      `From: Bob <bob@x.test>\r\nTo: ann@example.org\r\nSubject: ${subject}\r\n${more}\r\n${body}`,
    );
    const [outcome] = await smtp.send({ from: 'bob@x.test', to: ['ann@example.org'], message });
    assert.equal(outcome!.state, 'sent');
  };
  const inbox = (...args: string[]) => run(process.execPath, MAIN, 'inbox', ...args);
  return { portico, url, send, smtp, inbox };
}

const ATTACHED = [
  ...['--q', 'Content-Type: text/plain', '', 'See there.', '--q', 'Content-Type: application/octet-stream'],
  ...[
    'Content-Disposition: attachment; filename="../../evil.bin"',
    'Content-Transfer-Encoding: base64',
    '',
    'AAEC',
    '--q--',
    '',
  ],
].join('\r\n');

test('lists, searches, reads, saves, flags and deletes over IMAP', { timeout: 90_000 }, async () => {
  const it = await house();
  await using _ = it.portico;
  await it.send('one');
  await it.send('=?utf-8?q?Gr=C3=B6=C3=9Fe?= two', 'Content-Type: multipart/mixed; boundary=q\r\n', ATTACHED);
  await it.send('three\u001b[31m');
  it.smtp.close();
  const url = it.url('imap');
  const all = await it.inbox(url, ...ANN, '--json');
  assert.equal(all.code, 0, all.error);
  const listed = all.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: number; subject: string });
  assert.deepEqual(
    listed.map(({ id }) => id),
    [1, 2, 3],
  );
  assert.equal(listed[1]!.subject, 'Größe two');
  const found = await it.inbox(url, ...ANN, '--subject', 'größe', '--unseen', '--since', '2020-01-01');
  assert.match(found.out, /^ +2 .*Bob .*Größe two\n$/);
  // Within TLS, and what moves a cursor is shown as what it is.
  const read = await it.inbox(it.url('imaps'), ...ANN, '1', '3');
  assert.match(read.out, /From: Bob <bob@x\.test>[\s\S]*This is one\.[\s\S]*three\\u001b\[31m/);
  const saved = join(folder, 'saved');
  const paths = await it.inbox(url, ...ANN, '2', '--save', saved);
  assert.equal(paths.out, `${join(saved, 'evil.bin')}\n`);
  assert.deepEqual(readdirSync(saved), ['evil.bin']);
  assert.deepEqual([...readFileSync(join(saved, 'evil.bin'))], [0, 1, 2]);
  assert.equal((await it.inbox(url, ...ANN, '1-2', '--flag', 'seen', '--flag', 'Later')).code, 0);
  const unseen = await it.inbox(url, ...ANN, '--unseen', '--json');
  assert.equal((JSON.parse(unseen.out) as { id: number }).id, 3);
  assert.equal((await it.inbox(url, ...ANN, '1', '--delete')).code, 0);
  assert.equal((await it.inbox(url, ...ANN, '1')).code, 1);
  assert.match((await it.inbox(url, ...ANN, '--folders')).out, /^INBOX/);
  assert.equal((await it.inbox(url, ...ANN, '--folder', 'Nothing')).code, 77);
  assert.equal((await it.inbox(url, ...ANN, '--delete')).code, 64);
  assert.equal((await it.inbox('imap://127.0.0.1:1', ...ANN)).code, 69);
});

test('the same over POP3, with what it has', { timeout: 60_000 }, async () => {
  const it = await house();
  await using _ = it.portico;
  for (const subject of ['one', 'two', '.three']) await it.send(subject, '', `.${subject}\r\n..\r\n`);
  it.smtp.close();
  const url = it.url('pop3');
  const all = await it.inbox(url, ...ANN, '--limit', '2', '--json');
  assert.deepEqual(
    all.out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { id: number }).id),
    [2, 3],
  );
  assert.match((await it.inbox(it.url('pop3s'), ...ANN, '--subject', 'TWO')).out, /^ +2 .*two\n$/);
  assert.match((await it.inbox(url, ...ANN, '3', '--raw')).out, /\r\n\r\n\.\.three\r\n\.\.\r\n$/);
  assert.equal((await it.inbox(url, ...ANN, '2', '--delete')).code, 0);
  const left = await connectPop3(url, { user: 'ann@example.org', password: 'any', startTls: 'never' });
  assert.equal((await left.list()).length, 2);
  await left.close();
  assert.equal((await it.inbox(url, ...ANN, '--watch')).code, 64);
});

test('--watch shows a mail as it comes', { timeout: 60_000 }, async () => {
  const it = await house();
  await using _ = it.portico;
  await it.send('before');
  const watching = new Program(process.execPath, [MAIN, 'inbox', it.url('imap'), ...ANN, '--watch', '--json']);
  await until(() => watching.out.includes('before'), 'the list');
  await it.send('after');
  await until(() => watching.out.includes('"after"'), 'the new mail');
  watching.kill('SIGTERM');
  assert.equal((await watching.done).code, 0);
  it.smtp.close();
  const mailbox = await connectImap(it.url('imap'), { user: 'ann@example.org', password: 'any', startTls: 'never' });
  await mailbox.open('INBOX');
  assert.equal(mailbox.count, 2);
  mailbox.close();
});
