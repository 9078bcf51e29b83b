// One way between two addresses: whether the peer was shown to be there, what may be sent to it before, and how large packets
// may be on it (RFC 9000 §8, §9, §14; RFC 8899).
import type { Address } from '../../../core/peer.ts';
import { type Instant, NEVER } from '../../../core/time.ts';

/** Every path of QUIC takes packets of this size (RFC 9000 §14). */
export const LEAST_PACKET = 1_200;
/** Before the peer has shown that it is there (RFC 9000 §8.1). */
const AMPLIFICATION = 3;
const TRIES = 3;
/** Packets of more than the least that are lost in a row: the path no longer takes them (RFC 8899 §4.3). */
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

/** Looks for the largest packets that a path takes. */
export class PacketSize {
  current = LEAST_PACKET;
  private most: number;
  private readonly highest: number;
  /** The size that was asked last, 0 for none, and how often it was lost. */
  private asked = 0;
  private losses = 0;
  private largeLosses = 0;

  constructor(most: number) {
    this.most = this.highest = Math.max(most, LEAST_PACKET);
  }

  get isSearching(): boolean {
    return this.asked === 0 && this.most - this.current >= 16;
  }

  get searches(): boolean {
    return this.most > this.current;
  }

  /** The size to try: what is likely first, then by halves. */
  next(): number {
    this.asked = this.most === this.highest ? this.most : Math.ceil((this.current + this.most) / 2);
    return this.asked;
  }

  acked(size: number, probe: boolean): void {
    if (size > LEAST_PACKET) this.largeLosses = 0;
    if (!probe) return;
    this.asked = this.losses = 0;
    this.current = Math.max(this.current, size);
  }

  /** Answers whether the size of packets has shrunk. */
  lost(size: number, probe: boolean): boolean {
    if (probe) {
      this.asked = 0;
      if (++this.losses < TRIES && size < this.highest) return false;
      this.losses = 0;
      this.most = Math.max(this.current, size - 1);
      return false;
    }
    if (size <= LEAST_PACKET || ++this.largeLosses < BLACK_HOLE) return false;
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
