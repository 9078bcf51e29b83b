// What a connection and its cryptography say to each other: encryption levels, the protection of packets, the handshake.
// Here are only the terms: the handshake is in `tls/`, the protection in `protection/`, who asks them in `connection/`.
import type { Fault } from '../../core/fault.ts';
import type { Address } from '../../core/peer.ts';
import type { Clock } from '../../core/time.ts';

/** Encryption levels, in the order in which they come (RFC 9001 §4). */
export const INITIAL = 0;
export const EARLY = 1;
export const HANDSHAKE = 2;
export const APPLICATION = 3;
export type Level = typeof INITIAL | typeof EARLY | typeof HANDSHAKE | typeof APPLICATION;

export const VERSION_1 = 0x0000_0001;
export const VERSION_2 = 0x6b33_43cf;
export type Version = typeof VERSION_1 | typeof VERSION_2;

/** Bytes that sealing adds to a packet; the same for every cipher suite of TLS 1.3 that QUIC takes (RFC 9001 §5.3). */
export const TAG_BYTES = 16;

/** The protection of packets at one level, both ways. Either way may not be there yet: `canSeal`, `canOpen`. */
export interface Protection {
  readonly canSeal: boolean;
  readonly canOpen: boolean;
  /** The phase bit that packets are to be written with; 0 but at APPLICATION (RFC 9001 §6). */
  readonly phase: 0 | 1;
  /**
   * Seals a packet in place. Its header begins at `start`, its number stands in `numberBytes` (1 to 4) bytes at `numberAt`, its
   * payload goes from there to `end`, behind which 16 bytes are free for the tag; payload and number have 4 bytes at least.
   * Answers the packet's end. The header is protected by the next `mask()`: no packet may leave before.
   */
  seal(packet: Uint8Array, start: number, numberAt: number, numberBytes: number, end: number, number: number): number;
  /** Protects the headers of all packets sealed since it was last called; their buffers must not have been changed. */
  mask(): void;
  /** How many packets may still be sealed with these keys before they have to be updated (RFC 9001 §6.6). */
  readonly sealsLeft: number;
  /** Takes the protection off a header in place; answers how many bytes its number has, 0 when the packet is too short. */
  unmask(packet: Uint8Array, start: number, numberAt: number, end: number): number;
  /**
   * Opens a packet, whose header is unmasked, in place, and answers the end of its payload, or -1 when it is not genuine. At
   * APPLICATION the phase bit picks the keys: those of before, now, or the next, which are then taken by both directions.
   */
  open(packet: Uint8Array, start: number, payloadAt: number, end: number, number: number, now: number): number;
  /** Whether so many packets failed to open that the connection has to end with AEAD_LIMIT_REACHED (RFC 9001 §6.6). */
  readonly worn: boolean;
  /** Begins a key update; false when the one before is not acknowledged yet. Only at APPLICATION. */
  update(): boolean;
  /** A packet of the current phase was acknowledged: another update may begin, and old keys go three PTOs later. */
  acknowledged(number: number, now: number, dropOldAt: number): void;
  /** Overwrites the keys. It may not be used again. */
  discard(): void;
}

/** What a handshake tells its connection, within its own calls. The bytes are borrowed. */
export interface HandshakeEvents {
  /** Bytes for CRYPTO frames of this level. */
  send(level: Level, bytes: Uint8Array, start: number, end: number): void;
  /** Keys are there: one direction or both, told once for each that comes. The same object for both directions. */
  keys(level: Level, protection: Protection): void;
  /** The peer's transport parameters as they came, before anything is said that relies on them. A fault ends it. */
  parameters(bytes: Uint8Array, start: number, end: number): Fault | null;
  /** A client: 0-RTT was refused; what was sent in it has to be sent again (RFC 9001 §4.6.2). */
  earlyRefused(): void;
  /** A client: the server gave a ticket for `Handshake.resumption`. */
  ticket(ticket: Ticket): void;
}

/** What a client keeps to go on with a session later. Plain data; `parameters` are the server's transport parameters. */
export interface Ticket {
  readonly serverName: string;
  readonly alpn: string;
  readonly version: Version;
  readonly suite: number;
  readonly secret: Uint8Array;
  readonly ticket: Uint8Array;
  readonly ageAdd: number;
  /** Milliseconds since 1970. */
  readonly received: number;
  readonly expires: number;
  /** Whether 0-RTT may be tried with it. */
  readonly early: boolean;
  readonly parameters: Uint8Array;
}

/** A TLS 1.3 handshake carried by QUIC (RFC 9001 §4). Everything in it is done at once: no promise, no callback later. */
export interface Handshake {
  /** A client: writes its first flight. A server: nothing. `parameters` are ours, in wire form. */
  begin(parameters: Uint8Array, clock: Clock): void;
  /** Bytes of CRYPTO frames of `level`, in order and without gaps. Null, or why the connection ends (its `wire` is 0x100 + alert). */
  receive(level: Level, input: Uint8Array, start: number, end: number, clock: Clock): Fault | null;
  /** Finished was sent and received and found true. */
  readonly complete: boolean;
  /** What was agreed on; '' until then. */
  readonly alpn: string;
  /** What the client asked for; '' when it did not. */
  readonly serverName: string;
  readonly suite: number;
  readonly group: string;
  readonly resumed: boolean;
  /** Whether 0-RTT is taken: on the server from the ClientHello on, on a client from EncryptedExtensions. */
  readonly early: boolean;
  /** DER, the peer's own certificate first; empty where it has shown none. */
  readonly peerChain: readonly Uint8Array[];
  /** On a client, why the server's certificate was found wanting when `verify` is false; null when it is good. */
  readonly verifyError: string | null;
}

/** Where the two ends are, for picking certificates. */
export interface Ends {
  readonly remote: Address | null;
  readonly local: Address | null;
}
