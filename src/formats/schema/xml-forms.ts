// Values that look otherwise in a document than their type's own way: bytes in hexadecimal, enumerations whose words are no names,
// lists in one element, and what a schema does not describe.
import { utf8 } from '../../bytes/reader.ts';
import { isName } from '../xml/names.ts';
import { START, TEXT, type XmlReader } from '../xml/reader.ts';
import { writeText, type XmlForm, type XmlWriting } from './xml.ts';
import type { ScalarRead } from './xml-scalars.ts';

/** How a value that is text all through is read and written. */
export interface TextForm {
  readonly read: ScalarRead;
  /** Not escaped. */
  readonly write: (value: unknown) => string;
}

function textOf({ text, textFrom, textTo }: XmlReader): string {
  return utf8(text, textFrom, textTo);
}

export function simpleForm({ read, write }: TextForm): XmlForm {
  return {
    read: (reader) => (reader.content() === TEXT ? read(reader) : notText(reader)),
    write: (value, writing) => writeText(write(value), writing),
  };
}

function notText(reader: XmlReader): null {
  if (!reader.stopped) reader.wrong(`has an element ${reader.local} where only text may be`);
  return null;
}

/** A list as words with white space between (XML Schema Part 2 §2.5.1.2). */
export function listForm({ read, write }: TextForm, itemsMax: number): XmlForm {
  return simpleForm({
    read: (reader) => {
      const { text, textTo } = reader;
      const items: unknown[] = [];
      for (let at = reader.textFrom; at < textTo; ) {
        while (at < textTo && text[at]! <= 0x20) at++;
        const from = at;
        while (at < textTo && text[at]! > 0x20) at++;
        if (at === from) break;
        if (items.length >= itemsMax) {
          reader.wrong(`has more than ${itemsMax} items`);
          return items;
        }
        reader.textFrom = from;
        reader.textTo = at;
        items.push(read(reader));
        if (reader.stopped) return items;
      }
      return items;
    },
    write: (value) => (value as readonly unknown[]).map(write).join(' '),
  });
}

export const HEX_TEXT: TextForm = {
  read: (reader) => {
    const text = textOf(reader).trim();
    if (/^(?:[0-9A-Fa-f]{2})*$/.test(text)) return Buffer.from(text, 'hex');
    reader.wrong('is no hexBinary');
    return Buffer.alloc(0);
  },
  write: (value) =>
    Buffer.from(value as Uint8Array)
      .toString('hex')
      .toUpperCase(),
};

/** @param words each value's name by what stands for it in a document */
export function enumText(words: ReadonlyMap<string, string>): TextForm {
  const byName = new Map([...words].map(([word, name]) => [name, word]));
  return {
    read: (reader) => {
      const text = textOf(reader);
      const name = words.get(text) ?? words.get(text.trim());
      // An empty word is no value.
      if (name !== undefined || text.trim() === '') return name;
      reader.wrong(`is none of ${[...words.keys()].slice(0, 20).join(', ')}`);
      return '';
    },
    write: (value) => byName.get(String(value)) ?? String(value),
  };
}

const DEPTH_MAX = 64;

/** What no schema describes, as JSON: text as text, elements as an object by their names, with a list where one repeats. */
export const OPAQUE_FORM: XmlForm = { read: readOpaque, write: (value, writing) => opaque(value, writing, 0) };

/** The content of the element that has just begun. */
export function readOpaque(reader: XmlReader): unknown {
  let step = reader.content();
  if (step === TEXT) return textOf(reader);
  const found = new Map<string, unknown[]>();
  for (; step === START; step = reader.child()) {
    const { local } = reader;
    const value = readOpaque(reader);
    const known = found.get(local);
    if (known === undefined) found.set(local, [value]);
    else known.push(value);
  }
  return Object.fromEntries([...found].map(([name, values]) => [name, values.length === 1 ? values[0] : values]));
}

function opaque(value: unknown, writing: XmlWriting, depth: number): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'object') return writeText(String(value), writing);
  if (depth >= DEPTH_MAX) {
    writing.unwritable ??= '';
    return '';
  }
  let text = '';
  for (const [name, each] of Object.entries(value)) {
    if (!isName(name)) writing.unwritable ??= name;
    for (const one of Array.isArray(each) ? each : [each])
      text += `<${name}>${opaque(one, writing, depth + 1)}</${name}>`;
  }
  return text;
}
