// Heads of requests by their header blocks: a client says nearly the same each time, so that what was worked out for one is
// kept for the next that is alike.
import { type RequestHead, RequestReader } from '../http/request-head.ts';
import { faults } from './faults.ts';
import type { HeaderReader } from './header-reader.ts';

/** Blocks up to this long are kept, and so many of them. */
const BLOCK_BYTES = 128;
const BLOCKS = 32;

/** A header block that was read, and what it said while the table was as it is. */
interface Kept {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly added: number;
  readonly tableMax: number;
  readonly head: RequestHead;
}

/** Heads of one connection, by their header blocks. */
export class RequestHeads {
  private readonly headers: HeaderReader;
  private readonly reader = new RequestReader(faults);
  private readonly kept: (Kept | null)[] = [];

  constructor(headers: HeaderReader) {
    this.headers = headers;
  }

  /** The head of a block; null when the table cannot be trusted any more. It is not to be changed. */
  read(input: Uint8Array, start: number, end: number): RequestHead | null {
    const { headers } = this;
    const { table } = headers;
    const length = end - start;
    if (length > BLOCK_BYTES) return headers.read(input, start, end) < 0 ? null : this.reader.read(headers);
    const slot = slotOf(input, start, end);
    const kept = this.kept[slot];
    if (kept !== undefined && kept !== null && kept.length === length) {
      if (kept.added === table.added && kept.tableMax === table.sizeMax && isSame(kept.bytes, input, start, end))
        return kept.head;
    }
    const { added, sizeMax } = table;
    if (headers.read(input, start, end) < 0) return null;
    const head = this.reader.read(headers);
    // A block that changes the table says something else the next time.
    if (table.added !== added || table.sizeMax !== sizeMax) return head;
    if (this.kept.length === 0) for (let at = 0; at < BLOCKS; at++) this.kept.push(null);
    const bytes = Uint8Array.prototype.slice.call(input, start, end);
    this.kept[slot] = { bytes, length, added, tableMax: sizeMax, head };
    return head;
  }
}

function slotOf(input: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + input[at]!) | 0;
  return (hash ^ (hash >>> 7)) & (BLOCKS - 1);
}

function isSame(kept: Uint8Array, input: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (kept[at - start] !== input[at]) return false;
  return true;
}
