// One operation under way: its calls are made first, beside each other or, for mutations, one after the other, and then the
// answer is written. What the compiled plan cannot write, errors above all, is completed by graphql-js from the same results.
import { execute, GraphQLError, type GraphQLSchema } from 'graphql';
import type { Caller } from '../../core/caller.ts';
import type { Call, CallReceiver, Metadata, Services } from '../../resources/services/contract.ts';
import type { Status } from '../../resources/services/status.ts';
import { BAD_USER_INPUT, errorJson, type Failure, INTERNAL, statusFailure } from './codes.ts';
import type { Operation } from './document.ts';
import type { Plan, Root, Variables } from './plan.ts';
import { type RootValue, readInputs, type Target } from './schema.ts';
import type { TopicVerb } from './topic-fields.ts';
import type { Plain } from './types.ts';

/** Where answers go. Nothing is called after `cancel`. */
export interface Output {
  /** How much may be given for now; at 0 a stream waits for `more`. */
  readonly room: number;
  /** The JSON of an answer: exactly one, and then `end`, but for subscriptions. */
  next(text: string): void;
  end(): void;
  /** What calls say beside their answers, before the answer; where it can be told. */
  said?(metadata: Metadata): void;
}

/** Who asks, on what. */
export interface Asker {
  readonly caller: Caller;
  readonly connection: number;
  /** What it is called in `why`. */
  readonly name: string;
  /** What goes with each call. */
  readonly metadata: Metadata;
}

/** What ended: a value, or why there is none. */
export interface Outlet {
  value(value: unknown): void;
  /** The last: with null after all went well. */
  end(failure: Failure | null): void;
  said?(metadata: Metadata): void;
  readonly room: number;
}

/** What was begun for a field. */
export interface Doing {
  cancel(): void;
  more(): void;
}

/** The topics' fields. */
export interface TopicDoer {
  begin(verb: TopicVerb, args: Plain, asker: Asker, outlet: Outlet): Doing;
}

/** What operations are carried out with. */
export interface Means {
  readonly services: Services | undefined;
  readonly topics: TopicDoer;
  /** What of the schema is told to a caller. */
  told(caller: Caller): GraphQLSchema;
}

const NOTHING_DOING: Doing = { cancel() {}, more() {} };

/** A call of a service's method for one field. */
class MethodCall implements CallReceiver, Doing {
  private readonly outlet: Outlet;
  private readonly inputs: readonly Plain[];
  private call: Call | null = null;
  private sent = 0;
  private finished = false;
  private over = false;

  constructor(inputs: readonly Plain[], outlet: Outlet) {
    this.inputs = inputs;
    this.outlet = outlet;
  }

  begin(means: Means, target: Target & { on: 'method' }, { caller, connection, metadata }: Asker): this {
    const options = { caller, connection, metadata, timeoutMs: Number.POSITIVE_INFINITY };
    this.call = means.services!.begin(target.method, options, this);
    this.feed();
    return this;
  }

  /** One that takes many inputs is given them as it has room. */
  private feed(): void {
    const { call, inputs } = this;
    if (call === null || this.finished || this.over) return;
    while (this.sent < inputs.length) {
      if (this.sent > 0 && call.room <= 0) return;
      call.send(inputs[this.sent++]);
      if (this.over) return;
    }
    this.finished = true;
    call.finish();
  }

  headers(metadata: Metadata): void {
    if (!this.over) this.outlet.said?.(metadata);
  }

  message(value: unknown): void {
    if (!this.over) this.outlet.value(value);
  }

  end(status: Status, trailers: Metadata): void {
    if (this.over) return;
    this.over = true;
    if (trailers.length > 0) this.outlet.said?.(trailers);
    this.outlet.end(status.code === 'OK' ? null : statusFailure(status));
  }

  get room(): number {
    return this.outlet.room;
  }

  writable(): void {
    this.feed();
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.call?.cancel();
  }

  more(): void {
    if (!this.over) this.call?.more();
  }
}

/** What a root field came to. */
class Result implements Outlet {
  readonly root: Root;
  value_: unknown = null;
  failure: Failure | null = null;
  /** The variables made its arguments wrong: graphql-js finds that again. */
  badArguments: GraphQLError | null = null;
  doing: Doing = NOTHING_DOING;
  readonly room = 1;
  private readonly execution: Once;

  constructor(root: Root, execution: Once) {
    this.root = root;
    this.execution = execution;
  }

  value(value: unknown): void {
    this.value_ = value;
  }

  end(failure: Failure | null): void {
    this.failure = failure;
    this.execution.settled();
  }

  said(metadata: Metadata): void {
    this.execution.said(metadata);
  }
}

function begin(means: Means, target: Target, args: Plain, asker: Asker, outlet: Outlet): Doing {
  if (target.on === 'topics') return means.topics.begin(target.verb, args, asker, outlet);
  return new MethodCall(readInputs(target, args), outlet).begin(means, target, asker);
}

/** An operation as it was asked. */
export interface Asked {
  readonly operation: Operation;
  readonly variables: Variables;
  /** As they were sent. */
  readonly given: Variables | null;
}

/** A query or a mutation. */
class Once implements Doing {
  private readonly asked: Asked;
  private readonly plan: Plan;
  private readonly means: Means;
  private readonly asker: Asker;
  private readonly output: Output;
  private readonly results: Result[] = [];
  private pending = 0;
  private over = false;

  constructor(asked: Asked, means: Means, asker: Asker, output: Output) {
    this.asked = asked;
    this.plan = asked.operation.plan(asked.variables);
    this.means = means;
    this.asker = asker;
    this.output = output;
    for (const root of this.plan.roots) this.results.push(new Result(root, this));
  }

  start(): this {
    if (this.asked.operation.kind === 'mutation') {
      this.goOn();
      return this;
    }
    // One more, so that nothing is complete before all is begun.
    this.pending = this.results.length + 1;
    for (const result of this.results) this.begin(result);
    this.settled();
    return this;
  }

  private begin(result: Result): void {
    const { target, args } = result.root;
    if (target === null) {
      this.settled();
      return;
    }
    let read: Plain;
    try {
      read = args(this.asked.variables);
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error;
      result.badArguments = error;
      this.settled();
      return;
    }
    result.doing = begin(this.means, target, read, this.asker, result);
  }

  private next = 0;
  private going = false;

  /** The next field of a mutation, after the one before has ended (§6.2.2). */
  private goOn(): void {
    if (this.going) return;
    this.going = true;
    while (this.next < this.results.length && this.pending === 0 && !this.over) {
      this.pending = 1;
      this.begin(this.results[this.next++]!);
    }
    this.going = false;
    if (this.pending === 0) this.complete();
  }

  said(metadata: Metadata): void {
    if (!this.over) this.output.said?.(metadata);
  }

  settled(): void {
    if (this.over) return;
    this.pending--;
    if (this.pending > 0) return;
    if (this.asked.operation.kind === 'mutation') this.goOn();
    else this.complete();
  }

  private complete(): void {
    if (this.over) return;
    this.over = true;
    this.output.next(this.text());
    this.output.end();
  }

  private text(): string {
    const { plan, results, asked } = this;
    if (plan.meta.length > 0) return completed(asked, results, this.means.told(this.asker.caller));
    let text = '{"data":{';
    for (const { root, value_, failure, badArguments } of results) {
      if (failure !== null || badArguments !== null) return completed(asked, results);
      const one = root.write(value_);
      if (one === '') return completed(asked, results);
      text += root.prefix + one;
    }
    return `${text}}}`;
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    for (const { doing } of this.results) doing.cancel();
  }

  more(): void {}
}

/** What a root field came to, as the completion needs it. */
type Came = Pick<Result, 'root' | 'value_' | 'failure' | 'badArguments'>;

/** The answer as graphql-js makes it of the results: errors, and what of the data they leave. */
function completed(asked: Asked, results: readonly Came[], told: GraphQLSchema | null = null): string {
  const { operation } = asked;
  const rootValue: Record<string, () => unknown> = Object.create(null) as Record<string, () => unknown>;
  const badArguments = new Set<string>();
  for (const { root, value_, failure, badArguments: bad } of results) {
    if (bad !== null) badArguments.add(root.key);
    rootValue[root.key] = () => {
      if (failure === null) return value_;
      const { message, extensions } = failure;
      throw new GraphQLError(message, { extensions });
    };
  }
  const { data, errors = [] } = made(asked, operation.schema, rootValue);
  if (told !== null && told !== operation.schema && data) {
    const shown = made(asked, told, rootValue).data;
    for (const key of operation.plan(asked.variables).meta) data[key] = shown?.[key] ?? null;
  }
  const said = errors.map((error) => {
    const isArgument = error.path?.length === 1 && badArguments.has(String(error.path[0]));
    return errorJson(error, isArgument ? BAD_USER_INPUT : INTERNAL);
  });
  return JSON.stringify({ ...(said.length > 0 ? { errors: said } : {}), data });
}

interface Made {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly GraphQLError[];
}

function made({ operation, given }: Asked, schema: GraphQLSchema, rootValue: RootValue): Made {
  const result = execute({
    schema,
    document: operation.document,
    operationName: operation.name === '' ? null : operation.name,
    rootValue,
    variableValues: given as Record<string, unknown> | null,
  });
  if (result instanceof Promise) throw new TypeError('an answer that was there already has to be waited for');
  return result as Made;
}

/** A subscription: each value of its source becomes an answer of its own (§6.2.3). */
class Many implements Doing, Outlet {
  private readonly asked: Asked;
  private readonly plan: Plan;
  private readonly output: Output;
  private doing: Doing = NOTHING_DOING;
  private over = false;

  constructor(asked: Asked, output: Output) {
    this.asked = asked;
    this.plan = asked.operation.plan(asked.variables);
    this.output = output;
  }

  start(means: Means, asker: Asker): this {
    const [root] = this.plan.roots;
    if (root === undefined || root.target === null) {
      this.end({ message: 'Nothing is subscribed to.', extensions: { code: BAD_USER_INPUT } });
      return this;
    }
    let args: Plain;
    try {
      args = root.args(this.asked.variables);
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error;
      this.refuse({ ...error.toJSON(), path: [root.key], extensions: { code: BAD_USER_INPUT } });
      return this;
    }
    this.doing = begin(means, root.target, args, asker, this);
    return this;
  }

  get room(): number {
    return this.output.room;
  }

  value(value: unknown): void {
    if (this.over) return;
    const root = this.plan.roots[0]!;
    const { last } = this.plan;
    // Many may ask the same of the same message, which never changes; what a handler gives again may have.
    const isShared = root.target!.on === 'topics';
    if (isShared && last.value === value) {
      this.output.next(last.text);
      return;
    }
    const one = root.write(value);
    const came = { root, value_: value, failure: null, badArguments: null };
    const text = one === '' ? completed(this.asked, [came]) : `{"data":{${root.prefix}${one}}}`;
    if (isShared) {
      last.value = value;
      last.text = text;
    }
    this.output.next(text);
  }

  end(failure: Failure | null): void {
    if (this.over) return;
    if (failure !== null) {
      this.refuse({ ...failure, path: [this.plan.roots[0]!.key] });
      return;
    }
    this.over = true;
    this.output.end();
  }

  private refuse(error: object): void {
    this.over = true;
    this.output.next(JSON.stringify({ errors: [error] }));
    this.output.end();
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.doing.cancel();
  }

  more(): void {
    if (!this.over) this.doing.more();
  }
}

/** Begins an operation. Its answer may come before this returns. */
export function carryOut(asked: Asked, means: Means, asker: Asker, output: Output): Doing {
  if (asked.operation.kind === 'subscription') return new Many(asked, output).start(means, asker);
  return new Once(asked, means, asker, output).start();
}
