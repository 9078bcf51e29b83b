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

export class SqliteSpace implements Space {
  readonly name: string;
  readonly id: number;
  head: number;
  private readonly host: SpaceHost;
  private readonly keeps: readonly Keep[];
  private readonly followers = new Set<Follow>();

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

  async last(key: string): Promise<Entry | null> {
    const { records } = await this.host.ask<'last'>({ kind: 'last', space: this.id, key });
    return records.length === 0 ? null : readRecord(Buffer.from(records.buffer), 0);
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
