// Signed requests: vectors of the RFCs, keys that are not taken, and anything at all.
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { base64url, isRefused, isSignedBy, type Jwk, readKey, readSigned, type Signed, thumbprint } from './codec.ts';
import { faults } from './faults.ts';
import { accountKey, bindExternally, signRequest } from './signing.ts';

const HEAD = { url: 'https://example.com/acme/new-order', nonce: 'oFvnlFP1wIhRlYS2jTaXbA', kid: null };

function signed(body: Uint8Array): Signed {
  const read = readSigned(body);
  assert.ok(!isRefused(read), JSON.stringify(read));
  return read;
}

test('the thumbprint of RFC 7638 §3.1', () => {
  const jwk = {
    kty: 'RSA',
    n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
    e: 'AQAB',
    alg: 'RS256',
    kid: '2011-04-29',
  };
  const read = readKey(jwk);
  assert.ok(!isRefused(read));
  assert.deepEqual(Object.keys(read.jwk).sort(), ['e', 'kty', 'n']);
  assert.equal(thumbprint(read.jwk), 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
});

test('the signature with ES256 of RFC 7515 A.3, and the same with one bit another', () => {
  const [head, payload, signature] = [
    'eyJhbGciOiJFUzI1NiJ9',
    'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ',
    'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q',
  ];
  const read = readKey({
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  });
  assert.ok(!isRefused(read));
  const made = {
    algorithm: 'ES256',
    input: Buffer.from(`${head}.${payload}`),
    signature: base64url(signature)!,
  } as unknown as Signed;
  assert.equal(isSignedBy(made, read.key), true);
  made.signature[0]! ^= 1;
  assert.equal(isSignedBy(made, read.key), false);
});

test('what the client signs, the server takes; with another key, algorithm or body it does not', () => {
  const [own, other] = [accountKey(), accountKey()];
  const read = signed(signRequest(own, HEAD, { a: 1 }));
  const key = readKey(read.jwk!);
  assert.ok(!isRefused(key));
  assert.equal(isSignedBy(read, key.key), true);
  assert.equal(thumbprint(key.jwk), own.thumbprint);
  const stranger = readKey(other.jwk);
  assert.ok(!isRefused(stranger));
  assert.equal(isSignedBy(read, stranger.key), false);
  assert.equal(isSignedBy({ ...read, algorithm: 'RS256' }, key.key), false);
  assert.equal(isSignedBy({ ...read, algorithm: 'EdDSA' }, key.key), false);
  assert.equal(isSignedBy({ ...read, input: Buffer.concat([read.input, Buffer.from('A')]) }, key.key), false);
});

test('EdDSA and RS256', () => {
  const made = (alg: 'EdDSA' | 'RS256', pair: ReturnType<typeof generateKeyPairSync>) => {
    const head = Buffer.from(JSON.stringify({ alg, url: 'u', jwk: { kty: 'x' } })).toString('base64url');
    const signature = sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(`${head}.`), pair.privateKey as never);
    const body = JSON.stringify({ protected: head, payload: '', signature: signature.toString('base64url') });
    const key = readKey((pair.publicKey as never as { export(how: object): Jwk }).export({ format: 'jwk' }));
    assert.ok(!isRefused(key));
    return isSignedBy(signed(Buffer.from(body)), key.key);
  };
  assert.equal(made('EdDSA', generateKeyPairSync('ed25519') as never), true);
  assert.equal(made('RS256', generateKeyPairSync('rsa', { modulusLength: 2_048 }) as never), true);
});

test('keys that are not taken', () => {
  const jwkOf = (pair: { publicKey: unknown }) =>
    (pair.publicKey as { export(how: object): Jwk }).export({ format: 'jwk' });
  const own = accountKey();
  const wrong: Jwk[] = [
    jwkOf(generateKeyPairSync('rsa', { modulusLength: 1_024 })),
    jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-521' })),
    jwkOf(generateKeyPairSync('x25519')),
    { ...own.jwk, d: 'AAAA' },
    { ...own.jwk, x: 'AAAA' },
    { kty: 'EC', crv: 'P-256' },
    { kty: 'oct', k: 'AAAA' },
    { kty: '__proto__' },
  ];
  for (const jwk of wrong) {
    const read = readKey(jwk);
    assert.ok(isRefused(read) && read.fault === faults.badPublicKey, JSON.stringify(jwk));
  }
});

test('requests that are none (RFC 8555 §6.2)', () => {
  const good = JSON.parse(signRequest(accountKey(), HEAD, {}).toString()) as Record<string, string>;
  const header = JSON.parse(Buffer.from(good.protected!, 'base64url').toString()) as object;
  const withHead = (head: object) => ({ ...good, protected: Buffer.from(JSON.stringify(head)).toString('base64url') });
  const wrong: [unknown, keyof typeof faults][] = [
    ['', 'malformed'],
    [[], 'malformed'],
    [{ ...good, header: {} }, 'malformed'],
    [{ ...good, signatures: [] }, 'malformed'],
    [{ ...good, payload: 1 }, 'malformed'],
    [{ ...good, payload: 'e30=' }, 'malformed'],
    [{ ...good, payload: 'e3 0' }, 'malformed'],
    [{ ...good, payload: 'e31' }, 'malformed'],
    [withHead({ ...header, alg: 'none' }), 'badSignatureAlgorithm'],
    [withHead({ ...header, alg: 'HS256' }), 'badSignatureAlgorithm'],
    [withHead({ ...header, kid: 'x' }), 'malformed'],
    [withHead({ ...header, jwk: undefined }), 'malformed'],
    [withHead({ ...header, url: 7 }), 'malformed'],
    [withHead({ ...header, nonce: 7 }), 'malformed'],
    [withHead({ ...header, crit: ['x'] }), 'malformed'],
    [withHead({ ...header, b64: false }), 'malformed'],
  ];
  for (const [value, name] of wrong) {
    const read = readSigned(Buffer.from(JSON.stringify(value)));
    assert.ok(isRefused(read) && read.fault === faults[name], JSON.stringify(value));
  }
});

test('any bytes, and any JSON, are read or refused', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readSigned(bytes)));
  fc.assert(fc.property(fc.json(), (text) => void readSigned(Buffer.from(text))));
  const part = fc.json().map((text) => Buffer.from(text).toString('base64url'));
  fc.assert(
    fc.property(fc.record({ protected: part, payload: part, signature: part }), (value) => {
      void readSigned(Buffer.from(JSON.stringify(value)));
    }),
  );
});

test('an account is bound with HS256 (RFC 8555 §7.3.4)', () => {
  const own = accountKey();
  const bound = bindExternally(own, 'https://ca/new', 'kid-1', 'c2VjcmV0') as Record<string, string>;
  assert.deepEqual(JSON.parse(Buffer.from(bound.protected!, 'base64url').toString()), {
    alg: 'HS256',
    kid: 'kid-1',
    url: 'https://ca/new',
  });
  assert.deepEqual(JSON.parse(Buffer.from(bound.payload!, 'base64url').toString()), own.jwk);
});
