// Policies of MTA-STS and TLSA records, by the examples of their RFCs and with certificates made for the purpose.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { judgeTlsa, mayTake, readStsPolicy, stsId, usableTlsa } from './transport-security.ts';

test('MTA-STS: the record and the policy (RFC 8461 §3.1, §3.2)', () => {
  assert.equal(stsId(['v=STSv1; id=20160831085700Z;']), '20160831085700Z');
  assert.equal(stsId(['v=STSv1;id=1']), '1');
  for (const none of [
    [],
    ['v=STSv2; id=1;'],
    ['v=STSv1;'],
    ['id=1; v=STSv1'],
    ['v=STSv1; id=1', 'v=STSv1; id=2'],
    ['v=STSv1; id=a-b'],
  ])
    assert.equal(stsId(none), null, none.join());
  const text =
    'version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\r\nmx: backupmx.example.com\nmax_age: 604800\n';
  assert.deepEqual(readStsPolicy(text), {
    mode: 'enforce',
    hosts: ['mail.example.com', '*.example.net', 'backupmx.example.com'],
    maxAgeSeconds: 604_800,
  });
  for (const [from, to] of [
    ['STSv1', 'STSv9'],
    ['enforce', 'maybe'],
    ['604800', 'long'],
    ['max_age', 'min_age'],
  ] as const)
    assert.equal(readStsPolicy(text.replace(from, to)), null, to);
  assert.equal(readStsPolicy('version: STSv1\nmode: enforce\nmax_age: 1\n'), null);
  assert.equal(readStsPolicy('version: STSv1\nmode: none\nmax_age: 99999999999\n'), null);
  assert.equal(readStsPolicy('version: STSv1\nmode: none\nmax_age: 9999999999\n')!.maxAgeSeconds, 31_557_600);
});

test('MTA-STS: which hosts may take mail (RFC 8461 §4.1)', () => {
  const policy = { mode: 'enforce', hosts: ['mail.example.com', '*.example.net'], maxAgeSeconds: 1 } as const;
  for (const host of ['mail.example.com', 'MAIL.example.com', 'mail.example.com.', 'a.example.net'])
    assert.equal(mayTake(policy, host), true, host);
  for (const host of ['example.com', 'a.mail.example.com', 'example.net', 'a.b.example.net', 'evil.test'])
    assert.equal(mayTake(policy, host), false, host);
});

test('TLSA: which records mail can use (RFC 7672 §3.1.3)', () => {
  assert.deepEqual(usableTlsa(['3 1 1 0A1B']), [{ usage: 3, selector: 1, matching: 1, data: '0a1b' }]);
  assert.deepEqual(usableTlsa(['0 0 1 aa', '1 1 1 aa', '3 2 1 aa', '3 1 3 aa', '3 1 1', '3 1 1 a', 'x']), []);
});

test('TLSA: the very certificate, its key, an authority; and who is not meant (RFC 7672 §3.1.1, §3.1.2)', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-dane-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const openssl = (...args: string[]) => {
    const { status, stderr, error } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
    assert.equal(status, 0, error?.message ?? stderr);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  writeFileSync(join(folder, 'ext'), 'subjectAltName=DNS:mx.there.test\n');
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=An authority', '-days', '2');
  openssl('req', ...key, '-keyout', 'own.key', '-out', 'own.csr', '-subj', '/CN=mx');
  openssl(
    ...['x509', '-req', '-in', 'own.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-out', 'own.pem', '-days', '2'],
    '-extfile',
    'ext',
  );
  openssl('req', '-x509', ...key, '-keyout', 'x.key', '-out', 'other.pem', '-subj', '/CN=An authority', '-days', '2');
  const [own, authority, other] = ['own.pem', 'ca.pem', 'other.pem'].map(
    (name) => new X509Certificate(readFileSync(join(folder, name))),
  );
  const chain = [own!.raw, authority!.raw];
  const hex = (bytes: Buffer, hash: string) =>
    (hash === '' ? bytes : createHash(hash).update(bytes).digest()).toString('hex');
  const spki = (one: X509Certificate) => one.publicKey.export({ type: 'spki', format: 'der' });
  const judge = (record: string, given = chain, name = 'mx.there.test', wall = Date.now()) =>
    judgeTlsa(usableTlsa([record]), given, [name], wall) === null;
  assert.ok(judge(`3 1 1 ${hex(spki(own!), 'sha256')}`));
  assert.ok(judge(`3 0 2 ${hex(own!.raw, 'sha512')}`));
  assert.ok(judge(`3 0 0 ${hex(own!.raw, '')}`));
  // Whoever names the certificate itself does not care what is written in it.
  assert.ok(judge(`3 1 1 ${hex(spki(own!), 'sha256')}`, [own!.raw], 'other.test', 0));
  assert.ok(!judge(`3 1 1 ${hex(spki(authority!), 'sha256')}`));
  assert.ok(judge(`2 0 1 ${hex(authority!.raw, 'sha256')}`));
  assert.ok(judge(`2 1 1 ${hex(spki(authority!), 'sha256')}`));
  assert.ok(!judge(`2 1 1 ${hex(spki(authority!), 'sha256')}`, chain, 'other.test'));
  assert.ok(!judge(`2 1 1 ${hex(spki(authority!), 'sha256')}`, chain, 'mx.there.test', Date.now() + 1e10));
  assert.ok(!judge(`2 1 1 ${hex(spki(own!), 'sha256')}`));
  // It has the authority's name and not its key.
  assert.ok(!judge(`2 1 1 ${hex(spki(other!), 'sha256')}`, [own!.raw, other!.raw]));
  assert.ok(!judge(`3 1 1 ${hex(spki(own!), 'sha256')}`, [Buffer.from('no certificate')]));
  assert.ok(!judge(`3 1 1 ${hex(spki(own!), 'sha256')}`, []));
});
