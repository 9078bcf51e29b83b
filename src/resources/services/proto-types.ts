// The TypeScript of services that a .proto describes: the types of their messages, handlers and clients, as text. A message
// has two: as it is taken (what has no presence is there) and as it is given (what has a default may be left out).
import type { EnumType, Field, MessageType, ScalarName, Schema, Type } from '../../formats/schema/types.ts';
import type { CallKind, Method, Service } from './contract.ts';

const SCALARS: Readonly<Record<ScalarName, string>> = {
  bool: 'boolean',
  int32: 'number',
  uint32: 'number',
  int64: 'bigint',
  uint64: 'bigint',
  float: 'number',
  double: 'number',
  string: 'string',
  bytes: 'Uint8Array',
  timestamp: 'Date',
  duration: 'number',
  any: 'unknown',
};

const HANDLERS: Readonly<Record<CallKind, string>> = {
  unary: 'UnaryHandler',
  server: 'ServerHandler',
  client: 'ClientHandler',
  both: 'BothHandler',
};

/** A module's text. `from` is the file that it is made from. */
export function protoTypes(services: readonly Service[], from: string): string {
  const schema: Schema = { types: new Map(services.flatMap((service) => [...service.schema.types])) };
  const names = namesOf(schema);
  const used = new Set(services.flatMap(({ methods }) => [...methods.values()].map(({ kind }) => HANDLERS[kind])));
  const imports = [...used, 'ServiceDefinition'].sort();
  const parts = [
    `// Made from ${from} by portico services types. Changes are lost.\nimport type { ${imports.join(', ')} } from 'portico';\n`,
  ];
  for (const type of schema.types.values())
    parts.push(type.kind === 'enum' ? enumText(type, names) : messageText(type, schema, names));
  for (const service of services) parts.push(serviceText(service, names));
  const all = services.map(({ name }) => `  '${name}': Partial<${shortOf(name)}Handlers>;\n`).join('');
  parts.push(`/** What protoService is given. */\nexport interface Handlers {\n${all.replaceAll("': ", "'?: ")}}\n`);
  return parts.join('\n');
}

/** The shortest that tells them apart: `Order`, else `ShopV1Order`. */
function namesOf({ types }: Schema): Map<string, string> {
  const short = new Map<string, number>();
  for (const name of types.keys()) short.set(localOf(name), (short.get(localOf(name)) ?? 0) + 1);
  return new Map(
    [...types.keys()].map((name) => [name, short.get(localOf(name)) === 1 ? localOf(name) : wholeOf(name)]),
  );
}

/** Without the package: `Order.Line` is `OrderLine`. */
function localOf(name: string): string {
  return name
    .split('.')
    .filter((part) => /^[A-Z]/.test(part))
    .join('');
}

function wholeOf(name: string): string {
  return name
    .split('.')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
}

function shortOf(service: string): string {
  return service.slice(service.lastIndexOf('.') + 1);
}

function comment(text: string | undefined, indent = ''): string {
  if (text === undefined || text === '') return '';
  const lines = text.replaceAll('*/', '* /').split('\n');
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */\n`;
}

function enumText({ name, values, closed, description }: EnumType, names: ReadonlyMap<string, string>): string {
  const cases = values.map((value) => `'${value.name}'`).join(' | ');
  const open = closed === true ? '' : ' | number';
  return `${comment(description)}export type ${names.get(name)} = ${cases}${open};\n`;
}

function messageText(type: MessageType, schema: Schema, names: ReadonlyMap<string, string>): string {
  const name = names.get(type.name)!;
  const fields = (isGiven: boolean) => type.fields.map((field) => fieldText(field, isGiven, schema, names)).join('');
  return (
    `${comment(type.description)}export interface ${name} {\n${fields(false)}}\n\n` +
    `/** \`${name}\` as it is given. */\nexport interface ${name}Given {\n${fields(true)}}\n`
  );
}

function fieldText(field: Field, isGiven: boolean, schema: Schema, names: ReadonlyMap<string, string>): string {
  const one = typeText(field.type, isGiven, schema, names);
  const type =
    field.many === 'list'
      ? `${one.includes(' ') ? `(${one})` : one}[]`
      : field.many === 'map'
        ? `Record<string, ${one}>`
        : one;
  const isThere = field.required || (!isGiven && (!field.optional || field.preset !== undefined));
  const optional = isThere ? type : `${type} | undefined`;
  return `${comment(field.description, '  ')}  readonly ${field.name}${isThere ? '' : '?'}: ${optional};\n`;
}

function typeText(type: Type, isGiven: boolean, { types }: Schema, names: ReadonlyMap<string, string>): string {
  if (type.kind === 'scalar') return SCALARS[type.name];
  const name = names.get(type.name)!;
  return isGiven && types.get(type.name)?.kind === 'message' ? `${name}Given` : name;
}

function serviceText({ name, methods, description }: Service, names: ReadonlyMap<string, string>): string {
  const all = [...methods.values()];
  const short = shortOf(name);
  const handlers = all.map(
    (method) => `${comment(method.description, '  ')}  ${method.name}: ${handlerText(method, names)};\n`,
  );
  const types = all.map(
    ({ name: method, kind, input, output }) =>
      `    ${method}: { kind: '${kind}'; input: ${names.get(input.name)}Given; output: ${names.get(output.name)} };\n`,
  );
  return (
    `${comment(description)}export interface ${short}Handlers {\n${handlers.join('')}}\n\n` +
    `/** For \`ClientOf<${short}Definition>\`. */\n` +
    `export type ${short}Definition = ServiceDefinition<\n  '${name}',\n  {\n${types.join('')}  }\n>;\n`
  );
}

function handlerText({ kind, input, output }: Method, names: ReadonlyMap<string, string>): string {
  return `${HANDLERS[kind]}<${names.get(input.name)}, ${names.get(output.name)}Given>`;
}
