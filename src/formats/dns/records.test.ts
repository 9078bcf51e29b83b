import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from '../../bytes/writer.ts';
import { compareNames, hashName, lowerName, NameBuffer, nameFrom, nameText, sameName, within } from './name.ts';
import { checkRdata, expandRdata, rdataText, readRdata, TYPE, typeFrom, typeName, Words } from './records.ts';

const ORIGIN = nameFrom('example.com.')!;

function wire(type: number, text: string): Uint8Array {
  const out = new ByteWriter(70_000);
  const words = Words.of(text);
  assert.ok(words !== null, text);
  assert.equal(readRdata(type, words, out, ORIGIN), null, text);
  return Uint8Array.from(out.bytes.subarray(0, out.length));
}

function hex(type: number, text: string): string {
  return Buffer.from(wire(type, text)).toString('hex');
}

function wrong(type: number, text: string): string | null {
  const words = Words.of(text);
  return words === null ? 'quotation' : readRdata(type, words, new ByteWriter(70_000), ORIGIN);
}

/** Words of a record that are written as they were read. */
const SAMPLES: readonly (readonly [string, string])[] = [
  ['A', '192.0.2.1'],
  ['NS', 'ns1.example.com.'],
  ['CNAME', 'a\\.b.example.'],
  ['SOA', 'ns.example.com. host\\.master.example.com. 2024010101 7200 3600 1209600 3600'],
  ['PTR', '.'],
  ['HINFO', '"PDP-11" "UNIX"'],
  ['MX', '10 mail.example.com.'],
  ['TXT', '"v=spf1 -all" "second \\"string\\"" "\\000\\255"'],
  ['TXT', '""'],
  ['RP', 'louie.trantor.umd.edu. lam1.people.umd.edu.'],
  ['AFSDB', '1 afs.example.com.'],
  ['AAAA', '2001:db8::1'],
  ['AAAA', '::'],
  ['AAAA', '2001:db8:0:1:1:1:1:1'],
  ['LOC', '42 21 54.000 N 71 6 18.000 W -24.00m 30m 10000m 10m'],
  ['SRV', '0 5 5060 sip.example.com.'],
  ['NAPTR', '100 50 "s" "http+N2L+N2C+N2R" "" www.example.com.'],
  ['CERT', 'PKIX 65535 254 Zm9v'],
  ['DNAME', 'frobozz.example.'],
  ['DS', '60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118'],
  ['SSHFP', '4 2 123456789ABCDEF67890123456789ABCDEF67890123456789ABCDEF123456789'],
  ['RRSIG', 'A 5 3 86400 20030322173103 20030220173103 2642 example.com. oJB1W6WNGv+ldvQ3WDG0MQ=='],
  ['NSEC', 'host.example.com. A MX RRSIG NSEC TYPE1234'],
  ['DNSKEY', '256 3 5 AQPSKmynfzW4kyBv015MUG2D'],
  ['DHCID', 'AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA='],
  [
    'NSEC3',
    '1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR MX DNSKEY NS SOA NSEC3PARAM RRSIG'.replace(
      /MX.*/,
      'NS SOA MX RRSIG DNSKEY NSEC3PARAM',
    ),
  ],
  ['NSEC3PARAM', '1 0 0 -'],
  ['TLSA', '3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B9'],
  ['SMIMEA', '3 0 1 D2AB'],
  ['CDS', '0 0 0 00'],
  ['CDNSKEY', '0 3 0 AA=='],
  ['OPENPGPKEY', 'AQID'],
  ['CSYNC', '66 3 A NS AAAA'],
  ['ZONEMD', '2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE'],
  ['SVCB', '0 foo.example.com.'],
  ['SVCB', '1 .'],
  ['HTTPS', '1 . alpn="h3,h2" port=8443 ipv4hint=192.0.2.1,192.0.2.2 ech="AQID" ipv6hint=2001:db8::1 key667="hello"'],
  [
    'HTTPS',
    '16 foo.example.org. mandatory=ipv4hint,alpn,no-default-alpn alpn="h2" no-default-alpn ipv4hint=192.0.2.1'.replace(
      'ipv4hint,alpn,no-default-alpn',
      'alpn,no-default-alpn,ipv4hint',
    ),
  ],
  ['SPF', '"v=spf1 -all"'],
  ['L32', '10 10.1.2.0'],
  ['LP', '10 l64.example.com.'],
  ['EUI48', '00-00-5e-00-53-2a'],
  ['EUI64', '00-00-5e-ef-10-00-00-2a'],
  ['URI', '10 1 "ftp://ftp1.example.com/public"'],
  ['CAA', '0 issue "ca1.example.net"'],
  ['CAA', '128 tbs ""'],
  ['TYPE65280', '\\# 4 0A000001'],
  ['TYPE65280', '\\# 0'],
  ['APL', '\\# 8 00010F04C0A80000'],
];

test('data is read from a master file and written to one, for every type', () => {
  for (const [name, text] of SAMPLES) {
    const type = typeFrom(name);
    assert.equal(typeName(type), name);
    const data = wire(type, text);
    assert.equal(rdataText(type, data, 0, data.length), text);
    // The generic form is understood for every type (RFC 3597 §5).
    const generic = `\\# ${data.length} ${Buffer.from(data).toString('hex')}`;
    assert.deepEqual(wire(type, generic), data, `${name} ${text}`);
  }
});

test('data that words do not say is refused', () => {
  const refused: readonly (readonly [string, string])[] = [
    ['A', '192.0.2.256'],
    ['A', '192.0.2'],
    ['A', '192.0.2.1 more'],
    ['AAAA', '2001:db8::1::2'],
    ['AAAA', '1:2:3:4:5:6:7:8::'],
    ['AAAA', '12345::'],
    ['MX', '70000 mail'],
    ['MX', '10'],
    ['CNAME', 'a..b'],
    ['CNAME', 'x'.repeat(64)],
    ['TXT', ''],
    ['TXT', 'y'.repeat(256)],
    ['TXT', 'a\\256'],
    ['DS', '1 1 1 ABC'],
    ['NSEC', 'a. NOTATYPE'],
    ['TYPE65280', 'abc'],
    ['TYPE65280', '\\# 3 0102'],
    ['A', '\\# 3 010203'],
    ['LOC', '91 0 0 N 0 0 0 E 0m'],
    ['CAA', '0 is-sue "x"'],
  ];
  for (const [name, text] of refused) assert.notEqual(wrong(typeFrom(name), text), null, `${name} ${text}`);
});

test('short ways to write things in a master file are understood', () => {
  assert.equal(
    hex(TYPE.SOA, '@ h 1 2h 1h30m 2w 1D'),
    hex(TYPE.SOA, 'example.com. h.example.com. 1 7200 5400 1209600 86400'),
  );
  assert.equal(
    hex(TYPE.LOC, '32 7 19 S 116 2 25 E 10m'),
    hex(TYPE.LOC, '32 7 19.000 S 116 2 25.000 E 10.00m 1m 10000m 10m'),
  );
  assert.equal(hex(TYPE.DNSKEY, '256 3 RSASHA1 AQ PS'), hex(TYPE.DNSKEY, '256 3 5 AQPS'));
  assert.equal(hex(TYPE.AAAA, '::ffff:192.0.2.1'), '00000000000000000000ffffc0000201');
  assert.equal(hex(TYPE.TXT, 'a\\b'), '026162');
});

test('vectors of RFC 9460 appendix D', () => {
  const vectors: readonly (readonly [string, string])[] = [
    ['0 foo.example.com.', '000003666f6f076578616d706c6503636f6d00'],
    ['1 .', '000100'],
    ['16 foo.example.com. port=53', '001003666f6f076578616d706c6503636f6d00000300020035'],
    ['1 foo.example.com. key667=hello', '000103666f6f076578616d706c6503636f6d00029b000568656c6c6f'],
    ['1 foo.example.com. key667="hello\\210qoo"', '000103666f6f076578616d706c6503636f6d00029b000968656c6c6fd2716f6f'],
    [
      '1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1"',
      '000103666f6f076578616d706c6503636f6d000006002020010db800000000000000000000000120010db8000000000000000000530001',
    ],
    [
      '16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1',
      '001003666f6f076578616d706c65036f7267000000000400010004000100090268320568332d313900040004c0000201',
    ],
    [
      '16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"',
      '001003666f6f076578616d706c65036f726700000100' + '0c08665c6f6f2c626172026832',
    ],
    [
      '16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2',
      '001003666f6f076578616d706c65036f726700000100' + '0c08665c6f6f2c626172026832',
    ],
  ];
  for (const [text, expected] of vectors) assert.equal(hex(TYPE.SVCB, text), expected, text);
  // Appendix D.3: failures.
  for (const text of [
    '1 foo.example.com. key123=abc key123=def',
    '1 foo.example.com. mandatory',
    '1 foo.example.com. alpn',
    '1 foo.example.com. port',
    '1 foo.example.com. ipv4hint',
    '1 foo.example.com. ipv6hint',
    '1 foo.example.com. no-default-alpn=abc',
    '1 foo.example.com. mandatory=key123',
    '1 foo.example.com. mandatory=mandatory',
    '1 foo.example.com. mandatory=key123,key123 key123=abc',
  ])
    assert.notEqual(wrong(TYPE.SVCB, text), null, text);
});

test('vectors: LOC of RFC 1876 §4, NSEC of RFC 4034 §4.3, EUI of RFC 7043, SSHFP, CAA of RFC 8659', () => {
  assert.equal(
    hex(TYPE.LOC, '42 21 54 N 71 06 18 W -24m 30m'),
    '00331613' + '8917' + '2dd0' + '70be' + '15f0' + '0098' + '8d20',
  );
  assert.equal(
    hex(TYPE.NSEC, 'host.example.com. A MX RRSIG NSEC TYPE1234'),
    `04686f7374076578616d706c6503636f6d000006400100000003041b${'00'.repeat(26)}20`,
  );
  assert.equal(hex(TYPE.EUI48, '00-00-5e-00-53-2a'), '00005e00532a');
  assert.equal(
    hex(TYPE.CAA, '0 issue "ca1.example.net; account=230123"'),
    '0005697373756563'.slice(0, 14) + Buffer.from('ca1.example.net; account=230123').toString('hex'),
  );
});

test('names are read, written and compared without regard to case (RFC 4343)', () => {
  for (const text of ['.', 'a.', 'Example.COM.', 'a\\.b\\\\c.example.', '\\000\\255.x.', '*.wild.'])
    assert.equal(nameText(nameFrom(text)!), text);
  assert.equal(nameText(nameFrom('www', ORIGIN)!), 'www.example.com.');
  assert.equal(nameFrom('www', null), null);
  for (const text of [
    '',
    '..',
    'a..b.',
    '.a',
    `${'x'.repeat(64)}.`,
    'a\\',
    'a\\25',
    'a\\999.',
    `${'abcdefg.'.repeat(32)}`,
  ])
    assert.equal(nameFrom(text), null, text);
  // 255 octets and no more (RFC 1035 §2.3.4).
  const long = `${'x'.repeat(63)}.`.repeat(3);
  assert.equal(nameFrom(`${long}${'y'.repeat(61)}.`)!.length, 255);
  assert.equal(nameFrom(`${long}${'y'.repeat(62)}.`), null);
  const [upper, lower] = [nameFrom('WWW.Example.')!, nameFrom('www.example.')!];
  assert.ok(sameName(upper, 0, lower, 0));
  assert.equal(hashName(upper), hashName(lower));
  assert.deepEqual(lowerName(upper), lower);
  assert.equal(within(upper, 0, nameFrom('example.')!), 4);
  assert.equal(within(nameFrom('wexample.')!, 0, nameFrom('example.')!), -1);
  assert.equal(within(nameFrom('example.')!, 0, lower), -1);
});

test('the canonical order of RFC 4034 §6.1', () => {
  const ordered = ['example.', 'a.example.', 'yljkjljk.a.example.', 'Z.a.example.', 'zABC.a.EXAMPLE.', 'z.example.'];
  ordered.push('\\001.z.example.', '*.z.example.', '\\200.z.example.');
  const names = ordered.map((text) => nameFrom(text)!);
  const shuffled = [...names].reverse().sort((a, b) => compareNames(a, b));
  assert.deepEqual(
    shuffled.map((name) => nameText(name)),
    ordered.map((text) => text),
  );
});

test('any name is the same after it was written and read', () => {
  const label = fc.uint8Array({ minLength: 1, maxLength: 63 });
  fc.assert(
    fc.property(fc.array(label, { maxLength: 6 }), (labels) => {
      const name = Uint8Array.from([...labels.flatMap((each) => [each.length, ...each]), 0]);
      fc.pre(name.length <= 255);
      assert.deepEqual(nameFrom(nameText(name)), name);
      const buffer = new NameBuffer();
      assert.equal(buffer.read(name, 0, 0, name.length), name.length);
      assert.deepEqual(buffer.copy(), name);
    }),
  );
});

test('any octets as data of any type: what is taken is written in words that say the same', () => {
  const types = SAMPLES.map(([name]) => typeFrom(name));
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 80 }), (type, data) => {
      if (!checkRdata(type, data, 0, data.length)) return;
      const text = rdataText(type, data, 0, data.length);
      assert.deepEqual(wire(type, text), data, `${typeName(type)} ${text}`);
      const out = new ByteWriter(1_000);
      assert.ok(expandRdata(type, data, 0, 0, data.length, out), `${typeName(type)} ${text}`);
    }),
    { numRuns: 20_000 },
  );
});

test('a bit map whose last octet is zero, or that has a block of them alone, is none (RFC 4034 §4.1.2)', () => {
  const csync = (...map: number[]) => Uint8Array.from([0, 0, 0, 0, 0, 0, ...map]);
  const check = (data: Uint8Array) => checkRdata(typeFrom('CSYNC'), data, 0, data.length);
  assert.ok(check(csync(0, 1, 0x40)));
  for (const wrong of [csync(0, 1, 0), csync(0, 2, 0x40, 0), csync(0, 1, 0x40, 1, 1, 0)])
    assert.equal(check(wrong), false);
});

test('words of any kind neither throw nor hang', () => {
  const types = SAMPLES.map(([name]) => typeFrom(name));
  const out = new ByteWriter(1_000_000);
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.string(), fc.constantFrom(...SAMPLES), (type, noise, [, sample]) => {
      for (const text of [noise, sample, `${sample} ${noise}`]) {
        const words = Words.of(text);
        out.cut(0);
        if (words !== null) readRdata(type, words, out, ORIGIN);
      }
    }),
    { numRuns: 5_000 },
  );
});
