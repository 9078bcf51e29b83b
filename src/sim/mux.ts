// A simulated connection of many streams and datagrams: what QUIC offers, without QUIC.
import type { Caller } from '../core/caller.ts';
import { nextConnectionId } from '../core/connection.ts';
import type { Fault } from '../core/fault.ts';
import type { Mux, MuxSession } from '../core/mux.ts';
import type { Peer } from '../core/peer.ts';
import { type Cause, ENDED, FAULT, type Pipe, type Session, type Why } from '../core/pipe.ts';
import type { Clock, Instant } from '../core/time.ts';
import { NEVER } from '../core/time.ts';
import { Turned } from '../core/turn.ts';
import { type LinkOptions, linkPipes, type SimulatedPipe } from './pipes.ts';
import type { World } from './world.ts';

export interface MuxOptions extends LinkOptions {
  /** Streams that each side may have open of its own. */
  readonly streamsMax?: number;
  readonly datagramMax?: number;
}

export class SimulatedMux extends Turned implements Mux {
  readonly id = nextConnectionId();
  readonly callers: Caller[] = [];
  readonly peer: Peer = { carrier: 'simulated', remote: null, local: null, tls: null, below: null, stream: null };
  other: SimulatedMux = this;
  readonly datagramMax: number;
  private readonly world: World;
  private readonly options: MuxOptions;
  private session!: MuxSession;
  private readonly streams = new Set<SimulatedPipe>();
  private opened = 0;
  /** Streams of ours so far of either kind, and which side we are: numbers as QUIC has them (RFC 9000 §2.1). */
  private readonly serials = [0, 0];
  side = 0;
  private refused = false;
  private alive = true;

  constructor(world: World, options: MuxOptions) {
    super();
    this.world = world;
    this.options = options;
    this.datagramMax = options.datagramMax ?? 1_200;
  }

  begin(session: MuxSession): void {
    this.session = session;
    this.world.turn.touch(this);
  }

  open(oneWay: boolean, session: (pipe: Pipe) => Session): Pipe | null {
    if (!this.alive || this.opened >= (this.options.streamsMax ?? 100)) {
      this.refused = true;
      return null;
    }
    this.opened++;
    const { other } = this;
    const kind = oneWay ? 1 : 0;
    const stream = this.serials[kind]!++ * 4 + kind * 2 + this.side;
    const { near, far } = linkPipes(
      this.world,
      (pipe) => watched(session(pipe), () => this.gone(near, true)),
      (pipe) => watched(other.session.opened(pipe, oneWay), () => other.gone(far, false)),
      { ...this.options, bounds: { lingerMs: NEVER, ...this.options.bounds }, stream },
    );
    this.streams.add(near);
    other.streams.add(far);
    this.world.turn.touch(other);
    if (oneWay) {
      near.stopReading(0);
      far.end();
    }
    return near;
  }

  datagram(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.alive || end - start > this.datagramMax) return false;
    const copy = Buffer.from(bytes.subarray(start, end));
    this.world.after(this.options.latencyMs ?? 1, () => {
      const { other } = this;
      if (!other.alive) return;
      other.session.datagram(copy, 0, copy.length, this.world.turn.clock);
      copy.fill(0xa5);
      this.world.turn.touch(other);
    });
    return true;
  }

  signedIn(caller: Caller): void {
    this.callers.push(caller);
  }

  close(fault: Fault): void {
    this.die(FAULT, fault.wire);
    const { other } = this;
    this.world.after(this.options.latencyMs ?? 1, () => other.die(ENDED, fault.wire));
  }

  leave(why: Why): void {
    this.session.leave(why, this.world.turn.clock);
    this.world.turn.touch(this);
  }

  get due(): Instant {
    return this.alive ? this.session.deadline : NEVER;
  }

  work(): void {}

  tick(clock: Clock): void {
    if (!this.alive) return;
    this.session.tick(clock);
    this.world.turn.touch(this);
  }

  private gone(stream: SimulatedPipe, ours: boolean): void {
    this.streams.delete(stream);
    // What its session does next may have changed with it.
    if (this.alive) this.world.turn.touch(this);
    if (!ours) return;
    this.opened--;
    if (!this.refused || !this.alive) return;
    this.refused = false;
    this.session.mayOpen(this.world.turn.clock);
  }

  /** Streams are lost before the connection that carried them. */
  private die(cause: Cause, wire: number): void {
    if (!this.alive) return;
    this.alive = false;
    for (const stream of [...this.streams]) stream.lose();
    this.session.lost(cause, wire, this.world.turn.clock);
    this.world.turn.forget(this);
  }
}

/** A session that also tells us when its stream is gone. */
function watched(session: Session, gone: () => void): Session {
  const { lost } = session;
  session.lost = function (this: Session, ...told) {
    lost.apply(this, told);
    gone();
  };
  return session;
}

/** Joins two mux sessions. */
export function linkMux(
  world: World,
  near: (mux: Mux) => MuxSession,
  far: (mux: Mux) => MuxSession,
  options: MuxOptions = {},
): { near: SimulatedMux; far: SimulatedMux } {
  const a = new SimulatedMux(world, options);
  const b = new SimulatedMux(world, options);
  a.other = b;
  b.other = a;
  b.side = 1;
  b.begin(far(b));
  a.begin(near(a));
  return { near: a, far: b };
}
