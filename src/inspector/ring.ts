// Bytes that wait to be looked at, in a ring of a fixed size: what does not fit is not taken. It knows nothing of what they
// are.

export class ByteRing {
  readonly bytes: Buffer;
  private head = 0;
  private used = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  get room(): number {
    return this.bytes.length - this.used;
  }

  /** Copies as much as lies in one piece; answers how much, 0 when it is full. Where it lies is told by `at`. */
  put(from: Uint8Array, start: number, end: number): number {
    const size = Math.min(end - start, this.room, this.bytes.length - this.at);
    if (size === 0) return 0;
    this.bytes.set(from.subarray(start, start + size), this.at);
    this.used += size;
    return size;
  }

  /** Where the next bytes will lie. */
  get at(): number {
    return (this.head + this.used) % this.bytes.length;
  }

  /** Lets go of the oldest bytes. */
  free(size: number): void {
    this.head = (this.head + size) % this.bytes.length;
    this.used -= size;
  }
}
