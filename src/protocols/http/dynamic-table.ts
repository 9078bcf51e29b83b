// The dynamic table of header compression as a ring (RFC 7541 §2.3.2, §4). It counts what was ever added, so that whoever
// keeps something about an entry can tell whether it still stands.

/** What an entry takes beside its text (RFC 7541 §4.1). */
export const ENTRY_BYTES = 32;

export class DynamicTable {
  /** Bytes that all entries take, and may. */
  size = 0;
  sizeMax: number;
  /** Entries that were ever added. The newest has the number `added - 1`. */
  added = 0;
  length = 0;
  private names: string[];
  private values: string[];
  private sizes: number[];
  private readonly mask: number;

  /** @param most bytes that it may ever be allowed */
  constructor(most: number) {
    this.sizeMax = most;
    let room = 16;
    while (room < most / ENTRY_BYTES) room *= 2;
    this.mask = room - 1;
    this.names = [];
    this.values = [];
    this.sizes = [];
  }

  /** The name of the entry that was added as the n-th. */
  nameOf(n: number): string {
    return this.names[n & this.mask]!;
  }

  valueOf(n: number): string {
    return this.values[n & this.mask]!;
  }

  /** What its name and value take. */
  bytesOf(n: number): number {
    return this.sizes[n & this.mask]! - ENTRY_BYTES;
  }

  has(n: number): boolean {
    return n >= this.added - this.length && n < this.added;
  }

  /** Adds an entry, for which older ones make room. One that is larger than the table empties it (§4.4). */
  add(name: string, value: string, bytes: number): void {
    const size = bytes + ENTRY_BYTES;
    this.shrink(this.sizeMax - size);
    if (size > this.sizeMax) return;
    const at = this.added & this.mask;
    this.names[at] = name;
    this.values[at] = value;
    this.sizes[at] = size;
    this.added++;
    this.length++;
    this.size += size;
  }

  resize(sizeMax: number): void {
    this.sizeMax = sizeMax;
    this.shrink(sizeMax);
  }

  /** The number of the oldest entry that would stay if so many bytes of name and value were added; -1 when they do not fit. */
  oldestAfter(bytes: number): number {
    let left = this.size + bytes + ENTRY_BYTES;
    if (bytes + ENTRY_BYTES > this.sizeMax) return -1;
    let number = this.added - this.length;
    for (; left > this.sizeMax; number++) left -= this.sizes[number & this.mask]!;
    return number;
  }

  private shrink(to: number): void {
    while (this.size > to && this.length > 0) {
      const at = (this.added - this.length) & this.mask;
      this.size -= this.sizes[at]!;
      this.names[at] = '';
      this.values[at] = '';
      this.length--;
    }
  }
}
