import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BAD } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { bindLimits } from '../../core/limits.ts';
import { PacketReader, type ReaderBounds, type Sender } from './codec.ts';
import { codecFaults } from './faults.ts';
import { limits } from './limits.ts';
import type { Version } from './packets.ts';
import { bytesOf, ROOMY } from './samples.ts';

type Row = readonly [name: keyof typeof codecFaults, sender: Sender, version: Version | 0, hex: string];

/** Bytes that break each rule, and nothing else. */
const ROWS: readonly Row[] = [
  // ---- the fixed header
  ['packetType', 'client', 5, '00 00'],
  ['packetType', 'client', 4, 'f0 00'],
  ['packetType', 'server', 3, 'f0 00'],
  ['headerFlags', 'client', 5, '80 06 0001 00 0001 61 00'],
  ['headerFlags', 'client', 4, '60 02 0001'],
  ['headerFlags', 'client', 3, '60 02 0001'],
  ['headerFlags', 'client', 5, 'c1 00'],
  ['headerFlags', 'client', 0, '12 00'],
  ['headerFlags', 'server', 4, '41 02 0001'],
  ['qosThree', 'client', 4, '36 05 0001 61 0001'],
  ['qosThree', 'server', 5, '36 06 0001 61 0001 00'],
  ['dupQosZero', 'client', 4, '38 03 0001 61'],
  ['dupQosZero', 'client', 5, '38 04 0001 61 00'],
  ['remainingLength', 'client', 4, '30 ff ff ff ff 01'],
  ['remainingLength', 'client', 0, '10 80 80 80 80 00'],
  ['lengthNotMinimal', 'client', 5, 'c0 80 00'],
  ['lengthNotMinimal', 'client', 0, '10 90 00 0004 4d515454 05 02 0000 00 0003 616263'],
  ['lengthNotMinimal', 'client', 5, '30 05 0001 61 80 00'],
  ['lengthNotMinimal', 'client', 5, '82 09 0001 03 0b 81 00 0000 00'],
  ['packetTooLarge', 'client', 4, '30 ff ff ff 7f'],
  ['firstNotConnect', 'client', 0, 'c0 00'],
  ['firstNotConnect', 'client', 0, '30'],
  ['firstNotConnect', 'client', 0, '47 45 54 20 2f'],
  ['secondConnect', 'client', 4, '10'],
  ['wrongDirection', 'client', 4, '20 02 00 00'],
  ['wrongDirection', 'client', 5, 'd0 00'],
  ['wrongDirection', 'client', 0, '90'],
  ['wrongDirection', 'server', 5, 'c0 00'],
  ['wrongDirection', 'server', 5, '10 00'],
  ['wrongDirection', 'server', 4, 'e0 00'],
  // ---- fields
  ['truncated', 'client', 4, '30 00'],
  ['truncated', 'client', 4, '30 02 0001'],
  ['truncated', 'client', 4, '32 03 0001 61'],
  ['truncated', 'client', 5, '30 03 0001 61'],
  ['truncated', 'client', 5, '30 05 0001 61 02 01'],
  ['truncated', 'client', 5, '30 07 0001 61 03 02 00 00'],
  ['truncated', 'client', 5, '30 06 0001 61 02 23 00'],
  ['truncated', 'client', 5, '30 07 0001 61 03 09 00 01'],
  ['truncated', 'client', 5, '30 05 0001 61 01 01'],
  ['truncated', 'client', 4, '40 01 00'],
  ['truncated', 'client', 4, '82 05 0001 0002 61'],
  ['truncated', 'client', 4, '82 05 0001 0001 61'],
  ['truncated', 'client', 5, '82 05 0001 02 0b 80'],
  ['truncated', 'client', 0, '10 06 0004 4d515454'],
  ['truncated', 'client', 0, '10 09 0004 4d515454 04 02 00'],
  ['truncated', 'client', 0, '10 0b 0004 4d515454 04 02 0000 00'],
  ['truncated', 'client', 0, '10 0d 0004 4d515454 04 82 0000 0000 00'],
  ['truncated', 'client', 0, '10 10 0004 4d515454 04 c2 0000 0000 0000 0005'],
  ['truncated', 'client', 0, '10 11 0004 4d515454 04 06 0000 0000 0001 77 0005'],
  ['truncated', 'server', 5, '20 01 00'],
  ['truncated', 'server', 5, '20 02 00 00'],
  ['trailingBytes', 'client', 4, '40 03 0001 00'],
  ['trailingBytes', 'client', 5, '40 05 0001 00 00 00'],
  ['trailingBytes', 'client', 5, 'c0 01 00'],
  ['trailingBytes', 'client', 4, 'e0 01 00'],
  ['trailingBytes', 'client', 0, '10 0d 0004 4d515454 04 02 0000 0000 00'],
  ['trailingBytes', 'server', 4, 'b0 03 0001 00'],
  ['notUtf8', 'client', 4, '30 03 0001 ff'],
  ['notUtf8', 'client', 4, '30 05 0003 eda080'],
  ['notUtf8', 'client', 4, '30 04 0002 c080'],
  ['notUtf8', 'client', 4, '82 08 0001 0003 61c328 00'],
  ['notUtf8', 'client', 5, '30 08 0001 61 04 03 0001 80'],
  ['notUtf8', 'client', 5, '30 0a 0001 61 06 26 0001 80 0000'],
  ['notUtf8', 'client', 5, '30 0a 0001 61 06 26 0000 0001 80'],
  ['notUtf8', 'client', 0, '10 0e 0004 4d515454 04 02 0000 0002 c3 28'],
  ['nulInText', 'client', 4, '30 03 0001 00'],
  ['nulInText', 'client', 4, '30 05 0003 c3a900'],
  ['nulInText', 'client', 4, 'a2 05 0001 0001 00'],
  ['packetIdZero', 'client', 4, '32 05 0001 61 0000'],
  ['packetIdZero', 'client', 4, '40 02 0000'],
  ['packetIdZero', 'client', 4, '82 06 0000 0001 61 00'],
  ['packetIdZero', 'client', 5, 'a2 06 0000 00 0001 61'],
  ['packetIdZero', 'server', 5, '90 04 0000 00 00'],
  ['reasonCode', 'client', 5, '40 03 0001 01'],
  ['reasonCode', 'client', 5, '62 03 0001 80'],
  ['reasonCode', 'client', 5, 'e0 01 8b'],
  ['reasonCode', 'client', 5, 'f0 00'],
  ['reasonCode', 'client', 5, 'f0 02 00 00'],
  ['reasonCode', 'server', 5, 'f0 02 19 00'],
  ['reasonCode', 'server', 5, 'e0 01 04'],
  ['reasonCode', 'server', 5, '90 04 0001 00 03'],
  ['reasonCode', 'server', 4, '90 03 0001 03'],
  ['reasonCode', 'server', 4, '20 02 00 06'],
  ['reasonCode', 'server', 5, '20 03 00 01 00'],
  ['reasonCode', 'server', 5, 'b0 04 0001 00 01'],
  // ---- CONNECT and CONNACK
  ['protocolName', 'client', 0, '10 0c 0004 4d515458 04 02 0000 0000'],
  ['protocolName', 'client', 0, '10 0a 0002 4d51 04 02 0000 0000'],
  ['unsupportedVersion', 'client', 0, '10 0c 0004 4d515454 06 02 0000 0000'],
  ['unsupportedVersion', 'client', 0, '10 0c 0004 4d515454 03 02 0000 0000'],
  ['unsupportedVersion', 'client', 0, '10 0c 0004 4d515454 84 02 0000 0000'],
  ['unsupportedVersion', 'client', 0, '10 0e 0006 4d5149736470 04 02 0000 0000'],
  ['connectReserved', 'client', 0, '10 0c 0004 4d515454 04 03 0000 0000'],
  ['connectReserved', 'client', 0, '10 0d 0004 4d515454 05 03 0000 00 0000'],
  ['willFlags', 'client', 0, '10 0c 0004 4d515454 04 22 0000 0000'],
  ['willFlags', 'client', 0, '10 0c 0004 4d515454 04 0a 0000 0000'],
  ['willQos', 'client', 0, '10 12 0004 4d515454 04 1e 0000 0000 0001 77 0001 78'],
  ['willQos', 'client', 0, '10 14 0006 4d5149736470 03 1e 0000 0000 0001 77 0001 78'],
  ['passwordWithoutName', 'client', 0, '10 0f 0004 4d515454 04 42 0000 0000 0001 70'],
  ['connackFlags', 'server', 4, '20 02 02 00'],
  ['connackFlags', 'server', 5, '20 03 03 00 00'],
  ['sessionPresentRefused', 'server', 4, '20 02 01 05'],
  ['sessionPresentRefused', 'server', 5, '20 03 01 87 00'],
  // ---- topics
  ['topicEmpty', 'client', 4, '30 02 0000'],
  ['topicEmpty', 'client', 5, '30 03 0000 00'],
  ['topicEmpty', 'client', 0, '10 11 0004 4d515454 04 06 0000 0000 0000 0001 78'],
  ['topicWildcard', 'client', 4, '30 03 0001 23'],
  ['topicWildcard', 'client', 5, '30 06 0003 612f2b 00'],
  ['topicWildcard', 'client', 4, '30 05 0003 c3a923'],
  ['topicWildcard', 'client', 0, '10 12 0004 4d515454 04 06 0000 0000 0001 23 0001 78'],
  ['responseTopicWildcard', 'client', 5, '30 08 0001 61 04 08 0001 23'],
  ['topicAliasZero', 'client', 5, '30 07 0001 61 03 23 0000'],
  ['noSubscriptions', 'client', 4, '82 02 0001'],
  ['noSubscriptions', 'client', 5, '82 03 0001 00'],
  ['noUnsubscriptions', 'client', 4, 'a2 02 0001'],
  ['noReasons', 'server', 4, '90 02 0001'],
  ['noReasons', 'server', 5, 'b0 03 0001 00'],
  ['subscriptionOptions', 'client', 4, '82 06 0001 0001 61 04'],
  ['subscriptionOptions', 'client', 5, '82 07 0001 00 0001 61 40'],
  ['subscriptionQos', 'client', 4, '82 06 0001 0001 61 03'],
  ['subscriptionQos', 'client', 3, '82 06 0001 0001 61 03'],
  ['retainHandling', 'client', 5, '82 07 0001 00 0001 61 30'],
  ['noLocalShared', 'client', 5, '82 10 0001 00 000a 2473686172652f672f61 04'],
  // ---- properties
  ['propertyUnknown', 'client', 5, '30 06 0001 61 02 7e 00'],
  ['propertyUnknown', 'client', 5, '30 06 0001 61 02 04 00'],
  ['propertyUnknown', 'client', 5, '30 06 0001 61 02 81 00'],
  ['propertyMisplaced', 'client', 5, '30 09 0001 61 05 11 00000001'],
  ['propertyMisplaced', 'client', 5, '40 06 0001 00 02 01 01'],
  ['propertyMisplaced', 'server', 5, 'e0 07 00 05 11 00000001'],
  ['propertyMisplaced', 'client', 5, 'e0 06 00 04 1c 0001 61'],
  ['propertyMisplaced', 'client', 0, '10 12 0004 4d515454 05 02 0000 05 18 00000001 0000'],
  ['propertyTwice', 'client', 5, '30 08 0001 61 04 01 00 01 00'],
  ['propertyTwice', 'client', 5, '30 0a 0001 61 06 23 0001 23 0001'],
  ['propertyTwice', 'client', 5, '82 0b 0001 04 0b 01 0b 02 0001 61 00'],
  ['propertyValue', 'client', 5, '30 06 0001 61 02 01 02'],
  ['propertyValue', 'client', 0, '10 10 0004 4d515454 05 02 0000 03 21 0000 0000'],
  ['propertyValue', 'client', 0, '10 12 0004 4d515454 05 02 0000 05 27 00000000 0000'],
  ['propertyValue', 'server', 5, '20 05 00 00 02 24 02'],
  ['subscriptionIdZero', 'client', 5, '82 09 0001 02 0b 00 0001 61 00'],
  ['subscriptionIdFromClient', 'client', 5, '30 06 0001 61 02 0b 01'],
  ['authDataAlone', 'client', 0, '10 11 0004 4d515454 05 02 0000 04 16 0001 61 0000'],
  ['authDataAlone', 'server', 5, '20 07 00 00 04 16 0001 61'],
  ['authMethodMissing', 'client', 5, 'f0 02 18 00'],
  ['authMethodMissing', 'server', 5, 'f0 06 18 04 16 0001 61'],
  // ---- our bounds, which are 3 user properties and 2 filters here
  ['tooManyUserProperties', 'client', 5, `30 18 0001 61 14 ${'26 0000 0000 '.repeat(4)}`],
  ['tooManyFilters', 'client', 4, '82 0e 0001 0001 61 00 0001 62 00 0001 63 00'],
  ['tooManyFilters', 'client', 5, 'a2 0c 0001 00 0001 61 0001 62 0001 63'],
];

const NARROW: ReaderBounds = { packetBytesMax: 1_000, userPropertiesMax: 3, filtersMax: 2 };

/** Reads one packet, of which the bytes come one by one; the fault, or null when it was lawful. */
function faultOf(sender: Sender, version: Version | 0, bytes: Uint8Array, bounds: ReaderBounds): Fault | null {
  const whole = new PacketReader(sender, bounds);
  whole.version = version;
  const result = whole.read(bytes, 0, bytes.length);
  const piecemeal = new PacketReader(sender, bounds);
  piecemeal.version = version;
  let at = 0;
  for (let end = 1; end <= bytes.length && piecemeal.type === 0 && piecemeal.fault === null; end++) {
    const next = piecemeal.read(bytes, at, end);
    if (next >= 0) at = next;
  }
  if (result === BAD) assert.equal(piecemeal.fault, whole.fault);
  else assert.deepEqual([result, at], [bytes.length, bytes.length]);
  return result === BAD ? whole.fault : null;
}

for (const [name, sender, version, hex] of ROWS) {
  test(`${name}: ${hex.trim()} of a ${sender} at level ${version}`, () => {
    const bytes = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
    assert.equal(faultOf(sender, version, bytes, NARROW)?.id, codecFaults[name].id);
  });
}

test('every fault of the codec has bytes that produce it', () => {
  const tested = new Set(ROWS.map(([name]) => name));
  assert.deepEqual(
    Object.keys(codecFaults).filter((name) => !tested.has(name as keyof typeof codecFaults)),
    [],
  );
});

// ---- limits: at the bound, and one past it

/** A PUBLISH of exactly this size. */
function publish(size: number): Buffer {
  const sample = { type: 3, topic: 'a', qos: 0, retain: false, dup: false, packetId: 0, properties: {} } as const;
  for (let length = size; ; length--) {
    const bytes = bytesOf({ ...sample, payload: Buffer.alloc(length) }, 4);
    if (bytes.length === size) return bytes;
  }
}

function userProperties(count: number): Buffer {
  const user = Array.from({ length: count * 2 }, () => 'x');
  return bytesOf({ type: 10, packetId: 1, filters: ['a'], properties: { user } }, 5);
}

function filters(count: number): Buffer {
  return bytesOf({ type: 10, packetId: 1, filters: Array.from({ length: count }, () => 'a'), properties: {} }, 4);
}

const BY_SIZE = {
  packetBytesMax: [publish, 4],
  userPropertiesMax: [userProperties, 5],
  filtersMax: [filters, 4],
} as const;

for (const name of ['packetBytesMax', 'userPropertiesMax', 'filtersMax'] as const) {
  const [make, version] = BY_SIZE[name];
  const row = limits[name];
  for (const bound of [row.least, Math.max(row.least, 17), Math.min(row.default, 1_048_576)]) {
    test(`${name} ${bound}: lawful at the bound, ${row.fault.id} one past it`, () => {
      const bounds = { ...ROOMY, [name]: bound };
      assert.equal(faultOf('client', version, make(bound), bounds), null);
      assert.equal(faultOf('client', version, make(bound + 1), bounds), row.fault);
    });
  }
}

test('a CONNECT above its own bound is refused by its first bytes', () => {
  const reader = new PacketReader('client', { ...ROOMY, packetBytesMax: limits.connectBytesMax.default });
  assert.equal(reader.read(Uint8Array.of(0x10, 0x80, 0x80, 0x08), 0, 4), BAD);
  assert.equal(reader.fault, limits.connectBytesMax.fault);
});

test('the bounds of the limits hold', () => {
  for (const [name, row] of Object.entries(limits)) {
    assert.ok(row.least <= row.default && row.default <= row.most, name);
    assert.throws(() => bindLimits(limits, { [name]: row.most + 1 }), RangeError);
    assert.throws(() => bindLimits(limits, { [name]: row.least - 1 }), RangeError);
    assert.equal(bindLimits(limits, { [name]: row.most })[name as keyof typeof limits], row.most);
  }
});
