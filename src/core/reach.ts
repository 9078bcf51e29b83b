// The only way out: sessions never open sockets. Whoever implements it enforces where may be reached and how often, and
// ends what a session opened when that session is lost.
import type { DatagramPort, DatagramSession } from './datagram.ts';
import type { Address } from './peer.ts';
import type { Cause, Pipe, Session } from './pipe.ts';
import type { Instant } from './time.ts';
import type { TlsPolicy } from './tls.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  /** A Unix socket instead of host and port. */
  readonly path?: string;
  /**
   * Back to where the session's own peer is: allowed for its very address, whatever the policy says of that, and ports from
   * 1024 on; refused for any other.
   */
  readonly back?: boolean;
}

export interface Reach {
  /**
   * Connects. `connected` makes the session once the pipe stands (and TLS, when a policy is given); `refused` is called
   * instead when it does not, also when the policy forbids the target. Answers a function that gives up.
   */
  dial(
    target: Target,
    tls: TlsPolicy | null,
    connected: (pipe: Pipe) => Session,
    refused: (cause: Cause, why: string) => void,
  ): () => void;
  /** Listens for one connection from `from` on a port of the range, until `deadline`. Answers the port, or null. */
  listenOnce(
    ports: readonly [number, number],
    from: Address,
    deadline: Instant,
    connected: (pipe: Pipe) => Session,
    expired: () => void,
  ): Promise<number | null>;
  /** A port for datagrams to anywhere that the policy allows. */
  datagrams(family: 4 | 6, session: (port: DatagramPort) => DatagramSession): Promise<DatagramPort | null>;
}
