// Somebody else's REST service, by its OpenAPI document, as a neutral service: a method for each operation, whose handler sends
// the request and turns the answer back. How requests travel is somebody else's.
import type { Schema } from '../../formats/schema/types.ts';
import { EMPTY_NAME } from '../../formats/schema/types.ts';
import type { Method, Service } from '../../resources/services/contract.ts';
import type { Described, Handled } from '../../resources/services/define.ts';
import type { CallTerms, HandlerCall } from '../../resources/services/handler.ts';
import { type CodeName, ServiceError } from '../../resources/services/status.ts';
import { DocumentError } from './read-document.ts';
import { type Convert, free, type Part, pascal, UpstreamTypes } from './upstream-types.ts';

type Plain = Readonly<Record<string, unknown>>;

/** A way to the other server. Rejects when it cannot be reached. */
export interface RestCarrier {
  ask(
    verb: string,
    /** Below the server's URL: a path with its query. */
    target: string,
    fields: Readonly<Record<string, string>>,
    body: string | null,
    call: CallTerms,
  ): Promise<{ readonly status: number; readonly text: string }>;
}

const VERBS = ['get', 'put', 'post', 'delete', 'patch'] as const;
const ONE_ANSWER_MS = 60_000;

/** Where a parameter stands. */
interface Place {
  readonly wire: string;
  readonly own: string;
  readonly in: 'path' | 'query' | 'header';
}

/** Describes a document that was read. `name`: with its package, `partner.v1.Shop`. Throws a `DocumentError`. */
export function describeOpenapi(document: unknown, name: string, carrier: RestCarrier): Described {
  const { openapi, paths } = (document ?? {}) as Plain;
  if (typeof openapi !== 'string' || !openapi.startsWith('3.') || typeof paths !== 'object' || paths === null)
    throw new DocumentError('this is no OpenAPI document of version 3');
  const types = new UpstreamTypes(document as Plain, name.slice(0, name.lastIndexOf('.')));
  const schema: Schema = types;
  const methods = new Map<string, Method>();
  const handlers = new Map<string, Handled>();
  const info = (document as { info?: { description?: unknown; title?: unknown } }).info;
  const service: Service = {
    name,
    methods,
    schema,
    description: String(info?.description ?? info?.title ?? ''),
    origin: 'upstream',
  };
  types.types.set(EMPTY_NAME, { kind: 'message', name: EMPTY_NAME, fields: [] });
  for (const [path, given] of Object.entries(paths as Plain)) {
    const item = types.resolve(given);
    for (const verb of VERBS) {
      const operation = types.resolve(item?.[verb]);
      if (item === null || operation === null) continue;
      const own = free(pascal(String(operation.operationId ?? `${verb} ${path}`)), methods);
      const made = new Operation(types, own, verb, path, item, operation, carrier);
      methods.set(own, made.method(service));
      handlers.set(own, { handler: made.handler as Handled['handler'], refineInput: null, refineOutput: null });
    }
  }
  if (methods.size === 0) throw new DocumentError('the document has no operations');
  return { service, handlers };
}

class Operation {
  private readonly name: string;
  private readonly verb: (typeof VERBS)[number];
  private readonly path: string;
  private readonly operation: Plain;
  private readonly carrier: RestCarrier;
  private readonly places: Place[] = [];
  private readonly bodyName: string | null;
  private readonly input: ReturnType<UpstreamTypes['message']>;
  private readonly output: { readonly type: string; readonly back: Convert };
  private readonly types: UpstreamTypes;

  constructor(
    types: UpstreamTypes,
    name: string,
    verb: (typeof VERBS)[number],
    path: string,
    item: Plain,
    operation: Plain,
    carrier: RestCarrier,
  ) {
    this.types = types;
    this.name = name;
    this.verb = verb;
    this.path = path;
    this.operation = operation;
    this.carrier = carrier;
    const parts: (Part & { place: 'path' | 'query' | 'header' | 'body' })[] = [];
    for (const each of [...listOf(item.parameters), ...listOf(operation.parameters)]) {
      const parameter = types.resolve(each);
      const { name: wire, in: given } = parameter ?? {};
      const place = given === 'path' || given === 'query' || given === 'header' ? given : null;
      if (typeof wire !== 'string' || place === null) continue;
      const known = parts.findIndex((part) => part.wire === wire && part.place === place);
      const part: (typeof parts)[number] = {
        wire,
        schema: parameter!.schema,
        required: parameter!.required === true || place === 'path',
        place,
      };
      // An operation's own parameter stands for that of its path.
      if (known < 0) parts.push(part);
      else parts[known] = part;
    }
    const body = jsonOf(types, types.resolve(operation.requestBody)?.content);
    if (body !== undefined)
      parts.push({
        wire: 'body',
        schema: body,
        required: types.resolve(operation.requestBody)?.required === true,
        place: 'body',
      });
    this.input = types.message(types.take(`${name}Request`), parts, '');
    types.types.set(this.input.message.name, this.input.message);
    this.bodyName = null;
    for (const [index, { wire, place }] of parts.entries()) {
      const own = this.input.message.fields[index]!.name;
      if (place === 'body') this.bodyName = own;
      else this.places.push({ wire, own, in: place });
    }
    this.output = this.outputOf();
  }

  private outputOf(): { readonly type: string; readonly back: Convert } {
    const { types, operation, name } = this;
    const responses = (operation.responses ?? {}) as Plain;
    const status = Object.keys(responses).find((key) => /^2/.test(key)) ?? 'default';
    const schema = jsonOf(types, types.resolve(responses[status])?.content);
    if (schema === undefined) return { type: EMPTY_NAME, back: () => ({}) };
    const carried = types.typeOf(schema, `${name}Response`);
    if (
      carried.many === 'one' &&
      carried.type.kind === 'named' &&
      types.types.get(carried.type.name)?.kind === 'message'
    )
      return { type: carried.type.name, back: carried.back ?? ((json) => json) };
    // A list or a scalar is the one field of an answer.
    const whole = types.message(types.take(`${name}Response`), [{ wire: 'value', schema, required: false }], '');
    types.types.set(whole.message.name, whole.message);
    return { type: whole.message.name, back: (json) => whole.back({ value: json }) };
  }

  method(service: Service): Method {
    const { operation, verb } = this;
    const output = this.types.types.get(this.output.type)!;
    if (output.kind !== 'message') throw new DocumentError(`${this.name} answers with no message`);
    return {
      name: this.name,
      service,
      kind: 'unary',
      input: this.input.message,
      output,
      idempotency: verb === 'get' ? 'safe' : verb === 'put' || verb === 'delete' ? 'idempotent' : 'none',
      http: [],
      description: String(operation.summary ?? operation.description ?? ''),
      deprecated: operation.deprecated === true,
      deadlineMs: ONE_ANSWER_MS,
    };
  }

  readonly handler = async (input: Plain, call: HandlerCall): Promise<unknown> => {
    const json = this.input.out(input) as Plain;
    let path = this.path;
    const query: string[] = [];
    const fields: Record<string, string> = {};
    for (const { wire, in: place } of this.places) {
      const value = json[wire];
      if (value === undefined) continue;
      if (place === 'path') path = path.replaceAll(`{${wire}}`, encodeURIComponent(textOf(value)));
      else if (place === 'header') fields[wire.toLowerCase()] = textOf(value).replaceAll(/[\r\n\0]/g, ' ');
      else
        for (const each of Array.isArray(value) ? value : [value])
          query.push(`${encodeURIComponent(wire)}=${encodeURIComponent(textOf(each))}`);
    }
    const target = `${path}${query.length === 0 ? '' : `?${query.join('&')}`}`;
    const body = this.bodyName === null || json.body === undefined ? null : JSON.stringify(json.body);
    if (body !== null) fields['content-type'] = 'application/json';
    const answer = await this.carrier
      .ask(this.verb.toUpperCase(), target, fields, body, call)
      .catch((error: unknown) => {
        throw error instanceof ServiceError ? error : new ServiceError('UNAVAILABLE', 'the upstream cannot be reached');
      });
    if (answer.status >= 300) throw failure(answer.status, answer.text);
    if (this.output.type === EMPTY_NAME) return {};
    try {
      return this.output.back(answer.text === '' ? null : JSON.parse(answer.text));
    } catch {
      throw new ServiceError('UNAVAILABLE', 'the upstream did not answer with JSON');
    }
  };
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The schema of what is JSON; undefined where nothing is. */
function jsonOf(types: UpstreamTypes, content: unknown): unknown {
  const kinds = Object.entries((content ?? {}) as Plain);
  const found =
    kinds.find(([type]) => /^application\/(?:[\w.-]+\+)?json\b/.test(type)) ?? kinds.find(([type]) => type === '*/*');
  return found === undefined ? undefined : (types.resolve(found[1])?.schema ?? {});
}

function textOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}

const BY_STATUS: Readonly<Record<number, Exclude<CodeName, 'OK'>>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  405: 'UNIMPLEMENTED',
  408: 'DEADLINE_EXCEEDED',
  409: 'ABORTED',
  410: 'NOT_FOUND',
  412: 'FAILED_PRECONDITION',
  413: 'RESOURCE_EXHAUSTED',
  422: 'INVALID_ARGUMENT',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  504: 'DEADLINE_EXCEEDED',
};

/** An answer that is no success; its words where it is a problem (RFC 9457). */
function failure(status: number, text: string): ServiceError {
  let message = `the upstream answered with status ${status}`;
  try {
    const { detail, title, message: own } = JSON.parse(text) as Plain;
    const said = [detail, own, title].find((each) => typeof each === 'string' && each !== '');
    if (said !== undefined) message = String(said).slice(0, 1_024);
  } catch {
    // No words of its own.
  }
  return new ServiceError(BY_STATUS[status] ?? (status >= 500 ? 'UNAVAILABLE' : 'UNKNOWN'), message);
}
