// What FETCH asks for (RFC 9051 §6.4.5, RFC 3516): read from a command, with what each item needs of a message.
import type { HeldKind } from '../../resources/mail/contract.ts';
import type { CommandReader } from './codec.ts';

const SP = 0x20;
const END_BRACKET = 0x5d;

/** What of a message has to be read. */
export const INDEX = 0;
/** The fields of the header that the mailbox may hold. */
export const LISTED = 1;
export const HEADER = 2;
export const WHOLE = 3;
export type Need = typeof INDEX | typeof LISTED | typeof HEADER | typeof WHOLE;

export interface Section {
  readonly numbers: readonly number[];
  readonly what: '' | 'HEADER' | 'TEXT' | 'MIME' | 'FIELDS' | 'NOT';
  /** Of FIELDS and NOT, in lower case. */
  readonly fields: ReadonlySet<string>;
}

export type PlainKind =
  | 'FLAGS'
  | 'UID'
  | 'INTERNALDATE'
  | 'RFC822.SIZE'
  | 'MODSEQ'
  | 'ENVELOPE'
  | 'BODYSTRUCTURE'
  | 'BODY';

export type FetchItem =
  | { readonly kind: PlainKind }
  | {
      readonly kind: 'section';
      /** As it is answered: `BODY[1.MIME]`, `RFC822.TEXT`. */
      readonly label: string;
      readonly section: Section;
      /** Offset and count. */
      readonly partial: readonly [number, number] | null;
      readonly marksSeen: boolean;
      readonly form: 'bytes' | 'binary' | 'size';
    };

export interface FetchWish {
  readonly items: readonly FetchItem[];
  readonly need: Need;
  /** Kinds of those that are answered as they were for the last who asked, where that is held; and what the others need. */
  readonly made: readonly HeldKind[];
  readonly needBeside: Need;
  readonly marksSeen: boolean;
}

const PLAIN: ReadonlySet<string> = new Set([
  ...['FLAGS', 'UID', 'INTERNALDATE', 'RFC822.SIZE', 'MODSEQ', 'ENVELOPE', 'BODYSTRUCTURE', 'BODY'],
]);
const MACROS: Readonly<Record<string, readonly PlainKind[]>> = {
  FAST: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE'],
  ALL: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE'],
  FULL: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY'],
};
/** Items of one command. */
const ITEMS_MAX = 200;
const NUMBERS_MAX = 60;
const NO_FIELDS: ReadonlySet<string> = new Set();

export const UID_ITEM: FetchItem = { kind: 'UID' };
export const FLAGS_ITEM: FetchItem = { kind: 'FLAGS' };
export const MODSEQ_ITEM: FetchItem = { kind: 'MODSEQ' };

export function readItems(reader: CommandReader): FetchItem[] {
  const items: FetchItem[] = [];
  if (!reader.opens()) {
    const macro = readItem(reader, items);
    if (macro !== null) for (const kind of macro) items.push({ kind });
    return items;
  }
  do {
    if (readItem(reader, items) !== null) reader.bad('ALL, FAST and FULL stand alone.');
    if (items.length > ITEMS_MAX) reader.bad('Too much is asked for at once.');
  } while (reader.ok && reader.takes(SP));
  reader.needs(0x29);
  return items;
}

/** Reads one item; answers the items of a macro. */
function readItem(reader: CommandReader, items: FetchItem[]): readonly PlainKind[] | null {
  const name = reader.name();
  const macro = MACROS[name];
  if (macro !== undefined) return macro;
  if (reader.peek() === 0x5b) {
    readSection(reader, name, items);
    return null;
  }
  if (PLAIN.has(name)) {
    if (!items.some(({ kind }) => kind === name)) items.push({ kind: name as PlainKind });
  } else if (name === 'RFC822') items.push(whole('RFC822', '', true));
  else if (name === 'RFC822.HEADER') items.push(whole('RFC822.HEADER', 'HEADER', false));
  else if (name === 'RFC822.TEXT') items.push(whole('RFC822.TEXT', 'TEXT', true));
  else reader.bad('FETCH does not know what is asked for.');
  return null;
}

function whole(label: string, what: Section['what'], marksSeen: boolean): FetchItem {
  const section = { numbers: [], what, fields: NO_FIELDS };
  return { kind: 'section', label, section, partial: null, marksSeen, form: 'bytes' };
}

function readSection(reader: CommandReader, name: string, items: FetchItem[]): void {
  const peeks = name.endsWith('.PEEK');
  const base = peeks ? name.slice(0, -5) : name;
  if ((base !== 'BODY' && base !== 'BINARY' && base !== 'BINARY.SIZE') || name === 'BINARY.SIZE.PEEK') {
    reader.bad('FETCH does not know what is asked for.');
    return;
  }
  reader.at++;
  const [section, text] = readSpec(reader);
  reader.needs(END_BRACKET);
  if (base !== 'BODY' && section.what !== '') reader.bad('BINARY has part numbers only.');
  const partial = base === 'BINARY.SIZE' ? null : readPartial(reader);
  items.push({
    kind: 'section',
    label: `${base}[${text}]`,
    section,
    partial,
    marksSeen: !peeks && base !== 'BINARY.SIZE',
    form: base === 'BODY' ? 'bytes' : base === 'BINARY' ? 'binary' : 'size',
  });
}

/** `<0.100>` */
function readPartial(reader: CommandReader): readonly [number, number] | null {
  if (!reader.takes(0x3c)) return null;
  const offset = reader.large();
  reader.needs(0x2e);
  const count = reader.large();
  if (count === 0) reader.bad('Nothing is asked for.');
  reader.needs(0x3e);
  return [offset, count];
}

function readSpec(reader: CommandReader): [Section, string] {
  const numbers: number[] = [];
  let what: Section['what'] = '';
  let fields: ReadonlySet<string> = NO_FIELDS;
  let text = '';
  while (reader.ok && isDigit(reader.peek()) && numbers.length < NUMBERS_MAX) {
    numbers.push(reader.positive());
    if (!reader.takes(0x2e)) return [{ numbers, what, fields }, numbers.join('.')];
  }
  text = numbers.length > 0 ? `${numbers.join('.')}.` : '';
  if (reader.peek() === END_BRACKET && numbers.length === 0) return [{ numbers, what, fields }, ''];
  const name = reader.name();
  if (name === 'HEADER.FIELDS' || name === 'HEADER.FIELDS.NOT') {
    const [names, list] = readFields(reader);
    what = name === 'HEADER.FIELDS' ? 'FIELDS' : 'NOT';
    fields = names;
    text += `${name} ${list}`;
  } else if (name === 'HEADER' || name === 'TEXT' || (name === 'MIME' && numbers.length > 0)) {
    what = name;
    text += name;
  } else reader.bad('There is no such section.');
  return [{ numbers, what, fields }, text];
}

function readFields(reader: CommandReader): [ReadonlySet<string>, string] {
  reader.space();
  reader.needs(0x28);
  const names: string[] = [];
  do names.push(reader.astring());
  while (reader.ok && reader.takes(SP));
  reader.needs(0x29);
  const shown = names.map((name) =>
    /^[\w-]+$/.test(name) ? name : `"${name.replace(/["\\]/g, '\\$&').replace(/[\r\n]/g, '')}"`,
  );
  return [new Set(names.map((name) => name.toLowerCase())), `(${shown.join(' ')})`];
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/**
 * What all of them need, with those that every answer has.
 * @param lists whether the mailbox may hold a field
 */
export function wishOf(items: readonly FetchItem[], lists: (field: string) => boolean): FetchWish {
  let need: Need = INDEX;
  let needBeside: Need = INDEX;
  let marksSeen = false;
  const made: HeldKind[] = [];
  for (const item of items) {
    const of = needOf(item, lists);
    if (of > need) need = of;
    const kind = heldKindOf(item);
    if (kind !== null) made.push(kind);
    else if (of > needBeside) needBeside = of;
    if (item.kind === 'section') marksSeen ||= item.marksSeen;
  }
  return { items, need, made, needBeside, marksSeen };
}

function heldKindOf({ kind }: FetchItem): HeldKind | null {
  if (kind === 'ENVELOPE') return 'envelope';
  if (kind === 'BODY') return 'body';
  return kind === 'BODYSTRUCTURE' ? 'structure' : null;
}

function needOf(item: FetchItem, lists: (field: string) => boolean): Need {
  if (item.kind === 'ENVELOPE') return LISTED;
  if (item.kind === 'BODY' || item.kind === 'BODYSTRUCTURE') return WHOLE;
  if (item.kind !== 'section') return INDEX;
  const { what, numbers, fields } = item.section;
  if (numbers.length === 0 && what === 'FIELDS') {
    for (const field of fields) if (!lists(field)) return HEADER;
    return LISTED;
  }
  return numbers.length === 0 && (what === 'HEADER' || what === 'NOT') ? HEADER : WHOLE;
}

/** Adds an item unless it is there. */
export function withItem(items: readonly FetchItem[], item: FetchItem): readonly FetchItem[] {
  return items.some(({ kind }) => kind === item.kind) ? items : [item, ...items];
}
