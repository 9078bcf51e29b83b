// What every client of the library runs on: one turn for all of them, and how they dial.
import { randomFillSync } from 'node:crypto';
import type { Reach } from '../core/reach.ts';
import { NO_EVENTS, PIPE_BOUNDS, type PipeBounds } from '../core/stream-pipe.ts';
import type { Entropy } from '../core/time.ts';
import type { TlsPolicy } from '../core/tls.ts';
import { NODE_LOOP, TurnLoop } from '../server/turn.ts';
import { dial as dialSocket } from '../transports/socket-pipe.ts';

/** A throw in a caller's own code surfaces as an uncaught exception, as it would out of any event handler. */
export const turn = new TurnLoop(NODE_LOOP, (error) => {
  queueMicrotask(() => {
    throw error;
  });
});

export const ENTROPY: Entropy = { fill: (into) => void randomFillSync(into) };

/** How connections are made whose sessions leave at most `inputMax` bytes unconsumed. */
export function dialWith(inputMax: number): Reach['dial'] {
  const bounds: PipeBounds = { ...PIPE_BOUNDS, inputMax };
  return (target, tls, connected, refused) =>
    dialSocket(target, tls, { turn, bounds, events: NO_EVENTS }, connected, refused);
}

/** What a caller may say of TLS. */
export interface TlsOptions {
  /** PEM of the authorities to trust; the platform's when absent. */
  readonly authorities?: string;
  /** PEM of the certificate and key to present. */
  readonly certificate?: string;
  readonly key?: string;
  /** False: whoever answers is believed. */
  readonly verify?: boolean;
}

export function policyFor(host: string, options: TlsOptions = {}): TlsPolicy {
  return { role: 'client', serverName: host, ...options };
}

/** A connection that could not be made, was lost, or whose other end broke the protocol. */
export class ConnectionError extends Error {
  /** `protocol.name` of what the other end broke; '' where it broke nothing. */
  readonly fault: string;

  constructor(message: string, fault = '') {
    super(message);
    this.name = 'ConnectionError';
    this.fault = fault;
  }
}

/** What a URL says about where to connect. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** Where a URL leads. Throws a TypeError when it is none, or of another scheme than `ports` lists. */
export function placeOf(text: string, ports: Readonly<Record<string, number>>): Place & { readonly url: URL } {
  const url = new URL(text);
  const port = ports[url.protocol];
  if (port === undefined)
    throw new TypeError(`${url.protocol} is not spoken here; there are ${Object.keys(ports).join(' ')}`);
  return {
    url,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? port : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}
