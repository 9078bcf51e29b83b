// Byte ranges of a representation (RFC 9110 §14): which are asked for, and how several travel in one answer
// (`multipart/byteranges`, §14.6). It knows no bytes but those between the parts.
import type { Entropy } from '../../core/time.ts';

/** `[start..end)`, unlike on the wire, where the last byte is named. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** More ranges than this are not answered as such, but with the whole (RFC 9110 §14.2, §17.15). */
const RANGES_MAX = 16;
/** Ranges that lie this close together cost less as one. */
const GAP = 256;

/** No range could be satisfied (RFC 9110 §15.5.17). */
export const UNSATISFIABLE = 'unsatisfiable';

/**
 * The ranges that Range asks for, for a representation of `length` bytes: null when the field does not count and the
 * whole is answered, because it is no range of bytes, malformed, or asks for more than is reasonable.
 */
export function parseRanges(text: string, length: number): ByteRange[] | typeof UNSATISFIABLE | null {
  const found = /^bytes[ \t]*=(.*)$/is.exec(text);
  if (found === null) return null;
  const ranges: ByteRange[] = [];
  let some = false;
  // One past the bound tells that it was passed.
  const members = found[1]!.split(',', RANGES_MAX * 2 + 1);
  if (members.length > RANGES_MAX * 2) return null;
  for (const member of members) {
    const spec = member.trim();
    if (spec === '') continue;
    const dash = spec.indexOf('-');
    const first = spec.slice(0, dash);
    const last = spec.slice(dash + 1);
    if (dash < 0 || !/^\d*$/.test(first) || !/^\d*$/.test(last) || (first === '' && last === '')) return null;
    some = true;
    if (first !== '' && last !== '' && Number(last) < Number(first)) return null;
    // `-500`: the last 500.
    const start = first === '' ? Math.max(0, length - Number(last)) : Number(first);
    const end = first === '' || last === '' ? length : Math.min(length, Number(last) + 1);
    if (start < end) ranges.push({ start, end });
  }
  if (!some) return null;
  if (ranges.length === 0) return UNSATISFIABLE;
  return ranges.length > RANGES_MAX ? null : coalesced(ranges);
}

/**
 * Ranges that overlap or all but touch become one (§15.3.7.2); the order stays that of the request, where the first of
 * those joined stood. So what is sent is never more than the whole and a gap for each.
 */
function coalesced(ranges: readonly ByteRange[]): ByteRange[] {
  const order = ranges.map((range, index) => ({ range, index })).sort((a, b) => a.range.start - b.range.start);
  const joined: { start: number; end: number; index: number }[] = [];
  for (const { range, index } of order) {
    const last = joined.at(-1);
    if (last !== undefined && range.start <= last.end + GAP) {
      last.end = Math.max(last.end, range.end);
      last.index = Math.min(last.index, index);
    } else joined.push({ ...range, index });
  }
  return joined.sort((a, b) => a.index - b.index).map(({ start, end }) => ({ start, end }));
}

/** Content-Range of one part (RFC 9110 §14.4). */
export function contentRange({ start, end }: ByteRange, length: number): string {
  return `bytes ${start}-${end - 1}/${length}`;
}

/** Content-Range of an answer 416. */
export function unsatisfiedRange(length: number): string {
  return `bytes */${length}`;
}

/** The bytes between the parts of an answer with several ranges. */
export interface Parts {
  /** The answer's Content-Type. */
  readonly type: string;
  /** What stands before each range, in order, and after the last. */
  readonly before: readonly Buffer[];
  readonly after: Buffer;
  /** Of the whole body. */
  readonly length: number;
}

const boundaryBytes = new Uint8Array(16);

/** @param type the representation's own Content-Type */
export function multipart(ranges: readonly ByteRange[], type: string, length: number, entropy: Entropy): Parts {
  entropy.fill(boundaryBytes);
  const boundary = Buffer.from(boundaryBytes).toString('hex');
  const before = ranges.map((range, index) =>
    Buffer.from(
      `${index === 0 ? '' : '\r\n'}--${boundary}\r\n` +
        `Content-Type: ${type}\r\nContent-Range: ${contentRange(range, length)}\r\n\r\n`,
    ),
  );
  const after = Buffer.from(`\r\n--${boundary}--\r\n`);
  let total = after.length;
  for (const part of before) total += part.length;
  for (const { start, end } of ranges) total += end - start;
  return { type: `multipart/byteranges; boundary=${boundary}`, before, after, length: total };
}
