// A space in memory: for tests, for `storage: 'memory'`, and as the simplest reading of the contract. Faults can be
// injected, so that what runs over a space meets full disks and slow commits without a disk.
import { BUSY, GONE, OK, type Outcome, STALE, type Waiter } from '../../core/outcome.ts';
import { ANY, APPEND, type Batch, PUT, REMOVE, readBatch, TRIM } from '../batch.ts';
import type { Entry, Follower, Following, Keep, Space } from '../engine.ts';

/** Runs something in a later step, in order. `setImmediate`, or the simulator's own. */
export type Later = (step: () => void) => void;

/** What a test may do to an engine. */
export interface Injected {
  /** Commits settle with this instead of being done; null for none. */
  refuse: Outcome | null;
  /** Commits wait until `release` is called. */
  hold: boolean;
}

const NOTHING = Buffer.alloc(0);

export class MemorySpace implements Space {
  readonly name: string;
  head = 0;
  private readonly keeps: readonly Keep[];
  private readonly later: Later;
  private readonly injected: Injected;
  private readonly bytesMax: number;
  /** In sequence order; a record that was replaced, removed or trimmed stays as `removed` until the next `compact`. */
  private log: Entry[] = [];
  private holes = 0;
  private puts = new Map<string, Entry>();
  private appended = new Map<string, Entry[]>();
  private dropping = new Map<string, number>();
  private readonly followers = new Set<{ prefix: string; follower: Follower }>();
  private waiting: { batch: Batch; waiter: Waiter; token: number }[] = [];
  private waitingBytes = 0;
  private scheduled = false;
  private closed = false;
  /** The process is thought to have been killed: what was on its way never settles. */
  private dead = false;

  constructor(name: string, keeps: readonly Keep[], later: Later, injected: Injected, bytesMax: number) {
    this.name = name;
    this.keeps = keeps;
    this.later = later;
    this.injected = injected;
    this.bytesMax = bytesMax;
  }

  commit(batch: Batch, waiter: Waiter, token: number): void {
    if (this.closed) this.refuse(waiter, token, GONE);
    else if (this.waitingBytes + batch.size > this.bytesMax) this.refuse(waiter, token, BUSY);
    else {
      this.waiting.push({ batch, waiter, token });
      this.waitingBytes += batch.size;
      this.schedule();
    }
  }

  async last(key: string): Promise<Entry | null> {
    return this.puts.get(key) ?? this.appended.get(key)?.at(-1) ?? null;
  }

  async scan(prefix: string, after: number, visit: (entry: Entry) => boolean): Promise<number> {
    return this.replay((entry) => entry.key.startsWith(prefix), after, visit);
  }

  async scanKey(key: string, after: number, visit: (entry: Entry) => boolean): Promise<number> {
    return this.replay((entry) => entry.key === key, after, visit);
  }

  async dropped(prefix: string): Promise<number> {
    let highest = 0;
    for (const [key, sequence] of this.dropping) if (key.startsWith(prefix)) highest = Math.max(highest, sequence);
    return highest;
  }

  async droppedOf(key: string): Promise<number> {
    return this.dropping.get(key) ?? 0;
  }

  follow(prefix: string, after: number, follower: Follower): Following {
    const following = { prefix, follower };
    let stopped = false;
    this.later(() => {
      if (stopped) return;
      this.replay(
        (entry) => entry.key.startsWith(prefix),
        after,
        (entry) => {
          follower.entry(entry);
          return !stopped;
        },
      );
      if (stopped) return;
      this.followers.add(following);
      follower.live(this.head);
    });
    return {
      stop: () => {
        stopped = true;
        this.followers.delete(following);
      },
    };
  }

  async sweep(wall: number): Promise<void> {
    for (const keep of this.keeps) {
      let bytes = 0;
      for (let at = this.log.length - 1; at >= 0; at--) {
        const entry = this.log[at]!;
        if (entry.removed || this.keepOf(entry.key) !== keep || this.puts.get(entry.key) === entry) continue;
        bytes += entry.bytes.length;
        if (bytes > keep.bytes || entry.time < wall - keep.ageMs) this.dropOldest(entry.key, entry.sequence);
      }
    }
    this.compact();
  }

  /** Begins with what another had committed: a restart, as far as memory can have one. */
  inherit(former: MemorySpace): void {
    former.dead = true;
    this.head = former.head;
    this.log = [...former.log];
    this.holes = former.holes;
    this.puts = new Map(former.puts);
    this.appended = new Map([...former.appended].map(([key, list]) => [key, [...list]]));
    this.dropping = new Map(former.dropping);
  }

  /** Lets commits that were held go on. */
  release(): void {
    this.injected.hold = false;
    this.schedule();
  }

  close(): void {
    this.injected.hold = false;
    this.drain();
    this.closed = true;
    this.followers.clear();
  }

  private refuse(waiter: Waiter, token: number, outcome: Outcome): void {
    this.later(() => waiter.settled(token, outcome, 0));
  }

  private schedule(): void {
    if (this.scheduled || this.waiting.length === 0) return;
    this.scheduled = true;
    this.later(() => {
      this.scheduled = false;
      if (!this.injected.hold) this.drain();
    });
  }

  private drain(): void {
    if (this.dead) return;
    const { waiting } = this;
    this.waiting = [];
    this.waitingBytes = 0;
    for (const { batch, waiter, token } of waiting) {
      const outcome = this.injected.refuse ?? this.apply(batch);
      waiter.settled(token, outcome, outcome === OK ? this.head : 0);
    }
  }

  private apply(batch: Batch): Outcome {
    const { time } = batch;
    // One copy that the entries share, as they would share a page of a real store.
    const bytes = Buffer.from(batch.finish());
    let holds = true;
    const seen = new Map<string, number>();
    let sequence = this.head;
    readBatch(bytes, (change, key, condition) => {
      if (change === TRIM) return;
      if (condition !== ANY && (seen.get(key) ?? this.puts.get(key)?.sequence ?? 0) !== condition) holds = false;
      sequence++;
      if (change !== APPEND) seen.set(key, change === REMOVE ? 0 : sequence);
    });
    if (!holds) return STALE;
    const entries: Entry[] = [];
    readBatch(bytes, (change, key, condition, source, start, end) => {
      if (change === TRIM) {
        for (const name of [...this.appended.keys()]) if (name.startsWith(key)) this.dropOldest(name, condition);
        return;
      }
      const removed = change === REMOVE;
      const entry: Entry = {
        key,
        sequence: ++this.head,
        time,
        bytes: removed ? NOTHING : source.subarray(start, end),
        removed,
      };
      entries.push(entry);
      if (change === APPEND) this.append(entry);
      else this.replace(entry, change === PUT);
    });
    this.compact();
    for (const entry of entries)
      for (const { prefix, follower } of this.followers) if (entry.key.startsWith(prefix)) follower.entry(entry);
    return OK;
  }

  private append(entry: Entry): void {
    this.log.push(entry);
    const list = this.appended.get(entry.key);
    if (list === undefined) this.appended.set(entry.key, [entry]);
    else list.push(entry);
    const last = this.keepOf(entry.key)?.last ?? Number.POSITIVE_INFINITY;
    if (list !== undefined && list.length > last) this.dropOldest(entry.key, list[list.length - last - 1]!.sequence);
  }

  private replace(entry: Entry, stays: boolean): void {
    const former = this.puts.get(entry.key);
    if (former !== undefined) this.hole(former);
    if (!stays) {
      this.puts.delete(entry.key);
      return;
    }
    this.puts.set(entry.key, entry);
    this.log.push(entry);
  }

  private dropOldest(key: string, upTo: number): void {
    const list = this.appended.get(key);
    if (list === undefined) return;
    let gone = 0;
    while (gone < list.length && list[gone]!.sequence <= upTo) this.hole(list[gone++]!);
    if (gone > 0) this.dropping.set(key, list[gone - 1]!.sequence);
    if (gone === list.length) this.appended.delete(key);
    else list.splice(0, gone);
  }

  private hole(entry: Entry): void {
    this.log[this.indexOf(entry.sequence)] = { ...entry, bytes: NOTHING, removed: true };
    this.holes++;
  }

  private compact(): void {
    if (this.holes < 1_024 || this.holes < this.log.length / 2) return;
    this.log = this.log.filter((entry) => !entry.removed);
    this.holes = 0;
  }

  /** Where the record with this sequence, or the first after it, stands. */
  private indexOf(sequence: number): number {
    let low = 0;
    let high = this.log.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.log[middle]!.sequence < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private replay(fits: (entry: Entry) => boolean, after: number, visit: (entry: Entry) => boolean): number {
    let at = after;
    const { log } = this;
    for (let index = this.indexOf(after + 1); index < log.length; index++) {
      const entry = log[index]!;
      if (entry.removed || !fits(entry)) continue;
      at = entry.sequence;
      if (!visit(entry)) break;
    }
    return at;
  }

  private keepOf(key: string): Keep | undefined {
    return this.keeps.find((keep) => key.startsWith(keep.prefix));
  }
}
