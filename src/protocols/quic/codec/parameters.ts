// Transport parameters (RFC 9000 §18, RFC 9221, RFC 9287, RFC 9368): as values, and as bytes for the handshake.
import { copyOf, MORE, u16, u32 } from '../../../bytes/reader.ts';
import type { Fault } from '../../../core/fault.ts';
import type { Address } from '../../../core/peer.ts';
import { transportFaults as faults } from '../faults.ts';
import { isBeyondStreams, varintAt, varintBytes, varintEnd, writeVarint } from './varint.ts';

const ORIGINAL_DESTINATION = 0x00;
const IDLE = 0x01;
const RESET_TOKEN = 0x02;
const UDP_PAYLOAD = 0x03;
const DATA = 0x04;
const STREAM_DATA_LOCAL = 0x05;
const STREAM_DATA_REMOTE = 0x06;
const STREAM_DATA_ONE_WAY = 0x07;
const STREAMS_TWO_WAY = 0x08;
const STREAMS_ONE_WAY = 0x09;
const ACK_EXPONENT = 0x0a;
const ACK_DELAY = 0x0b;
const NO_MIGRATION = 0x0c;
const PREFERRED_ADDRESS = 0x0d;
const IDS = 0x0e;
const INITIAL_SOURCE = 0x0f;
const RETRY_SOURCE = 0x10;
const VERSIONS = 0x11;
const DATAGRAM = 0x20;
const GREASE_BIT = 0x2ab2;

export interface PreferredAddress {
  readonly v4: Address | null;
  readonly v6: Address | null;
  readonly id: Uint8Array;
  readonly resetToken: Uint8Array;
}

export interface Parameters {
  originalDestination: Uint8Array | null;
  initialSource: Uint8Array | null;
  retrySource: Uint8Array | null;
  resetToken: Uint8Array | null;
  /** 0: none. */
  idleMs: number;
  udpPayloadMax: number;
  dataMax: number;
  streamDataLocalMax: number;
  streamDataRemoteMax: number;
  streamDataOneWayMax: number;
  streamsTwoWayMax: number;
  streamsOneWayMax: number;
  ackExponent: number;
  ackDelayMs: number;
  noMigration: boolean;
  preferred: PreferredAddress | null;
  idsMax: number;
  /** The largest DATAGRAM frame; 0 for none. */
  datagramMax: number;
  greaseBit: boolean;
  /** The version in use, and those that could be, by preference (RFC 9368 §3). */
  versionChosen: number;
  versions: readonly number[];
}

/** What is meant by a parameter that is not there (RFC 9000 §18.2). */
export function defaultParameters(): Parameters {
  return {
    originalDestination: null,
    initialSource: null,
    retrySource: null,
    resetToken: null,
    idleMs: 0,
    udpPayloadMax: 65_527,
    dataMax: 0,
    streamDataLocalMax: 0,
    streamDataRemoteMax: 0,
    streamDataOneWayMax: 0,
    streamsTwoWayMax: 0,
    streamsOneWayMax: 0,
    ackExponent: 3,
    ackDelayMs: 25,
    noMigration: false,
    preferred: null,
    idsMax: 2,
    datagramMax: 0,
    greaseBit: false,
    versionChosen: 0,
    versions: [],
  };
}

const STREAMS_MOST = 2 ** 60;

/** The numbers, by their id: field, least and most. */
type Numeric = {
  [Name in keyof Parameters]: Parameters[Name] extends number ? Name : never;
}[keyof Parameters];

const NUMBERS: ReadonlyMap<number, readonly [Numeric, least: number, most: number]> = new Map([
  [IDLE, ['idleMs', 0, 2 ** 62]],
  [UDP_PAYLOAD, ['udpPayloadMax', 1_200, 2 ** 62]],
  [DATA, ['dataMax', 0, 2 ** 62]],
  [STREAM_DATA_LOCAL, ['streamDataLocalMax', 0, 2 ** 62]],
  [STREAM_DATA_REMOTE, ['streamDataRemoteMax', 0, 2 ** 62]],
  [STREAM_DATA_ONE_WAY, ['streamDataOneWayMax', 0, 2 ** 62]],
  [STREAMS_TWO_WAY, ['streamsTwoWayMax', 0, STREAMS_MOST]],
  [STREAMS_ONE_WAY, ['streamsOneWayMax', 0, STREAMS_MOST]],
  [ACK_EXPONENT, ['ackExponent', 0, 20]],
  [ACK_DELAY, ['ackDelayMs', 0, 2 ** 14 - 1]],
  [IDS, ['idsMax', 2, 2 ** 62]],
  [DATAGRAM, ['datagramMax', 0, 2 ** 62]],
] as const);

const SERVERS_ONLY: readonly number[] = [ORIGINAL_DESTINATION, RESET_TOKEN, PREFERRED_ADDRESS, RETRY_SOURCE];

/** Reads them; `fromClient` tells whose they are. A fault when they cannot be (RFC 9000 §7.4). */
export function readParameters(bytes: Uint8Array, start: number, end: number, fromClient: boolean): Parameters | Fault {
  const read = defaultParameters();
  const seen = new Set<number>();
  let at = start;
  while (at < end) {
    const sizeAt = varintEnd(bytes, at, end);
    const valueAt = sizeAt === MORE ? MORE : varintEnd(bytes, sizeAt, end);
    if (valueAt === MORE) return faults.parametersMalformed;
    const id = varintAt(bytes, at);
    at = valueAt + varintAt(bytes, sizeAt);
    if (at > end) return faults.parametersMalformed;
    if (seen.has(id)) return faults.parameterTwice;
    seen.add(id);
    if (fromClient && SERVERS_ONLY.includes(id)) return faults.parameterNotClients;
    const fault = readOne(read, id, bytes, valueAt, at);
    if (fault !== null) return fault;
  }
  return read;
}

function readOne(into: Parameters, id: number, bytes: Uint8Array, start: number, end: number): Fault | null {
  const numeric = NUMBERS.get(id);
  if (numeric !== undefined) {
    if (varintEnd(bytes, start, end) !== end) return faults.parametersMalformed;
    const value = varintAt(bytes, start);
    if (value < numeric[1] || value > numeric[2]) return faults.parameterValue;
    if (numeric[2] === STREAMS_MOST && isBeyondStreams(bytes, start)) return faults.parameterValue;
    into[numeric[0]] = value;
    return null;
  }
  const size = end - start;
  switch (id) {
    case ORIGINAL_DESTINATION:
    case INITIAL_SOURCE:
    case RETRY_SOURCE: {
      if (size > 20) return faults.parameterValue;
      const value = copyOf(bytes, start, end);
      if (id === ORIGINAL_DESTINATION) into.originalDestination = value;
      else if (id === INITIAL_SOURCE) into.initialSource = value;
      else into.retrySource = value;
      return null;
    }
    case RESET_TOKEN:
      if (size !== 16) return faults.parameterValue;
      into.resetToken = copyOf(bytes, start, end);
      return null;
    case NO_MIGRATION:
    case GREASE_BIT:
      if (size !== 0) return faults.parameterValue;
      if (id === NO_MIGRATION) into.noMigration = true;
      else into.greaseBit = true;
      return null;
    case PREFERRED_ADDRESS:
      into.preferred = readPreferred(bytes, start, end);
      return into.preferred === null ? faults.parameterValue : null;
    case VERSIONS:
      return readVersions(into, bytes, start, end);
    default:
      // What is not known is let pass (RFC 9000 §7.4.2).
      return null;
  }
}

function readVersions(into: Parameters, bytes: Uint8Array, start: number, end: number): Fault | null {
  if (end - start < 4 || (end - start) % 4 !== 0) return faults.parametersMalformed;
  into.versionChosen = u32(bytes, start);
  const versions: number[] = [];
  for (let at = start + 4; at < end; at += 4) versions.push(u32(bytes, at));
  into.versions = versions;
  return into.versionChosen === 0 || versions.includes(0) ? faults.parameterValue : null;
}

/** IPv4 address and port, IPv6 address and port, id with its length, token (RFC 9000 §18.2) */
function readPreferred(bytes: Uint8Array, start: number, end: number): PreferredAddress | null {
  if (end - start < 42) return null;
  const size = bytes[start + 24]!;
  if (size < 1 || size > 20 || end - start !== 41 + size) return null;
  const port4 = u16(bytes, start + 4);
  const port6 = u16(bytes, start + 22);
  const groups: string[] = [];
  for (let at = start + 6; at < start + 22; at += 2) groups.push(u16(bytes, at).toString(16));
  return {
    v4: port4 === 0 ? null : { host: bytes.subarray(start, start + 4).join('.'), port: port4 },
    v6: port6 === 0 ? null : { host: groups.join(':'), port: port6 },
    id: copyOf(bytes, start + 25, start + 25 + size),
    resetToken: copyOf(bytes, end - 16, end),
  };
}

/** The bytes of an IPv6 address, whose longest run of zeros may be left out. */
function octetsOf6(host: string): number[] {
  const [head = '', tail] = host.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((one) => Number.parseInt(one, 16));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = new Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0);
  return [...before, ...zeros, ...after].flatMap((one) => [one >>> 8, one & 0xff]);
}

function preferredBytes({ v4, v6, id, resetToken }: PreferredAddress): Buffer {
  const four = v4 === null ? [0, 0, 0, 0] : v4.host.split('.').map(Number);
  const six = v6 === null ? new Array<number>(16).fill(0) : octetsOf6(v6.host);
  const port = (address: Address | null) => [(address?.port ?? 0) >>> 8, (address?.port ?? 0) & 0xff];
  return Buffer.from([...four, ...port(v4), ...six, ...port(v6), id.length, ...id, ...resetToken]);
}

/** In wire form; what has its default is left out. */
export function writeParameters(parameters: Parameters): Buffer {
  const out = Buffer.alloc(1_024);
  const plain = defaultParameters();
  let at = 0;
  const put = (id: number, value: Uint8Array | null): void => {
    if (value === null) return;
    at = writeVarint(out, at, id);
    at = writeVarint(out, at, value.length);
    out.set(value, at);
    at += value.length;
  };
  put(ORIGINAL_DESTINATION, parameters.originalDestination);
  for (const [id, [name]] of NUMBERS) {
    const value = parameters[name];
    if (value === plain[name]) continue;
    at = writeVarint(out, at, id);
    at = writeVarint(out, at, varintBytes(value));
    at = writeVarint(out, at, value);
  }
  put(RESET_TOKEN, parameters.resetToken);
  if (parameters.noMigration) put(NO_MIGRATION, NOTHING);
  if (parameters.greaseBit) put(GREASE_BIT, NOTHING);
  put(INITIAL_SOURCE, parameters.initialSource);
  put(RETRY_SOURCE, parameters.retrySource);
  if (parameters.preferred !== null) put(PREFERRED_ADDRESS, preferredBytes(parameters.preferred));
  if (parameters.versionChosen !== 0) {
    const versions = Buffer.alloc(4 + 4 * parameters.versions.length);
    versions.writeUInt32BE(parameters.versionChosen, 0);
    for (const [index, one] of parameters.versions.entries()) versions.writeUInt32BE(one, 4 + index * 4);
    put(VERSIONS, versions);
  }
  return out.subarray(0, at);
}

const NOTHING = new Uint8Array();

export function isFault(value: Parameters | Fault): value is Fault {
  return 'wire' in value;
}
