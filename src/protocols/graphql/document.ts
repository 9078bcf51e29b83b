// Documents: read, measured, checked against the schema and compiled, once; then kept, as many as may be.
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  getVariableValues,
  Kind,
  NoSchemaIntrospectionCustomRule,
  type OperationDefinitionNode,
  parse,
  specifiedRules,
  type ValidationRule,
  validate,
} from 'graphql';
import { BAD_USER_INPUT, faultError } from './codes.ts';
import { faults } from './faults.ts';
import type { GraphqlLimits } from './limits.ts';
import { overLimit } from './measure.ts';
import { compile, conditionsOf, type Plan, type Variables } from './plan.ts';
import type { Api, OperationKind } from './schema.ts';

/** Directives that ask variables make several plans of one operation: of more than so many variables, none is kept. */
const CONDITIONS_KEPT = 4;

const NO_VARIABLES: Variables = Object.freeze({});

/** One operation of a document. */
export class Operation {
  readonly kind: OperationKind;
  readonly name: string;
  readonly document: DocumentNode;
  private readonly api: Api;
  private readonly node: OperationDefinitionNode;
  private readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  private readonly conditions: readonly string[];
  private readonly plans = new Map<number, Plan>();

  constructor(api: Api, document: DocumentNode, node: OperationDefinitionNode, fragments: Operation['fragments']) {
    this.api = api;
    this.document = document;
    this.node = node;
    this.fragments = fragments;
    this.kind = node.operation as OperationKind;
    this.name = node.name?.value ?? '';
    this.conditions = conditionsOf(node, fragments);
  }

  get schema(): Api['schema'] {
    return this.api.schema;
  }

  /** Variables as the schema has them, or what is wrong with them (§6.1.2). */
  variables(given: Variables | null, errorsMax: number): Variables | readonly GraphQLError[] {
    const { variableDefinitions } = this.node;
    if (variableDefinitions === undefined || variableDefinitions.length === 0) return NO_VARIABLES;
    const read = getVariableValues(this.api.schema, variableDefinitions, given ?? NO_VARIABLES, {
      maxErrors: errorsMax,
    });
    return read.errors ?? read.coerced!;
  }

  plan(variables: Variables): Plan {
    const { conditions, plans, api, node, fragments } = this;
    if (conditions.length > CONDITIONS_KEPT) return compile(api, node, fragments, variables);
    let key = 0;
    for (const name of conditions) key = key * 2 + (variables[name] === true ? 1 : 0);
    let plan = plans.get(key);
    if (plan === undefined) {
      plan = compile(api, node, fragments, variables);
      plans.set(key, plan);
    }
    return plan;
  }
}

/** A document that may be asked. */
export class Prepared {
  private readonly operations = new Map<string, Operation>();
  private readonly only: Operation | null;

  constructor(api: Api, document: DocumentNode) {
    const fragments = new Map<string, FragmentDefinitionNode>();
    for (const each of document.definitions)
      if (each.kind === Kind.FRAGMENT_DEFINITION) fragments.set(each.name.value, each);
    for (const each of document.definitions)
      if (each.kind === Kind.OPERATION_DEFINITION) {
        const operation = new Operation(api, document, each, fragments);
        this.operations.set(operation.name, operation);
      }
    const [first] = this.operations.values();
    this.only = this.operations.size === 1 ? first! : null;
  }

  /** GetOperation (§6.1). */
  operation(name: string | null): Operation | GraphQLError {
    const found = name === null || name === '' ? this.only : this.operations.get(name);
    if (found !== null && found !== undefined) return found;
    const text =
      name === null || name === ''
        ? this.operations.size === 0
          ? 'The document has no operation.'
          : 'The document has several operations: say by operationName which.'
        : `The document has no operation ${JSON.stringify(name)}.`;
    return new GraphQLError(text, { extensions: { code: BAD_USER_INPUT } });
  }
}

/** Prepared documents by their text. Those of the younger half outlive those that nobody asked for since. */
export class Documents {
  private readonly limits: GraphqlLimits;
  private readonly introspection: boolean;
  private api: Api;
  private young = new Map<string, Prepared>();
  private old = new Map<string, Prepared>();
  private characters = 0;

  constructor(api: Api, limits: GraphqlLimits, introspection: boolean) {
    this.api = api;
    this.limits = limits;
    this.introspection = introspection;
  }

  /** From now on there is another schema. */
  renew(api: Api): void {
    this.api = api;
    this.young = new Map();
    this.old = new Map();
    this.characters = 0;
  }

  get size(): number {
    return this.young.size + this.old.size;
  }

  prepare(text: string): Prepared | readonly GraphQLError[] {
    const known = this.young.get(text);
    if (known !== undefined) return known;
    const made = this.old.get(text) ?? this.check(text);
    if (made instanceof Prepared) this.keep(text, made);
    return made;
  }

  private keep(text: string, prepared: Prepared): void {
    const { documentsMax, documentsCharactersMax } = this.limits;
    if (this.young.size + 1 > documentsMax / 2 || this.characters + text.length > documentsCharactersMax / 2) {
      this.old = this.young;
      this.young = new Map();
      this.characters = 0;
      if (documentsMax === 1) this.old.clear();
    }
    this.old.delete(text);
    this.young.set(text, prepared);
    this.characters += text.length;
  }

  private check(text: string): Prepared | readonly GraphQLError[] {
    const { api, limits } = this;
    if (text.length > limits.documentCharactersMax)
      return [faultError(faults.tooLong, `The most is ${limits.documentCharactersMax} characters.`)];
    const document = read(text, limits);
    if (document instanceof GraphQLError) return [document];
    const over = overLimit(api.schema, document, limits);
    if (over !== null) return [over];
    const rules: ValidationRule[] = [...specifiedRules];
    if (!this.introspection) rules.push(NoSchemaIntrospectionCustomRule);
    const errors = validate(api.schema, document, rules, { maxErrors: limits.errorsMax });
    if (errors.length === 0) return new Prepared(api, document);
    return this.introspection ? errors : errors.map(withoutSuggestion);
  }
}

/** What is suggested tells of the schema as well. */
function withoutSuggestion({ message, nodes, extensions }: GraphQLError): GraphQLError {
  return new GraphQLError(message.replace(/ Did you mean .*\?$/s, ''), { nodes: nodes ?? null, extensions });
}

function read(text: string, { tokensMax }: GraphqlLimits): DocumentNode | GraphQLError {
  try {
    return parse(text, { maxTokens: tokensMax });
  } catch (error) {
    if (!(error instanceof GraphQLError)) return faultError(faults.tooDeep);
    const { message, source, positions } = error;
    if (message.includes('Document contains more'))
      return faultError(faults.tokensTooMany, `The most is ${tokensMax}.`);
    const extensions = { code: BAD_USER_INPUT, fault: faults.syntax.id };
    return new GraphQLError(message, { source: source ?? null, positions: positions ?? null, extensions });
  }
}
