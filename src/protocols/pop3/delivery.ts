// Sends a message at the reader's pace, as a multi-line response (RFC 1939 §3): lines that begin with a dot get another, and a
// line with a dot alone ends it. Large pieces are shared, not copied.
import { view } from '../../bytes/reader.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import type { Pipe } from '../../core/pipe.ts';
import type { Reading, Sink } from '../../core/sink.ts';

const LF = 0x0a;
const CR = 0x0d;
const DOT = 0x2e;
const ALL = -1;

export class Delivery implements Sink {
  private readonly pipe: Pipe;
  private readonly first: string;
  private readonly told: (outcome: Outcome, begun: boolean) => void;
  /** Lines of the body that are still wanted, or ALL. */
  private lines: number;
  private reading: Reading | null = null;
  private begun = false;
  private over = false;
  private atLineStart = true;
  /** TOP: the empty line that closes the header was not seen yet. */
  private inHeader = true;
  private lineBytes = 0;
  private last = 0;
  private beforeLast = 0;

  /**
   * @param first the status line, sent before the first byte
   * @param lines of the body, for TOP; -1 for all of the message
   * @param told once; `begun`: the status line was sent, and something of the message may have been
   */
  constructor(pipe: Pipe, first: string, lines: number, told: (outcome: Outcome, begun: boolean) => void) {
    this.pipe = pipe;
    this.first = first;
    this.lines = lines;
    this.told = told;
  }

  from(reading: Reading): void {
    if (this.over) reading.stop();
    else this.reading = reading;
  }

  /** The pipe has room again. */
  more(): void {
    if (!this.over) this.reading?.more();
  }

  stop(): void {
    this.over = true;
    this.reading?.stop();
  }

  get room(): number {
    return this.over ? 0 : this.pipe.room;
  }

  bytes(data: Uint8Array, start: number, end: number): void {
    if (this.over || start === end) return;
    this.begin();
    const buffer = view(data, 0, data.length);
    if (this.lines === ALL) this.stuffed(buffer, start, end);
    else this.counted(buffer, start, end);
    this.pipe.flush();
  }

  private begin(): void {
    if (this.begun) return;
    this.begun = true;
    this.pipe.out.ascii(this.first);
  }

  /**
   * A dot after any line feed gets another: most clients end lines at a line feed alone, and one of those must not find the end
   * within a message.
   */
  private stuffed(data: Buffer, start: number, end: number): void {
    let from = start;
    if (this.atLineStart && data[start] === DOT) this.pipe.out.u8(DOT);
    let at = start;
    for (;;) {
      const found = data.indexOf('\n.', at, 'latin1');
      if (found < 0 || found + 1 >= end) break;
      this.pipe.share(data, from, found + 1);
      this.pipe.out.u8(DOT);
      from = found + 1;
      at = from;
    }
    this.pipe.share(data, from, end);
    this.atLineStart = data[end - 1] === LF;
    this.beforeLast = end - start > 1 ? data[end - 2]! : this.last;
    this.last = data[end - 1]!;
  }

  /** The header and so many lines of the body. */
  private counted(data: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (!this.inHeader && this.lines === 0) {
        this.finish();
        return;
      }
      const found = data.indexOf(LF, at);
      const isWhole = found >= 0 && found < end;
      const stop = isWhole ? found + 1 : end;
      const size = this.lineBytes + stop - at;
      this.lineBytes = isWhole ? 0 : size;
      const before = stop - at > 1 ? data[stop - 2]! : this.last;
      this.stuffed(data, at, stop);
      if (isWhole) {
        if (!this.inHeader) this.lines--;
        else if (size === 1 || (size === 2 && before === CR)) this.inHeader = false;
      }
      at = stop;
    }
    if (!this.inHeader && this.lines === 0) this.finish();
  }

  private finish(): void {
    this.reading?.stop();
    this.end(OK);
  }

  end(outcome: Outcome): void {
    if (this.over) return;
    this.over = true;
    if (outcome === OK) {
      this.begin();
      const { out } = this.pipe;
      if (!this.atLineStart) out.ascii('\r\n');
      else if (this.last === LF && this.beforeLast !== CR) {
        // It ended with a line feed alone: some clients wait for CR LF before the dot.
        out.ascii('\r\n');
      }
      out.ascii('.\r\n');
    }
    this.told(outcome, this.begun);
  }
}
