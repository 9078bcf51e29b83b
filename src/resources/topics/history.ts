// The history of topics: which topics keep one, its newest part in memory, the rest read from storage in pages.
import type { Entry, Keep, Space } from '../../storage/engine.ts';
import type { Message } from './contract.ts';
import { decodeMessage, sizeOf } from './message.ts';
import { isTopicFilter, matches } from './names.ts';

/** What is kept of the topics that a filter matches; the first policy that fits a topic counts. */
export interface HistoryPolicy {
  readonly filter: string;
  readonly history: 'durable' | 'none';
  /** Messages a topic. */
  readonly last?: number;
  readonly ageMs?: number;
  /** Bytes of all the topics of the filter together. */
  readonly bytes?: number;
}

export const DEFAULT_POLICIES: readonly HistoryPolicy[] = [{ filter: '#', history: 'durable' }];

export const HISTORY_LAST = 1_000;
export const HISTORY_AGE_MS = 86_400_000;
export const HISTORY_BYTES = 268_435_456;

/** Between a policy's filter and the topic in a key; no filter of a policy may hold it. */
const SEPARATOR = '\u0001';

/** Connections that come and go would drive out all else. */
const PASSING = 'connections/';

/** How much of the newest history stays in memory. */
const TAIL_MESSAGES = 8_192;
const TAIL_BYTES = 16_777_216;

/** Topics whose policy is remembered. */
const REMEMBERED = 16_384;

/** The records that a space of topics keeps, by the policies. */
export function keepsOf(policies: readonly HistoryPolicy[]): Keep[] {
  const keeps: Keep[] = [];
  for (const policy of policies) {
    if (!isTopicFilter(policy.filter) || policy.filter.includes(SEPARATOR))
      throw new RangeError(`${JSON.stringify(policy.filter)} is not a filter of topics`);
    if (policy.history === 'none') continue;
    keeps.push({
      prefix: prefixOf(policy),
      last: policy.last ?? HISTORY_LAST,
      ageMs: policy.ageMs ?? HISTORY_AGE_MS,
      bytes: policy.bytes ?? HISTORY_BYTES,
    });
  }
  // What a policy kept that is no more goes by itself.
  keeps.push({ prefix: 'h:', last: HISTORY_LAST, ageMs: HISTORY_AGE_MS, bytes: HISTORY_BYTES });
  return keeps;
}

function prefixOf(policy: HistoryPolicy): string {
  return `h:${policy.filter}${SEPARATOR}`;
}

export class HistoryLog {
  /** The sequence up to which everything committed has been dispatched. */
  head: number;
  readonly wall: () => number;
  private readonly space: Space;
  private readonly policies: readonly HistoryPolicy[];
  private readonly keys = new Map<string, string | null>();
  private tail: Message[] = [];
  private tailBytes = 0;
  /** All history above this is in the tail. */
  private floor: number;

  constructor(space: Space, policies: readonly HistoryPolicy[], wall: () => number) {
    this.space = space;
    this.policies = policies;
    this.wall = wall;
    this.head = space.head;
    this.floor = space.head;
  }

  /** The key of a topic's history, or null where none is kept. */
  keyOf(topic: string): string | null {
    const known = this.keys.get(topic);
    if (known !== undefined) return known;
    const policy = this.policies.find(({ filter }) => matches(filter, topic));
    const none = policy === undefined || policy.history === 'none' || topic.startsWith(PASSING);
    const key = none ? null : prefixOf(policy) + topic;
    if (this.keys.size >= REMEMBERED) this.keys.clear();
    this.keys.set(topic, key);
    return key;
  }

  /** Whether any topic of a filter may have a history. */
  keeps(filter: string): boolean {
    if (isLiteral(filter)) return this.keyOf(filter) !== null;
    return this.policies.some(({ history }) => history === 'durable');
  }

  /** A message that was committed with its cursor, as it is dispatched. */
  add(message: Message): void {
    this.head = message.cursor;
    this.tail.push(message);
    this.tailBytes += sizeOf(message);
    if (this.tail.length <= TAIL_MESSAGES && this.tailBytes <= TAIL_BYTES) return;
    // A quarter at once: the array is moved rarely.
    const gone = this.tail.splice(0, Math.ceil(this.tail.length / 4));
    for (const message of gone) this.tailBytes -= sizeOf(message);
    this.floor = gone.at(-1)!.cursor;
  }

  tailCovers(after: number): boolean {
    return after >= this.floor;
  }

  /** Visits what is behind a cursor that the tail covers, until `visit` answers false; true when it came to the end. */
  eachTail(after: number, visit: (message: Message) => boolean): boolean {
    const { tail } = this;
    let low = 0;
    let high = tail.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (tail[middle]!.cursor <= after) low = middle + 1;
      else high = middle;
    }
    for (; low < tail.length; low++) if (!visit(tail[low]!)) return false;
    return true;
  }

  /** A page of what is behind a cursor that the tail covers; `cursor`: everything up to there has been looked at. */
  readTail(filter: string, after: number, most: number): { messages: Message[]; cursor: number } {
    const messages: Message[] = [];
    const isAll = this.eachTail(after, (message) => {
      if (matches(filter, message.topic)) messages.push(message);
      return messages.length < most;
    });
    return { messages, cursor: isAll ? this.head : messages.at(-1)!.cursor };
  }

  /**
   * Reads at most `most` messages of a filter behind a cursor from storage. `upTo`: everything up to there has been looked
   * at. Rejects when the store cannot be read.
   */
  async read(filter: string, after: number, most: number): Promise<{ messages: Message[]; upTo: number }> {
    const messages: Message[] = [];
    const { head } = this;
    let full = false;
    const visit = (entry: Entry): boolean => {
      // What is committed but was not dispatched yet comes live: giving it here would give it twice.
      if (entry.sequence > head) return false;
      const topic = entry.key.slice(entry.key.indexOf(SEPARATOR) + 1);
      if (matches(filter, topic)) messages.push(decodeMessage(entry, entry.sequence).message);
      full = messages.length === most;
      return !full;
    };
    if (isLiteral(filter)) {
      const key = this.keyOf(filter);
      if (key !== null) await this.space.scanKey(key, after, visit);
    } else await this.space.scan(this.narrow(filter), after, visit);
    return { messages, upTo: full ? messages.at(-1)!.cursor : head };
  }

  /** The highest cursor that a filter had and that is no longer kept; 0 for none. */
  dropped(filter: string): Promise<number> {
    if (!isLiteral(filter)) return this.space.dropped(this.narrow(filter));
    const key = this.keyOf(filter);
    return key === null ? Promise.resolve(0) : this.space.droppedOf(key);
  }

  /** The longest prefix that the keys of all topics of a filter have. */
  private narrow(filter: string): string {
    const [only, ...others] = this.policies.filter(({ history }) => history === 'durable');
    if (only === undefined || others.length > 0) return 'h:';
    const literal = filter.slice(0, filter.search(/[+#]/));
    // `a/#` matches `a` too, which has no slash behind it.
    return prefixOf(only) + (literal.endsWith('/') && filter.endsWith('#') ? literal.slice(0, -1) : literal);
  }
}

function isLiteral(filter: string): boolean {
  return !filter.includes('+') && !filter.includes('#');
}
