// How far each filter of a client has been given: what it takes to go on after a lost connection without gap or repeat.
// It outlives connections and knows none.
import { matches } from '../../resources/topics/names.ts';
import type { SubscribeOptions } from './requests.ts';

interface Position {
  readonly options: SubscribeOptions;
  /** Everything behind this, up to `cursor`, has been given; Infinity while that is not known. */
  base: number;
  /** Everything up to here has been given; -1 while that is not known. */
  cursor: number;
  /** What comes as it is published moves it on. */
  live: boolean;
}

export class Positions {
  private readonly filters = new Map<string, Position>();
  /** The last that came as it was published: all live filters have been given everything up to here. */
  private head = -1;

  /** Filters with what they were subscribed with and where to go on: behind `after`, or from now where it is -1. */
  *[Symbol.iterator](): Generator<readonly [filter: string, options: SubscribeOptions, after: number]> {
    for (const [filter, position] of this.filters) yield [filter, position.options, this.of(position)];
  }

  get size(): number {
    return this.filters.size;
  }

  /** Where a filter goes on; -1 when it is not known, or there is no such filter. */
  after(filter: string): number {
    const position = this.filters.get(filter);
    return position === undefined ? -1 : this.of(position);
  }

  subscribed(filter: string, options: SubscribeOptions): void {
    const { after } = options;
    this.filters.set(filter, { options, base: after ?? Number.POSITIVE_INFINITY, cursor: after ?? -1, live: false });
  }

  unsubscribed(filter: string): void {
    this.filters.delete(filter);
  }

  /** A filter's history has been given up to here, or it began here. */
  live(filter: string, cursor: number): void {
    const position = this.filters.get(filter);
    if (position === undefined) return;
    position.cursor = cursor;
    position.base = Math.min(position.base, cursor);
    position.live = true;
  }

  /** A part of a filter's history is missing: it cannot stand in for others there. */
  gap(filter: string): void {
    const position = this.filters.get(filter);
    if (position !== undefined) position.base = Number.POSITIVE_INFINITY;
  }

  /**
   * A message came; false when it came before. `history` is the filter in whose history it stood, '' for one that comes as
   * it is published.
   */
  came(topic: string, cursor: number, history: string): boolean {
    if (cursor === 0) return true;
    if (history === '') {
      this.head = Math.max(this.head, cursor);
      return true;
    }
    const own = this.filters.get(history);
    if (own === undefined) return true;
    own.cursor = cursor;
    // Another filter may have given it on the connection before, which ended before this one's history came so far.
    for (const [filter, position] of this.filters)
      if (position !== own && position.base < cursor && cursor <= this.of(position) && matches(filter, topic))
        return false;
    return true;
  }

  /** The connection is gone: nothing is live any more. */
  lost(): void {
    for (const position of this.filters.values()) {
      position.cursor = this.of(position);
      position.live = false;
    }
    this.head = -1;
  }

  private of({ cursor, live }: Position): number {
    return live ? Math.max(cursor, this.head) : cursor;
  }
}
