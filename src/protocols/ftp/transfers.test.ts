import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT_TLS, Stage, type StageOptions } from './testing/stage.ts';

const over = (what: string, options: StageOptions, run: (stage: Stage) => void | Promise<void>): void =>
  void test(what, async () => {
    const stage = new Stage(options);
    await run(stage);
    assert.deepEqual(stage.world.bugs, []);
    stage.world.pass(600_000);
    assert.equal(stage.files.open_, 0, 'what was opened is closed');
    assert.equal(stage.openPorts, 0, 'no port is left open');
  });

const BIG = Buffer.alloc(300_000, 'the quick brown fox\n');

over('a file out, and in', {}, async (stage) => {
  stage.files.put('a', BIG);
  const talk = stage.signedIn();
  const out = await talk.passive();
  talk.says('RETR a\r\n');
  assert.equal(talk.hears(2_000), '150 Sending /a (300000 bytes).\r\n226 Done.\r\n');
  assert.ok(out.received.equals(BIG));
  assert.ok(out.told.includes('finish'));
  out.pipe.end();
  const incoming = await talk.passive();
  talk.says('STOR b\r\n');
  assert.equal(talk.hears(), '150 Receiving /b.\r\n');
  incoming.pipe.share(BIG, 0, BIG.length);
  incoming.pipe.end();
  assert.equal(stage.files.text('b'), null, 'nothing is seen before it is whole');
  assert.equal(talk.hears(2_000), '226 Done.\r\n');
  assert.ok(stage.files.nodes.get('b')!.bytes!.equals(BIG));
});

over('PASV, PORT, EPRT and EPSV', {}, async (stage) => {
  stage.files.put('a', 'hello');
  const talk = stage.signedIn();
  talk.says('PASV\r\n');
  const told = await talk.settles();
  const match = /^227 Entering Passive Mode \(127,0,0,1,(\d+),(\d+)\)\.\r\n$/.exec(told)!;
  const passive = stage.data(Number(match[1]) * 256 + Number(match[2]));
  talk.says('RETR a\r\n');
  assert.match(talk.hears(), /^150 .*\r\n226 .*\r\n$/);
  assert.equal(passive.text, 'hello');
  talk.says('PORT 127,0,0,1,200,10\r\nRETR a\r\n');
  assert.match(talk.hears(), /^200 .*\r\n150 .*\r\n226 .*\r\n$/);
  talk.says('EPRT |1|127.0.0.1|51299|\r\nRETR a\r\n');
  assert.match(talk.hears(), /^200 .*\r\n150 .*\r\n226 .*\r\n$/);
  assert.deepEqual(stage.dialled, [
    { host: '127.0.0.1', port: 51_210 },
    { host: '127.0.0.1', port: 51_299 },
  ]);
  assert.deepEqual(
    stage.answering.map(({ text }) => text),
    ['hello', 'hello'],
  );
  passive.pipe.end();
  for (const { pipe } of stage.answering) pipe.end();
});

over('nobody is connected to but the peer, on ports from 1024 on (RFC 2577 §3)', {}, (stage) => {
  const talk = stage.signedIn();
  talk.says('PORT 10,0,0,1,200,10\r\nPORT 127,0,0,1,0,25\r\nPORT 127,0,0,1,3,255\r\nEPRT |1|192.0.2.1|5000|\r\n');
  talk.says('EPRT |1|127.0.0.1|80|\r\nPORT 127,0,0,2,200,10\r\nRETR a\r\n');
  assert.match(talk.hears(), /^(?:504 [^\n]+\n){6}425 [^\n]+\n$/);
  talk.says(
    'PORT 1,2,3\r\nPORT 256,0,0,1,1,1\r\nEPRT x\r\nEPRT |3|x|1|\r\nEPRT |2|127.0.0.1|5000|\r\nEPRT |1|127.0.0.1|99999|\r\n',
  );
  assert.match(talk.hears(), /^501 .*\r\n501 .*\r\n501 .*\r\n522 .*\(1\)\.\r\n501 .*\r\n501 .*\r\n$/);
  assert.deepEqual(stage.dialled, []);
});

over('EPSV ALL leaves nothing but EPSV (RFC 2428 §4)', {}, async (stage) => {
  const talk = stage.signedIn();
  talk.says('EPSV 2\r\nEPSV x\r\nEPSV ALL\r\nPASV\r\nPORT 127,0,0,1,200,10\r\nEPRT |1|127.0.0.1|5000|\r\n');
  assert.match(await talk.settles(), /^522 .*\r\n501 .*\r\n200 .*\r\n503 .*\r\n503 .*\r\n503 .*\r\n$/);
  const data = await talk.passive();
  talk.says('LIST\r\n');
  assert.match(talk.hears(), /^150 .*\r\n226 .*\r\n$/);
  data.pipe.end();
});

over('who asks for a port again is told the same', {}, async (stage) => {
  const talk = stage.signedIn();
  for (let round = 0; round < 50; round++) talk.says('EPSV\r\n');
  const told = await talk.settles(400);
  assert.equal(new Set(told.split('\r\n')).size, 2);
  assert.equal(stage.openPorts, 1);
});

over('LIST, NLST and MLSD', {}, async (stage) => {
  stage.files.put('a b', 'hello', Date.UTC(2027, 0, 14, 3, 4));
  stage.files.put('old', 'x', Date.UTC(2001, 5, 7));
  stage.files.folder('d');
  stage.files.put('d/x.txt', 'x');
  stage.files.put('d/y.txt', 'x');
  stage.files.put('d/z', 'x');
  stage.files.put('d/zz', 'x');
  const talk = stage.signedIn();
  const list = async (command: string): Promise<string> => {
    const data = await talk.passive();
    talk.says(`${command}\r\n`);
    assert.match(talk.hears(), /^150 .*\r\n226 .*\r\n$/, command);
    data.pipe.end();
    return data.text;
  };
  assert.equal(
    await list('LIST -la'),
    '-rw-r--r--   1 portico  portico            5 Jan 14 03:04 a b\r\n' +
      'drwxr-xr-x   1 portico  portico            0 Sep 13  2020 d\r\n' +
      '-rw-r--r--   1 portico  portico            1 Jun  7  2001 old\r\n',
  );
  assert.equal(await list('NLST'), 'a b\r\nd\r\nold\r\n');
  assert.equal(await list('NLST d'), 'd/x.txt\r\nd/y.txt\r\nd/z\r\nd/zz\r\n');
  assert.equal(await list('NLST d/*.txt'), 'd/x.txt\r\nd/y.txt\r\n');
  assert.equal(await list('NLST o*'), 'old\r\n');
  assert.match(await list('LIST old'), /^-rw.* old\r\n$/);
  assert.equal(
    await list('MLSD d'),
    ['x.txt', 'y.txt', 'z', 'zz']
      .map((name) => {
        const unique = Buffer.from(`d/${name}`).toString('hex');
        return `type=file;size=1;modify=20231114221320;perm=adfrw;unique=${unique};UNIX.mode=0644; ${name}\r\n`;
      })
      .join(''),
  );
  await talk.passive();
  talk.says('MLSD old\r\nLIST none\r\nNLST none*/x\r\nMLSD none\r\n');
  assert.match(talk.hears(), /^501 .*\r\n(?:550 .*\r\n){3}$/);
});

over('TYPE A: CR LF on the wire, LF in the file (RFC 959 §3.1.1.1)', { cut: 3 }, async (stage) => {
  stage.files.put('unix', 'a\nb\n\nc');
  stage.files.put('dos', 'a\r\nb\r\n');
  const talk = stage.signedIn();
  talk.says('TYPE A\r\n');
  talk.hears();
  for (const [name, text] of [
    ['unix', 'a\r\nb\r\n\r\nc'],
    ['dos', 'a\r\nb\r\n'],
  ] as const) {
    const data = await talk.passive();
    talk.says(`RETR ${name}\r\n`);
    assert.match(talk.hears(300), /226/);
    assert.equal(data.text, text);
    data.pipe.end();
  }
  const data = await talk.passive();
  talk.says('STOR in\r\n');
  data.say('a\r\nb\r\n\r\nc\rd\r\r\n\r');
  data.pipe.end();
  assert.match(talk.hears(300), /226/);
  assert.equal(stage.files.text('in'), 'a\nb\n\nc\rd\r\n\r');
});

over('from a position, within a range (RFC 3659 §5)', {}, async (stage) => {
  stage.files.put('a', '0123456789');
  const talk = stage.signedIn();
  const get = async (command: string): Promise<string> => {
    const data = await talk.passive();
    talk.says(command);
    assert.match(talk.hears(), /226/);
    data.pipe.end();
    return data.text;
  };
  assert.equal(await get('REST 4\r\nRETR a\r\n'), '456789');
  assert.equal(await get('RETR a\r\n'), '0123456789', 'it holds for one transfer');
  assert.equal(await get('REST 10\r\nRETR a\r\n'), '');
  assert.equal(await get('RANG 2 4\r\nRETR a\r\n'), '234');
  const data = await talk.passive();
  talk.says('REST 11\r\nRETR a\r\n');
  assert.match(talk.hears(), /^350 .*\r\n554 .*\r\n$/);
  data.pipe.end();
});

over('an upload that is cut can be continued; nothing of it is seen before', {}, async (stage) => {
  stage.files.put('a', 'the old one');
  const talk = stage.signedIn();
  const first = await talk.passive();
  talk.says('STOR a\r\n');
  first.say('hello ');
  talk.hears();
  first.pipe.reset(0);
  assert.match(talk.hears(), /^426 .*kept\.\r\n$/);
  assert.equal(stage.files.text('a'), 'the old one');
  talk.says('SIZE a\r\n');
  assert.equal(talk.hears(), '213 6\r\n');
  const second = await talk.passive();
  talk.says('REST 6\r\nSTOR a\r\n');
  second.say('world');
  second.pipe.end();
  assert.match(talk.hears(), /350 .*\r\n150 .*\r\n226/);
  assert.equal(stage.files.text('a'), 'hello world');
  const third = await talk.passive();
  talk.says('APPE a\r\n');
  third.say('!');
  third.pipe.end();
  assert.match(talk.hears(), /226/);
  assert.equal(stage.files.text('a'), 'hello world!');
});

over('a client that dies ends its data connection well, and its file is not taken for whole', {}, async (stage) => {
  const talk = stage.signedIn();
  const data = await talk.passive();
  talk.says('STOR a\r\n');
  data.say('half');
  talk.hears();
  // As the kernel closes what a process had open.
  talk.peer.pipe.end();
  data.pipe.end();
  talk.hears(500);
  assert.equal(stage.files.text('a'), null);
  assert.equal(stage.files.pending.get('a')?.toString(), 'half');
});

over('STOU finds a name that is free (RFC 1123 §4.1.2.9)', {}, async (stage) => {
  stage.files.put('n', 'x');
  const talk = stage.signedIn();
  for (const name of ['n.1', 'n.2']) {
    const data = await talk.passive();
    talk.says('STOU n\r\n');
    assert.equal(talk.hears(), `150 FILE: ${name}.\r\n`);
    data.pipe.end();
    assert.equal(talk.hears(), '226 Done.\r\n');
  }
});

over('ABOR, with and without a transfer, with Telnet signs before it (RFC 959 §4.1.3)', {}, async (stage) => {
  stage.files.put('a', Buffer.alloc(50_000_000));
  const talk = stage.signedIn();
  for (const abort of ['ABOR\r\n', '\xff\xf4\xff\xf2ABOR\r\n', '\xff\xf4\xffABOR\r\n']) {
    const data = await talk.passive();
    data.pipe.pause();
    talk.says('RETR a\r\n');
    assert.match(talk.hears(), /^150 .*\r\n$/);
    talk.says(Buffer.from(abort, 'latin1'));
    assert.match(talk.hears(), /^426 .*\r\n226 .*\r\n$/, abort);
    data.pipe.resume();
    stage.world.pass(1_000);
    assert.ok(data.isLost);
  }
  await talk.passive();
  talk.says('ABOR\r\nLIST\r\n');
  assert.match(talk.hears(), /^226 .*\r\n425 .*\r\n$/);
});

over('while a transfer is under way: STAT at once, NOOP and QUIT behind it, all else waits', {}, async (stage) => {
  const talk = stage.signedIn();
  const data = await talk.passive();
  talk.says('STOR a\r\nNOOP\r\nSTAT\r\nPWD\r\n');
  data.say('12345');
  assert.match(talk.hears(), /^150 .*\r\n211-(?:.*\r\n)+? Receiving \/a: \d bytes so far\.\r\n211 End\.\r\n$/);
  data.pipe.end();
  assert.match(talk.hears(), /^226 .*\r\n200 .*\r\n257 .*\r\n$/);
  const last = await talk.passive();
  talk.says('STOR b\r\nQUIT\r\nPWD\r\n');
  talk.hears();
  last.pipe.end();
  assert.match(talk.hears(), /^226 .*\r\n221 .*\r\n$/);
});

over('disk full, a name of a folder, a folder that is not there', {}, async (stage) => {
  stage.files.quota = 3;
  stage.files.folder('d');
  const talk = stage.signedIn();
  const data = await talk.passive();
  talk.says('STOR a\r\n');
  data.say('12345');
  data.pipe.end();
  assert.match(talk.hears(), /^150 .*\r\n552 .*\r\n$/);
  await talk.passive();
  talk.says('STOR none/a\r\nSTOR d\r\nSTOR d/\r\nSTOR /\r\nSTOR ..\r\n');
  assert.match(talk.hears(), /^(?:553 .*\r\n){5}$/);
});

over('a disk that is slow holds the peer up', {}, async (stage) => {
  stage.files.roomy = 1_000;
  const talk = stage.signedIn();
  const data = await talk.passive();
  talk.says('STOR a\r\n');
  data.pipe.share(BIG, 0, BIG.length);
  data.pipe.end();
  assert.match(talk.hears(5_000), /226/);
  assert.ok(stage.files.nodes.get('a')!.bytes!.equals(BIG));
});

const QUICK = { limits: { dataConnectMs: 1_000, dataIdleMs: 2_000 } };

over('a data connection that is not made, or stands still', QUICK, async (stage) => {
  stage.files.put('a', BIG);
  const talk = stage.signedIn();
  talk.says('EPSV\r\n');
  await talk.settles();
  talk.says('RETR a\r\n');
  assert.match(talk.hears(1_500), /^425 .*\r\n$/);
  stage.deaf = true;
  talk.says('PORT 127,0,0,1,200,10\r\nRETR a\r\n');
  assert.match(talk.hears(1_500), /^200 .*\r\n425 .*\r\n$/);
  const data = await talk.passive();
  talk.says('STOR b\r\n');
  data.say('xx');
  assert.match(talk.hears(1_500), /^150 .*\r\n$/);
  data.say('xx');
  assert.equal(talk.hears(1_900), '');
  assert.match(talk.hears(300), /^426 .*\r\n$/);
  assert.equal(stage.files.pending.get('b')?.toString(), 'xxxx');
  const waiting = await talk.passive();
  stage.world.pass(3_000);
  assert.ok(waiting.isLost, 'a connection without a transfer ends');
});

// ---- TLS -------------------------------------------------------------------------------------------------------------

const PROTECTED = 'PBSZ 0\r\nPROT P\r\n';

over('AUTH TLS, and data within TLS (RFC 4217)', { tls: true }, async (stage) => {
  stage.files.put('a', BIG);
  const talk = stage.connect();
  talk.says('AUTH XX\r\nAUTH TLS\r\n');
  assert.match(talk.hears(), /^220 .*\r\n504 .*\r\n234 .*\r\n$/);
  talk.peer.pipe.secure(CLIENT_TLS, talk.peer);
  talk.hears();
  talk.says(`AUTH TLS\r\nPROT P\r\nUSER ann\r\nPASS x\r\nTYPE I\r\n${PROTECTED}PROT S\r\nPROT X\r\nCCC\r\nREIN\r\n`);
  assert.match(
    talk.hears(),
    /^503 .*\r\n503 .*\r\n331 .*\r\n230 .*\r\n200 .*\r\n200 PBSZ=0\r\n200 .*\r\n536 .*\r\n504 .*\r\n534 .*\r\n502 .*\r\n$/,
  );
  const data = await talk.passive();
  talk.says('RETR a\r\n');
  assert.match(talk.hears(), /^150 .*\r\n$/);
  data.pipe.secure(CLIENT_TLS, data);
  assert.match(talk.hears(2_000), /^226 .*\r\n$/);
  assert.ok(data.received.equals(BIG));
  data.pipe.end();
  const incoming = await talk.passive();
  talk.says('STOR b\r\n');
  incoming.pipe.secure(CLIENT_TLS, incoming);
  talk.hears();
  incoming.say('hello');
  incoming.pipe.end();
  assert.match(talk.hears(), /^226 .*\r\n$/);
  assert.equal(stage.files.text('b'), 'hello');
});

over('what was sent behind AUTH TLS is not done (RFC 4217 §15.1)', { tls: true }, (stage) => {
  const talk = stage.connect();
  talk.says('AUTH TLS\r\nUSER ann\r\nPASS x\r\nDELE a\r\n');
  assert.match(talk.hears(), /^220 .*\r\n234 .*\r\n$/);
  assert.deepEqual(stage.faulted, ['tls.plaintextBeforeHandshake']);
});

over(
  'TLS first (port 990): the greeting comes within it, and data are protected',
  { implicit: true },
  async (stage) => {
    stage.files.put('a', 'hello');
    const talk = stage.connect();
    assert.match(talk.hears(), /^220 .*\r\n$/);
    talk.says('USER ann\r\nPASS x\r\n');
    talk.hears();
    const data = await talk.passive();
    talk.says('RETR a\r\n');
    data.pipe.secure(CLIENT_TLS, data);
    assert.match(talk.hears(), /226/);
    assert.equal(data.text, 'hello');
    data.pipe.end();
  },
);

over('TLS where it is asked for', { tls: true, settings: { requireTls: true, protectData: true } }, async (stage) => {
  const talk = stage.connect();
  talk.says('USER ann\r\nPASS x\r\nAUTH TLS\r\n');
  assert.match(talk.hears(), /^220 .*\r\n530 .*\r\n503 .*\r\n234 .*\r\n$/);
  talk.peer.pipe.secure(CLIENT_TLS, talk.peer);
  talk.hears();
  talk.says('USER ann\r\nPASS x\r\nEPSV\r\n');
  await talk.settles();
  talk.says('LIST\r\nPBSZ 0\r\nPROT C\r\n');
  assert.match(talk.hears(), /^521 .*\r\n200 .*\r\n534 .*\r\n$/);
});

over(
  'a data connection that does not go on with the session is refused',
  { tls: true, settings: { resumeData: true } },
  async (stage) => {
    stage.files.put('a', 'secret');
    const talk = stage.connect();
    talk.says('AUTH TLS\r\n');
    talk.hears();
    talk.peer.pipe.secure(CLIENT_TLS, talk.peer);
    talk.hears();
    talk.says(`USER ann\r\nPASS x\r\n${PROTECTED}`);
    talk.hears();
    const data = await talk.passive();
    talk.says('RETR a\r\n');
    data.pipe.secure(CLIENT_TLS, data);
    assert.match(talk.hears(), /^150 .*\r\n522 .*\r\n$/);
    assert.equal(data.text, '');
  },
);

over('a data connection that begins without TLS where it was agreed', { tls: true }, async (stage) => {
  const talk = stage.connect();
  talk.says('AUTH TLS\r\n');
  talk.hears();
  talk.peer.pipe.secure(CLIENT_TLS, talk.peer);
  talk.hears();
  talk.says(`USER ann\r\nPASS x\r\n${PROTECTED}`);
  talk.hears();
  const data = await talk.passive();
  talk.says('STOR a\r\n');
  data.say('in the clear');
  data.pipe.end();
  assert.match(talk.hears(300_000), /^150 .*\r\n(?:522|426) .*\r\n/);
  assert.equal(stage.files.text('a'), null);
});

// ---- however it is cut -----------------------------------------------------------------------------------------------

test('however the bytes are cut, the conversation is the same', async () => {
  const conversation = async (seed: number, cut: number): Promise<string> => {
    const stage = new Stage({ seed, cut });
    stage.files.put('a', BIG.subarray(0, 5_000));
    const talk = stage.signedIn();
    talk.says('CWD nowhere\r\nMKD d\r\nCWD d\r\nPWD\r\nXXXX\r\nOPTS UTF8 ON\r\n');
    const out = await talk.passive().catch(() => null);
    talk.says('RETR /a\r\nNOOP\r\nPWD\r\n');
    talk.hears(3_000);
    out?.pipe.end();
    const incoming = await talk.passive();
    talk.says('STOR b\r\n');
    incoming.say('x'.repeat(3_000));
    incoming.pipe.end();
    talk.hears(3_000);
    const text = talk.peer.text.replace(/\|\|\|\d+\|/g, '|||port|');
    assert.deepEqual(stage.world.bugs, []);
    return `${text}${out?.total}${stage.files.text('d/b')?.length}`;
  };
  const whole = await conversation(1, 0);
  assert.match(whole, /226 Done\.\r\n50003000$/);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 40 }), async (seed, cut) => {
      assert.equal(await conversation(seed, cut), whole);
    }),
    { numRuns: 15 },
  );
});

test('wherever a conversation is cut off, nothing is left open and no half a file is seen', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 120 }), fc.boolean(), fc.boolean(), async (after, whole, byData) => {
      const stage = new Stage({ limits: { dataConnectMs: 1_000, dataIdleMs: 1_000 } });
      stage.files.put('a', BIG);
      const talk = stage.signedIn();
      const data = await talk.passive();
      talk.says(whole ? 'RETR a\r\n' : 'STOR b\r\n');
      if (!whole) data.pipe.share(BIG, 0, BIG.length);
      stage.world.pass(after / 4);
      if (byData) data.pipe.reset(0);
      else talk.peer.pipe.reset(0);
      stage.world.pass(100_000);
      assert.equal(stage.files.open_, 0);
      assert.equal(stage.files.text('b'), null);
      assert.deepEqual(stage.world.bugs, []);
    }),
    { numRuns: 60 },
  );
});

test('any bytes neither throw nor hang', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...WORDS)), { maxLength: 30 }),
      (pieces) => {
        const stage = new Stage({ tls: true });
        const talk = stage.signedIn();
        for (const piece of pieces) talk.says(typeof piece === 'string' ? piece : Buffer.from(piece));
        stage.world.pass(1_000);
        assert.deepEqual(stage.world.bugs, []);
      },
    ),
    { numRuns: 300 },
  );
});

const WORDS = [
  'PASV\r\n',
  'LIST\r\n',
  'RETR a\r\n',
  'ABOR\r\n',
  'USER ',
  'PASS ',
  '\r\n',
  'MLST /\r\n',
  'STAT\r\n',
  'QUIT\r\n',
];
