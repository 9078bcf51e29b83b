// Real clients of certificates against a running server: curl, Python and OpenSSL for trust, names and revocation; certbot,
// lego and dehydrated for ACME.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { missing, type Ran, run } from '../clients.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-certificates-'));
const root = join(folder, 'data', 'certificates', 'root.crt');
const intermediate = join(folder, 'intermediate.crt');
let portico: Portico;
let ports = { http: 0, tls: 0 };
let port = '';
let plain = '';

async function freePort(): Promise<number> {
  const server = createTcp();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: found } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return found;
}

before(async () => {
  ports = { http: await freePort(), tls: await freePort() };
  const http = await freePort();
  portico = await Portico.start({
    data: join(folder, 'data'),
    ports: 'ephemeral',
    protocols: { http1: { port: http } },
    http: { hosts: ['app.portico.test'] },
    certificates: { proofPorts: ports },
  });
  port = new URL(portico.urls.https!).port;
  plain = `http://localhost:${http}`;
  const kept = readFileSync(join(folder, 'data', 'certificates', 'intermediate-0001.pem'), 'utf8');
  writeFileSync(intermediate, kept.slice(0, kept.indexOf('-----BEGIN PRIVATE')));
});
after(async () => {
  await portico.close();
  rmSync(folder, { recursive: true, force: true });
});

const directory = () => `https://localhost:${port}/acme/directory`;
const said = ({ code, out, error }: Ran) => `${code}\n${out}\n${error}`;

test('curl trusts the server by the root, for its names and addresses alone', { skip: missing('curl') }, async () => {
  const curl = (host: string, ...more: string[]) =>
    run('curl', '-sS', '--max-time', '10', '--cacert', root, ...more, `https://${host}:${port}/healthz`);
  for (const host of ['localhost', '127.0.0.1', '[::1]']) {
    const ran = await curl(host);
    // Listeners on ::1 may have another port.
    if (host !== '[::1]') assert.equal(ran.code, 0, said(ran));
  }
  const resolve = (name: string) => ['--resolve', `${name}:${port}:127.0.0.1`];
  assert.equal((await curl('app.portico.test', ...resolve('app.portico.test'))).code, 0);
  // 60: the certificate is for other names.
  assert.equal((await curl('example.com', ...resolve('example.com'))).code, 60);
});

test('Python checks the chain and the name by its strict rules', { skip: missing('python3') }, async () => {
  const code = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_STRICT
for name in ('localhost', '127.0.0.1', 'deep.er.localhost', 'portico.test'):
    with socket.create_connection(('127.0.0.1', int(sys.argv[2]))) as plain:
        with context.wrap_socket(plain, server_hostname=name) as secure:
            print(secure.version())
`;
  const ran = await run('python3', '-c', code, root, port);
  assert.equal(ran.out, 'TLSv1.3\n'.repeat(4), said(ran));
});

test('openssl ocsp asks over HTTP with a nonce, and fetches the list', {
  skip: missing('openssl', 'version'),
}, async () => {
  const leaf = join(folder, 'leaf.pem');
  const shown = await run('sh', '-c', `openssl s_client -connect 127.0.0.1:${port} -servername localhost </dev/null`);
  writeFileSync(leaf, shown.out.slice(shown.out.indexOf('-----BEGIN'), shown.out.indexOf('-----END') + 26));
  const ask = await run(
    'openssl',
    'ocsp',
    '-issuer',
    intermediate,
    '-cert',
    leaf,
    '-url',
    `${plain}/ocsp`,
    '-CAfile',
    root,
    '-verify_other',
    intermediate,
  );
  assert.match(said(ask), /Response verify OK/);
  assert.match(ask.out, /: good/);
  assert.doesNotMatch(said(ask), /no nonce/);
  const text = (await run('openssl', 'x509', '-in', leaf, '-noout', '-text')).out;
  assert.match(text, new RegExp(`OCSP - URI:${plain}/ocsp`));
  const crl = /URI:(http:\/\/localhost:\d+\/crl\/[0-9a-f]{40}\.crl)/.exec(text)?.[1];
  const list = await run(
    'sh',
    '-c',
    `curl -sS '${crl}' | openssl crl -inform DER -CAfile ${intermediate} -noout -text`,
  );
  assert.match(said(list), /verify OK/);
  const issuer = /CA Issuers - URI:(\S+)/.exec(text)?.[1];
  const fetched = await run('sh', '-c', `curl -sS '${issuer}' | openssl x509 -inform DER -noout -subject`);
  assert.match(fetched.out, /Portico Local Intermediate/);
});

test('Chromium opens what certutil was told to trust, also a name that is first asked for', {
  skip: missing('chromium') || missing('certutil', '-H'),
}, async () => {
  const home = join(folder, 'home');
  const store = join(home, '.pki/nssdb');
  mkdirSync(store, { recursive: true });
  await run('certutil', '-N', '-d', `sql:${store}`, '--empty-password');
  const look = async (name: string) => {
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--dump-dom'];
    return (await run('env', `HOME=${home}`, 'chromium', ...flags, `https://${name}:${port}/healthz`)).out;
  };
  assert.doesNotMatch(await look('localhost'), /"status":"ok"/);
  await run('certutil', '-A', '-d', `sql:${store}`, '-t', 'C,,', '-n', 'portico', '-i', root);
  for (const name of ['localhost', 'fresh.localhost']) assert.match(await look(name), /"status":"ok"/, name);
});

test('certbot obtains a certificate by http-01, and renews it', { skip: missing('certbot') }, async () => {
  const places = ['config', 'work', 'logs'].flatMap((name) => [`--${name}-dir`, join(folder, 'certbot', name)]);
  const certbot = (...args: string[]) =>
    run('env', `REQUESTS_CA_BUNDLE=${root}`, 'certbot', ...args, '-n', ...places, '--server', directory());
  const standalone = [
    '--standalone',
    '--http-01-port',
    String(ports.http),
    '-d',
    'cb.localhost',
    '-d',
    'cb.portico.test',
  ];
  const ran = await certbot('certonly', '--agree-tos', '-m', 'ann@portico.test', '--no-eff-email', ...standalone);
  assert.equal(ran.code, 0, said(ran));
  const chain = join(folder, 'certbot/config/live/cb.localhost/fullchain.pem');
  const verified = await run('openssl', 'verify', '-CAfile', root, '-untrusted', chain, chain);
  assert.match(verified.out, /OK/, said(verified));
  const before = readFileSync(chain, 'utf8');
  const renewed = await certbot('renew', '--force-renewal', '--no-random-sleep-on-renew');
  assert.equal(renewed.code, 0, said(renewed));
  assert.notEqual(readFileSync(chain, 'utf8'), before);
});

test('lego obtains a certificate by tls-alpn-01, and revokes it', { skip: missing('lego') }, async () => {
  const lego = (...args: string[]) => {
    const given = [
      '--server',
      directory(),
      '--accept-tos',
      '--email',
      'ann@portico.test',
      '--path',
      join(folder, 'lego'),
    ];
    const proof = ['--domains', 'lg.localhost', '--tls', '--tls.port', `127.0.0.1:${ports.tls}`];
    return run('env', `LEGO_CA_CERTIFICATES=${root}`, 'lego', ...given, ...proof, ...args);
  };
  const ran = await lego('run');
  assert.equal(ran.code, 0, said(ran));
  const leaf = join(folder, 'lego/certificates/lg.localhost.crt');
  const ocsp = ['ocsp', '-no_nonce', '-issuer', intermediate, '-cert', leaf, '-url', `${plain}/ocsp`];
  const trust = ['-CAfile', root, '-verify_other', intermediate];
  assert.match((await run('openssl', ...ocsp, ...trust)).out, /: good/);
  const copy = join(folder, 'revoked.crt');
  writeFileSync(copy, readFileSync(leaf));
  const revoked = await lego('revoke');
  assert.equal(revoked.code, 0, said(revoked));
  ocsp[ocsp.indexOf(leaf)] = copy;
  assert.match((await run('openssl', ...ocsp, ...trust)).out, /: revoked/);
});

test('dehydrated obtains a certificate by http-01', { skip: missing('dehydrated') }, async () => {
  const place = join(folder, 'dehydrated');
  const shown = join(place, 'www');
  mkdirSync(shown, { recursive: true });
  const config = join(place, 'config');
  const lines = [`CA=${directory()}`, `BASEDIR=${place}`, `WELLKNOWN=${shown}`, `CURL_OPTS="--cacert ${root}"`];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const server: Server = createServer((request, response) => {
    try {
      response.end(readFileSync(join(shown, request.url!.split('/').at(-1)!)));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(ports.http, '127.0.0.1', resolve));
  try {
    const registered = await run('dehydrated', '--register', '--accept-terms', '-f', config);
    assert.equal(registered.code, 0, said(registered));
    const ran = await run('dehydrated', '-c', '-f', config, '-d', 'dh.localhost');
    assert.equal(ran.code, 0, said(ran));
    const chain = join(place, 'certs/dh.localhost/fullchain.pem');
    assert.match((await run('openssl', 'verify', '-CAfile', root, '-untrusted', chain, chain)).out, /OK/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
