// Bytes that are read at the pace of who takes them: from a blob, a file, a folder on disk.
import type { Outcome } from './outcome.ts';

/** Takes bytes that are read, at its own pace. */
export interface Sink {
  readonly room: number;
  /**
   * The bytes are immutable and may be shared. With `storage` they are so until this is given back to the pool: by the sink, once
   * nobody reads them any more, or never.
   */
  bytes(data: Uint8Array, start: number, end: number, storage?: Buffer): void;
  /** Once: OK after the last byte, MISSING, FAILED. Not called after `stop`. */
  end(outcome: Outcome): void;
}

/** A read in progress: it waits while the sink has no room. */
export interface Reading {
  /** The sink has room again. */
  more(): void;
  stop(): void;
}

/** What can be read in part. */
export interface Source {
  /** Gives `[start..end)` to the sink, at once or later. */
  read(start: number, end: number, sink: Sink): Reading;
}
