// Conditional requests (RFC 9110 §13): whether a method is applied, by what the client knows of the representation. It
// knows no representation beyond its validators.
import type { Fields } from '../../core/fields.ts';
import { parseDate } from './dates.ts';

/** What tells one state of a representation from another (RFC 9110 §8.8). */
export interface Validators {
  /** As it is sent, with its quotes: `"a"` or `W/"a"`. Null for none. */
  readonly etag: string | null;
  /** Milliseconds since 1970. Null for none. */
  readonly lastModified: number | null;
}

/** An entity tag: `"`, etagc, `"`, perhaps with `W/` before (RFC 9110 §8.8.3). */
const ETAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\uffff]*"/y;
const BETWEEN = /[ \t]*(?:,[ \t]*)+/y;

/** The entity tags of If-Match and If-None-Match; null when the field holds something else. */
export function parseEtags(list: string): string[] | null {
  const tags: string[] = [];
  // Empty members are left out (RFC 9110 §5.6.1.2).
  let at = /^[ \t,]*/.exec(list)![0].length;
  while (at < list.length) {
    ETAG.lastIndex = at;
    const tag = ETAG.exec(list)?.[0];
    if (tag === undefined) return null;
    tags.push(tag);
    at += tag.length;
    if (at === list.length) break;
    BETWEEN.lastIndex = at;
    const between = BETWEEN.exec(list)?.[0];
    if (between === undefined) return /^[ \t]*$/.test(list.slice(at)) ? tags : null;
    at += between.length;
  }
  return tags;
}

/** Strong comparison: the same, and neither is weak (RFC 9110 §8.8.3.2). */
export function isSameStrongly(a: string, b: string): boolean {
  return a === b && !a.startsWith('W/');
}

/** Weak comparison: the same but for `W/` (RFC 9110 §8.8.3.2). */
export function isSameWeakly(a: string, b: string): boolean {
  return opaque(a) === opaque(b);
}

function opaque(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag;
}

/** Whether `list`, of If-Match or If-None-Match, is `*` or holds a tag that is the same as the current one. */
function matches(list: string, current: Validators | null, same: (a: string, b: string) => boolean): boolean {
  if (list.trim() === '*') return current !== null;
  const etag = current?.etag ?? null;
  if (etag === null) return false;
  return parseEtags(list)?.some((tag) => same(tag, etag)) === true;
}

/** What a coded representation's tag has at its end. */
const CODED = /-(?:gzip|br|zstd)(?=")/g;

/** Who changes something names the state that was seen, in whichever coding it was seen. */
function uncoded(list: string): string {
  return list.includes('-') ? `${list}, ${list.replace(CODED, '')}` : list;
}

/** Seconds: fields tell no more (RFC 9110 §5.6.7). */
function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}

/**
 * Whether the conditions of a request hold, in the order of RFC 9110 §13.2.2: 0 when the method is to be applied, else
 * the status of the answer. @param current null when there is nothing at the target; @param wall now
 */
export function evaluate(method: string, fields: Fields, current: Validators | null, wall: number): 0 | 304 | 412 {
  // §13.2.1: methods that neither select nor change a representation have no conditions.
  if (method === 'CONNECT' || method === 'OPTIONS' || method === 'TRACE') return 0;
  const modified = current?.lastModified ?? null;
  const reads = method === 'GET' || method === 'HEAD';
  let ifMatch = fields.joined('if-match');
  if (ifMatch !== null) {
    if (!reads) ifMatch = uncoded(ifMatch);
    if (!matches(ifMatch, current, isSameStrongly)) return 412;
  } else if (modified !== null) {
    // A date that is none does not count (§13.1.4).
    const since = parseDate(fields.get('if-unmodified-since') ?? '', wall);
    if (seconds(modified) > seconds(since)) return 412;
  }
  const ifNoneMatch = fields.joined('if-none-match');
  if (ifNoneMatch !== null) {
    if (matches(ifNoneMatch, current, isSameWeakly)) return reads ? 304 : 412;
  } else if (reads && modified !== null) {
    const since = parseDate(fields.get('if-modified-since') ?? '', wall);
    if (seconds(modified) <= seconds(since)) return 304;
  }
  return 0;
}

/**
 * Whether Range counts: without If-Range always, else when it names the current representation, by strong comparison or
 * by the very date (RFC 9110 §13.1.5).
 */
export function isRangeCurrent(fields: Fields, current: Validators, wall: number): boolean {
  const text = fields.get('if-range')?.trim();
  if (text === undefined) return true;
  if (text.endsWith('"')) return current.etag !== null && isSameStrongly(text, current.etag);
  const { lastModified } = current;
  if (lastModified === null) return false;
  // A date within the last minute tells no two changes of one second apart: it is weak (RFC 9110 §8.8.2.2).
  if (wall - lastModified < 60_000) return false;
  return seconds(parseDate(text, wall)) === seconds(lastModified);
}
