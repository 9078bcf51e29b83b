// Files that were opened lately and are kept open for the next who ask: what the tree changes goes at once, what others change on
// the disk is seen within a second. Short ones are in memory once they were asked for again.
import { read } from 'node:fs';
import { SharedDescriptor } from '../../core/file-reading.ts';
import { OK } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { FileStat, TreeFile } from '../engine.ts';

/** After so long a file is looked for again. */
const FRESH_MS = 1_000;
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
  freshUntil: number;
  bytes: number;
}

export class KeptFiles {
  /** By path, the one used longest ago first. */
  private readonly kept = new Map<string, Kept>();
  private bytes = 0;
  /** Changes that are under way. */
  private changing = 0;
  private changes = 0;
  private timer: NodeJS.Timeout | null = null;

  /** The file at a path for one more, or null: it has to be opened. */
  known(path: string): DiskFile | null {
    const kept = this.kept.get(path);
    if (kept === undefined) return null;
    if (performance.now() >= kept.freshUntil) {
      this.drop(path, kept);
      return null;
    }
    const { file } = kept;
    if (!file.inMemory && file.stat.size <= KEPT_FILE_BYTES) this.load(path, kept);
    return file.another();
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
  keep(path: string, file: DiskFile, mark: number): void {
    if (mark !== this.mark) return;
    const before = this.kept.get(path);
    if (before !== undefined) this.drop(path, before);
    this.kept.set(path, { file: file.another(), freshUntil: performance.now() + FRESH_MS, bytes: 0 });
    this.trim();
    this.timer ??= setTimeout(() => this.expire(), FRESH_MS).unref();
  }

  /** What is not fresh is open for nobody. */
  private expire(): void {
    this.timer = null;
    const now = performance.now();
    for (const [path, kept] of this.kept) if (now >= kept.freshUntil) this.drop(path, kept);
    if (this.kept.size > 0) this.timer = setTimeout(() => this.expire(), FRESH_MS).unref();
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
