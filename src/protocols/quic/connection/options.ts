// What a connection is given: by the endpoint that leads packets to it, and by who wants it.
import type { Connections } from '../../../core/connection.ts';
import type { DatagramPort } from '../../../core/datagram.ts';
import type { Mux, MuxSession } from '../../../core/mux.ts';
import type { Clock, Entropy } from '../../../core/time.ts';
import type { TlsPolicy } from '../../../core/tls.ts';
import type { PreferredAddress } from '../codec/parameters.ts';
import type { Ticket, Version } from '../crypto.ts';
import type { QuicLimits } from '../limits.ts';
import type { AddressTokens, Ciphers } from '../protection/index.ts';
import type { Suite } from '../protection/suites.ts';
import type { Qlog } from '../qlog.ts';
import type { Algorithm } from '../recovery/congestion.ts';
import type { EarlyGuard, Tickets } from '../tls/index.ts';
import type { QuicConnection } from './connection.ts';
import type { IdBook } from './ids.ts';

export interface TransportOptions {
  readonly limits: QuicLimits;
  readonly entropy: Entropy;
  readonly policy: TlsPolicy;
  /** By preference; a client begins with the first, a server goes over to its first if the client has it too. */
  readonly versions: readonly Version[];
  readonly congestion: Algorithm;
  readonly ciphers?: Ciphers;
  /** Cipher suites by preference. */
  readonly suites?: readonly Suite[];
  /** Asks for a sign of life after so long without one; 0 does not. */
  readonly keepAliveMs: number;
  /** PEM of the authorities that a client trusts where the policy names none. */
  readonly platform?: () => string;
  readonly qlog?: (connection: QuicConnection) => Qlog | null;
  /** Whom clients are to go on with once the handshake is done (RFC 9000 §9.6). */
  readonly preferred?: Pick<PreferredAddress, 'v4' | 'v6'>;
  /** Whether the connection may change its address. */
  readonly migration: boolean;
  /** Who is spoken to: by what was agreed on with ALPN; null for nobody. */
  choose(alpn: string, mux: Mux): MuxSession | null;
  nameOf(alpn: string): string;
  /** It is over, and nothing of it is left. */
  gone?(connection: QuicConnection): void;
}

/** Of a client's. */
export interface DialOptions {
  readonly ticket?: Ticket | null;
  /** Whether to send before the server has answered, where the ticket allows. */
  readonly early?: boolean;
  /** A token of an earlier connection (RFC 9000 §8.1.3). */
  readonly token?: Uint8Array;
  onTicket?(ticket: Ticket): void;
  onToken?(token: Uint8Array): void;
}

/** Of a server's: what its first packet said. */
export interface Arrived {
  readonly version: Version;
  /** The connection id that the client made up, and that of its Retry if there was one. */
  readonly originalId: Uint8Array;
  readonly retryId: Uint8Array | null;
  /** What it sent this packet to. */
  readonly destination: Uint8Array;
  readonly source: Uint8Array;
  readonly validated: boolean;
}

/** The endpoint, as its connections see it. */
export interface Home extends IdBook {
  readonly port: DatagramPort;
  readonly clock: Clock;
  readonly connections: Connections | null;
  readonly tickets: Tickets | null;
  readonly guard: EarlyGuard | null;
  readonly addressTokens: AddressTokens | null;
  /** Leads packets to an id that we did not issue: the one that the client made up. */
  lead(id: Uint8Array, connection: QuicConnection): void;
  /** Packets that end with this token end the connection (RFC 9000 §10.3). */
  watch(token: Uint8Array, connection: QuicConnection): void;
  unwatch(token: Uint8Array): void;
  /** Has `work` called before the turn ends. */
  touch(connection: QuicConnection): void;
  established(connection: QuicConnection): void;
  gone(connection: QuicConnection): void;
  bug(error: unknown, where: string): void;
}
