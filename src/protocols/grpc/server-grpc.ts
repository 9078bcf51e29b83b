// gRPC over HTTP/2: answers that end with trailers, or are nothing but them (PROTOCOL-HTTP2.md).
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Metadata } from '../../resources/services/contract.ts';
import type { Status } from '../../resources/services/status.ts';
import { addMetadata, timeoutMs } from './codec.ts';
import { CODINGS, type Coding, codingOf } from './coding.ts';
import { faults } from './faults.ts';
import { type CallTerms, NONE, ServerCall } from './server-call.ts';
import type { Directory, GrpcHost } from './server-directory.ts';
import { endFields, statusOf } from './server-ending.ts';

const TYPES = ['application/grpc', 'application/grpc+proto'];

function headFields(type: string, coding: Coding | null): Fields {
  const fields = Fields.of({ 'content-type': type, 'grpc-accept-encoding': CODINGS });
  if (coding !== null) fields.append('grpc-encoding', coding);
  return fields;
}

const PLAIN = headFields('application/grpc+proto', null).fix();

class GrpcCall extends ServerCall {
  protected head(): void {
    const { outCoding } = this.terms;
    const { metadata } = this;
    if (metadata.length === 0 && outCoding === null) {
      this.exchange.respond(200, PLAIN);
      return;
    }
    const fields = headFields('application/grpc+proto', outCoding);
    this.leftOut(addMetadata(fields, metadata));
    this.exchange.respond(200, fields);
  }

  protected put(bytes: Buffer, start: number, end: number): void {
    this.write(bytes, start, end);
  }

  protected ending(status: Status, trailers: Metadata): void {
    const { exchange, host, entry } = this;
    const { schema } = entry.method.service;
    const { statusBytesMax } = host.limits;
    if (this.begun) {
      const { fields, left } = endFields(status, trailers, schema, statusBytesMax);
      this.leftOut(left);
      exchange.end(fields);
    } else {
      this.begun = true;
      const fields = headFields('application/grpc+proto', null);
      this.leftOut(addMetadata(fields, this.metadata));
      this.leftOut(endFields(status, trailers, schema, statusBytesMax, fields).left);
      exchange.respond(200, fields, 0);
      exchange.end();
    }
    exchange.flush();
  }
}

/** Whether a request is gRPC, with a form of messages that is spoken here or not. */
export function isGrpc(type: string): boolean {
  return type.startsWith('application/grpc') && !type.startsWith('application/grpc-web');
}

export function serveGrpc(exchange: Exchange, type: string, path: string, host: GrpcHost, directory: Directory): void {
  if (exchange.method !== 'POST' || !TYPES.includes(type)) {
    // Neither has a status of gRPC's (PROTOCOL-HTTP2.md §Requests: Content-Type).
    exchange.respond(exchange.method === 'POST' ? 415 : 405, Fields.of({ allow: 'POST' }), 0);
    exchange.end();
    exchange.flush();
    return;
  }
  const entry = directory.at(path);
  const { fields } = exchange;
  const encoding = fields.get('grpc-encoding') ?? 'identity';
  const inCoding = codingOf(encoding);
  if (entry === null) refuse(exchange, statusOf(faults.noMethod, path));
  else if (inCoding === null && encoding !== 'identity') refuse(exchange, statusOf(faults.coding, encoding));
  else {
    const terms: CallTerms = {
      codecs: entry.proto,
      inCoding,
      outCoding: outCodingOf(inCoding, fields),
      timeoutMs: timeoutOf(fields.get('grpc-timeout')),
    };
    new GrpcCall(exchange, host, entry, terms).start();
  }
}

/** Who compresses what he sends, and says that he can read it, is answered so. */
export function outCodingOf(inCoding: Coding | null, fields: Fields): Coding | null {
  if (inCoding === null) return null;
  const list = fields.joined('grpc-accept-encoding');
  return list?.split(',').some((name) => name.trim() === inCoding) ? inCoding : null;
}

export function timeoutOf(text: string | null): number {
  return text === null ? Number.POSITIVE_INFINITY : timeoutMs(text);
}

function refuse(exchange: Exchange, status: Status): void {
  const fields = headFields('application/grpc+proto', null);
  endFields(status, NONE, null, 1_024, fields);
  exchange.respond(200, fields, 0);
  exchange.end();
  exchange.flush();
}
