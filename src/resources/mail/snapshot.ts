// The columns of a folder as they stood at some sequence, kept in the store in chunks by UID, so that a large folder is not
// read mail by mail. It only saves that reading: one whose parts do not fit together is not used.
import type { Batch } from '../../storage/batch.ts';
import type { Space } from '../../storage/engine.ts';
import { decoded, encoded, snapshotPrefix } from './records.ts';

export type Column = Uint32Array | Float64Array;

/** UIDs of one chunk. */
const CHUNK_BITS = 13;
/** So many chunks and what names them are one batch; a folder that is spread wider has no snapshot. */
const CHUNKS_MAX = 900;
/** Of columns in this machine's byte order: on another it reads as something else. */
const MARK = 0x4d43_0001;
/** mark u32 · messages u32 · as of f64 */
const HEAD = 16;

/** A chunk that is kept: when it was written, and messages in it. */
interface Kept {
  readonly asOf: number;
  readonly count: number;
}

interface HeadRecord {
  readonly asOf: number;
  readonly modseq: number;
  readonly keywords: readonly string[];
  readonly chunks: readonly (readonly [chunk: number, asOf: number, count: number])[];
}

/** What a snapshot is made of, and becomes again. The first column has the UIDs, in their order. */
export interface Snapped {
  readonly columns: readonly Column[];
  readonly count: number;
  readonly modseq: number;
  readonly keywords: readonly string[];
}

export interface Read extends HeadRecord {
  readonly count: number;
  /** Gives its columns to those of a folder, which have room for them. */
  into(columns: readonly Column[]): void;
}

export class Snapshot {
  /** All that was committed up to here is in it; 0 while there is none. */
  asOf = 0;
  private readonly folder: number;
  private readonly dirty = new Set<number>();
  private kept = new Map<number, Kept>();

  constructor(folder: number) {
    this.folder = folder;
  }

  /** The message with this UID came, went or changed. */
  changed(uid: number): void {
    this.dirty.add(uid >>> CHUNK_BITS);
  }

  /**
   * Puts what changed into a batch. Answers what is to be told whether that was done, before the next is written; null where
   * there are too many chunks.
   */
  write(batch: Batch, asOf: number, { columns, count, modseq, keywords }: Snapped): ((done: boolean) => void) | null {
    const kept = new Map<number, Kept>();
    const uids = columns[0]!;
    const written: [chunk: number, from: number, to: number][] = [];
    for (let from = 0; from < count; ) {
      const chunk = uids[from]! >>> CHUNK_BITS;
      const to = from + chunkLength(uids, from, count, chunk);
      const known = this.kept.get(chunk);
      if (known !== undefined && known.count === to - from && !this.dirty.has(chunk)) kept.set(chunk, known);
      else {
        kept.set(chunk, { asOf, count: to - from });
        written.push([chunk, from, to]);
      }
      from = to;
    }
    if (kept.size > CHUNKS_MAX) return null;
    const prefix = snapshotPrefix(this.folder);
    for (const [chunk, from, to] of written) {
      const bytes = chunkOf(columns, from, to, asOf);
      batch.put(`${prefix}${chunk}`, bytes, 0, bytes.length);
    }
    // A chunk that became empty stays where there is no room in the batch: nothing names it any more.
    for (const chunk of this.kept.keys())
      if (!kept.has(chunk) && batch.count < CHUNKS_MAX) batch.remove(`${prefix}${chunk}`);
    const chunks = [...kept].map(([chunk, mark]) => [chunk, mark.asOf, mark.count] as const);
    const head = encoded({ asOf, modseq, keywords, chunks } satisfies HeadRecord);
    batch.put(`${prefix}h`, head, 0, head.length);
    const dirty = [...this.dirty];
    this.dirty.clear();
    return (done) => {
      if (done) {
        this.kept = kept;
        this.asOf = asOf;
      } else for (const chunk of dirty) this.dirty.add(chunk);
    };
  }

  /** Null for none that can be used. Rejects when the store cannot be read. */
  async read(space: Space): Promise<Read | null> {
    const prefix = snapshotPrefix(this.folder);
    let head: HeadRecord | null = null;
    const found = new Map<string, Uint8Array>();
    await space.scan(prefix, 0, ({ key, bytes }) => {
      if (key === `${prefix}h`) head = decoded<HeadRecord>(bytes);
      else found.set(key.slice(prefix.length), bytes);
      return true;
    });
    if (head === null) return null;
    const { chunks, ...rest } = head as HeadRecord;
    const parts: Uint8Array[] = [];
    let count = 0;
    for (const [chunk, asOf, size] of chunks) {
      const part = found.get(String(chunk));
      // It may have been written anew between two slices of the scan.
      if (part === undefined || !isChunk(part, asOf, size)) return null;
      parts.push(part);
      count += size;
    }
    return { ...rest, chunks, count, into: (columns) => give(parts, columns) };
  }

  /** What was read is used: what is written next builds on it. */
  use({ asOf, chunks }: Read): void {
    this.asOf = asOf;
    this.kept = new Map(chunks.map(([chunk, at, count]) => [chunk, { asOf: at, count }]));
  }
}

function chunkLength(uids: Column, from: number, count: number, chunk: number): number {
  let [low, high] = [from, count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (uids[middle]! >>> CHUNK_BITS === chunk) low = middle + 1;
    else high = middle;
  }
  return low - from;
}

function bytesOf(column: Column, from: number, to: number): Uint8Array {
  const size = column.BYTES_PER_ELEMENT;
  return new Uint8Array(column.buffer, column.byteOffset + from * size, (to - from) * size);
}

function chunkOf(columns: readonly Column[], from: number, to: number, asOf: number): Buffer {
  const width = columns.reduce((sum, column) => sum + column.BYTES_PER_ELEMENT, 0);
  const bytes = Buffer.allocUnsafe(HEAD + width * (to - from));
  bytes.set(bytesOf(Uint32Array.of(MARK, to - from), 0, 2));
  bytes.set(bytesOf(Float64Array.of(asOf), 0, 1), 8);
  let at = HEAD;
  for (const column of columns) {
    const part = bytesOf(column, from, to);
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function isChunk(bytes: Uint8Array, asOf: number, count: number): boolean {
  if (bytes.length < HEAD) return false;
  const head = Uint8Array.from(bytes.subarray(0, HEAD)).buffer;
  const [mark, size] = new Uint32Array(head, 0, 2);
  return mark === MARK && size === count && new Float64Array(head, 8, 1)[0] === asOf;
}

function give(parts: readonly Uint8Array[], columns: readonly Column[]): void {
  let to = 0;
  for (const part of parts) {
    const count = new Uint32Array(Uint8Array.from(part.subarray(4, 8)).buffer)[0]!;
    let at = HEAD;
    for (const column of columns) {
      const size = count * column.BYTES_PER_ELEMENT;
      bytesOf(column, to, to + count).set(part.subarray(at, at + size));
      at += size;
    }
    to += count;
  }
}
