// Bytes to packets, for all three versions and both directions. It knows which bytes can be a packet, and nothing of what
// may come when; packets.ts has the words, encode.ts the way back.
import { BAD, copyOf, MORE, u16, utf8, view } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { codecFaults as faults } from './faults.ts';
import { versionOf, wrongConnectFlags, wrongOptions } from './flags.ts';
import * as P from './packets.ts';
import { NO_STRINGS, Properties, PropertyReader, WILL } from './properties.ts';
import { isReason } from './reasons.ts';
import { fieldFault, readText, varintSize } from './text.ts';

/** Who sends what is read. */
export type Sender = 'client' | 'server';

/** The reader's bounds; the bound limits of the protocol have them. */
export interface ReaderBounds {
  readonly packetBytesMax: number;
  readonly userPropertiesMax: number;
  readonly filtersMax: number;
}

/** Larger packets are taken as they come, so that a pipe need not keep them; smaller ones are waited for. */
export const COLLECT_LEAST = 16_384;

/** The first piece of storage for a packet that is taken as it comes: who announces a megabyte has not sent it yet. */
const COLLECT_FIRST = 65_536;

/** The longest topic name that is remembered to be recognised again. */
const TOPIC_REMEMBERED = 256;
const NO_TOPIC = new Uint8Array(0);

/** Not a version yet: only a CONNECT can be read. */
export const UNKNOWN = 0;

const NO_BYTES = new Uint8Array(0);
const NO_SUBSCRIPTIONS: readonly P.SubscriptionRequest[] = [];
const NO_REASONS: readonly number[] = [];

/** The packets of either side, one bit a type (MQTT 5.0 §2.1.2). */
const FROM_CLIENT = bitsOf(P.CONNECT, P.SUBSCRIBE, P.UNSUBSCRIBE, P.PINGREQ);
const FROM_SERVER = bitsOf(P.CONNACK, P.SUBACK, P.UNSUBACK, P.PINGRESP);
/** The packets that carry flags 0010 ([MQTT-2.1.3-1]). */
const FLAGS_TWO = bitsOf(P.PUBREL, P.SUBSCRIBE, P.UNSUBSCRIBE);

function bitsOf(...types: readonly number[]): number {
  return types.reduce((mask, type) => mask | (1 << type), 0);
}

/**
 * Reads packets one after the other; its fields are those of the last one, and valid until the next `read`. One serves one
 * direction of one connection.
 */
export class PacketReader {
  /** Set when `read` answers BAD. */
  fault: Fault | null = null;
  /** Set by a CONNECT as soon as its level is known; a client sets its own. */
  version: P.Version | typeof UNKNOWN = UNKNOWN;
  /** The level that a CONNECT asked for, also when it is not supported. */
  level = 0;
  /** The most bytes of a packet; may be changed between packets. */
  packetBytesMax: number;

  /** The packet's type, or 0 when `read` took bytes that are no whole packet yet. */
  type = 0;
  /** The size of the packet with its fixed header. */
  size = 0;
  /** What the offsets below refer to. Borrowed, unless the packet was large: use `keep`. */
  bytes: Uint8Array = NO_BYTES;

  // ---- PUBLISH; `packetId` also of acknowledgements, SUBSCRIBE and UNSUBSCRIBE
  dup = false;
  qos: P.Qos = 0;
  retain = false;
  /** An empty topic name stands for the one of its alias. */
  topicStart = 0;
  topicEnd = 0;
  packetId = 0;
  payloadStart = 0;
  payloadEnd = 0;
  /** Of every packet but CONNECT, which has its own; clear before 5.0. */
  readonly properties = new Properties();
  /** There are properties. */
  hasProperties = false;

  // ---- others
  /** CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT, AUTH. */
  reason = 0;
  sessionPresent = false;
  connect: P.ConnectRead | null = null;
  /** SUBSCRIBE. */
  subscriptions: readonly P.SubscriptionRequest[] = NO_SUBSCRIPTIONS;
  /** UNSUBSCRIBE. */
  filters: readonly string[] = NO_STRINGS;
  /** SUBACK and UNSUBACK; empty in an UNSUBACK before 5.0. */
  reasons: readonly number[] = NO_REASONS;

  private readonly byServer: boolean;
  private readonly filtersMax: number;
  private readonly propertyReader: PropertyReader;

  /** The fixed header's length had more bytes than it needs: wrong in 5.0 only. */
  private minimal = true;
  /** A large packet that is being taken as it comes. */
  private hold: Buffer | null = null;
  private held = 0;
  private holdSize = 0;
  private holdBody = 0;
  /** `bytes` are not borrowed. */
  private owned = false;
  private lastTopic = NO_TOPIC;
  private lastTopicLength = -1;
  private lastTopicText = '';

  constructor(sender: Sender, bounds: ReaderBounds) {
    this.byServer = sender === 'server';
    this.packetBytesMax = bounds.packetBytesMax;
    this.filtersMax = bounds.filtersMax;
    this.propertyReader = new PropertyReader(bounds.userPropertiesMax);
  }

  /**
   * Reads one packet from `input[start..end)`. Answers the index behind it; MORE when a small packet is not all there, of
   * which nothing is consumed; BAD with `fault` set. Of a large packet (over 16 KiB) everything is consumed as it comes,
   * with `type` 0 until it is complete.
   *
   * - packet type: 4 bits; flags: 4 bits
   * - remaining length: variable byte integer
   */
  read(input: Uint8Array, start: number, end: number): number {
    this.type = 0;
    if (this.hold !== null) return this.collect(input, start, end);
    if (start >= end) return MORE;
    const first = input[start]!;
    const wrong = this.firstByte(first);
    if (wrong !== null) return this.bad(wrong);
    let at = start + 1;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      if (at === end) return MORE;
      const byte = input[at++]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
      if (shift === 21) return this.bad(faults.remainingLength);
    }
    const size = at - start + length;
    // A packet that is too large is refused before its body comes ([MQTT-3.2.2-15]).
    if (size > this.packetBytesMax) return this.bad(faults.packetTooLarge);
    this.minimal = at - start - 1 === varintSize(length);
    if (!this.minimal && this.version === P.V5) return this.bad(faults.lengthNotMinimal);
    if (start + size > end) {
      if (size <= COLLECT_LEAST) return MORE;
      this.hold = Buffer.allocUnsafeSlow(Math.min(size, COLLECT_FIRST));
      this.held = 0;
      this.holdSize = size;
      this.holdBody = at - start;
      return this.collect(input, start, end);
    }
    this.size = size;
    this.bytes = input;
    this.owned = false;
    return this.body(first, at, start + size);
  }

  /** The topic name of a PUBLISH. The same name again is the same string, made once. */
  topic(): string {
    const { bytes, topicStart, topicEnd } = this;
    const length = topicEnd - topicStart;
    if (length === this.lastTopicLength && this.isLastTopic(bytes, topicStart, length)) return this.lastTopicText;
    const text = utf8(bytes, topicStart, topicEnd);
    if (length > TOPIC_REMEMBERED) return text;
    if (this.lastTopic === NO_TOPIC) this.lastTopic = new Uint8Array(TOPIC_REMEMBERED);
    for (let index = 0; index < length; index++) this.lastTopic[index] = bytes[topicStart + index]!;
    this.lastTopicLength = length;
    this.lastTopicText = text;
    return text;
  }

  /** Bytes of the packet that may be kept: a copy, or a view when the packet was large and is this reader's own. */
  keep(start: number, end: number): Buffer {
    return this.owned ? view(this.bytes, start, end) : copyOf(this.bytes, start, end);
  }

  private bad(fault: Fault): number {
    this.fault = fault;
    this.type = 0;
    this.hold = null;
    return BAD;
  }

  /** Whether a packet can begin like this; it is known at once, so that a stranger is turned away by its first byte. */
  private firstByte(first: number): Fault | null {
    const type = first >>> 4;
    const { version } = this;
    if (type === P.PUBLISH && version !== UNKNOWN) {
      if ((first & 0x06) === 0x06) return faults.qosThree;
      // 3.1 does not say it.
      return (first & 0x0e) === 0x08 && version !== P.V31 ? faults.dupQosZero : null;
    }
    if (type === 0 || (type === P.AUTH && version !== P.V5 && version !== UNKNOWN)) return faults.packetType;
    if (((this.byServer ? FROM_CLIENT : FROM_SERVER) & (1 << type)) !== 0) return faults.wrongDirection;
    if (type === P.DISCONNECT && this.byServer && version !== P.V5) return faults.wrongDirection;
    if (version === UNKNOWN && type !== P.CONNECT) return faults.firstNotConnect;
    if (version !== UNKNOWN && type === P.CONNECT) return faults.secondConnect;
    const wanted = (FLAGS_TWO & (1 << type)) !== 0 ? 0x02 : 0;
    // In 3.1 these flags are unused but for QoS 1 where it says so, and a repeated SUBSCRIBE sets DUP (MQTT 3.1 §2.1).
    const seen = version === P.V31 ? first & wanted : first & 0x0f;
    return seen === wanted ? null : faults.headerFlags;
  }

  /** Takes what has come of a large packet. */
  private collect(input: Uint8Array, start: number, end: number): number {
    const take = Math.min(end - start, this.holdSize - this.held);
    let hold = this.hold!;
    if (this.held + take > hold.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.holdSize, Math.max(hold.length * 2, this.held + take)));
      hold.copy(grown, 0, 0, this.held);
      this.hold = hold = grown;
    }
    hold.set(input.subarray(start, start + take), this.held);
    this.held += take;
    if (this.held < this.holdSize) return start + take;
    this.hold = null;
    this.bytes = hold;
    this.size = this.holdSize;
    this.owned = true;
    const next = this.body(hold[0]!, this.holdBody, this.holdSize);
    return next === BAD ? BAD : start + take;
  }

  private body(first: number, at: number, stop: number): number {
    const type = first >>> 4;
    if (this.hasProperties) {
      this.properties.clear();
      this.hasProperties = false;
    }
    const next = type === P.PUBLISH ? this.publish(first, at, stop) : this.other(type, at, stop);
    if (next === BAD) return BAD;
    if (next !== stop) return this.bad(faults.trailingBytes);
    this.type = type;
    return stop;
  }

  /**
   * PUBLISH (MQTT 5.0 §3.3):
   *
   * - flags: DUP, QoS (2 bits), RETAIN
   * - topic name: string
   * - packet identifier: two bytes, with QoS 1 and 2
   * - properties: 5.0
   * - payload: the rest
   */
  private publish(first: number, at: number, stop: number): number {
    this.dup = (first & 0x08) !== 0;
    this.qos = ((first >>> 1) & 3) as P.Qos;
    this.retain = (first & 0x01) !== 0;
    at = this.topicName(at, stop);
    if (at < 0) return BAD;
    if (this.qos > 0) {
      at = this.identifier(at, stop);
      if (at < 0) return BAD;
    }
    if (this.version === P.V5) {
      at = this.block(at, stop, P.PUBLISH, this.properties);
      if (at < 0) return BAD;
    }
    // [MQTT-4.7.3-1], and MQTT 5.0 §3.3.2.1 for the alias.
    if (this.topicStart === this.topicEnd && this.properties.topicAlias < 0) return this.bad(faults.topicEmpty);
    this.payloadStart = at;
    this.payloadEnd = stop;
    return stop;
  }

  private topicName(at: number, stop: number): number {
    const { bytes } = this;
    if (at + 2 > stop) return this.bad(faults.truncated);
    const length = u16(bytes, at);
    const start = at + 2;
    const after = start + length;
    if (after > stop) return this.bad(faults.truncated);
    this.topicStart = start;
    this.topicEnd = after;
    if (length === this.lastTopicLength && this.isLastTopic(bytes, start, length)) return after;
    for (let index = start; index < after; index++) {
      const byte = bytes[index]!;
      // A topic name has no wildcards ([MQTT-3.3.2-2]).
      if (byte === 0x2b || byte === 0x23) return this.bad(faults.topicWildcard);
      if (byte === 0 || byte > 0x7f) {
        const checked = readText(bytes, at, stop);
        if (checked < 0) return this.bad(fieldFault(checked));
      }
    }
    return after;
  }

  private isLastTopic(bytes: Uint8Array, start: number, length: number): boolean {
    const { lastTopic } = this;
    // From the end: topics of one sender differ there.
    for (let index = length - 1; index >= 0; index--) if (bytes[start + index] !== lastTopic[index]) return false;
    return true;
  }

  private identifier(at: number, stop: number): number {
    if (at + 2 > stop) return this.bad(faults.truncated);
    this.packetId = u16(this.bytes, at);
    return this.packetId === 0 ? this.bad(faults.packetIdZero) : at + 2;
  }

  private block(at: number, stop: number, place: number, into: Properties): number {
    // Most packets have none.
    if (at < stop && this.bytes[at] === 0) return at + 1;
    if (into === this.properties) this.hasProperties = true;
    const next = this.propertyReader.read(this.bytes, at, stop, place, this.byServer, into);
    return next === BAD ? this.bad(this.propertyReader.fault!) : next;
  }

  private other(type: number, at: number, stop: number): number {
    switch (type) {
      case P.CONNECT:
        return this.readConnect(at, stop);
      case P.CONNACK:
        return this.connack(at, stop);
      case P.SUBSCRIBE:
        return this.subscribe(at, stop);
      case P.UNSUBSCRIBE:
        return this.unsubscribe(at, stop);
      case P.SUBACK:
      case P.UNSUBACK:
        return this.acknowledged(type, at, stop);
      case P.PINGREQ:
      case P.PINGRESP:
        return at;
      case P.DISCONNECT:
      case P.AUTH:
        return this.ending(type, at, stop);
      default:
        return this.acknowledgement(type, at, stop);
    }
  }

  /**
   * PUBACK, PUBREC, PUBREL, PUBCOMP (MQTT 5.0 §3.4):
   *
   * - packet identifier: two bytes
   * - reason code: one byte, 5.0; absent for success without properties
   * - properties: 5.0; absent when the packet ends before
   */
  private acknowledgement(type: number, at: number, stop: number): number {
    at = this.identifier(at, stop);
    this.reason = 0;
    if (at < 0 || this.version !== P.V5 || at === stop) return at;
    return this.reasonAndProperties(type, at, stop, true);
  }

  /**
   * DISCONNECT and AUTH (MQTT 5.0 §3.14, §3.15), empty before 5.0:
   *
   * - reason code: one byte; absent for success without properties
   * - properties; absent in a DISCONNECT that ends before
   */
  private ending(type: number, at: number, stop: number): number {
    this.reason = 0;
    if (this.version !== P.V5) return at;
    if (at === stop) return type === P.AUTH && !this.byServer ? this.bad(faults.reasonCode) : at;
    at = this.reasonAndProperties(type, at, stop, type === P.DISCONNECT);
    if (at < 0) return BAD;
    if (type === P.AUTH && this.properties.authMethod === null) return this.bad(faults.authMethodMissing);
    return at;
  }

  private reasonAndProperties(type: number, at: number, stop: number, short: boolean): number {
    this.reason = this.bytes[at]!;
    if (!isReason(type, this.reason, P.V5, this.byServer)) return this.bad(faults.reasonCode);
    return short && at + 1 === stop ? stop : this.block(at + 1, stop, type, this.properties);
  }

  /**
   * CONNACK (MQTT 5.0 §3.2):
   *
   * - acknowledge flags: one byte, the lowest is session present
   * - reason code: one byte
   * - properties: 5.0
   */
  private connack(at: number, stop: number): number {
    if (at + 2 > stop) return this.bad(faults.truncated);
    const flags = this.bytes[at]!;
    this.reason = this.bytes[at + 1]!;
    // The first byte is reserved in 3.1 (MQTT 3.1 §3.2).
    if (flags > 1 && this.version !== P.V31) return this.bad(faults.connackFlags);
    this.sessionPresent = flags === 1 && this.version !== P.V31;
    if (this.version === P.V5 && at + 2 === stop && this.reason === P.RETURN.unacceptableVersion) {
      // A server of an earlier version refuses in its own form, since it cannot have another.
      this.reason = P.REASON.unsupportedProtocolVersion;
      return stop;
    }
    if (!isReason(P.CONNACK, this.reason, this.version, true)) return this.bad(faults.reasonCode);
    if (this.sessionPresent && this.reason !== 0) return this.bad(faults.sessionPresentRefused);
    if (this.version !== P.V5) return at + 2;
    const next = this.block(at + 2, stop, P.CONNACK, this.properties);
    return next < 0 ? BAD : this.authenticated(this.properties, next);
  }

  /** Authentication data is about a method, which must be there (MQTT 5.0 §3.1.2.11.10). */
  private authenticated(properties: Properties, next: number): number {
    return properties.authData !== null && properties.authMethod === null ? this.bad(faults.authDataAlone) : next;
  }

  /**
   * SUBSCRIBE (MQTT 5.0 §3.8):
   *
   * - packet identifier: two bytes
   * - properties: 5.0
   * - one or more of: topic filter: string; options: one byte
   *
   * The options: two bits QoS; in 5.0 one bit no local, one bit retain as published, two bits retain handling.
   */
  private subscribe(at: number, stop: number): number {
    at = this.identifier(at, stop);
    if (at >= 0 && this.version === P.V5) at = this.block(at, stop, P.SUBSCRIBE, this.properties);
    if (at < 0) return BAD;
    const subscriptions: P.SubscriptionRequest[] = [];
    while (at < stop) {
      const after = readText(this.bytes, at, stop);
      if (after < 0) return this.bad(fieldFault(after));
      if (after === stop) return this.bad(faults.truncated);
      const filter = utf8(this.bytes, at + 2, after);
      const options = this.bytes[after]!;
      const wrong = wrongOptions(options, filter, this.version);
      if (wrong !== null) return this.bad(wrong);
      if (subscriptions.length === this.filtersMax) return this.bad(faults.tooManyFilters);
      subscriptions.push({
        filter,
        qos: (options & 3) as P.Qos,
        noLocal: this.version === P.V5 && (options & 0x04) !== 0,
        retainAsPublished: this.version === P.V5 && (options & 0x08) !== 0,
        retainHandling: (this.version === P.V5 ? (options >>> 4) & 3 : 0) as 0 | 1 | 2,
      });
      at = after + 1;
    }
    this.subscriptions = subscriptions;
    return subscriptions.length === 0 ? this.bad(faults.noSubscriptions) : at;
  }

  /**
   * UNSUBSCRIBE (MQTT 5.0 §3.10):
   *
   * - packet identifier: two bytes
   * - properties: 5.0
   * - one or more of: topic filter: string
   */
  private unsubscribe(at: number, stop: number): number {
    at = this.identifier(at, stop);
    if (at >= 0 && this.version === P.V5) at = this.block(at, stop, P.UNSUBSCRIBE, this.properties);
    if (at < 0) return BAD;
    const filters: string[] = [];
    while (at < stop) {
      const after = readText(this.bytes, at, stop);
      if (after < 0) return this.bad(fieldFault(after));
      if (filters.length === this.filtersMax) return this.bad(faults.tooManyFilters);
      filters.push(utf8(this.bytes, at + 2, after));
      at = after;
    }
    this.filters = filters;
    return filters.length === 0 ? this.bad(faults.noUnsubscriptions) : at;
  }

  /**
   * SUBACK and UNSUBACK (MQTT 5.0 §3.9, §3.11):
   *
   * - packet identifier: two bytes
   * - properties: 5.0
   * - reason codes: one byte a filter; none in an UNSUBACK before 5.0
   */
  private acknowledged(type: number, at: number, stop: number): number {
    at = this.identifier(at, stop);
    if (at >= 0 && this.version === P.V5) at = this.block(at, stop, type, this.properties);
    if (at < 0) return BAD;
    this.reasons = NO_REASONS;
    if (type === P.UNSUBACK && this.version !== P.V5) return at;
    if (at === stop) return this.bad(faults.noReasons);
    const reasons: number[] = [];
    for (; at < stop; at++) {
      const reason = this.bytes[at]!;
      if (!isReason(type, reason, this.version, true)) return this.bad(faults.reasonCode);
      reasons.push(reason);
    }
    this.reasons = reasons;
    return at;
  }

  /**
   * The variable header of a CONNECT (MQTT 5.0 §3.1.2); `connectFields` reads the rest.
   *
   * - protocol name: string, `MQTT`, or `MQIsdp` in 3.1
   * - protocol version: one byte
   * - connect flags: one byte: user name, password, will retain, will QoS (2 bits), will, clean start, reserved
   * - keep alive: two bytes, seconds
   * - properties: 5.0
   */
  private readConnect(at: number, stop: number): number {
    const { bytes } = this;
    const after = readText(bytes, at, stop);
    if (after < 0) return this.bad(fieldFault(after));
    const name = utf8(bytes, at + 2, after);
    if (name !== 'MQTT' && name !== 'MQIsdp') return this.bad(faults.protocolName);
    if (after === stop) return this.bad(faults.truncated);
    this.level = bytes[after]!;
    const version = versionOf(name, this.level);
    if (version === null) return this.bad(faults.unsupportedVersion);
    this.version = version;
    if (version === P.V5 && !this.minimal) return this.bad(faults.lengthNotMinimal);
    if (after + 4 > stop) return this.bad(faults.truncated);
    const flags = bytes[after + 1]!;
    const wrong = wrongConnectFlags(flags, version);
    if (wrong !== null) return this.bad(wrong);
    const keepAlive = u16(bytes, after + 2);
    const properties = new Properties();
    at = after + 4;
    if (version === P.V5) at = this.block(at, stop, P.CONNECT, properties);
    if (at < 0 || this.authenticated(properties, at) < 0) return BAD;
    return this.connectFields(at, stop, flags, keepAlive, properties);
  }

  /**
   * The payload of a CONNECT (MQTT 5.0 §3.1.3):
   *
   * - client identifier: string
   * - with a will: properties (5.0), topic: string, payload: binary data
   * - user name: string, if its flag is set
   * - password: binary data, if its flag is set
   */
  private connectFields(at: number, stop: number, flags: number, keepAlive: number, properties: Properties): number {
    const { bytes } = this;
    const version = this.version as P.Version;
    const named = readText(bytes, at, stop);
    if (named < 0) return this.bad(fieldFault(named));
    const clientId = utf8(bytes, at + 2, named);
    at = named;
    let will: P.ConnectRead['will'] = null;
    if ((flags & 0x04) !== 0) {
      const willProperties = new Properties();
      if (version === P.V5) at = this.block(at, stop, WILL, willProperties);
      if (at >= 0) at = this.topicName(at, stop);
      if (at < 0) return BAD;
      if (this.topicStart === this.topicEnd) return this.bad(faults.topicEmpty);
      const topic = utf8(bytes, this.topicStart, this.topicEnd);
      const after = at + 2 > stop ? Number.POSITIVE_INFINITY : at + 2 + u16(bytes, at);
      if (after > stop) return this.bad(faults.truncated);
      const payload = copyOf(bytes, at + 2, after);
      const qos = ((flags >>> 3) & 3) as P.Qos;
      will = { topic, payload, qos, retain: (flags & 0x20) !== 0, properties: willProperties };
      at = after;
    }
    let username: string | null = null;
    let password: Uint8Array | null = null;
    // In 3.1 the fields may be missing though their flags are set (MQTT 3.1 §3.1, Payload).
    if ((flags & 0x80) !== 0 && !(version === P.V31 && at === stop)) {
      const after = readText(bytes, at, stop);
      if (after < 0) return this.bad(fieldFault(after));
      username = utf8(bytes, at + 2, after);
      at = after;
    }
    if ((flags & 0x40) !== 0 && !(version === P.V31 && at === stop)) {
      const after = at + 2 > stop ? Number.POSITIVE_INFINITY : at + 2 + u16(bytes, at);
      if (after > stop) return this.bad(faults.truncated);
      password = copyOf(bytes, at + 2, after);
      at = after;
    }
    const cleanStart = (flags & 0x02) !== 0;
    this.connect = { version, clientId, cleanStart, keepAlive, will, username, password, properties };
    return at;
  }
}

/**
 * Whether a connection begins with a CONNECT, by its first bytes: true, false, or null for "need more". For choosing a
 * protocol on a shared port.
 */
export function beginsWithConnect(input: Uint8Array, start: number, end: number): boolean | null {
  if (start === end) return null;
  if (input[start] !== P.CONNECT << 4) return false;
  let at = start + 1;
  for (; at < end && input[at]! > 0x7f; at++) if (at - start === 4) return false;
  const name = at + 1;
  const likely = input[name + 1] === 6 ? '\0\x06MQIsdp' : '\0\x04MQTT';
  for (let index = 0; index < likely.length; index++) {
    if (name + index >= end) return null;
    if (input[name + index] !== likely.charCodeAt(index)) return false;
  }
  return true;
}
