// The files of one folder as they are served: opened, measured and, where small, read once, and kept for as long as they
// are asked for. What changes on the disk is seen within a second. It knows no request.
import { type BigIntStats, close, constants, fstat, open, type PathLike, read, realpath } from 'node:fs';
import { join, sep } from 'node:path';
import { FileReading } from '../core/file-reading.ts';
import type { Reading, Sink, Source } from '../core/sink.ts';
import type { Instant } from '../core/time.ts';
import type { ContentCoding } from '../protocols/http/coding.ts';
import { typeOf } from '../protocols/http/media.ts';
import { type Content, FILES } from '../protocols/http/representation.ts';

/** A file, or the folder that stands in its place. */
export interface OpenFile {
  readonly kind: 'file';
  readonly content: Content;
  /** Content-Type. */
  readonly type: string;
  /** Changes whenever the file's bytes do. */
  readonly etag: string;
  readonly lastModified: number;
  /** Files beside it with the same content coded, not older than it. */
  readonly coded: Partial<Record<ContentCoding, Content>> | null;
}

export type Found = OpenFile | { readonly kind: 'folder' } | { readonly kind: 'missing' } | { readonly kind: 'failed' };

/** Files up to this are kept in memory whole. */
const KEPT_FILE_BYTES = 1_048_576;
/** Of all files of a folder that are kept. */
const KEPT_BYTES = 67_108_864;
/** Files that are kept, open ones and small ones. */
const KEPT_FILES = 1_024;
/** After so long a file is looked at again before it is served. */
const FRESH_MS = 1_000;

const SUFFIXES: readonly [ContentCoding, string][] = [
  ['zstd', '.zst'],
  ['br', '.br'],
  ['gzip', '.gz'],
];

const MISSING: Found = { kind: 'missing' };
const FOLDER: Found = { kind: 'folder' };
const BROKEN: Found = { kind: 'failed' };

/** A file that is kept. */
interface Kept {
  found: Found;
  /** What tells whether it is still that file. */
  readonly sign: string;
  readonly bytes: number;
  readonly files: readonly Descriptor[];
  freshUntil: Instant;
}

export class OpenFiles {
  private readonly root: string;
  private readonly precompressed: boolean;
  /** By path below the root, the one used longest ago first. */
  private readonly kept = new Map<string, Kept>();
  private keptBytes = 0;
  private readonly asked = new Map<string, ((found: Found) => void)[]>();
  private realRoot: string | null = null;

  /** @param precompressed whether `x.br`, `x.gz` and `x.zst` are taken for `x` coded */
  constructor(root: string, precompressed: boolean) {
    this.root = root;
    this.precompressed = precompressed;
  }

  /** What is kept of a path and was looked at lately; null: ask `find`. */
  known(path: string, now: Instant): Found | null {
    const kept = this.kept.get(path);
    if (kept === undefined || now >= kept.freshUntil) return null;
    return kept.found;
  }

  /** Looks on the disk. `then` is called once, later. */
  find(path: string, now: Instant, then: (found: Found) => void): void {
    const waiting = this.asked.get(path);
    if (waiting !== undefined) {
      waiting.push(then);
      return;
    }
    this.asked.set(path, [then]);
    const answer = (found: Found) => {
      const all = this.asked.get(path) ?? [];
      this.asked.delete(path);
      for (const each of all) each(found);
    };
    this.look(path, now).then(answer, (error: unknown) => answer(isMissing(error) ? MISSING : BROKEN));
  }

  /** Lets go of everything; what is being sent goes on. */
  close(): void {
    for (const path of [...this.kept.keys()]) this.drop(path);
  }

  private async look(path: string, now: Instant): Promise<Found> {
    const file = await this.openBelow(path);
    if (file === null) {
      this.drop(path);
      return FOLDER;
    }
    const beside = this.precompressed ? await this.codedOf(path, file) : [];
    const sign = [file, ...beside.map(([, each]) => each)].map(({ etag }) => etag).join();
    const before = this.kept.get(path);
    if (before !== undefined && before.sign === sign) {
      for (const each of [file, ...beside.map(([, coded]) => coded)]) each.release();
      before.freshUntil = now + FRESH_MS;
      // Used last.
      this.kept.delete(path);
      this.kept.set(path, before);
      return before.found;
    }
    const coded: Partial<Record<ContentCoding, Content>> = {};
    for (const [coding, each] of beside) coded[coding] = await each.content();
    const found: Found = {
      kind: 'file',
      content: await file.content(),
      type: typeOf(path),
      etag: file.etag,
      lastModified: file.lastModified,
      coded: beside.length === 0 ? null : coded,
    };
    this.keep(path, { found, sign, files: [file, ...beside.map(([, each]) => each)], now });
    return found;
  }

  private keep(path: string, of: { found: Found; sign: string; files: readonly Descriptor[]; now: Instant }): void {
    this.drop(path);
    const { found, sign, files, now } = of;
    let bytes = 0;
    for (const file of files) bytes += file.inMemory;
    this.kept.set(path, { found, sign, bytes, files, freshUntil: now + FRESH_MS });
    this.keptBytes += bytes;
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= KEPT_FILES && this.keptBytes <= KEPT_BYTES) break;
      if (oldest !== path) this.drop(oldest);
    }
  }

  private drop(path: string): void {
    const kept = this.kept.get(path);
    if (kept === undefined) return;
    this.kept.delete(path);
    this.keptBytes -= kept.bytes;
    for (const file of kept.files) file.release();
  }

  /** The file, open; null for a folder. Rejects for what is neither, is not there, or leads out of the root. */
  private async openBelow(path: string): Promise<Descriptor | null> {
    const whole = join(this.root, path);
    this.realRoot ??= await real(this.root);
    const resolved = await real(whole);
    // A link may lead anywhere on the disk: only below the root it is part of the site.
    if (resolved !== this.realRoot && !resolved.startsWith(`${this.realRoot}${sep}`)) throw new NotHere();
    return openDescriptor(resolved);
  }

  private async codedOf(path: string, file: Descriptor): Promise<[ContentCoding, Descriptor][]> {
    const found: [ContentCoding, Descriptor][] = [];
    for (const [coding, suffix] of SUFFIXES) {
      try {
        const coded = await this.openBelow(path + suffix);
        if (coded === null) continue;
        // One that is older was made of another content.
        if (coded.lastModified < file.lastModified) coded.release();
        else found.push([coding, coded]);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
    return found;
  }
}

class NotHere extends Error {}

function isMissing(error: unknown): boolean {
  if (error instanceof NotHere) return true;
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG', 'ENXIO', 'EINVAL'].includes(String(code));
}

/** An open file; closed when nobody keeps or sends it any more. */
class Descriptor implements Source {
  readonly etag: string;
  readonly lastModified: number;
  inMemory = 0;
  private bytes: Uint8Array | null = null;
  private readonly fd: number;
  private readonly length: number;
  private users = 1;

  constructor(fd: number, stats: BigIntStats) {
    this.fd = fd;
    this.length = Number(stats.size);
    this.lastModified = Number(stats.mtimeMs);
    this.etag = `"${stats.ino.toString(36)}-${stats.size.toString(36)}-${stats.mtimeNs.toString(36)}"`;
  }

  /** Its bytes, or itself where they are too many to be kept. */
  async content(): Promise<Content> {
    if (this.length > KEPT_FILE_BYTES) return { source: this, length: this.length };
    const bytes = Buffer.allocUnsafeSlow(this.length);
    for (let at = 0; at < this.length; ) {
      const got = await readAt(this.fd, bytes, at, this.length - at, at);
      // It became shorter meanwhile.
      if (got === 0) throw new NotHere();
      at += got;
    }
    this.inMemory = this.length;
    this.bytes = bytes;
    FILES.set(bytes, this.fd);
    return bytes;
  }

  release(): void {
    if (--this.users > 0) return;
    // Whoever still has the bytes sends them from memory: another file may get this number next.
    if (this.bytes !== null) FILES.delete(this.bytes);
    close(this.fd, () => {});
  }

  read(start: number, end: number, sink: Sink): Reading {
    this.users++;
    const reading = new FileReading(this.fd, start, end, sink, () => this.release());
    reading.more();
    return reading;
  }
}

/** Opens a file for reading; null for a folder. Rejects with NotHere for devices, pipes and sockets. */
function openDescriptor(path: string): Promise<Descriptor | null> {
  return new Promise((resolve, reject) => {
    // A pipe without a writer would otherwise hold a thread until one comes.
    open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0), (error, fd) => {
      if (error !== null) {
        reject(error);
        return;
      }
      fstat(fd, { bigint: true }, (wrong, stats) => {
        if (wrong === null && stats.isFile()) {
          resolve(new Descriptor(fd, stats));
          return;
        }
        close(fd, () => {});
        if (wrong === null && stats.isDirectory()) resolve(null);
        else reject(wrong ?? new NotHere());
      });
    });
  });
}

function real(path: PathLike): Promise<string> {
  return new Promise((resolve, reject) => {
    realpath.native(path, (error, resolved) => (error === null ? resolve(resolved) : reject(error)));
  });
}

function readAt(fd: number, into: Buffer, offset: number, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, into, offset, length, position, (error, got) => (error === null ? resolve(got) : reject(error)));
  });
}
