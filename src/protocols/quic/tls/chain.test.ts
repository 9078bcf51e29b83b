import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { rootCertificates } from 'node:tls';
import fc from 'fast-check';
import type { Fault } from '../../../core/fault.ts';
import {
  basicConstraints,
  DIGITAL_SIGNATURE,
  extendedKeyUsage,
  extension,
  KEY_CERT_SIGN,
  KEY_ENCIPHERMENT,
  keyUsage,
  nameConstraints,
  newKey,
  rootConstraints,
  subjectAltName,
} from '../../../security/certificate.ts';
import { ascii, context, contextOf, der, octets, sequence } from '../../../security/der.ts';
import { Constraints, rangeOf } from '../../../security/names.ts';
import { readCertificate } from './certificate.ts';
import { verifyChain, type Wanted } from './chain.ts';
import { certificatesOf } from './credentials.ts';
import { faults } from './faults.ts';
import { addressOctets, matchesName, withinName } from './names.ts';
import {
  authority,
  BETWEEN,
  CLIENT_AUTH,
  client,
  FROM,
  HOST,
  made,
  NOW,
  ROOT,
  SERVER_AUTH,
  type Signer,
  server,
  serverExtensions,
  TO,
} from './testing/certificates.ts';

const WANTED: Wanted = { authorities: ROOT.pem, purpose: 'server', name: HOST, wall: NOW };

function check(chain: readonly Signer[], fault: Fault | null, wanted: Partial<Wanted> = {}): void {
  const found = verifyChain(
    chain.map((one) => one.der),
    { ...WANTED, ...wanted },
  );
  assert.equal(found?.id ?? null, fault?.id ?? null);
}

const OWN = server([HOST, '*.portico.test', '192.0.2.7', '2001:db8::7'], BETWEEN);

test('RFC 5280 §6: a chain to a root, in any order, with what does not belong to it', () => {
  check([OWN, BETWEEN], null);
  check([OWN, BETWEEN, ROOT], null);
  check([OWN, ROOT, BETWEEN], null);
  check([OWN, authority('somebody else'), BETWEEN], null);
  check([server([HOST], ROOT)], null);
});

test('without the certificate between, or without its root, nobody knows it', () => {
  check([OWN], faults.certificateUnknown);
  check([OWN, BETWEEN], faults.certificateUnknown, { authorities: '' });
  check([OWN, BETWEEN, ROOT], faults.certificateUnknown, { authorities: authority('another').pem });
});

test('who is in the list is trusted: an authority below a root, and a server itself', () => {
  check([OWN], null, { authorities: BETWEEN.pem });
  check([OWN], null, { authorities: OWN.pem });
  const alone = made({ name: HOST, extensions: serverExtensions([HOST]) });
  check([alone], faults.certificateUnknown);
  check([alone], null, { authorities: ROOT.pem + alone.pem });
});

test('an authority with the name of ours and another key has not signed', () => {
  const impostor = authority(ROOT.name);
  check([server([HOST], impostor)], faults.certificateForged);
  check([server([HOST], impostor), impostor], faults.certificateForged);
  check(
    [made({ name: HOST, issuer: ROOT, forger: newKey(), extensions: serverExtensions([HOST]) })],
    faults.certificateForged,
  );
  // Where both are trusted, the one that signed is found.
  check([server([HOST], impostor)], null, { authorities: ROOT.pem + impostor.pem });
});

test('RFC 5280 §4.1.2.5: not before and not after, whoever of the chain', () => {
  check([server([HOST], ROOT)], faults.certificateExpired, { wall: TO + 1 });
  check([server([HOST], ROOT)], faults.certificateEarly, { wall: FROM - 1 });
  const over = made({ name: 'over', issuer: ROOT, to: NOW - 1, extensions: [rootConstraints()] });
  check([server([HOST], over), over], faults.certificateExpired);
  check([made({ name: HOST, issuer: ROOT, from: NOW, to: NOW, extensions: serverExtensions([HOST]) })], null);
});

test('RFC 5280 §4.2.1.9: who is no authority issues nothing', () => {
  for (const extensions of [
    serverExtensions([HOST]),
    [basicConstraints(null)],
    [],
    [rootConstraints(), keyUsage(DIGITAL_SIGNATURE)],
  ]) {
    const no = made({ name: 'no authority', issuer: ROOT, extensions });
    check([server([HOST], no), no], faults.notAuthority);
  }
});

test('RFC 5280 §4.2.1.9: no more authorities between than one allows', () => {
  const none = authority('none below', ROOT, [basicConstraints(0)]);
  check([server([HOST], none), none], null);
  const below = authority('below', none);
  check([server([HOST], below), below, none], faults.pathLength);
  const one = authority('one below', ROOT, [basicConstraints(1)]);
  const first = authority('first', one);
  check([server([HOST], first), first, one], null);
  const second = authority('second', first);
  check([server([HOST], second), second, first, one], faults.pathLength);
});

test('RFC 5280 §4.2.1.3, §4.2.1.12: the key may sign, and the certificate is for servers or for clients', () => {
  const with_ = (...extensions: Uint8Array[]) =>
    made({ name: HOST, issuer: ROOT, extensions: [subjectAltName([HOST], false), ...extensions] });
  check([with_(keyUsage(KEY_ENCIPHERMENT))], faults.keyUsage);
  check([with_(keyUsage(DIGITAL_SIGNATURE, KEY_ENCIPHERMENT))], null);
  check([with_(extendedKeyUsage(CLIENT_AUTH))], faults.purpose);
  check([with_(extendedKeyUsage(CLIENT_AUTH, SERVER_AUTH))], null);
  check([with_(extendedKeyUsage('2.5.29.37.0'))], null);
  check([with_()], null);
  check([client('somebody', ROOT)], null, { purpose: 'client', name: null });
  check([OWN, BETWEEN], faults.purpose, { purpose: 'client', name: null });
  const forClients = authority('for clients', ROOT, [rootConstraints(), extendedKeyUsage(CLIENT_AUTH)]);
  check([server([HOST], forClients), forClients], faults.purpose);
});

test('RFC 5280 §4.2: a critical extension that is not known is not passed over', () => {
  const odd = (critical: boolean) => extension('1.3.6.1.4.1.99999.1', critical, octets(Buffer.from('?')));
  check([made({ name: HOST, issuer: ROOT, extensions: [...serverExtensions([HOST]), odd(true)] })], faults.critical);
  check([made({ name: HOST, issuer: ROOT, extensions: [...serverExtensions([HOST]), odd(false)] })], null);
  const between = authority('odd', ROOT, [rootConstraints(), odd(true)]);
  check([server([HOST], between), between], faults.critical);
});

test('RFC 9525 §6: names and addresses, by the alternative names alone', () => {
  const chain = [OWN, BETWEEN];
  for (const name of [HOST, 'PORTICO.test', `${HOST}.`, 'a.portico.test', '192.0.2.7', '2001:DB8:0::7'])
    check(chain, null, { name });
  for (const name of [
    'portico.tes',
    'a.b.portico.test',
    '.portico.test',
    '192.0.2.8',
    '2001:db8::8',
    '',
    'xportico.test',
  ])
    check(chain, faults.certificateName, { name });
  check(chain, faults.certificateName, { name: null });
  check([made({ name: HOST, issuer: ROOT, extensions: [] })], faults.certificateName);
});

test('RFC 9525 §6.3: what a wildcard stands for', () => {
  assert.ok(matchesName('*.example.org', 'www.example.org'));
  for (const [pattern, name] of [
    ['*.example.org', 'example.org'],
    ['*.example.org', 'a.b.example.org'],
    ['*.example.org', '.example.org'],
    ['w*.example.org', 'www.example.org'],
    ['www.*.org', 'www.example.org'],
    ['*.*.org', 'www.example.org'],
    ['*.org', 'example.org'],
    ['*', 'example'],
    ['', ''],
  ] as const)
    assert.equal(matchesName(pattern, name), false, `${pattern} ${name}`);
});

test('addresses in their forms', () => {
  assert.equal(addressOctets('127.0.0.1')?.toString('hex'), '7f000001');
  assert.equal(addressOctets('::1')?.toString('hex'), '00000000000000000000000000000001');
  assert.equal(addressOctets('::ffff:192.0.2.1')?.toString('hex'), '00000000000000000000ffffc0000201');
  assert.equal(addressOctets('[2001:db8::]')?.toString('hex'), '20010db8000000000000000000000000');
  assert.equal(addressOctets('1:2:3:4:5:6:7:8')?.toString('hex'), '00010002000300040005000600070008');
  for (const none of ['', '1.2.3', '1.2.3.256', '1:2', '::1::', '1:2:3:4:5:6:7:8:9', 'g::', ':', '1:2:3:4:5:6:7::8:9'])
    assert.equal(addressOctets(none), null, none);
  assert.ok(withinName('example.org', 'a.EXAMPLE.org') && withinName('example.org', 'example.org'));
  assert.ok(!withinName('example.org', 'badexample.org') && !withinName('.example.org', 'example.org'));
});

test('RFC 5280 §4.2.1.10: an authority speaks for what it is permitted to, as the local authority has it', () => {
  const constraints = new Constraints(['localhost', HOST], [rangeOf('127.0.0.0/8')!, rangeOf('::1')!]);
  const root = authority('local root', undefined, [
    rootConstraints(),
    keyUsage(KEY_CERT_SIGN),
    nameConstraints(constraints),
  ]);
  const between = authority('local between', root, [basicConstraints(0)]);
  const wanted = { authorities: root.pem };
  const may = (...names: string[]) => check([server(names, between), between], null, { ...wanted, name: names[0]! });
  const mayNot = (...names: string[]) =>
    check([server(names, between), between], faults.constrained, { ...wanted, name: names[0]! });
  may(HOST);
  may(`a.b.${HOST}`, 'localhost', '127.0.0.1', '127.9.9.9', '::1');
  mayNot('portico.example');
  mayNot(HOST, 'portico.example');
  mayNot(HOST, '192.0.2.1');
  mayNot(HOST, '::2');
  mayNot(`x${HOST}`);
});

test('RFC 5280 §4.2.1.10: what is excluded, and kinds of names that are not understood', () => {
  const excluding = (...bases: Uint8Array[]) =>
    extension('2.5.29.30', true, sequence(der(contextOf(1), ...bases.map((base) => sequence(base)))));
  const none = authority('not there', ROOT, [rootConstraints(), excluding(ascii(context(2), 'inner.portico.test'))]);
  check([server([HOST], none), none], null);
  check([server([HOST, 'a.inner.portico.test'], none), none], faults.constrained);
  // It stands for a name that is excluded.
  check([server([HOST, '*.portico.test'], none), none], faults.constrained);
  const uris = authority('no uris', ROOT, [rootConstraints(), excluding(ascii(context(6), '.test'))]);
  check([server([HOST], uris), uris], null);
  const extensions = [subjectAltName([HOST], false, 'https://portico.test/')];
  check([made({ name: HOST, issuer: uris, extensions }), uris], faults.constrained);
});

test('keys of RSA with fewer than 2,048 bits', () => {
  const key = generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey;
  check([server([HOST], ROOT, key)], faults.certificateWeak);
});

test('authorities that have issued each other do not lead in circles', () => {
  const [a, b] = [newKey(), newKey()];
  const one = authority('one');
  const other = authority('other');
  const extensions = [rootConstraints()];
  const ring: Signer[] = [];
  for (let index = 0; index < 8; index++) {
    ring.push(made({ name: 'one', key: a, issuer: { ...other, key: b }, extensions }));
    ring.push(made({ name: 'other', key: b, issuer: { ...one, key: a }, extensions }));
  }
  const own = made({ name: HOST, issuer: { ...one, key: a }, extensions: serverExtensions([HOST]) });
  check([own, ...ring], faults.certificateUnknown);
});

test('a certificate that was cut, lengthened or changed in any byte is not believed, and nothing throws', () => {
  const good = server([HOST], ROOT).der;
  const found = (bytes: Uint8Array) => verifyChain([bytes], WANTED);
  assert.equal(found(good), null);
  for (let at = 0; at < good.length; at++) {
    assert.ok(found(good.subarray(0, at)) !== null, `cut at ${at}`);
    const bad = Buffer.from(good);
    bad[at]! ^= 0xff;
    assert.ok(found(bad) !== null, `byte ${at}`);
  }
  assert.ok(found(Buffer.concat([good, Buffer.from([0])])) !== null);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(good.length), fc.nat(), (bytes, at, flip) => {
      assert.ok(found(bytes) !== null);
      readCertificate(Buffer.concat([good.subarray(0, at), bytes, good.subarray(at)]));
      const bad = Buffer.from(good);
      bad[at % good.length] = flip;
      readCertificate(bad);
    }),
  );
});

test('the roots of browsers can be read', () => {
  assert.ok(rootCertificates.length > 100);
  for (const pem of rootCertificates) {
    const [der] = certificatesOf(pem);
    const certificate = readCertificate(der!);
    assert.ok(certificate !== null && certificate.subject === certificate.issuer && !certificate.unknownCritical, pem);
    assert.equal(certificate.from < certificate.to, true);
  }
});
