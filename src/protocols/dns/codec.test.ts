import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BAD } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import { NameBuffer, nameFrom, nameText, sameName } from '../../formats/dns/name.ts';
import { CLASS, expandRdata, readRdata, TYPE, Words } from '../../formats/dns/records.ts';
import { Message } from './codec.ts';
import { Options, optionText, writeExtendedError, writePadding } from './codec-edns.ts';
import { MessageWriter } from './codec-write.ts';
import { faults } from './faults.ts';
import { AA, EDE, OPTION, QR } from './wire.ts';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex'));

function data(type: number, text: string): Uint8Array {
  const out = new ByteWriter(1_000);
  assert.equal(readRdata(type, Words.of(text)!, out, null), null, text);
  return Uint8Array.from(out.bytes.subarray(0, out.length));
}

const QUERY = bytes(
  '1234 0120 0001 0000 0000 0001  03777777 076578616d706c65 03636f6d 00 0001 0001  00 0029 04d0 0000 8000 0000',
);

test('a query with EDNS is read in place (RFC 1035 §4.1, RFC 6891 §6.1)', () => {
  const message = new Message();
  assert.equal(message.read(QUERY, 0, QUERY.length), QUERY.length);
  assert.deepEqual([message.id, message.opcode, message.wantsRecursion, message.isAuthentic], [0x1234, 0, true, true]);
  assert.equal(nameText(message.qname.bytes), 'www.example.com.');
  assert.deepEqual([message.qtype, message.qclass, message.questionsEnd], [1, 1, 33]);
  assert.deepEqual([message.udpBytes, message.ednsVersion, message.wantsSignatures], [1_232, 0, true]);
});

test('a message that does not begin at 0 is read as one that does', () => {
  const moved = new Uint8Array(QUERY.length + 9);
  moved.set(QUERY, 7);
  const message = new Message();
  assert.equal(message.read(moved, 7, 7 + QUERY.length), 7 + QUERY.length);
  assert.equal(nameText(message.qname.bytes), 'www.example.com.');
  assert.equal(message.udpBytes, 1_232);
});

test('names are compressed as in the example of RFC 1035 §4.1.4', () => {
  const out = new MessageWriter();
  const buffer = new Uint8Array(512);
  out.begin(buffer, 0, 512);
  const names = ['F.ISI.ARPA.', 'FOO.F.ISI.ARPA.', 'ARPA.', '.'].map((text) => nameFrom(text)!);
  for (const name of names) assert.ok(out.name(name, 0, true));
  assert.equal(
    Buffer.from(buffer.subarray(12, out.at)).toString('hex'),
    '0146034953490441525041' + '00' + '03464f4fc00c' + 'c012' + '00',
  );
});

test('pointers that lead forwards, to themselves or in circles are refused (RFC 1035 §4.1.4)', () => {
  const header = '1234 0000 0001 0000 0000 0000';
  const loops = ['c00c 0001 0001', 'c00e c00c 0001 0001', '0161 c00c 0001 0001', 'c0ff 0001 0001', 'c01200010001 00'];
  const others = [
    '40 0001 0001',
    '80 00 0001 0001',
    `3f${'61'.repeat(20)}`,
    `${`3f${'61'.repeat(63)}`.repeat(4)}00 0001 0001`,
  ];
  const message = new Message();
  for (const name of [...loops, ...others]) {
    const input = bytes(`${header} ${name}`);
    assert.equal(message.read(input, 0, input.length), BAD, name);
    assert.equal(message.fault, faults.badName, name);
    assert.equal(message.id, 0x1234);
  }
});

test('what is not a whole message is refused, wherever it is cut', () => {
  const message = new Message();
  for (let end = 0; end < QUERY.length; end++) {
    assert.equal(message.read(QUERY, 0, end), BAD, `${end}`);
    assert.equal(message.fault.wire, 1);
  }
  const longer = Uint8Array.from([...QUERY, 0]);
  assert.equal(message.read(longer, 0, longer.length), BAD);
  assert.equal(message.fault, faults.trailing);
});

test('OPT stands once, at the root, among the additional (RFC 6891 §6.1.1); TSIG last (RFC 8945 §5.1)', () => {
  const question = '03777777 00 0001 0001';
  const opt = '00 0029 04d0 00000000 0000';
  const cases: readonly (readonly [string, unknown])[] = [
    [`0001 0000 0001 0000 0000 0002 ${question} ${opt} ${opt}`, faults.badOpt],
    [`0001 0000 0001 0000 0001 0000 ${question} ${opt}`, faults.badOpt],
    [`0001 0000 0001 0000 0000 0001 ${question} c00c 0029 04d0 00000000 0000`, faults.badOpt],
    [`0001 0000 0001 0000 0000 0001 ${question} 00 0029 04d0 00000000 0005 000a 0008 00`, faults.badOption],
    [`0001 0000 0001 0000 0000 0002 ${question} 00 00fa 00ff 00000000 0000 ${opt}`, faults.badTsig],
    [`0001 0000 0001 0000 0000 0001 ${question} 00 00fa 0001 00000000 0000`, faults.badTsig],
  ];
  const message = new Message();
  for (const [hex, fault] of cases) {
    const input = bytes(hex);
    assert.equal(message.read(input, 0, input.length), BAD, hex);
    assert.equal(message.fault, fault, hex);
  }
});

test('options: cookies, client subnets and padding are read; unknown ones are passed over', () => {
  const message = new Message();
  const options = new Options();
  const read = (rdata: string): boolean => {
    const octets = bytes(rdata);
    const head = bytes(
      `0001 0000 0000 0000 0000 0001 00 0029 04d0 00000000 ${octets.length.toString(16).padStart(4, '0')}`,
    );
    const input = Uint8Array.from([...head, ...octets]);
    assert.equal(message.read(input, 0, input.length), input.length);
    return options.read(message);
  };
  assert.ok(read('0003 0000 000c 0004 00000000 ffee 0003 010203 000a 0008 0102030405060708'));
  assert.deepEqual([options.nsid, options.padding, options.serverCookieAt], [true, true, -1]);
  assert.equal(message.bytes[options.clientCookieAt], 1);
  assert.ok(read(`000a 0018 ${'11'.repeat(24)}`));
  assert.equal(options.serverCookieEnd - options.serverCookieAt, 16);
  // RFC 7873 §5.2.2: 8, or 16 to 40 octets.
  for (const size of [0, 7, 9, 15, 41])
    assert.ok(!read(`000a 00${size.toString(16).padStart(2, '0')} ${'11'.repeat(size)}`));
  // RFC 7871 §6: as many octets as the prefix needs, the last with zeros.
  assert.ok(read('0008 0007 0001 18 00 c00002'));
  assert.ok(!read('0008 0008 0001 18 00 c0000201'));
  assert.ok(!read('0008 0007 0001 17 00 c000ff'));
  assert.ok(read('0008 0004 0063 00 00'));
});

test('options are written as they are read, and shown', () => {
  const out = new MessageWriter();
  const buffer = new Uint8Array(512);
  out.begin(buffer, 0, 512);
  out.opt(1_232, 0x17, 0, 0x8000);
  assert.ok(writeExtendedError(out, EDE.PROHIBITED, 'no'));
  assert.ok(writePadding(out, 128));
  assert.equal(out.length % 128, 0);
  out.header(7, QR | 7);
  const message = new Message();
  assert.equal(message.read(buffer, 0, out.length), out.length);
  assert.equal(message.rcode, 23);
  const at = message.option(OPTION.EDE);
  assert.equal(optionText(OPTION.EDE, buffer, at, message.optionEnd), 'EDE: 18 (Prohibited): (no)');
  assert.equal(optionText(OPTION.ECS, bytes('0001 18 00 c00002'), 0, 7), 'ECS: 192.0.2.0/24/0');
});

const RECORDS: readonly (readonly [string, number, string])[] = [
  ['example.com.', TYPE.SOA, 'ns.example.com. h.example.com. 1 2 3 4 5'],
  ['example.com.', TYPE.MX, '10 mail.example.com.'],
  ['www.example.com.', TYPE.CNAME, 'web.Example.org.'],
  ['_sip._udp.example.com.', TYPE.SRV, '1 2 3 sip.example.com.'],
  ['web.example.org.', TYPE.A, '192.0.2.7'],
  ['example.com.', TYPE.NSEC, 'a.example.com. A MX'],
  ['.', TYPE.NS, 'a.root-servers.net.'],
];

test('records of all kinds survive a message, whatever their order and however short it is', () => {
  const out = new MessageWriter();
  const message = new Message();
  const name = new NameBuffer();
  const expanded = new ByteWriter(70_000);
  const picks = fc.array(fc.constantFrom(...RECORDS), { maxLength: 30 });
  fc.assert(
    fc.property(
      picks,
      fc.integer({ min: 12, max: 700 }),
      fc.boolean(),
      fc.nat(5),
      (records, limit, keepsCase, start) => {
        const buffer = new Uint8Array(1_000);
        out.begin(buffer, start, limit);
        out.keepsCase = keepsCase;
        out.header(1, QR | AA);
        const kept: (typeof RECORDS)[number][] = [];
        for (const record of records) {
          const rdata = data(record[1], record[2]);
          if (out.record(6, nameFrom(record[0])!, 0, record[1], CLASS.IN, 60, rdata, 0, rdata.length))
            kept.push(record);
        }
        assert.ok(out.length <= limit);
        assert.equal(message.read(buffer, start, out.at), out.at);
        assert.equal(message.count, kept.length);
        for (const [index, [owner, type, text]] of kept.entries()) {
          assert.ok(message.readOwner(index, name));
          assert.ok(sameName(name.bytes, 0, nameFrom(owner)!, 0));
          expanded.cut(0);
          assert.ok(expandRdata(type, buffer, start, message.dataAt[index]!, message.dataEnd[index]!, expanded));
          const got = Buffer.from(expanded.bytes.subarray(0, expanded.length));
          const lower = (octets: Uint8Array) => Buffer.from(octets).toString('latin1').toLowerCase();
          assert.equal(lower(got), lower(data(type, text)));
          if (keepsCase) assert.equal(nameText(name.bytes), owner);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test('many names: the dictionary fills up and what it says stays true', () => {
  const out = new MessageWriter();
  const buffer = new Uint8Array(65_535);
  const message = new Message();
  const name = new NameBuffer();
  for (let round = 0; round < 3; round++) {
    out.begin(buffer, 0, buffer.length);
    let count = 0;
    const address = Uint8Array.of(192, 0, 2, 1);
    while (out.record(6, nameFrom(`h${count}.zone${count % 50}.example.`)!, 0, TYPE.A, CLASS.IN, 1, address, 0, 4))
      count++;
    assert.ok(count > 2_000);
    assert.equal(message.read(buffer, 0, out.length), out.length);
    for (let index = 0; index < count; index += 97) {
      assert.ok(message.readOwner(index, name));
      assert.equal(nameText(name.bytes), `h${index}.zone${index % 50}.example.`);
    }
  }
});

test('any octets neither throw nor hang, nor those of a message with some changed', () => {
  const message = new Message();
  const options = new Options();
  const name = new NameBuffer();
  const out = new ByteWriter(1_000_000);
  const look = (input: Uint8Array) => {
    if (message.read(input, 0, input.length) < 0) return;
    options.read(message);
    for (let index = 0; index < message.count; index++) {
      message.readOwner(index, name);
      out.cut(0);
      expandRdata(message.type[index]!, input, 0, message.dataAt[index]!, message.dataEnd[index]!, out);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), look), { numRuns: 5_000 });
  const writer = new MessageWriter();
  const buffer = new Uint8Array(600);
  writer.begin(buffer, 0, 600);
  for (const [owner, type, text] of RECORDS) {
    const rdata = data(type, text);
    writer.record(6, nameFrom(owner)!, 0, type, CLASS.IN, 60, rdata, 0, rdata.length);
  }
  writer.opt(1_232, 0, 0, 0);
  const whole = buffer.slice(0, writer.length);
  const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 });
  fc.assert(
    fc.property(changes, (changed) => {
      const input = whole.slice();
      for (const [at, byte] of changed) input[at] = byte;
      look(input);
    }),
    { numRuns: 5_000 },
  );
});
