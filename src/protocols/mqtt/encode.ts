// Packets to bytes, for all three versions and both directions. A PUBLISH is encoded once to a frame that all recipients
// of one version share; what differs between them is a short head. Each writer answers the size of what it wrote, so that
// a packet above the recipient's maximum can be cut off again.
import { u16 } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import * as P from './packets.ts';
import { closeLength, type PropertyValues, writeProperties } from './properties.ts';
import { VARINT_MAX, varintSize, writeBytes, writeText } from './text.ts';

/** CONNECT; the fields are as {@link P.Connect} says. */
export function writeConnect(out: ByteWriter, connect: P.Connect): number {
  const { version, will, username, password } = connect;
  const start = open(out, P.CONNECT << 4);
  writeText(out, version === P.V31 ? 'MQIsdp' : 'MQTT');
  out.u8(version);
  let flags = connect.cleanStart ? 0x02 : 0;
  if (will !== null) flags |= 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0);
  if (password !== null) flags |= 0x40;
  if (username !== null) flags |= 0x80;
  out.u8(flags);
  out.u16(connect.keepAlive);
  if (version === P.V5) writeProperties(out, connect.properties);
  writeText(out, connect.clientId);
  if (will !== null) {
    if (version === P.V5) writeProperties(out, will.properties);
    writeText(out, will.topic);
    writeBytes(out, will.payload);
  }
  if (username !== null) writeText(out, username);
  if (password !== null) writeBytes(out, password);
  return close(out, start);
}

/** CONNACK; `reason` is a return code before 5.0. */
export function writeConnack(
  out: ByteWriter,
  version: P.Version,
  sessionPresent: boolean,
  reason: number,
  properties: PropertyValues | null,
): number {
  const start = open(out, P.CONNACK << 4);
  // Reserved in 3.1.
  out.u8(sessionPresent && version !== P.V31 ? 1 : 0);
  out.u8(reason);
  if (version === P.V5) writeProperties(out, properties);
  return close(out, start);
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP, as short as it can be; before 5.0 reason and properties are not on the wire. */
export function writeAck(
  out: ByteWriter,
  version: P.Version,
  type: P.AckType,
  packetId: number,
  reason: number,
  properties: PropertyValues | null,
): number {
  const first = (type << 4) | (type === P.PUBREL ? 0x02 : 0);
  if (version === P.V5 && (reason !== 0 || properties !== null)) {
    const start = open(out, first);
    out.u16(packetId);
    writeReason(out, reason, properties);
    return close(out, start);
  }
  out.ensure(4);
  const { bytes, length } = out;
  bytes[length] = first;
  bytes[length + 1] = 2;
  bytes[length + 2] = packetId >>> 8;
  bytes[length + 3] = packetId;
  out.length = length + 4;
  return 4;
}

/** SUBSCRIBE; options beyond QoS and properties are 5.0's. */
export function writeSubscribe(
  out: ByteWriter,
  version: P.Version,
  packetId: number,
  subscriptions: readonly P.SubscriptionRequest[],
  properties: PropertyValues | null,
): number {
  const start = open(out, (P.SUBSCRIBE << 4) | 0x02);
  out.u16(packetId);
  if (version === P.V5) writeProperties(out, properties);
  for (const asked of subscriptions) {
    writeText(out, asked.filter);
    let options: number = asked.qos;
    if (version === P.V5) {
      options |= (asked.noLocal ? 0x04 : 0) | (asked.retainAsPublished ? 0x08 : 0) | (asked.retainHandling << 4);
    }
    out.u8(options);
  }
  return close(out, start);
}

/** SUBACK; `reasons` are return codes before 5.0. */
export function writeSuback(
  out: ByteWriter,
  version: P.Version,
  packetId: number,
  reasons: readonly number[],
  properties: PropertyValues | null,
): number {
  return writeReasons(out, P.SUBACK, version, packetId, reasons, properties);
}

export function writeUnsubscribe(
  out: ByteWriter,
  version: P.Version,
  packetId: number,
  filters: readonly string[],
  properties: PropertyValues | null,
): number {
  const start = open(out, (P.UNSUBSCRIBE << 4) | 0x02);
  out.u16(packetId);
  if (version === P.V5) writeProperties(out, properties);
  for (const filter of filters) writeText(out, filter);
  return close(out, start);
}

/** UNSUBACK; before 5.0 it has no reasons. */
export function writeUnsuback(
  out: ByteWriter,
  version: P.Version,
  packetId: number,
  reasons: readonly number[],
  properties: PropertyValues | null,
): number {
  return writeReasons(out, P.UNSUBACK, version, packetId, version === P.V5 ? reasons : [], properties);
}

export function writePingreq(out: ByteWriter): number {
  out.u16(P.PINGREQ << 12);
  return 2;
}

export function writePingresp(out: ByteWriter): number {
  out.u16(P.PINGRESP << 12);
  return 2;
}

/** DISCONNECT, as short as it can be; before 5.0 a client's alone, and empty. */
export function writeDisconnect(
  out: ByteWriter,
  version: P.Version,
  reason: number,
  properties: PropertyValues | null,
): number {
  const start = open(out, P.DISCONNECT << 4);
  if (version === P.V5 && (reason !== 0 || properties !== null)) writeReason(out, reason, properties);
  return close(out, start);
}

/** AUTH, 5.0 only; `properties` have an authentication method but for a server's success, which may go without. */
export function writeAuth(out: ByteWriter, reason: number, properties: PropertyValues | null): number {
  const start = open(out, P.AUTH << 4);
  if (reason !== 0 || properties !== null) {
    out.u8(reason);
    writeProperties(out, properties);
  }
  return close(out, start);
}

function open(out: ByteWriter, first: number): number {
  const start = out.length;
  out.u8(first);
  out.u8(0);
  return start;
}

function close(out: ByteWriter, start: number): number {
  closeLength(out, start + 1);
  return out.length - start;
}

function writeReason(out: ByteWriter, reason: number, properties: PropertyValues | null): void {
  out.u8(reason);
  if (properties !== null) writeProperties(out, properties);
}

function writeReasons(
  out: ByteWriter,
  type: number,
  version: P.Version,
  packetId: number,
  reasons: readonly number[],
  properties: PropertyValues | null,
): number {
  const start = open(out, type << 4);
  out.u16(packetId);
  if (version === P.V5) writeProperties(out, properties);
  for (const reason of reasons) out.u8(reason);
  return close(out, start);
}

// ---- PUBLISH -------------------------------------------------------------------------------------------------------

/** Properties are made here, before the size of their frame is known: nothing is kept in it between calls. */
const scratch = new ByteWriter(VARINT_MAX);

/**
 * A whole PUBLISH of QoS 0 without alias and subscription identifiers: what most recipients get as it is, and what
 * {@link writePublishHead} takes the rest from for the others. Its storage is its own: immutable, it can be shared.
 *
 * The message expiry comes first among the properties, so that a head can replace it.
 *
 * @param expiry seconds, -1 for none; not on the wire before 5.0
 */
export function encodePublish(
  content: P.PublishContent,
  version: P.Version,
  retain: boolean,
  expiry: number,
): Uint8Array {
  const out = scratch;
  out.length = 0;
  if (version === P.V5) writePublishProperties(out, content, expiry);
  const { topic, payload } = content;
  const topicSize = Buffer.byteLength(topic);
  if (topicSize > 0xffff) throw new RangeError(`a topic of ${topicSize} bytes`);
  const remaining = 2 + topicSize + out.length + payload.length;
  const frame = allocate(1 + varintSize(remaining) + remaining);
  frame[0] = (P.PUBLISH << 4) | (retain ? 1 : 0);
  let at = putVarint(frame, 1, remaining);
  frame[at++] = topicSize >>> 8;
  frame[at++] = topicSize;
  at += frame.write(topic, at);
  for (let index = 0; index < out.length; index++) frame[at++] = out.bytes[index]!;
  frame.set(payload, at);
  return frame;
}

/** Small frames share a slab of Node's, which is never used again for anything else: a buffer of its own costs 0.4 us. */
function allocate(size: number): Buffer {
  return size <= 1_024 ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size);
}

function writePublishProperties(out: ByteWriter, content: P.PublishContent, expiry: number): void {
  const at = out.length;
  out.u8(0);
  if (expiry >= 0) {
    out.u8(0x02);
    out.u32(expiry);
  }
  if (content.text) out.u16(0x0101);
  if (content.contentType !== '') {
    out.u8(0x03);
    writeText(out, content.contentType);
  }
  if (content.responseTopic !== '') {
    out.u8(0x08);
    writeText(out, content.responseTopic);
  }
  if (content.correlation !== null) {
    out.u8(0x09);
    writeBytes(out, content.correlation);
  }
  const { properties } = content;
  for (let index = 0; index + 1 < properties.length; index += 2) {
    out.u8(0x26);
    writeText(out, properties[index]!);
    writeText(out, properties[index + 1]!);
  }
  closeLength(out, at);
}

function putVarint(bytes: Uint8Array, at: number, value: number): number {
  while (value > 0x7f) {
    bytes[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  bytes[at++] = value;
  return at;
}

/** The size of the PUBLISH that {@link writePublishHead} begins, for the recipient's maximum packet size. */
export function publishSize(frame: Uint8Array, version: P.Version, head: P.PublishHead): number {
  measure(frame, version, head);
  return 1 + varintSize(measured.remaining) + measured.remaining;
}

/** What `measure` found, in one place so that a recipient costs no allocation. */
const measured = { topicAt: 0, topicLength: 0, restAt: 0, properties: 0, remaining: 0 };

/**
 * Writes the PUBLISH of one recipient from the shared frame up to where the rest is alike, and answers the index in the
 * frame where that begins: `out.copy(frame, index, frame.length)` or `pipe.share(frame, index, frame.length)` must follow.
 */
export function writePublishHead(out: ByteWriter, frame: Uint8Array, version: P.Version, head: P.PublishHead): number {
  measure(frame, version, head);
  const { topicAt, topicLength, restAt, properties, remaining } = measured;
  // The longest head: fixed header, topic, packet identifier, length of properties, expiry, alias, identifiers.
  out.ensure(24 + topicLength + head.identifiers.length * 5);
  const { bytes } = out;
  let at = out.length;
  bytes[at] = (P.PUBLISH << 4) | (head.dup ? 0x08 : 0) | (head.qos << 1) | (head.retain ? 1 : 0);
  at = putVarint(bytes, at + 1, remaining);
  const named = head.named ? topicLength : 0;
  bytes[at++] = named >>> 8;
  bytes[at++] = named;
  out.length = at;
  out.copy(frame, topicAt, topicAt + named);
  at = out.length;
  if (head.qos > 0) {
    bytes[at++] = head.packetId >>> 8;
    bytes[at++] = head.packetId;
  }
  if (version === P.V5) {
    at = putVarint(bytes, at, properties);
    if (head.expiry >= 0) {
      bytes[at++] = 0x02;
      bytes[at++] = head.expiry >>> 24;
      bytes[at++] = head.expiry >>> 16;
      bytes[at++] = head.expiry >>> 8;
      bytes[at++] = head.expiry;
    }
    if (head.alias > 0) {
      bytes[at++] = 0x23;
      bytes[at++] = head.alias >>> 8;
      bytes[at++] = head.alias;
    }
    for (let index = 0; index < head.identifiers.length; index++) {
      bytes[at++] = 0x0b;
      at = putVarint(bytes, at, head.identifiers[index]!);
    }
  }
  out.length = at;
  return restAt;
}

function measure(frame: Uint8Array, version: P.Version, head: P.PublishHead): void {
  let at = 2;
  while (frame[at - 1]! > 0x7f) at++;
  const topicLength = u16(frame, at);
  measured.topicAt = at + 2;
  measured.topicLength = topicLength;
  at += 2 + topicLength;
  let remaining = (head.named ? topicLength : 0) + 2 + (head.qos > 0 ? 2 : 0);
  if (version === P.V5) {
    let properties = 0;
    let shift = 0;
    let byte = 0;
    do {
      byte = frame[at++]!;
      properties |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte > 0x7f);
    let own = head.alias > 0 ? 3 : 0;
    for (let index = 0; index < head.identifiers.length; index++) own += 1 + varintSize(head.identifiers[index]!);
    if (head.expiry >= 0) {
      own += 5;
      // The frame's own expiry is left out.
      if (properties > 0 && frame[at] === 0x02) {
        at += 5;
        properties -= 5;
      }
    }
    measured.properties = properties + own;
    remaining += varintSize(properties + own) + own;
  }
  measured.restAt = at;
  measured.remaining = remaining + frame.length - at;
}
