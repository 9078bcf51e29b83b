// The schema of a server: a field for each method of its services, beside those of the topics. Safe methods are queries, what
// streams its answers is a subscription, all else a mutation.
import {
  type GraphQLFieldConfig,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  specifiedScalarTypes,
  validateSchema,
} from 'graphql';
import type { Method, Service } from '../../resources/services/contract.ts';
import { ContestedNames, distinct, longName, shortName, small, validName } from './names.ts';
import { OWN_SCALARS } from './scalars.ts';
import { TOPIC_MUTATIONS, TOPIC_QUERIES, TOPIC_SUBSCRIPTIONS, TOPIC_TYPES, type TopicVerb } from './topic-fields.ts';
import { type Plain, type ReadInput, TypeMaker } from './types.ts';

export type OperationKind = 'query' | 'mutation' | 'subscription';

/** What a field of a root type does. */
export type Target =
  | { readonly on: 'method'; readonly method: Method; readonly read: ReadInput }
  | { readonly on: 'topics'; readonly verb: TopicVerb };

/** What was made of the services of one epoch. */
export interface Api {
  readonly epoch: number;
  readonly schema: GraphQLSchema;
  readonly targets: Readonly<Record<OperationKind, ReadonlyMap<string, Target>>>;
  /** What could not be put into it, for the log. */
  readonly left: readonly string[];
}

/** Root results by the name that they have in the answer. */
export type RootValue = Readonly<Record<string, () => unknown>>;

type RootFields = Record<string, GraphQLFieldConfig<RootValue, unknown>>;

/** Types that are here whatever the services are. */
const RESERVED = [
  'Query',
  'Mutation',
  'Subscription',
  ...[...specifiedScalarTypes, ...OWN_SCALARS].map(({ name }) => name),
  ...TOPIC_TYPES,
];

export function kindOf({ kind, idempotency }: Method): OperationKind {
  if (kind === 'server' || kind === 'both') return 'subscription';
  return kind === 'unary' && idempotency === 'safe' ? 'query' : 'mutation';
}

/** Whether it takes many inputs, which are given as one list. */
export function takesMany({ kind }: Method): boolean {
  return kind === 'client' || kind === 'both';
}

/** Throws for services that cannot be put into any schema: a bug of what described them. */
export function buildApi(
  services: Iterable<Service>,
  epoch: number,
  /** Of others there is nothing in it; names are as if there were. */
  isShown: (method: Method) => boolean = () => true,
): Api {
  const maker = new TypeMaker(RESERVED);
  const methods: Method[] = [];
  const left: string[] = [];
  for (const { methods: all } of services) methods.push(...all.values());
  for (const { service, input, output, kind } of methods) {
    maker.wantOutput(service.schema, output);
    maker.wantInput(service.schema, input, kind === 'client' || kind === 'both');
  }
  const fields: Record<OperationKind, RootFields> = { query: {}, mutation: {}, subscription: {} };
  const targets: Record<OperationKind, Map<string, Target>> = {
    query: new Map(),
    mutation: new Map(),
    subscription: new Map(),
  };
  addTopics('query', TOPIC_QUERIES);
  addTopics('mutation', TOPIC_MUTATIONS);
  addTopics('subscription', TOPIC_SUBSCRIPTIONS);
  const names = fieldNames(methods);
  for (const [index, method] of methods.entries()) {
    const kind = kindOf(method);
    const name = distinct(names[index]!, targets[kind]);
    if (!isShown(method)) continue;
    fields[kind][name] = rootField(maker, method);
    targets[kind].set(name, { on: 'method', method, read: maker.reader(method.service.schema, method.input) });
  }
  const root = (name: string, of: RootFields) => new GraphQLObjectType<RootValue>({ name, fields: of });
  const schema = new GraphQLSchema({
    query: root('Query', fields.query),
    mutation: root('Mutation', fields.mutation),
    subscription: root('Subscription', fields.subscription),
  });
  for (const { message } of validateSchema(schema)) left.push(message);
  return { epoch, schema, targets, left };

  function addTopics(kind: OperationKind, of: typeof TOPIC_QUERIES): void {
    for (const [name, { verb, ...config }] of Object.entries(of)) {
      fields[kind][name] = { ...config, resolve: rootResult } as RootFields[string];
      targets[kind].set(name, { on: 'topics', verb });
    }
  }
}

/** `shop.v1.Orders` `GetOrder` is `ordersGetOrder`; where two services have that short name, `shop_v1_Orders_getOrder`. */
function fieldNames(methods: readonly Method[]): string[] {
  const names = new ContestedNames([]);
  for (const { service } of methods) names.want(shortName(service.name), longName(service.name));
  return methods.map(({ service, name }) => {
    const [short, long] = [shortName(service.name), longName(service.name)];
    return names.nameOf(short, long) === short
      ? `${small(short)}${validName(name)}`
      : `${long}_${small(validName(name))}`;
  });
}

function rootField(maker: TypeMaker, method: Method): RootFields[string] {
  const { service, input, output, description, deprecated } = method;
  const list = () => new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(maker.input(service.schema, input))));
  return {
    // A call that fails is null, and spoils none of its neighbours.
    type: maker.output(service.schema, output),
    description: description === '' ? null : description,
    args: takesMany(method) ? { inputs: { type: list() } } : maker.inputFields(service.schema, input),
    deprecationReason: deprecated ? 'deprecated' : null,
    resolve: rootResult,
  };
}

/** Calls are made before: here stands what they came to. */
function rootResult(root: RootValue, _args: unknown, _context: unknown, { path }: { path: { key: string | number } }) {
  return root[path.key]?.();
}

/** One input, or all of them, as handlers are given them. */
export function readInputs(target: Target & { on: 'method' }, args: Plain): Plain[] {
  if (!takesMany(target.method)) return [target.read(args)];
  return (args.inputs as Plain[]).map(target.read);
}
