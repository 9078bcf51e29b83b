// The services as an OpenAPI 3.1 document: every method at its own path, and at those that its rules name.
import { type JsonSchema, jsonSchemas, schemaOfField } from '../../formats/schema/json-schema.ts';
import type { MessageType } from '../../formats/schema/types.ts';
import type { HttpBinding, Method, Service } from '../../resources/services/contract.ts';
import { templateOf } from './template.ts';

const SCHEMAS = '#/components/schemas/';
const PROBLEM = 'Problem';

type Plain = Record<string, unknown>;

/** All methods that `may` says of. */
export function openapiDocument(services: readonly Service[], may: (method: Method) => boolean): Plain {
  const paths: Record<string, Plain> = {};
  const schemas: Record<string, JsonSchema> = { [PROBLEM]: PROBLEM_SCHEMA };
  const tags: Plain[] = [];
  for (const service of services) {
    const methods = [...service.methods.values()].filter(may);
    if (methods.length === 0) continue;
    tags.push({ name: service.name, ...(service.description === '' ? {} : { description: service.description }) });
    const names = methods.flatMap(({ input, output }) => [input.name, output.name]);
    Object.assign(schemas, jsonSchemas(service.schema, names, SCHEMAS));
    for (const method of methods) {
      const own = `/services/${service.name}/${method.name}`;
      paths[own] = { ...paths[own], post: operation(method, null, `${service.name}.${method.name}`) };
      for (const [index, rule] of method.http.entries()) putRule(paths, method, rule, index);
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Services of this Portico', version: '1' },
    servers: [{ url: '/' }],
    tags,
    paths,
    components: {
      schemas,
      securitySchemes: { basic: { type: 'http', scheme: 'basic' }, bearer: { type: 'http', scheme: 'bearer' } },
    },
    security: [{}, { basic: [] }, { bearer: [] }],
  };
}

function putRule(paths: Record<string, Plain>, method: Method, rule: HttpBinding, index: number): void {
  let fields: readonly string[];
  try {
    fields = templateOf(rule.path).fields;
  } catch {
    return;
  }
  // OpenAPI names variables alone: `{name=shelves/*}` is `{name}`.
  const path = rule.path.replaceAll(/\{([\w.]+)(?:=[^}]*)?\}/g, '{$1}');
  const id = `${method.service.name}.${method.name}.${rule.method.toLowerCase()}${index === 0 ? '' : index}`;
  paths[path] = { ...paths[path], [rule.method.toLowerCase()]: operation(method, { rule, fields }, id) };
}

interface Ruled {
  readonly rule: HttpBinding;
  readonly fields: readonly string[];
}

function operation(method: Method, ruled: Ruled | null, operationId: string): Plain {
  const { service, description, deprecated, kind, input, output } = method;
  const body = ruled === null ? '*' : ruled.rule.body;
  const manyIn = kind === 'client' || kind === 'both';
  const manyOut = kind === 'server' || kind === 'both';
  const outputSchema = ruled?.rule.responseBody ? fieldSchema(output, ruled.rule.responseBody) : ref(output);
  return {
    tags: [service.name],
    operationId,
    ...(description === '' ? {} : { description }),
    ...(deprecated ? { deprecated: true } : {}),
    ...(ruled === null ? {} : { parameters: parametersOf(input, ruled) }),
    ...(body === ''
      ? {}
      : {
          requestBody: {
            required: input.fields.some(({ required }) => required),
            content: {
              [manyIn ? 'application/x-ndjson' : 'application/json']: { schema: bodySchema(input, body, ruled) },
            },
          },
        }),
    responses: {
      200: {
        description: manyOut ? 'A stream: a value a line, or an event each.' : 'The answer.',
        content: manyOut
          ? { 'application/x-ndjson': { schema: outputSchema }, 'text/event-stream': { schema: outputSchema } }
          : { 'application/json': { schema: outputSchema } },
      },
      default: {
        description: 'It did not end well: `code` says how.',
        content: { 'application/problem+json': { schema: { $ref: SCHEMAS + PROBLEM } } },
      },
    },
  };
}

const ref = ({ name }: MessageType): JsonSchema => ({ $ref: SCHEMAS + name });

function fieldSchema(type: MessageType, name: string): JsonSchema {
  const field = type.fields.find((each) => each.name === name || each.protoName === name);
  return field === undefined ? ref(type) : schemaOfField(field, SCHEMAS);
}

/** What the body is, without the fields that the path names. */
function bodySchema(input: MessageType, body: string, ruled: Ruled | null): JsonSchema {
  if (body !== '*') return fieldSchema(input, body);
  if (ruled === null || ruled.fields.length === 0) return ref(input);
  const left = input.fields.filter(
    ({ name, protoName }) => !ruled.fields.includes(protoName) && !ruled.fields.includes(name),
  );
  const required = left.filter((field) => field.required).map(({ name }) => name);
  return {
    type: 'object',
    properties: Object.fromEntries(left.map((field) => [field.name, schemaOfField(field, SCHEMAS)])),
    ...(required.length === 0 ? {} : { required }),
  };
}

function parametersOf(input: MessageType, { rule, fields }: Ruled): Plain[] {
  const inPath = fields.map((name) => ({ name, in: 'path', required: true, schema: fieldSchema(input, name) }));
  if (rule.body === '*') return inPath;
  const others = input.fields.filter(
    ({ name, protoName, type, many }) =>
      !fields.includes(protoName) &&
      !fields.includes(name) &&
      rule.body !== protoName &&
      rule.body !== name &&
      many !== 'map' &&
      type.kind === 'scalar',
  );
  return [
    ...inPath,
    ...others.map((field) => ({
      name: field.name,
      in: 'query',
      required: field.required,
      schema: schemaOfField(field, SCHEMAS),
    })),
  ];
}

const PROBLEM_SCHEMA: JsonSchema = {
  type: 'object',
  description: 'RFC 9457, with the code by which all protocols tell it.',
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string' },
    violations: {
      type: 'array',
      items: {
        type: 'object',
        properties: { field: { type: 'string' }, description: { type: 'string' } },
      },
    },
    details: { type: 'array', items: { type: 'object', properties: { '@type': { type: 'string' } } } },
  },
};
