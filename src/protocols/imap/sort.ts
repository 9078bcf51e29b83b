// SORT and THREAD (RFC 5256): the base subject, what messages are sorted by, and threads by subject and by references.
import { flatAddresses, readAddresses } from '../../formats/mime/addresses.ts';
import { decodeWords } from '../../formats/mime/words.ts';
import type { CommandReader } from './codec.ts';
import type { Candidate } from './match.ts';

const SP = 0x20;

export type Criterion = 'ARRIVAL' | 'CC' | 'DATE' | 'FROM' | 'SIZE' | 'SUBJECT' | 'TO';
const CRITERIA: ReadonlySet<string> = new Set(['ARRIVAL', 'CC', 'DATE', 'FROM', 'SIZE', 'SUBJECT', 'TO']);

export interface SortBy {
  readonly by: Criterion;
  readonly reverse: boolean;
}

/** `(REVERSE DATE SUBJECT)` */
export function readCriteria(said: CommandReader): SortBy[] {
  const found: SortBy[] = [];
  said.needs(0x28);
  do {
    let word = said.word();
    const reverse = word === 'REVERSE';
    if (reverse) {
      said.space();
      word = said.word();
    }
    if (!CRITERIA.has(word)) said.bad('SORT does not know this criterion.');
    if (found.length < 20) found.push({ by: word as Criterion, reverse });
  } while (said.ok && said.takes(SP));
  said.needs(0x29);
  return found;
}

/** Whether headers have to be read. */
export function readsHeaders(criteria: readonly SortBy[]): boolean {
  return criteria.some(({ by }) => by !== 'ARRIVAL' && by !== 'SIZE');
}

export interface Sorted {
  readonly place: number;
  readonly keys: readonly (string | number)[];
}

export function sortedOf(one: Candidate, criteria: readonly SortBy[]): Sorted {
  return { place: one.place, keys: criteria.map(({ by }) => keyOf(one, by)) };
}

function keyOf(one: Candidate, by: Criterion): string | number {
  const { folder } = one.view;
  switch (by) {
    case 'ARRIVAL':
      return folder.dateAt(one.at);
    case 'SIZE':
      return folder.sizeAt(one.at);
    case 'DATE':
      return sentDate(one);
    case 'SUBJECT':
      return baseSubject(one.field('subject') ?? '').base;
    default: {
      // The local part of the first (RFC 5256 §3).
      const first = flatAddresses(readAddresses(one.field(by.toLowerCase()) ?? ''))[0];
      return first === undefined ? '' : first.local.toLowerCase();
    }
  }
}

/** When it says it was sent; when it came, where it does not (RFC 5256 §2.2). */
export function sentDate(one: Candidate): number {
  const text = one.field('date');
  const ms = text === null ? Number.NaN : Date.parse(text.replace(/\([^)]*\)/g, ''));
  return Number.isNaN(ms) ? one.view.folder.dateAt(one.at) : ms;
}

export function sorted(all: Sorted[], criteria: readonly SortBy[]): Sorted[] {
  return all.sort((one, other) => {
    for (let at = 0; at < criteria.length; at++) {
      const [a, b] = [one.keys[at]!, other.keys[at]!];
      if (a !== b) return a < b === criteria[at]!.reverse ? 1 : -1;
    }
    return one.place - other.place;
  });
}

/** RFC 5256 §2.1: the subject without what replies and forwards put around it. */
export function baseSubject(value: string): { readonly base: string; readonly isReply: boolean } {
  let text = decodeWords(value).replace(/[\s]+/g, ' ').trim();
  let isReply = false;
  for (let rounds = 0; rounds < 100; rounds++) {
    const before = text;
    const trailed = text.replace(/(?:\s*\(fwd\)|\s+)+$/i, '');
    if (/\(fwd\)\s*$/i.test(text)) isReply = true;
    text = trailed;
    const led = /^(?:\s+|(?:\[[^[\]]*\]\s*)*(?:re|fwd?)\s*(?:\[[^[\]]*\]\s*)?:)/i.exec(text);
    if (led !== null) {
      isReply ||= led[0].trim() !== '';
      text = text.slice(led[0].length);
    }
    // A blob in front goes unless nothing would be left.
    const blob = /^\[[^[\]]*\]\s*/.exec(text);
    if (blob !== null && text.length > blob[0].length) text = text.slice(blob[0].length);
    const forwarded = /^\[fwd:(.*)\]$/i.exec(text);
    if (forwarded !== null) {
      isReply = true;
      text = forwarded[1]!;
    }
    if (text === before) break;
  }
  return { base: text.trim().toLowerCase(), isReply };
}
