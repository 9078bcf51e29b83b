// Simulated byte streams: two pipes over a link with latency, cuts of any size, stall and reset. Each chunk is overwritten
// after the session received it, so that a session which keeps a view of its input is found out.

import { giveBack } from '../bytes/pool.ts';
import type { ConnectionEvents } from '../core/connection.ts';
import type { Peer, TlsFacts } from '../core/peer.ts';
import { HANDSHAKE, type Pipe, RESET, type Session } from '../core/pipe.ts';
import { NO_EVENTS, PIPE_BOUNDS, type PipeBounds, StreamPipe } from '../core/stream-pipe.ts';
import type { TlsPolicy } from '../core/tls.ts';
import type { World } from './world.ts';

export interface LinkOptions {
  readonly latencyMs?: number;
  /** Bytes are cut into pieces of 1 to this many, by the world's seed; 0 leaves them as they were sent. */
  readonly cut?: number;
  /** Bytes that may be on their way before the sender feels it. */
  readonly window?: number;
  readonly bounds?: Partial<PipeBounds>;
  readonly events?: ConnectionEvents;
  /** Their number, where they are one stream of several. */
  readonly stream?: number;
}

/** How two ends are joined, and what a test may do to the wire. */
export interface Link {
  readonly near: SimulatedPipe;
  readonly far: SimulatedPipe;
  /** Nothing arrives until it is called with false. */
  stall(on: boolean): void;
  /** Both ends see a reset at once; what is on its way is lost. */
  cut(): void;
}

export class SimulatedPipe extends StreamPipe {
  other: SimulatedPipe = this;
  stalled = false;
  private readonly world: World;
  private readonly latencyMs: number;
  private readonly cutMax: number;
  private readonly window: number;
  /** Sent to us and not offered yet, in order; null is the end of the stream. */
  private arriving: (Buffer | null)[] = [];
  private unacknowledged = 0;
  private waiting: Buffer[] = [];
  private held = false;
  private shutting = false;
  private handshake: TlsPolicy | null = null;

  constructor(world: World, peer: Peer, options: LinkOptions) {
    super(world.turn, peer, { ...PIPE_BOUNDS, ...options.bounds }, options.events ?? NO_EVENTS);
    this.world = world;
    this.latencyMs = options.latencyMs ?? 1;
    this.cutMax = options.cut ?? 0;
    this.window = options.window ?? 65_536;
  }

  protected transmit(pieces: readonly Uint8Array[], _total: number, lent: readonly Buffer[]): void {
    for (const piece of pieces) this.waiting.push(Buffer.from(piece));
    for (const storage of lent) giveBack(storage);
    this.pump();
  }

  protected hold(stop: boolean): void {
    this.held = stop;
    if (!stop) this.world.soon(() => this.arrive());
  }

  protected shut(): void {
    this.shutting = true;
    this.pump();
  }

  protected abort(wire: number): void {
    const { other } = this;
    this.world.after(this.latencyMs, () => other.ended(RESET, wire));
  }

  protected close(): void {
    this.arriving = [];
  }

  protected refuse(): void {
    this.held = false;
    this.world.soon(() => this.arrive());
  }

  /** A handshake of one round trip, whose bytes are a policy: what it proves is the hand-over, not the secrecy. */
  protected startTls(policy: TlsPolicy): void {
    this.handshake = policy;
    this.world.after(this.latencyMs, () => {
      const { other } = this;
      if (other.handshake === null) return;
      const server = policy.role === 'server' ? policy : other.handshake;
      const client = policy.role === 'server' ? other.handshake : policy;
      this.handshake = null;
      other.handshake = null;
      const alpn = client.alpn?.find((name) => server.alpn?.includes(name)) ?? null;
      const failed = server.role === client.role || (client.alpn !== undefined && alpn === null);
      const facts = failed ? null : factsOf(client, alpn);
      this.shake(facts);
      other.shake(facts);
    });
  }

  private shake(tls: TlsFacts | null): void {
    if (tls === null) this.ended(HANDSHAKE, 0);
    else this.secured({ ...this.peer, tls, below: this.peer });
  }

  /** The wire goes away under both. */
  lose(): void {
    this.ended(RESET, 0);
  }

  /** Offers what has arrived, unless the link stalls or the pipe holds. */
  arrive(): void {
    while (!this.held && !this.stalled && this.arriving.length > 0) {
      const chunk = this.arriving.shift()!;
      if (chunk === null) {
        this.peerEnd();
        return;
      }
      this.offer(chunk, 0, chunk.length);
      const { length } = chunk;
      chunk.fill(0xa5);
      const { other } = this;
      this.world.after(this.latencyMs, () => other.acknowledged(length));
    }
  }

  private acknowledged(length: number): void {
    this.unacknowledged -= length;
    if (!this.isAlive) return;
    this.sent(length);
    this.pump();
  }

  /** Puts what fits into the window on the wire, cut into pieces. */
  private pump(): void {
    while (this.waiting.length > 0 && this.unacknowledged < this.window) {
      const first = this.waiting[0]!;
      const fits = Math.min(first.length, this.window - this.unacknowledged);
      const size = this.cutMax === 0 ? fits : Math.min(fits, 1 + this.world.random.below(this.cutMax));
      if (size === first.length) this.waiting.shift();
      else this.waiting[0] = first.subarray(size);
      this.unacknowledged += size;
      this.send(Buffer.from(first.subarray(0, size)));
    }
    if (this.waiting.length > 0 || !this.shutting) return;
    this.shutting = false;
    this.send(null);
  }

  private send(chunk: Buffer | null): void {
    const { other } = this;
    this.world.after(this.latencyMs, () => {
      if (!other.isAlive) {
        // A dead end answers data with a reset, as TCP does.
        if (chunk !== null && this.isAlive) this.ended(RESET, 0);
        return;
      }
      other.arriving.push(chunk);
      other.arrive();
    });
  }
}

function factsOf(client: TlsPolicy, alpn: string | null): TlsFacts {
  return { version: 'simulated', cipher: 'none', alpn, serverName: client.serverName ?? null, certificate: null };
}

function peerOf(port: number, remote: number, stream: number | null): Peer {
  return {
    carrier: 'simulated',
    remote: { host: '127.0.0.1', port: remote },
    local: { host: '127.0.0.1', port },
    tls: null,
    below: null,
    stream,
  };
}

/** Joins two sessions by a simulated link. */
export function linkPipes(
  world: World,
  near: (pipe: Pipe) => Session,
  far: (pipe: Pipe) => Session,
  options: LinkOptions = {},
): Link {
  const a = new SimulatedPipe(world, peerOf(1, 2, options.stream ?? null), options);
  const b = new SimulatedPipe(world, peerOf(2, 1, options.stream ?? null), options);
  a.other = b;
  b.other = a;
  b.begin(far(b));
  a.begin(near(a));
  return {
    near: a,
    far: b,
    stall(on) {
      a.stalled = on;
      b.stalled = on;
      if (on) return;
      world.soon(() => a.arrive());
      world.soon(() => b.arrive());
    },
    cut() {
      a.lose();
      b.lose();
    },
  };
}
