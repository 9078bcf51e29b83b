// SMTP with clients that are not ours: curl, swaks, msmtp, Python's smtplib, openssl; in the clear, with STARTTLS and within
// TLS against the server's own root; and what is acknowledged over kill -9.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Caller } from '../../src/core/caller.ts';
import { parseMessage } from '../../src/formats/mime/parsed.ts';
import { Portico, type StartOptions } from '../../src/portico.ts';
import { missing, Program, run } from '../clients.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-smtp-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface House {
  readonly portico: Portico;
  readonly plain: string;
  readonly submission: string;
  readonly implicit: string;
  readonly root: string;
}

let count = 0;

async function open(options: StartOptions = {}): Promise<House> {
  const data = join(folder, `data-${++count}`);
  const portico = await Portico.start({ data, ports: 'ephemeral', control: false, ...options });
  const port = (name: string) => portico.urls[name]!.split(':').at(-1)!;
  const root = join(data, 'certificates', 'root.pem');
  return { portico, plain: port('smtp'), submission: port('submission'), implicit: port('smtps'), root };
}

/** All mails of a mailbox, as they are kept. */
async function mailsOf({ portico }: House, account: string): Promise<string[]> {
  const caller: Caller = { account, scopes: null, origin: 'local', epoch: 0 };
  const mailbox = await portico.mail.open(caller, portico.mail.own(caller));
  assert.ok(typeof mailbox !== 'number');
  const inbox = await mailbox.open('INBOX');
  assert.ok(typeof inbox !== 'number');
  const found: string[] = [];
  for (const uid of inbox.uids.subarray(0, inbox.count)) found.push((await inbox.whole(uid))!.toString());
  mailbox.close(inbox);
  return found;
}

const letter = join(folder, 'letter.eml');
const LETTER =
  'From: ann@example.org\r\nTo: bob@example.net\r\nSubject: Hello\r\n\r\nA line.\r\n.A line with a dot.\r\n.\r\n';
writeFileSync(letter, LETTER);

test('curl sends a letter, and it is caught as it was', { skip: missing('curl') }, async () => {
  const house = await open();
  await using _ = house.portico;
  for (const [url, more] of [
    [`smtp://127.0.0.1:${house.plain}`, []],
    [`smtp://[::1]:${house.plain}`, []],
    [`smtp://localhost:${house.submission}`, ['--ssl-reqd', '--cacert', house.root, '--user', 'ann:any']],
    [
      `smtps://localhost:${house.implicit}`,
      ['--cacert', house.root, '--user', 'ann:any', '--login-options', 'AUTH=LOGIN'],
    ],
  ] as const) {
    const sent = ['--mail-from', 'ann@example.org', '--mail-rcpt', 'bob@example.net', '--mail-rcpt', 'eve@example.net'];
    const { code, error } = await run('curl', '-sS', url, ...more, ...sent, '-T', letter);
    assert.equal(code, 0, error);
  }
  const bobs = await mailsOf(house, 'bob@example.net');
  assert.equal(bobs.length, 4);
  assert.equal((await mailsOf(house, 'eve@example.net')).length, 4);
  for (const mail of bobs) {
    assert.ok(mail.endsWith(LETTER));
    assert.match(
      mail,
      /^Return-Path: <ann@example\.org>\r\nReceived: from \S+ \(.+\)\r\n\tby localhost with ESMTPS?A? id /,
    );
  }
  assert.match(bobs[2]!, /with ESMTPSA id/);
});

test('swaks: every way to sign in, and to be refused', { skip: missing('swaks') }, async () => {
  const house = await open({ mail: { mode: 'deliver', domains: ['example.org'] } });
  await using _ = house.portico;
  await house.portico.order({ do: 'account.add', name: 'ann', password: 'correct horse' });
  const swaks = (...more: string[]) => run('swaks', '--suppress-data', '--from', 'x@example.net', ...more);
  const server = ['--server', `127.0.0.1:${house.submission}`];
  for (const mechanism of ['PLAIN', 'LOGIN']) {
    const auth = ['--auth', mechanism, '--auth-user', 'ann', '--auth-password', 'correct horse'];
    assert.equal((await swaks(...server, '--to', 'ann@example.org', '--tls', ...auth)).code, 0, mechanism);
  }
  const wrong = ['--auth', 'PLAIN', '--auth-user', 'ann', '--auth-password', 'wrong'];
  // swaks: 28 is a sign-in that failed, 23 a MAIL, 24 all of RCPT.
  assert.equal((await swaks(...server, '--to', 'ann@example.org', ...wrong)).code, 28);
  assert.equal((await swaks(...server, '--to', 'ann@example.org')).code, 23);
  const open25 = ['--server', `127.0.0.1:${house.plain}`];
  assert.equal((await swaks(...open25, '--to', 'ann@example.org')).code, 0);
  assert.equal((await swaks(...open25, '--to', 'nobody@example.org')).code, 24);
  assert.equal((await swaks(...open25, '--to', 'someone@example.net')).code, 24);
  assert.equal((await mailsOf(house, 'ann')).length, 3);
});

test('msmtp over implicit TLS, and Python with chunks of its own', {
  skip: missing('msmtp') || missing('python3'),
}, async () => {
  const house = await open();
  await using _ = house.portico;
  const tls = ['--tls=on', '--tls-starttls=off', `--tls-trust-file=${house.root}`];
  const given = ['--host=localhost', `--port=${house.implicit}`, '--from=ann@example.org', ...tls];
  const { code, error } = await new Program('msmtp', [...given, 'bob@example.net'], LETTER).done;
  assert.equal(code, 0, error);
  const script = `
import smtplib, ssl, sys
from email.message import EmailMessage
m = EmailMessage()
m['From'] = 'Ann <ann@example.org>'; m['To'] = 'J\\u00fcrgen <bob@example.net>'; m['Subject'] = 'Gr\\u00fc\\u00dfe'
m.set_content('Hello, world.\\n.\\n'); m.add_attachment(bytes(range(256)) * 400, maintype='image', subtype='png', filename='\\u00e4.png')
with smtplib.SMTP('localhost', ${house.plain}) as s:
    s.starttls(context=ssl.create_default_context(cafile='${house.root}'))
    s.send_message(m)
    print(s.esmtp_features.get('size'), s.noop()[0], s.verify('x')[0])
    try: s.sendmail('a@b', ['not an address'], 'x')
    except smtplib.SMTPRecipientsRefused as e: print(list(e.recipients.values())[0][0])
    s.sendmail('j\\u00fcrgen@b', ['bob@example.net'], 'Subject: x\\r\\n\\r\\ny', mail_options=['SMTPUTF8'])
`;
  const python = await run('python3', '-c', script);
  assert.equal(python.out, '52428800 250 252\n553\n', python.error);
  const mails = await mailsOf(house, 'bob@example.net');
  assert.equal(mails.length, 3);
  const parsed = parseMessage(Buffer.from(mails[1]!));
  assert.equal(parsed.subject, 'Grüße');
  assert.deepEqual(
    parsed.attachments.map(({ name, type, size }) => [name, type, size]),
    [['ä.png', 'image/png', 25_600 * 4]],
  );
  assert.equal(parsed.text.replaceAll('\r', ''), 'Hello, world.\n.\n');
});

test('a mail to a topic is a message of it, and a mail that comes is an event', async () => {
  const house = await open();
  await using _ = house.portico;
  const http = house.portico.urls.http!;
  const events = await fetch(`${http}/topics/mail/%23?after=0`, { headers: { accept: 'text/event-stream' } });
  await smtp(house.plain, [
    'EHLO x',
    'MAIL FROM:<camera@example.org>',
    'RCPT TO:<topics+garden.door@localhost>',
    'RCPT TO:<bob@localhost>',
    'DATA',
    'Subject: Motion\r\nFrom: camera@example.org\r\nContent-Type: application/json\r\nContent-Transfer-Encoding: base64\r\n\r\neyJhIjoxfQ==\r\n.',
  ]);
  const answer = await fetch(`${http}/topics/garden/door?after=0`);
  const { payload, contentType } = JSON.parse(await answer.text()) as Record<string, unknown>;
  assert.deepEqual([payload, contentType], ['{"a":1}', 'application/json']);
  const reader = events.body!.getReader();
  let text = '';
  while (!text.includes('Motion')) text += Buffer.from((await reader.read()).value!).toString();
  await reader.cancel();
  assert.match(text, /"mailbox":"bob@localhost","folder":"INBOX","uid":1/);
});

/** Says each line once what was said before has been answered; what the server said. */
function smtp(port: string, lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1');
    let text = '';
    let replies = 0;
    socket.on('error', reject);
    socket.on('data', (bytes) => {
      text += bytes;
      const whole = text.match(/^\d{3} .*\r\n/gm)?.length ?? 0;
      for (; replies < whole; replies++) {
        if (replies === lines.length) socket.end('QUIT\r\n');
        else if (replies < lines.length) socket.write(`${lines[replies]}\r\n`);
      }
    });
    socket.on('close', () => resolve(text));
  });
}
