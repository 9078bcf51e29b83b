// Signatures, SPF, DMARC and ARC by the vectors of their RFCs, and beside the library mailauth: each verifies what the other made.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { authenticate } from 'mailauth';
import { dkimSign } from 'mailauth/lib/dkim/sign.js';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { sealArc, verifyArc } from './arc.ts';
import { BodyHash, canonicalField, fieldsOf, messageOf } from './canonical.ts';
import { signDkim, verifyDkim } from './dkim.ts';
import { recordOf } from './dkim-keys.ts';
import { checkDmarc } from './dmarc.ts';
import type { DnsFind } from './lookup.ts';
import { checkMail, resultsText, withoutForged } from './results.ts';
import { checkSpf } from './spf.ts';

type Zone = Readonly<Record<string, Readonly<Record<string, readonly string[] | 'failed'>>>>;

const finding =
  (zone: Zone): DnsFind =>
  async (name, type) => {
    const types = zone[name.toLowerCase()];
    const values = types?.[type] ?? [];
    if (values === 'failed') return { kind: 'failed', values: [] };
    return { kind: types === undefined ? 'missing' : values.length === 0 ? 'nothing' : 'data', values };
  };

/** As mailauth asks. */
const resolver = (zone: Zone) => async (name: string, type: string) => {
  const values = zone[name.toLowerCase()]?.[type] ?? [];
  if (values.length === 0) throw Object.assign(new Error('ENOTFOUND'), { code: 'ENOTFOUND' });
  return type === 'TXT' ? [...values].map((value) => [value]) : values;
};

const crlf = (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'));
const digestOf = (form: 'simple' | 'relaxed', body: string) => {
  const hash = new BodyHash(form);
  hash.update(Buffer.from(body), 0, body.length);
  return hash.digest()!.toString('base64');
};

test('canonical forms (RFC 6376 §3.4.3, §3.4.4, §3.4.5)', () => {
  assert.equal(digestOf('simple', ''), 'frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=');
  assert.equal(digestOf('relaxed', ''), '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=');
  const fields = fieldsOf(Buffer.from('A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n'));
  assert.deepEqual(
    fields.map((field) => canonicalField(field, 'relaxed')),
    ['a:X', 'b:Y Z'],
  );
  assert.deepEqual(
    fields.map((field) => canonicalField(field, 'simple')),
    ['A: X', 'B : Y\t\r\n\tZ  '],
  );
  const body = ' C \r\nD \t E\r\n\r\n\r\n';
  assert.equal(digestOf('relaxed', body), digestOf('simple', ' C\r\nD E\r\n'));
  assert.equal(digestOf('simple', body), digestOf('simple', ' C \r\nD \t E\r\n'));
});

test('a body hashes the same however it is cut', () => {
  const line = fc.string({ unit: fc.constantFrom(' ', '\t', 'a', '\r\n', '.', '\r\n\r\n') });
  fc.assert(
    fc.property(
      line,
      fc.array(fc.nat(20)),
      fc.constantFrom('simple' as const, 'relaxed' as const),
      (body, cuts, form) => {
        const hash = new BodyHash(form);
        const bytes = Buffer.from(body);
        let at = 0;
        for (const cut of cuts) {
          const end = Math.min(bytes.length, at + cut);
          hash.update(bytes, at, end);
          at = end;
        }
        hash.update(bytes, at, bytes.length);
        assert.equal(hash.digest()!.toString('base64'), digestOf(form, body));
      },
    ),
  );
});

// RFC 8463 appendix A.
const FOOTBALL = crlf(`DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`);
const FOOTBALL_KEYS: Zone = {
  'brisbane._domainkey.football.example.com': {
    TXT: ['v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='],
  },
  'test._domainkey.football.example.com': {
    TXT: [
      'v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB',
    ],
  },
};

test('the signed message of RFC 8463 appendix A, and what breaks it', async () => {
  const results = async (message: Buffer, zone: Zone = FOOTBALL_KEYS) =>
    (await verifyDkim(messageOf(message), finding(zone), 1_528_637_999)).map(({ result }) => result);
  assert.deepEqual(await results(FOOTBALL), ['pass', 'pass']);
  const changed = (from: string, to: string) => Buffer.from(FOOTBALL.toString().replaceAll(from, to));
  assert.deepEqual(await results(changed('lost', 'won')), ['fail', 'fail']);
  assert.deepEqual(await results(changed('dinner', 'lunch')), ['fail', 'fail']);
  // It was said that there is one sender only.
  assert.deepEqual(await results(Buffer.concat([Buffer.from('From: x@y.z\r\n'), FOOTBALL])), ['fail', 'fail']);
  // Blanks do not count in relaxed form, and fields that are not signed neither.
  assert.deepEqual(await results(changed('Is dinner', 'Is   dinner')), ['pass', 'pass']);
  assert.deepEqual(await results(Buffer.concat([Buffer.from('X: y\r\n'), FOOTBALL])), ['pass', 'pass']);
  assert.deepEqual(await results(changed('v=1;', 'v=2;')), ['permerror', 'permerror']);
  assert.deepEqual(await results(changed('i=@football', 'i=@baseball')), ['permerror', 'permerror']);
  assert.deepEqual(await results(changed('rsa-sha256', 'rsa-sha1')), ['pass', 'policy']);
  assert.deepEqual(await results(changed('t=1528637909;', 't=1528637909; x=1528637910;')), ['fail', 'fail']);
  assert.deepEqual(await results(changed('t=1528637909;', 't=1528000000; x=1528000001;')), ['permerror', 'permerror']);
  assert.deepEqual(await results(FOOTBALL, {}), ['permerror', 'permerror']);
  const keys = (record: string | 'failed'): Zone => {
    const values = { TXT: record === 'failed' ? record : [record] } as const;
    return { 'brisbane._domainkey.football.example.com': values, 'test._domainkey.football.example.com': values };
  };
  assert.deepEqual(await results(FOOTBALL, keys('failed')), ['temperror', 'temperror']);
  assert.deepEqual(await results(FOOTBALL, keys('v=DKIM1; p=')), ['permerror', 'permerror']);
  assert.deepEqual(await results(FOOTBALL, keys('v=DKIM1; h=sha1; p=AAAA')), ['permerror', 'permerror']);
  const weak = generateKeyPairSync('rsa', { modulusLength: 512 });
  assert.deepEqual(await results(FOOTBALL, keys(recordOf(weak.publicKey))), ['permerror', 'policy']);
});

// ---- beside mailauth ---------------------------------------------------------------------------------------------------

const RSA = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const ED = generateKeyPairSync('ed25519');
const SIGNERS = [
  { domain: 'here.test', selector: 'r1', key: RSA.privateKey },
  { domain: 'here.test', selector: 'e1', key: ED.privateKey },
] as const;
const KEYS: Zone = {
  'r1._domainkey.here.test': { TXT: [recordOf(RSA.publicKey)] },
  'e1._domainkey.here.test': { TXT: [recordOf(ED.publicKey)] },
  'here.test': { TXT: ['v=spf1 ip4:192.0.2.0/24 -all'] },
  '_dmarc.here.test': { TXT: ['v=DMARC1; p=reject'] },
};
const LETTER = crlf(`Received: from x by y; Mon, 23 Nov 2026 12:00:00 +0000
From: Ann <ann@here.test>
To: bob@there.test,
\teve@there.test
Subject:  A   letter
Date: Mon, 23 Nov 2026 12:00:00 +0000
Message-ID: <1@here.test>

Dear Bob,

trailing blanks  \t
.

`);
/** What mailauth found. */
const statusOf = (found: unknown) => (found as { status: { result: string } }).status.result;
const NOW = Math.floor(Date.now() / 1_000);

test('mailauth verifies what is signed here, with both algorithms', async () => {
  const message = messageOf(LETTER);
  const signed = Buffer.concat([Buffer.from(await signDkim(message, SIGNERS, NOW)), LETTER]);
  assert.ok(
    signed
      .toString()
      .split('\r\n')
      .every((line) => line.length <= 100),
  );
  const own = await verifyDkim(messageOf(signed), finding(KEYS), NOW);
  assert.deepEqual(
    own.map(({ result }) => result),
    ['pass', 'pass'],
  );
  const theirs = await dkimVerify(signed, { resolver: resolver(KEYS) as never });
  assert.deepEqual(
    theirs.results.map(({ status }: { status: { result: string } }) => status.result),
    ['pass', 'pass'],
  );
});

test('what mailauth signs is verified here, in all forms', async () => {
  for (const canonicalization of ['relaxed/relaxed', 'simple/simple', 'relaxed/simple', 'simple/relaxed'])
    for (const { selector, key } of SIGNERS) {
      const algorithm = selector === 'r1' ? 'rsa-sha256' : 'ed25519-sha256';
      const { signatures, errors } = await dkimSign(LETTER, {
        canonicalization,
        algorithm,
        signTime: new Date(),
        signatureData: [
          {
            ...{ signingDomain: 'here.test', selector, algorithm },
            privateKey: key.export({ format: 'pem', type: 'pkcs8' }) as string,
          },
        ],
      } as never);
      assert.deepEqual(errors, []);
      const signed = Buffer.concat([Buffer.from(signatures), LETTER]);
      const [{ result, why } = { result: 'none', why: '' }] = await verifyDkim(messageOf(signed), finding(KEYS), NOW);
      assert.equal(result, 'pass', `${canonicalization} ${algorithm}: ${why}`);
    }
});

test('chains of ARC: each goes on with and verifies the links of the other (RFC 8617)', async () => {
  const find = finding(KEYS);
  const [rsa] = SIGNERS;
  const privateKey = RSA.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
  const seal = { signingDomain: 'here.test', selector: 'r1', privateKey };
  let message: Buffer = LETTER;
  for (let link = 1; link <= 4; link++) {
    const chain = await verifyArc(messageOf(message), find, NOW);
    assert.deepEqual([chain.result, chain.count], [link === 1 ? 'none' : 'pass', link - 1], chain.why);
    const options = { ip: '192.0.2.1', helo: 'x.here.test', sender: 'ann@here.test', mta: 'mx.here.test' };
    const theirs = await authenticate(message, {
      ...options,
      resolver: resolver(KEYS),
      seal,
      disableBimi: true,
    } as never);
    assert.equal(statusOf(theirs.arc), chain.result);
    // One link of ours, one of theirs, by turns.
    const head =
      link % 2 === 1
        ? await sealArc(messageOf(message), 'mx.here.test;\r\n\tspf=pass', chain, rsa, NOW)
        : theirs.headers;
    message = Buffer.concat([Buffer.from(head), message]);
  }
  const last = await verifyArc(messageOf(message), find, NOW);
  assert.deepEqual([last.result, last.count, last.sealer], ['pass', 4, 'here.test'], last.why);
  const broken = Buffer.from(message.toString().replace('Dear Bob', 'Dear Eve'));
  assert.equal((await verifyArc(messageOf(broken), find, NOW)).result, 'fail');
  const gap = Buffer.from(message.toString().replace(/^ARC-Seal: i=2;[^\n]*\r\n(?:[ \t][^\n]*\n)*/im, ''));
  assert.equal((await verifyArc(messageOf(gap), find, NOW)).result, 'fail');
  // A chain that failed is sealed as that once, and never gone on with (RFC 8617 §5.1.2).
  const failed = await verifyArc(messageOf(broken), find, NOW);
  const marked = Buffer.concat([
    Buffer.from(await sealArc(messageOf(broken), 'x; arc=fail', failed, rsa, NOW)),
    broken,
  ]);
  const again = await verifyArc(messageOf(marked), find, NOW);
  assert.equal(again.result, 'fail');
  assert.equal(await sealArc(messageOf(marked), 'x; arc=fail', again, rsa, NOW), '');
});

// ---- SPF ---------------------------------------------------------------------------------------------------------------

// RFC 7208 appendix A.
const EXAMPLE: Zone = {
  'example.com': { A: ['192.0.2.10', '192.0.2.11'], MX: ['10 mail-a.example.com', '20 mail-b.example.com'] },
  'amy.example.com': { A: ['192.0.2.65'] },
  'bob.example.com': { A: ['192.0.2.66'] },
  'mail-a.example.com': { A: ['192.0.2.129'] },
  'mail-b.example.com': { A: ['192.0.2.130'] },
  'www.example.com': { A: ['192.0.2.10'] },
  'example.org': { MX: ['10 mail-c.example.org'] },
  'mail-c.example.org': { A: ['192.0.2.140'] },
  '65.2.0.192.in-addr.arpa': { PTR: ['amy.example.com'] },
  '140.2.0.192.in-addr.arpa': { PTR: ['mail-c.example.org'] },
  '10.2.0.192.in-addr.arpa': { PTR: ['example.com'] },
  '4.0.0.10.in-addr.arpa': { PTR: ['bob.example.com'] },
};

const spf = async (
  record: string | readonly string[],
  ip: string,
  more: Zone = {},
  from = 'strong-bad@example.com',
) => {
  const zone = { ...EXAMPLE, ...more };
  const values = typeof record === 'string' ? [record] : record;
  zone['example.com'] = { ...zone['example.com'], TXT: values };
  return checkSpf({ ip, helo: 'mx.example.com', from, receiver: 'here' }, finding(zone));
};

test('SPF: the examples of RFC 7208 appendix A.1', async () => {
  const cases: readonly (readonly [record: string, ip: string, result: string])[] = [
    ['v=spf1 +all', '198.51.100.1', 'pass'],
    ['v=spf1 a -all', '192.0.2.10', 'pass'],
    ['v=spf1 a -all', '192.0.2.65', 'fail'],
    ['v=spf1 a:example.org -all', '192.0.2.10', 'fail'],
    ['v=spf1 mx -all', '192.0.2.129', 'pass'],
    ['v=spf1 mx:example.org -all', '192.0.2.140', 'pass'],
    ['v=spf1 mx mx:example.org -all', '192.0.2.140', 'pass'],
    ['v=spf1 mx/30 mx:example.org/30 -all', '192.0.2.131', 'pass'],
    ['v=spf1 mx/30 mx:example.org/30 -all', '192.0.2.143', 'pass'],
    ['v=spf1 mx/30 -all', '192.0.2.140', 'fail'],
    ['v=spf1 ptr -all', '192.0.2.65', 'pass'],
    ['v=spf1 ptr -all', '192.0.2.140', 'fail'],
    // Its name does not lead back to it.
    ['v=spf1 ptr -all', '10.0.0.4', 'fail'],
    ['v=spf1 ip4:192.0.2.128/28 -all', '192.0.2.65', 'fail'],
    ['v=spf1 ip4:192.0.2.128/28 -all', '192.0.2.129', 'pass'],
    ['v=spf1 ?all', '192.0.2.1', 'neutral'],
    ['v=spf1', '192.0.2.1', 'neutral'],
    ['v=spf1 ~all', '192.0.2.1', 'softfail'],
    ['v=spf10 -all', '192.0.2.1', 'none'],
    ['v=spf1 ip6:2001:db8::/32 -all', '2001:db8::1', 'pass'],
    ['v=spf1 ip6:2001:db8::/32 -all', '2001:db9::1', 'fail'],
    ['v=spf1 ip4:192.0.2.1 -all', '::ffff:192.0.2.1', 'pass'],
  ];
  for (const [record, ip, result] of cases) assert.equal((await spf(record, ip)).result, result, `${record} ${ip}`);
});

test('SPF: what is broken, and what is too much (RFC 7208 §4.6, §5, §6)', async () => {
  for (const record of [
    'v=spf1 ipv4:192.0.2.1',
    'v=spf1 ip4:192.0.2.1/33',
    'v=spf1 ip4:192.0.2.1/08',
    'v=spf1 ip4:192.0.2',
    'v=spf1 include',
    'v=spf1 include: -all',
    'v=spf1 a/33',
    'v=spf1 all:x',
    'v=spf1 foo',
    'v=spf1 redirect=a.b redirect=a.b',
    'v=spf1 redirect=nowhere.example.com',
    'v=spf1 include:nowhere.example.com -all',
    'v=spf1 exists:%{z}.example.com',
    'v=spf1 exists:%',
    'v=spf1 a:%{d0}.example.com',
  ])
    assert.equal((await spf(record, '198.51.100.1')).result, 'permerror', record);
  assert.equal((await spf(['v=spf1 -all', 'v=spf1 +all'], '192.0.2.1')).result, 'permerror');
  assert.equal(
    (await spf(`v=spf1 ${Array(11).fill('a:www.example.com').join(' ')} -all`, '198.51.100.1')).result,
    'permerror',
  );
  assert.equal(
    (await spf(`v=spf1 ${Array(10).fill('a:www.example.com').join(' ')} -all`, '198.51.100.1')).result,
    'fail',
  );
  const voids = 'v=spf1 a:n1.example.com a:n2.example.com a:n3.example.com -all';
  assert.equal((await spf(voids, '198.51.100.1')).result, 'permerror');
  const loop = 'v=spf1 include:example.com -all';
  assert.equal((await spf(loop, '198.51.100.1')).result, 'permerror');
  const many = { 'example.net': { MX: Array.from({ length: 11 }, (_, at) => `10 h${at}.example.net`) } };
  assert.equal((await spf('v=spf1 mx:example.net -all', '198.51.100.1', many)).result, 'permerror');
  const down = { 'down.example.com': { TXT: 'failed' as const, A: 'failed' as const } };
  assert.equal((await spf('v=spf1 include:down.example.com -all', '192.0.2.1', down)).result, 'temperror');
  assert.equal((await spf('v=spf1 a:down.example.com -all', '192.0.2.1', down)).result, 'temperror');
});

test('SPF: includes, redirects, explanations, and who is asked about (RFC 7208 §2.4, §5.2, §6)', async () => {
  const zone: Zone = {
    'other.example.net': { TXT: ['v=spf1 ip4:198.51.100.0/24 -all'] },
    'why.example.net': { TXT: ['%{i} is not one of %{d}’s'.replace('’', "'")] },
  };
  assert.equal((await spf('v=spf1 include:other.example.net ?all', '198.51.100.1', zone)).result, 'pass');
  assert.equal((await spf('v=spf1 include:other.example.net ?all', '192.0.2.1', zone)).result, 'neutral');
  assert.equal((await spf('v=spf1 redirect=other.example.net', '192.0.2.1', zone)).result, 'fail');
  const explained = await spf('v=spf1 exp=why.example.net -all', '192.0.2.1', zone);
  assert.deepEqual([explained.result, explained.explanation], ['fail', "192.0.2.1 is not one of example.com's"]);
  const helo = { 'mx.example.com': { TXT: ['v=spf1 ip4:192.0.2.1 -all'] } };
  const bounce = await spf('v=spf1 -all', '192.0.2.1', helo, '');
  assert.deepEqual([bounce.result, bounce.identity, bounce.domain], ['pass', 'helo', 'mx.example.com']);
});

test('SPF: macros (RFC 7208 §7.4)', async () => {
  const ipv4: readonly (readonly [macro: string, name: string])[] = [
    ['%{s}.x.test', 'strong-bad@email.example.com.x.test'],
    ['%{o}', 'email.example.com'],
    ['%{d}', 'email.example.com'],
    ['%{d4}', 'email.example.com'],
    ['%{d2}', 'example.com'],
    ['%{dr}', 'com.example.email'],
    ['%{d2r}', 'example.email'],
    ['%{l}.x.test', 'strong-bad.x.test'],
    ['%{l-}.x.test', 'strong.bad.x.test'],
    ['%{lr-}.x.test', 'bad.strong.x.test'],
    ['%{l1r-}.x.test', 'strong.x.test'],
    ['%{ir}.%{v}._spf.%{d2}', '3.2.0.192.in-addr._spf.example.com'],
    ['%{lr-}.lp._spf.%{d2}', 'bad.strong.lp._spf.example.com'],
    ['%{d2}.trusted-domains.example.net', 'example.com.trusted-domains.example.net'],
  ];
  for (const [macro, name] of ipv4) {
    const zone: Zone = { 'email.example.com': { TXT: [`v=spf1 exists:${macro} -all`] }, [name]: { A: ['127.0.0.2'] } };
    // Where the name is the domain itself, both are there.
    if (name === 'email.example.com')
      Object.assign(zone, { [name]: { TXT: [`v=spf1 exists:${macro} -all`], A: ['127.0.0.2'] } });
    const query = { ip: '192.0.2.3', helo: 'x.y', from: 'strong-bad@email.example.com', receiver: 'r' };
    assert.equal((await checkSpf(query, finding(zone))).result, 'pass', macro);
  }
  const six = '1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com';
  const zone: Zone = {
    'email.example.com': { TXT: ['v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all'] },
    [six]: { A: ['127.0.0.2'] },
  };
  const query = { ip: '2001:db8::cb01', helo: 'x.y', from: 'strong-bad@email.example.com', receiver: 'r' };
  assert.equal((await checkSpf(query, finding(zone))).result, 'pass');
});

// ---- DMARC -------------------------------------------------------------------------------------------------------------

test('DMARC: alignment, inheritance and the walk up the tree (RFC 7489 §3.1, §6.6.3)', async () => {
  const zone: Zone = {
    '_dmarc.example.com': { TXT: ['v=DMARC1; p=reject; sp=quarantine; np=reject; aspf=s'] },
    'mail.example.com': { A: ['192.0.2.1'] },
    '_dmarc.strict.test': { TXT: ['v=DMARC1; p=quarantine; adkim=s'] },
    '_dmarc.trial.test': { TXT: ['v=DMARC1; p=reject; t=y'] },
    '_dmarc.two.test': { TXT: ['v=DMARC1; p=reject', 'v=DMARC1; p=none'] },
    '_dmarc.shop.test': { TXT: ['v=DMARC1; p=reject; psd=n'] },
    '_dmarc.registry': { TXT: ['v=DMARC1; p=none; psd=y'] },
    '_dmarc.one.registry': { TXT: ['v=DMARC1; p=reject'] },
    '_dmarc.down.test': { TXT: 'failed' },
  };
  const check = async (from: string, spfDomain: string | null, dkimDomain: string | null) => {
    const spfResult = { result: spfDomain === null ? 'fail' : 'pass', domain: spfDomain ?? '' } as const;
    const dkim = dkimDomain === null ? [] : [{ result: 'pass', domain: dkimDomain } as const];
    const { result, policy } = await checkDmarc([from], spfResult, dkim, finding(zone));
    return policy === 'none' ? result : `${result} ${policy}`;
  };
  const cases: readonly (readonly [from: string, spf: string | null, dkim: string | null, said: string])[] = [
    ['example.com', null, 'example.com', 'pass'],
    ['example.com', null, 'mail.example.com', 'pass'],
    ['mail.example.com', null, 'example.com', 'pass'],
    ['example.com', 'example.com', null, 'pass'],
    ['example.com', 'mail.example.com', null, 'fail reject'],
    ['example.com', null, 'evil.com', 'fail reject'],
    ['mail.example.com', null, null, 'fail quarantine'],
    ['nowhere.example.com', null, null, 'fail reject'],
    ['strict.test', null, 'sub.strict.test', 'fail quarantine'],
    ['trial.test', null, null, 'fail quarantine'],
    ['two.test', null, null, 'none'],
    ['nothing.test', null, null, 'none'],
    ['a.shop.test', null, 'b.shop.test', 'pass'],
    // Two customers of one registry are two.
    ['one.registry', null, 'two.registry', 'fail reject'],
    ['a.one.registry', null, 'b.one.registry', 'pass'],
    ['down.test', null, null, 'temperror'],
    ['a.b.c.d.e.f.g.h.i.example.com', null, 'example.com', 'pass'],
  ];
  for (const [from, spfDomain, dkim, said] of cases)
    assert.equal(await check(from, spfDomain, dkim), said, `${from} ${spfDomain} ${dkim}`);
  const unsure = (domain: string) =>
    checkDmarc(['example.com'], { result: 'temperror', domain }, [], finding(zone)).then(({ result }) => result);
  assert.equal(await unsure('example.com'), 'temperror');
  assert.equal(await unsure('evil.test'), 'fail');
  // Of two senders, the one that asks for more.
  const two = await checkDmarc(['nothing.test', 'example.com'], { result: 'fail', domain: '' }, [], finding(zone));
  assert.deepEqual([two.result, two.policy, two.domain], ['fail', 'reject', 'example.com']);
  assert.equal((await checkDmarc([], { result: 'pass', domain: 'x.y' }, [], finding(zone))).result, 'permerror');
});

// ---- results -----------------------------------------------------------------------------------------------------------

test('results as a field, and none in this server’s name but its own (RFC 8601 §5)', async () => {
  const signed = Buffer.concat([Buffer.from(await signDkim(messageOf(LETTER), SIGNERS.slice(0, 1), NOW)), LETTER]);
  const query = { ip: '192.0.2.7', helo: 'mx.here.test', from: 'ann@here.test', receiver: 'mx.there.test' };
  const checks = await checkMail(messageOf(signed), query, ['here.test'], finding(KEYS), NOW);
  const text = resultsText('mx.there.test', checks);
  assert.match(
    text,
    /^mx\.there\.test;\r\n\tspf=pass \(ip4:192\.0\.2\.0 of here\.test\) smtp\.mailfrom=here\.test;\r\n\tdkim=pass header\.d=here\.test header\.s=r1 header\.a=rsa-sha256 header\.b=\S+;\r\n\tdmarc=pass header\.from=here\.test$/,
  );
  const theirs = await authenticate(signed, {
    ...{ ip: '192.0.2.7', helo: 'mx.here.test', sender: 'ann@here.test', mta: 'x', disableBimi: true },
    resolver: resolver(KEYS),
  } as never);
  assert.deepEqual([statusOf(theirs.spf), statusOf(theirs.dmarc)], [checks.spf.result, checks.dmarc.result]);
  const head = Buffer.from(
    'A: 1\r\nAuthentication-Results: mx.there.test;\r\n\tdkim=pass\r\nauthentication-results : (x) "MX.there.test" 1; spf=pass\r\nAuthentication-Results: other; spf=pass\r\nB: 2\r\n\r\n',
  );
  assert.equal(
    withoutForged(head, 'mx.there.test').toString(),
    'A: 1\r\nAuthentication-Results: other; spf=pass\r\nB: 2\r\n\r\n',
  );
});

test('any header neither throws nor hangs', async () => {
  const piece = fc.constantFrom(
    ...[
      'DKIM-Signature: ',
      'ARC-Seal: i=1; ',
      'From: a@b.c\r\n',
      'v=1; ',
      'h=from',
      'b=',
      '\r\n',
      ' ',
      'bh=AAAA; ',
      'a=rsa-sha256; ',
      'd=here.test; s=r1; ',
    ],
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(piece, fc.string()), { maxLength: 40 }), async (pieces) => {
      const message = messageOf(Buffer.from(pieces.join('')));
      await verifyDkim(message, finding(KEYS), NOW);
      await verifyArc(message, finding(KEYS), NOW);
      await spf(`v=spf1 ${pieces.join('').replace(/\r\n/g, ' ')}`, '192.0.2.1');
    }),
    { numRuns: 300 },
  );
});
