// What the ACME server keeps: accounts that last, nonces that are good once, orders that end, all within their bounds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bindLimits } from '../../core/limits.ts';
import { limits } from './limits.ts';
import { type Account, Desk, statusOf } from './orders.ts';
import { accountKey } from './signing.ts';

function deskOf(lines: string[], given: Partial<Record<keyof typeof limits, number>> = {}): Desk {
  let ids = 0;
  return new Desk(
    bindLimits(limits, given as Record<string, number>),
    {
      recall: () => lines,
      remember: (_name, line) => void lines.push(line),
      rewrite: (_name, all) => void lines.splice(0, lines.length, ...all),
    },
    () => `id${lines.length}x${ids++}`,
  );
}

function accountIn(desk: Desk): Account {
  const { jwk, key } = accountKey();
  return desk.addAccount(jwk, key, [])!;
}

const names = [{ type: 'dns', value: 'a.localhost' }] as const;

test('accounts last, with their last key, contact and state', () => {
  const lines: string[] = [];
  const desk = deskOf(lines);
  const [one, two] = [accountIn(desk), accountIn(desk)];
  const next = accountKey();
  const former = one.thumbprint;
  desk.changeKey(one, next.jwk, next.key);
  two.status = 'deactivated';
  desk.keep(two);
  lines.push('{"id":"cut sho');
  const again = deskOf(lines);
  assert.equal(again.account(one.id)?.thumbprint, next.thumbprint);
  assert.equal(again.accountOf(former), null);
  assert.equal(again.account(two.id)?.status, 'deactivated');
});

test('an account that changes for ever does not fill the disk', () => {
  const lines: string[] = [];
  const desk = deskOf(lines);
  const account = accountIn(desk);
  for (let round = 0; round < 5_000; round++) {
    account.contact = [`mailto:a${round}@b.test`];
    desk.keep(account);
    assert.ok(lines.length <= 1_003);
  }
  assert.deepEqual(deskOf(lines).account(account.id)?.contact, ['mailto:a4999@b.test']);
});

test('a nonce is good once, and the oldest go first (RFC 8555 §6.5)', () => {
  const desk = deskOf([], { noncesMax: 16 });
  const nonces = Array.from({ length: 17 }, () => desk.newNonce());
  assert.equal(desk.useNonce(nonces[0]!), false);
  assert.equal(desk.useNonce(nonces[1]!), true);
  assert.equal(desk.useNonce(nonces[1]!), false);
});

test('accounts and orders are bounded; what is over makes room', () => {
  const desk = deskOf([], { accountsMax: 1, ordersMax: 3, ordersOfAccountMax: 2, orderMs: 10_000 });
  const account = accountIn(desk);
  const other = accountKey();
  assert.equal(desk.addAccount(other.jwk, other.key, []), null);
  const first = desk.addOrder(account, names, 0)!;
  assert.ok(desk.addOrder(account, names, 0) !== null);
  assert.equal(desk.addOrder(account, names, 0), null);
  first.chain = 'PEM';
  assert.equal(statusOf(first), 'valid');
  assert.ok(desk.addOrder(account, names, 0) !== null);
  assert.equal(desk.addOrder(account, names, 0), null);
  const later = desk.addOrder(account, names, 10_000);
  assert.ok(later !== null);
  assert.equal(desk.order(first.id), null);
  const [authorization] = first.authorizations;
  assert.equal(desk.authorization(authorization!.id), null);
  assert.equal(desk.challenge(authorization!.challenges[0]!.id), null);
});
