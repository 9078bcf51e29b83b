// ClientHello, ServerHello and HelloRetryRequest as they came: read by offset, with what is wrong in any of them whatever
// the state. Who agrees to what is decided elsewhere.
import { latin1, u32 } from '../../../bytes/reader.ts';
import type { Fault } from '../../../core/fault.ts';
import { Cursor, Extensions } from './cursor.ts';
import { faults } from './faults.ts';
import {
  ALPN,
  COOKIE,
  EARLY_DATA,
  KEY_SHARE,
  LEGACY_VERSION,
  PRE_SHARED_KEY,
  PSK_KEY_EXCHANGE_MODES,
  QUIC_TRANSPORT_PARAMETERS,
  RETRY_RANDOM,
  SERVER_NAME,
  SIGNATURE_ALGORITHMS,
  SUPPORTED_GROUPS,
  SUPPORTED_VERSIONS,
} from './wire.ts';

/** Where something stands in the message. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface OfferedTicket extends Span {
  readonly age: number;
}

export interface OfferedTickets {
  readonly tickets: readonly OfferedTicket[];
  readonly binders: readonly Span[];
  /** Up to here the binders are over the message. */
  readonly bindersAt: number;
}

export interface ClientHello {
  readonly random: Span;
  readonly sessionId: Span;
  readonly suites: readonly number[];
  readonly versions: readonly number[];
  /** Null where the extension is not there. */
  readonly groups: readonly number[] | null;
  readonly shares: ReadonlyMap<number, Span> | null;
  readonly schemes: readonly number[] | null;
  readonly alpn: readonly string[];
  readonly serverName: string | null;
  readonly parameters: Span | null;
  readonly modes: readonly number[] | null;
  readonly early: boolean;
  readonly cookie: Span | null;
  readonly offered: OfferedTickets | null;
}

/** Tickets of which more are not looked at: each costs a decryption. */
const TICKETS_MOST = 8;

export function isFault(value: object): value is Fault {
  return 'wire' in value;
}

/** @param start behind the header of the message */
export function readClientHello(bytes: Uint8Array, start: number, end: number): ClientHello | Fault {
  const body = new Cursor(bytes, start, end);
  body.u16();
  const random = { start: body.skip(32), end: body.at };
  const session = body.vector(1);
  const suites = numbersOf(body.vector(2, 2));
  const compression = body.vector(1, 1);
  // No extensions at all: a hello of old.
  if (!body.bad && body.at === body.end) return faults.version;
  const list = body.vector(2);
  if (!body.done || suites === null) return faults.malformed;
  if (session.end - session.at > 32) return faults.malformed;
  const extensions = new Extensions(list);
  if (!list.done) return faults.malformed;
  if (extensions.duplicate) return faults.duplicate;
  const versions = listOf(extensions, SUPPORTED_VERSIONS, 1);
  if (versions === MALFORMED) return faults.malformed;
  if (versions === null) return faults.version;
  if (compression.end - compression.at !== 1 || bytes[compression.at] !== 0) return faults.compression;
  if (extensions.has(PRE_SHARED_KEY) && extensions.last !== PRE_SHARED_KEY) return faults.pskPlace;
  const hello = { random, sessionId: { start: session.at, end: session.end }, suites, versions };
  return withExtensions(hello, extensions);
}

function withExtensions(
  hello: Pick<ClientHello, 'random' | 'sessionId' | 'suites' | 'versions'>,
  extensions: Extensions,
): ClientHello | Fault {
  const groups = listOf(extensions, SUPPORTED_GROUPS, 2);
  const schemes = listOf(extensions, SIGNATURE_ALGORITHMS, 2);
  const modes = bytesOf(extensions, PSK_KEY_EXCHANGE_MODES);
  if (groups === MALFORMED || schemes === MALFORMED || modes === MALFORMED) return faults.malformed;
  const shares = readShares(extensions.get(KEY_SHARE));
  if (shares !== null && !(shares instanceof Map)) return shares as Fault;
  const alpn = readProtocols(extensions.get(ALPN));
  if (alpn === null) return faults.malformed;
  const serverName = readServerName(extensions.get(SERVER_NAME));
  if (serverName === undefined) return faults.serverName;
  const early = extensions.get(EARLY_DATA);
  if (early?.more) return faults.malformed;
  const offered = readOffered(extensions.get(PRE_SHARED_KEY));
  if (offered !== null && isFault(offered)) return offered;
  const cookie = extensions.get(COOKIE);
  const held = cookie?.vector(2, 1) ?? null;
  if (cookie?.done === false) return faults.malformed;
  const parameters = extensions.get(QUIC_TRANSPORT_PARAMETERS);
  return {
    ...hello,
    groups,
    shares,
    schemes,
    alpn,
    serverName,
    modes,
    early: early !== null,
    offered,
    cookie: held === null ? null : { start: held.at, end: held.end },
    parameters: parameters === null ? null : { start: parameters.at, end: parameters.end },
  };
}

const MALFORMED = undefined;

function numbersOf(list: Cursor): number[] | null {
  const numbers: number[] = [];
  while (list.more) numbers.push(list.u16());
  return list.done ? numbers : null;
}

/** Numbers of 16 bits behind a length of one or two bytes; null where the extension is not there. */
function listOf(extensions: Extensions, type: number, lengthBytes: 1 | 2): number[] | null | undefined {
  const content = extensions.get(type);
  if (content === null) return null;
  const numbers = numbersOf(content.vector(lengthBytes, 2));
  return numbers === null || !content.done ? MALFORMED : numbers;
}

function bytesOf(extensions: Extensions, type: number): number[] | null | undefined {
  const content = extensions.get(type);
  if (content === null) return null;
  const list = content.vector(1, 1);
  return content.done ? [...list.rest()] : MALFORMED;
}

function readShares(content: Cursor | null): Map<number, Span> | Fault | null {
  if (content === null) return null;
  const list = content.vector(2);
  const shares = new Map<number, Span>();
  while (list.more) {
    const group = list.u16();
    const share = list.vector(2, 1);
    if (list.bad) break;
    if (shares.has(group)) return faults.shareTwice;
    shares.set(group, { start: share.at, end: share.end });
  }
  return list.done && content.done ? shares : faults.malformed;
}

/** The names of RFC 7301, one character a byte; null when they are malformed. */
export function readProtocols(content: Cursor | null): string[] | null {
  if (content === null) return [];
  const list = content.vector(2, 2);
  const names: string[] = [];
  while (list.more) {
    const name = list.vector(1, 1);
    if (!list.bad) names.push(latin1(name.bytes, name.at, name.end));
  }
  return list.done && content.done ? names : null;
}

/** In lower case; null for none, undefined when it is malformed (RFC 6066 §3). */
function readServerName(content: Cursor | null): string | null | undefined {
  if (content === null) return null;
  const list = content.vector(2, 1);
  let found: string | null = null;
  while (list.more) {
    const type = list.u8();
    const name = list.vector(2, 1);
    if (list.bad) break;
    if (type !== 0) continue;
    if (found !== null || name.end - name.at > 255) return undefined;
    found = latin1(name.bytes, name.at, name.end).toLowerCase();
    // Addresses are no names, but some send them.
    if (!/^[a-z0-9._:-]+$/.test(found)) return undefined;
  }
  return list.done && content.done ? found : undefined;
}

function readOffered(content: Cursor | null): OfferedTickets | Fault | null {
  if (content === null) return null;
  const tickets: OfferedTicket[] = [];
  const list = content.vector(2, 7);
  let count = 0;
  for (; list.more; count++) {
    const ticket = list.vector(2, 1);
    const age = list.u32();
    if (!list.bad && count < TICKETS_MOST) tickets.push({ start: ticket.at, end: ticket.end, age });
  }
  const bindersAt = content.at;
  const proofs = content.vector(2, 33);
  const binders: Span[] = [];
  let proofCount = 0;
  for (; proofs.more; proofCount++) {
    const binder = proofs.vector(1, 32);
    if (!proofs.bad && proofCount < TICKETS_MOST) binders.push({ start: binder.at, end: binder.end });
  }
  if (!list.done || !proofs.done || !content.done) return faults.malformed;
  return count === proofCount ? { tickets, binders, bindersAt } : faults.pskCount;
}

/** A ServerHello or, where `retry`, a HelloRetryRequest. */
export interface ServerHello {
  readonly retry: boolean;
  readonly sessionId: Span;
  readonly suite: number;
  readonly group: number | null;
  /** Null in a HelloRetryRequest. */
  readonly share: Span | null;
  readonly cookie: Span | null;
  /** The place of the ticket that was taken. */
  readonly chosen: number | null;
}

const IN_SERVER_HELLO: readonly number[] = [SUPPORTED_VERSIONS, KEY_SHARE, PRE_SHARED_KEY];
const IN_RETRY: readonly number[] = [SUPPORTED_VERSIONS, KEY_SHARE, COOKIE];

/** @param sent the extensions of our ClientHello */
export function readServerHello(
  bytes: Uint8Array,
  start: number,
  end: number,
  sent: ReadonlySet<number>,
): ServerHello | Fault {
  const body = new Cursor(bytes, start, end);
  const legacy = body.u16();
  const random = body.skip(32);
  const session = body.vector(1);
  const suite = body.u16();
  const compression = body.u8();
  if (!body.bad && body.at === body.end) return faults.version;
  const list = body.vector(2);
  if (!body.done) return faults.malformed;
  if (legacy !== LEGACY_VERSION) return faults.oldVersion;
  const extensions = new Extensions(list);
  if (!list.done) return faults.malformed;
  if (extensions.duplicate) return faults.duplicate;
  const version = extensions.get(SUPPORTED_VERSIONS);
  if (version === null) return faults.version;
  const spoken = version.u16();
  if (!version.done) return faults.malformed;
  if (spoken !== 0x0304) return faults.version;
  if (compression !== 0) return faults.compression;
  const retry = RETRY_RANDOM.equals(bytes.subarray(random, random + 32));
  for (const type of extensions.types()) {
    if ((retry ? IN_RETRY : IN_SERVER_HELLO).includes(type) && (sent.has(type) || type === COOKIE)) continue;
    return sent.has(type) ? faults.notHere : faults.notOffered;
  }
  return withAnswers({ retry, suite, sessionId: { start: session.at, end: session.end } }, extensions);
}

function withAnswers(
  hello: Pick<ServerHello, 'retry' | 'suite' | 'sessionId'>,
  extensions: Extensions,
): ServerHello | Fault {
  const key = extensions.get(KEY_SHARE);
  const group = key?.u16() ?? null;
  let share: Span | null = null;
  if (key !== null && !hello.retry) {
    const content = key.vector(2, 1);
    share = { start: content.at, end: content.end };
  }
  const cookie = extensions.get(COOKIE);
  const held = cookie?.vector(2, 1) ?? null;
  const psk = extensions.get(PRE_SHARED_KEY);
  const chosen = psk?.u16() ?? null;
  if (key?.done === false || cookie?.done === false || psk?.done === false) return faults.malformed;
  return {
    ...hello,
    group,
    share,
    chosen,
    cookie: held === null ? null : { start: held.at, end: held.end },
  };
}

/** The length of the message that begins at `at`, header and all; the caller has four bytes of it. */
export function messageBytes(bytes: Uint8Array, at: number): number {
  return 4 + (u32(bytes, at) & 0xff_ffff);
}
