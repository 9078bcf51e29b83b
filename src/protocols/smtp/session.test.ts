// SMTP's conversations by the clauses of its RFCs.
import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { BUSY, FULL } from '../../core/outcome.ts';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { CLIENT_TLS, Stage, type StageOptions } from './testing/stage.ts';

const over = (what: string, options: StageOptions, run: (stage: Stage) => void): void =>
  void test(what, () => {
    const stage = new Stage(options);
    run(stage);
    assert.deepEqual(stage.world.bugs, []);
  });

const begun = (stage: Stage) => {
  const talk = stage.connect();
  talk.says('EHLO there\r\n');
  talk.hears();
  return talk;
};

over('a greeting, a mail, a goodbye (RFC 5321 appendix D.1)', {}, (stage) => {
  const talk = stage.connect();
  assert.equal(talk.hears(), '220 here ESMTP Portico/test\r\n');
  talk.says('EHLO bar.com\r\n');
  assert.equal(
    talk.hears(),
    [
      '250-here greets bar.com',
      '250-PIPELINING',
      '250-SIZE 1000000',
      '250-8BITMIME',
      '250-SMTPUTF8',
      '250-CHUNKING',
      '250-ENHANCEDSTATUSCODES',
      '250-AUTH PLAIN LOGIN',
      '250 HELP',
      '',
    ].join('\r\n'),
  );
  talk.says('MAIL FROM:<Smith@bar.com>\r\n');
  assert.equal(talk.hears(), '250 2.1.0 From there.\r\n');
  talk.says('RCPT TO:<Jones@here>\r\nRCPT TO:<anna@here>\r\nRCPT TO:<Green@elsewhere.com>\r\n');
  assert.equal(talk.codes(), '550 250 550');
  talk.says('DATA\r\n');
  assert.equal(talk.codes(), '354');
  talk.says('Subject: x\r\n\r\nBlah blah blah...\r\n..etc. etc. etc.\r\n.\r\n');
  assert.match(talk.hears(), /^250 2\.0\.0 It is on the disk as [\w-]{12}\.\r\n$/);
  talk.says('QUIT\r\nNOOP\r\n');
  assert.equal(talk.hears(), '221 2.0.0 Goodbye.\r\n');
  assert.ok(talk.peer.told.includes('finish'));
  assert.deepEqual(
    stage.mail.deliveries.map(({ from, to }) => [from, ...to]),
    [['Smith@bar.com', 'anna@here']],
  );
  assert.equal(stage.last, 'Subject: x\r\n\r\nBlah blah blah...\r\n.etc. etc. etc.\r\n');
  const [first = '', second = ''] = stage.mail.deliveries[0]!.text.split('\r\n', 2);
  assert.equal(first, 'Return-Path: <Smith@bar.com>');
  assert.match(second, /^Received: from bar\.com \(.+\)$/);
  assert.match(stage.mail.deliveries[0]!.text, /\r\n\tby here with ESMTP id [\w-]{12};\r\n\t\w{3}, /);
});

over('HELO has no extensions; a second greeting begins anew (RFC 5321 §4.1.4)', {}, (stage) => {
  const talk = stage.connect();
  talk.says('HELO there\r\nMAIL FROM:<>\r\nHELO again\r\nRCPT TO:<a@here>\r\nAUTH PLAIN AGEAYg==\r\n');
  assert.equal(talk.codes(), '220 250 250 250 503 503');
});

over('the order of commands (RFC 5321 §4.1.4)', {}, (stage) => {
  const talk = stage.connect();
  talk.says('NOOP\r\nVRFY a\r\nHELP\r\nRSET\r\nMAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nDATA\r\n');
  assert.equal(talk.codes(), '220 250 252 214 250 503 503 503');
  talk.says('EHLO [127.0.0.1]\r\nDATA\r\nRCPT TO:<a@here>\r\nMAIL FROM:<x@y>\r\nMAIL FROM:<x@y>\r\nDATA\r\n');
  assert.equal(talk.codes(), '250 503 503 250 503 503');
  talk.says(
    'RSET\r\nRCPT TO:<a@here>\r\nEHLO\r\nEXPN x\r\nETRN x\r\nNOOP with words\r\nRSET x\r\nNONSENSE\r\nVRFY\r\n',
  );
  assert.equal(talk.codes(), '250 503 501 502 502 250 501 500 501');
});

const SAID: readonly [line: string, code: number][] = [
  ['MAIL FROM:<>', 250],
  ['mail from:<x@y>', 250],
  ['MAIL FROM: <x@y>', 250],
  ['MAIL FROM:x@y', 250],
  ['MAIL FROM:<@a,@b:x@y>', 250],
  ['MAIL FROM:<"a > b"@y>', 250],
  ['MAIL FROM:<x@[127.0.0.1]>', 250],
  ['MAIL FROM:<x@y> SIZE=1000', 250],
  ['MAIL FROM:<x@y> SIZE=1000 BODY=8BITMIME', 250],
  ['MAIL FROM:<x@y> body=7bit AUTH=<>', 250],
  ['MAIL FROM:<jürgen@y> SMTPUTF8', 250],
  ['MAIL FROM:<jürgen@y>', 553],
  ['MAIL FROM:<x@y> SIZE=1000001', 552],
  ['MAIL FROM:<x@y> SIZE=x', 501],
  ['MAIL FROM:<x@y> BODY=BINARYMIME', 501],
  ['MAIL FROM:<x@y> SMTPUTF8=1', 501],
  ['MAIL FROM:<x@y> NONSENSE=1', 555],
  ['MAIL FROM:<x@y> SIZE=1 SIZE=2', 501],
  ['MAIL FROM:<x@y', 501],
  ['MAIL FROM:<x@y>z', 501],
  ['MAIL FROM:', 501],
  ['MAIL TO:<x@y>', 501],
  ['MAIL', 501],
  ['MAIL FROM:<a<b@c>', 501],
];

over('paths and parameters (RFC 5321 §4.1.2, RFC 1870, RFC 6152, RFC 6531 §3.4)', {}, (stage) => {
  const talk = begun(stage);
  for (const [line, code] of SAID) {
    talk.says(`${line}\r\nRSET\r\n`);
    assert.equal(talk.codes(), `${code} 250`, line);
  }
});

over('a recipient that is not ASCII needs SMTPUTF8 behind MAIL (RFC 6531 §3.5)', {}, (stage) => {
  const talk = begun(stage);
  talk.says('MAIL FROM:<x@y>\r\nRCPT TO:<jürgen@here>\r\nRSET\r\n');
  assert.equal(talk.codes(), '250 553 250');
  talk.says('MAIL FROM:<x@y> SMTPUTF8\r\nRCPT TO:<jürgen@here>\r\n');
  // Looked for, and not there.
  assert.equal(talk.codes(), '250 550');
});

over('recipients: none, wrong ones, full ones, too many', { limits: { recipientsMax: 3, refusedMax: 6 } }, (stage) => {
  const talk = begun(stage);
  talk.says(
    'MAIL FROM:<x@y>\r\nRCPT TO:<>\r\nRCPT TO:<a@here> NOTIFY=NEVER\r\nRCPT TO:<full@here>\r\nRCPT TO:<b@here>\r\n',
  );
  assert.equal(talk.codes(), '250 501 555 452 550');
  talk.says('DATA\r\nRCPT TO:<a1@here>\r\nRCPT TO:<a2@here>\r\nRCPT TO:<a3@here>\r\nRCPT TO:<a4@here>\r\n');
  assert.equal(talk.codes(), '503 250 250 250 452');
  talk.says('RSET\r\nMAIL FROM:<x@y>\r\n');
  for (let at = 0; at < 6; at++) talk.says('RCPT TO:<b@here>\r\n');
  assert.equal(talk.codes(), '250 250 550 550 550 550 550 421');
  assert.deepEqual(stage.faulted, ['smtp.refusedTooMany']);
});

over('all in one packet (RFC 2920), and one mail after another', {}, (stage) => {
  const talk = begun(stage);
  const mail = (text: string) => `MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nDATA\r\n${text}\r\n.\r\n`;
  talk.says(`${mail('one')}${mail('two')}QUIT\r\n`);
  assert.equal(talk.codes(), '250 250 354 250 250 250 354 250 221');
  assert.deepEqual(
    stage.mail.deliveries.map(({ text }) => text.slice(-5)),
    ['one\r\n', 'two\r\n'],
  );
});

over('BDAT in chunks, with dots and empty (RFC 3030)', {}, (stage) => {
  const talk = begun(stage);
  talk.says('MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nBDAT 9\r\nline\r\n.\r\nBDAT 0\r\nBDAT 6 last\r\nmore\r\n');
  assert.equal(talk.codes(), '250 250 250 250 250');
  assert.equal(stage.last, 'line\r\n.\r\nmore\r\n');
  talk.says('MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nBDAT 3\r\na\r\nBDAT 0 LAST\r\nRSET\r\n');
  assert.equal(talk.codes(), '250 250 250 250 250');
  assert.equal(stage.last, 'a\r\n');
  // Without a transaction, and after one was refused, chunks are read and refused.
  talk.says('BDAT 6\r\nNOOP\r\nNOOP\r\nMAIL FROM:<x@y>\r\nBDAT 6\r\nNOOP\r\nBDAT 6 LAST\r\nNOOP\r\nRSET\r\n');
  assert.equal(talk.codes(), '503 250 250 503 503 250');
  talk.says('MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nBDAT 1\r\nxDATA\r\nRCPT TO:<a@here>\r\nBDAT x\r\nNOOP\r\n');
  assert.equal(talk.codes(), '250 250 250 503 503 501');
  assert.ok(talk.peer.told.includes('finish'));
  assert.equal(stage.mail.pending, 0);
});

for (const [what, text] of [
  ['an end with line feeds', 'a\r\n.\nMAIL FROM:<evil@y>\r\n'],
  ['an end between line feeds', 'a\n.\nMAIL FROM:<evil@y>\r\n'],
  ['an end that begins with a line feed', 'a\n.\r\nMAIL FROM:<evil@y>\r\n'],
  ['an end with carriage returns', 'a\r\n.\rMAIL FROM:<evil@y>\r\n'],
  ['an end that begins with a carriage return', 'a\r.\r\nMAIL FROM:<evil@y>\r\n'],
  ['an end between carriage returns', 'a\r.\rMAIL FROM:<evil@y>\r\n'],
  ['a line feed before the end', 'a\r\n\n.\r\n'],
] as const)
  over(`no smuggling: ${what} (RFC 5321 §4.1.1.4)`, {}, (stage) => {
    for (const pace of [text.length, 1]) {
      const talk = begun(stage);
      talk.says('MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nDATA\r\n');
      talk.hears();
      for (let at = 0; at < text.length; at += pace) {
        talk.says(text.slice(at, at + pace));
        stage.world.pass(1);
      }
      assert.match(talk.hears(), /^550 5\.5\.0 A dot stood/);
      assert.deepEqual(stage.mail.deliveries, []);
      assert.equal(stage.mail.pending, 0);
    }
  });

for (const text of ['a\nb', 'a\rb', 'a\r\n\nb', 'a\r\n\rb', 'a\r\r\nb', '\n', '\r'])
  over(
    `half a line end in ${JSON.stringify(text)} is refused at the end, and the connection goes on (RFC 5321 §2.3.8)`,
    {},
    (stage) => {
      const talk = begun(stage);
      const begin = 'MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\n';
      talk.says(`${begin}DATA\r\n${text}\r\n.\r\n${begin}BDAT ${text.length + 3} LAST\r\n${text}x\r\nNOOP\r\n`);
      assert.equal(talk.codes(), '250 250 354 550 250 250 550 250');
      assert.deepEqual(stage.mail.deliveries, []);
      assert.equal(stage.mail.pending, 0);
    },
  );

over('commands end with CRLF as well', {}, (stage) => {
  const talk = stage.connect();
  talk.says('EHLO there\n');
  assert.equal(talk.codes(), '220 500');
});

over(
  'a message that is too long is read to its end, and refused (RFC 1870 §6.3)',
  { limits: { messageBytesMax: 65_536 } },
  (stage) => {
    const talk = begun(stage);
    const text = `${'x'.repeat(998)}\r\n`.repeat(70);
    talk.says(`MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nDATA\r\n${text}.\r\nNOOP\r\n`);
    assert.equal(talk.codes(), '250 250 354 552 250');
    talk.says(`MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nBDAT ${text.length}\r\n${text}BDAT 3 LAST\r\nabcNOOP\r\n`);
    assert.equal(talk.codes(), '250 250 552 503 250');
    assert.deepEqual(stage.mail.deliveries, []);
    assert.equal(stage.mail.pending, 0);
  },
);

over('a message that has been everywhere is in a loop (RFC 5321 §6.3)', { limits: { hopsMax: 3 } }, (stage) => {
  const talk = begun(stage);
  const mail = (hops: number) =>
    `MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nDATA\r\n${'Received: x\r\n'.repeat(hops)}\r\nReceived: y\r\n.\r\n`;
  talk.says(`${mail(2)}${mail(3)}`);
  assert.equal(talk.codes(), '250 250 354 250 250 250 354 554');
});

over('a store that is full, or busy, is said, and the next mail may come', {}, (stage) => {
  const talk = begun(stage);
  const mail = 'MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nDATA\r\nx\r\n.\r\n';
  stage.mail.outcome = FULL;
  talk.says(mail);
  assert.equal(talk.codes(), '250 250 354 452');
  stage.mail.outcome = BUSY;
  talk.says(mail);
  assert.equal(talk.codes(), '250 250 354 451');
});

over('a slow store holds the client, and nothing is lost of the message', {}, (stage) => {
  stage.mail.roomy = 700;
  const talk = begun(stage);
  const text = Array.from({ length: 500 }, (_, at) => `line ${at}\r\n..\r\n`).join('');
  talk.says(`MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nDATA\r\n${text}.\r\nNOOP\r\n`);
  assert.equal(talk.codes(1_000), '250 250 354 250 250');
  assert.equal(stage.last, text.replace(/^\.\./gm, '.'));
});

const ACCOUNTS = () => new FewAccounts({ ann: 'secret' });

over('AUTH PLAIN and LOGIN, with and without an initial response (RFC 4954 §4)', { accounts: ACCOUNTS() }, (stage) => {
  const plain = Buffer.from('\0ann\0secret').toString('base64');
  const [name, password] = [Buffer.from('ann').toString('base64'), Buffer.from('secret').toString('base64')];
  for (const [lines, codes] of [
    [`AUTH PLAIN ${plain}\r\n`, '235'],
    [`AUTH PLAIN\r\n${plain}\r\n`, '334 235'],
    [`AUTH LOGIN\r\n${name}\r\n${password}\r\n`, '334 334 235'],
    [`auth login ${name}\r\n${password}\r\n`, '334 235'],
    [`AUTH PLAIN ${plain}\r\nAUTH PLAIN ${plain}\r\n`, '235 503'],
    ['AUTH PLAIN\r\n*\r\nNOOP\r\n', '334 501 250'],
    ['AUTH PLAIN =\r\n', '535'],
    ['AUTH PLAIN no%base64\r\n', '501'],
    [`AUTH PLAIN ${Buffer.from('bob\0ann\0secret').toString('base64')}\r\n`, '535'],
    [`AUTH PLAIN ${Buffer.from('\0ann\0wrong').toString('base64')}\r\n`, '535'],
    ['AUTH NONSENSE\r\nAUTH\r\n', '504 501'],
  ] as const) {
    const talk = begun(stage);
    talk.says(lines);
    assert.equal(talk.codes(), codes, lines);
  }
});

over('AUTH SCRAM-SHA-256 (RFC 5802 §3)', { accounts: scrammed() }, (stage) => {
  for (const [password, code] of [
    ['secret', '235'],
    ['wrong', '535'],
  ] as const) {
    const talk = begun(stage);
    talk.says(`AUTH SCRAM-SHA-256 ${base64('n,,n=ann,r=abc')}\r\n`);
    const first = Buffer.from(/^334 (.+)\r\n$/.exec(talk.hears())![1]!, 'base64').toString();
    const [, nonce, salt, rounds] = /^r=(abc.+),s=(.+),i=(\d+)$/.exec(first)!;
    const salted = pbkdf2Sync(password, Buffer.from(salt!, 'base64'), Number(rounds), 32, 'sha256');
    const key = hmac(salted, 'Client Key');
    const without = `c=biws,r=${nonce}`;
    const signature = hmac(createHash('sha256').update(key).digest(), `n=ann,r=abc,${first},${without}`);
    const proof = Buffer.from(key.map((byte, at) => byte ^ signature[at]!)).toString('base64');
    talk.says(`${base64(`${without},p=${proof}`)}\r\n`);
    if (code === '235') {
      // What the server proves is told as a challenge (RFC 4954 §4).
      const last = Buffer.from(/^334 (.+)\r\n$/.exec(talk.hears())![1]!, 'base64').toString();
      assert.match(last, /^v=/);
      talk.says('\r\n');
    }
    assert.equal(talk.codes(), code);
  }
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function scrammed(): FewAccounts {
  const accounts = ACCOUNTS();
  const salt = Buffer.from('salt of sixteen!');
  const salted = pbkdf2Sync('secret', salt, 4_096, 32, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest();
  accounts.scrams.ann = { salt, iterations: 4_096, storedKey, serverKey: hmac(salted, 'Server Key') };
  return accounts;
}

over(
  'bearer tokens: taken, and refused with a challenge first (RFC 7628 §3.2.3)',
  { accounts: ACCOUNTS() },
  (stage) => {
    const talk = begun(stage);
    talk.says(`AUTH XOAUTH2 ${base64('user=ann\x01auth=Bearer secret\x01\x01')}\r\n`);
    assert.equal(talk.codes(), '235');
    const other = begun(stage);
    other.says(`AUTH OAUTHBEARER ${base64('n,a=ann,\x01host=here\x01auth=Bearer wrong\x01\x01')}\r\n`);
    assert.match(other.hears(), /^334 \S+\r\n$/);
    other.says('AQ==\r\nNOOP\r\n');
    assert.equal(other.codes(), '535 250');
  },
);

over('a port of submission takes nothing before a sign-in', { accounts: ACCOUNTS(), submits: true }, (stage) => {
  const talk = begun(stage);
  talk.says('MAIL FROM:<ann@here>\r\n');
  assert.equal(talk.codes(), '530');
  talk.says(`AUTH PLAIN ${base64('\0ann\0secret')}\r\nMAIL FROM:<ann@here>\r\nRCPT TO:<a@here>\r\nDATA\r\nx\r\n.\r\n`);
  assert.equal(talk.codes(), '235 250 250 354 250');
  assert.match(stage.mail.deliveries[0]!.text, /with ESMTPA id/);
});

over('too many sign-ins end the connection', { accounts: ACCOUNTS() }, (stage) => {
  const talk = begun(stage);
  for (let at = 0; at < 6; at++) talk.says('AUTH PLAIN AGFubgB4\r\n');
  assert.equal(talk.codes(), '535 535 535 535 535 421');
  assert.deepEqual(stage.faulted, ['smtp.signInTooMany']);
});

over(
  'STARTTLS forgets what was said before, and what comes behind it is refused (RFC 3207 §4.2, §6)',
  { tls: true },
  (stage) => {
    const talk = begun(stage);
    talk.says('STARTTLS x\r\nSTARTTLS\r\n');
    assert.equal(talk.codes(), '501 220');
    talk.peer.pipe.secure(CLIENT_TLS, talk.peer);
    stage.world.pass(50);
    talk.says('MAIL FROM:<x@y>\r\nEHLO there\r\nSTARTTLS\r\n');
    const heard = talk.hears();
    assert.match(heard, /^503 /);
    assert.doesNotMatch(heard, /250.STARTTLS/);
    assert.match(heard, /503 5\.5\.1 This is within TLS already\.\r\n$/);
    const injector = begun(stage);
    injector.says('STARTTLS\r\nMAIL FROM:<evil@y>\r\n');
    assert.doesNotMatch(injector.hears(), /2\.1\.0/);
  },
);

over('a page, or a client of TLS, cannot post here', {}, (stage) => {
  const page = stage.connect();
  page.says('POST / HTTP/1.1\r\nHost: here\r\n\r\nEHLO x\r\nMAIL FROM:<x@y>\r\n');
  assert.equal(page.codes(), '220 554');
  const tls = stage.connect();
  tls.says(Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]));
  assert.equal(tls.codes(), '220 554');
  assert.deepEqual(stage.faulted, ['smtp.http', 'smtp.tls']);
});

over('garbage, long lines, silence', { limits: { lineBytesMax: 512, unknownMax: 2, idleMs: 1_000 } }, (stage) => {
  const talk = begun(stage);
  talk.says(`NOOP ${'x'.repeat(600)}\r\nNOOP \x01\r\nNOOP \xff\r\n`);
  assert.equal(talk.codes(), '500 500 250');
  talk.says(Buffer.from([0x4e, 0x4f, 0x4f, 0x50, 0x20, 0xff, 0x0d, 0x0a]));
  assert.equal(talk.codes(), '500');
  talk.says('A\r\nB\r\nC\r\n');
  assert.equal(talk.codes(), '500 500 500 421');
  const silent = begun(stage);
  assert.equal(silent.codes(2_000), '421');
});

over('a client that goes away within a message leaves nothing', {}, (stage) => {
  const talk = begun(stage);
  talk.says('MAIL FROM:<x@y>\r\nRCPT TO:<a@here>\r\nDATA\r\nhalf a mail\r\n');
  talk.hears();
  assert.equal(stage.mail.pending, 1);
  talk.peer.pipe.reset(0);
  stage.world.pass(10);
  assert.equal(stage.mail.pending, 0);
  assert.deepEqual(stage.mail.deliveries, []);
});

const CONVERSATION = [
  'EHLO there\r\n',
  'MAIL FROM:<x@y>\r\n',
  'RCPT TO:<a@here>\r\n',
  'DATA\r\n',
  'Subject: x\r\n\r\n..\r\n.x\r\n',
  '\r\n.\r\n',
  'BDAT 6 LAST\r\nabcd\r\n',
  'BDAT 3\r\nxyz',
  'RSET\r\n',
  'AUTH LOGIN\r\n',
  'AUTH PLAIN AGEAYg==\r\n',
  '*\r\n',
  'NOOP\r\n',
  'x\n',
];

test('however the bytes are cut, the conversation is the same', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...CONVERSATION), { maxLength: 20 }),
      fc.integer({ min: 1, max: 9 }),
      (lines, cut) => {
        const heard = [0, cut].map((size) => {
          const stage = new Stage({ cut: size });
          const talk = stage.connect();
          talk.says(lines.join(''));
          const text = talk.hears(500);
          assert.deepEqual(stage.world.bugs, []);
          return [text.replace(/as \S+\./g, 'as ID.'), stage.mail.deliveries.length, stage.faulted];
        });
        assert.deepEqual(heard[1], heard[0]);
      },
    ),
    { numRuns: 300 },
  );
});

over('wishes for reports (RFC 3461 §4): taken where reports are made, and only as they should be', {}, (stage) => {
  const plain = begun(stage);
  plain.says('MAIL FROM:<a@b> RET=FULL\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@here> NOTIFY=NEVER\r\n');
  assert.equal(plain.codes(), '555 250 555');
  stage.mail.queue = {};
  const talk = stage.connect();
  talk.says('EHLO there\r\n');
  assert.match(talk.hears(), /\r\n250-DSN\r\n/);
  for (const wrong of ['RET=ALL', 'RET', 'ENVID', 'ENVID=a+b', `ENVID=${'x'.repeat(101)}`]) {
    talk.says(`MAIL FROM:<a@b> ${wrong}\r\n`);
    assert.equal(talk.codes(), '501', wrong);
  }
  talk.says('MAIL FROM:<a@b> RET=hdrs ENVID=QQ+3D1 SMTPUTF8\r\n');
  assert.equal(talk.codes(), '250');
  for (const wrong of ['NOTIFY=ALWAYS', 'NOTIFY=NEVER,DELAY', 'NOTIFY=', 'ORCPT=a@b', 'ORCPT=rfc822;a+b']) {
    talk.says(`RCPT TO:<a@here> ${wrong}\r\n`);
    assert.equal(talk.codes(), '501', wrong);
  }
  talk.says('RCPT TO:<a@here> NOTIFY=success,DELAY ORCPT=rfc822;x+2By@z\r\nRCPT TO:<anna@here>\r\nDATA\r\nhi\r\n.\r\n');
  assert.equal(talk.codes(), '250 250 354 250');
  const { ret, envid, isUtf8, recipients } = stage.mail.envelopes.at(-1)!;
  assert.deepEqual([ret, envid, isUtf8], ['HDRS', 'QQ+3D1', true]);
  assert.deepEqual(
    recipients.map(({ notify, orcpt }) => [notify, orcpt]),
    [
      ['SUCCESS,DELAY', 'rfc822;x+2By@z'],
      [undefined, undefined],
    ],
  );
});

over('a stranger may be asked to come again (RFC 6647)', { accounts: new FewAccounts() }, (stage) => {
  const talk = begun(stage);
  talk.says('MAIL FROM:<a@b>\r\nRCPT TO:<anew@here>\r\nRCPT TO:<anna@here>\r\n');
  assert.equal(
    talk.hears(),
    '250 2.1.0 From there.\r\n451 4.7.1 You are new here: try again in a while.\r\n250 2.1.5 Taken.\r\n',
  );
});
