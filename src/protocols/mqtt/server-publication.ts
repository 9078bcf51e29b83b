// What a PUBLISH means to the topics, and its frame for those that get it as it came. It knows no connection.
import { view } from '../../bytes/reader.ts';
import type { Attachment, Publication } from '../../resources/topics/contract.ts';
import type { PacketReader } from './codec.ts';
import { Copies } from './inbound.ts';

/** Small payloads of all connections. */
const copies = new Copies();

/** Larger payloads have storage of their own, and so have those that are kept. */
const SMALL_MAX = 1_024;

const NO_PROPERTIES: readonly string[] = [];

/** @param five the sender speaks MQTT 5.0 */
export function publicationOf(
  reader: PacketReader,
  topic: string,
  five: boolean,
  from: Attachment | null,
): Publication {
  const { bytes, topicStart, topicEnd, payloadStart, payloadEnd, properties, qos } = reader;
  const small = !reader.retain && payloadEnd - payloadStart <= SMALL_MAX;
  // What goes to others of its version is what came, but for the flags and the packet identifier.
  const frame =
    small && !reader.hasProperties ? copies.frame(bytes, topicStart, topicEnd, payloadStart, payloadEnd, five) : null;
  const publication: Publication & { expiryMs?: number; once?: number } = {
    topic,
    payload:
      frame !== null
        ? view(frame, frame.length - payloadEnd + payloadStart, frame.length)
        : small
          ? copies.of(bytes, payloadStart, payloadEnd)
          : reader.keep(payloadStart, payloadEnd),
    contentType: properties.contentType ?? '',
    text: properties.payloadFormat === 1,
    properties: properties.user.length === 0 ? NO_PROPERTIES : properties.user,
    responseTopic: properties.responseTopic ?? '',
    correlation: properties.correlation,
    retain: reader.retain,
    assurance: qos,
    from,
    // By the slots of MQTT: before 5.0, and from there.
    frames: frame === null ? undefined : five ? [undefined, frame] : [frame, undefined],
  };
  if (properties.messageExpiry >= 0) publication.expiryMs = properties.messageExpiry * 1_000;
  if (qos === 2) publication.once = reader.packetId;
  return publication;
}
