// What a protocol's folder gives to the server: one value that says what it speaks, over what, within which bounds.
import type { AccessLog } from './access.ts';
import type { Ciphers } from './ciphers.ts';
import type { Connections } from './connection.ts';
import type { DatagramPort, DatagramSession } from './datagram.ts';
import type { Exchange, ExchangeHandler } from './exchange.ts';
import type { Faults } from './fault.ts';
import type { Bound, Limits } from './limits.ts';
import type { Log, LogFields } from './log.ts';
import type { MessageSession, Messages } from './messages.ts';
import type { Mux, MuxSession } from './mux.ts';
import type { Pipe, Session } from './pipe.ts';
import type { Reach } from './reach.ts';
import type { Direction, Dissector, StreamDissectors, Told } from './tap.ts';
import type { Clock, Entropy } from './time.ts';
import type { TlsPolicy } from './tls.ts';

/** Another protocol on the same listener, known by how its clients begin. */
export interface Alternative {
  readonly name: string;
  /** The most input that its sessions may leave unconsumed. */
  readonly inputMax?: number;
  readonly recognises: (bytes: Uint8Array, start: number, end: number) => boolean | null;
  make(pipe: Pipe): Session;
}

/** Who is spoken to over a connection of many streams: the one that the client names by ALPN (RFC 7301). */
export interface MuxChoice {
  readonly name: string;
  readonly alpn: string;
  make(mux: Mux): MuxSession;
}

/** What a protocol is given when it is brought up on a server with resources of type `Resources`. */
export interface Host<Resources = unknown, Rows extends Limits = Limits> {
  readonly resources: Resources;
  readonly limits: Bound<Rows>;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly reach: Reach;
  readonly log: Log;
  /** Where a session that goes on tells what was thrown in it; in its log when absent. */
  bug?(error: unknown, where: string, fields: LogFields): void;
  /** Told of requests that are over; usually nobody is. */
  readonly access?: AccessLog | null;
  /** The server takes nothing new and is about to end. */
  readonly leaving?: boolean;
  /** What this server calls itself in greetings: `Portico/0.1.0`. */
  readonly software: string;
  /** Who else is spoken to on this listener, when a client's first bytes say so: the session hands its pipe over. */
  readonly alternatives?: readonly Alternative[];
  /** Over a port of datagrams with connections of many streams, who is spoken to on them, by preference. */
  readonly muxes?: readonly MuxChoice[];
  /** Where such connections are let in and counted. */
  readonly connections?: Connections;
  /** On which terms a session may turn to TLS in the middle (`pipe.secure`); null where there is no TLS. */
  readonly startTls?: TlsPolicy | null;
  /** Who protects packets faster than node:crypto, where somebody does. */
  readonly ciphers?: Ciphers | undefined;
  /** What the configuration says of this protocol beside its limits, as its own schema has checked it. */
  readonly settings?: unknown;
  /** What answers HTTP requests on this server: the routes of all protocols and of its user. */
  readonly routes: ExchangeHandler;
}

/** Tells of what was thrown in a session that goes on. */
export function reportBug(host: Pick<Host, 'bug' | 'log'>, error: unknown, where: string, fields: LogFields): void {
  if (host.bug !== undefined) host.bug(error, where, fields);
  else
    host.log.error(`a bug in ${where}`, {
      ...fields,
      stack: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
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
      /** Over TLS, the name by which clients ask for it (RFC 7301); several protocols may share a TLS port so. */
      readonly alpn?: string;
      /** Over TLS, on a port of its own: its sessions shake hands themselves, on the terms of `host.startTls`. */
      readonly shakes?: true;
      /** It has no port of its own over TCP: it is spoken on that protocol's, whose session gives it what it recognises. */
      readonly beside?: string;
      readonly recognises?: (bytes: Uint8Array, start: number, end: number) => boolean | null;
      /** The most input that its sessions may leave unconsumed: the largest unit that they wait for whole. */
      readonly inputMax?: (limits: Bound) => number;
      pipe(pipe: Pipe, host: Host<Resources>): Session;
    }
  | {
      readonly on: 'udp';
      readonly port: number;
      readonly standardPort: number;
      /** Connections of many streams, always with TLS: those who listen on `quic` are spoken to on them. */
      readonly carries?: 'quic';
      datagrams(port: DatagramPort, host: Host<Resources>): DatagramSession;
    }
  | {
      readonly on: 'quic';
      readonly alpn: string;
      /** A port for it alone, beside the one for all. */
      readonly port?: number;
      readonly standardPort?: number;
      mux(mux: Mux, host: Host<Resources>): MuxSession;
    }
  | HttpListens<Resources>
  | SocketListens<Resources>
  | {
      readonly on: 'data-channel';
      readonly subprotocol: string;
      messages(messages: Messages, host: Host<Resources>): MessageSession;
    };

/** A route of the HTTP ports. It is made once a server, and called once a request. */
export interface HttpListens<Resources> {
  readonly on: 'http';
  /** Exactly this path, or all below it when it ends with `/`. The longest that fits is taken. */
  readonly path: string;
  /**
   * What requests it takes of those to its path: those that ask for an upgrade to this token; GETs that would rather have
   * this media type than anything; absent for all others.
   */
  readonly only?: { readonly upgrade: string } | { readonly accept: string };
  /**
   * Which requests below `path` it takes, where that changes while the server runs: asked of those that no other route but one
   * at `/` itself takes, in the order of the protocols. Made once a server. Not together with `only`.
   */
  readonly claims?: (host: Host<Resources>) => (exchange: Exchange, path: string) => boolean;
  /** Answers also those who did not sign in, and those beyond this machine while there are no accounts. */
  readonly anyone?: boolean;
  exchange(host: Host<Resources>): ExchangeHandler;
}

/**
 * What is spoken over a WebSocket: messages, or, with `stream`, a stream of bytes in binary messages without regard to
 * where they are cut. `subprotocol` is '' for sockets that ask for none.
 */
export type SocketListens<Resources> = {
  readonly on: 'websocket';
  readonly subprotocol: string;
  /** As those of a route, but `/` is exactly that. */
  readonly paths: readonly string[];
  /**
   * It asks itself who is there: its sockets are opened for anyone, with nobody as the caller; `when-silent`: those of clients
   * that say nothing of it in the request.
   */
  readonly signsIn?: boolean | 'when-silent';
} & (
  | { messages(messages: Messages, host: Host<Resources>): MessageSession }
  | { stream(pipe: Pipe, host: Host<Resources>): Session }
);

export interface Protocol<Resources = unknown> {
  readonly name: string;
  readonly specs: readonly string[];
  readonly limits: Limits;
  readonly faults: Faults;
  readonly uses: readonly (keyof Resources)[];
  readonly listens: readonly Listens<Resources>[];
  dissector(direction: Direction, joinedLate: boolean): Dissector;
  /** Over connections of many streams, where what is said on one is needed to read another. */
  streamDissectors?(direction: Direction, told: Told): StreamDissectors;
}
