// Files as protocols see them: one tree of folders and files, under the permissions of kind `files`. Nothing here, and
// nothing behind it, knows which protocol is calling.
import type { Caller } from '../../core/caller.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';

// Paths are from the root and without it, levels joined by `/`: `home/ann/a.txt`; the root is `''`. A level is any text of
// at most 255 bytes of UTF-8, but not empty, `.` or `..`, and without NUL and control characters: else INVALID. What a
// symbolic link leads to is served while it is in the same tree, and is MISSING where it leaves it.
//
// Who may do what: rules `read|write|delete|list files/<path>`. Beyond the rules, an account may do everything below its own
// home `home/<account>`, and nobody else may without a rule for it. Reading is `read`, making and changing `write`,
// removing and renaming away `delete`, listing and hearing of `list` or `read`. A caller who may not so much as list or
// read a thing is told DENIED (UNKNOWN: sign in first) whether it is there or not.
//
// A path that somebody locked settles changes with BUSY unless the lock's token is given.

export interface FileFacts {
  readonly path: string;
  /** Its last level; `''` for the root. */
  readonly name: string;
  readonly folder: boolean;
  /** Where it is a symbolic link: what it says, as it stands. Only `stat` with `follow: false`, and listings, show links. */
  readonly link: string | null;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  readonly accessed: number;
  readonly created: number;
  /** The nine bits of permission, and those alone. */
  readonly mode: number;
  /** The account whose home it is in; `''` elsewhere. */
  readonly owner: string;
  /** Changes whenever the content does; opaque. ASCII without quotes: an entity-tag may be made of it. */
  readonly version: string;
  /** Told apart from whatever else has or had that name, and kept when it is renamed. */
  readonly unique: string;
  /** Whether the caller may change it (a folder: make things in it), as far as the rules say. */
  readonly writable: boolean;
  /** Whether the caller may remove or rename it. */
  readonly removable: boolean;
}

/** A part of a folder's listing. */
export interface FilePage {
  /** By name, in the order of UTF-16 units. */
  readonly entries: readonly FileFacts[];
  /** Go on behind this name; `null` at the end. */
  readonly next: string | null;
}

/** A folder that is listed in the disk's own order, in bounded memory however many names it has. */
export interface OpenFolder {
  /** The next entries, at most `most`; none at the end. One call at a time. Rejects never: what went meanwhile is left out. */
  next(most: number): Promise<readonly FileFacts[]>;
  close(): void;
}

/** A file that is read: the same bytes to its end, whatever becomes of its name. */
export interface OpenFile {
  readonly facts: FileFacts;
  readonly size: number;
  /** Its descriptor, where the kernel may send from it; -1 where not (memory, or a bandwidth limit). Never close it. */
  readonly fd: number;
  /** Gives `[start..end)` to the sink at its pace; an end past the file's own is that. Several at once are fine. */
  read(start: number, end: number, sink: Sink): Reading;
  /** Reads under way end as they would have. */
  close(): void;
}

/**
 * How a file is begun.
 * - `new`: empty; it replaces what is there on commit.
 * - `fresh`: empty, and nothing must be there (EXISTS), at the beginning and at commit.
 * - `resume`: at `offset`, which must be the size of what the same account left suspended (or what a crash left), else, of
 *   what is there, which must reach to it; what was behind the offset is cut off.
 * - `append`: behind what is there; empty where nothing is.
 * - `edit`: with what is there, from its start; MISSING where nothing is.
 */
export type Beginning = 'new' | 'fresh' | 'resume' | 'append' | 'edit';

export interface WriteWish {
  readonly begin: Beginning;
  readonly offset?: number;
  /** The file must be at this version when it is begun and on commit; STALE. */
  readonly ifVersion?: string;
  /** Tokens of locks that the caller holds. */
  readonly locks?: readonly string[];
  /** Sets the time of modification on commit; milliseconds since 1970. */
  readonly modified?: number;
  /** How long it will be, when that is known: refused with FULL at the beginning rather than at the end. */
  readonly length?: number;
  /** Tells several uploads of one account to one path apart; `''` when absent. */
  readonly upload?: string;
  /** Makes the folders on the way to it. */
  readonly folders?: boolean;
}

/**
 * A file on its way in: a pending copy that nobody else sees, and that appears whole on `commit`. Two writers of one path
 * do not meet: the last commit stands.
 */
export interface IncomingFile {
  /** Bytes of it now, and where the next `write` goes. */
  readonly size: number;
  readonly position: number;
  /** Copies what fits and answers how much that was; fewer than offered means full: wait for `onRoom`. */
  write(input: Uint8Array, start: number, end: number): number;
  onRoom: (() => void) | null;
  /** Why it cannot go on (FULL: quota or disk; FAILED); OK so far. `write` then answers as if all were taken, and `commit` fails with it. */
  readonly trouble: Outcome;
  /** Where the next `write` goes: also past the end, and what is between is zeros. Costs nothing when it is there already. */
  seek(position: number): void;
  /** Cuts it off, or fills it with zeros. */
  truncate(size: number): void;
  /** What has been written so far, read back: for those who open for reading and writing. */
  read(start: number, end: number, sink: Sink): Reading;
  /** What was written so far is on the disk of the pending copy. */
  sync(): Promise<Outcome>;
  /** Sets the time of modification that it will have. */
  setModified(modified: number): void;
  /** Makes it durable (file and folder), then visible. OK with what it is now; STALE, EXISTS, MISSING (the folder went), BUSY (locked), FULL, DENIED, FAILED. */
  commit(): Promise<FileFacts | Outcome>;
  /** Keeps what came for 24 hours, to be continued with `resume` by the same account, also after a crash. */
  suspend(): void;
  /** Drops it. */
  abort(): void;
}

/** What the same account left of an upload. */
export interface PendingUpload {
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

export interface Attributes {
  readonly modified?: number;
  /** The nine bits; of those that other programs see. */
  readonly mode?: number;
  /** Cuts a file off, or fills it with zeros: appears at once, whole. */
  readonly size?: number;
}

export interface ChangeOptions {
  readonly locks?: readonly string[];
  readonly ifVersion?: string;
  /** Of a move or copy: what is at the target goes. Else EXISTS. A folder replaces only an empty folder. */
  readonly replace?: boolean;
  /** Of `remove` and `copy`: with all that is in it. */
  readonly deep?: boolean;
  /** Of `remove`: not into the trash, and its versions go as well. */
  readonly forever?: boolean;
}

export const ALGORITHMS = ['sha-256', 'sha-512', 'sha-1', 'md5', 'crc32'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export interface Space {
  /** Bytes, in which the caller's quota is taken into account where there is one. */
  readonly total: number;
  readonly free: number;
  readonly used: number;
  /** The caller may have no more than this because of a quota. */
  readonly hasQuota: boolean;
}

export interface Lock {
  /** `urn:uuid:…` */
  readonly token: string;
  readonly path: string;
  readonly isShared: boolean;
  /** All that is below it as well. */
  readonly isDeep: boolean;
  readonly account: string;
  /** What the caller said about itself, at most 4 KiB; not understood here. */
  readonly owner: string;
  readonly timeoutMs: number;
  /** Milliseconds since 1970. */
  readonly until: number;
}

export interface LockWish {
  readonly isShared: boolean;
  readonly isDeep: boolean;
  readonly owner: string;
  readonly timeoutMs: number;
}

/** Locks, of whichever protocol. They last no longer than the server runs. */
export interface Locks {
  /** BUSY when another is in the way (`on` says which), FULL, DENIED. */
  take(caller: Caller, path: string, wish: LockWish): Lock | Outcome;
  /** MISSING when there is no such lock on it. */
  refresh(caller: Caller, path: string, token: string, timeoutMs: number): Lock | Outcome;
  release(caller: Caller, path: string, token: string): Outcome;
  /** What holds a path: its own, and deep ones above it. With `below`: also those within. */
  on(path: string, below?: boolean): readonly Lock[];
}

/** Something that lies in the trash. */
export interface Trashed {
  readonly id: string;
  /** Where it was. */
  readonly path: string;
  readonly folder: boolean;
  /** Bytes of it, with all that is in it. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly deleted: number;
  readonly until: number;
  /** The account that deleted it. */
  readonly by: string;
}

/** What a file was before it was overwritten. */
export interface FileVersion {
  readonly id: string;
  readonly size: number;
  readonly modified: number;
  /** When it was overwritten, and by which account. */
  readonly replaced: number;
  readonly until: number;
  readonly by: string;
}

/** What was: deleted and overwritten files, where the configuration keeps them. Rights are those of the path where they were. */
export interface FormerFiles {
  /** Of what was at or below a path, oldest first, behind a cursor (0 from the first). */
  trash(
    caller: Caller,
    path: string,
    after: number,
    most: number,
  ): Promise<{ readonly entries: readonly Trashed[]; readonly next: number | null } | Outcome>;
  /** Gives it its place again, or another of the same tree; EXISTS where something is. */
  restore(caller: Caller, id: string, to?: string): Promise<FileFacts | Outcome>;
  /** It is gone for good. */
  purge(caller: Caller, id: string): Promise<Outcome>;
  /** Oldest first. */
  versions(caller: Caller, path: string): Promise<readonly FileVersion[] | Outcome>;
  openVersion(caller: Caller, path: string, id: string): Promise<OpenFile | Outcome>;
  /** It is the file again; what the file is now becomes a version. */
  restoreVersion(caller: Caller, path: string, id: string): Promise<FileFacts | Outcome>;
  purgeVersion(caller: Caller, path: string, id: string): Promise<Outcome>;
}

/** Something that was told of on the topic `files/<path>`. */
export interface FileEvent {
  readonly event: 'complete' | 'moved' | 'gone' | 'folder';
  readonly path: string;
  /** Of `moved`: where it was. */
  readonly from?: string;
  readonly size?: number;
  readonly modified?: number;
  readonly version?: string;
  /** Who did it; `''` for nobody by name, absent for other programs. */
  readonly by?: string;
}

/** Names of properties that protocols keep with files: `{namespace}name`, and their value as text. */
export type Properties = Readonly<Record<string, string>>;

export interface Files {
  /** The home of a caller, whether it is there or not (it is made when it is first used); `''` without an account. */
  homeOf(caller: Caller): string;
  /** Whether a caller may do that, as far as rules say. */
  may(caller: Caller, verb: 'read' | 'write' | 'delete' | 'list', path: string): boolean;
  /** What is there; `follow: false` shows a link itself. */
  stat(caller: Caller, path: string, follow?: boolean): Promise<FileFacts | Outcome>;
  /** The path behind all links on the way; MISSING where the last level's folder is not there. */
  realPath(caller: Caller, path: string): Promise<string | Outcome>;
  /** Entries of a folder by name, those after `after` (`''` from the first), at most `most`. INVALID: no folder. */
  list(caller: Caller, path: string, after: string, most: number): Promise<FilePage | Outcome>;
  openFolder(caller: Caller, path: string): Promise<OpenFolder | Outcome>;
  /** INVALID: a folder. */
  open(caller: Caller, path: string): Promise<OpenFile | Outcome>;
  write(caller: Caller, path: string, wish: WriteWish): Promise<IncomingFile | Outcome>;
  /** What the same account left of an upload to this path; null for nothing. */
  pending(caller: Caller, path: string, upload?: string): Promise<PendingUpload | null>;
  dropPending(caller: Caller, path: string, upload?: string): Promise<Outcome>;
  makeFolder(caller: Caller, path: string, options?: ChangeOptions): Promise<Outcome>;
  /** A folder must be empty (EXISTS), unless `deep`. A link goes, not what it leads to. */
  remove(caller: Caller, path: string, options?: ChangeOptions): Promise<Outcome>;
  move(caller: Caller, from: string, to: string, options?: ChangeOptions): Promise<Outcome>;
  /** On the server, by reflink where the disk has it; a folder without `deep` is made empty. The target appears whole, file by file. */
  copy(caller: Caller, from: string, to: string, options?: ChangeOptions): Promise<Outcome>;
  setAttributes(caller: Caller, path: string, attributes: Attributes, options?: ChangeOptions): Promise<Outcome>;
  /** Makes a symbolic link. `target` is as in the disk: relative to the link's folder, or from the root with `/`; DENIED where it leaves the tree. */
  link(caller: Caller, path: string, target: string): Promise<Outcome>;
  /** In hexadecimal, of `[start..end)`; kept while the file is as it was. */
  hash(
    caller: Caller,
    path: string,
    algorithm: Algorithm,
    start?: number,
    end?: number,
  ): Promise<{ readonly hex: string; readonly end: number } | Outcome>;
  space(caller: Caller, path: string): Promise<Space | Outcome>;
  /** Calls back with what is at or below `path` and whose name holds `text` (case does not matter), until it answers false. */
  search(caller: Caller, path: string, text: string, found: (facts: FileFacts) => boolean): Promise<Outcome>;
  /** What protocols keep with a file or folder; goes with it on move and copy. */
  properties(caller: Caller, path: string): Promise<Properties | Outcome>;
  /** Null removes. All of it or nothing; FULL above 64 KiB. */
  setProperties(
    caller: Caller,
    path: string,
    changes: Readonly<Record<string, string | null>>,
    options?: ChangeOptions,
  ): Promise<Outcome>;
  readonly locks: Locks;
  readonly former: FormerFiles;
}
