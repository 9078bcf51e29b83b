// The body of a request as the bytes of a file on its way in: taken at the pace of the disk, kept for later when the client
// goes away.
import type { BodyReader, Exchange } from '../../core/exchange.ts';
import { OK } from '../../core/outcome.ts';
import { NEVER } from '../../core/time.ts';
import type { IncomingFile } from '../../resources/files/contract.ts';

export interface IntakeEnds {
  /** All of it has been taken, or the file is in trouble, or `stop` was called; answer now. */
  ended(isWhole: boolean): void;
  /** The client is gone. */
  lost(): void;
}

/** Holds the body until there is a file for it. */
export class Intake implements BodyReader {
  came = 0;
  private readonly exchange: Exchange;
  private readonly ends: IntakeEnds;
  private file: IncomingFile | null = null;
  private isOver = false;
  private isIn = false;
  /** Told of each stretch before it is written. */
  private readonly passing: ((input: Uint8Array, start: number, end: number) => void) | null;

  constructor(
    exchange: Exchange,
    ends: IntakeEnds,
    passing: ((input: Uint8Array, start: number, end: number) => void) | null = null,
  ) {
    this.exchange = exchange;
    this.ends = ends;
    this.passing = passing;
    exchange.deadline = NEVER;
    exchange.on = {
      writable() {},
      tick() {},
      leave() {},
      lost: () => this.lose(),
    };
    exchange.body(this);
    exchange.pause();
  }

  /** Where the bytes go from now on. */
  into(file: IncomingFile): void {
    this.file = file;
    file.onRoom = () => {
      if (!this.isOver) this.exchange.resume();
    };
    if (this.isIn) this.end(true);
    else this.exchange.resume();
  }

  /** Takes nothing more: what still comes is thrown away. */
  drop(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.exchange.resume();
  }

  receive(input: Uint8Array, start: number, end: number): number {
    if (this.isOver) return end;
    const { file } = this;
    if (file === null) {
      this.exchange.pause();
      return start;
    }
    const took = file.write(input, start, end);
    this.passing?.(input, start, start + took);
    this.came += took;
    if (file.trouble !== OK) {
      this.end(false);
      return end;
    }
    if (took < end - start) this.exchange.pause();
    return start + took;
  }

  trailers(): void {}

  finish(): void {
    if (this.isOver) return;
    this.isIn = true;
    if (this.file !== null) this.end(true);
  }

  lost(): void {
    this.lose();
  }

  private end(isWhole: boolean): void {
    if (this.isOver) return;
    this.isOver = true;
    this.ends.ended(isWhole);
  }

  private lose(): void {
    const wasOver = this.isOver;
    this.isOver = true;
    if (!wasOver) this.ends.lost();
  }
}
