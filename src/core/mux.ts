// Many streams over one connection, and datagrams beside them: QUIC, and HTTP/2 as its own streams see it.
import type { Caller } from './caller.ts';
import type { Fault } from './fault.ts';
import type { Peer } from './peer.ts';
import type { Cause, Pipe, Session, Why } from './pipe.ts';
import type { Clock, Instant } from './time.ts';

export interface Mux {
  /** Of the connection, among all of this process. */
  readonly id: number;
  readonly peer: Peer;
  /** A new stream of ours, which knows its number (`peer.stream`), with `session` on it, or null while the peer allows no more: `mayOpen` follows. */
  open(oneWay: boolean, session: (pipe: Pipe) => Session): Pipe | null;
  /** Sends one unreliable datagram; false when it is larger than `datagramMax` or nothing can be sent now. */
  datagram(bytes: Uint8Array, start: number, end: number): boolean;
  /** 0 when the peer takes none. */
  readonly datagramMax: number;
  /** What comes now came as early data, and may be a replay (RFC 9001 §9.2). */
  readonly early?: boolean;
  close(fault: Fault): void;
  /** Tells the server on whose behalf this is open: it is asked to leave (`REVOKED`) once that caller no longer stands. */
  signedIn(caller: Caller): void;
}

export interface MuxSession {
  readonly deadline: Instant;
  /** The peer opened a stream. On one that is one-way nothing may be written. */
  opened(pipe: Pipe, oneWay: boolean): Session;
  /** Once, when a stream may be opened after `open` answered null. */
  mayOpen(clock: Clock): void;
  datagram(bytes: Uint8Array, start: number, end: number, clock: Clock): void;
  tick(clock: Clock): void;
  leave(why: Why, clock: Clock): void;
  /** Exactly once, after every stream's own `lost`. */
  lost(cause: Cause, wire: number, clock: Clock): void;
}
