// The codec by the vectors of RFC 9000 §A, and by any bytes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Random } from '../../../sim/random.ts';
import { APPLICATION, EARLY, HANDSHAKE, INITIAL, VERSION_1, VERSION_2 } from '../crypto.ts';
import { transportFaults as faults } from '../faults.ts';
import { allowedAt, FrameReader } from './frames.ts';
import {
  fillLength,
  NEGOTIATION,
  numberBytes,
  PacketHeader,
  RETRY,
  UNKNOWN_VERSION,
  wholeNumber,
  writeLongHeader,
  writeNegotiation,
  writeRetry,
} from './packets.ts';
import { defaultParameters, isFault, type Parameters, readParameters, writeParameters } from './parameters.ts';
import { varintAt, varintBytes, varintEnd, writeVarint } from './varint.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('integers: the samples of RFC 9000 §A.1', () => {
  for (const [text, value] of [
    ['9d7f3e7d', 494_878_333],
    ['7bbd', 15_293],
    ['25', 37],
    ['4025', 37],
  ] as const) {
    const bytes = hex(text);
    assert.equal(varintEnd(bytes, 0, bytes.length), bytes.length);
    assert.equal(varintAt(bytes, 0), value);
  }
  // Beyond 2^53 the lowest bits are not kept.
  assert.equal(varintAt(hex('c2197c5eff14e88c'), 0), Number(151_288_809_941_952_652n));
  assert.equal(varintEnd(hex('c2197c5e'), 0, 4), -1);
});

test('integers come back as they were written', () => {
  const into = Buffer.alloc(8);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (value) => {
      const end = writeVarint(into, 0, value);
      assert.equal(end, varintBytes(value));
      assert.equal(varintAt(into, 0), value);
    }),
  );
});

test('packet numbers: the samples of RFC 9000 §A.2 and §A.3', () => {
  assert.equal(numberBytes(0xac5c02, 0xabe8b3), 2);
  assert.equal(numberBytes(0xace8fe, 0xabe8b3), 3);
  assert.equal(wholeNumber(0x9b32, 2, 0xa82f30ea), 0xa82f9b32);
});

test('packet numbers are found again whatever was acknowledged', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31 - 1), fc.nat(2 ** 20), fc.nat(2 ** 20), (acked, ahead, seen) => {
      const number = acked + 1 + ahead;
      const size = numberBytes(number, acked);
      const largest = Math.min(number - 1, acked + seen);
      assert.equal(wholeNumber(number % 2 ** (size * 8), size, largest), number);
    }),
  );
});

test('long headers of both versions, with their lengths', () => {
  const header = new PacketHeader();
  const bytes = Buffer.alloc(200);
  for (const version of [VERSION_1, VERSION_2] as const)
    for (const kind of [INITIAL, EARLY, HANDSHAKE] as const) {
      const token = kind === INITIAL ? hex('aabbcc') : hex('');
      const numberAt = writeLongHeader(bytes, 0, kind, 2, {
        version,
        destination: hex('0102030405060708'),
        source: hex('1112'),
        token,
      });
      fillLength(bytes, numberAt, numberAt + 50);
      assert.equal(header.read(bytes, 0, bytes.length, 8), numberAt + 50);
      assert.deepEqual([header.kind, header.version, header.numberAt], [kind, version, numberAt]);
      assert.equal(header.tokenEnd - header.tokenStart, token.length);
      assert.equal(header.sourceEnd - header.sourceStart, 2);
    }
});

test('Retry and Version Negotiation, and versions that nobody speaks (RFC 9000 §17.2)', () => {
  const header = new PacketHeader();
  const bytes = Buffer.alloc(200);
  const end = writeRetry(bytes, 0, {
    version: VERSION_2,
    destination: hex('01'),
    source: hex('02'),
    token: hex('0304'),
  });
  assert.equal(header.read(bytes, 0, end + 16, 8), end + 16);
  assert.deepEqual([header.kind, header.tokenEnd - header.tokenStart], [RETRY, 2]);
  const next = writeNegotiation(bytes, 0, hex('0a'), hex('0b'), [VERSION_1, VERSION_2], 0x55);
  header.read(bytes, 0, next, 8);
  assert.deepEqual([header.kind, next - header.sourceEnd], [NEGOTIATION, 8]);
  const unknown = hex('c0 1a2a3a4a 02 0102 01 03 ffff');
  header.read(unknown, 0, unknown.length, 8);
  assert.equal(header.kind, UNKNOWN_VERSION);
});

test('frames, each as RFC 9000 §19 draws it', () => {
  const reader = new FrameReader();
  const read = (text: string) => {
    const bytes = hex(text);
    assert.equal(reader.read(bytes, 0, bytes.length), bytes.length, text);
    return reader;
  };
  // ACK of 90 to 100 and of 80 to 85.
  assert.deepEqual(read('02 4064 05 01 0a 03 05').ranges, [90, 100, 80, 85]);
  const ecn = read('03 05 00 00 05 01 02 03');
  assert.deepEqual([ecn.ranges, ecn.ect0, ecn.ect1, ecn.ce], [[0, 5], 1, 2, 3]);
  const stream = read('0f 04 4400 03 616263');
  assert.deepEqual([stream.id, stream.offset, stream.dataEnd - stream.dataStart, stream.fin], [4, 1_024, 3, true]);
  const reset = read('04 08 4101 05');
  assert.deepEqual([reset.id, reset.code, reset.value], [8, 0x101, 5]);
  const id = read(`18 02 01 04 01020304 ${'ee'.repeat(16)}`);
  assert.deepEqual([id.value, id.retirePriorTo, id.dataEnd - id.dataStart], [2, 1, 4]);
  const close = read('1c 0a 06 02 6869');
  assert.deepEqual([close.code, close.value, close.dataEnd - close.dataStart], [10, 6, 2]);
  assert.equal(read('31 02 6869').type, 0x30);
});

test('frames that cannot be: the fault names the clause', () => {
  const reader = new FrameReader();
  for (const [text, fault] of [
    ['02 05 00 00 06', faults.ackRange],
    ['02 05 00 01 00 04 00', faults.ackRange],
    ['06 00 05 61', faults.frameShort],
    ['07 00', faults.tokenEmpty],
    [`18 01 02 04 01020304 ${'00'.repeat(16)}`, faults.retireBeyond],
    [`18 01 00 15 ${'00'.repeat(37)}`, faults.connectionIdLength],
    ['0c 00 ffffffffffffffff', faults.offsetTooLarge],
    ['12 d000000000000001', faults.streamsTooMany],
    ['17 d100000000000000', faults.streamsTooMany],
    ['1f', faults.frameUnknown],
    ['4001', faults.frameTypeLong],
    ['1a 00', faults.frameShort],
  ] as const) {
    const bytes = hex(text);
    assert.equal(reader.read(bytes, 0, bytes.length), -2, text);
    assert.equal(reader.fault, fault, text);
  }
  assert.ok(!allowedAt(0x08, HANDSHAKE) && !allowedAt(0x02, EARLY) && allowedAt(0x06, INITIAL));
  assert.ok(!allowedAt(0x1d, INITIAL) && allowedAt(0x1d, APPLICATION) && !allowedAt(0x1b, EARLY));
});

test('any bytes as frames and headers: no throw, and always onwards', () => {
  const reader = new FrameReader();
  const header = new PacketHeader();
  const random = new Random(1);
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.alloc(1 + random.below(60));
    random.fill(bytes);
    for (let at = 0; at < bytes.length; ) {
      const next = reader.read(bytes, at, bytes.length);
      if (next < 0) break;
      assert.ok(next > at && next <= bytes.length);
      at = next;
    }
    const end = header.read(bytes, 0, bytes.length, 8);
    assert.ok(end === -2 || (end > 0 && end <= bytes.length));
  }
});

test('transport parameters come back as they were written', () => {
  const given: Parameters = {
    ...defaultParameters(),
    originalDestination: hex('0102030405060708'),
    initialSource: hex('11'),
    retrySource: hex('22'),
    resetToken: hex('33'.repeat(16)),
    idleMs: 30_000,
    dataMax: 4_194_304,
    streamDataLocalMax: 7,
    streamsTwoWayMax: 100,
    noMigration: true,
    preferred: {
      v4: { host: '192.0.2.7', port: 4_433 },
      v6: { host: '2001:db8:0:0:0:0:0:1', port: 4_434 },
      id: hex('4455'),
      resetToken: hex('66'.repeat(16)),
    },
    datagramMax: 65_535,
    greaseBit: true,
    versionChosen: VERSION_1,
    versions: [VERSION_2, VERSION_1],
  };
  const bytes = writeParameters(given);
  assert.deepEqual(readParameters(bytes, 0, bytes.length, false), given);
  assert.equal(readParameters(bytes, 0, bytes.length, true), faults.parameterNotClients);
});

test('transport parameters that cannot be (RFC 9000 §7.4, §18.2)', () => {
  for (const [text, fault] of [
    ['0101 05 0101 05', faults.parameterTwice],
    ['0302 4400', faults.parameterValue],
    ['0a01 15', faults.parameterValue],
    ['0e01 01', faults.parameterValue],
    ['0201 00', faults.parameterValue],
    ['0102 05', faults.parametersMalformed],
    ['1103 000000', faults.parametersMalformed],
  ] as const) {
    const bytes = hex(text);
    assert.equal(readParameters(bytes, 0, bytes.length, false), fault, text);
  }
  // What nobody knows is let pass.
  const unknown = hex('7fff 02 abcd 0101 07');
  const read = readParameters(unknown, 0, unknown.length, true);
  assert.ok(!isFault(read) && read.idleMs === 7);
});
