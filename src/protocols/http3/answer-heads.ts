// Heads of answers as HEADERS frames. The one that was sent last is sent again as it was, where it is the same.
import { type Fields, NO_FIELDS } from '../../core/fields.ts';
import type { Pipe } from '../../core/pipe.ts';
import { checkFields, dateOf, FRAMING, writeHead } from '../http/answer-head.ts';
import { HEADERS, writeFrameHead } from './codec.ts';
import type { FieldWriter } from './qpack/field-writer.ts';

/** Heads that are kept, by their length; and the longest. */
const KEPT = 8;
const KEPT_BYTES = 512;

class Kept {
  status = 0;
  length = -2;
  second = -1;
  /** Of the table: what was ever added, and what the peer is known to have of it. */
  added = -1;
  received = -1;
  required = 0;
  least = 0;
  beside: Fields = NO_FIELDS;
  list: readonly string[] = [];
  readonly bytes = Buffer.allocUnsafeSlow(KEPT_BYTES);
  size = 0;
}

export class AnswerHeads {
  private readonly writer: FieldWriter;
  private readonly kept: (Kept | null)[] = new Array(KEPT).fill(null);

  constructor(writer: FieldWriter) {
    this.writer = writer;
  }

  /**
   * Writes the head of an answer. Throws a RangeError, before anything is written, for a field that cannot be sent.
   * @param length of the body, or -1
   */
  write(
    pipe: Pipe,
    stream: number,
    status: number,
    fields: Fields,
    beside: Fields,
    length: number,
    wall: number,
  ): void {
    const { writer } = this;
    const { out } = pipe;
    const now = Math.floor(wall / 1_000);
    const slot = (length + 1) & (KEPT - 1);
    const kept = this.kept[slot]!;
    if (kept !== null && kept.status === status && kept.length === length && kept.second === now) {
      if (kept.added === writer.table.added && kept.received === writer.received && kept.beside === beside) {
        if (isSame(kept.list, fields.list)) {
          out.copy(kept.bytes, 0, kept.size);
          writer.sent(stream, kept.required, kept.least);
          return;
        }
      }
    }
    checkFields(fields);
    if (beside !== NO_FIELDS) checkFields(beside);
    writeHead(writer.begin(), writer, status, fields, beside, length, dateOf(wall));
    const from = out.length;
    writeSection(pipe, stream, writer);
    const size = out.length - from;
    // One that waits for the table is written better once the table is there.
    if (size > KEPT_BYTES || writer.required > writer.received) return;
    const made = (this.kept[slot] ??= new Kept());
    made.status = status;
    made.length = length;
    made.second = now;
    made.added = writer.table.added;
    made.received = writer.received;
    made.required = writer.required;
    made.least = writer.least;
    made.beside = beside;
    made.list = fields.list.slice();
    made.bytes.set(out.bytes.subarray(from, from + size));
    made.size = size;
  }
}

function isSame(kept: readonly string[], list: readonly string[]): boolean {
  if (kept.length !== list.length) return false;
  for (let at = 0; at < list.length; at++) if (kept[at] !== list[at]) return false;
  return true;
}

/** Sends the lines that were written since `begin` as a HEADERS frame. */
export function writeSection(pipe: Pipe, stream: number, writer: FieldWriter): void {
  const { out } = pipe;
  writeFrameHead(out, HEADERS, writer.end());
  writer.copyTo(out);
  writer.sent(stream, writer.required, writer.least);
}

/** Writes interim heads and heads of tunnels: a status and fields, and nothing of our own. */
export function writePlainHead(pipe: Pipe, stream: number, writer: FieldWriter, status: number, fields: Fields): void {
  checkFields(fields);
  const lines = writer.begin();
  writer.status(lines, status);
  for (const [name, value] of fields) if (!FRAMING.has(name)) writer.field(lines, name, value);
  writeSection(pipe, stream, writer);
}

/** Writes fields alone: trailers. */
export function writeTrailers(pipe: Pipe, stream: number, writer: FieldWriter, fields: Fields): void {
  const lines = writer.begin();
  for (const [name, value] of fields) writer.field(lines, name, value);
  writeSection(pipe, stream, writer);
}
