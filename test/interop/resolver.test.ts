// Our resolver among other software: it resolves and validates through zones that knot and BIND serve, and dig, kdig, delv, unbound
// and BIND's resolver get from it what they should.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import * as keys from '../../src/formats/dnssec/keys.ts';
import { PLAIN_NSEC3 } from '../../src/formats/dnssec/nsec.ts';
import { Portico } from '../../src/portico.ts';
import { nameOf } from '../../src/resources/names/testing/signed-zones.ts';
import { SIGNING_POLICY } from '../../src/resources/names/zone-signer.ts';
import { missing, Program, run } from '../clients.ts';
import { runCommand } from '../server-process.ts';
import { address, bind, commonPort, knot, SignedZone } from './dns-servers.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-resolver-'));
// BIND listens only on addresses that an interface has by name: the loopback's first.
const HOSTS = { root: '127.0.0.2', tld: '127.0.0.1', leaf: '127.0.0.4' };
const OWN = '127.0.0.6';
const OURS = '127.0.0.7';
const skip =
  missing('knotd', '-V') ||
  missing('named', '-v') ||
  missing('dig', '-v') ||
  missing('delv', '-v') ||
  missing('kdig', '-V') ||
  missing('unbound', '-V');
const programs: Program[] = [];
const root = new SignedZone('', keys.RSASHA256);
let portico: Portico;
/** Serves a zone that it signs itself. */
let authority: Portico;
let port = '';

function zones() {
  const tld = new SignedZone('test', keys.ECDSAP256, { ...SIGNING_POLICY, nsec3: PLAIN_NSEC3, optOut: true });
  const leaf = new SignedZone('leaf.test', keys.ED25519);
  const hashed = new SignedZone('hashed.test', keys.ECDSAP384, { ...SIGNING_POLICY, nsec3: PLAIN_NSEC3 });
  const plain = new SignedZone('plain.test', null);
  const bogus = new SignedZone('bogus.test', keys.ED25519);
  root.put('', 2, nameOf('ns.root')).put('ns.root', 1, address(HOSTS.root)).delegate(tld, HOSTS.tld);
  for (const zone of [leaf, hashed, plain, bogus]) {
    tld.delegate(zone, HOSTS.leaf);
    zone.put(`www.${zone.name}`, 1, address('192.0.2.1')).put(`*.wild.${zone.name}`, 1, address('192.0.2.9'));
    zone.put(`alias.${zone.name}`, 5, nameOf('www.leaf.test')).put(`old.${zone.name}`, 39, nameOf('leaf.test'));
    zone.put(
      `long.${zone.name}`,
      16,
      ...Array.from({ length: 20 }, (_, index) => Buffer.concat([Buffer.from([100]), Buffer.alloc(100, 97 + index)])),
    );
  }
  // The parent has the digest of another key.
  const other = new SignedZone('bogus.test', keys.ED25519);
  const signer = keys.makeDelegationSigner(nameOf('bogus.test'), other.key!, keys.DIGEST_SHA256);
  tld.put('bogus.test', 43, signer);
  return { tld, leaf, hashed, plain, bogus };
}

/** Our own authority, with a zone that it signs and denies by hashes. */
async function startAuthority(shared: number): Promise<Portico> {
  const file = join(folder, 'ours.test');
  const names = [
    'ns A 127.0.0.7',
    'www A 192.0.2.1',
    '*.wild A 192.0.2.9',
    'alias CNAME www.leaf.test.',
    'old DNAME leaf.test.',
  ];
  writeFileSync(
    file,
    `$ORIGIN ours.test.\n$TTL 300\n@ SOA ns host 1 7200 600 86400 300\n@ NS ns\n${names.join('\n')}\n`,
  );
  const started = await Portico.start({
    ports: 'ephemeral',
    hosts: [OURS],
    protocols: { dns: { port: shared } },
    data: join(folder, 'ours'),
    dns: { zones: [{ name: 'ours.test', file, dnssec: { nsec3: true } }] },
  });
  let asked = '';
  for (let tries = 0; tries < 100 && !/^\d/.test(asked); tries++)
    asked = (await run('dig', `@${OURS}`, '-p', String(shared), 'ours.test', 'CDS', '+short')).out;
  return started;
}

before(async () => {
  if (skip !== false) return;
  const { tld, leaf, hashed, plain, bogus } = zones();
  const shared = await commonPort([...Object.values(HOSTS), OWN, OURS]);
  port = String(shared);
  authority = await startAuthority(shared);
  const { out: asked } = await run('dig', `@${OURS}`, '-p', port, 'ours.test', 'CDS', '+short');
  const [tag, algorithm, digest, ...hex] = asked.trim().split(/\s+/);
  const signer = Buffer.concat([
    Buffer.from([0, 0, Number(algorithm), Number(digest)]),
    Buffer.from(hex.join(''), 'hex'),
  ]);
  signer.writeUInt16BE(Number(tag), 0);
  tld.put('ours.test', 2, nameOf('ns.ours.test')).put('ns.ours.test', 1, address(OURS)).put('ours.test', 43, signer);
  programs.push(await knot(folder, HOSTS.root, shared, [root]));
  programs.push(await bind(folder, HOSTS.tld, shared, [tld]));
  programs.push(await knot(folder, HOSTS.leaf, shared, [leaf, hashed, plain, bogus]));
  portico = await Portico.start({
    ports: 'ephemeral',
    hosts: [OWN],
    protocols: { dns: { port: shared } },
    data: join(folder, 'data'),
    outbound: { allow: ['127.0.0.0/8'] },
    dns: { resolver: { roots: [HOSTS.root], port: shared, anchors: [root.anchor], families: [4] } },
  });
});
after(async () => {
  await portico?.close();
  await authority?.close();
  for (const program of programs) program.kill();
  for (const program of programs) await program.done;
  rmSync(folder, { recursive: true });
});

const dig = async (...args: string[]) => (await run('dig', `@${OWN}`, '-p', port, ...args)).out;
const kdig = async (...args: string[]) => (await run('kdig', `@${OWN}`, '-p', port, ...args)).out;

describe('questions through root, test and leaves of knot and BIND', { skip }, () => {
  test('names are found and authentic where they are signed; aliases, DNAME, wildcards, denials', async () => {
    for (const zone of ['leaf.test', 'hashed.test', 'ours.test', 'plain.test']) {
      const signed = zone !== 'plain.test';
      const cases: readonly [string, RegExp][] = [
        [`www.${zone}`, /NOERROR[\s\S]*\s192\.0\.2\.1\n/],
        [`x.y.wild.${zone}`, /NOERROR[\s\S]*\s192\.0\.2\.9\n/],
        [`alias.${zone}`, /CNAME\s+www\.leaf\.test\.[\s\S]*\s192\.0\.2\.1\n/],
        [`www.old.${zone}`, /DNAME\s+leaf\.test\.[\s\S]*CNAME\s+www\.leaf\.test\.[\s\S]*\s192\.0\.2\.1\n/],
        [`nothing.${zone}`, /NXDOMAIN[\s\S]*SOA/],
        [`www.${zone} MX`, /NOERROR[\s\S]*ANSWER: 0[\s\S]*SOA/],
      ];
      for (const [question, pattern] of cases) {
        const out = await dig(...question.split(' '), '+dnssec');
        assert.match(out, pattern, `${question}: ${out}`);
        assert.equal(/flags:[^;]* ad[ ;]/.test(out), signed, `${question}: ${out}`);
        assert.equal(/RRSIG/.test(out), signed || /leaf\.test\.\s+\d+\s+IN\s+A/.test(out), question);
      }
    }
  });

  test('what does not validate is refused with a reason, and given to whoever judges himself', async () => {
    const out = await dig('www.bogus.test', '+dnssec');
    assert.match(out, /SERVFAIL/);
    assert.match(out, /EDE: 9 \(DNSKEY Missing\)/);
    assert.match(await dig('www.bogus.test', '+cd'), /192\.0\.2\.1/);
  });

  test('over UDP, TCP and TLS, long answers truncated where they must be', async () => {
    assert.match(await dig('long.leaf.test', 'TXT', '+ignore'), /flags:[^;]* tc[ ;]/);
    assert.match(await dig('long.leaf.test', 'TXT'), /ANSWER: 20/);
    assert.match(await kdig('www.leaf.test', '+tcp', '+dnssec'), /NOERROR[\s\S]*192\.0\.2\.1/);
    const tls = new URL(portico.urls.dot!.replace(/^\w+:/, 'http:')).port;
    assert.match((await run('kdig', `@${OWN}`, '-p', tls, '+tls', 'www.leaf.test')).out, /192\.0\.2\.1/);
  });

  test('delv validates what we give it, from the root', async () => {
    const { data } = root.key!;
    const anchors = join(folder, 'delv.keys');
    const key = `${data.readUInt16BE(0)} 3 ${data[3]} "${data.subarray(4).toString('base64')}"`;
    writeFileSync(anchors, `trust-anchors { . static-key ${key}; };\n`);
    const delv = async (...args: string[]) => {
      const { out, error } = await run('delv', `@${OWN}`, '-p', port, '-a', anchors, '+root=.', ...args);
      return out + error;
    };
    assert.match(await delv('www.leaf.test'), /; fully validated\n.*192\.0\.2\.1/);
    for (const name of ['www.hashed.test', 'www.ours.test', 'x.wild.ours.test'])
      assert.match(await delv(name), /; fully validated/, name);
    assert.match(await delv('nothing.ours.test'), /; negative response, fully validated/);
    assert.match(await delv('x.wild.leaf.test'), /; fully validated/);
    assert.match(await delv('nothing.leaf.test'), /; negative response, fully validated/);
    assert.match(await delv('nothing.hashed.test'), /; negative response, fully validated/);
    assert.match(await delv('www.leaf.test', 'MX'), /; negative response, fully validated/);
    assert.match(await delv('www.plain.test'), /; unsigned answer/);
  });

  test('unbound forwards to us and finds everything in order', async () => {
    const own = await commonPort(['127.0.0.5']);
    const config = [
      `server:\n  interface: 127.0.0.5\n  port: ${own}\n  do-not-query-localhost: no\n  chroot: ""\n  username: ""\n  directory: "${folder}"\n  pidfile: ""`,
      `  use-syslog: no\n  module-config: "validator iterator"\n  local-zone: "test." nodefault\n  trust-anchor: "${root.anchor}"\nremote-control:\n  control-enable: no`,
      `forward-zone:\n  name: "."\n  forward-addr: ${OWN}@${port}`,
    ].join('\n');
    const path = join(folder, 'unbound.conf');
    writeFileSync(path, `${config}\n`);
    const unbound = new Program('unbound', ['-d', '-p', '-c', path]);
    try {
      const ask = async (...args: string[]) => (await run('dig', '@127.0.0.5', '-p', String(own), ...args)).out;
      let up = '';
      for (let tries = 0; tries < 100 && !/status:/.test(up); tries++)
        up = await ask('leaf.test', 'SOA', '+tries=1', '+timeout=1');
      for (const question of [
        'www.leaf.test',
        'www.hashed.test',
        'alias.hashed.test',
        'x.wild.leaf.test',
        'x.wild.hashed.test',
        'www.ours.test',
        'x.wild.ours.test',
      ]) {
        const out = await ask(question, '+dnssec');
        assert.match(out, /flags:[^;]* ad[ ;]/, `${question}: ${out}${unbound.error}`);
      }
      for (const question of ['nothing.leaf.test', 'nothing.hashed.test', 'nothing.ours.test'])
        assert.match(await ask(question, '+dnssec'), /NXDOMAIN[\s\S]*flags:[^;]* ad[ ;]/);
      assert.match(await ask('www.plain.test'), /NOERROR[\s\S]*192\.0\.2\.1/);
      assert.match(await ask('www.bogus.test'), /SERVFAIL/);
    } finally {
      unbound.kill();
      await unbound.done;
    }
  });

  test('portico dig: through us, and by itself from the root', async () => {
    const own = async (...args: string[]) => (await runCommand(['dig', '-p', port, ...args])).output;
    assert.equal(await own(`@${OWN}`, 'www.leaf.test', '+short'), '192.0.2.1\n');
    assert.match(await own(`@${OWN}`, 'www.leaf.test', '+dnssec'), /flags: qr rd ra ad;[\s\S]*RRSIG\s+A 15 3 300/);
    assert.match(await own(`@${OWN}`, 'long.leaf.test', 'TXT'), /Truncated, retrying in TCP mode[\s\S]*ANSWER: 20/);
    const traced = await own(`@${HOSTS.root}`, 'www.leaf.test', '+trace');
    assert.match(traced, /\.\s+300\s+IN\s+NS\s+ns\.root\.\n/);
    assert.match(traced, /test\.\s+300\s+IN\s+NS\s+ns\.test\.\n[\s\S]*test\.\s+\d+\s+IN\s+DS\s/);
    assert.match(traced, new RegExp(`Received \\d+ bytes from ${HOSTS.tld}#${port}\\(ns\\.test\\) in`));
    assert.match(traced, /www\.leaf\.test\.\s+300\s+IN\s+A\s+192\.0\.2\.1\n/);
  });

  test('strangers, and whoever does not ask for recursion, get nothing', async () => {
    assert.match(await dig('www.leaf.test', '+norecurse'), /REFUSED/);
    assert.match(await dig('www.leaf.test', 'RRSIG'), /REFUSED/);
    assert.match(await dig('www.leaf.test', 'ANY', '+notcp'), /HINFO\s+"RFC8482"/);
  });
});
