// A set of whole numbers as ranges in order: packet numbers that came, bytes that were acknowledged or lost. Half open.

export class Ranges {
  /** `start, end` pairs, ascending, with gaps between them. */
  readonly list: number[] = [];

  get count(): number {
    return this.list.length >>> 1;
  }

  get isEmpty(): boolean {
    return this.list.length === 0;
  }

  /** One past the largest number; 0 of an empty set. */
  get end(): number {
    return this.list.length === 0 ? 0 : this.list[this.list.length - 1]!;
  }

  has(number: number): boolean {
    const { list } = this;
    for (let index = list.length - 2; index >= 0; index -= 2)
      if (number >= list[index]!) return number < list[index + 1]!;
    return false;
  }

  add(start: number, end: number): void {
    if (end <= start) return;
    const { list } = this;
    const last = list.length - 1;
    // Nearly always in order.
    if (last < 0 || start > list[last]!) {
      list.push(start, end);
      return;
    }
    if (start === list[last]!) {
      list[last] = end;
      return;
    }
    let from = 0;
    while (from < list.length && list[from + 1]! < start) from += 2;
    let to = from;
    let least = start;
    let most = end;
    while (to < list.length && list[to]! <= end) {
      least = Math.min(least, list[to]!);
      most = Math.max(most, list[to + 1]!);
      to += 2;
    }
    list.splice(from, to - from, least, most);
  }

  remove(start: number, end: number): void {
    const { list } = this;
    for (let index = 0; index < list.length; ) {
      const from = list[index]!;
      const to = list[index + 1]!;
      if (to <= start || from >= end) {
        index += 2;
        continue;
      }
      const left: number[] = [];
      if (from < start) left.push(from, start);
      if (to > end) left.push(end, to);
      list.splice(index, 2, ...left);
      index += left.length;
    }
  }

  /** Forgets the lowest ranges until `most` are left. */
  keep(most: number): void {
    if (this.count > most) this.list.splice(0, (this.count - most) * 2);
  }

  clear(): void {
    this.list.length = 0;
  }
}
