// Files that were opened lately and are kept open for the next who ask. What the tree changes goes at once; what other programs
// change on the disk is seen by its inode, looked at once a turn. Short ones are in memory once they were asked for again.
import { read, type Stats, statSync } from 'node:fs';
import { SharedDescriptor } from '../../core/file-reading.ts';
import { OK } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { FileStat, TreeFile } from '../engine.ts';

/** A file that nobody asked for is closed after this, or twice as long. */
const IDLE_MS = 1_000;
/** The clock of a file system stands still for up to 10 ms: a file that changed just now may change again unseen. */
const SETTLED_MS = 100;
const KEPT_FILES = 256;
/** Files up to this are kept in memory, and of all together so much. */
const KEPT_FILE_BYTES = 131_072;
const KEPT_BYTES = 33_554_432;

const DONE: Reading = { more() {}, stop() {} };

/** What all who have one file open share. */
class Shared extends SharedDescriptor {
  bytes: Buffer | null = null;
  private isLoading = false;

  /** Reads it whole; `done` is called when it is in memory. */
  load(size: number, done: () => void): void {
    if (this.isLoading || size === 0) return;
    this.isLoading = true;
    this.retain();
    const bytes = Buffer.allocUnsafeSlow(size);
    read(this.fd, bytes, 0, size, 0, (error, got) => {
      // One that has become shorter is read as it is.
      if (error === null && got === size) {
        this.bytes = bytes;
        done();
      }
      this.release();
    });
  }
}

export class DiskFile implements TreeFile {
  readonly stat: FileStat;
  private readonly shared: Shared;
  private isOpen = true;

  constructor(fd: number, stat: FileStat, shared = new Shared(fd)) {
    this.stat = stat;
    this.shared = shared;
  }

  get fd(): number {
    return this.shared.fd;
  }

  /** The same file for somebody else. */
  another(): DiskFile {
    this.shared.retain();
    return new DiskFile(this.fd, this.stat, this.shared);
  }

  load(done: () => void): void {
    this.shared.load(this.stat.size, done);
  }

  get inMemory(): boolean {
    return this.shared.bytes !== null;
  }

  read(start: number, end: number, sink: Sink): Reading {
    const { bytes } = this.shared;
    const upTo = Math.min(end, this.stat.size);
    if (bytes === null || sink.room <= 0) return this.shared.read(start, upTo, sink);
    if (upTo > start) sink.bytes(bytes, start, upTo);
    sink.end(OK);
    return DONE;
  }

  close(): void {
    if (this.isOpen) this.shared.release();
    this.isOpen = false;
  }
}

interface Kept {
  readonly file: DiskFile;
  readonly stats: Stats;
  /** The turn in which it was last seen to be what is on the disk. */
  seen: number;
  isIdle: boolean;
  bytes: number;
}

export class KeptFiles {
  /** By path, the one opened longest ago first. */
  private readonly kept = new Map<string, Kept>();
  private readonly placeOf: (path: string) => string;
  private bytes = 0;
  /** Changes that are under way. */
  private changing = 0;
  private changes = 0;
  private timer: NodeJS.Timeout | null = null;
  private turn = 0;
  private isInTurn = false;

  /** @param placeOf where a path is on the disk */
  constructor(placeOf: (path: string) => string) {
    this.placeOf = placeOf;
  }

  /** The file at a path for one more, or null: it has to be opened. */
  known(path: string): DiskFile | null {
    const kept = this.kept.get(path);
    if (kept === undefined) return null;
    if (kept.seen !== this.turn) {
      if (!isStill(this.placeOf(path), kept.stats)) {
        this.drop(path, kept);
        return null;
      }
      this.beginTurn();
      kept.seen = this.turn;
    }
    kept.isIdle = false;
    const { file } = kept;
    if (!file.inMemory && file.stat.size <= KEPT_FILE_BYTES && Date.now() - kept.stats.ctimeMs > SETTLED_MS)
      this.load(path, kept);
    return file.another();
  }

  private beginTurn(): void {
    if (this.isInTurn) return;
    this.isInTurn = true;
    setImmediate(() => {
      this.isInTurn = false;
      this.turn++;
    });
  }

  private load(path: string, kept: Kept): void {
    kept.file.load(() => {
      if (this.kept.get(path) !== kept) return;
      kept.bytes = kept.file.stat.size;
      this.bytes += kept.bytes;
      this.trim();
    });
  }

  /** To be taken before a file is opened that may be kept. */
  get mark(): number {
    return this.changing > 0 ? -1 : this.changes;
  }

  /** Keeps a file that was opened since `mark`, unless something has changed since. */
  keep(path: string, file: DiskFile, stats: Stats, mark: number): void {
    if (mark !== this.mark) return;
    const before = this.kept.get(path);
    if (before !== undefined) this.drop(path, before);
    this.kept.set(path, { file: file.another(), stats, seen: -1, isIdle: false, bytes: 0 });
    this.trim();
    this.timer ??= setTimeout(() => this.expire(), IDLE_MS).unref();
  }

  private expire(): void {
    this.timer = null;
    for (const [path, kept] of this.kept) {
      if (kept.isIdle) this.drop(path, kept);
      kept.isIdle = true;
    }
    if (this.kept.size > 0) this.timer = setTimeout(() => this.expire(), IDLE_MS).unref();
  }

  private trim(): void {
    for (const [path, kept] of this.kept) {
      if (this.kept.size <= KEPT_FILES && this.bytes <= KEPT_BYTES) return;
      this.drop(path, kept);
    }
  }

  private drop(path: string, kept: Kept): void {
    this.kept.delete(path);
    this.bytes -= kept.bytes;
    kept.file.close();
  }

  /** Something changes at a path, or below: nothing of it is known any more, and nothing is kept until `end`. */
  begin(path: string): void {
    this.changing++;
    for (const [key, kept] of this.kept) if (isAt(key, path) || isAt(kept.file.stat.real, path)) this.drop(key, kept);
  }

  end(): void {
    this.changing--;
    this.changes++;
  }

  close(): void {
    for (const [path, kept] of this.kept) this.drop(path, kept);
    if (this.timer !== null) clearTimeout(this.timer);
  }
}

function isAt(path: string, changed: string): boolean {
  return changed === '' || path === changed || path.startsWith(`${changed}/`);
}

function isStill(place: string, { dev, ino, size, mtimeMs, ctimeMs }: Stats): boolean {
  try {
    const now = statSync(place, { throwIfNoEntry: false });
    return (
      now !== undefined &&
      now.dev === dev &&
      now.ino === ino &&
      now.size === size &&
      now.mtimeMs === mtimeMs &&
      now.ctimeMs === ctimeMs
    );
  } catch {
    return false;
  }
}
