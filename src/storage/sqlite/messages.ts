// What crosses between the main thread and the two workers of the SQLite store: one buffer for all batches of a turn, one
// message for all settlements of a group, one buffer for a slice of records.
import type { Outcome } from '../../core/outcome.ts';
import type { Entry, Keep } from '../engine.ts';

/** What a worker is started with. */
export interface WorkerStart {
  readonly folder: string;
  readonly checkpointPages: number;
}

/** What a test does to the worker that writes. */
export interface WriterFaults {
  /** Groups fail at their COMMIT as they would with this outcome; null for none. */
  readonly refuse: Outcome | null;
  /** Nothing is committed. */
  readonly hold: boolean;
  /** The worker ends as by a bug. */
  readonly die?: boolean;
}

export type ToWriter =
  | { readonly kind: 'batches'; readonly buffer: ArrayBuffer }
  | { readonly kind: 'open'; readonly name: string }
  | { readonly kind: 'drop'; readonly space: number; readonly sequences: Float64Array }
  | { readonly kind: 'blob'; readonly id: number; readonly size: number; readonly bytes: Uint8Array | null }
  | { readonly kind: 'unblob'; readonly id: number }
  | { readonly kind: 'close' }
  | { readonly kind: 'faults'; readonly faults: WriterFaults };

/** Numbers a settlement: outcome, value, and a second value that only `open` has. */
export const SETTLED_STRIDE = 3;

export type FromWriter =
  | { readonly kind: 'ready'; readonly lastBlob: number }
  | { readonly kind: 'refused'; readonly why: string }
  /** For each batch and each other message, in the order in which they were sent. */
  | { readonly kind: 'settled'; readonly results: Float64Array }
  | { readonly kind: 'corrupt'; readonly why: string }
  | { readonly kind: 'closed' };

/** Before each batch in a crossing: space u32 · length u32 · time f64. */
export const CROSSING_HEAD = 16;

/** How far a sweep has come; the reader's own, handed back to it. */
export interface SweepPlace {
  readonly keep: number;
  readonly phase: 'last' | 'age' | 'bytes' | 'older';
  readonly key: Uint8Array | null;
  readonly at: number;
  readonly total: number;
}

export type Ask =
  /** The last of each key; `at` of the answer is how many keys were looked at. */
  | { readonly kind: 'last'; readonly space: number; readonly keys: readonly string[] }
  | {
      readonly kind: 'scan';
      readonly space: number;
      readonly text: string;
      /** Whether `text` is the whole key or its beginning. */
      readonly whole: boolean;
      readonly after: number;
      readonly upTo: number;
    }
  | {
      readonly kind: 'sweep';
      readonly space: number;
      readonly keeps: readonly Keep[];
      readonly wall: number;
      readonly place: SweepPlace | null;
    }
  | { readonly kind: 'dropped'; readonly space: number; readonly text: string; readonly whole: boolean }
  | { readonly kind: 'blob'; readonly id: number; readonly whole: boolean }
  | { readonly kind: 'blobs'; readonly after: number };

export interface Slice {
  readonly records: Uint8Array<ArrayBuffer>;
  /** Everything up to here has been looked at. */
  readonly at: number;
  readonly done: boolean;
}

export interface SweepSlice {
  readonly sequences: Float64Array;
  /** Null at the end. */
  readonly place: SweepPlace | null;
}

export interface FoundBlob {
  readonly size: number;
  /** Null for a blob that is a file, or when only the size was asked for. */
  readonly bytes: Uint8Array | null;
}

/** What each kind of question is answered with. */
export interface Answers {
  last: Slice;
  scan: Slice;
  sweep: SweepSlice;
  dropped: number;
  blob: FoundBlob | null;
  blobs: number[];
}

export type ToReader = { readonly token: number; readonly ask: Ask } | { readonly close: true };

export type FromReader =
  | { readonly token: number; readonly answer: Answers[keyof Answers] }
  | { readonly token: number; readonly why: string; readonly corrupt: boolean }
  | { readonly ready: true }
  | { readonly closed: true };

/** sequence f64 · time f64 · key length u32 · value length u32 · key · value */
export const RECORD_HEAD = 24;

/** Reads the record at `at` of a slice; its bytes are the slice's. The next begins at `recordEnd`. */
export function readRecord(slice: Buffer, at: number): Entry {
  const keyEnd = at + RECORD_HEAD + slice.readUInt32BE(at + 16);
  return {
    key: slice.toString('utf8', at + RECORD_HEAD, keyEnd),
    sequence: slice.readDoubleBE(at),
    time: slice.readDoubleBE(at + 8),
    bytes: slice.subarray(keyEnd, keyEnd + slice.readUInt32BE(at + 20)),
    removed: false,
  };
}

export function recordEnd(slice: Buffer, at: number): number {
  return at + RECORD_HEAD + slice.readUInt32BE(at + 16) + slice.readUInt32BE(at + 20);
}
