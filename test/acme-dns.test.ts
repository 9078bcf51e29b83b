// Certificates proven by records in DNS: in a zone of this server's own, and by update in another server's. The authority is a small
// one of the test's, which looks with dig and issues with openssl; it asks for nothing but dns-01, as others do for wildcards.
import assert from 'node:assert/strict';
import { createHash, type X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect } from 'node:tls';
import { Portico } from '../src/portico.ts';
import { missing, Program, run, until } from './clients.ts';
import { commonPort } from './interop/dns-servers.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-acme-dns-'));
const at = (name: string) => join(folder, name);
after(() => rmSync(folder, { recursive: true }));
const skip = missing('dig', '-v') || missing('openssl', 'version');

interface Jws {
  readonly protected: string;
  readonly payload: string;
}

async function bodyOf(request: IncomingMessage): Promise<Jws> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text) as Jws;
}

const decoded = (text: string) =>
  JSON.parse(Buffer.from(text, 'base64url').toString() || 'null') as Record<string, unknown>;

/** An authority that believes what `look` finds for a name. */
class Authority {
  readonly server = createServer((request, response) => {
    void this.answer(request).then(([status, headers, body]) => {
      response.writeHead(status, { 'replay-nonce': String(Math.random()), ...headers });
      response.end(request.method === 'HEAD' ? '' : body);
    });
  });
  private readonly look: (name: string) => Promise<string[]>;
  private thumbprint = '';
  private names: string[] = [];
  private readonly valid = new Set<string>();
  private certificate = '';
  /** What was found when a name was looked for. */
  readonly found: string[][] = [];

  constructor(look: (name: string) => Promise<string[]>) {
    this.look = look;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private async answer(request: IncomingMessage): Promise<[number, Record<string, string>, string]> {
    const json = (value: unknown, headers: Record<string, string> = {}, status = 200) =>
      [status, { 'content-type': 'application/json', ...headers }, JSON.stringify(value)] as [
        number,
        Record<string, string>,
        string,
      ];
    const { url } = this;
    const [, verb, rest = ''] = request.url!.split('/');
    if (verb === 'directory')
      return json({ newNonce: `${url}/nonce`, newAccount: `${url}/account`, newOrder: `${url}/order` });
    if (verb === 'nonce') return json({});
    const { protected: head, payload } = await bodyOf(request);
    const said = payload === '' ? null : decoded(payload);
    if (verb === 'account') {
      const { crv, kty, x, y } = decoded(head).jwk as Record<string, string>;
      this.thumbprint = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
      return json({ status: 'valid' }, { location: `${url}/account/1` }, 201);
    }
    if (verb === 'order' && said !== null)
      this.names = (said.identifiers as { value: string }[]).map(({ value }) => value);
    const plain = (name: string) => name.replace(/^\*\./, '');
    if (verb === 'order') {
      const ready = this.names.every((name) => this.valid.has(name));
      const status = this.certificate !== '' ? 'valid' : ready ? 'ready' : 'pending';
      const authorizations = this.names.map((name) => `${url}/authz/${encodeURIComponent(name)}`);
      const certificate = this.certificate === '' ? {} : { certificate: `${url}/cert` };
      return json(
        { status, authorizations, finalize: `${url}/finalize`, ...certificate },
        { location: `${url}/order/1` },
        201,
      );
    }
    const name = decodeURIComponent(rest);
    if (verb === 'authz') {
      const challenges = [
        { type: 'dns-01', url: `${url}/challenge/${rest}`, token: `token-${name.length}`, status: 'pending' },
      ];
      const status = this.valid.has(name) ? 'valid' : 'pending';
      return json({
        status,
        identifier: { type: 'dns', value: plain(name) },
        wildcard: name.startsWith('*'),
        challenges,
      });
    }
    if (verb === 'challenge') {
      const wanted = createHash('sha256').update(`token-${name.length}.${this.thumbprint}`).digest('base64url');
      const found = await this.look(`_acme-challenge.${plain(name)}`);
      this.found.push(found);
      if (found.includes(wanted)) this.valid.add(name);
      return json({ status: 'processing' });
    }
    if (verb === 'finalize') {
      await this.issue(Buffer.from(String(said!.csr), 'base64url'));
      return json({ status: 'processing' });
    }
    return [200, { 'content-type': 'application/pem-certificate-chain' }, this.certificate];
  }

  private async issue(csr: Buffer): Promise<void> {
    writeFileSync(at('csr.der'), csr);
    if (!existsSync(at('ca.key')))
      await run(
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-subj',
        '/CN=Test',
        '-keyout',
        at('ca.key'),
        '-out',
        at('ca.crt'),
      );
    const args = [
      'x509',
      '-req',
      '-inform',
      'DER',
      '-in',
      at('csr.der'),
      '-CA',
      at('ca.crt'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
    ];
    const { out, error } = await run('openssl', ...args, '-copy_extensions', 'copyall', '-days', '60');
    assert.match(out, /BEGIN CERTIFICATE/, error);
    this.certificate = `${out}${readFileSync(at('ca.crt'), 'utf8')}`;
  }
}

async function authorityOf(look: (name: string) => Promise<string[]>): Promise<Authority> {
  const authority = new Authority(look);
  await new Promise<void>((resolve) => authority.server.listen(0, '127.0.0.1', resolve));
  return authority;
}

const portOf = (portico: Portico, name: string) => new URL(portico.urls[name]!.replace(/^[\w-]+:/, 'http:')).port;

async function texts(portico: Portico, name: string): Promise<string[]> {
  const { out } = await run('dig', '@127.0.0.1', '-p', portOf(portico, 'dns-udp'), name, 'TXT', '+short');
  return [...out.matchAll(/"([^"]*)"/g)].map(([, text]) => text!);
}

function shownBy(port: string, servername: string): Promise<X509Certificate | null> {
  return new Promise((resolve) => {
    const socket = connect({ port: Number(port), host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate() ?? null);
      socket.destroy();
    });
    socket.on('error', () => resolve(null));
  });
}

async function shows(portico: Portico, servername: string): Promise<X509Certificate> {
  let shown: X509Certificate | null = null;
  let looking = false;
  await until(() => {
    if (!looking) {
      looking = true;
      void shownBy(portOf(portico, 'https'), servername).then((found) => {
        shown = found;
        looking = false;
      });
    }
    return shown?.issuer === 'CN=Test';
  }, 'a certificate of the test’s authority');
  return shown!;
}

test('a wildcard is proven by a record in a zone of this server, which is gone afterwards', {
  skip,
  timeout: 60_000,
}, async () => {
  let own: Portico | null = null;
  const authority = await authorityOf((name) => texts(own!, name));
  own = await Portico.start({
    ports: 'ephemeral',
    hosts: ['127.0.0.1'],
    data: at('own'),
    outbound: { allow: ['127.0.0.0/8'] },
    dns: { zone: 'home.test' },
    certificates: {
      acme: [
        {
          names: ['home.test', '*.home.test'],
          directory: `${authority.url}/directory`,
          termsAgreed: true,
          proof: 'dns-01',
        },
      ],
    },
  });
  try {
    const { subjectAltName } = await shows(own, 'any.home.test');
    assert.match(subjectAltName!, /DNS:\*\.home\.test/);
    assert.equal(authority.found.length, 2);
    assert.equal(new Set(authority.found.flat()).size, 2, 'each name was proven by a record of its own');
    assert.deepEqual(await texts(own, '_acme-challenge.home.test'), []);
  } finally {
    await own.close();
    authority.server.closeAllConnections();
    authority.server.close();
  }
});

const KEY = { name: 'proofs', secret: Buffer.alloc(32, 7).toString('base64') };

/** Another server of `away.test`, which takes updates by the key. */
interface Away {
  readonly port: number;
  close(): Promise<void>;
}

const ZONE = '$ORIGIN away.test.\n$TTL 60\n@ SOA ns host 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n';

async function anotherPortico(): Promise<Away> {
  writeFileSync(at('away.test'), ZONE);
  const other = await Portico.start({
    ports: 'ephemeral',
    hosts: ['127.0.0.1'],
    data: at('other'),
    dns: { zone: false, keys: [KEY], zones: [{ name: 'away.test', file: at('away.test'), update: ['key:proofs'] }] },
  });
  return { port: Number(portOf(other, 'dns-udp')), close: () => other.close() };
}

async function bind(): Promise<Away> {
  const port = await commonPort(['127.0.0.1']);
  mkdirSync(at('bind'));
  writeFileSync(at('bind/away.test'), ZONE);
  const config = [
    `options { directory "${at('bind')}"; pid-file none; session-keyfile none; listen-on port ${port} { 127.0.0.1; };`,
    '  listen-on-v6 { none; }; recursion no; dnssec-validation no; managed-keys-directory "."; };',
    'controls { };',
    `key "proofs" { algorithm hmac-sha256; secret "${KEY.secret}"; };`,
    'zone "away.test" { type primary; file "away.test"; update-policy { grant proofs zonesub TXT; }; };',
  ].join('\n');
  writeFileSync(at('bind/named.conf'), `${config}\n`);
  const program = new Program('named', ['-g', '-c', at('bind/named.conf')]);
  let out = '';
  for (let tries = 0; tries < 100 && !/\d/.test(out); tries++)
    ({ out } = await run(
      'dig',
      '@127.0.0.1',
      '-p',
      String(port),
      'away.test',
      'SOA',
      '+short',
      '+tries=1',
      '+timeout=1',
    ));
  assert.match(out, /\d/, program.error);
  const close = async () => {
    program.kill();
    await program.done;
  };
  return { port, close };
}

for (const [name, begin, lacks] of [
  ['another Portico', anotherPortico, false],
  ['BIND', bind, missing('named', '-v')],
] as const)
  test(
    `names in a zone of ${name} are proven by an update with a key (RFC 2136, RFC 8945)`,
    {
      skip: skip || lacks,
      timeout: 90_000,
    },
    async () => provenAway(await begin()),
  );

async function provenAway(other: Away): Promise<void> {
  const look = async (name: string) => {
    const { out } = await run('dig', '@127.0.0.1', '-p', String(other.port), name, 'TXT', '+short');
    return [...out.matchAll(/"([^"]*)"/g)].map(([, text]) => text!);
  };
  const authority = await authorityOf(look);
  const plan = { zone: 'away.test', server: '127.0.0.1', port: other.port, waitSeconds: 0 };
  const certificates = (update: object) => ({
    acme: [
      {
        names: ['www.away.test'],
        directory: `${authority.url}/directory`,
        termsAgreed: true as const,
        proof: 'dns-01' as const,
        update: { ...plan, ...update },
      },
    ],
  });
  const client = await Portico.start({
    ports: 'ephemeral',
    hosts: ['127.0.0.1'],
    data: mkdtempSync(at('client-')),
    outbound: { allow: ['127.0.0.0/8'] },
    dns: { keys: [KEY] },
    certificates: certificates({ key: 'proofs' }),
  });
  try {
    const { subjectAltName } = await shows(client, 'www.away.test');
    assert.match(subjectAltName!, /DNS:www\.away\.test/);
    let left = ['?'];
    for (let tries = 0; tries < 100 && left.length > 0; tries++) left = await look('_acme-challenge.www.away.test');
    assert.deepEqual(left, []);
  } finally {
    await client.close();
    await other.close();
    authority.server.closeAllConnections();
    authority.server.close();
  }
}
