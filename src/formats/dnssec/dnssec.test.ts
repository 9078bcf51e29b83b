// DNSSEC against the examples of its RFCs: canonical order, key tags, digests, signatures, hashed names and proofs.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { nameOf } from '../../resources/names/testing/signed-zones.ts';
import {
  canonicalData,
  canonicalOrder,
  type RecordSet,
  readSignature,
  signaturePrefix,
  TYPE_DS,
  TYPE_NSEC,
  TYPE_NSEC3,
} from './canonical.ts';
import { Denial, NSEC3_ITERATIONS_MAX, type Proof } from './denial.ts';
import * as keys from './keys.ts';
import { isWithin, keyOf, nameOfKey, parentKey, sharedLabels, stripped } from './names.ts';
import {
  base32,
  fromBase32,
  hashName,
  hasType,
  makeNsec,
  makeNsec3,
  makeTypeMap,
  readNsec,
  readNsec3,
  typesOf,
} from './nsec.ts';
import { signSet, verifySet } from './signing.ts';

const bytes64 = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'base64');

test('names sort as RFC 4034 §6.1 sorts them', () => {
  const sorted = [
    nameOf('example'),
    nameOf('a.example'),
    nameOf('yljkjljk.a.example'),
    nameOf('Z.a.example'),
    nameOf('zABC.a.EXAMPLE'),
    nameOf('z.example'),
    Buffer.from([1, 1, ...nameOf('z.example')]),
    nameOf('*.z.example'),
    Buffer.from([1, 200, ...nameOf('z.example')]),
  ];
  const places = sorted.map(keyOf);
  assert.deepEqual([...places].reverse().sort(), places);
});

const wireNames = fc
  .array(fc.uint8Array({ minLength: 1, maxLength: 12 }), { maxLength: 6 })
  .map((parts) => Buffer.concat([...parts.map((part) => Buffer.from([part.length, ...part])), Buffer.from([0])]));

test('a key tells the whole name in lower case, its parent, and what lies within', () => {
  fc.assert(
    fc.property(wireNames, wireNames, (name, other) => {
      assert.equal(keyOf(nameOfKey(keyOf(name))), keyOf(name));
      assert.equal(nameOfKey(keyOf(name)).length, name.length);
      if (name.length > 1) assert.equal(parentKey(keyOf(name)), keyOf(stripped(name, 1)));
      const below = Buffer.concat([other.subarray(0, -1), name]);
      assert.ok(isWithin(below, name) && keyOf(below).startsWith(keyOf(name)));
      assert.equal(isWithin(other, name), keyOf(other).startsWith(keyOf(name)));
      assert.equal(sharedLabels(below, name), sharedLabels(name, name));
    }),
  );
});

test('data is canonical: names in lower case where they count, in order, once (RFC 4034 §6.2, §6.3; RFC 6840 §5.1)', () => {
  const mx = Buffer.concat([Buffer.from([0, 10]), nameOf('Mail.EXAMPLE')]);
  assert.deepEqual(canonicalData(15, mx), Buffer.concat([Buffer.from([0, 10]), nameOf('mail.example')]));
  const naptr = Buffer.concat([Buffer.from([0, 1, 0, 2, 1, 0x53, 0, 3, 0x41, 0x42, 0x43]), nameOf('X.example')]);
  assert.equal(canonicalData(35, naptr).toString('latin1').includes('ABC'), true);
  assert.equal(canonicalData(35, naptr).toString('latin1').includes('X'), false);
  assert.equal(canonicalData(TYPE_NSEC, nameOf('HOST.example')).toString('latin1').includes('HOST'), true);
  const one = Buffer.from([1, 2]);
  assert.deepEqual(canonicalOrder(1, [Buffer.from([1, 2, 0]), Buffer.from([3]), one, one]), [
    one,
    Buffer.from([1, 2, 0]),
    Buffer.from([3]),
  ]);
});

test('the key tag and SHA-1 digest of RFC 4034 §5.4', () => {
  const data = Buffer.concat([
    Buffer.from([1, 0, 3, 5]),
    bytes64(`AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvx
      egXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==`),
  ]);
  const key = keys.readKey(data)!;
  assert.equal(key.tag, 60_485);
  const digest = Buffer.from('2BB183AF5F22588179A53B0A98631FAD1A292118', 'hex');
  const signer = { tag: 60_485, algorithm: 5, digestType: 1, digest };
  assert.ok(keys.matches(signer, nameOf('dskey.example.com'), key));
  assert.ok(!keys.matches(signer, nameOf('other.example.com'), key));
});

interface Vector {
  readonly spec: string;
  readonly zone: string;
  readonly flags: number;
  readonly algorithm: number;
  readonly key: string;
  readonly tag: number;
  readonly set: RecordSet;
  readonly times: readonly [begins: number, expires: number];
  readonly signature: string;
  readonly ds?: readonly [type: 2 | 4, digest: string];
}

const www = (last: number): RecordSet => ({
  name: nameOf('www.example.net'),
  type: 1,
  ttl: 3600,
  data: [Buffer.from([192, 0, 2, last])],
});
const mail: RecordSet = {
  name: nameOf('example.com'),
  type: 15,
  ttl: 3600,
  data: [Buffer.concat([Buffer.from([0, 10]), nameOf('mail.example.com')])],
};
const LONG: [number, number] = [946_684_800, 1_893_456_000];
const ED: [number, number] = [1_438_207_200, 1_440_021_600];

const VECTORS: readonly Vector[] = [
  {
    ...{ spec: 'RFC 5702 §6.1', zone: 'example.net', flags: 256, algorithm: 8, tag: 9033, set: www(91), times: LONG },
    key: 'AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk=',
    signature: 'kRCOH6u7l0QGy9qpC9l1sLncJcOKFLJ7GhiUOibu4teYp5VE9RncriShZNz85mwlMgNEacFYK/lPtPiVYP4bwg==',
  },
  {
    ...{ spec: 'RFC 5702 §6.2', zone: 'example.net', flags: 256, algorithm: 10, tag: 3740, set: www(91), times: LONG },
    key: `AwEAAdHoNTOW+et86KuJOWRDp1pndvwb6Y83nSVXXyLA3DLroROUkN6X0O6pnWnjJQujX/AyhqFDxj13tOnD9u/1kTg7
      cV6rklMrZDtJCQ5PCl/D7QNPsgVsMu1J2Q8gpMpztNFLpPBz1bWXjDtaR7ZQBlZ3PFY12ZTSncorffcGmhOL`,
    signature: `tsb4wnjRUDnB1BUi+t6TMTXThjVnG+eCkWqjvvjhzQL1d0YRoOe0CbxrVDYd0xDtsuJRaeUw1ep94PzEWzr0iGYgZBWm
      /zpq+9fOuagYJRfDqfReKBzMweOLDiNa8iP5g9vMhpuv6OPlvpXwm9Sa9ZXIbNl1MBGk0fthPgxdDLw=`,
  },
  {
    ...{ spec: 'RFC 6605 §6.1', zone: 'example.net', flags: 257, algorithm: 13, tag: 55_648, set: www(1) },
    key: 'GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==',
    times: [1_281_607_479, 1_284_026_679],
    signature: 'qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==',
    ds: [2, 'b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17'],
  },
  {
    ...{ spec: 'RFC 6605 §6.2', zone: 'example.net', flags: 257, algorithm: 14, tag: 10_771, set: www(1) },
    key: `xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBw
      Y8rp65F6Glur8I/mlVNgF6W/qTI37m40`,
    times: [1_281_608_425, 1_284_027_625],
    signature: `/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7
      wnqXL5bdcJzusdnI0RSMROxxwGipWcJm`,
    ds: [4, '72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6'],
  },
  {
    ...{ spec: 'RFC 8080 §6.1 with erratum 4935', zone: 'example.com', flags: 257, algorithm: 15, tag: 3613 },
    ...{ set: mail, times: ED, key: 'l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=' },
    signature: 'oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==',
    ds: [2, '3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b'],
  },
  {
    ...{ spec: 'RFC 8080 §6.2 with erratum 4935', zone: 'example.com', flags: 257, algorithm: 16, tag: 9713 },
    ...{ set: mail, times: ED, key: '3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA' },
    signature: `3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndkmnBZ6SKiwZSAxGILn/NBtOXft0+Gj7FS
      vOKxE/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA`,
    ds: [2, '6ccf18d5bc5d7fc2fceb1d59d17321402f2aa8d368048db93dd811f5cb2b19c7'],
  },
];

for (const { spec, zone, flags, algorithm, key: text, tag, set, times, signature, ds } of VECTORS)
  test(`the key, digest and signature of ${spec}`, () => {
    const key = keys.readKey(Buffer.concat([Buffer.from([flags >> 8, flags & 255, 3, algorithm]), bytes64(text)]))!;
    assert.equal(key.tag, tag);
    const signer = nameOf(zone);
    if (ds !== undefined) {
      const own = Buffer.from([tag >> 8, tag & 255, algorithm, ds[0]]);
      const made = keys.makeDelegationSigner(signer, { ...key }, ds[0]);
      assert.deepEqual(made, Buffer.concat([own, Buffer.from(ds[1], 'hex')]));
      assert.ok(keys.matches(keys.readDelegationSigner(made)!, signer, key));
    }
    const [begins, expires] = times;
    const labels = set.type === 1 ? 3 : 2;
    const fields = { covered: set.type, algorithm, labels, ttl: 3600, expires, begins, tag, signer };
    const data = Buffer.concat([signaturePrefix(fields), bytes64(signature)]);
    assert.equal(verifySet(set, data, key, signer, begins), null);
    assert.equal(verifySet({ ...set, ttl: 5 }, data, key, signer, expires), null, 'a cached TTL is smaller');
    assert.equal(verifySet(set, data, key, signer, expires + 1), 'expired');
    assert.equal(verifySet(set, data, key, signer, begins - 1), 'not-yet');
    assert.equal(verifySet({ ...set, data: [nameOf('other')] }, data, key, signer, begins), 'wrong');
    assert.equal(verifySet({ ...set, type: 16 }, data, key, signer, begins), 'other-type');
    assert.equal(verifySet(set, data, key, nameOf('net'), begins), 'other-zone');
    const revoked = { ...key, flags: key.flags | keys.REVOKE_FLAG };
    assert.equal(verifySet(set, data, revoked, signer, begins), 'revoked');
    for (let at = 0; at < data.length; at += 7) {
      const broken = Buffer.from(data);
      broken[at]! ^= 0x40;
      assert.notEqual(verifySet(set, broken, key, signer, begins), null, `octet ${at}`);
    }
  });

const SIGNING = [keys.RSASHA256, keys.RSASHA512, keys.ECDSAP256, keys.ECDSAP384, keys.ED25519, keys.ED448];

for (const algorithm of SIGNING)
  test(`what a new key of algorithm ${algorithm} signs, its DNSKEY verifies; a wildcard's signature holds for what it answers`, () => {
    const own = keys.generateKey(algorithm, 'zsk');
    const key = keys.readKey(own.data)!;
    assert.equal(key.flags, keys.ZONE_FLAG);
    const zone = nameOf('Zone.test');
    const validity = { begins: 100, expires: 1_000 };
    const star: RecordSet = { name: nameOf('*.Zone.test'), type: 1, ttl: 60, data: [Buffer.from([9, 9, 9, 9])] };
    const data = signSet(star, zone, own, validity);
    assert.equal(readSignature(data)!.labels, 2, '`*` does not count (RFC 4034 §3.1.3)');
    assert.equal(verifySet(star, data, key, zone, 500), null);
    assert.equal(verifySet({ ...star, name: nameOf('a.b.zone.test') }, data, key, zone, 500), null);
    assert.equal(
      verifySet({ ...star, name: nameOf('zone.test') }, data, key, zone, 500),
      'wrong',
      'nor for its parent',
    );
    assert.equal(verifySet({ ...star, name: nameOf('test') }, data, key, nameOf('test'), 500), 'other-zone');
  });

test('RSASHA1 is verified and not made anew', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const own = keys.signingKey(keys.RSASHA1, 'zsk', privateKey);
  const data = signSet(www(1), nameOf('example.net'), own, { begins: 0, expires: 10 });
  assert.equal(verifySet(www(1), data, keys.readKey(own.data)!, nameOf('example.net'), 5), null);
  assert.throws(() => keys.generateKey(keys.RSASHA1, 'zsk'), RangeError);
});

test('what is no key is read as one that verifies nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.constantFrom(5, 8, 10, 13, 14, 15, 16, 99), (rest, algorithm) => {
      const key = keys.readKey(Buffer.from([1, 0, 3, algorithm, ...rest]));
      if (key?.public == null) return;
      const fields = {
        covered: 1,
        algorithm,
        labels: 3,
        ttl: 3600,
        expires: 10,
        begins: 0,
        tag: key.tag,
        signer: nameOf('example.net'),
      };
      const data = Buffer.concat([signaturePrefix(fields), Buffer.from(rest)]);
      assert.equal(verifySet(www(1), data, key, nameOf('example.net'), 5), 'wrong');
    }),
  );
  assert.equal(keys.readKey(Buffer.from([1, 0, 2, 8, 1, 1])), null, 'protocol 3 (RFC 4034 §2.1.2)');
  // An exponent of many octets would make each verification dear.
  const dear = Buffer.concat([Buffer.from([1, 0, 3, 8, 64]), Buffer.alloc(64, 0xff), Buffer.alloc(256, 0xab)]);
  assert.equal(keys.readKey(dear)!.public, null);
});

test('type bit maps (RFC 4034 §4.3) are read and made, and any bytes are read without harm', () => {
  const map = makeTypeMap([1, 15, 46, 47, 1234]);
  const shown = `0006400100000003041b${'00'.repeat(26)}20`;
  assert.equal(map.toString('hex'), shown);
  assert.deepEqual(typesOf(map), [1, 15, 46, 47, 1234]);
  for (const type of [1, 15, 46, 47, 1234]) assert.ok(hasType(map, type));
  for (const type of [2, 16, 1235, 257, 65_535]) assert.ok(!hasType(map, type));
  assert.equal(typesOf(Buffer.from([0, 0])), null);
  assert.equal(typesOf(Buffer.from([1, 1, 1, 0, 1, 1])), null, 'windows ascend');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(65_535), (any, type) => {
      const types = typesOf(any);
      if (types !== null) assert.equal(hasType(any, type), types.includes(type));
      readNsec(nameOf('a'), Buffer.from(any));
      readNsec3(nameOf('0'.repeat(32)), Buffer.from(any));
    }),
  );
});

const SALTED = { iterations: 12, salt: Buffer.from('aabbccdd', 'hex') };

test('the hashed names of RFC 5155 appendix A', () => {
  const hashes: Readonly<Record<string, string>> = {
    example: '0p9mhaveqvm6t7vbl5lop2u3t2rp3tom',
    'a.example': '35mthgpgcu1qg68fab165klnsnk3dpvl',
    'ai.example': 'gjeqe526plbf1g8mklp59enfd789njgi',
    'ns1.example': '2t7b4g4vsa5smi47k61mv5bv1a22bojr',
    'ns2.example': 'q04jkcevqvmu85r014c7dkba38o0ji5r',
    'w.example': 'k8udemvp1j2f7eg6jebps17vp3n8i58h',
    '*.w.example': 'r53bq7cc2uvmubfu5ocmm6pers9tk9en',
    'x.w.example': 'b4um86eghhds6nea196smvmlo4ors995',
    'y.w.example': 'ji6neoaepv8b5o6k4ev33abha8ht9fgc',
    'x.y.w.example': '2vptu5timamqttgl4luu9kg21e0aor3s',
    'XX.Example': 't644ebqk9bibcna874givr6joj62mlhv',
  };
  for (const [name, hash] of Object.entries(hashes)) {
    assert.equal(hashName(nameOf(name), SALTED), hash);
    assert.equal(base32(fromBase32(hash.toUpperCase())!), hash);
  }
});

/** A chain of RFC 5155 appendix B: opt-out, 12 iterations, salt aabbccdd. */
function nsec3(hash: string, next: string, types: readonly number[], optOut = true): RecordSet {
  return {
    name: nameOf(`${hash}.example`),
    type: TYPE_NSEC3,
    ttl: 3600,
    data: [makeNsec3(SALTED, optOut ? 1 : 0, next, types)],
  };
}

const APEX3 = nsec3('0p9mhaveqvm6t7vbl5lop2u3t2rp3tom', '2t7b4g4vsa5smi47k61mv5bv1a22bojr', [2, 6, 15, 46, 48, 51]);
const NS1 = nsec3('2t7b4g4vsa5smi47k61mv5bv1a22bojr', '2vptu5timamqttgl4luu9kg21e0aor3s', [1, 46]);
const A3 = nsec3('35mthgpgcu1qg68fab165klnsnk3dpvl', 'b4um86eghhds6nea196smvmlo4ors995', [2, 43, 46]);
const XW = nsec3('b4um86eghhds6nea196smvmlo4ors995', 'gjeqe526plbf1g8mklp59enfd789njgi', [15, 46]);
const YW = nsec3('ji6neoaepv8b5o6k4ev33abha8ht9fgc', 'k8udemvp1j2f7eg6jebps17vp3n8i58h', []);
const W3 = nsec3('k8udemvp1j2f7eg6jebps17vp3n8i58h', 'kohar7mbb8dc2ce8a9qvl8hon4k53uhi', []);
const NS2 = nsec3('q04jkcevqvmu85r014c7dkba38o0ji5r', 'r53bq7cc2uvmubfu5ocmm6pers9tk9en', [1, 46]);
const STARW = nsec3('r53bq7cc2uvmubfu5ocmm6pers9tk9en', 't644ebqk9bibcna874givr6joj62mlhv', [15, 46]);

const denial = (sets: readonly RecordSet[]) => new Denial(nameOf('example'), sets);

test('the proofs of RFC 5155 appendix B, and none of them with a record less', () => {
  const cases: readonly [string, readonly RecordSet[], (from: Denial) => Proof, Proof][] = [
    ['B.1 name error', [APEX3, XW, A3], (from) => from.noName(nameOf('a.c.x.w.example')), 'insecure'],
    ['B.2 no data', [NS1], (from) => from.noType(nameOf('ns1.example'), 15), 'proved'],
    ['B.2.1 empty non-terminal', [YW], (from) => from.noType(nameOf('y.w.example'), 1), 'proved'],
    ['B.3 unsigned delegation', [A3, APEX3], (from) => from.unsignedDelegation(nameOf('c.example')), 'insecure'],
    ['B.4 wildcard expansion', [NS2], (from) => from.expanded(nameOf('a.z.w.example'), 2), 'insecure'],
    ['B.5 wildcard no data', [W3, NS2, STARW], (from) => from.noType(nameOf('a.z.w.example'), 28), 'insecure'],
    ['B.6 DS at a child', [APEX3], (from) => from.noType(nameOf('example'), TYPE_DS), 'unproved'],
  ];
  for (const [what, sets, ask, proof] of cases) {
    assert.equal(ask(denial(sets)), proof, what);
    for (const left of sets)
      assert.equal(ask(denial(sets.filter((one) => one !== left))), 'unproved', `${what}, one less`);
  }
});

test('without opt-out the same names are denied for certain', () => {
  const sets = [
    nsec3('0p9mhaveqvm6t7vbl5lop2u3t2rp3tom', '2t7b4g4vsa5smi47k61mv5bv1a22bojr', [2, 6], false),
    nsec3('b4um86eghhds6nea196smvmlo4ors995', 'gjeqe526plbf1g8mklp59enfd789njgi', [15, 46], false),
    nsec3('35mthgpgcu1qg68fab165klnsnk3dpvl', 'b4um86eghhds6nea196smvmlo4ors995', [2, 43, 46], false),
  ];
  assert.equal(denial(sets).noName(nameOf('a.c.x.w.example')), 'proved');
});

test('hashes that cost too much are not computed (RFC 9276 §3.2), and a budget ends them', () => {
  const parameters = { iterations: NSEC3_ITERATIONS_MAX + 1, salt: Buffer.alloc(0) };
  const dear = { ...APEX3, data: [makeNsec3(parameters, 0, '2t7b4g4vsa5smi47k61mv5bv1a22bojr', [2, 6])] };
  assert.equal(denial([dear]).noName(nameOf('a.example')), 'insecure');
  const budget = { hashes: 1 };
  assert.equal(new Denial(nameOf('example'), [APEX3, XW, A3], budget).noName(nameOf('a.c.x.w.example')), 'unproved');
  assert.equal(budget.hashes, 0);
});

const nsec = (owner: string, next: string, types: readonly number[]): RecordSet => ({
  name: nameOf(owner),
  type: TYPE_NSEC,
  ttl: 3600,
  data: [makeNsec(nameOf(next), types)],
});

test('the proofs of RFC 4035 appendix B', () => {
  const b = nsec('b.example', 'ns1.example', [2, 46, 47]);
  const apex = nsec('example', 'a.example', [2, 6, 15, 46, 47, 48]);
  const ns1 = nsec('ns1.example', 'ns2.example', [1, 46, 47]);
  const xyw = nsec('x.y.w.example', 'xx.example', [15, 46, 47]);
  const starW = nsec('*.w.example', 'x.w.example', [15, 46, 47]);
  assert.equal(denial([b, apex]).noName(nameOf('ml.example')), 'proved', 'B.2');
  assert.equal(denial([b]).noName(nameOf('ml.example')), 'unproved', 'B.2 without the wildcard');
  assert.equal(denial([ns1]).noType(nameOf('ns1.example'), 15), 'proved', 'B.3');
  assert.equal(denial([b]).unsignedDelegation(nameOf('b.example')), 'proved', 'B.5');
  assert.equal(denial([xyw]).expanded(nameOf('a.z.w.example'), 2), 'proved', 'B.6');
  assert.equal(denial([xyw, starW]).noType(nameOf('a.z.w.example'), 28), 'proved', 'B.7');
  assert.equal(denial([xyw]).noType(nameOf('a.z.w.example'), 28), 'unproved', 'B.7 without the wildcard');
  assert.equal(denial([apex]).noType(nameOf('example'), TYPE_DS), 'unproved', 'B.8 is the child’s own word');
});

test('what stands above a cut says nothing of what lies below it (RFC 6840 §4.1)', () => {
  const cut = nsec('b.example', 'd.example', [2, 46, 47]);
  const apex = nsec('example', 'b.example', [2, 6, 46, 47]);
  assert.equal(denial([cut, apex]).noName(nameOf('www.b.example')), 'unproved');
  assert.equal(
    denial([cut, apex]).noType(nameOf('b.example'), 1),
    'unproved',
    'the parent does not know the child’s types',
  );
  assert.equal(denial([cut, apex]).noType(nameOf('b.example'), TYPE_DS), 'proved');
  const renamed = nsec('b.example', 'd.example', [39, 46, 47]);
  assert.equal(denial([renamed, apex]).noName(nameOf('www.b.example')), 'unproved');
  assert.equal(
    denial([nsec('b.example', 'd.example', [5, 46, 47])]).noType(nameOf('b.example'), 1),
    'unproved',
    'an alias',
  );
});

test('any sets prove nothing wrong, nor harm', () => {
  const owners = fc.constantFrom('example', 'a.example', '*.example', 'b.a.example', 'z.example');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(owners, fc.uint8Array({ maxLength: 60 })), { maxLength: 6 }),
      owners,
      (raw, asked) => {
        const sets = raw.flatMap(([owner, data]) =>
          [TYPE_NSEC, TYPE_NSEC3].map((type) => ({ name: nameOf(owner), type, ttl: 1, data: [Buffer.from(data)] })),
        );
        const from = denial(sets);
        for (const proof of [
          from.noName(nameOf(asked)),
          from.noType(nameOf(asked), 1),
          from.expanded(nameOf(asked), 1),
        ])
          assert.match(proof, /^(?:proved|insecure|unproved)$/);
      },
    ),
  );
});
