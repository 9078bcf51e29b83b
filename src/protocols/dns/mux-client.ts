// DNS over QUIC, the client's half (RFC 9250): a stream for each query, on which its answers come. It does not judge what an answer
// says.
import { u16 } from '../../bytes/reader.ts';
import { faultTable } from '../../core/fault.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import type { Cause, Pipe, Session } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import type { Heard } from './client-stream.ts';
import { faults } from './faults.ts';

const REQUEST_CANCELLED = 3;

/** Not what anybody broke: how a connection that nobody needs any more is ended (RFC 9250 §4.3). */
const { done } = faultTable('dns', { done: { wire: 0, spec: 'RFC 9250 §4.3', text: 'nothing more is asked' } });

export class DoqClient implements MuxSession {
  deadline: Instant;
  private readonly mux: Mux;
  private readonly idleMs: number;
  private readonly open = new Set<DoqQuery>();
  private over = false;
  /** Told once it takes no more queries. */
  ended: (() => void) | null = null;

  constructor(mux: Mux, idleMs: number, clock: Clock) {
    this.mux = mux;
    this.idleMs = idleMs;
    this.deadline = clock.now + idleMs;
  }

  /** Sends a query, and answers how to give it up; null when no more are taken. */
  ask(query: Uint8Array, heard: Heard, failed: (why: string) => void): (() => void) | null {
    if (this.over) return null;
    let asked: DoqQuery | null = null;
    const pipe = this.mux.open(false, (made) => (asked = new DoqQuery(made, this, u16(query, 0), heard, failed)));
    if (pipe === null || asked === null) return null;
    this.open.add(asked);
    this.deadline = NEVER;
    const { out } = pipe;
    out.u16(query.length);
    // The stream says which query it is: the id is 0 (RFC 9250 §4.2.1).
    out.u16(0);
    out.copy(query, 2, query.length);
    pipe.flush();
    pipe.end();
    const own: DoqQuery = asked;
    return () => own.cancel();
  }

  /** A query is over. */
  settled(query: DoqQuery, clock: Clock): void {
    this.open.delete(query);
    if (this.open.size === 0 && !this.over) this.deadline = clock.now + this.idleMs;
  }

  fail(): void {
    this.mux.close(faults.notWhole);
  }

  /** Servers open no streams (RFC 9250 §4.2). */
  opened(): Session {
    this.mux.close(faults.oneWay);
    return SILENT;
  }

  mayOpen(): void {}

  datagram(): void {}

  tick(clock: Clock): void {
    if (clock.now >= this.deadline) this.leave();
  }

  leave(): void {
    if (this.over) return;
    this.finish();
    this.mux.close(done);
  }

  lost(): void {
    this.finish();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.deadline = NEVER;
    this.ended?.();
  }
}

class DoqQuery implements Session {
  readonly deadline: Instant = NEVER;
  private readonly pipe: Pipe;
  private readonly client: DoqClient;
  private readonly id: number;
  private readonly heard: Heard;
  private readonly failed: (why: string) => void;
  private over = false;

  constructor(pipe: Pipe, client: DoqClient, id: number, heard: Heard, failed: (why: string) => void) {
    this.pipe = pipe;
    this.client = client;
    this.id = id;
    this.heard = heard;
    this.failed = failed;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    let at = start;
    while (!this.over && end - at >= 2) {
      const to = at + 2 + u16(input, at);
      if (to > end) break;
      this.take(Buffer.from(input.subarray(at + 2, to)));
      at = to;
    }
    return this.over ? end : at;
  }

  private take(message: Buffer): void {
    if (message.length < 12 || u16(message, 0) !== 0) {
      this.over = true;
      this.failed('what answers is not DNS over QUIC');
      this.client.fail();
      return;
    }
    // Whoever asked knows it by the id that it had.
    message.writeUInt16BE(this.id, 0);
    if (!this.heard(message, 0, message.length)) this.over = true;
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.pipe.stopReading(REQUEST_CANCELLED);
    this.pipe.reset(REQUEST_CANCELLED);
  }

  overlong(): void {
    this.client.fail();
  }

  writable(): void {}

  tick(): void {}

  finish(): void {
    if (this.over) return;
    this.over = true;
    this.failed('the stream ended without an answer');
  }

  leave(): void {
    this.cancel();
  }

  lost(cause: Cause, wire: number, clock: Clock): void {
    if (!this.over) this.failed(`the stream was ended (${cause}, ${wire})`);
    this.over = true;
    this.client.settled(this, clock);
  }
}

const SILENT: Session = {
  deadline: NEVER,
  receive: (_input, _start, end) => end,
  overlong() {},
  writable() {},
  tick() {},
  finish() {},
  leave() {},
  lost() {},
};
