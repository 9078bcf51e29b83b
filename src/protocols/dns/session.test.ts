import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLASS } from '../../formats/dns/records.ts';
import { Cookies } from './cookies.ts';
import { AnswerRate, SEND } from './rate.ts';
import { sipHash } from './siphash.ts';
import { Bench, framed, query, seen, type UpdateRecord, update } from './testing/bench.ts';

test('queries one behind the other are all answered, however they are cut (RFC 7766 §6.2.1)', async () => {
  const messages = Array.from({ length: 20 }, (_, id) =>
    query(id % 2 === 0 ? 'www.example.' : 'no.example.', 'A', { id }),
  );
  for (const cut of [0, 1, 2, 3, 7, 100]) {
    const bench = await Bench.open({ cut });
    const talk = bench.connect();
    talk.asks(...messages);
    const found = talk.hears(2_000);
    assert.deepEqual(
      found.map(({ id }) => id).sort((a, b) => a - b),
      messages.map((_, id) => id),
    );
    assert.ok(found.every(({ rcode, id }) => rcode === (id % 2 === 0 ? 'NOERROR' : 'NXDOMAIN')));
  }
});

test('an idle connection is closed, one that is used is not (RFC 7766 §6.2.3)', async () => {
  const bench = await Bench.open({ limits: { idleMs: 1_000 } });
  const talk = bench.connect();
  for (let round = 0; round < 5; round++) {
    talk.asks(query('www.example.', 'A', { id: round, options: '000b 0000' }));
    const [answer] = talk.hears(700);
    assert.match(answer!.edns!, /KEEPALIVE: 1\.0 secs/);
  }
  talk.hears(1_100);
  assert.deepEqual(talk.peer.told.includes('finish'), true);
});

test('who sends a query octet by octet is cut off (RFC 7766 §10)', async () => {
  const bench = await Bench.open({ limits: { queryMs: 500, idleMs: 60_000 } });
  const talk = bench.connect();
  const bytes = framed(query('www.example.', 'A'));
  for (let at = 0; at < 20; at++) {
    talk.says(bytes.subarray(at, at + 1));
    talk.hears(60);
  }
  assert.deepEqual(bench.faulted, ['dns.queryTooSlow']);
});

test('a length that is over the bound, and a message that is none, end the connection', async () => {
  const bench = await Bench.open({ limits: { queryBytesMax: 1_000 } });
  const long = bench.connect();
  long.says(Buffer.from([0x03, 0xe9]));
  long.hears();
  const short = bench.connect();
  short.asks(Buffer.from('GET /'));
  short.hears();
  assert.deepEqual(bench.faulted, ['dns.tooLong', 'dns.short']);
});

test('who does not read is not written to without end', async () => {
  const many = Array.from({ length: 200 }, (_, index) => `many TXT "${'x'.repeat(200)}${index}"`).join('\n');
  const bench = await Bench.open({
    zone: `$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a\n${many}\n`,
    bounds: { highMark: 100_000, lowMark: 20_000 },
  });
  const talk = bench.connect();
  talk.peer.pipe.pause();
  for (let id = 0; id < 200; id++) talk.asks(query('many.example.', 'TXT', { id }));
  talk.hears();
  assert.ok(talk.server.queued < 300_000, `${talk.server.queued}`);
  talk.peer.pipe.resume();
  assert.equal(talk.hears(20_000).length, 200);
});

test('any bytes over a stream neither throw nor hang', async () => {
  const bench = await Bench.open();
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 4 }), (pieces) => {
      const talk = bench.connect();
      for (const piece of pieces) talk.asks(piece);
      talk.hears(50);
    }),
    { numRuns: 300 },
  );
});

// ---- transfers -------------------------------------------------------------------------------------------------------

const SOA1 = 'example. SOA ns1.example. host.example. 1 3600 600 86400 120';
const soa = (serial: number) => SOA1.replace(' 1 3600', ` ${serial} 3600`);

test('AXFR begins and ends with SOA, and has all between once (RFC 5936 §2.2)', async () => {
  const bench = await Bench.open();
  const talk = bench.connect();
  talk.asks(query('example.', 'AXFR'));
  const [found] = talk.hears();
  assert.equal(found!.answer[0], SOA1);
  assert.equal(found!.answer.at(-1), SOA1);
  assert.equal(found!.answer.length, 13);
  assert.equal(new Set(found!.answer).size, 12);
  assert.ok(found!.answer.includes('ns.child.example. A 192.0.2.99'));
});

test('a large zone comes in many messages, to a slow reader as well, while it changes', async () => {
  const hosts = Array.from({ length: 20_000 }, (_, index) => `h${index} A 10.0.${index >> 8}.${index & 255}`).join(
    '\n',
  );
  const bench = await Bench.open({
    zone: `$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a\n${hosts}\n`,
    bounds: { highMark: 60_000, lowMark: 20_000 },
  });
  const talk = bench.connect();
  talk.peer.pipe.pause();
  talk.asks(query('example.', 'AXFR', { id: 9 }), query('h1.example.', 'A', { id: 10 }));
  talk.hears();
  assert.ok(talk.server.queued < 200_000);
  const changed = await bench.answered(
    update('example.', [], [{ name: 'new.example.', type: 'A', data: '192.0.2.1', ttl: 1 }]),
  );
  assert.equal(changed.rcode, 'NOERROR');
  talk.peer.pipe.resume();
  const found = talk.hears(20_000);
  assert.deepEqual([found[0]!.question, found[1]!.question], ['example. IN AXFR', '']);
  assert.equal(found.at(-1)!.id, 10);
  const records = found.filter(({ id }) => id === 9).flatMap(({ answer }) => answer);
  assert.equal(records.length, 20_003);
  assert.equal(new Set(records).size, 20_002);
  // The state that it began with, not the one after.
  assert.ok(!records.includes('new.example. A 192.0.2.1'));
  assert.match(records.at(-1)!, /SOA .* 1 1 1 1 1$/);
});

function ixfr(serial: number): Buffer {
  const bytes = Buffer.concat([
    query('example.', 'IXFR'),
    Buffer.from('c00c 0006 0001 00000000 0016 00 00'.replaceAll(' ', ''), 'hex'),
    Buffer.alloc(20),
  ]);
  bytes.writeUInt32BE(serial, bytes.length - 20);
  bytes.writeUInt16BE(1, 8);
  return bytes;
}

test('IXFR tells the changes since a serial, or all (RFC 1995 §4)', async () => {
  const bench = await Bench.open();
  const add = (name: string): UpdateRecord => ({ name, type: 'A', data: '192.0.2.9', ttl: 60 });
  await bench.answered(update('example.', [], [add('n1.example.')]));
  await bench.answered(
    update('example.', [], [add('n2.example.'), { name: 'www.example.', type: 'ANY', class: CLASS.ANY }]),
  );
  const talk = bench.connect();
  const ask = (serial: number) => {
    talk.asks(ixfr(serial));
    return talk.hears()[0]!.answer;
  };
  assert.deepEqual(ask(1), [
    ...[soa(3), SOA1, soa(2), 'n1.example. A 192.0.2.9'],
    ...[soa(2), 'www.example. A 192.0.2.1', soa(3), 'n2.example. A 192.0.2.9', soa(3)],
  ]);
  assert.deepEqual(ask(3), [soa(3)]);
  // The journal does not reach back: all of it.
  assert.equal(ask(77).length, 14);
  // Over UDP the SOA says whether a stream is worth while (RFC 1995 §2).
  assert.deepEqual(bench.answer(ixfr(1)).answer, [soa(3)]);
});

test('strangers neither transfer nor change a zone; keys and networks may', async () => {
  const bench = await Bench.open({
    plan: { transfer: { keys: [], networks: [{ octets: Uint8Array.of(10, 0, 0, 0), prefix: 8 }] } },
  });
  const stranger = { host: '192.0.2.200', port: 999 };
  for (const message of [ixfr(1), update('example.', [], [])])
    assert.equal(bench.answer(message, stranger).rcode, 'REFUSED');
  assert.equal(bench.answer(ixfr(1), { host: '10.1.1.1', port: 999 }).rcode, 'NOERROR');
});

test('more transfers at a time than may be are refused', async () => {
  const hosts = Array.from({ length: 5_000 }, (_, index) => `h${index} A 10.0.${index >> 8}.${index & 255}`).join('\n');
  const bench = await Bench.open({
    zone: `$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a\n${hosts}\n`,
    bounds: { highMark: 20_000, lowMark: 10_000 },
    limits: { transfersMax: 2 },
  });
  const talks = [1, 2, 3].map(() => bench.connect());
  for (const talk of talks) {
    talk.peer.pipe.pause();
    talk.asks(query('example.', 'AXFR'));
  }
  bench.world.pass(100);
  for (const talk of talks) talk.peer.pipe.resume();
  assert.equal(talks[2]!.hears(5_000)[0]!.rcode, 'REFUSED');
  assert.ok(talks[0]!.hears(5_000).length > 3);
  talks[2]!.asks(query('example.', 'AXFR'));
  assert.ok(talks[2]!.hears(5_000).length > 3);
});

// ---- updates ---------------------------------------------------------------------------------------------------------

const { ANY, NONE } = CLASS;
const www: UpdateRecord = { name: 'www.example.', type: 'A', data: '192.0.2.1' };
const UPDATES: readonly {
  readonly what: string;
  readonly needs?: readonly UpdateRecord[];
  readonly does?: readonly UpdateRecord[];
  readonly rcode?: string;
  /** A question afterwards and its answers. */
  readonly after?: readonly [string, string, readonly string[]];
}[] = [
  {
    what: 'adds a record',
    does: [{ name: 'n.example.', type: 'TXT', data: '"x"', ttl: 5 }],
    after: ['n.example.', 'TXT', ['n.example. TXT "x"']],
  },
  {
    what: 'the set exists (§2.4.1)',
    needs: [{ name: 'www.example.', type: 'A', class: ANY }],
    does: [],
    rcode: 'NOERROR',
  },
  { what: 'and does not', needs: [{ name: 'www.example.', type: 'TXT', class: ANY }], rcode: 'NXRRSET' },
  { what: 'the set is exactly this (§2.4.2)', needs: [www], rcode: 'NOERROR' },
  { what: 'and is another', needs: [{ ...www, data: '192.0.2.2' }], rcode: 'NXRRSET' },
  { what: 'and has more', needs: [www, { ...www, data: '192.0.2.2' }], rcode: 'NXRRSET' },
  {
    what: 'the set is not there (§2.4.3)',
    needs: [{ name: 'www.example.', type: 'A', class: NONE }],
    rcode: 'YXRRSET',
  },
  { what: 'the name is in use (§2.4.4)', needs: [{ name: 'no.example.', type: 'ANY', class: ANY }], rcode: 'NXDOMAIN' },
  {
    what: 'the name is not in use (§2.4.5)',
    needs: [{ name: 'www.example.', type: 'ANY', class: NONE }],
    rcode: 'YXDOMAIN',
  },
  { what: 'a prerequisite with a TTL (§3.2.5)', needs: [{ ...www, ttl: 1 }], rcode: 'FORMERR' },
  { what: 'a prerequisite of another zone', needs: [{ ...www, name: 'www.other.' }], rcode: 'NOTZONE' },
  { what: 'a change of another zone (§3.4.1.3)', does: [{ ...www, name: 'www.other.' }], rcode: 'NOTZONE' },
  {
    what: 'a type that is only asked for (§3.4.1.3)',
    does: [{ name: 'x.example.', type: 'AXFR', data: '\\# 0' }],
    rcode: 'FORMERR',
  },
  {
    what: 'deletes a set (§2.5.2)',
    does: [{ name: 'www.example.', type: 'A', class: ANY }],
    after: ['www.example.', 'A', []],
  },
  {
    what: 'deletes a name (§2.5.3)',
    does: [{ name: 'alias.example.', type: 'ANY', class: ANY }],
    after: ['alias.example.', 'A', []],
  },
  { what: 'deletes a record (§2.5.4)', does: [{ ...www, class: NONE }], after: ['www.example.', 'A', []] },
  {
    what: 'an alias takes no other beside it (§3.4.2.2)',
    does: [{ name: 'alias.example.', type: 'A', data: '192.0.2.9', ttl: 1 }],
    after: ['alias.example.', 'ANY', ['alias.example. CNAME www.example.']],
  },
  {
    what: 'nor comes beside others',
    does: [{ name: 'www.example.', type: 'CNAME', data: 'x.example.', ttl: 1 }],
    after: ['www.example.', 'A', ['www.example. A 192.0.2.1']],
  },
  {
    what: 'an alias takes another’s place',
    does: [{ name: 'alias.example.', type: 'CNAME', data: 'x.example.', ttl: 1 }],
    after: ['alias.example.', 'CNAME', ['alias.example. CNAME x.example.']],
  },
  {
    what: 'a zone keeps its SOA and a server (§3.4.2.3)',
    does: [{ name: 'example.', type: 'ANY', class: ANY }],
    after: ['example.', 'NS', ['example. NS ns1.example.', 'example. NS ns2.example.']],
  },
  {
    what: 'and the last server (§3.4.2.4)',
    does: [
      { name: 'example.', type: 'NS', class: NONE, data: 'ns1.example.' },
      { name: 'example.', type: 'NS', class: NONE, data: 'ns2.example.' },
    ],
    after: ['example.', 'NS', ['example. NS ns2.example.']],
  },
  {
    what: 'an older SOA is passed over (§3.4.2.2)',
    does: [{ name: 'example.', type: 'SOA', data: 'a. b. 0 1 1 1 1', ttl: 1 }],
    after: ['example.', 'SOA', [SOA1]],
  },
  {
    what: 'a newer SOA counts',
    does: [{ name: 'example.', type: 'SOA', data: 'a. b. 50 1 1 1 1', ttl: 1 }],
    after: ['example.', 'SOA', ['example. SOA a. b. 50 1 1 1 1']],
  },
  { what: 'what changes nothing leaves the serial', does: [{ ...www, ttl: 300 }], after: ['example.', 'SOA', [SOA1]] },
];

test('dynamic updates (RFC 2136)', async (context) => {
  for (const { what, needs = [], does = [], rcode = 'NOERROR', after } of UPDATES)
    await context.test(what, async () => {
      const bench = await Bench.open();
      const answer = await bench.answered(update('example.', needs, does));
      assert.deepEqual([answer.rcode, answer.opcode, answer.question], [rcode, 'UPDATE', 'example. IN SOA']);
      if (after !== undefined) assert.deepEqual(bench.answer(query(after[0], after[1])).answer, after[2]);
    });
});

test('updates of what is not a zone here', async () => {
  const bench = await Bench.open();
  assert.equal(bench.answer(update('www.example.', [], [])).rcode, 'NOTAUTH');
  assert.equal(bench.answer(update('other.', [], [])).rcode, 'NOTAUTH');
});

// ---- topics ----------------------------------------------------------------------------------------------------------

test('a retained topic is TXT in base64 (docs/mapping.md)', async () => {
  const bench = await Bench.open();
  await bench.house.publish('devices/Kitchen 7', 'warm', { retain: true });
  await bench.house.publish('long', 'x'.repeat(600), { retain: true });
  const ask = (name: string, type = 'TXT') => bench.answer(query(name, type, { udp: 1_232 }));
  assert.deepEqual(ask('%4bitchen%207.devices.topics.example.').answer, [
    `%4bitchen%207.devices.topics.example. TXT "${Buffer.from('warm').toString('base64')}"`,
  ]);
  const [long] = ask('LONG.topics.example.').answer;
  assert.equal(
    Buffer.from(
      long!
        .split('"')
        .filter((_, index) => index % 2 === 1)
        .join(''),
      'base64',
    ).toString(),
    'x'.repeat(600),
  );
  assert.equal(ask('none.topics.example.').rcode, 'NXDOMAIN');
  const other = ask('long.topics.example.', 'A');
  assert.deepEqual([other.rcode, other.answer, other.authority], ['NOERROR', [], [SOA1]]);
});

// ---- floods ----------------------------------------------------------------------------------------------------------

test('answers to one network are rated: what a forged address gets is a fraction of what was sent for it', async () => {
  const bench = await Bench.open({ limits: { answersPerSecond: 10, slip: 2 } });
  const victim = { host: '198.51.100.7', port: 80 };
  const question = query('example.', 'ANY', { udp: 1_232 });
  let asked = 0;
  let answered = 0;
  let whole = 0;
  for (let round = 0; round < 1_000; round++) {
    asked += question.length;
    for (const bytes of bench.ask(question, victim)) {
      answered += bytes.length;
      const found = seen(bytes);
      if (found.answer.length > 0) whole++;
      else assert.match(found.flags, /tc/);
    }
  }
  assert.equal(whole, 10);
  assert.ok(answered / asked < 0.6, `${answered / asked}`);
  // Random names below a zone are one, or every one of them would be answered.
  const random = Array.from({ length: 500 }, (_, index) =>
    bench.ask(query(`r${index}.example.`, 'A'), { host: '203.0.113.9', port: 1 }),
  );
  assert.ok(random.flat().filter((bytes) => seen(bytes).rcode === 'NXDOMAIN').length <= 11);
  // Whoever shows a cookie has received at that address.
  const { edns } = bench.answer(query('www.example.', 'A', { options: '000a 0008 0102030405060708' }), {
    host: '192.0.2.33',
    port: 1,
  });
  const cookie = /COOKIE: (\w+)/.exec(edns!)![1]!;
  for (let round = 0; round < 100; round++) {
    const found = bench.answer(query('www.example.', 'A', { options: `000a 0018 ${cookie}` }), {
      host: '192.0.2.33',
      port: 1,
    });
    assert.equal(found.answer.length, 1);
  }
  assert.equal(new AnswerRate(0, 0).judge(new Uint8Array(4), new Uint8Array(1), 0, true, 0), SEND);
});

test('a flood in the name of one network: what it gets is measured, with the limit and without', async (context) => {
  // What is worth asking for: much for little, from forged addresses of one network, 10,000 a second for ten seconds.
  const keys = Array.from({ length: 10 }, (_, index) => `keys TXT "${String(index).repeat(100)}"`).join('\n');
  const zone = `$TTL 300\n@ SOA ns h 1 1 1 1 1\n@ NS ns\n${keys}\n`;
  const question = query('keys.example.', 'TXT', { udp: 4_096 });
  const factor = async (answersPerSecond: number) => {
    const bench = await Bench.open({ zone, limits: { answersPerSecond } });
    let [asked, answered] = [0, 0];
    for (let moment = 0; moment < 1_000; moment++) {
      for (let each = 0; each < 100; each++) {
        asked += question.length;
        const from = { host: `198.51.100.${(moment * 100 + each) & 255}`, port: 1_024 + each };
        for (const bytes of bench.ask(question, from)) answered += bytes.length;
      }
      bench.world.pass(10);
    }
    return answered / asked;
  };
  const [without, within] = [await factor(0), await factor(200)];
  context.diagnostic(
    `bytes out for each byte in: ${without.toFixed(2)} without the limit, ${within.toFixed(2)} within it`,
  );
  assert.ok(without > 20, `${without}`);
  // Half of the queries are answered with their own question, truncated: less comes out than went in.
  assert.ok(within < 1, `${within}`);
  assert.ok(without / within > 20);
});

test('SipHash-2-4 as its authors tell it (vectors_sip64), and the cookies of RFC 9018 appendix A', () => {
  const key = Uint8Array.from({ length: 16 }, (_, index) => index);
  const hash = (length: number) => {
    const out = new Uint8Array(8);
    sipHash(
      key,
      Uint8Array.from({ length }, (_, index) => index),
      length,
      out,
      0,
    );
    return Buffer.from(out).toString('hex');
  };
  assert.deepEqual(
    [hash(0), hash(1), hash(2), hash(15)],
    [...['310e0edd47db6f72', 'fd67dc93c539f874', '5a4fa9d909806c0d', 'e545be4961ca29a1']],
  );
  // Appendix A.1: a new cookie, learned by a client at 198.51.100.100.
  const cookies = new Cookies({ fill: (into) => into.fill(1) }, 3_600_000, 1_559_731_985_000);
  cookies.use(Buffer.from('e5e973e5a6b2a43f48e7dc849e37bfcf', 'hex'));
  const client = Buffer.from('2464c4abcf10c957', 'hex');
  const made = cookies.make(client, 0, Uint8Array.of(198, 51, 100, 100), 1_559_731_985_000);
  assert.equal(Buffer.from(made).toString('hex'), '2464c4abcf10c957010000005cf79f111f8130c3eee29480');
  // Appendix A.2: the same client comes back with it.
  const shown = Buffer.from(made);
  assert.ok(cookies.isGood(shown, 0, 24, Uint8Array.of(198, 51, 100, 100), 1_559_734_385_000));
  assert.ok(!cookies.isGood(shown, 0, 24, Uint8Array.of(198, 51, 100, 101), 1_559_734_385_000));
  assert.ok(!cookies.isGood(shown, 0, 24, Uint8Array.of(198, 51, 100, 100), 1_559_731_985_000 + 3_601_000));
});
