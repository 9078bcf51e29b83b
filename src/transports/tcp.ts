// Listening on TCP ports and Unix sockets.
import { createServer, type Server, type Socket } from 'node:net';
import type { Address } from '../core/peer.ts';
import type { Pipe, Session } from '../core/pipe.ts';
import type { TlsPolicy } from '../core/tls.ts';
import { HandlePipe, type HandleWays, peerOfHandle, type StreamHandle } from './handle-pipe.ts';
import { type PipeMaking, peerOf, SocketPipe } from './socket-pipe.ts';

/** Where something listens, and how to stop. */
export interface Listening {
  /** Null for a Unix socket. */
  readonly address: Address | null;
  readonly path: string | null;
  /** No new connections; those that stand go on. */
  close(): Promise<void>;
}

export interface ListenOptions extends PipeMaking {
  readonly host?: string;
  /** 0 for any free one. */
  readonly port?: number;
  /** A Unix socket instead. */
  readonly path?: string;
  /** TLS from the first byte. */
  readonly tls?: TlsPolicy;
  /** Asked before a pipe is made; false refuses the connection with a reset. */
  readonly admit: (remote: Address | null) => boolean;
  readonly accept: (pipe: Pipe) => Session;
  /** Told of every pipe, before its session is made. */
  readonly opened: (pipe: SocketPipe) => void;
}

/** How many connections the kernel keeps that were not accepted yet. */
const BACKLOG = 1_024;

/** Listens. Rejects with the system's error: `EADDRINUSE`, `EACCES`, … */
export function listenStream(options: ListenOptions): Promise<Listening> {
  const carrier = options.path === undefined ? 'tcp' : 'unix';
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => {
    socket.on('error', () => {});
    const peer = peerOf(socket, carrier);
    if (!options.admit(peer.remote)) {
      if (carrier === 'tcp') socket.resetAndDestroy();
      else socket.destroy();
      return;
    }
    welcome(new SocketPipe(socket, peer, options), options);
  });
  const where =
    options.path === undefined
      ? { host: options.host ?? '127.0.0.1', port: options.port ?? 0, backlog: BACKLOG, ipv6Only: true }
      : { path: options.path, backlog: BACKLOG };
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      server.on('error', (error) => options.turn.bug(error, 'listener'));
      if (options.handles !== undefined && options.tls === undefined) takeHandles(server, options.handles, options);
      resolve(listeningOf(server, options.path ?? null));
    });
  });
}

function welcome(pipe: SocketPipe, { opened, tls, accept, turn }: ListenOptions): void {
  opened(pipe);
  try {
    if (tls === undefined) pipe.begin(accept(pipe));
    else pipe.beginSecured(tls, accept, () => {});
  } catch (error) {
    turn.bug(error, 'accept');
    pipe.reset(0);
  }
}

/** What the server stands on, which Node does not tell. */
interface ListeningHandle {
  onconnection: (this: ListeningHandle, error: number | undefined, handle: StreamHandle) => void;
}

/** Connections come as handles, before a socket is made of them. */
function takeHandles(server: Server, ways: HandleWays, options: ListenOptions): void {
  const { _handle: listener } = server as Server & { _handle: ListeningHandle };
  const { onconnection } = listener;
  listener.onconnection = function (error, handle) {
    if (error) {
      onconnection.call(this, error, handle);
      return;
    }
    const peer = peerOfHandle(handle, options.path === undefined ? 'tcp' : 'unix');
    if (options.admit(peer.remote)) welcome(new HandlePipe(handle, ways, peer, options), options);
    else if (handle.reset?.(() => {}) !== 0) handle.close();
  };
}

function listeningOf(server: Server, path: string | null): Listening {
  const bound = server.address();
  return {
    address: bound !== null && typeof bound === 'object' ? { host: bound.address, port: bound.port } : null,
    path,
    // Sockets that were accepted are the pipes' own: closing the listener does not wait for them.
    close: async () => void server.close(),
  };
}
