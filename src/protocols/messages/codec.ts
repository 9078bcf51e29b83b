// Requests out of messages of portico.json: what a client wants, or why it cannot be understood. The grammar is that of
// docs/portico-json.md; it knows no topics and no connection.
import { utf8 } from '../../bytes/reader.ts';
import { INVALID, type Outcome } from '../../core/outcome.ts';
import type { RetainedHandling, SlowPolicy } from '../../resources/topics/contract.ts';
import type { MessagesLimits } from './limits.ts';

/** What the client called its request; undefined when it does not want to hear of it. */
export type Id = string | number | undefined;

export const PUBLISH = 'publish';
export const SUBSCRIBE = 'subscribe';
export const UNSUBSCRIBE = 'unsubscribe';
export const GET = 'get';
export const CALL = 'call';
export const SEND = 'send';
export const FINISH = 'finish';
export const CANCEL = 'cancel';
/** A call as JSON-RPC 2.0 has it. */
export const RPC = 'jsonrpc';
/** Calls of JSON-RPC 2.0 that are answered together. */
export const BATCH = 'batch';
export const REFUSED = 'refused';

export type Encoding = 'auto' | 'base64';

export interface PublishRequest {
  readonly verb: typeof PUBLISH;
  readonly id: Id;
  readonly topic: string;
  readonly payload: Buffer;
  readonly text: boolean;
  readonly contentType: string;
  readonly properties: readonly string[];
  readonly responseTopic: string;
  readonly correlation: Buffer | null;
  readonly retain: boolean;
  /** When it is of no more use, in milliseconds since 1970; Infinity for never. */
  readonly expiry: number;
  /** For how many milliseconds it is of use; Infinity for ever. */
  readonly expiresIn: number;
}

export interface SubscribeRequest {
  readonly verb: typeof SUBSCRIBE;
  readonly id: Id;
  readonly filter: string;
  /** -1 for none. */
  readonly after: number;
  readonly encoding: Encoding;
  /** Undefined for what the socket has already. */
  readonly slow: SlowPolicy | undefined;
  readonly retained: RetainedHandling | undefined;
  readonly echo: boolean;
}

export interface UnsubscribeRequest {
  readonly verb: typeof UNSUBSCRIBE;
  readonly id: Id;
  readonly filter: string;
}

export interface GetRequest {
  readonly verb: typeof GET;
  readonly id: Id;
  readonly topic: string;
  readonly encoding: Encoding;
}

/** A call of a service's method. */
export interface CallRequest {
  readonly verb: typeof CALL;
  readonly id: Id;
  /** `shop.v1.Orders.GetOrder` */
  readonly method: string;
  /** What JSON has; undefined when there is none. */
  readonly params: unknown;
  /** Name, value, name, value. */
  readonly metadata: readonly string[];
  /** Infinity for as long as the method allows. */
  readonly timeoutMs: number;
  /** It is answered in JSON-RPC's words. */
  readonly rpc: boolean;
  /** A notification of JSON-RPC: nothing is answered, whatever comes of it (JSON-RPC 2.0 §4.1). */
  readonly isQuiet: boolean;
}

export interface BatchRequest {
  readonly verb: typeof BATCH;
  readonly id: undefined;
  readonly requests: readonly (CallRequest | Refused)[];
}

/** One more input for a call that is open. */
export interface SendRequest {
  readonly verb: typeof SEND;
  readonly id: string | number;
  readonly params: unknown;
}

/** No more inputs for a call that is open. */
export interface FinishRequest {
  readonly verb: typeof FINISH;
  readonly id: string | number;
}

/** No more answers of a call that is open. */
export interface CancelRequest {
  readonly verb: typeof CANCEL;
  readonly id: string | number;
}

export type EndRequest = FinishRequest | CancelRequest;

/** What was not understood, and is answered with an error. */
export interface Refused {
  readonly verb: typeof REFUSED;
  /** It is answered in JSON-RPC's words. */
  readonly rpc?: boolean;
  readonly id: Id;
  readonly outcome: Outcome;
  readonly detail: string;
}

export type Request =
  | PublishRequest
  | SubscribeRequest
  | UnsubscribeRequest
  | GetRequest
  | CallRequest
  | SendRequest
  | EndRequest
  | BatchRequest
  | Refused;

type Members = Readonly<Record<string, unknown>>;

/** What a member's value must be, and how that is said. */
interface Shape {
  readonly says: string;
  readonly is: (value: unknown) => boolean;
}

const text: Shape = {
  says: 'a string of well-formed Unicode',
  is: (value) => typeof value === 'string' && value.isWellFormed(),
};
const flag: Shape = { says: 'true or false', is: (value) => typeof value === 'boolean' };
const time: Shape = {
  says: 'a number of milliseconds above 0',
  is: (value) => Number.isSafeInteger(value) && (value as number) > 0,
};
const whatever: Shape = { says: 'any JSON', is: () => true };
const id: Shape = {
  says: 'a string, or a number that is exact',
  is: (value) => typeof value === 'string' || (typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER),
};
/** Digits without a sign, up to what is exact as a number. */
const cursor: Shape = {
  says: 'a cursor: a string of digits',
  is: (value) => typeof value === 'string' && /^\d{1,16}$/.test(value) && Number.isSafeInteger(Number(value)),
};
const base64: Shape = {
  says: 'base64 (RFC 4648 §4)',
  is: (value) => typeof value === 'string' && value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value),
};
const pairs: Shape = {
  says: 'a list of pairs of strings',
  is: (value) =>
    Array.isArray(value) && value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(text.is)),
};

function oneOf(...words: string[]): Shape {
  return { says: words.map((word) => JSON.stringify(word)).join(', '), is: (value) => words.includes(value as string) };
}

const encoding = oneOf('auto', 'base64');

const SHAPES: Readonly<Record<string, Readonly<Record<string, Shape>>>> = {
  [PUBLISH]: {
    publish: text,
    payload: text,
    base64,
    json: whatever,
    contentType: text,
    properties: pairs,
    responseTopic: text,
    correlation: base64,
    retain: flag,
    expiry: time,
    expiresIn: time,
    id,
  },
  [SUBSCRIBE]: {
    subscribe: text,
    after: cursor,
    encoding,
    slow: oneOf('disconnect', 'drop-oldest', 'keep-latest'),
    retained: oneOf('always', 'when-new', 'never'),
    echo: flag,
    id,
  },
  [UNSUBSCRIBE]: { unsubscribe: text, id },
  [GET]: { get: text, encoding, id },
  [CALL]: { call: text, params: whatever, metadata: pairs, timeoutMs: time, id },
  [SEND]: { send: id, params: whatever },
  [FINISH]: { finish: id },
  [CANCEL]: { cancel: id },
  [RPC]: {
    jsonrpc: oneOf('2.0'),
    method: text,
    params: { says: 'an object', is: isObject },
    id: { says: `${id.says}, or null`, is: (value) => value === null || id.is(value) },
  },
};

const NONE: readonly string[] = [];

const VERBS: readonly string[] = Object.keys(SHAPES);

/** Reads one message; null when it is not JSON. */
export function readRequest(input: Uint8Array, start: number, end: number, limits: MessagesLimits): Request | null {
  let value: unknown;
  try {
    value = JSON.parse(utf8(input, start, end));
  } catch {
    return null;
  }
  if (Array.isArray(value)) return readBatch(value, limits);
  if (!isObject(value)) return refused(undefined, 'this is not an object');
  const members = value;
  const asked = idOf(members, limits);
  const verb = VERBS.find((name) => Object.hasOwn(members, name));
  if (verb === undefined) return refused(asked, 'one of publish, subscribe, unsubscribe, get and call is needed');
  const wrong = wrongIn(members, verb, limits);
  if (wrong !== '') return verb === RPC ? { ...refused(asked, wrong), rpc: true } : refused(asked, wrong);
  switch (verb) {
    case CALL:
    case RPC:
      return readCall(members, asked, verb === RPC, limits);
    case SEND:
      return { verb, id: members.send as string | number, params: members.params };
    case FINISH:
    case CANCEL:
      return { verb, id: members[verb] as string | number };
    case PUBLISH:
      return readPublish(members, asked, input, start, end, limits);
    case SUBSCRIBE:
      return readSubscribe(members, asked);
    case UNSUBSCRIBE:
      return { verb, id: asked, filter: members.unsubscribe as string };
    default:
      return { verb: GET, id: asked, topic: members.get as string, encoding: encodingOf(members) };
  }
}

/** An array of calls of JSON-RPC, each of which may be wrong by itself (JSON-RPC 2.0 §6). */
function readBatch(values: readonly unknown[], limits: MessagesLimits): BatchRequest | Refused {
  const wrong = (asked: Id, detail: string): Refused => ({ ...refused(asked, detail), rpc: true });
  if (values.length === 0) return wrong(undefined, 'a batch has at least one request');
  if (values.length > limits.batchMax) return wrong(undefined, `a batch has at most ${limits.batchMax} requests`);
  const requests = values.map((value): CallRequest | Refused => {
    if (!isObject(value)) return wrong(undefined, 'this is not an object');
    const asked = idOf(value, limits);
    if (!Object.hasOwn(value, RPC)) return wrong(asked, 'a batch has requests of JSON-RPC 2.0');
    const problem = wrongIn(value, RPC, limits);
    return problem === '' ? readCall(value, asked, true, limits) : wrong(asked, problem);
  });
  return { verb: BATCH, id: undefined, requests };
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refused(asked: Id, detail: string): Refused {
  return { verb: REFUSED, id: asked, outcome: INVALID, detail };
}

/** The id as it can be echoed; one that cannot is no id, and is refused with what is wrong about it. */
function idOf(members: Members, limits: MessagesLimits): Id {
  const value = Object.hasOwn(members, 'id') ? members.id : undefined;
  if (!id.is(value)) return undefined;
  return typeof value === 'string' && value.length > limits.idCharactersMax ? undefined : (value as Id);
}

/** What is wrong with the members that a request has; '' for nothing. */
function wrongIn(members: Members, verb: string, limits: MessagesLimits): string {
  const shapes = SHAPES[verb]!;
  for (const name of Object.keys(members)) {
    const shape = Object.hasOwn(shapes, name) ? shapes[name]! : undefined;
    if (shape === undefined) return `${verb} has no member ${shownName(name)}`;
    if (!shape.is(members[name])) return `${name} must be ${shape.says}`;
  }
  const { id: asked } = members;
  if (typeof asked === 'string' && asked.length > limits.idCharactersMax)
    return `id is longer than ${limits.idCharactersMax} characters`;
  return '';
}

/** A name that the client made up, short enough for an answer. */
function shownName(name: string): string {
  return JSON.stringify(name.length > 40 ? `${name.slice(0, 40)}…` : name);
}

function encodingOf(members: Members): Encoding {
  return members.encoding === 'base64' ? 'base64' : 'auto';
}

function readSubscribe(members: Members, asked: Id): Request {
  return {
    verb: SUBSCRIBE,
    id: asked,
    filter: members.subscribe as string,
    after: members.after === undefined ? -1 : Number(members.after),
    encoding: encodingOf(members),
    slow: members.slow as SlowPolicy | undefined,
    retained: members.retained as RetainedHandling | undefined,
    echo: members.echo !== false,
  };
}

function readCall(members: Members, asked: Id, rpc: boolean, limits: MessagesLimits): CallRequest | Refused {
  const metadata = members.metadata === undefined ? NONE : (members.metadata as string[][]).flat();
  if (metadata.length / 2 > limits.propertiesMax)
    return refused(asked, `metadata has more than ${limits.propertiesMax} entries`);
  if (metadata.some((each) => tooLong(each, limits)))
    return refused(asked, `a name or value of metadata is longer than ${limits.attributeBytesMax} bytes`);
  return {
    verb: CALL,
    id: asked,
    method: (rpc ? members.method : members.call) as string,
    params: members.params,
    metadata: metadata.map((each, index) => (index % 2 === 0 ? each.toLowerCase() : each)),
    timeoutMs: (members.timeoutMs as number | undefined) ?? Number.POSITIVE_INFINITY,
    rpc,
    isQuiet: rpc && !Object.hasOwn(members, 'id'),
  };
}

function readPublish(
  members: Members,
  asked: Id,
  input: Uint8Array,
  start: number,
  end: number,
  limits: MessagesLimits,
): Request {
  const ways = ['payload', 'base64', 'json'].filter((name) => Object.hasOwn(members, name));
  if (ways.length !== 1) return refused(asked, 'one of payload, base64 and json is needed');
  if (members.expiry !== undefined && members.expiresIn !== undefined)
    return refused(asked, 'expiry and expiresIn are two ways to say the same');
  const properties = members.properties === undefined ? NONE : (members.properties as string[][]).flat();
  const contentType = (members.contentType as string | undefined) ?? '';
  const correlation = members.correlation === undefined ? null : Buffer.from(members.correlation as string, 'base64');
  if (properties.length / 2 > limits.propertiesMax)
    return refused(asked, `more than ${limits.propertiesMax} properties`);
  for (const attribute of contentType === '' ? properties : [contentType, ...properties]) {
    if (attribute.includes('\0')) return refused(asked, 'a content type or property holds a NUL');
    if (tooLong(attribute, limits))
      return refused(asked, `a content type or property is longer than ${limits.attributeBytesMax} bytes`);
  }
  if (correlation !== null && correlation.length > limits.attributeBytesMax)
    return refused(asked, `correlation is longer than ${limits.attributeBytesMax} bytes`);
  const [way] = ways;
  let payload: Buffer;
  if (way === 'payload') payload = Buffer.from(members.payload as string);
  else if (way === 'base64') payload = Buffer.from(members.base64 as string, 'base64');
  else {
    const source = sourceOf('json', input, start, end);
    if (source.depth > limits.jsonDepthMax) return refused(asked, `json is nested deeper than ${limits.jsonDepthMax}`);
    payload = Buffer.from(input.subarray(source.start, source.end));
  }
  return {
    verb: PUBLISH,
    id: asked,
    topic: members.publish as string,
    payload,
    text: way !== 'base64',
    contentType: contentType === '' && way === 'json' ? 'application/json' : contentType,
    properties,
    responseTopic: (members.responseTopic as string | undefined) ?? '',
    correlation,
    retain: members.retain === true,
    expiry: (members.expiry as number | undefined) ?? Number.POSITIVE_INFINITY,
    expiresIn: (members.expiresIn as number | undefined) ?? Number.POSITIVE_INFINITY,
  };
}

function tooLong(attribute: string, { attributeBytesMax }: MessagesLimits): boolean {
  return attribute.length * 3 > attributeBytesMax && Buffer.byteLength(attribute) > attributeBytesMax;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Where in an object, which is known to be JSON, the value of a member stands, and how deep it is nested. */
interface Source {
  start: number;
  end: number;
  depth: number;
}

/**
 * The value as it was written, so that it is published byte for byte: numbers keep their digits. Of members of one name
 * the last counts, as it does for JSON.parse.
 */
function sourceOf(name: string, input: Uint8Array, start: number, end: number): Source {
  const found: Source = { start, end: start, depth: 0 };
  let at = skipSpace(input, start) + 1;
  for (;;) {
    const key = skipSpace(input, at);
    if (input[key] !== QUOTE) return found;
    const keyEnd = endOfString(input, key);
    const from = skipSpace(input, skipSpace(input, keyEnd) + 1);
    const value = valueAt(input, from, end);
    if (isKey(name, input, key, keyEnd)) {
      found.start = from;
      found.end = value.end;
      found.depth = value.depth;
    }
    at = skipSpace(input, value.end) + 1;
  }
}

/** Whether a string, with its quotes, is a name of ASCII letters. */
function isKey(name: string, input: Uint8Array, start: number, end: number): boolean {
  for (let at = start + 1; at < end - 1; at++) {
    if (input[at] === BACKSLASH) return JSON.parse(utf8(input, start, end)) === name;
    if (input[at] !== name.charCodeAt(at - start - 1)) return false;
  }
  return end - start - 2 === name.length;
}

export function skipSpace(input: Uint8Array, start: number): number {
  let at = start;
  while (input[at] === 0x20 || input[at] === 0x0a || input[at] === 0x0d || input[at] === 0x09) at++;
  return at;
}

/** The index behind the quote that ends the string which begins at `start`, or `end` when none does. */
export function endOfString(input: Uint8Array, start: number, end = input.length): number {
  let at = start + 1;
  while (at < end && input[at] !== QUOTE) at += input[at] === BACKSLASH ? 2 : 1;
  return Math.min(at + 1, end);
}

function valueAt(input: Uint8Array, start: number, end: number): Source {
  let depth = 0;
  let deepest = 0;
  let at = start;
  while (at < end) {
    const byte = input[at]!;
    if (byte === QUOTE) {
      at = endOfString(input, at);
      continue;
    }
    // `[` and `{`, `]` and `}`.
    if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (depth === 0 && (byte === 0x2c || byte === 0x5d || byte === 0x7d)) break;
    else if (byte === 0x5d || byte === 0x7d) depth--;
    at++;
  }
  while (at > start && skipSpace(input, at - 1) > at - 1) at--;
  return { start, end: at, depth: deepest };
}
