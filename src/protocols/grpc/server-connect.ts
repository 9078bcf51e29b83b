// Connect's streams: messages as in gRPC, and at the end one of JSON that tells how it ended (Connect Protocol §Streaming RPCs).
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Metadata } from '../../resources/services/contract.ts';
import type { Status } from '../../resources/services/status.ts';
import { addMetadata, CONNECT_END, connectTimeoutMs, PREFIX, writePrefix } from './codec.ts';
import { accepted, CODINGS, codingOf } from './coding.ts';
import { faults } from './faults.ts';
import { type CallTerms, NONE, ServerCall } from './server-call.ts';
import type { Form } from './server-codecs.ts';
import { codecsOf, type Directory, type Entry, type GrpcHost } from './server-directory.ts';
import { connectError, statusOf } from './server-ending.ts';

const FORMS: Readonly<Record<string, Form>> = {
  'application/connect+proto': 'proto',
  'application/connect+json': 'json',
};

export function isConnectStream(type: string): boolean {
  return type.startsWith('application/connect+');
}

function headFields(form: Form): Fields {
  return Fields.of({ 'content-type': `application/connect+${form}`, 'connect-accept-encoding': CODINGS });
}

/** `{"error","metadata"}` (Connect Protocol §Streaming Response: EndStreamResponse). */
function endBytes(status: Status, trailers: Metadata, entry: Entry | null): { bytes: Buffer; left: string[] } {
  const all = new Fields();
  const left = addMetadata(all, trailers);
  const metadata: Record<string, string[]> = {};
  for (const [name, value] of all) (metadata[name] ??= []).push(value);
  const text = JSON.stringify({
    ...(status.code === 'OK' ? {} : { error: connectError(status, entry?.method.service.schema ?? null) }),
    ...(all.list.length === 0 ? {} : { metadata }),
  });
  const bytes = Buffer.alloc(PREFIX + Buffer.byteLength(text));
  writePrefix(bytes, 0, CONNECT_END, bytes.length - PREFIX);
  bytes.write(text, PREFIX);
  return { bytes, left };
}

class ConnectStreamCall extends ServerCall {
  private readonly form: Form;

  constructor(exchange: Exchange, host: GrpcHost, entry: Entry, terms: CallTerms, form: Form) {
    super(exchange, host, entry, terms);
    this.form = form;
  }

  protected head(): void {
    const fields = headFields(this.form);
    if (this.terms.outCoding !== null) fields.append('connect-content-encoding', this.terms.outCoding);
    this.leftOut(addMetadata(fields, this.metadata));
    this.exchange.respond(200, fields);
  }

  protected put(bytes: Buffer, start: number, end: number): void {
    this.write(bytes, start, end);
  }

  protected ending(status: Status, trailers: Metadata): void {
    this.open();
    const { bytes, left } = endBytes(status, trailers, this.entry);
    this.leftOut(left);
    this.exchange.share(bytes, 0, bytes.length);
    this.exchange.end();
    this.exchange.flush();
  }
}

export function serveConnectStream(
  exchange: Exchange,
  type: string,
  path: string,
  host: GrpcHost,
  directory: Directory,
): void {
  const form = FORMS[type];
  const entry = directory.at(path);
  if (form === undefined || exchange.method !== 'POST') {
    const fields = Fields.of({ allow: 'POST', 'accept-post': Object.keys(FORMS).join(', ') });
    exchange.respond(form === undefined ? 415 : 405, fields, 0);
    exchange.end();
    exchange.flush();
    return;
  }
  const { fields } = exchange;
  const encoding = fields.get('connect-content-encoding') ?? 'identity';
  const inCoding = codingOf(encoding);
  const version = fields.get('connect-protocol-version') ?? '1';
  if (entry === null) refuse(exchange, form, statusOf(faults.noMethod, path));
  else if (version !== '1') refuse(exchange, form, statusOf(faults.version));
  else if (entry.method.kind === 'unary') refuse(exchange, form, statusOf(faults.unaryOnly));
  else if (inCoding === null && encoding !== 'identity') refuse(exchange, form, statusOf(faults.coding, encoding));
  else {
    const outCoding = accepted(fields.joined('connect-accept-encoding'));
    const timeoutMs = connectTimeoutOf(fields);
    const terms = { codecs: codecsOf(entry, form), inCoding, outCoding, timeoutMs };
    new ConnectStreamCall(exchange, host, entry, terms, form).start();
  }
}

export function connectTimeoutOf(fields: Fields): number {
  const text = fields.get('connect-timeout-ms');
  return text === null ? Number.POSITIVE_INFINITY : connectTimeoutMs(text);
}

function refuse(exchange: Exchange, form: Form, status: Status): void {
  const { bytes } = endBytes(status, NONE, null);
  exchange.respond(200, headFields(form), bytes.length);
  exchange.share(bytes, 0, bytes.length);
  exchange.end();
  exchange.flush();
}
