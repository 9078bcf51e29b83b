// The ACME server behind a running Portico, asked with requests that are right and wrong; and a second Portico that obtains
// its certificate there.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { Portico } from '../../portico.ts';
import { makeRequest, newKey, pemBlocks } from '../../security/certificate.ts';
import { type AccountKey, accountKey, signRequest } from './signing.ts';

let portico: Portico;
let directory: Record<string, string>;
/** Where proofs by HTTP are shown: what is asked for, by token. */
let proofs: Server;
const shown = new Map<string, string>();
let ports = { http: 0, tls: 0 };

async function freePort(): Promise<number> {
  const server = createTcp();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

before(async () => {
  proofs = createServer((request, response) => {
    const proof = shown.get(request.url!.split('/').at(-1)!);
    response.statusCode = proof === undefined ? 404 : 200;
    response.end(proof ?? '');
  });
  await new Promise<void>((resolve) => proofs.listen(0, '127.0.0.1', resolve));
  ports = { http: (proofs.address() as AddressInfo).port, tls: await freePort() };
  portico = await Portico.start({ storage: 'memory', ports: 'ephemeral', certificates: { proofPorts: ports } });
  directory = (await (await fetch(`${portico.urls.http}/acme/directory`)).json()) as Record<string, string>;
});
after(async () => {
  proofs.close();
  await portico.close();
});

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Record<string, unknown>;
  readonly text: string;
}

async function post(url: string, body: Uint8Array, type = 'application/jose+json'): Promise<Answered> {
  const response = await fetch(url, { method: 'POST', body: body as never, headers: { 'content-type': type } });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : {} };
}

async function newNonce(): Promise<string> {
  const response = await fetch(directory.newNonce!, { method: 'HEAD' });
  assert.equal(response.headers.get('cache-control'), 'no-store');
  return response.headers.get('replay-nonce')!;
}

/** Somebody with a key and perhaps an account. */
class Client {
  readonly account: AccountKey = accountKey();
  kid: string | null = null;

  async ask(url: string, payload: object | null, more: { nonce?: string; url?: string; kid?: string | null } = {}) {
    const head = { url, nonce: await newNonce(), kid: this.kid, ...more };
    return post(url, signRequest(this.account, head, payload));
  }

  static async make(): Promise<Client> {
    const client = new Client();
    const made = await client.ask(directory.newAccount!, { termsOfServiceAgreed: true, contact: ['mailto:a@b.test'] });
    assert.equal(made.status, 201);
    client.kid = made.headers.get('location');
    return client;
  }

  order(...names: readonly string[]) {
    const identifiers = names.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value }));
    return this.ask(directory.newOrder!, { identifiers });
  }

  /** Proves all names of an order by HTTP; answers the state of each. */
  async prove(order: Answered, show = true): Promise<Record<string, unknown>[]> {
    const states: Record<string, unknown>[] = [];
    for (const url of order.json.authorizations as string[]) {
      const { json } = await this.ask(url, null);
      const challenge = (json.challenges as { type: string; url: string; token: string }[]).find(
        ({ type }) => type === 'http-01',
      )!;
      if (show) shown.set(challenge.token, `${challenge.token}.${this.account.thumbprint}\n`);
      await this.ask(challenge.url, {});
      for (;;) {
        const state = await this.ask(url, null);
        if (state.json.status !== 'pending') {
          states.push(state.json);
          break;
        }
        await pause(10);
      }
    }
    return states;
  }

  /** A certificate for names, from order to chain. */
  async obtain(...names: readonly string[]): Promise<{ chain: string; key: ReturnType<typeof newKey> }> {
    const order = await this.order(...names);
    assert.equal(order.status, 201, order.text);
    await this.prove(order);
    const key = newKey();
    const csr = makeRequest(names, key).toString('base64url');
    const done = await this.ask(String(order.json.finalize), { csr });
    assert.equal(done.json.status, 'valid', done.text);
    const { text, headers } = await this.ask(String(done.json.certificate), null);
    assert.equal(headers.get('content-type'), 'application/pem-certificate-chain');
    return { chain: text, key };
  }
}

const typeIn = ({ json }: Answered) => String(json.type).replace('urn:ietf:params:acme:error:', '');

test('from account to certificate: DNS names and addresses (RFC 8555 §7, RFC 8738)', async () => {
  const client = await Client.make();
  const { chain } = await client.obtain('app.localhost', 'x.portico.test', '127.0.0.1');
  const certificate = new X509Certificate(chain);
  assert.equal(certificate.subjectAltName, 'DNS:app.localhost, DNS:x.portico.test, IP Address:127.0.0.1');
  assert.equal(pemBlocks(chain, 'CERTIFICATE').length, 2);
});

test('the same key has the same account, and onlyReturnExisting makes none (§7.3.1)', async () => {
  const client = await Client.make();
  const again = await client.ask(directory.newAccount!, {}, { kid: null });
  assert.deepEqual([again.status, again.headers.get('location')], [200, client.kid]);
  const stranger = await new Client().ask(directory.newAccount!, { onlyReturnExisting: true });
  assert.equal(typeIn(stranger), 'accountDoesNotExist');
});

test('every way to be refused has its own type', async () => {
  const client = await Client.make();
  const url = directory.newOrder!;
  const identifiers = [{ type: 'dns', value: 'a.localhost' }];
  const nonce = await newNonce();
  assert.equal((await client.ask(url, { identifiers }, { nonce })).status, 201);
  const cases: [Promise<Answered>, number, string][] = [
    [client.ask(url, { identifiers }, { nonce }), 400, 'badNonce'],
    [client.ask(url, { identifiers }, { nonce: 'never' }), 400, 'badNonce'],
    [client.ask(url, { identifiers }, { url: `${url}x` }), 403, 'unauthorized'],
    [client.ask(url, { identifiers }, { kid: null }), 400, 'malformed'],
    [client.ask(url, { identifiers }, { kid: `${portico.urls.http}/acme/account/none` }), 400, 'accountDoesNotExist'],
    [new Client().ask(url, { identifiers }, { kid: client.kid }), 403, 'unauthorized'],
    [client.ask(url, {}), 400, 'malformed'],
    [client.ask(url, { identifiers: [{ type: 'dns', value: 'example.com' }] }), 400, 'rejectedIdentifier'],
    [client.ask(url, { identifiers: [{ type: 'ip', value: '10.0.0.1' }] }), 400, 'rejectedIdentifier'],
    [client.ask(url, { identifiers: [{ type: 'dns', value: '127.0.0.1' }] }), 400, 'rejectedIdentifier'],
    [client.ask(url, { identifiers: [{ type: 'dns', value: '*.portico.test' }] }), 400, 'rejectedIdentifier'],
    [client.ask(url, { identifiers: [{ type: 'email', value: 'a@localhost' }] }), 400, 'unsupportedIdentifier'],
    [client.ask(url, { identifiers: Array(51).fill(identifiers[0]) }), 400, 'rejectedIdentifier'],
    [client.ask(url, { identifiers, notAfter: '2030-01-01T00:00:00Z' }), 400, 'malformed'],
    [client.ask(`${portico.urls.http}/acme/order/none`, null), 404, 'malformed'],
    [client.ask(`${portico.urls.http}/acme/nothing`, null), 404, 'malformed'],
    [new Client().ask(directory.newAccount!, { contact: ['no url'] }), 400, 'invalidContact'],
    [new Client().ask(directory.newAccount!, { contact: 'mailto:a@b' }), 400, 'invalidContact'],
    [post(url, Buffer.from('{}'), 'application/json'), 415, 'malformed'],
    [post(url, Buffer.from('{}')), 400, 'malformed'],
  ];
  for (const [asked, status, type] of cases) {
    const answer = await asked;
    assert.deepEqual([answer.status, typeIn(answer)], [status, type], answer.text);
    assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    assert.match(answer.headers.get('replay-nonce') ?? '', /^[\w-]{22}$/);
  }
  assert.equal((await fetch(url)).status, 405);
});

test('another’s order, authorization, challenge and account are not answered', async () => {
  const [own, other] = [await Client.make(), await Client.make()];
  const order = await own.order('mine.localhost');
  const [authorization] = order.json.authorizations as string[];
  const { json } = await own.ask(authorization!, null);
  const [challenge] = json.challenges as { url: string }[];
  for (const url of [order.headers.get('location')!, authorization!, challenge!.url, own.kid!])
    assert.equal(typeIn(await other.ask(url, null)), 'unauthorized', url);
});

test('a proof that is not there, or is another’s, makes the order invalid (§8.3)', async () => {
  const client = await Client.make();
  const order = await client.order('unproven.localhost');
  const [state] = await client.prove(order, false);
  assert.equal(state?.status, 'invalid');
  const after = await client.ask(order.headers.get('location')!, null);
  assert.equal(after.json.status, 'invalid');
  assert.match(JSON.stringify(after.json.error), /incorrectResponse/);
  const csr = makeRequest(['unproven.localhost'], newKey()).toString('base64url');
  assert.equal(typeIn(await client.ask(String(order.json.finalize), { csr })), 'orderNotReady');
});

test('a request for other names than the order’s, or with the account’s key, is refused (§7.4, §11.1)', async () => {
  const client = await Client.make();
  const order = await client.order('csr.localhost');
  await client.prove(order);
  const finalize = String(order.json.finalize);
  const tampered = makeRequest(['csr.localhost'], newKey());
  tampered[tampered.length - 1]! ^= 1;
  const wrong = [
    makeRequest(['csr.localhost', 'more.localhost'], newKey()),
    makeRequest(['other.localhost'], newKey()),
    makeRequest(['csr.localhost'], client.account.key),
    tampered,
    Buffer.from('nonsense'),
  ];
  for (const csr of wrong)
    assert.equal(typeIn(await client.ask(finalize, { csr: csr.toString('base64url') })), 'badCSR');
  const csr = makeRequest(['csr.localhost'], newKey()).toString('base64url');
  assert.equal((await client.ask(finalize, { csr })).json.status, 'valid');
  assert.equal(typeIn(await client.ask(finalize, { csr })), 'orderNotReady');
});

test('who may revoke: its account, its key, who has proven its names; and then OCSP says so (§7.6)', async () => {
  const [own, other] = [await Client.make(), await Client.make()];
  const url = directory.revokeCert!;
  const der = ({ chain }: { chain: string }) => pemBlocks(chain, 'CERTIFICATE')[0]!.toString('base64url');
  const first = await own.obtain('r1.localhost');
  assert.equal(typeIn(await other.ask(url, { certificate: der(first) })), 'unauthorized');
  assert.equal(typeIn(await own.ask(url, { certificate: der(first), reason: 99 })), 'badRevocationReason');
  assert.equal((await own.ask(url, { certificate: der(first), reason: 1 })).status, 200);
  assert.equal(typeIn(await own.ask(url, { certificate: der(first) })), 'alreadyRevoked');
  const second = await own.obtain('r2.localhost');
  const byKey = Object.assign(new Client(), { account: accountKey(second.key) });
  assert.equal((await byKey.ask(url, { certificate: der(second) })).status, 200);
  const third = await own.obtain('r3.localhost');
  await other.obtain('r3.localhost');
  assert.equal((await other.ask(url, { certificate: der(third) })).status, 200);
  assert.equal((await own.ask(url, { certificate: 'AAAA' })).status, 404);
  const issuer = new X509Certificate(pemBlocks(first.chain, 'CERTIFICATE')[1]!);
  const list = await fetch(`${portico.urls.http}/crl/${keyIdOf(first.chain)}.crl`);
  assert.equal(list.headers.get('content-type'), 'application/pkix-crl');
  assert.ok(Buffer.from(await list.arrayBuffer()).includes(serialOf(first.chain)), issuer.subject);
});

const serialOf = (chain: string) => Buffer.from(new X509Certificate(chain).serialNumber, 'hex');

/** The identifier of the issuer's key, which follows the tag of the key identifier (RFC 5280 §4.2.1.1). */
function keyIdOf(chain: string): string {
  const der = pemBlocks(chain, 'CERTIFICATE')[0]!;
  const at = der.indexOf(Buffer.from('0603551d23', 'hex'));
  return der.subarray(at + 11, at + 31).toString('hex');
}

test('when to renew is told without an account (RFC 9773 §4)', async () => {
  const client = await Client.make();
  const { chain } = await client.obtain('ari.localhost');
  const id = `${Buffer.from(keyIdOf(chain), 'hex').toString('base64url')}.${serialOf(chain).toString('base64url')}`;
  const response = await fetch(`${directory.renewalInfo}/${id}`);
  const { suggestedWindow } = (await response.json()) as { suggestedWindow: { start: string; end: string } };
  const { validFromDate, validToDate } = new X509Certificate(chain);
  assert.ok(Date.parse(suggestedWindow.start) > validFromDate.getTime());
  assert.ok(Date.parse(suggestedWindow.end) < validToDate.getTime());
  assert.equal((await fetch(`${directory.renewalInfo}/none.none`)).status, 404);
});

test('the key of an account is changed by the old and the new one together (§7.3.5)', async () => {
  const client = await Client.make();
  const next = accountKey();
  const url = directory.keyChange!;
  const inner = (account: AccountKey, payload: object) =>
    JSON.parse(signRequest(account, { url, nonce: null, kid: null }, payload).toString()) as object;
  const payload = { account: client.kid, oldKey: client.account.jwk };
  assert.equal(typeIn(await client.ask(url, inner(next, { ...payload, oldKey: next.jwk }))), 'malformed');
  const other = await Client.make();
  assert.equal((await client.ask(url, inner(other.account, payload))).status, 409);
  assert.equal((await client.ask(url, inner(next, payload))).status, 200);
  assert.equal(typeIn(await client.order('k.localhost')), 'unauthorized');
  Object.assign(client, { account: next });
  assert.equal((await client.order('k.localhost')).status, 201);
});

test('an account that was deactivated does nothing any more (§7.3.6)', async () => {
  const client = await Client.make();
  assert.equal((await client.ask(client.kid!, { status: 'deactivated' })).json.status, 'deactivated');
  assert.equal(typeIn(await client.order('d.localhost')), 'unauthorized');
  assert.equal(typeIn(await client.ask(directory.newAccount!, {}, { kid: null })), 'unauthorized');
});

for (const proof of ['http-01', 'tls-alpn-01'] as const)
  test(`a second Portico obtains its certificate by ${proof}, and shows it`, async () => {
    const authority = await Portico.start({
      storage: 'memory',
      ports: 'ephemeral',
      certificates: { proofPorts: { http: await freePort(), tls: await freePort() } },
    });
    const { http, tls } = authority.config.certificates.proofPorts;
    const names = [`${proof}.localhost`, '127.0.0.1'];
    const second = await Portico.start({
      storage: 'memory',
      ports: 'ephemeral',
      protocols: { http1: { port: http, tls: { port: tls } } },
      outbound: { allow: ['127.0.0.1'] },
      certificates: {
        acme: [{ names, proof, termsAgreed: true, directory: `${authority.urls.http}/acme/directory` }],
      },
    });
    try {
      const root = await (await fetch(`${authority.urls.http}/certificates/root.pem`)).text();
      const trusted = () =>
        new Promise<boolean>((resolve) => {
          const socket = connectTls({ host: '127.0.0.1', port: tls, servername: names[0]!, ca: root });
          socket.on('secureConnect', () => resolve(socket.authorized));
          socket.on('error', () => resolve(false));
          socket.on('close', () => resolve(false));
          socket.unref();
          socket.once('secureConnect', () => socket.destroy());
        });
      while (!(await trusted())) await pause(20);
    } finally {
      await second.close();
      await authority.close();
    }
  });
