// Heads of answers and trailer sections, written in place. What is the same for a second is made once.
import { isAscii } from 'node:buffer';
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Fields } from '../../core/fields.ts';
import { isToken } from '../http/chars.ts';
import { PHRASES } from '../http/status.ts';
import { shownName } from './field-names.ts';

/** Fields that say how a message is framed: the exchange's own to write. */
const FRAMING = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'date',
  'server',
]);
/** Of those, what a handler may set itself. */
const OVERRIDES = new Set(['date', 'server']);

/** Fields that a trailer section must not have (RFC 9110 §6.5.1). */
const NOT_TRAILERS = new Set([
  ...FRAMING,
  'host',
  'content-type',
  'content-encoding',
  'content-range',
  'trailer',
  'te',
]);

const starts = new Map<number, { second: number; text: string }>();

/** `HTTP/1.1 200 OK`, the date and the server's name. @param wall milliseconds since 1970 */
export function startText(status: number, wall: number): string {
  const second = Math.floor(wall / 1_000);
  const cached = starts.get(status);
  if (cached !== undefined && cached.second === second) return cached.text;
  const line = statusText(status);
  const text = `${line}Date: ${new Date(second * 1_000).toUTCString()}\r\nServer: Portico\r\n`;
  // Statuses are three digits, so this has at most 900 entries.
  starts.set(status, { second, text });
  return text;
}

/** The status line alone, for interim answers. */
export function statusText(status: number): string {
  return `HTTP/1.1 ${status} ${PHRASES[status] ?? ''}\r\n`;
}

/** Fixed fields as they are written, where that is ASCII alone. */
const WRITTEN = new WeakMap<Fields, string>();

/**
 * Writes fields. A name or value that would break the message is a bug of the handler's and throws a RangeError before
 * anything of it is written.
 */
export function writeFields(out: ByteWriter, fields: Fields, trailers = false): void {
  if (fields.isFixed && !trailers) writeFixed(out, fields);
  else writeList(out, fields, trailers);
}

function writeFixed(out: ByteWriter, fields: Fields): void {
  const written = WRITTEN.get(fields);
  if (written !== undefined) {
    out.ascii(written);
    return;
  }
  const from = out.length;
  writeList(out, fields, false);
  const text = out.bytes.toString('latin1', from, out.length);
  if (isAscii(out.bytes.subarray(from, out.length))) WRITTEN.set(fields, text);
}

function writeList(out: ByteWriter, { list }: Fields, trailers: boolean): void {
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at]!;
    if (trailers ? NOT_TRAILERS.has(name) : FRAMING.has(name) && !OVERRIDES.has(name)) continue;
    writeField(out, name, list[at + 1]!);
  }
}

/** Writes those that are not among `fields`; what an answer varies by adds up. */
export function writeBeside(out: ByteWriter, beside: Fields, fields: Fields): void {
  for (const [name, value] of beside) if (name === 'vary' || !fields.has(name)) writeField(out, name, value);
}

export function writeField(out: ByteWriter, name: string, value: string): void {
  const kind = valueKind(value);
  if (kind === BROKEN || !isToken(name)) throw new RangeError(`the field ${JSON.stringify(name)} cannot be sent`);
  out.ascii(shownName(name));
  if (kind === ASCII) out.ascii(value);
  else out.utf8(value);
  out.u16(0x0d0a);
}

const ASCII = 0;
const WIDE = 1;
const BROKEN = 2;

/** A line end within a value would begin another field, or another answer. */
function valueKind(value: string): typeof ASCII | typeof WIDE | typeof BROKEN {
  let kind: typeof ASCII | typeof WIDE = ASCII;
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if ((code < 0x20 && code !== 9) || code === 0x7f) return BROKEN;
    if (code > 0x7f) kind = WIDE;
  }
  return kind;
}
