import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DatagramRecorder } from '../../core/datagram-suite.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { Bench, type BenchOptions } from './testing/bench.ts';
import { OUTCOME_TEXTS, OUTCOME_WORDS } from './words.ts';

const over = (what: string, options: BenchOptions, run: (bench: Bench) => void | Promise<void>): void =>
  void test(what, async () => {
    const bench = await Bench.open(options);
    await run(bench);
    assert.deepEqual(bench.world.bugs, []);
  });

over('publishing is silent, and a subscriber reads topic and payload', {}, (bench) => {
  const a = bench.connect();
  const b = bench.connect();
  b.says('SUB sensors/#\n');
  assert.equal(b.hears(), '');
  a.says('PUB sensors/a 21.5\r\npub sensors/b  two  words \nPUB other 1\nPUB sensors/c\nPUB sensors/d \n');
  assert.equal(a.hears(), '');
  assert.equal(b.hears(), 'sensors/a 21.5\nsensors/b  two  words \nsensors/c \nsensors/d \n');
});

over('! asks for an answer, in the order of the commands', { policies: 'durable' }, async (bench) => {
  const a = bench.connect();
  a.says('PUB! a 1\nPING\nPUB a 2\nPUB! a 3\nSUB! b\nUNSUB! b\nUNSUB b\nDEL! a\n');
  await bench.house.pass();
  assert.equal(a.hears(), '+OK 1\n+PONG\n+OK 3\n+OK\n+OK\n-ERR MISSING UNSUB there is none\n+OK 4\n');
});

over('without history there is no cursor', {}, (bench) => {
  const a = bench.connect();
  a.says('PUB! a 1\n');
  assert.equal(a.hears(), '+OK\n');
});

over('retained values: PUT, LAST, DEL, and first for a subscriber', {}, (bench) => {
  const a = bench.connect();
  a.says('PUT r/x 1\nPUT! r/x 2\n');
  bench.world.pass(50);
  assert.equal(a.hears(), '+OK\n');
  a.says('LAST r/x\nLAST! r/x\nLAST r/x encoding=base64\nLAST r/y\n');
  assert.equal(a.hears(), 'r/x 2\nr/x 2\n+OK\nB64 r/x Mg==\n-ERR MISSING LAST nothing is retained\n');
  const b = bench.connect();
  b.says('SUB! r/#\n');
  assert.equal(b.hears(), '+OK\nr/x 2\n');
  a.says('DEL r/x\nLAST! r/x\n');
  bench.world.pass(50);
  assert.match(b.hears(), /^r\/x \n$/);
});

over('raw bytes of any kind, in one piece and in many', { cut: 7 }, (bench) => {
  const a = bench.connect();
  const b = bench.connect();
  b.says('SUB x encoding=raw\n');
  b.hears();
  const bytes = Buffer.alloc(20_000, 'abc\n\r\0');
  a.says(Buffer.concat([Buffer.from('PUBB! x 20000\n'), bytes, Buffer.from('\nPUBB! x 0\nPUBB! x 2\nhi')]));
  assert.equal(a.hears(3_000), '+OK\n+OK\n+OK\n');
  b.hears(3_000);
  const got = b.peer.received.toString('latin1');
  assert.equal(got, `MSGB x 20000 0\n${bytes.toString('latin1')}\nMSGB x 0 0\n\nMSGB x 2 0\nhi\n`);
});

over('what is not text, or would be taken for something else, stays unambiguous', {}, (bench) => {
  const a = bench.connect();
  const b = bench.connect();
  b.says('SUB #\n');
  b.hears();
  a.says('PUBB t 3\na\nbPUBB t 2\n\xff\xfePUBB t 6\n\u2028\u0085\u007f');
  // Latin-1 bytes of the literal above would be UTF-8 here; the bytes that are no UTF-8 come separately.
  const before = b.hears();
  assert.match(before, /^B64 t YQpi\n/);
  a.says(Buffer.concat([Buffer.from('\n'), Buffer.from('PUBB t 2\n'), Buffer.from([0xff, 0xfe])]));
  assert.match(b.hears(), /B64 t \/\/4=\n$/);
});

over('topics with spaces, signs and the words of the server are escaped', {}, (bench) => {
  const a = bench.connect();
  const b = bench.connect();
  b.says('SUB #\n');
  b.hears();
  a.says('PUB a%20b%25 1\nPUB -ERR x\nPUB GAP y\nPUB b64 z\nPUB pub! w\nPUB gap/a v\nPUB \u00e4%E2%80%A8 u\n');
  assert.equal(b.hears(), 'a%20b%25 1\n%2DERR x\n%47AP y\n%6264 z\n%70ub! w\ngap/a v\n\u00e4%E2%80%A8 u\n');
  a.says('SUB %2DERR\n');
  b.says('PUB %2DERR again\n');
  assert.equal(a.hears(), '%2DERR again\n');
});

over('JSON mode', { policies: 'durable' }, async (bench) => {
  const a = bench.connect();
  a.says(
    'JSON!\nSUB! x/#\nPUB! x/a 21.5\nPUBB! x/b 2\n\u00e9PING\nFOO\nLAST x/none\nDEL! x/a more\nHELP\nTEXT!\nQUIT\n',
  );
  await bench.house.pass(100);
  const lines = a.hears().split('\n');
  const objects = lines.slice(0, -3).map((line) => JSON.parse(line) as Record<string, unknown>);
  const messages = objects.filter(({ topic }) => topic !== undefined);
  assert.deepEqual(
    messages.map(({ topic, payload, cursor }) => [topic, payload, cursor]),
    [
      ['x/a', '21.5', '1'],
      ['x/b', '\u00e9', '2'],
    ],
  );
  const answers = objects.filter(({ topic }) => topic === undefined);
  assert.deepEqual(answers.slice(0, 5), [
    { ok: true },
    { ok: true },
    { ok: true, cursor: '1' },
    { ok: true, cursor: '2' },
    { pong: true },
  ]);
  assert.deepEqual(
    answers.slice(5, 8).map(({ error, command }) => [error, command]),
    [
      ['INVALID', undefined],
      ['MISSING', 'LAST'],
      ['INVALID', 'DEL!'],
    ],
  );
  assert.ok(Array.isArray(answers[8]!.help));
  assert.deepEqual(lines.slice(-3), ['+OK', '+BYE', '']);
});

over('JSON carries what is not UTF-8, or is asked for, as base64, and says what is retained', {}, (bench) => {
  const a = bench.connect();
  a.says('--json\nPUT r 1\n');
  a.says(Buffer.concat([Buffer.from('PUTB s 1\n'), Buffer.of(0xff)]));
  bench.world.pass(50);
  a.says('SUB r encoding=base64\nSUB s\nPUBB s 3\n\u2028');
  const got = a
    .hears()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    got.map(({ topic, payload, base64, retained }) => [topic, payload ?? base64, retained]),
    [
      ['r', 'MQ==', true],
      ['s', '/w==', true],
      ['s', '\u2028', undefined],
    ],
  );
});

over('history behind a cursor, and the gap where it does not reach', { policies: 'durable' }, async (bench) => {
  const a = bench.connect();
  a.says('PUB h 1\nPUB h 2\nPUB! h 3\n');
  await bench.house.pass();
  a.hears();
  const b = bench.connect();
  b.says('SUB h after=1\n');
  await bench.house.pass();
  assert.equal(b.hears(), 'h 2\nh 3\n');
  const c = bench.connect();
  c.says('SUB h after=900\n');
  await bench.house.pass();
  assert.equal(c.hears(), 'GAP h 900 0\n');
});

over('a topic that keeps nothing answers after= with a gap', {}, async (bench) => {
  const a = bench.connect();
  a.says('SUB n/#  after=0\n');
  await bench.house.pass();
  assert.equal(a.hears(), 'GAP n/# 0 0\n');
});

over('names: whoever publishes is who they say while the server is open', {}, (bench) => {
  const a = bench.connect();
  const b = bench.connect();
  b.says('JSON\nSUB #\n');
  b.hears();
  a.says('NAME! ann%20lee secret\nPUB a 1\nSUB b\nNAME! bob\nSLOW drop-oldest\n');
  assert.match(a.hears(), /^\+OK\n-ERR STALE NAME! .*\n-ERR STALE SLOW .*\n$/);
  assert.equal(JSON.parse(b.hears()).publisher, 'ann lee');
});

over('where accounts are needed nobody is let in yet', { accounts: new FewAccounts() }, (bench) => {
  const a = bench.connect();
  a.says('PUB a 1\nSUB a\nLAST a\nUNSUB a\nNAME x y\nPING\n');
  assert.match(a.hears(), /^(?:-ERR UNKNOWN \w+ [^\n]+\n){5}\+PONG\n$/);
});

over('what clients may not publish', {}, (bench) => {
  const a = bench.connect();
  a.says('PUB $SYS/x 1\nPUB a/+ 1\nPUB! files/a 1\nSUB a/#/b\n');
  const text = 'this is not';
  assert.equal(
    a.hears(),
    `-ERR DENIED PUB ${text} allowed\n-ERR INVALID PUB ${text} a topic or filter\n` +
      `-ERR DENIED PUB! ${text} allowed\n-ERR INVALID SUB ${text} a topic or filter\n`,
  );
});

const WRONG: readonly [line: string, says: RegExp][] = [
  ['PUB', /^-ERR INVALID PUB there is no topic\n/],
  ['PUB! ', /^-ERR INVALID PUB! there is no topic\n/],
  ['PUB  x', /^-ERR INVALID PUB there is no topic\n/],
  ['PUB a%2 x', /^-ERR INVALID PUB a % is not/],
  ['PUB a%zz x', /^-ERR INVALID PUB a % is not/],
  ['PUB a%ff x', /^-ERR INVALID PUB a % is not/],
  ['SUB', /^-ERR INVALID SUB there is no filter\n/],
  ['SUB a after=x', /^-ERR INVALID SUB options/],
  ['SUB a after=-1', /^-ERR INVALID SUB options/],
  ['SUB a after=99999999999999999', /^-ERR INVALID SUB options/],
  ['SUB a encoding=hex', /^-ERR INVALID SUB options/],
  ['SUB a nonsense', /^-ERR INVALID SUB options/],
  ['SUB a lease=3', /^-ERR INVALID SUB lease and nonce/],
  ['LAST', /^-ERR INVALID LAST there is no topic\n/],
  ['UNSUB', /^-ERR INVALID UNSUB there is no filter\n/],
  ['UNSUB a after=3', /^-ERR INVALID UNSUB there is more/],
  ['DEL', /^-ERR INVALID DEL there is no topic\n/],
  ['DEL a b', /^-ERR INVALID DEL there is more/],
  ['NAME', /^-ERR INVALID NAME there is no name\n/],
  ['NAME a%', /^-ERR INVALID NAME a % is not/],
  ['SLOW never', /^-ERR INVALID SLOW policies/],
  ['PING x', /^-ERR INVALID PING there is more/],
  ['HELLO', /^-ERR INVALID - there is no such command/],
  ['PUBLISH a b', /^-ERR INVALID - there is no such command/],
];

over('each command that cannot be done says why, and the connection goes on', {}, (bench) => {
  for (const [line, says] of WRONG) {
    const a = bench.connect();
    a.says(`PING\n${line}\nPING\n`);
    const heard = a.hears();
    assert.match(heard.replace('+PONG\n', ''), says, line);
    assert.match(heard, /\+PONG\n$/, line);
  }
  const a = bench.connect();
  a.says(Buffer.concat([Buffer.from('PUB a '), Buffer.of(0xff), Buffer.from('\nPING\n')]));
  assert.equal(a.hears(), '-ERR INVALID PUB this is not UTF-8: PUBB takes any bytes\n+PONG\n');
  assert.deepEqual(bench.faulted, []);
});

over('QUIT answers what came before it, and nothing behind it is done', { policies: 'durable' }, async (bench) => {
  const a = bench.connect();
  a.says('PUT! a 1\nQUIT\nPUT a 2\n');
  await bench.house.pass();
  assert.equal(a.hears(), '+OK 1\n+BYE\n');
  assert.ok(a.peer.told.includes('finish'));
  const b = bench.connect();
  b.says('LAST a\n');
  assert.equal(b.hears(), 'a 1\n');
});

over(
  'a peer that ends is answered first; one that is subscribed goes on listening',
  { policies: 'durable' },
  async (bench) => {
    const a = bench.connect();
    a.says('PUB! a 1\nPUB! a 2\n');
    a.peer.pipe.end();
    await bench.house.pass(500);
    assert.equal(a.hears(), '+OK 1\n+OK 2\n');
    assert.ok(a.peer.isLost);
    const b = bench.connect();
    b.says('SUB a\n');
    b.peer.pipe.end();
    b.hears(1_000);
    const c = bench.connect();
    c.says('PUB a 3\nPUB a 4');
    c.peer.pipe.end();
    await bench.house.pass();
    assert.equal(b.hears(), 'a 3\n');
    assert.equal(c.hears(), '-ERR INVALID - the last command has no end\n');
  },
);

over(
  'a slow subscriber is told and ended, or loses what it chose to lose',
  { limits: { queueMessagesMax: 3 } },
  (bench) => {
    const bounds = { highMark: 1_000, lowMark: 500 };
    const slow = new Bench(bench.house, { bounds, limits: { queueMessagesMax: 3 } });
    const a = slow.connect();
    const b = slow.connect();
    const c = slow.connect();
    a.says('SUB s\n');
    b.says('SLOW keep-latest\nSUB s\n');
    c.says('PING\n');
    bench.world.pass(10);
    a.peer.pipe.pause();
    b.peer.pipe.pause();
    const payload = 'x'.repeat(60_000);
    for (let round = 0; round < 10; round++) c.says(`PUBB s 60000\n${payload}`);
    c.says('PUB s last\n');
    c.hears(1_000);
    a.peer.pipe.resume();
    b.peer.pipe.resume();
    b.peer.pipe.out.ascii('PING\n');
    b.peer.pipe.flush();
    const told = a.hears(3_000);
    assert.ok(told.endsWith('-ERR BUSY - messages were not taken fast enough\n'), told.slice(-100));
    assert.deepEqual(slow.faulted, ['lines.tooSlow']);
    assert.match(b.hears(3_000), /\ns last\n/);
  },
);

over('goodbyes in words', {}, (bench) => {
  for (const [why, says] of [
    ['shutdown', '-ERR GONE - the server is shutting down\n'],
    ['revoked', '-ERR UNKNOWN - this account may no longer be used\n'],
    ['idle', '-ERR LATE - nothing was said for too long\n'],
    ['overloaded', '-ERR BUSY - the server has too much to do\n'],
  ] as const) {
    const a = bench.connect();
    a.says('SUB a\n');
    a.hears();
    a.server.leave(why, 1_000);
    assert.equal(a.hears(), says);
    a.peer.pipe.end();
    bench.world.pass(100);
    assert.ok(a.peer.isLost);
  }
});

const LINES = [
  'PUB c/a 1\n',
  'PUB! c/b two words\r\n',
  'PUT! c/r 3\n',
  'PUBB! c/a 5\na\nb\0c',
  'PUTB c/r 2\nxy\n',
  'SUB! c/#\n',
  'SUB c/a encoding=base64\n',
  'SUB! c/b encoding=raw\n',
  'UNSUB! c/a\n',
  'LAST! c/r\n',
  'DEL! c/r\n',
  'JSON!\n',
  'TEXT\n',
  'PING\n',
  'HELP\n',
  '\n',
  'NOPE\n',
  'PUB c/\u00e4 \u{1f600}\n',
  'PUB c/%20 x\n',
  'PUB c/% x\n',
  'PUBB c/% 3\nabc',
  'PUBB c/a x\n',
  `PUB c/long ${'x'.repeat(500)}\n`,
  'QUIT\n',
];

test('however the bytes are cut, the conversation is the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...LINES), { maxLength: 12 }), async (lines) => {
      const heard: string[] = [];
      for (const cut of [0, 1, 7]) {
        const bench = await Bench.open({ limits: { lineBytesMax: 400 } });
        const a = bench.connect(cut);
        a.says(`PING\n${lines.join('')}`);
        heard.push(a.hears(20_000).replace(/"time":\d+/g, ''));
        assert.deepEqual(bench.world.bugs, []);
      }
      // Answers keep their order and messages theirs; while something is being committed, messages may come between.
      const parts = heard.map((text) => text.split('\n').sort());
      const [once, ...others] = lines.some((line) => /^(?:PUT|DEL)/.test(line)) ? parts : heard;
      for (const other of others) assert.deepEqual(other, once);
    }),
    { numRuns: 150 },
  );
});

over(
  'what is being committed is answered before a goodbye, and nothing behind it is done',
  { policies: 'durable' },
  async (bench) => {
    const a = bench.connect();
    a.says('PUB! a 1\nPUB! a 2\n');
    bench.world.pass(1.2);
    a.server.leave('shutdown', 1_000);
    a.says('PUB! a 3\n');
    await bench.house.pass();
    assert.equal(a.hears(), '+OK 1\n+OK 2\n-ERR GONE - the server is shutting down\n');
  },
);

test('every outcome of a resource has its word, over TCP, as JSON and over UDP', async () => {
  const bench = await Bench.open();
  const at = { host: '127.0.0.1', port: 7000 };
  bench.serveDatagrams(at);
  let heard: string[] = [];
  const peer = bench.network.open({ host: '127.0.0.1', port: 1 }, (port) => {
    const recorder = new DatagramRecorder(port);
    heard = recorder.received;
    return recorder;
  });
  const datagram = Buffer.from('PUB! a 1');
  for (const [code, word] of Object.entries(OUTCOME_WORDS)) {
    const outcome = Number(code) as Outcome;
    bench.house.topics.publish = (_caller, _publication, waiter, token) => waiter.settled(token, outcome, 0);
    const a = bench.connect();
    a.says('PUB! a 1\nJSON\nPUB! a 1\n');
    peer.send(at, null, datagram, 0, datagram.length, 0);
    const text = OUTCOME_TEXTS[outcome];
    const lines =
      outcome === OK
        ? ['+OK', '{"ok":true}']
        : [`-ERR ${word} PUB! ${text}`, JSON.stringify({ error: word, command: 'PUB!', text })];
    assert.equal(a.hears(), `${lines.join('\n')}\n`);
    assert.deepEqual(heard.splice(0), [outcome === OK ? '+OK 0 a\n' : `-ERR ${word} PUB! ${text}\n`]);
  }
  assert.deepEqual(bench.world.bugs, []);
});

// ---- signing in -------------------------------------------------------------------------------------------------------

const few = () => new FewAccounts({ ann: 'secret' });

over(
  'a name and its password let in, a wrong one does not, and what was before stays',
  { accounts: few() },
  (bench) => {
    const a = bench.connect();
    a.says('PUB! a 1\nNAME! ann wrong\nPUB! a 1\n');
    assert.match(a.hears(), /^-ERR UNKNOWN PUB! [^\n]+\n-ERR UNKNOWN NAME! [^\n]+\n-ERR UNKNOWN PUB! [^\n]+\n$/);
    a.says('NAME! ann secret\nPUB! a 1\n');
    assert.match(a.hears(), /^\+OK\n\+OK\n$/);
    a.says('NAME! ann wrong\nPUB! a 2\n');
    assert.match(a.hears(), /^-ERR UNKNOWN NAME! this name [^\n]+\n\+OK\n$/);
  },
);

const slowly = few();
slowly.isSlow = true;

over('what comes behind a name is done as that name, once it is known', { accounts: slowly }, (bench) => {
  const a = bench.connect();
  a.says('NAME! ann secret\nPUB! a 1\nPING\n');
  assert.equal(a.hears(), '');
  slowly.tell();
  assert.match(a.hears(), /^\+OK\n\+OK\n\+PONG\n$/);
  const b = bench.connect();
  b.says('NAME! ann wrong\nPUBB! a 3\nx');
  b.hears();
  b.says('yz');
  assert.equal(b.hears(), '');
  slowly.tell();
  assert.match(b.hears(), /^-ERR UNKNOWN NAME! [^\n]+\n-ERR UNKNOWN PUBB! [^\n]+\n$/);
});

for (const [refused, says] of [
  ['locked', 'BUSY'],
  ['busy', 'BUSY'],
  ['plaintext', 'DENIED'],
] as const) {
  const accounts = few();
  accounts.refusal = { refused, retryMs: 1 };
  over(`a sign-in that is refused as ${refused}`, { accounts }, (bench) => {
    const a = bench.connect();
    a.says('NAME! ann secret\n');
    assert.match(a.hears(), new RegExp(`^-ERR ${says} NAME! [^\\n]+\\n$`));
  });
}
