// Reads what a server says: answers, messages and gaps, line by line or a datagram at a time. For clients and for the
// inspector; it knows the text form, not the JSON one.
import { BAD, MORE, utf8 } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { FAILED, type Outcome } from '../../core/outcome.ts';
import { replyFaults } from './faults.ts';
import { readToken } from './token.ts';
import { outcomeOf } from './words.ts';

const LF = 0x0a;
const SPACE = 0x20;

/** `+OK …`, `+PONG`, `+BYE`, a line of help. */
export const REPLY = 0;
export const ERROR = 1;
/** The payload stands in the line, in `payload`. */
export const MESSAGE = 2;
/** `length` raw bytes and a line feed follow. */
export const MESSAGE_HEAD = 3;
export const GAP = 4;
export const CHALLENGE = 5;
export const TOO_BIG = 6;
export type ReplyKind =
  | typeof REPLY
  | typeof ERROR
  | typeof MESSAGE
  | typeof MESSAGE_HEAD
  | typeof GAP
  | typeof CHALLENGE
  | typeof TOO_BIG;

/** The longest line of a server: clients ask for raw bytes, so that lines with messages are short. */
const LINE_BYTES_MAX = 65_000;

export class ReplyReader {
  kind: ReplyKind = REPLY;
  /** A topic, a filter, or what a `+OK` repeats. */
  topic = '';
  payload: Buffer | null = null;
  length = 0;
  /** The number of a `+OK`; the cursor of a message; the `after` of a gap. */
  value = 0;
  /** A gap's next cursor. */
  from = 0;
  outcome: Outcome = FAILED;
  /** The command that an error names, the word behind `+`, or the nonce. */
  word = '';
  text = '';
  fault: Fault | null = null;
  private scanned = 0;

  /** Reads one line; answers the index behind its line feed, MORE, or BAD with the fault set. */
  read(input: Uint8Array, start: number, end: number): number {
    let at = start + this.scanned;
    while (at < end && input[at] !== LF) at++;
    if (at - start > LINE_BYTES_MAX) return this.refuse();
    if (at === end) {
      this.scanned = at - start;
      return MORE;
    }
    this.scanned = 0;
    return this.parse(input, start, at) ? at + 1 : this.refuse();
  }

  private refuse(): number {
    this.fault = replyFaults.badReply;
    return BAD;
  }

  /** Sets the fields from `input[start..stop)`, a line or datagram without its last line feed; false for what is neither. */
  parse(input: Uint8Array, start: number, stop: number): boolean {
    let at = start;
    while (at < stop && input[at] !== SPACE) at++;
    const first = utf8(input, start, at);
    const sign = first.charCodeAt(0);
    const rest = Math.min(stop, at + 1);
    this.value = 0;
    if (sign === 0x2b) return this.reply(first.slice(1), utf8(input, rest, stop));
    if (sign === 0x2d) return first === '-ERR' && this.error(utf8(input, rest, stop));
    switch (first) {
      case 'MSGB':
      case 'B64':
      case 'GAP':
      case 'CHALLENGE':
      case 'TOOBIG':
        return this.special(first, utf8(input, rest, stop).split(' '));
    }
    const topic = at === stop ? null : readToken(input, start, at);
    if (topic === null || topic === '') return false;
    this.kind = MESSAGE;
    this.topic = topic;
    this.payload = Buffer.from(input.subarray(rest, stop));
    return true;
  }

  private reply(word: string, rest: string): boolean {
    this.kind = REPLY;
    this.word = word;
    this.text = rest;
    if (word !== 'OK') return true;
    const space = rest.indexOf(' ');
    this.value = space < 0 ? Number(rest) : Number(rest.slice(0, space));
    return (space < 0 || this.about(rest.slice(space + 1))) && Number.isSafeInteger(this.value);
  }

  private error(rest: string): boolean {
    const [outcome = '', command = '', ...text] = rest.split(' ');
    this.kind = ERROR;
    this.outcome = outcomeOf(outcome);
    this.word = command;
    this.text = text.join(' ');
    return command !== '';
  }

  /** Takes a word as the topic. */
  private about(word: string): boolean {
    const bytes = Buffer.from(word);
    const topic = readToken(bytes, 0, bytes.length);
    this.topic = topic ?? '';
    return this.topic !== '';
  }

  private special(first: string, parts: readonly string[]): boolean {
    if (first === 'CHALLENGE') {
      this.kind = CHALLENGE;
      this.word = parts[0]!;
      return parts.length === 1 && this.word !== '';
    }
    if (!this.about(parts[0]!)) return false;
    if (first === 'B64') {
      this.kind = MESSAGE;
      this.payload = Buffer.from(parts[1] ?? '', 'base64');
      return parts.length === 2;
    }
    const numbers = parts.slice(1).map(Number);
    if (numbers.some((number) => !Number.isSafeInteger(number) || number < 0)) return false;
    const [one = -1, two = -1] = numbers;
    if (first === 'GAP') {
      this.kind = GAP;
      this.value = one;
      this.from = two;
      return numbers.length === 2;
    }
    this.kind = first === 'MSGB' ? MESSAGE_HEAD : TOO_BIG;
    this.length = one;
    this.value = Math.max(0, two);
    return numbers.length === (first === 'MSGB' ? 2 : 1);
  }
}
