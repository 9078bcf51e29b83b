// An arena that encoders write into: grows by doubling up to a hard cap, lends its storage from the pool and holds none
// while it is empty. Numbers are big-endian (network order).
import { giveBack, lend } from './pool.ts';

const NONE = Buffer.alloc(0);

/** The first piece of storage: most answers fit, and ten thousand quiet connections do not cost 160 MB. */
const FIRST = 512;

/** Bytes being written. `bytes[0..length)` is what was written so far; positions stay valid while the arena grows. */
export class ByteWriter {
  bytes: Buffer = NONE;
  length = 0;
  readonly cap: number;

  /** @param cap the most bytes that may be held; writing past it is a bug of the writer's and throws */
  constructor(cap: number) {
    this.cap = cap;
  }

  /** Makes room for `more` bytes at `length`, so that several `bytes[...] =` can follow without a check each. */
  ensure(more: number): void {
    const need = this.length + more;
    if (need <= this.bytes.length && need <= this.cap) return;
    if (need > this.cap) throw new RangeError(`${need} bytes written to an arena of at most ${this.cap}`);
    const grown = lend(Math.min(this.cap, Math.max(need, this.bytes.length * 2, FIRST)));
    if (this.length > 0) this.bytes.copy(grown, 0, 0, this.length);
    if (this.bytes !== NONE) giveBack(this.bytes);
    this.bytes = grown;
  }

  u8(value: number): void {
    this.ensure(1);
    this.bytes[this.length++] = value;
  }

  u16(value: number): void {
    this.ensure(2);
    this.bytes[this.length++] = value >>> 8;
    this.bytes[this.length++] = value;
  }

  u32(value: number): void {
    this.ensure(4);
    this.bytes.writeUInt32BE(value >>> 0, this.length);
    this.length += 4;
  }

  /** A 64-bit number; `value` is a safe integer. */
  u64(value: number): void {
    this.u32(Math.floor(value / 0x1_0000_0000));
    this.u32(value >>> 0);
  }

  copy(source: Uint8Array, start: number, end: number): void {
    const size = end - start;
    this.ensure(size);
    // Below some tens of bytes the loop beats the call into the engine.
    if (size < 48) {
      const { bytes } = this;
      let at = this.length;
      for (let index = start; index < end; index++) bytes[at++] = source[index]!;
    } else {
      this.bytes.set(start === 0 && end === source.length ? source : source.subarray(start, end), this.length);
    }
    this.length += size;
  }

  /** Text that is known to be ASCII: one byte a character. */
  ascii(text: string): void {
    this.ensure(text.length);
    this.length += this.bytes.write(text, this.length, 'latin1');
  }

  /** Text as UTF-8; answers the bytes that it took. */
  utf8(text: string): number {
    // Three bytes a UTF-16 unit is the most that UTF-8 needs; measuring costs less than growing far too much.
    const most = text.length * 3;
    if (this.length + most > this.bytes.length) this.ensure(Buffer.byteLength(text));
    const size = this.bytes.write(text, this.length);
    this.length += size;
    return size;
  }

  /** Forgets everything from position `at` on: a half-written answer that turned out not to fit. */
  cut(at: number): void {
    this.length = at;
  }

  /**
   * Hands over what was written and begins anew with other storage. The answer stays valid until its storage is given
   * back: `giveBack(taken.storage)`.
   */
  take(): Taken {
    const taken = { storage: this.bytes, bytes: this.bytes.subarray(0, this.length) };
    this.bytes = NONE;
    this.length = 0;
    return taken;
  }

  /** Drops what was written and gives the storage back. */
  clear(): void {
    if (this.bytes !== NONE) giveBack(this.bytes);
    this.bytes = NONE;
    this.length = 0;
  }
}

/** Bytes out of an arena, and the storage to give back when they have left. */
export interface Taken {
  readonly storage: Buffer;
  readonly bytes: Buffer;
}
