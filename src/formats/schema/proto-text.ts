// A .proto file as text: what a client generates its code from.
import {
  ANNOTATIONS,
  type FileMethod,
  type FileService,
  type FileType,
  hasOwnPresence,
  type ProtoFile,
  SCALAR_MESSAGES,
} from './proto-files.ts';
import type { EnumType, Field, MessageType, ScalarType, Type } from './types.ts';

/** The words of a scalar type. */
export function scalarWord({ name, wire }: ScalarType): string {
  const message = SCALAR_MESSAGES[name];
  if (message !== undefined) return message;
  if (wire === 'zigzag') return `s${name}`;
  if (wire === 'fixed') return name.startsWith('u') ? name.replace('uint', 'fixed') : name.replace('int', 'sfixed');
  return name;
}

export function protoText(file: ProtoFile): string {
  const lines = ['syntax = "proto3";', ''];
  if (file.package !== '') lines.push(`package ${file.package};`, '');
  for (const name of file.imports) lines.push(`import "${name}";`);
  if (file.imports.length > 0) lines.push('');
  if (file.name === ANNOTATIONS)
    lines.push('extend google.protobuf.MethodOptions {', '  .google.api.HttpRule http = 72295728;', '}', '');
  for (const service of file.services) lines.push(...serviceLines(service), '');
  for (const type of file.types) lines.push(...typeLines(type, file), '');
  return `${lines.join('\n').trimEnd()}\n`;
}

function comment(text: string | undefined, indent = ''): string[] {
  if (text === undefined || text === '') return [];
  return text.split('\n').map((line) => `${indent}// ${line}`.trimEnd());
}

/** In full, with a dot before: no name near it can be meant instead. */
function typeWord(type: Type): string {
  if (type.kind === 'named') return `.${type.name}`;
  const word = scalarWord(type);
  return word.includes('.') ? `.${word}` : word;
}

function serviceLines({ name, description, methods }: FileService): string[] {
  const inside = [...methods.values()].flatMap(methodLines);
  return [...comment(description), `service ${name.slice(name.lastIndexOf('.') + 1)} {`, ...inside, '}'];
}

function methodLines(method: FileMethod): string[] {
  const { name, kind, input, output, idempotency, http, deprecated, description } = method;
  const from = `${kind === 'client' || kind === 'both' ? 'stream ' : ''}.${input.name}`;
  const to = `${kind === 'server' || kind === 'both' ? 'stream ' : ''}.${output.name}`;
  const options: string[] = [];
  if (deprecated) options.push('option deprecated = true;');
  if (idempotency === 'safe') options.push('option idempotency_level = NO_SIDE_EFFECTS;');
  if (idempotency === 'idempotent') options.push('option idempotency_level = IDEMPOTENT;');
  const [first, ...more] = http;
  if (first !== undefined) {
    options.push('option (google.api.http) = {', ...ruleLines(first).map((line) => `  ${line}`));
    for (const rule of more)
      options.push('  additional_bindings {', ...ruleLines(rule).map((line) => `    ${line}`), '  }');
    options.push('};');
  }
  const head = `  rpc ${name}(${from}) returns (${to})`;
  if (options.length === 0) return [...comment(description, '  '), `${head};`];
  return [...comment(description, '  '), `${head} {`, ...options.map((line) => `    ${line}`), '  }'];
}

function ruleLines({ method, path, body, responseBody }: FileMethod['http'][number]): string[] {
  const lines = [`${method.toLowerCase()}: ${JSON.stringify(path)}`];
  if (body !== '') lines.push(`body: ${JSON.stringify(body)}`);
  if (responseBody !== '') lines.push(`response_body: ${JSON.stringify(responseBody)}`);
  return lines;
}

function typeLines({ name, type, inner }: FileType, file: ProtoFile): string[] {
  if (type.kind === 'enum') return enumLines(name, type);
  const inside = inner.flatMap((one) => [...typeLines(one, file), '']);
  const lines = [...inside, ...fieldLines(type, file)].map((line) => (line === '' ? '' : `  ${line}`));
  return [...comment(type.description), `message ${name} {`, ...lines, '}'];
}

function enumLines(name: string, { values, description }: EnumType): string[] {
  const numbers = new Set(values.map(({ number }) => number));
  const alias = numbers.size < values.length ? ['  option allow_alias = true;'] : [];
  const inside = values.flatMap((value) => [...comment(value.description, '  '), `  ${value.name} = ${value.number};`]);
  return [...comment(description), `enum ${name} {`, ...alias, ...inside, '}'];
}

function fieldLines({ fields }: MessageType, file: ProtoFile): string[] {
  const lines: string[] = [];
  const done = new Set<string>();
  for (const field of fields) {
    if (field.oneof === undefined) lines.push(...oneField(field, file));
    else if (!done.has(field.oneof)) {
      done.add(field.oneof);
      const members = fields.filter(({ oneof }) => oneof === field.oneof);
      lines.push(
        `oneof ${field.oneof} {`,
        ...members.flatMap((member) => oneField(member, file)).map((line) => `  ${line}`),
        '}',
      );
    }
  }
  return lines;
}

function oneField(field: Field, file: ProtoFile): string[] {
  const { protoName, name, number, type, many, description, deprecated, unpacked } = field;
  const word = typeWord(type);
  let before = '';
  if (many === 'list') before = 'repeated ';
  else if (hasOwnPresence(field, file)) before = 'optional ';
  const whole = many === 'map' ? `map<${field.mapKey ?? 'string'}, ${word}>` : before + word;
  const options: string[] = [];
  if (name !== jsonName(protoName)) options.push(`json_name = ${JSON.stringify(name)}`);
  if (unpacked === true) options.push('packed = false');
  if (deprecated === true) options.push('deprecated = true');
  const tail = options.length > 0 ? ` [${options.join(', ')}]` : '';
  return [...comment(description), `${whole} ${protoName} = ${number}${tail};`];
}

/** What protobuf makes of a name itself. */
export function jsonName(protoName: string): string {
  return protoName.replace(/_+([a-zA-Z\d])?/g, (_, letter: string | undefined) => (letter ?? '').toUpperCase());
}
