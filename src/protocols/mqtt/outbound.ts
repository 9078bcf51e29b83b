// What goes out to one client as PUBLISH: packet identifiers and how far each delivery has come, the client's receive
// maximum and maximum packet size, topic aliases. It knows the pipe and the codec, not where messages come from.
import type { Pipe } from '../../core/pipe.ts';
import { encodePublish, publishSize, writeAck, writePublishHead } from './encode.ts';
import { PUBREL, type PublishContent, PublishHead, REASON, V5, type Version } from './packets.ts';

/** A message as deliveries need it: its content, and the frames of all versions by slot. */
export interface Deliverable extends PublishContent {
  /** In milliseconds since 1970; Infinity for never. */
  readonly expiry: number;
  readonly frames: (Uint8Array | undefined)[];
}

/** Where a protocol version keeps the frame of a message. */
export interface FrameSlots {
  readonly earlier: number;
  readonly five: number;
}

/** What the client allows, as its CONNECT said. */
export interface ClientBounds {
  readonly version: Version;
  /** PUBLISH of QoS 1 and 2 that it has not acknowledged. */
  readonly receiveMaximum: number;
  readonly packetBytesMax: number;
  readonly topicAliasMax: number;
}

/** The lives of a packet identifier. */
const RESERVED = 0;
/** PUBLISH of QoS 1 sent: PUBACK is awaited. */
const AT_LEAST_ONCE = 1;
/** PUBLISH of QoS 2 sent: PUBREC is awaited. */
const EXACTLY_ONCE = 2;
/** PUBREC came: PUBREL follows once that is committed. */
const ARRIVED = 3;
/** PUBREL sent: PUBCOMP is awaited. */
const RELEASED = 4;
type Life = typeof RESERVED | typeof AT_LEAST_ONCE | typeof EXACTLY_ONCE | typeof ARRIVED | typeof RELEASED;

/** What an acknowledgement of the client's means. */
export const NOTHING = 0;
/** The delivery is over. */
export const OVER = 1;
/** It must not be repeated: commit that, then `release`. */
export const COMMIT = 2;
export type Meaning = typeof NOTHING | typeof OVER | typeof COMMIT;

/** Shorter names gain nothing by an alias: it takes three bytes itself. */
const ALIAS_LEAST = 8;

interface Again {
  readonly content: Deliverable;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
  readonly packetId: number;
  readonly expiry: number;
}

/** Used within one call. */
const head = new PublishHead();
/** Of all that have nothing in flight yet; nothing is put there. */
const NO_LIVES = new Map<number, Life>();

export class Outbound {
  /** Deliveries that were larger than the client takes ([MQTT-3.1.2-25]). */
  tooLarge = 0;
  private readonly pipe: Pipe;
  private readonly bounds: ClientBounds;
  private readonly slot: number;
  private lives = NO_LIVES;
  private readonly aliases: Map<string, number> | null;
  /** What a former connection was given and did not acknowledge, beyond the quota of this one. */
  private again: Again[] = [];
  /** How many more PUBLISH of QoS 1 and 2 may be sent ([MQTT-4.9.0-2]). */
  private quota: number;
  private lastId = 0;

  constructor(pipe: Pipe, bounds: ClientBounds, slots: FrameSlots) {
    this.pipe = pipe;
    this.bounds = bounds;
    this.slot = bounds.version === V5 ? slots.five : slots.earlier;
    this.quota = bounds.receiveMaximum;
    this.aliases = bounds.topicAliasMax > 0 ? new Map() : null;
  }

  get inFlight(): number {
    return this.lives.size;
  }

  private live(packetId: number, life: Life): void {
    if (this.lives === NO_LIVES) this.lives = new Map();
    this.lives.set(packetId, life);
  }

  /** A packet identifier for one more delivery, 1 for QoS 0; 0 when there is no room. */
  reserve(qos: number): number {
    if (this.pipe.room === 0) return 0;
    if (qos === 0) return 1;
    if (this.quota <= 0 || this.again.length > 0) return 0;
    // The quota is below 65,535 or equal, and released ones of a former connection are few: one is always free.
    do this.lastId = this.lastId >= 65_535 ? 1 : this.lastId + 1;
    while (this.lives.has(this.lastId));
    this.live(this.lastId, RESERVED);
    this.quota--;
    return this.lastId;
  }

  /**
   * One delivery, under what `reserve` gave. False when it is larger than the client takes: it is over then.
   *
   * @param expiry seconds that are left, -1 when the message does not expire
   */
  deliver(
    content: Deliverable,
    qos: 0 | 1 | 2,
    retain: boolean,
    identifiers: readonly number[],
    packetId: number,
    expiry: number,
  ): boolean {
    if (qos > 0) this.live(packetId, qos === 1 ? AT_LEAST_ONCE : EXACTLY_ONCE);
    return this.write(content, qos, retain, false, identifiers, packetId, expiry);
  }

  /**
   * A delivery that a former connection did not acknowledge, under its old identifier ([MQTT-4.4.0-1]). That it may have
   * expired since does not matter ([MQTT-4.3.3-7]).
   */
  redeliver(
    content: Deliverable,
    qos: 1 | 2,
    retain: boolean,
    identifiers: readonly number[],
    packetId: number,
    expiry: number,
  ): boolean {
    this.live(packetId, qos === 1 ? AT_LEAST_ONCE : EXACTLY_ONCE);
    if (this.quota > 0 && this.again.length === 0 && this.pipe.room > 0) {
      this.quota--;
      return this.write(content, qos, retain, true, identifiers, packetId, expiry);
    }
    this.again.push({ content, qos, retain, identifiers, packetId, expiry });
    return true;
  }

  /** Goes on with what waits to be sent again; answers those that are larger than the client takes. */
  goOn(): number[] {
    const over: number[] = [];
    let count = 0;
    for (const { content, qos, retain, identifiers, packetId, expiry } of this.again) {
      if (this.quota <= 0 || this.pipe.room === 0) break;
      count++;
      this.quota--;
      if (!this.write(content, qos, retain, true, identifiers, packetId, expiry)) over.push(packetId);
    }
    if (count > 0) this.again = this.again.slice(count);
    return over;
  }

  /** PUBREL, the first time or again. */
  release(packetId: number): void {
    this.live(packetId, RELEASED);
    this.writeRelease(packetId, REASON.success);
  }

  // ---- what the client acknowledges --------------------------------------------------------------------------------

  puback(packetId: number): Meaning {
    return this.lives.get(packetId) === AT_LEAST_ONCE ? this.end(packetId) : NOTHING;
  }

  pubrec(packetId: number, reason: number): Meaning {
    const life = this.lives.get(packetId);
    if (life === EXACTLY_ONCE && reason >= 0x80) return this.end(packetId);
    if (life === EXACTLY_ONCE) {
      this.live(packetId, ARRIVED);
      return COMMIT;
    }
    if (life === RELEASED) this.writeRelease(packetId, REASON.success);
    // Before 5.0 there is no way to say so, and a client that waits for PUBREL would wait for ever.
    else if (life !== ARRIVED) this.writeRelease(packetId, REASON.packetIdentifierNotFound);
    return NOTHING;
  }

  pubcomp(packetId: number): Meaning {
    return this.lives.get(packetId) === RELEASED ? this.end(packetId) : NOTHING;
  }

  private end(packetId: number): Meaning {
    this.lives.delete(packetId);
    if (this.quota < this.bounds.receiveMaximum) this.quota++;
    return OVER;
  }

  // ---- writing -----------------------------------------------------------------------------------------------------

  private writeRelease(packetId: number, reason: number): void {
    writeAck(this.pipe.out, this.bounds.version, PUBREL, packetId, reason, null);
    this.pipe.flush();
  }

  /** The frame that all recipients of this version share. */
  private frameOf(content: Deliverable): Uint8Array {
    const frame = content.frames[this.slot];
    if (frame !== undefined) return frame;
    const made = encodePublish(
      content,
      this.bounds.version,
      false,
      content.expiry === Number.POSITIVE_INFINITY ? -1 : 0,
    );
    content.frames[this.slot] = made;
    return made;
  }

  private write(
    content: Deliverable,
    qos: 0 | 1 | 2,
    retain: boolean,
    dup: boolean,
    identifiers: readonly number[],
    packetId: number,
    expiry: number,
  ): boolean {
    const { pipe, bounds } = this;
    const five = bounds.version === V5;
    const frame = this.frameOf(content);
    const alike = qos === 0 && !retain && (!five || (expiry < 0 && identifiers.length === 0 && this.aliases === null));
    if (alike && frame.length <= bounds.packetBytesMax) {
      pipe.share(frame, 0, frame.length);
      pipe.flush();
      return true;
    }
    head.qos = qos;
    head.retain = retain;
    head.dup = dup;
    head.packetId = packetId;
    head.expiry = five ? expiry : -1;
    head.identifiers = identifiers;
    this.nameIt(content.topic);
    if (publishSize(frame, bounds.version, head) > bounds.packetBytesMax) {
      // As if it had been sent ([MQTT-3.1.2-25]).
      this.tooLarge++;
      if (head.alias > 0 && head.named) this.aliases?.delete(content.topic);
      if (qos > 0) this.end(packetId);
      return false;
    }
    const rest = writePublishHead(pipe.out, frame, bounds.version, head);
    pipe.share(frame, rest, frame.length);
    pipe.flush();
    return true;
  }

  /** Sets the alias of a topic in the head, giving it one while there are some ([MQTT-3.1.2-26]). */
  private nameIt(topic: string): void {
    const { aliases } = this;
    head.alias = 0;
    head.named = true;
    if (aliases === null || topic.length < ALIAS_LEAST) return;
    const known = aliases.get(topic);
    if (known !== undefined) {
      head.alias = known;
      head.named = false;
    } else if (aliases.size < this.bounds.topicAliasMax) {
      head.alias = aliases.size + 1;
      aliases.set(topic, head.alias);
    }
  }
}
