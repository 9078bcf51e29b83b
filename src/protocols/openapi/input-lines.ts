// Inputs of a stream in a request's body: a JSON value a line (NDJSON), taken as they come and held back while the handler has
// enough.
import { view } from '../../bytes/reader.ts';
import type { BodyReader } from '../../core/exchange.ts';
import { faults } from './faults.ts';

const LF = 0x0a;

export interface LineTaker {
  /** How many more are taken for now. */
  room(): number;
  /** There is none: the body is not read on until it is resumed. */
  hold(): void;
  line(json: unknown): void;
  end(): void;
  wrong(fault: (typeof faults)[keyof typeof faults], detail: string): void;
  lost(): void;
}

export class InputLines implements BodyReader {
  private readonly lineBytesMax: number;
  private readonly taker: LineTaker;
  /** The beginning of a line whose end has not come. */
  private parts: Buffer[] = [];
  private length = 0;
  private over = false;

  constructor(lineBytesMax: number, taker: LineTaker) {
    this.lineBytesMax = lineBytesMax;
    this.taker = taker;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && !this.over) {
      if (this.taker.room() === 0) {
        this.taker.hold();
        return at;
      }
      const feed = input.indexOf(LF, at);
      const stop = feed < 0 || feed >= end ? end : feed;
      if (this.length + stop - at > this.lineBytesMax) {
        this.over = true;
        this.taker.wrong(faults.lineTooLong, '');
        return end;
      }
      this.parts.push(Buffer.from(view(input, at, stop)));
      this.length += stop - at;
      at = stop;
      if (stop === end) break;
      at++;
      this.take();
    }
    return at < end && !this.over ? at : end;
  }

  private take(): void {
    const text = Buffer.concat(this.parts, this.length).toString().trim();
    this.parts = [];
    this.length = 0;
    if (text === '') return;
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      this.over = true;
      this.taker.wrong(faults.notJson, (error as Error).message);
      return;
    }
    this.taker.line(json);
  }

  trailers(): void {}

  finish(): void {
    if (this.over) return;
    this.take();
    if (this.over) return;
    this.over = true;
    this.taker.end();
  }

  lost(): void {
    if (!this.over) this.taker.lost();
    this.over = true;
  }
}
