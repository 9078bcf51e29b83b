// Ports of UDP with QUIC on them, for programs: who is spoken to on a connection is handed in.
import { bindLimits } from '../core/limits.ts';
import { SILENT } from '../core/log.ts';
import type { MuxChoice } from '../core/protocol.ts';
import { type QuicLimits, quicLimits } from '../protocols/quic/limits.ts';
import { type ServerTerms, serveQuic } from '../protocols/quic/serve.ts';
import { openUdp } from '../transports/udp.ts';
import { ENTROPY, turn } from './loop.ts';

export interface ListenOptions {
  /** Bounds of QUIC that differ from the defaults, by their names in docs/quic.md. */
  readonly limits?: Readonly<Record<string, number>>;
  /** 127.0.0.1 unless said. */
  readonly host?: string;
  /** 0 takes any that is free. */
  readonly port?: number;
  /** PEM, the server's own certificate first. */
  readonly certificate: string;
  readonly key: string;
  /** Where the life of a connection is written as qlog (docs/quic.md); null for nowhere. */
  readonly qlog?: (group: string) => ((record: string) => void) | null;
}

/** What is thrown in a program's own code surfaces as out of any event handler. */
export const bug = (error: unknown): void => {
  queueMicrotask(() => {
    throw error;
  });
};

/** The bounds of QUIC, by their names in docs/quic.md. Throws a RangeError for one that is none. */
export function quicBounds(given?: Readonly<Record<string, number>>): QuicLimits {
  return bindLimits(quicLimits, given);
}

/** Takes connections, by preference those of the first of `muxes` that both speak. */
export async function listenQuic(
  { certificate, key, limits, qlog, host = '127.0.0.1', port = 0 }: ListenOptions,
  muxes: readonly MuxChoice[],
): Promise<{ readonly port: number; close(): void }> {
  const given: ServerTerms = {
    limits: quicBounds(limits),
    entropy: ENTROPY,
    log: SILENT,
    get clock() {
      return turn.clock;
    },
    startTls: { role: 'server', certificate, key },
    muxes,
    settings: qlog === undefined ? {} : { qlog },
    bug,
  };
  const opened = await openUdp({
    turn,
    host,
    port,
    session: (own) => serveQuic(own, given),
  });
  return { port: opened.local.port, close: () => opened.close() };
}
