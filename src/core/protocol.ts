// What a protocol's folder gives to the server: one value that says what it speaks, over what, within which bounds.
import type { DatagramPort, DatagramSession } from './datagram.ts';
import type { ExchangeHandler } from './exchange.ts';
import type { Faults } from './fault.ts';
import type { Bound, Limits } from './limits.ts';
import type { Log } from './log.ts';
import type { MessageSession, Messages } from './messages.ts';
import type { Mux, MuxSession } from './mux.ts';
import type { Pipe, Session } from './pipe.ts';
import type { Reach } from './reach.ts';
import type { Direction, Dissector } from './tap.ts';
import type { Clock, Entropy } from './time.ts';

/** What a protocol is given when it is brought up on a server with resources of type `Resources`. */
export interface Host<Resources = unknown, Rows extends Limits = Limits> {
  readonly resources: Resources;
  readonly limits: Bound<Rows>;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly reach: Reach;
  readonly log: Log;
  /** What this server calls itself in greetings: `Portico/0.1.0`. */
  readonly software: string;
  /** Whether callers without an account are let in (loopback only, no account made yet). */
  readonly open: boolean;
}

/**
 * Where a protocol listens. `standardPort` is the one that IANA knows and `--standard-ports` takes; `clientFirst` tells
 * whether first bytes can be used to choose it on a shared port, and `recognises` does so: true, false, or null for
 * "need more" of the at most 24 bytes that are shown.
 */
export type Listens<Resources> =
  | {
      readonly on: 'tcp' | 'tls' | 'unix' | 'quic-stream' | 'ssh-subsystem';
      readonly port: number;
      readonly standardPort: number;
      readonly recognises?: (bytes: Uint8Array, start: number, end: number) => boolean | null;
      /** The most input that its sessions may leave unconsumed: the largest unit that they wait for whole. */
      readonly inputMax?: (limits: Bound) => number;
      pipe(pipe: Pipe, host: Host<Resources>): Session;
    }
  | {
      readonly on: 'udp';
      readonly port: number;
      readonly standardPort: number;
      datagrams(port: DatagramPort, host: Host<Resources>): DatagramSession;
    }
  | { readonly on: 'quic'; readonly alpn: string; mux(mux: Mux, host: Host<Resources>): MuxSession }
  | { readonly on: 'http'; readonly path: string; exchange(host: Host<Resources>): ExchangeHandler }
  | {
      readonly on: 'websocket' | 'data-channel';
      readonly subprotocol: string;
      messages(messages: Messages, host: Host<Resources>): MessageSession;
    };

export interface Protocol<Resources = unknown> {
  readonly name: string;
  readonly specs: readonly string[];
  readonly limits: Limits;
  readonly faults: Faults;
  readonly uses: readonly (keyof Resources)[];
  readonly listens: readonly Listens<Resources>[];
  dissector(direction: Direction, joinedLate: boolean): Dissector;
}
