// Connect's unary calls: the message is the body of a POST, or in the query of a GET where the method changes nothing; an error
// is a status of HTTP with JSON (Connect Protocol §Unary RPCs). Any client of HTTP can make them.
import { KeptBytes } from '../../bytes/kept.ts';
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Metadata } from '../../resources/services/contract.ts';
import type { Status } from '../../resources/services/status.ts';
import { Query } from '../http/query.ts';
import { addMetadata, fromBase64 } from './codec.ts';
import { accepted, CODINGS, codingOf } from './coding.ts';
import { faults } from './faults.ts';
import { type CallTerms, ServerCall } from './server-call.ts';
import type { Form } from './server-codecs.ts';
import { connectTimeoutOf } from './server-connect.ts';
import { codecsOf, type Directory, type Entry, type GrpcHost } from './server-directory.ts';
import { CONNECT_STATUS, connectError, statusOf } from './server-ending.ts';

const FORMS: Readonly<Record<string, Form>> = { 'application/proto': 'proto', 'application/json': 'json' };

export function isConnectUnary(exchange: Exchange, type: string): boolean {
  const { method } = exchange;
  return (method === 'POST' && FORMS[type] !== undefined) || (method === 'GET' && exchange.target.includes('?'));
}

class ConnectUnaryCall extends ServerCall {
  private readonly form: Form;
  private readonly kept = new KeptBytes();
  private body: Buffer | null = null;

  constructor(exchange: Exchange, host: GrpcHost, entry: Entry, terms: CallTerms, form: Form) {
    super(exchange, host, entry, terms);
    this.form = form;
  }

  protected override get prefix(): number {
    return 0;
  }

  protected override take(input: Uint8Array, start: number, end: number): number {
    if (this.kept.length + end - start > this.host.limits.messageBytesMax) {
      this.kept.clear();
      this.fail(faults.tooLong);
      return end;
    }
    this.kept.append(input, start, end);
    return end;
  }

  protected override finishInput(): void {
    const { kept } = this;
    this.whole(kept.bytes, kept.start, kept.end);
    kept.clear();
    if (!this.isOver) super.finishInput();
  }

  /** The message of a GET. */
  query(bytes: Buffer): void {
    this.finished = true;
    if (bytes.length > this.host.limits.messageBytesMax) this.fail(faults.tooLong);
    else this.whole(bytes, 0, bytes.length);
    if (!this.isOver) super.finishInput();
  }

  private whole(bytes: Uint8Array, start: number, end: number): void {
    const { inCoding } = this.terms;
    if (inCoding === null) this.input(bytes, start, end);
    else this.expanded(inCoding, bytes, start, end);
  }

  protected head(): void {
    // With the end, whose metadata stands in the same fields.
  }

  protected put(bytes: Buffer, start: number, end: number): void {
    this.body = Buffer.from(bytes.subarray(start, end));
  }

  protected ending(status: Status, trailers: Metadata): void {
    const { exchange, body, metadata, entry } = this;
    this.kept.clear();
    const fields = new Fields();
    this.leftOut(addMetadata(fields, metadata));
    this.leftOut(addMetadata(fields, trailers, 'trailer-'));
    if (status.code !== 'OK' || body === null) {
      answerError(exchange, status, entry, fields);
      return;
    }
    fields.append('content-type', `application/${this.form}`);
    fields.append('accept-encoding', CODINGS);
    if (this.compressed !== null) fields.append('content-encoding', this.compressed);
    if (this.terms.outCoding !== null) fields.append('vary', 'Accept-Encoding');
    exchange.respond(200, fields, body.length);
    exchange.share(body, 0, body.length);
    exchange.end();
    exchange.flush();
  }
}

function answerError(exchange: Exchange, status: Status, entry: Entry | null, fields: Fields, http = 0): void {
  const { schema } = entry?.method.service ?? { schema: null };
  const body = Buffer.from(JSON.stringify(connectError(status, schema)));
  exchange.respond(http || CONNECT_STATUS[status.code], fields.append('content-type', 'application/json'), body.length);
  exchange.share(body, 0, body.length);
  exchange.end();
  exchange.flush();
}

export function serveConnectUnary(
  exchange: Exchange,
  type: string,
  path: string,
  query: string,
  host: GrpcHost,
  directory: Directory,
): void {
  const entry = directory.at(path);
  const refuse = (status: Status, fields = new Fields(), http = 0) =>
    answerError(exchange, status, entry, fields, http);
  if (entry === null) {
    // What is no method is no page either (Connect Protocol §Error Codes: 404 becomes unimplemented).
    refuse(statusOf(faults.noMethod, path), new Fields(), 404);
    return;
  }
  if (entry.method.kind !== 'unary') {
    refuse(
      statusOf(faults.streamsOnly),
      Fields.of({ 'accept-post': 'application/connect+proto, application/connect+json' }),
      415,
    );
    return;
  }
  const isGet = exchange.method === 'GET';
  if (isGet && entry.method.idempotency !== 'safe') {
    refuse(statusOf(faults.getUnsafe), Fields.of({ allow: 'POST' }), 405);
    return;
  }
  const asked = isGet ? Query.of(query) : null;
  const { fields } = exchange;
  const form = isGet ? FORMS[`application/${asked?.get('encoding') ?? ''}`] : FORMS[type];
  const version = isGet ? (asked?.get('connect') ?? 'v1') : `v${fields.get('connect-protocol-version') ?? '1'}`;
  const encoding = (isGet ? asked?.get('compression') : fields.get('content-encoding')) ?? 'identity';
  const inCoding = codingOf(encoding);
  const bytes = asked === null ? null : messageOf(asked);
  if (version !== 'v1') refuse(statusOf(faults.version));
  else if (Number.isNaN(connectTimeoutOf(fields))) refuse(statusOf(faults.timeout));
  else if (form === undefined || (isGet && bytes === null)) refuse(statusOf(faults.query));
  else if (inCoding === null && encoding !== 'identity' && encoding !== '') refuse(statusOf(faults.coding, encoding));
  else {
    const outCoding = accepted(fields.joined('accept-encoding'));
    const terms = { codecs: codecsOf(entry, form), inCoding, outCoding, timeoutMs: connectTimeoutOf(fields) };
    const call = new ConnectUnaryCall(exchange, host, entry, terms, form);
    if (bytes === null) call.start();
    else call.query(bytes);
  }
}

/** The message in a query, which may be base64 of either alphabet; null where there is none (Connect Protocol §Unary-Get-Request). */
function messageOf(query: Query): Buffer | null {
  const text = query.get('message');
  if (text === null) return null;
  return query.get('base64') === '1' ? fromBase64(text) : Buffer.from(text);
}
