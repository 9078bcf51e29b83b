// The header of the PROXY protocol, by its clauses: read whole or in pieces, refused where it is broken. The bytes of
// version 2 are made here, field by field.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BAD, MORE } from '../bytes/reader.ts';
import { isExposed, isLocal } from '../core/caller.ts';
import type { Peer } from '../core/peer.ts';
import type { Pipe } from '../core/pipe.ts';
import { Recorder } from '../core/pipe-suite.ts';
import { linkPipes } from '../sim/pipes.ts';
import { World } from '../sim/world.ts';
import { Doorkeeper } from './doorkeeper.ts';
import {
  ProxyHeaderReader,
  ProxyHeaderSession,
  proxiedPeer,
  proxyEntryProblem,
  proxyFaults,
  TrustedProxies,
} from './proxy-header.ts';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const IPV4 = Buffer.from([203, 0, 113, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb]);

/** A header of version 2 with these bytes behind its length. */
function binary(command: number, family: number, ...rest: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(rest);
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, body.length >> 8, body.length & 0xff]), body]);
}

function field(type: number, value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as string, 'latin1');
  return Buffer.concat([Buffer.from([type, bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

/** Reads what is there, with something else around it. */
function read(header: Uint8Array, tail = 'GET / HTTP/1.1\r\n'): { at: number; reader: ProxyHeaderReader } {
  const bytes = Buffer.concat([Buffer.from('..'), header, Buffer.from(tail)]);
  const reader = new ProxyHeaderReader();
  const next = reader.read(bytes, 2, bytes.length);
  return { at: next < 0 ? next : next - 2, reader };
}

const line = (text: string) => Buffer.from(text, 'latin1');

test('§2.1: a line tells both addresses, and what follows is the client’s', () => {
  const four = line('PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n');
  const { at, reader } = read(four);
  assert.equal(at, four.length);
  assert.ok(reader.told);
  assert.deepEqual(reader.source, { host: '203.0.113.7', port: 56_324 });
  assert.deepEqual(reader.destination, { host: '198.51.100.1', port: 443 });
  assert.equal(reader.tls, null);
  const six = read(line('PROXY TCP6 2001:DB8:0:0::1 ::1 1 65535\r\n')).reader;
  assert.deepEqual(six.source, { host: '2001:db8::1', port: 1 });
  assert.deepEqual(six.destination, { host: '::1', port: 65_535 });
  // One address has one name: else its locks would not be found again.
  assert.equal(read(line('PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n')).reader.source?.host, '203.0.113.7');
});

test('§2.1: UNKNOWN tells nothing, whatever follows on its line', () => {
  for (const text of ['PROXY UNKNOWN\r\n', 'PROXY UNKNOWN 127.0.0.1 127.0.0.1 1 2\r\n', 'PROXY UNKNOWN \n\r \r\n']) {
    const { at, reader } = read(line(text));
    assert.equal(at, text.length);
    assert.ok(!reader.told);
    assert.equal(reader.source, null);
  }
});

test('§2.1: the longest line is 107 bytes with its end', () => {
  const longest = `PROXY UNKNOWN ${'x'.repeat(107 - 16)}\r\n`;
  assert.equal(longest.length, 107);
  assert.equal(read(line(longest)).at, 107);
  const { at, reader } = read(line(longest.replace('\r', 'x\r')));
  assert.equal(at, BAD);
  assert.equal(reader.fault, proxyFaults.lineTooLong);
  assert.equal(read(line('PROXY UNKNOWN'), '').at, MORE);
  assert.equal(read(line(longest.slice(0, 106)), '').at, MORE);
});

for (const text of [
  'PROXY TCP4\r\n',
  'PROXY TCP4 203.0.113.7 198.51.100.1 1\r\n',
  'PROXY TCP4 203.0.113.7 198.51.100.1 1 2 3\r\n',
  'PROXY TCP4 203.0.113.7  198.51.100.1 1 2\r\n',
  'PROXY  TCP4 203.0.113.7 198.51.100.1 1 2\r\n',
  'PROXY TCP4 203.0.113.7 198.51.100.1 1 2 \r\n',
  'PROXY TCP4 203.0.113.007 198.51.100.1 1 2\r\n',
  'PROXY TCP4 203.0.113 198.51.100.1 1 2\r\n',
  'PROXY TCP4 2130706433 198.51.100.1 1 2\r\n',
  'PROXY TCP4 localhost 198.51.100.1 1 2\r\n',
  'PROXY TCP4 ::1 ::1 1 2\r\n',
  'PROXY TCP6 127.0.0.1 127.0.0.1 1 2\r\n',
  'PROXY TCP6 fe80::1%lo ::1 1 2\r\n',
  'PROXY TCP6 1::2::3 ::1 1 2\r\n',
  'PROXY TCP4 203.0.113.7 198.51.100.1 01 2\r\n',
  'PROXY TCP4 203.0.113.7 198.51.100.1 65536 2\r\n',
  'PROXY TCP4 203.0.113.7 198.51.100.1 -1 2\r\n',
  'PROXY TCP4 203.0.113.7 198.51.100.1 0x1 2\r\n',
  'PROXY tcp4 203.0.113.7 198.51.100.1 1 2\r\n',
  'PROXY UDP4 203.0.113.7 198.51.100.1 1 2\r\n',
  'PROXY TCP4 203.0.113.7\n198.51.100.1 1 2\r\n',
  'PROXY \r\n',
])
  test(`§2.1: ${JSON.stringify(text)} is refused`, () => {
    const { at, reader } = read(line(text));
    assert.equal(at, BAD);
    assert.equal(reader.fault, proxyFaults.line);
  });

test('§2: what does not begin as a header is refused at its first byte that differs', () => {
  for (const text of ['G', 'PRI', 'PUT', 'POST / ', 'proxy TCP4', '\x16\x03\x01', '\n', '\r\n\r\nx', '\x10\x0c'])
    assert.equal(read(line(text), '').reader.fault, proxyFaults.noHeader, JSON.stringify(text));
  for (const text of ['P', 'PRO', 'PROXY ', '\r', '\r\n\r\n\0\r\nQUIT'])
    assert.equal(read(line(text), '').at, MORE, JSON.stringify(text));
});

test('§2.2: a binary header tells both addresses', () => {
  const four = binary(0x21, 0x11, IPV4);
  const { at, reader } = read(four);
  assert.equal(at, 28);
  assert.deepEqual(reader.source, { host: '203.0.113.7', port: 56_324 });
  assert.deepEqual(reader.destination, { host: '198.51.100.1', port: 443 });
  const source = Buffer.from('20010db8000000000000000000000001', 'hex');
  const mapped = Buffer.from('00000000000000000000ffffcb007107', 'hex');
  const six = read(binary(0x21, 0x21, source, mapped, Buffer.from([0, 1, 0xff, 0xff]))).reader;
  assert.deepEqual(six.source, { host: '2001:db8::1', port: 1 });
  assert.deepEqual(six.destination, { host: '203.0.113.7', port: 65_535 });
});

test('§2.2: LOCAL, and a family that is not said, tell nothing; a Unix socket has no address', () => {
  for (const header of [
    binary(0x20, 0x00),
    binary(0x20, 0x11, IPV4),
    binary(0x20, 0xff, line('???')),
    binary(0x21, 0),
  ]) {
    const { at, reader } = read(header);
    assert.equal(at, header.length);
    assert.ok(!reader.told);
    assert.equal(reader.source, null);
  }
  const unix = read(binary(0x21, 0x31, Buffer.alloc(216))).reader;
  assert.ok(unix.told);
  assert.equal(unix.source, null);
});

test('§2.2: other versions, commands, families and sizes are refused', () => {
  const fault = (header: Uint8Array) => read(header, '').reader.fault;
  for (const command of [0x00, 0x01, 0x11, 0x22, 0x2f, 0x31])
    assert.equal(fault(binary(command, 0x11, IPV4)), proxyFaults.version);
  for (const family of [0x01, 0x10, 0x12, 0x22, 0x32, 0x41, 0xff])
    assert.equal(fault(binary(0x21, family, Buffer.alloc(216))), proxyFaults.family);
  assert.equal(fault(binary(0x21, 0x11, IPV4.subarray(1))), proxyFaults.size);
  assert.equal(fault(binary(0x21, 0x21, IPV4)), proxyFaults.size);
  assert.equal(fault(binary(0x21, 0x31, Buffer.alloc(215))), proxyFaults.size);
  // One that is too long is known before it has come.
  assert.equal(fault(binary(0x21, 0x11, Buffer.alloc(4_097)).subarray(0, 16)), proxyFaults.size);
  assert.equal(read(binary(0x21, 0x11, IPV4, field(0xe0, Buffer.alloc(4_096 - 15)))).reader.fault, null);
});

test('§2.2.1: extensions are whole, and those that are not known are passed over', () => {
  assert.equal(read(binary(0x21, 0x11, IPV4, field(0x04, 'padding'), field(0xea, ''))).reader.fault, null);
  for (const rest of [
    line('\x04'),
    line('\x04\0'),
    line('\x04\0\x02x'),
    field(0x20, 'abcd'),
    field(0x20, '\x01\0\0\0\0\x21'),
  ])
    assert.equal(read(binary(0x21, 0x11, IPV4, rest)).reader.fault, proxyFaults.extension);
});

test('§2.2.3: the checksum covers the header with zeros in its own place', () => {
  // CRC-32C of this header, from its definition (RFC 3720 §12.1, whose check value is E3069283).
  const header = binary(0x21, 0x11, IPV4, field(0x03, '\0\0\0\0'));
  let sum = 0xffff_ffff;
  for (const byte of header) {
    sum = (sum ^ byte) >>> 0;
    for (let bit = 0; bit < 8; bit++) sum = ((sum >>> 1) ^ ((sum & 1) * 0x82f6_3b78)) >>> 0;
  }
  header.writeUInt32BE((sum ^ 0xffff_ffff) >>> 0, header.length - 4);
  assert.equal(read(header).at, header.length);
  for (const at of [0, 3, 18, 27, header.length - 1]) {
    const broken = Buffer.from(header);
    broken[at] = broken[at]! ^ 1;
    assert.equal(read(broken).at, BAD);
  }
  assert.equal(read(binary(0x21, 0x11, IPV4, field(0x03, 'abc'))).reader.fault, proxyFaults.checksum);
});

const TLS_FIELD = field(
  0x20,
  Buffer.concat([line('\x01\0\0\0\0'), field(0x21, 'TLSv1.3'), field(0x23, 'TLS_AES_128_GCM_SHA256')]),
);

test('§2.2.6: TLS that ended at the proxy is told, whatever stands before or behind it', () => {
  const { reader } = read(binary(0x21, 0x11, IPV4, field(0x01, 'h2'), TLS_FIELD, field(0x02, 'box.example')));
  const cipher = 'TLS_AES_128_GCM_SHA256';
  assert.deepEqual(reader.tls, {
    version: 'TLSv1.3',
    cipher,
    alpn: 'h2',
    serverName: 'box.example',
    certificate: null,
  });
  // To the proxy itself, not from the client.
  assert.equal(read(binary(0x21, 0x11, IPV4, field(0x20, '\x00\0\0\0\0'))).reader.tls, null);
});

const BELOW: Peer = {
  carrier: 'tcp',
  remote: { host: '127.0.0.1', port: 4_000 },
  local: { host: '127.0.0.1', port: 8_080 },
  tls: null,
  below: null,
  stream: null,
};

test('whoever comes through a proxy is no local program, whatever the header says', () => {
  for (const header of [
    line('PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n'),
    line('PROXY TCP6 ::1 ::1 1 2\r\n'),
    line('PROXY UNKNOWN\r\n'),
    binary(0x20, 0x00),
    binary(0x21, 0x00),
    binary(0x21, 0x11, Buffer.from([127, 0, 0, 1, 127, 0, 0, 1, 0, 1, 0, 2])),
    binary(0x21, 0x31, Buffer.alloc(216)),
  ]) {
    const { at, reader } = read(header);
    assert.ok(at > 0);
    const peer = proxiedPeer(BELOW, reader);
    assert.ok(!isLocal(peer), header.toString('latin1'));
    assert.ok(isExposed(peer));
  }
  const secured = proxiedPeer(BELOW, read(binary(0x21, 0x11, IPV4, TLS_FIELD)).reader);
  assert.ok(!isExposed(secured) && !isLocal(secured));
  assert.equal(secured.remote?.host, '203.0.113.7');
  assert.equal(secured.below, BELOW);
});

test('who is trusted: ranges, single addresses, those of a Unix socket', () => {
  const proxies = new TrustedProxies(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32']);
  const has = (host: string) => proxies.has({ host, port: 1 });
  for (const host of ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3', '192.0.2.1', '2001:db8:1::1'])
    assert.ok(has(host), host);
  for (const host of ['11.0.0.0', '192.0.2.2', '127.0.0.1', '::1', '2001:db9::1', 'fe80::1%lo', ''])
    assert.ok(!has(host), host);
  assert.ok(!proxies.has(null));
  assert.ok(new TrustedProxies(['unix']).has(null));
  for (const entry of ['10.0.0.0/8', '10.0.0.1', '::/0', 'unix']) assert.equal(proxyEntryProblem(entry), null);
  for (const entry of [
    '',
    '10.0.0.0/33',
    '10.0.0/8',
    'localhost',
    'fe80::1%lo',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '/tmp/s',
    '*',
  ])
    assert.notEqual(proxyEntryProblem(entry), null, entry);
});

test('any bytes neither throw nor are taken for more than they are', () => {
  const shapes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.string({ maxLength: 120 }).map((text) => Buffer.from(`PROXY ${text}`)),
    fc
      .tuple(fc.constantFrom(0x20, 0x21), fc.constantFrom(0, 0x11, 0x21, 0x31), fc.uint8Array({ maxLength: 300 }))
      .map(([command, family, rest]) => binary(command, family, rest)),
  );
  fc.assert(
    fc.property(shapes, (bytes) => {
      const reader = new ProxyHeaderReader();
      const next = reader.read(bytes, 0, bytes.length);
      assert.ok(next === MORE || next === BAD || (next > 0 && next <= bytes.length));
      assert.equal(next === BAD, reader.fault !== null);
    }),
  );
});

// ---- the session -----------------------------------------------------------------------------------------------------

function joined(options: { cut?: number; refuse?: boolean } = {}) {
  const world = new World(1);
  const behind: { session: Recorder; peer: Peer }[] = [];
  const came: Peer[] = [];
  let client!: Recorder;
  const link = linkPipes(
    world,
    (pipe) => (client = new Recorder(pipe)),
    (pipe) =>
      new ProxyHeaderSession(pipe, world.turn.clock, {
        protocol: 'test',
        came: (_pipe, peer) => {
          came.push(peer);
          return options.refuse !== true;
        },
        make: (made: Pipe) => {
          const session = new Recorder(made);
          behind.push({ session, peer: made.peer });
          return session;
        },
      }),
    { cut: options.cut ?? 0 },
  );
  return { world, behind, came, client, link };
}

const HEADERS = [line('PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n'), binary(0x21, 0x11, IPV4, TLS_FIELD)];

test('however the header is cut, the client’s first bytes reach its protocol whole', () => {
  for (const header of HEADERS)
    for (const cut of [0, 1, 2, 7]) {
      const { world, behind, came, client } = joined({ cut });
      const said = Buffer.concat([header, Buffer.from('HELO\r\n')]);
      client.pipe.out.copy(said, 0, said.length);
      client.pipe.flush();
      world.pass(2_000);
      assert.equal(behind.length, 1);
      assert.equal(behind[0]!.session.text, 'HELO\r\n');
      assert.equal(came[0]?.remote?.host, '203.0.113.7');
      behind[0]!.session.say('yes');
      world.pass(100);
      assert.equal(client.text, 'yes');
      assert.deepEqual(world.bugs, []);
    }
});

test('a header alone begins the protocol: its server may speak first', () => {
  const { world, behind, client } = joined();
  client.say('PROXY UNKNOWN\r\n');
  world.pass(100);
  assert.equal(behind.length, 1);
  assert.equal(behind[0]!.session.text, '');
});

test('what is no header, or comes late, ends the connection, and nothing is begun', () => {
  for (const said of ['GET / HTTP/1.1\r\n\r\n', 'PROXY TCP4 x\r\n', 'PROXY TC', '']) {
    const { world, behind, came, client } = joined();
    if (said !== '') client.say(said);
    world.pass(10_000);
    assert.deepEqual([behind.length, came.length], [0, 0]);
    assert.ok(client.heardEnd, JSON.stringify(said));
    assert.deepEqual(world.bugs, []);
  }
});

test('a client that is not let in is reset, and nothing is begun', () => {
  const { world, behind, client } = joined({ refuse: true });
  client.say('PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\nHELO\r\n');
  world.pass(100);
  assert.equal(behind.length, 0);
  assert.ok(client.heardEnd);
});

test('the doorkeeper counts whom a proxy comes for, and gives back what it refused', () => {
  const doorkeeper = new Doorkeeper({
    connectionsMax: 10,
    connectionsPerAddressMax: 2,
    connectionsPerSecondMax: 100,
    faultsPerMinuteMax: 1,
  });
  const client = { host: '203.0.113.7', port: 1 };
  for (let count = 0; count < 3; count++) assert.equal(doorkeeper.admit(null, 0), null);
  assert.equal(doorkeeper.moved(null, client, 0), null);
  assert.equal(doorkeeper.moved(null, client, 0), null);
  assert.notEqual(doorkeeper.moved(null, client, 0), null);
  assert.equal(doorkeeper.open, 3);
  doorkeeper.left(client);
  assert.equal(doorkeeper.moved(null, client, 0), null);
  doorkeeper.left(client);
  doorkeeper.left(client);
  assert.equal(doorkeeper.open, 0);
  doorkeeper.failed(client, 0);
  assert.equal(doorkeeper.admit(null, 0), null);
  assert.notEqual(doorkeeper.moved(null, client, 0), null);
});
