// What a connection was told and its program has not looked at yet: an async iterable that holds the other end back when
// it is full.

export class Inbox<Item> implements AsyncIterable<Item> {
  private readonly hold: (stop: boolean) => void;
  private readonly most: number;
  private items: Item[] = [];
  private takers: { resolve(result: IteratorResult<Item>): void; reject(error: unknown): void }[] = [];
  private held = false;
  private ended = false;
  private error: unknown = null;

  /** @param hold is called with true when `most` items wait, and with false when half of them are taken */
  constructor(hold: (stop: boolean) => void, most = 1_024) {
    this.hold = hold;
    this.most = most;
  }

  put(item: Item): void {
    const taker = this.takers.shift();
    if (taker !== undefined) {
      taker.resolve({ value: item, done: false });
      return;
    }
    this.items.push(item);
    if (this.held || this.items.length < this.most) return;
    this.held = true;
    this.hold(true);
  }

  /** No more comes: who waits is told, with the error if there is one. */
  end(error: unknown = null): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error;
    for (const taker of this.takers.splice(0))
      if (error === null) taker.resolve({ value: undefined, done: true });
      else taker.reject(error);
  }

  private next(): Promise<IteratorResult<Item>> {
    if (this.items.length > 0) {
      const value = this.items.shift()!;
      if (this.held && this.items.length * 2 <= this.most) {
        this.held = false;
        this.hold(false);
      }
      return Promise.resolve({ value, done: false });
    }
    if (this.ended)
      return this.error === null ? Promise.resolve({ value: undefined, done: true }) : Promise.reject(this.error);
    return new Promise((resolve, reject) => this.takers.push({ resolve, reject }));
  }

  /** Leaving a loop ends nothing: another may go on behind it. */
  [Symbol.asyncIterator](): AsyncIterator<Item> {
    return { next: () => this.next() };
  }
}
