// How a call that did not end well is told: as a problem (RFC 9457) with the code by its name, and the details that the
// service gave.
import type { Exchange } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import { PROBLEM_TYPE, problemJson } from '../../formats/problem.ts';
import { jsonWrite } from '../../formats/schema/json.ts';
import type { Schema } from '../../formats/schema/types.ts';
import type { Metadata } from '../../resources/services/contract.ts';
import type { Detail, Status } from '../../resources/services/status.ts';
import { answerBytes, answerProblem } from '../http/answers.ts';
import { writeMetadata } from '../http/metadata.ts';
import { PHRASES } from '../http/status.ts';
import { CODE_STATUS } from './codes.ts';

export function refuse(exchange: Exchange, fault: Fault, detail = '', fields = new Fields()): void {
  answerProblem(exchange, fault.wire, detail === '' ? fault.text : `${fault.text} ${detail}`, fields, {
    fault: fault.id,
  });
}

/** `{code, message, violations, details}`: what a problem has beside its status, and what stands at the end of a stream. */
export function statusObject({ code, message, details }: Status, schema: Schema): Record<string, unknown> {
  const violations = details.flatMap(({ type, value }) =>
    type === 'google.rpc.BadRequest' ? ((value as { fieldViolations?: unknown[] }).fieldViolations ?? []) : [],
  );
  const others = details
    .filter(({ type }) => type !== 'google.rpc.BadRequest')
    .map((detail) => detailObject(detail, schema));
  return {
    code,
    message,
    ...(violations.length === 0 ? {} : { violations }),
    ...(others.length === 0 ? {} : { details: others }),
  };
}

function detailObject({ type, value }: Detail, schema: Schema): unknown {
  const known = schema.types.get(type);
  const json = known?.kind === 'message' ? (JSON.parse(jsonWrite(schema, known)(value)) as object) : (value as object);
  return { '@type': `type.googleapis.com/${type}`, ...json };
}

export function answerStatus(
  exchange: Exchange,
  status: Status,
  schema: Schema,
  headers: Metadata,
  trailers: Metadata,
): void {
  const { message, ...extensions } = statusObject(status, schema);
  const wire = CODE_STATUS[status.code];
  const detail = String(message);
  const fields = new Fields();
  if (wire === 401) fields.append('www-authenticate', 'Basic realm="Portico", charset="UTF-8", Bearer realm="Portico"');
  if (wire === 503) fields.append('retry-after', '1');
  const title = PHRASES[wire] ?? 'Cancelled';
  const body = Buffer.from(problemJson({ status: wire, title, detail, extensions }));
  fields.set('content-type', PROBLEM_TYPE);
  answerBytes(exchange, wire, writeMetadata(writeMetadata(fields, headers), trailers), body);
}
