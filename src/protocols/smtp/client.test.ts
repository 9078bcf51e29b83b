// The client half of SMTP: every class of answer at every step, any cut, and a server of our own.
import assert from 'node:assert/strict';
import { pbkdf2Sync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { FAILED, OK } from '../../core/outcome.ts';
import type { Pipe } from '../../core/pipe.ts';
import { Recorder } from '../../core/pipe-suite.ts';
import type { Sink } from '../../core/sink.ts';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { scramCredentials } from '../text/scram.ts';
import { SmtpClient } from './client.ts';
import type { OutgoingMessage, SmtpClientTerms } from './client-terms.ts';
import { serveSmtp } from './server.ts';
import { CLIENT_TLS, Stage, type StageOptions } from './testing/stage.ts';

const TEXT = 'Subject: x\r\n\r\n.one\r\n..two\r\nthree.\r\n.\r\n';

/** Gives bytes in pieces, as fast as there is room. */
function messageOf(text: string, to: readonly string[], more: Partial<OutgoingMessage> = {}): OutgoingMessage {
  const bytes = Buffer.from(text);
  return {
    from: 'me@there',
    recipients: to.map((address) => ({ address })),
    size: bytes.length,
    isEightBit: /[^\0-\x7f]/.test(text),
    isUtf8: false,
    read(sink: Sink) {
      let at = 0;
      let over = false;
      const go = () => {
        while (!over && at < bytes.length && sink.room > 0) {
          const end = Math.min(bytes.length, at + 7);
          sink.bytes(bytes, at, end);
          at = end;
        }
        if (over || at < bytes.length) return;
        over = true;
        sink.end(OK);
      };
      go();
      return { more: go, stop: () => void (over = true) };
    },
    ...more,
  };
}

class Told {
  readonly lines: string[] = [];
  client!: SmtpClient;

  make(pipe: Pipe, world: World, terms: Partial<SmtpClientTerms> = {}): SmtpClient {
    const given = { name: 'me', tls: null, tlsRequired: false, credentials: null, entropy: world.random, ...terms };
    this.client = new SmtpClient(
      pipe,
      given,
      {
        ready: (extensions) => this.lines.push(`ready ${[...extensions.keys()].join(' ')}`),
        unready: ({ stage, isPermanent, text }) =>
          this.lines.push(`unready ${stage} ${isPermanent ? 'for good' : 'for now'}: ${text}`),
        sent: (outcomes) =>
          this.lines.push(
            ...outcomes.map(({ state, text, isDoubtful }) => `${state} ${text}${isDoubtful ? ' (in doubt)' : ''}`),
          ),
        closed: (cause, fault) => this.lines.push(`closed ${cause} ${fault?.id ?? ''}`.trim()),
      },
      world.turn.clock,
    );
    return this.client;
  }
}

/** A server that answers as it is told: by the verb of each line, or by the end of the data. */
class Scripted {
  readonly world: World;
  readonly told = new Told();
  readonly heard: string[] = [];
  server!: Recorder;
  private at = 0;
  private within = false;

  constructor(script: Readonly<Record<string, string | readonly string[]>>, terms = {}, cut = 0, seed = 1) {
    const world = new World(seed);
    this.world = world;
    const left = new Map(Object.entries(script).map(([verb, said]) => [verb, [said].flat()]));
    const answer = (verb: string) => {
      const said = left.get(verb);
      const text = said === undefined ? '' : said.length > 1 ? said.shift()! : said[0]!;
      if (text === 'CLOSE') this.server.pipe.end();
      else if (text === 'RESET') this.server.pipe.reset(0);
      else if (text !== '') this.server.say(`${text.replaceAll('\n', '\r\n')}\r\n`);
      return text;
    };
    linkPipes(
      world,
      (pipe) => this.told.make(pipe, world, terms),
      (pipe) => {
        this.server = new Recorder(pipe);
        this.server.onReceive = () => this.hear(answer);
        this.server.finish = () => pipe.end();
        answer('greeting');
        return this.server;
      },
      { cut },
    );
    world.pass(200);
  }

  private hear(answer: (verb: string) => string): void {
    const text = this.server.received.toString();
    for (;;) {
      const end = text.indexOf(this.within ? '\r\n.\r\n' : '\r\n', this.within ? this.at - 2 : this.at);
      if (end < 0) return;
      const line = text.slice(this.at, end);
      this.heard.push(line);
      this.at = end + (this.within ? 5 : 2);
      if (this.within) {
        this.within = false;
        answer('.');
        continue;
      }
      const verb = /^[A-Z]+/.exec(line)?.[0] ?? line;
      const said = answer(verb);
      if (verb === 'DATA' && said.startsWith('354')) this.within = true;
    }
  }

  send(to: readonly string[] = ['a@here'], more: Partial<OutgoingMessage> = {}, text = TEXT): readonly string[] {
    this.told.client.send(messageOf(text, to, more));
    this.world.pass(5_000);
    assert.deepEqual(this.world.bugs, []);
    return this.told.lines.slice(1);
  }
}

const HELLO = { greeting: '220 here', EHLO: '250-here\n250-PIPELINING\n250 SIZE 1000', QUIT: '221 bye' };
const GOOD = { ...HELLO, MAIL: '250 ok', RCPT: '250 ok', DATA: '354 go', '.': '250 2.0.0 taken', RSET: '250 ok' };

test('a mail with its dots (RFC 5321 §4.5.2), and another on the same connection', () => {
  const it = new Scripted(GOOD);
  assert.deepEqual(it.told.lines, ['ready PIPELINING SIZE']);
  assert.deepEqual(it.send(), ['sent 250 2.0.0 taken']);
  assert.deepEqual(it.heard.slice(1), [
    'MAIL FROM:<me@there> SIZE=38',
    'RCPT TO:<a@here>',
    'DATA',
    'Subject: x\r\n\r\n..one\r\n...two\r\nthree.\r\n..',
  ]);
  it.send(['b@here'], { from: '' }, 'no line end');
  assert.equal(it.heard.at(-1), 'no line end');
  assert.ok(it.heard.includes('MAIL FROM:<> SIZE=11'));
  it.told.client.quit();
  it.world.pass(5_000);
  assert.equal(it.told.lines.at(-1), 'closed ended');
});

test('classes of answers at each step (RFC 5321 §4.2.1, §4.2.5)', () => {
  const cases: readonly [at: string, said: string, told: readonly string[]][] = [
    ['MAIL', '451 later', ['transient 451 later']],
    ['MAIL', '550 5.7.1 never', ['permanent 550 5.7.1 never']],
    ['RCPT', '450 4.2.1 busy', ['transient 450 4.2.1 busy']],
    ['RCPT', '550-5.1.1 no\n550 5.1.1 such user', ['permanent 550 5.1.1 no such user']],
    ['DATA', '451 later', ['transient 451 later']],
    ['DATA', '554 no', ['permanent 554 no']],
    ['DATA', '250 what', ['transient 250 what']],
    ['.', '452 4.3.1 full', ['transient 452 4.3.1 full']],
    ['.', '554 5.6.0 spam', ['permanent 554 5.6.0 spam']],
    // An enhanced code of another class than the reply's is none (RFC 2034 §4).
    ['.', '250 5.0.0 ok', ['sent 250 5.0.0 ok']],
    ['MAIL', '421 4.3.2 going', ['transient 421 4.3.2 going', 'closed ended']],
    ['.', '421 4.3.2 going', ['transient 421 4.3.2 going', 'closed ended']],
    ['RCPT', 'CLOSE', ['transient 4.4.2 The connection was lost.', 'closed ended']],
    ['DATA', 'RESET', ['transient 4.4.2 The connection was lost.', 'closed reset']],
    ['.', 'RESET', ['transient 4.4.2 The connection was lost. (in doubt)', 'closed reset']],
    ['MAIL', 'hello', ['transient 4.4.2 This is not a reply of SMTP.', 'closed fault smtp.badReply']],
    ['.', '250 ok\n250 again', ['sent 250 ok', 'closed fault smtp.unasked']],
  ];
  for (const [at, said, told] of cases)
    for (const [pipelining, cut] of [
      [true, 0],
      [false, 0],
      [true, 1],
      [false, 3],
    ] as const) {
      const EHLO = pipelining ? HELLO.EHLO : '250 here';
      const it = new Scripted({ ...GOOD, EHLO, [at]: said }, {}, cut);
      assert.deepEqual(it.send(), told, `${said} to ${at}${pipelining ? '' : ', one by one'}`);
      const isOpen = !told.some((line) => line.startsWith('closed'));
      assert.equal(it.told.client.isIdle, isOpen);
    }
});

test('recipients are answered each for itself, with and without PIPELINING (RFC 2920)', () => {
  for (const EHLO of [HELLO.EHLO, '250 here']) {
    const it = new Scripted({ ...GOOD, EHLO, RCPT: ['250 ok', '550 5.1.1 no', '452 4.5.3 more', '251 forwarded'] });
    assert.deepEqual(it.send(['a@here', 'b@here', 'c@here', 'd@here']), [
      'sent 250 2.0.0 taken',
      'permanent 550 5.1.1 no',
      'transient 452 4.5.3 more',
      'sent 250 2.0.0 taken',
    ]);
  }
  const none = new Scripted({ ...GOOD, RCPT: '550 no' });
  assert.deepEqual(none.send(['a@here', 'b@here']), ['permanent 550 no', 'permanent 550 no']);
  assert.deepEqual(none.heard.slice(-1), ['RSET']);
});

test('greetings: no service, no EHLO, no HELO either (RFC 5321 §3.1, §3.2)', () => {
  const told = (script: Readonly<Record<string, string>>) => new Scripted({ ...GOOD, ...script }).told.lines[0];
  assert.equal(told({ greeting: '554 no SMTP here' }), 'unready greeting for good: 554 no SMTP here');
  assert.equal(told({ greeting: '421 4.7.0 busy' }), 'unready greeting for now: 421 4.7.0 busy');
  assert.equal(told({ greeting: 'CLOSE' }), 'unready connection for now: the connection was lost (ended)');
  assert.equal(told({ EHLO: '500 what', HELO: '250 here' }), 'ready ');
  assert.equal(told({ EHLO: '500 what', HELO: '550 no' }), 'unready hello for good: 550 no');
  assert.equal(told({ EHLO: '451 later' }), 'unready hello for now: 451 later');
  const old = new Scripted({ ...GOOD, EHLO: '502 no', HELO: '250 here' });
  assert.deepEqual(old.send(), ['sent 250 2.0.0 taken']);
  assert.equal(old.heard[2], 'MAIL FROM:<me@there>');
});

test('what a server does not take is not offered to it (RFC 1870 §6.1, RFC 6152 §3, RFC 6531 §3.5)', () => {
  const it = new Scripted(GOOD);
  assert.match(it.send(['a@here'], {}, 'x'.repeat(1_001))[0]!, /^permanent 5\.3\.4 /);
  assert.match(it.send(['a@here'], {}, 'ü\r\n').at(-1)!, /^permanent 5\.6\.3 /);
  assert.match(it.send(['ä@here'], { isUtf8: true }).at(-1)!, /^permanent 5\.6\.7 /);
  assert.match(it.send(['a@here>\r\nRCPT TO:<b@here']).at(-1)!, /^permanent 5\.1\.3 /);
  assert.match(it.send(['a@here'], { from: 'a\r\nb' }).at(-1)!, /^permanent 5\.1\.7 /);
  assert.deepEqual(it.heard, ['EHLO me']);
  const all = new Scripted({ ...GOOD, EHLO: '250-here\n250-8BITMIME\n250-DSN\n250 SMTPUTF8' });
  all.send(['ä@here'], { isUtf8: true, ret: 'HDRS', envid: 'x+3D' }, 'ü\r\n');
  all.told.client.send(
    messageOf(TEXT, [], { recipients: [{ address: 'a@here', notify: 'FAILURE', orcpt: 'rfc822;b@there' }] }),
  );
  all.world.pass(200);
  assert.ok(all.heard.includes('MAIL FROM:<me@there> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x+3D'));
  assert.ok(all.heard.includes('RCPT TO:<a@here> NOTIFY=FAILURE ORCPT=rfc822;b@there'));
});

test('each answer has its time (RFC 5321 §4.5.3.2)', () => {
  const waits: readonly [at: string, minutes: number][] = [
    ['greeting', 5],
    ['EHLO', 5],
    ['MAIL', 5],
    ['RCPT', 5],
    ['DATA', 2],
    ['.', 10],
  ];
  for (const [at, minutes] of waits) {
    const it = new Scripted({ ...GOOD, [at]: '' });
    if (it.told.client.isIdle) it.send();
    it.world.pass(minutes * 60_000 - 10_000);
    assert.ok(!it.told.lines.some((line) => line.startsWith('closed')), at);
    it.world.pass(20_000);
    assert.match(it.told.lines.join('; '), /closed fault smtp\.late/, at);
    assert.match(it.told.lines.join('; '), at === '.' ? /in doubt/ : /took too long/);
  }
  const stalled = new Scripted(GOOD);
  stalled.server.take = () => 0;
  stalled.send(['a@here']);
  stalled.world.pass(310_000);
  assert.match(stalled.told.lines.join('; '), /transient 4\.4\.2 The server took too long to answer/);
});

test('a message that cannot be read to its end is not ended', () => {
  const broken: Partial<OutgoingMessage> = {
    size: 100,
    read(sink) {
      sink.bytes(Buffer.from('half\r\n'), 0, 6);
      sink.end(FAILED);
      return { more() {}, stop() {} };
    },
  };
  const it = new Scripted(GOOD);
  assert.deepEqual(it.send(['a@here'], broken), ['transient 4.3.0 The message could not be read.', 'closed reset']);
  assert.ok(!it.heard.includes('half'));
});

test('any bytes from a server neither throw nor hang', () => {
  const word = fc.constantFrom(
    '250 ok\r\n',
    '250-a\r\n',
    '354 go\r\n',
    '220 x\r\n',
    '334 AAAA\r\n',
    '550 no\r\n',
    '\0',
    '421 bye\r\n',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 30 }), fc.integer(), (said, seed) => {
      const it = new Scripted({}, { credentials: { account: 'a', password: 'b' } }, 5, seed);
      for (const each of said) {
        if (it.told.lines.some((line) => line.startsWith('closed'))) break;
        if (it.told.client.isIdle) it.told.client.send(messageOf(TEXT, ['a@here', 'b@here']));
        it.server.say(each);
        it.world.pass(20);
      }
      it.world.pass(3_600_000);
      assert.deepEqual(it.world.bugs, []);
      assert.ok(it.told.client.isIdle || it.told.lines.some((line) => line.startsWith('closed')));
    }),
    { numRuns: 200 },
  );
});

// ---- against the server half ------------------------------------------------------------------------------------------

function talk(
  options: StageOptions,
  terms: Partial<SmtpClientTerms> = {},
  takes: Readonly<Record<string, unknown>> = {},
) {
  const stage = new Stage(options);
  const told = new Told();
  Object.assign(stage.host, takes);
  linkPipes(
    stage.world,
    (pipe) => told.make(pipe, stage.world, terms),
    (pipe) => serveSmtp(pipe, stage.host, options.submits === true),
    { cut: options.cut ?? 0 },
  );
  const settle = async () => {
    for (let round = 0; round < 5; round++) {
      stage.world.pass(100);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual(stage.world.bugs, []);
  };
  return { stage, told, settle };
}

test('a mail with BDAT (RFC 3030), however it is cut, long or short, within TLS or not', async () => {
  for (const tls of [true, false])
    for (const cut of [0, 3]) {
      const it = talk({ tls, cut }, { tls: CLIENT_TLS, tlsRequired: tls });
      await it.settle();
      assert.match(it.told.lines[0]!, /^ready .*CHUNKING/);
      assert.equal(it.told.lines[0]!.includes('STARTTLS'), false);
      const long = `${TEXT}${'.line\r\n'.repeat(cut === 0 ? 100_000 : 500)}`;
      for (const text of [TEXT, long]) {
        it.told.client.send(messageOf(text, ['a@here', 'nobody@here', 'anna@here']));
        for (let round = 0; round < 20 && !it.told.client.isIdle; round++) await it.settle();
        assert.deepEqual(it.stage.mail.deliveries.at(-1)!.to, ['a@here', 'anna@here']);
        assert.equal(it.stage.last, text);
      }
      assert.equal(it.told.lines.filter((line) => line.startsWith('sent ')).length, 4);
      assert.equal(it.told.lines.filter((line) => line.startsWith('permanent 550 5.1.1 ')).length, 2);
    }
});

test('STARTTLS that is wanted and not offered, refused, or not to be had', async () => {
  const without = talk({}, { tls: CLIENT_TLS, tlsRequired: true });
  await without.settle();
  assert.match(without.told.lines[0]!, /^unready tls for now: It offers no TLS/);
  const EHLO = '250-here\n250 STARTTLS';
  const refused = new Scripted({ ...GOOD, EHLO, STARTTLS: '454 4.7.0 not now' }, { tls: CLIENT_TLS });
  assert.deepEqual(refused.told.lines, ['ready ']);
  const needed = new Scripted({ ...GOOD, EHLO, STARTTLS: '454 4.7.0 not now' }, { tls: CLIENT_TLS, tlsRequired: true });
  assert.equal(needed.told.lines[0], 'unready tls for now: 454 4.7.0 not now');
  // Nobody in between speaks before the handshake (RFC 3207 §6).
  const injected = new Scripted({ ...GOOD, EHLO, STARTTLS: '220 go\n250 injected' }, { tls: CLIENT_TLS });
  assert.ok(!injected.told.lines.some((line) => line.startsWith('ready')), injected.told.lines.join('; '));
});

test('signs in with the strongest that is offered; a wrong password is for good (RFC 4954)', async () => {
  const accounts = new FewAccounts({ ann: 'secret' });
  const salt = Buffer.from('salt of sixteen!');
  accounts.scrams.ann = scramCredentials(pbkdf2Sync('secret', salt, 4_096, 32, 'sha256'), salt, 4_096);
  for (const [password, told] of [
    ['secret', /^ready /],
    ['wrong', /^unready sign-in for good: 535 5\.7\.8 /],
  ] as const) {
    const it = talk({ accounts, submits: true }, { credentials: { account: 'ann', password } });
    for (let round = 0; round < 20 && it.told.lines.length === 0; round++) await it.settle();
    assert.match(it.told.lines[0]!, told);
  }
  const AUTH = { EHLO: '250-here\n250 AUTH LOGIN PLAIN' };
  const plain = new Scripted({ ...GOOD, ...AUTH, AUTH: '235 in' }, { credentials: { account: 'a', password: 'b' } });
  assert.equal(plain.heard[1], 'AUTH PLAIN AGEAYg==');
  const login = new Scripted(
    { ...GOOD, EHLO: '250-here\n250 AUTH LOGIN', AUTH: '334 VXNlcm5hbWU6', YQ: '334 x', Y: '334 x', 'YQ==': '235 in' },
    { credentials: { account: 'a', password: 'b' } },
  );
  assert.equal(login.heard[1], 'AUTH LOGIN');
  assert.equal(login.heard[2], 'YQ==');
  const none = new Scripted(GOOD, { credentials: { account: 'a', password: 'b' } });
  assert.match(none.told.lines[0]!, /^unready sign-in for good: It offers no way/);
});
