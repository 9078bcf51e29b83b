// Whether a message is what SEARCH looks for: by the index where that tells, else by its header or all of it, which whoever asks
// then reads.

import { decodeText } from '../../formats/mime/charsets.ts';
import { HeaderReader } from '../../formats/mime/header.ts';
import { type Part, readStructure } from '../../formats/mime/structure.ts';
import { decodeTransfer, transferOf } from '../../formats/mime/transfer.ts';
import { decodeWords } from '../../formats/mime/words.ts';
import { dayOf } from './codec.ts';
import { HEADER, LISTED, type Need, WHOLE } from './items.ts';
import type { SearchKey } from './keys.ts';
import { has, NO_PLACES, type Places } from './sets.ts';
import type { View } from './view.ts';

const DAY_MS = 86_400_000;

/** It matches, it does not, or more of it has to be read. */
export const NO = 0;
export const YES = 1;
export const NEEDS_LISTED = 2;
export const NEEDS_HEADER = 3;
export const NEEDS_WHOLE = 4;
export type Verdict = typeof NO | typeof YES | typeof NEEDS_LISTED | typeof NEEDS_HEADER | typeof NEEDS_WHOLE;

/** What is to be read for a verdict that has to wait. */
export function needFor(is: Verdict): Need {
  return is === NEEDS_WHOLE ? WHOLE : is === NEEDS_HEADER ? HEADER : LISTED;
}

/** Keys with their sets found in a mailbox. */
export type FoundKey =
  | Exclude<SearchKey, { readonly key: 'and' | 'or' | 'not' | 'numbers' | 'uids' | 'saved' | 'keyword' }>
  | { readonly key: 'and'; readonly of: readonly FoundKey[] }
  | { readonly key: 'or'; readonly one: FoundKey; readonly other: FoundKey }
  | { readonly key: 'not'; readonly of: FoundKey }
  | { readonly key: 'places'; readonly places: Places };

/** Finds the sets and keywords of a search in a mailbox. */
export function found(key: SearchKey, view: View): FoundKey {
  switch (key.key) {
    case 'and':
      return { key: 'and', of: key.of.map((each) => found(each, view)) };
    case 'or':
      return { key: 'or', one: found(key.one, view), other: found(key.other, view) };
    case 'not':
      return { key: 'not', of: found(key.of, view) };
    case 'numbers':
      return { key: 'places', places: view.byNumbers(key.set) ?? NO_PLACES };
    case 'uids':
      return { key: 'places', places: view.byUids(key.set) };
    case 'saved':
      return { key: 'places', places: view.bySaved() };
    case 'keyword': {
      const at = view.folder.keywords.findIndex((word) => word.toLowerCase() === key.word);
      return at < 0 ? { key: 'not', of: { key: 'all' } } : { key: 'flag', bit: 2 ** (at + 5) };
    }
    default:
      return key;
  }
}

/** Places beyond which nothing can match. */
export function placesOf(key: FoundKey): Places | null {
  if (key.key === 'places') return key.places;
  if (key.key !== 'and') return null;
  for (const each of key.of) {
    const places = placesOf(each);
    if (places !== null) return places;
  }
  return null;
}

/** A message that is looked at. */
export class Candidate {
  readonly view: View;
  readonly place: number;
  readonly at: number;
  readonly uid: number;
  /** As much of it as was read. */
  readonly bytes: Buffer | null;
  readonly loaded: Need;
  private texts: { readonly header: string; readonly body: string } | null = null;

  constructor(view: View, place: number, at: number, bytes: Buffer | null, loaded: Need) {
    this.view = view;
    this.place = place;
    this.at = at;
    this.uid = view.uids[place]!;
    this.bytes = bytes;
    this.loaded = loaded;
  }

  /** The values of a field, decoded, in lower case. */
  hasField(field: string, text: string): boolean {
    const reader = new HeaderReader(this.bytes!, 0, this.bytes!.length);
    while (reader.next()) if (reader.is(field) && decodeWords(reader.value).toLowerCase().includes(text)) return true;
    return false;
  }

  field(name: string): string | null {
    const reader = new HeaderReader(this.bytes!, 0, this.bytes!.length);
    while (reader.next()) if (reader.is(name)) return reader.value;
    return null;
  }

  /** The day of the Date field, as it is written there; NaN for none. */
  get sentDay(): number {
    const parts = /(\d{1,2})\s+([A-Za-z]{3})[a-z]*\s+(\d{4})/.exec(this.field('date') ?? '');
    return parts === null ? Number.NaN : dayOf(parts[1]!, parts[2]!, parts[3]!) / DAY_MS;
  }

  contains(text: string, withHeader: boolean): boolean {
    this.texts ??= textsOf(this.bytes!);
    return this.texts.body.includes(text) || (withHeader && this.texts.header.includes(text));
  }
}

export function verdict(key: FoundKey, one: Candidate, wall: number): Verdict {
  switch (key.key) {
    case 'all':
      return YES;
    case 'and':
      return every(key.of, one, wall);
    case 'or': {
      const first = verdict(key.one, one, wall);
      if (first === YES) return YES;
      const second = verdict(key.other, one, wall);
      if (second === YES) return YES;
      return Math.max(first, second) as Verdict;
    }
    case 'not': {
      const of = verdict(key.of, one, wall);
      return of === YES ? NO : of === NO ? YES : of;
    }
    case 'places':
      return has(key.places, one.place) ? YES : NO;
    case 'header':
    case 'body':
    case 'text':
      return byContent(key, one);
    case 'before':
    case 'on':
    case 'since':
      return byDay(key, one);
    default:
      return byIndex(key, one, wall) ? YES : NO;
  }
}

function every(keys: readonly FoundKey[], one: Candidate, wall: number): Verdict {
  let needs: Verdict = YES;
  for (const key of keys) {
    const of = verdict(key, one, wall);
    if (of === NO) return NO;
    if (of > needs) needs = of;
  }
  return needs;
}

type IndexKey = Extract<FoundKey, { key: 'flag' | 'recent' | 'larger' | 'smaller' | 'modseq' | 'older' | 'younger' }>;

function byIndex(key: IndexKey, { view, at, uid }: Candidate, wall: number): boolean {
  const { folder } = view;
  switch (key.key) {
    case 'flag':
      return (folder.flagsAt(at) & key.bit) !== 0;
    case 'recent':
      return view.isRecent(uid);
    case 'larger':
      return folder.sizeAt(at) > key.than;
    case 'smaller':
      return folder.sizeAt(at) < key.than;
    case 'modseq':
      return folder.modseqAt(at) >= key.than;
    case 'older':
      return folder.dateAt(at) <= wall - key.than * 1_000;
    default:
      return folder.dateAt(at) >= wall - key.than * 1_000;
  }
}

type DayKey = Extract<FoundKey, { key: 'before' | 'on' | 'since' }>;

function byDay({ key, day, sent }: DayKey, one: Candidate): Verdict {
  if (sent && one.loaded < LISTED) return NEEDS_LISTED;
  const of = sent ? one.sentDay : Math.floor(one.view.folder.dateAt(one.at) / DAY_MS);
  // No comparison holds for a message without a date.
  return (key === 'before' ? of < day : key === 'on' ? of === day : of >= day) ? YES : NO;
}

function byContent(key: Extract<FoundKey, { key: 'header' | 'body' | 'text' }>, one: Candidate): Verdict {
  if (key.key === 'header') {
    if (one.loaded < LISTED && one.view.folder.lists(key.field)) return NEEDS_LISTED;
    if (one.loaded < HEADER && !one.view.folder.lists(key.field)) return NEEDS_HEADER;
    return one.hasField(key.field, key.text) ? YES : NO;
  }
  if (one.loaded < WHOLE) return NEEDS_WHOLE;
  return one.contains(key.text, key.key === 'text') ? YES : NO;
}

// ---- text ----------------------------------------------------------------------------------------------------------------

function textsOf(bytes: Buffer): { header: string; body: string } {
  const root = readStructure(bytes, 0, bytes.length);
  const pieces: string[] = [];
  collect(bytes, root, pieces);
  return { header: headerText(bytes, root.start, root.body), body: pieces.join('\n').toLowerCase() };
}

function headerText(bytes: Buffer, start: number, stop: number): string {
  const lines: string[] = [];
  const reader = new HeaderReader(bytes, start, stop);
  while (reader.next()) lines.push(`${reader.name}: ${decodeWords(reader.value)}`);
  return lines.join('\n').toLowerCase();
}

/** The text of a part and of those in it: the structure is bounded in depth. */
function collect(bytes: Buffer, part: Part, pieces: string[]): void {
  if (part.message !== null) {
    pieces.push(headerText(bytes, part.message.start, part.message.body));
    collect(bytes, part.message, pieces);
    return;
  }
  for (const child of part.parts) {
    pieces.push(headerText(bytes, child.start, child.body));
    collect(bytes, child, pieces);
  }
  if (part.parts.length > 0 || part.type !== 'text') return;
  const charset = part.parameters.find(([name]) => name === 'charset')?.[1] ?? '';
  pieces.push(decodeText(decodeTransfer(transferOf(part.encoding), bytes, part.body, part.end), charset));
}
