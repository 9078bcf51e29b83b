// A port of UDP with QUIC on it, on the terms of a server: who is spoken to by ALPN, its certificates, its accounts of
// connections; and one that dials. What is said on the streams is not known here.
import type { Connections } from '../../core/connection.ts';
import type { DatagramPort } from '../../core/datagram.ts';
import { bindLimits } from '../../core/limits.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import { type Host, reportBug } from '../../core/protocol.ts';
import type { Clock, Entropy } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import type { TransportOptions } from './connection/options.ts';
import { VERSION_1, VERSION_2 } from './crypto.ts';
import { QuicEndpoint } from './endpoint.ts';
import { type QuicLimits, quicLimits } from './limits.ts';
import { Qlog } from './qlog.ts';

export type QuicHost<Resources> = Host<Resources, typeof quicLimits>;

/** What a server is told beside its limits (`host.settings`). */
export interface QuicSettings {
  /** When a client has to prove its address first. */
  readonly retry?: 'busy' | 'always';
  /** 32 bytes that tokens are made with, for servers that stand for one another. */
  readonly secret?: Uint8Array;
  /** Where the life of a connection is written as qlog, by the id that its client made up, in hex; null for nowhere. */
  readonly qlog?: (group: string) => ((record: string) => void) | null;
}

/** What of a host the server's half asks for. */
export type ServerTerms = Pick<
  QuicHost<unknown>,
  'limits' | 'clock' | 'entropy' | 'log' | 'bug' | 'startTls' | 'muxes' | 'connections' | 'ciphers' | 'settings'
>;

/** The server's half, on the terms of its host. */
export function serveQuic(port: DatagramPort, host: ServerTerms): QuicEndpoint {
  const { muxes = [], startTls, entropy, limits, connections, ciphers } = host;
  const { retry, secret, qlog } = (host.settings ?? {}) as QuicSettings;
  const policy: TlsPolicy = { ...startTls, role: 'server', alpn: muxes.map(({ alpn }) => alpn) };
  const transport: TransportOptions = {
    ...terms(limits, entropy, policy),
    ...(ciphers && { ciphers }),
    ...(qlog && { qlog: qlogBy(qlog) }),
    choose: (alpn, mux) => muxes.find((each) => each.alpn === alpn)?.make(mux) ?? null,
    nameOf: (alpn) => muxes.find((each) => each.alpn === alpn)?.name ?? 'quic',
  };
  return new QuicEndpoint(port, {
    time: host,
    transport,
    serves: true,
    ...(connections && { connections }),
    ...(retry && { retry }),
    ...(secret && { secret }),
    bug: (error, where) => reportBug(host, error, where, {}),
  });
}

/** Makes the qlog of each connection that somebody wants one of. */
export function qlogBy(sinkFor: NonNullable<QuicSettings['qlog']>): NonNullable<TransportOptions['qlog']> {
  return ({ originalId, isClient, home }) => {
    const group = Buffer.from(originalId).toString('hex');
    const sink = sinkFor(group);
    return sink === null ? null : new Qlog(sink, isClient, group, home.clock);
  };
}

function terms(limits: QuicLimits, entropy: Entropy, policy: TlsPolicy): Omit<TransportOptions, 'choose' | 'nameOf'> {
  return {
    limits,
    entropy,
    policy,
    versions: [VERSION_1, VERSION_2],
    congestion: 'cubic',
    keepAliveMs: 0,
    migration: true,
  };
}

/** What a client is made of. */
export interface ClientTerms {
  readonly policy: TlsPolicy;
  readonly entropy: Entropy;
  readonly time: { readonly clock: Clock };
  /** Bounds that differ from the defaults. */
  readonly limits?: Readonly<Record<string, number>>;
  /** PEM of the authorities to trust where the policy names none. */
  readonly platform?: () => string;
  readonly transport?: Partial<TransportOptions>;
  /** Told how connections end, those among them that never stood. */
  readonly connections?: Connections;
  bug(error: unknown, where: string): void;
  /** Who speaks on a connection, once ALPN is agreed on. */
  make(mux: Mux, alpn: string): MuxSession;
}

/** The client's half: `endpoint.dial(address)` begins a connection, and `make` is asked once it stands. */
export function dialQuic(port: DatagramPort, given: ClientTerms): QuicEndpoint {
  const { policy, entropy, time, platform, connections, bug } = given;
  const transport: TransportOptions = {
    ...terms(bindLimits(quicLimits, given.limits), entropy, { ...policy, role: 'client' }),
    ...(platform && { platform }),
    choose: (alpn, mux) => given.make(mux, alpn),
    nameOf: (alpn) => alpn,
    ...given.transport,
  };
  return new QuicEndpoint(port, { time, transport, serves: false, ...(connections && { connections }), bug });
}
