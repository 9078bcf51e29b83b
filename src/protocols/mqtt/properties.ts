// The properties of MQTT 5.0: their identifiers, kinds and places, a reusable object that holds those of one packet, and
// how they are read and written. Earlier versions have none.
import { BAD, copyOf, u16, u32, utf8 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Fault } from '../../core/fault.ts';
import { codecFaults as faults } from './faults.ts';
import {
  AUTH,
  CONNACK,
  CONNECT,
  DISCONNECT,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBACK,
  SUBSCRIBE,
  UNSUBACK,
  UNSUBSCRIBE,
} from './packets.ts';
import { fieldFault, readText, readVarint, varintSize, writeBytes, writeText, writeVarint } from './text.ts';

/** What can be written. Absent: undefined, null, -1, or an empty list. */
export interface PropertyValues {
  /** 1: the payload is UTF-8 text. */
  readonly payloadFormat?: number;
  readonly messageExpiry?: number;
  readonly contentType?: string | null;
  readonly responseTopic?: string | null;
  readonly correlation?: Uint8Array | null;
  readonly subscriptionIds?: readonly number[];
  readonly sessionExpiry?: number;
  readonly assignedClientId?: string | null;
  readonly serverKeepAlive?: number;
  readonly authMethod?: string | null;
  readonly authData?: Uint8Array | null;
  readonly requestProblem?: number;
  readonly willDelay?: number;
  readonly requestResponse?: number;
  readonly responseInformation?: string | null;
  readonly serverReference?: string | null;
  readonly reason?: string | null;
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
  readonly topicAlias?: number;
  readonly maximumQos?: number;
  readonly retainAvailable?: number;
  /** Name, value, name, value. */
  readonly user?: readonly string[];
  readonly maximumPacketSize?: number;
  readonly wildcardAvailable?: number;
  readonly subscriptionIdsAvailable?: number;
  readonly sharedAvailable?: number;
}

export const NO_STRINGS: readonly string[] = Object.freeze([]);
export const NO_NUMBERS: readonly number[] = Object.freeze([]);

/** What was read. Absent numbers are -1, absent text and bytes null. Text, bytes and lists are copies: they may be kept. */
export class Properties implements PropertyValues {
  payloadFormat = -1;
  messageExpiry = -1;
  contentType: string | null = null;
  responseTopic: string | null = null;
  correlation: Uint8Array | null = null;
  subscriptionIds: readonly number[] = NO_NUMBERS;
  sessionExpiry = -1;
  assignedClientId: string | null = null;
  serverKeepAlive = -1;
  authMethod: string | null = null;
  authData: Uint8Array | null = null;
  requestProblem = -1;
  willDelay = -1;
  requestResponse = -1;
  responseInformation: string | null = null;
  serverReference: string | null = null;
  reason: string | null = null;
  receiveMaximum = -1;
  topicAliasMaximum = -1;
  topicAlias = -1;
  maximumQos = -1;
  retainAvailable = -1;
  user: readonly string[] = NO_STRINGS;
  maximumPacketSize = -1;
  wildcardAvailable = -1;
  subscriptionIdsAvailable = -1;
  sharedAvailable = -1;

  /** Forgets all. */
  clear(): void {
    this.payloadFormat = this.messageExpiry = this.sessionExpiry = this.serverKeepAlive = this.requestProblem = -1;
    this.willDelay = this.requestResponse = this.receiveMaximum = this.topicAliasMaximum = this.topicAlias = -1;
    this.maximumQos = this.retainAvailable = this.maximumPacketSize = this.wildcardAvailable = -1;
    this.subscriptionIdsAvailable = this.sharedAvailable = -1;
    this.contentType = this.responseTopic = this.assignedClientId = this.authMethod = null;
    this.responseInformation = this.serverReference = this.reason = null;
    this.correlation = this.authData = null;
    this.subscriptionIds = NO_NUMBERS;
    this.user = NO_STRINGS;
  }
}

/** The properties of a will are not those of its CONNECT; there is no packet with this type. */
export const WILL = 0;

export type PropertyKind = 'byte' | 'two' | 'four' | 'varint' | 'text' | 'bytes' | 'pair';

export interface PropertyRow {
  readonly id: number;
  readonly name: keyof Properties & keyof PropertyValues;
  readonly label: string;
  readonly kind: PropertyKind;
  /** The packets that can have it, one bit a type. */
  readonly places: number;
  readonly least: number;
  readonly most: number;
}

function bits(...types: readonly number[]): number {
  return types.reduce((mask, type) => mask | (1 << type), 0);
}

const ACKS = [PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK];
const EVERYWHERE = bits(WILL, CONNECT, CONNACK, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH, ...ACKS);

function row(
  id: number,
  name: PropertyRow['name'],
  label: string,
  kind: PropertyKind,
  places: number,
  least = 0,
  most = 0xffff_ffff,
): PropertyRow {
  return { id, name, label, kind, places, least, most };
}

/** MQTT 5.0 §2.2.2.2, Table 2-4. */
export const PROPERTY_ROWS: readonly PropertyRow[] = [
  row(0x01, 'payloadFormat', 'Payload Format Indicator', 'byte', bits(PUBLISH, WILL), 0, 1),
  row(0x02, 'messageExpiry', 'Message Expiry Interval', 'four', bits(PUBLISH, WILL)),
  row(0x03, 'contentType', 'Content Type', 'text', bits(PUBLISH, WILL)),
  row(0x08, 'responseTopic', 'Response Topic', 'text', bits(PUBLISH, WILL)),
  row(0x09, 'correlation', 'Correlation Data', 'bytes', bits(PUBLISH, WILL)),
  row(0x0b, 'subscriptionIds', 'Subscription Identifier', 'varint', bits(PUBLISH, SUBSCRIBE)),
  row(0x11, 'sessionExpiry', 'Session Expiry Interval', 'four', bits(CONNECT, CONNACK, DISCONNECT)),
  row(0x12, 'assignedClientId', 'Assigned Client Identifier', 'text', bits(CONNACK)),
  row(0x13, 'serverKeepAlive', 'Server Keep Alive', 'two', bits(CONNACK)),
  row(0x15, 'authMethod', 'Authentication Method', 'text', bits(CONNECT, CONNACK, AUTH)),
  row(0x16, 'authData', 'Authentication Data', 'bytes', bits(CONNECT, CONNACK, AUTH)),
  row(0x17, 'requestProblem', 'Request Problem Information', 'byte', bits(CONNECT), 0, 1),
  row(0x18, 'willDelay', 'Will Delay Interval', 'four', bits(WILL)),
  row(0x19, 'requestResponse', 'Request Response Information', 'byte', bits(CONNECT), 0, 1),
  row(0x1a, 'responseInformation', 'Response Information', 'text', bits(CONNACK)),
  row(0x1c, 'serverReference', 'Server Reference', 'text', bits(CONNACK, DISCONNECT)),
  row(0x1f, 'reason', 'Reason String', 'text', bits(CONNACK, DISCONNECT, AUTH, ...ACKS)),
  row(0x21, 'receiveMaximum', 'Receive Maximum', 'two', bits(CONNECT, CONNACK), 1),
  row(0x22, 'topicAliasMaximum', 'Topic Alias Maximum', 'two', bits(CONNECT, CONNACK)),
  row(0x23, 'topicAlias', 'Topic Alias', 'two', bits(PUBLISH), 1),
  row(0x24, 'maximumQos', 'Maximum QoS', 'byte', bits(CONNACK), 0, 1),
  row(0x25, 'retainAvailable', 'Retain Available', 'byte', bits(CONNACK), 0, 1),
  row(0x26, 'user', 'User Property', 'pair', EVERYWHERE),
  row(0x27, 'maximumPacketSize', 'Maximum Packet Size', 'four', bits(CONNECT, CONNACK), 1),
  row(0x28, 'wildcardAvailable', 'Wildcard Subscription Available', 'byte', bits(CONNACK), 0, 1),
  row(0x29, 'subscriptionIdsAvailable', 'Subscription Identifier Available', 'byte', bits(CONNACK), 0, 1),
  row(0x2a, 'sharedAvailable', 'Shared Subscription Available', 'byte', bits(CONNACK), 0, 1),
];

/** By identifier; a hole where there is no property. */
export const PROPERTY_BY_ID: readonly (PropertyRow | undefined)[] = Array.from({ length: 0x2b }, (_, id) =>
  PROPERTY_ROWS.find((known) => known.id === id),
);

const RESPONSE_TOPIC = 0x08;
const CORRELATION = 0x09;
const SUBSCRIPTION_ID = 0x0b;
const SESSION_EXPIRY = 0x11;
const SERVER_REFERENCE = 0x1c;
const TOPIC_ALIAS = 0x23;
const USER = 0x26;

/** Reads the properties of one packet. One serves a whole connection. */
export class PropertyReader {
  fault: Fault | null = null;
  private readonly userMax: number;
  private users: string[] = [];
  private identifiers: number[] = [];

  /** @param userMax the most user properties of one packet */
  constructor(userMax: number) {
    this.userMax = userMax;
  }

  /**
   * Reads a property block into `into`, which is clear. Answers the index behind it, or BAD.
   *
   * - length: variable byte integer, of what follows
   * - any number of: identifier, one byte (a variable byte integer, but all that are defined fit in one); value by kind
   *
   * @param place the packet's type, or WILL
   * @param byServer whether a server sent it
   */
  read(input: Uint8Array, start: number, end: number, place: number, byServer: boolean, into: Properties): number {
    const length = readVarint(input, start, end);
    if (length < 0) return this.bad(fieldFault(length));
    let at = start + varintSize(length);
    const stop = at + length;
    if (stop > end) return this.bad(faults.truncated);
    if (length === 0) return at;
    let low = 0;
    let high = 0;
    this.users = [];
    this.identifiers = [];
    while (at < stop) {
      const id = input[at]!;
      const known = PROPERTY_BY_ID[id];
      if (known === undefined) return this.bad(faults.propertyUnknown);
      if (!isAllowed(known, place, byServer)) return this.bad(misplaced(id, place));
      const bit = 1 << (id & 31);
      if (((id < 32 ? low : high) & bit) !== 0 && id !== USER && !(id === SUBSCRIPTION_ID && place === PUBLISH))
        return this.bad(faults.propertyTwice);
      if (id < 32) low |= bit;
      else high |= bit;
      at = this.value(known, input, at + 1, stop, into);
      if (at < 0) return BAD;
    }
    if (this.users.length > 0) into.user = this.users;
    if (this.identifiers.length > 0) into.subscriptionIds = this.identifiers;
    return at;
  }

  private value(known: PropertyRow, input: Uint8Array, at: number, stop: number, into: Properties): number {
    switch (known.kind) {
      case 'byte':
        return at + 1 > stop ? this.bad(faults.truncated) : this.number(known, input[at]!, at + 1, into);
      case 'two':
        return at + 2 > stop ? this.bad(faults.truncated) : this.number(known, u16(input, at), at + 2, into);
      case 'four':
        return at + 4 > stop ? this.bad(faults.truncated) : this.number(known, u32(input, at), at + 4, into);
      case 'varint': {
        const value = readVarint(input, at, stop);
        if (value < 0) return this.bad(fieldFault(value));
        if (value === 0) return this.bad(faults.subscriptionIdZero);
        this.identifiers.push(value);
        return at + varintSize(value);
      }
      case 'text':
        return this.text(known.id, input, at, stop, into);
      case 'bytes': {
        const after = at + 2 > stop ? Number.POSITIVE_INFINITY : at + 2 + u16(input, at);
        if (after > stop) return this.bad(faults.truncated);
        const bytes = copyOf(input, at + 2, after);
        if (known.id === CORRELATION) into.correlation = bytes;
        else into.authData = bytes;
        return after;
      }
      case 'pair': {
        const middle = readText(input, at, stop);
        if (middle < 0) return this.bad(fieldFault(middle));
        const after = readText(input, middle, stop);
        if (after < 0) return this.bad(fieldFault(after));
        if (this.users.length >= this.userMax * 2) return this.bad(faults.tooManyUserProperties);
        this.users.push(utf8(input, at + 2, middle), utf8(input, middle + 2, after));
        return after;
      }
    }
  }

  private number(known: PropertyRow, value: number, next: number, into: Properties): number {
    if (value < known.least || value > known.most)
      return this.bad(known.id === TOPIC_ALIAS ? faults.topicAliasZero : faults.propertyValue);
    setNumber(into, known.id, value);
    return next;
  }

  private text(id: number, input: Uint8Array, at: number, stop: number, into: Properties): number {
    const after = readText(input, at, stop);
    if (after < 0) return this.bad(fieldFault(after));
    const text = utf8(input, at + 2, after);
    // A response topic is a topic name: no wildcards ([MQTT-3.3.2-14]).
    if (id === RESPONSE_TOPIC && (text.includes('+') || text.includes('#')))
      return this.bad(faults.responseTopicWildcard);
    setText(into, id, text);
    return after;
  }

  private bad(fault: Fault): number {
    this.fault = fault;
    return BAD;
  }
}

function isAllowed(known: PropertyRow, place: number, byServer: boolean): boolean {
  if ((known.places & (1 << place)) === 0) return false;
  // A client may not tell subscription identifiers ([MQTT-3.3.4-6]), a server no session expiry at the end
  // ([MQTT-3.14.2-2]).
  if (place === PUBLISH) return byServer || known.id !== SUBSCRIPTION_ID;
  return place !== DISCONNECT || known.id !== (byServer ? SESSION_EXPIRY : SERVER_REFERENCE);
}

function misplaced(id: number, place: number): Fault {
  return id === SUBSCRIPTION_ID && place === PUBLISH ? faults.subscriptionIdFromClient : faults.propertyMisplaced;
}

// Written out, since a store by a computed name makes the object slow for everybody.
function setNumber(into: Properties, id: number, value: number): void {
  switch (id) {
    case 0x01:
      into.payloadFormat = value;
      break;
    case 0x02:
      into.messageExpiry = value;
      break;
    case SESSION_EXPIRY:
      into.sessionExpiry = value;
      break;
    case 0x13:
      into.serverKeepAlive = value;
      break;
    case 0x17:
      into.requestProblem = value;
      break;
    case 0x18:
      into.willDelay = value;
      break;
    case 0x19:
      into.requestResponse = value;
      break;
    case 0x21:
      into.receiveMaximum = value;
      break;
    case 0x22:
      into.topicAliasMaximum = value;
      break;
    case TOPIC_ALIAS:
      into.topicAlias = value;
      break;
    case 0x24:
      into.maximumQos = value;
      break;
    case 0x25:
      into.retainAvailable = value;
      break;
    case 0x27:
      into.maximumPacketSize = value;
      break;
    case 0x28:
      into.wildcardAvailable = value;
      break;
    case 0x29:
      into.subscriptionIdsAvailable = value;
      break;
    default:
      into.sharedAvailable = value;
  }
}

function setText(into: Properties, id: number, text: string): void {
  switch (id) {
    case 0x03:
      into.contentType = text;
      break;
    case RESPONSE_TOPIC:
      into.responseTopic = text;
      break;
    case 0x12:
      into.assignedClientId = text;
      break;
    case 0x15:
      into.authMethod = text;
      break;
    case 0x1a:
      into.responseInformation = text;
      break;
    case SERVER_REFERENCE:
      into.serverReference = text;
      break;
    default:
      into.reason = text;
  }
}

/** Writes a property block with its length. It is not checked whether the packet can have them: that is the caller's. */
export function writeProperties(out: ByteWriter, values: PropertyValues | null): void {
  const at = out.length;
  out.u8(0);
  if (values === null) return;
  for (const known of PROPERTY_ROWS) writeProperty(out, known, values[known.name]);
  closeLength(out, at);
}

function writeProperty(out: ByteWriter, known: PropertyRow, value: PropertyValues[PropertyRow['name']]): void {
  if (value === undefined || value === null || value === -1) return;
  if (typeof value === 'number') {
    out.u8(known.id);
    if (known.kind === 'byte') out.u8(value);
    else if (known.kind === 'two') out.u16(value);
    else out.u32(value);
  } else if (typeof value === 'string') {
    out.u8(known.id);
    writeText(out, value);
  } else if (value instanceof Uint8Array) {
    out.u8(known.id);
    writeBytes(out, value);
  } else writeList(out, known.id, value);
}

function writeList(out: ByteWriter, id: number, values: readonly (string | number)[]): void {
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (typeof value === 'number') {
      out.u8(id);
      writeVarint(out, value);
      continue;
    }
    if (index % 2 === 0) out.u8(id);
    writeText(out, value);
  }
}

/**
 * Puts the length of everything behind position `at` at `at`, where one byte was left for it, as a variable byte integer;
 * moves what is behind it when it takes more than one byte.
 */
export function closeLength(out: ByteWriter, at: number): void {
  const length = out.length - at - 1;
  const size = varintSize(length);
  if (size > 1) {
    out.ensure(size - 1);
    out.bytes.copyWithin(at + size, at + 1, out.length);
  }
  out.length = at;
  writeVarint(out, length);
  out.length += length;
}
