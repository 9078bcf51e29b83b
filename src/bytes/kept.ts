// Input that a session has not consumed yet: kept in order, offered again with what follows. Holds no storage while it
// is empty.
import { giveBack, lend } from './pool.ts';

const NONE = Buffer.alloc(0);

/** A queue of bytes; `bytes[start..end)` is what is kept. */
export class KeptBytes {
  bytes: Buffer = NONE;
  start = 0;
  end = 0;

  get length(): number {
    return this.end - this.start;
  }

  /** Copies `input[start..end)` behind what is kept. */
  append(input: Uint8Array, start: number, end: number): void {
    const more = end - start;
    const held = this.length;
    if (this.end + more > this.bytes.length) {
      if (held + more <= this.bytes.length) {
        this.bytes.copyWithin(0, this.start, this.end);
      } else {
        const grown = lend(Math.max(held + more, this.bytes.length * 2));
        this.bytes.copy(grown, 0, this.start, this.end);
        if (this.bytes !== NONE) giveBack(this.bytes);
        this.bytes = grown;
      }
      this.start = 0;
      this.end = held;
    }
    this.bytes.set(start === 0 && end === input.length ? input : input.subarray(start, end), this.end);
    this.end += more;
  }

  /** Forgets everything before position `at`. */
  consume(at: number): void {
    this.start = at;
    if (at === this.end) this.clear();
  }

  clear(): void {
    if (this.bytes !== NONE) giveBack(this.bytes);
    this.bytes = NONE;
    this.start = 0;
    this.end = 0;
  }
}
