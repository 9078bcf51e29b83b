// Where accounts, tokens and rules are administered: one table of orders, the same for the command on the data folder and
// for whoever reaches a running server. It checks what is ordered and notes it in the audit; who may order is decided
// before.
import { EXISTS, OK, OUTCOME_NAMES, type Outcome, STALE } from '../../core/outcome.ts';
import { accountOrders } from './account-orders.ts';
import type { StoredAccounts } from './accounts.ts';
import { auditOrders } from './audit-orders.ts';
import { type Answer, type Order, OrderError, type OrderRow, type Orders } from './orders.ts';
import { ruleOrders } from './rules/orders.ts';
import { tokenOrders } from './token-orders.ts';

export class Desk {
  readonly accounts: StoredAccounts;
  private readonly orders: Orders;
  private last: Promise<unknown> = Promise.resolve();

  constructor(accounts: StoredAccounts, more: Orders = {}) {
    this.accounts = accounts;
    this.orders = { ...accountOrders, ...tokenOrders, ...auditOrders, ...ruleOrders, ...more };
  }

  get store(): StoredAccounts['store'] {
    return this.accounts.store;
  }

  /** Carries out an order that came as JSON. `by` is who gave it: `command`, or an account's name. Never rejects. */
  async order(given: unknown, by: string, from = ''): Promise<Answer> {
    const order = orderOf(given);
    const row = order === null ? undefined : this.orders[order.do];
    if (order === null || row === undefined || !Object.hasOwn(this.orders, order.do))
      return {
        ok: false,
        outcome: 'UNSUPPORTED',
        error: `that order is not known; there are ${Object.keys(this.orders).join(', ')}`,
      };
    const answer = await (row.changes ? this.inTurn(row, order) : this.run(row, order));
    if (row.changes) {
      const who = textOr(order, 'name') || textOr(order, 'account');
      const outcome = answer.ok ? 'ok' : answer.outcome;
      const detail = textOr(order, 'label') || textOr(order, 'rule');
      const noted = { who, what: order.do, by, from, protocol: '', outcome };
      await this.accounts.audit.note(detail === '' ? noted : { ...noted, detail });
    }
    return answer;
  }

  /** Throws an `OrderError` unless a change was made. */
  settle(outcome: Outcome): void {
    if (outcome === OK) return;
    if (outcome === STALE || outcome === EXISTS)
      throw new OrderError(outcome, 'it was changed by somebody else meanwhile; look again and repeat it');
    throw new OrderError(outcome, `it could not be stored (${OUTCOME_NAMES[outcome]})`);
  }

  /** Changes are made one after another: each is checked against what those before it made. */
  private inTurn(row: OrderRow, order: Order): Promise<Answer> {
    const answer = this.last.then(() => this.run(row, order));
    this.last = answer.catch(() => {});
    return answer;
  }

  private async run(row: OrderRow, order: Order): Promise<Answer> {
    try {
      return { ...(await row.run(this, order)), ok: true };
    } catch (error) {
      if (!(error instanceof OrderError)) throw error;
      return { ok: false, outcome: OUTCOME_NAMES[error.outcome], error: error.message };
    }
  }
}

function orderOf(given: unknown): Order | null {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return null;
  return typeof (given as Order).do === 'string' ? (given as Order) : null;
}

function textOr(order: Order, field: string): string {
  const value = order[field];
  return typeof value === 'string' ? value : '';
}
