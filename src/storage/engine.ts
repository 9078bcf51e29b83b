// Storage as resources see it: keyed logs (`Space`), large bytes (`Blobs`) and a folder tree (`Tree`), small enough that
// memory, SQLite and JetStream can each do all of it. A table is a log that keeps one record a key.

import type { Outcome, Waiter } from '../core/outcome.ts';
import type { Reading, Sink } from '../core/sink.ts';
import type { Batch } from './batch.ts';

export type { Reading, Sink };

/** One committed record. `bytes` is immutable and may be kept and shared. */
export interface Entry {
  readonly key: string;
  /** Ever growing within the space, never reused, also not after a crash. */
  readonly sequence: number;
  /** Milliseconds since 1970, as the batch said. */
  readonly time: number;
  readonly bytes: Uint8Array;
  /** The key was removed; `bytes` is empty. Only followers see this. */
  readonly removed: boolean;
}

/**
 * What is kept of appended records whose key begins with `prefix`; the first that fits counts. Nothing younger is dropped;
 * what is older goes at the latest with `sweep`. Records that were put are kept until they are replaced or removed.
 */
export interface Keep {
  readonly prefix: string;
  /** Records of one key; Infinity for all. */
  readonly last: number;
  readonly ageMs: number;
  /** Bytes of all records below the prefix together. */
  readonly bytes: number;
}

export interface Follower {
  /** In sequence order, first what is stored, then what is committed, each exactly once. */
  entry(entry: Entry): void;
  /** All that was stored when `follow` was called has been given. */
  live(head: number): void;
  /** The stored part could not be read; nothing more will come. */
  failed(outcome: Outcome): void;
}

export interface Following {
  stop(): void;
}

/** A keyed log. What must be atomic lives in one space. */
export interface Space {
  readonly name: string;
  /** The sequence of the last committed record, 0 at first. */
  readonly head: number;
  /**
   * Commits all of a batch or nothing of it. Settles after it is durable, in sequence order, after the followers were
   * given its records: OK with the sequence of its last record (its records are consecutive), or with the head for a
   * batch of trims alone; STALE when a condition does not hold; BUSY, FULL, FAILED, GONE. The batch belongs to the space
   * from now on.
   */
  commit(batch: Batch, waiter: Waiter, token: number): void;
  /** The last record of a key that is not removed. Rejects with an Error when the store cannot be read. */
  last(key: string): Promise<Entry | null>;
  /**
   * Visits records whose key begins with `prefix` and whose sequence is above `after`, in sequence order and in slices of
   * at most 5 ms, until `visit` answers false. Answers the last sequence that was visited, or `after`.
   */
  scan(prefix: string, after: number, visit: (entry: Entry) => boolean): Promise<number>;
  /** As `scan`, of one key. */
  scanKey(key: string, after: number, visit: (entry: Entry) => boolean): Promise<number>;
  /**
   * The highest sequence of an appended record that is no longer kept, of all keys that begin with `prefix` (or of one
   * key): what was dropped by `Keep` or by a trim, 0 for none. So a reader knows whether its cursor is followed by a gap.
   */
  dropped(prefix: string): Promise<number>;
  droppedOf(key: string): Promise<number>;
  /** Replays what is stored above `after` and goes on with what is committed, without a gap. */
  follow(prefix: string, after: number, follower: Follower): Following;
  /** Drops what `Keep` no longer keeps at `wall`, milliseconds since 1970. */
  sweep(wall: number): Promise<void>;
}

/** Bytes on their way into the store; nothing of them is seen before `commit` has settled OK. */
export interface BlobWriter {
  /** Copies what fits and answers how much that was; fewer than offered means full: wait for `onRoom`. */
  write(input: Uint8Array, start: number, end: number): number;
  onRoom: (() => void) | null;
  /** Makes them durable. Settles OK with the blob's id; FULL, FAILED. */
  commit(waiter: Waiter, token: number): void;
  abort(): void;
}

export interface Blobs {
  writer(): BlobWriter;
  /** Gives `[start, end)` to the sink; an end past the blob's own is that. */
  read(id: number, start: number, end: number, sink: Sink): Reading;
  /** OK or MISSING. A read in progress ends as it would have. */
  remove(id: number): Promise<Outcome>;
  /** The length in bytes, or null. */
  size(id: number): Promise<number | null>;
  /** Removes each blob that `wanted` denies: what a crash left between a blob's commit and its record's. Answers how many. */
  sweep(wanted: (id: number) => boolean): Promise<number>;
}

export interface Stat {
  readonly path: string;
  readonly folder: boolean;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Changes whenever the content does; opaque. */
  readonly version: string;
}

export interface WriteOptions {
  /** The file must be at this version; `''`: must not exist. */
  readonly ifVersion?: string;
  /** Continues the pending copy of the same `owner` at this offset, which must be its size; 0 or absent begins anew. */
  readonly offset?: number;
  /** Whose pending copy it is: one for each path and owner. */
  readonly owner: string;
  readonly modified?: number;
}

/** A file on its way in: a pending copy that appears whole on `commit`. */
export interface TreeWriter {
  write(input: Uint8Array, start: number, end: number): number;
  onRoom: (() => void) | null;
  /** Makes it durable and visible. Settles OK with its size; STALE, MISSING (the folder is gone), FULL, FAILED. */
  commit(waiter: Waiter, token: number): void;
  /** Leaves the pending copy, to be continued at its size. */
  suspend(): void;
  /** Drops the pending copy. */
  abort(): void;
}

/**
 * A folder, on disk or in memory. Paths have no leading slash; the root is `''`. A path with an empty, `.` or `..` level, a
 * NUL or a control character, or over 255 bytes in a level, is INVALID.
 */
export interface Tree {
  stat(path: string): Promise<Stat | null>;
  /** A folder's own entries by name, those after `after`, at most `most`. Null when it is no folder. */
  list(path: string, after: string, most: number): Promise<Stat[] | null>;
  /** OK, EXISTS, MISSING (its parent), INVALID. */
  makeFolder(path: string): Promise<Outcome>;
  /** OK, MISSING, STALE, or EXISTS for a folder that is not empty. */
  remove(path: string, ifVersion?: string): Promise<Outcome>;
  /** OK, MISSING, EXISTS when `to` is there and `replace` is not set, INVALID when `to` is below `from`. */
  rename(from: string, to: string, replace: boolean): Promise<Outcome>;
  read(path: string, start: number, end: number, sink: Sink): Reading;
  /** A writer, or why there is none: INVALID, MISSING (its folder), EXISTS (a folder is there), STALE (the offset). */
  write(path: string, options: WriteOptions): Promise<TreeWriter | Outcome>;
  /** The size of a pending copy, or null. */
  pending(path: string, owner: string): Promise<number | null>;
}

/** What a disk says of a file or folder. */
export interface FileStat extends Stat {
  /** What a symbolic link says; null for all else. */
  readonly link: string | null;
  readonly accessed: number;
  readonly created: number;
  /** The nine bits. */
  readonly mode: number;
  /** Kept when it is renamed. */
  readonly unique: string;
  /** Where it is, with all links followed. */
  readonly real: string;
}

/** An open folder: entries in the disk's own order, in bounded memory. */
export interface TreeFolder {
  /** Never rejects; none at the end. One call at a time. */
  next(most: number): Promise<FileStat[]>;
  close(): void;
}

/** An open file: the same bytes to its end. */
export interface TreeFile {
  readonly stat: FileStat;
  readonly fd: number;
  read(start: number, end: number, sink: Sink): Reading;
  close(): void;
}

export interface FileWriteOptions extends WriteOptions {
  /** Begins with what is there; MISSING where nothing is. Not together with `offset`. */
  readonly edit?: boolean;
  /** The file that it replaces is kept aside by this name. */
  readonly keep?: string;
}

/** A writer that can go anywhere in its copy. */
export interface FileWriter extends TreeWriter {
  readonly size: number;
  readonly position: number;
  /** What went wrong so far; `write` takes everything then, and `commit` settles with it. */
  readonly trouble: Outcome;
  seek(position: number): void;
  truncate(size: number): void;
  read(start: number, end: number, sink: Sink): Reading;
  sync(): Promise<Outcome>;
  setModified(modified: number): void;
}

/**
 * A tree that is a folder on disk: what files need beyond a `Tree`. What leaves it by a link is MISSING. `stat`, `realPath`,
 * `open` and `read` follow links that stay within; all else takes real paths, and a link on the way, also one that was made a
 * moment ago, is MISSING.
 */
export interface FileTree extends Tree {
  stat(path: string, follow?: boolean): Promise<FileStat | null>;
  list(path: string, after: string, most: number): Promise<FileStat[] | null>;
  write(path: string, options: FileWriteOptions): Promise<FileWriter | Outcome>;
  realPath(path: string): Promise<string | Outcome>;
  /** INVALID: no folder; MISSING. */
  openFolder(path: string): Promise<TreeFolder | Outcome>;
  /** INVALID: a folder, or no plain file; MISSING. */
  open(path: string): Promise<TreeFile | Outcome>;
  /** `keep`: a file that it replaces is kept aside by this name. */
  rename(from: string, to: string, replace: boolean, keep?: string): Promise<Outcome>;
  /** One file. The copy appears whole. */
  copy(from: string, to: string, replace: boolean, keep?: string): Promise<Outcome>;
  readonly aside: AsideFiles;
  /** Tells of what other programs change in it, once that is quiet. */
  notice(limits: NoticeLimits, told: (change: NoticedChange) => void): Noticing;
  set(path: string, attributes: { readonly modified?: number; readonly mode?: number }): Promise<Outcome>;
  link(path: string, target: string): Promise<Outcome>;
  /** When it was last written to, in milliseconds since 1970; null when there is none. */
  pendingSince(path: string, owner: string): Promise<number | null>;
  dropPending(path: string, owner: string): Promise<Outcome>;
  /** Drops pending copies last written to before `before`. */
  sweepPending(before: number): Promise<number>;
  space(): Promise<{ readonly total: number; readonly free: number }>;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

export interface NoticeLimits {
  /** What nothing was heard of for so long is told of. */
  readonly quietMs: number;
  /** All is looked through again after so long. */
  readonly rescanMs: number;
  readonly foldersMax: number;
  readonly namesMax: number;
  /** Changes that wait; beyond that all is looked through. */
  readonly waitingMax: number;
}

export interface NoticedChange {
  readonly kind: 'file' | 'folder' | 'gone';
  readonly path: string;
  readonly stat: FileStat | null;
  /** Bytes that were known to be there before. */
  readonly before: number;
}

export interface Noticing {
  /** All that is there is known: what comes from now on is told. */
  readonly ready: Promise<void>;
  /** It was changed through the tree itself, and is not told. */
  own(path: string): void;
  stop(): void;
}

/** What a tree keeps beside itself by names of its owner's (small letters and digits): deleted and overwritten files. */
export interface AsideFiles {
  /** Takes a file or a folder with all that is in it out of the tree. */
  put(path: string, id: string): Promise<Outcome>;
  /** Gives it a place in the tree again; EXISTS where something is, unless a file replaces a file: that one is kept as `keep`. */
  bring(id: string, path: string, replace?: boolean, keep?: string): Promise<Outcome>;
  /** What it is; null when there is none. */
  stat(id: string): Promise<FileStat | null>;
  open(id: string): Promise<TreeFile | Outcome>;
  drop(id: string): Promise<Outcome>;
  /** Names of all that came there before a time, some at a time. */
  names(before: number): AsyncIterable<readonly string[]>;
}

/** A store: its spaces and blobs, opened together. */
export interface Engine {
  readonly name: 'memory' | 'sqlite' | 'nats';
  /** Whether what was acknowledged survives the process and a loss of power. */
  readonly durable: boolean;
  readonly blobs: Blobs;
  /** Opens a space, making it when it is new. A name is opened once. */
  space(name: string, keeps: readonly Keep[]): Promise<Space>;
  /** Commits what is on its way, then lets go. Later commits settle with GONE. */
  close(): Promise<void>;
}
