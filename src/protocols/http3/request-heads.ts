// Heads of requests by their field sections: a client says nearly the same each time, so that what was worked out for one is
// kept for the next that is alike.
import { BAD, MORE } from '../../bytes/reader.ts';
import { type RequestHead, RequestReader } from '../http/request-head.ts';
import { faults } from './faults.ts';
import type { FieldReader } from './qpack/field-reader.ts';

/** Sections up to this long are kept, and so many of them. */
const SECTION_BYTES = 128;
const SECTIONS = 32;

interface Kept {
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Of the table when it was read; a section that refers to nothing says the same for ever. */
  readonly added: number;
  readonly required: number;
  readonly head: RequestHead;
}

/** Heads of one connection. */
export class RequestHeads {
  /** Of the section that was read last: the entries that it needed. */
  required = 0;
  private readonly fields: FieldReader;
  private readonly reader = new RequestReader(faults);
  private readonly kept: (Kept | null)[] = [];

  constructor(fields: FieldReader) {
    this.fields = fields;
  }

  /** The head of a section, which is not to be changed; MORE when it has to wait for the table, BAD when it is none. */
  read(input: Uint8Array, start: number, end: number): RequestHead | typeof MORE | typeof BAD {
    const { fields } = this;
    const length = end - start;
    const slot = length > SECTION_BYTES ? -1 : slotOf(input, start, end);
    const kept = slot < 0 ? undefined : this.kept[slot];
    if (kept !== undefined && kept !== null && kept.length === length) {
      if ((kept.required === 0 || kept.added === fields.table.added) && isSame(kept.bytes, input, start, end)) {
        this.required = kept.required;
        return kept.head;
      }
    }
    const read = fields.read(input, start, end);
    this.required = fields.required;
    if (read === MORE) return MORE;
    if (read < 0) return BAD;
    const head = this.reader.read(fields);
    if (slot < 0) return head;
    if (this.kept.length === 0) for (let at = 0; at < SECTIONS; at++) this.kept.push(null);
    const bytes = Uint8Array.prototype.slice.call(input, start, end);
    this.kept[slot] = { bytes, length, added: fields.table.added, required: fields.required, head };
    return head;
  }
}

function slotOf(input: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + input[at]!) | 0;
  return (hash ^ (hash >>> 7)) & (SECTIONS - 1);
}

function isSame(kept: Uint8Array, input: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (kept[at - start] !== input[at]) return false;
  return true;
}
