// Makes messages: headers that are folded and encoded as they must be, text, HTML, attachments (RFC 5322, 2045, 2046). What
// it makes has no line over 78 characters where it can be helped, and none over 998.
import { type Address, addressText } from './addresses.ts';
import { base64Lines, quotedPrintableText } from './transfer.ts';
import { encodeWords } from './words.ts';

export interface Enclosed {
  readonly name: string;
  /** `image/png` */
  readonly type: string;
  readonly bytes: Uint8Array;
}

export interface Composition {
  readonly from: Address;
  readonly to: readonly Address[];
  readonly cc?: readonly Address[];
  readonly replyTo?: Address | null;
  readonly subject: string;
  /** Milliseconds since 1970. */
  readonly date: number;
  /** With its angle brackets. */
  readonly messageId: string;
  /** Further fields; their values are text. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly text?: string;
  readonly html?: string;
  readonly attachments?: readonly Enclosed[];
  /** Makes boundaries: any text that is not in the parts, another at each call. */
  readonly boundary: () => string;
}

export function compose(message: Composition): Buffer {
  const head = [
    field('Date', dateText(message.date)),
    field('From', named(message.from)),
    field('To', message.to.length > 0 ? message.to.map(named).join(', ') : 'undisclosed-recipients:;'),
    ...(message.cc !== undefined && message.cc.length > 0 ? [field('Cc', message.cc.map(named).join(', '))] : []),
    ...(message.replyTo ? [field('Reply-To', named(message.replyTo))] : []),
    field('Subject', encodeWords(message.subject)),
    field('Message-ID', message.messageId),
    ...(message.headers ?? []).map(([name, value]) => field(name, encodeWords(value))),
    field('MIME-Version', '1.0'),
  ];
  return Buffer.from(`${head.join('')}${content(message)}`);
}

function content({ text, html, attachments = [], boundary }: Composition): string {
  const bodies: string[] = [];
  if (text !== undefined || html === undefined) bodies.push(textPart('plain', text ?? ''));
  if (html !== undefined) bodies.push(textPart('html', html));
  const body = bodies.length === 1 ? bodies[0]! : multipart('alternative', bodies, boundary());
  if (attachments.length === 0) return body;
  return multipart('mixed', [body, ...attachments.map(enclosed)], boundary());
}

/** A multipart of parts that each begin with their own header. */
export function multipart(subtype: string, parts: readonly string[], boundary: string): string {
  const type = field('Content-Type', `multipart/${subtype}; boundary="${boundary}"`);
  return `${type}\r\n${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n`;
}

/** Text with its header: as it is where that is safe, else quoted-printable. */
export function textPart(subtype: string, text: string): string {
  const lines = text.replace(/\r\n|\r|\n/g, '\r\n');
  const isPlain = /^[\t\r\n\x20-\x7e]*$/.test(lines) && !/[^\r\n]{79}/.test(lines) && !/^From /m.test(lines);
  const type = field('Content-Type', `text/${subtype}; charset=utf-8`);
  if (isPlain) return `${type}Content-Transfer-Encoding: 7bit\r\n\r\n${lines}`;
  return `${type}Content-Transfer-Encoding: quoted-printable\r\n\r\n${quotedPrintableText(text)}`;
}

function enclosed({ name, type, bytes }: Enclosed): string {
  const head = `${field('Content-Type', type)}${field('Content-Disposition', `attachment${fileName(name)}`)}`;
  return `${head}Content-Transfer-Encoding: base64\r\n\r\n${base64Lines(bytes)}`;
}

/** RFC 2183 §2.3, RFC 2231 §4. */
function fileName(name: string): string {
  if (/^[\x20-\x7e]+$/.test(name)) return `; filename="${name.replace(/["\\]/g, '\\$&')}"`;
  const encoded = encodeURIComponent(name).replace(/['()*!]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
  return `; filename*=utf-8''${encoded}`;
}

function named(address: Address): string {
  const { name } = address;
  if (name === '') return addressText(address);
  const plain = /^[\w !#$%&'*+/=?^`{|}~-]+$/.test(name);
  const shown = plain ? name : /^[\x20-\x7e]+$/.test(name) ? `"${name.replace(/["\\]/g, '\\$&')}"` : encodeWords(name);
  return `${shown} <${addressText(address)}>`;
}

const LINE_MAX = 78;

/** A field, folded at its blanks (RFC 5322 §2.2.3). */
export function field(name: string, value: string): string {
  const plain = value.replace(/[\r\n]+/g, ' ');
  let line = `${name}:`;
  let out = '';
  for (const word of plain.split(' ')) {
    if (line.length + 1 + word.length > LINE_MAX && line.trim() !== '' && !line.endsWith(':')) {
      out += `${line}\r\n`;
      line = '';
    }
    line += ` ${word}`;
  }
  return `${out}${line}\r\n`;
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
export const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `Mon, 23 Nov 2026 08:42:44 +0000` (RFC 5322 §3.3). */
export function dateText(wall: number): string {
  const date = new Date(wall);
  const two = (number: number) => String(number).padStart(2, '0');
  const day = `${DAYS[date.getUTCDay()]}, ${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
  return `${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}
