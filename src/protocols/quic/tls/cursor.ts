// Reads vectors of TLS out of borrowed bytes. What does not fit makes it bad for good, so that a message is read straight
// through and asked once at its end.
import { u16, u32 } from '../../../bytes/reader.ts';

export class Cursor {
  readonly bytes: Uint8Array;
  at: number;
  end: number;
  bad = false;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Whether everything was read and nothing was wrong. */
  get done(): boolean {
    return !this.bad && this.at === this.end;
  }

  get more(): boolean {
    return !this.bad && this.at < this.end;
  }

  /** Goes over `size` bytes and answers where they began. */
  skip(size: number): number {
    const { at } = this;
    if (size > this.end - at) {
      this.bad = true;
      this.at = this.end;
      return at;
    }
    this.at = at + size;
    return at;
  }

  u8(): number {
    const at = this.skip(1);
    return this.bad ? 0 : this.bytes[at]!;
  }

  u16(): number {
    const at = this.skip(2);
    return this.bad ? 0 : u16(this.bytes, at);
  }

  u24(): number {
    const at = this.skip(3);
    return this.bad ? 0 : (this.bytes[at]! << 16) | u16(this.bytes, at + 1);
  }

  u32(): number {
    const at = this.skip(4);
    return this.bad ? 0 : u32(this.bytes, at);
  }

  /** What stands behind a length of `lengthBytes`, and has `least` bytes; itself bad when it has not. */
  vector(lengthBytes: 1 | 2 | 3, least = 0): Cursor {
    const size = lengthBytes === 1 ? this.u8() : lengthBytes === 2 ? this.u16() : this.u24();
    const at = this.skip(size);
    if (size < least) this.bad = true;
    const inner = new Cursor(this.bytes, this.bad ? this.end : at, this.bad ? this.end : at + size);
    inner.bad = this.bad;
    return inner;
  }

  /** A view of what is left, borrowed. */
  rest(): Uint8Array {
    return this.bytes.subarray(this.at, this.end);
  }
}

/** The extensions of one message: where each begins and ends. */
export class Extensions {
  private readonly spans = new Map<number, readonly [start: number, end: number]>();
  readonly bytes: Uint8Array;
  /** The one that stands last; -1 for none. */
  last = -1;
  duplicate = false;

  constructor(list: Cursor) {
    this.bytes = list.bytes;
    while (list.more) {
      const type = list.u16();
      const content = list.vector(2);
      if (list.bad) return;
      if (this.spans.has(type)) this.duplicate = true;
      this.spans.set(type, [content.at, content.end]);
      this.last = type;
    }
  }

  has(type: number): boolean {
    return this.spans.has(type);
  }

  get(type: number): Cursor | null {
    const span = this.spans.get(type);
    return span === undefined ? null : new Cursor(this.bytes, span[0], span[1]);
  }

  types(): Iterable<number> {
    return this.spans.keys();
  }
}
