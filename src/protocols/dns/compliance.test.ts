// What a server of DNS must answer to queries that are lawful, odd or wrong, by clause: the questions of RFC 8906 and the
// DNS compliance tests, over UDP.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Bench, type QueryOptions, query, type Seen, seen } from './testing/bench.ts';

const SOA = ['example. SOA ns1.example. host.example. 1 3600 600 86400 120'];

const TABLE: readonly {
  readonly what: string;
  readonly name?: string;
  readonly type?: string | number;
  readonly with?: QueryOptions;
  readonly expect: Partial<Seen>;
}[] = [
  {
    what: 'plain DNS is answered without OPT (RFC 6891 §6.1.1)',
    expect: { rcode: 'NOERROR', flags: 'qr aa', edns: null, answer: ['www.example. A 192.0.2.1'] },
  },
  {
    what: 'RD is copied, RA not set by an authority (RFC 1035 §4.1.1)',
    with: { flags: 0x0100 },
    expect: { flags: 'qr aa rd' },
  },
  { what: 'CD is copied (RFC 4035 §3.1.6)', with: { flags: 0x0010 }, expect: { flags: 'qr aa cd' } },
  {
    what: 'AD in a query is no claim (RFC 6840 §5.7)',
    with: { flags: 0x0020 },
    expect: { rcode: 'NOERROR', flags: 'qr aa' },
  },
  {
    what: 'the reserved bit is not copied (RFC 8906 §3.1.3.1)',
    with: { flags: 0x0040 },
    expect: { rcode: 'NOERROR', flags: 'qr aa' },
  },
  {
    what: 'AA, TC and RA in a query mean nothing',
    with: { flags: 0x0680 },
    expect: { rcode: 'NOERROR', flags: 'qr aa' },
  },
  {
    what: 'a type that nobody knows is no error (RFC 3597 §3, RFC 8906 §3.1.2)',
    type: 1_000,
    expect: { rcode: 'NOERROR', answer: [], authority: SOA },
  },
  {
    what: 'a type that nobody knows but the zone (RFC 3597)',
    name: 'strange.example.',
    type: 65_280,
    expect: { answer: ['strange.example. TYPE65280 \\# 3 010203'] },
  },
  {
    what: 'EDNS 0 is answered with EDNS 0 (RFC 6891 §7)',
    with: { udp: 4_096 },
    expect: { rcode: 'NOERROR', edns: 'v0 1232', flags: 'qr aa' },
  },
  {
    what: 'EDNS 1 with BADVERS, and no answer (RFC 6891 §6.1.3)',
    with: { version: 1 },
    expect: { rcode: 'BADVERS', edns: 'v0 1232', answer: [], flags: 'qr' },
  },
  {
    what: 'EDNS 255 too',
    with: { version: 255, options: 'ffee 0001 00' },
    expect: { rcode: 'BADVERS', edns: 'v0 1232', answer: [] },
  },
  {
    what: 'an unknown option is passed over (RFC 6891 §6.1.2)',
    with: { options: '0064 0000' },
    expect: { rcode: 'NOERROR', edns: 'v0 1232', answer: ['www.example. A 192.0.2.1'] },
  },
  { what: 'DO is copied (RFC 3225 §3)', with: { udp: 1_232, dnssec: true }, expect: { edns: 'v0 1232 do' } },
  {
    what: 'an UDP size below 512 is 512 (RFC 6891 §6.2.3)',
    with: { udp: 0 },
    expect: { rcode: 'NOERROR', edns: 'v0 1232' },
  },
  {
    what: 'NSID (RFC 5001)',
    with: { options: '0003 0000' },
    expect: { edns: 'v0 1232 NSID: 70 6f 72 74 69 63 6f ("portico")' },
  },
  {
    what: 'an option that is longer than its OPT is malformed',
    with: { options: '0003 0005 00' },
    expect: { rcode: 'FORMERR', edns: 'v0 1232' },
  },
  {
    what: 'a cookie of a wrong length is malformed (RFC 7873 §5.2.2)',
    with: { options: '000a 0004 01020304' },
    expect: { rcode: 'FORMERR' },
  },
  {
    what: 'keepalive is not answered over UDP (RFC 7828 §3.2.1)',
    with: { options: '000b 0000' },
    expect: { edns: 'v0 1232' },
  },
  {
    what: 'a client subnet is passed over (RFC 7871 §7.2.1)',
    with: { options: '0008 0007 0001 1800 c00002' },
    expect: { rcode: 'NOERROR', edns: 'v0 1232' },
  },
  {
    what: 'one that is malformed is said to be (RFC 7871 §7.1.2)',
    with: { options: '0008 0007 0001 2100 c00002' },
    expect: { rcode: 'FORMERR' },
  },
  {
    what: 'an unknown opcode (RFC 8906 §3.1.4)',
    with: { flags: 15 << 11 },
    expect: { rcode: 'NOTIMP', opcode: 'OPCODE15', answer: [] },
  },
  { what: 'IQUERY is obsolete (RFC 3425)', with: { flags: 1 << 11 }, expect: { rcode: 'NOTIMP', opcode: 'IQUERY' } },
  { what: 'STATUS was never made', with: { flags: 2 << 11 }, expect: { rcode: 'NOTIMP', opcode: 'STATUS' } },
  {
    what: 'a name that is not ours (RFC 1035 §4.1.1)',
    name: 'other.',
    expect: { rcode: 'REFUSED', flags: 'qr', answer: [] },
  },
  {
    what: 'and why (RFC 8914 §4.21)',
    name: 'other.',
    with: { udp: 1_232 },
    expect: { rcode: 'REFUSED', edns: 'v0 1232 EDE: 20 (Not Authoritative)' },
  },
  { what: 'the root', name: '.', type: 'NS', expect: { rcode: 'REFUSED' } },
  { what: 'another class', with: { class: 4 }, expect: { rcode: 'REFUSED' } },
  {
    what: 'CHAOS tells the version (RFC 4892 §3)',
    name: 'version.bind.',
    type: 'TXT',
    with: { class: 3 },
    expect: { rcode: 'NOERROR', answer: ['version.bind. TXT "Portico/test"'] },
  },
  {
    what: 'and the id (RFC 4892 §3)',
    name: 'ID.server.',
    type: 'TXT',
    with: { class: 3 },
    expect: { answer: ['ID.server. TXT "portico"'] },
  },
  {
    what: 'no such name: AA, SOA (RFC 2308 §2.1)',
    name: 'no.example.',
    expect: { rcode: 'NXDOMAIN', flags: 'qr aa', authority: SOA },
  },
  {
    what: 'no such type: AA, SOA (RFC 2308 §2.2)',
    type: 'AAAA',
    expect: { rcode: 'NOERROR', flags: 'qr aa', answer: [], authority: SOA },
  },
  {
    what: 'a referral has no AA (RFC 1034 §4.3.1)',
    name: 'x.child.example.',
    expect: {
      rcode: 'NOERROR',
      flags: 'qr',
      authority: ['child.example. NS ns.child.example.'],
      additional: ['ns.child.example. A 192.0.2.99'],
    },
  },
  {
    what: '0x20: the case of the question comes back (RFC 1034 §3.1)',
    name: 'WwW.eXaMpLe.',
    expect: { question: 'WwW.eXaMpLe. IN A', answer: ['WwW.eXaMpLe. A 192.0.2.1'] },
  },
  {
    what: 'ANY over UDP is one set (RFC 8482 §4.1)',
    name: 'example.',
    type: 'ANY',
    expect: { rcode: 'NOERROR', answer: ['example. NS ns1.example.', 'example. NS ns2.example.'] },
  },
  { what: 'AXFR is not for UDP (RFC 5936 §4.2)', name: 'example.', type: 'AXFR', expect: { rcode: 'NOTIMP' } },
  { what: 'MAILB is nothing that is asked for any more', type: 'MAILB', expect: { rcode: 'NOTIMP' } },
  { what: 'OPT is no type of a question', type: 'OPT', expect: { rcode: 'FORMERR' } },
  {
    what: 'labels may have any octets (RFC 2181 §11)',
    name: 'a\\000\\255.wild.example.',
    type: 'TXT',
    expect: { answer: ['a\\000\\255.wild.example. TXT "any"'] },
  },
];

test('the questions of DNS compliance, by clause', async (context) => {
  const bench = await Bench.open();
  for (const { what, name = 'www.example.', type = 'A', with: given, expect } of TABLE)
    await context.test(what, () => {
      // Twice: the second may come from what was compiled.
      for (let round = 0; round < 2; round++) {
        const found = bench.answer(query(name, type, given));
        assert.equal(found.id, 0x4242);
        for (const [key, value] of Object.entries(expect)) assert.deepEqual(found[key as keyof Seen], value, key);
      }
    });
});

test('what is no query is not answered: short messages, answers', async () => {
  const bench = await Bench.open();
  const whole = query('www.example.', 'A');
  for (let size = 0; size < 12; size++) assert.deepEqual(bench.ask(whole.subarray(0, size)), []);
  assert.deepEqual(bench.ask(query('www.example.', 'A', { flags: 0x8000 })), []);
});

test('a query that ends early, has more behind it, or no or two questions: FORMERR with its id (RFC 9619 §4)', async () => {
  const bench = await Bench.open();
  const whole = query('www.example.', 'A', { udp: 1_232 });
  for (let size = 12; size < whole.length; size++) {
    const { rcode, id } = bench.answer(whole.subarray(0, size));
    assert.deepEqual([rcode, id], ['FORMERR', 0x4242], `${size}`);
  }
  assert.equal(bench.answer(Buffer.concat([whole, Buffer.from([0])])).rcode, 'FORMERR');
  const none = Buffer.from('424200000000000000000000', 'hex');
  assert.equal(bench.answer(none).rcode, 'FORMERR');
  const two = Buffer.from('424200000002000000000000 0161000001 0001 0162000001 0001'.replaceAll(' ', ''), 'hex');
  assert.equal(bench.answer(two).rcode, 'FORMERR');
});

test('a question for a cookie alone is answered with one (RFC 7873 §5.4), and a cookie shown is told from others', async () => {
  const bench = await Bench.open();
  const message = Buffer.from(
    `4242 0000 0000 0000 0000 0001 00 0029 04d0 00000000 000c 000a 0008 ${'ab'.repeat(8)}`.replaceAll(' ', ''),
    'hex',
  );
  const { rcode, edns } = bench.answer(message);
  assert.equal(rcode, 'NOERROR');
  const cookie = /COOKIE: (\w{48})$/.exec(edns!)![1]!;
  assert.equal(cookie.slice(0, 16), 'ab'.repeat(8));
  const again = bench.answer(query('www.example.', 'A', { options: `000a 0018 ${cookie}` }));
  assert.match(again.edns!, /COOKIE: abab/);
});

test('what does not fit is truncated, and whole over a stream (RFC 2181 §9, RFC 6891 §6.2.5)', async () => {
  const many = Array.from({ length: 60 }, (_, index) => `many A 10.0.0.${index}`).join('\n');
  const bench = await Bench.open({ zone: `$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a\n${many}\n` });
  const plain = bench.answer(query('many.example.', 'A'));
  assert.deepEqual([plain.flags, plain.answer.length], ['qr aa tc', 0]);
  assert.ok(plain.size <= 512);
  const wide = bench.answer(query('many.example.', 'A', { udp: 4_096 }));
  assert.deepEqual([wide.flags, wide.answer.length, wide.edns], ['qr aa', 60, 'v0 1232']);
  assert.ok(wide.size <= 1_232);
  // Compiled now, and still not for those who cannot take it.
  assert.equal(bench.answer(query('many.example.', 'A')).flags, 'qr aa tc');
  const talk = bench.connect();
  talk.asks(query('many.example.', 'A'));
  assert.equal(talk.hears()[0]!.answer.length, 60);
});

test('glue that is left out truncates (RFC 9471 §3.1)', async () => {
  const servers = Array.from(
    { length: 30 },
    (_, index) => `child NS ns${index}.child\nns${index}.child A 10.0.0.${index}`,
  );
  const bench = await Bench.open({ zone: `$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a\n${servers.join('\n')}\n` });
  assert.equal(bench.answer(query('x.child.example.', 'A')).flags, 'qr tc');
  const wide = bench.answer(query('x.child.example.', 'A', { udp: 1_232 }));
  assert.deepEqual([wide.flags, wide.additional.length], ['qr', 30]);
});

test('what was compiled is not told any more once the zone has changed', async () => {
  const bench = await Bench.open();
  const ask = () => bench.answer(query('www.example.', 'A')).answer;
  assert.deepEqual(ask(), ask());
  assert.ok(bench.server.responder.figures.compiled > 0);
  bench.names.epoch++;
  const zone = bench.names.zones()[0]!;
  zone.contents.add(Buffer.from('\x03www\x07example\0', 'latin1'), 0, 1, 300, Uint8Array.of(192, 0, 2, 77), 0, 4);
  assert.equal(ask().length, 2);
});

test('any datagram is answered with a whole message or nothing', async () => {
  const bench = await Bench.open();
  const base = query('www.example.', 'A', { udp: 1_232, options: `000a 0018 ${'11'.repeat(24)} 0003 0000` });
  const changes = fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(changes, fc.nat(base.length), (changed, size) => {
      const message = Buffer.from(base);
      for (const [at, byte] of changed) message[at] = byte;
      for (const input of [message, message.subarray(0, size)]) {
        const found = bench.ask(Uint8Array.from(input));
        assert.ok(found.length <= 1);
        for (const bytes of found) assert.ok(seen(bytes).size <= 1_232);
      }
    }),
    { numRuns: 3_000 },
  );
});

test('random names and types are answered alike, compiled or not', async () => {
  const bench = await Bench.open();
  const name = fc.constantFrom(
    'www.example.',
    'alias.example.',
    'x.wild.example.',
    'a.child.example.',
    'zz.example.',
    'example.',
  );
  const type = fc.constantFrom('A', 'NS', 'SOA', 'TXT', 'ANY', 'DS', 'TYPE99');
  const flags = fc.constantFrom(0, 0x100, 0x110);
  const udp = fc.constantFrom(undefined, 512, 1_232);
  fc.assert(
    fc.property(name, type, flags, udp, (...given) => {
      const message = query(given[0], given[1], {
        flags: given[2],
        ...(given[3] === undefined ? {} : { udp: given[3] }),
      });
      const first = bench.answer(message);
      assert.deepEqual(bench.answer(message), first);
      bench.names.epoch++;
      assert.deepEqual(bench.answer(message), first);
    }),
  );
});
