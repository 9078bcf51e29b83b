// TLS on the listeners, with clients that are not ours: names, versions, ALPN, sessions that go on, certificates of clients,
// renewal, one port for all, and what is no TLS.
import 'reflect-metadata';
import assert from 'node:assert/strict';
import type { webcrypto } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { WebSocket } from 'ws';
import type { Identities, Identity } from '../src/core/tls.ts';
import { HttpClient } from '../src/exports/http.ts';
import { Portico, type StartOptions } from '../src/portico.ts';
import { missing, run, until } from './clients.ts';

x509.cryptoProvider.set(crypto);

const folder = mkdtempSync(join(tmpdir(), 'portico-tls-'));
after(() => rmSync(folder, { recursive: true }));

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** An authority of the test's own. */
class Authority {
  private readonly keys: webcrypto.CryptoKeyPair;
  readonly certificate: x509.X509Certificate;

  private constructor(keys: webcrypto.CryptoKeyPair, certificate: x509.X509Certificate) {
    this.keys = keys;
    this.certificate = certificate;
  }

  static async make(name: string): Promise<Authority> {
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: `CN=${name}`,
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    });
    return new Authority(keys, certificate);
  }

  get pem(): string {
    return this.certificate.toString('pem');
  }

  async issue(name: string, names: readonly string[] = []): Promise<Identity> {
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.create({
      subject: `CN=${name}`,
      issuer: this.certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          ...names.map((value) => ({ type: 'dns' as const, value })),
          { type: 'ip' as const, value: '127.0.0.1' },
        ]),
      ],
    });
    const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    return {
      certificate: certificate.toString('pem'),
      key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
    };
  }
}

const ours = await Authority.make('Portico tests');
const others = await Authority.make('Somebody else');
const one = await ours.issue('one.test', ['one.test', 'localhost']);
const two = await ours.issue('two.test', ['two.test']);
const client = await ours.issue('a client');
const stranger = await others.issue('a stranger');
const CA = join(folder, 'ca.pem');
writeFileSync(CA, ours.pem);

function fileOf(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

class Names implements Identities {
  first: Identity = one;
  readonly asked: string[] = [];

  pick(serverName: string | null, _local: unknown, alpn: readonly string[]): Identity | null {
    this.asked.push(`${serverName} ${alpn.join(',')}`);
    if (serverName === 'two.test') return two;
    return serverName === 'nobody.test' ? null : this.first;
  }
}

async function started(options: Partial<StartOptions> = {}, names = new Names()) {
  const portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    control: false,
    hosts: ['127.0.0.1'],
    http: { hosts: ['one.test', 'two.test'] },
    credentials: { identities: names },
    ...options,
  });
  const port = (name: string) => Number(new URL(portico.urls[name]!.replace(/^[a-z-]+:/, 'http:')).port);
  return { portico, names, port };
}

function shake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket | string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'one.test', ca: ours.pem, ...options });
    socket
      .on('secureConnect', () => resolve(socket))
      .on('error', (error) => resolve((error as { code?: string }).code!));
  });
}

async function shaken(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = await shake(port, options);
  assert.ok(typeof socket !== 'string', String(socket));
  return socket;
}

test('the certificate is that of the name that is asked for; a name that nobody has is refused', async () => {
  const { portico, names, port } = await started();
  await using _ = portico;
  for (const [servername, name] of [
    ['one.test', 'one.test'],
    ['two.test', 'two.test'],
  ] as const) {
    const socket = await shaken(port('https'), { servername, ALPNProtocols: ['h2'] });
    assert.equal(socket.getPeerCertificate().subject.CN, name);
    socket.destroy();
  }
  // The server's own records ask as well, of no connection.
  assert.deepEqual(
    names.asked.filter((asked) => asked.endsWith(' h2')),
    ['one.test h2', 'two.test h2'],
  );
  assert.equal(await shake(port('https'), { servername: 'nobody.test' }), 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME');
});

test('ALPN chooses the protocol, and a list without a match is refused', async () => {
  const { portico, port } = await started();
  await using _ = portico;
  for (const [offered, chosen] of [
    [['h2', 'http/1.1'], 'h2'],
    [['http/1.1', 'h2'], 'h2'],
    [['http/1.1'], 'http/1.1'],
  ] as const) {
    const socket = await shaken(port('https'), { ALPNProtocols: [...offered] });
    assert.equal(socket.alpnProtocol, chosen);
    socket.destroy();
  }
  const none = await shake(port('https'), { ALPNProtocols: ['spdy/3'] });
  assert.equal(none, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
  assert.equal(await shake(port('mqtts'), { ALPNProtocols: ['h2'] }), none);
  const silent = await shaken(port('https'));
  silent.write('GET /healthz HTTP/1.1\r\nHost: one.test\r\n\r\n');
  const [answer] = (await new Promise<Buffer>((resolve) => silent.once('data', resolve))).toString().split('\r\n');
  assert.equal(answer, 'HTTP/1.1 200 OK');
  silent.destroy();
});

test('TLS 1.2 and 1.3 are spoken, older ones are not, and a listener may ask for 1.3', async () => {
  const { portico, port } = await started({ protocols: { mqtt: { tls: { least: 'TLSv1.3' } } } });
  await using _ = portico;
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await shaken(port('https'), { minVersion: version, maxVersion: version });
    assert.equal(socket.getProtocol(), version);
    socket.destroy();
  }
  const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const;
  assert.equal(await shake(port('https'), old), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  const alert = await shake(port('mqtts'), { maxVersion: 'TLSv1.2' });
  assert.equal(alert, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
});

/** The session that a connection may be gone on with. */
async function sessionOf(port: number): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1', servername: 'one.test', ca: ours.pem });
  const session = await new Promise<Buffer>((resolve, reject) => {
    socket.once('session', resolve).on('error', reject).resume();
  });
  socket.destroy();
  return session;
}

test('nobody shakes hands anew within a connection of TLS 1.2', async () => {
  const { portico, port } = await started();
  await using _ = portico;
  const socket = await shaken(port('https'), { maxVersion: 'TLSv1.2' });
  const refused = await new Promise<Error | null>((resolve) => {
    socket.on('error', resolve);
    socket.renegotiate({}, resolve);
  });
  assert.match(String(refused), /renegotiation/);
  socket.destroy();
});

test('a session goes on, also under a certificate that was renewed meanwhile', async () => {
  const { portico, names, port } = await started();
  await using _ = portico;
  const session = await sessionOf(port('https'));
  const goesOn = async () => {
    const socket = await shaken(port('https'), { session });
    const reused = socket.isSessionReused();
    socket.destroy();
    return reused;
  };
  assert.equal(await goesOn(), true);
  names.first = await ours.issue('renewed', ['one.test']);
  assert.equal(await goesOn(), true);
  const fresh = await shaken(port('https'));
  assert.equal(fresh.getPeerCertificate().subject.CN, 'renewed');
  fresh.destroy();
});

test('certificates of clients: asked for, required, of another authority, revoked', async () => {
  const refused = new Set<string>();
  const chains: number[] = [];
  const clientCertificates = {
    authorities: ours.pem,
    refuse(chain: readonly Uint8Array[]) {
      chains.push(chain.length);
      return refused.has(Buffer.from(chain[0]!).toString('hex')) ? 'it is revoked' : null;
    },
  };
  const seen: (Uint8Array | null)[] = [];
  const { portico, port } = await started({
    credentials: { identities: new Names(), clientCertificates },
    protocols: { mqtt: { tls: { clientCertificate: 'required' } }, lines: { tls: { clientCertificate: 'none' } } },
  });
  await using _ = portico;
  const lives = async (name: string, options: ConnectionOptions): Promise<boolean> => {
    const socket = await shake(port(name), options);
    if (typeof socket === 'string') return false;
    seen.push(null);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(true), 300);
      socket.on('close', () => {
        clearTimeout(timer);
        resolve(false);
      });
      socket.on('error', () => {});
    }).finally(() => socket.destroy()) as Promise<boolean>;
  };
  const withClient = { cert: client.certificate, key: client.key };
  const withStranger = { cert: stranger.certificate, key: stranger.key };
  assert.equal(await lives('mqtts', withClient), true);
  assert.equal(await lives('mqtts', {}), false);
  assert.equal(await lives('mqtts', withStranger), false);
  assert.equal(await lives('https', {}), true);
  assert.equal(await lives('https', withStranger), true, 'who is not believed is nobody');
  assert.ok(chains.length >= 1 && chains.every((length) => length >= 1));
  refused.add(Buffer.from(new x509.X509Certificate(client.certificate).rawData).toString('hex'));
  assert.equal(await lives('mqtts', withClient), false);
});

test('HTTP/1.1, HTTP/2, WebSocket and MQTT over TLS, by clients that verify', async () => {
  const { portico, port } = await started();
  await using _ = portico;
  const https = port('https');
  const body = await new Promise<string>((resolve, reject) => {
    get(
      { port: https, host: '127.0.0.1', servername: 'one.test', path: '/healthz', ca: ours.pem, agent: false },
      (answer) => {
        let text = '';
        answer.on('data', (data) => (text += data)).on('end', () => resolve(text));
      },
    ).on('error', reject);
  });
  assert.match(body, /"status":"ok"/);
  const session = connectHttp2(`https://127.0.0.1:${https}`, { ca: ours.pem, servername: 'one.test' });
  const status = await new Promise((resolve, reject) => {
    session.on('error', reject);
    session
      .request({ ':path': '/healthz' })
      .on('response', (head) => resolve(head[':status']))
      .resume();
  });
  assert.equal(status, 200);
  session.close();
  const url = `wss://127.0.0.1:${https}/topics/a`;
  const socket = new WebSocket(url, [], { ca: ours.pem, servername: 'one.test' } as object);
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  socket.close();
});

test('curl verifies and asks over HTTP/2 and 1.1', { skip: missing('curl') }, async () => {
  const { portico, port } = await started();
  await using _ = portico;
  const url = `https://one.test:${port('https')}/healthz`;
  const known = ['--resolve', `one.test:${port('https')}:127.0.0.1`, '-sS', '-o', '/dev/null'];
  const ask = (...more: string[]) => run('curl', ...known, '-w', '%{http_code} %{http_version}', ...more, url);
  assert.equal((await ask('--cacert', CA)).out, '200 2');
  assert.equal((await ask('--cacert', CA, '--http1.1')).out, '200 1.1');
  assert.notEqual((await ask('--cacert', fileOf('other.pem', others.pem))).code, 0);
  const plain = await run('curl', '-sS', `http://127.0.0.1:${port('https')}/`);
  assert.match(plain.out, new RegExp(`use https://127.0.0.1:${port('https')}/`));
});

test('openssl shakes hands, verifies, and goes on with a session', {
  skip: missing('openssl', 'version'),
}, async () => {
  const { portico, port } = await started();
  await using _ = portico;
  const said = async (...more: string[]) => {
    const at = `127.0.0.1:${port('https')}`;
    const { out, error } = await run(
      'openssl',
      's_client',
      '-connect',
      at,
      '-CAfile',
      CA,
      '-servername',
      'one.test',
      ...more,
    );
    return out + error;
  };
  const first = await said(
    '-alpn',
    'h2',
    '-verify_hostname',
    'one.test',
    '-tls1_2',
    '-sess_out',
    join(folder, 'session'),
  );
  assert.match(first, /Verification: OK/);
  assert.match(first, /ALPN protocol: h2/);
  assert.match(await said('-sess_in', join(folder, 'session'), '-tls1_2'), /Reused, TLSv1.2/);
});

test('mosquitto publishes and subscribes over TLS', { skip: missing('mosquitto_pub', '--help') }, async () => {
  const { portico, port } = await started();
  await using _ = portico;
  const common = ['-h', '127.0.0.1', '-p', String(port('mqtts')), '--cafile', CA, '-t', 'a/b'];
  const sent = await run('mosquitto_pub', ...common, '-m', 'hello', '-r', '-q', '1');
  assert.equal(sent.code, 0, sent.error);
  const got = await run('mosquitto_sub', ...common, '-C', '1', '-W', '5');
  assert.equal(got.out, 'hello\n');
});

test('one port takes everything, with TLS and without', { skip: missing('curl') }, async () => {
  const { portico, port } = await started({ shared: [{ port: 0, protocols: ['http1', 'mqtt', 'lines'], tls: true }] });
  await using _ = portico;
  const at = port('shared');
  const ask = async (...more: string[]) =>
    (await run('curl', '-sS', '-o', '/dev/null', '-w', '%{http_code} %{http_version}', ...more)).out;
  assert.equal(await ask('--cacert', CA, `https://127.0.0.1:${at}/healthz`), '200 2');
  assert.equal(await ask('--cacert', CA, '--http1.1', `https://127.0.0.1:${at}/healthz`), '200 1.1');
  assert.equal(await ask(`http://127.0.0.1:${at}/healthz`), '200 1.1');
  const lines = await shaken(at);
  lines.write('PING\n');
  assert.equal((await new Promise<Buffer>((resolve) => lines.once('data', resolve))).toString(), '+PONG\n');
  lines.destroy();
  const mqtt = await shaken(at, { ALPNProtocols: ['mqtt'] });
  assert.equal(mqtt.alpnProtocol, 'mqtt');
  mqtt.destroy();
});

test('our own client verifies, and asks over HTTP/2 where the server speaks it', async () => {
  const { portico, port } = await started();
  await using _ = portico;
  const url = `https://127.0.0.1:${port('https')}`;
  using client = new HttpClient({ tls: { authorities: ours.pem } });
  const put = await client.fetch(`${url}/topics/client`, { method: 'PUT', body: '21.5' });
  assert.equal(put.status, 201);
  const all = await Promise.all(Array.from({ length: 100 }, () => client.fetch(`${url}/topics/client`)));
  const texts = await Promise.all(all.map((response) => response.text()));
  assert.ok(texts.every((text) => text === '21.5'));
  assert.equal(client.figures.connections, 1, 'all of them on one connection');
  using plain = new HttpClient({ tls: { authorities: ours.pem }, http2: false });
  assert.equal(await (await plain.fetch(`${url}/topics/client`)).text(), '21.5');
  await Promise.all(Array.from({ length: 10 }, async () => (await plain.fetch(`${url}/healthz`)).text()));
  assert.ok(plain.figures.connections > 1);
  using stranger = new HttpClient({ tls: { authorities: others.pem } });
  await assert.rejects(stranger.fetch(url));
});

test('the secrets of connections are written where somebody asked for it, for this user alone', async () => {
  const file = join(folder, 'keys.log');
  const { portico, port } = await started({ tlsKeyLog: file });
  await using _ = portico;
  const socket = await shaken(port('https'));
  await until(() => /^CLIENT_TRAFFIC_SECRET_0 /m.test(readFileSync(file, 'utf8')), 'the last of them');
  socket.destroy();
  const text = readFileSync(file, 'utf8');
  assert.match(text, /^SERVER_HANDSHAKE_TRAFFIC_SECRET [0-9a-f]{64} [0-9a-f]+$/m);
  assert.equal(statSync(file).mode & 0o777, 0o600);
});
