// A data connection: bytes of one transfer, in or out, with TLS put on it where that was agreed. It knows no command; who
// began the transfer is told how it goes.
import { OK, type Outcome } from '../../core/outcome.ts';
import { type Cause, ENDED, type Pipe, type Session, type Why } from '../../core/pipe.ts';
import type { Sink } from '../../core/sink.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import { fromNetText, NetText } from './net-text.ts';
import type { IncomingFile, OpenFile } from './upper.ts';

/** Told how a data connection goes. */
export interface DataEvents {
  /** TLS was put on it. */
  secured(resumed: boolean): void;
  /** There is room to send more. */
  roomy(): void;
  /** All that was sent has left. */
  sent(clock: Clock): void;
  /** The peer has sent all. */
  received(clock: Clock): void;
  /** Nothing moved for too long. */
  stoodStill(clock: Clock): void;
  /** It is gone before its transfer was over. */
  cut(clock: Clock): void;
}

const WAITING = 0;
const SENDING = 1;
/** All was given; it has not all left. */
const DRAINING = 2;
const RECEIVING = 3;
/** The peer sent all; what else came in this turn is looked at first. */
const RECEIVED = 4;
const OVER = 5;

const CRLF = 0x0d0a;

/** As much as the kernel is asked to send in one turn, so that others get theirs. */
export const KERNEL_SENDS = 4_194_304;

export class DataConnection implements Session, Sink {
  readonly pipe: Pipe;
  /** Bytes of the file that crossed. */
  moved = 0;
  private readonly events: DataEvents;
  private readonly idleMs: number;
  private state: number = WAITING;
  private securing = false;
  private until: Instant;
  private delivered = 0;
  private file: IncomingFile | null = null;
  /** Lines end with CR LF on the wire (RFC 959 §3.1.1.1). */
  private text: NetText | null = null;
  private isFull = false;
  private looksAgain = false;
  private goesOn = false;

  /** @param waitMs how long it may wait for its transfer */
  constructor(pipe: Pipe, events: DataEvents, idleMs: number, waitMs: number, clock: Clock) {
    this.pipe = pipe;
    this.events = events;
    this.idleMs = idleMs;
    this.until = clock.now + waitMs;
    // Nothing is taken before it is known what for: who begins with TLS does so once that was asked for.
    pipe.pause();
  }

  // ---- what a transfer does ----------------------------------------------------------------------------------------

  secure(policy: TlsPolicy, clock: Clock): void {
    this.securing = true;
    this.until = clock.now + this.idleMs;
    this.pipe.secure(policy, this);
    this.pipe.resume();
  }

  beginSending(isText: boolean, clock: Clock): void {
    this.begin(SENDING, isText, clock);
  }

  beginReceiving(file: IncomingFile, isText: boolean, clock: Clock): void {
    this.file = file;
    file.onRoom = () => {
      if (!this.isFull) return;
      this.isFull = false;
      this.pipe.resume();
    };
    this.begin(RECEIVING, isText, clock);
  }

  private begin(state: number, isText: boolean, clock: Clock): void {
    this.state = state;
    this.text = isText ? new NetText() : null;
    this.until = clock.now + this.idleMs;
    this.pipe.resume();
    this.pipe.flush();
  }

  /** Has the kernel send of a file, as much as it can now; answers how many bytes. */
  sendFile({ fd }: OpenFile, start: number, end: number): number {
    if (fd < 0 || this.text !== null || this.pipe.sendFile === undefined || this.state !== SENDING) return 0;
    const sent = this.pipe.sendFile(fd, start, Math.min(end, start + KERNEL_SENDS));
    this.moved += sent;
    return sent;
  }

  /** Nothing that was written is on its way. */
  get isEmpty(): boolean {
    return this.pipe.queued === 0;
  }

  /** Has `roomy` called in the next turn. */
  goOn(): void {
    this.goesOn = true;
    this.pipe.flush();
  }

  get isOver(): boolean {
    return this.state === OVER;
  }

  /** Ends it at once; nobody is told. */
  drop(): void {
    if (this.state === OVER) return;
    this.state = OVER;
    this.file = null;
    this.pipe.reset(0);
  }

  // ---- Sink --------------------------------------------------------------------------------------------------------

  get room(): number {
    return this.state === SENDING ? this.pipe.room : 0;
  }

  bytes(data: Uint8Array, start: number, end: number): void {
    if (this.state !== SENDING) return;
    this.moved += end - start;
    if (this.text === null) this.pipe.share(data, start, end);
    else {
      const lines = this.text.encode(data, start, end);
      this.pipe.share(lines, 0, lines.length);
    }
    this.pipe.flush();
  }

  /** A line of text of our own. */
  line(text: string): void {
    if (this.state !== SENDING) return;
    this.pipe.out.utf8(text);
    this.pipe.out.u16(CRLF);
    this.pipe.flush();
  }

  /** The last of it was given. */
  end(_outcome: Outcome = OK): void {
    if (this.state !== SENDING) return;
    this.state = DRAINING;
    this.pipe.end();
    this.pipe.flush();
  }

  // ---- Session -----------------------------------------------------------------------------------------------------

  get deadline(): Instant {
    return this.until;
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    this.shaken();
    // Who is sent a file has nothing to say.
    if (this.state !== RECEIVING || this.file === null) return this.state === WAITING ? start : end;
    this.until = clock.now + this.idleMs;
    const taken =
      this.text === null ? this.file.write(input, start, end) : fromNetText(this.text, this.file, input, start, end);
    this.moved += taken;
    if (taken < end - start) {
      this.isFull = true;
      this.pipe.pause();
    }
    return start + taken;
  }

  gather(clock: Clock): void {
    this.shaken();
    if (this.goesOn && this.state === SENDING) {
      this.goesOn = false;
      this.until = clock.now + this.idleMs;
      this.events.roomy();
    }
    if (this.state === RECEIVED) {
      this.state = OVER;
      this.events.received(clock);
    } else if (this.state === DRAINING && this.pipe.queued === 0) {
      this.state = OVER;
      this.events.sent(clock);
    } else if (this.state === DRAINING && !this.looksAgain) {
      // Once more, behind the write at the end of this turn; then whenever something has left.
      this.looksAgain = true;
      this.pipe.flush();
    }
  }

  private shaken(): void {
    if (!this.securing || this.pipe.peer.tls === null) return;
    this.securing = false;
    this.events.secured(this.pipe.peer.tls.resumed === true);
  }

  writable(clock: Clock): void {
    this.until = clock.now + this.idleMs;
    if (this.state === SENDING) this.events.roomy();
  }

  tick(clock: Clock): void {
    if (clock.now < this.until) return;
    if (this.state === OVER) {
      // The peer does not end what we have ended.
      this.pipe.reset(0);
      return;
    }
    const { delivered } = this.pipe;
    // It is our disk that is waited for, or the network has taken something since.
    if (this.isFull || delivered !== this.delivered) {
      this.delivered = delivered;
      this.until = clock.now + this.idleMs;
      return;
    }
    this.until = NEVER;
    this.events.stoodStill(clock);
  }

  finish(clock: Clock): void {
    this.shaken();
    if (this.state === RECEIVING) {
      const rest = this.text === null || this.file === null ? true : this.text.flush(this.file);
      // A line's carriage return that found no room is lost only with the disk.
      if (!rest) this.cut(clock);
      else {
        this.state = RECEIVED;
        this.pipe.end();
        this.pipe.flush();
      }
    } else if (this.state === WAITING && !this.securing) this.pipe.end();
  }

  overlong(clock: Clock): void {
    this.cut(clock);
    this.pipe.reset(0);
  }

  leave(_why: Why, _clock: Clock): void {
    // It ends with its control connection, or with its transfer.
    if (this.state === WAITING) this.pipe.end();
  }

  lost(cause: Cause, _wire: number, clock: Clock): void {
    if (this.state === DRAINING && cause === ENDED) {
      this.state = OVER;
      this.events.sent(clock);
    } else if (this.state === RECEIVED) {
      this.state = OVER;
      if (cause === ENDED) this.events.received(clock);
      else this.events.cut(clock);
    } else this.cut(clock);
  }

  private cut(clock: Clock): void {
    if (this.state === OVER) return;
    this.state = OVER;
    this.events.cut(clock);
  }
}
