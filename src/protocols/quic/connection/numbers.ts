// What came in one number space and has to be acknowledged (RFC 9000 §13.2).
import { type Instant, NEVER } from '../../../core/time.ts';
import { ACK, ACK_ECN } from '../codec/frames.ts';
import { writeVarint } from '../codec/varint.ts';
import { Ranges } from '../recovery/ranges.ts';

/** As announced by not saying otherwise (RFC 9000 §18.2). */
export const ACK_DELAY_MS = 25;
const EXPONENT = 3;
/** Packets that may come before they are acknowledged at once. */
const EVERY = 2;

export class Arrivals {
  readonly ranges = new Ranges();
  largest = -1;
  private largestAt: Instant = 0;
  /** All below was told long ago, or will never be. */
  private floor = 0;
  private eliciting = 0;
  dueAt: Instant = NEVER;
  private ect0 = 0;
  private ect1 = 0;
  private ce = 0;

  isKnown(number: number): boolean {
    return number < this.floor || this.ranges.has(number);
  }

  /** @param atOnce acknowledgements of the handshake do not wait */
  add(number: number, eliciting: boolean, ecn: number, atOnce: boolean, most: number, now: Instant): void {
    const inOrder = number === this.largest + 1;
    this.ranges.add(number, number + 1);
    if (this.ranges.count > most) {
      this.ranges.keep(most);
      this.floor = this.ranges.list[0]!;
    }
    if (number > this.largest) {
      this.largest = number;
      this.largestAt = now;
    }
    if (ecn === 2) this.ect0++;
    else if (ecn === 1) this.ect1++;
    else if (ecn === 3) this.ce++;
    if (!eliciting) return;
    this.eliciting++;
    if (atOnce || this.eliciting >= EVERY || !inOrder || ecn === 3) this.dueAt = now;
    else this.dueAt = Math.min(this.dueAt, now + ACK_DELAY_MS);
  }

  get isPending(): boolean {
    return this.eliciting > 0;
  }

  /** The peer knows that we have all up to here. */
  told(largest: number): void {
    this.ranges.remove(0, largest + 1);
    this.floor = Math.max(this.floor, largest + 1);
  }

  /** Writes an ACK frame, if there is room for it, and answers where it ends. */
  write(bytes: Uint8Array, start: number, end: number, now: Instant): number {
    const { list } = this.ranges;
    if (list.length === 0 || end - start < 40) return start;
    const marks = this.ect0 + this.ect1 + this.ce > 0;
    let at = start;
    bytes[at++] = marks ? ACK_ECN : ACK;
    const last = list.length - 2;
    const largest = list[last + 1]! - 1;
    at = writeVarint(bytes, at, largest);
    // Within one turn time stands still: what came in it did not wait.
    at = writeVarint(bytes, at, Math.max(0, Math.floor(((now - this.largestAt) * 1_000) / 2 ** EXPONENT)));
    const room = Math.floor((end - at - (marks ? 24 : 0) - 9) / 8);
    const count = Math.max(0, Math.min(last / 2, room));
    at = writeVarint(bytes, at, count);
    at = writeVarint(bytes, at, largest - list[last]!);
    for (let index = last - 2, left = count; left > 0; index -= 2, left--) {
      at = writeVarint(bytes, at, list[index + 2]! - list[index + 1]! - 1);
      at = writeVarint(bytes, at, list[index + 1]! - 1 - list[index]!);
    }
    if (marks) {
      at = writeVarint(bytes, at, this.ect0);
      at = writeVarint(bytes, at, this.ect1);
      at = writeVarint(bytes, at, this.ce);
    }
    this.eliciting = 0;
    this.dueAt = NEVER;
    return at;
  }
}
