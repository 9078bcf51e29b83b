// DNS with what others made: dig, kdig, nsupdate, dnspython and named-checkzone as clients, Knot and BIND as secondaries of our
// zones and as primaries of theirs.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { writeMaster } from '../../src/resources/names/master-file.ts';

const isCi = process.env.CI === 'true';
const lacking = (program: string, argument = '-V') =>
  isCi || spawnSync(program, [argument]).error === undefined ? false : `${program} is not installed`;
const noDig = lacking('dig', '-v');
const noKdig = lacking('kdig');
const noNsupdate = lacking('nsupdate');
const noKnot = lacking('knotd');
const noBind = lacking('named');
const noCheckzone = lacking('named-checkzone', '-v');
const PYTHON = '/usr/bin/python3';
const noPython =
  isCi || spawnSync(PYTHON, ['-c', 'import dns']).status === 0 ? false : 'python3-dnspython is not installed';

const SECRET = Buffer.from('a secret that both sides know....').toString('base64');
const folder = mkdtempSync(join(tmpdir(), 'portico-dns-'));
const children: ChildProcess[] = [];
let portico: Portico;
let port = 0;
let knotPort = 0;
let bindPort = 0;

const ZONE = (name: string) => `$ORIGIN ${name}.
$TTL 60
@ SOA ns host 1 2 2 600 60
@ NS ns
ns A 127.0.0.1
www A 192.0.2.1
www AAAA 2001:db8::1
*.w TXT "wild"
alias CNAME www
@ MX 10 www
text TXT "a \\"quoted\\" string" "\\195\\164"
svc HTTPS 1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1
key SSHFP 4 2 ${'AB'.repeat(32)}
loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
caa CAA 0 issue "ca.example"
naptr NAPTR 100 10 "S" "SIP+D2U" "" _sip._udp
uri URI 10 1 "https://example/"
own TYPE65400 \\# 4 01020304
dn DNAME other.example.
`;

/** A port that is free over UDP and TCP. */
async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port: found } = server.address() as { port: number };
    const socket = createSocket('udp4');
    const free = await new Promise<boolean>((resolve) => {
      socket.once('error', () => resolve(false));
      socket.bind(found, '127.0.0.1', () => resolve(true));
    });
    await new Promise<void>((resolve) => server.close(() => resolve()));
    if (free) socket.close();
    if (free) return found;
  }
}

function run(program: string, parameters: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, parameters, { timeout: 60_000 }, (error, out, err) => {
      if (error !== null && 'code' in error && error.code === 'ENOENT') reject(error);
      else resolve(`${out}${err}`);
    });
    child.stdin?.end(input);
  });
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let round = 0; round < 600; round++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${what} never came to be`);
}

const dig = (at: number, ...parameters: readonly string[]) =>
  run('dig', ['@127.0.0.1', '-p', String(at), '+tries=2', '+time=5', ...parameters]);
const short = async (at: number, ...parameters: readonly string[]) => (await dig(at, '+short', ...parameters)).trim();
const names = () => portico.names;

function start(program: string, parameters: readonly string[]): void {
  const child = spawn(program, parameters, { stdio: 'ignore' });
  children.push(child);
}

function startKnot(): void {
  const own = join(folder, 'knot');
  mkdirSync(own);
  writeFileSync(join(own, 'knots.zone'), ZONE('knots.example'));
  const text = `server:
  rundir: ${own}
  listen: 127.0.0.1@${knotPort}
key:
  - id: xfr
    algorithm: hmac-sha256
    secret: ${SECRET}
remote:
  - id: portico
    address: 127.0.0.1@${port}
    key: xfr
acl:
  - id: portico
    address: 127.0.0.1
    key: xfr
    action: [transfer, notify, update]
database:
  storage: ${own}
template:
  - id: default
    storage: ${own}
    journal-content: all
zone:
  - domain: ours.example
    master: portico
    acl: portico
  - domain: knots.example
    file: knots.zone
    zonefile-load: difference
    notify: portico
    acl: portico
`;
  writeFileSync(join(own, 'knot.conf'), text);
  start('knotd', ['-c', join(own, 'knot.conf')]);
}

function startBind(): void {
  const own = join(folder, 'bind');
  mkdirSync(own);
  writeFileSync(join(own, 'binds.zone'), ZONE('binds.example'));
  const text = `options { directory "${own}"; listen-on port ${bindPort} { 127.0.0.1; }; listen-on-v6 { none; }; recursion no;
  pid-file "${own}/pid"; session-keyfile "${own}/session.key"; dnssec-validation no; ixfr-from-differences yes; notify explicit; };
key xfr { algorithm hmac-sha256; secret "${SECRET}"; };
server 127.0.0.1 { keys { xfr; }; };
controls { };
zone "ours.example" { type secondary; file "ours"; primaries { 127.0.0.1 port ${port} key xfr; }; allow-notify { key xfr; }; masterfile-format text; };
zone "binds.example" { type primary; file "binds.zone"; allow-transfer { key xfr; }; allow-update { key xfr; }; also-notify { 127.0.0.1 port ${port} key xfr; }; };
`;
  writeFileSync(join(own, 'named.conf'), text);
  start('named', ['-g', '-c', join(own, 'named.conf'), '-n', '1', '-u', process.env.USER ?? 'root']);
}

before(async () => {
  [port, knotPort, bindPort] = [await freePort(), await freePort(), await freePort()];
  writeFileSync(join(folder, 'ours.zone'), ZONE('ours.example'));
  for (const name of ['signed', 'hashed'])
    writeFileSync(join(folder, `${name}.zone`), `${ZONE(`${name}.example`)}child NS ns.child\nns.child A 192.0.2.9\n`);
  const other = (at: number) => `127.0.0.1:${at} key:xfr`;
  portico = await Portico.start({
    storage: 'memory',
    ports: 'ephemeral',
    hosts: ['127.0.0.1'],
    protocols: { dns: { port } },
    dns: {
      keys: [{ name: 'xfr', secret: SECRET }],
      zones: [
        {
          name: 'ours.example',
          file: join(folder, 'ours.zone'),
          notify: [other(knotPort), other(bindPort)],
          transfer: ['key:xfr'],
          update: ['key:xfr'],
        },
        {
          name: 'signed.example',
          file: join(folder, 'signed.zone'),
          update: ['key:xfr'],
          transfer: ['key:xfr'],
          dnssec: true,
        },
        {
          name: 'hashed.example',
          file: join(folder, 'hashed.zone'),
          update: ['key:xfr'],
          transfer: ['key:xfr'],
          dnssec: { nsec3: true, algorithm: 'ed25519' },
        },
        { name: 'knots.example', primaries: [other(knotPort)] },
        { name: 'binds.example', primaries: [other(bindPort)] },
      ],
    },
  });
  if (noKnot === false) startKnot();
  if (noBind === false) startBind();
});

after(async () => {
  const ended = children.map((child) => new Promise((resolve) => child.once('exit', resolve)));
  for (const child of children) child.kill('SIGTERM');
  await Promise.all(ended);
  await portico.close();
  rmSync(folder, { recursive: true, force: true });
});

test('dig: every kind of record comes back as it was written', { skip: noDig }, async () => {
  const ask = (name: string, type: string) => short(port, `${name}.ours.example`, type);
  assert.equal(await ask('www', 'A'), '192.0.2.1');
  assert.equal(await ask('x.w', 'TXT'), '"wild"');
  assert.equal(await ask('text', 'TXT'), '"a \\"quoted\\" string" "\\195\\164"');
  assert.equal(await ask('svc', 'HTTPS'), '1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1');
  assert.equal(await ask('loc', 'LOC'), '52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m');
  assert.equal(await ask('naptr', 'NAPTR'), '100 10 "S" "SIP+D2U" "" _sip._udp.ours.example.');
  assert.equal(await ask('uri', 'URI'), '10 1 "https://example/"');
  assert.equal(await ask('caa', 'CAA'), '0 issue "ca.example"');
  assert.equal(await ask('own', 'TYPE65400'), '\\# 4 01020304');
  assert.equal(await ask('a.dn', 'A'), 'other.example.\na.other.example.');
});

test('dig: EDNS as it negotiates it, and what it says of cookies', { skip: noDig }, async () => {
  assert.match(await dig(port, 'www.ours.example', '+nsid', '+cookie'), /COOKIE: \w{48} \(good\)/);
  assert.match(await dig(port, 'www.ours.example', '+edns=1', '+noednsneg'), /status: BADVERS/);
  assert.match(await dig(port, 'www.ours.example', '+ednsopt=65001:abcd'), /status: NOERROR/);
  assert.match(await dig(port, 'www.ours.example', '+opcode=9'), /status: NOTIMP/);
  assert.match(await dig(port, 'nobodys.example'), /status: REFUSED/);
  assert.match(
    await dig(port, '+tcp', '+keepopen', 'www.ours.example', 'alias.ours.example'),
    /www\.ours\.example\.\s+60\s+IN\s+A/,
  );
});

test('kdig: over TCP, TLS and HTTPS', { skip: noKdig }, async () => {
  const at = (url: string) => new URL(url.replace(/^\w+:/, 'http:')).port;
  const asked: readonly (readonly string[])[] = [
    ['-p', String(port), '+tcp'],
    ['-p', at(portico.urls.dot!), '+tls'],
    ['-p', at(portico.urls.https!), '+https'],
    ['-p', at(portico.urls.https!), '+https-get'],
  ];
  for (const parameters of asked)
    assert.match(
      await run('kdig', ['@127.0.0.1', ...parameters, 'www.ours.example', 'AAAA']),
      /2001:db8::1/,
      parameters.join(' '),
    );
});

test('a stranger gets no transfer, and neither does who has another secret', { skip: noDig }, async () => {
  assert.match(
    await dig(
      port,
      '-y',
      `hmac-sha256:xfr:${Buffer.from('another secret').toString('base64')}`,
      'ours.example',
      'AXFR',
    ),
    /Transfer failed|BADSIG/,
  );
  assert.match(await dig(port, '-y', `hmac-sha256:who:${SECRET}`, 'ours.example', 'AXFR'), /Transfer failed|BADKEY/);
  assert.match(await dig(port, '-y', `hmac-sha512:xfr:${SECRET}`, 'ours.example', 'AXFR'), /Transfer failed|BADKEY/);
});

test('what is written as a master file passes named-checkzone', { skip: noCheckzone }, async () => {
  for (const zone of ['ours.example', 'portico.test']) {
    const path = join(folder, 'checked.zone');
    writeFileSync(path, [...writeMaster(names().zoneNamed(zone)!.contents)].join(''));
    assert.match(await run('named-checkzone', ['-i', 'local', zone, path]), /OK/);
  }
});

test('nsupdate: prerequisites, additions and removals, with a key', { skip: noNsupdate }, async () => {
  const update = (...lines: readonly string[]) =>
    run(
      'nsupdate',
      ['-y', `hmac-sha256:xfr:${SECRET}`],
      [`server 127.0.0.1 ${port}`, 'zone ours.example', ...lines, 'send', ''].join('\n'),
    );
  assert.equal(await update('prereq nxdomain dyn.ours.example', 'update add dyn.ours.example 60 A 192.0.2.77'), '');
  assert.equal(await short(port, 'dyn.ours.example', 'A'), '192.0.2.77');
  assert.match(
    await update('prereq nxdomain dyn.ours.example', 'update add dyn.ours.example 60 A 192.0.2.78'),
    /YXDOMAIN/,
  );
  assert.equal(
    await update('update delete dyn.ours.example A 192.0.2.77', 'update add dyn.ours.example 60 TXT "x"'),
    '',
  );
  assert.match(await dig(port, 'dyn.ours.example', 'A'), /status: NOERROR.*ANSWER: 0/s);
});

test('dnspython: signed updates and transfers, AXFR and IXFR', { skip: noPython }, async () => {
  const script = `
import dns.query, dns.tsigkeyring, dns.update, dns.zone, dns.message, dns.rdatatype, dns.xfr
keys = dns.tsigkeyring.from_text({'xfr.': '${SECRET}'})
before = dns.zone.from_xfr(dns.query.xfr('127.0.0.1', 'ours.example', port=${port}, keyring=keys, relativize=False), relativize=False)
serial = before.get_rdataset('ours.example.', 'SOA')[0].serial
update = dns.update.Update('ours.example', keyring=keys)
update.add('py', 60, 'A', '192.0.2.88')
print(dns.query.tcp(update, '127.0.0.1', port=${port}).rcode())
messages = list(dns.query.xfr('127.0.0.1', 'ours.example', rdtype='IXFR', serial=serial, port=${port}, keyring=keys))
print(sum(len(m.answer) for m in messages), any('py' in str(r) for m in messages for r in m.answer))
query = dns.message.make_query('www.ours.example', 'A', use_edns=0, want_dnssec=True)
query.use_tsig(keys)
print(dns.query.udp(query, '127.0.0.1', port=${port}).had_tsig)
`;
  const out = await run(PYTHON, ['-c', script]);
  assert.match(out, /^0\n\d+ True\nTrue\n$/);
});

test('dnsperf: all of many questions are answered, over UDP, TCP, TLS and HTTPS', {
  skip: lacking('dnsperf', '-h'),
}, async () => {
  const queries = join(folder, 'queries');
  const questions = ['www.ours.example A', 'alias.ours.example AAAA', 'x.w.ours.example TXT', 'no.ours.example A'];
  writeFileSync(queries, `${Array.from({ length: 100 }, (_, index) => questions[index % 4]).join('\n')}\n`);
  const url = (name: string) => new URL(portico.urls[name]!.replace(/^[\w-]+:/, 'http:')).port;
  // Of several answers over HTTPS that come in one read, dnsperf counts the last: there it has one question at a time, and few.
  for (const [mode, at, rounds, ...more] of [
    ['udp', String(port), 20, '-c', '4', '-D'],
    ['tcp', String(port), 20, '-c', '4'],
    ['dot', url('dot'), 20, '-c', '4'],
    ['doh', url('https'), 1, '-c', '1', '-q', '1', '-O', 'doh-uri=https://127.0.0.1/dns-query'],
  ] as const) {
    const args = ['-m', mode, '-s', '127.0.0.1', '-p', at, '-d', queries, '-n', String(rounds), ...more];
    const said = await run('dnsperf', args);
    assert.match(said, new RegExp(`Queries completed:\\s+${rounds * 100} \\(100\\.00%\\)`), `${mode}: ${said}`);
    assert.match(said, /NOERROR \d+ \(75\.00%\), NXDOMAIN \d+ \(25\.00%\)/, `${mode}: ${said}`);
  }
});

/** The serial that a server tells of a zone. */
const serialAt = async (at: number, zone: string) => (await short(at, zone, 'SOA')).split(' ')[2] ?? '';

for (const [name, skip, at] of [
  ['Knot', noKnot || noNsupdate || noDig, () => knotPort],
  ['BIND', noBind || noNsupdate || noDig, () => bindPort],
] as const) {
  test(`${name} as a secondary of our zone: it follows what changes`, { skip }, async () => {
    await until(`${name} has the zone`, async () => (await serialAt(at(), 'ours.example')) !== '');
    assert.equal(await short(at(), 'own.ours.example', 'TYPE65400'), '\\# 4 01020304');
    const host = `${name.toLowerCase()}.ours.example`;
    await run(
      'nsupdate',
      ['-y', `hmac-sha256:xfr:${SECRET}`],
      `server 127.0.0.1 ${port}\nzone ours.example\nupdate add ${host} 60 A 192.0.2.55\nsend\n`,
    );
    await until(`${name} has the new record`, async () => (await short(at(), host, 'A')) === '192.0.2.55');
    await until(
      'both have one serial',
      async () => (await serialAt(at(), 'ours.example')) === (await serialAt(port, 'ours.example')),
    );
  });

  test(`${name} as the primary of its zone: we follow what changes there`, { skip }, async () => {
    const zone = name === 'Knot' ? 'knots.example' : 'binds.example';
    await until('we have the zone', async () => (await serialAt(port, zone)) === '1');
    assert.equal(await short(port, `svc.${zone}`, 'HTTPS'), '1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1');
    assert.equal(await short(port, `loc.${zone}`, 'LOC'), '52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m');
    await run(
      'nsupdate',
      ['-y', `hmac-sha256:xfr:${SECRET}`],
      `server 127.0.0.1 ${at()}\nzone ${zone}\nupdate add new.${zone} 60 A 192.0.2.56\nupdate delete www.${zone} AAAA\nsend\n`,
    );
    await until('we have the new record', async () => (await short(port, `new.${zone}`, 'A')) === '192.0.2.56');
    assert.equal(await short(port, `www.${zone}`, 'AAAA'), '');
    assert.ok(names().zoneNamed(zone)!.serial > 1);
  });
}

for (const zone of ['signed.example', 'hashed.example'])
  test(`${zone}: all of it is signed, after changes too, and its answers are believed`, {
    skip: noDig || noNsupdate || lacking('delv', '-v') || lacking('dnssec-verify', '-V'),
  }, async () => {
    const path = join(folder, `${zone}.axfr`);
    const verify = async () => {
      writeFileSync(path, [...writeMaster(names().zoneNamed(zone)!.contents)].join(''));
      assert.match(await run('dnssec-verify', ['-o', zone, path]), /Zone fully signed/);
    };
    await verify();
    const keys = (await short(port, zone, 'DNSKEY')).split('\n');
    const [flags, protocol, algorithm, ...parts] = keys.find((line) => line.startsWith('257'))!.split(' ');
    const anchor = join(folder, `${zone}.anchor`);
    writeFileSync(
      anchor,
      `trust-anchors { ${zone}. static-key ${flags} ${protocol} ${algorithm} "${parts.join('')}"; };\n`,
    );
    const believed = async (name: string, type: string) => {
      const parameters = ['@127.0.0.1', '-p', String(port), '-a', anchor, `+root=${zone}`, `${name}.${zone}`, type];
      assert.match(await run('delv', parameters), /fully validated/, `${name} ${type}`);
    };
    const asked = [
      ['www', 'A'],
      ['alias', 'A'],
      ['none', 'A'],
      ['x.w', 'TXT'],
      ['x.w', 'A'],
      ['w', 'A'],
      ['www', 'MX'],
      ['child', 'DS'],
    ] as const;
    for (const [name, type] of asked) await believed(name, type);
    const lines = [
      `server 127.0.0.1 ${port}`,
      `zone ${zone}`,
      `update add n.deep.${zone} 60 A 192.0.2.77`,
      `update delete text.${zone}`,
      `update delete ${zone}`,
      `update delete www.${zone} AAAA`,
      'send',
      '',
    ];
    assert.equal(await run('nsupdate', ['-y', `hmac-sha256:xfr:${SECRET}`], lines.join('\n')), '');
    await verify();
    for (const [name, type] of [
      ['n.deep', 'A'],
      ['deep', 'A'],
      ['text', 'TXT'],
      ['www', 'A'],
    ] as const)
      await believed(name, type);
  });
