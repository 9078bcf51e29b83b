// What heads and trailers of answers have in them on HTTP/2 and on HTTP/3, however the fields are compressed.
import type { ByteWriter } from '../../bytes/writer.ts';
import { Fields, NO_FIELDS } from '../../core/fields.ts';
import { isToken } from './chars.ts';

/** Fields about the framing, which is the stream's own (RFC 9113 §8.2.2). */
export const FRAMING = new Set(
  'connection proxy-connection keep-alive transfer-encoding upgrade content-length'.split(' '),
);

/** Fields that trailers must not have (RFC 9110 §6.5.1). */
const NOT_TRAILERS = new Set([
  ...FRAMING,
  ...['date', 'server', 'host', 'content-type', 'content-encoding', 'content-range', 'trailer', 'te'],
]);

const SERVER = 'Portico';

let second = -1;
let date = '';

/** The date as HTTP says it. @param wall milliseconds since 1970 */
export function dateOf(wall: number): string {
  const now = Math.floor(wall / 1_000);
  if (now !== second) {
    second = now;
    date = new Date(now * 1_000).toUTCString();
  }
  return date;
}

/** Writes a status and fields, one after the other. */
export interface HeadWriter {
  status(out: ByteWriter, status: number): void;
  field(out: ByteWriter, name: string, value: string): void;
}

/** @param length of the body, or -1 */
export function writeHead(
  out: ByteWriter,
  headers: HeadWriter,
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
