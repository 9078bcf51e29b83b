// The history of several filters in one order: each by itself would come in order, but not one behind the other, and a
// client that was cut off between would come back behind messages that it never got.
import type { Caller } from '../../core/caller.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { Gap, History, Message, Topics } from '../../resources/topics/contract.ts';

/** Messages of each filter that are read at a time: few at first, since they may be large. */
const PAGE_LEAST = 32;
const PAGE_MOST = 512;

/** Pages grow while all of them together are below this, and shrink above it. */
const PAGES_BYTES = 1_048_576;

/** Where it goes. */
export interface MergeTarget {
  readonly isOver: boolean;
  /** Called before anything is given. */
  open(): void;
  give(message: Message): void;
  gap(gap: Gap): void;
  /** Done when more may be given. */
  roomy(): Promise<void>;
}

/**
 * Gives what there is behind `after` in the order of the cursors, each message once. Answers the position up to which
 * everything was given, which nearly is the newest, or the outcome with which it was refused.
 */
export async function mergeHistory(
  topics: Topics,
  caller: Caller,
  filters: readonly string[],
  after: number,
  target: MergeTarget,
): Promise<{ position: number } | Outcome> {
  let position = after;
  let most = PAGE_LEAST;
  for (let first = true; ; first = false) {
    const from = position;
    const found = await Promise.all(filters.map((filter) => topics.history(caller, filter, from, most)));
    const pages: History[] = [];
    for (const page of found) {
      if (typeof page === 'number') return page;
      pages.push(page);
    }
    if (target.isOver) return { position };
    if (first) target.open();
    for (const { gap } of pages) if (gap !== null) target.gap(gap);
    // Beyond this, some filter has not been read.
    position = Math.min(...pages.map(({ cursor }) => cursor));
    for (const message of merged(pages, position)) {
      await target.roomy();
      if (target.isOver) return { position };
      target.give(message);
    }
    if (pages.every(({ messages }) => messages.length < most)) return { position };
    const bytes = pages.reduce((sum, { messages }) => sum + bytesOf(messages), 0);
    most = bytes < PAGES_BYTES ? Math.min(most * 2, PAGE_MOST) : Math.max(most >>> 1, PAGE_LEAST);
  }
}

const bytesOf = (messages: readonly Message[]): number =>
  messages.reduce((sum, { payload }) => sum + payload.length, 0);

/** Messages of all pages up to a cursor, in order and once each. */
export function merged(pages: readonly { messages: readonly Message[] }[], upTo: number): Message[] {
  const found = pages.flatMap(({ messages }) => messages.filter(({ cursor }) => cursor <= upTo));
  found.sort((a, b) => a.cursor - b.cursor);
  return found.filter(({ cursor }, at) => cursor === 0 || cursor !== found[at - 1]?.cursor);
}
