// TLS of Node on a socket: whose certificate is shown, which terms hold, what a finished handshake established. Contexts are
// made once for each certificate, so that a renewed one shows in the next handshake and sessions go on over it.
import { constants, randomBytes } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { connect as connectOver, createSecureContext, rootCertificates, type SecureContext, TLSSocket } from 'node:tls';
import type { Address, TlsFacts } from '../core/peer.ts';
import type { Identity, TlsPolicy } from '../core/tls.ts';
import type { ClientHello } from './client-hello.ts';

/** Forward secret and authenticated, and nothing else: what RFC 9113 §9.2.2 lets HTTP/2 have. */
const CIPHERS = [
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ...['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':');

/**
 * ChaCha20 for who prefers it, having no AES in hardware; and nobody shakes hands anew within a connection: HTTP/2
 * forbids it (RFC 9113 §9.2.1), and it costs a server most.
 */
const SECURE_OPTIONS = constants.SSL_OP_PRIORITIZE_CHACHA | constants.SSL_OP_NO_RENEGOTIATION;

/** Of this process: a session goes on whichever of its contexts began it, and never beyond a restart. */
const TICKET_KEYS = randomBytes(48);
const SESSION_CONTEXT = 'portico';
const SESSION_SECONDS = 7_200;

/** What a challenge's certificate is asked for by (RFC 8737 §3). */
const ACME_ALPN = 'acme-tls/1';

/** A server's contexts: by its policy, by the certificate; and the authorities of clients that they were made with. */
const contexts = new WeakMap<
  TlsPolicy,
  WeakMap<Identity, { authorities: string | undefined; context: SecureContext }>
>();

function serverContext(policy: TlsPolicy, identity: Identity): SecureContext {
  const authorities = policy.clientCertificates?.authorities ?? policy.authorities;
  let own = contexts.get(policy);
  if (own === undefined) contexts.set(policy, (own = new WeakMap()));
  const kept = own.get(identity);
  if (kept !== undefined && kept.authorities === authorities) return kept.context;
  const context = createSecureContext({
    cert: identity.certificate,
    key: identity.key,
    ciphers: CIPHERS,
    honorCipherOrder: true,
    secureOptions: SECURE_OPTIONS,
    minVersion: policy.least ?? 'TLSv1.2',
    sessionIdContext: SESSION_CONTEXT,
    sessionTimeout: SESSION_SECONDS,
    ticketKeys: policy.ticketKeys === undefined ? TICKET_KEYS : Buffer.from(policy.ticketKeys),
    ...(authorities === undefined ? {} : { ca: authorities }),
  });
  own.set(identity, { authorities, context });
  return context;
}

/** The certificate that stands in the policy itself, as one value for its context. */
const inPolicy = new WeakMap<TlsPolicy, Identity>();

function identityOf(policy: TlsPolicy, hello: ClientHello | null, local: Address | null): Identity | null {
  if (policy.identities !== undefined)
    return policy.identities.pick(hello?.serverName ?? null, local, hello?.alpn ?? []);
  const { certificate, key } = policy;
  if (certificate === undefined || key === undefined) return null;
  let identity = inPolicy.get(policy);
  if (identity === undefined) inPolicy.set(policy, (identity = { certificate, key }));
  return identity;
}

/** The server's end of a handshake; null when there is no certificate to show for what is asked. */
/** PEM of the authorities that the platform trusts. */
export function platformAuthorities(): string {
  return rootCertificates.join('\n');
}

export function acceptTls(
  plain: Socket,
  policy: TlsPolicy,
  hello: ClientHello | null,
  local: Address | null,
): TLSSocket | null {
  const identity = identityOf(policy, hello, local);
  if (identity === null) return null;
  const wanted = policy.clientCertificate ?? 'none';
  const later = policy.identities !== undefined && hello === null;
  const alpn = hello?.alpn.includes(ACME_ALPN) === true ? [ACME_ALPN] : policy.alpn;
  return new TLSSocket(plain, {
    isServer: true,
    secureContext: serverContext(policy, identity),
    requestCert: wanted !== 'none',
    rejectUnauthorized: wanted === 'required',
    ...(alpn === undefined || alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    // In the middle of a connection nobody has read the hello: the library tells whom it asks for.
    ...(later ? { SNICallback: (name, found) => found(null, contextOf(policy, name, local)) } : {}),
  });
}

/** Undefined goes on with the one that is shown where nobody is asked for. */
function contextOf(policy: TlsPolicy, name: string, local: Address | null): SecureContext | undefined {
  const identity = policy.identities?.pick(name.toLowerCase(), local, []) ?? null;
  return identity === null ? undefined : serverContext(policy, identity);
}

export function connectTls(plain: Socket, policy: TlsPolicy): TLSSocket {
  const { kept } = policy;
  const secured = connectOver({
    socket: plain,
    secureContext: createSecureContext({
      ...(policy.certificate === undefined ? {} : { cert: policy.certificate }),
      ...(policy.key === undefined ? {} : { key: policy.key }),
      ...(policy.authorities === undefined ? {} : { ca: policy.authorities }),
      ...(policy.least === undefined ? {} : { minVersion: policy.least }),
    }),
    ...(policy.verify === false ? { rejectUnauthorized: false } : {}),
    ...namedBy(policy.serverName),
    ...(policy.alpn === undefined ? {} : { ALPNProtocols: [...policy.alpn] }),
    ...(kept?.session == null ? {} : { session: kept.session }),
  });
  if (kept !== undefined)
    secured.on('session', (session) => {
      kept.session = session;
    });
  return secured;
}

/** An address is checked against the certificate, but is no name to ask for (RFC 6066 §3). */
function namedBy(serverName: string | undefined): { servername?: string; host?: string } {
  if (serverName === undefined) return {};
  return isIP(serverName) > 0 ? { host: serverName } : { servername: serverName };
}

/** What a handshake that is done established; null when it must not be gone on with. */
export function factsOf(socket: TLSSocket, policy: TlsPolicy): TlsFacts | null {
  const client = policy.role === 'client';
  const certificate = client ? serverCertificate(socket) : clientCertificate(socket, policy);
  if (client && policy.judge !== undefined && policy.judge(chainOf(socket)) !== null) return null;
  if (!client && certificate === null && policy.clientCertificate === 'required') return null;
  const alpn = socket.alpnProtocol || null;
  // A server's list without a match is refused in the handshake. Servers that know no ALPN speak HTTP/1.1 all the same.
  if (client && alpn === null && policy.alpn?.includes('http/1.1') === false) return null;
  return {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    alpn,
    serverName: client ? (policy.serverName ?? null) : servernameOf(socket),
    resumed: socket.isSessionReused(),
    certificate,
  };
}

function serverCertificate(socket: TLSSocket): Uint8Array | null {
  return socket.authorized ? (socket.getPeerX509Certificate()?.raw ?? null) : null;
}

/** Of a client, when its chain leads to an authority of ours and nothing is held against it. */
function clientCertificate(socket: TLSSocket, policy: TlsPolicy): Uint8Array | null {
  if ((policy.clientCertificate ?? 'none') === 'none' || !isVerified(socket)) return null;
  const chain = chainOf(socket);
  const own = chain[0];
  if (own === undefined || (policy.clientCertificates?.refuse(chain) ?? null) !== null) return null;
  return own;
}

/** What the peer showed, its own certificate first. */
function chainOf(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  // The root signs itself, and is its own issuer.
  for (let one = socket.getPeerX509Certificate(); one !== undefined && chain.length < 10; one = one.issuerCertificate) {
    chain.push(one.raw);
    if (one.issuerCertificate === one) break;
  }
  return chain;
}

/** Node verifies in the handshake and leaves what came of it to whoever owns the socket; where it cannot be asked: no. */
function isVerified(socket: TLSSocket): boolean {
  const { _handle: handle } = socket as TLSSocket & { _handle?: { verifyError?(): Error | null } };
  if (handle?.verifyError === undefined) return false;
  const certificate = socket.getPeerX509Certificate();
  return certificate !== undefined && handle.verifyError() === null;
}

function servernameOf(socket: TLSSocket): string | null {
  const { servername } = socket as TLSSocket & { servername?: string | false };
  return servername || null;
}
