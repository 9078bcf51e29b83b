// What is to happen when, the earliest first: a binary heap. What was settled meanwhile is passed over by whoever takes it out.
import { type Instant, NEVER } from '../../core/time.ts';

interface Entry<Item> {
  readonly at: Instant;
  readonly item: Item;
}

export class Deadlines<Item> {
  private readonly heap: Entry<Item>[] = [];

  get next(): Instant {
    return this.heap[0]?.at ?? NEVER;
  }

  add(at: Instant, item: Item): void {
    const { heap } = this;
    const entry = { at, item };
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      if (heap[parent]!.at <= at) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = entry;
  }

  /** Takes out the earliest that is due; null when none is. */
  take(now: Instant): Item | null {
    const { heap } = this;
    const first = heap[0];
    if (first === undefined || first.at > now) return null;
    const last = heap.pop()!;
    if (heap.length === 0) return first.item;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++;
      if (heap[child]!.at >= last.at) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first.item;
  }
}
