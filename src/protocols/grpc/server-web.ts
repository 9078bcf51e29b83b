// gRPC-Web: gRPC for pages, whose answers end with a message of trailers; as bytes, or all of it as base64 (PROTOCOL-WEB.md).
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Metadata } from '../../resources/services/contract.ts';
import type { Status } from '../../resources/services/status.ts';
import { addMetadata, PREFIX, WEB_TRAILERS, writePrefix } from './codec.ts';
import { CODINGS, codingOf } from './coding.ts';
import { faults } from './faults.ts';
import { type CallTerms, NONE, ServerCall } from './server-call.ts';
import type { Directory, Entry, GrpcHost } from './server-directory.ts';
import { endFields, statusOf } from './server-ending.ts';
import { outCodingOf, timeoutOf } from './server-grpc.ts';

const BINARY = ['application/grpc-web', 'application/grpc-web+proto'];
const TEXT = ['application/grpc-web-text', 'application/grpc-web-text+proto'];

export function isGrpcWeb(type: string): boolean {
  return type.startsWith('application/grpc-web');
}

function headFields(isText: boolean): Fields {
  const type = isText ? 'application/grpc-web-text+proto' : 'application/grpc-web+proto';
  return Fields.of({ 'content-type': type, 'grpc-accept-encoding': CODINGS });
}

/** The last message: fields as lines, their names in lower case (PROTOCOL-WEB.md §Protocol differences). */
function trailerBytes({ list }: Fields): Buffer {
  let text = '';
  for (let at = 0; at < list.length; at += 2) text += `${list[at]}: ${list[at + 1]}\r\n`;
  const bytes = Buffer.alloc(PREFIX + text.length);
  writePrefix(bytes, 0, WEB_TRAILERS, text.length);
  bytes.write(text, PREFIX, 'latin1');
  return bytes;
}

class WebCall extends ServerCall {
  private readonly isText: boolean;
  /** Up to three characters of base64 that wait for the fourth. */
  private quad = '';

  constructor(exchange: Exchange, host: GrpcHost, entry: Entry, terms: CallTerms, isText: boolean) {
    super(exchange, host, entry, terms);
    this.isText = isText;
  }

  protected override take(input: Uint8Array, start: number, end: number): number {
    if (!this.isText) return super.take(input, start, end);
    const text = this.quad + Buffer.from(input.buffer, input.byteOffset + start, end - start).toString('latin1');
    const whole = text.length & ~3;
    this.quad = text.slice(whole);
    // Pieces may each end with their own padding.
    if (!/^(?:[\w+/-]{4}|[\w+/-]{3}=|[\w+/-]{2}==)*$/.test(text.slice(0, whole))) {
      this.fail(faults.base64);
      return end;
    }
    for (let at = 0; at < whole; ) {
      const padding = text.indexOf('=', at);
      const stop = padding < 0 || padding >= whole ? whole : (padding & ~3) + 4;
      const bytes = Buffer.from(text.slice(at, stop), 'base64');
      if (super.take(bytes, 0, bytes.length) < 0) return -1;
      at = stop;
    }
    return end;
  }

  protected override finishInput(): void {
    if (this.quad === '') super.finishInput();
    else this.fail(faults.base64);
  }

  protected head(): void {
    const fields = headFields(this.isText);
    if (this.terms.outCoding !== null) fields.append('grpc-encoding', this.terms.outCoding);
    this.leftOut(addMetadata(fields, this.metadata));
    this.exchange.respond(200, fields);
  }

  protected put(bytes: Buffer, start: number, end: number): void {
    if (!this.isText) {
      this.write(bytes, start, end);
      return;
    }
    const text = Buffer.from(
      Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('base64'),
      'latin1',
    );
    this.exchange.share(text, 0, text.length);
  }

  protected ending(status: Status, trailers: Metadata): void {
    const { exchange, host, entry } = this;
    this.open();
    const { fields, left } = endFields(status, trailers, entry.method.service.schema, host.limits.statusBytesMax);
    this.leftOut(left);
    const bytes = trailerBytes(fields);
    this.put(bytes, 0, bytes.length);
    this.emit();
    exchange.end();
    exchange.flush();
  }
}

export function serveGrpcWeb(
  exchange: Exchange,
  type: string,
  path: string,
  host: GrpcHost,
  directory: Directory,
): void {
  const isText = TEXT.includes(type);
  if (exchange.method !== 'POST' || !(isText || BINARY.includes(type))) {
    exchange.respond(exchange.method === 'POST' ? 415 : 405, Fields.of({ allow: 'POST' }), 0);
    exchange.end();
    exchange.flush();
    return;
  }
  const entry = directory.at(path);
  const { fields } = exchange;
  const encoding = fields.get('grpc-encoding') ?? 'identity';
  const inCoding = codingOf(encoding);
  if (entry === null) refuse(exchange, isText, statusOf(faults.noMethod, path));
  else if (inCoding === null && encoding !== 'identity') refuse(exchange, isText, statusOf(faults.coding, encoding));
  // A page that speaks base64 has its request whole before it sends it.
  else if (isText && (entry.method.kind === 'client' || entry.method.kind === 'both'))
    refuse(exchange, isText, statusOf(faults.textStreams));
  else {
    const outCoding = outCodingOf(inCoding, fields);
    const timeoutMs = timeoutOf(fields.get('grpc-timeout'));
    new WebCall(exchange, host, entry, { codecs: entry.proto, inCoding, outCoding, timeoutMs }, isText).start();
  }
}

function refuse(exchange: Exchange, isText: boolean, status: Status): void {
  const bytes = trailerBytes(endFields(status, NONE, null, 1_024, new Fields()).fields);
  const body = isText ? Buffer.from(bytes.toString('base64'), 'latin1') : bytes;
  exchange.respond(200, headFields(isText), body.length);
  exchange.share(body, 0, body.length);
  exchange.end();
  exchange.flush();
}

/** The fields that a message of trailers is. */
export function trailerFields(bytes: Uint8Array, start: number, end: number): Fields {
  const fields = new Fields();
  for (const line of Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
    .toString('latin1')
    .split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.append(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return fields;
}
