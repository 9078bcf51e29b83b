// Reads lines out of borrowed bytes by offset. A line that is too long is skipped to its end, so that it can be answered and
// the conversation goes on. It knows no command.
import { MORE } from '../../bytes/reader.ts';

const LF = 0x0a;
const CR = 0x0d;

/** A line, from `start` to `stop`. */
export const LINE = 0;
/** The end of a line that was longer than may be. */
export const LONG = 1;
/** Bytes of such a line: there is nothing to do about them. */
export const SKIPPED = 2;
export type LineKind = typeof LINE | typeof LONG | typeof SKIPPED;

export class LineReader {
  kind: LineKind = LINE;
  /** Of the last line, without its end; positions in the input that was read last. */
  start = 0;
  stop = 0;
  /** It ended with a line feed alone. */
  isBare = false;
  /** All its bytes, one over the other: above 0x7f, one of them is no ASCII. */
  high = 0;
  private readonly bytesMax: number;
  /** Bytes of an unfinished line that were looked at already. */
  private scanned = 0;
  private seen = 0;
  private skipping = false;

  /** @param bytesMax of a line without its end */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Whether a line was begun and not ended. */
  get isWithin(): boolean {
    return this.scanned > 0 || this.skipping;
  }

  /** Reads to the end of a line; answers the index behind it, or MORE. */
  read(input: Uint8Array, start: number, end: number): number {
    let high = this.seen;
    let at = start + this.scanned;
    let byte = 0;
    while (at < end && (byte = input[at]!) !== LF) {
      high |= byte;
      at++;
    }
    const isWhole = at < end;
    // The carriage return of a line that has its full length may be there before its line feed.
    const isLong = at - start - (at > start && input[at - 1] === CR ? 1 : 0) > this.bytesMax;
    if (this.skipping || isLong) return this.skip(at, isWhole);
    if (!isWhole) {
      this.scanned = at - start;
      this.seen = high;
      return MORE;
    }
    this.scanned = 0;
    this.seen = 0;
    this.high = high;
    this.kind = LINE;
    this.isBare = at === start || input[at - 1] !== CR;
    this.start = start;
    this.stop = this.isBare ? at : at - 1;
    return at + 1;
  }

  /** Reads the line that was read last again: it has to wait. */
  again(): void {
    this.scanned = 0;
    this.seen = 0;
  }

  private skip(at: number, isWhole: boolean): number {
    this.scanned = 0;
    this.seen = 0;
    this.skipping = !isWhole;
    this.kind = isWhole ? LONG : SKIPPED;
    return isWhole ? at + 1 : at;
  }
}
