// Datagrams: whole messages to and from addresses, with neither order nor memory.
import type { Address } from './peer.ts';
import type { Cause, Why } from './pipe.ts';
import type { Clock, Instant } from './time.ts';

/** ECN codepoints as in the IP header (RFC 3168 §5), and what a platform that cannot tell reports. */
export const ECN_UNKNOWN = -1;

export interface DatagramPort {
  readonly local: Address;
  /**
   * Sends `bytes[start..end)`, cut into datagrams of `segment` bytes (the last may be shorter); 0 sends one. `local` picks
   * the address that it leaves from where the port has several. The bytes are copied or sent before it returns.
   * False when `room` does not suffice: nothing was sent then. `ecn` is the codepoint that they are marked with where the port
   * has `ecn`; none when absent.
   */
  send(
    to: Address,
    local: Address | null,
    bytes: Uint8Array,
    start: number,
    end: number,
    segment: number,
    ecn?: number,
  ): boolean;
  /** How many more bytes may be sent in this turn. */
  readonly room: number;
  /** Whether ECN marks are seen and set. */
  readonly ecn: boolean;
  /** Datagrams that are too long for the path are lost rather than sent in fragments. */
  readonly isWhole?: boolean;
  /** On the turn's list, so that the session's deadline is read again. */
  touch(): void;
  /** Closes the port; `lost` follows. */
  close(): void;
}

export interface DatagramSession {
  readonly deadline: Instant;
  /** One datagram; the bytes are borrowed. */
  receive(
    input: Uint8Array,
    start: number,
    end: number,
    from: Address,
    local: Address | null,
    ecn: number,
    clock: Clock,
  ): void;
  tick(clock: Clock): void;
  /** The turn ends: what was held together goes out. */
  gather?(clock: Clock): void;
  leave(why: Why, clock: Clock): void;
  /** Exactly once, the last call ever. */
  lost(cause: Cause, wire: number, clock: Clock): void;
}
