// Whole messages in order, text or binary: WebSocket and WebRTC data channels.
import type { Caller } from './caller.ts';
import type { Peer } from './peer.ts';
import type { Cause, Why } from './pipe.ts';
import type { Clock, Instant } from './time.ts';

export interface Messages {
  readonly id: number;
  readonly peer: Peer;
  readonly caller: Caller;
  /** '' for none. */
  readonly subprotocol: string;
  /** What it was opened on: the request's target with its query, or the label of a data channel. */
  readonly target: string;
  /** Sends one message. The bytes may be shared: they are immutable from now on. Text has been checked to be UTF-8. */
  send(bytes: Uint8Array, start: number, end: number, text: boolean): void;
  readonly queued: number;
  readonly room: number;
  /** Tells on whose behalf this is open, where that is found out within it: as of a pipe. */
  signedIn?(caller: Caller): void;
  /** No more messages until `resume()`. */
  pause(): void;
  resume(): void;
  /** On the turn's list: what was sent goes out when it ends, and the deadline is read again. */
  flush(): void;
  /** Closes with a code of RFC 6455 §7.4 and a reason of at most 123 bytes. */
  end(code: number, reason?: string): void;
}

export interface MessageSession {
  readonly deadline: Instant;
  /** One whole message; the bytes are borrowed. Text was checked to be UTF-8. */
  receive(input: Uint8Array, start: number, end: number, text: boolean, clock: Clock): void;
  writable(clock: Clock): void;
  tick(clock: Clock): void;
  leave(why: Why, clock: Clock): void;
  /** The peer says no more. True: what it asked before is still under way, and `end` follows when it is done. */
  finish?(): boolean;
  /** Exactly once, the last call ever; `wire` is the peer's close code, 1005 for none, 1006 for a lost connection. */
  lost(cause: Cause, wire: number, clock: Clock): void;
}
