// A request's body as a whole, where it is small enough to be one.
import type { BodyReader, Exchange } from '../../core/exchange.ts';
import { answerProblem } from './answers.ts';
import { decodeBody } from './coding.ts';

/** Reads the body up to a bound. What is longer is answered with 413, and `whole` is not called. */
class Collector implements BodyReader {
  private readonly exchange: Exchange;
  private readonly bytesMax: number;
  private readonly whole: (body: Buffer) => void;
  private parts: Buffer[] = [];
  private length = 0;
  private over = false;

  constructor(exchange: Exchange, bytesMax: number, whole: (body: Buffer) => void) {
    this.exchange = exchange;
    this.bytesMax = bytesMax;
    this.whole = whole;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    if (this.over) return end;
    this.length += end - start;
    if (this.length > this.bytesMax) {
      this.over = true;
      this.parts = [];
      answerProblem(this.exchange, 413, `The body is longer than ${this.bytesMax} bytes.`);
    } else this.parts.push(Buffer.from(input.subarray(start, end)));
    return end;
  }

  trailers(): void {}

  finish(): void {
    if (this.over) return;
    this.over = true;
    const { parts } = this;
    this.whole(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
  }

  lost(): void {
    this.over = true;
    this.parts = [];
  }
}

/**
 * Reads the whole body of a request, which is the caller's own; `whole` is called within `finish` of the body. A body
 * that is longer than `bytesMax`, or says so beforehand, is answered with 413. It comes without its Content-Encoding.
 */
export function collectBody(exchange: Exchange, bytesMax: number, whole: (body: Buffer) => void): void {
  const length = Number(exchange.fields.get('content-length') ?? 0);
  if (length > bytesMax) answerProblem(exchange, 413, `The body is longer than ${bytesMax} bytes.`);
  else decodeBody(exchange, new Collector(exchange, bytesMax, whole), bytesMax);
}
