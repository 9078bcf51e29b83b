// A byte stream over a TCP or Unix socket, and TLS put on it in the middle. One gathered write a turn; it does not know
// what is said.

import { connect, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { giveBack } from '../bytes/pool.ts';
import type { ConnectionEvents } from '../core/connection.ts';
import type { Carrier, Peer } from '../core/peer.ts';
import { type Cause, ENDED, HANDSHAKE, type Pipe, RESET, type Session, UNREACHABLE } from '../core/pipe.ts';
import type { Target } from '../core/reach.ts';
import { type PipeBounds, StreamPipe } from '../core/stream-pipe.ts';
import type { KernelFigures } from '../core/tap.ts';
import type { TlsPolicy } from '../core/tls.ts';
import type { Turn } from '../core/turn.ts';
import { readClientHello } from './client-hello.ts';
import type { HandleWays } from './handle-pipe.ts';
import { acceptTls, connectTls, factsOf } from './tls.ts';

/** How long a TLS handshake may take. */
const HANDSHAKE_MS = 10_000;

/** A fatal alert: of TLS 1.2 by its record, as all are that precede a version. */
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

/** A connection is probed by the kernel when nothing came for so long. */
export const KEEPALIVE_MS = 60_000;

/** How long a connection attempt may take. */
const CONNECT_MS = 10_000;

/** What every pipe of a server is made with. */
export interface PipeMaking {
  readonly turn: Turn;
  readonly bounds: PipeBounds;
  readonly events: ConnectionEvents;
  /** Asks the kernel about a connection by its descriptor; it may be told nothing. */
  readonly kernel?: AskKernel | undefined;
  /** How connections that come are read and written without Node's streams; absent, they are not. */
  readonly handles?: HandleWays | undefined;
  /** sendfile(2): bytes that were sent, or a negative error number. Files are read and written where it is absent. */
  readonly sendFile?: SendFile | undefined;
}

export type SendFile = (socketFd: number, fileFd: number, offset: number, count: number) => number;

export type AskKernel = (fd: number) => KernelFigures | null;

export class SocketPipe extends StreamPipe {
  private socket!: Socket;
  private cause: Cause = ENDED;
  /** What went wrong last, as the system says it. */
  problem = '';
  private readonly askKernel: AskKernel | undefined;
  private readonly kernelSends: SendFile | undefined;
  /** What the kernel said last. */
  private figures: KernelFigures | null = null;
  private securingSince: (() => void) | null = null;
  /** Writes under way: their sizes and the storage to give back, in order. */
  private sizes!: number[];
  private storages!: (readonly Buffer[])[];
  private onWritten!: () => void;

  /** @param socket null for one that is attached later */
  constructor(socket: Socket | null, peer: Peer, making: PipeMaking) {
    super(making.turn, peer, making.bounds, making.events);
    this.askKernel = making.kernel;
    this.kernelSends = making.sendFile;
    if (socket === null) return;
    this.attach(socket);
    socket.setNoDelay(true);
    // A peer that vanished without a word is noticed also where nothing is sent to it.
    socket.setKeepAlive(true, KEEPALIVE_MS);
  }

  protected attach(socket: Socket): void {
    this.socket = socket;
    this.sizes = [];
    this.storages = [];
    this.onWritten = () => this.written();
    this.listen(socket);
  }

  protected fd(): number {
    return descriptorOf(this.socket);
  }

  override kernel(): KernelFigures | null {
    const fd = this.fd();
    if (fd >= 0) this.figures = this.askKernel?.(fd) ?? this.figures;
    return this.figures;
  }

  protected transmit(pieces: readonly Uint8Array[], total: number, lent: readonly Buffer[]): void {
    const { socket } = this;
    this.sizes.push(total);
    this.storages.push(lent);
    if (pieces.length === 1) {
      socket.write(pieces[0]!, this.onWritten);
      return;
    }
    socket.cork();
    for (let index = 0; index < pieces.length - 1; index++) socket.write(pieces[index]!);
    socket.write(pieces[pieces.length - 1]!, this.onWritten);
    socket.uncork();
  }

  protected override transmitFile(file: number, start: number, end: number): number {
    const { kernelSends } = this;
    if (kernelSends === undefined || !this.isEmpty()) return 0;
    const fd = this.fd();
    let at = start;
    while (fd >= 0 && at < end) {
      const sent = kernelSends(fd, file, at, end - at);
      // A socket that is full, or whatever else is wrong: the ordinary way will find out.
      if (sent <= 0) break;
      at += sent;
    }
    return at - start;
  }

  /** Whether the kernel has all that was written, as it was written. */
  protected isEmpty(): boolean {
    return !(this.socket instanceof TLSSocket) && isWritten(this.socket);
  }

  protected hold(stop: boolean): void {
    if (stop) this.socket.pause();
    else this.socket.resume();
  }

  protected shut(): void {
    this.lastFigures();
    this.socket.end();
  }

  protected abort(): void {
    this.lastFigures();
    // Only a TCP socket has a reset; a Unix socket and TLS end without the proper ending.
    if (this.peer.carrier === 'tcp' && !(this.socket instanceof TLSSocket)) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  protected close(): void {
    this.lastFigures();
    this.socket.destroy();
  }

  /** TCP cannot say that it wants no more; what comes is read and dropped, so that our last words are not lost to a reset. */
  protected refuse(): void {
    this.socket.resume();
  }

  protected startTls(policy: TlsPolicy, begun: Uint8Array | null): void {
    // What was written before must be out: the TLS socket writes to the same descriptor by another way.
    if (this.sizes.length > 0) {
      this.securingSince = () => this.startTls(policy, begun);
      return;
    }
    const plain = this.socket;
    for (const event of ['data', 'end', 'error', 'close']) plain.removeAllListeners(event);
    plain.on('error', () => {});
    const socket = policy.role === 'server' ? this.acceptTls(plain, policy, begun) : connectTls(plain, policy);
    if (socket === null) {
      // Nobody here goes by that name: unrecognized_name (RFC 6066 §3).
      plain.end(UNRECOGNIZED_NAME);
      this.ended(HANDSHAKE, 0);
      return;
    }
    this.socket = socket;
    if (policy.keyLog !== undefined) socket.on('keylog', policy.keyLog);
    this.cause = HANDSHAKE;
    const slow = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
    socket.once('close', () => clearTimeout(slow));
    // Whoever ends before it is done has changed its mind.
    const early = () => void socket.destroy();
    socket.once('end', early);
    socket.once(policy.role === 'server' ? 'secure' : 'secureConnect', () => {
      clearTimeout(slow);
      socket.off('end', early);
      const facts = factsOf(socket, policy);
      if (facts === null) {
        socket.destroy();
        return;
      }
      this.cause = ENDED;
      this.secured({ ...this.peer, carrier: 'tls', tls: facts, below: this.peer });
    });
    this.listen(socket);
  }

  /** @param begun what came of the handshake already */
  private acceptTls(plain: Socket, policy: TlsPolicy, begun: Uint8Array | null): TLSSocket | null {
    const hello = begun === null ? null : readClientHello(begun, 0, begun.length);
    const socket = acceptTls(
      plain,
      policy,
      hello === null || typeof hello === 'number' ? null : hello,
      this.peer.local,
    );
    // Read by the TLS socket before anything of the network.
    if (socket !== null && begun !== null) {
      plain.pause();
      plain.unshift(begun);
    }
    return socket;
  }

  private listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => this.offer(chunk, 0, chunk.length));
    socket.on('end', () => this.peerEnd());
    socket.on('error', (error) => {
      this.problem = error.message;
      if (this.cause === ENDED) this.cause = RESET;
    });
    socket.on('close', () => this.ended(this.cause, 0));
  }

  /** Asked before the socket is let go, and for somebody who watches. */
  protected lastFigures(): void {
    if (this.tap !== null) this.kernel();
  }

  private written(): void {
    const total = this.sizes.shift()!;
    for (const storage of this.storages.shift()!) giveBack(storage);
    this.sent(total);
    if (this.securingSince === null || this.sizes.length > 0) return;
    const start = this.securingSince;
    this.securingSince = null;
    start();
  }
}

/** The descriptor of a socket, which Node does not tell; -1 once it is closed. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { _handle?: { readonly fd?: number } | null };
  return handle?.fd ?? -1;
}

/** Whether the kernel has all that was written: what goes around the stream would otherwise overtake it. */
function isWritten(socket: Socket): boolean {
  const { _handle: handle } = socket as Socket & { _handle?: { readonly writeQueueSize?: number } | null };
  return handle?.writeQueueSize === 0 && !socket.connecting && !socket.writableNeedDrain;
}

/** Who is at the other end of a socket. */
export function peerOf(socket: Socket, carrier: Carrier): Peer {
  return {
    carrier,
    remote: socket.remoteAddress === undefined ? null : { host: socket.remoteAddress, port: socket.remotePort ?? 0 },
    local: socket.localAddress === undefined ? null : { host: socket.localAddress, port: socket.localPort ?? 0 },
    tls: null,
    below: null,
    stream: null,
  };
}

/**
 * Connects to a host and port or a Unix socket. Calls `connected` with the pipe, TLS done when a policy is given, or
 * `refused`, in either case once. Answers how to give up.
 */
export function dial(
  target: Target,
  tls: TlsPolicy | null,
  making: PipeMaking,
  connected: (pipe: Pipe) => Session,
  refused: (cause: Cause, why: string) => void,
): () => void {
  const socket =
    target.path === undefined
      ? connect({ host: target.host, port: target.port, allowHalfOpen: true })
      : connect({ path: target.path, allowHalfOpen: true });
  let over = false;
  const fail = (why: string) => {
    if (over) return;
    over = true;
    clearTimeout(slow);
    socket.destroy();
    refused(UNREACHABLE, why);
  };
  const slow = setTimeout(() => fail(`no answer in ${CONNECT_MS / 1_000} s`), CONNECT_MS);
  const onError = (error: Error) => fail(error.message);
  socket.on('error', onError);
  socket.once('connect', () => {
    clearTimeout(slow);
    if (over) return;
    over = true;
    socket.off('error', onError);
    const pipe = new SocketPipe(socket, peerOf(socket, target.path === undefined ? 'tcp' : 'unix'), making);
    if (tls === null) pipe.begin(connected(pipe));
    else
      pipe.beginSecured(tls, connected, (cause) => {
        refused(cause, pipe.problem === '' ? 'the TLS handshake failed' : `the TLS handshake failed: ${pipe.problem}`);
      });
  });
  return () => {
    clearTimeout(slow);
    if (over) return;
    over = true;
    socket.destroy();
  };
}
