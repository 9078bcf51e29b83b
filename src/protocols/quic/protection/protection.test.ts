import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TAG_BYTES, VERSION_1, VERSION_2 } from '../crypto.ts';
import { PLAIN_CIPHERS, setNonce } from './ciphers.ts';
import { headerKey, initialSecrets, nextSecret, packetKeys } from './keys.ts';
import { expandLabel, hkdfExtract, labelInfo } from './labels.ts';
import { protectionSuite } from './protection-suite.ts';
import { checkRetry, sealRetry } from './retry.ts';
import { INITIAL_SUITE, suiteOf } from './suites.ts';
import { AddressTokens, ResetTokens } from './tokens.ts';
import { CONNECTION_ID, SAMPLES } from './vectors/vectors.ts';

const hex = (text: string) => Buffer.from(text, 'hex');
const ID = hex(CONNECTION_ID);

protectionSuite('plain', PLAIN_CIPHERS);

for (const sample of SAMPLES) {
  const { version, spec } = sample;
  test(`${spec} §A.1: labels, secrets and keys of Initial packets`, () => {
    const name = version === VERSION_2 ? 'quicv2' : 'quic';
    // Ours ends with the counter of HKDF-Expand, which is not in the sample.
    assert.equal(labelInfo('client in', 32, hex('')).toString('hex'), '00200f746c73313320636c69656e7420696e0001');
    assert.equal(labelInfo('server in', 32, hex('')).toString('hex'), '00200f746c7331332073657276657220696e0001');
    for (const [part, bytes] of [
      ['key', 16],
      ['iv', 12],
      ['hp', 16],
    ] as const)
      assert.equal(labelInfo(`${name} ${part}`, bytes, hex('')).toString('hex'), `${sample.labels[part]}01`);
    const salt =
      version === VERSION_2 ? '0dede3def700a6db819381be6e269dcbf9bd2ed9' : '38762cf7f55934b34d179ae6a4c80cadccbb7f0a';
    assert.equal(hkdfExtract('sha256', hex(salt), ID).toString('hex'), sample.initialSecret);
    const secrets = initialSecrets(version, ID);
    for (const side of ['client', 'server'] as const) {
      const secret = secrets[side];
      assert.equal(secret.toString('hex'), sample[side].secret);
      const { key, iv } = packetKeys(version, INITIAL_SUITE, secret);
      assert.equal(Buffer.from(key).toString('hex'), sample[side].key);
      assert.equal(Buffer.from(iv).toString('hex'), sample[side].iv);
      assert.equal(headerKey(version, INITIAL_SUITE, secret).toString('hex'), sample[side].hp);
    }
  });

  test(`${spec} §A.4: the tag of a Retry`, () => {
    const packet = hex(sample.retry);
    assert.ok(checkRetry(version, ID, packet, 0, packet.length));
    const end = packet.length - TAG_BYTES;
    const again = Buffer.alloc(packet.length + 10);
    packet.copy(again, 10, 0, end);
    assert.equal(sealRetry(version, ID, again, 10, 10 + end), again.length);
    assert.ok(again.subarray(10).equals(packet));
    assert.equal(checkRetry(version === VERSION_1 ? VERSION_2 : VERSION_1, ID, packet, 0, packet.length), false);
    assert.equal(checkRetry(version, ID.subarray(1), packet, 0, packet.length), false);
    assert.equal(checkRetry(version, ID, packet, 0, 15), false);
    for (let at = 0; at < packet.length; at++) {
      packet[at]! ^= 0x10;
      assert.equal(checkRetry(version, ID, packet, 0, packet.length), false, `byte ${at}`);
      packet[at]! ^= 0x10;
    }
  });

  test(`${spec} §A.5: keys of ChaCha20-Poly1305, the secret behind them, a nonce`, () => {
    const suite = suiteOf(0x1303)!;
    const secret = hex(sample.chacha.secret);
    const { key, iv } = packetKeys(version, suite, secret);
    assert.equal(Buffer.from(key).toString('hex'), sample.chacha.key);
    assert.equal(Buffer.from(iv).toString('hex'), sample.chacha.iv);
    assert.equal(headerKey(version, suite, secret).toString('hex'), sample.chacha.hp);
    assert.equal(nextSecret(version, suite, secret).toString('hex'), sample.chacha.update);
    const nonce = Buffer.from(iv);
    setNonce(nonce, iv, 654_360_564);
    assert.equal(
      nonce.toString('hex'),
      version === VERSION_1 ? 'e0459b3474bdd0e46d417eb0' : 'a6b5bc6ab7dafce328ff4a29',
    );
  });
}

test('RFC 9001 §5.3: nonces are the number in 64 bits over the IV, up to the greatest there is', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 53 - 1 }), fc.uint8Array({ minLength: 12, maxLength: 12 }), (n, iv) => {
      const nonce = Buffer.from(iv);
      setNonce(nonce, iv, n);
      const over = Buffer.alloc(12);
      over.writeBigUInt64BE(BigInt(n), 4);
      assert.deepEqual(
        [...nonce],
        Array.from(iv, (byte, at) => byte ^ over[at]!),
      );
    }),
  );
});

test('RFC 5869 §2.3: what is longer than a hash comes in blocks', () => {
  const secret = Buffer.alloc(32, 7);
  const long = expandLabel('sha256', secret, 'long', 100);
  assert.equal(long.length, 100);
  assert.ok(!long.subarray(0, 32).equals(long.subarray(32, 64)));
  // The length is in the label: a shorter one is another.
  assert.ok(!expandLabel('sha256', secret, 'long', 32).equals(long.subarray(0, 32)));
});

const entropy = {
  last: 0,
  fill(into: Uint8Array) {
    into.fill(++this.last);
  },
};
const HERE = { host: '192.0.2.1', port: 4_433 };
const NOW = 1_800_000_000_000;

test('RFC 9000 §10.3.2: the token of a stateless reset belongs to one connection id and one secret', () => {
  const tokens = new ResetTokens(Buffer.alloc(32, 1));
  assert.equal(tokens.of(ID).length, 16);
  assert.ok(tokens.of(ID).equals(new ResetTokens(Buffer.alloc(32, 1)).of(ID)));
  assert.ok(!tokens.of(ID).equals(tokens.of(ID.subarray(1))));
  assert.ok(!tokens.of(ID).equals(new ResetTokens(Buffer.alloc(32, 2)).of(ID)));
  assert.throws(() => new ResetTokens(Buffer.alloc(31)), RangeError);
});

test('RFC 9000 §8.1.2: the token of a Retry holds both connection ids, for this address and a short time', () => {
  const tokens = new AddressTokens([Buffer.alloc(32, 1)], entropy);
  const token = tokens.retry(HERE, ID, hex('0102'), NOW);
  const facts = tokens.open(token, 0, token.length, HERE, NOW + 9_000);
  assert.deepEqual(facts, { kind: 'retry', originalId: ID, sourceId: hex('0102') });
  assert.equal(tokens.open(token, 0, token.length, HERE, NOW + 10_001), null);
  assert.equal(tokens.open(token, 0, token.length, HERE, NOW - 1_001), null);
  assert.equal(tokens.open(token, 0, token.length, { ...HERE, port: 4_434 }, NOW), null);
  assert.equal(tokens.open(token, 0, token.length, { ...HERE, host: '192.0.2.2' }, NOW), null);
});

test('RFC 9000 §8.1.3: a token for later is good from any port of the host, for a day', () => {
  const tokens = new AddressTokens([Buffer.alloc(32, 1)], entropy);
  const token = tokens.forLater(HERE, NOW);
  const shown = Buffer.concat([hex('ffff'), token, hex('ff')]);
  const facts = tokens.open(shown, 2, 2 + token.length, { ...HERE, port: 1 }, NOW + 86_000_000);
  assert.deepEqual(facts, { kind: 'new-token', originalId: hex(''), sourceId: hex('') });
  assert.equal(tokens.open(token, 0, token.length, HERE, NOW + 86_400_001), null);
  assert.equal(tokens.open(token, 0, token.length, { ...HERE, host: '::1' }, NOW), null);
});

test('two tokens of one moment are not alike, and a secret that was replaced still opens', () => {
  const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(48, 2)];
  const before = new AddressTokens([first], entropy);
  const after = new AddressTokens([second, first], entropy);
  const token = before.forLater(HERE, NOW);
  assert.ok(!token.equals(before.forLater(HERE, NOW)));
  assert.ok(after.open(token, 0, token.length, HERE, NOW));
  const fresh = after.forLater(HERE, NOW);
  assert.equal(before.open(fresh, 0, fresh.length, HERE, NOW), null);
  assert.throws(() => new AddressTokens([], entropy), RangeError);
});

test('a token that was changed, cut or made up is none', () => {
  const tokens = new AddressTokens([Buffer.alloc(32, 1)], entropy);
  const token = tokens.retry(HERE, ID, ID, NOW);
  for (let at = 0; at < token.length; at++) {
    const bad = Buffer.from(token);
    bad[at]! ^= 0x80;
    assert.equal(tokens.open(bad, 0, bad.length, HERE, NOW), null);
    assert.equal(tokens.open(token, 0, at, HERE, NOW), null);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(tokens.open(bytes, 0, bytes.length, HERE, NOW), null);
    }),
  );
});
