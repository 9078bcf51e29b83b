// Raw bytes of a known length, gathered as they come. Storage grows with what has come, not with what was announced.
import { copyOf } from '../../bytes/reader.ts';

const FIRST = 65_536;

export class Body {
  readonly length: number;
  private bytes: Buffer;
  private size = 0;

  constructor(length: number) {
    this.length = length;
    this.bytes = Buffer.allocUnsafeSlow(Math.min(length, FIRST));
  }

  get isWhole(): boolean {
    return this.size === this.length;
  }

  /** Takes what belongs to it of `input[start..end)`; answers the index behind. */
  take(input: Uint8Array, start: number, end: number): number {
    const stop = Math.min(end, start + this.length - this.size);
    const size = this.size + stop - start;
    if (size > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.length, Math.max(size, this.bytes.length * 2)));
      this.bytes.copy(grown, 0, 0, this.size);
      this.bytes = grown;
    }
    this.bytes.set(input.subarray(start, stop), this.size);
    this.size = size;
    return stop;
  }

  /** What was gathered, for good. */
  payload(): Buffer {
    return this.bytes;
  }
}

/** Up to here a payload shares its storage with others: cheaper to make, and gone with the last of them. */
const SMALL = 1_024;

/** A copy of `input[start..end)` that may be kept; one that is to be kept for long has storage of its own. */
export function payloadOf(input: Uint8Array, start: number, end: number, long: boolean): Buffer {
  const size = end - start;
  if (long || size > SMALL) return copyOf(input, start, end);
  const copy = Buffer.allocUnsafe(size);
  if (size < 48) for (let at = 0; at < size; at++) copy[at] = input[start + at]!;
  else copy.set(input.subarray(start, end));
  return copy;
}
