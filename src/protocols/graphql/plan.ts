// Operations compiled: which calls they make, and closures that write the answer's JSON from what the calls gave. They write
// only what is as the schema says; where something is not, they write nothing, and graphql-js says what becomes of it.
import {
  type DirectiveNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLBoolean,
  type GraphQLEnumType,
  type GraphQLField,
  GraphQLFloat,
  GraphQLInt,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLScalarType,
  GraphQLString,
  getArgumentValues,
  isEnumType,
  isListType,
  isNonNullType,
  isScalarType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import {
  BASE64_SCALAR,
  bytesText,
  EMPTY_SCALAR,
  INT64_SCALAR,
  JSON_SCALAR,
  MOMENT_SCALAR,
  momentText,
  SPAN_SCALAR,
  spanText,
  UINT32_SCALAR,
  UINT64_SCALAR,
} from './scalars.ts';
import type { Api, OperationKind, Target } from './schema.ts';
import type { Plain, ReadField } from './types.ts';

/** The JSON of a value; '' when the value is not as its type says. */
export type Write = (value: unknown) => string;

export type Variables = Readonly<Record<string, unknown>>;

/** A field of the uppermost level. */
export interface Root {
  /** Its name in the answer. */
  readonly key: string;
  /** `"key":`, with the comma before it where there is one. */
  readonly prefix: string;
  /** Null for `__typename`, whose answer is always the same. */
  readonly target: Target | null;
  /** Throws a GraphQLError for what variables made wrong. */
  readonly args: (variables: Variables) => Plain;
  readonly write: Write;
}

/** An operation with what its directives leave of it. */
export interface Plan {
  readonly roots: readonly Root[];
  /** Names in the answer of what asks for the schema: graphql-js answers that. */
  readonly meta: readonly string[];
  /** What a subscription was last made of: others that ask the same get the same text. */
  readonly last: { value: unknown; text: string };
}

type Fragments = ReadonlyMap<string, FragmentDefinitionNode>;

const BAD = '';

/** Characters that JSON escapes, and surrogates, which may be alone. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones.
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/;

export function textJson(text: string): string {
  return text.length > 256 || ESCAPED.test(text) ? JSON.stringify(text) : `"${text}"`;
}

const INT_MOST = 2_147_483_647;

const WRITERS = new Map<GraphQLScalarType, Write>([
  [GraphQLString, (value) => (typeof value === 'string' ? textJson(value) : BAD)],
  [GraphQLBoolean, (value) => (value === true ? 'true' : value === false ? 'false' : BAD)],
  [
    GraphQLInt,
    (value) =>
      typeof value === 'number' && Number.isInteger(value) && value <= INT_MOST && value >= -INT_MOST - 1
        ? String(value)
        : BAD,
  ],
  // JSON has no negative zero.
  [GraphQLFloat, (value) => (typeof value === 'number' && Number.isFinite(value) ? String(value) : BAD)],
  [UINT32_SCALAR, (value) => (typeof value === 'number' && value >>> 0 === value ? String(value) : BAD)],
  [INT64_SCALAR, (value) => (typeof value === 'bigint' && BigInt.asIntN(64, value) === value ? `"${value}"` : BAD)],
  [UINT64_SCALAR, (value) => (typeof value === 'bigint' && BigInt.asUintN(64, value) === value ? `"${value}"` : BAD)],
  [BASE64_SCALAR, (value) => (value instanceof Uint8Array ? `"${bytesText(value)}"` : BAD)],
  [
    MOMENT_SCALAR,
    (value) => {
      const text = value instanceof Date ? momentText(value) : BAD;
      return text === BAD ? BAD : `"${text}"`;
    },
  ],
  [SPAN_SCALAR, (value) => (typeof value === 'number' && Number.isFinite(value) ? `"${spanText(value)}"` : BAD)],
  [JSON_SCALAR, (value) => JSON.stringify(value) ?? BAD],
  [EMPTY_SCALAR, () => '{}'],
]);

function enumWriter(type: GraphQLEnumType): Write {
  const known = new Map<unknown, string>(type.getValues().map(({ name, value }) => [value, `"${name}"`]));
  return (value) => known.get(value) ?? BAD;
}

/** Those of a field that stand at several places, in order. */
interface Collected {
  readonly key: string;
  readonly nodes: FieldNode[];
}

class Compiler {
  private readonly api: Api;
  private readonly fragments: Fragments;
  /** Variables that directives ask, as they are now. */
  private readonly given: Variables;

  constructor(api: Api, fragments: Fragments, given: Variables) {
    this.api = api;
    this.fragments = fragments;
    this.given = given;
  }

  plan(node: OperationDefinitionNode): Plan {
    const kind = node.operation as OperationKind;
    const type = this.api.schema.getRootType(node.operation)!;
    const roots: Root[] = [];
    const meta: string[] = [];
    for (const { key, nodes } of this.collect(type, [node.selectionSet])) {
      const [first] = nodes;
      const name = first!.name.value;
      const prefix = `${roots.length === 0 ? '' : ','}${JSON.stringify(key)}:`;
      if (name === '__schema' || name === '__type') {
        meta.push(key);
        continue;
      }
      if (name === '__typename') {
        const text = JSON.stringify(type.name);
        roots.push({ key, prefix, target: null, args: () => ({}), write: () => text });
        continue;
      }
      const field = type.getFields()[name]!;
      const target = this.api.targets[kind].get(name)!;
      roots.push({ key, prefix, target, args: argsReader(field, first!), write: this.writer(field.type, nodes) });
    }
    return { roots, meta, last: { value: null, text: '' } };
  }

  /** CollectFields (§6.3.2): here every type is an object, so that what applies is known beforehand. */
  private collect(type: GraphQLObjectType, sets: readonly SelectionSetNode[]): Collected[] {
    const found = new Map<string, Collected>();
    const visited = new Set<string>();
    for (const set of sets) this.collectInto(found, visited, type, set);
    return [...found.values()];
  }

  private collectInto(
    found: Map<string, Collected>,
    visited: Set<string>,
    type: GraphQLObjectType,
    { selections }: SelectionSetNode,
  ): void {
    for (const node of selections) {
      if (!this.isIncluded(node.directives ?? [])) continue;
      if (node.kind === Kind.FIELD) {
        const key = node.alias?.value ?? node.name.value;
        const known = found.get(key);
        if (known === undefined) found.set(key, { key, nodes: [node] });
        else known.nodes.push(node);
        continue;
      }
      if (node.kind === Kind.INLINE_FRAGMENT) {
        const on = node.typeCondition?.name.value;
        if (on === undefined || on === type.name) this.collectInto(found, visited, type, node.selectionSet);
        continue;
      }
      const name = node.name.value;
      const fragment = this.fragments.get(name);
      if (fragment === undefined || visited.has(name)) continue;
      visited.add(name);
      if (fragment.typeCondition.name.value === type.name)
        this.collectInto(found, visited, type, fragment.selectionSet);
    }
  }

  private isIncluded(directives: readonly DirectiveNode[]): boolean {
    for (const { name, arguments: args } of directives) {
      if (name.value !== 'skip' && name.value !== 'include') continue;
      const value = args?.find((each) => each.name.value === 'if')?.value;
      const truth =
        value?.kind === Kind.VARIABLE
          ? this.given[value.name.value] === true
          : value?.kind === Kind.BOOLEAN && value.value;
      if (truth === (name.value === 'skip')) return false;
    }
    return true;
  }

  private writer(type: GraphQLOutputType, nodes: readonly FieldNode[]): Write {
    if (!isNonNullType(type)) {
      const write = this.present(type, nodes);
      return (value) => (value === null || value === undefined ? 'null' : write(value));
    }
    const write = this.present(type.ofType, nodes);
    return (value) => (value === null || value === undefined ? BAD : write(value));
  }

  private present(type: GraphQLOutputType, nodes: readonly FieldNode[]): Write {
    if (isScalarType(type)) return WRITERS.get(type)!;
    if (isEnumType(type)) return enumWriter(type);
    if (isListType(type)) return listWriter(this.writer(type.ofType as GraphQLOutputType, nodes));
    return this.objectWriter(type as GraphQLObjectType, nodes);
  }

  private objectWriter(type: GraphQLObjectType, nodes: readonly FieldNode[]): Write {
    const prefixes: string[] = [];
    const reads: ReadField[] = [];
    const writes: Write[] = [];
    const sets = nodes.flatMap(({ selectionSet }) => (selectionSet === undefined ? [] : [selectionSet]));
    for (const { key, nodes: inner } of this.collect(type, sets)) {
      const name = inner[0]!.name.value;
      prefixes.push(`${prefixes.length === 0 ? '{' : ','}${JSON.stringify(key)}:`);
      if (name === '__typename') {
        const text = JSON.stringify(type.name);
        reads.push(() => null);
        writes.push(() => text);
        continue;
      }
      const field = type.getFields()[name]!;
      reads.push((field.extensions.read as ReadField | undefined) ?? ((source) => source[name]));
      writes.push(this.writer(field.type, inner));
    }
    const count = prefixes.length;
    if (count === 0) return (value) => (typeof value === 'object' ? '{}' : BAD);
    return (value) => {
      if (typeof value !== 'object') return BAD;
      let text = '';
      for (let at = 0; at < count; at++) {
        const one = writes[at]!(reads[at]!(value as Plain));
        if (one === BAD) return BAD;
        text += prefixes[at]! + one;
      }
      return `${text}}`;
    };
  }
}

function listWriter(write: Write): Write {
  return (value) => {
    if (!Array.isArray(value)) return BAD;
    const { length } = value;
    if (length === 0) return '[]';
    let text = '';
    for (let at = 0; at < length; at++) {
      const one = write(value[at]);
      if (one === BAD) return BAD;
      text += at === 0 ? `[${one}` : `,${one}`;
    }
    return `${text}]`;
  };
}

const NO_ARGUMENTS = Object.freeze({});

function argsReader(field: GraphQLField<unknown, unknown>, node: FieldNode): (variables: Variables) => Plain {
  if (field.args.length === 0) return () => NO_ARGUMENTS;
  return (variables) => getArgumentValues(field, node, variables as Record<string, unknown>);
}

/** Names of the variables that directives of an operation ask, in its fragments as well. */
export function conditionsOf(node: OperationDefinitionNode, fragments: Fragments): string[] {
  const found = new Set<string>();
  const visited = new Set<string>();
  const visit = ({ selections }: SelectionSetNode): void => {
    for (const each of selections) {
      for (const { name, arguments: args } of each.directives ?? []) {
        if (name.value !== 'skip' && name.value !== 'include') continue;
        for (const { value } of args ?? []) if (value.kind === Kind.VARIABLE) found.add(value.name.value);
      }
      if (each.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = fragments.get(each.name.value);
        if (fragment === undefined || visited.has(each.name.value)) continue;
        visited.add(each.name.value);
        visit(fragment.selectionSet);
      } else if (each.selectionSet !== undefined) visit(each.selectionSet);
    }
  };
  visit(node.selectionSet);
  return [...found];
}

export function compile(api: Api, node: OperationDefinitionNode, fragments: Fragments, given: Variables): Plan {
  return new Compiler(api, fragments, given).plan(node);
}
