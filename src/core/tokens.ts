// Tokens: a slot and its generation in one number, so that an operation which settles after its asker is gone is dropped
// instead of reaching whoever has the slot now.

const SLOT_BITS = 20;
const SLOTS = 1 << SLOT_BITS;
const GENERATIONS = 1 << 30;

/** Of all that await nothing yet: a connection may never do. */
const NOTHING: never[] = [];

/** What is awaited, by token. `Item` is whatever the asker needs when the answer comes. */
export class Tokens<Item> {
  readonly most: number;
  private items: (Item | undefined)[] = NOTHING;
  private generations: number[] = NOTHING;
  private free: number[] = NOTHING;
  private used = 0;

  /** @param most how many may be awaited at once, at most 1,048,576 */
  constructor(most: number) {
    if (most > SLOTS) throw new RangeError(`at most ${SLOTS} tokens`);
    this.most = most;
  }

  get size(): number {
    return this.used;
  }

  /** A token for `item`, or 0 when as many as allowed are awaited. */
  open(item: Item): number {
    if (this.used === this.most) return 0;
    if (this.items === NOTHING) {
      this.items = [];
      this.generations = [];
      this.free = [];
    }
    this.used++;
    const slot = this.free.pop() ?? this.items.length;
    const generation = ((this.generations[slot] ?? 0) % (GENERATIONS - 1)) + 1;
    this.generations[slot] = generation;
    this.items[slot] = item;
    return generation * SLOTS + slot;
  }

  /** What the token stood for, which ends it; undefined when it has ended already. */
  take(token: number): Item | undefined {
    const slot = token % SLOTS;
    if (this.generations[slot] !== Math.floor(token / SLOTS)) return undefined;
    const item = this.items[slot];
    if (item === undefined) return undefined;
    this.items[slot] = undefined;
    this.free.push(slot);
    this.used--;
    return item;
  }

  /** Ends all: whatever settles from now on is dropped. */
  clear(): void {
    for (let slot = 0; slot < this.items.length; slot++) {
      if (this.items[slot] === undefined) continue;
      this.items[slot] = undefined;
      this.free.push(slot);
    }
    this.used = 0;
  }
}
