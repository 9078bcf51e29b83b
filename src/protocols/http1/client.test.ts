// The client's half of HTTP/1.1 against a server that says what a test wants, by clause.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fields } from '../../core/fields.ts';
import { NEVER } from '../../core/time.ts';
import { type ClientRequest, UNKNOWN } from './client-exchange.ts';
import { Peer, scene, Told } from './testing/scripted.ts';

const OK = 'HTTP/1.1 200 OK\r\n';

test('a request is its line, Host first, its fields and how its body is framed (RFC 9112 §3, §6)', () => {
  const cases: [Partial<ClientRequest>, string][] = [
    [{}, 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'],
    [
      { method: 'POST', target: '/x?y', body: Buffer.from('hi'), fields: Fields.of({ 'content-type': 'a/b' }) },
      'POST /x?y HTTP/1.1\r\nHost: a.test\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi',
    ],
    [{ method: 'POST' }, 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n'],
    [{ method: 'DELETE' }, 'DELETE / HTTP/1.1\r\nHost: a.test\r\n\r\n'],
    [
      { fields: Fields.of({ host: 'evil', 'content-length': '9', 'transfer-encoding': 'x', connection: 'y', a: 'ä' }) },
      'GET / HTTP/1.1\r\nHost: a.test\r\nA: Ã¤\r\n\r\n',
    ],
    [{ upgrade: 'websocket' }, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
  ];
  for (const [request, sent] of cases) {
    const { ask, server, pass } = scene();
    ask(request);
    pass();
    assert.equal(server.got, sent);
  }
});

test('what would break out of its place in a request is a RangeError, and nothing is sent', () => {
  const { ask, server, pass } = scene();
  const cases: Partial<ClientRequest>[] = [
    { method: 'GET /' },
    { method: '' },
    { target: '/ HTTP/1.1\r\nX: y' },
    { target: '/a b' },
    { target: '/a#b' },
    { target: '' },
    { authority: 'a\r\nX: y' },
    { authority: 'a b' },
    { fields: Fields.of({ 'a b': '' }) },
    { fields: Fields.of({ a: 'b\r\nX: y' }) },
    { fields: Fields.of({ a: 'b\0' }) },
    { upgrade: 'a b' },
  ];
  for (const request of cases) assert.throws(() => ask(request), RangeError, JSON.stringify(request));
  pass();
  assert.equal(server.got, '');
});

/** An answer, the method that it answers, and what is told of it; then whether the connection goes on. */
const ANSWERS: [string, string, string, string[], boolean][] = [
  ['a length', 'GET', `${OK}Content-Length: 5\r\n\r\nhello`, ['200 OK content-length=5', 'hello'], true],
  ['no length: until the end', 'GET', `${OK}\r\nhello`, ['200 OK', 'hello'], false],
  [
    'chunks, an extension and trailers (§7.1)',
    'GET',
    `${OK}Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n`,
    ['200 OK transfer-encoding=chunked', 'trailers x=y', 'hello'],
    true,
  ],
  ['HEAD (§6.3 rule 1)', 'HEAD', `${OK}Content-Length: 5\r\n\r\n`, ['200 OK content-length=5', ''], true],
  ['204', 'GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', ['204 No Content content-length=5', ''], true],
  ['304', 'GET', 'HTTP/1.1 304 N\r\nTransfer-Encoding: chunked\r\n\r\n', ['304 N transfer-encoding=chunked', ''], true],
  ['no reason', 'GET', 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', ['200  content-length=0', ''], true],
  [
    'interim answers first (RFC 9110 §15.2)',
    'GET',
    `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 102 P\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
    ['103 link=<a>', '102', '200 OK content-length=0', ''],
    true,
  ],
  [
    'a fold is a space (§5.2)',
    'GET',
    `${OK}A: b\r\n  c\r\nContent-Length: 0\r\n\r\n`,
    ['200 OK a=b c content-length=0', ''],
    true,
  ],
  [
    'the same length twice (§6.3 rule 5)',
    'GET',
    `${OK}Content-Length: 2, 2\r\nContent-Length: 2\r\n\r\nhi`,
    ['200 OK content-length=2, 2 content-length=2', 'hi'],
    true,
  ],
  [
    'Connection: close (§9.6)',
    'GET',
    `${OK}Connection: close\r\nContent-Length: 1\r\n\r\nx`,
    ['200 OK connection=close content-length=1', 'x'],
    false,
  ],
  [
    '1.0 without keep-alive (§9.3)',
    'GET',
    'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx',
    ['200 OK content-length=1', 'x'],
    false,
  ],
  [
    '1.0 with keep-alive',
    'GET',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx',
    ['200 OK connection=keep-alive content-length=1', 'x'],
    true,
  ],
];

for (const [name, method, answer, expected, goesOn] of ANSWERS) {
  test(`an answer: ${name}`, () => {
    for (const cut of [0, 1, 3]) {
      for (const pauses of [false, true]) {
        const { ask, server, pass, client, world } = scene({ cut });
        const told = new Told();
        told.pauses = pauses;
        ask({ method }, told);
        pass();
        server.says(answer);
        if (!goesOn) server.pipe.end();
        pass(1_000);
        assert.deepEqual(
          told.told.filter((text) => text !== 'begun'),
          [...expected.slice(0, -1), 'whole', 'over ended begun'],
          `cut ${cut}`,
        );
        assert.equal(told.body.toString(), expected.at(-1));
        assert.equal(client.isIdle, goesOn);
        assert.deepEqual(world.bugs, []);
      }
    }
  });
}

/** What no recipient should take: the fault that it is. */
const REFUSED: [string, string][] = [
  ['garbage\r\n\r\n', 'http1.statusLine'],
  ['HTTP/2.0 200 OK\r\n\r\n', 'http1.version'],
  ['HTTP/1.1 20 OK\r\n\r\n', 'http1.statusLine'],
  ['HTTP/1.1 099 OK\r\n\r\n', 'http1.statusLine'],
  [`HTTP/1.1 200 ${'x'.repeat(20_000)}`, 'http1.statusLine'],
  [`${OK}A : b\r\n\r\n`, 'http1.fieldName'],
  [`${OK}A: b\0\r\n\r\n`, 'http1.fieldValue'],
  [`${OK}A: b\nContent-Length: 0\r\n\r\n`, 'http1.lineEnd'],
  [`${OK} A: b\r\n\r\n`, 'http1.leadingSpace'],
  [`${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`, 'http1.bothLengths'],
  [`${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`, 'http1-client.lengths'],
  [`${OK}Content-Length: 5, 6\r\n\r\n`, 'http1-client.lengths'],
  [`${OK}Content-Length: +5\r\n\r\n`, 'http1-client.lengths'],
  [`${OK}Content-Length: 0x5\r\n\r\n`, 'http1-client.lengths'],
  [`${OK}Content-Length: 9999999999999999\r\n\r\n`, 'http1-client.lengths'],
  [`${OK}Transfer-Encoding: chunked, chunked\r\n\r\n`, 'http1.chunkedNotLast'],
  [`${OK}Transfer-Encoding: chunked, gzip\r\n\r\n`, 'http1.chunkedNotLast'],
  [`${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`, 'http1.coding'],
  [`${OK}Transfer-Encoding: xchunked\r\n\r\n`, 'http1.coding'],
  ['HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'http1.codingTooOld'],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n5 x\r\n`, 'http1.chunkExtension'],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n-5\r\n`, 'http1.chunkSize'],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n1\r\nabc`, 'http1.chunkEnd'],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(2_000)}`, 'http1.chunkExtension'],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nA: ${'x'.repeat(70_000)}`, 'http1.trailersTooLong'],
  [`${OK}A: ${'x'.repeat(70_000)}`, 'http1.headTooLong'],
  [`${OK}${'A: b\r\n'.repeat(201)}\r\n`, 'http1.fieldsTooMany'],
  ['HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n', 'http1-client.notSwitching'],
  ['HTTP/1.1 100 C\r\n\r\n'.repeat(33), 'http1-client.interimsTooMany'],
];

for (const [answer, fault] of REFUSED) {
  test(`refused: ${JSON.stringify(answer.slice(0, 70))}`, () => {
    for (const cut of [0, 1_500]) {
      const { ask, server, pass, told, world } = scene({ cut, link: { bounds: { inputMax: 131_072 } } });
      const asked = ask({});
      pass();
      server.says(answer);
      pass(3_000);
      assert.equal(asked.last, `over fault ${fault} begun`);
      assert.deepEqual(told, [`closed fault ${fault}`]);
      assert.deepEqual(world.bugs, []);
    }
  });
}

test('bytes that answer nothing end the connection (RFC 9112 §9.2)', () => {
  const { ask, server, pass, told, client } = scene();
  ask({});
  pass();
  server.says(`${OK}Content-Length: 0\r\n\r\n${OK}Content-Length: 6\r\n\r\npoison`);
  pass();
  assert.equal(client.isOpen, false);
  assert.deepEqual(told, ['idle', 'closed fault http1-client.unsolicited']);
});

test('requests wait for each other, and go out on one connection', () => {
  const { ask, server, pass, told } = scene();
  const one = ask({ target: '/1' });
  const two = ask({ target: '/2' });
  pass();
  assert.doesNotMatch(server.got, / \/2/);
  server.says(`${OK}Content-Length: 1\r\n\r\na`);
  pass();
  assert.match(server.got, / \/2/);
  server.says(`${OK}Content-Length: 1\r\n\r\nb`);
  pass();
  assert.deepEqual([one.body.toString(), two.body.toString()], ['a', 'b']);
  assert.deepEqual(told, ['idle']);
});

test('pipelined, only what may be sent twice follows, and nothing behind what may not (RFC 9112 §9.3.2)', () => {
  const { ask, server, pass } = scene({ limits: { pipelineMax: 10 } });
  const asked = ['GET', 'PUT', 'POST', 'GET'].map((method, at) => ask({ method, target: `/${at}` }));
  pass();
  assert.deepEqual(server.got.match(/ \/\d/g), [' /0', ' /1']);
  server.says(`${OK}Content-Length: 1\r\n\r\na${OK}Content-Length: 1\r\n\r\nb`);
  pass();
  assert.deepEqual(server.got.match(/ \/\d/g), [' /0', ' /1', ' /2']);
  server.says(`${OK}Content-Length: 1\r\n\r\nc`);
  pass();
  server.says(`${OK}Content-Length: 1\r\n\r\nd`);
  pass();
  assert.equal(asked.map(({ body }) => body.toString()).join(''), 'abcd');
});

test('a connection that closes says how far each request had come (RFC 9110 §9.2.2)', () => {
  const { ask, server, pass } = scene();
  const first = ask({});
  pass();
  server.says(`${OK}Content-Length: 1\r\n\r\na`);
  pass();
  const second = ask({});
  const third = ask({});
  pass();
  server.pipe.end();
  pass();
  assert.equal(first.last, 'over ended begun');
  assert.equal(second.last, 'over ended http1-client.unanswered unanswered');
  assert.equal(third.last, 'over ended http1-client.unanswered unsent');
  const { ask: askAgain, server: other, pass: passAgain } = scene();
  const fresh = askAgain({});
  passAgain();
  other.pipe.end();
  passAgain();
  assert.equal(fresh.last, 'over ended http1-client.unanswered begun');
});

test('an answer that ends before its end is no answer (RFC 9112 §8)', () => {
  const answers = [`${OK}Content-Length: 5\r\n\r\nhell`, `${OK}Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n`, OK];
  for (const answer of answers) {
    const { ask, server, pass } = scene();
    const asked = ask({});
    pass();
    server.says(answer);
    server.pipe.end();
    pass();
    assert.equal(asked.last, 'over ended http1.incomplete begun');
    assert.ok(answer === OK || asked.told.includes('lost ended'));
  }
});

test('a body in pieces: chunks and trailers, or as long as it was said to be (RFC 9112 §7.1)', () => {
  const chunked = scene();
  const told = chunked.ask({ method: 'PUT', length: UNKNOWN });
  told.exchange!.write(Buffer.from('hello'));
  told.exchange!.write(Buffer.alloc(0));
  told.exchange!.write(Buffer.from('x'.repeat(20)));
  told.exchange!.end(Fields.of({ digest: 'd' }));
  chunked.pass();
  assert.match(
    chunked.server.got,
    /Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n14\r\nx{20}\r\n0\r\nDigest: d\r\n\r\n$/,
  );
  const long = scene();
  const sent = long.ask({ method: 'PUT', length: 5 });
  sent.exchange!.write(Buffer.from('he'));
  assert.throws(() => sent.exchange!.write(Buffer.from('llo!')), RangeError);
  sent.exchange!.write(Buffer.from('llo'));
  long.pass();
  long.server.says(`${OK}Content-Length: 0\r\n\r\n`);
  long.pass();
  assert.match(long.server.got, /Content-Length: 5\r\n\r\nhello$/);
  assert.equal(sent.last, 'over ended begun');
  assert.equal(long.client.isIdle, true);
});

test('a body that ends too early cuts the connection, so that it is not taken for whole', () => {
  const { ask, pass, server, told } = scene();
  const asked = ask({ method: 'PUT', length: 5 });
  asked.exchange!.write(Buffer.from('he'));
  pass();
  asked.exchange!.end();
  pass();
  assert.equal(asked.last, 'over reset begun');
  assert.deepEqual(told, ['closed reset']);
  assert.equal(server.lostBy, 'reset');
});

test('100-continue: the body waits for the answer, or for a while, or is not sent (RFC 9110 §10.1.1)', () => {
  const request = { method: 'PUT', body: Buffer.from('body!'), expectContinue: true };
  const asked = scene();
  asked.ask(request);
  asked.pass(500);
  assert.match(asked.server.got, /Expect: 100-continue\r\n\r\n$/);
  asked.server.says('HTTP/1.1 100 Continue\r\n\r\n');
  asked.pass(10);
  assert.match(asked.server.got, /body!$/);

  const silent = scene();
  silent.ask(request);
  silent.pass(900);
  assert.match(silent.server.got, /\r\n\r\n$/);
  silent.pass(200);
  assert.match(silent.server.got, /body!$/);

  const refused = scene();
  const told = refused.ask(request);
  refused.pass();
  refused.server.says('HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n');
  refused.pass(2_000);
  assert.match(refused.server.got, /\r\n\r\n$/);
  assert.equal(told.last, 'over ended begun');
  // The server may still wait for the body: the connection cannot be used for anything else.
  assert.equal(refused.client.isOpen, false);
  assert.equal(refused.server.ended, true);
});

test('an answer before the body is whole: one that refuses ends it, one that does not lets it go on', () => {
  for (const [status, goesOn] of [
    [413, false],
    [200, true],
  ] as const) {
    const { ask, server, pass, client } = scene();
    const asked = ask({ method: 'PUT', length: UNKNOWN });
    asked.exchange!.write(Buffer.from('part'));
    pass();
    server.says(`HTTP/1.1 ${status} X\r\nContent-Length: 2\r\n\r\nno`);
    pass();
    assert.equal(asked.body.toString(), 'no');
    asked.exchange!.write(Buffer.from('rest'));
    asked.exchange!.end();
    pass();
    assert.equal(asked.last, 'over ended begun');
    assert.equal(client.isOpen, goesOn);
    assert.equal(server.got.endsWith('0\r\n\r\n'), goesOn);
  }
});

test('101 and CONNECT hand the pipe over with the bytes behind the head (RFC 9110 §7.8, §9.3.6)', () => {
  for (const [request, answer] of [
    [{ upgrade: 'echo' }, 'HTTP/1.1 101 Switching\r\nUpgrade: echo\r\n\r\n'],
    [{ method: 'CONNECT', target: 'b.test:443', authority: 'b.test:443' }, 'HTTP/1.1 200 OK\r\n\r\n'],
  ] as const) {
    for (const cut of [0, 1]) {
      const { ask, server, pass, told, world } = scene({ cut });
      let next!: Peer;
      const asked = new Told();
      Object.assign(asked, { upgraded: (pipe: Peer['pipe']) => (next = new Peer(pipe)) });
      ask(request, asked);
      pass();
      server.says(`${answer}first bytes`);
      pass();
      next.says('mine');
      pass();
      assert.equal(next.got, 'first bytes');
      assert.match(server.got, /\r\n\r\nmine$/);
      assert.equal(asked.last, 'over ended begun');
      assert.deepEqual(told, ['closed ended']);
      assert.deepEqual(world.bugs, []);
    }
  }
});

test('101 to something else than was asked for is refused (RFC 9110 §7.8)', () => {
  for (const fields of ['Upgrade: h2c\r\n', '']) {
    const { ask, server, pass } = scene();
    const asked = new Told();
    Object.assign(asked, { upgraded: () => assert.fail('it was not asked for') });
    ask({ upgrade: 'websocket' }, asked);
    pass();
    server.says(`HTTP/1.1 101 Switching\r\n${fields}Connection: Upgrade\r\n\r\n`);
    pass();
    assert.equal(asked.last, 'over fault http1-client.notSwitching begun');
  }
});

test('a connection takes as many requests as may wait, and one more when one is answered', () => {
  const { ask, server, pass, client } = scene({ limits: { queueMax: 2 } });
  ask({});
  ask({});
  assert.equal(client.hasRoom, false);
  assert.equal(ask({}).exchange, null);
  pass();
  server.says(`${OK}Content-Length: 0\r\n\r\n`);
  pass();
  assert.notEqual(ask({}).exchange, null);
});

test('silence is a fault, where it was not asked for; an idle connection is let go', () => {
  const { ask, pass, told } = scene({ limits: { silenceMs: 5_000 } });
  const asked = ask({});
  pass(4_900);
  assert.deepEqual(told, []);
  pass(200);
  assert.equal(asked.last, 'over fault http1-client.silent begun');
  const patient = scene({ limits: { silenceMs: 5_000 } });
  const poll = patient.ask({ silenceMs: NEVER });
  patient.pass(100_000);
  patient.server.says(`${OK}Keep-Alive: timeout=3\r\nContent-Length: 0\r\n\r\n`);
  patient.pass(10);
  assert.equal(poll.last, 'over ended begun');
  patient.pass(1_900);
  assert.equal(patient.client.isOpen, true);
  // One second before the server would close it.
  patient.pass(200);
  assert.deepEqual(patient.told, ['idle', 'closed ended']);
});

test('a reader that pauses holds the server back', () => {
  const { ask, server, pass } = scene();
  const asked = new Told();
  const events = asked.answered.bind(asked);
  asked.answered = (status, reason, fields) => {
    const reader = events(status, reason, fields);
    asked.exchange!.pause();
    return reader;
  };
  ask({}, asked);
  pass();
  server.says(`${OK}Content-Length: 4000000\r\n\r\n`);
  server.says(Buffer.alloc(4_000_000));
  pass(200_000);
  assert.equal(asked.body.length, 0);
  assert.ok(server.pipe.queued > 3_000_000, `${server.pipe.queued} bytes wait at the server`);
  asked.exchange!.resume();
  pass(10_000);
  assert.equal(asked.body.length, 4_000_000);
  assert.equal(asked.last, 'over ended begun');
});

test('who gives up cuts the connection; who waits leaves it alone; closing answers what was asked', () => {
  const { ask, server, pass, told } = scene();
  const first = ask({ target: '/1' });
  const second = ask({ target: '/2' });
  second.exchange!.cancel();
  assert.equal(second.last, 'over reset unsent');
  pass();
  server.says(`${OK}Content-Length: 0\r\n\r\n`);
  pass();
  assert.equal(first.last, 'over ended begun');
  const third = ask({ target: '/3' });
  pass();
  third.exchange!.cancel();
  pass();
  assert.deepEqual(told, ['idle', 'closed reset']);
  const leaving = scene();
  const asked = [leaving.ask({}), leaving.ask({})];
  leaving.client.close();
  assert.equal(leaving.ask({}).exchange, null);
  leaving.pass();
  leaving.server.says(`${OK}Content-Length: 0\r\n\r\n`);
  leaving.pass();
  leaving.server.says(`${OK}Content-Length: 0\r\n\r\n`);
  leaving.pass();
  assert.deepEqual(
    asked.map(({ last }) => last),
    ['over ended begun', 'over ended begun'],
  );
  assert.deepEqual(leaving.told, ['closed ended']);
});

test('any bytes of a server neither throw nor hang, and end each request once', () => {
  const words = fc.constantFrom(
    OK,
    'HTTP/1.1 ',
    '204',
    ' \r\n',
    '\r\n',
    'Content-Length: 3\r\n',
    'Transfer-Encoding: chunked\r\n',
    '3\r\nabc\r\n',
    '0\r\n\r\n',
    'abc',
    'HTTP/1.1 100 C\r\n\r\n',
  );
  const noise = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
  fc.assert(
    fc.property(fc.array(fc.oneof(words, words, noise), { maxLength: 30 }), fc.nat(9), (parts, cut) => {
      const { ask, server, pass, world } = scene({ cut, limits: { pipelineMax: 3 } });
      const asked = [ask({}), ask({ method: 'HEAD' }), ask({ method: 'POST', body: Buffer.from('x') })];
      pass(10);
      for (const part of parts) server.says(part);
      pass(5_000);
      server.pipe.end();
      pass(5_000);
      assert.deepEqual(world.bugs, []);
      for (const { told } of asked)
        assert.equal(told.filter((text) => text.startsWith('over')).length, 1, String(told));
    }),
    { numRuns: 300 },
  );
});
