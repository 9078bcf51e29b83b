// What a listener or a dialler wants of TLS, independent of who does the handshake and of who issues certificates.
import type { Address } from './peer.ts';

/** A certificate with its chain, and its key, in PEM. Never changed: a renewed one is another value. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

/** The certificates of a server. What is renewed or reloaded shows in the next answer. */
export interface Identities {
  /**
   * The one to show in a handshake: `serverName` is the client's SNI in lower case, `local` the address it reached us by,
   * `alpn` its list (`acme-tls/1` asks for a challenge's certificate, RFC 8737). Null refuses with `unrecognized_name`.
   * Asked once a handshake; answers at once and never throws.
   */
  pick(serverName: string | null, local: Address | null, alpn: readonly string[]): Identity | null;
}

/** Judges certificates of clients whose chain has been verified: revoked, or by their policy not wanted. */
export interface ClientCertificates {
  /** PEM of the authorities that issue them. */
  readonly authorities: string;
  /** DER, the client's own first, then its issuers. Null when it may be used; else why not. */
  refuse(chain: readonly Uint8Array[]): string | null;
}

export interface TlsPolicy {
  readonly role: 'server' | 'client';
  /** PEM; for a client that presents a certificate, and for a server without `identities`. */
  readonly certificate?: string;
  readonly key?: string;
  /** A server's certificates. */
  readonly identities?: Identities;
  /** PEM of the authorities to trust; the platform's when absent. */
  readonly authorities?: string;
  /** Protocols by preference. A list without a match is refused. */
  readonly alpn?: readonly string[];
  /** A client's: the name to ask for and to check. */
  readonly serverName?: string;
  /** False: a client takes any certificate. It may be read and changed by whoever is between. */
  readonly verify?: boolean;
  /**
   * A client's: judges the certificates of the server, DER, its own first, in place of the authorities or beside them. Null when they
   * will do; else why not.
   */
  readonly judge?: (chain: readonly Uint8Array[]) => string | null;
  /** A server's: ask for a certificate, and refuse peers without a valid one when `required`. */
  readonly clientCertificate?: 'none' | 'optional' | 'required';
  readonly clientCertificates?: ClientCertificates;
  /** Told the secrets of each connection, a line each in the format of NSS; whoever has them can read all of it. */
  readonly keyLog?: (line: Buffer) => void;
  /** A server's: 48 random bytes that its tickets are sealed with; those of the process when absent. */
  readonly ticketKeys?: Uint8Array;
  /** A client's: the session that the server gave last, which later connections of the same policy go on with. */
  readonly kept?: { session: Buffer | null };
  /** The oldest version that is spoken; 1.2 when absent. */
  readonly least?: 'TLSv1.2' | 'TLSv1.3';
}
