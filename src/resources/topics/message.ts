// Messages as they are stored, and made from what a publisher gives.
import { copyOf, u32 } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import type { Entry } from '../../storage/engine.ts';
import type { Assurance, Message, Publication } from './contract.ts';

/** Of the record's first byte. */
const TEXT = 1;
const RETAIN = 2;
const CORRELATION = 4;
/** In the upper half of the flags: how many records before this one the message stands in the history; 0 for nowhere. */
const BACK_SHIFT = 4;

/** flags u8 · assurance u8 · time f64 · expiry f64 · texts: count u32, then length u32 and UTF-8 each · payload */
const HEAD = 22;

const RECORD_MAX = 512 * 1_024 * 1_024;

const scratch = new ByteWriter(RECORD_MAX);

/** The message of a publication. */
export function messageOf(publication: Publication, publisher: string, time: number): Message {
  const { topic, payload, expiryMs } = publication;
  return {
    topic,
    payload,
    contentType: publication.contentType ?? '',
    text: publication.text ?? false,
    properties: publication.properties ?? NONE,
    responseTopic: publication.responseTopic ?? '',
    correlation: publication.correlation ?? null,
    publisher,
    time,
    expiry: expiryMs === undefined ? Number.POSITIVE_INFINITY : time + expiryMs,
    retain: publication.retain ?? false,
    assurance: publication.assurance,
    cursor: 0,
    // With room for the slots of MQTT.
    frames: publication.frames ?? [undefined, undefined],
  };
}

const NONE: readonly string[] = Object.freeze([]);

/** A message that now has its place in the history. Only its maker may do this, before anybody else sees it. */
export function placeAt(message: Message, cursor: number): void {
  (message as { cursor: number }).cursor = cursor;
}

/**
 * Encodes a message with some numbers of the caller's own before it. `back`: so many records before this one, in the same
 * batch, it stands in the history, from which its cursor is known; 0 for nowhere. The answer is borrowed: it is overwritten
 * by the next call.
 */
export function encodeMessage(message: Message, back: number, extra: Iterable<number> = []): ByteWriter {
  const writer = scratch;
  writer.cut(0);
  writer.u8(
    (message.text ? TEXT : 0) |
      (message.retain ? RETAIN : 0) |
      (message.correlation === null ? 0 : CORRELATION) |
      (back << BACK_SHIFT),
  );
  writer.u8(message.assurance);
  writer.ensure(16);
  writer.bytes.writeDoubleBE(message.time, 2);
  writer.bytes.writeDoubleBE(message.expiry, 10);
  writer.length = 18;
  writer.u32(4 + message.properties.length);
  for (const text of [message.topic, message.contentType, message.publisher, message.responseTopic])
    textWith(writer, text);
  for (const text of message.properties) textWith(writer, text);
  const countAt = writer.length;
  writer.u32(0);
  for (const number of extra) writer.u32(number);
  writer.bytes.writeUInt32BE((writer.length - countAt - 4) / 4, countAt);
  if (message.correlation !== null) {
    writer.u32(message.correlation.length);
    writer.copy(message.correlation, 0, message.correlation.length);
  }
  writer.copy(message.payload, 0, message.payload.length);
  return writer;
}

/** A stored message, and the numbers before it. Its payload is a part of the entry's bytes. */
export function decodeMessage(entry: Entry, cursor: number | null): { message: Message; extra: number[] } {
  const bytes = Buffer.from(entry.bytes.buffer, entry.bytes.byteOffset, entry.bytes.byteLength);
  const flags = bytes[0]!;
  const back = flags >>> BACK_SHIFT;
  let at = HEAD;
  const texts: string[] = [];
  for (let count = u32(bytes, 18); count > 0; count--) {
    const end = at + 4 + u32(bytes, at);
    texts.push(bytes.toString('utf8', at + 4, end));
    at = end;
  }
  const extra: number[] = [];
  for (let count = u32(bytes, at); count > 0; count--) extra.push(u32(bytes, (at += 4)));
  at += 4;
  let correlation: Uint8Array | null = null;
  if ((flags & CORRELATION) !== 0) {
    const end = at + 4 + u32(bytes, at);
    correlation = copyOf(bytes, at + 4, end);
    at = end;
  }
  const [topic, contentType, publisher, responseTopic, ...properties] = texts;
  const message: Message = {
    topic: topic!,
    payload: bytes.subarray(at),
    contentType: contentType!,
    text: (flags & TEXT) !== 0,
    properties,
    responseTopic: responseTopic!,
    correlation,
    publisher: publisher!,
    time: bytes.readDoubleBE(2),
    expiry: bytes.readDoubleBE(10),
    retain: (flags & RETAIN) !== 0,
    assurance: bytes[1]! as Assurance,
    cursor: cursor ?? (back === 0 ? 0 : entry.sequence - back),
    frames: [],
  };
  return { message, extra };
}

/** About how much a message that waits costs in memory. */
export function sizeOf(message: Message): number {
  return message.payload.length + message.topic.length + 200;
}

function textWith(writer: ByteWriter, text: string): void {
  const at = writer.length;
  writer.u32(0);
  const length = writer.utf8(text);
  writer.bytes.writeUInt32BE(length, at);
}
