// A batch of changes to one space in one buffer: built on the main thread, crossed to a worker in one piece, read on
// either side. It does not know how they are stored.

import { u32 } from '../bytes/reader.ts';
import { ByteWriter } from '../bytes/writer.ts';

export const PUT = 1;
export const REMOVE = 2;
export const APPEND = 3;
export const TRIM = 4;
export type Change = typeof PUT | typeof REMOVE | typeof APPEND | typeof TRIM;

/** No condition on the key's sequence. */
export const ANY = -1;

export const BATCH_RECORDS_MAX = 1_000;

/** The most bytes of one batch, keys and values together. */
export const BATCH_BYTES_MAX = 64 * 1_024 * 1_024;

/** change u8 · key length u32 · condition or trim sequence f64 · value length u32 · key · value */
const HEAD = 17;

/** Visited once a change. `value` is `[start, end)` of the batch's bytes; `condition` is ANY, 0 for absent, or a sequence. */
export type ChangeVisitor = (
  change: Change,
  key: string,
  condition: number,
  bytes: Buffer,
  start: number,
  end: number,
) => void;

export class Batch {
  /** Milliseconds since 1970: the time of all its records. */
  readonly time: number;
  /** How many changes it holds. */
  count = 0;
  /** How many of them take a sequence: all but trims. */
  records = 0;
  private readonly writer = new ByteWriter(BATCH_BYTES_MAX);

  constructor(time: number) {
    this.time = time;
  }

  get size(): number {
    return this.writer.length;
  }

  /** Whether one more change with a key and value of these lengths fits. */
  fits(keyLength: number, valueLength: number): boolean {
    return (
      this.count < BATCH_RECORDS_MAX &&
      this.writer.length + HEAD + keyLength * 3 + valueLength + HEAD <= BATCH_BYTES_MAX
    );
  }

  /** The key's record becomes this; the former one goes. `ifHead`: only if the key's sequence is this, 0 for absent. */
  put(key: string, bytes: Uint8Array, start: number, end: number, ifHead: number = ANY): void {
    this.records++;
    this.add(PUT, key, ifHead, bytes, start, end);
  }

  /** The key has no record any more. Removing an absent key is a record too. */
  remove(key: string, ifHead: number = ANY): void {
    this.records++;
    this.add(REMOVE, key, ifHead, NONE, 0, 0);
  }

  /** One more record of the key; how many are kept is the space's. */
  append(key: string, bytes: Uint8Array, start: number, end: number): void {
    this.records++;
    this.add(APPEND, key, ANY, bytes, start, end);
  }

  /** Drops appended records of keys that begin with `prefix`, up to and with the sequence. */
  trim(prefix: string, upTo: number): void {
    this.add(TRIM, prefix, upTo, NONE, 0, 0);
  }

  /** What crosses to a worker. The batch is not used afterwards. */
  finish(): Buffer {
    return this.writer.take().bytes;
  }

  private add(change: Change, key: string, condition: number, bytes: Uint8Array, start: number, end: number): void {
    const { writer } = this;
    const at = writer.length;
    writer.ensure(HEAD);
    writer.length += HEAD;
    const keyLength = writer.utf8(key);
    writer.copy(bytes, start, end);
    const head = writer.bytes;
    head[at] = change;
    head.writeUInt32BE(keyLength, at + 1);
    head.writeDoubleBE(condition, at + 5);
    head.writeUInt32BE(end - start, at + 13);
    this.count++;
  }
}

const NONE = Buffer.alloc(0);

/** Visits the changes of a finished batch in order. */
export function readBatch(bytes: Buffer, visit: ChangeVisitor): void {
  let at = 0;
  while (at < bytes.length) {
    const change = bytes[at]! as Change;
    const keyLength = u32(bytes, at + 1);
    const condition = bytes.readDoubleBE(at + 5);
    const size = u32(bytes, at + 13);
    const key = bytes.toString('utf8', at + HEAD, at + HEAD + keyLength);
    const start = at + HEAD + keyLength;
    visit(change, key, condition, bytes, start, start + size);
    at = start + size;
  }
}

/** As {@link ChangeVisitor}, by offsets: the key is `[keyAt, keyEnd)` as UTF-8, the value `[keyEnd, end)`. */
export type OffsetVisitor = (change: Change, condition: number, keyAt: number, keyEnd: number, end: number) => void;

/** Visits the changes of a finished batch that stands in `[at, stop)`; for a store that needs no key as text. */
export function walkBatch(bytes: Buffer, at: number, stop: number, visit: OffsetVisitor): void {
  while (at < stop) {
    const keyAt = at + HEAD;
    const keyEnd = keyAt + u32(bytes, at + 1);
    const end = keyEnd + u32(bytes, at + 13);
    visit(bytes[at]! as Change, bytes.readDoubleBE(at + 5), keyAt, keyEnd, end);
    at = end;
  }
}
