// A message on its way out: with its dots doubled and a dot behind it (RFC 5321 §4.5.2), or as one chunk (RFC 3030).
import { FAILED, OK, type Outcome } from '../../core/outcome.ts';
import type { Pipe } from '../../core/pipe.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { OutgoingMessage } from './client-terms.ts';

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;

export class OutgoingBody implements Sink {
  /** Bytes that the network took, as of when that was looked at last: whether it goes on. */
  seen = 0;
  private readonly pipe: Pipe;
  private readonly message: OutgoingMessage;
  private readonly dots: boolean;
  private readonly ended: (outcome: Outcome) => void;
  private reading: Reading | null = null;
  private taken = 0;
  /** The next byte begins a line. */
  private isLineStart = true;
  private last = 0;
  private over = false;

  /** @param ended told once: OK when all was written, with its end; else why it cannot be sent */
  constructor(pipe: Pipe, message: OutgoingMessage, dots: boolean, ended: (outcome: Outcome) => void) {
    this.pipe = pipe;
    this.message = message;
    this.dots = dots;
    this.ended = ended;
  }

  begin(): void {
    const reading = this.message.read(this);
    if (this.over) reading.stop();
    else this.reading = reading;
  }

  /** The network has taken some. */
  more(): void {
    this.reading?.more();
  }

  stop(): void {
    this.over = true;
    this.reading?.stop();
    this.reading = null;
  }

  // ---- Sink --------------------------------------------------------------------------------------------------------

  get room(): number {
    return this.over ? 0 : this.pipe.room;
  }

  bytes(data: Uint8Array, start: number, end: number): void {
    if (this.over) return;
    this.taken += end - start;
    // More than was announced would be read as commands.
    if (this.taken > this.message.size) {
      this.finish(FAILED);
      return;
    }
    if (this.dots) this.stuff(data, start, end);
    else this.pipe.out.copy(data, start, end);
    if (end > start) this.last = data[end - 1]!;
    this.pipe.flush();
  }

  end(outcome: Outcome): void {
    if (this.over) return;
    if (outcome !== OK || this.taken !== this.message.size) {
      this.finish(outcome === OK ? FAILED : outcome);
      return;
    }
    if (this.dots) this.pipe.out.ascii(this.isLineStart ? '.\r\n' : this.last === CR ? '\n.\r\n' : '\r\n.\r\n');
    this.pipe.flush();
    this.finish(OK);
  }

  private finish(outcome: Outcome): void {
    this.over = true;
    this.reading = null;
    this.ended(outcome);
  }

  private stuff(data: Uint8Array, start: number, end: number): void {
    const { out } = this.pipe;
    let from = start;
    let at = start;
    while (at < end) {
      if (this.isLineStart && data[at] === DOT) {
        out.copy(data, from, at);
        out.u8(DOT);
        from = at;
      }
      const found = data.indexOf(LF, at);
      const lineEnd = found < 0 || found >= end ? end : found + 1;
      this.isLineStart = found >= 0 && found < end;
      at = lineEnd;
    }
    out.copy(data, from, end);
  }
}
