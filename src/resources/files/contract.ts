// Files as protocols see them: one tree, whoever writes to it and by whatever protocol. A file appears whole or not at all.
// Paths are from the root and without it: `reports/a.txt`; the root is ''. Nothing here, and nothing behind it, knows which
// protocol is calling.
import type { Caller } from '../../core/caller.ts';
import type { Outcome, Waiter } from '../../core/outcome.ts';
import type { Verb } from '../../core/permissions.ts';
import type { Source } from '../../core/sink.ts';

export interface FileInfo {
  readonly path: string;
  /** The last level of the path; '' for the root. */
  readonly name: string;
  readonly folder: boolean;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Changes whenever the content does; opaque. */
  readonly version: string;
  /** Whether the caller may change it, or what is in it. */
  readonly writable: boolean;
}

/** A file that is read: what was opened stays what it was, also when another takes its name. */
export interface OpenFile extends Source {
  readonly info: FileInfo;
  /** Its descriptor, where the kernel may send from it; -1 where not. */
  readonly fd: number;
  close(): void;
}

/** A file on its way in, that appears whole on `commit`. */
export interface IncomingFile {
  /** Bytes that were there when it was begun: those of an upload that goes on, or of the file that is changed. */
  readonly begun: number;
  /** Copies what fits behind all that was written, and answers how much that was; fewer than offered: wait for `onRoom`. */
  write(input: Uint8Array, start: number, end: number): number;
  /** As `write`, at a place of its own: for those who write in no order. A place behind the end leaves zeros before it. */
  writeAt(position: number, input: Uint8Array, start: number, end: number): number;
  onRoom: (() => void) | null;
  /** Cuts or lengthens it. */
  truncate(size: number): void;
  /** Makes it durable and visible. Settles OK with its size; STALE, EXISTS, MISSING (its folder is gone), FULL, FAILED. */
  commit(waiter: Waiter, token: number): void;
  /** Keeps what came, to be continued for 24 hours. */
  suspend(): void;
  /** Drops what came. */
  abort(): void;
}

export interface CreateOptions {
  /**
   * `new`: from nothing, in place of what is there. `fresh`: the same, and EXISTS when something is there. `resume`: goes on
   * with this caller's own upload that was suspended, at `offset`, which must be its size; else with the file that is there.
   * `change`: begins with the content of what is there.
   */
  readonly how: 'new' | 'fresh' | 'resume' | 'change';
  readonly offset?: number;
  /** What must be there is of this version. */
  readonly ifVersion?: string;
  /** Milliseconds since 1970, in place of now. */
  readonly modified?: number;
}

/** How much there is room for, in bytes. */
export interface Space {
  readonly total: number;
  readonly free: number;
}

export const HASHES = ['SHA-256', 'SHA-512', 'SHA-1', 'MD5', 'CRC32'] as const;
export type HashName = (typeof HASHES)[number];

/**
 * Every verb asks the rules for `files/<path>` first: DENIED and UNKNOWN. INVALID: a path with an empty, `.` or `..` level, a NUL
 * or a control character, a level of over 255 bytes, or a link that leads out of the tree.
 */
export interface Files {
  /** Whether the rules let a caller do that there. */
  may(caller: Caller, verb: Verb, path: string): boolean;
  /** MISSING. */
  stat(caller: Caller, path: string): Promise<FileInfo | Outcome>;
  /** A page of a folder's own entries by name, those after `after`, that the caller may see. MISSING, INVALID (no folder). */
  list(caller: Caller, path: string, after: string, most: number): Promise<readonly FileInfo[] | Outcome>;
  /** A folder's entries in no order, some at a time, however many there are. */
  scan(caller: Caller, path: string): AsyncGenerator<readonly FileInfo[], Outcome>;
  /** EXISTS, MISSING (its parent). */
  makeFolder(caller: Caller, path: string): Promise<Outcome>;
  /** MISSING, STALE; EXISTS for a folder that is not empty, unless `deep`. */
  remove(
    caller: Caller,
    path: string,
    options?: { readonly ifVersion?: string; readonly deep?: boolean },
  ): Promise<Outcome>;
  /** MISSING; EXISTS when `to` is there and `replace` is not set, or is a folder; INVALID when `to` is below `from`. */
  rename(caller: Caller, from: string, to: string, replace: boolean): Promise<Outcome>;
  /** A file, or a folder with all in it. As `rename`. */
  copy(caller: Caller, from: string, to: string, replace: boolean): Promise<Outcome>;
  /** Sets when it was changed. */
  touch(caller: Caller, path: string, modified: number): Promise<Outcome>;
  /** MISSING, INVALID (a folder). */
  open(caller: Caller, path: string): Promise<OpenFile | Outcome>;
  /** MISSING (its folder), EXISTS, STALE (the offset, the version), INVALID (a folder is there). */
  create(caller: Caller, path: string, options: CreateOptions): Promise<IncomingFile | Outcome>;
  /** The size of this caller's suspended upload; null for none. */
  pending(caller: Caller, path: string): Promise<number | null>;
  /** Of the bytes from `start` up to `end` or the file's own, in hexadecimal. */
  hash(
    caller: Caller,
    path: string,
    hash: HashName,
    start?: number,
    end?: number,
  ): Promise<{ readonly hex: string; readonly end: number } | Outcome>;
  space(): Promise<Space>;
}
