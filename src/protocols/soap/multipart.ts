// Messages of several parts (RFC 2387) as XOP packs them (MTOM): the envelope first, and bytes beside it under their ids.
import { latin1 } from '../../bytes/reader.ts';
import { parseMediaType } from '../http/negotiate.ts';
import { MULTIPART, XOP_TYPE } from './names.ts';

export interface Packed {
  /** The envelope. */
  readonly root: Uint8Array;
  /** The charset that its part names; '' for none. */
  readonly charset: string;
  /** The type of what it is: `text/xml`, `application/soap+xml`. */
  readonly type: string;
  readonly parts: ReadonlyMap<string, Uint8Array>;
}

const CRLF2 = '\r\n\r\n';
const HEAD_BYTES_MAX = 4_096;

/** The parts of a body; null when it cannot be read. They are views of it. */
export function unpack(body: Buffer, boundary: string, start: string, partsMax: number): Packed | null {
  if (boundary === '' || boundary.length > 70) return null;
  const parts = new Map<string, Uint8Array>();
  let packed: Omit<Packed, 'parts'> | null = null;
  const mark = `--${boundary}`;
  let at = body.toString('latin1', 0, mark.length) === mark ? mark.length : after(body, `\r\n${mark}`, 0);
  for (let count = 0; at > 0; count++) {
    if (body[at] === 0x2d && body[at + 1] === 0x2d) return packed === null ? null : { ...packed, parts };
    if (count > partsMax) return null;
    while (body[at] === 0x20 || body[at] === 0x09) at++;
    if (body[at] !== 0x0d || body[at + 1] !== 0x0a) return null;
    // A part without fields begins with the empty line at once.
    const fieldsEnd = body.indexOf(CRLF2, at, 'latin1');
    const next = fieldsEnd < 0 ? -1 : body.indexOf(`\r\n${mark}`, fieldsEnd + 2, 'latin1');
    if (next < 0 || fieldsEnd - at > HEAD_BYTES_MAX) return null;
    const fields = fieldsOf(latin1(body, at, fieldsEnd));
    const content = body.subarray(Math.min(fieldsEnd + 4, next), next);
    const id = bare(fields.get('content-id') ?? '');
    const encoded = transferred(content, (fields.get('content-transfer-encoding') ?? 'binary').toLowerCase());
    if (encoded === null) return null;
    if (packed === null && (start === '' || id === bare(start))) {
      const type = parseMediaType(fields.get('content-type') ?? '');
      if (type === null) return null;
      const inner = type.type === XOP_TYPE ? (type.parameters.get('type') ?? '') : type.type;
      packed = {
        root: encoded,
        charset: type.parameters.get('charset') ?? '',
        type: parseMediaType(inner)?.type ?? '',
      };
    } else if (id === '' || parts.has(id)) return null;
    else parts.set(id, encoded);
    at = next + 2 + mark.length;
  }
  return null;
}

function after(body: Buffer, text: string, from: number): number {
  const found = body.indexOf(text, from, 'latin1');
  return found < 0 ? -1 : found + text.length;
}

function fieldsOf(head: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of head.replace(/\r\n[ \t]+/g, ' ').split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return fields;
}

/** `<id>` without its brackets. */
function bare(id: string): string {
  return id.startsWith('<') && id.endsWith('>') ? id.slice(1, -1) : id;
}

function transferred(content: Buffer, encoding: string): Buffer | null {
  if (encoding === 'binary' || encoding === '8bit' || encoding === '7bit') return content;
  return encoding === 'base64' ? Buffer.from(content.toString('latin1'), 'base64') : null;
}

/** What `packed` made. */
export interface Packing {
  readonly contentType: string;
  readonly body: Buffer;
}

/** An envelope and what goes beside it as one body. @param boundary of letters and digits, in none of them */
export function pack(
  envelope: string,
  type: string,
  attached: readonly Uint8Array[],
  idOf: (index: number) => string,
  boundary: string,
): Packing {
  const root = `root.${boundary}@portico`;
  const pieces: Uint8Array[] = [
    Buffer.from(
      `--${boundary}\r\nContent-Type: ${XOP_TYPE}; charset=utf-8; type="${type}"\r\nContent-Transfer-Encoding: 8bit\r\n` +
        `Content-ID: <${root}>\r\n\r\n${envelope}`,
    ),
  ];
  for (let index = 0; index < attached.length; index++) {
    const head =
      `\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n` +
      `Content-ID: <${idOf(index)}>\r\n\r\n`;
    pieces.push(Buffer.from(head), attached[index]!);
  }
  pieces.push(Buffer.from(`\r\n--${boundary}--\r\n`));
  const contentType = `${MULTIPART}; type="${XOP_TYPE}"; start="<${root}>"; start-info="${type}"; boundary="${boundary}"`;
  return { contentType, body: Buffer.concat(pieces) };
}
