// DNS over a stream, the client's half: queries behind their length, as many at a time as there are ids, answers in any order
// (RFC 7766 §6.2.1). It does not judge what an answer says.
import { u16 } from '../../bytes/reader.ts';
import type { Cause, Pipe, Session } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';

/** Takes the messages that answer one query: true when more are to come. */
export type Heard = (message: Uint8Array, start: number, end: number) => boolean;

interface Waiting {
  readonly heard: Heard;
  readonly failed: (why: string) => void;
}

export class DnsStreamClient implements Session {
  deadline: Instant = NEVER;
  private readonly pipe: Pipe;
  private readonly idleMs: number;
  private readonly waiting = new Map<number, Waiting>();
  private over = false;
  /** Told once it takes no more queries. */
  ended: (() => void) | null = null;

  /** @param idleMs how long it is kept open with nothing asked */
  constructor(pipe: Pipe, idleMs: number) {
    this.pipe = pipe;
    this.idleMs = idleMs;
  }

  /** Sends a query, whose id nobody else waits for; false when that cannot be. */
  ask(query: Uint8Array, heard: Heard, failed: (why: string) => void): boolean {
    const id = u16(query, 0);
    if (this.over || this.waiting.has(id) || this.pipe.room < query.length + 2) return false;
    this.waiting.set(id, { heard, failed });
    this.deadline = NEVER;
    this.pipe.out.u16(query.length);
    this.pipe.out.copy(query, 0, query.length);
    this.pipe.flush();
    return true;
  }

  /** Nobody waits for that answer any more. */
  forget(id: number): void {
    this.waiting.delete(id);
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    while (end - at >= 2) {
      const stop = at + 2 + u16(input, at);
      if (stop > end) break;
      this.take(input, at + 2, stop);
      at = stop;
    }
    if (this.waiting.size === 0 && !this.over) this.deadline = clock.now + this.idleMs;
    return at;
  }

  private take(input: Uint8Array, start: number, end: number): void {
    if (end - start < 2) return;
    const id = u16(input, start);
    const waiting = this.waiting.get(id);
    if (waiting !== undefined && !waiting.heard(input, start, end)) this.waiting.delete(id);
  }

  /** The length has sixteen bits: no message is longer than what is kept. */
  overlong(): void {
    this.pipe.reset(0);
  }

  writable(): void {}

  tick(clock: Clock): void {
    if (clock.now < this.deadline) return;
    this.leave();
  }

  finish(): void {
    this.leave();
  }

  leave(): void {
    this.stop();
    this.pipe.end();
  }

  lost(cause: Cause): void {
    this.stop();
    const why = `the connection ${cause === 'ended' ? 'was ended by the server' : `was lost (${cause})`}`;
    for (const { failed } of [...this.waiting.values()]) failed(why);
    this.waiting.clear();
  }

  private stop(): void {
    if (this.over) return;
    this.over = true;
    this.deadline = NEVER;
    this.ended?.();
  }
}
