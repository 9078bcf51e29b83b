// Datagrams over node:dgram: one socket for one address, so that answers leave from where they were asked. What the plain
// path cannot tell, ECN, is said to be unknown.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { type DatagramPort, type DatagramSession, ECN_UNKNOWN } from '../core/datagram.ts';
import type { Address } from '../core/peer.ts';
import { type Cause, ENDED, UNREACHABLE, type Why } from '../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../core/time.ts';
import { type Turn, Turned } from '../core/turn.ts';
import { BatchPort, type OpenBatchSocket, octetsOf } from './udp-batches.ts';

export interface UdpOptions {
  readonly turn: Turn;
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly session: (port: DatagramPort) => DatagramSession;
  /**
   * The only one that is talked to: the kernel passes over what comes from others, and tells when nobody is there; the port is lost
   * then.
   */
  readonly peer?: Address;
  /** Where the platform has sockets that work in batches. */
  readonly batches?: OpenBatchSocket | undefined;
  /** Of such a socket: rows of datagrams go and come as one, with marks of ECN, and none in fragments. */
  readonly joined?: boolean;
}

/** Bytes that may wait for the socket before `send` answers false. */
const QUEUE_MAX = 1_048_576;

/** Kernel buffers: bursts are the rule for datagrams. */
const KERNEL_BUFFER = 1_048_576;

export class UdpPort extends Turned implements DatagramPort {
  readonly local: Address;
  readonly ecn = false;
  readonly isWhole = false;
  private readonly turn: Turn;
  private readonly socket: Socket;
  private readonly session: DatagramSession;
  private readonly peer: Address | null;
  private waiting = 0;
  private alive = true;

  constructor(
    turn: Turn,
    socket: Socket,
    session: (port: DatagramPort) => DatagramSession,
    peer: Address | null = null,
  ) {
    super();
    this.turn = turn;
    this.socket = socket;
    this.peer = peer;
    const { address, port } = socket.address();
    this.local = { host: address, port };
    this.session = session(this);
    socket.on('message', (input: Buffer, from: RemoteInfo) => this.received(input, from));
    // An error of one datagram (a refused peer, a route that is gone) is not the port's end.
    socket.on('error', () => {
      if (peer !== null) this.lose(UNREACHABLE);
    });
    turn.touch(this);
  }

  get room(): number {
    return this.alive ? Math.max(0, QUEUE_MAX - this.waiting) : 0;
  }

  send(to: Address, _local: Address | null, bytes: Uint8Array, start: number, end: number, segment: number): boolean {
    if (end - start > this.room) return false;
    const step = segment === 0 ? Math.max(1, end - start) : segment;
    for (let at = start; at < end || at === start; at += step) {
      const stop = Math.min(end, at + step);
      // The socket sends later when the name is not an address; a copy is ours to give away.
      const datagram = Buffer.from(bytes.subarray(at, stop));
      this.waiting += datagram.length;
      const sent = () => {
        this.waiting -= datagram.length;
      };
      if (this.peer === null) this.socket.send(datagram, to.port, to.host, sent);
      else this.socket.send(datagram, sent);
    }
    return true;
  }

  touch(): void {
    this.turn.touch(this);
  }

  close(): void {
    this.lose(ENDED);
  }

  leave(why: Why): void {
    this.guarded(() => this.session.leave(why, this.turn.clock));
  }

  get due(): Instant {
    return this.alive ? this.session.deadline : NEVER;
  }

  work(clock: Clock): void {
    if (this.session.gather !== undefined) this.guarded(() => this.session.gather?.(clock));
  }

  tick(clock: Clock): void {
    this.guarded(() => this.session.tick(clock));
  }

  private received(input: Buffer, from: RemoteInfo): void {
    const address = { host: from.address, port: from.port };
    this.guarded(() => this.session.receive(input, 0, input.length, address, this.local, ECN_UNKNOWN, this.turn.clock));
    this.turn.touch(this);
  }

  /** A throw is a bug of ours; the smallest scope is the one datagram. */
  private guarded(call: () => void): void {
    if (!this.alive) return;
    try {
      call();
    } catch (error) {
      this.turn.bug(error, `udp ${this.local.port}`);
    }
  }

  private lose(cause: Cause): void {
    if (!this.alive) return;
    this.alive = false;
    // What was sent in this turn still goes: dgram closes behind its queue.
    setImmediate(() => this.socket.close());
    try {
      this.session.lost(cause, 0, this.turn.clock);
    } catch (error) {
      this.turn.bug(error, 'udp lost');
    }
    this.turn.forget(this);
  }
}

/** A port that its opener closes and asks to leave. */
export type OpenPort = UdpPort | BatchPort;

/** Opens a port. Rejects with the system's error. */
export function openUdp(options: UdpOptions): Promise<OpenPort> {
  const port = batchPort(options);
  return port === null ? openPlain(options) : Promise.resolve(port);
}

/** One that works in batches; null where there is none, and for what had better say itself why it cannot be opened. */
function batchPort({ batches, turn, host, port, session, peer, joined = false }: UdpOptions): BatchPort | null {
  const octets = batches === undefined || peer !== undefined ? null : octetsOf(host, host.includes(':'));
  const socket = octets === null ? -1 : batches!(octets, port, KERNEL_BUFFER, joined);
  if (typeof socket === 'number') return null;
  const made = new BatchPort(turn, socket, host, joined, session);
  if (made.listen() === 0) return made;
  made.close();
  return null;
}

function openPlain(options: UdpOptions): Promise<UdpPort> {
  const family = options.host.includes(':') ? 'udp6' : 'udp4';
  const socket = createSocket({
    type: family,
    ipv6Only: family === 'udp6',
    recvBufferSize: KERNEL_BUFFER,
    sendBufferSize: KERNEL_BUFFER,
  });
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      socket.close();
      reject(error);
    };
    socket.once('error', failed);
    socket.bind(options.port, options.host, () => {
      const done = () => {
        socket.off('error', failed);
        resolve(new UdpPort(options.turn, socket, options.session, options.peer));
      };
      if (options.peer === undefined) done();
      else socket.connect(options.peer.port, options.peer.host, (error?: Error) => (error ? failed(error) : done()));
    });
  });
}
