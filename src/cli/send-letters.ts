// The letters of `portico send`: one, or one for each row of a table, with what stands in braces filled in.
import { readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { type Address, addressText, flatAddresses, readAddresses } from '../formats/mime/addresses.ts';
import { compose, type Enclosed } from '../formats/mime/compose.ts';
import { EXIT, fail } from './output.ts';

export interface LetterFlags {
  readonly from?: string;
  readonly to?: readonly string[];
  readonly cc?: readonly string[];
  readonly bcc?: readonly string[];
  readonly subject?: string;
  readonly text?: string;
  readonly html?: string;
  readonly attach?: readonly string[];
  readonly header?: readonly string[];
}

export interface Written {
  readonly from: string;
  readonly to: readonly string[];
  readonly messageId: string;
  readonly message: Buffer;
}

export type Row = Readonly<Record<string, string>>;

/** What is the same in all of them. */
export interface Fixed {
  /** Milliseconds since 1970. */
  readonly date: number;
  readonly random: () => string;
  readonly attachments: readonly Enclosed[];
}

/** Rows of a file: CSV with a line of names, or a JSON list of objects. Ends the command where it is neither. */
export function rowsOf(path: string): Row[] {
  const text = readText(path);
  const rows = extname(path).toLowerCase() === '.json' ? jsonRows(text, path) : csvRows(text, path);
  if (rows.length === 0) fail(`${path} has no rows`, EXIT.usage);
  return rows;
}

function jsonRows(text: string, path: string): Row[] {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    return fail(`${path} is not JSON: ${(error as Error).message}`, EXIT.usage);
  }
  if (!Array.isArray(given)) return fail(`${path} is not a list of objects`, EXIT.usage);
  return given.map((row: unknown, at) => {
    if (typeof row !== 'object' || row === null || Array.isArray(row))
      return fail(`${path}: ${at + 1} is not an object`, EXIT.usage);
    return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, valueText(value)]));
  });
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : value === null || value === undefined ? '' : JSON.stringify(value);
}

/** RFC 4180, with line ends of either kind. */
function csvRows(text: string, path: string): Row[] {
  const [names = [], ...records] = csvRecords(text.replace(/^\ufeff/, ''));
  return records.map((record, at) => {
    if (record.length !== names.length)
      fail(`${path}: row ${at + 1} has ${record.length} fields; there are ${names.length} names`, EXIT.usage);
    return Object.fromEntries(names.map((name, column) => [name.trim(), record[column]!]));
  });
}

export function csvRecords(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  for (const found of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    const [all, quoted, plain = '', end] = found;
    if (all === '' && record.length === 0) break;
    record.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    records.push(record);
    record = [];
    if (end === '') break;
  }
  return records;
}

export function attachmentsOf(paths: readonly string[]): Enclosed[] {
  return paths.map((path) => {
    try {
      const type = TYPES[extname(path).slice(1).toLowerCase()] ?? 'application/octet-stream';
      return { name: basename(path), type, bytes: readFileSync(path) };
    } catch (error) {
      return fail(`${path} cannot be read: ${(error as Error).message}`, EXIT.io);
    }
  });
}

/** Those that are mailed most. */
const TYPES: Readonly<Record<string, string>> = {
  csv: 'text/csv',
  gif: 'image/gif',
  html: 'text/html',
  ics: 'text/calendar',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  json: 'application/json',
  md: 'text/markdown',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  txt: 'text/plain',
  webp: 'image/webp',
  xml: 'application/xml',
  zip: 'application/zip',
};

/** Text that a flag gives, or the file behind an `@`. */
export function textOf(flag: string | undefined): string | undefined {
  return flag?.startsWith('@') === true ? readText(flag.slice(1)) : flag;
}

export function readText(path: string): string {
  return readBytes(path).toString('utf8');
}

export function readBytes(path: string): Buffer {
  try {
    return readFileSync(path === '-' ? 0 : path);
  } catch (error) {
    return fail(`${path} cannot be read: ${(error as Error).message}`, EXIT.io);
  }
}

/** Puts a row into a text: `{{name}}`; in HTML what it says is text, `{{{name}}}` as it is. */
export function filled(text: string, row: Row, where: string, isHtml = false): string {
  return text.replace(
    /\{\{\{\s*([\w. -]+?)\s*\}\}\}|\{\{\s*([\w. -]+?)\s*\}\}/g,
    (_all, raw?: string, name?: string) => {
      const value = row[raw ?? name!];
      if (value === undefined)
        fail(`${where}there is no ${raw ?? name}; there is ${Object.keys(row).join(', ')}`, EXIT.usage);
      return isHtml && raw === undefined ? value!.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`) : value!;
    },
  );
}

/** One letter. Ends the command with what is wrong with it. */
export function letterOf(flags: LetterFlags, row: Row, where: string, { date, random, attachments }: Fixed): Written {
  const put = (text: string) => filled(text, row, where);
  const addresses = (given: readonly string[] | undefined, flag: string) =>
    (given ?? []).flatMap((text) => addressesOf(put(text), `${where}${flag}`));
  const [from] = addresses([flags.from ?? defaultSender()], '--from');
  const to = addresses(flags.to ?? (row.to === undefined ? [] : [row.to]), '--to');
  const cc = addresses(flags.cc, '--cc');
  const bcc = addresses(flags.bcc, '--bcc');
  const all = [...new Set([...to, ...cc, ...bcc].map(addressText))];
  if (all.length === 0) fail(`${where}say whom it goes to with --to`, EXIT.usage);
  const messageId = `<${random()}@${from!.domain}>`;
  const text = flags.text === undefined ? undefined : put(flags.text);
  const html = flags.html === undefined ? undefined : filled(flags.html, row, where, true);
  const message = compose({
    ...{ from: from!, to, cc, date, messageId, attachments, subject: put(flags.subject ?? '') },
    headers: (flags.header ?? []).map((given) => headerOf(put(given))),
    ...(text === undefined && html !== undefined ? {} : { text: text ?? '' }),
    ...(html === undefined ? {} : { html }),
    boundary: () => `=_${random()}`,
  });
  return { from: addressText(from!), to: all, messageId, message };
}

function defaultSender(): string {
  return `${process.env.USER ?? process.env.USERNAME ?? 'portico'}@localhost`;
}

function addressesOf(text: string, where: string): Address[] {
  const found = flatAddresses(readAddresses(text.replace(/[\r\n]+/g, ' ')));
  if (found.length === 0 || found.some(({ domain }) => domain === ''))
    fail(`${where}: ${text} is no address`, EXIT.usage);
  return found;
}

/** The addresses of a list, without names. Ends the command where there is none. */
export function plainAddresses(text: string, where: string): string[] {
  return addressesOf(text, where).map(addressText);
}

function headerOf(text: string): readonly [name: string, value: string] {
  const parts = /^([!-9;-~]{1,76}):\s*([^\r\n]*)$/.exec(text);
  return parts === null
    ? fail(`--header is like 'X-Campaign: spring', not ${text}`, EXIT.usage)
    : [parts[1]!, parts[2]!];
}
