// Dials QUIC: each connection on a UDP port of its own, which ends with it.
import type { Fault } from '../core/fault.ts';
import type { Mux, MuxSession } from '../core/mux.ts';
import type { Address } from '../core/peer.ts';
import { type Cause, ENDED } from '../core/pipe.ts';
import type { TlsPolicy } from '../core/tls.ts';
import type { Turn } from '../core/turn.ts';
import { dialQuic } from '../protocols/quic/serve.ts';
import { platformAuthorities } from '../transports/tls.ts';
import { type OpenPort, openUdp } from '../transports/udp.ts';
import { ENTROPY } from './loop.ts';

export interface MuxDialling {
  readonly turn: Turn;
  /** An address, not a name. */
  readonly to: Address;
  /** Its `alpn` says what is spoken. */
  readonly policy: TlsPolicy;
  /** Who speaks, once the connection stands. */
  make(mux: Mux): MuxSession;
  /** There is no connection: nobody answers, or one of both was not content. Not called when `make` was. */
  refused(why: string): void;
  bug(error: unknown): void;
}

const REASONS: Readonly<Partial<Record<Cause, string>>> = {
  timeout: 'nobody answers',
  unreachable: 'connection refused',
};

/** Dials; what is answered gives up, and ends the connection that was made. */
export function dialMux({ turn, to, policy, make, refused, bug }: MuxDialling): () => void {
  const host = to.host.includes(':') ? '::' : '0.0.0.0';
  let port: OpenPort | null = null;
  let isMade = false;
  let isOver = false;
  let broken: Fault | null = null;
  const end = (why: string) => {
    if (isOver) return;
    isOver = true;
    // Its last words are still on their way out.
    setImmediate(() => port?.close());
    if (!isMade) refused(why);
  };
  const connections = {
    admit: () => true,
    opened() {},
    faulted: (_connection: unknown, fault: Fault) => {
      broken = fault;
    },
    closed: (_connection: unknown, cause: Cause, wire: number) => {
      const said = broken?.text ?? REASONS[cause] ?? `the server ended it with 0x${wire.toString(16)}`;
      end(said);
    },
  };
  openUdp({
    turn,
    host,
    port: 0,
    session: (made) => {
      const endpoint = dialQuic(made, {
        ...{ policy, entropy: ENTROPY, time: turn, connections, bug },
        platform: platformAuthorities,
        make: (mux) => {
          isMade = true;
          return make(mux);
        },
      });
      endpoint.dial(to);
      return endpoint;
    },
  }).then(
    (opened) => {
      port = opened;
      if (isOver) opened.close();
    },
    (error: Error) => end(error.message),
  );
  return () => {
    isMade = true;
    end(ENDED);
  };
}
