// The list by which servers are told compliant or not (ISC's DNS and EDNS compliance tests, genreport), over UDP and over a stream: each
// by the name that it has there, with the clause that it is about.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, type QueryOptions, query, type Seen } from './testing/bench.ts';

const COOKIE = '000a 0008 0102030405060708';
const NSID = '0003 0000';
const EXPIRE = '0009 0000';
/** 0.0.0.0/0: nobody's. */
const SUBNET = '0008 0004 0001 0000';
const UNKNOWN = '0064 0000';

const SOA = 'example. SOA ns1.example. host.example. 1 3600 600 86400 120';
const PLAIN: Partial<Seen> = { rcode: 'NOERROR', flags: 'qr aa', edns: null, answer: [SOA] };
const EDNS: Partial<Seen> = { rcode: 'NOERROR', flags: 'qr aa', edns: 'v0 1232', answer: [SOA] };
/** Another version is answered with ours, and nothing else (RFC 6891 §6.1.3). */
const BADVERS: Partial<Seen> = { rcode: 'BADVERS', flags: 'qr', edns: 'v0 1232', answer: [], authority: [] };

interface Row {
  readonly name: string;
  readonly clause: string;
  readonly type?: string | number;
  readonly with?: QueryOptions;
  readonly expect: Partial<Seen>;
  /** What EDNS says in the answer, where chance has a part in it. */
  readonly edns?: RegExp;
}

const TABLE: readonly Row[] = [
  { name: 'dns', clause: 'RFC 8906 §8.1.1', expect: PLAIN },
  { name: 'type666', clause: 'RFC 8906 §8.1.2', type: 666, expect: { ...PLAIN, answer: [], authority: [SOA] } },
  { name: 'aa', clause: 'RFC 8906 §8.1.3.1', with: { flags: 0x0400 }, expect: PLAIN },
  { name: 'ad', clause: 'RFC 8906 §8.1.3.1', with: { flags: 0x0020 }, expect: PLAIN },
  { name: 'cd', clause: 'RFC 8906 §8.1.3.1', with: { flags: 0x0010 }, expect: { ...PLAIN, flags: 'qr aa cd' } },
  { name: 'ra', clause: 'RFC 8906 §8.1.3.1', with: { flags: 0x0080 }, expect: PLAIN },
  { name: 'rd', clause: 'RFC 8906 §8.1.3.2', with: { flags: 0x0100 }, expect: { ...PLAIN, flags: 'qr aa rd' } },
  { name: 'tc', clause: 'RFC 8906 §8.1.3.1', with: { flags: 0x0200 }, expect: PLAIN },
  { name: 'zflag', clause: 'RFC 8906 §8.1.3.1', with: { flags: 0x0040 }, expect: PLAIN },
  {
    name: 'opcode',
    clause: 'RFC 8906 §8.1.4',
    with: { flags: 15 << 11 },
    expect: { rcode: 'NOTIMP', opcode: 'OPCODE15', flags: 'qr', answer: [] },
  },
  {
    name: 'opcodeflg',
    clause: 'RFC 8906 §8.1.4',
    with: { flags: (15 << 11) | 0x07f0 },
    expect: { rcode: 'NOTIMP', opcode: 'OPCODE15', answer: [] },
  },
  { name: 'edns', clause: 'RFC 8906 §8.2.1', with: { udp: 4_096 }, expect: EDNS },
  { name: 'edns1', clause: 'RFC 8906 §8.2.2', with: { version: 1 }, expect: BADVERS },
  { name: 'ednsopt', clause: 'RFC 8906 §8.2.3', with: { options: UNKNOWN }, expect: EDNS },
  { name: 'edns1opt', clause: 'RFC 8906 §8.2.6', with: { version: 1, options: UNKNOWN }, expect: BADVERS },
  { name: 'ednsflags', clause: 'RFC 8906 §8.2.4', with: { udp: 4_096, z: 0x0080 }, expect: EDNS },
  { name: 'ednsflags, all of them', clause: 'RFC 6891 §6.1.4', with: { udp: 4_096, z: 0x7fff }, expect: EDNS },
  { name: 'edns1flags', clause: 'RFC 8906 §8.2.5', with: { version: 1, z: 0x0080 }, expect: BADVERS },
  {
    name: 'do',
    clause: 'RFC 8906 §8.2.7',
    with: { udp: 4_096, dnssec: true },
    expect: { ...EDNS, edns: 'v0 1232 do' },
  },
  {
    name: 'edns1do',
    clause: 'RFC 8906 §8.2.7',
    with: { version: 1, dnssec: true },
    expect: { rcode: 'BADVERS', flags: 'qr', answer: [] },
    edns: /^v0 1232( do)?$/,
  },
  { name: 'ednsnsid', clause: 'RFC 5001 §2.2', with: { options: NSID }, expect: PLAIN_ANSWER(), edns: /NSID/ },
  {
    name: 'ednscookie',
    clause: 'RFC 7873 §5.2.1',
    with: { options: COOKIE },
    expect: PLAIN_ANSWER(),
    edns: /COOKIE: 0102030405060708[\da-f]{32}/,
  },
  {
    name: 'ednsexpire',
    clause: 'RFC 7314 §4: it may be passed over',
    with: { options: EXPIRE },
    expect: PLAIN_ANSWER(),
  },
  { name: 'ednssubnet', clause: 'RFC 7871 §7.2.1', with: { options: SUBNET }, expect: PLAIN_ANSWER() },
  { name: 'edns1nsid', clause: 'RFC 6891 §6.1.3', with: { version: 1, options: NSID }, expect: BADVERS_ANSWER() },
  { name: 'edns1cookie', clause: 'RFC 6891 §6.1.3', with: { version: 1, options: COOKIE }, expect: BADVERS_ANSWER() },
  { name: 'edns1expire', clause: 'RFC 6891 §6.1.3', with: { version: 1, options: EXPIRE }, expect: BADVERS_ANSWER() },
  { name: 'edns1subnet', clause: 'RFC 6891 §6.1.3', with: { version: 1, options: SUBNET }, expect: BADVERS_ANSWER() },
  {
    name: 'docookie',
    clause: 'RFC 7873 §5.2.1, RFC 3225 §3',
    with: { options: COOKIE, dnssec: true },
    expect: PLAIN_ANSWER(),
    edns: /^v0 1232 do COOKIE: /,
  },
  {
    name: 'optlist',
    clause: 'RFC 8906 §8.2.8',
    with: { options: `${NSID} ${SUBNET} ${EXPIRE} ${COOKIE}`, dnssec: true },
    expect: PLAIN_ANSWER(),
    edns: /^v0 1232 do (?=.*NSID)(?=.*COOKIE)/,
  },
  {
    name: 'dig11',
    clause: 'RFC 8906 §8: as dig asks',
    with: { flags: 0x0120, options: COOKIE },
    expect: { rcode: 'NOERROR', flags: 'qr aa rd', answer: [SOA] },
    edns: /COOKIE/,
  },
  {
    name: 'bind11',
    clause: 'RFC 8906 §8: as BIND asks',
    with: { flags: 0x0010, options: COOKIE, dnssec: true },
    expect: { rcode: 'NOERROR', flags: 'qr aa cd', answer: [SOA] },
    edns: /^v0 1232 do COOKIE/,
  },
  ...[
    'A',
    'NS',
    'CNAME',
    'MX',
    'TXT',
    'AAAA',
    'SRV',
    'NAPTR',
    'DNAME',
    'DS',
    'SSHFP',
    'DNSKEY',
    'NSEC3PARAM',
    'TLSA',
    'CDS',
    'SVCB',
    'HTTPS',
    'SPF',
    'CAA',
    'URI',
    'EUI48',
    'TYPE65534',
  ].map(
    (type): Row => ({
      name: `type ${type}`,
      clause: 'RFC 8906 §3.1.2',
      type,
      expect: type === 'NS' ? { rcode: 'NOERROR' } : { rcode: 'NOERROR', flags: 'qr aa', answer: [], authority: [SOA] },
    }),
  ),
];

function PLAIN_ANSWER(): Partial<Seen> {
  return { rcode: 'NOERROR', flags: 'qr aa', answer: [SOA] };
}

function BADVERS_ANSWER(): Partial<Seen> {
  return { rcode: 'BADVERS', flags: 'qr', answer: [], authority: [] };
}

function check(found: Seen, { expect, edns }: Row): void {
  assert.equal(found.id, 0x4242);
  for (const [key, value] of Object.entries(expect)) assert.deepEqual(found[key as keyof Seen], value, key);
  if (edns !== undefined) assert.match(found.edns ?? '', edns);
}

for (const carrier of ['UDP', 'a stream'] as const)
  test(`the compliance list over ${carrier}`, async (context) => {
    const bench = await Bench.open();
    for (const row of TABLE)
      await context.test(`${row.name} (${row.clause})`, () => {
        const message = query('example.', row.type ?? 'SOA', row.with);
        // Twice: the second may come from what was compiled.
        for (let round = 0; round < 2; round++) {
          if (carrier === 'UDP') check(bench.answer(message), row);
          else {
            const talk = bench.connect();
            talk.asks(message);
            check(talk.hears()[0]!, row);
          }
        }
      });
  });

test('edns@512: what does not fit into 512 octets is truncated, with EDNS, and whole over a stream (RFC 8906 §8.2.9)', async () => {
  const many = Array.from({ length: 60 }, (_, index) => `many A 10.0.0.${index}`).join('\n');
  const bench = await Bench.open({ zone: `$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a\n${many}\n` });
  const message = query('many.example.', 'A', { udp: 512, dnssec: true });
  const short = bench.answer(message);
  assert.deepEqual([short.flags, short.edns], ['qr aa tc', 'v0 1232 do']);
  assert.ok(short.size <= 512);
  const talk = bench.connect();
  talk.asks(message);
  const [whole] = talk.hears();
  assert.deepEqual([whole!.flags, whole!.answer.length], ['qr aa', 60]);
  assert.match(whole!.edns!, /^v0 1232 do/);
});

test('0x20: whatever the case of a question, it comes back with that case, and the answer is the same (RFC 4343 §4.1)', async () => {
  const bench = await Bench.open();
  const plain = bench.answer(query('www.example.', 'A')).answer.map((line) => line.toLowerCase());
  for (let mask = 0; mask < 1 << 10; mask++) {
    let bit = 0;
    const name = 'www.example.'.replace(/[a-z]/g, (letter) => (mask & (1 << bit++) ? letter.toUpperCase() : letter));
    const found = bench.answer(query(name, 'A'));
    assert.equal(found.question, `${name} IN A`);
    assert.deepEqual(
      found.answer.map((line) => line.toLowerCase()),
      plain,
    );
  }
});
