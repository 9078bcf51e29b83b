// The half of every pipe that is the same for every carrier: keeping what a session did not consume, gathering what it
// writes, back-pressure both ways, hand-over, faults, bugs, lingering, and the one last call. It knows no socket; a
// carrier fills in the protected abstract methods and calls the protected ones.
//
// Longer than most files by design: the order of these steps is the contract, and reads best in one place.
import { KeptBytes } from '../bytes/kept.ts';
import { giveBack } from '../bytes/pool.ts';
import { ByteWriter, type Taken } from '../bytes/writer.ts';
import type { Caller } from './caller.ts';
import { type Connection, type ConnectionEvents, nextConnectionId } from './connection.ts';
import type { Fault } from './fault.ts';
import type { Peer } from './peer.ts';
import {
  BUG,
  type Cause,
  ENDED,
  FAULT,
  OVERLOADED,
  type Pipe,
  RESET,
  type Session,
  TIMEOUT,
  type Why,
} from './pipe.ts';
import type { KernelFigures, Tap } from './tap.ts';
import { type Clock, type Instant, NEVER } from './time.ts';
import type { TlsPolicy } from './tls.ts';
import { type Turn, Turned } from './turn.ts';

/** The bounds of one listener's pipes, in bytes and milliseconds. */
export interface PipeBounds {
  /** Unconsumed input that is kept before the session is told that it is overlong. */
  readonly inputMax: number;
  /** `room` is 0 from here on. */
  readonly highMark: number;
  /** `writable` is called once `queued` is below this again. */
  readonly lowMark: number;
  /** The arena's hard cap; above `highMark` by what replies within their own bound need. */
  readonly outMax: number;
  /**
   * How long after our end a peer may neither take what was sent nor send anything. A session with a deadline of its own
   * that still reads waits as long as it likes.
   */
  readonly lingerMs: number;
}

export const PIPE_BOUNDS: PipeBounds = {
  inputMax: 65_536,
  highMark: 1_048_576,
  lowMark: 262_144,
  outMax: 8_388_608,
  lingerMs: 2_000,
};

export const NO_EVENTS: ConnectionEvents = { faulted() {}, closed() {} };

/** Shared pieces up to this size are copied: cheaper than one more piece in a gathered write. */
const SHARE_LEAST = 2_048;

/** A pipe with this much gathered is written at once rather than at the end of the turn. */
const WRITE_NOW = 65_536;

/** What the input side is doing. */
const READING = 0;
const PAUSED = 1;
/** `finish` was called, or will not be: nothing more comes. */
const FINISHED = 2;
const STOPPED = 3;

/** What the output side is doing. */
const OPEN = 0;
const ENDING = 1;
const SHUT = 2;

/** Of all pipes that nobody signed in on; nothing is put there. */
const NO_CALLERS: readonly Caller[] = [];

/** More would be an attempt to fill memory: proxies that sign in for that many take more than one connection. */
const CALLERS_MAX = 64;
const LEAVE_MS = 1_000;

function isSame(one: Caller, other: Caller): boolean {
  return one === other || (one.account === other.account && one.by === other.by && one.scopes === other.scopes);
}

const NOTHING_AWAITED = 0;
const WRITE_AWAITED = 1;
const EMPTY_AWAITED = 2;

/** Of all pipes that have nothing to give back; nothing is put there. */
const NO_STORAGE: Buffer[] = [];

export abstract class StreamPipe extends Turned implements Pipe, Connection {
  readonly id = nextConnectionId();
  peer: Peer;
  readonly out: ByteWriter;
  readonly bounds: PipeBounds;
  tap: Tap | null = null;
  /** What is spoken on it, as far as anybody said. */
  protocol = '';
  /** On whose behalf it is open: usually one; several where requests of several share a connection. */
  callers: readonly Caller[] = NO_CALLERS;
  /** Bytes that came in and that were handed to the carrier, over the pipe's life. */
  receivedBytes = 0;
  sentBytes = 0;

  protected readonly turn: Turn;
  private readonly events: ConnectionEvents;
  private session: Session = UNBORN;
  private input = READING;
  private output = OPEN;
  private alive = true;
  /** Bytes of the session's are being run over: what would end or hand over the pipe waits until it returns. */
  private running = false;
  private successor: Session | null = null;
  private policy: TlsPolicy | null = null;
  private maker: ((pipe: Pipe) => Session) | null = null;
  private begun: Uint8Array | null = null;
  private securing = false;
  /** Where, in all that is sent, the protocol begins whose session is about to take over; -1 for no such. */
  private layerAt = -1;
  /** The end that was asked for inside a call into the session. */
  private pendingCause: Cause | null = null;
  private pendingWire = 0;
  private readonly kept = new KeptBytes();
  private peerEnded = false;
  private resumed = false;
  /** Kept bytes are to be offered in the next `work`, not from within whoever resumed or handed over. */
  private again = false;
  /** Full pieces that wait for the end of the turn, in order, before what is in `out`. */
  private pieces: Uint8Array[] = [];
  private lent: Buffer[] = NO_STORAGE;
  /** A small piece that nothing stands before; what is in `out` follows it. */
  private alone: Uint8Array | null = null;
  private gathered = 0;
  private inTransport = 0;
  private wasFull = false;
  /** The kernel took less of a file than it was given: whoever goes on by writing is told once that has left. */
  private afterFile = NOTHING_AWAITED;
  /** When the pipe is cut because it was asked to leave. */
  private cutAt: Instant = NEVER;
  /** When the pipe is cut because we have ended and the peer does not. */
  private lingerAt: Instant = NEVER;
  private cutCause: Cause = ENDED;
  private failed = false;
  /** The server takes no input for now, whatever the session wants. */
  private throttled = false;

  constructor(turn: Turn, peer: Peer, bounds: PipeBounds, events: ConnectionEvents) {
    super();
    this.turn = turn;
    this.peer = peer;
    this.bounds = bounds;
    this.events = events;
    this.out = new ByteWriter(bounds.outMax);
  }

  // ---- what a carrier provides -------------------------------------------------------------------------------------

  /**
   * Sends pieces in order. `lent` is storage to give back, with `giveBack`, when the pieces have been sent; then call
   * `sent(total)`, never from within this call; or `sentAtOnce(total)` from within it.
   */
  protected abstract transmit(pieces: readonly Uint8Array[], total: number, lent: readonly Buffer[]): void;
  /** Sends of a file what the network takes at once, if all that was transmitted has left; answers how many bytes. */
  protected transmitFile(_fd: number, _start: number, _end: number): number {
    return 0;
  }
  /** Stops or continues taking input from the peer. */
  protected abstract hold(stop: boolean): void;
  /** Sends the end of the stream behind what was transmitted. */
  protected abstract shut(): void;
  /** Ends both ways at once, dropping what was not sent; the peer learns that it failed. */
  protected abstract abort(wire: number): void;
  /** Both ways have ended: let go of the carrier. */
  protected abstract close(): void;
  /** Tells the peer, where the carrier can, that no more input is wanted. The rest is discarded here. */
  protected abstract refuse(wire: number): void;
  /** Begins a TLS handshake, of which `begun` came already, behind what was transmitted; call `secured` or `ended(HANDSHAKE)` later. */
  protected abstract startTls(policy: TlsPolicy, begun: Uint8Array | null): void;

  // ---- what a carrier calls ----------------------------------------------------------------------------------------

  /** Gives the pipe its first session. */
  begin(session: Session): void {
    this.session = session;
    this.announce(0);
    // It may have handed over already, while it was made.
    if (this.successor !== null) this.handOver();
    this.turn.touch(this);
  }

  /** TLS from the first byte: the session is made once the handshake is done, or `refused` is called when it fails. */
  beginSecured(policy: TlsPolicy, make: (pipe: Pipe) => Session, refused: (cause: Cause) => void): void {
    this.session = { ...UNBORN, lost: refused };
    this.maker = make;
    this.startSecuring(policy);
  }

  /** Bytes came in. They are borrowed: nothing keeps them after this call. */
  protected offer(input: Uint8Array, start: number, end: number): void {
    if (this.input >= FINISHED || !this.alive) return;
    this.receivedBytes += end - start;
    const { clock } = this.turn;
    this.tap?.bytes(this.id, 'in', input, start, end, clock.now);
    if (this.output === SHUT) this.linger(clock);
    if (this.securing) this.refusePlaintext();
    else if (this.kept.length > 0 || this.input === PAUSED || this.running) {
      this.kept.append(input, start, end);
      if (this.input === READING && !this.running) this.feedKept(clock);
    } else {
      const at = this.feed(input, start, end, clock);
      if (at < end && this.alive && this.input < FINISHED) {
        this.kept.append(input, at, end);
        if (at === start) this.checkOverlong(clock);
      }
    }
    this.turn.touch(this);
  }

  /** The peer sends no more. */
  protected peerEnd(): void {
    if (!this.alive || this.peerEnded) return;
    this.peerEnded = true;
    this.deliverEnd(this.turn.clock);
    this.turn.touch(this);
  }

  /** `total` transmitted bytes have left. */
  protected sent(total: number): void {
    this.inTransport -= total;
    if (this.output === SHUT && this.alive) {
      this.linger(this.turn.clock);
      this.turn.touch(this);
    }
    if (!this.hasRoomAgain || !this.alive || this.failed) return;
    this.wasFull = false;
    this.afterFile = NOTHING_AWAITED;
    this.guarded(() => this.session.writable(this.turn.clock));
    this.turn.touch(this);
  }

  /** What is being transmitted has left already; a session that waits for room hears of it in the next `work`. */
  protected sentAtOnce(total: number): void {
    this.inTransport -= total;
    if (this.wasFull || this.afterFile === EMPTY_AWAITED) this.turn.touch(this);
  }

  /** Whether the session has something to hear of room. */
  private get hasRoomAgain(): boolean {
    if (this.afterFile === EMPTY_AWAITED && this.queued === 0) return true;
    return this.wasFull && this.queued < this.bounds.lowMark;
  }

  /** The handshake that `startTls` began is over. */
  protected secured(peer: Peer): void {
    if (!this.alive) return;
    this.peer = peer;
    this.securing = false;
    this.tap?.secured?.(this.id, peer, this.turn.clock.now);
    this.session = this.maker?.(this) ?? this.successor ?? this.session;
    this.maker = null;
    this.successor = null;
    this.again = true;
    this.announce(0);
    this.turn.touch(this);
  }

  /** The carrier is gone. */
  protected ended(cause: Cause, wire: number): void {
    if (!this.alive) return;
    if (this.running) this.endLater(cause, wire);
    else this.die(cause, wire);
  }

  // ---- Pipe --------------------------------------------------------------------------------------------------------

  get queued(): number {
    return this.out.length + this.gathered + this.inTransport;
  }

  get delivered(): number {
    return this.sentBytes - this.inTransport;
  }

  get room(): number {
    const left = this.bounds.highMark - this.queued;
    if (left > 0 && this.output === OPEN) return left;
    this.wasFull = true;
    return 0;
  }

  share(bytes: Uint8Array, start: number, end: number, storage?: Buffer): void {
    if (end - start < SHARE_LEAST) {
      // The one message of a turn goes out as it is: for many subscribers that is one storage, and no copy for each.
      if (this.alone === null && this.out.length === 0 && this.pieces.length === 0) {
        this.alone = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
        this.gathered += end - start;
        return;
      }
      if (this.alone !== null && this.out.length === 0) {
        this.gathered -= this.alone.length;
        this.out.copy(this.alone, 0, this.alone.length);
        this.alone = null;
      }
      this.out.copy(bytes, start, end);
      return;
    }
    this.seal();
    this.pieces.push(bytes.subarray(start, end));
    if (storage !== undefined) this.borrow(storage);
    this.gathered += end - start;
  }

  sendFile(fd: number, start: number, end: number): number {
    // Who watches is shown bytes, and these never pass by here.
    if (this.output !== OPEN || this.securing || this.tap !== null || !this.alive) return 0;
    this.push();
    const sent = this.transmitFile(fd, start, end);
    this.sentBytes += sent;
    if (sent > 0 && sent < end - start) this.afterFile = WRITE_AWAITED;
    return sent;
  }

  flush(): void {
    if (this.out.length + this.gathered >= WRITE_NOW && !this.securing) this.push();
    this.turn.touch(this);
  }

  pause(): void {
    // Also takes back a resume of the same turn.
    this.resumed = false;
    if (this.input !== READING) return;
    this.input = PAUSED;
    this.hold(true);
  }

  resume(): void {
    if (this.input !== PAUSED) return;
    // Offered again in a later step, never from within the caller's.
    this.resumed = true;
    this.again = true;
    this.turn.touch(this);
  }

  end(): void {
    if (this.output !== OPEN) return;
    this.output = ENDING;
    this.turn.touch(this);
  }

  reset(wire: number): void {
    if (this.running) this.endLater(RESET, wire);
    else if (this.alive) {
      this.abort(wire);
      this.die(RESET, wire);
    }
  }

  stopReading(wire: number): void {
    if (this.input >= FINISHED) return;
    if (this.input === PAUSED) this.hold(false);
    this.input = STOPPED;
    // While the session runs over the kept bytes their storage must not go to somebody else; `feedKept` clears them.
    if (!this.running) this.kept.clear();
    this.refuse(wire);
  }

  fail(fault: Fault): void {
    if (this.failed || !this.alive) return;
    this.failed = true;
    this.tap?.fault(this.id, fault, this.turn.clock.now);
    this.events.faulted(this, fault);
    this.stopReading(fault.wire);
    this.cutCause = FAULT;
    this.end();
  }

  signedIn(caller: Caller): void {
    const last = this.callers[this.callers.length - 1];
    if (last !== undefined && isSame(last, caller)) return;
    if (this.callers.some((known) => isSame(known, caller))) return;
    this.callers = [...this.callers, caller];
    if (this.callers.length > CALLERS_MAX) this.leave(OVERLOADED, LEAVE_MS);
  }

  speaks(protocol: string): void {
    this.protocol = protocol;
    this.layerAt = this.sentBytes + this.gathered + this.out.length;
  }

  become(next: Session): void {
    this.successor = next;
    if (!this.running && this.session !== UNBORN) this.handOver();
  }

  secure(policy: TlsPolicy, next: Session): void {
    this.successor = next;
    this.policy = policy;
    if (!this.running && this.session !== UNBORN) this.handOver();
  }

  /**
   * TLS after all: its first bytes were consumed, and are handed on as `begun`. The session is made once the handshake is
   * done, by what it established; until then the one that asked is told of its end.
   */
  secureWith(policy: TlsPolicy, begun: Uint8Array, make: (pipe: Pipe) => Session): void {
    this.begun = begun;
    this.maker = make;
    this.secure(policy, this.session);
  }

  /** What the kernel says of the connection; null on a carrier of which it says nothing. */
  kernel(): KernelFigures | null {
    return null;
  }

  /** Asks the session to leave, and cuts the pipe when it has not after `graceMs`. */
  leave(why: Why, graceMs: number): void {
    if (!this.alive) return;
    const { clock } = this.turn;
    this.cutAt = Math.min(this.cutAt, clock.now + graceMs);
    this.cutCause = TIMEOUT;
    this.guarded(() => this.session.leave(why, clock));
    this.turn.touch(this);
  }

  get isAlive(): boolean {
    return this.alive;
  }

  /** Bytes that this pipe keeps in memory: input that was not consumed, output that has not left. */
  get heldBytes(): number {
    return this.kept.length + this.queued;
  }

  /** The server's own pause, for a time of need: no input is taken from the carrier, even after `resume()`. */
  throttle(on: boolean): void {
    if (this.throttled === on) return;
    this.throttled = on;
    if (this.alive && this.input === READING) this.hold(on);
  }

  // ---- Turned ------------------------------------------------------------------------------------------------------

  get due(): Instant {
    if (!this.alive) return NEVER;
    const deadline = this.securing || this.failed ? NEVER : this.session.deadline;
    return Math.min(deadline, this.cutAt, this.lingerAt);
  }

  work(clock: Clock): void {
    if (!this.alive) return;
    if (this.again) this.goOn(clock);
    if (this.securing) return;
    if (this.output === OPEN && this.hasRoomAgain && !this.failed) {
      this.wasFull = false;
      this.afterFile = NOTHING_AWAITED;
      this.guarded(() => this.session.writable(clock));
      if (!this.alive) return;
    }
    if (this.session.gather !== undefined) {
      this.guarded(() => this.session.gather?.(clock));
      if (!this.alive) return;
    }
    this.push();
    if (this.output === ENDING) {
      this.output = SHUT;
      this.shut();
      this.linger(clock);
    }
    // Who has paused has not heard all that came.
    const heard = this.peerEnded && this.input !== PAUSED;
    if (this.output === SHUT && heard && this.inTransport === 0) this.closeNow();
  }

  tick(clock: Clock): void {
    if (!this.alive) return;
    if (clock.now >= this.cutAt || clock.now >= this.lingerAt) {
      this.abort(0);
      this.die(this.cutCause === ENDED ? TIMEOUT : this.cutCause, 0);
      return;
    }
    if (!this.securing && !this.failed && clock.now >= this.session.deadline)
      this.guarded(() => this.session.tick(clock));
    this.turn.touch(this);
  }

  // ---- inside ------------------------------------------------------------------------------------------------------

  /** Offers bytes to the session, and to those that it hands over to; answers the first index not consumed. */
  private feed(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    for (;;) {
      this.running = true;
      let next = at;
      try {
        next = this.session.receive(input, at, end, clock);
      } catch (error) {
        this.crash(error);
      }
      this.running = false;
      if (next < at || next > end) this.crash(new RangeError(`receive answered ${next}, outside ${at}..${end}`));
      at = next;
      if (this.pendingCause !== null) {
        this.endNow();
        return end;
      }
      if (this.successor === null) return at;
      if (this.policy === null) this.handOver(end - at);
      else if (at === end) this.startSecuring(this.policy);
      else this.refusePlaintext();
      if (at === end || this.input !== READING || !this.alive || this.securing) return at;
    }
  }

  private feedKept(clock: Clock): void {
    const { kept } = this;
    const before = kept.length;
    const at = this.feed(kept.bytes, kept.start, kept.end, clock);
    // A session that stopped reading, or died, has cleared the kept bytes.
    if (kept.length === 0) return;
    if (this.input >= FINISHED) {
      kept.clear();
      return;
    }
    kept.consume(at);
    if (kept.length === before) this.checkOverlong(clock);
  }

  private checkOverlong(clock: Clock): void {
    if (this.kept.length < this.bounds.inputMax || this.input !== READING) return;
    this.guarded(() => this.session.overlong(clock));
  }

  /** Offers what was kept, in a later step than the `resume()` or hand-over that allows it. */
  private goOn(clock: Clock): void {
    this.again = false;
    const resumed = this.resumed && this.input === PAUSED;
    this.resumed = false;
    if (resumed) this.input = READING;
    if (this.kept.length > 0 && this.input === READING && !this.securing) this.feedKept(clock);
    if (resumed && this.input === READING && !this.throttled) this.hold(false);
    if (this.peerEnded) this.deliverEnd(clock);
  }

  private deliverEnd(clock: Clock): void {
    if (this.input !== READING || this.running || this.securing) return;
    this.input = FINISHED;
    this.kept.clear();
    this.guarded(() => this.session.finish(clock));
  }

  /** Calls into the session so that what it throws ends this pipe only. Off the hot path: `feed` has its own. */
  private guarded(call: () => void): void {
    if (!this.alive) return;
    const nested = this.running;
    this.running = true;
    try {
      call();
    } catch (error) {
      this.crash(error);
    }
    this.running = nested;
    if (nested) return;
    if (this.pendingCause !== null) this.endNow();
    else if (this.successor !== null && !this.securing) this.handOver();
  }

  /** @param left bytes that were not consumed */
  private handOver(left = this.kept.length): void {
    const next = this.successor;
    if (next === null || !this.alive) return;
    if (this.policy !== null) {
      if (this.kept.length > 0) this.refusePlaintext();
      else this.startSecuring(this.policy);
      return;
    }
    this.successor = null;
    this.session = next;
    this.again = true;
    this.announce(left);
    this.turn.touch(this);
  }

  /** Whoever said what it speaks has taken over, but for so many bytes that came before. */
  private announce(left: number): void {
    if (this.layerAt < 0) return;
    this.tap?.layer(this.id, this.protocol, this.receivedBytes - left, this.layerAt, this.turn.clock.now);
    this.layerAt = -1;
  }

  /** We have ended: a peer that neither takes what was sent nor sends is waited for this long, and no longer. */
  private linger(clock: Clock): void {
    const patient = this.input < FINISHED && !this.failed && this.session.deadline !== NEVER;
    this.lingerAt = patient ? NEVER : clock.now + this.bounds.lingerMs;
  }

  private startSecuring(policy: TlsPolicy): void {
    this.policy = null;
    this.push();
    this.securing = true;
    const { begun } = this;
    this.begun = null;
    this.startTls(policy, begun);
  }

  /** Bytes that were sent before the handshake would be taken as if they had been protected (RFC 3207 §6). */
  private refusePlaintext(): void {
    this.policy = null;
    this.successor = null;
    this.securing = false;
    this.fail(PLAINTEXT_BEFORE_TLS);
  }

  private crash(error: unknown): void {
    this.turn.bug(error, `pipe ${this.id} (${this.peer.carrier})`);
    this.endLater(BUG, 0);
  }

  private endLater(cause: Cause, wire: number): void {
    if (this.pendingCause !== null) return;
    this.pendingCause = cause;
    this.pendingWire = wire;
  }

  private endNow(): void {
    const cause = this.pendingCause!;
    this.abort(this.pendingWire);
    this.die(cause, this.pendingWire);
  }

  private closeNow(): void {
    this.close();
    this.die(this.failed ? FAULT : ENDED, 0);
  }

  private die(cause: Cause, wire: number): void {
    if (!this.alive) return;
    this.alive = false;
    this.input = STOPPED;
    this.kept.clear();
    this.out.clear();
    this.pieces = [];
    this.alone = null;
    for (const storage of this.lent) giveBack(storage);
    this.lent = NO_STORAGE;
    this.gathered = 0;
    const { session } = this;
    this.session = UNBORN;
    // A session that was to take over is told as well: it may hold what the first one does not know of.
    const heirs = this.successor === null || this.successor === session ? [session] : [session, this.successor];
    this.successor = null;
    const { clock } = this.turn;
    for (const heir of heirs) {
      try {
        heir.lost(cause, wire, clock);
      } catch (error) {
        this.turn.bug(error, `pipe ${this.id} lost`);
      }
    }
    this.tap?.closed(this.id, cause, clock.now, this.kernel());
    this.events.closed(this, cause, wire);
    this.turn.forget(this);
  }

  /** Closes the arena's current piece, so that something else can follow in order. */
  private seal(): void {
    if (this.alone !== null) {
      this.pieces.push(this.alone);
      this.alone = null;
    }
    if (this.out.length === 0) return;
    const taken: Taken = this.out.take();
    this.pieces.push(taken.bytes);
    this.borrow(taken.storage);
    this.gathered += taken.bytes.length;
  }

  private borrow(storage: Buffer): void {
    if (this.lent === NO_STORAGE) this.lent = [];
    this.lent.push(storage);
  }

  private push(): void {
    this.seal();
    if (this.pieces.length === 0) return;
    if (this.output === SHUT) {
      // Written after the end: there is nowhere for it to go.
      this.pieces = [];
      this.gathered = 0;
      return;
    }
    const { pieces, lent, gathered } = this;
    this.pieces = [];
    this.lent = NO_STORAGE;
    this.gathered = 0;
    this.inTransport += gathered;
    this.sentBytes += gathered;
    if (this.afterFile === WRITE_AWAITED) this.afterFile = EMPTY_AWAITED;
    if (this.tap !== null)
      for (const piece of pieces) this.tap.bytes(this.id, 'out', piece, 0, piece.length, this.turn.clock.now);
    this.transmit(pieces, gathered, lent);
  }
}

export const PLAINTEXT_BEFORE_TLS: Fault = Object.freeze({
  id: 'tls.plaintextBeforeHandshake',
  wire: 0,
  spec: 'RFC 3207 §6',
  text: 'Bytes followed the request for TLS before the handshake began.',
  scope: 'connection',
});

/** Stands in before `begin` and after `lost`, so that no path has to ask whether there is a session. */
const UNBORN: Session = {
  deadline: NEVER,
  receive: (_input, start) => start,
  overlong() {},
  writable() {},
  tick() {},
  finish() {},
  leave() {},
  lost() {},
};
