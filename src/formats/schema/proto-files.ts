// Types and services as the .proto files that they would stand in: one a package, and Google's own where they are. What a
// file looks like, as text or as a descriptor, is for others.
import { writtenSchema } from './protobuf-google.ts';
import type { EnumType, Field, MessageType, Schema } from './types.ts';

/** What of a service is described; the resources' own `Service` is one. */
export interface FileService {
  /** With its package. */
  readonly name: string;
  readonly description: string;
  readonly schema: Schema;
  readonly methods: ReadonlyMap<string, FileMethod>;
}

export interface FileMethod {
  readonly name: string;
  readonly kind: 'unary' | 'server' | 'client' | 'both';
  readonly input: MessageType;
  readonly output: MessageType;
  readonly idempotency: 'none' | 'idempotent' | 'safe';
  readonly http: readonly {
    readonly method: string;
    readonly path: string;
    readonly body: string;
    readonly responseBody: string;
  }[];
  readonly description: string;
  readonly deprecated: boolean;
}

export interface ProtoFile {
  /** `shop/v1.proto`. */
  readonly name: string;
  readonly package: string;
  /** Names of files. */
  readonly imports: readonly string[];
  /** Those that stand in no other message. */
  readonly types: readonly FileType[];
  readonly services: readonly FileService[];
  /** Which of the names in its fields are enums. */
  readonly enums: ReadonlySet<string>;
}

/** A type with those that stand in it. */
export interface FileType {
  /** Without its package and what it stands in. */
  readonly name: string;
  readonly type: MessageType | EnumType;
  readonly inner: readonly FileType[];
}

export const ANNOTATIONS = 'google/api/annotations.proto';

/** Files of Google's that clients know by name. */
const GOOGLE_FILES: Readonly<Record<string, Parameters<typeof writtenSchema>[0]>> = {
  'google/protobuf/timestamp.proto': { 'google.protobuf.Timestamp': { seconds: '1 int64', nanos: '2 int32' } },
  'google/protobuf/duration.proto': { 'google.protobuf.Duration': { seconds: '1 int64', nanos: '2 int32' } },
  'google/protobuf/empty.proto': { 'google.protobuf.Empty': {} },
  'google/protobuf/any.proto': { 'google.protobuf.Any': { type_url: '1 string', value: '2 bytes' } },
  'google/protobuf/field_mask.proto': { 'google.protobuf.FieldMask': { paths: '1 list string' } },
  'google/protobuf/wrappers.proto': {
    'google.protobuf.DoubleValue': { value: '1 double' },
    'google.protobuf.FloatValue': { value: '1 float' },
    'google.protobuf.Int64Value': { value: '1 int64' },
    'google.protobuf.UInt64Value': { value: '1 uint64' },
    'google.protobuf.Int32Value': { value: '1 int32' },
    'google.protobuf.UInt32Value': { value: '1 uint32' },
    'google.protobuf.BoolValue': { value: '1 bool' },
    'google.protobuf.StringValue': { value: '1 string' },
    'google.protobuf.BytesValue': { value: '1 bytes' },
  },
  'google/api/http.proto': {
    'google.api.HttpRule': {
      selector: '1 string',
      get: '2 string in pattern',
      put: '3 string in pattern',
      post: '4 string in pattern',
      delete: '5 string in pattern',
      patch: '6 string in pattern',
      body: '7 string',
      custom: '8 google.api.CustomHttpPattern in pattern',
      additional_bindings: '11 list google.api.HttpRule',
      response_body: '12 string',
    },
    'google.api.CustomHttpPattern': { kind: '1 string', path: '2 string' },
    'google.api.Http': { rules: '1 list google.api.HttpRule', fully_decode_reserved_expansion: '2 bool' },
  },
};

const STRUCT = 'google/protobuf/struct.proto';
const HTTP = 'google/api/http.proto';
const DESCRIPTOR = 'google/protobuf/descriptor.proto';

/** What the scalars of the model stand for that are messages of Google's. */
export const SCALAR_MESSAGES: Readonly<Record<string, string>> = {
  timestamp: 'google.protobuf.Timestamp',
  duration: 'google.protobuf.Duration',
  any: 'google.protobuf.Value',
};

const FILE_OF = new Map<string, string>([
  ['google.protobuf.Struct', STRUCT],
  ['google.protobuf.Value', STRUCT],
  ['google.protobuf.ListValue', STRUCT],
  ['google.protobuf.NullValue', STRUCT],
  ...Object.entries(GOOGLE_FILES).flatMap(([file, types]) => Object.keys(types).map((type) => [type, file] as const)),
]);

/** Values are of one another, which the short form has no words for. */
function structTypes(): FileType[] {
  const field = (name: string, protoName: string, number: number, more: Partial<Field>): Field => ({
    name,
    protoName,
    number,
    many: 'one',
    type: { kind: 'scalar', name: 'any' },
    optional: more.oneof !== undefined,
    required: false,
    ...more,
  });
  const oneof = 'kind';
  const named = (name: string) => ({ kind: 'named', name }) as const;
  const message = (name: string, fields: readonly Field[]): FileType => ({
    name: lastOf(name),
    type: { kind: 'message', name, fields },
    inner: [],
  });
  return [
    message('google.protobuf.Struct', [field('fields', 'fields', 1, { many: 'map', mapKey: 'string' })]),
    message('google.protobuf.Value', [
      field('nullValue', 'null_value', 1, { type: named('google.protobuf.NullValue'), oneof }),
      field('numberValue', 'number_value', 2, { type: { kind: 'scalar', name: 'double' }, oneof }),
      field('stringValue', 'string_value', 3, { type: { kind: 'scalar', name: 'string' }, oneof }),
      field('boolValue', 'bool_value', 4, { type: { kind: 'scalar', name: 'bool' }, oneof }),
      field('structValue', 'struct_value', 5, { type: named('google.protobuf.Struct'), oneof }),
      field('listValue', 'list_value', 6, { type: named('google.protobuf.ListValue'), oneof }),
    ]),
    message('google.protobuf.ListValue', [field('values', 'values', 1, { many: 'list' })]),
    {
      name: 'NullValue',
      type: { kind: 'enum', name: 'google.protobuf.NullValue', values: [{ name: 'NULL_VALUE', number: 0 }] },
      inner: [],
    },
  ];
}

/** A file of Google's by its name, or null. */
export function googleFile(name: string): ProtoFile | null {
  const types = name === STRUCT ? structTypes() : null;
  const written = GOOGLE_FILES[name];
  if (types === null && written === undefined && name !== ANNOTATIONS) return null;
  const isApi = name.startsWith('google/api/');
  return {
    name,
    package: isApi ? 'google.api' : 'google.protobuf',
    imports: name === ANNOTATIONS ? [HTTP, DESCRIPTOR] : [],
    types: types ?? (written === undefined ? [] : treeOf(writtenSchema(written).types.values())),
    services: [],
    enums: new Set(['google.protobuf.NullValue']),
  };
}

/** The files of services and all types of their schemas; Google's own are imported, not among them. */
export function protoFiles(services: readonly FileService[]): ProtoFile[] {
  const types = new Map<string, MessageType | EnumType>();
  for (const { schema, methods } of services) {
    for (const [name, type] of schema.types) if (!types.has(name)) types.set(name, type);
    for (const { input, output } of methods.values())
      for (const type of [input, output]) if (!types.has(type.name)) types.set(type.name, type);
  }
  const packages = new Map<string, FileType[]>();
  for (const tree of treeOf([...types.values()].filter(({ name }) => !FILE_OF.has(name)))) {
    const name = packageOf(tree.type.name);
    packages.set(name, [...(packages.get(name) ?? []), tree]);
  }
  for (const { name } of services) if (!packages.has(packageOf(name))) packages.set(packageOf(name), []);
  const enums = new Set([...types.values()].filter(({ kind }) => kind === 'enum').map(({ name }) => name));
  return [...packages].map(([name, inside]) => {
    const own = services.filter((service) => packageOf(service.name) === name);
    const file = fileOf(name);
    const imports = importsOf(inside, own, types).filter((other) => other !== file);
    return { name: file, package: name, imports, types: inside, services: own, enums };
  });
}

function fileOf(packageName: string): string {
  return packageName === '' ? 'root.proto' : `${packageName.replaceAll('.', '/')}.proto`;
}

function packageOf(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot < 0 ? '' : name.slice(0, dot);
}

/** Whether a field's presence has to be said, since its type has none of its own. */
export function hasOwnPresence({ many, optional, oneof, type }: Field, { enums }: ProtoFile): boolean {
  if (many !== 'one' || !optional || oneof !== undefined) return false;
  return type.kind === 'named' ? enums.has(type.name) : SCALAR_MESSAGES[type.name] === undefined;
}

function lastOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/** Types by what they stand in: `a.B.C` stands in `a.B` where that is a message. */
function treeOf(types: Iterable<MessageType | EnumType>): FileType[] {
  const made = new Map<string, FileType & { readonly inner: FileType[] }>();
  for (const type of types) made.set(type.name, { name: lastOf(type.name), type, inner: [] });
  const top: FileType[] = [];
  for (const tree of made.values()) {
    const outer = made.get(packageOf(tree.type.name));
    if (outer?.type.kind === 'message') outer.inner.push(tree);
    else top.push(tree);
  }
  return top;
}

function importsOf(
  trees: readonly FileType[],
  services: readonly FileService[],
  types: ReadonlyMap<string, MessageType | EnumType>,
): string[] {
  const found = new Set<string>();
  const add = (name: string) => {
    const google = FILE_OF.get(name);
    let outer = packageOf(name);
    while (types.get(outer)?.kind === 'message') outer = packageOf(outer);
    found.add(google ?? fileOf(outer));
  };
  const walk = ({ type, inner }: FileType) => {
    if (type.kind === 'message')
      for (const field of type.fields)
        if (field.type.kind === 'named') add(field.type.name);
        else if (SCALAR_MESSAGES[field.type.name] !== undefined) add(SCALAR_MESSAGES[field.type.name]!);
    for (const one of inner) walk(one);
  };
  for (const tree of trees) walk(tree);
  for (const { methods } of services)
    for (const { input, output, http } of methods.values()) {
      add(input.name);
      add(output.name);
      if (http.length > 0) found.add(ANNOTATIONS);
    }
  return [...found].sort();
}
