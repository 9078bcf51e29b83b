// Files in memory as the session knows them, at once or in a later step: for tests.
import { createHash } from 'node:crypto';
import { DENIED, EXISTS, FULL, INVALID, MISSING, OK, type Outcome, STALE } from '../../../core/outcome.ts';
import type { Sink } from '../../../core/sink.ts';
import type { FtpFiles } from '../server.ts';
import type { Change, FileFacts, FolderPages, IncomingFile } from '../upper.ts';

interface Node {
  readonly bytes: Buffer | null;
  readonly modified: number;
}

/** A page of a listing. */
const PAGE = 3;
const CHUNK = 1_000;

export class FakeFiles implements FtpFiles {
  readonly nodes = new Map<string, Node>([['', { bytes: null, modified: 0 }]]);
  readonly pending = new Map<string, Buffer>();
  /** Files that are open. */
  open_ = 0;
  /** Bytes that fit. */
  quota = Number.POSITIVE_INFINITY;
  /** Bytes that a writer takes before it has to wait. */
  roomy = Number.POSITIVE_INFINITY;
  readOnly = false;
  /** How a later step is taken. */
  later: (step: () => void) => void;

  constructor(later: (step: () => void) => void) {
    this.later = later;
  }

  put(path: string, text: string | Uint8Array, modified = 1_700_000_000_000): void {
    this.nodes.set(path, { bytes: Buffer.from(text), modified });
  }

  folder(path: string): void {
    this.nodes.set(path, { bytes: null, modified: 1_600_000_000_000 });
  }

  text(path: string): string | null {
    return this.nodes.get(path)?.bytes?.toString('latin1') ?? null;
  }

  private factsOf(path: string, uploads: boolean): FileFacts | null {
    const node = this.nodes.get(path);
    const pending = uploads ? this.pending.get(path) : undefined;
    if (node === undefined && pending === undefined) return null;
    return {
      name: path.slice(path.lastIndexOf('/') + 1),
      folder: node !== undefined && node.bytes === null,
      size: (pending ?? node?.bytes)?.length ?? 0,
      modified: node?.modified ?? 0,
      unique: path === '' ? 'root' : Buffer.from(path).toString('hex'),
      mode: node !== undefined && node.bytes === null ? 0o755 : 0o644,
      writable: !this.readOnly,
      removable: !this.readOnly,
    };
  }

  home(then: (path: string) => void): void {
    then('');
  }

  stat(path: string, uploads: boolean, then: (outcome: Outcome, facts: FileFacts | null) => void): void {
    const facts = this.factsOf(path, uploads);
    this.later(() => (facts === null ? then(MISSING, null) : then(OK, facts)));
  }

  list(path: string, then: (outcome: Outcome, folder: FolderPages | null) => void): void {
    const inside = path === '' ? '' : `${path}/`;
    const names = [...this.nodes.keys()]
      .filter((name) => name !== '' && name.startsWith(inside) && !name.slice(inside.length).includes('/'))
      .sort();
    this.open_++;
    let isOpen = true;
    const folder: FolderPages = {
      next: (found) => {
        const entries = names.splice(0, PAGE).map((name) => this.factsOf(name, false)!);
        this.later(() => found(entries));
      },
      close: () => {
        if (isOpen) this.open_--;
        isOpen = false;
      },
    };
    this.later(() => then(OK, folder));
  }

  change(change: Change, then: (outcome: Outcome) => void): void {
    const outcome = this.readOnly ? DENIED : this.changed(change);
    this.later(() => then(outcome));
  }

  private changed(change: Change): Outcome {
    const { path } = change;
    const node = this.nodes.get(path);
    if (change.do === 'make') {
      if (node !== undefined) return EXISTS;
      if (!this.hasFolder(path)) return MISSING;
      this.folder(path);
      return OK;
    }
    if (node === undefined) return MISSING;
    if (change.do === 'touch') this.nodes.set(path, { ...node, modified: change.modified });
    else if (change.do === 'rename') {
      if (!this.hasFolder(change.to)) return MISSING;
      this.nodes.delete(path);
      this.nodes.set(change.to, node);
    } else {
      if ((node.bytes === null) !== (change.do === 'remove-folder')) return INVALID;
      if ([...this.nodes.keys()].some((name) => name.startsWith(`${path}/`))) return EXISTS;
      this.nodes.delete(path);
    }
    return OK;
  }

  private hasFolder(path: string): boolean {
    return this.nodes.get(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '')?.bytes === null;
  }

  open(path: string, then: Parameters<FtpFiles['open']>[1]): void {
    const bytes = this.nodes.get(path)?.bytes ?? null;
    if (bytes === null) {
      this.later(() => then(MISSING, null));
      return;
    }
    this.open_++;
    const read = (start: number, end: number, sink: Sink) => {
      let at = start;
      let over = false;
      const more = () => {
        while (!over && at < end && sink.room > 0) {
          const to = Math.min(end, at + CHUNK);
          sink.bytes(bytes, at, to);
          at = to;
        }
        if (over || at < end) return;
        over = true;
        sink.end(OK);
      };
      this.later(more);
      return { more, stop: () => void (over = true) };
    };
    this.later(() => then(OK, { size: bytes.length, fd: -1, read, close: () => void this.open_-- }));
  }

  create(...[path, beginning, offset, then]: Parameters<FtpFiles['create']>): void {
    const there = this.nodes.get(path);
    const former = this.pending.get(path) ?? there?.bytes ?? Buffer.alloc(0);
    const wrong = this.readOnly
      ? DENIED
      : !this.hasFolder(path)
        ? MISSING
        : there !== undefined && (there.bytes === null || beginning === 'fresh')
          ? EXISTS
          : beginning === 'resume' && offset > former.length
            ? STALE
            : OK;
    if (wrong !== OK) {
      this.later(() => then(wrong, null));
      return;
    }
    this.open_++;
    const kept =
      beginning === 'append' ? former : beginning === 'resume' ? former.subarray(0, offset) : Buffer.alloc(0);
    const file = new FakeIncoming(this, path, kept);
    this.later(() => then(OK, file));
  }

  hash(...[path, algorithm, start, end, then]: Parameters<FtpFiles['hash']>): void {
    const bytes = this.nodes.get(path)?.bytes ?? null;
    if (bytes === null) {
      this.later(() => then(MISSING, '', 0));
      return;
    }
    const part = bytes.subarray(start, end);
    const hex = algorithm === 'CRC32' ? 'crc' : createHash(algorithm.replace('-', '')).update(part).digest('hex');
    this.later(() => then(OK, hex, start + part.length));
  }
}

class FakeIncoming implements IncomingFile {
  onRoom: (() => void) | null = null;
  private readonly files: FakeFiles;
  private readonly path: string;
  private pieces: Buffer[];
  private room: number;
  private isFull = false;
  private over = false;

  constructor(files: FakeFiles, path: string, kept: Buffer) {
    this.files = files;
    this.path = path;
    this.pieces = [kept];
    this.room = files.roomy;
  }

  write(input: Uint8Array, start: number, end: number): number {
    const size = Math.min(end - start, this.room);
    this.room -= size;
    this.pieces.push(Buffer.from(input.subarray(start, start + size)));
    if (size < end - start && !this.isFull) {
      this.isFull = true;
      this.files.later(() => {
        this.isFull = false;
        this.room = this.files.roomy;
        this.onRoom?.();
      });
    }
    return size;
  }

  sync(then: (outcome: Outcome) => void): void {
    this.files.later(() => then(OK));
  }

  commit(then: (outcome: Outcome) => void): void {
    const bytes = Buffer.concat(this.pieces);
    this.close();
    const outcome = bytes.length > this.files.quota ? FULL : OK;
    this.files.later(() => {
      if (outcome === OK) {
        this.files.put(this.path, bytes);
        this.files.pending.delete(this.path);
      }
      then(outcome);
    });
  }

  suspend(): void {
    if (!this.over) this.files.pending.set(this.path, Buffer.concat(this.pieces));
    this.close();
  }

  private close(): void {
    if (this.over) return;
    this.over = true;
    this.files.open_--;
  }
}
