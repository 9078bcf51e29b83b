// IMAP with clients that are not ours: curl, Python's imaplib, mbsync in both directions, mutt, fetchmail; and mail over POP3
// with fetchmail and mpop. In the clear, with STARTTLS and within TLS against the server's own root.
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Caller } from '../../src/core/caller.ts';
import { Portico } from '../../src/portico.ts';
import type { AppendedMail, Mailbox } from '../../src/resources/mail/contract.ts';
import { missing, Program, run } from '../clients.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-imap-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface House {
  readonly portico: Portico;
  readonly data: string;
  readonly root: string;
  port(name: string): string;
  mailbox(): Promise<Mailbox>;
}

async function house(name: string): Promise<House> {
  const data = join(folder, name);
  const portico = await Portico.start({ data, ports: 'ephemeral', control: false });
  const caller: Caller = { account: 'ann@example.org', scopes: null, origin: 'local', epoch: 0 };
  return {
    portico,
    data,
    root: join(data, 'certificates', 'root.pem'),
    port: (scheme) => portico.urls[scheme]!.split(':').at(-1)!,
    mailbox: async () => {
      const mailbox = await portico.mail.open(caller, 'ann@example.org');
      assert.ok(typeof mailbox !== 'number');
      return mailbox;
    },
  };
}

const letter = (subject: string) =>
  `From: x@example.net\r\nTo: ann@example.org\r\nSubject: ${subject}\r\nMessage-ID: <${subject}@example.net>\r\n\r\nHello, ${subject}.\r\n.A dot.\r\n`;

async function add(house: House, subjects: readonly string[], to = 'INBOX'): Promise<void> {
  const mailbox = await house.mailbox();
  for (let at = 0; at < subjects.length; at += 500) {
    const commits: ReturnType<AppendedMail['commit']>[] = [];
    for (const subject of subjects.slice(at, at + 500)) {
      const bytes = Buffer.from(letter(subject));
      const mail = await mailbox.append(to, bytes.length, { flags: 0, keywords: [] });
      assert.ok(typeof mail !== 'number');
      mail.write(bytes, 0, bytes.length);
      commits.push(mail.commit());
    }
    for (const committed of await Promise.all(commits)) assert.equal(typeof committed, 'object');
  }
}

/** Subjects and flags of a folder. */
async function kept(house: House, name = 'INBOX'): Promise<string[]> {
  const mailbox = await house.mailbox();
  const open = await mailbox.open(name);
  assert.ok(typeof open !== 'number', `${name} is not there`);
  const found: string[] = [];
  for (let at = 0; at < open.count; at++) {
    const text = (await open.whole(open.uids[at]!))!.toString();
    found.push(`${/^Subject: (.*?)\r?$/m.exec(text)![1]} ${open.flagsAt(at)}`);
  }
  mailbox.close(open);
  return found.sort();
}

test('curl lists, searches, reads and adds', { skip: missing('curl') }, async () => {
  const it = await house('curl');
  await using _ = it.portico;
  await add(it, ['one', 'two']);
  const user = ['-sS', '-u', 'ann@example.org:any'];
  const plain = `imap://127.0.0.1:${it.port('imap')}`;
  assert.match((await run('curl', `${plain}/`, ...user)).out, /\\Sent\) "\/" Sent\r\n/);
  assert.equal((await run('curl', `${plain}/INBOX?SUBJECT%20two`, ...user)).out, '* SEARCH 2\r\n');
  const secured = ['--ssl-reqd', '--cacert', it.root, '--login-options', 'AUTH=PLAIN'];
  const one = await run('curl', `imap://localhost:${it.port('imap')}/INBOX;UID=1`, ...secured, ...user);
  assert.equal(one.out, letter('one'), one.error);
  const file = join(folder, 'up.eml');
  writeFileSync(file, letter('three'));
  const up = await run('curl', `imaps://localhost:${it.port('imaps')}/INBOX`, '--cacert', it.root, '-T', file, ...user);
  assert.equal(up.code, 0, up.error);
  assert.deepEqual(await kept(it), ['one 1', 'three 1', 'two 0']);
});

test('imaplib: folders, flags, search, sort, copies, STARTTLS, and IDLE beside another session', {
  skip: missing('python3'),
}, async () => {
  const it = await house('imaplib');
  await using _ = it.portico;
  await add(it, ['one', 'two', 'three']);
  const script = `
import imaplib, ssl
def enter():
    m = imaplib.IMAP4('localhost', ${it.port('imap')}); m.starttls(ssl.create_default_context(cafile='${it.root}'))
    m.login('ann@example.org', 'any'); return m
m = enter()
print(m.select('INBOX'), m.uid('SEARCH', 'CHARSET', 'UTF-8', 'SUBJECT', 'two')[1])
print(m.fetch('1', '(UID RFC822.SIZE BODY[TEXT])')[1][0][1])
print(m.store('1', '+FLAGS', '(\\\\Flagged word)')[1])
print(m.sort('(REVERSE SUBJECT)', 'UTF-8', 'ALL')[1], m.thread('REFERENCES', 'UTF-8', 'ALL')[1])
print(m.create('a/b')[0], m.copy('1:2', 'a/b')[0], m.status('a/b', '(MESSAGES)')[1])
other = enter(); other.select('INBOX')
m.send(b'i IDLE\\r\\n'); print(m.readline())
other.store('3', '+FLAGS', '(\\\\Deleted)'); print(m.readline())
other.expunge(); print(m.readline())
m.send(b'DONE\\r\\n'); print(m.readline())
print(m.append('INBOX', None, None, b'Subject: four\\r\\n\\r\\nx\\r\\n')[0], m.noop()[0], m.response('EXISTS')[1])
print(m.delete('a/b')[0], m.rename('a', 'c')[0], m.list('""', 'c')[1], m.logout()[0])
`;
  const { out, error } = await run('python3', '-c', script);
  assert.deepEqual(
    out.trim().split('\n'),
    [
      "('OK', [b'3']) [b'2']",
      "b'Hello, one.\\r\\n.A dot.\\r\\n'",
      "[b'1 (UID 1 FLAGS (\\\\Recent \\\\Seen \\\\Flagged word))']",
      "[b'2 3 1'] [b'(1)(2)(3)']",
      "OK OK [b'a/b (MESSAGES 2)']",
      "b'+ Idling.\\r\\n'",
      "b'* 3 FETCH (UID 3 FLAGS (\\\\Recent \\\\Deleted))\\r\\n'",
      "b'* 3 EXPUNGE\\r\\n'",
      "b'i OK Done.\\r\\n'",
      "OK OK [b'3', b'3']",
      'OK OK [b\'(\\\\HasNoChildren) "/" c\'] BYE',
    ],
    error,
  );
});

/** Whether `mbsync` does nothing more. */
async function sync(rc: string): Promise<string> {
  const { code, out, error } = await run('mbsync', '-c', rc, '-a', '-V');
  assert.equal(code, 0, out + error);
  return out + error;
}

/** `MBSYNC_MAILS=10000` for a mailbox of that size. */
const MAILS = Number(process.env.MBSYNC_MAILS ?? 200);

test('mbsync: both ways, and nothing the second time', { skip: missing('mbsync') }, async () => {
  const it = await house('mbsync');
  await using _ = it.portico;
  const many = Array.from({ length: MAILS }, (_, at) => `m${at}`);
  await add(it, many);
  await add(it, ['sent'], 'Sent');
  const base = join(folder, 'maildir');
  mkdirSync(join(base, 'mail'), { recursive: true });
  mkdirSync(join(base, 'state'));
  const rc = join(base, 'rc');
  writeFileSync(
    rc,
    [
      ...['IMAPAccount far', 'Host localhost', `Port ${it.port('imaps')}`, 'User ann@example.org', 'Pass any'],
      ...['SSLType IMAPS', `CertificateFile ${it.root}`, '', 'IMAPStore far', 'Account far', ''],
      ...['MaildirStore near', `Path ${base}/mail/`, `Inbox ${base}/mail/INBOX`, 'SubFolders Verbatim', ''],
      ...['Channel all', 'Far :far:', 'Near :near:', 'Patterns *', 'Create Both', 'Remove Both', 'Expunge Both'],
      ...[`SyncState ${base}/state/`, ''],
    ].join('\n'),
  );
  await sync(rc);
  const inbox = join(base, 'mail', 'INBOX');
  const files = () =>
    ['cur', 'new'].flatMap((sub) => readdirSync(join(inbox, sub)).map((name) => join(inbox, sub, name)));
  assert.equal(files().length, MAILS);
  const before = await kept(it);
  const names = files().sort();
  await sync(rc);
  assert.deepEqual(files().sort(), names);
  assert.deepEqual(await kept(it), before);
  // Something on either side: one is removed here and one there, one comes here and one there.
  const find = (subject: string) =>
    files().find(
      (file) =>
        readFileSync(file, 'utf8').includes(`Subject: ${subject}\r\n`) ||
        readFileSync(file, 'utf8').includes(`Subject: ${subject}\n`),
    )!;
  rmSync(find('m7'));
  writeFileSync(join(inbox, 'new', '1.local.x'), letter('local'));
  const mailbox = await it.mailbox();
  const open = await mailbox.open('INBOX');
  assert.ok(typeof open !== 'number');
  await mailbox.flag(open, [open.uids[11]!], { how: 'add', flags: 4, keywords: [] });
  await mailbox.expunge(open, [open.uids[12]!], true);
  mailbox.close(open);
  await add(it, ['remote']);
  await sync(rc);
  const after = await kept(it);
  const of = (subject: string) => after.find((line) => line.startsWith(`${subject} `));
  assert.deepEqual(
    [of('m7'), of('m12'), of('local') !== undefined, of('remote') !== undefined, after.length],
    [undefined, undefined, true, true, MAILS],
  );
  assert.equal(files().length, MAILS);
  assert.match(find('m11'), /:2,F/);
  const settled = files().sort();
  await sync(rc);
  assert.deepEqual(files().sort(), settled);
  assert.deepEqual(await kept(it), after);
});

test('mutt opens a mailbox, flags what it finds and leaves', {
  skip: missing('mutt', '-v') || missing('script'),
}, async () => {
  const it = await house('mutt');
  await using _ = it.portico;
  await add(it, ['one', 'two']);
  const rc = join(folder, 'muttrc');
  const box = `imap://ann%40example.org:any@127.0.0.1:${it.port('imap')}/INBOX`;
  writeFileSync(
    rc,
    `set ssl_starttls=no\nset ssl_force_tls=no\nset mail_check=1\nset quit=yes\nset mark_old=no\nset header_cache="${folder}/cache"\n`,
  );
  const keys = "push '<last-entry><flag-message><sync-mailbox><quit>'";
  const mutt = new Program('script', ['-qec', `TERM=vt100 mutt -n -F ${rc} -f '${box}' -e "${keys}"`, '/dev/null'], '');
  const guard = setTimeout(() => mutt.kill(), 30_000);
  await mutt.done;
  clearTimeout(guard);
  assert.deepEqual(await kept(it), ['one 0', 'two 4'], mutt.out);
});

test('fetchmail takes all mail over IMAP and over POP3', { skip: missing('fetchmail') }, async () => {
  const it = await house('fetchmail');
  await using _ = it.portico;
  for (const [protocol, port] of [
    ['IMAP', it.port('imap')],
    ['POP3', it.port('pop3')],
  ] as const) {
    await add(it, ['one', 'two']);
    const home = join(folder, `fetchmail-${protocol}`);
    mkdirSync(home);
    const rc = join(home, 'rc');
    const got = join(home, 'got');
    writeFileSync(
      rc,
      `poll localhost protocol ${protocol} port ${port} auth password user "ann@example.org" password "any" ${protocol === 'POP3' ? 'sslproto "tls1.2+" sslcertck' : 'sslproto ""'} ${protocol === 'POP3' ? `sslcertfile "${it.root}"` : ''} fetchall no keep mda "cat >> ${got}"\n`,
    );
    chmodSync(rc, 0o600);
    const { code, out, error } = await run(
      'env',
      `FETCHMAILHOME=${home}`,
      `HOME=${home}`,
      'fetchmail',
      '-f',
      rc,
      '--nosyslog',
      '--pidfile',
      join(home, 'pid'),
    );
    assert.equal(code, 0, out + error);
    assert.equal(readFileSync(got, 'utf8').match(/^Hello, /gm)?.length, 2);
    assert.deepEqual(await kept(it), []);
  }
});

test('mpop takes what is new over POP3, once', { skip: missing('mpop') }, async () => {
  const it = await house('mpop');
  await using _ = it.portico;
  await add(it, ['one', 'two']);
  const maildir = join(folder, 'mpop-mail');
  for (const sub of ['', 'cur', 'new', 'tmp']) mkdirSync(join(maildir, sub));
  const rc = join(folder, 'mpoprc');
  writeFileSync(
    rc,
    `account ann\nhost localhost\nport ${it.port('pop3')}\ntls on\ntls_starttls on\ntls_trust_file ${it.root}\nuser ann@example.org\npassword any\nauth plain\nkeep on\ndelivery maildir ${maildir}\nuidls_file ${folder}/uidls\naccount default : ann\n`,
  );
  chmodSync(rc, 0o600);
  for (const subject of ['', 'three']) {
    if (subject !== '') await add(it, [subject]);
    const { code, out, error } = await run('mpop', '-C', rc);
    assert.equal(code, 0, out + error);
    assert.equal(readdirSync(join(maildir, 'new')).length, subject === '' ? 2 : 3);
  }
  assert.ok(existsSync(join(folder, 'uidls')));
});

test('a mailbox lasts: UIDs, flags and UIDVALIDITY after a restart', { skip: missing('curl') }, async () => {
  const first = await house('restart');
  await add(first, ['one', 'two']);
  const user = ['-sS', '-u', 'ann@example.org:any'];
  const status = async (it: House) =>
    (await run('curl', `imap://127.0.0.1:${it.port('imap')}/INBOX`, ...user, '-X', 'FETCH 1:* (UID FLAGS MODSEQ)'))
      .out +
    (
      await run(
        'curl',
        `imap://127.0.0.1:${it.port('imap')}/`,
        ...user,
        '-X',
        'STATUS INBOX (UIDVALIDITY UIDNEXT HIGHESTMODSEQ)',
      )
    ).out;
  await run('curl', `imap://127.0.0.1:${first.port('imap')}/INBOX`, ...user, '-X', 'STORE 2 FLAGS (\\Flagged word)');
  await status(first);
  const before = await status(first);
  assert.match(before, /UID 2 FLAGS \(\\Flagged word\)/);
  await first.portico.close();
  const again = await house('restart');
  await using _ = again.portico;
  assert.equal(await status(again), before);
});
