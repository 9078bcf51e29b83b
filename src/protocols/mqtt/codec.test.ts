import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BAD, MORE } from '../../bytes/reader.ts';
import { beginsWithConnect, COLLECT_LEAST, PacketReader, type Sender } from './codec.ts';
import { fuzz } from './fuzz.ts';
import * as P from './packets.ts';
import { bytesOf, connectSamples, ROOMY, type Sample, sampleOf, samples, textOf } from './samples.ts';
import { VECTORS } from './vectors/packets.ts';

const VERSIONS = [P.V31, P.V311, P.V5] as const;
const SENDERS: readonly Sender[] = ['client', 'server'];

function readerFor(sender: Sender, version: P.Version | 0): PacketReader {
  const reader = new PacketReader(sender, ROOMY);
  reader.version = version;
  return reader;
}

function idOf(reader: PacketReader): string {
  return reader.fault?.id ?? 'no fault';
}

/** Reads all packets out of `input`, which comes in pieces of at most `size` bytes as a pipe would offer it. */
function readAll(reader: PacketReader, input: Uint8Array, size: () => number): string[] {
  const found: string[] = [];
  let from = 0;
  let have = 0;
  while (have < input.length) {
    have = Math.min(input.length, have + size());
    // Storage of its own, overwritten afterwards, as a pipe's is.
    const offered = Buffer.from(input.subarray(from, have));
    let at = 0;
    while (at < offered.length) {
      const next = reader.read(offered, at, offered.length);
      if (next === MORE) break;
      if (next === BAD) return [...found, reader.fault!.id];
      assert.ok(next > at && next <= offered.length);
      if (reader.type !== 0) found.push(textOf(sampleOf(reader)));
      at = next;
    }
    offered.fill(0xa5);
    from += at;
  }
  return found;
}

for (const version of VERSIONS) {
  test(`what is written is read again, level ${version}`, () => {
    for (const sender of SENDERS) {
      fc.assert(
        fc.property(samples(version, sender), (sample) => {
          const bytes = bytesOf(sample, version);
          const reader = readerFor(sender, version);
          assert.equal(reader.read(bytes, 0, bytes.length), bytes.length, idOf(reader));
          assert.equal(reader.size, bytes.length);
          assert.equal(textOf(sampleOf(reader)), textOf(sample));
        }),
        { numRuns: 2_000 },
      );
    }
  });

  test(`a CONNECT that is written is read again, level ${version}`, () => {
    fc.assert(
      fc.property(connectSamples(version), (sample) => {
        const bytes = bytesOf(sample, version);
        const reader = readerFor('client', 0);
        assert.equal(reader.read(bytes, 0, bytes.length), bytes.length, idOf(reader));
        assert.equal(textOf(sampleOf(reader)), textOf(sample));
        assert.equal(reader.version, version);
        for (let end = 0; end <= Math.min(24, bytes.length); end++)
          assert.notEqual(beginsWithConnect(bytes, 0, end), false);
        assert.equal(beginsWithConnect(bytes, 0, Math.min(24, bytes.length)), true);
      }),
      { numRuns: 1_000 },
    );
  });

  test(`however the bytes are cut, the packets are the same, level ${version}`, () => {
    fc.assert(
      fc.property(
        connectSamples(version),
        fc.array(samples(version, 'client'), { maxLength: 6 }),
        fc.integer({ min: 1, max: 40 }),
        fc.option(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))),
        (first, others, most, damage) => {
          const bytes = Buffer.concat([first, ...others].map((sample) => bytesOf(sample, version)));
          if (damage !== null) bytes[damage[0] % bytes.length] = damage[1];
          const whole = readAll(readerFor('client', 0), bytes, () => bytes.length);
          let turn = 0;
          const cut = readAll(readerFor('client', 0), bytes, () => 1 + ((turn++ * 7) % most));
          assert.deepEqual(cut, whole);
          if (damage === null) assert.equal(whole.length, 1 + others.length);
        },
      ),
      { numRuns: 500 },
    );
  });
}

test('a large packet is taken as it comes, whatever its cuts, and its payload may be kept', () => {
  for (const length of [COLLECT_LEAST - 20, COLLECT_LEAST + 20, 65_536, 300_000]) {
    const payload = Buffer.alloc(length, 'abcdefg');
    const sample: Sample = {
      type: P.PUBLISH,
      topic: 'large',
      payload,
      qos: 1,
      retain: false,
      dup: false,
      packetId: 9,
      properties: { contentType: 'x' },
    };
    const bytes = Buffer.concat([bytesOf(sample, P.V5), bytesOf({ type: P.PINGREQ }, P.V5), bytesOf(sample, P.V5)]);
    for (const size of [1_000, 16_384, 65_536, bytes.length]) {
      const found = readAll(readerFor('client', P.V5), bytes, () => size);
      assert.deepEqual(found, [textOf(sample), textOf({ type: P.PINGREQ }), textOf(sample)]);
    }
  }
});

test('little is set aside for a large packet that is only announced', () => {
  const reader = readerFor('client', P.V311);
  const before = process.memoryUsage().arrayBuffers;
  assert.equal(reader.read(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x3f, 0, 1), 0, 7), 7);
  assert.equal(reader.type, 0);
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
});

test('the same topic again is the same string', () => {
  const reader = readerFor('client', P.V311);
  const make = (topic: string) =>
    bytesOf(
      {
        type: P.PUBLISH,
        topic,
        payload: Buffer.alloc(0),
        qos: 0,
        retain: false,
        dup: false,
        packetId: 0,
        properties: {},
      },
      P.V311,
    );
  for (const topic of ['a/é', 'a/e', 'a/é', 'b/é', 'long'.repeat(100), 'a/é']) {
    const bytes = make(topic);
    for (let round = 0; round < 2; round++) {
      reader.read(bytes, 0, bytes.length);
      assert.equal(reader.topic(), topic);
    }
  }
});

for (const vector of VECTORS) {
  test(`${vector.spec}: ${vector.name}`, () => {
    const bytes = Buffer.from(vector.hex.replaceAll(/\s/g, ''), 'hex');
    const reader = readerFor(vector.sender, vector.packet.type === P.CONNECT ? 0 : vector.version);
    assert.equal(reader.read(bytes, 0, bytes.length), bytes.length, idOf(reader));
    assert.equal(textOf(sampleOf(reader)), textOf(vector.packet));
    // Some vectors show a longer form than we write.
    if (vector.written !== false)
      assert.equal(bytesOf(vector.packet, vector.version).toString('hex'), bytes.toString('hex'));
  });
}

test('a CONNECT is told from other first bytes', () => {
  const said = (text: string) => beginsWithConnect(Buffer.from(text, 'latin1'), 0, text.length);
  assert.equal(said(''), null);
  assert.equal(said('\x10'), null);
  assert.equal(said('\x10\x0c\x00\x04MQ'), null);
  assert.equal(said('\x10\x0c\x00\x04MQTT'), true);
  assert.equal(said('\x10\x80\x80\x01\x00\x06MQIsdp'), true);
  assert.equal(said('\x10\x0c\x00\x04MQTX'), false);
  assert.equal(said('\x10\xff\xff\xff\xff\x01'), false);
  assert.equal(said('GET / HTTP/1.1\r\n'), false);
  assert.equal(said('\x16\x03\x01\x02\x00\x01'), false);
});

test('any bytes neither throw nor hang', () => {
  const seed = Number(process.env.PORTICO_SEED ?? 1);
  fuzz(seed, Number(process.env.MQTT_FUZZ ?? 100_000));
});
