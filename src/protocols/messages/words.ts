// What outcomes are called in errors, what is said about them, and the code with which a socket closes for them.
import {
  BUSY,
  DENIED,
  EXISTS,
  FAILED,
  FULL,
  GONE,
  INVALID,
  LATE,
  MISSING,
  OK,
  OUTCOME_NAMES,
  type Outcome,
  type OutcomeTable,
  STALE,
  UNKNOWN,
  UNSUPPORTED,
} from '../../core/outcome.ts';
import { IDLE, OVERLOADED, REVOKED, SHUTDOWN, type Why } from '../../core/pipe.ts';
import type { CodeName, CodeTable, Status } from '../../resources/services/status.ts';

/** What is said of an outcome where nothing more exact is known. */
export const OUTCOME_TEXTS: OutcomeTable<string> = {
  [OK]: 'done',
  [DENIED]: 'this is not allowed',
  [UNKNOWN]: 'sign in first',
  [MISSING]: 'there is none',
  [EXISTS]: 'there is one already',
  [INVALID]: 'this is not a topic or filter',
  [STALE]: 'it has changed meanwhile',
  [FULL]: 'there is no more space',
  [BUSY]: 'try again later',
  [LATE]: 'it took too long',
  [GONE]: 'the server is going away',
  [UNSUPPORTED]: 'this cannot be done here',
  [FAILED]: 'the server failed to do it',
};

/** Close codes (RFC 6455 §7.4.1) for what can be told in no other way. */
export const OUTCOME_CODES: OutcomeTable<number> = {
  [OK]: 1000,
  [DENIED]: 1008,
  [UNKNOWN]: 1008,
  [MISSING]: 1008,
  [EXISTS]: 1008,
  [INVALID]: 1007,
  [STALE]: 1008,
  [FULL]: 1009,
  [BUSY]: 1013,
  [LATE]: 1013,
  [GONE]: 1001,
  [UNSUPPORTED]: 1003,
  [FAILED]: 1011,
};

/** Codes of JSON-RPC 2.0 §5.1; those of its own begin at -32000. */
export const RPC_CODES: CodeTable<number> = {
  OK: 0,
  CANCELLED: -32_001,
  UNKNOWN: -32_002,
  INVALID_ARGUMENT: -32_602,
  DEADLINE_EXCEEDED: -32_004,
  NOT_FOUND: -32_005,
  ALREADY_EXISTS: -32_006,
  PERMISSION_DENIED: -32_007,
  RESOURCE_EXHAUSTED: -32_008,
  FAILED_PRECONDITION: -32_009,
  ABORTED: -32_010,
  OUT_OF_RANGE: -32_011,
  UNIMPLEMENTED: -32_601,
  INTERNAL: -32_603,
  UNAVAILABLE: -32_014,
  DATA_LOSS: -32_015,
  UNAUTHENTICATED: -32_016,
};

/** What a call is refused with that was not even understood as one. */
const REFUSED_CODES: OutcomeTable<Exclude<CodeName, 'OK'>> = {
  [OK]: 'UNKNOWN',
  [DENIED]: 'PERMISSION_DENIED',
  [UNKNOWN]: 'UNAUTHENTICATED',
  [MISSING]: 'NOT_FOUND',
  [EXISTS]: 'ALREADY_EXISTS',
  [INVALID]: 'INVALID_ARGUMENT',
  [STALE]: 'ABORTED',
  [FULL]: 'RESOURCE_EXHAUSTED',
  [BUSY]: 'UNAVAILABLE',
  [LATE]: 'DEADLINE_EXCEEDED',
  [GONE]: 'CANCELLED',
  [UNSUPPORTED]: 'UNIMPLEMENTED',
  [FAILED]: 'INTERNAL',
};

export function refusedStatus(outcome: Outcome, message: string): Status {
  return { code: REFUSED_CODES[outcome], message, details: [] };
}

/** The code by that name; UNKNOWN for one that is not known, or no error. */
export function codeOf(name: unknown): CodeName {
  return typeof name === 'string' && name !== 'OK' && Object.hasOwn(RPC_CODES, name) ? (name as CodeName) : 'UNKNOWN';
}

/** What is said when the server asks a session to leave. */
export const LEAVING: Readonly<Record<Why, readonly [Outcome, string]>> = {
  [SHUTDOWN]: [GONE, 'the server is shutting down'],
  [REVOKED]: [UNKNOWN, 'this account may no longer be used'],
  [IDLE]: [GONE, 'nothing was said for too long'],
  [OVERLOADED]: [BUSY, 'the server has too much to do'],
};

const BY_NAME: ReadonlyMap<string, Outcome> = new Map(
  Object.entries(OUTCOME_NAMES).map(([outcome, name]) => [name, Number(outcome) as Outcome]),
);

/** The outcome behind the name in an error; FAILED for one that is not known. */
export function outcomeOf(name: string): Outcome {
  return BY_NAME.get(name) ?? FAILED;
}

/** The most bytes of a close reason (RFC 6455 §5.5). */
const REASON_BYTES_MAX = 123;

/** A reason that fits: outcome and text, cut between characters. */
export function reasonOf(outcome: Outcome, text: string): string {
  const whole = `${OUTCOME_NAMES[outcome]}: ${text}`;
  if (Buffer.byteLength(whole) <= REASON_BYTES_MAX) return whole;
  let reason = '';
  let size = 3;
  for (const character of whole) {
    size += Buffer.byteLength(character);
    if (size > REASON_BYTES_MAX) break;
    reason += character;
  }
  return `${reason}…`;
}
