// The vectors of the RFCs, and of the tools whose formats are read here.
import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Random } from '../../sim/random.ts';
import { preparedName, preparedPassword } from './names.ts';
import { COST, formatHash, Hashing, isOutdated, type ParsedHash, parseHash } from './passwords.ts';
import { makeToken, tokenDigest, tokenId } from './personal-tokens.ts';
import { decoyScram, makeScram, SCRAM_ITERATIONS } from './scram.ts';
import { readPublicKey } from './ssh-keys.ts';
import { base32, checkCode, codeOf, makeRecoveryCodes, recoveryDigest, stepOf, totpUri } from './totp.ts';

const xor = (one: Uint8Array, other: Uint8Array) => Buffer.from(one.map((byte, at) => byte ^ other[at]!));

describe('SCRAM-SHA-256', () => {
  test('the exchange of RFC 7677 §3: what is kept proves the client and signs for the server', async () => {
    const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
    const { storedKey, serverKey } = await makeScram('pencil', salt, 4_096);
    const message =
      'n=user,r=rOprNGfwEbeRWgbNEkqO,' +
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,' +
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
    const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64');
    const signature = createHmac('sha256', storedKey).update(message).digest();
    const clientKey = xor(proof, signature);
    assert.deepEqual(createHash('sha256').update(clientKey).digest(), Buffer.from(storedKey));
    const verifier = createHmac('sha256', serverKey).update(message).digest('base64');
    assert.equal(verifier, '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  });

  test('a decoy is always the same for a name, of the shape of others, and proves nothing', () => {
    const secret = Buffer.alloc(32, 1);
    const decoy = decoyScram(secret, 'zoe');
    assert.deepEqual(decoyScram(secret, 'zoe'), decoy);
    assert.notDeepEqual(decoyScram(secret, 'zoey').salt, decoy.salt);
    assert.notDeepEqual(decoyScram(Buffer.alloc(32, 2), 'zoe').salt, decoy.salt);
    const lengths = [decoy.salt.length, decoy.storedKey.length, decoy.serverKey.length, decoy.iterations];
    assert.deepEqual(lengths, [16, 32, 32, SCRAM_ITERATIONS]);
  });
});

describe('codes by time', () => {
  const SHA1 = Buffer.from('12345678901234567890');
  const SHA256 = Buffer.from('12345678901234567890123456789012');
  const SHA512 = Buffer.from('1234567890123456789012345678901234567890123456789012345678901234');

  test('the table of RFC 6238 appendix B', () => {
    const rows: readonly [seconds: number, sha1: string, sha256: string, sha512: string][] = [
      [59, '94287082', '46119246', '90693936'],
      [1_111_111_109, '07081804', '68084774', '25091201'],
      [1_111_111_111, '14050471', '67062674', '99943326'],
      [1_234_567_890, '89005924', '91819424', '93441116'],
      [2_000_000_000, '69279037', '90698825', '38618901'],
      [20_000_000_000, '65353130', '77737706', '47863826'],
    ];
    for (const [seconds, sha1, sha256, sha512] of rows) {
      const step = stepOf(seconds * 1_000);
      assert.equal(codeOf(SHA1, step, 8), sha1);
      assert.equal(codeOf(SHA256, step, 8, 'sha256'), sha256);
      assert.equal(codeOf(SHA512, step, 8, 'sha512'), sha512);
    }
  });

  test('the table of RFC 4226 appendix D', () => {
    const codes = ['755224', '287082', '359152', '969429', '338314', '254676', '287922', '162583', '399871', '520489'];
    codes.forEach((code, counter) => {
      assert.equal(codeOf(SHA1, counter), code);
    });
  });

  test('one step off is taken, two are not, and a step once used is refused (RFC 6238 §5.2)', () => {
    const wall = 1_800_000_000_000;
    const now = stepOf(wall);
    for (const [off, found] of [
      [-2, -1],
      [-1, now - 1],
      [0, now],
      [1, now + 1],
      [2, -1],
    ] as const)
      assert.equal(checkCode(SHA1, codeOf(SHA1, now + off), wall, 0), found);
    assert.equal(checkCode(SHA1, codeOf(SHA1, now), wall, now), -1);
    assert.equal(checkCode(SHA1, codeOf(SHA1, now - 1), wall, now), -1);
    assert.equal(checkCode(SHA1, codeOf(SHA1, now + 1), wall, now), now + 1);
    for (const code of ['', '12345', '1234567', 'abcdef', ' 12345']) assert.equal(checkCode(SHA1, code, wall, 0), -1);
  });

  test('base 32 as RFC 4648 §10 has it, without padding', () => {
    const rows = { f: 'MY', fo: 'MZXQ', foo: 'MZXW6', foob: 'MZXW6YQ', fooba: 'MZXW6YTB', foobar: 'MZXW6YTBOI' };
    for (const [text, coded] of Object.entries(rows)) assert.equal(base32(Buffer.from(text)), coded);
    assert.match(totpUri(SHA1, 'a b', 'P'), /^otpauth:\/\/totp\/P:a%20b\?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&/);
  });

  test('recovery codes are read however they are written', () => {
    const [code] = makeRecoveryCodes(new Random(1));
    assert.match(code!, /^[a-z2-7]{5}-[a-z2-7]{5}$/);
    assert.equal(recoveryDigest(code!.toUpperCase().replace('-', ' ')), recoveryDigest(code!));
  });
});

describe('strings of the PHC format', () => {
  const verify = (text: string, password: string) =>
    new Promise((resolve) => new Hashing().verify(password, parseHash(text)!, '', resolve));

  test('argon2id as the reference implementation prints it', async () => {
    // echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32 -e; from the reference test.c
    const text = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
    assert.equal(await verify(text, 'password'), true);
    assert.equal(await verify(text, 'Password'), false);
    assert.equal(isOutdated(parseHash(text)!, COST), true);
  });

  test('scrypt, with the second vector of RFC 7914 §12', async () => {
    const hash = Buffer.from(
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d98',
      'hex',
    );
    const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replaceAll('=', '');
    const text = `$scrypt$ln=10,r=8,p=16$${base64(Buffer.from('NaCl0000'))}$${base64(hash.subarray(0, 32))}`;
    assert.equal(parseHash(text)?.algorithm, 'scrypt');
    const vector: ParsedHash = { ...parseHash(text)!, salt: Buffer.from('NaCl') };
    assert.equal(await new Promise((resolve) => new Hashing().verify('password', vector, '', resolve)), true);
  });

  test('what is made is read back, and is of today', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (salt, hash) => {
          const parsed = parseHash(formatHash(COST, salt, hash))!;
          assert.deepEqual([...parsed.salt, ...parsed.hash], [...salt, ...hash]);
          assert.equal(isOutdated(parsed, COST), false);
        },
      ),
    );
  });

  test('what would cost too much, is of another kind or is damaged, is none', () => {
    const tail = '$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
    for (const head of [
      '$argon2id$v=19$m=9999999,t=2,p=1',
      '$argon2id$v=19$m=65536,t=999,p=1',
      '$argon2id$v=19$m=4,t=2,p=1',
      '$argon2id$v=16$m=65536,t=2,p=1',
      '$argon2i$v=19$m=65536,t=2,p=1',
      '$scrypt$ln=30,r=8,p=1',
      '$scrypt$ln=0,r=8,p=1',
      '$2b$10$abcdefghijklmnopqrstuv',
    ])
      assert.equal(parseHash(head + tail), null, head);
    assert.equal(parseHash(''), null);
  });
});

describe('SSH keys', () => {
  // Made with ssh-keygen -t ed25519, and its fingerprint by ssh-keygen -l.
  const LINE = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDmPt7g7XbLLNtmvKtaBErEVNaDqGuE0YB5DW2qTXMt7 ann@example.org';

  test('a line of a .pub file, with its fingerprint', () => {
    const key = readPublicKey(LINE);
    assert.ok(typeof key !== 'string');
    assert.equal(key.fingerprint, 'SHA256:aX0YeUG+2kTsM159UUzk3cq21x1cxJf1JxNezX5EWro');
    assert.equal(key.comment, 'ann@example.org');
  });

  test('what is no key, weak, private or cut is said', () => {
    const [type, blob] = LINE.split(' ') as [string, string];
    for (const line of [
      '',
      'x',
      type,
      `${type} !`,
      `${type} ${blob.slice(0, 40)}`,
      `ssh-rsa ${blob}`,
      `command="x" ${LINE}`,
      '-----BEGIN OPENSSH PRIVATE KEY-----',
    ])
      assert.equal(typeof readPublicKey(line), 'string', line);
  });

  test('any line neither throws nor is taken', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.string(), (bytes, comment) => {
        const line = `ssh-ed25519 ${Buffer.from(bytes).toString('base64')} ${comment}`;
        assert.equal(typeof readPublicKey(line), 'string');
      }),
    );
  });
});

describe('personal tokens', () => {
  test('are told from any other text, and only whole', () => {
    const { id, token } = makeToken(new Random(7));
    assert.match(token, /^ptk_[0-9A-Za-z]{46}$/);
    assert.equal(tokenId(token), id);
    assert.equal(tokenDigest(token).length, 32);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 49 }), fc.string({ maxLength: 2 }), (at, other) => {
        const changed = token.slice(0, at) + other + token.slice(at + 1);
        assert.equal(tokenId(changed), changed === token ? id : null);
      }),
    );
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => assert.equal(tokenId(text), null)));
  });
});

describe('names and passwords', () => {
  test('preparing twice changes nothing, whatever is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (given) => {
        const name = preparedName(given);
        if (name !== null) assert.equal(preparedName(name), name);
        const password = preparedPassword(given);
        if (password !== null) assert.equal(preparedPassword(password), password);
      }),
    );
  });

  test('RFC 8265 §3.5 and §4.3, as far as the subset goes', () => {
    assert.equal(preparedName('juliet@example.com'), 'juliet@example.com');
    assert.equal(preparedName('Juliet'), 'juliet');
    assert.equal(preparedName('\u03c0'), '\u03c0');
    assert.equal(preparedName('\u03a3'), '\u03c3');
    for (const name of ['foo bar', 'fussball\u2163', '"juliet"', 'henry\u2163', '\u265a', ''])
      assert.equal(preparedName(name), null);
    assert.equal(preparedPassword('correct horse battery staple'), 'correct horse battery staple');
    assert.equal(preparedPassword('foo\u1680bar'), 'foo bar');
    assert.equal(preparedPassword('Jack of \u2666s'), 'Jack of \u2666s');
    assert.equal(preparedPassword(''), null);
    assert.equal(preparedPassword('my cat is a \u0009by'), null);
  });
});

test('SCRAM keys come of PBKDF2 as RFC 5802 §3 has it', async () => {
  const salt = Buffer.from('41255a1f', 'hex');
  const { storedKey } = await makeScram('pencil', salt, 4_096);
  const salted = pbkdf2Sync('pencil', salt, 4_096, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  assert.deepEqual(Buffer.from(storedKey), createHash('sha256').update(clientKey).digest());
});
