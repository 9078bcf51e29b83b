// Which certificate is shown for which name, what is renewed, and files that change under a running server.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Log, SILENT } from '../core/log.ts';
import type { Identity } from '../core/tls.ts';
import { Authority, type Issued, renewalOf } from './authority.ts';
import { DAY, pemBlocks } from './certificate.ts';
import { ACME_ALPN, Certificates, type CertificatesOptions } from './certificates.ts';
import { MemoryKeeping } from './keeping.ts';
import { Constraints, machineNames, nameOf } from './names.ts';
import { readCertificate } from './reading.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-certificates-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function open(t: TestContext, given: Partial<CertificatesOptions> = {}): Certificates {
  const certificates = new Certificates({ data: null, hostname: 'box-1', log: SILENT, ...given });
  t.after(() => certificates.close());
  return certificates;
}

const namesOf = (identity: Identity | null) =>
  readCertificate(pemBlocks(identity?.certificate ?? '', 'CERTIFICATE')[0] ?? new Uint8Array())?.names ?? null;

/** Another authority, for files of one's own. */
const other = new Authority(
  {
    keeping: new MemoryKeeping(),
    constraints: new Constraints(['example.org'], []),
    machine: 'other',
    url: '',
    log: SILENT,
  },
  Date.now(),
);

function put(name: string, { chain, key }: Issued): { certificate: string; key: string } {
  const pair = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  writeFileSync(pair.certificate, chain);
  writeFileSync(pair.key, key);
  return pair;
}

const issued = (...names: string[]) => other.issue({ names, purpose: 'server', by: 'command' }, Date.now());

/** Waits until something holds, as long as a test may take. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(20);
}

test('the server’s own certificate is for this machine by its names and addresses', (t) => {
  const certificates = open(t, { names: ['intranet.example', 'BÜRO.example'] });
  const all = ['localhost', 'portico.test', '*.portico.test', 'box-1', 'box-1.local', '127.0.0.1', '::1'];
  assert.deepEqual(namesOf(certificates.pick('localhost', null, [])), [
    ...all,
    'intranet.example',
    'xn--bro-hoa.example',
  ]);
});

test('a machine’s name that may be a top-level domain is not permitted, since all below it would be', () => {
  assert.deepEqual(machineNames('dev'), ['dev.local']);
  assert.deepEqual(machineNames('xn--p1ai'), ['xn--p1ai.local']);
  assert.deepEqual(machineNames('dev-7'), ['dev-7', 'dev-7.local']);
  assert.deepEqual(machineNames('web.example.com'), ['web.example.com', 'web.local']);
  assert.deepEqual(machineNames('not_a_name'), []);
});

test('a name under the constraints gets its own on demand, once; any other gets the server’s', (t) => {
  const certificates = open(t);
  const own = certificates.pick(null, null, []);
  const app = certificates.pick('app.localhost', null, []);
  assert.deepEqual(namesOf(app), ['app.localhost']);
  assert.equal(certificates.pick('app.localhost', null, []), app);
  for (const name of ['example.com', 'evil', 'not a name', '', '*.localhost.', '..', 'a'.repeat(300)])
    assert.equal(certificates.pick(name, null, []), own, name);
  assert.equal(certificates.pick(null, { host: '127.0.0.1', port: 1 }, []), own);
  assert.equal(certificates.pick(null, { host: '10.1.2.3', port: 1 }, []), own);
  assert.deepEqual(namesOf(certificates.pick('127.0.0.9', null, [])), ['127.0.0.9']);
});

test('those on demand are bounded, and the one asked for last stays', (t) => {
  const certificates = open(t);
  const first = certificates.pick('first.localhost', null, []);
  for (let index = 0; index < 300; index++) {
    certificates.pick(`n${index}.localhost`, null, []);
    assert.equal(certificates.pick('first.localhost', null, []), first);
  }
  assert.notEqual(certificates.pick('n0.localhost', null, []), null);
});

test('an address of a permitted range, without SNI', (t) => {
  const certificates = open(t, { ranges: ['10.0.0.0/8'] });
  assert.deepEqual(namesOf(certificates.pick(null, { host: '10.1.2.3', port: 443 }, [])), ['10.1.2.3']);
  assert.deepEqual(namesOf(certificates.pick(null, { host: '::ffff:10.1.2.4', port: 443 }, [])), ['10.1.2.4']);
});

test('it is renewed at two thirds of its life, with a new key, and the same until then also over restarts', (t) => {
  let now = Date.now();
  const data = mkdtempSync(join(folder, 'data-'));
  const first = open(t, { data, wall: () => now });
  const shown = first.pick('localhost', null, []);
  const again = open(t, { data, wall: () => now });
  assert.deepEqual(again.pick('localhost', null, []), shown);
  const facts = readCertificate(pemBlocks(shown!.certificate, 'CERTIFICATE')[0]!)!;
  now = renewalOf(facts.from, facts.to) - 1_000;
  first.refresh();
  assert.equal(first.pick('localhost', null, []), shown);
  now += 2_000;
  first.refresh();
  const renewed = first.pick('localhost', null, []);
  assert.notEqual(renewed?.key, shown?.key);
  const onDemand = first.pick('x.localhost', null, []);
  now += 61 * DAY;
  assert.notEqual(first.pick('x.localhost', null, []), onDemand);
});

test('the second name of a configuration is beyond a root that was made before: the rest is served', (t) => {
  const data = mkdtempSync(join(folder, 'data-'));
  open(t, { data });
  const more = open(t, { data, names: ['late.example'] });
  assert.equal(namesOf(more.pick('localhost', null, []))?.includes('late.example'), false);
});

test('files of one’s own are shown for their names, and by default', (t) => {
  const files = [put('one', issued('www.example.org')), put('two', issued('*.example.org'))];
  const certificates = open(t, { files });
  assert.deepEqual(namesOf(certificates.pick('www.example.org', null, [])), ['www.example.org']);
  assert.deepEqual(namesOf(certificates.pick('mail.example.org', null, [])), ['*.example.org']);
  assert.deepEqual(namesOf(certificates.pick('a.b.example.org', null, [])), ['www.example.org']);
  assert.deepEqual(namesOf(certificates.pick('app.localhost', null, [])), ['app.localhost']);
  assert.equal(
    certificates.figures().some(({ names }) => names === '*.example.org'),
    true,
  );
});

test('what is wrong with a pair is said, and the former goes on', async (t) => {
  const said: string[] = [];
  const log: Log = {
    ...SILENT,
    error: (text, fields) => void said.push(`${text}: ${fields?.why} (${fields?.instead})`),
  };
  const [good, stranger] = [issued('good.example.org'), issued('stranger.example.org')];
  const pair = put('changing', good);
  const certificates = open(t, { files: [pair], log });
  const shown = () => namesOf(certificates.pick('good.example.org', null, []));
  assert.deepEqual(shown(), ['good.example.org']);
  const expired = other.issue({ names: ['good.example.org'], purpose: 'server', by: 'command', days: -2 }, Date.now());
  const [leaf, ...rest] = good.chain.split(/(?<=-----END CERTIFICATE-----\n)/);
  const wrong: [string, string, RegExp][] = [
    [good.chain, stranger.key, /the key is not that of its first certificate/],
    ['nothing', good.key, /there is no certificate in it/],
    [good.chain, 'nothing', /its key cannot be read/],
    [expired.chain, expired.key, /it expired at/],
    [
      leaf! + issued('x.example.org').chain + rest.join(''),
      good.key,
      /certificate 2 of it did not issue the one before/,
    ],
    ['-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n', good.key, /certificate 1 of it cannot be read/],
  ];
  for (const [chain, key, problem] of wrong) {
    writeFileSync(pair.certificate, chain);
    writeFileSync(pair.key, key);
    certificates.refresh();
    assert.match(said.at(-1) ?? '', problem);
    assert.match(said.at(-1) ?? '', /\(the former\)/);
    assert.deepEqual(shown(), ['good.example.org']);
  }
  const count = said.length;
  certificates.refresh();
  assert.equal(said.length, count, 'said once');
  rmSync(pair.certificate);
  certificates.refresh();
  assert.deepEqual(shown(), ['good.example.org']);
});

test('a renamed file, a link of certbot and one of Kubernetes are noticed when they change', async (t) => {
  const place = mkdtempSync(join(folder, 'hot-'));
  const write = (name: string, { chain, key }: Issued) => {
    mkdirSync(join(place, name));
    writeFileSync(join(place, name, 'tls.crt'), chain);
    writeFileSync(join(place, name, 'tls.key'), key);
  };
  write('v1', issued('k.example.org'));
  symlinkSync('v1', join(place, '..data'));
  for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, join(place, name));
  const plain = put('plain', issued('p.example.org'));
  const files = [{ certificate: join(place, 'tls.crt'), key: join(place, 'tls.key') }, plain];
  const certificates = open(t, { files });
  const serial = (name: string) =>
    new X509Certificate(certificates.pick(name, null, [])!.certificate).serialNumber.toLowerCase();
  const next = issued('k.example.org');
  write('v2', next);
  symlinkSync('v2', join(place, '..data_tmp'));
  renameSync(join(place, '..data_tmp'), join(place, '..data'));
  await until(() => serial('k.example.org') === next.serial);
  const renewed = issued('p.example.org');
  writeFileSync(`${plain.key}.new`, renewed.key);
  writeFileSync(`${plain.certificate}.new`, renewed.chain);
  renameSync(`${plain.key}.new`, plain.key);
  renameSync(`${plain.certificate}.new`, plain.certificate);
  await until(() => serial('p.example.org') === renewed.serial);
});

test('the certificate of a challenge is shown to those who ask for acme-tls/1 alone (RFC 8737 §3)', (t) => {
  const certificates = open(t);
  assert.equal(certificates.pick('portico.test', null, [ACME_ALPN]), null);
  assert.equal(certificates.challenge('portico.test', 'token.thumbprint'), true);
  const shown = certificates.pick('portico.test', null, [ACME_ALPN]);
  const text = new X509Certificate(shown!.certificate);
  assert.equal(text.subjectAltName, 'DNS:portico.test');
  assert.notEqual(certificates.pick('portico.test', null, ['h2']), shown);
  certificates.unchallenge('portico.test');
  assert.equal(certificates.pick('portico.test', null, [ACME_ALPN]), null);
});

test('a client’s certificate is taken until it is revoked; a server’s never is', (t) => {
  const certificates = open(t);
  const { clientCertificates } = certificates;
  const client = certificates.issue({ names: [], purpose: 'client', by: 'command', account: 'ann' });
  const chain = pemBlocks(client.chain, 'CERTIFICATE');
  assert.equal(clientCertificates.refuse(chain), null);
  certificates.authority.issued.revoke(client.serial, Date.now());
  assert.match(clientCertificates.refuse(chain) ?? '', /was revoked/);
  const server = certificates.issue({ names: ['localhost'], purpose: 'server', by: 'command' });
  assert.match(clientCertificates.refuse(pemBlocks(server.chain, 'CERTIFICATE')) ?? '', /not for clients/);
  assert.match(clientCertificates.refuse([Buffer.from('nonsense')]) ?? '', /cannot be read/);
  assert.match(clientCertificates.authorities, /BEGIN CERTIFICATE/);
});

test('clients of another authority, and what it revoked', (t) => {
  const authorities = join(folder, 'other-root.crt');
  const revoked = join(folder, 'other.crl');
  writeFileSync(authorities, other.root.pem);
  const plan = { names: [], purpose: 'client', by: 'command', account: 'bob' } as const;
  const [gone, good] = [other.issue(plan, Date.now()), other.issue(plan, Date.now())];
  writeFileSync(revoked, other.revocationList(other.intermediate.id, Date.now())!);
  const { clientCertificates } = open(t, { clientAuthorities: [authorities], revocationLists: [revoked] });
  assert.equal(clientCertificates.refuse(pemBlocks(gone.chain, 'CERTIFICATE')), null);
  assert.equal(clientCertificates.authorities.includes(readFileSync(authorities, 'latin1').trim()), true);
  other.issued.revoke(gone.serial, Date.now());
  writeFileSync(revoked, other.revocationList(other.intermediate.id, Date.now())!);
  const later = open(t, { clientAuthorities: [authorities], revocationLists: [revoked] });
  assert.match(later.clientCertificates.refuse(pemBlocks(gone.chain, 'CERTIFICATE')) ?? '', /was revoked/);
  assert.equal(later.clientCertificates.refuse(pemBlocks(good.chain, 'CERTIFICATE')), null);
  const late = open(t, {
    clientAuthorities: [authorities],
    revocationLists: [revoked],
    wall: () => Date.now() + 8 * DAY,
  });
  assert.match(late.clientCertificates.refuse(pemBlocks(good.chain, 'CERTIFICATE')) ?? '', /out of date/);
});

test('names in their one form', () => {
  const forms: [string, string | null][] = [
    ['LocalHost.', 'localhost'],
    ['*.Portico.Test', '*.portico.test'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['[::1]', '::1'],
    ['2001:DB8::0:1', '2001:db8::1'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['1.2.3.4', '1.2.3.4'],
    ['1.2.3', null],
    ['1.2.3.256', null],
    ['01.2.3.4', null],
    ['0x7f.1', null],
    ['a..b', null],
    ['-a.b', null],
    ['a_b', null],
    ['*.*.b', null],
    ['a.*.b', null],
    ['a b', null],
    ['1::2::3', null],
    ['1:2:3:4:5:6:7:8:9', null],
    ['', null],
    ['*.', null],
  ];
  for (const [text, form] of forms) assert.equal(nameOf(text), form, text);
});

test('what another process revokes and renews in the folder counts for who runs on it', async (t) => {
  const data = mkdtempSync(join(folder, 'data-'));
  const [server, command] = [open(t, { data }), open(t, { data })];
  const client = command.issue({ names: [], purpose: 'client', by: 'command', account: 'ann' });
  const chain = pemBlocks(client.chain, 'CERTIFICATE');
  assert.equal(server.clientCertificates.refuse(chain), null);
  command.authority.issued.revoke(client.serial, Date.now());
  await until(() => server.clientCertificates.refuse(chain) !== null);
  const before = server.pick('localhost', null, []);
  command.renew();
  await until(() => server.pick('localhost', null, [])?.key !== before?.key);
  const own = issued('imported.example.org');
  command.import(own.chain, own.key);
  await until(() => namesOf(server.pick('imported.example.org', null, []))?.[0] === 'imported.example.org');
});

test('a clock that was wrong at first: the server starts all the same, and makes a root that is valid now', (t) => {
  const data = mkdtempSync(join(folder, 'data-'));
  const said: string[] = [];
  const log: Log = { ...SILENT, warn: (text) => void said.push(text) };
  let now = Date.UTC(1970, 0, 2);
  const early = open(t, { data, wall: () => now });
  assert.ok(early.pick('localhost', null, []) !== null);
  now = Date.UTC(2026, 0, 1);
  const late = open(t, { data, wall: () => now, log });
  const facts = readCertificate(pemBlocks(late.pick('localhost', null, [])!.certificate, 'CERTIFICATE')[0]!)!;
  assert.ok(facts.from < now && now < facts.to);
  assert.match(said.join(), /the root has expired and another one was made/);
  now = Date.UTC(2000, 0, 1);
  assert.ok(open(t, { data, wall: () => now }).pick('localhost', null, []) !== null);
});

test('what another authority gave is shown, kept, and shown again by who starts on the folder', (t) => {
  const data = mkdtempSync(join(folder, 'data-'));
  const certificates = open(t, { data });
  const { chain, key } = issued('acme.example.org');
  assert.equal(typeof certificates.obtain('acme.example.org', chain, issued('x.example.org').key), 'string');
  assert.notEqual(typeof certificates.obtain('acme.example.org', chain, key), 'string');
  assert.deepEqual(namesOf(certificates.pick('acme.example.org', null, [])), ['acme.example.org']);
  const again = open(t, { data });
  assert.notEqual(again.obtainedBefore('acme.example.org'), null);
  assert.equal(again.obtainedBefore('other.example.org'), null);
  assert.deepEqual(namesOf(again.pick('acme.example.org', null, [])), ['acme.example.org']);
});
