// A small Internet of names in network namespaces, each server at port 53 of an address of its own: the root signed and served by Knot,
// `test` by BIND, leaves by NSD and by us. Our resolver, and Unbound beside it, find their way from the root and believe what is signed.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ED25519 } from '../../src/formats/dnssec/keys.ts';
import { nameOf } from '../../src/resources/names/testing/signed-zones.ts';
import { missing, Program, run } from '../clients.ts';
import { type Running, runCommand, startServer } from '../server-process.ts';
import { address, SignedZone } from './dns-servers.ts';
import { cannotNamespace, Network } from './network-namespaces.ts';

const AT = {
  root: '10.99.0.1',
  tld: '10.99.0.2',
  leaf: '10.99.0.3',
  ours: '10.99.0.4',
  resolver: '10.99.0.5',
  client: '10.99.0.6',
  unbound: '10.99.0.7',
} as const;
type Place = keyof typeof AT;

const skip =
  missing('knotd', '-V') ||
  missing('named', '-v') ||
  missing('nsd', '-v') ||
  missing('unbound', '-V') ||
  missing('dig', '-v') ||
  missing('delv', '-v') ||
  cannotNamespace();
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'portico-names-net-'));
const programs: Program[] = [];
const servers: Running[] = [];
let network: Network;
const into = {} as Record<Place, string[]>;
let anchor = '';

const inside = (place: Place, ...command: string[]) => {
  const [first, ...rest] = [...into[place], ...command] as [string, ...string[]];
  return run(first, ...rest);
};
const begin = (place: Place, ...command: string[]): Program => {
  const [first, ...rest] = [...into[place], ...command] as [string, ...string[]];
  const program = new Program(first, rest);
  programs.push(program);
  return program;
};

/** Asks until there is an answer that looks as it should. */
async function asked(place: Place, server: string, question: string, pattern: RegExp, by?: Program): Promise<string> {
  for (let tries = 0; ; tries++) {
    const { out } = await inside(
      'client',
      'dig',
      `@${server}`,
      ...question.split(' '),
      '+short',
      '+tries=1',
      '+timeout=1',
    );
    if (pattern.test(out)) return out;
    assert.ok(tries < 100, `${place} says of ${question}: ${out}${by?.out ?? ''}${by?.error ?? ''}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const own = (place: Place): string => {
  const path = join(folder, place);
  mkdirSync(path, { recursive: true });
  return path;
};

/** A Portico in a namespace: somebody has an account, or it would listen on the loopback only. */
async function portico(place: Place, dns: object): Promise<string[]> {
  const config = join(own(place), 'portico.config.json');
  const protocols = Object.fromEntries(
    ['http1', 'http2', 'mqtt', 'lines', 'ssh', 'ftp', 'smtp', 'submission', 'pop3', 'imap'].map((name) => [
      name,
      { enabled: false },
    ]),
  );
  writeFileSync(
    config,
    JSON.stringify({
      ...{ hosts: [AT[place]], outbound: { allow: ['10.99.0.0/24'] }, dns: { zone: false, ...dns } },
      protocols: { ...protocols, dns: { port: 53 } },
    }),
  );
  const flags = ['--data', join(own(place), 'data'), '--config', config];
  const made = await runCommand(['account', 'add', 'admin', '--password-stdin', ...flags], 'correct horse battery 9\n');
  assert.equal(made.code, 0, made.errors);
  servers.push(await startServer(flags, {}, into[place]));
  return flags;
}

async function startLeaf(): Promise<SignedZone[]> {
  const leaf = new SignedZone('leaf.test', ED25519);
  const plain = new SignedZone('plain.test', null);
  for (const zone of [leaf, plain]) {
    zone.put(zone.name, 2, nameOf(`ns.${zone.name}`)).put(`ns.${zone.name}`, 1, address(AT.leaf));
    zone.put(`www.${zone.name}`, 1, address('192.0.2.1')).put(`*.wild.${zone.name}`, 1, address('192.0.2.9'));
  }
  const zones = [leaf, plain].map((zone) => `zone:\n  name: ${zone.name}\n  zonefile: ${zone.write(own('leaf'))}\n`);
  const config = join(own('leaf'), 'nsd.conf');
  const files = ['pidfile', 'database', 'xfrdfile', 'zonelistfile'].map(
    (name) => `  ${name}: ${join(own('leaf'), name)}\n`,
  );
  writeFileSync(
    config,
    `server:\n  ip-address: ${AT.leaf}\n  username: ""\n  chroot: ""\n  server-count: 1\n  xfrdir: ${own('leaf')}\n${files.join('')}remote-control:\n  control-enable: no\n${zones.join('')}`,
  );
  const nsd = begin('leaf', 'nsd', '-d', '-c', config);
  await asked('leaf', AT.leaf, 'leaf.test SOA', /\d/, nsd);
  return [leaf, plain];
}

/** Our own authority: the DS that its zone wants above. */
async function startOurs(): Promise<string> {
  const file = join(own('ours'), 'ours.test');
  const records = [`ns A ${AT.ours}`, 'www A 192.0.2.1', '*.wild A 192.0.2.9', 'alias CNAME www.leaf.test.'];
  writeFileSync(file, `$TTL 300\n@ SOA ns host 1 7200 600 86400 300\n@ NS ns\n${records.join('\n')}\n`);
  const flags = await portico('ours', { zones: [{ name: 'ours.test', file, dnssec: { nsec3: true } }] });
  const { output, errors } = await runCommand(['zone', 'keys', 'ours.test', '--json', ...flags]);
  assert.match(output, /"ksk"/, errors);
  return (JSON.parse(output) as { keys: { ds: string }[] }).keys.find(({ ds }) => ds !== '')!.ds;
}

/** BIND signs `test` by itself; answers its DS set. */
async function startTld(ours: string, leaf: string): Promise<string> {
  const zone = join(own('tld'), 'test.zone');
  const delegations = [
    ...[`ours NS ns.ours`, `ns.ours A ${AT.ours}`, `ours DS ${ours}`],
    ...[`leaf NS ns.leaf`, `ns.leaf A ${AT.leaf}`, `leaf DS ${leaf}`],
    ...[`plain NS ns.plain`, `ns.plain A ${AT.leaf}`],
    // Its zone has no such key.
    ...[`bogus NS ns.leaf`, `bogus DS 1 13 2 ${'00'.repeat(32)}`],
  ];
  writeFileSync(
    zone,
    `$ORIGIN test.\n$TTL 300\n@ SOA ns host 1 7200 600 86400 300\n@ NS ns\nns A ${AT.tld}\n${delegations.join('\n')}\n`,
  );
  const config = join(own('tld'), 'named.conf');
  writeFileSync(
    config,
    `options { directory "${own('tld')}"; pid-file none; session-keyfile none; listen-on { ${AT.tld}; }; listen-on-v6 { none; };
  recursion no; notify no; dnssec-validation no; allow-query { any; }; managed-keys-directory "."; };
controls { };
zone "test." { type primary; file "${zone}"; check-integrity no; dnssec-policy default; inline-signing yes; };\n`,
  );
  const named = begin('tld', 'named', '-g', '-c', config);
  const key = await asked('tld', AT.tld, 'test DNSKEY', /^257 /m, named);
  return dsOf('test.', key);
}

/** Knot signs the root by itself; answers its key as an anchor. */
async function startRoot(tld: string): Promise<string> {
  const zone = join(own('root'), 'root.zone');
  const records = [`ns.root. A ${AT.root}`, 'test. NS ns.test.', `ns.test. A ${AT.tld}`, ...tld.trim().split('\n')];
  writeFileSync(
    zone,
    `$ORIGIN .\n$TTL 300\n. SOA ns.root. host. 1 7200 600 86400 300\n. NS ns.root.\n${records.join('\n')}\n`,
  );
  const config = join(own('root'), 'knot.conf');
  writeFileSync(
    config,
    `server:\n    listen: ${AT.root}@53\n    rundir: ${own('root')}\ndatabase:\n    storage: ${own('root')}\npolicy:\n  - id: one\n    single-type-signing: on\n    algorithm: ECDSAP256SHA256\nzone:\n  - domain: .\n    file: ${zone}\n    dnssec-signing: on\n    dnssec-policy: one\n    zonefile-sync: -1\n    journal-content: all\n`,
  );
  const knot = begin('root', 'knotd', '-c', config);
  const key = await asked('root', AT.root, '. DNSKEY', /^257 /m, knot);
  return key.split('\n').find((line) => line.startsWith('257 '))!;
}

async function dsOf(name: string, keys: string): Promise<string> {
  const path = join(folder, 'keys');
  const lines = keys.split('\n').filter((line) => line.startsWith('257 '));
  writeFileSync(path, lines.map((line) => `${name} 300 IN DNSKEY ${line}\n`).join(''));
  const { out, error } = await run('dnssec-dsfromkey', '-2', '-f', path, name);
  assert.match(out, /DS/, error);
  return out;
}

before(async () => {
  if (skip !== false) return;
  network = new Network('dns');
  for (const [place, at] of Object.entries(AT)) into[place as Place] = network.join(place, at);
  const [leaf] = await startLeaf();
  const ours = await startOurs();
  const { data } = leaf!.key!;
  const leafKey = `${data.readUInt16BE(0)} 3 ${data[3]} ${data.subarray(4).toString('base64')}\n`;
  const leafDs = (await dsOf('leaf.test.', leafKey)).split(' DS ')[1]!.trim();
  const tld = await startTld(ours, leafDs);
  anchor = await startRoot(tld);
  await portico('resolver', {
    resolver: { clients: ['10.99.0.0/24'], roots: [AT.root], anchors: [`. DNSKEY ${anchor}`], families: [4] },
  });
});

after(async () => {
  for (const server of servers) await server.kill();
  for (const program of programs) program.kill();
  for (const program of programs) await program.done;
  if (skip === false) network.close();
  rmSync(folder, { recursive: true });
});

const QUESTIONS: readonly (readonly [question: string, pattern: RegExp, signed: boolean])[] = [
  ['www.leaf.test', /NOERROR[\s\S]*\s192\.0\.2\.1\n/, true],
  ['www.ours.test', /NOERROR[\s\S]*\s192\.0\.2\.1\n/, true],
  ['www.plain.test', /NOERROR[\s\S]*\s192\.0\.2\.1\n/, false],
  ['a.b.wild.leaf.test', /NOERROR[\s\S]*\s192\.0\.2\.9\n/, true],
  ['a.b.wild.ours.test', /NOERROR[\s\S]*\s192\.0\.2\.9\n/, true],
  ['alias.ours.test', /CNAME\s+www\.leaf\.test\.[\s\S]*\s192\.0\.2\.1\n/, true],
  ['no.leaf.test', /NXDOMAIN/, true],
  ['no.ours.test', /NXDOMAIN/, true],
  ['no.test', /NXDOMAIN/, true],
  ['nothing', /NXDOMAIN/, true],
  ['no.plain.test', /NXDOMAIN/, false],
  ['www.ours.test MX', /NOERROR[\s\S]*ANSWER: 0/, true],
  ['ours.test DS', /NOERROR[\s\S]*\sDS\s/, true],
];

describe('root by Knot, test by BIND, leaves by NSD and by us, in namespaces of their own', { skip }, () => {
  test('our resolver finds its way from the root, and knows what is signed', async () => {
    for (const [question, pattern, signed] of QUESTIONS) {
      const { out } = await inside('client', 'dig', `@${AT.resolver}`, ...question.split(' '), '+dnssec');
      assert.match(out, pattern, `${question}: ${out}`);
      assert.equal(/flags:[^;]* ad[ ;]/.test(out), signed, `${question}: ${out}`);
    }
    const { out } = await inside('client', 'dig', `@${AT.resolver}`, 'www.bogus.test', '+dnssec');
    assert.match(out, /SERVFAIL/);
  });

  test('delv believes what our resolver hands on, and portico dig +trace finds the same by itself', async () => {
    const anchors = join(folder, 'delv.keys');
    const [flags, protocol, algorithm, ...key] = anchor.split(' ');
    writeFileSync(anchors, `trust-anchors { . static-key ${flags} ${protocol} ${algorithm} "${key.join('')}"; };\n`);
    for (const [name, wanted] of [
      ['www.ours.test', /; fully validated\n[\s\S]*192\.0\.2\.1/],
      ['www.leaf.test', /; fully validated\n[\s\S]*192\.0\.2\.1/],
      ['no.ours.test', /; negative response, fully validated/],
      ['www.plain.test', /; unsigned answer/],
    ] as const) {
      const { out, error } = await inside('client', 'delv', `@${AT.resolver}`, '-a', anchors, '+root=.', name);
      assert.match(out + error, wanted, name);
    }
    const trace = ['dig', `@${AT.root}`, '-p', '53', 'www.ours.test', '+trace'];
    const { out, error } = await inside('client', process.execPath, MAIN, ...trace);
    assert.match(out, /www\.ours\.test\.\s+300\s+IN\s+A\s+192\.0\.2\.1/, out + error);
  });

  test('Unbound finds and believes the same from the root, our zone among it', async () => {
    const hints = join(own('unbound'), 'hints');
    writeFileSync(hints, `. 300 NS ns.root.\nns.root. 300 A ${AT.root}\n`);
    const config = join(own('unbound'), 'unbound.conf');
    writeFileSync(
      config,
      `server:\n  interface: ${AT.unbound}\n  access-control: 10.99.0.0/24 allow\n  chroot: ""\n  username: ""\n  directory: "${own('unbound')}"\n  pidfile: ""\n  use-syslog: no\n  root-hints: "${hints}"\n  module-config: "validator iterator"\n  local-zone: "test." nodefault\n  do-ip6: no\n  trust-anchor: ". DNSKEY ${anchor}"\nremote-control:\n  control-enable: no\n`,
    );
    const unbound = begin('unbound', 'unbound', '-d', '-p', '-c', config);
    await asked('unbound', AT.unbound, '. SOA', /\d/, unbound);
    for (const [question, pattern, signed] of QUESTIONS) {
      const { out } = await inside('client', 'dig', `@${AT.unbound}`, ...question.split(' '), '+dnssec');
      assert.match(out, pattern, `${question}: ${out}`);
      assert.equal(/flags:[^;]* ad[ ;]/.test(out), signed, `${question}: ${out}`);
    }
  });

  test('when the root is cut off, what is known of it still leads to what is below', async () => {
    network.plug('root', 'down');
    try {
      const { out } = await inside('client', 'dig', `@${AT.resolver}`, 'fresh.wild.leaf.test', '+dnssec');
      assert.match(out, /NOERROR[\s\S]*192\.0\.2\.9\n/, out);
      assert.match(out, /flags:[^;]* ad[ ;]/);
    } finally {
      network.plug('root', 'up');
    }
  });
});
