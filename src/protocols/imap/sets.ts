// Sequence sets: ranges of numbers with `*` for the greatest (RFC 9051 §9), and ranges of places in a mailbox.

/** `*` */
export const GREATEST = 0x1_0000_0000;

/** Pairs, first and last of each range, as they were given. */
export type SequenceSet = readonly number[];

/** Pairs of places, `[from, to)` each, ascending and apart. */
export type Places = readonly number[];

export const NO_PLACES: Places = [];

export function countOf(places: Places): number {
  let count = 0;
  for (let at = 0; at < places.length; at += 2) count += places[at + 1]! - places[at]!;
  return count;
}

/** Sorts pairs `[from, to)` and joins those that touch; empty ones vanish. */
export function joined(pairs: number[]): Places {
  if (pairs.length <= 2) return pairs.length === 2 && pairs[0]! < pairs[1]! ? pairs : NO_PLACES;
  const order: [from: number, to: number][] = [];
  let sorted = true;
  for (let at = 0; at < pairs.length; at += 2) {
    if (pairs[at]! >= pairs[at + 1]!) continue;
    if (order.length > 0 && order.at(-1)![0] > pairs[at]!) sorted = false;
    order.push([pairs[at]!, pairs[at + 1]!]);
  }
  if (!sorted) order.sort((one, other) => one[0] - other[0]);
  const made: number[] = [];
  for (const [from, to] of order) {
    if (made.length > 0 && from <= made.at(-1)!) made[made.length - 1] = Math.max(made.at(-1)!, to);
    else made.push(from, to);
  }
  return made;
}

/** Places that are in both. */
export function within(one: Places, other: Places): Places {
  const made: number[] = [];
  for (let a = 0, b = 0; a < one.length && b < other.length; ) {
    const from = Math.max(one[a]!, other[b]!);
    const to = Math.min(one[a + 1]!, other[b + 1]!);
    if (from < to) made.push(from, to);
    if (one[a + 1]! < other[b + 1]!) a += 2;
    else b += 2;
  }
  return made;
}

export function has(places: Places, place: number): boolean {
  let low = 0;
  let high = places.length / 2 - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    if (place < places[middle * 2]!) high = middle - 1;
    else if (place >= places[middle * 2 + 1]!) low = middle + 1;
    else return true;
  }
  return false;
}

/** Whether a set, by its numbers, has this one. */
export function setHas(set: SequenceSet, number: number, greatest: number): boolean {
  for (let at = 0; at < set.length; at += 2) {
    const first = Math.min(set[at]!, greatest);
    const last = Math.min(set[at + 1]!, greatest);
    if (number >= Math.min(first, last) && number <= Math.max(first, last)) return true;
  }
  return false;
}

/** Numbers in their order as a set: `1:3,7,9:8`. Only runs that ascend by one are joined, so that pairs of sets stay paired. */
export function setText(numbers: ArrayLike<number>): string {
  let text = '';
  for (let at = 0; at < numbers.length; ) {
    const first = numbers[at]!;
    let last = first;
    for (at++; at < numbers.length && numbers[at] === last + 1; at++) last++;
    text += `${text === '' ? '' : ','}${first}${last === first ? '' : `:${last}`}`;
  }
  return text;
}
