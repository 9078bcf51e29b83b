// Heads of answers: status, date, the server's name, the handler's fields. The one that was sent last is sent again as it
// was, where it is the same.
import type { ByteWriter } from '../../bytes/writer.ts';
import { Fields, NO_FIELDS } from '../../core/fields.ts';
import { isToken } from '../http/chars.ts';
import type { HeaderWriter } from './header-writer.ts';
import type { Sender } from './sender.ts';

/** Fields about the framing, which is the stream's own (RFC 9113 §8.2.2). */
const FRAMING = new Set('connection proxy-connection keep-alive transfer-encoding upgrade content-length'.split(' '));

/** Fields that trailers must not have (RFC 9110 §6.5.1). */
const NOT_TRAILERS = new Set([
  ...FRAMING,
  ...['date', 'server', 'host', 'content-type', 'content-encoding', 'content-range', 'trailer', 'te'],
]);

const SERVER = 'Portico';

/** Heads that are kept, by their length; and the longest. */
const KEPT = 8;
const KEPT_BYTES = 512;

let second = -1;
let date = '';

/** The date as HTTP says it. @param wall milliseconds since 1970 */
function dateOf(wall: number): string {
  const now = Math.floor(wall / 1_000);
  if (now !== second) {
    second = now;
    date = new Date(now * 1_000).toUTCString();
  }
  return date;
}

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

function writeHead(
  out: ByteWriter,
  headers: HeaderWriter,
  status: number,
  fields: Fields,
  beside: Fields,
  length: number,
  today: string,
): void {
  headers.status(out, status);
  let hasDate = false;
  let hasServer = false;
  const { list } = fields;
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at]!;
    if (name === 'date') hasDate = true;
    else if (name === 'server') hasServer = true;
  }
  if (!hasDate) headers.field(out, 'date', today);
  if (!hasServer) headers.field(out, 'server', SERVER);
  for (let at = 0; at < list.length; at += 2) if (!FRAMING.has(list[at]!)) headers.field(out, list[at]!, list[at + 1]!);
  if (length >= 0) headers.field(out, 'content-length', String(length));
  if (beside === NO_FIELDS) return;
  // What an answer varies by adds up.
  for (const [name, value] of beside) if (name === 'vary' || !fields.has(name)) headers.field(out, name, value);
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

/** What of trailers may be sent (RFC 9110 §6.5.1); null for nothing. */
export function trailersOf(fields: Fields): Fields | null {
  checkFields(fields);
  const made = new Fields();
  for (const [name, value] of fields) if (!NOT_TRAILERS.has(name)) made.append(name, value);
  return made.list.length > 0 ? made : null;
}

/** A name or value that would break the message is a bug of the handler's. */
export function checkFields({ list }: Fields): void {
  for (let at = 0; at < list.length; at += 2)
    if (!isToken(list[at]!) || !isValue(list[at + 1]!))
      throw new RangeError(`the field ${JSON.stringify(list[at])} cannot be sent`);
}

function isValue(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if ((code < 0x20 && code !== 9) || code === 0x7f) return false;
  }
  return true;
}
