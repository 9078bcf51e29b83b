// Answers of GraphQL over HTTP: in which media type, with which status (GraphQL over HTTP §6).
import type { GraphQLError } from 'graphql';
import type { Exchange } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import { writeMetadata } from '../http/metadata.ts';
import { chooseType } from '../http/negotiate.ts';
import { BAD_USER_INPUT, refusalText } from './codes.ts';

export const JSON_TYPE = 'application/json';
export const RESPONSE_TYPE = 'application/graphql-response+json';
export const EVENTS_TYPE = 'text/event-stream';
export const HTML_TYPE = 'text/html';

/** What a client takes: one of both types of JSON, or events. */
export type Form = typeof JSON_TYPE | typeof RESPONSE_TYPE | typeof EVENTS_TYPE;

const FORMS: readonly string[] = [JSON_TYPE, RESPONSE_TYPE, EVENTS_TYPE];

/** Null when it takes none of them. */
export function formOf(exchange: Exchange): Form | null {
  const accept = exchange.fields.get('accept');
  // Nearly all say one of these.
  if (accept === null || accept === '*/*' || accept === JSON_TYPE) return JSON_TYPE;
  if (accept === RESPONSE_TYPE) return RESPONSE_TYPE;
  return chooseType(exchange.fields, FORMS) as Form | null;
}

const fieldsOf = (type: string) =>
  Fields.of({ 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store', vary: 'Accept' }).fix();

const FIELDS = { [JSON_TYPE]: fieldsOf(JSON_TYPE), [RESPONSE_TYPE]: fieldsOf(RESPONSE_TYPE) } as const;

/** Answers with a text of JSON. */
export function answerText(
  exchange: Exchange,
  form: Form,
  status: number,
  text: string,
  metadata: readonly string[] = [],
): void {
  const body = Buffer.from(text);
  const fields = FIELDS[form === EVENTS_TYPE ? JSON_TYPE : form];
  exchange.respond(status, writeMetadata(fields, metadata), body.length);
  if (exchange.method !== 'HEAD') exchange.share(body, 0, body.length);
  exchange.end();
  exchange.flush();
}

/** What was asked well, but cannot be carried out: of the older type the status says nothing (§6.4.1, §6.4.2). */
export function answerErrors(
  exchange: Exchange,
  form: Form,
  errors: readonly GraphQLError[],
  status = form === JSON_TYPE ? 200 : 400,
): void {
  answerText(exchange, form, status, refusalText(errors));
}

/** A request that is none. */
export function answerFault(exchange: Exchange, form: Form, fault: Fault, detail = '', allow = ''): void {
  const message = detail === '' ? fault.text : detail;
  const code = fault.wire === 503 || fault.wire === 429 ? 'BUSY' : BAD_USER_INPUT;
  const body = Buffer.from(JSON.stringify({ errors: [{ message, extensions: { code, fault: fault.id } }] }));
  const fields = new Fields();
  fields.list.push(...FIELDS[form === EVENTS_TYPE ? JSON_TYPE : form].list);
  if (allow !== '') fields.append('allow', allow);
  if (fault.wire === 503) fields.append('retry-after', '1');
  exchange.respond(fault.wire, fields, body.length);
  if (exchange.method !== 'HEAD') exchange.share(body, 0, body.length);
  exchange.end();
  exchange.flush();
}
