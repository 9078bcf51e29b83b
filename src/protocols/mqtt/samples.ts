// For tests: every packet of every version as a plain value, how to make such values at random, and the way to bytes and
// back through the codec.
import fc from 'fast-check';
import { ByteWriter } from '../../bytes/writer.ts';
import type { PacketReader, Sender } from './codec.ts';
import * as E from './encode.ts';
import * as P from './packets.ts';
import { PROPERTY_ROWS, type Properties, type PropertyRow, type PropertyValues, WILL } from './properties.ts';
import { isReason } from './reasons.ts';

/** Roomy bounds, so that only what a test narrows is met. */
export const ROOMY = { packetBytesMax: 268_435_455, userPropertiesMax: 1_000, filtersMax: 1_000 };

export type Sample =
  | ({ readonly type: typeof P.CONNECT } & P.Connect)
  | { type: typeof P.CONNACK; sessionPresent: boolean; reason: number; properties: PropertyValues }
  | {
      type: typeof P.PUBLISH;
      topic: string;
      payload: Uint8Array;
      qos: P.Qos;
      retain: boolean;
      dup: boolean;
      packetId: number;
      properties: PropertyValues;
    }
  | { type: P.AckType; packetId: number; reason: number; properties: PropertyValues }
  | {
      type: typeof P.SUBSCRIBE;
      packetId: number;
      subscriptions: readonly P.SubscriptionRequest[];
      properties: PropertyValues;
    }
  | { type: typeof P.UNSUBSCRIBE; packetId: number; filters: readonly string[]; properties: PropertyValues }
  | {
      type: typeof P.SUBACK | typeof P.UNSUBACK;
      packetId: number;
      reasons: readonly number[];
      properties: PropertyValues;
    }
  | { type: typeof P.PINGREQ | typeof P.PINGRESP }
  | { type: typeof P.DISCONNECT | typeof P.AUTH; reason: number; properties: PropertyValues };

// ---- to bytes ------------------------------------------------------------------------------------------------------

/** The bytes of a sample, in storage of their own. */
export function bytesOf(sample: Sample, version: P.Version): Buffer {
  const out = new ByteWriter(1 << 24);
  const size = write(out, sample, version);
  if (size !== out.length) throw new Error(`${P.PACKET_NAMES[sample.type]}: ${size} said, ${out.length} written`);
  const bytes = Buffer.from(out.bytes.subarray(0, out.length));
  out.clear();
  return bytes;
}

/** Properties as a caller would give them: null rather than none. */
function some(properties: PropertyValues): PropertyValues | null {
  return Object.keys(properties).length === 0 ? null : properties;
}

function write(out: ByteWriter, sample: Sample, version: P.Version): number {
  switch (sample.type) {
    case P.CONNECT:
      return E.writeConnect(out, sample);
    case P.CONNACK:
      return E.writeConnack(out, version, sample.sessionPresent, sample.reason, some(sample.properties));
    case P.PUBLISH:
      return writePublish(out, sample, version);
    case P.SUBSCRIBE:
      return E.writeSubscribe(out, version, sample.packetId, sample.subscriptions, some(sample.properties));
    case P.UNSUBSCRIBE:
      return E.writeUnsubscribe(out, version, sample.packetId, sample.filters, some(sample.properties));
    case P.SUBACK:
      return E.writeSuback(out, version, sample.packetId, sample.reasons, some(sample.properties));
    case P.UNSUBACK:
      return E.writeUnsuback(out, version, sample.packetId, sample.reasons, some(sample.properties));
    case P.PINGREQ:
      return E.writePingreq(out);
    case P.PINGRESP:
      return E.writePingresp(out);
    case P.DISCONNECT:
      return E.writeDisconnect(out, version, sample.reason, some(sample.properties));
    case P.AUTH:
      return E.writeAuth(out, sample.reason, some(sample.properties));
    default:
      return E.writeAck(out, version, sample.type, sample.packetId, sample.reason, some(sample.properties));
  }
}

function writePublish(out: ByteWriter, sample: Sample & { type: typeof P.PUBLISH }, version: P.Version): number {
  const { properties } = sample;
  const content: P.PublishContent = {
    topic: sample.topic,
    payload: sample.payload,
    contentType: properties.contentType ?? '',
    text: properties.payloadFormat === 1,
    properties: properties.user ?? [],
    responseTopic: properties.responseTopic ?? '',
    correlation: properties.correlation ?? null,
  };
  const expiry = properties.messageExpiry ?? -1;
  // Half of them through a frame whose expiry is replaced.
  const replaced = expiry >= 0 && sample.packetId % 2 === 1;
  const frame = E.encodePublish(content, version, sample.retain, replaced ? 0 : expiry);
  const head = new P.PublishHead();
  head.qos = sample.qos;
  head.retain = sample.retain;
  head.dup = sample.dup;
  head.packetId = sample.packetId;
  if (replaced) head.expiry = expiry;
  head.alias = properties.topicAlias ?? 0;
  head.identifiers = properties.subscriptionIds ?? [];
  const size = E.publishSize(frame, version, head);
  const start = out.length;
  const rest = E.writePublishHead(out, frame, version, head);
  out.copy(frame, rest, frame.length);
  const plain = head.qos === 0 && head.alias === 0 && head.identifiers.length === 0 && !replaced;
  if (plain && Buffer.compare(out.bytes.subarray(start, out.length), frame) !== 0)
    throw new Error('a frame is not what its own head makes of it');
  return size;
}

// ---- and back ------------------------------------------------------------------------------------------------------

/** The packet that a reader has just read. */
export function sampleOf(reader: PacketReader): Sample {
  const { type, packetId, reason } = reader;
  const properties = present(reader.properties);
  switch (type) {
    case P.CONNECT: {
      const connect = reader.connect!;
      const { will } = connect;
      const wished = will === null ? null : { ...will, properties: present(will.properties) };
      return { type, ...connect, will: wished, properties: present(connect.properties) };
    }
    case P.CONNACK:
      return { type, sessionPresent: reader.sessionPresent, reason, properties };
    case P.PUBLISH: {
      const { qos, retain, dup } = reader;
      const payload = reader.keep(reader.payloadStart, reader.payloadEnd);
      return { type, topic: reader.topic(), payload, qos, retain, dup, packetId: qos > 0 ? packetId : 0, properties };
    }
    case P.SUBSCRIBE:
      return { type, packetId, subscriptions: reader.subscriptions, properties };
    case P.UNSUBSCRIBE:
      return { type, packetId, filters: reader.filters, properties };
    case P.SUBACK:
    case P.UNSUBACK:
      return { type, packetId, reasons: reader.reasons, properties };
    case P.PINGREQ:
    case P.PINGRESP:
      return { type };
    case P.DISCONNECT:
    case P.AUTH:
      return { type, reason, properties };
    default:
      return { type: type as P.AckType, packetId, reason, properties };
  }
}

function present(properties: Properties): PropertyValues {
  const found: Record<string, unknown> = {};
  for (const { name } of PROPERTY_ROWS) {
    const value = properties[name];
    if (value === null || value === -1 || (Array.isArray(value) && value.length === 0)) continue;
    found[name] = value;
  }
  return found;
}

/** A sample as text, to compare: bytes in hex, keys in order. */
export function textOf(sample: Sample): string {
  return JSON.stringify(sample, (_key, value: unknown) => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
    // A Buffer has been through its own toJSON by now.
    if (value !== null && typeof value === 'object' && 'data' in value && Array.isArray(value.data))
      return Buffer.from(value.data as number[]).toString('hex');
    if (value !== null && typeof value === 'object' && !Array.isArray(value))
      return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
    return value;
  });
}

// ---- at random -----------------------------------------------------------------------------------------------------

const text = fc.string({ unit: 'binary', maxLength: 40 }).map((made) => made.replaceAll('\0', '0'));
const topic = fc
  .oneof(fc.constantFrom('a', 'a/b', '/', 'sensors/room/12', 'x'.repeat(300)), text)
  .map((made) => made.replaceAll(/[+#]/g, '-') || 't');
const filter = fc.oneof(fc.constantFrom('#', '+/b', '$share/g/a', ''), text);
const bytes = fc.uint8Array({ maxLength: 60 });
const id = fc.integer({ min: 1, max: 0xffff });
const qos = fc.constantFrom<P.Qos>(0, 1, 2);

function propertyValue(row: PropertyRow, place: number): fc.Arbitrary<unknown> {
  switch (row.kind) {
    case 'byte':
      return fc.integer({ min: row.least, max: row.most });
    case 'two':
      return fc.integer({ min: row.least, max: 0xffff });
    case 'four':
      return fc.integer({ min: row.least, max: 0xffff_ffff });
    case 'varint':
      return fc.array(fc.integer({ min: 1, max: 268_435_455 }), {
        minLength: 1,
        maxLength: place === P.PUBLISH ? 3 : 1,
      });
    case 'text':
      return row.name === 'responseTopic' ? topic : text;
    case 'bytes':
      return bytes;
    case 'pair':
      return fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 3 }).map((pairs) => pairs.flat());
  }
}

function properties(version: P.Version, place: number, sender: Sender): fc.Arbitrary<PropertyValues> {
  if (version !== P.V5) return fc.constant({});
  const rows = PROPERTY_ROWS.filter((row) => {
    if ((row.places & (1 << place)) === 0) return false;
    if (place === P.PUBLISH && row.name === 'subscriptionIds') return sender === 'server';
    if (place === P.DISCONNECT && row.name === 'sessionExpiry') return sender === 'client';
    return !(place === P.DISCONNECT && row.name === 'serverReference') || sender === 'server';
  });
  const shape = Object.fromEntries(rows.map((row) => [row.name, propertyValue(row, place)]));
  const requiredKeys = place === P.AUTH ? ['authMethod'] : [];
  return fc.oneof(fc.record(shape, { requiredKeys }), fc.record(shape, { requiredKeys })).map((made) => {
    const values = made as { -readonly [Name in keyof PropertyValues]: PropertyValues[Name] };
    if (values.authMethod === undefined) delete values.authData;
    // What content has no place for: a payload format of 0 is the same as none, and '' is none.
    if (place === P.PUBLISH) {
      if (values.payloadFormat === 0) delete values.payloadFormat;
      if (values.contentType === '') delete values.contentType;
      if (values.responseTopic === '') delete values.responseTopic;
    }
    return values;
  });
}

function reasons(type: number, version: P.Version, sender: Sender): fc.Arbitrary<number> {
  const codes = Array.from({ length: 256 }, (_, code) => code);
  const lawful = codes.filter((code) => isReason(type, code, version, sender === 'server'));
  return fc.constantFrom(...(lawful.length === 0 ? [0] : lawful));
}

function connects(version: P.Version): fc.Arbitrary<Sample> {
  const will = fc.record({
    topic,
    payload: bytes,
    qos,
    retain: fc.boolean(),
    properties: properties(version, WILL, 'client'),
  });
  return fc
    .record({
      clientId: text,
      cleanStart: fc.boolean(),
      keepAlive: fc.integer({ min: 0, max: 0xffff }),
      will: fc.option(will),
      username: fc.option(text),
      password: fc.option(bytes),
      properties: properties(version, P.CONNECT, 'client'),
    })
    .map((made) => {
      const password = made.username === null && version !== P.V5 ? null : made.password;
      return { type: P.CONNECT, version, ...made, password };
    });
}

function publishes(version: P.Version, sender: Sender): fc.Arbitrary<Sample> {
  return fc
    .record({
      topic,
      payload: bytes,
      qos,
      retain: fc.boolean(),
      dup: fc.boolean(),
      packetId: id,
      properties: properties(version, P.PUBLISH, sender),
    })
    .map((made) => ({
      type: P.PUBLISH,
      ...made,
      // An alias may stand for the topic.
      topic: made.properties.topicAlias !== undefined && made.packetId % 3 === 0 ? '' : made.topic,
      dup: made.dup && made.qos > 0,
      packetId: made.qos > 0 ? made.packetId : 0,
    }));
}

function requests(version: P.Version): fc.Arbitrary<Sample>[] {
  const five = version === P.V5;
  const asked = fc
    .record({
      filter,
      qos,
      noLocal: five ? fc.boolean() : fc.constant(false),
      retainAsPublished: five ? fc.boolean() : fc.constant(false),
      retainHandling: five ? fc.constantFrom<0 | 1 | 2>(0, 1, 2) : fc.constant<0>(0),
    })
    .map((made) => ({ ...made, noLocal: made.noLocal && !made.filter.startsWith('$share/') }));
  return [
    fc.record({
      type: fc.constant(P.SUBSCRIBE),
      packetId: id,
      subscriptions: fc.array(asked, { minLength: 1, maxLength: 5 }),
      properties: properties(version, P.SUBSCRIBE, 'client'),
    }),
    fc.record({
      type: fc.constant(P.UNSUBSCRIBE),
      packetId: id,
      filters: fc.array(filter, { minLength: 1, maxLength: 5 }),
      properties: properties(version, P.UNSUBSCRIBE, 'client'),
    }),
    fc.constant<Sample>({ type: P.PINGREQ }),
  ];
}

function answers(version: P.Version): fc.Arbitrary<Sample>[] {
  const five = version === P.V5;
  const codes = (type: number) => fc.array(reasons(type, version, 'server'), { minLength: 1, maxLength: 5 });
  return [
    fc
      .record({
        type: fc.constant(P.CONNACK),
        sessionPresent: fc.boolean(),
        reason: reasons(P.CONNACK, version, 'server'),
        properties: properties(version, P.CONNACK, 'server'),
      })
      .map((made) => ({ ...made, sessionPresent: made.sessionPresent && made.reason === 0 && version !== P.V31 })),
    fc.record({
      type: fc.constant(P.SUBACK),
      packetId: id,
      reasons: codes(P.SUBACK),
      properties: properties(version, P.SUBACK, 'server'),
    }),
    fc.record({
      type: fc.constant(P.UNSUBACK),
      packetId: id,
      reasons: five ? codes(P.UNSUBACK) : fc.constant([]),
      properties: properties(version, P.UNSUBACK, 'server'),
    }),
    fc.constant<Sample>({ type: P.PINGRESP }),
  ];
}

/** Packets that this side can send after its CONNECT in this version. */
export function samples(version: P.Version, sender: Sender): fc.Arbitrary<Sample> {
  const five = version === P.V5;
  const kinds: fc.Arbitrary<Sample>[] = [publishes(version, sender)];
  for (const type of [P.PUBACK, P.PUBREC, P.PUBREL, P.PUBCOMP] as const) {
    const reason = five ? reasons(type, version, sender) : fc.constant(0);
    kinds.push(
      fc.record({ type: fc.constant(type), packetId: id, reason, properties: properties(version, type, sender) }),
    );
  }
  for (const type of [P.DISCONNECT, P.AUTH] as const) {
    if (!five && (type === P.AUTH || sender === 'server')) continue;
    const reason = five ? reasons(type, version, sender) : fc.constant(0);
    kinds.push(fc.record({ type: fc.constant(type), reason, properties: properties(version, type, sender) }));
  }
  kinds.push(...(sender === 'client' ? requests(version) : answers(version)));
  return fc.oneof(...kinds);
}

/** CONNECT packets of this version. */
export const connectSamples = connects;
