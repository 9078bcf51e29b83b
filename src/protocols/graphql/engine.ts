// What all transports of GraphQL share: the schema of the services there are now, the documents that are kept, those that
// clients left here by their hash, and how an operation is begun.
import { createHash } from 'node:crypto';
import { GraphQLError, type GraphQLSchema } from 'graphql';
import type { Caller } from '../../core/caller.ts';
import type { Bound } from '../../core/limits.ts';
import type { Log } from '../../core/log.ts';
import type { Method, Services } from '../../resources/services/contract.ts';
import { BAD_USER_INPUT } from './codes.ts';
import { Documents, Prepared } from './document.ts';
import { type Asked, type Asker, carryOut, type Doing, type Means, type Output, type TopicDoer } from './execution.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { type GraphqlRequest, isObject } from './request.ts';
import { type Api, buildApi } from './schema.ts';
import type { GraphqlSettings } from './settings.ts';

export interface EngineOptions {
  readonly services: Services | undefined;
  readonly topics: TopicDoer;
  readonly limits: Bound<typeof limits>;
  readonly log: Log;
  readonly settings: GraphqlSettings;
}

/** Views of the schema that are kept. */
const VIEWS_MAX = 32;

/** An operation that may begin, or why it may not. */
export type Readied = Asked | readonly GraphQLError[];

export function isRefused(readied: Readied): readied is readonly GraphQLError[] {
  return Array.isArray(readied);
}

export class Engine {
  private readonly options: EngineOptions;
  private readonly means: Means;
  /** The schema as callers with the same rights see it, by what they may call. */
  private views = new Map<string, GraphQLSchema>();
  private current: Api;
  private readonly documents: Documents;
  /** What clients left here, by the hash of its text; the first is the one that was longest not asked for. */
  private readonly persisted = new Map<string, string>();

  constructor(options: EngineOptions) {
    this.options = options;
    this.means = { services: options.services, topics: options.topics, told: (caller) => this.told(caller) };
    this.current = this.build();
    this.documents = new Documents(this.current, options.limits, options.settings.introspection);
  }

  /** The schema as the services are now. */
  get api(): Api {
    const { services } = this.options;
    if (services !== undefined && services.epoch !== this.current.epoch) {
      this.current = this.build();
      this.documents.renew(this.current);
      this.views = new Map();
    }
    return this.current;
  }

  /** Introspection shows nobody what he may not call. */
  private told(caller: Caller): GraphQLSchema {
    const { api } = this;
    const { services } = this.options;
    if (services === undefined) return api.schema;
    const hidden = new Set<Method>();
    let key = '';
    for (const { methods } of services.all.values())
      for (const method of methods.values()) {
        const may = services.may(caller, method);
        if (!may) hidden.add(method);
        key += may ? '1' : '0';
      }
    if (hidden.size === 0) return api.schema;
    let view = this.views.get(key);
    if (view === undefined) {
      view = this.build((method) => !hidden.has(method)).schema;
      if (this.views.size >= VIEWS_MAX) this.views.delete(this.views.keys().next().value!);
      this.views.set(key, view);
    }
    return view;
  }

  private build(isShown?: (method: Method) => boolean): Api {
    const { services, log } = this.options;
    const all = services === undefined ? [] : [...services.all.values()];
    const epoch = services?.epoch ?? 0;
    const api = buildApi(all, epoch, isShown);
    if (api.left.length === 0) return api;
    // What cannot be a schema must not take the others with it.
    const sound = all.filter((service) => {
      const { left } = buildApi([service], epoch);
      if (left.length > 0) log.error(`GraphQL leaves ${service.name} out`, { why: left.join(' ') });
      return left.length === 0;
    });
    return buildApi(sound, epoch, isShown);
  }

  /** How many documents are kept, and how many by their hash. */
  get kept(): { readonly documents: number; readonly persisted: number } {
    return { documents: this.documents.size, persisted: this.persisted.size };
  }

  ready(request: GraphqlRequest): Readied {
    const { limits } = this.options;
    // The schema first: when it is another, what was kept is gone.
    void this.api;
    const text = request.query === null || this.options.settings.onlyDocuments ? this.textOf(request) : request.query;
    if (typeof text !== 'string') return [text];
    const hash = hashOf(request);
    if (hash !== null && request.query !== null && !isHashOf(hash, text))
      return [refused('The hash of persistedQuery is not that of the document.')];
    const prepared = this.documents.prepare(text);
    if (!(prepared instanceof Prepared)) return prepared;
    if (hash !== null) this.persist(hash, text);
    const operation = prepared.operation(request.operationName);
    if (operation instanceof GraphQLError) return [operation];
    const variables = operation.variables(request.variables, limits.errorsMax);
    if (Array.isArray(variables)) return variables as readonly GraphQLError[];
    return { operation, variables: variables as Readonly<Record<string, unknown>>, given: request.variables };
  }

  /** The document of a request that only names it. */
  private textOf(request: GraphqlRequest): string | GraphQLError {
    const { documents, onlyDocuments: only } = this.options.settings;
    const registered = (name: string) => (Object.hasOwn(documents, name) ? documents[name] : undefined);
    const hash = hashOf(request);
    const id = request.documentId?.replace(/^sha256:/, '') ?? hash;
    if (id === null) return refused('This server answers registered documents only: name one by documentId.');
    const text = registered(request.documentId ?? id) ?? registered(id);
    const found = text ?? (only ? undefined : this.persisted.get(id));
    if (found !== undefined) return found;
    return new GraphQLError(faults.documentUnknown.text, {
      extensions: { code: 'PERSISTED_QUERY_NOT_FOUND', fault: faults.documentUnknown.id },
    });
  }

  private persist(hash: string, text: string): void {
    const { persisted } = this;
    const { persistedMax } = this.options.limits;
    if (persistedMax === 0) return;
    persisted.delete(hash);
    if (persisted.size >= persistedMax) persisted.delete(persisted.keys().next().value!);
    persisted.set(hash, text);
  }

  start(asked: Asked, asker: Asker, output: Output): Doing {
    return carryOut(asked, this.means, asker, output);
  }
}

function hashOf({ extensions }: GraphqlRequest): string | null {
  const persisted = extensions?.persistedQuery;
  if (!isObject(persisted) || persisted.version !== 1) return null;
  const hash = persisted.sha256Hash;
  return typeof hash === 'string' && /^[0-9a-f]{64}$/i.test(hash) ? hash.toLowerCase() : null;
}

function isHashOf(hash: string, text: string): boolean {
  return createHash('sha256').update(text).digest('hex') === hash;
}

function refused(text: string): GraphQLError {
  return new GraphQLError(text, { extensions: { code: BAD_USER_INPUT } });
}
