// The bytes of messages: short ones are records, which commit with their index; longer ones are blobs. Both are kept once,
// however many messages have them.
import { FAILED, MISSING, OK } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { Batch } from '../../storage/batch.ts';
import type { Blobs, Space } from '../../storage/engine.ts';
import { blobKey, bytesKey, number32, type Place, sharedKey } from './records.ts';

const NOTHING: Reading = { more: () => {}, stop: () => {} };

/** Counts of what changes in a batch that was not committed yet. */
export class Shares {
  readonly changes = new Map<string, { readonly place: Place; by: number }>();

  add(place: Place, by: number): void {
    const key = nameOf(place);
    const known = this.changes.get(key);
    if (known === undefined) this.changes.set(key, { place, by });
    else known.by += by;
  }
}

function nameOf({ blob, folder, uid }: Place): string {
  return blob > 0 ? blobKey(blob) : sharedKey(folder, uid);
}

export class Bytes {
  private readonly space: Space;
  private readonly blobs: Blobs;
  /** How many messages have them: of blobs each, of records those that more than one has. */
  private readonly shared = new Map<string, number>();

  constructor(space: Space, blobs: Blobs) {
    this.space = space;
    this.blobs = blobs;
  }

  /** Reads the counts, and removes blobs that no message has: a crash came between a blob and its record. */
  async load(): Promise<void> {
    for (const prefix of ['r/', 's/'])
      await this.space.scan(prefix, 0, ({ key, bytes }) => {
        this.shared.set(key, Buffer.from(bytes).readUInt32BE(0));
        return true;
      });
  }

  /** Whether a blob is a message's. */
  has(blob: number): boolean {
    return this.shared.has(blobKey(blob));
  }

  /**
   * Writes what a batch changes in the counts. Answers what is to be called with how it ended: until then the counts are as
   * if it had been done, so that a batch behind it builds on them.
   */
  write(batch: Batch, { changes }: Shares): (done: boolean) => void {
    const undo: [string, number | undefined][] = [];
    const dropped: number[] = [];
    for (const [key, { place, by }] of changes) {
      const before = this.shared.get(key);
      const count = (before ?? (place.blob > 0 ? 0 : 1)) + by;
      undo.push([key, before]);
      if (count <= 0) this.drop(batch, place, key, dropped);
      else this.keep(batch, place, key, count, before);
    }
    return (done) => {
      if (done) for (const blob of dropped) void this.blobs.remove(blob).catch(() => {});
      else for (const [key, before] of undo) this.restore(key, before);
    };
  }

  private keep(batch: Batch, place: Place, key: string, count: number, before: number | undefined): void {
    if (place.blob === 0 && count === 1) {
      this.shared.delete(key);
      if (before !== undefined) batch.remove(key);
      return;
    }
    this.shared.set(key, count);
    batch.put(key, number32(count), 0, 4);
  }

  private drop(batch: Batch, place: Place, key: string, dropped: number[]): void {
    if (this.shared.delete(key)) batch.remove(key);
    if (place.blob > 0) dropped.push(place.blob);
    else batch.remove(bytesKey(place.folder, place.uid));
  }

  private restore(key: string, before: number | undefined): void {
    if (before === undefined) this.shared.delete(key);
    else this.shared.set(key, before);
  }

  async whole(place: Place, size: number): Promise<Buffer | null> {
    if (place.blob === 0) {
      const entry = await this.space.last(bytesKey(place.folder, place.uid));
      return entry === null ? null : Buffer.from(entry.bytes.buffer, entry.bytes.byteOffset, entry.bytes.byteLength);
    }
    const into = Buffer.allocUnsafe(size);
    let at = 0;
    return new Promise((resolve, reject) => {
      this.blobs.read(place.blob, 0, size, {
        room: size,
        bytes: (data, start, end) => {
          into.set(data.subarray(start, end), at);
          at += end - start;
        },
        end: (outcome) => {
          if (outcome === OK) resolve(into.subarray(0, at));
          else if (outcome === MISSING) resolve(null);
          else reject(new Error('a message could not be read'));
        },
      });
    });
  }

  read(place: Place | null, start: number, end: number, sink: Sink): Reading {
    if (place === null) {
      sink.end(MISSING);
      return NOTHING;
    }
    if (place.blob > 0) return this.blobs.read(place.blob, start, end, sink);
    const reading = new RecordReading(start, end, sink);
    this.space.last(bytesKey(place.folder, place.uid)).then(
      (entry) => reading.came(entry === null ? null : entry.bytes),
      () => reading.failed(),
    );
    return reading;
  }
}

/** A short message on its way to a sink. */
class RecordReading implements Reading {
  private at: number;
  private readonly end: number;
  private readonly sink: Sink;
  private bytes: Uint8Array | null = null;
  private over = false;

  constructor(start: number, end: number, sink: Sink) {
    this.at = start;
    this.end = end;
    this.sink = sink;
  }

  came(bytes: Uint8Array | null): void {
    if (this.over) return;
    this.bytes = bytes;
    if (bytes !== null) this.more();
    else {
      this.over = true;
      this.sink.end(MISSING);
    }
  }

  failed(): void {
    if (this.over) return;
    this.over = true;
    this.sink.end(FAILED);
  }

  more(): void {
    const { bytes, sink } = this;
    if (bytes === null || this.over) return;
    const end = Math.min(this.end, bytes.length);
    while (this.at < end && sink.room > 0 && !this.over) {
      const to = Math.min(end, this.at + Math.max(sink.room, 1));
      const from = this.at;
      this.at = to;
      sink.bytes(bytes, from, to);
    }
    if (this.at < end || this.over) return;
    this.over = true;
    sink.end(OK);
  }

  stop(): void {
    this.over = true;
  }
}
