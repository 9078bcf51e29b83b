// Which of many is due first: a binary heap whose items know their place.
import { type Instant, NEVER } from '../../core/time.ts';

export class DueHeap<Item extends object> {
  private readonly items: Item[] = [];
  private readonly dues: Instant[] = [];
  private readonly places = new Map<Item, number>();

  get next(): Instant {
    return this.dues[0] ?? NEVER;
  }

  get first(): Item | null {
    return this.items[0] ?? null;
  }

  set(item: Item, due: Instant): void {
    const place = this.places.get(item);
    if (due === NEVER) {
      if (place !== undefined) this.remove(item);
      return;
    }
    if (place === undefined) {
      this.items.push(item);
      this.dues.push(due);
      this.up(this.items.length - 1, item, due);
      return;
    }
    const before = this.dues[place]!;
    if (due < before) this.up(place, item, due);
    else if (due > before) this.down(place, item, due);
  }

  remove(item: Item): void {
    const place = this.places.get(item);
    if (place === undefined) return;
    this.places.delete(item);
    const last = this.items.pop()!;
    const due = this.dues.pop()!;
    if (last === item) return;
    this.up(place, last, due);
    this.down(this.places.get(last)!, last, due);
  }

  private put(place: number, item: Item, due: Instant): void {
    this.items[place] = item;
    this.dues[place] = due;
    this.places.set(item, place);
  }

  private up(place: number, item: Item, due: Instant): void {
    while (place > 0) {
      const parent = (place - 1) >>> 1;
      if (this.dues[parent]! <= due) break;
      this.put(place, this.items[parent]!, this.dues[parent]!);
      place = parent;
    }
    this.put(place, item, due);
  }

  private down(place: number, item: Item, due: Instant): void {
    for (;;) {
      let child = place * 2 + 1;
      if (child >= this.items.length) break;
      if (child + 1 < this.items.length && this.dues[child + 1]! < this.dues[child]!) child++;
      if (this.dues[child]! >= due) break;
      this.put(place, this.items[child]!, this.dues[child]!);
      place = child;
    }
    this.put(place, item, due);
  }
}
