// What a listener or a dialler wants of TLS, independent of who does the handshake.

export interface TlsPolicy {
  readonly role: 'server' | 'client';
  /** PEM; required for a server, and for a client that presents a certificate. */
  readonly certificate?: string;
  readonly key?: string;
  /** PEM of the authorities to trust; the platform's when absent. */
  readonly authorities?: string;
  /** Protocols by preference. A list without a match is refused. */
  readonly alpn?: readonly string[];
  /** A client's: the name to ask for and to check. */
  readonly serverName?: string;
  /** A server's: ask for a certificate, and refuse peers without a valid one when `required`. */
  readonly clientCertificate?: 'none' | 'optional' | 'required';
}
