// Blobs in memory: for tests and for `storage: 'memory'`.
import { FULL, MISSING, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { Blobs, BlobWriter, Reading, Sink } from '../engine.ts';
import type { Injected, Later } from './space.ts';

const SLICE = 65_536;

/** Gives `[start, end)` of bytes in memory to a sink at the sink's pace, in later steps. */
export function readBytes(bytes: Uint8Array | null, start: number, end: number, sink: Sink, later: Later): Reading {
  let at = Math.max(0, start);
  const stop = Math.min(end, bytes?.length ?? 0);
  let over = false;
  const step = () => {
    while (!over) {
      if (bytes === null || at >= stop) {
        over = true;
        sink.end(bytes === null ? MISSING : OK);
        return;
      }
      const { room } = sink;
      if (room <= 0) return;
      const next = Math.min(stop, at + Math.min(SLICE, room));
      const from = at;
      at = next;
      sink.bytes(bytes, from, next);
    }
  };
  later(step);
  return {
    more: () => later(step),
    stop: () => {
      over = true;
    },
  };
}

/** Gathers bytes up to a bound that is taken in between steps, as a disk would. */
export class MemoryWriter implements BlobWriter {
  onRoom: (() => void) | null = null;
  private readonly chunks: Buffer[] = [];
  private readonly later: Later;
  private readonly injected: Injected;
  private readonly done: (bytes: Buffer | null, waiter: Waiter, token: number) => void;
  private waiting = 0;
  private draining = false;
  private over = false;

  constructor(later: Later, injected: Injected, done: (bytes: Buffer | null, waiter: Waiter, token: number) => void) {
    this.later = later;
    this.injected = injected;
    this.done = done;
  }

  write(input: Uint8Array, start: number, end: number): number {
    const size = Math.min(end - start, 4 * SLICE - this.waiting);
    if (size <= 0 || this.over) return 0;
    this.chunks.push(Buffer.from(input.subarray(start, start + size)));
    this.waiting += size;
    if (!this.draining) {
      this.draining = true;
      this.later(() => {
        this.draining = false;
        this.waiting = 0;
        if (!this.over) this.onRoom?.();
      });
    }
    return size;
  }

  commit(waiter: Waiter, token: number): void {
    this.over = true;
    this.later(() => {
      if (this.injected.refuse !== null) waiter.settled(token, this.injected.refuse, 0);
      else this.done(Buffer.concat(this.chunks), waiter, token);
    });
  }

  /** What was written so far; no more is taken. */
  stop(): Buffer {
    this.over = true;
    return Buffer.concat(this.chunks);
  }

  abort(): void {
    this.over = true;
    this.chunks.length = 0;
  }
}

export class MemoryBlobs implements Blobs {
  private readonly blobs = new Map<number, Buffer>();
  private readonly later: Later;
  private readonly injected: Injected;
  private readonly bytesMax: number;
  private held = 0;
  private lastId = 0;

  constructor(later: Later, injected: Injected, bytesMax: number) {
    this.later = later;
    this.injected = injected;
    this.bytesMax = bytesMax;
  }

  /** Has what a former one had committed. */
  inherit(former: MemoryBlobs): void {
    for (const [id, bytes] of former.blobs) this.blobs.set(id, bytes);
    this.held = former.held;
    this.lastId = former.lastId;
  }

  writer(): BlobWriter {
    return new MemoryWriter(this.later, this.injected, (bytes, waiter, token) => {
      if (bytes === null || this.held + bytes.length > this.bytesMax) {
        waiter.settled(token, FULL, 0);
        return;
      }
      this.held += bytes.length;
      this.blobs.set(++this.lastId, bytes);
      waiter.settled(token, OK, this.lastId);
    });
  }

  read(id: number, start: number, end: number, sink: Sink): Reading {
    return readBytes(this.blobs.get(id) ?? null, start, end, sink, this.later);
  }

  async remove(id: number): Promise<Outcome> {
    const bytes = this.blobs.get(id);
    if (bytes === undefined) return MISSING;
    this.held -= bytes.length;
    this.blobs.delete(id);
    return OK;
  }

  async size(id: number): Promise<number | null> {
    return this.blobs.get(id)?.length ?? null;
  }

  async sweep(wanted: (id: number) => boolean): Promise<number> {
    const gone = [...this.blobs.keys()].filter((id) => !wanted(id));
    for (const id of gone) await this.remove(id);
    return gone.length;
  }
}
