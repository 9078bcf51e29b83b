// POP3 over a simulated link and mail in memory: each command by its clause, the lock, what is deleted and when.
import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeScram } from '../../resources/accounts/scram.ts';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { Stage, type StageOptions } from './testing/stage.ts';

const FIRST = 'From: x@y.test\r\nSubject: one\r\n\r\nHello.\r\n.\r\n..two dots\r\nlast\r\n';
const SECOND = 'Subject: two\r\n\r\nno line end';

async function filled(options: StageOptions = {}): Promise<Stage> {
  const stage = await Stage.open(options);
  await stage.deliver(FIRST);
  await stage.deliver(SECOND);
  return stage;
}

test('a maildrop: STAT, LIST, RETR, DELE, NOOP, RSET, QUIT (RFC 1939 §5)', async () => {
  const stage = await filled();
  const talk = stage.connect();
  assert.equal(await talk.hears(), '+OK Portico/test POP3.\r\n');
  assert.equal(await talk.hears('USER ann\r\n'), '+OK The password, please.\r\n');
  assert.equal(await talk.hears('PASS with blanks \r\n'), '+OK 2 messages.\r\n');
  const sizes = [FIRST.length, SECOND.length] as const;
  assert.equal(await talk.hears('STAT\r\n'), `+OK 2 ${sizes[0] + sizes[1]}\r\n`);
  assert.equal(await talk.hears('LIST\r\n'), `+OK 2 messages.\r\n1 ${sizes[0]}\r\n2 ${sizes[1]}\r\n.\r\n`);
  assert.equal(await talk.hears('list 2\r\n'), `+OK 2 ${sizes[1]}\r\n`);
  assert.match(await talk.hears('LIST 3\r\n'), /^-ERR /);
  assert.equal(await talk.hears('RETR 1\r\n'), `+OK ${sizes[0]} octets\r\n${FIRST.replace(/^\./gm, '..')}.\r\n`);
  assert.equal(await talk.hears('RETR 2\r\n'), `+OK ${sizes[1]} octets\r\n${SECOND}\r\n.\r\n`);
  assert.equal(await talk.hears('DELE 1\r\n'), '+OK Marked.\r\n');
  assert.match(await talk.hears('DELE 1\r\n'), /^-ERR /);
  assert.match(await talk.hears('RETR 1\r\n'), /^-ERR /);
  assert.equal(await talk.hears('LIST\r\n'), `+OK 1 messages.\r\n2 ${sizes[1]}\r\n.\r\n`);
  assert.equal(
    await talk.hears('RSET\r\nSTAT\r\nNOOP\r\n'),
    `+OK 2 messages.\r\n+OK 2 ${sizes[0] + sizes[1]}\r\n+OK Nothing done.\r\n`,
  );
  assert.equal(await talk.hears('DELE 2\r\nQUIT\r\n'), '+OK Marked.\r\n+OK Goodbye: 1 deleted.\r\n');
  assert.ok(talk.peer.heardEnd);
  const later = await stage.signedIn();
  assert.equal(await later.hears('STAT\r\n'), `+OK 1 ${sizes[0]}\r\n`);
  assert.deepEqual(stage.world.bugs, []);
});

test('TOP gives the header and so many lines (RFC 1939 §7)', async () => {
  const talk = await (await filled()).signedIn();
  const header = FIRST.slice(0, FIRST.indexOf('Hello'));
  assert.equal(await talk.hears('TOP 1 0\r\n'), `+OK\r\n${header}.\r\n`);
  assert.equal(await talk.hears('TOP 1 2\r\n'), `+OK\r\n${header}Hello.\r\n..\r\n.\r\n`);
  assert.equal(await talk.hears('TOP 1 900\r\n'), `+OK\r\n${FIRST.replace(/^\./gm, '..')}.\r\n`);
  assert.match(await talk.hears('TOP 1\r\n'), /^-ERR /);
  assert.match(await talk.hears('TOP 1 -1\r\n'), /^-ERR /);
});

test('UIDL is the same in each session and of one message only (RFC 1939 §7)', async () => {
  const stage = await filled();
  const talk = await stage.signedIn();
  const told = await talk.hears('UIDL\r\n');
  const ids = [...told.matchAll(/^\d ([\x21-\x7e]{1,70})\r$/gm)].map((line) => line[1]);
  assert.equal(new Set(ids).size, 2);
  assert.equal(await talk.hears('UIDL 2\r\n'), `+OK 2 ${ids[1]}\r\n`);
  await talk.hears('DELE 1\r\nQUIT\r\n');
  await stage.deliver(SECOND);
  const later = await stage.signedIn();
  const again = await later.hears('UIDL\r\n');
  assert.match(again, new RegExp(`^1 ${ids[1]!.replace('.', '\\.')}\r$`, 'm'));
  assert.doesNotMatch(again, new RegExp(` ${ids[0]!.replace('.', '\\.')}\r`));
});

test('a maildrop is locked by one session (RFC 1939 §4, RFC 2449 §8.1.2)', async () => {
  const stage = await filled();
  const first = await stage.signedIn();
  const second = stage.connect();
  await second.hears();
  assert.match(await second.hears('USER ann\r\nPASS x\r\n'), /\r\n-ERR \[IN-USE\]/);
  await first.hears('QUIT\r\n');
  assert.match(await second.hears('USER ann\r\nPASS x\r\n'), /\r\n\+OK 2 messages/);
});

test('nothing is deleted without QUIT (RFC 1939 §6)', async () => {
  for (const how of ['end', 'reset', 'idle', 'shutdown'] as const) {
    const stage = await filled();
    const talk = await stage.signedIn();
    await talk.hears('DELE 1\r\nDELE 2\r\n');
    if (how === 'end') talk.peer.pipe.end();
    else if (how === 'reset') talk.peer.pipe.reset(0);
    else if (how === 'idle') stage.world.pass(700_000);
    else talk.server.leave('shutdown', 1_000);
    await talk.hears();
    const later = await stage.signedIn();
    assert.match(await later.hears('STAT\r\n'), /^\+OK 2 /, how);
  }
});

test('what another session took away is missing, and nothing else', async () => {
  const stage = await filled();
  const talk = await stage.signedIn();
  const mailbox = await stage.mail.open({ account: 'ann', scopes: null, origin: 'local', epoch: 1 }, 'ann@example.org');
  assert.ok(typeof mailbox !== 'number');
  const folder = await mailbox.open('INBOX');
  assert.ok(typeof folder !== 'number');
  await mailbox.expunge(folder, [folder.uids[0]!], true);
  assert.match(await talk.hears('RETR 1\r\n'), /^-ERR There is no/);
  assert.match(await talk.hears('RETR 2\r\n'), /^\+OK /);
  assert.match(await talk.hears('DELE 1\r\nDELE 2\r\nQUIT\r\n'), /\+OK Goodbye/);
});

test('CAPA by state; UTF8; what needs a sign-in (RFC 2449 §5, RFC 6856 §2)', async () => {
  const stage = await filled({ tls: true });
  const talk = stage.connect();
  await talk.hears();
  const before = await talk.hears('CAPA\r\n');
  for (const line of [
    'TOP',
    'UIDL',
    'RESP-CODES',
    'AUTH-RESP-CODE',
    'PIPELINING',
    'EXPIRE NEVER',
    'UTF8 USER',
    'STLS',
    'USER',
    'SASL PLAIN LOGIN',
  ])
    assert.ok(before.includes(`\r\n${line}\r\n`), line);
  assert.match(await talk.hears('STAT\r\n'), /^-ERR \[AUTH\]/);
  assert.match(await talk.hears('UTF8\r\n'), /^\+OK/);
  assert.match(await talk.hears('APOP a b\r\n'), /^-ERR/);
  assert.match(await talk.hears('USER ann\r\nPASS x\r\nUSER ann\r\n'), /-ERR Somebody has signed in already/);
  assert.match(await talk.hears('CAPA\r\n'), /\r\nIMPLEMENTATION Portico\/test\r\n/);
  assert.match(await talk.hears('STLS\r\n'), /^-ERR/);
});

test('AUTH PLAIN, with its response and without; cancelled and broken ones (RFC 5034 §4)', async () => {
  const stage = await filled({ accounts: new FewAccounts({ ann: 'secret' }) });
  const talk = stage.connect();
  await talk.hears();
  const response = Buffer.from('\0ann\0secret').toString('base64');
  assert.equal(await talk.hears('AUTH PLAIN\r\n'), '+ \r\n');
  assert.match(await talk.hears('*\r\n'), /^-ERR/);
  assert.match(await talk.hears('AUTH PLAIN !!!\r\n'), /^-ERR That is not base64/);
  assert.match(await talk.hears('AUTH NTLM\r\n'), /^-ERR/);
  assert.match(await talk.hears(`AUTH PLAIN ${Buffer.from('\0ann\0wrong').toString('base64')}\r\n`), /^-ERR \[AUTH\]/);
  assert.equal(await talk.hears(`AUTH PLAIN\r\n${response}\r\n`), '+ \r\n+OK 2 messages.\r\n');
  const other = stage.connect();
  await other.hears();
  assert.match(await other.hears(`AUTH PLAIN ${response}\r\n`), /IN-USE/);
});

test('AUTH SCRAM-SHA-256 (RFC 5802, RFC 7677)', async () => {
  const accounts = new FewAccounts({ ann: 'secret' });
  const salt = Buffer.from('0123456789abcdef');
  accounts.scrams.ann = await makeScram('secret', salt, 4_096);
  const stage = await filled({ accounts });
  const talk = stage.connect();
  await talk.hears();
  const bare = 'n=ann,r=abc';
  const said = await talk.hears(`AUTH SCRAM-SHA-256 ${Buffer.from(`n,,${bare}`).toString('base64')}\r\n`);
  const challenge = Buffer.from(said.slice(2).trim(), 'base64').toString();
  const nonce = /^r=([^,]+)/.exec(challenge)![1];
  const key = createHmac('sha256', pbkdf2Sync('secret', salt, 4_096, 32, 'sha256'))
    .update('Client Key')
    .digest();
  const final = `c=biws,r=${nonce}`;
  const stored = createHash('sha256').update(key).digest();
  const signature = createHmac('sha256', stored).update(`${bare},${challenge},${final}`).digest();
  const proof = Buffer.from(key.map((byte, at) => byte ^ signature[at]!)).toString('base64');
  const last = await talk.hears(`${Buffer.from(`${final},p=${proof}`).toString('base64')}\r\n`);
  assert.match(Buffer.from(last.slice(2).trim(), 'base64').toString(), /^v=/);
  assert.equal(await talk.hears('\r\n'), '+OK 2 messages.\r\n');
});

test('a password in the clear over a network is not taken (RFC 2595 §2.1)', async () => {
  const stage = await filled({ remote: true, tls: true, accounts: new FewAccounts({ ann: 'secret' }) });
  const talk = stage.connect();
  await talk.hears();
  const told = await talk.hears('CAPA\r\n');
  assert.doesNotMatch(told, /\r\nUSER\r\n|PLAIN/);
  assert.match(told, /\r\nSTLS\r\n/);
  assert.match(await talk.hears('USER ann\r\n'), /^-ERR \[AUTH\]/);
  assert.match(await talk.hears('PASS secret\r\n'), /^-ERR \[AUTH\]/);
  assert.match(await talk.hears(`AUTH PLAIN ${Buffer.from('\0ann\0secret').toString('base64')}\r\n`), /^-ERR \[AUTH\]/);
});

test('STLS; what was said before it is forgotten (RFC 2595 §4)', async () => {
  const stage = await filled({ remote: true, tls: true, accounts: new FewAccounts({ ann: 'secret' }) });
  const talk = stage.connect();
  await talk.hears();
  assert.equal(await talk.hears('STLS\r\n'), '+OK Begin.\r\n');
  talk.peer.pipe.secure({ role: 'client' }, talk.peer);
  await talk.hears();
  assert.match(await talk.hears('CAPA\r\n'), /\r\nUSER\r\n/);
  assert.match(await talk.hears('STLS\r\n'), /^-ERR/);
  assert.match(await talk.hears('USER ann\r\nPASS secret\r\n'), /\+OK 2 messages/);
});

test('failed sign-ins end a connection', async () => {
  const stage = await filled({ accounts: new FewAccounts({ ann: 'secret' }), limits: { signInsMax: 2 } });
  const talk = stage.connect();
  await talk.hears();
  await talk.hears('USER ann\r\nPASS one\r\nUSER ann\r\nPASS two\r\nUSER ann\r\nPASS secret\r\n');
  assert.ok(talk.peer.heardEnd);
  assert.deepEqual(stage.faulted, ['pop3.signInTooMany']);
});

test('messages go at the pace of their reader', async () => {
  const stage = await Stage.open({ highMark: 4_096 });
  const message = `Subject: long\r\n\r\n${'.x\r\n'.repeat(200_000)}`;
  await stage.deliver(message);
  const talk = await stage.signedIn();
  let most = 0;
  talk.peer.onReceive = () => {
    most = Math.max(most, talk.server.queued);
  };
  await talk.hears('RETR 1\r\n');
  for (let round = 0; round < 900 && talk.peer.total < message.length + 200_000; round++) await talk.hears();
  const stuffed = message.length + 200_000;
  assert.equal(
    talk.peer.total,
    `+OK Portico/test POP3.\r\n+OK The password, please.\r\n+OK 1 messages.\r\n+OK ${message.length} octets\r\n`
      .length +
      stuffed +
      3,
  );
  assert.ok(most < 32_768, `${most} bytes were queued`);
  assert.deepEqual(stage.world.bugs, []);
});

test('first lines that end a conversation, and lines that are too long', async () => {
  for (const [text, fault] of [
    ['GET / HTTP/1.1\r\n\r\n', 'pop3.http'],
    ['\x16\x03\x01', 'pop3.tls'],
    ['HELO me\r\n', 'pop3.firstUnknown'],
  ] as const) {
    const stage = await filled();
    const talk = stage.connect();
    await talk.hears(text);
    assert.deepEqual(stage.faulted, [fault]);
  }
  const talk = await (await filled({ limits: { lineBytesMax: 255 } })).signedIn();
  assert.match(await talk.hears(`LIST ${'1'.repeat(300)}\r\nNOOP\r\n`), /^-ERR The line is too long.\r\n\+OK/);
});

test('however a conversation is cut, it is the same', async () => {
  const said =
    'CAPA\r\nUSER ann\r\nPASS x\r\nSTAT\r\nUIDL\r\nRETR 1\r\nTOP 1 1\r\nDELE 2\r\nWHAT\r\nLIST\r\nRSET\r\nQUIT\r\n';
  const of = async (cut: number) => {
    const stage = await filled({ cut });
    const talk = stage.connect();
    const heard = await talk.hears(said);
    assert.deepEqual(stage.world.bugs, []);
    return heard.replace(/\d{5,}\./g, 'V.');
  };
  const whole = await of(0);
  assert.match(whole, /Goodbye/);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 9 }), async (cut) => assert.equal(await of(cut), whole)),
    { numRuns: 20 },
  );
});

test('whatever comes, nothing is thrown and every line is answered', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'RETR ',
      'TOP 1 ',
      'DELE ',
      'LIST',
      'UIDL ',
      'AUTH PLAIN',
      'AUTH LOGIN\r\n',
      'STLS',
      '\r\n',
      '=',
      '*',
      '1',
      '99999999999',
    ),
    fc.string({ maxLength: 8 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), async (pieces) => {
      const stage = await filled({ limits: { unknownMax: 100_000, signInsMax: 1_000 } });
      const talk = await stage.signedIn();
      await talk.hears(`${pieces.join('')}\r\n*\r\n`);
      if (!talk.peer.heardEnd) assert.match(await talk.hears('NOOP\r\n'), /\+OK|-ERR/);
      assert.deepEqual(stage.world.bugs, []);
    }),
    { numRuns: 60 },
  );
});
