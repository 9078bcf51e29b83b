// What every protection of packets has to do, whoever does the arithmetic: the vectors of the RFCs, and properties. A native
// twin is held to the same.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { TAG_BYTES, VERSION_1, VERSION_2 } from '../crypto.ts';
import type { Ciphers } from './ciphers.ts';
import { initialProtection } from './initial.ts';
import { LevelProtection } from './protection.ts';
import { SUITES, type Suite, suiteOf } from './suites.ts';
import { opened, sealed } from './testing/packets.ts';
import { CLIENT_PAYLOAD, CONNECTION_ID, SAMPLES, SERVER_PAYLOAD } from './vectors/vectors.ts';

const hex = (text: string) => Buffer.from(text, 'hex');
const ID = hex(CONNECTION_ID);
const NEVER = Number.POSITIVE_INFINITY;

/** Two ends of one level with each other's secrets. */
export function pair(suite: Suite, ciphers: Ciphers, wear?: { sealsMax: number; failuresMax: number }) {
  const secret = (seed: string) => createHash(suite.hash).update(seed).digest();
  const make = () => new LevelProtection(VERSION_1, suite, true, ciphers, wear);
  const [one, other] = [make(), make()];
  one.sealWith(secret('one'));
  other.openWith(secret('one'));
  other.sealWith(secret('other'));
  one.openWith(secret('other'));
  return { one, other };
}

export function protectionSuite(name: string, ciphers: Ciphers): void {
  for (const sample of SAMPLES) {
    const { version, spec } = sample;
    test(`${name}: ${spec} §A.2, a client's Initial`, () => {
      const client = initialProtection(version, ID, 'client', ciphers);
      const header = hex(sample.clientHeader);
      const packet = Buffer.alloc(1_200);
      header.copy(packet);
      hex(CLIENT_PAYLOAD).copy(packet, header.length);
      const plain = Buffer.from(packet);
      assert.equal(client.seal(packet, 0, 18, 4, 1_184, 2), 1_200);
      assert.equal(packet.toString('hex', 22, 38), sample.clientSample);
      client.mask();
      assert.equal(packet.toString('hex', 0, 48), sample.clientProtected);
      assert.equal(packet.toString('hex', 1_184), sample.clientTag);
      const server = initialProtection(version, ID, 'server', ciphers);
      assert.equal(server.unmask(packet, 0, 18, 1_200), 4);
      assert.equal(server.open(packet, 0, 22, 1_200, 2, 0), 1_184);
      assert.ok(packet.subarray(0, 1_184).equals(plain.subarray(0, 1_184)));
    });

    test(`${name}: ${spec} §A.3, a server's Initial, alone and amid a datagram`, () => {
      const server = initialProtection(version, ID, 'server', ciphers);
      const header = hex(sample.serverHeader);
      const payload = hex(SERVER_PAYLOAD);
      const end = header.length + payload.length;
      const datagram = Buffer.alloc(100 + end + TAG_BYTES);
      for (const start of [0, 100]) {
        datagram.set([...header, ...payload], start);
        server.seal(datagram, start, start + 18, 2, start + end, 1);
        server.mask();
        assert.equal(datagram.toString('hex', start, start + end + TAG_BYTES), sample.serverPacket);
      }
      const client = initialProtection(version, ID, 'client', ciphers);
      assert.equal(client.unmask(datagram, 100, 118, datagram.length), 2);
      assert.equal(client.open(datagram, 100, 120, datagram.length, 1, 0), 100 + end);
      assert.equal(datagram.toString('hex', 120, 100 + end), SERVER_PAYLOAD);
    });

    test(`${name}: ${spec} §A.5, a short header with ChaCha20-Poly1305`, () => {
      const server = new LevelProtection(version, suiteOf(0x1303)!, true, ciphers);
      server.sealWith(hex(sample.chacha.secret));
      const packet = Buffer.from(`4200bff401${'00'.repeat(16)}`, 'hex');
      assert.equal(server.seal(packet, 0, 1, 3, 5, 654_360_564), 21);
      server.mask();
      assert.equal(packet.toString('hex'), sample.chacha.packet);
    });
  }

  test(`${name}: a packet for one version or of one's own is not opened`, () => {
    const client = initialProtection(VERSION_1, ID, 'client', ciphers) as LevelProtection;
    const packet = sealed(client, 7, Buffer.alloc(40, 1), { header: [0xc3, 1, 2, 3] });
    for (const [version, role] of [
      [VERSION_2, 'server'],
      [VERSION_1, 'client'],
    ] as const)
      assert.equal(opened(initialProtection(version, ID, role, ciphers) as LevelProtection, packet, 7), null);
    assert.ok(opened(initialProtection(VERSION_1, ID, 'server', ciphers) as LevelProtection, packet, 7));
  });

  for (const suite of SUITES) {
    const called = `${name}, ${suite.name}`;
    test(`${called}: whatever payload and number come out as they went in; one bit changed and nothing does`, () => {
      const { one, other } = pair(suite, ciphers);
      fc.assert(
        fc.property(
          fc.uint8Array({ minLength: 4, maxLength: 1_500 }),
          fc.integer({ min: 0, max: 2 ** 53 - 1 }),
          fc.integer({ min: 1, max: 4 }),
          fc.nat(),
          (payload, number, numberBytes, spoil) => {
            const packet = sealed(one, number, payload, { numberBytes });
            assert.ok(opened(other, packet, number)!.equals(payload));
            assert.equal(opened(other, packet, number === 0 ? 1 : number - 1), null);
            const bad = Buffer.from(packet);
            bad[spoil % bad.length]! ^= 1 << (spoil % 8);
            assert.equal(opened(other, bad, number), null);
          },
        ),
        { numRuns: 150 },
      );
    });

    test(`${called}: the masks of a batch are those of packets one by one`, () => {
      const { one, other } = pair(suite, ciphers);
      const packets = Array.from({ length: 150 }, (_, number) =>
        sealed(one, number, Buffer.alloc(4 + (number % 60), number), { numberBytes: 1 + (number % 4), mask: false }),
      );
      one.mask();
      one.mask();
      packets.forEach((packet, number) => {
        assert.ok(opened(other, packet, number)!.equals(Buffer.alloc(4 + (number % 60), number)), String(number));
      });
    });

    test(`${called}: packets of two connections that wait together are masked each with its own`, () => {
      const pairs = [pair(suite, ciphers), pair(SUITES[0]!, ciphers)];
      const packets = Array.from({ length: 90 }, (_, number) => {
        const { one } = pairs[number % 3 === 0 ? 0 : 1]!;
        return sealed(one, number, Buffer.alloc(20, number), { mask: false });
      });
      pairs[1]!.one.mask();
      const more = sealed(pairs[1]!.one, 90, Buffer.alloc(20, 90), { mask: false });
      pairs[0]!.one.mask();
      pairs[1]!.one.mask();
      [...packets, more].forEach((packet, number) => {
        const { other } = pairs[number % 3 === 0 && number < 90 ? 0 : 1]!;
        assert.ok(opened(other, packet, number)!.equals(Buffer.alloc(20, number)), String(number));
      });
    });

    test(`${called}: RFC 9001 §6, keys are updated from either end, over and over`, () => {
      const { one, other } = pair(suite, ciphers);
      let number = 0;
      const say = (from: LevelProtection, to: LevelProtection) => {
        const text = Buffer.from(`packet ${number}`);
        const packet = sealed(from, number, text);
        assert.ok(opened(to, packet, number)!.equals(text), `packet ${number}`);
        from.acknowledged(number, number, number + 30);
        number++;
      };
      for (let round = 0; round < 6; round++) {
        const [from, to] = round % 2 === 0 ? [one, other] : [other, one];
        assert.equal(from.update(), true);
        // §6.1: not again before the peer has answered in the new phase.
        assert.equal(from.update(), false);
        say(from, to);
        assert.equal(from.update(), false);
        assert.equal(to.phase, from.phase);
        assert.equal(from.phase, (round + 1) % 2);
        assert.equal(to.update(), false);
        say(to, from);
        say(from, to);
        say(to, from);
      }
    });

    test(`${called}: RFC 9001 §6.5, packets of before an update still open, until the old keys go`, () => {
      const { one, other } = pair(suite, ciphers);
      const late = [0, 1, 2].map((number) => sealed(one, number, Buffer.from(`late ${number}`)));
      assert.ok(opened(other, sealed(one, 3, Buffer.from('first')), 3));
      one.update();
      assert.ok(opened(other, sealed(one, 5, Buffer.from('new phase')), 5, 100));
      assert.ok(opened(other, sealed(one, 4, Buffer.from('new, reordered')), 4, 100));
      assert.equal(String(opened(other, late[0]!, 0, 110)), 'late 0');
      // The answer in the new phase is acknowledged.
      sealed(other, 10, Buffer.from('answer'));
      other.acknowledged(9, 120, 130);
      assert.equal(String(opened(other, late[1]!, 1, 150)), 'late 1');
      other.acknowledged(10, 150, 180);
      assert.equal(String(opened(other, late[1]!, 1, 179)), 'late 1');
      assert.equal(opened(other, late[2]!, 2, 180), null);
      // And what is new goes on.
      assert.ok(opened(other, sealed(one, 6, Buffer.from('still there')), 6, 190));
    });

    test(`${called}: a phase bit that was turned over is not an update`, () => {
      const { one, other } = pair(suite, ciphers);
      for (let number = 0; number < 20; number++) {
        const packet = sealed(one, number, Buffer.from('hello'));
        packet[0]! ^= 0x04;
        assert.equal(opened(other, packet, number), null);
        assert.equal(other.phase, 0);
        packet[0]! ^= 0x04;
        assert.ok(opened(other, packet, number));
      }
    });

    test(`${called}: RFC 9001 §6.6, keys wear out`, () => {
      const { one, other } = pair(suite, ciphers, { sealsMax: 3, failuresMax: 4 });
      for (let number = 0; number < 3; number++) {
        assert.equal(one.sealsLeft, 3 - number);
        assert.ok(opened(other, sealed(one, number, Buffer.from('hello')), number));
      }
      assert.equal(one.sealsLeft, 0);
      one.acknowledged(2, 0, NEVER);
      assert.equal(one.update(), true);
      assert.equal(one.sealsLeft, 3);
      for (let number = 3; number < 7; number++) {
        assert.equal(other.worn, false);
        const packet = sealed(one, number, Buffer.from('hello'));
        packet[packet.length - 1]! ^= 1;
        assert.equal(opened(other, packet, number), null);
      }
      assert.equal(other.worn, true);
    });
  }

  test(`${name}: one direction at a time, and none after it was discarded`, () => {
    const suite = SUITES[1]!;
    const { one } = pair(suite, ciphers);
    const half = new LevelProtection(VERSION_1, suite, false, ciphers);
    assert.deepEqual([half.canSeal, half.canOpen, half.sealsLeft], [false, false, 0]);
    assert.equal(opened(half, sealed(one, 1, Buffer.alloc(20)), 1), null);
    assert.throws(() => sealed(half, 1, Buffer.alloc(20)), RangeError);
    half.openWith(createHash('sha384').update('one').digest());
    assert.deepEqual([half.canSeal, half.canOpen], [false, true]);
    const packet = sealed(one, 1, Buffer.alloc(20, 3));
    assert.ok(opened(half, packet, 1));
    assert.equal(half.update(), false);
    half.discard();
    one.discard();
    assert.deepEqual([half.canOpen, one.canSeal, one.canOpen], [false, false, false]);
    assert.equal(opened(half, packet, 1), null);
    half.discard();
  });

  test(`${name}: a packet too short for a sample is left alone`, () => {
    const { one } = pair(SUITES[0]!, ciphers);
    for (let size = 4; size < 24; size++) {
      const packet = Buffer.alloc(size, 0x55);
      assert.equal(one.unmask(packet, 0, 4, size), 0);
      assert.ok(packet.equals(Buffer.alloc(size, 0x55)));
    }
  });

  test(`${name}: bytes of chance neither throw nor open`, () => {
    for (const suite of SUITES) {
      const { one } = pair(suite, ciphers);
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
          assert.equal(opened(one, Buffer.from(bytes), 5), null);
        }),
        { numRuns: 100 },
      );
    }
  });
}
