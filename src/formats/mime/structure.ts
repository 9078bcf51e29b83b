// The structure of a message by offsets (RFC 2045, 2046): its parts, where their headers and bodies are, and what their
// headers say of them. One pass over the bytes, whatever they are; nothing is decoded or copied.
import { HeaderReader, lineEnd } from './header.ts';
import { readParameters } from './parameters.ts';

export interface Disposition {
  /** In lower case: `attachment`, `inline`. */
  readonly kind: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

export interface Part {
  /** Its header's first byte. */
  readonly start: number;
  /** Its body's first byte. */
  readonly body: number;
  /** Behind its body's last. */
  readonly end: number;
  /** Both in lower case. */
  readonly type: string;
  readonly subtype: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
  /** As the header says it, in lower case; `''` where it says nothing. */
  readonly encoding: string;
  readonly disposition: Disposition | null;
  readonly id: string | null;
  readonly description: string | null;
  readonly md5: string | null;
  readonly location: string | null;
  readonly languages: readonly string[];
  /** Of a multipart, at least one; of all else none. */
  readonly parts: readonly Part[];
  /** The message within a message/rfc822. */
  readonly message: Part | null;
}

/** Parts deeper than this are not looked into. */
const DEPTH_MAX = 50;
const PARTS_MAX = 2_000;
/** Lines that begin with `--` and may be delimiters; what is behind so many is one body. */
const DASHES_MAX = 100_000;
/** What is farther into a header is not read for the structure. */
const HEADER_BYTES_MAX = 262_144;

/** A part that is being read. */
interface Open {
  start: number;
  body: number;
  end: number;
  type: string;
  subtype: string;
  parameters: readonly (readonly [string, string])[];
  encoding: string;
  disposition: Disposition | null;
  id: string | null;
  description: string | null;
  md5: string | null;
  location: string | null;
  languages: string[];
  parts: Open[];
  message: Open | null;
}

/** Reads a whole message that stands in `bytes[start..end)`. */
export function readStructure(bytes: Buffer, start: number, end: number): Part {
  return new Walker(bytes, start, end).walk();
}

/** A multipart whose delimiters are looked for. */
interface Level {
  readonly part: Open;
  /** `--` and its boundary. */
  readonly delimiter: Buffer;
  /** The end of its last part was seen: what follows is its epilogue. */
  closed: boolean;
}

class Walker {
  private readonly bytes: Buffer;
  private readonly start: number;
  private readonly end: number;
  private readonly levels: Level[] = [];
  /** The parts that are being read, from the message to the innermost. */
  private readonly open: Open[] = [];
  private count = 0;

  constructor(bytes: Buffer, start: number, end: number) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  walk(): Part {
    const root = this.begin(this.start, 'text', 'plain');
    // A header that is not closed may be cut off by a delimiter.
    let at = this.start;
    let dashes = 0;
    while (this.levels.length > 0 && dashes < DASHES_MAX) {
      const line = this.nextDashes(at);
      if (line < 0) break;
      dashes++;
      at = this.delimiter(line);
    }
    this.close(0, this.end);
    return root;
  }

  /** The next line that begins with `--`, at `at` or behind; -1 for none. */
  private nextDashes(at: number): number {
    const { bytes, end } = this;
    if (at + 1 < end && bytes[at] === 0x2d && bytes[at + 1] === 0x2d && (at === this.start || bytes[at - 1] === 0x0a))
      return at;
    const found = bytes.indexOf('\n--', at, 'latin1');
    return found < 0 || found + 3 > end ? -1 : found + 1;
  }

  /** Looks at a line that begins with `--`; answers where to go on. */
  private delimiter(line: number): number {
    const { bytes, end, levels } = this;
    const next = lineEnd(bytes, line, end);
    for (let index = levels.length - 1; index >= 0; index--) {
      const level = levels[index]!;
      // What looks like its delimiter in its own header is none.
      if (level.closed || line < level.part.body) continue;
      const length = level.delimiter.length;
      if (next - line < length || bytes.compare(level.delimiter, 0, length, line, line + length) !== 0) continue;
      const isLast = bytes[line + length] === 0x2d && bytes[line + length + 1] === 0x2d;
      if (!onlyBlanks(bytes, isLast ? line + length + 2 : line + length, next)) continue;
      return this.found(index, line, next, isLast);
    }
    return next;
  }

  private found(index: number, line: number, next: number, isLast: boolean): number {
    const level = this.levels[index]!;
    // The line end before a delimiter is part of it (RFC 2046 §5.1.1).
    let stop = line;
    if (stop > level.part.body && this.bytes[stop - 1] === 0x0a) stop--;
    if (stop > level.part.body && this.bytes[stop - 1] === 0x0d) stop--;
    this.close(this.open.indexOf(level.part) + 1, stop);
    this.levels.length = index + 1;
    if (isLast) {
      level.closed = true;
      return next;
    }
    if (this.count >= PARTS_MAX) {
      this.levels.length = 0;
      return this.end;
    }
    // Within a digest a part is a message unless it says otherwise (RFC 2046 §5.1.5).
    const isDigest = level.part.subtype === 'digest';
    const part = this.begin(next, isDigest ? 'message' : 'text', isDigest ? 'rfc822' : 'plain');
    level.part.parts.push(part);
    return next;
  }

  /** All that is open from `depth` on ends at `end`. */
  private close(depth: number, end: number): void {
    while (this.open.length > depth) {
      const part = this.open.pop()!;
      // The delimiter may come right behind the header.
      part.end = Math.max(part.start, end);
      part.body = Math.min(part.body, part.end);
      if (part.type === 'multipart' && part.parts.length === 0) this.asText(part);
    }
  }

  /** A multipart without a part, or without a boundary, cannot be told from text. */
  private asText(part: Open): void {
    part.type = 'text';
    part.subtype = 'plain';
    part.parameters = [];
  }

  /** Begins a part whose header is at `at`, and the message that it may be made of. */
  private begin(at: number, type: string, subtype: string): Open {
    const part = this.header(at, type, subtype);
    this.count++;
    this.open.push(part);
    if (this.open.length >= DEPTH_MAX) {
      if (part.type === 'multipart') this.asText(part);
      else if (part.type === 'message' && part.subtype === 'rfc822') this.asBytes(part);
      return part;
    }
    if (part.type === 'multipart') {
      const boundary = part.parameters.find(([name]) => name === 'boundary')?.[1] ?? '';
      if (boundary === '') this.asText(part);
      else this.levels.push({ part, delimiter: Buffer.from(`--${boundary}`, 'latin1'), closed: false });
    } else if (part.type === 'message' && (part.subtype === 'rfc822' || part.subtype === 'global')) {
      // Encoded, it cannot be looked into by offsets (RFC 2046 §5.2.1 forbids it).
      if (/^(?:|7bit|8bit|binary)$/.test(part.encoding)) part.message = this.begin(part.body, 'text', 'plain');
      else this.asBytes(part);
    }
    return part;
  }

  private asBytes(part: Open): void {
    part.type = 'application';
    part.subtype = 'octet-stream';
    part.parameters = [];
  }

  private header(at: number, type: string, subtype: string): Open {
    const part = empty(at, type, subtype);
    const reader = new HeaderReader(this.bytes, at, this.end);
    let typed = false;
    while (reader.next()) {
      if (reader.start - at > HEADER_BYTES_MAX) continue;
      const byte = this.bytes[reader.start]! | 0x20;
      // All that matters begins with `content-`.
      if (byte !== 0x63 || reader.nameEnd - reader.start < 10) continue;
      if (reader.is('content-type')) {
        if (!typed) this.typed(part, reader.value);
        typed = true;
      } else describe(part, reader);
    }
    part.body = reader.body;
    return part;
  }

  private typed(part: Open, text: string): void {
    const { value, parameters } = readParameters(text);
    const named = /^([^\s/]+)\/([^\s/]+)$/.exec(value);
    // What cannot be read is text (RFC 2045 §5.2).
    if (named === null) return;
    part.type = named[1]!.toLowerCase();
    part.subtype = named[2]!.toLowerCase();
    part.parameters = parameters;
  }
}

function empty(start: number, type: string, subtype: string): Open {
  return {
    start,
    body: start,
    end: start,
    type,
    subtype,
    parameters: [],
    encoding: '',
    disposition: null,
    id: null,
    description: null,
    md5: null,
    location: null,
    languages: [],
    parts: [],
    message: null,
  };
}

/** The first field of a name counts. */
function describe(part: Open, field: HeaderReader): void {
  switch (field.name) {
    case 'content-transfer-encoding':
      if (part.encoding === '') part.encoding = readParameters(field.value).value.toLowerCase();
      break;
    case 'content-disposition':
      if (part.disposition === null) {
        const { value, parameters } = readParameters(field.value);
        if (value !== '') part.disposition = { kind: value.toLowerCase(), parameters };
      }
      break;
    case 'content-id':
      part.id ??= field.value;
      break;
    case 'content-description':
      part.description ??= field.value;
      break;
    case 'content-md5':
      part.md5 ??= field.value;
      break;
    case 'content-location':
      part.location ??= field.value.replace(/\s+/g, '');
      break;
    case 'content-language':
      if (part.languages.length === 0)
        part.languages = field.value
          .replace(/\([^)]*\)/g, '')
          .split(',')
          .map((language) => language.trim())
          .filter((language) => language !== '');
      break;
  }
}

function onlyBlanks(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d && byte !== 0x0a) return false;
  }
  return true;
}

/** How many lines end in `bytes[start..end)`: what IMAP calls the size in lines. */
export function linesOf(bytes: Uint8Array, start: number, end: number): number {
  let lines = 0;
  for (let at = start; at < end; at++) if (bytes[at] === 0x0a) lines++;
  return lines;
}

/** The part that a section's numbers name (RFC 3501 §6.4.5): none is the message itself; null where there is none. */
export function partAt(root: Part, numbers: readonly number[]): Part | null {
  let part = root;
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index]!;
    const within = index === 0 ? root : (part.message ?? part);
    const child = within.parts[number - 1];
    if (child !== undefined) part = child;
    // What has no parts is its own part 1.
    else if (number === 1 && within.parts.length === 0 && (index === 0 || part.message !== null)) part = within;
    else return null;
  }
  return part;
}
