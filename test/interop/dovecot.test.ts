// Our clients against a server that is not ours: `portico inbox` and the connections of the library with Dovecot, over IMAP and
// POP3, in the clear and within TLS.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ImapFlow } from 'imapflow';
import { connectImap } from '../../src/exports/imap.ts';
import { connectPop3 } from '../../src/exports/pop3.ts';
import { missing, Program, run, until } from '../clients.ts';

const DOVECOT = '/usr/sbin/dovecot';
const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const ANN = ['--user', 'ann'];
const NOBODY = 65_534;
process.env.PORTICO_PASSWORD = 'any';

const folder = mkdtempSync(join(tmpdir(), 'portico-dovecot-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const skip =
  missing(DOVECOT) ||
  missing('openssl', 'version') ||
  (existsSync('/usr/lib/dovecot/pop3') ? false : 'no dovecot-pop3d');

/** Ports that nobody has at this moment: it cannot tell which it takes. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

async function dovecot() {
  const at = (name: string) => join(folder, name);
  for (const name of ['run', 'state', 'home']) mkdirSync(at(name));
  chmodSync(folder, 0o755);
  const isRoot = process.getuid?.() === 0;
  const [uid, gid] = isRoot ? [NOBODY, NOBODY] : [process.getuid!(), process.getgid!()];
  chownSync(at('home'), uid, gid);
  const certificate = ['-keyout', at('key.pem'), '-out', at('cert.pem'), '-days', '2', '-subj', '/CN=localhost'];
  const made = spawnSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...certificate, '-addext', 'subjectAltName=DNS:localhost'],
    { encoding: 'utf8' },
  );
  assert.equal(made.status, 0, made.stderr);
  const names = ['imap', 'imaps', 'pop3', 'pop3s'] as const;
  const ports = await freePorts(names.length);
  const listener = (name: string, port: number) => `inet_listener ${name} {\n port = ${port}\n }`;
  const listeners = names.map((name, index) => listener(name, ports[index]!));
  const asWho = isRoot ? '' : `default_login_user = ${process.env.USER}\ndefault_internal_user = ${process.env.USER}\n`;
  const chroot = isRoot ? '' : 'chroot =\n';
  writeFileSync(
    at('dovecot.conf'),
    `protocols = imap pop3
listen = 127.0.0.1
base_dir = ${at('run')}
state_dir = ${at('state')}
log_path = ${at('log')}
${asWho}ssl = yes
ssl_cert = <${at('cert.pem')}
ssl_key = <${at('key.pem')}
disable_plaintext_auth = no
auth_mechanisms = plain login
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:${at('home')}/%u
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=${uid} gid=${gid} home=${at('home')}/%u
}
service imap-login {
  ${chroot}${listeners.slice(0, 2).join('\n')}
}
service pop3-login {
  ${chroot}${listeners.slice(2).join('\n')}
}
`,
  );
  const program = new Program(DOVECOT, ['-F', '-c', at('dovecot.conf')]);
  const end = Date.now() + 20_000;
  while (!(await answers(ports[0]!)) || !(await answers(ports[2]!))) {
    assert.ok(Date.now() < end, `Dovecot does not answer: ${program.error}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const url = (name: (typeof names)[number]) => `${name}://localhost:${ports[names.indexOf(name)]}`;
  const inbox = (...args: string[]) => run(process.execPath, MAIN, 'inbox', ...args, '--cacert', at('cert.pem'));
  return {
    program,
    url,
    inbox,
    ca: at('cert.pem'),
    async [Symbol.asyncDispose]() {
      program.kill('SIGTERM');
      await program.done;
    },
  };
}

const letter = (subject: string, more = '', body = `This is ${subject}.\r\n`) =>
  Buffer.from(`From: Bob <bob@x.test>\r\nTo: ann@example.org\r\nSubject: ${subject}\r\n${more}\r\n${body}`);

const ATTACHED = [
  ...['--q', 'Content-Type: text/plain', '', 'See there.', '--q', 'Content-Type: application/octet-stream'],
  ...[
    'Content-Disposition: attachment; filename=three.bin',
    'Content-Transfer-Encoding: base64',
    '',
    'AAEC',
    '--q--',
    '',
  ],
].join('\r\n');

const idsOf = (out: string) =>
  out
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { id: number }).id);

test('portico inbox with Dovecot: IMAP in the clear, with STARTTLS and within TLS; POP3; and watching', {
  skip,
  timeout: 120_000,
}, async () => {
  await using it = await dovecot();
  const own = { user: 'ann', password: 'any', startTls: 'never' } as const;
  const other = new ImapFlow({
    ...{ host: '127.0.0.1', port: Number(new URL(it.url('imap')).port), secure: false, doSTARTTLS: false },
    ...{ auth: { user: 'ann', pass: 'any' }, logger: false },
  });
  await other.connect();
  for (const [subject, more, body] of [
    ['one'],
    ['=?utf-8?q?Gr=C3=B6=C3=9Fe?= two', 'Content-Type: multipart/mixed; boundary=q\r\n', ATTACHED],
    ['three', '', '.dots\r\n..\r\n'],
  ] as const)
    await other.append('INBOX', letter(subject, more, body));
  const imap = it.url('imap');
  const plain = await it.inbox(imap, ...ANN, '--json', '--starttls', 'never');
  assert.deepEqual(idsOf(plain.out), [1, 2, 3], plain.error);
  const found = await it.inbox(imap, ...ANN, '--starttls', 'required', '--subject', 'größe', '--unseen');
  assert.match(found.out, /^ +2 .*Bob .*Größe two\n$/, found.error);
  const within = await it.inbox(it.url('imaps'), ...ANN, '1');
  assert.match(within.out, /From: Bob <bob@x\.test>[\s\S]*This is one\./, within.error);
  const saved = await it.inbox(imap, ...ANN, '2', '--save', join(folder, 'saved'));
  assert.equal(saved.out, `${join(folder, 'saved', 'three.bin')}\n`, saved.error);
  assert.equal((await it.inbox(imap, ...ANN, '2', '--flag', 'seen', '--flag', 'Later')).code, 0);
  assert.deepEqual(idsOf((await it.inbox(imap, ...ANN, '--unseen', '--json')).out), [1, 3]);
  assert.match((await it.inbox(imap, ...ANN, '--folders')).out, /^INBOX/);
  assert.equal((await it.inbox(imap, ...ANN, '--folder', 'Nothing')).code, 77);

  const watching = new Program(process.execPath, [
    MAIN,
    'inbox',
    imap,
    ...ANN,
    '--starttls',
    'never',
    '--watch',
    '--json',
  ]);
  await until(() => watching.out.includes('"three"'), 'the list');
  await other.append('INBOX', letter('four'));
  await until(() => watching.out.includes('"four"'), 'the new mail');
  watching.kill('SIGTERM');
  assert.equal((await watching.done).code, 0);
  await other.logout();
  const mailbox = await connectImap(imap, own);
  await mailbox.open('INBOX');
  assert.equal(mailbox.count, 4);
  mailbox.close();

  for (const [scheme, when] of [
    ['pop3', 'never'],
    ['pop3', 'required'],
    ['pop3s', 'offered'],
  ] as const) {
    const listed = await it.inbox(it.url(scheme), ...ANN, '--limit', '2', '--json', '--starttls', when);
    assert.deepEqual(idsOf(listed.out), [3, 4], listed.error);
  }
  const raw = await it.inbox(it.url('pop3'), ...ANN, '3', '--raw');
  assert.match(raw.out, /\r\n\r\n\.dots\r\n\.\.\r\n$/, raw.error);
  assert.equal((await it.inbox(it.url('pop3'), ...ANN, '1', '--delete')).code, 0);
  const left = await connectPop3(it.url('pop3'), own);
  assert.equal((await left.list()).length, 3);
  await left.close();
});
