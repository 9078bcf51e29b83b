// A byte stream over whole messages: binary messages are pieces of it, wherever they are cut, as MQTT has it over
// WebSocket. It knows no frames and no protocol above.
//
// Such a stream has no half-close: the peer's close ends both ways once what it sent before was consumed.

import { giveBack } from '../bytes/pool.ts';
import type { ConnectionEvents } from './connection.ts';
import type { Fault } from './fault.ts';
import { faultTable } from './fault.ts';
import type { MessageSession, Messages } from './messages.ts';
import type { Peer } from './peer.ts';
import { type Cause, ENDED, HANDSHAKE, type Pipe, RESET, type Session, type Why } from './pipe.ts';
import { type PipeBounds, StreamPipe } from './stream-pipe.ts';
import { type Clock, type Instant, NEVER } from './time.ts';
import type { Turn } from './turn.ts';

/** The largest message that is sent: a reader that waits for whole messages need not keep more. */
const MESSAGE_BYTES_MAX = 65_536;

/** Shared pieces from this size on are messages of their own; smaller ones are copied together. */
const ALONE_LEAST = 16_384;

/** Close codes (RFC 6455 §7.4.1). */
const NORMAL = 1000;
const GOING_AWAY = 1001;
const PROTOCOL_ERROR = 1002;
const NO_CODE = 1005;
const FAILED = 1011;

export const messagePipeFaults = faultTable('messages', {
  notBinary: { wire: 1003, spec: '[MQTT-6.0.0-1]', text: 'A stream of bytes comes in binary messages, not in text.' },
});

class MessagePipe extends StreamPipe {
  private readonly messages: Messages;
  /** Handed to us and not yet to the messages, which had no room; the first from `waitingAt` on. */
  private readonly waiting: Uint8Array[] = [];
  private waitingAt = 0;
  /** Bytes that the messages took and that `sent` was not told of. */
  private passed = 0;
  /** The end follows once nothing waits. */
  private shutting = false;
  private closeCode = NORMAL;
  /** Why it is closed, for the peer. */
  private closeReason = '';
  /** We have closed. */
  private closed = false;
  /** The messages are gone: what the peer sent may still be consumed. */
  private gone = false;

  constructor(turn: Turn, messages: Messages, bounds: PipeBounds, events: ConnectionEvents) {
    super(turn, peerOf(messages), bounds, events);
    this.messages = messages;
  }

  // ---- what the messages tell --------------------------------------------------------------------------------------

  message(input: Uint8Array, start: number, end: number, text: boolean): void {
    if (text) this.fail(messagePipeFaults.notBinary);
    else if (end > start) this.offer(input, start, end);
  }

  /** The messages have room again: sends what waits for it. */
  pump(): void {
    const { messages, waiting } = this;
    while (waiting.length > 0 && messages.room > 0) {
      const first = waiting[0]!;
      const end = Math.min(first.length, this.waitingAt + MESSAGE_BYTES_MAX);
      messages.send(first, this.waitingAt, end, false);
      this.passed += end - this.waitingAt;
      this.waitingAt = end;
      if (end < first.length) continue;
      waiting.shift();
      this.waitingAt = 0;
    }
    messages.flush();
    if (this.shutting && waiting.length === 0) this.closeMessages(this.closeCode, this.closeReason);
    this.turn.touch(this);
  }

  /** The messages are gone. What came before a clean close is still consumed. */
  lostMessages(cause: Cause, wire: number): void {
    if (!this.isAlive) return;
    this.gone = true;
    this.drop();
    const clean = this.closed || wire === NORMAL || wire === GOING_AWAY || wire === NO_CODE;
    if (cause !== ENDED || !clean) this.ended(cause === ENDED ? RESET : cause, wire);
    else this.peerEnd();
    this.turn.touch(this);
  }

  // ---- StreamPipe --------------------------------------------------------------------------------------------------

  override fail(fault: Fault): void {
    if (this.closeCode === NORMAL) {
      this.closeCode = fault === messagePipeFaults.notBinary ? fault.wire : PROTOCOL_ERROR;
      // A reason has at most 123 bytes (RFC 6455 §5.5).
      this.closeReason = fault === messagePipeFaults.notBinary ? fault.text : fault.id;
    }
    super.fail(fault);
  }

  override work(clock: Clock): void {
    super.work(clock);
    const { passed } = this;
    this.passed = 0;
    if (passed > 0) this.sent(passed);
    // Nothing of the peer's is left to consume, and nothing can be said any more.
    if (this.gone && this.isAlive && this.heldBytes === 0) this.ended(ENDED, 0);
  }

  protected transmit(pieces: readonly Uint8Array[], total: number, lent: readonly Buffer[]): void {
    if (this.gone || this.closed) this.passed += total;
    else this.gather(pieces, lent);
    for (const storage of lent) giveBack(storage);
    if (this.waiting.length > 0) this.pump();
  }

  /** Queues pieces: large ones that are immutable as they are, the others copied together. */
  private gather(pieces: readonly Uint8Array[], lent: readonly Buffer[]): void {
    let from = 0;
    for (let at = 0; at <= pieces.length; at++) {
      const piece = pieces[at];
      if (piece !== undefined && (piece.length < ALONE_LEAST || isLent(piece, lent))) continue;
      if (at - from > 0) this.waiting.push(Buffer.concat(pieces.slice(from, at)));
      if (piece !== undefined) this.waiting.push(piece);
      from = at + 1;
    }
  }

  protected hold(stop: boolean): void {
    if (this.gone) return;
    if (stop) this.messages.pause();
    else this.messages.resume();
  }

  protected shut(): void {
    this.shutting = true;
    if (this.waiting.length === 0) this.closeMessages(this.closeCode, this.closeReason);
  }

  protected abort(wire: number): void {
    this.drop();
    // A code of the protocol above says nothing here: 0 is our own failure, any other the peer's.
    this.closeMessages(wire === 0 ? FAILED : PROTOCOL_ERROR, '');
  }

  protected close(): void {
    this.drop();
    this.closeMessages(NORMAL, '');
  }

  /** Messages cannot say that no more of them are wanted: what comes is dropped. */
  protected refuse(): void {
    if (!this.gone) this.messages.resume();
  }

  /** TLS inside of messages is nothing that a protocol asks for: it lies below them. */
  protected startTls(): void {
    this.abort(0);
    this.ended(HANDSHAKE, 0);
  }

  private closeMessages(code: number, reason: string): void {
    if (this.closed || this.gone) return;
    this.closed = true;
    this.messages.end(code, reason);
    this.messages.flush();
  }

  private drop(): void {
    for (const piece of this.waiting.splice(0)) this.passed += piece.length;
    this.passed -= this.waitingAt;
    this.waitingAt = 0;
  }
}

/** Whether a piece lies in storage that is given back. */
function isLent(piece: Uint8Array, lent: readonly Buffer[]): boolean {
  for (const storage of lent) if (storage.buffer === piece.buffer) return true;
  return false;
}

/** A page of another origin speaks for somebody else, however near its browser runs. */
function peerOf({ peer, caller }: Messages): Peer {
  const forwarded = peer.forwarded === true || caller.origin === 'remote';
  return { ...peer, carrier: 'websocket', below: peer, forwarded };
}

class CarriedStream implements MessageSession {
  /** The pipe stands in the wheel itself. */
  readonly deadline: Instant = NEVER;
  private readonly pipe: MessagePipe;

  constructor(pipe: MessagePipe) {
    this.pipe = pipe;
  }

  receive(input: Uint8Array, start: number, end: number, text: boolean, _clock: Clock): void {
    this.pipe.message(input, start, end, text);
  }

  writable(_clock: Clock): void {
    this.pipe.pump();
  }

  tick(_clock: Clock): void {}

  leave(why: Why, _clock: Clock): void {
    // Whoever asks the messages to leave cuts them in the end.
    this.pipe.leave(why, NEVER);
  }

  lost(cause: Cause, wire: number, _clock: Clock): void {
    this.pipe.lostMessages(cause, wire);
  }
}

/** A session of a byte stream, spoken over messages. */
export function messagePipe(
  turn: Turn,
  messages: Messages,
  bounds: PipeBounds,
  events: ConnectionEvents,
  make: (pipe: Pipe) => Session,
): MessageSession {
  return carryPipe(turn, messages, bounds, events, make).session;
}

/** As {@link messagePipe}, with the pipe itself. */
export function carryPipe(
  turn: Turn,
  messages: Messages,
  bounds: PipeBounds,
  events: ConnectionEvents,
  make: (pipe: Pipe) => Session,
): { readonly session: MessageSession; readonly pipe: StreamPipe } {
  const pipe = new MessagePipe(turn, messages, bounds, events);
  pipe.begin(make(pipe));
  return { session: new CarriedStream(pipe), pipe };
}
