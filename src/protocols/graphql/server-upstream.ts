// What calls another server's GraphQL: each method's handler sends its document, and turns answer or errors into what the
// service's callers are given. How requests travel is somebody else's.
import { buildClientSchema, getIntrospectionQuery, type IntrospectionQuery } from 'graphql';
import type { Described, Handled } from '../../resources/services/define.ts';
import type { CallTerms, HandlerCall } from '../../resources/services/handler.ts';
import { CODE_NAMES, type CodeName, ServiceError } from '../../resources/services/status.ts';
import { SERVICE_CODES } from './codes.ts';
import { isObject } from './request.ts';
import type { Plain } from './types.ts';
import { describeUpstream, type UpstreamMethod, type UpstreamOptions } from './upstream.ts';

/** A way to the other server. Both reject when it cannot be reached. */
export interface UpstreamCarrier {
  /** Sends the JSON of a request with POST; the status and body of the answer. */
  ask(body: string, call: CallTerms): Promise<{ readonly status: number; readonly text: string }>;
  /** Begins a subscription, over SSE or a WebSocket: the JSON of each answer, until it is complete. */
  subscribe(body: string, call: CallTerms): AsyncIterable<string>;
}

interface Failing {
  readonly message?: unknown;
  readonly extensions?: unknown;
}

/** Codes that others use, beside ours. */
const THEIR_CODES: Readonly<Record<string, CodeName>> = {
  INTERNAL_SERVER_ERROR: 'INTERNAL',
  GRAPHQL_PARSE_FAILED: 'INTERNAL',
  GRAPHQL_VALIDATION_FAILED: 'INTERNAL',
  'validation-failed': 'INVALID_ARGUMENT',
  'access-denied': 'PERMISSION_DENIED',
  GONE: 'CANCELLED',
};

const BY_CODE: ReadonlyMap<string, CodeName> = new Map([
  ...Object.entries(THEIR_CODES),
  ...CODE_NAMES.filter((name) => name !== 'OK').map((name) => [SERVICE_CODES[name], name] as const),
]);

const BY_STATUS: ReadonlyMap<number, CodeName> = new Map([
  [400, 'INTERNAL'],
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'UNIMPLEMENTED'],
  [429, 'RESOURCE_EXHAUSTED'],
]);

type FailedCode = Exclude<CodeName, 'OK'>;

function failure(errors: readonly unknown[]): ServiceError {
  const first = (isObject(errors[0]) ? errors[0] : {}) as Failing;
  const message = typeof first.message === 'string' ? first.message : 'the upstream failed';
  const extensions = isObject(first.extensions) ? first.extensions : {};
  const { status, code } = extensions;
  const own = CODE_NAMES.find((name) => name === status && name !== 'OK');
  return new ServiceError((own ?? BY_CODE.get(String(code)) ?? 'UNKNOWN') as FailedCode, message);
}

/** An answer as the method's output. Throws a ServiceError for what is none. */
function outputOf({ output, method }: UpstreamMethod, text: string, call: HandlerCall): Plain {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new ServiceError('UNAVAILABLE', 'the upstream did not answer with JSON');
  }
  const { data, errors } = isObject(answer) ? answer : {};
  const failed = Array.isArray(errors) && errors.length > 0 ? errors : null;
  const isThere = isObject(data) && Object.values(data).some((value) => value !== null);
  if (failed !== null && !isThere) throw failure(failed);
  if (!isObject(data)) throw new ServiceError('UNAVAILABLE', 'the upstream answered neither data nor errors');
  // Of an answer in parts, what is missing is told beside it.
  if (failed !== null && method.kind === 'unary') call.setTrailers(['graphql-errors', asciiJson(failed)]);
  try {
    return output(data);
  } catch {
    throw new ServiceError('INTERNAL', 'the upstream answered what its schema does not allow');
  }
}

const METADATA_CHARACTERS_MAX = 2_048;

function asciiJson(value: unknown): string {
  const text = JSON.stringify(value).replace(/[^ -~]/g, '?');
  return text.length > METADATA_CHARACTERS_MAX ? text.slice(0, METADATA_CHARACTERS_MAX) : text;
}

function requestOf({ document, variables, method }: UpstreamMethod, input: unknown): string {
  return JSON.stringify({ query: document, operationName: method.name, variables: variables(input as Plain) });
}

function reached(error: unknown): unknown {
  if (error instanceof ServiceError) return error;
  return new ServiceError('UNAVAILABLE', 'the upstream cannot be reached');
}

function unaryHandler(upstream: UpstreamMethod, carrier: UpstreamCarrier): Handled['handler'] {
  return async (input: unknown, call: HandlerCall) => {
    const { status, text } = await carrier.ask(requestOf(upstream, input), call).catch((error: unknown) => {
      throw reached(error);
    });
    const isJson = text.trimStart().startsWith('{');
    if (status >= 300 && !isJson) {
      const code = BY_STATUS.get(status) ?? 'UNAVAILABLE';
      throw new ServiceError(code as FailedCode, `the upstream answered with status ${status}`);
    }
    return outputOf(upstream, text, call);
  };
}

function streamHandler(upstream: UpstreamMethod, carrier: UpstreamCarrier): Handled['handler'] {
  return async function* (input: unknown, call: HandlerCall) {
    try {
      for await (const text of carrier.subscribe(requestOf(upstream, input), call))
        yield outputOf(upstream, text, call);
    } catch (error) {
      throw reached(error);
    }
  } as Handled['handler'];
}

/** Asks the other server for its schema, and makes a service of it. Rejects when it does not tell. */
export async function graphqlUpstream(
  carrier: UpstreamCarrier,
  options: UpstreamOptions,
  signal: AbortSignal,
): Promise<Described> {
  const { status, text } = await carrier.ask(JSON.stringify({ query: getIntrospectionQuery() }), {
    ...{ metadata: [], deadline: Number.POSITIVE_INFINITY, signal },
  });
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Error(`${options.name}: the upstream answered ${status}, and no JSON, when it was asked for its schema`);
  }
  const { data, errors } = isObject(answer) ? answer : {};
  if (!isObject(data))
    throw new Error(`${options.name}: the upstream does not tell its schema: ${failureText(errors)}`);
  return serviceOf(data as unknown as IntrospectionQuery, carrier, options);
}

function failureText(errors: unknown): string {
  return Array.isArray(errors) ? failure(errors).message : 'it answered no data';
}

/** The service of a schema that is there already, as `graphql` has it in a file. */
export function serviceOf(schema: IntrospectionQuery, carrier: UpstreamCarrier, options: UpstreamOptions): Described {
  const { service, methods } = describeUpstream(buildClientSchema(schema), options);
  const handlers = new Map<string, Handled>();
  for (const [name, upstream] of methods) {
    const handler =
      upstream.method.kind === 'server' ? streamHandler(upstream, carrier) : unaryHandler(upstream, carrier);
    handlers.set(name, { handler, refineInput: null, refineOutput: null });
  }
  return { service, handlers };
}
