import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SUITES } from '../protection/suites.ts';
import { faults } from './faults.ts';
import { GROUPS } from './index.ts';
import { BETWEEN, HOST, identityOf, KEYS, ROOT, server } from './testing/certificates.ts';
import { CLIENT_PARAMETERS, done, pair, run, SERVER_PARAMETERS, seeded } from './testing/ends.ts';
import { REPLAY_SERVER, replayGroup } from './testing/replay.ts';

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

test('one seed is one conversation, byte for byte', () => {
  const said = (seed: number) => {
    const both = pair({
      client: { entropy: seeded(seed), groups: [replayGroup(seeded(seed + 1))] },
      server: { entropy: seeded(seed + 2), groups: [replayGroup(seeded(seed + 3))], policy: REPLAY_SERVER },
    });
    const all: string[] = [];
    for (const end of [both.client, both.server]) {
      const { send } = end;
      end.send = (level, bytes, from, to) => {
        all.push(`${end.name} ${level} ${Buffer.from(bytes.subarray(from, to)).toString('hex')}`);
        send.call(end, level, bytes, from, to);
      };
    }
    run(both);
    assert.ok(both.server.handshake.complete);
    return all;
  };
  assert.deepEqual(said(5), said(5));
  assert.notDeepEqual(said(5), said(9));
});

test('authorities of the platform count where the policy names none, and none do without them', () => {
  const policy = { authorities: undefined as never };
  assert.equal(done({ client: { policy, platform: () => ROOT.pem } }).client.handshake.verifyError, null);
  const both = pair({ client: { policy } });
  run(both);
  assert.equal(both.client.fault, faults.certificateUnknown);
  const own = pair({
    client: { policy: { authorities: BETWEEN.pem }, platform: () => assert.fail('nobody is asked') },
  });
  run(own);
  assert.equal(own.client.fault, null);
});

test('an address is asked for by no name, and found in the certificate all the same', () => {
  for (const serverName of ['127.0.0.1', '::1', '[::1]']) {
    const { server } = done({ client: { policy: { serverName } } });
    assert.equal(server.handshake.serverName, '');
  }
  assert.equal(
    done({ client: { policy: { serverName: 'A.Portico.Test.' } } }).server.handshake.serverName,
    'a.portico.test',
  );
});
