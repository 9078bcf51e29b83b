// A JSON Web Token of an issuer opens the server: its keys are fetched over HTTP, by our own client.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import mqtt from 'mqtt';
import { Portico } from '../src/portico.ts';

test('a token of an issuer, on HTTP and MQTT, with keys that are fetched', { timeout: 30_000 }, async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }] };
  let fetched = 0;
  const issuer = createServer((_request, answer) => {
    fetched++;
    answer.setHeader('content-type', 'application/json').end(JSON.stringify(keys));
  });
  issuer.listen(0, '127.0.0.1');
  await once(issuer, 'listening');
  const { port } = issuer.address() as AddressInfo;
  const iss = `http://127.0.0.1:${port}`;
  await using portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    outbound: { allow: ['127.0.0.1'] },
    accounts: { issuers: [{ issuer: iss, audience: 'portico', jwksUrl: `${iss}/keys`, account: 'email' }] },
  });
  assert.ok((await portico.order({ do: 'account.add', name: 'ann@example.org' })).ok);
  const make = (aud: string) =>
    new SignJWT({ email: 'ann@example.org' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setIssuer(iss)
      .setAudience(aud)
      .setExpirationTime('10m')
      .sign(privateKey);
  const ask = async (token: string) => {
    const answer = await fetch(`${portico.urls.http}/topics`, { headers: { authorization: `Bearer ${token}` } });
    await answer.body?.cancel();
    return answer.status;
  };
  const token = await make('portico');
  assert.equal(await ask(token), 200);
  assert.equal(await ask(await make('others')), 401);
  const client = await mqtt.connectAsync(portico.urls.mqtt!, { username: 'ann@example.org', password: token });
  await client.endAsync();
  assert.equal(fetched, 1);
  issuer.close();
});
