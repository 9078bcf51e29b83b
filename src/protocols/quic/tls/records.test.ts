// Our handshake against OpenSSL's, both ways, over TCP: what QUIC carries are the same messages.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { VERSION_1 } from '../crypto.ts';
import { SUITES } from '../protection/suites.ts';
import { faults } from './faults.ts';
import { type ClientOptions, GROUPS, type ServerOptions, Tickets } from './index.ts';
import {
  authority,
  BETWEEN,
  CLIENT,
  client,
  FROM,
  HOST,
  identityOf,
  KEYS,
  made,
  ROOT,
  SERVER,
  server,
  serverExtensions,
} from './testing/certificates.ts';
import { CLIENT_POLICY, SERVER_POLICY, seeded } from './testing/ends.ts';
import { Records } from './testing/records.ts';

const NAMES: Readonly<Record<string, string>> = { 'P-256': 'P-256', 'P-384': 'P-384', X25519: 'X25519' };
const groupName = (name: string) => NAMES[name] ?? name;

async function until(done: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 2_000; tries++) {
    if (done()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`it never came to: ${what}`);
}

type Given<Options> = Omit<Partial<Options>, 'policy'> & {
  readonly policy?: Partial<Options['policy' & keyof Options]>;
};

/** Node's server; it says `hello` and what it hears in capitals. */
async function theirServer(
  t: TestContext,
  options: tls.TlsOptions,
): Promise<{ port: number; sockets: tls.TLSSocket[] }> {
  const sockets: tls.TLSSocket[] = [];
  const listening = tls.createServer(
    { cert: SERVER.certificate, key: SERVER.key, minVersion: 'TLSv1.3', ALPNProtocols: ['h3'], ...options },
    (socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.write('hello ');
      socket.on('data', (data) => socket.write(String(data).toUpperCase()));
    },
  );
  listening.on('tlsClientError', () => {});
  await once(listening.listen(0, '127.0.0.1'), 'listening');
  t.after(() => listening.close());
  return { port: (listening.address() as AddressInfo).port, sockets };
}

async function ourClient(t: TestContext, port: number, given: Given<ClientOptions> = {}): Promise<Records> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const { policy, ...options } = given;
  const records = new Records(
    socket,
    'client',
    { version: VERSION_1, entropy: seeded(port), ...options, policy: { ...CLIENT_POLICY, ...policy } },
    Date.now(),
  );
  t.after(() => socket.destroy());
  return records;
}

/** Says something, and waits for what comes back: both directions hold. */
async function talk(records: Records): Promise<void> {
  await until(() => records.handshake.complete || records.fault !== null, 'our end is done');
  assert.equal(records.fault, null);
  records.write('and goodbye');
  await until(() => records.data === 'hello AND GOODBYE', 'an answer');
}

/** Ours; like theirs it says what it hears in capitals. */
async function ourServer(t: TestContext, given: Given<ServerOptions> = {}): Promise<{ port: number; ends: Records[] }> {
  const ends: Records[] = [];
  const sockets: Socket[] = [];
  const listening = createServer((socket) => {
    const { policy, ...options } = given;
    sockets.push(socket);
    const own = { version: VERSION_1, entropy: seeded(7), ...options, policy: { ...SERVER_POLICY, ...policy } };
    const end = new Records(socket, 'server', own as ServerOptions, Date.now());
    ends.push(end);
  });
  await once(listening.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    listening.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (listening.address() as AddressInfo).port, ends };
}

const THEIRS: tls.ConnectionOptions = {
  ca: ROOT.pem,
  servername: HOST,
  host: '127.0.0.1',
  minVersion: 'TLSv1.3',
  ALPNProtocols: ['h3'],
};

/** Node's client, which says `hello`, until it has an answer; or the error that it ended with. */
async function theirClient(
  port: number,
  ends: readonly Records[],
  options: tls.ConnectionOptions = {},
): Promise<{ socket: tls.TLSSocket; sessions: Buffer[]; error: NodeJS.ErrnoException | null; reused: boolean }> {
  const before = ends.length;
  const socket = tls.connect({ ...THEIRS, ...options, port });
  const sessions: Buffer[] = [];
  let error: NodeJS.ErrnoException | null = null;
  let heard = '';
  let over = false;
  socket.on('session', (session) => sessions.push(session));
  socket.on('error', (failure: NodeJS.ErrnoException) => {
    error = failure;
  });
  socket.on('close', () => {
    over = true;
  });
  socket.on('data', (data) => {
    heard += data;
  });
  socket.on('secureConnect', () => socket.write('hello'));
  await until(() => over || ends[before]?.data === 'hello', 'they have said hello, or failed');
  if (!over) {
    ends[before]!.write('HELLO');
    await until(() => over || heard === 'HELLO', 'they have heard it');
  }
  const reused = socket.isSessionReused();
  socket.destroy();
  return { socket, sessions, error, reused };
}

for (const suite of SUITES)
  for (const group of GROUPS) {
    test(`our client, their server: ${suite.name}, ${group.name}`, async (t) => {
      const { port, sockets } = await theirServer(t, { ciphers: suite.name, ecdhCurve: groupName(group.name) });
      const ours = await ourClient(t, port);
      await talk(ours);
      assert.equal(ours.handshake.suite, suite.code);
      assert.equal(ours.handshake.group, group.name);
      assert.equal(ours.handshake.alpn, 'h3');
      assert.equal(sockets[0]!.getCipher().standardName, suite.name);
      assert.equal(sockets[0]!.servername, HOST);
    });

    test(`their client, our server: ${suite.name}, ${group.name}`, async (t) => {
      const { port, ends } = await ourServer(t, { suites: [suite], groups: [group] });
      const { error, socket } = await theirClient(port, ends, {
        ecdhCurve: GROUPS.map(({ name }) => groupName(name)).join(':'),
      });
      assert.equal(error, null);
      assert.equal(ends[0]!.handshake.suite, suite.code);
      assert.equal(ends[0]!.handshake.group, group.name);
      assert.equal(ends[0]!.handshake.serverName, HOST);
      assert.equal(socket.alpnProtocol, 'h3');
    });
  }

for (const [kind, make] of Object.entries(KEYS)) {
  const identity = identityOf(server([HOST], BETWEEN, make()), BETWEEN);
  const own = identityOf(
    made({ name: 'me', issuer: ROOT, key: make(), extensions: serverExtensions(['me'], CLIENT_OID()) }),
  );

  test(`a key of ${kind}: their server's and our client's`, async (t) => {
    const { port, sockets } = await theirServer(t, {
      cert: identity.certificate,
      key: identity.key,
      requestCert: true,
      rejectUnauthorized: true,
      ca: ROOT.pem,
    });
    const ours = await ourClient(t, port, { policy: own });
    await talk(ours);
    assert.equal(sockets[0]!.authorized, true);
    assert.equal(ours.handshake.peerChain.length, 2);
  });

  test(`a key of ${kind}: our server's and their client's`, async (t) => {
    const policy = { ...identity, authorities: ROOT.pem, clientCertificate: 'required' as const };
    const { port, ends } = await ourServer(t, { policy });
    const { error } = await theirClient(port, ends, { cert: own.certificate, key: own.key });
    assert.equal(error, null);
    // OpenSSL adds the root that it knows.
    assert.ok(ends[0]!.handshake.peerChain.length >= 1);
  });
}

function CLIENT_OID(): string {
  return '1.3.6.1.5.5.7.3.2';
}

test('our client goes on with a session of their server', async (t) => {
  const { port, sockets } = await theirServer(t, {});
  const first = await ourClient(t, port);
  await talk(first);
  await until(() => first.tickets.length > 0, 'a ticket');
  first.end();
  for (const suites of [SUITES, SUITES.filter(({ code }) => code === first.handshake.suite)]) {
    const second = await ourClient(t, port, { ticket: first.tickets[0]!, suites });
    await talk(second);
    assert.equal(second.handshake.resumed, true);
    assert.equal(second.handshake.peerChain.length, 0);
    assert.equal(sockets.at(-1)!.isSessionReused(), true);
  }
});

test('our client goes on with a session over HelloRetryRequest', async (t) => {
  const { port, sockets } = await theirServer(t, { ecdhCurve: 'P-384' });
  const first = await ourClient(t, port, { shares: 1 });
  await talk(first);
  await until(() => first.tickets.length > 0, 'a ticket');
  const second = await ourClient(t, port, { ticket: first.tickets[0]!, shares: 1 });
  await talk(second);
  assert.equal(second.handshake.resumed, true);
  assert.equal(sockets.at(-1)!.isSessionReused(), true);
});

test('their server knows no ticket of another, and shakes hands in full', async (t) => {
  const one = await theirServer(t, {});
  const other = await theirServer(t, {});
  const first = await ourClient(t, one.port);
  await talk(first);
  await until(() => first.tickets.length > 0, 'a ticket');
  const second = await ourClient(t, other.port, { ticket: first.tickets[0]! });
  await talk(second);
  assert.equal(second.handshake.resumed, false);
  assert.equal(second.handshake.peerChain.length, 2);
});

test('their client goes on with a session of our server', async (t) => {
  const tickets = new Tickets([Buffer.alloc(48, 5)], seeded(99));
  const { port, ends } = await ourServer(t, { tickets });
  const first = await theirClient(port, ends);
  assert.equal(first.error, null);
  assert.equal(first.sessions.length, 1);
  const second = await theirClient(port, ends, { session: first.sessions[0]! });
  assert.equal(second.error, null);
  assert.equal(ends[1]!.handshake.resumed, true);
  assert.equal(second.reused, true);
  // Over another hello too.
  const again = await theirClient(port, ends, { session: first.sessions[0]!, ecdhCurve: 'P-521:P-384' });
  assert.equal(again.error, null);
  assert.equal(ends[2]!.handshake.group, 'P-384');
});

test('their server wants a certificate that our client does not have', async (t) => {
  const { port } = await theirServer(t, { requestCert: true, rejectUnauthorized: false, ca: ROOT.pem });
  await talk(await ourClient(t, port));
});

test('our server wants a certificate that their client does not have', async (t) => {
  const required = await ourServer(t, { policy: { authorities: ROOT.pem, clientCertificate: 'required' } });
  const { error } = await theirClient(required.port, required.ends);
  assert.equal(required.ends[0]!.fault, faults.certificateRequired);
  assert.match(String(error?.code ?? error), /CERTIFICATE_REQUIRED|ECONNRESET/);
  const optional = await ourServer(t, { policy: { authorities: ROOT.pem, clientCertificate: 'optional' } });
  assert.equal((await theirClient(optional.port, optional.ends)).error, null);
  assert.deepEqual(optional.ends[0]!.handshake.peerChain, []);
});

test('our server and a certificate of nobody that it knows', async (t) => {
  const other = identityOf(client('stranger', authority('strangers')));
  const options = { cert: other.certificate, key: other.key };
  const required = await ourServer(t, { policy: { authorities: ROOT.pem, clientCertificate: 'required' } });
  await theirClient(required.port, required.ends, options);
  assert.equal(required.ends[0]!.fault, faults.certificateUnknown);
  const optional = await ourServer(t, { policy: { authorities: ROOT.pem, clientCertificate: 'optional' } });
  assert.equal((await theirClient(optional.port, optional.ends, options)).error, null);
  assert.deepEqual(optional.ends[0]!.handshake.peerChain, []);
});

test('our client does not believe their server, and says why', async (t) => {
  const over = made({ name: HOST, issuer: ROOT, from: FROM, to: FROM + 1_000, extensions: serverExtensions([HOST]) });
  for (const [identity, fault] of [
    [identityOf(over), faults.certificateExpired],
    [identityOf(server(['other.test'], ROOT)), faults.certificateName],
    [identityOf(server([HOST], authority('strangers'))), faults.certificateUnknown],
    [identityOf(server([HOST], BETWEEN)), faults.certificateUnknown],
  ] as const) {
    const { port } = await theirServer(t, { cert: identity.certificate, key: identity.key });
    const ours = await ourClient(t, port);
    await until(() => ours.fault !== null, fault.text);
    assert.equal(ours.fault, fault);
    const blind = await ourClient(t, port, { policy: { verify: false } });
    await talk(blind);
    assert.equal(blind.handshake.verifyError, fault.text);
  }
});

test('their client does not believe our server', async (t) => {
  const { port, ends } = await ourServer(t, { policy: identityOf(server([HOST], authority('strangers'))) });
  const { error } = await theirClient(port, ends);
  assert.match(String(error?.code), /UNABLE_TO|SELF_SIGNED/);
});

test('no application protocol in common, either way', async (t) => {
  const theirs = await theirServer(t, { ALPNProtocols: ['http/1.1'] });
  const ours = await ourClient(t, theirs.port);
  await until(() => ours.alert !== null, 'an alert');
  assert.equal(ours.alert, 120);
  const { port, ends } = await ourServer(t);
  const { error } = await theirClient(port, ends, { ALPNProtocols: ['http/1.1'] });
  assert.equal(ends[0]!.fault, faults.noProtocol);
  assert.match(String(error?.code), /NO_APPLICATION_PROTOCOL/);
});

test('nothing in common: suites, groups, versions', async (t) => {
  const { port, ends } = await ourServer(t, { suites: [SUITES[1]!], groups: [GROUPS[1]!] });
  await theirClient(port, ends, { ciphers: 'TLS_AES_128_GCM_SHA256' });
  assert.equal(ends[0]!.fault, faults.noSuite);
  await theirClient(port, ends, { ecdhCurve: 'P-256' });
  assert.equal(ends[1]!.fault, faults.noGroup);
  await theirClient(port, ends, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' });
  assert.equal(ends[2]!.fault, faults.version);
  const old = await theirServer(t, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' });
  const ours = await ourClient(t, old.port);
  await until(() => ours.fault !== null || ours.alert !== null, 'an end');
  assert.ok(ours.alert === 70 || ours.fault === faults.version, `${ours.alert}`);
});

test('a name that our server does not have', async (t) => {
  const identities = { pick: (name: string | null) => (name === HOST ? SERVER : null) };
  const { port, ends } = await ourServer(t, { policy: { identities } });
  assert.equal((await theirClient(port, ends)).error, null);
  const { error } = await theirClient(port, ends, { servername: 'other.test' });
  assert.equal(ends[1]!.fault, faults.nameUnknown);
  assert.match(String(error?.code), /UNRECOGNIZED_NAME/);
});

test('a session whose client showed a certificate goes on with it, unless it is refused since', async (t) => {
  const tickets = new Tickets([Buffer.alloc(48, 5)], seeded(99));
  let refused: string | null = null;
  const clientCertificates = { authorities: ROOT.pem, refuse: () => refused };
  const policy = { clientCertificate: 'required' as const, clientCertificates };
  const { port, ends } = await ourServer(t, { tickets, policy });
  const own = { cert: CLIENT.certificate, key: CLIENT.key };
  const first = await theirClient(port, ends, own);
  const second = await theirClient(port, ends, { ...own, session: first.sessions[0]! });
  assert.equal(second.error, null);
  assert.equal(ends[1]!.handshake.resumed, true);
  assert.deepEqual(ends[1]!.handshake.peerChain, ends[0]!.handshake.peerChain);
  refused = 'revoked';
  await theirClient(port, ends, { ...own, session: first.sessions[0]! });
  assert.equal(ends[2]!.handshake.resumed, false);
  assert.equal(ends[2]!.fault, faults.refused);
});
