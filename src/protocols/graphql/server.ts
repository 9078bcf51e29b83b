// GraphQL over HTTP at one path: which request is what. Queries and mutations are answered here; events, files and the page
// stand beside it.
import { GraphQLError } from 'graphql';
import type { Caller } from '../../core/caller.ts';
import type { Exchange, ExchangeEvents, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { addressText, type Peer } from '../../core/peer.ts';
import { REVOKED, type Why } from '../../core/pipe.ts';
import type { Metadata } from '../../resources/services/contract.ts';
import { answerNothing } from '../http/answers.ts';
import { collectBody } from '../http/collect.ts';
import { metadataOf } from '../http/metadata.ts';
import { parseMediaType, prefers } from '../http/negotiate.ts';
import { splitTarget } from '../http/target.ts';
import {
  answerErrors,
  answerFault,
  answerText,
  EVENTS_TYPE,
  type Form,
  formOf,
  HTML_TYPE,
  JSON_TYPE,
} from './answers.ts';
import { Engine, isRefused } from './engine.ts';
import type { Asker, Doing, Output } from './execution.ts';
import { faults } from './faults.ts';
import { readUpload } from './multipart.ts';
import { answerPage } from './page.ts';
import { type GraphqlRequest, readJson, readParameters, readQuery } from './request.ts';
import { EventStreams } from './server-events.ts';
import { type GraphqlHost, TopicFields } from './server-topics.ts';
import type { GraphqlSettings } from './settings.ts';

/** CANCEL (RFC 9113 §7). */
const CANCEL = 8;

const ALLOW = 'GET, HEAD, POST, PUT, DELETE, OPTIONS';

/** Of GraphQL over SSE: the stream that an operation's answers come in. */
const TOKEN_FIELD = 'x-graphql-event-stream-token';

/** A query or mutation whose answer is the response. */
class PlainAnswer implements Output, ExchangeEvents {
  readonly room = 1;
  private readonly exchange: Exchange;
  private readonly form: Form;
  doing: Doing | null = null;
  private over = false;
  private text = '';
  private metadata: Metadata = [];

  constructor(exchange: Exchange, form: Form) {
    this.exchange = exchange;
    this.form = form;
    exchange.on = this;
  }

  next(text: string): void {
    this.text = text;
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    answerText(this.exchange, this.form, 200, this.text, this.metadata);
  }

  said(metadata: Metadata): void {
    this.metadata = this.metadata.length === 0 ? metadata : [...this.metadata, ...metadata];
  }

  writable(): void {}
  tick(): void {}

  leave(why: Why): void {
    // What is under way may come to its end, but not for those who may no longer see it.
    if (why === REVOKED && !this.over) this.exchange.reset(CANCEL);
  }

  lost(): void {
    if (this.over) return;
    this.over = true;
    this.doing?.cancel();
  }
}

export class GraphqlServer {
  readonly engine: Engine;
  private readonly host: GraphqlHost;
  private readonly settings: GraphqlSettings;
  private readonly streams: EventStreams;

  constructor(host: GraphqlHost, settings: GraphqlSettings) {
    const { resources, limits, log } = host;
    this.host = host;
    this.settings = settings;
    const { services } = resources;
    this.engine = new Engine({ services, topics: new TopicFields(host), limits, log, settings });
    this.streams = new EventStreams(host, this.engine);
  }

  readonly handle: ExchangeHandler = (exchange) => {
    switch (exchange.method) {
      case 'POST':
        this.post(exchange);
        break;
      case 'GET':
      case 'HEAD':
        this.get(exchange);
        break;
      case 'PUT':
        this.streams.reserve(exchange);
        break;
      case 'DELETE': {
        const query = new URLSearchParams(splitTarget(exchange.target).query);
        this.streams.complete(exchange, tokenOf(exchange, query) ?? '', query.get('operationId'));
        break;
      }
      case 'OPTIONS':
        answerNothing(exchange, 204, Fields.of({ allow: ALLOW }));
        break;
      default:
        answerFault(exchange, JSON_TYPE, faults.methodUnknown, '', ALLOW);
    }
  };

  private get(exchange: Exchange): void {
    const { query } = splitTarget(exchange.target);
    if (prefers(exchange.fields, HTML_TYPE) && this.settings.page) {
      answerPage(exchange);
      return;
    }
    const form = formOf(exchange);
    if (form === null) {
      answerFault(exchange, JSON_TYPE, faults.notAcceptable);
      return;
    }
    if (form === EVENTS_TYPE) {
      const token = tokenOf(exchange, new URLSearchParams(query));
      if (token !== null) {
        this.streams.open(exchange, token);
        return;
      }
    }
    const request = readQuery(query);
    if (typeof request === 'string') answerFault(exchange, form, faults.badParameters, request);
    else this.answer(exchange, form, request);
  }

  private post(exchange: Exchange): void {
    const form = formOf(exchange);
    if (form === null) {
      answerFault(exchange, JSON_TYPE, faults.notAcceptable);
      return;
    }
    const given = exchange.fields.get('content-type');
    const type = given === JSON_TYPE ? JSON_ONLY : given === null ? null : parseMediaType(given);
    if (type?.type === JSON_TYPE && isUtf8(type.parameters.get('charset')))
      collectBody(exchange, this.host.limits.requestBytesMax, (body) => this.posted(exchange, form, body));
    else if (type?.type === 'multipart/form-data')
      collectBody(exchange, this.host.limits.uploadBytesMax, (body) => {
        const value = readUpload(body, type.parameters.get('boundary') ?? '', this.host.limits.filesMax);
        if ('fault' in value) answerFault(exchange, form, value.fault, value.detail);
        else this.taken(exchange, form, readParameters(value.operations));
      });
    else answerFault(exchange, form, faults.mediaTypeUnknown);
  }

  private posted(exchange: Exchange, form: Form, body: Uint8Array): void {
    const value = readJson(body);
    if (value === undefined) answerFault(exchange, form, faults.notJson);
    else this.taken(exchange, form, readParameters(value));
  }

  private taken(exchange: Exchange, form: Form, request: GraphqlRequest | string): void {
    if (typeof request === 'string') {
      answerFault(exchange, form, faults.badParameters, request);
      return;
    }
    const token = exchange.fields.get(TOKEN_FIELD);
    if (token === null) this.answer(exchange, form, request);
    else {
      const readied = this.engine.ready(request);
      this.streams.ask(exchange, token, request.extensions?.operationId, readied, new HttpAsker(exchange));
    }
  }

  private answer(exchange: Exchange, form: Form, request: GraphqlRequest): void {
    const readied = this.engine.ready(request);
    const kind = isRefused(readied) ? 'query' : readied.operation.kind;
    if (kind === 'mutation' && exchange.method !== 'POST') {
      answerFault(exchange, form, faults.mutationByGet, '', 'POST');
    } else if (form === EVENTS_TYPE) {
      this.streams.serve(exchange, readied, new HttpAsker(exchange));
    } else if (isRefused(readied)) {
      answerErrors(exchange, form, readied);
    } else if (kind === 'subscription') {
      const { text, id } = faults.subscriptionPlain;
      const error = new GraphQLError(text, { extensions: { code: 'BAD_USER_INPUT', fault: id } });
      answerErrors(exchange, form, [error]);
    } else {
      const answer = new PlainAnswer(exchange, form);
      answer.doing = this.engine.start(readied, new HttpAsker(exchange), answer);
    }
  }
}

const JSON_ONLY = { type: JSON_TYPE, parameters: new Map<string, string>() };

function isUtf8(charset: string | undefined): boolean {
  return charset === undefined || charset.toLowerCase() === 'utf-8' || charset.toLowerCase() === 'utf8';
}

function tokenOf({ fields }: Exchange, query: URLSearchParams): string | null {
  return fields.get(TOKEN_FIELD) ?? query.get('token');
}

/** By which a stream is reached is for nobody else. */
function withoutToken(metadata: Metadata): Metadata {
  return metadata.filter((_text, at) => metadata[at - (at % 2)] !== TOKEN_FIELD);
}

class HttpAsker implements Asker {
  readonly caller: Caller;
  readonly connection: number;
  readonly metadata: Metadata;
  private readonly peer: Peer;

  constructor({ caller, connection, peer, fields }: Exchange) {
    this.caller = caller;
    this.connection = connection;
    this.peer = peer;
    const metadata = metadataOf(fields);
    this.metadata = fields.has(TOKEN_FIELD) ? withoutToken(metadata) : metadata;
  }

  get name(): string {
    const { account } = this.caller;
    const from = `graphql/${addressText(this.peer.remote)}`;
    return account === '' ? from : `${from}/${account}`;
  }
}
