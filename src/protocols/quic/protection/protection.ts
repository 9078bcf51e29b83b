// The protection of packets at one level: AEAD and headers both ways, and the update of keys. It knows packets by their
// offsets alone, and time only as what it is told.
import { type Protection, TAG_BYTES, type Version } from '../crypto.ts';
import { type Aead, type Ciphers, type HeaderCipher, MASKS_MOST, PLAIN_CIPHERS, SAMPLE_BYTES } from './ciphers.ts';
import { headerKey, nextSecret, type PacketKeys, packetKeys } from './keys.ts';
import type { Suite } from './suites.ts';

/** A header's number takes at most this, and the sample begins behind it whatever it takes (RFC 9001 §5.4.2). */
const NUMBER_MOST = 4;
const KEY_PHASE = 0x04;

/** Of all connections: filled and used within one call. */
const samples = Buffer.alloc(MASKS_MOST * SAMPLE_BYTES);

/** A packet whose header waits for its mask. They are used again, so that none is made for a packet. */
interface Waiting {
  owner: LevelProtection | null;
  packet: Uint8Array;
  start: number;
  numberAt: number;
  numberBytes: number;
}

const NOTHING = new Uint8Array();

/** Of all connections, since each has some within a turn and none between: the first `waitingCount` of them wait. */
const waiting: Waiting[] = [];
let waitingCount = 0;
/** Those of one protection, within one call. */
const chosen: Waiting[] = [];

/** How often keys may be used; smaller in tests. */
export interface Wear {
  readonly sealsMax: number;
  readonly failuresMax: number;
}

export class LevelProtection implements Protection {
  private readonly version: Version;
  private readonly suite: Suite;
  private readonly ciphers: Ciphers;
  private readonly wear: Wear;
  /** Only at APPLICATION: the keys can be updated, and a bit says which they are. */
  private readonly phased: boolean;

  private sealing: Aead | null = null;
  private sealingHeader: HeaderCipher | null = null;
  private sealingSecret: Uint8Array | null = null;
  /** Derived ahead of time; made into a context when it is their turn. */
  private nextSealing: PacketKeys | null = null;
  private sealed = 0;

  private opening: Aead | null = null;
  private openingHeader: HeaderCipher | null = null;
  private openingSecret: Uint8Array | null = null;
  private nextOpening: Aead | null = null;
  private oldOpening: Aead | null = null;
  private dropOldAt = Number.POSITIVE_INFINITY;
  private failures = 0;

  /** The phase that is written, and the one that was opened last: they differ from our update to the peer's answer. */
  phase: 0 | 1 = 0;
  private openPhase: 0 | 1 = 0;
  /** The least number that was opened in `openPhase`: below it the other bit means the keys of before. */
  private openedFrom = 0;
  /** The first number that was sealed in `phase`; -1 until then. */
  private sealedFrom = -1;
  private acked = true;

  /** Of its packets, how many wait for their mask. */
  private unmasked = 0;

  constructor(version: Version, suite: Suite, phased: boolean, ciphers: Ciphers = PLAIN_CIPHERS, wear: Wear = suite) {
    this.version = version;
    this.suite = suite;
    this.phased = phased;
    this.ciphers = ciphers;
    this.wear = wear;
  }

  get canSeal(): boolean {
    return this.sealing !== null;
  }

  get canOpen(): boolean {
    return this.opening !== null;
  }

  get sealsLeft(): number {
    return this.sealing === null ? 0 : Math.max(0, this.wear.sealsMax - this.sealed);
  }

  get worn(): boolean {
    return this.failures >= this.wear.failuresMax;
  }

  /** Takes the secret that our packets are protected with. It is copied. */
  sealWith(secret: Uint8Array): void {
    this.sealing = this.aeadOf(secret);
    this.sealingHeader = this.ciphers.header(this.suite.aead, headerKey(this.version, this.suite, secret));
    if (!this.phased) return;
    this.sealingSecret = Uint8Array.from(secret);
    this.prepareSealing();
  }

  /** Takes the secret that the peer's packets are protected with. It is copied. */
  openWith(secret: Uint8Array): void {
    this.opening = this.aeadOf(secret);
    this.openingHeader = this.ciphers.header(this.suite.aead, headerKey(this.version, this.suite, secret));
    if (!this.phased) return;
    this.openingSecret = Uint8Array.from(secret);
    this.prepareOpening();
  }

  private aeadOf(secret: Uint8Array): Aead {
    return this.aeadWith(packetKeys(this.version, this.suite, secret));
  }

  private aeadWith({ key, iv }: PacketKeys): Aead {
    const aead = this.ciphers.aead(this.suite.aead, key, iv);
    key.fill(0);
    iv.fill(0);
    return aead;
  }

  /** Afterwards `sealingSecret` is the one of the keys that come next. */
  private prepareSealing(): void {
    const next = Uint8Array.from(nextSecret(this.version, this.suite, this.sealingSecret!));
    this.sealingSecret!.fill(0);
    this.sealingSecret = next;
    const { key, iv } = packetKeys(this.version, this.suite, next);
    this.nextSealing = { key: Uint8Array.from(key), iv: Uint8Array.from(iv) };
  }

  private prepareOpening(): void {
    const next = Uint8Array.from(nextSecret(this.version, this.suite, this.openingSecret!));
    this.openingSecret!.fill(0);
    this.openingSecret = next;
    this.nextOpening = this.aeadOf(next);
  }

  seal(packet: Uint8Array, start: number, numberAt: number, numberBytes: number, end: number, number: number): number {
    if (this.sealing === null) throw new RangeError('there are no keys to seal with');
    if (this.sealedFrom < 0) this.sealedFrom = number;
    this.sealed++;
    this.sealing.seal(packet, start, numberAt + numberBytes, end, number);
    if (this.unmasked === MASKS_MOST) this.mask();
    this.unmasked++;
    if (waitingCount === waiting.length)
      waiting.push({ owner: null, packet: NOTHING, start: 0, numberAt: 0, numberBytes: 0 });
    const own = waiting[waitingCount++]!;
    own.owner = this;
    own.packet = packet;
    own.start = start;
    own.numberAt = numberAt;
    own.numberBytes = numberBytes;
    return end + TAG_BYTES;
  }

  mask(): void {
    const count = this.unmasked;
    if (count === 0) return;
    this.unmasked = 0;
    // Ours go to the end of those that wait, behind those of others.
    let others = 0;
    for (let index = 0; index < waitingCount; index++) {
      const one = waiting[index]!;
      if (one.owner === this) chosen.push(one);
      else waiting[others++] = one;
    }
    for (const one of chosen) waiting[others++] = one;
    chosen.length = 0;
    waitingCount -= count;
    for (let index = 0; index < count; index++) {
      const { packet, numberAt } = waiting[waitingCount + index]!;
      copySample(packet, numberAt, samples, index * SAMPLE_BYTES);
    }
    const masks = this.sealingHeader!.masks(samples, count);
    for (let index = 0, at = 0; index < count; index++, at += SAMPLE_BYTES) {
      const one = waiting[waitingCount + index]!;
      const { packet, start, numberAt, numberBytes } = one;
      // Four bits of a long header, five of a short one (RFC 9001 §5.4.1).
      packet[start]! ^= masks[at]! & (packet[start]! >= 0x80 ? 0x0f : 0x1f);
      for (let byte = 0; byte < numberBytes; byte++) packet[numberAt + byte]! ^= masks[at + 1 + byte]!;
      one.owner = null;
      one.packet = NOTHING;
    }
  }

  unmask(packet: Uint8Array, start: number, numberAt: number, end: number): number {
    if (this.openingHeader === null || numberAt + NUMBER_MOST + SAMPLE_BYTES > end) return 0;
    copySample(packet, numberAt, samples, 0);
    const masks = this.openingHeader.masks(samples, 1);
    const first = packet[start]! ^ (masks[0]! & (packet[start]! >= 0x80 ? 0x0f : 0x1f));
    packet[start] = first;
    const numberBytes = (first & 0x03) + 1;
    for (let byte = 0; byte < numberBytes; byte++) packet[numberAt + byte]! ^= masks[1 + byte]!;
    return numberBytes;
  }

  open(packet: Uint8Array, start: number, payloadAt: number, end: number, number: number, now: number): number {
    if (this.opening === null) return -1;
    if (!this.phased) {
      if (this.opening.open(packet, start, payloadAt, end, number)) return end - TAG_BYTES;
      this.failures++;
      return -1;
    }
    if (now >= this.dropOldAt) this.dropOld();
    // Not when the update is seen, so that how long that takes says nothing of the phase bit (RFC 9001 §6.3).
    if (this.nextOpening === null) this.prepareOpening();
    if (this.nextSealing === null && this.sealingSecret !== null) this.prepareSealing();
    const bit = (packet[start]! & KEY_PHASE) === 0 ? 0 : 1;
    const same = bit === this.openPhase;
    const old = !same && this.oldOpening !== null && number < this.openedFrom;
    const keys = same ? this.opening : old ? this.oldOpening! : this.nextOpening!;
    if (!keys.open(packet, start, payloadAt, end, number)) {
      this.failures++;
      return -1;
    }
    if (same) {
      if (number < this.openedFrom) this.openedFrom = number;
    } else if (!old) this.takeNext(number);
    return end - TAG_BYTES;
  }

  /** The peer has updated its keys; ours follow, where they did not go first (RFC 9001 §6.2). */
  private takeNext(number: number): void {
    this.dropOld();
    this.oldOpening = this.opening;
    this.opening = this.nextOpening;
    this.nextOpening = null;
    this.openPhase = this.openPhase === 0 ? 1 : 0;
    this.openedFrom = number;
    if (this.phase !== this.openPhase && this.sealing !== null) this.sealNext();
  }

  private sealNext(): void {
    // What was sealed with the keys of before has its header masked by the same key as ever.
    this.sealing!.free();
    if (this.nextSealing === null) this.prepareSealing();
    this.sealing = this.aeadWith(this.nextSealing!);
    this.nextSealing = null;
    this.sealed = 0;
    this.sealedFrom = -1;
    this.acked = false;
    this.phase = this.phase === 0 ? 1 : 0;
  }

  update(): boolean {
    if (!this.phased || !this.acked || this.sealing === null || this.opening === null) return false;
    if (this.phase !== this.openPhase) return false;
    this.sealNext();
    return true;
  }

  acknowledged(number: number, _now: number, dropOldAt: number): void {
    if (this.sealedFrom < 0 || number < this.sealedFrom) return;
    // An answer to our update in the old phase does not end it: the peer has to have taken the new keys.
    if (this.phase !== this.openPhase) return;
    this.acked = true;
    if (this.oldOpening !== null && this.dropOldAt === Number.POSITIVE_INFINITY) this.dropOldAt = dropOldAt;
  }

  private dropOld(): void {
    this.oldOpening?.free();
    this.oldOpening = null;
    this.dropOldAt = Number.POSITIVE_INFINITY;
  }

  discard(): void {
    this.mask();
    this.dropOld();
    for (const aead of [this.sealing, this.opening, this.nextOpening]) aead?.free();
    this.nextSealing?.key.fill(0);
    this.sealingHeader?.free();
    this.openingHeader?.free();
    this.sealingSecret?.fill(0);
    this.openingSecret?.fill(0);
    this.sealing = this.nextSealing = this.opening = this.nextOpening = null;
    this.sealingHeader = this.openingHeader = null;
    this.sealingSecret = this.openingSecret = null;
  }
}

/** A loop: a view for `set` costs more than sixteen bytes do. */
function copySample(packet: Uint8Array, numberAt: number, into: Uint8Array, at: number): void {
  const from = numberAt + NUMBER_MOST;
  for (let index = 0; index < SAMPLE_BYTES; index++) into[at + index] = packet[from + index]!;
}
