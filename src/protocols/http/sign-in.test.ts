// Who a request is from, once there are accounts: what is said and what is answered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../../core/caller.ts';
import { Fields } from '../../core/fields.ts';
import type { Peer } from '../../core/peer.ts';
import type { RefusalReason } from '../../resources/accounts/contract.ts';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { type Asked, Guard, isRefusal, type Refusal } from './guard.ts';

const LOOPBACK: Peer = {
  carrier: 'tcp',
  remote: { host: '127.0.0.1', port: 40_000 },
  local: { host: '127.0.0.1', port: 8080 },
  tls: null,
  below: null,
  stream: null,
};
const withCertificate = (name: string): Peer => ({
  ...LOOPBACK,
  carrier: 'tls',
  tls: { version: 'TLSv1.3', cipher: '', alpn: null, serverName: null, certificate: Buffer.from(name) },
});

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
const RIGHT = basic('ann:secret');

function house(): { accounts: FewAccounts; guard: Guard; ask: (more?: Partial<Asked>) => string } {
  const accounts = new FewAccounts({ ann: 'secret', bob: 'token-of-bob' });
  const guard = new Guard({ accounts, hosts: [], origins: [] });
  return { accounts, guard, ask: (more = {}) => said(guard.admit(asked(more))) };
}

function asked(more: Partial<Asked> & { readonly authorization?: string } = {}): Asked {
  const { authorization, ...rest } = more;
  const base = { method: 'GET', target: '/topics/a', authority: 'localhost:8080', upgrade: '', peer: LOOPBACK };
  return { ...base, fields: authorization === undefined ? new Fields() : Fields.of({ authorization }), ...rest };
}

const said = (answer: Caller | Refusal | null): string =>
  answer === null ? 'later' : isRefusal(answer) ? String(answer.status) : answer.account || 'nobody';

const using = (authorization: string) => ({ fields: Fields.of({ authorization }) });

test('Basic and Bearer, right and wrong', () => {
  const { ask, accounts } = house();
  assert.equal(ask(using(RIGHT)), 'ann');
  assert.equal(ask(using(basic('ann:wrong'))), '401');
  assert.equal(ask(using('Bearer token-of-bob')), 'bob');
  assert.equal(ask(using('Bearer nobody’s')), '401');
  assert.equal(ask(using('Bearer')), '401');
  assert.equal(ask(using('Digest username="ann"')), '401');
  assert.equal(ask(using('Basic !')), '400');
  assert.equal(ask({ fields: new Fields().append('authorization', RIGHT).append('authorization', RIGHT) }), '400');
  assert.equal(ask(), '401');
  accounts.anonymous = true;
  assert.equal(ask(), 'nobody');
});

test('a 401 says how to sign in, of a token that it is not good (RFC 9110 §11.6.1, RFC 6750 §3)', () => {
  const { guard } = house();
  const challenge = (more: Partial<Asked> = {}) => (guard.admit(asked(more)) as Refusal).fields!['www-authenticate']!;
  assert.equal(challenge(), 'Basic realm="Portico", charset="UTF-8", Bearer realm="Portico"');
  assert.match(challenge(using('Bearer x')), /^Bearer realm="Portico", error="invalid_token", Basic /);
});

test('why somebody is not let in, by status', () => {
  const { accounts, guard } = house();
  const expected: readonly [RefusalReason, number, string | undefined][] = [
    ['wrong', 401, undefined],
    ['locked', 429, '5'],
    ['plaintext', 403, undefined],
    ['busy', 503, '5'],
  ];
  for (const [refused, status, retry] of expected) {
    accounts.refusal = { refused, retryMs: 4_200 };
    const answer = guard.admit(asked(using(RIGHT))) as Refusal;
    assert.equal(answer.status, status);
    assert.equal(answer.fields?.['retry-after'], retry);
  }
});

test('a token in the query, where no field can be sent: upgrades and streams of events (RFC 6750 §2.3)', () => {
  const { ask } = house();
  const target = '/topics/a?x=1&access_token=token-of-bob';
  const events = { accept: 'text/event-stream' };
  assert.equal(ask({ target }), '401');
  assert.equal(ask({ target, upgrade: 'websocket' }), 'bob');
  assert.equal(ask({ target, fields: Fields.of(events) }), 'bob');
  assert.equal(ask({ target, method: 'POST', fields: Fields.of(events) }), '401');
  assert.equal(ask({ target: `${target}x`, upgrade: 'websocket' }), '401');
  assert.equal(ask({ target, fields: Fields.of({ ...events, authorization: RIGHT }) }), '400');
});

test('a client certificate, but not that of a proxy for whom asks through it', () => {
  const { ask, accounts } = house();
  assert.equal(ask({ peer: withCertificate('ann') }), 'ann');
  assert.equal(ask({ peer: withCertificate('zoe') }), '401');
  assert.equal(ask({ peer: withCertificate('ann'), fields: Fields.of({ via: '1.1 proxy' }) }), '401');
  // What is said counts for more than what the connection is.
  assert.equal(ask({ peer: withCertificate('ann'), ...using('Bearer token-of-bob') }), 'bob');
  accounts.anonymous = true;
  assert.equal(ask({ peer: withCertificate('zoe') }), 'nobody');
});

test('who comes through a proxy signs in as one from elsewhere', () => {
  const { guard } = house();
  const caller = guard.admit(asked({ fields: Fields.of({ authorization: RIGHT, via: '1.1 proxy' }) })) as Caller;
  assert.deepEqual([caller.account, caller.origin], ['ann', 'remote']);
});

test('what a connection said last is not asked of the accounts again, until something changes', () => {
  const { accounts, ask } = house();
  const first = using(RIGHT);
  for (let time = 0; time < 3; time++) assert.equal(ask(first), 'ann');
  assert.equal(accounts.asked.length, 1);
  // From another connection, with other words, or through a proxy, it is.
  ask({ ...first, peer: { ...LOOPBACK } });
  ask(using(basic('ann:wrong')));
  ask({ fields: Fields.of({ authorization: RIGHT, forwarded: 'for=1.2.3.4' }) });
  assert.equal(accounts.asked.length, 4);
  ask(first);
  const { length } = accounts.asked;
  accounts.permissions = { ...accounts.permissions, epoch: 8 };
  ask(first);
  assert.equal(accounts.asked.length, length + 1);
  accounts.revoke('ann');
  assert.equal(ask(first), '401');
});

test('what has to be checked first is told later, each to its own', () => {
  const { accounts, guard } = house();
  accounts.isSlow = true;
  const told: string[] = [];
  const ask = (text: string) => guard.admit(asked(using(text)), false, (answer) => told.push(said(answer)));
  assert.deepEqual([ask(RIGHT), ask(basic('ann:wrong')), ask('Bearer token-of-bob')], [null, null, null]);
  assert.deepEqual(told, []);
  accounts.tell();
  assert.deepEqual(told, ['ann', '401', 'bob']);
});
