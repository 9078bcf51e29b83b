// Calls over GraphQL (docs/graphql.md): a document made of what the server tells of its schema, which selects all that an output
// has; subscriptions over SSE. Values are ProtoJSON on this side, so that maps are objects here and lists of entries there.
import {
  buildClientSchema,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getIntrospectionQuery,
  getNamedType,
  getNullableType,
  type IntrospectionQuery,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  parse,
} from 'graphql';
import { bindLimits } from '../core/limits.ts';
import { limits } from '../protocols/graphql/limits.ts';
import { overLimit } from '../protocols/graphql/measure.ts';
import { longName, shortName, small, validName } from '../protocols/graphql/names.ts';
import { EventReader } from '../protocols/sse/codec.ts';
import type { Call, CallReceiver, Metadata } from '../resources/services/contract.ts';
import type { Detail, Status } from '../resources/services/status.ts';
import { type CarrierOptions, codeNamed, failure, type JsonCarrier, Outputs, type Terms } from './call-carrier.ts';
import { metadataFrom } from './call-http.ts';
import { HttpClient } from './http.ts';

type Json = Record<string, unknown>;
type Kind = 'query' | 'mutation' | 'subscription';

/** Inputs of one call: they are sent as one list. */
const INPUTS_MAX = 10_000;
/** Outputs that wait to be taken. */
const OUTPUTS_MAX = 64;
const EVENT_BYTES_MAX = 16_777_216;
/** How many objects below each other are asked for at most; fewer where the server would refuse that by default. */
const DEPTH_MAX = 8;

const OK: Status = { code: 'OK', message: '', details: [] };

/** @param url `graphql://host[:port]`, or `graphqls:` for TLS; the path is `/graphql` unless it says another */
export function graphqlCarrier(url: string, options: CarrierOptions = {}): JsonCarrier {
  const at = new URL(url.replace(/^graphql/, 'http'));
  const { user = decodeURIComponent(at.username), password = decodeURIComponent(at.password), token } = options;
  at.username = '';
  at.password = '';
  if (at.pathname === '/') at.pathname = '/graphql';
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  else if (user !== '' || password !== '')
    headers.authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const client = new HttpClient(options.tls === undefined ? {} : { tls: options.tls });
  const server = new Server(client, at, headers);
  return {
    begin: (service, method, terms, receiver) => new GraphqlCall(server, service, method, terms, receiver),
    close: async () => client.close(),
  };
}

/** A method as the server has it. */
interface Place {
  readonly kind: Kind;
  readonly field: GraphQLField<unknown, unknown>;
  readonly document: string;
}

class Server {
  private readonly client: HttpClient;
  private readonly url: URL;
  private readonly headers: Readonly<Record<string, string>>;
  private asked: Promise<GraphQLSchema> | null = null;
  private readonly places = new Map<string, Place>();

  constructor(client: HttpClient, url: URL, headers: Readonly<Record<string, string>>) {
    this.client = client;
    this.url = url;
    this.headers = headers;
  }

  post(body: object, accept: string, signal: AbortSignal, metadata: Metadata = []): Promise<Response> {
    const headers = new Headers({ ...this.headers, accept });
    for (let at = 0; at + 1 < metadata.length; at += 2) headers.append(metadata[at]!, metadata[at + 1]!);
    return this.client.fetch(this.url, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      signal,
      silenceMs: Number.POSITIVE_INFINITY,
    });
  }

  /** Null when there is no such method. */
  async find(service: string, method: string, signal: AbortSignal): Promise<Place | null> {
    this.asked ??= this.ask(signal).catch((error: unknown) => {
      this.asked = null;
      throw error;
    });
    const schema = await this.asked;
    const name = `${service}/${method}`;
    const known = this.places.get(name);
    if (known !== undefined) return known;
    const names = [
      `${longName(service)}_${small(validName(method))}`,
      `${small(shortName(service))}${validName(method)}`,
    ];
    for (const kind of ['query', 'mutation', 'subscription'] as const)
      for (const each of names) {
        const field = schema.getRootType(kind as never)?.getFields()[each];
        if (field === undefined) continue;
        const place = { kind, field, document: documentOf(schema, kind, field) };
        this.places.set(name, place);
        return place;
      }
    return null;
  }

  private async ask(signal: AbortSignal): Promise<GraphQLSchema> {
    const response = await this.post({ query: getIntrospectionQuery() }, 'application/json', signal);
    const answer = parsed(await response.text()) as { data?: IntrospectionQuery } | null;
    if (!answer?.data) throw new Error(`${this.url.host} answered ${response.status} when it was asked for its schema`);
    return buildClientSchema(answer.data);
  }
}

/** All of an output, as deep as the server would allow by its defaults. */
function documentOf(schema: GraphQLSchema, kind: Kind, field: GraphQLField<unknown, unknown>): string {
  const variables = field.args.map(({ name, type }) => `$${name}: ${String(type)}`).join(', ');
  const given = field.args.map(({ name }) => `${name}: $${name}`).join(', ');
  const open = (text: string) => (text === '' ? '' : `(${text})`);
  const bounds = bindLimits(limits);
  for (let depth = DEPTH_MAX; ; depth--) {
    const selection = selectionOf(getNamedType(field.type), depth);
    const text = `${kind}${open(variables)} { it: ${field.name}${open(given)}${selection} }`;
    if (depth === 1 || overLimit(schema, parse(text), bounds) === null) return text;
  }
}

function selectionOf(type: GraphQLNamedType, depth: number): string {
  if (!isObjectType(type)) return '';
  const names: string[] = [];
  for (const { name, type: of } of Object.values(type.getFields())) {
    const inner = getNamedType(of);
    if (isLeafType(inner) || depth > 1) names.push(`${name}${selectionOf(inner, depth - 1)}`);
  }
  return ` { ${names.length === 0 ? '__typename' : names.join(' ')} }`;
}

// ---- values --------------------------------------------------------------------------------------------------------

/** Entries of a map: a list of objects of a key and a value, whose type is named for that. */
function isEntries(type: GraphQLNamedType): boolean {
  if (!isObjectType(type) && !isInputObjectType(type)) return false;
  return /Entry(?:Input)?(?:_\d+)?$/.test(type.name) && Object.keys(type.getFields()).join() === 'key,value';
}

function given(type: GraphQLInputType, value: unknown): unknown {
  const of = getNullableType(type);
  if (value === undefined || value === null) return isNonNullType(type) && isListType(of) ? [] : value;
  if (isListType(of)) {
    const item = getNullableType(of.ofType) as GraphQLInputType;
    if (Array.isArray(value)) return value.map((each) => given(item, each));
    if (!isInputObjectType(item) || !isEntries(item) || typeof value !== 'object') return value;
    const inner = item.getFields().value!.type;
    return Object.entries(value).map(([key, each]) => ({ key, value: given(inner, each) }));
  }
  if (!isInputObjectType(of) || typeof value !== 'object') return value;
  const made: Json = { ...(value as Json) };
  for (const field of Object.values(of.getFields())) {
    const each = given(field.type, (value as Json)[field.name]);
    if (each !== undefined) made[field.name] = each;
  }
  return made;
}

/** What is null is absent. */
function answered(type: GraphQLOutputType, value: unknown): unknown {
  if (value === null || value === undefined) return undefined;
  const of = getNullableType(type);
  if (isListType(of)) {
    const item = getNullableType(of.ofType) as GraphQLOutputType;
    const list = value as unknown[];
    if (!isObjectType(item)) return list;
    if (!isEntries(item)) return list.map((each) => answered(item, each));
    const inner = item.getFields().value!.type;
    return Object.fromEntries((list as Json[]).map(({ key, value: each }) => [String(key), answered(inner, each)]));
  }
  if (!isObjectType(of)) return value;
  const made: Json = {};
  for (const [name, { type: inner }] of Object.entries(of.getFields())) {
    const each = answered(inner, (value as Json)[name]);
    if (each !== undefined) made[name] = each;
  }
  return made;
}

interface GraphqlError {
  readonly message?: string;
  readonly extensions?: {
    readonly code?: string;
    readonly status?: string;
    readonly details?: readonly Detail[];
    readonly violations?: readonly { readonly path: string; readonly text: string }[];
  };
}

function statusOf({ message = '', extensions = {} }: GraphqlError): Status {
  const { code, status, details = [], violations = [] } = extensions;
  const otherwise = code === 'BAD_USER_INPUT' ? 'INVALID_ARGUMENT' : 'UNKNOWN';
  const fieldViolations = violations.map(({ path, text }) => ({ field: path, description: text }));
  const bad = { type: 'google.rpc.BadRequest', value: { fieldViolations } };
  return {
    code: codeNamed(status, otherwise),
    message,
    details: violations.length === 0 ? details : [bad, ...details],
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// ---- calls ---------------------------------------------------------------------------------------------------------

class GraphqlCall implements Call {
  private readonly server: Server;
  private readonly service: string;
  private readonly method: string;
  private readonly metadata: Metadata;
  private readonly receiver: CallReceiver;
  private readonly outputs: Outputs;
  private readonly inputs: unknown[] = [];
  private readonly abort = new AbortController();
  private timer: NodeJS.Timeout | null = null;
  private onRoom: (() => void) | null = null;

  constructor(server: Server, service: string, method: string, { timeoutMs, metadata }: Terms, receiver: CallReceiver) {
    this.server = server;
    this.service = service;
    this.method = method;
    this.metadata = metadata;
    this.receiver = receiver;
    this.outputs = new Outputs(receiver);
    // GraphQL has no deadlines: this side keeps them.
    if (Number.isFinite(timeoutMs))
      this.timer = setTimeout(() => this.end(failure('DEADLINE_EXCEEDED', 'it took too long')), timeoutMs);
  }

  readonly room = Number.POSITIVE_INFINITY;

  send(value: unknown): void {
    if (this.outputs.isOver) return;
    if (this.inputs.length < INPUTS_MAX) this.inputs.push(value);
    else this.end(failure('RESOURCE_EXHAUSTED', `over GraphQL a call has at most ${INPUTS_MAX} inputs`));
  }

  finish(): void {
    if (this.outputs.isOver) return;
    this.run().catch((error: unknown) => this.end(failure('UNAVAILABLE', (error as Error).message)));
  }

  more(): void {
    this.outputs.give();
    if (this.outputs.length <= OUTPUTS_MAX >> 1) this.goOn();
  }

  cancel(): void {
    this.outputs.drop();
    this.over();
  }

  private async run(): Promise<void> {
    const { server, service, method, abort } = this;
    const place = await server.find(service, method, abort.signal);
    if (place === null) {
      this.end(failure('UNIMPLEMENTED', `there is no ${service}.${method}`));
      return;
    }
    const body = { query: place.document, variables: this.variables(place) };
    const isStream = place.kind === 'subscription';
    const accept = isStream ? 'text/event-stream' : 'application/json';
    const response = await server.post(body, accept, abort.signal, this.metadata);
    const said = metadataFrom(response.headers);
    if (said.length > 0 && !this.outputs.isOver) this.receiver.headers(said);
    if (isStream && response.ok) await this.readEvents(place, response);
    else if (this.answer(place, parsed(await response.text()), response.status)) this.end(OK);
  }

  private variables({ field }: Place): Json {
    const [many] = field.args;
    const isMany = field.args.length === 1 && many!.name === 'inputs';
    const input = (isMany ? { inputs: this.inputs } : (this.inputs[0] ?? {})) as Json;
    const made: Json = { ...input };
    for (const { name, type } of field.args) {
      const value = given(type, input[name]);
      if (value !== undefined) made[name] = value;
    }
    return made;
  }

  /** Passes an answer on; false when it was the call's end. */
  private answer({ field }: Place, json: unknown, status: number): boolean {
    const { data, errors } = (json ?? {}) as { data?: { it?: unknown }; errors?: readonly GraphqlError[] };
    const [error] = errors ?? [];
    if (error !== undefined) this.end(statusOf(error));
    else if (data === undefined || data.it === null || data.it === undefined)
      this.end(failure(status === 401 ? 'UNAUTHENTICATED' : 'UNKNOWN', `the server answered ${status}, and no data`));
    else {
      this.outputs.put(answered(field.type, data.it));
      return true;
    }
    return false;
  }

  private async readEvents(place: Place, response: Response): Promise<void> {
    const reader = new EventReader(EVENT_BYTES_MAX);
    let kept = Buffer.alloc(0);
    for await (const piece of response.body ?? []) {
      kept = Buffer.concat([kept, piece as Uint8Array]);
      let at = 0;
      for (let next = 0; (next = reader.read(kept, at, kept.length)) >= 0; at = next) {
        if (!reader.isEvent) continue;
        if (reader.type === 'complete') this.end(OK);
        else if (reader.type === 'next') this.answer(place, parsed(reader.data), 200);
        if (this.outputs.isOver) return;
      }
      if (reader.fault !== null) throw new Error(reader.fault.text);
      kept = kept.subarray(at);
      if (this.outputs.length > OUTPUTS_MAX)
        await new Promise<void>((resolve) => {
          this.onRoom = resolve;
        });
    }
    this.end(failure('UNAVAILABLE', 'the stream ended without a word'));
  }

  private end(status: Status): void {
    this.outputs.end(status);
    this.over();
  }

  private over(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.goOn();
    this.abort.abort();
  }

  private goOn(): void {
    this.onRoom?.();
    this.onRoom = null;
  }
}
