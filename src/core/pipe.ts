// The byte stream seam. A `Pipe` is one ordered stream, whatever carries it; a `Session` is a protocol's state machine on
// it, with no socket, no clock, no timer and no promise.
import type { ByteWriter } from '../bytes/writer.ts';
import type { Caller } from './caller.ts';
import type { Fault } from './fault.ts';
import type { Peer } from './peer.ts';
import type { Clock, Instant } from './time.ts';
import type { TlsPolicy } from './tls.ts';

/** Why the server asks a session to leave. */
export const SHUTDOWN = 'shutdown';
export const REVOKED = 'revoked';
export const IDLE = 'idle';
export const OVERLOADED = 'overloaded';
export type Why = typeof SHUTDOWN | typeof REVOKED | typeof IDLE | typeof OVERLOADED;

/** How a pipe ended. */
export const ENDED = 'ended';
/** The peer reset it, or we did. */
export const RESET = 'reset';
/** A deadline cut it: lingering after the end, or a `leave` that was not followed. */
export const TIMEOUT = 'timeout';
export const HANDSHAKE = 'handshake';
export const FAULT = 'fault';
export const BUG = 'bug';
/** Nothing answered where we dialled. */
export const UNREACHABLE = 'unreachable';
export type Cause =
  | typeof ENDED
  | typeof RESET
  | typeof TIMEOUT
  | typeof HANDSHAKE
  | typeof FAULT
  | typeof BUG
  | typeof UNREACHABLE;

/** One ordered stream: a socket, TLS, a QUIC or HTTP/2 stream, an SSH channel, a simulation. */
export interface Pipe {
  readonly id: number;
  readonly peer: Peer;
  /** Written in place; sent at the end of the turn after `flush()`. Passing its cap is a bug. */
  readonly out: ByteWriter;
  /** Bytes not yet taken by the network: in `out`, shared, and in the transport. */
  readonly queued: number;
  /** Bytes that the network has taken over the pipe's life. */
  readonly delivered: number;
  /** How much more may be written. 0: stop; only replies within their own bound may still be written. */
  readonly room: number;
  /**
   * Queues bytes in order with `out`. They are immutable from now on; small ones may be copied. `storage` is the pool's that they lie
   * in, and nobody else's: it may be given back once they have left. Without it they are never pooled.
   */
  share(bytes: Uint8Array, start: number, end: number, storage?: Buffer): void;
  /**
   * Has the kernel send bytes of an open file behind everything that was written, now, as far as the carrier can and the
   * network takes them: answers how many, 0 where it cannot. The rest is written as ever; after an answer between, `writable`
   * is called once what was written next has left, so that the kernel can be asked again. The file is one that was read
   * lately: a cold one would hold everybody up.
   */
  sendFile?(fd: number, start: number, end: number): number;
  /** Puts the pipe on the turn's dirty list: what was written goes out when the turn ends. */
  flush(): void;
  /** Takes no more input until `resume()`; becomes TCP back-pressure or withheld stream credit. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then the end of the stream. Input is still received unless `stopReading` is called. */
  end(): void;
  /** Drops what is queued and tells the peer that the stream failed. `lost` follows. */
  reset(wire: number): void;
  /** Wants no more input: it is discarded, or refused with `wire` where the carrier can say so. */
  stopReading(wire: number): void;
  /** The peer broke the protocol: logs it once, sends what was written, ends, and reads no more. */
  fail(fault: Fault): void;
  /**
   * Who goes first of the streams of one connection, where it has several (RFC 9218 §4): those of urgency 0, those of 7 last, and before
   * all those of -1, without which nothing is understood; of one urgency those that are not incremental one after the other, and
   * the others in turn.
   */
  prioritise?(urgency: number, incremental: boolean): void;
  /** Tells those who look that what is written from now on, and what the next session is given, is of this protocol. */
  speaks(protocol: string): void;
  /** Tells the server on whose behalf this is open: it is asked to leave (`REVOKED`) once that caller no longer stands. */
  signedIn(caller: Caller): void;
  /** Hands the pipe over: unconsumed bytes go to `next` once the running call has returned. */
  become(next: Session): void;
  /**
   * STARTTLS: sends `out`, refuses unconsumed bytes as a fault, handshakes, then hands over to `next`. Takes effect once
   * the running call has returned.
   */
  secure(policy: TlsPolicy, next: Session): void;
}

/** A protocol on one pipe. Every call is guarded: a throw is a bug of ours and ends this pipe only. */
export interface Session {
  /** When `tick` is wanted; read again at the end of each turn that touched the pipe. */
  readonly deadline: Instant;
  /**
   * Consumes from `input[start..end)` and answers the index of the first byte that it did not consume. The bytes are
   * borrowed: they are overwritten after the call. What was not consumed is offered again with more behind it or, after
   * `pause()`, once `resume()` was called.
   */
  receive(input: Uint8Array, start: number, end: number, clock: Clock): number;
  /** The kept bytes have reached the listener's bound and none of them was consumed: refuse in the protocol's own words. */
  overlong(clock: Clock): void;
  /** The turn ends and what was written is about to be sent: the last chance to add to it what was held together. */
  gather?(clock: Clock): void;
  /** Once, when `queued` falls below the low mark after `room` was 0. */
  writable(clock: Clock): void;
  tick(clock: Clock): void;
  /** The peer's end of stream, after all kept bytes were offered. */
  finish(clock: Clock): void;
  /** Say goodbye in your protocol's words, and end. */
  leave(why: Why, clock: Clock): void;
  /** Exactly once, the last call ever. */
  lost(cause: Cause, wire: number, clock: Clock): void;
}
