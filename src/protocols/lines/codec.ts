// Reads commands out of borrowed bytes by offset: a line over a stream, or a whole datagram. It knows what may stand in a
// command, and neither topics nor what becomes of it.
import { BAD, isUtf8, latin1, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { faults } from './faults.ts';
import { readToken } from './token.ts';
import * as W from './words.ts';

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const BANG = 0x21;

/** The first byte of a TLS record that holds a handshake (RFC 8446 §5.1). No command begins with it. */
const TLS_HANDSHAKE = 0x16;

/** The most letters of a verb. */
const LETTERS_MAX = 5;

export interface ReaderBounds {
  readonly lineBytesMax: number;
  readonly payloadBytesMax: number;
}

export const NOT_UTF8 = 'this is not UTF-8: PUBB takes any bytes';
export const BAD_ESCAPE = 'a % is not followed by the two digits of UTF-8: write it %25';
const TOO_MUCH = 'there is more behind it than belongs there';
const NO_TOPIC = 'there is no topic';
const NO_FILTER = 'there is no filter';

/**
 * One command at a time. Positions are those of the input that was read last:
 *   verb ['!'] [SP topic [SP payload]]
 */
export class CommandReader {
  verb: number = W.NOTHING;
  /** Success is answered as well. */
  loud = false;
  /** The word behind the verb: a topic, a filter, a name. */
  topicStart = 0;
  topicEnd = 0;
  payloadStart = 0;
  payloadEnd = 0;
  /** Raw bytes that follow the line. */
  length = 0;
  /** What of a subscription was asked for; -1 and '' for nothing. */
  after = -1;
  encoding: W.Encoding = 'auto';
  leaseSeconds = -1;
  nonce = '';
  /** Why the command cannot be done; '' when it can. */
  wrong = '';
  fault: Fault | null = null;
  private readonly bounds: ReaderBounds;
  /** No line was read yet: what does not look like Lines ends the connection. */
  private first = true;
  /** Bytes of an unfinished line that were looked at already, and whether one of them was no ASCII. */
  private scanned = 0;
  private high = 0;

  constructor(bounds: ReaderBounds) {
    this.bounds = bounds;
  }

  /** Whether a line was begun and not ended. */
  get isWithin(): boolean {
    return this.scanned > 0;
  }

  /** Reads one line of `input[start..end)`; answers the index behind its line feed, MORE, or BAD with the fault set. */
  read(input: Uint8Array, start: number, end: number): number {
    let { high } = this;
    let at = start + this.scanned;
    let byte = 0;
    while (at < end && (byte = input[at]!) !== LF) {
      high |= byte;
      at++;
    }
    if (this.first && at > start && input[start] === TLS_HANDSHAKE) return this.refuse(faults.tls);
    if (at - start > this.bounds.lineBytesMax) return this.refuse(faults.lineTooLong);
    if (at === end) {
      this.scanned = at - start;
      this.high = high;
      return MORE;
    }
    this.scanned = 0;
    this.high = 0;
    const stop = at > start && input[at - 1] === CR ? at - 1 : at;
    this.parse(input, start, stop);
    if (this.first && !this.begin(input, start, stop)) return BAD;
    if (this.fault !== null) return BAD;
    if (high > 0x7f && !isUtf8(input, start, stop)) this.wrong = NOT_UTF8;
    return at + 1;
  }

  /** Reads a whole datagram; false for one that is no command. A payload of PUB and PUT may have any bytes. */
  readDatagram(input: Uint8Array, start: number, end: number): boolean {
    let stop = end;
    if (stop > start && input[stop - 1] === LF) stop--;
    if (stop > start && stop < end && input[stop - 1] === CR) stop--;
    this.parse(input, start, stop);
    if (this.verb === W.PUBB || this.verb === W.PUTB) this.readBody(input, start, end);
    if (this.verb <= W.UNHEARD || this.fault !== null) return false;
    const inPayload = this.verb === W.PUB || this.verb === W.PUT || W.hasBody(this.verb);
    const textEnd = inPayload ? this.topicEnd : stop;
    if (!isUtf8(input, start, textEnd)) this.wrong = NOT_UTF8;
    for (let at = start; at < textEnd; at++) if (input[at]! < SPACE) this.wrong = 'one command a datagram';
    return true;
  }

  /** The raw bytes of a datagram, behind its first line. */
  private readBody(input: Uint8Array, start: number, end: number): void {
    const at = input.indexOf(LF, start);
    if (at < 0 || at >= end) {
      this.fault = faults.badLength;
      return;
    }
    this.parse(input, start, input[at - 1] === CR ? at - 1 : at);
    if (this.fault !== null) return;
    this.payloadStart = at + 1;
    this.payloadEnd = at + 1 + this.length;
    if (this.payloadEnd <= end) return;
    this.payloadEnd = end;
    this.wrong = 'the datagram is shorter than it says';
  }

  private refuse(fault: Fault): number {
    this.fault = fault;
    return BAD;
  }

  /** The first line must be a command and must not be HTTP's: a web page could have had it sent. */
  private begin(input: Uint8Array, start: number, stop: number): boolean {
    if (this.verb === W.NOTHING) return true;
    this.first = false;
    if (endsAsHttp(input, start, stop)) this.fault = faults.http;
    else if (this.verb === W.UNHEARD) this.fault = faults.firstUnknown;
    return this.fault === null;
  }

  /** Sets the fields from a line without its end. */
  private parse(input: Uint8Array, start: number, stop: number): void {
    this.wrong = '';
    this.fault = null;
    this.length = 0;
    this.loud = false;
    if (start === stop) {
      this.verb = W.NOTHING;
      return;
    }
    let at = start;
    let code = 0;
    for (; at < stop; at++) {
      const letter = input[at]! | 0x20;
      if (letter < 0x61 || letter > 0x7a || at - start === LETTERS_MAX) break;
      code = code * 32 + (letter & 31);
    }
    if (at < stop && input[at] === BANG) {
      this.loud = true;
      at++;
    }
    const verb = at === stop || input[at] === SPACE ? W.VERB_OF.get(code) : undefined;
    this.verb = verb ?? W.UNHEARD;
    // Behind the verb's space, or at the end.
    this.word(input, at < stop ? at + 1 : at, stop);
    if (verb === undefined) {
      if (latin1(input, start, Math.min(stop, start + 7)) === '--json') this.verb = W.JSON_MODE;
    } else if (verb > W.PUT) this.arguments(input, stop);
    else if (this.topicStart === this.topicEnd) this.wrong = NO_TOPIC;
  }

  /** The word at `at`, and what follows behind one space. */
  private word(input: Uint8Array, at: number, stop: number): void {
    this.topicStart = at;
    while (at < stop && input[at] !== SPACE) at++;
    this.topicEnd = at;
    this.payloadStart = at < stop ? at + 1 : at;
    this.payloadEnd = stop;
  }

  private arguments(input: Uint8Array, stop: number): void {
    const missing = this.topicStart === this.topicEnd;
    switch (this.verb) {
      case W.PUBB:
      case W.PUTB:
        this.readLength(input);
        if (missing) this.wrong = NO_TOPIC;
        return;
      case W.SUB:
      case W.LAST:
        this.options(latin1(input, this.payloadStart, stop));
        if (missing) this.wrong = this.verb === W.SUB ? NO_FILTER : NO_TOPIC;
        return;
      case W.NAME:
        if (missing) this.wrong = 'there is no name';
        return;
      case W.UNSUB:
        this.options(latin1(input, this.payloadStart, stop));
        if (this.after >= 0 || this.leaseSeconds >= 0 || this.encoding !== 'auto') this.wrong = TOO_MUCH;
        if (missing) this.wrong = NO_FILTER;
        return;
      case W.DEL:
        if (missing) this.wrong = NO_TOPIC;
        else this.nothingMore(input, this.payloadStart);
        return;
      case W.SLOW:
        this.nothingMore(input, this.payloadStart);
        return;
      default:
        this.nothingMore(input, this.topicStart);
    }
  }

  private nothingMore(input: Uint8Array, start: number): void {
    for (let at = start; at < this.payloadEnd; at++)
      if (input[at] !== SPACE) {
        this.wrong = TOO_MUCH;
        return;
      }
  }

  /** A length that cannot be read leaves nobody knowing where the next command begins. */
  private readLength(input: Uint8Array): void {
    const { payloadStart, payloadEnd } = this;
    const digits = payloadEnd - payloadStart;
    if (digits === 0 || digits > 9) {
      this.fault = faults.badLength;
      return;
    }
    let length = 0;
    for (let at = payloadStart; at < payloadEnd; at++) {
      const digit = input[at]! - 0x30;
      if (digit < 0 || digit > 9) {
        this.fault = faults.badLength;
        return;
      }
      length = length * 10 + digit;
    }
    if (length > this.bounds.payloadBytesMax) this.fault = faults.payloadTooLong;
    this.length = length;
  }

  private options(text: string): void {
    this.after = -1;
    this.encoding = 'auto';
    this.leaseSeconds = -1;
    this.nonce = '';
    for (const option of text.split(' ')) {
      if (option === '') continue;
      const equals = option.indexOf('=');
      if (equals < 0 || !this.option(option.slice(0, equals).toLowerCase(), option.slice(equals + 1))) {
        this.wrong = 'options are after=<cursor>, encoding=base64|raw, and over UDP lease=<seconds>, nonce=<nonce>';
        return;
      }
    }
  }

  private option(name: string, value: string): boolean {
    switch (name) {
      case 'after':
        this.after = wholeNumber(value, 16);
        return this.after >= 0;
      case 'lease':
        this.leaseSeconds = wholeNumber(value, 9);
        return this.leaseSeconds >= 0;
      case 'encoding':
        if (value !== 'auto' && value !== 'base64' && value !== 'raw') return false;
        this.encoding = value;
        return true;
      case 'nonce':
        this.nonce = value;
        return /^[0-9a-f]{1,64}$/.test(value);
      default:
        return false;
    }
  }
}

/** A number of at most so many digits, or -1. */
function wholeNumber(text: string, digitsMax: number): number {
  if (text.length > digitsMax || !/^\d+$/.test(text)) return -1;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : -1;
}

/** The words behind NAME: a name and perhaps a password, each one word. */
export function readNames(input: Uint8Array, reader: CommandReader): [name: string, password: string | null] | null {
  const name = readToken(input, reader.topicStart, reader.topicEnd);
  let { payloadEnd } = reader;
  while (payloadEnd > reader.payloadStart && input[payloadEnd - 1] === SPACE) payloadEnd--;
  const given = payloadEnd > reader.payloadStart;
  const password = given ? readToken(input, reader.payloadStart, payloadEnd) : null;
  return name === null || (given && password === null) ? null : [name, password];
}

/** Whether a line ends in ` HTTP/1.1` or the like (RFC 9112 §2.3). */
function endsAsHttp(input: Uint8Array, start: number, stop: number): boolean {
  return stop - start >= 9 && / HTTP\/\d\.\d$/i.test(latin1(input, stop - 9, stop));
}

/** Whether first bytes are those of Lines: a verb, then a space, `!` or the end of the line. Null for too few. */
export function beginsWithCommand(bytes: Uint8Array, start: number, end: number): boolean | null {
  let at = start;
  let code = 0;
  for (; at < end; at++) {
    const letter = bytes[at]! | 0x20;
    if (letter < 0x61 || letter > 0x7a || at - start > LETTERS_MAX) break;
    code = code * 32 + (letter & 31);
  }
  if (at === end) return at - start > LETTERS_MAX ? false : null;
  const next = bytes[at]!;
  if (next !== SPACE && next !== BANG && next !== LF && next !== CR) return false;
  const verb = W.VERB_OF.get(code);
  if (verb !== W.PUT || next !== SPACE) return verb !== undefined;
  // HTTP has a PUT as well: its target begins with a slash, as a topic hardly does.
  return at + 1 === end ? null : bytes[at + 1] !== 0x2f;
}
