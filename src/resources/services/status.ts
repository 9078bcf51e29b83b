// How a call of a service ends: gRPC's sixteen codes and OK, which every protocol maps to its own form in a `CodeTable`, which
// does not compile when one is missing; and how the outcomes of the resources become codes.
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
  type OutcomeTable,
  STALE,
  UNKNOWN,
  UNSUPPORTED,
} from '../../core/outcome.ts';
import type { Violation } from '../../formats/schema/types.ts';

/** By number, as gRPC has them on the wire. */
export const CODE_NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;
export type CodeName = (typeof CODE_NAMES)[number];

/** One entry for every code. */
export type CodeTable<Form> = Readonly<Record<CodeName, Form>>;

export const OUTCOME_CODES: OutcomeTable<CodeName> = {
  [OK]: 'OK',
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

/** What an error says beside its code and words: a message of a type that the service's schema has, or google.rpc's. */
export interface Detail {
  /** `google.rpc.BadRequest`, `shop.v1.OutOfStock`. */
  readonly type: string;
  readonly value: unknown;
}

export interface Status {
  readonly code: CodeName;
  /** For the caller to read; nothing of the server's inside. */
  readonly message: string;
  readonly details: readonly Detail[];
}

export const STATUS_OK: Status = Object.freeze({ code: 'OK', message: '', details: [] });

/** Thrown by a handler to end its call with a status. Whatever else it throws is INTERNAL, and a bug in the log. */
export class ServiceError extends Error {
  readonly code: CodeName;
  readonly details: readonly Detail[];

  constructor(code: Exclude<CodeName, 'OK'>, message: string, details: readonly Detail[] = []) {
    super(message);
    this.name = 'ServiceError';
    this.code = code;
    this.details = details;
  }
}

/** INVALID_ARGUMENT with google.rpc.BadRequest, which names each field that is wrong. */
export function invalidStatus(violations: readonly Violation[]): Status {
  const [first] = violations;
  const message =
    first === undefined ? 'the input is not valid' : first.path === '' ? first.text : `${first.path}: ${first.text}`;
  const fieldViolations = violations.map(({ path, text }) => ({ field: path, description: text }));
  return {
    code: 'INVALID_ARGUMENT',
    message,
    details: [{ type: 'google.rpc.BadRequest', value: { fieldViolations } }],
  };
}
