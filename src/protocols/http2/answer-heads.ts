// Heads of answers: status, date, the server's name, the handler's fields. The one that was sent last is sent again as it
// was, where it is the same.
import { type Fields, NO_FIELDS } from '../../core/fields.ts';
import { checkFields, dateOf, FRAMING, writeHead } from '../http/answer-head.ts';
import type { Sender } from './sender.ts';

/** Heads that are kept, by their length; and the longest. */
const KEPT = 8;
const KEPT_BYTES = 512;

class Kept {
  status = 0;
  length = -2;
  second = -1;
  /** Of the table: what was ever added, and its bound. */
  added = -1;
  tableMax = -1;
  beside: Fields = NO_FIELDS;
  list: readonly string[] = [];
  readonly bytes = Buffer.allocUnsafeSlow(KEPT_BYTES);
  size = 0;
}

export class AnswerHeads {
  private readonly sender: Sender;
  private readonly kept: (Kept | null)[] = new Array(KEPT).fill(null);

  constructor(sender: Sender) {
    this.sender = sender;
  }

  /**
   * Writes the head of an answer. Throws a RangeError, before anything is written, for a field that cannot be sent.
   * @param length of the body, or -1
   */
  write(
    stream: number,
    status: number,
    fields: Fields,
    beside: Fields,
    length: number,
    wall: number,
    ends: boolean,
  ): void {
    const { sender } = this;
    const { out } = sender.pipe;
    const { table } = sender.headers;
    const now = Math.floor(wall / 1_000);
    const slot = (length + 1) & (KEPT - 1);
    const kept = this.kept[slot]!;
    if (kept !== null && kept.status === status && kept.length === length && kept.second === now) {
      if (kept.added === table.added && kept.tableMax === table.sizeMax && kept.beside === beside) {
        if (isSame(kept.list, fields.list)) {
          const at = sender.beginHead();
          out.copy(kept.bytes, 0, kept.size);
          sender.endHead(at, stream, ends);
          return;
        }
      }
    }
    checkFields(fields);
    if (beside !== NO_FIELDS) checkFields(beside);
    const { added } = table;
    const at = sender.beginHead();
    const from = out.length;
    writeHead(out, sender.headers, status, fields, beside, length, dateOf(wall));
    const size = out.length - from;
    if (table.added === added && size <= KEPT_BYTES) this.keep(slot, status, fields, beside, length, now, from, size);
    sender.endHead(at, stream, ends);
  }

  private keep(
    slot: number,
    status: number,
    fields: Fields,
    beside: Fields,
    length: number,
    now: number,
    from: number,
    size: number,
  ): void {
    const kept = (this.kept[slot] ??= new Kept());
    const { pipe, headers } = this.sender;
    kept.status = status;
    kept.length = length;
    kept.second = now;
    kept.added = headers.table.added;
    kept.tableMax = headers.table.sizeMax;
    kept.beside = beside;
    kept.list = fields.list.slice();
    kept.bytes.set(pipe.out.bytes.subarray(from, from + size));
    kept.size = size;
  }
}

function isSame(kept: readonly string[], list: readonly string[]): boolean {
  if (kept.length !== list.length) return false;
  for (let at = 0; at < list.length; at++) if (kept[at] !== list[at]) return false;
  return true;
}

/** Writes interim heads and heads of tunnels: a status and fields, and nothing of our own. */
export function writePlainHead(sender: Sender, stream: number, status: number, fields: Fields): void {
  checkFields(fields);
  const { out } = sender.pipe;
  const at = sender.beginHead();
  sender.headers.status(out, status);
  for (const [name, value] of fields) if (!FRAMING.has(name)) sender.headers.field(out, name, value);
  sender.endHead(at, stream, false);
}
