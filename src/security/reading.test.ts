// Whatever bytes others show: certificates, requests, lists and questions are read or refused, and never throw. And what is
// written in DER is read as it was.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SILENT } from '../core/log.ts';
import { Authority } from './authority.ts';
import { makeRequest, newKey, pemBlocks } from './certificate.ts';
import { OwnClientCertificates } from './client-certificates.ts';
import {
  der,
  generalizedTime,
  INTEGER,
  integer,
  namedBits,
  OCTET_STRING,
  oid,
  readDer,
  SEQUENCE,
  time,
} from './der.ts';
import { MemoryKeeping } from './keeping.ts';
import { addressBytes, addressText, Constraints, nameOf, rangeOf } from './names.ts';
import { ocspAnswer } from './ocsp.ts';
import { checkPair } from './own-files.ts';
import { acmeProofProblem, readCertificate, readRequest, readRevocationList } from './reading.ts';

const NOW = Date.now();
const authority = new Authority(
  {
    keeping: new MemoryKeeping(),
    constraints: new Constraints(['localhost'], [rangeOf('127.0.0.0/8')!]),
    machine: 'x',
    url: 'http://localhost:8080',
    log: SILENT,
  },
  NOW,
);
const { chain } = authority.issue({ names: ['localhost', '127.0.0.1'], purpose: 'server', by: 'command' }, NOW);
const [leaf] = pemBlocks(chain, 'CERTIFICATE') as [Buffer];
const request = makeRequest(['localhost'], newKey());
const list = authority.revocationList(authority.intermediate.id, NOW)!;
const clients = new OwnClientCertificates(authority, { log: SILENT }, () => NOW);

function readAll(bytes: Uint8Array): void {
  readCertificate(bytes);
  readRequest(bytes);
  readRevocationList(bytes)?.signedBy(authority.intermediate.facts.spki);
  acmeProofProblem(bytes, 'localhost', 'x');
  clients.refuse([bytes, leaf]);
  assert.ok(ocspAnswer(authority, bytes, NOW).length > 0);
  checkPair(Buffer.from(bytes).toString('latin1'), chain, NOW);
}

test('any bytes are read or refused', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), readAll), { numRuns: 300 });
});

test('what is right but for a few bytes is read or refused', () => {
  const change = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom<Buffer>(leaf, request, list), change, fc.nat(), (whole, changes, cut) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      readAll(cut % 5 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes);
    }),
    { numRuns: 600 },
  );
});

test('a request with another name or key than was signed is none', () => {
  assert.deepEqual(readRequest(request)?.names, ['localhost']);
  for (let at = 10; at < request.length - 80; at += 7) {
    const bytes = Buffer.from(request);
    bytes[at]! ^= 0x01;
    assert.equal(readRequest(bytes), null, `byte ${at}`);
  }
});

test('lengths and numbers are written in their shortest form, and read back (X.690 §10.1, §8.3.2)', () => {
  for (const size of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
    const read = readDer(der(OCTET_STRING, new Uint8Array(size)));
    assert.equal(read?.content.length, size);
  }
  for (const number of [0, 1, 127, 128, 255, 256, 65_535, 2 ** 40])
    assert.equal(readDer(integer(number))?.number, number);
  assert.equal(integer(128).toString('hex'), '02020080');
  assert.equal(integer(Buffer.from('00ff', 'hex')).toString('hex'), '020200ff');
  for (const text of ['2.5.29.17', '1.3.6.1.5.5.7.1.31', '2.23.140.1.2.1', '2.16.840.1.101.3.4.2.1'])
    assert.equal(readDer(oid(text))?.oid, text);
  assert.equal(oid('1.2.840.113549').toString('hex'), '06062a864886f70d');
  assert.equal(namedBits([5, 6]).toString('hex'), '03020106');
});

test('what is longer than it should be, not whole, or too deep is none', () => {
  const deep = Array.from({ length: 40 }).reduce<Buffer>((inner) => der(SEQUENCE, inner), integer(1));
  assert.equal(readDer(deep), null);
  for (const hex of ['', '30', '3001', '308101ff', '3080', '30820001ff', '020101ff', '1f8101', '3003020101ff'])
    assert.equal(readDer(Buffer.from(hex, 'hex')), null, hex);
  assert.equal(readDer(der(INTEGER, Buffer.alloc(7)))?.number, Number.NaN);
});

test('UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5)', () => {
  for (const [text, tag] of [
    ['2049-12-31T23:59:59Z', 0x17],
    ['2050-01-01T00:00:00Z', 0x18],
    ['1999-01-02T03:04:05Z', 0x17],
  ] as const) {
    const written = time(Date.parse(text));
    assert.equal(written[0], tag);
    assert.equal(readDer(written)?.wall, Date.parse(text));
  }
  assert.equal(readDer(generalizedTime(0))?.wall, 0);
});

test('any address is written as it was read; any text is a name in its one form or none', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      assert.deepEqual(addressBytes(addressText(bytes)), Uint8Array.from(bytes));
    }),
  );
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      assert.ok(addressBytes(text) !== null, text);
    }),
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.domain(), fc.ipV4(), fc.ipV6()), (text) => {
      const name = nameOf(text);
      if (name !== null) assert.equal(nameOf(name), name);
    }),
  );
});
