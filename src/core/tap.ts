// What the inspector is told. A pipe's tap is null unless somebody watches, so that seeing costs nothing otherwise.
import type { Fault } from './fault.ts';
import type { Outcome } from './outcome.ts';
import type { Peer } from './peer.ts';
import type { Instant } from './time.ts';

export type Direction = 'in' | 'out';

export interface Tap {
  /** @param received, sent bytes that crossed before anybody watched: not 0 for who joined late */
  opened(pipe: number, peer: Peer, protocol: string, at: Instant, received: number, sent: number): void;
  /** Bytes as they cross the pipe; borrowed. */
  bytes(pipe: number, direction: Direction, bytes: Uint8Array, start: number, end: number, at: Instant): void;
  /**
   * Another protocol now speaks on the pipe: after recognition on a shared port, an upgrade, STARTTLS, CONNECT. Its bytes
   * begin at these offsets of all that crossed the pipe; some of those that came in may have been told before.
   */
  layer(pipe: number, protocol: string, inAt: number, outAt: number, at: Instant): void;
  /** TLS was put on it: `peer.tls` says what the handshake established. */
  secured?(pipe: number, peer: Peer, at: Instant): void;
  fault(pipe: number, fault: Fault, at: Instant): void;
  /** What a request did: verb, resource path, outcome. */
  effect(pipe: number, verb: string, path: string, outcome: Outcome, at: Instant): void;
  /** @param kernel the connection's last figures, where the carrier has such and knew them before it was gone */
  closed(pipe: number, cause: string, at: Instant, kernel: KernelFigures | null): void;
}

/** What the system's kernel says of a connection over TCP; null where it does not tell. */
export interface KernelFigures {
  readonly state: string;
  readonly roundTripUs: number;
  readonly roundTripVarianceUs: number;
  /** Segments that were sent again, over the connection's life. */
  readonly retransmits: number;
  /** In segments of `segmentBytes`. */
  readonly congestionWindow: number;
  readonly segmentBytes: number;
  readonly unackedSegments: number;
  readonly lostSegments: number;
  /** Bytes a second. */
  readonly pacingRate: number | null;
  readonly deliveryRate: number | null;
  readonly bytesAcked: number | null;
  readonly bytesReceived: number | null;
}

/** One labelled piece of a frame, with the offsets it was read from and the pieces in it. */
export interface Piece {
  readonly label: string;
  readonly value: string;
  readonly start: number;
  readonly end: number;
  readonly pieces?: readonly Piece[];
  /** Nobody knows what these bytes are, so they may hold a secret: their number is told and nothing else. */
  readonly hidden?: true;
  /** Of a frame: who said it, where one dissector reads several protocols, and how long it was where that is not `end - start`. */
  readonly protocol?: string;
  readonly size?: number;
}

/** What a secret is shown as. */
export const MASKED = '•••';

/** The codec again, as a labelled tree. Stateful; secrets come out masked. */
export interface Dissector {
  /** Adds bytes and answers the frames that are complete now; offsets count from the first byte ever pushed. */
  push(bytes: Uint8Array, start: number, end: number): readonly Piece[];
}

/** What the dissectors of both directions of a connection tell each other. */
export type Told = Map<string, number>;

/** Makes the dissectors of a connection's streams, one direction of it, by their numbers. */
export type StreamDissectors = (stream: number, joinedLate: boolean) => Dissector;
