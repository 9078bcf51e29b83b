// Work that must not overlap: one after another for each name, and at most so many at once.

/** One at a time for each name. */
export class Turns {
  private readonly last = new Map<string, Promise<unknown>>();

  async take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.last.get(name);
    const mine = before === undefined ? work() : before.then(work, work);
    this.last.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.last.get(name) === mine) this.last.delete(name);
    }
  }

  /** Of two names, in an order that all keep. */
  both<T>(one: string, other: string, work: () => Promise<T>): Promise<T> {
    if (one === other) return this.take(one, work);
    const [first, second] = one < other ? [one, other] : [other, one];
    return this.take(first, () => this.take(second, work));
  }

  /** Once nothing is under way. */
  async rest(): Promise<void> {
    while (this.last.size > 0) await Promise.allSettled(this.last.values());
  }
}

/** Does `work` for each of the items, at most `most` at once, and answers in their order. */
export async function eachOf<T, R>(items: readonly T[], most: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const run = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, run));
  return results;
}
