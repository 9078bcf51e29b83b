// Events out of bytes, as the standard's parser has them (WHATWG HTML §9.2.6): for clients, the inspector and tests. It
// knows no connection, and not what the events mean.
import { BAD, isUtf8, MORE, utf8 } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { faults } from './faults.ts';

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;

/**
 * Reads one event at a time. `read` wants all bytes of an event in one piece and answers the index behind it, MORE, or BAD
 * when it is longer than `bytesMax`. What was read stands in the fields until the next call.
 */
export class EventReader {
  /** `message` where the stream says none. */
  type = '';
  data = '';
  /** The last id that was said, by this event or one before it. */
  id = '';
  /** Whether there is an event: comments, and ids alone, are none. */
  isEvent = false;
  /** Comments in what was read, without their colon. */
  readonly comments: string[] = [];
  /** What the server last said that a client should wait before it connects again; -1 for never. */
  retryMs = -1;
  fault: Fault | null = null;
  private readonly bytesMax: number;
  /** The stream begins: a byte order mark is skipped. */
  private atStart = true;
  /** The last event ended in CR: a LF that follows belongs to it. */
  private afterCr = false;
  /** How far an event that was not whole was searched for its end, and where its last line begins; from its start. */
  private searched = 0;
  private lineStart = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  read(input: Uint8Array, start: number, end: number): number {
    const from = this.skip(input, start, end);
    if (from < 0) return MORE;
    const next = this.blockEnd(input, from, end);
    if (next < 0) {
      if (end - from <= this.bytesMax) return MORE;
      this.fault = faults.eventTooLong;
      return BAD;
    }
    this.atStart = false;
    this.searched = 0;
    this.lineStart = 0;
    this.afterCr = input[next - 1] === CR;
    this.readBlock(input, from, next);
    return next;
  }

  /** Past what belongs to no event; MORE when that is not known yet. */
  private skip(input: Uint8Array, start: number, end: number): number {
    let at = start;
    if (at === end) return MORE;
    if (this.afterCr && input[at] === LF) at++;
    if (!this.atStart) return at;
    for (let index = 0; index < 3; index++) {
      if (at + index === end) return MORE;
      if (input[at + index] !== MARK[index]) return at;
    }
    return at + 3;
  }

  /** The index behind the empty line that ends an event. */
  private blockEnd(input: Uint8Array, from: number, end: number): number {
    let lineStart = from + this.lineStart;
    let at = from + this.searched;
    for (; at < end; at++) {
      const byte = input[at]!;
      if (byte !== LF && byte !== CR) continue;
      const isEmpty = at === lineStart;
      // A CR at the very end may have its LF still to come: an empty line ends both ways, another is looked at again.
      if (byte === CR && at + 1 === end && !isEmpty) break;
      if (byte === CR && at + 1 < end && input[at + 1] === LF) at++;
      if (isEmpty) return at + 1;
      lineStart = at + 1;
    }
    this.searched = at - from;
    this.lineStart = lineStart - from;
    return MORE;
  }

  private readBlock(input: Uint8Array, from: number, next: number): void {
    this.type = 'message';
    this.data = '';
    this.isEvent = false;
    this.comments.length = 0;
    let lineStart = from;
    for (let at = from; at < next; at++) {
      const byte = input[at]!;
      if (byte !== LF && byte !== CR) continue;
      this.line(input, lineStart, at);
      if (byte === CR && at + 1 < next && input[at + 1] === LF) at++;
      lineStart = at + 1;
    }
    // Each line of data adds a line feed, and the last is none of the data's (§9.2.6, dispatch).
    if (this.isEvent) this.data = this.data.slice(0, -1);
  }

  private line(input: Uint8Array, start: number, end: number): void {
    if (start === end) return;
    let colon = start;
    while (colon < end && input[colon] !== COLON) colon++;
    const valueStart = colon + (input[colon + 1] === 0x20 && colon + 1 < end ? 2 : 1);
    const value = valueStart < end ? textOf(input, valueStart, end) : '';
    if (colon === start) {
      this.comments.push(value);
      return;
    }
    switch (utf8(input, start, colon)) {
      case 'data':
        this.data += `${value}\n`;
        this.isEvent = true;
        break;
      case 'event':
        this.type = value === '' ? 'message' : value;
        break;
      case 'id':
        if (!value.includes('\0')) this.id = value;
        break;
      case 'retry':
        if (/^[0-9]+$/.test(value)) this.retryMs = Number(value);
        break;
      default:
      // Other fields are ignored.
    }
  }
}

/** A byte order mark (RFC 3629 §6). */
const MARK = [0xef, 0xbb, 0xbf];

/** Text as the standard decodes it: what is not UTF-8 is replaced. */
function textOf(input: Uint8Array, start: number, end: number): string {
  if (isUtf8(input, start, end)) return utf8(input, start, end);
  return Buffer.from(input.subarray(start, end)).toString('utf8');
}
