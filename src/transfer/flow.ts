// Bytes from a session, which has no promises, to one that awaits them: bounded, and whoever sends is held back.
import { TransferError } from './remote.ts';

const HELD = 524_288;

export class Flow implements AsyncIterable<Uint8Array> {
  private readonly pieces: Uint8Array[] = [];
  private held = 0;
  private isOver = false;
  private error: Error | null = null;
  private wake: (() => void) | null = null;
  private readonly resume: () => void;

  /** @param resume there is room again, after `take` took fewer than it was given */
  constructor(resume: () => void) {
    this.resume = resume;
  }

  /** Copies what is given; answers how many. */
  take(input: Uint8Array, start: number, end: number): number {
    if (this.held >= HELD) return 0;
    // A Buffer's own `slice` would share what is only lent.
    this.pieces.push(Uint8Array.prototype.slice.call(input, start, end));
    this.held += end - start;
    this.stir();
    return end - start;
  }

  end(): void {
    this.isOver = true;
    this.stir();
  }

  fail(why: string): void {
    if (this.isOver) return;
    this.error ??= new TransferError('lost', why);
    this.stir();
  }

  private stir(): void {
    this.wake?.();
    this.wake = null;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.pieces.shift();
      if (piece !== undefined) {
        const wasFull = this.held >= HELD;
        this.held -= piece.length;
        if (wasFull && this.held < HELD) this.resume();
        yield piece;
      } else if (this.error !== null) throw this.error;
      else if (this.isOver) return;
      else
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
    }
  }
}
