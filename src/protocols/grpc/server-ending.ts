// A status on the wire: gRPC's trailers with google.rpc.Status, Connect's error as JSON, and which HTTP status a code is.
import { ByteWriter } from '../../bytes/writer.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import { protobufOf } from '../../formats/schema/protobuf.ts';
import { messageOf, RPC } from '../../formats/schema/protobuf-google.ts';
import type { Schema } from '../../formats/schema/types.ts';
import type { Metadata } from '../../resources/services/contract.ts';
import {
  CODE_NAMES,
  type CodeName,
  type CodeTable,
  type Detail,
  type Status,
} from '../../resources/services/status.ts';
import { addMetadata, encodeWords, fromBase64, toBase64 } from './codec.ts';

export const CODE_NUMBERS: CodeTable<number> = Object.fromEntries(
  CODE_NAMES.map((name, number) => [name, number]),
) as CodeTable<number>;

/** As Connect writes them (Connect Protocol §Error Codes). */
export const CONNECT_CODES: CodeTable<string> = {
  OK: 'ok',
  CANCELLED: 'canceled',
  UNKNOWN: 'unknown',
  INVALID_ARGUMENT: 'invalid_argument',
  DEADLINE_EXCEEDED: 'deadline_exceeded',
  NOT_FOUND: 'not_found',
  ALREADY_EXISTS: 'already_exists',
  PERMISSION_DENIED: 'permission_denied',
  RESOURCE_EXHAUSTED: 'resource_exhausted',
  FAILED_PRECONDITION: 'failed_precondition',
  ABORTED: 'aborted',
  OUT_OF_RANGE: 'out_of_range',
  UNIMPLEMENTED: 'unimplemented',
  INTERNAL: 'internal',
  UNAVAILABLE: 'unavailable',
  DATA_LOSS: 'data_loss',
  UNAUTHENTICATED: 'unauthenticated',
};

/** Connect Protocol §Error Codes. */
export const CONNECT_STATUS: CodeTable<number> = {
  OK: 200,
  CANCELLED: 499,
  UNKNOWN: 500,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  OUT_OF_RANGE: 400,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
  UNAUTHENTICATED: 401,
};

const statusCodec = protobufOf(RPC, messageOf(RPC, 'google.rpc.Status'));
const TYPE_PREFIX = 'type.googleapis.com/';

export function statusOf(fault: Fault, detail = ''): Status {
  const message = detail === '' ? fault.text : `${fault.text.slice(0, -1)}: ${detail}`;
  return { code: CODE_NAMES[fault.wire] ?? 'UNKNOWN', message, details: [] };
}

/** A detail as bytes, or null where its type is unknown, or its value is not of it. */
function packed({ type, value }: Detail, schema: Schema | null): Uint8Array | null {
  const found = schema?.types.get(type);
  const from = found?.kind === 'message' ? schema! : RPC;
  const message = from.types.get(type);
  if (message?.kind !== 'message') return null;
  try {
    return protobufOf(from, message).bytesOf(value);
  } catch {
    // The status itself says more than the words that it cannot be said.
    return null;
  }
}

function unpacked(type: string, bytes: Uint8Array, schema: Schema | null): unknown {
  const found = schema?.types.get(type);
  const from = found?.kind === 'message' ? schema! : RPC;
  const message = from.types.get(type);
  if (message?.kind !== 'message') return bytes;
  return protobufOf(from, message).read(bytes, 0, bytes.length) ?? bytes;
}

/** google.rpc.Status of a status with details. */
export function statusBytes(status: Status, schema: Schema | null): Buffer {
  const details = status.details.flatMap((detail) => {
    const value = packed(detail, schema);
    return value === null ? [] : [{ typeUrl: TYPE_PREFIX + detail.type, value }];
  });
  return statusCodec.bytesOf({ code: CODE_NUMBERS[status.code], message: status.message, details });
}

/** The details of a google.rpc.Status; a type that nobody knows is its bytes. */
export function detailsOf(bytes: Uint8Array, schema: Schema | null): Detail[] {
  const status = statusCodec.read(bytes, 0, bytes.length);
  const details = (status?.details ?? []) as readonly { readonly typeUrl: string; readonly value: Uint8Array }[];
  return details.map(({ typeUrl, value }) => {
    const type = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
    return { type, value: unpacked(type, value, schema) };
  });
}

const PLAIN_OK = Fields.of({ 'grpc-status': '0' }).fix();

export interface Ending {
  readonly fields: Fields;
  /** Metadata that could not be sent. */
  readonly left: readonly string[];
}

/** What ends a gRPC call (PROTOCOL-HTTP2.md §Responses: Trailers), added to `fields` or on its own. */
export function endFields(
  status: Status,
  trailers: Metadata,
  schema: Schema | null,
  bytesMax: number,
  fields: Fields | null = null,
): Ending {
  if (status.code === 'OK' && trailers.length === 0 && fields === null) return { fields: PLAIN_OK, left: [] };
  const all = fields ?? new Fields();
  all.append('grpc-status', String(CODE_NUMBERS[status.code]));
  if (status.message !== '') all.append('grpc-message', encodeWords(status.message).slice(0, bytesMax));
  if (status.details.length > 0) {
    const details = toBase64(statusBytes(status, schema));
    // Many clients take no more than 8 KiB of fields: the code must reach them.
    if (details.length <= bytesMax) all.append('grpc-status-details-bin', details);
  }
  return { fields: all, left: addMetadata(all, trailers) };
}

/** `{"code","message","details"}` (Connect Protocol §Error). */
export function connectError(status: Status, schema: Schema | null): Record<string, unknown> {
  const details = status.details.flatMap((detail) => {
    const value = packed(detail, schema);
    return value === null ? [] : [{ type: detail.type, value: toBase64(value) }];
  });
  return {
    code: CONNECT_CODES[status.code],
    ...(status.message === '' ? {} : { message: status.message }),
    ...(details.length === 0 ? {} : { details }),
  };
}

const FROM_CONNECT = new Map<unknown, CodeName>(CODE_NAMES.map((name) => [CONNECT_CODES[name], name]));

/** The status that an error as JSON is; what is no error is UNKNOWN. */
export function statusOfConnect(error: unknown, schema: Schema | null, otherwise: CodeName = 'UNKNOWN'): Status {
  if (typeof error !== 'object' || error === null) return { code: otherwise, message: '', details: [] };
  const { code, message, details } = error as { code?: unknown; message?: unknown; details?: unknown };
  const named = FROM_CONNECT.get(code) ?? otherwise;
  const list = Array.isArray(details) ? details : [];
  return {
    code: named === 'OK' ? 'UNKNOWN' : named,
    message: typeof message === 'string' ? message : '',
    details: list.flatMap((detail: { type?: unknown; value?: unknown } | null) => {
      if (typeof detail?.type !== 'string' || typeof detail.value !== 'string') return [];
      const bytes = fromBase64(detail.value);
      const type = detail.type.slice(detail.type.lastIndexOf('/') + 1);
      return bytes === null ? [] : [{ type, value: unpacked(type, bytes, schema) }];
    }),
  };
}

/** The code that `grpc-status` says; what is no number of one is UNKNOWN (statuscodes.md). */
export function codeNamed(text: string): CodeName {
  return (/^\d{1,2}$/.test(text) ? CODE_NAMES[Number(text)] : undefined) ?? 'UNKNOWN';
}

/** Which code an answer has that is not gRPC's at all (http-grpc-status-mapping.md). */
export function codeOfHttp(status: number): CodeName {
  switch (status) {
    case 400:
      return 'INTERNAL';
    case 401:
      return 'UNAUTHENTICATED';
    case 403:
      return 'PERMISSION_DENIED';
    case 404:
      return 'UNIMPLEMENTED';
    case 429:
    case 502:
    case 503:
    case 504:
      return 'UNAVAILABLE';
    default:
      return 'UNKNOWN';
  }
}

/** Where messages are encoded before they are framed: one at a time, so that all calls can share it. */
export const SCRATCH = new ByteWriter(0x3fff_ffff);
const SCRATCH_KEPT = 262_144;

export function scratch(): ByteWriter {
  if (SCRATCH.bytes.length > SCRATCH_KEPT) SCRATCH.clear();
  SCRATCH.cut(0);
  return SCRATCH;
}
