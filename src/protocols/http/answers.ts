// Whole answers in one call: problems, text, JSON. What is larger or comes in pieces is written to the exchange itself.
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { OUTCOME_NAMES, type Outcome } from '../../core/outcome.ts';
import { PROBLEM_TYPE, type Problem, problemJson } from '../../formats/problem.ts';
import { OUTCOME_STATUS, PHRASES } from './status.ts';

/** Answers with the whole body and ends. For HEAD the fields are the same and the body is left out. */
export function answerBytes(exchange: Exchange, status: number, fields: Fields, body: Uint8Array): void {
  exchange.respond(status, fields, body.length);
  if (exchange.method !== 'HEAD' && body.length > 0) exchange.share(body, 0, body.length);
  exchange.end();
  exchange.flush();
}

/** Answers without a body: 201, 202, 204, 304. */
export function answerNothing(exchange: Exchange, status: number, fields: Fields = new Fields()): void {
  exchange.respond(status, fields, 0);
  exchange.end();
  exchange.flush();
}

export function answerText(exchange: Exchange, status: number, text: string, fields: Fields = new Fields()): void {
  answerBytes(exchange, status, fields.set('content-type', 'text/plain; charset=utf-8'), Buffer.from(text));
}

export function answerJson(exchange: Exchange, status: number, value: unknown, fields: Fields = new Fields()): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  answerBytes(exchange, status, fields.set('content-type', 'application/json'), body);
}

/** Answers with a problem (RFC 9457). */
export function answerProblem(
  exchange: Exchange,
  status: number,
  detail: string,
  fields: Fields = new Fields(),
  extensions: Problem['extensions'] = {},
): void {
  const body = problemJson({ status, title: PHRASES[status] ?? 'Error', detail, extensions });
  answerBytes(exchange, status, fields.set('content-type', PROBLEM_TYPE), Buffer.from(body));
}

/** Answers with what a resource said. */
export function answerOutcome(exchange: Exchange, outcome: Outcome, detail: string): void {
  const status = OUTCOME_STATUS[outcome];
  const fields = new Fields();
  if (status === 401)
    fields.append('www-authenticate', 'Basic realm="Portico", charset="UTF-8", Bearer realm="Portico"');
  if (status === 503) fields.append('retry-after', '1');
  answerProblem(exchange, status, detail, fields, { outcome: OUTCOME_NAMES[outcome] });
}
