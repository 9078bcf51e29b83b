// A session as whole messages, as a WebSocket has them but in no order: each one-way stream is a message, and so is each
// datagram. What goes out goes as one-way streams, or as datagrams where the address asks for that and they are short enough.
import { KeptBytes } from '../../bytes/kept.ts';
import { copyOf, isUtf8 } from '../../bytes/reader.ts';
import type { Caller } from '../../core/caller.ts';
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import type { Peer } from '../../core/peer.ts';
import { type Cause, ENDED, type Pipe, type Session, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { Unread } from './streams.ts';

/** What the sessions of a server hold together of messages that are not complete. */
export class Gathering {
  held = 0;
  readonly bytesMax: number;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }
}

/** What the request said. */
export interface TransportOpening {
  readonly target: string;
  readonly caller: Caller;
  readonly subprotocol: string;
  readonly limits: Bound<typeof limits>;
  readonly gathering: Gathering;
}

/** Close codes (RFC 6455 §7.4.1), which what is spoken knows. */
const NO_CODE = 1005;
const ABNORMAL = 1006;

/** What an address says of how messages go out; the rest of it is for what is spoken. */
const BY_DATAGRAMS = /([?&])by=(datagrams|streams)(&|$)/;

export class MessageSessionOfStreams implements MuxSession, Messages {
  readonly id: number;
  readonly peer: Peer;
  readonly caller: Caller;
  readonly subprotocol: string;
  readonly target: string;
  queued = 0;
  paused = false;
  readonly opening: TransportOpening;
  private readonly mux: Mux;
  private readonly inner: MessageSession;
  private readonly byDatagrams: boolean;
  /** Messages that may have no stream yet. */
  private readonly waiting: Uint8Array[] = [];
  private readonly reading = new Set<Incoming>();
  private wantsRoom = false;
  private isOver = false;

  constructor(mux: Mux, opening: TransportOpening, make: (messages: Messages) => MessageSession) {
    this.mux = mux;
    this.opening = opening;
    this.id = mux.id;
    this.peer = mux.peer;
    this.caller = opening.caller;
    this.subprotocol = opening.subprotocol;
    const { target } = opening;
    this.byDatagrams = BY_DATAGRAMS.exec(target)?.[2] === 'datagrams';
    this.target = target.replace(BY_DATAGRAMS, (_all, before: string, _by, after: string) =>
      after === '' ? '' : before,
    );
    this.inner = make(this);
  }

  // ---- what comes --------------------------------------------------------------------------------------------------

  opened(pipe: Pipe, oneWay: boolean): Session {
    if (!oneWay || this.isOver) {
      pipe.reset(faults.noStreams.wire);
      return new Unread();
    }
    pipe.speaks('webtransport');
    const incoming = new Incoming(this, pipe);
    this.reading.add(incoming);
    if (this.paused) pipe.pause();
    return incoming;
  }

  datagram(bytes: Uint8Array, start: number, end: number, clock: Clock): void {
    // Whoever cannot take more takes none of these: they may be lost.
    if (!this.paused) this.came(bytes, start, end, clock);
  }

  came(bytes: Uint8Array, start: number, end: number, clock: Clock): void {
    if (!this.isOver) this.inner.receive(bytes, start, end, isUtf8(bytes, start, end), clock);
  }

  read(incoming: Incoming): void {
    this.reading.delete(incoming);
  }

  pause(): void {
    this.paused = true;
    for (const { pipe } of this.reading) pipe.pause();
  }

  resume(): void {
    this.paused = false;
    for (const { pipe } of this.reading) pipe.resume();
  }

  // ---- what goes ---------------------------------------------------------------------------------------------------

  get room(): number {
    if (this.isOver) return 0;
    const room = Math.max(0, this.opening.limits.sentBytesMax - this.queued);
    if (room === 0) this.wantsRoom = true;
    return room;
  }

  send(bytes: Uint8Array, start: number, end: number): void {
    if (this.isOver) return;
    if (this.byDatagrams && end - start <= this.mux.datagramMax) {
      this.mux.datagram(bytes, start, end);
      return;
    }
    const message = bytes.subarray(start, end);
    // One without a byte takes a stream as well.
    this.queued += message.length + 1;
    if (this.waiting.length > 0 || !this.open(message)) this.waiting.push(message);
  }

  private open(message: Uint8Array): boolean {
    const pipe = this.mux.open(true, () => new Outgoing((clock) => this.taken(message.length + 1, clock)));
    if (pipe === null) return false;
    pipe.speaks('webtransport');
    pipe.share(message, 0, message.length);
    pipe.end();
    pipe.flush();
    return true;
  }

  private taken(bytes: number, clock: Clock): void {
    this.queued -= bytes;
    if (!this.wantsRoom || this.isOver || this.queued > this.opening.limits.sentBytesMax / 2) return;
    this.wantsRoom = false;
    this.inner.writable(clock);
  }

  mayOpen(): void {
    let sent = 0;
    for (const message of this.waiting) {
      if (!this.open(message)) break;
      sent++;
    }
    this.waiting.splice(0, sent);
  }

  flush(): void {
    // Each stream is sent by itself.
  }

  end(code: number, reason = ''): void {
    if (this.isOver) return;
    this.isOver = true;
    this.mux.close({ id: 'webtransport.closed', wire: code, spec: '', text: reason, scope: 'connection' });
  }

  // ---- time and ends -----------------------------------------------------------------------------------------------

  get deadline(): Instant {
    return this.isOver ? NEVER : this.inner.deadline;
  }

  tick(clock: Clock): void {
    this.inner.tick(clock);
  }

  leave(why: Why, clock: Clock): void {
    this.inner.leave(why, clock);
  }

  lost(cause: Cause, wire: number, clock: Clock): void {
    this.isOver = true;
    this.waiting.length = 0;
    this.inner.lost(cause, closeCode(cause, wire), clock);
  }
}

function closeCode(cause: Cause, wire: number): number {
  if (cause !== ENDED) return ABNORMAL;
  return wire === 0 ? NO_CODE : wire;
}

/** A message that comes. */
class Incoming implements Session {
  readonly deadline: Instant = NEVER;
  readonly pipe: Pipe;
  private readonly owner: MessageSessionOfStreams;
  private readonly kept = new KeptBytes();

  constructor(owner: MessageSessionOfStreams, pipe: Pipe) {
    this.owner = owner;
    this.pipe = pipe;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    const { limits, gathering } = this.owner.opening;
    const size = end - start;
    if (this.kept.length + size > limits.messageBytesMax) this.refuse(faults.messageTooBig);
    else if (gathering.held + size > gathering.bytesMax) this.refuse(faults.tooMuchHeld);
    else {
      gathering.held += size;
      this.kept.append(input, start, end);
    }
    return end;
  }

  private refuse({ wire }: Fault): void {
    this.drop();
    this.pipe.stopReading(wire);
  }

  private drop(): void {
    this.owner.opening.gathering.held -= this.kept.length;
    this.kept.clear();
    this.owner.read(this);
  }

  finish(clock: Clock): void {
    const bytes = copyOf(this.kept.bytes, this.kept.start, this.kept.end);
    this.drop();
    this.owner.came(bytes, 0, bytes.length, clock);
  }

  lost(): void {
    this.drop();
  }

  overlong(): void {}
  writable(): void {}
  tick(): void {}
  leave(): void {}
}

/** A message that goes. */
class Outgoing extends Unread {
  private readonly done: (clock: Clock) => void;

  constructor(done: (clock: Clock) => void) {
    super();
    this.done = done;
  }

  override lost(_cause: Cause, _wire: number, clock: Clock): void {
    this.done(clock);
  }
}
