// How a request becomes a method's input, and its output an answer: by the path that every method has, and by those that its
// google.api.http rules name.
import { jsonRead, jsonWrite } from '../../formats/schema/json.ts';
import type { EnumType, Field, MessageType, Schema, Violation } from '../../formats/schema/types.ts';
import type { HttpBinding, Method, Service } from '../../resources/services/contract.ts';
import { decodePath } from '../http/target.ts';
import { type Template, templateOf } from './template.ts';

export interface Binding {
  readonly method: Method;
  readonly verb: string;
  /** Null for the path that every method has. */
  readonly template: Template | null;
  /** The field that the body is; `*` for all that the path does not name, `''` for none. */
  readonly body: string;
  /** The input; what is wrong is added to `violations`. `body` is parsed JSON, undefined for none. */
  input(captured: readonly string[], query: string, body: unknown, violations: Violation[]): unknown;
  output(value: unknown): string;
}

/** Parameters of a query that are about the request. */
const NOT_INPUT = new Set(['access_token']);

type Plain = Record<string, unknown>;

/** The binding by which a method is called at `/services/<service>/<method>`. */
export function ownBinding(method: Method, verb: 'GET' | 'POST'): Binding {
  return bindingOf(method, { method: verb, path: '', body: verb === 'POST' ? '*' : '', responseBody: '' }, null);
}

/** The rules of a service, best first. A rule that cannot be read is left out, and told to `wrong`. */
export function rulesOf(service: Service, wrong: (text: string) => void): Binding[] {
  const bindings: Binding[] = [];
  for (const method of service.methods.values())
    for (const rule of method.http) {
      try {
        bindings.push(bindingOf(method, rule, templateOf(rule.path)));
      } catch (error) {
        wrong(`${service.name}.${method.name}: ${(error as Error).message}`);
      }
    }
  return bindings;
}

function bindingOf(method: Method, rule: HttpBinding, template: Template | null): Binding {
  const { schema } = method.service;
  const read = jsonRead(schema, method.input);
  const { body, responseBody } = rule;
  for (const field of template?.fields ?? [])
    if (fieldAt(schema, method.input, field) === null)
      throw new RangeError(`${rule.path} names ${field}, which ${method.input.name} does not have`);
  return {
    method,
    verb: rule.method,
    template,
    body,
    input(captured, query, given, violations) {
      const json = inputJson(method, body, given, violations);
      if (json === null) return undefined;
      const fields = template?.fields ?? [];
      for (let index = 0; index < fields.length; index++)
        put(schema, method.input, json, fields[index]!, captured[index]!, violations);
      if (body !== '*') putQuery(schema, method.input, json, query, violations);
      return read(json, violations);
    },
    output: outputOf(method, responseBody),
  };
}

/** The object that the body gives the input's fields by; null for a body that is none. */
function inputJson({ input }: Method, body: string, given: unknown, violations: Violation[]): Plain | null {
  if (given === undefined || body === '') return {};
  if (body !== '*') return { [body]: given };
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return { ...(given as Plain) };
  violations.push({ path: '', text: `the body is not a JSON object, as ${input.name} is one` });
  return null;
}

function outputOf({ service: { schema }, output }: Method, responseBody: string): (value: unknown) => string {
  const write = jsonWrite(schema, output);
  const field = output.fields.find(({ protoName, name }) => protoName === responseBody || name === responseBody);
  if (field === undefined) return write;
  const alone: MessageType = { kind: 'message', name: `${output.name} of one field`, fields: [field] };
  const writeField = jsonWrite(schema, alone);
  const head = `{${JSON.stringify(field.name)}:`.length;
  return (value) => {
    const text = writeField(value);
    return text.length > head ? text.slice(head, -1) : 'null';
  };
}

function putQuery(schema: Schema, type: MessageType, json: Plain, query: string, violations: Violation[]): void {
  for (const part of query.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = decodePath(equals < 0 ? part : part.slice(0, equals));
    // Forms write a space as a plus sign, and so do all libraries that make queries for such services.
    const value = decodePath((equals < 0 ? '' : part.slice(equals + 1)).replaceAll('+', ' '));
    if (name === null || value === null) violations.push({ path: '', text: `the query has a broken escape: ${part}` });
    else if (!NOT_INPUT.has(name)) put(schema, type, json, name, value, violations);
  }
}

/** The field that a path with dots leads to, through messages only. */
function fieldAt(schema: Schema, type: MessageType, path: string): Field | null {
  let within: MessageType | undefined = type;
  let field: Field | undefined;
  for (const step of path.split('.')) {
    field = within?.fields.find(({ protoName, name }) => protoName === step || name === step);
    if (field === undefined) return null;
    const named: MessageType | EnumType | undefined =
      field.type.kind === 'named' && field.many === 'one' ? schema.types.get(field.type.name) : undefined;
    within = named?.kind === 'message' ? named : undefined;
  }
  return field ?? null;
}

/** Sets a field by its path to what a text says; a list gets one more item. */
function put(
  schema: Schema,
  type: MessageType,
  json: Plain,
  path: string,
  text: string,
  violations: Violation[],
): void {
  const field = fieldAt(schema, type, path);
  const isMessage = field?.type.kind === 'named' && schema.types.get(field.type.name)?.kind === 'message';
  if (field === null || isMessage || field.many === 'map') {
    violations.push({ path: path.slice(0, 128), text: field === null ? 'is not a field' : 'cannot be given as text' });
    return;
  }
  let at = json;
  const steps = path.split('.');
  for (const step of steps.slice(0, -1)) {
    const inner = at[step];
    if (typeof inner !== 'object' || inner === null) at[step] = {};
    at = at[step] as Plain;
  }
  const last = steps.at(-1)!;
  const value = fromText(field, text);
  if (field.many === 'one') at[last] = value;
  else at[last] = Array.isArray(at[last]) ? [...(at[last] as unknown[]), value] : [value];
}

/** What is no text in JSON, from the text that stands for it in a path or a query. */
function fromText({ type }: Field, text: string): unknown {
  const scalar = type.kind === 'scalar' ? type.name : null;
  if (scalar === 'bool')
    return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text;
  // An enum may be given by number.
  if (scalar === null && /^-?\d{1,10}$/.test(text)) return Number(text);
  if (scalar !== 'any') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
