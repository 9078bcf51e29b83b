// How DNS queries are carried: over UDP each from a port of its own, over TCP, TLS and QUIC on connections that are kept a while, over HTTPS by
// POST (RFC 8484). Whoever asks judges what comes; here it is only seen to that it comes from where it was sent to.
import { randomInt } from 'node:crypto';
import type { DatagramPort, DatagramSession } from '../core/datagram.ts';
import { type Address, addressText } from '../core/peer.ts';
import { ENDED } from '../core/pipe.ts';
import type { Reach } from '../core/reach.ts';
import { NEVER } from '../core/time.ts';
import type { TlsPolicy } from '../core/tls.ts';
import type { Turn } from '../core/turn.ts';
import { DnsStreamClient, type Heard } from '../protocols/dns/client-stream.ts';
import { DoqClient } from '../protocols/dns/mux-client.ts';
import type { Carrier, ServerPoint } from '../protocols/dns/resolver-servers.ts';
import { openUdp } from '../transports/udp.ts';
import { dialMux } from './quic-dial.ts';

export interface DnsCarriersOptions {
  readonly turn: Turn;
  readonly dial: Reach['dial'];
  /** On which terms TLS is spoken to a server. */
  readonly tls: (point: ServerPoint) => TlsPolicy;
  /** Posts a query to a URL; rejects when there is no answer. */
  readonly post: (url: string, query: Uint8Array, point: ServerPoint) => Promise<Uint8Array>;
  /** How long a connection without queries is kept. */
  readonly idleMs: number;
}

/** Ports that are tried before it is given up: others may hold them. */
const PORTS_TRIED = 8;
const PORT_LEAST = 1_024;

export class DnsCarriers {
  private readonly options: DnsCarriersOptions;
  private readonly streams = new Map<string, DnsStreamClient>();
  private readonly connections = new Map<string, DoqClient>();

  constructor(options: DnsCarriersOptions) {
    this.options = options;
  }

  /** Sends a query. `heard` is called for each message that comes, until it answers false; or `failed`, once. Answers how to stop. */
  ask(
    point: ServerPoint,
    carrier: Carrier,
    query: Uint8Array,
    heard: Heard,
    failed: (why: string) => void,
  ): () => void {
    if (carrier === 'udp') return this.datagram(point, query, heard, failed);
    if (carrier === 'quic') return this.quic(point, query, heard, failed);
    if (carrier === 'https') return this.post(point, query, heard, failed);
    return this.stream(point, carrier, query, heard, failed);
  }

  close(): void {
    for (const connection of [...this.connections.values()]) connection.leave();
    for (const stream of [...this.streams.values()]) stream.leave();
  }

  // ---- UDP ---------------------------------------------------------------------------------------------------------

  private datagram(point: ServerPoint, query: Uint8Array, heard: Heard, failed: (why: string) => void): () => void {
    let over = false;
    let port: DatagramPort | null = null;
    const stop = () => {
      over = true;
      port?.close();
    };
    const session: DatagramSession = {
      deadline: NEVER,
      receive: (input, start, end) => {
        if (!over && !heard(input, start, end)) stop();
      },
      tick() {},
      leave() {},
      lost: (cause) => {
        if (!over && cause !== ENDED) failed('connection refused');
      },
    };
    this.bind(point, session).then(
      (opened) => {
        port = opened;
        if (over) return opened.close();
        if (!opened.send(point, null, query, 0, query.length, 0)) failed('the socket takes no more');
      },
      (error: Error) => {
        if (!over) failed(error.message);
      },
    );
    return stop;
  }

  /** A port by our own chance, not in the order in which the system gives them (RFC 5452 §4.5, RFC 6056). */
  private async bind({ host: to, port: at }: ServerPoint, session: DatagramSession): Promise<DatagramPort> {
    const { turn } = this.options;
    const host = to.includes(':') ? '::' : '0.0.0.0';
    // Only that very server is heard, whoever else finds the port (RFC 5452 §9.1).
    const peer = { host: to, port: at };
    for (let tries = 1; ; tries++) {
      const port = tries < PORTS_TRIED ? randomInt(PORT_LEAST, 65_536) : 0;
      try {
        return await openUdp({ turn, host, port, session: () => session, peer });
      } catch (error) {
        if (tries >= PORTS_TRIED) throw error;
      }
    }
  }

  // ---- TCP and TLS -------------------------------------------------------------------------------------------------

  private stream(
    point: ServerPoint,
    carrier: 'tcp' | 'tls',
    query: Uint8Array,
    heard: Heard,
    failed: (why: string) => void,
  ): () => void {
    const key = `${carrier} ${addressText(point)} ${point.tlsName ?? ''}`;
    const id = (query[0]! << 8) | query[1]!;
    const open = this.streams.get(key);
    if (open?.ask(query, heard, failed) === true) return () => open.forget(id);
    let client: DnsStreamClient | null = null;
    let over = false;
    const giveUp = this.options.dial(
      { host: point.host, port: point.port },
      carrier === 'tls' ? this.options.tls(point) : null,
      (pipe) => {
        client = new DnsStreamClient(pipe, this.options.idleMs);
        if (over) pipe.end();
        else this.begin(key, client, query, heard, failed);
        return client;
      },
      (_cause, why) => {
        if (!over) failed(why);
      },
    );
    return () => {
      over = true;
      client?.forget(id);
      if (client === null) giveUp();
    };
  }

  private begin(
    key: string,
    client: DnsStreamClient,
    query: Uint8Array,
    heard: Heard,
    failed: (why: string) => void,
  ): void {
    if (!this.streams.has(key)) this.streams.set(key, client);
    client.ended = () => {
      if (this.streams.get(key) === client) this.streams.delete(key);
    };
    if (!client.ask(query, heard, failed)) failed('the connection takes no query');
  }

  // ---- QUIC --------------------------------------------------------------------------------------------------------

  private quic(point: ServerPoint, query: Uint8Array, heard: Heard, failed: (why: string) => void): () => void {
    const { turn, tls, idleMs } = this.options;
    const key = `${addressText(point)} ${point.tlsName ?? ''}`;
    const stop = this.connections.get(key)?.ask(query, heard, failed);
    if (stop !== undefined && stop !== null) return stop;
    let cancel: (() => void) | null = null;
    let over = false;
    const giveUp = dialMux({
      ...{ turn, to: point, policy: { ...tls(point), alpn: ['doq'] } },
      make: (mux) => {
        const client = new DoqClient(mux, idleMs, turn.clock);
        if (!this.connections.has(key)) this.connections.set(key, client);
        client.ended = () => {
          if (this.connections.get(key) === client) this.connections.delete(key);
        };
        // Once the connection knows who speaks on it.
        queueMicrotask(() => {
          if (over) return;
          cancel = client.ask(query, heard, failed);
          if (cancel === null) failed('the connection takes no query');
        });
        return client;
      },
      refused: (why) => {
        if (!over) failed(why);
      },
      bug: (error) => turn.bug(error, 'DNS over QUIC'),
    });
    return () => {
      over = true;
      if (cancel === null) giveUp();
      else cancel();
    };
  }

  // ---- HTTPS -------------------------------------------------------------------------------------------------------

  private post(point: ServerPoint, query: Uint8Array, heard: Heard, failed: (why: string) => void): () => void {
    let over = false;
    this.options.post(urlOf(point), query, point).then(
      (answer) => {
        if (over) return;
        over = true;
        heard(answer, 0, answer.length);
      },
      (error: Error) => {
        if (!over) failed(error.message);
      },
    );
    return () => {
      over = true;
    };
  }
}

/** The URL that a query is posted to. */
export function urlOf({ host, port, tlsName, path }: ServerPoint): string {
  const at: Address = { host: tlsName ?? host, port };
  return `https://${addressText(at)}${path ?? '/dns-query'}`;
}
