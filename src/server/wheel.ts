// The one timer wheel: four levels of 256 slots, a tick a millisecond, entries linked through the items themselves. A
// deadline that moves later, as idle deadlines do with every byte, costs nothing: the item is looked at when its earlier
// place comes up and moved then. It does not know what time it is; it is told.
import type { Turned } from '../core/turn.ts';

const SLOTS = 256;
const LEVELS = 4;
/** Milliseconds that one slot of each level spans. */
const SPAN = [1, 256, 65_536, 16_777_216] as const;

/** What a slot without items is. */
type Slot = Turned | null;

export class TimerWheel {
  private readonly slots: Slot[] = new Array<Slot>(SLOTS * LEVELS).fill(null);
  private readonly filled = [0, 0, 0, 0];
  /** The tick that was last dealt with. */
  private tick: number;

  /** @param now milliseconds, from the same clock as every later call */
  constructor(now: number) {
    this.tick = Math.floor(now);
  }

  /** Makes sure that `item` is looked at no later than `at`. */
  schedule(item: Turned, at: number): void {
    if (at >= item.wheelAt || at === Number.POSITIVE_INFINITY) return;
    this.remove(item);
    this.insert(item, at);
  }

  remove(item: Turned): void {
    if (item.wheelSlot < 0) return;
    const { wheelSlot, wheelNext, wheelPrevious } = item;
    if (wheelPrevious === null) this.slots[wheelSlot] = wheelNext;
    else wheelPrevious.wheelNext = wheelNext;
    if (wheelNext !== null) wheelNext.wheelPrevious = wheelPrevious;
    if (this.slots[wheelSlot] === null) this.filled[wheelSlot >>> 8]!--;
    item.wheelSlot = -1;
    item.wheelAt = Number.POSITIVE_INFINITY;
    item.wheelNext = null;
    item.wheelPrevious = null;
  }

  /** When something is to be looked at next; infinity for never. Exact within a millisecond, never late. */
  next(): number {
    for (let level = 0; level < LEVELS; level++) {
      if (this.filled[level] === 0) continue;
      const span = SPAN[level]!;
      const here = Math.floor(this.tick / span);
      for (let ahead = level === 0 ? 0 : 1; ahead < SLOTS; ahead++)
        if (this.slots[level * SLOTS + ((here + ahead) % SLOTS)] !== null) return (here + ahead) * span;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Goes to `now`: each item whose time has come is taken out and handed to `due`. */
  advance(now: number, due: (item: Turned) => void): void {
    for (let next = this.next(); next <= now; next = this.next()) {
      this.tick = next;
      for (let level = LEVELS - 1; level > 0; level--) {
        const span = SPAN[level]!;
        if (next % span === 0)
          this.empty(level * SLOTS + (Math.floor(next / span) % SLOTS), (item, at) => this.insert(item, at));
      }
      this.empty(next % SLOTS, (item, at) => {
        if (at > now) this.insert(item, at);
        else due(item);
      });
      // An item whose fraction of this millisecond has not come yet went back into this slot: it waits for the next call.
      if (this.next() === next) return;
    }
    this.tick = Math.max(this.tick, Math.floor(now));
  }

  private insert(item: Turned, at: number): void {
    // The far end of the wheel is 49 days; what is later is looked at then and goes round again.
    const tick = Math.min(Math.max(Math.floor(at), this.tick), this.tick + SPAN[3] * (SLOTS - 1));
    let level = 0;
    while (level < LEVELS - 1 && Math.floor(tick / SPAN[level + 1]!) !== Math.floor(this.tick / SPAN[level + 1]!))
      level++;
    const slot = level * SLOTS + (Math.floor(tick / SPAN[level]!) % SLOTS);
    const first = this.slots[slot]!;
    if (first === null) this.filled[level]!++;
    else first.wheelPrevious = item;
    item.wheelNext = first;
    item.wheelSlot = slot;
    item.wheelAt = at;
    this.slots[slot] = item;
  }

  /** Takes a slot's items out, all of them before the first is dealt with: dealing with one may remove another. */
  private empty(slot: number, each: (item: Turned, at: number) => void): void {
    let item = this.slots[slot]!;
    if (item === null) return;
    this.slots[slot] = null;
    this.filled[slot >>> 8]!--;
    const items: Turned[] = [];
    const times: number[] = [];
    while (item !== null) {
      const next: Slot = item.wheelNext;
      items.push(item);
      times.push(item.wheelAt);
      item.wheelSlot = -1;
      item.wheelAt = Number.POSITIVE_INFINITY;
      item.wheelNext = null;
      item.wheelPrevious = null;
      item = next as Turned;
    }
    for (let index = 0; index < items.length; index++) each(items[index]!, times[index]!);
  }
}
