// Things with a time, the next one first: a binary heap. What is no longer wanted is found out when its time comes.

interface Held<Item> {
  readonly at: number;
  readonly item: Item;
}

export class Due<Item> {
  private readonly heap: Held<Item>[] = [];

  get size(): number {
    return this.heap.length;
  }

  /** The earliest time; Infinity for none. */
  get next(): number {
    return this.heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  add(at: number, item: Item): void {
    const { heap } = this;
    const held = { at, item };
    let place = heap.length;
    heap.push(held);
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (heap[above]!.at <= at) break;
      heap[place] = heap[above]!;
      place = above;
    }
    heap[place] = held;
  }

  /** The earliest, with its time, if that has come. */
  take(now: number): Held<Item> | null {
    const { heap } = this;
    const first = heap[0];
    if (first === undefined || first.at > now) return null;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let below = place * 2 + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && heap[below + 1]!.at < heap[below]!.at) below++;
      if (heap[below]!.at >= last.at) break;
      heap[place] = heap[below]!;
      place = below;
    }
    heap[place] = last;
    return first;
  }
}
