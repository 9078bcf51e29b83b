// What an order is: its name, its fields, what it answers. The tables of orders stand beside what they are about.
import type { Outcome } from '../../core/outcome.ts';
import type { Desk } from './desk.ts';

/** What is ordered: its name in `do`, and the fields of that. */
export type Order = Readonly<Record<string, unknown>> & { readonly do: string };

/** How it went: fields of its own, or one sentence for a person. */
export type Answer =
  | ({ readonly ok: true } & Readonly<Record<string, unknown>>)
  | { readonly ok: false; readonly outcome: string; readonly error: string };

/** An order that is not carried out, with what is wrong with it. */
export class OrderError extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome, message: string) {
    super(message);
    this.name = 'OrderError';
    this.outcome = outcome;
  }
}

/** What an order does. Throws an `OrderError`. */
export interface OrderRow {
  /** It changes something: it goes into the audit, also when it is refused. */
  readonly changes: boolean;
  readonly run: (desk: Desk, order: Order) => Promise<Readonly<Record<string, unknown>>>;
}

export type Orders = Readonly<Record<string, OrderRow>>;
