// Reading what is retained: one value as it is or as JSON, or the values of a filter, a page at a time.
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import { writeEnvelope } from '../../formats/envelope.ts';
import type { Message } from '../../resources/topics/contract.ts';
import { answerOutcome, answerProblem } from '../http/answers.ts';
import { chooseType } from '../http/negotiate.ts';
import type { Query } from '../http/query.ts';
import { answerRepresentation } from '../http/representation.ts';
import { faults } from './faults.ts';
import { JSON_TYPE, NDJSON, Page } from './pages.ts';
import { refuse } from './refuse.ts';
import { encoded, keptOf, mediaTypeOf, sameFields, tagOf, valueFields } from './representation.ts';
import type { RestHost } from './server-write.ts';

export const NOT_READABLE = 'This may not be read: a rule forbids it.';

/** `limit` of a query within its bounds, or null once the request was refused. */
export function limitOf(exchange: Exchange, query: Query, { limits }: RestHost): number | null {
  const limit = query.number('limit') ?? Math.min(limits.pageMessages, limits.pageMessagesMax);
  if (limit >= 1) return Math.min(limit, limits.pageMessagesMax);
  refuse(exchange, faults.badParameter, new Fields(), 'limit is a number from 1 up.');
  return null;
}

/** The page that fits Accept, or null once the request was refused. */
export function pageFor(exchange: Exchange): Page | null {
  const type = chooseType(exchange.fields, [NDJSON, JSON_TYPE]);
  if (type !== null) return new Page(type);
  const detail = `There are ${NDJSON} and ${JSON_TYPE}.`;
  refuse(exchange, faults.notAcceptable, Fields.of({ vary: 'Accept' }), detail);
  return null;
}

/** Answers with a page, as long as it came to be. */
export function answerPage(exchange: Exchange, host: RestHost, page: Page, fields: Fields): void {
  const { type } = page;
  const content = page.body();
  answerRepresentation(exchange, host, { type, etag: null, lastModified: null, content, whole: true, fields });
}

/** The retained value of a topic. */
export function answerValue(exchange: Exchange, host: RestHost, topic: string): void {
  const found = host.resources.topics.retained(exchange.caller, topic);
  if (typeof found === 'number') answerOutcome(exchange, found, NOT_READABLE);
  else if (found === null)
    answerProblem(exchange, 404, 'Nothing is retained on this topic. Its history is read with ?after=0.');
  else answerMessage(exchange, host, found);
}

function answerMessage(exchange: Exchange, host: RestHost, message: Message): void {
  const type = chooseType(exchange.fields, [mediaTypeOf(message), NDJSON, JSON_TYPE]);
  if (type === null) {
    const detail = `There are ${mediaTypeOf(message)} and, with what is known about it, ${NDJSON} and ${JSON_TYPE}.`;
    refuse(exchange, faults.notAcceptable, Fields.of({ vary: 'Accept' }), detail);
    return;
  }
  // A value that is JSON itself is given as it is to those who want JSON.
  const raw = type === mediaTypeOf(message);
  const etag = `"${tagOf(message)}${raw ? '' : ';json'}"`;
  // What expires is given with the time that is left to it.
  const lasting = raw && !Number.isFinite(message.expiry);
  const fields = lasting ? sameFields(message, () => fieldsOf(message, host, raw)) : fieldsOf(message, host, raw);
  const body = raw ? message.payload : Buffer.from(`${writeEnvelope(message, { retained: true })}\n`);
  answerRepresentation(exchange, host, {
    type: fields.get('content-type') ?? type,
    etag,
    lastModified: message.time,
    content: body,
    fields,
    ...(lasting ? { kept: keptOf(message) } : {}),
  });
}

function fieldsOf(message: Message, host: RestHost, raw: boolean): Fields {
  const fields = raw
    ? valueFields(message, host.limits.propertyBytesMax)
    : Fields.of({ 'x-content-type-options': 'nosniff' });
  fields.append('cache-control', 'no-cache').append('vary', 'Accept');
  if (message.cursor > 0) fields.append('cursor', String(message.cursor));
  if (Number.isFinite(message.expiry))
    fields.append('x-expiry', String(Math.ceil((message.expiry - host.clock.wall) / 1_000)));
  return fields;
}

/** The retained values of a filter in the order of their topics, those behind `after`. */
export function answerList(exchange: Exchange, host: RestHost, filter: string, query: Query): void {
  const page = pageFor(exchange);
  if (page === null) return;
  const limit = limitOf(exchange, query, host);
  if (limit === null) return;
  const nearest = new Nearest(query.get('after') ?? '', limit + 1);
  const outcome: Outcome = host.resources.topics.eachRetained(exchange.caller, filter, (message) =>
    nearest.add(message),
  );
  if (outcome !== OK) {
    answerOutcome(exchange, outcome, NOT_READABLE);
    return;
  }
  const values = nearest.sorted();
  let last: string | null = null;
  for (const value of values) {
    if (page.count === limit || page.bytes >= host.limits.pageBytesMax) break;
    page.add(writeEnvelope(value, { retained: true }));
    last = value.topic;
  }
  const fields = Fields.of({ 'cache-control': 'no-cache', vary: 'Accept' });
  if (last !== null && page.count < values.length) {
    const next = `/topics?filter=${encoded(filter)}&after=${encoded(last)}&limit=${limit}`;
    fields.append('link', `<${next}>; rel="next"`);
  }
  answerPage(exchange, host, page, fields);
}

/** The messages with the lowest topics behind one, of many that come in any order. */
class Nearest {
  private readonly after: string;
  private readonly most: number;
  private messages: Message[] = [];
  /** Once there are enough, what is behind this is of no use. */
  private bound: string | null = null;

  constructor(after: string, most: number) {
    this.after = after;
    this.most = most;
  }

  add(message: Message): void {
    if (message.topic <= this.after || (this.bound !== null && message.topic > this.bound)) return;
    this.messages.push(message);
    // Sorted now and then rather than kept in order: cheaper, and never more than twice what is asked for.
    if (this.messages.length < this.most * 2) return;
    this.messages = this.sorted();
    this.bound = this.messages.at(-1)!.topic;
  }

  sorted(): Message[] {
    return this.messages.sort((a, b) => (a.topic < b.topic ? -1 : 1)).slice(0, this.most);
  }
}
