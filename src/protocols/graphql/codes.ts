// How things end in GraphQL: `extensions.code` for each code of a service, each outcome of a resource, and each way in which a
// document is refused. Both tables do not compile when an entry is missing.
import { GraphQLError } from 'graphql';
import type { Fault } from '../../core/fault.ts';
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
import type { CodeTable, Status } from '../../resources/services/status.ts';

export const BAD_USER_INPUT = 'BAD_USER_INPUT';
export const INTERNAL = 'INTERNAL';

export const SERVICE_CODES: CodeTable<string> = {
  OK: '',
  CANCELLED: 'CANCELLED',
  UNKNOWN: 'UNKNOWN',
  INVALID_ARGUMENT: BAD_USER_INPUT,
  DEADLINE_EXCEEDED: 'TIMEOUT',
  NOT_FOUND: 'NOT_FOUND',
  ALREADY_EXISTS: 'CONFLICT',
  PERMISSION_DENIED: 'FORBIDDEN',
  RESOURCE_EXHAUSTED: 'FULL',
  FAILED_PRECONDITION: 'FAILED_PRECONDITION',
  ABORTED: 'STALE',
  OUT_OF_RANGE: 'OUT_OF_RANGE',
  UNIMPLEMENTED: 'UNSUPPORTED',
  INTERNAL,
  UNAVAILABLE: 'BUSY',
  DATA_LOSS: 'DATA_LOSS',
  UNAUTHENTICATED: 'UNAUTHENTICATED',
};

export const OUTCOME_CODES: OutcomeTable<string> = {
  [OK]: '',
  [DENIED]: 'FORBIDDEN',
  [UNKNOWN]: 'UNAUTHENTICATED',
  [MISSING]: 'NOT_FOUND',
  [EXISTS]: 'CONFLICT',
  [INVALID]: BAD_USER_INPUT,
  [STALE]: 'STALE',
  [FULL]: 'FULL',
  [BUSY]: 'BUSY',
  [LATE]: 'TIMEOUT',
  [GONE]: 'GONE',
  [UNSUPPORTED]: 'UNSUPPORTED',
  [FAILED]: INTERNAL,
};

/** What went wrong in a field, as a value: where it stands in the answer is said when the answer is made. */
export interface Failure {
  readonly message: string;
  readonly extensions: Readonly<Record<string, unknown>>;
}

interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** A call that did not end with OK. The service's own code stands beside GraphQL's, and its details as they are. */
export function statusFailure({ code, message, details }: Status): Failure {
  const extensions: Record<string, unknown> = { code: SERVICE_CODES[code], status: code };
  const rest = details.filter(({ type }) => type !== 'google.rpc.BadRequest');
  const violations = details
    .filter(({ type }) => type === 'google.rpc.BadRequest')
    .flatMap(({ value }) => (value as { fieldViolations?: readonly FieldViolation[] }).fieldViolations ?? [])
    .map(({ field, description }) => ({ path: field, text: description }));
  if (violations.length > 0) extensions.violations = violations;
  if (rest.length > 0) extensions.details = rest.map(({ type, value }) => ({ type, value: plain(value) }));
  return { message: message === '' ? code : message, extensions };
}

export function outcomeFailure(outcome: Outcome, message: string): Failure {
  return { message, extensions: { code: OUTCOME_CODES[outcome], outcome: OUTCOME_NAMES[outcome] } };
}

/** A refusal of the whole document. */
export function faultError(fault: Fault, detail = ''): GraphQLError {
  const message = detail === '' ? fault.text : `${fault.text} ${detail}`;
  return new GraphQLError(message, { extensions: { code: BAD_USER_INPUT, fault: fault.id } });
}

/** An error as it is sent: one that says no code is the document's or its variables'. */
export function errorJson(error: GraphQLError, code: string = BAD_USER_INPUT): object {
  const { message, locations, path, extensions } = error;
  return {
    message,
    ...(locations === undefined ? {} : { locations }),
    ...(path === undefined ? {} : { path }),
    extensions: { ...(extensions.code === undefined ? { code } : {}), ...extensions },
  };
}

/** Errors instead of any data. */
export function refusalText(errors: readonly GraphQLError[]): string {
  return JSON.stringify({ errors: errors.map((error) => errorJson(error)) });
}

/** What stands in details, in forms that JSON has. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object' || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}
