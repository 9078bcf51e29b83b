// What `portico inbox` shows of mails: a line in a list, a mail to be read, and attachments as files.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { decodedPart, type ParsedMessage, parseMessage } from '../formats/mime/parsed.ts';
import { partAt, readStructure } from '../formats/mime/structure.ts';
import { bold, dim, EXIT, fail, visible, yellow } from './output.ts';

/** A mail in a list: its UID, or its number over POP3. */
export interface Listed {
  readonly id: number;
  readonly size: number;
  readonly flags: readonly string[];
  readonly header: Buffer;
}

function people(list: ParsedMessage['from']): string {
  return list.map(({ name, address }) => (name === '' ? address : `${name} <${address}>`)).join(', ');
}

function listedJson({ id, size, flags, header }: Listed): object {
  const { from, to, subject, date, messageId } = parseMessage(header);
  return { id, size, flags, from, to, subject, date, messageId };
}

export function printListed(mails: readonly Listed[], json: boolean): void {
  for (const mail of mails) {
    if (json) {
      process.stdout.write(`${JSON.stringify(listedJson(mail))}\n`);
      continue;
    }
    const { from, subject, sent } = parseMessage(mail.header);
    const isNew = mail.flags.length > 0 && !mail.flags.includes('\\Seen');
    const when = sent === null ? '' : new Date(sent).toISOString().slice(0, 16).replace('T', ' ');
    const who = visible(from[0]?.name || (from[0]?.address ?? ''));
    const mark = mail.flags.includes('\\Flagged') ? yellow('*') : ' ';
    const what = visible(subject === '' ? '(no subject)' : subject);
    const line = `${String(mail.id).padStart(6)} ${mark} ${when.padEnd(16)}  ${who.slice(0, 24).padEnd(24)}  ${what}`;
    process.stdout.write(`${isNew ? bold(line) : line}\n`);
  }
}

export function printMail(id: number, bytes: Buffer, json: boolean): void {
  const mail = parseMessage(bytes);
  if (json) {
    process.stdout.write(`${JSON.stringify({ id, size: bytes.length, ...mail })}\n`);
    return;
  }
  const fields = [
    ['From', people(mail.from)],
    ['To', people(mail.to)],
    ['Cc', people(mail.cc)],
    ['Date', mail.date],
    ['Subject', mail.subject],
  ];
  for (const [name, value] of fields)
    if (value !== '') process.stdout.write(`${bold(`${name}:`)} ${visible(value!)}\n`);
  const text = mail.text === '' && mail.html !== '' ? plainOf(mail.html) : mail.text;
  const lines = text.split(/\r\n|\r|\n/).map((line) => line.split('\t').map(visible).join('\t'));
  process.stdout.write(`\n${lines.join('\n').replace(/\n*$/, '\n')}`);
  for (const { section, name, type, size } of mail.attachments)
    process.stdout.write(dim(`[${section}] ${visible(name === '' ? type : name)}, ${visible(type)}, ${size} bytes\n`));
}

/** A little of what a browser makes of it. */
function plainOf(html: string): string {
  return html
    .replace(/<(style|script|head)\b[\s\S]*?<\/\1\s*>/gi, '')
    .replace(/<br\b[^>]*>|<\/(?:p|div|tr|h[1-6]|li)\s*>/gi, '\n')
    .replace(/<[^>]*>/g, '')
    .replace(/&nbsp;/g, ' ')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&amp;/g, '&');
}

/** Saves what is attached to a mail into a folder; answers the paths. A name is taken once, and never leads elsewhere. */
export function saveAttachments(id: number, bytes: Buffer, folder: string): string[] {
  const { attachments } = parseMessage(bytes);
  const root = readStructure(bytes, 0, bytes.length);
  const saved: string[] = [];
  try {
    mkdirSync(folder, { recursive: true });
    for (const { section, name } of attachments) {
      const part = partAt(root, section.split('.').map(Number));
      if (part === null) continue;
      const path = freePath(folder, plainName(name, `${id}-${section}.bin`));
      writeFileSync(path, decodedPart(bytes, part), { flag: 'wx' });
      saved.push(path);
    }
  } catch (error) {
    fail(`${folder}: ${(error as Error).message}`, EXIT.io);
  }
  return saved;
}

/** A sender's name for a file as one of this folder: no path, nothing hidden, nothing that moves the cursor. */
function plainName(name: string, otherwise: string): string {
  const plain = basename(name.replaceAll('\\', '/'))
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
    .replace(/[\u0000-\u001f\u007f-\u009f:*?"<>|]/g, '_')
    .replace(/^\.+/, '')
    .slice(-120)
    .trim();
  return plain === '' ? otherwise : plain;
}

function freePath(folder: string, name: string): string {
  const dot = name.lastIndexOf('.');
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  for (let number = 1; ; number++) {
    const path = join(folder, number === 1 ? name : `${stem} (${number})${ending}`);
    if (!existsSync(path)) return path;
  }
}
