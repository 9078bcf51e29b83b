import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { Stage, type StageOptions } from './testing/stage.ts';

const over = (what: string, options: StageOptions, run: (stage: Stage) => void | Promise<void>): void =>
  void test(what, async () => {
    const stage = new Stage(options);
    await run(stage);
    assert.deepEqual(stage.world.bugs, []);
  });

const BY_CERTIFICATE = { certificate: 'ann', accounts: new FewAccounts({ ann: 'x', bob: 'y' }) };

over('a greeting, a sign-in, a goodbye (RFC 959 §5.4)', {}, (stage) => {
  const talk = stage.connect();
  assert.equal(talk.hears(), '220 Portico/test FTP.\r\n');
  talk.says('USER ann\r\nPASS secret\r\nPWD\r\nSYST\r\nNOOP\r\nQUIT\r\nPWD\r\n');
  assert.equal(
    talk.hears(),
    '331 The password, please.\r\n230 Welcome to /\r\n257 "/" is the working folder.\r\n215 UNIX Type: L8\r\n' +
      '200 OK.\r\n221 Goodbye.\r\n',
  );
  assert.ok(talk.peer.told.includes('finish'));
});

over('commands in small letters, a line feed alone, empty lines', {}, (stage) => {
  const talk = stage.connect();
  talk.says('\r\n\nuser ann\npass x\n\r\npwd\n');
  assert.match(talk.hears(), /^220 [^\n]+\n331 [^\n]+\n230 [^\n]+\n257 "\/" [^\n]+\n$/);
});

over('a wrong password, and too many of them', { accounts: new FewAccounts({ ann: 'right' }) }, (stage) => {
  const talk = stage.connect();
  talk.says('USER ann\r\nPASS wrong\r\nPWD\r\nPASS again\r\nUSER ann\r\nPASS right\r\nPWD\r\n');
  assert.match(talk.hears(), /^220 .*\r\n331 .*\r\n530 .*\r\n530 .*\r\n503 .*\r\n331 .*\r\n230 .*\r\n257 .*\r\n$/);
  const other = stage.connect();
  for (let round = 0; round < 5; round++) other.says('USER ann\r\nPASS no\r\n');
  assert.match(other.hears(), /421 too many sign-ins failed\.\r\n$/);
  assert.deepEqual(stage.faulted, ['ftp.signInTooMany']);
});

over('a sign-in that takes its time holds what is pipelined behind it', { accounts: slow() }, (stage) => {
  const talk = stage.connect();
  talk.says('USER ann\r\nPASS right\r\nPWD\r\n');
  assert.doesNotMatch(talk.hears(), /257|530/);
  (stage.host.resources.accounts as FewAccounts).tell();
  assert.match(talk.hears(), /^230 .*\r\n257 .*\r\n$/);
});

function slow(): FewAccounts {
  const accounts = new FewAccounts({ ann: 'right' });
  accounts.isSlow = true;
  return accounts;
}

over('a certificate stands for its account, and for no other (RFC 4217 §8.2)', BY_CERTIFICATE, (stage) => {
  const talk = stage.connect();
  talk.says('USER ann\r\nPWD\r\nUSER bob\r\nPWD\r\n');
  assert.match(talk.hears(), /^220 .*\r\n232 .*\r\n257 .*\r\n331 .*\r\n530 .*\r\n$/);
});

over('anonymous reads and does not write, where that is configured', { settings: { anonymous: true } }, (stage) => {
  const talk = stage.connect();
  talk.says('USER anonymous\r\nPASS me@example\r\nPWD\r\n');
  assert.match(talk.hears(), /230 .*\r\n257 /);
});

const SAID: readonly [line: string, code: number][] = [
  ['TYPE A', 200],
  ['TYPE A N', 200],
  ['TYPE I', 200],
  ['TYPE L 8', 200],
  ['TYPE E', 504],
  ['MODE S', 200],
  ['MODE B', 504],
  ['STRU F', 200],
  ['STRU R', 504],
  ['ALLO 100', 202],
  ['ACCT x', 502],
  ['SMNT x', 502],
  ['ADAT x', 502],
  ['REST 10', 350],
  ['REST x', 501],
  ['REST', 501],
  ['RANG 0 9', 350],
  ['RANG 9 0', 501],
  ['HELP', 214],
  ['HELP RETR', 214],
  ['HELP XXXX', 502],
  ['OPTS UTF8 ON', 200],
  ['OPTS UTF8 OFF', 504],
  ['OPTS MLST size;type;', 200],
  ['OPTS HASH MD5', 200],
  ['OPTS HASH X', 501],
  ['OPTS NONE', 501],
  ['LANG', 200],
  ['LANG fr', 504],
  ['CLNT test', 200],
  ['AUTH TLS', 502],
  ['PBSZ 0', 503],
  ['PROT P', 503],
  ['CCC', 533],
  ['HOST localhost', 503],
  ['PASV x', 501],
  ['RETR a', 425],
  ['RETR', 501],
  ['LIST', 425],
  ['RNTO x', 503],
  ['ABOR', 226],
  ['SITE CHMOD 644 a', 502],
  ['SITE HELP', 214],
  ['SITE XX', 504],
  ['CWD nowhere', 550],
  ['CWD a', 550],
  ['CDUP', 250],
  ['SIZE a', 213],
  ['SIZE d', 550],
  ['SIZE none', 550],
  ['MDTM a', 213],
  ['MFMT 20200102030405 a', 213],
  ['MFMT 20201302030405 a', 501],
  ['MFMT 20200102030405', 501],
  ['SITE UTIME 20200102030405 a', 200],
  ['SITE UTIME a 20200102030405 20200102030405 20200102030405 UTC', 200],
  ['MKD d', 550],
  ['MKD none/d', 550],
  ['RMD none', 550],
  ['DELE none', 550],
  ['STAT none', 550],
  ['XXXX', 500],
  ['TOOLONGVERB', 500],
  ['REIN', 220],
];

over('each command by itself', {}, (stage) => {
  stage.files.put('a', 'hello');
  stage.files.folder('d');
  for (const [line, code] of SAID) {
    const talk = stage.signedIn();
    talk.says(`${line}\r\n`);
    const heard = talk.hears();
    assert.ok(heard.startsWith(String(code)), `${line}: ${heard}`);
    talk.says('NOOP\r\n');
    assert.equal(talk.hears(), '200 OK.\r\n', line);
    talk.server.lose();
  }
  assert.deepEqual(stage.faulted, []);
});

over('what needs a sign-in says so', {}, (stage) => {
  const talk = stage.connect();
  talk.hears();
  for (const line of [
    'PWD',
    'CWD /',
    'RETR a',
    'STOR a',
    'LIST',
    'PASV',
    'EPSV',
    'PORT 127,0,0,1,4,1',
    'SIZE a',
    'STAT a',
  ])
    talk.says(`${line}\r\n`);
  assert.match(talk.hears(), /^(?:530 [^\n]+\n){10}$/);
});

over('folders: made, entered, left, removed; names of any script and with quotes', {}, (stage) => {
  const talk = stage.signedIn();
  talk.says('MKD a "b"\r\nCWD a "b"\r\nPWD\r\nMKD \u00fc\u{1f600}\r\nCWD \u00fc\u{1f600}\r\nCDUP\r\nPWD\r\n');
  talk.says('RMD /a "b"\r\nCWD ../../..\r\nPWD\r\nRMD a "b"/\u00fc\u{1f600}\r\nRMD a "b"\r\n');
  assert.equal(
    talk.hears(),
    [
      '257 "/a ""b""" was made.',
      '250 "/a ""b""" is the working folder.',
      '257 "/a ""b""" is the working folder.',
      '257 "/a ""b""/\u00fc\u{1f600}" was made.',
      '250 "/a ""b""/\u00fc\u{1f600}" is the working folder.',
      '250 "/a ""b""" is the working folder.',
      '257 "/a ""b""" is the working folder.',
      '550 The folder is not empty.',
      '250 "/" is the working folder.',
      '257 "/" is the working folder.',
      '250 The folder is gone.',
      '250 The folder is gone.',
      '',
    ].join('\r\n'),
  );
});

over('names that are no text, and Telnet within a line (RFC 1123 §4.1.2.12)', {}, (stage) => {
  const talk = stage.signedIn();
  talk.says(Buffer.from('MKD \xff\xfd\x01a\r\n', 'latin1'));
  talk.says(Buffer.from('MKD \xc3(\r\nMKD a\rb\r\n', 'latin1'));
  stage.world.pass(100);
  const bytes = talk.peer.received.toString('latin1');
  assert.ok(bytes.includes('\xff\xfc\x01'), 'the option is refused');
  assert.match(talk.hears(), /257 "\/a" was made\.\r\n501 [^\n]+\n501 [^\n]+\n$/);
});

over('files: renamed, removed, their size, time and facts (RFC 3659)', {}, (stage) => {
  stage.files.put('a.txt', 'hello', Date.UTC(2024, 1, 29, 12, 34, 56));
  const talk = stage.signedIn();
  talk.says('SIZE a.txt\r\nMDTM a.txt\r\nMLST a.txt\r\nTYPE A\r\nSIZE a.txt\r\nTYPE I\r\n');
  talk.says('RNFR a.txt\r\nRNTO b.txt\r\nRNFR a.txt\r\nRNFR b.txt\r\nNOOP\r\nRNTO c.txt\r\n');
  talk.says('OPTS MLST size;unknown;\r\nMLST b.txt\r\nHASH b.txt\r\nRANG 0 1\r\nHASH b.txt\r\nDELE b.txt\r\n');
  assert.equal(
    talk.hears(),
    [
      '213 5',
      '213 20240229123456',
      '250-Facts:',
      ' type=file;size=5;modify=20240229123456;perm=adfrw;unique=612e747874;UNIX.mode=0644; /a.txt',
      '250 End.',
      '200 TYPE A.',
      '550 Say TYPE I first.',
      '200 TYPE I.',
      '350 And RNTO?',
      '250 It has its new name.',
      '550 There is no such file or folder.',
      '350 And RNTO?',
      '200 OK.',
      '503 Say RNFR first.',
      '200 MLST OPTS size;',
      '250-Facts:',
      ' size=5; /b.txt',
      '250 End.',
      '213 SHA-256 0-4 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 /b.txt',
      '350 From 0 to 1.',
      '213 SHA-256 0-1 e4f6bd2e5a4b6e8f0c8c83c2ad2b21e4c3fdc73b6cb5d6d1c8c9d9de3d8c8e07 /b.txt',
      '250 The file is gone.',
      '',
    ]
      .join('\r\n')
      .replace(/e4f6bd\S+/, sha256('he')),
  );
});

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

over('FEAT lists what there is (RFC 2389), and STAT says how it stands', { tls: true }, (stage) => {
  const talk = stage.signedIn();
  talk.says('FEAT\r\nSTAT\r\n');
  const heard = talk.hears();
  assert.match(heard, /^211-[^\n]+\n(?: [^\n]+\n)+211 End\.\r\n211-[^\n]+\n(?: [^\n]+\n)+211 End\.\r\n$/);
  for (const name of ['AUTH TLS', 'EPSV', 'MLST type*;size*;', 'REST STREAM', 'UTF8', 'HASH SHA-256*;SHA-512;'])
    assert.ok(heard.includes(` ${name}`), name);
  assert.match(heard, /Signed in as ann\./);
});

over(
  'STAT of a folder lists it on the control connection, up to a bound',
  { limits: { statEntriesMax: 5 } },
  (stage) => {
    for (let number = 0; number < 4; number++) stage.files.put(`f${number}`, 'x');
    const talk = stage.signedIn();
    talk.says('STAT /\r\n');
    assert.match(talk.hears(), /^212-Status:\r\n(?: -rw-[^\n]+ f\d\r\n){4}212 End\.\r\n$/);
    for (let number = 4; number < 9; number++) stage.files.put(`f${number}`, 'x');
    talk.says('STAT -la\r\nSTAT /\r\nSTAT f1\r\n');
    assert.match(
      talk.hears(),
      /^550 .*\r\n212-Status:\r\n(?: [^\n]+\n){5}212 There may be more.*\r\n213-Status:\r\n -rw-.* f1\r\n213 End\.\r\n$/,
    );
  },
);

// ---- bad manners -----------------------------------------------------------------------------------------------------

const FIRST: readonly [string, string][] = [
  ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'ftp.http'],
  ['POST /x HTTP/1.1\r\n', 'ftp.http'],
  ['\x16\x03\x01\x02\x00', 'ftp.tls'],
  ['HELO there\r\n', 'ftp.firstUnknown'],
  [`${'x'.repeat(5_000)}\r\n`, 'ftp.firstUnknown'],
];

over('what does not begin as FTP is told so and ended, and nothing behind it is done', {}, (stage) => {
  for (const [bytes, fault] of FIRST) {
    const talk = stage.connect();
    talk.says(Buffer.from(`${bytes}USER ann\r\n`, 'latin1'));
    assert.match(talk.hears(), /^220 [^\n]+\n(?:500 [^\n]+\n)?421 [^\n]+\n$/, fault);
    assert.equal(stage.faulted.pop(), fault);
    talk.peer.pipe.end();
  }
});

over('a line that is too long is skipped and answered', { cut: 700 }, (stage) => {
  const talk = stage.signedIn();
  talk.says(`MKD ${'x'.repeat(30_000)}\r\nPWD\r\n`);
  assert.match(talk.hears(1_000), /^500 The line is too long\.\r\n257 [^\n]+\n$/);
});

over('a flood of unknown commands ends', { limits: { unknownMax: 10 } }, (stage) => {
  const talk = stage.signedIn();
  talk.says('XXXX\r\n'.repeat(1_000));
  const heard = talk.hears(1_000);
  assert.equal(heard.split('500 There').length - 1, 11);
  assert.match(heard, /421 too many unknown commands\.\r\n$/);
});

over('a flood of commands whose answers nobody reads stops being read', {}, (stage) => {
  const talk = stage.signedIn();
  talk.peer.pipe.pause();
  for (let round = 0; round < 30; round++) {
    talk.says('FEAT\r\n'.repeat(2_000));
    stage.world.pass(20);
  }
  assert.ok(talk.server.queued < 2_000_000, `${talk.server.queued} bytes wait`);
  talk.peer.pipe.resume();
  stage.world.pass(60_000);
  talk.says('NOOP\r\n');
  stage.world.pass(60_000);
  assert.equal(talk.peer.isLost, false);
});

over('who says nothing is told, and ended', { limits: { idleMs: 1_000 } }, (stage) => {
  const talk = stage.signedIn();
  stage.world.pass(700);
  talk.says('NOOP\r\n');
  assert.equal(talk.hears(900), '200 OK.\r\n');
  assert.equal(talk.hears(300), '421 nothing was said for too long.\r\n');
  assert.deepEqual(stage.faulted, ['ftp.idle']);
});

over('goodbyes in words', {}, (stage) => {
  for (const why of ['shutdown', 'revoked', 'idle', 'overloaded'] as const) {
    const talk = stage.signedIn();
    talk.server.leave(why, 1_000);
    assert.match(talk.hears(), /^421 [^\n]+\n$/);
  }
});
