// Reads the fields of orders, which come as JSON from outside: each says what it should have been.
import { INVALID, MISSING } from '../../core/outcome.ts';
import type { Desk } from './desk.ts';
import { preparedName } from './names.ts';
import { type Order, OrderError } from './orders.ts';
import type { Account } from './store.ts';

const TEXT_MAX = 8_192;
const LIST_MAX = 256;

export function text(order: Order, field: string): string {
  const value = order[field];
  if (typeof value === 'string' && value.length > 0 && value.length <= TEXT_MAX) return value;
  throw new OrderError(INVALID, `${order.do} needs ${field}, which is text`);
}

export function textIfAny(order: Order, field: string): string | null {
  return order[field] === undefined || order[field] === null ? null : text(order, field);
}

export function flag(order: Order, field: string): boolean {
  const value = order[field] ?? false;
  if (typeof value === 'boolean') return value;
  throw new OrderError(INVALID, `${field} of ${order.do} is true or false`);
}

export function listIfAny(order: Order, field: string): readonly string[] | null {
  const value = order[field] ?? null;
  if (value === null) return null;
  const isList = Array.isArray(value) && value.length <= LIST_MAX;
  if (isList && value.every((each) => typeof each === 'string' && each.length > 0 && each.length <= TEXT_MAX))
    return value;
  throw new OrderError(INVALID, `${field} of ${order.do} is a list of at most ${LIST_MAX} texts`);
}

/** Milliseconds since 1970, in the future; 0 when absent. */
export function momentIfAny(order: Order, field: string, wall: number): number {
  const value = order[field] ?? 0;
  if (value === 0 || (typeof value === 'number' && Number.isSafeInteger(value) && value > wall)) return value;
  throw new OrderError(INVALID, `${field} of ${order.do} is a time in the future, in milliseconds since 1970`);
}

export function count(order: Order, field: string, otherwise: number, most: number): number {
  const value = order[field] ?? otherwise;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return Math.min(value, most);
  throw new OrderError(INVALID, `${field} of ${order.do} is a whole number`);
}

/** The account that a field names. */
export function accountOf(desk: Desk, order: Order, field: string): Account {
  const given = text(order, field);
  const account = desk.store.byName.get(preparedName(given) ?? '');
  if (account === undefined) throw new OrderError(MISSING, `there is no account ${given}`);
  return account;
}
