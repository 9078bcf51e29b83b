// The certificates that somebody shows in a TLS handshake, taken as they are: to look at them, or at the proof of RFC 8737.
// Nothing else is said on the connection, and whether they are trusted is told beside.
import { type ConnectionOptions, connect, type DetailedPeerCertificate } from 'node:tls';

export interface PeerChain {
  /** DER, its own first. */
  readonly chain: readonly Uint8Array[];
  readonly alpn: string | null;
  readonly version: string;
  readonly cipher: string;
  /** Why the platform, or `authorities`, does not trust it for this name; '' when they do. */
  readonly distrust: string;
}

export interface PeerChainPlan {
  readonly host: string;
  readonly port: number;
  /** The name to ask for; '' for none. */
  readonly serverName: string;
  readonly alpn?: readonly string[];
  /** PEM; the platform's when absent. */
  readonly authorities?: string;
  readonly waitMs: number;
}

/** Rejects with what was in the way of the handshake. */
export function peerChain(plan: PeerChainPlan): Promise<PeerChain> {
  const { host, port, serverName, alpn, authorities, waitMs } = plan;
  const options: ConnectionOptions = { host, port, rejectUnauthorized: false };
  if (serverName !== '') options.servername = serverName;
  if (alpn !== undefined) options.ALPNProtocols = [...alpn];
  if (authorities !== undefined) options.ca = authorities;
  return new Promise((resolve, reject) => {
    const socket = connect(options);
    const timer = setTimeout(() => socket.destroy(new Error(`${host}:${port} did not answer in time`)), waitMs);
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.on('secureConnect', () => {
      clearTimeout(timer);
      const found: Uint8Array[] = [];
      let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
      // The last one is its own issuer.
      for (
        ;
        at?.raw !== undefined && !found.some((der) => Buffer.compare(der, at!.raw) === 0);
        at = at.issuerCertificate
      )
        found.push(at.raw);
      resolve({
        chain: found,
        alpn: socket.alpnProtocol === false ? null : socket.alpnProtocol,
        version: socket.getProtocol() ?? '',
        cipher: socket.getCipher().name,
        distrust: socket.authorized ? '' : String(socket.authorizationError),
      });
      socket.destroy();
    });
  });
}
