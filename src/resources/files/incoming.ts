// A file on its way in, as protocols have it: its pending copy, within the quota, at the bandwidth of its account, and with
// the locks asked once more before it appears.
import { FULL, OK, type Outcome } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { FileWriter } from '../../storage/engine.ts';
import type { Bucket } from './bandwidth.ts';
import type { FileFacts, IncomingFile } from './contract.ts';

export interface Terms {
  /** Takes room for bytes, or gives it back (below 0); false when there is none. */
  reserve(bytes: number): boolean;
  /** Whether it may still appear. */
  mayAppear(): Outcome;
  /** It has appeared. */
  appeared(): Promise<FileFacts | Outcome>;
  readonly bucket: Bucket | null;
}

export class Incoming implements IncomingFile {
  onRoom: (() => void) | null = null;
  private readonly writer: FileWriter;
  private readonly terms: Terms;
  private refused: Outcome = OK;
  private reserved = 0;
  private isWaiting = false;
  private isOver = false;

  constructor(writer: FileWriter, terms: Terms) {
    this.writer = writer;
    this.terms = terms;
    this.grow(writer.size);
    writer.onRoom = () => {
      if (!this.isWaiting) this.onRoom?.();
    };
  }

  get size(): number {
    return this.writer.size;
  }

  get position(): number {
    return this.writer.position;
  }

  get trouble(): Outcome {
    return this.refused !== OK ? this.refused : this.writer.trouble;
  }

  write(input: Uint8Array, start: number, end: number): number {
    if (this.trouble !== OK) return end - start;
    const { bucket } = this.terms;
    let upTo = end;
    if (bucket !== null) {
      const { room } = bucket;
      upTo = Math.min(end, start + room);
      if (upTo < end) this.wait(bucket);
    }
    if (!this.grow(this.writer.position + upTo - start)) return end - start;
    const took = this.writer.write(input, start, upTo);
    bucket?.spend(took);
    return took;
  }

  private wait(bucket: Bucket): void {
    if (this.isWaiting) return;
    this.isWaiting = true;
    bucket.wait(() => {
      this.isWaiting = false;
      if (!this.isOver) this.onRoom?.();
    });
  }

  /** Whether there is room for a size. */
  private grow(size: number): boolean {
    if (size <= this.reserved) return true;
    if (!this.terms.reserve(size - this.reserved)) {
      this.refused = FULL;
      return false;
    }
    this.reserved = size;
    return true;
  }

  seek(position: number): void {
    this.writer.seek(position);
  }

  truncate(size: number): void {
    if (this.grow(size)) this.writer.truncate(size);
  }

  read(start: number, end: number, sink: Sink): Reading {
    return this.writer.read(start, end, sink);
  }

  async sync(): Promise<Outcome> {
    return this.trouble !== OK ? this.trouble : this.writer.sync();
  }

  setModified(modified: number): void {
    this.writer.setModified(modified);
  }

  async commit(): Promise<FileFacts | Outcome> {
    if (this.isOver) return FULL;
    const may = this.trouble !== OK ? this.trouble : this.terms.mayAppear();
    if (may !== OK) {
      this.abort();
      return may;
    }
    this.isOver = true;
    const outcome = await new Promise<Outcome>((resolve) => {
      this.writer.commit({ settled: (_token, settled) => resolve(settled) }, 0);
    });
    this.release();
    return outcome === OK ? this.terms.appeared() : outcome;
  }

  suspend(): void {
    if (this.isOver) return;
    if (this.trouble !== OK) {
      // What has no room does not keep the room that it has.
      this.abort();
      return;
    }
    this.isOver = true;
    this.release();
    this.writer.suspend();
  }

  abort(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.release();
    this.writer.abort();
  }

  private release(): void {
    if (this.reserved > 0) this.terms.reserve(-this.reserved);
    this.reserved = 0;
  }
}
