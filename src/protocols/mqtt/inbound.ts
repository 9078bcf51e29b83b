// What comes in from one client, as far as it has to be remembered: topic names and aliases, copies of payloads, and which
// publishes are still to be acknowledged, in which order. It knows no packets and no pipe.
import { copyOf, utf8 } from '../../bytes/reader.ts';
import { PUBLISH } from './packets.ts';

/** Names longer than this are not worth a place: they are decoded each time. */
const CACHED_BYTES_MAX = 128;
/** A power of two. */
const CACHED = 8_192;

/**
 * Topic names by their bytes, for all connections together: publishes to some thousand topics make no strings, and the same
 * topic is the same string, whose hash is known. Bounded: one name a place.
 */
export class TopicNames {
  private readonly isName: (name: string) => boolean;
  private readonly bytes: (Uint8Array | undefined)[] = new Array(CACHED).fill(undefined);
  private readonly names: string[] = new Array(CACHED).fill('');

  /** @param isName whether something can be published to it */
  constructor(isName: (name: string) => boolean) {
    this.isName = isName;
  }

  /** The topic name in `input[start..end)`, which is UTF-8, or null when nothing can be published to it. */
  read(input: Uint8Array, start: number, end: number): string | null {
    const size = end - start;
    if (size > CACHED_BYTES_MAX) return this.decode(input, start, end);
    let hash = size;
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + input[at]!) | 0;
    const place = (hash ^ (hash >>> 15)) & (CACHED - 1);
    const known = this.bytes[place];
    if (known !== undefined && known.length === size) {
      let index = 0;
      while (index < size && known[index] === input[start + index]) index++;
      if (index === size) return this.names[place]!;
    }
    const name = this.decode(input, start, end);
    if (name === null) return null;
    this.bytes[place] = copyOf(input, start, end);
    this.names[place] = name;
    return name;
  }

  private decode(input: Uint8Array, start: number, end: number): string | null {
    const name = utf8(input, start, end);
    return this.isName(name) ? name : null;
  }
}

const SLAB_BYTES = 16_384;
/** Larger payloads have storage of their own, so that one that is kept does not hold on to much else. */
const IN_SLAB_MAX = 1_024;

/** Copies of small payloads, many to one piece of storage: a view costs a quarter of an allocation. */
export class Copies {
  private slab: Buffer | null = null;
  private used = 0;

  /** A copy of `input[start..end)` that nothing will overwrite. */
  of(input: Uint8Array, start: number, end: number): Uint8Array {
    const size = end - start;
    if (size > IN_SLAB_MAX) return this.alone(input, start, end);
    const slab = this.slabFor(size);
    const from = this.used;
    this.used += size;
    copyBytes(input, start, end, slab, from);
    return slab.subarray(from, this.used);
  }

  /**
   * A whole PUBLISH of QoS 0 without properties, as `encodePublish` makes it, from the topic and the payload of one that came;
   * null for one that is too large for a slab.
   *
   * @param five with the empty properties of MQTT 5.0
   */
  frame(
    input: Uint8Array,
    topicStart: number,
    topicEnd: number,
    payloadStart: number,
    payloadEnd: number,
    five: boolean,
  ): Uint8Array | null {
    const topicSize = topicEnd - topicStart;
    const remaining = 2 + topicSize + (five ? 1 : 0) + payloadEnd - payloadStart;
    if (remaining > IN_SLAB_MAX) return null;
    const slab = this.slabFor(remaining + 3);
    const from = this.used;
    let at = from;
    slab[at++] = PUBLISH << 4;
    if (remaining > 0x7f) slab[at++] = (remaining & 0x7f) | 0x80;
    slab[at++] = remaining > 0x7f ? remaining >>> 7 : remaining;
    slab[at++] = topicSize >>> 8;
    slab[at++] = topicSize;
    copyBytes(input, topicStart, topicEnd, slab, at);
    at += topicSize;
    if (five) slab[at++] = 0;
    copyBytes(input, payloadStart, payloadEnd, slab, at);
    this.used = at + payloadEnd - payloadStart;
    return new Uint8Array(slab.buffer, from, this.used - from);
  }

  private slabFor(size: number): Buffer {
    if (this.slab === null || this.used + size > SLAB_BYTES) {
      this.slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.used = 0;
    }
    return this.slab;
  }

  /** A copy with storage of its own, for what will be kept long. */
  alone(input: Uint8Array, start: number, end: number): Uint8Array {
    const copy = Buffer.allocUnsafeSlow(end - start);
    copy.set(input.subarray(start, end));
    return copy;
  }
}

function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  // Below some tens of bytes the loop beats the call into the engine.
  if (end - start > 24 && Buffer.isBuffer(from)) from.copy(to, at, start, end);
  else for (let index = start; index < end; index++) to[at++] = from[index]!;
}

const UNSETTLED = -1;
const NO_IDENTIFIERS = new Uint16Array(0);
const NO_CODES = new Int16Array(0);
const NO_FLAGS = new Uint8Array(0);

/**
 * Publishes that wait for their acknowledgement. Acknowledgements leave in the order in which the publishes came, whatever
 * order they settle in (MQTT 5.0 §4.6); a number that grows stands for each.
 */
export class Acknowledgements {
  private readonly most: number;
  /** Rings, that hold nothing until they are needed and grow by doubling: most connections wait for few. */
  private identifiers = NO_IDENTIFIERS;
  private codes = NO_CODES;
  private exact = NO_FLAGS;
  private mask = -1;
  /** Made when there is one: most publishes are acknowledged without a word. */
  private reasons: Map<number, string> | null = null;
  private first = 0;
  private next = 0;
  /** Packet identifiers of QoS 2 publishes between PUBLISH and PUBCOMP. */
  private held: Set<number> | null = null;
  private atLeastOnce = 0;

  /** @param most how many may wait; asking for more than that is a bug of the caller's */
  constructor(most: number) {
    this.most = most;
  }

  /** How many wait for their acknowledgement. */
  get waiting(): number {
    return this.next - this.first;
  }

  /** How many count towards the receive maximum that was given to the client (MQTT 5.0 §4.9). */
  get counted(): number {
    return this.atLeastOnce + (this.held?.size ?? 0);
  }

  /** Whether a QoS 2 publish with this identifier is on its way: a repeat of it does not count again. */
  isHeld(identifier: number): boolean {
    return this.held?.has(identifier) ?? false;
  }

  /** A publish came; answers what stands for it. */
  open(identifier: number, exact: boolean): number {
    if (this.waiting >= this.most) throw new RangeError('more publishes wait than were allowed for');
    if (this.waiting > this.mask) this.grow();
    const at = this.next & this.mask;
    this.identifiers[at] = identifier;
    this.codes[at] = UNSETTLED;
    this.exact[at] = exact ? 1 : 0;
    if (exact) (this.held ??= new Set()).add(identifier);
    else this.atLeastOnce++;
    return this.next++;
  }

  /** It may be acknowledged, with this reason code and, for a person, this reason. */
  settle(sequence: number, code: number, reason: string): void {
    const at = sequence & this.mask;
    this.codes[at] = code;
    if (reason !== '') (this.reasons ??= new Map()).set(sequence, reason);
  }

  /** Writes those at the front that have settled; a refused QoS 2 publish ends there ([MQTT-4.3.3-9]). */
  drain(write: (identifier: number, exact: boolean, code: number, reason: string) => void): void {
    while (this.first < this.next) {
      const at = this.first & this.mask;
      const code = this.codes[at]!;
      if (code === UNSETTLED) return;
      const identifier = this.identifiers[at]!;
      const exact = this.exact[at] === 1;
      const reason = this.reasons?.get(this.first) ?? '';
      if (reason !== '') this.reasons!.delete(this.first);
      this.first++;
      if (!exact) this.atLeastOnce--;
      else if (code >= 0x80) this.held?.delete(identifier);
      write(identifier, exact, code, reason);
    }
  }

  private grow(): void {
    const size = Math.max(16, (this.mask + 1) * 2);
    const { identifiers, codes, exact, mask } = this;
    this.identifiers = new Uint16Array(size);
    this.codes = new Int16Array(size);
    this.exact = new Uint8Array(size);
    this.mask = size - 1;
    for (let sequence = this.first; sequence < this.next; sequence++) {
      const to = sequence & this.mask;
      this.identifiers[to] = identifiers[sequence & mask]!;
      this.codes[to] = codes[sequence & mask]!;
      this.exact[to] = exact[sequence & mask]!;
    }
  }

  /** PUBCOMP was sent: the identifier is free. */
  complete(identifier: number): void {
    this.held?.delete(identifier);
  }
}
