// Cookies of the server (RFC 7873, RFC 9018): a client that shows one has received at the address that it sends from. The
// secret changes by itself, and the one before it is good for as long.
import type { Entropy } from '../../core/time.ts';
import { sipHash } from './siphash.ts';

/** version 1, three reserved, time, eight of hash (RFC 9018 §4). */
export const SERVER_COOKIE_BYTES = 16;
const COOKIE_BYTES = 24;
/** A cookie from the future may be as far ahead (RFC 9018 §4.3). */
const AHEAD_S = 300;

export class Cookies {
  private readonly entropy: Entropy;
  private readonly goodMs: number;
  private secret = new Uint8Array(16);
  private former = new Uint8Array(16);
  private changeAt: number;
  /** Client cookie, version and time, address. */
  private readonly input = new Uint8Array(32);
  private readonly hash = new Uint8Array(8);
  /** A client's cookie and the server's behind it, as it is sent. */
  readonly made = new Uint8Array(COOKIE_BYTES);

  constructor(entropy: Entropy, goodMs: number, wall: number) {
    this.entropy = entropy;
    this.goodMs = goodMs;
    entropy.fill(this.secret);
    entropy.fill(this.former);
    this.changeAt = wall + goodMs * 2;
  }

  /** Sets a secret; for servers that share one, and for tests. */
  use(secret: Uint8Array): void {
    this.secret = Uint8Array.from(secret);
  }

  /** Makes the cookie that answers the client's at `bytes[at…at+8)`, which came from an address. */
  make(bytes: Uint8Array, at: number, address: Uint8Array, wall: number): Uint8Array {
    this.turn(wall);
    const { made } = this;
    for (let index = 0; index < 8; index++) made[index] = bytes[at + index]!;
    made[8] = 1;
    made[9] = made[10] = made[11] = 0;
    const seconds = Math.floor(wall / 1_000);
    made[12] = seconds >>> 24;
    made[13] = seconds >>> 16;
    made[14] = seconds >>> 8;
    made[15] = seconds;
    this.compute(this.secret, made, 0, address, made, 16);
    return made;
  }

  /** Whether the server's cookie at `bytes[at + 8…end)` is one of ours for that client, and not too old. */
  isGood(bytes: Uint8Array, at: number, end: number, address: Uint8Array, wall: number): boolean {
    if (end - at !== COOKIE_BYTES || bytes[at + 8] !== 1) return false;
    this.turn(wall);
    const time = ((bytes[at + 12]! << 24) | (bytes[at + 13]! << 16) | (bytes[at + 14]! << 8) | bytes[at + 15]!) >>> 0;
    // Serial number arithmetic (RFC 9018 §4.3).
    const age = (Math.floor(wall / 1_000) - time) | 0;
    if (age > this.goodMs / 1_000 || age < -AHEAD_S) return false;
    return this.matches(this.secret, bytes, at, address) || this.matches(this.former, bytes, at, address);
  }

  private matches(secret: Uint8Array, bytes: Uint8Array, at: number, address: Uint8Array): boolean {
    this.compute(secret, bytes, at, address, this.hash, 0);
    let difference = 0;
    for (let index = 0; index < 8; index++) difference |= this.hash[index]! ^ bytes[at + 16 + index]!;
    return difference === 0;
  }

  private compute(
    secret: Uint8Array,
    bytes: Uint8Array,
    at: number,
    address: Uint8Array,
    out: Uint8Array,
    outAt: number,
  ): void {
    const { input } = this;
    for (let index = 0; index < 16; index++) input[index] = bytes[at + index]!;
    for (let index = 0; index < address.length; index++) input[16 + index] = address[index]!;
    sipHash(secret, input, 16 + address.length, out, outAt);
  }

  private turn(wall: number): void {
    if (wall < this.changeAt) return;
    this.changeAt = wall + this.goodMs * 2;
    const { former } = this;
    this.former = this.secret;
    this.entropy.fill(former);
    this.secret = former;
  }
}
