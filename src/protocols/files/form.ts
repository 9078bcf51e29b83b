// A form as it comes (RFC 7578 over RFC 2046 §5.1): the parts between boundaries, whose bytes are handed on without being
// gathered. It knows no file.
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { faults } from './faults.ts';

export interface PartHead {
  /** Of the field. */
  readonly name: string;
  /** Null for what is no file. */
  readonly filename: string | null;
}

export interface FormParts {
  begin(head: PartHead): void;
  /** Answers how much was taken. */
  bytes(input: Uint8Array, start: number, end: number): number;
  end(): void;
}

const CRLF2 = Buffer.from('\r\n\r\n');

/** The boundary that a Content-Type names; null when it is no form or names none. */
export function boundaryOf(type: string | null): string | null {
  const found = /^\s*multipart\/form-data\s*;(.*)$/is.exec(type ?? '');
  const boundary = /(?:^|;)\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;]{1,70}))/i.exec(found?.[1] ?? '');
  return boundary?.[1] ?? boundary?.[2] ?? null;
}

export class FormReader {
  fault: Fault | null = null;
  isDone = false;
  private readonly delimiter: Buffer;
  private readonly headBytesMax: number;
  private readonly partsMax: number;
  private readonly parts: FormParts;
  private state: 'preamble' | 'head' | 'body' | 'between' = 'preamble';
  private count = 0;

  constructor(boundary: string, headBytesMax: number, partsMax: number, parts: FormParts) {
    this.delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
    this.headBytesMax = headBytesMax;
    this.partsMax = partsMax;
    this.parts = parts;
  }

  /** One step: the next index, MORE when it needs more bytes than there are or has no room for them, or BAD. */
  read(input: Buffer, start: number, end: number): number {
    return this.isDone ? end : this.step(input, start, end);
  }

  private bad(fault: Fault): typeof BAD {
    this.fault = fault;
    return BAD;
  }

  private step(input: Buffer, at: number, end: number): number {
    switch (this.state) {
      case 'preamble':
        return this.preamble(input, at, end);
      case 'between':
        return this.between(input, at, end);
      case 'head':
        return this.head(input, at, end);
      default:
        return this.body(input, at, end);
    }
  }

  /** The first delimiter has no line before it. */
  private preamble(input: Buffer, at: number, end: number): number {
    const first = this.delimiter.subarray(2);
    if (end - at < first.length) return MORE;
    if (first.compare(input, at, at + first.length) !== 0) return this.bad(faults.badForm);
    this.state = 'between';
    return at + first.length;
  }

  /** Behind a delimiter: a line's end, or `--` at the end of all. */
  private between(input: Buffer, at: number, end: number): number {
    if (end - at < 2) return MORE;
    if (input[at] === 0x2d && input[at + 1] === 0x2d) {
      this.isDone = true;
      return end;
    }
    if (input[at] !== 0x0d || input[at + 1] !== 0x0a) return this.bad(faults.badForm);
    if (++this.count > this.partsMax) return this.bad(faults.manyParts);
    this.state = 'head';
    return at + 2;
  }

  private head(input: Buffer, at: number, end: number): number {
    const found = input.subarray(at, end).indexOf(CRLF2);
    if (found < 0) return end - at > this.headBytesMax ? this.bad(faults.longPart) : MORE;
    if (found > this.headBytesMax) return this.bad(faults.longPart);
    const head = headOf(input.toString('utf8', at, at + found));
    if (head === null) return this.bad(faults.badForm);
    this.state = 'body';
    this.parts.begin(head);
    // The delimiter's own line end may follow at once.
    return at + found + 4;
  }

  private body(input: Buffer, at: number, end: number): number {
    const { delimiter } = this;
    const found = input.subarray(at, end).indexOf(delimiter);
    if (found === 0) {
      this.state = 'between';
      this.parts.end();
      return at + delimiter.length;
    }
    // What may be the beginning of a delimiter waits for more.
    const upTo = found > 0 ? at + found : end - (delimiter.length - 1);
    if (upTo <= at) return MORE;
    const took = this.parts.bytes(input, at, upTo);
    return took === 0 ? MORE : at + took;
  }
}

/** Content-Disposition of a part (RFC 7578 §4.2); names as browsers write them, quotes as %22. */
function headOf(text: string): PartHead | null {
  const line = /(?:^|\r\n)content-disposition\s*:\s*form-data\s*;([^\r\n]*)/i.exec(text)?.[1];
  if (line === undefined) return null;
  const name = parameter(line, 'name');
  return name === null ? null : { name, filename: parameter(line, 'filename') };
}

function parameter(line: string, name: string): string | null {
  const found = new RegExp(`(?:^|[;\\s])${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;]+))`, 'i').exec(line);
  const text = found?.[1] ?? found?.[2];
  return text === undefined
    ? null
    : text
        .replace(/\\(["\\])/g, '$1')
        .replace(/%22/g, '"')
        .replace(/%0D%0A|%0A|%0D/gi, '');
}
