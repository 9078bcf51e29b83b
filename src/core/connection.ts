// A connection as its server keeps it, whatever carries it: counted, shown, throttled, asked to leave. A pipe over a socket is
// one, and so is a connection of many streams over datagrams.
import type { Caller } from './caller.ts';
import type { Fault } from './fault.ts';
import type { Address, Peer } from './peer.ts';
import type { Cause, Why } from './pipe.ts';
import type { KernelFigures, Tap } from './tap.ts';

export interface Connection {
  readonly id: number;
  peer: Peer;
  /** What is spoken on it, as far as anybody said. */
  protocol: string;
  /** What it is watched as, where that is another: packets rather than what is spoken on their streams. */
  readonly shownAs?: string;
  tap: Tap | null;
  /** On whose behalf it is open. */
  readonly callers: readonly Caller[];
  readonly isAlive: boolean;
  /** Bytes that the network has not taken, and all that is held for it. */
  readonly queued: number;
  readonly heldBytes: number;
  /** Over its life. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Takes no input for now, whatever is spoken on it. */
  throttle(on: boolean): void;
  /** Asks it to leave, and cuts it when it has not within `graceMs`. */
  leave(why: Why, graceMs: number): void;
  kernel(): KernelFigures | null;
}

/** Told of what happens to connections: the server's logs, metrics and accounts. */
export interface ConnectionEvents {
  faulted(connection: Connection, fault: Fault): void;
  closed(connection: Connection, cause: Cause, wire: number): void;
}

/** Where connections that do not come through a door of the server's are let in and counted. */
export interface Connections extends ConnectionEvents {
  /** Whether one more from this address may come in. */
  admit(remote: Address | null): boolean;
  /** One that was admitted stands; `closed` follows. */
  opened(connection: Connection, protocol: string): void;
  /** One that was admitted and still shakes hands: shows it to who watches. */
  watch?(connection: Connection): void;
}

let lastId = 0;

/** Of all connections and pipes of this process. */
export function nextConnectionId(): number {
  return ++lastId;
}
