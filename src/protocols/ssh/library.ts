// ssh2's server, which never listens: connections are given to it as streams, and told apart by a number in place of their
// address.
import ssh2, { type Connection } from 'ssh2';
import type { PipeDuplex } from './duplex.ts';

/** No SHA-1, no CBC, no finite-field group below 2,048 bits (RFC 9142); each list by preference. */
const ALGORITHMS = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group14-sha256',
  ],
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'chacha20-poly1305@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
  ],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
} as const;

export class SshLibrary {
  private readonly server: ssh2.Server;
  private readonly waiting = new Map<string, (connection: Connection) => void>();

  /** @param hostKeys private keys as OpenSSH writes them */
  constructor(hostKeys: readonly string[], software: string) {
    this.server = new ssh2.Server({
      hostKeys: [...hostKeys],
      ident: software.replaceAll(/[^!-~]|-/g, '_'),
      algorithms: ALGORITHMS as never,
      keepaliveInterval: 0,
    } as ssh2.ServerConfig);
    this.server.on('connection', (connection, { ip }) => {
      this.waiting.get(ip)?.(connection);
      this.waiting.delete(ip);
    });
  }

  /** Speaks SSH over a stream; `begun` is told once the client has said that it does, too. */
  serve(stream: PipeDuplex, begun: (connection: Connection) => void): void {
    this.waiting.set(stream.remoteAddress, begun);
    stream.on('close', () => this.waiting.delete(stream.remoteAddress));
    this.server.injectSocket(stream as never);
  }
}
