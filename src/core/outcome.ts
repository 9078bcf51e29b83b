// Outcomes: the thirteen answers that a resource gives. Each protocol maps all of them to its own codes in an
// `OutcomeTable`, which does not compile when one is missing.

export const OK = 0;
/** Allowed to nobody like this caller. */
export const DENIED = 1;
/** Sign in first. */
export const UNKNOWN = 2;
export const MISSING = 3;
export const EXISTS = 4;
export const INVALID = 5;
/** A condition (a version, a sequence) no longer holds. */
export const STALE = 6;
/** A quota or a disk. */
export const FULL = 7;
/** Later: a queue or a budget is full for now. */
export const BUSY = 8;
export const LATE = 9;
/** The server, or the thing itself, is going away. */
export const GONE = 10;
export const UNSUPPORTED = 11;
export const FAILED = 12;

export type Outcome =
  | typeof OK
  | typeof DENIED
  | typeof UNKNOWN
  | typeof MISSING
  | typeof EXISTS
  | typeof INVALID
  | typeof STALE
  | typeof FULL
  | typeof BUSY
  | typeof LATE
  | typeof GONE
  | typeof UNSUPPORTED
  | typeof FAILED;

/** One entry for every outcome. */
export type OutcomeTable<Code> = Readonly<Record<Outcome, Code>>;

export const OUTCOME_NAMES: OutcomeTable<string> = {
  [OK]: 'OK',
  [DENIED]: 'DENIED',
  [UNKNOWN]: 'UNKNOWN',
  [MISSING]: 'MISSING',
  [EXISTS]: 'EXISTS',
  [INVALID]: 'INVALID',
  [STALE]: 'STALE',
  [FULL]: 'FULL',
  [BUSY]: 'BUSY',
  [LATE]: 'LATE',
  [GONE]: 'GONE',
  [UNSUPPORTED]: 'UNSUPPORTED',
  [FAILED]: 'FAILED',
};

/** Told, once, how an operation that was begun with a token ended. `value` is the verb's own: a cursor, a length. */
export interface Waiter {
  settled(token: number, outcome: Outcome, value: number): void;
}
