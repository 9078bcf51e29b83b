// Large bytes of the SQLite store: small ones as rows, larger ones as files beside the database, made durable before the
// row that names them. It does not know spaces.
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { FAILED, GONE, MISSING, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { Blobs, BlobWriter, Reading, Sink } from '../engine.ts';
import { guarded } from './guarded.ts';
import { BLOB_FOLDER, outcomeOf, ROW_BLOB_MAX } from './schema.ts';
import { type ReaderWorker, settled, type WriterWorker } from './workers.ts';

/** Bytes of one writer on their way to its file. */
const WRITER_BYTES = 262_144;

const READ_BYTES = 65_536;

export class SqliteBlobs implements Blobs {
  readonly folder: string;
  private readonly writerWorker: WriterWorker;
  private readonly readerWorker: ReaderWorker;
  private readonly committing = new Set<Promise<void>>();
  private lastId: number;
  private lastTemporary = 0;
  private closed = false;

  constructor(folder: string, writer: WriterWorker, reader: ReaderWorker) {
    this.folder = join(folder, BLOB_FOLDER);
    this.writerWorker = writer;
    this.readerWorker = reader;
    this.lastId = writer.lastBlob;
  }

  writer(): BlobWriter {
    return new RowOrFile(this);
  }

  read(id: number, start: number, end: number, sink: Sink): Reading {
    return new BlobReading(this, id, start, end, sink);
  }

  async remove(id: number): Promise<Outcome> {
    if (this.closed) return GONE;
    const { outcome, value: isFile } = await settled((waiting) => {
      this.writerWorker.send({ kind: 'unblob', id }, [], [waiting]);
    });
    // The row is gone for good; a file that outlives it is an orphan, which the next opening removes.
    if (outcome === OK && isFile === 1) await unlink(this.pathOf(id)).catch(() => {});
    return outcome;
  }

  async size(id: number): Promise<number | null> {
    return (await this.find(id, false))?.size ?? null;
  }

  async sweep(wanted: (id: number) => boolean): Promise<number> {
    let gone = 0;
    for (let after = 0; ; ) {
      const ids = await this.readerWorker.ask<'blobs'>({ kind: 'blobs', after });
      if (ids.length === 0) return gone;
      after = ids.at(-1)!;
      const outcomes = await Promise.all(ids.filter((id) => !wanted(id)).map((id) => this.remove(id)));
      gone += outcomes.filter((outcome) => outcome === OK).length;
    }
  }

  /** Waits for the commits that have begun; later ones are refused. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.committing);
  }

  find(id: number, whole: boolean) {
    return this.readerWorker.ask<'blob'>({ kind: 'blob', id, whole });
  }

  pathOf(id: number): string {
    return join(this.folder, String(id));
  }

  temporary(): string {
    return join(this.folder, `${++this.lastTemporary}.new`);
  }

  /** Runs the last step of a writer, and settles its waiter with what came of it. */
  finish(commit: () => Promise<{ outcome: Outcome; value: number }>, waiter: Waiter, token: number): void {
    if (this.closed) {
      setImmediate(() => guarded(() => waiter.settled(token, GONE, 0)));
      return;
    }
    const running: Promise<void> = commit()
      .catch((error: unknown) => ({ outcome: outcomeOf(error, this.folder), value: 0 }))
      .then(({ outcome, value }) => {
        this.committing.delete(running);
        guarded(() => waiter.settled(token, outcome, outcome === OK ? value : 0));
      });
    this.committing.add(running);
  }

  /** Names a blob of which the bytes are in the row or, from `file`, durable on the disk. */
  async name(
    size: number,
    bytes: Uint8Array | null,
    file: string | null,
  ): Promise<{ outcome: Outcome; value: number }> {
    const id = ++this.lastId;
    if (file !== null) {
      await rename(file, this.pathOf(id));
      const folder = await open(this.folder, 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    }
    const done = await settled((waiting) => {
      this.writerWorker.send({ kind: 'blob', id, size, bytes }, [], [waiting]);
    });
    if (done.outcome !== OK && file !== null) await unlink(this.pathOf(id)).catch(() => {});
    return done;
  }
}

/** Gathers bytes for a row, and goes over to a file when they are too many. */
class RowOrFile implements BlobWriter {
  onRoom: (() => void) | null = null;
  private readonly blobs: SqliteBlobs;
  private chunks: Buffer[] = [];
  /** Bytes in `chunks`. */
  private held = 0;
  /** Bytes that were taken in all. */
  private size = 0;
  private file: FileHandle | null = null;
  private path: string | null = null;
  private pumping: Promise<void> | null = null;
  private failure: unknown = null;
  private full = false;
  private over = false;

  constructor(blobs: SqliteBlobs) {
    this.blobs = blobs;
  }

  write(input: Uint8Array, start: number, end: number): number {
    if (this.over) return 0;
    // After a failure the bytes go nowhere, so that the writer comes to its commit, which says so.
    if (this.failure !== null) return end - start;
    const size = Math.min(end - start, WRITER_BYTES - this.held);
    if (size < end - start) this.full = true;
    if (size <= 0) return 0;
    this.chunks.push(Buffer.from(input.subarray(start, start + size)));
    this.held += size;
    this.size += size;
    if (this.size > ROW_BLOB_MAX) this.pump();
    return size;
  }

  commit(waiter: Waiter, token: number): void {
    this.over = true;
    this.blobs.finish(() => this.finish(), waiter, token);
  }

  abort(): void {
    if (this.over) return;
    this.over = true;
    this.chunks = [];
    void this.discard();
  }

  private async finish(): Promise<{ outcome: Outcome; value: number }> {
    try {
      while (this.pumping !== null) await this.pumping;
      if (this.failure !== null) throw this.failure;
      if (this.path === null) return await this.blobs.name(this.size, joined(this.chunks, this.size), null);
      const { file, path } = this;
      if (file === null) return { outcome: FAILED, value: 0 };
      await file.sync();
      this.file = null;
      await file.close();
      return await this.blobs.name(this.size, null, path);
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  private pump(): void {
    this.pumping ??= this.drain()
      .catch((error: unknown) => {
        this.failure = error;
        this.chunks = [];
        this.held = 0;
      })
      .then(() => {
        this.pumping = null;
        // What was taken after the last look, while this step was on its way.
        if (this.chunks.length > 0) this.pump();
        else this.giveRoom();
      });
  }

  private async drain(): Promise<void> {
    if (this.path === null) {
      this.path = this.blobs.temporary();
      this.file = await open(this.path, 'wx', 0o600);
    }
    while (this.chunks.length > 0) {
      const bytes = Buffer.concat(this.chunks);
      this.chunks = [];
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.file!.write(bytes, at, bytes.length - at);
        at += bytesWritten;
      }
      this.held -= bytes.length;
      this.giveRoom();
    }
  }

  private giveRoom(): void {
    if (!this.full || this.over) return;
    this.full = false;
    guarded(() => this.onRoom?.());
  }

  private async discard(): Promise<void> {
    while (this.pumping !== null) await this.pumping;
    const { file, path } = this;
    this.file = null;
    await file?.close().catch(() => {});
    if (path !== null) await unlink(path).catch(() => {});
  }
}

/** Gives a blob to a sink at the sink's pace. */
class BlobReading implements Reading {
  private readonly blobs: SqliteBlobs;
  private readonly sink: Sink;
  private at: number;
  private end: number;
  private row: Uint8Array | null = null;
  private file: FileHandle | null = null;
  private found = false;
  private running = false;
  private over = false;

  constructor(blobs: SqliteBlobs, id: number, start: number, end: number, sink: Sink) {
    this.blobs = blobs;
    this.sink = sink;
    this.at = Math.max(0, start);
    this.end = end;
    this.running = true;
    this.find(id).then(
      (outcome) => {
        this.running = false;
        if (outcome === OK) this.found = true;
        else this.finish(outcome);
        this.more();
      },
      () => this.finish(FAILED),
    );
  }

  more(): void {
    if (this.running || this.over || !this.found) return;
    this.running = true;
    this.give().then(
      () => {
        this.running = false;
        this.letGo();
      },
      () => this.finish(FAILED),
    );
  }

  stop(): void {
    this.over = true;
    this.letGo();
  }

  private async find(id: number): Promise<Outcome> {
    const blob = await this.blobs.find(id, true);
    if (blob === null) return MISSING;
    this.end = Math.min(this.end, blob.size);
    this.row = blob.bytes;
    if (this.row !== null || this.over) return OK;
    try {
      this.file = await open(this.blobs.pathOf(id), 'r');
      return OK;
    } catch (error) {
      // Between the row and the file it may have been removed.
      return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? MISSING : FAILED;
    }
  }

  private async give(): Promise<void> {
    while (!this.over && this.at < this.end) {
      const { room } = this.sink;
      if (room <= 0) return;
      const size = Math.min(READ_BYTES, room, this.end - this.at);
      const from = this.at;
      if (this.row !== null) {
        this.at += size;
        this.sink.bytes(this.row, from, this.at);
        continue;
      }
      const bytes = Buffer.allocUnsafeSlow(size);
      const { bytesRead } = await this.file!.read(bytes, 0, size, from);
      if (bytesRead === 0) throw new Error('a blob is shorter than its row says');
      if (this.over) return;
      this.at += bytesRead;
      this.sink.bytes(bytes, 0, bytesRead);
    }
    this.finish(OK);
  }

  private finish(outcome: Outcome): void {
    if (this.over) {
      this.letGo();
      return;
    }
    this.over = true;
    this.running = false;
    this.letGo();
    guarded(() => this.sink.end(outcome));
  }

  /** Closes the file once nothing reads it. */
  private letGo(): void {
    if (!this.over || this.running) return;
    const { file } = this;
    this.file = null;
    file?.close().catch(() => {});
  }
}

/** In memory of its own: what crosses to a worker is copied with the whole of its storage. */
function joined(chunks: readonly Buffer[], size: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const chunk of chunks) at += chunk.copy(bytes, at);
  return bytes;
}
