// Bytes of one stream as they come in any order, put in order. What comes in order and waits for nothing is passed on in
// place; the rest is kept until it is its turn. How much may come is the credit of who asks.
import { giveBack, lend } from '../../../bytes/pool.ts';
import { Ranges } from '../recovery/ranges.ts';

const NONE: Buffer = Buffer.alloc(0);

export class Reassembly {
  /** All before it was passed on. */
  next = 0;
  /** `kept[0]` is this offset. */
  private base = 0;
  private kept: Buffer = NONE;
  private readonly ranges = new Ranges();

  get gaps(): number {
    return this.ranges.count;
  }

  get keptBytes(): number {
    return this.kept.length;
  }

  /** Takes `bytes[start..end)` that stand at `offset`, and gives `pass` what is in order now. */
  add(
    offset: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    pass: (bytes: Uint8Array, start: number, end: number) => void,
  ): void {
    const stop = offset + end - start;
    if (stop <= this.next) return;
    if (offset <= this.next && this.ranges.isEmpty) {
      const from = start + this.next - offset;
      this.next = stop;
      pass(bytes, from, end);
      return;
    }
    const from = Math.max(offset, this.next);
    this.keep(from, bytes, start + from - offset, end);
    if (this.ranges.list[0] !== this.next) return;
    const to = this.ranges.list[1]!;
    const { kept, base } = this;
    const at = this.next;
    this.next = to;
    this.ranges.remove(0, to);
    // What is passed on may end the stream, which clears this.
    pass(kept, at - base, to - base);
    if (this.ranges.isEmpty && this.kept === kept) this.clear();
  }

  private keep(offset: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.kept === NONE) this.base = this.next;
    const need = offset + end - start - this.base;
    if (need > this.kept.length) {
      const shift = this.next - this.base;
      const size = need - shift;
      const grown =
        size <= this.kept.length ? this.kept : lend(Math.max(size, Math.min(this.kept.length * 2, 1 << 20)));
      this.kept.copy(grown, 0, shift);
      if (grown !== this.kept && this.kept !== NONE) giveBack(this.kept);
      this.kept = grown;
      this.base = this.next;
    }
    this.kept.set(bytes.subarray(start, end), offset - this.base);
    this.ranges.add(offset, offset + end - start);
  }

  clear(): void {
    if (this.kept !== NONE) giveBack(this.kept);
    this.kept = NONE;
    this.ranges.clear();
  }
}
