// Messages of text on a two-way stream, a line each: what portico.json is on a stream of a session.
import { KeptBytes } from '../../bytes/kept.ts';
import { isUtf8 } from '../../bytes/reader.ts';
import type { Caller } from '../../core/caller.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import type { Peer } from '../../core/peer.ts';
import { type Cause, ENDED, type Pipe, type Session, type Why } from '../../core/pipe.ts';
import type { Clock, Instant } from '../../core/time.ts';
import { faults } from './faults.ts';
import type { TransportOpening } from './messages.ts';

const LINE_FEED = 0x0a;
const RETURN = 0x0d;
/** Messages up to this are copied together. */
const COPIED_MAX = 4_096;

export class TextMessages implements Session, Messages {
  readonly id: number;
  readonly peer: Peer;
  readonly caller: Caller;
  readonly subprotocol: string;
  readonly target: string;
  private readonly pipe: Pipe;
  private readonly opening: TransportOpening;
  private readonly inner: MessageSession;
  /** The beginning of a line. */
  private readonly kept = new KeptBytes();
  private isPaused = false;
  private isOver = false;

  constructor(pipe: Pipe, opening: TransportOpening, make: (messages: Messages) => MessageSession) {
    this.pipe = pipe;
    this.opening = opening;
    this.id = pipe.id;
    this.peer = pipe.peer;
    this.caller = opening.caller;
    this.subprotocol = opening.subprotocol;
    this.target = opening.target;
    pipe.speaks('messages');
    this.inner = make(this);
  }

  // ---- what comes --------------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    while (at < end && !this.isPaused && !this.isOver) {
      const stop = input.indexOf(LINE_FEED, at);
      if (stop < 0 || stop >= end) {
        this.keep(input, at, end);
        return end;
      }
      if (this.kept.length === 0) this.line(input, at, stop, clock);
      else {
        if (!this.keep(input, at, stop)) return end;
        const { kept } = this;
        this.line(kept.bytes, kept.start, kept.end, clock);
        this.drop();
      }
      at = stop + 1;
    }
    return this.isOver ? end : at;
  }

  private keep(input: Uint8Array, start: number, end: number): boolean {
    const { limits, gathering } = this.opening;
    const size = end - start;
    if (this.kept.length + size > limits.messageBytesMax) this.end(faults.messageTooBig.wire);
    else if (gathering.held + size > gathering.bytesMax) this.end(faults.tooMuchHeld.wire);
    else {
      gathering.held += size;
      this.kept.append(input, start, end);
      return true;
    }
    return false;
  }

  private drop(): void {
    this.opening.gathering.held -= this.kept.length;
    this.kept.clear();
  }

  private line(bytes: Uint8Array, start: number, end: number, clock: Clock): void {
    const stop = end > start && bytes[end - 1] === RETURN ? end - 1 : end;
    if (stop === start) return;
    if (stop - start > this.opening.limits.messageBytesMax) this.end(faults.messageTooBig.wire);
    else if (isUtf8(bytes, start, stop)) this.inner.receive(bytes, start, stop, true, clock);
    else this.end(faults.notText.wire);
  }

  finish(): void {
    if (!this.isOver && this.inner.finish?.() !== true) this.end(1000);
  }

  pause(): void {
    this.isPaused = true;
    this.pipe.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.pipe.resume();
  }

  // ---- what goes ---------------------------------------------------------------------------------------------------

  get queued(): number {
    return this.pipe.queued;
  }

  get room(): number {
    return this.isOver ? 0 : this.pipe.room;
  }

  send(bytes: Uint8Array, start: number, end: number): void {
    if (this.isOver) return;
    const { pipe } = this;
    if (end - start <= COPIED_MAX) pipe.out.copy(bytes, start, end);
    else pipe.share(bytes, start, end);
    pipe.out.u8(LINE_FEED);
  }

  flush(): void {
    this.pipe.flush();
  }

  signedIn(caller: Caller): void {
    this.pipe.signedIn(caller);
  }

  /** What was sent goes out; the code is told to who still writes. */
  end(code: number): void {
    if (this.isOver) return;
    this.isOver = true;
    this.drop();
    this.pipe.end();
    this.pipe.stopReading(code);
    this.pipe.flush();
  }

  // ---- time and ends -----------------------------------------------------------------------------------------------

  get deadline(): Instant {
    return this.inner.deadline;
  }

  writable(clock: Clock): void {
    this.inner.writable(clock);
  }

  tick(clock: Clock): void {
    this.inner.tick(clock);
  }

  leave(why: Why, clock: Clock): void {
    this.inner.leave(why, clock);
  }

  lost(cause: Cause, wire: number, clock: Clock): void {
    this.isOver = true;
    this.drop();
    this.inner.lost(cause, cause === ENDED ? 1000 : wire === 0 ? 1006 : wire, clock);
  }

  overlong(): void {
    // All that comes is kept here.
  }
}
