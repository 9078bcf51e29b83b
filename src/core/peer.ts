// Who is at the other end, and through what.

export interface Address {
  readonly host: string;
  readonly port: number;
}

export type Carrier =
  | 'tcp'
  | 'tls'
  | 'unix'
  | 'udp'
  | 'quic'
  | 'ssh'
  | 'http'
  | 'websocket'
  | 'data-channel'
  | 'simulated';

/** What TLS established, as far as it was observed. */
export interface TlsFacts {
  readonly version: string;
  readonly cipher: string;
  readonly alpn: string | null;
  readonly serverName: string | null;
  /** It goes on with a session of before. */
  readonly resumed?: boolean;
  /** The client's certificate in DER when it gave one that was verified. */
  readonly certificate: Uint8Array | null;
}

export interface Peer {
  readonly carrier: Carrier;
  /** Null for a Unix socket. */
  readonly remote: Address | null;
  readonly local: Address | null;
  readonly tls: TlsFacts | null;
  /** The layer that carries this one: the connection of a stream, the socket under TLS. */
  readonly below: Peer | null;
  /** The stream's number within the layer below. */
  readonly stream: number | null;
  /** It said that it comes for somebody else (Forwarded, Via and the like): never a local program. */
  readonly forwarded?: boolean;
}

/** An address as people write it: `127.0.0.1:80`, `[::1]:80`. */
export function addressText(address: Address | null): string {
  if (address === null) return 'local';
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Whether an address belongs to this machine's loopback: 127.0.0.0/8, ::1, and the former mapped into IPv6. */
export function isLoopback(host: string): boolean {
  // Those two are nearly all that ever ask.
  return host === '127.0.0.1' || host === '::1' || /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/i.test(host);
}
