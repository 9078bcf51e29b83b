// What a server says in portico.json, read for clients.
import { utf8 } from '../../bytes/reader.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import type { Status } from '../../resources/services/status.ts';
import type { ReceivedMessage } from './requests.ts';
import { codeOf, outcomeOf } from './words.ts';

export interface Answer {
  readonly kind: 'answer';
  /** 0 for an error that answers nothing by its id. */
  readonly number: number;
  readonly outcome: Outcome;
  readonly cursor: number;
  readonly detail: string;
  readonly message: ReceivedMessage | null;
}

/** What comes for a call. */
export interface CallReply {
  readonly kind: 'call';
  readonly number: number;
  readonly what: 'result' | 'headers' | 'next' | 'end' | 'error';
  /** Of `result` and `next`. */
  readonly value: unknown;
  readonly status: Status;
  readonly headers: readonly string[];
  readonly trailers: readonly string[];
}

export type Reply =
  | Answer
  | CallReply
  | { readonly kind: 'message'; readonly message: ReceivedMessage }
  | { readonly kind: 'live'; readonly filter: string; readonly cursor: number }
  | { readonly kind: 'gap'; readonly filter: string; readonly after: number; readonly from: number }
  /** Of a newer server: to be passed over. */
  | { readonly kind: 'unknown' };

const NONE: readonly string[] = [];
const STATUS_OK: Status = { code: 'OK', message: '', details: [] };

type Members = Readonly<Record<string, unknown>>;

/** Reads one message; null for what no server of portico.json says. */
export function readReply(input: Uint8Array, start: number, end: number): Reply | null {
  let value: unknown;
  try {
    value = JSON.parse(utf8(input, start, end));
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  if ('topic' in value) {
    const message = readMessage(value);
    return message === null ? null : { kind: 'message', message };
  }
  if ('ack' in value) return readAck(value);
  if ('error' in value) return isObject(value.error) && 'code' in value.error ? readCall(value) : readError(value);
  if (CALL_MEMBERS.some((name) => name in value)) return readCall(value);
  if ('live' in value) {
    const cursor = numberOf(value.cursor);
    return typeof value.live !== 'string' || cursor < 0 ? null : { kind: 'live', filter: value.live, cursor };
  }
  if ('gap' in value) return readGap(value.gap);
  return { kind: 'unknown' };
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A cursor; -1 for what is none. */
function numberOf(value: unknown): number {
  return typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : -1;
}

function readAck({ ack, cursor, message }: Members): Reply | null {
  const found = message === undefined ? null : readMessage(message);
  if (typeof ack !== 'number' || (message !== undefined && found === null)) return null;
  return {
    kind: 'answer',
    number: ack,
    outcome: OK,
    cursor: Math.max(0, numberOf(cursor)),
    detail: '',
    message: found,
  };
}

function readError({ error, id }: Members): Reply | null {
  if (!isObject(error) || typeof error.outcome !== 'string') return null;
  const number = typeof id === 'number' ? id : 0;
  const detail = typeof error.detail === 'string' ? error.detail : '';
  return { kind: 'answer', number, outcome: outcomeOf(error.outcome), cursor: 0, detail, message: null };
}

const CALL_MEMBERS = ['result', 'next', 'end', 'headers'];

function readCall(value: Members): Reply | null {
  const { id } = value;
  const headers = pairsOf(value.headers);
  const trailers = pairsOf(value.trailers);
  if (headers === null || trailers === null) return null;
  const about = { kind: 'call', headers, trailers, status: STATUS_OK } as const;
  if ('error' in value) {
    const status = statusOf(value.error as Members);
    // An error that is no call's: a request that could not be told from others.
    return { ...about, number: typeof id === 'number' ? id : 0, what: 'error', value: null, status };
  }
  if (typeof id !== 'number') return null;
  if ('result' in value) return { ...about, number: id, what: 'result', value: value.result };
  if ('next' in value) return { ...about, number: id, what: 'next', value: value.next };
  return { ...about, number: id, what: 'end' in value ? 'end' : 'headers', value: null };
}

/** A list of pairs, flat; null for what is none. */
function pairsOf(value: unknown): readonly string[] | null {
  if (value === undefined) return NONE;
  if (!Array.isArray(value)) return null;
  const pairs: unknown[] = value.flat();
  return pairs.length % 2 === 0 && pairs.every((part) => typeof part === 'string') ? (pairs as string[]) : null;
}

/** `{"code","message","details"}`; what is not known is UNKNOWN. */
export function statusOf({ code, message, details }: Members): Status {
  return {
    code: codeOf(code),
    message: text(message),
    details: (Array.isArray(details) ? details : []).flatMap((detail: unknown) =>
      isObject(detail) && typeof detail.type === 'string' ? [{ type: detail.type, value: detail.value }] : [],
    ),
  };
}

function readGap(gap: unknown): Reply | null {
  if (!isObject(gap) || typeof gap.filter !== 'string') return null;
  const after = numberOf(gap.after);
  const from = numberOf(gap.from);
  return after < 0 || from < 0 ? null : { kind: 'gap', filter: gap.filter, after, from };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function readMessage(value: unknown): ReceivedMessage | null {
  if (!isObject(value)) return null;
  const { topic, payload, base64, properties, correlation, time, expiry, cursor } = value;
  if (typeof topic !== 'string') return null;
  if (typeof payload !== 'string' && typeof base64 !== 'string') return null;
  const pairs = Array.isArray(properties) ? properties.flat() : [];
  if (!pairs.every((part) => typeof part === 'string') || pairs.length % 2 !== 0) return null;
  return {
    topic,
    payload: typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(base64 as string, 'base64'),
    text: typeof payload === 'string',
    contentType: text(value.contentType),
    properties: pairs,
    responseTopic: text(value.responseTopic),
    correlation: typeof correlation === 'string' ? Buffer.from(correlation, 'base64') : null,
    publisher: text(value.publisher),
    time: typeof time === 'number' ? time : 0,
    expiry: typeof expiry === 'number' ? expiry : Number.POSITIVE_INFINITY,
    retain: value.retain === true,
    retained: value.retained === true,
    cursor: Math.max(0, numberOf(cursor)),
    history: text(value.history),
  };
}
