// A space of the SQLite store, on the main thread: it hands batches to the engine, reads in slices, and tells its
// followers. It does not know the tables.
import type { Outcome, Waiter } from '../../core/outcome.ts';
import { type Batch, REMOVE, readBatch, TRIM } from '../batch.ts';
import type { Entry, Follower, Following, Keep, Space } from '../engine.ts';
import { Follow } from './following.ts';
import { type Answers, type Ask, readRecord, recordEnd } from './messages.ts';

/** What a space needs of its engine. */
export interface SpaceHost {
  commit(space: SqliteSpace, batch: Batch, waiter: Waiter, token: number): void;
  ask<Kind extends Ask['kind']>(ask: Extract<Ask, { kind: Kind }>): Promise<Answers[Kind]>;
  /** Drops appended records. */
  drop(space: number, sequences: Float64Array): Promise<Outcome>;
}

/** The main thread visits records this long before others have their turn. */
const SLICE_MS = 5;

const NOTHING = Buffer.alloc(0);

/** Keys that cross together. */
const KEYS_AT_ONCE = 128;

interface Wanted {
  readonly key: string;
  resolve(entry: Entry | null): void;
  reject(error: unknown): void;
}

export class SqliteSpace implements Space {
  readonly name: string;
  readonly id: number;
  head: number;
  private readonly host: SpaceHost;
  private readonly keeps: readonly Keep[];
  private readonly followers = new Set<Follow>();
  /** Keys whose last record was asked for in this turn. */
  private wanted: Wanted[] = [];

  constructor(host: SpaceHost, name: string, id: number, head: number, keeps: readonly Keep[]) {
    this.host = host;
    this.name = name;
    this.id = id;
    this.head = head;
    this.keeps = keeps.map((keep) => ({ ...keep }));
  }

  commit(batch: Batch, waiter: Waiter, token: number): void {
    this.host.commit(this, batch, waiter, token);
  }

  /** What is asked in one turn crosses together. */
  last(key: string): Promise<Entry | null> {
    return new Promise((resolve, reject) => {
      this.wanted.push({ key, resolve, reject });
      if (this.wanted.length === 1) queueMicrotask(() => this.askWanted());
      else if (this.wanted.length === KEYS_AT_ONCE) this.askWanted();
    });
  }

  private askWanted(): void {
    const { wanted } = this;
    if (wanted.length === 0) return;
    this.wanted = [];
    this.askLast(wanted);
  }

  private askLast(wanted: readonly Wanted[]): void {
    const keys = wanted.map(({ key }) => key);
    this.host.ask<'last'>({ kind: 'last', space: this.id, keys }).then(
      ({ records, at, done }) => {
        const slice = Buffer.from(records.buffer);
        let next = 0;
        for (const { key, resolve } of wanted.slice(0, at)) {
          const entry = next < slice.length ? readRecord(slice, next) : null;
          const isThere = entry !== null && entry.key === key;
          if (isThere) next = recordEnd(slice, next);
          resolve(isThere ? entry : null);
        }
        if (!done) this.askLast(wanted.slice(at));
      },
      (error: unknown) => {
        for (const { reject } of wanted) reject(error);
      },
    );
  }

  scan(prefix: string, after: number, visit: (entry: Entry) => boolean): Promise<number> {
    return this.replay(prefix, false, after, Number.MAX_SAFE_INTEGER, visit);
  }

  scanKey(key: string, after: number, visit: (entry: Entry) => boolean): Promise<number> {
    return this.replay(key, true, after, Number.MAX_SAFE_INTEGER, visit);
  }

  dropped(prefix: string): Promise<number> {
    return this.host.ask<'dropped'>({ kind: 'dropped', space: this.id, text: prefix, whole: false });
  }

  droppedOf(key: string): Promise<number> {
    return this.host.ask<'dropped'>({ kind: 'dropped', space: this.id, text: key, whole: true });
  }

  follow(prefix: string, after: number, follower: Follower): Following {
    const follow = new Follow(prefix, after, follower, this);
    this.followers.add(follow);
    follow.begin();
    return { stop: () => follow.stop() };
  }

  unfollow(follow: Follow): void {
    this.followers.delete(follow);
  }

  async sweep(wall: number): Promise<void> {
    let place: Extract<Ask, { kind: 'sweep' }>['place'] = null;
    do {
      const found: Answers['sweep'] = await this.host.ask<'sweep'>({
        kind: 'sweep',
        space: this.id,
        keeps: this.keeps,
        wall,
        place,
      });
      place = found.place;
      // Waited for, so that the next slice does not find them again.
      if (found.sequences.length > 0 && (await this.host.drop(this.id, found.sequences)) !== 0)
        throw new Error(`what ${this.name} no longer keeps could not be dropped`);
    } while (place !== null);
  }

  /** Visits what is stored above `after` and up to `upTo`. */
  async replay(
    text: string,
    whole: boolean,
    after: number,
    upTo: number,
    visit: (entry: Entry) => boolean,
  ): Promise<number> {
    let at = after;
    let visited = after;
    for (;;) {
      const { records, ...slice } = await this.host.ask<'scan'>({
        kind: 'scan',
        space: this.id,
        text,
        whole,
        after: at,
        upTo,
      });
      const bytes = Buffer.from(records.buffer);
      let until = performance.now() + SLICE_MS;
      let count = 0;
      for (let place = 0; place < bytes.length; place = recordEnd(bytes, place)) {
        const entry = readRecord(bytes, place);
        visited = entry.sequence;
        if (!visit(entry)) return visited;
        if ((++count & 15) !== 0 || performance.now() < until) continue;
        await nextTurn();
        until = performance.now() + SLICE_MS;
      }
      if (slice.done) return visited;
      at = slice.at;
    }
  }

  /** A batch has committed with these bytes, its last record at `head`. Answers whether they may be kept by somebody. */
  committed(bytes: Buffer, storage: Buffer, records: number, time: number, head: number): boolean {
    this.head = head;
    if (this.followers.size === 0 || records === 0) return false;
    // A record that is kept holds the whole of this: where most of the storage is empty, a copy is the smaller.
    const copied = storage.length > bytes.length * 2;
    const shared = copied ? Buffer.from(bytes) : bytes;
    let sequence = head - records;
    readBatch(shared, (change, key, _condition, source, start, end) => {
      if (change === TRIM) return;
      const removed = change === REMOVE;
      const entry: Entry = {
        key,
        sequence: ++sequence,
        time,
        bytes: removed ? NOTHING : source.subarray(start, end),
        removed,
      };
      for (const follow of this.followers) follow.committed(entry);
    });
    return !copied;
  }
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
