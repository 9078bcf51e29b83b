// The handshake of TLS 1.3 as QUIC carries it: both ends, and what a server keeps from connection to connection.
import type { Handshake, HandshakeEvents } from '../crypto.ts';
import { ClientHandshake, type ClientOptions } from './client.ts';
import { ServerHandshake, type ServerOptions } from './server.ts';

export type { ClientOptions } from './client.ts';
export type { HandshakeOptions } from './engine.ts';
export { GROUPS, type Group } from './groups.ts';
export { type TlsLimits, tlsLimits } from './limits.ts';
export type { ServerOptions } from './server.ts';
export { EarlyGuard, Tickets } from './tickets.ts';

export function clientHandshake(options: ClientOptions, events: HandshakeEvents): Handshake {
  return new ClientHandshake(options, events);
}

export function serverHandshake(options: ServerOptions, events: HandshakeEvents): Handshake {
  return new ServerHandshake(options, events);
}
