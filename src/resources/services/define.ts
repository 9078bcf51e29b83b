// `defineService`: a service written in TypeScript with zod, from which the types of its handlers and clients follow.
// A definition is plain data; `describe` makes the neutral description of it, with the field numbers that it is given.
import type { z } from 'zod';
import type { Schema } from '../../formats/schema/types.ts';
import type { CallKind, HttpBinding, Idempotency, Method, Service } from './contract.ts';
import { DefinitionError, type Numbers, ZodReader } from './from-zod.ts';
import type { AnyHandler, BothHandler, ClientHandler, ServerHandler, UnaryHandler } from './handler.ts';
import { type LockedService, numbersOf } from './lock.ts';

/** `GET /v1/orders/{id}`; with a body where the verb has one: all that the path does not name, unless `body` says otherwise. */
export type HttpRule = string | { readonly route: string; readonly body?: string; readonly responseBody?: string };

interface MethodFacts {
  readonly description?: string;
  readonly deprecated?: boolean;
  /** `safe`: it changes nothing; `idempotent`: it may be made again. */
  readonly idempotency?: Idempotency;
  readonly http?: HttpRule | readonly HttpRule[];
  /** The most that it may take, in ms: a minute for one answer, and no end for streams, unless said. */
  readonly deadlineMs?: number;
}

type In<Schema> = Schema extends z.core.$ZodType ? z.output<Schema> : never;
type Out<Schema> = Schema extends z.core.$ZodType ? z.input<Schema> : never;

/** What answers a method of that kind; a kind that there is not has no handler. */
export type HandlerOf<Kind, Input, Output> = Kind extends 'server'
  ? ServerHandler<In<Input>, Out<Output>>
  : Kind extends 'client'
    ? ClientHandler<In<Input>, Out<Output>>
    : Kind extends 'both'
      ? BothHandler<In<Input>, Out<Output>>
      : Filled<Kind> extends 'unary'
        ? UnaryHandler<In<Input>, Out<Output>>
        : never;

/** What a definition says of a method to the compiler: what a caller gives, and what he is given. */
export interface MethodTypes {
  readonly kind: CallKind;
  readonly input: unknown;
  readonly output: unknown;
}

export interface MethodDefinition {
  readonly facts: MethodFacts;
  readonly kind: CallKind;
  readonly input: z.core.$ZodType;
  readonly output: z.core.$ZodType;
  readonly handler: AnyHandler;
}

export interface ServiceDefinition<
  Name extends string = string,
  Methods extends Record<string, MethodTypes> = Record<string, MethodTypes>,
> {
  readonly portico: 'service';
  readonly name: Name;
  readonly description: string;
  readonly types: Readonly<Record<string, z.core.$ZodType>>;
  readonly methods: ReadonlyMap<string, MethodDefinition>;
  /** Its field numbers, where no lock file lies beside it: clients that speak protobuf need them. */
  readonly lock?: GivenLock;
  /** There for the compiler alone. */
  readonly typed?: Methods;
}

/** The lock file as `import lock from './portico.services.lock.json' with { type: 'json' }` has it. */
export interface GivenLock {
  readonly version: number;
  readonly services: object;
}

/** What a definition's own lock says of it. */
export function ownLock({ lock, name }: ServiceDefinition): LockedService | undefined {
  return (lock?.services as Readonly<Record<string, LockedService>> | undefined)?.[name];
}

/** A description, with what runs it. */
export interface Described {
  readonly service: Service;
  /** By the method's name. */
  readonly handlers: ReadonlyMap<string, Handled>;
}

/** What runs a method beside its description. */
export interface Handled {
  readonly handler: AnyHandler;
  /** Where zod has more to say than the description: the parsed value, or what is wrong with it. */
  readonly refineInput: Refine | null;
  readonly refineOutput: Refine | null;
}

export interface Refined {
  readonly value: unknown;
  readonly violations: readonly { readonly path: string; readonly text: string }[];
}
export type Refine = (value: unknown) => Refined | Promise<Refined>;

/** Methods that do not name their kind are `unary`. */
type Filled<Kind> = unknown extends Kind ? 'unary' : Kind extends CallKind ? Kind : never;

/** Defines a service. What it cannot be is told when it is taken into a server, or by `portico services check`. */
export function defineService<
  const Name extends string,
  Inputs extends Record<string, z.core.$ZodType>,
  Outputs extends Record<string, z.core.$ZodType>,
  const Kinds extends Record<string, unknown>,
>(given: {
  /** With its package: `shop.v1.Orders`. */
  readonly name: Name;
  readonly description?: string;
  /** Names for its schemas: `{ Order, LineItem }`. Those without are named after the method or field where they stand. */
  readonly types?: Readonly<Record<string, z.core.$ZodType>>;
  /** The lock file, for programs that call it by protobuf from the definition: the server finds it beside the module. */
  readonly lock?: GivenLock;
  readonly methods: {
    readonly [Method in keyof Inputs]: MethodFacts & {
      readonly input: Inputs[Method];
      readonly handler: HandlerOf<
        Method extends keyof Kinds ? Kinds[Method] : 'unary',
        Inputs[Method],
        Method extends keyof Outputs ? Outputs[Method] : never
      >;
    };
  } & { readonly [Method in keyof Outputs]: { readonly output: Outputs[Method] } } & {
    readonly [Method in keyof Kinds]: { readonly kind?: Kinds[Method] };
  };
}): ServiceDefinition<
  Name,
  {
    [Method in keyof Inputs & string]: {
      readonly kind: Method extends keyof Kinds ? Filled<Kinds[Method]> : 'unary';
      readonly input: z.input<Inputs[Method]>;
      readonly output: Method extends keyof Outputs ? z.output<Outputs[Method]> : never;
    };
  }
> {
  const methods = new Map<string, MethodDefinition>();
  for (const [name, method] of Object.entries(given.methods)) {
    const { kind, input, output, handler, ...facts } = method as unknown as MethodDefinition & MethodFacts;
    methods.set(name, { facts, kind: kind ?? 'unary', input, output, handler });
  }
  return {
    portico: 'service',
    name: given.name,
    description: given.description ?? '',
    types: given.types ?? {},
    methods,
    ...(given.lock === undefined ? {} : { lock: given.lock }),
  };
}

/** Whether a module's value is a definition, by whichever copy of Portico it was made. */
export function isDefinition(value: unknown): value is ServiceDefinition {
  return typeof value === 'object' && value !== null && (value as { portico?: unknown }).portico === 'service';
}

const ONE_ANSWER_MS = 60_000;

/** Makes the neutral description. Throws `DefinitionError`, which names the place and the mend. */
export function describe(
  definition: ServiceDefinition,
  numbers: Numbers = numbersOf(ownLock(definition)),
  origin: Service['origin'] = 'program',
): Described {
  const { name } = definition;
  if (!/^[a-z_]\w*(?:\.[a-z_]\w*)*\.[A-Z]\w*$/.test(name))
    throw new DefinitionError(name, 'a service has a name with its package, like shop.v1.Orders');
  const reader = new ZodReader(name.slice(0, name.lastIndexOf('.')), definition.types, numbers);
  const schema: Schema = { types: reader.types };
  const methods = new Map<string, Method>();
  const handlers = new Map<string, Handled>();
  const service: Service = { name, methods, schema, description: definition.description, origin };
  const messages = new Map<string, readonly [input: string, output: string]>();
  for (const [method, { input, output, kind, handler }] of definition.methods) {
    const place = `${name}.${method}`;
    if (!/^[A-Z]\w*$/.test(method)) throw new DefinitionError(place, 'a method has a name like GetOrder');
    if (!KINDS.includes(kind)) throw new DefinitionError(place, `its kind is ${KINDS.join(', ')}`);
    if (typeof handler !== 'function') throw new DefinitionError(place, 'it has no handler');
    messages.set(method, [
      reader.message(input, `${method}Request`).name,
      reader.message(output, `${method}Response`).name,
    ]);
  }
  for (const [type, given] of Object.entries(definition.types)) reader.named(given, type);
  reader.settle();
  for (const [method, given] of definition.methods) {
    const [inputName, outputName] = messages.get(method)!;
    const message = (type: string) => {
      const found = reader.types.get(type);
      if (found?.kind !== 'message') throw new DefinitionError(type, 'is not a message');
      return found;
    };
    const { facts, kind } = given;
    const input = message(inputName);
    const output = message(outputName);
    if (reader.isTurned(output))
      throw new DefinitionError(
        `${name}.${method}`,
        'an output cannot be transformed: let the handler answer what is sent',
      );
    methods.set(method, {
      name: method,
      service,
      kind,
      input,
      output,
      idempotency: facts.idempotency ?? 'none',
      http: bindingsOf(facts.http, `${name}.${method}`),
      description: facts.description ?? '',
      deprecated: facts.deprecated ?? false,
      deadlineMs: facts.deadlineMs ?? (kind === 'unary' ? ONE_ANSWER_MS : Number.POSITIVE_INFINITY),
    });
    handlers.set(method, {
      handler: given.handler,
      refineInput: reader.isExact(input) ? refineBy(given.input) : null,
      refineOutput: reader.isExact(output) ? refineBy(given.output) : null,
    });
  }
  return { service, handlers };
}

const KINDS: readonly CallKind[] = ['unary', 'server', 'client', 'both'];
const VERBS = ['GET', 'PUT', 'POST', 'DELETE', 'PATCH'] as const;

function bindingsOf(rules: MethodFacts['http'], place: string): HttpBinding[] {
  if (rules === undefined) return [];
  const all = (Array.isArray(rules) ? rules : [rules]) as readonly HttpRule[];
  return all.map((rule) => {
    const { route, body, responseBody = '' } = typeof rule === 'string' ? { route: rule } : { ...rule };
    const [verb = '', path = ''] = route.split(' ');
    const method = VERBS.find((each) => each === verb);
    if (method === undefined || !path.startsWith('/'))
      throw new DefinitionError(place, `${route} is not a verb and a path, like GET /v1/orders/{id}`);
    return { method, path, body: body ?? (method === 'GET' || method === 'DELETE' ? '' : '*'), responseBody };
  });
}

interface Parsed {
  readonly success: boolean;
  readonly data?: unknown;
  readonly error?: { readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[] };
}

/** zod's own look at a value that the check has passed. */
function refineBy(schema: z.core.$ZodType): Refine {
  const { safeParse, safeParseAsync } = schema as unknown as {
    safeParse(value: unknown): Parsed;
    safeParseAsync(value: unknown): Promise<Parsed>;
  };
  const refinedOf = ({ data, error }: Parsed): Refined => ({
    value: data,
    violations: (error?.issues ?? []).map(({ path, message }) => ({ path: pathOf(path), text: message })),
  });
  let waits = false;
  return (value) => {
    if (!waits) {
      try {
        return refinedOf(safeParse(value));
      } catch (error) {
        // A refinement that answers a promise: zod says so by throwing.
        if ((error as Error).constructor.name !== '$ZodAsyncError') throw error;
        waits = true;
      }
    }
    return safeParseAsync(value).then(refinedOf);
  };
}

function pathOf(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : `${text === '' ? '' : '.'}${String(step)}`;
  return text;
}
