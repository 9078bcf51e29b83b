// A client that others wrote, against the ACME server, with nothing beyond the loopback: proofs over HTTP and in TLS, a
// certificate by an EC and by an RSA key, revoking.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo, createServer as createTcp } from 'node:net';
import { after, before, test } from 'node:test';
import { createSecureContext, createServer as createTls } from 'node:tls';
import acme from 'acme-client';
import { Portico } from '../../portico.ts';

let portico: Portico;
const shown = new Map<string, string>();
/** By name: the certificate that proves it, and its key. */
const proving = new Map<string, [certificate: string, key: string]>();

const http = createServer((request, response) => {
  const proof = shown.get(request.url ?? '');
  response.writeHead(proof === undefined ? 404 : 200).end(proof);
});
const tls = createTls({
  ALPNProtocols: ['acme-tls/1'],
  SNICallback: (name, give) => {
    const [cert = '', key = ''] = proving.get(name) ?? [];
    give(null, createSecureContext({ cert, key }));
  },
});

async function portOf(server: ReturnType<typeof createTcp>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

before(async () => {
  const proofPorts = { http: await portOf(http), tls: await portOf(tls) };
  portico = await Portico.start({ storage: 'memory', ports: 'ephemeral', certificates: { proofPorts } });
});
after(async () => {
  http.closeAllConnections();
  http.close();
  tls.close();
  await portico.close();
});

async function clientOf(): Promise<acme.Client> {
  const accountKey = await acme.crypto.createPrivateEcdsaKey();
  return new acme.Client({ directoryUrl: `${portico.urls.http}/acme/directory`, accountKey, backoffMin: 50 });
}

async function obtain(client: acme.Client, csr: Buffer, kind: 'http-01' | 'tls-alpn-01'): Promise<string> {
  const pathOf = (token: string) => `/.well-known/acme-challenge/${token}`;
  return client.auto({
    csr,
    termsOfServiceAgreed: true,
    email: 'ann@portico.test',
    skipChallengeVerification: true,
    challengePriority: [kind],
    async challengeCreateFn(authorization, challenge, proof) {
      if (kind === 'http-01') shown.set(pathOf(challenge.token), proof);
      else {
        const [key, certificate] = await acme.crypto.createAlpnCertificate(authorization, proof);
        proving.set(authorization.identifier.value, [String(certificate), String(key)]);
      }
    },
    async challengeRemoveFn(authorization, challenge) {
      shown.delete(pathOf(challenge.token));
      proving.delete(authorization.identifier.value);
    },
  });
}

test('acme-client obtains a certificate by http-01, and revokes it', async () => {
  const client = await clientOf();
  const [, csr] = await acme.crypto.createCsr({ altNames: ['one.localhost', 'two.portico.test'] });
  const chain = await obtain(client, csr, 'http-01');
  assert.equal(new X509Certificate(chain).subjectAltName, 'DNS:one.localhost, DNS:two.portico.test');
  await client.revokeCertificate(chain, { reason: 4 });
  await assert.rejects(client.revokeCertificate(chain), /revoked before/);
});

test('acme-client obtains a certificate by tls-alpn-01, with a key on P-384', async () => {
  const key = await acme.crypto.createPrivateEcdsaKey('P-384');
  const [, csr] = await acme.crypto.createCsr({ commonName: 'alpn.localhost', altNames: ['alpn.localhost'] }, key);
  const chain = await obtain(await clientOf(), csr, 'tls-alpn-01');
  assert.equal(new X509Certificate(chain).subjectAltName, 'DNS:alpn.localhost');
  assert.equal(new X509Certificate(chain).publicKey.asymmetricKeyDetails?.namedCurve, 'secp384r1');
});

test('acme-client is told why a name beyond the constraints, and one without a proof, get nothing', async () => {
  const client = await clientOf();
  const [, beyond] = await acme.crypto.createCsr({ altNames: ['example.com'] });
  await assert.rejects(obtain(client, beyond, 'http-01'), /example\.com is beyond what this authority may speak for/);
  const [, unproven] = await acme.crypto.createCsr({ altNames: ['unproven.localhost'] });
  const nothing = client.auto({
    csr: unproven,
    termsOfServiceAgreed: true,
    skipChallengeVerification: true,
    challengePriority: ['http-01'],
    challengeCreateFn: async () => {},
    challengeRemoveFn: async () => {},
  });
  await assert.rejects(nothing, /answered with 404/);
});

test('acme-client changes the key of its account', async () => {
  const client = await clientOf();
  await client.createAccount({ termsOfServiceAgreed: true });
  const former = client.getAccountUrl();
  await client.updateAccountKey(await acme.crypto.createPrivateEcdsaKey());
  await client.updateAccount({ contact: ['mailto:next@portico.test'] });
  assert.equal(client.getAccountUrl(), former);
});
