// Messages of graphql-transport-ws: JSON objects with a type, in text frames.
import { utf8 } from '../../bytes/reader.ts';

export const INIT = 0;
export const PING = 1;
export const PONG = 2;
export const SUBSCRIBE = 3;
export const COMPLETE = 4;

export type ClientMessage =
  | { readonly type: typeof INIT; readonly payload: Readonly<Record<string, unknown>> | null }
  | { readonly type: typeof PING | typeof PONG; readonly payload: unknown }
  | { readonly type: typeof SUBSCRIBE; readonly id: string; readonly payload: Readonly<Record<string, unknown>> }
  | { readonly type: typeof COMPLETE; readonly id: string };

export const CONNECTION_ACK = '{"type":"connection_ack"}';
export const PING_TEXT = '{"type":"ping"}';
export const PONG_TEXT = '{"type":"pong"}';

/** A message of a client; null for what is none. `{"type":"subscribe","id":"1","payload":{"query":"…"}}` */
export function readMessage(
  input: Uint8Array,
  start: number,
  end: number,
  idCharactersMax: number,
): ClientMessage | null {
  let value: unknown;
  try {
    value = JSON.parse(utf8(input, start, end));
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  const { type, id, payload } = value;
  switch (type) {
    case 'connection_init':
      return payload === undefined || payload === null || isRecord(payload)
        ? { type: INIT, payload: payload ?? null }
        : null;
    case 'ping':
    case 'pong':
      if (payload !== undefined && payload !== null && !isRecord(payload)) return null;
      return { type: type === 'ping' ? PING : PONG, payload };
    case 'subscribe':
      return isId(id, idCharactersMax) && isRecord(payload) ? { type: SUBSCRIBE, id, payload } : null;
    case 'complete':
      return isId(id, idCharactersMax) ? { type: COMPLETE, id } : null;
    default:
      return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isId(id: unknown, most: number): id is string {
  return typeof id === 'string' && id !== '' && id.length <= most;
}

/** `result` is the JSON of an answer. */
export function nextText(id: string, result: string): string {
  return `{"id":${JSON.stringify(id)},"type":"next","payload":${result}}`;
}

/** `errors` is the JSON of a list. */
export function errorText(id: string, errors: string): string {
  return `{"id":${JSON.stringify(id)},"type":"error","payload":${errors}}`;
}

export function completeText(id: string): string {
  return `{"id":${JSON.stringify(id)},"type":"complete"}`;
}

export function pongText(payload: unknown): string {
  return payload === undefined || payload === null ? PONG_TEXT : `{"type":"pong","payload":${JSON.stringify(payload)}}`;
}
