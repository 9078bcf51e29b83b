import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SUITES } from '../protection/suites.ts';
import { GROUPS } from './index.ts';
import { BETWEEN, HOST, identityOf, KEYS, server } from './testing/certificates.ts';
import { CLIENT_PARAMETERS, done, SERVER_PARAMETERS } from './testing/ends.ts';

test('RFC 9001 §4: a handshake from hello to Finished', () => {
  const { client, server } = done();
  assert.equal(client.handshake.alpn, 'h3');
  assert.equal(server.handshake.serverName, HOST);
  assert.equal(client.handshake.resumed, false);
  assert.equal(client.handshake.verifyError, null);
  assert.equal(client.handshake.peerChain.length, 2);
  assert.deepEqual(client.peerParameters, SERVER_PARAMETERS);
  assert.deepEqual(server.peerParameters, CLIENT_PARAMETERS);
  assert.deepEqual(client.told, ['keys 2 seal open', 'parameters', 'keys 3 seal open']);
  // §5.7: the server opens nothing of 1-RTT before the client's Finished.
  assert.deepEqual(server.told, ['parameters', 'keys 2 seal open', 'keys 3 seal', 'keys 3 seal open']);
});

for (const suite of SUITES)
  for (const group of GROUPS)
    for (const [kind, make] of Object.entries(KEYS))
      test(`${suite.name}, ${group.name}, a key of ${kind}`, () => {
        const identity = identityOf(server([HOST], BETWEEN, make()), BETWEEN);
        const { client } = done({
          client: { suites: [suite], groups: [group] },
          server: { policy: identity },
        });
        assert.equal(client.handshake.suite, suite.code);
        assert.equal(client.handshake.group, group.name);
      });
