// The open streams of a connection by their number. A `Map` leaves a chain of its former tables behind, which keeps streams
// alive that are long over, until all memory is looked through: measured, a third of all that a busy connection made.
import type { Stream } from './stream.ts';

const FIRST = 16;
/** A larger table is not kept once it is empty. */
const KEPT = 1_024;

/** Open addressing: numbers follow one another, so that most stand where they belong. */
export class StreamTable {
  size = 0;
  private slots: (Stream | null)[] = new Array(FIRST).fill(null);

  get(id: number): Stream | undefined {
    const { slots } = this;
    const mask = slots.length - 1;
    for (let at = (id >>> 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at]!;
      if (stream === null) return undefined;
      if (stream.id === id) return stream;
    }
  }

  /** Adds one whose number it has not. */
  add(stream: Stream): void {
    if (++this.size * 2 > this.slots.length) this.grow();
    this.place(stream);
  }

  private place(stream: Stream): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let at = (stream.id >>> 1) & mask;
    while (slots[at] !== null) at = (at + 1) & mask;
    slots[at] = stream;
  }

  private grow(): void {
    const { slots } = this;
    this.slots = new Array(slots.length * 2).fill(null);
    for (const stream of slots) if (stream !== null) this.place(stream);
  }

  delete(id: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let at = (id >>> 1) & mask;
    for (; ; at = (at + 1) & mask) {
      const stream = slots[at]!;
      if (stream === null) return;
      if (stream.id === id) break;
    }
    this.size--;
    // Those behind it that stand away from where they belong move up.
    for (let next = (at + 1) & mask; ; next = (next + 1) & mask) {
      const stream = slots[next]!;
      if (stream === null) break;
      const home = (stream.id >>> 1) & mask;
      if (((next - home) & mask) < ((next - at) & mask)) continue;
      slots[at] = stream;
      at = next;
    }
    slots[at] = null;
    if (this.size === 0 && slots.length > KEPT) this.slots = new Array(FIRST).fill(null);
  }

  /** All, as they are now: what is closed meanwhile is among them. */
  values(): Stream[] {
    const all: Stream[] = [];
    for (const stream of this.slots) if (stream !== null) all.push(stream);
    return all.sort((one, other) => one.id - other.id);
  }

  clear(): void {
    this.slots = new Array(FIRST).fill(null);
    this.size = 0;
  }
}
