// One folder in memory: columns of numbers, some 50 bytes a message, that follow its records, so that what is committed is
// known in the order of its commits. Everybody who has the folder open shares it.
import { OK } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import { Batch } from '../../storage/batch.ts';
import type { Entry, Following, Space } from '../../storage/engine.ts';
import type { Bytes } from './bytes.ts';
import {
  type Folder,
  type FolderFacts,
  type FolderListener,
  type HeldKind,
  KEYWORDS_MAX,
  SEEN,
  SYSTEM_FLAG_COUNT,
  SYSTEM_FLAGS,
} from './contract.ts';
import { isListed, type Listed } from './listed.ts';
import { HeldPlaces, type Recent } from './recent.ts';
import { expungedKey, type FolderRecord, type MessageRecord, type Place, readMessage, readUids } from './records.ts';
import { type Column, type Read, Snapshot } from './snapshot.ts';

/** What a folder needs of the store. */
export interface FolderHost {
  readonly space: Space;
  readonly bytes: Bytes;
  readonly listed: Listed;
  /** What was made of messages, and messages, as they were asked for lately. */
  readonly made: Recent;
  readonly raw: Recent;
  /** Puts the folder's record with what was told as recent. */
  recent(folder: OpenFolder): void;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

const FIRST = 64;
/** A folder of fewer is read as fast without a snapshot. */
const SNAPSHOT_LEAST = 1_024;
/** Records of any folder that may lie between a snapshot and the end of the store when the folder is closed. */
const SNAPSHOT_BEHIND = 8_192;
/** Of one message in all columns. */
export const INDEX_BYTES = 44;

export class OpenFolder implements Folder {
  record: FolderRecord;
  uidNext: number;
  modseq = 0;
  uids: Uint32Array = new Uint32Array(FIRST);
  count = 0;
  unseen = 0;
  bytes = 0;
  readonly keywords: string[] = [];
  /** How many have it open. */
  holders = 0;
  private flags: Uint32Array = new Uint32Array(FIRST);
  private sizes: Uint32Array = new Uint32Array(FIRST);
  private headers: Uint32Array = new Uint32Array(FIRST);
  private modseqs: Float64Array = new Float64Array(FIRST);
  private dates: Float64Array = new Float64Array(FIRST);
  /** A blob as a negative number, or folder and UID of where the bytes were first in one. */
  private places: Float64Array = new Float64Array(FIRST);
  private readonly held = new HeldPlaces(FIRST);
  private readonly host: FolderHost;
  private readonly listeners = new Set<FolderListener>();
  private following: Following | null = null;
  private loading: Map<number, MessageRecordOf> | null = new Map();
  private gone: number[] = [];
  private readonly snapshot: Snapshot;
  /** Whether it was read from one. */
  isFromSnapshot = false;
  /** Changes since the last snapshot. */
  private changes = 0;
  private keeping = false;
  private turns = 0;
  private turn: Promise<void> = Promise.resolve();

  constructor(host: FolderHost, record: FolderRecord, uidNext: number) {
    this.host = host;
    this.record = record;
    this.uidNext = uidNext;
    this.snapshot = new Snapshot(record.id);
  }

  /** Reads what is stored and follows from there. Rejects when the store cannot be read. */
  async load(): Promise<void> {
    const { space } = this.host;
    const kept = await this.snapshot.read(space);
    // Where all bits are taken, reading the messages finds those that nobody has any more.
    const read = kept !== null && kept.keywords.length < KEYWORDS_MAX ? kept : null;
    let expunged: number[] | null = null;
    if (read !== null) {
      await this.follow(read.asOf);
      // Asked for behind `follow`, so that what goes meanwhile is known from one of them.
      expunged = await this.expungedSince(read.asOf);
      if (expunged === null) this.close();
    }
    if (read === null || expunged === null) {
      this.loading = new Map();
      this.gone = [];
      await this.follow(0);
    } else this.take(read, expunged);
    this.arrange();
    // What went last leaves no message that says so.
    const last = await space.last(expungedKey(this.record.id));
    if (last !== null) this.modseq = Math.max(this.modseq, last.sequence);
    this.keep();
  }

  private follow(after: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.following = this.host.space.follow(`m/${this.record.id}/`, after, {
        entry: (entry) => this.entry(entry),
        live: () => resolve(),
        failed: () => reject(new Error(`the folder ${this.record.name} of ${this.record.mailbox} could not be read`)),
      });
    });
  }

  close(): void {
    this.following?.stop();
    this.following = null;
  }

  // ---- its snapshot ----------------------------------------------------------------------------------------------------

  private get snapped(): readonly Column[] {
    return [this.uids, this.flags, this.sizes, this.headers, this.modseqs, this.dates, this.places];
  }

  /** Begins with a snapshot, of which some went meanwhile. */
  private take(read: Read, expunged: readonly number[]): void {
    this.isFromSnapshot = true;
    this.snapshot.use(read);
    this.grow(read.count);
    read.into(this.snapped);
    this.count = read.count;
    this.modseq = Math.max(this.modseq, read.modseq);
    this.keywords.push(...read.keywords);
    for (let at = 0; at < this.count; at++) {
      this.unseen += this.flags[at]! & SEEN ? 0 : 1;
      this.bytes += this.sizes[at]!;
    }
    if (this.count > 0) this.uidNext = Math.max(this.uidNext, this.uids[this.count - 1]! + 1);
    for (const uid of expunged) {
      this.loading!.delete(uid);
      this.gone.push(uid);
    }
    for (const uid of this.gone) this.changed(uid);
    this.remove();
  }

  private changed(uid: number): void {
    this.snapshot.changed(uid);
    this.changes++;
  }

  /** Has a snapshot written when it is time, or as it is closed. Not from within an entry, of which more may follow. */
  keep(closing = false): void {
    if (this.keeping || this.loading !== null || this.following === null || this.count < SNAPSHOT_LEAST) return;
    const { head } = this.host.space;
    const isTime = closing
      ? this.changes > 0 || head - this.snapshot.asOf > SNAPSHOT_BEHIND
      : this.changes >= Math.max(SNAPSHOT_LEAST, this.count >>> 4);
    if (!isTime) return;
    if (this.gone.length > 0) this.remove();
    const { snapped: columns, count, modseq, keywords, changes } = this;
    const batch = new Batch(this.host.wall());
    const done = this.snapshot.write(batch, head, { columns, count, modseq, keywords });
    if (done === null) return;
    this.keeping = true;
    this.changes = 0;
    const settled = (_token: number, outcome: number) => {
      this.keeping = false;
      if (outcome !== OK) this.changes += changes;
      done(outcome === OK);
    };
    this.host.space.commit(batch, { settled }, 0);
  }

  get facts(): FolderFacts {
    const { name, use, subscribed, id } = this.record;
    return { name, use, subscribed, id };
  }

  get uidValidity(): number {
    return this.record.uidValidity;
  }

  /** Bytes of memory that its columns take. */
  get indexBytes(): number {
    return this.uids.length * INDEX_BYTES + this.held.bytes;
  }

  // ---- turns -----------------------------------------------------------------------------------------------------------

  /** Somebody changes messages, and others wait to. */
  get hasTurns(): boolean {
    return this.turns > 0;
  }

  /** Does something after all that came before it through here. */
  async inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    this.turns++;
    const before = this.turn;
    let done = (): void => {};
    this.turn = new Promise((resolve) => {
      done = resolve;
    });
    await before;
    try {
      return await work();
    } finally {
      this.turns--;
      done();
    }
  }

  // ---- reading ---------------------------------------------------------------------------------------------------------

  find(uid: number): number {
    const { uids } = this;
    let low = 0;
    let high = this.count - 1;
    // Arrivals are asked for most.
    if (high >= 0 && uids[high] === uid) return high;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const value = uids[middle]!;
      if (value === uid) return middle;
      if (value < uid) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  flagsAt(at: number): number {
    return this.flags[at]!;
  }

  sizeAt(at: number): number {
    return this.sizes[at]!;
  }

  dateAt(at: number): number {
    return this.dates[at]!;
  }

  modseqAt(at: number): number {
    return this.modseqs[at]!;
  }

  headerSizeAt(at: number): number {
    return this.headers[at]!;
  }

  lists(field: string): boolean {
    return isListed(field);
  }

  listedAt(at: number): Buffer | null {
    const place = this.held.get('listed', at);
    return place === 0 ? null : this.host.listed.at(place);
  }

  keepListed(uid: number, header: Uint8Array): void {
    const at = this.find(uid);
    if (at >= 0) this.held.set('listed', at, this.host.listed.keep(header));
  }

  heldAt(kind: HeldKind, at: number): Buffer | null {
    const place = this.held.get(kind, at);
    return place === 0 ? null : this.ringOf(kind).at(place);
  }

  hold(kind: HeldKind, uid: number, bytes: Uint8Array, start: number, end: number): void {
    const at = this.find(uid);
    if (at >= 0) this.held.set(kind, at, this.ringOf(kind).keep(bytes, [start, end], end - start));
  }

  private ringOf(kind: HeldKind): Recent {
    return kind === 'header' || kind === 'message' ? this.host.raw : this.host.made;
  }

  placeAt(at: number): Place {
    const place = this.places[at]!;
    if (place < 0) return { blob: -place, folder: 0, uid: 0 };
    return { blob: 0, folder: Math.floor(place / 0x1_0000_0000), uid: place % 0x1_0000_0000 };
  }

  /** A message as it is kept. */
  recordAt(at: number): MessageRecord {
    return {
      ...this.placeAt(at),
      flags: this.flags[at]! & SYSTEM_FLAGS,
      keywords: this.keywordsAt(at),
      date: this.dates[at]!,
      size: this.sizes[at]!,
      headerSize: this.headers[at]!,
    };
  }

  keywordsAt(at: number): string[] {
    const bits = this.flags[at]! >>> SYSTEM_FLAG_COUNT;
    return bits === 0 ? [] : this.keywords.filter((_, index) => (bits & (1 << index)) !== 0);
  }

  read(uid: number, start: number, end: number, sink: Sink): Reading {
    const at = this.find(uid);
    return this.host.bytes.read(at < 0 ? null : this.placeAt(at), start, end, sink);
  }

  async whole(uid: number): Promise<Buffer | null> {
    const at = this.find(uid);
    return at < 0 ? null : this.host.bytes.whole(this.placeAt(at), this.sizes[at]!);
  }

  listen(listener: FolderListener): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  async expungedSince(modseq: number): Promise<number[] | null> {
    const key = expungedKey(this.record.id);
    if ((await this.host.space.droppedOf(key)) > modseq) return null;
    const found: number[] = [];
    await this.host.space.scanKey(key, modseq, ({ bytes }) => {
      for (const uid of readUids(bytes)) found.push(uid);
      return true;
    });
    return found.sort((one, other) => one - other);
  }

  get recentFrom(): number {
    return this.record.recent;
  }

  takeRecent(): number {
    const { recent } = this.record;
    if (recent < this.uidNext) {
      this.record = { ...this.record, recent: this.uidNext };
      this.host.recent(this);
    }
    return recent;
  }

  /** Whether a message could have these keywords beside those that the folder has. */
  hasRoomFor(keywords: readonly string[]): boolean {
    const more = new Set(keywords.filter((keyword) => this.keywordBit(keyword) < 0).map((word) => word.toLowerCase()));
    return this.keywords.length + more.size <= KEYWORDS_MAX;
  }

  /** The bit of a keyword, in any case of its letters; -1 for one that no message has had. */
  keywordBit(keyword: string): number {
    const lower = keyword.toLowerCase();
    const index = this.keywords.findIndex((known) => known.toLowerCase() === lower);
    return index < 0 ? -1 : index + SYSTEM_FLAG_COUNT;
  }

  // ---- following -------------------------------------------------------------------------------------------------------

  private entry(entry: Entry): void {
    const uid = Number(entry.key.slice(entry.key.lastIndexOf('/') + 1));
    this.modseq = Math.max(this.modseq, entry.sequence);
    if (this.loading !== null) {
      // What is committed meanwhile may come among what is stored.
      if (entry.removed) {
        this.loading.delete(uid);
        this.gone.push(uid);
      } else this.loading.set(uid, { uid, modseq: entry.sequence, record: readMessage(entry.bytes) });
      return;
    }
    if (entry.removed) this.expunge(uid);
    else this.put(uid, entry.sequence, readMessage(entry.bytes));
    this.changed(uid);
    if (this.changes === Math.max(SNAPSHOT_LEAST, this.count >>> 4)) setImmediate(() => this.keep());
  }

  /** What was stored came in the order of its last changes. */
  private arrange(): void {
    const loaded = [...this.loading!.values()].sort((one, other) => one.uid - other.uid);
    this.loading = null;
    this.gone = [];
    this.grow(this.count + loaded.length);
    for (const { uid, modseq, record } of loaded) {
      this.put(uid, modseq, record);
      this.changed(uid);
    }
  }

  private put(uid: number, modseq: number, record: MessageRecord): void {
    const at = this.find(uid);
    if (at < 0) {
      this.add(uid, modseq, record);
      for (const listener of this.listeners) listener.added(uid);
      return;
    }
    this.unseen -= this.flags[at]! & SEEN ? 0 : 1;
    this.flags[at] = this.bitsOf(record);
    this.unseen += this.flags[at]! & SEEN ? 0 : 1;
    this.modseqs[at] = modseq;
    for (const listener of this.listeners) listener.flagged(uid);
  }

  private add(uid: number, modseq: number, record: MessageRecord): void {
    if (this.count === this.uids.length) this.grow(this.count + 1);
    const at = this.count++;
    this.uids[at] = uid;
    this.flags[at] = this.bitsOf(record);
    this.sizes[at] = record.size;
    this.headers[at] = record.headerSize;
    this.modseqs[at] = modseq;
    this.dates[at] = record.date;
    this.held.clear(at);
    this.places[at] = record.blob > 0 ? -record.blob : record.folder * 0x1_0000_0000 + record.uid;
    this.unseen += record.flags & SEEN ? 0 : 1;
    this.bytes += record.size;
    if (uid >= this.uidNext) this.uidNext = uid + 1;
  }

  private bitsOf(record: MessageRecord): number {
    let bits = record.flags;
    for (const keyword of record.keywords) {
      let bit = this.keywordBit(keyword);
      if (bit < 0 && this.keywords.length < KEYWORDS_MAX) bit = this.keywords.push(keyword) - 1 + SYSTEM_FLAG_COUNT;
      if (bit >= 0) bits |= 1 << bit;
    }
    return bits >>> 0;
  }

  /** Expunges of one batch are made at once: the columns are moved once. */
  private expunge(uid: number): void {
    if (this.gone.length === 0) queueMicrotask(() => this.remove());
    this.gone.push(uid);
  }

  /** Makes what was expunged go; whoever holds the former `uids` keeps them. */
  private remove(): void {
    const gone = new Set(this.gone);
    this.gone = [];
    const former = this.uids;
    const uids = new Uint32Array(former.length);
    const expunged: number[] = [];
    let to = 0;
    for (let at = 0; at < this.count; at++) {
      const uid = former[at]!;
      if (gone.has(uid)) {
        expunged.push(uid);
        this.unseen -= this.flags[at]! & SEEN ? 0 : 1;
        this.bytes -= this.sizes[at]!;
        continue;
      }
      uids[to] = uid;
      this.flags[to] = this.flags[at]!;
      this.sizes[to] = this.sizes[at]!;
      this.headers[to] = this.headers[at]!;
      this.modseqs[to] = this.modseqs[at]!;
      this.dates[to] = this.dates[at]!;
      this.places[to] = this.places[at]!;
      this.held.move(at, to);
      to++;
    }
    this.uids = uids;
    this.count = to;
    if (expunged.length > 0) for (const listener of this.listeners) listener.expunged(expunged);
  }

  /** It was removed, with all that was in it. */
  removed(): void {
    this.close();
    for (const listener of this.listeners) listener.removed();
  }

  private grow(count: number): void {
    if (count <= this.uids.length) return;
    const size = Math.max(count, this.uids.length * 2);
    this.uids = grown(this.uids, new Uint32Array(size));
    this.flags = grown(this.flags, new Uint32Array(size));
    this.sizes = grown(this.sizes, new Uint32Array(size));
    this.headers = grown(this.headers, new Uint32Array(size));
    this.modseqs = grown(this.modseqs, new Float64Array(size));
    this.dates = grown(this.dates, new Float64Array(size));
    this.places = grown(this.places, new Float64Array(size));
    this.held.grow(size);
  }
}

interface MessageRecordOf {
  readonly uid: number;
  readonly modseq: number;
  readonly record: MessageRecord;
}

function grown<Column extends Uint32Array | Float64Array>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}
