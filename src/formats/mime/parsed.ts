// A message as programs want it: its addresses, subject and dates, its text and HTML, and its attachments, decoded. What is
// broken is given as it came; the whole stays within bounds.
import { type Address, flatAddresses, readAddresses } from './addresses.ts';
import { decodeText } from './charsets.ts';
import { HeaderReader } from './header.ts';
import { type Part, readStructure } from './structure.ts';
import { decodeTransfer, transferOf } from './transfer.ts';
import { decodeWords } from './words.ts';

export interface Correspondent {
  readonly name: string;
  /** `ann@example.org` */
  readonly address: string;
}

export interface Attachment {
  /** Its numbers in IMAP: `2`, `1.2`. */
  readonly section: string;
  readonly name: string;
  /** `image/png` */
  readonly type: string;
  /** Of the decoded bytes. */
  readonly size: number;
  /** Without angle brackets; `''` for none. */
  readonly contentId: string;
  readonly inline: boolean;
}

export interface ParsedMessage {
  readonly subject: string;
  readonly from: readonly Correspondent[];
  readonly to: readonly Correspondent[];
  readonly cc: readonly Correspondent[];
  readonly bcc: readonly Correspondent[];
  readonly replyTo: readonly Correspondent[];
  /** As the header says it. */
  readonly date: string;
  /** Milliseconds since 1970, null for none that can be read. */
  readonly sent: number | null;
  readonly messageId: string;
  readonly inReplyTo: string;
  readonly references: readonly string[];
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly text: string;
  readonly html: string;
  readonly attachments: readonly Attachment[];
}

const FIELDS_MAX = 1_000;
const TEXT_BYTES_MAX = 1_048_576;

export function parseMessage(bytes: Buffer, start = 0, end: number = bytes.length): ParsedMessage {
  const root = readStructure(bytes, start, end);
  const headers: { name: string; value: string }[] = [];
  const reader = new HeaderReader(bytes, root.start, root.body);
  while (headers.length < FIELDS_MAX && reader.next())
    headers.push({ name: bytes.toString('latin1', reader.start, reader.nameEnd), value: decodeWords(reader.value) });
  const raw = rawFields(bytes, root);
  const people = (name: string) => flatAddresses(readAddresses(raw.get(name) ?? '')).map(correspondent);
  const body = new BodyReader(bytes);
  body.read(root, '');
  const date = raw.get('date') ?? '';
  const sent = Date.parse(date.replace(/\([^)]*\)/g, ''));
  return {
    subject: decodeWords(raw.get('subject') ?? ''),
    from: people('from'),
    to: people('to'),
    cc: people('cc'),
    bcc: people('bcc'),
    replyTo: people('reply-to'),
    date,
    sent: Number.isNaN(sent) ? null : sent,
    messageId: raw.get('message-id') ?? '',
    inReplyTo: raw.get('in-reply-to') ?? '',
    references: (raw.get('references') ?? '').match(/<[^<>\s]+>/g) ?? [],
    headers,
    text: body.text,
    html: body.html,
    attachments: body.attachments,
  };
}

const WANTED = new Set([
  'subject',
  'from',
  'to',
  'cc',
  'bcc',
  'reply-to',
  'date',
  'message-id',
  'in-reply-to',
  'references',
]);

/** The first of each; addresses that stand in several fields of one name are joined. */
function rawFields(bytes: Buffer, root: Part): Map<string, string> {
  const found = new Map<string, string>();
  const reader = new HeaderReader(bytes, root.start, root.body);
  for (let count = 0; count < FIELDS_MAX && reader.next(); count++) {
    const { name } = reader;
    if (!WANTED.has(name)) continue;
    const before = found.get(name);
    if (before === undefined) found.set(name, reader.value);
    else if (name === 'to' || name === 'cc' || name === 'bcc') found.set(name, `${before}, ${reader.value}`);
  }
  return found;
}

function correspondent({ name, local, domain }: Address): Correspondent {
  return { name: decodeWords(name), address: domain === '' ? local : `${local}@${domain}` };
}

/** A part's bytes without their transfer encoding. */
export function decodedPart(bytes: Buffer, part: Part): Buffer {
  return decodeTransfer(transferOf(part.encoding), bytes, part.body, part.end);
}

/** A part's text, its charset decoded. */
export function textOfPart(bytes: Buffer, part: Part, bytesMax: number = TEXT_BYTES_MAX): string {
  const charset = parameter(part.parameters, 'charset');
  return decodeText(decodedPart(bytes, part).subarray(0, bytesMax), charset);
}

export function parameter(parameters: Part['parameters'], name: string): string {
  return parameters.find(([is]) => is === name)?.[1] ?? '';
}

/** A part's file name, wherever mailers put it; `''` for none. */
export function nameOfPart(part: Part): string {
  const given = parameter(part.disposition?.parameters ?? [], 'filename') || parameter(part.parameters, 'name');
  return decodeWords(given);
}

class BodyReader {
  text = '';
  html = '';
  readonly attachments: Attachment[] = [];
  private readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  read(part: Part, section: string): void {
    for (let index = 0; index < part.parts.length; index++)
      this.read(part.parts[index]!, section === '' ? `${index + 1}` : `${section}.${index + 1}`);
    if (part.parts.length === 0) this.leaf(part, section === '' ? '1' : section);
  }

  private leaf(part: Part, section: string): void {
    const isAttached = part.disposition?.kind === 'attachment' || nameOfPart(part) !== '';
    if (!isAttached && part.type === 'text' && part.subtype === 'plain' && this.text.length < TEXT_BYTES_MAX)
      this.text += joint(this.text) + textOfPart(this.bytes, part);
    else if (!isAttached && part.type === 'text' && part.subtype === 'html' && this.html.length < TEXT_BYTES_MAX)
      this.html += textOfPart(this.bytes, part);
    else this.attachments.push(this.attachment(part, section));
  }

  private attachment(part: Part, section: string): Attachment {
    const id = /^<?([^<>]*)>?$/.exec(part.id ?? '')?.[1] ?? '';
    return {
      section,
      name: nameOfPart(part),
      type: `${part.type}/${part.subtype}`,
      size: decodedPart(this.bytes, part).length,
      contentId: id,
      inline: part.disposition?.kind === 'inline' || (part.disposition === null && id !== ''),
    };
  }
}

function joint(before: string): string {
  return before === '' || before.endsWith('\n') ? '' : '\n';
}
