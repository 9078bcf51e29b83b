// The orders about personal tokens: made and shown once, listed, revoked.
import { EXISTS, INVALID, MISSING } from '../../core/outcome.ts';
import type { Desk } from './desk.ts';
import { preparedName } from './names.ts';
import { accountOf, listIfAny, momentIfAny, text, textIfAny } from './order-fields.ts';
import { type Order, OrderError, type Orders } from './orders.ts';
import { makeToken, tokenDigest, tokenId } from './personal-tokens.ts';
import { tokenKey, usedKey } from './records.ts';
import type { Token } from './store.ts';

/** All of an account's go in one batch with it. */
const TOKENS_MAX = 400;
/** Tokens of one answer. */
const LISTED_MAX = 500;

type Fields = Readonly<Record<string, unknown>>;

export const tokenOrders: Orders = {
  'token.add': { changes: true, run: add },
  'token.list': { changes: false, run: list },
  'token.revoke': { changes: true, run: revoke },
};

async function add(desk: Desk, order: Order): Promise<Fields> {
  const { store, entropy } = desk.accounts;
  const account = accountOf(desk, order, 'account');
  const label = preparedName(text(order, 'label'));
  if (label === null) throw new OrderError(INVALID, 'a token is called by letters, digits and . _ - + @ between them');
  if (account.tokens.has(label)) throw new OrderError(EXISTS, `${account.record.name} has a token ${label} already`);
  if (account.tokens.size >= TOKENS_MAX) throw new OrderError(INVALID, `an account has at most ${TOKENS_MAX} tokens`);
  const { id, token } = makeToken(entropy);
  const record = {
    id,
    account: account.record.name,
    accountId: account.record.id,
    label,
    digest: tokenDigest(token).toString('base64'),
    scopes: listIfAny(order, 'scopes'),
    created: store.wall,
    expires: momentIfAny(order, 'expires', store.wall),
  };
  desk.settle(await store.commit((batch) => store.putToken(batch, record)));
  return { token, ...shown({ record, used: 0 }) };
}

async function list(desk: Desk, order: Order): Promise<Fields> {
  const named = textIfAny(order, 'account');
  const account = named === null ? null : accountOf(desk, order, 'account');
  const tokens = [...(account === null ? desk.store.tokens : account.tokens).values()];
  const after = textIfAny(order, 'after') ?? '';
  const ids = tokens
    .filter(({ record }) => record.id > after)
    .sort((one, other) => (one.record.id < other.record.id ? -1 : 1));
  const some = ids.slice(0, LISTED_MAX);
  return { tokens: some.map(shown), more: some.length < ids.length };
}

async function revoke(desk: Desk, order: Order): Promise<Fields> {
  const token = found(desk, order);
  const { id, account, label } = token.record;
  const outcome = await desk.store.commit((batch) => {
    batch.remove(tokenKey(id));
    batch.remove(usedKey(id));
  });
  desk.settle(outcome);
  return { revoked: label, account };
}

/** By its account and label; or, for one that was found somewhere, by the token itself or its id. */
function found(desk: Desk, order: Order): Token {
  const label = text(order, 'label');
  const named = textIfAny(order, 'account');
  const token =
    named === null
      ? desk.store.tokens.get(tokenId(label) ?? label)
      : accountOf(desk, order, 'account').tokens.get(preparedName(label) ?? '');
  if (token === undefined) throw new OrderError(MISSING, 'there is no such token');
  return token;
}

function shown({ record, used }: Pick<Token, 'record' | 'used'>): Fields {
  const { id, account, label, scopes, created, expires } = record;
  return { id, account, label, scopes, created, expires, used };
}
