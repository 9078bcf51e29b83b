// The topics as resources of HTTP: which request is which verb. What the verbs do stands beside it.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { isTopicFilter, isTopicName } from '../../resources/topics/names.ts';
import { answerBytes, answerJson, answerNothing } from '../http/answers.ts';
import { Query } from '../http/query.ts';
import { decodePath, splitTarget } from '../http/target.ts';
import { faults } from './faults.ts';
import { refuse } from './refuse.ts';
import { answerHistory, type Polls } from './server-history.ts';
import { answerList, answerValue } from './server-read.ts';
import { type RestHost, Writer } from './server-write.ts';

const READING = 'GET, HEAD, OPTIONS';
const TOPIC = 'GET, HEAD, POST, PUT, DELETE, OPTIONS';

const PREFIX = '/topics/';

/** `/topics/<name>`. */
export function serveTopics(host: RestHost): ExchangeHandler {
  const writer = new Writer(host);
  const polls: Polls = { waiting: 0 };
  return (exchange) => {
    const { path, query: text } = splitTarget(exchange.target);
    const name = decodePath(path.slice(PREFIX.length));
    const query = Query.of(text);
    if (name === null || query === null) refuse(exchange, faults.badEscape);
    else if (name === '') refuse(exchange, faults.noTopic);
    else if (!isTopicFilter(name)) refuse(exchange, faults.badTopic);
    else route(exchange, host, writer, polls, name, query);
  };
}

function route(exchange: Exchange, host: RestHost, writer: Writer, polls: Polls, name: string, query: Query): void {
  const isName = isTopicName(name);
  switch (exchange.method) {
    case 'GET':
    case 'HEAD':
      if (query.get('after') !== null || query.get('wait') !== null) answerHistory(exchange, host, polls, name, query);
      else if (isName) answerValue(exchange, host, name);
      else answerList(exchange, host, name, query);
      break;
    case 'POST':
    case 'PUT':
    case 'DELETE':
      if (isName) writer.take(exchange, name);
      else refuse(exchange, faults.wildcard);
      break;
    default:
      others(exchange, isName ? TOPIC : READING);
  }
}

/** `/topics`: the retained values of `?filter=`. */
export function serveTopicList(host: RestHost): ExchangeHandler {
  return (exchange) => {
    const query = Query.of(splitTarget(exchange.target).query);
    const filter = query?.get('filter') ?? '#';
    if (query === null) refuse(exchange, faults.badEscape);
    else if (exchange.method !== 'GET' && exchange.method !== 'HEAD') others(exchange, READING);
    else if (!isTopicFilter(filter)) refuse(exchange, faults.badTopic);
    else answerList(exchange, host, filter, query);
  };
}

const NOT_KEPT = Fields.of({ 'cache-control': 'no-store' });

/** `/healthz`: whether the server answers at all, and whether new clients are better sent elsewhere. */
export function serveHealth(host: RestHost): ExchangeHandler {
  const version = host.software.slice(host.software.indexOf('/') + 1);
  const body = Buffer.from(`${JSON.stringify({ status: 'ok', version })}\n`);
  const fields = Fields.of({ 'cache-control': 'no-store', 'content-type': 'application/json' }).fix();
  return (exchange) => {
    if (exchange.method !== 'GET' && exchange.method !== 'HEAD') others(exchange, READING);
    else if (host.leaving === true) answerJson(exchange, 503, { status: 'leaving', version }, NOT_KEPT);
    else answerBytes(exchange, 200, fields, body);
  };
}

/** OPTIONS, and methods that are not for a resource. */
function others(exchange: Exchange, allow: string): void {
  const fields = Fields.of({ allow });
  if (exchange.method === 'OPTIONS') answerNothing(exchange, 204, fields);
  else refuse(exchange, faults.methodUnknown, fields);
}
