// The orders about rules: made, listed, removed, and what they decide.
import type { Caller } from '../../../core/caller.ts';
import { EXISTS, INVALID, MISSING } from '../../../core/outcome.ts';
import { KINDS, type Kind, VERBS, type Verb } from '../../../core/permissions.ts';
import type { Desk } from '../desk.ts';
import { accountOf, text, textIfAny } from '../order-fields.ts';
import { type Order, OrderError, type Orders } from '../orders.ts';
import { tokenId } from '../personal-tokens.ts';
import { encoded, ruleKey } from '../records.ts';
import { readRule } from './language.ts';
import { type Numbered, Rules } from './rules.ts';

const RULES_MAX = 100_000;
/** Rules of one answer. */
const LISTED_MAX = 500;

type Fields = Readonly<Record<string, unknown>>;

export const ruleOrders: Orders = {
  'rule.add': { changes: true, run: add },
  'rule.list': { changes: false, run: list },
  'rule.remove': { changes: true, run: remove },
  can: { changes: false, run: can },
};

async function add(desk: Desk, order: Order): Promise<Fields> {
  const rule = readRule(text(order, 'rule'));
  if (typeof rule === 'string') throw new OrderError(INVALID, rule);
  const { store } = desk;
  const same = rulesOf(desk).standing.find(({ id, rule: other }) => id !== 'default' && other.text === rule.text);
  if (same !== undefined) throw new OrderError(EXISTS, `there is that rule already: ${same.id}`);
  if (store.rules.size >= RULES_MAX) throw new OrderError(INVALID, `there are at most ${RULES_MAX} rules`);
  let last = 0;
  for (const id of store.rules.keys()) last = Math.max(last, Number(id));
  const id = String(last + 1).padStart(6, '0');
  const bytes = encoded({ id, text: rule.text });
  desk.settle(await store.commit((batch) => batch.put(ruleKey(id), bytes, 0, bytes.length, 0)));
  return { id, rule: rule.text };
}

async function list(desk: Desk, order: Order): Promise<Fields> {
  const from = Number(textIfAny(order, 'from') ?? 0);
  const { standing } = rulesOf(desk);
  const some = standing.slice(from, from + LISTED_MAX);
  return { rules: some.map(shown), more: from + some.length < standing.length };
}

async function remove(desk: Desk, order: Order): Promise<Fields> {
  const asked = text(order, 'rule');
  const id = /^\d{1,6}$/.test(asked) ? asked.padStart(6, '0') : asked;
  const record = desk.store.rules.get(id) as { readonly text: string } | undefined;
  if (record === undefined) {
    const isOurs = ['config', 'default', 'built-in'].includes(id);
    throw new OrderError(MISSING, isOurs ? `${id} rules are not removed here` : `there is no rule ${asked}`);
  }
  desk.settle(await desk.store.commit((batch) => batch.remove(ruleKey(id))));
  return { id, rule: record.text };
}

async function can(desk: Desk, order: Order): Promise<Fields> {
  const verb = text(order, 'verb');
  const path = text(order, 'path');
  if (!(VERBS as readonly string[]).includes(verb))
    throw new OrderError(INVALID, `${verb} is no verb; there are ${VERBS.join(', ')}`);
  const slash = path.indexOf('/');
  const kind = slash < 0 ? path : path.slice(0, slash);
  if (!(KINDS as readonly string[]).includes(kind))
    throw new OrderError(INVALID, `${path} is no path; it begins with ${KINDS.map((each) => `${each}/`).join(', ')}`);
  const name = slash < 0 ? '' : path.slice(slash + 1);
  const { accounts } = desk;
  if (accounts.open)
    return {
      allowed: accounts.permissions.may(callerFor(desk, '', null), verb as Verb, kind as Kind, name),
      why: 'there are no accounts yet: programs of this machine may do all but administer',
      by: null,
      matching: [],
    };
  const who = text(order, 'who');
  const isNobody = who === 'anonymous';
  if (!isNobody && accountOf(desk, order, 'who').record.disabled)
    return { allowed: false, why: 'the account is disabled', by: null, matching: [] };
  const account = isNobody ? '' : accountOf(desk, order, 'who').record.name;
  const caller = callerFor(desk, account, scopesOf(desk, order, account));
  const decision = rulesOf(desk).explain(caller, verb as Verb, kind as Kind, name);
  return {
    allowed: decision.allowed,
    why: decision.why,
    by: decision.by === null ? null : shown(decision.by),
    matching: decision.matching.map(shown),
  };
}

function callerFor(desk: Desk, account: string, scopes: Caller['scopes']): Caller {
  return { account, scopes, origin: 'remote', epoch: desk.store.epoch, by: account === '' ? '' : 'password' };
}

/** What the token is narrowed to that the order names by its label or id; null for none. */
function scopesOf(desk: Desk, order: Order, account: string): Caller['scopes'] {
  const named = textIfAny(order, 'token');
  if (named === null) return null;
  const id = tokenId(named) ?? named;
  const token = desk.store.byName.get(account)?.tokens.get(named) ?? desk.store.tokens.get(id);
  if (token === undefined || token.record.account !== account)
    throw new OrderError(MISSING, `${account === '' ? 'nobody' : account} has no token ${named}`);
  return token.record.scopes;
}

function rulesOf(desk: Desk): Rules {
  const { rules } = desk.accounts;
  if (rules instanceof Rules) return rules;
  throw new OrderError(INVALID, 'there are no rules here');
}

function shown({ id, rule }: Numbered): Fields {
  return { id, rule: rule.text };
}
