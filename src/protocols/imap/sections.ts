// Cuts what a section names out of a message (RFC 9051 §6.4.5.1): stretches of its bytes, none of them copied.
import { HeaderReader } from '../../formats/mime/header.ts';
import { type Part, partAt } from '../../formats/mime/structure.ts';
import type { Section } from './items.ts';

/** Stretches `[start, stop)` of a message, one behind the other; `closes`: an empty line follows them. */
export interface Cut {
  readonly stretches: readonly number[];
  readonly closes: boolean;
  readonly size: number;
}

const NOTHING: Cut = { stretches: [], closes: false, size: 0 };

function cut(start: number, stop: number): Cut {
  return stop > start ? { stretches: [start, stop], closes: false, size: stop - start } : NOTHING;
}

/** Where the body of the message in `bytes[start..stop)` begins. */
export function bodyStart(bytes: Uint8Array, start: number, stop: number): number {
  const reader = new HeaderReader(bytes, start, stop);
  while (reader.next());
  return reader.body;
}

/** Of the message itself, where its header alone may be there. Null for sections of parts. */
export function cutTop(bytes: Buffer, { numbers, what, fields }: Section): Cut | null {
  if (numbers.length > 0) return null;
  if (what === '') return cut(0, bytes.length);
  if (what === 'TEXT') return cut(bodyStart(bytes, 0, bytes.length), bytes.length);
  const body = bodyStart(bytes, 0, bytes.length);
  return what === 'HEADER' ? cut(0, body) : cutFields(bytes, 0, body, fields, what === 'NOT');
}

/** Of a part; null where there is none. */
export function cutPart(bytes: Buffer, root: Part, { numbers, what, fields }: Section): Cut | null {
  const part = partAt(root, numbers);
  if (part === null) return null;
  if (what === '') return cut(part.body, part.end);
  if (what === 'MIME') return cut(part.start, part.body);
  const { message } = part;
  if (message === null) return null;
  if (what === 'TEXT') return cut(message.body, message.end);
  if (what === 'HEADER') return cut(message.start, message.body);
  return cutFields(bytes, message.start, message.body, fields, what === 'NOT');
}

/** Fields by name, as they stand, and the empty line. */
function cutFields(bytes: Buffer, start: number, stop: number, fields: ReadonlySet<string>, others: boolean): Cut {
  const stretches: number[] = [];
  let size = 2;
  const reader = new HeaderReader(bytes, start, stop);
  while (reader.next()) {
    if (fields.has(reader.name) === others) continue;
    if (stretches.at(-1) === reader.start) stretches[stretches.length - 1] = reader.end;
    else stretches.push(reader.start, reader.end);
    size += reader.end - reader.start;
  }
  return { stretches, closes: true, size };
}

/** The part of a cut from an offset on, so many bytes at most. */
export function cutPartial(whole: Cut, [offset, count]: readonly [number, number]): Cut {
  const stop = Math.min(whole.size, offset + count);
  if (offset >= stop) return NOTHING;
  if (whole.closes && stop > whole.size - 2 && (offset > 0 || stop < whole.size)) return { ...whole, size: -1 };
  const stretches: number[] = [];
  let at = 0;
  for (let index = 0; index < whole.stretches.length && at < stop; index += 2) {
    const [from, to] = [whole.stretches[index]!, whole.stretches[index + 1]!];
    const first = Math.max(from, from + offset - at);
    const last = Math.min(to, from + stop - at);
    if (first < last) stretches.push(first, last);
    at += to - from;
  }
  return { stretches, closes: whole.closes && stop === whole.size, size: stop - offset };
}

/** All that a cut is, copied. */
export function bytesOf(bytes: Buffer, { stretches, closes }: Cut): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < stretches.length; at += 2) pieces.push(bytes.subarray(stretches[at]!, stretches[at + 1]!));
  if (closes) pieces.push(Buffer.from('\r\n'));
  return Buffer.concat(pieces);
}
