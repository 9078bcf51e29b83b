// JSON Schema (2020-12) of types, as their JSON is (json.ts): for OpenAPI and AsyncAPI, and for whoever checks before a call.
import type { Constraints, EnumType, Field, MessageType, ScalarName, Schema, Type } from './types.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** The schemas of these types and all that they contain, by name; `prefix` is where they will stand: `#/components/schemas/`. */
export function jsonSchemas(schema: Schema, names: Iterable<string>, prefix: string): Record<string, JsonSchema> {
  const made: Record<string, JsonSchema> = {};
  const wanted = [...names];
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    const type = schema.types.get(name);
    if (type === undefined || Object.hasOwn(made, name)) continue;
    made[name] = type.kind === 'enum' ? ofEnum(type) : ofMessage(type, prefix);
    if (type.kind === 'message')
      for (const field of type.fields) if (field.type.kind === 'named') wanted.push(field.type.name);
  }
  return made;
}

function ofEnum({ values, description }: EnumType): JsonSchema {
  return { type: 'string', enum: values.map(({ name }) => name), ...said(description) };
}

function ofMessage({ fields, description }: MessageType, prefix: string): JsonSchema {
  const required = fields.filter((field) => field.required).map(({ name }) => name);
  const properties = Object.fromEntries(fields.map((field) => [field.name, schemaOfField(field, prefix)]));
  return {
    type: 'object',
    ...said(description),
    properties,
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
  };
}

/** The schema of one field, with what its description says. */
export function schemaOfField(field: Field, prefix: string): JsonSchema {
  const { type, many, constraints, each, description, deprecated, preset } = field;
  const beside = {
    ...said(description),
    ...(deprecated === true ? { deprecated: true } : {}),
    ...(typeof preset === 'string' || typeof preset === 'number' || typeof preset === 'boolean'
      ? { default: preset }
      : {}),
  };
  if (many === 'list')
    return { type: 'array', items: schemaOfType(type, prefix, each), ...counts(constraints, 'Items'), ...beside };
  if (many === 'map')
    return {
      type: 'object',
      additionalProperties: schemaOfType(type, prefix, each),
      ...counts(constraints, 'Properties'),
      ...beside,
    };
  return { ...schemaOfType(type, prefix, constraints), ...beside };
}

function schemaOfType(type: Type, prefix: string, constraints: Constraints = {}): JsonSchema {
  if (type.kind === 'named') return { $ref: `${prefix}${type.name}` };
  return { ...SCALARS[type.name], ...bounds(type.name, constraints) };
}

const SCALARS: Readonly<Record<ScalarName, JsonSchema>> = {
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  uint32: { type: 'integer', format: 'uint32', minimum: 0 },
  int64: { type: 'string', format: 'int64', pattern: '^-?[0-9]+$' },
  uint64: { type: 'string', format: 'uint64', pattern: '^[0-9]+$' },
  float: { type: 'number', format: 'float' },
  double: { type: 'number', format: 'double' },
  string: { type: 'string' },
  bytes: { type: 'string', contentEncoding: 'base64' },
  timestamp: { type: 'string', format: 'date-time' },
  duration: { type: 'string', pattern: '^-?[0-9]+(\\.[0-9]{1,9})?s$', examples: ['1.5s'] },
  any: {},
};

function bounds(name: ScalarName, constraints: Constraints): JsonSchema {
  const { min, max, minExclusive, maxExclusive, multipleOf, minLength, maxLength, pattern, format } = constraints;
  if (name === 'string')
    return {
      ...(minLength === undefined ? {} : { minLength }),
      ...(maxLength === undefined ? {} : { maxLength }),
      ...(pattern === undefined ? {} : { pattern }),
      ...(format === undefined ? {} : { format }),
    };
  // Of what is text in JSON, bounds of numbers say nothing that JSON Schema could.
  if (!['int32', 'uint32', 'float', 'double'].includes(name)) return {};
  return {
    ...(min === undefined ? {} : { [minExclusive === true ? 'exclusiveMinimum' : 'minimum']: Number(min) }),
    ...(max === undefined ? {} : { [maxExclusive === true ? 'exclusiveMaximum' : 'maximum']: Number(max) }),
    ...(multipleOf === undefined ? {} : { multipleOf }),
  };
}

function counts({ minLength, maxLength }: Constraints = {}, of: string): JsonSchema {
  return {
    ...(minLength === undefined ? {} : { [`min${of}`]: minLength }),
    ...(maxLength === undefined ? {} : { [`max${of}`]: maxLength }),
  };
}

function said(description: string | undefined): JsonSchema {
  return description === undefined || description === '' ? {} : { description };
}
