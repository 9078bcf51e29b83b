// What a document would cost, before it is checked: tokens, depth, aliases, fields with each use of a fragment, calls, and a
// cost in which lists count. Each fragment is measured once, so that a small document cannot ask for much counting.
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLError,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import { faultError } from './codes.ts';
import { faults } from './faults.ts';
import type { GraphqlLimits } from './limits.ts';

/** What is within a list counts so often. */
const LIST_FACTOR = 10;
/** A call costs so much more than a field. */
const CALL_COST = 10;

interface Measure {
  depth: number;
  aliases: number;
  fields: number;
  cost: number;
  /** Fields of the uppermost level: calls, where it is an operation's. */
  top: number;
}

const NOTHING: Measure = { depth: 0, aliases: 0, fields: 0, cost: 0, top: 0 };

class Measuring {
  cycle = false;
  directives = 0;
  private readonly schema: GraphQLSchema;
  private readonly fragments = new Map<string, FragmentDefinitionNode>();
  private readonly known = new Map<string, Measure | null>();

  constructor(schema: GraphQLSchema, { definitions }: DocumentNode) {
    this.schema = schema;
    for (const each of definitions)
      if (each.kind === Kind.FRAGMENT_DEFINITION && !this.fragments.has(each.name.value))
        this.fragments.set(each.name.value, each);
  }

  /** Also those that nothing uses: their cycles are refused as well. */
  all(): void {
    for (const name of this.fragments.keys()) this.fragment(name);
  }

  operation({ selectionSet, operation, directives, variableDefinitions }: OperationDefinitionNode): Measure {
    this.directives += directives?.length ?? 0;
    for (const each of variableDefinitions ?? []) this.directives += each.directives?.length ?? 0;
    return this.selections(selectionSet, this.schema.getRootType(operation) ?? null);
  }

  private selections({ selections }: SelectionSetNode, type: GraphQLNamedType | null): Measure {
    const sum = { ...NOTHING };
    for (const each of selections) {
      this.directives += each.directives?.length ?? 0;
      const found = this.selection(each, type);
      if (found.depth > sum.depth) sum.depth = found.depth;
      sum.aliases += found.aliases;
      sum.fields += found.fields;
      sum.cost += found.cost;
      sum.top += found.top;
    }
    return sum;
  }

  private selection(node: SelectionNode, type: GraphQLNamedType | null): Measure {
    if (node.kind === Kind.FRAGMENT_SPREAD) return this.fragment(node.name.value);
    if (node.kind === Kind.INLINE_FRAGMENT) {
      const on = node.typeCondition;
      return this.selections(node.selectionSet, on === undefined ? type : (this.schema.getType(on.name.value) ?? null));
    }
    const name = node.name.value;
    const isMeta = name === '__schema' || name === '__type';
    const field = isObjectType(type) ? type.getFields()[name] : undefined;
    const isRoot = type !== null && this.isRoot(type as GraphQLCompositeType);
    const own = isRoot && field !== undefined ? CALL_COST : 1;
    const alias = node.alias === undefined ? 0 : 1;
    if (node.selectionSet === undefined) return { depth: 1, aliases: alias, fields: 1, cost: own, top: 1 };
    const below = this.selections(node.selectionSet, field === undefined ? null : getNamedType(field.type));
    return {
      // How deep introspection may go is checked by a rule of its own.
      depth: isMeta ? 1 : below.depth + 1,
      aliases: below.aliases + alias,
      fields: below.fields + 1,
      cost: own + below.cost * (field !== undefined && isList(field.type) ? LIST_FACTOR : 1),
      top: 1,
    };
  }

  private fragment(name: string): Measure {
    const known = this.known.get(name);
    if (known === null) this.cycle = true;
    if (known !== undefined) return known ?? NOTHING;
    const node = this.fragments.get(name);
    if (node === undefined) return NOTHING;
    this.known.set(name, null);
    const found = this.selections(node.selectionSet, this.schema.getType(node.typeCondition.name.value) ?? null);
    this.known.set(name, found);
    return found;
  }

  private isRoot(type: GraphQLCompositeType): boolean {
    const { schema } = this;
    return type === schema.getQueryType() || type === schema.getMutationType() || type === schema.getSubscriptionType();
  }
}

function isList(type: unknown): boolean {
  return isListType(isNonNullType(type) ? type.ofType : type);
}

/** Why a document is not looked at any further; null when it may be. */
export function overLimit(schema: GraphQLSchema, document: DocumentNode, limits: GraphqlLimits): GraphQLError | null {
  const measuring = new Measuring(schema, document);
  measuring.all();
  if (measuring.cycle) return faultError(faults.fragmentCycle);
  for (const each of document.definitions) {
    if (each.kind !== Kind.OPERATION_DEFINITION) continue;
    const { depth, aliases, fields, cost, top } = measuring.operation(each);
    if (depth > limits.depthMax) return faultError(faults.tooDeep, `The most is ${limits.depthMax}.`);
    if (aliases > limits.aliasesMax) return faultError(faults.aliasesTooMany, `The most is ${limits.aliasesMax}.`);
    if (fields > limits.fieldsMax) return faultError(faults.fieldsTooMany, `The most is ${limits.fieldsMax}.`);
    if (top > limits.rootsMax) return faultError(faults.rootsTooMany, `The most is ${limits.rootsMax}.`);
    if (cost > limits.costMax) return faultError(faults.tooCostly, `It is ${cost}, and the most ${limits.costMax}.`);
  }
  if (measuring.directives > limits.directivesMax)
    return faultError(faults.directivesTooMany, `The most is ${limits.directivesMax}.`);
  return null;
}
