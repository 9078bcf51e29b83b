// Limits: every bound of a protocol as a row, so that nothing is unbounded by oversight and one generated test can go to
// each bound and one past it.
import type { Fault } from './fault.ts';

export interface Limit {
  readonly what: string;
  readonly default: number;
  readonly least: number;
  readonly most: number;
  readonly unit: 'bytes' | 'ms' | 'count' | 'per second';
  /** What a peer gets that passes it; null where the server itself only withholds (a queue, a credit). */
  readonly fault: Fault | null;
  readonly spec: string;
}

export type Limits = Readonly<Record<string, Limit>>;

/** The limits in force: one number a row. */
export type Bound<Rows extends Limits = Limits> = { readonly [Name in keyof Rows]: number };

/** The limits in force given some overrides. Throws a RangeError that names the row and its range. */
export function bindLimits<Rows extends Limits>(
  rows: Rows,
  overrides: Readonly<Record<string, number>> = {},
): Bound<Rows> {
  const bound: Record<string, number> = {};
  for (const [name, row] of Object.entries(rows)) bound[name] = row.default;
  for (const [name, value] of Object.entries(overrides)) {
    const row = rows[name];
    if (row === undefined) throw new RangeError(`there is no limit ${name}; there are ${Object.keys(rows).join(', ')}`);
    if (!Number.isFinite(value) || value < row.least || value > row.most)
      throw new RangeError(`${name} is ${value}, but must be from ${row.least} to ${row.most} ${row.unit}`);
    bound[name] = value;
  }
  return bound as Bound<Rows>;
}
