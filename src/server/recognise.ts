// Several protocols on one port: the first bytes tell which one the client speaks, or its silence does.
import type { Pipe, Session } from '../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../core/time.ts';

export interface Choice {
  /** The protocol. */
  readonly name: string;
  readonly recognises: (bytes: Uint8Array, start: number, end: number) => boolean | null;
  readonly make: (pipe: Pipe) => Session;
}

/** Who takes those that nobody recognises. */
export type Fallback = Omit<Choice, 'recognises'>;

/** How many first bytes are shown. */
export const SHOWN_BYTES = 24;
/** After so much silence it is a protocol in which the server speaks first. */
export const SILENCE_MS = 300;

/** Waits for the first bytes and hands the pipe over; nothing of them is consumed. */
export class RecognisingSession implements Session {
  deadline: Instant;
  private readonly pipe: Pipe;
  private readonly choices: readonly Choice[];
  private readonly fallback: Fallback | null;
  private decided = false;

  /** @param fallback who gets the silent and the unrecognised; null ends them */
  constructor(pipe: Pipe, clock: Clock, choices: readonly Choice[], fallback: Fallback | null) {
    this.pipe = pipe;
    this.choices = choices;
    this.fallback = fallback;
    this.deadline = clock.now + SILENCE_MS;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    if (this.decided) return start;
    const shown = Math.min(end, start + SHOWN_BYTES);
    let open = false;
    for (const choice of this.choices) {
      const answer = choice.recognises(input, start, shown);
      if (answer === true) {
        this.decide(choice);
        return start;
      }
      open ||= answer === null;
    }
    // Whoever needs more than is ever shown does not get it.
    if (!open || shown - start === SHOWN_BYTES) this.decide(this.fallback);
    return start;
  }

  tick(): void {
    this.decide(this.fallback);
  }

  overlong(): void {
    this.decide(this.fallback);
  }

  finish(): void {
    this.deadline = NEVER;
    this.pipe.end();
  }

  writable(): void {}

  leave(): void {
    this.deadline = NEVER;
    this.pipe.end();
  }

  lost(): void {}

  private decide(choice: Fallback | null): void {
    if (this.decided) return;
    this.decided = true;
    this.deadline = NEVER;
    if (choice === null) {
      this.pipe.reset(0);
      return;
    }
    this.pipe.speaks(choice.name);
    this.pipe.become(choice.make(this.pipe));
  }
}
