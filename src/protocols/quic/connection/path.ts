// One way between two addresses: whether the peer was shown to be there, what may be sent to it before, and how large packets
// may be on it (RFC 9000 §8, §9, §14; RFC 8899).
import type { Address } from '../../../core/peer.ts';
import { type Instant, NEVER } from '../../../core/time.ts';

/** Every path of QUIC takes packets of this size (RFC 9000 §14). */
export const LEAST_PACKET = 1_200;
/** Before the peer has shown that it is there (RFC 9000 §8.1). */
const AMPLIFICATION = 3;
const TRIES = 3;
const WINDOW_SHARE = 8;
/** Over IPv6 and Ethernet, and with jumbo frames. */
const LIKELY = [1_452, 8_952];
/** Times that packets of more than the least are lost and none comes through: the path no longer takes them (RFC 8899 §4.3). */
const BLACK_HOLE = 4;

export class Path {
  readonly remote: Address;
  readonly local: Address | null;
  validated: boolean;
  received = 0;
  sent = 0;
  /** What was asked in the path challenge that is not answered yet. */
  challenge: Uint8Array | null = null;
  challengeTold = true;
  challengeAt: Instant = NEVER;
  tries = 0;

  constructor(remote: Address, local: Address | null, validated: boolean) {
    this.remote = remote;
    this.local = local;
    this.validated = validated;
  }

  /** How many bytes may be sent on it. */
  get room(): number {
    return this.validated ? Number.POSITIVE_INFINITY : this.received * AMPLIFICATION - this.sent;
  }

  isTo(remote: Address): boolean {
    return this.remote.port === remote.port && this.remote.host === remote.host;
  }
}

/** Looks for the largest packets that a path takes: likely sizes upwards, and by halves below the first of them (RFC 8899 §5.3). */
export class PacketSize {
  current = LEAST_PACKET;
  private most: number;
  private readonly likely: readonly number[];
  /** The size that was asked last, 0 for none, and how often it was lost. */
  private asked = 0;
  private losses = 0;
  private largeLosses = 0;
  private lossAt: Instant = Number.NEGATIVE_INFINITY;

  constructor(most: number) {
    this.most = Math.max(most, LEAST_PACKET);
    this.likely = [...LIKELY.filter((size) => size < this.most), this.most];
  }

  /** Whether there is a size to ask for: no large part of what may be on its way, since it may well be lost. */
  isSearching(window: number): boolean {
    if (this.asked !== 0 || this.most - this.current < 16) return false;
    return this.following <= LIKELY[0]! || this.following * WINDOW_SHARE <= window;
  }

  next(): number {
    this.asked = this.following;
    return this.asked;
  }

  private get following(): number {
    const likely = this.likely.find((size) => size > this.current && size <= this.most);
    return likely ?? Math.ceil((this.current + this.most) / 2);
  }

  acked(size: number, probe: boolean): void {
    if (size > LEAST_PACKET) this.largeLosses = 0;
    if (!probe) return;
    this.asked = this.losses = 0;
    this.current = Math.max(this.current, size);
  }

  /** Found to be lost at `now`; answers whether the size of packets has shrunk. */
  lost(size: number, probe: boolean, now: Instant): boolean {
    if (probe) {
      this.asked = 0;
      // The first is asked once: what it was lost for shows on the way up by halves.
      if (++this.losses < TRIES && size !== this.likely[0]) return false;
      this.losses = 0;
      this.most = this.current >= LIKELY[0]! ? this.current : Math.max(this.current, size - 1);
      return false;
    }
    // What is lost together was lost in one queue that was full.
    if (size <= LEAST_PACKET || now === this.lossAt) return false;
    this.lossAt = now;
    if (++this.largeLosses < BLACK_HOLE) return false;
    this.largeLosses = 0;
    return this.shrink();
  }

  /** Back to what every path takes; answers whether that is less than before. */
  shrink(): boolean {
    if (this.current === LEAST_PACKET) return false;
    this.current = this.most = LEAST_PACKET;
    return true;
  }
}
