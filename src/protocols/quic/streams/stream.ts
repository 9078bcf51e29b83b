// One stream (RFC 9000 §2, §3) as a pipe: what waits to be sent on it and its fate, what came and its order, its own credit
// both ways. Which frames go into which packet is not known here.
import type { ConnectionEvents } from '../../../core/connection.ts';
import type { Fault } from '../../../core/fault.ts';
import type { Peer } from '../../../core/peer.ts';
import { RESET } from '../../../core/pipe.ts';
import { type PipeBounds, StreamPipe } from '../../../core/stream-pipe.ts';
import type { Clock, Instant } from '../../../core/time.ts';
import type { TlsPolicy } from '../../../core/tls.ts';
import type { Turn } from '../../../core/turn.ts';
import { transportFaults as faults } from '../faults.ts';
import { Reassembly } from './reassembly.ts';
import { SendBuffer } from './send-buffer.ts';

/** What a stream asks of its connection. */
export interface StreamCarrier {
  /** It goes at another time now. */
  moved(stream: QuicStream, urgency: number, incremental: boolean): void;
  /** Bytes or the end wait to be sent. */
  wantsToSend(stream: QuicStream): void;
  /** A reset, a stop or credit waits to be told. */
  wantsToTell(stream: QuicStream): void;
  /** Bytes were taken by the session, or never will be: the connection's credit may grow. */
  consumed(bytes: number): void;
  /** The connection's part of what came: a fault when it is more than was allowed. */
  arrived(bytes: number): Fault | null;
  settled(stream: QuicStream): void;
  readonly windowBytes: number;
  readonly gapsMax: number;
}

export class QuicStream extends StreamPipe {
  readonly number: number;
  readonly sends: boolean;
  readonly receives: boolean;
  /** 0 goes first, 7 last (RFC 9218 §4.1); -1 before all. */
  urgency = 3;
  /** It takes turns with others of its urgency. */
  incremental = true;
  /** In a queue of those that wait to send. */
  isQueued = false;
  isTelling = false;
  isDead = false;

  /** What was written; the end; how far the peer lets us. */
  readonly written = new SendBuffer();
  sendMax: number;
  finWanted = false;
  finSent = false;
  finAcked = false;
  /** The end came, though bytes before it may not have. */
  private finSeen = false;
  /** RESET_STREAM: its code, -1 for none, and whether it has to be told. */
  resetCode = -1;
  resetSize = 0;
  tellReset = false;
  resetAcked = false;

  /** STOP_SENDING likewise. */
  stopCode = -1;
  tellStop = false;
  tellCredit = false;
  receiveMax: number;
  highest = 0;
  finalSize = -1;
  /** All came, or its reset did. */
  inputOver = false;
  private passed = 0;
  private credited = 0;
  private readonly arrivals = new Reassembly();
  private readonly carrier: StreamCarrier;
  private readonly pass = (bytes: Uint8Array, start: number, end: number): void => {
    this.passed += end - start;
    this.offer(bytes, start, end);
  };

  constructor(
    turn: Turn,
    peer: Peer,
    bounds: PipeBounds,
    events: ConnectionEvents,
    carrier: StreamCarrier,
    plan: { number: number; sends: boolean; receives: boolean; sendMax: number; receiveMax: number },
  ) {
    super(turn, peer, bounds, events);
    this.carrier = carrier;
    this.number = plan.number;
    this.sends = plan.sends;
    this.receives = plan.receives;
    this.sendMax = plan.sendMax;
    this.receiveMax = plan.receiveMax;
  }

  /** The half that the stream does not have is over from the beginning. Called once its session is there. */
  halve(): void {
    if (!this.receives) {
      this.inputOver = true;
      this.stopReading(0);
      this.peerEnd();
    }
    if (!this.sends) {
      this.finAcked = true;
      this.end();
    }
  }

  /** Neither end has anything to say on it any more. */
  get isOver(): boolean {
    return this.inputOver && (this.finAcked || this.resetAcked);
  }

  // ---- what came ----

  /** STREAM (RFC 9000 §19.8). */
  receiveData(offset: number, bytes: Uint8Array, start: number, end: number, fin: boolean): Fault | null {
    const stop = offset + end - start;
    const fault = this.grow(stop, fin ? stop : -1);
    if (fault !== null) return fault;
    if (this.inputOver) return null;
    if (this.isDead || this.stopCode >= 0) this.discard();
    else {
      this.arrivals.add(offset, bytes, start, end, this.pass);
      if (this.arrivals.gaps > this.carrier.gapsMax) return faults.ranges;
      this.credit();
    }
    if (this.finalSize >= 0 && (this.arrivals.next >= this.finalSize || this.isUnread)) this.finishInput();
    return null;
  }

  private get isUnread(): boolean {
    return (this.isDead || this.stopCode >= 0) && this.highest >= this.finalSize;
  }

  /** RESET_STREAM (RFC 9000 §19.4). */
  receiveReset(code: number, finalSize: number): Fault | null {
    const fault = this.grow(finalSize, finalSize);
    if (fault !== null || this.inputOver) return fault;
    this.inputOver = true;
    this.arrivals.clear();
    this.discard();
    const asked = this.stopCode >= 0 || this.isDead;
    if (asked) this.peerEnd();
    else {
      this.abandonOutput(code);
      this.ended(RESET, code);
    }
    this.carrier.settled(this);
    return null;
  }

  /** STOP_SENDING (RFC 9000 §19.5): what waits is dropped, and the end is a reset (RFC 9000 §3.5). */
  receiveStop(code: number): void {
    if (this.resetCode >= 0 || this.finAcked) return;
    this.abandonOutput(code);
    // Who sends no more and wants no more is done with all of it.
    if (this.inputOver || !this.receives) this.ended(RESET, code);
    this.carrier.settled(this);
  }

  private grow(stop: number, finalSize: number): Fault | null {
    if (this.finalSize >= 0 && (stop > this.finalSize || (finalSize >= 0 && finalSize !== this.finalSize)))
      return faults.finalSize;
    if (finalSize >= 0 && finalSize < this.highest) return faults.finalSize;
    if (stop > this.highest) {
      if (stop > this.receiveMax) return faults.streamCredit;
      const fault = this.carrier.arrived(stop - this.highest);
      if (fault !== null) return fault;
      this.highest = stop;
    }
    if (finalSize >= 0) this.finalSize = finalSize;
    return null;
  }

  private finishInput(): void {
    if (this.inputOver) return;
    this.inputOver = true;
    this.arrivals.clear();
    this.peerEnd();
    this.carrier.settled(this);
  }

  /** Nobody reads it: all that came counts as taken. */
  private discard(): void {
    this.carrier.consumed(this.highest - this.credited);
    this.credited = this.highest;
  }

  /** Credit for what the session has taken. */
  private credit(): void {
    if (this.isDead) return;
    const kept = this.heldBytes - this.queued;
    const taken = this.passed - kept;
    if (taken <= this.credited) return;
    this.carrier.consumed(taken - this.credited);
    this.credited = taken;
    const { windowBytes } = this.carrier;
    if (this.finalSize >= 0 || this.receiveMax - taken > windowBytes / 2) return;
    this.receiveMax = taken + windowBytes;
    this.tellCredit = true;
    this.carrier.wantsToTell(this);
  }

  // ---- what is sent ----

  prioritise(urgency: number, incremental: boolean): void {
    const { urgency: former, incremental: was } = this;
    this.urgency = urgency;
    this.incremental = incremental;
    if (urgency !== former || incremental !== was) this.carrier.moved(this, former, was);
  }

  /** MAX_STREAM_DATA. */
  allow(sendMax: number): void {
    if (sendMax <= this.sendMax) return;
    this.sendMax = sendMax;
    if (this.hasFresh) this.carrier.wantsToSend(this);
  }

  /** New bytes or the end may be sent now, as far as the stream's own credit goes. */
  get hasFresh(): boolean {
    if (this.resetCode >= 0) return false;
    const { next, end } = this.written;
    return next < end ? next < this.sendMax : this.finWanted && !this.finSent;
  }

  get hasLost(): boolean {
    return this.resetCode < 0 && !this.written.lost.isEmpty;
  }

  ackedData(start: number, end: number, fin: boolean): void {
    if (this.resetCode >= 0) return;
    const freed = this.written.acked(start, end);
    if (fin) this.finSeen = true;
    if (this.finSeen && this.written.unacknowledged === 0 && !this.finAcked) {
      this.finAcked = true;
      this.carrier.settled(this);
    }
    if (freed > 0) this.sent(freed);
  }

  lostData(start: number, end: number, fin: boolean): void {
    if (this.resetCode >= 0 || this.finAcked) return;
    this.written.missed(start, end);
    if (fin && !this.finSeen) this.finSent = false;
    if (this.hasLost || this.hasFresh) this.carrier.wantsToSend(this);
  }

  ackedReset(): void {
    if (this.resetAcked) return;
    this.resetAcked = true;
    this.carrier.settled(this);
  }

  private abandonOutput(code: number): void {
    if (!this.sends || this.resetCode >= 0 || this.finAcked) return;
    this.resetCode = code;
    this.resetSize = this.written.next;
    this.tellReset = true;
    const dropped = this.written.unacknowledged;
    this.written.clear();
    if (dropped > 0 && this.isAlive) this.sentAtOnce(dropped);
    this.carrier.wantsToTell(this);
  }

  /** The connection is gone. */
  drop(cause: Parameters<QuicStream['ended']>[0], wire: number): void {
    this.isDead = true;
    this.ended(cause, wire);
    this.written.clear();
    this.arrivals.clear();
  }

  /** Its pipe has ended, whoever ended it. */
  dead(): void {
    this.isDead = true;
    if (!this.inputOver) {
      this.arrivals.clear();
      this.refuse(0);
    }
    this.discard();
    if (this.finalSize >= 0 && this.isUnread) this.finishInput();
    this.carrier.settled(this);
  }

  // ---- StreamPipe ----

  override work(clock: Clock): void {
    super.work(clock);
    if (this.receives) this.credit();
  }

  /** Only the connection knows when it has to be looked at. */
  get dueAt(): Instant {
    return this.due;
  }

  protected transmit(pieces: readonly Uint8Array[], total: number, lent: readonly Buffer[]): void {
    if (this.resetCode >= 0 || !this.sends) {
      this.sentAtOnce(total);
      return;
    }
    for (const piece of pieces)
      this.written.push(piece, lent.find((storage) => storage.buffer === piece.buffer) ?? null);
    this.carrier.wantsToSend(this);
  }

  protected hold(_stop: boolean): void {
    // Credit is given by what was taken; who is paused takes nothing.
  }

  protected shut(): void {
    if (!this.sends) return;
    this.finWanted = true;
    this.carrier.wantsToSend(this);
  }

  protected abort(wire: number): void {
    this.abandonOutput(wire);
    this.refuse(wire);
  }

  protected close(): void {
    // Both ends know already.
  }

  protected refuse(wire: number): void {
    if (!this.receives || this.stopCode >= 0 || this.inputOver) return;
    this.stopCode = wire;
    this.arrivals.clear();
    this.discard();
    if (this.finalSize >= 0 && this.isUnread) {
      this.finishInput();
      return;
    }
    this.tellStop = true;
    this.carrier.wantsToTell(this);
  }

  protected startTls(_policy: TlsPolicy, _begun: Uint8Array | null): void {
    // It is within TLS already.
    this.reset(0);
  }
}
